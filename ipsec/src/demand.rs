//! A PROTECT policy at work: the SAs that serve it, and the packets that wait for one (RFC 4301 §5.1).

use alloc::string::String;
use alloc::vec::Vec;

use ikev2_core::{ConnectionId, IkeHandle};
use ipsec_sa::{Flow, Instant};
use ipsec_wire::Spi;

use crate::Backoff;
use crate::queue::PacketQueue;

/// A peer, by what it has proven to be; 0 is whoever keys by hand.
pub(crate) type PeerNumber = u32;

/// An SA that may carry packets of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Carrier {
    /// Inbound.
    pub(crate) spi: Spi,
    pub(crate) peer: PeerNumber,
}

/// What a PROTECT policy has.
#[derive(Debug)]
pub(crate) struct Protect {
    /// The connection that makes its SAs; `None` once it was taken away.
    pub(crate) connection: Option<ConnectionId>,
    /// Which of the connection's children.
    pub(crate) child: usize,
    /// That child's name.
    pub(crate) name: String,
    /// Its Child SAs, the most wanted for outbound packets first.
    ///
    /// Where several peers have SAs for the same inner addresses the packets are the first peer's until its last SA is
    /// gone: whoever comes later takes nothing away from it. Among the SAs of one peer the newest comes first.
    pub(crate) sas: Vec<Carrier>,
    pub(crate) queue: PacketQueue,
    pub(crate) demand: Demand,
    /// Whether the last set-up failed because the peer did not answer.
    pub(crate) silent: bool,
    /// Set-ups that failed in a row.
    pub(crate) failures: u32,
    /// Whether the policy is the stack's own, made for this child.
    pub(crate) own: bool,
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
            silent: false,
            failures: 0,
            own: false,
        }
    }

    /// A policy whose SAs are keyed by hand: nobody makes more of them.
    pub(crate) fn manual() -> Self {
        Self { connection: None, ..Self::new(ConnectionId(0), 0, String::new()) }
    }

    /// From now on it is a child of this connection that serves the policy. What was asked for goes on.
    pub(crate) fn serve(&mut self, connection: ConnectionId, child: usize, name: String) {
        if self.connection != Some(connection) {
            self.demand = Demand::Idle;
        }
        // Another configuration may succeed where the last one failed.
        if matches!(self.demand, Demand::Resting(_)) {
            self.succeed();
        }
        (self.connection, self.child, self.name) = (Some(connection), child, name);
    }

    /// Puts an SA in front of its peer's others, or behind them for as long as it stands by.
    pub(crate) fn add(&mut self, spi: Spi, peer: PeerNumber, standby: bool) {
        let (first, behind) = self.of_peer(peer);
        self.sas.insert(if standby { behind } else { first }, Carrier { spi, peer });
    }

    /// Puts an SA that stood by in front of its peer's others. Nothing is allocated.
    pub(crate) fn promote(&mut self, spi: Spi) {
        let Some(index) = self.sas.iter().position(|known| known.spi == spi) else { return };
        let Some(peer) = self.sas.get(index).map(|known| known.peer) else { return };
        let (first, _) = self.of_peer(peer);
        if let Some(front) = self.sas.get_mut(first..=index) {
            front.rotate_right(1);
        }
    }

    pub(crate) fn remove(&mut self, spi: Spi) {
        self.sas.retain(|known| known.spi != spi);
    }

    /// Where a peer's SAs begin and end, which are all in a row; behind all others where it has none.
    fn of_peer(&self, peer: PeerNumber) -> (usize, usize) {
        let first = self.sas.iter().position(|known| known.peer == peer).unwrap_or(self.sas.len());
        let count = self.sas.iter().skip(first).take_while(|known| known.peer == peer).count();
        (first, first + count)
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

    fn order(protect: &Protect) -> Vec<u32> {
        protect.sas.iter().map(|sa| sa.spi.0).collect()
    }

    #[test]
    fn the_most_wanted_sa_comes_first() {
        let mut protect = Protect::new(ConnectionId(1), 0, String::new());
        protect.add(Spi(1), 7, false);
        protect.add(Spi(2), 7, false);
        assert_eq!(order(&protect), [2, 1]);
        protect.add(Spi(3), 7, true);
        assert_eq!(order(&protect), [2, 1, 3]);
        protect.promote(Spi(3));
        assert_eq!(order(&protect), [3, 2, 1]);
        protect.promote(Spi(9));
        protect.remove(Spi(2));
        assert_eq!(order(&protect), [3, 1]);
    }

    #[test]
    fn the_first_peer_stays_the_first() {
        let mut protect = Protect::new(ConnectionId(1), 0, String::new());
        protect.add(Spi(1), 7, false);
        protect.add(Spi(2), 8, false);
        protect.add(Spi(3), 7, false);
        protect.add(Spi(4), 8, true);
        protect.add(Spi(5), 7, true);
        assert_eq!(order(&protect), [3, 1, 5, 2, 4]);
        protect.promote(Spi(4));
        protect.promote(Spi(5));
        assert_eq!(order(&protect), [5, 3, 1, 4, 2]);
        for spi in [1, 3, 5] {
            protect.remove(Spi(spi));
        }
        protect.add(Spi(6), 7, false);
        assert_eq!(order(&protect), [4, 2, 6]);
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
