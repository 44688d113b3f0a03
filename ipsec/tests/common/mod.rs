//! Two stacks and a wire between them, in memory: time jumps from one event to the next.
#![allow(dead_code, reason = "each test program uses its own part")]

use alloc::collections::VecDeque;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use ipsec::crypto::{Secret, Suite, rustcrypto};
use ipsec::ike::query::IkeSaState;
use ipsec::ike::{ChildConfig, ConnectionConfig, ConnectionId, Identity, Path, PeerIdentity, Transport};
use ipsec::sa::Instant;
use ipsec::wire::IpProtocol;
use ipsec::wire::ip::Ipv4Header;
use ipsec::{Event, HEADROOM, Meta, Output, Received, Stack, StackConfig, TAILROOM, Verdict};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;

pub(crate) fn outside(side: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, 1 + side as u8])
}

pub(crate) fn inside(side: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, side as u8, 0, 1)
}

/// A datagram on its way.
pub(crate) struct Datagram {
    pub(crate) at: Instant,
    pub(crate) to: usize,
    pub(crate) path: Path,
    pub(crate) ecn: u8,
    pub(crate) data: Vec<u8>,
}

/// What a pair is made of.
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) latency: Duration,
    pub(crate) configs: [StackConfig; 2],
    pub(crate) connections: [ConnectionConfig; 2],
}

impl Setup {
    pub(crate) fn new() -> Self {
        let config = || {
            let mut config = StackConfig::default();
            config.endpoint.retransmit.jitter_percent = 0;
            config
        };
        Self {
            seed: 1,
            latency: Duration::from_millis(5),
            configs: [config(), config()],
            connections: [connection(A, b"a shared key"), connection(B, b"a shared key")],
        }
    }

    pub(crate) fn pair(self) -> Pair {
        Pair::new(self)
    }
}

pub(crate) fn connection(side: usize, key: &[u8]) -> ConnectionConfig {
    let name = |side: usize| Identity::fqdn(["a.test", "b.test"][side]);
    let other = 1 - side;
    let child = ChildConfig::tunnel(
        "net",
        vec![format!("10.{side}.0.0/24").parse().unwrap()],
        vec![format!("10.{other}.0.0/24").parse().unwrap()],
        vec![Suite::esp("aes128gcm16-x25519-esn").unwrap()],
    );
    ConnectionConfig::psk(
        "peer",
        name(side),
        PeerIdentity::Exactly(name(other)),
        Secret::new(key),
        vec![Suite::ike("aes128gcm16-prfsha256-x25519").unwrap()],
    )
    .between(outside(side), outside(other))
    .with_child(child)
}

pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) stacks: [Stack; 2],
    pub(crate) connections: [ConnectionId; 2],
    pub(crate) wire: VecDeque<Datagram>,
    pub(crate) events: [Vec<Event>; 2],
    /// Inner packets that came out, in order.
    pub(crate) inbox: [Vec<Vec<u8>>; 2],
    /// Everything that was ever put on the wire.
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) latency: Duration,
    timeouts: [Option<Instant>; 2],
    /// Whether datagrams of this side get lost.
    pub(crate) cut: [bool; 2],
}

impl Pair {
    pub(crate) fn new(setup: Setup) -> Self {
        let now = Instant::from_secs(1000);
        let [a, b] = setup.configs;
        let stack = |config, stream| {
            let rng = Box::new(ChaCha20Rng::seed_from_u64(setup.seed << 1 | stream));
            Stack::new(config, rustcrypto::provider(), rng, now)
        };
        let mut stacks = [stack(a, 0), stack(b, 1)];
        let [a, b] = setup.connections;
        let connections = [stacks[A].add_connection(a).unwrap(), stacks[B].add_connection(b).unwrap()];
        Self {
            now,
            stacks,
            connections,
            wire: VecDeque::new(),
            events: [Vec::new(), Vec::new()],
            inbox: [Vec::new(), Vec::new()],
            log: Vec::new(),
            latency: setup.latency,
            timeouts: [None, None],
            cut: [false, false],
        }
    }

    /// Sends an IP packet from the host behind a side.
    pub(crate) fn send(&mut self, from: usize, packet: &[u8]) -> Verdict {
        let (mut buf, ip) = with_room(packet);
        let verdict = self.stacks[from].handle_ip(self.now, &mut buf, ip);
        if let Verdict::Send { range, path, fields } = &verdict {
            self.put(from, *path, buf[range.clone()].to_vec(), fields.traffic_class & 3);
        }
        self.collect(from);
        verdict
    }

    /// Puts a datagram of a side on the wire.
    pub(crate) fn put(&mut self, from: usize, path: Path, data: Vec<u8>, ecn: u8) {
        self.log.push(data.clone());
        if !self.cut[from] {
            let at = self.now + self.latency;
            self.wire.push_back(Datagram { at, to: 1 - from, path: turned(&path), ecn, data });
        }
    }

    /// Takes what a side's stack has to say.
    pub(crate) fn collect(&mut self, side: usize) {
        loop {
            match self.stacks[side].poll_output() {
                Output::Transmit { path, data, fields } => {
                    self.put(side, path, data, fields.traffic_class & 3);
                }
                Output::Event(_, event) => self.events[side].push(event),
                Output::Deliver(packet) => self.inbox[side].push(packet),
                Output::Timeout(at) => {
                    self.timeouts[side] = at;
                    return;
                }
            }
        }
    }

    /// Hands a datagram to its receiver.
    pub(crate) fn deliver(&mut self, mut datagram: Datagram) -> Received {
        let to = datagram.to;
        let meta = Meta { path: datagram.path, ecn: datagram.ecn };
        let received = self.stacks[to].handle_datagram(self.now, meta, &mut datagram.data);
        if let Received::Inner { range, .. } = &received {
            self.inbox[to].push(datagram.data[range.clone()].to_vec());
        }
        self.collect(to);
        received
    }

    /// The next thing that happens: a datagram arrives. `None`: the wire is empty.
    pub(crate) fn step(&mut self) -> Option<Received> {
        let datagram = self.wire.pop_front()?;
        self.now = self.now.max(datagram.at);
        Some(self.deliver(datagram))
    }

    /// Until nothing is on the wire.
    pub(crate) fn settle(&mut self) {
        self.collect(A);
        self.collect(B);
        while self.step().is_some() {}
    }

    /// Lets so much time pass, with all that happens in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.wire.front().map(|datagram| datagram.at);
            let timeouts = self.timeouts.into_iter().flatten();
            let Some(next) = arrival.into_iter().chain(timeouts).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                self.step();
                continue;
            }
            for side in [A, B] {
                if self.timeouts[side].is_some_and(|at| at <= self.now) {
                    self.stacks[side].handle_timeout(self.now);
                    self.collect(side);
                }
            }
        }
        self.now = end;
    }

    /// Sets the tunnel up with a first packet from A.
    pub(crate) fn establish(&mut self) {
        assert_eq!(self.send(A, &udp(A, b"first")), Verdict::Queued);
        self.settle();
        assert_eq!(self.inbox[B].len(), 1, "the first packet went through: {:?}", self.events);
        self.inbox[B].clear();
    }

    /// Sends and expects the packet to arrive at once.
    pub(crate) fn exchange(&mut self, from: usize, packet: &[u8]) {
        let verdict = self.send(from, packet);
        assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
        self.settle();
        assert_eq!(self.inbox[1 - from].pop().as_deref(), Some(packet));
    }

    /// IKE SAs that can be used.
    pub(crate) fn ikes(&self, side: usize) -> usize {
        self.stacks[side].ike_sas().filter(|ike| ike.state == IkeSaState::Established).count()
    }

    pub(crate) fn count(&self, side: usize, what: impl Fn(&Event) -> bool) -> usize {
        self.events[side].iter().filter(|event| what(event)).count()
    }
}

/// As the receiver sees it.
pub(crate) fn turned(path: &Path) -> Path {
    Path { local: path.remote, remote: path.local, transport: path.transport }
}

pub(crate) fn with_room(packet: &[u8]) -> (Vec<u8>, core::ops::Range<usize>) {
    let mut buf = vec![0; HEADROOM + packet.len() + TAILROOM];
    let ip = HEADROOM..HEADROOM + packet.len();
    buf[ip.clone()].copy_from_slice(packet);
    (buf, ip)
}

/// A UDP packet from the host behind a side to the one behind the other.
pub(crate) fn udp(from: usize, payload: &[u8]) -> Vec<u8> {
    udp_between(inside(from), inside(1 - from), payload)
}

pub(crate) fn udp_between(src: Ipv4Addr, dst: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let header = Ipv4Header { tos: 0, id: 7, df: true, ttl: 64, protocol: IpProtocol::UDP, src, dst };
    let len = 8 + payload.len() as u16;
    let [high, low] = len.to_be_bytes();
    let mut packet = header.emit(20 + len).to_vec();
    packet.extend([0x10, 0, 0x20, 0, high, low, 0, 0]);
    packet.extend(payload);
    packet
}

pub(crate) fn encap(local: usize) -> Path {
    Path {
        local: (outside(local), 4500).into(),
        remote: (outside(1 - local), 4500).into(),
        transport: Transport::UdpEncap,
    }
}
