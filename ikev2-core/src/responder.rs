//! Taking in IKE_SA_INIT requests (RFC 7296 §1.2, §2.6, §2.21.1): stateless until it is worth a half-open IKE SA.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipsec_crypto::{PrfAlgorithm, Secret, prf};
use ipsec_sa::{Instant, Role};
use ipsec_wire::ike::{
    ExchangeType, Flags, Header, KeId, MessageBuilder, MessageView, Notify, NotifyType, Payload, PayloadKind,
    ProtocolId, SaView,
};
use rand_core::CryptoRng;

use crate::bucket::TokenBucket;
use crate::config::{CookiePolicy, EndpointConfig};
use crate::cookie::CookieJar;
use crate::diagnosis::Diagnosis;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::event::{CloseReason, Event};
use crate::ike_sa::{Common, Connection, IkeSa, TimerKind, marked};
use crate::io::{Discarded, IkeHandle, Output};
use crate::job::{KeyExchangeJob, Request};
use crate::negotiate::connection::{Contenders, Unfit};
use crate::negotiate::proposal::{Chosen, allows, choose};
use crate::path::Path;
use crate::state::State;
use crate::state::init_received::{Both, InitReceived};
use crate::state::init_sent::detect_nat;
use crate::table::Table;
use crate::trace;
use crate::unprotected::{Class, Reaction, Standing, reaction};

/// The most connections whose reasons against an offer are told.
const MAX_REFUSALS: usize = 8;

/// The most sets of candidates that set-ups share.
const MAX_SHARED: usize = 16;

/// A keyed digest of a whole IKE_SA_INIT request: how a retransmission is recognised (RFC 7296 §2.1).
type InitDigest = [u8; 16];

/// What the responder keeps about set-ups.
pub(crate) struct Responder {
    cookies: CookieJar,
    digest_key: Secret,
    by_digest: BTreeMap<InitDigest, IkeHandle>,
    pub(crate) digests: BTreeMap<IkeHandle, InitDigest>,
    pub(crate) half_open: BTreeMap<IkeHandle, IpAddr>,
    per_source: BTreeMap<IpAddr, usize>,
    /// The candidates of the last set-ups, for those that have the same.
    contenders: VecDeque<Arc<Contenders>>,
    pub(crate) bucket: TokenBucket,
    /// For looking through all IKE SAs because of a hint.
    pub(crate) searches: TokenBucket,
}

impl Responder {
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            cookies: self.cookies.duplicate(),
            digest_key: self.digest_key.duplicate(),
            by_digest: self.by_digest.clone(),
            digests: self.digests.clone(),
            half_open: self.half_open.clone(),
            per_source: self.per_source.clone(),
            contenders: self.contenders.clone(),
            bucket: self.bucket,
            searches: self.searches,
        }
    }

    pub(crate) fn new(now: Instant, rng: &mut dyn CryptoRng) -> Self {
        let cookies = CookieJar::new(now, rng);
        let mut digest_key = Secret::zeroed(32);
        rng.fill_bytes(digest_key.expose_mut());
        Self {
            cookies,
            digest_key,
            by_digest: BTreeMap::new(),
            digests: BTreeMap::new(),
            half_open: BTreeMap::new(),
            per_source: BTreeMap::new(),
            contenders: VecDeque::new(),
            bucket: TokenBucket::new(now),
            searches: TokenBucket::new(now),
        }
    }

    fn digest(&self, row: &dyn PrfAlgorithm, message: &[u8]) -> Option<InitDigest> {
        let digest = prf(row, self.digest_key.expose(), &[message]).ok()?;
        let mut out = [0; 16];
        let len = digest.len().min(out.len());
        out.get_mut(..len)?.copy_from_slice(digest.expose().get(..len)?);
        Some(out)
    }

    fn enter(&mut self, handle: IkeHandle, digest: InitDigest, source: IpAddr) {
        self.by_digest.insert(digest, handle);
        self.digests.insert(handle, digest);
        self.half_open.insert(handle, source);
        *self.per_source.entry(source).or_default() += 1;
    }

    /// It is no longer half-open.
    pub(crate) fn settled(&mut self, handle: IkeHandle) {
        if let Some(source) = self.half_open.remove(&handle)
            && let Some(count) = self.per_source.get_mut(&source)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }

    /// It is gone.
    pub(crate) fn forget(&mut self, handle: IkeHandle) {
        self.settled(handle);
        if let Some(digest) = self.digests.remove(&handle) {
            self.by_digest.remove(&digest);
        }
    }

    fn asks_cookie(&self, policy: CookiePolicy) -> bool {
        match policy {
            CookiePolicy::Never => false,
            CookiePolicy::From(threshold) => self.half_open.len() >= threshold,
            CookiePolicy::Always => true,
        }
    }

    fn full(&self, config: &EndpointConfig, source: IpAddr) -> bool {
        self.half_open.len() >= config.max_half_open
            || self.per_source.get(&source).is_some_and(|count| *count >= config.max_half_open_per_source)
    }

    /// These candidates, in memory that is shared with set-ups that have the same.
    fn shared(&mut self, contenders: Contenders) -> Arc<Contenders> {
        if let Some(same) = self.contenders.iter().find(|known| known.is_same(&contenders)) {
            return same.clone();
        }
        let contenders = Arc::new(contenders);
        self.contenders.truncate(MAX_SHARED - 1);
        self.contenders.push_front(contenders.clone());
        contenders
    }

    /// The configuration is another: what was kept of it goes.
    pub(crate) fn reconfigured(&mut self) {
        self.contenders.clear();
    }
}

/// What set-up needs of an IKE_SA_INIT request.
struct InitRequest<'a> {
    sa: SaView<'a>,
    ke: (KeId, &'a [u8]),
    ni: &'a [u8],
}

fn read<'a>(view: &MessageView<'a>) -> Option<InitRequest<'a>> {
    let (mut sa, mut ke, mut ni) = (None, None, None);
    for payload in view.payloads() {
        match payload.kind() {
            PayloadKind::Sa(view) => sa = Some(view),
            PayloadKind::Ke(view) => ke = Some((view.method, view.data)),
            PayloadKind::Nonce(octets) => ni = Some(octets),
            _ => {}
        }
    }
    let ni = ni.filter(|ni| (16..=256).contains(&ni.len()))?;
    Some(InitRequest { sa: sa?, ke: ke?, ni })
}

impl Endpoint {
    /// An IKE_SA_INIT request.
    pub(crate) fn handle_init_request(
        &mut self,
        now: Instant,
        path: Path,
        header: &Header,
        data: &[u8],
    ) -> Result<(), Discarded> {
        let proper = header.flags.is_initiator()
            && header.message_id == 0
            && header.responder_spi.is_zero()
            && !header.initiator_spi.is_zero();
        if !proper || self.upkeep.is_closing() {
            return Err(Discarded::Unexpected);
        }
        let row = self.provider.prf.first().copied().ok_or(Discarded::NoConnection)?;
        let digest = self.responder.digest(row, data).ok_or(Discarded::NoConnection)?;
        let known = self.responder.by_digest.get(&digest).copied();
        let standing = match known.and_then(|handle| self.sas.get(&handle)) {
            None => Standing::Unknown,
            Some(sa) if sa.state.is_half_open() => Standing::HalfOpen,
            Some(_) => Standing::Established,
        };
        match (reaction(standing, Class::InitRequest), known) {
            (Reaction::SetUp, _) => {}
            (Reaction::AnswerAgain, Some(handle)) => return self.answer_again(now, handle, path),
            _ => return Err(Discarded::Unexpected),
        }
        let view = MessageView::parse(data, &self.config.limits).map_err(Discarded::Malformed)?;
        if let Some(payload_type) = view.unsupported_critical() {
            let data = vec![payload_type.value()];
            self.reply(now, &path, header, NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, data);
            return Err(Discarded::Refused);
        }
        let Some(request) = read(&view) else { return Err(Discarded::Unexpected) };
        if self.responder.asks_cookie(self.config.cookie) {
            self.check_cookie(now, &path, header, &view, request.ni, row)?;
        }
        if self.responder.full(&self.config, path.remote.ip()) {
            return Err(Discarded::HalfOpenLimit);
        }
        let mut contenders = Contenders::new(self.connections.values().cloned());
        contenders.narrow(Unfit::Addresses, |connection| connection.config.fits(&path));
        let (chosen, contenders) = self.choose_connection(now, &path, header, &request, contenders)?;
        let method = request.ke.0;
        if chosen.ke != Some(method) {
            let wanted = chosen.ke.unwrap_or(KeId::NONE).value().to_be_bytes().to_vec();
            self.send_unprotected(&path, header, NotifyType::INVALID_KE_PAYLOAD, wanted);
            return Err(Discarded::Refused);
        }
        let spi_r = self.fresh_spi();
        let handle = self.ids.handle();
        let nat = detect_nat(&view, header.initiator_spi, header.responder_spi, &path).unwrap_or_default();
        let connection = contenders.fit.first().cloned().ok_or(Discarded::NoConnection)?;
        let contenders = self.responder.shared(contenders);
        let mut common = Common {
            handle,
            role: Role::Responder,
            spi_i: header.initiator_spi,
            spi_r,
            path,
            connection,
            nat,
            timers: Table::new(),
            out: VecDeque::new(),
        };
        common.timers.insert(TimerKind::SetUp, now + self.config.half_open_timeout);
        let both = Both {
            fragmentation: self.config.fragment_size.is_some()
                && view.notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED).is_some(),
            intermediate: self.config.intermediate
                && view.notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED).is_some(),
        };
        let peer = request.ke.1.to_vec();
        let mut jobs = VecDeque::new();
        let mut effects = Vec::new();
        let mut cx = crate::endpoint::cx(self, now, &mut jobs, &mut effects);
        common.trace_received(&cx, header, || trace::names(view.payloads(), false));
        let op = cx.job(Request::KeyExchange(KeyExchangeJob::Respond { method, peer }));
        let state = InitReceived::new(data, chosen, contenders, both, op);
        self.responder.enter(handle, digest, path.remote.ip());
        self.insert(Box::new(IkeSa { common, state: State::InitReceived(Box::new(state)) }));
        self.settle(now, handle, jobs, effects);
        Ok(())
    }

    fn answer_again(&mut self, now: Instant, handle: IkeHandle, path: Path) -> Result<(), Discarded> {
        self.with(now, handle, |sa, cx| {
            let State::InitReceived(state) = &sa.state else { return Err(Discarded::Unexpected) };
            let Some(response) = state.response() else { return Err(Discarded::Busy) };
            let datagrams = vec![response.to_vec()];
            let exchange = ExchangeType::IKE_SA_INIT;
            sa.common.trace_sent(cx, exchange, true, 0, "SA KE Nr ..", &datagrams, true);
            sa.common.transmit_on(path, &datagrams);
            Ok(())
        })
        .unwrap_or(Err(Discarded::UnknownSpi))
    }

    fn check_cookie(
        &mut self,
        now: Instant,
        path: &Path,
        header: &Header,
        view: &MessageView<'_>,
        ni: &[u8],
        row: &'static dyn PrfAlgorithm,
    ) -> Result<(), Discarded> {
        let (remote, spi_i) = (path.remote, header.initiator_spi);
        let rng = &mut *self.rng;
        // The cookie stands first when it is there (RFC 7296 §2.6).
        let sent = view.notify(NotifyType::COOKIE);
        if let Some(cookie) = sent
            && self.responder.cookies.check(row, now, rng, cookie.data, ni, remote, spi_i)
        {
            return Ok(());
        }
        let cookie = self.responder.cookies.make(row, now, rng, ni, remote, spi_i);
        self.send_unprotected(path, header, NotifyType::COOKIE, cookie);
        Err(if sent.is_some() { Discarded::BadCookie } else { Discarded::CookieAsked })
    }

    /// What the first connection that accepts a proposal chooses, and all that allow the same: the rest decides later.
    fn choose_connection(
        &mut self,
        now: Instant,
        path: &Path,
        header: &Header,
        request: &InitRequest<'_>,
        mut contenders: Contenders,
    ) -> Result<(Chosen, Contenders), Discarded> {
        let preferred = Some(request.ke.0);
        let mut refusals = Vec::new();
        for connection in &contenders.fit {
            let suites = &connection.config.suites;
            match choose(suites, request.sa, ProtocolId::IKE, 0, &self.provider, preferred, true) {
                Ok(chosen) => {
                    let same = |it: &Connection| allows(&it.config.suites, &chosen, &self.provider);
                    contenders.narrow(Unfit::Proposals, same);
                    return Ok((chosen, contenders));
                }
                Err(why) if refusals.len() < MAX_REFUSALS => {
                    refusals.push((connection.config.name.clone(), *why));
                }
                Err(_) => {}
            }
        }
        let diagnosis = match refusals.len() {
            0 => return Err(Discarded::NoConnection),
            1 => refusals.pop().map(|(_, why)| Diagnosis::NoProposal(why)),
            _ => Some(Diagnosis::NoConnection(refusals)),
        };
        if let Some(diagnosis) = diagnosis
            && self.reply(now, path, header, NotifyType::NO_PROPOSAL_CHOSEN, Vec::new())
        {
            let handle = self.ids.handle();
            let error = Error::PeerIncompatible(Box::new(diagnosis));
            let reason = CloseReason::Failed(Box::new(error));
            self.loose.push_back(Output::Event(handle, Event::IkeClosed { reason }));
        }
        Err(Discarded::Refused)
    }

    pub(crate) fn reply_invalid_version(&mut self, now: Instant, path: &Path, header: &Header) {
        self.reply(now, path, header, NotifyType::INVALID_MAJOR_VERSION, Vec::new());
    }

    pub(crate) fn reply_invalid_spi(&mut self, now: Instant, path: &Path, header: &Header) {
        self.reply(now, path, header, NotifyType::INVALID_IKE_SPI, Vec::new());
    }

    /// An error outside of any IKE SA, as far as the rate allows.
    fn reply(
        &mut self,
        now: Instant,
        path: &Path,
        header: &Header,
        notify: NotifyType,
        data: Vec<u8>,
    ) -> bool {
        let rate = self.config.stateless_replies_per_second;
        let allowed = self.responder.bucket.take(now, rate, rate);
        if allowed {
            self.send_unprotected(path, header, notify, data);
        }
        allowed
    }

    fn send_unprotected(&mut self, path: &Path, header: &Header, notify: NotifyType, data: Vec<u8>) {
        // The peer's message id and exchange are copied (RFC 7296 §2.21, §1.5).
        let mut flags = Flags::RESPONSE.0;
        if !header.flags.is_initiator() {
            flags |= Flags::INITIATOR.0;
        }
        let message = MessageBuilder::new(
            header.initiator_spi,
            header.responder_spi,
            header.exchange_type,
            Flags(flags),
            header.message_id,
        )
        .with(Payload::Notify(Notify::new(notify, data)))
        .emit();
        self.loose.push_back(Output::Transmit { path: *path, data: marked(path, &message), ecn: 0 });
    }
}
