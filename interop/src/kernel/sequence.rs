//! Cases of sequence numbers: what both sides refuse, the boundary of 2^32, and the last number of all.

use super::conversation::Conversation;
use super::sas::Refusal;
use super::xfrm::WINDOW;
use crate::scenario::ensure;

/// The kernel's counter of packets that its replay window refuses.
const SEQUENCE_ERRORS: &str = "XfrmInStateSeqError";
/// Of packets that are not authentic.
const PROTOCOL_ERRORS: &str = "XfrmInStateProtoError";
/// Of packets for which it has no sequence number left.
const EXHAUSTED: &str = "XfrmOutStateSeqError";

/// Packets that come again, too late and forged are refused by both sides, and for the same reasons; what comes late but
/// within the window is taken by both. A 64-bit number that is too old counts as one that is far ahead, and is not
/// authentic then (RFC 4303 appendix A2.2).
pub(crate) fn refusals(talk: &mut Conversation<'_>) -> Result<(), String> {
    let window = u64::from(WINDOW);
    let (too_old, counted) = match talk.case.extended {
        true => (Refusal::Forged, PROTOCOL_ERRORS),
        false => (Refusal::OutOfWindow, SEQUENCE_ERRORS),
    };
    // The kernel's part. Of two packets that are held back the later one comes at the window's last place.
    let request = talk.request(8);
    let sealed = talk.seal(&request)?;
    talk.exchange(&sealed, &request)?;
    talk.refused_by_kernel(&sealed, SEQUENCE_ERRORS)?;
    let (old, late) = (talk.request(9), talk.request(10));
    let (old, sealed_late) = (talk.seal(&old)?, talk.seal(&late)?);
    talk.outbound.skip(window - 2);
    talk.ping(11)?;
    talk.exchange(&sealed_late, &late)?;
    // With the request behind it the window leaves the other one behind too.
    talk.refused_by_kernel(&old, counted)?;
    talk.refused_by_kernel(&sealed_late, counted)?;
    for from_end in [1, 20] {
        let request = talk.request(64);
        let mut forged = talk.seal(&request)?;
        let at = forged.len() - from_end;
        forged[at] ^= 0x20;
        talk.refused_by_kernel(&forged, PROTOCOL_ERRORS)?;
    }

    // Ours, with the same distances.
    let (answer, request) = talk.ping_unopened()?;
    talk.accept(&answer, &request)?;
    talk.refused_by_us(&answer, &Refusal::Replayed)?;
    let (old, _) = talk.ping_unopened()?;
    let (late, request) = talk.ping_unopened()?;
    for _ in 0..window - 1 {
        talk.ping(12)?;
    }
    talk.accept(&late, &request)?;
    talk.refused_by_us(&old, &too_old)?;
    talk.refused_by_us(&late, &Refusal::Replayed)?;
    let (answer, request) = talk.ping_unopened()?;
    for from_end in [1, 20] {
        let mut forged = answer.clone();
        let at = forged.len() - from_end;
        forged[at] ^= 0x20;
        talk.refused_by_us(&forged, &Refusal::Forged)?;
    }
    talk.accept(&answer, &request).map(drop)
}

/// 64-bit sequence numbers over a boundary of 2^32 in both directions, with packets from before it that come after it.
pub(crate) fn boundary(talk: &mut Conversation<'_>) -> Result<(), String> {
    let before = u64::from(u32::MAX);
    let mut expected = talk.case.floor;
    while talk.outbound.sequence().last() & before < before - 1 {
        expected += 1;
        let seq = talk.ping(20)?;
        ensure(seq == expected, || format!("the kernel sends number {seq:#x} instead of {expected:#x}"))?;
    }
    // The last number below the boundary waits, of either side.
    let late = talk.request(21);
    let sealed_late = talk.seal(&late)?;
    let (answer_late, request) = talk.ping_unopened()?;
    for _ in 0..4 {
        talk.ping(22)?;
    }
    ensure(talk.outbound.sequence().last() & before == 4, || "we are not behind the boundary".into())?;
    talk.accept(&answer_late, &request)?;
    talk.refused_by_us(&answer_late, &Refusal::Replayed)?;
    let seq = talk.exchange(&sealed_late, &late)?;
    ensure(seq > talk.case.floor | before, || format!("the kernel has not passed the boundary: {seq:#x}"))?;
    talk.refused_by_kernel(&sealed_late, SEQUENCE_ERRORS)
}

/// The last 32-bit sequence number of either side is used, and no other after it.
pub(crate) fn exhaustion(talk: &mut Conversation<'_>) -> Result<(), String> {
    while talk.outbound.sequence().remaining() > 0 {
        talk.ping(30)?;
    }
    let request = talk.request(31);
    ensure(talk.seal(&request).is_err(), || "we seal with a number that does not exist".into())?;
    let addresses = talk.case.protected();
    // It cannot be asked by a packet any more. Where its ping ends with an error, that is what is wanted.
    let ping = format!("ping -c 1 -W 0.1 -I {} {} || true", addresses.kernel, addresses.ours);
    talk.guest.run(&ping)?;
    let counted = talk.counted()?.get(EXHAUSTED).copied().unwrap_or(0);
    ensure(counted > 0, || "the kernel does not count a packet without a number".into())?;
    talk.expected.insert(EXHAUSTED.to_owned(), counted);
    Ok(())
}
