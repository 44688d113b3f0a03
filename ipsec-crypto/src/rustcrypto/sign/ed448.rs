//! Ed448 (RFC 8420, RFC 8032).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use ed448_goldilocks::elliptic_curve::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed448_goldilocks::{Signature, SigningKey, VerifyingKey};
use rand_core::CryptoRng;

use crate::{CryptoError, SignatureVerifier, Signer, Status, algorithm_id};

pub(in super::super) struct Ed448;

pub(in super::super) static ED448: Ed448 = Ed448;

impl fmt::Debug for Ed448 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SignatureVerifier for Ed448 {
    fn algorithm(&self) -> &'static [u8] {
        algorithm_id::ED448
    }
    fn name(&self) -> &'static str {
        "ed448"
    }
    fn status(&self) -> Status {
        Status::May
    }
    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let key = VerifyingKey::from_public_key_der(spki)
            .map_err(|_| CryptoError::KeyLength { actual: spki.len() })?;
        // RFC 8032 §5.2.2: of the last octet of R there is the sign alone. The crate does not look at the other bits.
        if signature.get(56).is_none_or(|octet| octet & 0x7f != 0) {
            return Err(CryptoError::Mismatch);
        }
        let signature = Signature::try_from(signature).map_err(|_| CryptoError::Mismatch)?;
        key.verify_raw(&signature, message).map_err(|_| CryptoError::Mismatch)
    }
}

/// A private key out of PKCS#8, where it is one.
pub(super) fn signer(der: &[u8]) -> Option<Box<dyn Signer>> {
    Some(Box::new(Key(SigningKey::from_pkcs8_der(der).ok()?)))
}

struct Key(SigningKey);

impl Signer for Key {
    fn algorithms(&self) -> &[&'static [u8]] {
        &[algorithm_id::ED448]
    }
    fn sign(&self, algorithm: &[u8], message: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoError> {
        if algorithm != algorithm_id::ED448 {
            return Err(CryptoError::Unsupported);
        }
        Ok(self.0.sign_raw(message).to_bytes().to_vec())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed448 key (..)")
    }
}
