//! Set-ups that need another try.

use ipsec::ike::CookiePolicy;

use super::{CBC, GCM, between};
use crate::case::Case;
use crate::driver::Ours;
use crate::scenario::retry;
use crate::strongswan::Settings;

pub(super) fn cases() -> Vec<Case> {
    let method = Settings::new("aes256-sha256-modp2048-ecp256", CBC.esp);
    vec![
        between(
            "cookie-for-us",
            "the peer has half-open IKE SAs and asks us for a cookie",
            GCM.ours(),
            GCM.theirs().charon(&["cookie_threshold = 1", "cookie_threshold_ip = 1", "block_threshold = 0"]),
            retry::cookie_for_us,
        ),
        between(
            "cookie-for-peer",
            "we ask the peer for a cookie",
            GCM.ours().cookie(CookiePolicy::Always),
            GCM.theirs(),
            retry::cookie_for_peer,
        ),
        between(
            "invalid-ke-for-us",
            "the peer does not take our first key exchange method",
            Ours::new("aes256-sha256-x25519-ecp256", CBC.esp),
            CBC.theirs(),
            retry::method_for_us,
        ),
        between(
            "invalid-ke-for-peer",
            "we do not take the peer's first key exchange method",
            CBC.ours(),
            method,
            retry::method_for_peer,
        ),
        between(
            "cookie-and-invalid-ke",
            "we ask the peer for a cookie, and then for another key exchange method",
            CBC.ours().cookie(CookiePolicy::Always),
            method,
            retry::cookie_and_method_for_peer,
        ),
    ]
}
