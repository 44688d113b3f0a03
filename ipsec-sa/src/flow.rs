//! A packet seen through its selectors: addresses, protocol and ports (RFC 4301 §4.4.1.1).

use core::net::IpAddr;

use ipsec_wire::{IpProtocol, IpView, ParseError};

use crate::TrafficSelector;

/// The values that a packet shows to the databases.
///
/// Protocols with one value instead of two ports carry it in `src_port` and leave `dst_port` empty: ICMP its type in
/// the high and its code in the low octet, Mobility Header its type in the high octet. `None` means that a value
/// cannot be seen (OPAQUE): a fragment behind the first, or a protocol that has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// What follows the IP header and the extension headers that are skipped.
    pub protocol: u8,
    /// Source port, or ICMP type and code, or Mobility Header type.
    pub src_port: Option<u16>,
    /// Destination port.
    pub dst_port: Option<u16>,
}

impl Flow {
    /// The flow of an IP packet of either version.
    ///
    /// # Errors
    /// [`ParseError`] where the header, or an extension header in front of the upper layer, is cut off or wrong.
    pub fn from_packet(packet: &[u8]) -> Result<Self, ParseError> {
        IpView::parse(packet).map(|view| Self::from_view(&view))
    }

    /// The flow of a parsed packet.
    #[must_use]
    pub fn from_view(view: &IpView<'_>) -> Self {
        let (src_port, dst_port) = match view.ports() {
            Some((src, dst)) => (Some(src), Some(dst)),
            None => {
                let type_and_code = view.icmp().or_else(|| view.mobility_type().map(|kind| (kind, 0)));
                (type_and_code.map(|(kind, code)| u16::from_be_bytes([kind, code])), None)
            }
        };
        let protocol = view.upper_layer().protocol.0;
        Self { src: view.src(), dst: view.dst(), protocol, src_port, dst_port }
    }

    /// The way back. Type and code stay on the source's side: each side's selector says what that side may send
    /// (RFC 4301 §4.4.1.3).
    #[must_use]
    pub const fn reversed(&self) -> Self {
        let (src_port, dst_port) = if self.has_one_value() {
            (self.src_port, self.dst_port)
        } else {
            (self.dst_port, self.src_port)
        };
        Self { src: self.dst, dst: self.src, protocol: self.protocol, src_port, dst_port }
    }

    /// Whether the protocol has a type instead of two ports.
    #[must_use]
    pub const fn has_one_value(&self) -> bool {
        matches!(IpProtocol(self.protocol), IpProtocol::ICMP | IpProtocol::ICMPV6 | IpProtocol::MOBILITY)
    }

    /// Whether there may be ports, or a type, that do not show, as in a fragment behind the first; in IPv6 such a one may
    /// hide even the protocol, behind an extension header.
    #[must_use]
    pub const fn is_hidden(&self) -> bool {
        let has_ports = matches!(
            IpProtocol(self.protocol),
            IpProtocol::TCP | IpProtocol::UDP | IpProtocol::UDP_LITE | IpProtocol::SCTP | IpProtocol::DCCP
        );
        self.src_port.is_none() && (has_ports || self.has_one_value() || self.hides_protocol())
    }

    const fn hides_protocol(&self) -> bool {
        matches!(
            IpProtocol(self.protocol),
            IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::FRAGMENT | IpProtocol::DEST_OPTS
        )
    }

    /// Whether the packet may come from one of `sources` and go to one of `destinations`, by what shows of it.
    #[must_use]
    pub fn may_be_between(&self, sources: &[TrafficSelector], destinations: &[TrafficSelector]) -> bool {
        let may_be = |selector: &TrafficSelector, address: IpAddr| {
            let protocol = if self.hides_protocol() { selector.protocol() } else { self.protocol };
            selector.matches_address(address, protocol)
        };
        sources.iter().any(|one| may_be(one, self.src))
            && destinations.iter().any(|one| may_be(one, self.dst))
    }

    /// Whether the packet comes from `selector`.
    #[must_use]
    pub fn source_in(&self, selector: &TrafficSelector) -> bool {
        selector.matches(self.src, self.protocol, self.src_port)
    }

    /// Whether the packet goes to `selector`. Of a protocol with one value only address and protocol count here:
    /// the receiver's value says what the receiver may send (RFC 4301 §4.4.1.3).
    #[must_use]
    pub fn destination_in(&self, selector: &TrafficSelector) -> bool {
        if self.has_one_value() {
            selector.matches_address(self.dst, self.protocol)
        } else {
            selector.matches(self.dst, self.protocol, self.dst_port)
        }
    }

    /// Whether the packet comes from one of `sources` and goes to one of `destinations`.
    #[must_use]
    pub fn between(&self, sources: &[TrafficSelector], destinations: &[TrafficSelector]) -> bool {
        sources.iter().any(|one| self.source_in(one))
            && destinations.iter().any(|one| self.destination_in(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(text: &str) -> TrafficSelector {
        text.parse().unwrap()
    }

    #[test]
    fn packets_show_ports_types_or_nothing() {
        let v4 = |protocol: u8, fragment: u8, upper: [u8; 8]| {
            let mut packet = [0; 28];
            packet[..20].copy_from_slice(&[
                0x45, 0, 0, 28, 0, 0, 0, fragment, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
            ]);
            packet[20..].copy_from_slice(&upper);
            Flow::from_packet(&packet).unwrap()
        };
        let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let udp = [0x11, 0x94, 0, 53, 0, 8, 0, 0];
        assert_eq!(v4(17, 0, udp), Flow { src, dst, protocol: 17, src_port: Some(4500), dst_port: Some(53) });
        assert_eq!(v4(17, 1, udp), Flow { src, dst, protocol: 17, src_port: None, dst_port: None });
        let unreachable = Flow { src, dst, protocol: 1, src_port: Some(0x0304), dst_port: None };
        assert_eq!(v4(1, 0, [3, 4, 0, 0, 0, 0, 0, 0]), unreachable);
        assert_eq!(v4(50, 0, udp), Flow { src, dst, protocol: 50, src_port: None, dst_port: None });

        let mut v6 = [0; 48];
        v6[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 8, 135, 64]);
        v6[42] = 5;
        let binding = Flow::from_packet(&v6).unwrap();
        assert_eq!((binding.protocol, binding.src_port, binding.dst_port), (135, Some(0x0500), None));
        assert!(Flow::from_packet(&v6[..47]).is_err());
        assert!(Flow::from_packet(&[]).is_err());
    }

    #[test]
    fn ports_count_on_both_sides() {
        let flow = Flow {
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 1, 1].into(),
            protocol: 6,
            src_port: Some(4000),
            dst_port: Some(80),
        };
        assert!(flow.between(&[ts("10.0.0.0/24")], &[ts("10.0.1.0/24[tcp/80]")]));
        assert!(!flow.between(&[ts("10.0.0.0/24")], &[ts("10.0.1.0/24[tcp/81]")]));
        assert!(flow.reversed().between(&[ts("10.0.1.0/24[tcp/80]")], &[ts("10.0.0.0/24")]));
        assert_eq!(flow.reversed().reversed(), flow);
    }

    #[test]
    fn icmp_types_say_what_the_sender_may_send() {
        let echo = Flow {
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 1, 1].into(),
            protocol: 1,
            src_port: Some(8 << 8),
            dst_port: None,
        };
        let (local, remote) = ([ts("10.0.0.0/24[icmp/8]")], [ts("10.0.1.0/24[icmp/0]")]);
        assert!(echo.between(&local, &remote));
        let answer = Flow { src_port: Some(0), ..echo.reversed() };
        assert!(answer.between(&remote, &local));
        assert!(!echo.reversed().between(&remote, &local));
        // Send only: the other side's selector is OPAQUE.
        assert!(echo.between(&local, &[ts("10.0.1.0/24[icmp/opaque]")]));
    }
}
