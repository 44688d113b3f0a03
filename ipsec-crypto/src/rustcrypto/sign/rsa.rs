//! RSA: PKCS#1 v1.5 and PSS (RFC 7427, RFC 8017), and SHA-1 under the method of RFC 7296 §3.8.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use ipsec_wire::ike::AuthMethod;
use rand_core::CryptoRng;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::signature::{RandomizedSigner, SignatureEncoding, Verifier};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey, pkcs1v15, pss};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::{CryptoError, SignatureVerifier, Signer, Status, algorithm_id};

/// RFC 8247 §4.1.1 keeps RSA to 2048 bits and more.
const LEAST_OCTETS: usize = 256;

/// A verification row.
pub(in super::super) struct Rsa {
    algorithm: &'static [u8],
    method: AuthMethod,
    name: &'static str,
    status: Status,
    verify: fn(RsaPublicKey, &[u8], &[u8]) -> Option<()>,
}

macro_rules! pkcs1 {
    ($hash:ty) => {
        |key, message, signature| {
            let signature = pkcs1v15::Signature::try_from(signature).ok()?;
            pkcs1v15::VerifyingKey::<$hash>::new(key).verify(message, &signature).ok()
        }
    };
}

macro_rules! probabilistic {
    ($hash:ty, $salt:expr) => {
        |key, message, signature| {
            let signature = pss::Signature::try_from(signature).ok()?;
            let key = pss::VerifyingKey::<$hash>::new_with_salt_len(key, $salt);
            key.verify(message, &signature).ok()
        }
    };
}

pub(in super::super) static RSA_PSS_SHA2_256: Rsa = Rsa {
    algorithm: algorithm_id::RSA_PSS_SHA2_256,
    method: AuthMethod::DIGITAL_SIGNATURE,
    name: "rsa-pss-sha2-256",
    status: Status::Must,
    verify: probabilistic!(Sha256, 32),
};

pub(in super::super) static RSA_PSS_SHA2_384: Rsa = Rsa {
    algorithm: algorithm_id::RSA_PSS_SHA2_384,
    name: "rsa-pss-sha2-384",
    status: Status::May,
    verify: probabilistic!(Sha384, 48),
    ..RSA_PSS_SHA2_256
};

pub(in super::super) static RSA_PSS_SHA2_512: Rsa = Rsa {
    algorithm: algorithm_id::RSA_PSS_SHA2_512,
    name: "rsa-pss-sha2-512",
    status: Status::May,
    verify: probabilistic!(Sha512, 64),
    ..RSA_PSS_SHA2_256
};

pub(in super::super) static RSA_SHA2_256: Rsa = Rsa {
    algorithm: algorithm_id::RSA_SHA2_256,
    name: "rsa-sha2-256",
    status: Status::May,
    verify: pkcs1!(Sha256),
    ..RSA_PSS_SHA2_256
};

pub(in super::super) static RSA_SHA2_384: Rsa = Rsa {
    algorithm: algorithm_id::RSA_SHA2_384,
    name: "rsa-sha2-384",
    status: Status::May,
    verify: pkcs1!(Sha384),
    ..RSA_PSS_SHA2_256
};

pub(in super::super) static RSA_SHA2_512: Rsa = Rsa {
    algorithm: algorithm_id::RSA_SHA2_512,
    name: "rsa-sha2-512",
    status: Status::May,
    verify: pkcs1!(Sha512),
    ..RSA_PSS_SHA2_256
};

/// The method that IKEv2 began with.
pub(in super::super) static RSA_SIGNATURE: Rsa = Rsa {
    algorithm: algorithm_id::RSA_SHA1,
    method: AuthMethod::RSA_SIGNATURE,
    name: "rsa-sha1",
    status: Status::Must,
    verify: pkcs1!(Sha1),
};

impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl SignatureVerifier for Rsa {
    fn algorithm(&self) -> &'static [u8] {
        self.algorithm
    }
    fn auth_method(&self) -> AuthMethod {
        self.method
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn status(&self) -> Status {
        self.status
    }
    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let refused = CryptoError::KeyLength { actual: spki.len() };
        let key = RsaPublicKey::from_public_key_der(spki).map_err(|_| refused)?;
        if key.size() < LEAST_OCTETS {
            return Err(CryptoError::KeyLength { actual: key.size() });
        }
        (self.verify)(key, message, signature).ok_or(CryptoError::Mismatch)
    }
}

/// A private key out of PKCS#8.
pub(super) fn signer(der: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
    let key = RsaPrivateKey::from_pkcs8_der(der).map_err(|_| CryptoError::Unsupported)?;
    if key.size() < LEAST_OCTETS {
        return Err(CryptoError::KeyLength { actual: key.size() });
    }
    Ok(Box::new(Key(key)))
}

/// A private key in memory. Each signature is blinded by the generator, against what the time of an exponentiation tells.
struct Key(RsaPrivateKey);

impl Key {
    fn pkcs1<D>(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Option<Vec<u8>>
    where
        pkcs1v15::SigningKey<D>: RandomizedSigner<pkcs1v15::Signature> + From<RsaPrivateKey>,
        D: digest::Digest,
    {
        let key = pkcs1v15::SigningKey::<D>::from(self.0.clone());
        Some(key.try_sign_with_rng(rng, message).ok()?.to_vec())
    }

    fn pss<D>(&self, message: &[u8], rng: &mut dyn CryptoRng) -> Option<Vec<u8>>
    where
        pss::SigningKey<D>: RandomizedSigner<pss::Signature> + From<RsaPrivateKey>,
        D: digest::Digest,
    {
        // The salt is as long as the hash.
        let key = pss::SigningKey::<D>::from(self.0.clone());
        Some(key.try_sign_with_rng(rng, message).ok()?.to_vec())
    }
}

impl Signer for Key {
    fn algorithms(&self) -> &[&'static [u8]] {
        &[
            algorithm_id::RSA_PSS_SHA2_256,
            algorithm_id::RSA_PSS_SHA2_384,
            algorithm_id::RSA_PSS_SHA2_512,
            algorithm_id::RSA_SHA2_256,
            algorithm_id::RSA_SHA2_384,
            algorithm_id::RSA_SHA2_512,
        ]
    }
    fn sign(
        &self,
        algorithm: &[u8],
        message: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        let signature = match algorithm {
            algorithm_id::RSA_PSS_SHA2_256 => self.pss::<Sha256>(message, rng),
            algorithm_id::RSA_PSS_SHA2_384 => self.pss::<Sha384>(message, rng),
            algorithm_id::RSA_PSS_SHA2_512 => self.pss::<Sha512>(message, rng),
            algorithm_id::RSA_SHA2_256 => self.pkcs1::<Sha256>(message, rng),
            algorithm_id::RSA_SHA2_384 => self.pkcs1::<Sha384>(message, rng),
            algorithm_id::RSA_SHA2_512 => self.pkcs1::<Sha512>(message, rng),
            _ => None,
        };
        signature.ok_or(CryptoError::Unsupported)
    }
    fn methods(&self) -> &[AuthMethod] {
        &[AuthMethod::RSA_SIGNATURE]
    }
    fn sign_for_method(
        &self,
        method: AuthMethod,
        message: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        let signature =
            if method == AuthMethod::RSA_SIGNATURE { self.pkcs1::<Sha1>(message, rng) } else { None };
        signature.ok_or(CryptoError::Unsupported)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RSA key (..)")
    }
}
