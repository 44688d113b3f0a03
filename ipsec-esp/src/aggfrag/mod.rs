//! AGGFRAG, the payload of IP-TFS (RFC 9347): inner packets back to back in payloads of one size, cut where a payload
//! ends, sent at a steady pace.
//!
//! [`AggfragOutbound`] and [`AggfragInbound`] stand beside the two directions of an SA: packets go in, and at each moment
//! it is a function of time alone what is to be sent; ESP packets go in, and inner packets come out in order. Below them
//! stand the parts. Payloads go through an SA with next header [`IpProtocol::AGGFRAG`](ipsec_wire::IpProtocol::AGGFRAG).
//! After a few packets nothing is allocated any more.

mod congestion;
mod pace;
mod receiver;
mod sender;
mod tunnel;

pub use congestion::{Congestion, PathReport};
pub use pace::Pace;
pub use receiver::{AggfragReceiver, AggfragStats};
pub use sender::AggfragSender;
pub use tunnel::{AggfragConfig, AggfragInbound, AggfragOpened, AggfragOutbound};

use thiserror::Error;

/// Why a packet or payload was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum AggfragError {
    /// It is no IP packet, or longer or shorter than its header says.
    #[error("not an IP packet")]
    Packet,
    /// As many octets wait as may.
    #[error("too much is waiting")]
    Full,
    /// The peer takes no packet in pieces, and this one is longer than a payload.
    #[error("packet does not fit into a payload")]
    TooLong,
    /// A payload without a header, or of an unknown sub-type.
    #[error("malformed AGGFRAG payload")]
    Payload,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::time::Duration;

    use ipsec_sa::Instant;
    use proptest::prelude::*;

    fn packet(len: usize, mark: u8) -> Vec<u8> {
        let mut packet = vec![mark; len.max(20)];
        let [high, low] = (packet.len() as u16).to_be_bytes();
        packet[..4].copy_from_slice(&[0x45, 0, high, low]);
        packet[6..8].fill(0);
        packet
    }

    #[test]
    fn a_peer_that_takes_no_pieces_gets_none() {
        let mut sender = AggfragSender::new(10_000, Some(200));
        assert_eq!(sender.push(&packet(197, 1)), Err(AggfragError::TooLong));
        assert_eq!(sender.push(&[0x45, 0, 0]), Err(AggfragError::Packet));
        for mark in 0..4 {
            sender.push(&packet(90, mark)).unwrap();
        }
        let mut out = [0xee; 200];
        assert_eq!((sender.fill(&mut out, None), sender.octets()), (180, 180));
        assert!(out[..4] == [0; 4] && out[184..].iter().all(|octet| *octet == 0));
        sender.fill(&mut out, None);
        // Nothing waits: all padding.
        assert_eq!(sender.fill(&mut out, None), 0);
        assert_eq!(out, [0; 200]);
        let mut full = AggfragSender::new(50, None);
        assert_eq!(full.push(&packet(51, 0)), Err(AggfragError::Full));
    }

    #[test]
    fn the_pace_is_steady_and_a_late_call_is_no_flood() {
        let mut pace = Pace::new(Instant::from_millis(10), Duration::from_millis(2), 3);
        assert_eq!((pace.due(Instant::from_millis(9)), pace.due(Instant::from_millis(10))), (0, 1));
        assert_eq!(pace.deadline(), Instant::from_millis(12));
        assert_eq!((pace.due(Instant::from_millis(15)), pace.deadline()), (2, Instant::from_millis(16)));
        assert_eq!((pace.due(Instant::from_secs(9)), pace.deadline()), (3, Instant::from_millis(9_002)));
    }

    proptest! {
        #[test]
        fn packets_come_out_whole_and_in_order_however_payloads_are_reordered(
            lengths in proptest::collection::vec(20usize..700, 1..40), size in 40usize..300, seed in any::<u64>(),
        ) {
            let mut sender = AggfragSender::new(1 << 20, None);
            let packets: Vec<_> = lengths.iter().enumerate().map(|(i, len)| packet(*len, i as u8)).collect();
            for packet in &packets {
                sender.push(packet).unwrap();
            }
            let mut payloads = Vec::new();
            while sender.octets() > 0 {
                let mut out = vec![0xee; size];
                sender.fill(&mut out, None);
                payloads.push(out);
            }
            // Neighbours change places now and then.
            let mut order: Vec<usize> = (0..payloads.len()).collect();
            let mut state = seed;
            let mut at = 2;
            while at < order.len() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                if state >> 62 == 0 {
                    order.swap(at - 1, at);
                    at += 1;
                }
                at += 1;
            }
            let mut out = Vec::new();
            let mut receiver = AggfragReceiver::new(4);
            for at in order {
                receiver.insert(at as u64 + 1, &payloads[at], &mut |packet| out.push(packet.to_vec())).unwrap();
            }
            prop_assert_eq!(out, packets);
            prop_assert_eq!(receiver.stats().broken + receiver.stats().lost + receiver.stats().malformed, 0);
        }

        #[test]
        fn losses_break_the_packets_they_hit_and_no_others(
            lengths in proptest::collection::vec(20usize..700, 1..40), size in 40usize..300,
            lost in proptest::collection::vec(any::<bool>(), 200),
        ) {
            let mut sender = AggfragSender::new(1 << 20, None);
            let packets: Vec<_> = lengths.iter().enumerate().map(|(i, len)| packet(*len, i as u8)).collect();
            for packet in &packets {
                sender.push(packet).unwrap();
            }
            let (mut seq, mut out) = (0, Vec::new());
            let mut receiver = AggfragReceiver::new(2);
            while sender.octets() > 0 {
                let mut payload = vec![0xee; size];
                sender.fill(&mut payload, None);
                seq += 1;
                if !lost.get(seq as usize).copied().unwrap_or(false) {
                    receiver.insert(seq, &payload, &mut |packet| out.push(packet.to_vec())).unwrap();
                }
            }
            // What comes out is among what went in, in order and unharmed.
            let mut rest = packets.iter();
            for packet in &out {
                prop_assert!(rest.any(|sent| sent == packet));
            }
        }

        #[test]
        fn anything_authentic_is_taken_with_bounded_memory(
            payloads in proptest::collection::vec((0u64..40, proptest::collection::vec(any::<u8>(), 0..80)), 0..60),
        ) {
            let mut receiver = AggfragReceiver::new(8);
            for (seq, mut payload) in payloads {
                if let Some(first) = payload.first_mut() {
                    *first &= 1;
                }
                let _ = receiver.insert(seq, &payload, &mut |_| ());
                prop_assert!(receiver.held() <= 8 && receiver.begun() <= 65575 + 80);
            }
        }
    }
}
