//! From the IP header to the upper layer: IPv6 extension headers (RFC 8200 §4).
//!
//! Skipped are the four that RFC 4301 §4.4.1.1 names as the default: hop-by-hop options, routing, fragment
//! and destination options. AH and ESP are upper layers here.

use super::IpProtocol;
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
