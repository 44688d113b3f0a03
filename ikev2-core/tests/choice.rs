//! The responder's choice among connections: every pair out of a small table, against the rules said plainly.

#![allow(clippy::std_instead_of_alloc, reason = "a test")]

use core::net::{IpAddr, Ipv4Addr};

use ikev2_core::error::{AuthFailure, Error};
use ikev2_core::negotiate::connection::Unfit;
use ikev2_core::{
    CloseReason, ConnectionConfig, Endpoint, EndpointConfig, Event, Identity, Input, Output, Path,
    PeerIdentity,
};
use ipsec_crypto::{Secret, Suite};
use ipsec_sa::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use testkit::insecure;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

/// A connection of the responder's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Kind {
    /// For the initiator's address, any, or another.
    address: Option<bool>,
    /// Takes the initiator's first suite, or its second.
    first_suite: bool,
    /// Expects the initiator, anybody, or another.
    peer: Option<bool>,
    /// Has the name that the initiator asks for.
    us: bool,
    /// Has the initiator's key.
    key: bool,
}

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for address in [Some(true), None, Some(false)] {
        for first_suite in [true, false] {
            for peer in [Some(true), None, Some(false)] {
                for us in [true, false] {
                    for key in [true, false] {
                        kinds.push(Kind { address, first_suite, peer, us, key });
                    }
                }
            }
        }
    }
    kinds
}

const SUITES: [&str; 2] = ["aes256gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-x25519"];

fn endpoint(seed: u64) -> Endpoint {
    let rng = Box::new(ChaCha8Rng::seed_from_u64(seed));
    let mut config = EndpointConfig::default();
    // A refusal is the last word here.
    config.hint_grace = core::time::Duration::ZERO;
    Endpoint::new(config, insecure::provider(), rng, Instant::ZERO)
}

fn responder(kind: Kind, name: &str) -> ConnectionConfig {
    let mut connection = ConnectionConfig::psk(
        name,
        Identity::fqdn(if kind.us { "b.test" } else { "c.test" }),
        match kind.peer {
            Some(true) => PeerIdentity::Exactly(Identity::fqdn("a.test")),
            Some(false) => PeerIdentity::Exactly(Identity::fqdn("z.test")),
            None => PeerIdentity::Any,
        },
        Secret::new(if kind.key { b"right" } else { b"wrong" }),
        vec![Suite::ike(SUITES[usize::from(!kind.first_suite)]).unwrap()],
    );
    connection.local = Some(B);
    connection.remote = kind.address.map(|right| if right { A } else { OTHER });
    connection
}

/// Sets up from a fresh initiator; gives the responder's connection, or its last error, and what it was asked.
fn outcome(kinds: &[Kind]) -> Result<u32, Option<Error>> {
    let mut a = endpoint(1);
    let mut b = endpoint(2);
    for (number, kind) in kinds.iter().enumerate() {
        b.add_connection(responder(*kind, &format!("number{number}"))).unwrap();
    }
    let initiator = ConnectionConfig::psk(
        "initiator",
        Identity::fqdn("a.test"),
        PeerIdentity::Exactly(Identity::fqdn("b.test")),
        Secret::new(b"right"),
        SUITES.iter().map(|suite| Suite::ike(suite).unwrap()).collect(),
    )
    .between(A, B);
    let id = a.add_connection(initiator).unwrap();
    let now = Instant::from_secs(1);
    a.connect(now, id, None, None).unwrap();
    let mut result = Err(None);
    for round in 0..6 {
        let (from, to) = if round % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let mut wire = Vec::new();
        loop {
            match from.poll_output() {
                Output::Transmit { path, data, .. } => wire.push((path, data)),
                Output::Event(_, event) if round % 2 == 1 => match event {
                    Event::IkeEstablished(up) => result = Ok(up.connection.0),
                    Event::IkeClosed { reason: CloseReason::Failed(error) } => result = Err(Some(*error)),
                    _ => {}
                },
                Output::Event(..) => {}
                Output::Timeout(_) => break,
            }
        }
        for (path, mut data) in wire {
            let path = Path { local: path.remote, remote: path.local, transport: path.transport };
            let _ = to.handle_input(Input::Datagram { now, path, ecn: 0, data: &mut data });
        }
    }
    result
}

/// The rules: addresses, then proposals (the first left decides), then identities, then the proof, in order.
fn expected(kinds: &[Kind]) -> Option<u32> {
    let mut left: Vec<(u32, Kind)> = (0..).zip(kinds.iter().copied()).collect();
    left.retain(|(_, kind)| kind.address != Some(false));
    let suite = left.first()?.1.first_suite;
    left.retain(|(_, kind)| kind.first_suite == suite);
    left.retain(|(_, kind)| kind.peer != Some(false));
    left.retain(|(_, kind)| kind.us);
    left.iter().find(|(_, kind)| kind.key).map(|(number, _)| *number)
}

#[test]
fn every_pair_of_connections_is_narrowed_step_by_step() {
    let kinds = kinds();
    assert_eq!(kinds.len(), 72);
    let mut chosen = [0; 3];
    for first in &kinds {
        assert_eq!(outcome(&[*first]).ok(), expected(&[*first]), "{first:?}");
        for second in &kinds {
            let pair = [*first, *second];
            let outcome = outcome(&pair);
            assert_eq!(outcome.as_ref().ok().copied(), expected(&pair), "{pair:?}");
            chosen[outcome.map_or(2, |number| number as usize)] += 1;
        }
    }
    // All three come up: the first, the second, none.
    assert!(chosen.iter().all(|count| *count > 100), "{chosen:?}");
}

#[test]
fn a_refusal_says_candidate_by_candidate_why_not() {
    let right = Kind { address: Some(true), first_suite: true, peer: Some(true), us: true, key: true };
    let kinds = [
        Kind { key: false, ..right },
        Kind { address: Some(false), ..right },
        Kind { first_suite: false, ..right },
        Kind { peer: Some(false), ..right },
        Kind { us: false, ..right },
    ];
    let Err(Some(Error::AuthenticationFailed(why))) = outcome(&kinds) else { panic!("not refused") };
    let AuthFailure::NoConnection { ours, theirs, rejected } = &*why else { panic!("{why}") };
    assert_eq!((ours.as_str(), theirs), ("b.test", &Identity::fqdn("a.test")));
    let reasons: Vec<(u32, Unfit)> = rejected.iter().map(|it| (it.connection.0, it.why)).collect();
    assert_eq!(
        reasons,
        [
            (1, Unfit::Addresses),
            (2, Unfit::Proposals),
            (3, Unfit::RemoteIdentity),
            (4, Unfit::LocalIdentity),
            (0, Unfit::Proof),
        ]
    );
    let text = why.to_string();
    for part in [
        "number1: is for other addresses, 192.0.2.2 with 192.0.2.9",
        "number2: takes other proposals, aes128gcm16-prfsha256-x25519",
        "number3: expects the peer as z.test",
        "number4: has us as c.test",
        "number0: the proof does not hold",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("right") && !text.contains("wrong"), "a key in {text}");
}

#[test]
fn no_common_proposal_is_explained_for_each_connection() {
    let mut a = endpoint(1);
    let mut b = endpoint(2);
    for name in ["one", "two"] {
        let right = Kind { address: None, first_suite: true, peer: None, us: true, key: true };
        b.add_connection(responder(right, name)).unwrap();
    }
    let initiator = ConnectionConfig::psk(
        "initiator",
        Identity::fqdn("a.test"),
        PeerIdentity::Any,
        Secret::new(b"right"),
        vec![Suite::ike("aes256gcm16-prfsha384-x25519").unwrap()],
    )
    .between(A, B);
    let id = a.add_connection(initiator).unwrap();
    let now = Instant::from_secs(1);
    a.connect(now, id, None, None).unwrap();
    let Output::Transmit { path, mut data, .. } = a.poll_output() else { panic!("no request") };
    let path = Path { local: path.remote, remote: path.local, transport: path.transport };
    assert!(b.handle_input(Input::Datagram { now, path, ecn: 0, data: &mut data }).is_err());
    let mut text = String::new();
    loop {
        match b.poll_output() {
            Output::Event(_, Event::IkeClosed { reason }) => text = reason.to_string(),
            Output::Timeout(_) => break,
            _ => {}
        }
    }
    assert!(text.contains("one: no common proposal") && text.contains("two: no common proposal"), "{text}");
}
