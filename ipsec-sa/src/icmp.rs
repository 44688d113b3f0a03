//! ICMP messages to senders of packets that go no further (RFC 792, RFC 4443; RFC 4301 §5.1.1, §8.2.1).

use alloc::vec::Vec;
use core::net::IpAddr;

use ipsec_wire::ip::{Ipv4Header, Ipv6Header, UpperLayer, internet_checksum, transport_checksum};
use ipsec_wire::{IpProtocol, IpView};

/// Why a destination cannot be reached (RFC 4301 §5.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unreachable {
    /// Policy, ours or the peer's, is against it.
    Prohibited,
    /// The peer that the packet would go through does not answer.
    Host,
}

/// The message that tells the sender of a packet that it was discarded, from `from` and to the packet's source.
///
/// `None` where no message may be sent: about fragments behind the first and ICMP errors, about packets to more than one
/// host, to no single source, and where `from` is of another family (RFC 1122 §3.2.2, RFC 4443 §2.4).
#[must_use]
pub fn unreachable_message(packet: &[u8], why: Unreachable, from: IpAddr) -> Option<Vec<u8>> {
    let many = match IpView::parse(packet).ok()?.dst() {
        IpAddr::V4(dst) => dst.is_multicast() || dst.is_broadcast(),
        IpAddr::V6(dst) => dst.is_multicast(),
    };
    let (v4, v6) = match why {
        Unreachable::Prohibited => (13, 1),
        Unreachable::Host => (1, 3),
    };
    if many { None } else { message(packet, [3, v4, 0, 0, 0, 0, 0, 0], [1, v6, 0, 0, 0, 0, 0, 0], from) }
}

/// A message about a packet, with these first octets in either family; the checksum in them is zero.
pub(crate) fn message(packet: &[u8], v4: [u8; 8], v6: [u8; 8], from: IpAddr) -> Option<Vec<u8>> {
    let view = IpView::parse(packet).ok()?;
    let UpperLayer { protocol, fragment, .. } = view.upper_layer();
    if fragment.is_some_and(|fragment| !fragment.is_first()) {
        return None;
    }
    let single = match view.src() {
        IpAddr::V4(src) => {
            !(src.is_multicast() || src.is_broadcast() || src.is_unspecified() || src.is_loopback())
        }
        IpAddr::V6(src) => !(src.is_multicast() || src.is_unspecified() || src.is_loopback()),
    };
    let error = match (protocol, view.icmp()) {
        (IpProtocol::ICMP, Some((kind, _))) => matches!(kind, 3 | 4 | 5 | 11 | 12),
        (IpProtocol::ICMPV6, Some((kind, _))) => kind < 128,
        _ => false,
    };
    if !single || error {
        return None;
    }
    match (view, from) {
        (IpView::V4(view), IpAddr::V4(src)) => {
            // RFC 1812 §4.3.2.3: as much of the packet as fits into 576 octets.
            let quoted = view.packet();
            let quoted = quoted.get(..quoted.len().min(576 - 28))?;
            let mut message = v4;
            let checksum = internet_checksum(&[&message, quoted]).to_be_bytes();
            message[2..4].copy_from_slice(&checksum);
            let total = u16::try_from(Ipv4Header::LEN + message.len() + quoted.len()).ok()?;
            let (protocol, dst) = (IpProtocol::ICMP, view.src());
            let header = Ipv4Header { tos: 0xc0, id: 0, df: false, ttl: 64, protocol, src, dst };
            Some([&header.emit(total)[..], &message, quoted].concat())
        }
        (IpView::V6(view), IpAddr::V6(src)) => {
            let quoted = view.packet();
            let quoted = quoted.get(..quoted.len().min(1280 - 48))?;
            let mut message = [&v6, quoted].concat();
            let checksum = transport_checksum(from, view.src().into(), IpProtocol::ICMPV6, &message)?;
            message.get_mut(2..4)?.copy_from_slice(&checksum.to_be_bytes());
            let header = Ipv6Header {
                traffic_class: 0,
                flow_label: 0,
                next_header: IpProtocol::ICMPV6,
                hop_limit: 64,
                src,
                dst: view.src(),
            };
            let length = u16::try_from(message.len()).ok()?;
            Some([&header.emit(length)[..], &message].concat())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    fn v4(dst: [u8; 4], flags: u8) -> Vec<u8> {
        let (src, dst) = ([10, 0, 0, 1].into(), dst.into());
        let header = Ipv4Header { tos: 0, id: 7, df: false, ttl: 64, protocol: IpProtocol::UDP, src, dst };
        let mut packet = [&header.emit(28)[..], &[0, 1, 0, 2, 0, 8, 0, 0]].concat();
        packet[7] |= flags;
        packet
    }

    #[test]
    fn senders_are_told_by_the_codes_of_rfc_4301() {
        let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254));
        for (why, code) in [(Unreachable::Prohibited, 13), (Unreachable::Host, 1)] {
            let told = unreachable_message(&v4([10, 1, 0, 1], 0), why, from).unwrap();
            let view = IpView::parse(&told).unwrap();
            assert_eq!((view.icmp(), view.src(), view.dst()), (Some((3, code)), from, [10, 0, 0, 1].into()));
            assert_eq!(internet_checksum(&[view.upper_payload()]), 0);
            assert_eq!(told[28..], v4([10, 1, 0, 1], 0));
        }
        let src = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let dst = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
        let (next_header, hop_limit) = (IpProtocol::UDP, 64);
        let header = Ipv6Header { traffic_class: 0, flow_label: 0, next_header, hop_limit, src, dst };
        let packet = [&header.emit(8)[..], &[0, 1, 0, 2, 0, 8, 0, 0]].concat();
        for (why, code) in [(Unreachable::Prohibited, 1), (Unreachable::Host, 3)] {
            let told = unreachable_message(&packet, why, dst.into()).unwrap();
            let view = IpView::parse(&told).unwrap();
            assert_eq!((view.icmp(), view.dst()), (Some((1, code)), src.into()));
            let sum = transport_checksum(dst.into(), src.into(), IpProtocol::ICMPV6, view.upper_payload());
            assert_eq!(sum, Some(0));
        }
    }

    #[test]
    fn nobody_is_told_of_what_was_for_many_or_is_a_later_fragment_or_an_error() {
        let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254));
        let told = |packet: &[u8]| unreachable_message(packet, Unreachable::Host, from);
        assert!(told(&v4([10, 1, 0, 1], 0)).is_some());
        assert_eq!(told(&v4([224, 0, 0, 1], 0)), None);
        assert_eq!(told(&v4([10, 1, 0, 1], 1)), None);
        let answer = told(&v4([10, 1, 0, 1], 0)).unwrap();
        assert_eq!(told(&answer), None);
        assert_eq!(
            unreachable_message(&v4([10, 1, 0, 1], 0), Unreachable::Host, Ipv6Addr::LOCALHOST.into()),
            None
        );
    }
}
