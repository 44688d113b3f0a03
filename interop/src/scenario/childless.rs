//! IKE SAs that are set up without a Child SA (RFC 6023).

use super::{Bench, Who, ensure};

/// We initiate, and make the Child SA afterwards.
pub(crate) fn by_us(bench: &mut Bench) -> Result<(), String> {
    bench.us.initiate_childless()?;
    bench.us.until("an IKE SA", |us| us.one_ike().is_ok() || !us.seen.closed.is_empty())?;
    ensure(bench.us.seen.children.is_empty(), || "there is a Child SA too".into())?;
    bench.until_peer("an IKE SA alone", |sas| sas.ike.len() == 1 && sas.children.is_empty())?;
    bench.us.create_child()?;
    bench.us.until_established()?;
    bench.agreed()?;
    bench.ping_both_ways()
}

/// The peer initiates, and makes the Child SA in an exchange of its own.
pub(crate) fn by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    bench.until_logged("generating CREATE_CHILD_SA request 2", 1)?;
    bench.ping_both_ways()
}
