//! Connections that are changed and removed while their SAs are up.

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::time::Duration;

use ikev2_core::error::Error;
use ikev2_core::{ApiMisuse, CloseReason, ConnectionId, Event, Existing};
use support::{Options, Pair, Side, connection, keys_agree, up};

const ID: ConnectionId = ConnectionId(0);

fn replace(pair: &mut Pair, side: Side, options: &Options, existing: Existing) {
    let now = pair.now();
    let config = connection(options, side);
    pair.endpoint_mut(side).replace_connection(now, ID, config, existing).unwrap();
}

fn auths(pair: &Pair) -> usize {
    pair.ladder(Side::A).iter().filter(|line| line.starts_with("> IKE_AUTH")).count()
}

#[test]
fn existing_sas_are_kept_and_rekeyed_by_the_new_configuration() {
    let mut pair = up(Options::default());
    let before = (pair.ike(Side::A), pair.only_child(Side::A));
    let new = || Options { esp: "aes128gcm16", ike: "aes128gcm16-prfsha256-x25519", ..Options::default() };
    for side in [Side::A, Side::B] {
        replace(&mut pair, side, &new(), Existing::Keep);
    }
    pair.run();
    assert_eq!((pair.ike(Side::A), pair.only_child(Side::A)), before, "nothing has changed yet");
    pair.rekey_child(Side::A);
    pair.run();
    pair.rekey_ike(Side::B);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    let info = pair.endpoint(Side::A).ike_sas().find(|info| !info.children.is_empty()).unwrap();
    assert_eq!(info.suite.as_deref(), Some("aes128gcm16-prfsha256-x25519"));
    assert!(info.children[0].suite.starts_with("aes128gcm16"), "{}", info.children[0].suite);
    assert_eq!(auths(&pair), 1);
}

#[test]
fn a_child_that_is_no_longer_configured_is_deleted() {
    let mut pair = up(Options::default());
    let mut config = connection(&Options::default(), Side::B);
    config.children[0].name = "another".into();
    let now = pair.now();
    pair.endpoint_mut(Side::B).replace_connection(now, ID, config, Existing::Keep).unwrap();
    pair.run();
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
}

#[test]
fn a_kept_child_is_not_made_twice_when_its_configuration_changes() {
    let mut pair = Pair::new(Options { keep: true, ..Options::default() });
    pair.advance(Duration::from_secs(1));
    let before = pair.only_child(Side::A);
    let new = Options { keep: true, lifetime_a: (Some(100), Some(300)), ..Options::default() };
    replace(&mut pair, Side::A, &new, Existing::Keep);
    pair.advance(Duration::from_secs(60));
    assert_eq!(pair.only_child(Side::A), before);
    // One that is added comes up.
    let mut config = connection(&new, Side::A);
    let mut second = config.children[0].clone();
    second.name = "second".into();
    config.children.push(second);
    let now = pair.now();
    pair.endpoint_mut(Side::A).replace_connection(now, ID, config, Existing::Keep).unwrap();
    pair.advance(Duration::from_secs(10));
    assert_eq!(pair.children(Side::A).len(), 2);
    // And is deleted again with its configuration.
    replace(&mut pair, Side::A, &new, Existing::Keep);
    pair.advance(Duration::from_secs(10));
    assert_eq!(pair.only_child(Side::A), before);
}

#[test]
fn both_sides_authenticate_anew_make_before_break() {
    let mut pair = up(Options::default());
    let before = pair.only_child(Side::A).inbound;
    let new = || Options { psk_a: b"better", psk_b: b"better", ..Options::default() };
    replace(&mut pair, Side::B, &new(), Existing::Keep);
    replace(&mut pair, Side::A, &new(), Existing::Reauthenticate);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    assert_ne!(pair.only_child(Side::A).inbound, before);
    assert_eq!(auths(&pair), 2);
    let at = |wanted: fn(&Event) -> bool| pair.events(Side::A).iter().rposition(wanted).unwrap();
    assert!(at(|e| matches!(e, Event::ChildInstalled(_))) < at(|e| matches!(e, Event::ChildClosed { .. })));
    pair.advance(Duration::from_secs(40));
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
}

#[test]
fn existing_sas_are_deleted_and_what_is_kept_up_comes_up_anew() {
    let mut pair = Pair::new(Options { keep: true, ..Options::default() });
    pair.advance(Duration::from_secs(1));
    let before = pair.only_child(Side::A).inbound;
    let new = Options { keep: true, esp: "aes128gcm16", ..Options::default() };
    replace(&mut pair, Side::B, &new, Existing::Delete);
    replace(&mut pair, Side::A, &new, Existing::Delete);
    pair.run();
    pair.advance(Duration::from_secs(20));
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    assert_ne!(pair.only_child(Side::A).inbound, before);
}

#[test]
fn a_set_up_under_way_finishes_as_it_began_or_is_abandoned() {
    for side in [Side::A, Side::B] {
        for existing in [Existing::Keep, Existing::Reauthenticate, Existing::Delete] {
            for steps in 0..4 {
                let mut pair = Pair::new(Options::default());
                pair.connect(Side::A);
                pair.step(Side::A);
                // IKE_SA_INIT is out, answered, IKE_AUTH is out.
                for step in 1..=steps.min(3) {
                    pair.deliver(if step % 2 == 1 { Side::A } else { Side::B });
                }
                let complete = steps == 3;
                let half_open = side == Side::B && steps == 0;
                let new = Options { psk_a: b"better", psk_b: b"better", ..Options::default() };
                replace(&mut pair, side, &new, existing);
                pair.run();
                pair.advance(Duration::from_secs(5));
                let (a, b) = (pair.children(Side::A).len(), pair.children(Side::B).len());
                let what = format!("{side:?} {existing:?} {steps}: {a} {b}");
                if half_open {
                    // Not begun at B: the new credentials count.
                    assert_eq!((a, b), (0, 0), "{what}");
                } else if existing == Existing::Delete {
                    assert_eq!(
                        pair.endpoint(side).ike_sas().filter(|ike| !ike.children.is_empty()).count(),
                        0,
                        "{what}"
                    );
                } else if !complete || existing == Existing::Keep {
                    assert_eq!((a, b), (1, 1), "{what}");
                }
            }
        }
    }
}

#[test]
fn credentials_that_are_gone_are_refused() {
    let mut pair = up(Options::default());
    let new = Options { psk_b: b"better", ..Options::default() };
    replace(&mut pair, Side::B, &new, Existing::Delete);
    pair.run();
    pair.connect(Side::A);
    pair.run();
    pair.advance(Duration::from_secs(5));
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
    let refused = |event: &Event| {
        matches!(event, Event::IkeClosed { reason: CloseReason::Failed(error) }
            if matches!(**error, Error::AuthenticationFailed(_)))
    };
    assert!(pair.events(Side::B).iter().any(refused));
}

#[test]
fn removing_a_connection_abandons_what_is_half_open() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    let now = pair.now();
    pair.endpoint_mut(Side::B).remove_connection(now, ID).unwrap();
    assert_eq!(pair.endpoint_mut(Side::B).remove_connection(now, ID), Err(ApiMisuse::UnknownConnection));
    pair.run();
    pair.advance(Duration::from_secs(30));
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 0);
}

#[test]
fn a_configuration_that_cannot_be_changes_nothing() {
    let mut pair = up(Options::default());
    let before = pair.snapshot();
    let now = pair.now();
    let mut config = connection(&Options::default(), Side::A);
    config.suites.clear();
    let endpoint = pair.endpoint_mut(Side::A);
    assert_eq!(endpoint.replace_connection(now, ID, config, Existing::Delete), Err(ApiMisuse::NoSuite));
    let config = connection(&Options::default(), Side::A);
    assert_eq!(
        endpoint.replace_connection(now, ConnectionId(7), config, Existing::Delete),
        Err(ApiMisuse::UnknownConnection)
    );
    pair.run();
    assert_eq!(pair.snapshot(), before);
}
