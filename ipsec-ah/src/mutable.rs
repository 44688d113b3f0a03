//! The headers in front of AH, and what of them counts as zero or as it will be at the receiver (RFC 4302 §3.3.3.1 and
//! appendix A).

use ipsec_wire::IpProtocol;
use ipsec_wire::ip::{Ipv4Option, Ipv6Header, Ipv6Option, PlaceError, Seek};

use crate::HeaderError;

/// Octets of headers in front of AH that are provided for; IPv4 has 60 at most.
pub(crate) const MAX_HEADERS: usize = 320;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 0x83;
const STRICT_SOURCE_ROUTE: u8 = 0x89;

/// Routing headers that turn segments and destination round (RFC 5095 withdrew the one, RFC 6275 §6.4 has the other).
const ROUTING_TYPE_0: u8 = 0;
const ROUTING_TYPE_2: u8 = 2;
/// The Segment Routing Header, whose segments stand still, last one first (RFC 8754 §2).
const ROUTING_TYPE_4: u8 = 4;
const ADDRESS: usize = 16;
/// Where the destination stands in the IPv6 header.
const DESTINATION: usize = 24;
const FRAGMENT_LEN: usize = 8;

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// From us: its fields count as they will be at the last destination.
    Seal,
    /// To us, the last destination.
    Open,
}

impl Purpose {
    pub(crate) const fn seek(self) -> Seek {
        match self {
            Self::Seal => Seek::ForAh,
            Self::Open => Seek::Upper,
        }
    }
}

impl From<PlaceError> for HeaderError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Malformed => Self::Malformed,
            PlaceError::Fragment => Self::Fragment,
            PlaceError::TooMany => Self::TooLong,
        }
    }
}

/// Copies the headers in front of AH, whose extension headers were walked before, as they count for the ICV.
pub(crate) fn zeroed<'a>(
    headers: &[u8],
    purpose: Purpose,
    copy: &'a mut [u8; MAX_HEADERS],
) -> Result<&'a [u8], HeaderError> {
    let mut len = headers.len();
    let out = copy.get_mut(..len).ok_or(HeaderError::TooLong)?;
    out.copy_from_slice(headers);
    match out {
        // TOS, flags and fragment offset, TTL, checksum.
        [first, tos, _, _, _, _, flags, offset, ttl, _, high, low, _, _, _, _, a, b, c, d, options @ ..]
            if *first >> 4 == 4 =>
        {
            [*tos, *flags, *offset, *ttl, *high, *low] = [0; 6];
            if let Some(last_stop) = zero_ipv4_options(options, purpose)? {
                [*a, *b, *c, *d] = last_stop;
            }
        }
        // Traffic class and flow label, hop limit.
        [first, second, third, fourth, _, _, next, limit, ..] if *first >> 4 == 6 => {
            [*first, *second, *third, *fourth, *limit] = [0x60, 0, 0, 0, 0];
            let next = IpProtocol(*next);
            len = without_fragment_header(out, next)?;
            let out = out.get_mut(..len).ok_or(HeaderError::Malformed)?;
            let next = out.get(6).map_or(next, |next| IpProtocol(*next));
            predict_extensions(out, next, purpose)?;
        }
        _ => return Err(HeaderError::Malformed),
    }
    copy.get(..len).ok_or(HeaderError::Malformed)
}

/// Returns the last address of a source route that is not at its end: the destination will be that
/// (§3.3.3.1.1.1).
fn zero_ipv4_options(mut options: &mut [u8], purpose: Purpose) -> Result<Option<[u8; 4]>, HeaderError> {
    let mut last_stop = None;
    loop {
        let len = match options {
            // What stands behind the end of the list counts as it is.
            [] | [END_OF_OPTIONS, ..] => return Ok(last_stop),
            [NO_OPERATION, ..] => 1,
            [_, len, ..] if *len >= 2 => usize::from(*len),
            _ => return Err(HeaderError::Option),
        };
        let (option, rest) = options.split_at_mut_checked(len).ok_or(HeaderError::Option)?;
        if let [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, _, pointer, route @ ..] = option
            && purpose == Purpose::Seal
            && usize::from(*pointer) <= len
        {
            // Whole addresses, the pointer at one of them, and one route at most (RFC 791 §3.1).
            let sound = route.len().is_multiple_of(4) && *pointer >= 4 && pointer.is_multiple_of(4);
            let last = route.last_chunk().copied().filter(|_| sound && last_stop.is_none());
            last_stop = Some(last.ok_or(HeaderError::Route)?);
        }
        match option {
            [NO_OPERATION] => {}
            [kind, ..] if (Ipv4Option { kind: *kind, data: &[] }).is_immutable() => {}
            mutable => mutable.fill(0),
        }
        options = rest;
    }
}

/// Takes out the fragment header of a packet that is its own only fragment, and says how long the headers are then
/// (RFC 4302 appendix A2). The payload length shrinks with it, as it does where a receiver takes the header out.
fn without_fragment_header(headers: &mut [u8], first: IpProtocol) -> Result<usize, HeaderError> {
    let (mut next, mut next_at, mut at) = (first, 6, Ipv6Header::LEN);
    while at < headers.len() {
        let [following, units] =
            headers.get(at..).and_then(<[u8]>::first_chunk).ok_or(HeaderError::Malformed)?;
        let (following, len) = (*following, (usize::from(*units) + 1) * 8);
        if next == IpProtocol::FRAGMENT {
            let behind = at + FRAGMENT_LEN;
            if behind > headers.len() {
                return Err(HeaderError::Malformed);
            }
            headers.copy_within(behind.., at);
            *headers.get_mut(next_at).ok_or(HeaderError::Malformed)? = following;
            let length: &mut [u8; 2] =
                headers.get_mut(4..).and_then(<[u8]>::first_chunk_mut).ok_or(HeaderError::Malformed)?;
            *length = u16::from_be_bytes(*length).saturating_sub(FRAGMENT_LEN as u16).to_be_bytes();
            return Ok(headers.len() - FRAGMENT_LEN);
        }
        (next, next_at, at) = (IpProtocol(following), at, at + len);
    }
    Ok(headers.len())
}

fn predict_extensions(headers: &mut [u8], mut next: IpProtocol, purpose: Purpose) -> Result<(), HeaderError> {
    let (fixed, mut rest) =
        headers.split_first_chunk_mut::<{ Ipv6Header::LEN }>().ok_or(HeaderError::Malformed)?;
    let destination = fixed.get_mut(DESTINATION..).and_then(<[u8]>::first_chunk_mut::<ADDRESS>);
    let destination = destination.ok_or(HeaderError::Malformed)?;
    while let [following, units, ..] = rest {
        let following = IpProtocol(*following);
        let len = (usize::from(*units) + 1) * 8;
        let (extension, behind) = rest.split_at_mut_checked(len).ok_or(HeaderError::Malformed)?;
        match (next, extension) {
            (IpProtocol::HOP_BY_HOP | IpProtocol::DEST_OPTS, [_, _, options @ ..]) => {
                zero_ipv6_options(options)?;
            }
            (IpProtocol::ROUTING, routing) => predict_route(routing, destination, purpose)?,
            // A second fragment header.
            _ => return Err(HeaderError::Malformed),
        }
        next = following;
        rest = behind;
    }
    Ok(())
}

/// A routing header and the destination as they are at the last stop (appendix A2).
fn predict_route(
    routing: &mut [u8],
    destination: &mut [u8; ADDRESS],
    purpose: Purpose,
) -> Result<(), HeaderError> {
    let (head, list) = routing.split_first_chunk_mut::<8>().ok_or(HeaderError::Malformed)?;
    let [_, _, kind, segments_left, last_entry, ..] = head;
    let left = usize::from(*segments_left);
    if *kind == ROUTING_TYPE_4 {
        let segments = (usize::from(*last_entry) + 1) * ADDRESS;
        let (segments, tlvs) = list.split_at_mut_checked(segments).ok_or(HeaderError::Malformed)?;
        if left > usize::from(*last_entry) {
            return Err(HeaderError::Route);
        }
        if left > 0 {
            // The first segment in the list is the last stop.
            *destination = *segments.first_chunk().ok_or(HeaderError::Malformed)?;
        }
        zero_segment_tlvs(tlvs)?;
    } else if left > 0 {
        let (addresses, odd) = list.as_chunks_mut::<ADDRESS>();
        let known = matches!(*kind, ROUTING_TYPE_0 | ROUTING_TYPE_2) && odd.is_empty();
        let from = addresses.len().checked_sub(left).filter(|_| known).ok_or(HeaderError::Route)?;
        // Each stop changes places with the destination (RFC 2460 §4.4).
        for address in addresses.iter_mut().skip(from) {
            core::mem::swap(address, destination);
        }
    }
    // Not at the last stop yet: AH is for that one.
    if left > 0 && purpose == Purpose::Open {
        return Err(HeaderError::Route);
    }
    *segments_left = 0;
    Ok(())
}

/// The first bit of a TLV's type says whether its data may change (RFC 8754 §2.1).
fn zero_segment_tlvs(mut tlvs: &mut [u8]) -> Result<(), HeaderError> {
    loop {
        let len = match tlvs {
            [] => return Ok(()),
            [0, ..] => 1,
            [_, len, ..] => 2 + usize::from(*len),
            _ => return Err(HeaderError::Option),
        };
        let (tlv, rest) = tlvs.split_at_mut_checked(len).ok_or(HeaderError::Option)?;
        if tlv.first().is_some_and(|kind| kind & 0x80 != 0) {
            tlv.iter_mut().skip(2).for_each(|octet| *octet = 0);
        }
        tlvs = rest;
    }
}

/// The third bit of an option's type says whether its data may change (RFC 8200 §4.2).
fn zero_ipv6_options(mut options: &mut [u8]) -> Result<(), HeaderError> {
    loop {
        let (kind, len) = match options {
            [] => return Ok(()),
            [Ipv6Option::PAD1, ..] => (Ipv6Option::PAD1, 1),
            [kind, len, ..] => (*kind, 2 + usize::from(*len)),
            _ => return Err(HeaderError::Option),
        };
        let (option, rest) = options.split_at_mut_checked(len).ok_or(HeaderError::Option)?;
        if (Ipv6Option { kind, data: &[] }).may_change() {
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
    }

    #[test]
    fn a_source_route_counts_by_its_last_stop() {
        let mut copy = [0; MAX_HEADERS];
        for kind in [0x83, 0x89] {
            let left = [kind, 11, 4, 1, 2, 3, 4, 5, 6, 7, 8, 0];
            let one_left = [kind, 11, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
            let done = [kind, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0];
            for (options, purpose, destination) in [
                (left, Purpose::Seal, [5, 6, 7, 8]),
                (one_left, Purpose::Seal, [5, 6, 7, 8]),
                (done, Purpose::Seal, [0; 4]),
                // Who receives it is the destination that it has.
                (done, Purpose::Open, [0; 4]),
            ] {
                let packet = ipv4(&options);
                let zero = zeroed(&packet, purpose, &mut copy).unwrap();
                assert_eq!((&zero[16..20], &zero[20..]), (&destination[..], &[0; 12][..]));
            }
            for bad in [
                [kind, 11, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0],
                [kind, 11, 5, 1, 2, 3, 4, 5, 6, 7, 8, 0],
                [kind, 10, 4, 1, 2, 3, 4, 5, 6, 7, 0, 0],
                [kind, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            ] {
                assert_eq!(zeroed(&ipv4(&bad), Purpose::Seal, &mut copy), Err(HeaderError::Route), "{bad:?}");
            }
        }
        let two = [0x83, 7, 4, 1, 2, 3, 4, 0x89, 7, 4, 1, 2, 3, 4, 0, 0];
        assert_eq!(zeroed(&ipv4(&two), Purpose::Seal, &mut copy), Err(HeaderError::Route));
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
            [60, 0, 3, 0, 1, 2, 3, 4],    // routing, none left
            [51, 0, 0x1e, 2, 7, 7, 1, 0], // destination: an immutable option
        ]
        .concat();
        let packet = ipv6(0, &extensions);
        let mut copy = [0; MAX_HEADERS];
        let zero = zeroed(&packet, Purpose::Open, &mut copy).unwrap();
        assert_eq!(zero[..8], [0x60, 0, 0, 0, 0, 24, 0, 0]);
        assert_eq!(zero[40..48], [43, 0, 0x3e, 2, 0, 0, 1, 0]);
        assert_eq!(zero[48..], extensions[8..]);
    }

    #[test]
    fn ipv6_headers_that_cannot_be_are_refused() {
        let mut copy = [0; MAX_HEADERS];
        let option = ipv6(60, &[51, 0, 0x1e, 5, 0, 0, 0, 0]);
        assert_eq!(zeroed(&option, Purpose::Open, &mut copy), Err(HeaderError::Option));
        let one_octet = ipv6(60, &[51, 0, 1, 3, 0, 0, 0, 7]);
        assert_eq!(zeroed(&one_octet, Purpose::Open, &mut copy), Err(HeaderError::Option));
        let cut = ipv6(60, &[51, 1, 1, 4, 0, 0, 0, 0]);
        assert_eq!(zeroed(&cut, Purpose::Open, &mut copy), Err(HeaderError::Malformed));
        let twice = ipv6(44, &[[44, 0, 0, 0, 0, 0, 0, 1], [51, 0, 0, 0, 0, 0, 0, 1]].concat());
        assert_eq!(zeroed(&twice, Purpose::Open, &mut copy), Err(HeaderError::Malformed));
        let long = ipv6(60, &[51, 35, 1, 4, 0, 0, 0, 0].repeat(36));
        assert_eq!(zeroed(&long, Purpose::Open, &mut copy), Err(HeaderError::TooLong));
        for packet in [&[][..], &[0x45], &[0x60; 7], &[0x60; 39], &[0x75; 60]] {
            assert_eq!(zeroed(packet, Purpose::Open, &mut copy), Err(HeaderError::Malformed));
        }
    }

    fn routing(kind: u8, left: u8, last: u8, addresses: &[u8], tlvs: &[u8]) -> Vec<u8> {
        let mut header = vec![51, 0, kind, left, last, 0, 0, 0];
        addresses.iter().for_each(|mark| header.extend([*mark; 16]));
        header.extend(tlvs);
        header[1] = (header.len() / 8 - 1) as u8;
        let mut packet = ipv6(43, &header);
        packet[24..40].fill(0xd0);
        packet
    }

    /// Destination, and one octet of each address of the list.
    fn route(packet: &[u8], purpose: Purpose) -> Result<(u8, Vec<u8>), HeaderError> {
        let mut copy = [0; MAX_HEADERS];
        let zero = zeroed(packet, purpose, &mut copy)?;
        assert_eq!((zero.len(), zero[43]), (packet.len(), 0));
        Ok((zero[39], zero[48..].chunks(16).map(|address| address[15]).collect()))
    }

    #[test]
    fn routing_headers_count_by_their_last_stop() {
        for kind in [0, 2] {
            let seal = |left, addresses: &[u8]| route(&routing(kind, left, 0, addresses, &[]), Purpose::Seal);
            assert_eq!(seal(3, &[1, 2, 3]), Ok((3, vec![0xd0, 1, 2])));
            assert_eq!(seal(1, &[1, 2, 3]), Ok((3, vec![1, 2, 0xd0])));
            assert_eq!(seal(0, &[1, 2, 3]), Ok((0xd0, vec![1, 2, 3])));
            assert_eq!(seal(4, &[1, 2, 3]), Err(HeaderError::Route));
            // As it arrives, and too early.
            let packet = routing(kind, 0, 0, &[1, 2], &[]);
            assert_eq!(route(&packet, Purpose::Open), Ok((0xd0, vec![1, 2])));
            assert_eq!(route(&routing(kind, 1, 0, &[1, 2], &[]), Purpose::Open), Err(HeaderError::Route));
        }
        // Of another type nobody knows where it goes, unless it is there.
        assert_eq!(route(&routing(3, 1, 0, &[1], &[]), Purpose::Seal), Err(HeaderError::Route));
        assert_eq!(route(&routing(3, 0, 0, &[1], &[]), Purpose::Seal), Ok((0xd0, vec![1])));
        let odd = routing(0, 1, 0, &[1], &[0; 8]);
        assert_eq!(route(&odd, Purpose::Seal), Err(HeaderError::Route));
    }

    #[test]
    fn segment_lists_stand_still_and_their_mutable_tlvs_count_as_zero() {
        let tlvs = [0x7c, 4, 1, 2, 3, 4, 0, 0x80, 6, 1, 2, 3, 4, 5, 6, 0];
        let counted = [0x7c, 4, 1, 2, 3, 4, 0, 0x80, 6, 0, 0, 0, 0, 0, 0, 0];
        let mut copy = [0; MAX_HEADERS];
        for (left, purpose, destination) in
            [(2, Purpose::Seal, 1), (1, Purpose::Seal, 1), (0, Purpose::Seal, 0xd0), (0, Purpose::Open, 0xd0)]
        {
            let packet = routing(4, left, 2, &[1, 2, 3], &tlvs);
            let zero = zeroed(&packet, purpose, &mut copy).unwrap();
            assert_eq!((zero[39], zero[43], &zero[96..]), (destination, 0, &counted[..]));
            assert_eq!(zero[48..96], packet[48..96]);
        }
        for (left, last, purpose, error) in [
            (3, 2, Purpose::Seal, HeaderError::Route),
            (1, 2, Purpose::Open, HeaderError::Route),
            (0, 4, Purpose::Open, HeaderError::Malformed),
        ] {
            let packet = routing(4, left, last, &[1, 2, 3], &tlvs);
            assert_eq!(zeroed(&packet, purpose, &mut copy), Err(error));
        }
        let cut = routing(4, 0, 0, &[1], &[0x7c, 7, 0, 0, 0, 0, 0, 0]);
        assert_eq!(zeroed(&cut, Purpose::Open, &mut copy), Err(HeaderError::Option));
    }

    #[test]
    fn an_only_fragment_counts_without_its_header() {
        let hop = [44, 0, 1, 4, 0, 0, 0, 0];
        let fragment = [60, 0, 0, 0, 1, 2, 3, 4];
        let last = [51, 0, 0x1e, 2, 7, 7, 1, 0];
        let with = ipv6(0, &[hop, fragment, last].concat());
        let without = ipv6(0, &[[60, 0, 1, 4, 0, 0, 0, 0], last].concat());
        let (mut one, mut other) = ([0; MAX_HEADERS], [0; MAX_HEADERS]);
        for purpose in [Purpose::Seal, Purpose::Open] {
            assert_eq!(zeroed(&with, purpose, &mut one), zeroed(&without, purpose, &mut other));
        }
    }
}
