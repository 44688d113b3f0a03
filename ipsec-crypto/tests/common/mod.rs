//! Reading vectors, and known generators.
#![allow(dead_code)] // each test binary uses its part

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use serde_json::Value;

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("vector file")
}

/// The field as text.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}

/// The field as octets.
pub(crate) fn octets(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(text(value, field)).expect("hex")
}

/// The field as a number.
pub(crate) fn number(value: &Value, field: &str) -> usize {
    usize::try_from(value[field].as_u64().expect("number")).expect("size")
}

/// The field as a list.
pub(crate) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().expect("list")
}

/// Hex with any white space in it.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    hex::decode(digits).expect("hex")
}

pub(crate) fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

/// Every octet the same: a broken generator.
pub(crate) struct Constant(pub(crate) u8);

impl TryRng for Constant {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }
    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Self::Error> {
        octets.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Constant {}

pub(crate) fn random(rng: &mut impl Rng, len: usize) -> Vec<u8> {
    let mut octets = vec![0; len];
    rng.fill_bytes(&mut octets);
    octets
}
