//! Every IKE message is lost the first time, in both directions: requests are sent again, and answered again with
//! the same octets (RFC 7296 §2.1).

use super::{Bench, Who, ensure, life::life};

/// We initiate and rekey the Child SA, the peer rekeys the IKE SA and closes.
pub(crate) fn by_us(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Us, Who::Peer)?;
    sent_again(bench)
}

/// The peer initiates and rekeys the Child SA, we rekey the IKE SA and close.
pub(crate) fn by_peer(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Peer, Who::Us)?;
    sent_again(bench)
}

/// Chance decides on every datagram.
pub(crate) fn by_chance(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Us, Who::Peer)?;
    ensure(bench.us.losses > 0, || "nothing was lost".into())
}

/// The same, by the peer.
pub(crate) fn by_chance_of_peer(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Peer, Who::Us)?;
    ensure(bench.us.losses > 0, || "nothing was lost".into())
}

fn sent_again(bench: &Bench) -> Result<(), String> {
    let again =
        bench.us.seen.messages.iter().filter(|message| message.outbound && message.retransmission).count();
    ensure(again >= 4, || format!("only {again} of our messages were sent again"))
}
