//! The flow label of an outer IPv6 header (RFC 6437, and RFC 6438 for tunnels).

use core::net::IpAddr;

use ipsec_wire::{IpProtocol, IpView};

/// How an outer IPv6 header comes by its flow label.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FlowLabel {
    /// Zero: nobody on the path tells the flows inside apart.
    #[default]
    Zero,
    /// That of an inner IPv6 packet; zero over IPv4.
    Copy,
    /// A number made of the inner packet's addresses, protocol and ports, so that routers spread flows over paths without
    /// reordering any (RFC 6438 §4). It tells who watches how many flows there are.
    Flow {
        /// Random, so that labels cannot be foretold (RFC 6437 §3).
        key: u64,
    },
}

impl FlowLabel {
    /// The 20 bits for `inner`, which `next` announces.
    pub(crate) fn of(self, next: IpProtocol, inner: &[u8]) -> u32 {
        let label = match (self, next) {
            (Self::Zero, _) => 0,
            (Self::Copy, IpProtocol::IPV6) => match inner {
                [_, a, b, c, ..] => u32::from_be_bytes([0, *a, *b, *c]),
                _ => 0,
            },
            (Self::Flow { key }, IpProtocol::IPV4 | IpProtocol::IPV6) => flow(key, inner),
            _ => 0,
        };
        label & 0xf_ffff
    }
}

/// Parts of one packet have one label, so that ports do not count in them.
fn flow(key: u64, inner: &[u8]) -> u32 {
    let Ok(view) = IpView::parse(inner) else { return 0 };
    let upper = view.upper_layer();
    let (from, to) = view.ports().filter(|_| upper.fragment.is_none()).unwrap_or_default();
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let (src, dst) = (address(view.src()), address(view.dst()));
    let ports = u64::from(upper.protocol.0) << 32 | u64::from(from) << 16 | u64::from(to);
    let words = [src as u64, (src >> 64) as u64, dst as u64, (dst >> 64) as u64, ports];
    let hash = words.iter().fold(key, |hash, word| mix(hash ^ word));
    // A flow with a label is told from one without (RFC 6437 §3).
    ((hash >> 44) as u32).max(1)
}

/// The finalizer of SplitMix64: each bit in changes half of the bits out.
const fn mix(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    fn udp(src: u8, from: u16, fragment: u16) -> [u8; 28] {
        let mut packet = [0; 28];
        packet[..10].copy_from_slice(&[0x45, 0, 0, 28, 0, 0, (fragment >> 8) as u8, fragment as u8, 64, 17]);
        packet[15] = src;
        packet[20..22].copy_from_slice(&from.to_be_bytes());
        packet
    }

    #[test]
    fn flows_have_labels_of_their_own_and_keep_them() {
        let label = |key, packet: &[u8]| FlowLabel::Flow { key }.of(IpProtocol::IPV4, packet);
        let labels: BTreeSet<u32> = (0..500).map(|port| label(7, &udp(1, port, 0))).collect();
        assert!(labels.len() > 495 && labels.iter().all(|label| (1..=0xf_ffff).contains(label)));
        assert_eq!(label(7, &udp(1, 9, 0)), label(7, &udp(1, 9, 0)));
        assert_ne!(label(7, &udp(1, 9, 0)), label(8, &udp(1, 9, 0)));
        assert_ne!(label(7, &udp(1, 9, 0)), label(7, &udp(2, 9, 0)));
        // All parts of a packet, the one with the ports among them.
        assert_eq!(label(7, &udp(1, 9, 0x2000)), label(7, &udp(1, 800, 0x0003)));
        assert_eq!(label(7, &[0x45; 9]), 0);
    }

    #[test]
    fn labels_are_copied_from_ipv6_alone() {
        let inner = [0x6f, 0xf1, 0x23, 0x45, 0, 0, 59, 1];
        assert_eq!(FlowLabel::Copy.of(IpProtocol::IPV6, &inner), 0x1_2345);
        assert_eq!(FlowLabel::Copy.of(IpProtocol::IPV4, &udp(1, 1, 0)), 0);
        assert_eq!(FlowLabel::Copy.of(IpProtocol::IPV6, &[0x60]), 0);
        assert_eq!(FlowLabel::Zero.of(IpProtocol::IPV6, &inner), 0);
        assert_eq!(FlowLabel::Flow { key: 1 }.of(IpProtocol::AGGFRAG, &inner), 0);
    }
}
