//! What IKE_AUTH and CREATE_CHILD_SA share about Child SAs: offering one, choosing from an offer, and turning the
//! agreement into the two `SaParams` (RFC 7296 §1.2, §1.3.1, §2.9, §2.17).

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ipsec_crypto::{CryptoError, PrfAlgorithm, Secret};
use ipsec_sa::{
    Direction, Flow, IkeSaRef, Instant, Mode, Outer, Role, SaKeys, SaParams, SecurityProtocol,
    TrafficSelector, covers, narrow,
};
use ipsec_wire::Spi;
use ipsec_wire::ike::{
    Delete, Ke, KeId, Notify, NotifyType, Payload, PayloadChain, PayloadKind, PayloadType, ProtocolId, Sa,
    SaView, Ts, TsView,
};

use crate::config::ChildConfig;
use crate::context::Cx;
use crate::diagnosis::{Diagnosis, SelectorPair};
use crate::error::{Error, InvalidMessage, Misbehaviour, Refusal};
use crate::event::{ChildInstall, Event, KeyLogLine, OutboundUse};
use crate::ike_sa::Common;
use crate::keylog;
use crate::keys::child_keymat;
use crate::negotiate::proposal::{Chosen, accept, choose, offer};
use crate::state::init_sent::missing;

/// An established Child SA, as its IKE SA keeps it.
#[derive(Clone, Debug)]
pub(crate) struct ChildSa {
    pub(crate) config: Arc<ChildConfig>,
    pub(crate) inbound: Spi,
    pub(crate) outbound: Spi,
    pub(crate) local: Vec<TrafficSelector>,
    pub(crate) remote: Vec<TrafficSelector>,
    pub(crate) suite: String,
    pub(crate) phase: ChildPhase,
    /// When to replace it; taken out once that has begun.
    pub(crate) rekey_at: Option<Instant>,
    /// When it must not be used any longer.
    pub(crate) expires_at: Option<Instant>,
    /// The peer's own rekey of it, answered while ours was on its way.
    pub(crate) peer_rekey: Option<PeerRekey>,
    /// The answer that made it, while the peer may not have it.
    pub(crate) unheard: Option<Unheard>,
}

/// An answer of ours that the peer may not have yet: a request about the SA it makes would name an SPI that the peer
/// does not know, and be taken for one about an SA that is gone (RFC 7296 §2.25).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unheard {
    /// The request's message id.
    pub(crate) request: u32,
    /// From then on it counts as heard: the peer would have asked for it again.
    pub(crate) until: Instant,
    /// However often it is asked for, and be it by somebody who replays the request: the peer has given up by then.
    pub(crate) at_most: Instant,
}

/// What is being done to a Child SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ChildPhase {
    /// In use.
    Open,
    /// Our request to rekey it is under way.
    Rekeying,
    /// Another has taken its place; its deletion is the peer's to ask for.
    Replaced,
    /// Our request to delete it is under way, for this reason.
    Deleting(Ending),
}

/// Why we delete a Child SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Asked,
    Rekeyed,
    Redundant,
}

/// The nonces of an exchange in which the peer rekeyed what we were rekeying, and the SA it made.
#[derive(Clone, Debug)]
pub(crate) struct PeerRekey {
    pub(crate) ni: Vec<u8>,
    pub(crate) nr: Vec<u8>,
}

/// What we propose for a Child SA.
#[derive(Clone, Debug)]
pub(crate) struct ChildOffer {
    pub(crate) config: Arc<ChildConfig>,
    pub(crate) spi: Spi,
    pub(crate) sa: Sa,
    /// Our side first, whichever role we have.
    pub(crate) local: Vec<TrafficSelector>,
    pub(crate) remote: Vec<TrafficSelector>,
}

impl ChildOffer {
    /// `flow` is the packet that asked for the SA: its own selectors come first (RFC 7296 §2.9).
    pub(crate) fn new(
        cx: &Cx<'_>,
        config: &Arc<ChildConfig>,
        spi: Spi,
        flow: Option<&Flow>,
        with_ke: bool,
    ) -> Self {
        let sa =
            offer(&config.suites, protocol_id(config.protocol()), &spi.0.to_be_bytes(), cx.provider, with_ke);
        let (mut local, mut remote) = (config.local.clone(), config.remote.clone());
        if let Some(flow) = flow {
            let specific = |address, port: Option<u16>| {
                let selector = TrafficSelector::host(address).with_protocol(flow.protocol);
                port.map_or_else(|| selector, |port| selector.with_ports(port..=port))
            };
            if covers(&config.local, &TrafficSelector::host(flow.src))
                && covers(&config.remote, &TrafficSelector::host(flow.dst))
            {
                local.insert(0, specific(flow.src, flow.src_port));
                remote.insert(0, specific(flow.dst, flow.dst_port));
            }
        }
        Self { config: config.clone(), spi, sa, local, remote }
    }

    /// TSi and TSr when we are the exchange's initiator.
    pub(crate) fn selectors(&self) -> [Payload; 2] {
        [Payload::TsI(ts(&self.local)), Payload::TsR(ts(&self.remote))]
    }

    /// What is said beside the proposals: the mode, where it is not the tunnel, and whether later fragments are to
    /// travel in the SA too (RFC 7296 §1.3.1).
    pub(crate) fn notifies(&self) -> impl Iterator<Item = Payload> {
        let transport = self.config.mode == Mode::Transport;
        transport
            .then(|| notify(NotifyType::USE_TRANSPORT_MODE))
            .into_iter()
            .chain(self.config.non_first_fragments.then(|| notify(NotifyType::NON_FIRST_FRAGMENTS_ALSO)))
    }
}

/// A protocol's number in proposals, Delete and REKEY_SA.
pub(crate) const fn protocol_id(protocol: SecurityProtocol) -> ProtocolId {
    match protocol {
        SecurityProtocol::Esp => ProtocolId::ESP,
        SecurityProtocol::Ah => ProtocolId::AH,
    }
}

/// The protocol of that number.
pub(crate) fn security_protocol(id: ProtocolId) -> Option<SecurityProtocol> {
    match id {
        ProtocolId::ESP => Some(SecurityProtocol::Esp),
        ProtocolId::AH => Some(SecurityProtocol::Ah),
        _ => None,
    }
}

/// Asks the peer to delete, or tells it of, inbound SAs of ours.
pub(crate) fn delete_payload(protocol: SecurityProtocol, spis: &[Spi]) -> Payload {
    Payload::Delete(match protocol {
        SecurityProtocol::Esp => Delete::esp(spis),
        SecurityProtocol::Ah => Delete::ah(spis),
    })
}

pub(crate) fn ts(selectors: &[TrafficSelector]) -> Ts {
    Ts { selectors: selectors.iter().map(Into::into).collect(), ..Ts::default() }
}

/// The payloads of a message that concern a Child SA.
#[derive(Clone, Copy, Default)]
pub(crate) struct ChildPayloads<'a> {
    pub(crate) sa: Option<SaView<'a>>,
    pub(crate) nonce: Option<&'a [u8]>,
    pub(crate) ke: Option<(KeId, &'a [u8])>,
    pub(crate) tsi: Option<TsView<'a>>,
    pub(crate) tsr: Option<TsView<'a>>,
    pub(crate) transport: bool,
    pub(crate) no_tfc: bool,
    pub(crate) fragments: bool,
    pub(crate) additional_ts: bool,
}

impl<'a> ChildPayloads<'a> {
    pub(crate) fn read(chain: &PayloadChain<'a>) -> Self {
        let mut found = Self::default();
        for payload in chain.payloads() {
            match payload.kind() {
                PayloadKind::Sa(view) => found.sa = Some(view),
                PayloadKind::Nonce(octets) => found.nonce = Some(octets),
                PayloadKind::Ke(view) => found.ke = Some((view.method, view.data)),
                PayloadKind::TsI(view) => found.tsi = Some(view),
                PayloadKind::TsR(view) => found.tsr = Some(view),
                PayloadKind::Notify(notify) => match notify.notify_type {
                    NotifyType::USE_TRANSPORT_MODE => found.transport = true,
                    NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED => found.no_tfc = true,
                    NotifyType::NON_FIRST_FRAGMENTS_ALSO => found.fragments = true,
                    NotifyType::ADDITIONAL_TS_POSSIBLE => found.additional_ts = true,
                    _ => {}
                },
                _ => {}
            }
        }
        found
    }

    /// The nonce, of a length that is allowed (RFC 7296 §2.10).
    pub(crate) fn nonce(&self) -> Result<&'a [u8], Error> {
        let nonce = self.nonce.ok_or_else(|| missing(PayloadType::NONCE))?;
        if (16..=256).contains(&nonce.len()) {
            Ok(nonce)
        } else {
            Err(Error::InvalidMessage(InvalidMessage::NonceLength(nonce.len())))
        }
    }

    pub(crate) fn sa(&self) -> Result<SaView<'a>, Error> {
        self.sa.ok_or_else(|| missing(PayloadType::SA))
    }
}

fn selectors(view: Option<TsView<'_>>, payload_type: PayloadType) -> Result<Vec<TrafficSelector>, Error> {
    let view = view.ok_or_else(|| missing(payload_type))?;
    // What we cannot understand cannot be in the intersection.
    Ok(view.selectors().filter_map(TrafficSelector::from_wire).collect())
}

fn texts(selectors: &[TrafficSelector]) -> Vec<String> {
    selectors.iter().map(ToString::to_string).collect()
}

/// What both sides have agreed on for a Child SA.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    pub(crate) config: Arc<ChildConfig>,
    pub(crate) chosen: Chosen,
    pub(crate) local: Vec<TrafficSelector>,
    pub(crate) remote: Vec<TrafficSelector>,
    pub(crate) mode: Mode,
    pub(crate) tfc: bool,
    /// Later fragments travel in it too: both have said so.
    pub(crate) fragments: bool,
    /// More of what was offered could be had in another Child SA.
    pub(crate) additional_ts: bool,
}

impl Agreement {
    /// The initiator's reading of an answer: nothing in it may go beyond the offer.
    pub(crate) fn from_answer(
        cx: &Cx<'_>,
        offer: &ChildOffer,
        found: &ChildPayloads<'_>,
    ) -> Result<Self, Error> {
        let chosen = accept(&offer.sa, found.sa()?, protocol_id(offer.config.protocol()), cx.provider)
            .map_err(|why| Error::PeerIncompatible(Box::new(Diagnosis::NoProposal(*why))))?;
        if chosen.ke.filter(|ke| *ke != KeId::NONE) != found.ke.map(|(method, _)| method) {
            return Err(Error::PeerMisbehaved(Misbehaviour::KeMismatch));
        }
        let local = selectors(found.tsi, PayloadType::TSI)?;
        let remote = selectors(found.tsr, PayloadType::TSR)?;
        let within = |answer: &[TrafficSelector], offered: &[TrafficSelector]| {
            !answer.is_empty() && answer.iter().all(|selector| covers(offered, selector))
        };
        if !within(&local, &offer.local) || !within(&remote, &offer.remote) {
            return Err(Error::PeerMisbehaved(Misbehaviour::SelectorsWidened));
        }
        // Transport mode must be both asked for and confirmed (RFC 7296 §1.3.1).
        let mode = match (offer.config.mode, found.transport) {
            (Mode::Transport, true) => Mode::Transport,
            _ => Mode::Tunnel,
        };
        Ok(Self {
            config: offer.config.clone(),
            chosen,
            local,
            remote,
            mode,
            tfc: !found.no_tfc,
            fragments: offer.config.non_first_fragments && found.fragments,
            additional_ts: found.additional_ts,
        })
    }

    /// The responder's choice: the first configured child whose selectors and proposals meet the offer.
    pub(crate) fn from_offer<'c>(
        cx: &Cx<'_>,
        children: impl Iterator<Item = &'c Arc<ChildConfig>> + Clone,
        found: &ChildPayloads<'_>,
        with_ke: bool,
    ) -> Result<Self, Error> {
        let offered_sa = found.sa()?;
        let remote_offered = selectors(found.tsi, PayloadType::TSI)?;
        let local_offered = selectors(found.tsr, PayloadType::TSR)?;
        let mut refusal = None;
        let mut ours = SelectorPair { local: Vec::new(), remote: Vec::new() };
        for config in children.clone() {
            let local = narrow(&local_offered, &config.local);
            let remote = narrow(&remote_offered, &config.remote);
            if local.is_empty() || remote.is_empty() {
                ours.local.extend_from_slice(&config.local);
                ours.remote.extend_from_slice(&config.remote);
                continue;
            }
            let preferred = found.ke.map(|(method, _)| method);
            match choose(
                &config.suites,
                offered_sa,
                protocol_id(config.protocol()),
                4,
                cx.provider,
                preferred,
                with_ke,
            ) {
                Ok(chosen) => {
                    let mode = if found.transport { config.mode } else { Mode::Tunnel };
                    // What another child would take of the offer, and this one does not (RFC 7296 §2.9).
                    let additional_ts = { children }.any(|other| {
                        let more = |offered: &[_], other: &[_], agreed: &[_]| {
                            let common = narrow(offered, other);
                            (!common.is_empty(), common.iter().any(|common| !covers(agreed, common)))
                        };
                        let (some_local, more_local) = more(&local_offered, &other.local, &local);
                        let (some_remote, more_remote) = more(&remote_offered, &other.remote, &remote);
                        some_local && some_remote && (more_local || more_remote)
                    });
                    return Ok(Self {
                        config: config.clone(),
                        chosen,
                        local,
                        remote,
                        mode,
                        tfc: !found.no_tfc,
                        fragments: config.non_first_fragments && found.fragments,
                        additional_ts,
                    });
                }
                Err(why) => refusal = Some(Error::PeerIncompatible(Box::new(Diagnosis::NoProposal(*why)))),
            }
        }
        Err(refusal.unwrap_or_else(|| {
            let theirs = SelectorPair { local: local_offered, remote: remote_offered };
            Error::PeerIncompatible(Box::new(Diagnosis::Selectors { ours, theirs }))
        }))
    }

    /// The peer's SPI.
    pub(crate) fn peer_spi(&self) -> Option<Spi> {
        <[u8; 4]>::try_from(self.chosen.spi.as_slice()).ok().map(|octets| Spi(u32::from_be_bytes(octets)))
    }

    /// The responder's answer, KE left out: SA with our SPI, then (after nonce and KE) TSi and TSr.
    pub(crate) fn answer_sa(&self, spi: Spi) -> Payload {
        Payload::Sa(self.chosen.to_sa(&spi.0.to_be_bytes()))
    }

    /// TSi and TSr when we are the exchange's responder, with the mode's notify before them.
    pub(crate) fn answer_selectors(&self) -> Vec<Payload> {
        let mut payloads = Vec::with_capacity(3);
        if self.mode == Mode::Transport {
            payloads.push(notify(NotifyType::USE_TRANSPORT_MODE));
        }
        if self.fragments {
            payloads.push(notify(NotifyType::NON_FIRST_FRAGMENTS_ALSO));
        }
        if self.additional_ts {
            payloads.push(notify(NotifyType::ADDITIONAL_TS_POSSIBLE));
        }
        payloads.push(Payload::TsI(ts(&self.remote)));
        payloads.push(Payload::TsR(ts(&self.local)));
        payloads
    }
}

/// The keying material of the exchange that makes a Child SA.
pub(crate) struct ChildKeying<'a> {
    pub(crate) prf: &'static dyn PrfAlgorithm,
    pub(crate) sk_d: &'a Secret,
    /// SK(0), SK(1), …; none without forward secrecy.
    pub(crate) shared: &'a [&'a Secret],
    pub(crate) ni: &'a [u8],
    pub(crate) nr: &'a [u8],
    /// Our part in the exchange.
    pub(crate) role: Role,
}

/// Makes the Child SA: the entry of the table, and what the caller has to install.
pub(crate) fn make(
    cx: &mut Cx<'_>,
    common: &mut Common,
    agreement: &Agreement,
    spi: Spi,
    keying: &ChildKeying<'_>,
    replaces: Option<Spi>,
    outbound_use: OutboundUse,
) -> Result<(ChildSa, Box<ChildInstall>), Error> {
    let chosen = &agreement.chosen;
    let config = &agreement.config;
    let (encr_len, integ_len) = chosen.child_key_lengths(cx.provider).ok_or(CryptoError::Unsupported)?;
    let keys =
        child_keymat(keying.prf, keying.sk_d, keying.shared, keying.ni, keying.nr, encr_len, integ_len)?;
    let (ours, theirs) = match keying.role {
        Role::Initiator => (keys.initiator, keys.responder),
        Role::Responder => (keys.responder, keys.initiator),
    };
    let peer_spi = agreement.peer_spi().ok_or(Error::PeerMisbehaved(Misbehaviour::ChoseUnoffered))?;
    let algorithms = chosen.sa_algorithms();
    let outer = outer(common);
    let origin = IkeSaRef(common.handle.0);
    let params = |direction, spi, keys: SaKeys| {
        let mut params = SaParams::new(spi, direction, keying.role, algorithms, keys, outer)
            .with_protocol(config.protocol())
            .with_mode(agreement.mode)
            .with_sequence(chosen.sn, 0)
            .with_replay_window(config.replay_window)
            .with_selectors(agreement.local.clone(), agreement.remote.clone())
            .with_header(config.header)
            .with_lifetimes(config.lifetimes)
            .with_origin(origin, config.policy);
        params.tfc = agreement.tfc;
        params.non_first_fragments = agreement.fragments;
        params
    };
    let inbound = params(Direction::Inbound, spi, theirs);
    let outbound = params(Direction::Outbound, peer_spi, ours);
    if cx.config.key_log {
        for line in [&inbound, &outbound].into_iter().filter_map(|sa| keylog::esp_sa_line(sa, cx.provider)) {
            common.event(Event::Keys(KeyLogLine::Esp(line)));
        }
    }
    let suite = chosen.to_string();
    let soft = config.lifetimes.soft.time.map(|time| cx.now + cx.jittered(time, config.jitter_percent));
    let child = ChildSa {
        config: config.clone(),
        inbound: spi,
        outbound: peer_spi,
        local: agreement.local.clone(),
        remote: agreement.remote.clone(),
        suite: suite.clone(),
        phase: ChildPhase::Open,
        rekey_at: soft,
        expires_at: config.lifetimes.hard.time.map(|time| cx.now + time),
        peer_rekey: None,
        unheard: None,
    };
    let install = ChildInstall {
        child: config.name.clone(),
        inbound,
        outbound,
        replaces,
        outbound_use,
        suite,
        additional_ts: agreement.additional_ts,
    };
    Ok((child, Box::new(install)))
}

/// Where packets of a new child go.
pub(crate) fn outer(common: &Common) -> Outer {
    common.path.outer()
}

/// The peer's error notify about a child, as an error that shows what we had offered.
pub(crate) fn refusal(offer: &ChildOffer, notify: NotifyType, data: &[u8]) -> Error {
    match notify {
        NotifyType::NO_PROPOSAL_CHOSEN => Error::Refused(Refusal::Proposal {
            notify,
            ours: offer.config.suites.iter().map(ToString::to_string).collect(),
        }),
        NotifyType::TS_UNACCEPTABLE => Error::Refused(Refusal::Selectors {
            notify,
            local: texts(&offer.local),
            remote: texts(&offer.remote),
        }),
        _ => Error::NotifyReceived { notify, data: data.iter().copied().take(64).collect() },
    }
}

/// The first error notify in a message.
pub(crate) fn error_notify<'a>(chain: &PayloadChain<'a>) -> Option<(NotifyType, &'a [u8])> {
    chain
        .notifies()
        .find(|notify| notify.notify_type.is_error())
        .map(|notify| (notify.notify_type, notify.data))
}

/// A notify without data.
pub(crate) fn notify(notify_type: NotifyType) -> Payload {
    Payload::Notify(Notify::new(notify_type, Vec::new()))
}

/// The notify that answers a refused child request, with the data that its type asks for.
pub(crate) fn error_payload(error: &Error, wanted_ke: Option<KeId>) -> Payload {
    let notify_type = error.disposition().notify.unwrap_or(NotifyType::TEMPORARY_FAILURE);
    let data = match (notify_type, wanted_ke) {
        (NotifyType::INVALID_KE_PAYLOAD, Some(ke)) => ke.value().to_be_bytes().to_vec(),
        (NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, _) => match error {
            Error::InvalidMessage(InvalidMessage::Critical(payload_type)) => [payload_type.value()].into(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    Payload::Notify(Notify::new(notify_type, data))
}

/// A KE payload.
pub(crate) fn ke_payload(method: KeId, public: &[u8]) -> Payload {
    Payload::Ke(Ke::new(method, public))
}
