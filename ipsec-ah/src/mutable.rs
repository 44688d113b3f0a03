//! The headers in front of AH, and what of them counts as zero (RFC 4302 §3.3.3.1 and appendix A).

use ipsec_wire::IpProtocol;
use ipsec_wire::ip::{Ipv4View, Ipv6Header};

use crate::HeaderError;

/// Octets of headers in front of AH that are provided for; IPv4 has 60 at most.
pub(crate) const MAX_HEADERS: usize = 320;
/// Extension headers in front of AH that are walked.
const MAX_EXTENSIONS: usize = 8;

/// IPv4 options that are counted as they are (appendix A1); all others count as zero, type and length included.
const IMMUTABLE_OPTIONS: [u8; 5] = [
    0x82, // Security
    0x85, // Extended Security
    0x86, // Commercial Security
    0x94, // Router Alert
    0x95, // Sender Directed Multi-Destination Delivery
];
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 0x83;
const STRICT_SOURCE_ROUTE: u8 = 0x89;

/// Where AH stands, or is to stand.
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
    /// Where AH is to be put in.
    Seal,
    /// Where AH is.
    Open,
}

pub(crate) fn split(packet: &[u8], purpose: Purpose) -> Result<Split, HeaderError> {
    match packet.first().map(|first| first >> 4) {
        Some(4) => {
            let view = Ipv4View::parse(packet).map_err(|_| HeaderError::Malformed)?;
            if view.mf() || view.fragment_offset() != 0 {
                return Err(HeaderError::Fragment);
            }
            let (headers, total) = (view.header_len(), usize::from(view.total_length()));
            Ok(Split { headers, next_at: 9, next: view.protocol(), total, is_ipv4: true })
        }
        Some(6) => split_ipv6(packet, purpose),
        _ => Err(HeaderError::Malformed),
    }
}

/// AH goes behind hop-by-hop options, routing header, and the destination options in front of that (§3.1.1).
fn split_ipv6(packet: &[u8], purpose: Purpose) -> Result<Split, HeaderError> {
    let [_, _, _, _, high, low, next, ..] =
        packet.first_chunk::<{ Ipv6Header::LEN }>().ok_or(HeaderError::Malformed)?;
    let total = Ipv6Header::LEN + usize::from(u16::from_be_bytes([*high, *low]));
    let packet = packet.get(..total).ok_or(HeaderError::Malformed)?;
    let mut split =
        Split { headers: Ipv6Header::LEN, next_at: 6, next: IpProtocol(*next), total, is_ipv4: false };
    let mut routed = false;
    for _ in 0..=MAX_EXTENSIONS {
        match split.next {
            IpProtocol::HOP_BY_HOP => {}
            IpProtocol::ROUTING => routed = true,
            IpProtocol::DEST_OPTS if purpose == Purpose::Open || !routed => {}
            IpProtocol::FRAGMENT => return Err(HeaderError::Fragment),
            _ => return Ok(split),
        }
        let at = split.headers;
        let rest = packet.get(at..).unwrap_or_default();
        let [next, units] = rest.first_chunk().ok_or(HeaderError::Malformed)?;
        split.headers = at + (usize::from(*units) + 1) * 8;
        split.next_at = at;
        split.next = IpProtocol(*next);
        if split.headers > total {
            return Err(HeaderError::Malformed);
        }
    }
    Err(HeaderError::TooLong)
}

/// Copies the headers in front of AH, which [`split`] has walked, with all that may change on the way as zero.
pub(crate) fn zeroed<'a>(
    headers: &[u8],
    purpose: Purpose,
    copy: &'a mut [u8; MAX_HEADERS],
) -> Result<&'a [u8], HeaderError> {
    let copy = copy.get_mut(..headers.len()).ok_or(HeaderError::TooLong)?;
    copy.copy_from_slice(headers);
    match copy {
        // TOS, flags and fragment offset, TTL, checksum.
        [first, tos, _, _, _, _, flags, offset, ttl, _, high, low, _, _, _, _, _, _, _, _, options @ ..]
            if *first >> 4 == 4 =>
        {
            [*tos, *flags, *offset, *ttl, *high, *low] = [0; 6];
            zero_ipv4_options(options, purpose)?;
        }
        // Traffic class and flow label, hop limit.
        [first, second, third, fourth, _, _, next, limit, ..] if *first >> 4 == 6 => {
            [*first, *second, *third, *fourth, *limit] = [0x60, 0, 0, 0, 0];
            let next = IpProtocol(*next);
            zero_extensions(copy, next)?;
        }
        _ => return Err(HeaderError::Malformed),
    }
    Ok(copy)
}

fn zero_ipv4_options(mut options: &mut [u8], purpose: Purpose) -> Result<(), HeaderError> {
    loop {
        let len = match options {
            // What stands behind the end of the list counts as it is.
            [] | [END_OF_OPTIONS, ..] => return Ok(()),
            [NO_OPERATION, ..] => 1,
            [_, len, ..] if *len >= 2 => usize::from(*len),
            _ => return Err(HeaderError::Option),
        };
        let (option, rest) = options.split_at_mut_checked(len).ok_or(HeaderError::Option)?;
        match option {
            [NO_OPERATION] => {}
            // The pointer is still inside the option: the destination will change (appendix A1).
            [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, len, pointer, ..]
                if purpose == Purpose::Seal && *pointer <= *len =>
            {
                return Err(HeaderError::Route);
            }
            [kind, ..] if IMMUTABLE_OPTIONS.contains(kind) => {}
            mutable => mutable.fill(0),
        }
        options = rest;
    }
}

fn zero_extensions(headers: &mut [u8], mut next: IpProtocol) -> Result<(), HeaderError> {
    let mut rest = headers.get_mut(Ipv6Header::LEN..).unwrap_or_default();
    while let [following, units, ..] = rest {
        let following = IpProtocol(*following);
        let len = (usize::from(*units) + 1) * 8;
        let (extension, behind) = rest.split_at_mut_checked(len).ok_or(HeaderError::Malformed)?;
        match (next, extension) {
            (IpProtocol::HOP_BY_HOP | IpProtocol::DEST_OPTS, [_, _, options @ ..]) => {
                zero_ipv6_options(options)?;
            }
            // With segments left the packet would arrive with other addresses; none left is how it arrives.
            (_, [_, _, _, 0, ..]) => {}
            _ => return Err(HeaderError::Route),
        }
        next = following;
        rest = behind;
    }
    Ok(())
}

/// The third bit of an option's type says whether its data may change (RFC 8200 §4.2).
fn zero_ipv6_options(mut options: &mut [u8]) -> Result<(), HeaderError> {
    loop {
        let (kind, len) = match options {
            [] => return Ok(()),
            [0, rest @ ..] => {
                options = rest;
                continue;
            }
            [kind, len, ..] => (*kind, usize::from(*len)),
            _ => return Err(HeaderError::Option),
        };
        let (option, rest) = options.split_at_mut_checked(2 + len).ok_or(HeaderError::Option)?;
        if kind & 0x20 != 0 {
            option.iter_mut().skip(2).for_each(|octet| *octet = 0);
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn ipv4(options: &[u8]) -> Vec<u8> {
        let header = 20 + options.len();
        let mut packet = vec![0; header];
        packet[0] = 0x40 | (header / 4) as u8;
        packet[1..12].copy_from_slice(&[0xff, 0, header as u8, 1, 2, 0x40, 0, 64, 51, 3, 4]);
        packet[20..].copy_from_slice(options);
        packet
    }

    #[test]
    fn ipv4_options_by_class() {
        let options = [
            1, 0x94, 4, 0, 0, // no operation, router alert
            7, 7, 4, 9, 9, 9, 9, // record route
            0x44, 4, 5, 0, // time stamp
            0, 9, 9, 9, // end of list, and what is behind it
        ];
        let packet = ipv4(&options);
        let mut copy = [0; MAX_HEADERS];
        let zero = zeroed(&packet, Purpose::Seal, &mut copy).unwrap();
        assert_eq!(zero[..12], [0x4a, 0, 0, 40, 1, 2, 0, 0, 0, 51, 0, 0]);
        assert_eq!(zero[20..], [1, 0x94, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9]);
    }

    #[test]
    fn ipv4_options_that_cannot_be_are_refused() {
        let mut copy = [0; MAX_HEADERS];
        for options in [[0x94, 0, 0, 0], [0x94, 1, 0, 0], [0x94, 5, 0, 0], [1, 1, 1, 0x94]] {
            assert_eq!(zeroed(&ipv4(&options), Purpose::Open, &mut copy), Err(HeaderError::Option));
        }
        let (left, done) = ([0x83, 7, 4, 1, 2, 3, 4, 0], [0x83, 7, 8, 1, 2, 3, 4, 0]);
        assert_eq!(zeroed(&ipv4(&left), Purpose::Seal, &mut copy), Err(HeaderError::Route));
        assert!(zeroed(&ipv4(&left), Purpose::Open, &mut copy).is_ok());
        assert_eq!(zeroed(&ipv4(&done), Purpose::Seal, &mut copy).unwrap()[20..], [0; 8]);
    }

    fn ipv6(first: u8, extensions: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[..8].copy_from_slice(&[0x6b, 0x9a, 0xbc, 0xde, 0, extensions.len() as u8, first, 64]);
        packet.extend(extensions);
        packet
    }

    #[test]
    fn ipv6_extension_headers_by_kind() {
        let extensions = [
            [43, 0, 0x3e, 2, 7, 7, 1, 0], // hop by hop: a mutable option, Pad1 aside
            [60, 0, 4, 0, 1, 2, 3, 4],    // routing, none left
            [51, 0, 0x1e, 2, 7, 7, 1, 0], // destination: an immutable option
        ]
        .concat();
        let packet = ipv6(0, &extensions);
        let open = split(&packet, Purpose::Open).unwrap();
        assert_eq!((open.headers, open.next_at, open.next), (64, 56, IpProtocol::AH));
        let seal = split(&packet, Purpose::Seal).unwrap();
        assert_eq!((seal.headers, seal.next_at, seal.next), (56, 48, IpProtocol::DEST_OPTS));
        let mut copy = [0; MAX_HEADERS];
        let zero = zeroed(&packet, Purpose::Open, &mut copy).unwrap();
        assert_eq!(zero[..8], [0x60, 0, 0, 0, 0, 24, 0, 0]);
        assert_eq!(zero[40..48], [43, 0, 0x3e, 2, 0, 0, 1, 0]);
        assert_eq!(zero[48..], extensions[8..]);
    }

    #[test]
    fn ipv6_headers_that_cannot_be_are_refused() {
        let mut copy = [0; MAX_HEADERS];
        let routing = ipv6(43, &[51, 0, 4, 1, 0, 0, 0, 0]);
        assert_eq!(zeroed(&routing, Purpose::Open, &mut copy), Err(HeaderError::Route));
        let option = ipv6(60, &[51, 0, 0x1e, 5, 0, 0, 0, 0]);
        assert_eq!(zeroed(&option, Purpose::Open, &mut copy), Err(HeaderError::Option));
        assert_eq!(split(&ipv6(60, &[51, 1, 1, 4, 0, 0, 0, 0]), Purpose::Open), Err(HeaderError::Malformed));
        assert_eq!(split(&ipv6(44, &[51, 0, 0, 0, 0, 0, 0, 0]), Purpose::Open), Err(HeaderError::Fragment));
        let chain = ipv6(60, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(12));
        assert_eq!(split(&chain, Purpose::Seal), Err(HeaderError::TooLong));
        let mut fragment = ipv4(&[]);
        fragment[6] = 0x20;
        assert_eq!(split(&fragment, Purpose::Open), Err(HeaderError::Fragment));
        for packet in [&[][..], &[0x45], &[0x60; 39], &[0x75; 60]] {
            assert_eq!(split(packet, Purpose::Open), Err(HeaderError::Malformed));
        }
    }
}
