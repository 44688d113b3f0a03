//! INFORMATIONAL: deletion, liveness and late errors, in both roles (RFC 7296 §1.4, §2.4, §2.21.2).

use alloc::boxed::Box;
use alloc::vec::Vec;

use ipsec_wire::Spi;
use ipsec_wire::ike::{
    Delete, ExchangeType, Notify, NotifyType, Payload, PayloadChain, PayloadKind, ProtocolId,
};

use ipsec_sa::SecurityProtocol;

use super::child::{ChildPhase, Ending, delete_payload, security_protocol};
use super::task::{Purpose, Task};
use crate::collide::{CollisionAnswer, delete_child_request};
use crate::context::Cx;
use crate::event::{CloseReason, Event};
use crate::ike_sa::Common;
use crate::state::established::{Established, Phase};
use crate::state::init_sent::notify_error;

impl Established {
    /// Asks the peer to delete a Child SA.
    pub(crate) fn begin_delete_child(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        inbound: Spi,
        ending: Ending,
    ) {
        let Some(child) = self.children.get_mut(&inbound) else { return };
        child.phase = ChildPhase::Deleting(ending);
        child.rekey_at = None;
        let payloads = [delete_payload(child.config.protocol(), &[inbound])];
        self.request(cx, common, ExchangeType::INFORMATIONAL, &payloads, Purpose::DeleteChild(inbound));
    }

    /// Tells the peer that a Child SA is gone at our end.
    pub(crate) fn begin_tell_deleted(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        protocol: SecurityProtocol,
        inbound: Spi,
    ) {
        let payloads = [delete_payload(protocol, &[inbound])];
        self.request(cx, common, ExchangeType::INFORMATIONAL, &payloads, Purpose::TellDeleted);
    }

    /// Asks the peer to delete the IKE SA.
    pub(crate) fn begin_delete_ike(&mut self, cx: &mut Cx<'_>, common: &mut Common) {
        if self.phase == Phase::Open {
            self.phase = Phase::Deleting;
        }
        let payloads = [Payload::Delete(Delete::ike())];
        self.request(cx, common, ExchangeType::INFORMATIONAL, &payloads, Purpose::DeleteIke);
    }

    /// Tells the peer that packets of its carry an SPI that we do not have (RFC 7296 §1.5).
    pub(crate) fn begin_tell_invalid_spi(&mut self, cx: &mut Cx<'_>, common: &mut Common, spi: Spi) {
        let payloads = [Payload::Notify(Notify::new(NotifyType::INVALID_SPI, spi.0.to_be_bytes().to_vec()))];
        self.request(cx, common, ExchangeType::INFORMATIONAL, &payloads, Purpose::TellInvalidSpi);
    }

    /// A hint that may be forged: the peer is asked for a sign of life, not too often (RFC 7296 §2.21.4).
    pub(crate) fn on_hint(&mut self, cx: &mut Cx<'_>, common: &mut Common) {
        if self.phase != Phase::Open || cx.now < self.rates.no_hint_before {
            return;
        }
        self.rates.no_hint_before = cx.now + cx.config.hint_interval;
        self.tasks.push_back(Task::Liveness);
        self.pump(cx, common);
    }

    /// Asks the peer for a sign of life.
    pub(crate) fn begin_liveness(&mut self, cx: &mut Cx<'_>, common: &mut Common) {
        self.request(cx, common, ExchangeType::INFORMATIONAL, &[], Purpose::Liveness);
    }

    /// The answer to our deletion of a Child SA.
    pub(crate) fn on_child_deleted(&mut self, cx: &mut Cx<'_>, common: &mut Common, inbound: Spi) {
        let Some(child) = self.children.remove(&inbound) else { return };
        let reason = match child.phase {
            ChildPhase::Deleting(Ending::Rekeyed) => CloseReason::Rekeyed,
            ChildPhase::Deleting(Ending::Redundant) => CloseReason::Redundant,
            _ => CloseReason::Local,
        };
        self.closed(cx, common, &child, reason);
    }

    /// The peer's INFORMATIONAL request. `Some` ends the IKE SA, which has been answered.
    pub(crate) fn on_informational(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        id: u32,
        chain: &PayloadChain<'_>,
    ) -> Option<CloseReason> {
        let mut ends = None;
        let mut deleted: Vec<(SecurityProtocol, Spi)> = Vec::new();
        for payload in chain.payloads() {
            match payload.kind() {
                PayloadKind::Delete(delete) if delete.protocol == ProtocolId::IKE => {
                    ends = Some(self.deleted_by_peer(cx, common));
                }
                PayloadKind::Delete(delete) => {
                    let Some(protocol) = security_protocol(delete.protocol) else { continue };
                    for spi in delete.spis() {
                        let Ok(octets) = <[u8; 4]>::try_from(spi) else { continue };
                        let spi = Spi(u32::from_be_bytes(octets));
                        deleted
                            .extend(self.delete_child(cx, common, protocol, spi).map(|spi| (protocol, spi)));
                    }
                }
                PayloadKind::Notify(notify) if notify.notify_type == NotifyType::AUTHENTICATION_FAILED => {
                    let error = notify_error(common, notify.notify_type, notify.data);
                    ends = Some(CloseReason::Failed(Box::new(error)));
                }
                // The state of no SA changes because of it (RFC 7296 §2.21.4): whoever owns the SAs may want to know.
                PayloadKind::Notify(notify) if notify.notify_type == NotifyType::INVALID_SPI => {
                    let spi = <[u8; 4]>::try_from(notify.data).ok().map(|spi| Spi(u32::from_be_bytes(spi)));
                    let known = |spi: &Spi| self.children.values().any(|child| child.outbound == *spi);
                    if let Some(outbound) = spi.filter(known) {
                        common.event(Event::PeerLacksChild { outbound });
                    }
                }
                PayloadKind::Notify(notify) if notify.notify_type == NotifyType::SET_WINDOW_SIZE => {
                    self.set_window(notify.data);
                }
                // Unrecognised notifies in a request are ignored (RFC 7296 §3.10.1).
                _ => {}
            }
        }
        let mut payloads = Vec::new();
        for protocol in [SecurityProtocol::Esp, SecurityProtocol::Ah] {
            let spis: Vec<Spi> =
                deleted.iter().filter(|(of, _)| *of == protocol).map(|(_, spi)| *spi).collect();
            if !spis.is_empty() {
                payloads.push(delete_payload(protocol, &spis));
            }
        }
        self.respond(cx, common, id, ExchangeType::INFORMATIONAL, &payloads);
        ends
    }

    /// The peer deletes the Child SA that it receives on as `outbound`. Gives our SPI for the answer, unless our own
    /// deletion of the same Child SA is under way (RFC 7296 §1.4.1).
    fn delete_child(
        &mut self,
        cx: &mut Cx<'_>,
        common: &mut Common,
        protocol: SecurityProtocol,
        outbound: Spi,
    ) -> Option<Spi> {
        let inbound = self.by_outbound(protocol, outbound);
        let answer = delete_child_request(self.child_activity(inbound));
        let child = inbound.and_then(|inbound| self.children.remove(&inbound))?;
        let reason = match child.phase {
            ChildPhase::Replaced | ChildPhase::Deleting(Ending::Rekeyed) => CloseReason::Rekeyed,
            ChildPhase::Deleting(Ending::Redundant) => CloseReason::Redundant,
            // Our rekey of it is under way and the peer's own was answered: that one has replaced it.
            ChildPhase::Rekeying if child.peer_rekey.is_some() => CloseReason::Rekeyed,
            _ => CloseReason::Peer,
        };
        self.closed(cx, common, &child, reason);
        (answer == CollisionAnswer::Proceed).then_some(child.inbound)
    }

    fn deleted_by_peer(&mut self, cx: &mut Cx<'_>, common: &mut Common) -> CloseReason {
        // Our own rekey has not been answered, the peer's has: the peer takes its own for the one that counts.
        if let Some(theirs) = self.peer_ike_rekey.take() {
            self.hand_over(cx, common, theirs.handle, false);
            return CloseReason::Rekeyed;
        }
        match self.phase {
            Phase::Replaced => CloseReason::Rekeyed,
            Phase::Redundant => CloseReason::Redundant,
            Phase::Open | Phase::Deleting => CloseReason::Peer,
        }
    }
}
