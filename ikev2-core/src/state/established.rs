//! An authenticated IKE SA (RFC 7296 §1.3, §1.4, §2.1–§2.4): windows, cached answers, tasks, children.
//!
//! A plain struct. Which exchange does what stands in `exchange/`; here is what they share: sending, answering,
//! recognising retransmissions, and taking the next task when there is room for it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ipsec_sa::{Instant, Role, SaUpdate, SecurityProtocol};
use ipsec_wire::Spi;
use ipsec_wire::ike::{ExchangeType, NotifyType, Payload, PayloadChain, PayloadKind, ProtocolId};

use super::State;
use super::auth_sent::release_spi;
use super::closing::Closing;
use crate::bucket::TokenBucket;
use crate::channel::{Channel, Inner};
use crate::collide::{ChildActivity, IkeActivity};
use crate::config::{ChildConfig, Rate};
use crate::context::{Cx, Effect};
use crate::error::{Error, InvalidMessage};
use crate::event::{CloseReason, Event, IkeEstablished};
use crate::exchange::ANSWER_GRACE;
use crate::exchange::child::{ChildPhase, ChildSa, error_payload};
use crate::exchange::create_child::{ChildRequest, is_about_ike};
use crate::exchange::rekey_ike::PeerIkeRekey;
use crate::exchange::response_cache::{ResponseCache, Standing};
use crate::exchange::retransmit::{Retransmission, RetransmitStep};
use crate::exchange::task::{Continuation, Deferred, Purpose, Task};
use crate::exchange::window::{RequestWindow, Sent};
use crate::identity::Identity;
use crate::ike_sa::{ChildTable, Common, Connection, Incoming, Step, TimerKind, marked, sk_names};
use crate::io::{Discarded, IkeHandle};
use crate::job::{Answer, OpId};
use crate::path::Path;
use crate::reauth::{self, Renewal};
use crate::table::Table;
use crate::trace;

/// Whether an IKE SA is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// It is.
    Open,
    /// Another has taken its children over.
    Replaced,
    /// It lost against one made at the same time.
    Redundant,
    /// Our request to delete it is under way.
    Deleting,
}

/// An authenticated IKE SA.
#[derive(Clone, Debug)]
pub(crate) struct Established {
    pub(crate) channel: Channel,
    pub(crate) remote_id: Identity,
    pub(crate) phase: Phase,
    pub(crate) requests: RequestWindow<Purpose>,
    pub(crate) responses: ResponseCache,
    /// Where the requests that are being worked on came from: their answers go back there.
    pub(crate) reply_paths: Table<u32, Path>,
    pub(crate) children: ChildTable,
    pub(crate) tasks: VecDeque<Task>,
    /// Tasks that wait for the peer to be less busy.
    pub(crate) deferred: Vec<Deferred>,
    pub(crate) jobs: Table<OpId, Continuation>,
    pub(crate) peer_ike_rekey: Option<PeerIkeRekey>,
    /// The IKE SA that the peer wants this one to replace, while our own rekey of that is not decided.
    pub(crate) undecided: Option<IkeHandle>,
    /// When the authentication must be renewed.
    pub(crate) renewal: Option<Renewal>,
    /// The IKE SA whose authentication this one renews: it goes when all children are there.
    pub(crate) retires: Option<IkeHandle>,
    /// When an authentic message came last that had not come before.
    pub(crate) last_heard: Instant,
    pub(crate) rates: Rates,
}

/// How far the peer has used what it may do.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    pub(crate) create_child: TokenBucket,
    path: TokenBucket,
    pub(crate) invalid_spi: TokenBucket,
    /// No liveness check because of a hint before then.
    pub(crate) no_hint_before: Instant,
}

impl Rates {
    fn new(now: Instant) -> Self {
        let full = TokenBucket::new(now);
        Self { create_child: full, path: full, invalid_spi: full, no_hint_before: Instant::ZERO }
    }
}

/// How often the peer's address may change: so many times a second, and so many at once.
const PATH_CHANGES: (u32, u32) = (1, 8);

impl Established {
    /// `next_request` is the id of our next request, `next_expected` that of the peer's.
    pub(crate) fn new(
        cx: &mut Cx<'_>,
        common: &mut Common,
        channel: Channel,
        remote_id: Identity,
        next_request: u32,
        next_expected: u32,
    ) -> Self {
        let config = &common.connection.config;
        let lifetime = config.lifetime;
        common.timers.clear();
        if let Some(time) = lifetime.rekey {
            let at = cx.now + cx.jittered(time, lifetime.jitter_percent);
            common.timers.insert(TimerKind::RekeyIke, at);
        }
        if let Some(time) = lifetime.hard {
            common.timers.insert(TimerKind::HardIke, cx.now + time);
        }
        if let Some(time) = config.liveness {
            common.timers.insert(TimerKind::Liveness, cx.now + time);
        }
        if let (Some(time), true) = (config.nat_keepalive, common.nat.local_behind_nat) {
            common.timers.insert(TimerKind::Keepalive, cx.now + time);
        }
        Self {
            channel,
            remote_id,
            phase: Phase::Open,
            requests: RequestWindow::new(next_request),
            responses: ResponseCache::new(next_expected, config.window),
            reply_paths: Table::new(),
            children: ChildTable::new(),
            tasks: VecDeque::new(),
            deferred: Vec::new(),
            jobs: Table::new(),
            peer_ike_rekey: None,
            undecided: None,
            renewal: None,
            retires: None,
            last_heard: cx.now,
            rates: Rates::new(cx.now),
        }
    }

    /// Tells the caller who the peer is.
    pub(crate) fn announce(&self, common: &mut Common) {
        let established = IkeEstablished {
            connection: common.connection.id,
            local_id: common.connection.config.local_id.clone(),
            remote_id: self.remote_id.clone(),
            initiated: common.role == Role::Initiator,
            spi_i: common.spi_i,
            spi_r: common.spi_r,
            path: common.path,
            local_behind_nat: common.nat.local_behind_nat,
            remote_behind_nat: common.nat.remote_behind_nat,
            suite: self.channel.text.clone(),
        };
        common.event(Event::IkeEstablished(Box::new(established)));
    }

    /// Sends a request. Callers hold a place in the window.
    pub(crate) fn request(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        exchange: ExchangeType,
        payloads: &[Payload],
        purpose: Purpose,
    ) {
        let id = self.requests.next_id();
        // Sealing fails only when a key is used up or the generator behind it fails; the IKE SA then goes silent and
        // ends by its hard lifetime.
        let Ok(datagrams) = self.channel.seal(exchange, false, id, payloads, cx.rng) else { return };
        if cx.config.trace {
            let names = trace::names_of(payloads, false);
            common.trace_sent(cx, exchange, false, id, &names, &datagrams, false);
        }
        common.transmit(&datagrams);
        let retransmission = Retransmission::start(cx.now, &cx.config.retransmit, cx.rng);
        self.requests.push(Sent { exchange, datagrams, retransmission, purpose });
    }

    /// Answers a request, and keeps the octets for its retransmissions.
    pub(crate) fn respond(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        id: u32,
        exchange: ExchangeType,
        payloads: &[Payload],
    ) {
        let Ok(datagrams) = self.channel.seal(exchange, true, id, payloads, cx.rng) else { return };
        if cx.config.trace {
            let names = trace::names_of(payloads, true);
            common.trace_sent(cx, exchange, true, id, &names, &datagrams, false);
        }
        let path = self.reply_paths.remove(&id).unwrap_or(common.path);
        common.transmit_on(path, &datagrams);
        self.responses.answer(id, datagrams);
        self.answered(cx.now, id);
    }

    /// The answer to this request has gone out, or again: the peer may not have it yet.
    fn answered(&mut self, now: Instant, id: u32) {
        for unheard in self.children.values_mut().filter_map(|child| child.unheard.as_mut()) {
            if unheard.request == id {
                unheard.until = (now + ANSWER_GRACE).min(unheard.at_most);
            }
        }
    }

    /// A new request has come: the peer has every answer that its window made it wait for (RFC 7296 §2.3).
    fn heard(&mut self, id: u32, window: u32) {
        for child in self.children.values_mut() {
            child.unheard =
                child.unheard.filter(|unheard| id < unheard.request.saturating_add(window.max(1)));
        }
    }

    /// Whether a request may name this child: the peer knows it.
    fn may_name(&self, now: Instant, inbound: Spi) -> bool {
        let unheard = self.children.get(&inbound).and_then(|child| child.unheard);
        unheard.is_none_or(|unheard| unheard.until <= now)
    }

    /// Takes the next tasks, as many as there is room for (RFC 7296 §2.3).
    pub(crate) fn pump(&mut self, cx: &mut Cx<'_>, common: &mut Common) {
        // One that may turn out to be redundant begins nothing.
        if self.undecided.is_some() {
            return;
        }
        while let Some(task) = self.tasks.front() {
            let ours = self.jobs.values().filter(|job| job.holds_window()).count();
            let idle = self.requests.len() == 0
                && !self.jobs.values().any(|job| job.is_our_child_exchange() || job.is_our_ike_rekey());
            let exclusive_under_way = self.is_rekeying_ike()
                || self.is_answering_ike_rekey()
                || self.requests.iter().any(|sent| matches!(sent.purpose, Purpose::DeleteIke));
            // What waits for an answer now would be left behind on the old IKE SA.
            let unfinished = matches!(task, Task::RekeyIke { .. }) && !self.jobs.is_empty();
            if exclusive_under_way
                || unfinished
                || !self.requests.room(ours)
                || (task.is_exclusive() && !idle)
            {
                return;
            }
            let Some(task) = self.tasks.pop_front() else { return };
            self.begin(cx, common, task);
        }
        if self.is_idle() {
            cx.effects.extend(self.retires.take().map(Effect::Retire));
            // Most IKE SAs are idle most of the time: they keep their keys alone, not what works with them.
            self.channel.rest();
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>, common: &mut Common, task: Task) {
        match task {
            Task::RekeyChild { inbound, .. } | Task::DeleteChild { inbound, .. }
                if !self.may_name(cx.now, inbound) =>
            {
                self.later(cx, common, task);
            }
            Task::CreateChild { config, flow, retries } if self.phase == Phase::Open => {
                self.begin_child(cx, common, config, None, flow, retries);
            }
            Task::RekeyChild { inbound, retries } if self.phase == Phase::Open => {
                let Some(child) = self.children.get_mut(&inbound) else { return };
                if child.phase != ChildPhase::Open {
                    return;
                }
                child.phase = ChildPhase::Rekeying;
                child.rekey_at = None;
                let config = child.config.clone();
                self.begin_child(cx, common, config, Some(inbound), None, retries);
            }
            Task::RekeyIke { retries } if self.phase == Phase::Open && self.peer_ike_rekey.is_none() => {
                self.begin_rekey_ike(cx, common, retries);
            }
            Task::DeleteChild { inbound, ending } => self.begin_delete_child(cx, common, inbound, ending),
            Task::TellDeleted { protocol, inbound } => self.begin_tell_deleted(cx, common, protocol, inbound),
            Task::DeleteIke => self.begin_delete_ike(cx, common),
            // Any answer to any request is a sign of life.
            Task::TellInvalidSpi(spi) => self.begin_tell_invalid_spi(cx, common, spi),
            Task::Liveness if self.requests.len() == 0 => self.begin_liveness(cx, common),
            Task::Liveness | Task::CreateChild { .. } | Task::RekeyChild { .. } | Task::RekeyIke { .. } => {}
        }
    }

    /// Puts a task off for a while (RFC 7296 §2.25).
    pub(crate) fn later(&mut self, cx: &mut Cx<'_>, common: &mut Common, task: Task) {
        let (wait, jitter) = task.wait(common.role);
        let at = cx.now + cx.jittered(wait, jitter);
        self.deferred.push(Deferred { at, task });
        self.watch_deferred(common);
    }

    /// Takes up what was put off until now.
    fn take_deferred(&mut self, now: Instant, common: &mut Common) {
        let (due, waiting) = core::mem::take(&mut self.deferred).into_iter().partition(|it| it.at <= now);
        self.deferred = waiting;
        self.tasks.extend(Vec::into_iter(due).map(|it: Deferred| it.task));
        self.watch_deferred(common);
    }

    fn watch_deferred(&self, common: &mut Common) {
        if let Some(at) = self.deferred.iter().map(|it| it.at).min() {
            common.timers.insert(TimerKind::TaskRetry, at);
        }
    }

    /// Everything that is to be done yet.
    pub(crate) fn waiting_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().chain(self.deferred.iter().map(|it| &it.task))
    }

    /// For minutes the peer has put off what can be put off for seconds only: it has another notion of this IKE SA, which
    /// is closed (RFC 7296 §2.25). Where we know how to reach the peer, a new one is made first.
    pub(crate) fn out_of_step(&mut self, cx: &mut Cx<'_>, common: &mut Common) {
        if self.phase != Phase::Open {
            return;
        }
        match common.connection.config.first_path() {
            Some(_) => reauth::due(cx, common),
            None => self.tasks.push_back(Task::DeleteIke),
        }
    }

    pub(crate) fn is_rekeying_ike(&self) -> bool {
        self.jobs.values().any(Continuation::is_our_ike_rekey)
            || self.requests.iter().any(|sent| matches!(sent.purpose, Purpose::RekeyIke(_)))
    }

    /// Whether there is a child of this kind. One that was made under a former configuration stands for the one of its
    /// name.
    pub(crate) fn has(&self, config: &Arc<ChildConfig>, connection: &Connection) -> bool {
        let is_former = |kind: &Arc<ChildConfig>| !connection.children.iter().any(|it| Arc::ptr_eq(it, kind));
        self.children.values().any(|child| {
            Arc::ptr_eq(&child.config, config)
                || (child.config.name == config.name && is_former(&child.config))
        })
    }

    /// Whether a child of this kind is being made.
    pub(crate) fn awaits(&self, config: &Arc<ChildConfig>) -> bool {
        let mut tasks = self.waiting_tasks();
        let requests = self.requests.iter().filter_map(|sent| match &sent.purpose {
            Purpose::Child(request) => Some(request),
            _ => None,
        });
        let jobs = self.jobs.values().filter_map(|job| match job {
            Continuation::ChildStart(request) | Continuation::ChildComplete(request, _) => Some(request),
            _ => None,
        });
        tasks.any(|task| matches!(task, Task::CreateChild { config: it, .. } if Arc::ptr_eq(it, config)))
            || requests.chain(jobs).any(|request| Arc::ptr_eq(&request.config, config))
    }

    /// Whether our answer to the peer's rekey of the IKE SA is being worked out: what we began now would be left
    /// behind on the old one.
    fn is_answering_ike_rekey(&self) -> bool {
        self.jobs.values().any(|job| matches!(job, Continuation::IkeRespond(_)))
    }

    /// What we are doing to the IKE SA as a whole.
    pub(crate) fn ike_activity(&self) -> IkeActivity {
        let child_request =
            |sent: &Sent<Purpose>| matches!(sent.purpose, Purpose::Child(_) | Purpose::DeleteChild(_));
        if self.phase != Phase::Open {
            IkeActivity::Closing
        } else if self.is_rekeying_ike() || self.is_answering_ike_rekey() {
            IkeActivity::Rekeying
        } else if self.requests.iter().any(child_request)
            || self.jobs.values().any(Continuation::is_our_child_exchange)
        {
            IkeActivity::ChildExchange
        } else {
            IkeActivity::Idle
        }
    }

    /// What we are doing to one child.
    pub(crate) fn child_activity(&self, inbound: Option<Spi>) -> ChildActivity {
        match inbound.and_then(|inbound| self.children.get(&inbound)).map(|child| child.phase) {
            None => ChildActivity::Absent,
            Some(ChildPhase::Open | ChildPhase::Replaced) => ChildActivity::Idle,
            Some(ChildPhase::Rekeying) => ChildActivity::Rekeying,
            Some(ChildPhase::Deleting(_)) => ChildActivity::Closing,
        }
    }

    /// The same for a request to rekey it: one that we are about to delete takes no successor of the peer's any more.
    pub(crate) fn rekey_activity(&self, inbound: Option<Spi>) -> ChildActivity {
        let condemned = self.waiting_tasks().any(
            |task| matches!(task, Task::DeleteChild { inbound: condemned, .. } if Some(*condemned) == inbound),
        ) || self.jobs.values().any(|job| job.deletes(inbound));
        match self.child_activity(inbound) {
            ChildActivity::Idle | ChildActivity::Rekeying if condemned => ChildActivity::Closing,
            activity => activity,
        }
    }

    /// The child whose packets from us carry this SPI.
    pub(crate) fn by_outbound(&self, protocol: SecurityProtocol, outbound: Spi) -> Option<Spi> {
        let meant = |child: &&ChildSa| child.outbound == outbound && child.config.protocol() == protocol;
        self.children.values().find(meant).map(|child| child.inbound)
    }

    /// The peer takes this many requests at once (RFC 7296 §2.3).
    pub(crate) fn set_window(&mut self, data: &[u8]) {
        if let Ok(octets) = <[u8; 4]>::try_from(data) {
            self.requests.grow(u32::from_be_bytes(octets));
        }
    }

    /// A child is out of the table: its SPI is free, and the caller is told.
    pub(crate) fn closed(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        child: &ChildSa,
        reason: CloseReason,
    ) {
        // Which of two rekeys stands is still to be decided when the answer to ours comes.
        if let Some(theirs) = &child.peer_rekey
            && let Some(request) =
                self.child_requests().find(|request| request.replaces == Some(child.inbound))
        {
            request.peer_rekey = Some(theirs.clone());
        }
        cx.spis.release(child.inbound);
        common.event(Event::ChildClosed { inbound: child.inbound, outbound: child.outbound, reason });
    }

    /// Our requests for Child SAs, wherever they stand.
    fn child_requests(&mut self) -> impl Iterator<Item = &mut ChildRequest> {
        let sent = self.requests.iter_mut().filter_map(|(_, sent)| match &mut sent.purpose {
            Purpose::Child(request) => Some(request),
            _ => None,
        });
        let working = self.jobs.values_mut().filter_map(|job| match job {
            Continuation::ChildStart(request) | Continuation::ChildComplete(request, _) => Some(request),
            _ => None,
        });
        sent.chain(working).map(|request| &mut **request)
    }

    pub(crate) fn close_children(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        reason: impl Fn() -> CloseReason,
    ) {
        for child in core::mem::take(&mut self.children).into_values() {
            self.closed(cx, common, &child, reason());
        }
        // And those that will not come about.
        for offer in self.child_requests().filter_map(|request| request.offer.take()) {
            release_spi(cx, common, offer.spi);
        }
    }

    /// Ends the IKE SA; retransmissions are still answered for a while.
    fn end(mut self: Box<Self>, cx: &mut Cx<'_>, common: &mut Common, reason: CloseReason) -> State {
        self.close_children(cx, common, || CloseReason::IkeClosed);
        common.event(Event::IkeClosed { reason });
        // Without an answer to ours, what the peer would have put in this one's place has nothing to inherit.
        cx.effects.extend(self.peer_ike_rekey.take().map(|theirs| Effect::Redundant(theirs.handle)));
        let Self { channel, responses, .. } = *self;
        Closing::begin(cx, common, channel, responses)
    }

    pub(crate) fn on_message(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        message: Incoming<'_>,
    ) -> Step {
        let header = message.header;
        let id = header.message_id;
        let response = header.flags.is_response();
        if let Err(why) = self.precheck(common, &message) {
            return Step::discard(State::Established(self), why);
        }
        let inner = self.channel.open(&header, message.data);
        let piece = match &inner {
            None => return Step::discard(State::Established(self), Discarded::Integrity),
            Some(Inner::Piece(number)) => Some(*number),
            Some(Inner::Whole { .. }) => None,
        };
        let known = !response && self.responses.standing(id) != Standing::New;
        if !known {
            // What is replayed is no sign of life.
            self.last_heard = cx.now;
        }
        if !response {
            match (self.responses.standing(id), self.responses.answered(id)) {
                (Standing::New, _) if piece.is_none() => {
                    if let (Some(parent), Some(inner)) = (self.undecided, &inner)
                        && !deletes_ike(cx, inner)
                    {
                        // The peer has decided for this one: it takes over, and the request is taken when it comes
                        // again.
                        cx.effects.push(Effect::Decided { parent, heir: common.handle });
                        return Step::discard(State::Established(self), Discarded::Busy);
                    }
                    self.responses.begin(id);
                    self.reply_paths.insert(id, message.path);
                    self.heard(id, common.connection.config.window);
                }
                (Standing::New, _) => {}
                (Standing::Answered, Some(datagrams)) => {
                    // A retransmission in pieces is answered once (RFC 7383 §2.6.1).
                    if matches!(piece, None | Some(1)) {
                        let path = message.path;
                        common.trace_sent(cx, header.exchange_type, true, id, "SK{..}", datagrams, true);
                        common.transmit_on(path, datagrams);
                    }
                    self.channel.forget_pieces(false, id);
                    self.answered(cx.now, id);
                    return Step::done(State::Established(self));
                }
                (Standing::Busy, _) => return Step::discard(State::Established(self), Discarded::Busy),
                _ => return Step::discard(State::Established(self), Discarded::OldMessageId(id)),
            }
        }
        let Some(Inner::Whole { first, octets, offset, .. }) = inner else {
            return Step::done(State::Established(self));
        };
        self.follow(cx.now, common, message.path);
        let chain = PayloadChain::parse(first, &octets, offset, &cx.config.limits);
        let ends = match chain {
            Ok(chain) => {
                common.trace_received(cx, &header, || sk_names(&chain, response));
                if response {
                    self.on_response(cx, common, id, &chain)
                } else {
                    self.on_request(cx, common, id, header.exchange_type, &chain)
                }
            }
            Err(error) => {
                let error = Error::from(error);
                if !response {
                    self.respond(cx, common, id, header.exchange_type, &[error_payload(&error, None)]);
                }
                Some(CloseReason::Failed(Box::new(error)))
            }
        };
        match ends {
            Some(reason) => Step::done(self.end(cx, common, reason)),
            None => {
                self.pump(cx, common);
                Step::done(State::Established(self))
            }
        }
    }

    /// What can be told without a key.
    fn precheck(&self, common: &Common, message: &Incoming<'_>) -> Result<(), Discarded> {
        let header = &message.header;
        let id = header.message_id;
        if header.flags.is_initiator() == (common.role == Role::Initiator) {
            return Err(Discarded::Reflected);
        }
        if header.initiator_spi != self.channel.spi_i || header.responder_spi != self.channel.spi_r {
            return Err(Discarded::UnknownSpi);
        }
        if header.exchange_type == ExchangeType::IKE_SA_INIT {
            return Err(Discarded::Unexpected);
        }
        if header.flags.is_response() {
            return match self.requests.exchange(id) {
                None => Err(Discarded::OldMessageId(id)),
                Some(exchange) if exchange != header.exchange_type => Err(Discarded::Unexpected),
                Some(_) => Ok(()),
            };
        }
        match self.responses.standing(id) {
            Standing::Old => Err(Discarded::OldMessageId(id)),
            Standing::Far => Err(Discarded::FarMessageId(id)),
            Standing::New | Standing::Answered | Standing::Busy => Ok(()),
        }
    }

    /// Follows a peer behind a NAT to its new address: only on authentic messages that were not seen before, and not
    /// when a NAT stands before us (RFC 7296 §2.23).
    pub(crate) fn follow(&mut self, now: Instant, common: &mut Common, path: Path) -> bool {
        let follows = common.nat.remote_behind_nat && !common.nat.local_behind_nat;
        if path == common.path || !follows || path.transport != common.path.transport {
            return false;
        }
        // A peer that hops about is answered where it is, and followed at its next message after a pause.
        let (per_second, burst) = PATH_CHANGES;
        if !self.rates.path.take(now, per_second, burst) {
            return false;
        }
        common.path = path;
        // Our requests went to the old address, where nobody may have been for a while: that says nothing of the peer.
        for (_, sent) in self.requests.iter_mut() {
            sent.retransmission.moved(now);
        }
        for child in self.children.values() {
            common.event(Event::ChildMoved(SaUpdate {
                inbound: child.inbound,
                outbound: child.outbound,
                outer: path.outer(),
            }));
        }
        true
    }

    fn on_request(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        id: u32,
        exchange: ExchangeType,
        chain: &PayloadChain<'_>,
    ) -> Option<CloseReason> {
        if let Some(payload_type) = chain.unsupported_critical() {
            let error = Error::InvalidMessage(InvalidMessage::Critical(payload_type));
            self.respond(cx, common, id, exchange, &[error_payload(&error, None)]);
            return None;
        }
        match exchange {
            ExchangeType::CREATE_CHILD_SA if !self.may_ask(cx.now, common) => {
                self.refuse(cx, common, id, NotifyType::TEMPORARY_FAILURE);
            }
            ExchangeType::CREATE_CHILD_SA if is_about_ike(chain) => {
                self.on_ike_request(cx, common, id, chain);
            }
            ExchangeType::CREATE_CHILD_SA => self.on_child_request(cx, common, id, chain),
            ExchangeType::INFORMATIONAL => return self.on_informational(cx, common, id, chain),
            // Authentic, but nothing that this SA has been told about: refused, and the SA stays.
            _ => {
                let error = Error::InvalidMessage(InvalidMessage::Exchange(exchange));
                self.respond(cx, common, id, exchange, &[error_payload(&error, None)]);
            }
        }
        None
    }

    /// Whether the peer's CREATE_CHILD_SA is within its rate.
    fn may_ask(&mut self, now: Instant, common: &Common) -> bool {
        let Rate { per_second, burst } = common.connection.config.create_child_rate;
        self.rates.create_child.take(now, per_second, burst)
    }

    fn on_response(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        id: u32,
        chain: &PayloadChain<'_>,
    ) -> Option<CloseReason> {
        let sent = self.requests.take(id)?;
        if let Some(window) = chain.notify(NotifyType::SET_WINDOW_SIZE) {
            self.set_window(window.data);
        }
        match sent.purpose {
            Purpose::Child(request) => self.on_child_response(cx, common, request, chain),
            Purpose::RekeyIke(request) => self.on_ike_response(cx, common, request, chain),
            Purpose::DeleteChild(inbound) => self.on_child_deleted(cx, common, inbound),
            Purpose::Liveness | Purpose::TellDeleted | Purpose::TellInvalidSpi => {}
            Purpose::DeleteIke => {
                return Some(match self.phase {
                    Phase::Replaced => CloseReason::Rekeyed,
                    Phase::Redundant => CloseReason::Redundant,
                    Phase::Open | Phase::Deleting => CloseReason::Local,
                });
            }
        }
        None
    }

    pub(crate) fn on_answer(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        op: OpId,
        answer: Answer,
    ) -> State {
        match self.jobs.remove(&op) {
            Some(Continuation::ChildStart(request)) => self.child_started(cx, common, request, answer),
            Some(Continuation::ChildComplete(request, child)) => {
                self.child_completed(cx, common, request, *child, answer);
            }
            Some(Continuation::ChildRespond(response)) => self.child_responded(cx, common, *response, answer),
            Some(Continuation::IkeStart(request)) => self.ike_started(cx, common, request, answer),
            Some(Continuation::IkeComplete(request, ike)) => {
                self.ike_completed(cx, common, &request, &ike, answer);
            }
            Some(Continuation::IkeRespond(response)) => self.ike_responded(cx, common, *response, answer),
            Some(Continuation::Installed { inbound, after }) => {
                if let Answer::Installed(result) = answer {
                    self.installed(cx, common, inbound, after, result);
                }
            }
            None => {}
        }
        self.pump(cx, common);
        State::Established(self)
    }

    pub(crate) fn on_timeout(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        due: &[TimerKind],
    ) -> State {
        for kind in due {
            match kind {
                TimerKind::RekeyIke => self.tasks.push_back(Task::RekeyIke { retries: 0 }),
                TimerKind::HardIke => match self.phase {
                    Phase::Open => return self.end(cx, common, CloseReason::Expired),
                    Phase::Redundant => return self.end(cx, common, CloseReason::Redundant),
                    Phase::Replaced | Phase::Deleting => self.tasks.push_back(Task::DeleteIke),
                },
                TimerKind::Reauth if self.phase == Phase::Open => reauth::due(cx, common),
                TimerKind::TaskRetry => self.take_deferred(cx.now, common),
                TimerKind::Liveness => self.on_liveness_due(cx, common),
                TimerKind::Keepalive => {
                    let path = common.path;
                    if path.has_marker() {
                        common.out.push_back(crate::ike_sa::Queued::Transmit { path, data: vec![0xff] });
                    }
                    if let Some(time) = common.connection.config.nat_keepalive {
                        common.timers.insert(TimerKind::Keepalive, cx.now + time);
                    }
                }
                TimerKind::SetUp | TimerKind::Linger | TimerKind::Reauth => {}
            }
        }
        let mut expired = Vec::new();
        for child in self.children.values_mut() {
            let inbound = child.inbound;
            if child.rekey_at.is_some_and(|at| at <= cx.now) {
                child.rekey_at = None;
                self.tasks.push_back(Task::RekeyChild { inbound, retries: 0 });
            }
            if child.expires_at.is_some_and(|at| at <= cx.now) {
                expired.push(inbound);
            }
        }
        for inbound in expired {
            // Not one packet more, whether or not the peer can be told.
            let Some(child) = self.children.remove(&inbound) else { continue };
            self.closed(cx, common, &child, CloseReason::Expired);
            if !matches!(child.phase, ChildPhase::Deleting(_)) {
                self.tasks.push_back(Task::TellDeleted { protocol: child.config.protocol(), inbound });
            }
        }
        if let Some(error) = self.retransmit(cx, common) {
            let reason = match self.phase {
                // It was only to be told that this one is over; it may have known.
                Phase::Replaced => CloseReason::Rekeyed,
                Phase::Redundant => CloseReason::Redundant,
                Phase::Open | Phase::Deleting => CloseReason::Failed(Box::new(error)),
            };
            return self.end(cx, common, reason);
        }
        self.pump(cx, common);
        State::Established(self)
    }

    fn on_liveness_due(&mut self, cx: &Cx<'_>, common: &mut Common) {
        let Some(interval) = common.connection.config.liveness else { return };
        let at = self.last_heard + interval;
        if at <= cx.now {
            self.tasks.push_back(Task::Liveness);
            common.timers.insert(TimerKind::Liveness, cx.now + interval);
        } else {
            common.timers.insert(TimerKind::Liveness, at);
        }
    }

    /// Sends what is due again; `Some` when the peer has failed.
    fn retransmit(&mut self, cx: &mut Cx<'_>, common: &mut Common) -> Option<Error> {
        let path = common.path;
        for (id, sent) in self.requests.iter_mut() {
            if sent.retransmission.due().is_none_or(|at| at > cx.now) {
                continue;
            }
            match sent.retransmission.next(cx.now, cx.rng) {
                RetransmitStep::Retry => {
                    common.trace_sent(cx, sent.exchange, false, id, "SK{..}", &sent.datagrams, true);
                    for datagram in &sent.datagrams {
                        let data = marked(&path, datagram);
                        common.out.push_back(crate::ike_sa::Queued::Transmit { path, data });
                    }
                }
                RetransmitStep::GiveUp => {
                    let tries = sent.retransmission.sent_again().saturating_add(1);
                    return Some(Error::TimedOut { exchange: sent.exchange, tries });
                }
            }
        }
        None
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let children =
            self.children.values().flat_map(|child| [child.rekey_at, child.expires_at]).flatten().min();
        [children, self.requests.due()].into_iter().flatten().min()
    }
}

/// Whether an opened message deletes the IKE SA it came on.
fn deletes_ike(cx: &Cx<'_>, inner: &Inner<'_>) -> bool {
    let Inner::Whole { first, octets, offset, .. } = inner else { return false };
    let chain = PayloadChain::parse(*first, octets, *offset, &cx.config.limits);
    chain.is_ok_and(|chain| {
        chain.payloads().any(|payload| {
            matches!(payload.kind(), PayloadKind::Delete(delete) if delete.protocol == ProtocolId::IKE)
        })
    })
}
