//! CREATE_CHILD_SA for Child SAs, new ones and rekeys, in both roles (RFC 7296 §1.3.1, §1.3.3, §2.8, §2.25).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ipsec_crypto::{ActiveKeyExchange, Secret};
use ipsec_sa::{Flow, Role};
use ipsec_wire::Spi;
use ipsec_wire::ike::{
    ExchangeType, KeId, Notify, NotifyType, Payload, PayloadChain, PayloadType, ProtocolId,
};

use super::ANSWER_GRACE;
use super::child::{
    Agreement, ChildKeying, ChildOffer, ChildPayloads, ChildPhase, ChildSa, Ending, PeerRekey, Unheard,
    error_notify, error_payload, ke_payload, make, notify, protocol_id, refusal, security_protocol,
};
use super::refuse::{Refused, refused};
use super::task::{Continuation, Purpose, Task};
use crate::collide::{
    ChildActivity, CollisionAnswer, Redundant, create_child_request, lower_nonce_pair_loses,
    rekey_child_request,
};
use crate::config::ChildConfig;
use crate::context::Cx;
use crate::error::{Error, Misbehaviour};
use crate::event::{ChildInstall, CloseReason, Event, OutboundUse};
use crate::ike_sa::Common;
use crate::job::{Answer, InstallFailed, KeyExchangeJob, Request};
use crate::state::auth_sent::release_spi;
use crate::state::established::Established;

/// A request of ours that is being made, is out, or is being concluded.
#[derive(Clone)]
pub(crate) struct ChildRequest {
    pub(crate) config: Arc<ChildConfig>,
    /// The Child SA to replace.
    pub(crate) replaces: Option<Spi>,
    pub(crate) flow: Option<Flow>,
    pub(crate) offer: Option<ChildOffer>,
    pub(crate) ni: Vec<u8>,
    pub(crate) ke: Option<KeId>,
    pub(crate) tried: Vec<KeId>,
    pub(crate) active: Option<Arc<dyn ActiveKeyExchange>>,
    pub(crate) retries: u8,
    /// The peer's own rekey of the Child SA to replace, which is gone since.
    pub(crate) peer_rekey: Option<PeerRekey>,
}

/// What the peer answered.
#[derive(Clone, Debug)]
pub(crate) struct ChildAnswer {
    pub(crate) agreement: Agreement,
    pub(crate) nr: Vec<u8>,
}

/// A request of the peer's that is being answered.
#[derive(Clone, Debug)]
pub(crate) struct ChildResponse {
    pub(crate) id: u32,
    pub(crate) agreement: Agreement,
    pub(crate) ni: Vec<u8>,
    pub(crate) ke: Option<KeId>,
    /// Our inbound SPI of the Child SA that the peer rekeys.
    pub(crate) replaces: Option<Spi>,
}

/// What waits for an SA to be installed.
#[derive(Clone, Debug)]
pub(crate) enum AfterInstall {
    Nothing,
    /// Delete a Child SA.
    Delete(Spi, Ending),
    /// Send the answer: `payloads`, or `refused` with an error when it could not be installed. `retire` is the
    /// Child SA that the peer has replaced.
    Respond {
        id: u32,
        exchange: ExchangeType,
        payloads: Vec<Payload>,
        refused: Vec<Payload>,
        retire: Option<Spi>,
    },
}

impl core::fmt::Debug for ChildRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ChildRequest")
            .field("child", &self.config.name)
            .field("replaces", &self.replaces)
            .field("ke", &self.ke)
            .finish_non_exhaustive()
    }
}

impl Established {
    /// Begins [`Task::CreateChild`] or [`Task::RekeyChild`].
    pub(crate) fn begin_child(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        config: Arc<ChildConfig>,
        replaces: Option<Spi>,
        flow: Option<Flow>,
        retries: u8,
    ) {
        let ke = config.suites.iter().flat_map(|suite| &suite.ke).copied().find(|ke| *ke != KeId::NONE);
        let request = Box::new(ChildRequest {
            config,
            replaces,
            flow,
            offer: None,
            ni: cx.nonce(),
            ke,
            tried: ke.into_iter().collect(),
            active: None,
            retries,
            peer_rekey: None,
        });
        self.start_child(cx, common, request);
    }

    fn start_child(&mut self, cx: &mut Cx<'_>, common: &mut Common, request: Box<ChildRequest>) {
        match request.ke {
            Some(method) => {
                let op = cx.job(Request::KeyExchange(KeyExchangeJob::Start { method }));
                self.jobs.insert(op, Continuation::ChildStart(request));
            }
            None => self.send_child(cx, common, request),
        }
    }

    fn send_child(&mut self, cx: &mut Cx<'_>, common: &mut Common, mut request: Box<ChildRequest>) {
        if request.offer.is_none() {
            let Some(spi) = cx.child_spi() else {
                return self.child_failed(cx, common, request, Error::OutOfSpis);
            };
            let flow = request.flow;
            request.offer =
                Some(ChildOffer::new(cx, &request.config, spi, flow.as_ref(), request.ke.is_some()));
        }
        let Some(offer) = &request.offer else { return };
        let mut payloads = Vec::with_capacity(7);
        if let Some(replaced) = request.replaces {
            // The SPI is the one that the sender expects in packets to it (RFC 7296 §1.3.3).
            payloads.push(Payload::Notify(Notify::with_spi(
                protocol_id(request.config.protocol()),
                replaced.0.to_be_bytes(),
                NotifyType::REKEY_SA,
                Vec::new(),
            )));
        }
        payloads.extend(offer.notifies());
        payloads.push(Payload::Sa(offer.sa.clone()));
        payloads.push(Payload::Nonce(request.ni.clone()));
        if let (Some(ke), Some(active)) = (request.ke, &request.active) {
            payloads.push(ke_payload(ke, active.public()));
        }
        payloads.extend(offer.selectors());
        self.request(cx, common, ExchangeType::CREATE_CHILD_SA, &payloads, Purpose::Child(request));
    }

    /// The first half of our key exchange is there.
    pub(crate) fn child_started(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut request: Box<ChildRequest>,
        answer: Answer,
    ) {
        match answer {
            Answer::Started(Ok(active)) => {
                request.active = Some(Arc::from(active));
                self.send_child(cx, common, request);
            }
            Answer::Started(Err(error)) => self.child_failed(cx, common, request, error.into()),
            _ => {}
        }
    }

    /// The peer's answer to our request.
    pub(crate) fn on_child_response(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut request: Box<ChildRequest>,
        chain: &PayloadChain<'_>,
    ) {
        if let Some((notify, data)) = error_notify(chain) {
            return self.on_child_refused(cx, common, request, notify, data);
        }
        let found = ChildPayloads::read(chain);
        let Some(offer) = &request.offer else { return };
        let reading = found.nonce().and_then(|nr| {
            let agreement = Agreement::from_answer(cx, offer, &found)?;
            Ok(Box::new(ChildAnswer { agreement, nr: nr.to_vec() }))
        });
        let answer = match reading {
            Ok(answer) => answer,
            Err(error) => return self.child_failed(cx, common, request, error),
        };
        match (request.active.take(), found.ke) {
            (Some(active), Some((_, peer))) => {
                let peer = peer.to_vec();
                let op = cx.job(Request::KeyExchange(KeyExchangeJob::Complete { active, peer }));
                self.jobs.insert(op, Continuation::ChildComplete(request, answer));
            }
            // We offered nothing but forward secrecy, and from_answer holds the peer to the offer.
            _ => self.conclude_child(cx, common, request, *answer, None),
        }
    }

    fn on_child_refused(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut request: Box<ChildRequest>,
        notify: NotifyType,
        data: &[u8],
    ) {
        match refused(notify, data, &request.config.suites, &request.tried, request.retries) {
            Refused::OtherMethod(ke) => {
                request.ke = Some(ke);
                request.tried.push(ke);
                request.active = None;
                self.start_child(cx, common, request);
            }
            Refused::BadMethod => {
                let error = Error::PeerMisbehaved(Misbehaviour::KeUnoffered);
                self.child_failed(cx, common, request, error);
            }
            Refused::Later => {
                let retries = request.retries + 1;
                self.give_back(cx, common, &mut request);
                let task = match request.replaces {
                    Some(inbound) => {
                        self.reopen(inbound);
                        Task::RekeyChild { inbound, retries }
                    }
                    None => Task::CreateChild { config: request.config, flow: request.flow, retries },
                };
                self.later(cx, common, task);
            }
            // The peer has lost what we want to replace: forget it and start anew (RFC 7296 §2.25).
            Refused::ForGood if notify == NotifyType::CHILD_SA_NOT_FOUND && request.replaces.is_some() => {
                self.give_back(cx, common, &mut request);
                let replaced = request.replaces.and_then(|inbound| self.children.remove(&inbound));
                if let Some(child) = replaced {
                    let answered_by_peer = child.peer_rekey.is_some();
                    self.closed(cx, common, &child, CloseReason::Peer);
                    if !answered_by_peer {
                        self.tasks.push_back(Task::CreateChild {
                            config: child.config,
                            flow: None,
                            retries: 0,
                        });
                    }
                }
            }
            Refused::ForGood => {
                if notify == NotifyType::TEMPORARY_FAILURE && request.replaces.is_some() {
                    self.out_of_step(cx, common);
                }
                let error = match &request.offer {
                    Some(offer) => refusal(offer, notify, data),
                    None => Error::NotifyReceived { notify, data: Vec::new() },
                };
                self.child_failed(cx, common, request, error);
            }
        }
    }

    /// The second half of our key exchange is there.
    pub(crate) fn child_completed(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        request: Box<ChildRequest>,
        child: ChildAnswer,
        answer: Answer,
    ) {
        match answer {
            Answer::Completed(Ok(shared)) => {
                self.conclude_child(cx, common, request, child, Some(shared));
            }
            Answer::Completed(Err(error)) => {
                self.child_failed(cx, common, request, error.into());
            }
            _ => {}
        }
    }

    /// Both sides agree: the SA is made, and simultaneous rekeys are resolved (RFC 7296 §2.8.1).
    fn conclude_child(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut request: Box<ChildRequest>,
        answer: ChildAnswer,
        shared: Option<Secret>,
    ) {
        let Some(spi) = request.offer.as_ref().map(|offer| offer.spi) else { return };
        let shared: Vec<&Secret> = shared.iter().collect();
        let old = request.replaces.and_then(|inbound| self.children.get(&inbound));
        let verdict = old
            .and_then(|old| old.peer_rekey.as_ref())
            .or(request.peer_rekey.as_ref())
            .map(|theirs| lower_nonce_pair_loses([&request.ni, &answer.nr], [&theirs.ni, &theirs.nr]));
        let old = old.map(|old| old.inbound);
        let (outbound_use, after) = match (old, verdict) {
            (None, None | Some(Redundant::Theirs)) => (OutboundUse::Now, AfterInstall::Nothing),
            (Some(old), None | Some(Redundant::Theirs)) => {
                (OutboundUse::Now, AfterInstall::Delete(old, Ending::Rekeyed))
            }
            // Ours is the redundant one: the peer's stands, and the peer deletes the old one, or has already.
            (_, Some(Redundant::Ours)) => (OutboundUse::Never, AfterInstall::Delete(spi, Ending::Redundant)),
        };
        let keying = ChildKeying {
            prf: self.channel.suite.prf,
            sk_d: &self.channel.keys.d,
            shared: &shared,
            ni: &request.ni,
            nr: &answer.nr,
            role: Role::Initiator,
        };
        let made = make(cx, common, &answer.agreement, spi, &keying, old, outbound_use);
        match made {
            Ok((child, install)) => {
                request.offer = None;
                if let (Some(old), Some(Redundant::Ours)) = (old, verdict)
                    && let Some(old) = self.children.get_mut(&old)
                {
                    old.phase = ChildPhase::Replaced;
                }
                self.adopt(cx, common, child, install, after);
            }
            Err(error) => self.child_failed(cx, common, request, error),
        }
    }

    /// It did not come about: the old one, if any, stays in use until its hard end.
    fn child_failed(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut request: Box<ChildRequest>,
        error: Error,
    ) {
        self.give_back(cx, common, &mut request);
        if let Some(inbound) = request.replaces {
            self.reopen(inbound);
        }
        common.event(Event::ChildFailed { child: request.config.name.clone(), error: Box::new(error) });
    }

    fn give_back(&self, cx: &mut Cx<'_>, common: &mut Common, request: &mut ChildRequest) {
        if let Some(offer) = request.offer.take() {
            release_spi(cx, common, offer.spi);
        }
    }

    /// A rekey of ours came to nothing.
    fn reopen(&mut self, inbound: Spi) {
        if let Some(child) = self.children.get_mut(&inbound)
            && child.phase == ChildPhase::Rekeying
        {
            child.phase = if child.peer_rekey.is_some() { ChildPhase::Replaced } else { ChildPhase::Open };
        }
    }

    /// The peer's CREATE_CHILD_SA request for a Child SA.
    pub(crate) fn on_child_request(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        id: u32,
        chain: &PayloadChain<'_>,
    ) {
        let exchange = ExchangeType::CREATE_CHILD_SA;
        let rekeyed = chain.notify(NotifyType::REKEY_SA);
        let replaced = rekeyed.map(|rekey| {
            // The peer names its inbound SPI, which is our outbound one.
            let spi = <[u8; 4]>::try_from(rekey.spi).ok().map(|octets| Spi(u32::from_be_bytes(octets)));
            spi.and_then(|spi| self.by_outbound(security_protocol(rekey.protocol)?, spi))
        });
        if replaced.is_none() && self.children.len() >= common.connection.config.max_children {
            return self.refuse(cx, common, id, NotifyType::NO_ADDITIONAL_SAS);
        }
        let answer = match replaced {
            None => create_child_request(self.ike_activity()),
            Some(inbound) => rekey_child_request(self.rekey_activity(inbound), self.ike_activity()),
        };
        match answer {
            CollisionAnswer::TemporaryFailure => {
                return self.refuse(cx, common, id, NotifyType::TEMPORARY_FAILURE);
            }
            CollisionAnswer::ChildSaNotFound => {
                let spi = rekeyed.map(|rekey| rekey.spi.to_vec()).unwrap_or_default();
                let protocol = rekeyed.map_or(ProtocolId::ESP, |rekey| rekey.protocol);
                let payload = Payload::Notify(Notify::with_spi(
                    protocol,
                    spi,
                    NotifyType::CHILD_SA_NOT_FOUND,
                    Vec::new(),
                ));
                return self.respond(cx, common, id, exchange, &[payload]);
            }
            _ => {}
        }
        let replaces = replaced.flatten();
        let found = ChildPayloads::read(chain);
        let reading = found.nonce().and_then(|ni| {
            let configs: Vec<Arc<ChildConfig>> = match replaces.and_then(|spi| self.children.get(&spi)) {
                Some(child) => vec![child.config.clone()],
                None => common.connection.children.clone(),
            };
            let agreement = Agreement::from_offer(cx, configs.iter(), &found, true)?;
            Ok((ni.to_vec(), agreement))
        });
        let (ni, agreement) = match reading {
            Ok(reading) => reading,
            Err(error) => {
                let payload = error_payload(&error, None);
                self.respond(cx, common, id, exchange, &[payload]);
                let child = replaces.and_then(|spi| self.children.get(&spi));
                let child =
                    child.map_or_else(|| common.connection.config.name.clone(), |c| c.config.name.clone());
                return common.event(Event::ChildFailed { child, error: Box::new(error) });
            }
        };
        let wanted = agreement.chosen.ke.filter(|ke| *ke != KeId::NONE);
        let response = Box::new(ChildResponse { id, agreement, ni, ke: wanted, replaces });
        match (wanted, found.ke) {
            (None, _) => self.answer_child(cx, common, *response, None),
            (Some(method), Some((offered, peer))) if offered == method => {
                let peer = peer.to_vec();
                let op = cx.job(Request::KeyExchange(KeyExchangeJob::Respond { method, peer }));
                self.jobs.insert(op, Continuation::ChildRespond(response));
            }
            (Some(method), _) => {
                self.refuse_method(cx, common, id, method);
            }
        }
    }

    /// Our half of the peer's key exchange is there.
    pub(crate) fn child_responded(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        response: ChildResponse,
        answer: Answer,
    ) {
        match answer {
            Answer::Responded(Ok(shared)) => self.answer_child(cx, common, response, Some(shared)),
            Answer::Responded(Err(error)) => {
                let error = Error::from(error);
                let payload = error_payload(&error, None);
                self.respond(cx, common, response.id, ExchangeType::CREATE_CHILD_SA, &[payload]);
                let child = response.agreement.config.name.clone();
                common.event(Event::ChildFailed { child, error: Box::new(error) });
            }
            _ => {}
        }
    }

    fn answer_child(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        response: ChildResponse,
        ke: Option<(Vec<u8>, Secret)>,
    ) {
        let exchange = ExchangeType::CREATE_CHILD_SA;
        let ChildResponse { id, agreement, ni, ke: method, replaces } = response;
        if replaces.is_some()
            && matches!(self.rekey_activity(replaces), ChildActivity::Absent | ChildActivity::Closing)
        {
            // Ours was done first: that one is on its way out (RFC 7296 §2.25.1).
            return self.refuse(cx, common, id, NotifyType::TEMPORARY_FAILURE);
        }
        let Some(spi) = cx.child_spi() else {
            return self.refuse(cx, common, id, NotifyType::NO_ADDITIONAL_SAS);
        };
        let nr = cx.nonce();
        let (public, shared) = match ke {
            Some((public, shared)) => (Some(public), Some(shared)),
            None => (None, None),
        };
        let shared: Vec<&Secret> = shared.iter().collect();
        let keying = ChildKeying {
            prf: self.channel.suite.prf,
            sk_d: &self.channel.keys.d,
            shared: &shared,
            ni: &ni,
            nr: &nr,
            role: Role::Responder,
        };
        let outbound_use = if replaces.is_some() { OutboundUse::AfterFirstInbound } else { OutboundUse::Now };
        let made = make(cx, common, &agreement, spi, &keying, replaces, outbound_use);
        match made {
            Ok((mut child, install)) => {
                child.unheard = Some(Unheard {
                    request: id,
                    until: cx.now + ANSWER_GRACE,
                    at_most: cx.now + ANSWER_GRACE * 5,
                });
                let mut payloads = vec![agreement.answer_sa(spi), Payload::Nonce(nr.clone())];
                if let (Some(method), Some(public)) = (method, &public) {
                    payloads.push(ke_payload(method, public));
                }
                payloads.extend(agreement.answer_selectors());
                if let Some(old) = replaces.and_then(|inbound| self.children.get_mut(&inbound)) {
                    old.rekey_at = None;
                    match old.phase {
                        ChildPhase::Rekeying => old.peer_rekey = Some(PeerRekey { ni, nr }),
                        // Nothing begins on it while the new one is being installed.
                        ChildPhase::Open => old.phase = ChildPhase::Replaced,
                        ChildPhase::Replaced | ChildPhase::Deleting(_) => {}
                    }
                }
                let after =
                    AfterInstall::Respond { id, exchange, payloads, refused: Vec::new(), retire: replaces };
                self.adopt(cx, common, child, install, after);
            }
            Err(error) => {
                release_spi(cx, common, spi);
                let payload = error_payload(&error, None);
                self.respond(cx, common, id, exchange, &[payload]);
            }
        }
    }

    /// A Child SA is made: hands it to whoever installs it, at once or acknowledged, then does what waits for that.
    pub(crate) fn adopt(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        child: ChildSa,
        install: Box<ChildInstall>,
        after: AfterInstall,
    ) {
        let inbound = child.inbound;
        self.children.insert(inbound, child);
        if cx.config.acknowledge_install {
            let op = cx.job(Request::Install(install));
            self.jobs.insert(op, Continuation::Installed { inbound, after });
        } else {
            common.event(Event::ChildInstalled(install));
            self.installed(cx, common, inbound, after, Ok(()));
        }
    }

    /// The caller has installed a Child SA, or could not.
    pub(crate) fn installed(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        inbound: Spi,
        after: AfterInstall,
        result: Result<(), InstallFailed>,
    ) {
        match (after, result) {
            (AfterInstall::Nothing, Ok(())) => {}
            (AfterInstall::Delete(spi, ending), Ok(())) => {
                self.tasks.push_back(Task::DeleteChild { inbound: spi, ending });
            }
            (AfterInstall::Respond { id, exchange, payloads, .. }, Ok(())) => {
                self.respond(cx, common, id, exchange, &payloads);
            }
            (AfterInstall::Respond { id, exchange, mut refused, retire, .. }, Err(InstallFailed)) => {
                if let Some(old) = retire.and_then(|inbound| self.children.get_mut(&inbound)) {
                    // What was to be replaced stays.
                    old.peer_rekey = None;
                    if old.phase == ChildPhase::Replaced {
                        old.phase = ChildPhase::Open;
                    }
                }
                if let Some(child) = self.children.remove(&inbound) {
                    cx.spis.release(child.inbound);
                }
                refused.push(notify(NotifyType::TEMPORARY_FAILURE));
                self.respond(cx, common, id, exchange, &refused);
            }
            // The peer has it and we do not: take it back. The one that it was to replace stays.
            (AfterInstall::Nothing | AfterInstall::Delete(..), Err(InstallFailed)) => {
                self.tasks.push_back(Task::DeleteChild { inbound, ending: Ending::Asked });
            }
        }
    }
}

/// Whether a CREATE_CHILD_SA request is about the IKE SA itself (RFC 7296 §1.3.2).
pub(crate) fn is_about_ike(chain: &PayloadChain<'_>) -> bool {
    chain.find(PayloadType::SA).is_some_and(|payload| match payload.kind() {
        ipsec_wire::ike::PayloadKind::Sa(sa) => {
            sa.proposals().next().is_some_and(|proposal| proposal.protocol == ProtocolId::IKE)
        }
        _ => false,
    })
}
