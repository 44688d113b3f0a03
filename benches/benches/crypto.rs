//! Every combined mode, every pair of cipher and MAC, every key exchange method and every signature of both providers.
//!
//! ```text
//! cargo bench -p benches --bench crypto                             # all of it
//! cargo bench -p benches --bench crypto -- packets/aws-lc           # a part, by the names of benchmarks
//! cargo bench -p benches --bench crypto -- 'ke/.*/curve25519'       # which are regular expressions
//! ```
//!
//! Tables of what was measured are printed at the end. The implicit-IV rows do the same work as the explicit ones and
//! are left out.

#![allow(missing_docs)] // criterion's macros and a program's private items

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use benches::{Batch, Grid, LENGTHS, packets_in_cache, timed};
use criterion::Criterion;
use ipsec_crypto::{
    AeadKey, CipherKey, CryptoError, CryptoProvider, EncryptionAlgorithm, IvRule, MacKey, Signer,
    algorithm_id, rustcrypto,
};
use ipsec_wire::ike::{EncrId, IntegId};
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use testkit::provider_suite::test_keys;

/// Octets of an ESP header, in front of what is encrypted.
const ESP_HEADER: [u8; 8] = [7; 8];
const ICV_MAX: usize = 32;

type ReadSigner = fn(&[u8]) -> Result<Box<dyn Signer>, CryptoError>;

/// A provider under its name.
struct Provider {
    name: &'static str,
    rows: CryptoProvider,
    signer: ReadSigner,
}

/// A packet between header and ICV; `data` is padded to the blocks of the cipher.
struct Packet {
    nonce: Vec<u8>,
    data: Vec<u8>,
    icv: [u8; ICV_MAX],
}

/// How a packet is protected.
enum Protection {
    Combined { key: Box<dyn AeadKey>, tag_len: usize },
    Separate { cipher: Box<dyn CipherKey>, mac: Box<dyn MacKey>, icv_len: usize },
}

impl Protection {
    fn combined(row: &dyn EncryptionAlgorithm, key_len: usize) -> Self {
        let key = row.aead_key(&vec![0x42; key_len]).expect("key");
        Self::Combined { key, tag_len: row.tag_len() }
    }

    fn seal(&self, packet: &mut Packet) {
        let Packet { nonce, data, icv } = packet;
        match self {
            Self::Combined { key, tag_len } => {
                key.seal(nonce, &ESP_HEADER, data, &mut icv[..*tag_len]).expect("sealed");
            }
            Self::Separate { cipher, mac, icv_len } => {
                cipher.encrypt(nonce, data).expect("encrypted");
                mac.sign(&[&ESP_HEADER, nonce, data], &mut icv[..*icv_len]).expect("signed");
            }
        }
    }

    fn open(&self, packet: &mut Packet) {
        let Packet { nonce, data, icv } = packet;
        match self {
            Self::Combined { key, tag_len } => {
                key.open(nonce, &ESP_HEADER, data, &icv[..*tag_len]).expect("opened");
            }
            Self::Separate { cipher, mac, icv_len } => {
                mac.verify(&[&ESP_HEADER, nonce, data], &icv[..*icv_len]).expect("verified");
                cipher.decrypt(nonce, data).expect("decrypted");
            }
        }
    }
}

/// Seals every packet, each time under a new nonce.
struct Seal {
    protection: Protection,
    packets: Vec<Packet>,
}

/// Opens what was sealed just before, outside the timed part.
struct Open(Seal);

impl Seal {
    fn new(protection: Protection, nonce_len: usize, octets: usize) -> Self {
        let packet = |number: usize| Packet {
            nonce: vec![u8::try_from(number % 251).unwrap_or(0); nonce_len],
            data: vec![0x5a; octets],
            icv: [0; ICV_MAX],
        };
        Self { protection, packets: (0..packets_in_cache(octets)).map(packet).collect() }
    }
}

impl Batch for Seal {
    fn packets(&self) -> usize {
        self.packets.len()
    }
    fn run(&mut self) {
        for packet in &mut self.packets {
            if let Some(low) = packet.nonce.last_mut() {
                *low = low.wrapping_add(1);
            }
            self.protection.seal(packet);
        }
    }
}

impl Batch for Open {
    fn packets(&self) -> usize {
        self.0.packets.len()
    }
    fn prepare(&mut self) {
        self.0.run();
    }
    fn run(&mut self) {
        for packet in &mut self.0.packets {
            self.0.protection.open(packet);
        }
    }
}

/// Ciphers with the MACs they are used with, by key bits.
const SUITES: [(EncrId, usize, IntegId); 8] = [
    (EncrId::AES_CBC, 128, IntegId::HMAC_SHA1_96),
    (EncrId::AES_CBC, 128, IntegId::HMAC_SHA2_256_128),
    (EncrId::AES_CBC, 256, IntegId::HMAC_SHA2_256_128),
    (EncrId::AES_CBC, 256, IntegId::HMAC_SHA2_384_192),
    (EncrId::AES_CBC, 256, IntegId::HMAC_SHA2_512_256),
    (EncrId::AES_CBC, 128, IntegId::AES_XCBC_96),
    (EncrId::AES_CTR, 128, IntegId::HMAC_SHA2_256_128),
    (EncrId::NULL, 0, IntegId::HMAC_SHA2_256_128),
];

/// How long one takes in nanoseconds, unless the filter leaves it out: the median over criterion's samples.
fn measured(criterion: &mut Criterion, id: &str, mut work: impl FnMut(u64) -> Duration) -> Option<f64> {
    let mut each = Vec::new();
    criterion.bench_function(id, |bencher| {
        bencher.iter_custom(|times| {
            let taken = work(times);
            each.push(taken.as_secs_f64() * 1e9 / times.max(1) as f64);
            taken
        });
    });
    (!each.is_empty()).then(|| benches::median(each))
}

/// The same call over and over.
fn repeated<T>(mut work: impl FnMut() -> T) -> impl FnMut(u64) -> Duration {
    move |times| {
        let begun = Instant::now();
        for _ in 0..times {
            black_box(work());
        }
        begun.elapsed()
    }
}

/// One protection at every length, sealed and opened.
fn lengths(
    criterion: &mut Criterion,
    [seal, open]: &mut [Grid; 2],
    (provider, name): (&str, &str),
    row: &dyn EncryptionAlgorithm,
    protection: impl Fn() -> Protection,
) {
    let block = row.block_len().max(1);
    let work = |octets: usize| Seal::new(protection(), row.nonce_len(), octets.next_multiple_of(block));
    let times = LENGTHS.map(|octets| {
        let mut work = work(octets);
        let id = format!("packets/{provider}/{name}/seal/{octets}");
        measured(criterion, &id, |packets| timed(&mut work, packets))
    });
    seal.push(&format!("{name}, {provider}"), &times);
    let times = LENGTHS.map(|octets| {
        let mut work = Open(work(octets));
        let id = format!("packets/{provider}/{name}/open/{octets}");
        measured(criterion, &id, |packets| timed(&mut work, packets))
    });
    open.push(&format!("{name}, {provider}"), &times);
}

fn packets(criterion: &mut Criterion, providers: &[Provider]) -> [Grid; 2] {
    let columns = LENGTHS.map(|octets| octets.to_string());
    let mut grids =
        ["Sealing, ns", "Opening, ns"].map(|title| Grid::new(title, &columns.each_ref().map(String::as_str)));
    for Provider { name: provider, rows, .. } in providers {
        for &row in rows.encr.iter().filter(|row| row.is_aead() && row.iv_rule() != IvRule::Implicit) {
            let [shortest, .., longest] = row.key_lengths() else {
                let key_len = row.key_lengths()[0];
                let protection = || Protection::combined(row, key_len);
                lengths(criterion, &mut grids, (provider, row.name()), row, protection);
                continue;
            };
            for &key_len in [shortest, longest] {
                let name = format!("{}-{}", row.name(), key_len * 8);
                let protection = || Protection::combined(row, key_len);
                lengths(criterion, &mut grids, (provider, &name), row, protection);
            }
        }
        for (encr, key_bits, integ) in SUITES {
            let (Some(cipher), Some(mac)) = (rows.encr(encr), rows.integ(integ)) else { continue };
            let bits = if key_bits == 0 { String::new() } else { format!("-{key_bits}") };
            let name = format!("{}{bits}+{}", cipher.name(), mac.name());
            lengths(criterion, &mut grids, (provider, &name), cipher, || Protection::Separate {
                cipher: cipher.cipher_key(&vec![0x42; key_bits / 8]).expect("key"),
                mac: mac.mac_key(&vec![0x24; mac.key_len()]).expect("key"),
                icv_len: mac.icv_len(),
            });
        }
    }
    grids
}

fn key_exchanges(criterion: &mut Criterion, providers: &[Provider]) -> Grid {
    let mut grid = Grid::new("Key exchange, µs", &["start", "respond", "complete"]).scaled(1e-3);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for Provider { name: provider, rows, .. } in providers {
        for row in rows.ke.iter() {
            let active = row.start(&mut rng).expect("started");
            let (answer, _) = row.respond(active.public(), &mut rng).expect("answered");
            let id = |step: &str| format!("ke/{provider}/{}/{step}", row.name());
            let start = measured(criterion, &id("start"), repeated(|| row.start(&mut rng)));
            let respond =
                measured(criterion, &id("respond"), repeated(|| row.respond(active.public(), &mut rng)));
            let complete = measured(criterion, &id("complete"), repeated(|| active.complete(&answer)));
            grid.push(&format!("{}, {provider}", row.name()), &[start, respond, complete]);
        }
    }
    grid
}

fn signatures(criterion: &mut Criterion, providers: &[Provider]) -> Grid {
    let mut grid = Grid::new("Signatures, µs", &["sign", "verify"]).scaled(1e-3);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let message = [0x5a; 600];
    for Provider { name: provider, rows, signer } in providers {
        for (kind, pkcs8, spki) in test_keys() {
            let Ok(signer) = signer(&pkcs8) else { continue };
            let wanted = |algorithm: &&&[u8]| {
                **algorithm == algorithm_id::RSA_SHA2_256 || signer.algorithms().first() == Some(*algorithm)
            };
            for algorithm in signer.algorithms().iter().filter(wanted) {
                let row = rows.verifier(algorithm).expect("row");
                let name = if kind == "rsa" { format!("{}, 2048 bits", row.name()) } else { kind.clone() };
                let signature = signer.sign(algorithm, &message, &mut rng).expect("signed");
                let id = |step: &str| format!("signature/{provider}/{name}/{step}");
                let sign = repeated(|| signer.sign(algorithm, &message, &mut rng));
                let sign = measured(criterion, &id("sign"), sign);
                let verify = repeated(|| row.verify(&spki, &message, &signature));
                let verify = measured(criterion, &id("verify"), verify);
                grid.push(&format!("{name}, {provider}"), &[sign, verify]);
            }
        }
    }
    grid
}

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(200))
        .configure_from_args();
    let providers = [
        Provider { name: "rustcrypto", rows: rustcrypto::provider(), signer: rustcrypto::signer_from_pkcs8 },
        Provider {
            name: "aws-lc",
            rows: ipsec_crypto_aws_lc::provider(),
            signer: ipsec_crypto_aws_lc::signer_from_pkcs8,
        },
    ];
    let [seal, open] = packets(&mut criterion, &providers);
    let ke = key_exchanges(&mut criterion, &providers);
    let signatures = signatures(&mut criterion, &providers);
    criterion.final_summary();
    for grid in [seal, open, ke, signatures] {
        print!("{grid}");
    }
}
