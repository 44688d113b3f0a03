//! ML-KEM (FIPS 203) as a key exchange: the initiator sends an encapsulation key, the responder a ciphertext.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use ipsec_wire::ike::KeId;
use ml_kem::kem::{
    Ciphertext, Decapsulate, Decapsulator, Encapsulate, Kem, Key, KeyExport, KeyInit, KeySizeUser, TryKeyInit,
};
use ml_kem::{MlKem512, MlKem768, MlKem1024};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{ActiveKeyExchange, CryptoError, KeyExchangeMethod, PeerPublicError, Secret};

pub(super) struct MlKem<K> {
    id: KeId,
    name: &'static str,
    initiator_len: usize,
    responder_len: usize,
    kem: PhantomData<fn() -> K>,
}

pub(super) static ML_KEM_512: MlKem<MlKem512> = MlKem {
    id: KeId::ML_KEM_512,
    name: "ml-kem-512",
    initiator_len: 800,
    responder_len: 768,
    kem: PhantomData,
};

pub(super) static ML_KEM_768: MlKem<MlKem768> = MlKem {
    id: KeId::ML_KEM_768,
    name: "ml-kem-768",
    initiator_len: 1184,
    responder_len: 1088,
    kem: PhantomData,
};

pub(super) static ML_KEM_1024: MlKem<MlKem1024> = MlKem {
    id: KeId::ML_KEM_1024,
    name: "ml-kem-1024",
    initiator_len: 1568,
    responder_len: 1568,
    kem: PhantomData,
};

/// The three parameter sets.
pub(super) trait ParameterSet:
    Kem<
        DecapsulationKey: KeyInit + Decapsulate<Kem = Self> + Decapsulator<Kem = Self> + Send + Sync,
        EncapsulationKey: Encapsulate<Kem = Self> + TryKeyInit + KeyExport,
    >
{
}
impl ParameterSet for MlKem512 {}
impl ParameterSet for MlKem768 {}
impl ParameterSet for MlKem1024 {}

impl<K> fmt::Debug for MlKem<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<K: ParameterSet> KeyExchangeMethod for MlKem<K> {
    fn id(&self) -> KeId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn initiator_len(&self) -> usize {
        self.initiator_len
    }
    fn responder_len(&self) -> usize {
        self.responder_len
    }
    fn start(&self, rng: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let mut seed = Secret::zeroed(seed_len::<K>());
        rng.fill_bytes(seed.expose_mut());
        self.resume(&seed)
    }
    fn respond(&self, peer: &[u8], rng: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError> {
        let expected = self.initiator_len;
        let wrong_length = PeerPublicError::Length { actual: peer.len(), expected };
        let key: &Key<K::EncapsulationKey> =
            peer.try_into().map_err(|_| CryptoError::PeerPublic(wrong_length))?;
        // FIPS 203 §7.2: every coefficient below the modulus.
        let key = <K::EncapsulationKey as TryKeyInit>::new(key)
            .map_err(|_| CryptoError::PeerPublic(PeerPublicError::Encoding))?;
        let (ciphertext, mut shared) = key.encapsulate_with_rng(rng);
        let secret = Secret::new(&shared);
        shared.zeroize();
        Ok((ciphertext.to_vec(), secret))
    }
    fn resume(&self, private: &Secret) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let wrong_length = CryptoError::KeyLength { actual: private.len() };
        let seed = private.expose().try_into().map_err(|_| wrong_length)?;
        let key = <K::DecapsulationKey as KeyInit>::new(seed);
        let public = key.encapsulation_key().to_bytes().to_vec();
        Ok(Box::new(Active::<K> { key, public, seed: private.duplicate() }))
    }
}

/// Octets of the seed that the key pair is made from (FIPS 203 §7.1: d and z).
fn seed_len<K: ParameterSet>() -> usize {
    <K::DecapsulationKey as KeySizeUser>::key_size()
}

struct Active<K: ParameterSet> {
    key: K::DecapsulationKey,
    public: Vec<u8>,
    seed: Secret,
}

impl<K: ParameterSet> ActiveKeyExchange for Active<K> {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError> {
        // FIPS 203 §7.3: the length is all there is to check; a forged ciphertext gives a secret of nobody's.
        let expected = Ciphertext::<K>::default().len();
        let ciphertext: &Ciphertext<K> = peer
            .try_into()
            .map_err(|_| CryptoError::PeerPublic(PeerPublicError::Length { actual: peer.len(), expected }))?;
        let mut shared = self.key.decapsulate(ciphertext);
        let secret = Secret::new(&shared);
        shared.zeroize();
        Ok(secret)
    }
    fn export(&self) -> Option<Secret> {
        Some(self.seed.duplicate())
    }
}

impl<K: ParameterSet> fmt::Debug for Active<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ML-KEM exchange (..)")
    }
}
