//! A packet seen through its selectors: addresses, protocol and ports (RFC 4301 §4.4.1.1).

use core::net::IpAddr;

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

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const MOBILITY: u8 = 135;

impl Flow {
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
        matches!(self.protocol, ICMP | ICMPV6 | MOBILITY)
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
        let (local, remote) = ([ts("10.0.0.0/24[icmp/2048]")], [ts("10.0.1.0/24[icmp/0]")]);
        assert!(echo.between(&local, &remote));
        let answer = Flow { src_port: Some(0), ..echo.reversed() };
        assert!(answer.between(&remote, &local));
        assert!(!echo.reversed().between(&remote, &local));
        // Send only: the other side's selector is OPAQUE.
        assert!(echo.between(&local, &[ts("10.0.1.0/24[icmp/opaque]")]));
    }
}
