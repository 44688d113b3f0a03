//! Two endpoints, what is on the wire between them, and a model of their packets: everything that a choice changes.

mod action;
mod data_plane;
mod invariants;
mod io;
mod key_use;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;

use ikev2_core::sketch::Sketch;
use ikev2_core::{Endpoint, OpId};
use ipsec_sa::Instant;
use ipsec_wire::Spi;

use super::Scenario;
use super::canon::Canon;
use super::dice::{Dice, Luck};
use crate::ladder::{Ladder, Side};
use data_plane::Child;
use invariants::Used;
use io::Job;

pub(crate) const SIDES: [Side; 2] = [Side::Left, Side::Right];

const fn index(side: Side) -> usize {
    match side {
        Side::Left => 0,
        Side::Right => 1,
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

const LEFT: [u8; 4] = [192, 0, 2, 1];
const RIGHT: [u8; 4] = [192, 0, 2, 2];
const OUTSIDE: [u8; 4] = [192, 0, 2, 99];

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
        let provider = key_use::provider();
        let ends = SIDES.map(|side| {
            let (mut config, connection) = scenario.host(side);
            config.trace = record;
            // Who the keys of the IKE SA belong to is watched.
            config.key_log = true;
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

    /// Since the search began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - Instant::from_secs(3600)
    }

    pub(crate) fn addresses() -> [core::net::IpAddr; 2] {
        [LEFT.into(), RIGHT.into()]
    }
}
