//! AGGFRAG (RFC 9347) through SAs: at a steady pace, padded when idle, put together behind losses and reordering, and with
//! congestion told both ways.

mod common;

use core::time::Duration;

use common::*;
use ipsec_esp::aggfrag::{
    AggfragConfig, AggfragError, AggfragInbound, AggfragOpened, AggfragOutbound, Congestion,
};
use ipsec_esp::pmtu::PacketLayout;
use ipsec_esp::{EspInbound, EspOutbound, OpenError, OuterHeader, SealError};
use ipsec_sa::tunnel::Ecn;
use ipsec_sa::{Direction, Encapsulation, Instant, SaParams};
use ipsec_wire::IpProtocol;
use ipsec_wire::ike::SnId;

const INTERVAL: Duration = Duration::from_millis(2);
const CONFIG: AggfragConfig = AggfragConfig {
    payload_len: 600,
    interval: INTERVAL,
    burst: 2,
    capacity: 20_000,
    fragments: true,
    congestion_control: false,
};

fn aggfrag(params: SaParams) -> SaParams {
    let mut params = params.with_replay_window(1024);
    params.aggfrag = true;
    params
}

fn poll(
    out: &mut AggfragOutbound,
    esp: &mut EspOutbound,
    now: Instant,
    congestion: Option<&Congestion>,
) -> Option<Vec<u8>> {
    let mut buf = vec![0xee; 2000];
    let sealed = out.poll(now, esp, congestion, &mut buf).unwrap()?;
    Some(buf[sealed].to_vec())
}

fn open(
    inbound: &mut AggfragInbound,
    esp: &mut EspInbound,
    now: Instant,
    packet: &[u8],
    delivered: &mut Vec<Vec<u8>>,
) -> Result<AggfragOpened, OpenError> {
    let mut packet = packet.to_vec();
    inbound.open(now, esp, &mut packet, Ecn::NotEct, None, &mut |inner| delivered.push(inner.to_vec()))
}

#[test]
fn what_leaves_does_not_depend_on_what_waits() {
    for suite in &SUITES {
        let (mut esp, mut esp_in) = pair(aggfrag, suite, OuterHeader::None);
        let start = Instant::from_millis(100);
        let mut out = AggfragOutbound::new(&CONFIG, start);
        let mut inbound = AggfragInbound::new(16, Duration::from_millis(50));
        let (mut delivered, mut pushed) = (Vec::new(), Vec::new());
        let mut times = Vec::new();
        for tick in 0..2000u64 {
            let now = Instant::from_micros(100_000 + tick * 100);
            if (200..300).contains(&tick) && tick % 5 == 0 {
                let packet =
                    if tick % 2 == 0 { ipv4(20 + tick as usize * 4) } else { ipv6(40 + tick as usize) };
                out.push(&packet).unwrap();
                pushed.push(packet);
            }
            while let Some(packet) = poll(&mut out, &mut esp, now, None) {
                times.push((now, packet.len()));
                let opened = open(&mut inbound, &mut esp_in, now, &packet, &mut delivered).unwrap();
                assert_eq!(opened, AggfragOpened::Payload { seq: times.len() as u64 });
            }
            assert!(out.deadline() > now);
        }
        assert_eq!(out.waiting(), 0);
        assert_eq!(delivered, pushed);
        // One every two milliseconds, each as long as the others.
        for (i, (time, len)) in times.iter().enumerate() {
            assert_eq!((*time, *len), (start + INTERVAL * i as u32, times[0].1));
        }
        assert_eq!(times.len(), 100);
        assert_eq!(inbound.stats().packets, pushed.len() as u64);
    }
}

#[test]
fn a_late_call_makes_up_for_little() {
    let (mut esp, _) = pair(aggfrag, &SUITES[0], OuterHeader::Ip);
    let mut out = AggfragOutbound::new(&CONFIG, Instant::ZERO);
    let late = Instant::from_secs(1);
    let mut count = 0;
    while let Some(packet) = poll(&mut out, &mut esp, late, None) {
        // The outer header tells nothing of what is inside.
        assert_eq!((packet[1], packet[6]), (0, 0x40));
        count += 1;
    }
    assert_eq!((count, out.deadline()), (2, late + INTERVAL));
    out.set_interval(Duration::from_millis(10));
    assert!(poll(&mut out, &mut esp, late + INTERVAL, None).is_some());
    assert_eq!(out.deadline(), late + INTERVAL + Duration::from_millis(10));
}

#[test]
fn what_cannot_be_sealed_still_waits() {
    let change = |params| aggfrag(params).with_sequence(SnId::SEQUENTIAL_32, u64::from(u32::MAX) - 1);
    let (mut esp, mut esp_in) = pair(change, &SUITES[0], OuterHeader::None);
    let mut out = AggfragOutbound::new(&CONFIG, Instant::ZERO);
    out.push(&ipv4(300)).unwrap();
    let sealed = out.poll(Instant::ZERO, &mut esp, None, &mut [0; 620]);
    assert!(matches!(sealed, Err(SealError::NoRoom { .. })));
    assert_eq!((out.waiting(), out.deadline()), (300, Instant::ZERO));
    let packet = poll(&mut out, &mut esp, Instant::ZERO, None).unwrap();
    let mut delivered = Vec::new();
    let mut inbound = AggfragInbound::new(4, INTERVAL);
    open(&mut inbound, &mut esp_in, Instant::ZERO, &packet, &mut delivered).unwrap();
    assert_eq!(delivered, [ipv4(300)]);
    out.push(&ipv4(300)).unwrap();
    let exhausted = out.poll(out.deadline(), &mut esp, None, &mut [0; 800]);
    assert_eq!((exhausted, out.waiting()), (Err(SealError::Exhausted), 300));
}

#[test]
fn a_peer_without_reassembly_gets_whole_packets() {
    for congestion_control in [false, true] {
        let config = AggfragConfig { fragments: false, congestion_control, ..CONFIG };
        let (mut esp, mut esp_in) = pair(aggfrag, &SUITES[0], OuterHeader::None);
        let congestion = Congestion::new(INTERVAL);
        let mut out = AggfragOutbound::new(&config, Instant::ZERO);
        let fits = 600 - if congestion_control { 24 } else { 4 };
        assert_eq!(out.push(&ipv4(fits + 1)), Err(AggfragError::TooLong));
        let packets = [ipv4(fits), ipv4(400), ipv4(fits - 400 + 1), ipv4(20)];
        packets.iter().for_each(|packet| out.push(packet).unwrap());
        let mut delivered = Vec::new();
        for expected in [1, 2, 4, 4] {
            let now = out.deadline();
            let packet = poll(&mut out, &mut esp, now, Some(&congestion)).unwrap();
            // A receiver that starts anew each time finds no piece of anything.
            let mut inbound = AggfragInbound::new(0, INTERVAL);
            open(&mut inbound, &mut esp_in, now, &packet, &mut delivered).unwrap();
            assert_eq!((delivered.len(), inbound.stats().malformed), (expected, 0));
        }
        assert_eq!(delivered, packets);
    }
}

/// Packets of 700 octets in payloads of 600, one of these lost or late.
fn stream(count: usize) -> (Vec<Vec<u8>>, EspInbound) {
    let (mut esp, esp_in) = pair(aggfrag, &SUITES[0], OuterHeader::None);
    let mut out = AggfragOutbound::new(&AggfragConfig { capacity: 1 << 20, ..CONFIG }, Instant::ZERO);
    (0..count).for_each(|_| out.push(&ipv4(700)).unwrap());
    let mut sealed = Vec::new();
    while out.waiting() > 0 {
        let now = out.deadline();
        sealed.push(poll(&mut out, &mut esp, now, None).unwrap());
    }
    (sealed, esp_in)
}

#[test]
fn late_payloads_are_waited_for_by_number_and_by_time() {
    let now = Instant::from_millis(5);
    for (overtaken_by, broken) in [(3, 0), (4, 0), (5, 2)] {
        let (mut sealed, mut esp) = stream(30);
        let late = sealed.remove(10);
        sealed.insert(10 + overtaken_by, late);
        let mut inbound = AggfragInbound::new(4, Duration::from_millis(50));
        let mut delivered = Vec::new();
        for packet in &sealed {
            open(&mut inbound, &mut esp, now, packet, &mut delivered).unwrap();
        }
        let stats = *inbound.stats();
        // A lost payload takes two packets with it: one that it ends and one that it begins.
        assert_eq!((delivered.len() as u64, stats.broken > 0), (30 - broken, broken > 0), "{stats:?}");
        assert_eq!((stats.lost, stats.late), if broken > 0 { (1, 1) } else { (0, 0) });
    }
    // Lost for good at the end: time alone helps.
    let (mut sealed, mut esp) = stream(30);
    sealed.remove(31);
    let mut inbound = AggfragInbound::new(16, Duration::from_millis(50));
    let mut delivered = Vec::new();
    for packet in &sealed {
        open(&mut inbound, &mut esp, now, packet, &mut delivered).unwrap();
    }
    let before = delivered.len();
    assert_eq!(inbound.deadline(), Some(now + Duration::from_millis(50)));
    inbound.handle_timeout(now + Duration::from_millis(49), &mut |_| panic!("too early"));
    inbound.handle_timeout(now + Duration::from_millis(50), &mut |inner| delivered.push(inner.to_vec()));
    assert_eq!((inbound.deadline(), inbound.stats().lost), (None, 1));
    assert!(delivered.len() > before && delivered.iter().all(|packet| *packet == ipv4(700)));
}

#[test]
fn a_gap_of_any_size_costs_no_more_than_its_number() {
    let (_, mut inbound) = pair(|p| p, &SUITES[0], OuterHeader::None);
    let (mut receiver, mut delivered) = (AggfragInbound::new(512, INTERVAL), Vec::new());
    for floor in [0, 1 << 20, (1 << 32) - 10] {
        let change = |params| aggfrag(params).with_sequence(SnId::SEQUENTIAL_32, floor);
        let (mut esp, mut esp_in) = pair(change, &SUITES[0], OuterHeader::None);
        let mut out = AggfragOutbound::new(&CONFIG, Instant::ZERO);
        out.push(&ipv4(500)).unwrap();
        let packet = poll(&mut out, &mut esp, Instant::ZERO, None).unwrap();
        open(&mut receiver, &mut esp_in, Instant::ZERO, &packet, &mut delivered).unwrap();
        inbound = esp_in;
    }
    receiver.handle_timeout(Instant::from_secs(1), &mut |inner| delivered.push(inner.to_vec()));
    assert_eq!(delivered, [ipv4(500), ipv4(500), ipv4(500)]);
    assert_eq!(receiver.stats().lost, (1 << 32) - 12);
    assert_eq!(inbound.stats().icv_failed, 0);
}

#[test]
fn other_payloads_and_broken_ones_are_told_apart() {
    let (mut esp, mut esp_in) = pair(aggfrag, &SUITES[0], OuterHeader::None);
    let mut inbound = AggfragInbound::new(4, INTERVAL);
    let mut delivered = Vec::new();
    let packet = seal(&mut esp, &ipv4(60), IpProtocol::IPV4);
    let opened = open(&mut inbound, &mut esp_in, Instant::ZERO, &packet, &mut delivered).unwrap();
    assert!(matches!(opened, AggfragOpened::Other(opened) if opened.next_header == IpProtocol::IPV4));
    for payload in [&[][..], &[0, 0, 0], &[1; 23], &[2, 0, 0, 0]] {
        let packet = seal(&mut esp, payload, IpProtocol::AGGFRAG);
        let opened = open(&mut inbound, &mut esp_in, Instant::ZERO, &packet, &mut delivered);
        assert_eq!(opened, Err(OpenError::Inner));
        assert_eq!(
            open(&mut inbound, &mut esp_in, Instant::ZERO, &packet, &mut delivered),
            Err(OpenError::Replay)
        );
    }
    assert_eq!((inbound.stats().malformed, esp_in.stats().bad_inner, delivered.len()), (4, 4, 0));
}

#[test]
fn congestion_is_told_and_answered_across_a_path() {
    let config = AggfragConfig { congestion_control: true, ..CONFIG };
    let (mut esp_there, mut esp_in_there) = pair(aggfrag, &SUITES[1], OuterHeader::None);
    let (mut esp_back, mut esp_in_back) = pair(aggfrag, &SUITES[2], OuterHeader::None);
    let mut out_there = AggfragOutbound::new(&config, Instant::ZERO);
    let (mut in_there, mut in_back) =
        (AggfragInbound::new(8, INTERVAL * 9), AggfragInbound::new(8, INTERVAL * 9));
    let (mut here, mut peer) = (Congestion::new(INTERVAL), Congestion::new(INTERVAL));
    let delay = Duration::from_millis(15);
    for number in 1..=3000u32 {
        let now = Instant::ZERO + INTERVAL * (number - 1);
        let mut packet = poll(&mut out_there, &mut esp_there, now, Some(&here)).unwrap();
        // Every hundredth is lost, every 250th marked.
        if !number.is_multiple_of(100) {
            let ecn = if number.is_multiple_of(250) { Ecn::Ce } else { Ecn::NotEct };
            let came = now + delay;
            in_there.open(came, &mut esp_in_there, &mut packet, ecn, Some(&mut peer), &mut |_| ()).unwrap();
        }
        // The peer sends nothing of its own: reports alone, now and then.
        if number.is_multiple_of(10) {
            let (sent, mut buf) = (now + delay + Duration::from_millis(4), [0; 200]);
            let sealed = AggfragOutbound::report(sent, &mut esp_back, &peer, &mut buf).unwrap();
            let opened = in_back.open(
                sent + delay,
                &mut esp_in_back,
                &mut buf[sealed],
                Ecn::NotEct,
                Some(&mut here),
                &mut |_| panic!("a report carries no packet"),
            );
            assert!(matches!(opened, Ok(AggfragOpened::Payload { .. })));
        }
    }
    let report = here.report();
    assert_eq!(report.rtt, Some(Duration::from_millis(30)));
    // Losses each 100 and marks each 250, of which every other falls on a loss: 12 events in 1000.
    assert!((70..=100).contains(&report.loss_event_interval), "{report:?}");
    assert!(report.congestion_experienced);
    assert_eq!((peer.report().loss_event_interval, in_there.stats().lost), (0, 29));
}

#[test]
fn payloads_fill_the_path() {
    let params = aggfrag(params(&SUITES[1], Direction::Outbound));
    for (outer, mtu) in [(outer_v4(Encapsulation::None), 1500), (outer_v6(UDP_4500), 1280)] {
        let mut params = aggfrag(common::params(&SUITES[1], Direction::Outbound));
        params.outer = outer;
        let layout = PacketLayout::new(&params, &provider()).unwrap();
        let config = AggfragConfig::for_path(&layout, mtu, 10_000_000).unwrap();
        let mut esp = EspOutbound::new(&params, &provider(), OuterHeader::Ip, &mut rng()).unwrap();
        let mut out = AggfragOutbound::new(&config, Instant::ZERO);
        let (mut now, mut octets) = (Instant::ZERO, 0);
        while now < Instant::from_secs(1) {
            let packet = poll(&mut out, &mut esp, now, None).unwrap();
            assert!(packet.len() <= mtu && packet.len() + 4 > mtu, "{}", packet.len());
            octets += packet.len();
            now = out.deadline();
        }
        assert!((1_249_000..=1_253_000).contains(&octets), "{octets}");
    }
    let layout = PacketLayout::new(&params, &provider()).unwrap();
    assert_eq!(AggfragConfig::for_path(&layout, 70, 1), None);
}
