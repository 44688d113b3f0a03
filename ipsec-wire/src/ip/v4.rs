//! The IPv4 header (RFC 791 §3.1).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version|  IHL  |Type of Service|          Total Length         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Identification        |Flags|      Fragment Offset    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Time to Live |    Protocol   |         Header Checksum       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       Source Address                          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                    Destination Address                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use core::net::Ipv4Addr;

use super::IpProtocol;
use super::checksum::internet_checksum;
use super::ext::{Fragment, UpperLayer};
use crate::error::{ParseError, ParseErrorKind};

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// An IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4View<'a> {
    fixed: &'a [u8; Ipv4Header::LEN],
    packet: &'a [u8],
    header_len: usize,
}

impl<'a> Ipv4View<'a> {
    /// Reads the header. Octets behind the total length are not part of the packet; the checksum is not
    /// looked at.
    ///
    /// # Errors
    /// `Truncated`, `UnsupportedVersion`, or `BadLength` of a header length or total length that cannot be.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let fixed: &[u8; Ipv4Header::LEN] = bytes.first_chunk().ok_or(ParseErrorKind::Truncated.at(0))?;
        let [first, _, t0, t1, ..] = *fixed;
        if first >> 4 != 4 {
            return Err(ParseErrorKind::UnsupportedVersion(first >> 4).at(0));
        }
        let header_len = usize::from(first & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([t0, t1]));
        if header_len < Ipv4Header::LEN {
            return Err(ParseErrorKind::BadLength.at(0));
        }
        if total < header_len {
            return Err(ParseErrorKind::BadLength.at(2));
        }
        let packet = bytes.get(..total).ok_or(ParseErrorKind::Truncated.at(2))?;
        Ok(Self { fixed, packet, header_len })
    }

    /// Octets of the header, options included.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Octets of the packet.
    #[must_use]
    pub const fn total_length(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The type of service octet.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.fixed[1]
    }

    /// The upper six bits of [`Self::tos`].
    #[must_use]
    pub const fn dscp(&self) -> u8 {
        self.tos() >> 2
    }

    /// The lower two bits of [`Self::tos`].
    #[must_use]
    pub const fn ecn(&self) -> u8 {
        self.tos() & 3
    }

    /// The identification.
    #[must_use]
    pub const fn id(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    const fn flags_and_offset(&self) -> u16 {
        u16::from_be_bytes([self.fixed[6], self.fixed[7]])
    }

    /// The three flag bits: reserved, DF, MF from the highest on.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.fixed[6] >> 5
    }

    /// Don't Fragment.
    #[must_use]
    pub const fn df(&self) -> bool {
        self.flags_and_offset() & DONT_FRAGMENT != 0
    }

    /// More Fragments.
    #[must_use]
    pub const fn mf(&self) -> bool {
        self.flags_and_offset() & MORE_FRAGMENTS != 0
    }

    /// Octets of the fragmented packet's payload before this one's.
    #[must_use]
    pub const fn fragment_offset(&self) -> u16 {
        (self.flags_and_offset() & OFFSET) << 3
    }

    /// The time to live.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// The protocol of the payload.
    #[must_use]
    pub const fn protocol(&self) -> IpProtocol {
        IpProtocol(self.fixed[9])
    }

    /// The header checksum as it stands.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[10], self.fixed[11]])
    }

    /// Whether the header checksum is right.
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        internet_checksum(&[self.header()]) == 0
    }

    /// The source address.
    #[must_use]
    pub const fn src(&self) -> Ipv4Addr {
        Ipv4Addr::new(self.fixed[12], self.fixed[13], self.fixed[14], self.fixed[15])
    }

    /// The destination address.
    #[must_use]
    pub const fn dst(&self) -> Ipv4Addr {
        Ipv4Addr::new(self.fixed[16], self.fixed[17], self.fixed[18], self.fixed[19])
    }

    /// The octets of the header.
    #[must_use]
    pub fn header(&self) -> &'a [u8] {
        self.packet.get(..self.header_len).unwrap_or_default()
    }

    /// The options, padding included.
    #[must_use]
    pub fn options(&self) -> &'a [u8] {
        self.packet.get(Ipv4Header::LEN..self.header_len).unwrap_or_default()
    }

    /// The octets behind the header.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.packet.get(self.header_len..).unwrap_or_default()
    }

    /// The octets of the packet.
    #[must_use]
    pub const fn packet(&self) -> &'a [u8] {
        self.packet
    }

    /// The fragment that this packet is, if it is one.
    #[must_use]
    pub const fn fragment(&self) -> Option<Fragment> {
        if self.flags_and_offset() & (MORE_FRAGMENTS | OFFSET) == 0 {
            return None;
        }
        Some(Fragment { offset: self.fragment_offset(), more: self.mf(), id: self.id() as u32 })
    }

    /// The payload's protocol and where it starts.
    #[must_use]
    pub const fn upper_layer(&self) -> UpperLayer {
        UpperLayer { protocol: self.protocol(), offset: self.header_len, fragment: self.fragment() }
    }
}

/// An IPv4 header without options, to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv4Header {
    /// The type of service octet.
    pub tos: u8,
    /// The identification.
    pub id: u16,
    /// Don't Fragment.
    pub df: bool,
    /// The time to live.
    pub ttl: u8,
    /// The protocol of the payload.
    pub protocol: IpProtocol,
    /// The source address.
    pub src: Ipv4Addr,
    /// The destination address.
    pub dst: Ipv4Addr,
}

impl Ipv4Header {
    /// Octets of a header without options.
    pub const LEN: usize = 20;

    /// The header of a packet of so many octets in all, with its checksum.
    #[must_use]
    pub fn emit(&self, total_length: u16) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[0] = 0x45;
        out[1] = self.tos;
        out[2..4].copy_from_slice(&total_length.to_be_bytes());
        out[4..6].copy_from_slice(&self.id.to_be_bytes());
        out[6..8].copy_from_slice(&if self.df { DONT_FRAGMENT } else { 0 }.to_be_bytes());
        out[8] = self.ttl;
        out[9] = self.protocol.0;
        out[12..16].copy_from_slice(&self.src.octets());
        out[16..].copy_from_slice(&self.dst.octets());
        let checksum = internet_checksum(&[&out]);
        out[10..12].copy_from_slice(&checksum.to_be_bytes());
        out
    }
}
