//! Responder, from IKE_SA_INIT over IKE_INTERMEDIATE to IKE_AUTH (RFC 7296 §1.2, RFC 9242): half-open state.
//!
//! The endpoint has chosen a proposal and found a connection before it makes this state; nothing is authenticated.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ipsec_crypto::{CryptoError, Secret};
use ipsec_sa::Role;
use ipsec_wire::ike::{
    Auth, AuthMethod, ExchangeType, Flags, IdView, MessageBuilder, Notify, NotifyType, Payload, PayloadChain,
    PayloadKind, PayloadType,
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
use crate::keys::{Seed, derive_sk};
use crate::negotiate::connection::{Contenders, Unfit};
use crate::negotiate::proposal::Chosen;
use crate::reauth::Renewal;
use crate::trace;

/// A request that has been accepted so far.
#[derive(Clone)]
pub(crate) struct InitReceived {
    /// The request as received: the initiator's AUTH covers it, and a retransmission is recognised by it.
    pub(crate) request: Vec<u8>,
    pub(crate) ni: Vec<u8>,
    /// Connections that fit so far; identities and proof decide among them.
    pub(crate) contenders: Contenders,
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

#[derive(Clone)]
pub(crate) struct Answered {
    pub(crate) response: Vec<u8>,
    pub(crate) nr: Vec<u8>,
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
        request: Vec<u8>,
        ni: Vec<u8>,
        chosen: Chosen,
        contenders: Contenders,
        both: Both,
        op: OpId,
    ) -> Self {
        Self { request, ni, contenders, both, progress: Progress::Responding(op, Box::new(chosen)) }
    }

    /// Whether it may turn out to be this connection's.
    pub(crate) fn may_be(&self, id: ConnectionId) -> bool {
        self.contenders.fit.iter().any(|connection| connection.id == id)
    }

    /// It is not this connection's; gives the one that it is taken for now, if there is another.
    pub(crate) fn without(&mut self, id: ConnectionId) -> Option<Arc<Connection>> {
        self.contenders.fit.retain(|connection| connection.id != id);
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
        let nr = cx.nonce();
        let ke = chosen.ke.ok_or(CryptoError::Unsupported)?;
        let mut builder =
            MessageBuilder::new(common.spi_i, common.spi_r, ExchangeType::IKE_SA_INIT, Flags::RESPONSE, 0)
                .with(Payload::Sa(chosen.to_sa(&[])))
                .with(ke_payload(ke, public))
                .with(Payload::Nonce(nr.clone()));
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
        let keys = derive_sk(&suite, Seed::Initial { shared }, &self.ni, &nr, common.spi_i, common.spi_r)?;
        let (spi_i, spi_r) = (common.spi_i, common.spi_r);
        let mut channel = Channel::at_rest(spi_i, spi_r, Role::Responder, suite, chosen.to_string(), keys);
        channel.fragment_len = cx.config.fragment_len(&common.path).filter(|_| self.both.fragmentation);
        common.log_ike_keys(cx, &channel);
        let datagrams = vec![response.clone()];
        if let Ok(view) = ipsec_wire::ike::MessageView::parse(&response, &cx.config.limits) {
            let names = trace::names(view.payloads(), true);
            common.trace_sent(cx, ExchangeType::IKE_SA_INIT, true, 0, &names, &datagrams, false);
        }
        common.transmit(&datagrams);
        // One request at a time until the peer has heard of more (RFC 7296 §2.3, RFC 9242 §3.2).
        let responses = ResponseCache::new(1, 1);
        Ok(Answered { response, nr, channel, responses, int_auth: IntAuth::default(), intermediates: 0 })
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
        let standing = answered.responses.standing(id);
        let expected = (exchange == ExchangeType::IKE_AUTH
            || (exchange == ExchangeType::IKE_INTERMEDIATE && self.both.intermediate))
            && !header.flags.is_response()
            && header.flags.is_initiator()
            && matches!(standing, Standing::New | Standing::Answered)
            && header.initiator_spi == common.spi_i;
        if !expected {
            return Step::discard(State::InitReceived(self), Discarded::Unexpected);
        }
        let (first, octets, offset, front) = match (answered.channel.open(&header, message.data), standing) {
            (None, _) => {
                // Nobody has shown that it has the keys: they take no more memory than they must.
                answered.channel.rest();
                return Step::discard(State::InitReceived(self), Discarded::Integrity);
            }
            (Some(inner), Standing::Answered) => {
                // A retransmission, answered once when it comes in pieces (RFC 7383 §2.6.1).
                if let (Inner::Whole { .. } | Inner::Piece(1), Some(datagrams)) =
                    (&inner, answered.responses.answered(id))
                {
                    common.trace_sent(cx, exchange, true, id, "SK{..}", datagrams, true);
                    common.transmit_on(message.path, datagrams);
                }
                answered.channel.forget_pieces(false, id);
                return Step::done(State::InitReceived(self));
            }
            (Some(Inner::Whole { first, octets, offset, front }), _) => (first, octets, offset, front),
            (Some(Inner::Piece(_)), _) => return Step::done(State::InitReceived(self)),
        };
        answered.responses.begin(id);
        // Authenticated by the key exchange at least: the answer goes where this came from (§2.23).
        common.path = message.path;
        let chain = match PayloadChain::parse(first, &octets, offset, &cx.config.limits) {
            Ok(chain) => chain,
            Err(error) => return Step::done(self.refuse(cx, common, (exchange, id), error.into())),
        };
        if exchange == ExchangeType::IKE_INTERMEDIATE {
            common.trace_received(cx, &header, || sk_names(&chain, false));
            return Step::done(match self.intermediate(cx, common, id, (&front, &octets), &chain) {
                Ok(()) => State::InitReceived(self),
                Err(error) => self.refuse(cx, common, (exchange, id), error),
            });
        }
        common.trace_received(cx, &header, || sk_names(&chain, false));
        let request = match read(&chain) {
            Ok(request) => request,
            Err(error) => return Step::done(self.refuse(cx, common, (exchange, id), error)),
        };
        match self.authenticate(id, &request) {
            Ok((connection, remote_id)) => {
                common.connection = connection;
                Step::done(self.establish(cx, common, id, &request, remote_id))
            }
            Err(error) => Step::done(self.refuse(cx, common, (exchange, id), error)),
        }
    }

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
        let Progress::Answered(answered) = &mut self.progress else {
            return Err(Error::InvalidMessage(InvalidMessage::Exchange(exchange)));
        };
        if answered.intermediates >= MAX_INTERMEDIATE {
            return Err(Error::PeerMisbehaved(Misbehaviour::TooManyRetries));
        }
        if let Some(payload_type) = chain.unsupported_critical() {
            return Err(Error::InvalidMessage(InvalidMessage::Critical(payload_type)));
        }
        let Answered { channel, responses, int_auth, intermediates, .. } = &mut **answered;
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

    /// Finds the connection by the identities, and among those that fit the one whose credentials make the proof hold.
    fn authenticate(&self, id: u32, request: &Request<'_>) -> Result<(Arc<Connection>, Identity), Error> {
        let Progress::Answered(answered) = &self.progress else {
            return Err(Error::InvalidMessage(InvalidMessage::Exchange(ExchangeType::IKE_AUTH)));
        };
        let theirs = Identity::from_view(&request.idi.0);
        let wanted = request.idr.as_ref().map(Identity::from_view);
        let ours = || wanted.as_ref().map_or_else(|| String::from("anybody"), ToString::to_string);
        let mut contenders = self.contenders.clone();
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
            let only = AuthFailure::UnknownIdentity { ours: ours(), theirs: theirs.clone() };
            return Err(failed(&contenders, only));
        }
        let Some(auth) = request.auth else {
            contenders.narrow(Unfit::Method, |_| false);
            return Err(failed(&contenders, AuthFailure::NoProof { theirs: theirs.clone() }));
        };
        let proof = Proof {
            prover: Role::Initiator,
            message: &self.request,
            nonce: &answered.nr,
            id_body: request.idi.1,
            int_auth: answered.int_auth.octets(id),
        };
        let mut last = None;
        for connection in contenders.fit.clone() {
            match proof.check(&connection.config, &answered.channel, auth, &theirs) {
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

    /// Our own proof.
    fn prove(&self, common: &Common, answered: &Answered, id: u32) -> Result<Auth, CryptoError> {
        let config = &common.connection.config;
        let proof = Proof {
            prover: Role::Responder,
            message: &answered.response,
            nonce: &self.ni,
            id_body: &config.local_id.body(),
            int_auth: answered.int_auth.octets(id),
        };
        proof.make(config, &answered.channel)
    }

    fn establish(
        self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        id: u32,
        request: &Request<'_>,
        remote_id: Identity,
    ) -> State {
        let proof = match &self.progress {
            Progress::Answered(answered) => self.prove(common, answered, id),
            Progress::Responding(..) => Err(CryptoError::Unsupported),
        };
        let auth = match proof {
            Ok(auth) => auth,
            Err(error) => return self.refuse(cx, common, (ExchangeType::IKE_AUTH, id), error.into()),
        };
        let Self { ni, progress, .. } = self;
        let Progress::Answered(answered) = progress else { return State::Gone };
        let Answered { nr, channel, mut responses, .. } = *answered;
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
                        ni: &ni,
                        nr: &nr,
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

    /// Answers with the error, under the keys, and keeps only what answers a retransmission.
    fn refuse(
        self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        (exchange, id): (ExchangeType, u32),
        error: Error,
    ) -> State {
        let Self { progress, .. } = self;
        let Progress::Answered(answered) = progress else { return State::Gone };
        let Answered { mut channel, mut responses, .. } = *answered;
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
