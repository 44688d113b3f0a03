//! The data path allocates nothing per packet.

extern crate alloc;

mod common;

use common::*;
use ipsec::crypto::{Secret, rustcrypto};
use ipsec::esp::OuterHeader;
use ipsec::sa::{
    Direction, Encapsulation, Instant, Mode, Outer, Policy, PolicyAction, PolicyId, ProtectSpec, Role,
    SaAlgorithms, SaKeys, SaParams, SecurityProtocol, TrafficSelector,
};
use ipsec::wire::Spi;
use ipsec::wire::ike::{EncrId, IntegId};
use ipsec::{Meta, Received, Stack, StackConfig, Verdict};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

#[test]
fn packets_pass_both_ways_without_allocation() {
    assert!(tally::calls(|| drop(Box::new(1))) > 0, "the count works");
    let mut setup = Setup::new();
    setup.connections[A].force_encapsulation = true;
    let mut pair = setup.pair();
    pair.establish();
    let (now, packet) = (pair.now, udp(A, &[7; 1000]));
    let (template, ip) = with_room(&packet);
    let mut buf = template.clone();
    let count = tally::calls(|| {
        for _ in 0..100 {
            buf.copy_from_slice(&template);
            let Verdict::Send { range, path, .. } = pair.stacks[A].handle_ip(now, &mut buf, ip.clone())
            else {
                panic!("sealed")
            };
            let datagram = &mut buf[range];
            let received = pair.stacks[B].handle_datagram(now, Meta::new(turned(&path)), datagram);
            let Received::Inner { range, .. } = received else { panic!("opened") };
            assert!(datagram[range] == packet);
            // Refused ones cost nothing either.
            let replayed = pair.stacks[B].handle_datagram(now, Meta::new(turned(&path)), datagram);
            assert!(matches!(replayed, Received::Dropped(_)));
        }
    });
    assert_eq!(count, 0);
}

const NOW: Instant = Instant::from_secs(1000);

fn ts(text: &str) -> Vec<TrafficSelector> {
    vec![text.parse().unwrap()]
}

/// SAs keyed by hand under numbers from `first` on, and their policy.
fn by_hand(stacks: &mut [Stack; 2], first: u32, protocol: SecurityProtocol, mode: Mode, nets: [&str; 2]) {
    for (side, stack) in stacks.iter_mut().enumerate() {
        let params = |direction| {
            let esp = protocol == SecurityProtocol::Esp;
            let algorithms = SaAlgorithms {
                encr: esp.then_some(EncrId::AES_GCM_16),
                key_bits: if esp { 128 } else { 0 },
                integ: (!esp).then_some(IntegId::HMAC_SHA2_256_128),
            };
            let keys = SaKeys {
                encr: Secret::new(&[7; 20][..if esp { 20 } else { 0 }]),
                integ: Secret::new(&[9; 32][..if esp { 0 } else { 32 }]),
            };
            let sender = if direction == Direction::Outbound { side } else { 1 - side };
            let outer =
                Outer { local: outside(side), remote: outside(1 - side), encapsulation: Encapsulation::None };
            let spi = Spi(first + sender as u32);
            let mut params = SaParams::new(spi, direction, Role::Initiator, algorithms, keys, outer)
                .with_protocol(protocol)
                .with_mode(mode)
                .with_selectors(ts(nets[side]), ts(nets[1 - side]));
            params.policy = Some(PolicyId(first));
            params
        };
        let action = PolicyAction::Protect(ProtectSpec::new(protocol, mode, 0));
        let policy = Policy::new(PolicyId(first), "", ts(nets[side]), ts(nets[1 - side]), action);
        stack.add_policy(policy).unwrap();
        stack.add_manual(NOW, params(Direction::Inbound), &params(Direction::Outbound)).unwrap();
    }
}

fn whole() -> [Stack; 2] {
    [(), ()].map(|()| {
        let mut config = StackConfig::default();
        config.outer = OuterHeader::Ip;
        Stack::new(config, rustcrypto::provider(), Box::new(ChaCha20Rng::seed_from_u64(5)), NOW)
    })
}

#[test]
fn whole_packets_of_every_mode_pass_without_allocation() {
    use SecurityProtocol::{Ah, Esp};
    let nets = ["10.0.0.0/24", "10.1.0.0/24"];
    let gateways = ["192.0.2.1", "192.0.2.2"];
    let hosts = ["10.0.0.1", "10.1.0.1"];
    let to_gateway = udp_between([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), &[7; 600]);
    for (sas, packet) in [
        (vec![(Esp, Mode::Tunnel, nets)], udp(A, &[7; 600])),
        (vec![(Esp, Mode::Transport, gateways)], to_gateway.clone()),
        (vec![(Esp, Mode::Beet, hosts)], udp(A, &[7; 600])),
        (vec![(Ah, Mode::Tunnel, nets)], udp(A, &[7; 600])),
        (vec![(Ah, Mode::Transport, gateways)], to_gateway),
        // AH around ESP.
        (vec![(Esp, Mode::Tunnel, nets), (Ah, Mode::Transport, gateways)], udp(A, &[7; 600])),
    ] {
        let mut stacks = whole();
        for (number, (protocol, mode, nets)) in sas.iter().enumerate() {
            by_hand(&mut stacks, 0x1000 * (number as u32 + 1), *protocol, *mode, *nets);
        }
        let (template, ip) = with_room(&packet);
        let mut buf = template.clone();
        let mut once = || {
            buf.copy_from_slice(&template);
            let [a, b] = &mut stacks;
            let Verdict::Send { range, .. } = a.handle_ip(NOW, &mut buf, ip.clone()) else {
                panic!("not sealed: {sas:?}")
            };
            let Received::Inner { range: inner, .. } = b.handle_packet(NOW, &mut buf[range.clone()]) else {
                panic!("not opened: {sas:?}")
            };
            assert!(buf[range.clone()][inner] == packet);
            // What comes again, or in clear, is dropped.
            assert!(matches!(b.handle_packet(NOW, &mut buf[range]), Received::Dropped(_)));
            buf.copy_from_slice(&template);
            assert!(matches!(b.handle_packet(NOW, &mut buf[ip.clone()]), Received::Dropped(_)));
        };
        // The first packet makes the cache of flows.
        once();
        assert_eq!(tally::calls(|| (0..50).for_each(|_| once())), 0, "{sas:?}");
    }
}

#[test]
fn what_is_passed_by_or_discarded_allocates_nothing() {
    let [mut stack, _] = whole();
    for (number, nets, action) in [
        (1, ["10.0.0.0/24", "10.1.0.0/24"], PolicyAction::Bypass),
        (2, ["10.0.0.0/24", "10.2.0.0/24"], PolicyAction::Discard),
    ] {
        stack.add_policy(Policy::new(PolicyId(number), "", ts(nets[0]), ts(nets[1]), action)).unwrap();
    }
    for (dst, passes) in [([10, 1, 0, 1], true), ([10, 2, 0, 1], false), ([10, 3, 0, 1], false)] {
        let packet = udp_between([10, 0, 0, 1].into(), dst.into(), &[7; 100]);
        let (mut buf, ip) = with_room(&packet);
        let mut once = || match stack.handle_ip(NOW, &mut buf, ip.clone()) {
            Verdict::Bypass => assert!(passes),
            verdict => assert!(!passes && matches!(verdict, Verdict::Dropped(_)), "{verdict:?}"),
        };
        once();
        assert_eq!(tally::calls(|| (0..20).for_each(|_| once())), 0, "{dst:?}");
    }
}
