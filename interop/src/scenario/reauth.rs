//! Re-authentication (RFC 7296 §2.8.3): a new IKE SA from IKE_SA_INIT on, with a Child SA of its own, and the old one goes.

use super::{Bench, Who};

/// We re-authenticate, twice.
pub(crate) fn by_us(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    for _ in 0..2 {
        bench.under_traffic(|bench| renewed(bench, |bench| bench.us.reauthenticate()))?;
    }
    bench.us.check_liveness()?;
    bench.ping_both_ways()
}

/// The peer re-authenticates.
pub(crate) fn by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    bench.under_traffic(|bench| {
        renewed(bench, |bench| {
            let command = bench.peer.reauthenticate();
            bench.must(command).map(drop)
        })
    })?;
    bench.us.check_liveness()?;
    bench.ping_both_ways()
}

/// Both SAs give way to others.
fn renewed(bench: &mut Bench, act: impl FnOnce(&mut Bench) -> Result<(), String>) -> Result<(), String> {
    let (ike, child) = (bench.us.one_ike()?, bench.child()?);
    act(bench)?;
    bench.us.until("new SAs in place of the old ones", |us| {
        us.one_ike().is_ok_and(|new| new.handle != ike.handle && new.spi_i != ike.spi_i)
            && us.one_child().is_ok_and(|new| new.inbound != child.inbound)
    })?;
    bench.agreed().map(drop)
}
