//! Initiator, from IKE_INTERMEDIATE to IKE_AUTH (RFC 9242; RFC 7296 §1.2, §2.15): prove who we are, check the peer's
//! proof, take the first child.
//!
//! There may be more than one candidate: answers to IKE_SA_INIT are not authenticated, so each of them gets its own
//! keys and its own exchanges, and the first that proves itself wins (§2.4). When all have failed, others are listened
//! for a little longer, and our request goes out once more: the first answer may have been a forger's.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use core::time::Duration;

use ipsec_sa::{Instant, Role};
use ipsec_wire::Spi;
use ipsec_wire::ike::{ExchangeType, Notify, NotifyType, Payload, PayloadChain, PayloadKind, PayloadType};

use super::State;
use super::candidate::{Candidate, Candidates};
use super::closing::Closing;
use super::established::Established;
use super::init_sent::{InitSent, missing, notify_error};
use crate::auth::proof::Proof;
use crate::channel::Inner;
use crate::context::{Cx, Effect};
use crate::error::{AuthFailure, Error, InvalidMessage};
use crate::event::{CloseReason, Event, OutboundUse};
use crate::exchange::child::{
    Agreement, ChildKeying, ChildOffer, ChildPayloads, ChildSa, error_notify, make, refusal,
};
use crate::exchange::retransmit::{Retransmission, RetransmitStep};
use crate::identity::Identity;
use crate::ike_sa::{Common, Incoming, Step, TimerKind, fail, sk_names};
use crate::io::Discarded;
use crate::job::{Answer, OpId};
use crate::reauth::Renewal;

/// IKE_INTERMEDIATE or IKE_AUTH is out.
#[derive(Clone, Debug)]
pub(crate) struct AuthSent {
    pub(crate) init: Box<InitSent>,
    /// The first child, with one SPI for all candidates: only one of them will use it.
    pub(crate) offer: Option<ChildOffer>,
    pub(crate) candidates: Candidates,
    /// What the last candidate failed of, while others are still listened for.
    pub(crate) failure: Option<Box<Failure>>,
}

/// What a set-up fails of when no better answer comes.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Who is to be told that its proof did not hold: it takes the IKE SA for made.
    pub(crate) tell: Option<Candidate>,
}

impl AuthSent {
    /// The first candidate is there.
    pub(crate) fn begin(
        init: Box<InitSent>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut candidate: Candidate,
    ) -> State {
        let config = init.first_child.and_then(|index| common.connection.children.get(index)).cloned();
        let offer = match config {
            Some(config) => match cx.child_spi() {
                Some(spi) => Some(ChildOffer::new(cx, &config, spi, init.flow.as_ref(), false)),
                None => return fail(common, Error::OutOfSpis),
            },
            None => None,
        };
        let candidates = Candidates::new(cx.now);
        let mut state = Box::new(Self { init, offer, candidates, failure: None });
        match state.follow(cx, common, &mut candidate) {
            Ok(()) => {
                state.candidates.push(candidate);
                State::AuthSent(state)
            }
            Err(error) => {
                state.release(cx, common);
                fail(common, error)
            }
        }
    }

    /// Sends a candidate its next request: IKE_INTERMEDIATE while there is something to do in it, then IKE_AUTH.
    fn follow(&self, cx: &mut Cx<'_>, common: &mut Common, candidate: &mut Candidate) -> Result<(), Error> {
        let id = candidate.message_id;
        let payloads = match candidate.tasks.front() {
            Some(task) => {
                candidate.exchange = ExchangeType::IKE_INTERMEDIATE;
                let payloads = task.payloads();
                let Candidate { channel, int_auth, exchange, .. } = candidate;
                channel.add_ours(int_auth, *exchange, id, &payloads)?;
                payloads
            }
            None => {
                candidate.exchange = ExchangeType::IKE_AUTH;
                self.auth_payloads(common, candidate)?
            }
        };
        let exchange = candidate.exchange;
        candidate.datagrams = candidate.channel.seal(exchange, false, id, &payloads, cx.rng)?;
        candidate.retransmission = Some(Retransmission::start(cx.now, &cx.config.retransmit, cx.rng));
        common.spi_r = candidate.channel.spi_r;
        common.path = candidate.path;
        common.nat = candidate.nat;
        let names = crate::trace::names_of(&payloads, false);
        common.trace_sent(cx, exchange, false, id, &names, &candidate.datagrams, false);
        common.transmit(&candidate.datagrams);
        Ok(())
    }

    fn auth_payloads(&self, common: &Common, candidate: &Candidate) -> Result<Vec<Payload>, Error> {
        let config = &common.connection.config;
        let proof = Proof {
            prover: Role::Initiator,
            message: &candidate.request,
            nonce: &candidate.nr,
            id_body: &config.local_id.body(),
            int_auth: candidate.int_auth.octets(candidate.message_id),
        };
        let auth = proof.make(config, &candidate.channel)?;
        let mut payloads = vec![Payload::IdI(config.local_id.to_payload())];
        if let crate::config::PeerIdentity::Exactly(identity) = &config.remote_id {
            payloads.push(Payload::IdR(identity.to_payload()));
        }
        payloads.push(Payload::Auth(auth));
        if self.init.initial_contact {
            payloads.push(crate::exchange::child::notify(NotifyType::INITIAL_CONTACT));
        }
        payloads.extend(set_window_size(config.window));
        if let Some(offer) = &self.offer {
            payloads.push(Payload::Sa(offer.sa.clone()));
            payloads.extend(offer.selectors());
            payloads.extend(offer.notifies());
        }
        Ok(payloads)
    }

    pub(crate) fn on_message(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        message: Incoming<'_>,
    ) -> Step {
        let header = message.header;
        let spi_r = header.responder_spi;
        if header.exchange_type == ExchangeType::IKE_SA_INIT {
            let outcome = self.on_another_answer(cx, common, &message);
            return Step { next: State::AuthSent(self), outcome };
        }
        // What does not open is left unspecified, and may yet open for the next candidate.
        let original = (self.candidates.list.len() > 1).then(|| message.data.to_vec());
        let (mut known, mut expected, mut opened) = (false, false, None);
        for (index, candidate) in self.candidates.list.iter_mut().enumerate() {
            if candidate.channel.spi_r != spi_r {
                continue;
            }
            known = true;
            if header.exchange_type != candidate.exchange
                || !header.flags.is_response()
                || header.flags.is_initiator()
                || header.message_id != candidate.message_id
            {
                continue;
            }
            expected = true;
            if let Some(original) = &original {
                message.data.copy_from_slice(original);
            }
            // Candidates may share an SPI: the one whose keys fit is meant.
            match candidate.channel.open(&header, message.data) {
                Some(Inner::Whole { first, octets, offset, front }) => {
                    opened = Some((index, first, octets.into_owned(), offset, front.into_owned()));
                    break;
                }
                Some(Inner::Piece(_)) => return Step::done(State::AuthSent(self)),
                None => {}
            }
        }
        let found = opened.and_then(|(index, first, octets, offset, front)| {
            Some((self.candidates.take(index)?, first, octets, offset, front))
        });
        let Some((mut candidate, first, octets, offset, front)) = found else {
            let why = match (known, expected) {
                (_, true) => Discarded::Integrity,
                (true, false) => Discarded::Unexpected,
                (false, false) => Discarded::UnknownSpi,
            };
            return Step::discard(State::AuthSent(self), why);
        };
        common.spi_r = spi_r;
        common.nat = candidate.nat;
        common.path = message.path;
        let chain = match PayloadChain::parse(first, &octets, offset, &cx.config.limits) {
            Ok(chain) => chain,
            Err(error) => return Step::done(self.lost(cx, common, candidate, error.into())),
        };
        common.trace_received(cx, &header, || sk_names(&chain, true));
        if candidate.exchange == ExchangeType::IKE_INTERMEDIATE {
            let Candidate { channel, int_auth, .. } = &mut candidate;
            let done = channel
                .add_theirs(int_auth, &front, &octets)
                .map_err(Error::from)
                .and_then(|()| intermediate_done(common, &chain));
            candidate.tasks.pop_front();
            candidate.message_id = candidate.message_id.saturating_add(1);
            return Step::done(match done.and_then(|()| self.follow(cx, common, &mut candidate)) {
                Ok(()) => {
                    self.candidates.push(candidate);
                    State::AuthSent(self)
                }
                Err(error) => self.lost(cx, common, candidate, error),
            });
        }
        match self.conclude(cx, common, &candidate, &chain) {
            Ok(proven) => Step::done((*self).establish(cx, common, candidate, proven)),
            Err(error) => Step::done(self.lost(cx, common, candidate, error)),
        }
    }

    /// One more answer to IKE_SA_INIT: followed like the first, unless it is the same one again.
    fn on_another_answer(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        message: &Incoming<'_>,
    ) -> Result<(), Discarded> {
        if self.candidates.knows(message.data) {
            return Err(Discarded::Unexpected);
        }
        let outcome = match self.candidates.take_turn(cx.now) {
            true => self.init.on_init_response(cx, common, message),
            false => Err(Discarded::Busy),
        };
        if outcome == Err(Discarded::Busy) {
            // It may be the peer's: it is asked for again.
            self.init.ask_again(cx);
        }
        outcome
    }

    /// A candidate came to nothing, and whoever it was may not be the peer: what it says is taken with caution
    /// (RFC 7296 §2.21.2), for `hint_grace`.
    fn lost(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        candidate: Candidate,
        error: Error,
    ) -> State {
        self.candidates.refuse(&candidate);
        let refuted = matches!(&error, Error::AuthenticationFailed(why) if !matches!(**why, AuthFailure::RefusedByPeer { .. }));
        let failure = Failure { error, tell: refuted.then_some(candidate) };
        let first = self.failure.is_none();
        self.failure = Some(Box::new(failure));
        if !self.candidates.is_empty() {
            return State::AuthSent(self);
        }
        if first && !cx.config.hint_grace.is_zero() {
            common.timers.insert(TimerKind::SetUp, cx.now + cx.config.hint_grace);
            self.init.ask_again(cx);
        }
        match common.timers.contains_key(&TimerKind::SetUp) {
            true => State::AuthSent(self),
            false => self.give_up(cx, common),
        }
    }

    /// No candidate is left, and no other has come.
    fn give_up(self, cx: &mut Cx<'_>, common: &mut Common) -> State {
        self.release(cx, common);
        let timed_out =
            || Failure { error: Error::TimedOut { exchange: ExchangeType::IKE_AUTH, tries: 0 }, tell: None };
        let Failure { error, tell } = self.failure.map_or_else(timed_out, |failure| *failure);
        match tell {
            Some(candidate) => {
                common.event(Event::IkeClosed { reason: closed(error) });
                let Candidate { channel, message_id, path, .. } = candidate;
                common.spi_r = channel.spi_r;
                Closing::tell_failure(cx, common, channel, message_id.saturating_add(1), path)
            }
            None => fail(common, error),
        }
    }

    /// Reads a candidate's answer; an error is about this candidate alone.
    fn conclude(
        &self,
        cx: &Cx<'_>,
        common: &Common,
        candidate: &Candidate,
        chain: &PayloadChain<'_>,
    ) -> Result<Proven, Error> {
        if let Some(payload_type) = chain.unsupported_critical() {
            return Err(Error::InvalidMessage(InvalidMessage::Critical(payload_type)));
        }
        let (mut idr, mut auth) = (None, None);
        for payload in chain.payloads() {
            match payload.kind() {
                PayloadKind::IdR(view) => idr = Some((view, payload.body)),
                PayloadKind::Auth(view) => auth = Some(view),
                _ => {}
            }
        }
        let error = error_notify(chain);
        let Some(auth) = auth else {
            return Err(match error {
                Some((notify, data)) => notify_error(common, notify, data),
                None => missing(PayloadType::AUTH),
            });
        };
        let (idr, body) = idr.ok_or_else(|| missing(PayloadType::IDR))?;
        let remote_id = Identity::from_view(&idr);
        let config = &common.connection.config;
        if !config.remote_id.admits(&remote_id) {
            return Err(Error::AuthenticationFailed(Box::new(AuthFailure::UnknownIdentity {
                expected: alloc::string::ToString::to_string(&config.remote_id),
                theirs: remote_id,
            })));
        }
        let proof = Proof {
            prover: Role::Responder,
            message: &candidate.response,
            nonce: &self.init.ni,
            id_body: body,
            int_auth: candidate.int_auth.octets(candidate.message_id),
        };
        proof.check(config, &candidate.channel, (auth.method, auth.data), &remote_id)?;
        // The IKE SA stands from here on, whatever becomes of the child.
        let child = match (&self.offer, error) {
            (None, _) => None,
            (Some(offer), Some((notify, data))) => Some(Err(refusal(offer, notify, data))),
            (Some(offer), None) => Some(Agreement::from_answer(cx, offer, &ChildPayloads::read(chain))),
        };
        let window = chain.notify(NotifyType::SET_WINDOW_SIZE).map(|notify| notify.data.to_vec());
        let lifetime = chain
            .notify(NotifyType::AUTH_LIFETIME)
            .and_then(|notify| <[u8; 4]>::try_from(notify.data).ok())
            .map(|octets| Duration::from_secs(u32::from_be_bytes(octets).into()));
        Ok(Proven { remote_id, child, window, lifetime })
    }

    fn establish(self, cx: &mut Cx<'_>, common: &mut Common, candidate: Candidate, proven: Proven) -> State {
        let Self { init, offer, .. } = self;
        let Candidate { channel, nr, message_id, .. } = candidate;
        let mut established =
            Box::new(Established::new(cx, common, channel, proven.remote_id, message_id + 1, 0));
        established.set_window(proven.window.as_deref().unwrap_or_default());
        // A tenth before the peer's time is over, or when our own configuration says (RFC 4478 §3).
        let theirs = proven.lifetime.map(|lifetime| lifetime - lifetime / 10);
        let ours = common.connection.config.lifetime.reauth;
        if let Some(time) = theirs.into_iter().chain(ours).min() {
            established.renew_by(common, Renewal { at: cx.now + time, ours: true });
        }
        if let Some(old) = init.replaces {
            cx.effects.push(Effect::Renewed { old, new: common.handle });
        }
        established.announce(common);
        if let Some(offer) = offer {
            let made: Result<(ChildSa, _), Error> =
                proven.child.unwrap_or_else(|| Err(missing(PayloadType::SA))).and_then(|agreement| {
                    let keying = ChildKeying {
                        prf: established.channel.suite.prf,
                        sk_d: &established.channel.keys.d,
                        shared: &[],
                        ni: &init.ni,
                        nr: &nr,
                        role: Role::Initiator,
                    };
                    make(cx, common, &agreement, offer.spi, &keying, None, OutboundUse::Now)
                });
            match made {
                Ok((child, install)) => {
                    established.adopt(
                        cx,
                        common,
                        child,
                        install,
                        crate::exchange::create_child::AfterInstall::Nothing,
                    );
                }
                Err(error) => {
                    release_spi(cx, common, offer.spi);
                    // The peer may hold a child that we could not take.
                    common.event(Event::ChildFailed {
                        child: offer.config.name.clone(),
                        error: Box::new(error),
                    });
                }
            }
        }
        established.pump(cx, common);
        State::Established(established)
    }

    pub(crate) fn on_answer(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        op: OpId,
        answer: Answer,
    ) -> State {
        // A later candidate that does not work out leaves the earlier ones alone.
        if let Ok(Some(mut candidate)) = self.init.candidate(cx, common, op, answer)
            && self.follow(cx, common, &mut candidate).is_ok()
        {
            self.candidates.push(candidate);
        }
        State::AuthSent(self)
    }

    pub(crate) fn on_timeout(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        due: &[TimerKind],
    ) -> State {
        let mut tries = 0;
        let mut again = Vec::new();
        self.candidates.list.retain_mut(|candidate| {
            let Some(retransmission) = &mut candidate.retransmission else { return true };
            if retransmission.due().is_none_or(|at| at > cx.now) {
                return true;
            }
            tries = retransmission.sent_again().saturating_add(1);
            let keep = retransmission.next(cx.now, cx.rng) == RetransmitStep::Retry;
            if keep {
                let Candidate { exchange, message_id, path, datagrams, .. } = candidate;
                again.push((*exchange, *message_id, *path, datagrams.clone()));
            }
            keep
        });
        for (exchange, id, path, datagrams) in again {
            common.trace_sent(cx, exchange, false, id, "SK{..}", &datagrams, true);
            common.transmit_on(path, &datagrams);
        }
        self.init.on_asked_again(cx, common);
        if !self.candidates.is_empty() {
            return State::AuthSent(self);
        }
        if tries > 0 && self.failure.is_none() {
            let error = Error::TimedOut { exchange: ExchangeType::IKE_AUTH, tries };
            self.failure = Some(Box::new(Failure { error, tell: None }));
        }
        let waits = common.timers.contains_key(&TimerKind::SetUp);
        if waits && !due.contains(&TimerKind::SetUp) {
            return State::AuthSent(self);
        }
        self.give_up(cx, common)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let candidates = self.candidates.list.iter();
        let candidates = candidates.filter_map(|c| c.retransmission.as_ref().and_then(Retransmission::due));
        candidates.chain(self.init.next_deadline()).min()
    }

    pub(crate) fn release(&self, cx: &mut Cx<'_>, common: &mut Common) {
        if let Some(offer) = &self.offer {
            release_spi(cx, common, offer.spi);
        }
    }
}

/// Reads an answer to IKE_INTERMEDIATE.
fn intermediate_done(common: &Common, chain: &PayloadChain<'_>) -> Result<(), Error> {
    if let Some(payload_type) = chain.unsupported_critical() {
        return Err(Error::InvalidMessage(InvalidMessage::Critical(payload_type)));
    }
    match error_notify(chain) {
        Some((notify, data)) => Err(notify_error(common, notify, data)),
        None => Ok(()),
    }
}

/// A candidate that has proven itself, and what it says of the child.
struct Proven {
    remote_id: Identity,
    child: Option<Result<Agreement, Error>>,
    /// Data of SET_WINDOW_SIZE.
    window: Option<Vec<u8>>,
    /// AUTH_LIFETIME.
    lifetime: Option<Duration>,
}

/// Gives an unused SPI back to whoever it came from.
pub(crate) fn release_spi(cx: &mut Cx<'_>, common: &mut Common, spi: Spi) {
    cx.spis.release(spi);
    if cx.spis.source() == crate::config::SpiSource::Pool {
        common.event(Event::SpiReleased(spi));
    }
}

/// Tells the peer how many requests we take at once, where that is more than one (RFC 7296 §2.3).
pub(crate) fn set_window_size(window: u32) -> Option<Payload> {
    (window > 1)
        .then(|| Payload::Notify(Notify::new(NotifyType::SET_WINDOW_SIZE, window.to_be_bytes().to_vec())))
}

/// Ends a half-made IKE SA because of an error.
pub(crate) fn closed(error: Error) -> CloseReason {
    CloseReason::Failed(Box::new(error))
}
