//! A peer that holds the keys and sends what it should not: authentic packets are checked too (RFC 4301 §5.2).

extern crate alloc;

mod common;

use core::time::Duration;

use common::*;
use ipsec::crypto::rustcrypto;
use ipsec::esp::{EspOutbound, OpenError, OuterHeader};
use ipsec::ike::{ConnectionConfig, Endpoint, EndpointConfig, Event, Input, Output as IkeOutput};
use ipsec::sa::Instant;
use ipsec::wire::IpProtocol;
use ipsec::{DropReason, HEADROOM, Meta, Output, Received, Stack, StackConfig, TAILROOM, Verdict};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const NOW: Instant = Instant::from_secs(1000);

/// Our stack, and the peer's half of the Child SA in hand.
struct Scene {
    stack: Stack,
    peer: EspOutbound,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl Fn(&mut ConnectionConfig)) -> Self {
        let rng = |seed| Box::new(ChaCha20Rng::seed_from_u64(seed));
        let mut stack = Stack::new(StackConfig::default(), rustcrypto::provider(), rng(1), NOW);
        let mut config = connection(A, b"key");
        change(&mut config);
        stack.add_connection(config).unwrap();
        let mut endpoint = Endpoint::new(EndpointConfig::default(), rustcrypto::provider(), rng(2), NOW);
        endpoint.add_connection(connection(B, b"key")).unwrap();
        let (mut buf, ip) = with_room(&udp(A, b"first"));
        assert_eq!(stack.handle_ip(NOW, &mut buf, ip), Verdict::Queued);
        let mut peer = None;
        loop {
            let mut quiet = true;
            while let Output::Transmit { path, mut data, .. } = next(&mut stack) {
                if path.transport == ipsec::ike::Transport::Ip {
                    continue; // the first packet
                }
                quiet = false;
                let input = Input::Datagram { now: NOW, path: turned(&path), ecn: 0, data: &mut data };
                endpoint.handle_input(input).unwrap();
            }
            loop {
                match endpoint.poll_output() {
                    IkeOutput::Transmit { path, mut data, .. } => {
                        quiet = false;
                        stack.handle_datagram(NOW, Meta::new(turned(&path)), &mut data);
                    }
                    IkeOutput::Event(_, Event::ChildInstalled(install)) => {
                        let provider = rustcrypto::provider();
                        let outbound =
                            EspOutbound::new(&install.outbound, &provider, OuterHeader::None, &mut *rng(3));
                        peer = Some(outbound.unwrap());
                    }
                    IkeOutput::Event(..) => {}
                    IkeOutput::Timeout(_) => break,
                }
            }
            if quiet {
                break;
            }
        }
        Self { stack, peer: peer.expect("a Child SA"), now: NOW }
    }

    /// Seals whatever the peer likes, and hands it to the stack with this outer ECN field.
    fn send(&mut self, next: IpProtocol, payload: &[u8], ecn: u8) -> (Received, Vec<u8>) {
        let mut buf = vec![0; HEADROOM + payload.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + payload.len();
        buf[range.clone()].copy_from_slice(payload);
        let sealed = self.peer.seal_in_place(&mut buf, range, next).unwrap();
        let mut packet = buf[sealed].to_vec();
        let path = ipsec::ike::Path::ip(outside(A), outside(B));
        (self.stack.handle_datagram(self.now, Meta { path, ecn }, &mut packet), packet)
    }

    fn refused(&mut self, next: IpProtocol, payload: &[u8]) -> DropReason {
        match self.send(next, payload, 0).0 {
            Received::Dropped(reason) => {
                assert_eq!(self.stack.stats().dropped(&reason), 1);
                reason
            }
            other => panic!("{other:?}"),
        }
    }

    fn taken(&mut self, payload: &[u8], ecn: u8) -> Vec<u8> {
        match self.send(IpProtocol::IPV4, payload, ecn) {
            (Received::Inner { range, .. }, packet) => packet[range].to_vec(),
            (other, _) => panic!("{other:?}"),
        }
    }
}

/// The next transmit; events are passed over.
fn next(stack: &mut Stack) -> Output {
    loop {
        match stack.poll_output() {
            Output::Event(..) => {}
            other => return other,
        }
    }
}

#[test]
fn what_the_sa_is_for_comes_through() {
    let packet = udp(B, b"in order");
    assert_eq!(Scene::new().taken(&packet, 0), packet);
}

#[test]
fn addresses_outside_of_the_selectors_are_refused() {
    let mut scene = Scene::new();
    let foreign_source = udp_between([203, 0, 113, 5].into(), inside(A), b"spoofed");
    assert_eq!(scene.refused(IpProtocol::IPV4, &foreign_source), DropReason::Selectors);
    let mut scene = Scene::new();
    let foreign_destination = udp_between(inside(B), [203, 0, 113, 5].into(), b"relayed");
    assert_eq!(scene.refused(IpProtocol::IPV4, &foreign_destination), DropReason::Selectors);
    // Our own packet turned back at us.
    let mut scene = Scene::new();
    assert_eq!(scene.refused(IpProtocol::IPV4, &udp(A, b"reflected")), DropReason::Selectors);
}

#[test]
fn dummies_and_padding_for_flow_confidentiality_go_without_a_trace() {
    let mut scene = Scene::new();
    assert_eq!(scene.refused(IpProtocol::NO_NEXT_HEADER, &[0xaa; 77]), DropReason::Dummy);
    let packet = udp(B, b"short");
    let padded = [&packet[..], &[0x55; 300]].concat();
    assert_eq!(scene.taken(&padded, 0), packet);
}

#[test]
fn what_is_no_ip_packet_is_refused() {
    let mut scene = Scene::new();
    assert_eq!(scene.refused(IpProtocol::TCP, &[0; 40]), DropReason::Open(OpenError::NextHeader));
    let mut scene = Scene::new();
    let reason = scene.refused(IpProtocol::IPV6, &udp(B, b"says IPv6"));
    assert_eq!(reason, DropReason::Open(OpenError::Inner));
    let mut cut = udp(B, b"cut");
    cut.truncate(25);
    let mut scene = Scene::new();
    assert_eq!(scene.refused(IpProtocol::IPV4, &cut), DropReason::Open(OpenError::Inner));
}

#[test]
fn congestion_is_carried_inside_or_the_packet_is_dropped() {
    let mut scene = Scene::new();
    let mut capable = udp(B, b"ect");
    capable[1] = 0b10;
    let marked = scene.taken(&capable, 0b11);
    assert_eq!(marked[1] & 3, 0b11);
    let (received, _) = scene.send(IpProtocol::IPV4, &udp(B, b"not ect"), 0b11);
    assert_eq!(received, Received::Dropped(DropReason::Congestion));
}

#[test]
fn packets_are_a_sign_of_life() {
    let mut scene = Scene::with(|config| config.liveness = Some(Duration::from_secs(10)));
    scene.now = NOW + Duration::from_secs(7);
    scene.taken(&udp(B, b"alive"), 0);
    // Ten seconds after the last message, but not after the last packet.
    for (seconds, asked) in [(10, false), (16, false), (17, true)] {
        scene.stack.handle_timeout(NOW + Duration::from_secs(seconds));
        let asks = matches!(next(&mut scene.stack), Output::Transmit { .. });
        assert_eq!(asks, asked, "{seconds} s");
    }
}

#[test]
fn later_fragments_go_where_the_first_one_may() {
    let mut scene = Scene::with(|config| {
        config.children[0].local = vec!["10.0.0.0/24[udp/4096]".parse().unwrap()];
        config.children[0].remote = vec!["10.1.0.0/24[udp/8192]".parse().unwrap()];
    });
    let mut first = udp(B, b"the first part: ");
    first[20..24].copy_from_slice(&[0x20, 0, 0x10, 0]);
    (first[2], first[3], first[6]) = (0, 44, 0x20);
    let mut later = first.clone();
    (later[6], later[7]) = (0, 3);
    let refused = Received::Dropped(DropReason::Selectors);
    assert_eq!(scene.send(IpProtocol::IPV4, &later, 0).0, refused, "ports that nobody has seen");
    assert_eq!(scene.taken(&first, 0), first);
    assert_eq!(scene.taken(&later, 0), later);
    // The first part of another datagram, with ports that the SA is not for, opens no way.
    (first[5], first[21], later[5]) = (99, 1, 99);
    assert_eq!(scene.send(IpProtocol::IPV4, &first, 0).0, refused);
    assert_eq!(scene.send(IpProtocol::IPV4, &later, 0).0, refused);
}
