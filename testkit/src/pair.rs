//! Two IKEv2 endpoints over an emulated network, with time that jumps to whatever happens next.
//!
//! Everything comes out of one seed: the same [`Setup`] and the same calls give the same datagrams, octet for octet.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs::File;
use std::io::BufWriter;

use ikev2_core::{
    Answer, ChildConfig, ChildInstall, CloseReason, ConnectionConfig, ConnectionId, Discarded, Endpoint,
    EndpointConfig, Event, ExchangeTrace, Executor, IkeHandle, IkeSaInfo, IkeSaState, Input, KeyLogLine,
    OpId, Output, Path, PeerIdentity, Ports, Request,
};
use ipsec_crypto::{CryptoProvider, Secret, Suite, rustcrypto};
use ipsec_sa::{Instant, SaParams};
use ipsec_wire::Spi;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::capture::Capture;
use crate::clock::Clock;
use crate::keylog::KeyLog;
use crate::ladder::{Ladder, Record, Side};
use crate::network::{Datagram, Link, Network};

/// One side before it runs. The fields are there to be changed.
#[derive(Debug)]
pub struct Host {
    /// Its address.
    pub address: IpAddr,
    /// The endpoint's own settings.
    pub endpoint: EndpointConfig,
    /// What it computes with.
    pub provider: CryptoProvider,
    /// Its only connection, for both roles.
    pub connection: ConnectionConfig,
    /// How long a job takes where [`EndpointConfig::executor`] is [`Executor::Caller`].
    pub job_time: Duration,
}

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

impl Host {
    /// Has the caller do the slow steps, each of which takes so long, and acknowledge that SAs are installed.
    pub fn offload(&mut self, job_time: Duration) {
        self.endpoint.executor = Executor::Caller;
        self.endpoint.acknowledge_install = true;
        self.job_time = job_time;
    }
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

/// One side as it runs.
pub struct Node {
    /// The endpoint itself.
    pub endpoint: Endpoint,
    /// What it said, traces and key log lines left out.
    pub events: Vec<(Instant, IkeHandle, Event)>,
    /// Its Child SAs in use, by the SPI of packets to it.
    pub children: BTreeMap<Spi, ChildInstall>,
    address: IpAddr,
    ports: Ports,
    provider: CryptoProvider,
    rng: ChaCha20Rng,
    job_time: Duration,
    jobs: Vec<(Instant, OpId, Request)>,
    /// Closed while they were being installed.
    closed_early: BTreeSet<Spi>,
    timeout: Option<Instant>,
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Node").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Node {
    fn new(host: Host, seed: u64, stream: u64, now: Instant) -> Self {
        // Streams of one seed, so that the sides do not draw the same numbers.
        let rng = |number| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            rng.set_stream(number);
            rng
        };
        let mut endpoint = Endpoint::new(host.endpoint, host.provider.clone(), Box::new(rng(stream)), now);
        let ports = host.connection.local_ports;
        endpoint.add_connection(host.connection).expect("the provider has what the connection names");
        // A connection that is to be up is begun when the endpoint first learns the time.
        let _ = endpoint.handle_input(Input::Timeout(now));
        Self {
            endpoint,
            events: Vec::new(),
            children: BTreeMap::new(),
            address: host.address,
            ports,
            provider: host.provider,
            rng: rng(stream + 2),
            job_time: host.job_time,
            jobs: Vec::new(),
            closed_early: BTreeSet::new(),
            timeout: None,
        }
    }

    /// Its established IKE SAs.
    #[must_use]
    pub fn established(&self) -> Vec<IkeSaInfo> {
        self.endpoint.ike_sas().filter(|info| info.state == IkeSaState::Established).collect()
    }

    /// Why IKE SAs have gone.
    pub fn closings(&self) -> impl Iterator<Item = &CloseReason> {
        self.events.iter().filter_map(|(_, _, event)| match event {
            Event::IkeClosed { reason } => Some(reason),
            _ => None,
        })
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
        let node = |host: Host, stream: u64| Node::new(host, setup.seed, stream, clock.now());
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
            Side::Left => self.left = Node::new(setup.left, setup.seed, 0, now),
            Side::Right => self.right = Node::new(setup.right, setup.seed, 1, now),
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
            let jobs = self.left.jobs.iter().chain(&self.right.jobs).map(|(at, _, _)| *at).min();
            let next = [self.network.next_arrival(), self.left.timeout, self.right.timeout, jobs];
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
            let node = self.node_mut(side);
            let (due, later) = node.jobs.drain(..).partition(|(at, _, _)| *at <= now);
            node.jobs = later;
            for (_, op, request) in due {
                let answer = node.carry_out(request);
                // A job whose IKE SA is gone has nobody to answer to.
                let _ = node.endpoint.answer(now, op, answer);
            }
            if node.timeout.is_some_and(|at| at <= now) {
                let _ = node.endpoint.handle_input(Input::Timeout(now));
            }
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
        let node = self.node_mut(side);
        match event {
            Event::Needs { op, what, .. } => {
                node.jobs.push((now + node.job_time, op, what));
                return;
            }
            Event::ChildInstalled(install) => return node.install(*install),
            Event::ChildClosed { inbound, .. } => {
                let installed = node.children.remove(&inbound).is_some();
                // It may be closed while it is still being installed.
                if !installed {
                    node.closed_early.insert(inbound);
                }
            }
            Event::ChildMoved(update) => {
                if let Some(child) = node.children.get_mut(&update.inbound) {
                    child.inbound.outer = update.outer;
                    child.outbound.outer = update.outer;
                }
            }
            _ => {}
        }
        node.events.push((now, handle, event));
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
        let ikes = |node: &Node| {
            let mut spis: Vec<_> = node.established().iter().map(|info| (info.spi_i, info.spi_r)).collect();
            spis.sort_unstable();
            spis
        };
        if ikes(&self.left) != ikes(&self.right) {
            return Err(format!(
                "IKE SAs {:?} on the left, {:?} on the right",
                ikes(&self.left),
                ikes(&self.right)
            ));
        }
        for node in [&self.left, &self.right] {
            let mut known: Vec<Spi> = node
                .established()
                .iter()
                .flat_map(|info| info.children.iter().map(|child| child.inbound))
                .collect();
            known.sort_unstable();
            let installed: Vec<Spi> = node.children.keys().copied().collect();
            if known != installed {
                return Err(format!("installed {installed:?}, known to the endpoint {known:?}"));
            }
        }
        Ok(())
    }
}

/// One direction as its sender and its receiver know it.
fn same_sa(one: &SaParams, other: &SaParams) -> Result<(), String> {
    let spi = one.spi;
    if spi != other.spi {
        return Err(format!("{spi} on one side, {} on the other", other.spi));
    }
    if one.keys.encr != other.keys.encr || one.keys.integ != other.keys.integ {
        return Err(format!("the keys of {spi} differ"));
    }
    if (one.algorithms, one.sequence, one.mode) != (other.algorithms, other.sequence, other.mode) {
        return Err(format!("the algorithms of {spi} differ"));
    }
    if one.local_selectors != other.remote_selectors || one.remote_selectors != other.local_selectors {
        return Err(format!("the selectors of {spi} differ"));
    }
    Ok(())
}

impl Node {
    /// The path of a datagram: which socket it came to says whether it is encapsulated.
    fn path(&self, local: SocketAddr, remote: SocketAddr) -> Path {
        match local.port() == self.ports.encap {
            true => Path::udp_encap(local, remote),
            false => Path::udp(local, remote),
        }
    }

    fn install(&mut self, install: ChildInstall) {
        let before = self.children.insert(install.inbound.spi, install);
        assert!(before.is_none(), "an SPI that is in use was installed");
    }

    fn carry_out(&mut self, request: Request) -> Answer {
        match request.execute(&self.provider, &mut self.rng) {
            Ok(answer) => answer,
            Err(Request::Install(install)) => {
                if !self.closed_early.remove(&install.inbound.spi) {
                    self.install(*install);
                }
                Answer::Installed(Ok(()))
            }
            Err(other) => panic!("nobody can do {other:?}"),
        }
    }
}

impl From<ExchangeTrace> for Record {
    fn from(trace: ExchangeTrace) -> Self {
        Self {
            at: trace.at,
            outbound: trace.outbound,
            exchange: trace.exchange,
            response: trace.response,
            message_id: trace.message_id,
            payloads: trace.payloads,
            octets: trace.octets,
            retransmission: trace.retransmission,
            spi_i: trace.spi_i,
            spi_r: trace.spi_r,
        }
    }
}

impl KeyLog {
    /// Adds a line to the table it is for.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn line(&self, line: &KeyLogLine) -> std::io::Result<()> {
        match line {
            KeyLogLine::Ikev2(line) => self.ikev2(line),
            KeyLogLine::Esp(line) => self.esp(line),
        }
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
