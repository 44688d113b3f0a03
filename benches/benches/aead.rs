//! What the traits of `ipsec-crypto` cost over calling the crate behind a row directly, with 16-octet ICVs. The rows of
//! ChaCha20-Poly1305 and AES-CCM call the crate and do nothing else. AES-GCM is composed in the row, beside the crate that
//! composes it too.
//!
//! `cargo bench -p benches --bench aead`

#![allow(missing_docs)] // criterion's macros and a program's private items

use core::time::Duration;

use aes::Aes256Enc;
use aes_gcm::aead::consts::{U11, U16};
use aes_gcm::aead::{AeadInOut, KeyInit, Nonce};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use benches::{Batch, LENGTHS, Table, compare, packets_in_cache, timed};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;
use criterion::{Criterion, Throughput};
use ipsec_crypto::{AeadKey, rustcrypto};
use ipsec_wire::ike::EncrId;

const KEY: [u8; 32] = [0x42; 32];
const TAG_LEN: usize = 16;

/// A packet of ESP as the combined mode sees it.
struct Packet {
    nonce: Vec<u8>,
    /// A slice of a packet: its length is not known to the compiler.
    aad: Vec<u8>,
    data: Vec<u8>,
    tag: [u8; TAG_LEN],
}

/// One way to call the algorithm.
trait Way {
    fn seal(&self, packet: &mut Packet);
    fn open(&self, packet: &mut Packet);
}

struct Direct<A>(A);

impl<A: AeadInOut<TagSize = U16>> Way for Direct<A> {
    fn seal(&self, packet: &mut Packet) {
        let nonce = <&Nonce<A>>::try_from(packet.nonce.as_slice()).expect("nonce");
        let tag = self.0.encrypt_inout_detached(nonce, &packet.aad, packet.data.as_mut_slice().into());
        packet.tag = tag.expect("sealed").into();
    }
    fn open(&self, packet: &mut Packet) {
        let nonce = <&Nonce<A>>::try_from(packet.nonce.as_slice()).expect("nonce");
        let tag = packet.tag.into();
        let data = packet.data.as_mut_slice().into();
        self.0.decrypt_inout_detached(nonce, &packet.aad, data, &tag).expect("opened");
    }
}

struct Trait(Box<dyn AeadKey>);

impl Way for Trait {
    fn seal(&self, packet: &mut Packet) {
        self.0.seal(&packet.nonce, &packet.aad, &mut packet.data, &mut packet.tag).expect("sealed");
    }
    fn open(&self, packet: &mut Packet) {
        self.0.open(&packet.nonce, &packet.aad, &mut packet.data, &packet.tag).expect("opened");
    }
}

/// Seals every packet, each time under a new nonce.
struct Seal<W> {
    way: W,
    packets: Vec<Packet>,
}

/// Opens what was sealed just before, outside the timed part.
struct Open<W>(Seal<W>);

impl<W> Seal<W> {
    fn new(way: W, nonce_len: usize, length: usize) -> Self {
        let packet = |number: usize| Packet {
            nonce: vec![u8::try_from(number % 251).unwrap_or(0); nonce_len],
            aad: vec![7; 8],
            data: vec![0x5a; length],
            tag: [0; TAG_LEN],
        };
        Self { way, packets: (0..packets_in_cache(length)).map(packet).collect() }
    }
}

impl<W: Way> Batch for Seal<W> {
    fn packets(&self) -> usize {
        self.packets.len()
    }
    fn run(&mut self) {
        for packet in &mut self.packets {
            if let Some(low) = packet.nonce.last_mut() {
                *low = low.wrapping_add(1);
            }
            self.way.seal(packet);
        }
    }
}

impl<W: Way> Batch for Open<W> {
    fn packets(&self) -> usize {
        self.0.packets.len()
    }
    fn prepare(&mut self) {
        self.0.run();
    }
    fn run(&mut self) {
        for packet in &mut self.0.packets {
            self.0.way.open(packet);
        }
    }
}

fn algorithm<A: KeyInit>(criterion: &mut Criterion, table: &mut Table, name: &str, id: EncrId)
where
    Direct<A>: Way,
{
    let key = &KEY[..A::key_size()];
    let provider = rustcrypto::provider();
    let row = provider.encr(id).expect("row");
    let direct = || Direct(A::new_from_slice(key).expect("key"));
    let through_the_trait = || Trait(row.aead_key(key).expect("key"));
    for length in LENGTHS {
        let mut raw = Seal::new(direct(), row.nonce_len(), length);
        let mut ours = Seal::new(through_the_trait(), row.nonce_len(), length);
        both(criterion, &format!("{name} seal"), length, &mut raw, &mut ours);
        table.push(compare(&format!("{name} seal"), length, &mut raw, &mut ours));

        let (mut raw, mut ours) = (Open(raw), Open(ours));
        both(criterion, &format!("{name} open"), length, &mut raw, &mut ours);
        table.push(compare(&format!("{name} open"), length, &mut raw, &mut ours));
    }
}

fn both(criterion: &mut Criterion, name: &str, length: usize, raw: &mut impl Batch, ours: &mut impl Batch) {
    let mut group = criterion.benchmark_group(format!("{name}/{length}"));
    group.throughput(Throughput::Bytes(u64::try_from(length).unwrap_or(0)));
    group.bench_function("crate", |bencher| bencher.iter_custom(|packets| timed(raw, packets)));
    group.bench_function("trait", |bencher| bencher.iter_custom(|packets| timed(ours, packets)));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    let mut adapters = Table::new("Rows that call a crate", "crate", "trait");
    let id = EncrId::CHACHA20_POLY1305;
    algorithm::<ChaCha20Poly1305>(&mut criterion, &mut adapters, "ChaCha20-Poly1305", id);
    let id = EncrId::AES_CCM_16;
    algorithm::<Ccm<Aes256Enc, U16, U11>>(&mut criterion, &mut adapters, "AES-256-CCM", id);
    let mut composed = Table::new("AES-GCM, composed in the row", "crate", "trait");
    algorithm::<Aes256Gcm>(&mut criterion, &mut composed, "AES-256-GCM", EncrId::AES_GCM_16);
    algorithm::<Aes128Gcm>(&mut criterion, &mut composed, "AES-128-GCM", EncrId::AES_GCM_16);
    criterion.final_summary();
    println!("\n{adapters}\n{composed}");
}
