//! A tunnel between two stacks: set-up on demand, traffic, rekeys, lifetimes, the end.

extern crate alloc;

mod common;

use core::time::Duration;

use common::*;
use ipsec::crypto::rustcrypto;
use ipsec::ike::{CloseReason, Executor, Transport};
use ipsec::{DropReason, Event, QueueLimits, Received, Verdict};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

#[test]
fn the_first_packet_starts_the_set_up_and_goes_through_it() {
    let mut pair = Setup::new().pair();
    let packet = udp(A, b"on demand");
    assert_eq!(pair.send(A, &packet), Verdict::Queued);
    pair.settle();
    assert_eq!(pair.inbox[B], [packet]);
    for side in [A, B] {
        assert_eq!(pair.count(side, |event| matches!(event, Event::IkeEstablished(_))), 1);
        assert_eq!(pair.count(side, |event| matches!(event, Event::ChildInstalled(_))), 1);
        assert_eq!(pair.stacks[side].children().count(), 1);
        assert_eq!(pair.ikes(side), 1);
        assert_eq!(pair.stacks[side].stats().drops().count(), 0);
    }
    pair.exchange(B, &udp(B, b"the way back"));
    pair.exchange(A, &udp(A, b"and on"));
    let stats = pair.stacks[A].stats();
    assert_eq!((stats.queued.packets, stats.sealed.packets, stats.opened.packets), (1, 2, 1));
}

#[test]
fn without_a_nat_packets_go_straight_behind_ip() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let Verdict::Send { path, .. } = pair.send(A, &udp(A, b"plain")) else { panic!("sealed") };
    assert_eq!((path.transport, path.remote.ip()), (Transport::Ip, outside(B)));
}

#[test]
fn forced_encapsulation_puts_packets_into_udp() {
    let mut setup = Setup::new();
    setup.connections[A].force_encapsulation = true;
    let mut pair = setup.pair();
    pair.establish();
    let Verdict::Send { path, .. } = pair.send(A, &udp(A, b"encapsulated")) else { panic!("sealed") };
    assert_eq!(path, encap(A));
    pair.settle();
    assert_eq!(pair.inbox[B].len(), 1);
    assert_eq!(
        pair.deliver(Datagram { at: pair.now, to: B, path: encap(B), ecn: 0, data: vec![0xff] }),
        Received::Keepalive
    );
}

#[test]
fn what_waits_is_bounded_and_the_newest_go_through() {
    let mut setup = Setup::new();
    setup.configs[A].queue = QueueLimits { packets: 4, octets: 4096 };
    let mut pair = setup.pair();
    for number in 0..10 {
        assert_eq!(pair.send(A, &udp(A, &[number])), Verdict::Queued);
    }
    let policy = pair.stacks[A].policies().iter().next().unwrap().id;
    assert_eq!(pair.stacks[A].waiting(policy), (4, 4 * 29));
    assert_eq!(pair.stacks[A].stats().dropped(&DropReason::QueueFull), 6);
    pair.settle();
    let expected: Vec<_> = (6..10).map(|number| udp(A, &[number])).collect();
    assert_eq!(pair.inbox[B], expected);
    assert_eq!(pair.stacks[A].waiting(policy), (0, 0));
    assert_eq!(pair.count(A, |event| matches!(event, Event::IkeEstablished(_))), 1, "one set-up for all");
}

#[test]
fn both_sides_may_ask_at_once() {
    let mut pair = Setup::new().pair();
    assert_eq!(pair.send(A, &udp(A, b"from a")), Verdict::Queued);
    assert_eq!(pair.send(B, &udp(B, b"from b")), Verdict::Queued);
    pair.pass(Duration::from_secs(5));
    assert_eq!((pair.inbox[B].len(), pair.inbox[A].len()), (1, 1));
    pair.inbox = [Vec::new(), Vec::new()];
    pair.exchange(A, &udp(A, b"after"));
    pair.exchange(B, &udp(B, b"after"));
}

/// Keeps packets of both directions in flight through all of an exchange, and counts them at the end.
fn rekey_under_traffic(seed: u64, rekey: impl Fn(&mut Pair)) -> Pair {
    let mut pair = Setup { seed, ..Setup::new() }.pair();
    pair.establish();
    let mut sent = [Vec::new(), Vec::new()];
    let mut talk = |pair: &mut Pair, number: u32| {
        for side in [A, B] {
            let packet = udp(side, &number.to_be_bytes());
            assert!(matches!(pair.send(side, &packet), Verdict::Send { .. }));
            sent[side].push(packet);
        }
    };
    for number in 0..5 {
        talk(&mut pair, number);
    }
    rekey(&mut pair);
    for number in 5..200 {
        talk(&mut pair, number);
        // One arrival, then more packets: each step of the exchange happens with packets before and behind it.
        pair.now += Duration::from_micros(500);
        for _ in 0..3 {
            let received = pair.step();
            assert!(!matches!(received, Some(Received::Dropped(_))), "{received:?}");
        }
    }
    while let Some(received) = pair.step() {
        assert!(!matches!(received, Received::Dropped(_)), "{received:?}");
    }
    assert_eq!(pair.inbox[B], sent[A], "nothing is lost and nothing out of order");
    assert_eq!(pair.inbox[A], sent[B]);
    for side in [A, B] {
        assert_eq!(pair.stacks[side].children().count(), 1, "the old Child SA is gone");
        assert_eq!(pair.ikes(side), 1);
        assert_eq!(pair.stacks[side].stats().drops().count(), 0);
        assert!(pair.stacks[side].children().all(|child| !child.standby));
    }
    pair
}

#[test]
fn a_child_rekey_under_traffic_loses_nothing() {
    for side in [A, B] {
        let pair = rekey_under_traffic(1, |pair| {
            let inbound = pair.stacks[side].children().next().unwrap().inbound;
            pair.stacks[side].rekey_child(pair.now, inbound).unwrap();
            pair.collect(side);
        });
        for side in [A, B] {
            let replaced =
                |event: &Event| matches!(event, Event::ChildInstalled(child) if child.replaces.is_some());
            assert_eq!(pair.count(side, replaced), 1);
            let rekeyed = |event: &Event| matches!(event, Event::ChildClosed { sent, received, .. } if sent.packets > 0 && received.packets > 0);
            assert_eq!(pair.count(side, rekeyed), 1);
        }
    }
}

#[test]
fn an_ike_rekey_under_traffic_keeps_the_child() {
    for side in [A, B] {
        let mut pair = rekey_under_traffic(1, |pair| {
            let ike = pair.stacks[side].children().next().unwrap().ike.unwrap();
            pair.stacks[side].rekey_ike(pair.now, ike).unwrap();
            pair.collect(side);
        });
        for side in [A, B] {
            assert_eq!(pair.count(side, |event| matches!(event, Event::IkeRekeyed { .. })), 1);
            assert_eq!(pair.count(side, |event| matches!(event, Event::ChildClosed { .. })), 0);
        }
        // The child belongs to the new IKE SA: it can be replaced through it.
        let inbound = pair.stacks[A].children().next().unwrap().inbound;
        pair.stacks[A].rekey_child(pair.now, inbound).unwrap();
        pair.settle();
        assert_ne!(pair.stacks[A].children().next().unwrap().inbound, inbound);
    }
}

#[test]
fn child_rekeys_by_both_at_once_leave_one_child() {
    let mut won = [0, 0];
    for seed in 1..=8 {
        let pair = rekey_under_traffic(seed, |pair| {
            for side in [A, B] {
                let inbound = pair.stacks[side].children().next().unwrap().inbound;
                pair.stacks[side].rekey_child(pair.now, inbound).unwrap();
                pair.collect(side);
            }
        });
        let (a, b) = (pair.stacks[A].children().next().unwrap(), pair.stacks[B].children().next().unwrap());
        assert_eq!((a.inbound, a.outbound), (b.outbound, b.inbound));
        let lost = |event: &Event| matches!(event, Event::ChildClosed { reason: CloseReason::Redundant, .. });
        assert_eq!(pair.count(A, lost).max(pair.count(B, lost)), 1);
        won[pair.count(A, lost)] += 1;
    }
    assert!(won[0] > 0 && won[1] > 0, "each side lost in some run: {won:?}");
}

#[test]
fn a_soft_limit_in_packets_asks_for_a_replacement() {
    let mut setup = Setup::new();
    setup.connections[A].children[0].lifetimes.soft.packets = Some(10);
    let mut pair = setup.pair();
    pair.establish();
    let first = pair.stacks[A].children().next().unwrap().inbound;
    for number in 0..9 {
        pair.exchange(A, &udp(A, &[number]));
    }
    assert_ne!(pair.stacks[A].children().next().unwrap().inbound, first);
    assert_eq!(pair.stacks[A].stats().drops().count(), 0);
}

#[test]
fn a_hard_limit_stops_the_sa_and_the_next_packet_asks_for_another() {
    let mut setup = Setup::new();
    setup.connections[A].children[0].lifetimes.hard.octets = Some(100);
    let mut pair = setup.pair();
    pair.establish();
    let first = pair.stacks[A].children().next().unwrap().inbound;
    pair.exchange(A, &udp(A, &[1; 20]));
    // 33 and 48 octets are gone.
    let refused = pair.send(A, &udp(A, &[2; 20]));
    assert!(matches!(refused, Verdict::Dropped(DropReason::Seal(_))), "{refused:?}");
    let next = udp(A, &[3; 20]);
    assert_eq!(pair.send(A, &next), Verdict::Queued);
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.inbox[B].pop(), Some(next));
    assert!(pair.stacks[A].children().all(|child| child.inbound != first));
}

#[test]
fn deletion_ends_the_tunnel_on_both_sides_and_a_packet_starts_a_new_one() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let ike = pair.stacks[A].children().next().unwrap().ike.unwrap();
    pair.stacks[A].delete_ike(pair.now, ike).unwrap();
    pair.settle();
    for (side, local) in [(A, true), (B, false)] {
        let closed = |event: &Event| match event {
            Event::IkeClosed { reason: CloseReason::Local } => local,
            Event::IkeClosed { reason: CloseReason::Peer } => !local,
            _ => false,
        };
        assert_eq!(pair.count(side, closed), 1, "{:?}", pair.events[side]);
        assert_eq!((pair.stacks[side].children().count(), pair.ikes(side)), (0, 0));
    }
    assert_eq!(pair.send(B, &udp(B, b"again")), Verdict::Queued);
    pair.settle();
    assert_eq!(pair.inbox[A].len(), 1);
}

#[test]
fn a_child_alone_can_be_deleted_and_comes_back_on_demand() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let inbound = pair.stacks[B].children().next().unwrap().inbound;
    pair.stacks[B].delete_child(pair.now, inbound).unwrap();
    pair.settle();
    assert_eq!((pair.stacks[A].children().count(), pair.ikes(A)), (0, 1));
    assert_eq!(pair.send(A, &udp(A, b"again")), Verdict::Queued);
    pair.settle();
    assert_eq!(pair.inbox[B].len(), 1);
    assert_eq!(pair.count(A, |event| matches!(event, Event::IkeEstablished(_))), 1, "on the same IKE SA");
}

#[test]
fn the_same_seed_gives_the_same_octets() {
    let run = |seed| {
        let mut setup = Setup::new();
        setup.seed = seed;
        let mut pair = setup.pair();
        pair.establish();
        let inbound = pair.stacks[A].children().next().unwrap().inbound;
        pair.stacks[A].rekey_child(pair.now, inbound).unwrap();
        pair.settle();
        pair.exchange(B, &udp(B, b"payload"));
        pair.log
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn an_installation_can_be_acknowledged_to_the_negotiation() {
    let mut setup = Setup::new();
    for config in &mut setup.configs {
        config.endpoint.acknowledge_install = true;
    }
    let mut pair = setup.pair();
    pair.establish();
    let inbound = pair.stacks[B].children().next().unwrap().inbound;
    pair.stacks[B].rekey_child(pair.now, inbound).unwrap();
    pair.settle();
    pair.exchange(B, &udp(B, b"after a rekey"));
    for side in [A, B] {
        assert_eq!(pair.count(side, |event| matches!(event, Event::ChildInstalled(_))), 2);
        assert_eq!(pair.stacks[side].children().count(), 1);
    }
}

#[test]
fn slow_steps_can_be_done_by_the_caller() {
    let mut setup = Setup::new();
    for config in &mut setup.configs {
        config.endpoint.executor = Executor::Caller;
    }
    let mut pair = setup.pair();
    let packet = udp(A, b"patience");
    assert_eq!(pair.send(A, &packet), Verdict::Queued);
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let mut done = 0;
    while pair.inbox[B].is_empty() {
        pair.settle();
        for side in [A, B] {
            for event in core::mem::take(&mut pair.events[side]) {
                let Event::Needs { op, what, .. } = event else { continue };
                let answer = what.execute(&rustcrypto::provider(), &mut rng).unwrap();
                pair.stacks[side].answer(pair.now, op, answer).unwrap();
                done += 1;
            }
        }
        assert!(done < 10, "three steps make a set-up");
    }
    assert_eq!((done, pair.inbox[B].pop()), (3, Some(packet)));
}
