//! The receiving side: payloads in by their sequence numbers, packets out in order (RFC 9347 §2.2.3).

use alloc::vec::Vec;

use ipsec_wire::aggfrag::{AggfragView, CongestionControl, DataBlock};
use ipsec_wire::ip::{Ipv4Header, Ipv6Header};

use super::AggfragError;

/// Puts payloads in order and packets together.
#[derive(Clone, Debug)]
pub struct AggfragReceiver {
    /// The number of the payload that comes next; `None` before the first, and behind the last number there is.
    next: Option<u64>,
    /// Payloads ahead of it, each at the place of its number. Their memory is kept.
    early: Vec<Early>,
    held: usize,
    /// The start of a packet, and how long it is to be.
    begun: Vec<u8>,
    stats: AggfragStats,
}

/// A payload that has to wait; `seq` 0 where there is none.
#[derive(Clone, Debug, Default)]
struct Early {
    seq: u64,
    payload: Vec<u8>,
}

/// What happened to payloads and what was in them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct AggfragStats {
    /// Packets that came out.
    pub packets: u64,
    /// Packets of which a piece was lost.
    pub broken: u64,
    /// Payloads that were given up.
    pub lost: u64,
    /// Payloads that came after they were given up, or twice.
    pub late: u64,
    /// Payloads with something else than packets and padding.
    pub malformed: u64,
}

impl AggfragReceiver {
    /// Waits for payloads that others have overtaken by up to `window` numbers (RFC 9347 §2.2.3); at most as many are
    /// held.
    #[must_use]
    pub fn new(window: u16) -> Self {
        let mut early = Vec::new();
        early.resize_with(window.into(), Early::default);
        Self { next: None, early, held: 0, begun: Vec::new(), stats: AggfragStats::default() }
    }

    /// Takes the payload that ESP opened under number `seq`, which is none that it opened before, and hands whole packets
    /// to `deliver` in order.
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
            self.stats.late += 1;
            return Ok(control);
        }
        let window = self.early.len() as u64;
        if seq - next > window {
            self.give_up_below(seq - window, deliver);
            self.drain(deliver);
        }
        if self.next == Some(seq) {
            self.take(payload, deliver);
            self.step(seq);
            self.drain(deliver);
        } else if let Some(place) = self.place(seq) {
            if place.seq == seq {
                self.stats.late += 1;
            } else {
                place.seq = seq;
                place.payload.clear();
                place.payload.extend_from_slice(payload);
                self.held += 1;
            }
        }
        Ok(control)
    }

    /// Gives up what is missing in front of what is held, and hands that out: for when the wait has been long enough.
    pub fn flush(&mut self, deliver: &mut dyn FnMut(&[u8])) {
        while self.held > 0 {
            let Some(next) = self.next else { return };
            let first = self.early.iter().filter(|early| early.seq > next).map(|early| early.seq).min();
            let Some(first) = first else { return };
            self.give_up_below(first, deliver);
            self.drain(deliver);
        }
    }

    /// Whether payloads are held that wait for others.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.held > 0
    }

    /// Payloads that are held.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Octets of a packet that has begun.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.begun.len()
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> &AggfragStats {
        &self.stats
    }

    fn place(&mut self, seq: u64) -> Option<&mut Early> {
        let window = self.early.len() as u64;
        // Less than the length, which is 16 bits.
        self.early.get_mut(seq.checked_rem(window)? as usize)
    }

    fn step(&mut self, seq: u64) {
        self.next = seq.checked_add(1);
    }

    /// Goes on to number `seq`, over what is missing in front of it.
    fn give_up_below(&mut self, seq: u64, deliver: &mut dyn FnMut(&[u8])) {
        while let Some(next) = self.next.filter(|next| *next < seq) {
            if self.held == 0 {
                self.stats.lost += seq - next;
                self.next = Some(seq);
                self.break_off();
                return;
            }
            // At most as many turns as there are places, until nothing is held.
            if !self.take_held(next, deliver) {
                self.stats.lost += 1;
                self.break_off();
            }
            self.step(next);
        }
    }

    /// Hands out what follows without a gap.
    fn drain(&mut self, deliver: &mut dyn FnMut(&[u8])) {
        while let Some(next) = self.next.filter(|_| self.held > 0) {
            if !self.take_held(next, deliver) {
                return;
            }
            self.step(next);
        }
    }

    fn take_held(&mut self, seq: u64, deliver: &mut dyn FnMut(&[u8])) -> bool {
        let Some(place) = self.place(seq).filter(|place| place.seq == seq && seq != 0) else { return false };
        place.seq = 0;
        let payload = core::mem::take(&mut place.payload);
        self.held -= 1;
        self.take(&payload, deliver);
        if let Some(place) = self.place(seq) {
            place.payload = payload;
        }
        true
    }

    fn break_off(&mut self) {
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
            // Padding and reports come in between; with another packet the sender knows nothing of the one begun.
            if !matches!(view.blocks().next(), None | Some(DataBlock::Padding(_))) {
                self.break_off();
            }
        } else {
            self.begun.extend_from_slice(continuation);
            match declared(&self.begun) {
                Some(total) if total == self.begun.len() => {
                    deliver(&self.begun);
                    self.stats.packets += 1;
                    self.begun.clear();
                }
                Some(total) if total < self.begun.len() => self.break_off(),
                _ if usize::from(view.header.block_offset) <= continuation.len() => self.break_off(),
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
}

/// The whole length of a packet that has begun, once its length field is there: at most 65575 octets, and none for one
/// that is shorter than its own header.
fn declared(begun: &[u8]) -> Option<usize> {
    match begun {
        [first, _, high, low, ..] if first >> 4 == 4 => {
            let total = usize::from(u16::from_be_bytes([*high, *low]));
            Some(if total < Ipv4Header::LEN { 0 } else { total })
        }
        [first, _, _, _, high, low, ..] if first >> 4 == 6 => {
            Some(Ipv6Header::LEN + usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}
