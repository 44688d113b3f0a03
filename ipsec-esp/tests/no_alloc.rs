//! No packet allocates, on no path: an allocator that counts says so.

mod common;

use core::time::Duration;

use common::*;
use ipsec_esp::aggfrag::{AggfragConfig, AggfragInbound, AggfragOutbound, Congestion};
use ipsec_esp::ipcomp::{Deflate, Inflate};
use ipsec_esp::{
    EspInbound, EspOutbound, OpenError, OpenJob, OuterHeader, ResyncPolicy, SealError, SealJob, open_batch,
    seal_batch,
};
use ipsec_sa::tunnel::Ecn;
use ipsec_sa::{Direction, Encapsulation, Instant, IpCompCpis, Mode, SaParams, SequenceCounter};
use ipsec_wire::IpProtocol;
use ipsec_wire::ike::SnId;

#[test]
fn sealing_and_opening_allocate_nothing() {
    for suite in &SUITES {
        for (kind, encapsulation) in
            [(OuterHeader::None, UDP_4500), (OuterHeader::Udp, UDP_4500), (OuterHeader::Ip, UDP_4500)]
        {
            for outer in [outer_v4 as fn(_) -> _, outer_v6] {
                for extended in [false, true] {
                    let change = |mut p: SaParams| {
                        p.outer = outer(encapsulation);
                        if extended { p.with_sequence(SnId::SEQUENTIAL_64, (1 << 32) - 3) } else { p }
                    };
                    let (mut outbound, mut inbound) = pair(change, suite, kind);
                    let head = match (kind, outer(encapsulation).local.is_ipv4()) {
                        (OuterHeader::None, _) => 0,
                        (OuterHeader::Udp, _) => 8,
                        (_, true) => 28,
                        (_, false) => 48,
                    };
                    let inner = ipv4(1400);
                    let mut buf = vec![0; 2048];
                    let count = tally::calls(|| {
                        for _ in 0..6 {
                            buf[100..1500].copy_from_slice(&inner);
                            let sealed =
                                outbound.seal_in_place(&mut buf, 100..1500, IpProtocol::IPV4).unwrap();
                            let packet = &mut buf[sealed][head..];
                            let opened = inbound.open_in_place(packet).unwrap();
                            assert!(packet[opened.payload] == inner);
                        }
                    });
                    assert_eq!(count, 0, "{suite:?} {kind:?}");
                }
            }
        }
    }
}

#[test]
fn packets_for_streams_and_of_beet_and_lost_peers_allocate_nothing() {
    let tcp = |mut p: SaParams| {
        p.outer.encapsulation = Encapsulation::Tcp { connection: 1 };
        p
    };
    let beet = |p: SaParams| {
        let inner = |text: &str| vec![text.parse().unwrap()];
        let (local, remote) = match p.direction {
            Direction::Outbound => (inner("10.0.0.1"), inner("10.0.0.2")),
            Direction::Inbound => (inner("10.0.0.2"), inner("10.0.0.1")),
        };
        let mut p = p.with_mode(Mode::Beet).with_selectors(local, remote);
        if p.direction == Direction::Inbound {
            core::mem::swap(&mut p.outer.local, &mut p.outer.remote);
        }
        p
    };
    let inner = ipv4(1400);
    let mut buf = vec![0; 2048];
    let (mut outbound, mut inbound) = pair(tcp, &SUITES[1], OuterHeader::TcpLength);
    let count = tally::calls(|| {
        for _ in 0..6 {
            buf[100..1500].copy_from_slice(&inner);
            let sealed = outbound.seal_in_place(&mut buf, 100..1500, IpProtocol::IPV4).unwrap();
            assert!(inbound.open_in_place(&mut buf[sealed][2..]).is_ok());
            let padded = outbound.seal_dummy(&mut buf, 100..1500).unwrap();
            assert!(inbound.open_in_place(&mut buf[padded][2..]).unwrap().is_dummy());
        }
    });
    assert_eq!(count, 0);
    let (mut outbound, mut inbound) = pair(beet, &SUITES[1], OuterHeader::Ip);
    let count = tally::calls(|| {
        for _ in 0..6 {
            buf[100..1500].copy_from_slice(&inner);
            let sealed = outbound.seal_packet(&mut buf, 100..1500).unwrap();
            assert!(inbound.open_packet(&mut buf[sealed]).is_ok());
        }
    });
    assert_eq!(count, 0);
    let (_, inbound) = pair(esn(9), &SUITES[1], OuterHeader::None);
    let (mut outbound, _) = pair(esn(3 << 32), &SUITES[1], OuterHeader::None);
    let mut inbound = inbound.with_resync(ResyncPolicy { after_failures: 8, subspaces: 4 });
    let packets: Vec<_> = (0..100).map(|_| seal(&mut outbound, &ipv4(60), IpProtocol::IPV4)).collect();
    let (mut opened, mut copy) = (0, packets[0].clone());
    let count = tally::calls(|| {
        for packet in &packets {
            copy.copy_from_slice(packet);
            opened += u32::from(inbound.open_in_place(&mut copy).is_ok());
        }
    });
    assert_eq!(count, 0);
    assert!(opened > 50);
}

#[test]
fn refusals_allocate_nothing() {
    for suite in &SUITES {
        let (mut outbound, mut inbound) = pair(|p| p.with_replay_window(64), suite, OuterHeader::Ip);
        let packets: Vec<_> = (0..70).map(|_| seal(&mut outbound, &ipv4(60), IpProtocol::IPV4)).collect();
        let (mut first, mut last, mut forged) =
            (packets[0].clone(), packets[69].clone(), packets[30].clone());
        *forged.last_mut().unwrap() ^= 1;
        let mut again = last.clone();
        let mut buf = vec![0; 70_000];
        let mut seen = [OpenError::Crypto; 4];
        let count = tally::calls(|| {
            inbound.open_in_place(&mut last[20..]).unwrap();
            seen = [
                inbound.open_in_place(&mut again[20..]).unwrap_err(),
                inbound.open_in_place(&mut first[20..]).unwrap_err(),
                inbound.open_in_place(&mut forged[20..]).unwrap_err(),
                inbound.open_in_place(&mut forged[..9]).unwrap_err(),
            ];
            let mut seal = |payload| outbound.seal_in_place(&mut buf, payload, IpProtocol::IPV4);
            assert!(matches!(seal(3..60), Err(SealError::NoRoom { .. })));
            assert_eq!(seal(3..80_000), Err(SealError::Range));
            assert_eq!(seal(100..69_000), Err(SealError::TooLong));
            assert_eq!(seal(100..200), Err(SealError::Inner));
            let left = outbound.sequence().remaining();
            outbound.sequence_mut().skip(left);
            buf[100] = 0x45;
            let sealed = outbound.seal_in_place(&mut buf, 100..200, IpProtocol::IPV4);
            assert_eq!(sealed, Err(SealError::Exhausted));
        });
        assert_eq!(count, 0);
        assert_eq!(seen, [OpenError::Replay, OpenError::OutOfWindow, OpenError::Icv, OpenError::Truncated]);
    }
}

/// One direction of an AES-256-GCM SA with a window of 1024, heap included. The cipher's key schedule is apart: its size is
/// the provider's choice (that of portable AES code alone is near a KiB).
#[test]
fn a_direction_takes_little_beside_its_key_schedule() {
    let provider = provider();
    let outbound_params = params(&SUITES[1], Direction::Outbound);
    let inbound_params = params(&SUITES[1], Direction::Inbound).with_replay_window(1024);
    let heap = |work: &mut dyn FnMut()| tally::kept(work).1.unsigned_abs();
    let (mut key, mut outbound, mut inbound) = (None, None, None);
    let key_heap = heap(&mut || key = provider.encr(SUITES[1].encr).unwrap().aead_key(&[7; 32]).ok());
    let outbound_heap = heap(&mut || {
        outbound = EspOutbound::new(&outbound_params, &provider, OuterHeader::Ip, &mut rng()).ok();
    });
    let inbound_heap = heap(&mut || inbound = EspInbound::new(&inbound_params, &provider).ok());
    assert!(key.is_some() && outbound.is_some() && inbound.is_some());
    let outbound = size_of::<EspOutbound>() + outbound_heap - key_heap;
    let inbound = size_of::<EspInbound>() + inbound_heap - key_heap;
    println!("octets: outbound {outbound}, inbound {inbound}, each beside a key schedule of {key_heap}");
    assert!(outbound <= 320, "{outbound}");
    // 256 octets of it are the window.
    assert!(inbound <= 704, "{inbound}");
}

#[test]
fn a_batch_allocates_nothing() {
    let (outbound, _) = pair(|p| p, &SUITES[0], OuterHeader::Ip);
    let mut counter = SequenceCounter::new(SnId::SEQUENTIAL_32, 0);
    let mut buffers: Vec<Vec<u8>> = (0..8).map(|_| [vec![0; 64], ipv4(64), vec![0; 64]].concat()).collect();
    let mut jobs: Vec<_> = buffers
        .iter_mut()
        .map(|buf| {
            let seq = counter.reserve().unwrap();
            SealJob::new(outbound.transform(), seq, buf, 64..128, IpProtocol::IPV4)
        })
        .collect();
    assert_eq!(tally::calls(|| seal_batch(&mut jobs)), 0);
    assert!(jobs.iter().all(|job| matches!(job.sealed(), Some(Ok(_)))));
}

#[test]
fn compressing_and_expanding_allocate_nothing_after_the_first_packet() {
    let change = |mut params: SaParams| {
        params.ipcomp = Some(IpCompCpis { inbound: 300, outbound: 300 });
        params
    };
    let (mut outbound, mut inbound) = pair(change, &SUITES[1], OuterHeader::Ip);
    let (mut deflate, mut inflate) = (Deflate::default(), Inflate::new());
    let mut inner = ipv4(1400);
    inner[20..].fill(b'a');
    let (mut buf, mut out) = (vec![0; 2048], vec![0; 2048]);
    let mut once = || {
        buf[100..1500].copy_from_slice(&inner);
        let sealed = outbound.seal_packet_compressed(&mut deflate, &mut buf, 100..1500).unwrap();
        let packet = &mut buf[sealed];
        let opened = inbound.open_packet(packet).unwrap();
        assert!(opened.is_compressed());
        let expanded = inbound.expand(&mut inflate, packet, &opened, &mut out).unwrap();
        assert!(out[expanded.packet] == inner);
    };
    once();
    assert_eq!(tally::calls(|| (0..10).for_each(|_| once())), 0);
}

#[test]
fn aggregation_allocates_nothing_once_it_is_warm() {
    let change = |params: SaParams| {
        let mut params = params.with_replay_window(1024);
        params.aggfrag = true;
        params
    };
    let (mut esp, mut esp_in) = pair(change, &SUITES[1], OuterHeader::None);
    let config = AggfragConfig {
        payload_len: 1000,
        interval: Duration::from_millis(1),
        burst: 1,
        capacity: 10_000,
        fragments: true,
        congestion_control: true,
    };
    let mut congestion = Congestion::new(config.interval);
    let mut outbound = AggfragOutbound::new(&config, Instant::ZERO);
    let mut inbound = AggfragInbound::new(8, Duration::from_millis(20));
    let (inner, mut buffers, mut delivered) = (ipv4(1400), [[0; 1100]; 4], 0);
    let mut round = || {
        for _ in 0..2 {
            outbound.push(&inner).unwrap();
        }
        // Four payloads, of which two change places.
        let mut sealed = [0..0, 0..0, 0..0, 0..0];
        for (buf, sealed) in buffers.iter_mut().zip(&mut sealed) {
            let now = outbound.deadline();
            *sealed = outbound.poll(now, &mut esp, Some(&congestion), buf).unwrap().unwrap();
        }
        let now = outbound.deadline();
        for at in [0, 2, 1, 3] {
            let packet = &mut buffers[at][sealed[at].clone()];
            let deliver = &mut |packet: &[u8]| {
                assert!(packet == inner);
                delivered += 1;
            };
            inbound.open(now, &mut esp_in, packet, Ecn::NotEct, Some(&mut congestion), deliver).unwrap();
        }
    };
    for _ in 0..10 {
        round();
    }
    assert_eq!(tally::calls(|| (0..50).for_each(|_| round())), 0);
    assert_eq!(delivered, 120);
}

#[test]
fn whole_packets_and_opened_batches_allocate_nothing() {
    let provider = provider();
    for mode in [Mode::Tunnel, Mode::Transport] {
        let (mut outbound, mut inbound) = pair(|p| p.with_mode(mode), &SUITES[1], OuterHeader::Ip);
        let inner = ipv4(1400);
        let mut buf = vec![0; 2048];
        let count = tally::calls(|| {
            for _ in 0..6 {
                buf[100..1500].copy_from_slice(&inner);
                let sealed = outbound.seal_packet(&mut buf, 100..1500).unwrap();
                let packet = &mut buf[sealed];
                let opened = inbound.open_packet(packet).unwrap();
                assert!(packet[opened.packet][20..] == inner[20..]);
            }
        });
        assert_eq!(count, 0, "{mode:?}");
    }
    let (mut outbound, _) = pair(|p| p, &SUITES[0], OuterHeader::None);
    let mut packets: Vec<_> = (0..8).map(|_| seal(&mut outbound, &ipv4(64), IpProtocol::IPV4)).collect();
    let mut inbound = EspInbound::new(&params(&SUITES[0], Direction::Inbound), &provider).unwrap();
    let mut jobs: Vec<_> = packets.iter_mut().map(|packet| OpenJob::new(0, packet)).collect();
    let mut sas = [&mut inbound];
    assert_eq!(tally::calls(|| open_batch(&mut sas, &mut jobs)), 0);
    assert!(jobs.iter().all(|job| job.payload() == Some(&ipv4(64))));
}
