//! Pseudorandom functions (transform type 2) and `prf+` (RFC 7296 §2.13).

use alloc::boxed::Box;
use core::fmt;

use ipsec_wire::ike::PrfId;
use zeroize::Zeroizing;

use crate::{CryptoError, Secret, Status, check_equal};

/// The longest PRF output there is (HMAC-SHA2-512), in octets.
pub const MAX_PRF_OUTPUT: usize = 64;

/// One row of the provider's PRF table. All lengths are octets.
pub trait PrfAlgorithm: Send + Sync + fmt::Debug {
    /// Transform id.
    fn id(&self) -> PrfId;
    /// Name in proposal strings.
    fn name(&self) -> &'static str;
    /// Where the RFCs stand on it.
    fn status(&self) -> Status {
        Status::of_prf(self.id())
    }
    /// Preferred key length: that of SK_d, SK_pi and SK_pr (RFC 7296 §2.13).
    fn key_len(&self) -> usize;
    /// Length of one output, at most [`MAX_PRF_OUTPUT`].
    fn output_len(&self) -> usize;
    /// Whether keys of any length are taken. Where not, SKEYSEED is keyed with the first half-key's worth of
    /// octets of each nonce (RFC 7296 §2.14).
    fn variable_key(&self) -> bool {
        true
    }
    /// The shortest nonce that may be used with it: half its key, and never below 16 octets (RFC 7296 §2.10).
    fn min_nonce_len(&self) -> usize {
        (self.key_len() / 2).max(16)
    }
    /// Whether the same inputs always give the same octets.
    fn deterministic(&self) -> bool {
        true
    }
    /// Keys it, with a key of any length.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] where the algorithm cannot take the key.
    fn prf_key(&self, key: &[u8]) -> Result<Box<dyn PrfKey>, CryptoError>;
}

/// A keyed PRF. `Debug` shows no octet of the key.
pub trait PrfKey: Send + Sync + fmt::Debug {
    /// Computes the PRF over the concatenation of `parts` into `out`, which must be one output long.
    ///
    /// # Errors
    /// [`CryptoError::BufferLength`].
    fn compute(&self, parts: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError>;
    /// Compares one whole output in constant time.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`], or [`CryptoError::BufferLength`] when `expected` is not one output long.
    fn verify(&self, parts: &[&[u8]], expected: &[u8]) -> Result<(), CryptoError> {
        let mut block = Zeroizing::new([0u8; MAX_PRF_OUTPUT]);
        let Some(out) = block.get_mut(..expected.len()) else {
            return Err(CryptoError::BufferLength { actual: expected.len() });
        };
        self.compute(parts, out)?;
        check_equal(out, expected)
    }
}

/// `prf(key, parts)` in one call.
///
/// # Errors
/// [`CryptoError::KeyLength`].
pub fn prf(algorithm: &dyn PrfAlgorithm, key: &[u8], parts: &[&[u8]]) -> Result<Secret, CryptoError> {
    let mut out = Secret::zeroed(algorithm.output_len());
    algorithm.prf_key(key)?.compute(parts, out.expose_mut())?;
    Ok(out)
}

/// `prf+(key, seed)`, as many octets as `len` (RFC 7296 §2.13: T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n)).
///
/// # Errors
/// [`CryptoError::KeyLength`], or [`CryptoError::BufferLength`] past 255 outputs, where the RFC ends it.
pub fn prf_plus(
    algorithm: &dyn PrfAlgorithm,
    key: &[u8],
    seed: &[&[u8]],
    len: usize,
) -> Result<Secret, CryptoError> {
    let output_len = algorithm.output_len();
    let too_long = CryptoError::BufferLength { actual: len };
    if output_len == 0 || output_len > MAX_PRF_OUTPUT || len > 255 * output_len || seed.len() > 6 {
        return Err(too_long);
    }
    let keyed = algorithm.prf_key(key)?;
    let mut out = Secret::zeroed(len);
    let mut block = Zeroizing::new([0u8; MAX_PRF_OUTPUT]);
    let mut previous = Zeroizing::new([0u8; MAX_PRF_OUTPUT]);
    let mut filled = 0;
    let mut counter = 1u8;
    while filled < len {
        previous.copy_from_slice(block.as_slice());
        let number = [counter];
        // T(n-1), the seed's parts, the counter: at most eight slices, no copy of the seed.
        let mut parts: [&[u8]; 8] = [&[]; 8];
        if counter > 1 {
            parts[0] = previous.get(..output_len).ok_or(too_long)?;
        }
        for (slot, part) in parts[1..].iter_mut().zip(seed) {
            *slot = part;
        }
        parts[7] = &number;
        keyed.compute(&parts, block.get_mut(..output_len).ok_or(too_long)?)?;
        let take = output_len.min(len - filled);
        out.expose_mut()[filled..filled + take].copy_from_slice(&block[..take]);
        filled += take;
        counter = counter.wrapping_add(1);
    }
    Ok(out)
}
