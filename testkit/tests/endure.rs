//! A few hundred long runs; `cargo run --release -p testkit --bin endure -- run 0 100000 100 endure` is the deep one.

use std::time::Instant;

use testkit::endure::{Outcome, run};

#[test]
fn ten_hours_each_of_a_few_hundred_seeds() {
    let began = Instant::now();
    let all = (0..300).fold(Outcome::default(), |all, seed| {
        let outcome = run(seed, 10, None);
        assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap_or_default());
        all.and(outcome)
    });
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!("{all}: {:.0} simulated hours per minute", all.simulated.as_secs_f64() / 3600.0 / minutes);
    assert!(all.restarts > 50 && all.rebindings > 50, "{all}");
}
