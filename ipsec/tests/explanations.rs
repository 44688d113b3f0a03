//! What does not match is told on both sides in words, ours against theirs.

extern crate alloc;

mod common;

use core::time::Duration;

use common::*;
use ipsec::Event;
use ipsec::crypto::{Secret, Suite};
use ipsec::ike::{ChildConfig, ConnectionConfig, Identity, PeerIdentity};

/// Has a packet start a set-up that fails, and gives what each side says, a line for each event.
fn lines(change: impl Fn(&mut ConnectionConfig)) -> [String; 2] {
    let mut setup = Setup::new();
    change(&mut setup.connections[B]);
    let mut pair = setup.pair();
    pair.send(A, &udp(A, b"to nowhere"));
    pair.settle();
    // For some seconds a better answer may come.
    pair.pass(Duration::from_secs(5));
    assert!(pair.inbox[B].is_empty());
    let lines = |events: &[Event]| events.iter().map(|event| format!("{event}\n")).collect();
    [lines(&pair.events[A]), lines(&pair.events[B])]
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn a_wrong_key_is_named_with_whose_it_is() {
    let [a, b] = lines(|config| *config = connection(B, b"another key"));
    says(&a, &["IKE SA closed", "our proof of being a.test", "shared keys differ", "1 packets"]);
    says(&b, &["IKE SA closed", "proof of being a.test does not hold", "shared keys differ"]);
}

#[test]
fn a_wrong_identity_of_either_side_is_named_with_the_right_one() {
    let [a, b] = lines(|config| config.remote_id = PeerIdentity::Exactly(Identity::fqdn("c.test")));
    says(&a, &["our proof of being a.test", "expects another identity of us"]);
    says(&b, &["fits the peer a.test", "peer: expects the peer as c.test"]);
    let [a, b] = lines(|config| config.local_id = Identity::fqdn("d.test"));
    says(&a, &["our proof of being a.test", "not whom we ask for"]);
    says(&b, &["asks for us as b.test", "peer: has us as d.test"]);
}

#[test]
fn selectors_without_anything_in_common_are_told_in_full() {
    let esp = || vec![Suite::esp("aes128gcm16-x25519-esn").unwrap()];
    let net = |text: &str| vec![text.parse().unwrap()];
    let [a, b] = lines(|config| {
        config.children = vec![ChildConfig::tunnel("net", net("10.3.0.0/24"), net("10.0.0.0/24"), esp())];
    });
    says(&a, &["Child SA of net failed", "none of our selectors", "10.0.0.0/24", "10.1.0.0/24"]);
    says(
        &b,
        &["Child SA of peer failed", "we allow 10.3.0.0/24 === 10.0.0.0/24, the peer asks for 10.1.0.1/32"],
    );
}

#[test]
fn proposals_without_anything_in_common_are_told_by_transform() {
    let [a, b] = lines(|config| config.suites = vec![Suite::ike("aes128gcm16-prfsha384-x25519").unwrap()]);
    says(&a, &["accepts none of ours: aes128gcm16-prfsha256-x25519"]);
    says(&b, &["no PRF in common: we take PRF_HMAC_SHA2_384, the peer PRF_HMAC_SHA2_256"]);
    let [a, b] = lines(|config| config.children[0].suites = vec![Suite::esp("aes256gcm16-esn").unwrap()]);
    says(&a, &["Child SA of net failed", "accepts none of ours: aes128gcm16"]);
    says(&b, &["no ENCR in common: we take ENCR_AES_GCM_16-256, the peer ENCR_AES_GCM_16-128"]);
}

#[test]
fn what_goes_well_is_a_line_each_without_secrets() {
    let mut setup = Setup::new();
    setup.configs[A].endpoint.key_log = true;
    setup.configs[A].endpoint.trace = true;
    let key = Secret::new(b"0123456789abcdef");
    setup.connections = [connection(A, key.expose()), connection(B, key.expose())];
    let mut pair = setup.pair();
    pair.establish();
    let ike = pair.stacks[A].ike_sas().next().unwrap().handle;
    pair.stacks[A].delete_ike(pair.now, ike).unwrap();
    pair.settle();
    let text: String = pair.events[A].iter().map(|event| format!("{event}\n")).collect();
    says(
        &text,
        &[
            "sent IKE_AUTH request 1",
            "IKE SA established: we are a.test, the peer is b.test",
            "10.0.0.0/24 === 10.1.0.0/24",
            "keys for Wireshark: Ikev2(..)",
            "IKE SA closed: closed by us",
        ],
    );
    assert_eq!(text.lines().count(), pair.events[A].len(), "one line each:\n{text}");
    assert!(!text.contains("0123456789abcdef"));
}
