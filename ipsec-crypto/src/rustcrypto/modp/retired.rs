//! The MODP groups that RFC 8247 §2.4 retires, and those with subgroups of prime order (RFC 5114).

use crypto_bigint::{U192, U256, U768, U1024, U1536, U2048, const_monty_params};
use ipsec_wire::ike::KeId;

use super::{Modp, SAFE_PRIME, power};

const_monty_params!(Prime768, U768, PRIME_768);
const_monty_params!(Prime1024, U1024, PRIME_1024);
const_monty_params!(Prime1536, U1536, PRIME_1536);
const_monty_params!(Prime1024Q160, U1024, PRIME_1024_160);
const_monty_params!(Prime2048Q224, U2048, PRIME_2048_224);
const_monty_params!(Prime2048Q256, U2048, PRIME_2048_256);

pub(in super::super) static MODP_768: Modp = Modp {
    id: KeId::MODP_768,
    name: "modp-768",
    len: 96,
    exponent_len: 24,
    power: power::<Prime768, { U768::LIMBS }, { U192::LIMBS }>,
    ..SAFE_PRIME
};

pub(in super::super) static MODP_1024: Modp = Modp {
    id: KeId::MODP_1024,
    name: "modp-1024",
    len: 128,
    exponent_len: 24,
    power: power::<Prime1024, { U1024::LIMBS }, { U192::LIMBS }>,
    ..SAFE_PRIME
};

pub(in super::super) static MODP_1536: Modp = Modp {
    id: KeId::MODP_1536,
    name: "modp-1536",
    len: 192,
    exponent_len: 32,
    power: power::<Prime1536, { U1536::LIMBS }, { U256::LIMBS }>,
    ..SAFE_PRIME
};

pub(in super::super) static MODP_1024_160: Modp = Modp {
    id: KeId::MODP_1024_160,
    name: "modp-1024-160",
    len: 128,
    exponent_len: 24,
    generator: &octets::<128>(GENERATOR_1024_160),
    order: &octets::<24>(ORDER_1024_160),
    power: power::<Prime1024Q160, { U1024::LIMBS }, { U192::LIMBS }>,
};

pub(in super::super) static MODP_2048_224: Modp = Modp {
    id: KeId::MODP_2048_224,
    name: "modp-2048-224",
    len: 256,
    exponent_len: 32,
    generator: &octets::<256>(GENERATOR_2048_224),
    order: &octets::<32>(ORDER_2048_224),
    power: power::<Prime2048Q224, { U2048::LIMBS }, { U256::LIMBS }>,
};

pub(in super::super) static MODP_2048_256: Modp = Modp {
    id: KeId::MODP_2048_256,
    name: "modp-2048-256",
    len: 256,
    exponent_len: 32,
    generator: &octets::<256>(GENERATOR_2048_256),
    order: &octets::<32>(ORDER_2048_256),
    power: power::<Prime2048Q256, { U2048::LIMBS }, { U256::LIMBS }>,
};

/// The octets that hexadecimal digits stand for.
const fn octets<const N: usize>(digits: &str) -> [u8; N] {
    let digits = digits.as_bytes();
    assert!(digits.len() == 2 * N);
    let mut octets = [0; N];
    let mut at = 0;
    while at < N {
        octets[at] = value(digits[2 * at]) << 4 | value(digits[2 * at + 1]);
        at += 1;
    }
    octets
}

const fn value(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
}

/// RFC 2409 §6.1.
#[rustfmt::skip]
const PRIME_768: &str = concat!(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd",
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a3620ffffffffffffffff",
);

/// RFC 2409 §6.2.
#[rustfmt::skip]
const PRIME_1024: &str = concat!(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd",
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed",
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff",
);

/// RFC 3526 §2.
#[rustfmt::skip]
const PRIME_1536: &str = concat!(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd",
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed",
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f",
    "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca237327ffffffffffffffff",
);

/// RFC 5114 §2.1.
#[rustfmt::skip]
const PRIME_1024_160: &str = concat!(
    "b10b8f96a080e01dde92de5eae5d54ec52c99fbcfb06a3c69a6a9dca52d23b616073e28675a23d189838ef1e2ee652c0",
    "13ecb4aea906112324975c3cd49b83bfaccbdd7d90c4bd7098488e9c219a73724effd6fae5644738faa31a4ff55bccc0",
    "a151af5f0dc8b4bd45bf37df365c1a65e68cfda76d4da708df1fb2bc2e4a4371",
);

/// Its generator.
#[rustfmt::skip]
const GENERATOR_1024_160: &str = concat!(
    "a4d1cbd5c3fd34126765a442efb99905f8104dd258ac507fd6406cff14266d31266fea1e5c41564b777e690f5504f213",
    "160217b4b01b886a5e91547f9e2749f4d7fbd7d3b9a92ee1909d0d2263f80a76a6a24c087a091f531dbf0a0169b6a28a",
    "d662a4d18e73afa32d779d5918d08bc8858f4dcef97c2a24855e6eeb22b3b2e5",
);

/// The order of the subgroup that it generates.
const ORDER_1024_160: &str = "00000000f518aa8781a8df278aba4e7d64b7cb9d49462353";

/// RFC 5114 §2.2.
#[rustfmt::skip]
const PRIME_2048_224: &str = concat!(
    "ad107e1e9123a9d0d660faa79559c51fa20d64e5683b9fd1b54b1597b61d0a75e6fa141df95a56dbaf9a3c407ba1df15",
    "eb3d688a309c180e1de6b85a1274a0a66d3f8152ad6ac2129037c9edefda4df8d91e8fef55b7394b7ad5b7d0b6c12207",
    "c9f98d11ed34dbf6c6ba0b2c8bbc27be6a00e0a0b9c49708b3bf8a317091883681286130bc8985db1602e714415d9330",
    "278273c7de31efdc7310f7121fd5a07415987d9adc0a486dcdf93acc44328387315d75e198c641a480cd86a1b9e587e8",
    "be60e69cc928b2b9c52172e413042e9b23f10b0e16e79763c9b53dcf4ba80a29e3fb73c16b8e75b97ef363e2ffa31f71",
    "cf9de5384e71b81c0ac4dffe0c10e64f",
);

/// Its generator.
#[rustfmt::skip]
const GENERATOR_2048_224: &str = concat!(
    "ac4032ef4f2d9ae39df30b5c8ffdac506cdebe7b89998caf74866a08cfe4ffe3a6824a4e10b9a6f0dd921f01a70c4afa",
    "ab739d7700c29f52c57db17c620a8652be5e9001a8d66ad7c17669101999024af4d027275ac1348bb8a762d0521bc98a",
    "e247150422ea1ed409939d54da7460cdb5f6c6b250717cbef180eb34118e98d119529a45d6f834566e3025e316a330ef",
    "bb77a86f0c1ab15b051ae3d428c8f8acb70a8137150b8eeb10e183edd19963ddd9e263e4770589ef6aa21e7f5f2ff381",
    "b539cce3409d13cd566afbb48d6c019181e1bcfe94b30269edfe72fe9b6aa4bd7b5a0f1c71cfff4c19c418e1f6ec0179",
    "81bc087f2a7065b384b890d3191f2bfa",
);

/// The order of the subgroup that it generates.
const ORDER_2048_224: &str = "00000000801c0d34c58d93fe997177101f80535a4738cebcbf389a99b36371eb";

/// RFC 5114 §2.3.
#[rustfmt::skip]
const PRIME_2048_256: &str = concat!(
    "87a8e61db4b6663cffbbd19c651959998ceef608660dd0f25d2ceed4435e3b00e00df8f1d61957d4faf7df4561b2aa30",
    "16c3d91134096faa3bf4296d830e9a7c209e0c6497517abd5a8a9d306bcf67ed91f9e6725b4758c022e0b1ef4275bf7b",
    "6c5bfc11d45f9088b941f54eb1e59bb8bc39a0bf12307f5c4fdb70c581b23f76b63acae1caa6b7902d52526735488a0e",
    "f13c6d9a51bfa4ab3ad8347796524d8ef6a167b5a41825d967e144e5140564251ccacb83e6b486f6b3ca3f7971506026",
    "c0b857f689962856ded4010abd0be621c3a3960a54e710c375f26375d7014103a4b54330c198af126116d2276e11715f",
    "693877fad7ef09cadb094ae91e1a1597",
);

/// Its generator.
#[rustfmt::skip]
const GENERATOR_2048_256: &str = concat!(
    "3fb32c9b73134d0b2e77506660edbd484ca7b18f21ef205407f4793a1a0ba12510dbc15077be463fff4fed4aac0bb555",
    "be3a6c1b0c6b47b1bc3773bf7e8c6f62901228f8c28cbb18a55ae31341000a650196f931c77a57f2ddf463e5e9ec144b",
    "777de62aaab8a8628ac376d282d6ed3864e67982428ebc831d14348f6f2f9193b5045af2767164e1dfc967c1fb3f2e55",
    "a4bd1bffe83b9c80d052b985d182ea0adb2a3b7313d3fe14c8484b1e052588b9b7d2bbd2df016199ecd06e1557cd0915",
    "b3353bbb64e0ec377fd028370df92b52c7891428cdc67eb6184b523d1db246c32f63078490f00ef8d647d148d4795451",
    "5e2327cfef98c582664b4c0f6cc41659",
);

/// The order of the subgroup that it generates.
const ORDER_2048_256: &str = "8cf83642a709a097b447997640129da299b1a47d1eb3750ba308b0fe64f5fbd3";
