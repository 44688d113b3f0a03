//! Key exchange over curve25519 and, behind its feature, curve448 (RFC 8031 §3, RFC 7748 §6).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use ipsec_wire::ike::KeId;
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{ActiveKeyExchange, CryptoError, KeyExchangeMethod, PeerPublicError, Secret};

/// A row over a curve.
pub(super) struct Montgomery<C>(PhantomData<fn() -> C>);

pub(super) static CURVE25519: Montgomery<Curve25519> = Montgomery(PhantomData);
#[cfg(feature = "curve448")]
pub(super) static CURVE448: Montgomery<Curve448> = Montgomery(PhantomData);

/// What the crate of a curve computes. Private values, public values and secrets have one length.
pub(super) trait Curve: 'static {
    const ID: KeId;
    const NAME: &'static str;
    const LEN: usize;
    type Private: Send + Sync;

    fn draw(rng: &mut dyn CryptoRng) -> Self::Private;
    /// `None` for octets of another length.
    fn private(octets: &[u8]) -> Option<Self::Private>;
    fn octets(private: &Self::Private) -> &[u8];
    fn public(private: &Self::Private) -> Vec<u8>;
    /// What is shared with a public value of the right length; `None` where that is all zeros.
    fn shared(private: &Self::Private, peer: &[u8]) -> Option<Secret>;
}

pub(super) struct Curve25519;

impl Curve for Curve25519 {
    const ID: KeId = KeId::CURVE25519;
    const NAME: &'static str = "curve25519";
    const LEN: usize = 32;
    type Private = x25519_dalek::StaticSecret;

    fn draw(rng: &mut dyn CryptoRng) -> Self::Private {
        x25519_dalek::StaticSecret::random_from_rng(rng)
    }
    fn private(octets: &[u8]) -> Option<Self::Private> {
        let mut scalar: [u8; 32] = octets.try_into().ok()?;
        let private = x25519_dalek::StaticSecret::from(scalar);
        scalar.zeroize();
        Some(private)
    }
    fn octets(private: &Self::Private) -> &[u8] {
        private.as_bytes()
    }
    fn public(private: &Self::Private) -> Vec<u8> {
        x25519_dalek::PublicKey::from(private).as_bytes().to_vec()
    }
    fn shared(private: &Self::Private, peer: &[u8]) -> Option<Secret> {
        let peer = x25519_dalek::PublicKey::from(<[u8; 32]>::try_from(peer).ok()?);
        let shared = private.diffie_hellman(&peer);
        shared.was_contributory().then(|| Secret::new(shared.as_bytes()))
    }
}

#[cfg(feature = "curve448")]
pub(super) struct Curve448;

#[cfg(feature = "curve448")]
impl Curve for Curve448 {
    const ID: KeId = KeId::CURVE448;
    const NAME: &'static str = "curve448";
    const LEN: usize = 56;
    type Private = x448::StaticSecret;

    fn draw(rng: &mut dyn CryptoRng) -> Self::Private {
        x448::StaticSecret::random_from_rng(rng)
    }
    fn private(octets: &[u8]) -> Option<Self::Private> {
        let mut scalar: [u8; 56] = octets.try_into().ok()?;
        let private = x448::StaticSecret::from(scalar);
        scalar.zeroize();
        Some(private)
    }
    fn octets(private: &Self::Private) -> &[u8] {
        private.as_bytes()
    }
    fn public(private: &Self::Private) -> Vec<u8> {
        x448::PublicKey::from(private).as_bytes().to_vec()
    }
    fn shared(private: &Self::Private, peer: &[u8]) -> Option<Secret> {
        // What lies on the twist or in a small group shows in the result.
        let shared = private.diffie_hellman(&x448::PublicKey::from_bytes_unchecked(peer)?);
        let nothing: bool = subtle::ConstantTimeEq::ct_eq(shared.as_bytes().as_slice(), &[0; 56]).into();
        (!nothing).then(|| Secret::new(shared.as_bytes()))
    }
}

impl<C: Curve> fmt::Debug for Montgomery<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(C::NAME)
    }
}

impl<C: Curve> KeyExchangeMethod for Montgomery<C> {
    fn id(&self) -> KeId {
        C::ID
    }
    fn name(&self) -> &'static str {
        C::NAME
    }
    fn initiator_len(&self) -> usize {
        C::LEN
    }
    fn responder_len(&self) -> usize {
        C::LEN
    }
    fn start(&self, rng: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        Ok(Box::new(Active::<C>::new(C::draw(rng))))
    }
    fn respond(&self, peer: &[u8], rng: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError> {
        // The length costs nothing to look at; the two multiplications do.
        length::<C>(peer)?;
        let active = Active::<C>::new(C::draw(rng));
        let shared = active.complete(peer)?;
        Ok((active.public, shared))
    }
    fn resume(&self, private: &Secret) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let refused = CryptoError::KeyLength { actual: private.len() };
        Ok(Box::new(Active::<C>::new(C::private(private.expose()).ok_or(refused)?)))
    }
}

struct Active<C: Curve> {
    private: C::Private,
    public: Vec<u8>,
}

impl<C: Curve> Active<C> {
    fn new(private: C::Private) -> Self {
        let public = C::public(&private);
        Self { private, public }
    }
}

impl<C: Curve> ActiveKeyExchange for Active<C> {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError> {
        length::<C>(peer)?;
        // RFC 8031 §3.1 leaves the check to RFC 7748 §6: an all-zero result tells a point of small order.
        let refused = CryptoError::PeerPublic(PeerPublicError::SmallOrder);
        C::shared(&self.private, peer).ok_or(refused)
    }
    fn export(&self) -> Option<Secret> {
        Some(Secret::new(C::octets(&self.private)))
    }
}

impl<C: Curve> fmt::Debug for Active<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exchange (..)", C::NAME)
    }
}

fn length<C: Curve>(peer: &[u8]) -> Result<(), CryptoError> {
    let (actual, expected) = (peer.len(), C::LEN);
    let wrong = CryptoError::PeerPublic(PeerPublicError::Length { actual, expected });
    if actual == expected { Ok(()) } else { Err(wrong) }
}
