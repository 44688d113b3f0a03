//! Set-ups that need another try: a cookie (RFC 7296 §2.6), or another key exchange method (§1.2, §1.3).

use super::{Bench, Who, ensure};

/// The peer has half-open IKE SAs and asks us for a cookie.
pub(crate) fn cookie_for_us(bench: &mut Bench) -> Result<(), String> {
    bench.us.leave_half_open(3)?;
    // The first is taken; from then on the peer asks for cookies.
    bench.until_logged("N(COOKIE)", 1)?;
    bench.establish(Who::Us)?;
    asked(bench, "COOKIE")?;
    bench.ping_both_ways()
}

/// We ask the peer for a cookie.
pub(crate) fn cookie_for_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    bench.until_logged("N(COOKIE)", 1)?;
    bench.ping_both_ways()
}

/// The peer does not take our first key exchange method.
pub(crate) fn method_for_us(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    asked(bench, "INVALID_KE_PAYLOAD")?;
    bench.ping_both_ways()
}

/// We do not take the peer's first key exchange method.
pub(crate) fn method_for_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    bench.until_logged("N(INVAL_KE)", 1)?;
    bench.ping_both_ways()
}

/// We ask the peer for a cookie, and do not take its first key exchange method either (RFC 7296 §2.6.1).
pub(crate) fn cookie_and_method_for_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    bench.until_logged("N(COOKIE)", 1)?;
    bench.until_logged("N(INVAL_KE)", 1)?;
    bench.ping_both_ways()
}

/// One of the responses we received holds this notify.
fn asked(bench: &Bench, notify: &str) -> Result<(), String> {
    let asked = bench
        .us
        .seen
        .messages
        .iter()
        .any(|message| !message.outbound && message.response && message.payloads.contains(notify));
    ensure(asked, || format!("no response with {notify}: the case shows nothing"))
}
