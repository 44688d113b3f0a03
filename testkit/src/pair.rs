//! Two IKEv2 endpoints over an emulated network, with time that jumps to whatever happens next.
//!
//! Everything comes out of one seed: the same [`Setup`] and the same calls give the same datagrams, octet for octet.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::fs::File;
use std::io::BufWriter;

use ikev2_core::{
    ChildConfig, ConnectionConfig, ConnectionId, Discarded, EndpointConfig, Event, IkeHandle, Input, Output,
    PeerIdentity,
};
use ipsec_crypto::{Secret, Suite, rustcrypto};
use ipsec_sa::Instant;
use ipsec_wire::Spi;

use crate::capture::Capture;
use crate::clock::Clock;
use crate::keylog::KeyLog;
use crate::ladder::{Ladder, Record, Side};
use crate::network::{Datagram, Link, Network};
use crate::node::same_sa;
pub use crate::node::{Host, Node};

/// Both sides before they run, and the network between them.
#[derive(Debug)]
pub struct Setup {
    /// Of everything.
    pub seed: u64,
    /// What the network does to datagrams.
    pub link: Link,
    /// Who is drawn on the left.
    pub left: Host,
    /// Who is drawn on the right.
    pub right: Host,
}

impl Setup {
    /// Two gateways with a shared key, `left.test` and `right.test` on 192.0.2.1 and 192.0.2.2, and one tunnel between
    /// 10.1.0.0/24 and 10.2.0.0/24. The link is good; real algorithms, traces on.
    ///
    /// # Panics
    /// When a proposal string does not parse.
    #[must_use]
    pub fn psk(seed: u64, ike: &str, esp: &str) -> Self {
        let host = |side: Side| {
            let (name, peer) = match side {
                Side::Left => (1, 2),
                Side::Right => (2, 1),
            };
            let address = |host| IpAddr::V4(Ipv4Addr::new(192, 0, 2, host));
            let net = |host| vec![format!("10.{host}.0.0/24").parse().expect("a prefix")];
            let identity = |host| if host == 1 { "left.test" } else { "right.test" };
            let suite = |text| Suite::esp(text).expect("an ESP proposal");
            let child = ChildConfig::tunnel("net", net(name), net(peer), vec![suite(esp)]);
            let connection = ConnectionConfig::psk(
                "peer",
                ikev2_core::Identity::fqdn(identity(name)),
                PeerIdentity::Exactly(ikev2_core::Identity::fqdn(identity(peer))),
                Secret::new(b"swordfish"),
                vec![Suite::ike(ike).expect("an IKE proposal")],
            );
            let mut endpoint = EndpointConfig::default();
            endpoint.trace = true;
            Host {
                address: address(name),
                endpoint,
                provider: rustcrypto::provider(),
                connection: connection.between(address(name), address(peer)).with_child(child),
                others: Vec::new(),
                job_time: Duration::ZERO,
            }
        };
        Self { seed, link: Link::GOOD, left: host(Side::Left), right: host(Side::Right) }
    }

    /// The same over another link.
    #[must_use]
    pub fn over(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// The same with [`crate::insecure`] algorithms on both sides: quick, and without any security.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.left.provider = crate::insecure::provider();
        self.right.provider = crate::insecure::provider();
        self
    }

    /// The same with both hosts changed.
    #[must_use]
    pub fn with_hosts(mut self, change: impl Fn(&mut Host)) -> Self {
        change(&mut self.left);
        change(&mut self.right);
        self
    }
}

/// Two endpoints that run.
#[derive(Debug)]
pub struct Pair {
    /// What time it is.
    pub clock: Clock,
    /// What lies between.
    pub network: Network,
    /// On the left.
    pub left: Node,
    /// On the right.
    pub right: Node,
    /// What they said to each other.
    pub ladder: Ladder,
    /// Every datagram that was sent, whatever became of it.
    pub sent: Vec<Datagram>,
    /// What was dropped by an endpoint, and why.
    pub discarded: Vec<(Instant, Side, Discarded)>,
    capture: Option<Capture<BufWriter<File>>>,
    key_log: Option<KeyLog>,
}

impl Pair {
    /// Starts both, idle.
    ///
    /// # Panics
    /// When an endpoint does not take its connection.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let clock = Clock::new();
        let node = |host: Host, stream: u64| Node::new(host, setup.seed, [stream, stream + 2], clock.now());
        Self {
            clock,
            network: Network::new(setup.seed, setup.link),
            left: node(setup.left, 0),
            right: node(setup.right, 1),
            ladder: Ladder::new("left", "right"),
            sent: Vec::new(),
            discarded: Vec::new(),
            capture: None,
            key_log: None,
        }
    }

    /// Has a side lose all that it knows, and start again as its side of `setup`.
    ///
    /// # Panics
    /// When the endpoint does not take its connection.
    pub fn restart(&mut self, side: Side, setup: Setup) {
        let now = self.clock.now();
        match side {
            Side::Left => self.left = Node::new(setup.left, setup.seed, [0, 2], now),
            Side::Right => self.right = Node::new(setup.right, setup.seed, [1, 3], now),
        }
    }

    /// Records every datagram as it is sent.
    pub fn record(&mut self, capture: Capture<BufWriter<File>>) {
        self.capture = Some(capture);
    }

    /// Writes key log lines, where [`EndpointConfig::key_log`] asks for them.
    pub fn log_keys(&mut self, log: KeyLog) {
        self.key_log = Some(log);
    }

    /// One side.
    #[must_use]
    pub const fn node(&self, side: Side) -> &Node {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// One side.
    pub const fn node_mut(&mut self, side: Side) -> &mut Node {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// Has a side set up its connection with the first child.
    ///
    /// # Panics
    /// When the endpoint refuses to.
    pub fn connect(&mut self, side: Side) -> IkeHandle {
        let now = self.clock.now();
        self.node_mut(side).endpoint.connect(now, ConnectionId(0), Some(0), None).expect("it can start")
    }

    /// The IKE SA that a side uses: the youngest that is established.
    #[must_use]
    pub fn ike(&self, side: Side) -> Option<IkeHandle> {
        self.node(side).established().last().map(|info| info.handle)
    }

    /// The first Child SA of the IKE SA in use.
    #[must_use]
    pub fn child(&self, side: Side) -> Option<(IkeHandle, Spi)> {
        let info = self.node(side).established().pop()?;
        Some((info.handle, info.children.first()?.inbound))
    }

    /// Lets time pass, and with it all that happens.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.clock.now() + time;
        self.run(end, |_| false);
    }

    /// Lets time pass until the pair is as wanted, at most as long as `limit`. Says whether it came to that.
    pub fn run_until(&mut self, limit: Duration, wanted: impl FnMut(&Self) -> bool) -> bool {
        let end = self.clock.now() + limit;
        self.run(end, wanted)
    }

    /// # Panics
    /// When the two keep talking without letting time pass.
    fn run(&mut self, end: Instant, mut wanted: impl FnMut(&Self) -> bool) -> bool {
        let mut at_once = 0;
        loop {
            self.drain(Side::Left);
            self.drain(Side::Right);
            if wanted(self) {
                return true;
            }
            let next = [self.network.next_arrival(), self.left.due(), self.right.due()];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
                self.clock.advance_to(end);
                return false;
            };
            at_once = if next > self.clock.now() { 0 } else { at_once + 1 };
            assert!(at_once < 10_000, "time stands still:\n{}", self.ladder);
            self.clock.advance_to(next);
            self.happen();
        }
    }

    /// What is due now: datagrams first, then jobs, then timers.
    fn happen(&mut self) {
        let now = self.clock.now();
        while let Some(mut datagram) = self.network.pop_due(now) {
            let to = datagram.to.ip();
            let Some(side) =
                [Side::Left, Side::Right].into_iter().find(|side| self.node(*side).address == to)
            else {
                continue;
            };
            let path = self.node(side).path(datagram.to, datagram.from);
            let input = Input::Datagram { now, path, ecn: datagram.ecn, data: &mut datagram.data };
            if let Err(why) = self.node_mut(side).endpoint.handle_input(input) {
                self.discarded.push((now, side, why));
            }
            self.drain(side);
        }
        for side in [Side::Left, Side::Right] {
            self.node_mut(side).catch_up(now);
            self.drain(side);
        }
    }

    /// Carries out all that a side wants done.
    fn drain(&mut self, side: Side) {
        let now = self.clock.now();
        loop {
            match self.node_mut(side).endpoint.poll_output() {
                Output::Timeout(at) => {
                    self.node_mut(side).timeout = at;
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
                Output::Event(handle, event) => self.take(side, now, handle, event),
            }
        }
    }

    fn take(&mut self, side: Side, now: Instant, handle: IkeHandle, event: Event) {
        match event {
            Event::Exchange(trace) => return self.ladder.add(side, Record::from(*trace)),
            Event::Keys(line) => {
                if let Some(log) = &self.key_log {
                    log.line(&line).expect("the key log can be written");
                }
                return;
            }
            _ => {}
        }
        self.node_mut(side).take(now, handle, event);
    }

    /// Whether both sides hold the same Child SAs, each with the other's keys.
    ///
    /// # Errors
    /// What does not agree.
    pub fn agree(&self) -> Result<(), String> {
        let inbound = |node: &Node| node.children.len();
        if inbound(&self.left) != inbound(&self.right) {
            return Err(format!(
                "{} Child SAs on the left, {} on the right",
                inbound(&self.left),
                inbound(&self.right)
            ));
        }
        for child in self.left.children.values() {
            let Some(other) = self.right.children.get(&child.outbound.spi) else {
                return Err(format!("the right does not know {}", child.outbound.spi));
            };
            same_sa(&child.outbound, &other.inbound)?;
            same_sa(&child.inbound, &other.outbound)?;
        }
        if self.left.ike_spis() != self.right.ike_spis() {
            return Err(format!(
                "IKE SAs {:?} on the left, {:?} on the right",
                self.left.ike_spis(),
                self.right.ike_spis()
            ));
        }
        self.left.consistent()?;
        self.right.consistent()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IKE: &str = "aes256gcm16-prfsha256-x25519";

    #[test]
    fn a_pair_comes_up_and_agrees_and_its_ladder_shows_four_messages() {
        let mut pair = Pair::new(Setup::psk(1, IKE, "aes256gcm16"));
        pair.connect(Side::Left);
        assert!(pair.run_until(Duration::from_secs(5), |pair| {
            pair.left.children.len() == 1 && pair.right.children.len() == 1
        }));
        assert_eq!(pair.agree(), Ok(()));
        assert_eq!(pair.ladder.messages(), 4);
        assert!(!pair.ladder.to_string().contains("not taken"));
        // Two round trips of twenty milliseconds.
        assert_eq!(pair.clock.now() - Clock::new().now(), Duration::from_millis(40));
    }

    #[test]
    fn one_seed_gives_the_same_datagrams_and_another_gives_others() {
        let run = |seed| {
            let mut pair = Pair::new(Setup::psk(seed, IKE, "aes256gcm16").over(Link::AWFUL));
            pair.connect(Side::Left);
            pair.run_for(Duration::from_secs(60));
            pair.sent
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }

    #[test]
    fn disagreement_is_seen() {
        let mut pair = Pair::new(Setup::psk(1, IKE, "aes256gcm16").insecure());
        pair.connect(Side::Left);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.agree(), Ok(()));
        let mut child = pair.right.children.pop_first().unwrap().1;
        assert!(pair.agree().is_err());
        child.inbound.keys.encr = Secret::new(&[0; 36]);
        pair.right.children.insert(child.inbound.spi, child);
        assert!(pair.agree().unwrap_err().contains("keys"));
    }
}
