//! Whole IP packets in every mode: against scapy's (`vectors/make_scapy_packets.py`), through translators, in BEET mode,
//! padded and dummy ones.

extern crate alloc;

mod common;

use core::net::IpAddr;

use bytes::BytesMut;
use common::*;
use ipsec_crypto::Secret;
use ipsec_esp::pmtu::PacketLayout;
use ipsec_esp::{
    EspInbound, EspOutbound, OpenError, OpenJob, OuterHeader, ResyncPolicy, SaError, SealError, open_batch,
};
use ipsec_sa::{
    Direction, Encapsulation, Mode, NatOriginalAddresses, Outer, Role, SaAlgorithms, SaKeys, SaParams,
    TrafficSelector,
};
use ipsec_wire::ike::{EncrId, IntegId, SnId};
use ipsec_wire::ip::{Ipv4Header, Ipv6Header, internet_checksum, transport_checksum};
use ipsec_wire::{IpProtocol, IpView, Spi};
use proptest::prelude::*;
use serde_json::Value;

struct Vector {
    name: String,
    mode: Mode,
    algorithms: SaAlgorithms,
    key: Vec<u8>,
    integ_key: Vec<u8>,
    spi: Spi,
    sequence: SnId,
    seq: u64,
    inner: Vec<u8>,
    sealed: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let values: Vec<Value> = serde_json::from_str(include_str!("vectors/scapy_packets.json")).unwrap();
    let vectors = values.iter().map(|value| {
        let number = |key: &str| value[key].as_u64().unwrap();
        let text = |key: &str| value[key].as_str().unwrap();
        let octets = |key: &str| hex::decode(text(key)).unwrap();
        let integ = number("integ") as u16;
        Vector {
            name: text("name").into(),
            mode: if text("mode") == "tunnel" { Mode::Tunnel } else { Mode::Transport },
            algorithms: SaAlgorithms {
                encr: Some(EncrId(number("encr") as u16)),
                key_bits: number("key_bits") as u16,
                integ: (integ != 0).then_some(IntegId(integ)),
            },
            key: octets("key"),
            integ_key: octets("integ_key"),
            spi: Spi(number("spi") as u32),
            sequence: match value["esn"].as_bool().unwrap() {
                true => SnId::SEQUENTIAL_64,
                false => SnId::SEQUENTIAL_32,
            },
            seq: u64::from_str_radix(text("seq"), 16).unwrap(),
            inner: octets("inner"),
            sealed: octets("sealed"),
        }
    });
    vectors.collect()
}

impl Vector {
    fn params(&self, direction: Direction) -> SaParams {
        let keys = SaKeys { encr: Secret::new(&self.key), integ: Secret::new(&self.integ_key) };
        SaParams::new(
            self.spi,
            direction,
            Role::Initiator,
            self.algorithms,
            keys,
            outer_v4(Encapsulation::None),
        )
        .with_mode(self.mode)
        .with_sequence(self.sequence, self.seq - 1)
    }
}

#[test]
fn every_foreign_packet_opens_with_its_headers() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 432);
    for vector in &vectors {
        let mut inbound = EspInbound::new(&vector.params(Direction::Inbound), &provider()).unwrap();
        let mut packet = vector.sealed.clone();
        let opened = inbound.open_packet(&mut packet).unwrap_or_else(|e| panic!("{}: {e:?}", vector.name));
        assert_eq!(hex::encode(&packet[opened.packet]), hex::encode(&vector.inner), "{}", vector.name);
        assert_eq!(opened.seq, vector.seq);
        assert_eq!(inbound.open_packet(&mut vector.sealed.clone()), Err(OpenError::Replay));
        for at in 20..vector.sealed.len() {
            let mut packet = vector.sealed.clone();
            packet[at] ^= 0x20;
            let _ = inbound.open_packet(&mut packet);
        }
        assert_eq!(inbound.window().top(), vector.seq, "{}", vector.name);
    }
}

#[test]
fn sealing_in_transport_mode_gives_the_same_packet() {
    let vectors = vectors();
    let mut compared = 0;
    for vector in vectors.iter().filter(|v| v.mode == Mode::Transport) {
        let params = vector.params(Direction::Outbound);
        let mut outbound = EspOutbound::new(&params, &provider(), OuterHeader::Ip, &mut rng()).unwrap();
        let room = outbound.packet_room(vector.inner.len());
        let mut buf = [vec![0xee; room.head], vector.inner.clone(), vec![0xdd; room.tail]].concat();
        let ip = room.head..room.head + vector.inner.len();
        let sealed = outbound.seal_packet(&mut buf, ip).unwrap();
        // IVs of CBC are not to be foretold.
        if vector.algorithms.encr != Some(EncrId::AES_CBC) {
            assert_eq!(hex::encode(&buf[sealed]), hex::encode(&vector.sealed), "{}", vector.name);
            compared += 1;
        } else {
            let mut inbound = EspInbound::new(&vector.params(Direction::Inbound), &provider()).unwrap();
            let packet = &mut buf[sealed];
            let opened = inbound.open_packet(packet).unwrap();
            assert_eq!(packet[opened.packet], vector.inner, "{}", vector.name);
        }
    }
    assert_eq!(compared, 168);
}

/// RFC 8750: an implicit IV is the explicit one of a sender that counts, left out.
#[test]
fn implicit_ivs_are_foreign_packets_without_their_iv() {
    let mut compared = 0;
    for vector in vectors().iter().filter(|v| v.mode == Mode::Transport && v.name.contains("/v4/")) {
        let implicit = match vector.algorithms.encr {
            Some(EncrId::AES_GCM_16) => EncrId::AES_GCM_16_IIV,
            Some(EncrId::AES_CCM_8) => EncrId::AES_CCM_8_IIV,
            Some(EncrId::CHACHA20_POLY1305) => EncrId::CHACHA20_POLY1305_IIV,
            _ => continue,
        };
        let mut params = vector.params(Direction::Inbound);
        params.algorithms.encr = Some(implicit);
        let mut inbound = EspInbound::new(&params, &provider()).unwrap();
        let mut esp = vector.sealed[20..].to_vec();
        esp.drain(8..16);
        let opened = inbound.open_in_place(&mut esp).unwrap_or_else(|e| panic!("{}: {e:?}", vector.name));
        assert_eq!(esp[opened.payload], vector.inner[20..], "{}", vector.name);
        compared += 1;

        params = params.with_sequence(SnId::UNSPECIFIED_32, 0);
        assert_eq!(EspInbound::new(&params, &provider()).unwrap_err(), SaError::ImplicitIv);
    }
    assert_eq!(compared, 6);
}

#[test]
fn every_row_of_the_provider_comes_back() {
    let provider = provider();
    for row in provider.encr.iter() {
        for key_len in row.key_lengths() {
            let integs: Vec<_> = match row.is_aead() {
                true => vec![None],
                false => provider.integ.iter().filter(|row| row.iv_len() == 0).map(Some).collect(),
            };
            for integ in integs {
                let suite = Suite {
                    encr: row.id(),
                    key_bits: *key_len as u16 * 8,
                    key_len: key_len + row.salt_len(),
                    integ: integ.map(|row| row.id()),
                    integ_len: integ.map_or(0, |row| row.key_len()),
                };
                for change in [|p: SaParams| p, |p: SaParams| p.with_sequence(SnId::SEQUENTIAL_64, 1 << 32)] {
                    let (mut outbound, mut inbound) = pair(change, &suite, OuterHeader::None);
                    for len in [20, 21, 38, 39, 40, 1400] {
                        let mut packet = seal(&mut outbound, &ipv4(len), IpProtocol::IPV4);
                        let opened = inbound.open_in_place(&mut packet).unwrap();
                        assert_eq!(packet[opened.payload], ipv4(len), "{suite:?}");
                    }
                }
            }
        }
    }
}

/// Every algorithm once, NULL with every MAC among them.
fn families() -> Vec<Suite> {
    let provider = provider();
    let macs = || provider.integ.iter();
    let mut suites: Vec<_> = macs()
        .map(|mac| Suite {
            encr: EncrId::NULL,
            key_bits: 0,
            key_len: 0,
            integ: Some(mac.id()),
            integ_len: mac.key_len(),
        })
        .collect();
    suites.retain(|suite| EspInbound::new(&params(suite, Direction::Inbound), &provider).is_ok());
    assert!(suites.len() >= 6, "{suites:?}");
    for row in provider.encr.iter() {
        let key_len = row.key_lengths().last().copied().unwrap();
        let integ = (!row.is_aead()).then_some((IntegId::HMAC_SHA2_256_128, 32));
        suites.push(Suite {
            encr: row.id(),
            key_bits: key_len as u16 * 8,
            key_len: key_len + row.salt_len(),
            integ: integ.map(|(id, _)| id),
            integ_len: integ.map_or(0, |(_, len)| len),
        });
    }
    suites
}

#[test]
fn bad_packets_of_every_family_are_refused_and_move_nothing() {
    for suite in families() {
        for change in [|p: SaParams| p, |p: SaParams| p.with_sequence(SnId::SEQUENTIAL_64, 1 << 33)] {
            let (mut outbound, mut inbound) = pair(change, &suite, OuterHeader::None);
            let packet = seal(&mut outbound, &ipv4(45), IpProtocol::IPV4);
            let (top, mut refused) = (inbound.window().top(), 0);
            let mut refuse = |mut forged: Vec<u8>, allowed: &[OpenError], what: &str| {
                let error = inbound.open_in_place(&mut forged).unwrap_err();
                assert!(allowed.contains(&error), "{suite:?} {what}: {error:?}");
                assert_eq!((inbound.window().top(), inbound.meter().packets()), (top, 0));
                refused += 1;
                let stats = inbound.stats();
                let counted = stats.icv_failed + stats.truncated + stats.replayed + stats.out_of_window;
                assert_eq!(counted, refused, "{suite:?} {what}");
            };
            for (at, bit) in (0..packet.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut forged = packet.clone();
                forged[at] ^= 1 << bit;
                let number = [OpenError::Icv, OpenError::OutOfWindow, OpenError::Replay];
                let allowed = if (4..8).contains(&at) { &number[..] } else { &number[..1] };
                refuse(forged, allowed, "flipped");
            }
            for len in 0..packet.len() {
                refuse(packet[..len].to_vec(), &[OpenError::Truncated, OpenError::Icv], "cut");
            }
            for more in 1..20 {
                let longer = [&packet[..], &vec![more; more.into()]].concat();
                refuse(longer, &[OpenError::Truncated, OpenError::Icv], "extended");
            }
            assert!(inbound.open_in_place(&mut packet.clone()).is_ok(), "{suite:?}");
        }
    }
}

#[test]
fn layouts_are_exact_for_every_family_and_encapsulation() {
    let tcp = Encapsulation::Tcp { connection: 1 };
    for suite in families() {
        for outer in [outer_v4 as fn(_) -> _, outer_v6] {
            // In TCP what is written is the length; the headers of IP and TCP are the socket's.
            for (kind, encapsulation, unwritten) in [
                (OuterHeader::Ip, Encapsulation::None, 0),
                (OuterHeader::Ip, UDP_4500, 0),
                (OuterHeader::TcpLength, tcp, 20),
            ] {
                let change = |mut p: SaParams| {
                    p.outer = outer(encapsulation);
                    p
                };
                let params = change(params(&suite, Direction::Outbound));
                let ip = if params.outer.remote.is_ipv4() { 20 } else { 40 };
                let unwritten = if unwritten == 0 { 0 } else { unwritten + ip };
                let layout = PacketLayout::new(&params, &provider()).unwrap();
                let (mut outbound, _) = pair(change, &suite, kind);
                for len in (20..56).chain([1400]) {
                    let sealed = seal(&mut outbound, &ipv4(len), IpProtocol::IPV4).len() + unwritten;
                    assert_eq!(layout.sealed_len(len), sealed, "{suite:?} {encapsulation:?}");
                    let largest = layout.largest_payload(sealed).unwrap();
                    assert!(layout.sealed_len(largest) == sealed && layout.sealed_len(largest + 1) > sealed);
                }
            }
        }
    }
}

#[test]
fn encryption_without_integrity_is_refused() {
    let provider = provider();
    for row in provider.encr.iter().filter(|row| !row.is_aead()) {
        let key_bits = row.key_lengths().first().map_or(0, |len| *len as u16 * 8);
        let key_len = usize::from(key_bits) / 8 + row.salt_len();
        let suite = Suite { encr: row.id(), key_bits, key_len, integ: None, integ_len: 0 };
        let error = EspInbound::new(&params(&suite, Direction::Inbound), &provider).unwrap_err();
        assert_eq!(error, SaError::NoIntegrity, "{row:?}");
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A UDP or TCP packet with a true checksum.
fn segment(src: &str, dst: &str, protocol: IpProtocol, len: usize) -> Vec<u8> {
    let mut segment: Vec<u8> = (0..len).map(|i| (i * 5) as u8).collect();
    let at = if protocol == IpProtocol::UDP { 6 } else { 16 };
    if protocol == IpProtocol::UDP {
        segment[4..6].copy_from_slice(&(len as u16).to_be_bytes());
    }
    segment[at..at + 2].fill(0);
    let sum = transport_checksum(ip(src), ip(dst), protocol, &segment).unwrap();
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    match (ip(src), ip(dst)) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = Ipv4Header { tos: 0xb8, id: 7, df: true, ttl: 61, protocol, src, dst };
            [&header.emit(20 + len as u16)[..], &segment].concat()
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let next_header = protocol;
            let header =
                Ipv6Header { traffic_class: 0xb8, flow_label: 0x54321, next_header, hop_limit: 61, src, dst };
            [&header.emit(len as u16)[..], &segment].concat()
        }
        _ => unreachable!(),
    }
}

fn checksum_holds(packet: &[u8]) -> bool {
    let view = IpView::parse(packet).unwrap();
    let header = match view {
        IpView::V4(view) => view.checksum_ok(),
        IpView::V6(_) => true,
    };
    let protocol = view.upper_layer().protocol;
    header && transport_checksum(view.src(), view.dst(), protocol, view.upper_payload()) == Some(0)
}

fn seal_packet(outbound: &mut EspOutbound, packet: &[u8]) -> Vec<u8> {
    let room = outbound.packet_room(packet.len());
    let mut buf = [vec![0xee; room.head], packet.to_vec(), vec![0xdd; room.tail]].concat();
    let sealed = outbound.seal_packet(&mut buf, room.head..room.head + packet.len()).unwrap();
    buf[sealed].to_vec()
}

/// What a translator does: other addresses and ports outside.
fn translate(packet: &mut [u8], src: [u8; 4], dst: [u8; 4]) {
    packet[12..16].copy_from_slice(&src);
    packet[16..20].copy_from_slice(&dst);
    packet[20..22].copy_from_slice(&[0x99, 0x99]);
    packet[10..12].fill(0);
    let sum = internet_checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn checksums_are_true_behind_two_translators() {
    // 10.0.0.5 sends to 203.0.113.9, which a translator turns into 172.16.0.9; itself it is seen as 198.51.100.77.
    for protocol in [IpProtocol::UDP, IpProtocol::TCP] {
        let change = |mut p: SaParams| {
            p.mode = Mode::Transport;
            let (local, remote) = (ip("10.0.0.5"), ip("203.0.113.9"));
            p.outer = Outer { local, remote, encapsulation: UDP_4500 };
            if p.direction == Direction::Inbound {
                p = p.with_nat_original(NatOriginalAddresses { local: remote, remote: local });
            }
            p
        };
        let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::Ip);
        let inner = segment("10.0.0.5", "203.0.113.9", protocol, 60);
        let mut packet = seal_packet(&mut outbound, &inner);
        assert_eq!(
            (packet[9], &packet[20..24], &packet[26..28]),
            (17, &[0x11, 0x94, 0x11, 0x95][..], &[0; 2][..])
        );
        translate(&mut packet, [198, 51, 100, 77], [172, 16, 0, 9]);
        let opened = inbound.open_packet(&mut packet).unwrap();
        let packet = &packet[opened.packet];
        assert_eq!(packet[12..20], [198, 51, 100, 77, 172, 16, 0, 9]);
        assert_eq!(packet[9], protocol.0);
        assert!(checksum_holds(packet), "{protocol:?}");
        assert_eq!(packet[20..26], inner[20..26]);
    }
}

#[test]
fn udp_over_ipv6_has_a_true_checksum_in_transport_mode() {
    let change = |mut p: SaParams| {
        p.mode = Mode::Transport;
        p.outer = outer_v6(UDP_4500);
        p
    };
    let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::Ip);
    let inner = segment("2001:db8::1", "2001:db8:ffff::2", IpProtocol::TCP, 80);
    let mut packet = seal_packet(&mut outbound, &inner);
    assert!(checksum_holds(&packet));
    let opened = inbound.open_packet(&mut packet).unwrap();
    assert_eq!(packet[opened.packet], inner);
    // Another address would make that checksum a lie.
    let other = segment("2001:db8::9", "2001:db8:ffff::2", IpProtocol::TCP, 80);
    let mut buf = [vec![0; 64], other, vec![0; 64]].concat();
    let before = outbound.sequence().last();
    assert_eq!(outbound.seal_packet(&mut buf, 64..184), Err(SealError::Address));
    assert_eq!((outbound.sequence().last(), outbound.stats().refused), (before, 1));
}

#[test]
fn without_a_header_the_payload_goes_alone() {
    let change = |mut p: SaParams| {
        p.mode = Mode::Transport;
        p.outer.encapsulation = UDP_4500;
        p
    };
    let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::None);
    let inner = segment("192.0.2.1", "198.51.100.2", IpProtocol::UDP, 30);
    let mut esp = seal_packet(&mut outbound, &inner);
    assert_eq!(esp[..4], SPI.0.to_be_bytes());
    let opened = inbound.open_in_place(&mut esp).unwrap();
    assert_eq!((opened.next_header, &esp[opened.payload]), (IpProtocol::UDP, &inner[20..]));
    // Options would be lost.
    let mut options = inner;
    options.splice(20..20, [1, 1, 1, 0]);
    (options[0], options[3]) = (0x46, options[3] + 4);
    let mut buf = [vec![0; 64], options, vec![0; 64]].concat();
    assert_eq!(outbound.seal_packet(&mut buf, 64..118), Err(SealError::Headers));
}

#[test]
fn fragments_and_strangers_are_refused() {
    let change = |p: SaParams| p.with_mode(Mode::Transport);
    let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::Ip);
    let inner = segment("192.0.2.1", "198.51.100.2", IpProtocol::UDP, 30);
    let mut fragment = inner.clone();
    fragment[6] = 0x20;
    let mut buf = [vec![0; 64], fragment, vec![0; 64]].concat();
    assert_eq!(outbound.seal_packet(&mut buf, 64..114), Err(SealError::Fragment));
    assert_eq!(outbound.seal_packet(&mut buf, 64..70), Err(SealError::Inner));
    assert_eq!(outbound.seal_packet(&mut buf, 64..999), Err(SealError::Range));
    buf[70] = 0;
    assert_eq!(outbound.seal_packet(&mut buf[60..], 4..54), Err(SealError::NoRoom { head: 16, tail: 18 }));
    assert_eq!(outbound.sequence().last(), 0);

    let sealed = seal_packet(&mut outbound, &inner);
    let mut fragment = sealed.clone();
    fragment[7] = 1;
    assert_eq!(inbound.open_packet(&mut fragment), Err(OpenError::Fragment));
    // UDP, but of something else: its length is not that of the packet.
    assert_eq!(inbound.open_packet(&mut inner.clone()), Err(OpenError::Truncated));
    let mut other = inner;
    other[9] = 6;
    assert_eq!(inbound.open_packet(&mut other), Err(OpenError::Header));
    for len in 0..sealed.len() {
        assert!(inbound.open_packet(&mut sealed[..len].to_vec()).is_err());
    }
    assert_eq!((inbound.stats().fragments, inbound.window().top()), (1, 0));
    let mut whole = sealed;
    assert!(inbound.open_packet(&mut whole).is_ok());
}

#[test]
fn tunnels_take_up_congestion_and_drop_where_they_must() {
    // RFC 6040 §4.2, figure 4: rows by the inner field, columns by the outer one, both 0 to 3; None is a drop.
    let table: [[Option<(u8, bool)>; 4]; 4] = [
        [Some((0, false)), Some((0, true)), Some((0, true)), None],
        [Some((1, false)), Some((1, false)), Some((1, true)), Some((3, false))],
        [Some((2, false)), Some((1, false)), Some((2, false)), Some((3, false))],
        [Some((3, false)), Some((3, true)), Some((3, false)), Some((3, false))],
    ];
    for outer_v4 in [true, false] {
        let change = |mut p: SaParams| {
            if !outer_v4 {
                p.outer = outer_v6(Encapsulation::None);
            }
            p
        };
        let (mut outbound, mut inbound) = pair(change, &SUITES[0], OuterHeader::Ip);
        for inner_v4 in [true, false] {
            for (inner_ecn, row) in table.iter().enumerate() {
                for (outer_ecn, expected) in row.iter().enumerate() {
                    let mut inner = match inner_v4 {
                        true => segment("10.1.0.1", "10.2.0.1", IpProtocol::TCP, 40),
                        false => segment("2001:db8:1::1", "2001:db8:2::1", IpProtocol::TCP, 40),
                    };
                    let (inner_ecn, outer_ecn) = (inner_ecn as u8, outer_ecn as u8);
                    inner[1] |= if inner_v4 { inner_ecn } else { inner_ecn << 4 };
                    let mut packet = seal_packet(&mut outbound, &inner);
                    let (mask, shift) = if outer_v4 { (3, 0) } else { (0x30, 4) };
                    assert_eq!((packet[1] & mask) >> shift, inner_ecn);
                    packet[1] = packet[1] & !mask | outer_ecn << shift;
                    match (inbound.open_packet(&mut packet), expected) {
                        (Ok(opened), Some((ecn, alarm))) => {
                            let class = packet[opened.packet.start + 1] >> if inner_v4 { 0 } else { 4 };
                            assert_eq!((class & 3, opened.ecn_alarm), (*ecn, *alarm));
                            assert_eq!(opened.outer_ecn.bits(), outer_ecn);
                        }
                        (Err(OpenError::Congestion), None) => {}
                        (other, _) => panic!("{other:?}"),
                    }
                }
            }
        }
        // Four alarms and one drop of either inner version.
        assert_eq!((inbound.stats().ecn_alarms, inbound.stats().congestion), (8, 2));
    }
}

/// A BEET pair: outer addresses by family, inner ones by family.
fn beet(outer: Outer, inner_v4: bool, suite: &Suite) -> (EspOutbound, EspInbound) {
    let (a, b) = if inner_v4 { ("10.1.0.1", "10.2.0.1") } else { ("2001:db8:1::1", "2001:db8:2::2") };
    let change = |mut p: SaParams| {
        p.mode = Mode::Beet;
        p.outer = outer;
        let (a, b) = (vec![TrafficSelector::host(ip(a))], vec![TrafficSelector::host(ip(b))]);
        if p.direction == Direction::Outbound { p.with_selectors(a, b) } else { p.with_selectors(b, a) }
    };
    pair(change, suite, OuterHeader::Ip)
}

#[test]
fn beet_replaces_addresses_within_and_across_families() {
    for suite in &SUITES {
        for outer in [
            outer_v4(Encapsulation::None),
            outer_v4(UDP_4500),
            outer_v6(Encapsulation::None),
            outer_v6(UDP_4500),
        ] {
            for v4 in [true, false] {
                let (mut outbound, mut inbound) = beet(outer, v4, suite);
                let (a, b) = if v4 { ("10.1.0.1", "10.2.0.1") } else { ("2001:db8:1::1", "2001:db8:2::2") };
                let inner = segment(a, b, IpProtocol::TCP, 60);
                let mut packet = seal_packet(&mut outbound, &inner);
                let view = IpView::parse(&packet).unwrap();
                assert_eq!((view.src(), view.dst()), (outer.local, outer.remote));
                assert_eq!((view.hop_limit(), view.traffic_class()), (61, 0xb8));
                assert_eq!(view.packet().len(), packet.len());
                if let IpView::V4(view) = view {
                    assert!(view.checksum_ok() && view.df());
                }
                let opened = inbound.open_packet(&mut packet).unwrap();
                let packet = &packet[opened.packet];
                assert!(checksum_holds(packet));
                let view = IpView::parse(packet).unwrap();
                assert_eq!((view.src(), view.dst(), view.hop_limit()), (ip(a), ip(b), 61));
                assert_eq!(view.upper_payload(), &inner[inner.len() - 60..]);

                let stranger = segment("10.1.0.2", "10.2.0.1", IpProtocol::TCP, 60);
                let mut buf = [vec![0; 96], stranger, vec![0; 96]].concat();
                assert_eq!(outbound.seal_packet(&mut buf, 96..176), Err(SealError::Address));
            }
        }
    }
}

#[test]
fn beet_takes_options_in_their_pseudo_header() {
    let (mut outbound, mut inbound) = beet(outer_v4(Encapsulation::None), true, &SUITES[0]);
    let inner = segment("10.1.0.1", "10.2.0.1", IpProtocol::UDP, 40);
    // RFC 7402 appendix B.1.7: router alert behind four octets of padding.
    let pseudo = [&[17, 1, 4, 0, 1, 1, 1, 1, 0x94, 4, 0, 0, 1, 1, 1, 0][..], &inner[20..]].concat();
    let esp = seal(&mut outbound, &pseudo, IpProtocol(94));
    let header = Ipv4Header {
        tos: 0,
        id: 1,
        df: false,
        ttl: 9,
        protocol: IpProtocol::ESP,
        src: [192, 0, 2, 1].into(),
        dst: [198, 51, 100, 2].into(),
    };
    let mut packet = [&header.emit(20 + esp.len() as u16)[..], &esp].concat();
    let opened = inbound.open_packet(&mut packet).unwrap();
    let packet = &packet[opened.packet];
    assert_eq!(packet[20..28], [0x94, 4, 0, 0, 1, 1, 1, 0]);
    assert!(checksum_holds(packet));
    for broken in [&[17][..], &[17, 9, 0, 0], &[17, 0, 9, 0, 1, 1, 1, 1], &[17, 0, 1, 0, 1, 1, 1, 1]] {
        let esp = seal(&mut outbound, broken, IpProtocol(94));
        let mut packet = [&header.emit(20 + esp.len() as u16)[..], &esp].concat();
        assert_eq!(inbound.open_packet(&mut packet), Err(OpenError::Inner));
    }
    let mut params = params(&SUITES[0], Direction::Inbound).with_mode(Mode::Beet);
    assert_eq!(EspInbound::new(&params, &provider()).unwrap_err(), SaError::BeetAddresses);
    params = params
        .with_selectors(vec!["10.0.0.0/24".parse().unwrap()], vec![TrafficSelector::host(ip("10.2.0.1"))]);
    assert_eq!(EspInbound::new(&params, &provider()).unwrap_err(), SaError::BeetAddresses);
}

#[test]
fn padding_hides_lengths_and_dummies_are_known() {
    let (mut outbound, mut inbound) = pair(|p| p, &SUITES[1], OuterHeader::None);
    let mut lengths = Vec::new();
    for len in [20, 77, 500] {
        let room = outbound.room(1000);
        let mut buf = vec![0xee; room.head + 1000 + room.tail];
        let payload = room.head..room.head + len;
        buf[payload.clone()].copy_from_slice(&ipv4(len));
        let sealed = outbound.seal_padded(&mut buf, payload, IpProtocol::IPV4, 1000).unwrap();
        lengths.push(sealed.len());
        let opened = inbound.open_in_place(&mut buf[sealed.clone()]).unwrap();
        assert_eq!(buf[sealed][opened.payload], ipv4(len));
    }
    let mut buf = vec![7; 1100];
    let sealed = outbound.seal_dummy(&mut buf, 40..1040).unwrap();
    assert!(lengths.iter().all(|len| *len == sealed.len()));
    let opened = inbound.open_in_place(&mut buf[sealed]).unwrap();
    assert!(opened.is_dummy() && inbound.stats().dummies == 1);

    let refused = |outbound: &mut EspOutbound, next, len| {
        outbound.seal_padded(&mut [0; 1100], 40..140, next, len).unwrap_err()
    };
    assert_eq!(refused(&mut outbound, IpProtocol::TCP, 200), SealError::Tfc);
    assert_eq!(refused(&mut outbound, IpProtocol::IPV4, 99), SealError::Tfc);
    let (mut plain, _) = pair(
        |mut p| {
            p.tfc = false;
            p
        },
        &SUITES[1],
        OuterHeader::None,
    );
    assert_eq!(refused(&mut plain, IpProtocol::IPV4, 200), SealError::Tfc);
    assert_eq!((outbound.stats().refused, plain.sequence().last()), (2, 0));
}

#[test]
fn sealing_to_a_growing_buffer_and_opening_in_a_batch() {
    let (mut outbound, mut inbound) = pair(|p| p, &SUITES[1], OuterHeader::None);
    let mut out = BytesMut::from(&b"before"[..]);
    outbound.seal_to(&ipv4(90), IpProtocol::IPV4, &mut out).unwrap();
    assert_eq!(out.split_to(6)[..], b"before"[..]);
    let mut second = seal(&mut outbound, &ipv4(33), IpProtocol::IPV4);
    let (mut forged, mut twice, mut nobody) = (second.clone(), out.to_vec(), out.to_vec());
    forged[20] ^= 1;
    let mut jobs = [
        OpenJob::new(0, &mut out),
        OpenJob::new(0, &mut forged),
        OpenJob::new(0, &mut second),
        OpenJob::new(0, &mut twice),
        OpenJob::new(1, &mut nobody),
    ];
    open_batch(&mut [&mut inbound], &mut jobs);
    assert_eq!(jobs[0].payload(), Some(&ipv4(90)[..]));
    assert_eq!(jobs[1].opened(), Some(&Err(OpenError::Icv)));
    assert_eq!(jobs[2].payload(), Some(&ipv4(33)[..]));
    assert_eq!(jobs[3].opened(), Some(&Err(OpenError::Replay)));
    assert_eq!(jobs[4].opened(), None);
    open_batch(&mut [&mut inbound], &mut jobs[..3]);
    assert_eq!(inbound.meter().packets(), 2);

    let (mut spent, _) =
        pair(|p| p.with_sequence(SnId::SEQUENTIAL_32, u32::MAX.into()), &SUITES[1], OuterHeader::None);
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(spent.seal_to(&ipv4(90), IpProtocol::IPV4, &mut out), Err(SealError::Exhausted));
    assert_eq!(out[..], b"before"[..]);
}

#[test]
fn a_peer_far_ahead_is_found_again_only_where_that_is_allowed() {
    let ahead = 5u64 << 32 | 77;
    let (mut outbound, _) = pair(esn(ahead), &SUITES[1], OuterHeader::None);
    let (_, strict) = pair(esn(9), &SUITES[1], OuterHeader::None);
    let (_, lost) = pair(esn(9), &SUITES[1], OuterHeader::None);
    let policy = ResyncPolicy { after_failures: 10, subspaces: 8 };
    let (mut strict, mut lost) = (strict, lost.with_resync(policy));
    let mut found = None;
    for number in 0..200 {
        let packet = seal(&mut outbound, &ipv4(40), IpProtocol::IPV4);
        assert!(strict.open_in_place(&mut packet.clone()).is_err());
        if lost.open_in_place(&mut packet.clone()).is_ok() && found.is_none() {
            found = Some(number);
        }
    }
    // Ten failures, then every eighth packet is tried in one of eight subspaces.
    assert!(found.is_some_and(|number| number <= 10 + 8 * 8), "{found:?}");
    assert_eq!(lost.window().top(), ahead + 200);
    assert_eq!(strict.stats().resync_tried, 0);
    let tried = lost.stats().resync_tried;
    assert!(tried <= 8);
    // A flood of forgeries between authentic packets does not make it look.
    for _ in 0..100 {
        let packet = seal(&mut outbound, &ipv4(40), IpProtocol::IPV4);
        for _ in 0..5 {
            let mut forged = packet.clone();
            forged[30] ^= 1;
            assert_eq!(lost.open_in_place(&mut forged), Err(OpenError::Icv));
        }
        assert!(lost.open_in_place(&mut packet.clone()).is_ok());
    }
    assert_eq!(lost.stats().resync_tried, tried);
}

#[test]
fn unspecified_numbers_switch_replay_protection_off_and_go_round() {
    let change = |p: SaParams| p.with_sequence(SnId::UNSPECIFIED_32, u64::from(u32::MAX) - 1);
    let (mut outbound, mut inbound) = pair(change, &SUITES[1], OuterHeader::None);
    assert_eq!(inbound.window().size(), 0);
    let mut ivs = alloc::collections::BTreeSet::new();
    for number in [u32::MAX, 0, 1] {
        let mut packet = seal(&mut outbound, &ipv4(40), IpProtocol::IPV4);
        assert_eq!(packet[4..8], number.to_be_bytes());
        assert!(ivs.insert(packet[8..16].to_vec()));
        assert!(inbound.open_in_place(&mut packet.clone()).is_ok());
        assert!(inbound.open_in_place(&mut packet).is_ok());
    }
}

#[test]
fn ciphers_set_hard_limits_of_their_own() {
    let provider = provider();
    let limits = provider.encr(EncrId::AES_GCM_16).unwrap().limits();
    let lifetimes = ipsec_sa::Lifetimes::default().capped(limits.packets, limits.octets);
    assert_eq!(lifetimes.hard.octets, Some(1 << 40));
    assert_eq!(lifetimes.soft.octets, Some((1 << 40) / 8 * 7));
    assert_eq!(lifetimes.hard.packets, None);
    let mut given = ipsec_sa::Lifetimes::default();
    given.hard.octets = Some(1000);
    assert_eq!(given.capped(5, 1 << 20).hard.octets, Some(1000));
    assert_eq!(given.capped(5, 1 << 20).hard.packets, Some(5));
}

proptest! {
    #[test]
    fn no_packet_makes_opening_panic(octets in proptest::collection::vec(any::<u8>(), 0..120), first in 0u8..8) {
        for mode in [Mode::Tunnel, Mode::Transport] {
            let (mut outbound, mut inbound) = pair(|p| p.with_mode(mode), &SUITES[0], OuterHeader::Ip);
            let mut packet = octets.clone();
            if let Some(octet) = packet.first_mut() {
                *octet = [0x45, 0x60, 0x46, 0x6f][usize::from(first) % 4];
            }
            prop_assert!(inbound.open_packet(&mut packet).is_err());
            let mut buf = [vec![0; 100], packet.clone(), vec![0; 60]].concat();
            let _ = outbound.seal_packet(&mut buf, 100..100 + packet.len());
        }
    }

    #[test]
    fn anything_authentic_inside_beet_is_taken_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..80), next in any::<u8>(), v4: bool) {
        let (mut outbound, mut inbound) = beet(outer_v4(Encapsulation::None), v4, &SUITES[0]);
        let next = if next % 2 == 0 { 94 } else { next };
        let esp = seal(&mut outbound, &octets, IpProtocol(next));
        let header = Ipv4Header {
            tos: 0, id: 1, df: false, ttl: 9, protocol: IpProtocol::ESP,
            src: [192, 0, 2, 1].into(), dst: [198, 51, 100, 2].into(),
        };
        let mut packet = [&header.emit(20 + esp.len() as u16)[..], &esp].concat();
        if let Ok(opened) = inbound.open_packet(&mut packet) && !opened.is_dummy() {
            prop_assert!(IpView::parse(&packet[opened.packet]).is_ok() || next == 0 || !v4);
        }
    }
}
