//! Whoever sees our IKE_SA_INIT can answer it faster than the peer (RFC 7296 §2.4, §2.21.1, §2.21.2).

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::time::Duration;

use ikev2_core::error::{AuthFailure, Error};
use ikev2_core::{CloseReason, Discarded, Event};
use ipsec_sa::Role;
use ipsec_wire::ike::{Auth, AuthMethod, ExchangeType, Id, IdType, Payload};
use support::puppet::Puppet;
use support::{Options, Pair, Side, keys_agree};

/// A responder with another key and other random numbers.
fn forger(seed: u64) -> Pair {
    Pair::new(Options { seed: 1000 + seed, psk_b: b"the forger's", ..Options::default() })
}

fn answer(forger: &mut Pair, request: &[u8]) -> Vec<u8> {
    forger.inject(Side::B, request.to_vec()).unwrap();
    let answer = forger.wire(Side::B).last().unwrap().clone();
    forger.clear();
    answer
}

fn begun() -> (Pair, Vec<u8>) {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.step(Side::A);
    let request = pair.wire(Side::A)[0].clone();
    (pair, request)
}

#[test]
fn a_hundred_forged_answers_before_the_right_one_use_nothing_up() {
    let (mut pair, request) = begun();
    let mut busy = 0;
    for seed in 0..100 {
        let forged = answer(&mut forger(seed), &request);
        busy += usize::from(pair.inject(Side::A, forged) == Err(Discarded::Busy));
    }
    assert_eq!(busy, 35, "the first, and as many more as are followed in a second");
    pair.tamper(Side::A, |wire| wire.truncate(1));
    // The peer's own answer comes too late for this second, and is asked for again.
    pair.run();
    pair.advance(Duration::from_secs(3));
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn some_forged_answers_after_the_right_one_do_no_harm() {
    let (mut pair, request) = begun();
    pair.deliver(Side::A);
    // The right answer, then the forged ones, then what the peer says to IKE_AUTH.
    pair.deliver(Side::B);
    for seed in 0..15 {
        let forged = answer(&mut forger(seed), &request);
        pair.inject(Side::A, forged).unwrap();
    }
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn a_forger_who_answers_ike_auth_too_does_not_kill_a_set_up() {
    let (mut pair, request) = begun();
    let mut forger = forger(1);
    let forged = answer(&mut forger, &request);
    pair.inject(Side::A, forged.clone()).unwrap();
    let auth = pair.wire(Side::A).last().unwrap().clone();
    let refusal = answer(&mut forger, &auth);
    pair.inject(Side::A, refusal).unwrap();
    // Nobody is left, and the peer has yet to answer.
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1);
    assert_eq!(pair.inject(Side::A, forged), Err(Discarded::Unexpected), "not followed twice");
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));

    // The same when the peer's first answer is lost.
    let (mut pair, request) = begun();
    let mut forger = self::forger(2);
    let forged = answer(&mut forger, &request);
    pair.inject(Side::A, forged).unwrap();
    let auth = pair.wire(Side::A).last().unwrap().clone();
    let refusal = answer(&mut forger, &auth);
    pair.inject(Side::A, refusal).unwrap();
    pair.drop_next(Side::B, 1);
    pair.run();
    pair.advance(Duration::from_secs(2));
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn a_forged_wish_for_another_key_exchange_method_is_survived() {
    let ike = "aes256gcm16-prfsha256-x25519-ecp256";
    let ike_b = Some("aes256gcm16-prfsha256-x25519");
    let mut other = Pair::new(Options {
        seed: 9,
        ike,
        ike_b: Some("aes256gcm16-prfsha256-ecp256"),
        ..Options::default()
    });
    let mut pair = Pair::new(Options { ike, ike_b, ..Options::default() });
    pair.connect(Side::A);
    pair.step(Side::A);
    let request = pair.wire(Side::A)[0].clone();
    assert_eq!(other.inject(Side::B, request), Err(Discarded::Refused));
    let forged = other.wire(Side::B)[0].clone();
    pair.inject(Side::A, forged).unwrap();
    pair.run();
    pair.advance(Duration::from_secs(10));
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

/// A peer whose proof does not hold takes the IKE SA for made: it is told so, again and again until it has heard.
#[test]
fn a_responder_whose_proof_does_not_hold_is_told_in_an_exchange_of_its_own() {
    for lost in [0, 1] {
        let (mut pair, _) = begun();
        pair.deliver(Side::A);
        pair.deliver(Side::B);
        pair.deliver(Side::A);
        pair.step(Side::B);
        assert_eq!(pair.children(Side::B).len(), 1, "B takes it for made");
        pair.clear();
        let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
        let payloads = [
            Payload::IdR(Id::new(IdType::FQDN, b"b.test".to_vec())),
            Payload::Auth(Auth::new(AuthMethod::SHARED_KEY_MIC, vec![0; 32])),
        ];
        let wrong = peer.message(ExchangeType::IKE_AUTH, true, 1, &payloads);
        pair.inject(Side::A, wrong).unwrap();
        pair.run();
        assert_eq!(pair.children(Side::B).len(), 1);
        let told = |pair: &Pair| -> Vec<String> {
            pair.ladder(Side::A).into_iter().filter(|line| line.starts_with("> INF")).collect()
        };
        // For as long as another answer may come, nothing is said.
        for _ in 0..6 {
            assert_eq!(told(&pair), [""; 0]);
            pair.advance_one(Side::A, Duration::from_millis(500));
        }
        if lost > 0 {
            pair.clear();
        }
        pair.run();
        pair.advance(Duration::from_secs(5));
        let sent = told(&pair);
        assert_eq!(sent[0], "> INFORMATIONAL 2 SK{N(AUTHENTICATION_FAILED)}");
        assert_eq!(sent.len(), 1 + lost);
        let failed = |event: &Event, ours: bool| match event {
            Event::IkeClosed { reason: CloseReason::Failed(error) } => match &**error {
                Error::AuthenticationFailed(why) => {
                    matches!(**why, AuthFailure::WrongKey { .. }) == ours
                        && matches!(**why, AuthFailure::RefusedByPeer { .. }) != ours
                }
                _ => false,
            },
            _ => false,
        };
        assert_eq!(pair.events(Side::A).iter().filter(|event| failed(event, true)).count(), 1);
        assert_eq!(pair.events(Side::B).iter().filter(|event| failed(event, false)).count(), 1);
        assert!(pair.children(Side::B).is_empty());
        assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 0);
    }
}
