//! The table of cases: shapes of which they are made, and rooms for what they are about.

mod lives;
mod refusals;
mod retries;
mod suites;

use crate::case::{Case, Kind, Suites};
use crate::driver::Ours;
use crate::oracle::Reach;
use crate::scenario::{Bench, Scenario};
use crate::strongswan::Settings;

/// AES-GCM, and X25519.
const GCM: Suites = Suites { ike: "aes256gcm16-prfsha384-x25519", esp: "aes256gcm16" };
/// AES-CBC with an HMAC, and ECP-256.
const CBC: Suites = Suites { ike: "aes256-sha256-ecp256", esp: "aes256-sha256" };
/// Forward secrecy for Child SAs.
const GCM_PFS: Suites = Suites { esp: "aes256gcm16-x25519", ..GCM };
/// The same of another kind.
const CBC_PFS: Suites = Suites { ike: "aes256-sha256-modp2048", esp: "aes256-sha256-modp2048" };

/// What is done in a case.
type Run = fn(&mut Bench) -> Result<(), String>;

/// A case in which both sides have the same proposals.
fn same(name: &str, about: &str, suites: Suites, run: Run) -> Case {
    between(name, about, suites.ours(), suites.theirs(), run)
}

fn between(name: &str, about: &str, ours: Ours, theirs: Settings, run: Run) -> Case {
    let kind = Kind::Peer(Scenario { ours, theirs, reach: Reach::ALL, run });
    Case { name: name.to_owned(), about: about.to_owned(), kind }
}

/// Two cases: what we do, and what the peer does.
fn by_either(stem: &str, about: &str, ours: Ours, theirs: Settings, [by_us, by_peer]: [Run; 2]) -> [Case; 2] {
    [
        between(&format!("{stem}-by-us"), &format!("{about}, by us"), ours, theirs, by_us),
        between(&format!("{stem}-by-peer"), &format!("{about}, by the peer"), ours, theirs, by_peer),
    ]
}

/// All cases, in the order they are run.
pub(crate) fn cases() -> Vec<Case> {
    let harness = Case {
        name: "harness".to_owned(),
        about: "two strongSwans with each other: namespaces, configuration and traffic work here".to_owned(),
        kind: Kind::Harness(GCM.theirs()),
    };
    let example = Case {
        name: "tshark".to_owned(),
        about: "tshark decrypts the capture of the tunnel example with its key tables".to_owned(),
        kind: Kind::Example,
    };
    let rooms = [suites::cases(), lives::cases(), refusals::cases(), retries::cases()];
    core::iter::once(harness).chain(rooms.into_iter().flatten()).chain([example]).collect()
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_differ() {
        let cases = cases();
        let names: BTreeSet<&str> = cases.iter().map(|case| &*case.name).collect();
        assert_eq!(names.len(), cases.len());
    }
}
