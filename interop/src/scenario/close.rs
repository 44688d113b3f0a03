//! Deletes (RFC 7296 §1.4.1).

use super::{Bench, Who, ensure};

/// We delete the Child SA; the IKE SA stays.
pub(crate) fn child_by_us(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    bench.us.delete_child()?;
    child_is_gone(bench)
}

/// The peer deletes the Child SA; the IKE SA stays.
pub(crate) fn child_by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    let command = bench.peer.terminate_child();
    bench.must(command)?;
    child_is_gone(bench)
}

/// We delete the IKE SA.
pub(crate) fn ike_by_us(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    bench.us.delete_ike()?;
    everything_is_gone(bench)
}

/// The peer deletes the IKE SA.
pub(crate) fn ike_by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    let command = bench.peer.terminate_ike();
    bench.must(command)?;
    everything_is_gone(bench)
}

fn child_is_gone(bench: &mut Bench) -> Result<(), String> {
    bench.us.until("no Child SA", |us| us.seen.children.is_empty())?;
    bench.until_peer("an IKE SA without a Child SA", |sas| sas.ike.len() == 1 && sas.children.is_empty())?;
    bench.us.one_ike()?;
    bench.us.check_liveness()
}

fn everything_is_gone(bench: &mut Bench) -> Result<(), String> {
    bench.us.until("no IKE SA", |us| us.ike_sas().is_empty())?;
    ensure(bench.us.seen.children.is_empty(), || "the Child SA outlives its IKE SA".into())?;
    bench.until_peer("no SA at all", |sas| sas.ike.is_empty() && sas.children.is_empty()).map(drop)
}
