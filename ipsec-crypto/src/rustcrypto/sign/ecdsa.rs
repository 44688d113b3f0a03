//! ECDSA over the NIST prime curves: a DER sequence under RFC 7427, r | s under the methods of RFC 4754.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use digest::Digest;
use ipsec_wire::ike::AuthMethod;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rand_core::CryptoRng;
use sha2::{Sha256, Sha384, Sha512};

use crate::{CryptoError, SignatureVerifier, Signer, Status, algorithm_id};

/// How r and s are written.
#[derive(Clone, Copy)]
enum Encoding {
    /// SEQUENCE { r, s } (RFC 7427, RFC 5480).
    Der,
    /// r | s, each as long as the field (RFC 4754 §7).
    Raw,
}

/// Verifies under a key of a curve. An error tells that the key is of another one.
type VerifyFn = fn(&[u8], &[u8], &[u8], Encoding) -> Result<Result<(), CryptoError>, CryptoError>;
type HashFn = fn(&[u8]) -> Vec<u8>;

fn hash<D: Digest>(message: &[u8]) -> Vec<u8> {
    D::digest(message).to_vec()
}

/// The hash of a DER AlgorithmIdentifier.
fn hash_of(algorithm: &[u8]) -> Option<HashFn> {
    match algorithm {
        algorithm_id::ECDSA_SHA2_256 => Some(hash::<Sha256>),
        algorithm_id::ECDSA_SHA2_384 => Some(hash::<Sha384>),
        algorithm_id::ECDSA_SHA2_512 => Some(hash::<Sha512>),
        _ => None,
    }
}

/// A verification row. Which curves it takes follows from the method: RFC 7427 leaves the curve to the key.
pub(in super::super) struct Ecdsa {
    algorithm: &'static [u8],
    method: AuthMethod,
    name: &'static str,
    status: Status,
    hash: HashFn,
    encoding: Encoding,
    curves: &'static [VerifyFn],
}

pub(in super::super) static ECDSA_SHA2_256: Ecdsa = Ecdsa {
    algorithm: algorithm_id::ECDSA_SHA2_256,
    method: AuthMethod::DIGITAL_SIGNATURE,
    name: "ecdsa-sha2-256",
    status: Status::Should,
    hash: hash::<Sha256>,
    encoding: Encoding::Der,
    curves: &[p256_verify, p384_verify, p521_verify],
};

pub(in super::super) static ECDSA_SHA2_384: Ecdsa = Ecdsa {
    algorithm: algorithm_id::ECDSA_SHA2_384,
    name: "ecdsa-sha2-384",
    hash: hash::<Sha384>,
    ..ECDSA_SHA2_256
};

pub(in super::super) static ECDSA_SHA2_512: Ecdsa = Ecdsa {
    algorithm: algorithm_id::ECDSA_SHA2_512,
    name: "ecdsa-sha2-512",
    hash: hash::<Sha512>,
    ..ECDSA_SHA2_256
};

pub(in super::super) static ECDSA_256: Ecdsa = Ecdsa {
    algorithm: algorithm_id::ECDSA_SHA2_256,
    method: AuthMethod::ECDSA_256,
    name: "ecdsa-256",
    status: Status::Should,
    hash: hash::<Sha256>,
    encoding: Encoding::Raw,
    curves: &[p256_verify],
};

pub(in super::super) static ECDSA_384: Ecdsa = Ecdsa {
    algorithm: algorithm_id::ECDSA_SHA2_384,
    method: AuthMethod::ECDSA_384,
    name: "ecdsa-384",
    hash: hash::<Sha384>,
    curves: &[p384_verify],
    ..ECDSA_256
};

pub(in super::super) static ECDSA_521: Ecdsa = Ecdsa {
    algorithm: algorithm_id::ECDSA_SHA2_512,
    method: AuthMethod::ECDSA_521,
    name: "ecdsa-521",
    hash: hash::<Sha512>,
    curves: &[p521_verify],
    ..ECDSA_256
};

impl fmt::Debug for Ecdsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl SignatureVerifier for Ecdsa {
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
        let digest = (self.hash)(message);
        let verdicts = self.curves.iter().map(|verify| verify(spki, &digest, signature, self.encoding));
        verdicts.flatten().next().unwrap_or(Err(CryptoError::KeyLength { actual: spki.len() }))
    }
}

/// A private key out of PKCS#8, where it is of one of the curves.
pub(super) fn signer(der: &[u8]) -> Option<Box<dyn Signer>> {
    p256_signer(der).or_else(|| p384_signer(der)).or_else(|| p521_signer(der))
}

/// A private key in memory. Nonces are those of RFC 6979: the generator is not needed.
struct Key<K> {
    key: K,
    algorithms: &'static [&'static [u8]],
    methods: &'static [AuthMethod],
    sign: fn(&K, &[u8], Encoding) -> Option<Vec<u8>>,
}

impl<K: Send + Sync> Signer for Key<K> {
    fn algorithms(&self) -> &[&'static [u8]] {
        self.algorithms
    }
    fn sign(&self, algorithm: &[u8], message: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoError> {
        let hash = hash_of(algorithm).filter(|_| self.algorithms.contains(&algorithm));
        let digest = hash.ok_or(CryptoError::Unsupported)?(message);
        (self.sign)(&self.key, &digest, Encoding::Der).ok_or(CryptoError::Unsupported)
    }
    fn methods(&self) -> &[AuthMethod] {
        self.methods
    }
    fn sign_for_method(
        &self,
        method: AuthMethod,
        message: &[u8],
        _: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        // RFC 4754 §3: each method names its hash, which is that of the first algorithm.
        let hash = self.algorithms.first().and_then(|algorithm| hash_of(algorithm));
        let hash = hash.filter(|_| self.methods.contains(&method)).ok_or(CryptoError::Unsupported)?;
        (self.sign)(&self.key, &hash(message), Encoding::Raw).ok_or(CryptoError::Unsupported)
    }
}

impl<K> fmt::Debug for Key<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ECDSA key (..)")
    }
}

macro_rules! curve {
    ($curve:ident, $verify:ident, $signer:ident, $method:ident, $algorithms:expr) => {
        fn $verify(
            spki: &[u8],
            digest: &[u8],
            signature: &[u8],
            encoding: Encoding,
        ) -> Result<Result<(), CryptoError>, CryptoError> {
            let key = $curve::ecdsa::VerifyingKey::from_public_key_der(spki)
                .map_err(|_| CryptoError::KeyLength { actual: spki.len() })?;
            let signature = match encoding {
                Encoding::Der => $curve::ecdsa::Signature::from_der(signature),
                Encoding::Raw => $curve::ecdsa::Signature::from_slice(signature),
            };
            let verified = signature.and_then(|signature| key.verify_prehash(digest, &signature));
            Ok(verified.map_err(|_| CryptoError::Mismatch))
        }

        fn $signer(der: &[u8]) -> Option<Box<dyn Signer>> {
            Some(Box::new(Key {
                key: $curve::ecdsa::SigningKey::from_pkcs8_der(der).ok()?,
                algorithms: $algorithms,
                methods: &[AuthMethod::$method],
                sign: |key, digest, encoding| {
                    let signature: $curve::ecdsa::Signature = key.sign_prehash(digest).ok()?;
                    Some(match encoding {
                        Encoding::Der => signature.to_der().as_bytes().to_vec(),
                        Encoding::Raw => signature.to_bytes().to_vec(),
                    })
                },
            }))
        }
    };
}

use algorithm_id::{ECDSA_SHA2_256 as SHA2_256, ECDSA_SHA2_384 as SHA2_384, ECDSA_SHA2_512 as SHA2_512};

curve!(p256, p256_verify, p256_signer, ECDSA_256, &[SHA2_256, SHA2_384, SHA2_512]);
curve!(p384, p384_verify, p384_signer, ECDSA_384, &[SHA2_384, SHA2_512, SHA2_256]);
// A hash below half the length of the field is refused.
curve!(p521, p521_verify, p521_signer, ECDSA_521, &[SHA2_512, SHA2_384]);
