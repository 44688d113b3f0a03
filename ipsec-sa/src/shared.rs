//! Sequence numbers and replay window of one SA that several cores share: atomic, without locks.
//!
//! SAs of their own for each core (RFC 9611) scale; this is for peers that negotiate one.

use alloc::boxed::Box;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

use ipsec_wire::ike::SnId;

use crate::seq::{ReservedSeq, SequenceExhausted};
use crate::{ReplayError, ReplayWindow};

/// Gives out the sequence numbers of one outbound SA to several cores, each number once.
#[derive(Debug)]
pub struct SharedSequenceCounter {
    /// The last number given out, or more than there is.
    last: AtomicU64,
    limit: u64,
    soft: u64,
}

impl SharedSequenceCounter {
    /// As [`crate::SequenceCounter::new`]. Of 64-bit numbers the last 2^32 are never given out, so that refused attempts
    /// cannot make the counter wrap.
    #[must_use]
    pub fn new(kind: SnId, floor: u64) -> Self {
        let limit = match kind {
            SnId::SEQUENTIAL_64 | SnId::UNSPECIFIED_32 => u64::MAX - (1 << 32),
            _ => u64::from(u32::MAX),
        };
        Self { last: AtomicU64::new(floor.min(limit)), limit, soft: limit / 8 * 7 }
    }

    /// The same with at most `packets` numbers to give out.
    #[must_use]
    pub fn with_at_most(mut self, packets: u64) -> Self {
        self.limit = self.limit.min(self.last().saturating_add(packets));
        self
    }

    /// Takes the next number.
    ///
    /// # Errors
    /// [`SequenceExhausted`], for ever after the last number.
    #[inline]
    pub fn reserve(&self) -> Result<ReservedSeq, SequenceExhausted> {
        // Each attempt gets another number; no other memory hangs on it.
        let last = self.last.fetch_add(1, Ordering::Relaxed);
        if last < self.limit {
            return Ok(ReservedSeq::shared(last + 1));
        }
        // Back to the limit: as many attempts as there are cores at once lie above it, far below 2^32.
        self.last.store(self.limit, Ordering::Relaxed);
        Err(SequenceExhausted)
    }

    /// The last number given out; the floor before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed).min(self.limit)
    }

    /// How many numbers are left.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.limit - self.last()
    }

    /// Whether so few are left that a new SA is due.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.last() >= self.soft
    }
}

/// Bits of a word that stand for numbers; the rest says which sixteen these are.
const BITS: u32 = 16;
const TAG: u64 = u64::MAX >> BITS;

/// The replay window of one inbound SA that several cores share (RFC 4303 §3.4.3).
///
/// Each word of the ring holds sixteen numbers and says which, so that one compare-and-swap both finds out that a number
/// is new and marks it: no number is ever accepted twice, whatever the other cores do. A number that falls below the window
/// while it is looked at may still be accepted, once.
#[derive(Debug)]
pub struct SharedReplayWindow {
    top: AtomicU64,
    size: u64,
    ring: Box<[AtomicU64]>,
}

impl SharedReplayWindow {
    /// A window as [`ReplayWindow::new`] makes it, with every number up to and with `floor` seen; half an octet a packet.
    #[must_use]
    pub fn new(packets: u32, floor: u64) -> Self {
        if packets == 0 {
            return Self { top: AtomicU64::new(floor), size: 0, ring: Box::default() };
        }
        let size = u64::from(packets.clamp(ReplayWindow::MIN, ReplayWindow::MAX).next_multiple_of(64));
        // One more than the window fills where it begins and ends inside a word.
        let words = size / u64::from(BITS) + 1;
        let newest = floor >> BITS.ilog2();
        let ring = (0..words).map(|index| {
            // The newest sixteen at this place that are not above the floor, or those before the first.
            let back = (newest % words + words - index) % words;
            let tag = newest.wrapping_sub(back) & TAG;
            let seen = if back == 0 { u64::from(u16::MAX) >> (15 - floor % 16) } else { u64::from(u16::MAX) };
            AtomicU64::new(tag << BITS | seen)
        });
        Self { top: AtomicU64::new(floor), size, ring: ring.collect() }
    }

    /// Packets in the window; 0 when checks are off.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The highest number accepted, 0 before the first.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.top.load(Ordering::Relaxed)
    }

    /// The 64-bit number behind the 32 bits on the wire, as [`ReplayWindow::infer`] finds it.
    #[must_use]
    pub fn infer(&self, low: u32) -> u64 {
        crate::replay::infer(self.top(), self.size, low)
    }

    /// Whether the number is new and not too old. Nothing moves.
    ///
    /// # Errors
    /// [`ReplayError`].
    #[inline]
    pub fn check(&self, seq: u64) -> Result<(), ReplayError> {
        match self.place(seq)? {
            Some(word) => Self::marked(word.load(Ordering::Relaxed), seq).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Marks the number of an authenticated packet. Of several that bring the same number, one is told that it is new.
    ///
    /// # Errors
    /// [`ReplayError`], and nothing moves.
    #[inline]
    pub fn accept(&self, seq: u64) -> Result<(), ReplayError> {
        if let Some(word) = self.place(seq)? {
            let mut current = word.load(Ordering::Relaxed);
            loop {
                let marked = Self::marked(current, seq)?;
                // The word is all there is to agree on.
                match word.compare_exchange_weak(current, marked, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => current = now,
                }
            }
        }
        self.top.fetch_max(seq, Ordering::Relaxed);
        Ok(())
    }

    /// The word that has the number's bit, or will; `None` where checks are off.
    #[inline]
    fn place(&self, seq: u64) -> Result<Option<&AtomicU64>, ReplayError> {
        if self.size == 0 {
            return Ok(None);
        }
        if seq == 0 || self.top() >= seq && self.top() - seq >= self.size {
            return Err(ReplayError::BelowWindow);
        }
        let index = (seq >> BITS.ilog2()) % self.ring.len() as u64;
        Ok(self.ring.get(index as usize))
    }

    /// The word with the number marked. Its tag only ever goes forward, and a bit stays as long as the tag does: that is
    /// why a number is not accepted twice.
    #[inline]
    fn marked(word: u64, seq: u64) -> Result<u64, ReplayError> {
        let (tag, bit) = (seq >> BITS.ilog2() & TAG, 1 << (seq % u64::from(BITS)));
        match tag.wrapping_sub(word >> BITS) & TAG {
            0 if word & bit != 0 => Err(ReplayError::Replayed),
            0 => Ok(word | bit),
            ahead if ahead <= TAG / 2 => Ok(tag << BITS | bit),
            _ => Err(ReplayError::BelowWindow),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn numbers_end_without_a_wrap() {
        let counter = SharedSequenceCounter::new(SnId::SEQUENTIAL_32, u64::from(u32::MAX) - 2);
        assert!(counter.is_low());
        assert_eq!(counter.reserve().map(|seq| seq.value()), Ok(u64::from(u32::MAX) - 1));
        assert_eq!(counter.reserve().map(|seq| seq.low()), Ok(u32::MAX));
        for _ in 0..100 {
            assert_eq!(counter.reserve(), Err(SequenceExhausted));
        }
        assert_eq!((counter.last(), counter.remaining()), (u64::from(u32::MAX), 0));
        let capped = SharedSequenceCounter::new(SnId::SEQUENTIAL_64, u64::MAX - 3).with_at_most(9);
        assert_eq!((capped.reserve(), capped.remaining()), (Err(SequenceExhausted), 0));
        let two = SharedSequenceCounter::new(SnId::SEQUENTIAL_64, 7).with_at_most(2);
        assert_eq!([(); 3].map(|()| two.reserve().is_ok()), [true, true, false]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_window_of_one_core(
            packets in prop_oneof![Just(0u32), Just(32), Just(64), Just(100), Just(1024), Just(65536)],
            floor in prop_oneof![Just(0u64), 0u64..100_000, Just(u64::from(u32::MAX) - 3), Just(u64::MAX - 400)],
            steps in proptest::collection::vec((0u8..10, 0u64..200_000), 1..300),
        ) {
            let mut single = ReplayWindow::new(packets).with_floor(floor);
            let shared = SharedReplayWindow::new(packets, floor);
            for (kind, jump) in steps {
                let top = single.top();
                let seq = match kind {
                    0..=3 => top.saturating_add(1),
                    4..=6 => top.saturating_sub(jump % 130),
                    7 => top.saturating_sub(jump),
                    8 => top.saturating_add(jump % 200),
                    _ => top.saturating_add(jump),
                };
                let low = seq as u32;
                prop_assert_eq!(shared.infer(low), single.infer(low));
                prop_assert_eq!(shared.check(seq), single.check(seq), "check of {} with top {}", seq, top);
                prop_assert_eq!(shared.accept(seq), single.accept(seq), "accept of {} with top {}", seq, top);
                prop_assert_eq!(shared.top(), single.top());
            }
        }
    }
}
