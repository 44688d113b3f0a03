//! A whole life of an IKE SA and its Child SA, as loss and hostility are to meet it.

use super::{Bench, Who, rekey};

/// Set-up and a rekey of the Child SA by `first`, a rekey of the IKE SA and its deletion by `second`.
pub(crate) fn life(bench: &mut Bench, first: Who, second: Who) -> Result<(), String> {
    bench.establish(first)?;
    bench.ping_both_ways()?;
    rekey::rekey_child(bench, first)?;
    rekey::rekey_ike(bench, second)?;
    bench.ping_both_ways()?;
    match second {
        Who::Us => bench.us.delete_ike()?,
        Who::Peer => {
            // It may count the replaced IKE SA too, and complain that it is gone: what is left decides.
            let command = bench.peer.terminate_ike();
            let _ = bench.us.command(command)?;
        }
    }
    bench.us.until("no IKE SA", |us| us.ike_sas().is_empty())?;
    bench.until_peer("no SA at all", |sas| sas.ike.is_empty() && sas.children.is_empty())?;
    Ok(())
}
