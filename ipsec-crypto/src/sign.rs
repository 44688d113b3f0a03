//! Digital signatures (RFC 7427): private keys are objects of the caller, verification is a provider row.

use alloc::vec::Vec;
use core::fmt;

use ipsec_wire::ike::AuthMethod;
use rand_core::CryptoRng;

use crate::{CryptoError, Status};

/// A private key, wherever it lives: in memory, an HSM, a TPM or another process.
pub trait Signer: Send + Sync + fmt::Debug {
    /// DER of the AlgorithmIdentifiers it can sign with, most preferred first (RFC 7427 §3).
    fn algorithms(&self) -> &[&'static [u8]];
    /// Signs `message` (not a digest of it) with one of [`Signer::algorithms`].
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for another algorithm, [`CryptoError::KeyUnavailable`] where the key's home fails.
    fn sign(&self, algorithm: &[u8], message: &[u8], rng: &mut dyn CryptoRng)
    -> Result<Vec<u8>, CryptoError>;
    /// AUTH methods with an algorithm of their own that it can sign for (RSA of RFC 7296, ECDSA of RFC 4754).
    fn methods(&self) -> &[AuthMethod] {
        &[]
    }
    /// Signs `message` as one of [`Signer::methods`] has it.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for another method, [`CryptoError::KeyUnavailable`] where the key's home fails.
    fn sign_for_method(
        &self,
        method: AuthMethod,
        message: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        let _ = (method, message, rng);
        Err(CryptoError::Unsupported)
    }
}

/// One row of the provider's verification table.
pub trait SignatureVerifier: Send + Sync + fmt::Debug {
    /// DER of the AlgorithmIdentifier it verifies.
    fn algorithm(&self) -> &'static [u8];
    /// The AUTH method under which such a signature travels: with its AlgorithmIdentifier in front (RFC 7427), or bare
    /// under a method that stands for one algorithm.
    fn auth_method(&self) -> AuthMethod {
        AuthMethod::DIGITAL_SIGNATURE
    }
    /// Name for people.
    fn name(&self) -> &'static str;
    /// Where the RFCs stand on it.
    fn status(&self) -> Status;
    /// Verifies `signature` over `message` with a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`], or [`CryptoError::KeyLength`] for a key of another kind.
    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError>;
}

/// DER of AlgorithmIdentifiers, as RFC 7427 Appendix A has them.
pub mod algorithm_id {
    /// sha1WithRSAEncryption.
    pub const RSA_SHA1: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00";
    /// sha256WithRSAEncryption.
    pub const RSA_SHA2_256: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00";
    /// sha384WithRSAEncryption.
    pub const RSA_SHA2_384: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00";
    /// sha512WithRSAEncryption.
    pub const RSA_SHA2_512: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00";
    /// RSASSA-PSS with SHA2-256 in both places and 32 octets of salt.
    pub const RSA_PSS_SHA2_256: &[u8] = PSS_256;
    /// RSASSA-PSS with SHA2-384 in both places and 48 octets of salt.
    pub const RSA_PSS_SHA2_384: &[u8] = PSS_384;
    /// RSASSA-PSS with SHA2-512 in both places and 64 octets of salt.
    pub const RSA_PSS_SHA2_512: &[u8] = PSS_512;
    /// ecdsa-with-SHA256.
    pub const ECDSA_SHA2_256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    /// ecdsa-with-SHA384.
    pub const ECDSA_SHA2_384: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03";
    /// ecdsa-with-SHA512.
    pub const ECDSA_SHA2_512: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04";
    /// id-Ed25519 (RFC 8410 §3).
    pub const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

    /// id-Ed448 (RFC 8410 §3).
    pub const ED448: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x71";
    /// id-ml-dsa-44 (RFC 9881 §2).
    pub const ML_DSA_44: &[u8] = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11";
    /// id-ml-dsa-65 (RFC 9881 §2).
    pub const ML_DSA_65: &[u8] = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12";
    /// id-ml-dsa-87 (RFC 9881 §2).
    pub const ML_DSA_87: &[u8] = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x13";

    const PSS_256: &[u8; 72] = &pss(1, 32);
    const PSS_384: &[u8; 72] = &pss(2, 48);
    const PSS_512: &[u8; 72] = &pss(3, 64);

    /// The example of RFC 7427 §A.4.3 with another hash of the family and another length of salt.
    const fn pss(hash: u8, salt: u8) -> [u8; 72] {
        let mut der = *b"\x30\x46\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x39\xa0\
            \x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
            \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\
            \x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\xa2\x03\
            \x02\x01\x20\xa3\x03\x02\x01\x01";
        der[29] = hash;
        der[59] = hash;
        der[66] = salt;
        der
    }
}

#[cfg(test)]
mod tests {
    use super::algorithm_id;
    use alloc::vec::Vec;

    /// RSASSA-PSS-params of RFC 8017 §A.2.3, written out: id-sha256, -384 and -512 end in 1, 2 and 3, and the salt is as
    /// long as the hash. Those of SHA2-256 are the example of RFC 7427 §A.4.3.
    #[test]
    fn parameters_of_pss() {
        let parameters = |hash: &str, salt: &str| {
            let sha = ["300d06096086480165030402", hash, "0500"].concat();
            let text = [
                "304606092a864886f70d01010a3039",
                "a00f",
                &sha,
                "a11c301a06092a864886f70d010108",
                &sha,
                "a2030201",
                salt,
                "a303020101",
            ];
            hex::decode(text.concat()).expect("hex")
        };
        let expected: Vec<_> =
            [("01", "20"), ("02", "30"), ("03", "40")].map(|(hash, salt)| parameters(hash, salt)).into();
        let ours =
            [algorithm_id::RSA_PSS_SHA2_256, algorithm_id::RSA_PSS_SHA2_384, algorithm_id::RSA_PSS_SHA2_512];
        assert_eq!(ours.to_vec(), expected);
    }
}
