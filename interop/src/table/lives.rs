//! What becomes of SAs that stand: rekeys, re-authentication, liveness and deletion; and whole lives under bad conditions.

use super::{CBC, CBC_PFS, GCM, GCM_PFS, between, by_either, same};
use crate::case::{Case, Suites};
use crate::family::Family::{V4, V6};
use crate::scenario::{
    childless, close, establish, fragments, hostile, liveness, loss, reauth, rekey, selectors,
};

/// Proposals that make IKE_AUTH longer than a fragment of 576 octets; the first is taken.
const MANY: &str = "aes256gcm16,aes192gcm16,aes128gcm16,aes256gcm12,aes192gcm12,aes128gcm12,aes256gcm8,aes192gcm8,\
                    aes128gcm8,aes256ccm16,aes192ccm16,aes128ccm16,aes256ccm12,aes192ccm12,aes128ccm12,aes256ccm8,\
                    aes192ccm8,aes128ccm8,chacha20poly1305,aes256-sha512,aes256-sha384,aes256-sha256,aes128-sha256";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        same("on-demand", "a packet starts the negotiation and is not lost", GCM, establish::on_demand),
        same(
            "rekey-everything",
            "both SAs by both sides, one after another",
            GCM_PFS,
            rekey::everything_twice,
        ),
        between(
            "liveness-dead-peer",
            "the peer falls silent: both SAs are given up",
            GCM.ours().impatient(),
            GCM.theirs(),
            liveness::dead_peer,
        ),
    ];
    let both = |stem: &str, about: &str, suites: Suites, runs| {
        by_either(stem, about, suites.ours(), suites.theirs(), runs)
    };
    cases.extend(both(
        "rekey-child",
        "a rekey of the Child SA under traffic",
        GCM,
        [rekey::child_by_us, rekey::child_by_peer],
    ));
    cases.extend(both(
        "rekey-child-by-both",
        "both rekey the Child SA at the same time, after a set-up",
        GCM_PFS,
        [rekey::child_by_both, rekey::child_by_both_of_peer],
    ));
    cases.extend(both(
        "rekey-ike-by-both",
        "both rekey the IKE SA at the same time, after a set-up",
        GCM,
        [rekey::ike_by_both, rekey::ike_by_both_of_peer],
    ));
    for (name, suites) in [("rekey-child-pfs-x25519", GCM_PFS), ("rekey-child-pfs-modp2048", CBC_PFS)] {
        cases.extend(both(
            name,
            "the same with forward secrecy",
            suites,
            [rekey::child_by_us, rekey::child_by_peer],
        ));
    }
    cases.extend(both(
        "rekey-ike",
        "a rekey of the IKE SA under traffic",
        CBC,
        [rekey::ike_by_us, rekey::ike_by_peer],
    ));
    cases.extend(by_either(
        "reauth",
        "re-authentication under traffic, the new SAs before the old ones go",
        GCM.ours(),
        GCM.theirs().charon(&["make_before_break = yes"]),
        [reauth::by_us, reauth::by_peer],
    ));
    cases.extend(by_either(
        "childless",
        "set-up without a Child SA, which follows",
        GCM_PFS.ours(),
        GCM_PFS.theirs().connection(&["childless = force"]),
        [childless::by_us, childless::by_peer],
    ));
    cases.push(same("liveness-by-us", "a sign of life is asked for, by us", GCM, liveness::by_us));
    cases.push(between(
        "liveness-by-peer",
        "signs of life are asked for, by the peer",
        GCM.ours(),
        GCM.theirs().connection(&["dpd_delay = 1s"]),
        liveness::by_peer,
    ));
    cases.extend(both(
        "delete-child",
        "the Child SA is deleted, the IKE SA stays",
        GCM,
        [close::child_by_us, close::child_by_peer],
    ));
    cases.extend(both("delete-ike", "the IKE SA is deleted", CBC, [close::ike_by_us, close::ike_by_peer]));
    cases.extend(families());
    cases.extend(narrowed());
    cases.extend(bad_conditions());
    cases
}

/// IPv6 outside and inside.
fn families() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, outer, inner) in [("v4-in-v6", V6, V4), ("v6-in-v4", V4, V6), ("v6-in-v6", V6, V6)] {
        let [by_us, by_peer] = by_either(
            name,
            "other versions of IP",
            GCM.ours(),
            GCM.theirs(),
            [establish::by_us, establish::by_peer],
        );
        cases.extend([by_us.over(outer, inner), by_peer.over(outer, inner)]);
    }
    for (stem, runs) in [
        ("rekey-child-v6", [rekey::child_by_us as super::Run, rekey::child_by_peer]),
        ("rekey-ike-v6", [rekey::ike_by_us, rekey::ike_by_peer]),
    ] {
        let [by_us, by_peer] =
            by_either(stem, "a rekey under traffic, all IPv6", GCM_PFS.ours(), GCM_PFS.theirs(), runs);
        cases.extend([by_us.over(V6, V6), by_peer.over(V6, V6)]);
    }
    cases
}

/// Selectors of which the responder takes a part.
fn narrowed() -> Vec<Case> {
    let case = |name, about, subnet, run| between(name, about, GCM.ours(), GCM.theirs().subnet(subnet), run);
    vec![
        case(
            "narrow-by-peer",
            "we initiate, and the peer narrows the selectors",
            "10.2.0.0/25",
            selectors::narrowed_by_peer,
        ),
        case(
            "narrow-by-us",
            "the peer initiates, and we narrow the selectors",
            "10.2.0.0/16",
            selectors::narrowed_by_us,
        ),
        case(
            "narrow-protocol-by-peer",
            "we initiate, and the peer takes ICMP alone",
            "10.2.0.0/24[icmp]",
            selectors::protocol_by_peer,
        ),
        case(
            "narrow-protocol-by-us",
            "the peer initiates, for ICMP alone",
            "10.2.0.0/24[icmp]",
            selectors::protocol_by_us,
        ),
    ]
}

/// Whole lives in small pieces, with losses, and with somebody hostile on the wire.
fn bad_conditions() -> Vec<Case> {
    let many = Suites { esp: MANY, ..GCM };
    let cases = [
        by_either(
            "fragments-180",
            "IKE messages go in small fragments both ways",
            GCM_PFS.ours().fragment_size(180),
            GCM_PFS.theirs().charon(&["fragment_size = 180"]),
            [fragments::by_us, fragments::by_peer],
        ),
        by_either(
            "fragments-180-lossy",
            "the same, and every datagram of IKE is lost the first time",
            CBC_PFS.ours().fragment_size(180).lossy(),
            CBC_PFS.theirs().charon(&["fragment_size = 180", "retransmit_base = 1.2"]),
            [fragments::by_us, fragments::by_peer],
        ),
        by_either(
            "fragments-576",
            "long IKE messages go in fragments of a usual size",
            many.ours().fragment_size(576),
            many.theirs().charon(&["fragment_size = 576"]),
            [fragments::of_proposals_by_us, fragments::of_proposals_by_peer],
        ),
        by_either(
            "lossy",
            "a whole life in which every IKE message is lost the first time",
            GCM.ours().lossy(),
            GCM.theirs().charon(&["retransmit_base = 1.2"]),
            [loss::by_us, loss::by_peer],
        ),
        by_either(
            "loss-20-percent",
            "a whole life over a wire that loses every fifth IKE message by chance",
            GCM_PFS.ours().losing(20),
            GCM_PFS.theirs().charon(&[
                "retransmit_base = 1",
                "retransmit_timeout = 1",
                "retransmit_tries = 12",
            ]),
            [loss::by_chance, loss::by_chance_of_peer],
        ),
        by_either(
            "hostile",
            "a whole life in which every datagram is also forged, cut, replayed and reflected",
            GCM.ours().hostile(),
            GCM.theirs(),
            [hostile::by_us, hostile::by_peer],
        ),
    ];
    cases.into_iter().flatten().collect()
}
