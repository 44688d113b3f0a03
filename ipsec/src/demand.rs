//! A PROTECT policy at work: the SAs that serve it, and the packets that wait for one (RFC 4301 §5.1).

use alloc::string::String;
use alloc::vec::Vec;

use ikev2_core::{ConnectionId, IkeHandle};
use ipsec_sa::{Flow, Instant};
use ipsec_wire::Spi;

use crate::Backoff;
use crate::queue::PacketQueue;

/// What a PROTECT policy has.
#[derive(Debug)]
pub(crate) struct Protect {
    /// The connection that makes its SAs; `None` once it was taken away.
    pub(crate) connection: Option<ConnectionId>,
    /// Which of the connection's children.
    pub(crate) child: usize,
    /// That child's name.
    pub(crate) name: String,
    /// Inbound SPIs of its Child SAs, the most wanted for outbound packets first.
    pub(crate) sas: Vec<Spi>,
    pub(crate) queue: PacketQueue,
    pub(crate) demand: Demand,
    /// Set-ups that failed in a row.
    pub(crate) failures: u32,
}

/// How far a set-up on demand has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Demand {
    /// Nothing was asked for.
    Idle,
    /// To be asked for with this packet's selectors as soon as the connection's IKE SA can take it.
    Wanted(Flow),
    /// Asked for on this IKE SA.
    Asked(IkeHandle),
    /// Failed: not to be tried again before this time.
    Resting(Instant),
}

impl Protect {
    pub(crate) fn new(connection: ConnectionId, child: usize, name: String) -> Self {
        Self {
            connection: Some(connection),
            child,
            name,
            sas: Vec::new(),
            queue: PacketQueue::default(),
            demand: Demand::Idle,
            failures: 0,
        }
    }

    /// Puts an SA in front of the others, or behind them for as long as it stands by.
    pub(crate) fn add(&mut self, spi: Spi, standby: bool) {
        let place = if standby { self.sas.len() } else { 0 };
        self.sas.insert(place, spi);
    }

    /// Puts an SA that stood by in front. Nothing is allocated.
    pub(crate) fn promote(&mut self, spi: Spi) {
        let index = self.sas.iter().position(|known| *known == spi);
        if let Some(front) = index.and_then(|index| self.sas.get_mut(..=index)) {
            front.rotate_right(1);
        }
    }

    pub(crate) fn remove(&mut self, spi: Spi) {
        self.sas.retain(|known| *known != spi);
    }

    /// A set-up failed: rests, longer after each failure in a row. Returns until when.
    pub(crate) fn fail(&mut self, now: Instant, backoff: &Backoff) -> Instant {
        self.failures = self.failures.saturating_add(1);
        let until = now + backoff.after(self.failures);
        self.demand = Demand::Resting(until);
        until
    }

    /// A set-up succeeded.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
        self.demand = Demand::Idle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_sa_comes_first() {
        let mut protect = Protect::new(ConnectionId(1), 0, String::new());
        protect.add(Spi(1), false);
        protect.add(Spi(2), false);
        assert_eq!(protect.sas, [Spi(2), Spi(1)]);
        protect.add(Spi(3), true);
        assert_eq!(protect.sas, [Spi(2), Spi(1), Spi(3)]);
        protect.promote(Spi(3));
        assert_eq!(protect.sas, [Spi(3), Spi(2), Spi(1)]);
        protect.promote(Spi(9));
        protect.remove(Spi(2));
        assert_eq!(protect.sas, [Spi(3), Spi(1)]);
    }

    #[test]
    fn failures_in_a_row_make_the_rest_longer() {
        let mut protect = Protect::new(ConnectionId(1), 0, String::new());
        let backoff = Backoff::default();
        let now = Instant::from_secs(10);
        assert_eq!(protect.fail(now, &backoff), Instant::from_secs(11));
        assert_eq!(protect.fail(now, &backoff), Instant::from_secs(12));
        protect.succeed();
        assert_eq!(protect.demand, Demand::Idle);
        assert_eq!(protect.fail(now, &backoff), Instant::from_secs(11));
    }
}
