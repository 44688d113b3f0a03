//! Key exchange over curve448 (RFC 8031 §3, RFC 7748 §6.2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use ipsec_wire::ike::KeId;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use x448::{PublicKey, StaticSecret};
use zeroize::Zeroize;

use crate::{ActiveKeyExchange, CryptoError, KeyExchangeMethod, PeerPublicError, Secret};

const LEN: usize = 56;

pub(super) struct Curve448;

pub(super) static CURVE448: Curve448 = Curve448;

impl fmt::Debug for Curve448 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl KeyExchangeMethod for Curve448 {
    fn id(&self) -> KeId {
        KeId::CURVE448
    }
    fn name(&self) -> &'static str {
        "curve448"
    }
    fn initiator_len(&self) -> usize {
        LEN
    }
    fn responder_len(&self) -> usize {
        LEN
    }
    fn start(&self, rng: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        Ok(Box::new(Active::new(StaticSecret::random_from_rng(rng))))
    }
    fn respond(&self, peer: &[u8], rng: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError> {
        // The length costs nothing to look at; the two multiplications do.
        public_value(peer)?;
        let active = Active::new(StaticSecret::random_from_rng(rng));
        let shared = active.complete(peer)?;
        Ok((active.public().to_vec(), shared))
    }
    fn resume(&self, private: &Secret) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let mut scalar: [u8; LEN] =
            private.expose().try_into().map_err(|_| CryptoError::KeyLength { actual: private.len() })?;
        let active = Active::new(StaticSecret::from(scalar));
        scalar.zeroize();
        Ok(Box::new(active))
    }
}

struct Active {
    private: StaticSecret,
    public: PublicKey,
}

impl Active {
    fn new(private: StaticSecret) -> Self {
        let public = PublicKey::from(&private);
        Self { private, public }
    }
}

impl ActiveKeyExchange for Active {
    fn public(&self) -> &[u8] {
        self.public.as_bytes()
    }
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError> {
        let shared = self.private.diffie_hellman(&public_value(peer)?);
        // RFC 8031 §3.1 leaves the check to RFC 7748 §6.2: an all-zero result tells a point of small order.
        if shared.as_bytes().as_slice().ct_eq(&[0; LEN]).into() {
            return Err(CryptoError::PeerPublic(PeerPublicError::SmallOrder));
        }
        Ok(Secret::new(shared.as_bytes()))
    }
    fn export(&self) -> Option<Secret> {
        Some(Secret::new(self.private.as_bytes()))
    }
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Curve448 exchange (..)")
    }
}

/// Any value of the right length: what lies on the twist or in a small group shows in the result.
fn public_value(peer: &[u8]) -> Result<PublicKey, CryptoError> {
    let length = PeerPublicError::Length { actual: peer.len(), expected: LEN };
    PublicKey::from_bytes_unchecked(peer).ok_or(CryptoError::PeerPublic(length))
}
