//! What a whole ESP packet costs over the algorithm alone: tunnel mode, sealed and opened in place, beside the same
//! provider's row on the same padded length.
//!
//! `cargo bench -p benches --bench esp`

#![allow(missing_docs)] // criterion's macros and a program's private items

use core::ops::Range;
use core::time::Duration;

use benches::{Batch, LENGTHS, Table, compare, packets_in_cache, timed};
use criterion::{Criterion, Throughput};
use ipsec_crypto::{AeadKey, Secret, rustcrypto};
use ipsec_esp::{EspInbound, EspOutbound, OuterHeader, Room};
use ipsec_sa::{Direction, Encapsulation, Outer, Role, SaAlgorithms, SaKeys, SaParams};
use ipsec_wire::ike::EncrId;
use ipsec_wire::{IpProtocol, Spi};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const KEY_LEN: usize = 32;
const SALT_LEN: usize = 4;
/// SPI, sequence number and IV.
const HEADER_LEN: usize = 16;
const ICV_LEN: usize = 16;
/// Pad length and next header.
const TRAILER_LEN: usize = 2;
const KEYMAT: [u8; KEY_LEN + SALT_LEN] = [0x42; KEY_LEN + SALT_LEN];

/// Payload and trailer as RFC 4303 §2.4 pads them for a combined mode.
const fn padded(length: usize) -> usize {
    (length + TRAILER_LEN).next_multiple_of(4)
}

/// The algorithm alone, over packets laid out as ESP lays them out: the nonce changes from packet to packet.
struct RawSeal {
    key: Box<dyn AeadKey>,
    nonce: u64,
    packets: Vec<Vec<u8>>,
}

impl RawSeal {
    fn new(length: usize) -> Self {
        let row = rustcrypto::provider().encr(EncrId::AES_GCM_16).expect("row");
        let packet = vec![0x5a; HEADER_LEN + padded(length) + ICV_LEN];
        Self {
            key: row.aead_key(&KEYMAT[..KEY_LEN]).expect("key"),
            nonce: 0,
            packets: vec![packet; packets_in_cache(length)],
        }
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0x42; 12];
    nonce[SALT_LEN..].copy_from_slice(&number.to_be_bytes());
    nonce
}

/// AAD, what is encrypted, and the tag.
fn parts(packet: &mut [u8]) -> (&[u8], &mut [u8], &mut [u8]) {
    let (header, rest) = packet.split_at_mut(HEADER_LEN);
    let (body, icv) = rest.split_at_mut(rest.len() - ICV_LEN);
    (&header[..8], body, icv)
}

impl Batch for RawSeal {
    fn packets(&self) -> usize {
        self.packets.len()
    }
    fn run(&mut self) {
        for packet in &mut self.packets {
            self.nonce += 1;
            let (aad, body, icv) = parts(packet);
            self.key.seal(&nonce(self.nonce), aad, body, icv).expect("sealed");
        }
    }
}

struct RawOpen(RawSeal);

impl Batch for RawOpen {
    fn packets(&self) -> usize {
        self.0.packets.len()
    }
    fn prepare(&mut self) {
        self.0.run();
    }
    fn run(&mut self) {
        let first = self.0.nonce + 1 - self.0.packets.len() as u64;
        for (number, packet) in (first..).zip(&mut self.0.packets) {
            let (aad, body, icv) = parts(packet);
            self.0.key.open(&nonce(number), aad, body, icv).expect("opened");
        }
    }
}

/// Inner IPv4 packets with room around them.
struct EspSeal {
    outbound: EspOutbound,
    inner: Vec<u8>,
    payload: Range<usize>,
    packets: Vec<Vec<u8>>,
    /// Where the sealed packets lie.
    sealed: Range<usize>,
}

fn params(direction: Direction, encapsulation: Encapsulation) -> SaParams {
    let algorithms = SaAlgorithms { encr: Some(EncrId::AES_GCM_16), key_bits: 256, integ: None };
    let keys = SaKeys { encr: Secret::new(&KEYMAT), integ: Secret::new(&[]) };
    let outer = Outer { local: [192, 0, 2, 1].into(), remote: [192, 0, 2, 2].into(), encapsulation };
    SaParams::new(Spi(0x1000), direction, Role::Initiator, algorithms, keys, outer).with_replay_window(1024)
}

/// An IPv4 packet of UDP.
fn inner_packet(length: usize) -> Vec<u8> {
    let mut packet = vec![0x5a; length];
    let [high, low] = u16::try_from(length).expect("length").to_be_bytes();
    let header = [0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet[..header.len()].copy_from_slice(&header);
    packet
}

impl EspSeal {
    fn new(length: usize, encapsulation: Encapsulation, outer: OuterHeader) -> Self {
        let params = params(Direction::Outbound, encapsulation);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let outbound = EspOutbound::new(&params, &rustcrypto::provider(), outer, &mut rng).expect("SA");
        let Room { head, tail } = outbound.room(length);
        let packet = vec![0; head + length + tail];
        Self {
            outbound,
            inner: inner_packet(length),
            payload: head..head + length,
            packets: vec![packet; packets_in_cache(length)],
            sealed: 0..0,
        }
    }
}

impl Batch for EspSeal {
    fn packets(&self) -> usize {
        self.packets.len()
    }
    fn prepare(&mut self) {
        for packet in &mut self.packets {
            packet[self.payload.clone()].copy_from_slice(&self.inner);
        }
    }
    fn run(&mut self) {
        for packet in &mut self.packets {
            let sealed = self.outbound.seal_in_place(packet, self.payload.clone(), IpProtocol::IPV4);
            self.sealed = sealed.expect("sealed");
        }
    }
}

struct EspOpen {
    seal: EspSeal,
    inbound: EspInbound,
}

impl EspOpen {
    fn new(length: usize) -> Self {
        let inbound = params(Direction::Inbound, Encapsulation::None);
        Self {
            seal: EspSeal::new(length, Encapsulation::None, OuterHeader::None),
            inbound: EspInbound::new(&inbound, &rustcrypto::provider()).expect("SA"),
        }
    }
}

impl Batch for EspOpen {
    fn packets(&self) -> usize {
        self.seal.packets()
    }
    fn prepare(&mut self) {
        self.seal.prepare();
        self.seal.run();
    }
    fn run(&mut self) {
        for packet in &mut self.seal.packets {
            let packet = &mut packet[self.seal.sealed.clone()];
            self.inbound.open_in_place(packet).expect("opened");
        }
    }
}

fn one(
    criterion: &mut Criterion,
    table: &mut Table,
    name: &str,
    length: usize,
    raw: &mut impl Batch,
    ours: &mut impl Batch,
) {
    let mut group = criterion.benchmark_group(format!("{name}/{length}"));
    group.throughput(Throughput::Bytes(u64::try_from(length).unwrap_or(0)));
    group.bench_function("AEAD", |bencher| bencher.iter_custom(|packets| timed(raw, packets)));
    group.bench_function("ESP", |bencher| bencher.iter_custom(|packets| timed(ours, packets)));
    group.finish();
    table.push(compare(name, length, raw, ours));
}

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    let mut table = Table::new("ESP tunnel, AES-256-GCM-16, RustCrypto, in place", "AEAD", "ESP");
    for length in LENGTHS {
        let raw = &mut RawSeal::new(length);
        let ours = &mut EspSeal::new(length, Encapsulation::None, OuterHeader::None);
        one(&mut criterion, &mut table, "seal", length, raw, ours);
    }
    for length in LENGTHS {
        let (raw, ours) = (&mut RawOpen(RawSeal::new(length)), &mut EspOpen::new(length));
        one(&mut criterion, &mut table, "open", length, raw, ours);
    }
    let udp = Encapsulation::Udp { local_port: 4500, remote_port: 4500 };
    for length in LENGTHS {
        let raw = &mut RawSeal::new(length);
        let ours = &mut EspSeal::new(length, udp, OuterHeader::Ip);
        one(&mut criterion, &mut table, "seal, with outer IPv4 and UDP headers", length, raw, ours);
    }
    criterion.final_summary();
    println!("\n{table}");
}
