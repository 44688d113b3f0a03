//! Every future of two endpoints with eight messages and two mishaps, for every scenario.

use std::time::Instant;

use testkit::explore::{Limits, SCENARIOS, Search, replay, scenario};

/// Far above what any scenario has: reaching it would be a change to look at.
const MOST_STATES: u64 = 3_000_000;

fn search(names: &[&str], limits: Limits) {
    for name in names {
        let scenario = scenario(name).expect("a scenario");
        let began = Instant::now();
        let outcome = Search::new(limits).run(scenario, (0, 1), |_| {});
        println!("{name:<32} {outcome} in {:.1?}", began.elapsed());
        if let Some(failure) = outcome.failure {
            let replay = replay(scenario, failure.limits, &failure.trail).expect("the trail fits");
            panic!("{failure}\n{}", replay.text);
        }
        assert_eq!(outcome.cut_off, 0, "{name}: {outcome}");
        assert!(outcome.states > 50 && outcome.different_ends > 0, "{name}: {outcome}");
    }
}

const GATE: Limits = Limits { messages: 8, faults: 2, states: MOST_STATES };

/// Half a million states: a test of its own, beside the others.
const WIDE: [&str; 1] = ["child-rekey-offloaded"];

#[test]
fn eight_messages_with_two_mishaps_in_every_scenario() {
    let names: Vec<&str> =
        testkit::explore::names().into_iter().filter(|name| !WIDE.contains(name)).collect();
    assert_eq!(names.len() + WIDE.len(), SCENARIOS.len());
    search(&names, GATE);
}

#[test]
fn eight_messages_with_two_mishaps_in_the_widest_scenario() {
    search(&WIDE, GATE);
}

#[test]
#[ignore = "takes hours: twelve messages with three mishaps; `cargo run --release -p testkit --bin explore -- deep` \
            does the same in shares, and goes on where it was"]
fn twelve_messages_with_three_mishaps_in_every_scenario() {
    let names: Vec<&str> = testkit::explore::names().into_iter().collect();
    search(&names, Limits { messages: 12, faults: 3, states: u64::MAX });
}

#[test]
fn shares_of_a_search_find_no_less_than_the_whole() {
    let scenario = scenario("ike-rekey").expect("a scenario");
    let limits = Limits { messages: 6, faults: 1, states: MOST_STATES };
    let whole = Search::new(limits).run(scenario, (0, 1), |_| {});
    let shares: u64 = (0..3).map(|share| Search::new(limits).run(scenario, (share, 3), |_| {}).states).sum();
    assert!(whole.failure.is_none() && shares >= whole.states, "{shares} {whole}");
}

#[test]
fn a_search_that_reaches_its_limit_says_what_it_left_out() {
    let scenario = scenario("ike-rekey").expect("a scenario");
    let outcome = Search::new(Limits { states: 100, ..GATE }).run(scenario, (0, 1), |_| {});
    assert!(outcome.states == 100 && outcome.cut_off > 0, "{outcome}");
}

#[test]
fn a_trail_is_followed_again_and_drawn() {
    let scenario = scenario("set-up").expect("a scenario");
    // The command, the request lost, sent again after a second.
    let replay = replay(scenario, GATE, "0l-1l-0l").expect("the trail fits");
    assert_eq!(replay.why, None);
    assert!(replay.text.contains("lost: ike_sa_init request 0 to the right"), "{}", replay.text);
    assert!(replay.text.contains("IKE_SA_INIT request 0, 209 octets, again"), "{}", replay.text);
    assert!(replay.sent.len() >= 5 && !replay.keys.is_empty());
    assert!(testkit::explore::replay(scenario, GATE, "7l").is_err());
}
