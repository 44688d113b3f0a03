//! Integrity algorithms (transform type 3), and the keyed MAC they and the PRFs share.

use alloc::boxed::Box;
use core::fmt;

use ipsec_wire::ike::IntegId;

use crate::{CryptoError, Status};

/// One row of the provider's integrity table. All lengths are octets.
pub trait IntegrityAlgorithm: Send + Sync + fmt::Debug {
    /// Transform id.
    fn id(&self) -> IntegId;
    /// Name in proposal strings.
    fn name(&self) -> &'static str;
    /// Where the RFCs stand on it.
    fn status(&self) -> Status;
    /// Length of the key.
    fn key_len(&self) -> usize;
    /// Length of the truncated ICV on the wire.
    fn icv_len(&self) -> usize;
    /// Whether the same inputs always give the same octets.
    fn deterministic(&self) -> bool {
        true
    }
    /// Keys it.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`].
    fn mac_key(&self, key: &[u8]) -> Result<Box<dyn MacKey>, CryptoError>;
}

/// A keyed MAC over octets in parts, so that a header, a body and ESN's high half need not lie together.
/// `Debug` shows no octet of the key.
pub trait MacKey: Send + Sync + fmt::Debug {
    /// Writes as many octets of the MAC as `icv` takes; the row's ICV length at most.
    ///
    /// # Errors
    /// [`CryptoError::BufferLength`] when `icv` is longer than the MAC.
    fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError>;
    /// Compares in constant time. `icv` must be the row's ICV length.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`], or [`CryptoError::BufferLength`].
    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError>;
}
