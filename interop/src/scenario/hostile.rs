//! Somebody on the wire who forges, cuts, replays and reflects every datagram: no state changes, nothing passes.

use super::{Bench, Who, ensure, life::life};

/// We initiate, under attack from the first message on.
pub(crate) fn by_us(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Us, Who::Peer)?;
    counted(bench)
}

/// The peer initiates, under attack from the first message on.
pub(crate) fn by_peer(bench: &mut Bench) -> Result<(), String> {
    life(bench, Who::Peer, Who::Us)?;
    counted(bench)
}

/// What was thrown at us was refused for more than one reason, and counted.
fn counted(bench: &Bench) -> Result<(), String> {
    let reasons: Vec<_> = bench.us.stack.ike_counters().discarded().collect();
    let refused: u64 = reasons.iter().map(|(_, count)| count).sum();
    ensure(bench.us.forged > 0 && reasons.len() >= 4 && refused >= 20, || {
        format!("{} forgeries were refused as {reasons:?}", bench.us.forged)
    })
}
