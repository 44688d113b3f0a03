//! The anti-replay window (RFC 4303 §3.4.3 and appendix A), as the ring of words of RFC 6479.
//!
//! A receiver infers the number, checks it, verifies the packet, and only then accepts the number: nothing moves for
//! a packet that was not authenticated.

use alloc::boxed::Box;
use alloc::vec;

use thiserror::Error;

/// Which sequence numbers were accepted, down to a fixed distance below the highest.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    /// The highest number accepted; 0 before the first, which no sender uses.
    top: u64,
    /// Packets in the window; 0 switches the checks off.
    size: u64,
    /// One bit a number, word `(seq / 64) % words`. There is a word more than the window fills, so that moving on
    /// clears whole words and shifts nothing (RFC 6479 §2).
    ring: Box<[u64]>,
}

/// Why a sequence number was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum ReplayError {
    /// The number was accepted before.
    #[error("sequence number seen before")]
    Replayed,
    /// The number lies below the window, or is 0.
    #[error("sequence number below the window")]
    BelowWindow,
}

impl ReplayWindow {
    /// The smallest window, in packets.
    pub const MIN: u32 = 64;
    /// The largest window, in packets.
    pub const MAX: u32 = 65536;

    /// A window of at least `packets` (a multiple of 64, at most [`ReplayWindow::MAX`]); 0 switches the checks off,
    /// and then the window only remembers the highest number, to infer from.
    ///
    /// It takes two octets per eight packets at worst: 256 octets for 1024.
    #[must_use]
    pub fn new(packets: u32) -> Self {
        if packets == 0 {
            return Self { top: 0, size: 0, ring: Box::default() };
        }
        let size = packets.clamp(Self::MIN, Self::MAX).next_multiple_of(64);
        let words = (size / 64 + 1).next_power_of_two();
        Self { top: 0, size: u64::from(size), ring: vec![0; words as usize].into_boxed_slice() }
    }

    /// Takes every number up to and with `floor` as seen.
    #[must_use]
    pub fn with_floor(mut self, floor: u64) -> Self {
        self.top = floor;
        self.ring.fill(u64::MAX);
        if let Some(word) = self.ring.get_mut(Self::index(floor, self.size_mask())) {
            *word = u64::MAX >> (63 - floor % 64);
        }
        self
    }

    /// Packets in the window; 0 when checks are off.
    #[must_use]
    pub fn size(&self) -> u32 {
        // At most `MAX`, so nothing is cut off.
        self.size as u32
    }

    /// The highest number accepted, 0 before the first.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.top
    }

    /// The 64-bit number behind the 32 bits on the wire (RFC 4303 appendix A2.2).
    ///
    /// Where the appendix would go below subspace 0 or beyond the last one, the current one is taken: the integrity
    /// check, which covers the high half, refuses what is not true.
    #[must_use]
    pub fn infer(&self, low: u32) -> u64 {
        infer(self.top, self.size, low)
    }

    /// Whether the number is new and not too old. Nothing moves.
    ///
    /// # Errors
    /// [`ReplayError`].
    #[inline]
    pub fn check(&self, seq: u64) -> Result<(), ReplayError> {
        if seq > self.top || self.size == 0 {
            return Ok(());
        }
        if self.top - seq >= self.size || seq == 0 {
            return Err(ReplayError::BelowWindow);
        }
        match self.ring.get(Self::index(seq, self.size_mask())) {
            Some(word) if word >> (seq % 64) & 1 == 0 => Ok(()),
            _ => Err(ReplayError::Replayed),
        }
    }

    /// Marks the number of an authenticated packet, and moves the window up to it.
    ///
    /// # Errors
    /// [`ReplayError`], and nothing moves, where [`ReplayWindow::check`] would refuse the number.
    #[inline]
    pub fn accept(&mut self, seq: u64) -> Result<(), ReplayError> {
        self.check(seq)?;
        let mask = self.size_mask();
        if seq > self.top {
            let (from, to) = (self.top / 64, seq / 64);
            if to - from >= self.ring.len() as u64 {
                self.ring.fill(0);
            } else {
                for word in from + 1..=to {
                    if let Some(word) = self.ring.get_mut(word as usize & mask) {
                        *word = 0;
                    }
                }
            }
            self.top = seq;
        }
        if let Some(word) = self.ring.get_mut(Self::index(seq, mask)) {
            *word |= 1 << (seq % 64);
        }
        Ok(())
    }

    #[inline]
    fn size_mask(&self) -> usize {
        self.ring.len().wrapping_sub(1)
    }

    #[inline]
    fn index(seq: u64, mask: usize) -> usize {
        // Only bits of the mask matter, and they are the low ones.
        (seq / 64) as usize & mask
    }
}

/// [`ReplayWindow::infer`] for a window of `size` packets whose highest number is `top`.
#[inline]
pub(crate) fn infer(top: u64, size: u64, low: u32) -> u64 {
    // Without a window the nearest number to the highest is as good a guess as there is.
    let window = if size == 0 { 1 << 31 } else { size as u32 };
    let (top_high, top_low) = ((top >> 32) as u32, top as u32);
    let bottom = top_low.wrapping_sub(window - 1);
    let high = match (top_low >= window - 1, low >= bottom) {
        (true, true) | (false, false) => top_high,
        (true, false) => top_high.saturating_add(1),
        (false, true) => top_high.saturating_sub(1),
    };
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    /// RFC 4303 §3.4.3 in the plainest words: a set of numbers and the highest.
    struct Model {
        seen: BTreeSet<u64>,
        top: u64,
        size: u64,
    }

    impl Model {
        fn check(&self, seq: u64) -> Result<(), ReplayError> {
            if seq == 0 || seq + self.size <= self.top {
                Err(ReplayError::BelowWindow)
            } else if self.seen.contains(&seq) {
                Err(ReplayError::Replayed)
            } else {
                Ok(())
            }
        }

        fn accept(&mut self, seq: u64) {
            self.seen.insert(seq);
            self.top = self.top.max(seq);
        }
    }

    fn run(packets: u32, floor: u64, numbers: impl IntoIterator<Item = u64>) {
        let mut window = ReplayWindow::new(packets).with_floor(floor);
        let size = u64::from(window.size());
        let mut model = Model { seen: (floor.saturating_sub(size)..=floor).collect(), top: floor, size };
        for seq in numbers {
            let expected = model.check(seq);
            assert_eq!(window.check(seq), expected, "check of {seq} with top {}", model.top);
            assert_eq!(window.accept(seq), expected, "accept of {seq}");
            if expected.is_ok() {
                model.accept(seq);
            }
            assert_eq!(window.top(), model.top);
        }
    }

    #[test]
    fn sizes_are_rounded_up() {
        for (asked, size) in [(0, 0), (1, 64), (32, 64), (64, 64), (65, 128), (1024, 1024), (70000, 65536)] {
            assert_eq!(ReplayWindow::new(asked).size(), size);
        }
    }

    #[test]
    fn every_order_of_three_numbers_around_a_small_window() {
        let interesting: [u64; 22] = [
            0, 1, 2, 3, 62, 63, 64, 65, 66, 126, 127, 128, 129, 130, 190, 191, 192, 193, 255, 256, 257,
            10_000,
        ];
        for a in interesting {
            for b in interesting {
                for c in interesting {
                    run(64, 0, [a, b, c, a, b, c]);
                    run(128, 0, [a, b, c, a, b, c]);
                }
            }
        }
    }

    #[test]
    fn every_number_after_every_top_of_a_small_window() {
        for top in 1..=200u64 {
            for seq in 0..=330 {
                run(64, 0, [top, seq, seq, top + 64]);
            }
        }
    }

    #[test]
    fn a_floor_is_as_good_as_having_seen_all_below() {
        for floor in [1, 63, 64, 65, 127, 128, 1000, u64::from(u32::MAX), u64::from(u32::MAX) + 5] {
            for seq in floor.saturating_sub(140)..floor + 140 {
                run(64, floor, [seq, floor + 1, floor, seq]);
            }
        }
    }

    #[test]
    fn inference_is_exact_at_the_edges_of_a_subspace() {
        for size in [64u64, 1024] {
            for low in
                [0, 1, size - 2, size - 1, size, size + 1, u64::from(u32::MAX) - 1, u64::from(u32::MAX)]
            {
                let top = 5 << 32 | low;
                let window = ReplayWindow::new(size as u32).with_floor(top);
                // All of the window, what follows, and the last number that is not taken for one of the window.
                let furthest = top + (1 << 32) - size;
                for seq in (top - size + 1..top + 200).chain(furthest - 3..=furthest) {
                    assert_eq!(window.infer(seq as u32), seq, "{size} {top:x}");
                }
                assert_eq!(window.infer((furthest + 1) as u32), top - size + 1);
            }
        }
    }

    #[test]
    fn an_unchecked_window_takes_everything() {
        let mut window = ReplayWindow::new(0);
        for seq in [5, 5, 0, 1] {
            assert_eq!(window.accept(seq), Ok(()));
        }
        assert_eq!(window.top(), 5);
    }

    #[test]
    fn the_end_of_the_number_space_is_reached() {
        let mut window = ReplayWindow::new(64).with_floor(u64::MAX - 2);
        assert_eq!(window.accept(u64::MAX), Ok(()));
        assert_eq!(window.accept(u64::MAX - 1), Ok(()));
        assert_eq!(window.accept(u64::MAX), Err(ReplayError::Replayed));
        // Beyond the last subspace nothing is inferred, so it falls below the window.
        assert_eq!(window.check(window.infer(7)), Err(ReplayError::BelowWindow));
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(
            packets in prop_oneof![Just(32u32), Just(64), Just(100), Just(1024), Just(65536)],
            floor in prop_oneof![Just(0u64), 0u64..100_000, Just(u64::from(u32::MAX) - 3)],
            steps in proptest::collection::vec((0u8..10, 0u64..200_000), 1..300),
        ) {
            let mut top = floor;
            let numbers = steps.into_iter().map(move |(kind, jump)| {
                let seq = match kind {
                    0..=3 => top + 1,
                    4..=6 => top.saturating_sub(jump % 130),
                    7 => top.saturating_sub(jump),
                    8 => top + jump % 200,
                    _ => top + jump,
                };
                top = top.max(seq);
                seq
            });
            run(packets, floor, numbers);
        }

        /// Any number less than a window below the top, or less than 2^32 - window above it, is inferred exactly.
        #[test]
        fn inference_is_exact_within_its_reach(
            packets in prop_oneof![Just(64u32), Just(1024), Just(65536)],
            top in prop_oneof![0u64..200_000, (1u64 << 32) - 70_000..(1 << 32) + 70_000, any::<u64>()],
            near in -70_000i64..70_000,
            far in 0u64..(1 << 32) - 65536,
        ) {
            let window = ReplayWindow::new(packets).with_floor(top);
            for seq in [top.checked_add_signed(near), top.checked_add(far)].into_iter().flatten() {
                if seq > top || top - seq < u64::from(packets) {
                    prop_assert_eq!(window.infer(seq as u32), seq);
                }
            }
        }
    }
}
