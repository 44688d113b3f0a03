//! The provider: plain tables of algorithms keyed by their IANA numbers. No global state.

use alloc::borrow::Cow;

use ipsec_wire::ike::{AuthMethod, EncrId, IntegId, KeId, PrfId};

use crate::{EncryptionAlgorithm, IntegrityAlgorithm, KeyExchangeMethod, PrfAlgorithm, SignatureVerifier};

/// What an endpoint can compute. The first row with an id wins, so that a faster provider's rows are put in front
/// of a complete one's ([`CryptoProvider::or`]).
#[derive(Clone, Debug)]
pub struct CryptoProvider {
    /// Encryption algorithms.
    pub encr: Cow<'static, [&'static dyn EncryptionAlgorithm]>,
    /// Integrity algorithms.
    pub integ: Cow<'static, [&'static dyn IntegrityAlgorithm]>,
    /// Pseudorandom functions.
    pub prf: Cow<'static, [&'static dyn PrfAlgorithm]>,
    /// Key exchange methods.
    pub ke: Cow<'static, [&'static dyn KeyExchangeMethod]>,
    /// Signature verification.
    pub verify: Cow<'static, [&'static dyn SignatureVerifier]>,
}

impl CryptoProvider {
    /// The encryption row with this id.
    #[must_use]
    pub fn encr(&self, id: EncrId) -> Option<&'static dyn EncryptionAlgorithm> {
        self.encr.iter().copied().find(|row| row.id() == id)
    }

    /// The integrity row with this id.
    #[must_use]
    pub fn integ(&self, id: IntegId) -> Option<&'static dyn IntegrityAlgorithm> {
        self.integ.iter().copied().find(|row| row.id() == id)
    }

    /// The PRF row with this id.
    #[must_use]
    pub fn prf(&self, id: PrfId) -> Option<&'static dyn PrfAlgorithm> {
        self.prf.iter().copied().find(|row| row.id() == id)
    }

    /// The key exchange row with this id.
    #[must_use]
    pub fn ke(&self, id: KeId) -> Option<&'static dyn KeyExchangeMethod> {
        self.ke.iter().copied().find(|row| row.id() == id)
    }

    /// The row that verifies signatures with this DER AlgorithmIdentifier in front of them (RFC 7427).
    #[must_use]
    pub fn verifier(&self, algorithm: &[u8]) -> Option<&'static dyn SignatureVerifier> {
        let digital =
            |row: &&'static dyn SignatureVerifier| row.auth_method() == AuthMethod::DIGITAL_SIGNATURE;
        self.verify.iter().copied().filter(digital).find(|row| row.algorithm() == algorithm)
    }

    /// The row that verifies signatures of an AUTH method that stands for one algorithm.
    #[must_use]
    pub fn verifier_of_method(&self, method: AuthMethod) -> Option<&'static dyn SignatureVerifier> {
        let digital = method == AuthMethod::DIGITAL_SIGNATURE;
        self.verify.iter().copied().find(|row| !digital && row.auth_method() == method)
    }

    /// This provider's rows in front of another's.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        self.encr.to_mut().extend_from_slice(&other.encr);
        self.integ.to_mut().extend_from_slice(&other.integ);
        self.prf.to_mut().extend_from_slice(&other.prf);
        self.ke.to_mut().extend_from_slice(&other.ke);
        self.verify.to_mut().extend_from_slice(&other.verify);
        self
    }
}
