//! Fast rows for a [`CryptoProvider`], on `aws-lc-rs`.
//!
//! It has AES-GCM-16 and ChaCha20-Poly1305 (with their implicit-IV forms), AES-CBC and AES-CTR, the HMACs as integrity
//! and as PRFs, X25519, ECP-256, ECP-384 and ECP-521, ML-KEM, and verification of ECDSA, Ed25519, ML-DSA and RSA, for which
//! [`signer_from_pkcs8`] has private keys in memory too. What it lacks falls through to the provider behind it:
//!
//! ```
//! let provider = ipsec_crypto_aws_lc::provider().or(&ipsec_crypto::rustcrypto::provider());
//! assert!(provider.encr(ipsec_wire::ike::EncrId::AES_CCM_8).is_some());
//! ```
//!
//! AES-GCM with ICVs of 8 and 12 octets is among what falls through: `aws-lc-rs` opens no truncated tag.
//!
//! Everything follows from its inputs but ML-KEM, which draws from the operating system instead of the generator that it
//! is given: those rows say so ([`KeyExchangeMethod::deterministic`]) and export no private value. Signers draw from it, too.
//!
//! AWS-LC is C and assembly: building it takes a C compiler, on x86-64 and ARM64 Linux nothing else.
#![forbid(unsafe_code)]

extern crate alloc;

mod encr;
mod ke;
mod mac;
mod sign;
mod verify;

use alloc::borrow::Cow;

pub use sign::signer_from_pkcs8;

use ipsec_crypto::{
    CryptoProvider, EncryptionAlgorithm, IntegrityAlgorithm, KeyExchangeMethod, PrfAlgorithm,
    SignatureVerifier,
};

static ENCR: &[&dyn EncryptionAlgorithm] = &[
    &encr::AES_GCM_16,
    &encr::AES_CBC,
    &encr::CHACHA20_POLY1305,
    &encr::AES_GCM_16_IIV,
    &encr::CHACHA20_POLY1305_IIV,
    &encr::AES_CTR,
];

static INTEG: &[&dyn IntegrityAlgorithm] =
    &[&mac::HMAC_SHA2_256_128, &mac::HMAC_SHA2_384_192, &mac::HMAC_SHA2_512_256, &mac::HMAC_SHA1_96];

static PRF: &[&dyn PrfAlgorithm] =
    &[&mac::PRF_HMAC_SHA2_256, &mac::PRF_HMAC_SHA2_384, &mac::PRF_HMAC_SHA2_512, &mac::PRF_HMAC_SHA1];

static KE: &[&dyn KeyExchangeMethod] = &[
    &ke::CURVE25519,
    &ke::ECP_256,
    &ke::ECP_384,
    &ke::ECP_521,
    &ke::ML_KEM_768,
    &ke::ML_KEM_1024,
    &ke::ML_KEM_512,
];

static VERIFY: &[&dyn SignatureVerifier] = &[
    &verify::ECDSA_SHA2_256,
    &verify::ECDSA_SHA2_384,
    &verify::ECDSA_SHA2_512,
    &verify::ECDSA_256,
    &verify::ECDSA_384,
    &verify::ECDSA_521,
    &verify::ED25519,
    &verify::ML_DSA_65,
    &verify::ML_DSA_87,
    &verify::ML_DSA_44,
    &verify::RSA_PSS_SHA2_256,
    &verify::RSA_PSS_SHA2_384,
    &verify::RSA_PSS_SHA2_512,
    &verify::RSA_SHA2_256,
    &verify::RSA_SHA2_384,
    &verify::RSA_SHA2_512,
    &verify::RSA_SIGNATURE,
];

/// The tables of the fast rows, to be put in front of a complete provider's ([`CryptoProvider::or`]).
#[must_use]
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        encr: Cow::Borrowed(ENCR),
        integ: Cow::Borrowed(INTEG),
        prf: Cow::Borrowed(PRF),
        ke: Cow::Borrowed(KE),
        verify: Cow::Borrowed(VERIFY),
    }
}
