//! Two endpoints over networks that lose, double, delay, reorder and change datagrams, and through NATs: whatever
//! happens on the way, both sides end up with the same SAs.

use core::net::IpAddr;
use core::time::Duration;

use ikev2_core::{ApiMisuse, CloseReason, CookiePolicy, EndpointConfig, Event, Path};
use ipsec_sa::Encapsulation;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use testkit::ladder::Side;
use testkit::network::{Fate, Link};
use testkit::pair::{Host, Pair, Setup};

const IKE: &str = "aes256gcm16-prfsha256-x25519";
const ESP: &str = "aes256gcm16";

/// Requests are repeated every other second, so that a dozen losses in a row are no matter of hours.
fn patient(host: &mut Host) {
    let config: &mut EndpointConfig = &mut host.endpoint;
    config.retransmit.initial = Duration::from_millis(500);
    config.retransmit.max_interval = Duration::from_secs(2);
    config.retransmit.tries = 40;
    config.half_open_timeout = Duration::from_secs(120);
}

fn up(pair: &Pair) -> bool {
    !pair.left.children.is_empty() && !pair.right.children.is_empty()
}

#[test]
fn set_up_completes_over_an_awful_link() {
    for seed in 0..150 {
        let (ike, esp) = match seed % 3 {
            0 => (IKE, ESP),
            1 => ("aes256-sha256-ecp256", "aes128-sha256"),
            _ => ("aes128gcm16-prfsha512-modp2048", "aes256gcm16-esn"),
        };
        let setup = Setup::psk(seed, ike, esp).over(Link::AWFUL).insecure().with_hosts(patient);
        let setup = setup.with_hosts(|host| {
            if seed.is_multiple_of(2) {
                host.endpoint.cookie = CookiePolicy::Always;
            }
        });
        let mut pair = Pair::new(setup);
        pair.connect(if seed % 4 < 2 { Side::Left } else { Side::Right });
        assert!(pair.run_until(Duration::from_secs(300), up), "seed {seed}\n{}", pair.ladder);
        pair.network.set_default(Link::GOOD);
        pair.run_for(Duration::from_secs(120));
        assert_eq!(pair.agree(), Ok(()), "seed {seed}\n{}", pair.ladder);
        assert_eq!(pair.left.children.len(), 1, "seed {seed}\n{}", pair.ladder);
    }
}

/// Random requests of both sides, crossing each other on an awful link. Once the link is good again and all is
/// quiet, both sides know the same IKE SAs and Child SAs under the same keys.
fn stir(seed: u64, steps: usize, offload: bool) -> Result<(), String> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x0d1c_e000);
    let esp = if seed.is_multiple_of(2) { ESP } else { "aes256gcm16-x25519" };
    let setup = Setup::psk(seed, IKE, esp).over(Link::AWFUL).insecure().with_hosts(patient);
    let setup = setup.with_hosts(|host| {
        if offload {
            host.offload(Duration::from_millis(700));
        }
    });
    let mut pair = Pair::new(setup);
    pair.connect(Side::Left);
    assert!(pair.run_until(Duration::from_secs(300), up), "seed {seed}\n{}", pair.ladder);
    for _ in 0..steps {
        let side = if dice.next_u32() % 2 == 0 { Side::Left } else { Side::Right };
        let now = pair.clock.now();
        let (ike, child) = (pair.ike(side), pair.child(side));
        let endpoint = &mut pair.node_mut(side).endpoint;
        let asked = match (dice.next_u32() % 10, ike, child) {
            (0..=3, _, Some((ike, child))) => endpoint.rekey_child(now, ike, child),
            (4..=5, Some(ike), _) => endpoint.rekey_ike(now, ike),
            (6, Some(ike), _) => endpoint.check_liveness(now, ike),
            (7, Some(ike), _) => endpoint.create_child(now, ike, 0, None),
            (8, _, Some((ike, child))) => endpoint.delete_child(now, ike, child),
            _ => Ok(()),
        };
        assert!(matches!(asked, Ok(()) | Err(ApiMisuse::WrongState | ApiMisuse::UnknownChild)), "{asked:?}");
        pair.run_for(Duration::from_millis(u64::from(dice.next_u32() % 3_000)));
    }
    pair.network.set_default(Link::GOOD);
    pair.run_for(Duration::from_secs(600));
    pair.agree().map_err(|why| format!("seed {seed}: {why}\n{}", pair.ladder))?;
    for side in [Side::Left, Side::Right] {
        let established = pair.node(side).established();
        let failed = pair.node(side).closings().find(|reason| matches!(reason, CloseReason::Failed(_)));
        if established.len() != 1 || failed.is_some() {
            return Err(format!("seed {seed}, {side:?}: {failed:?}, {established:?}\n{}", pair.ladder));
        }
    }
    Ok(())
}

/// The first failure in full, the others by their first line.
fn stir_all(seeds: core::ops::Range<u64>, offload: bool) {
    let failures: Vec<String> = seeds.filter_map(|seed| stir(seed, 40, offload).err()).collect();
    let lines: Vec<&str> = failures.iter().filter_map(|text| text.lines().next()).collect();
    assert!(failures.is_empty(), "{}\n{}", failures[0], lines.join("\n"));
}

#[test]
fn crossing_requests_on_an_awful_link_leave_both_sides_agreed() {
    stir_all(0..200, false);
}

#[test]
fn crossing_requests_leave_both_sides_agreed_when_slow_steps_are_done_outside() {
    stir_all(1_000..1_150, true);
}

#[test]
fn changed_datagrams_are_dropped_and_do_no_harm() {
    for seed in 0..40 {
        let setup = Setup::psk(seed, IKE, ESP).with_hosts(patient).with_hosts(|host| {
            // Of an attempt that the other side has given up, a side learns by asking.
            host.connection.liveness = Some(Duration::from_secs(30));
        });
        let mut pair = Pair::new(setup);
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        pair.network.intercept(move |datagram| {
            let mut data = datagram.data.clone();
            match dice.next_u32() % 4 {
                0 => {
                    let at = usize::try_from(dice.next_u32()).unwrap() % data.len();
                    data[at] ^= 1 << (dice.next_u32() % 8);
                    Fate::Changed(data)
                }
                1 if dice.next_u32() % 4 == 0 => {
                    data.truncate(usize::try_from(dice.next_u32()).unwrap() % data.len());
                    Fate::Changed(data)
                }
                _ => Fate::Pass,
            }
        });
        pair.connect(Side::Left);
        // A change to IKE_SA_INIT that both sides take for good only shows in IKE_AUTH, and ends that attempt
        // (RFC 7296 §2.15); then the next one is begun.
        for _ in 0..20 {
            if pair.run_until(Duration::from_secs(200), up) {
                break;
            }
            pair.connect(Side::Left);
        }
        assert!(up(&pair), "seed {seed}\n{}", pair.ladder);
        for side in [Side::Left, Side::Right] {
            let (ike, child) = pair.child(side).unwrap();
            let now = pair.clock.now();
            pair.node_mut(side).endpoint.rekey_child(now, ike, child).unwrap();
            pair.run_for(Duration::from_secs(60));
        }
        pair.network.stop_intercepting();
        pair.run_for(Duration::from_secs(300));
        assert_eq!(pair.agree(), Ok(()), "seed {seed}\n{}", pair.ladder);
        assert!(!pair.discarded.is_empty());
    }
}

#[test]
fn one_direction_going_dark_is_noticed_by_liveness() {
    let mut pair = Pair::new(Setup::psk(1, IKE, ESP).with_hosts(|host| {
        host.connection.liveness = Some(Duration::from_secs(10));
    }));
    pair.connect(Side::Left);
    assert!(pair.run_until(Duration::from_secs(5), up));
    pair.run_for(Duration::from_secs(120));
    assert_eq!(pair.agree(), Ok(()));
    assert_eq!(pair.left.children.len(), 1);
    pair.network.set_default(Link::GOOD.with_loss(1000));
    pair.run_for(Duration::from_secs(600));
    for side in [Side::Left, Side::Right] {
        assert!(pair.node(side).children.is_empty() && pair.node(side).established().is_empty());
        assert!(pair.node(side).closings().any(|reason| matches!(reason, CloseReason::Failed(_))));
    }
}

fn host(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// The established IKE SA's path on one side.
fn path(pair: &Pair, side: Side) -> Path {
    pair.node(side).established()[0].path
}

#[test]
fn an_initiator_behind_a_nat_is_found_out_and_floats() {
    let mut setup = Setup::psk(1, IKE, ESP);
    setup.right.connection.remote = None;
    let mut pair = Pair::new(setup);
    pair.network.put_nat(host(1), host(99));
    pair.connect(Side::Left);
    assert!(pair.run_until(Duration::from_secs(5), up), "{}", pair.ladder);
    let behind = |side: Side| {
        pair.node(side)
            .events
            .iter()
            .find_map(|(_, _, event)| match event {
                Event::IkeEstablished(up) => Some((up.local_behind_nat, up.remote_behind_nat)),
                _ => None,
            })
            .unwrap()
    };
    assert_eq!((behind(Side::Left), behind(Side::Right)), ((true, false), (false, true)));
    assert_eq!(path(&pair, Side::Left).local.port(), 4500);
    let seen = path(&pair, Side::Right).remote;
    assert_eq!(seen.ip(), host(99));
    for child in pair.right.children.values() {
        let outer = child.outbound.outer;
        assert_eq!(outer.remote, host(99));
        let udp = Encapsulation::Udp { local_port: 4500, remote_port: seen.port() };
        assert_eq!(outer.encapsulation, udp);
    }
    // The one behind the NAT keeps its mapping open (RFC 3948 §2.3).
    let before = pair.sent.len();
    pair.run_for(Duration::from_secs(100));
    let keepalives: Vec<_> = pair.sent[before..].iter().filter(|datagram| datagram.data == [0xff]).collect();
    assert!(keepalives.len() >= 4, "{keepalives:?}");
    assert!(keepalives.iter().all(|datagram| datagram.from.ip() == host(1)));
}

#[test]
fn a_responder_follows_an_initiator_whose_nat_was_restarted() {
    let mut setup = Setup::psk(2, IKE, ESP);
    setup.right.connection.remote = None;
    let mut pair = Pair::new(setup);
    pair.network.put_nat(host(1), host(99));
    pair.connect(Side::Left);
    assert!(pair.run_until(Duration::from_secs(5), up), "{}", pair.ladder);
    let before = path(&pair, Side::Right).remote;
    pair.network.rebind_nat(host(1), host(98));
    let (now, ike) = (pair.clock.now(), pair.ike(Side::Left).unwrap());
    pair.left.endpoint.check_liveness(now, ike).unwrap();
    pair.run_for(Duration::from_secs(10));
    let after = path(&pair, Side::Right).remote;
    assert_ne!(before, after, "{}", pair.ladder);
    assert_eq!(after.ip(), host(98));
    for child in pair.right.children.values() {
        assert_eq!(child.outbound.outer.remote, host(98), "the Child SA has moved along");
    }
    assert_eq!(pair.agree(), Ok(()));
    // And the way back works again.
    let (now, ike) = (pair.clock.now(), pair.ike(Side::Right).unwrap());
    pair.right.endpoint.check_liveness(now, ike).unwrap();
    pair.run_for(Duration::from_secs(10));
    assert!(!pair.ladder.to_string().contains("not taken"), "{}", pair.ladder);
}

/// A request of ours was under way to where the peer is no longer: that says nothing of the peer.
#[test]
fn what_was_sent_to_an_old_address_does_not_count_against_a_peer() {
    let mut setup = Setup::psk(2, IKE, ESP).with_hosts(|host| {
        // A request that is not answered is given up after less than half a minute.
        host.endpoint.retransmit.tries = 5;
        host.endpoint.retransmit.jitter_percent = 0;
        host.connection.liveness = None;
        host.connection.nat_keepalive = None;
    });
    setup.right.connection.remote = None;
    let mut pair = Pair::new(setup);
    pair.network.put_nat(host(1), host(99));
    pair.connect(Side::Left);
    assert!(pair.run_until(Duration::from_secs(5), up), "{}", pair.ladder);
    pair.network.rebind_nat(host(1), host(98));
    let (now, ike) = (pair.clock.now(), pair.ike(Side::Right).unwrap());
    pair.right.endpoint.check_liveness(now, ike).unwrap();
    // All but the last repetition go where nobody is. Then the peer is heard of, and what goes there now is lost too.
    pair.run_for(Duration::from_secs(14));
    let (now, ike) = (pair.clock.now(), pair.ike(Side::Left).unwrap());
    pair.left.endpoint.check_liveness(now, ike).unwrap();
    pair.run_for(Duration::from_millis(20));
    assert_eq!(path(&pair, Side::Right).remote.ip(), host(98), "{}", pair.ladder);
    pair.network.set_default(Link::GOOD.with_loss(1000));
    pair.run_for(Duration::from_secs(8));
    pair.network.set_default(Link::GOOD);
    pair.run_for(Duration::from_secs(60));
    assert!(up(&pair), "{}", pair.ladder);
    assert_eq!(pair.agree(), Ok(()));
}

#[test]
fn a_forged_source_does_not_move_a_peer() {
    let mut setup = Setup::psk(3, IKE, ESP);
    setup.right.connection.remote = None;
    let mut pair = Pair::new(setup);
    pair.network.put_nat(host(1), host(99));
    pair.connect(Side::Left);
    assert!(pair.run_until(Duration::from_secs(5), up), "{}", pair.ladder);
    let before = path(&pair, Side::Right);
    // Every datagram the responder has seen, again, from somewhere else.
    let seen: Vec<_> = pair.sent.iter().filter(|datagram| datagram.from.ip() == host(1)).cloned().collect();
    assert!(seen.len() >= 2);
    for mut datagram in seen {
        datagram.from.set_ip(host(66));
        let now = pair.clock.now();
        pair.network.send(now, datagram);
    }
    pair.run_for(Duration::from_secs(60));
    assert_eq!(path(&pair, Side::Right).remote, before.remote, "{}", pair.ladder);
    assert_eq!(pair.agree(), Ok(()));
}

#[test]
fn ike_sas_of_crossing_rekeys_do_not_pile_up() {
    for seed in 0..10 {
        let setup = Setup::psk(seed, IKE, ESP).insecure().with_hosts(|host| {
            host.offload(Duration::from_millis(700));
            host.connection.lifetime.rekey = Some(Duration::from_secs(15));
        });
        let mut pair = Pair::new(setup);
        pair.connect(Side::Left);
        assert!(pair.run_until(Duration::from_secs(60), up));
        let mut most = 0;
        for _ in 0..600 {
            pair.run_for(Duration::from_secs(1));
            most = most.max(pair.left.established().len()).max(pair.right.established().len());
        }
        // The one in use, one that replaces it, and those that lost in the last twenty seconds.
        assert!(most <= 5, "seed {seed}: {most}\n{}", pair.ladder);
    }
}

#[test]
fn lifetimes_replace_everything_by_themselves_for_a_day() {
    let setup = Setup::psk(4, IKE, ESP).over(Link::GOOD.with_loss(50)).insecure();
    let mut pair = Pair::new(setup);
    pair.connect(Side::Left);
    assert!(pair.run_until(Duration::from_secs(60), up));
    pair.run_for(Duration::from_secs(24 * 3600));
    assert_eq!(pair.agree(), Ok(()), "{}", pair.ladder);
    assert_eq!((pair.left.children.len(), pair.left.established().len()), (1, 1), "{}", pair.ladder);
    let count =
        |wanted: fn(&Event) -> bool| pair.left.events.iter().filter(|(_, _, event)| wanted(event)).count();
    let rekeyed = count(|event| matches!(event, Event::ChildClosed { reason: CloseReason::Rekeyed, .. }));
    let ikes = count(|event| matches!(event, Event::IkeRekeyed { .. }));
    assert!(rekeyed >= 20 && ikes >= 5, "{rekeyed} {ikes}");
}

/// Asked for twice, with a rekey of the peer between: one new IKE SA.
#[test]
fn a_renewal_that_is_under_way_is_not_begun_again() {
    let mut pair = Pair::new(Setup::psk(3, IKE, ESP).insecure());
    pair.connect(Side::Left);
    assert!(pair.run_until(Duration::from_secs(5), up));
    let now = pair.clock.now();
    let (left, right) = (pair.ike(Side::Left).unwrap(), pair.ike(Side::Right).unwrap());
    let new = pair.left.endpoint.reauthenticate(now, left).unwrap();
    pair.right.endpoint.rekey_ike(now, right).unwrap();
    assert_eq!(pair.left.endpoint.reauthenticate(now, left), Ok(new));
    pair.run_for(Duration::from_secs(120));
    assert_eq!(pair.agree(), Ok(()), "{}", pair.ladder);
    assert_eq!(pair.left.endpoint.ike_sas().count(), 1, "{}", pair.ladder);
}
