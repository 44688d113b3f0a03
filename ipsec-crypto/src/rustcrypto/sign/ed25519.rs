//! Ed25519 (RFC 8420, RFC 8032).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand_core::CryptoRng;

use crate::{CryptoError, SignatureVerifier, Signer, Status, algorithm_id};

pub(in super::super) struct Ed25519;

pub(in super::super) static ED25519: Ed25519 = Ed25519;

impl fmt::Debug for Ed25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SignatureVerifier for Ed25519 {
    fn algorithm(&self) -> &'static [u8] {
        algorithm_id::ED25519
    }
    fn name(&self) -> &'static str {
        "ed25519"
    }
    fn status(&self) -> Status {
        Status::May
    }
    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let key = VerifyingKey::from_public_key_der(spki)
            .map_err(|_| CryptoError::KeyLength { actual: spki.len() })?;
        let signature = Signature::from_slice(signature).map_err(|_| CryptoError::Mismatch)?;
        // Strict: keys and points of small order, under which signatures hold for many messages, are refused.
        key.verify_strict(message, &signature).map_err(|_| CryptoError::Mismatch)
    }
}

/// A private key out of PKCS#8, where it is one.
pub(super) fn signer(der: &[u8]) -> Option<Box<dyn Signer>> {
    Some(Box::new(Key(SigningKey::from_pkcs8_der(der).ok()?)))
}

struct Key(SigningKey);

impl Signer for Key {
    fn algorithms(&self) -> &[&'static [u8]] {
        &[algorithm_id::ED25519]
    }
    fn sign(&self, algorithm: &[u8], message: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoError> {
        if algorithm != algorithm_id::ED25519 {
            return Err(CryptoError::Unsupported);
        }
        Ok(self.0.sign(message).to_vec())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519 key (..)")
    }
}
