//! What others can bring about, and how often: set-ups that begin again, cookies, half-open IKE SAs, windows, selectors,
//! critical payloads, times and numbers that are configured (RFC 7296 §1.2, §2.3, §2.5, §2.6, §2.9, §2.23, §2.25).

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::time::Duration;

use ikev2_core::config::Existing;
use ikev2_core::{CloseReason, ConnectionId, CookiePolicy, Discarded, Event, Rate};
use ipsec_sa::{Flow, Role, TrafficSelector};
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::{
    ExchangeType, Flags, KeId, MessageBuilder, Notify, NotifyType, Payload, PayloadBuilder, PayloadType,
};
use support::puppet::Puppet;
use support::{Options, Pair, Side, connection, keys_agree, up};

const TWO_METHODS: &str = "aes256gcm16-prfsha256-ecp256-x25519";

/// A set-up of A's whose first message is out, and its SPI.
fn begun(options: Options) -> (Pair, IkeSpi) {
    let mut pair = Pair::new(options);
    pair.connect(Side::A);
    pair.step(Side::A);
    let spi = IkeSpi::from_slice(&pair.wire(Side::A)[0][..8]).expect("an SPI");
    (pair, spi)
}

/// What anybody can say to an IKE_SA_INIT request.
fn forged(spi_i: IkeSpi, payloads: &[PayloadBuilder]) -> Vec<u8> {
    let mut message =
        MessageBuilder::new(spi_i, IkeSpi([9; 8]), ExchangeType::IKE_SA_INIT, Flags::RESPONSE, 0);
    payloads.iter().for_each(|payload| message.push(payload.clone()));
    message.emit()
}

fn other_method(spi_i: IkeSpi, method: KeId) -> Vec<u8> {
    let data = method.value().to_be_bytes().to_vec();
    forged(spi_i, &[Payload::Notify(Notify::new(NotifyType::INVALID_KE_PAYLOAD, data)).into()])
}

fn count(pair: &Pair, side: Side, start: &str) -> usize {
    pair.ladder(side).iter().filter(|line| line.starts_with(start)).count()
}

#[test]
fn a_set_up_begins_again_six_times_and_no_more() {
    // Now one method, now the other; or one cookie after the other; or both in turn.
    type Say = fn(IkeSpi, u8) -> Vec<u8>;
    let method: Say =
        |spi, round| other_method(spi, [KeId::CURVE25519, KeId::ECP_256][usize::from(round % 2)]);
    let cookie: Say =
        |spi, round| forged(spi, &[Payload::Notify(Notify::new(NotifyType::COOKIE, vec![round; 8])).into()]);
    let both: Say = |spi, round| match round % 2 {
        0 => other_method(spi, [KeId::CURVE25519, KeId::ECP_256][usize::from(round / 2 % 2)]),
        _ => forged(spi, &[Payload::Notify(Notify::new(NotifyType::COOKIE, vec![round; 8])).into()]),
    };
    for say in [method, cookie, both] {
        let (mut pair, spi) = begun(Options { ike: TWO_METHODS, ..Options::default() });
        for round in 0..20 {
            assert_eq!(pair.inject(Side::A, say(spi, round)).is_ok(), round < 6, "round {round}");
        }
        assert_eq!(count(&pair, Side::A, "> IKE_SA_INIT"), 7);
    }
}

#[test]
fn a_method_that_was_not_offered_is_not_followed() {
    let (mut pair, spi) = begun(Options { ike: TWO_METHODS, ..Options::default() });
    for method in [KeId::MODP_2048, KeId::NONE, KeId(0xffff)] {
        assert_eq!(pair.inject(Side::A, other_method(spi, method)), Err(Discarded::Hint), "{method:?}");
    }
    assert_eq!(count(&pair, Side::A, "> IKE_SA_INIT"), 1);
    // The peer's own answer still counts.
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

/// An answer that nobody can understand is none, and the right one still counts (RFC 7296 §2.5).
#[test]
fn a_critical_payload_in_an_answer_without_protection_is_not_followed() {
    let (mut pair, _) = begun(Options::default());
    let mut other = Pair::new(Options { seed: 9, ..Options::default() });
    let request = pair.wire(Side::A)[0].clone();
    other.inject(Side::B, request).expect("it is taken");
    let answer = other.wire(Side::B)[0].clone();
    let unknown = [200, 0x80, 0, 8, 1, 2, 3, 4];
    let mut changed = answer.clone();
    // In front of all others: it names the first, and the header names it.
    changed.splice(28..28, unknown);
    changed[28] = answer[16];
    changed[16] = 200;
    let length = u32::try_from(changed.len()).expect("short");
    changed[24..28].copy_from_slice(&length.to_be_bytes());
    assert_eq!(pair.inject(Side::A, changed.clone()), Err(Discarded::Unexpected));
    // Skipped where it is not critical.
    changed[29] = 0;
    assert_eq!(pair.inject(Side::A, changed), Ok(()));
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
}

/// The same of a request: it is refused, and nothing is kept of it.
#[test]
fn a_critical_payload_in_a_request_without_protection_is_refused() {
    let (mut pair, _) = begun(Options::default());
    let request = pair.wire(Side::A)[0].clone();
    let mut changed = request.clone();
    changed.splice(28..28, [request[16], 0x80, 0, 8, 1, 2, 3, 4]);
    changed[16] = 200;
    let length = u32::try_from(changed.len()).expect("short");
    changed[24..28].copy_from_slice(&length.to_be_bytes());
    assert_eq!(pair.inject(Side::B, changed.clone()), Err(Discarded::Refused));
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 0);
    changed[29] = 0;
    assert_eq!(pair.inject(Side::B, changed), Ok(()));
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 1);
}

/// RFC 7296 §2.6.1: the cookie goes along when another method is asked for, so that it takes no third round.
#[test]
fn a_cookie_is_kept_when_another_method_is_asked_for() {
    let pair = up(Options {
        ike: TWO_METHODS,
        ike_b: Some("aes256gcm16-prfsha256-x25519"),
        cookie: CookiePolicy::Always,
        ..Options::default()
    });
    let ladder = pair.ladder(Side::A);
    let starts = [
        "> IKE_SA_INIT 0 SA",
        "< IKE_SA_INIT 0 N(COOKIE)",
        "> IKE_SA_INIT 0 N(COOKIE) SA",
        "< IKE_SA_INIT 0 N(INVALID_KE_PAYLOAD)",
        "> IKE_SA_INIT 0 N(COOKIE) SA",
        "< IKE_SA_INIT 0 SA",
        "> IKE_AUTH 1",
        "< IKE_AUTH 1",
    ];
    assert_eq!(ladder.len(), starts.len(), "{ladder:?}");
    assert!(ladder.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{ladder:?}");
}

#[test]
fn cookies_are_asked_for_from_the_number_on_that_is_configured() {
    let (mut pair, _) = begun(Options { cookie: CookiePolicy::From(3), ..Options::default() });
    let request = pair.wire(Side::A)[0].clone();
    for number in 0..6 {
        let mut another = request.clone();
        another[7] ^= number + 1;
        let expected = if number < 3 { Ok(()) } else { Err(Discarded::CookieAsked) };
        assert_eq!(pair.inject(Side::B, another), expected, "{number}");
    }
    assert_eq!(pair.endpoint(Side::B).ike_sas().count(), 3);
}

/// One source takes no more than its share, and has it back when its set-ups are over.
#[test]
fn half_open_ike_sas_are_counted_by_source() {
    let options = || Options { cookie: CookiePolicy::Never, per_source: 3, ..Options::default() };
    let (mut pair, _) = begun(options());
    let request = pair.wire(Side::A)[0].clone();
    let mut round = 0;
    let mut flood = |pair: &mut Pair, room: u8| {
        for number in 0..6 {
            let mut another = request.clone();
            (another[6], another[7]) = (round, number);
            let expected = if number < room { Ok(()) } else { Err(Discarded::HalfOpenLimit) };
            assert_eq!(pair.inject(Side::B, another), expected, "{round} {number}");
        }
        round += 1;
    };
    flood(&mut pair, 3);
    pair.clear();
    pair.advance_one(Side::B, Duration::from_secs(31));
    flood(&mut pair, 3);
    // One that is through counts no more.
    let mut pair = up(options());
    flood(&mut pair, 3);
}

/// RFC 7296 §2.25: a peer that asks too often is put off, whatever it asks for.
#[test]
fn rekeys_of_the_ike_sa_count_as_requests_too() {
    let mut pair = up(Options { rate_b: Some(Rate { per_second: 0, burst: 0 }), ..Options::default() });
    pair.rekey_ike(Side::A);
    pair.run();
    assert_eq!(count(&pair, Side::A, "< CREATE_CHILD_SA 2 SK{N(TEMPORARY_FAILURE)}"), 1);
}

#[test]
fn a_rekey_is_no_additional_child() {
    let mut pair = up(Options { max_children_b: 1, ..Options::default() });
    let before = pair.only_child(Side::A).inbound;
    pair.rekey_child(Side::A);
    pair.run();
    assert_ne!(pair.only_child(Side::A).inbound, before);
    let (now, ike) = (pair.now(), pair.ike(Side::A));
    pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    pair.run();
    assert_eq!(count(&pair, Side::A, "< CREATE_CHILD_SA 4 SK{N(NO_ADDITIONAL_SAS)}"), 1);
}

/// RFC 4478 §3: who has told the peer a time ends what the peer does not renew.
#[test]
fn an_authentication_that_is_not_renewed_ends() {
    let mut pair = up(Options { reauth_b: Some(100), ..Options::default() });
    pair.advance_one(Side::B, Duration::from_secs(99));
    assert_eq!(pair.children(Side::B).len(), 1);
    pair.advance_one(Side::B, Duration::from_secs(2));
    assert!(pair.children(Side::B).is_empty());
    let expired = |event: &Event| matches!(event, Event::IkeClosed { reason: CloseReason::Expired });
    assert!(pair.events(Side::B).iter().any(expired));
}

/// Make before break: every kind of child is there anew before the first of the old ones goes.
#[test]
fn all_children_are_made_anew_before_the_old_ike_sa_goes() {
    let mut pair = Pair::new(Options::default());
    for side in [Side::A, Side::B] {
        let mut config = connection(&Options::default(), side);
        for name in ["second", "third"] {
            let mut another = config.children[0].clone();
            another.name = name.into();
            config.children.push(another);
        }
        let now = pair.now();
        pair.endpoint_mut(side).replace_connection(now, ConnectionId(0), config, Existing::Keep).unwrap();
    }
    pair.connect(Side::A);
    pair.run();
    let (now, old) = (pair.now(), pair.ike(Side::A));
    for child in [1, 2] {
        pair.endpoint_mut(Side::A).create_child(now, old, child, None).unwrap();
    }
    pair.run();
    let before = [Side::A, Side::B].map(|side| pair.events(side).len());
    pair.endpoint_mut(Side::A).reauthenticate(now, old).unwrap();
    pair.run();
    for (side, before) in [Side::A, Side::B].into_iter().zip(before) {
        let events = &pair.events(side)[before..];
        let made = events.iter().rposition(|event| matches!(event, Event::ChildInstalled(_)));
        let gone = events.iter().position(|event| matches!(event, Event::ChildClosed { .. }));
        assert!(made.is_some() && gone.is_some() && made < gone, "{side:?}: {made:?} {gone:?}");
        assert_eq!(pair.children(side).len(), 3);
    }
    assert_ne!(pair.ike(Side::A), old);
}

/// RFC 7296 §2.5: what is critical and not known spoils the answer to IKE_AUTH and to IKE_INTERMEDIATE as well.
#[test]
fn a_critical_payload_in_an_answer_of_a_set_up_is_not_passed_over() {
    for (intermediate, critical) in [(false, true), (false, false), (true, true)] {
        let said = if intermediate { vec![b"one".to_vec()] } else { Vec::new() };
        let (mut pair, _) = begun(Options { intermediate_a: said, ..Options::default() });
        pair.deliver(Side::A);
        pair.deliver(Side::B);
        pair.deliver(Side::A);
        let answer = pair.wire(Side::B)[0].clone();
        pair.clear();
        let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
        let body = b"what is this".to_vec();
        let unknown = PayloadBuilder::from(Payload::Unknown { payload_type: PayloadType(200), body });
        let unknown = if critical { unknown.critical() } else { unknown };
        let before = count(&pair, Side::A, "> ");
        let changed = peer.with_builders(&answer, &[unknown]);
        pair.inject(Side::A, changed).unwrap();
        assert_eq!(count(&pair, Side::A, "> "), before, "nothing is said to it");
        pair.clear();
        pair.advance_one(Side::A, Duration::from_secs(5));
        pair.advance_one(Side::A, Duration::from_secs(5));
        assert_eq!(pair.children(Side::A).is_empty(), critical, "{intermediate}");
    }
}

/// The same of a request.
#[test]
fn a_critical_payload_in_ike_intermediate_is_refused() {
    let (mut pair, _) = begun(Options { intermediate_a: vec![b"one".to_vec()], ..Options::default() });
    pair.deliver(Side::A);
    pair.deliver(Side::B);
    pair.clear();
    let mut peer = Puppet::new(&pair, Side::B, Role::Initiator);
    let body = b"what is this".to_vec();
    let unknown = PayloadBuilder::from(Payload::Unknown { payload_type: PayloadType(200), body }).critical();
    let request = peer.built(ExchangeType::IKE_INTERMEDIATE, false, 1, &[unknown]);
    pair.inject(Side::B, request).unwrap();
    let said = pair.ladder(Side::B).pop();
    assert_eq!(said.as_deref(), Some("> IKE_INTERMEDIATE 1 SK{N(UNSUPPORTED_CRITICAL_PAYLOAD)}"));
}

/// RFC 7296 §2.23: whichever side is behind a NAT, it is the initiator who moves to the other ports.
#[test]
fn a_nat_before_the_responder_makes_the_initiator_float_too() {
    for side in [Side::A, Side::B] {
        let mut pair = Pair::new(Options::default());
        let mut config = connection(&Options::default(), side);
        // Its hash of its own address is one of another.
        config.force_encapsulation = true;
        let now = pair.now();
        pair.endpoint_mut(side).replace_connection(now, ConnectionId(0), config, Existing::Keep).unwrap();
        pair.connect(Side::A);
        pair.run();
        for at in [Side::A, Side::B] {
            let established = |event: &Event| match event {
                Event::IkeEstablished(it) => Some((**it).clone()),
                _ => None,
            };
            let it = pair.events(at).iter().find_map(established).expect("it stands");
            assert!(it.path.has_marker(), "{side:?} {at:?} {:?}", it.path);
            assert_eq!([it.path.local.port(), it.path.remote.port()], [4500; 2]);
            assert_eq!(it.remote_behind_nat, side != at);
            assert!(!it.local_behind_nat);
        }
    }
}

/// RFC 7296 §2.3: it may come later than IKE_AUTH, it never shrinks, and a new IKE SA begins with a window of one.
#[test]
fn a_window_grows_by_a_request_too_and_is_one_again_after_a_rekey() {
    let mut pair = up(Options::default());
    let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
    for (id, window) in [(0, 4u32), (1, 2), (2, 0)] {
        let data = window.to_be_bytes().to_vec();
        let payload = Payload::Notify(Notify::new(NotifyType::SET_WINDOW_SIZE, data));
        let request = peer.message(ExchangeType::INFORMATIONAL, false, id, &[payload]);
        pair.inject(Side::A, request).unwrap();
        pair.clear();
    }
    let ask = |pair: &mut Pair| {
        let (now, ike, before) = (pair.now(), pair.ike(Side::A), count(pair, Side::A, "> CREATE_CHILD_SA"));
        for _ in 0..6 {
            pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
        }
        pair.step(Side::A);
        count(pair, Side::A, "> CREATE_CHILD_SA") - before
    };
    assert_eq!(ask(&mut pair), 4);

    let mut pair = up(Options { window_b: 4, ..Options::default() });
    assert_eq!(ask(&mut pair), 4);
    pair.run();
    pair.rekey_ike(Side::A);
    pair.run();
    assert_eq!(ask(&mut pair), 1);
}

/// RFC 7296 §2.9: an answer may narrow what was offered, and do nothing else with it.
#[test]
fn an_answer_with_wider_selectors_is_not_taken() {
    for (widen_i, widen_r) in [(true, false), (false, true), (true, true), (false, false)] {
        let mut pair = up(Options::default());
        let (now, ike) = (pair.now(), pair.ike(Side::A));
        pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
        pair.step(Side::A);
        pair.deliver(Side::A);
        let true_answer = pair.wire(Side::B)[0].clone();
        pair.clear();
        let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
        let all: TrafficSelector = "10.0.0.0/8".parse().unwrap();
        let answer = peer.changed(&true_answer, |payload| match payload {
            Payload::TsI(ts) if widen_i => ts.selectors = vec![(&all).into()],
            Payload::TsR(ts) if widen_r => ts.selectors = vec![(&all).into()],
            _ => {}
        });
        pair.inject(Side::A, answer).unwrap();
        let made = pair.children(Side::A).len() == 2;
        assert_eq!(made, !widen_i && !widen_r, "{widen_i} {widen_r}");
    }
}

/// RFC 7296 §2.9: the packet's own addresses and ports come first, so that the answer is of use to it.
#[test]
fn the_selectors_of_the_packet_come_first() {
    let mut pair = up(Options::default());
    let flow = Flow {
        src: [10, 1, 0, 7].into(),
        dst: [10, 2, 0, 9].into(),
        protocol: 6,
        src_port: Some(1234),
        dst_port: Some(80),
    };
    let (now, ike) = (pair.now(), pair.ike(Side::A));
    pair.endpoint_mut(Side::A).create_child(now, ike, 0, Some(flow)).unwrap();
    pair.step(Side::A);
    let request = pair.wire(Side::A)[0].clone();
    let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
    let mut seen = Vec::new();
    peer.changed(&request, |payload| {
        if let Payload::TsI(ts) | Payload::TsR(ts) = payload {
            seen.push(ts.selectors.clone());
        }
    });
    let wire = |selector: &str| (&selector.parse::<TrafficSelector>().unwrap()).into();
    let expected = [["10.1.0.7/32[tcp/1234]", "10.1.0.0/24"], ["10.2.0.9/32[tcp/80]", "10.2.0.0/24"]];
    assert_eq!(seen, expected.map(|side| side.map(wire).to_vec()));
}

/// RFC 7296 §1.4.1: who is deleting the same pair does not name its half once more.
#[test]
fn deletions_that_cross_are_answered_without_one() {
    let mut pair = up(Options::default());
    pair.delete_child(Side::A);
    pair.delete_child(Side::B);
    pair.run();
    for side in [Side::A, Side::B] {
        let ladder = pair.ladder(side);
        let about = |line: &&String| line.contains("INFORMATIONAL");
        let said: Vec<&str> =
            ladder.iter().filter(about).map(|line| line.split(" SK").nth(1).expect("SK")).collect();
        assert_eq!(said, ["{D}", "{D}", "{}", "{}"], "{ladder:?}");
        assert!(pair.children(side).is_empty());
    }
}

/// RFC 7296 §2.25.1: a Child SA that is being installed yet would be left behind on the old IKE SA.
#[test]
fn the_ike_sa_is_not_rekeyed_while_a_child_is_being_installed() {
    let mut pair = up(Options { offload: true, ..Options::default() });
    let old = pair.only_child(Side::A).inbound;
    pair.hold_jobs = true;
    pair.rekey_child(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    // B has installed its half and answered, A has not.
    assert_eq!(pair.job(Side::B).as_deref(), Some("Install"));
    pair.finish_job(Side::B);
    pair.deliver(Side::B);
    assert_eq!(pair.job(Side::A).as_deref(), Some("Install"));
    pair.rekey_ike(Side::B);
    pair.step(Side::B);
    pair.finish_job(Side::B);
    pair.deliver(Side::B);
    assert_eq!(count(&pair, Side::A, "> CREATE_CHILD_SA 0 SK{N(TEMPORARY_FAILURE)}"), 1);
    pair.hold_jobs = false;
    pair.finish_job(Side::A);
    pair.run();
    pair.advance(Duration::from_secs(10));
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    assert_ne!(pair.only_child(Side::A).inbound, old);
    let rekeyed = |event: &&Event| matches!(event, Event::IkeRekeyed { .. });
    assert_eq!(pair.events(Side::A).iter().filter(rekeyed).count(), 1);
}

/// RFC 4478 §3: our own time or the peer's, whichever is over first.
#[test]
fn the_shorter_of_both_times_renews_an_authentication() {
    for (ours, theirs, due) in [(50, 1_000, 50), (1_000, 100, 90)] {
        let options = Options { reauth_b: Some(theirs), ..Options::default() };
        let mut config = connection(&options, Side::A);
        config.lifetime.reauth = Some(Duration::from_secs(ours));
        let mut pair = Pair::new(options);
        let now = pair.now();
        pair.endpoint_mut(Side::A).replace_connection(now, ConnectionId(0), config, Existing::Keep).unwrap();
        pair.connect(Side::A);
        pair.run();
        pair.advance(Duration::from_secs(due - 1));
        assert_eq!(count(&pair, Side::A, "> IKE_SA_INIT"), 1);
        pair.advance(Duration::from_secs(2));
        assert_eq!(count(&pair, Side::A, "> IKE_SA_INIT"), 2);
    }
}

/// RFC 7296 §2.4: who was heard of meanwhile is not asked.
#[test]
fn a_peer_that_was_just_heard_is_not_asked_whether_it_is_there() {
    let mut config = connection(&Options::default(), Side::A);
    config.liveness = Some(Duration::from_secs(10));
    let mut pair = Pair::new(Options::default());
    let now = pair.now();
    pair.endpoint_mut(Side::A).replace_connection(now, ConnectionId(0), config, Existing::Keep).unwrap();
    pair.connect(Side::A);
    pair.run();
    pair.advance(Duration::from_secs(6));
    pair.check_liveness(Side::B);
    pair.run();
    let asked = |pair: &Pair| count(pair, Side::A, "> INFORMATIONAL 2");
    pair.advance(Duration::from_secs(9));
    assert_eq!(asked(&pair), 0);
    pair.advance(Duration::from_secs(2));
    assert_eq!(asked(&pair), 1);
}

/// RFC 7296 §2.25.2: however many requests the peer takes at once, a rekey of the IKE SA is alone.
#[test]
fn a_rekey_of_the_ike_sa_waits_for_what_is_under_way() {
    let mut pair = up(Options { window_b: 4, ..Options::default() });
    let (now, ike) = (pair.now(), pair.ike(Side::A));
    for _ in 0..2 {
        pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    }
    pair.endpoint_mut(Side::A).rekey_ike(now, ike).unwrap();
    pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    pair.step(Side::A);
    assert_eq!(pair.wire(Side::A).len(), 2);
    pair.run();
    assert_eq!(pair.children(Side::A).len(), 4);
    assert_ne!(pair.ike(Side::A), ike);
    assert!(!pair.ladder(Side::A).iter().any(|line| line.contains("TEMPORARY_FAILURE")));
}

/// Our own rekey of it waits for the same.
#[test]
fn we_do_not_rekey_the_ike_sa_while_a_child_is_being_installed() {
    let mut pair = up(Options { offload: true, ..Options::default() });
    pair.hold_jobs = true;
    pair.rekey_child(Side::A);
    pair.step(Side::A);
    pair.deliver(Side::A);
    pair.finish_job(Side::B);
    pair.deliver(Side::B);
    assert_eq!(pair.job(Side::A).as_deref(), Some("Install"));
    pair.rekey_ike(Side::A);
    pair.step(Side::A);
    assert_eq!(pair.jobs(Side::A), 1, "the key exchange has not begun");
    pair.hold_jobs = false;
    pair.finish_job(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    let rekeyed = |event: &&Event| matches!(event, Event::IkeRekeyed { .. });
    assert_eq!(pair.events(Side::A).iter().filter(rekeyed).count(), 1);
}
