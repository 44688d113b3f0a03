//! IPv4 and IPv6 as IPsec needs them: headers, the upper layer and its ports, checksums.

pub mod checksum;
pub mod ext;
pub mod options;
pub mod v4;
pub mod v6;

use core::net::IpAddr;

pub use checksum::{internet_checksum, transport_checksum};
pub use ext::{ExtensionHeader, ExtensionHeaders, Fragment, IpsecPlace, PlaceError, Seek, UpperLayer};
pub use options::{Ipv4Option, Ipv4OptionType, Ipv4Options, Ipv6Option, Ipv6Options};
pub use v4::{Ipv4Header, Ipv4View};
pub use v6::{Ipv6Header, Ipv6View};

use crate::error::{ParseError, ParseErrorKind};
use crate::octets::u16_at;

crate::newtype_enum! {
    /// An IP protocol number: IPv4's Protocol, IPv6's and ESP's Next Header.
    pub struct IpProtocol(u8) {
        HOP_BY_HOP = 0 => "HOPOPT",
        ICMP = 1 => "ICMP",
        IGMP = 2 => "IGMP",
        IPV4 = 4 => "IPv4",
        TCP = 6 => "TCP",
        UDP = 17 => "UDP",
        DCCP = 33 => "DCCP",
        IPV6 = 41 => "IPv6",
        ROUTING = 43 => "IPv6-Route",
        FRAGMENT = 44 => "IPv6-Frag",
        GRE = 47 => "GRE",
        ESP = 50 => "ESP",
        AH = 51 => "AH",
        ICMPV6 = 58 => "IPv6-ICMP",
        NO_NEXT_HEADER = 59 => "IPv6-NoNxt",
        DEST_OPTS = 60 => "IPv6-Opts",
        OSPF = 89 => "OSPF",
        IPCOMP = 108 => "IPComp",
        L2TP = 115 => "L2TP",
        SCTP = 132 => "SCTP",
        MOBILITY = 135 => "Mobility",
        UDP_LITE = 136 => "UDPLite",
        HIP = 139 => "HIP",
        SHIM6 = 140 => "Shim6",
        WESP = 141 => "WESP",
        ROHC = 142 => "ROHC",
        ETHERNET = 143 => "Ethernet",
        AGGFRAG = 144 => "AGGFRAG",
        RESERVED = 255 => "Reserved",
    }
}

/// A packet of either version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpView<'a> {
    /// IPv4.
    V4(Ipv4View<'a>),
    /// IPv6.
    V6(Ipv6View<'a>),
}

impl<'a> IpView<'a> {
    /// Reads the header and finds the upper layer. Octets behind the length that the header declares are
    /// not part of the packet.
    ///
    /// # Errors
    /// `UnsupportedVersion` for anything but 4 and 6; as [`Ipv4View::parse`] and [`Ipv6View::parse`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => Ipv4View::parse(bytes).map(Self::V4),
            Some(6) => Ipv6View::parse(bytes).map(Self::V6),
            Some(other) => Err(ParseErrorKind::UnsupportedVersion(other).at(0)),
            None => Err(ParseErrorKind::Truncated.at(0)),
        }
    }

    /// 4 or 6.
    #[must_use]
    pub const fn version(&self) -> u8 {
        match self {
            Self::V4(_) => 4,
            Self::V6(_) => 6,
        }
    }

    /// The source address.
    #[must_use]
    pub fn src(&self) -> IpAddr {
        match self {
            Self::V4(view) => view.src().into(),
            Self::V6(view) => view.src().into(),
        }
    }

    /// The destination address.
    #[must_use]
    pub fn dst(&self) -> IpAddr {
        match self {
            Self::V4(view) => view.dst().into(),
            Self::V6(view) => view.dst().into(),
        }
    }

    /// IPv4's TOS or IPv6's traffic class: DSCP in the upper six bits, ECN in the lower two.
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        match self {
            Self::V4(view) => view.tos(),
            Self::V6(view) => view.traffic_class(),
        }
    }

    /// The TTL or hop limit.
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        match self {
            Self::V4(view) => view.ttl(),
            Self::V6(view) => view.hop_limit(),
        }
    }

    /// The octets of the packet, as many as the header declares.
    #[must_use]
    pub const fn packet(&self) -> &'a [u8] {
        match self {
            Self::V4(view) => view.packet(),
            Self::V6(view) => view.packet(),
        }
    }

    /// The protocol that policies select by, and where it starts.
    #[must_use]
    pub const fn upper_layer(&self) -> UpperLayer {
        match self {
            Self::V4(view) => view.upper_layer(),
            Self::V6(view) => view.upper_layer(),
        }
    }

    /// The octets of the upper layer.
    #[must_use]
    pub fn upper_payload(&self) -> &'a [u8] {
        self.packet().get(self.upper_layer().offset..).unwrap_or_default()
    }

    /// The octets where the upper layer's header is, if this packet has its start.
    fn upper_header(&self) -> Option<&'a [u8]> {
        let starts_here = self.upper_layer().fragment.is_none_or(|fragment| fragment.is_first());
        starts_here.then(|| self.upper_payload())
    }

    /// Source and destination port of TCP, UDP, UDP-Lite, SCTP and DCCP; `None` for other protocols, and
    /// where the ports are not in this packet: in a fragment other than the first, or cut off.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self.upper_layer().protocol {
            IpProtocol::TCP
            | IpProtocol::UDP
            | IpProtocol::UDP_LITE
            | IpProtocol::SCTP
            | IpProtocol::DCCP => {
                let header = self.upper_header()?;
                Some((u16_at(header, 0)?, u16_at(header, 2)?))
            }
            _ => None,
        }
    }

    /// Type and code of ICMP and ICMPv6, under the same conditions as [`Self::ports`].
    #[must_use]
    pub fn icmp(&self) -> Option<(u8, u8)> {
        match self.upper_layer().protocol {
            IpProtocol::ICMP | IpProtocol::ICMPV6 => {
                let &[kind, code] = self.upper_header()?.first_chunk()?;
                Some((kind, code))
            }
            _ => None,
        }
    }

    /// The Mobility Header type (RFC 4301 §4.4.1.1), under the same conditions as [`Self::ports`].
    #[must_use]
    pub fn mobility_type(&self) -> Option<u8> {
        match self.upper_layer().protocol {
            IpProtocol::MOBILITY => self.upper_header()?.get(2).copied(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const V4: Ipv4Header = Ipv4Header {
        tos: 0xb9,
        id: 0x1234,
        df: true,
        ttl: 63,
        protocol: IpProtocol::UDP,
        src: core::net::Ipv4Addr::new(192, 0, 2, 1),
        dst: core::net::Ipv4Addr::new(198, 51, 100, 2),
    };

    fn v6(next: IpProtocol, payload: &[&[u8]]) -> Vec<u8> {
        let header = Ipv6Header {
            traffic_class: 0xb9,
            flow_label: 0xa_bcde,
            next_header: next,
            hop_limit: 64,
            src: "2001:db8::1".parse().unwrap(),
            dst: "2001:db8::2".parse().unwrap(),
        };
        let payload = payload.concat();
        let mut packet = header.emit(payload.len() as u16).to_vec();
        packet.extend(payload);
        packet
    }

    #[test]
    fn ipv4_both_ways() {
        let mut packet = V4.emit(28).to_vec();
        packet.extend([0x01, 0xf4, 0x11, 0x94, 0, 8, 0, 0]);
        // The checksum was summed apart from this code.
        assert_eq!(hex::encode(&packet[..20]), "45b9001c123440003f113cadc0000201c6336402");
        packet.extend([0; 6]);
        let Ok(IpView::V4(view)) = IpView::parse(&packet) else { panic!("an IPv4 packet") };
        assert!(view.checksum_ok() && view.df() && !view.mf());
        assert_eq!((view.dscp(), view.ecn(), view.ttl(), view.id()), (46, 1, 63, 0x1234));
        assert_eq!((view.src(), view.dst(), view.protocol()), (V4.src, V4.dst, V4.protocol));
        assert_eq!((view.packet().len(), view.payload().len(), view.options().len()), (28, 8, 0));
        let view = IpView::parse(&packet).unwrap();
        assert_eq!((view.ports(), view.icmp()), (Some((500, 4500)), None));
        assert_eq!(view.upper_layer(), UpperLayer { protocol: IpProtocol::UDP, offset: 20, fragment: None });
    }

    #[test]
    fn ipv4_lengths_that_cannot_be() {
        let error = |at: usize, value: u8| {
            let mut packet = V4.emit(20);
            packet[at] = value;
            IpView::parse(&packet).unwrap_err()
        };
        assert_eq!(error(0, 0x44), ParseErrorKind::BadLength.at(0));
        assert_eq!(error(0, 0x46), ParseErrorKind::BadLength.at(2));
        assert_eq!(error(3, 19), ParseErrorKind::BadLength.at(2));
        assert_eq!(error(3, 21), ParseErrorKind::Truncated.at(2));
        assert_eq!(error(0, 0x55), ParseErrorKind::UnsupportedVersion(5).at(0));
        assert_eq!(IpView::parse(&[]), Err(ParseErrorKind::Truncated.at(0)));
        assert_eq!(IpView::parse(&V4.emit(20)[..19]), Err(ParseErrorKind::Truncated.at(0)));
    }

    #[test]
    fn ipv4_fragments_hide_the_ports() {
        let mut packet = V4.emit(28).to_vec();
        packet.extend([0, 1, 0, 2, 0, 0, 0, 0]);
        packet[6..8].copy_from_slice(&[0x20, 0x00]);
        let first = IpView::parse(&packet).unwrap();
        assert_eq!(first.ports(), Some((1, 2)));
        assert_eq!(first.upper_layer().fragment, Some(Fragment { offset: 0, more: true, id: 0x1234 }));
        packet[6..8].copy_from_slice(&[0x00, 0xb9]);
        let second = IpView::parse(&packet).unwrap();
        assert_eq!(second.ports(), None);
        assert_eq!(second.upper_layer().fragment, Some(Fragment { offset: 1480, more: false, id: 0x1234 }));
    }

    #[test]
    fn ipv6_both_ways_and_behind_extension_headers() {
        let plain = v6(IpProtocol::ICMPV6, &[&[128, 0, 1, 2]]);
        assert_eq!(hex::encode(&plain[..8]), "6b9abcde00043a40");
        let Ok(IpView::V6(view)) = IpView::parse(&plain) else { panic!("an IPv6 packet") };
        assert_eq!((view.dscp(), view.ecn(), view.flow_label(), view.hop_limit()), (46, 1, 0xa_bcde, 64));
        assert_eq!(
            (view.src(), view.dst()),
            ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap())
        );
        assert_eq!(IpView::parse(&plain).unwrap().icmp(), Some((128, 0)));

        let hop = [43, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let routing = [60, 0, 0, 0, 0, 0, 0, 0];
        let options = [6, 0, 1, 4, 0, 0, 0, 0];
        let tcp = [0, 22, 0x80, 0, 0, 0, 0, 0];
        let packet = v6(IpProtocol::HOP_BY_HOP, &[&hop, &routing, &options, &tcp]);
        let view = IpView::parse(&packet).unwrap();
        assert_eq!(view.upper_layer(), UpperLayer { protocol: IpProtocol::TCP, offset: 72, fragment: None });
        assert_eq!((view.ports(), view.upper_payload()), (Some((22, 0x8000)), &tcp[..]));
        for cut in 40..72 {
            let mut short = packet[..cut].to_vec();
            short[5] = (cut - 40) as u8;
            assert!(IpView::parse(&short).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn extension_headers_one_by_one() {
        let udp = [0, 53, 0, 54, 0, 8, 0, 0];
        let hop = [43, 0, 5, 2, 0, 0, 1, 0];
        let routing = [44, 0, 4, 1, 0, 0, 0, 0];
        let fragment = [17, 0, 0, 1, 0, 0, 0, 9];
        let packet = v6(IpProtocol::HOP_BY_HOP, &[&hop, &routing, &fragment, &udp]);
        let view = Ipv6View::parse(&packet).unwrap();
        let headers: Vec<_> = view.extension_headers().collect();
        assert_eq!(
            headers.iter().map(|h| (h.protocol, h.offset, h.octets)).collect::<Vec<_>>(),
            [
                (IpProtocol::HOP_BY_HOP, 40, &hop[..]),
                (IpProtocol::ROUTING, 48, &routing),
                (IpProtocol::FRAGMENT, 56, &fragment)
            ]
        );
        assert_eq!(headers[0].options().map(|options| options.count()), Some(2));
        assert_eq!((headers[1].routing(), headers[2].routing()), (Some((4, 1)), None));
        assert_eq!(headers[2].next_header, IpProtocol::UDP);
        assert_eq!(Ipv6View::parse(&v6(IpProtocol::UDP, &[&udp])).unwrap().extension_headers().count(), 0);
    }

    #[test]
    fn ipv6_fragments() {
        let udp = [0, 53, 0, 54, 0, 8, 0, 0];
        let first = v6(IpProtocol::FRAGMENT, &[&[17, 0, 0, 1, 0, 0, 0, 9], &udp]);
        let view = IpView::parse(&first).unwrap();
        assert_eq!(view.ports(), Some((53, 54)));
        assert_eq!(view.upper_layer().fragment, Some(Fragment { offset: 0, more: true, id: 9 }));
        // What follows a later fragment's header is data, whatever it looks like.
        let later = v6(IpProtocol::FRAGMENT, &[&[60, 0, 5, 0xa8, 0, 0, 0, 9], &udp]);
        let view = IpView::parse(&later).unwrap();
        let fragment = Some(Fragment { offset: 1448, more: false, id: 9 });
        assert_eq!(view.upper_layer(), UpperLayer { protocol: IpProtocol::DEST_OPTS, offset: 48, fragment });
        assert_eq!(view.ports(), None);
    }

    #[test]
    fn the_walk_is_bounded() {
        let options = [60, 0, 1, 4, 0, 0, 0, 0];
        let last = [17, 0, 1, 4, 0, 0, 0, 0];
        let chain = |n: usize| {
            let mut headers: Vec<&[u8]> = (1..n).map(|_| &options[..]).collect();
            headers.push(&last);
            v6(IpProtocol::DEST_OPTS, &headers)
        };
        assert!(IpView::parse(&chain(ext::MAX_EXTENSION_HEADERS)).is_ok());
        let error = IpView::parse(&chain(ext::MAX_EXTENSION_HEADERS + 1)).unwrap_err();
        assert_eq!(error.kind, ParseErrorKind::TooMany(crate::Counted::ExtensionHeaders));
    }

    #[test]
    fn transport_checksums_cover_the_pseudo_header() {
        // An echo request between the addresses, its checksum summed apart from this code.
        let (src, dst) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        let mut echo = [128, 0, 0, 0, 0, 1, 0, 1];
        let checksum = transport_checksum(src, dst, IpProtocol::ICMPV6, &echo).unwrap();
        assert_eq!(checksum, 0x2446);
        echo[2..4].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(transport_checksum(src, dst, IpProtocol::ICMPV6, &echo), Some(0));
        assert_eq!(transport_checksum(src, V4.src.into(), IpProtocol::UDP, &[]), None);
    }
}
