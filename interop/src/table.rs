//! The table of cases.

use crate::case::{Case, Kind};
use crate::strongswan::Settings;

/// AES-GCM and X25519, in strongSwan's notation.
const GCM_X25519: Settings = Settings::new("aes256gcm16-prfsha384-x25519", "aes256gcm16");

/// All cases, in the order they are run.
pub(crate) fn cases() -> Vec<Case> {
    vec![Case {
        name: "harness",
        about: "two strongSwans with each other: namespaces, configuration and traffic work here",
        kind: Kind::Harness(GCM_X25519),
    }]
}
