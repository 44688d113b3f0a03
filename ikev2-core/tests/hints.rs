//! What peers and strangers may tell us, and how often (RFC 7296 §1.3.1, §1.5, §2.9, §2.21.4, §2.25).

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::net::SocketAddr;
use core::time::Duration;

use ikev2_core::{ApiMisuse, Discarded, Event, Input, Path, Rate};
use ipsec_sa::Role;
use ipsec_wire::ike::{ExchangeType, Flags, MessageBuilder, MessageView, Notify, NotifyType, Payload};
use ipsec_wire::{IkeSpi, Limits, Spi};
use support::puppet::Puppet;
use support::{Options, Pair, Side, keys_agree, up};

fn esp_path(from: [u8; 4]) -> Path {
    Path::ip([192, 0, 2, 2].into(), from.into())
}

fn count(pair: &Pair, side: Side, line: &str) -> usize {
    pair.ladder(side).iter().filter(|it| it.starts_with(line)).count()
}

#[test]
fn a_peer_is_told_of_an_unknown_spi_in_its_ike_sa() {
    let mut pair = up(Options::default());
    let before = pair.snapshot();
    let now = pair.now();
    let outbound = {
        let info = pair.endpoint(Side::A).ike_sas().next().unwrap();
        info.children[0].outbound
    };
    let told = (0..50)
        .filter(|_| pair.endpoint_mut(Side::B).unknown_child_spi(now, esp_path([192, 0, 2, 1]), outbound))
        .count();
    assert_eq!(told, 4, "not too often");
    pair.run();
    assert_eq!(count(&pair, Side::B, "> INFORMATIONAL"), 4);
    assert!(pair.ladder(Side::B).iter().any(|line| line.ends_with("SK{N(INVALID_SPI)}")));
    let audited =
        |event: &&Event| matches!(event, Event::PeerLacksChild { outbound: spi } if *spi == outbound);
    assert_eq!(pair.events(Side::A).iter().filter(audited).count(), 4);
    assert_eq!(pair.snapshot(), before, "no SA has changed (RFC 7296 §2.21.4)");
}

#[test]
fn a_stranger_is_told_without_protection_where_that_is_wanted() {
    for wanted in [false, true] {
        let mut pair = up(Options { tell_strangers: wanted, ..Options::default() });
        let now = pair.now();
        let told =
            pair.endpoint_mut(Side::B).unknown_child_spi(now, esp_path([198, 51, 100, 7]), Spi(0x1234_5678));
        assert_eq!(told, wanted);
        pair.step(Side::B);
        let wire = pair.wire(Side::B);
        assert_eq!(wire.len(), usize::from(wanted));
        if let Some(message) = wire.first() {
            let view = MessageView::parse(message, &Limits::DEFAULT).unwrap();
            let header = view.header();
            assert_eq!((header.initiator_spi, header.responder_spi), (IkeSpi::ZERO, IkeSpi::ZERO));
            assert_eq!(header.flags.0, Flags::INITIATOR.0);
            assert_eq!(view.notify(NotifyType::INVALID_SPI).unwrap().data, [0x12, 0x34, 0x56, 0x78]);
        }
    }
}

#[test]
fn unprotected_hints_bring_about_one_liveness_check_in_a_while() {
    let mut pair = up(Options::default());
    let before = pair.snapshot();
    let (spi_i, spi_r) = {
        let info = pair.endpoint(Side::A).ike_sas().next().unwrap();
        (info.spi_i, info.spi_r)
    };
    let notify = |notify_type| Payload::Notify(Notify::new(notify_type, vec![1, 2, 3, 4]));
    // From the address of B: to a message of ours, and about packets of ours.
    let lost = MessageBuilder::new(spi_i, spi_r, ExchangeType::INFORMATIONAL, Flags::RESPONSE, 7)
        .with(notify(NotifyType::INVALID_IKE_SPI))
        .emit();
    let packets =
        MessageBuilder::new(IkeSpi::ZERO, IkeSpi::ZERO, ExchangeType::INFORMATIONAL, Flags::INITIATOR, 0)
            .with(notify(NotifyType::INVALID_SPI))
            .emit();
    for round in 1..=2 {
        for message in [&lost, &packets, &lost, &packets] {
            assert_eq!(pair.inject(Side::A, message.clone()), Err(Discarded::Hint));
            let answered = pair.wire(Side::A).iter().filter(|data| data[16] != 46).count();
            assert_eq!(answered, 0, "such a message is never answered");
        }
        pair.run();
        assert_eq!(count(&pair, Side::A, "> INFORMATIONAL"), round);
        pair.advance(Duration::from_secs(31));
    }
    assert_eq!(pair.snapshot(), before);
    // From anywhere else it is nothing at all.
    let stranger = Path::udp("192.0.2.1:500".parse().unwrap(), SocketAddr::from(([198, 51, 100, 7], 500)));
    let now = pair.now();
    let mut data = packets;
    let input = Input::Datagram { now, path: stranger, ecn: 0, data: &mut data };
    assert_eq!(pair.endpoint_mut(Side::A).handle_input(input), Err(Discarded::UnknownSpi));
    pair.run();
    assert_eq!(count(&pair, Side::A, "> INFORMATIONAL"), 2);
}

#[test]
fn a_peer_that_asks_too_often_is_told_to_come_later_and_is_served_then() {
    let mut pair =
        up(Options { rate_b: Some(Rate { per_second: 1, burst: 3 }), window_b: 8, ..Options::default() });
    let (now, ike) = (pair.now(), pair.ike(Side::A));
    for _ in 0..6 {
        pair.endpoint_mut(Side::A).create_child(now, ike, 0, None).unwrap();
    }
    pair.run();
    assert_eq!(pair.children(Side::B).len(), 1 + 3);
    assert_eq!(count(&pair, Side::A, "< CREATE_CHILD_SA 5 SK{N(TEMPORARY_FAILURE)}"), 1);
    pair.advance(Duration::from_secs(20));
    assert_eq!((pair.children(Side::A).len(), pair.children(Side::B).len()), (7, 7));
}

/// A peer that puts everything off makes tasks wait: not without end.
#[test]
fn tasks_that_wait_have_a_cap() {
    let mut pair = up(Options { rate_b: Some(Rate { per_second: 0, burst: 0 }), ..Options::default() });
    let (ike, mut taken) = (pair.ike(Side::A), 0);
    let refused = loop {
        let now = pair.now();
        match pair.endpoint_mut(Side::A).create_child(now, ike, 0, None) {
            Ok(()) => taken += 1,
            Err(why) => break why,
        }
        pair.run();
        assert!(taken < 1000, "there is no end");
    };
    assert_eq!((refused, taken), (ApiMisuse::TooManyTasks, 256));
    let (now, spi) = (pair.now(), pair.only_child(Side::A).inbound);
    assert_eq!(pair.endpoint_mut(Side::A).rekey_child(now, ike, spi), Err(ApiMisuse::TooManyTasks));
    // The end is always taken.
    pair.delete_ike(Side::A);
    pair.run();
    assert!(pair.children(Side::A).is_empty() && pair.children(Side::B).is_empty());
}

#[test]
fn later_fragments_travel_in_a_child_when_both_sides_say_so() {
    for fragments in [(false, false), (false, true), (true, false), (true, true)] {
        let mut pair = up(Options { fragments, ..Options::default() });
        pair.rekey_child(Side::B);
        pair.run();
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
        for side in [Side::A, Side::B] {
            let installed: Vec<(bool, bool)> = pair
                .events(side)
                .iter()
                .filter_map(|event| match event {
                    Event::ChildInstalled(child) => {
                        Some((child.inbound.non_first_fragments, child.outbound.non_first_fragments))
                    }
                    _ => None,
                })
                .collect();
            let both = fragments == (true, true);
            assert_eq!(installed, [(both, both); 2], "{fragments:?}");
        }
    }
}

#[test]
fn what_another_child_would_take_is_mentioned() {
    let said = |options: Options| -> Vec<bool> {
        let pair = up(options);
        keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
        [Side::A, Side::B]
            .into_iter()
            .flat_map(|side| pair.events(side))
            .filter_map(|event| match event {
                Event::ChildInstalled(child) => Some(child.additional_ts),
                _ => None,
            })
            .collect()
    };
    // A wants more than one of B's children has.
    let wide = || Options { remote_a: "10.0.0.0/8", ..Options::default() };
    assert_eq!(said(wide()), [false, false]);
    assert_eq!(said(Options { second_b: Some("10.3.0.0/24"), ..wide() }), [true, true]);
    // The second has nothing that the first has not, or nothing that was asked for.
    assert_eq!(said(Options { second_b: Some("10.2.0.128/25"), ..wide() }), [false, false]);
    assert_eq!(said(Options { second_b: Some("172.16.0.0/16"), ..wide() }), [false, false]);
    assert_eq!(said(Options { second_b: Some("10.3.0.0/24"), ..Options::default() }), [false, false]);
}

#[test]
fn a_replayed_request_is_no_sign_of_life() {
    let mut pair = up(Options::default());
    pair.check_liveness(Side::A);
    pair.step(Side::A);
    let request = pair.wire(Side::A)[0].clone();
    pair.run();
    let heard = |pair: &Pair| format!("{:?}", support::sketch(pair.endpoint(Side::B), pair.now()));
    pair.advance_one(Side::B, Duration::from_secs(5));
    let before = heard(&pair);
    pair.inject(Side::B, request).unwrap();
    assert_eq!(heard(&pair), before);
}

#[test]
fn an_authentic_hint_about_an_unknown_packet_is_nothing() {
    let mut pair = up(Options::default());
    let before = pair.snapshot();
    let mut peer = Puppet::new(&pair, Side::A, Role::Responder);
    for (id, data) in [(0, vec![]), (1, vec![1, 2, 3]), (2, vec![9; 4]), (3, vec![9; 8])] {
        let payload = Payload::Notify(Notify::new(NotifyType::INVALID_SPI, data));
        let message = peer.message(ExchangeType::INFORMATIONAL, false, id, &[payload]);
        pair.inject(Side::A, message).unwrap();
    }
    assert!(!pair.events(Side::A).iter().any(|event| matches!(event, Event::PeerLacksChild { .. })));
    assert_eq!(pair.snapshot(), before);
}
