//! Windows in which a packet might slip past its policy: while it waits, as a fragment, when an SA is used up.

extern crate alloc;

mod common;

use core::time::Duration;

use common::*;
use ipsec::sa::{Flow, Policy, PolicyAction, PolicyId, ReassemblyLimits};
use ipsec::{DropReason, OutputLimits, QueueLimits, Received, Stack, StackConfig, Verdict};

fn ts(text: &str) -> Vec<ipsec::sa::TrafficSelector> {
    vec![text.parse().unwrap()]
}

/// The parts of a packet of ours with these ports: its first one, and one behind that.
fn parts(from: usize) -> [Vec<u8>; 2] {
    let whole = udp(from, b"the first part: ");
    let part = |flags: [u8; 2]| {
        let mut part = whole.clone();
        part[6..8].copy_from_slice(&flags);
        let checksum = {
            part[10..12].fill(0);
            ipsec::wire::ip::internet_checksum(&[&part[..20]])
        };
        part[10..12].copy_from_slice(&checksum.to_be_bytes());
        part
    };
    [part([0x20, 0]), part([0, 3])]
}

/// PROTECT for one port alone, and behind it everything may pass.
fn one_port() -> Pair {
    let mut setup = Setup::new();
    for (side, config) in setup.connections.iter_mut().enumerate() {
        let [a, b] = [ts("10.0.0.0/24[udp]"), ts("10.1.0.0/24[udp/8192]")];
        let [local, remote] = if side == A { [a, b] } else { [b, a] };
        (config.children[0].local, config.children[0].remote) = (local, remote);
    }
    let mut pair = setup.pair();
    for stack in &mut pair.stacks {
        let rest = Policy::new(PolicyId(1), "rest", ts("0.0.0.0/0"), ts("0.0.0.0/0"), PolicyAction::Bypass);
        stack.add_policy(rest).unwrap();
    }
    pair
}

#[test]
fn a_later_fragment_that_may_be_of_a_protected_flow_does_not_pass_in_clear() {
    let mut pair = one_port();
    let [_, later] = parts(A);
    assert_eq!(pair.send(A, &later), Verdict::Dropped(DropReason::Policy), "out");
    let flow = Flow::from_packet(&later).unwrap();
    assert_eq!(pair.stacks[B].check_clear_inbound(&flow), Err(DropReason::Clear), "in, by its flow");
    let mut whole = later.clone();
    let received = pair.stacks[B].handle_packet(pair.now, &mut whole);
    assert_eq!(received, Received::Dropped(DropReason::Clear), "in, as a packet");
    assert!(pair.log.is_empty());
}

#[test]
fn a_later_fragment_of_what_may_pass_does() {
    let mut pair = one_port();
    let [mut first, mut later] = parts(A);
    // To a port that nobody protects.
    first[22] = 1;
    assert_eq!(pair.send(A, &first), Verdict::Bypass);
    assert_eq!(pair.send(A, &later), Verdict::Bypass, "the first one has shown the ports");
    for packet in [&mut first, &mut later] {
        let received = pair.stacks[B].handle_packet(pair.now, &mut packet.clone());
        assert!(matches!(received, Received::Clear { .. }), "{received:?}");
    }
    // Where no policy in front could be about it, nobody needs to know the ports.
    let away = |packet: &[u8]| {
        let mut packet = packet.to_vec();
        (packet[5], packet[16]) = (9, 203);
        packet
    };
    assert_eq!(pair.send(A, &away(&parts(A)[1])), Verdict::Bypass);
}

#[test]
fn ports_are_not_remembered_until_the_identification_comes_round() {
    let mut pair = one_port();
    let [mut first, later] = parts(A);
    // To a port that nobody protects; the next datagram with this identification is to one that is protected.
    first[22] = 1;
    assert_eq!(pair.send(A, &first), Verdict::Bypass);
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.send(A, &later), Verdict::Dropped(DropReason::Policy));
}

#[test]
fn parts_that_wait_for_long_stay_of_one_flow() {
    let mut pair = one_port();
    pair.cut[B] = true;
    for part in parts(A) {
        assert_eq!(pair.send(A, &part), Verdict::Queued);
    }
    pair.pass(Duration::from_secs(5));
    pair.cut[B] = false;
    pair.pass(Duration::from_secs(20));
    assert_eq!(pair.inbox[B], parts(A));
}

#[test]
fn ipv6_fragments_that_hide_their_protocol_do_not_pass_either() {
    let mut stack = common_stack();
    let any = || ts("::/0");
    let protect = PolicyAction::Discard;
    stack.add_policy(Policy::new(PolicyId(1), "tcp", any(), ts("::/0[tcp/80]"), protect)).unwrap();
    stack.add_policy(Policy::new(PolicyId(2), "rest", any(), any(), PolicyAction::Bypass)).unwrap();
    // A fragment behind the first, whose first header was one for the destination.
    let mut packet = vec![0x60, 0, 0, 0, 0, 16, 44, 64];
    packet.extend([[0x20; 16], [0x30; 16]].concat());
    packet.extend([60, 0, 0, 0x08, 0, 0, 0, 1]);
    packet.extend([0; 8]);
    let (mut buf, ip) = with_room(&packet);
    assert_eq!(stack.handle_ip(NOW, &mut buf, ip), Verdict::Dropped(DropReason::Policy));
    // And one of UDP, which no policy but the last is about.
    packet[40] = 17;
    let (mut buf, ip) = with_room(&packet);
    assert_eq!(stack.handle_ip(NOW, &mut buf, ip), Verdict::Bypass);
}

const NOW: ipsec::sa::Instant = ipsec::sa::Instant::from_secs(1000);

fn common_stack() -> Stack {
    use rand_core::SeedableRng;
    let rng = Box::new(rand_chacha::ChaCha20Rng::seed_from_u64(1));
    Stack::new(StackConfig::default(), ipsec::crypto::rustcrypto::provider(), rng, NOW)
}

#[test]
fn strangers_fragments_do_not_push_out_what_peers_showed() {
    let mut pair = one_port();
    pair.establish();
    let [first, later] = parts(A);
    let sealed = |verdict: &Verdict| matches!(verdict, Verdict::Send { .. });
    assert!(sealed(&pair.send(A, &first)));
    pair.settle();
    pair.pass(Duration::from_secs(1));
    for id in 0..3000u16 {
        let [mut stray, _] = parts(A);
        stray[4..6].copy_from_slice(&id.to_be_bytes());
        (stray[12], stray[16]) = (198, 203);
        pair.stacks[B].handle_packet(pair.now, &mut stray);
    }
    pair.inbox[B].clear();
    assert!(sealed(&pair.send(A, &later)));
    pair.settle();
    assert_eq!(pair.inbox[B].len(), 1, "{:?}", pair.stacks[B].stats().drops().collect::<Vec<_>>());
}

#[test]
fn what_waits_meets_the_policies_of_the_time_when_it_goes() {
    let mut pair = Setup::new().pair();
    assert_eq!(pair.send(A, &udp(A, b"not any more")), Verdict::Queued);
    let own = pair.stacks[A].policies().iter().next().unwrap().id;
    let stop = Policy::new(PolicyId(1), "stop", ts("10.0.0.1"), ts("10.1.0.0/16"), PolicyAction::Discard);
    pair.stacks[A].add_policy_before(own, stop).unwrap();
    pair.settle();
    assert_eq!(pair.stacks[A].children().count(), 1, "the SA has come");
    assert_eq!(pair.stacks[A].stats().sealed.packets, 0);
    assert!(pair.inbox[B].is_empty());
    assert_eq!(pair.stacks[A].stats().dropped(&DropReason::Policy), 1);
}

#[test]
fn all_parts_of_a_packet_wait_and_go() {
    let mut pair = one_port();
    for part in parts(A) {
        assert_eq!(pair.send(A, &part), Verdict::Queued);
    }
    pair.settle();
    assert_eq!(pair.inbox[B], parts(A));
}

#[test]
fn a_packet_that_cannot_wait_is_not_said_to() {
    let mut setup = Setup::new();
    setup.configs[A].queue = QueueLimits { packets: 4, octets: 40 };
    let mut pair = setup.pair();
    assert_eq!(pair.send(A, &udp(A, &[0; 100])), Verdict::Dropped(DropReason::QueueFull));
    let stats = pair.stacks[A].stats();
    assert_eq!((stats.queued.packets, stats.dropped(&DropReason::QueueFull)), (0, 1));
}

#[test]
fn an_sa_that_is_used_up_is_given_up_once() {
    let mut setup = Setup::new();
    setup.connections[B].children[0].lifetimes.hard.packets = Some(2);
    let mut pair = setup.pair();
    pair.establish();
    pair.exchange(A, &udp(A, b"the second"));
    // The peer goes on, and our wish that it be gone does not reach it.
    pair.cut[B] = true;
    for number in 0..400u16 {
        pair.send(A, &udp(A, &number.to_be_bytes()));
        pair.step();
    }
    let ike = pair.stacks[B].ike_sas().next().unwrap().handle;
    assert_eq!(pair.stacks[B].check_liveness(pair.now, ike), Ok(()), "other tasks find their place");
    assert!(pair.inbox[B].is_empty());
}

#[test]
fn a_caller_that_takes_nothing_has_bounded_outputs() {
    let mut setup = Setup::new();
    setup.configs[B].outputs = OutputLimits { packets: 16, octets: 4096, events: 8 };
    setup.configs[B].link_mtu = 100;
    setup.configs[B].reassembly = ReassemblyLimits { datagrams: 4, ..ReassemblyLimits::default() };
    let mut pair = setup.pair();
    pair.establish();
    let before = pair.stacks[B].stats().unpolled;
    assert_eq!((before.packets, before.events), (0, 0));
    // Each has a message to its sender for an answer.
    for number in 0..100u16 {
        let (mut buf, ip) = with_room(&udp(B, &[number as u8; 200]));
        let verdict = pair.stacks[B].handle_ip(pair.now, &mut buf, ip);
        assert_eq!(verdict, Verdict::Dropped(DropReason::TooBig));
    }
    let delivered = pair.inbox[B].len();
    pair.collect(B);
    assert_eq!(pair.inbox[B].len() - delivered, 16);
    assert_eq!(pair.stacks[B].stats().unpolled.packets, 84);
    // There is room again.
    let (mut buf, ip) = with_room(&udp(B, &[0; 200]));
    pair.stacks[B].handle_ip(pair.now, &mut buf, ip);
    pair.collect(B);
    assert_eq!(pair.inbox[B].len() - delivered, 17);
}

#[test]
fn senders_are_told_no_faster_than_a_limit() {
    let mut setup = Setup::new();
    setup.configs[A].link_mtu = 100;
    let mut pair = setup.pair();
    pair.establish();
    for expected in [1000, 1000] {
        pair.inbox[A].clear();
        for _ in 0..1500 {
            assert_eq!(pair.send(A, &udp(A, &[0; 200])), Verdict::Dropped(DropReason::TooBig));
        }
        assert_eq!(pair.inbox[A].len(), expected);
        pair.pass(Duration::from_secs(1));
    }
}

#[test]
fn senders_are_told_what_was_discarded_and_why_where_that_is_wanted() {
    let kinds = |pair: &mut Pair| -> Vec<(u8, u8)> {
        let view = |packet: &Vec<u8>| ipsec::wire::IpView::parse(packet).unwrap().icmp().unwrap();
        pair.inbox[A].drain(..).map(|packet| view(&packet)).collect()
    };
    for wanted in [true, false] {
        let told = |codes: &[(u8, u8)]| if wanted { codes.to_vec() } else { Vec::new() };
        let mut setup = Setup::new();
        setup.configs[A].tell_discarded = wanted;
        setup.configs[A].endpoint.retransmit.tries = 2;
        // A peer that refuses, and then one that is silent.
        setup.connections[B] = connection(B, b"another key");
        let mut pair = setup.pair();
        let away = udp_between(inside(A), [203, 0, 113, 9].into(), b"away");
        pair.send(A, &away);
        assert_eq!(kinds(&mut pair), told(&[(3, 13)]), "no policy");
        pair.send(A, &udp(A, b"waits"));
        assert_eq!(kinds(&mut pair), []);
        pair.settle();
        pair.pass(Duration::from_secs(4));
        assert_eq!(kinds(&mut pair), told(&[(3, 13)]), "refused");
        pair.cut[A] = true;
        pair.pass(Duration::from_secs(60));
        pair.send(A, &udp(A, b"waits"));
        pair.pass(Duration::from_secs(100));
        pair.send(A, &udp(A, b"rests"));
        let last = kinds(&mut pair);
        assert_eq!(last.first().copied(), wanted.then_some((3, 1)), "silent");
    }
}

#[test]
fn strangers_events_are_bounded_and_those_of_sas_all_come() {
    let mut setup = Setup::new();
    setup.configs[B].outputs = OutputLimits { packets: 4, octets: 4096, events: 3 };
    let mut pair = setup.pair();
    // Refused set-ups, each with an event, that nobody takes.
    let odd = Setup::new();
    let [mut stranger, _] = odd.connections;
    stranger.suites = vec![ipsec::crypto::Suite::ike("aes256gcm16-prfsha384-x25519").unwrap()];
    let mut caller = common_stack();
    for _ in 0..20 {
        let id = caller.add_connection(clone_of(&stranger)).unwrap();
        caller.connect(NOW, id, None).unwrap();
    }
    while let ipsec::Output::Transmit { path, mut data, .. } = caller.poll_output() {
        pair.stacks[B].handle_datagram(pair.now, ipsec::Meta::new(turned(&path)), &mut data);
    }
    // A peer's SA comes and goes meanwhile.
    let (mut buf, ip) = with_room(&udp(A, b"first"));
    assert_eq!(pair.stacks[A].handle_ip(pair.now, &mut buf, ip), Verdict::Queued);
    let unpolled = pair.stacks[B].stats().unpolled;
    assert_eq!(unpolled.events, 17, "{unpolled:?}");
    assert!(unpolled.packets >= 16);
    pair.collect(B);
    assert_eq!(pair.events[B].len(), 3);
    pair.events[B].clear();
    pair.settle();
    pair.pass(Duration::from_secs(10));
    assert_eq!(pair.inbox[B].len(), 1);
}

fn clone_of(config: &ipsec::ike::ConnectionConfig) -> ipsec::ike::ConnectionConfig {
    let mut clone = connection(A, b"a shared key");
    clone.suites = config.suites.clone();
    clone
}

#[test]
fn a_gateway_that_only_answers_finds_what_is_for_it_by_its_address() {
    let mut setup = Setup::new();
    setup.connections[B].local = None;
    let mut pair = setup.pair();
    let id = pair.connections[A];
    pair.stacks[A].connect(pair.now, id, None).unwrap();
    let ipsec::Output::Transmit { path, data, .. } = pair.stacks[A].poll_output() else {
        panic!("no request")
    };
    let mut packet = udp_between([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), &data);
    packet[20..24]
        .copy_from_slice(&[path.local.port().to_be_bytes(), path.remote.port().to_be_bytes()].concat());
    let received = pair.stacks[B].handle_packet(pair.now, &mut packet.clone());
    assert_eq!(received, Received::Dropped(DropReason::Clear), "nobody said that it is for us");
    pair.stacks[B].add_address(outside(B));
    assert_eq!(pair.stacks[B].handle_packet(pair.now, &mut packet), Received::Ike);
}
