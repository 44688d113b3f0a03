//! AGGFRAG payloads: inner packets aggregated and split (RFC 9347 §6.1), ESP's next header 144.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Sub-Type 0    |   Reserved    |          BlockOffset          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                          DataBlocks                           ~
//!
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Sub-Type 1    | Reserved  |P|E|          BlockOffset          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          LossEventRate                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                      RTT                  | Echo Delay ...    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  ... Echo Delay     |           Transmit Delay                |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                              TVal                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                             TEcho                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                          DataBlocks                           ~
//! ```
//!
//! Places and widths were checked against `struct ip_iptfs_hdr` and `struct ip_iptfs_cc_hdr` of Linux, whose 64 bits of
//! times have the same order; where the borders between those three lie is taken from the RFC alone.

use alloc::vec::Vec;

use crate::error::{ParseError, ParseErrorKind};
use crate::ip::{Ipv4Header, Ipv6Header};
use crate::newtype_enum;
use crate::octets::{array_at, u16_at, u32_at};

newtype_enum! {
    /// What kind of header an AGGFRAG payload has.
    pub struct AggfragSubType(u8) {
        BASIC = 0 => "basic",
        CONGESTION_CONTROL = 1 => "congestion control",
    }
}

/// The longest round-trip time, 22 bits.
pub const MAX_RTT: u32 = (1 << 22) - 1;
/// The longest delay, 21 bits.
pub const MAX_DELAY: u32 = (1 << 21) - 1;

const P: u8 = 0x02;
const E: u8 = 0x01;

/// What a receiver tells its sender about the path (RFC 9347 §6.1.2). Times are in units the RFC gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CongestionControl {
    /// P: path MTU probing is under way.
    pub probing: bool,
    /// E: congestion experienced, by ECN marks on the tunnel's packets.
    pub congestion_experienced: bool,
    /// The inverse of the loss event rate; 0 for none.
    pub loss_event_rate: u32,
    /// The sender's estimate of the round-trip time in milliseconds, 22 bits.
    pub rtt: u32,
    /// How long the echoed time stamp was held, in milliseconds, 21 bits.
    pub echo_delay: u32,
    /// The delay that the sender uses between transmissions, in milliseconds, 21 bits.
    pub transmit_delay: u32,
    /// A time stamp of the sender's.
    pub t_val: u32,
    /// The last time stamp that came from the other side.
    pub t_echo: u32,
}

/// The header in front of the data blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AggfragHeader {
    /// The reserved octet, of sub-type 1 its upper six bits.
    pub reserved: u8,
    /// Octets from the end of the header to the first block that starts in this payload; it can lie behind
    /// the payload's end.
    pub block_offset: u16,
    /// Sub-type 1's fields.
    pub congestion_control: Option<CongestionControl>,
}

impl AggfragHeader {
    /// Octets of sub-type 0.
    pub const BASIC_LEN: usize = 4;
    /// Octets of sub-type 1.
    pub const CONGESTION_CONTROL_LEN: usize = 24;

    /// A header of sub-type 0.
    #[must_use]
    pub const fn basic(block_offset: u16) -> Self {
        Self { reserved: 0, block_offset, congestion_control: None }
    }

    /// Octets of the header.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        if self.congestion_control.is_some() { Self::CONGESTION_CONTROL_LEN } else { Self::BASIC_LEN }
    }

    /// Appends the octets. Times beyond their bits are cut to the greatest.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let (octets, len) = self.to_octets();
        out.extend(octets.iter().take(len));
    }

    /// The octets, and how many of them there are. Times beyond their bits are cut to the greatest.
    #[must_use]
    pub fn to_octets(&self) -> ([u8; Self::CONGESTION_CONTROL_LEN], usize) {
        let mut octets = [0; Self::CONGESTION_CONTROL_LEN];
        let [high, low] = self.block_offset.to_be_bytes();
        let Some(control) = &self.congestion_control else {
            octets[..4].copy_from_slice(&[AggfragSubType::BASIC.0, self.reserved, high, low]);
            return (octets, Self::BASIC_LEN);
        };
        let flags = if control.probing { P } else { 0 } | if control.congestion_experienced { E } else { 0 };
        let flags = self.reserved & !(P | E) | flags;
        let times = u64::from(control.rtt.min(MAX_RTT)) << 42
            | u64::from(control.echo_delay.min(MAX_DELAY)) << 21
            | u64::from(control.transmit_delay.min(MAX_DELAY));
        octets[..4].copy_from_slice(&[AggfragSubType::CONGESTION_CONTROL.0, flags, high, low]);
        octets[4..8].copy_from_slice(&control.loss_event_rate.to_be_bytes());
        octets[8..16].copy_from_slice(&times.to_be_bytes());
        octets[16..20].copy_from_slice(&control.t_val.to_be_bytes());
        octets[20..].copy_from_slice(&control.t_echo.to_be_bytes());
        (octets, Self::CONGESTION_CONTROL_LEN)
    }
}

/// One piece of what stands behind the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataBlock<'a> {
    /// A whole inner packet.
    Packet(&'a [u8]),
    /// The start of an inner packet that goes on in the next payload. Its length field may be cut off.
    Start {
        /// The octets there are.
        octets: &'a [u8],
        /// How many there are to be, where the length field is there.
        total: Option<usize>,
    },
    /// Padding up to the end.
    Padding(&'a [u8]),
    /// A block that is no packet, or whose length field cannot be true: the rest is of no use.
    Unknown(&'a [u8]),
}

/// An AGGFRAG payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggfragView<'a> {
    /// The header.
    pub header: AggfragHeader,
    data: &'a [u8],
}

impl<'a> AggfragView<'a> {
    /// Reads a payload, which stands in ESP where the inner packet would.
    ///
    /// # Errors
    /// `Truncated` when the header does not fit; `UnsupportedVersion` for an unknown sub-type.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let truncated = ParseErrorKind::Truncated.at(0);
        let &[sub_type, reserved, o0, o1] = payload.first_chunk().ok_or(truncated)?;
        let block_offset = u16::from_be_bytes([o0, o1]);
        let header = match AggfragSubType(sub_type) {
            AggfragSubType::BASIC => AggfragHeader { reserved, block_offset, congestion_control: None },
            AggfragSubType::CONGESTION_CONTROL => {
                let control = Self::congestion_control(reserved, payload).ok_or(truncated)?;
                let congestion_control = Some(control);
                AggfragHeader { reserved: reserved & !(P | E), block_offset, congestion_control }
            }
            AggfragSubType(other) => return Err(ParseErrorKind::UnsupportedVersion(other).at(0)),
        };
        Ok(Self { header, data: payload.get(header.header_len()..).ok_or(truncated)? })
    }

    fn congestion_control(flags: u8, payload: &[u8]) -> Option<CongestionControl> {
        let times = u64::from_be_bytes(array_at(payload, 8)?);
        // The shifts and masks leave 22 and 21 bits.
        let bits = |shift: u32, mask: u32| (times >> shift) as u32 & mask;
        Some(CongestionControl {
            probing: flags & P != 0,
            congestion_experienced: flags & E != 0,
            loss_event_rate: u32_at(payload, 4)?,
            rtt: bits(42, MAX_RTT),
            echo_delay: bits(21, MAX_DELAY),
            transmit_delay: bits(0, MAX_DELAY),
            t_val: u32_at(payload, 16)?,
            t_echo: u32_at(payload, 20)?,
        })
    }

    /// The octets behind the header.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The octets that continue the packet an earlier payload started: all of them when the first block
    /// starts behind this payload.
    #[must_use]
    pub fn continuation(&self) -> &'a [u8] {
        self.data.get(..usize::from(self.header.block_offset)).unwrap_or(self.data)
    }

    /// The blocks that start in this payload.
    #[must_use]
    pub fn blocks(&self) -> DataBlocks<'a> {
        DataBlocks { rest: self.data.get(usize::from(self.header.block_offset)..).unwrap_or_default() }
    }
}

/// Iterates over the data blocks of a payload.
#[derive(Debug, Clone)]
pub struct DataBlocks<'a> {
    rest: &'a [u8],
}

/// The length that the header of an inner packet declares, where it is there; `Err` for one that cannot be.
fn declared_len(packet: &[u8], version: u8) -> Result<Option<usize>, ()> {
    let (at, add, least) = match version {
        4 => (2, 0, Ipv4Header::LEN),
        _ => (4, Ipv6Header::LEN, Ipv6Header::LEN),
    };
    match u16_at(packet, at).map(|field| usize::from(field) + add) {
        Some(length) if length < least => Err(()),
        length => Ok(length),
    }
}

impl<'a> Iterator for DataBlocks<'a> {
    type Item = DataBlock<'a>;

    fn next(&mut self) -> Option<DataBlock<'a>> {
        let whole = core::mem::take(&mut self.rest);
        let version = whole.first()? >> 4;
        Some(match version {
            0 => DataBlock::Padding(whole),
            4 | 6 => match declared_len(whole, version) {
                Err(()) => DataBlock::Unknown(whole),
                Ok(total) => match total.and_then(|length| whole.split_at_checked(length)) {
                    Some((packet, rest)) => {
                        self.rest = rest;
                        DataBlock::Packet(packet)
                    }
                    None => DataBlock::Start { octets: whole, total },
                },
            },
            _ => DataBlock::Unknown(whole),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(total: u8) -> Vec<u8> {
        let mut packet = alloc::vec![0; total.into()];
        packet[0] = 0x45;
        packet[3] = total;
        packet
    }

    #[test]
    fn blocks_of_every_kind() {
        let mut payload = Vec::new();
        AggfragHeader::basic(3).emit(&mut payload);
        payload.extend_from_slice(&[9; 3]);
        payload.extend_from_slice(&v4(20));
        let mut v6 = [0; 44];
        (v6[0], v6[5]) = (0x60, 4);
        payload.extend_from_slice(&v6);
        let view = AggfragView::parse(&payload).unwrap();
        assert_eq!(view.continuation(), [9; 3]);
        assert!(view.blocks().eq([DataBlock::Packet(&v4(20)), DataBlock::Packet(&v6)]));
        let padded = [&payload[..], &[0; 5]].concat();
        assert_eq!(AggfragView::parse(&padded).unwrap().blocks().last(), Some(DataBlock::Padding(&[0; 5])));
        let cut = &v4(200)[..30];
        let started = [&payload[..], cut].concat();
        let start = DataBlock::Start { octets: cut, total: Some(200) };
        assert_eq!(AggfragView::parse(&started).unwrap().blocks().last(), Some(start));
        let short = [&payload[..], &[0x60, 0, 0]].concat();
        let start = DataBlock::Start { octets: &[0x60, 0, 0], total: None };
        assert_eq!(AggfragView::parse(&short).unwrap().blocks().last(), Some(start));
        for unknown in [&[0x50, 1, 2][..], &[0x45, 0, 0, 19, 0]] {
            let octets = [&payload[..], unknown].concat();
            let last = AggfragView::parse(&octets).unwrap().blocks().last();
            assert_eq!(last, Some(DataBlock::Unknown(unknown)));
        }
    }

    #[test]
    fn an_offset_behind_the_end_continues_all_along() {
        let view = AggfragView::parse(&[0, 0, 0, 9, 1, 2, 3]).unwrap();
        assert_eq!((view.continuation(), view.blocks().next()), (&[1, 2, 3][..], None));
    }

    #[test]
    fn congestion_control_both_ways() {
        let control = CongestionControl {
            probing: true,
            congestion_experienced: true,
            loss_event_rate: 0x0102_0304,
            rtt: 1,
            echo_delay: 2,
            transmit_delay: 3,
            t_val: 0x0a0b_0c0d,
            t_echo: 0x0e0f_1011,
        };
        let header = AggfragHeader { reserved: 0x80, block_offset: 0, congestion_control: Some(control) };
        let mut octets = Vec::new();
        header.emit(&mut octets);
        // Three values of 22, 21 and 21 bits make up eight octets.
        assert_eq!(hex::encode(&octets), "018300000102030400000400004000030a0b0c0d0e0f1011");
        assert_eq!(AggfragView::parse(&octets).unwrap().header, header);
        for cut in 0..octets.len() {
            assert_eq!(AggfragView::parse(&octets[..cut]), Err(ParseErrorKind::Truncated.at(0)));
        }
        assert_eq!(AggfragView::parse(&[2, 0, 0, 0]), Err(ParseErrorKind::UnsupportedVersion(2).at(0)));
        let full = CongestionControl { rtt: u32::MAX, echo_delay: u32::MAX, ..control };
        octets.clear();
        AggfragHeader { congestion_control: Some(full), ..header }.emit(&mut octets);
        let read = AggfragView::parse(&octets).unwrap().header.congestion_control.unwrap();
        assert_eq!((read.rtt, read.echo_delay, read.transmit_delay), (MAX_RTT, MAX_DELAY, 3));
    }
}
