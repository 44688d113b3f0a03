//! Refusals that CREATE_CHILD_SA for children and for the IKE SA have in common, sent and received (RFC 7296 §1.3, §2.25).

use ipsec_crypto::Suite;
use ipsec_wire::ike::{ExchangeType, KeId, Notify, NotifyType, Payload};

use super::MAX_TASK_RETRIES;
use super::child::notify;
use crate::context::Cx;
use crate::ike_sa::Common;
use crate::state::established::Established;

/// What a refusal of our request asks us to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// Ask again with this key exchange method.
    OtherMethod(KeId),
    /// It asks for a method that was not offered, or was tried.
    BadMethod,
    /// The peer is busy with what concerns the same SAs: ask again later (§2.25).
    Later,
    /// Nothing: this is the end of it.
    ForGood,
}

/// Reads it. `retries` is how often the request was put off already.
pub(crate) fn refused(
    wanted: NotifyType,
    data: &[u8],
    suites: &[Suite],
    tried: &[KeId],
    retries: u8,
) -> Refused {
    match wanted {
        NotifyType::INVALID_KE_PAYLOAD => match other_method(data, suites, tried) {
            Some(method) => Refused::OtherMethod(method),
            None => Refused::BadMethod,
        },
        NotifyType::TEMPORARY_FAILURE if retries < MAX_TASK_RETRIES => Refused::Later,
        _ => Refused::ForGood,
    }
}

/// The key exchange method that INVALID_KE_PAYLOAD asks for: only one that was offered, and was not tried yet
/// (RFC 7296 §1.3).
fn other_method(data: &[u8], suites: &[Suite], tried: &[KeId]) -> Option<KeId> {
    let wanted = <[u8; 2]>::try_from(data).ok().map(|number| KeId(u16::from_be_bytes(number)))?;
    let offered = suites.iter().any(|suite| suite.ke.contains(&wanted));
    (offered && !tried.contains(&wanted)).then_some(wanted)
}

impl Established {
    /// Answers CREATE_CHILD_SA with one notify without data.
    pub(crate) fn refuse(&mut self, cx: &mut Cx<'_>, common: &mut Common, id: u32, why: NotifyType) {
        self.respond(cx, common, id, ExchangeType::CREATE_CHILD_SA, &[notify(why)]);
    }

    /// Asks for a public value of another method (RFC 7296 §1.3).
    pub(crate) fn refuse_method(&mut self, cx: &mut Cx<'_>, common: &mut Common, id: u32, wanted: KeId) {
        let data = wanted.value().to_be_bytes().to_vec();
        let payload = Payload::Notify(Notify::new(NotifyType::INVALID_KE_PAYLOAD, data));
        self.respond(cx, common, id, ExchangeType::CREATE_CHILD_SA, &[payload]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of refusal, against the sentences of §1.3 and §2.25.
    #[test]
    fn each_refusal_has_one_meaning() {
        let suites = [Suite::ike("aes256gcm16-prfsha256-ecp256-x25519").unwrap()];
        let ke = |id: KeId| id.value().to_be_bytes().to_vec();
        let read =
            |wanted, data: &[u8], tried: &[KeId], retries| refused(wanted, data, &suites, tried, retries);
        let tried = [KeId::ECP_256];
        let invalid = NotifyType::INVALID_KE_PAYLOAD;
        assert_eq!(read(invalid, &ke(KeId::CURVE25519), &tried, 0), Refused::OtherMethod(KeId::CURVE25519));
        // Tried, never offered, no number at all.
        assert_eq!(read(invalid, &ke(KeId::ECP_256), &tried, 0), Refused::BadMethod);
        assert_eq!(read(invalid, &ke(KeId::MODP_2048), &tried, 0), Refused::BadMethod);
        for len in [0, 1, 3] {
            assert_eq!(read(invalid, &[0; 3][..len], &tried, 0), Refused::BadMethod);
        }
        for retries in 0..=u8::MAX {
            let expected = if retries < MAX_TASK_RETRIES { Refused::Later } else { Refused::ForGood };
            assert_eq!(read(NotifyType::TEMPORARY_FAILURE, &[], &tried, retries), expected);
        }
        for other in [NotifyType::NO_PROPOSAL_CHOSEN, NotifyType::CHILD_SA_NOT_FOUND, NotifyType(8191)] {
            assert_eq!(read(other, &[], &tried, 0), Refused::ForGood);
        }
    }
}
