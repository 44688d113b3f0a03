//! The Internet checksum (RFC 1071) over parts, and the pseudo headers of IPv4 and IPv6.

use core::net::IpAddr;

use super::IpProtocol;

/// The ones' complement of the ones' complement sum of the parts' concatenation. Over octets that contain a
/// right checksum the result is 0.
#[must_use]
pub fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let (mut sum, mut odd) = (0u64, None);
    for part in parts {
        let mut rest = *part;
        if let (Some(high), Some((&low, after))) = (odd, rest.split_first()) {
            sum += u64::from(u16::from_be_bytes([high, low]));
            odd = None;
            rest = after;
        }
        let pairs = rest.chunks_exact(2);
        if let [high] = pairs.remainder() {
            odd = Some(*high);
        }
        sum += pairs
            .filter_map(<[u8]>::first_chunk)
            .map(|pair| u64::from(u16::from_be_bytes(*pair)))
            .sum::<u64>();
    }
    if let Some(high) = odd {
        sum += u64::from(high) << 8;
    }
    fold(sum)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The loop leaves sixteen bits.
    !(sum as u16)
}

/// The checksum of TCP, UDP or ICMPv6 over its pseudo header and its octets; `None` for addresses of two
/// versions. UDP sends 0xffff where this is 0 (RFC 768).
#[must_use]
pub fn transport_checksum(src: IpAddr, dst: IpAddr, protocol: IpProtocol, segment: &[u8]) -> Option<u16> {
    let length = u32::try_from(segment.len()).ok()?.to_be_bytes();
    let tail = [0, 0, 0, protocol.0];
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            Some(internet_checksum(&[&src.octets(), &dst.octets(), &length, &tail, segment]))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            Some(internet_checksum(&[&src.octets(), &dst.octets(), &length, &tail, segment]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071() {
        // RFC 1071 §3: the sum of these octets is ddf2.
        let octets = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum(&[&octets]), !0xddf2);
        assert_eq!(internet_checksum(&[]), 0xffff);
        // RFC 1071 §1: an odd octet at the end is the upper half of a word.
        assert_eq!(internet_checksum(&[&octets, &[0x01]]), !0xdef2);
        assert_eq!(internet_checksum(&[&octets[..3], &octets[3..], &[0x01]]), !0xdef2);
    }

    proptest! {
        #[test]
        fn parts_do_not_matter(octets: [u8; 21], a in 0usize..=21, b in 0usize..=21) {
            let (a, b) = (a.min(b), a.max(b));
            let parts = internet_checksum(&[&octets[..a], &octets[a..b], &octets[b..]]);
            prop_assert_eq!(parts, internet_checksum(&[&octets]));
        }

        #[test]
        fn with_its_checksum_in_it_the_sum_is_zero(mut octets: [u8; 20]) {
            octets[10..12].fill(0);
            let checksum = internet_checksum(&[&octets]);
            octets[10..12].copy_from_slice(&checksum.to_be_bytes());
            prop_assert_eq!(internet_checksum(&[&octets]), 0);
        }
    }
}
