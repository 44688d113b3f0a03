//! What a stack does not let through, and what it says about it.

extern crate alloc;

mod common;

use core::time::Duration;

use common::*;
use ipsec::esp::{OpenError, SealError};
use ipsec::ike::{CloseReason, Discarded, Error};
use ipsec::sa::{Direction, Flow, Policy, PolicyAction, PolicyId, ProtectSpec};
use ipsec::{
    Backoff, ConnectionRefused, DropReason, Event, Meta, PolicyRefused, Received, Stack, StackConfig, Verdict,
};
use proptest::prelude::*;

fn flow(packet: &[u8]) -> Flow {
    Flow::from_packet(packet).unwrap()
}

#[test]
fn policies_decide_in_their_order_and_no_match_drops() {
    let mut pair = Setup::new().pair();
    let away = udp_between(inside(A), [203, 0, 113, 9].into(), b"away");
    assert_eq!(pair.send(A, &away), Verdict::Dropped(DropReason::NoPolicy));
    let all = || vec!["0.0.0.0/0".parse().unwrap()];
    let bypass = Policy::new(PolicyId(1), "the rest", all(), all(), PolicyAction::Bypass);
    pair.stacks[A].add_policy(bypass).unwrap();
    assert_eq!(pair.send(A, &away), Verdict::Bypass);
    let no_one = Policy::new(
        PolicyId(2),
        "not there",
        all(),
        vec!["203.0.113.0/24".parse().unwrap()],
        PolicyAction::Discard,
    );
    pair.stacks[A].add_policy_before(PolicyId(1), no_one).unwrap();
    assert_eq!(pair.send(A, &away), Verdict::Dropped(DropReason::Policy));
    assert_eq!(pair.send(A, &[0x60; 39]), Verdict::Dropped(DropReason::Malformed));
    assert_eq!(pair.stacks[A].stats().drops().map(|(_, _, count)| count).sum::<u64>(), 3);
    assert!(pair.log.is_empty(), "nothing was sent");
}

#[test]
fn nothing_protected_leaves_in_clear_whatever_happens() {
    let mut setup = Setup::new();
    setup.configs[A].endpoint.retransmit.tries = 2;
    let mut pair = setup.pair();
    // A policy behind that would let it pass.
    let all = || vec!["0.0.0.0/0".parse().unwrap()];
    pair.stacks[A].add_policy(Policy::new(PolicyId(1), "rest", all(), all(), PolicyAction::Bypass)).unwrap();
    let marker = b"a secret that must not be seen";
    let packet = udp(A, marker);
    pair.cut[A] = true;
    let mut verdicts = Vec::new();
    for _ in 0..100 {
        verdicts.push(pair.send(A, &packet));
        pair.pass(Duration::from_secs(1));
    }
    pair.cut[A] = false;
    pair.pass(Duration::from_secs(100));
    pair.send(A, &packet);
    pair.settle();
    assert!(!pair.inbox[B].is_empty(), "in the end it goes through");
    let connection = pair.connections[A];
    pair.stacks[A].remove_connection(pair.now, connection).unwrap();
    pair.settle();
    verdicts.push(pair.send(A, &packet));
    assert_eq!(verdicts.last(), Some(&Verdict::Dropped(DropReason::NoConnection)));
    assert!(verdicts.iter().all(|verdict| !matches!(verdict, Verdict::Bypass | Verdict::Send { .. })));
    assert!(pair.log.iter().all(|data| !data.windows(marker.len()).any(|window| window == marker)));
}

#[test]
fn packets_in_clear_that_should_be_protected_are_refused() {
    let mut pair = Setup::new().pair();
    let inbound = flow(&udp(B, b"clear"));
    assert_eq!(pair.stacks[A].check_clear_inbound(&inbound), Err(DropReason::Clear));
    pair.establish();
    assert_eq!(pair.stacks[A].check_clear_inbound(&inbound), Err(DropReason::Clear));
    let away = flow(&udp_between([203, 0, 113, 9].into(), inside(A), b""));
    assert_eq!(pair.stacks[A].check_clear_inbound(&away), Err(DropReason::Clear), "no match drops");
    let all = || vec!["0.0.0.0/0".parse().unwrap()];
    let bypass = Policy::new(PolicyId(1), "in", all(), all(), PolicyAction::Bypass);
    pair.stacks[A].add_policy(bypass.for_direction(Direction::Inbound)).unwrap();
    assert_eq!(pair.stacks[A].check_clear_inbound(&away), Ok(()));
    assert_eq!(pair.stacks[A].check_clear_inbound(&inbound), Err(DropReason::Clear));
    assert_eq!(pair.stacks[A].stats().dropped(&DropReason::Clear), 4);
}

#[test]
fn a_wrong_key_clears_the_queue_says_so_and_rests() {
    let mut setup = Setup::new();
    setup.connections[B] = connection(B, b"another key");
    setup.configs[A].backoff = Backoff { first: Duration::from_secs(3), max: Duration::from_secs(9) };
    let mut pair = setup.pair();
    for number in 0..3 {
        assert_eq!(pair.send(A, &udp(A, &[number])), Verdict::Queued);
    }
    pair.settle();
    // For three seconds a better answer may come.
    pair.pass(Duration::from_secs(4));
    let failed = |event: &Event| {
        matches!(event, Event::IkeClosed { reason: CloseReason::Failed(error) }
            if matches!(**error, Error::AuthenticationFailed(_)))
    };
    assert_eq!(pair.count(A, failed), 1, "{:?}", pair.events[A]);
    let cleared = |event: &Event| matches!(event, Event::QueueCleared { packets: 3, octets: 87, .. });
    assert_eq!(pair.count(A, cleared), 1, "{:?}", pair.events[A]);
    assert_eq!(pair.stacks[A].stats().dropped(&DropReason::SetupFailed), 3);
    assert!(pair.inbox[B].is_empty());

    // Within the rest nothing starts; after it the next packet does.
    let datagrams = pair.log.len();
    assert_eq!(pair.send(A, &udp(A, b"too soon")), Verdict::Dropped(DropReason::Backoff));
    assert_eq!(pair.log.len(), datagrams);
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.send(A, &udp(A, b"again")), Verdict::Queued);
    pair.settle();
    pair.pass(Duration::from_secs(4));
    assert_eq!(pair.send(A, &udp(A, b"longer now")), Verdict::Dropped(DropReason::Backoff));
}

#[test]
fn a_silent_peer_ends_the_wait() {
    let mut setup = Setup::new();
    setup.configs[A].endpoint.retransmit.tries = 3;
    let mut pair = setup.pair();
    pair.cut[B] = true;
    assert_eq!(pair.send(A, &udp(A, b"lost")), Verdict::Queued);
    pair.pass(Duration::from_secs(300));
    let timed_out = |event: &Event| {
        matches!(event, Event::IkeClosed { reason: CloseReason::Failed(error) }
            if matches!(**error, Error::TimedOut { .. }))
    };
    assert_eq!(pair.count(A, timed_out), 1, "{:?}", pair.events[A]);
    assert_eq!(pair.count(A, |event| matches!(event, Event::QueueCleared { packets: 1, .. })), 1);
}

#[test]
fn a_replayed_packet_is_refused_and_counted() {
    let mut pair = Setup::new().pair();
    pair.establish();
    pair.send(A, &udp(A, b"once"));
    let datagram = pair.wire.pop_front().unwrap();
    let again = Datagram { data: datagram.data.clone(), ..datagram };
    assert!(matches!(pair.deliver(datagram), Received::Inner { .. }));
    assert_eq!(pair.deliver(again), Received::Dropped(DropReason::Open(OpenError::Replay)));
    let drops: Vec<_> = pair.stacks[B].stats().drops().map(|(_, name, count)| (name, count)).collect();
    assert_eq!(drops, [("replay", 1)]);
}

#[test]
fn forged_and_stray_packets_are_refused_by_name() {
    let mut setup = Setup::new();
    setup.connections[A].force_encapsulation = true;
    let mut pair = setup.pair();
    pair.establish();
    pair.send(A, &udp(A, b"to be changed"));
    let good = pair.wire.pop_front().unwrap();
    let mut send = |data: Vec<u8>| {
        let datagram = Datagram { at: pair.now, to: B, path: encap(B), ecn: 0, data };
        match pair.deliver(datagram) {
            Received::Dropped(reason) => reason,
            other => panic!("{other:?}"),
        }
    };
    let changed = |at: usize| {
        let mut data = good.data.clone();
        data[at] ^= 1;
        data
    };
    assert_eq!(send(changed(good.data.len() - 1)), DropReason::Open(OpenError::Icv));
    assert_eq!(send(changed(20)), DropReason::Open(OpenError::Icv));
    assert_eq!(send(changed(1)), DropReason::UnknownSpi);
    assert_eq!(send(good.data[..9].to_vec()), DropReason::Open(OpenError::Truncated));
    assert_eq!(send(vec![1, 2, 3]), DropReason::Unclassified);
    assert!(matches!(send(vec![0; 4 + 27]), DropReason::Ike(Discarded::Malformed(_))));
    // None of it has harmed the SA.
    assert!(matches!(pair.deliver(good), Received::Inner { .. }));
}

#[test]
fn too_little_room_is_named_and_spends_nothing() {
    let mut pair = Setup::new().pair();
    pair.establish();
    let packet = udp(A, b"tight");
    let mut buf = packet.clone();
    let len = packet.len();
    let verdict = pair.stacks[A].handle_ip(pair.now, &mut buf, 0..len);
    let Verdict::Dropped(DropReason::Seal(SealError::NoRoom { head, tail })) = verdict else {
        panic!("{verdict:?}")
    };
    assert!(head <= ipsec::HEADROOM && tail <= ipsec::TAILROOM);
    assert_eq!(buf, packet, "unharmed");
    let outside = pair.stacks[A].handle_ip(pair.now, &mut buf, 0..len + 1);
    assert_eq!(outside, Verdict::Dropped(DropReason::Seal(SealError::Range)));
    pair.exchange(A, &packet);
}

#[test]
fn what_is_not_processed_here_is_not_taken() {
    let mut pair = Setup::new().pair();
    let all = || vec!["0.0.0.0/0".parse().unwrap()];
    let mut spec = ProtectSpec::tunnel(0);
    spec.populate.remote_address = true;
    let policy = Policy::new(PolicyId(1), "per host", all(), all(), PolicyAction::Protect(spec));
    assert_eq!(pair.stacks[A].add_policy(policy), Err(PolicyRefused::Unsupported));
    let mut config = connection(A, b"key");
    config.children[0].suites = vec![ipsec::crypto::Suite::ah("sha256").unwrap()];
    assert_eq!(pair.stacks[A].add_connection(config), Err(ConnectionRefused::Unsupported));
    let mut config = connection(A, b"key");
    let taken = pair.stacks[A].policies().iter().next().unwrap().id;
    config.children[0].policy = Some(taken);
    assert_eq!(pair.stacks[A].add_connection(config), Err(ConnectionRefused::PolicyTaken(taken)));
    assert_eq!(pair.stacks[A].policies().len(), 1);
}

#[test]
fn a_stack_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Stack>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever arrives, on whatever path: nothing panics, nothing but the counters changes.
    #[test]
    fn arbitrary_datagrams_harm_nothing(
        datagrams in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..200), any::<bool>(), 0u8..3), 1..40)
    ) {
        let mut pair = Setup::new().pair();
        pair.establish();
        let spi = pair.stacks[B].children().next().unwrap().inbound;
        let drops = |stack: &Stack| stack.stats().drops().map(|(_, _, count)| count).sum::<u64>();
        for (mut data, ours, transport) in datagrams {
            // Half of them reach the SA.
            if let (true, Some(head)) = (ours, data.first_chunk_mut()) {
                *head = spi.to_bytes();
            }
            let mut path = encap(B);
            path.transport = [
                ipsec::ike::Transport::Udp, ipsec::ike::Transport::UdpEncap, ipsec::ike::Transport::Ip,
            ][usize::from(transport)];
            let before = drops(&pair.stacks[B]);
            let received = pair.stacks[B].handle_datagram(pair.now, Meta::new(path), &mut data);
            match received {
                Received::Dropped(_) => prop_assert_eq!(drops(&pair.stacks[B]), before + 1),
                other => prop_assert_eq!(other, Received::Keepalive),
            }
        }
        pair.exchange(A, &udp(A, b"still there"));
        pair.exchange(B, &udp(B, b"and back"));
    }

    #[test]
    fn arbitrary_packets_from_inside_harm_nothing(
        packet in proptest::collection::vec(any::<u8>(), 0..100), start in 0usize..120, end in 0usize..120
    ) {
        let mut stack = Stack::new(
            StackConfig::default(),
            ipsec::crypto::rustcrypto::provider(),
            Box::new(<rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1)),
            ipsec::sa::Instant::ZERO,
        );
        stack.add_connection(connection(A, b"key")).unwrap();
        let mut buf = packet;
        let verdict = stack.handle_ip(ipsec::sa::Instant::ZERO, &mut buf, start..end);
        let held = matches!(verdict, Verdict::Dropped(_) | Verdict::Queued);
        prop_assert!(held);
    }
}
