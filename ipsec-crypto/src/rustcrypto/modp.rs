//! Key exchange modulo a prime (RFC 3526), with constant-time exponentiation and short exponents.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{
    U320, U448, U512, U576, U640, U2048, U3072, U4096, U6144, U8192, Uint, Word, const_monty_params,
};
use ipsec_wire::ike::KeId;
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{ActiveKeyExchange, CryptoError, KeyExchangeMethod, PeerPublicError, Secret};

mod primes;
#[cfg(feature = "legacy")]
pub(super) mod retired;

use primes::{PRIME_2048, PRIME_3072, PRIME_4096, PRIME_6144, PRIME_8192};

const_monty_params!(Prime2048, U2048, PRIME_2048);
const_monty_params!(Prime3072, U3072, PRIME_3072);
const_monty_params!(Prime4096, U4096, PRIME_4096);
const_monty_params!(Prime6144, U6144, PRIME_6144);
const_monty_params!(Prime8192, U8192, PRIME_8192);

/// Raises to a power modulo the prime; see [`power`].
pub(super) type PowerFn = fn(base: &[u8], exponent: &[u8], out: &mut [u8]) -> Result<(), PeerPublicError>;

/// A MODP group.
#[derive(Clone, Copy)]
pub(super) struct Modp {
    pub(super) id: KeId,
    pub(super) name: &'static str,
    /// Octets of the modulus, of every public value and of the shared secret.
    pub(super) len: usize,
    /// Octets of the private exponent: the larger of RFC 3526 §8's two estimates, which is twice the strength, in
    /// whole words.
    pub(super) exponent_len: usize,
    /// The generator, leading zeros left out.
    pub(super) generator: &'static [u8],
    /// The order of the generator's subgroup as long as an exponent, where a peer's value must be tested for it
    /// (RFC 6989 §2.2). Empty for safe primes.
    pub(super) order: &'static [u8],
    pub(super) power: PowerFn,
}

pub(super) static MODP_2048: Modp = SAFE_PRIME;

const SAFE_PRIME: Modp = Modp {
    id: KeId::MODP_2048,
    name: "modp-2048",
    len: 256,
    exponent_len: 40,
    generator: &[2],
    order: &[],
    power: power::<Prime2048, { U2048::LIMBS }, { U320::LIMBS }>,
};

pub(super) static MODP_3072: Modp = Modp {
    id: KeId::MODP_3072,
    name: "modp-3072",
    len: 384,
    exponent_len: 56,
    power: power::<Prime3072, { U3072::LIMBS }, { U448::LIMBS }>,
    ..SAFE_PRIME
};

pub(super) static MODP_4096: Modp = Modp {
    id: KeId::MODP_4096,
    name: "modp-4096",
    len: 512,
    exponent_len: 64,
    power: power::<Prime4096, { U4096::LIMBS }, { U512::LIMBS }>,
    ..SAFE_PRIME
};

pub(super) static MODP_6144: Modp = Modp {
    id: KeId::MODP_6144,
    name: "modp-6144",
    len: 768,
    exponent_len: 72,
    power: power::<Prime6144, { U6144::LIMBS }, { U576::LIMBS }>,
    ..SAFE_PRIME
};

pub(super) static MODP_8192: Modp = Modp {
    id: KeId::MODP_8192,
    name: "modp-8192",
    len: 1024,
    exponent_len: 80,
    power: power::<Prime8192, { U8192::LIMBS }, { U640::LIMBS }>,
    ..SAFE_PRIME
};

impl fmt::Debug for Modp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl KeyExchangeMethod for Modp {
    fn id(&self) -> KeId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn initiator_len(&self) -> usize {
        self.len
    }
    fn responder_len(&self) -> usize {
        self.len
    }
    fn start(&self, rng: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        Ok(Box::new(Active::new(*self, self.draw(rng))?))
    }
    fn respond(&self, peer: &[u8], rng: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError> {
        // The peer's value first: a bad one then costs one exponentiation at most.
        let exponent = self.draw(rng);
        let shared = self.shared(peer, &exponent)?;
        let active = Active::new(*self, exponent)?;
        Ok((active.public, shared))
    }
    fn resume(&self, private: &Secret) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        if private.len() != self.exponent_len {
            return Err(CryptoError::KeyLength { actual: private.len() });
        }
        Ok(Box::new(Active::new(*self, private.duplicate())?))
    }
}

impl Modp {
    fn draw(&self, rng: &mut dyn CryptoRng) -> Secret {
        let mut exponent = Secret::zeroed(self.exponent_len);
        rng.fill_bytes(exponent.expose_mut());
        // The top bit keeps the exponent out of the small values that a broken generator would give.
        if let Some(first) = exponent.expose_mut().first_mut() {
            *first |= 0x80;
        }
        exponent
    }

    fn shared(&self, peer: &[u8], exponent: &Secret) -> Result<Secret, CryptoError> {
        if peer.len() != self.len {
            let wrong = PeerPublicError::Length { actual: peer.len(), expected: self.len };
            return Err(CryptoError::PeerPublic(wrong));
        }
        // RFC 7296 §2.14: the secret is padded with leading zeros to the length of the modulus.
        let mut shared = Secret::zeroed(self.len);
        if !self.order.is_empty() {
            let mut one = vec![0; self.len];
            (self.power)(peer, self.order, &mut one).map_err(CryptoError::PeerPublic)?;
            if one.split_last().is_none_or(|(last, rest)| *last != 1 || rest.iter().any(|&octet| octet != 0))
            {
                return Err(CryptoError::PeerPublic(PeerPublicError::Subgroup));
            }
        }
        (self.power)(peer, exponent.expose(), shared.expose_mut()).map_err(CryptoError::PeerPublic)?;
        Ok(shared)
    }
}

struct Active {
    group: Modp,
    exponent: Secret,
    public: Vec<u8>,
}

impl Active {
    fn new(group: Modp, exponent: Secret) -> Result<Self, CryptoError> {
        let mut generator = vec![0; group.len];
        for (slot, octet) in generator.iter_mut().rev().zip(group.generator.iter().rev()) {
            *slot = *octet;
        }
        let mut public = vec![0; group.len];
        (group.power)(&generator, exponent.expose(), &mut public).map_err(CryptoError::PeerPublic)?;
        Ok(Self { group, exponent, public })
    }
}

impl ActiveKeyExchange for Active {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError> {
        self.group.shared(peer, &self.exponent)
    }
    fn export(&self) -> Option<Secret> {
        Some(self.exponent.duplicate())
    }
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exchange (..)", self.group.name)
    }
}

/// `base` to the power of `exponent`, big-endian and padded to `out`. `base` must be as long as the modulus and lie
/// strictly between 1 and p-1 (RFC 6989 §2.1). Constant time in the value of the exponent.
pub(super) fn power<P, const LIMBS: usize, const EXPONENT_LIMBS: usize>(
    base: &[u8],
    exponent: &[u8],
    out: &mut [u8],
) -> Result<(), PeerPublicError>
where
    P: ConstMontyParams<LIMBS>,
{
    let expected = Uint::<LIMBS>::BYTES;
    for actual in [base.len(), out.len()] {
        if actual != expected {
            return Err(PeerPublicError::Length { actual, expected });
        }
    }
    if exponent.len() != Uint::<EXPONENT_LIMBS>::BYTES {
        return Err(PeerPublicError::Encoding);
    }
    let base = Uint::<LIMBS>::from_be_slice(base);
    let greatest = P::PARAMS.modulus().wrapping_sub(&Uint::ONE);
    if base <= Uint::ONE || base >= greatest {
        return Err(PeerPublicError::Range);
    }
    let mut exponent = Uint::<EXPONENT_LIMBS>::from_be_slice(exponent);
    let mut power = ConstMontyForm::<P, LIMBS>::new(&base).pow(&exponent);
    let mut result = power.retrieve();
    for (octets, word) in out.rchunks_exact_mut(size_of::<Word>()).zip(result.as_words()) {
        octets.copy_from_slice(&word.to_be_bytes());
    }
    exponent.zeroize();
    power.zeroize();
    result.zeroize();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_bigint::{Limb, NonZero};

    /// Octets below the binary point beyond those that RFC 3526 asks for, against rounding of the series.
    const GUARD_BITS: u32 = 64;

    /// arctan(1/n) with `places` bits below the point, by its series.
    fn arctan_of_inverse<const LIMBS: usize>(n: u8, places: u32) -> Uint<LIMBS> {
        let by = |value: Uint<LIMBS>, divisor: u32| {
            value.div_rem_limb(NonZero::new(Limb::from_u32(divisor)).expect("not zero")).0
        };
        let mut power = by(Uint::ONE.shl_vartime(places), u32::from(n));
        let (mut sum, mut odd) = (power, 1);
        while power != Uint::ZERO {
            odd += 2;
            power = by(power, u32::from(n) * u32::from(n));
            let term = by(power, odd);
            sum = if odd % 4 == 3 { sum.wrapping_sub(&term) } else { sum.wrapping_add(&term) };
        }
        sum
    }

    /// The prime from its definition, 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + k), with Machin's formula.
    fn defined<P: ConstMontyParams<LIMBS>, const LIMBS: usize>(k: u32) {
        let bits = Uint::<LIMBS>::BITS;
        let places = bits - 130 + GUARD_BITS;
        let (five, many) = (arctan_of_inverse::<LIMBS>(5, places), arctan_of_inverse::<LIMBS>(239, places));
        let pi = five.shl_vartime(4).wrapping_sub(&many.shl_vartime(2));
        let part = pi.shr_vartime(GUARD_BITS).wrapping_add(&Uint::from_u32(k)).shl_vartime(64);
        // 2^n is 0 in this arithmetic.
        let prime = part.wrapping_sub(&Uint::ONE.shl_vartime(bits - 64)).wrapping_sub(&Uint::ONE);
        assert_eq!(prime, *P::PARAMS.modulus().as_ref());
    }

    #[test]
    fn primes_are_those_that_rfc_3526_defines() {
        defined::<Prime2048, { U2048::LIMBS }>(124_476);
        defined::<Prime3072, { U3072::LIMBS }>(1_690_314);
        defined::<Prime4096, { U4096::LIMBS }>(240_904);
        defined::<Prime6144, { U6144::LIMBS }>(929_484);
        defined::<Prime8192, { U8192::LIMBS }>(4_743_158);
    }

    /// Any exponent of up to 320 bits, 2^x below the modulus: the result is a shift.
    #[test]
    fn small_powers_of_two_are_shifts() {
        for bits in [1u32, 2, 63, 64, 65, 1000, 2047] {
            let (mut base, mut exponent, mut out) = ([0; 256], [0; 40], [0; 256]);
            base[255] = 2;
            exponent[36..].copy_from_slice(&bits.to_be_bytes());
            power::<Prime2048, { U2048::LIMBS }, { U320::LIMBS }>(&base, &exponent, &mut out).unwrap();
            assert_eq!(U2048::from_be_slice(&out), U2048::ONE.shl_vartime(bits));
        }
    }
}
