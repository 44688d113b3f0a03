//! Verification of ECDSA, Ed25519, ML-DSA and RSA.

use core::fmt;

use aws_lc_rs::signature::{self as lc, ParsedPublicKey, VerificationAlgorithm};
use ipsec_crypto::{CryptoError, SignatureVerifier, Status, algorithm_id};
use ipsec_wire::ike::AuthMethod;

/// A verification row. Of several algorithms the first is used under which the key parses.
#[derive(Clone, Copy)]
pub(crate) struct Verifier {
    algorithm: &'static [u8],
    method: AuthMethod,
    name: &'static str,
    status: Status,
    tried: &'static [&'static dyn VerificationAlgorithm],
}

const fn digital(
    algorithm: &'static [u8],
    name: &'static str,
    status: Status,
    tried: &'static [&'static dyn VerificationAlgorithm],
) -> Verifier {
    Verifier { algorithm, method: AuthMethod::DIGITAL_SIGNATURE, name, status, tried }
}

pub(crate) static ECDSA_SHA2_256: Verifier = digital(
    algorithm_id::ECDSA_SHA2_256,
    "ecdsa-sha2-256",
    Status::Should,
    &[&lc::ECDSA_P256_SHA256_ASN1, &lc::ECDSA_P384_SHA256_ASN1, &lc::ECDSA_P521_SHA256_ASN1],
);

pub(crate) static ECDSA_SHA2_384: Verifier = digital(
    algorithm_id::ECDSA_SHA2_384,
    "ecdsa-sha2-384",
    Status::Should,
    &[&lc::ECDSA_P384_SHA384_ASN1, &lc::ECDSA_P256_SHA384_ASN1, &lc::ECDSA_P521_SHA384_ASN1],
);

pub(crate) static ECDSA_SHA2_512: Verifier = digital(
    algorithm_id::ECDSA_SHA2_512,
    "ecdsa-sha2-512",
    Status::Should,
    &[&lc::ECDSA_P521_SHA512_ASN1, &lc::ECDSA_P384_SHA512_ASN1, &lc::ECDSA_P256_SHA512_ASN1],
);

pub(crate) static ECDSA_256: Verifier = Verifier {
    algorithm: algorithm_id::ECDSA_SHA2_256,
    method: AuthMethod::ECDSA_256,
    name: "ecdsa-256",
    status: Status::Should,
    tried: &[&lc::ECDSA_P256_SHA256_FIXED],
};

pub(crate) static ECDSA_384: Verifier = Verifier {
    algorithm: algorithm_id::ECDSA_SHA2_384,
    method: AuthMethod::ECDSA_384,
    name: "ecdsa-384",
    status: Status::Should,
    tried: &[&lc::ECDSA_P384_SHA384_FIXED],
};

pub(crate) static ECDSA_521: Verifier = Verifier {
    algorithm: algorithm_id::ECDSA_SHA2_512,
    method: AuthMethod::ECDSA_521,
    name: "ecdsa-521",
    status: Status::Should,
    tried: &[&lc::ECDSA_P521_SHA512_FIXED],
};

pub(crate) static ED25519: Verifier = digital(algorithm_id::ED25519, "ed25519", Status::May, &[&lc::ED25519]);

pub(crate) static ML_DSA_44: Verifier =
    digital(algorithm_id::ML_DSA_44, "ml-dsa-44", Status::May, &[&lc::ML_DSA_44]);

pub(crate) static ML_DSA_65: Verifier =
    digital(algorithm_id::ML_DSA_65, "ml-dsa-65", Status::May, &[&lc::ML_DSA_65]);

pub(crate) static ML_DSA_87: Verifier =
    digital(algorithm_id::ML_DSA_87, "ml-dsa-87", Status::May, &[&lc::ML_DSA_87]);

pub(crate) static RSA_PSS_SHA2_256: Verifier = digital(
    algorithm_id::RSA_PSS_SHA2_256,
    "rsa-pss-sha2-256",
    Status::Must,
    &[&lc::RSA_PSS_2048_8192_SHA256],
);

pub(crate) static RSA_PSS_SHA2_384: Verifier = digital(
    algorithm_id::RSA_PSS_SHA2_384,
    "rsa-pss-sha2-384",
    Status::May,
    &[&lc::RSA_PSS_2048_8192_SHA384],
);

pub(crate) static RSA_PSS_SHA2_512: Verifier = digital(
    algorithm_id::RSA_PSS_SHA2_512,
    "rsa-pss-sha2-512",
    Status::May,
    &[&lc::RSA_PSS_2048_8192_SHA512],
);

pub(crate) static RSA_SHA2_256: Verifier =
    digital(algorithm_id::RSA_SHA2_256, "rsa-sha2-256", Status::May, &[&lc::RSA_PKCS1_2048_8192_SHA256]);

pub(crate) static RSA_SHA2_384: Verifier =
    digital(algorithm_id::RSA_SHA2_384, "rsa-sha2-384", Status::May, &[&lc::RSA_PKCS1_2048_8192_SHA384]);

pub(crate) static RSA_SHA2_512: Verifier =
    digital(algorithm_id::RSA_SHA2_512, "rsa-sha2-512", Status::May, &[&lc::RSA_PKCS1_2048_8192_SHA512]);

/// The method that IKEv2 began with.
pub(crate) static RSA_SIGNATURE: Verifier = Verifier {
    algorithm: algorithm_id::RSA_SHA1,
    method: AuthMethod::RSA_SIGNATURE,
    name: "rsa-sha1",
    status: Status::Must,
    tried: &[&lc::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY],
};

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl SignatureVerifier for Verifier {
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
        let mut parsed = self.tried.iter().map(|algorithm| ParsedPublicKey::new(*algorithm, spki));
        let key = parsed.find_map(Result::ok).ok_or(CryptoError::KeyLength { actual: spki.len() })?;
        key.verify_sig(message, signature).map_err(|_| CryptoError::Mismatch)
    }
}
