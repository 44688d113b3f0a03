//! Liveness checks (RFC 7296 §2.4).

use std::process::Command;

use super::{Bench, Who, ensure};
use crate::netns::B;

/// We ask, the peer answers.
pub(crate) fn by_us(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    bench.us.check_liveness()?;
    bench.until_logged("parsed INFORMATIONAL request", 1)?;
    bench.us.check_liveness()?;
    bench.ping_both_ways()
}

/// The peer asks each second that is idle, we answer.
pub(crate) fn by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    bench.until_logged("sending DPD request", 3)?;
    bench.until_logged("parsed INFORMATIONAL response", 3)?;
    bench.ping_both_ways()
}

/// The peer is silent: our IKE SA ends, and its Child SA with it.
pub(crate) fn dead_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    bench.ping_both_ways()?;
    let mut down = Command::new("ip");
    down.args(["-n", &bench.peer_namespace, "link", "set", B.interface, "down"]);
    bench.must(down)?;
    bench.us.ask_liveness()?;
    bench.us.until("our IKE SA to be given up", |us| us.ike_sas().is_empty())?;
    ensure(bench.us.seen.children.is_empty(), || "the Child SA outlives its IKE SA".into())?;
    ensure(bench.us.seen.closed.iter().any(|reason| reason.contains("no answer")), || {
        format!("it was given up for: {:?}", bench.us.seen.closed)
    })
}
