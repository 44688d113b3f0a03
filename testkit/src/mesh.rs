//! Any number of IKEv2 endpoints on one network, with time that jumps to whatever happens next: a hub with its spokes,
//! many peers behind one NAT.
//!
//! Everything comes out of one seed: the same hosts and the same calls give the same datagrams, octet for octet.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::fs::File;
use std::io::BufWriter;

use ikev2_core::{
    ChildConfig, ConnectionConfig, Discarded, EndpointConfig, Event, Identity, IkeHandle, Input, Output,
    PeerIdentity,
};
use ipsec_crypto::{Secret, Suite, rustcrypto};
use ipsec_sa::Instant;

use crate::capture::Capture;
use crate::clock::Clock;
use crate::keylog::KeyLog;
use crate::ladder::{Ladder, Record, Side};
use crate::network::{Datagram, Link, Network};
use crate::node::{Host, Node, same_sa};

/// Place of the hub of a [`star`].
pub const HUB: usize = 0;

/// Address of the node at this place of a [`star`].
#[must_use]
pub fn address(place: usize) -> IpAddr {
    let [.., high, low] = (place + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 255, high, low))
}

/// A hub and its spokes, each with a shared key and one tunnel between its own network and the hub's. The first is the
/// hub, which knows its spokes by their identities and waits for them; the addresses are those of [`address`].
///
/// # Panics
/// When a proposal string does not parse.
#[must_use]
pub fn star(spokes: usize, ike: &str, esp: &str) -> Vec<Host> {
    let name = |place: usize| Identity::fqdn(&format!("node{place}.test"));
    let net = |place: usize| {
        let [.., high, low] = place.to_be_bytes();
        vec![format!("172.{}.{low}.0/24", 16 + u16::from(high)).parse().expect("a prefix")]
    };
    let suites = || vec![Suite::ike(ike).expect("an IKE proposal")];
    let connection = |from: usize, to: usize| {
        let child =
            ChildConfig::tunnel("net", net(from), net(to), vec![Suite::esp(esp).expect("an ESP proposal")]);
        let key = Secret::new(b"swordfish");
        let peer = PeerIdentity::Exactly(name(to));
        let between = ConnectionConfig::psk(&format!("node{to}"), name(from), peer, key, suites());
        between.between(address(from), address(to)).with_child(child)
    };
    let host = |place: usize, mut connections: Vec<ConnectionConfig>| Host {
        address: address(place),
        endpoint: EndpointConfig::default(),
        provider: rustcrypto::provider(),
        connection: connections.remove(0),
        others: connections,
        job_time: Duration::ZERO,
    };
    let to_spokes = (1..=spokes.max(1)).map(|spoke| {
        let mut connection = connection(HUB, spoke);
        connection.remote = None;
        connection
    });
    let mut hosts = vec![host(HUB, to_spokes.collect())];
    hosts.extend((1..=spokes.max(1)).map(|spoke| host(spoke, vec![connection(spoke, HUB)])));
    hosts
}

/// Endpoints that run.
#[derive(Debug)]
pub struct Mesh {
    /// What time it is.
    pub clock: Clock,
    /// What lies between.
    pub network: Network,
    /// All of them.
    pub nodes: Vec<Node>,
    /// What the first says to the others, who are drawn on the left.
    pub ladder: Ladder,
    /// Every datagram that was sent, whatever became of it.
    pub sent: Vec<Datagram>,
    /// What was dropped by an endpoint, and why.
    pub discarded: Vec<(Instant, usize, Discarded)>,
    capture: Option<Capture<BufWriter<File>>>,
    key_log: Option<KeyLog>,
}

/// The generators of a node.
const fn streams(place: usize) -> [u64; 2] {
    [2 * place as u64, 2 * place as u64 + 1]
}

const fn side(place: usize) -> Side {
    match place {
        HUB => Side::Right,
        _ => Side::Left,
    }
}

impl Mesh {
    /// Starts all.
    ///
    /// # Panics
    /// When an endpoint does not take its connections.
    #[must_use]
    pub fn new(seed: u64, link: Link, hosts: Vec<Host>) -> Self {
        let clock = Clock::new();
        let now = clock.now();
        let nodes = hosts.into_iter().enumerate();
        Self {
            clock,
            network: Network::new(seed, link),
            nodes: nodes.map(|(place, host)| Node::new(host, seed, streams(place), now)).collect(),
            ladder: Ladder::new("spokes", "hub"),
            sent: Vec::new(),
            discarded: Vec::new(),
            capture: None,
            key_log: None,
        }
    }

    /// Has a node lose all that it knows, and start again as `host`, with the generators of another seed.
    ///
    /// # Panics
    /// When there is no such node, or the endpoint does not take its connections.
    pub fn restart(&mut self, place: usize, host: Host, seed: u64) {
        self.nodes[place] = Node::new(host, seed, streams(place), self.clock.now());
    }

    /// Records every datagram as it is sent.
    pub fn record(&mut self, capture: Capture<BufWriter<File>>) {
        self.capture = Some(capture);
    }

    /// Writes key log lines, where [`EndpointConfig::key_log`] asks for them.
    pub fn log_keys(&mut self, log: KeyLog) {
        self.key_log = Some(log);
    }

    /// Lets time pass, and with it all that happens.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.clock.now() + time;
        self.run(end, |_| false);
    }

    /// Lets time pass until all is as wanted, at most as long as `limit`. Says whether it came to that.
    pub fn run_until(&mut self, limit: Duration, wanted: impl FnMut(&Self) -> bool) -> bool {
        let end = self.clock.now() + limit;
        self.run(end, wanted)
    }

    /// # Panics
    /// When nodes keep talking without letting time pass.
    fn run(&mut self, end: Instant, mut wanted: impl FnMut(&Self) -> bool) -> bool {
        (0..self.nodes.len()).for_each(|place| self.drain(place));
        let mut at_once = 0;
        loop {
            if wanted(self) {
                return true;
            }
            let due = self.nodes.iter().filter_map(Node::due).chain(self.network.next_arrival()).min();
            let Some(next) = due.filter(|next| *next <= end) else {
                self.clock.advance_to(end);
                return false;
            };
            at_once = if next > self.clock.now() { 0 } else { at_once + 1 };
            assert!(at_once < 10_000, "time stands still:\n{}", self.ladder);
            self.clock.advance_to(next);
            self.happen();
        }
    }

    /// What is due now: datagrams first, then jobs and timers.
    fn happen(&mut self) {
        let now = self.clock.now();
        while let Some(mut datagram) = self.network.pop_due(now) {
            let Some(place) = self.nodes.iter().position(|node| node.address == datagram.to.ip()) else {
                continue;
            };
            let node = &mut self.nodes[place];
            let path = node.path(datagram.to, datagram.from);
            let input = Input::Datagram { now, path, ecn: datagram.ecn, data: &mut datagram.data };
            if let Err(why) = node.endpoint.handle_input(input) {
                self.discarded.push((now, place, why));
            }
            self.drain(place);
        }
        for place in 0..self.nodes.len() {
            if self.nodes[place].due().is_some_and(|at| at <= now) {
                self.nodes[place].catch_up(now);
                self.drain(place);
            }
        }
    }

    /// Carries out all that a node wants done.
    fn drain(&mut self, place: usize) {
        let now = self.clock.now();
        loop {
            match self.nodes[place].endpoint.poll_output() {
                Output::Timeout(at) => {
                    self.nodes[place].timeout = at;
                    return;
                }
                Output::Transmit { path, data, ecn } => {
                    let datagram = Datagram { from: path.local, to: path.remote, ecn, data };
                    if let Some(capture) = &self.capture {
                        let written = capture.record(now, datagram.from, datagram.to, ecn, &datagram.data);
                        written.expect("the capture can be written");
                    }
                    self.sent.push(datagram.clone());
                    self.network.send(now, datagram);
                }
                Output::Event(handle, event) => self.take(place, now, handle, event),
            }
        }
    }

    fn take(&mut self, place: usize, now: Instant, handle: IkeHandle, event: Event) {
        match event {
            Event::Exchange(trace) => self.ladder.add(side(place), Record::from(*trace)),
            Event::Keys(line) => {
                if let Some(log) = &self.key_log {
                    log.line(&line).expect("the key log can be written");
                }
            }
            event => self.nodes[place].take(now, handle, event),
        }
    }

    /// Whether a packet passes each way between two nodes: they share a Child SA under the same keys.
    #[must_use]
    pub fn passes(&self, one: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.nodes.get(one), self.nodes.get(other)) else { return false };
        one.children.values().any(|child| {
            other.children.get(&child.outbound.spi).is_some_and(|theirs| {
                theirs.outbound.spi == child.inbound.spi
                    && theirs.inbound.keys.encr == child.outbound.keys.encr
                    && theirs.outbound.keys.encr == child.inbound.keys.encr
            })
        })
    }

    /// Whether each spoke of a [`star`] and its hub hold the same SAs, the children under the same keys, and nobody any
    /// other.
    ///
    /// # Errors
    /// What does not agree.
    ///
    /// # Panics
    /// When there are no nodes.
    pub fn agree(&self) -> Result<(), String> {
        let (hub, spokes) = self.nodes.split_first().expect("a hub");
        for (place, spoke) in (1..).zip(spokes) {
            for child in spoke.children.values() {
                let theirs = hub.children.get(&child.outbound.spi);
                let theirs = theirs
                    .ok_or_else(|| format!("the hub does not know {} of node {place}", child.outbound.spi))?;
                same_sa(&child.outbound, &theirs.inbound)?;
                same_sa(&child.inbound, &theirs.outbound)?;
            }
        }
        let children: usize = spokes.iter().map(|spoke| spoke.children.len()).sum();
        if children != hub.children.len() {
            return Err(format!("{} Child SAs at the hub, {children} at the spokes", hub.children.len()));
        }
        let ikes = spokes.iter().flat_map(Node::ike_spis).collect();
        if hub.ike_spis() != ikes {
            return Err(format!("IKE SAs {:?} at the hub, {ikes:?} at the spokes", hub.ike_spis()));
        }
        self.nodes.iter().try_for_each(Node::consistent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insecure;
    use ikev2_core::config::Startup;

    fn hosts(spokes: usize) -> Vec<Host> {
        let mut hosts = star(spokes, "aes128gcm16-prfsha256-x25519", "aes128gcm16");
        for host in &mut hosts {
            host.provider = insecure::provider();
        }
        for spoke in hosts.iter_mut().skip(1) {
            spoke.connection.liveness = Some(Duration::from_secs(30));
            spoke.connection.children[0].startup = Startup::Keep;
        }
        hosts
    }

    #[test]
    fn twenty_spokes_behind_one_nat_come_up_at_one_hub_and_come_back_when_it_restarts() {
        let mut mesh = Mesh::new(3, Link::GOOD.with_loss(100), hosts(20));
        let outside = IpAddr::from([192, 0, 2, 99]);
        (1..=20).for_each(|spoke| mesh.network.put_nat(address(spoke), outside));
        let all = |mesh: &Mesh| (1..=20).all(|spoke| mesh.passes(spoke, HUB));
        assert!(mesh.run_until(Duration::from_secs(60), all), "{}", mesh.ladder);
        mesh.network.set_default(Link::GOOD);
        mesh.run_for(Duration::from_secs(60));
        assert_eq!(mesh.agree(), Ok(()));
        let peers: alloc::collections::BTreeSet<_> =
            mesh.nodes[HUB].children.values().map(|child| format!("{:?}", child.outbound.outer)).collect();
        assert_eq!(peers.len(), 20, "each has a port of its own");
        mesh.restart(HUB, hosts(20).remove(HUB), 4);
        assert!(!mesh.passes(1, HUB));
        assert!(mesh.run_until(Duration::from_secs(600), all), "{}", mesh.ladder);
    }

    #[test]
    fn one_seed_gives_the_same_datagrams_and_another_gives_others() {
        let run = |seed| {
            let mut mesh = Mesh::new(seed, Link::AWFUL, hosts(3));
            mesh.run_for(Duration::from_secs(30));
            mesh.sent
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
