//! Set-ups with every algorithm that both sides have, by either side.

use super::same;
use crate::case::{Case, Suites};
use crate::oracle::Reach;
use crate::scenario::Who::{self, Peer, Us};
use crate::scenario::establish;

const ALL: Reach = Reach::ALL;
/// tshark has no name for the ESP cipher.
const IKE: Reach = Reach { ike: true, esp: false, icv: false };
/// tshark does not compute the ICV.
const NO_ICV: Reach = Reach { ike: true, esp: true, icv: false };
/// tshark has a name for neither cipher.
const NONE: Reach = Reach { ike: false, esp: false, icv: false };

/// Who initiates, the IKE proposal, the ESP proposal, and how much of it tshark can know.
#[rustfmt::skip]
const SUITES: &[(Who, &str, &str, Reach)] = &[
    (Us, "aes256gcm16-prfsha384-x25519", "aes256gcm16", ALL),
    (Peer, "aes256gcm16-prfsha384-x25519", "aes256gcm16", ALL),
    (Us, "aes256-sha256-ecp256", "aes256-sha256", ALL),
    (Peer, "aes256-sha256-ecp256", "aes256-sha256", ALL),
    (Us, "aes256-sha256-modp2048", "aes256-sha256", ALL),
    (Peer, "aes256-sha256-modp2048", "aes256-sha256", ALL),
    // Combined modes.
    (Us, "aes128gcm16-prfsha256-x25519", "aes128gcm16", ALL),
    (Peer, "aes192gcm16-prfsha512-ecp384", "aes192gcm16", ALL),
    (Us, "aes256gcm12-prfsha512-ecp384", "aes128gcm8-ecp384", ALL),
    (Peer, "aes128-sha512-ecp521", "aes256gcm12-ecp521", ALL),
    (Us, "aes192gcm8-prfsha256-x25519", "aes192gcm8", ALL),
    (Peer, "aes256gcm8-prfsha512-x25519", "aes256gcm8", ALL),
    (Us, "aes128gcm12-prfsha384-ecp256", "aes128gcm12", ALL),
    (Peer, "aes192gcm12-prfsha256-x25519", "aes192gcm12", ALL),
    (Us, "aes128gcm8-prfsha1-x25519", "aes128ccm8", IKE),
    (Peer, "aes256ccm8-prfsha256-x25519", "aes128ccm16", IKE),
    (Us, "aes128ccm8-prfsha256-x25519", "aes192ccm8", IKE),
    (Peer, "aes192ccm8-prfsha256-x25519", "aes256ccm8", IKE),
    (Us, "aes128ccm12-prfsha256-x25519", "aes192ccm12", IKE),
    (Peer, "aes192ccm12-prfsha384-x25519", "aes256ccm12", IKE),
    (Us, "aes256ccm12-prfsha256-x25519", "aes128ccm12", IKE),
    (Peer, "aes128ccm16-prfsha256-x25519", "aes192ccm16", IKE),
    (Us, "aes192ccm16-prfsha256-x25519", "aes256ccm16", IKE),
    (Peer, "aes256ccm16-prfsha256-x25519", "aes256ccm16", IKE),
    (Us, "chacha20poly1305-prfsha256-x25519", "chacha20poly1305", NONE),
    (Peer, "chacha20poly1305-prfsha512-x25519", "chacha20poly1305", NONE),
    // Ciphers and MACs.
    (Peer, "aes192-sha384-x25519", "aes192-sha384", ALL),
    (Us, "aes256-sha512-ecp256", "aes256-sha512", ALL),
    (Us, "aes128ctr-sha256-x25519", "aes128ctr-sha256", ALL),
    (Peer, "aes192ctr-sha512-x25519", "aes192ctr-sha512", ALL),
    (Us, "aes256ctr-sha384-x25519", "aes256ctr-sha384", ALL),
    (Us, "camellia128-sha1-x25519", "camellia128-sha1", NONE),
    (Peer, "camellia192-sha256-x25519", "camellia192-sha384", NONE),
    (Us, "camellia256-md5-x25519", "camellia256-md5", NONE),
    (Peer, "3des-sha1-x25519", "3des-sha1", ALL),
    (Us, "3des-md5-x25519", "null-md5", ALL),
    (Peer, "aes256-sha1-x25519", "null-aescmac", NO_ICV),
    // The pseudorandom functions whose key has a length of its own (RFC 4434, RFC 4615), in both roles.
    (Us, "aes128-aesxcbc-prfaesxcbc-x25519", "aes128-aesxcbc", NO_ICV),
    (Peer, "aes128-aesxcbc-prfaesxcbc-x25519", "aes128-aesxcbc", NO_ICV),
    (Us, "aes128-aescmac-prfaescmac-x25519", "aes128-aescmac", NO_ICV),
    (Peer, "aes128-aescmac-prfaescmac-x25519", "aes128-aescmac", NO_ICV),
    (Us, "aes256gcm16-prfaesxcbc-ecp256", "aes256gcm16-ecp256", ALL),
    (Peer, "aes256gcm16-prfaescmac-modp2048", "aes256gcm16-modp2048", ALL),
    // Key exchange methods.
    (Us, "aes128-sha256-modp3072", "null-sha256", ALL),
    (Peer, "aes256gcm16-prfsha256-modp4096", "aes128-sha1", ALL),
    (Us, "aes128-sha256-modp6144", "aes128-sha256", ALL),
    (Peer, "aes128-sha256-modp8192", "aes128-sha256", ALL),
    (Us, "aes128-sha256-modp768", "aes128-sha256", ALL),
    (Peer, "aes128-sha256-modp1024", "aes128-sha256", ALL),
    (Us, "aes128-sha256-modp1536", "aes128-sha256-modp1536", ALL),
    (Peer, "aes128-sha256-modp1024s160", "aes128-sha256", ALL),
    (Us, "aes128-sha256-modp2048s224", "aes128-sha256", ALL),
    (Peer, "aes128-sha256-modp2048s256", "aes128-sha256", ALL),
    (Us, "aes256gcm16-prfsha256-x448", "aes256gcm16-x448", ALL),
    (Peer, "aes256gcm16-prfsha256-x448", "aes256gcm16", ALL),
    (Us, "aes256-sha256-ecp256bp", "aes256-sha256", ALL),
    (Peer, "aes256-sha384-ecp384bp", "aes256-sha256-ecp384bp", ALL),
];

/// A set-up and traffic with each.
pub(super) fn cases() -> Vec<Case> {
    SUITES
        .iter()
        .map(|&(who, ike, esp, reach)| {
            let (side, run): (_, super::Run) = match who {
                Us => ("us", establish::by_us),
                Peer => ("peer", establish::by_peer),
            };
            let name = format!("suite-{ike}+{esp}-by-{side}");
            same(&name, "set-up with these suites", Suites { ike, esp }, run).within(reach)
        })
        .collect()
}
