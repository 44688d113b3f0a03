//! From the IP header to the upper layer: IPv6 extension headers (RFC 8200 §4).
//!
//! Skipped are the four that RFC 4301 §4.4.1.1 names as the default: hop-by-hop options, routing, fragment
//! and destination options. AH and ESP are upper layers here.

use super::IpProtocol;
use super::options::Ipv6Options;
use crate::error::{Counted, ParseError, ParseErrorKind};
use crate::octets::{array_at, u16_at, u32_at};

/// How many extension headers are skipped before a packet is refused.
pub const MAX_EXTENSION_HEADERS: usize = 16;

/// The protocol that policies select by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpperLayer {
    /// The protocol. In an IPv6 fragment other than the first it is what the fragment header says, which
    /// may be an extension header: the true protocol is then not in this packet (OPAQUE, RFC 4301 §4.4.1.1).
    pub protocol: IpProtocol,
    /// Where it starts, from the start of the IP header.
    pub offset: usize,
    /// The fragment that this packet is, if it is one.
    pub fragment: Option<Fragment>,
}

/// Which part of a fragmented packet this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Octets before this part.
    pub offset: u16,
    /// Whether there are parts behind it.
    pub more: bool,
    /// The identification; sixteen bits of it in IPv4.
    pub id: u32,
}

impl Fragment {
    /// Whether the upper layer's header starts in this part.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.offset == 0
    }
}

/// Walks the extension headers of an IPv6 packet from the first next header value at an offset.
pub(crate) fn upper_layer(first: IpProtocol, packet: &[u8], offset: usize) -> Result<UpperLayer, ParseError> {
    let mut upper = UpperLayer { protocol: first, offset, fragment: None };
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let here = upper.offset;
        let truncated = ParseErrorKind::Truncated.at(here);
        let length = match upper.protocol {
            IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DEST_OPTS => {
                let [_, units] = array_at(packet, here).ok_or(truncated)?;
                (usize::from(units) + 1) * 8
            }
            IpProtocol::FRAGMENT => {
                let field = u16_at(packet, here + 2).ok_or(truncated)?;
                let id = u32_at(packet, here + 4).ok_or(truncated)?;
                // The offset counts units of eight octets in the upper thirteen bits.
                upper.fragment = Some(Fragment { offset: field & 0xfff8, more: field & 1 != 0, id });
                8
            }
            _ => return Ok(upper),
        };
        let next = *packet.get(here).ok_or(truncated)?;
        upper.offset = here + length;
        if upper.offset > packet.len() {
            return Err(truncated);
        }
        upper.protocol = IpProtocol(next);
        if upper.fragment.is_some_and(|fragment| !fragment.is_first()) {
            return Ok(upper);
        }
    }
    Err(ParseErrorKind::TooMany(Counted::ExtensionHeaders).at(upper.offset))
}

/// One extension header of an IPv6 packet: from its next header field to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionHeader<'a> {
    /// What the header is.
    pub protocol: IpProtocol,
    /// What follows it.
    pub next_header: IpProtocol,
    /// Where it starts, from the start of the IP header.
    pub offset: usize,
    /// Its octets.
    pub octets: &'a [u8],
}

impl<'a> ExtensionHeader<'a> {
    /// The options of a hop-by-hop or destination options header.
    #[must_use]
    pub fn options(&self) -> Option<Ipv6Options<'a>> {
        matches!(self.protocol, IpProtocol::HOP_BY_HOP | IpProtocol::DEST_OPTS)
            .then(|| Ipv6Options::new(self.octets.get(2..).unwrap_or_default()))
    }

    /// Type and segments left of a routing header (RFC 8200 §4.4).
    #[must_use]
    pub fn routing(&self) -> Option<(u8, u8)> {
        let [kind, left] = array_at(self.octets, 2)?;
        (self.protocol == IpProtocol::ROUTING).then_some((kind, left))
    }
}

/// Iterates over the extension headers in front of the upper layer.
#[derive(Debug, Clone)]
pub struct ExtensionHeaders<'a> {
    packet: &'a [u8],
    next: IpProtocol,
    at: usize,
    end: usize,
}

impl<'a> ExtensionHeaders<'a> {
    pub(crate) const fn new(packet: &'a [u8], next: IpProtocol, at: usize, end: usize) -> Self {
        Self { packet, next, at, end }
    }
}

impl<'a> Iterator for ExtensionHeaders<'a> {
    type Item = ExtensionHeader<'a>;

    fn next(&mut self) -> Option<ExtensionHeader<'a>> {
        if self.at >= self.end {
            return None;
        }
        let [next, units] = array_at(self.packet, self.at)?;
        let length = if self.next == IpProtocol::FRAGMENT { 8 } else { (usize::from(units) + 1) * 8 };
        let octets = self.packet.get(self.at..self.at + length)?;
        let header =
            ExtensionHeader { protocol: self.next, next_header: IpProtocol(next), offset: self.at, octets };
        self.next = header.next_header;
        self.at += length;
        Some(header)
    }
}
