//! Deciding about a packet under ten thousand policies: scanned, searched, remembered.
//!
//! `cargo bench -p benches --bench spd`

#![allow(missing_docs)] // criterion's macros and a program's private items

use core::hint::black_box;

use benches::{Batch, Table, compare, timed};
use criterion::{Criterion, Throughput};
use ipsec_sa::{
    Direction, Flow, Policy, PolicyAction, PolicyId, ProtectSpec, SecurityPolicyDatabase, TrafficSelector,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const POLICIES: u32 = 10_000;

/// Policies of a large hub: a network of each branch's own, some of one port only, and a rest that is discarded.
fn database(policies: u32) -> SecurityPolicyDatabase {
    let mut spd = SecurityPolicyDatabase::new();
    let local = TrafficSelector::prefix([10, 0, 0, 0].into(), 8).expect("prefix");
    for number in 0..policies - 1 {
        let network = 0xac10_0000 + number / 4 * 256;
        let remote =
            TrafficSelector::prefix(core::net::Ipv4Addr::from_bits(network).into(), 24).expect("prefix");
        let (remote, action) = match number % 4 {
            0 => (remote.with_protocol(6).with_ports(22..=22), PolicyAction::Bypass),
            1 => (remote.with_protocol(17).with_ports(53..=53), PolicyAction::Discard),
            2 => (remote.with_protocol(6), PolicyAction::Protect(ProtectSpec::tunnel(number))),
            _ => (remote, PolicyAction::Protect(ProtectSpec::tunnel(number))),
        };
        spd.insert(Policy::new(PolicyId(number), "", vec![local], vec![remote], action)).expect("policy");
    }
    let any = vec![TrafficSelector::any_v4()];
    spd.insert(Policy::new(PolicyId(policies), "", any.clone(), any, PolicyAction::Discard)).expect("policy");
    spd
}

fn flows(policies: u32, count: usize) -> Vec<Flow> {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    (0..count)
        .map(|_| {
            let network = 0xac10_0000 + rng.next_u32() % policies / 4 * 256;
            Flow {
                src: core::net::Ipv4Addr::from_bits(0x0a00_0000 | rng.next_u32() >> 8).into(),
                dst: core::net::Ipv4Addr::from_bits(network | (rng.next_u32() % 256)).into(),
                protocol: if rng.next_u32() % 2 == 0 { 6 } else { 17 },
                src_port: Some(rng.next_u32() as u16),
                dst_port: Some([22, 53, 443, 8080][rng.next_u32() as usize % 4]),
            }
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Way {
    /// Policy after policy, as RFC 4301 tells it.
    Scan,
    /// The compiled policies.
    Search,
    /// Flows that were seen before.
    Cached,
}

struct Decide {
    spd: SecurityPolicyDatabase,
    flows: Vec<Flow>,
    way: Way,
}

impl Decide {
    fn new(policies: u32, count: usize, way: Way) -> Self {
        let mut decide = Self { spd: database(policies), flows: flows(policies, count), way };
        if !matches!(way, Way::Scan) {
            decide.spd.compile();
        }
        decide
    }
}

impl Batch for Decide {
    fn packets(&self) -> usize {
        self.flows.len()
    }

    fn run(&mut self) {
        for flow in &self.flows {
            let id = match self.way {
                Way::Scan => self.spd.iter().find(|policy| policy.matches(Direction::Outbound, flow)),
                Way::Search => self.spd.outbound(flow),
                Way::Cached => self.spd.lookup(Direction::Outbound, flow),
            };
            black_box(id.map(|policy| policy.id));
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("spd");
    group.throughput(Throughput::Elements(1));
    let begun = std::time::Instant::now();
    database(POLICIES).compile();
    let compiled = begun.elapsed();
    let mut search = Decide::new(POLICIES, 1024, Way::Search);
    group.bench_function("search", |b| b.iter_custom(|n| timed(&mut search, n)));
    let mut cached = Decide::new(POLICIES, 256, Way::Cached);
    group.bench_function("cached", |b| b.iter_custom(|n| timed(&mut cached, n)));
    group.finish();
    let policies = POLICIES as usize;
    let mut table = Table::new("policy", "raw", "ours");
    let mut scan = Decide::new(POLICIES, 64, Way::Scan);
    table.push(compare("searched, beside a scan", policies, &mut scan, &mut search));
    let mut few = Decide::new(10, 256, Way::Cached);
    table.push(compare("cached, beside cached under ten", policies, &mut few, &mut cached));
    println!("{table}");
    println!("ten thousand policies made and compiled in {compiled:?}");
}
