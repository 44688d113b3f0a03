//! CREATE_CHILD_SA for the IKE SA itself, in both roles (RFC 7296 §1.3.2, §2.8.2, §2.18, §2.25.2).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use ipsec_crypto::{ActiveKeyExchange, CryptoError, Secret};
use ipsec_sa::Role;
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::{ExchangeType, KeId, NotifyType, Payload, PayloadChain, ProtocolId, Sa};

use super::child::{ChildPayloads, error_notify, error_payload, ke_payload};
use super::refuse::{Refused, refused};
use super::task::{Continuation, Purpose, Task};
use crate::channel::Channel;
use crate::collide::{CollisionAnswer, Redundant, lower_nonce_pair_loses, rekey_ike_request};
use crate::context::{Cx, Effect};
use crate::diagnosis::Diagnosis;
use crate::error::{Error, Misbehaviour};
use crate::event::Event;
use crate::ike_sa::{Common, IkeSa, TimerKind};
use crate::io::IkeHandle;
use crate::job::{Answer, KeyExchangeJob, Request};
use crate::keys::{Seed, derive_sk};
use crate::negotiate::proposal::{Chosen, accept, choose, offer};
use crate::state::State;
use crate::state::established::{Established, Phase};
use crate::table::Table;

/// How long a replaced IKE SA waits for its deletion by the peer before it asks for it itself.
pub(crate) const REPLACED_GRACE: Duration = Duration::from_secs(60);

/// How long one that lost against another waits for its deletion by the peer. Then it goes without a word: the peer may
/// never have concluded the exchange that made it, and would not know what is meant.
pub(crate) const REDUNDANT_GRACE: Duration = Duration::from_secs(20);

/// A request of ours that is being made, is out, or is being concluded.
#[derive(Clone)]
pub(crate) struct IkeRequest {
    pub(crate) spi: IkeSpi,
    pub(crate) offer: Sa,
    pub(crate) ni: Vec<u8>,
    pub(crate) ke: KeId,
    pub(crate) tried: Vec<KeId>,
    pub(crate) active: Option<Arc<dyn ActiveKeyExchange>>,
    pub(crate) retries: u8,
}

/// What the peer answered.
#[derive(Clone, Debug)]
pub(crate) struct IkeAnswer {
    pub(crate) chosen: Chosen,
    pub(crate) nr: Vec<u8>,
}

/// A request of the peer's that is being answered.
#[derive(Clone, Debug)]
pub(crate) struct IkeResponse {
    pub(crate) id: u32,
    pub(crate) chosen: Chosen,
    pub(crate) ni: Vec<u8>,
    pub(crate) ke: KeId,
}

/// The peer's own rekey, answered while ours was on its way.
#[derive(Clone, Debug)]
pub(crate) struct PeerIkeRekey {
    pub(crate) handle: IkeHandle,
    pub(crate) ni: Vec<u8>,
    pub(crate) nr: Vec<u8>,
}

impl core::fmt::Debug for IkeRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IkeRequest").field("spi", &self.spi).field("ke", &self.ke).finish_non_exhaustive()
    }
}

impl Established {
    /// Begins [`Task::RekeyIke`].
    pub(crate) fn begin_rekey_ike(&mut self, cx: &mut Cx<'_>, common: &Common, retries: u8) {
        let spi = cx.ike_spi();
        let suites = &common.connection.config.suites;
        let offer = offer(suites, ProtocolId::IKE, &spi.0, cx.provider, true);
        // The method in use is the likeliest to be accepted again.
        let ke = self.channel.suite.ke;
        let request =
            Box::new(IkeRequest { spi, offer, ni: cx.nonce(), ke, tried: vec![ke], active: None, retries });
        self.start_rekey_ike(cx, request);
    }

    fn start_rekey_ike(&mut self, cx: &mut Cx<'_>, request: Box<IkeRequest>) {
        let op = cx.job(Request::KeyExchange(KeyExchangeJob::Start { method: request.ke }));
        self.jobs.insert(op, Continuation::IkeStart(request));
    }

    /// The first half of our key exchange is there.
    pub(crate) fn ike_started(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut request: Box<IkeRequest>,
        answer: Answer,
    ) {
        let Answer::Started(started) = answer else { return };
        let active = match started {
            Ok(active) => active,
            Err(error) => return self.rekey_failed(cx, common, error.into()),
        };
        let payloads = [
            Payload::Sa(request.offer.clone()),
            Payload::Nonce(request.ni.clone()),
            ke_payload(request.ke, active.public()),
        ];
        request.active = Some(Arc::from(active));
        self.request(cx, common, ExchangeType::CREATE_CHILD_SA, &payloads, Purpose::RekeyIke(request));
    }

    /// The peer's answer to our request.
    pub(crate) fn on_ike_response(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut request: Box<IkeRequest>,
        chain: &PayloadChain<'_>,
    ) {
        if let Some((notify, data)) = error_notify(chain) {
            return self.on_ike_refused(cx, common, request, notify, data);
        }
        let found = ChildPayloads::read(chain);
        let reading = found.nonce().and_then(|nr| {
            let chosen = accept(&request.offer, found.sa()?, ProtocolId::IKE, cx.provider)
                .map_err(|why| Error::PeerIncompatible(Box::new(Diagnosis::NoProposal(*why))))?;
            let (method, peer) = found.ke.ok_or(Error::PeerMisbehaved(Misbehaviour::KeMismatch))?;
            if chosen.ke != Some(method) || method != request.ke || peer_spi(&chosen).is_none() {
                return Err(Error::PeerMisbehaved(Misbehaviour::KeMismatch));
            }
            Ok((Box::new(IkeAnswer { chosen, nr: nr.to_vec() }), peer.to_vec()))
        });
        match (reading, request.active.take()) {
            (Ok((answer, peer)), Some(active)) => {
                let op = cx.job(Request::KeyExchange(KeyExchangeJob::Complete { active, peer }));
                self.jobs.insert(op, Continuation::IkeComplete(request, answer));
            }
            (Err(error), _) => self.rekey_failed(cx, common, error),
            (Ok(_), None) => {}
        }
    }

    fn on_ike_refused(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut request: Box<IkeRequest>,
        notify: NotifyType,
        data: &[u8],
    ) {
        match refused(notify, data, &common.connection.config.suites, &request.tried, request.retries) {
            Refused::OtherMethod(ke) => {
                request.ke = ke;
                request.tried.push(ke);
                self.start_rekey_ike(cx, request);
            }
            Refused::BadMethod => {
                self.rekey_failed(cx, common, Error::PeerMisbehaved(Misbehaviour::KeUnoffered));
            }
            Refused::Later if self.peer_ike_rekey.is_none() => {
                let retries = request.retries + 1;
                self.later(cx, common, Task::RekeyIke { retries });
            }
            Refused::Later | Refused::ForGood => {
                if notify == NotifyType::TEMPORARY_FAILURE && self.peer_ike_rekey.is_none() {
                    self.out_of_step(cx, common);
                }
                let data = data.iter().copied().take(64).collect();
                self.rekey_failed(cx, common, Error::NotifyReceived { notify, data });
            }
        }
    }

    /// Ours came to nothing. If the peer's own has succeeded meanwhile, that one counts.
    fn rekey_failed(&mut self, cx: &mut Cx<'_>, common: &mut Common, error: Error) {
        if self.phase != Phase::Open {
            return;
        }
        if let Some(theirs) = self.peer_ike_rekey.take() {
            return self.hand_over(cx, common, theirs.handle, false);
        }
        common.event(Event::ChildFailed {
            child: common.connection.config.name.clone(),
            error: Box::new(error),
        });
    }

    /// The second half of our key exchange is there: the new IKE SA is made, and simultaneous rekeys are resolved.
    pub(crate) fn ike_completed(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        request: &IkeRequest,
        answer: &IkeAnswer,
        done: Answer,
    ) {
        let Answer::Completed(shared) = done else { return };
        let Some(spi_r) = peer_spi(&answer.chosen) else { return };
        let made = shared.map_err(Error::from).and_then(|shared| {
            let keying = NewKeys { shared: &shared, ni: &request.ni, nr: &answer.nr };
            self.make_ike(cx, common, &answer.chosen, Role::Initiator, request.spi, spi_r, &keying)
        });
        let mut ike_sa = match made {
            Ok(ike_sa) => ike_sa,
            Err(error) => return self.rekey_failed(cx, common, error),
        };
        let ours = ike_sa.common.handle;
        let theirs = self.peer_ike_rekey.take();
        let verdict = theirs
            .as_ref()
            .map(|theirs| lower_nonce_pair_loses([&request.ni, &answer.nr], [&theirs.ni, &theirs.nr]));
        match (theirs, verdict) {
            // Ours is redundant: we close it, the peer closes the old one, the peer's inherits.
            (Some(theirs), Some(Redundant::Ours)) => {
                if let State::Established(established) = &mut ike_sa.state {
                    established.phase = Phase::Redundant;
                    established.tasks.push_back(Task::DeleteIke);
                }
                cx.effects.push(Effect::Spawn(ike_sa));
                self.hand_over(cx, common, theirs.handle, false);
            }
            // The peer has used its own meanwhile.
            (None, _) if self.phase != Phase::Open => {
                if let State::Established(established) = &mut ike_sa.state {
                    established.phase = Phase::Redundant;
                    established.tasks.push_back(Task::DeleteIke);
                }
                cx.effects.push(Effect::Spawn(ike_sa));
            }
            (theirs, _) => {
                cx.effects.push(Effect::Spawn(ike_sa));
                cx.effects.extend(theirs.map(|theirs| Effect::Redundant(theirs.handle)));
                self.hand_over(cx, common, ours, true);
            }
        }
    }

    /// This IKE SA is replaced; whoever made the new one deletes the old one.
    pub(crate) fn hand_over(&mut self, cx: &mut Cx<'_>, common: &mut Common, to: IkeHandle, we_delete: bool) {
        self.phase = Phase::Replaced;
        common.timers.remove(&TimerKind::RekeyIke);
        common.timers.remove(&TimerKind::Liveness);
        common.timers.insert(TimerKind::HardIke, cx.now + REPLACED_GRACE);
        // Who wanted this IKE SA deleted wants its heir deleted.
        let (tasks, own): (VecDeque<Task>, VecDeque<Task>) = core::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|task| task.is_about_children() || matches!(task, Task::DeleteIke));
        self.tasks = own;
        let mut tasks: Vec<Task> = Vec::from(tasks);
        let deferred = core::mem::take(&mut self.deferred).into_iter().map(|it| it.task);
        tasks.extend(deferred.filter(Task::is_about_children));
        let mut children = core::mem::take(&mut self.children);
        for child in children.values_mut() {
            // The peer takes part in no rekey of the IKE SA while it waits for an answer (RFC 7296 §2.25.1).
            child.unheard = None;
        }
        cx.effects.push(Effect::Inherit { from: common.handle, to, children, tasks });
        common.event(Event::IkeRekeyed { replaced_by: to });
        if we_delete {
            self.tasks.push_front(Task::DeleteIke);
        }
    }

    /// The peer asks to replace the IKE SA.
    pub(crate) fn on_ike_request(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        id: u32,
        chain: &PayloadChain<'_>,
    ) {
        let exchange = ExchangeType::CREATE_CHILD_SA;
        // A second one, or one amid other work, is put off (RFC 7296 §2.25.2).
        let busy = self.peer_ike_rekey.is_some() || !self.jobs.values().all(Continuation::is_our_ike_rekey);
        if busy || rekey_ike_request(self.ike_activity()) == CollisionAnswer::TemporaryFailure {
            return self.refuse(cx, common, id, NotifyType::TEMPORARY_FAILURE);
        }
        let found = ChildPayloads::read(chain);
        let reading = found.nonce().and_then(|ni| {
            let preferred = found.ke.map(|(method, _)| method);
            let suites = &common.connection.config.suites;
            let chosen = choose(suites, found.sa()?, ProtocolId::IKE, 8, cx.provider, preferred, true)
                .map_err(|why| Error::PeerIncompatible(Box::new(Diagnosis::NoProposal(*why))))?;
            Ok((ni.to_vec(), chosen))
        });
        let (ni, chosen) = match reading {
            Ok(reading) => reading,
            Err(error) => {
                let payload = error_payload(&error, None);
                return self.respond(cx, common, id, exchange, &[payload]);
            }
        };
        match (chosen.ke, found.ke) {
            (Some(ke), Some((method, peer))) if ke == method => {
                let peer = peer.to_vec();
                let op = cx.job(Request::KeyExchange(KeyExchangeJob::Respond { method, peer }));
                let response = Box::new(IkeResponse { id, chosen, ni, ke });
                self.jobs.insert(op, Continuation::IkeRespond(response));
            }
            (Some(ke), _) => {
                self.refuse_method(cx, common, id, ke);
            }
            (None, _) => {
                self.refuse(cx, common, id, NotifyType::NO_PROPOSAL_CHOSEN);
            }
        }
    }

    /// Our half of the peer's key exchange is there.
    pub(crate) fn ike_responded(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        response: IkeResponse,
        answer: Answer,
    ) {
        let exchange = ExchangeType::CREATE_CHILD_SA;
        let Answer::Responded(result) = answer else { return };
        let IkeResponse { id, chosen, ni, ke } = response;
        if self.phase != Phase::Open {
            // Ours was done first: this one is on its way out (RFC 7296 §2.8.2).
            return self.refuse(cx, common, id, NotifyType::TEMPORARY_FAILURE);
        }
        let spi_r = cx.ike_spi();
        let nr = cx.nonce();
        let made = result.map_err(Error::from).and_then(|(public, shared)| {
            let spi_i = peer_spi(&chosen).ok_or(Error::PeerMisbehaved(Misbehaviour::KeMismatch))?;
            let keying = NewKeys { shared: &shared, ni: &ni, nr: &nr };
            let ike_sa = self.make_ike(cx, common, &chosen, Role::Responder, spi_i, spi_r, &keying)?;
            Ok((public, ike_sa))
        });
        let (public, mut ike_sa) = match made {
            Ok(made) => made,
            Err(error) => {
                let payload = error_payload(&error, None);
                return self.respond(cx, common, id, exchange, &[payload]);
            }
        };
        let payloads =
            [Payload::Sa(chosen.to_sa(&spi_r.0)), Payload::Nonce(nr.clone()), ke_payload(ke, &public)];
        let handle = ike_sa.common.handle;
        let undecided = self.is_rekeying_ike();
        if let (true, State::Established(new)) = (undecided, &mut ike_sa.state) {
            new.undecided = Some(common.handle);
        }
        cx.effects.push(Effect::Spawn(ike_sa));
        if undecided {
            // Who inherits is decided when the answer to ours is there (RFC 7296 §2.8.2), or when the peer uses its own.
            self.peer_ike_rekey = Some(PeerIkeRekey { handle, ni, nr });
        } else {
            self.hand_over(cx, common, handle, false);
        }
        self.respond(cx, common, id, exchange, &payloads);
    }

    #[expect(clippy::too_many_arguments, reason = "the whole outcome of one exchange")]
    fn make_ike(
        &self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        chosen: &Chosen,
        role: Role,
        spi_i: IkeSpi,
        spi_r: IkeSpi,
        keying: &NewKeys<'_>,
    ) -> Result<Box<IkeSa>, Error> {
        let suite = chosen.ike_suite(cx.provider).ok_or(CryptoError::Unsupported)?;
        let seed =
            Seed::Rekey { prf: self.channel.suite.prf, sk_d: &self.channel.keys.d, shared: &[keying.shared] };
        let keys = derive_sk(&suite, seed, keying.ni, keying.nr, spi_i, spi_r)?;
        let mut channel = Channel::new(spi_i, spi_r, role, suite, chosen.to_string(), keys)?;
        channel.fragment_len = self.channel.fragment_len;
        common.log_ike_keys(cx, &channel);
        let mut new = Common {
            handle: cx.ids.handle(),
            role,
            spi_i,
            spi_r,
            path: common.path,
            connection: common.connection.clone(),
            nat: common.nat,
            timers: Table::new(),
            out: VecDeque::new(),
        };
        let mut established = Established::new(cx, &mut new, channel, self.remote_id.clone(), 0, 0);
        if let Some(renewal) = self.renewal {
            established.renew_by(&mut new, renewal);
        }
        Ok(Box::new(IkeSa { common: new, state: State::Established(Box::new(established)) }))
    }
}

/// What a new IKE SA's keys are made from, besides the old one's.
struct NewKeys<'a> {
    shared: &'a Secret,
    ni: &'a [u8],
    nr: &'a [u8],
}

/// The new IKE SPI in the peer's proposal.
fn peer_spi(chosen: &Chosen) -> Option<IkeSpi> {
    <[u8; 8]>::try_from(chosen.spi.as_slice()).ok().map(IkeSpi).filter(|spi| !spi.is_zero())
}
