//! A few hundred long runs; `cargo run --release -p testkit --bin endure -- run 0 100000 100 endure` is the deep one.

use std::time::Instant;

use testkit::endure::{Outcome, replay, run};

const HOURS: u32 = 10;

#[test]
fn ten_hours_each_of_a_few_hundred_seeds() {
    let began = Instant::now();
    let all = (0..300).fold(Outcome::default(), |all, seed| {
        let outcome = run(seed, HOURS, None);
        if outcome.failure.is_some() {
            let (again, folder) = replay(seed, HOURS);
            panic!("{}\ncapture and keys: {}", again.failure.unwrap_or_default(), folder.display());
        }
        all.and(outcome)
    });
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!("{all}: {:.0} simulated hours per minute", all.simulated.as_secs_f64() / 3600.0 / minutes);
    assert!(all.restarts > 50 && all.rebindings > 50 && all.closed > 10_000, "{all}");
}

/// A hub that restarts just before a spoke renews its authentication: the old IKE SA answers nothing any more, not even
/// its deletion, and was renewed a second time while that waited.
#[test]
fn a_renewal_against_a_hub_that_has_restarted_is_made_once() {
    let outcome = run(112, 20, None);
    assert_eq!(outcome.failure, None);
}

#[test]
fn a_replay_does_the_same_and_leaves_a_capture_and_keys() {
    // Several spokes behind one NAT.
    let seed = 4;
    let (again, folder) = replay(seed, 1);
    let first = run(seed, 1, None);
    assert_eq!(
        (again.datagrams, again.closed, again.longest_dark),
        (first.datagrams, first.closed, first.longest_dark)
    );
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    assert!(size("run.pcapng") > 10_000 && size("ikev2_decryption_table") > 100, "{}", folder.display());
    std::fs::remove_dir_all(folder).expect("it was written");
}
