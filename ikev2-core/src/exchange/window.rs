//! Our own requests: message ids, the peer's window, and what waits for an answer (RFC 7296 §2.2, §2.3).

use alloc::vec::Vec;

use ipsec_sa::Instant;
use ipsec_wire::ike::ExchangeType;

use super::retransmit::Retransmission;
use crate::table::Table;

/// A message as it went out: one datagram, or one for each fragment. Sent again bit by bit.
pub(crate) type Datagrams = Vec<Vec<u8>>;

/// A request that waits for its answer, and what is to be done with that.
#[derive(Clone, Debug)]
pub(crate) struct Sent<T> {
    pub(crate) exchange: ExchangeType,
    pub(crate) datagrams: Datagrams,
    pub(crate) retransmission: Retransmission,
    pub(crate) purpose: T,
}

/// The requests of one direction of one IKE SA.
#[derive(Clone, Debug)]
pub(crate) struct RequestWindow<T> {
    pub(crate) next_id: u32,
    pub(crate) size: u32,
    pub(crate) outstanding: Table<u32, Sent<T>>,
}

impl<T> RequestWindow<T> {
    /// A window of one request (RFC 7296 §2.3) whose first message id is `next_id`.
    pub(crate) fn new(next_id: u32) -> Self {
        Self { next_id, size: 1, outstanding: Table::new() }
    }

    /// The peer takes this many requests at once (SET_WINDOW_SIZE). Zero is not a window; it never shrinks.
    pub(crate) fn grow(&mut self, size: u32) {
        self.size = self.size.max(size.min(super::MAX_WINDOW));
    }

    /// Requests that may be sent now, `reserved` of which are already spoken for.
    pub(crate) fn room(&self, reserved: usize) -> bool {
        let used = self.outstanding.len() + reserved;
        // The window counts from the oldest request without an answer, not from the number of them.
        let oldest = self.outstanding.keys().next().copied().unwrap_or(self.next_id);
        used < self.size as usize && self.next_id.wrapping_sub(oldest) < self.size && self.next_id != u32::MAX
    }

    /// The message id that the next request will have.
    pub(crate) fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Registers a request under [`Self::next_id`].
    pub(crate) fn push(&mut self, sent: Sent<T>) {
        self.outstanding.insert(self.next_id, sent);
        self.next_id = self.next_id.saturating_add(1);
    }

    /// The request that an answer belongs to, taken out.
    pub(crate) fn take(&mut self, id: u32) -> Option<Sent<T>> {
        self.outstanding.remove(&id)
    }

    /// The exchange of the request with this id, when an answer to it is waited for.
    pub(crate) fn exchange(&self, id: u32) -> Option<ExchangeType> {
        self.outstanding.get(&id).map(|sent| sent.exchange)
    }

    pub(crate) fn len(&self) -> usize {
        self.outstanding.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sent<T>> {
        self.outstanding.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Sent<T>)> {
        self.outstanding.iter_mut().map(|(id, sent)| (*id, sent))
    }

    /// When the first of them is to be sent again.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.outstanding.values().filter_map(|sent| sent.retransmission.due()).min()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::super::retransmit::RetransmitPolicy;
    use super::*;

    fn sent() -> Sent<()> {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let retransmission = Retransmission::start(Instant::ZERO, &RetransmitPolicy::default(), rng);
        Sent { exchange: ExchangeType::INFORMATIONAL, datagrams: Vec::new(), retransmission, purpose: () }
    }

    #[test]
    fn a_window_begins_at_the_oldest_request_without_an_answer() {
        let mut window = RequestWindow::new(7);
        assert!(window.room(0) && !window.room(1));
        window.grow(3);
        for id in 7..10 {
            assert!(window.room(0));
            assert_eq!(window.next_id(), id);
            window.push(sent());
        }
        assert!(!window.room(0));
        // Answers to the later ones make no room: the peer holds no id beyond 9 before it has answered 7.
        assert!(window.take(8).is_some() && window.take(9).is_some() && window.take(9).is_none());
        assert_eq!((window.len(), window.room(0)), (1, false));
        assert!(window.take(7).is_some());
        // What is being prepared counts.
        assert!(window.room(2) && !window.room(3));
        assert_eq!((window.due(), window.exchange(7)), (None, None));
    }

    #[test]
    fn a_window_never_shrinks_and_has_a_bound() {
        let mut window = RequestWindow::<()>::new(0);
        for (said, size) in [(0, 1), (5, 5), (2, 5), (0, 5), (u32::MAX, super::super::MAX_WINDOW)] {
            window.grow(said);
            assert_eq!(window.size, size, "{said}");
        }
    }

    /// RFC 7296 §2.2: message ids do not wrap.
    #[test]
    fn the_last_id_is_not_used() {
        let mut window = RequestWindow::new(u32::MAX - 1);
        assert!(window.room(0));
        window.push(sent());
        assert!(window.due().is_some_and(|at| at >= Instant::ZERO + Duration::from_secs(1)));
        assert!(window.take(u32::MAX - 1).is_some());
        assert!(!window.room(0));
    }
}
