//! What the traits of `ipsec-crypto` cost over calling the crate behind a row directly: AES-GCM with 16-octet ICVs.
//!
//! `cargo bench -p benches --bench aead`

#![allow(missing_docs)] // criterion's macros and a program's private items

use core::time::Duration;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm, Nonce};
use benches::{Batch, LENGTHS, Table, compare, packets_in_cache, timed};
use criterion::{Criterion, Throughput};
use ipsec_crypto::{AeadKey, rustcrypto};
use ipsec_wire::ike::EncrId;

const KEY: [u8; 32] = [0x42; 32];
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// A packet of ESP as the combined mode sees it.
struct Packet {
    nonce: [u8; NONCE_LEN],
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

impl<A: AeadInOut<NonceSize = aes_gcm::aead::consts::U12, TagSize = aes_gcm::aead::consts::U16>> Way
    for Direct<A>
{
    fn seal(&self, packet: &mut Packet) {
        let nonce = Nonce::from(packet.nonce);
        let tag = self.0.encrypt_inout_detached(&nonce, &packet.aad, packet.data.as_mut_slice().into());
        packet.tag = tag.expect("sealed").into();
    }
    fn open(&self, packet: &mut Packet) {
        let (nonce, tag) = (Nonce::from(packet.nonce), packet.tag.into());
        let data = packet.data.as_mut_slice().into();
        self.0.decrypt_inout_detached(&nonce, &packet.aad, data, &tag).expect("opened");
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
    fn new(way: W, length: usize) -> Self {
        let packet = |number: usize| Packet {
            nonce: [u8::try_from(number % 251).unwrap_or(0); NONCE_LEN],
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
            let [.., low] = &mut packet.nonce;
            *low = low.wrapping_add(1);
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

fn through_the_trait(key: &[u8]) -> Trait {
    let provider = rustcrypto::provider();
    let row = provider.encr(EncrId::AES_GCM_16).expect("row");
    Trait(row.aead_key(key).expect("key"))
}

fn key_length<A: KeyInit>(criterion: &mut Criterion, table: &mut Table, name: &str)
where
    Direct<A>: Way,
{
    let key = &KEY[..A::key_size()];
    let direct = || Direct(A::new_from_slice(key).expect("key"));
    for length in LENGTHS {
        let mut raw = Seal::new(direct(), length);
        let mut ours = Seal::new(through_the_trait(key), length);
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
    let mut table = Table::new("AES-GCM-16, RustCrypto", "crate", "trait");
    key_length::<Aes256Gcm>(&mut criterion, &mut table, "AES-256-GCM");
    key_length::<Aes128Gcm>(&mut criterion, &mut table, "AES-128-GCM");
    criterion.final_summary();
    println!("\n{table}");
}
