//! What the tests share: suites, parameters, inner packets.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use ipsec_crypto::{CryptoProvider, Secret, rustcrypto};
use ipsec_esp::{EspInbound, EspOutbound, OuterHeader};
use ipsec_sa::{Direction, Encapsulation, Outer, Role, SaAlgorithms, SaKeys, SaParams};
use ipsec_wire::ike::{EncrId, IntegId, SnId};
use ipsec_wire::{IpProtocol, Spi};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const SPI: Spi = Spi(0x1234_5678);

/// Algorithms, key lengths in octets (salt included).
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    pub encr: EncrId,
    pub key_bits: u16,
    pub key_len: usize,
    pub integ: Option<IntegId>,
    pub integ_len: usize,
}

const fn gcm(key_bits: u16) -> Suite {
    let key_len = key_bits as usize / 8 + 4;
    Suite { encr: EncrId::AES_GCM_16, key_bits, key_len, integ: None, integ_len: 0 }
}

const fn cbc(key_bits: u16, integ: IntegId, integ_len: usize) -> Suite {
    Suite { encr: EncrId::AES_CBC, key_bits, key_len: key_bits as usize / 8, integ: Some(integ), integ_len }
}

pub const SUITES: [Suite; 6] = [
    gcm(128),
    gcm(256),
    cbc(128, IntegId::HMAC_SHA2_256_128, 32),
    cbc(256, IntegId::HMAC_SHA2_384_192, 48),
    cbc(256, IntegId::HMAC_SHA2_512_256, 64),
    Suite {
        encr: EncrId::NULL,
        key_bits: 0,
        key_len: 0,
        integ: Some(IntegId::HMAC_SHA2_256_128),
        integ_len: 32,
    },
];

pub fn provider() -> CryptoProvider {
    rustcrypto::provider()
}

pub fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(42)
}

pub fn outer_v4(encapsulation: Encapsulation) -> Outer {
    Outer { local: [192, 0, 2, 1].into(), remote: [198, 51, 100, 2].into(), encapsulation }
}

pub fn outer_v6(encapsulation: Encapsulation) -> Outer {
    Outer {
        local: "2001:db8::1".parse().unwrap(),
        remote: "2001:db8:ffff::2".parse().unwrap(),
        encapsulation,
    }
}

pub const UDP_4500: Encapsulation = Encapsulation::Udp { local_port: 4500, remote_port: 4501 };

pub fn params(suite: &Suite, direction: Direction) -> SaParams {
    let octets =
        |len: usize, seed: u8| (0..len).map(|i| (i as u8).wrapping_mul(7) ^ seed).collect::<Vec<_>>();
    let algorithms = SaAlgorithms { encr: Some(suite.encr), key_bits: suite.key_bits, integ: suite.integ };
    let keys = SaKeys {
        encr: Secret::new(&octets(suite.key_len, 0x3c)),
        integ: Secret::new(&octets(suite.integ_len, 0xa5)),
    };
    SaParams::new(SPI, direction, Role::Initiator, algorithms, keys, outer_v4(Encapsulation::None))
}

pub fn pair(
    change: impl Fn(SaParams) -> SaParams,
    suite: &Suite,
    outer: OuterHeader,
) -> (EspOutbound, EspInbound) {
    let provider = provider();
    let outbound = change(params(suite, Direction::Outbound));
    let inbound = change(params(suite, Direction::Inbound));
    (
        EspOutbound::new(&outbound, &provider, outer, &mut rng()).unwrap(),
        EspInbound::new(&inbound, &provider).unwrap(),
    )
}

pub fn esn(floor: u64) -> impl Fn(SaParams) -> SaParams {
    move |params| params.with_sequence(SnId::SEQUENTIAL_64, floor)
}

/// An IPv4 packet of `len` octets (20 at least), with TOS 0xb9 and DF.
pub fn ipv4(len: usize) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..len).map(|i| i as u8).collect();
    packet[..20].copy_from_slice(&[
        0x45,
        0xb9,
        (len >> 8) as u8,
        len as u8,
        0,
        1,
        0x40,
        0,
        64,
        253,
        0,
        0,
        10,
        0,
        0,
        1,
        10,
        0,
        0,
        2,
    ]);
    packet
}

/// An IPv6 packet of `len` octets (40 at least), with traffic class 0xb9.
pub fn ipv6(len: usize) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..len).map(|i| i as u8).collect();
    packet[..8].copy_from_slice(&[0x6b, 0x90, 0, 0, ((len - 40) >> 8) as u8, (len - 40) as u8, 253, 64]);
    packet
}

/// Seals `payload` in a buffer with just enough room, and returns the packet.
pub fn seal(outbound: &mut EspOutbound, payload: &[u8], next: IpProtocol) -> Vec<u8> {
    let room = outbound.room(payload.len());
    let mut buf = vec![0xee; room.head + payload.len() + room.tail];
    let range = room.head..room.head + payload.len();
    buf[range.clone()].copy_from_slice(payload);
    let sealed = outbound.seal_in_place(&mut buf, range, next).unwrap();
    assert_eq!(sealed, 0..buf.len(), "room is exact");
    buf
}
