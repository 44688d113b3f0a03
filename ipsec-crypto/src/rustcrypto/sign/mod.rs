//! Signatures: rows that verify, and private keys in memory.

use alloc::boxed::Box;

use crate::{CryptoError, Signer};

pub(super) mod ecdsa;
pub(super) mod ed25519;
#[cfg(feature = "curve448")]
pub(super) mod ed448;
#[cfg(feature = "ml-dsa")]
pub(super) mod mldsa;
#[cfg(feature = "rsa")]
pub(super) mod rsa;

/// A private key out of a PKCS#8 document (RFC 5958): ECDSA over P-256, P-384 or P-521, Ed25519, and with the features
/// `curve448`, `ml-dsa` and `rsa` Ed448, ML-DSA (as a seed, RFC 9881 §6) and RSA. The caller's own copy of `der` stays the caller's to wipe.
///
/// # Errors
/// [`CryptoError::Unsupported`] for a document that is broken or holds another kind of key, [`CryptoError::KeyLength`]
/// for an RSA key below 2048 bits.
pub fn signer_from_pkcs8(der: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
    if let Some(signer) = ecdsa::signer(der).or_else(|| ed25519::signer(der)) {
        return Ok(signer);
    }
    #[cfg(feature = "curve448")]
    if let Some(signer) = ed448::signer(der) {
        return Ok(signer);
    }
    #[cfg(feature = "ml-dsa")]
    if let Some(signer) = mldsa::signer(der) {
        return Ok(signer);
    }
    #[cfg(feature = "rsa")]
    return rsa::signer(der);
    #[cfg(not(feature = "rsa"))]
    Err(CryptoError::Unsupported)
}
