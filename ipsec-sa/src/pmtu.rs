//! The path MTU of an SA (RFC 4301 §8.2): learned from ICMP messages about its packets, told to senders of inner ones.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipsec_wire::{IpProtocol, IpView, Spi};

use crate::{Instant, icmp};

/// The smallest MTU that an unauthenticated message is believed, by family (RFC 4301 §8.2.1, RFC 1191, RFC 8200 §5).
const LEAST_IPV4: u16 = 576;
const LEAST_IPV6: u16 = 1280;

/// What the path of an SA takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathMtu {
    link: u16,
    learned: Option<(u16, Instant)>,
    is_ipv4: bool,
}

impl PathMtu {
    /// How long a smaller MTU is believed (RFC 1191 §6.3, RFC 8201 §4: ten minutes).
    pub const AGE: Duration = Duration::from_secs(600);

    /// A path to `remote` whose first link takes packets of `link` octets.
    #[must_use]
    pub const fn new(remote: IpAddr, link: u16) -> Self {
        Self { link, learned: None, is_ipv4: remote.is_ipv4() }
    }

    /// What the path takes, outer headers included.
    #[must_use]
    pub fn mtu(&self, now: Instant) -> u16 {
        match self.learned {
            Some((mtu, at)) if now.saturating_since(at) < Self::AGE => mtu.min(self.link),
            _ => self.link,
        }
    }

    /// Somebody on the path says that it takes no more than `mtu`. Nobody knows whether that is true, so it goes down
    /// to the smallest that every path should take, and never up. Returns whether the MTU has changed.
    pub fn too_big(&mut self, now: Instant, mtu: u16) -> bool {
        let before = self.mtu(now);
        let least = if self.is_ipv4 { LEAST_IPV4 } else { LEAST_IPV6 };
        let mtu = mtu.max(least);
        if mtu >= before {
            return false;
        }
        self.learned = Some((mtu, now));
        true
    }
}

/// A message that a packet of ours was too big.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig {
    /// Where the packet came from: our outer address.
    pub src: IpAddr,
    /// Where it went.
    pub dst: IpAddr,
    /// The SA that it was of.
    pub spi: Spi,
    /// ESP or AH.
    pub protocol: IpProtocol,
    /// What the link ahead takes; 0 from routers that do not say (RFC 1191 §3).
    pub mtu: u16,
}

impl TooBig {
    /// Reads an IP packet with an ICMP message "fragmentation needed" (RFC 792, RFC 1191) or an ICMPv6 message "packet
    /// too big" (RFC 4443 §3.2) about an ESP or AH packet, encapsulated in UDP or not. `None` for anything else, and
    /// where too little of the packet is quoted to tell the SA.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let view = IpView::parse(packet).ok()?;
        let message = view.upper_payload();
        let (mtu, quoted) = match (view.upper_layer().protocol, message) {
            (IpProtocol::ICMP, [3, 4, _, _, _, _, high, low, quoted @ ..]) => {
                (u16::from_be_bytes([*high, *low]), quoted)
            }
            (IpProtocol::ICMPV6, [2, _, _, _, a, b, c, d, quoted @ ..]) => {
                let mtu = u32::from_be_bytes([*a, *b, *c, *d]);
                (u16::try_from(mtu).unwrap_or(u16::MAX), quoted)
            }
            _ => return None,
        };
        let (src, dst, protocol, rest) = quoted_packet(quoted)?;
        let (protocol, spi) = match (protocol, rest) {
            (IpProtocol::ESP, [a, b, c, d, ..]) => (protocol, [*a, *b, *c, *d]),
            (IpProtocol::AH, [_, _, _, _, a, b, c, d, ..]) => (protocol, [*a, *b, *c, *d]),
            (IpProtocol::UDP, [_, _, _, _, _, _, _, _, a, b, c, d, ..]) => {
                (IpProtocol::ESP, [*a, *b, *c, *d])
            }
            _ => return None,
        };
        let spi = Spi::from_bytes(spi);
        (!spi.is_reserved()).then_some(Self { src, dst, spi, protocol, mtu })
    }
}

/// The start of a quoted packet, whose end is not there: addresses, upper layer, and what there is of it.
fn quoted_packet(quoted: &[u8]) -> Option<(IpAddr, IpAddr, IpProtocol, &[u8])> {
    match quoted {
        [first, _, _, _, _, _, _, _, _, protocol, _, _, rest @ ..] if first >> 4 == 4 => {
            let (src, rest) = rest.split_first_chunk::<4>()?;
            let dst = rest.first_chunk::<4>()?;
            let upper = quoted.get(usize::from(first & 15) * 4..)?;
            Some((IpAddr::from(*src), IpAddr::from(*dst), IpProtocol(*protocol), upper))
        }
        [first, _, _, _, _, _, next, _, rest @ ..] if first >> 4 == 6 => {
            let (src, rest) = rest.split_first_chunk::<16>()?;
            let (dst, upper) = rest.split_first_chunk::<16>()?;
            Some((IpAddr::from(*src), IpAddr::from(*dst), IpProtocol(*next), upper))
        }
        _ => None,
    }
}

/// The message that tells the sender of an inner packet that it is too big for the tunnel (RFC 4301 §8.2.1), from `from`
/// and to the packet's source. `mtu` is what the tunnel takes inside.
///
/// `None` where no message may be sent: about packets with DF clear, which are to be fragmented, about fragments behind
/// the first and ICMP errors, to no single source, and where `from` is of another family (RFC 1812 §4.3.2.7, RFC 4443
/// §2.4).
#[must_use]
pub fn too_big_message(packet: &[u8], mtu: u16, from: IpAddr) -> Option<Vec<u8>> {
    // Routers cut it.
    if let IpView::V4(view) = IpView::parse(packet).ok()?
        && !view.df()
    {
        return None;
    }
    let [[high, low], [high_v6, low_v6]] = [mtu, mtu.max(LEAST_IPV6)].map(u16::to_be_bytes);
    icmp::message(packet, [3, 4, 0, 0, 0, 0, high, low], [2, 0, 0, 0, 0, 0, high_v6, low_v6], from)
}

/// Makes the maximum segment size that a TCP SYN announces fit into inner packets of `mtu` octets, with the checksum;
/// whether it was larger. A segment without the option stays as it is.
pub fn clamp_mss(packet: &mut [u8], mtu: u16) -> bool {
    let Ok(view) = IpView::parse(packet) else { return false };
    let upper = view.upper_layer();
    let headers: u16 = if view.version() == 4 { 40 } else { 60 };
    if upper.protocol != IpProtocol::TCP || upper.fragment.is_some_and(|f| !f.is_first()) {
        return false;
    }
    let total = view.packet().len();
    let limit = mtu.saturating_sub(headers);
    let Some(segment) = packet.get_mut(upper.offset..total) else { return false };
    let data = match segment {
        [_, _, _, _, _, _, _, _, _, _, _, _, offset, flags, ..] if *flags & 2 != 0 => {
            usize::from(*offset >> 4) * 4
        }
        _ => return false,
    };
    let mut at = 20;
    while at < data {
        let len = match segment.get(at..data) {
            Some([0, ..]) | None => return false,
            Some([1, ..]) => 1,
            Some([2, 4, high, low, ..]) => {
                let before = u16::from_be_bytes([*high, *low]);
                if before <= limit {
                    return false;
                }
                return replace_word(segment, at + 2, before, limit).is_some();
            }
            Some([_, len, ..]) if *len >= 2 => usize::from(*len),
            _ => return false,
        };
        at += len;
    }
    false
}

/// Changes a value of two octets in a TCP segment and its checksum with it (RFC 1624 §3).
fn replace_word(segment: &mut [u8], at: usize, before: u16, after: u16) -> Option<()> {
    *segment.get_mut(at..)?.first_chunk_mut()? = after.to_be_bytes();
    let checksum = segment.get_mut(16..)?.first_chunk_mut::<2>()?;
    // At an odd place the octets count the other way round.
    let (before, after) =
        if at.is_multiple_of(2) { (before, after) } else { (before.swap_bytes(), after.swap_bytes()) };
    let sum = u32::from(!u16::from_be_bytes(*checksum)) + u32::from(!before) + u32::from(after);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    *checksum = (!(sum as u16)).to_be_bytes();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use ipsec_wire::ip::Ipv4View;
    use ipsec_wire::ip::{Ipv4Header, Ipv6Header, internet_checksum, transport_checksum};

    fn header(protocol: IpProtocol, df: bool, src: [u8; 4], payload: usize) -> Vec<u8> {
        let dst = [10, 0, 0, 2].into();
        let header = Ipv4Header { tos: 0, id: 1, df, ttl: 64, protocol, src: src.into(), dst };
        header.emit(20 + payload as u16).to_vec()
    }

    #[test]
    fn messages_are_matched_to_an_sa() {
        for (protocol, upper, expected) in [
            (IpProtocol::ESP, vec![0xc0, 0, 0, 1, 0, 0, 0, 9], Some(IpProtocol::ESP)),
            (IpProtocol::AH, vec![4, 4, 0, 0, 0xc0, 0, 0, 1], Some(IpProtocol::AH)),
            (IpProtocol::UDP, vec![0x11, 0x94, 0x11, 0x94, 0, 9, 0, 0, 0xc0, 0, 0, 1], Some(IpProtocol::ESP)),
            (IpProtocol::UDP, vec![0x11, 0x94, 0x11, 0x94, 0, 9, 0, 0], None),
            (IpProtocol::UDP, vec![0x11, 0x94, 0x11, 0x94, 0, 9, 0, 0, 0, 0, 0, 0], None),
            (IpProtocol::TCP, vec![0; 20], None),
        ] {
            let quoted = [header(protocol, true, [192, 0, 2, 1], 1400), upper].concat();
            let message = [&[3, 4, 0, 0, 0, 0, 5, 0x50][..], &quoted].concat();
            let packet = [header(IpProtocol::ICMP, false, [203, 0, 113, 1], message.len()), message].concat();
            let parsed = TooBig::parse(&packet);
            assert_eq!(parsed.map(|one| one.protocol), expected, "{protocol:?}");
            if let Some(parsed) = parsed {
                let (src, dst) = ([192, 0, 2, 1].into(), [10, 0, 0, 2].into());
                assert_eq!(
                    (parsed.src, parsed.dst, parsed.spi, parsed.mtu),
                    (src, dst, Spi(0xc000_0001), 0x550)
                );
            }
            for len in 0..packet.len() {
                let mut short = packet[..len].to_vec();
                if len > 28 {
                    short[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                }
                let _ = TooBig::parse(&short);
            }
        }
    }

    #[test]
    fn an_mtu_goes_down_no_further_than_sense_and_ages() {
        for (remote, least) in [("192.0.2.1", 576), ("2001:db8::1", 1280)] {
            let mut path = PathMtu::new(remote.parse().unwrap(), 1500);
            let now = Instant::from_secs(5);
            assert!(!path.too_big(now, 1500) && !path.too_big(now, 9000));
            assert!(path.too_big(now, 1400) && !path.too_big(now, 1450));
            assert_eq!(path.mtu(now), 1400);
            assert!(path.too_big(now, 0) && !path.too_big(now, 68));
            assert_eq!(path.mtu(Instant::from_secs(604)), least);
            assert_eq!(path.mtu(Instant::from_secs(605)), 1500);
        }
    }

    #[test]
    fn senders_are_told_and_the_message_is_true() {
        let packet = [header(IpProtocol::UDP, true, [10, 0, 0, 1], 1000), vec![7; 1000]].concat();
        let message = too_big_message(&packet, 900, [10, 0, 0, 254].into()).unwrap();
        let view = Ipv4View::parse(&message).unwrap();
        assert!(view.checksum_ok() && message.len() == 576);
        assert_eq!((view.dst(), internet_checksum(&[view.payload()])), ([10, 0, 0, 1].into(), 0));
        assert_eq!(view.payload()[..8], [3, 4, view.payload()[2], view.payload()[3], 0, 0, 3, 132]);
        assert_eq!(view.payload()[8..], packet[..548]);

        let from = "2001:db8::ff".parse().unwrap();
        let v6 = Ipv6Header {
            traffic_class: 0,
            flow_label: 0,
            next_header: IpProtocol::UDP,
            hop_limit: 1,
            src: "2001:db8::1".parse().unwrap(),
            dst: "2001:db8::2".parse().unwrap(),
        };
        let packet = [&v6.emit(1300)[..], &[1; 1300]].concat();
        let message = too_big_message(&packet, 900, from).unwrap();
        let view = IpView::parse(&message).unwrap();
        let checksum = transport_checksum(view.src(), view.dst(), IpProtocol::ICMPV6, view.upper_payload());
        assert_eq!((message.len(), checksum), (1280, Some(0)));
        assert_eq!(view.upper_payload()[4..8], [0, 0, 5, 0]);
    }

    #[test]
    fn nobody_is_told_where_that_would_do_harm() {
        let from = [10, 0, 0, 254].into();
        let told = |packet: &[u8]| too_big_message(packet, 900, from).is_some();
        let udp = [header(IpProtocol::UDP, true, [10, 0, 0, 1], 100), vec![0; 100]].concat();
        assert!(told(&udp));
        assert!(!told(&[header(IpProtocol::UDP, false, [10, 0, 0, 1], 100), vec![0; 100]].concat()));
        for src in [[224, 0, 0, 1], [255; 4], [0; 4], [127, 0, 0, 1]] {
            assert!(!told(&[header(IpProtocol::UDP, true, src, 100), vec![0; 100]].concat()));
        }
        let mut icmp = [header(IpProtocol::ICMP, true, [10, 0, 0, 1], 100), vec![0; 100]].concat();
        icmp[20] = 8;
        assert!(told(&icmp));
        icmp[20] = 3;
        assert!(!told(&icmp));
        let mut later = udp;
        later[7] = 1;
        assert!(!told(&later));
        assert!(!told(&[]));
    }

    #[test]
    fn segment_sizes_are_clamped_with_the_checksum() {
        for options in [&[2, 4, 5, 0xb4][..], &[1, 2, 4, 5, 0xb4, 0, 0, 0], &[8, 2, 1, 1, 2, 4, 5, 0xb4]] {
            let len = 20 + options.len();
            let mut segment = vec![0x11; 20];
            (segment[12], segment[13]) = ((len / 4 * 16) as u8, 2);
            segment.extend(options);
            segment[16..18].fill(0);
            let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
            let sum = transport_checksum(src, dst, IpProtocol::TCP, &segment).unwrap();
            segment[16..18].copy_from_slice(&sum.to_be_bytes());
            let packet = [header(IpProtocol::TCP, true, [10, 0, 0, 1], len), segment].concat();
            let mut clamped = packet.clone();
            assert!(clamp_mss(&mut clamped, 1400));
            let at = clamped.windows(2).rposition(|two| two == [2, 4]).unwrap();
            assert_eq!(clamped[at + 2..at + 4], 1360u16.to_be_bytes());
            assert_eq!(transport_checksum(src, dst, IpProtocol::TCP, &clamped[20..]), Some(0));
            assert!(!clamp_mss(&mut clamped, 1400));
            let mut not_syn = packet;
            not_syn[33] = 0x10;
            assert!(!clamp_mss(&mut not_syn, 1400));
        }
        // Options that cannot be.
        for options in [[2, 4, 5], [3, 0, 0], [3, 1, 1], [3, 99, 1]] {
            let mut segment = vec![0; 20];
            (segment[12], segment[13]) = (0x60, 2);
            segment.extend(options);
            let mut packet = [header(IpProtocol::TCP, true, [10, 0, 0, 1], 23), segment].concat();
            assert!(!clamp_mss(&mut packet, 100));
        }
    }
}
