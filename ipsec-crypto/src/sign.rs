//! Digital signatures (RFC 7427): private keys are objects of the caller, verification is a provider row.

use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use crate::{CryptoError, Status};

/// A private key, wherever it lives: in memory, an HSM, a TPM or another process.
pub trait Signer: Send + Sync + fmt::Debug {
    /// DER of the AlgorithmIdentifiers it can sign with, most preferred first (RFC 7427 §3).
    fn algorithms(&self) -> &[&'static [u8]];
    /// Signs `message` (not a digest of it) with one of [`Signer::algorithms`].
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for another algorithm, or what the key's home runs into.
    fn sign(&self, algorithm: &[u8], message: &[u8], rng: &mut dyn CryptoRng)
    -> Result<Vec<u8>, CryptoError>;
}

/// One row of the provider's verification table.
pub trait SignatureVerifier: Send + Sync + fmt::Debug {
    /// DER of the AlgorithmIdentifier it verifies.
    fn algorithm(&self) -> &'static [u8];
    /// Name for people.
    fn name(&self) -> &'static str;
    /// Where the RFCs stand on it.
    fn status(&self) -> Status;
    /// Verifies `signature` over `message` with a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`], or [`CryptoError::KeyLength`] for a key of another kind.
    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError>;
}
