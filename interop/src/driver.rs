//! Our side: the stack over two ordinary UDP sockets, and a host behind it that pings and answers pings.
//!
//! Everything waits on conditions: [`Driver::until`] moves datagrams and time until one holds. Nothing sleeps
//! for the sake of correctness.

use alloc::collections::BTreeSet;
use core::fmt::Write as _;
use core::net::SocketAddr;
use core::time::Duration;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::{Path as FilePath, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant as Clock;

use ipsec::crypto::{Secret, Suite, SuiteProtocol};
use ipsec::ike::exchange::retransmit::RetransmitPolicy;
use ipsec::ike::{
    ChildConfig, CloseReason, ConnectionConfig, ConnectionId, CookiePolicy, ExchangeTrace, IkeHandle,
    IkeSaInfo, IkeSaState, KeyLogLine, Path, PeerIdentity, Transport,
};
use ipsec::sa::{Instant, TrafficSelector};
use ipsec::wire::ike::{ExchangeType, MessageView, PayloadType};
use ipsec::wire::{Limits, Spi};
use ipsec::{Event, HEADROOM, Meta, Output, Received, Stack, StackConfig, TAILROOM, Verdict};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng};

use crate::case::Families;
use crate::family::Family;
use crate::icmp::Echo;
use crate::netns::{self, A, B, Side};
use crate::oracle::{ESP_TABLE, IKE_TABLE};
use crate::process::{self, POLL, checked};

/// The identifier of the echo requests of the host behind us.
const IDENTIFIER: u16 = 0x1a2b;
/// How long anything may take that the peer or we do; a loaded machine keeps it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// How far apart the echo requests of a flow are.
const FLOW_GAP: Duration = Duration::from_millis(50);
/// No datagram is longer.
const DATAGRAM: usize = 65_536;

/// The response flag in an IKE header (RFC 7296 §3.1).
const RESPONSE: u8 = 0x20;
/// Whose message was lost, for the log.
const OURS: &str = "a message of ours";
/// The same.
const PEERS: &str = "a message of the peer's";

/// What a case sets in our configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    /// IKE proposals, separated by commas.
    pub(crate) suites: &'static str,
    /// ESP proposals, separated by commas.
    pub(crate) esp_suites: &'static str,
    /// The pre-shared key.
    pub(crate) secret: &'static str,
    /// When to ask for cookies.
    pub(crate) cookie: CookiePolicy,
    /// How requests are sent again.
    pub(crate) retransmit: Option<RetransmitPolicy>,
    /// The largest IP packet of an IKE message, when it is not the usual one.
    pub(crate) fragment_size: Option<usize>,
    /// Whether every IKE message, in both directions, is lost the first time.
    pub(crate) lossy: bool,
    /// Of so many in a hundred datagrams with IKE messages, either way, none arrives.
    pub(crate) loss_percent: u8,
    /// The versions of IP.
    pub(crate) families: Families,
    /// Whether somebody on the wire forges, cuts, replays and reflects every datagram.
    pub(crate) hostile: bool,
}

impl Ours {
    /// A connection with these proposals and the usual pre-shared key.
    pub(crate) const fn new(suites: &'static str, esp_suites: &'static str) -> Self {
        Ours {
            suites,
            esp_suites,
            secret: "swordfish",
            cookie: CookiePolicy::Never,
            retransmit: None,
            fragment_size: None,
            lossy: false,
            loss_percent: 0,
            families: Families::V4,
            hostile: false,
        }
    }

    /// The same with another pre-shared key.
    pub(crate) const fn secret(self, secret: &'static str) -> Self {
        Ours { secret, ..self }
    }

    /// The same, asking for cookies by another policy.
    pub(crate) const fn cookie(self, cookie: CookiePolicy) -> Self {
        Ours { cookie, ..self }
    }

    /// The same, with IKE messages in fragments where an IP packet would be larger than this.
    pub(crate) const fn fragment_size(self, size: usize) -> Self {
        Ours { fragment_size: Some(size), ..self }
    }

    /// The same, where every IKE message is lost the first time.
    pub(crate) const fn lossy(self) -> Self {
        Ours { lossy: true, ..self }
    }

    /// The same, over a wire that loses so many in a hundred IKE messages.
    pub(crate) const fn losing(self, loss_percent: u8) -> Self {
        Ours { loss_percent, ..self }
    }

    /// The same, with somebody hostile on the wire.
    pub(crate) const fn hostile(self) -> Self {
        Ours { hostile: true, ..self }
    }

    /// The same, giving up a silent peer after three seconds.
    pub(crate) const fn impatient(self) -> Self {
        let retransmit = RetransmitPolicy {
            initial: Duration::from_millis(500),
            factor_percent: 100,
            max_interval: Duration::from_millis(500),
            tries: 5,
            jitter_percent: 0,
        };
        Ours { retransmit: Some(retransmit), ..self }
    }

    fn connection(&self) -> Result<ConnectionConfig, String> {
        let suites = |protocol, text| Suite::list(protocol, text).map_err(|error| error.to_string());
        let Families { outer, inner } = self.families;
        let selector = |side: Side| {
            TrafficSelector::prefix(side.inner(inner), netns::prefix(inner))
                .map_err(|error| error.to_string())
        };
        let identity = |id: &str| id.parse().map_err(|error| format!("{error}"));
        let child = ChildConfig::tunnel(
            "net",
            vec![selector(A)?],
            vec![selector(B)?],
            suites(SuiteProtocol::Esp, self.esp_suites)?,
        );
        let secret = Secret::new(self.secret.as_bytes());
        let peer = PeerIdentity::Exactly(identity(B.id)?);
        Ok(ConnectionConfig::psk(
            "peer",
            identity(A.id)?,
            peer,
            secret,
            suites(SuiteProtocol::Ike, self.suites)?,
        )
        .between(A.outer(outer), B.outer(outer))
        .with_child(child))
    }
}

/// A datagram as it came from a socket.
struct Arrived {
    path: Path,
    data: Vec<u8>,
}

/// A Child SA as it stands on our side.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// The SPI of what we receive.
    pub(crate) inbound: Spi,
    /// The SPI of what we send.
    pub(crate) outbound: Spi,
    /// The negotiated algorithms, as a proposal string.
    pub(crate) suite: String,
    /// What may come from the peer's side.
    pub(crate) remote: Vec<TrafficSelector>,
}

/// What the stack has reported so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The Child SAs that stand.
    pub(crate) children: Vec<Child>,
    /// Why IKE SAs went away or did not come about, in their own words; replaced ones left out.
    pub(crate) closed: Vec<String>,
    /// Why Child SAs did not come about, in their own words.
    pub(crate) child_failed: Vec<String>,
    /// Every message, for the ladder.
    pub(crate) messages: Vec<ExchangeTrace>,
}

/// Echo requests that go out at a steady pace.
#[derive(Debug, Default)]
struct PingFlow {
    next: Option<Clock>,
    sent: u16,
    answered: u16,
}

/// Our side.
pub(crate) struct Driver {
    /// The stack.
    pub(crate) stack: Stack,
    /// What it has reported.
    pub(crate) seen: Seen,
    /// Echo requests of the peer's side that were answered.
    pub(crate) answered_requests: u32,
    ours: Ours,
    connection: ConnectionId,
    begun: Clock,
    ike: UdpSocket,
    encap: UdpSocket,
    arrived: Receiver<Arrived>,
    timeout: Option<Instant>,
    flow: PingFlow,
    /// IKE messages that were lost once, where that is wanted.
    lost: BTreeSet<Vec<u8>>,
    /// What decides on losses.
    dice: ChaCha20Rng,
    /// Datagrams that were lost.
    pub(crate) losses: usize,
    /// Datagrams of ours that come back, where somebody hostile is on the wire.
    reflected: Vec<(Path, Vec<u8>)>,
    /// Datagrams that somebody hostile made up.
    pub(crate) forged: usize,
    tables: PathBuf,
}

impl Driver {
    /// Binds ports 500 and 4500 in the namespace of this process; key tables for tshark go to `tables`.
    pub(crate) fn new(ours: Ours, tables: &FilePath) -> Result<Self, String> {
        let bind = |port| {
            UdpSocket::bind((A.outer(ours.families.outer), port))
                .map_err(|error| format!("port {port} cannot be bound: {error}"))
        };
        let (ike, encap) = (bind(500)?, bind(4500)?);
        let (sender, arrived) = mpsc::channel();
        receive(&ike, Transport::Udp, sender.clone())?;
        receive(&encap, Transport::UdpEncap, sender)?;

        let mut config = StackConfig::default();
        config.endpoint.trace = true;
        config.endpoint.key_log = true;
        config.endpoint.cookie = ours.cookie;
        if let Some(policy) = ours.retransmit {
            config.endpoint.retransmit = policy;
        }
        if ours.fragment_size.is_some() {
            config.endpoint.fragment_size = ours.fragment_size;
        }
        let begun = Clock::now();
        let mut stack =
            Stack::new(config, ipsec::crypto::rustcrypto::provider(), generator()?, Instant::default());
        let connection = stack.add_connection(ours.connection()?).map_err(|error| error.to_string())?;
        let mut driver = Driver {
            stack,
            seen: Seen::default(),
            answered_requests: 0,
            ours,
            connection,
            begun,
            ike,
            encap,
            arrived,
            timeout: None,
            flow: PingFlow::default(),
            lost: BTreeSet::new(),
            dice: ChaCha20Rng::seed_from_u64(7),
            losses: 0,
            reflected: Vec::new(),
            forged: 0,
            tables: tables.to_owned(),
        };
        for table in [IKE_TABLE, ESP_TABLE] {
            driver.log_key(table, "")?;
        }
        driver.drain()?;
        Ok(driver)
    }

    /// Moves datagrams and time until `holds`, at most [`LIMIT`].
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) -> Result<(), String> {
        let end = Clock::now() + LIMIT;
        while !holds(self) {
            if Clock::now() >= end {
                return Err(format!("it does not come to {what}; {}", self.state()));
            }
            self.step()?;
        }
        Ok(())
    }

    /// Runs a command to its end while our side keeps working.
    pub(crate) fn command(&mut self, mut command: Command) -> Result<Result<String, String>, String> {
        let shown = process::shown(&command);
        let worker = thread::spawn(move || checked(&mut command));
        self.until(&shown, |_| worker.is_finished())?;
        worker.join().map_err(|_| format!("{shown}: panicked"))
    }

    /// Starts the connection with its Child SA.
    pub(crate) fn initiate(&mut self) -> Result<(), String> {
        let (now, connection) = (self.now(), self.connection);
        self.asked("connect", |stack| stack.connect(now, connection, Some(0)).map(drop))
    }

    /// Starts the connection without a Child SA (RFC 6023), which [`Driver::create_child`] makes then.
    pub(crate) fn initiate_childless(&mut self) -> Result<(), String> {
        let (now, connection) = (self.now(), self.connection);
        self.asked("connect without a child", |stack| stack.connect(now, connection, None).map(drop))
    }

    /// Makes a Child SA in the IKE SA that stands.
    pub(crate) fn create_child(&mut self) -> Result<(), String> {
        let (now, ike) = (self.now(), self.one_ike()?);
        self.asked("create a Child SA", |stack| stack.create_child(now, ike.handle, 0))
    }

    /// Makes both SAs anew, from the authentication on.
    pub(crate) fn reauthenticate(&mut self) -> Result<(), String> {
        let (now, ike) = (self.now(), self.one_ike()?);
        self.asked("re-authenticate", |stack| stack.reauthenticate(now, ike.handle).map(drop))
    }

    /// The version of IP inside.
    pub(crate) const fn inner_family(&self) -> Family {
        self.ours.families.inner
    }

    /// Replaces the Child SA.
    pub(crate) fn rekey_child(&mut self) -> Result<(), String> {
        let (now, child) = (self.now(), self.one_child()?);
        self.asked("rekey the Child SA", |stack| stack.rekey_child(now, child.inbound))
    }

    /// Replaces the IKE SA.
    pub(crate) fn rekey_ike(&mut self) -> Result<(), String> {
        let (now, ike) = (self.now(), self.one_ike()?);
        self.asked("rekey the IKE SA", |stack| stack.rekey_ike(now, ike.handle))
    }

    /// Deletes the Child SA.
    pub(crate) fn delete_child(&mut self) -> Result<(), String> {
        let (now, child) = (self.now(), self.one_child()?);
        self.asked("delete the Child SA", |stack| stack.delete_child(now, child.inbound))
    }

    /// Deletes the IKE SA.
    pub(crate) fn delete_ike(&mut self) -> Result<(), String> {
        let (now, ike) = (self.now(), self.one_ike()?);
        self.asked("delete the IKE SA", |stack| stack.delete_ike(now, ike.handle))
    }

    /// Asks the peer for a sign of life; it need not have come when this returns.
    pub(crate) fn ask_liveness(&mut self) -> Result<(), String> {
        let (now, ike) = (self.now(), self.one_ike()?);
        self.asked("check liveness", |stack| stack.check_liveness(now, ike.handle))
    }

    /// Asks the peer for a sign of life and waits for it.
    pub(crate) fn check_liveness(&mut self) -> Result<(), String> {
        let ike = self.one_ike()?;
        let seen = self.seen.messages.len();
        self.ask_liveness()?;
        self.until("an answer to a liveness check", |us| {
            us.seen.messages[seen..].iter().any(|message| {
                !message.outbound
                    && message.response
                    && message.exchange == ExchangeType::INFORMATIONAL
                    && (message.spi_i, message.spi_r) == (ike.spi_i, ike.spi_r)
            })
        })
    }

    /// Waits until one IKE SA and one Child SA stand, or one of them has failed.
    pub(crate) fn until_established(&mut self) -> Result<(), String> {
        self.until("both SAs", |us| {
            (us.one_ike().is_ok() && us.one_child().is_ok())
                || !us.seen.closed.is_empty()
                || !us.seen.child_failed.is_empty()
        })?;
        match self.one_ike().and_then(|_| self.one_child()) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("set-up failed; {}", self.state())),
        }
    }

    /// The IKE SAs that are authenticated, those that are being closed left out.
    pub(crate) fn ike_sas(&self) -> Vec<IkeSaInfo> {
        self.stack.ike_sas().filter(|sa| sa.state == IkeSaState::Established).collect()
    }

    /// The IKE SA, when there is one and no more.
    pub(crate) fn one_ike(&self) -> Result<IkeSaInfo, String> {
        match <[IkeSaInfo; 1]>::try_from(self.ike_sas()) {
            Ok([ike]) => Ok(ike),
            Err(all) => Err(format!("we have {} IKE SAs; {}", all.len(), self.state())),
        }
    }

    /// The Child SA, when there is one and no more.
    pub(crate) fn one_child(&self) -> Result<Child, String> {
        match &*self.seen.children {
            [child] => Ok(child.clone()),
            children => Err(format!("we have {} Child SAs; {}", children.len(), self.state())),
        }
    }

    /// Whether our configuration asks for a key exchange in CREATE_CHILD_SA.
    pub(crate) fn wants_forward_secrecy(&self) -> bool {
        Suite::list(SuiteProtocol::Esp, self.ours.esp_suites)
            .is_ok_and(|suites| suites.iter().any(|suite| !suite.ke.is_empty()))
    }

    /// Pings the peer's inner address so many times, and wants every answer.
    pub(crate) fn ping(&mut self, count: u16) -> Result<(), String> {
        for _ in 0..count {
            self.send_echo()?;
            let sent = self.flow.sent;
            self.until("an echo reply", |us| us.flow.answered == sent)?;
        }
        Ok(())
    }

    /// Starts to ping at a steady pace.
    pub(crate) fn start_flow(&mut self) {
        self.flow.next = Some(Clock::now());
    }

    /// Echo replies that came.
    pub(crate) fn answered(&self) -> u16 {
        self.flow.answered
    }

    /// Stops the steady pings and waits for the answers that are under way; none may be missing.
    pub(crate) fn stop_flow(&mut self) -> Result<(), String> {
        self.flow.next = None;
        let end = Clock::now() + LIMIT / 6;
        while self.flow.answered < self.flow.sent && Clock::now() < end {
            self.step()?;
        }
        match self.flow.sent - self.flow.answered {
            0 => Ok(()),
            lost => Err(format!("{lost} of {} pings were lost; {}", self.flow.sent, self.state())),
        }
    }

    /// Leaves so many half-open IKE SAs behind at the peer: first messages of a set-up that nobody continues.
    pub(crate) fn leave_half_open(&self, count: u8) -> Result<(), String> {
        let now = self.now();
        let config = StackConfig::default();
        let mut other = Stack::new(config, ipsec::crypto::rustcrypto::provider(), generator()?, now);
        let connection = other.add_connection(self.ours.connection()?).map_err(|error| error.to_string())?;
        other.connect(now, connection, Some(0)).map_err(|error| error.to_string())?;
        let mut request = loop {
            match other.poll_output() {
                Output::Transmit { data, .. } => break data,
                Output::Event(..) | Output::Deliver(_) => {}
                Output::Timeout(_) => return Err("connect sends nothing".into()),
            }
        };
        let socket =
            UdpSocket::bind((A.outer(self.ours.families.outer), 0)).map_err(|error| error.to_string())?;
        for number in 0..count {
            // Another initiator's SPI makes it another set-up.
            if let Some(octet) = request.first_mut() {
                *octet = number + 1;
            }
            socket
                .send_to(&request, (B.outer(self.ours.families.outer), 500))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What stands and what has happened, for the reason of a failure.
    pub(crate) fn state(&self) -> String {
        let mut text =
            format!("{} IKE SAs and {} Child SAs stand", self.ike_sas().len(), self.seen.children.len());
        for reason in self.seen.closed.iter().chain(&self.seen.child_failed) {
            let _ = write!(text, "; {reason}");
        }
        text
    }

    /// Writes what the stack counted.
    pub(crate) fn print_stats(&self) {
        say!("{:?}", self.stack.stats());
        say!("{:?}", self.stack.ike_counters());
    }

    fn now(&self) -> Instant {
        Instant::default() + self.begun.elapsed()
    }

    fn asked<E: core::fmt::Display>(
        &mut self,
        what: &str,
        act: impl FnOnce(&mut Stack) -> Result<(), E>,
    ) -> Result<(), String> {
        say!("{:>9.3} -- {what}", self.begun.elapsed().as_secs_f64());
        act(&mut self.stack).map_err(|error| format!("{what}: {error}"))?;
        self.drain()
    }

    /// Waits for a datagram or for time to pass, a short while at most, and deals with it.
    fn step(&mut self) -> Result<(), String> {
        // What an attack makes us send comes back in the next step, so that this ends.
        for (path, data) in core::mem::take(&mut self.reflected) {
            self.attack(&path, data)?;
        }
        let now = self.now();
        let mut wait = POLL;
        if let Some(at) = self.timeout {
            wait = wait.min(at.saturating_since(now));
        }
        if let Some(next) = self.flow.next {
            wait = wait.min(next.saturating_duration_since(Clock::now()));
        }
        match self.arrived.recv_timeout(wait) {
            Ok(arrived) => self.take(arrived)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("our sockets are closed".into()),
        }
        let now = self.now();
        if self.timeout.is_some_and(|at| at <= now) {
            self.stack.handle_timeout(now);
            self.drain()?;
        }
        if self.flow.next.is_some_and(|next| next <= Clock::now()) {
            self.flow.next = Some(Clock::now() + FLOW_GAP);
            self.send_echo()?;
        }
        Ok(())
    }

    fn take(&mut self, mut arrived: Arrived) -> Result<(), String> {
        if self.loses(&arrived.path, &arrived.data, PEERS) {
            return Ok(());
        }
        let original = arrived.data.clone();
        if self.ours.hostile {
            for forgery in forgeries(&original, self.forged) {
                self.attack(&arrived.path, forgery)?;
            }
        }
        let now = self.now();
        match self.stack.handle_datagram(now, Meta::new(arrived.path), &mut arrived.data) {
            Received::Inner { range, .. } => {
                let echo = arrived.data.get(range).and_then(Echo::parse);
                match echo {
                    Some(echo) if echo.reply && echo.identifier == IDENTIFIER => self.flow.answered += 1,
                    Some(echo) if !echo.reply && echo.destination == A.inner(self.ours.families.inner) => {
                        self.answered_requests += 1;
                        self.send_inner(&echo.answer())?;
                    }
                    other => say!("an inner packet that is not for us: {other:?}"),
                }
            }
            Received::Dropped(reason) => {
                say!("{:>9.3} dropped: {reason:?}", self.begun.elapsed().as_secs_f64());
            }
            _ => {}
        }
        self.drain()?;
        if self.ours.hostile {
            self.attack(&arrived.path, original)?;
        }
        Ok(())
    }

    /// Hands in a datagram that is not the peer's, or that came before: no inner packet may come of it.
    fn attack(&mut self, path: &Path, mut data: Vec<u8>) -> Result<(), String> {
        self.forged += 1;
        let now = self.now();
        if let Received::Inner { .. } = self.stack.handle_datagram(now, Meta::new(*path), &mut data) {
            return Err("an inner packet of a forged or replayed datagram was accepted".into());
        }
        self.drain()
    }

    fn send_echo(&mut self) -> Result<(), String> {
        self.flow.sent += 1;
        self.send_inner(&Echo {
            source: A.inner(self.ours.families.inner),
            destination: B.inner(self.ours.families.inner),
            reply: false,
            identifier: IDENTIFIER,
            sequence: self.flow.sent,
            data: vec![0x41; 56],
        })
    }

    fn send_inner(&mut self, echo: &Echo) -> Result<(), String> {
        let packet = echo.emit();
        let end = HEADROOM + packet.len();
        let mut buffer = vec![0; end + TAILROOM];
        buffer[HEADROOM..end].copy_from_slice(&packet);
        let now = self.now();
        match self.stack.handle_ip(now, &mut buffer, HEADROOM..end) {
            Verdict::Send { range, path, .. } => self.transmit(&path, &buffer[range])?,
            Verdict::Queued => say!("{:>9.3} -- a packet waits", self.begun.elapsed().as_secs_f64()),
            verdict => say!("{:>9.3} an inner packet: {verdict:?}", self.begun.elapsed().as_secs_f64()),
        }
        self.drain()
    }

    /// Whether this datagram is to be lost: an IKE message of a lossy case that was not seen before.
    fn loses(&mut self, path: &Path, data: &[u8], what: &str) -> bool {
        // Behind a non-ESP marker of four zeros, with which ESP never begins (RFC 3948 §2.2).
        let message = match path.transport {
            Transport::Udp => Some(data),
            _ => data.strip_prefix(&[0; 4]),
        };
        let Some(message) = message else { return false };
        // charon forgets a deleted IKE SA with its answer to the deletion, so that one must not be lost.
        let last_word = what == PEERS
            && message.get(18) == Some(&ExchangeType::INFORMATIONAL.0)
            && message.get(19).is_some_and(|flags| flags & RESPONSE != 0);
        let unlucky =
            self.ours.loss_percent > 0 && self.dice.next_u32() % 100 < u32::from(self.ours.loss_percent);
        let lost = !last_word && (unlucky || self.ours.lossy && self.lost.insert(message.to_vec()));
        if lost {
            self.losses += 1;
            say!("{:>9.3} -- {what} is lost", self.begun.elapsed().as_secs_f64());
        }
        lost
    }

    fn transmit(&mut self, path: &Path, data: &[u8]) -> Result<(), String> {
        if self.loses(path, data, OURS) {
            return Ok(());
        }
        let socket = match path.transport {
            Transport::Udp => &self.ike,
            Transport::UdpEncap => &self.encap,
            other => return Err(format!("the stack sends over {other:?}")),
        };
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        if path.local != address {
            return Err(format!("the stack sends from {}, our socket is {address}", path.local));
        }
        // An unreachable peer is no failure of ours: what is lost is sent again, or given up.
        let _ = socket.send_to(data, path.remote);
        if self.ours.hostile {
            self.reflected.push((*path, data.to_vec()));
        }
        Ok(())
    }

    /// Carries out all that the stack wants done.
    fn drain(&mut self) -> Result<(), String> {
        loop {
            match self.stack.poll_output() {
                Output::Transmit { path, data, .. } => self.transmit(&path, &data)?,
                Output::Event(handle, event) => self.on_event(handle, event)?,
                Output::Deliver(_) => {}
                Output::Timeout(at) => {
                    self.timeout = at;
                    return Ok(());
                }
            }
        }
    }

    fn on_event(&mut self, handle: IkeHandle, event: Event) -> Result<(), String> {
        let time = self.begun.elapsed().as_secs_f64();
        match event {
            Event::Exchange(trace) => {
                let arrow = if trace.outbound { "-->" } else { "<--" };
                let kind = if trace.response { "response" } else { "request" };
                let again = if trace.retransmission { ", again" } else { "" };
                let ExchangeTrace { exchange, message_id, payloads, octets, .. } = &*trace;
                say!(
                    "{time:>9.3} {arrow} {exchange} {kind} {message_id} [{payloads}] {octets} octets{again}"
                );
                self.seen.messages.push(*trace);
                return Ok(());
            }
            Event::Keys(KeyLogLine::Ikev2(line)) => return self.log_key(IKE_TABLE, &format!("{line}\n")),
            Event::Keys(KeyLogLine::Esp(line)) => return self.log_key(ESP_TABLE, &format!("{line}\n")),
            _ => {}
        }
        say!("{time:>9.3}     {handle} {event:?}");
        match event {
            Event::IkeClosed { reason }
                if !matches!(reason, CloseReason::Rekeyed | CloseReason::Redundant) =>
            {
                self.seen.closed.push(reason.to_string());
            }
            Event::ChildInstalled(child) => {
                let (inbound, outbound, suite, remote) =
                    (child.inbound, child.outbound, child.suite, child.remote);
                self.seen.children.push(Child { inbound, outbound, suite, remote });
            }
            Event::ChildClosed { inbound, .. } => self.seen.children.retain(|child| child.inbound != inbound),
            Event::ChildFailed { error, .. } => self.seen.child_failed.push(error.to_string()),
            Event::ChildRefused { error, .. } => self.seen.child_failed.push(error.to_string()),
            _ => {}
        }
        Ok(())
    }

    fn log_key(&self, table: &str, line: &str) -> Result<(), String> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.tables.join(table))
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|error| format!("{table} cannot be written: {error}"))
    }
}

/// What somebody hostile makes of a datagram: cut, changed in one bit at a place that moves with `number`, and noise.
/// Of an answer that nothing protects yet, also one with another public value and one with another nonce.
fn forgeries(data: &[u8], number: usize) -> Vec<Vec<u8>> {
    let changed = |place: usize| {
        let mut changed = data.to_vec();
        if let Some(octet) = changed.get_mut(place) {
            *octet ^= 1 << (number % 8);
        }
        changed
    };
    let place = number.wrapping_mul(31) % data.len().max(1);
    let noise = data.iter().map(|octet| octet.wrapping_mul(167).wrapping_add(13)).collect();
    let mut forged = vec![Vec::new(), data[..place].to_vec(), changed(place), noise];
    if let Ok(message) = MessageView::parse(data, &Limits::DEFAULT)
        && message.header().exchange_type == ExchangeType::IKE_SA_INIT
        && message.header().flags.is_response()
    {
        let unprotected = [PayloadType::KE, PayloadType::NONCE];
        let places = message.payloads().filter(|payload| unprotected.contains(&payload.payload_type));
        forged.extend(places.map(|payload| changed(payload.offset + 12)));
    }
    forged
}

/// Hands on what arrives at `socket`, from a thread of its own that ends with the process.
fn receive(socket: &UdpSocket, transport: Transport, to: Sender<Arrived>) -> Result<(), String> {
    let socket = socket.try_clone().map_err(|error| error.to_string())?;
    let local: SocketAddr = socket.local_addr().map_err(|error| error.to_string())?;
    thread::spawn(move || {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            // An error here is the answer to a datagram of ours that met a closed port.
            let Ok((length, remote)) = socket.recv_from(&mut buffer) else { continue };
            let path = match transport {
                Transport::Udp => Path::udp(local, remote),
                _ => Path::udp_encap(local, remote),
            };
            if to.send(Arrived { path, data: buffer[..length].to_vec() }).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// A generator seeded by the operating system.
fn generator() -> Result<Box<dyn rand_core::CryptoRng + Send>, String> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    Ok(Box::new(ChaCha20Rng::from_seed(seed)))
}
