//! The IPv6 header (RFC 8200 §3).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Traffic Class |           Flow Label                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Payload Length        |  Next Header  |   Hop Limit   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                         Source Address                        ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                      Destination Address                      ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use core::net::Ipv6Addr;

use super::IpProtocol;
use super::ext::{self, ExtensionHeaders, Fragment, UpperLayer};
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::array_at;

/// An IPv6 packet. Jumbograms (RFC 2675) are not known: a payload length of 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6View<'a> {
    fixed: &'a [u8; Ipv6Header::LEN],
    packet: &'a [u8],
    upper: UpperLayer,
}

impl<'a> Ipv6View<'a> {
    /// Reads the header and walks the extension headers, at most [`ext::MAX_EXTENSION_HEADERS`] of them.
    /// Octets behind the payload length are not part of the packet.
    ///
    /// # Errors
    /// `Truncated`, `UnsupportedVersion`, or `TooMany` extension headers.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let fixed: &[u8; Ipv6Header::LEN] = bytes.first_chunk().ok_or(ParseErrorKind::Truncated.at(0))?;
        let [first, _, _, _, p0, p1, next, ..] = *fixed;
        if first >> 4 != 6 {
            return Err(ParseErrorKind::UnsupportedVersion(first >> 4).at(0));
        }
        let total = Ipv6Header::LEN + usize::from(u16::from_be_bytes([p0, p1]));
        let packet = bytes.get(..total).ok_or(ParseErrorKind::Truncated.at(4))?;
        let upper = ext::upper_layer(IpProtocol(next), packet, Ipv6Header::LEN)?;
        Ok(Self { fixed, packet, upper })
    }

    /// The traffic class.
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        self.fixed[0] << 4 | self.fixed[1] >> 4
    }

    /// The upper six bits of [`Self::traffic_class`].
    #[must_use]
    pub const fn dscp(&self) -> u8 {
        self.traffic_class() >> 2
    }

    /// The lower two bits of [`Self::traffic_class`].
    #[must_use]
    pub const fn ecn(&self) -> u8 {
        self.traffic_class() & 3
    }

    /// The flow label, twenty bits.
    #[must_use]
    pub const fn flow_label(&self) -> u32 {
        u32::from_be_bytes([0, self.fixed[1] & 0x0f, self.fixed[2], self.fixed[3]])
    }

    /// Octets behind the header.
    #[must_use]
    pub const fn payload_length(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    /// What follows the header: an extension header or the upper layer.
    #[must_use]
    pub const fn next_header(&self) -> IpProtocol {
        IpProtocol(self.fixed[6])
    }

    /// The hop limit.
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.fixed[7]
    }

    /// The source address.
    #[must_use]
    pub fn src(&self) -> Ipv6Addr {
        array_at::<16>(self.fixed, 8).unwrap_or_default().into()
    }

    /// The destination address.
    #[must_use]
    pub fn dst(&self) -> Ipv6Addr {
        array_at::<16>(self.fixed, 24).unwrap_or_default().into()
    }

    /// The octets of the fixed header.
    #[must_use]
    pub const fn header(&self) -> &'a [u8] {
        self.fixed
    }

    /// The octets behind the fixed header, extension headers included.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.packet.get(Ipv6Header::LEN..).unwrap_or_default()
    }

    /// The octets of the packet.
    #[must_use]
    pub const fn packet(&self) -> &'a [u8] {
        self.packet
    }

    /// The fragment that this packet is, if it has a fragment header.
    #[must_use]
    pub const fn fragment(&self) -> Option<Fragment> {
        self.upper.fragment
    }

    /// The extension headers in front of the upper layer.
    #[must_use]
    pub const fn extension_headers(&self) -> ExtensionHeaders<'a> {
        ExtensionHeaders::new(self.packet, self.next_header(), Ipv6Header::LEN, self.upper.offset)
    }

    /// The protocol behind the extension headers and where it starts.
    #[must_use]
    pub const fn upper_layer(&self) -> UpperLayer {
        self.upper
    }
}

/// An IPv6 header to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv6Header {
    /// The traffic class.
    pub traffic_class: u8,
    /// The flow label; the upper twelve bits are ignored.
    pub flow_label: u32,
    /// What follows the header.
    pub next_header: IpProtocol,
    /// The hop limit.
    pub hop_limit: u8,
    /// The source address.
    pub src: Ipv6Addr,
    /// The destination address.
    pub dst: Ipv6Addr,
}

impl Ipv6Header {
    /// Octets of the header.
    pub const LEN: usize = 40;

    /// The header of a packet with so many octets behind it.
    #[must_use]
    pub fn emit(&self, payload_length: u16) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0x000f_ffff;
        out[..4].copy_from_slice(&first.to_be_bytes());
        out[4..6].copy_from_slice(&payload_length.to_be_bytes());
        out[6] = self.next_header.0;
        out[7] = self.hop_limit;
        out[8..24].copy_from_slice(&self.src.octets());
        out[24..].copy_from_slice(&self.dst.octets());
        out
    }
}
