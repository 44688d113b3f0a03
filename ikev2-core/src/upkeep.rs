//! What an endpoint does of itself: connections that are to be up stay up, and a shutdown that ends in time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use ipsec_sa::Instant;

use crate::config::{ChildConfig, ConnectionId, Startup};
use crate::endpoint::Endpoint;
use crate::event::CloseReason;
use crate::exchange::task::Task;
use crate::ike_sa::Connection;
use crate::io::IkeHandle;
use crate::state::State;
use crate::state::established::Phase;

/// After a failed set-up, and after each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between set-ups.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Connections that are to be up, and the end of a shutdown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upkeep {
    pub(crate) kept: BTreeMap<ConnectionId, Kept>,
    /// Kept connections of which something has changed.
    pub(crate) stirred: BTreeSet<ConnectionId>,
    /// After this time nothing is waited for any more.
    pub(crate) closing_at: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) failures: u32,
    /// A set-up of ours has begun and is not through.
    pub(crate) attempting: bool,
    /// Not before then.
    pub(crate) not_before: Option<Instant>,
    /// How often children were asked for in vain, and when they may be again.
    pub(crate) child_failures: u32,
    pub(crate) children_not_before: Instant,
}

/// Doubles from failure to failure.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
}

impl Upkeep {
    pub(crate) fn is_closing(&self) -> bool {
        self.closing_at.is_some()
    }

    /// When something is to be done.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.kept.values().filter_map(|kept| kept.not_before).chain(self.closing_at).min()
    }

    pub(crate) fn add(&mut self, connection: &Connection) {
        let kept = connection.children.iter().any(|child| child.startup == Startup::Keep);
        if kept && connection.config.first_path().is_some() {
            self.kept.insert(connection.id, Kept::default());
            self.stirred.insert(connection.id);
        }
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) {
        self.kept.remove(&id);
        self.stirred.remove(&id);
    }

    /// Something has happened to an IKE SA of this connection.
    pub(crate) fn stir(&mut self, id: ConnectionId) {
        if self.kept.contains_key(&id) {
            self.stirred.insert(id);
        }
    }
}

impl Endpoint {
    /// Asks all peers to delete their IKE SAs, starts and takes no more, and ends what is left after `grace`.
    /// [`crate::Endpoint::ike_sas`] is empty when it is over.
    pub fn shutdown(&mut self, now: Instant, grace: Duration) {
        self.upkeep.closing_at = Some(now + grace);
        self.upkeep.kept.clear();
        let handles: Vec<IkeHandle> = self.sas.keys().copied().collect();
        for handle in handles {
            // One that is closing already goes by itself.
            let _ = self.delete_ike(now, handle);
        }
    }

    /// Brings up what is to be up, and ends what is to be over.
    pub(crate) fn maintain(&mut self, now: Instant) {
        if self.upkeep.closing_at.is_some_and(|at| at <= now) {
            self.upkeep.closing_at = Some(Instant::from_micros(u64::MAX));
            let handles: Vec<IkeHandle> = self.sas.keys().copied().collect();
            for handle in handles {
                self.with(now, handle, |sa, cx| {
                    if !matches!(sa.state, State::Closing(_)) {
                        sa.close(cx, CloseReason::Local);
                    } else {
                        sa.state = State::Gone;
                    }
                });
            }
        }
        let waiting: Vec<ConnectionId> = self
            .upkeep
            .kept
            .iter_mut()
            .filter(|(_, kept)| kept.not_before.is_some_and(|at| at <= now))
            .map(|(id, kept)| {
                kept.not_before = None;
                *id
            })
            .collect();
        self.upkeep.stirred.extend(waiting);
        while let Some(id) = self.upkeep.stirred.pop_first() {
            self.keep_up(now, id);
        }
    }

    fn keep_up(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id).cloned() else { return };
        let (mut connecting, mut established) = (false, None);
        for sa in self.sas.values().filter(|sa| sa.common.connection.id == id) {
            match &sa.state {
                // One that may turn out to be redundant has no children yet, and the one that it may replace has.
                State::Established(state) if state.phase == Phase::Open && state.undecided.is_none() => {
                    established = Some(sa.common.handle);
                }
                State::InitSent(_) | State::AuthSent(_) | State::InitReceived(_) => connecting = true,
                _ => {}
            }
        }
        let Some(kept) = self.upkeep.kept.get_mut(&id) else { return };
        if let Some(handle) = established {
            kept.failures = 0;
            kept.attempting = false;
            kept.not_before = None;
            return self.keep_children(now, handle, &connection);
        }
        if connecting || kept.not_before.is_some() {
            return;
        }
        if kept.attempting {
            kept.attempting = false;
            kept.failures = kept.failures.saturating_add(1);
            kept.not_before = Some(now + pause(kept.failures));
            return;
        }
        kept.attempting = true;
        let first = connection.children.iter().position(|child| child.startup == Startup::Keep);
        // The addresses were looked at when it was added.
        let _ = self.connect(now, id, first, None);
    }

    fn keep_children(&mut self, now: Instant, handle: IkeHandle, connection: &Connection) {
        let Some(State::Established(state)) = self.sas.get(&handle).map(|sa| &sa.state) else { return };
        let Some(kept) = self.upkeep.kept.get_mut(&connection.id) else { return };
        let kept_children = connection.children.iter().filter(|child| child.startup == Startup::Keep);
        let missing: Vec<Arc<ChildConfig>> =
            kept_children.filter(|child| !state.has(child, connection)).cloned().collect();
        if missing.is_empty() {
            kept.child_failures = 0;
            return;
        }
        let wanted: Vec<Arc<ChildConfig>> =
            missing.into_iter().filter(|child| !state.awaits(child)).collect();
        if wanted.is_empty() {
            return;
        }
        // A child that the peer refuses is not asked for in a circle.
        if kept.children_not_before > now {
            kept.not_before = Some(kept.children_not_before);
            return;
        }
        kept.child_failures = kept.child_failures.saturating_add(1);
        kept.children_not_before = now + pause(kept.child_failures);
        self.with(now, handle, |sa, cx| {
            let State::Established(state) = &mut sa.state else { return };
            state.tasks.extend(wanted.into_iter().map(|config| Task::CreateChild {
                config,
                flow: None,
                retries: 0,
            }));
            state.pump(cx, &mut sa.common);
        });
    }
}
