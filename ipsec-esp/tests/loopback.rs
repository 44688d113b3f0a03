//! Sealed here and opened here: every suite, both inner versions, every outer header, and all that is refused.

extern crate alloc;

mod common;

use alloc::collections::BTreeSet;

use bytes::BytesMut;
use common::*;
use ipsec_crypto::Secret;
use ipsec_esp::pmtu::PacketLayout;
use ipsec_esp::{
    EspInbound, EspOutbound, EspTransform, FlowLabel, OpenError, OuterHeader, SaError, SealError, SealJob,
    seal_batch,
};
use ipsec_sa::{
    DfPolicy, Direction, DscpPolicy, EcnPolicy, Encapsulation, HeaderPolicy, Lifetime, Lifetimes, Mode,
    SaParams, SequenceCounter,
};
use ipsec_wire::ike::{EncrId, IntegId, SnId};
use ipsec_wire::{IpProtocol, TcpDeframer, TcpMessage};
use proptest::prelude::*;

/// RFC 1071: the sum over octets with a true checksum among them.
fn checksum_holds(parts: &[&[u8]]) -> bool {
    let octets: Vec<u8> = parts.concat();
    let mut sum: u32 = octets
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

#[test]
fn every_suite_length_and_version_comes_back() {
    for suite in &SUITES {
        for change in [|p: SaParams| p, |p: SaParams| p.with_sequence(SnId::SEQUENTIAL_64, (1 << 32) - 20)] {
            let (mut outbound, mut inbound) = pair(change, suite, OuterHeader::None);
            for len in (20..60).chain([576, 1400, 8900]) {
                let mut packet = seal(&mut outbound, &ipv4(len), IpProtocol::IPV4);
                let opened = inbound.open_in_place(&mut packet).unwrap();
                assert_eq!(opened.next_header, IpProtocol::IPV4);
                assert_eq!(opened.seq, outbound.sequence().last());
                assert_eq!(packet[opened.payload], ipv4(len));
            }
            let mut packet = seal(&mut outbound, &ipv6(1280), IpProtocol::IPV6);
            let opened = inbound.open_in_place(&mut packet).unwrap();
            assert_eq!((opened.next_header, &packet[opened.payload]), (IpProtocol::IPV6, &ipv6(1280)[..]));
            assert_eq!(inbound.meter().packets(), outbound.meter().packets());
            assert_eq!(inbound.meter().octets(), outbound.meter().octets());
        }
    }
}

#[test]
fn outer_headers_are_true_in_every_field() {
    let inner = ipv4(101);
    for (outer, is_v4) in [(outer_v4 as fn(_) -> _, true), (outer_v6, false)] {
        for encapsulation in [Encapsulation::None, UDP_4500] {
            let outer = outer(encapsulation);
            let change = |mut p: SaParams| {
                p.outer = outer;
                p
            };
            let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::Ip);
            for _ in 0..3 {
                let mut packet = seal(&mut outbound, &inner, IpProtocol::IPV4);
                let (len, head) = (packet.len(), if is_v4 { 20 } else { 40 });
                let udp = if encapsulation == Encapsulation::None { 0 } else { 8 };
                let protocol = if udp == 0 { 50 } else { 17 };
                let field =
                    |packet: &[u8], at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
                if is_v4 {
                    assert_eq!((packet[0], packet[1], packet[8], packet[9]), (0x45, 0xb9, 64, protocol));
                    assert_eq!(field(&packet, 2), len);
                    assert_eq!(field(&packet, 6), 0x4000);
                    assert_eq!(packet[12..20], [192, 0, 2, 1, 198, 51, 100, 2]);
                    assert!(checksum_holds(&[&packet[..20]]));
                } else {
                    assert_eq!(packet[..4], [0x6b, 0x90, 0, 0]);
                    assert_eq!(field(&packet, 4), len - 40);
                    assert_eq!((packet[6], packet[7]), (protocol, 64));
                    let (core::net::IpAddr::V6(local), core::net::IpAddr::V6(remote)) =
                        (outer.local, outer.remote)
                    else {
                        unreachable!()
                    };
                    assert_eq!(packet[8..24], local.octets());
                    assert_eq!(packet[24..40], remote.octets());
                }
                if udp != 0 {
                    assert_eq!((field(&packet, head), field(&packet, head + 2)), (4500, 4501));
                    assert_eq!(field(&packet, head + 4), len - head);
                    if is_v4 {
                        assert_eq!(field(&packet, head + 6), 0);
                    } else {
                        assert_ne!(field(&packet, head + 6), 0);
                        let pseudo = [0, 0, 0, 17, packet[4], packet[5]];
                        assert!(checksum_holds(&[&packet[8..40], &pseudo, &packet[head..]]));
                    }
                }
                let esp = &mut packet[head + udp..];
                let opened = inbound.open_in_place(esp).unwrap();
                assert_eq!(esp[opened.payload], inner);
            }
        }
    }
}

#[test]
fn outer_fields_follow_the_sa_and_its_updates() {
    let header =
        HeaderPolicy { dscp: DscpPolicy::Set(46), ecn: EcnPolicy::Compatibility, df: DfPolicy::Clear };
    let change = |p: SaParams| p.with_header(header);
    let (mut outbound, _) = pair(change, &SUITES[0], OuterHeader::Ip);
    let packet = seal(&mut outbound, &ipv6(60), IpProtocol::IPV6);
    assert_eq!((packet[1], packet[6]), (46 << 2, 0));
    let fields = outbound.transform().outer_fields(IpProtocol::IPV6, &ipv6(60)).unwrap();
    assert_eq!((fields.traffic_class, fields.dont_fragment), (46 << 2, false));

    let first = seal(&mut outbound, &ipv4(60), IpProtocol::IPV4).len();
    outbound.update(&outer_v6(UDP_4500)).unwrap();
    let moved = seal(&mut outbound, &ipv4(60), IpProtocol::IPV4);
    assert_eq!((moved.len(), moved[0] >> 4, moved[6]), (first + 28, 6, 17));
    let mut mixed = outer_v6(UDP_4500);
    mixed.local = [192, 0, 2, 1].into();
    assert_eq!(outbound.update(&mixed), Err(SaError::MixedFamilies));
    assert_eq!(seal(&mut outbound, &ipv4(60), IpProtocol::IPV4).len(), moved.len());
}

#[test]
fn outer_flow_labels_follow_their_rule() {
    let change = |mut p: SaParams| {
        p.outer = outer_v6(Encapsulation::None);
        p
    };
    let mut inner = ipv6(80);
    inner[1..4].copy_from_slice(&[0x91, 0x23, 0x45]);
    let label = |packet: &[u8]| u32::from_be_bytes([0, packet[1] & 15, packet[2], packet[3]]);
    let (outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::Ip);
    let mut outbound = outbound.with_flow_label(FlowLabel::Copy);
    let packet = seal(&mut outbound, &inner, IpProtocol::IPV6);
    assert_eq!((packet[0], packet[1] >> 4, label(&packet)), (0x6b, 9, 0x1_2345));
    assert_eq!(label(&seal(&mut outbound, &ipv4(80), IpProtocol::IPV4)), 0);
    let mut outbound = outbound.with_flow_label(FlowLabel::Flow { key: 0x1234_5678_9abc_def0 });
    let flows = [ipv4(80), ipv6(80)].map(|inner| {
        let next = if inner[0] >> 4 == 4 { IpProtocol::IPV4 } else { IpProtocol::IPV6 };
        [(); 3].map(|()| label(&seal(&mut outbound, &inner, next)))
    });
    assert!(flows.iter().all(|[a, b, c]| *a != 0 && a == b && b == c));
    assert_ne!(flows[0], flows[1]);
    // The rule stays when the addresses move, and what does not know its flow has none.
    outbound.update(&outer_v6(UDP_4500)).unwrap();
    let mut packet = seal(&mut outbound, &ipv4(80), IpProtocol::IPV4);
    assert_eq!(label(&packet), flows[0][0]);
    assert!(inbound.open_in_place(&mut packet[48..]).is_ok());
    assert_eq!(label(&seal(&mut outbound, &[7; 50], IpProtocol::NO_NEXT_HEADER)), 0);
}

#[test]
fn packets_for_a_tcp_stream_have_their_length_in_front() {
    for mode in [Mode::Tunnel, Mode::Transport] {
        let change = |mut p: SaParams| {
            p.outer.encapsulation = Encapsulation::Tcp { connection: 7 };
            p.with_mode(mode)
        };
        let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::TcpLength);
        let mut stream = Vec::new();
        for len in [20, 100, 1400] {
            let packet = seal(&mut outbound, &ipv4(len), IpProtocol::IPV4);
            assert_eq!(usize::from(u16::from_be_bytes([packet[0], packet[1]])), packet.len());
            stream.extend(packet);
        }
        let (mut deframer, mut stream) = (TcpDeframer::opened(), BytesMut::from(&stream[..]));
        for len in [20, 100, 1400] {
            let Ok(Some(TcpMessage::Esp(mut packet))) = deframer.next(&mut stream) else {
                panic!("an ESP packet")
            };
            let opened = inbound.open_in_place(&mut packet).unwrap();
            assert_eq!(packet[opened.payload], ipv4(len));
        }
        // The length counts itself, in 16 bits.
        let mut buf = vec![0; 66_000];
        let mut sealed = |len: usize| outbound.seal_in_place(&mut buf, 100..100 + len, IpProtocol::UDP);
        assert_eq!(sealed(65_498).map(|sealed| sealed.len()), Ok(65_534));
        assert_eq!(sealed(65_499), Err(SealError::TooLong));
    }
    let params = params(&SUITES[0], Direction::Outbound);
    let error = EspOutbound::new(&params, &provider(), OuterHeader::TcpLength, &mut rng()).unwrap_err();
    assert_eq!(error, SaError::OuterHeader);
}

#[test]
fn a_lone_udp_header_goes_in_front_for_whoever_writes_ip() {
    let change = |mut p: SaParams| {
        p.outer.encapsulation = UDP_4500;
        p
    };
    let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::Udp);
    let mut packet = seal(&mut outbound, &ipv4(40), IpProtocol::IPV4);
    let len = (packet.len() as u16).to_be_bytes();
    assert_eq!(packet[..8], [0x11, 0x94, 0x11, 0x95, len[0], len[1], 0, 0]);
    assert!(inbound.open_in_place(&mut packet[8..]).is_ok());
}

#[test]
fn every_octet_flipped_is_refused_and_moves_nothing() {
    for suite in &SUITES {
        for change in [|p: SaParams| p, |p: SaParams| p.with_sequence(SnId::SEQUENTIAL_64, 1 << 33)] {
            let (mut outbound, mut inbound) = pair(change, suite, OuterHeader::None);
            let packet = seal(&mut outbound, &ipv4(45), IpProtocol::IPV4);
            let top = inbound.window().top();
            for at in 0..packet.len() {
                for bit in [0x01, 0x80] {
                    let mut forged = packet.clone();
                    forged[at] ^= bit;
                    let error = inbound.open_in_place(&mut forged).unwrap_err();
                    let number_field = (4..8).contains(&at);
                    let expected = error == OpenError::Icv
                        || number_field && matches!(error, OpenError::OutOfWindow | OpenError::Replay);
                    assert!(expected, "octet {at}: {error:?}");
                    assert_eq!(inbound.window().top(), top);
                    assert_eq!(inbound.meter().packets(), 0);
                }
            }
            let stats = *inbound.stats();
            assert_eq!(stats.icv_failed + stats.out_of_window + stats.replayed, 2 * packet.len() as u64);
            // And the untouched one still opens.
            assert!(inbound.open_in_place(&mut packet.clone()).is_ok());
        }
    }
}

#[test]
fn every_length_of_a_cut_or_extended_packet_is_refused() {
    for suite in &SUITES {
        let (mut outbound, mut inbound) = pair(|p| p, suite, OuterHeader::None);
        let packet = seal(&mut outbound, &ipv4(45), IpProtocol::IPV4);
        for len in 0..packet.len() {
            let error = inbound.open_in_place(&mut packet[..len].to_vec()).unwrap_err();
            assert!(matches!(error, OpenError::Truncated | OpenError::Icv), "{len}: {error:?}");
        }
        for more in 1..40 {
            let mut longer = packet.clone();
            longer.resize(packet.len() + more, 0);
            let error = inbound.open_in_place(&mut longer).unwrap_err();
            assert!(matches!(error, OpenError::Truncated | OpenError::Icv), "{more}: {error:?}");
        }
        assert_eq!(inbound.window().top(), 0);
        assert_eq!(inbound.stats().truncated + inbound.stats().icv_failed, packet.len() as u64 + 39);
        assert!(inbound.stats().truncated >= 8);
    }
}

#[test]
fn replays_are_refused_in_any_order() {
    let (mut outbound, mut inbound) = pair(|p| p.with_replay_window(64), &SUITES[0], OuterHeader::None);
    let packets: Vec<_> = (0..200).map(|_| seal(&mut outbound, &ipv4(30), IpProtocol::IPV4)).collect();
    for number in [5, 3, 4, 100, 90, 37] {
        assert!(inbound.open_in_place(&mut packets[number].clone()).is_ok(), "{number}");
        assert_eq!(inbound.open_in_place(&mut packets[number].clone()), Err(OpenError::Replay));
    }
    assert_eq!(inbound.open_in_place(&mut packets[36].clone()), Err(OpenError::OutOfWindow));
    assert_eq!((inbound.stats().replayed, inbound.stats().out_of_window), (6, 1));
    assert_eq!(inbound.meter().packets(), 6);
}

#[test]
fn extended_numbers_are_inferred_across_the_boundary() {
    for suite in &SUITES {
        let (mut outbound, mut inbound) = pair(esn((1 << 32) - 4), suite, OuterHeader::None);
        let mut packets: Vec<_> = (0..8).map(|_| seal(&mut outbound, &ipv4(30), IpProtocol::IPV4)).collect();
        // The first of the new subspace carries 0 on the wire.
        assert_eq!(packets[3][4..8], [0; 4]);
        for number in [0, 4, 2, 7, 1, 3] {
            let opened = inbound.open_in_place(&mut packets[number].clone()).unwrap();
            assert_eq!(opened.seq, (1 << 32) - 3 + number as u64);
        }
        assert_eq!(inbound.open_in_place(&mut packets[4]), Err(OpenError::Replay));
    }
}

#[test]
fn the_high_half_is_authenticated() {
    for suite in &SUITES {
        let (mut outbound, _) = pair(esn(7), suite, OuterHeader::None);
        let (_, mut other) = pair(esn((1 << 32) + 7), suite, OuterHeader::None);
        let (_, mut plain) = pair(|p| p, suite, OuterHeader::None);
        let packet = seal(&mut outbound, &ipv4(30), IpProtocol::IPV4);
        assert_eq!(other.open_in_place(&mut packet.clone()), Err(OpenError::Icv));
        assert_eq!(plain.open_in_place(&mut packet.clone()), Err(OpenError::Icv));
    }
}

#[test]
fn exhaustion_and_lifetimes_are_typed_and_spend_nothing() {
    let change = |p: SaParams| p.with_sequence(SnId::SEQUENTIAL_32, u64::from(u32::MAX) - 1);
    let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::None);
    assert!(outbound.sequence().is_low());
    let mut packet = seal(&mut outbound, &ipv4(30), IpProtocol::IPV4);
    assert!(inbound.open_in_place(&mut packet).is_ok());
    let mut buf = [0; 128];
    for _ in 0..2 {
        let sealed = outbound.seal_in_place(&mut buf, 32..62, IpProtocol::IPV4);
        assert_eq!(sealed, Err(SealError::Exhausted));
    }
    assert_eq!(outbound.stats().exhausted, 2);

    let hard = Lifetime { packets: Some(2), octets: Some(1000), time: None };
    let change = |p: SaParams| p.with_lifetimes(Lifetimes { soft: Lifetime::default(), hard });
    let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::None);
    let mut packets = [(); 2].map(|()| seal(&mut outbound, &ipv4(30), IpProtocol::IPV4));
    assert_eq!(outbound.seal_in_place(&mut buf, 32..62, IpProtocol::IPV4), Err(SealError::Lifetime));
    assert_eq!((outbound.sequence().last(), outbound.stats().expired), (2, 1));
    for packet in &mut packets {
        assert!(inbound.open_in_place(packet).is_ok());
    }
    assert_eq!(inbound.open_in_place(&mut [0, 0, 0, 0, 0, 0, 0, 9].repeat(8)), Err(OpenError::Lifetime));
    assert_eq!(inbound.stats().expired, 1);
}

#[test]
fn no_number_is_spent_where_there_is_no_room() {
    for suite in &SUITES {
        for (kind, encapsulation) in [
            (OuterHeader::None, Encapsulation::None),
            (OuterHeader::Ip, UDP_4500),
            (OuterHeader::Udp, UDP_4500),
        ] {
            let change = |mut p: SaParams| {
                p.outer.encapsulation = encapsulation;
                p
            };
            let (mut outbound, _) = pair(change, suite, kind);
            let room = outbound.room(33);
            let mut buf = vec![0; 256];
            buf[100..133].copy_from_slice(&ipv4(33));
            let no_room = Err(SealError::NoRoom { head: room.head, tail: room.tail });
            for (from, to) in [(100 - room.head + 1, 256), (0, 133 + room.tail - 1), (100, 133), (99, 140)] {
                let payload = 100 - from..133 - from;
                let sealed = outbound.seal_in_place(&mut buf[from..to], payload, IpProtocol::IPV4);
                assert_eq!(sealed, no_room);
            }
            for payload in [300..310, 100..300, 0..usize::MAX, usize::MAX..usize::MAX] {
                let sealed = outbound.seal_in_place(&mut buf, payload, IpProtocol::IPV4);
                assert_eq!(sealed, Err(SealError::Range));
            }
            #[allow(clippy::reversed_empty_ranges)] // that is the point
            let reversed = 133..100;
            assert_eq!(outbound.seal_in_place(&mut buf, reversed, IpProtocol::IPV4), Err(SealError::Range));
            assert_eq!(outbound.sequence().last(), 0);
            assert_eq!(outbound.stats().refused, 9);
            let exact = 100 - room.head..133 + room.tail;
            let payload = room.head..room.head + 33;
            assert!(outbound.seal_in_place(&mut buf[exact], payload, IpProtocol::IPV4).is_ok());
        }
    }
}

#[test]
fn what_is_no_inner_packet_gets_no_outer_header_and_spends_nothing() {
    let (mut outbound, _) = pair(|p| p, &SUITES[0], OuterHeader::Ip);
    let mut buf = vec![0; 70_000];
    assert_eq!(outbound.seal_in_place(&mut buf, 100..140, IpProtocol::IPV4), Err(SealError::Inner));
    assert_eq!(outbound.seal_in_place(&mut buf, 100..100, IpProtocol::IPV6), Err(SealError::Inner));
    assert_eq!(outbound.seal_in_place(&mut buf, 100..65_600, IpProtocol::IPV4), Err(SealError::TooLong));
    assert_eq!(outbound.sequence().last(), 0);
    assert!(outbound.seal_in_place(&mut buf, 100..100, IpProtocol::NO_NEXT_HEADER).is_ok());
}

/// Authentic packets with any contents, as a faulty or wicked peer with the key would send them.
fn authentic(suite: &Suite, mode: Mode, plaintext: &[u8], next: IpProtocol) -> (Vec<u8>, EspInbound) {
    // Transport mode takes any payload; the inbound side below has the mode under test.
    let provider = provider();
    let sender = params(suite, Direction::Outbound).with_mode(Mode::Transport);
    let mut outbound = EspOutbound::new(&sender, &provider, OuterHeader::None, &mut rng()).unwrap();
    let receiver = params(suite, Direction::Inbound).with_mode(mode);
    (seal(&mut outbound, plaintext, next), EspInbound::new(&receiver, &provider).unwrap())
}

#[test]
fn tfc_padding_is_cut_off_by_the_inner_length() {
    for (inner, next) in [(ipv4(40), IpProtocol::IPV4), (ipv6(60), IpProtocol::IPV6)] {
        let mut padded = inner.clone();
        padded.resize(700, 0);
        let (mut packet, mut inbound) = authentic(&SUITES[1], Mode::Tunnel, &padded, next);
        let opened = inbound.open_in_place(&mut packet).unwrap();
        assert_eq!(packet[opened.payload], inner);
    }
}

#[test]
fn authentic_nonsense_is_told_apart_and_moves_the_window() {
    let cases = [
        (ipv4(40)[..30].to_vec(), IpProtocol::IPV4, OpenError::Inner),
        (ipv4(40), IpProtocol::IPV6, OpenError::Inner),
        (vec![], IpProtocol::IPV4, OpenError::Inner),
        (ipv4(40), IpProtocol::TCP, OpenError::NextHeader),
        (ipv4(40), IpProtocol::IPCOMP, OpenError::NextHeader),
        (ipv4(40), IpProtocol::AGGFRAG, OpenError::NextHeader),
    ];
    for (plaintext, next, expected) in cases {
        let (mut packet, mut inbound) = authentic(&SUITES[0], Mode::Tunnel, &plaintext, next);
        assert_eq!(inbound.open_in_place(&mut packet.clone()), Err(expected));
        assert_eq!(inbound.window().top(), 1);
        assert_eq!(inbound.open_in_place(&mut packet), Err(OpenError::Replay));
        assert_eq!(inbound.stats().bad_inner + inbound.stats().bad_next_header, 1);
    }
    let (mut packet, mut inbound) = authentic(&SUITES[0], Mode::Tunnel, &[9; 50], IpProtocol::NO_NEXT_HEADER);
    assert!(inbound.open_in_place(&mut packet).unwrap().is_dummy());
    assert_eq!(inbound.stats().dummies, 1);
    let (mut packet, mut inbound) = authentic(&SUITES[3], Mode::Transport, &[9; 50], IpProtocol::UDP);
    let opened = inbound.open_in_place(&mut packet).unwrap();
    assert_eq!((&packet[opened.payload], opened.next_header), (&[9; 50][..], IpProtocol::UDP));
}

#[test]
fn padding_is_checked_once_the_packet_is_authentic() {
    // With ENCR_NULL the plaintext is visible, and the MAC alone makes the packet authentic.
    let suite = &SUITES[5];
    let (packet, _) = authentic(suite, Mode::Tunnel, &ipv4(41), IpProtocol::IPV4);
    let provider = provider();
    let key = params(suite, Direction::Inbound).keys;
    let mac = provider.integ(IntegId::HMAC_SHA2_256_128).unwrap().mac_key(key.integ.expose()).unwrap();
    let forge = |change: fn(&mut [u8])| {
        let mut packet = packet.clone();
        let icv = packet.len() - 16;
        change(&mut packet[..icv]);
        let (covered, icv) = packet.split_at_mut(icv);
        mac.sign(&[covered], icv).unwrap();
        let mut inbound = EspInbound::new(&params(suite, Direction::Inbound), &provider).unwrap();
        let result = inbound.open_in_place(&mut packet);
        assert_eq!(inbound.window().top(), 1);
        (result, inbound.stats().bad_padding)
    };
    assert!(forge(|_| ()).0.is_ok());
    // 41 octets need one octet of padding: 1, 1, next header.
    assert_eq!(forge(|p| p[p.len() - 3] = 2), (Err(OpenError::Padding), 1));
    assert_eq!(forge(|p| p[p.len() - 2] = 2), (Err(OpenError::Padding), 1));
    assert_eq!(forge(|p| p[p.len() - 2] = 255), (Err(OpenError::Padding), 1));
    assert_eq!(forge(|p| p[p.len() - 2] = 0).0.map(|opened| opened.payload.len()), Ok(41));
}

#[test]
fn parameters_that_make_no_sa_are_refused() {
    let provider = provider();
    let inbound = |params: &SaParams| EspInbound::new(params, &provider).unwrap_err();
    let good = || params(&SUITES[0], Direction::Inbound);
    let mut p = good();
    p.algorithms.integ = Some(IntegId::HMAC_SHA2_256_128);
    assert_eq!(inbound(&p), SaError::IntegrityTwice);
    let mut p = params(&SUITES[2], Direction::Inbound);
    p.algorithms.integ = None;
    assert_eq!(inbound(&p), SaError::NoIntegrity);
    let mut p = params(&SUITES[5], Direction::Inbound);
    p.algorithms.integ = None;
    assert_eq!(inbound(&p), SaError::NoIntegrity);
    let mut p = good();
    p.algorithms.encr = Some(EncrId(9999));
    assert_eq!(inbound(&p), SaError::UnknownEncryption(EncrId(9999)));
    p.algorithms.encr = None;
    assert_eq!(inbound(&p), SaError::NoEncryption);
    let mut p = params(&SUITES[2], Direction::Inbound);
    p.algorithms.integ = Some(IntegId(9999));
    assert_eq!(inbound(&p), SaError::UnknownIntegrity(IntegId(9999)));
    for len in [0, 3, 16, 19, 21, 28, 37] {
        let mut p = good();
        p.keys.encr = Secret::zeroed(len);
        assert_eq!(inbound(&p), SaError::KeyLength { actual: len });
    }
    let mut p = params(&SUITES[2], Direction::Inbound);
    p.keys.integ = Secret::zeroed(31);
    assert_eq!(inbound(&p), SaError::KeyLength { actual: 31 });
    assert_eq!(inbound(&params(&SUITES[0], Direction::Outbound)), SaError::Direction);
    let outbound =
        |params: &SaParams, outer| EspOutbound::new(params, &provider, outer, &mut rng()).unwrap_err();
    assert_eq!(outbound(&good(), OuterHeader::None), SaError::Direction);
    let p = params(&SUITES[0], Direction::Outbound);
    assert_eq!(outbound(&p, OuterHeader::Udp), SaError::OuterHeader);
    let mut p = params(&SUITES[0], Direction::Outbound);
    p.outer.encapsulation = Encapsulation::Tcp { connection: 1 };
    assert_eq!(outbound(&p, OuterHeader::Ip), SaError::OuterHeader);
    let mut p = params(&SUITES[0], Direction::Outbound);
    p.protocol = ipsec_sa::SecurityProtocol::Ah;
    assert_eq!(outbound(&p, OuterHeader::None), SaError::NotEsp);
}

#[test]
fn no_key_is_printed() {
    for suite in &SUITES {
        let (outbound, inbound) = pair(|p| p, suite, OuterHeader::Ip);
        let text = format!("{outbound:?} {inbound:?} {:#?}", params(suite, Direction::Inbound));
        let keys = params(suite, Direction::Inbound).keys;
        for key in [keys.encr, keys.integ] {
            for window in key.expose().windows(4) {
                for form in [hex::encode(window), format!("{window:?}").replace(['[', ']'], "")] {
                    assert!(!text.contains(&form), "{form}");
                }
            }
        }
    }
}

#[test]
fn cbc_ivs_neither_repeat_nor_count() {
    let (mut outbound, _) = pair(|p| p, &SUITES[2], OuterHeader::None);
    let ivs: BTreeSet<_> =
        (0..500).map(|_| seal(&mut outbound, &ipv4(30), IpProtocol::IPV4)[8..24].to_vec()).collect();
    assert_eq!(ivs.len(), 500);
    // Another seed, other IVs under the same keys and numbers.
    let mut other_rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(43);
    let params = params(&SUITES[2], Direction::Outbound);
    let mut other = EspOutbound::new(&params, &provider(), OuterHeader::None, &mut other_rng).unwrap();
    assert!(!ivs.contains(&seal(&mut other, &ipv4(30), IpProtocol::IPV4)[8..24]));
}

#[test]
fn gcm_ivs_are_the_sequence_numbers() {
    let (mut outbound, _) = pair(esn((7 << 32) + 1), &SUITES[1], OuterHeader::None);
    let packet = seal(&mut outbound, &ipv4(30), IpProtocol::IPV4);
    assert_eq!(packet[8..16], ((7u64 << 32) + 2).to_be_bytes());
}

#[test]
fn a_batch_seals_what_one_by_one_would() {
    let mut rng = rng();
    let provider = provider();
    let transforms: Vec<_> = SUITES[..2]
        .iter()
        .map(|suite| {
            EspTransform::new(&params(suite, Direction::Outbound), &provider, OuterHeader::None, &mut rng)
                .unwrap()
        })
        .collect();
    let mut counter = SequenceCounter::new(SnId::SEQUENTIAL_32, 0);
    let mut buffers: Vec<Vec<u8>> = (0..32).map(|_| [vec![0; 16], ipv4(64), vec![0; 32]].concat()).collect();
    let mut jobs: Vec<_> = buffers
        .iter_mut()
        .enumerate()
        .map(|(i, buf)| {
            let payload = if i == 7 { 8..72 } else { 16..80 };
            SealJob::new(&transforms[i % 2], counter.reserve().unwrap(), buf, payload, IpProtocol::IPV4)
        })
        .collect();
    assert!(jobs.iter().all(|job| job.sealed().is_none()));
    seal_batch(&mut jobs);
    seal_batch(&mut jobs);
    for (i, job) in jobs.iter().enumerate() {
        if i == 7 {
            assert_eq!(job.sealed(), Some(Err(SealError::NoRoom { head: 16, tail: 20 })));
            continue;
        }
        let mut inbound = EspInbound::new(&params(&SUITES[i % 2], Direction::Inbound), &provider).unwrap();
        let mut packet = job.packet().unwrap().to_vec();
        let opened = inbound.open_in_place(&mut packet).unwrap();
        assert_eq!((opened.seq, &packet[opened.payload]), (i as u64 + 1, &ipv4(64)[..]));
    }
}

#[test]
fn layouts_say_the_exact_size_of_sealed_packets() {
    for suite in &SUITES {
        for outer in [outer_v4 as fn(_) -> _, outer_v6] {
            for encapsulation in [Encapsulation::None, UDP_4500] {
                let change = |mut p: SaParams| {
                    p.outer = outer(encapsulation);
                    p
                };
                let layout =
                    PacketLayout::new(&change(params(suite, Direction::Outbound)), &provider()).unwrap();
                let (mut outbound, _) = pair(change, suite, OuterHeader::Ip);
                for len in 20..120 {
                    let sealed = seal(&mut outbound, &ipv4(len), IpProtocol::IPV4).len();
                    assert_eq!(layout.sealed_len(len), sealed);
                    let largest = layout.largest_payload(sealed).unwrap();
                    assert!(largest >= len && layout.sealed_len(largest) <= sealed);
                    assert!(layout.sealed_len(largest + 1) > sealed);
                }
                for mtu in [0, 20, 40, 60] {
                    assert_eq!(layout.largest_payload(mtu).filter(|len| layout.sealed_len(*len) > mtu), None);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn garbage_is_refused_without_a_panic(
        suite in 0usize..6,
        extended in any::<bool>(),
        mut packet in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let change = move |p: SaParams| {
            if extended { p.with_sequence(SnId::SEQUENTIAL_64, 5) } else { p }
        };
        let (_, mut inbound) = pair(change, &SUITES[suite], OuterHeader::None);
        let top = inbound.window().top();
        prop_assert!(inbound.open_in_place(&mut packet).is_err());
        prop_assert_eq!(inbound.window().top(), top);
    }

    #[test]
    fn any_range_is_sealed_or_refused(start in 0usize..200, len in 0usize..200, buf_len in 0usize..300) {
        let (mut outbound, mut inbound) = pair(|p| p.with_mode(Mode::Transport), &SUITES[2], OuterHeader::None);
        let mut buf = vec![7; buf_len];
        match outbound.seal_in_place(&mut buf, start..start + len, IpProtocol::UDP) {
            Ok(sealed) => {
                let packet = &mut buf[sealed];
                let opened = inbound.open_in_place(packet).unwrap();
                prop_assert_eq!(&packet[opened.payload], &vec![7; len]);
            }
            Err(error) => {
                let refused = matches!(error, SealError::NoRoom { .. } | SealError::Range);
                prop_assert!(refused);
                prop_assert_eq!(outbound.sequence().last(), 0);
            }
        }
    }
}
