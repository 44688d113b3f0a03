//! The endpoint: finds the IKE SA that an input is for, lends it what it needs, and hands out what it leaves.
//!
//! No protocol rule stands here; what an unauthenticated message may cause is in `unprotected`, how an IKE_SA_INIT
//! request is taken in is in `responder`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ipsec_crypto::CryptoProvider;
use ipsec_sa::{Flow, Instant, Role};
use ipsec_wire::ike::{ExchangeType, Header, MessageView};
use ipsec_wire::{IkeSpi, Spi};
use rand_core::CryptoRng;

use crate::config::{ConnectionConfig, ConnectionId, EndpointConfig, Executor, PeerIdentity, Uniqueness};
use crate::context::{Cx, Effect, Ids, SpiPool};
use crate::error::ApiMisuse;
use crate::event::{CloseReason, Event};
use crate::exchange::MAX_WAITING_TASKS;
use crate::exchange::child::Ending;
use crate::exchange::rekey_ike::REDUNDANT_GRACE;
use crate::exchange::task::Task;
use crate::hints;
use crate::ike_sa::{Common, Connection, IkeSa, Incoming, Queued, TimerKind};
use crate::io::{Discarded, IkeHandle, Input, Output};
use crate::job::{Answer, OpId, Request, UnknownOp};
use crate::natd::NatStatus;
use crate::path::Path;
use crate::query::{Counters, IkeSaInfo};
use crate::responder::Responder;
use crate::state::State;
use crate::state::established::{Established, Phase};
use crate::state::init_sent::InitSent;
use crate::table::Table;
use crate::timer::TimerTable;
use crate::unprotected::{Class, Reaction, Standing, reaction};
use crate::upkeep::Upkeep;

/// How long a job's answer is waited for.
const JOB_DEADLINE: core::time::Duration = core::time::Duration::from_secs(30);

/// All IKE SAs of one host. Octets and time go in, octets and events come out.
pub struct Endpoint {
    pub(crate) config: EndpointConfig,
    pub(crate) provider: CryptoProvider,
    pub(crate) rng: Box<dyn CryptoRng + Send>,
    pub(crate) connections: BTreeMap<ConnectionId, Arc<Connection>>,
    pub(crate) sas: BTreeMap<IkeHandle, Box<IkeSa>>,
    /// By the SPI of our choice.
    pub(crate) by_spi: BTreeMap<IkeSpi, IkeHandle>,
    pub(crate) responder: Responder,
    pub(crate) timers: TimerTable<IkeHandle>,
    /// IKE SAs with something to say, in order.
    pub(crate) ready: VecDeque<IkeHandle>,
    pub(crate) is_ready: BTreeSet<IkeHandle>,
    /// What comes from no IKE SA.
    pub(crate) loose: VecDeque<Output>,
    pub(crate) ids: Ids,
    pub(crate) spis: SpiPool,
    /// Which IKE SA waits for a job.
    pub(crate) jobs: BTreeMap<OpId, IkeHandle>,
    pub(crate) counters: Counters,
    pub(crate) upkeep: Upkeep,
}

impl core::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Endpoint")
            .field("connections", &self.connections.len())
            .field("ike_sas", &self.sas.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint without connections. `rng` must be seeded from a real source in use; a fixed seed makes every
    /// output repeatable, and that seed is then a secret.
    #[must_use]
    pub fn new(
        config: EndpointConfig,
        provider: CryptoProvider,
        mut rng: Box<dyn CryptoRng + Send>,
        now: Instant,
    ) -> Self {
        let responder = Responder::new(now, &mut *rng);
        let spis = SpiPool::new(config.spi_source);
        Self {
            config,
            provider,
            rng,
            connections: BTreeMap::new(),
            sas: BTreeMap::new(),
            by_spi: BTreeMap::new(),
            responder,
            timers: TimerTable::new(),
            ready: VecDeque::new(),
            is_ready: BTreeSet::new(),
            loose: VecDeque::new(),
            ids: Ids::default(),
            spis,
            jobs: BTreeMap::new(),
            counters: Counters::default(),
            upkeep: Upkeep::default(),
        }
    }

    /// A second endpoint in the same state, with another generator: for simulation, which wants to see where each of
    /// several futures leads. Two of the same that both send would use keys and IVs twice, so at most one of them may
    /// ever speak to a real peer. `None` while there are outputs that were not polled.
    #[must_use]
    pub fn duplicate(&self, rng: Box<dyn CryptoRng + Send>) -> Option<Self> {
        let silent = self.loose.is_empty() && self.sas.values().all(|sa| sa.common.out.is_empty());
        silent.then(|| Self {
            config: self.config.clone(),
            provider: self.provider.clone(),
            rng,
            connections: self.connections.clone(),
            sas: self
                .sas
                .iter()
                .map(|(handle, sa)| {
                    (*handle, Box::new(IkeSa { common: sa.common.duplicate(), state: sa.state.clone() }))
                })
                .collect(),
            by_spi: self.by_spi.clone(),
            responder: self.responder.duplicate(),
            timers: self.timers.clone(),
            ready: self.ready.clone(),
            is_ready: self.is_ready.clone(),
            loose: VecDeque::new(),
            ids: self.ids.clone(),
            spis: self.spis.clone(),
            jobs: self.jobs.clone(),
            counters: self.counters.clone(),
            upkeep: self.upkeep.clone(),
        })
    }

    /// Adds a connection, to start and to answer.
    ///
    /// # Errors
    /// [`ApiMisuse::NoSuite`] when the provider lacks an algorithm that the connection names, it names none, or a child
    /// mixes ESP and AH.
    pub fn add_connection(&mut self, config: ConnectionConfig) -> Result<ConnectionId, ApiMisuse> {
        let id = ConnectionId(self.connections.keys().next_back().map_or(0, |last| last.0.saturating_add(1)));
        let connection = self.shared(id, config)?;
        self.upkeep.add(&connection);
        self.connections.insert(id, connection);
        Ok(id)
    }

    /// Starts an IKE SA. `first_child` is an index into the connection's children; `packet` is the packet that asked
    /// for it, whose selectors come first (RFC 7296 §2.9).
    ///
    /// # Errors
    /// The connection or child is not known, or lacks addresses.
    pub fn connect(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        first_child: Option<usize>,
        packet: Option<Flow>,
    ) -> Result<IkeHandle, ApiMisuse> {
        let connection = self.connections.get(&connection).ok_or(ApiMisuse::UnknownConnection)?.clone();
        if first_child.is_some_and(|index| index >= connection.children.len()) {
            return Err(ApiMisuse::UnknownChildConfig);
        }
        let path = connection.config.first_path().ok_or(ApiMisuse::NoAddress)?;
        if self.upkeep.is_closing() {
            return Err(ApiMisuse::ShuttingDown);
        }
        let initial_contact = self.is_first_contact(&connection);
        let spi_i = self.fresh_spi();
        let handle = self.ids.handle();
        let common = Common {
            handle,
            role: Role::Initiator,
            spi_i,
            spi_r: IkeSpi::ZERO,
            path,
            connection,
            nat: NatStatus::default(),
            timers: Table::new(),
            out: VecDeque::new(),
        };
        let mut jobs = VecDeque::new();
        let mut effects = Vec::new();
        let mut cx = cx(self, now, &mut jobs, &mut effects);
        let state = InitSent::start(&mut cx, &common, first_child, packet, initial_contact)
            .ok_or(ApiMisuse::NoSuite)?;
        self.insert(Box::new(IkeSa { common, state: State::InitSent(Box::new(state)) }));
        self.settle(now, handle, jobs, effects);
        Ok(handle)
    }

    /// Asks for another Child SA of an established IKE SA.
    ///
    /// # Errors
    /// The IKE SA or child is not known, not in a state for it, or has as many tasks waiting as may.
    pub fn create_child(
        &mut self,
        now: Instant,
        handle: IkeHandle,
        child: usize,
        packet: Option<Flow>,
    ) -> Result<(), ApiMisuse> {
        let sa = self.sas.get(&handle).ok_or(ApiMisuse::UnknownIkeSa)?;
        let config = sa.common.connection.children.get(child).ok_or(ApiMisuse::UnknownChildConfig)?.clone();
        self.task(now, handle, Task::CreateChild { config, flow: packet, retries: 0 })
    }

    /// Replaces a Child SA, named by the SPI of packets to us.
    ///
    /// # Errors
    /// The IKE SA or Child SA is not known, not in a state for it, or has as many tasks waiting as may.
    pub fn rekey_child(&mut self, now: Instant, handle: IkeHandle, inbound: Spi) -> Result<(), ApiMisuse> {
        self.known_child(handle, inbound)?;
        self.task(now, handle, Task::RekeyChild { inbound, retries: 0 })
    }

    /// Replaces the IKE SA.
    ///
    /// # Errors
    /// The IKE SA is not known, not in a state for it, or has as many tasks waiting as may.
    pub fn rekey_ike(&mut self, now: Instant, handle: IkeHandle) -> Result<(), ApiMisuse> {
        self.task(now, handle, Task::RekeyIke { retries: 0 })
    }

    /// Deletes a Child SA, named by the SPI of packets to us.
    ///
    /// # Errors
    /// The IKE SA or Child SA is not known, not in a state for it, or has as many tasks waiting as may.
    pub fn delete_child(&mut self, now: Instant, handle: IkeHandle, inbound: Spi) -> Result<(), ApiMisuse> {
        self.known_child(handle, inbound)?;
        self.task(now, handle, Task::DeleteChild { inbound, ending: Ending::Asked })
    }

    /// Deletes an IKE SA and its children. One that is not established is dropped at once.
    ///
    /// # Errors
    /// The IKE SA is not known.
    pub fn delete_ike(&mut self, now: Instant, handle: IkeHandle) -> Result<(), ApiMisuse> {
        match self.task(now, handle, Task::DeleteIke) {
            Err(ApiMisuse::WrongState) => {
                self.with(now, handle, |sa, cx| sa.close(cx, CloseReason::Local));
                Ok(())
            }
            result => result,
        }
    }

    /// Asks the peer for a sign of life; silence ends the IKE SA after the retransmissions.
    ///
    /// # Errors
    /// The IKE SA is not known, not in a state for it, or has as many tasks waiting as may.
    pub fn check_liveness(&mut self, now: Instant, handle: IkeHandle) -> Result<(), ApiMisuse> {
        self.task(now, handle, Task::Liveness)
    }

    /// Tells that the peer sent an authentic packet on a Child SA: a sign of life like any message (RFC 7296 §2.4).
    pub fn peer_alive(&mut self, now: Instant, handle: IkeHandle) {
        if let Some(State::Established(state)) = self.sas.get_mut(&handle).map(|sa| &mut sa.state) {
            state.last_heard = state.last_heard.max(now);
        }
    }

    /// Tells that an authentic packet, newer than all before, came on a Child SA by another path: a peer behind a NAT is
    /// followed as by a message (RFC 7296 §2.23). Returns whether it was, with events for its children.
    pub fn peer_moved(&mut self, now: Instant, handle: IkeHandle, path: Path) -> bool {
        let Some(sa) = self.sas.get_mut(&handle) else { return false };
        let IkeSa { common, state: State::Established(state), .. } = &mut **sa else { return false };
        let moved = state.follow(now, common, path);
        if moved {
            self.schedule(handle);
        }
        moved
    }

    /// Hands in SPIs for inbound Child SAs ([`crate::SpiSource::Pool`]).
    pub fn supply_spis(&mut self, spis: impl IntoIterator<Item = Spi>) {
        for spi in spis {
            self.spis.supply(spi);
        }
    }

    /// The generator, for an owner that has none of its own.
    pub fn rng(&mut self) -> &mut dyn CryptoRng {
        &mut *self.rng
    }

    /// How many SPIs should be supplied now.
    #[must_use]
    pub fn spis_wanted(&self) -> usize {
        self.spis.wanted()
    }

    /// What was received, dropped and refused.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Every IKE SA there is, in the order of their handles.
    pub fn ike_sas(&self) -> impl Iterator<Item = IkeSaInfo> + '_ {
        self.sas.values().filter_map(|sa| IkeSaInfo::of(sa))
    }

    /// Takes one input. Afterwards [`Endpoint::poll_output`] is to be called until it says [`Output::Timeout`].
    ///
    /// # Errors
    /// The datagram was dropped, and why: never fatal, always counted, and no established state has changed.
    pub fn handle_input(&mut self, input: Input<'_>) -> Result<(), Discarded> {
        match input {
            Input::Timeout(now) => {
                self.handle_timeout(now);
                Ok(())
            }
            Input::Datagram { now, path, ecn: _, data } => {
                let result = self.handle_datagram(now, path, data);
                self.maintain(now);
                self.counters.count(&result);
                result
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        // Each at most once: a timer that is due again at once waits for the next call.
        let due: Vec<IkeHandle> = core::iter::from_fn(|| self.timers.pop_due(now)).collect();
        for handle in due {
            self.with(now, handle, |sa, cx| sa.on_timeout(cx));
        }
        self.maintain(now);
    }

    fn handle_datagram(&mut self, now: Instant, path: Path, data: &mut [u8]) -> Result<(), Discarded> {
        let data = unmarked(&path, data)?;
        let header = Header::parse(data).map_err(Discarded::Malformed)?;
        let local_spi = if header.flags.is_initiator() { header.responder_spi } else { header.initiator_spi };
        if header.version >> 4 != 2 {
            let class = if header.version >> 4 > 2 && !header.flags.is_response() {
                Class::HigherVersion
            } else {
                Class::OtherResponse
            };
            let known = self.by_spi.contains_key(&local_spi);
            let standing = if known { Standing::Established } else { Standing::Unknown };
            if reaction(standing, class) == Reaction::ReplyInvalidVersion {
                self.reply_invalid_version(now, &path, &header);
            }
            return Err(Discarded::Version(header.version >> 4));
        }
        let (protected, class) = match MessageView::parse(data, &self.config.limits) {
            Ok(view) => {
                (view.encrypted().is_some() || view.fragment().is_some(), hints::class(&view, &header))
            }
            Err(error) => return Err(Discarded::Malformed(error)),
        };
        let init = header.exchange_type == ExchangeType::IKE_SA_INIT;
        // A request of an initiator whose SPI we made ourselves is our own, come back.
        if init && !header.flags.is_response() {
            if self.by_spi.contains_key(&header.initiator_spi) {
                return Err(Discarded::Reflected);
            }
            return self.handle_init_request(now, path, &header, data);
        }
        let Some(&handle) = self.by_spi.get(&local_spi) else {
            if reaction(Standing::Unknown, class) == Reaction::ReplyInvalidSpi {
                self.reply_invalid_spi(now, &path, &header);
            }
            // INVALID_SPI has no SPIs to go by, only the address.
            if class == Class::LostState && !header.flags.is_response() && self.hint(now, path.remote.ip()) {
                return Err(Discarded::Hint);
            }
            return Err(Discarded::UnknownSpi);
        };
        let standing = match self.sas.get(&handle).map(|sa| &sa.state) {
            Some(State::InitSent(_) | State::AuthSent(_)) => Standing::Initiating,
            Some(State::InitReceived(_)) => Standing::HalfOpen,
            _ => Standing::Established,
        };
        if !protected {
            let class = if init { Class::InitResponse } else { class };
            match reaction(standing, class) {
                Reaction::ToInitiator => {}
                Reaction::CheckLiveness => {
                    self.hint_about(now, handle);
                    return Err(Discarded::Hint);
                }
                _ => return Err(Discarded::Unexpected),
            }
        }
        let incoming = Incoming { path, header, data };
        self.with(now, handle, |sa, cx| sa.on_message(cx, incoming)).unwrap_or(Err(Discarded::UnknownSpi))
    }

    /// Answers a job ([`Event::Needs`]).
    ///
    /// # Errors
    /// Nobody waits for it any more; the answer is dropped.
    pub fn answer(&mut self, now: Instant, op: OpId, answer: Answer) -> Result<(), UnknownOp> {
        let handle = self.jobs.remove(&op).ok_or(UnknownOp(op))?;
        let result = self.with(now, handle, |sa, cx| sa.on_answer(cx, op, answer)).ok_or(UnknownOp(op));
        self.maintain(now);
        result
    }

    /// The next thing to do. Call until it says [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.loose.pop_front() {
            return output;
        }
        while let Some(&handle) = self.ready.front() {
            let mut sa = self.sas.get_mut(&handle);
            let queued = sa.as_mut().and_then(|sa| sa.common.out.pop_front());
            match queued {
                Some(Queued::Transmit { path, data }) => return Output::Transmit { path, data, ecn: 0 },
                Some(Queued::Event(event)) => return Output::Event(handle, event),
                None => {
                    // Room for what comes now and then is not kept.
                    if let Some(sa) = sa {
                        sa.common.out = VecDeque::new();
                    }
                    self.ready.pop_front();
                    self.is_ready.remove(&handle);
                    self.reap(handle);
                }
            }
        }
        Output::Timeout([self.timers.next(), self.upkeep.due()].into_iter().flatten().min())
    }

    /// Forgets an IKE SA that is gone and has said all.
    fn reap(&mut self, handle: IkeHandle) {
        let gone = self.sas.get(&handle).is_some_and(|sa| sa.is_gone() && sa.common.out.is_empty());
        if !gone {
            return;
        }
        if let Some(sa) = self.sas.remove(&handle) {
            self.by_spi.remove(&sa.common.local_spi());
            self.responder.forget(handle);
        }
        self.timers.cancel(handle);
        self.jobs.retain(|_, waiting| *waiting != handle);
    }

    /// Whether there is no IKE SA with this connection's peer, so that INITIAL_CONTACT is true (RFC 7296 §2.4).
    fn is_first_contact(&self, connection: &Connection) -> bool {
        let PeerIdentity::Exactly(peer) = &connection.config.remote_id else { return false };
        connection.config.uniqueness != Uniqueness::Keep
            && !self.sas.values().any(|sa| match &sa.state {
                State::Established(state) => state.remote_id == *peer,
                State::InitSent(_) | State::AuthSent(_) => sa.common.connection.id == connection.id,
                _ => false,
            })
    }

    fn known_child(&self, handle: IkeHandle, inbound: Spi) -> Result<(), ApiMisuse> {
        let sa = self.sas.get(&handle).ok_or(ApiMisuse::UnknownIkeSa)?;
        match &sa.state {
            State::Established(state) if state.children.contains_key(&inbound) => Ok(()),
            State::Established(_) => Err(ApiMisuse::UnknownChild),
            _ => Err(ApiMisuse::WrongState),
        }
    }

    fn task(&mut self, now: Instant, handle: IkeHandle, task: Task) -> Result<(), ApiMisuse> {
        self.with(now, handle, |sa, cx| match &mut sa.state {
            State::Established(state) if state.phase == Phase::Open => {
                // A peer that puts everything off makes them pile up. The end of the IKE SA is always taken.
                let waiting = state.tasks.len() + state.deferred.len();
                if waiting >= MAX_WAITING_TASKS && !matches!(task, Task::DeleteIke) {
                    return Err(ApiMisuse::TooManyTasks);
                }
                state.tasks.push_back(task);
                state.pump(cx, &mut sa.common);
                Ok(())
            }
            _ => Err(ApiMisuse::WrongState),
        })
        .unwrap_or(Err(ApiMisuse::UnknownIkeSa))
    }

    pub(crate) fn fresh_spi(&mut self) -> IkeSpi {
        loop {
            let mut octets = [0; 8];
            self.rng.fill_bytes(&mut octets);
            let spi = IkeSpi(octets);
            if !spi.is_zero() && !self.by_spi.contains_key(&spi) {
                return spi;
            }
        }
    }

    pub(crate) fn insert(&mut self, sa: Box<IkeSa>) {
        self.by_spi.insert(sa.common.local_spi(), sa.common.handle);
        self.sas.insert(sa.common.handle, sa);
    }

    /// Lends an IKE SA what it needs for one step, and carries out what it leaves behind.
    pub(crate) fn with<T>(
        &mut self,
        now: Instant,
        handle: IkeHandle,
        run: impl FnOnce(&mut IkeSa, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let mut sa = self.sas.remove(&handle)?;
        let mut jobs = VecDeque::new();
        let mut effects = Vec::new();
        let result = run(&mut sa, &mut cx(self, now, &mut jobs, &mut effects));
        self.sas.insert(handle, sa);
        self.settle(now, handle, jobs, effects);
        Some(result)
    }

    /// Effects first, for they are what the step has decided; then its jobs; then its place in the queues.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        handle: IkeHandle,
        jobs: VecDeque<(OpId, Request)>,
        effects: Vec<Effect>,
    ) {
        for effect in effects {
            self.apply(now, effect);
        }
        self.schedule(handle);
        for (op, request) in jobs {
            self.run(now, handle, op, request);
        }
    }

    fn schedule(&mut self, handle: IkeHandle) {
        let Some(sa) = self.sas.get(&handle) else { return };
        self.upkeep.stir(sa.common.connection.id);
        match sa.next_deadline() {
            Some(at) => self.timers.set(handle, at),
            None => {
                self.timers.cancel(handle);
            }
        }
        if !sa.state.is_half_open() {
            self.responder.settled(handle);
        }
        if self.is_ready.insert(handle) {
            self.ready.push_back(handle);
        }
    }

    fn apply(&mut self, now: Instant, effect: Effect) {
        match effect {
            Effect::Spawn(sa) => {
                let handle = sa.common.handle;
                self.insert(sa);
                self.with(now, handle, |sa, cx| {
                    if let State::Established(state) = &mut sa.state {
                        state.pump(cx, &mut sa.common);
                    }
                });
            }
            Effect::Inherit { from, to, children, tasks } => {
                self.renewal_follows(from, to);
                self.with(now, to, |sa, cx| match &mut sa.state {
                    State::Established(state) => {
                        state.undecided = None;
                        state.children.extend(children);
                        state.tasks.extend(tasks);
                        state.pump(cx, &mut sa.common);
                    }
                    // The heir is gone already: so are they.
                    _ => {
                        for child in children.into_values() {
                            cx.spis.release(child.inbound);
                            sa.common.event(Event::ChildClosed {
                                inbound: child.inbound,
                                outbound: child.outbound,
                                reason: CloseReason::IkeClosed,
                            });
                        }
                    }
                });
            }
            Effect::Decided { parent, heir } => {
                self.with(now, parent, |sa, cx| {
                    if let State::Established(state) = &mut sa.state
                        && state.peer_ike_rekey.take_if(|theirs| theirs.handle == heir).is_some()
                    {
                        state.hand_over(cx, &mut sa.common, heir, false);
                    }
                });
                // Had it been decided otherwise, the parent would have said so.
                self.with(now, heir, |sa, cx| {
                    if let State::Established(state) = &mut sa.state {
                        state.undecided = None;
                        state.pump(cx, &mut sa.common);
                    }
                });
            }
            Effect::Redundant(handle) => {
                self.with(now, handle, |sa, cx| {
                    if let State::Established(state) = &mut sa.state {
                        state.undecided = None;
                        state.phase = Phase::Redundant;
                        sa.common.timers.insert(TimerKind::HardIke, cx.now + REDUNDANT_GRACE);
                    }
                });
            }
            Effect::Renew(handle) => self.renew(now, handle),
            Effect::Renewed { old, new } => self.renewed(now, old, new),
            Effect::Retire(handle) => {
                // Its deletion may wait for an answer that never comes: meanwhile it is not renewed once more.
                self.with(now, handle, |sa, _| sa.common.timers.remove(&TimerKind::Reauth));
                // It may be gone already.
                let _ = self.delete_ike(now, handle);
            }
            Effect::InitialContact { keep, remote_id } => {
                let same = |state: &Established| state.remote_id == remote_id;
                let others: Vec<IkeHandle> = self
                    .sas
                    .iter()
                    .filter(|(handle, sa)| {
                        **handle != keep && matches!(&sa.state, State::Established(s) if same(s))
                    })
                    .map(|(handle, _)| *handle)
                    .collect();
                for handle in others {
                    self.with(now, handle, |sa, cx| sa.close(cx, CloseReason::Peer));
                }
            }
        }
    }

    /// Does a job here and now, or asks the caller to.
    fn run(&mut self, now: Instant, handle: IkeHandle, op: OpId, request: Request) {
        let request = match self.config.executor {
            Executor::Caller => request,
            Executor::Inline => match request.execute(&self.provider, &mut *self.rng) {
                Ok(answer) => {
                    self.with(now, handle, |sa, cx| sa.on_answer(cx, op, answer));
                    return;
                }
                Err(request) => request,
            },
        };
        self.jobs.insert(op, handle);
        if let Some(sa) = self.sas.get_mut(&handle) {
            sa.common.event(Event::Needs { op, deadline: now + JOB_DEADLINE, what: request });
        }
    }
}

/// What the endpoint lends.
pub(crate) fn cx<'a>(
    endpoint: &'a mut Endpoint,
    now: Instant,
    jobs: &'a mut VecDeque<(OpId, Request)>,
    effects: &'a mut Vec<Effect>,
) -> Cx<'a> {
    Cx {
        now,
        config: &endpoint.config,
        provider: &endpoint.provider,
        rng: &mut *endpoint.rng,
        ids: &mut endpoint.ids,
        spis: &mut endpoint.spis,
        jobs,
        effects,
    }
}

/// The IKE message of a datagram (RFC 3948 §2.2, §2.3; RFC 7296 §2.23).
fn unmarked<'a>(path: &Path, data: &'a mut [u8]) -> Result<&'a mut [u8], Discarded> {
    if !path.has_marker() {
        return Ok(data);
    }
    if data == [0xff] {
        return Err(Discarded::Keepalive);
    }
    match data.split_at_mut_checked(4) {
        Some(([0, 0, 0, 0], message)) => Ok(message),
        _ => Err(Discarded::NotIke),
    }
}
