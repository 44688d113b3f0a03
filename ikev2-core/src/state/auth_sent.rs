//! Initiator, IKE_AUTH (RFC 7296 §1.2, §2.15): prove who we are, check the peer's proof, take the first child.
//!
//! There may be more than one candidate: answers to IKE_SA_INIT are not authenticated, so each of them gets its own
//! keys and its own IKE_AUTH, and the first that proves itself wins (§2.4).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use core::time::Duration;

use ipsec_sa::{Instant, Role};
use ipsec_wire::Spi;
use ipsec_wire::ike::{ExchangeType, Notify, NotifyType, Payload, PayloadChain, PayloadKind, PayloadType};

use super::State;
use super::established::Established;
use super::init_sent::{InitSent, missing, notify_error};
use crate::auth::proof::Proof;
use crate::channel::{Channel, Inner};
use crate::context::{Cx, Effect};
use crate::error::{AuthFailure, Error, InvalidMessage};
use crate::event::{CloseReason, Event, OutboundUse};
use crate::exchange::child::{
    Agreement, ChildKeying, ChildOffer, ChildPayloads, ChildSa, error_notify, make, refusal,
};
use crate::exchange::retransmit::{Retransmission, RetransmitStep};
use crate::exchange::window::Datagrams;
use crate::identity::Identity;
use crate::ike_sa::{Common, Incoming, Step, fail, sk_names};
use crate::io::Discarded;
use crate::job::{Answer, OpId};
use crate::natd::NatStatus;
use crate::path::Path;
use crate::reauth::Renewal;

/// The most answers to one IKE_SA_INIT that are followed at once.
const MAX_CANDIDATES: usize = 4;

/// The message id of our first protected request: IKE_SA_INIT was 0.
const FIRST_ID: u32 = 1;

/// A responder that has not proven itself yet.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) channel: Channel,
    /// The request it answered, and its answer: both AUTHs cover one of them.
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    pub(crate) nr: Vec<u8>,
    pub(crate) nat: NatStatus,
    pub(crate) path: Path,
    pub(crate) message_id: u32,
    pub(crate) datagrams: Datagrams,
    pub(crate) retransmission: Option<Retransmission>,
}

impl Candidate {
    pub(crate) fn new(
        channel: Channel,
        request: Vec<u8>,
        response: Vec<u8>,
        nr: Vec<u8>,
        nat: NatStatus,
        path: Path,
    ) -> Self {
        Self {
            channel,
            request,
            response,
            nr,
            nat,
            path,
            message_id: FIRST_ID,
            datagrams: Vec::new(),
            retransmission: None,
        }
    }
}

/// IKE_AUTH is out.
#[derive(Clone, Debug)]
pub(crate) struct AuthSent {
    pub(crate) init: Box<InitSent>,
    /// The first child, with one SPI for all candidates: only one of them will use it.
    pub(crate) offer: Option<ChildOffer>,
    pub(crate) candidates: Vec<Candidate>,
}

impl AuthSent {
    /// The first candidate is there.
    pub(crate) fn begin(
        init: Box<InitSent>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        candidate: Candidate,
    ) -> State {
        let config = init.first_child.and_then(|index| common.connection.children.get(index)).cloned();
        let offer = match config {
            Some(config) => match cx.child_spi() {
                Some(spi) => Some(ChildOffer::new(cx, &config, spi, init.flow.as_ref(), false)),
                None => return fail(common, Error::OutOfSpis),
            },
            None => None,
        };
        let mut state = Box::new(Self { init, offer, candidates: vec![] });
        match state.follow(cx, common, candidate) {
            Ok(()) => State::AuthSent(state),
            Err(error) => {
                state.release(cx, common);
                fail(common, error)
            }
        }
    }

    /// Sends IKE_AUTH to a candidate.
    fn follow(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut candidate: Candidate,
    ) -> Result<(), Error> {
        let config = &common.connection.config;
        let proof = Proof {
            prover: Role::Initiator,
            message: &candidate.request,
            nonce: &candidate.nr,
            id_body: &config.local_id.body(),
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
            payloads.extend(offer.mode());
        }
        candidate.datagrams =
            candidate.channel.seal(ExchangeType::IKE_AUTH, false, candidate.message_id, &payloads, cx.rng)?;
        candidate.retransmission = Some(Retransmission::start(cx.now, &cx.config.retransmit, cx.rng));
        common.spi_r = candidate.channel.spi_r;
        common.path = candidate.path;
        common.nat = candidate.nat;
        let names = crate::trace::names_of(&payloads, false);
        let id = candidate.message_id;
        common.trace_sent(cx, ExchangeType::IKE_AUTH, false, id, &names, &candidate.datagrams, false);
        common.transmit(&candidate.datagrams);
        self.candidates.push(candidate);
        Ok(())
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
            // Another answer: followed like the first, unless it is the same one again.
            if self.knows(message.data) || self.candidates.len() >= MAX_CANDIDATES {
                return Step::discard(State::AuthSent(self), Discarded::Unexpected);
            }
            let outcome = self.init.on_init_response(cx, common, &message);
            return Step { next: State::AuthSent(self), outcome };
        }
        // What does not open is left unspecified, and may yet open for the next candidate.
        let original = (self.candidates.len() > 1).then(|| message.data.to_vec());
        let (mut known, mut expected, mut opened) = (false, false, None);
        for (index, candidate) in self.candidates.iter_mut().enumerate() {
            if candidate.channel.spi_r != spi_r {
                continue;
            }
            known = true;
            if header.exchange_type != ExchangeType::IKE_AUTH
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
                Some(Inner::Whole { first, octets, offset }) => {
                    opened = Some((index, first, octets.into_owned(), offset));
                    break;
                }
                Some(Inner::Piece(_)) => return Step::done(State::AuthSent(self)),
                None => {}
            }
        }
        let Some((index, first, octets, offset)) = opened else {
            let why = match (known, expected) {
                (_, true) => Discarded::Integrity,
                (true, false) => Discarded::Unexpected,
                (false, false) => Discarded::UnknownSpi,
            };
            return Step::discard(State::AuthSent(self), why);
        };
        let candidate = self.candidates.swap_remove(index);
        common.spi_r = spi_r;
        common.nat = candidate.nat;
        common.path = message.path;
        let result = match PayloadChain::parse(first, &octets, offset, &cx.config.limits) {
            Ok(chain) => {
                common.trace_received(cx, &header, || sk_names(&chain, true));
                self.conclude(cx, common, &candidate, &chain)
            }
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(proven) => Step::done((*self).establish(cx, common, candidate, proven)),
            Err(error) if self.candidates.is_empty() => {
                self.release(cx, common);
                if matches!(error, Error::AuthenticationFailed(ref why) if !matches!(**why, AuthFailure::RefusedByPeer { .. }))
                {
                    self.tell_failure(cx, common, candidate);
                }
                Step::done(fail(common, error))
            }
            // Another candidate may still prove itself.
            Err(_) => Step::done(State::AuthSent(self)),
        }
    }

    /// We could not authenticate the peer, which believes the IKE SA to stand: RFC 7296 §2.21.2 has us say so. No answer
    /// is waited for.
    #[expect(clippy::unused_self, reason = "one of this state's steps")]
    fn tell_failure(&self, cx: &mut Cx<'_>, common: &mut Common, mut candidate: Candidate) {
        let payloads = [
            crate::exchange::child::notify(NotifyType::AUTHENTICATION_FAILED),
            Payload::Delete(ipsec_wire::ike::Delete::ike()),
        ];
        let id = candidate.message_id.saturating_add(1);
        if let Ok(datagrams) =
            candidate.channel.seal(ExchangeType::INFORMATIONAL, false, id, &payloads, cx.rng)
        {
            let names = crate::trace::names_of(&payloads, false);
            common.trace_sent(cx, ExchangeType::INFORMATIONAL, false, id, &names, &datagrams, false);
            common.transmit(&datagrams);
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
                ours: alloc::string::ToString::to_string(&config.local_id),
                theirs: remote_id,
            })));
        }
        let proof = Proof {
            prover: Role::Responder,
            message: &candidate.response,
            nonce: &self.init.ni,
            id_body: body,
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

    /// Whether this answer is followed already. Not by its SPI: a forger who sees the peer's answer can copy that.
    fn knows(&self, response: &[u8]) -> bool {
        self.candidates.iter().any(|candidate| candidate.response == response)
    }

    pub(crate) fn on_answer(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        op: OpId,
        answer: Answer,
    ) -> State {
        // A later candidate that does not work out leaves the earlier ones alone.
        if let Ok(Some(candidate)) = self.init.candidate(cx, common, op, answer) {
            let _ = self.follow(cx, common, candidate);
        }
        State::AuthSent(self)
    }

    pub(crate) fn on_timeout(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        _due: &[crate::ike_sa::TimerKind],
    ) -> State {
        let mut tries = 0;
        let mut again = Vec::new();
        self.candidates.retain_mut(|candidate| {
            let Some(retransmission) = &mut candidate.retransmission else { return true };
            if retransmission.due().is_none_or(|at| at > cx.now) {
                return true;
            }
            tries = retransmission.sent_again().saturating_add(1);
            let keep = retransmission.next(cx.now, cx.rng) == RetransmitStep::Retry;
            if keep {
                again.push((candidate.message_id, candidate.path, candidate.datagrams.clone()));
            }
            keep
        });
        for (id, path, datagrams) in again {
            common.trace_sent(cx, ExchangeType::IKE_AUTH, false, id, "SK{..}", &datagrams, true);
            common.transmit_on(path, &datagrams);
        }
        if self.candidates.is_empty() {
            self.release(cx, common);
            return fail(common, Error::TimedOut { exchange: ExchangeType::IKE_AUTH, tries });
        }
        State::AuthSent(self)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.candidates.iter().filter_map(|c| c.retransmission.as_ref().and_then(Retransmission::due)).min()
    }

    pub(crate) fn release(&self, cx: &mut Cx<'_>, common: &mut Common) {
        if let Some(offer) = &self.offer {
            release_spi(cx, common, offer.spi);
        }
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
