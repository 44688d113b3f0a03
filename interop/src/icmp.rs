//! ICMP echo over IPv4 (RFC 792) and IPv6 (RFC 4443): what a host behind our gateway would send and answer.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const ICMP_HEADER: usize = 8;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// The types of a request and of a reply.
const TYPES: (u8, u8) = (8, 0);
const TYPES_V6: (u8, u8) = (128, 129);
const HOP_LIMIT: u8 = 64;

/// An echo request or reply.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     Type      |     Code      |          Checksum             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |           Identifier          |        Sequence Number        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     Data ...
/// +-+-+-+-+-
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Echo {
    /// Source address.
    pub(crate) source: IpAddr,
    /// Destination address, of the same family.
    pub(crate) destination: IpAddr,
    /// A reply, or else a request.
    pub(crate) reply: bool,
    /// Which ping it belongs to.
    pub(crate) identifier: u16,
    /// Its number.
    pub(crate) sequence: u16,
    /// What comes back unchanged.
    pub(crate) data: Vec<u8>,
}

impl Echo {
    /// Reads an IP packet; `None` when it is not a whole and unharmed ICMP echo. IPv4 may have options.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let (source, destination, icmp, (request, reply), pseudo) = match packet.first()? >> 4 {
            4 => {
                let header = packet.get(..IPV4_HEADER)?;
                let length = usize::from(header[0] & 0x0f) * 4;
                let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
                let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
                let unharmed = length >= IPV4_HEADER && sum(packet.get(..length)?) == 0xffff;
                if fragment != 0 || header[9] != ICMP || !unharmed {
                    return None;
                }
                let address = |at: usize| {
                    IpAddr::V4(Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]))
                };
                (address(12), address(16), packet.get(length..total)?, TYPES, 0)
            }
            6 => {
                let header = packet.get(..IPV6_HEADER)?;
                let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
                if header[6] != ICMPV6 {
                    return None;
                }
                let address = |at: usize| {
                    let octets: Option<[u8; 16]> = header.get(at..at + 16)?.try_into().ok();
                    octets.map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
                };
                let icmp = packet.get(IPV6_HEADER..IPV6_HEADER + length)?;
                (address(8)?, address(24)?, icmp, TYPES_V6, pseudo_header(&header[8..], length))
            }
            _ => return None,
        };
        if icmp.len() < ICMP_HEADER || fold(sum(icmp) + pseudo) != 0xffff {
            return None;
        }
        let reply = match (icmp[0], icmp[1]) {
            (kind, 0) if kind == reply => true,
            (kind, 0) if kind == request => false,
            _ => return None,
        };
        Some(Echo {
            source,
            destination,
            reply,
            identifier: u16::from_be_bytes([icmp[4], icmp[5]]),
            sequence: u16::from_be_bytes([icmp[6], icmp[7]]),
            data: icmp[ICMP_HEADER..].to_vec(),
        })
    }

    /// The IP packet.
    pub(crate) fn emit(&self) -> Vec<u8> {
        let length = ICMP_HEADER + self.data.len();
        let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        let mut packet;
        let (request, reply, pseudo);
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                packet = vec![0; IPV4_HEADER];
                packet[0] = 0x45;
                packet[2..4].copy_from_slice(&short(IPV4_HEADER + length));
                packet[4..6].copy_from_slice(&self.sequence.to_be_bytes());
                packet[8..10].copy_from_slice(&[HOP_LIMIT, ICMP]);
                packet[12..16].copy_from_slice(&source.octets());
                packet[16..20].copy_from_slice(&destination.octets());
                let checksum = !sum(&packet) as u16;
                packet[10..12].copy_from_slice(&checksum.to_be_bytes());
                ((request, reply), pseudo) = (TYPES, 0);
            }
            (source, destination) => {
                let octets = |address| match address {
                    IpAddr::V4(address) => Ipv4Addr::to_ipv6_mapped(&address).octets(),
                    IpAddr::V6(address) => address.octets(),
                };
                packet = vec![0; IPV6_HEADER];
                packet[0] = 0x60;
                packet[4..6].copy_from_slice(&short(length));
                packet[6..8].copy_from_slice(&[ICMPV6, HOP_LIMIT]);
                packet[8..24].copy_from_slice(&octets(source));
                packet[24..40].copy_from_slice(&octets(destination));
                ((request, reply), pseudo) = (TYPES_V6, pseudo_header(&packet[8..], length));
            }
        }
        let at = packet.len();
        packet.extend_from_slice(&[if self.reply { reply } else { request }, 0, 0, 0]);
        packet.extend_from_slice(&self.identifier.to_be_bytes());
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.data);
        let checksum = !fold(sum(&packet[at..]) + pseudo) as u16;
        packet[at + 2..at + 4].copy_from_slice(&checksum.to_be_bytes());
        packet
    }

    /// The reply to a request.
    pub(crate) fn answer(self) -> Self {
        Echo { source: self.destination, destination: self.source, reply: true, ..self }
    }
}

/// The sum over IPv6's pseudo header (RFC 8200 §8.1), given both addresses.
fn pseudo_header(addresses: &[u8], length: usize) -> u32 {
    sum(addresses) + u32::from(ICMPV6) + u32::try_from(length).unwrap_or(u32::MAX)
}

/// The Internet checksum's sum (RFC 1071), folded to 16 bits; 0xffff over data that holds its own checksum.
fn sum(octets: &[u8]) -> u32 {
    fold(
        octets
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
            .sum(),
    )
}

const fn fold(sum: u32) -> u32 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured on a loopback interface: `ping -c 1 -s 24 127.0.0.1` of iputils.
    const REQUEST: &str = "450000341fc7400040011d007f0000017f0000010800df19573a0001\
                           524f016b0000000018a00900000000001011121314151617";
    /// The same of `ping -6 -c 1 -s 24 ::1`.
    const REQUEST_V6: &str = "600c515300203a400000000000000000000000000000000100000000000000000000000000000001\
                              80004850739e0001fa7b016b00000000717c0a00000000001011121314151617";

    fn echo() -> Echo {
        Echo {
            source: Ipv4Addr::new(10, 1, 0, 1).into(),
            destination: Ipv4Addr::new(10, 2, 0, 1).into(),
            reply: false,
            identifier: 0x1234,
            sequence: 7,
            data: b"odd octets.".to_vec(),
        }
    }

    fn echo_v6() -> Echo {
        let (source, destination) = (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into());
        Echo { source, destination, ..echo() }
    }

    #[test]
    fn what_is_emitted_is_parsed() {
        for echo in [echo(), echo_v6()] {
            assert_eq!(Echo::parse(&echo.emit()), Some(echo.clone()));
            let answer = echo.clone().answer();
            assert_eq!((answer.reply, answer.source), (true, echo.destination));
            assert_eq!(Echo::parse(&answer.emit()), Some(answer));
        }
    }

    #[test]
    fn real_pings_are_parsed() {
        let packet = hex::decode(REQUEST).unwrap();
        let echo = Echo::parse(&packet).unwrap();
        assert_eq!((echo.source, echo.destination), (IpAddr::V4(Ipv4Addr::LOCALHOST), echo.source));
        assert_eq!((echo.reply, echo.identifier, echo.sequence), (false, 0x573a, 1));
        assert_eq!(echo.data, packet[28..]);
        let packet = hex::decode(REQUEST_V6).unwrap();
        let echo = Echo::parse(&packet).unwrap();
        assert_eq!((echo.source, echo.destination), (IpAddr::V6(Ipv6Addr::LOCALHOST), echo.source));
        assert_eq!((echo.reply, echo.identifier, echo.sequence), (false, 0x739e, 1));
        assert_eq!(echo.data, packet[48..]);
    }

    #[test]
    fn a_harmed_or_short_packet_is_refused() {
        for good in [echo().emit(), echo_v6().emit()] {
            for length in 0..good.len() {
                assert_eq!(Echo::parse(&good[..length]), None, "of {length} octets");
            }
            // IPv6's first word and hop limit are under no checksum.
            let unprotected = if good[0] >> 4 == 6 { &[0, 1, 2, 3, 7][..] } else { &[] };
            for at in (0..good.len()).filter(|at| !unprotected.contains(at)) {
                let mut bad = good.clone();
                bad[at] ^= 0x11;
                assert_eq!(Echo::parse(&bad), None, "octet {at} changed");
            }
        }
    }
}
