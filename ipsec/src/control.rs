//! The stack's control plane: what the endpoint's events do to the databases, and what the databases ask of it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use ikev2_core::event::Event as IkeEvent;
use ikev2_core::job::InstallFailed;
use ikev2_core::{
    Answer, ApiMisuse, ChildInstall, CloseReason, ConnectionId, Error, Identity, IkeHandle, OutboundUse,
    Request,
};
use ipsec_esp::tunnel::OuterFields;
use ipsec_sa::icmp::Unreachable;
use ipsec_sa::{
    AssertedId, ChildAuthorization, Direction, Flow, Instant, PeerAuthentication, PolicyAction, PolicyId,
    SaParams, SaUpdate, TrafficSelector, covers,
};
use ipsec_wire::Spi;

use crate::child::{Child, Due, InstallError, Origin};
use crate::demand::{Demand, PeerNumber, Protect};
use crate::queue::PacketQueue;
use crate::{ChildInstalled, DropReason, Event, Output, Stack, Verdict, Volume};

/// An IKE SA as the data plane needs to know it.
#[derive(Debug)]
pub(crate) struct Ike {
    pub(crate) connection: ConnectionId,
    pub(crate) established: bool,
    /// Who the peer has proven to be, and its number.
    pub(crate) peer: Option<(Identity, PeerNumber)>,
    /// What its Child SAs may be for on the peer's side; `None`: nobody has anything against it.
    pub(crate) allowed: Option<Vec<TrafficSelector>>,
}

impl Ike {
    pub(crate) const fn new(connection: ConnectionId) -> Self {
        Self { connection, established: false, peer: None, allowed: None }
    }
}

/// Something that the endpoint is to do for an SA, and could not yet.
#[derive(Debug)]
pub(crate) struct Chore {
    spi: Spi,
    due: Due,
}

/// How long to wait before the endpoint is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// What senders are told where no SA came about.
const fn unreachable(silent: bool) -> Unreachable {
    if silent { Unreachable::Host } else { Unreachable::Prohibited }
}

impl Stack {
    /// Carries out what the endpoint says, and asks it for what is wanted, until neither has anything to say.
    pub(crate) fn pump(&mut self, now: Instant) {
        loop {
            self.stirred = false;
            self.drain(now);
            // Behind the message that tells the peer of its side of the SA.
            for (policy, ike) in core::mem::take(&mut self.served) {
                self.flush(now, policy, ike);
            }
            let supplied = self.supply_spis();
            let asked = self.ask(now);
            if !supplied && !asked && !self.stirred {
                break;
            }
        }
    }

    /// A lifetime was reached: the endpoint is asked for what is due in the next [`Stack::pump`].
    #[cold]
    pub(crate) fn fall_due(&mut self, spi: Spi, due: Due) {
        let Some(child) = self.sad.lookup(spi) else { return };
        if due == Due::Close {
            // It carries nothing more; the next packet asks for another.
            if let Some(protect) = child.policy.and_then(|id| self.protects.get_mut(&id)) {
                protect.remove(spi);
            }
            self.chores.retain(|chore| chore.spi != spi);
        }
        if !self.chores.iter().any(|chore| chore.spi == spi) {
            self.chores.push(Chore { spi, due });
            self.stirred = true;
        }
    }

    /// A packet of a PROTECT policy found no SA: it waits, and starts a set-up unless one is under way.
    #[cold]
    pub(crate) fn demand(
        &mut self,
        now: Instant,
        policy: PolicyId,
        flow: Flow,
        packet: &[u8],
    ) -> Result<Verdict, DropReason> {
        let served = self.protects.get_mut(&policy).filter(|protect| protect.connection.is_some());
        let Some(protect) = served else {
            self.tell_discarded(now, packet, Unreachable::Host);
            return Err(DropReason::NoConnection);
        };
        match protect.demand {
            Demand::Resting(until) if now < until => {
                let why = unreachable(protect.silent);
                self.tell_discarded(now, packet, why);
                return Err(DropReason::Backoff);
            }
            Demand::Idle | Demand::Resting(_) => protect.demand = Demand::Wanted(flow),
            Demand::Wanted(_) | Demand::Asked(_) => {}
        }
        let waits = PacketQueue::takes(packet, &self.config.queue);
        if waits {
            let evicted = protect.queue.push(packet, flow, &self.config.queue);
            self.stats.queued.count(packet.len());
            self.stats.drop_many(&DropReason::QueueFull, evicted as u64);
        }
        if let Demand::Wanted(flow) = protect.demand {
            self.ask_for_child(now, policy, flow);
            self.stirred = true;
            let resting = |protect: &Protect| matches!(protect.demand, Demand::Resting(_));
            if waits && self.protects.get(&policy).is_some_and(resting) {
                // Refused at once, and counted.
                return Ok(Verdict::Dropped(DropReason::NoConnection));
            }
        }
        if waits { Ok(Verdict::Queued) } else { Err(DropReason::QueueFull) }
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.endpoint.poll_output() {
                ikev2_core::Output::Transmit { path, data, ecn } => {
                    let fields = OuterFields { traffic_class: ecn & 3, dont_fragment: false };
                    self.put(Output::Transmit { path, data, fields });
                }
                ikev2_core::Output::Event(ike, event) => self.on_event(now, ike, event),
                ikev2_core::Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    /// Fills up the endpoint's pool of SPIs from the database; whether there was anything to fill up.
    fn supply_spis(&mut self) -> bool {
        let wanted = self.endpoint.spis_wanted();
        let mut fresh = Vec::new();
        while fresh.len() < wanted {
            match self.sad.reserve(self.endpoint.rng()) {
                Some(spi) => fresh.push(spi),
                None => break,
            }
        }
        let supplied = !fresh.is_empty();
        self.endpoint.supply_spis(fresh);
        supplied
    }

    /// Asks the endpoint for what SAs and policies want; whether it took anything on.
    fn ask(&mut self, now: Instant) -> bool {
        let mut taken = false;
        for ike in core::mem::take(&mut self.unwanted) {
            match self.endpoint.delete_ike(now, ike) {
                Ok(()) => taken = true,
                Err(ApiMisuse::WrongState | ApiMisuse::TooManyTasks) => {
                    self.unwanted.push(ike);
                    self.retry_at = Some(now + RETRY);
                }
                Err(_) => {}
            }
        }
        for chore in core::mem::take(&mut self.chores) {
            let Some(child) = self.sad.lookup(chore.spi) else { continue };
            let done = match (chore.due, child.ike) {
                (Due::Rekey, Some(ike)) => self.endpoint.rekey_child(now, ike, chore.spi),
                (Due::Close, Some(ike)) => self.endpoint.delete_child(now, ike, chore.spi),
                // Whoever keyed it by hand sees in the counters that it is over.
                (_, None) => continue,
            };
            match done {
                Ok(()) => taken = true,
                Err(ApiMisuse::WrongState | ApiMisuse::TooManyTasks) => {
                    self.chores.push(chore);
                    self.retry_at = Some(now + RETRY);
                }
                // The endpoint knows the SA no more: its event is on the way.
                Err(_) => {}
            }
        }
        let wanted: Vec<(PolicyId, Flow)> = self
            .protects
            .iter()
            .filter_map(|(id, protect)| match protect.demand {
                Demand::Wanted(flow) => Some((*id, flow)),
                _ => None,
            })
            .collect();
        for (id, flow) in wanted {
            taken |= self.ask_for_child(now, id, flow);
        }
        taken
    }

    /// Asks for a Child SA under a policy: on the connection's IKE SA, or with a new one.
    fn ask_for_child(&mut self, now: Instant, id: PolicyId, flow: Flow) -> bool {
        let Some(protect) = self.protects.get_mut(&id) else { return false };
        let Some(connection) = protect.connection else { return false };
        let child = protect.child;
        let mut of_connection = self.ikes.iter().rev().filter(|(_, ike)| ike.connection == connection);
        let asked = match of_connection.clone().find(|(_, ike)| ike.established) {
            Some((&ike, _)) => self.endpoint.create_child(now, ike, child, Some(flow)).map(|()| ike),
            // One that is being set up may bring the child, or be there for it a moment later.
            None if of_connection.next().is_some() => return false,
            None => self.endpoint.connect(now, connection, Some(child), Some(flow)).inspect(|ike| {
                self.ikes.insert(*ike, Ike::new(connection));
            }),
        };
        match asked {
            Ok(ike) => {
                protect.demand = Demand::Asked(ike);
                true
            }
            Err(ApiMisuse::WrongState | ApiMisuse::TooManyTasks) => {
                self.retry_at = Some(now + RETRY);
                false
            }
            Err(_) => {
                self.fail(now, id, None, &DropReason::NoConnection, true);
                true
            }
        }
    }

    /// A set-up on demand failed: what waited for it is dropped, and the policy rests.
    /// `silent`: because the peer did not answer.
    fn fail(
        &mut self,
        now: Instant,
        id: PolicyId,
        ike: Option<IkeHandle>,
        reason: &DropReason,
        silent: bool,
    ) {
        let Some(protect) = self.protects.get_mut(&id) else { return };
        let (packets, octets) = protect.queue.len();
        let waited = protect.queue.take();
        protect.silent = silent;
        let until = protect.fail(now, &self.config.backoff);
        self.stats.drop_many(reason, packets as u64);
        if let Some(ike) = ike {
            let event = Event::QueueCleared { policy: id, packets, octets, until };
            self.put(Output::Event(ike, event));
        }
        for packet in waited {
            let (buf, ip) = packet.into_parts();
            self.tell_discarded(now, buf.get(ip).unwrap_or_default(), unreachable(silent));
        }
    }

    fn on_event(&mut self, now: Instant, ike: IkeHandle, event: IkeEvent) {
        // Events that end something are told before the queues that they clear.
        let event = match event {
            IkeEvent::IkeEstablished(established) => {
                let peer = Some((established.remote_id.clone(), self.peer_number(&established.remote_id)));
                let connection = established.connection;
                let allowed = self.authorize(ike, &established.remote_id, connection);
                self.ikes.insert(ike, Ike { connection, established: true, peer, allowed });
                Event::IkeEstablished(established)
            }
            IkeEvent::IkeRekeyed { replaced_by } => {
                self.move_children(ike, replaced_by);
                Event::IkeRekeyed { replaced_by }
            }
            IkeEvent::IkeClosed { reason } => {
                let silent =
                    matches!(&reason, CloseReason::Failed(why) if matches!(**why, Error::TimedOut { .. }));
                let output = Output::Event(ike, Event::IkeClosed { reason });
                match self.ikes.remove(&ike) {
                    Some(_) => self.put(output),
                    // A set-up that a stranger began: nobody was told that it did.
                    None => {
                        self.outputs.push_passing(output, &self.config.outputs, &mut self.stats.unpolled);
                    }
                }
                for id in self.asked_of(ike) {
                    self.fail(now, id, Some(ike), &DropReason::SetupFailed, silent);
                }
                return;
            }
            IkeEvent::ChildInstalled(install) => return self.on_install(now, ike, *install),
            IkeEvent::Needs { op, what: Request::Install(install), .. } => {
                let inbound = install.inbound.spi;
                let answer = self.install(now, ike, *install).map_err(|error| {
                    let error = Box::new(error);
                    self.put(Output::Event(ike, Event::ChildRefused { inbound, error }));
                    InstallFailed
                });
                // The step was asked for a moment ago.
                let _ = self.endpoint.answer(now, op, Answer::Installed(answer));
                return;
            }
            IkeEvent::ChildClosed { inbound, outbound, reason } => {
                self.last_closed = Some(now);
                let (sent, received) = self.close(inbound);
                Event::ChildClosed { inbound, outbound, reason, sent, received }
            }
            IkeEvent::ChildFailed { child, error } => {
                let connection = self.ikes.get(&ike).map(|ike| ike.connection);
                let failed: Vec<PolicyId> = self
                    .protects
                    .iter()
                    .filter(|(_, protect)| protect.name == child && protect.connection == connection)
                    .filter(|(_, protect)| matches!(protect.demand, Demand::Asked(_)))
                    .map(|(id, _)| *id)
                    .collect();
                self.put(Output::Event(ike, Event::ChildFailed { child, error }));
                for id in failed {
                    self.fail(now, id, Some(ike), &DropReason::SetupFailed, false);
                }
                return;
            }
            IkeEvent::PeerLacksChild { outbound } => {
                let mut children = self.sad.iter();
                let of_it =
                    children.find(|(_, child)| child.ike == Some(ike) && child.outbound_spi() == outbound);
                let inbound = of_it.map(|(spi, _)| spi);
                Event::PeerLacksChild { inbound, outbound }
            }
            IkeEvent::ChildMoved(update) => {
                self.move_child(&update);
                Event::ChildMoved(update)
            }
            IkeEvent::SpiReleased(spi) => {
                self.sad.release(spi);
                return;
            }
            IkeEvent::Needs { op, deadline, what } => Event::Needs { op, deadline, what },
            IkeEvent::Exchange(trace) => Event::Exchange(trace),
            IkeEvent::Keys(line) => Event::Keys(line),
            // An event of a later endpoint that changes nothing here.
            _ => return,
        };
        self.put(Output::Event(ike, event));
    }

    /// Policies whose set-up was asked of this IKE SA.
    fn asked_of(&self, ike: IkeHandle) -> Vec<PolicyId> {
        let asked = self.protects.iter().filter(|(_, protect)| protect.demand == Demand::Asked(ike));
        asked.map(|(id, _)| *id).collect()
    }

    fn move_children(&mut self, old: IkeHandle, new: IkeHandle) {
        if let Some(ike) = self.ikes.remove(&old) {
            self.ikes.insert(new, Ike { established: true, ..ike });
        }
        for (_, child) in self.sad.iter_mut().filter(|(_, child)| child.ike == Some(old)) {
            child.ike = Some(new);
        }
        for protect in self.protects.values_mut() {
            if protect.demand == Demand::Asked(old) {
                protect.demand = Demand::Asked(new);
            }
        }
    }

    /// Asks the PAD what a peer may have. One that it does not let in may have nothing, and its IKE SA is to go.
    fn authorize(
        &mut self,
        ike: IkeHandle,
        identity: &Identity,
        connection: ConnectionId,
    ) -> Option<Vec<TrafficSelector>> {
        let pad = self.config.pad.as_ref()?;
        let asserted = AssertedId { id_type: identity.id_type, data: &identity.data };
        let by = self.proofs.get(&connection).copied().unwrap_or(PeerAuthentication::Null);
        match pad.lookup(asserted, by).map(|entry| &entry.children) {
            Ok(ChildAuthorization::Selectors(allowed)) => Some(allowed.clone()),
            Ok(ChildAuthorization::ByName) => {
                let named = self.spd.of_peer(asserted);
                Some(named.flat_map(|policy| policy.remote.iter().copied()).collect())
            }
            Err(why) => {
                let event = Event::PeerRefused { identity: identity.clone(), why };
                self.put(Output::Event(ike, event));
                self.unwanted.push(ike);
                Some(Vec::new())
            }
        }
    }

    /// A peer that has IKE SAs already keeps its number.
    fn peer_number(&mut self, identity: &Identity) -> PeerNumber {
        let known = self.ikes.values().filter_map(|ike| ike.peer.as_ref()).find(|(id, _)| id == identity);
        if let Some((_, number)) = known {
            return *number;
        }
        let number = self.next_peer;
        self.next_peer = self.next_peer.wrapping_add(1).max(1);
        number
    }

    fn move_child(&mut self, update: &SaUpdate) {
        let Some(child) = self.sad.lookup_mut(update.inbound) else { return };
        let (before, spi) = (child.path, child.outbound_spi());
        if child.update(&update.outer, self.config.link_mtu) {
            self.outer.remove(&(before.remote.ip(), spi));
            self.outer.insert((update.outer.remote, spi), update.inbound);
            self.addresses.insert(update.outer.local);
        }
    }

    fn on_install(&mut self, now: Instant, ike: IkeHandle, install: ChildInstall) {
        let inbound = install.inbound.spi;
        if let Err(error) = self.install(now, ike, install) {
            let error = Box::new(error);
            self.put(Output::Event(ike, Event::ChildRefused { inbound, error }));
            // Where the endpoint cannot delete it now, its IKE SA is ending anyway.
            let _ = self.endpoint.delete_child(now, ike, inbound);
        }
    }

    /// Puts a Child SA into the databases, and sends what waited for it.
    fn install(&mut self, now: Instant, ike: IkeHandle, install: ChildInstall) -> Result<(), InstallError> {
        let ChildInstall { child: name, inbound, outbound, replaces, outbound_use, suite, .. } = install;
        let (connection, peer) = match self.ikes.get(&ike) {
            Some(known) => (Some(known.connection), known.peer.as_ref().map_or(0, |(_, number)| *number)),
            None => (None, 0),
        };
        let allowed = self.ikes.get(&ike).and_then(|known| known.allowed.as_ref());
        let within = |allowed: &Vec<TrafficSelector>| {
            inbound.remote_selectors.iter().all(|selector| covers(allowed, selector))
        };
        if let Some(allowed) = allowed.filter(|allowed| !within(allowed)) {
            let (allowed, asked) = (allowed.clone(), inbound.remote_selectors);
            return Err(InstallError::NotAuthorized { allowed, asked });
        }
        let spi = inbound.spi;
        // With nothing to fall back on there is nothing to wait for.
        let standby = outbound_use != OutboundUse::Now && replaces.is_some();
        let (again, interface) = self.asked_by(inbound.policy);
        let link_mtu = self.config.link_mtu;
        let ike_handle = Some(ike);
        let origin = Origin {
            ike: ike_handle,
            connection,
            name,
            suite,
            replaces,
            standby,
            again,
            interface,
            link_mtu,
        };
        let child = self.child(now, inbound, &outbound, origin)?;
        let event = ChildInstalled {
            connection,
            child: child.name.clone(),
            inbound: spi,
            outbound: outbound.spi,
            replaces,
            local: child.local.clone(),
            remote: child.remote.clone(),
            path: child.path,
            suite: child.suite.clone(),
        };
        let policy = child.policy.filter(|_| outbound_use != OutboundUse::Never);
        let index = (child.path.remote.ip(), child.path.local.ip());
        self.sad.insert(spi, child).map_err(|rejected| rejected.error)?;
        self.outer.insert((index.0, outbound.spi), spi);
        self.addresses.insert(index.1);
        self.put(Output::Event(ike, Event::ChildInstalled(Box::new(event))));
        if let Some(protect) = policy.and_then(|id| self.protects.get_mut(&id)) {
            protect.add(spi, peer, standby);
        }
        self.served.extend(policy.map(|id| (id, ike)));
        Ok(())
    }

    fn child(
        &mut self,
        now: Instant,
        inbound: SaParams,
        outbound: &SaParams,
        origin: Origin,
    ) -> Result<Box<Child>, InstallError> {
        let (header, rng) = (self.config.outer, self.endpoint.rng());
        Child::new(now, inbound, outbound, origin, &self.provider, header, rng).map(Box::new)
    }

    /// What a policy asks of its SAs: a second pass, and an interface.
    fn asked_by(&self, policy: Option<PolicyId>) -> (bool, Option<ipsec_sa::InterfaceId>) {
        let policy = policy.and_then(|id| self.spd.policy(id));
        let again = policy.is_some_and(|policy| match &policy.action {
            PolicyAction::Protect(spec) => spec.again,
            PolicyAction::Bypass | PolicyAction::Discard => false,
        });
        (again, policy.and_then(|policy| policy.interface))
    }

    /// Puts a pair of SAs that was keyed by hand into the databases (RFC 4301 §4.5.1), for the policy that its inbound
    /// parameters name. It stays until [`Stack::remove_manual`]; at its hard limits it carries nothing more.
    ///
    /// # Errors
    /// [`InstallError`], and nothing changes.
    pub fn add_manual(
        &mut self,
        now: Instant,
        inbound: SaParams,
        outbound: &SaParams,
    ) -> Result<(), InstallError> {
        let (again, interface) = self.asked_by(inbound.policy);
        let (spi, policy, link_mtu) = (inbound.spi, inbound.policy, self.config.link_mtu);
        let origin = Origin {
            ike: None,
            connection: None,
            name: String::new(),
            suite: String::new(),
            replaces: None,
            standby: false,
            again,
            interface,
            link_mtu,
        };
        let child = self.child(now, inbound, outbound, origin)?;
        let (local, remote) = (child.path.local.ip(), child.path.remote.ip());
        self.sad.insert_foreign(spi, child).map_err(|rejected| rejected.error)?;
        self.outer.insert((remote, outbound.spi), spi);
        self.addresses.insert(local);
        if let Some(id) = policy {
            self.protects.entry(id).or_insert_with(Protect::manual).add(spi, 0, false);
        }
        Ok(())
    }

    /// Takes a pair of SAs that was keyed by hand out of the databases, by its inbound SPI. Returns what it carried,
    /// outbound and inbound; `None`: there is none.
    pub fn remove_manual(&mut self, inbound: Spi) -> Option<(Volume, Volume)> {
        self.sad.lookup(inbound).filter(|child| child.ike.is_none())?;
        Some(self.close(inbound))
    }

    /// Sends what waited under a policy through the SA that has come.
    fn flush(&mut self, now: Instant, id: PolicyId, ike: IkeHandle) {
        let Some(protect) = self.protects.get_mut(&id) else { return };
        let (packets, octets) = protect.queue.len();
        let waiting = protect.queue.take();
        protect.succeed();
        let mut uncovered = 0;
        let interface = self.spd.policy(id).and_then(|policy| policy.interface);
        for packet in waiting {
            let flow = packet.flow;
            let (mut buf, ip) = packet.into_parts();
            // Policies may have changed while it waited.
            let decides = self.spd.lookup_on(Direction::Outbound, &flow, interface);
            if decides.map(|policy| policy.id) != Some(id) {
                self.stats.drop_one(&DropReason::Policy);
                continue;
            }
            let carrier = self.carrier(id, &flow, None);
            let Some(spi) = carrier else {
                uncovered += 1;
                continue;
            };
            match self.seal(now, spi, &mut buf, ip) {
                Ok(Verdict::Send { range, path, fields }) => {
                    buf.truncate(range.end);
                    buf.drain(..range.start);
                    self.put(Output::Transmit { path, data: buf, fields });
                }
                Ok(_) => {}
                Err(reason) => self.stats.drop_one(&reason),
            }
        }
        if uncovered > 0 {
            self.stats.drop_many(&DropReason::NotCovered, uncovered);
            // The peer narrowed: the same question would get the same answer.
            if let Some(protect) = self.protects.get_mut(&id) {
                let until = protect.fail(now, &self.config.backoff);
                let event = Event::QueueCleared { policy: id, packets, octets, until };
                self.put(Output::Event(ike, event));
            }
        }
    }

    /// Takes a Child SA out of the databases. Returns what it carried, outbound and inbound.
    fn close(&mut self, inbound: Spi) -> (Volume, Volume) {
        let Some(child) = self.sad.remove(inbound) else {
            self.sad.release(inbound);
            return (Volume::default(), Volume::default());
        };
        self.chores.retain(|chore| chore.spi != inbound);
        self.outer.remove(&(child.path.remote.ip(), child.outbound_spi()));
        if let Some(protect) = child.policy.and_then(|id| self.protects.get_mut(&id)) {
            protect.remove(inbound);
            // Its successor need not stand by any more (RFC 7296 §2.8), unless there is one that does not anyway.
            let in_use = protect.sas.iter().any(|sa| {
                self.sad.lookup(sa.spi).is_some_and(|other| other.replaces == Some(inbound) && !other.standby)
            });
            for spi in protect.sas.clone().into_iter().filter(|_| !in_use).map(|sa| sa.spi) {
                let Some(successor) = self.sad.lookup_mut(spi) else { continue };
                if successor.replaces == Some(inbound) && core::mem::take(&mut successor.standby) {
                    protect.promote(spi);
                }
            }
        }
        let info = child.info();
        (info.sent, info.received)
    }
}
