//! AGGFRAG payloads: any authentic ones are taken with bounded memory, and what comes out is as long as it says; what was put in
//! here comes out in order and unharmed, whatever is lost.
#![no_main]

use core::time::Duration;

use ipsec_esp::aggfrag::{AggfragReceiver, AggfragSender, Congestion};
use ipsec_sa::Instant;
use ipsec_sa::tunnel::inner_len;
use ipsec_wire::IpProtocol;
use ipsec_wire::aggfrag::AggfragView;
use libfuzzer_sys::fuzz_target;

const WINDOW: u16 = 8;

fn is_whole(packet: &[u8]) -> bool {
    let next = if packet[0] >> 4 == 4 { IpProtocol::IPV4 } else { IpProtocol::IPV6 };
    // IPv4 headers may still be nonsense; the length is not.
    let declared = if packet[0] >> 4 == 4 {
        Some(usize::from(u16::from_be_bytes([packet[2], packet[3]])))
    } else {
        inner_len(next, packet)
    };
    declared == Some(packet.len())
}

fuzz_target!(|data: &[u8]| {
    let Some((&[size, losses], rest)) = data.split_first_chunk() else { return };
    let mut receiver = AggfragReceiver::new(WINDOW);
    let mut congestion = Congestion::new(Duration::from_millis(3));
    let (mut seq, mut now, mut left) = (1u64, Instant::ZERO, rest);
    while let Some((&[step, len], behind)) = left.split_first_chunk() {
        let (payload, behind) = behind.split_at(behind.len().min(len.into()));
        left = behind;
        // Forward, backward, and now and then far.
        seq = match step {
            0..=99 => seq.saturating_add(u64::from(step % 8)),
            100..=199 => seq.saturating_sub(u64::from(step % 8)).max(1),
            200..=249 => seq.saturating_add(u64::from(step)),
            _ => seq.saturating_mul(1 << 13),
        };
        now += Duration::from_micros(u64::from(step) * 100);
        let control = receiver.insert(seq, payload, &mut |packet| assert!(is_whole(packet)));
        congestion.received(now, seq, step % 16 == 3, control.ok().flatten().as_ref());
        let header = congestion.header(now);
        assert!(header.t_val != 0);
        assert!(receiver.held() <= WINDOW.into() && receiver.begun() <= 65_575 + 255);
    }
    receiver.flush(&mut |packet| assert!(is_whole(packet)));
    assert!(!receiver.is_waiting());

    let mut sender = AggfragSender::new(1 << 16, None);
    let mut sent = Vec::new();
    for (i, len) in rest.iter().take(60).enumerate() {
        let len = 20 + usize::from(*len) * 3;
        let mut packet = vec![i as u8; len];
        let [high, low] = (len as u16).to_be_bytes();
        packet[..8].copy_from_slice(&[0x45, 0, high, low, 0, 0, 0, 0]);
        if sender.push(&packet).is_ok() {
            sent.push(packet);
        }
    }
    let mut receiver = AggfragReceiver::new(WINDOW);
    let (mut seq, mut came, mut lost) = (0u64, Vec::new(), false);
    while sender.octets() > 0 {
        let mut payload = vec![0xee; 40 + usize::from(size)];
        sender.fill(&mut payload, None);
        assert!(AggfragView::parse(&payload).is_ok());
        seq += 1;
        if losses > 0 && seq.is_multiple_of(u64::from(losses)) {
            lost = true;
            continue;
        }
        receiver.insert(seq, &payload, &mut |packet| came.push(packet.to_vec())).expect("a payload");
    }
    receiver.flush(&mut |packet| came.push(packet.to_vec()));
    let mut rest = sent.iter();
    assert!(came.iter().all(|packet| rest.any(|other| other == packet)));
    assert!(lost || came == sent);
});
