//! The table of cases.

use ipsec::ike::CookiePolicy;

use crate::case::{Case, Kind, Suites};
use crate::driver::Ours;
use crate::oracle::Reach;
use crate::scenario::{
    Bench, Scenario, close, establish, fragments, hostile, liveness, loss, refuse, rekey, retry, selectors,
};
use crate::strongswan::Settings;

/// AES-GCM, and X25519.
const GCM: Suites = Suites { ike: "aes256gcm16-prfsha384-x25519", esp: "aes256gcm16" };
/// AES-CBC with an HMAC, and ECP-256.
const CBC_ECP: Suites = Suites { ike: "aes256-sha256-ecp256", esp: "aes256-sha256" };
/// AES-CBC with an HMAC, and MODP-2048.
const CBC_MODP: Suites = Suites { ike: "aes256-sha256-modp2048", esp: "aes256-sha256" };
/// AES-GCM with the shorter key.
const GCM_128: Suites = Suites { ike: "aes128gcm16-prfsha256-x25519", esp: "aes128gcm16" };
/// The rest of the HMACs.
const CBC_SHA384: Suites = Suites { ike: "aes192-sha384-x25519", esp: "aes192-sha384" };
/// The same.
const CBC_SHA512: Suites = Suites { ike: "aes256-sha512-ecp256", esp: "aes256-sha512" };
/// Forward secrecy for Child SAs, of two kinds.
const GCM_PFS: Suites = Suites { esp: "aes256gcm16-x25519", ..GCM };
/// The same with MODP-2048.
const CBC_PFS: Suites = Suites { esp: "aes256-sha256-modp2048", ..CBC_MODP };

/// A case in which both sides have the same proposals.
const fn same(
    name: &'static str,
    about: &'static str,
    suites: Suites,
    run: fn(&mut Bench) -> Result<(), String>,
) -> Case {
    between(name, about, suites.ours(), suites.theirs(), run)
}

const fn between(
    name: &'static str,
    about: &'static str,
    ours: Ours,
    theirs: Settings,
    run: fn(&mut Bench) -> Result<(), String>,
) -> Case {
    Case { name, about, kind: Kind::Peer(Scenario { ours, theirs, reach: Reach::ALL, run }) }
}

/// A set-up with these proposals, which say themselves what it shows.
const fn suite(
    name: &'static str,
    ike: &'static str,
    esp: &'static str,
    run: fn(&mut Bench) -> Result<(), String>,
) -> Case {
    same(name, ike, Suites { ike, esp }, run)
}

/// All cases, in the order they are run.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "harness",
            about: "two strongSwans with each other: namespaces, configuration and traffic work here",
            kind: Kind::Harness(GCM.theirs()),
        },
        same("initiate-gcm-x25519", "we initiate: AES-256-GCM, X25519", GCM, establish::by_us),
        same(
            "initiate-cbc-ecp256",
            "we initiate: AES-256-CBC, HMAC-SHA2-256, ECP-256",
            CBC_ECP,
            establish::by_us,
        ),
        same("initiate-cbc-modp2048", "we initiate: the same with MODP-2048", CBC_MODP, establish::by_us),
        same("respond-gcm-x25519", "the peer initiates: AES-256-GCM, X25519", GCM, establish::by_peer),
        same(
            "respond-cbc-ecp256",
            "the peer initiates: AES-256-CBC, HMAC-SHA2-256, ECP-256",
            CBC_ECP,
            establish::by_peer,
        ),
        same(
            "respond-cbc-modp2048",
            "the peer initiates: the same with MODP-2048",
            CBC_MODP,
            establish::by_peer,
        ),
        same("initiate-gcm128", "we initiate: AES-128-GCM, PRF-HMAC-SHA2-256", GCM_128, establish::by_us),
        same(
            "respond-cbc192-sha384",
            "the peer initiates: AES-192-CBC, HMAC-SHA2-384",
            CBC_SHA384,
            establish::by_peer,
        ),
        same("initiate-cbc-sha512", "we initiate: AES-256-CBC, HMAC-SHA2-512", CBC_SHA512, establish::by_us),
        suite("initiate-ecp384", "aes256gcm12-prfsha512-ecp384", "aes128gcm8-ecp384", establish::by_us),
        suite("respond-ecp521", "aes128-sha512-ecp521", "aes256gcm12-ecp521", establish::by_peer),
        suite("initiate-modp3072", "aes128-sha256-modp3072", "null-sha256", establish::by_us),
        suite("respond-modp4096", "aes256gcm16-prfsha256-modp4096", "aes128-sha1", establish::by_peer),
        suite("initiate-ctr", "aes128ctr-sha256-x25519", "aes128ctr-sha256", establish::by_us),
        suite("respond-ccm", "aes256ccm8-prfsha256-x25519", "aes128ccm16", establish::by_peer)
            .within(Reach { ike: true, esp: false, icv: false }),
        suite("initiate-chacha20", "chacha20poly1305-prfsha256-x25519", "chacha20poly1305", establish::by_us)
            .within(Reach { ike: false, esp: false, icv: false }),
        suite("respond-xcbc", "aes128-aesxcbc-prfaesxcbc-x25519", "aes128-aesxcbc", establish::by_peer)
            .within(Reach { ike: true, esp: true, icv: false }),
        suite("initiate-cmac", "aes128-aescmac-prfaescmac-x25519", "aes128-aescmac", establish::by_us)
            .within(Reach { ike: true, esp: true, icv: false }),
        same(
            "initiate-on-demand",
            "a packet starts the negotiation and is not lost",
            GCM,
            establish::on_demand,
        ),
        same("rekey-child-by-us", "we rekey the Child SA under traffic", GCM, rekey::child_by_us),
        same("rekey-child-by-peer", "the peer rekeys the Child SA under traffic", GCM, rekey::child_by_peer),
        same("rekey-child-pfs-by-us", "the same by us with forward secrecy", GCM_PFS, rekey::child_by_us),
        same(
            "rekey-child-pfs-by-peer",
            "the same by the peer with forward secrecy",
            CBC_PFS,
            rekey::child_by_peer,
        ),
        same("rekey-ike-by-us", "we rekey the IKE SA under traffic", GCM, rekey::ike_by_us),
        same("rekey-ike-by-peer", "the peer rekeys the IKE SA under traffic", CBC_ECP, rekey::ike_by_peer),
        same(
            "rekey-child-by-both",
            "both rekey the Child SA at the same time",
            GCM_PFS,
            rekey::child_by_both,
        ),
        same("rekey-ike-by-both", "both rekey the IKE SA at the same time", GCM, rekey::ike_by_both),
        same(
            "rekey-everything",
            "both SAs by both sides, one after another",
            GCM_PFS,
            rekey::everything_twice,
        ),
        same("liveness-by-us", "we ask for a sign of life", GCM, liveness::by_us),
        between(
            "liveness-by-peer",
            "the peer asks for signs of life",
            GCM.ours(),
            GCM.theirs().connection(&["dpd_delay = 1s"]),
            liveness::by_peer,
        ),
        between(
            "liveness-dead-peer",
            "the peer falls silent: both SAs are given up",
            GCM.ours().impatient(),
            GCM.theirs(),
            liveness::dead_peer,
        ),
        same("delete-child-by-us", "we delete the Child SA, the IKE SA stays", GCM, close::child_by_us),
        same(
            "delete-child-by-peer",
            "the peer deletes the Child SA, the IKE SA stays",
            GCM,
            close::child_by_peer,
        ),
        same("delete-ike-by-us", "we delete the IKE SA", GCM, close::ike_by_us),
        same("delete-ike-by-peer", "the peer deletes the IKE SA", CBC_ECP, close::ike_by_peer),
        between(
            "fragments-initiate",
            "we initiate, and IKE messages go in fragments both ways",
            GCM_PFS.ours().fragment_size(180),
            GCM_PFS.theirs().charon(&["fragment_size = 180"]),
            fragments::by_us,
        ),
        between(
            "fragments-respond",
            "the peer initiates, in fragments, and every datagram of IKE is lost the first time",
            CBC_PFS.ours().fragment_size(180).lossy(),
            CBC_PFS.theirs().charon(&["fragment_size = 180", "retransmit_base = 1.2"]),
            fragments::by_peer,
        ),
        between(
            "lossy-initiate",
            "we initiate, and every IKE message is lost the first time",
            GCM.ours().lossy(),
            GCM.theirs().charon(&["retransmit_base = 1.2"]),
            loss::by_us,
        ),
        between(
            "lossy-respond",
            "the peer initiates, and every IKE message is lost the first time",
            CBC_ECP.ours().lossy(),
            CBC_ECP.theirs().charon(&["retransmit_base = 1.2"]),
            loss::by_peer,
        ),
        between(
            "hostile-initiate",
            "we initiate, and every datagram is also forged, cut, replayed and reflected",
            GCM.ours().hostile(),
            GCM.theirs(),
            hostile::by_us,
        ),
        between(
            "hostile-respond",
            "the peer initiates, and every datagram is also forged, cut, replayed and reflected",
            CBC_ECP.ours().hostile(),
            CBC_ECP.theirs(),
            hostile::by_peer,
        ),
        between(
            "wrong-secret-initiate",
            "we initiate with another pre-shared key: AUTHENTICATION_FAILED on both sides",
            GCM.ours().secret("sailfish"),
            GCM.theirs(),
            refuse::wrong_secret_by_us,
        ),
        between(
            "wrong-secret-respond",
            "the peer initiates with another pre-shared key: AUTHENTICATION_FAILED on both sides",
            GCM.ours(),
            GCM.theirs().secret("sailfish"),
            refuse::wrong_secret_by_peer,
        ),
        between(
            "no-proposal-initiate",
            "we initiate, no IKE proposal in common",
            GCM.ours(),
            CBC_ECP.theirs(),
            refuse::no_proposal_by_us,
        ),
        between(
            "no-proposal-respond",
            "the peer initiates, no IKE proposal in common: the error holds ours against theirs",
            GCM.ours(),
            CBC_ECP.theirs(),
            refuse::no_proposal_by_peer,
        ),
        between(
            "no-child-proposal-initiate",
            "we initiate, no ESP proposal in common: the IKE SA stands",
            GCM.ours(),
            Suites { esp: CBC_ECP.esp, ..GCM }.theirs(),
            refuse::no_child_proposal_by_us,
        ),
        between(
            "no-child-proposal-respond",
            "the peer initiates, no ESP proposal in common: the error holds ours against theirs",
            GCM.ours(),
            Suites { esp: CBC_ECP.esp, ..GCM }.theirs(),
            refuse::no_child_proposal_by_peer,
        ),
        between(
            "narrow-initiate",
            "we initiate, and the peer narrows the selectors",
            GCM.ours(),
            GCM.theirs().subnet("10.2.0.0/25"),
            selectors::narrowed_by_peer,
        ),
        between(
            "narrow-respond",
            "the peer initiates, and we narrow the selectors",
            GCM.ours(),
            GCM.theirs().subnet("10.2.0.0/16"),
            selectors::narrowed_by_us,
        ),
        between(
            "no-selectors-initiate",
            "we initiate, no selectors in common: the IKE SA stands",
            GCM.ours(),
            GCM.theirs().subnet("10.9.0.0/24"),
            selectors::refused_by_peer,
        ),
        between(
            "no-selectors-respond",
            "the peer initiates, no selectors in common: the IKE SA stands",
            GCM.ours(),
            GCM.theirs().subnet("10.9.0.0/24"),
            selectors::refused_by_us,
        ),
        between(
            "cookie-initiate",
            "the peer has half-open IKE SAs and asks us for a cookie",
            GCM.ours(),
            GCM.theirs().charon(&["cookie_threshold = 1", "cookie_threshold_ip = 1", "block_threshold = 0"]),
            retry::cookie_for_us,
        ),
        between(
            "cookie-respond",
            "we ask the peer for a cookie",
            GCM.ours().cookie(CookiePolicy::Always),
            GCM.theirs(),
            retry::cookie_for_peer,
        ),
        between(
            "invalid-ke-initiate",
            "the peer does not take our first key exchange method",
            Ours::new("aes256-sha256-x25519-ecp256", CBC_ECP.esp),
            CBC_ECP.theirs(),
            retry::method_for_us,
        ),
        between(
            "invalid-ke-respond",
            "we do not take the peer's first key exchange method",
            CBC_ECP.ours(),
            Settings::new("aes256-sha256-modp2048-ecp256", CBC_ECP.esp),
            retry::method_for_peer,
        ),
        between(
            "cookie-and-invalid-ke",
            "we ask the peer for a cookie, and then for another key exchange method",
            CBC_ECP.ours().cookie(CookiePolicy::Always),
            Settings::new("aes256-sha256-modp2048-ecp256", CBC_ECP.esp),
            retry::cookie_and_method_for_peer,
        ),
        Case {
            name: "tshark",
            about: "tshark decrypts the capture of the tunnel example with its key tables",
            kind: Kind::Example,
        },
    ]
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_differ() {
        let cases = cases();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
    }
}
