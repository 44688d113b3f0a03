//! Long runs out of a seed: hours of two gateways on a link that loses one datagram in ten, with lifetimes of minutes, a
//! NAT that forgets, and peers that restart.
//!
//! What must hold all the time: packets pass each way, but for at most [`DARKEST`]; neither side piles up IKE SAs or
//! Child SAs; no message id is used for two messages. And in the end, on a good link: both sides know the same one IKE
//! SA and the same one Child SA.

use alloc::collections::BTreeMap;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use ikev2_core::config::Startup;
use ipsec_sa::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::capture::Capture;
use crate::keylog::KeyLog;
use crate::ladder::Side;
use crate::network::Link;
use crate::pair::{Host, Pair, Setup};

/// The longest time in which packets need not pass: a liveness check must come due, fail, and the new set-up get
/// through, all of it with losses.
pub const DARKEST: Duration = Duration::from_secs(600);

/// More IKE SAs at once than this are a pile.
const MOST_IKE_SAS: usize = 8;

/// More Child SAs at once than this are a pile.
const MOST_CHILDREN: usize = 8;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How long it was.
    pub simulated: Duration,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Peers restarted.
    pub restarts: u32,
    /// Mappings forgotten.
    pub rebindings: u32,
    /// The longest time in which packets did not pass.
    pub longest_dark: Duration,
    /// The most IKE SAs that a side had.
    pub most_ike_sas: usize,
    /// What must not be.
    pub failure: Option<String>,
}

impl Outcome {
    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.simulated += other.simulated;
        self.datagrams += other.datagrams;
        self.restarts += other.restarts;
        self.rebindings += other.rebindings;
        self.longest_dark = self.longest_dark.max(other.longest_dark);
        self.most_ike_sas = self.most_ike_sas.max(other.most_ike_sas);
        self.failure = self.failure.or(other.failure);
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} h simulated, {} datagrams, {} restarts, {} rebindings, packets lost for at most {:.0?}, at most {} \
             IKE SAs",
            self.simulated.as_secs_f64() / 3600.0,
            self.datagrams,
            self.restarts,
            self.rebindings,
            self.longest_dark,
            self.most_ike_sas
        )
    }
}

/// What is kept of a run that is looked at closely.
#[derive(Clone, Debug)]
pub struct Keep<'a> {
    /// For the capture and the key logs.
    pub folder: &'a std::path::Path,
}

const OUTSIDE: [IpAddr; 2] = [
    IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 98)),
    IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 99)),
];

/// Whether there is a NAT before the left side in the run of this seed.
fn has_nat(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

/// Whether slow steps are done outside, and take so long.
fn job_time(seed: u64) -> Option<Duration> {
    (seed % 4 >= 2).then_some(Duration::from_millis(700))
}

fn setup(seed: u64, generation: u32, keep: bool) -> Setup {
    let esp = if seed.is_multiple_of(3) { "aes128gcm16-x25519" } else { "aes128gcm16" };
    let seed_now = seed ^ u64::from(generation) << 48;
    let mut setup = Setup::psk(seed_now, "aes128gcm16-prfsha256-x25519", esp).insecure().over(
        Link { jitter: Duration::from_millis(20), duplication: 10, reordering: 20, ..Link::GOOD }
            .with_loss(100),
    );
    let change = |host: &mut Host| {
        host.endpoint.trace = keep;
        host.endpoint.key_log = keep;
        host.endpoint.retransmit.tries = 8;
        host.connection.lifetime.rekey = Some(Duration::from_secs(3600));
        host.connection.lifetime.hard = Some(Duration::from_secs(4200));
        host.connection.liveness = Some(Duration::from_secs(120));
        host.connection.nat_keepalive = Some(Duration::from_secs(120));
        for child in &mut host.connection.children {
            child.lifetimes.soft.time = Some(Duration::from_secs(900));
            child.lifetimes.hard.time = Some(Duration::from_secs(1200));
        }
        if let Some(time) = job_time(seed) {
            host.offload(time);
        }
    };
    setup = setup.with_hosts(change);
    for child in &mut setup.left.connection.children {
        child.startup = Startup::Keep;
    }
    if has_nat(seed) {
        setup.right.connection.remote = None;
    }
    setup
}

/// Whether a packet passes each way: there is a Child SA that both sides have, with the same keys.
fn passes(pair: &Pair) -> bool {
    pair.left.children.values().any(|child| {
        pair.right.children.get(&child.outbound.spi).is_some_and(|other| {
            other.outbound.spi == child.inbound.spi
                && other.inbound.keys.encr == child.outbound.keys.encr
                && other.outbound.keys.encr == child.inbound.keys.encr
        })
    })
}

struct Watch {
    passed_at: Instant,
    used: BTreeMap<[u8; 22], u64>,
    outcome: Outcome,
}

impl Watch {
    fn look(&mut self, pair: &mut Pair) -> Result<(), String> {
        let now = pair.clock.now();
        if passes(pair) {
            self.passed_at = now;
        }
        let dark = now - self.passed_at;
        self.outcome.longest_dark = self.outcome.longest_dark.max(dark);
        if dark > DARKEST {
            return Err(format!("packets did not pass for {dark:?}"));
        }
        for side in [Side::Left, Side::Right] {
            let node = pair.node_mut(side);
            node.events.clear();
            let (ikes, children) = (node.endpoint.ike_sas().count(), node.children.len());
            self.outcome.most_ike_sas = self.outcome.most_ike_sas.max(ikes);
            if ikes > MOST_IKE_SAS || children > MOST_CHILDREN {
                return Err(format!("{ikes} IKE SAs and {children} Child SAs on the {side:?}"));
            }
        }
        pair.discarded.clear();
        self.outcome.datagrams += pair.sent.len() as u64;
        for datagram in core::mem::take(&mut pair.sent) {
            let data = datagram.data.strip_prefix(&[0; 4]).unwrap_or(&datagram.data);
            let (Some(head), true) = (data.first_chunk::<24>(), data.get(16) == Some(&46)) else { continue };
            // Both SPIs, the flags, the message id: once for one message.
            let mut what = [0; 22];
            what[..16].copy_from_slice(&head[..16]);
            what[16] = head[19];
            what[17..21].copy_from_slice(&head[20..24]);
            let octets = data
                .iter()
                .fold(7u64, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3));
            if *self.used.entry(what).or_insert(octets) != octets {
                return Err(format!(
                    "message id {:02x?} of {:02x?} was used twice",
                    &head[20..24],
                    &head[..16]
                ));
            }
        }
        Ok(())
    }
}

/// One run. What it does depends on the seed and the hours alone; with `keep` all of it is written down, and the failure
/// has the ladder.
///
/// # Panics
/// When the capture or the keys cannot be written.
#[must_use]
pub fn run(seed: u64, hours: u32, keep: Option<&Keep<'_>>) -> Outcome {
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0xe7d0_12e5);
    let mut pair = Pair::new(setup(seed, 0, keep.is_some()));
    if let Some(keep) = keep {
        let files = std::fs::create_dir_all(keep.folder).and_then(|()| {
            Ok((Capture::create(keep.folder.join("run.pcapng"))?, KeyLog::create(keep.folder)?))
        });
        let (capture, keys) = files.expect("the folder can be written");
        pair.record(capture);
        pair.log_keys(keys);
    }
    if has_nat(seed) {
        pair.network.put_nat(IpAddr::from([192, 0, 2, 1]), OUTSIDE[0]);
    }
    let began = pair.clock.now();
    let end = began + Duration::from_secs(3600) * hours;
    let mut watch = Watch { passed_at: began, used: BTreeMap::new(), outcome: Outcome::default() };
    let mut result = Ok(());
    let mut generation = 0;
    while result.is_ok() && pair.clock.now() < end {
        pair.run_for(Duration::from_millis(u64::from(20_000 + dice.next_u32() % 200_000)));
        result = watch.look(&mut pair);
        match dice.next_u32() % 120 {
            0 => {
                generation += 1;
                watch.outcome.restarts += 1;
                let side = if dice.next_u32() % 2 == 0 { Side::Left } else { Side::Right };
                let fresh = setup(seed, generation, keep.is_some());
                let note = format!("the {side:?} restarts");
                pair.ladder.note(pair.clock.now(), &note);
                pair.restart(side, fresh);
            }
            1 | 2 if has_nat(seed) => {
                watch.outcome.rebindings += 1;
                let outside = OUTSIDE[usize::from(dice.next_u32() % 2 == 0)];
                pair.ladder.note(pair.clock.now(), "the NAT forgets");
                pair.network.rebind_nat(IpAddr::from([192, 0, 2, 1]), outside);
            }
            _ => {}
        }
    }
    let result = result.and_then(|()| {
        pair.network.set_default(Link::GOOD);
        pair.run_for(DARKEST);
        watch.look(&mut pair)?;
        // A rekey may just be under way.
        let one = |pair: &Pair| {
            pair.agree().is_ok() && pair.left.children.len() == 1 && pair.left.endpoint.ike_sas().count() == 1
        };
        if pair.run_until(DARKEST, one) {
            return Ok(());
        }
        pair.agree()?;
        Err(format!(
            "{} IKE SAs, {} Child SAs",
            pair.left.endpoint.ike_sas().count(),
            pair.left.children.len()
        ))
    });
    watch.outcome.simulated = pair.clock.now() - began;
    if let Err(why) = result {
        let ladder = if keep.is_some() { format!("\n{}", pair.ladder) } else { String::new() };
        watch.outcome.failure = Some(format!(
            "seed {seed}, {hours} h: {why} after {:.0} s\nagain:\n  cargo run --release -p testkit --bin endure -- \
             replay {seed} {hours}{ladder}",
            watch.outcome.simulated.as_secs_f64()
        ));
    }
    watch.outcome
}
