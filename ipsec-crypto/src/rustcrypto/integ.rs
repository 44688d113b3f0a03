//! Truncated MACs: HMAC (RFC 2404, RFC 4868 §2.3), AES-XCBC (RFC 3566) and AES-CMAC (RFC 4494).

use alloc::boxed::Box;
use core::fmt;

use aes::Aes128;
use cmac::Cmac;
use digest::{KeyInit, Mac};
use hmac::Hmac;
use ipsec_wire::ike::IntegId;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::xcbc::Xcbc;
use crate::{CryptoError, IntegrityAlgorithm, MacKey, check_equal};

/// Takes the key in, for ICVs of a length.
type KeyFn = fn(key: &[u8], icv_len: usize) -> Option<Box<dyn MacKey>>;

/// A MAC with one key length and a truncated ICV.
pub(super) struct Integrity {
    pub(super) id: IntegId,
    pub(super) name: &'static str,
    pub(super) key_len: usize,
    pub(super) icv_len: usize,
    pub(super) key: KeyFn,
}

/// MUST-, which is still MUST (RFC 8221 §6, RFC 8247 §2.3).
pub(super) static HMAC_SHA1_96: Integrity = Integrity {
    id: IntegId::HMAC_SHA1_96,
    name: "hmac-sha1-96",
    key_len: 20,
    icv_len: 12,
    key: Keyed::<Hmac<Sha1>>::boxed,
};

pub(super) static AES_XCBC_96: Integrity = Integrity {
    id: IntegId::AES_XCBC_96,
    name: "aes-xcbc-96",
    key_len: 16,
    icv_len: 12,
    key: Keyed::<Xcbc>::boxed,
};

pub(super) static AES_CMAC_96: Integrity = Integrity {
    id: IntegId::AES_CMAC_96,
    name: "aes-cmac-96",
    key_len: 16,
    icv_len: 12,
    key: Keyed::<Cmac<Aes128>>::boxed,
};

pub(super) static HMAC_SHA2_256_128: Integrity = Integrity {
    id: IntegId::HMAC_SHA2_256_128,
    name: "hmac-sha2-256-128",
    key_len: 32,
    icv_len: 16,
    key: Keyed::<Hmac<Sha256>>::boxed,
};

pub(super) static HMAC_SHA2_384_192: Integrity = Integrity {
    id: IntegId::HMAC_SHA2_384_192,
    name: "hmac-sha2-384-192",
    key_len: 48,
    icv_len: 24,
    key: Keyed::<Hmac<Sha384>>::boxed,
};

pub(super) static HMAC_SHA2_512_256: Integrity = Integrity {
    id: IntegId::HMAC_SHA2_512_256,
    name: "hmac-sha2-512-256",
    key_len: 64,
    icv_len: 32,
    key: Keyed::<Hmac<Sha512>>::boxed,
};

impl fmt::Debug for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl IntegrityAlgorithm for Integrity {
    fn id(&self) -> IntegId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn key_len(&self) -> usize {
        self.key_len
    }
    fn icv_len(&self) -> usize {
        self.icv_len
    }
    fn mac_key(&self, key: &[u8]) -> Result<Box<dyn MacKey>, CryptoError> {
        let refused = CryptoError::KeyLength { actual: key.len() };
        // RFC 4868 §2.1.1, RFC 2404 §3, RFC 3566 §4: no key length but the one.
        if key.len() != self.key_len {
            return Err(refused);
        }
        (self.key)(key, self.icv_len).ok_or(refused)
    }
}

/// A MAC that has taken its key in. For HMAC that is the state behind the inner and the outer padded key, so that a
/// packet costs a copy of the state and not two more compressions.
pub(super) struct Keyed<M> {
    mac: M,
    icv_len: usize,
}

impl<M: Mac + KeyInit + Clone + Send + Sync + 'static> Keyed<M> {
    pub(super) fn boxed(key: &[u8], icv_len: usize) -> Option<Box<dyn MacKey>> {
        Some(Box::new(Self { mac: <M as KeyInit>::new_from_slice(key).ok()?, icv_len }))
    }
}

impl<M: Mac + Clone + Send + Sync> MacKey for Keyed<M> {
    fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError> {
        let too_long = CryptoError::BufferLength { actual: icv.len() };
        if icv.len() > self.icv_len {
            return Err(too_long);
        }
        let full = super::prf::mac_of_parts(&self.mac, parts);
        icv.copy_from_slice(full.as_bytes().get(..icv.len()).ok_or(too_long)?);
        Ok(())
    }

    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError> {
        let wrong_length = CryptoError::BufferLength { actual: icv.len() };
        if icv.len() != self.icv_len {
            return Err(wrong_length);
        }
        let full = super::prf::mac_of_parts(&self.mac, parts);
        let expected = full.as_bytes().get(..icv.len()).ok_or(wrong_length)?;
        check_equal(expected, icv)
    }
}

impl<M> fmt::Debug for Keyed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}
