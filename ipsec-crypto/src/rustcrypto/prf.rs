//! HMACs of the SHA-2 family as pseudorandom functions (RFC 4868 §2.4).

use alloc::boxed::Box;
use core::fmt;

use digest::{CtOutput, KeyInit, Mac};
use hmac::Hmac;
use ipsec_wire::ike::PrfId;
use sha2::{Sha256, Sha384, Sha512};

use crate::{CryptoError, PrfAlgorithm, PrfKey, Status};

/// A PRF that takes keys of any length.
pub(super) struct Prf {
    id: PrfId,
    name: &'static str,
    status: Status,
    output_len: usize,
    key: fn(&[u8]) -> Option<Box<dyn PrfKey>>,
}

pub(super) static HMAC_SHA2_256: Prf = Prf {
    id: PrfId::HMAC_SHA2_256,
    name: "hmac-sha2-256",
    status: Status::Must,
    output_len: 32,
    key: Keyed::<Hmac<Sha256>>::boxed,
};

pub(super) static HMAC_SHA2_384: Prf = Prf {
    id: PrfId::HMAC_SHA2_384,
    name: "hmac-sha2-384",
    status: Status::May,
    output_len: 48,
    key: Keyed::<Hmac<Sha384>>::boxed,
};

pub(super) static HMAC_SHA2_512: Prf = Prf {
    id: PrfId::HMAC_SHA2_512,
    name: "hmac-sha2-512",
    status: Status::Should,
    output_len: 64,
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
    fn status(&self) -> Status {
        self.status
    }
    fn key_len(&self) -> usize {
        // RFC 7296 §2.13: for HMAC the preferred key length is that of the output.
        self.output_len
    }
    fn output_len(&self) -> usize {
        self.output_len
    }
    fn prf_key(&self, key: &[u8]) -> Result<Box<dyn PrfKey>, CryptoError> {
        (self.key)(key).ok_or(CryptoError::KeyLength { actual: key.len() })
    }
}

/// A PRF that has taken its key in.
struct Keyed<M>(M);

impl<M: Mac + KeyInit + Clone + Send + Sync + 'static> Keyed<M> {
    fn boxed(key: &[u8]) -> Option<Box<dyn PrfKey>> {
        Some(Box::new(Self(<M as KeyInit>::new_from_slice(key).ok()?)))
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
