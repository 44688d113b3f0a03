//! Set-ups that must fail, and say why.

use super::{CBC, GCM, by_either};
use crate::case::{Case, Suites};
use crate::scenario::{refuse, selectors};

pub(super) fn cases() -> Vec<Case> {
    let cases = [
        by_either(
            "wrong-secret",
            "another pre-shared key: AUTHENTICATION_FAILED on both sides",
            GCM.ours().secret("sailfish"),
            GCM.theirs(),
            [refuse::wrong_secret_by_us, refuse::wrong_secret_by_peer],
        ),
        by_either(
            "no-proposal",
            "no IKE proposal in common: the error holds ours against theirs",
            GCM.ours(),
            CBC.theirs(),
            [refuse::no_proposal_by_us, refuse::no_proposal_by_peer],
        ),
        by_either(
            "no-child-proposal",
            "no ESP proposal in common: the IKE SA stands",
            GCM.ours(),
            Suites { esp: CBC.esp, ..GCM }.theirs(),
            [refuse::no_child_proposal_by_us, refuse::no_child_proposal_by_peer],
        ),
        by_either(
            "no-selectors",
            "no selectors in common: the IKE SA stands",
            GCM.ours(),
            GCM.theirs().subnet("10.9.0.0/24"),
            [selectors::refused_by_peer, selectors::refused_by_us],
        ),
    ];
    cases.into_iter().flatten().collect()
}
