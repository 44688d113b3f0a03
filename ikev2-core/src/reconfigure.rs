//! Connections that are changed and removed while their SAs are up.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ipsec_sa::Instant;

use crate::config::{ChildConfig, ConnectionConfig, ConnectionId, Existing};
use crate::endpoint::Endpoint;
use crate::error::ApiMisuse;
use crate::event::CloseReason;
use crate::exchange::child::{ChildPhase, Ending};
use crate::exchange::task::Task;
use crate::ike_sa::{Connection, IkeSa};
use crate::io::IkeHandle;
use crate::state::State;
use crate::state::established::{Established, Phase};

/// Which child of the new configuration stands for one of the old: that of the same name, as far as packets of the same
/// protocol make it the same.
fn successor(old: &ChildConfig, new: &Connection) -> Option<Arc<ChildConfig>> {
    let same = |child: &&Arc<ChildConfig>| child.name == old.name && child.protocol() == old.protocol();
    new.children.iter().find(same).cloned()
}

impl Established {
    /// From now on this IKE SA goes by another configuration. What is under way goes on as it began.
    fn follow_config(&mut self, new: &Connection) {
        let mut gone = Vec::new();
        for child in self.children.values_mut() {
            match successor(&child.config, new) {
                Some(config) => child.config = config,
                None => gone.push(child.inbound),
            }
        }
        for task in self.tasks.iter_mut().chain(self.deferred.iter_mut().map(|it| &mut it.task)) {
            if let Task::CreateChild { config, .. } = task
                && let Some(new) = successor(config, new)
            {
                *config = new;
            }
        }
        let asked = |task: &Task| match task {
            Task::CreateChild { config, .. } => new.children.iter().any(|child| Arc::ptr_eq(child, config)),
            _ => true,
        };
        self.tasks.retain(asked);
        self.deferred.retain(|it| asked(&it.task));
        for inbound in gone {
            let open = self.children.get(&inbound).is_some_and(|child| child.phase == ChildPhase::Open);
            if open {
                self.tasks.push_back(Task::DeleteChild { inbound, ending: Ending::Asked });
            }
        }
    }
}

impl Endpoint {
    pub(crate) fn shared(
        &self,
        id: ConnectionId,
        config: ConnectionConfig,
    ) -> Result<Arc<Connection>, ApiMisuse> {
        let no_child_suite = !config.children.iter().all(ChildConfig::is_consistent);
        if config.suites.is_empty() || no_child_suite || config.supported_by(&self.provider).is_err() {
            return Err(ApiMisuse::NoSuite);
        }
        let children = config.children.iter().cloned().map(Arc::new).collect();
        Ok(Arc::new(Connection { id, config, children }))
    }

    /// Gives a connection another configuration: peers, policies, credentials. `existing` says what becomes of its IKE
    /// SAs; set-ups that are under way finish under the configuration they began with, or are abandoned with
    /// [`Existing::Delete`].
    ///
    /// # Errors
    /// [`ApiMisuse::UnknownConnection`], and as [`Endpoint::add_connection`]; nothing has changed then.
    pub fn replace_connection(
        &mut self,
        now: Instant,
        id: ConnectionId,
        config: ConnectionConfig,
        existing: Existing,
    ) -> Result<(), ApiMisuse> {
        if !self.connections.contains_key(&id) {
            return Err(ApiMisuse::UnknownConnection);
        }
        let new = self.shared(id, config)?;
        self.connections.insert(id, new.clone());
        self.responder.reconfigured();
        self.upkeep.remove(id);
        if !self.upkeep.is_closing() {
            self.upkeep.add(&new);
        }
        if existing == Existing::Delete {
            self.end_all(now, id);
        }
        for (handle, open) in self.of_connection(id) {
            if existing == Existing::Delete {
                continue;
            }
            self.with(now, handle, |sa, cx| {
                if let State::Established(state) = &mut sa.state {
                    sa.common.connection = new.clone();
                    state.follow_config(&new);
                    state.pump(cx, &mut sa.common);
                }
            });
            if existing == Existing::Reauthenticate && open && self.reauthenticate(now, handle).is_err() {
                // Who has no address to begin from cannot prove the new configuration, and the old one is not to stand.
                let _ = self.delete_ike(now, handle);
            }
        }
        self.maintain(now);
        Ok(())
    }

    /// Removes a connection and asks the peers of its IKE SAs to delete them; set-ups that are under way are abandoned.
    ///
    /// # Errors
    /// [`ApiMisuse::UnknownConnection`].
    pub fn remove_connection(&mut self, now: Instant, id: ConnectionId) -> Result<(), ApiMisuse> {
        self.connections.remove(&id).ok_or(ApiMisuse::UnknownConnection)?;
        self.responder.reconfigured();
        self.upkeep.remove(id);
        self.end_all(now, id);
        Ok(())
    }

    /// The IKE SAs of a connection, and whether they are in use.
    fn of_connection(&self, id: ConnectionId) -> BTreeMap<IkeHandle, bool> {
        let open = |sa: &IkeSa| matches!(&sa.state, State::Established(state) if state.phase == Phase::Open);
        let own = self.sas.iter().filter(|(_, sa)| sa.common.connection.id == id);
        own.map(|(handle, sa)| (*handle, open(sa))).collect()
    }

    fn end_all(&mut self, now: Instant, id: ConnectionId) {
        // Half-open, and the identities have yet to decide: it is one of several no longer.
        let half_open: Vec<IkeHandle> = self
            .sas
            .iter()
            .filter(|(_, sa)| matches!(&sa.state, State::InitReceived(state) if state.may_be(id)))
            .map(|(handle, _)| *handle)
            .collect();
        for handle in half_open {
            self.with(now, handle, |sa, cx| {
                let State::InitReceived(state) = &mut sa.state else { return };
                match state.without(id) {
                    Some(other) => sa.common.connection = other,
                    None => sa.close(cx, CloseReason::Local),
                }
            });
        }
        for (handle, _) in self.of_connection(id) {
            // One that is not established yet is forgotten at once; one that is over goes by itself.
            let closing = self.sas.get(&handle).is_some_and(|sa| matches!(sa.state, State::Closing(_)));
            if !closing {
                let _ = self.delete_ike(now, handle);
            }
        }
    }
}
