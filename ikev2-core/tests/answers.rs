//! What a peer with the right keys is answered when it asks for what is not there, not known or not allowed, and what its
//! answers do to ours (RFC 7296 §1.3.1, §1.4.1, §2.5, §2.7, §2.9, §2.21, §2.25, §3.10.1; RFC 6023).

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::time::Duration;

use ikev2_core::config::Existing;
use ikev2_core::{ConnectionId, Event, Uniqueness};
use ipsec_sa::{Mode, Role};
use ipsec_wire::Spi;
use ipsec_wire::ike::{
    Delete, ExchangeType, Notify, NotifyType, Payload, PayloadBuilder, PayloadType, ProtocolId,
};
use support::puppet::Puppet;
use support::{Options, Pair, Side, connection, keys_agree, up};

/// B is asked by somebody with A's keys; what it answers, and whether everything still stands.
fn ask<P>(pair: &mut Pair, id: u32, exchange: ExchangeType, payloads: &[P]) -> String
where
    P: Clone + Into<PayloadBuilder>,
{
    let mut peer = Puppet::new(pair, Side::B, Role::Initiator);
    let payloads: Vec<PayloadBuilder> = payloads.iter().cloned().map(Into::into).collect();
    let request = peer.built(exchange, false, id, &payloads);
    pair.inject(Side::B, request).unwrap();
    let said = pair.ladder(Side::B).pop().expect("an answer");
    pair.clear();
    said
}

/// A is answered by somebody with B's keys: to its request of this id.
fn answer(pair: &mut Pair, id: u32, exchange: ExchangeType, payloads: &[Payload]) {
    let mut peer = Puppet::new(pair, Side::A, Role::Responder);
    let response = peer.message(exchange, true, id, payloads);
    pair.inject(Side::A, response).unwrap();
}

fn notify(notify_type: NotifyType) -> Payload {
    Payload::Notify(Notify::new(notify_type, Vec::new()))
}

fn of_child(notify_type: NotifyType, spi: Spi) -> Payload {
    Payload::Notify(Notify::with_spi(ProtocolId::ESP, spi.0.to_be_bytes(), notify_type, Vec::new()))
}

/// A payload of a type that nobody knows.
fn unknown(critical: bool) -> PayloadBuilder {
    let body = b"what is this".to_vec();
    let payload = PayloadBuilder::from(Payload::Unknown { payload_type: PayloadType(200), body });
    if critical { payload.critical() } else { payload }
}

fn last_failure(pair: &Pair, side: Side) -> String {
    let failed = |event: &Event| match event {
        Event::ChildFailed { error, .. } => Some(error.to_string()),
        Event::IkeClosed { reason } => Some(reason.to_string()),
        _ => None,
    };
    pair.events(side).iter().rev().find_map(failed).expect("a failure")
}

const NONE: [Payload; 0] = [];
const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;
const CREATE_CHILD_SA: ExchangeType = ExchangeType::CREATE_CHILD_SA;

#[test]
fn an_exchange_of_an_unknown_type_is_refused_and_the_ike_sa_stays() {
    let mut pair = up(Options::default());
    for (id, exchange) in [(2, 99), (3, 240), (4, 43), (5, 35), (6, 38)] {
        let said = ask(&mut pair, id, ExchangeType(exchange), &NONE);
        assert!(said.ends_with(&format!("{id} SK{{N(INVALID_SYNTAX)}}")), "{said}");
    }
    assert_eq!(ask(&mut pair, 7, INFORMATIONAL, &NONE), "> INFORMATIONAL 7 SK{}");
    assert_eq!(pair.children(Side::B).len(), 1);
}

#[test]
fn an_unknown_payload_is_refused_where_it_is_critical_and_skipped_where_it_is_not() {
    let mut pair = up(Options::default());
    let said = ask(&mut pair, 2, INFORMATIONAL, &[unknown(true)]);
    assert_eq!(said, "> INFORMATIONAL 2 SK{N(UNSUPPORTED_CRITICAL_PAYLOAD)}");
    let said = ask(&mut pair, 3, CREATE_CHILD_SA, &[unknown(true)]);
    assert_eq!(said, "> CREATE_CHILD_SA 3 SK{N(UNSUPPORTED_CRITICAL_PAYLOAD)}");
    assert_eq!(ask(&mut pair, 4, INFORMATIONAL, &[unknown(false)]), "> INFORMATIONAL 4 SK{}");
    // What stands beside a critical one is not looked at: the child is still there.
    let delete = Payload::Delete(Delete::esp(&[pair.only_child(Side::A).inbound]));
    let said = ask(&mut pair, 5, INFORMATIONAL, &[delete.clone().into(), unknown(true)]);
    assert_eq!(said, "> INFORMATIONAL 5 SK{N(UNSUPPORTED_CRITICAL_PAYLOAD)}");
    assert_eq!(pair.children(Side::B).len(), 1);
    let said = ask(&mut pair, 6, INFORMATIONAL, &[delete.into(), unknown(false)]);
    assert_eq!(said, "> INFORMATIONAL 6 SK{D}");
    assert_eq!(pair.children(Side::B).len(), 0);
}

#[test]
fn a_critical_payload_in_ike_auth_ends_the_set_up_with_its_type() {
    let mut pair = Pair::new(Options::default());
    pair.connect(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    let said = ask(&mut pair, 1, ExchangeType::IKE_AUTH, &[unknown(true)]);
    assert_eq!(said, "> IKE_AUTH 1 SK{N(UNSUPPORTED_CRITICAL_PAYLOAD)}");
    assert!(pair.children(Side::B).is_empty());
}

/// RFC 7296 §3.10.1: unknown errors in a request and unknown statuses anywhere are ignored.
#[test]
fn unknown_notifies_in_a_request_are_ignored() {
    let mut pair = up(Options::default());
    for (id, notify_type) in [(2, 8190), (3, 16383), (4, 40960), (5, 65535), (6, 46), (7, 11)] {
        let said = ask(&mut pair, id, INFORMATIONAL, &[notify(NotifyType(notify_type))]);
        assert_eq!(said, format!("> INFORMATIONAL {id} SK{{}}"));
    }
    assert_eq!(pair.children(Side::B).len(), 1);
}

/// RFC 7296 §3.10.1: an unknown error in an answer means that the request failed, an unknown status means nothing.
#[test]
fn an_unknown_error_in_an_answer_fails_the_request_and_nothing_more() {
    let mut pair = up(Options::default());
    let (now, ike) = (pair.now(), pair.ike(Side::A));
    pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    pair.step(Side::A);
    pair.clear();
    answer(&mut pair, 2, CREATE_CHILD_SA, &[notify(NotifyType(8190))]);
    assert!(last_failure(&pair, Side::A).contains("8190"), "{}", last_failure(&pair, Side::A));
    assert_eq!(pair.children(Side::A).len(), 1);
    pair.rekey_ike(Side::A);
    pair.step(Side::A);
    pair.clear();
    answer(&mut pair, 3, CREATE_CHILD_SA, &[notify(NotifyType(8190))]);
    assert_eq!(pair.endpoint(Side::A).ike_sas().count(), 1, "the old one stays");
    pair.check_liveness(Side::A);
    pair.step(Side::A);
    pair.clear();
    answer(&mut pair, 4, INFORMATIONAL, &[notify(NotifyType(40960))]);
    assert_eq!((pair.endpoint(Side::A).ike_sas().count(), pair.children(Side::A).len()), (1, 1));
}

/// RFC 7296 §2.25: the peer wants to replace, or delete, what is not there.
#[test]
fn a_child_that_is_not_there_is_not_rekeyed_nor_deleted() {
    let mut pair = up(Options::default());
    let rekey = [of_child(NotifyType::REKEY_SA, Spi(0x0bad_cafe))];
    let said = ask(&mut pair, 2, CREATE_CHILD_SA, &rekey);
    assert!(said.starts_with("> CREATE_CHILD_SA 2 SK{N("), "{said}");
    let said = ask(&mut pair, 3, INFORMATIONAL, &[Payload::Delete(Delete::esp(&[Spi(0x0bad_cafe)]))]);
    assert_eq!(said, "> INFORMATIONAL 3 SK{}");
    // Named by the other protocol it is another one.
    let spi = pair.only_child(Side::A).inbound;
    let said = ask(&mut pair, 4, INFORMATIONAL, &[Payload::Delete(Delete::ah(&[spi]))]);
    assert_eq!(said, "> INFORMATIONAL 4 SK{}");
    assert_eq!(pair.children(Side::B).len(), 1);
}

/// The peer has lost what we rekey: it goes here too, and one like it is asked for (RFC 7296 §2.25).
#[test]
fn a_child_that_the_peer_does_not_know_is_made_anew() {
    let mut pair = up(Options::default());
    let before = pair.only_child(Side::A).inbound;
    // B forgets it without a word.
    let (now, spi) = (pair.now(), pair.only_child(Side::A).inbound);
    let said = ask(&mut pair, 2, INFORMATIONAL, &[Payload::Delete(Delete::esp(&[spi]))]);
    assert_eq!((said.as_str(), pair.children(Side::B).len()), ("> INFORMATIONAL 2 SK{D}", 0));
    let ike = pair.ike(Side::A);
    // A's own next request has that id; B has seen one of it, and A goes on behind it.
    pair.check_liveness(Side::A);
    pair.step(Side::A);
    pair.clear();
    answer(&mut pair, 2, INFORMATIONAL, &[]);
    pair.endpoint_mut(Side::A).rekey_child(now, ike, before).unwrap();
    pair.run();
    let ladder = pair.ladder(Side::A);
    assert!(ladder.iter().any(|line| line == "< CREATE_CHILD_SA 3 SK{N(CHILD_SA_NOT_FOUND)}"), "{ladder:?}");
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    assert_ne!(pair.only_child(Side::A).inbound, before);
}

/// RFC 7296 §1.4.1: a pair is deleted together, each side naming the SPI that it receives on.
#[test]
fn children_are_deleted_in_pairs_and_several_at_once() {
    let mut pair = up(Options::default());
    let (now, ike) = (pair.now(), pair.ike(Side::A));
    for _ in 0..2 {
        pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
        pair.run();
    }
    let of_a: Vec<Spi> = pair.children(Side::A).iter().map(|child| child.inbound).collect();
    assert_eq!((of_a.len(), pair.children(Side::B).len()), (3, 3));
    let said = ask(&mut pair, 4, INFORMATIONAL, &[Payload::Delete(Delete::esp(&of_a[..2]))]);
    assert_eq!((said.as_str(), pair.children(Side::B).len()), ("> INFORMATIONAL 4 SK{D}", 1));
    // An IKE SA takes its children with it, and is not named in the answer.
    let said = ask(&mut pair, 5, INFORMATIONAL, &[Payload::Delete(Delete::ike())]);
    assert_eq!((said.as_str(), pair.children(Side::B).len()), ("> INFORMATIONAL 5 SK{}", 0));
}

/// RFC 7296 §1.3.1: transport mode stands when both sides have said so; one that is asked for it and wants a tunnel says
/// nothing, and one that is not answered so has a tunnel.
#[test]
fn transport_mode_takes_both_sides() {
    for (at_a, at_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let options = Options::default();
        let mut pair = Pair::new(Options::default());
        for (side, wanted) in [(Side::A, at_a), (Side::B, at_b)] {
            let mut config = connection(&options, side);
            config.children[0].mode = if wanted { Mode::Transport } else { Mode::Tunnel };
            let now = pair.now();
            pair.endpoint_mut(side).replace_connection(now, ConnectionId(0), config, Existing::Keep).unwrap();
        }
        pair.connect(Side::A);
        pair.run();
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
        let expected = if at_a && at_b { Mode::Transport } else { Mode::Tunnel };
        assert_eq!((mode(&pair, Side::A), mode(&pair, Side::B)), (expected, expected), "{at_a} {at_b}");
        let said = |place: usize, whose: &str| {
            let ladder = pair.ladder(Side::A);
            let line = ladder.iter().filter(|line| line.contains("IKE_AUTH")).nth(place).cloned();
            assert!(line.as_deref().is_some_and(|line| line.starts_with(whose)));
            line.is_some_and(|line| line.contains("N(USE_TRANSPORT_MODE)"))
        };
        assert_eq!((said(0, ">"), said(1, "<")), (at_a, at_a && at_b));
    }
}

fn mode(pair: &Pair, side: Side) -> Mode {
    let installed = |event: &Event| match event {
        Event::ChildInstalled(install) => Some((install.inbound.mode, install.outbound.mode)),
        _ => None,
    };
    let (inbound, outbound) = pair.events(side).iter().rev().find_map(installed).expect("a child");
    assert_eq!(inbound, outbound);
    inbound
}

/// RFC 7296 §1.3.1: whoever says so gets no padding for traffic flow confidentiality.
#[test]
fn a_peer_that_takes_no_padding_gets_none() {
    for refused in [false, true] {
        let mut pair = Pair::new(Options::default());
        pair.connect(Side::A);
        pair.run();
        let (now, ike) = (pair.now(), pair.ike(Side::A));
        // B's answer, with what B did not say: A's request is answered by B, and its answer opened and sealed again.
        pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
        pair.step(Side::A);
        pair.deliver(Side::A);
        pair.step(Side::B);
        let answer = pair.wire(Side::B).pop().expect("an answer");
        pair.clear();
        let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
        let more = refused.then(|| notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED));
        let sealed = peer.with_more(&answer, more.as_slice());
        pair.inject(Side::A, sealed).unwrap();
        let tfc = pair.events(Side::A).iter().rev().find_map(|event| match event {
            Event::ChildInstalled(install) => Some(install.outbound.tfc),
            _ => None,
        });
        assert_eq!((tfc, pair.children(Side::A).len()), (Some(!refused), 2));
    }
}

/// RFC 6023: an IKE SA without a child, which may come later.
#[test]
fn an_ike_sa_may_do_without_a_first_child() {
    let mut pair = Pair::new(Options::default());
    let now = pair.now();
    pair.endpoint_mut(Side::A).connect(now, ConnectionId(0), None, None).unwrap();
    pair.run();
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
    let ladder = pair.ladder(Side::A);
    assert_eq!(ladder.last().map(String::as_str), Some("< IKE_AUTH 1 SK{IDr AUTH}"));
    let ike = pair.endpoint(Side::A).ike_sas().next().expect("an IKE SA").handle;
    pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

/// RFC 7296 §2.4: what becomes of the peer's other IKE SAs.
#[test]
fn each_policy_of_uniqueness_does_what_it_says() {
    for (policy, expected) in
        [(Uniqueness::Keep, 2), (Uniqueness::InitialContact, 2), (Uniqueness::Replace, 1)]
    {
        let options = Options::default();
        let mut pair = Pair::new(Options::default());
        for side in [Side::A, Side::B] {
            let mut config = connection(&options, side);
            config.uniqueness = if side == Side::A { Uniqueness::Keep } else { policy };
            let now = pair.now();
            pair.endpoint_mut(side).replace_connection(now, ConnectionId(0), config, Existing::Keep).unwrap();
        }
        // A says nothing of being alone: it keeps what it has.
        for _ in 0..2 {
            pair.connect(Side::A);
            pair.run();
        }
        assert!(!pair.ladder(Side::A).iter().any(|line| line.contains("INITIAL_CONTACT")));
        assert_eq!(pair.children(Side::B).len(), expected, "{policy:?}");
    }
}

/// RFC 7296 §2.25: what cannot be done now is done a little later.
#[test]
fn temporary_failure_puts_off() {
    let mut pair = up(Options::default());
    let spi = pair.only_child(Side::A).inbound;
    pair.rekey_child(Side::A);
    pair.step(Side::A);
    pair.clear();
    answer(&mut pair, 2, CREATE_CHILD_SA, &[notify(NotifyType::TEMPORARY_FAILURE)]);
    assert_eq!(pair.only_child(Side::A).inbound, spi);
    let asked = |pair: &Pair| {
        pair.ladder(Side::A).iter().filter(|line| line.starts_with("> CREATE_CHILD_SA")).count()
    };
    assert_eq!(asked(&pair), 1);
    pair.advance_one(Side::A, Duration::from_millis(500));
    assert_eq!(asked(&pair), 1, "not at once");
    pair.advance_one(Side::A, Duration::from_secs(4));
    assert_eq!(asked(&pair), 2, "but soon");
}

/// RFC 7296 §2.21.3: authentic, and no message: whoever sends it does not understand us.
#[test]
fn an_authentic_message_that_is_none_ends_the_ike_sa_and_says_so() {
    let mut pair = up(Options::default());
    let mut peer = Puppet::new(&pair, Side::B, Role::Initiator);
    let request = peer.octets(INFORMATIONAL, false, 2, PayloadType::NOTIFY, &[0, 0, 0, 200, 1]);
    pair.inject(Side::B, request).unwrap();
    assert_eq!(pair.ladder(Side::B).pop().as_deref(), Some("> INFORMATIONAL 2 SK{N(INVALID_SYNTAX)}"));
    assert!(pair.children(Side::B).is_empty());
}
