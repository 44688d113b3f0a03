//! Connections and policies that change while SAs are up, and an orderly end.

extern crate alloc;

mod common;

use core::time::Duration;

use common::*;
use ipsec::crypto::Secret;
use ipsec::ike::{Credentials, Existing};
use ipsec::sa::{PolicyAction, PolicyError, PolicyId};
use ipsec::{ConnectionRefused, DropReason, Event, Meta, PolicyRefused, Received, Verdict};

fn psk(side: usize, key: &[u8]) -> ipsec::ike::ConnectionConfig {
    let mut config = connection(side, b"");
    config.credentials = Credentials::Psk(Secret::new(key));
    config
}

fn dropped(reason: DropReason) -> Verdict {
    Verdict::Dropped(reason)
}

#[test]
fn credentials_change_under_the_sas_and_hold_for_the_next_ones() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let policy = pair.stacks[A].policies().iter().next().unwrap().id;
    for side in [A, B] {
        let connection = pair.connections[side];
        let new = psk(side, b"another key");
        pair.stacks[side].replace_connection(pair.now, connection, new, Existing::Keep).unwrap();
    }
    pair.settle();
    pair.exchange(A, &udp(A, b"under the old SAs"));
    assert_eq!(pair.stacks[A].policies().iter().map(|policy| policy.id).collect::<Vec<_>>(), [policy]);
    let ike = pair.stacks[A].ike_sas().next().unwrap().handle;
    pair.stacks[A].delete_ike(pair.now, ike).unwrap();
    pair.collect(A);
    pair.settle();
    pair.establish();
    // One side alone has the old key again: the next set-up fails.
    let (connection, old) = (pair.connections[A], psk(A, b"a shared key"));
    pair.stacks[A].replace_connection(pair.now, connection, old, Existing::Delete).unwrap();
    pair.collect(A);
    pair.settle();
    assert_eq!((pair.ikes(A), pair.ikes(B)), (0, 0));
    assert_eq!(pair.send(A, &udp(A, b"lost")), Verdict::Queued);
    pair.pass(Duration::from_secs(60));
    assert_eq!((pair.ikes(A), pair.inbox[B].len()), (0, 0));
}

#[test]
fn both_authenticate_anew_where_that_is_asked_for() {
    let mut pair = Setup::new().pair();
    pair.establish();
    for side in [A, B] {
        let connection = pair.connections[side];
        let how = if side == A { Existing::Keep } else { Existing::Reauthenticate };
        let new = psk(side, b"another key");
        pair.stacks[side].replace_connection(pair.now, connection, new, how).unwrap();
    }
    pair.settle();
    pair.pass(Duration::from_secs(10));
    let established = |event: &Event| matches!(event, Event::IkeEstablished(_));
    assert_eq!((pair.count(A, established), pair.count(B, established)), (2, 2));
    assert_eq!((pair.ikes(A), pair.stacks[A].children().count()), (1, 1));
    pair.exchange(A, &udp(A, b"with the new SAs"));
}

#[test]
fn new_selectors_stand_where_the_old_ones_stood() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let (inside_of_it, outside_of_it) =
        (udp(A, b"in"), udp_between(inside(A), [10, 1, 0, 200].into(), b"out"));
    pair.exchange(A, &outside_of_it);
    let narrower = |name: &str, remote: &str| {
        let mut new = connection(A, b"a shared key");
        new.children[0].name = name.into();
        new.children[0].remote = vec![remote.parse().unwrap()];
        new
    };
    let (connection, new) = (pair.connections[A], narrower("net", "10.1.0.0/25"));
    pair.stacks[A].replace_connection(pair.now, connection, new, Existing::Keep).unwrap();
    assert_eq!(pair.send(A, &outside_of_it), dropped(DropReason::NoPolicy));
    pair.exchange(A, &inside_of_it);
    // A child of another name is another child: the policy of the old one drops what it is about.
    let new = narrower("other", "10.1.0.0/16");
    pair.stacks[A].replace_connection(pair.now, connection, new, Existing::Delete).unwrap();
    pair.collect(A);
    pair.settle();
    assert_eq!(pair.send(A, &inside_of_it), dropped(DropReason::NoConnection));
    assert_eq!(pair.send(A, &outside_of_it), Verdict::Queued);
}

#[test]
fn what_cannot_be_changes_nothing() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let before = format!("{:?}", pair.stacks[A].policies());
    let (now, id) = (pair.now, pair.connections[A]);
    let mut without = connection(A, b"a shared key");
    without.suites.clear();
    let refused = pair.stacks[A].replace_connection(now, id, without, Existing::Delete);
    assert!(matches!(refused, Err(ConnectionRefused::Endpoint(_))), "{refused:?}");
    let mut twice = connection(A, b"a shared key");
    twice.children[0].policy = Some(PolicyId(5));
    twice.children.push(twice.children[0].clone());
    let refused = pair.stacks[A].replace_connection(now, id, twice, Existing::Delete);
    assert_eq!(refused, Err(ConnectionRefused::PolicyTaken(PolicyId(5))));
    assert_eq!(format!("{:?}", pair.stacks[A].policies()), before);
    pair.exchange(A, &udp(A, b"still there"));
}

#[test]
fn a_policy_goes_on_with_a_connection_that_comes_back() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let (now, connection_a) = (pair.now, pair.connections[A]);
    pair.stacks[A].remove_connection(now, connection_a).unwrap();
    pair.collect(A);
    pair.settle();
    assert_eq!((pair.ikes(A), pair.ikes(B)), (0, 0));
    assert_eq!(pair.send(A, &udp(A, b"nobody")), dropped(DropReason::NoConnection));
    pair.stacks[A].add_connection(connection(A, b"a shared key")).unwrap();
    assert_eq!(pair.stacks[A].policies().len(), 1);
    pair.establish();
}

#[test]
fn policies_are_replaced_in_their_place() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let mut policy = pair.stacks[A].policies().iter().next().unwrap().clone();
    policy.action = PolicyAction::Discard;
    let old = pair.stacks[A].replace_policy(policy.clone()).unwrap();
    assert_eq!(pair.send(A, &udp(A, b"no")), dropped(DropReason::Policy));
    pair.stacks[A].replace_policy(old).unwrap();
    pair.exchange(A, &udp(A, b"yes"));
    policy.id = PolicyId(77);
    let unknown = pair.stacks[A].replace_policy(policy);
    assert_eq!(unknown.err(), Some(PolicyRefused::Database(PolicyError::UnknownId)));
}

#[test]
fn a_shutdown_tells_the_peer_and_ends_in_time() {
    for peer_answers in [true, false] {
        let mut pair = Setup::new().pair();
        pair.establish();
        pair.cut[B] = !peer_answers;
        pair.stacks[A].shutdown(pair.now, Duration::from_secs(5));
        pair.collect(A);
        pair.settle();
        assert_eq!(pair.ikes(B), 0, "it was told");
        pair.pass(Duration::from_secs(5));
        assert_eq!((pair.stacks[A].ike_sas().count(), pair.stacks[A].children().count()), (0, 0));
        assert_eq!(pair.count(A, |event| matches!(event, Event::ChildClosed { .. })), 1);
        assert_eq!(pair.send(A, &udp(A, b"too late")), dropped(DropReason::NoConnection));
    }
}

/// An ESP packet with an SPI that nobody has, as if from A.
fn stray(pair: &mut Pair) -> Received {
    let mut packet = [0xdd; 64];
    let received = pair.stacks[B].handle_datagram(pair.now, Meta::new(turned(&encap(A))), &mut packet);
    pair.collect(B);
    pair.settle();
    received
}

#[test]
fn a_peer_is_told_of_sas_that_are_not_there_where_that_is_wanted() {
    for wanted in [false, true] {
        let mut setup = Setup::new();
        setup.configs[B].tell_unknown_spis = wanted;
        for side in [A, B] {
            setup.connections[side].force_encapsulation = true;
        }
        let mut pair = setup.pair();
        pair.establish();
        pair.pass(Duration::from_secs(10));
        // A request of B's and A's answer, each time that A is told.
        let before = pair.log.len();
        for _ in 0..50 {
            assert_eq!(stray(&mut pair), Received::Dropped(DropReason::UnknownSpi));
        }
        let told = (pair.log.len() - before) / 2;
        assert!(if wanted { (1..=4).contains(&told) } else { told == 0 }, "{told}");
        assert_eq!((pair.ikes(A), pair.ikes(B)), (1, 1));
        // It is no SA of A's at all.
        assert_eq!(pair.count(A, |event| matches!(event, Event::PeerLacksChild { .. })), 0);
        pair.exchange(A, &udp(A, b"nothing has changed"));
        // An SA is just gone: its last packets may come late.
        let child = pair.stacks[A].children().next().unwrap().inbound;
        pair.stacks[A].delete_child(pair.now, child).unwrap();
        pair.collect(A);
        pair.settle();
        pair.pass(Duration::from_secs(9));
        let before = pair.log.len();
        stray(&mut pair);
        assert_eq!(pair.log.len(), before);
        pair.pass(Duration::from_secs(2));
        stray(&mut pair);
        assert_eq!(pair.log.len() - before, if wanted { 2 } else { 0 });
    }
}
