//! IKE_INTERMEDIATE between IKE_SA_INIT and IKE_AUTH (RFC 9242), in both roles.
//!
//! What pins IntAuth to the outside are the values in `src/auth/int_auth.rs`.

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::time::Duration;

use ikev2_core::error::{AuthFailure, Error};
use ikev2_core::{CloseReason, Event};
use ipsec_sa::Role;
use ipsec_wire::ike::{ExchangeType, Payload};
use support::puppet::Puppet;
use support::{Options, Pair, Side, keys_agree};

fn options(said: &[&[u8]]) -> Options {
    Options { intermediate_a: said.iter().map(|octets| octets.to_vec()).collect(), ..Options::default() }
}

fn up(pair: &Pair) {
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn each_has_an_exchange_of_its_own_and_ike_auth_takes_the_next_id() {
    let mut pair = Pair::new(options(&[b"one", b"two"]));
    pair.connect(Side::A);
    pair.duplicate_each_step = true;
    pair.run();
    up(&pair);
    let ladder = pair.ladder(Side::A);
    assert!(ladder[0].ends_with("N(INTERMEDIATE_EXCHANGE_SUPPORTED)"), "{ladder:?}");
    assert!(ladder[1].ends_with("N(INTERMEDIATE_EXCHANGE_SUPPORTED)"), "{ladder:?}");
    assert_eq!(
        ladder[2..],
        [
            "> IKE_INTERMEDIATE 1 SK{V}",
            "< IKE_INTERMEDIATE 1 SK{}",
            "> IKE_INTERMEDIATE 2 SK{V}",
            "< IKE_INTERMEDIATE 2 SK{}",
            "> IKE_AUTH 3 SK{IDi IDr AUTH N(INITIAL_CONTACT) SA TSi TSr}",
            "< IKE_AUTH 3 SK{IDr AUTH SA TSi TSr}",
        ]
    );
    // Message ids go on from there, in both directions.
    pair.rekey_child(Side::A);
    pair.run();
    pair.rekey_ike(Side::B);
    pair.run();
    up(&pair);
}

#[test]
fn a_peer_that_does_not_support_it_is_not_asked() {
    let mut pair = Pair::new(Options { intermediate_b: false, ..options(&[b"one"]) });
    pair.connect(Side::A);
    pair.run();
    up(&pair);
    assert!(pair.ladder(Side::A)[2].starts_with("> IKE_AUTH 1"));
}

#[test]
fn int_auth_is_that_of_the_whole_message_when_it_goes_in_fragments() {
    for fragment_size in [150, 200, 600] {
        let long = vec![7; 1500];
        let options = Options { fragment_size: Some(fragment_size), ..options(&[&long, b"short", &long]) };
        let mut pair = Pair::new(options);
        pair.connect(Side::A);
        pair.run();
        up(&pair);
        let fragments = pair.octets.iter().filter(|datagram| datagram[18] == 43 && datagram[16] == 53);
        assert!(fragments.count() > 4);
    }
}

#[test]
fn what_is_lost_is_sent_again_and_answered_from_the_cache() {
    for fragment_size in [None, Some(160)] {
        for side in [Side::A, Side::B] {
            for lost in 0..6 {
                let said: [&[u8]; 2] = [b"one", &[9; 300]];
                let mut pair = Pair::new(Options { fragment_size, ..options(&said) });
                pair.connect(Side::A);
                for _ in 0..lost {
                    pair.step(Side::A);
                    pair.deliver(Side::A);
                    pair.deliver(Side::B);
                }
                pair.drop_next(side, 2);
                pair.run();
                pair.advance(Duration::from_secs(12));
                up(&pair);
                assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 1);
            }
        }
    }
}

#[test]
fn old_and_doubled_messages_change_nothing() {
    let mut pair = Pair::new(options(&[b"one", b"two", b"three"]));
    pair.connect(Side::A);
    for _ in 0..3 {
        pair.step(Side::A);
        pair.deliver(Side::A);
        // Everything so far, again, to both.
        for datagram in pair.octets.clone() {
            let _ = pair.inject(Side::A, datagram.clone());
            let _ = pair.inject(Side::B, datagram);
        }
        pair.deliver(Side::B);
    }
    pair.run();
    up(&pair);
}

#[test]
fn what_a_broken_key_exchange_lets_an_attacker_say_shows_in_ike_auth() {
    let mut pair = Pair::new(options(&[b"one"]));
    pair.connect(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    pair.deliver(Side::B);
    // A's IKE_INTERMEDIATE is on the wire: another one under the same keys takes its place.
    let mut attacker = Puppet::new(&pair, Side::A, Role::Initiator);
    let vendor = Payload::Vendor(b"two".to_vec());
    let forged = attacker.message(ExchangeType::IKE_INTERMEDIATE, false, 1, &[vendor]);
    pair.tamper(Side::A, |wire| wire[0].1 = forged);
    pair.run();
    let failed = |event: &Event| match event {
        Event::IkeClosed { reason: CloseReason::Failed(error) } => match &**error {
            Error::AuthenticationFailed(why) => matches!(**why, AuthFailure::WrongKey { .. }),
            _ => false,
        },
        _ => false,
    };
    assert!(pair.events(Side::B).iter().any(failed), "{:?}", pair.ladder(Side::B));
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
}

#[test]
fn no_more_than_sixteen_are_sent_or_taken() {
    let many: Vec<&[u8]> = vec![b"again"; 40];
    let mut pair = Pair::new(options(&many));
    pair.connect(Side::A);
    pair.run();
    up(&pair);
    assert!(pair.ladder(Side::A).iter().any(|line| line.starts_with("> IKE_AUTH 17 ")));

    // A peer that goes on is refused.
    let mut pair = Pair::new(options(&many));
    pair.connect(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    pair.deliver(Side::B);
    pair.clear();
    let mut peer = Puppet::new(&pair, Side::A, Role::Initiator);
    for id in 1..=20 {
        let message = peer.message(ExchangeType::IKE_INTERMEDIATE, false, id, &[]);
        assert_eq!(pair.inject(Side::B, message).is_ok(), id <= 17, "{id}");
    }
    assert!(pair.events(Side::B).iter().any(|event| matches!(event, Event::IkeClosed { .. })));
}

#[test]
fn ids_out_of_turn_are_not_taken() {
    let mut pair = Pair::new(options(&[b"one"]));
    pair.connect(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    pair.deliver(Side::B);
    let mut peer = Puppet::new(&pair, Side::A, Role::Initiator);
    for id in [0, 2, 3, u32::MAX] {
        let message = peer.message(ExchangeType::IKE_INTERMEDIATE, false, id, &[]);
        assert!(pair.inject(Side::B, message).is_err(), "{id}");
    }
    pair.run();
    up(&pair);
}
