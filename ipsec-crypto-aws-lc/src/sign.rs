//! Private keys in memory: ECDSA, Ed25519, ML-DSA and RSA.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, PqdsaKeyPair, PqdsaSigningAlgorithm,
    RsaEncoding,
};
use ipsec_crypto::{CryptoError, Signer, algorithm_id};
use ipsec_wire::ike::AuthMethod;
use rand_core::CryptoRng;

/// A private key out of a PKCS#8 document (RFC 5208): ECDSA over P-256, P-384 or P-521, Ed25519, ML-DSA, and RSA of 2048
/// to 8192 bits. The caller's own copy of `der` stays the caller's to wipe.
///
/// ECDSA nonces and PSS salts are drawn from the operating system, not from the generator that
/// [`Signer::sign`] is given. An ECDSA key signs with the hash of its curve alone (P-521 with SHA2-384 too), and an RSA
/// key does not sign by the method of RFC 7296 §3.8, whose hash is SHA-1: `aws-lc-rs` has no more. The signers of
/// `ipsec_crypto::rustcrypto` do both.
///
/// # Errors
/// [`CryptoError::Unsupported`] for a document that is broken or holds another kind of key.
pub fn signer_from_pkcs8(der: &[u8]) -> Result<Box<dyn Signer>, CryptoError> {
    for curve in CURVES {
        if let Some(signer) = EcdsaKey::read(curve, der) {
            return Ok(Box::new(signer));
        }
    }
    if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        return Ok(Box::new(Ed25519Key(key)));
    }
    for (set, algorithm) in ML_DSA {
        if let Ok(key) = PqdsaKeyPair::from_pkcs8(set, der) {
            return Ok(Box::new(MlDsaKey { key, algorithms: [algorithm] }));
        }
    }
    let key = RsaKeyPair::from_pkcs8(der).map_err(|_| CryptoError::Unsupported)?;
    Ok(Box::new(RsaKey(key)))
}

/// A curve with what signs over it: a sequence under an AlgorithmIdentifier, r | s under a method.
struct Curve {
    algorithms: &'static [&'static [u8]],
    /// In the order of `algorithms`.
    sequences: &'static [&'static EcdsaSigningAlgorithm],
    methods: &'static [AuthMethod],
    fixed: &'static EcdsaSigningAlgorithm,
}

static CURVES: &[Curve] = &[
    Curve {
        algorithms: &[algorithm_id::ECDSA_SHA2_256],
        sequences: &[&lc::ECDSA_P256_SHA256_ASN1_SIGNING],
        methods: &[AuthMethod::ECDSA_256],
        fixed: &lc::ECDSA_P256_SHA256_FIXED_SIGNING,
    },
    Curve {
        algorithms: &[algorithm_id::ECDSA_SHA2_384],
        sequences: &[&lc::ECDSA_P384_SHA384_ASN1_SIGNING],
        methods: &[AuthMethod::ECDSA_384],
        fixed: &lc::ECDSA_P384_SHA384_FIXED_SIGNING,
    },
    Curve {
        algorithms: &[algorithm_id::ECDSA_SHA2_512, algorithm_id::ECDSA_SHA2_384],
        sequences: &[&lc::ECDSA_P521_SHA512_ASN1_SIGNING, &lc::ECDSA_P521_SHA384_ASN1_SIGNING],
        methods: &[AuthMethod::ECDSA_521],
        fixed: &lc::ECDSA_P521_SHA512_FIXED_SIGNING,
    },
];

struct EcdsaKey {
    curve: &'static Curve,
    /// One of each of the curve's algorithms: the library ties a key to its algorithm.
    sequences: Vec<EcdsaKeyPair>,
    fixed: EcdsaKeyPair,
}

impl EcdsaKey {
    fn read(curve: &'static Curve, der: &[u8]) -> Option<Self> {
        let fixed = EcdsaKeyPair::from_pkcs8(curve.fixed, der).ok()?;
        let sequences = curve.sequences.iter().map(|algorithm| EcdsaKeyPair::from_pkcs8(algorithm, der).ok());
        Some(Self { curve, sequences: sequences.collect::<Option<_>>()?, fixed })
    }
}

fn ecdsa(key: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let signature = key.sign(&SystemRandom::new(), message).map_err(|_| CryptoError::Randomness)?;
    Ok(signature.as_ref().to_vec())
}

impl Signer for EcdsaKey {
    fn algorithms(&self) -> &[&'static [u8]] {
        self.curve.algorithms
    }
    fn sign(&self, algorithm: &[u8], message: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoError> {
        let at = self.curve.algorithms.iter().position(|known| *known == algorithm);
        let key = at.and_then(|at| self.sequences.get(at)).ok_or(CryptoError::Unsupported)?;
        ecdsa(key, message)
    }
    fn methods(&self) -> &[AuthMethod] {
        self.curve.methods
    }
    fn sign_for_method(
        &self,
        method: AuthMethod,
        message: &[u8],
        _: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        if !self.curve.methods.contains(&method) {
            return Err(CryptoError::Unsupported);
        }
        ecdsa(&self.fixed, message)
    }
}

impl fmt::Debug for EcdsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ECDSA key (..)")
    }
}

struct Ed25519Key(Ed25519KeyPair);

impl Signer for Ed25519Key {
    fn algorithms(&self) -> &[&'static [u8]] {
        &[algorithm_id::ED25519]
    }
    fn sign(&self, algorithm: &[u8], message: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoError> {
        if algorithm != algorithm_id::ED25519 {
            return Err(CryptoError::Unsupported);
        }
        let signature = self.0.try_sign(message).map_err(|_| CryptoError::Unsupported)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519 key (..)")
    }
}

/// The parameter sets of FIPS 204.
static ML_DSA: [(&PqdsaSigningAlgorithm, &[u8]); 3] = [
    (&lc::ML_DSA_65_SIGNING, algorithm_id::ML_DSA_65),
    (&lc::ML_DSA_87_SIGNING, algorithm_id::ML_DSA_87),
    (&lc::ML_DSA_44_SIGNING, algorithm_id::ML_DSA_44),
];

struct MlDsaKey {
    key: PqdsaKeyPair,
    algorithms: [&'static [u8]; 1],
}

impl Signer for MlDsaKey {
    fn algorithms(&self) -> &[&'static [u8]] {
        &self.algorithms
    }
    fn sign(&self, algorithm: &[u8], message: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(CryptoError::Unsupported);
        }
        let mut signature = vec![0; self.key.algorithm().signature_len()];
        let len = self.key.sign(message, &mut signature).map_err(|_| CryptoError::Randomness)?;
        signature.truncate(len);
        Ok(signature)
    }
}

impl fmt::Debug for MlDsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ML-DSA key (..)")
    }
}

struct RsaKey(RsaKeyPair);

impl Signer for RsaKey {
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
    fn sign(&self, algorithm: &[u8], message: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoError> {
        let encoding: &'static dyn RsaEncoding = match algorithm {
            // The salt is as long as the hash.
            algorithm_id::RSA_PSS_SHA2_256 => &lc::RSA_PSS_SHA256,
            algorithm_id::RSA_PSS_SHA2_384 => &lc::RSA_PSS_SHA384,
            algorithm_id::RSA_PSS_SHA2_512 => &lc::RSA_PSS_SHA512,
            algorithm_id::RSA_SHA2_256 => &lc::RSA_PKCS1_SHA256,
            algorithm_id::RSA_SHA2_384 => &lc::RSA_PKCS1_SHA384,
            algorithm_id::RSA_SHA2_512 => &lc::RSA_PKCS1_SHA512,
            _ => return Err(CryptoError::Unsupported),
        };
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(encoding, &SystemRandom::new(), message, &mut signature);
        signed.map_err(|_| CryptoError::Randomness)?;
        Ok(signature)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RSA key (..)")
    }
}
