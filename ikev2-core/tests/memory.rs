//! What IKE SAs take of memory, octet by octet as asked for of the allocator. `cargo test -p ikev2-core --test memory --
//! --nocapture` prints the figures.

#![allow(clippy::std_instead_of_alloc, clippy::cast_possible_wrap, reason = "a test")]

use core::net::{IpAddr, Ipv4Addr};

use ikev2_core::{
    ChildConfig, ConnectionConfig, CookiePolicy, Endpoint, EndpointConfig, Identity, Input, Output, Path,
    PeerIdentity, Uniqueness,
};
use ipsec_crypto::{Secret, Suite, rustcrypto};
use ipsec_sa::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const SAS: isize = 64;

const SUITES: [(&str, &str); 2] =
    [("aes256gcm16-prfsha256-x25519", "aes256gcm16"), ("aes256-sha256-ecp256", "aes256-sha256")];

fn endpoint(seed: u64, (ike, esp): (&str, &str)) -> Endpoint {
    let mut config = EndpointConfig::default();
    config.cookie = CookiePolicy::Never;
    config.max_half_open_per_source = 1024;
    let rng = Box::new(ChaCha8Rng::seed_from_u64(seed));
    let mut endpoint = Endpoint::new(config, rustcrypto::provider(), rng, Instant::ZERO);
    let (us, peer) =
        if seed % 2 == 1 { (("a.test", A), ("b.test", B)) } else { (("b.test", B), ("a.test", A)) };
    let net =
        |name: &str| vec![if name == "a.test" { "10.1.0.0/24" } else { "10.2.0.0/24" }.parse().unwrap()];
    let child = ChildConfig::tunnel("net", net(us.0), net(peer.0), vec![Suite::esp(esp).unwrap()]);
    let mut connection = ConnectionConfig::psk(
        "peer",
        Identity::fqdn(us.0),
        PeerIdentity::Exactly(Identity::fqdn(peer.0)),
        Secret::new(b"swordfish"),
        vec![Suite::ike(ike).unwrap()],
    )
    .between(us.1, peer.1)
    .with_child(child);
    connection.uniqueness = Uniqueness::Keep;
    endpoint.add_connection(connection).unwrap();
    endpoint
}

type Wire = Vec<(Path, Vec<u8>)>;

/// Takes all outputs.
fn poll(endpoint: &mut Endpoint) -> Wire {
    let mut wire = Vec::new();
    loop {
        match endpoint.poll_output() {
            Output::Transmit { path, data, .. } => wire.push((path, data)),
            Output::Event(..) => {}
            Output::Timeout(_) => return wire,
        }
    }
}

/// What the datagrams take, which are not the endpoint's any more.
fn held(wire: &Wire) -> isize {
    let datagrams: usize = wire.iter().map(|(_, data)| data.capacity()).sum();
    (datagrams + wire.capacity() * size_of::<(Path, Vec<u8>)>()) as isize
}

/// Octets that `run` leaves behind in its endpoint.
fn grown<T>(run: impl FnOnce() -> T) -> (isize, T) {
    let before = tally::live();
    let result = run();
    (tally::live() - before, result)
}

#[test]
fn an_established_ike_sa_with_one_child_takes_four_kilobytes_at_most() {
    for suites in SUITES {
        let (mut a, mut b) = (endpoint(1, suites), endpoint(2, suites));
        let (mut of_a, mut of_b, mut cached) = (0, 0, 0);
        for number in 0..=SAS {
            let mut growth = [0; 2];
            let mut last = 0;
            let (by, _) =
                grown(|| a.connect(Instant::from_secs(1), ikev2_core::ConnectionId(0), Some(0), None));
            growth[0] += by;
            for _ in 0..2 {
                // What one side takes when it polls and what the other does when it is handed a datagram is told
                // apart by polling first.
                for side in 0..2 {
                    let (from, to) = if side == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
                    let (by, wire) = grown(|| poll(from));
                    growth[side] += by - held(&wire);
                    for (path, mut data) in wire {
                        last = data.len() as isize;
                        let path = Path { local: path.remote, remote: path.local, transport: path.transport };
                        let now = Instant::from_secs(1);
                        let input = Input::Datagram { now, path, ecn: 0, data: &mut data };
                        let (by, result) = grown(|| to.handle_input(input));
                        result.unwrap();
                        growth[1 - side] += by;
                    }
                }
            }
            for (side, endpoint) in [&mut a, &mut b].into_iter().enumerate() {
                let (by, wire) = grown(|| poll(endpoint));
                growth[side] += by;
                assert!(wire.is_empty());
            }
            // The first one brings what is there once.
            if number > 0 {
                of_a += growth[0];
                of_b += growth[1];
                cached += last;
            }
        }
        assert_eq!(b.ike_sas().filter(|ike| ike.children.len() == 1).count(), 65);
        assert_eq!(a.ike_sas().filter(|ike| ike.children.len() == 1).count(), 65);
        let (initiator, responder, cached) = (of_a / SAS, of_b / SAS, cached / SAS);
        println!(
            "{}: an initiator's IKE SA with a child {initiator} octets, a responder's {} and {cached} of its last response",
            suites.0,
            responder - cached
        );
        assert!((500..=4096).contains(&initiator), "{initiator}");
        assert!((500..=4096).contains(&(responder - cached)), "{responder} - {cached}");
    }
}

#[test]
fn a_half_open_ike_sa_takes_one_kilobyte_at_most_besides_its_messages() {
    for suites in SUITES {
        let mut b = endpoint(2, suites);
        let (mut of_b, mut messages) = (0, 0);
        let mut initiators = Vec::new();
        for number in 0..=SAS {
            let mut a = endpoint(2 * u64::try_from(number).unwrap() + 3, suites);
            a.connect(Instant::from_secs(1), ikev2_core::ConnectionId(0), Some(0), None).unwrap();
            let mut last = 0;
            for (path, mut data) in poll(&mut a) {
                messages += if number > 0 { data.len() as isize } else { 0 };
                let path = Path { local: path.remote, remote: path.local, transport: path.transport };
                let now = Instant::from_secs(1);
                let input = Input::Datagram { now, path, ecn: 0, data: &mut data };
                let (by, result) = grown(|| b.handle_input(input));
                result.unwrap();
                last += by;
            }
            let (by, wire) = grown(|| poll(&mut b));
            last += by - held(&wire);
            if number > 0 {
                of_b += last;
                messages += wire.iter().map(|(_, data)| data.len() as isize).sum::<isize>();
            }
            initiators.push(a);
        }
        assert_eq!(b.ike_sas().count(), 65);
        // Whoever sees the messages can send on: without the keys nothing more is kept for it.
        let known: Vec<_> = b.ike_sas().map(|info| (info.spi_i, info.spi_r, info.path)).collect();
        for (spi_i, spi_r, path) in known {
            let mut forged = spi_i.0.to_vec();
            forged.extend(spi_r.0);
            // SK first, version 2, IKE_AUTH by the initiator, id 1, 128 octets, of which 100 are SK.
            forged.extend([46, 0x20, 35, 0x08, 0, 0, 0, 1, 0, 0, 0, 128, 33, 0, 0, 100]);
            forged.resize(128, 7);
            let input = Input::Datagram { now: Instant::from_secs(1), path, ecn: 0, data: &mut forged };
            let (by, result) = grown(|| b.handle_input(input));
            assert_eq!(result, Err(ikev2_core::Discarded::Integrity));
            let (more, wire) = grown(|| poll(&mut b));
            assert!(by + more - held(&wire) <= 0 && wire.is_empty(), "{by} {more}");
        }
        println!(
            "{}: a half-open IKE SA {} octets and {} of its two messages",
            suites.0,
            (of_b - messages) / SAS,
            messages / SAS
        );
        assert!((of_b - messages) / SAS <= 1024, "{of_b} {messages}");
        drop(initiators);
    }
}

/// A gateway with a connection for each of its peers tells them apart by what they say in IKE_AUTH: until then a set-up may
/// be any of them.
#[test]
fn a_half_open_ike_sa_takes_no_more_where_it_may_be_of_many_connections() {
    let mut b = endpoint(2, SUITES[0]);
    for number in 0..500 {
        let connection = ConnectionConfig::psk(
            "another",
            Identity::fqdn("b.test"),
            PeerIdentity::Exactly(Identity::fqdn(&format!("{number}.test"))),
            Secret::new(b"swordfish"),
            vec![Suite::ike(SUITES[0].0).unwrap()],
        );
        b.add_connection(connection).unwrap();
    }
    let (mut of_b, mut messages) = (0, 0);
    for number in 0..=SAS {
        let mut a = endpoint(2 * u64::try_from(number).unwrap() + 3, SUITES[0]);
        a.connect(Instant::from_secs(1), ikev2_core::ConnectionId(0), Some(0), None).unwrap();
        for (path, mut data) in poll(&mut a) {
            let path = Path { local: path.remote, remote: path.local, transport: path.transport };
            let input = Input::Datagram { now: Instant::from_secs(1), path, ecn: 0, data: &mut data };
            let (by, result) = grown(|| b.handle_input(input));
            result.unwrap();
            let (more, wire) = grown(|| poll(&mut b));
            // The first one brings what is there once, such as the list of those that it may be of.
            if number > 0 {
                of_b += by + more - held(&wire);
                messages += (data.len() + wire.iter().map(|(_, data)| data.len()).sum::<usize>()) as isize;
            }
        }
    }
    assert_eq!(b.ike_sas().count(), 65);
    println!(
        "of 501 connections: a half-open IKE SA {} octets besides its messages",
        (of_b - messages) / SAS
    );
    assert!((of_b - messages) / SAS <= 1024, "{of_b} {messages}");
}
