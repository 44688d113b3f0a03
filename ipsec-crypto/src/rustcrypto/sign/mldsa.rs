//! ML-DSA (FIPS 204), the pure form with an empty context: it signs the message itself, so that its hash among IKE's
//! hash algorithms is Identity (RFC 7427, RFC 8420 §2). Keys are those of RFC 9881.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use ml_dsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, SigningKey, VerifyingKey};
use rand_core::CryptoRng;

use crate::{CryptoError, SignatureVerifier, Signer, Status, algorithm_id};

/// A parameter set under its names.
pub(in super::super) struct MlDsa<P> {
    algorithm: &'static [u8],
    name: &'static str,
    set: PhantomData<fn() -> P>,
}

pub(in super::super) static ML_DSA_44: MlDsa<MlDsa44> =
    MlDsa { algorithm: algorithm_id::ML_DSA_44, name: "ml-dsa-44", set: PhantomData };

pub(in super::super) static ML_DSA_65: MlDsa<MlDsa65> =
    MlDsa { algorithm: algorithm_id::ML_DSA_65, name: "ml-dsa-65", set: PhantomData };

pub(in super::super) static ML_DSA_87: MlDsa<MlDsa87> =
    MlDsa { algorithm: algorithm_id::ML_DSA_87, name: "ml-dsa-87", set: PhantomData };

impl<P> fmt::Debug for MlDsa<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<P: MlDsaParams> SignatureVerifier for MlDsa<P>
where
    VerifyingKey<P>: DecodePublicKey,
{
    fn algorithm(&self) -> &'static [u8] {
        self.algorithm
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn status(&self) -> Status {
        Status::May
    }
    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let key = VerifyingKey::<P>::from_public_key_der(spki)
            .map_err(|_| CryptoError::KeyLength { actual: spki.len() })?;
        let signature = Signature::<P>::try_from(signature).map_err(|_| CryptoError::Mismatch)?;
        if key.verify_with_context(message, &[], &signature) { Ok(()) } else { Err(CryptoError::Mismatch) }
    }
}

/// A private key out of PKCS#8, where it is one; the document holds the seed (RFC 9881 §6).
pub(super) fn signer(der: &[u8]) -> Option<Box<dyn Signer>> {
    read(&ML_DSA_65, der).or_else(|| read(&ML_DSA_87, der)).or_else(|| read(&ML_DSA_44, der))
}

fn read<P: MlDsaParams>(set: &MlDsa<P>, der: &[u8]) -> Option<Box<dyn Signer>>
where
    SigningKey<P>: DecodePrivateKey + Send + Sync + 'static,
{
    let key = SigningKey::<P>::from_pkcs8_der(der).ok()?;
    Some(Box::new(Key { key, algorithms: [set.algorithm] }))
}

struct Key<P: MlDsaParams> {
    key: SigningKey<P>,
    algorithms: [&'static [u8]; 1],
}

impl<P: MlDsaParams> Signer for Key<P>
where
    SigningKey<P>: Send + Sync,
{
    fn algorithms(&self) -> &[&'static [u8]] {
        &self.algorithms
    }
    fn sign(
        &self,
        algorithm: &[u8],
        message: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(CryptoError::Unsupported);
        }
        // FIPS 204 §3.4: hedged, with fresh octets beside those that follow from key and message.
        let signature = self.key.expanded_key().sign_randomized(message, &[], rng);
        Ok(signature.map_err(|_| CryptoError::Randomness)?.encode().to_vec())
    }
}

impl<P: MlDsaParams> fmt::Debug for Key<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ML-DSA key (..)")
    }
}
