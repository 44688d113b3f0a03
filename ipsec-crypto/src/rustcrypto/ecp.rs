//! Key exchange over the NIST prime curves (RFC 5903): KE data is x | y, the secret is x alone (§7). The brainpool curves
//! of the feature `brainpool` do the same (RFC 6954 §2).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use ipsec_wire::ike::KeId;
use p256::NistP256;
use p256::elliptic_curve::array::typenum::Unsigned;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{
    AffinePoint, Curve, CurveArithmetic, FieldBytes, FieldBytesSize, PublicKey, SecretKey,
};
use p384::NistP384;
use p521::NistP521;
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{ActiveKeyExchange, CryptoError, KeyExchangeMethod, PeerPublicError, Secret};

/// SEC1's mark of an uncompressed point, which IKE leaves out.
const UNCOMPRESSED: u8 = 4;
/// Draws before a generator counts as broken. One draw fails with probability 2^-32 on P-256 and less on the others of
/// NIST, but about every second or third time on the brainpool curves, whose orders lie well below the next power of two.
const DRAWS: usize = 64;

pub(super) struct Ecp<C> {
    id: KeId,
    name: &'static str,
    curve: PhantomData<fn() -> C>,
}

pub(super) static ECP_256: Ecp<NistP256> = Ecp { id: KeId::ECP_256, name: "ecp-256", curve: PhantomData };

pub(super) static ECP_384: Ecp<NistP384> = Ecp { id: KeId::ECP_384, name: "ecp-384", curve: PhantomData };

pub(super) static ECP_521: Ecp<NistP521> = Ecp { id: KeId::ECP_521, name: "ecp-521", curve: PhantomData };

#[cfg(feature = "brainpool")]
pub(super) static BRAINPOOL_P256R1: Ecp<bp256::BrainpoolP256r1> =
    Ecp { id: KeId::BRAINPOOL_P256R1, name: "brainpool-p256r1", curve: PhantomData };

#[cfg(feature = "brainpool")]
pub(super) static BRAINPOOL_P384R1: Ecp<bp384::BrainpoolP384r1> =
    Ecp { id: KeId::BRAINPOOL_P384R1, name: "brainpool-p384r1", curve: PhantomData };

/// What the arithmetic has to offer for a curve.
pub(super) trait EcpCurve: CurveArithmetic + fmt::Debug {
    /// What the first octet of a scalar can have set.
    const TOP: u8 = 0xff;
}
impl EcpCurve for NistP256 {}
impl EcpCurve for NistP384 {}
impl EcpCurve for NistP521 {
    const TOP: u8 = 0x01;
}

#[cfg(feature = "brainpool")]
impl EcpCurve for bp256::BrainpoolP256r1 {}
#[cfg(feature = "brainpool")]
impl EcpCurve for bp384::BrainpoolP384r1 {}

impl<C> fmt::Debug for Ecp<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Octets of x, and of y.
const fn coordinate<C: Curve>() -> usize {
    FieldBytesSize::<C>::USIZE
}

impl<C> KeyExchangeMethod for Ecp<C>
where
    C: EcpCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn id(&self) -> KeId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn initiator_len(&self) -> usize {
        2 * coordinate::<C>()
    }
    fn responder_len(&self) -> usize {
        2 * coordinate::<C>()
    }
    fn start(&self, rng: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        Ok(Box::new(Active::<C>::new(draw(rng)?)?))
    }
    fn respond(&self, peer: &[u8], rng: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError> {
        let peer = public_value::<C>(peer)?;
        let active = Active::<C>::new(draw(rng)?)?;
        let shared = active.shared_with(&peer);
        Ok((active.public, shared))
    }
    fn resume(&self, private: &Secret) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let refused = CryptoError::KeyLength { actual: private.len() };
        if private.len() != coordinate::<C>() {
            return Err(refused);
        }
        let private = SecretKey::from_slice(private.expose()).map_err(|_| refused)?;
        Ok(Box::new(Active::<C>::new(private)?))
    }
}

struct Active<C: Curve> {
    private: SecretKey<C>,
    public: Vec<u8>,
}

impl<C> Active<C>
where
    C: EcpCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn new(private: SecretKey<C>) -> Result<Self, CryptoError> {
        let point = private.public_key().to_sec1_point(false);
        // Never taken: a multiple of the generator by a scalar in 1..n is not the point at infinity.
        let public = point.as_bytes().get(1..).ok_or(CryptoError::Randomness)?.to_vec();
        Ok(Self { private, public })
    }

    fn shared_with(&self, peer: &PublicKey<C>) -> Secret {
        Secret::new(self.private.diffie_hellman(peer).raw_secret_bytes())
    }
}

impl<C> ActiveKeyExchange for Active<C>
where
    C: EcpCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError> {
        Ok(self.shared_with(&public_value(peer)?))
    }
    fn export(&self) -> Option<Secret> {
        let mut octets = self.private.to_bytes();
        let secret = Secret::new(&octets);
        octets.zeroize();
        Some(secret)
    }
}

impl<C: Curve> fmt::Debug for Active<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ECP exchange (..)")
    }
}

/// A private value by rejection, so that every scalar is as likely as any other.
fn draw<C: EcpCurve>(rng: &mut dyn CryptoRng) -> Result<SecretKey<C>, CryptoError> {
    for _ in 0..DRAWS {
        let mut octets = FieldBytes::<C>::default();
        rng.fill_bytes(&mut octets);
        if let Some(first) = octets.first_mut() {
            *first &= C::TOP;
        }
        let drawn = SecretKey::from_bytes(&octets);
        octets.zeroize();
        if let Ok(private) = drawn {
            return Ok(private);
        }
    }
    Err(CryptoError::Randomness)
}

/// RFC 6989 §2.3: both coordinates below the modulus, and the point on the curve. The cofactor is 1, so that no
/// further test is needed.
fn public_value<C>(peer: &[u8]) -> Result<PublicKey<C>, CryptoError>
where
    C: EcpCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let expected = 2 * coordinate::<C>();
    if peer.len() != expected {
        return Err(CryptoError::PeerPublic(PeerPublicError::Length { actual: peer.len(), expected }));
    }
    let mut point = vec![UNCOMPRESSED];
    point.extend_from_slice(peer);
    PublicKey::from_sec1_bytes(&point).map_err(|_| CryptoError::PeerPublic(PeerPublicError::NotOnCurve))
}
