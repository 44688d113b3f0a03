//! Sealed here and opened here, and all that is refused; no packet allocates.

use ipsec_ah::{AhInbound, AhOutbound, HeaderError, OpenError, SaError, SealError};
use ipsec_crypto::{CryptoProvider, Secret, rustcrypto};
use ipsec_sa::{
    DfPolicy, Direction, Encapsulation, HeaderPolicy, Lifetime, Lifetimes, Mode, Outer, Role, SaAlgorithms,
    SaKeys, SaParams, SecurityProtocol,
};
use ipsec_wire::ike::{EncrId, IntegId, SnId};
use ipsec_wire::{IpProtocol, IpView, Spi};
use proptest::prelude::*;

const MACS: [(IntegId, usize); 3] =
    [(IntegId::HMAC_SHA2_256_128, 32), (IntegId::HMAC_SHA2_384_192, 48), (IntegId::HMAC_SHA2_512_256, 64)];

fn provider() -> CryptoProvider {
    rustcrypto::provider()
}

fn v4() -> Outer {
    Outer {
        local: [192, 0, 2, 1].into(),
        remote: [198, 51, 100, 2].into(),
        encapsulation: Encapsulation::None,
    }
}

fn v6() -> Outer {
    Outer {
        local: "2001:db8::1".parse().unwrap(),
        remote: "2001:db8::2".parse().unwrap(),
        encapsulation: Encapsulation::None,
    }
}

fn params(direction: Direction, mode: Mode, mac: usize) -> SaParams {
    let (integ, key_len) = MACS[mac];
    let algorithms = SaAlgorithms { encr: None, key_bits: 0, integ: Some(integ) };
    let key: Vec<u8> = (0..key_len).map(|i| i as u8 ^ 0x5a).collect();
    let keys = SaKeys { encr: Secret::new(&[]), integ: Secret::new(&key) };
    SaParams::new(Spi(0x1234_5678), direction, Role::Initiator, algorithms, keys, v4())
        .with_protocol(SecurityProtocol::Ah)
        .with_mode(mode)
}

fn pair(mode: Mode, mac: usize, change: impl Fn(SaParams) -> SaParams) -> (AhOutbound, AhInbound) {
    let outbound = change(params(Direction::Outbound, mode, mac));
    let inbound = change(params(Direction::Inbound, mode, mac));
    (AhOutbound::new(&outbound, &provider()).unwrap(), AhInbound::new(&inbound, &provider()).unwrap())
}

fn ipv4(len: usize) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..len).map(|i| i as u8).collect();
    let header = ipsec_wire::ip::Ipv4Header {
        tos: 0xb9,
        id: 7,
        df: true,
        ttl: 63,
        protocol: IpProtocol::UDP,
        src: [10, 0, 0, 1].into(),
        dst: [10, 0, 0, 2].into(),
    };
    packet[..20].copy_from_slice(&header.emit(len as u16));
    packet
}

fn ipv6(len: usize) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..len).map(|i| i as u8).collect();
    let header = ipsec_wire::ip::Ipv6Header {
        traffic_class: 0xb9,
        flow_label: 5,
        next_header: IpProtocol::UDP,
        hop_limit: 63,
        src: "fd00::1".parse().unwrap(),
        dst: "fd00::2".parse().unwrap(),
    };
    packet[..40].copy_from_slice(&header.emit((len - 40) as u16));
    packet
}

fn seal(outbound: &mut AhOutbound, packet: &[u8]) -> Vec<u8> {
    let room = outbound.room();
    let mut buf = [vec![0xee; room], packet.to_vec()].concat();
    let range = room..buf.len();
    let sealed = outbound.seal_in_place(&mut buf, range).unwrap();
    buf[sealed].to_vec()
}

#[test]
fn every_mac_mode_and_version_comes_back() {
    for mac in 0..MACS.len() {
        for mode in [Mode::Transport, Mode::Tunnel] {
            for outer in [v4(), v6()] {
                for extended in [false, true] {
                    let change = |mut p: SaParams| {
                        p.outer = outer;
                        if extended { p.with_sequence(SnId::SEQUENTIAL_64, (1 << 32) - 2) } else { p }
                    };
                    let (mut outbound, mut inbound) = pair(mode, mac, change);
                    for packet in [ipv4(20), ipv4(61), ipv6(40), ipv6(1280), ipv4(1400)] {
                        let mut sealed = seal(&mut outbound, &packet);
                        let view = IpView::parse(&sealed).unwrap();
                        assert_eq!(view.upper_layer().protocol, IpProtocol::AH);
                        assert_eq!(view.packet().len(), sealed.len());
                        if let IpView::V4(view) = view {
                            assert!(view.checksum_ok());
                        } else {
                            assert!((sealed.len() - packet.len()).is_multiple_of(8));
                        }
                        if mode == Mode::Tunnel {
                            assert_eq!((view.src(), view.dst()), (outer.local, outer.remote));
                            assert_eq!(view.traffic_class(), 0xb9);
                            assert_eq!(sealed.len(), packet.len() + outbound.room());
                        }
                        let opened = inbound.open_in_place(&mut sealed).unwrap();
                        assert_eq!(sealed[opened.packet], packet);
                        assert_eq!(opened.seq, outbound.sequence().last());
                    }
                    assert_eq!(inbound.meter().octets(), outbound.meter().octets());
                }
            }
        }
    }
}

#[test]
fn every_mac_of_the_provider_refuses_bad_packets() {
    for row in provider().integ.iter() {
        for (mode, packet) in [(Mode::Transport, ipv6(60)), (Mode::Tunnel, ipv4(45))] {
            for extended in [false, true] {
                let params = |direction| {
                    let mut params = params(direction, mode, 0);
                    params.algorithms.integ = Some(row.id());
                    params.keys.integ = Secret::new(&(0..row.key_len()).map(|i| i as u8).collect::<Vec<_>>());
                    if extended { params.with_sequence(SnId::SEQUENTIAL_64, 1 << 33) } else { params }
                };
                let mut outbound = AhOutbound::new(&params(Direction::Outbound), &provider()).unwrap();
                let mut inbound = AhInbound::new(&params(Direction::Inbound), &provider()).unwrap();
                let sealed = seal(&mut outbound, &packet);
                let (top, mut refused) = (inbound.window().top(), 0);
                let mut refuse = |mut forged: Vec<u8>| {
                    assert!(inbound.open_in_place(&mut forged).is_err(), "{row:?} {mode:?}");
                    assert_eq!((inbound.window().top(), inbound.meter().packets()), (top, 0));
                    refused += 1;
                    let stats = inbound.stats();
                    let counted = stats.truncated
                        + stats.fragments
                        + stats.bad_headers
                        + stats.replayed
                        + stats.out_of_window
                        + stats.icv_failed;
                    assert_eq!(counted, refused);
                };
                // What routers may change: TOS, flags, TTL and checksum, or class, flow label and hop limit.
                let v4 = sealed[0] >> 4 == 4;
                let mutable =
                    |at| if v4 { matches!(at, 1 | 6..=8 | 10 | 11) } else { matches!(at, 1..=3 | 7) };
                let fixed = (0..sealed.len()).filter(|at| !mutable(*at));
                for (at, bit) in fixed.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                    // The other half of IPv6's first octet is traffic class.
                    if v4 || at > 0 || bit >= 4 {
                        let mut forged = sealed.clone();
                        forged[at] ^= 1 << bit;
                        refuse(forged);
                    }
                }
                for len in 0..sealed.len() {
                    refuse(sealed[..len].to_vec());
                }
                // Longer by its own header too: octets behind the packet alone are nobody's.
                for more in [4u8, 8] {
                    let mut longer = [&sealed[..], &[0; 8][..more.into()]].concat();
                    longer[if v4 { 3 } else { 5 }] += more;
                    refuse(longer);
                }
                let opened = inbound.open_in_place(&mut sealed.clone());
                assert_eq!(opened.unwrap().packet.len(), packet.len(), "{row:?}");
            }
        }
    }
}

#[test]
fn an_only_fragment_is_a_whole_packet() {
    for mode in [Mode::Transport, Mode::Tunnel] {
        let (mut outbound, mut inbound) = pair(mode, 0, |p| p);
        let mut packet = ipv6(88);
        packet[6] = 44;
        packet[40..48].copy_from_slice(&[17, 0, 0, 0, 1, 2, 3, 4]);
        let mut sealed = seal(&mut outbound, &packet);
        if mode == Mode::Transport {
            // A receiver may have taken the header out (RFC 4302 appendix A2).
            let mut without = [&sealed[..40], &sealed[48..]].concat();
            assert_eq!((sealed[6], sealed[40]), (44, 51));
            (without[6], without[5]) = (51, without[5] - 8);
            let mut other = pair(mode, 0, |p| p).1;
            assert_eq!(other.open_in_place(&mut without).unwrap().packet.len(), 80);
        }
        let opened = inbound.open_in_place(&mut sealed).unwrap();
        assert_eq!(sealed[opened.packet], packet);
    }
}

#[test]
fn ipv4_padded_to_64_bits_is_understood_too() {
    let (outbound, mut inbound) = pair(Mode::Transport, 0, |p| p);
    let mut outbound = outbound.with_ipv4_padded_to_64_bits(true);
    let mut sealed = seal(&mut outbound, &ipv4(60));
    assert_eq!(sealed.len(), 60 + 32);
    let opened = inbound.open_in_place(&mut sealed.clone()).unwrap();
    assert_eq!(opened.packet.len(), 60);
    // The padding is covered.
    sealed[20 + 30] ^= 1;
    sealed[20 + 11] += 1;
    assert_eq!(inbound.open_in_place(&mut sealed), Err(OpenError::Icv));
}

#[test]
fn cut_and_foreign_packets_are_refused_and_counted() {
    for mode in [Mode::Transport, Mode::Tunnel] {
        let (mut outbound, mut inbound) = pair(mode, 1, |p| p);
        let sealed = seal(&mut outbound, &ipv4(60));
        for len in 0..sealed.len() {
            let error = inbound.open_in_place(&mut sealed[..len].to_vec()).unwrap_err();
            assert_eq!(error, OpenError::Header(HeaderError::Malformed), "{len}");
        }
        assert_eq!(inbound.open_in_place(&mut ipv4(60)), Err(OpenError::Truncated));
        let mut fragment = sealed.clone();
        fragment[6] = 0x20;
        assert_eq!(inbound.open_in_place(&mut fragment), Err(OpenError::Header(HeaderError::Fragment)));
        let mut other_length = sealed.clone();
        other_length[21] += 2;
        assert_eq!(inbound.open_in_place(&mut other_length), Err(OpenError::IcvLength));
        let stats = *inbound.stats();
        assert_eq!((stats.bad_headers, stats.fragments, stats.truncated), (sealed.len() as u64, 1, 2));
        assert_eq!(inbound.window().top(), 0);
        assert!(inbound.open_in_place(&mut sealed.clone()).is_ok());
        assert_eq!(inbound.open_in_place(&mut sealed.clone()), Err(OpenError::Replay));
        assert_eq!(inbound.stats().replayed, 1);
    }
}

#[test]
fn authentic_nonsense_in_a_tunnel_is_told_apart() {
    // Transport mode takes any payload behind the header.
    let (mut outbound, _) = pair(Mode::Transport, 0, |p| p);
    for (protocol, expected) in
        [(IpProtocol::UDP, OpenError::NextHeader), (IpProtocol::IPV4, OpenError::Inner)]
    {
        let mut packet = ipv4(60);
        packet[9] = protocol.0;
        let mut sealed = seal(&mut outbound, &packet);
        let (_, mut inbound) = pair(Mode::Tunnel, 0, |p| p);
        assert_eq!(inbound.open_in_place(&mut sealed), Err(expected));
        assert_eq!(inbound.window().top(), outbound.sequence().last());
    }
}

#[test]
fn refused_packets_spend_nothing() {
    let (mut outbound, _) = pair(Mode::Transport, 0, |p| p);
    let mut buf = [vec![0; 64], ipv4(60)].concat();
    assert_eq!(outbound.seal_in_place(&mut buf[40..], 24..84), Err(SealError::NoRoom { head: 28 }));
    assert_eq!(outbound.seal_in_place(&mut buf, 64..200), Err(SealError::Range));
    let malformed = Err(SealError::Header(HeaderError::Malformed));
    assert_eq!(outbound.seal_in_place(&mut buf, 64..123), malformed);
    buf[64 + 7] = 1;
    assert_eq!(outbound.seal_in_place(&mut buf, 64..124), Err(SealError::Header(HeaderError::Fragment)));
    let mut long = [vec![0; 64], ipv4(65_530)].concat();
    assert_eq!(outbound.seal_in_place(&mut long, 64..64 + 65_530), Err(SealError::TooLong));
    let mut optioned = [vec![0; 64], ipv4(60)].concat();
    optioned[64] = 0x46;
    optioned[84..88].copy_from_slice(&[0x94, 9, 0, 0]);
    assert_eq!(outbound.seal_in_place(&mut optioned, 64..124), Err(SealError::Header(HeaderError::Option)));
    assert_eq!((outbound.sequence().last(), outbound.stats().refused), (0, 6));

    let last = |p: SaParams| p.with_sequence(SnId::SEQUENTIAL_32, u64::from(u32::MAX));
    let (mut outbound, _) = pair(Mode::Transport, 0, last);
    let mut buf = [vec![0; 64], ipv4(60)].concat();
    assert_eq!(outbound.seal_in_place(&mut buf, 64..124), Err(SealError::Exhausted));
    assert_eq!(buf[64..], ipv4(60));
    let hard = Lifetime { packets: Some(0), ..Lifetime::default() };
    let expired = |p: SaParams| p.with_lifetimes(Lifetimes { soft: Lifetime::default(), hard });
    let (mut outbound, mut inbound) = pair(Mode::Transport, 0, expired);
    assert_eq!(outbound.seal_in_place(&mut buf, 64..124), Err(SealError::Lifetime));
    let (mut other, _) = pair(Mode::Transport, 0, |p| p);
    assert_eq!(inbound.open_in_place(&mut seal(&mut other, &ipv4(60))), Err(OpenError::Lifetime));
}

#[test]
fn a_tunnel_carries_fragments_and_options_and_follows_its_policy() {
    let policy = HeaderPolicy { df: DfPolicy::Clear, ..HeaderPolicy::default() };
    let (mut outbound, mut inbound) = pair(Mode::Tunnel, 0, |p| p.with_header(policy));
    let mut inner = ipv4(60);
    inner[6..8].copy_from_slice(&[0x20, 9]);
    let mut sealed = seal(&mut outbound, &inner);
    assert_eq!(sealed[6], 0);
    let opened = inbound.open_in_place(&mut sealed).unwrap();
    assert_eq!(sealed[opened.packet], inner);
    outbound.update(&v6()).unwrap();
    assert_eq!(seal(&mut outbound, &inner)[0] >> 4, 6);
    let mut encapsulated = v6();
    encapsulated.encapsulation = Encapsulation::Udp { local_port: 1, remote_port: 2 };
    assert_eq!(outbound.update(&encapsulated), Err(SaError::Encapsulation));
}

#[test]
fn parameters_that_make_no_sa_are_refused() {
    let error = |change: fn(&mut SaParams)| {
        let mut params = params(Direction::Inbound, Mode::Tunnel, 0);
        change(&mut params);
        AhInbound::new(&params, &provider()).unwrap_err()
    };
    assert_eq!(error(|p| p.protocol = SecurityProtocol::Esp), SaError::NotAh);
    assert_eq!(error(|p| p.direction = Direction::Outbound), SaError::Direction);
    assert_eq!(error(|p| p.mode = Mode::Beet), SaError::Mode);
    assert_eq!(error(|p| p.algorithms.encr = Some(EncrId::AES_CBC)), SaError::Encryption);
    assert_eq!(error(|p| p.algorithms.integ = None), SaError::NoIntegrity);
    assert_eq!(error(|p| p.algorithms.integ = Some(IntegId(999))), SaError::UnknownIntegrity(IntegId(999)));
    assert_eq!(error(|p| p.keys.integ = Secret::zeroed(31)), SaError::KeyLength { actual: 31 });
    assert_eq!(error(|p| p.outer.local = v6().local), SaError::MixedFamilies);
    let udp = |p: &mut SaParams| p.outer.encapsulation = Encapsulation::Udp { local_port: 1, remote_port: 2 };
    assert_eq!(error(udp), SaError::Encapsulation);
}

#[test]
fn no_packet_allocates() {
    for mode in [Mode::Transport, Mode::Tunnel] {
        let (mut outbound, mut inbound) = pair(mode, 2, |p| p);
        let mut buf = vec![0; 2000];
        let packet = ipv6(1280);
        let count = tally::calls(|| {
            for _ in 0..5 {
                buf[200..1480].copy_from_slice(&packet);
                let sealed = outbound.seal_in_place(&mut buf, 200..1480).unwrap();
                let sealed = &mut buf[sealed];
                let opened = inbound.open_in_place(sealed).unwrap();
                assert!(sealed[opened.packet] == packet);
                assert!(outbound.seal_in_place(&mut buf, 3..4).is_err());
                assert!(inbound.open_in_place(&mut buf).is_err());
            }
        });
        assert_eq!(count, 0);
    }
}

proptest! {
    #[test]
    fn garbage_is_refused_without_a_panic(
        first in prop_oneof![Just(0x45u8), Just(0x4f), Just(0x60), any::<u8>()],
        mut packet in proptest::collection::vec(any::<u8>(), 1..200),
        next in prop_oneof![Just(51u8), Just(0), Just(43), Just(60), Just(44)],
        tunnel in any::<bool>(),
    ) {
        packet[0] = first;
        let (len, at) = (packet.len() as u16, if first >> 4 == 4 { 9 } else { 6 });
        if let Some(octet) = packet.get_mut(at) {
            *octet = next;
        }
        if packet.len() > 40 {
            if first >> 4 == 4 {
                packet[2..4].copy_from_slice(&len.to_be_bytes());
                packet[6..8].fill(0);
            } else {
                packet[4..6].copy_from_slice(&(len - 40).to_be_bytes());
            }
        }
        let mode = if tunnel { Mode::Tunnel } else { Mode::Transport };
        let (mut outbound, mut inbound) = pair(mode, 0, |p| p);
        prop_assert!(inbound.open_in_place(&mut packet.clone()).is_err());
        prop_assert_eq!(inbound.window().top(), 0);
        // What can be sealed at all comes back.
        let mut buf = [vec![0; 100], packet.clone()].concat();
        if let Ok(sealed) = outbound.seal_in_place(&mut buf, 100..100 + packet.len()) {
            let sealed = &mut buf[sealed];
            // A source route is sealed for its last stop and opens there alone.
            let routed = !tunnel && if first >> 4 == 4 { first != 0x45 } else { next == 43 || next == 60 || next == 0 };
            let opened = match inbound.open_in_place(sealed) {
                Err(OpenError::Header(HeaderError::Route) | OpenError::Icv) if routed => return Ok(()),
                opened => opened.unwrap(),
            };
            let opened = &sealed[opened.packet];
            if first >> 4 == 4 && !tunnel {
                // The checksum is made anew.
                prop_assert_eq!(&opened[12..], &packet[12..opened.len()]);
            } else {
                prop_assert_eq!(opened, &packet[..opened.len()]);
            }
        }
    }
}
