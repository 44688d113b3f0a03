//! The table of the kernel suite.

use ipsec::sa::Mode;

use super::case::Case;
use super::compression::compressed;
use super::echo::{fields, options, rewritten};
use super::sequence::{boundary, exhaustion, refusals};
use crate::family::Family;

/// Combined modes: every length of key and ICV that the kernel has.
const COMBINED: &[&str] = &[
    "aes128gcm8",
    "aes192gcm8",
    "aes256gcm8",
    "aes128gcm12",
    "aes192gcm12",
    "aes256gcm12",
    "aes128gcm16",
    "aes192gcm16",
    "aes256gcm16",
    "aes128ccm8",
    "aes192ccm8",
    "aes256ccm8",
    "aes128ccm12",
    "aes192ccm12",
    "aes256ccm12",
    "aes128ccm16",
    "aes192ccm16",
    "aes256ccm16",
    "aes128gmac",
    "aes192gmac",
    "aes256gmac",
    "chacha20poly1305",
];
/// Ciphers with a MAC.
const CIPHERS: &[&str] = &[
    "aes128-sha256",
    "aes192-sha256",
    "aes256-sha256",
    "aes128ctr-sha256",
    "aes192ctr-sha256",
    "aes256ctr-sha256",
    "camellia128-sha256",
    "camellia192-sha256",
    "camellia256-sha256",
    "3des-sha256",
    "null-sha256",
];
/// MACs with a cipher.
const MACS: &[&str] =
    &["aes128-md5", "aes128-sha1", "aes128-sha384", "aes128-sha512", "aes128-aescmac", "aes128-aesxcbc"];
/// MACs of AH.
const AH_MACS: &[&str] = &["md5", "sha1", "sha256", "sha384", "sha512", "aescmac", "aesxcbc"];
/// One suite of each kind of cipher.
const KINDS: &[&str] = &["aes256gcm16", "aes128ccm8", "chacha20poly1305", "aes256-sha256", "null-aesxcbc"];

/// The last number but three below 2^32, and below a later multiple.
const BEFORE_BOUNDARY: [u64; 2] = [0xffff_fffc, 0x5_ffff_fffc];
/// The last 32-bit numbers.
const NEARLY_EXHAUSTED: u64 = 0xffff_fffc;

/// All cases, in the order they are run.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (group, suites) in [("combined modes", COMBINED), ("ciphers", CIPHERS), ("MACs", MACS)] {
        for &suite in suites {
            for mode in [Mode::Tunnel, Mode::Transport] {
                cases.extend(Family::ALL.map(|family| Case::esp(group, suite, mode, family)));
            }
        }
    }
    for &suite in KINDS {
        let of_other_families = |mode| {
            [
                Case::esp("families", suite, mode, Family::V4).inside(Family::V6),
                Case::esp("families", suite, mode, Family::V6).inside(Family::V4),
            ]
        };
        cases.extend(of_other_families(Mode::Tunnel));
        cases.extend(Family::ALL.map(|family| Case::esp("BEET", suite, Mode::Beet, family)));
        cases.extend(of_other_families(Mode::Beet).map(|case| Case { group: "BEET", ..case }));
        for mode in [Mode::Tunnel, Mode::Transport, Mode::Beet] {
            cases.extend(Family::ALL.map(|family| Case::esp("UDP", suite, mode, family).in_udp()));
        }
        cases.extend(of_other_families(Mode::Tunnel).map(|case| Case { group: "UDP", ..case.in_udp() }));
    }
    for suite in ["aes256gcm16", "aes128-sha256"] {
        for mode in [Mode::Tunnel, Mode::Transport] {
            let case =
                |family| Case { act: compressed, ..Case::esp("IPComp", suite, mode, family).compressed() };
            cases.extend(Family::ALL.map(case));
        }
    }
    for mode in [Mode::Tunnel, Mode::Transport] {
        for &suite in AH_MACS {
            cases.extend(Family::ALL.map(|family| Case::ah("AH", suite, mode, family)));
        }
        for suite in ["sha256", "sha384", "sha512"] {
            cases.push(Case::ah("AH", suite, mode, Family::V4).padded());
        }
    }
    cases.push(Case::ah("AH", "sha256", Mode::Tunnel, Family::V4).inside(Family::V6));
    cases.push(Case::ah("AH", "sha256", Mode::Tunnel, Family::V6).inside(Family::V4));
    for family in Family::ALL {
        for mode in [Mode::Tunnel, Mode::Transport] {
            cases.push(Case::ah("headers", "sha256", mode, family).doing("rewritten", rewritten));
            cases.push(Case::ah("headers", "aesxcbc", mode, family).doing("options", options));
            cases.push(Case::esp("headers", "aes128gcm16", mode, family).doing("options", options));
        }
        for inner in Family::ALL {
            let inside = |case: Case| if inner == family { case } else { case.inside(inner) };
            let esp = Case::esp("headers", "aes128gcm16", Mode::Tunnel, family);
            let ah = Case::ah("headers", "sha512", Mode::Tunnel, family);
            cases.push(inside(esp).doing("fields", fields));
            cases.push(inside(ah).doing("fields", fields));
        }
        for mode in [Mode::Tunnel, Mode::Transport] {
            let both = |suite| {
                [Case::esp("sequence", suite, mode, family), Case::ah("sequence", "sha256", mode, family)]
            };
            for case in both("aes256gcm16") {
                cases.push(case.clone().doing("refusals", refusals));
                cases.push(case.clone().extended(0).doing("refusals", refusals));
                for floor in BEFORE_BOUNDARY {
                    cases.push(case.clone().extended(floor).doing(&format!("{floor:x}"), boundary));
                }
                cases.push(Case { floor: NEARLY_EXHAUSTED, ..case }.doing("exhaustion", exhaustion));
            }
        }
        for suite in [
            "chacha20poly1305",
            "aes128ccm16",
            "aes256gmac",
            "aes256-sha512",
            "null-aescmac",
            "aes128ctr-aesxcbc",
        ] {
            let case = Case::esp("sequence", suite, Mode::Tunnel, family);
            cases.push(case.clone().doing("refusals", refusals));
            cases.push(case.extended(BEFORE_BOUNDARY[0]).doing("boundary", boundary));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;
    use crate::kernel::keys::{Algorithms, Keys};

    #[test]
    fn names_differ() {
        let cases = cases();
        let names: BTreeSet<&str> = cases.iter().map(|case| &*case.name).collect();
        assert_eq!(names.len(), cases.len());
    }

    #[test]
    fn both_sides_have_every_algorithm() {
        let provider = ipsec::crypto::rustcrypto::provider();
        for case in cases() {
            let algorithms = Algorithms::new(case.protocol, case.suite, &provider).unwrap();
            let keys = Keys::new(&algorithms, 1);
            keys.of_the_kernel(&algorithms).unwrap();
        }
    }
}
