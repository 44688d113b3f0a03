//! What the SA database takes beside the SAs, counted by an allocator (`cargo test -p ipsec-sa --test memory -- --nocapture`).

use ipsec_sa::{ReplayWindow, SaDatabase};
use ipsec_wire::Spi;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Octets that are allocated after the work and were not before.
fn octets<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let (made, octets) = tally::kept(work);
    (made, octets.unsigned_abs())
}

const SAS: usize = 100_000;
const BODY: usize = size_of::<[u64; 40]>();

#[test]
fn an_sa_takes_seventeen_octets_of_index_at_most() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (own, taken) = octets(|| {
        let mut sad = SaDatabase::new(SAS);
        for _ in 0..SAS {
            let spi = sad.reserve(&mut rng).unwrap();
            assert!(sad.insert(spi, Box::new([0u64; 40])).is_ok());
        }
        sad
    });
    let index = (taken - SAS * BODY) as f64 / SAS as f64;
    println!("index in the SPI: {index:.2} octets an SA, its pointer included");
    assert!(index <= 17.0 && own.len() == SAS);

    // SPIs of others: the table in front, which finds an SA by its number.
    let spis: Vec<Spi> = (0..SAS).map(|_| Spi(rng.next_u32() | 0x100)).collect();
    let (foreign, taken) = octets(|| {
        let mut sad = SaDatabase::new(SAS);
        for spi in &spis {
            let _ = sad.insert_foreign(*spi, Box::new([0u64; 40]));
        }
        sad
    });
    let places = foreign.len();
    let index = (taken - places * BODY) as f64 / places as f64;
    println!("SPIs of others: {index:.2} octets an SA, its place in the slab included");
}

#[test]
fn a_window_takes_what_it_says() {
    for packets in [64u32, 1024, 4096, 65536] {
        let (window, taken) = octets(|| ReplayWindow::new(packets));
        println!("window of {packets}: {} octets", taken + size_of::<ReplayWindow>());
        assert!(taken <= packets as usize / 4 && window.size() == packets);
    }
}
