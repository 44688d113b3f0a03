//! What travels on a UDP port that carries ESP: keepalives, IKE behind the non-ESP marker, ESP (RFC 3948 §2).

use alloc::vec::Vec;
use core::ops::Range;

/// Four zero octets in front of an IKE message, where ESP has its SPI (RFC 3948 §2.2).
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// The datagram that keeps a NAT mapping alive (RFC 3948 §2.3).
pub const NAT_KEEPALIVE: [u8; 1] = [0xff];

/// A datagram of such a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpEncap<'a> {
    /// A NAT keepalive, to be ignored.
    Keepalive,
    /// An IKE message, without the marker.
    Ike(&'a [u8]),
    /// An ESP packet, whose SPI is not zero.
    Esp(&'a [u8]),
    /// Neither: too short for a marker or an SPI. The octets there are.
    TooShort(&'a [u8]),
}

/// The same as ranges of the datagram, for buffers that are worked on in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UdpEncapRange {
    /// A NAT keepalive, to be ignored.
    Keepalive,
    /// Where the IKE message is, behind the marker.
    Ike(Range<usize>),
    /// Where the ESP packet is.
    Esp(Range<usize>),
    /// Neither.
    TooShort,
}

/// Tells apart what a UDP payload is.
#[must_use]
pub fn classify_udp_encap(datagram: &[u8]) -> UdpEncap<'_> {
    match datagram.split_first_chunk() {
        Some((&NON_ESP_MARKER, message)) => UdpEncap::Ike(message),
        Some(_) => UdpEncap::Esp(datagram),
        None if *datagram == NAT_KEEPALIVE => UdpEncap::Keepalive,
        None => UdpEncap::TooShort(datagram),
    }
}

/// Tells apart what a UDP payload is and where in it.
#[must_use]
pub fn locate_udp_encap(datagram: &[u8]) -> UdpEncapRange {
    match classify_udp_encap(datagram) {
        UdpEncap::Keepalive => UdpEncapRange::Keepalive,
        UdpEncap::Ike(_) => UdpEncapRange::Ike(NON_ESP_MARKER.len()..datagram.len()),
        UdpEncap::Esp(_) => UdpEncapRange::Esp(0..datagram.len()),
        UdpEncap::TooShort(_) => UdpEncapRange::TooShort,
    }
}

/// The UDP payload that carries an IKE message on such a port.
#[must_use]
pub fn mark_ike(message: &[u8]) -> Vec<u8> {
    [&NON_ESP_MARKER, message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_apart() {
        let ike = mark_ike(b"message");
        assert_eq!(classify_udp_encap(&ike), UdpEncap::Ike(b"message"));
        assert_eq!(locate_udp_encap(&ike), UdpEncapRange::Ike(4..11));
        assert_eq!(classify_udp_encap(&NON_ESP_MARKER), UdpEncap::Ike(b""));
        assert_eq!(classify_udp_encap(&[0, 0, 0, 1]), UdpEncap::Esp(&[0, 0, 0, 1]));
        assert_eq!(locate_udp_encap(&[1; 9]), UdpEncapRange::Esp(0..9));
        assert_eq!(classify_udp_encap(&[0xff]), UdpEncap::Keepalive);
        assert_eq!(locate_udp_encap(&[0xff]), UdpEncapRange::Keepalive);
        for short in [&[][..], &[0xfe], &[0xff, 0xff], &[0; 3]] {
            assert_eq!(classify_udp_encap(short), UdpEncap::TooShort(short));
            assert_eq!(locate_udp_encap(short), UdpEncapRange::TooShort);
        }
    }
}
