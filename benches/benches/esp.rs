//! What a whole ESP packet costs over the algorithm alone: tunnel mode, sealed and opened in place, beside the same
//! provider's row on the same padded length; beside WireGuard's packets by `boringtun`; and on two cores.
//!
//! `cargo bench -p benches --bench esp`

#![allow(missing_docs)] // criterion's macros and a program's private items

use core::ops::Range;
use core::time::Duration;
use std::sync::Mutex;
use std::time::Instant;

use benches::{Batch, LENGTHS, Table, compare, packets_in_cache, timed};
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use criterion::{Criterion, Throughput};
use ipsec_crypto::{AeadKey, CryptoProvider, Secret, rustcrypto};
use ipsec_esp::{EspInbound, EspOutbound, OuterHeader, Room, SharedOutbound};
use ipsec_sa::{Direction, Encapsulation, Outer, Role, SaAlgorithms, SaKeys, SaParams};
use ipsec_wire::ike::EncrId;
use ipsec_wire::{IpProtocol, Spi};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A provider's row of 256-bit keys, with IVs of 8 octets and ICVs of 16.
#[derive(Clone, Copy)]
struct Suite {
    provider: fn() -> CryptoProvider,
    encr: EncrId,
    key_bits: u16,
}

const GCM: Suite = Suite { provider: rustcrypto::provider, encr: EncrId::AES_GCM_16, key_bits: 256 };
const FAST_GCM: Suite = Suite { provider: ipsec_crypto_aws_lc::provider, ..GCM };
const FAST_CHACHA: Suite = Suite { encr: EncrId::CHACHA20_POLY1305, key_bits: 0, ..FAST_GCM };

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
    fn new(suite: &Suite, length: usize) -> Self {
        let row = (suite.provider)().encr(suite.encr).expect("row");
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

fn params(suite: &Suite, direction: Direction, encapsulation: Encapsulation) -> SaParams {
    let algorithms = SaAlgorithms { encr: Some(suite.encr), key_bits: suite.key_bits, integ: None };
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
    fn new(suite: &Suite, length: usize, encapsulation: Encapsulation, outer: OuterHeader) -> Self {
        let params = params(suite, Direction::Outbound, encapsulation);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let outbound = EspOutbound::new(&params, &(suite.provider)(), outer, &mut rng).expect("SA");
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
    fn new(suite: &Suite, length: usize) -> Self {
        let inbound = params(suite, Direction::Inbound, Encapsulation::None);
        Self {
            seal: EspSeal::new(suite, length, Encapsulation::None, OuterHeader::None),
            inbound: EspInbound::new(&inbound, &(suite.provider)()).expect("SA"),
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

/// WireGuard's data packets (ChaCha20-Poly1305, not in place) by `boringtun`.
struct WireGuardSeal {
    here: Tunn,
    inner: Vec<u8>,
    packets: Vec<Vec<u8>>,
    /// Octets of a sealed packet.
    len: usize,
}

struct WireGuardOpen {
    seal: WireGuardSeal,
    there: Tunn,
    out: Vec<u8>,
}

/// Both ends of a session.
fn session() -> (Tunn, Tunn) {
    let secrets = [1u8, 2].map(|octet| StaticSecret::from([octet; 32]));
    let publics = [PublicKey::from(&secrets[0]), PublicKey::from(&secrets[1])];
    let [first, second] = secrets;
    let mut here = Tunn::new(first, publics[1], None, None, 1, None);
    let mut there = Tunn::new(second, publics[0], None, None, 2, None);
    let mut buffers = [[0u8; 2048]; 4];
    let [a, b, c, d] = &mut buffers;
    let TunnResult::WriteToNetwork(initiation) = here.format_handshake_initiation(a, false) else {
        panic!("an initiation")
    };
    let TunnResult::WriteToNetwork(response) = there.decapsulate(None, initiation, b) else {
        panic!("a response")
    };
    let TunnResult::WriteToNetwork(keepalive) = here.decapsulate(None, response, c) else {
        panic!("a keepalive")
    };
    assert!(matches!(there.decapsulate(None, keepalive, d), TunnResult::Done));
    (here, there)
}

impl WireGuardOpen {
    fn new(length: usize) -> Self {
        let (here, there) = session();
        let packets = vec![vec![0; length + 64]; packets_in_cache(length)];
        let seal = WireGuardSeal { here, inner: inner_packet(length), packets, len: 0 };
        Self { seal, there, out: vec![0; length + 64] }
    }
}

impl Batch for WireGuardSeal {
    fn packets(&self) -> usize {
        self.packets.len()
    }
    fn run(&mut self) {
        for packet in &mut self.packets {
            let TunnResult::WriteToNetwork(sealed) = self.here.encapsulate(&self.inner, packet) else {
                panic!("a packet")
            };
            self.len = sealed.len();
        }
    }
}

impl Batch for WireGuardOpen {
    fn packets(&self) -> usize {
        self.seal.packets.len()
    }
    fn prepare(&mut self) {
        self.seal.run();
    }
    fn run(&mut self) {
        for packet in &self.seal.packets {
            let opened = self.there.decapsulate(None, &packet[..self.seal.len], &mut self.out);
            assert!(matches!(opened, TunnResult::WriteToTunnelV4(..)));
        }
    }
}

/// Seals a payload, on a core of this number.
type Seal<'a> = dyn Fn(usize, &mut [u8], Range<usize>) + Sync + 'a;

/// Packets that each of `cores` threads seals a microsecond, all threads together.
fn packets_per_microsecond(cores: usize, length: usize, seal: &Seal<'_>) -> f64 {
    const EACH: u32 = 100_000;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || {
                let mut buf = vec![0; length + 128];
                let inner = inner_packet(length);
                for _ in 0..EACH {
                    buf[64..64 + 20].copy_from_slice(&inner[..20]);
                    seal(core, &mut buf, 64..64 + length);
                }
            });
        }
    });
    cores as f64 * f64::from(EACH) / begun.elapsed().as_secs_f64() / 1e6
}

/// One SA for each core (RFC 9611) beside one that all share, on one and two cores.
fn scaling(suite: &Suite) {
    println!(
        "| octets | SAs | one core, packets/µs | two cores, packets/µs | scaling |\n|---:|---|---:|---:|---:|"
    );
    let params = params(suite, Direction::Outbound, Encapsulation::None);
    let (provider, mut rng) = ((suite.provider)(), ChaCha20Rng::seed_from_u64(1));
    for length in [64, 1400] {
        let own = [(); 2].map(|()| {
            let sa = EspOutbound::new(&params, &provider, OuterHeader::None, &mut rng).expect("SA");
            Mutex::new(sa)
        });
        // Nobody else takes the lock: it stands for a core's own SA, and costs the same on one core and on two.
        let each = |core: usize, buf: &mut [u8], payload: Range<usize>| {
            let mut sa = own[core].lock().expect("lock");
            sa.seal_in_place(buf, payload, IpProtocol::IPV4).expect("sealed");
        };
        let one = SharedOutbound::new(&params, &provider, OuterHeader::None, &mut rng).expect("SA");
        let shared = |_: usize, buf: &mut [u8], payload: Range<usize>| {
            one.seal_in_place(buf, payload, IpProtocol::IPV4).expect("sealed");
        };
        let kinds: [(&str, &Seal<'_>); 2] = [("one for each core", &each), ("one for all cores", &shared)];
        for (name, seal) in kinds {
            let mut rates = [1, 2].map(|cores| {
                let mut runs: Vec<f64> =
                    (0..7).map(|_| packets_per_microsecond(cores, length, seal)).collect();
                runs.sort_by(f64::total_cmp);
                runs[runs.len() / 2]
            });
            rates[0] = rates[0].max(f64::MIN_POSITIVE);
            let scaling = rates[1] / rates[0];
            println!("| {length} | {name} | {:.2} | {:.2} | {scaling:.2} |", rates[0], rates[1]);
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
    for (suite, provider) in [(&GCM, "RustCrypto"), (&FAST_GCM, "aws-lc")] {
        let title = format!("ESP tunnel, AES-256-GCM-16, {provider}, in place");
        let mut table = Table::new(&title, "AEAD", "ESP");
        for length in LENGTHS {
            let raw = &mut RawSeal::new(suite, length);
            let ours = &mut EspSeal::new(suite, length, Encapsulation::None, OuterHeader::None);
            one(&mut criterion, &mut table, "seal", length, raw, ours);
        }
        for length in LENGTHS {
            let raw = &mut RawOpen(RawSeal::new(suite, length));
            one(&mut criterion, &mut table, "open", length, raw, &mut EspOpen::new(suite, length));
        }
        let udp = Encapsulation::Udp { local_port: 4500, remote_port: 4500 };
        for length in LENGTHS {
            let raw = &mut RawSeal::new(suite, length);
            let ours = &mut EspSeal::new(suite, length, udp, OuterHeader::Ip);
            one(&mut criterion, &mut table, "seal, with outer IPv4 and UDP headers", length, raw, ours);
        }
        println!("\n{table}");
    }
    let mut table = Table::new("ESP tunnel, aws-lc, in place, beside boringtun 0.7", "boringtun", "ESP");
    for (suite, cipher) in [(&FAST_GCM, "AES-256-GCM"), (&FAST_CHACHA, "ChaCha20-Poly1305")] {
        for length in LENGTHS {
            let ours = &mut EspSeal::new(suite, length, Encapsulation::None, OuterHeader::None);
            let theirs = &mut WireGuardOpen::new(length).seal;
            table.push(compare(&format!("seal, {cipher}"), length, theirs, ours));
        }
        for length in LENGTHS {
            let theirs = &mut WireGuardOpen::new(length);
            table.push(compare(&format!("open, {cipher}"), length, theirs, &mut EspOpen::new(suite, length)));
        }
    }
    println!("\n{table}");
    scaling(&FAST_GCM);
    criterion.final_summary();
}
