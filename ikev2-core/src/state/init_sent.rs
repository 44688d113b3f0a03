//! Initiator, IKE_SA_INIT (RFC 7296 §1.2): make the request, send it, follow cookies and INVALID_KE_PAYLOAD, and turn
//! a valid answer into a candidate for IKE_AUTH.
//!
//! Nothing here is authenticated. An error notify is a hint (§2.21.1): it shortens the wait and is named when nothing
//! better comes. The private exponent outlives the first answer, so that a forged one cannot kill the set-up (§2.4).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ipsec_crypto::{ActiveKeyExchange, CryptoError};
use ipsec_sa::{Flow, Instant, Role};
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::{
    ExchangeType, Flags, Ke, KeId, MessageBuilder, MessageView, Notify, NotifyType, Payload, PayloadKind,
    PayloadType, ProtocolId, Sa,
};

use super::State;
use super::auth_sent::AuthSent;
use super::candidate::Candidate;
use crate::channel::Channel;
use crate::context::Cx;
use crate::diagnosis::Diagnosis;
use crate::error::{Error, Misbehaviour};
use crate::exchange::MAX_SET_UP_RETRIES;
use crate::exchange::child::notify;
use crate::exchange::intermediate;
use crate::exchange::retransmit::{Retransmission, RetransmitStep};
use crate::ike_sa::{Common, Incoming, Step, TimerKind, fail};
use crate::io::{Discarded, IkeHandle};
use crate::job::{Answer, KeyExchangeJob, OpId, Request};
use crate::keys::{Seed, derive_sk};
use crate::natd::{self, NatStatus};
use crate::negotiate::proposal::{Chosen, accept, offer};
use crate::path::Path;
use crate::trace;

/// What the initiator knows and waits for until the peer has proven itself.
#[derive(Clone)]
pub(crate) struct InitSent {
    /// Method of the KE payload.
    pub(crate) ke: KeId,
    /// Methods already tried, in order.
    pub(crate) tried: Vec<KeId>,
    /// The private half.
    pub(crate) active: Option<Arc<dyn ActiveKeyExchange>>,
    pub(crate) ni: Vec<u8>,
    pub(crate) offer: Sa,
    pub(crate) cookie: Option<Vec<u8>>,
    /// The request as sent last: AUTH covers it.
    pub(crate) request: Vec<u8>,
    pub(crate) retransmission: Option<Retransmission>,
    /// How often the peer has had us start again.
    pub(crate) retries: u8,
    /// The last unprotected error.
    pub(crate) hint: Option<Error>,
    /// Which child comes with IKE_AUTH, and the packet that asked for it.
    pub(crate) first_child: Option<usize>,
    pub(crate) flow: Option<Flow>,
    /// Whether we have no other IKE SA with this peer.
    pub(crate) initial_contact: bool,
    /// The IKE SA whose authentication this one is to renew.
    pub(crate) replaces: Option<IkeHandle>,
    pub(crate) job: Job,
}

/// The step under way.
#[derive(Clone)]
pub(crate) enum Job {
    None,
    Start(OpId),
    Complete(OpId, Box<Answered>),
}

/// A valid answer whose shared secret is being worked out.
#[derive(Clone)]
pub(crate) struct Answered {
    pub(crate) spi_r: IkeSpi,
    pub(crate) response: Vec<u8>,
    pub(crate) nr: Vec<u8>,
    pub(crate) chosen: Chosen,
    pub(crate) nat: NatStatus,
    pub(crate) path: Path,
    pub(crate) childless: bool,
    pub(crate) fragmentation: bool,
    pub(crate) intermediate: bool,
}

impl core::fmt::Debug for InitSent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InitSent")
            .field("ke", &self.ke)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// What an IKE_SA_INIT answer comes to.
enum Reading {
    Cookie(Vec<u8>),
    OtherKe(KeId),
    Hint(Error),
    Valid { answered: Box<Answered>, peer: Vec<u8> },
}

impl InitSent {
    /// Begins a set-up: asks for the private half of the most wanted method.
    pub(crate) fn start(
        cx: &mut Cx<'_>,
        common: &Common,
        first_child: Option<usize>,
        flow: Option<Flow>,
        initial_contact: bool,
    ) -> Option<Self> {
        let suites = &common.connection.config.suites;
        let offer = offer(suites, ProtocolId::IKE, &[], cx.provider, true);
        let ke = methods(&offer).next()?;
        let op = cx.job(Request::KeyExchange(KeyExchangeJob::Start { method: ke }));
        Some(Self {
            ke,
            tried: vec![ke],
            active: None,
            ni: cx.nonce(),
            offer,
            cookie: None,
            request: Vec::new(),
            retransmission: None,
            retries: 0,
            hint: None,
            first_child,
            flow,
            initial_contact,
            replaces: None,
            job: Job::Start(op),
        })
    }

    fn send(&mut self, cx: &mut Cx<'_>, common: &mut Common) {
        let Some(active) = &self.active else { return };
        let mut builder =
            MessageBuilder::new(common.spi_i, IkeSpi::ZERO, ExchangeType::IKE_SA_INIT, Flags::INITIATOR, 0);
        // The cookie comes first (RFC 7296 §2.6).
        if let Some(cookie) = &self.cookie {
            builder.push(Payload::Notify(Notify::new(NotifyType::COOKIE, cookie.clone())));
        }
        builder.push(Payload::Sa(self.offer.clone()));
        builder.push(Payload::Ke(Ke::new(self.ke, active.public())));
        builder.push(Payload::Nonce(self.ni.clone()));
        for notify in nat_detection(cx, common, common.spi_i, IkeSpi::ZERO) {
            builder.push(notify);
        }
        if cx.config.fragment_size.is_some() {
            builder.push(notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED));
        }
        // Only where there is a use for it (RFC 9242 §3.1).
        if !intermediate::plan(&common.connection.config).is_empty() {
            builder.push(notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED));
        }
        self.request = builder.emit();
        self.retransmission = Some(Retransmission::start(cx.now, &cx.config.retransmit, cx.rng));
        self.transmit(cx, common, false);
    }

    /// Our request goes out again, though it has been answered: by whom is not known.
    pub(crate) fn ask_again(&mut self, cx: &mut Cx<'_>) {
        if self.retransmission.is_none() {
            self.retransmission = Some(Retransmission::start(cx.now, &cx.config.retransmit, cx.rng));
        }
    }

    /// What is due of [`Self::ask_again`].
    pub(crate) fn on_asked_again(&mut self, cx: &mut Cx<'_>, common: &mut Common) {
        let Some(retransmission) = &mut self.retransmission else { return };
        if retransmission.due().is_some_and(|at| at <= cx.now) {
            match retransmission.next(cx.now, cx.rng) {
                RetransmitStep::Retry => self.transmit(cx, common, true),
                RetransmitStep::GiveUp => self.retransmission = None,
            }
        }
    }

    fn transmit(&self, cx: &Cx<'_>, common: &mut Common, again: bool) {
        // Candidates may have moved to the other ports.
        let path = common.connection.config.first_path().unwrap_or(common.path);
        if let Ok(view) = MessageView::parse(&self.request, &cx.config.limits) {
            let names = trace::names(view.payloads(), false);
            let datagrams = vec![self.request.clone()];
            common.trace_sent(cx, ExchangeType::IKE_SA_INIT, false, 0, &names, &datagrams, again);
            common.transmit_on(path, &datagrams);
        }
    }

    pub(crate) fn on_message(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        message: Incoming<'_>,
    ) -> Step {
        let outcome = self.on_init_response(cx, common, &message);
        Step { next: State::InitSent(self), outcome }
    }

    /// An answer to IKE_SA_INIT; also when IKE_AUTH is already out to the sender of an earlier one.
    pub(crate) fn on_init_response(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        message: &Incoming<'_>,
    ) -> Result<(), Discarded> {
        let header = message.header;
        if header.exchange_type != ExchangeType::IKE_SA_INIT || !header.flags.is_response() {
            return Err(Discarded::Unexpected);
        }
        if header.message_id != 0 || header.flags.is_initiator() || self.request.is_empty() {
            return Err(Discarded::Unexpected);
        }
        if !matches!(self.job, Job::None) {
            return Err(Discarded::Busy);
        }
        let view = message.view(cx)?;
        let reading = self.read(cx, common, message, &view)?;
        common.trace_received(cx, &header, || trace::names(view.payloads(), true));
        match reading {
            Reading::Cookie(cookie) => {
                self.retries += 1;
                self.cookie = Some(cookie);
                self.send(cx, common);
            }
            Reading::OtherKe(ke) => {
                self.retries += 1;
                self.ke = ke;
                self.tried.push(ke);
                self.active = None;
                self.retransmission = None;
                self.job = Job::Start(cx.job(Request::KeyExchange(KeyExchangeJob::Start { method: ke })));
            }
            Reading::Hint(error) => {
                self.hint = Some(error);
                let grace = cx.now + cx.config.hint_grace;
                common.timers.entry(TimerKind::SetUp, || grace);
                return Err(Discarded::Hint);
            }
            Reading::Valid { answered, peer } => {
                let Some(active) = self.active.clone() else { return Err(Discarded::Busy) };
                let op = cx.job(Request::KeyExchange(KeyExchangeJob::Complete { active, peer }));
                self.job = Job::Complete(op, answered);
            }
        }
        Ok(())
    }

    fn read(
        &self,
        cx: &Cx<'_>,
        common: &Common,
        message: &Incoming<'_>,
        view: &MessageView<'_>,
    ) -> Result<Reading, Discarded> {
        let misbehaved = |what| Ok(Reading::Hint(Error::PeerMisbehaved(what)));
        if let Some(cookie) = view.notify(NotifyType::COOKIE) {
            if cookie.data.is_empty() || cookie.data.len() > 64 {
                return Err(Discarded::Unexpected);
            }
            if self.retries >= MAX_SET_UP_RETRIES {
                return misbehaved(Misbehaviour::TooManyRetries);
            }
            return Ok(Reading::Cookie(cookie.data.to_vec()));
        }
        if let Some(notify) = view.notify(NotifyType::INVALID_KE_PAYLOAD) {
            let Ok(number) = <[u8; 2]>::try_from(notify.data) else { return Err(Discarded::Unexpected) };
            let wanted = KeId(u16::from_be_bytes(number));
            if wanted == self.ke {
                // A late copy of an answer that was already followed.
                return Err(Discarded::Unexpected);
            }
            // One that was tried may be asked for again: it may have been a forger who asked for another.
            if self.retries >= MAX_SET_UP_RETRIES {
                return misbehaved(Misbehaviour::TooManyRetries);
            }
            if !methods(&self.offer).any(|offered| offered == wanted) {
                return misbehaved(Misbehaviour::KeUnoffered);
            }
            return Ok(Reading::OtherKe(wanted));
        }
        if let Some(error) = view.notifies().find(|notify| notify.notify_type.is_error()) {
            return Ok(Reading::Hint(notify_error(common, error.notify_type, error.data)));
        }
        if view.unsupported_critical().is_some() || message.header.responder_spi.is_zero() {
            return Err(Discarded::Unexpected);
        }
        let (mut sa, mut ke, mut nr) = (None, None, None);
        for payload in view.payloads() {
            match payload.kind() {
                PayloadKind::Sa(view) => sa = Some(view),
                PayloadKind::Ke(view) => ke = Some(view),
                PayloadKind::Nonce(octets) => nr = Some(octets),
                _ => {}
            }
        }
        let (Some(sa), Some(ke), Some(nr)) = (sa, ke, nr) else { return Err(Discarded::Unexpected) };
        if !(16..=256).contains(&nr.len()) {
            return Err(Discarded::Unexpected);
        }
        let chosen = match accept(&self.offer, sa, ProtocolId::IKE, cx.provider) {
            Ok(chosen) => chosen,
            Err(why) => {
                return Ok(Reading::Hint(Error::PeerIncompatible(Box::new(Diagnosis::NoProposal(*why)))));
            }
        };
        if chosen.ke != Some(ke.method) || ke.method != self.ke {
            return misbehaved(Misbehaviour::KeMismatch);
        }
        let (spi_i, spi_r) = (message.header.initiator_spi, message.header.responder_spi);
        let nat = detect_nat(view, spi_i, spi_r, &message.path);
        Ok(Reading::Valid {
            peer: ke.data.to_vec(),
            answered: Box::new(Answered {
                spi_r,
                response: message.data.to_vec(),
                nr: nr.to_vec(),
                chosen,
                nat: nat.unwrap_or_default(),
                path: message.path,
                fragmentation: view.notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED).is_some(),
                intermediate: view.notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED).is_some(),
                childless: view.notify(NotifyType::CHILDLESS_IKEV2_SUPPORTED).is_some(),
            }),
        })
    }

    pub(crate) fn on_answer(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        op: OpId,
        answer: Answer,
    ) -> State {
        match self.candidate(cx, common, op, answer) {
            Ok(Some(candidate)) => {
                common.timers.remove(&TimerKind::SetUp);
                self.retransmission = None;
                AuthSent::begin(self, cx, common, candidate)
            }
            Ok(None) => State::InitSent(self),
            Err(error) => {
                self.release(cx, common);
                fail(common, error)
            }
        }
    }

    /// A job of the set-up is done: sends the request, or gives a new candidate for IKE_AUTH.
    pub(crate) fn candidate(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        op: OpId,
        answer: Answer,
    ) -> Result<Option<Candidate>, Error> {
        match (core::mem::replace(&mut self.job, Job::None), answer) {
            (Job::Start(waited), Answer::Started(started)) if waited == op => {
                self.active = Some(Arc::from(started?));
                self.send(cx, common);
                Ok(None)
            }
            (Job::Complete(waited, answered), Answer::Completed(shared)) if waited == op => {
                let shared = match shared {
                    Ok(shared) => shared,
                    // A bad public value in an unauthenticated answer is a hint as well.
                    Err(error) => {
                        self.hint = Some(Error::Crypto(error));
                        let grace = cx.now + cx.config.hint_grace;
                        common.timers.entry(TimerKind::SetUp, || grace);
                        return Ok(None);
                    }
                };
                if self.first_child.is_none() && !answered.childless {
                    return Err(Error::NotifyReceived {
                        notify: NotifyType::CHILDLESS_IKEV2_SUPPORTED,
                        data: Vec::new(),
                    });
                }
                let suite = answered.chosen.ike_suite(cx.provider).ok_or(CryptoError::Unsupported)?;
                let seed = Seed::Initial { shared: &shared };
                let keys = derive_sk(&suite, seed, &self.ni, &answered.nr, common.spi_i, answered.spi_r)?;
                let mut channel = Channel::new(
                    common.spi_i,
                    answered.spi_r,
                    Role::Initiator,
                    suite,
                    answered.chosen.to_string(),
                    keys,
                )?;
                channel.fragment_len =
                    cx.config.fragment_len(&answered.path).filter(|_| answered.fragmentation);
                common.log_ike_keys(cx, &channel);
                let Answered { response, nr, nat, mut path, intermediate: supported, .. } = *answered;
                let forced = common.connection.config.force_encapsulation;
                if nat.any() || forced {
                    path = common.connection.config.floated(&path);
                }
                let tasks = match supported {
                    true => intermediate::plan(&common.connection.config),
                    false => VecDeque::new(),
                };
                Ok(Some(Candidate::new(channel, self.request.clone(), response, nr, (nat, path), tasks)))
            }
            (job, _) => {
                self.job = job;
                Ok(None)
            }
        }
    }

    pub(crate) fn on_timeout(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        due: &[TimerKind],
    ) -> State {
        let over = match &mut self.retransmission {
            Some(retransmission) if retransmission.due().is_some_and(|at| at <= cx.now) => {
                match retransmission.next(cx.now, cx.rng) {
                    RetransmitStep::Retry => {
                        self.transmit(cx, common, true);
                        None
                    }
                    RetransmitStep::GiveUp => {
                        let tries = retransmission.sent_again().saturating_add(1);
                        Some(Error::TimedOut { exchange: ExchangeType::IKE_SA_INIT, tries })
                    }
                }
            }
            _ => None,
        };
        let hinted = due.contains(&TimerKind::SetUp).then(|| self.hint.take()).flatten();
        match hinted.or_else(|| over.map(|error| self.hint.take().unwrap_or(error))) {
            Some(error) => {
                self.release(cx, common);
                fail(common, error)
            }
            None => State::InitSent(self),
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.retransmission.as_ref().and_then(Retransmission::due)
    }

    #[expect(clippy::unused_self, reason = "every state has this shape")]
    pub(crate) fn release(&self, _cx: &mut Cx<'_>, _common: &mut Common) {}
}

/// The key exchange methods of an offer, most wanted first.
fn methods(offer: &Sa) -> impl Iterator<Item = KeId> + '_ {
    offer
        .proposals
        .iter()
        .flat_map(|proposal| &proposal.transforms)
        .filter(|transform| transform.transform_type == ipsec_wire::ike::TransformType::KE)
        .map(|transform| KeId(transform.id))
}

/// The two notifies by which the peer can tell whether addresses are translated (RFC 7296 §2.23).
pub(crate) fn nat_detection(cx: &mut Cx<'_>, common: &Common, spi_i: IkeSpi, spi_r: IkeSpi) -> [Payload; 2] {
    let source = if common.connection.config.force_encapsulation {
        cx.random(20)
    } else {
        natd::nat_detection_hash(spi_i, spi_r, common.path.local).to_vec()
    };
    let destination = natd::nat_detection_hash(spi_i, spi_r, common.path.remote).to_vec();
    [
        Payload::Notify(Notify::new(NotifyType::NAT_DETECTION_SOURCE_IP, source)),
        Payload::Notify(Notify::new(NotifyType::NAT_DETECTION_DESTINATION_IP, destination)),
    ]
}

/// What the peer's two notifies say.
pub(crate) fn detect_nat(
    view: &MessageView<'_>,
    spi_i: IkeSpi,
    spi_r: IkeSpi,
    path: &Path,
) -> Option<NatStatus> {
    let of = |wanted: NotifyType| {
        view.notifies().filter(move |notify| notify.notify_type == wanted).map(|notify| notify.data)
    };
    natd::detect(
        of(NotifyType::NAT_DETECTION_SOURCE_IP),
        of(NotifyType::NAT_DETECTION_DESTINATION_IP),
        spi_i,
        spi_r,
        path.local,
        path.remote,
    )
}

/// What an error notify means, with what we offered beside it where that explains it.
pub(crate) fn notify_error(common: &Common, notify: NotifyType, data: &[u8]) -> Error {
    match notify {
        NotifyType::AUTHENTICATION_FAILED => {
            Error::AuthenticationFailed(Box::new(crate::error::AuthFailure::RefusedByPeer {
                ours: common.connection.config.local_id.clone(),
            }))
        }
        NotifyType::NO_PROPOSAL_CHOSEN => Error::Refused(crate::error::Refusal::Proposal {
            notify,
            ours: common.connection.config.suites.iter().map(ToString::to_string).collect(),
        }),
        _ => Error::NotifyReceived { notify, data: data.iter().copied().take(64).collect() },
    }
}

/// A payload type that was needed and is not there.
pub(crate) fn missing(payload_type: PayloadType) -> Error {
    Error::InvalidMessage(crate::error::InvalidMessage::Missing(payload_type))
}
