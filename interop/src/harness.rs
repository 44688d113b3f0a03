//! The harness against itself: two strongSwans, and traffic between them.
//!
//! When this fails, the machine is at fault and not our stack.

use core::time::Duration;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::family::Family;
use crate::netns::{self, A, B, Network, Side};
use crate::process::{POLL, checked};
use crate::strongswan::{Charon, Settings, Vici};

/// How long the peer may take for what it was asked to do.
const LIMIT: Duration = Duration::from_secs(60);

/// Connects two strongSwans, pings both ways, rekeys both SAs, pings again and closes.
pub(crate) fn run(settings: &Settings, network: &Network, dir: &Path) -> Result<(), String> {
    let b = Charon::start(settings, &network.b, (B, A), dir)?;
    let a = Charon::start(settings, &network.a, (A, B), &dir.join("a"))?;
    checked(&mut a.vici.initiate())?;
    ping(&network.a, A, B)?;
    ping(&network.b, B, A)?;
    let before = b.vici.sas()?;
    if before.ike.len() != 1 || before.children.len() != 1 {
        return Err(format!("the peer has {before:?}"));
    }
    checked(&mut a.vici.rekey_child())?;
    until(&b.vici, "a new Child SA", |sas| {
        sas.children.len() == 1 && sas.children[0].number != before.children[0].number
    })?;
    ping(&network.a, A, B)?;
    checked(&mut b.vici.rekey_ike())?;
    until(&b.vici, "a new IKE SA", |sas| sas.ike.len() == 1 && sas.ike[0].number != before.ike[0].number)?;
    ping(&network.b, B, A)?;
    checked(&mut b.vici.terminate_child())?;
    until(&a.vici, "no Child SA", |sas| sas.ike.len() == 1 && sas.children.is_empty())?;
    checked(&mut a.vici.terminate_ike())?;
    until(&b.vici, "no IKE SA", |sas| sas.ike.is_empty() && sas.children.is_empty())
}

fn ping(namespace: &str, from: Side, to: Side) -> Result<(), String> {
    checked(
        netns::inside(namespace, "ping")
            .args(["-c", "3", "-i", "0.2", "-W", "5", "-I"])
            .args([from.inner(Family::V4).to_string(), to.inner(Family::V4).to_string()]),
    )
    .and_then(|output| match output.contains(" 0% packet loss") {
        true => Ok(()),
        false => Err(output),
    })
}

fn until(vici: &Vici, what: &str, holds: impl Fn(&crate::strongswan::Sas) -> bool) -> Result<(), String> {
    let end = Instant::now() + LIMIT;
    loop {
        let sas = vici.sas()?;
        if holds(&sas) {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(format!("the peer does not come to {what}; it has {sas:?}"));
        }
        thread::sleep(POLL);
    }
}
