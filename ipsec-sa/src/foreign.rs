//! SAs under SPIs that were not chosen here: a table of numbers in front of the SAs, probed in line.

use alloc::vec;
use alloc::vec::Vec;

/// SAs by SPI, whatever the SPI.
///
/// Memory beside the SAs: eight octets for each place in the table, of which at most three fifths and, but for a small
/// table, nearly half are taken. A fuller table is slower: an SPI that is not in its home is a branch guessed wrong.
#[derive(Clone)]
pub(crate) struct Foreign<S, A> {
    /// The place of an SA over its SPI; 0 is empty, as no SA has that SPI.
    table: Vec<u64>,
    slots: Vec<Held<S, A>>,
    free: Vec<u32>,
}

#[derive(Clone)]
#[repr(C)]
struct Held<S, A> {
    aligned: [A; 0],
    spi: u32,
    sa: Option<S>,
}

impl<S, A> Foreign<S, A> {
    pub(crate) const fn new() -> Self {
        Self { table: Vec::new(), slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn contains(&self, spi: u32) -> bool {
        self.find(spi).is_some()
    }

    #[inline]
    pub(crate) fn lookup(&self, spi: u32) -> Option<&S> {
        let (_, slot) = self.find(spi)?;
        self.slots.get(slot)?.sa.as_ref()
    }

    #[inline]
    pub(crate) fn lookup_mut(&mut self, spi: u32) -> Option<&mut S> {
        let (_, slot) = self.find(spi)?;
        self.slots.get_mut(slot)?.sa.as_mut()
    }

    /// Puts an SA under an SPI that has none, and is not 0.
    pub(crate) fn insert(&mut self, spi: u32, sa: S) {
        if (self.len() + 1) * 5 > self.table.len() * 3 {
            self.grow();
        }
        let held = Held { aligned: [], spi, sa: Some(sa) };
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = held,
            None => {
                if self.slots.len() == self.slots.capacity() {
                    self.slots.reserve_exact(self.slots.len() / 32 + 16);
                }
                self.slots.push(held);
            }
        }
        self.enter(entry(spi, slot));
    }

    pub(crate) fn remove(&mut self, spi: u32) -> Option<S> {
        let (place, slot) = self.find(spi)?;
        let sa = self.slots.get_mut(slot)?.sa.take()?;
        self.free.push(slot as u32);
        self.vacate(place);
        Some(sa)
    }

    /// In the order of their places, which depends on insertions and removals alone.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &S)> {
        self.slots.iter().filter_map(|held| held.sa.as_ref().map(|sa| (held.spi, sa)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut S)> {
        self.slots.iter_mut().filter_map(|held| held.sa.as_mut().map(|sa| (held.spi, sa)))
    }

    /// Where in the table an SPI stands, and the place of its SA.
    #[inline]
    fn find(&self, spi: u32) -> Option<(usize, usize)> {
        if spi == 0 {
            return None;
        }
        let mut place = self.home(spi);
        // Two fifths of the table are empty, so this ends. What waits for memory here, each step less counts.
        loop {
            let entry = *self.table.get(place)?;
            if spi_of(entry) == spi {
                return Some((place, (entry >> 32) as usize));
            }
            if entry == 0 {
                return None;
            }
            place = self.after(place);
        }
    }

    /// Where the search for an SPI begins.
    #[inline]
    fn home(&self, spi: u32) -> usize {
        ((u64::from(mix(spi)) * self.table.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        if place + 1 < self.table.len() { place + 1 } else { 0 }
    }

    fn enter(&mut self, entry: u64) {
        let mut place = self.home(spi_of(entry));
        while self.table.get(place).is_some_and(|taken| *taken != 0) {
            place = self.after(place);
        }
        if let Some(empty) = self.table.get_mut(place) {
            *empty = entry;
        }
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 5 / 4).max(16);
        let old = core::mem::replace(&mut self.table, vec![0; size]);
        for entry in old.into_iter().filter(|entry| *entry != 0) {
            self.enter(entry);
        }
    }

    /// Empties a place and lets those behind it that were pushed aside move up.
    fn vacate(&mut self, mut hole: usize) {
        let mut place = hole;
        loop {
            place = self.after(place);
            let entry = self.table.get(place).copied().unwrap_or(0);
            if entry == 0 {
                break;
            }
            let home = self.home(spi_of(entry));
            // It may stand in the hole unless its home lies behind the hole, up to where it is.
            let stays =
                if hole <= place { hole < home && home <= place } else { hole < home || home <= place };
            if !stays {
                self.set(hole, entry);
                hole = place;
            }
        }
        self.set(hole, 0);
    }

    fn set(&mut self, place: usize, entry: u64) {
        if let Some(stored) = self.table.get_mut(place) {
            *stored = entry;
        }
    }

    #[cfg(test)]
    fn index_octets(&self) -> usize {
        self.table.len() * 8
    }
}

/// Fibonacci hashing: one multiplication, whose upper half every bit of an SPI reaches. It is not keyed, as SPIs are ours
/// or come from peers that are known.
#[inline]
const fn mix(spi: u32) -> u32 {
    ((spi as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

const fn entry(spi: u32, slot: u32) -> u64 {
    (slot as u64) << 32 | spi as u64
}

#[inline]
const fn spi_of(entry: u64) -> u32 {
    entry as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    #[test]
    fn the_index_takes_seventeen_octets_an_sa_at_most() {
        let mut foreign = Foreign::<_, ()>::new();
        for spi in 1..100_000u32 {
            foreign.insert(spi.wrapping_mul(0x0101_0101), ());
            if spi > 100 {
                assert!(foreign.index_octets() <= 17 * foreign.len(), "{spi}");
            }
        }
    }

    /// SPIs whose search begins at the first place of any small table.
    fn colliding(count: usize) -> Vec<u32> {
        (1..).filter(|spi| mix(*spi) < 1 << 26).take(count).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((0u8..3, 0usize..40, 0u8..3), 1..250)) {
            let known: [Vec<u32>; 3] =
                [(1..41).collect(), (1..41).map(|value| value << 24).collect(), colliding(40)];
            let (mut foreign, mut model) = (Foreign::<_, ()>::new(), BTreeMap::new());
            for (at, (kind, value, set)) in steps.into_iter().enumerate() {
                let spi = known[usize::from(set)][value];
                match kind {
                    0 | 1 if !model.contains_key(&spi) => {
                        foreign.insert(spi, at);
                        model.insert(spi, at);
                    }
                    _ => prop_assert_eq!(foreign.remove(spi), model.remove(&spi)),
                }
                prop_assert_eq!(foreign.len(), model.len());
                prop_assert_eq!(foreign.lookup(0), None);
                for spi in known.iter().flatten() {
                    prop_assert_eq!(foreign.lookup(*spi), model.get(spi));
                }
                let mut listed: Vec<_> = foreign.iter().map(|(spi, at)| (spi, *at)).collect();
                listed.sort_unstable();
                prop_assert!(listed.into_iter().eq(model.iter().map(|(spi, at)| (*spi, *at))));
            }
        }
    }
}
