//! Requests that are put off with TEMPORARY_FAILURE: when they come again, that two sides which put each other off come to
//! an end, and what becomes of an IKE SA whose peer never stops (RFC 7296 §2.25).

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::time::Duration;

use ikev2_core::config::Existing;
use ikev2_core::{CloseReason, ConnectionId, Event, IkeSaState};
use ipsec_sa::Role;
use ipsec_wire::ike::{ExchangeType, Notify, NotifyType, Payload};
use support::puppet::Puppet;
use support::{Options, Pair, Side, connection, keys_agree, up};
use testkit::ladder;
use testkit::pair::Setup;

fn asked(pair: &Pair, what: &str) -> usize {
    pair.ladder(Side::A).iter().filter(|line| line.starts_with(what)).count()
}

/// A asks, and is put off every time, until it gives up. Says how long it waited before each try.
fn put_off_for_ever(pair: &mut Pair, ask: impl Fn(&mut Pair)) -> Vec<Duration> {
    ask(pair);
    pair.step(Side::A);
    let mut waits = Vec::new();
    let mut waited = Duration::ZERO;
    for tries in 1.. {
        assert_eq!(asked(pair, "> CREATE_CHILD_SA"), tries, "{:?}", pair.ladder(Side::A));
        pair.clear();
        let mut peer = Puppet::new(pair, Side::A, Role::Responder);
        let later = [Payload::Notify(Notify::new(NotifyType::TEMPORARY_FAILURE, Vec::new()))];
        let id = u32::try_from(tries).unwrap() + 1;
        let response = peer.message(ExchangeType::CREATE_CHILD_SA, true, id, &later);
        pair.inject(Side::A, response).unwrap();
        let failed = |pair: &Pair| {
            pair.events(Side::A).iter().filter(|event| matches!(event, Event::ChildFailed { .. })).count()
        };
        while asked(pair, "> CREATE_CHILD_SA") == tries && failed(pair) == 0 {
            pair.advance_one(Side::A, Duration::from_millis(100));
            waited += Duration::from_millis(100);
            assert!(waited < Duration::from_secs(100), "{:?}", pair.ladder(Side::A));
        }
        if failed(pair) > 0 {
            assert_eq!(failed(pair), 1);
            break;
        }
        waits.push(core::mem::take(&mut waited));
    }
    waits
}

type Ask = fn(&mut Pair, Side);

#[test]
fn tries_get_further_apart_and_a_peer_that_never_stops_is_met_anew() {
    for ask in [Pair::rekey_child as Ask, Pair::rekey_ike] {
        let mut pair = up(Options::default());
        let (old, child) = (pair.ike(Side::A), pair.only_child(Side::B));
        let waits = put_off_for_ever(&mut pair, |pair| ask(pair, Side::A));
        assert_eq!(waits.len(), 8, "{waits:?}");
        for (waited, whole) in waits.iter().zip([4u64, 8, 16, 32, 60, 60, 60, 60]) {
            let whole = Duration::from_secs(whole);
            assert!(*waited >= whole / 2 && *waited <= whole * 4 / 5, "{waits:?}");
        }
        assert!(waits.iter().sum::<Duration>() > Duration::from_secs(150), "several minutes: {waits:?}");
        // A new IKE SA, and what was there stays until it is made.
        assert_eq!(asked(&pair, "> IKE_SA_INIT"), 2, "{:?}", pair.ladder(Side::A));
        assert_eq!(pair.children(Side::A).len(), 1);
        // B has another notion of the old one, and its deletion goes unanswered.
        pair.advance(Duration::from_secs(300));
        let left: Vec<_> = pair.endpoint(Side::A).ike_sas().map(|info| (info.handle, info.state)).collect();
        assert!(!left.iter().any(|(handle, _)| *handle == old), "{left:?}");
        let at_b: Vec<_> = pair.children(Side::B).into_iter().filter(|it| *it != child).collect();
        assert_eq!(at_b.len(), 1);
        keys_agree(&pair.only_child(Side::A), &at_b[0]);
    }
}

#[test]
fn a_child_that_is_refused_for_ever_costs_the_others_nothing() {
    let mut pair = up(Options::default());
    let before = pair.snapshot()[0].clone();
    let waits = put_off_for_ever(&mut pair, |pair| {
        let (now, ike) = (pair.now(), pair.ike(Side::A));
        pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    });
    assert_eq!(waits.len(), 8);
    assert_eq!(asked(&pair, "> IKE_SA_INIT"), 1);
    assert_eq!(pair.snapshot()[0], before);
}

#[test]
fn without_an_address_to_begin_from_the_ike_sa_is_closed() {
    let mut pair = up(Options::default());
    let mut config = connection(&Options::default(), Side::A);
    config.remote = None;
    let now = pair.now();
    pair.endpoint_mut(Side::A).replace_connection(now, ConnectionId(0), config, Existing::Keep).unwrap();
    put_off_for_ever(&mut pair, |pair| pair.rekey_ike(Side::A));
    assert_eq!(asked(&pair, "> IKE_SA_INIT"), 1);
    assert_eq!(pair.ladder(Side::A).last().map(String::as_str), Some("> INFORMATIONAL 11 SK{D}"));
    let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
    let none: [Payload; 0] = [];
    let response = peer.message(ExchangeType::INFORMATIONAL, true, 11, &none);
    pair.inject(Side::A, response).unwrap();
    assert!(pair.children(Side::A).is_empty());
    let closed = |event: &Event| matches!(event, Event::IkeClosed { reason: CloseReason::Local });
    assert!(pair.events(Side::A).iter().any(closed));
}

/// Both timers without jitter and both sides woken at the same moments: nothing but their roles tells them apart.
#[test]
fn two_sides_that_put_each_other_off_do_not_stay_in_step() {
    for side in [Side::A, Side::B] {
        let mut pair = up(Options { in_step: true, ..Options::default() });
        pair.rekey_child(side);
        pair.rekey_ike(side.other());
        pair.advance(Duration::from_secs(1));
        for side in [Side::A, Side::B] {
            let refused =
                pair.ladder(side).iter().filter(|line| line.contains("N(TEMPORARY_FAILURE)")).count();
            assert_eq!(refused, 2, "each has refused and was: {:?}", pair.ladder(side));
        }
        pair.advance(Duration::from_secs(120));
        for side in [Side::A, Side::B] {
            let count = |what: &str| pair.ladder(side).iter().filter(|line| line.contains(what)).count();
            assert_eq!(count("N(TEMPORARY_FAILURE)"), 2, "and not again: {:?}", pair.ladder(side));
            let failed = |event: &&Event| matches!(event, Event::ChildFailed { .. });
            assert_eq!(pair.events(side).iter().filter(failed).count(), 0);
            let rekeyed = |event: &&Event| matches!(event, Event::IkeRekeyed { .. });
            assert_eq!(pair.events(side).iter().filter(rekeyed).count(), 1);
            let established = |info: &ikev2_core::IkeSaInfo| info.state == IkeSaState::Established;
            assert_eq!(pair.endpoint(side).ike_sas().filter(established).count(), 1);
        }
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    }
}

/// The same with latency and jitter, again and again, as two busy gateways have it.
#[test]
fn rekeys_that_cross_again_and_again_all_come_to_their_end() {
    let mut refused = 0;
    for seed in 0..60 {
        let setup = Setup::psk(seed, "aes256gcm16-prfsha256-x25519", "aes256gcm16").insecure();
        let mut pair = testkit::pair::Pair::new(setup);
        pair.connect(ladder::Side::Left);
        pair.run_for(Duration::from_secs(1));
        let (child, other) = match seed % 2 {
            0 => (ladder::Side::Left, ladder::Side::Right),
            _ => (ladder::Side::Right, ladder::Side::Left),
        };
        for _ in 0..6 {
            let now = pair.clock.now();
            let (ike, spi) = pair.child(child).expect("a child");
            let theirs = pair.ike(other).expect("an IKE SA");
            pair.node_mut(child).endpoint.rekey_child(now, ike, spi).expect("it can");
            pair.node_mut(other).endpoint.rekey_ike(now, theirs).expect("it can");
            // The longest that two rounds of tries take, and the old IKE SA's deletion.
            pair.run_for(Duration::from_secs(15));
            assert_eq!(pair.agree(), Ok(()), "seed {seed}\n{}", pair.ladder);
            assert_ne!(pair.child(child), Some((ike, spi)), "seed {seed}\n{}", pair.ladder);
            assert_ne!(pair.ike(other), Some(theirs), "seed {seed}\n{}", pair.ladder);
        }
        let text = pair.ladder.to_string();
        refused += text.matches("N(TEMPORARY_FAILURE)").count();
        assert!(text.matches("N(TEMPORARY_FAILURE)").count() <= 2 * 6 * 2, "seed {seed}\n{text}");
    }
    assert!(refused >= 60, "they do cross: {refused}");
}

/// Each task waits for its own time, however many wait.
#[test]
fn what_waits_longer_is_not_taken_up_with_what_waits_less() {
    let mut pair = up(Options { in_step: true, ..Options::default() });
    let refuse = |pair: &mut Pair, id: u32| {
        pair.clear();
        let mut peer = Puppet::new(pair, Side::A, Role::Responder);
        let later = [Payload::Notify(Notify::new(NotifyType::TEMPORARY_FAILURE, Vec::new()))];
        let response = peer.message(ExchangeType::CREATE_CHILD_SA, true, id, &later);
        pair.inject(Side::A, response).unwrap();
        asked(pair, "> CREATE_CHILD_SA")
    };
    let wait = |pair: &mut Pair, millis| pair.advance_one(Side::A, Duration::from_millis(millis));
    // Three seconds, and six.
    pair.rekey_child(Side::A);
    pair.step(Side::A);
    assert_eq!(refuse(&mut pair, 2), 1);
    wait(&mut pair, 3_000);
    assert_eq!(refuse(&mut pair, 3), 2);
    // Something else a second later, which waits three.
    wait(&mut pair, 1_000);
    let (now, ike) = (pair.now(), pair.ike(Side::A));
    pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    pair.step(Side::A);
    assert_eq!(refuse(&mut pair, 4), 3);
    wait(&mut pair, 3_000);
    assert_eq!(refuse(&mut pair, 5), 4, "it alone");
    wait(&mut pair, 1_900);
    assert_eq!(asked(&pair, "> CREATE_CHILD_SA"), 4);
    wait(&mut pair, 200);
    assert_eq!(asked(&pair, "> CREATE_CHILD_SA"), 5, "and the rekey in its time");
}
