//! HMAC, as integrity and as PRF.

use alloc::boxed::Box;
use core::fmt;

use aws_lc_rs::hmac;
use ipsec_crypto::{CryptoError, IntegrityAlgorithm, MacKey, PrfAlgorithm, PrfKey, check_equal};
use ipsec_wire::ike::{IntegId, PrfId};

/// A truncated HMAC with one key length.
pub(crate) struct Integrity {
    id: IntegId,
    name: &'static str,
    key_len: usize,
    icv_len: usize,
    algorithm: &'static hmac::Algorithm,
}

pub(crate) static HMAC_SHA1_96: Integrity = Integrity {
    id: IntegId::HMAC_SHA1_96,
    name: "hmac-sha1-96",
    key_len: 20,
    icv_len: 12,
    algorithm: &hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
};

pub(crate) static HMAC_SHA2_256_128: Integrity = Integrity {
    id: IntegId::HMAC_SHA2_256_128,
    name: "hmac-sha2-256-128",
    key_len: 32,
    icv_len: 16,
    algorithm: &hmac::HMAC_SHA256,
};

pub(crate) static HMAC_SHA2_384_192: Integrity = Integrity {
    id: IntegId::HMAC_SHA2_384_192,
    name: "hmac-sha2-384-192",
    key_len: 48,
    icv_len: 24,
    algorithm: &hmac::HMAC_SHA384,
};

pub(crate) static HMAC_SHA2_512_256: Integrity = Integrity {
    id: IntegId::HMAC_SHA2_512_256,
    name: "hmac-sha2-512-256",
    key_len: 64,
    icv_len: 32,
    algorithm: &hmac::HMAC_SHA512,
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
        if key.len() != self.key_len {
            return Err(CryptoError::KeyLength { actual: key.len() });
        }
        Ok(Box::new(Keyed { key: hmac::Key::new(*self.algorithm, key), len: self.icv_len }))
    }
}

/// An HMAC with keys of any length.
pub(crate) struct Prf {
    id: PrfId,
    name: &'static str,
    output_len: usize,
    algorithm: &'static hmac::Algorithm,
}

pub(crate) static PRF_HMAC_SHA1: Prf = Prf {
    id: PrfId::HMAC_SHA1,
    name: "hmac-sha1",
    output_len: 20,
    algorithm: &hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
};

pub(crate) static PRF_HMAC_SHA2_256: Prf =
    Prf { id: PrfId::HMAC_SHA2_256, name: "hmac-sha2-256", output_len: 32, algorithm: &hmac::HMAC_SHA256 };

pub(crate) static PRF_HMAC_SHA2_384: Prf =
    Prf { id: PrfId::HMAC_SHA2_384, name: "hmac-sha2-384", output_len: 48, algorithm: &hmac::HMAC_SHA384 };

pub(crate) static PRF_HMAC_SHA2_512: Prf =
    Prf { id: PrfId::HMAC_SHA2_512, name: "hmac-sha2-512", output_len: 64, algorithm: &hmac::HMAC_SHA512 };

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
        self.output_len
    }
    fn output_len(&self) -> usize {
        self.output_len
    }
    fn prf_key(&self, key: &[u8]) -> Result<Box<dyn PrfKey>, CryptoError> {
        Ok(Box::new(Keyed { key: hmac::Key::new(*self.algorithm, key), len: self.output_len }))
    }
}

struct Keyed {
    key: hmac::Key,
    /// Octets of an ICV or of an output.
    len: usize,
}

impl Keyed {
    fn tag(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part);
        }
        context.sign()
    }
}

impl MacKey for Keyed {
    fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError> {
        let too_long = CryptoError::BufferLength { actual: icv.len() };
        if icv.len() > self.len {
            return Err(too_long);
        }
        icv.copy_from_slice(self.tag(parts).as_ref().get(..icv.len()).ok_or(too_long)?);
        Ok(())
    }

    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError> {
        let wrong = CryptoError::BufferLength { actual: icv.len() };
        if icv.len() != self.len {
            return Err(wrong);
        }
        let tag = self.tag(parts);
        let expected = tag.as_ref().get(..icv.len()).ok_or(wrong)?;
        check_equal(expected, icv)
    }
}

impl PrfKey for Keyed {
    fn compute(&self, parts: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        if out.len() != self.len {
            return Err(CryptoError::BufferLength { actual: out.len() });
        }
        self.sign(parts, out)
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HMAC key (..)")
    }
}
