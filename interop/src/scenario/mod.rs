//! The scenarios: what is done with the peer, and what must then hold on both sides.

pub(crate) mod childless;
pub(crate) mod close;
pub(crate) mod establish;
pub(crate) mod fragments;
pub(crate) mod hostile;
pub(crate) mod life;
pub(crate) mod liveness;
pub(crate) mod loss;
pub(crate) mod reauth;
pub(crate) mod refuse;
pub(crate) mod rekey;
pub(crate) mod retry;
pub(crate) mod selectors;
mod suites;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::driver::{Child, Driver, LIMIT, Ours};
use crate::family::Family;
use crate::netns::{self, A, B};
use crate::oracle::Reach;
use crate::process::{POLL, checked};
use crate::strongswan::{ChildSaLine, IkeSaLine, Sas, Settings, Vici};

/// Both configurations, and what is done with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// Our configuration.
    pub(crate) ours: Ours,
    /// The peer's.
    pub(crate) theirs: Settings,
    /// What tshark can know about it.
    pub(crate) reach: Reach,
    /// What is done.
    pub(crate) run: fn(&mut Bench) -> Result<(), String>,
}

/// Both sides at work.
pub(crate) struct Bench {
    /// Our side.
    pub(crate) us: Driver,
    /// The peer's control socket.
    pub(crate) peer: Vici,
    /// The peer's namespace.
    pub(crate) peer_namespace: String,
}

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Our side.
    Us,
    /// The peer.
    Peer,
}

/// `Ok` when `holds`, and else the reason.
pub(crate) fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason()) }
}

impl Bench {
    /// Runs a command while our side keeps working, and wants it to succeed.
    pub(crate) fn must(&mut self, command: Command) -> Result<String, String> {
        self.us.command(command)?
    }

    /// Lets the peer send a CREATE_CHILD_SA request while our side does not listen: what we ask next collides.
    pub(crate) fn peer_asks_first(&self, mut command: Command) -> Result<(), String> {
        let before = self.peer.log_count("generating CREATE_CHILD_SA request");
        checked(&mut command)?;
        let end = Instant::now() + LIMIT;
        while self.peer.log_count("generating CREATE_CHILD_SA request") == before {
            ensure(Instant::now() < end, || "the peer does not send a request".into())?;
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Looks at the peer's SAs until `holds`.
    pub(crate) fn until_peer(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&Sas) -> bool,
    ) -> Result<Sas, String> {
        let end = Instant::now() + LIMIT;
        loop {
            let command = self.peer.swanctl(&["--list-sas"]);
            let sas = Sas::parse(&self.must(command)?);
            if holds(&sas) {
                return Ok(sas);
            }
            ensure(Instant::now() < end, || format!("the peer does not come to {what}; it has {sas:?}"))?;
        }
    }

    /// Waits until the peer's log holds `text` so many times.
    pub(crate) fn until_logged(&mut self, text: &str, times: usize) -> Result<(), String> {
        let peer = self.peer.clone();
        self.us.until(&format!("the peer to log {times} times \"{text}\""), |_| peer.log_count(text) >= times)
    }

    /// Brings both SAs up and looks at what both sides say about them.
    pub(crate) fn establish(&mut self, who: Who) -> Result<(), String> {
        match who {
            Who::Us => self.us.initiate()?,
            Who::Peer => {
                let command = self.peer.initiate();
                self.must(command)?;
            }
        }
        self.us.until_established()?;
        self.agreed().map(drop)
    }

    /// Waits until both sides have one IKE SA and one Child SA, the same ones.
    pub(crate) fn agreed(&mut self) -> Result<(IkeSaLine, ChildSaLine), String> {
        let (ike, child) = (self.us.one_ike()?, self.us.one_child()?);
        let sas = self.until_peer("one IKE SA and one Child SA, ours", |sas| {
            matches!((&*sas.ike, &*sas.children), ([_], [line])
                if line.spi_in == child.outbound.0 && line.spi_out == child.inbound.0)
        })?;
        let spis = (u64::from_be_bytes(ike.spi_i.0), u64::from_be_bytes(ike.spi_r.0));
        ensure(spis == (sas.ike[0].spi_i, sas.ike[0].spi_r), || {
            format!("our IKE SA has the SPIs {spis:x?}, the peer's is {:?}", sas.ike[0])
        })?;
        ensure(sas.children[0].mode == "TUNNEL-in-UDP", || {
            format!("the peer's Child SA is {}", sas.children[0].mode)
        })?;
        suites::same(ike.suite.as_deref().unwrap_or_default(), &sas.ike[0].suite)?;
        suites::same(&child.suite, &sas.children[0].suite)?;
        Ok((sas.ike[0].clone(), sas.children[0].clone()))
    }

    /// Pings through the tunnel from both sides; nothing may be lost.
    pub(crate) fn ping_both_ways(&mut self) -> Result<(), String> {
        self.us.ping(3)?;
        let before = self.us.answered_requests;
        let command = peer_ping(&self.peer_namespace, self.us.inner_family(), 3);
        let output = self.must(command)?;
        ensure(output.contains(" 0% packet loss"), || format!("the peer's ping: {output}"))?;
        ensure(self.us.answered_requests >= before + 3, || "the peer's echo requests did not reach us".into())
    }

    /// Pings both ways before, while and after `act` runs; nothing may be lost.
    pub(crate) fn under_traffic(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.us.start_flow();
        let pings = PeerPings::start(&self.peer_namespace, self.us.inner_family());
        let traffic = |bench: &mut Self, what: &str| {
            let (sent, received) = (bench.us.answered(), bench.us.answered_requests);
            bench.us.until(what, |us| us.answered() >= sent + 5 && us.answered_requests >= received + 5)
        };
        let outcome = traffic(self, "pings both ways before it")
            .and_then(|()| act(self))
            .and_then(|()| traffic(self, "pings both ways after it"));
        let peer = pings.stop(&mut self.us);
        let ours = self.us.stop_flow();
        outcome.and(ours).and(peer)
    }

    /// The one Child SA of our side.
    pub(crate) fn child(&self) -> Result<Child, String> {
        self.us.one_child()
    }
}

/// Three or more echo requests from the peer's side to ours.
fn peer_ping(namespace: &str, family: Family, count: u32) -> Command {
    let mut command = netns::inside(namespace, "ping");
    command
        .args(["-c", &count.to_string(), "-i", "0.1", "-W", "20", "-I"])
        .args([B.inner(family).to_string(), A.inner(family).to_string()]);
    command
}

/// Pings from the peer's side, one short run after another until told to stop.
struct PeerPings {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), String>>,
}

impl PeerPings {
    fn start(namespace: &str, family: Family) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (namespace, told) = (namespace.to_owned(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let output = checked(&mut peer_ping(&namespace, family, 5))?;
                ensure(output.contains(" 0% packet loss"), || format!("the peer's ping: {output}"))?;
            }
            Ok(())
        });
        PeerPings { stop, thread }
    }

    fn stop(self, us: &mut Driver) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        us.until("the peer's last ping", |_| self.thread.is_finished())?;
        self.thread.join().map_err(|_| "the peer's pings panicked".to_owned())?
    }
}
