//! Finding one of a million SAs, beside a plain indexed load and beside what people use.
//!
//! `cargo bench -p benches --bench sad`

#![allow(missing_docs)] // criterion's macros and a program's private items

use core::hint::black_box;
use std::sync::RwLock;

use benches::{Batch, Table, compare, timed};
use criterion::{Criterion, Throughput};
use hashbrown::HashMap;
use ipsec_crypto::{Secret, rustcrypto};
use ipsec_esp::{EspOutbound, OuterHeader, SealJob, seal_batch};
use ipsec_sa::{
    CacheLine, Direction, Encapsulation, Outer, ReplayWindow, Role, SaAlgorithms, SaDatabase, SaKeys,
    SaParams,
};
use ipsec_wire::ike::EncrId;
use ipsec_wire::{IpProtocol, Spi};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustc_hash::FxBuildHasher;

const SAS: usize = 1_000_000;
/// Look-ups in a go, in an order that no prefetcher knows: so many that the lines of the SAs stay in no cache.
const LOOKUPS: usize = 1 << 20;

/// As large as an inbound SA beside its keys and window.
#[derive(Clone)]
struct Sa([u64; 38]);

impl Sa {
    fn new(number: usize) -> Self {
        Self([number as u64; 38])
    }

    #[inline]
    fn touch(&self) -> u64 {
        self.0[0]
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

/// An SA and its SPI, both at the start of a cache line.
#[repr(C, align(64))]
struct Aligned {
    spi: u32,
    sa: Sa,
}

/// One line of SAs as long as the database, and places in it.
struct Indexed {
    sas: Vec<Aligned>,
    places: Vec<u32>,
}

impl Batch for Indexed {
    fn packets(&self) -> usize {
        self.places.len()
    }

    fn run(&mut self) {
        let mut sum = 0u64;
        for place in &self.places {
            let Aligned { spi, sa } = &self.sas[*place as usize];
            sum = sum.wrapping_add(sa.touch()).wrapping_add(u64::from(*spi));
        }
        black_box(sum);
    }
}

struct Database {
    sad: SaDatabase<Sa, CacheLine>,
    spis: Vec<Spi>,
}

impl Batch for Database {
    fn packets(&self) -> usize {
        self.spis.len()
    }

    fn run(&mut self) {
        let mut sum = 0u64;
        for spi in &self.spis {
            if let Some(sa) = self.sad.lookup(*spi) {
                sum = sum.wrapping_add(sa.touch());
            }
        }
        black_box(sum);
    }
}

struct Hashed {
    sas: RwLock<HashMap<u32, Sa, FxBuildHasher>>,
    spis: Vec<Spi>,
}

impl Batch for Hashed {
    fn packets(&self) -> usize {
        self.spis.len()
    }

    fn run(&mut self) {
        let mut sum = 0u64;
        for spi in &self.spis {
            let sas = self.sas.read().expect("lock");
            if let Some(sa) = sas.get(&spi.0) {
                sum = sum.wrapping_add(sa.touch());
            }
        }
        black_box(sum);
    }
}

fn indexed() -> Indexed {
    let mut rng = rng();
    Indexed {
        sas: (0..SAS).map(|number| Aligned { spi: number as u32, sa: Sa::new(number) }).collect(),
        places: (0..LOOKUPS).map(|_| rng.next_u32() % SAS as u32).collect(),
    }
}

fn own() -> Database {
    let mut rng = rng();
    let mut sad = SaDatabase::aligned(SAS);
    let all: Vec<Spi> = (0..SAS)
        .map(|number| {
            let spi = sad.reserve(&mut rng).expect("room");
            assert!(sad.insert(spi, Sa::new(number)).is_ok());
            spi
        })
        .collect();
    let spis = (0..LOOKUPS).map(|_| all[rng.next_u32() as usize % SAS]).collect();
    Database { sad, spis }
}

fn arbitrary() -> Vec<Spi> {
    let mut rng = rng();
    let mut all: Vec<Spi> = (0..SAS + SAS / 100).map(|_| Spi(rng.next_u32() | 0x100)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn foreign() -> Database {
    let (mut rng, all) = (rng(), arbitrary());
    let mut sad = SaDatabase::aligned(all.len());
    for (number, spi) in all.iter().enumerate() {
        assert!(sad.insert_foreign(*spi, Sa::new(number)).is_ok());
    }
    let spis = (0..LOOKUPS).map(|_| all[rng.next_u32() as usize % all.len()]).collect();
    Database { sad, spis }
}

fn hashed() -> Hashed {
    let (mut rng, all) = (rng(), arbitrary());
    let sas = all.iter().enumerate().map(|(number, spi)| (spi.0, Sa::new(number))).collect();
    let spis = (0..LOOKUPS).map(|_| all[rng.next_u32() as usize % all.len()]).collect();
    Hashed { sas: RwLock::new(sas), spis }
}

/// Enough SAs that neither they nor their key schedules stay in a cache; each of them seals one packet in a go.
const SEALING_SAS: usize = 1 << 17;
const GATHERED: usize = 32;
const PAYLOAD: core::ops::Range<usize> = 64..128;

/// Look-up and seal, one packet at a time or gathered.
struct Sealing {
    sad: SaDatabase<EspOutbound, CacheLine>,
    spis: Vec<Spi>,
    buffers: Vec<[u8; 192]>,
    gather: bool,
}

impl Sealing {
    fn new(gather: bool) -> Self {
        let (mut rng, provider) = (rng(), rustcrypto::provider());
        let mut sad = SaDatabase::aligned(SEALING_SAS);
        let mut spis: Vec<Spi> = (0..SEALING_SAS)
            .map(|_| {
                let spi = sad.reserve(&mut rng).expect("room");
                let algorithms = SaAlgorithms { encr: Some(EncrId::AES_GCM_16), key_bits: 256, integ: None };
                let keys = SaKeys { encr: Secret::new(&[7; 36]), integ: Secret::new(&[]) };
                let outer = Outer {
                    local: [192, 0, 2, 1].into(),
                    remote: [192, 0, 2, 2].into(),
                    encapsulation: Encapsulation::None,
                };
                let params =
                    SaParams::new(spi, Direction::Outbound, Role::Initiator, algorithms, keys, outer);
                let sa = EspOutbound::new(&params, &provider, OuterHeader::None, &mut rng).expect("SA");
                assert!(sad.insert(spi, sa).is_ok());
                spi
            })
            .collect();
        for last in (1..spis.len()).rev() {
            spis.swap(last, rng.next_u32() as usize % (last + 1));
        }
        let mut buffer = [0; 192];
        buffer[64..72].copy_from_slice(&[0x45, 0, 0, 64, 0, 0, 0, 0]);
        Self { sad, spis, buffers: vec![buffer; GATHERED], gather }
    }
}

impl Batch for Sealing {
    fn packets(&self) -> usize {
        self.spis.len()
    }

    fn run(&mut self) {
        for spis in self.spis.chunks_exact(GATHERED) {
            if !self.gather {
                for (spi, buffer) in spis.iter().zip(&mut self.buffers) {
                    if let Some(sa) = self.sad.lookup_mut(*spi) {
                        let _ = black_box(sa.seal_in_place(buffer, PAYLOAD, IpProtocol::UDP));
                    }
                }
                continue;
            }
            // This brings in the SAs, one wait beside the other.
            black_box(
                spis.iter()
                    .fold(0, |sum, spi| sum ^ self.sad.lookup(*spi).map_or(0, |sa| sa.transform().spi().0)),
            );
            let mut numbers: [_; GATHERED] = [const { None }; GATHERED];
            for ((spi, buffer), number) in spis.iter().zip(&self.buffers).zip(&mut numbers) {
                *number =
                    self.sad.lookup_mut(*spi).and_then(|sa| sa.admit(buffer, &PAYLOAD, IpProtocol::UDP).ok());
            }
            let mut jobs: Vec<SealJob<'_>> = Vec::with_capacity(GATHERED);
            for ((spi, buffer), number) in spis.iter().zip(&mut self.buffers).zip(numbers) {
                if let (Some(sa), Some(number)) = (self.sad.lookup(*spi), number) {
                    jobs.push(SealJob::new(sa.transform(), number, buffer, PAYLOAD, IpProtocol::UDP));
                }
            }
            seal_batch(&mut jobs);
            black_box(&jobs);
        }
    }
}

/// A replay window, checked and moved on by one packet each time.
struct Replay {
    window: ReplayWindow,
    next: u64,
}

impl Batch for Replay {
    fn packets(&self) -> usize {
        LOOKUPS
    }

    fn run(&mut self) {
        for _ in 0..LOOKUPS {
            self.next += 1;
            let number = black_box(self.next);
            if self.window.check(number).is_ok() {
                let _ = black_box(self.window.accept(number));
            }
        }
    }
}

struct Nothing;

impl Batch for Nothing {
    fn packets(&self) -> usize {
        LOOKUPS
    }

    fn run(&mut self) {
        for number in 0..LOOKUPS {
            black_box(number);
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("sad");
    group.throughput(Throughput::Elements(1));
    let (mut raw, mut ours) = (indexed(), own());
    group.bench_function("index in the SPI", |b| b.iter_custom(|n| timed(&mut ours, n)));
    let mut table = Table::new("look-up", "raw", "ours");
    table.push(compare("index in the SPI, beside a plain load", SAS, &mut raw, &mut ours));
    drop((raw, ours));
    let (mut raw, mut ours) = (hashed(), foreign());
    group.bench_function("arbitrary SPI", |b| b.iter_custom(|n| timed(&mut ours, n)));
    table.push(compare("arbitrary SPI, beside hashbrown and Fx in an RwLock", SAS, &mut raw, &mut ours));
    drop((raw, ours));
    let (mut one, mut gathered) = (Sealing::new(false), Sealing::new(true));
    table.push(compare("look-up and seal, 32 gathered beside one by one", 64, &mut one, &mut gathered));
    drop((one, gathered));
    let mut replay = Replay { window: ReplayWindow::new(1024), next: 0 };
    group.bench_function("replay", |b| b.iter_custom(|n| timed(&mut replay, n)));
    table.push(compare("replay check and update, beside a loop", 1024, &mut Nothing, &mut replay));
    group.finish();
    println!("{table}");
}
