//! Integrity algorithms (transform type 3), and the keyed MAC they and the PRFs share.

use alloc::boxed::Box;
use core::fmt;

use ipsec_wire::ike::IntegId;

use crate::{CryptoError, Status, wireshark};

/// One row of the provider's integrity table. All lengths are octets.
pub trait IntegrityAlgorithm: Send + Sync + fmt::Debug {
    /// Transform id.
    fn id(&self) -> IntegId;
    /// Name in proposal strings.
    fn name(&self) -> &'static str;
    /// Where the RFCs stand on it.
    fn status(&self) -> Status {
        Status::of_integrity(self.id())
    }
    /// Length of the key, a salt at its end included (RFC 4543 §5.4).
    fn key_len(&self) -> usize;
    /// Length of the truncated ICV on the wire, an IV at its front included.
    fn icv_len(&self) -> usize;
    /// Octets of IV that open the ICV field: 8 for AES-GMAC in AH (RFC 4543 §4), otherwise none. Such a row signs by
    /// [`MacKey::sign_with_iv`] alone.
    fn iv_len(&self) -> usize {
        0
    }
    /// The name in Wireshark's table of ESP SAs, where it has one; for what it cannot compute the one of an ICV of the same
    /// length that is not checked.
    fn wireshark_esp(&self) -> Option<&'static str> {
        wireshark::esp_integrity(self.id())
    }
    /// The name in Wireshark's table of IKEv2 keys, likewise.
    fn wireshark_ike(&self) -> Option<&'static str> {
        wireshark::ike_integrity(self.id())
    }
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
    /// [`CryptoError::BufferLength`] when `icv` is longer than the MAC, or [`CryptoError::Unsupported`] where the row
    /// needs an IV.
    fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError>;
    /// Writes an ICV field that begins with `iv`, which must never come twice under a key. In AH the IV is also part
    /// of what is signed, at its place in the packet (RFC 4543 §7): the caller puts it there.
    ///
    /// # Errors
    /// [`CryptoError::NonceLength`] or [`CryptoError::BufferLength`]; [`CryptoError::Unsupported`] for an IV where the
    /// row takes none.
    fn sign_with_iv(&self, iv: &[u8], parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError> {
        if iv.is_empty() { self.sign(parts, icv) } else { Err(CryptoError::Unsupported) }
    }
    /// Compares in constant time. `icv` must be the row's ICV length; an IV at its front is taken from there.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`], or [`CryptoError::BufferLength`].
    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError>;
}
