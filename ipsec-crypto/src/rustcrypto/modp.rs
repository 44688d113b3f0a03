//! Key exchange modulo a prime (RFC 3526), with constant-time exponentiation and short exponents.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{U320, U2048, Uint, Word, const_monty_params};
use ipsec_wire::ike::KeId;
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{ActiveKeyExchange, CryptoError, KeyExchangeMethod, PeerPublicError, Secret, Status};

/// The prime of RFC 3526 §3.
#[rustfmt::skip]
const PRIME_2048: &str = concat!(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd1", "29024e088a67cc74020bbea63b139b22514a08798e3404dd",
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245", "e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed",
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3d", "c2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f",
    "83655d23dca3ad961c62f356208552bb9ed529077096966d", "670c354e4abc9804f1746c08ca18217c32905e462e36ce3b",
    "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9", "de2bcbf6955817183995497cea956ae515d2261898fa0510",
    "15728e5a8aacaa68ffffffffffffffff",
);

const_monty_params!(Prime2048, U2048, PRIME_2048);

/// Raises to a power modulo the prime; see [`power`].
type PowerFn = fn(base: &[u8], exponent: &[u8], out: &mut [u8]) -> Result<(), PeerPublicError>;

/// A MODP group with generator 2.
#[derive(Clone, Copy)]
pub(super) struct Modp {
    id: KeId,
    name: &'static str,
    status: Status,
    /// Octets of the modulus, of every public value and of the shared secret.
    len: usize,
    /// Octets of the private exponent: the larger of RFC 3526 §8's two estimates, which is twice the strength.
    exponent_len: usize,
    power: PowerFn,
}

pub(super) static MODP_2048: Modp = Modp {
    id: KeId::MODP_2048,
    name: "modp-2048",
    status: Status::Must,
    len: 256,
    exponent_len: 40,
    power: power::<Prime2048, { U2048::LIMBS }, { U320::LIMBS }>,
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
    fn status(&self) -> Status {
        self.status
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
        if let Some(last) = generator.last_mut() {
            *last = 2;
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
fn power<P, const LIMBS: usize, const EXPONENT_LIMBS: usize>(
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

    /// arctan(1/n) with `GUARD_BITS` and 1918 bits below the point, by its series.
    fn arctan_of_inverse(n: u8) -> U2048 {
        let by = |value: U2048, divisor: u32| {
            value.div_rem_limb(NonZero::new(Limb::from_u32(divisor)).expect("not zero")).0
        };
        let mut power = by(U2048::ONE.shl_vartime(1918 + GUARD_BITS), u32::from(n));
        let (mut sum, mut odd) = (power, 1);
        while power != U2048::ZERO {
            odd += 2;
            power = by(power, u32::from(n) * u32::from(n));
            let term = by(power, odd);
            sum = if odd % 4 == 3 { sum.wrapping_sub(&term) } else { sum.wrapping_add(&term) };
        }
        sum
    }

    /// The prime from its definition, 2^2048 - 2^1984 - 1 + 2^64 * ([2^1918 pi] + 124476), with Machin's formula.
    #[test]
    fn prime_2048_is_the_one_of_rfc_3526_section_3() {
        let pi = (arctan_of_inverse(5).shl_vartime(4)).wrapping_sub(&arctan_of_inverse(239).shl_vartime(2));
        let part = pi.shr_vartime(GUARD_BITS).wrapping_add(&U2048::from_u32(124_476)).shl_vartime(64);
        // 2^2048 is 0 in this arithmetic.
        let prime = part.wrapping_sub(&U2048::ONE.shl_vartime(1984)).wrapping_sub(&U2048::ONE);
        assert_eq!(prime, *Prime2048::PARAMS.modulus().as_ref());
        assert_eq!(prime, U2048::from_be_hex(PRIME_2048));
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
