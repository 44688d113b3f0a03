//! The portable provider: rows over the RustCrypto and dalek crates, without an operating system.
//!
//! Every row is deterministic: the same key, input and generator give the same octets.

use alloc::borrow::Cow;

use crate::{
    CryptoProvider, EncryptionAlgorithm, IntegrityAlgorithm, KeyExchangeMethod, PrfAlgorithm,
    SignatureVerifier,
};

mod curve25519;
mod ecp;
mod encr;
mod integ;
mod modp;
mod prf;

static ENCR: &[&dyn EncryptionAlgorithm] = &[&encr::AES_GCM_16, &encr::AES_CBC];

static INTEG: &[&dyn IntegrityAlgorithm] =
    &[&integ::HMAC_SHA2_256_128, &integ::HMAC_SHA2_384_192, &integ::HMAC_SHA2_512_256];

static PRF: &[&dyn PrfAlgorithm] = &[&prf::HMAC_SHA2_256, &prf::HMAC_SHA2_384, &prf::HMAC_SHA2_512];

static KE: &[&dyn KeyExchangeMethod] = &[&curve25519::CURVE25519, &ecp::ECP_256, &modp::MODP_2048];

static VERIFY: &[&dyn SignatureVerifier] = &[];

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
