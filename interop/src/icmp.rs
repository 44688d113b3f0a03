//! ICMP echo over IPv4 (RFC 792): what a host behind our gateway would send and answer.

use core::net::Ipv4Addr;

const PROTOCOL: u8 = 1;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const IP_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;

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
    pub(crate) source: Ipv4Addr,
    /// Destination address.
    pub(crate) destination: Ipv4Addr,
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
    /// Reads an IPv4 packet; `None` when it is not a whole and unharmed ICMP echo.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let header = packet.get(..IP_HEADER)?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
        let whole = header[0] >> 4 == 4 && fragment == 0 && header[9] == PROTOCOL;
        let unharmed = checksum(packet.get(..header_len)?) == 0;
        let icmp = packet.get(header_len..total)?;
        if header_len < IP_HEADER || !whole || !unharmed || icmp.len() < ICMP_HEADER || checksum(icmp) != 0 {
            return None;
        }
        let reply = match (icmp[0], icmp[1]) {
            (ECHO_REPLY, 0) => true,
            (ECHO_REQUEST, 0) => false,
            _ => return None,
        };
        let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
        Some(Echo {
            source: address(12),
            destination: address(16),
            reply,
            identifier: u16::from_be_bytes([icmp[4], icmp[5]]),
            sequence: u16::from_be_bytes([icmp[6], icmp[7]]),
            data: icmp[ICMP_HEADER..].to_vec(),
        })
    }

    /// The IPv4 packet.
    pub(crate) fn emit(&self) -> Vec<u8> {
        let total = IP_HEADER + ICMP_HEADER + self.data.len();
        let mut packet = vec![0; IP_HEADER];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&u16::try_from(total).unwrap_or(u16::MAX).to_be_bytes());
        packet[4..6].copy_from_slice(&self.sequence.to_be_bytes());
        packet[8] = 64;
        packet[9] = PROTOCOL;
        packet[12..16].copy_from_slice(&self.source.octets());
        packet[16..20].copy_from_slice(&self.destination.octets());
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(&[if self.reply { ECHO_REPLY } else { ECHO_REQUEST }, 0, 0, 0]);
        packet.extend_from_slice(&self.identifier.to_be_bytes());
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.data);
        let sum = checksum(&packet[IP_HEADER..]);
        packet[IP_HEADER + 2..IP_HEADER + 4].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// The reply to a request.
    pub(crate) fn answer(self) -> Self {
        Echo { source: self.destination, destination: self.source, reply: true, ..self }
    }
}

/// The Internet checksum (RFC 1071); 0 over data that holds its own.
fn checksum(octets: &[u8]) -> u16 {
    let sum: u32 = octets
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured on a loopback interface: `ping -c 1 -s 24 127.0.0.1` of iputils.
    const REQUEST: &str = "450000341fc7400040011d007f0000017f0000010800df19573a0001\
                           524f016b0000000018a00900000000001011121314151617";

    fn echo() -> Echo {
        Echo {
            source: Ipv4Addr::new(10, 1, 0, 1),
            destination: Ipv4Addr::new(10, 2, 0, 1),
            reply: false,
            identifier: 0x1234,
            sequence: 7,
            data: b"odd octets.".to_vec(),
        }
    }

    #[test]
    fn what_is_emitted_is_parsed() {
        assert_eq!(Echo::parse(&echo().emit()), Some(echo()));
        let answer = echo().answer();
        assert_eq!((answer.reply, answer.source), (true, Ipv4Addr::new(10, 2, 0, 1)));
        assert_eq!(Echo::parse(&answer.emit()), Some(answer));
    }

    #[test]
    fn a_real_ping_is_parsed() {
        let packet = hex::decode(REQUEST).unwrap();
        let echo = Echo::parse(&packet).unwrap();
        assert_eq!((echo.source, echo.destination), (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST));
        assert_eq!((echo.reply, echo.identifier, echo.sequence), (false, 0x573a, 1));
        assert_eq!(echo.data, packet[28..]);
    }

    #[test]
    fn a_harmed_or_short_packet_is_refused() {
        let good = echo().emit();
        for length in 0..good.len() {
            assert_eq!(Echo::parse(&good[..length]), None, "of {length} octets");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x11;
            assert_eq!(Echo::parse(&bad), None, "octet {at} changed");
        }
    }
}
