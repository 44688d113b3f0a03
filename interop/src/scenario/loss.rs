//! Every IKE message is lost the first time, in both directions: requests are sent again, and answered again with
//! the same octets (RFC 7296 §2.1).

use super::{Bench, Who, ensure, rekey};

/// We initiate and rekey the Child SA, the peer rekeys the IKE SA and closes.
pub(crate) fn by_us(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Us, Who::Peer)
}

/// The peer initiates and rekeys the Child SA, we rekey the IKE SA and close.
pub(crate) fn by_peer(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Peer, Who::Us)
}

fn life(bench: &mut Bench, first: Who, second: Who) -> Result<(), String> {
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
    let again =
        bench.us.seen.messages.iter().filter(|message| message.outbound && message.retransmission).count();
    ensure(again >= 4, || format!("only {again} of our messages were sent again"))
}
