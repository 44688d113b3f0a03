//! The peer's requests: which id comes next, and the exact octets that answered the last ones (RFC 7296 §2.1).

use super::window::Datagrams;
use crate::table::Table;

/// What a request's message id says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Not seen before, within the window.
    New,
    /// Answered: the cached octets go out again.
    Answered,
    /// Seen, and its answer is still being worked out.
    Busy,
    /// Below the window: neither processed nor answered.
    Old,
    /// Beyond the window.
    Far,
}

/// Answers to the peer's requests of one IKE SA. It keeps one window of them.
#[derive(Clone, Debug)]
pub(crate) struct ResponseCache {
    /// All ids below were seen.
    pub(crate) next: u32,
    pub(crate) size: u32,
    /// Seen out of order, at or above `next`.
    pub(crate) ahead: Table<u32, ()>,
    pub(crate) busy: Table<u32, ()>,
    pub(crate) answers: Table<u32, Datagrams>,
}

impl ResponseCache {
    pub(crate) fn new(next: u32, size: u32) -> Self {
        Self {
            next,
            size: size.clamp(1, super::MAX_WINDOW),
            ahead: Table::new(),
            busy: Table::new(),
            answers: Table::new(),
        }
    }

    /// From now on the peer may have this many requests under way.
    pub(crate) fn grow(&mut self, size: u32) {
        self.size = self.size.max(size.clamp(1, super::MAX_WINDOW));
    }

    /// Where a request with this id stands.
    pub(crate) fn standing(&self, id: u32) -> Standing {
        if self.busy.contains_key(&id) {
            Standing::Busy
        } else if self.answers.contains_key(&id) {
            Standing::Answered
        } else if id < self.next || self.ahead.contains_key(&id) {
            Standing::Old
        } else if id - self.next >= self.size {
            Standing::Far
        } else {
            Standing::New
        }
    }

    /// Takes a new request in: from here on it is busy. What leaves the window is forgotten.
    pub(crate) fn begin(&mut self, id: u32) {
        self.busy.insert(id, ());
        self.ahead.insert(id, ());
        while self.ahead.remove(&self.next).is_some() {
            self.next = self.next.saturating_add(1);
        }
        let keep = self.next.saturating_sub(self.size);
        self.answers.retain(|answered, _| *answered >= keep);
    }

    /// Its answer, for the first and every later time.
    pub(crate) fn answer(&mut self, id: u32, datagrams: Datagrams) {
        self.busy.remove(&id);
        self.answers.insert(id, datagrams);
    }

    pub(crate) fn answered(&self, id: u32) -> Option<&Datagrams> {
        self.answers.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_window_of_one_keeps_the_last_answer() {
        let mut cache = ResponseCache::new(0, 1);
        assert_eq!(cache.standing(0), Standing::New);
        assert_eq!(cache.standing(1), Standing::Far);
        cache.begin(0);
        assert_eq!(cache.standing(0), Standing::Busy);
        cache.answer(0, vec![vec![1]]);
        assert_eq!(cache.standing(0), Standing::Answered);
        assert_eq!(cache.standing(1), Standing::New);
        cache.begin(1);
        assert_eq!(cache.standing(0), Standing::Old);
        cache.answer(1, vec![vec![2]]);
        assert_eq!(cache.answered(1), Some(&vec![vec![2]]));
        assert_eq!(cache.standing(3), Standing::Far);
    }

    #[test]
    fn a_window_of_three_takes_requests_out_of_order() {
        let mut cache = ResponseCache::new(5, 3);
        assert_eq!(cache.standing(4), Standing::Old);
        cache.begin(7);
        cache.answer(7, vec![]);
        assert_eq!(cache.standing(8), Standing::Far);
        cache.begin(5);
        cache.answer(5, vec![]);
        assert_eq!(cache.standing(8), Standing::New);
        cache.begin(6);
        cache.answer(6, vec![]);
        assert_eq!(
            (cache.standing(5), cache.standing(9), cache.standing(10)),
            (Standing::Answered, Standing::New, Standing::New)
        );
        cache.begin(8);
        assert_eq!(cache.standing(5), Standing::Old);
        assert_eq!(cache.standing(8), Standing::Busy);
    }
}
