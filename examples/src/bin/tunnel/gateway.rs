//! A gateway: a stack, two UDP sockets and a host behind it, on a thread of its own.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use ipsec::ike::{
    ApiMisuse, CloseReason, ExchangeTrace, IkeEstablished, IkeHandle, KeyLogLine, Path, Transport,
};
use ipsec::sa::Instant;
use ipsec::wire::Spi;
use ipsec::{
    ChildInstalled, Event, HEADROOM, Meta, Output, Received, Stack, Stats, TAILROOM, Verdict, Volume,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::capture::Recording;
use crate::tcp::{Host, Uplink};

/// Datagrams taken from a socket in a row before anything else is looked at.
const BATCH: usize = 64;
/// The longest sleep: how late a request to stop may be noticed.
const NAP: Duration = Duration::from_millis(20);
/// Until the encapsulation port is in use there are two sockets to look at.
const NAP_BEFORE_FLOAT: Duration = Duration::from_millis(2);

/// What is replaced at each quarter of the transfer, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    ChildByClient,
    IkeByClient,
    ChildByServer,
}

pub(crate) const SCHEDULE: [Step; 3] = [Step::ChildByClient, Step::IkeByClient, Step::ChildByServer];

/// What the threads know of each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Octets that the client has taken.
    pub(crate) received: AtomicU64,
    /// Steps of the schedule that are done.
    pub(crate) steps: AtomicU32,
    /// Whether the client's gateway is through.
    pub(crate) client_done: AtomicBool,
    /// Everybody stops.
    pub(crate) stop: AtomicBool,
}

impl Shared {
    /// How far the client may read: a replacement that takes long is waited for.
    fn limit(&self, total: u64) -> u64 {
        let steps = u64::from(self.steps.load(Ordering::Acquire));
        if steps >= SCHEDULE.len() as u64 { total } else { (total / 4 * (steps + 2)).min(total - 1) }
    }

    /// The step that is due, if any.
    fn due(&self, total: u64) -> Option<Step> {
        let steps = self.steps.load(Ordering::Acquire);
        let reached = self.received.load(Ordering::Acquire) >= total / 4 * (u64::from(steps) + 1);
        SCHEDULE.get(steps as usize).copied().filter(|_| reached)
    }
}

/// Our monotonic clock, the same for both threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// Drops a share of what is sent, by a seeded generator.
pub(crate) struct Loss {
    rng: ChaCha8Rng,
    threshold: u32,
}

impl Loss {
    pub(crate) fn new(percent: f64, seed: u64) -> Self {
        // In 0..=100 by the command line's check.
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            threshold: (percent / 100.0 * f64::from(u32::MAX)) as u32,
        }
    }

    fn strikes(&mut self) -> bool {
        self.rng.next_u32() < self.threshold
    }
}

/// The sockets and the stack: everything towards the outside.
pub(crate) struct Wire {
    pub(crate) stack: Stack,
    pub(crate) ike: UdpSocket,
    pub(crate) encap: UdpSocket,
    pub(crate) clock: Clock,
    pub(crate) mtu: usize,
    pub(crate) loss: Option<Loss>,
    pub(crate) capture: Option<Arc<Recording>>,
    buf: Vec<u8>,
    traffic: Traffic,
    /// What the operating system refused to send, for the report.
    refused: Option<std::io::Error>,
}

/// Datagrams, as the sockets saw them.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Traffic {
    pub(crate) sent: Volume,
    pub(crate) received: Volume,
    /// Dropped on purpose instead of being sent.
    pub(crate) lost: Volume,
}

impl Wire {
    pub(crate) fn new(stack: Stack, ike: UdpSocket, encap: UdpSocket, clock: Clock, mtu: usize) -> Self {
        Self {
            stack,
            ike,
            encap,
            clock,
            mtu,
            loss: None,
            capture: None,
            buf: vec![0; HEADROOM + mtu + TAILROOM],
            traffic: Traffic::default(),
            refused: None,
        }
    }

    fn transmit(&mut self, path: &Path, data: &[u8]) {
        if self.loss.as_mut().is_some_and(Loss::strikes) {
            count(&mut self.traffic.lost, data.len());
            return;
        }
        if let Some(capture) = &self.capture {
            capture.datagram(self.clock.now(), path, data);
        }
        let socket = if path.transport == Transport::Udp { &self.ike } else { &self.encap };
        match socket.send_to(data, path.remote) {
            Ok(_) => count(&mut self.traffic.sent, data.len()),
            // Like a full queue on a real interface: TCP and IKE send again.
            Err(error) => self.refused = Some(error),
        }
    }
}

impl Uplink for Wire {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn send<R>(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut buf = std::mem::take(&mut self.buf);
        buf.resize(buf.len().max(HEADROOM + len + TAILROOM), 0);
        let ip = HEADROOM..HEADROOM + len;
        let result = write(&mut buf[ip.clone()]);
        // What is queued or dropped is the stack's to count.
        if let Verdict::Send { range, path, .. } = self.stack.handle_ip(self.clock.now(), &mut buf, ip) {
            self.transmit(&path, &buf[range]);
        }
        self.buf = buf;
        result
    }
}

fn count(volume: &mut Volume, octets: usize) {
    volume.packets += 1;
    volume.octets += octets as u64;
}

/// Which side of the transfer a gateway is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A Child SA's account when it was closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) inbound: Spi,
    pub(crate) outbound: Spi,
    pub(crate) sent: Volume,
    pub(crate) received: Volume,
}

/// What a gateway has to tell in the end.
pub(crate) struct Outcome {
    pub(crate) side: Side,
    pub(crate) established: Option<IkeEstablished>,
    pub(crate) children: Vec<ChildInstalled>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) child_rekeys: u32,
    pub(crate) ike_rekeys: u32,
    pub(crate) exchanges: Vec<ExchangeTrace>,
    /// Errors that the stack told of.
    pub(crate) failures: Vec<String>,
    pub(crate) closed_cleanly: bool,
    pub(crate) stats: Stats,
    pub(crate) traffic: Traffic,
    pub(crate) refused: Option<std::io::Error>,
    pub(crate) digest: Option<[u8; 32]>,
    pub(crate) received: u64,
    /// From the first packet of TCP to the last octet.
    pub(crate) elapsed: Duration,
}

pub(crate) struct Gateway {
    side: Side,
    wire: Wire,
    host: Host,
    total: u64,
    shared: Arc<Shared>,
    ike: Option<IkeHandle>,
    child: Option<Spi>,
    /// The Child SA that the present one replaces.
    replaced: Option<Spi>,
    /// The step that this side is working on.
    under_way: Option<Step>,
    closing: bool,
    gone: bool,
    blocking: Option<Duration>,
    outcome: Outcome,
}

impl Gateway {
    pub(crate) fn new(side: Side, wire: Wire, host: Host, total: u64, shared: Arc<Shared>) -> Self {
        let outcome = Outcome {
            side,
            established: None,
            children: Vec::new(),
            accounts: Vec::new(),
            child_rekeys: 0,
            ike_rekeys: 0,
            exchanges: Vec::new(),
            failures: Vec::new(),
            closed_cleanly: false,
            stats: Stats::default(),
            traffic: Traffic::default(),
            refused: None,
            digest: None,
            received: 0,
            elapsed: Duration::ZERO,
        };
        Self {
            side,
            wire,
            host,
            total,
            shared,
            ike: None,
            child: None,
            replaced: None,
            under_way: None,
            closing: false,
            gone: false,
            blocking: None,
            outcome,
        }
    }

    /// Runs until the transfer is over and the tunnel closed, or until everybody is to stop.
    pub(crate) fn run(mut self) -> Outcome {
        let started = self.now();
        if let Err(error) = self.host.start() {
            self.fail(format!("TCP did not start: {error}"));
        }
        let mut rx = vec![0; 65536];
        let mut deadline = None;
        while !self.shared.stop.load(Ordering::Acquire) {
            let mut moved = self.take_datagrams(&mut rx);
            let now = self.now();
            if deadline.is_some_and(|at| at <= now) {
                self.wire.stack.handle_timeout(now);
            }
            moved |= self.host.work(now.as_micros(), self.shared.limit(self.total), &mut self.wire);
            self.account(started);
            self.replace_what_is_due();
            deadline = self.take_outputs();
            if self.is_through() {
                break;
            }
            if !moved {
                self.wait(&mut rx, deadline);
            }
        }
        if self.side == Side::Client {
            self.shared.client_done.store(true, Ordering::Release);
        }
        self.outcome.stats = self.wire.stack.stats().clone();
        self.outcome.traffic = self.wire.traffic;
        self.outcome.refused = self.wire.refused;
        self.outcome.digest = self.host.digest();
        self.outcome.received = self.host.received();
        self.outcome
    }

    fn now(&self) -> Instant {
        self.wire.clock.now()
    }

    fn is_established(&self) -> bool {
        self.outcome.established.is_some()
    }

    /// Takes what is there, at most a batch from each socket.
    fn take_datagrams(&mut self, rx: &mut [u8]) -> bool {
        self.set_blocking(None);
        let mut moved = false;
        for _ in 0..BATCH {
            let Some((len, from)) = receive(&self.wire.encap, rx) else { break };
            self.take_datagram(Transport::UdpEncap, from, &mut rx[..len]);
            moved = true;
        }
        // Nothing comes here any more once both sides use the encapsulation ports.
        while !self.is_established() {
            let Some((len, from)) = receive(&self.wire.ike, rx) else { break };
            self.take_datagram(Transport::Udp, from, &mut rx[..len]);
            moved = true;
        }
        moved
    }

    fn take_datagram(&mut self, transport: Transport, remote: SocketAddr, data: &mut [u8]) {
        count(&mut self.wire.traffic.received, data.len());
        let socket = if transport == Transport::Udp { &self.wire.ike } else { &self.wire.encap };
        let Ok(local) = socket.local_addr() else { return };
        let now = self.now();
        let meta = Meta::new(Path { local, remote, transport });
        if let Received::Inner { range, .. } = self.wire.stack.handle_datagram(now, meta, data) {
            self.host.receive(now.as_micros(), &data[range], &mut self.wire);
        }
    }

    /// Sends and notes what the stack has to say; when it wants to be called again.
    fn take_outputs(&mut self) -> Option<Instant> {
        loop {
            match self.wire.stack.poll_output() {
                Output::Transmit { path, data, .. } => self.wire.transmit(&path, &data),
                Output::Event(ike, event) => self.take_event(ike, event),
                // No packet here is cut or too long.
                Output::Deliver(_) => {}
                Output::Timeout(deadline) => return deadline,
            }
        }
    }

    fn take_event(&mut self, ike: IkeHandle, event: Event) {
        match event {
            Event::IkeEstablished(established) => {
                self.ike = Some(ike);
                self.outcome.established = Some(*established);
            }
            Event::IkeRekeyed { replaced_by } => {
                if self.ike == Some(ike) {
                    self.ike = Some(replaced_by);
                }
                self.outcome.ike_rekeys += 1;
                self.complete(Step::IkeByClient);
            }
            Event::IkeClosed { reason } if self.ike == Some(ike) || !self.is_established() => {
                self.gone = true;
                match reason {
                    CloseReason::Local | CloseReason::Peer => self.outcome.closed_cleanly = true,
                    reason => self.fail(format!("IKE SA closed: {reason}")),
                }
            }
            Event::ChildInstalled(child) => {
                self.outcome.child_rekeys += u32::from(child.replaces.is_some());
                self.replaced = child.replaces;
                self.child = Some(child.inbound);
                self.outcome.children.push(*child);
            }
            Event::ChildClosed { inbound, outbound, sent, received, .. } => {
                // Now both sides have the new one: whoever asked for it has deleted the old one.
                if self.replaced == Some(inbound) {
                    self.complete(Step::ChildByClient);
                    self.complete(Step::ChildByServer);
                }
                self.outcome.accounts.push(Account { inbound, outbound, sent, received });
            }
            Event::ChildFailed { child, error } => {
                self.fail(format!("Child SA {child}: {error}"));
            }
            Event::ChildRefused { error, .. } => {
                self.fail(format!("Child SA could not be used: {error}"));
            }
            Event::QueueCleared { packets, .. } => {
                self.fail(format!("set-up failed, {packets} waiting packets were dropped"));
            }
            Event::Exchange(trace) => self.outcome.exchanges.push(*trace),
            Event::Keys(line) => self.take_keys(&line),
            _ => {}
        }
    }

    /// Nothing comes of it any more: everybody stops.
    fn fail(&mut self, why: String) {
        self.outcome.failures.push(why);
        self.shared.stop.store(true, Ordering::Release);
    }

    fn take_keys(&self, line: &KeyLogLine) {
        if let Some(capture) = &self.wire.capture {
            capture.keys(line);
        }
    }

    /// Keeps the transfer's account, and ends the tunnel when it is over.
    fn account(&mut self, started: Instant) {
        if self.side == Side::Server {
            return;
        }
        let received = self.host.received();
        let before = self.shared.received.swap(received, Ordering::AcqRel);
        if received == self.total && before < self.total {
            self.outcome.elapsed = self.now() - started;
        }
        let over = received == self.total && self.host.is_closed();
        if let (true, false, Some(ike)) = (over, self.closing, self.ike) {
            self.closing = true;
            let now = self.now();
            if let Err(error) = self.wire.stack.delete_ike(now, ike) {
                self.outcome.failures.push(format!("the IKE SA could not be deleted: {error}"));
                self.gone = true;
            }
        }
    }

    /// Starts the step that is due, if it is this side's.
    fn replace_what_is_due(&mut self) {
        let Some(step) = self.shared.due(self.total) else { return };
        let ours = (step == Step::ChildByServer) == (self.side == Side::Server);
        if !ours || self.under_way.is_some() {
            return;
        }
        let now = self.now();
        let asked = match (step, self.ike, self.child) {
            (Step::IkeByClient, Some(ike), _) => self.wire.stack.rekey_ike(now, ike),
            (Step::ChildByClient | Step::ChildByServer, _, Some(child)) => {
                self.wire.stack.rekey_child(now, child)
            }
            _ => return,
        };
        match asked {
            Ok(()) => self.under_way = Some(step),
            // Another exchange is still going on: asked again in the next round.
            Err(ApiMisuse::WrongState) => {}
            Err(error) => self.fail(format!("{step:?}: {error}")),
        }
    }

    /// A replacement is there: the client's side keeps the count.
    fn complete(&mut self, step: Step) {
        if self.under_way == Some(step) {
            self.under_way = None;
        }
        let steps = self.shared.steps.load(Ordering::Acquire);
        if self.side == Side::Client && SCHEDULE.get(steps as usize) == Some(&step) {
            self.shared.steps.store(steps + 1, Ordering::Release);
        }
    }

    /// The client's side is through when its IKE SA is gone. The server's side stays to answer repeated requests.
    fn is_through(&self) -> bool {
        match self.side {
            Side::Client => self.gone,
            Side::Server => self.shared.client_done.load(Ordering::Acquire),
        }
    }

    /// Sleeps until a datagram comes or something is due.
    fn wait(&mut self, rx: &mut [u8], deadline: Option<Instant>) {
        let now = self.now();
        let nap = if self.is_established() { NAP } else { NAP_BEFORE_FLOAT };
        let host = self.host.idle_for(now.as_micros()).map(Duration::from_micros);
        let stack = deadline.map(|at| at.saturating_since(now));
        let nap = [host, stack].into_iter().flatten().fold(nap, Duration::min);
        if nap < Duration::from_micros(50) {
            return;
        }
        self.set_blocking(Some(nap));
        if let Some((len, from)) = receive(&self.wire.encap, rx) {
            self.take_datagram(Transport::UdpEncap, from, &mut rx[..len]);
        }
    }

    /// Makes the encapsulation socket wait for so long, or not at all.
    fn set_blocking(&mut self, nap: Option<Duration>) {
        if self.blocking == nap {
            return;
        }
        let set = match nap {
            Some(nap) => {
                let nap = self.wire.encap.set_read_timeout(Some(nap));
                nap.and_then(|()| self.wire.encap.set_nonblocking(false))
            }
            None => self.wire.encap.set_nonblocking(true),
        };
        match set {
            Ok(()) => self.blocking = nap,
            Err(error) => self.wire.refused = Some(error),
        }
    }
}

/// A datagram, if there is one. Errors that loopback reports for datagrams sent earlier are nothing here.
fn receive(socket: &UdpSocket, rx: &mut [u8]) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(rx) {
            Ok(received) => return Some(received),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted) => {}
            Err(_) => return None,
        }
    }
}

/// Two sockets on one address: IKE and encapsulation.
pub(crate) type Sockets = (UdpSocket, UdpSocket);

/// Binds them to ports that the system chooses.
pub(crate) fn bind(address: IpAddr) -> std::io::Result<Sockets> {
    let (ike, encap) = (UdpSocket::bind((address, 0))?, UdpSocket::bind((address, 0))?);
    ike.set_nonblocking(true)?;
    encap.set_nonblocking(true)?;
    Ok((ike, encap))
}
