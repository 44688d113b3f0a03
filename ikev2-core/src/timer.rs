//! Deadlines in order: one per key, any number of keys, each operation logarithmic.

use alloc::collections::{BTreeMap, BTreeSet};

use ipsec_sa::Instant;

/// A set of timers. Where several are due at one instant, the lowest key goes first.
#[derive(Clone, Debug)]
pub struct TimerTable<K: Ord + Copy> {
    queue: BTreeSet<(Instant, K)>,
    deadlines: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> TimerTable<K> {
    /// No timers.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: BTreeSet::new(), deadlines: BTreeMap::new() }
    }

    /// Sets the timer of `key`, whether it ran before or not.
    pub fn set(&mut self, key: K, at: Instant) {
        if let Some(before) = self.deadlines.insert(key, at) {
            self.queue.remove(&(before, key));
        }
        self.queue.insert((at, key));
    }

    /// Stops the timer of `key`; gives what it was set to.
    pub fn cancel(&mut self, key: K) -> Option<Instant> {
        let at = self.deadlines.remove(&key)?;
        self.queue.remove(&(at, key));
        Some(at)
    }

    /// What the timer of `key` is set to.
    #[must_use]
    pub fn deadline(&self, key: K) -> Option<Instant> {
        self.deadlines.get(&key).copied()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest timer that is due at `now`. Call it until it gives `None`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.remove(&(at, key));
        self.deadlines.remove(&key);
        Some(key)
    }

    /// How many timers run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no timer runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl<K: Ord + Copy> Default for TimerTable<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn due_timers_come_in_order_and_once() {
        let mut timers = TimerTable::new();
        timers.set('b', Instant::from_secs(2));
        timers.set('a', Instant::from_secs(2));
        timers.set('c', Instant::from_secs(1));
        timers.set('d', Instant::from_secs(9));
        assert_eq!(timers.next(), Some(Instant::from_secs(1)));
        assert_eq!(timers.pop_due(Instant::ZERO), None);
        let due: Vec<char> = core::iter::from_fn(|| timers.pop_due(Instant::from_secs(2))).collect();
        assert_eq!(due, ['c', 'a', 'b']);
        assert_eq!((timers.next(), timers.len()), (Some(Instant::from_secs(9)), 1));
    }

    #[test]
    fn setting_again_moves_the_deadline_and_cancel_stops_it() {
        let mut timers = TimerTable::new();
        timers.set(1, Instant::from_secs(1));
        timers.set(1, Instant::from_secs(5));
        assert_eq!((timers.next(), timers.len()), (Some(Instant::from_secs(5)), 1));
        assert_eq!(timers.cancel(1), Some(Instant::from_secs(5)));
        assert_eq!(timers.cancel(1), None);
        assert_eq!((timers.next(), timers.is_empty()), (None, true));
    }

    proptest! {
        /// Against a plain map searched from end to end.
        #[test]
        fn behaves_like_a_searched_map(steps in prop::collection::vec((0u8..4, 0u8..6, 0u64..20), 0..200)) {
            let mut timers = TimerTable::new();
            let mut model = BTreeMap::<u8, u64>::new();
            for (what, key, at) in steps {
                match what {
                    0 | 1 => {
                        timers.set(key, Instant::from_micros(at));
                        model.insert(key, at);
                    }
                    2 => {
                        let stopped = timers.cancel(key).map(Instant::as_micros);
                        prop_assert_eq!(stopped, model.remove(&key));
                    }
                    _ => {
                        let due = model.iter().map(|(k, t)| (*t, *k)).min().filter(|(t, _)| *t <= at);
                        if let Some((_, due)) = due {
                            model.remove(&due);
                        }
                        prop_assert_eq!(timers.pop_due(Instant::from_micros(at)), due.map(|(_, k)| k));
                    }
                }
                prop_assert_eq!(timers.next().map(Instant::as_micros), model.values().min().copied());
                prop_assert_eq!(timers.len(), model.len());
            }
        }
    }
}
