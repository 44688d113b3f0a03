//! Two endpoints over a lossless wire: set-up, retries, refusals, rekeys and deletion, named by behaviour.
//!
//! Both sides are ours; what pins them to the outside are the recorded exchanges in `src/testdata.rs` and the runs
//! against real daemons in `interop/`.

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::time::Duration;

use ikev2_core::error::{AuthFailure, Error, Refusal};
use ikev2_core::{
    CloseReason, CookiePolicy, Discarded, Endpoint, Event, ExchangeTrace, IkeHandle, Input, Output,
    PeerIdentity,
};
use ipsec_wire::ike::{MessageView, NotifyType, PayloadType};
use ipsec_wire::{Limits, Spi};
use support::{Options, Pair, Side, credentials, keys_agree};

fn closed_with(event: &Event) -> Option<&Error> {
    match event {
        Event::IkeClosed { reason: CloseReason::Failed(error) } => Some(error),
        _ => None,
    }
}

#[test]
fn a_pair_comes_up_with_its_first_child() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    let (a, b) = (pair.only_child(Side::A), pair.only_child(Side::B));
    keys_agree(&a, &b);
    assert_eq!(
        pair.ladder(Side::A),
        [
            "> IKE_SA_INIT 0 SA KE Ni N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP)",
            "< IKE_SA_INIT 0 SA KE Nr N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) \
         N(CHILDLESS_IKEV2_SUPPORTED)",
            "> IKE_AUTH 1 SK{IDi IDr AUTH N(INITIAL_CONTACT) SA TSi TSr}",
            "< IKE_AUTH 1 SK{IDr AUTH SA TSi TSr}",
        ]
    );
}

#[test]
fn every_suite_comes_up() {
    for ike in [
        "aes128gcm16-prfsha256-x25519",
        "aes256-sha256-ecp256",
        "aes256gcm16-prfsha384-ecp256",
        "aes256-sha512-x25519",
    ] {
        for esp in ["aes256gcm16", "aes128-sha256", "aes256-sha384-esn"] {
            let mut pair = Pair::new(Options { ike, esp, ..Options::default() });
            pair.connect(Side::A);
            pair.run();
            keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_octets() {
    let run = |seed| {
        let mut pair = Pair::new(Options { seed, ..Options::default() });
        pair.connect(Side::A);
        pair.run();
        pair.octets
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_duplicate_goes_on_where_the_first_one_stands() {
    // At every point of a set-up and of two rekeys, both endpoints are replaced by duplicates.
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.duplicate_each_step = true;
    pair.run();
    pair.rekey_child(Side::B);
    pair.run();
    pair.rekey_ike(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    assert!(pair.duplicated > 20, "{}", pair.duplicated);
}

#[test]
fn a_cookie_is_asked_for_and_returned() {
    let mut pair = Pair::new(Options { cookie: CookiePolicy::Always, ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    let ladder = pair.ladder(Side::A);
    assert!(ladder[1].starts_with("< IKE_SA_INIT 0 N(COOKIE)"), "{ladder:?}");
    assert!(ladder[2].starts_with("> IKE_SA_INIT 0 N(COOKIE) SA KE Ni"), "{ladder:?}");
    assert_eq!(pair.endpoint(Side::B).counters().discarded_for("cookie-asked"), 1);
}

#[test]
fn another_key_exchange_method_is_followed_once() {
    let mut pair = Pair::new(Options {
        ike: "aes256gcm16-prfsha256-ecp256-x25519",
        ike_b: Some("aes256gcm16-prfsha256-x25519"),
        ..Options::default()
    });
    pair.connect(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    let ladder = pair.ladder(Side::A);
    assert_eq!(ladder[1], "< IKE_SA_INIT 0 N(INVALID_KE_PAYLOAD)");
    assert_eq!(ladder[0], ladder[2], "the full proposal again");
}

#[test]
fn a_wrong_key_is_named_on_both_sides() {
    let mut pair = Pair::new(Options { psk_b: b"another", ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    // A forger could have said that: the initiator listens a little longer.
    assert!(pair.events(Side::A).iter().find_map(closed_with).is_none());
    pair.advance(Duration::from_secs(4));
    let refused = |error: &Error, wanted: fn(&AuthFailure) -> bool| match error {
        Error::AuthenticationFailed(why) => wanted(why),
        _ => false,
    };
    let a = pair.events(Side::A).iter().find_map(closed_with).expect("a failure at A");
    assert!(refused(a, |why| matches!(why, AuthFailure::RefusedByPeer { .. })), "{a}");
    assert!(a.to_string().contains("AUTHENTICATION_FAILED"), "{a}");
    let b = pair.events(Side::B).iter().find_map(closed_with).expect("a failure at B");
    assert!(refused(b, |why| matches!(why, AuthFailure::WrongKey { .. })), "{b}");
    assert_eq!(b.disposition().notify, Some(NotifyType::AUTHENTICATION_FAILED));
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
}

#[test]
fn an_unknown_identity_is_refused_by_name() {
    let mut pair = Pair::new(Options { id_a: "mallory.test", ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    let b = pair.events(Side::B).iter().find_map(closed_with).expect("a failure at B");
    assert!(b.to_string().contains("mallory.test"), "{b}");
}

#[test]
fn no_common_proposal_lists_ours_against_theirs() {
    let mut pair = Pair::new(Options {
        ike: "aes128-sha256-ecp256",
        ike_b: Some("aes256gcm16-prfsha384-x25519"),
        ..Options::default()
    });
    pair.connect(Side::A);
    pair.run();
    assert!(pair.events(Side::A).iter().find_map(closed_with).is_none(), "an unprotected refusal is a hint");
    pair.advance(Duration::from_secs(4));
    let b = pair.events(Side::B).iter().find_map(closed_with).expect("a failure at B").to_string();
    for word in ["AES_GCM_16", "AES_CBC", "CURVE25519"] {
        assert!(b.to_uppercase().replace('-', "_").contains(word), "{word} in {b}");
    }
    let a = pair.events(Side::A).iter().find_map(closed_with).expect("a failure at A");
    assert!(matches!(a, Error::Refused(Refusal::Proposal { .. })), "{a}");
    assert!(a.to_string().contains("aes128-sha256-ecp256"), "{a}");
}

#[test]
fn no_common_selectors_leave_the_ike_sa_up() {
    let mut pair = Pair::new(Options { remote_b: "10.9.0.0/24", ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    assert!(pair.children(Side::A).is_empty());
    let failed = |side| {
        pair.events(side).iter().find_map(|event| match event {
            Event::ChildFailed { error, .. } => Some(error.to_string()),
            _ => None,
        })
    };
    let (a, b) = (failed(Side::A).expect("at A"), failed(Side::B).expect("at B"));
    assert!(a.contains("10.1.0.0/24") && a.contains("TS_UNACCEPTABLE"), "{a}");
    assert!(b.contains("10.9.0.0/24") && b.contains("10.1.0.0/24"), "{b}");
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 1);
}

#[test]
fn a_child_is_rekeyed_by_either_side_with_and_without_forward_secrecy() {
    for esp in ["aes256gcm16", "aes256gcm16-x25519", "aes128-sha256-ecp256"] {
        for side in [Side::A, Side::B] {
            let mut pair = Pair::new(Options { esp, ..Options::default() });
            pair.connect(Side::A);
            pair.run();
            let old = pair.only_child(side).inbound;
            pair.rekey_child(side);
            pair.run();
            let (a, b) = (pair.only_child(Side::A), pair.only_child(Side::B));
            keys_agree(&a, &b);
            assert_ne!(pair.only_child(side).inbound, old);
            let rekeyed = |side| {
                let events = pair.events(side);
                events
                    .iter()
                    .filter(|e| matches!(e, Event::ChildClosed { reason: CloseReason::Rekeyed, .. }))
                    .count()
            };
            assert_eq!((rekeyed(Side::A), rekeyed(Side::B)), (1, 1), "{esp}");
        }
    }
}

#[test]
fn an_ike_sa_is_rekeyed_by_either_side_and_its_child_goes_on() {
    for side in [Side::A, Side::B] {
        let mut pair = Pair::new(Options::default());
        pair.connect(Side::A);
        pair.run();
        let child = pair.only_child(side).inbound;
        let old = pair.ike(side);
        pair.rekey_ike(side);
        pair.run();
        let new = pair.ike(side);
        assert_ne!(old, new);
        assert_eq!(pair.only_child(side).inbound, child);
        assert!(pair.events(side).iter().any(|event| matches!(
            event,
            Event::IkeRekeyed { replaced_by } if *replaced_by == new
        )));
        // The heir works: its child can be rekeyed, by the other side too.
        pair.rekey_child(side.other());
        pair.run();
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
        // And the old one is forgotten once its retransmissions need no answers any longer.
        pair.advance(Duration::from_secs(40));
        assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
        assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 1);
    }
}

#[test]
fn both_sides_rekey_the_same_child_at_once_and_one_remains() {
    for seed in 0..40 {
        let mut pair = Pair::new(Options { seed, ..Options::default() });
        pair.connect(Side::A);
        pair.run();
        pair.rekey_child(Side::A);
        pair.rekey_child(Side::B);
        pair.run();
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    }
}

#[test]
fn both_sides_rekey_the_ike_sa_at_once_and_one_remains() {
    for seed in 0..40 {
        let mut pair = Pair::new(Options { seed, ..Options::default() });
        pair.connect(Side::A);
        pair.run();
        pair.rekey_ike(Side::A);
        pair.rekey_ike(Side::B);
        pair.run();
        pair.advance(Duration::from_secs(40));
        assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1, "seed {seed}");
        assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 1, "seed {seed}");
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
        pair.rekey_child(Side::A);
        pair.run();
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    }
}

#[test]
fn a_child_and_then_the_ike_sa_are_deleted_by_either_side() {
    for side in [Side::A, Side::B] {
        let mut pair = Pair::new(Options::default());
        pair.connect(Side::A);
        pair.run();
        pair.delete_child(side);
        pair.run();
        assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
        assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
        pair.delete_ike(side);
        pair.run();
        pair.advance(Duration::from_secs(40));
        assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 0);
        assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 0);
        for side in [Side::A, Side::B] {
            assert_eq!(
                pair.events(side).iter().filter(|event| matches!(event, Event::IkeClosed { .. })).count(),
                1
            );
        }
    }
}

#[test]
fn a_lost_request_is_sent_again_bit_by_bit_and_answered_from_the_cache() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    // The answers of B are lost twice.
    pair.check_liveness(Side::A);
    pair.drop_next(Side::B, 2);
    pair.run();
    pair.advance(Duration::from_secs(20));
    let ladder = pair.traces(Side::A);
    let again: Vec<&ExchangeTrace> = ladder.iter().filter(|trace| trace.retransmission).collect();
    assert_eq!(again.len(), 2, "{ladder:?}");
    let answers = pair.traces(Side::B).iter().filter(|trace| trace.outbound && trace.retransmission).count();
    assert_eq!(answers, 2);
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
}

#[test]
fn a_silent_peer_is_given_up_with_its_child() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    pair.check_liveness(Side::A);
    pair.drop_next(Side::A, usize::MAX);
    pair.run();
    pair.advance(Duration::from_secs(600));
    let error = pair.events(Side::A).iter().find_map(closed_with).expect("a failure");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(pair.children(Side::A).is_empty());
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 0);
}

#[test]
fn who_wakes_up_late_asks_once_more_before_giving_up() {
    // Both slept in the middle of a request, for longer than all its repetitions together.
    for awake in [1, 20, 60, 150, 200] {
        let mut pair = Pair::new(Options::default());
        pair.connect(Side::A);
        pair.run();
        let before = pair.only_child(Side::A);
        pair.check_liveness(Side::A);
        pair.drop_next(Side::A, usize::MAX);
        pair.run();
        for _ in 0..awake {
            pair.advance_one(Side::A, Duration::from_secs(1));
        }
        pair.drop_next(Side::A, 0);
        pair.advance_one(Side::A, Duration::from_secs(3000));
        pair.run();
        assert_eq!(pair.only_child(Side::A), before, "{awake}");
        pair.advance(Duration::from_secs(5));
        assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
    }
    // A peer that is gone is still found out.
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    pair.check_liveness(Side::A);
    pair.drop_next(Side::A, usize::MAX);
    pair.run();
    pair.advance_one(Side::A, Duration::from_secs(3000));
    pair.advance(Duration::from_secs(600));
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 0);
}

#[test]
fn a_child_is_replaced_at_its_soft_and_closed_at_its_hard_lifetime() {
    let mut pair = Pair::new(Options { lifetime_a: (Some(100), Some(300)), ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    let first = pair.only_child(Side::A).inbound;
    // Ten percent of jitter at most.
    pair.advance(Duration::from_secs(85));
    assert_eq!(pair.only_child(Side::A).inbound, first);
    pair.advance(Duration::from_secs(20));
    assert_ne!(pair.only_child(Side::A).inbound, first);
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));

    let mut pair = Pair::new(Options { lifetime_a: (None, Some(50)), ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    pair.advance(Duration::from_secs(52));
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
}

#[test]
fn large_messages_go_in_fragments_both_ways() {
    let mut pair = Pair::new(Options { fragment_size: Some(200), ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    pair.rekey_child(Side::B);
    pair.run();
    pair.rekey_ike(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    let protected = pair.octets.iter().filter(|datagram| datagram[18] != 34);
    // 20 octets of IP and 8 of UDP.
    assert!(protected.clone().count() > 12);
    assert!(protected.clone().all(|datagram| datagram.len() + 28 <= 200));
    assert!(protected.clone().any(|datagram| datagram[16] == 53));
}

#[test]
fn fragments_may_be_lost_doubled_and_reordered() {
    for lost in 0..4 {
        let mut pair = Pair::new(Options { fragment_size: Some(140), ..Options::default() });
        pair.connect(Side::A);
        pair.step(Side::A);
        pair.deliver(Side::A);
        pair.step(Side::B);
        pair.deliver(Side::B);
        // IKE_AUTH is on the wire.
        pair.tamper(Side::A, |wire| {
            assert!(wire.len() > 3, "{}", wire.len());
            let doubled = wire[1].clone();
            wire.push_back(doubled);
            if lost < 3 {
                wire.remove(lost);
            }
            wire.make_contiguous().reverse();
        });
        pair.run();
        pair.advance(Duration::from_secs(10));
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    }
}

#[test]
fn a_retransmission_in_fragments_is_answered_once() {
    let mut pair = Pair::new(Options { fragment_size: Some(160), ..Options::default() });
    pair.connect(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    pair.deliver(Side::B);
    let auth = pair.wire(Side::A);
    pair.run();
    let before = pair.traces(Side::B).iter().filter(|trace| trace.retransmission).count();
    for fragment in &auth {
        pair.inject(Side::B, fragment.clone()).unwrap();
    }
    let after = pair.traces(Side::B).iter().filter(|trace| trace.retransmission).count();
    assert_eq!((before, after), (0, 1));
}

#[test]
fn who_does_no_fragmentation_gets_none() {
    let mut whole = Pair::new(Options { fragment_size: None, ..Options::default() });
    let mut pieces = Pair::new(Options { fragment_size: Some(160), ..Options::default() });
    for pair in [&mut whole, &mut pieces] {
        pair.connect(Side::A);
        pair.run();
    }
    assert!(whole.octets.iter().all(|datagram| datagram[16] != 53));
    // A forged-looking fragment under no agreement is not taken.
    let fragment = pieces.octets.iter().find(|datagram| datagram[16] == 53).unwrap().clone();
    assert!(whole.inject(Side::B, fragment).is_err());
}

#[test]
fn a_kept_child_comes_up_by_itself_and_comes_back() {
    let mut pair = Pair::new(Options { keep: true, ..Options::default() });
    pair.advance(Duration::from_secs(1));
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    for round in 0..3 {
        let before = pair.only_child(Side::A).inbound;
        if round == 1 {
            pair.delete_ike(Side::B);
        } else {
            pair.delete_child(Side::B);
        }
        pair.run();
        pair.advance(Duration::from_secs(40));
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
        assert_ne!(pair.only_child(Side::A).inbound, before);
    }
}

#[test]
fn a_kept_child_is_not_asked_for_in_a_circle() {
    let mut pair = Pair::new(Options { keep: true, remote_b: "10.9.0.0/24", ..Options::default() });
    pair.advance(Duration::from_secs(600));
    let asked = pair.traces(Side::A).iter().filter(|trace| trace.outbound).count();
    assert!((5..40).contains(&asked), "{asked}");
    // The same for a set-up that fails as a whole.
    let mut pair = Pair::new(Options { keep: true, psk_b: b"another", ..Options::default() });
    pair.advance(Duration::from_secs(600));
    let asked = pair.traces(Side::A).iter().filter(|trace| trace.outbound).count();
    assert!((10..60).contains(&asked), "{asked}");
}

#[test]
fn a_shutdown_ends_everything_in_time() {
    let mut pair = Pair::new(Options { keep: true, ..Options::default() });
    pair.advance(Duration::from_secs(1));
    let now = pair.now();
    pair.endpoint_mut(Side::A).shutdown(now, Duration::from_secs(5));
    pair.run();
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
    pair.advance(Duration::from_secs(6));
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 0);
    let now = pair.now();
    assert!(pair.endpoint_mut(Side::A).connect(now, ikev2_core::ConnectionId(0), Some(0), None).is_err());

    // A peer that is silent is not waited for longer.
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    let now = pair.now();
    pair.drop_next(Side::A, usize::MAX);
    pair.endpoint_mut(Side::A).shutdown(now, Duration::from_secs(5));
    pair.advance(Duration::from_secs(6));
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 0);
    assert!(pair.children(Side::A).is_empty());
}

#[test]
fn a_peer_that_has_restarted_leaves_nothing_behind() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    pair.restart(Side::A);
    pair.connect(Side::A);
    pair.run();
    // INITIAL_CONTACT told B that the first IKE SA is gone.
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 1);
}

#[test]
fn authentication_is_renewed_before_the_old_one_goes() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    let (now, old) = (pair.now(), pair.ike(Side::A));
    pair.endpoint_mut(Side::A).create_child(now, old, 0, None).unwrap();
    pair.run();
    let new = pair.endpoint_mut(Side::A).reauthenticate(now, old).unwrap();
    pair.run();
    assert_eq!(pair.ike(Side::A), new);
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    let at = |wanted: fn(&Event) -> bool| pair.events(Side::A).iter().rposition(wanted).unwrap();
    assert!(at(|e| matches!(e, Event::ChildInstalled(_))) < at(|e| matches!(e, Event::ChildClosed { .. })));
    pair.advance(Duration::from_secs(40));
    assert_eq!((pair.endpoint(Side::A).ike_sas().count(), pair.endpoint(Side::B).ike_sas().count()), (1, 1));
}

#[test]
fn a_renewal_that_fails_leaves_the_old_ike_sa_alone() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    let (now, old, child) = (pair.now(), pair.ike(Side::A), pair.only_child(Side::A));
    pair.endpoint_mut(Side::A).reauthenticate(now, old).unwrap();
    pair.step(Side::A);
    pair.drop_next(Side::A, usize::MAX);
    pair.clear();
    pair.advance(Duration::from_secs(300));
    assert_eq!(pair.ike(Side::A), old);
    assert_eq!(pair.only_child(Side::A), child);
}

#[test]
fn a_responder_s_auth_lifetime_is_followed_across_rekeys() {
    let mut pair = Pair::new(Options { reauth_b: Some(200), ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    let auths = |pair: &Pair| {
        let sent = |trace: &ExchangeTrace| {
            trace.outbound && trace.exchange == ipsec_wire::ike::ExchangeType::IKE_AUTH
        };
        pair.traces(Side::A).iter().filter(|trace| sent(trace)).count()
    };
    // The IKE SA is replaced in between, by either side: the time runs on.
    for side in [Side::A, Side::B] {
        pair.advance(Duration::from_secs(60));
        pair.rekey_ike(side);
        pair.run();
    }
    assert_eq!(auths(&pair), 1);
    pair.advance(Duration::from_secs(65));
    assert_eq!(auths(&pair), 2, "renewed a tenth before the time was over");
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    pair.advance(Duration::from_secs(1000));
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    assert!(auths(&pair) >= 7);
}

#[test]
fn a_child_may_be_ah() {
    let mut pair = Pair::new(Options { esp: "sha256", ah: true, ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    pair.rekey_child(Side::B);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    pair.delete_child(Side::A);
    pair.run();
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
}

#[test]
fn windows_and_quotas_are_kept() {
    let mut pair = Pair::new(Options { window_b: 4, max_children_b: 3, ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    let (now, ike) = (pair.now(), pair.ike(Side::A));
    for _ in 0..5 {
        pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    }
    pair.step(Side::A);
    assert_eq!(pair.wire(Side::A).len(), 4, "as many as B takes at once");
    pair.run();
    assert_eq!((pair.children(Side::A).len(), pair.children(Side::B).len()), (3, 3));
    let refused = |event: &&Event| matches!(event, Event::ChildFailed { error, .. } if error.to_string().contains("NO_ADDITIONAL_SAS"));
    assert_eq!(pair.events(Side::A).iter().filter(refused).count(), 3);
}

#[test]
fn a_half_open_ike_sa_is_forgotten() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 1);
    pair.clear();
    pair.advance_one(Side::B, Duration::from_secs(60));
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 0);
}

#[test]
fn one_forged_answer_does_not_kill_a_set_up() {
    // A forger answers first, with its own key; then the peer's answer arrives.
    let mut forger = Pair::new(Options { seed: 99, psk_b: b"the forger's", ..Options::default() });
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.step(Side::A);
    let request = pair.wire(Side::A)[0].clone();
    forger.inject(Side::B, request).unwrap();
    forger.step(Side::B);
    let forged = forger.wire(Side::B)[0].clone();
    pair.inject(Side::A, forged).unwrap();
    pair.step(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn a_forged_answer_with_the_peers_spi_does_not_kill_a_set_up() {
    // A forger sees the peer's answer and is faster with a copy of it that has another nonce.
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    let answer = pair.wire(Side::B)[0].clone();
    let message = MessageView::parse(&answer, &Limits::DEFAULT).unwrap();
    let nonce = message.payloads().find(|payload| payload.payload_type == PayloadType::NONCE).unwrap();
    let mut forged = answer.clone();
    // Behind the generic header.
    forged[nonce.offset + 4] ^= 1;
    pair.inject(Side::A, forged).unwrap();
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn an_unprotected_refusal_is_only_a_hint() {
    let mut other =
        Pair::new(Options { seed: 99, ike_b: Some("aes128-sha256-ecp256"), ..Options::default() });
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.step(Side::A);
    let request = pair.wire(Side::A)[0].clone();
    assert_eq!(other.inject(Side::B, request), Err(Discarded::Refused));
    other.step(Side::B);
    let refusal = other.wire(Side::B)[0].clone();
    assert_eq!(pair.inject(Side::A, refusal), Err(Discarded::Hint));
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn forged_reflected_and_replayed_datagrams_change_nothing() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    pair.check_liveness(Side::A);
    pair.run();
    let seen: Vec<Vec<u8>> = pair.octets.clone();
    let before = pair.snapshot();
    for datagram in &seen {
        for side in [Side::A, Side::B] {
            // As it was, to both sides: old, reflected, or answered again from the cache.
            let _ = pair.inject(side, datagram.clone());
            // Every octet of it changed.
            for at in 0..datagram.len() {
                let mut forged = datagram.clone();
                forged[at] ^= 0x41;
                let _ = pair.inject(side, forged);
            }
            // Cut short.
            for len in 0..datagram.len() {
                assert!(pair.inject(side, datagram[..len].to_vec()).is_err());
            }
        }
    }
    pair.clear();
    let after = pair.snapshot();
    assert_eq!(before, after);
    // And it still works.
    pair.rekey_child(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn jobs_may_be_answered_later_and_retransmissions_meanwhile_are_busy() {
    let mut pair = Pair::new(Options { offload: true, ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    pair.rekey_child(Side::A);
    pair.run();
    pair.rekey_ike(Side::B);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    assert!(pair.jobs_done > 8, "{}", pair.jobs_done);
}

#[test]
fn a_child_that_cannot_be_installed_is_taken_back() {
    let mut pair = Pair::new(Options { offload: true, refuse_install: Some(Side::B), ..Options::default() });
    pair.connect(Side::A);
    pair.run();
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
}

#[test]
fn floods_stay_within_the_caps() {
    let mut pair =
        Pair::new(Options { cookie: CookiePolicy::Never, max_half_open: 20, ..Options::default() });
    let mut refused = 0;
    for seed in 0..60 {
        let mut other = Pair::new(Options { seed: 1000 + seed, ..Options::default() });
        other.connect(Side::A);
        other.step(Side::A);
        let request = other.wire(Side::A)[0].clone();
        refused += usize::from(pair.inject(Side::B, request) == Err(Discarded::HalfOpenLimit));
    }
    assert_eq!(refused, 40);
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 20);
}

#[test]
fn debug_shows_no_secrets() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.run();
    let shown =
        format!("{:?} {:?} {:?}", pair.endpoint(Side::A), pair.events(Side::A), credentials(b"swordfish"));
    assert!(!shown.contains("swordfish"));
    for byte_list in pair.secret_debugs() {
        assert!(!shown.contains(&byte_list), "a key in {shown}");
    }
}

#[test]
fn misuse_is_an_error_and_nothing_else() {
    let mut pair = Pair::new(Options::default());
    let now = pair.now();
    let endpoint: &mut Endpoint = pair.endpoint_mut(Side::A);
    assert!(endpoint.rekey_ike(now, IkeHandle(77)).is_err());
    assert!(endpoint.rekey_child(now, IkeHandle(77), Spi(1000)).is_err());
    assert!(endpoint.connect(now, ikev2_core::ConnectionId(9), None, None).is_err());
    assert!(endpoint.connect(now, ikev2_core::ConnectionId(0), Some(5), None).is_err());
    assert!(matches!(endpoint.poll_output(), Output::Timeout(_)));
    assert_eq!(endpoint.handle_input(Input::Timeout(now)), Ok(()));
    assert!(PeerIdentity::Any.admits(&"anybody.test".parse().unwrap()));
}
