//! An endpoint's state, piece by piece, for model checkers: two endpoints that draw the same sketch have the same
//! futures, whatever their generators said.
//!
//! No secret is in it. What came out of a generator (SPIs, nonces, handles) goes out through calls of its own, so that
//! whoever takes it can rename it in order of appearance; times go out relative to now. Every struct is taken apart
//! field by field: a new field does not compile until it is drawn here, or left out for a reason.

use ipsec_sa::{Instant, Role};
use ipsec_wire::Spi;

use crate::channel::Channel;
use crate::endpoint::Endpoint;
use crate::exchange::child::{ChildOffer, ChildPhase, ChildSa, Ending, PeerRekey, Unheard};
use crate::exchange::create_child::{AfterInstall, ChildAnswer, ChildRequest, ChildResponse};
use crate::exchange::rekey_ike::{IkeAnswer, IkeRequest, IkeResponse, PeerIkeRekey};
use crate::exchange::response_cache::ResponseCache;
use crate::exchange::retransmit::Retransmission;
use crate::exchange::task::{Continuation, Deferred, Purpose, Task};
use crate::exchange::window::{Datagrams, RequestWindow, Sent};
use crate::ike_sa::{Common, IkeSa};
use crate::io::IkeHandle;
use crate::job::OpId;
use crate::negotiate::connection::Contenders;
use crate::path::{Path, Transport};
use crate::reauth::Renewal;
use crate::state::State;
use crate::state::auth_sent::{AuthSent, Failure};
use crate::state::candidate::{Candidate, Candidates};
use crate::state::closing::Closing;
use crate::state::established::{Established, Phase};
use crate::state::init_received::{self, Both, InitReceived};
use crate::state::init_sent::{self, InitSent};
use crate::upkeep::{Kept, Upkeep};

/// Takes in a state. The order of the calls is part of it.
pub trait Sketch {
    /// A number that counts as it is.
    fn number(&mut self, number: u64);
    /// Something a generator or a counter has made up: only whether two are the same counts.
    fn name(&mut self, kind: NameKind, name: u64);
    /// A nonce that will be compared with others: which one is lower counts.
    fn nonce(&mut self, nonce: &[u8]);
    /// A message as it was sent, and will be again.
    fn message(&mut self, datagram: &[u8]);
}

/// What a name is of: names of two kinds have nothing to do with each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NameKind {
    /// An IKE SPI, its octets as a big-endian number.
    IkeSpi,
    /// A Child SA's SPI.
    ChildSpi,
    /// An endpoint's [`crate::IkeHandle`].
    Handle,
    /// An endpoint's [`crate::OpId`].
    Op,
}

impl Endpoint {
    /// Draws the state as of `now`, all outputs having been polled.
    ///
    /// Left out: the configuration; keys, which follow from the SPIs; counters; the pool of SPIs; secrets of cookies;
    /// how far rates have been used; pieces of messages that are not whole yet.
    pub fn sketch(&self, now: Instant, sketch: &mut dyn Sketch) {
        let Self {
            config: _,
            provider: _,
            rng: _,
            connections,
            sas,
            by_spi: _,
            responder,
            // Each is that of its IKE SA's state.
            timers: _,
            ready: _,
            is_ready: _,
            loose: _,
            ids: _,
            spis: _,
            jobs,
            counters: _,
            upkeep,
        } = self;
        let mut pen = Pen { sketch, now };
        pen.upkeep(upkeep);
        pen.count(connections.len());
        pen.count(sas.len());
        for (handle, sa) in sas {
            pen.flag(responder.digests.contains_key(handle));
            pen.flag(responder.half_open.contains_key(handle));
            pen.ike_sa(sa);
        }
        pen.count(jobs.len());
        for (op, handle) in jobs {
            pen.op(*op);
            pen.handle(*handle);
        }
    }
}

struct Pen<'a> {
    sketch: &'a mut dyn Sketch,
    now: Instant,
}

impl Pen<'_> {
    fn number(&mut self, number: impl Into<u64>) {
        self.sketch.number(number.into());
    }

    fn count(&mut self, count: usize) {
        self.sketch.number(count as u64);
    }

    fn flag(&mut self, flag: bool) {
        self.sketch.number(u64::from(flag));
    }

    fn child_spi(&mut self, spi: Spi) {
        self.sketch.name(NameKind::ChildSpi, u64::from(spi.0));
    }

    fn ike_spi(&mut self, spi: ipsec_wire::IkeSpi) {
        self.sketch.name(NameKind::IkeSpi, u64::from_be_bytes(spi.0));
    }

    fn handle(&mut self, handle: IkeHandle) {
        self.sketch.name(NameKind::Handle, handle.0);
    }

    fn op(&mut self, op: OpId) {
        self.sketch.name(NameKind::Op, op.0);
    }

    fn time(&mut self, at: Instant) {
        self.sketch.number(at.as_micros().wrapping_sub(self.now.as_micros()));
    }

    fn maybe_time(&mut self, at: Option<Instant>) {
        self.flag(at.is_some());
        if let Some(at) = at {
            self.time(at);
        }
    }

    fn maybe_spi(&mut self, spi: Option<Spi>) {
        self.flag(spi.is_some());
        if let Some(spi) = spi {
            self.child_spi(spi);
        }
    }

    fn maybe_handle(&mut self, handle: Option<IkeHandle>) {
        self.flag(handle.is_some());
        if let Some(handle) = handle {
            self.handle(handle);
        }
    }

    fn upkeep(&mut self, upkeep: &Upkeep) {
        let Upkeep { kept, stirred, closing_at } = upkeep;
        self.count(kept.len());
        for (id, kept) in kept {
            let Kept { failures, attempting, not_before, child_failures, children_not_before } = kept;
            self.number(id.0);
            self.number(*failures);
            self.flag(*attempting);
            self.maybe_time(*not_before);
            self.number(*child_failures);
            // What is past counts no more.
            self.maybe_time(Some(*children_not_before).filter(|at| *at > self.now));
        }
        self.count(stirred.len());
        self.maybe_time(*closing_at);
    }

    fn path(&mut self, path: &Path) {
        let Path { local, remote, transport } = path;
        for address in [local, remote] {
            match address.ip() {
                core::net::IpAddr::V4(ip) => self.number(ip.to_bits()),
                core::net::IpAddr::V6(ip) => {
                    for part in ip.segments() {
                        self.number(part);
                    }
                }
            }
            self.number(address.port());
        }
        self.number(match transport {
            Transport::Udp => 0u64,
            Transport::UdpEncap => 1,
            Transport::Ip => 2,
            Transport::Tcp(connection) => 3u64.wrapping_add(*connection),
        });
    }

    fn datagrams(&mut self, datagrams: &Datagrams) {
        self.count(datagrams.len());
        for datagram in datagrams {
            self.sketch.message(datagram);
        }
    }

    fn retransmission(&mut self, retransmission: &Retransmission) {
        self.maybe_time(retransmission.due());
        self.number(retransmission.sent_again());
        self.flag(retransmission.granted());
    }

    fn ike_sa(&mut self, sa: &IkeSa) {
        let Common { handle, role, spi_i, spi_r, path, connection, nat, timers, out: _ } = &sa.common;
        self.handle(*handle);
        self.flag(*role == Role::Initiator);
        self.ike_spi(*spi_i);
        self.ike_spi(*spi_r);
        self.path(path);
        self.number(connection.id.0);
        self.flag(nat.local_behind_nat);
        self.flag(nat.remote_behind_nat);
        self.count(timers.len());
        for (kind, at) in timers {
            self.number(*kind as u64);
            self.time(*at);
        }
        match &sa.state {
            State::InitSent(state) => {
                self.number(1u64);
                self.init_sent(state);
            }
            State::AuthSent(state) => {
                self.number(2u64);
                self.auth_sent(state);
            }
            State::InitReceived(state) => {
                self.number(3u64);
                self.init_received(state);
            }
            State::Established(state) => {
                self.number(4u64);
                self.established(state);
            }
            State::Closing(state) => {
                self.number(5u64);
                let Closing { channel, responses, notice } = &**state;
                self.channel(channel);
                self.responses(responses);
                let RequestWindow { next_id, size: _, outstanding } = notice;
                self.number(*next_id);
                self.count(outstanding.len());
                for sent in outstanding.values() {
                    let Sent { exchange: _, datagrams, retransmission, purpose: () } = sent;
                    self.datagrams(datagrams);
                    self.retransmission(retransmission);
                }
            }
            State::Gone => self.number(6u64),
        }
    }

    fn init_sent(&mut self, state: &InitSent) {
        let InitSent {
            ke,
            tried,
            active,
            ni: _,
            offer: _,
            cookie,
            request,
            retransmission,
            retries,
            hint,
            first_child,
            flow,
            initial_contact,
            replaces,
            job,
        } = state;
        self.flag(*initial_contact);
        self.maybe_handle(*replaces);
        self.number(ke.value());
        self.count(tried.len());
        self.flag(active.is_some());
        self.flag(cookie.is_some());
        if !request.is_empty() {
            self.sketch.message(request);
        }
        self.flag(retransmission.is_some());
        if let Some(retransmission) = retransmission {
            self.retransmission(retransmission);
        }
        self.number(*retries);
        self.flag(hint.is_some());
        self.count(first_child.map_or(0, |child| child.saturating_add(1)));
        self.flag(flow.is_some());
        match job {
            init_sent::Job::None => self.number(0u64),
            init_sent::Job::Start(op) => {
                self.number(1u64);
                self.op(*op);
            }
            init_sent::Job::Complete(op, answered) => {
                let init_sent::Answered {
                    spi_r,
                    response,
                    nr: _,
                    chosen: _,
                    nat,
                    path,
                    childless,
                    fragmentation,
                    intermediate,
                } = &**answered;
                self.number(2u64);
                self.op(*op);
                self.ike_spi(*spi_r);
                self.sketch.message(response);
                self.flag(nat.any());
                self.path(path);
                self.flag(*childless);
                self.flag(*fragmentation);
                self.flag(*intermediate);
            }
        }
    }

    fn auth_sent(&mut self, state: &AuthSent) {
        let AuthSent { init, offer, candidates, failure } = state;
        self.init_sent(init);
        self.offer(offer.as_ref());
        self.flag(failure.is_some());
        if let Some(failure) = failure {
            let Failure { error: _, tell } = &**failure;
            self.flag(tell.is_some());
        }
        self.candidates(candidates);
    }

    fn candidates(&mut self, candidates: &Candidates) {
        self.count(candidates.list.len());
        self.count(candidates.refused.len());
        for candidate in &candidates.list {
            let Candidate {
                channel,
                request,
                response,
                nr: _,
                nat,
                path,
                tasks,
                // It follows from the messages.
                int_auth: _,
                exchange,
                message_id,
                datagrams,
                retransmission,
            } = candidate;
            self.count(tasks.len());
            self.number(exchange.value());
            self.channel(channel);
            self.sketch.message(request);
            self.sketch.message(response);
            self.flag(nat.local_behind_nat);
            self.flag(nat.remote_behind_nat);
            self.path(path);
            self.number(*message_id);
            self.datagrams(datagrams);
            if let Some(retransmission) = retransmission {
                self.retransmission(retransmission);
            }
        }
    }

    fn init_received(&mut self, state: &InitReceived) {
        let InitReceived { request, contenders, both, progress } = state;
        let Both { fragmentation, intermediate } = both;
        self.sketch.message(request);
        let Contenders { fit, rejected } = &**contenders;
        self.count(fit.len());
        self.count(rejected.len());
        self.flag(*fragmentation);
        self.flag(*intermediate);
        match progress {
            init_received::Progress::Responding(op, chosen) => {
                self.number(0u64);
                self.number(chosen.number);
                self.op(*op);
            }
            init_received::Progress::Answered(answered) => {
                // What else it holds follows from the messages.
                let init_received::Answered { response, talk, .. } = &**answered;
                self.number(1u64);
                self.sketch.message(response);
                self.flag(talk.is_some());
                if let Some(talk) = talk {
                    let init_received::Talk { channel, responses, int_auth: _, intermediates } = &**talk;
                    self.count(*intermediates);
                    self.channel(channel);
                    self.responses(responses);
                }
            }
        }
    }

    fn channel(&mut self, channel: &Channel) {
        self.ike_spi(channel.spi_i);
        self.ike_spi(channel.spi_r);
        self.flag(channel.role == Role::Initiator);
        self.count(channel.fragment_len.unwrap_or(0));
    }

    fn responses(&mut self, responses: &ResponseCache) {
        let ResponseCache { next, size, ahead, busy, answers } = responses;
        self.number(*next);
        self.number(*size);
        self.count(ahead.len());
        for id in ahead.keys() {
            self.number(*id);
        }
        self.count(busy.len());
        for id in busy.keys() {
            self.number(*id);
        }
        self.count(answers.len());
        for (id, datagrams) in answers {
            self.number(*id);
            self.datagrams(datagrams);
        }
    }

    fn established(&mut self, state: &Established) {
        let Established {
            channel,
            remote_id: _,
            phase,
            requests,
            responses,
            reply_paths,
            children,
            tasks,
            deferred,
            jobs,
            peer_ike_rekey,
            undecided,
            last_heard,
            rates: _,
            renewal,
            retires,
        } = state;
        self.flag(renewal.is_some());
        if let Some(Renewal { at, ours }) = renewal {
            self.time(*at);
            self.flag(*ours);
        }
        self.maybe_handle(*retires);
        self.channel(channel);
        self.number(match phase {
            Phase::Open => 0u64,
            Phase::Replaced => 1,
            Phase::Redundant => 2,
            Phase::Deleting => 3,
        });
        let RequestWindow { next_id, size, outstanding } = requests;
        self.number(*next_id);
        self.number(*size);
        self.count(outstanding.len());
        for (id, sent) in outstanding {
            let Sent { exchange: _, datagrams, retransmission, purpose } = sent;
            self.number(*id);
            self.datagrams(datagrams);
            self.retransmission(retransmission);
            self.purpose(purpose);
        }
        self.responses(responses);
        self.count(reply_paths.len());
        for (id, path) in reply_paths {
            self.number(*id);
            self.path(path);
        }
        self.count(children.len());
        for child in children.values() {
            self.child(child);
        }
        self.count(tasks.len());
        for task in tasks {
            self.task(task);
        }
        self.count(deferred.len());
        for Deferred { at, task } in deferred {
            self.time(*at);
            self.task(task);
        }
        self.count(jobs.len());
        for (op, job) in jobs {
            self.op(*op);
            self.continuation(job);
        }
        self.flag(peer_ike_rekey.is_some());
        if let Some(PeerIkeRekey { handle, ni, nr }) = peer_ike_rekey {
            self.handle(*handle);
            self.sketch.nonce(ni);
            self.sketch.nonce(nr);
        }
        self.maybe_handle(*undecided);
        self.time(*last_heard);
    }

    fn child(&mut self, child: &ChildSa) {
        let ChildSa {
            config: _,
            inbound,
            outbound,
            local,
            remote,
            suite: _,
            phase,
            rekey_at,
            expires_at,
            peer_rekey,
            unheard,
        } = child;
        self.child_spi(*inbound);
        self.child_spi(*outbound);
        self.count(local.len());
        self.count(remote.len());
        self.number(match phase {
            ChildPhase::Open => 0u64,
            ChildPhase::Rekeying => 1,
            ChildPhase::Replaced => 2,
            ChildPhase::Deleting(ending) => 3u64.wrapping_add(ending_number(*ending)),
        });
        self.maybe_time(*rekey_at);
        self.maybe_time(*expires_at);
        self.flag(peer_rekey.is_some());
        if let Some(PeerRekey { ni, nr }) = peer_rekey {
            self.sketch.nonce(ni);
            self.sketch.nonce(nr);
        }
        self.flag(unheard.is_some());
        if let Some(Unheard { request, until, at_most: _ }) = unheard {
            self.number(*request);
            self.time(*until);
        }
    }

    fn task(&mut self, task: &Task) {
        match task {
            Task::CreateChild { config: _, flow, retries } => {
                self.number(1u64);
                self.flag(flow.is_some());
                self.number(*retries);
            }
            Task::RekeyChild { inbound, retries } => {
                self.number(2u64);
                self.child_spi(*inbound);
                self.number(*retries);
            }
            Task::RekeyIke { retries } => {
                self.number(3u64);
                self.number(*retries);
            }
            Task::DeleteChild { inbound, ending } => {
                self.number(4u64);
                self.child_spi(*inbound);
                self.number(ending_number(*ending));
            }
            Task::TellDeleted { inbound, protocol: _ } => {
                self.number(5u64);
                self.child_spi(*inbound);
            }
            Task::DeleteIke => self.number(6u64),
            Task::Liveness => self.number(7u64),
            Task::TellInvalidSpi(spi) => {
                self.number(8u64);
                self.number(spi.0);
            }
        }
    }

    fn purpose(&mut self, purpose: &Purpose) {
        match purpose {
            Purpose::Child(request) => {
                self.number(1u64);
                self.child_request(request);
            }
            Purpose::RekeyIke(request) => {
                self.number(2u64);
                self.ike_request(request);
            }
            Purpose::DeleteChild(inbound) => {
                self.number(3u64);
                self.child_spi(*inbound);
            }
            Purpose::TellDeleted => self.number(4u64),
            Purpose::DeleteIke => self.number(5u64),
            Purpose::Liveness => self.number(6u64),
            Purpose::TellInvalidSpi => self.number(7u64),
        }
    }

    fn continuation(&mut self, job: &Continuation) {
        match job {
            Continuation::ChildStart(request) => {
                self.number(1u64);
                self.child_request(request);
            }
            Continuation::ChildComplete(request, answer) => {
                let ChildAnswer { agreement, nr } = &**answer;
                self.number(2u64);
                self.child_request(request);
                self.maybe_spi(agreement.peer_spi());
                self.sketch.nonce(nr);
            }
            Continuation::ChildRespond(response) => {
                let ChildResponse { id, agreement, ni, ke, replaces } = &**response;
                self.number(3u64);
                self.number(*id);
                self.maybe_spi(agreement.peer_spi());
                self.sketch.nonce(ni);
                self.flag(ke.is_some());
                self.maybe_spi(*replaces);
            }
            Continuation::IkeStart(request) => {
                self.number(4u64);
                self.ike_request(request);
            }
            Continuation::IkeComplete(request, answer) => {
                let IkeAnswer { chosen, nr } = &**answer;
                self.number(5u64);
                self.ike_request(request);
                self.chosen_ike_spi(&chosen.spi);
                self.sketch.nonce(nr);
            }
            Continuation::IkeRespond(response) => {
                let IkeResponse { id, chosen, ni, ke } = &**response;
                self.number(6u64);
                self.number(*id);
                self.chosen_ike_spi(&chosen.spi);
                self.sketch.nonce(ni);
                self.number(ke.value());
            }
            Continuation::Installed { inbound, after } => {
                self.number(7u64);
                self.child_spi(*inbound);
                match after {
                    AfterInstall::Nothing => self.number(0u64),
                    AfterInstall::Delete(spi, ending) => {
                        self.number(1u64);
                        self.child_spi(*spi);
                        self.number(ending_number(*ending));
                    }
                    // The payloads follow from the SA.
                    AfterInstall::Respond { id, exchange, payloads, refused, retire } => {
                        self.number(2u64);
                        self.number(*id);
                        self.number(exchange.value());
                        self.count(payloads.len());
                        self.count(refused.len());
                        self.maybe_spi(*retire);
                    }
                }
            }
        }
    }

    fn child_request(&mut self, request: &ChildRequest) {
        let ChildRequest { config: _, replaces, flow, offer, ni, ke, tried, active, retries, peer_rekey } =
            request;
        self.flag(peer_rekey.is_some());
        if let Some(PeerRekey { ni, nr }) = peer_rekey {
            self.sketch.nonce(ni);
            self.sketch.nonce(nr);
        }
        self.maybe_spi(*replaces);
        self.flag(flow.is_some());
        self.offer(offer.as_ref());
        self.sketch.nonce(ni);
        self.number(ke.map_or(0, |ke| ke.value()));
        self.count(tried.len());
        self.flag(active.is_some());
        self.number(*retries);
    }

    fn ike_request(&mut self, request: &IkeRequest) {
        let IkeRequest { spi, offer: _, ni, ke, tried, active, retries } = request;
        self.ike_spi(*spi);
        self.sketch.nonce(ni);
        self.number(ke.value());
        self.count(tried.len());
        self.flag(active.is_some());
        self.number(*retries);
    }

    fn offer(&mut self, offer: Option<&ChildOffer>) {
        self.flag(offer.is_some());
        if let Some(ChildOffer { config: _, spi, sa: _, local, remote }) = offer {
            self.child_spi(*spi);
            self.count(local.len());
            self.count(remote.len());
        }
    }

    fn chosen_ike_spi(&mut self, octets: &[u8]) {
        match <[u8; 8]>::try_from(octets) {
            Ok(octets) => self.ike_spi(ipsec_wire::IkeSpi(octets)),
            Err(_) => self.count(octets.len()),
        }
    }
}

const fn ending_number(ending: Ending) -> u64 {
    match ending {
        Ending::Asked => 0,
        Ending::Rekeyed => 1,
        Ending::Redundant => 2,
    }
}
