//! X25519 (RFC 8031), the NIST curves (RFC 5903) and ML-KEM (FIPS 203).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::kem::{self, DecapsulationKey, EncapsulationKey};
use ipsec_crypto::{ActiveKeyExchange, CryptoError, KeyExchangeMethod, PeerPublicError, Secret};
use ipsec_wire::ike::KeId;
use rand_core::CryptoRng;

/// Draws before a generator counts as broken.
const DRAWS: usize = 16;

/// A curve.
#[derive(Clone, Copy)]
pub(crate) struct Curve {
    id: KeId,
    name: &'static str,
    private_len: usize,
    public_len: usize,
    /// What SEC1 puts in front of a point, which IKE leaves out.
    mark: &'static [u8],
    /// What the first octet of a private value can have set.
    top: u8,
    refusal: PeerPublicError,
    algorithm: &'static agreement::Algorithm,
}

pub(crate) static CURVE25519: Curve = Curve {
    id: KeId::CURVE25519,
    name: "curve25519",
    private_len: 32,
    public_len: 32,
    mark: &[],
    top: 0xff,
    refusal: PeerPublicError::SmallOrder,
    algorithm: &agreement::X25519,
};

pub(crate) static ECP_256: Curve = Curve {
    id: KeId::ECP_256,
    name: "ecp-256",
    private_len: 32,
    public_len: 64,
    mark: &[4],
    top: 0xff,
    refusal: PeerPublicError::NotOnCurve,
    algorithm: &agreement::ECDH_P256,
};

pub(crate) static ECP_384: Curve = Curve {
    id: KeId::ECP_384,
    name: "ecp-384",
    private_len: 48,
    public_len: 96,
    mark: &[4],
    top: 0xff,
    refusal: PeerPublicError::NotOnCurve,
    algorithm: &agreement::ECDH_P384,
};

pub(crate) static ECP_521: Curve = Curve {
    id: KeId::ECP_521,
    name: "ecp-521",
    private_len: 66,
    public_len: 132,
    mark: &[4],
    top: 0x01,
    refusal: PeerPublicError::NotOnCurve,
    algorithm: &agreement::ECDH_P521,
};

impl fmt::Debug for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn length(actual: usize, expected: usize) -> Result<(), CryptoError> {
    if actual == expected {
        return Ok(());
    }
    Err(CryptoError::PeerPublic(PeerPublicError::Length { actual, expected }))
}

impl KeyExchangeMethod for Curve {
    fn id(&self) -> KeId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn initiator_len(&self) -> usize {
        self.public_len
    }
    fn responder_len(&self) -> usize {
        self.public_len
    }
    fn start(&self, rng: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        Ok(Box::new(self.draw(rng)?))
    }
    fn respond(&self, peer: &[u8], rng: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError> {
        length(peer.len(), self.public_len)?;
        let active = self.draw(rng)?;
        let shared = active.complete(peer)?;
        Ok((active.public, shared))
    }
    fn resume(&self, private: &Secret) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        Ok(Box::new(self.active(private.duplicate())?))
    }
}

impl Curve {
    /// A private value by rejection.
    fn draw(&self, rng: &mut dyn CryptoRng) -> Result<Active, CryptoError> {
        for _ in 0..DRAWS {
            let mut private = Secret::zeroed(self.private_len);
            rng.fill_bytes(private.expose_mut());
            if let Some(first) = private.expose_mut().first_mut() {
                *first &= self.top;
            }
            if let Ok(active) = self.active(private) {
                return Ok(active);
            }
        }
        Err(CryptoError::Randomness)
    }

    fn active(&self, private: Secret) -> Result<Active, CryptoError> {
        let refused = CryptoError::KeyLength { actual: private.len() };
        let key = PrivateKey::from_private_key(self.algorithm, private.expose()).map_err(|_| refused)?;
        let public = key.compute_public_key().map_err(|_| refused)?;
        let public = public.as_ref().strip_prefix(self.mark).ok_or(refused)?.to_vec();
        Ok(Active { curve: *self, key, private, public })
    }
}

struct Active {
    curve: Curve,
    key: PrivateKey,
    private: Secret,
    public: Vec<u8>,
}

impl ActiveKeyExchange for Active {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError> {
        length(peer.len(), self.curve.public_len)?;
        let mut point = vec![];
        point.extend_from_slice(self.curve.mark);
        point.extend_from_slice(peer);
        // A point off the curve does not parse, one of small order gives zero, which is refused.
        let peer = UnparsedPublicKey::new(self.curve.algorithm, &point);
        let refused = CryptoError::PeerPublic(self.curve.refusal);
        agree(&self.key, peer, refused, |shared| Ok(Secret::new(shared)))
    }
    fn export(&self) -> Option<Secret> {
        Some(self.private.duplicate())
    }
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exchange (..)", self.curve.name)
    }
}

/// A parameter set of ML-KEM. Keys and secrets are drawn from the operating system.
pub(crate) struct MlKem {
    id: KeId,
    name: &'static str,
    initiator_len: usize,
    responder_len: usize,
    algorithm: &'static kem::Algorithm,
}

pub(crate) static ML_KEM_512: MlKem = MlKem {
    id: KeId::ML_KEM_512,
    name: "ml-kem-512",
    initiator_len: 800,
    responder_len: 768,
    algorithm: &kem::ML_KEM_512,
};

pub(crate) static ML_KEM_768: MlKem = MlKem {
    id: KeId::ML_KEM_768,
    name: "ml-kem-768",
    initiator_len: 1184,
    responder_len: 1088,
    algorithm: &kem::ML_KEM_768,
};

pub(crate) static ML_KEM_1024: MlKem = MlKem {
    id: KeId::ML_KEM_1024,
    name: "ml-kem-1024",
    initiator_len: 1568,
    responder_len: 1568,
    algorithm: &kem::ML_KEM_1024,
};

impl fmt::Debug for MlKem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl KeyExchangeMethod for MlKem {
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
    fn deterministic(&self) -> bool {
        false
    }
    fn start(&self, _: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let key = DecapsulationKey::generate(self.algorithm).map_err(|_| CryptoError::Randomness)?;
        let public = key.encapsulation_key().and_then(|key| key.key_bytes());
        let public = public.map_err(|_| CryptoError::Randomness)?.as_ref().to_vec();
        Ok(Box::new(Decapsulation { key, public, responder_len: self.responder_len }))
    }
    fn respond(&self, peer: &[u8], _: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError> {
        length(peer.len(), self.initiator_len)?;
        // FIPS 203 §7.2: every coefficient below the modulus.
        let refused = CryptoError::PeerPublic(PeerPublicError::Encoding);
        let key = EncapsulationKey::new(self.algorithm, peer).map_err(|_| refused)?;
        let (ciphertext, shared) = key.encapsulate().map_err(|_| refused)?;
        Ok((ciphertext.as_ref().to_vec(), Secret::new(shared.as_ref())))
    }
}

struct Decapsulation {
    key: DecapsulationKey,
    public: Vec<u8>,
    responder_len: usize,
}

impl ActiveKeyExchange for Decapsulation {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError> {
        length(peer.len(), self.responder_len)?;
        let shared = self.key.decapsulate(peer.into());
        let shared = shared.map_err(|_| CryptoError::PeerPublic(PeerPublicError::Encoding))?;
        Ok(Secret::new(shared.as_ref()))
    }
}

impl fmt::Debug for Decapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ML-KEM exchange (..)")
    }
}
