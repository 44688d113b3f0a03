//! IntAuth: how AUTH covers what was exchanged in IKE_INTERMEDIATE (RFC 9242 §3.3.2).
//!
//! ```text
//! IntAuth     = IntAuth_iN | IntAuth_rN | message id of the first IKE_AUTH
//! IntAuth_x1  = prf(SK_px1,                A | P)
//! IntAuth_xn  = prf(SK_pxn, IntAuth_xn-1 | A | P)
//! A: from the header to the end of the generic header of SK, both lengths as if SK held P alone
//! P: the payloads inside SK
//! ```
//!
//! Both are those of the message before it was cut into fragments.

use alloc::vec::Vec;
use core::fmt;

use ipsec_crypto::{CryptoError, PrfAlgorithm, Secret, prf};
use ipsec_sa::Role;
use ipsec_wire::ike::{Header, PAYLOAD_HEADER_LEN, PayloadType};

/// Where the length stands in the IKE header.
const LENGTH: usize = 24;
/// Where the type of the first payload stands in the IKE header.
const NEXT_PAYLOAD: usize = 16;

/// What both sides have sent in IKE_INTERMEDIATE so far, as one value for each side.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct IntAuth {
    initiator: Vec<u8>,
    responder: Vec<u8>,
}

impl fmt::Debug for IntAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntAuth").field("empty", &self.is_empty()).finish_non_exhaustive()
    }
}

impl IntAuth {
    /// Whether there was no IKE_INTERMEDIATE message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.initiator.is_empty() && self.responder.is_empty()
    }

    /// Takes in one whole message of `sender`'s.
    ///
    /// `front` are its octets from the IKE header to the end of the generic header of SK, whatever lengths stand in
    /// them; `inner` are the payloads inside SK in clear. `sk_p` is the sender's SK_p of the keys that protected the
    /// message.
    ///
    /// # Errors
    /// [`CryptoError::BufferLength`] where `front` is too short or `inner` too long to be of a message, and
    /// [`CryptoError::KeyLength`] where the PRF cannot take SK_p.
    pub fn add(
        &mut self,
        sender: Role,
        algorithm: &dyn PrfAlgorithm,
        sk_p: &Secret,
        front: &[u8],
        inner: &[u8],
    ) -> Result<(), CryptoError> {
        let wrong = CryptoError::BufferLength { actual: inner.len() };
        let payload_len = u16::try_from(PAYLOAD_HEADER_LEN.saturating_add(inner.len())).map_err(|_| wrong)?;
        let message_len = u32::try_from(front.len().saturating_add(inner.len())).map_err(|_| wrong)?;
        let mut adjusted = front.to_vec();
        let (_, last) = adjusted.split_last_chunk_mut::<2>().ok_or(wrong)?;
        *last = payload_len.to_be_bytes();
        if front.len() < Header::LEN + PAYLOAD_HEADER_LEN {
            return Err(wrong);
        }
        adjusted.get_mut(LENGTH..Header::LEN).ok_or(wrong)?.copy_from_slice(&message_len.to_be_bytes());
        let so_far = match sender {
            Role::Initiator => &mut self.initiator,
            Role::Responder => &mut self.responder,
        };
        *so_far = prf(algorithm, sk_p.expose(), &[so_far.as_slice(), &adjusted, inner])?.expose().to_vec();
        Ok(())
    }

    /// What AUTH covers behind the rest; `None` when there was no IKE_INTERMEDIATE. `message_id` is that of the first
    /// IKE_AUTH request.
    #[must_use]
    pub fn octets(&self, message_id: u32) -> Option<Vec<u8>> {
        let id = message_id.to_be_bytes();
        (!self.is_empty()).then(|| [&self.initiator[..], &self.responder, &id].concat())
    }
}

/// The front of a message, made from that of its first fragment: from the IKE header to the end of the generic header
/// of SKF, of which SK's differs in nothing but its type and length (RFC 7383 §2.5, RFC 9242 §3.3.2).
///
/// `None` where no SKF payload ends there.
#[must_use]
pub fn unfragmented(front: &[u8]) -> Option<Vec<u8>> {
    let skf_at = front.len().checked_sub(PAYLOAD_HEADER_LEN)?;
    let (mut type_at, mut at) = (NEXT_PAYLOAD, Header::LEN);
    // Payloads in clear come before it: the last of them names it.
    while at < skf_at {
        let octets = front.get(at..at.checked_add(PAYLOAD_HEADER_LEN)?)?;
        let len = usize::from(u16::from_be_bytes([*octets.get(2)?, *octets.get(3)?]));
        if len < PAYLOAD_HEADER_LEN {
            return None;
        }
        (type_at, at) = (at, at.checked_add(len)?);
    }
    let mut whole = front.to_vec();
    let payload_type = whole.get_mut(type_at).filter(|_| at == skf_at)?;
    if *payload_type != PayloadType::SKF.value() {
        return None;
    }
    *payload_type = PayloadType::SK.value();
    Some(whole)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use ipsec_crypto::rustcrypto;
    use ipsec_wire::ike::PrfId;

    use super::*;

    /// `10..17`, `20..27`, then what the test says, in hex.
    fn front(rest: &str) -> Vec<u8> {
        hex::decode(format!("10111213141516172021222324252627{rest}").replace(' ', "")).unwrap()
    }

    /// Two exchanges, the second answered with a payload in clear before SK and with reserved bits in SK's header.
    ///
    /// The expected values were computed apart from this code, with Python's `hmac` and `hashlib` over the octets of
    /// RFC 9242 figure 1 written out by hand: SK_pi `00..1f`, SK_pr `20..3f`, HMAC-SHA2-256.
    #[test]
    fn values_are_those_of_the_formula_in_section_3_3_2() {
        let provider = rustcrypto::provider();
        let prf = provider.prf(PrfId::HMAC_SHA2_256).unwrap();
        let key = |from: u8| Secret::new(&(from..from + 32).collect::<Vec<u8>>());
        let (sk_pi, sk_pr) = (key(0), key(32));
        let vendor = |data: &[u8]| {
            let len = u8::try_from(data.len() + 4).unwrap();
            [&[0, 0, 0, len], data].concat()
        };
        let mut int_auth = IntAuth::default();
        assert_eq!(int_auth.octets(1), None);
        // Whatever the lengths were on the wire, with IV, padding and ICV: ffff here.
        int_auth
            .add(Role::Initiator, prf, &sk_pi, &front("2e202b08 00000001 0000ffff 2b00ffff"), &vendor(b"one"))
            .unwrap();
        int_auth
            .add(Role::Responder, prf, &sk_pr, &front("2e202b20 00000001 0000ffff 0000ffff"), b"")
            .unwrap();
        let first = [
            "1ca611fca1365e8a6fcc35731add4ae1e540c66c5d913188c453b20fa921c4e1",
            "f0cf5ea04f23c08356be810f576fb15230a06d82db091c9d0e980fc1c73156a2",
            "00000002",
        ];
        assert_eq!(hex::encode(int_auth.octets(2).unwrap()), first.concat());
        int_auth
            .add(
                Role::Initiator,
                prf,
                &sk_pi,
                &front("2e202b08 00000002 00000000 2b000000"),
                &vendor(b"two!"),
            )
            .unwrap();
        let clear = "2e000008 6f70656e";
        int_auth
            .add(
                Role::Responder,
                prf,
                &sk_pr,
                &front(&format!("2b202b20 00000002 00000000 {clear} 2b050000")),
                &vendor(b"answer"),
            )
            .unwrap();
        let second = [
            "7acdd6df271cd3edfb2b6cf2dae8f8c3e24978a8cf8833b633a8f77eb6472dca",
            "2b66b1f46453b67f65e9c9615a760d81fa99b510ee06f7b573d19d5bb7f2aff0",
            "00000003",
        ];
        assert_eq!(hex::encode(int_auth.octets(3).unwrap()), second.concat());
    }

    #[test]
    fn a_first_fragment_has_the_front_of_the_whole_message() {
        let plain = front("35202b08 00000002 0000ffff 2b05ffff");
        assert_eq!(unfragmented(&plain).unwrap(), front("2e202b08 00000002 0000ffff 2b05ffff"));
        let with_clear = front("2b202b08 00000002 0000ffff 35000008 6f70656e 2b00ffff");
        let whole = front("2b202b08 00000002 0000ffff 2e000008 6f70656e 2b00ffff");
        assert_eq!(unfragmented(&with_clear).unwrap(), whole);
        for len in 0..with_clear.len() {
            assert_eq!(unfragmented(&with_clear[..len]), None, "{len}");
        }
        assert_eq!(unfragmented(&whole), None);
        assert_eq!(unfragmented(&front("2b202b08 00000002 0000ffff 35000000 6f70656e 2b00ffff")), None);
    }

    #[test]
    fn what_cannot_be_of_a_message_is_an_error() {
        let prf = rustcrypto::provider().prf(PrfId::HMAC_SHA2_256).unwrap();
        let sk_p = Secret::new(&[1; 32]);
        let mut int_auth = IntAuth::default();
        for len in 0..32 {
            assert!(int_auth.add(Role::Initiator, prf, &sk_p, &[0; 64][..len], b"").is_err());
        }
        assert!(int_auth.add(Role::Initiator, prf, &sk_p, &[0; 32], &[0; 65_532]).is_err());
        assert!(int_auth.is_empty());
        int_auth.add(Role::Initiator, prf, &sk_p, &[0; 32], &[0; 65_531]).unwrap();
        assert!(!int_auth.is_empty());
    }
}
