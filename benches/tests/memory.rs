//! What one direction of an SA takes, counted by an allocator: the struct and all that hangs on it.
//!
//! `cargo test -p benches --test memory -- --nocapture`

use ipsec_crypto::{CryptoProvider, Secret};
use ipsec_esp::{EspInbound, EspOutbound, OuterHeader};
use ipsec_sa::{Direction, Encapsulation, Outer, Role, SaAlgorithms, SaKeys, SaParams};
use ipsec_wire::Spi;
use ipsec_wire::ike::{EncrId, IntegId};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn octets<T>(work: impl FnOnce() -> T) -> usize {
    let (_made, octets) = tally::kept(|| Box::new(work()));
    octets.unsigned_abs()
}

/// Inbound and outbound, with a window of 1024 packets.
fn directions(provider: &CryptoProvider, encr: EncrId, key_bits: u16, integ: Option<IntegId>) -> [usize; 2] {
    let params = |direction| {
        let salt = match encr {
            EncrId::AES_GCM_16 | EncrId::CHACHA20_POLY1305 => 4,
            _ => 0,
        };
        let keys = SaKeys {
            encr: Secret::new(&vec![7; usize::from(key_bits) / 8 + salt]),
            integ: Secret::new(&vec![9; if integ.is_some() { 32 } else { 0 }]),
        };
        let key_bits = if encr == EncrId::CHACHA20_POLY1305 { 0 } else { key_bits };
        let algorithms = SaAlgorithms { encr: Some(encr), key_bits, integ };
        let outer = Outer {
            local: [192, 0, 2, 1].into(),
            remote: [192, 0, 2, 2].into(),
            encapsulation: Encapsulation::None,
        };
        SaParams::new(Spi(0x1000), direction, Role::Initiator, algorithms, keys, outer)
            .with_replay_window(1024)
    };
    let (inbound, outbound) = (params(Direction::Inbound), params(Direction::Outbound));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    [
        octets(|| EspInbound::new(&inbound, provider).unwrap()),
        octets(|| EspOutbound::new(&outbound, provider, OuterHeader::Ip, &mut rng).unwrap()),
    ]
}

#[test]
fn a_direction_of_an_sa_takes_a_kibioctet_at_most() {
    let portable = ipsec_crypto::rustcrypto::provider();
    let fast = ipsec_crypto_aws_lc::provider();
    println!("| provider | algorithm | inbound, octets | outbound, octets |");
    println!("|---|---|---:|---:|");
    for (name, provider) in [("RustCrypto", &portable), ("aws-lc", &fast)] {
        for (algorithm, encr, bits, integ) in [
            ("AES-256-GCM", EncrId::AES_GCM_16, 256, None),
            ("AES-128-GCM", EncrId::AES_GCM_16, 128, None),
            ("ChaCha20-Poly1305", EncrId::CHACHA20_POLY1305, 256, None),
            ("AES-256-CBC, HMAC-SHA2-256", EncrId::AES_CBC, 256, Some(IntegId::HMAC_SHA2_256_128)),
        ] {
            let [inbound, outbound] = directions(provider, encr, bits, integ);
            println!("| {name} | {algorithm} | {inbound} | {outbound} |");
            // The portable AES keeps room for the schedule of every processor that it may find itself on.
            let aes = !matches!(encr, EncrId::CHACHA20_POLY1305);
            // CBC's schedules for both ways and its MAC's states are the providers' too.
            let most = match integ {
                Some(_) => 4096,
                None if name == "RustCrypto" && aes => 2560,
                None => 1024,
            };
            assert!(inbound <= most && outbound <= most, "{name} {algorithm}: {inbound} {outbound}");
        }
    }
    println!("structs: inbound {}, outbound {}", size_of::<EspInbound>(), size_of::<EspOutbound>());
}
