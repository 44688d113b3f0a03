//! Ciphers and MACs that RFC 8221 and RFC 8247 retire: DES, Triple DES and HMAC-MD5.

use des::{Des, TdesEde3};
use hmac::Hmac;
use ipsec_wire::ike::{EncrId, IntegId, PrfId};
use md5::Md5;

use super::cipher::Chained;
use super::encr::{CBC, Encryption, Keying};
use super::integ::{self, Integrity};
use super::prf::{self, Prf};
use crate::KeyLimits;

pub(super) static TRIPLE_DES: Encryption = TDES;

/// RFC 2451: three keys of 64 bits with their parity bits, which nobody looks at.
const TDES: Encryption = Encryption {
    id: EncrId::TRIPLE_DES,
    name: "3des",
    key_lengths: &[24],
    iv_len: 8,
    block_len: 8,
    limits: KeyLimits::BLOCK_64,
    key: Keying::Plain(Chained::<TdesEde3>::boxed),
    ..CBC
};

/// RFC 2405.
pub(super) static DES: Encryption = Encryption {
    id: EncrId::DES,
    name: "des",
    key_lengths: &[8],
    key: Keying::Plain(Chained::<Des>::boxed),
    ..TDES
};

/// RFC 2403.
pub(super) static HMAC_MD5_96: Integrity = Integrity {
    id: IntegId::HMAC_MD5_96,
    name: "hmac-md5-96",
    key_len: 16,
    icv_len: 12,
    key: integ::Keyed::<Hmac<Md5>>::boxed,
};

pub(super) static PRF_HMAC_MD5: Prf = Prf {
    id: PrfId::HMAC_MD5,
    name: "hmac-md5",
    output_len: 16,
    variable_key: true,
    key: prf::Keyed::<Hmac<Md5>>::boxed,
};
