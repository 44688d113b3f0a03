//! The portable provider: rows over the RustCrypto and dalek crates, without an operating system.
//!
//! Every row is deterministic: the same key, input and generator give the same octets.
//!
//! | feature | rows | standing |
//! |---|---|---|
//! | none | AES-GCM, AES-CCM, ChaCha20-Poly1305, also with implicit IVs, AES-CBC, AES-CTR, AES-GMAC, NULL; HMAC with SHA-1 and SHA-2, AES-XCBC, AES-CMAC; MODP-2048 to 8192, ECP-256, 384 and 521, curve25519, ML-KEM; ECDSA, Ed25519 | as [`crate::Status`] has it |
//! | `rsa` | RSA with PKCS #1 v1.5 and PSS | the method is a MUST; on a release candidate of its crate |
//! | `camellia` | Camellia in CBC, counter and CCM mode | MAY |
//! | `brainpool` | key exchange over brainpoolP256r1 and brainpoolP384r1 | MAY |
//! | `curve448` | curve448, Ed448 | MAY; on pre-releases of their crates |
//! | `ml-dsa` | ML-DSA-44, 65 and 87 | a draft of IKE's (RFC 9881 has the identifiers) |
//! | `legacy` | DES, Triple DES, HMAC-MD5, MODP-768 to 1536 and the groups of RFC 5114 | SHOULD NOT, MUST NOT |
//!
//! Absent are ECP-192 and ECP-224, whose crates are of an older generation, brainpoolP224r1 and brainpoolP512r1, which no
//! crate has, and the algorithms of GOST (Kuznyechik, Magma, Streebog and its curves: RFC 9227). So are those that RFC 9395
//! and RFC 8221 bury (RC5, IDEA, CAST, Blowfish, DES with short IVs, DES-MAC, KPDK, Tiger) and HMAC with whole outputs as
//! ICVs, which belongs to Fibre Channel (RFC 4595).
//!
//! # Build flags
//! On x86 the crates behind the rows ask for the processor's features on every call, and such calls are not inlined. Where
//! the processor is known, `RUSTFLAGS='-C target-feature=+aes,+ssse3,+pclmulqdq,+avx2'` saves most of that. Where it is not,
//! `RUSTFLAGS='--cfg poly1305_backend="soft"'` makes ChaCha20-Poly1305 three times as fast for small packets. Figures are in
//! the README of the workspace's `benches`.

use alloc::borrow::Cow;

use crate::{
    CryptoProvider, EncryptionAlgorithm, IntegrityAlgorithm, KeyExchangeMethod, PrfAlgorithm,
    SignatureVerifier,
};

#[cfg(feature = "camellia")]
mod camellia;
mod cipher;
mod ecp;
mod encr;
mod gcm;
mod gmac;
mod integ;
#[cfg(feature = "legacy")]
mod legacy;
mod mlkem;
mod modp;
mod montgomery;
mod prf;
mod sign;
mod xcbc;

static ENCR: &[&dyn EncryptionAlgorithm] = &[
    &encr::AES_GCM_16,
    &encr::AES_CBC,
    &encr::CHACHA20_POLY1305,
    &encr::AES_CCM_8,
    &encr::AES_CCM_12,
    &encr::AES_CCM_16,
    &encr::AES_GCM_8,
    &encr::AES_GCM_12,
    &encr::AES_GCM_16_IIV,
    &encr::AES_CCM_8_IIV,
    &encr::CHACHA20_POLY1305_IIV,
    &encr::AES_CTR,
    &encr::NULL_AUTH_AES_GMAC,
    &encr::NULL,
    #[cfg(feature = "camellia")]
    &camellia::CAMELLIA_CBC,
    #[cfg(feature = "camellia")]
    &camellia::CAMELLIA_CTR,
    #[cfg(feature = "camellia")]
    &camellia::CAMELLIA_CCM_8,
    #[cfg(feature = "camellia")]
    &camellia::CAMELLIA_CCM_12,
    #[cfg(feature = "camellia")]
    &camellia::CAMELLIA_CCM_16,
    #[cfg(feature = "legacy")]
    &legacy::TRIPLE_DES,
    #[cfg(feature = "legacy")]
    &legacy::DES,
];

static INTEG: &[&dyn IntegrityAlgorithm] = &[
    &integ::HMAC_SHA2_256_128,
    &integ::HMAC_SHA2_384_192,
    &integ::HMAC_SHA2_512_256,
    &integ::HMAC_SHA1_96,
    &integ::AES_XCBC_96,
    &integ::AES_CMAC_96,
    &gmac::AES_128_GMAC,
    &gmac::AES_192_GMAC,
    &gmac::AES_256_GMAC,
    #[cfg(feature = "legacy")]
    &legacy::HMAC_MD5_96,
];

static PRF: &[&dyn PrfAlgorithm] = &[
    &prf::HMAC_SHA2_256,
    &prf::HMAC_SHA2_384,
    &prf::HMAC_SHA2_512,
    &prf::HMAC_SHA1,
    &prf::AES128_XCBC,
    &prf::AES128_CMAC,
    #[cfg(feature = "legacy")]
    &legacy::PRF_HMAC_MD5,
];

static KE: &[&dyn KeyExchangeMethod] = &[
    &montgomery::CURVE25519,
    &ecp::ECP_256,
    &ecp::ECP_384,
    &ecp::ECP_521,
    &mlkem::ML_KEM_768,
    &mlkem::ML_KEM_1024,
    &mlkem::ML_KEM_512,
    &modp::MODP_2048,
    &modp::MODP_3072,
    &modp::MODP_4096,
    &modp::MODP_6144,
    &modp::MODP_8192,
    #[cfg(feature = "curve448")]
    &montgomery::CURVE448,
    #[cfg(feature = "brainpool")]
    &ecp::BRAINPOOL_P256R1,
    #[cfg(feature = "brainpool")]
    &ecp::BRAINPOOL_P384R1,
    #[cfg(feature = "legacy")]
    &modp::retired::MODP_768,
    #[cfg(feature = "legacy")]
    &modp::retired::MODP_1024,
    #[cfg(feature = "legacy")]
    &modp::retired::MODP_1536,
    #[cfg(feature = "legacy")]
    &modp::retired::MODP_1024_160,
    #[cfg(feature = "legacy")]
    &modp::retired::MODP_2048_224,
    #[cfg(feature = "legacy")]
    &modp::retired::MODP_2048_256,
];

static VERIFY: &[&dyn SignatureVerifier] = &[
    &sign::ecdsa::ECDSA_SHA2_256,
    &sign::ecdsa::ECDSA_SHA2_384,
    &sign::ecdsa::ECDSA_SHA2_512,
    &sign::ecdsa::ECDSA_256,
    &sign::ecdsa::ECDSA_384,
    &sign::ecdsa::ECDSA_521,
    &sign::ed25519::ED25519,
    #[cfg(feature = "curve448")]
    &sign::ed448::ED448,
    #[cfg(feature = "ml-dsa")]
    &sign::mldsa::ML_DSA_65,
    #[cfg(feature = "ml-dsa")]
    &sign::mldsa::ML_DSA_87,
    #[cfg(feature = "ml-dsa")]
    &sign::mldsa::ML_DSA_44,
    #[cfg(feature = "rsa")]
    &sign::rsa::RSA_PSS_SHA2_256,
    #[cfg(feature = "rsa")]
    &sign::rsa::RSA_PSS_SHA2_384,
    #[cfg(feature = "rsa")]
    &sign::rsa::RSA_PSS_SHA2_512,
    #[cfg(feature = "rsa")]
    &sign::rsa::RSA_SHA2_256,
    #[cfg(feature = "rsa")]
    &sign::rsa::RSA_SHA2_384,
    #[cfg(feature = "rsa")]
    &sign::rsa::RSA_SHA2_512,
    #[cfg(feature = "rsa")]
    &sign::rsa::RSA_SIGNATURE,
];

pub use sign::signer_from_pkcs8;

/// The tables of the portable rows. It allocates nothing and is cheap to call.
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

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    fn wiped_on_drop<T: ZeroizeOnDrop>() {}

    /// The crates wipe their keys only under their feature `zeroize`: without it this does not compile.
    #[test]
    fn keyed_objects_are_wiped() {
        wiped_on_drop::<chacha20poly1305::ChaCha20Poly1305>();
        wiped_on_drop::<cmac::block_api::CmacCore<aes::Aes128>>();
        wiped_on_drop::<super::xcbc::Xcbc>();
        // CCM and GCM are their cipher and a hash; GHASH wipes itself but has no mark.
        wiped_on_drop::<aes::Aes128>();
        wiped_on_drop::<aes::Aes192>();
        wiped_on_drop::<aes::Aes256>();
        wiped_on_drop::<aes::Aes256Enc>();
        // An HMAC has no mark of its own: it is two states of its hash, which are wiped.
        wiped_on_drop::<sha1::Sha1>();
        wiped_on_drop::<sha2::Sha256>();
        wiped_on_drop::<sha2::Sha384>();
        wiped_on_drop::<sha2::Sha512>();
        wiped_on_drop::<x25519_dalek::StaticSecret>();
        wiped_on_drop::<x25519_dalek::SharedSecret>();
        wiped_on_drop::<p256::SecretKey>();
        wiped_on_drop::<p256::ecdh::SharedSecret>();
        wiped_on_drop::<ml_kem::kem::DecapsulationKey<ml_kem::MlKem768>>();
        wiped_on_drop::<p256::ecdsa::SigningKey>();
        wiped_on_drop::<p384::ecdsa::SigningKey>();
        wiped_on_drop::<p521::ecdsa::SigningKey>();
        wiped_on_drop::<ed25519_dalek::SigningKey>();
        #[cfg(feature = "rsa")]
        wiped_on_drop::<rsa::RsaPrivateKey>();
        #[cfg(feature = "curve448")]
        wiped_on_drop::<ed448_goldilocks::SigningKey>();
        #[cfg(feature = "ml-dsa")]
        wiped_on_drop::<ml_dsa::SigningKey<ml_dsa::MlDsa65>>();
    }
}
