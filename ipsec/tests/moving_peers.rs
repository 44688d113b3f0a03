//! Peers behind a translator that changes its mind, and peers that claim each other's addresses.

extern crate alloc;

mod common;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use common::*;
use ipsec::crypto::rustcrypto;
use ipsec::ike::{Path, PeerIdentity, Transport};
use ipsec::sa::Instant;
use ipsec::{Event, Meta, Output, Received, Stack, StackConfig, Verdict};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// A pair with a translator before A: B sees another address and other ports.
struct Translated {
    pair: Pair,
    outside: IpAddr,
    port: u16,
    /// Where A finds B, with a translator before B too.
    before_b: Option<IpAddr>,
}

impl Translated {
    fn new(before_b: Option<IpAddr>) -> Self {
        let mut setup = Setup::new();
        // B does not know where A will come from.
        setup.connections[B].remote = None;
        if before_b.is_some() {
            setup.connections[A].remote = before_b;
        }
        let outside = [203, 0, 113, 9].into();
        let mut translated = Self { pair: setup.pair(), outside, port: 20_000, before_b };
        assert_eq!(translated.pair.send(A, &udp(A, b"first")), Verdict::Queued);
        translated.settle();
        assert_eq!(translated.pair.inbox[B].len(), 1, "{:?}", translated.pair.events);
        translated.pair.inbox[B].clear();
        translated
    }

    fn settle(&mut self) {
        while let Some(mut datagram) = self.pair.wire.pop_front() {
            self.pair.now = self.pair.now.max(datagram.at);
            if datagram.to == B {
                let port = self.port + if datagram.path.remote.port() == 500 { 0 } else { 1 };
                datagram.path.remote = SocketAddr::new(self.outside, port);
                datagram.path.local.set_ip(outside(B));
            } else {
                datagram.path.remote.set_ip(self.before_b.unwrap_or(outside(B)));
                let port = if datagram.path.transport == Transport::Udp { 500 } else { 4500 };
                datagram.path.local = SocketAddr::new(outside(A), port);
            }
            self.pair.deliver(datagram);
        }
    }

    /// Where B sends to.
    fn seen(&mut self) -> SocketAddr {
        let (mut buf, ip) = with_room(&udp(B, b"answer"));
        let verdict = self.pair.stacks[B].handle_ip(self.pair.now, &mut buf, ip);
        let Verdict::Send { path, .. } = verdict else { panic!("{verdict:?}") };
        path.remote
    }

    /// Seals a packet of A's, and keeps it.
    fn sealed(&mut self) -> Vec<u8> {
        assert!(matches!(self.pair.send(A, &udp(A, b"kept")), Verdict::Send { .. }));
        self.pair.wire.pop_back().unwrap().data
    }

    fn at_b(&mut self, from: SocketAddr, mut data: Vec<u8>) -> Received {
        let path = Path { remote: from, ..encap(B) };
        let received = self.pair.stacks[B].handle_datagram(self.pair.now, Meta::new(path), &mut data);
        self.pair.collect(B);
        received
    }
}

#[test]
fn a_peer_behind_a_translator_is_followed_by_its_newest_packet() {
    let mut scene = Translated::new(None);
    let before = SocketAddr::new([203, 0, 113, 9].into(), 20_001);
    assert_eq!(scene.seen(), before);
    scene.pair.pass(Duration::from_secs(5));
    let (old, new) = (scene.sealed(), scene.sealed());
    let moved: SocketAddr = "203.0.113.77:30000".parse().unwrap();
    assert!(matches!(scene.at_b(moved, new.clone()), Received::Inner { .. }));
    assert_eq!(scene.seen(), moved);
    assert_eq!(scene.pair.count(B, |event| matches!(event, Event::ChildMoved(_))), 1);

    // Held back, from elsewhere, later: authentic, but not the newest; and the newest once more.
    scene.pair.pass(Duration::from_secs(5));
    let elsewhere: SocketAddr = "198.51.100.66:4500".parse().unwrap();
    assert!(matches!(scene.at_b(elsewhere, old), Received::Inner { .. }));
    assert!(matches!(scene.at_b(elsewhere, new), Received::Dropped(_)));
    let mut forged = scene.sealed();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(matches!(scene.at_b(elsewhere, forged), Received::Dropped(_)));
    assert_eq!(scene.seen(), moved);

    // No more than once a second.
    let (one, two, three) = (scene.sealed(), scene.sealed(), scene.sealed());
    let third: SocketAddr = "203.0.113.78:30000".parse().unwrap();
    assert!(matches!(scene.at_b(third, one), Received::Inner { .. }));
    assert_eq!(scene.seen(), third);
    assert!(matches!(scene.at_b(moved, two), Received::Inner { .. }));
    assert_eq!(scene.seen(), third);
    scene.pair.pass(Duration::from_secs(2));
    assert!(matches!(scene.at_b(moved, three), Received::Inner { .. }));
    assert_eq!(scene.seen(), moved);
}

#[test]
fn who_stands_behind_a_translator_follows_nobody() {
    let mut scene = Translated::new(Some([198, 51, 100, 40].into()));
    let before = scene.seen();
    scene.pair.pass(Duration::from_secs(5));
    let packet = scene.sealed();
    let moved: SocketAddr = "203.0.113.77:30000".parse().unwrap();
    assert!(matches!(scene.at_b(moved, packet), Received::Inner { .. }));
    assert_eq!(scene.seen(), before);
    assert_eq!(scene.pair.count(B, |event| matches!(event, Event::ChildMoved(_))), 0);
}

#[test]
fn a_peer_without_a_translator_is_not_followed() {
    let mut setup = Setup::new();
    for side in [A, B] {
        setup.connections[side].force_encapsulation = false;
    }
    let mut pair = setup.pair();
    pair.establish();
    pair.pass(Duration::from_secs(5));
    let (mut buf, ip) = with_room(&udp(A, b"packet"));
    let Verdict::Send { range, path, .. } = pair.stacks[A].handle_ip(pair.now, &mut buf, ip) else {
        panic!("sealed")
    };
    let mut data = buf[range].to_vec();
    let mut turned = turned(&path);
    turned.remote.set_ip([203, 0, 113, 5].into());
    let received = pair.stacks[B].handle_datagram(pair.now, Meta::new(turned), &mut data);
    assert!(matches!(received, Received::Inner { .. }), "{received:?}");
    pair.collect(B);
    assert_eq!(pair.count(B, |event| matches!(event, Event::ChildMoved(_))), 0);
}

/// One gateway and two peers with names of their own that both stand before 10.0.0.0/24.
struct Rivals {
    now: Instant,
    /// The peers, then the gateway.
    stacks: Vec<Stack>,
}

const GATEWAY: usize = 2;

impl Rivals {
    fn new() -> Self {
        let now = Instant::from_secs(1000);
        let stacks = (0..3u8)
            .map(|number| {
                let rng = Box::new(ChaCha20Rng::seed_from_u64(u64::from(number)));
                let mut stack = Stack::new(StackConfig::default(), rustcrypto::provider(), rng, now);
                let side = if usize::from(number) == GATEWAY { B } else { A };
                let mut config = connection(side, b"a group's key");
                if side == A {
                    config.local_id = format!("peer{number}.test").parse().unwrap();
                    config.local = Some([192, 0, 2, 101 + number].into());
                } else {
                    config.remote_id = PeerIdentity::Any;
                    config.remote = None;
                }
                stack.add_connection(config).unwrap();
                stack
            })
            .collect();
        Self { now, stacks }
    }

    /// Everything that the stacks have to say to each other. Returns what came out for the inside, by stack.
    fn settle(&mut self) -> Vec<usize> {
        let mut inner = Vec::new();
        loop {
            let mut quiet = true;
            for from in 0..3 {
                while let Some((path, mut data)) = self.transmitted(from) {
                    quiet = false;
                    let to = match path.remote.ip() {
                        IpAddr::V4(address) if address.octets()[3] > 100 => {
                            usize::from(address.octets()[3] - 101)
                        }
                        _ => GATEWAY,
                    };
                    let meta = Meta::new(turned(&path));
                    if let Received::Inner { .. } = self.stacks[to].handle_datagram(self.now, meta, &mut data)
                    {
                        inner.push(to);
                    }
                }
            }
            if quiet {
                return inner;
            }
        }
    }

    fn transmitted(&mut self, from: usize) -> Option<(Path, Vec<u8>)> {
        loop {
            match self.stacks[from].poll_output() {
                Output::Transmit { path, data, .. } => return Some((path, data)),
                Output::Timeout(_) => return None,
                _ => {}
            }
        }
    }

    /// Where the gateway sends a packet for 10.0.0.1.
    fn way(&mut self) -> IpAddr {
        let (mut buf, ip) = with_room(&udp(B, b"to whom"));
        let verdict = self.stacks[GATEWAY].handle_ip(self.now, &mut buf, ip);
        let Verdict::Send { path, .. } = verdict else { panic!("{verdict:?}") };
        path.remote.ip()
    }

    fn establish(&mut self, peer: usize) {
        let (mut buf, ip) = with_room(&udp(A, b"hello"));
        assert_eq!(self.stacks[peer].handle_ip(self.now, &mut buf, ip), Verdict::Queued);
        assert_eq!(self.settle(), [GATEWAY]);
    }
}

#[test]
fn whoever_comes_later_takes_no_address_away() {
    let mut scene = Rivals::new();
    let [first, second] = [101, 102].map(|last| IpAddr::from([192, 0, 2, last]));
    scene.establish(0);
    assert_eq!(scene.way(), first);
    scene.establish(1);
    assert_eq!(scene.way(), first, "the first peer keeps its packets");
    // A rekey of the first one's makes it no later.
    let ike = scene.stacks[0].children().next().unwrap().inbound;
    scene.stacks[0].rekey_child(scene.now, ike).unwrap();
    scene.settle();
    assert_eq!(scene.way(), first);
    // When it is gone the other's turn has come.
    let ike = scene.stacks[0].ike_sas().next().unwrap().handle;
    scene.stacks[0].delete_ike(scene.now, ike).unwrap();
    scene.settle();
    assert_eq!(scene.way(), second);
}
