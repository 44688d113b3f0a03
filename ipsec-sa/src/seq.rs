//! Outbound sequence numbers (RFC 4303 §2.2, §3.3.3): each is given out once, and never wraps.

use ipsec_wire::ike::SnId;
use thiserror::Error;

/// Gives out the sequence numbers of one outbound SA.
#[derive(Debug)]
pub struct SequenceCounter {
    /// The last number given out.
    last: u64,
    /// The last number there is.
    limit: u64,
    /// From this number on a new SA is due.
    soft: u64,
}

/// One sequence number, to be spent on one packet.
///
/// It can neither be copied nor made outside of [`SequenceCounter`], and whoever takes it by value spends it, also
/// when sealing fails: with counter-made nonces a number used twice would give the plaintext away (RFC 4106 §2).
#[derive(PartialEq, Eq, Debug)]
pub struct ReservedSeq(u64);

/// The SA has sent its last packet: a number would be used again (RFC 4303 §3.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("sequence numbers of the SA are used up")]
pub struct SequenceExhausted;

impl SequenceCounter {
    /// A counter whose first number is `floor + 1`, with 64-bit numbers for [`SnId::SEQUENTIAL_64`] and 32-bit ones
    /// for all else. For [`SnId::UNSPECIFIED_32`] (RFC 9827) it counts on in 64 bits too, of which the wire shows the
    /// low half: what is made from the whole number stays unique when that comes round. A new SA asks for its replacement when seven eighths of the numbers are gone.
    #[must_use]
    pub fn new(kind: SnId, floor: u64) -> Self {
        let limit = match kind {
            SnId::SEQUENTIAL_64 | SnId::UNSPECIFIED_32 => u64::MAX,
            _ => u64::from(u32::MAX),
        };
        Self { last: floor.min(limit), limit, soft: limit / 8 * 7 }
    }

    /// Takes the next number.
    ///
    /// # Errors
    /// [`SequenceExhausted`], for ever after the last number.
    #[inline]
    pub fn reserve(&mut self) -> Result<ReservedSeq, SequenceExhausted> {
        if self.last >= self.limit {
            return Err(SequenceExhausted);
        }
        self.last += 1;
        Ok(ReservedSeq(self.last))
    }

    /// Skips `numbers`, so that a node that takes over cannot repeat what another may have sent (RFC 6311 §5.1).
    pub fn skip(&mut self, numbers: u64) {
        self.last = self.last.saturating_add(numbers).min(self.limit);
    }

    /// The last number given out; the floor before the first.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// How many numbers are left.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.limit - self.last
    }

    /// Whether so few are left that a new SA is due.
    #[must_use]
    #[inline]
    pub const fn is_low(&self) -> bool {
        self.last >= self.soft
    }
}

impl ReservedSeq {
    /// A number that was taken from a counter of several cores.
    #[cfg(all(feature = "shared", target_has_atomic = "64"))]
    #[inline]
    pub(crate) const fn shared(number: u64) -> Self {
        Self(number)
    }

    /// The whole number.
    #[must_use]
    #[inline]
    pub const fn value(&self) -> u64 {
        self.0
    }

    /// What goes on the wire.
    #[must_use]
    #[inline]
    pub const fn low(&self) -> u32 {
        self.0 as u32
    }

    /// What an extended sequence number keeps to itself (RFC 4303 §2.2.1).
    #[must_use]
    #[inline]
    pub const fn high(&self) -> u32 {
        (self.0 >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_start_at_one_and_never_repeat() {
        let mut counter = SequenceCounter::new(SnId::SEQUENTIAL_32, 0);
        for expected in 1..1000 {
            assert_eq!(counter.reserve().map(|seq| seq.value()), Ok(expected));
        }
        assert_eq!(counter.last(), 999);
    }

    #[test]
    fn thirty_two_bits_end_after_an_early_warning() {
        let mut counter = SequenceCounter::new(SnId::SEQUENTIAL_32, u64::from(u32::MAX) / 8 * 7 - 1);
        assert!(!counter.is_low());
        counter.reserve().unwrap();
        assert!(counter.is_low());
        counter.skip(counter.remaining() - 1);
        let last = counter.reserve().unwrap();
        assert_eq!((last.high(), last.low()), (0, u32::MAX));
        for _ in 0..3 {
            assert_eq!(counter.reserve(), Err(SequenceExhausted));
        }
        assert_eq!(counter.remaining(), 0);
    }

    #[test]
    fn extended_numbers_cross_into_the_next_subspace_and_end_too() {
        let mut counter = SequenceCounter::new(SnId::SEQUENTIAL_64, u64::from(u32::MAX));
        let seq = counter.reserve().unwrap();
        assert_eq!((seq.high(), seq.low()), (1, 0));
        counter.skip(u64::MAX);
        assert_eq!(counter.reserve(), Err(SequenceExhausted));
    }
}
