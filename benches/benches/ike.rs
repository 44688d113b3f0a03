//! IKE SAs set up, replaced and looked after by two endpoints on one core, beside the bare cryptography of it.
//!
//! `cargo bench -p benches --bench ike`

#![allow(missing_docs)] // criterion's macros and a program's private items

use benches::ike::{Bare, Flood, Peers};
use benches::{Batch, Table, compare, timed};
use criterion::{Criterion, Throughput};
use ikev2_core::CookiePolicy;
use ipsec_crypto::{CryptoProvider, rustcrypto};
use ipsec_sa::Instant;

/// Set-ups in a go: endpoints are made before, and not timed.
const SET_UPS: usize = 8;
const REKEYS: usize = 16;
const REQUESTS: usize = 1000;

struct SetUps {
    provider: CryptoProvider,
    peers: Vec<Peers>,
    seed: u64,
}

impl Batch for SetUps {
    fn packets(&self) -> usize {
        SET_UPS
    }

    fn prepare(&mut self) {
        self.seed += SET_UPS as u64;
        let seeds = self.seed..self.seed + SET_UPS as u64;
        self.peers = seeds.map(|seed| Peers::new(&self.provider, false, seed)).collect();
    }

    fn run(&mut self) {
        self.peers.iter_mut().for_each(Peers::set_up);
    }
}

struct Repeated<F> {
    times: usize,
    once: F,
}

impl<F: FnMut()> Batch for Repeated<F> {
    fn packets(&self) -> usize {
        self.times
    }

    fn run(&mut self) {
        (0..self.times).for_each(|_| (self.once)());
    }
}

fn established(provider: &CryptoProvider, pfs: bool) -> Peers {
    let mut peers = Peers::new(provider, pfs, 1);
    peers.set_up();
    peers
}

/// How long the messages of an operation are.
fn lengths(peers: &mut Peers, operation: impl Fn(&mut Peers)) -> Vec<usize> {
    peers.forget();
    operation(peers);
    core::mem::take(&mut peers.lengths)
}

fn provider(criterion: &mut Criterion, name: &str, provider: &CryptoProvider) {
    let mut group = criterion.benchmark_group(format!("ike/{name}"));
    group.throughput(Throughput::Elements(1)).sample_size(20);
    let title = format!("{name}: one operation, both sides");
    let mut table = Table::new(&title, "cryptography", "IKE");

    let mut ours = SetUps { provider: provider.clone(), peers: Vec::new(), seed: 0 };
    group.bench_function("set-up", |b| b.iter_custom(|n| timed(&mut ours, n)));
    let sent = lengths(&mut Peers::new(provider, false, 1), Peers::set_up);
    let mut bare = Bare::new(provider);
    let mut raw = Repeated { times: SET_UPS, once: || bare.set_up(&sent) };
    table.push(compare("set-up: IKE_SA_INIT, IKE_AUTH", sent.iter().sum(), &mut raw, &mut ours));

    type Once = (&'static str, bool, fn(&mut Peers), fn(&mut Bare, &[usize]));
    let operations: [Once; 4] = [
        ("child rekey", false, Peers::rekey_child, |bare, sent| bare.rekey_child(sent, false)),
        ("child rekey, PFS", true, Peers::rekey_child, |bare, sent| bare.rekey_child(sent, true)),
        ("IKE rekey", false, Peers::rekey_ike, Bare::rekey_ike),
        ("liveness", false, Peers::check_liveness, Bare::check_liveness),
    ];
    for (what, pfs, operation, work) in operations {
        let mut peers = established(provider, pfs);
        let sent = lengths(&mut peers, operation);
        let mut bare = Bare::new(provider);
        let mut ours = Repeated {
            times: REKEYS,
            once: || {
                operation(&mut peers);
                peers.forget();
            },
        };
        group.bench_function(what, |b| b.iter_custom(|n| timed(&mut ours, n)));
        let mut raw = Repeated { times: REKEYS, once: || work(&mut bare, &sent) };
        table.push(compare(what, sent.iter().sum(), &mut raw, &mut ours));
    }

    let mut flood = Flood::new(provider, CookiePolicy::Always);
    flood.send(Instant::from_secs(1));
    let mut ours = Repeated { times: REQUESTS, once: || flood.send(Instant::from_secs(1)) };
    group.bench_function("cookie", |b| b.iter_custom(|n| timed(&mut ours, n)));
    group.finish();
    println!("{table}");
    let (request, answer) = (flood.request_len(), flood.longest_answer);
    println!("a spoofed request of {request} octets is answered with {answer}\n");
    assert!(flood.answers > 0 && flood.victim.ike_sas().count() == 0);
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    provider(&mut criterion, "rustcrypto", &rustcrypto::provider());
    provider(&mut criterion, "aws-lc", &ipsec_crypto_aws_lc::provider());
}
