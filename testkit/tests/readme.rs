//! The ladder in the README is what the stack does.

use core::time::Duration;

use testkit::ladder::Side;
use testkit::network::Fate;
use testkit::pair::{Pair, Setup};

/// A lost answer, then both sides rekey the same Child SA at once.
fn run() -> Pair {
    let mut pair = Pair::new(Setup::psk(1, "aes256gcm16-prfsha384-x25519", "aes256gcm16"));
    let mut count = 0;
    pair.network.intercept(move |_| {
        count += 1;
        if count == 4 { Fate::Drop } else { Fate::Pass }
    });
    pair.connect(Side::Left);
    let up = |pair: &Pair| pair.left.children.len() == 1 && pair.right.children.len() == 1;
    assert!(pair.run_until(Duration::from_secs(9), up));
    let children = [Side::Left, Side::Right].map(|side| pair.child(side).expect("a Child SA"));
    let now = pair.clock.now();
    pair.ladder.note(now, "both sides rekey the Child SA at once");
    let [(left, left_spi), (right, right_spi)] = children;
    pair.left.endpoint.rekey_child(now, left, left_spi).expect("it can be rekeyed");
    pair.right.endpoint.rekey_child(now, right, right_spi).expect("it can be rekeyed");
    pair.run_for(Duration::from_secs(3));
    pair
}

#[test]
fn the_readme_shows_a_ladder_as_it_is() {
    let pair = run();
    assert_eq!(pair.agree(), Ok(()));
    assert_eq!((pair.left.children.len(), pair.right.children.len()), (1, 1));
    let ladder = pair.ladder.to_string();
    let shown = include_str!("../../README.md");
    assert!(shown.contains(ladder.trim_end()), "the README has another ladder than this:\n{ladder}");
}
