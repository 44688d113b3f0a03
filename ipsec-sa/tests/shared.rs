//! Real threads on what an SA shares between cores; every interleaving of a few is in `loom.rs`.
#![cfg(not(loom))]
#![allow(clippy::std_instead_of_alloc, reason = "a test has std")]

use std::collections::BTreeSet;
use std::thread;

use ipsec_sa::{SharedReplayWindow, SharedSequenceCounter};
use ipsec_wire::ike::SnId;

#[test]
fn threads_neither_take_nor_accept_a_number_twice() {
    const EACH: u64 = 20_000;
    let counter = SharedSequenceCounter::new(SnId::SEQUENTIAL_64, 0);
    let window = SharedReplayWindow::new(65536, 0);
    let taken: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| (0..EACH).map(|_| counter.reserve().unwrap().value()).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 3 * EACH as usize);
    let accepted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| taken.iter().filter(|seq| window.accept(**seq).is_ok()).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(accepted, taken.len());
}
