//! What IKE SAs take of memory, and what many idle ones cost: `cargo run --release -p benches --example ike_memory`
//!
//! Octets are counted at the allocator, as asked for. Cryptography is that of the portable provider.

#![allow(missing_docs)] // a program's private items

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant as Clock;

use benches::ike::{Flood, Peers, endpoint};
use ikev2_core::{CookiePolicy, Input, Output};
use ipsec_crypto::rustcrypto;
use ipsec_sa::Instant;

fn live() -> usize {
    tally::live().unsigned_abs()
}

/// IKE SAs, each with one child.
const SAS: usize = 100_000;

/// The median time of one of many calls.
fn median(mut call: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..2_001)
        .map(|_| {
            let began = Clock::now();
            call();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn idle_cost(peers: &mut Peers, kept: usize) {
    let later = peers.now + Duration::from_secs(2);
    let next = median(|| {
        black_box(peers.ends[kept].poll_output());
    });
    let nothing = median(|| {
        let _ = peers.ends[kept].handle_input(Input::Timeout(later));
        black_box(matches!(peers.ends[kept].poll_output(), Output::Timeout(_)));
    });
    println!("  next deadline {next:?}, a timeout with nothing due {nothing:?}");
}

/// Keeps one side's IKE SAs and has the other side forget all of its own after each.
fn fill(kept: usize) {
    let provider = rustcrypto::provider();
    let mut peers = Peers::new(&provider, false, 0);
    let (mut before, mut began) = (0, Clock::now());
    for number in 0..=SAS {
        // The first one brings what is there once.
        if number == 1 {
            before = live();
        }
        peers.ends[1 - kept] = endpoint(1 - kept, &provider, false, CookiePolicy::Never, number as u64 + 1);
        peers.set_up();
        peers.forget();
        if number + 1_000 == SAS {
            began = Clock::now();
        }
        if number == 1_000 || number == SAS {
            // The other end, made anew each time, is about as large each time.
            let each = (live() - before) / number.max(1);
            println!("  {number} IKE SAs with a child each: {each} octets each");
            idle_cost(&mut peers, kept);
        }
    }
    let last = began.elapsed() / 1_000;
    println!("  each of the last thousand set-ups took {last:?}, its other side's beginning counted in");
    let info = peers.ends[kept].ike_sas().count();
    assert_eq!(info, SAS + 1);
}

fn half_open() {
    let provider = rustcrypto::provider();
    let mut flood = Flood::new(&provider, CookiePolicy::Never);
    flood.send(Instant::from_secs(1));
    let before = live();
    (0..10_000).for_each(|_| flood.send(Instant::from_secs(1)));
    let each = (live() - before) / 10_000;
    let messages = flood.request_len() + flood.longest_answer;
    println!("half-open: {each} octets each, {messages} of them the two messages that AUTH needs");
    let mut flood = Flood::new(&provider, CookiePolicy::Always);
    flood.send(Instant::from_secs(1));
    let before = live();
    let began = Clock::now();
    (0..1_000_000).for_each(|_| flood.send(Instant::from_secs(1)));
    let rate = 1e6 / began.elapsed().as_secs_f64();
    println!(
        "cookies: {rate:.0} spoofed requests answered per second, {} octets more after a million; a request has {} \
         octets, an answer {}",
        live() as i64 - before as i64,
        flood.request_len(),
        flood.longest_answer
    );
}

fn main() {
    half_open();
    println!("responder:");
    fill(1);
    println!("initiator:");
    fill(0);
}
