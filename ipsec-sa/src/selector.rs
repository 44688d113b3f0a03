//! Traffic selectors (RFC 4301 §4.4.1.1, RFC 7296 §3.13.1): which packets an SA or a policy is about.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;
use core::str::FromStr;

use ipsec_wire::ike;
use thiserror::Error;

/// One range of addresses with a protocol and a range of ports, on one side of an SA.
///
/// Ports are `start..=end`. All of 0..=65535 means ANY, which takes packets whose ports cannot be seen too;
/// (65535, 0) means OPAQUE: only such packets (RFC 7296 §3.13.1). ICMP carries its type in the high and its code
/// in the low octet of the "port", Mobility Header its type in the high octet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TrafficSelector {
    protocol: u8,
    ports: (u16, u16),
    start: IpAddr,
    end: IpAddr,
}

/// Why a traffic selector was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// One IPv4 and one IPv6 address.
    #[error("addresses of two families")]
    MixedFamilies,
    /// The first address is above the last.
    #[error("range of addresses ends before it starts")]
    AddressOrder,
    /// The first port is above the last, and they are not OPAQUE's 65535 and 0.
    #[error("range of ports ends before it starts")]
    PortOrder,
    /// More prefix bits than the address has.
    #[error("prefix longer than the address")]
    PrefixLength,
    /// Text that is not an address, prefix or range with optional `[protocol/ports]`.
    #[error("not a traffic selector")]
    Syntax,
}

const ANY_PORTS: (u16, u16) = (0, 65535);
const OPAQUE_PORTS: (u16, u16) = (65535, 0);

/// Names taken and printed in `[protocol/ports]`.
const PROTOCOLS: &[(u8, &str)] = &[
    (1, "icmp"),
    (6, "tcp"),
    (17, "udp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmpv6"),
    (132, "sctp"),
    (135, "mobility"),
    (136, "udplite"),
];

impl TrafficSelector {
    /// A TS payload counts its selectors in one octet (RFC 7296 §3.13), so no list here grows past this.
    pub const MAX_COUNT: usize = 255;

    /// A selector from its parts; `protocol` 0 is any, `ports` 65535..=0 is OPAQUE.
    ///
    /// # Errors
    /// [`SelectorError::MixedFamilies`], [`SelectorError::AddressOrder`], [`SelectorError::PortOrder`].
    pub fn new(
        protocol: u8,
        ports: RangeInclusive<u16>,
        start: IpAddr,
        end: IpAddr,
    ) -> Result<Self, SelectorError> {
        let ports = (*ports.start(), *ports.end());
        if start.is_ipv4() != end.is_ipv4() {
            return Err(SelectorError::MixedFamilies);
        }
        if start > end {
            return Err(SelectorError::AddressOrder);
        }
        if ports.0 > ports.1 && ports != OPAQUE_PORTS {
            return Err(SelectorError::PortOrder);
        }
        Ok(Self { protocol, ports, start, end })
    }

    /// All of IPv4.
    #[must_use]
    pub const fn any_v4() -> Self {
        Self {
            protocol: 0,
            ports: ANY_PORTS,
            start: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            end: IpAddr::V4(Ipv4Addr::BROADCAST),
        }
    }

    /// All of IPv6.
    #[must_use]
    pub const fn any_v6() -> Self {
        Self {
            protocol: 0,
            ports: ANY_PORTS,
            start: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            end: IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
        }
    }

    /// All addresses that share `bits` leading bits with `address`.
    ///
    /// # Errors
    /// [`SelectorError::PrefixLength`].
    pub fn prefix(address: IpAddr, bits: u8) -> Result<Self, SelectorError> {
        let (start, end) = match address {
            IpAddr::V4(address) => {
                let host = match bits {
                    0..=31 => u32::MAX >> bits,
                    32 => 0,
                    _ => return Err(SelectorError::PrefixLength),
                };
                let address = address.to_bits();
                (Ipv4Addr::from_bits(address & !host).into(), Ipv4Addr::from_bits(address | host).into())
            }
            IpAddr::V6(address) => {
                let host = match bits {
                    0..=127 => u128::MAX >> bits,
                    128 => 0,
                    _ => return Err(SelectorError::PrefixLength),
                };
                let address = address.to_bits();
                (Ipv6Addr::from_bits(address & !host).into(), Ipv6Addr::from_bits(address | host).into())
            }
        };
        Ok(Self { protocol: 0, ports: ANY_PORTS, start, end })
    }

    /// One address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self { protocol: 0, ports: ANY_PORTS, start: address, end: address }
    }

    /// The selector that stands in a TS payload. `None`: it is no address range, or selects nothing because it ends
    /// before it starts.
    #[must_use]
    pub fn from_wire(view: ike::TrafficSelectorView<'_>) -> Option<Self> {
        let (start, end) = view.addresses()?;
        Self::new(view.protocol, view.start_port..=view.end_port, start, end).ok()
    }

    /// The same addresses and ports for one protocol; 0 is any.
    #[must_use]
    pub const fn with_protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    /// The same addresses with other ports. 65535..=0 is OPAQUE; another range that runs backwards is turned round.
    #[must_use]
    pub fn with_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        let (start, end) = (*ports.start(), *ports.end());
        self.ports = if start > end && (start, end) != OPAQUE_PORTS { (end, start) } else { (start, end) };
        self
    }

    /// The IP protocol number; 0 is any.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// First and last port; (65535, 0) is OPAQUE.
    #[must_use]
    pub const fn ports(&self) -> (u16, u16) {
        self.ports
    }

    /// The first address.
    #[must_use]
    pub const fn start(&self) -> IpAddr {
        self.start
    }

    /// The last address.
    #[must_use]
    pub const fn end(&self) -> IpAddr {
        self.end
    }

    /// Whether every port is in, and packets whose ports cannot be seen.
    #[must_use]
    pub fn is_any_port(&self) -> bool {
        self.ports == ANY_PORTS
    }

    /// Whether only packets whose ports cannot be seen are in.
    #[must_use]
    pub fn is_opaque_port(&self) -> bool {
        self.ports == OPAQUE_PORTS
    }

    /// Whether the addresses are IPv4.
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        self.start.is_ipv4()
    }

    /// Whether this side of a packet is in. `port` is `None` where it cannot be seen: a fragment behind the first,
    /// or a protocol without ports. Such a packet is in ANY and in OPAQUE only (RFC 4301 §4.4.1.1).
    #[must_use]
    pub fn matches(&self, address: IpAddr, protocol: u8, port: Option<u16>) -> bool {
        let port_in = match port {
            _ if self.ports == ANY_PORTS => true,
            None => self.ports == OPAQUE_PORTS,
            Some(port) => self.ports.0 <= port && port <= self.ports.1,
        };
        port_in && self.matches_address(address, protocol)
    }

    /// Whether address and protocol are in, whatever the ports.
    #[must_use]
    pub fn matches_address(&self, address: IpAddr, protocol: u8) -> bool {
        (self.protocol == 0 || self.protocol == protocol) && self.start <= address && address <= self.end
    }

    /// What is in both; `None` when nothing is.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let protocol = match (self.protocol, other.protocol) {
            (0, one) | (one, 0) => one,
            (one, two) if one == two => one,
            _ => return None,
        };
        let ports = match (self.ports, other.ports) {
            (ANY_PORTS, one) | (one, ANY_PORTS) => one,
            (one, two) if one == two => one,
            (OPAQUE_PORTS, _) | (_, OPAQUE_PORTS) => return None,
            // Of port 65535 and port 0 nothing is left, least of all OPAQUE.
            (one, two) if one.0.max(two.0) > one.1.min(two.1) => return None,
            (one, two) => (one.0.max(two.0), one.1.min(two.1)),
        };
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        // `IpAddr` orders every IPv4 address below every IPv6 one, so two families never overlap.
        (start <= end).then_some(Self { protocol, ports, start, end })
    }

    /// Whether all that is in `self` is in `other` too.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.intersect(other) == Some(*self)
    }

    /// The length of the prefix that the addresses are, where they are one.
    #[must_use]
    pub fn prefix_len(&self) -> Option<u8> {
        let (first, last, width) = match (self.start, self.end) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                (u128::from(first.to_bits()), u128::from(last.to_bits()), 32)
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits(), last.to_bits(), 128),
            _ => return None,
        };
        // A prefix: the ends differ in trailing bits only, all 0 in the first and all 1 in the last.
        let host = first ^ last;
        let aligned = host & host.wrapping_add(1) == 0 && first & host == 0;
        let host_bits = u128::BITS - host.leading_zeros();
        if aligned { u8::try_from(width - host_bits).ok() } else { None }
    }
}

impl From<&TrafficSelector> for ike::TrafficSelector {
    fn from(selector: &TrafficSelector) -> Self {
        Self::range(selector.protocol, selector.ports.0..=selector.ports.1, selector.start, selector.end)
    }
}

/// The intersection of two lists: what an offer leaves of a configuration (RFC 7296 §2.9).
///
/// The order is that of `offered`, then of `configured`, so that equal inputs give equal octets; nothing that is
/// inside another result stays; at most [`TrafficSelector::MAX_COUNT`] selectors result.
#[must_use]
pub fn narrow(offered: &[TrafficSelector], configured: &[TrafficSelector]) -> Vec<TrafficSelector> {
    let mut common: Vec<TrafficSelector> = Vec::new();
    for offer in offered {
        for own in configured {
            let Some(both) = offer.intersect(own) else { continue };
            if common.iter().any(|known| both.is_subset_of(known)) {
                continue;
            }
            common.retain(|known| !known.is_subset_of(&both));
            if common.len() < TrafficSelector::MAX_COUNT {
                common.push(both);
            }
        }
    }
    common
}

/// Whether one selector of `set` holds all of `selector`. A union that covers it only together does not count.
#[must_use]
pub fn covers(set: &[TrafficSelector], selector: &TrafficSelector) -> bool {
    set.iter().any(|one| selector.is_subset_of(one))
}

/// `10.1.0.0/24`, `10.0.0.1-10.0.0.9`, `::/0`, with `[tcp]`, `[tcp/80]`, `[17/500-600]` or `[tcp/opaque]` behind. ICMP
/// and the Mobility Header have types in the place of ports, and codes behind a dot: `[icmp/8]`, `[icmp/3.4]`,
/// `[icmpv6/128-129]`.
impl fmt::Display for TrafficSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_len() {
            Some(bits) => write!(f, "{}/{bits}", self.start)?,
            None => write!(f, "{}-{}", self.start, self.end)?,
        }
        if self.protocol == 0 && self.is_any_port() {
            return Ok(());
        }
        match PROTOCOLS.iter().find(|(number, _)| *number == self.protocol) {
            Some((_, name)) => write!(f, "[{name}")?,
            None if self.protocol == 0 => write!(f, "[any")?,
            None => write!(f, "[{}", self.protocol)?,
        }
        match self.ports {
            ANY_PORTS => {}
            OPAQUE_PORTS => write!(f, "/opaque")?,
            (start, end) if has_types(self.protocol) => {
                let [[first, low], [last, high]] = [start, end].map(u16::to_be_bytes);
                match (low, high) {
                    (0, 255) if first == last => write!(f, "/{first}")?,
                    (0, 255) => write!(f, "/{first}-{last}")?,
                    _ if start == end => write!(f, "/{first}.{low}")?,
                    _ => write!(f, "/{first}.{low}-{last}.{high}")?,
                }
            }
            (start, end) if start == end => write!(f, "/{start}")?,
            (start, end) => write!(f, "/{start}-{end}")?,
        }
        write!(f, "]")
    }
}

impl FromStr for TrafficSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        let (addresses, suffix) = match text.strip_suffix(']') {
            Some(text) => {
                let (addresses, suffix) = text.split_once('[').ok_or(SelectorError::Syntax)?;
                (addresses, Some(suffix))
            }
            None => (text, None),
        };
        let base = parse_addresses(addresses)?;
        let Some(suffix) = suffix else { return Ok(base) };
        let (protocol, ports) = match suffix.split_once('/') {
            Some((protocol, ports)) => {
                let protocol = parse_protocol(protocol)?;
                (protocol, parse_ports(ports, has_types(protocol))?)
            }
            None => (parse_protocol(suffix)?, ANY_PORTS),
        };
        Self::new(protocol, ports.0..=ports.1, base.start, base.end)
    }
}

fn parse_addresses(text: &str) -> Result<TrafficSelector, SelectorError> {
    let address = |text: &str| text.parse::<IpAddr>().map_err(|_| SelectorError::Syntax);
    if let Some((start, end)) = text.split_once('-') {
        return TrafficSelector::new(0, 0..=65535, address(start)?, address(end)?);
    }
    match text.split_once('/') {
        Some((start, bits)) => {
            TrafficSelector::prefix(address(start)?, bits.parse().map_err(|_| SelectorError::Syntax)?)
        }
        None => Ok(TrafficSelector::host(address(text)?)),
    }
}

fn parse_protocol(text: &str) -> Result<u8, SelectorError> {
    if text == "any" {
        return Ok(0);
    }
    match PROTOCOLS.iter().find(|(_, name)| *name == text) {
        Some((number, _)) => Ok(*number),
        None => text.parse().map_err(|_| SelectorError::Syntax),
    }
}

/// Whether there are types in the place of ports (RFC 4301 §4.4.1.1).
const fn has_types(protocol: u8) -> bool {
    matches!(protocol, 1 | 58 | 135)
}

fn parse_ports(text: &str, types: bool) -> Result<(u16, u16), SelectorError> {
    fn number<T: FromStr>(text: &str) -> Result<T, SelectorError> {
        text.parse().map_err(|_| SelectorError::Syntax)
    }
    // A type without a code is all of its codes.
    let bound = |text: &str, code: u8| match text.split_once('.') {
        _ if !types => number::<u16>(text),
        Some((kind, code)) => Ok(u16::from_be_bytes([number(kind)?, number(code)?])),
        None => Ok(u16::from_be_bytes([number(text)?, code])),
    };
    match text {
        "any" => Ok(ANY_PORTS),
        "opaque" => Ok(OPAQUE_PORTS),
        _ => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let ports = (bound(first, 0)?, bound(last, 255)?);
            if ports.0 <= ports.1 { Ok(ports) } else { Err(SelectorError::PortOrder) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    use proptest::prelude::*;

    fn ts(text: &str) -> TrafficSelector {
        text.parse().unwrap()
    }

    #[test]
    fn icmp_has_types_and_codes_for_ports() {
        assert_eq!(ts("10.0.0.0/8[icmp/8]").ports(), (0x0800, 0x08ff));
        assert_eq!(ts("10.0.0.0/8[icmp/3.4]").ports(), (0x0304, 0x0304));
        assert_eq!(ts("10.0.0.0/8[icmp/0-8]").ports(), (0, 0x08ff));
        assert_eq!("10.0.0.0/8[icmp/2048]".parse::<TrafficSelector>(), Err(SelectorError::Syntax));
        assert_eq!("10.0.0.0/8[tcp/3.4]".parse::<TrafficSelector>(), Err(SelectorError::Syntax));
    }

    #[test]
    fn port_zero_and_the_last_port_have_nothing_in_common() {
        let [zero, last] = ["10.0.0.0/8[tcp/0]", "10.0.0.0/8[tcp/65535]"].map(ts);
        assert_eq!((zero.intersect(&last), last.intersect(&zero)), (None, None));
        assert_eq!(narrow(&[zero], &[last]), []);
        let opaque = ts("10.0.0.0/8[tcp/opaque]");
        assert_eq!(opaque.intersect(&opaque), Some(opaque));
    }

    #[test]
    fn text_goes_both_ways() {
        for text in [
            "10.1.0.0/24",
            "10.1.0.0/24[tcp/80]",
            "10.0.0.1-10.0.0.9",
            "10.0.0.1/32[udp/500-600]",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/32[icmpv6/128]",
            "10.0.0.0/8[icmp/3.4]",
            "10.0.0.0/8[icmp/8-13]",
            "10.0.0.0/8[icmp/3.1-4.0]",
            "2001:db8::/32[mobility/5]",
            "2001:db8::1-2001:db8::7[132]",
            "10.0.0.0/8[tcp/opaque]",
            "10.0.0.0/8[any/7]",
        ] {
            let expected = text.replace("[132]", "[sctp]");
            assert_eq!(ts(text).to_string(), expected);
        }
        assert_eq!(ts("10.1.2.3/24"), ts("10.1.2.0/24"));
        assert_eq!(ts("10.1.2.3"), ts("10.1.2.3/32"));
        assert_eq!(ts("0.0.0.0/0"), TrafficSelector::any_v4());
        assert_eq!(ts("::/0"), TrafficSelector::any_v6());
        assert_eq!(ts("10.0.0.0-10.0.0.255").to_string(), "10.0.0.0/24");
        for text in
            ["", "10.1.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "10.0.0.1[tcp/9-1]", "x", "10.0.0.1]"]
        {
            assert!(text.parse::<TrafficSelector>().is_err(), "{text}");
        }
    }

    #[test]
    fn opaque_is_only_for_packets_without_ports() {
        let address = IpAddr::from([10, 0, 0, 1]);
        let (any, opaque, one) = (ts("10.0.0.0/8"), ts("10.0.0.0/8[tcp/opaque]"), ts("10.0.0.0/8[tcp/80]"));
        assert!(any.matches(address, 6, None) && any.matches(address, 6, Some(80)));
        assert!(opaque.matches(address, 6, None) && !opaque.matches(address, 6, Some(80)));
        assert!(!one.matches(address, 6, None) && one.matches(address, 6, Some(80)));
        assert!(!one.matches(address, 17, Some(80)));
        assert_eq!(any.intersect(&opaque), Some(opaque));
        assert_eq!(one.intersect(&opaque), None);
        assert!(opaque.is_subset_of(&any) && !any.is_subset_of(&opaque));
    }

    #[test]
    fn narrowing_keeps_order_and_drops_what_is_inside() {
        let offered = [ts("10.1.0.0/24[tcp/80]"), ts("10.1.0.0/16"), ts("::/0")];
        let configured = [ts("10.1.0.0/17"), ts("10.1.128.0/17[udp]"), ts("2001:db8::/32")];
        assert_eq!(
            narrow(&offered, &configured),
            vec![ts("10.1.0.0/17"), ts("10.1.128.0/17[udp]"), ts("2001:db8::/32")]
        );
        assert!(narrow(&[ts("192.0.2.0/24")], &configured).is_empty());
        assert!(covers(&configured, &ts("10.1.2.0/24")) && !covers(&configured, &ts("10.1.0.0/16")));
    }

    #[test]
    fn a_ts_payload_carries_all_of_a_selector() {
        let selectors =
            [ts("10.1.0.0/24[tcp/80-90]"), ts("10.0.0.1-10.0.0.9[icmp/opaque]"), ts("2001:db8::/32")];
        let payload = ike::Ts::new(selectors.iter().map(ike::TrafficSelector::from).collect());
        let message = ike::MessageBuilder::new(
            [1; 8].into(),
            [2; 8].into(),
            ike::ExchangeType::IKE_AUTH,
            ike::Flags::INITIATOR,
            1,
        )
        .with(ike::Payload::TsI(payload))
        .emit();
        let view = ike::MessageView::parse(&message, &ipsec_wire::Limits::default()).unwrap();
        let read: Vec<_> = view
            .payloads()
            .filter_map(|payload| match payload.kind() {
                ike::PayloadKind::TsI(ts) => Some(ts.selectors().map(TrafficSelector::from_wire)),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(read, selectors.map(Some));
        let backwards = ike::TrafficSelectorView {
            ts_type: ike::TsType::IPV4_ADDR_RANGE,
            protocol: 0,
            start_port: 0,
            end_port: 65535,
            body: &[10, 0, 0, 2, 10, 0, 0, 1],
        };
        assert_eq!(TrafficSelector::from_wire(backwards), None);
    }

    /// A small world, so that sets of packets can be compared element by element.
    fn small() -> impl Strategy<Value = TrafficSelector> {
        (
            0u8..3,
            0u8..8,
            0u8..8,
            prop_oneof![
                Just((0u16, 65535u16)),
                Just((65535, 0)),
                (0u16..4, 0u16..4).prop_map(|(a, b)| (a.min(b), a.max(b)))
            ],
        )
            .prop_map(|(protocol, a, b, ports)| {
                let (low, high) = (a.min(b), a.max(b));
                let address = |last| IpAddr::from([10, 0, 0, last]);
                TrafficSelector::new(protocol, ports.0..=ports.1, address(low), address(high)).unwrap()
            })
    }

    fn packets() -> impl Iterator<Item = (IpAddr, u8, Option<u16>)> {
        (0u8..9).flat_map(|last| {
            (1u8..4).flat_map(move |protocol| {
                [None, Some(0), Some(1), Some(2), Some(3), Some(9), Some(65535)]
                    .map(|port| (IpAddr::from([10, 0, 0, last]), protocol, port))
            })
        })
    }

    proptest! {
        #[test]
        fn intersection_is_that_of_the_sets(a in small(), b in small()) {
            let both = a.intersect(&b);
            prop_assert_eq!(both, b.intersect(&a));
            for (address, protocol, port) in packets() {
                let expected = a.matches(address, protocol, port) && b.matches(address, protocol, port);
                prop_assert_eq!(both.is_some_and(|both| both.matches(address, protocol, port)), expected);
            }
        }

        #[test]
        fn narrowing_is_the_intersection_of_the_unions(
            offered in proptest::collection::vec(small(), 0..5),
            configured in proptest::collection::vec(small(), 0..5),
        ) {
            let common = narrow(&offered, &configured);
            let within = |set: &[TrafficSelector], (address, protocol, port)| {
                set.iter().any(|one| one.matches(address, protocol, port))
            };
            for packet in packets() {
                prop_assert_eq!(within(&common, packet), within(&offered, packet) && within(&configured, packet));
            }
            for (i, one) in common.iter().enumerate() {
                prop_assert!(common.iter().enumerate().all(|(j, other)| i == j || !one.is_subset_of(other)));
            }
        }

        #[test]
        fn printed_selectors_read_back(one in small()) {
            prop_assert_eq!(one.to_string().parse::<TrafficSelector>(), Ok(one));
        }
    }
}
