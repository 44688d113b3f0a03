//! The scenarios: what is done with the peer, and what must then hold on both sides.

pub(crate) mod close;
pub(crate) mod establish;
pub(crate) mod fragments;
pub(crate) mod hostile;
pub(crate) mod life;
pub(crate) mod liveness;
pub(crate) mod loss;
pub(crate) mod refuse;
pub(crate) mod rekey;
pub(crate) mod retry;
pub(crate) mod selectors;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::driver::{Child, Driver, LIMIT, Ours};
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
        same_algorithms(ike.suite.as_deref().unwrap_or_default(), &sas.ike[0].suite)?;
        same_algorithms(&child.suite, &sas.children[0].suite)?;
        Ok((sas.ike[0].clone(), sas.children[0].clone()))
    }

    /// Pings through the tunnel from both sides; nothing may be lost.
    pub(crate) fn ping_both_ways(&mut self) -> Result<(), String> {
        self.us.ping(3)?;
        let before = self.us.answered_requests;
        let command = peer_ping(&self.peer_namespace, 3);
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
        let pings = PeerPings::start(&self.peer_namespace);
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

/// Whether the peer's listing names every algorithm of our proposal string.
fn same_algorithms(ours: &str, theirs: &str) -> Result<(), String> {
    for token in ours.split('-') {
        let name = match token {
            "aes128gcm16" => "AES_GCM_16-128",
            "aes256gcm16" => "AES_GCM_16-256",
            "aes256gcm12" => "AES_GCM_12-256",
            "aes128gcm8" => "AES_GCM_8-128",
            "aes128ccm16" => "AES_CCM_16-128",
            "aes256ccm8" => "AES_CCM_8-256",
            "chacha20poly1305" => "CHACHA20_POLY1305",
            "aes128" => "AES_CBC-128",
            "aes192" => "AES_CBC-192",
            "aes256" => "AES_CBC-256",
            "aes128ctr" => "AES_CTR-128",
            "null" => "NULL",
            "sha1" => "HMAC_SHA1_96",
            "sha256" => "HMAC_SHA2_256_128",
            "sha384" => "HMAC_SHA2_384_192",
            "sha512" => "HMAC_SHA2_512_256",
            "aesxcbc" => "AES_XCBC_96",
            "aescmac" => "AES_CMAC_96",
            "prfsha256" => "PRF_HMAC_SHA2_256",
            "prfsha384" => "PRF_HMAC_SHA2_384",
            "prfsha512" => "PRF_HMAC_SHA2_512",
            "prfaesxcbc" => "PRF_AES128_XCBC",
            "prfaescmac" => "PRF_AES128_CMAC",
            "x25519" => "CURVE_25519",
            "ecp256" => "ECP_256",
            "ecp384" => "ECP_384",
            "ecp521" => "ECP_521",
            "modp2048" => "MODP_2048",
            "modp3072" => "MODP_3072",
            "modp4096" => "MODP_4096",
            other => return Err(format!("the peer's name of {other} is not known here")),
        };
        ensure(theirs.split(['/', ':']).any(|part| part == name), || {
            format!("we use {ours}, the peer {theirs}")
        })?;
    }
    Ok(())
}

/// Three or more echo requests from the peer's side to ours.
fn peer_ping(namespace: &str, count: u32) -> Command {
    let mut command = netns::inside(namespace, "ping");
    command
        .args(["-c", &count.to_string(), "-i", "0.1", "-W", "20", "-I"])
        .args([B.inner.to_string(), A.inner.to_string()]);
    command
}

/// Pings from the peer's side, one short run after another until told to stop.
struct PeerPings {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), String>>,
}

impl PeerPings {
    fn start(namespace: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (namespace, told) = (namespace.to_owned(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let output = checked(&mut peer_ping(&namespace, 5))?;
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
