//! Set-ups that must fail, and say why on both sides.

use super::{Bench, ensure};

/// What an error must say where we take AES-GCM and the peer AES-CBC.
const OURS_AGAINST_THEIRS: &[&str] =
    &["ours: #1", "ENCR_AES_GCM_16-256", "the peer's: #1", "ENCR_AES_CBC-256", "AUTH_HMAC_SHA2_256_128"];

/// Another pre-shared key, we initiate: the peer refuses our AUTH.
pub(crate) fn wrong_secret_by_us(bench: &mut Bench) -> Result<(), String> {
    bench.us.initiate()?;
    fails(bench, &["AUTHENTICATION_FAILED"])?;
    bench.until_logged("N(AUTH_FAILED)", 1)
}

/// Another pre-shared key, the peer initiates: we refuse its AUTH.
pub(crate) fn wrong_secret_by_peer(bench: &mut Bench) -> Result<(), String> {
    peer_fails(bench)?;
    fails(bench, &["authentication failed"])?;
    bench.until_logged("received AUTHENTICATION_FAILED notify", 1)
}

/// No IKE proposal in common, we initiate: our error says what we had offered.
pub(crate) fn no_proposal_by_us(bench: &mut Bench) -> Result<(), String> {
    bench.us.initiate()?;
    fails(bench, &["NO_PROPOSAL_CHOSEN", "aes256gcm16"])?;
    bench.until_logged("no acceptable", 1)
}

/// No IKE proposal in common, the peer initiates: our error holds its proposals against ours.
pub(crate) fn no_proposal_by_peer(bench: &mut Bench) -> Result<(), String> {
    peer_fails(bench)?;
    fails(bench, OURS_AGAINST_THEIRS)?;
    bench.until_logged("received NO_PROPOSAL_CHOSEN notify", 1)
}

/// No ESP proposal in common, we initiate: the IKE SA stands, the Child SA does not.
pub(crate) fn no_child_proposal_by_us(bench: &mut Bench) -> Result<(), String> {
    bench.us.initiate()?;
    child_fails(bench, &["NO_PROPOSAL_CHOSEN", "aes256gcm16"])
}

/// No ESP proposal in common, the peer initiates: our error holds its proposals against ours.
pub(crate) fn no_child_proposal_by_peer(bench: &mut Bench) -> Result<(), String> {
    peer_fails(bench)?;
    child_fails(bench, OURS_AGAINST_THEIRS)?;
    bench.until_logged("received NO_PROPOSAL_CHOSEN notify", 1)
}

/// The peer's `--initiate` must not succeed.
pub(super) fn peer_fails(bench: &mut Bench) -> Result<(), String> {
    let command = bench.peer.initiate();
    match bench.us.command(command)? {
        Ok(output) => Err(format!("the peer's set-up succeeded: {output}")),
        Err(_) => Ok(()),
    }
}

/// Waits for the end of a set-up, whose reason must hold all of `words`.
fn fails(bench: &mut Bench, words: &[&str]) -> Result<(), String> {
    bench.us.until("the set-up to fail", |us| !us.seen.closed.is_empty() || !us.ike_sas().is_empty())?;
    ensure(bench.us.ike_sas().is_empty() && bench.us.seen.children.is_empty(), || {
        format!("SAs stand: {:?}", bench.us.seen)
    })?;
    says(&bench.us.seen.closed, words)
}

/// Waits for the end of a Child SA's set-up, while the IKE SA stands.
pub(super) fn child_fails(bench: &mut Bench, words: &[&str]) -> Result<(), String> {
    bench.us.until("the Child SA to fail", |us| {
        !us.seen.child_failed.is_empty() || !us.seen.children.is_empty() || !us.seen.closed.is_empty()
    })?;
    ensure(bench.us.seen.children.is_empty() && bench.us.seen.closed.is_empty(), || {
        format!("it came to: {:?}", bench.us.seen)
    })?;
    bench.us.one_ike()?;
    says(&bench.us.seen.child_failed, words)
}

fn says(reasons: &[String], words: &[&str]) -> Result<(), String> {
    ensure(reasons.iter().any(|reason| words.iter().all(|word| reason.contains(word))), || {
        format!("the error does not say {words:?}; it says {reasons:?}")
    })
}
