//! Rekeys under traffic (RFC 7296 §2.8): no packet may be lost.

use ipsec::wire::ike::ExchangeType;

use super::{Bench, Who, ensure};

/// We rekey the Child SA.
pub(crate) fn child_by_us(bench: &mut Bench) -> Result<(), String> {
    child(bench, Who::Us)
}

/// The peer rekeys the Child SA.
pub(crate) fn child_by_peer(bench: &mut Bench) -> Result<(), String> {
    child(bench, Who::Peer)
}

/// We rekey the IKE SA.
pub(crate) fn ike_by_us(bench: &mut Bench) -> Result<(), String> {
    ike(bench, Who::Us)
}

/// The peer rekeys the IKE SA.
pub(crate) fn ike_by_peer(bench: &mut Bench) -> Result<(), String> {
    ike(bench, Who::Peer)
}

/// One after another: both SAs by either side, over each other's new keys.
pub(crate) fn everything_twice(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    for who in [Who::Us, Who::Peer] {
        bench.under_traffic(|bench| rekey_ike(bench, who))?;
        bench.under_traffic(|bench| rekey_child(bench, who))?;
    }
    bench.ping_both_ways()
}

/// Both rekey the Child SA at the same time, of an IKE SA that we made.
pub(crate) fn child_by_both(bench: &mut Bench) -> Result<(), String> {
    child_at_once(bench, Who::Us)
}

/// The same of an IKE SA that the peer made.
pub(crate) fn child_by_both_of_peer(bench: &mut Bench) -> Result<(), String> {
    child_at_once(bench, Who::Peer)
}

/// Both rekey the IKE SA at the same time, which we made.
pub(crate) fn ike_by_both(bench: &mut Bench) -> Result<(), String> {
    ike_at_once(bench, Who::Us)
}

/// The same, which the peer made.
pub(crate) fn ike_by_both_of_peer(bench: &mut Bench) -> Result<(), String> {
    ike_at_once(bench, Who::Peer)
}

/// One new Child SA is left (RFC 7296 §2.8.1).
fn child_at_once(bench: &mut Bench, initiator: Who) -> Result<(), String> {
    bench.establish(initiator)?;
    let old = bench.child()?;
    bench.under_traffic(|bench| {
        let command = bench.peer.rekey_child();
        bench.peer_asks_first(command)?;
        bench.us.rekey_child()?;
        bench.us.until("one new Child SA in place of the old one", |us| {
            us.one_child().is_ok_and(|child| child.inbound != old.inbound && child.outbound != old.outbound)
        })?;
        bench.agreed().map(drop)
    })?;
    bench.ping_both_ways()
}

/// One new IKE SA is left (RFC 7296 §2.8.1).
fn ike_at_once(bench: &mut Bench, initiator: Who) -> Result<(), String> {
    bench.establish(initiator)?;
    let old = bench.us.one_ike()?.handle;
    bench.under_traffic(|bench| {
        let command = bench.peer.rekey_ike();
        bench.peer_asks_first(command)?;
        bench.us.rekey_ike()?;
        bench.us.until("one new IKE SA in place of the old one", |us| {
            us.one_ike().is_ok_and(|ike| ike.handle != old)
        })?;
        bench.agreed().map(drop)
    })?;
    bench.us.check_liveness()?;
    bench.ping_both_ways()
}

fn child(bench: &mut Bench, who: Who) -> Result<(), String> {
    // Set-up by the side that does not rekey: the roles of the IKE SA and of the exchange then differ.
    bench.establish(if who == Who::Us { Who::Peer } else { Who::Us })?;
    bench.under_traffic(|bench| rekey_child(bench, who))?;
    bench.ping_both_ways()
}

fn ike(bench: &mut Bench, who: Who) -> Result<(), String> {
    bench.establish(if who == Who::Us { Who::Peer } else { Who::Us })?;
    bench.under_traffic(|bench| rekey_ike(bench, who))?;
    bench.ping_both_ways()
}

pub(super) fn rekey_child(bench: &mut Bench, who: Who) -> Result<(), String> {
    let old = bench.child()?;
    let pfs = bench.us.wants_forward_secrecy();
    let seen = bench.us.seen.messages.len();
    match who {
        Who::Us => bench.us.rekey_child()?,
        Who::Peer => {
            let command = bench.peer.rekey_child();
            bench.must(command)?;
        }
    }
    bench.us.until("a new Child SA in place of the old one", |us| {
        us.one_child().is_ok_and(|child| child.inbound != old.inbound && child.outbound != old.outbound)
    })?;
    let (_, line) = bench.agreed()?;
    let exchanged = bench.us.seen.messages[seen..].iter().any(|message| {
        message.exchange == ExchangeType::CREATE_CHILD_SA
            && message.response
            && message.payloads.split([' ', '{', '}']).any(|payload| payload.starts_with("KE"))
    });
    ensure(exchanged == pfs, || {
        format!("forward secrecy was to be {pfs}, and is {exchanged}; the peer has {}", line.suite)
    })
}

pub(super) fn rekey_ike(bench: &mut Bench, who: Who) -> Result<(), String> {
    let old = bench.us.one_ike()?.handle;
    let (old_line, _) = bench.agreed()?;
    match who {
        Who::Us => bench.us.rekey_ike()?,
        Who::Peer => {
            let command = bench.peer.rekey_ike();
            bench.must(command)?;
        }
    }
    bench.us.until("a new IKE SA in place of the old one", |us| {
        us.one_ike().is_ok_and(|ike| ike.handle != old)
    })?;
    bench.until_peer(
        "a new IKE SA in place of the old one",
        |sas| matches!(&*sas.ike, [line] if line.number != old_line.number),
    )?;
    // The Child SA has moved over untouched, and the new IKE SA works.
    bench.agreed()?;
    bench.us.check_liveness()
}
