//! Pseudorandom functions: HMAC (RFC 2104, RFC 4868 §2.4), AES-XCBC (RFC 4434) and AES-CMAC (RFC 4615).

use alloc::boxed::Box;
use core::fmt;

use aes::Aes128;
use cmac::Cmac;
use digest::{CtOutput, KeyInit, Mac};
use hmac::Hmac;
use ipsec_wire::ike::PrfId;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::xcbc::Xcbc;
use crate::{CryptoError, PrfAlgorithm, PrfKey};

/// A PRF that takes keys of any length.
#[derive(Clone, Copy)]
pub(super) struct Prf {
    pub(super) id: PrfId,
    pub(super) name: &'static str,
    pub(super) output_len: usize,
    pub(super) variable_key: bool,
    pub(super) key: fn(&[u8]) -> Option<Box<dyn PrfKey>>,
}

/// MUST-, which is still MUST (RFC 8247 §2.2).
pub(super) static HMAC_SHA1: Prf = Prf {
    id: PrfId::HMAC_SHA1,
    name: "hmac-sha1",
    output_len: 20,
    variable_key: true,
    key: Keyed::<Hmac<Sha1>>::boxed,
};

/// Other keys than of 16 octets are brought to that length (RFC 4434 §2), but to IKE its key is of fixed size.
pub(super) static AES128_XCBC: Prf = Prf {
    id: PrfId::AES128_XCBC,
    name: "aes128-xcbc",
    output_len: 16,
    variable_key: false,
    key: |key| match key.len() {
        0..=16 => {
            let mut padded = Zeroizing::new([0; 16]);
            padded.iter_mut().zip(key).for_each(|(slot, octet)| *slot = *octet);
            Keyed::<Xcbc>::boxed(&*padded)
        }
        _ => Keyed::<Xcbc>::boxed_with_digest(key),
    },
};

/// Other keys than of 16 octets are brought to that length (RFC 4615 §3), but to IKE its key is of fixed size.
pub(super) static AES128_CMAC: Prf = Prf {
    id: PrfId::AES128_CMAC,
    name: "aes128-cmac",
    output_len: 16,
    variable_key: false,
    key: |key| match key.len() {
        16 => Keyed::<Cmac<Aes128>>::boxed(key),
        _ => Keyed::<Cmac<Aes128>>::boxed_with_digest(key),
    },
};

pub(super) static HMAC_SHA2_256: Prf = Prf {
    id: PrfId::HMAC_SHA2_256,
    name: "hmac-sha2-256",
    output_len: 32,
    variable_key: true,
    key: Keyed::<Hmac<Sha256>>::boxed,
};

pub(super) static HMAC_SHA2_384: Prf = Prf {
    id: PrfId::HMAC_SHA2_384,
    name: "hmac-sha2-384",
    output_len: 48,
    variable_key: true,
    key: Keyed::<Hmac<Sha384>>::boxed,
};

pub(super) static HMAC_SHA2_512: Prf = Prf {
    id: PrfId::HMAC_SHA2_512,
    name: "hmac-sha2-512",
    output_len: 64,
    variable_key: true,
    key: Keyed::<Hmac<Sha512>>::boxed,
};

impl fmt::Debug for Prf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PrfAlgorithm for Prf {
    fn id(&self) -> PrfId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn key_len(&self) -> usize {
        // RFC 7296 §2.13: for HMAC the preferred key length is that of the output; the others have 128 bits of both.
        self.output_len
    }
    fn output_len(&self) -> usize {
        self.output_len
    }
    fn variable_key(&self) -> bool {
        self.variable_key
    }
    fn prf_key(&self, key: &[u8]) -> Result<Box<dyn PrfKey>, CryptoError> {
        (self.key)(key).ok_or(CryptoError::KeyLength { actual: key.len() })
    }
}

/// A PRF that has taken its key in.
pub(super) struct Keyed<M>(M);

impl<M: Mac + KeyInit + Clone + Send + Sync + 'static> Keyed<M> {
    pub(super) fn boxed(key: &[u8]) -> Option<Box<dyn PrfKey>> {
        Some(Box::new(Self(<M as KeyInit>::new_from_slice(key).ok()?)))
    }

    /// Keyed with the MAC of `key` under sixteen zeros.
    fn boxed_with_digest(key: &[u8]) -> Option<Box<dyn PrfKey>> {
        let mac = <M as KeyInit>::new_from_slice(&[0; 16]).ok()?;
        Self::boxed(mac_of_parts(&mac, &[key]).as_bytes())
    }
}

impl<M: Mac + Clone + Send + Sync> PrfKey for Keyed<M> {
    fn compute(&self, parts: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        if out.len() != M::output_size() {
            return Err(CryptoError::BufferLength { actual: out.len() });
        }
        out.copy_from_slice(mac_of_parts(&self.0, parts).as_bytes());
        Ok(())
    }
}

impl<M> fmt::Debug for Keyed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrfKey(..)")
    }
}

/// The whole MAC over the concatenation of `parts`, from a copy of the keyed state.
#[inline]
pub(super) fn mac_of_parts<M: Mac + Clone>(keyed: &M, parts: &[&[u8]]) -> CtOutput<M> {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize()
}
