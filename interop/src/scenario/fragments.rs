//! IKE messages in fragments (RFC 7383), in both directions.

use super::{Bench, Who, life::life};

/// We initiate.
pub(crate) fn by_us(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Us, Who::Peer)?;
    bench.until_logged("parsed IKE_AUTH request 1 [ EF(", 2)?;
    bench.until_logged("generating IKE_AUTH response 1 [ EF(", 2)
}

/// We initiate, with proposals that fill more than one fragment of a usual size.
pub(crate) fn of_proposals_by_us(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Us, Who::Peer)?;
    bench.until_logged("parsed IKE_AUTH request 1 [ EF(", 2)
}

/// The peer initiates, with proposals that fill more than one fragment of a usual size.
pub(crate) fn of_proposals_by_peer(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Peer, Who::Us)?;
    bench.until_logged("generating IKE_AUTH request 1 [ EF(", 2)
}

/// The peer initiates, and every IKE message is lost the first time.
pub(crate) fn by_peer(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Peer, Who::Us)?;
    bench.until_logged("generating IKE_AUTH request 1 [ EF(", 2)?;
    bench.until_logged("parsed IKE_AUTH response 1 [ EF(", 2)
}
