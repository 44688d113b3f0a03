//! Connections as the stack knows them: each child serves a policy, which is made for it where it names none. They are
//! added, changed and taken away with SAs up.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use ikev2_core::{ApiMisuse, ConnectionConfig, ConnectionId, Credentials, Existing};
use ipsec_esp::OuterHeader;
use ipsec_sa::{
    Instant, Mode, PeerAuthentication, Policy, PolicyAction, PolicyId, ProtectSpec, SecurityProtocol,
    TrafficSelector,
};

use crate::demand::{Demand, Protect};
use crate::{ConnectionRefused, DropReason, FIRST_OWN_POLICY, Stack};

/// A child and the policy that it serves.
struct Service {
    /// Its place in the configuration.
    index: usize,
    name: String,
    local: Vec<TrafficSelector>,
    remote: Vec<TrafficSelector>,
    protocol: SecurityProtocol,
    mode: Mode,
    policy: PolicyId,
    /// Whether the policy is the stack's own.
    own: bool,
}

impl Stack {
    /// Adds a connection. A child that names no policy gets one of its own behind all others: PROTECT between its
    /// selectors. A policy that is there already and matches the same packets goes before it: what is to pass in clear
    /// by a wide BYPASS is added last. A child that names one serves that; whoever names it adds it ([`Stack::add_policy`]).
    ///
    /// A policy of a connection that was removed goes on with a child of the same name and selectors.
    ///
    /// # Errors
    /// [`ConnectionRefused`], and nothing changes.
    pub fn add_connection(
        &mut self,
        mut config: ConnectionConfig,
    ) -> Result<ConnectionId, ConnectionRefused> {
        let services = self.assign(&mut config, None)?;
        let (local, proof) = (config.local, proof(&config));
        let connection = self.endpoint.add_connection(config)?;
        self.proofs.insert(connection, proof);
        self.addresses.extend(local);
        self.serve(connection, services);
        Ok(connection)
    }

    /// Gives a connection another configuration with its SAs up: peers, policies, credentials. `existing` says what
    /// becomes of its IKE SAs. A child goes on under the policy that the child of the same name had, with the new
    /// selectors; what packets its SAs may carry changes when they are rekeyed. Policies of children that are no more
    /// stay, and drop what matches them.
    ///
    /// # Errors
    /// [`ConnectionRefused`], and nothing changes.
    pub fn replace_connection(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        mut config: ConnectionConfig,
        existing: Existing,
    ) -> Result<(), ConnectionRefused> {
        let services = self.assign(&mut config, Some(connection))?;
        let (local, proof) = (config.local, proof(&config));
        self.endpoint.replace_connection(now, connection, config, existing)?;
        self.proofs.insert(connection, proof);
        self.addresses.extend(local);
        let kept: Vec<PolicyId> = services.iter().map(|service| service.policy).collect();
        self.abandon(connection, &kept);
        self.serve(connection, services);
        self.pump(now);
        Ok(())
    }

    /// Takes a connection away with its IKE SAs. Its policies stay, and now drop what matches them: taking them away
    /// too ([`Stack::remove_policy`]) may let packets through to policies behind them.
    ///
    /// # Errors
    /// [`ApiMisuse::UnknownConnection`].
    pub fn remove_connection(&mut self, now: Instant, connection: ConnectionId) -> Result<(), ApiMisuse> {
        self.endpoint.remove_connection(now, connection)?;
        self.pump(now);
        self.proofs.remove(&connection);
        self.abandon(connection, &[]);
        Ok(())
    }

    /// Asks all peers to delete their IKE SAs, starts and takes no more, and ends what is left after `grace`: then
    /// [`Stack::ike_sas`] and [`Stack::children`] are empty, but for what was keyed by hand. What waits for an SA is
    /// dropped.
    pub fn shutdown(&mut self, now: Instant, grace: Duration) {
        let connections: Vec<ConnectionId> = self.proofs.keys().copied().collect();
        for connection in connections {
            self.abandon(connection, &[]);
        }
        self.endpoint.shutdown(now, grace);
        self.pump(now);
    }

    /// Which policy each child serves; in `config` each then names its own.
    fn assign(
        &mut self,
        config: &mut ConnectionConfig,
        replaced: Option<ConnectionId>,
    ) -> Result<Vec<Service>, ConnectionRefused> {
        let mut services: Vec<Service> = Vec::new();
        for (index, child) in config.children.iter_mut().enumerate() {
            if child.protocol() == SecurityProtocol::Ah && self.config.outer != OuterHeader::Ip {
                return Err(ConnectionRefused::Unsupported);
            }
            let taken = |id: PolicyId| services.iter().any(|service| service.policy == id);
            let (policy, own) = match child.policy {
                Some(id) => {
                    let of_another =
                        |protect: &Protect| protect.connection.is_some() && protect.connection != replaced;
                    if taken(id) || self.protects.get(&id).is_some_and(of_another) {
                        return Err(ConnectionRefused::PolicyTaken(id));
                    }
                    (id, false)
                }
                None => {
                    let goes_on = |(id, protect): &(&PolicyId, &Protect)| {
                        let was = self.spd.policy(**id).filter(|_| protect.own && protect.name == child.name);
                        was.is_some_and(|was| match protect.connection {
                            Some(_) => protect.connection == replaced,
                            None => was.local == child.local && was.remote == child.remote,
                        })
                    };
                    let known = self.protects.iter().filter(goes_on).map(|(id, _)| *id);
                    let known = known.filter(|id| !taken(*id)).max();
                    (known.unwrap_or_else(|| self.own_policy()), true)
                }
            };
            child.policy = Some(policy);
            services.push(Service {
                index,
                name: child.name.clone(),
                local: child.local.clone(),
                remote: child.remote.clone(),
                protocol: child.protocol(),
                mode: child.mode,
                policy,
                own,
            });
        }
        Ok(services)
    }

    /// A number for a policy of the stack's own.
    fn own_policy(&mut self) -> PolicyId {
        loop {
            let id = PolicyId(self.next_policy);
            self.next_policy = self.next_policy.wrapping_add(1).max(FIRST_OWN_POLICY.0);
            if self.spd.policy(id).is_none() && !self.protects.contains_key(&id) {
                return id;
            }
        }
    }

    fn serve(&mut self, connection: ConnectionId, services: Vec<Service>) {
        for Service { index, name, local, remote, protocol, mode, policy: id, own } in services {
            let protect = self
                .protects
                .entry(id)
                .and_modify(|protect| protect.serve(connection, index, name.clone()))
                .or_insert_with(|| Protect::new(connection, index, name.clone()));
            protect.own = own;
            if own {
                let action = PolicyAction::Protect(ProtectSpec::new(protocol, mode, connection.0));
                let policy = Policy::new(id, name, local, remote, action);
                // One of the two: it is there, or its number is free.
                if self.spd.replace(policy.clone()).is_err() {
                    let _ = self.spd.insert(policy);
                }
            }
        }
    }

    /// Nobody makes SAs any more for the policies of a connection, but for some.
    fn abandon(&mut self, connection: ConnectionId, kept: &[PolicyId]) {
        let of_it = self.protects.iter_mut().filter(|(_, protect)| protect.connection == Some(connection));
        for (_, protect) in of_it.filter(|(id, _)| !kept.contains(id)) {
            protect.connection = None;
            protect.demand = Demand::Idle;
            let waiting = protect.queue.take().len() as u64;
            self.stats.drop_many(&DropReason::NoConnection, waiting);
        }
    }
}

/// How the peers of a connection prove who they are.
fn proof(config: &ConnectionConfig) -> PeerAuthentication {
    match &config.credentials {
        Credentials::Psk(_) => PeerAuthentication::SharedKey,
        #[allow(unreachable_patterns, reason = "whatever else there will be is not a shared key")]
        _ => PeerAuthentication::Signature,
    }
}
