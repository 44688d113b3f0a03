//! Every future of two endpoints within limits: each datagram may arrive, be lost, arrive twice, or be held up so that
//! others overtake it and timers go off; each command may be given at any moment; each nonce may be a low or a high one.
//!
//! States that differ only in what generators made up count as one ([`ikev2_core::sketch`]), so that the search ends. A
//! search says how many states there are and what it has cut off; a failure is printed with the command that runs it
//! again ([`Failure`]).
//!
//! What a limit means: the first `messages` datagrams whose fate is decided may suffer `faults` mishaps among them; the
//! order of everything else is free until then. From there on nothing goes wrong, and the run goes on until both sides
//! are quiet, which must come about within [`SETTLING`].
//!
//! What must hold all the time: nothing in clear, no message id, IV or nonce for two messages, every key of an IKE SA and
//! of a Child SA its own, the latter out of SK_d of the IKE SA it was made on.
//!
//! Eight datagrams with two mishaps are searched in every scenario by `cargo test`, nothing cut off. Twelve with three were
//! searched to their end (numbers of states are of the code of that day), in 64 shares that overlap, in these: set-up (265,232 states) and set-up-offloaded (285,125),
//! rekey-against-delete (2,168,952), rekey-against-ike-delete (254,802), ike-rekey-against-ike-delete (532,131),
//! ike-rekey-against-child-delete (3,179,768), liveness-against-child-rekey (2,400,647) and
//! liveness-against-ike-rekey (4,042,010), reauthentication (463,619), reauthentication-offloaded (489,494) and
//! reauthentication-against-child-rekey (5,483,059), kept-against-ike-delete (393,142); and in one piece,
//! set-up-intermediate (49,018) and set-up-intermediate-offloaded (55,552), rekey-against-ike-delete (24,489),
//! child-rekey-against-ike-rekey (645,191), nat-rebinding-against-rekey (615,707), ike-rekey (1,086,947),
//! child-rekey-pfs (1,380,239), child-rekey (921,591), reauthentication-against-ike-rekey (599,325), both-rekeys-on-both-sides (4,211,800),
//! two-children (3,246,816), ike-rekey-offloaded (2,589,915) and child-rekey-offloaded (6,967,690).

mod canon;
mod dice;
mod scenarios;
mod world;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use std::collections::HashSet;

use ikev2_core::{ConnectionConfig, EndpointConfig};

use crate::ladder::Side;
pub use scenarios::SCENARIOS;
use world::World;

/// How long two endpoints may take, when nothing goes wrong any more, until they are quiet and agree: a replaced IKE SA
/// waits a minute for its deletion, a closed one answers for half a minute, and a liveness check takes its retransmissions.
pub const SETTLING: Duration = Duration::from_secs(240);

/// One thing that a side is told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Set up an IKE SA with the first child.
    Connect,
    /// Replace the Child SA of this number.
    RekeyChild(usize),
    /// Delete the Child SA of this number.
    DeleteChild(usize),
    /// Make a Child SA of this number.
    CreateChild(usize),
    /// Replace the IKE SA.
    RekeyIke,
    /// Delete the IKE SA.
    DeleteIke,
    /// Ask for a sign of life.
    Liveness,
    /// Make the IKE SA and its children anew, and delete the old one.
    Reauthenticate,
    /// The NAT before the left side forgets its mapping.
    RebindNat,
}

/// Where a search begins, and what must hold in it.
#[derive(Debug)]
pub struct Scenario {
    /// Its name, for the command line.
    pub name: &'static str,
    /// What happens first, without mishaps, on the left: before the search.
    before: &'static [Command],
    left: &'static [Command],
    right: &'static [Command],
    /// How many children there are.
    children: usize,
    /// Whether the child's own rekey has a key exchange.
    pfs: bool,
    /// Whether slow steps are done outside, each when the search wants.
    offload: bool,
    /// Whether there is a NAT before the left side.
    nat: bool,
    /// Whether there is an IKE_INTERMEDIATE exchange.
    intermediate: bool,
    /// Whether it matters which nonce is lower.
    nonces: bool,
    /// Whether everything is to be there in the end.
    stays: bool,
    /// Whether the left side keeps its first child up, whatever happens to it.
    keeps: bool,
    /// How often a request is sent before its peer is given up.
    tries: u8,
    /// Whether a failure may be reported.
    may_fail: bool,
    /// How long packets of either side may be sent and not arrive.
    longest_dark: Duration,
    /// How long it may take until all is quiet once nothing goes wrong any more.
    settling: Duration,
}

pub(crate) fn child_name(place: usize) -> &'static str {
    ["first", "second"][place % 2]
}

/// What a search may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How many datagrams have their fate decided.
    pub messages: u8,
    /// How many mishaps there may be.
    pub faults: u8,
    /// After so many states the search stops and says so.
    pub states: u64,
}

/// What a search came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// States, each counted once.
    pub states: u64,
    /// Steps between them.
    pub steps: u64,
    /// States in which the last message was decided, or all was quiet: each was followed to its end.
    pub ends: u64,
    /// Of these, how many were different.
    pub different_ends: u64,
    /// States that were not looked at, because the limit of states was reached.
    pub cut_off: u64,
    /// The longest time in which packets did not arrive.
    pub longest_dark: Duration,
    /// The longest time that an end took until all was quiet.
    pub longest_settling: Duration,
    /// The first thing that must not be.
    pub failure: Option<Failure>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states, {} steps, {} ends ({} different), {} cut off, packets lost for at most {:?}, quiet after {:?}",
            self.states,
            self.steps,
            self.ends,
            self.different_ends,
            self.cut_off,
            self.longest_dark,
            self.longest_settling
        )
    }
}

/// What must not be, and the way there.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The limits of the search.
    pub limits: Limits,
    /// The choices, to be handed to [`replay`].
    pub trail: String,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, limits, trail, why } = self;
        writeln!(f, "{scenario}: {why}\nagain:")?;
        write!(
            f,
            "  cargo run -p testkit --bin explore -- replay {scenario} {} {} {trail}",
            limits.messages, limits.faults
        )
    }
}

/// More choices than this do not lead to an end.
const LONGEST_TRAIL: u32 = 2_000;

/// The choices that led to a state, the last one first.
#[derive(Debug)]
struct Trail {
    choice: (u8, bool),
    length: u32,
    before: Option<Arc<Trail>>,
}

fn spell(trail: Option<&Arc<Trail>>) -> String {
    let mut choices = Vec::new();
    let mut link = trail;
    while let Some(trail) = link {
        choices.push(trail.choice);
        link = trail.before.as_ref();
    }
    let spelled =
        choices.iter().rev().map(|(action, high)| format!("{action}{}", if *high { "h" } else { "l" }));
    spelled.collect::<Vec<_>>().join("-")
}

/// Both sides as they are before the search.
fn start(scenario: &'static Scenario, limits: Limits, record: bool) -> World {
    let mut world = World::new(scenario, (0, u8::MAX), record);
    world.prepare(scenario.before);
    (world.faults, world.messages) = (limits.faults, limits.messages);
    world
}

/// Follows a run in which nothing goes wrong any more to its end.
fn settle(world: &mut World) -> Result<Duration, String> {
    world.faults = 0;
    let began = world.now;
    let end = began + SETTLING;
    let mut steps = 0u32;
    let mut wrong = String::from("it does not come to an end");
    loop {
        if let Some(why) = &world.violation {
            return Err(why.clone());
        }
        if world.quiet() {
            match world.check() {
                Ok(()) => return Ok(world.now - began),
                Err(why) => wrong = why,
            }
        }
        steps += 1;
        if world.now > end || steps > 10_000 || !world.go_on() {
            return Err(format!("{wrong} ({:?} after the last mishap)", world.now - began));
        }
    }
}

/// A search that can be split: the states after a few steps, each the beginning of its own search.
pub struct Search {
    limits: Limits,
    visited: HashSet<u128>,
    ended: HashSet<u128>,
    outcome: Outcome,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Search {
    /// Nothing was looked at yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, visited: HashSet::new(), ended: HashSet::new(), outcome: Outcome::default() }
    }

    /// Looks at every future of a scenario, or of the `part`th of `parts` shares of them.
    pub fn run(
        &mut self,
        scenario: &'static Scenario,
        part: (usize, usize),
        mut progress: impl FnMut(&Outcome),
    ) -> Outcome {
        let world = start(scenario, self.limits, false);
        let mut stack: Vec<(World, Option<Arc<Trail>>)> = vec![(world, None)];
        // To split, go breadth first until there are a few states for each share.
        if part.1 > 1 {
            while !stack.is_empty() && stack.len() < 16 * part.1 && self.outcome.failure.is_none() {
                let mut next = Vec::new();
                for (world, trail) in stack.drain(..) {
                    self.expand(world, trail, &mut next);
                }
                stack = next;
            }
            let mut place = 0;
            stack.retain(|_| {
                place += 1;
                (place - 1) % part.1 == part.0
            });
        }
        while let Some((world, trail)) = stack.pop() {
            self.expand(world, trail, &mut stack);
            if self.outcome.failure.is_some() {
                break;
            }
            if self.outcome.states >= self.limits.states {
                self.outcome.cut_off = stack.len() as u64;
                break;
            }
            if self.outcome.states.is_multiple_of(100_000) {
                progress(&self.outcome);
            }
        }
        self.outcome.clone()
    }

    fn expand(
        &mut self,
        world: World,
        trail: Option<Arc<Trail>>,
        stack: &mut Vec<(World, Option<Arc<Trail>>)>,
    ) {
        self.outcome.longest_dark = self.outcome.longest_dark.max(world.longest_dark);
        if !self.visited.insert(world.fingerprint(true)) {
            return;
        }
        self.outcome.states += 1;
        let mut fail = |why: String, trail: Option<&Arc<Trail>>| {
            self.outcome.failure.get_or_insert_with(|| Failure {
                scenario: world.scenario.name,
                limits: self.limits,
                trail: spell(trail),
                why,
            });
        };
        if let Some(why) = &world.violation {
            return fail(why.clone(), trail.as_ref());
        }
        if world.messages == 0 || world.quiet() {
            self.outcome.ends += 1;
            if self.ended.insert(world.fingerprint(false)) {
                self.outcome.different_ends += 1;
                let mut end = world.fork(false);
                match settle(&mut end) {
                    Ok(time) if time > world.scenario.settling => {
                        fail(format!("all is quiet after {time:?} only"), trail.as_ref());
                    }
                    Ok(time) => {
                        self.outcome.longest_settling = self.outcome.longest_settling.max(time);
                    }
                    Err(why) => fail(why, trail.as_ref()),
                }
                self.outcome.longest_dark = self.outcome.longest_dark.max(end.longest_dark);
            }
            return;
        }
        if trail.as_ref().is_some_and(|trail| trail.length > LONGEST_TRAIL) {
            return fail(String::from("it goes on and on"), trail.as_ref());
        }
        let actions = world.actions();
        if actions.is_empty() {
            return fail(String::from("nothing can happen any more"), trail.as_ref());
        }
        for (place, action) in actions.into_iter().enumerate() {
            for high in [false, true] {
                let mut next = world.fork(high);
                next.apply(action);
                self.outcome.steps += 1;
                let drew = next.luck.drew_nonce();
                let choice = (u8::try_from(place).unwrap_or(u8::MAX), high);
                let length = trail.as_ref().map_or(1, |trail| trail.length + 1);
                stack.push((next, Some(Arc::new(Trail { choice, length, before: trail.clone() }))));
                // Without a nonce drawn there is no second future.
                if !drew || !world.scenario.nonces {
                    break;
                }
            }
        }
    }
}

/// The scenario of this name.
#[must_use]
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// A run again, step by step.
#[derive(Debug)]
pub struct Replay {
    /// What happened, a line for each choice, then the ladder.
    pub text: String,
    /// What is wrong, if anything.
    pub why: Option<String>,
    /// Every datagram: when, from, to, octets.
    pub sent: Vec<(ipsec_sa::Instant, core::net::SocketAddr, core::net::SocketAddr, Vec<u8>)>,
    /// Lines for Wireshark.
    pub keys: Vec<ikev2_core::KeyLogLine>,
}

/// Runs a failure's trail again.
///
/// # Errors
/// The trail does not fit the scenario.
pub fn replay(scenario: &'static Scenario, limits: Limits, trail: &str) -> Result<Replay, String> {
    let mut world = start(scenario, limits, true);
    let mut text = String::new();
    for choice in trail.split('-').filter(|choice| !choice.is_empty()) {
        let (number, high) = choice.split_at(choice.len() - 1);
        let place: usize = number.parse().map_err(|_| format!("{choice} is no choice"))?;
        let action = *world.actions().get(place).ok_or_else(|| format!("there is no choice {choice}"))?;
        world.luck.choose(high == "h");
        let step = world.describe(action);
        text += &format!("{:>10.3} {step}\n", world.elapsed().as_secs_f64());
        if let Some(ladder) = &mut world.ladder {
            ladder.note(world.now, &step);
        }
        world.apply(action);
    }
    let why = settle(&mut world).err();
    if let Some(ladder) = world.ladder.take() {
        text += &ladder.to_string();
    }
    Ok(Replay { text, why, sent: world.record.sent, keys: world.record.keys })
}

impl Scenario {
    pub(crate) fn commands(&self, side: Side) -> &'static [Command] {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }

    pub(crate) fn host(&self, side: Side) -> (EndpointConfig, ConnectionConfig) {
        scenarios::host(self, side)
    }
}

/// The names of all scenarios.
#[must_use]
pub fn names() -> BTreeSet<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}
