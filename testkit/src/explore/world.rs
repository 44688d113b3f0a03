//! Two endpoints, what is on the wire between them, and a model of their packets: everything that a choice changes.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;

use ikev2_core::job::KeyExchangeJob;
use ikev2_core::sketch::Sketch;
use ikev2_core::{
    Answer, ApiMisuse, ChildInstall, ConnectionId, Endpoint, Event, IkeSaState, Input, OpId, OutboundUse,
    Output, Path, Request,
};
use ipsec_crypto::{ActiveKeyExchange, CryptoProvider};
use ipsec_sa::{Encapsulation, Instant, Outer};
use ipsec_wire::Spi;
use ipsec_wire::ike::KeId;

use super::canon::Canon;
use super::dice::{Dice, Luck};
use super::{Command, Scenario};
use crate::ladder::{Ladder, Record, Side};

pub(crate) const SIDES: [Side; 2] = [Side::Left, Side::Right];

const fn index(side: Side) -> usize {
    match side {
        Side::Left => 0,
        Side::Right => 1,
    }
}

/// One thing that can happen next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// A side is told to do the next thing on its list.
    Issue(Side),
    /// The oldest job of a side is done.
    Job(Side),
    /// The datagram at this place on the wire arrives.
    Deliver(usize),
    /// It is lost.
    Drop(usize),
    /// It arrives, and stays on the wire as well.
    Twice(usize),
    /// It is held up: others overtake it, and time passes.
    Hold(usize),
    /// Time passes until something is due.
    Tick,
}

impl Action {
    /// How many mishaps it is.
    pub(crate) fn cost(self, world: &World) -> u8 {
        match self {
            Self::Issue(_) | Self::Job(_) | Self::Deliver(_) => 0,
            Self::Drop(_) | Self::Twice(_) | Self::Hold(_) => 1,
            Self::Tick => u8::from(world.ends.iter().any(|end| !end.jobs.is_empty())),
        }
    }
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) to: Side,
    source: SocketAddr,
    target: SocketAddr,
    data: Arc<[u8]>,
    /// It waits for nobody and nobody waits for it.
    pub(crate) late: bool,
}

/// A Child SA as whoever processes packets has it.
#[derive(Clone, Debug)]
struct Child {
    name: Arc<str>,
    inbound: Spi,
    outbound: Spi,
    inbound_key: u64,
    outbound_key: u64,
    replaces: Option<Spi>,
    /// Waits for the first packet on its inbound side.
    standby: bool,
    never: bool,
    outer: Outer,
    /// The one that came into use last is used.
    rank: u32,
}

/// A step that a side has put out.
#[derive(Clone)]
enum Job {
    Start(KeId),
    Respond(KeId, Vec<u8>),
    Complete(Arc<dyn ActiveKeyExchange>, Vec<u8>),
    Install(Child),
}

/// One side.
pub(crate) struct End {
    pub(crate) endpoint: Endpoint,
    children: BTreeMap<Spi, Child>,
    jobs: VecDeque<(OpId, Job)>,
    closed_early: Vec<Spi>,
    timeout: Option<Instant>,
    supplied: u32,
    installed: u32,
    released: u32,
    ranks: u32,
    /// Failures it has reported.
    pub(crate) failures: u32,
    /// How many of its commands were given.
    issued: usize,
    /// Since when its packets do not arrive, child by child.
    dark: Vec<Option<Instant>>,
}

/// What was used once, and may only be used again for the same octets.
#[derive(Debug)]
struct Used {
    what: u64,
    octets: u64,
    before: Option<Arc<Used>>,
}

/// The port outside of the NAT before the left side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Nat {
    port: u16,
}

/// What is drawn of a run that is looked at closely.
#[derive(Debug, Default)]
pub(crate) struct Record_ {
    pub(crate) sent: Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    pub(crate) keys: Vec<ikev2_core::KeyLogLine>,
}

/// Everything.
pub(crate) struct World {
    pub(crate) scenario: &'static Scenario,
    pub(crate) now: Instant,
    pub(crate) ends: [End; 2],
    pub(crate) wire: Vec<Flight>,
    nat: Option<Nat>,
    pub(crate) luck: Arc<Luck>,
    used: Option<Arc<Used>>,
    pub(crate) faults: u8,
    pub(crate) messages: u8,
    /// Whether both sides once had all children: from then on packets must flow.
    up: bool,
    pub(crate) longest_dark: Duration,
    pub(crate) violation: Option<String>,
    pub(crate) ladder: Option<Ladder>,
    pub(crate) record: Record_,
}

/// No single input has more outputs than this.
const MOST_OUTPUTS: u32 = 1_000;

const LEFT: [u8; 4] = [192, 0, 2, 1];
const RIGHT: [u8; 4] = [192, 0, 2, 2];
const OUTSIDE: [u8; 4] = [192, 0, 2, 99];

fn hash(octets: &[u8]) -> u64 {
    let mut canon = Canon::new();
    octets.chunks(8).for_each(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        canon.number(u64::from_le_bytes(word));
    });
    canon.number(octets.len() as u64);
    let value = canon.finish();
    (value ^ value >> 64) as u64
}

fn jitter(side: Side) -> u64 {
    // The left side's timers are the shortest they can be, the right side's somewhere within their share.
    match side {
        Side::Left => u64::MAX / 2 / 3,
        Side::Right => 0,
    }
}

impl World {
    /// Both endpoints idle, `limits` being faults and messages. `record` draws what happens.
    pub(crate) fn new(scenario: &'static Scenario, limits: (u8, u8), record: bool) -> Self {
        let now = Instant::from_secs(3600);
        let luck = Luck::new();
        let provider = crate::insecure::provider();
        let ends = SIDES.map(|side| {
            let (mut config, connection) = scenario.host(side);
            config.trace = record;
            config.key_log = record;
            let rng = Box::new(Dice { luck: luck.clone(), jitter: jitter(side) });
            let mut endpoint = Endpoint::new(config, provider.clone(), rng, now);
            endpoint.add_connection(connection).expect("the provider has what the connection names");
            End {
                endpoint,
                children: BTreeMap::new(),
                jobs: VecDeque::new(),
                closed_early: Vec::new(),
                timeout: None,
                supplied: 0,
                installed: 0,
                released: 0,
                ranks: 0,
                failures: 0,
                issued: 0,
                dark: vec![None; scenario.children],
            }
        });
        let mut world = Self {
            scenario,
            now,
            ends,
            wire: Vec::new(),
            nat: scenario.nat.then_some(Nat { port: 10_001 }),
            luck,
            used: None,
            faults: limits.0,
            messages: limits.1,
            up: false,
            longest_dark: Duration::ZERO,
            violation: None,
            ladder: record.then(|| Ladder::new("left", "right")),
            record: Record_::default(),
        };
        for side in SIDES {
            world.drain(side);
        }
        world
    }

    /// The same again, for another future.
    pub(crate) fn fork(&self, high: bool) -> Self {
        let luck = self.luck.fork(high);
        let ends = SIDES.map(|side| {
            let end = &self.ends[index(side)];
            let rng = Box::new(Dice { luck: luck.clone(), jitter: jitter(side) });
            End {
                endpoint: end.endpoint.duplicate(rng).expect("all outputs were taken"),
                children: end.children.clone(),
                jobs: end.jobs.clone(),
                closed_early: end.closed_early.clone(),
                dark: end.dark.clone(),
                ..*end
            }
        });
        Self {
            ends,
            wire: self.wire.clone(),
            luck,
            used: self.used.clone(),
            violation: self.violation.clone(),
            ladder: None,
            record: Record_::default(),
            ..*self
        }
    }

    /// All that the future depends on. Without `limits` two states are the same whatever may still go wrong in them.
    pub(crate) fn fingerprint(&self, limits: bool) -> u128 {
        let mut canon = Canon::new();
        if limits {
            canon.number(u64::from(self.faults) << 8 | u64::from(self.messages));
        }
        for (number, end) in (0u8..).zip(&self.ends) {
            canon.side(number);
            end.endpoint.sketch(self.now, &mut canon);
            canon.number(end.issued as u64);
            canon.number(u64::from(end.failures > 0));
            for dark in &end.dark {
                canon.number(dark.map_or(u64::MAX, |since| (self.now - since).as_micros() as u64));
            }
            let mut ranks: Vec<u32> = end.children.values().map(|child| child.rank).collect();
            ranks.sort_unstable();
            for child in end.children.values() {
                let place = ranks.iter().position(|rank| *rank == child.rank).unwrap_or_default();
                canon.number((place as u64) << 2 | u64::from(child.standby) << 1 | u64::from(child.never));
                canon.name(ikev2_core::sketch::NameKind::ChildSpi, u64::from(child.inbound.0));
                canon.number(u64::from(child.replaces.is_some_and(|spi| end.children.contains_key(&spi))));
            }
            canon.number(end.jobs.len() as u64);
            canon.number(end.closed_early.len() as u64);
        }
        canon.number(u64::from(self.up) << 16 | self.nat.map_or(0, |nat| u64::from(nat.port)));
        for flight in &self.wire {
            canon.number(index(flight.to) as u64 | u64::from(flight.late) << 1);
            canon.number(u64::from(flight.source.port()) << 16 | u64::from(flight.target.port()));
            canon.message(&flight.data);
        }
        canon.finish()
    }

    /// What can happen now, in an order that depends on nothing but the state.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for side in SIDES {
            let end = &self.ends[index(side)];
            if end.issued < self.scenario.commands(side).len() {
                actions.push(Action::Issue(side));
            }
            if !end.jobs.is_empty() {
                actions.push(Action::Job(side));
            }
        }
        let mut head = [true; 2];
        for (place, flight) in self.wire.iter().enumerate() {
            let first = flight.late || core::mem::replace(&mut head[index(flight.to)], false);
            // Of two copies one is as good as the other.
            let seen = self.wire[..place]
                .iter()
                .any(|other| (other.to, other.late, &other.data) == (flight.to, flight.late, &flight.data));
            if seen {
                continue;
            }
            if first {
                actions.push(Action::Deliver(place));
            }
            if self.faults > 0 {
                actions.push(Action::Drop(place));
                actions.push(Action::Twice(place));
                if !flight.late {
                    actions.push(Action::Hold(place));
                }
            }
        }
        let commanded =
            SIDES.iter().all(|side| self.ends[index(*side)].issued == self.scenario.commands(*side).len());
        // A job may be slow, but not slower than this.
        let slow = self.ends.iter().any(|end| !end.jobs.is_empty());
        let latest = self.now + Duration::from_secs(2);
        let due =
            self.ends.iter().filter_map(|end| end.timeout).min().is_some_and(|at| !slow || at <= latest);
        if commanded
            && due
            && self.wire.iter().all(|flight| flight.late)
            && Action::Tick.cost(self) <= self.faults
        {
            actions.push(Action::Tick);
        }
        actions
    }

    /// In words, for whoever reads a failure.
    pub(crate) fn describe(&self, action: Action) -> String {
        let flight = |place: usize| {
            self.wire.get(place).map_or_else(String::new, |flight| {
                let datagram = flight.data.strip_prefix(&[0; 4]).unwrap_or(&flight.data);
                let header = ipsec_wire::ike::Header::parse(datagram);
                let what = header.map_or_else(
                    |_| format!("{} octets", datagram.len()),
                    |header| {
                        let kind = if header.flags.is_response() { "response" } else { "request" };
                        format!("{} {kind} {}", header.exchange_type, header.message_id)
                    },
                );
                format!("{what} to the {:?}", flight.to).to_lowercase()
            })
        };
        match action {
            Action::Issue(side) => {
                let next = self.scenario.commands(side).get(self.ends[index(side)].issued);
                format!("{side:?}: {next:?}")
            }
            Action::Job(side) => format!("{side:?}: a job is done"),
            Action::Deliver(place) => format!("arrives: {}", flight(place)),
            Action::Drop(place) => format!("lost: {}", flight(place)),
            Action::Twice(place) => format!("arrives, and will again: {}", flight(place)),
            Action::Hold(place) => format!("held up: {}", flight(place)),
            Action::Tick => String::from("time passes"),
        }
    }

    /// Has it happen.
    pub(crate) fn apply(&mut self, action: Action) {
        self.faults = self.faults.saturating_sub(action.cost(self));
        match action {
            Action::Issue(side) => self.issue(side),
            Action::Job(side) => self.job(side),
            Action::Deliver(place) => {
                self.messages = self.messages.saturating_sub(1);
                let flight = self.wire.remove(place);
                self.deliver(&flight);
            }
            Action::Twice(place) => {
                self.messages = self.messages.saturating_sub(1);
                let flight = self.wire[place].clone();
                self.wire[place].late = true;
                self.deliver(&flight);
            }
            Action::Drop(place) => {
                self.messages = self.messages.saturating_sub(1);
                self.wire.remove(place);
            }
            Action::Hold(place) => self.wire[place].late = true,
            Action::Tick => self.tick(),
        }
        self.traffic();
    }

    /// Gives the left side these commands, one after the other, and has each come to its end.
    pub(crate) fn prepare(&mut self, commands: &[Command]) {
        for command in commands {
            self.command(Side::Left, *command);
            for _ in 0..1_000 {
                if !self.calm_step() {
                    break;
                }
            }
        }
        self.traffic();
    }

    /// A step of the conversation without a new command, and without waiting.
    fn calm_step(&mut self) -> bool {
        let next =
            self.actions().into_iter().find(|action| matches!(action, Action::Job(_) | Action::Deliver(_)));
        next.map(|next| self.apply(next)).is_some()
    }

    /// Since the search began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - Instant::from_secs(3600)
    }

    /// One step of a run in which nothing goes wrong; `false` when there is nothing to do at all.
    pub(crate) fn go_on(&mut self) -> bool {
        let next = self.actions().into_iter().find(|action| match action {
            Action::Issue(_) | Action::Job(_) | Action::Deliver(_) => true,
            Action::Tick => self.ends.iter().all(|end| end.jobs.is_empty()),
            _ => false,
        });
        let Some(next) = next else { return false };
        self.apply(next);
        true
    }

    fn issue(&mut self, side: Side) {
        let end = &mut self.ends[index(side)];
        let Some(command) = self.scenario.commands(side).get(end.issued).copied() else { return };
        end.issued += 1;
        self.command(side, command);
    }

    fn command(&mut self, side: Side, command: Command) {
        let now = self.now;
        let end = &mut self.ends[index(side)];
        let youngest = end
            .endpoint
            .ike_sas()
            .filter(|info| info.state == IkeSaState::Established)
            .max_by_key(|info| (!info.children.is_empty(), info.handle));
        let ike = youngest.as_ref().map(|info| info.handle);
        let child = |place: usize| {
            let wanted = super::child_name(place);
            let of_it = youngest.as_ref()?.children.iter().filter(|child| child.child == wanted);
            of_it.max_by_key(|child| end.children.get(&child.inbound).map_or(0, |known| known.rank))
        };
        let endpoint = &mut end.endpoint;
        // What there is nothing to be done to is not done.
        let result = match (command, ike) {
            (Command::Connect, _) => endpoint.connect(now, ConnectionId(0), Some(0), None).map(|_| ()),
            (Command::RebindNat, _) => {
                self.nat = self.nat.map(|nat| Nat { port: nat.port + 1 });
                Ok(())
            }
            (_, None) => Ok(()),
            (Command::RekeyIke, Some(ike)) => endpoint.rekey_ike(now, ike),
            (Command::DeleteIke, Some(ike)) => endpoint.delete_ike(now, ike),
            (Command::Liveness, Some(ike)) => endpoint.check_liveness(now, ike),
            (Command::CreateChild(place), Some(ike)) => endpoint.create_child(now, ike, place, None),
            (Command::RekeyChild(place), Some(ike)) => match child(place).map(|child| child.inbound) {
                Some(spi) => endpoint.rekey_child(now, ike, spi),
                None => Ok(()),
            },
            (Command::DeleteChild(place), Some(ike)) => match child(place).map(|child| child.inbound) {
                Some(spi) => endpoint.delete_child(now, ike, spi),
                None => Ok(()),
            },
        };
        if !matches!(
            result,
            Ok(()) | Err(ApiMisuse::WrongState | ApiMisuse::UnknownIkeSa | ApiMisuse::UnknownChild)
        ) {
            self.violate(format!("{command:?}: {result:?}"));
        }
        self.drain(side);
    }

    fn job(&mut self, side: Side) {
        let now = self.now;
        let end = &mut self.ends[index(side)];
        let Some((op, job)) = end.jobs.pop_front() else { return };
        let provider: CryptoProvider = crate::insecure::provider();
        let request = match job {
            Job::Start(method) => KeyExchangeJob::Start { method },
            Job::Respond(method, peer) => KeyExchangeJob::Respond { method, peer },
            Job::Complete(active, peer) => KeyExchangeJob::Complete { active, peer },
            Job::Install(child) => {
                match end.closed_early.iter().position(|spi| *spi == child.inbound) {
                    Some(place) => {
                        end.closed_early.remove(place);
                    }
                    None => self.install(side, child),
                }
                let end = &mut self.ends[index(side)];
                let _ = end.endpoint.answer(now, op, Answer::Installed(Ok(())));
                return self.drain(side);
            }
        };
        let mut rng = Dice { luck: self.luck.clone(), jitter: jitter(side) };
        if let Ok(answer) = Request::KeyExchange(request).execute(&provider, &mut rng) {
            // A job whose IKE SA is gone has nobody to answer to.
            let _ = end.endpoint.answer(now, op, answer);
        }
        self.drain(side);
    }

    fn deliver(&mut self, flight: &Flight) {
        let mut target = flight.target;
        if let (Some(nat), Side::Left, false) = (self.nat, flight.to, target.port() == 500) {
            if target.port() != nat.port || target.ip() != core::net::IpAddr::from(OUTSIDE) {
                return;
            }
            target = SocketAddr::from((LEFT, 4500));
        }
        let path = if target.port() == 4500 {
            Path::udp_encap(target, flight.source)
        } else {
            Path::udp(target, flight.source)
        };
        let mut data = flight.data.to_vec();
        let input = Input::Datagram { now: self.now, path, ecn: 0, data: &mut data };
        let _ = self.ends[index(flight.to)].endpoint.handle_input(input);
        self.drain(flight.to);
    }

    fn tick(&mut self) {
        let Some(next) = self.ends.iter().filter_map(|end| end.timeout).min() else { return };
        self.now = self.now.max(next);
        for side in SIDES {
            if self.ends[index(side)].timeout.is_some_and(|at| at <= self.now) {
                let _ = self.ends[index(side)].endpoint.handle_input(Input::Timeout(self.now));
                self.drain(side);
            }
        }
    }

    fn drain(&mut self, side: Side) {
        let at = index(side);
        for _ in 0..MOST_OUTPUTS {
            let end = &mut self.ends[at];
            let wanted = end.endpoint.spis_wanted();
            if wanted > 0 {
                let base = (at as u32 + 1) << 16;
                let from = base + end.supplied;
                let count = u32::try_from(wanted).unwrap_or(u32::MAX);
                end.supplied += count;
                end.endpoint.supply_spis((from..from + count).map(Spi));
            }
            match end.endpoint.poll_output() {
                Output::Timeout(timeout) => {
                    end.timeout = timeout;
                    return;
                }
                Output::Transmit { path, data, .. } => self.transmit(side, &path, data),
                Output::Event(_, event) => self.take(side, event),
            }
        }
        self.violate(String::from("one side does not stop talking"));
    }

    fn transmit(&mut self, side: Side, path: &Path, data: Vec<u8>) {
        if data != [0xff] {
            self.inspect(side, &data);
        }
        let (mut source, target) = (path.local, path.remote);
        if self.ladder.is_some() {
            self.record.sent.push((self.now, source, target, data.clone()));
        }
        if let (Some(nat), Side::Left) = (self.nat, side) {
            // The set-up goes through its own mapping of the other port, which stays.
            let port = if source.port() == 4500 { nat.port } else { 9_999 };
            source = SocketAddr::from((OUTSIDE, port));
        }
        if self.nat.is_some() && target.port() == 9_999 {
            return self.wire.push(Flight {
                to: Side::Left,
                source,
                target: SocketAddr::from((LEFT, 500)),
                data: data.into(),
                late: false,
            });
        }
        self.wire.push(Flight { to: side.other(), source, target, data: data.into(), late: false });
    }

    /// Nothing in clear; no message id and no IV for two messages.
    fn inspect(&mut self, side: Side, data: &[u8]) {
        let data = data.strip_prefix(&[0; 4]).unwrap_or(data);
        let Some((header, body)) = data.split_at_checked(28) else {
            return self.violate(format!("{} octets were sent", data.len()));
        };
        let (exchange, response) = (header[18], header[19] & 0x20);
        let octets = hash(data);
        let protected = matches!(header[16], 46 | 53);
        // IKE_SA_INIT, and answers to what belongs to no IKE SA.
        if !protected && exchange != 34 && header[16] != 41 {
            return self.violate(String::from("a message in clear"));
        }
        if !protected {
            return;
        }
        let mut what = header[..16].to_vec();
        what.extend([index(side) as u8, response]);
        what.extend(&header[20..24]);
        self.once("a message id", &what, octets);
        let mut what = header[..16].to_vec();
        what.extend([index(side) as u8, 0xee]);
        what.extend(body.get(4..12).unwrap_or_default());
        self.once("an IV", &what, octets);
    }

    fn once(&mut self, kind: &str, what: &[u8], octets: u64) {
        let what = hash(what);
        let mut link = &self.used;
        while let Some(used) = link {
            if used.what == what {
                if used.octets != octets {
                    self.violate(format!("{kind} was used twice"));
                }
                return;
            }
            link = &used.before;
        }
        self.used = Some(Arc::new(Used { what, octets, before: self.used.take() }));
    }

    fn take(&mut self, side: Side, event: Event) {
        let at = index(side);
        match event {
            Event::Exchange(trace) => {
                if let Some(ladder) = &mut self.ladder {
                    ladder.add(side, Record::from(*trace));
                }
            }
            Event::Keys(line) => self.record.keys.push(line),
            Event::Needs { op, what, .. } => {
                let job = match what {
                    Request::KeyExchange(KeyExchangeJob::Start { method }) => Job::Start(method),
                    Request::KeyExchange(KeyExchangeJob::Respond { method, peer }) => {
                        Job::Respond(method, peer)
                    }
                    Request::KeyExchange(KeyExchangeJob::Complete { active, peer }) => {
                        Job::Complete(active, peer)
                    }
                    Request::Install(install) => Job::Install(self.reserve(side, &install)),
                    other => return self.violate(format!("nobody can do {other:?}")),
                };
                self.ends[at].jobs.push_back((op, job));
            }
            Event::ChildInstalled(install) => {
                let child = self.reserve(side, &install);
                self.install(side, child);
            }
            Event::ChildClosed { inbound, .. } => self.close(side, inbound),
            Event::ChildMoved(update) => {
                if let Some(child) = self.ends[at].children.get_mut(&update.inbound) {
                    child.outer = update.outer;
                }
            }
            Event::SpiReleased(_) => self.ends[at].released += 1,
            Event::ChildFailed { child, error } => {
                self.ends[at].failures += 1;
                if let Some(ladder) = &mut self.ladder {
                    ladder.note(self.now, &format!("{side:?}: {child} failed: {error}"));
                }
            }
            Event::IkeClosed { reason } => {
                if matches!(reason, ikev2_core::CloseReason::Failed(_) | ikev2_core::CloseReason::Expired) {
                    self.ends[at].failures += 1;
                }
                if let Some(ladder) = &mut self.ladder {
                    ladder.note(self.now, &format!("{side:?}: an IKE SA is gone: {reason}"));
                }
            }
            _ => {}
        }
    }

    fn reserve(&mut self, side: Side, install: &ChildInstall) -> Child {
        let inbound_key = hash(install.inbound.keys.encr.expose());
        let outbound_key = hash(install.outbound.keys.encr.expose());
        for (key, spi) in [(inbound_key, install.inbound.spi), (outbound_key, install.outbound.spi)] {
            let what = [&key.to_be_bytes()[..], &[index(side) as u8]].concat();
            self.once("a key", &what, u64::from(spi.0) | 1 << 40);
        }
        let end = &mut self.ends[index(side)];
        end.installed += 1;
        Child {
            name: install.child.as_str().into(),
            inbound: install.inbound.spi,
            outbound: install.outbound.spi,
            inbound_key,
            outbound_key,
            replaces: install.replaces,
            standby: install.outbound_use == OutboundUse::AfterFirstInbound && install.replaces.is_some(),
            never: install.outbound_use == OutboundUse::Never,
            outer: install.outbound.outer,
            rank: 0,
        }
    }

    fn install(&mut self, side: Side, mut child: Child) {
        let end = &mut self.ends[index(side)];
        if !child.standby && !child.never {
            end.ranks += 1;
            child.rank = end.ranks;
        }
        if end.children.insert(child.inbound, child).is_some() {
            self.violate(String::from("an SPI that is in use was installed"));
        }
    }

    fn close(&mut self, side: Side, inbound: Spi) {
        let end = &mut self.ends[index(side)];
        if end.children.remove(&inbound).is_none() {
            end.closed_early.push(inbound);
            return;
        }
        let taken_over = end
            .children
            .values()
            .any(|other| other.replaces == Some(inbound) && !other.standby && !other.never);
        if taken_over {
            return;
        }
        let heir = end.children.values_mut().find(|other| other.replaces == Some(inbound) && other.standby);
        if let Some(heir) = heir {
            end.ranks += 1;
            (heir.standby, heir.rank) = (false, end.ranks);
        }
    }

    /// Packets of every child in both directions, and how long they have not arrived.
    fn traffic(&mut self) {
        for _ in 0..2 {
            for side in SIDES {
                for place in 0..self.scenario.children {
                    let Some(spi) = self.arrives(side, place) else { continue };
                    let end = &mut self.ends[index(side.other())];
                    if let Some(child) = end.children.get_mut(&spi)
                        && core::mem::take(&mut child.standby)
                    {
                        end.ranks += 1;
                        child.rank = end.ranks;
                    }
                }
            }
        }
        let all = (0..self.scenario.children)
            .all(|place| SIDES.iter().all(|side| self.arrives(*side, place).is_some()));
        self.up |= all && SIDES.iter().all(|side| self.ends[index(*side)].failures == 0);
        for side in SIDES {
            for place in 0..self.scenario.children {
                let sends = self.current(side, place).is_some();
                let wanted = sends || (self.up && self.scenario.stays);
                let dark = wanted && self.arrives(side, place).is_none();
                let since = &mut self.ends[index(side)].dark[place];
                match (dark, *since) {
                    (true, None) => *since = Some(self.now),
                    (true, Some(since)) => {
                        self.longest_dark = self.longest_dark.max(self.now.saturating_since(since));
                    }
                    (false, Some(began)) => {
                        *since = None;
                        self.longest_dark = self.longest_dark.max(self.now.saturating_since(began));
                    }
                    (false, None) => {}
                }
            }
        }
        if self.longest_dark > self.scenario.longest_dark {
            self.violate(format!("packets did not arrive for {:?}", self.longest_dark));
        }
    }

    /// The Child SA that a side sends on.
    fn current(&self, side: Side, place: usize) -> Option<&Child> {
        let name = super::child_name(place);
        let usable = self.ends[index(side)]
            .children
            .values()
            .filter(|child| *child.name == *name && !child.standby && !child.never);
        usable.max_by_key(|child| child.rank)
    }

    /// The SPI on which the packets of a side arrive.
    fn arrives(&self, side: Side, place: usize) -> Option<Spi> {
        let child = self.current(side, place)?;
        let other = self.ends[index(side.other())].children.get(&child.outbound)?;
        if other.inbound_key != child.outbound_key {
            return None;
        }
        if let (Some(nat), Side::Right) = (self.nat, side) {
            let Encapsulation::Udp { remote_port, .. } = child.outer.encapsulation else { return None };
            if remote_port != nat.port {
                return None;
            }
        }
        Some(other.inbound)
    }

    pub(crate) fn violate(&mut self, why: String) {
        self.violation.get_or_insert(why);
    }

    /// Whether nothing is under way any more and nothing will be soon.
    pub(crate) fn quiet(&self) -> bool {
        self.wire.is_empty()
            && SIDES.iter().all(|side| {
                let end = &self.ends[index(*side)];
                end.issued == self.scenario.commands(*side).len()
                    && end.jobs.is_empty()
                    && end.timeout.is_none_or(|at| at > self.now + Duration::from_secs(5))
                    && end.endpoint.ike_sas().all(|info| info.state == IkeSaState::Established)
            })
    }

    /// What must hold once all is quiet.
    pub(crate) fn check(&self) -> Result<(), String> {
        let [left, right] = &self.ends;
        let ikes = |end: &End| {
            let mut spis: Vec<_> = end.endpoint.ike_sas().map(|info| (info.spi_i, info.spi_r)).collect();
            spis.sort_unstable();
            spis
        };
        if ikes(left) != ikes(right) {
            return Err(format!("IKE SAs {:?} on the left, {:?} on the right", ikes(left), ikes(right)));
        }
        if left.children.len() != right.children.len() {
            let (left, right) = (left.children.len(), right.children.len());
            return Err(format!("{left} Child SAs on the left, {right} on the right"));
        }
        for child in left.children.values() {
            let Some(other) = right.children.get(&child.outbound) else {
                return Err(format!("the right does not know {}", child.outbound));
            };
            if (child.inbound, child.inbound_key, child.outbound_key)
                != (other.outbound, other.outbound_key, other.inbound_key)
            {
                return Err(format!("the keys of {} differ", child.outbound));
            }
        }
        for end in &self.ends {
            let known: Vec<Spi> = end
                .endpoint
                .ike_sas()
                .flat_map(|info| info.children.into_iter().map(|child| child.inbound))
                .collect();
            if known.len() != end.children.len() || !known.iter().all(|spi| end.children.contains_key(spi)) {
                return Err(format!("installed {:?}, known {known:?}", end.children.keys()));
            }
            let taken = end.supplied.saturating_sub(16);
            if taken != end.installed + end.released {
                let (installed, released) = (end.installed, end.released);
                return Err(format!("SPIs: {taken} taken, {installed} installed, {released} given back"));
            }
        }
        let failed = left.failures + right.failures > 0;
        if failed && !self.scenario.may_fail {
            return Err(String::from("a failure was reported"));
        }
        if self.scenario.stays && !failed {
            if ikes(left).len() != 1 {
                return Err(format!("{} IKE SAs", ikes(left).len()));
            }
            for place in 0..self.scenario.children {
                let name = super::child_name(place);
                let count = left.children.values().filter(|child| *child.name == *name).count();
                if count != 1 {
                    return Err(format!("{count} Child SAs {name}"));
                }
                for side in SIDES {
                    if self.arrives(side, place).is_none() {
                        return Err(format!("packets of {name} from the {side:?} do not arrive"));
                    }
                }
            }
        }
        if !self.scenario.stays && ikes(left).len() > 1 {
            return Err(format!("{} IKE SAs", ikes(left).len()));
        }
        Ok(())
    }

    pub(crate) fn addresses() -> [core::net::IpAddr; 2] {
        [LEFT.into(), RIGHT.into()]
    }
}
