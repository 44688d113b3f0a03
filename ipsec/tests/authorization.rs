//! The PAD asked: who is let in, and for which Child SAs (RFC 4301 §4.4.3).

extern crate alloc;

mod common;

use core::time::Duration;

use common::*;
use ipsec::Event;
use ipsec::sa::{
    ChildAuthorization, PadEntry, PeerAuthentication, PeerAuthorizationDatabase, TrafficSelector,
    Unauthorized,
};

/// What B's PAD says of A.
fn scene(entry: PadEntry) -> Pair {
    let mut setup = Setup::new();
    let mut pad = PeerAuthorizationDatabase::new();
    pad.insert(entry).unwrap();
    setup.configs[B].pad = Some(pad);
    let mut pair = setup.pair();
    pair.send(A, &udp(A, b"first"));
    pair.settle();
    pair.pass(Duration::from_secs(10));
    pair
}

fn entry(identity: &str, net: &str) -> PadEntry {
    let net: TrafficSelector = net.parse().unwrap();
    PadEntry::new("a", vec![identity.parse().unwrap()])
        .proven_by(PeerAuthentication::SharedKey)
        .with_children(ChildAuthorization::Selectors(vec![net]))
}

#[test]
fn a_peer_that_may_has_its_child() {
    for (identity, net) in [("a.test", "10.0.0.0/24"), (".test", "10.0.0.0/8"), ("*", "0.0.0.0/0")] {
        let pair = scene(entry(identity, net));
        assert_eq!(pair.inbox[B].len(), 1, "{:?}", pair.events[B]);
        assert_eq!((pair.ikes(B), pair.stacks[B].children().count()), (1, 1));
    }
}

#[test]
fn a_child_for_addresses_of_others_is_refused_and_the_ike_sa_stays() {
    let pair = scene(entry("a.test", "10.0.0.0/25"));
    assert_eq!((pair.inbox[B].len(), pair.stacks[B].children().count()), (0, 0));
    assert_eq!((pair.stacks[A].children().count(), pair.ikes(A), pair.ikes(B)), (0, 1, 1));
    let refused = |event: &&Event| matches!(event, Event::ChildRefused { .. });
    let why = pair.events[B].iter().find(refused).map(ToString::to_string).expect("a reason");
    assert!(
        why.ends_with("the PAD allows the peer 10.0.0.0/25, and the Child SA is for 10.0.0.0/24"),
        "{why}"
    );
    assert!(pair.count(A, |event| matches!(event, Event::ChildFailed { .. })) > 0, "{:?}", pair.events[A]);
}

#[test]
fn a_peer_that_is_not_let_in_has_nothing() {
    let by_signature = PadEntry::new("a", vec!["a.test".parse().unwrap()])
        .proven_by(PeerAuthentication::Signature)
        .with_children(ChildAuthorization::Selectors(vec!["10.0.0.0/8".parse().unwrap()]));
    for (entry, why) in [
        (entry("b.test", "10.0.0.0/8"), Unauthorized::UnknownIdentity),
        (by_signature, Unauthorized::Authentication),
    ] {
        let pair = scene(entry);
        let refused =
            |event: &Event| matches!(event, Event::PeerRefused { why: reason, .. } if *reason == why);
        assert_eq!(pair.count(B, refused), pair.count(B, |event| matches!(event, Event::IkeEstablished(_))));
        assert!(pair.count(B, refused) > 0);
        assert_eq!((pair.inbox[B].len(), pair.ikes(B), pair.stacks[B].children().count()), (0, 0, 0));
    }
}
