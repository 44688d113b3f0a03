//! Set-up: IKE_SA_INIT and IKE_AUTH by either side, and traffic through the tunnel.

use super::{Bench, Who, ensure};

/// We initiate.
pub(crate) fn by_us(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    bench.ping_both_ways()
}

/// The peer initiates.
pub(crate) fn by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    bench.ping_both_ways()
}

/// A packet that has no SA yet starts the negotiation, and is not lost.
pub(crate) fn on_demand(bench: &mut Bench) -> Result<(), String> {
    ensure(bench.us.ike_sas().is_empty(), || "there is an IKE SA before the first packet".into())?;
    bench.us.ping(1)?;
    bench.us.until_established()?;
    bench.agreed()?;
    bench.ping_both_ways()
}
