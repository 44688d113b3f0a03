//! Re-authentication, make before break (RFC 7296 §2.8.3, RFC 4478): a whole new IKE SA with the same children, then the
//! old one is deleted.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ipsec_sa::Instant;

use crate::config::ChildConfig;
use crate::context::Cx;
use crate::endpoint::Endpoint;
use crate::error::ApiMisuse;
use crate::exchange::task::Task;
use crate::ike_sa::{Common, IkeSa, TimerKind};
use crate::io::IkeHandle;
use crate::state::State;
use crate::state::established::{Established, Phase};

/// When an authentication must be renewed. It outlives rekeys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Renewal {
    pub(crate) at: Instant,
    /// Whether that is ours to do: RFC 4478 §3 leaves it to the original initiator, and the other side ends the IKE SA
    /// when it does not come.
    pub(crate) ours: bool,
}

impl Established {
    /// Authentication must be renewed by then.
    pub(crate) fn renew_by(&mut self, common: &mut Common, renewal: Renewal) {
        self.renewal = Some(renewal);
        if renewal.ours {
            common.timers.insert(TimerKind::Reauth, renewal.at);
        } else {
            let hard =
                common.timers.get(&TimerKind::HardIke).map_or(renewal.at, |hard| renewal.at.min(*hard));
            common.timers.insert(TimerKind::HardIke, hard);
        }
    }

    /// Whether nothing is under way and nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.deferred.is_empty() && self.jobs.is_empty() && self.requests.len() == 0
    }

    /// The kinds of children there are, each once.
    fn kinds(&self) -> Vec<Arc<ChildConfig>> {
        let mut kinds: Vec<Arc<ChildConfig>> = Vec::new();
        for child in self.children.values() {
            if !kinds.iter().any(|known| Arc::ptr_eq(known, &child.config)) {
                kinds.push(child.config.clone());
            }
        }
        kinds
    }
}

impl Endpoint {
    /// Makes a new IKE SA with the same peer and children, and deletes the old one when it is there. Gives the new one's
    /// handle; where that is under way already, it is not done twice. A failure leaves the old one alone.
    ///
    /// # Errors
    /// The IKE SA is not known, is not established, or its connection has no addresses to start from.
    pub fn reauthenticate(&mut self, now: Instant, handle: IkeHandle) -> Result<IkeHandle, ApiMisuse> {
        let sa = self.sas.get(&handle).ok_or(ApiMisuse::UnknownIkeSa)?;
        let State::Established(state) = &sa.state else { return Err(ApiMisuse::WrongState) };
        let over = state.tasks.iter().any(|task| matches!(task, Task::DeleteIke));
        if state.phase != Phase::Open || over {
            return Err(ApiMisuse::WrongState);
        }
        if let Some(new) = self.renewal_of(handle) {
            return Ok(new);
        }
        let connection = sa.common.connection.clone();
        let first = state
            .kinds()
            .first()
            .and_then(|first| connection.children.iter().position(|child| Arc::ptr_eq(child, first)));
        let new = self.connect(now, connection.id, first, None)?;
        if let Some(State::InitSent(state)) = self.sas.get_mut(&new).map(|sa| &mut sa.state) {
            state.replaces = Some(handle);
        }
        Ok(new)
    }

    /// A renewal is due. It is tried again every while until the old IKE SA is replaced or over.
    pub(crate) fn renew(&mut self, now: Instant, handle: IkeHandle) {
        // Without addresses to start from there is nothing to be done but to wait for the end.
        let _ = self.reauthenticate(now, handle);
    }

    /// The IKE SA that is to take the place of this one.
    fn renewal_of(&self, old: IkeHandle) -> Option<IkeHandle> {
        let replaces = |sa: &IkeSa| match &sa.state {
            State::InitSent(state) => state.replaces,
            State::AuthSent(state) => state.init.replaces,
            State::Established(state) => state.retires,
            _ => None,
        };
        self.sas.iter().find(|(_, sa)| replaces(sa) == Some(old)).map(|(new, _)| *new)
    }

    /// The IKE SA that a renewal is to replace was rekeyed: the renewal replaces its heir.
    pub(crate) fn renewal_follows(&mut self, old: IkeHandle, heir: IkeHandle) {
        for sa in self.sas.values_mut() {
            let replaces = match &mut sa.state {
                State::InitSent(state) => &mut state.replaces,
                State::AuthSent(state) => &mut state.init.replaces,
                State::Established(state) => &mut state.retires,
                _ => continue,
            };
            if *replaces == Some(old) {
                *replaces = Some(heir);
            }
        }
    }

    /// The new IKE SA stands: it makes the other children too, then the old one goes.
    pub(crate) fn renewed(&mut self, now: Instant, old: IkeHandle, new: IkeHandle) {
        let Some(State::Established(state)) = self.sas.get(&old).map(|sa| &sa.state) else { return };
        let kinds = state.kinds();
        self.with(now, new, |sa, cx| {
            let State::Established(state) = &mut sa.state else { return };
            let missing =
                kinds.into_iter().filter(|kind| !state.has(kind, &sa.common.connection)).collect::<Vec<_>>();
            state.tasks.extend(missing.into_iter().map(|config| Task::CreateChild {
                config,
                flow: None,
                retries: 0,
            }));
            state.retires = Some(old);
            state.pump(cx, &mut sa.common);
        });
    }
}

/// Asks for the renewal, and again after a while.
pub(crate) fn due(cx: &mut Cx<'_>, common: &mut Common) {
    common.timers.insert(TimerKind::Reauth, cx.now + RETRY);
    cx.effects.push(crate::context::Effect::Renew(common.handle));
}

/// How long a renewal may take before it is tried again.
const RETRY: core::time::Duration = core::time::Duration::from_secs(30);
