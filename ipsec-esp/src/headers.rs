//! The IP headers around ESP: where it is put in, where it is found, and what changes when it comes or goes
//! (RFC 4303 §3.1).

use core::net::IpAddr;

use ipsec_wire::ip::{Ipv4Header, Ipv4View, Ipv6Header, internet_checksum};
use ipsec_wire::{IpProtocol, IpView};

use crate::{OpenError, SealError};

/// Extension headers that are walked.
const MAX_EXTENSIONS: usize = 8;

/// Where ESP stands, or is to stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Split {
    /// Octets of headers in front of it.
    pub(crate) headers: usize,
    /// Where among them the number of the next header stands.
    pub(crate) next_at: usize,
    /// That number.
    pub(crate) next: IpProtocol,
    /// Octets of the whole packet, by its own header.
    pub(crate) total: usize,
    pub(crate) is_ipv4: bool,
}

/// Which question is asked of the headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Where ESP is to be put in.
    Seal,
    /// Where ESP is.
    Open,
}

/// What about the headers makes ESP impossible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeaderError {
    /// No IP header, a cut off one, one with lengths that cannot be, or too many.
    Malformed,
    /// ESP is for whole packets (RFC 4303 §3.3.4, §3.4.1).
    Fragment,
}

impl From<HeaderError> for SealError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Malformed => Self::Inner,
            HeaderError::Fragment => Self::Fragment,
        }
    }
}

impl From<HeaderError> for OpenError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Malformed => Self::Header,
            HeaderError::Fragment => Self::Fragment,
        }
    }
}

pub(crate) fn split(packet: &[u8], purpose: Purpose) -> Result<Split, HeaderError> {
    match packet.first().map(|first| first >> 4) {
        Some(4) => {
            let view = Ipv4View::parse(packet).map_err(|_| HeaderError::Malformed)?;
            if view.fragment().is_some() {
                return Err(HeaderError::Fragment);
            }
            let (headers, total) = (view.header_len(), usize::from(view.total_length()));
            Ok(Split { headers, next_at: 9, next: view.protocol(), total, is_ipv4: true })
        }
        Some(6) => split_ipv6(packet, purpose),
        _ => Err(HeaderError::Malformed),
    }
}

/// ESP goes behind hop-by-hop options, routing and fragment header, and behind destination options where a routing
/// header follows them; destination options for the last destination are protected (§3.1.1).
fn split_ipv6(packet: &[u8], purpose: Purpose) -> Result<Split, HeaderError> {
    let [_, _, _, _, high, low, next, ..] =
        packet.first_chunk::<{ Ipv6Header::LEN }>().ok_or(HeaderError::Malformed)?;
    let total = Ipv6Header::LEN + usize::from(u16::from_be_bytes([*high, *low]));
    let packet = packet.get(..total).ok_or(HeaderError::Malformed)?;
    let mut split =
        Split { headers: Ipv6Header::LEN, next_at: 6, next: IpProtocol(*next), total, is_ipv4: false };
    for _ in 0..=MAX_EXTENSIONS {
        let at = split.headers;
        let extension = packet.get(at..).unwrap_or_default();
        let len = match (split.next, extension) {
            (IpProtocol::DEST_OPTS, [following, ..])
                if purpose == Purpose::Seal && IpProtocol(*following) != IpProtocol::ROUTING =>
            {
                return Ok(split);
            }
            (IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DEST_OPTS, [_, units, ..]) => {
                (usize::from(*units) + 1) * 8
            }
            // The only fragment of its packet is a whole packet (RFC 8200 §4.5).
            (IpProtocol::FRAGMENT, [_, _, high, low, ..])
                if u16::from_be_bytes([*high, *low]) & 0xfff9 == 0 =>
            {
                8
            }
            (IpProtocol::FRAGMENT, [_, _, _, _, ..]) => return Err(HeaderError::Fragment),
            (
                IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DEST_OPTS | IpProtocol::FRAGMENT,
                _,
            ) => return Err(HeaderError::Malformed),
            _ => return Ok(split),
        };
        let following = extension.first().copied().ok_or(HeaderError::Malformed)?;
        split.headers = at + len;
        split.next_at = at;
        split.next = IpProtocol(following);
        if split.headers > total {
            return Err(HeaderError::Malformed);
        }
    }
    Err(HeaderError::Malformed)
}

/// Sets the next header, the length and IPv4's checksum of headers whose packet has grown or shrunk.
pub(crate) fn patch(headers: &mut [u8], split: &Split, next: IpProtocol, total: usize) -> Option<()> {
    *headers.get_mut(split.next_at)? = next.0;
    if split.is_ipv4 {
        *headers.get_mut(2..)?.first_chunk_mut()? = u16::try_from(total).ok()?.to_be_bytes();
        *headers.get_mut(10..)?.first_chunk_mut()? = [0; 2];
        let checksum = internet_checksum(&[headers]);
        *headers.get_mut(10..)?.first_chunk_mut()? = checksum.to_be_bytes();
    } else {
        let payload = u16::try_from(total.checked_sub(Ipv6Header::LEN)?).ok()?;
        *headers.get_mut(4..)?.first_chunk_mut()? = payload.to_be_bytes();
    }
    Some(())
}

/// The most octets that [`Replaced::emit`] writes.
pub(crate) const MAX_REPLACED: usize = 60;

/// The fields that a header hands on to the one that takes its place in BEET mode (RFC 7402 appendix B.1.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Replaced {
    traffic_class: u8,
    hop_limit: u8,
    dont_fragment: bool,
    flow_label: u32,
    id: u16,
}

impl Replaced {
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        Some(match IpView::parse(packet).ok()? {
            IpView::V4(view) => Self {
                traffic_class: view.tos(),
                hop_limit: view.ttl(),
                dont_fragment: view.df(),
                flow_label: 0,
                id: view.id(),
            },
            IpView::V6(view) => Self {
                traffic_class: view.traffic_class(),
                hop_limit: view.hop_limit(),
                dont_fragment: true,
                flow_label: view.flow_label(),
                id: 0,
            },
        })
    }

    /// The new header, with IPv4 options, for a packet of `payload` octets behind it. Returns its length; `None` for
    /// addresses of two families, and lengths that cannot be.
    pub(crate) fn emit(
        &self,
        out: &mut [u8; MAX_REPLACED],
        (src, dst): (IpAddr, IpAddr),
        protocol: IpProtocol,
        options: &[u8],
        payload: usize,
    ) -> Option<usize> {
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let len = Ipv4Header::LEN + options.len();
                let total = u16::try_from(len + payload).ok()?;
                let header = Ipv4Header {
                    tos: self.traffic_class,
                    id: self.id,
                    df: self.dont_fragment,
                    ttl: self.hop_limit,
                    protocol,
                    src,
                    dst,
                };
                *out.first_chunk_mut()? = header.emit(total);
                let header = out.get_mut(..len)?;
                header.get_mut(Ipv4Header::LEN..)?.copy_from_slice(options);
                *header.first_mut()? = 0x40 | u8::try_from(len / 4).ok()?;
                *header.get_mut(10..)?.first_chunk_mut()? = [0; 2];
                let checksum = internet_checksum(&[header]);
                *header.get_mut(10..)?.first_chunk_mut()? = checksum.to_be_bytes();
                Some(len)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let header = Ipv6Header {
                    traffic_class: self.traffic_class,
                    flow_label: self.flow_label,
                    next_header: protocol,
                    hop_limit: self.hop_limit,
                    src,
                    dst,
                };
                *out.first_chunk_mut()? = header.emit(u16::try_from(payload).ok()?);
                Some(Ipv6Header::LEN)
            }
            _ => None,
        }
    }
}

/// Makes the upper layer's checksum true again, whose pseudo-header held `original` when it was computed and now holds
/// the addresses of the packet (RFC 3948 §3.1.2). What has no such checksum stays as it is.
pub(crate) fn translate_checksum(packet: &mut [u8], original: (IpAddr, IpAddr)) {
    let Ok(view) = IpView::parse(packet) else { return };
    let (actual, upper) = ((view.src(), view.dst()), view.upper_layer());
    if actual == original || upper.fragment.is_some_and(|fragment| !fragment.is_first()) {
        return;
    }
    let field = match upper.protocol {
        IpProtocol::TCP => 16,
        IpProtocol::UDP | IpProtocol::UDP_LITE | IpProtocol::DCCP => 6,
        IpProtocol::ICMPV6 => 2,
        _ => return,
    };
    let field = packet.get_mut(upper.offset + field..).and_then(<[u8]>::first_chunk_mut::<2>);
    let Some(field) = field else { return };
    let before = u16::from_be_bytes(*field);
    if before == 0 && upper.protocol == IpProtocol::UDP {
        return;
    }
    // RFC 1624 §3, over all words of both addresses. The rest of the pseudo-header is the same in both families.
    let mut sum = u64::from(!before);
    for (address, now) in [(original.0, false), (original.1, false), (actual.0, true), (actual.1, true)] {
        let (octets, len) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()).to_be_bytes(), 2),
            IpAddr::V6(address) => (address.octets(), 8),
        };
        let (words, _) = octets.as_chunks::<2>();
        for word in words.iter().rev().take(len) {
            let word = u16::from_be_bytes(*word);
            sum += u64::from(if now { word } else { !word });
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = match !(sum as u16) {
        0 if upper.protocol == IpProtocol::UDP => 0xffff,
        checksum => checksum,
    };
    *field = checksum.to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use ipsec_wire::ip::transport_checksum;

    fn ipv6(first: u8, extensions: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, extensions.len() as u8, first, 64]);
        packet.extend(extensions);
        packet
    }

    #[test]
    fn destination_options_stand_on_their_side_of_esp() {
        let chain = [
            [60, 0, 1, 4, 0, 0, 0, 0], // hop by hop
            [43, 0, 1, 4, 0, 0, 0, 0], // destination options for every stop
            [60, 0, 4, 0, 0, 0, 0, 0], // routing
            [6, 0, 1, 4, 0, 0, 0, 0],  // destination options for the last stop
        ]
        .concat();
        let packet = ipv6(0, &chain);
        let seal = split(&packet, Purpose::Seal).unwrap();
        assert_eq!((seal.headers, seal.next_at, seal.next), (64, 56, IpProtocol::DEST_OPTS));
        let open = split(&packet, Purpose::Open).unwrap();
        assert_eq!((open.headers, open.next_at, open.next), (72, 64, IpProtocol::TCP));
        let alone = ipv6(60, &chain[24..]);
        assert_eq!(split(&alone, Purpose::Seal).unwrap().headers, 40);
    }

    #[test]
    fn fragments_are_refused_but_the_only_one() {
        let atomic = ipv6(44, &[6, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(split(&atomic, Purpose::Seal).map(|split| split.headers), Ok(48));
        for (high, low) in [(0, 1), (0, 8), (1, 0)] {
            let fragment = ipv6(44, &[6, 0, high, low, 1, 2, 3, 4]);
            assert_eq!(split(&fragment, Purpose::Open), Err(HeaderError::Fragment));
        }
        let mut v4 = [0; 20];
        v4[..4].copy_from_slice(&[0x45, 0, 0, 20]);
        for field in [0x2000u16, 1] {
            v4[6..8].copy_from_slice(&field.to_be_bytes());
            assert_eq!(split(&v4, Purpose::Seal), Err(HeaderError::Fragment));
        }
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        let loops = ipv6(60, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(20));
        assert_eq!(split(&loops, Purpose::Open), Err(HeaderError::Malformed));
        for extension in [&[][..], &[6], &[6, 9, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(split(&ipv6(0, extension), Purpose::Seal), Err(HeaderError::Malformed));
        }
        for packet in [&[][..], &[0x45], &[0x60; 39], &[0x75; 60]] {
            assert_eq!(split(packet, Purpose::Open), Err(HeaderError::Malformed));
        }
    }

    #[test]
    fn checksums_follow_the_addresses_into_either_family() {
        let v4: [IpAddr; 4] =
            [[10, 0, 0, 1].into(), [192, 0, 2, 9].into(), [203, 0, 113, 7].into(), [10, 9, 8, 7].into()];
        let v6: [IpAddr; 2] = ["2001:db8::1".parse().unwrap(), "2001:db8:ffff::2".parse().unwrap()];
        for (protocol, at) in [(IpProtocol::TCP, 16), (IpProtocol::UDP, 6), (IpProtocol::DCCP, 6)] {
            for original in [(v4[0], v4[1]), (v6[0], v6[1])] {
                let mut segment: Vec<u8> = (0..33).map(|i| i * 7).collect();
                segment[at..at + 2].fill(0);
                let sum = transport_checksum(original.0, original.1, protocol, &segment).unwrap();
                segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
                let mut header = [0; MAX_REPLACED];
                let fields =
                    Replaced { traffic_class: 0, hop_limit: 9, dont_fragment: true, flow_label: 0, id: 1 };
                let len = fields.emit(&mut header, (v4[2], v4[3]), protocol, &[1, 1, 1, 0], 33).unwrap();
                let mut packet = [&header[..len], &segment].concat();
                assert_eq!((len, internet_checksum(&[&packet[..24]])), (24, 0));
                translate_checksum(&mut packet, original);
                assert_eq!(transport_checksum(v4[2], v4[3], protocol, &packet[24..]), Some(0));
                translate_checksum(&mut packet, (v4[2], v4[3]));
                assert_eq!(transport_checksum(v4[2], v4[3], protocol, &packet[24..]), Some(0));
            }
        }
    }
}
