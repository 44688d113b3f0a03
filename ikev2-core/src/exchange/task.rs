//! Tasks: what an established IKE SA is to do, one exchange or several each (a task is not an exchange).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use ipsec_sa::{Flow, Instant, Role, SecurityProtocol};
use ipsec_wire::Spi;

use super::MAX_TASK_RETRIES;
use super::child::Ending;
use super::create_child::{AfterInstall, ChildAnswer, ChildRequest, ChildResponse};
use super::rekey_ike::{IkeAnswer, IkeRequest, IkeResponse};
use crate::config::ChildConfig;

/// Something to be done, waiting for its turn.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// Make a Child SA.
    CreateChild { config: Arc<ChildConfig>, flow: Option<Flow>, retries: u8 },
    /// Replace a Child SA.
    RekeyChild { inbound: Spi, retries: u8 },
    /// Replace the IKE SA.
    RekeyIke { retries: u8 },
    /// Delete a Child SA.
    DeleteChild { inbound: Spi, ending: Ending },
    /// Tell the peer of a Child SA that we do not have any more.
    TellDeleted { protocol: SecurityProtocol, inbound: Spi },
    /// Tell the peer that packets of its carry an SPI that we do not have (RFC 7296 §1.5).
    TellInvalidSpi(Spi),
    /// Delete the IKE SA.
    DeleteIke,
    /// See whether the peer is there (RFC 7296 §2.4).
    Liveness,
}

impl Task {
    /// Whether nothing else may be under way (RFC 7296 §2.25.2).
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self, Self::RekeyIke { .. } | Self::DeleteIke)
    }

    /// How often the peer has put it off.
    fn retries(&self) -> u8 {
        match self {
            Self::CreateChild { retries, .. }
            | Self::RekeyChild { retries, .. }
            | Self::RekeyIke { retries } => *retries,
            _ => 0,
        }
    }

    /// How long one side waits before it tries again, and how many percent of that are taken off at random: twice as long
    /// from time to time, so that all tries take the several minutes of RFC 7296 §2.25.
    pub(crate) fn wait(&self, role: Role) -> (Duration, u8) {
        let doublings = u32::from(self.retries().saturating_sub(1).min(MAX_TASK_RETRIES));
        let whole = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
        match role {
            Role::Initiator => (whole * INITIATOR_SHARE / 100, 33),
            Role::Responder => (whole, 25),
        }
    }

    /// Whether it concerns children, and so moves on to the IKE SA that inherits them.
    pub(crate) fn is_about_children(&self) -> bool {
        matches!(
            self,
            Self::CreateChild { .. }
                | Self::RekeyChild { .. }
                | Self::DeleteChild { .. }
                | Self::TellDeleted { .. }
        )
    }
}

/// A task that waits for the peer to be less busy.
#[derive(Clone, Debug)]
pub(crate) struct Deferred {
    pub(crate) at: Instant,
    pub(crate) task: Task,
}

/// Before a task that the peer has put off once is tried again.
const FIRST_WAIT: Duration = Duration::from_secs(4);

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What part of a wait is waited, in percent: so much by the one who began the IKE SA and the whole by the other, less
/// up to a third or a quarter at random. Two sides that refuse each other's requests because of their own never come
/// back in step: the one waits for half to three quarters, the other for three quarters to the whole.
const INITIATOR_SHARE: u32 = 75;

/// What the answer to a request is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    Child(Box<ChildRequest>),
    RekeyIke(Box<IkeRequest>),
    DeleteChild(Spi),
    TellDeleted,
    TellInvalidSpi,
    DeleteIke,
    Liveness,
}

/// What goes on when a job is done.
#[derive(Clone, Debug)]
pub(crate) enum Continuation {
    ChildStart(Box<ChildRequest>),
    ChildComplete(Box<ChildRequest>, Box<ChildAnswer>),
    ChildRespond(Box<ChildResponse>),
    IkeStart(Box<IkeRequest>),
    IkeComplete(Box<IkeRequest>, Box<IkeAnswer>),
    IkeRespond(Box<IkeResponse>),
    Installed { inbound: Spi, after: AfterInstall },
}

impl Continuation {
    /// Whether an exchange of ours is being prepared or concluded. It holds its place in the window: our next request
    /// tells the peer that we know the SA that it has answered with.
    pub(crate) fn holds_window(&self) -> bool {
        self.is_our_child_exchange() || self.is_our_ike_rekey()
    }

    /// Whether it is part of an exchange about children that we began.
    pub(crate) fn is_our_child_exchange(&self) -> bool {
        matches!(self, Self::ChildStart(_) | Self::ChildComplete(..))
    }

    /// Whether this Child SA is deleted once the one in its place is installed.
    pub(crate) fn deletes(&self, inbound: Option<Spi>) -> bool {
        matches!(self, Self::Installed { after: AfterInstall::Delete(spi, _), .. } if Some(*spi) == inbound)
    }

    /// Whether it is part of our rekey of the IKE SA.
    pub(crate) fn is_our_ike_rekey(&self) -> bool {
        matches!(self, Self::IkeStart(_) | Self::IkeComplete(..))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn tries_are_ever_further_apart_up_to_a_bound_and_take_several_minutes() {
        let wait = |role, retries| Task::RekeyIke { retries }.wait(role);
        let waits: Vec<u64> =
            (1..=MAX_TASK_RETRIES).map(|retries| wait(Role::Responder, retries).0.as_secs()).collect();
        assert_eq!(waits, [4, 8, 16, 32, 60, 60, 60, 60]);
        // The shortest and the longest.
        let range = |role, retries| {
            let (most, jitter) = wait(role, retries);
            (most * (100 - u32::from(jitter)) / 100, most)
        };
        let total: Duration = (1..=MAX_TASK_RETRIES).map(|retries| range(Role::Initiator, retries).0).sum();
        assert!(total > Duration::from_secs(150), "{total:?}");
        // After whatever rounds in which both were put off, they do not come back together.
        for retries in 1..=MAX_TASK_RETRIES {
            let (first, second) = (range(Role::Initiator, retries), range(Role::Responder, retries));
            assert!(first.0 < first.1 && first.1 <= second.0 && second.0 < second.1, "{first:?} {second:?}");
        }
        // What was not refused waits as at first; what cannot be does not overflow.
        assert_eq!(wait(Role::Responder, 0).0, FIRST_WAIT);
        assert_eq!(Task::TellInvalidSpi(Spi(1)).wait(Role::Responder).0, FIRST_WAIT);
        assert_eq!(wait(Role::Responder, u8::MAX).0, LONGEST_WAIT);
    }
}
