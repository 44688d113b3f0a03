//! IPComp: against zlib's DEFLATE and packets sealed by scapy (`vectors/make_ipcomp.py`), both ways here, and all that is
//! refused.

mod common;

use common::*;
use ipsec_crypto::Secret;
use ipsec_esp::ipcomp::{CPI_DEFLATE, Deflate, Inflate};
use ipsec_esp::{EspInbound, EspOutbound, OpenError, OuterHeader};
use ipsec_sa::{Direction, IpCompCpis, Mode, SaParams, TrafficSelector};
use ipsec_wire::ip::{Ipv4Header, Ipv6Header};
use ipsec_wire::{IpCompView, IpProtocol, IpView};
use proptest::prelude::*;
use serde_json::Value;

fn vectors(list: &str) -> Vec<Value> {
    let mut values: Value = serde_json::from_str(include_str!("vectors/ipcomp.json")).unwrap();
    let Value::Array(values) = values[list].take() else { panic!("a list") };
    values
}

fn octets(value: &Value, key: &str) -> Vec<u8> {
    hex::decode(value[key].as_str().unwrap()).unwrap()
}

fn with_cpi(mode: Mode, cpi: u16) -> impl Fn(SaParams) -> SaParams {
    move |params| {
        let mut params = params.with_mode(mode);
        params.ipcomp = Some(IpCompCpis { inbound: cpi, outbound: cpi });
        params
    }
}

#[test]
fn what_zlib_compressed_expands_and_only_into_enough_room() {
    let vectors = vectors("blocks");
    assert_eq!(vectors.len(), 13);
    let mut inflate = Inflate::new();
    for vector in &vectors {
        let (name, deflated) = (vector["name"].as_str().unwrap(), octets(vector, "deflated"));
        let zeros = vector["zeros"].as_u64().unwrap() as usize;
        let plain = if zeros > 0 { vec![0; zeros] } else { octets(vector, "plain") };
        let mut out = vec![0xee; plain.len() + 9];
        assert_eq!(inflate.expand(&deflated, &mut out), Ok(plain.len()), "{name}");
        assert!(out[..plain.len()] == plain && out[plain.len()..] == [0xee; 9], "{name}");
        // Exactly enough, and one octet too little.
        assert_eq!(inflate.expand(&deflated, &mut out[..plain.len()]), Ok(plain.len()), "{name}");
        if !plain.is_empty() {
            let short = &mut out[..plain.len() - 1];
            assert_eq!(inflate.expand(&deflated, short), Err(OpenError::Expansion), "{name}");
            assert_eq!(inflate.expand(&deflated, &mut []), Err(OpenError::Expansion), "{name}");
        }
        for cut in 0..deflated.len() {
            let expanded = inflate.expand(&deflated[..cut], &mut out[..plain.len()]);
            assert!(expanded.is_err(), "{name}: cut to {cut}");
        }
        let longer = [&deflated[..], &[7; 5]].concat();
        assert_eq!(inflate.expand(&longer, &mut out), Ok(plain.len()), "{name}: with octets behind");
    }
}

fn foreign(vector: &Value) -> (EspInbound, Mode) {
    let mode = if vector["mode"] == "tunnel" { Mode::Tunnel } else { Mode::Transport };
    let cpi = vector["cpi"].as_u64().unwrap() as u16;
    let mut params = with_cpi(mode, cpi)(params(&SUITES[0], Direction::Inbound));
    let key: Vec<u8> = (0..20u8).map(|i| 0x3c + 7 * i).collect();
    params.keys.encr = Secret::new(&key);
    (EspInbound::new(&params, &provider()).unwrap(), mode)
}

#[test]
fn foreign_packets_open_and_expand() {
    let vectors = vectors("packets");
    assert_eq!(vectors.len(), 8);
    let mut inflate = Inflate::new();
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let (mut inbound, _) = foreign(vector);
        let (mut packet, inner) = (octets(vector, "sealed"), octets(vector, "inner"));
        let opened = inbound.open_packet(&mut packet).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert!(opened.is_compressed() && opened.next_header == IpProtocol::IPCOMP, "{name}");
        let mut out = [0xee; 2000];
        let expanded = inbound.expand(&mut inflate, &packet, &opened, &mut out).unwrap();
        assert!(!expanded.is_compressed());
        assert_eq!(hex::encode(&out[expanded.packet]), hex::encode(&inner), "{name}");

        // Nobody negotiated it.
        let (_, mode) = foreign(vector);
        let mut params = params(&SUITES[0], Direction::Inbound).with_mode(mode);
        params.keys.encr = Secret::new(&(0..20u8).map(|i| 0x3c + 7 * i).collect::<Vec<_>>());
        let mut plain = EspInbound::new(&params, &provider()).unwrap();
        match (plain.open_packet(&mut octets(vector, "sealed")), mode) {
            (Err(OpenError::NextHeader), Mode::Tunnel) => {}
            (Ok(opened), Mode::Transport) => assert!(!opened.is_compressed()),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Letters that compress well, in an IP packet.
fn packet(v4: bool, len: usize) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..len).map(|i| b'a' + (i / 7 % 3) as u8).collect();
    if v4 {
        let header = Ipv4Header {
            tos: 0xb9,
            id: 7,
            df: true,
            ttl: 63,
            protocol: IpProtocol::UDP,
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 0, 2].into(),
        };
        packet[..20].copy_from_slice(&header.emit(len as u16));
    } else {
        let header = Ipv6Header {
            traffic_class: 0xb9,
            flow_label: 0, // lost where BEET goes over IPv4
            next_header: IpProtocol::UDP,
            hop_limit: 63,
            src: "fd00::1".parse().unwrap(),
            dst: "fd00::2".parse().unwrap(),
        };
        packet[..40].copy_from_slice(&header.emit(len as u16 - 40));
    }
    packet
}

fn seal_compressed(outbound: &mut EspOutbound, deflate: &mut Deflate, packet: &[u8]) -> Vec<u8> {
    let room = outbound.packet_room(packet.len());
    let mut buf = [vec![0xee; room.head], packet.to_vec(), vec![0xdd; room.tail]].concat();
    let sealed = outbound.seal_packet_compressed(deflate, &mut buf, room.head..room.head + packet.len());
    buf[sealed.unwrap()].to_vec()
}

fn one_address(params: SaParams, v4: bool) -> SaParams {
    let texts = if v4 { ["10.0.0.1", "10.0.0.2"] } else { ["fd00::1", "fd00::2"] };
    let [a, b] = texts.map(|text| vec![TrafficSelector::host(text.parse().unwrap())]);
    match params.direction {
        Direction::Outbound => params.with_selectors(a, b),
        Direction::Inbound => params.with_selectors(b, a),
    }
}

#[test]
fn every_mode_and_version_comes_back_smaller() {
    let (mut deflate, mut inflate) = (Deflate::default(), Inflate::new());
    for suite in &SUITES {
        for mode in [Mode::Tunnel, Mode::Transport, Mode::Beet] {
            for v4 in [true, false] {
                let change = |params| one_address(with_cpi(mode, 0x1234)(params), v4);
                let (mut outbound, mut inbound) = pair(change, suite, OuterHeader::Ip);
                for len in [200, 576, 1400, 8900] {
                    let original = packet(v4, len);
                    let mut sealed = seal_compressed(&mut outbound, &mut deflate, &original);
                    assert!(sealed.len() < len, "{len} became {}", sealed.len());
                    // The outer header follows the packet as it was.
                    let view = IpView::parse(&sealed).unwrap();
                    assert_eq!(view.traffic_class(), 0xb9, "{mode:?}");
                    let opened = inbound.open_packet(&mut sealed).unwrap();
                    assert!(opened.is_compressed());
                    let mut out = vec![0xee; len];
                    let expanded = inbound.expand(&mut inflate, &sealed, &opened, &mut out).unwrap();
                    assert_eq!(hex::encode(&out[expanded.packet]), hex::encode(&original), "{mode:?} {v4}");
                    let mut small = vec![0; len - 1];
                    let error = inbound.expand(&mut inflate, &sealed, &opened, &mut small).unwrap_err();
                    assert_eq!(error, OpenError::Expansion);
                }
                let stats = *outbound.ipcomp_stats().unwrap();
                assert_eq!((stats.compressed, stats.incompressible, stats.skipped), (4, 0, 0));
                assert_eq!((inbound.stats().too_large, inbound.stats().bad_compression), (4, 0));
            }
        }
    }
}

#[test]
fn a_payload_alone_is_compressed_and_expanded() {
    let (mut deflate, mut inflate) = (Deflate::new(1), Inflate::new());
    let (mut outbound, mut inbound) = pair(with_cpi(Mode::Tunnel, 300), &SUITES[1], OuterHeader::None);
    let original = packet(true, 1000);
    let mut buf = [vec![0; 64], original.clone(), vec![0; 64]].concat();
    let sealed = outbound.seal_compressed(&mut deflate, &mut buf, 64..1064, IpProtocol::IPV4).unwrap();
    let opened = inbound.open_in_place(&mut buf[sealed.clone()]).unwrap();
    assert_eq!(opened.next_header, IpProtocol::IPCOMP);
    let (payload, mut out) = (&buf[sealed][opened.payload], [0; 1500]);
    let view = IpCompView::parse(payload).unwrap();
    assert_eq!((view.next_header, view.flags, view.cpi), (IpProtocol::IPV4, 0, 300));
    assert_eq!(inbound.expand_payload(&mut inflate, payload, &mut out), Ok((1000, IpProtocol::IPV4)));
    assert_eq!(out[..1000], original);
    // Octets counted are those that went through the cipher.
    assert_eq!(outbound.meter().octets(), payload.len() as u64);
    assert_eq!(inbound.meter().octets(), payload.len() as u64);
}

#[test]
fn what_does_not_shrink_goes_as_it_is_and_is_tried_ever_less() {
    let mut deflate = Deflate::default();
    let (mut outbound, mut inbound) = pair(with_cpi(Mode::Tunnel, 300), &SUITES[0], OuterHeader::Ip);
    let mut noise = packet(true, 600);
    let mut state = 1u64;
    for octet in &mut noise[20..] {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *octet = (state >> 56) as u8;
    }
    for _ in 0..500 {
        let mut sealed = seal_compressed(&mut outbound, &mut deflate, &noise);
        let opened = inbound.open_packet(&mut sealed).unwrap();
        assert!(!opened.is_compressed() && opened.next_header == IpProtocol::IPV4);
        assert_eq!(sealed[opened.packet], noise);
    }
    let stats = *outbound.ipcomp_stats().unwrap();
    assert_eq!((stats.compressed, stats.incompressible + stats.skipped), (0, 500));
    assert!((8..20).contains(&stats.incompressible), "{stats:?}");
    // One that shrinks, when its turn comes, ends that.
    let before = stats.skipped;
    while outbound.ipcomp_stats().unwrap().compressed == 0 {
        seal_compressed(&mut outbound, &mut deflate, &packet(true, 600));
    }
    assert!(outbound.ipcomp_stats().unwrap().skipped - before <= 128);
    let skipped = outbound.ipcomp_stats().unwrap().skipped;
    for _ in 0..3 {
        seal_compressed(&mut outbound, &mut deflate, &noise);
    }
    assert_eq!(outbound.ipcomp_stats().unwrap().skipped, skipped);
    // Small ones and other kinds are not tried at all.
    seal_compressed(&mut outbound, &mut deflate, &packet(true, 89));
    let mut buf = [0; 400];
    outbound.seal_compressed(&mut deflate, &mut buf, 100..300, IpProtocol::NO_NEXT_HEADER).unwrap();
    assert_eq!(outbound.ipcomp_stats().unwrap().skipped, skipped + 2);
}

#[test]
fn without_negotiation_nothing_is_compressed() {
    let mut deflate = Deflate::default();
    let (mut outbound, mut inbound) = pair(|params| params, &SUITES[0], OuterHeader::Ip);
    let mut sealed = seal_compressed(&mut outbound, &mut deflate, &packet(true, 800));
    let opened = inbound.open_packet(&mut sealed).unwrap();
    assert_eq!(sealed[opened.packet], packet(true, 800));
    assert_eq!(outbound.ipcomp_stats(), None);
}

/// A payload of any contents from a peer with the key.
fn authentic(payload: &[u8], mode: Mode) -> (EspInbound, Vec<u8>, ipsec_esp::OpenedPacket) {
    let (mut outbound, _) = pair(|p| p.with_mode(Mode::Transport), &SUITES[0], OuterHeader::None);
    let (_, mut inbound) = pair(with_cpi(mode, 0x0300), &SUITES[0], OuterHeader::None);
    let esp = seal(&mut outbound, payload, IpProtocol::IPCOMP);
    let header = Ipv4Header {
        tos: 0,
        id: 0,
        df: false,
        ttl: 9,
        protocol: IpProtocol::ESP,
        src: [1, 1, 1, 1].into(),
        dst: [2, 2, 2, 2].into(),
    };
    let mut packet = [&header.emit(20 + esp.len() as u16)[..], &esp].concat();
    let opened = inbound.open_packet(&mut packet).unwrap();
    (inbound, packet, opened)
}

#[test]
fn broken_and_wicked_payloads_are_told_apart_and_counted() {
    let mut inflate = Inflate::new();
    let stored = |data: &[u8]| {
        let len = data.len() as u16;
        [&[1][..], &len.to_le_bytes(), &(!len).to_le_bytes(), data].concat()
    };
    let good = stored(&ipv4(40));
    let cases = [
        ("no header", vec![4, 0, 3], OpenError::Compression),
        ("another CPI", [&[4, 0, 3, 1][..], &good].concat(), OpenError::Compression),
        ("no data", vec![4, 0, 3, 0], OpenError::Compression),
        ("a reserved block", vec![4, 0, 3, 0, 7], OpenError::Compression),
        ("TCP in a tunnel", [&[6, 0, 3, 0][..], &good].concat(), OpenError::NextHeader),
        ("another version", [&[41, 0, 3, 0][..], &good].concat(), OpenError::Inner),
        ("a cut inner packet", [&[4, 0, 3, 0][..], &stored(&ipv4(40)[..39])].concat(), OpenError::Inner),
    ];
    for (name, payload, error) in &cases {
        let (mut inbound, packet, opened) = authentic(payload, Mode::Tunnel);
        let mut out = [0; 256];
        assert_eq!(inbound.expand(&mut inflate, &packet, &opened, &mut out), Err(*error), "{name}");
        let counted = match error {
            OpenError::Compression => inbound.stats().bad_compression,
            OpenError::NextHeader => inbound.stats().bad_next_header,
            _ => inbound.stats().bad_inner,
        };
        assert_eq!(counted, 1, "{name}");
    }
    let plain = [&[4, 0, 0, CPI_DEFLATE as u8][..], &good, &[0; 40]].concat();
    let (mut inbound, packet, opened) = authentic(&plain, Mode::Tunnel);
    let mut out = [0; 256];
    let expanded = inbound.expand(&mut inflate, &packet, &opened, &mut out).unwrap();
    assert_eq!(out[expanded.packet], ipv4(40));
    // A bomb: a thousand times its own size, and never more than the room.
    let bomb = vectors("blocks").into_iter().find(|v| v["name"] == "64 KiB of zeros").unwrap();
    let bomb = [&[17, 0, 3, 0][..], &octets(&bomb, "deflated")].concat();
    assert!(bomb.len() < 100);
    for mode in [Mode::Tunnel, Mode::Transport] {
        let (mut inbound, packet, opened) = authentic(&bomb, mode);
        for room in [0, 19, 20, 21, 1500] {
            let mut out = vec![0; room];
            let error = inbound.expand(&mut inflate, &packet, &opened, &mut out).unwrap_err();
            assert_eq!(error, OpenError::Expansion);
        }
        assert_eq!(inbound.stats().too_large, 5);
    }
    // In transport mode an IPv4 packet cannot be longer than its length field says.
    let (mut inbound, packet, opened) = authentic(&bomb, Mode::Transport);
    let mut out = vec![0; 70_000];
    assert_eq!(inbound.expand(&mut inflate, &packet, &opened, &mut out), Err(OpenError::Expansion));
}

proptest! {
    #[test]
    fn anything_comes_back(
        level in 1u8..=9, pieces in proptest::collection::vec((any::<u8>(), 1usize..60), 1..60), next in any::<u8>(),
    ) {
        let payload: Vec<u8> = pieces.iter().flat_map(|(octet, n)| core::iter::repeat_n(*octet, *n)).collect();
        let (mut deflate, mut inflate) = (Deflate::new(level), Inflate::new());
        let (mut outbound, mut inbound) = pair(with_cpi(Mode::Transport, 300), &SUITES[0], OuterHeader::None);
        for _ in 0..2 {
            let mut buf = [vec![0; 32], payload.clone(), vec![0; 40]].concat();
            let at = 32..32 + payload.len();
            let sealed = outbound.seal_compressed(&mut deflate, &mut buf, at, IpProtocol(next)).unwrap();
            let opened = inbound.open_in_place(&mut buf[sealed.clone()]).unwrap();
            let body = &buf[sealed][opened.payload];
            if opened.next_header == IpProtocol::IPCOMP && next != IpProtocol::IPCOMP.0 {
                let mut out = vec![0; payload.len()];
                let expanded = inbound.expand_payload(&mut inflate, body, &mut out).unwrap();
                prop_assert_eq!(expanded, (payload.len(), IpProtocol(next)));
                prop_assert!(body.len() < payload.len());
                prop_assert_eq!(&out, &payload);
            } else {
                prop_assert_eq!(body, &payload[..]);
            }
        }
    }

    #[test]
    fn garbage_expands_or_is_refused(data in proptest::collection::vec(any::<u8>(), 0..300), room in 0usize..3000) {
        let mut out = vec![0; room];
        match Inflate::new().expand(&data, &mut out) {
            Ok(len) => prop_assert!(len <= room),
            Err(error) => prop_assert!(matches!(error, OpenError::Compression | OpenError::Expansion)),
        }
    }
}
