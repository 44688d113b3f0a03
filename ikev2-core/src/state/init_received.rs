//! Responder, from IKE_SA_INIT over IKE_INTERMEDIATE to IKE_AUTH (RFC 7296 §1.2, RFC 9242): half-open state.
//!
//! The endpoint has chosen a proposal and found a connection before it makes this state; nothing is authenticated.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;

use ipsec_crypto::{CryptoError, Secret};
use ipsec_sa::Role;
use ipsec_wire::ike::{
    Auth, AuthMethod, ExchangeType, Flags, IdView, MessageBuilder, MessageView, Notify, NotifyType, Payload,
    PayloadChain, PayloadKind, PayloadType,
};

use super::State;
use super::auth_sent::{release_spi, set_window_size};
use super::closing::Closing;
use super::established::Established;
use super::init_sent::{missing, nat_detection};
use crate::auth::IntAuth;
use crate::auth::proof::Proof;
use crate::channel::{Channel, Inner};
use crate::config::{ConnectionId, Uniqueness};
use crate::context::{Cx, Effect};
use crate::error::{AuthFailure, Error, InvalidMessage, Misbehaviour};
use crate::event::{Event, OutboundUse};
use crate::exchange::child::{
    Agreement, ChildKeying, ChildPayloads, error_payload, ke_payload, make, notify,
};
use crate::exchange::create_child::AfterInstall;
use crate::exchange::intermediate::MAX_INTERMEDIATE;
use crate::exchange::response_cache::{ResponseCache, Standing};
use crate::identity::Identity;
use crate::ike_sa::{Common, Connection, Incoming, Step, TimerKind, fail, sk_names};
use crate::io::Discarded;
use crate::job::{Answer, OpId};
use crate::keys::{IkeSuite, Seed, derive_sk};
use crate::negotiate::connection::{Contenders, Unfit};
use crate::negotiate::proposal::Chosen;
use crate::reauth::Renewal;
use crate::trace;

/// A request that has been accepted so far.
#[derive(Clone)]
pub(crate) struct InitReceived {
    /// The request as received: the initiator's AUTH covers it, and a retransmission is recognised by it.
    pub(crate) request: Box<[u8]>,
    /// Connections that fit so far; identities and proof decide among them. Many set-ups have the same ones.
    pub(crate) contenders: Arc<Contenders>,
    pub(crate) both: Both,
    pub(crate) progress: Progress,
}

/// What both sides do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Both {
    /// IKE fragmentation (RFC 7383 §2.3).
    pub(crate) fragmentation: bool,
    /// IKE_INTERMEDIATE (RFC 9242 §3.1).
    pub(crate) intermediate: bool,
}

/// How far the answer is.
#[derive(Clone)]
pub(crate) enum Progress {
    /// The key exchange of what was chosen is being worked out.
    Responding(OpId, Box<Chosen>),
    /// Answered.
    Answered(Box<Answered>),
}

/// Anybody can make us keep this: it holds nothing that can be had from the rest. Nonces stand in the messages, and the
/// keys are derived when there is a message to check with them.
pub(crate) struct Answered {
    pub(crate) response: Box<[u8]>,
    shared: Secret,
    suite: IkeSuite,
    /// The suite as a proposal string.
    text: Box<str>,
    /// From the first authentic message on.
    pub(crate) talk: Option<Box<Talk>>,
}

impl Clone for Answered {
    fn clone(&self) -> Self {
        Self {
            response: self.response.clone(),
            shared: self.shared.duplicate(),
            suite: self.suite,
            text: self.text.clone(),
            talk: self.talk.clone(),
        }
    }
}

/// What the peer says under the keys.
#[derive(Clone)]
pub(crate) struct Talk {
    pub(crate) channel: Channel,
    pub(crate) responses: ResponseCache,
    /// What IKE_INTERMEDIATE has carried.
    pub(crate) int_auth: IntAuth,
    /// How many of those there were.
    pub(crate) intermediates: usize,
}

impl core::fmt::Debug for InitReceived {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InitReceived").field("both", &self.both).finish_non_exhaustive()
    }
}

/// A first protected request that holds.
struct Request<'a> {
    idi: (IdView<'a>, &'a [u8]),
    idr: Option<IdView<'a>>,
    auth: Option<(AuthMethod, &'a [u8])>,
    child: ChildPayloads<'a>,
    initial_contact: bool,
    /// Data of SET_WINDOW_SIZE, empty where there is none.
    window: &'a [u8],
}

impl InitReceived {
    pub(crate) fn new(
        request: &[u8],
        chosen: Chosen,
        contenders: Arc<Contenders>,
        both: Both,
        op: OpId,
    ) -> Self {
        let progress = Progress::Responding(op, Box::new(chosen));
        Self { request: request.into(), contenders, both, progress }
    }

    /// Whether it may turn out to be this connection's.
    pub(crate) fn may_be(&self, id: ConnectionId) -> bool {
        self.contenders.fit.iter().any(|connection| connection.id == id)
    }

    /// It is not this connection's; gives the one that it is taken for now, if there is another.
    pub(crate) fn without(&mut self, id: ConnectionId) -> Option<Arc<Connection>> {
        Arc::make_mut(&mut self.contenders).fit.retain(|connection| connection.id != id);
        self.contenders.fit.first().cloned()
    }

    /// The answer, to be sent again to the same request.
    pub(crate) fn response(&self) -> Option<&[u8]> {
        match &self.progress {
            Progress::Answered(answered) => Some(&answered.response),
            Progress::Responding(..) => None,
        }
    }

    pub(crate) fn on_answer(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        op: OpId,
        answer: Answer,
    ) -> State {
        match (&self.progress, answer) {
            (Progress::Responding(waited, chosen), Answer::Responded(result)) if *waited == op => {
                let result = result.map_err(Error::from);
                match result.and_then(|(public, shared)| self.respond(cx, common, chosen, &public, &shared)) {
                    Ok(answered) => {
                        self.progress = Progress::Answered(Box::new(answered));
                        if cx.config.key_log
                            && let Ok(talk) = self.talk(cx, common)
                        {
                            common.log_ike_keys(cx, &talk.channel);
                        }
                        State::InitReceived(self)
                    }
                    // A refused public value costs the peer its half-open state and nothing else is said: the
                    // request is not authenticated.
                    Err(error) => fail(common, error),
                }
            }
            _ => State::InitReceived(self),
        }
    }

    fn respond(
        &self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        chosen: &Chosen,
        public: &[u8],
        shared: &Secret,
    ) -> Result<Answered, Error> {
        let ke = chosen.ke.ok_or(CryptoError::Unsupported)?;
        let mut builder =
            MessageBuilder::new(common.spi_i, common.spi_r, ExchangeType::IKE_SA_INIT, Flags::RESPONSE, 0)
                .with(Payload::Sa(chosen.to_sa(&[])))
                .with(ke_payload(ke, public))
                .with(Payload::Nonce(cx.nonce()));
        for payload in nat_detection(cx, common, common.spi_i, common.spi_r) {
            builder.push(payload);
        }
        builder.push(notify(NotifyType::CHILDLESS_IKEV2_SUPPORTED));
        if self.both.fragmentation {
            builder.push(notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED));
        }
        if self.both.intermediate {
            builder.push(notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED));
        }
        let response = builder.emit();
        let suite = chosen.ike_suite(cx.provider).ok_or(CryptoError::Unsupported)?;
        let text = chosen.to_string().into_boxed_str();
        let shared = shared.duplicate();
        let response = response.into_boxed_slice();
        let answered = Answered { response: response.clone(), shared, suite, text, talk: None };
        let datagrams = vec![response.into_vec()];
        if let Ok(view) = MessageView::parse(&answered.response, &cx.config.limits) {
            let names = trace::names(view.payloads(), true);
            common.trace_sent(cx, ExchangeType::IKE_SA_INIT, true, 0, &names, &datagrams, false);
        }
        common.transmit(&datagrams);
        Ok(answered)
    }

    /// The keys, and windows in which nothing has been said.
    fn talk(&self, cx: &Cx<'_>, common: &Common) -> Result<Box<Talk>, Error> {
        let answered = self.answered()?;
        let (ni, nr) = (nonce(cx, &self.request)?, nonce(cx, &answered.response)?);
        let (spi_i, spi_r, suite) = (common.spi_i, common.spi_r, answered.suite);
        let keys = derive_sk(&suite, Seed::Initial { shared: &answered.shared }, ni, nr, spi_i, spi_r)?;
        let mut channel =
            Channel::at_rest(spi_i, spi_r, Role::Responder, suite, answered.text.to_string(), keys);
        channel.fragment_len = cx.config.fragment_len(&common.path).filter(|_| self.both.fragmentation);
        // One request at a time until the peer has heard of more (RFC 7296 §2.3, RFC 9242 §3.2).
        let responses = ResponseCache::new(1, 1);
        Ok(Box::new(Talk { channel, responses, int_auth: IntAuth::default(), intermediates: 0 }))
    }

    fn answered(&self) -> Result<&Answered, Error> {
        match &self.progress {
            Progress::Answered(answered) => Ok(answered),
            Progress::Responding(..) => {
                Err(Error::InvalidMessage(InvalidMessage::Exchange(ExchangeType::IKE_AUTH)))
            }
        }
    }

    pub(crate) fn on_message(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        message: Incoming<'_>,
    ) -> Step {
        let header = message.header;
        let id = header.message_id;
        let Progress::Answered(answered) = &mut self.progress else {
            return Step::discard(State::InitReceived(self), Discarded::Busy);
        };
        let exchange = header.exchange_type;
        let talk = answered.talk.take();
        let standing = match &talk {
            Some(talk) => talk.responses.standing(id),
            None => ResponseCache::new(1, 1).standing(id),
        };
        let expected = (exchange == ExchangeType::IKE_AUTH
            || (exchange == ExchangeType::IKE_INTERMEDIATE && self.both.intermediate))
            && !header.flags.is_response()
            && header.flags.is_initiator()
            && matches!(standing, Standing::New | Standing::Answered)
            && header.initiator_spi == common.spi_i;
        if !expected {
            return Step::discard(self.keep(talk), Discarded::Unexpected);
        }
        let known = talk.is_some();
        let mut talk = match talk.map_or_else(|| self.talk(cx, common), Ok) {
            Ok(talk) => talk,
            Err(error) => return Step::done(fail(common, error)),
        };
        let (first, octets, offset, front) = match (talk.channel.open(&header, message.data), standing) {
            (None, _) => {
                // Nobody has shown that it has the keys: they take no more memory than they must.
                talk.channel.rest();
                return Step::discard(self.keep(known.then_some(talk)), Discarded::Integrity);
            }
            (Some(inner), Standing::Answered) => {
                // A retransmission, answered once when it comes in pieces (RFC 7383 §2.6.1).
                if let (Inner::Whole { .. } | Inner::Piece(1), Some(datagrams)) =
                    (&inner, talk.responses.answered(id))
                {
                    common.trace_sent(cx, exchange, true, id, "SK{..}", datagrams, true);
                    common.transmit_on(message.path, datagrams);
                }
                talk.channel.forget_pieces(false, id);
                return Step::done(self.keep(Some(talk)));
            }
            (Some(Inner::Whole { first, octets, offset, front }), _) => (first, octets, offset, front),
            (Some(Inner::Piece(_)), _) => return Step::done(self.keep(Some(talk))),
        };
        talk.responses.begin(id);
        // Authenticated by the key exchange at least: the answer goes where this came from (§2.23).
        common.path = message.path;
        let chain = match PayloadChain::parse(first, &octets, offset, &cx.config.limits) {
            Ok(chain) => chain,
            Err(error) => return Step::done(refuse(cx, common, *talk, (exchange, id), error.into())),
        };
        common.trace_received(cx, &header, || sk_names(&chain, false));
        if exchange == ExchangeType::IKE_INTERMEDIATE {
            return Step::done(match talk.intermediate(cx, common, id, (&front, &octets), &chain) {
                Ok(()) => self.keep(Some(talk)),
                Err(error) => refuse(cx, common, *talk, (exchange, id), error),
            });
        }
        let reading = read(&chain).and_then(|request| {
            let (connection, remote_id) = self.authenticate(cx, &talk, id, &request)?;
            Ok((request, connection, remote_id))
        });
        Step::done(match reading {
            Ok((request, connection, remote_id)) => {
                common.connection = connection;
                self.establish(cx, common, *talk, id, &request, remote_id)
            }
            Err(error) => refuse(cx, common, *talk, (exchange, id), error),
        })
    }

    /// As it was, with this of what was said.
    fn keep(mut self: Box<Self>, talk: Option<Box<Talk>>) -> State {
        if let Progress::Answered(answered) = &mut self.progress {
            answered.talk = talk;
        }
        State::InitReceived(self)
    }

    /// Finds the connection by the identities, and among those that fit the one whose credentials make the proof hold.
    fn authenticate(
        &self,
        cx: &Cx<'_>,
        talk: &Talk,
        id: u32,
        request: &Request<'_>,
    ) -> Result<(Arc<Connection>, Identity), Error> {
        let theirs = Identity::from_view(&request.idi.0);
        let wanted = request.idr.as_ref().map(Identity::from_view);
        let ours = || wanted.as_ref().map_or_else(|| String::from("anybody"), ToString::to_string);
        let mut contenders = Contenders::clone(&self.contenders);
        // Several were possible: each says why it is not the one.
        let failed = |contenders: &Contenders, only: AuthFailure| {
            Error::AuthenticationFailed(Box::new(match contenders.is_choice() {
                true => AuthFailure::NoConnection {
                    ours: ours(),
                    theirs: theirs.clone(),
                    rejected: contenders.reasons(),
                },
                false => only,
            }))
        };
        contenders.narrow(Unfit::RemoteIdentity, |connection| connection.config.remote_id.admits(&theirs));
        contenders.narrow(Unfit::LocalIdentity, |connection| {
            wanted.as_ref().is_none_or(|wanted| *wanted == connection.config.local_id)
        });
        if contenders.fit.is_empty() {
            // Even of a single connection it is worth telling whom it expects.
            return Err(Error::AuthenticationFailed(Box::new(AuthFailure::NoConnection {
                ours: ours(),
                theirs: theirs.clone(),
                rejected: contenders.reasons(),
            })));
        }
        let Some(auth) = request.auth else {
            contenders.narrow(Unfit::Method, |_| false);
            return Err(failed(&contenders, AuthFailure::NoProof { theirs: theirs.clone() }));
        };
        let proof = Proof {
            prover: Role::Initiator,
            message: &self.request,
            nonce: nonce(cx, &self.answered()?.response)?,
            id_body: request.idi.1,
            int_auth: talk.int_auth.octets(id),
        };
        let mut last = None;
        for connection in contenders.fit.clone() {
            match proof.check(&connection.config, &talk.channel, auth, &theirs) {
                Ok(()) => return Ok((connection, theirs)),
                Err(error) => {
                    let by_method = matches!(&error, Error::AuthenticationFailed(why) if matches!(**why, AuthFailure::Method { .. }));
                    let why = if by_method { Unfit::Method } else { Unfit::Proof };
                    contenders.narrow(why, |other| other.id != connection.id);
                    last = Some(error);
                }
            }
        }
        Err(match last {
            Some(Error::AuthenticationFailed(only)) => failed(&contenders, *only),
            Some(error) => error,
            None => failed(&contenders, AuthFailure::NoProof { theirs: theirs.clone() }),
        })
    }

    /// Our own proof, and both nonces.
    fn prove(&self, cx: &Cx<'_>, common: &Common, talk: &Talk, id: u32) -> Result<(Auth, [&[u8]; 2]), Error> {
        let config = &common.connection.config;
        let answered = self.answered()?;
        let nonces = [nonce(cx, &self.request)?, nonce(cx, &answered.response)?];
        let proof = Proof {
            prover: Role::Responder,
            message: &answered.response,
            nonce: nonces[0],
            id_body: &config.local_id.body(),
            int_auth: talk.int_auth.octets(id),
        };
        Ok((proof.make(config, &talk.channel)?, nonces))
    }

    fn establish(
        &self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        talk: Talk,
        id: u32,
        request: &Request<'_>,
        remote_id: Identity,
    ) -> State {
        let (auth, [ni, nr]) = match self.prove(cx, common, &talk, id) {
            Ok(proven) => proven,
            Err(error) => return refuse(cx, common, talk, (ExchangeType::IKE_AUTH, id), error),
        };
        let Talk { channel, mut responses, .. } = talk;
        responses.grow(common.connection.config.window);
        common.timers.remove(&TimerKind::SetUp);
        let mut payloads =
            vec![Payload::IdR(common.connection.config.local_id.to_payload()), Payload::Auth(auth)];
        payloads.extend(set_window_size(common.connection.config.window));
        let alone = match common.connection.config.uniqueness {
            Uniqueness::Keep => false,
            Uniqueness::InitialContact => request.initial_contact,
            Uniqueness::Replace => true,
        };
        if alone {
            cx.effects.push(Effect::InitialContact { keep: common.handle, remote_id: remote_id.clone() });
        }
        let mut established = Box::new(Established::new(cx, common, channel, remote_id, 0, id + 1));
        established.responses = responses;
        established.set_window(request.window);
        if let Some(time) = common.connection.config.lifetime.reauth {
            let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
            payloads.push(Payload::Notify(Notify::new(NotifyType::AUTH_LIFETIME, seconds)));
            established.renew_by(common, Renewal { at: cx.now + time, ours: false });
        }
        established.announce(common);
        // Childless set-up (RFC 6023): no SA payload, no child.
        if request.child.sa.is_none() {
            established.respond(cx, common, id, ExchangeType::IKE_AUTH, &payloads);
            established.pump(cx, common);
            return State::Established(established);
        }
        let made =
            Agreement::from_offer(cx, common.connection.children.clone().iter(), &request.child, false)
                .and_then(|agreement| {
                    let spi = cx.child_spi().ok_or(Error::OutOfSpis)?;
                    let keying = ChildKeying {
                        prf: established.channel.suite.prf,
                        sk_d: &established.channel.keys.d,
                        shared: &[],
                        ni,
                        nr,
                        role: Role::Responder,
                    };
                    // The answer is on its way before any packet can be: the initiator is waiting for it.
                    match make(cx, common, &agreement, spi, &keying, None, OutboundUse::Now) {
                        Ok((child, install)) => Ok((agreement, child, install)),
                        Err(error) => {
                            release_spi(cx, common, spi);
                            Err(error)
                        }
                    }
                });
        match made {
            Ok((agreement, child, install)) => {
                let refused = payloads.clone();
                payloads.push(agreement.answer_sa(child.inbound));
                payloads.extend(agreement.answer_selectors());
                let after = AfterInstall::Respond {
                    id,
                    exchange: ExchangeType::IKE_AUTH,
                    payloads,
                    refused,
                    retire: None,
                };
                established.adopt(cx, common, child, install, after);
            }
            Err(error) => {
                payloads.push(error_payload(&error, None));
                established.respond(cx, common, id, ExchangeType::IKE_AUTH, &payloads);
                common.event(Event::ChildFailed {
                    child: common.connection.config.name.clone(),
                    error: Box::new(error),
                });
            }
        }
        established.pump(cx, common);
        State::Established(established)
    }

    pub(crate) fn on_timeout(
        self: Box<Self>,
        _cx: &mut Cx<'_>,
        common: &mut Common,
        due: &[TimerKind],
    ) -> State {
        if due.contains(&TimerKind::SetUp) {
            return fail(common, Error::TimedOut { exchange: ExchangeType::IKE_AUTH, tries: 0 });
        }
        State::InitReceived(self)
    }
}

impl Talk {
    /// Answers an IKE_INTERMEDIATE request; what is in it and not known is ignored.
    fn intermediate(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        id: u32,
        (front, inner): (&[u8], &[u8]),
        chain: &PayloadChain<'_>,
    ) -> Result<(), Error> {
        let exchange = ExchangeType::IKE_INTERMEDIATE;
        if self.intermediates >= MAX_INTERMEDIATE {
            return Err(Error::PeerMisbehaved(Misbehaviour::TooManyRetries));
        }
        if let Some(payload_type) = chain.unsupported_critical() {
            return Err(Error::InvalidMessage(InvalidMessage::Critical(payload_type)));
        }
        let Self { channel, responses, int_auth, intermediates } = self;
        *intermediates += 1;
        let payloads = [];
        channel.add_theirs(int_auth, front, inner)?;
        channel.add_ours(int_auth, exchange, id, &payloads)?;
        let datagrams = channel.seal(exchange, true, id, &payloads, cx.rng)?;
        let names = trace::names_of(&payloads, true);
        common.trace_sent(cx, exchange, true, id, &names, &datagrams, false);
        common.transmit(&datagrams);
        responses.answer(id, datagrams);
        Ok(())
    }
}

/// Answers with the error, under the keys, and keeps only what answers a retransmission.
fn refuse(
    cx: &mut Cx<'_>,
    common: &mut Common,
    talk: Talk,
    (exchange, id): (ExchangeType, u32),
    error: Error,
) -> State {
    let Talk { mut channel, mut responses, .. } = talk;
    let payloads = [error_payload(&error, None)];
    if let Ok(datagrams) = channel.seal(exchange, true, id, &payloads, cx.rng) {
        let names = trace::names_of(&payloads, true);
        common.trace_sent(cx, exchange, true, id, &names, &datagrams, false);
        common.transmit(&datagrams);
        responses.answer(id, datagrams);
    }
    common.event(Event::IkeClosed { reason: super::auth_sent::closed(error) });
    Closing::begin(cx, common, channel, responses)
}

/// The nonce of an IKE_SA_INIT message that was taken, or made, before.
fn nonce<'a>(cx: &Cx<'_>, message: &'a [u8]) -> Result<&'a [u8], Error> {
    let view = MessageView::parse(message, &cx.config.limits)?;
    let mut nonces = view.payloads().filter_map(|payload| match payload.kind() {
        PayloadKind::Nonce(octets) => Some(octets),
        _ => None,
    });
    nonces.next().ok_or_else(|| missing(PayloadType::NONCE))
}

fn read<'a>(chain: &PayloadChain<'a>) -> Result<Request<'a>, Error> {
    if let Some(payload_type) = chain.unsupported_critical() {
        return Err(Error::InvalidMessage(InvalidMessage::Critical(payload_type)));
    }
    let (mut idi, mut idr, mut auth) = (None, None, None);
    for payload in chain.payloads() {
        match payload.kind() {
            PayloadKind::IdI(view) => idi = Some((view, payload.body)),
            PayloadKind::IdR(view) => idr = Some(view),
            PayloadKind::Auth(view) => auth = Some((view.method, view.data)),
            _ => {}
        }
    }
    Ok(Request {
        idi: idi.ok_or_else(|| missing(PayloadType::IDI))?,
        idr,
        auth,
        child: ChildPayloads::read(chain),
        initial_contact: chain.notify(NotifyType::INITIAL_CONTACT).is_some(),
        window: chain.notify(NotifyType::SET_WINDOW_SIZE).map(|notify| notify.data).unwrap_or_default(),
    })
}
