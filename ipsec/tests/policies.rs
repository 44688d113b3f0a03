//! Policies, the SAs that serve them, and what is negotiated for a packet.

extern crate alloc;

mod common;

use core::time::Duration;

use common::*;
use ipsec::crypto::Suite;
use ipsec::ike::ChildConfig;
use ipsec::sa::{Policy, PolicyAction, PolicyId, ProtectSpec, TrafficSelector};
use ipsec::{DropReason, Event, FIRST_OWN_POLICY, Verdict};

fn ts(text: &str) -> Vec<TrafficSelector> {
    vec![text.parse().unwrap()]
}

fn child(name: &str, local: &str, remote: &str) -> ChildConfig {
    ChildConfig::tunnel(name, ts(local), ts(remote), vec![Suite::esp("aes128gcm16").unwrap()])
}

/// Two children on each side, for the hosts' networks and for 10.x.9.0/24.
fn two_children() -> Setup {
    let mut setup = Setup::new();
    for side in [A, B] {
        let other = 1 - side;
        let second = child("second", &format!("10.{side}.9.0/24"), &format!("10.{other}.9.0/24"));
        setup.connections[side].children.push(second);
    }
    setup
}

#[test]
fn each_policy_has_its_own_child_on_one_ike_sa() {
    let mut pair = two_children().pair();
    let (first, second) = (udp(A, b"one"), udp_between([10, 0, 9, 1].into(), [10, 1, 9, 1].into(), b"two"));
    assert_eq!(pair.send(A, &first), Verdict::Queued);
    assert_eq!(pair.send(A, &second), Verdict::Queued);
    pair.settle();
    assert_eq!(pair.inbox[B], [first.clone(), second.clone()]);
    assert_eq!((pair.ikes(A), pair.stacks[A].children().count()), (1, 2));
    pair.inbox[B].clear();
    pair.exchange(A, &first);
    pair.exchange(A, &second);
    let mut sent: Vec<_> =
        pair.stacks[A].children().map(|child| (child.child.to_owned(), child.sent.packets)).collect();
    sent.sort();
    assert_eq!(sent, [("net".to_owned(), 2), ("second".to_owned(), 2)]);
}

#[test]
fn a_peer_that_narrows_leaves_the_rest_dropped_and_no_storm() {
    let mut setup = Setup::new();
    setup.connections[B].children[0].local = ts("10.1.0.0/25");
    let mut pair = setup.pair();
    let (inside_of_it, outside_of_it) =
        (udp(A, b"in"), udp_between(inside(A), [10, 1, 0, 200].into(), b"out"));
    assert_eq!(pair.send(A, &inside_of_it), Verdict::Queued);
    assert_eq!(pair.send(A, &outside_of_it), Verdict::Queued);
    pair.settle();
    assert_eq!(pair.inbox[B], core::slice::from_ref(&inside_of_it));
    assert_eq!(pair.stacks[A].stats().dropped(&DropReason::NotCovered), 1);
    assert_eq!(pair.count(A, |event| matches!(event, Event::QueueCleared { .. })), 1);
    let datagrams = pair.log.len();
    assert_eq!(pair.send(A, &outside_of_it), Verdict::Dropped(DropReason::Backoff));
    assert_eq!(pair.log.len(), datagrams);
    pair.inbox[B].clear();
    pair.exchange(A, &inside_of_it);
}

#[test]
fn a_policy_of_the_callers_own_stands_where_the_caller_puts_it() {
    let mut setup = Setup::new();
    setup.connections[A].children[0].policy = Some(PolicyId(20));
    let mut pair = setup.pair();
    let connection = pair.connections[A];
    assert!(pair.stacks[A].policies().is_empty());
    assert_eq!(pair.send(A, &udp(A, b"before")), Verdict::Dropped(DropReason::NoPolicy));
    let protect = PolicyAction::Protect(ProtectSpec::tunnel(connection.0));
    let policy = Policy::new(PolicyId(20), "net", ts("10.0.0.0/24"), ts("10.1.0.0/24"), protect);
    pair.stacks[A].add_policy(policy).unwrap();
    // Port 8192 is 0x2000, where the test's packets go.
    let except = Policy::new(
        PolicyId(10),
        "management",
        ts("10.0.0.0/24[udp/4096]"),
        ts("10.1.0.0/24[udp/8192]"),
        PolicyAction::Bypass,
    );
    pair.stacks[A].add_policy_before(PolicyId(20), except).unwrap();
    assert_eq!(pair.send(A, &udp(A, b"management")), Verdict::Bypass);
    assert!(pair.stacks[A].remove_policy(PolicyId(10)).is_some());
    pair.establish();
    assert_eq!(pair.stacks[A].children().next().unwrap().policy, Some(PolicyId(20)));
    assert!(pair.stacks[B].policies().iter().all(|policy| policy.id >= FIRST_OWN_POLICY));
}

#[test]
fn a_protect_policy_that_nobody_serves_drops() {
    let mut pair = Setup::new().pair();
    let protect = PolicyAction::Protect(ProtectSpec::tunnel(77));
    let policy = Policy::new(PolicyId(1), "orphan", ts("10.0.0.0/8"), ts("172.16.0.0/12"), protect);
    pair.stacks[A].add_policy(policy).unwrap();
    let packet = udp_between(inside(A), [172, 16, 0, 1].into(), b"nobody");
    assert_eq!(pair.send(A, &packet), Verdict::Dropped(DropReason::NoConnection));
}

#[test]
fn a_connection_that_can_only_answer_drops_until_it_was_called() {
    let mut setup = Setup::new();
    setup.connections[B].remote = None;
    let mut pair = setup.pair();
    let verdict = pair.send(B, &udp(B, b"cannot start"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoConnection));
    assert_eq!(pair.stacks[B].stats().dropped(&DropReason::NoConnection), 1);
    assert_eq!(pair.send(B, &udp(B, b"at once again")), Verdict::Dropped(DropReason::Backoff));
    pair.establish();
    pair.exchange(B, &udp(B, b"now it can"));
}

#[test]
fn a_full_sa_database_refuses_and_nothing_hangs() {
    let mut setup = Setup::new();
    setup.configs[A].max_children = 0;
    let mut pair = setup.pair();
    pair.send(A, &udp(A, b"no SPI for it"));
    pair.pass(Duration::from_secs(300));
    assert!(pair.inbox[B].is_empty());
    assert_eq!(pair.stacks[A].children().count(), 0);
    let policy = pair.stacks[A].policies().iter().next().unwrap().id;
    assert_eq!(pair.stacks[A].waiting(policy), (0, 0), "what waited was dropped: {:?}", pair.events[A]);
}
