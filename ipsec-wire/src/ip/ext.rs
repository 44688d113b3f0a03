//! From the IP header to the upper layer: IPv6 extension headers (RFC 8200 §4).
//!
//! Skipped are the four that RFC 4301 §4.4.1.1 names as the default: hop-by-hop options, routing, fragment
//! and destination options. AH and ESP are upper layers here.

use super::options::Ipv6Options;
use super::{IpProtocol, Ipv4View, Ipv6Header, internet_checksum};
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

/// One extension header: what follows it, its octets, and the fragment that it speaks of.
struct Step {
    next: IpProtocol,
    len: usize,
    fragment: Option<Fragment>,
}

/// Reads the extension header `protocol` at `at`; `None`: it is none.
fn step(packet: &[u8], protocol: IpProtocol, at: usize) -> Result<Option<Step>, ParseError> {
    let truncated = ParseErrorKind::Truncated.at(at);
    let (len, fragment) = match protocol {
        IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DEST_OPTS => {
            let [_, units] = array_at(packet, at).ok_or(truncated)?;
            ((usize::from(units) + 1) * 8, None)
        }
        IpProtocol::FRAGMENT => {
            let field = u16_at(packet, at + 2).ok_or(truncated)?;
            let id = u32_at(packet, at + 4).ok_or(truncated)?;
            // The offset counts units of eight octets in the upper thirteen bits.
            (8, Some(Fragment { offset: field & 0xfff8, more: field & 1 != 0, id }))
        }
        _ => return Ok(None),
    };
    let next = IpProtocol(*packet.get(at).ok_or(truncated)?);
    if at + len > packet.len() {
        return Err(truncated);
    }
    Ok(Some(Step { next, len, fragment }))
}

/// Walks the extension headers of an IPv6 packet from the first next header value at an offset.
pub(crate) fn upper_layer(first: IpProtocol, packet: &[u8], offset: usize) -> Result<UpperLayer, ParseError> {
    let mut upper = UpperLayer { protocol: first, offset, fragment: None };
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let Some(step) = step(packet, upper.protocol, upper.offset)? else { return Ok(upper) };
        upper.offset += step.len;
        upper.protocol = step.next;
        // A part of a packet is one whatever a second fragment header says.
        if !upper.fragment.is_some_and(|fragment| fragment.more) {
            upper.fragment = step.fragment.or(upper.fragment);
        }
        if step.fragment.is_some_and(|fragment| !fragment.is_first()) {
            upper.fragment = step.fragment;
            return Ok(upper);
        }
    }
    Err(ParseErrorKind::TooMany(Counted::ExtensionHeaders).at(upper.offset))
}

/// What is to be found among the headers of a packet ([`IpsecPlace::find`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seek {
    /// Where ESP is to be put in: behind hop-by-hop options, routing and fragment header, and behind destination options
    /// where a routing header follows them (RFC 4303 §3.1.1).
    ForEsp,
    /// Where AH is to be put in: the same, but destination options without a routing header stay in front of it
    /// (RFC 4302 §3.1.1 leaves that open).
    ForAh,
    /// Where ESP or AH stands: behind all extension headers.
    Upper,
}

/// Where ESP or AH stands in an IP packet, or is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpsecPlace {
    /// Octets of headers in front of it.
    pub headers: usize,
    /// Where among them the number of the next header stands.
    pub next_at: usize,
    /// That number.
    pub next: IpProtocol,
    /// Octets of the whole packet, by its own header.
    pub total: usize,
    /// Whether it is IPv4.
    pub is_ipv4: bool,
}

/// What about a packet's headers leaves no place for ESP or AH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaceError {
    /// No IP header, a cut off one, or one with lengths that cannot be.
    Malformed,
    /// A part of a packet: IPsec is for whole ones (RFC 4303 §3.3.4, §3.4.1). A fragment that is the whole packet is none
    /// (RFC 8200 §4.5).
    Fragment,
    /// More extension headers than are walked.
    TooMany,
}

impl IpsecPlace {
    /// Walks the headers of a packet, at most [`MAX_EXTENSION_HEADERS`] extension headers of them.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn find(packet: &[u8], seek: Seek) -> Result<Self, PlaceError> {
        match packet.first().map(|first| first >> 4) {
            Some(4) => {
                let view = Ipv4View::parse(packet).map_err(|_| PlaceError::Malformed)?;
                if view.fragment().is_some() {
                    return Err(PlaceError::Fragment);
                }
                let (headers, total) = (view.header_len(), usize::from(view.total_length()));
                Ok(Self { headers, next_at: 9, next: view.protocol(), total, is_ipv4: true })
            }
            Some(6) => Self::find_ipv6(packet, seek),
            _ => Err(PlaceError::Malformed),
        }
    }

    fn find_ipv6(packet: &[u8], seek: Seek) -> Result<Self, PlaceError> {
        let fixed: &[u8; Ipv6Header::LEN] = packet.first_chunk().ok_or(PlaceError::Malformed)?;
        let total = Ipv6Header::LEN + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let packet = packet.get(..total).ok_or(PlaceError::Malformed)?;
        let mut place =
            Self { headers: Ipv6Header::LEN, next_at: 6, next: IpProtocol(fixed[6]), total, is_ipv4: false };
        let mut routed = false;
        for _ in 0..=MAX_EXTENSION_HEADERS {
            let step = step(packet, place.next, place.headers).map_err(|_| PlaceError::Malformed)?;
            let Some(Step { next, len, fragment }) = step else { return Ok(place) };
            if fragment.is_some_and(|fragment| fragment.more || !fragment.is_first()) {
                return Err(PlaceError::Fragment);
            }
            let for_the_last_stop = match seek {
                Seek::ForEsp => next != IpProtocol::ROUTING,
                Seek::ForAh => routed,
                Seek::Upper => false,
            };
            if place.next == IpProtocol::DEST_OPTS && for_the_last_stop {
                return Ok(place);
            }
            routed |= place.next == IpProtocol::ROUTING;
            (place.next_at, place.headers, place.next) = (place.headers, place.headers + len, next);
        }
        Err(PlaceError::TooMany)
    }

    /// Sets the next header, the length and IPv4's checksum of a packet's headers, which are those in front of the place,
    /// when the packet has grown or shrunk to `total` octets. `None`: no packet can be that long.
    pub fn patch(&self, headers: &mut [u8], next: IpProtocol, total: usize) -> Option<()> {
        let length = if self.is_ipv4 { total } else { total.checked_sub(Ipv6Header::LEN)? };
        let length = u16::try_from(length).ok()?.to_be_bytes();
        *headers.get_mut(self.next_at)? = next.0;
        if self.is_ipv4 {
            *headers.get_mut(2..)?.first_chunk_mut()? = length;
            *headers.get_mut(10..)?.first_chunk_mut()? = [0; 2];
            let checksum = internet_checksum(&[headers]);
            *headers.get_mut(10..)?.first_chunk_mut()? = checksum.to_be_bytes();
        } else {
            *headers.get_mut(4..)?.first_chunk_mut()? = length;
        }
        Some(())
    }
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
        let Step { next, len, .. } = step(self.packet, self.next, self.at).ok()??;
        let octets = self.packet.get(self.at..self.at + len)?;
        let header = ExtensionHeader { protocol: self.next, next_header: next, offset: self.at, octets };
        self.next = next;
        self.at += len;
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn ipv6(first: u8, extensions: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, extensions.len() as u8, first, 64]);
        packet.extend(extensions);
        packet
    }

    fn found(packet: &[u8], seek: Seek) -> (usize, usize, IpProtocol) {
        let place = IpsecPlace::find(packet, seek).unwrap();
        assert_eq!((place.total, place.is_ipv4), (packet.len(), false));
        (place.headers, place.next_at, place.next)
    }

    #[test]
    fn destination_options_stand_on_their_side_of_ipsec() {
        let chain = [
            [60, 0, 1, 4, 0, 0, 0, 0], // hop by hop
            [43, 0, 1, 4, 0, 0, 0, 0], // destination options for every stop
            [60, 0, 4, 0, 0, 0, 0, 0], // routing
            [6, 0, 1, 4, 0, 0, 0, 0],  // destination options for the last stop
        ]
        .concat();
        let packet = ipv6(0, &chain);
        for seek in [Seek::ForEsp, Seek::ForAh] {
            assert_eq!(found(&packet, seek), (64, 56, IpProtocol::DEST_OPTS));
        }
        assert_eq!(found(&packet, Seek::Upper), (72, 64, IpProtocol::TCP));
        let alone = ipv6(60, &chain[24..]);
        assert_eq!(found(&alone, Seek::ForEsp), (40, 6, IpProtocol::DEST_OPTS));
        assert_eq!(found(&alone, Seek::ForAh), (48, 40, IpProtocol::TCP));
    }

    #[test]
    fn fragments_have_no_place_but_the_only_one() {
        let atomic = ipv6(44, &[6, 0, 0, 0, 1, 2, 3, 4]);
        for seek in [Seek::ForEsp, Seek::ForAh, Seek::Upper] {
            assert_eq!(found(&atomic, seek), (48, 40, IpProtocol::TCP));
            for (high, low) in [(0, 1), (0, 8), (1, 0)] {
                let fragment = ipv6(44, &[6, 0, high, low, 1, 2, 3, 4]);
                assert_eq!(IpsecPlace::find(&fragment, seek), Err(PlaceError::Fragment));
            }
        }
        let mut v4 = [0; 20];
        v4[..4].copy_from_slice(&[0x45, 0, 0, 20]);
        for field in [0x2000u16, 1] {
            v4[6..8].copy_from_slice(&field.to_be_bytes());
            assert_eq!(IpsecPlace::find(&v4, Seek::ForEsp), Err(PlaceError::Fragment));
        }
    }

    #[test]
    fn headers_that_cannot_be_have_no_place() {
        let loops = ipv6(60, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(20));
        assert_eq!(IpsecPlace::find(&loops, Seek::Upper), Err(PlaceError::TooMany));
        for extension in [&[][..], &[6], &[6, 9, 0, 0, 0, 0, 0, 0]] {
            let packet = ipv6(0, extension);
            assert_eq!(IpsecPlace::find(&packet, Seek::ForAh), Err(PlaceError::Malformed));
        }
        for packet in [&[][..], &[0x45], &[0x60; 39], &[0x75; 60]] {
            assert_eq!(IpsecPlace::find(packet, Seek::Upper), Err(PlaceError::Malformed));
        }
    }

    #[test]
    fn patched_headers_are_true_again() {
        let mut v4 = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8];
        let place = IpsecPlace::find(&v4, Seek::ForEsp).unwrap();
        place.patch(&mut v4, IpProtocol::ESP, 0x1234).unwrap();
        assert_eq!((v4[9], &v4[2..4], internet_checksum(&[&v4])), (50, &[0x12, 0x34][..], 0));
        assert_eq!(place.patch(&mut v4, IpProtocol::ESP, 65536), None);
        let mut v6 = ipv6(0, &[6, 0, 1, 4, 0, 0, 0, 0]);
        let place = IpsecPlace::find(&v6, Seek::Upper).unwrap();
        place.patch(&mut v6, IpProtocol::AH, 65575).unwrap();
        assert_eq!((&v6[4..6], v6[40]), (&[0xff, 0xff][..], 51));
        assert_eq!(place.patch(&mut v6, IpProtocol::AH, 65576), None);
        assert_eq!(place.patch(&mut v6, IpProtocol::AH, 39), None);
    }

    #[test]
    fn no_second_fragment_header_hides_the_first() {
        // The first part of a packet, and inside it a part that claims to be the whole (RFC 6946).
        let whole = [17, 0, 0, 0, 0, 0, 0, 8];
        let first = [44, 0, 0, 1, 0, 0, 0, 7];
        let ports = [0, 53, 0, 54, 0, 8, 0, 0];
        let packet = ipv6(44, &[first, whole, ports].concat());
        let view = super::super::Ipv6View::parse(&packet).unwrap();
        assert_eq!(view.fragment(), Some(Fragment { offset: 0, more: true, id: 7 }));
        assert_eq!((view.upper_layer().protocol, view.upper_layer().offset), (IpProtocol::UDP, 56));
        assert_eq!(IpsecPlace::find(&packet, Seek::Upper), Err(PlaceError::Fragment));
        // The other way round the inner one is the part.
        let packet = ipv6(44, &[[44, 0, 0, 0, 0, 0, 0, 8], [17, 0, 0, 1, 0, 0, 0, 7], ports].concat());
        assert_eq!(
            super::super::Ipv6View::parse(&packet).unwrap().fragment(),
            Some(Fragment { offset: 0, more: true, id: 7 })
        );
    }
}
