//! AGGFRAG, the payload of IP-TFS (RFC 9347): inner packets back to back in payloads of one size, cut where a payload
//! ends, sent at a steady pace.
//!
//! Payloads go through an SA with next header [`IpProtocol::AGGFRAG`](ipsec_wire::IpProtocol::AGGFRAG).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use ipsec_sa::Instant;
use ipsec_wire::aggfrag::{AggfragHeader, AggfragView, CongestionControl, DataBlock};
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

/// The sending side: packets in, payloads of any given size out.
#[derive(Clone, Debug)]
pub struct AggfragSender {
    waiting: VecDeque<Vec<u8>>,
    /// Of the first packet, what went out already.
    sent: usize,
    octets: usize,
    capacity: usize,
    whole_in: Option<usize>,
}

impl AggfragSender {
    /// Nothing waiting, and at most `capacity` octets of it. A peer that cannot put packets together (flag D of
    /// USE_AGGFRAG) gets them whole, in payloads of `whole_in` octets.
    #[must_use]
    pub const fn new(capacity: usize, whole_in: Option<usize>) -> Self {
        Self { waiting: VecDeque::new(), sent: 0, octets: 0, capacity, whole_in }
    }

    /// Takes a packet to be sent.
    ///
    /// # Errors
    /// [`AggfragError`], with nothing taken.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), AggfragError> {
        if ipsec_wire::IpView::parse(packet).map(|view| view.packet().len()) != Ok(packet.len()) {
            return Err(AggfragError::Packet);
        }
        if self.whole_in.is_some_and(|len| packet.len() + AggfragHeader::BASIC_LEN > len) {
            return Err(AggfragError::TooLong);
        }
        if self.octets + packet.len() > self.capacity {
            return Err(AggfragError::Full);
        }
        self.octets += packet.len();
        self.waiting.push_back(packet.to_vec());
        Ok(())
    }

    /// Octets that wait.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.octets
    }

    /// Writes a payload over all of `out`: what waits, then padding. With nothing waiting it is all padding, to be sent all
    /// the same where the pace asks for it. Returns how many octets of packets went into it.
    ///
    /// A packet is cut only where at least its length field goes along, so that the other side knows what it waits for.
    pub fn fill(&mut self, out: &mut [u8], control: Option<CongestionControl>) -> usize {
        let left = self.waiting.front().map_or(0, |first| first.len() - self.sent);
        let continued = if self.sent > 0 { left } else { 0 };
        let block_offset = u16::try_from(continued).unwrap_or(u16::MAX);
        let mut header = Vec::with_capacity(AggfragHeader::CONGESTION_CONTROL_LEN);
        AggfragHeader { congestion_control: control, ..AggfragHeader::basic(block_offset) }.emit(&mut header);
        let Some((head, mut room)) = out.split_at_mut_checked(header.len()) else {
            out.fill(0);
            return 0;
        };
        head.copy_from_slice(&header);
        let mut written = 0;
        while let Some(first) = self.waiting.front() {
            let rest = first.get(self.sent..).unwrap_or_default();
            let len = rest.len().min(room.len());
            let cut = len < rest.len();
            if cut && (self.whole_in.is_some() || self.sent == 0 && len < 6) {
                break;
            }
            let (here, behind) = room.split_at_mut(len);
            here.copy_from_slice(rest.get(..len).unwrap_or_default());
            written += len;
            room = behind;
            if cut {
                self.sent += len;
                break;
            }
            self.sent = 0;
            self.waiting.pop_front();
        }
        room.fill(0);
        self.octets -= written;
        written
    }
}

/// The receiving side: payloads in by their sequence numbers, packets out in order.
#[derive(Clone, Debug)]
pub struct AggfragReceiver {
    /// The number of the payload that comes next.
    next: Option<u64>,
    /// Payloads ahead of it.
    early: BTreeMap<u64, Vec<u8>>,
    window: u64,
    /// The start of a packet, and how long it is to be.
    begun: Vec<u8>,
    stats: AggfragStats,
}

/// What happened to payloads and what was in them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct AggfragStats {
    /// Packets that came out.
    pub packets: u64,
    /// Packets of which a piece was lost.
    pub broken: u64,
    /// Payloads that were given up, or came behind that.
    pub lost: u64,
    /// Payloads with something else than packets and padding.
    pub malformed: u64,
}

impl AggfragReceiver {
    /// Waits for payloads that others have overtaken by up to `window` (RFC 9347 §2.2.3); at most as many are held.
    #[must_use]
    pub fn new(window: u16) -> Self {
        Self {
            next: None,
            early: BTreeMap::new(),
            window: u64::from(window),
            begun: Vec::new(),
            stats: AggfragStats::default(),
        }
    }

    /// Takes the payload that ESP opened under number `seq`, and hands whole packets to `deliver` in order.
    ///
    /// # Errors
    /// [`AggfragError::Payload`].
    pub fn insert(
        &mut self,
        seq: u64,
        payload: &[u8],
        deliver: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<CongestionControl>, AggfragError> {
        let view = AggfragView::parse(payload).map_err(|_| {
            self.stats.malformed += 1;
            AggfragError::Payload
        })?;
        let control = view.header.congestion_control;
        let next = *self.next.get_or_insert(seq);
        if seq < next {
            self.stats.lost += 1;
            return Ok(control);
        }
        if seq == next {
            self.take(payload, deliver);
            self.next = seq.checked_add(1);
        } else {
            self.early.insert(seq, payload.to_vec());
        }
        self.advance(deliver);
        Ok(control)
    }

    /// Hands out what follows, and gives up what is missing when too much has come behind it.
    fn advance(&mut self, deliver: &mut dyn FnMut(&[u8])) {
        while let Some((seq, payload)) = self.early.pop_first() {
            let next = self.next.unwrap_or(seq);
            if seq > next {
                let newest = self.early.last_key_value().map_or(seq, |(last, _)| *last);
                if newest - next <= self.window && self.early.len() as u64 <= self.window {
                    self.early.insert(seq, payload);
                    return;
                }
                self.stats.lost += seq - next;
                self.give_up();
            }
            self.take(&payload, deliver);
            self.next = seq.checked_add(1);
        }
    }

    fn give_up(&mut self) {
        if !self.begun.is_empty() {
            self.stats.broken += 1;
            self.begun.clear();
        }
    }

    /// A payload in its turn.
    fn take(&mut self, payload: &[u8], deliver: &mut dyn FnMut(&[u8])) {
        let Ok(view) = AggfragView::parse(payload) else { return };
        let continuation = view.continuation();
        if self.begun.is_empty() {
            // The rest of something whose start was lost, if there is any.
        } else if view.header.block_offset == 0 {
            // The sender knows nothing of the packet that was begun.
            self.give_up();
        } else {
            self.begun.extend_from_slice(continuation);
            match declared(&self.begun) {
                Some(total) if total == self.begun.len() => {
                    deliver(&self.begun);
                    self.stats.packets += 1;
                    self.begun.clear();
                }
                Some(total) if total < self.begun.len() => self.give_up(),
                _ if usize::from(view.header.block_offset) <= continuation.len() => self.give_up(),
                _ => {}
            }
        }
        for block in view.blocks() {
            match block {
                DataBlock::Packet(packet) => {
                    deliver(packet);
                    self.stats.packets += 1;
                }
                DataBlock::Start { octets, .. } => self.begun.extend_from_slice(octets),
                DataBlock::Padding(_) => {}
                DataBlock::Unknown(_) => self.stats.malformed += 1,
            }
        }
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> &AggfragStats {
        &self.stats
    }
}

/// The whole length of a packet that has begun, once its length field is there. It is at most 65575 octets.
fn declared(begun: &[u8]) -> Option<usize> {
    match begun {
        [first, _, high, low, ..] if first >> 4 == 4 => Some(usize::from(u16::from_be_bytes([*high, *low]))),
        [first, _, _, _, high, low, ..] if first >> 4 == 6 => {
            Some(40 + usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

/// When payloads are due at a constant rate (RFC 9347 §2.2.1): a pure function of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    interval: Duration,
    next: Instant,
    burst: u32,
}

impl Pace {
    /// The first payload at `start`, then one each `interval`; at most `burst` at once after a late call, so that what
    /// was missed does not come in a flood.
    #[must_use]
    pub fn new(start: Instant, interval: Duration, burst: u32) -> Self {
        Self { interval: interval.max(Duration::from_micros(1)), next: start, burst: burst.max(1) }
    }

    /// How many payloads are due at `now`; they count as sent.
    pub fn due(&mut self, now: Instant) -> u32 {
        if now < self.next {
            return 0;
        }
        let missed = (now - self.next).as_micros() / self.interval.as_micros() + 1;
        let steps = u32::try_from(missed).unwrap_or(u32::MAX);
        self.next += self.interval.saturating_mul(steps);
        steps.min(self.burst)
    }

    /// When the next one is.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
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
                prop_assert!(receiver.early.len() <= 9 && receiver.begun.len() <= 65575 + 80);
            }
        }
    }
}
