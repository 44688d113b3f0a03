//! One who can inject, replay, reflect and modify, but has no keys, changes no state: for each state of an IKE SA, what
//! a model checker sees of both endpoints before and after is the same (RFC 7296 §2.4, §2.21.4).
//!
//! Time stands still meanwhile: that a replayed request is no sign of life says `tests/hints.rs`.
//!
//! Answers to IKE_SA_INIT are another matter: they have no protection, and are followed side by side until one proves
//! itself (`tests/forgery.rs`).

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use ikev2_core::CookiePolicy;
use ipsec_sa::Role;
use ipsec_wire::ike::{Auth, AuthMethod, ExchangeType, Id, IdType, Payload};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use support::puppet::Puppet;
use support::{Drawing, Options, Pair, Side, keys_agree, sketch};

/// Exchange type of IKE_SA_INIT, and where a message says its exchange type and flags.
const IKE_SA_INIT: u8 = 34;
const EXCHANGE: usize = 18;

fn draw(pair: &Pair) -> [Drawing; 2] {
    [Side::A, Side::B].map(|side| sketch(pair.endpoint(side), pair.now()))
}

/// All that the attacker has seen, or can think of, at this point.
fn forgeries(pair: &Pair) -> Vec<Vec<u8>> {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let mut wire = pair.wire(Side::A);
    wire.extend(pair.wire(Side::B));
    let mut all = Vec::new();
    // As they were, to both sides: replayed, and reflected. What is on the wire yet is not old.
    all.extend(pair.octets.iter().filter(|datagram| !wire.contains(datagram)).cloned());
    for datagram in pair.octets.iter().rev().take(6) {
        // Each octet of the header, of the first payload header, and some others, changed.
        let some: Vec<usize> = (0..12).map(|_| dice.next_u32() as usize % datagram.len()).collect();
        for at in (0..36.min(datagram.len())).chain(some) {
            let mut changed = datagram.clone();
            changed[at] ^= 1 << (dice.next_u32() % 8);
            all.push(changed);
        }
        // Under other SPIs, and cut short.
        for at in [0, 8] {
            let mut changed = datagram.clone();
            changed.get_mut(at..at + 8).into_iter().flatten().for_each(|octet| *octet ^= 0x5a);
            all.push(changed);
        }
        all.push(datagram[..datagram.len() - 1].to_vec());
        // The same header before garbage.
        let mut garbage = datagram.clone();
        dice.fill_bytes(garbage.get_mut(32..).unwrap_or_default());
        all.push(garbage);
        // Every exchange, request or answer, by either side, with ids about the window.
        for exchange in [34, 35, 36, 37, 43, 44, 99] {
            for flags in [0x00, 0x08, 0x20, 0x28] {
                for id in 0..4 {
                    let mut changed = datagram.clone();
                    changed[EXCHANGE] = exchange;
                    changed[EXCHANGE + 1] = flags;
                    changed[20..24].copy_from_slice(&u32::to_be_bytes(id));
                    all.push(changed);
                }
            }
        }
    }
    // What is on the wire is genuine, and is delivered by and by.
    all.retain(|forged| !wire.contains(forged));
    for len in [0, 1, 27, 28, 32, 100, 1500] {
        let mut garbage = vec![0; len];
        dice.fill_bytes(&mut garbage);
        all.push(garbage);
    }
    all
}

/// Whether this may go to this side here: IKE_SA_INIT to a side that is setting up is not protected.
fn is_fair(side: Side, forged: &[u8], name: &str) -> bool {
    let init = forged.get(EXCHANGE) == Some(&IKE_SA_INIT);
    let answer = forged.get(EXCHANGE + 1).is_some_and(|flags| flags & 0x20 != 0);
    match (init, answer) {
        (false, _) => true,
        // A request that is new makes a half-open IKE SA.
        (true, false) => false,
        (true, true) => !((side == Side::A || name.contains("anew")) && name.starts_with("set-up")),
    }
}

fn attack(pair: &mut Pair, name: &str) {
    let before = draw(pair);
    let (wire_a, wire_b) = (pair.wire(Side::A).len(), pair.wire(Side::B).len());
    let forgeries = forgeries(pair);
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    assert!(forgeries.len() > 100, "{name}");
    for forged in forgeries {
        for side in [Side::A, Side::B] {
            if is_fair(side, &forged, name) {
                let result = pair.inject(side, forged.clone());
                let after = draw(pair);
                let verdict = result.as_ref().map_or_else(|why| format!("{why:?}"), |()| "Ok".into());
                let kind = verdict.split(['(', ' ']).next().unwrap_or_default().to_owned();
                *verdicts.entry(kind).or_default() += 1;
                // What counts is what was said before, to the octet: it is answered once more, or was a keepalive.
                assert!(
                    result.is_err() || pair.octets.contains(&forged),
                    "{name}: {side:?} {:02x?}",
                    &forged[..24]
                );
                assert!(
                    before == after,
                    "{name}: {side:?} took {result:?} {:02x?}",
                    &forged[..forged.len().min(40)]
                );
            }
        }
    }
    println!("{name}: {verdicts:?}");
    // What it was made to say again is not delivered.
    pair.tamper(Side::A, |wire| wire.truncate(wire_a));
    pair.tamper(Side::B, |wire| wire.truncate(wire_b));
}

fn options() -> Options {
    Options {
        intermediate_a: vec![b"one".to_vec()],
        cookie: CookiePolicy::Never,
        window_b: 2,
        ..Options::default()
    }
}

fn works(pair: &mut Pair) {
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

#[test]
fn set_up_is_not_moved() {
    for (deliveries, name) in [
        (0, "set-up: IKE_SA_INIT out"),
        (1, "set-up: half-open"),
        (2, "set-up: IKE_INTERMEDIATE out"),
        (3, "set-up: IKE_INTERMEDIATE answered"),
        (4, "set-up: IKE_AUTH out"),
        (5, "set-up: the responder has it, the initiator not"),
    ] {
        let mut pair = Pair::new(options());
        pair.connect(Side::A);
        pair.step(Side::A);
        for delivery in 0..deliveries {
            pair.deliver(if delivery % 2 == 0 { Side::A } else { Side::B });
        }
        attack(&mut pair, name);
        works(&mut pair);
    }
}

/// Goes on until all is quiet, a job or a delivery at a time, and attacks wherever a job waits for its caller. Says which
/// jobs of which side it was.
fn attack_at_each_job(pair: &mut Pair, name: &str) -> BTreeSet<(Side, String)> {
    let mut waited = BTreeSet::new();
    for _ in 0..100 {
        pair.step(Side::A);
        pair.step(Side::B);
        let waiting: Vec<(Side, String)> =
            [Side::A, Side::B].into_iter().filter_map(|side| Some((side, pair.job(side)?))).collect();
        // Before the first message there is nothing that an attacker could have seen.
        if !waiting.is_empty() && !pair.octets.is_empty() {
            attack(pair, &format!("{name}: {waiting:?}"));
        }
        match waiting.first() {
            Some((side, _)) => pair.finish_job(*side),
            None if !pair.wire(Side::A).is_empty() => pair.deliver(Side::A),
            None if !pair.wire(Side::B).is_empty() => pair.deliver(Side::B),
            None => return waited,
        }
        waited.extend(waiting);
    }
    panic!("{name}: they never fall silent");
}

/// Those of a whole exchange of key exchange and children that this side begins.
fn jobs_of(side: Side) -> Vec<(Side, String)> {
    let peer = side.other();
    let all = [
        (side, "KeyExchange(Start)"),
        (peer, "KeyExchange(Respond)"),
        (side, "KeyExchange(Complete)"),
        (side, "Install"),
        (peer, "Install"),
    ];
    all.map(|(side, job)| (side, job.to_owned())).to_vec()
}

fn outside() -> Options {
    // With a key exchange of its own in each child.
    Options { offload: true, esp: "aes256gcm16-x25519", ..options() }
}

#[test]
fn set_up_with_slow_steps_outside_is_not_moved() {
    let mut pair = Pair::new(outside());
    pair.hold_jobs = true;
    pair.connect(Side::A);
    let waited = attack_at_each_job(&mut pair, "set-up");
    assert_eq!(waited, BTreeSet::from_iter(jobs_of(Side::A)));
    works(&mut pair);
}

#[test]
fn established_ike_sas_with_slow_steps_outside_are_not_moved() {
    for side in [Side::A, Side::B] {
        let ask: [(&str, Ask); 6] = [
            ("another child", more),
            ("child rekey", Pair::rekey_child),
            ("IKE rekey", Pair::rekey_ike),
            ("both rekey the child", |pair, side| {
                pair.rekey_child(side);
                pair.rekey_child(side.other());
            }),
            ("both rekey the IKE SA", |pair, side| {
                pair.rekey_ike(side);
                pair.rekey_ike(side.other());
            }),
            ("re-authentication", reauthenticate),
        ];
        for (name, ask) in ask {
            let mut pair = Pair::new(outside());
            pair.connect(Side::A);
            works(&mut pair);
            pair.hold_jobs = true;
            ask(&mut pair, side);
            let again = name == "re-authentication";
            let waited =
                attack_at_each_job(&mut pair, if again { "set-up: the authentication anew" } else { name });
            let of_child = |(_, job): &(Side, String)| job != "Install";
            let mut expected = jobs_of(side);
            if name.contains("IKE") {
                expected.retain(of_child);
            }
            if name.starts_with("both") {
                expected.extend(jobs_of(side.other()).into_iter().filter(of_child));
            }
            let missing: Vec<_> = expected.iter().filter(|job| !waited.contains(job)).collect();
            assert!(missing.is_empty(), "{name} by {side:?}: {missing:?} of {waited:?}");
            let count = if name == "another child" { 2 } else { 1 };
            for side in [Side::A, Side::B] {
                assert_eq!(pair.children(side).len(), count, "{name}");
            }
        }
    }
}

/// What one side is asked to do.
type Ask = fn(&mut Pair, Side);

fn up() -> Pair {
    let mut pair = Pair::new(options());
    pair.connect(Side::A);
    works(&mut pair);
    pair
}

#[test]
fn established_ike_sas_are_not_moved() {
    let mut pair = up();
    attack(&mut pair, "idle");
    works(&mut pair);
    for side in [Side::A, Side::B] {
        let ask: [(&str, Ask); 7] = [
            ("child deletion", Pair::delete_child),
            ("another child", more),
            ("re-authentication", reauthenticate),
            ("liveness", Pair::check_liveness),
            ("child rekey", Pair::rekey_child),
            ("IKE rekey", Pair::rekey_ike),
            ("both rekeys", |pair, side| {
                pair.rekey_child(side);
                pair.rekey_ike(side.other());
            }),
        ];
        for (name, ask) in ask {
            // The request is out; it is answered, and the answer is out.
            for deliveries in 0..3 {
                let mut pair = up();
                ask(&mut pair, side);
                pair.step(Side::A);
                pair.step(Side::B);
                for delivery in 0..deliveries {
                    pair.deliver(if delivery % 2 == 0 { side } else { side.other() });
                }
                let name = if name == "re-authentication" { "set-up: the authentication anew" } else { name };
                attack(&mut pair, name);
                pair.run();
                for side in [Side::A, Side::B] {
                    assert_eq!(pair.children(side).is_empty(), name == "child deletion", "{name}");
                }
                assert_eq!(pair.children(Side::A).len(), pair.children(Side::B).len(), "{name}");
            }
        }
    }
}

fn reauthenticate(pair: &mut Pair, side: Side) {
    let (now, ike) = (pair.now(), pair.ike(side));
    // Whoever is to begin again must know where the peer is: both do here.
    pair.endpoint_mut(side).reauthenticate(now, ike).unwrap();
}

fn more(pair: &mut Pair, side: Side) {
    let (now, ike) = (pair.now(), pair.ike(side));
    pair.endpoint_mut(side).create_child(now, ike, 0, None).unwrap();
}

#[test]
fn ike_sas_that_end_are_not_moved() {
    for deliveries in 0..3 {
        let mut pair = up();
        pair.delete_ike(Side::A);
        pair.step(Side::A);
        for delivery in 0..deliveries {
            pair.deliver(if delivery % 2 == 0 { Side::A } else { Side::B });
        }
        attack(&mut pair, "deletion");
        pair.run();
        assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
    }
    // One that was refused, and still answers.
    let mut pair = Pair::new(Options { psk_b: b"another", ..options() });
    pair.connect(Side::A);
    pair.run();
    attack(&mut pair, "set-up: refused");
    // One that tells its peer that its proof does not hold.
    let mut pair = Pair::new(options());
    pair.connect(Side::A);
    pair.step(Side::A);
    for delivery in 0..5 {
        pair.deliver(if delivery % 2 == 0 { Side::A } else { Side::B });
    }
    pair.clear();
    let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
    let payloads = [
        Payload::IdR(Id::new(IdType::FQDN, b"b.test".to_vec())),
        Payload::Auth(Auth::new(AuthMethod::SHARED_KEY_MIC, vec![0; 32])),
    ];
    let wrong = peer.message(ExchangeType::IKE_AUTH, true, 2, &payloads);
    pair.inject(Side::A, wrong).unwrap();
    attack(&mut pair, "set-up: the proof did not hold");
    pair.advance_one(Side::A, Duration::from_secs(4));
    assert!(pair.ladder(Side::A).iter().any(|line| line.starts_with("> INFORMATIONAL")));
    attack(&mut pair, "telling so");
}
