//! Long runs out of a seed: hours of a hub and one spoke, or several, on a link that loses one datagram in ten, with
//! lifetimes of minutes, a NAT that forgets, and peers that restart.
//!
//! What must hold all the time: packets pass each way between each spoke and the hub, but for at most [`DARKEST`];
//! nobody piles up IKE SAs or Child SAs; no message id is used for two messages. And in the end, on a good link: each
//! spoke and the hub know the same one IKE SA and the same one Child SA.

use alloc::collections::BTreeMap;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use ikev2_core::Event;
use ikev2_core::config::Startup;
use ipsec_sa::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::capture::Capture;
use crate::insecure;
use crate::keylog::KeyLog;
use crate::mesh::{HUB, Mesh, address, star};
use crate::network::Link;
use crate::node::Host;

/// The longest time in which packets need not pass: a liveness check must come due, fail, and the new set-up get
/// through, all of it with losses.
pub const DARKEST: Duration = Duration::from_secs(600);

/// More IKE SAs with one peer at once than this are a pile.
const MOST_IKE_SAS: usize = 8;

/// More Child SAs with one peer at once than this are a pile.
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
    /// Times that a NAT forgot all its mappings.
    pub rebindings: u32,
    /// Child SAs closed.
    pub closed: u64,
    /// The longest time in which packets did not pass.
    pub longest_dark: Duration,
    /// The most IKE SAs that somebody had with one peer.
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
        self.closed += other.closed;
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
            "{:.0} h simulated, {} datagrams, {} restarts, {} rebindings, {} Child SAs closed, packets lost \
             for at most {:.0?}, at most {} IKE SAs",
            self.simulated.as_secs_f64() / 3600.0,
            self.datagrams,
            self.restarts,
            self.rebindings,
            self.closed,
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

/// How many spokes there are.
fn spokes(seed: u64) -> usize {
    match seed % 5 {
        4 => 2 + usize::try_from(seed / 5 % 5).unwrap_or(0),
        _ => 1,
    }
}

/// Whether there is a NAT, the same before all spokes.
fn has_nat(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

/// How long the NAT keeps a mapping: for ever, or less than the spokes' keepalives want.
fn patience(seed: u64) -> Option<Duration> {
    seed.is_multiple_of(8).then_some(Duration::from_secs(60))
}

/// Whether slow steps are done outside, and take so long.
fn job_time(seed: u64) -> Option<Duration> {
    (seed % 4 >= 2).then_some(Duration::from_millis(700))
}

fn link() -> Link {
    Link { jitter: Duration::from_millis(20), duplication: 10, reordering: 20, ..Link::GOOD }.with_loss(100)
}

fn hosts(seed: u64, keep: bool) -> Vec<Host> {
    let esp = if seed.is_multiple_of(3) { "aes128gcm16-x25519" } else { "aes128gcm16" };
    let mut hosts = star(spokes(seed), "aes128gcm16-prfsha256-x25519", esp);
    for (place, host) in hosts.iter_mut().enumerate() {
        host.provider = insecure::provider();
        host.endpoint.trace = keep;
        host.endpoint.key_log = keep;
        host.endpoint.retransmit.tries = 8;
        if let Some(time) = job_time(seed) {
            host.offload(time);
        }
        for connection in core::iter::once(&mut host.connection).chain(&mut host.others) {
            connection.lifetime.rekey = Some(Duration::from_secs(3600));
            connection.lifetime.hard = Some(Duration::from_secs(4200));
            // Every seventh run renews authentications too.
            connection.lifetime.reauth =
                (place != HUB && seed.is_multiple_of(7)).then_some(Duration::from_secs(5000));
            connection.liveness = Some(Duration::from_secs(120));
            connection.nat_keepalive = Some(Duration::from_secs(120));
            for child in &mut connection.children {
                child.lifetimes.soft.time = Some(Duration::from_secs(900));
                child.lifetimes.hard.time = Some(Duration::from_secs(1200));
                if place != HUB {
                    child.startup = Startup::Keep;
                }
            }
        }
    }
    // Without a NAT a hub with one spoke knows where that is.
    if let (false, [hub, spoke]) = (has_nat(seed), &mut hosts[..]) {
        hub.connection.remote = Some(spoke.address);
    }
    hosts
}

struct Watch {
    /// When packets of each spoke last passed.
    passed_at: Vec<Instant>,
    used: BTreeMap<[u8; 22], u64>,
    outcome: Outcome,
}

impl Watch {
    fn look(&mut self, mesh: &mut Mesh) -> Result<(), String> {
        let now = mesh.clock.now();
        for (spoke, passed_at) in (1..).zip(&mut self.passed_at) {
            if mesh.passes(spoke, HUB) {
                *passed_at = now;
            }
            let dark = now - *passed_at;
            self.outcome.longest_dark = self.outcome.longest_dark.max(dark);
            if dark > DARKEST {
                return Err(format!("packets of spoke {spoke} did not pass for {dark:?}"));
            }
        }
        for (place, node) in mesh.nodes.iter_mut().enumerate() {
            let closed =
                node.events.drain(..).filter(|(_, _, event)| matches!(event, Event::ChildClosed { .. }));
            self.outcome.closed += closed.count() as u64;
            let peers = if place == HUB { self.passed_at.len() } else { 1 };
            let (ikes, children) = (node.endpoint.ike_sas().count(), node.children.len());
            if peers == 1 {
                self.outcome.most_ike_sas = self.outcome.most_ike_sas.max(ikes);
            }
            if ikes > MOST_IKE_SAS * peers || children > MOST_CHILDREN * peers {
                return Err(format!("{ikes} IKE SAs and {children} Child SAs on node {place}"));
            }
        }
        mesh.discarded.clear();
        self.outcome.datagrams += mesh.sent.len() as u64;
        for datagram in core::mem::take(&mut mesh.sent) {
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
                let (id, spis) = (&head[20..24], &head[..16]);
                return Err(format!("message id {id:02x?} of {spis:02x?} was used twice"));
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
    let mut mesh = Mesh::new(seed, link(), hosts(seed, keep.is_some()));
    if let Some(keep) = keep {
        let files = std::fs::create_dir_all(keep.folder).and_then(|()| {
            Ok((Capture::create(keep.folder.join("run.pcapng"))?, KeyLog::create(keep.folder)?))
        });
        let (capture, keys) = files.expect("the folder can be written");
        mesh.record(capture);
        mesh.log_keys(keys);
    }
    let spokes = spokes(seed);
    if has_nat(seed) {
        for spoke in 1..=spokes {
            mesh.network.put_nat(address(spoke), OUTSIDE[0]);
            patience(seed).into_iter().for_each(|time| mesh.network.nat_timeout(address(spoke), time));
        }
    }
    let began = mesh.clock.now();
    let end = began + Duration::from_secs(3600) * hours;
    let passed_at = vec![began; spokes];
    let mut watch = Watch { passed_at, used: BTreeMap::new(), outcome: Outcome::default() };
    let mut result = Ok(());
    let mut generation = 0u64;
    while result.is_ok() && mesh.clock.now() < end {
        mesh.run_for(Duration::from_millis(u64::from(20_000 + dice.next_u32() % 200_000)));
        result = watch.look(&mut mesh);
        match dice.next_u32() % 120 {
            0 => {
                generation += 1;
                watch.outcome.restarts += 1;
                let place = dice.next_u32() as usize % (spokes + 1);
                let host = hosts(seed, keep.is_some()).swap_remove(place);
                mesh.ladder.note(mesh.clock.now(), &format!("node {place} restarts"));
                mesh.restart(place, host, seed ^ generation << 48);
            }
            1 | 2 if has_nat(seed) => {
                watch.outcome.rebindings += 1;
                let outside = OUTSIDE[usize::from(dice.next_u32() % 2 == 0)];
                mesh.ladder.note(mesh.clock.now(), "the NAT forgets");
                mesh.network.rebind_nat(address(1), outside);
            }
            _ => {}
        }
    }
    let result = result.and_then(|()| {
        mesh.network.set_default(Link::GOOD);
        mesh.run_for(DARKEST);
        watch.look(&mut mesh)?;
        // A rekey may just be under way.
        let one = |mesh: &Mesh| {
            let one_each = |node: &crate::node::Node| node.children.len() == 1;
            let ikes = mesh.nodes.iter().skip(1).all(|node| node.endpoint.ike_sas().count() == 1);
            ikes && mesh.nodes.iter().skip(1).all(one_each) && mesh.agree().is_ok()
        };
        if mesh.run_until(DARKEST, one) {
            return Ok(());
        }
        mesh.agree()?;
        let count = |node: &crate::node::Node| (node.endpoint.ike_sas().count(), node.children.len());
        Err(format!("IKE SAs and Child SAs: {:?}", mesh.nodes.iter().map(count).collect::<Vec<_>>()))
    });
    watch.outcome.simulated = mesh.clock.now() - began;
    if let Err(why) = result {
        let ladder = if keep.is_some() { format!("\n{}", mesh.ladder) } else { String::new() };
        watch.outcome.failure = Some(format!(
            "seed {seed}, {hours} h: {why} after {:.0} s\nagain:\n  cargo run --release -p testkit --bin endure -- \
             replay {seed} {hours}{ladder}",
            watch.outcome.simulated.as_secs_f64()
        ));
    }
    watch.outcome
}

/// Runs a seed again and writes all of it down: the capture and the keys go to a folder of their own among the
/// temporary files. What it came to, and the folder.
///
/// # Panics
/// When the capture or the keys cannot be written.
#[must_use]
pub fn replay(seed: u64, hours: u32) -> (Outcome, std::path::PathBuf) {
    let folder = std::env::temp_dir().join(format!("endure-{seed}-{hours}"));
    let outcome = run(seed, hours, Some(&Keep { folder: &folder }));
    (outcome, folder)
}
