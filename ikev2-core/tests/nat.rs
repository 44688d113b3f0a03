//! Translated addresses on either side: who follows whom, and how often (RFC 7296 §2.23).

#![allow(unreachable_pub, dead_code, clippy::std_instead_of_alloc, reason = "a test and its helpers")]

mod support;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ikev2_core::config::Existing;
use ikev2_core::{ConnectionId, Event};
use support::{Options, Pair, Side, connection, keys_agree};

/// What each side is called inside, and what the other side sees of it.
#[derive(Clone, Copy)]
struct Names {
    inside: [IpAddr; 2],
    outside: [IpAddr; 2],
}

const fn at(octets: [u8; 4]) -> IpAddr {
    IpAddr::V4(core::net::Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
}

const A: usize = 0;
const B: usize = 1;

/// Hands what one side has said to the other, addresses translated.
fn deliver(pair: &mut Pair, names: &Names, from: Side) {
    let (me, peer) = if from == Side::A { (A, B) } else { (B, A) };
    pair.tamper(from, |wire| {
        for (path, _) in wire {
            path.local = SocketAddr::new(names.outside[me], path.local.port());
            path.remote = SocketAddr::new(names.inside[peer], path.remote.port());
        }
    });
    pair.deliver(from);
}

fn run(pair: &mut Pair, names: &Names) {
    for _ in 0..20 {
        pair.step(Side::A);
        pair.step(Side::B);
        deliver(pair, names, Side::A);
        deliver(pair, names, Side::B);
    }
}

/// A begins, and is behind a NAT; so is B, where that is wanted.
fn up(b_too: bool) -> (Pair, Names) {
    let outside = [at([192, 0, 2, 1]), at([192, 0, 2, 2])];
    let inside = [at([10, 9, 0, 1]), if b_too { at([10, 9, 0, 2]) } else { outside[B] }];
    let names = Names { inside, outside };
    let mut pair = Pair::new(Options::default());
    for (side, me, peer) in [(Side::A, A, B), (Side::B, B, A)] {
        let mut config = connection(&Options::default(), side);
        config.local = Some(inside[me]);
        config.remote = (side == Side::A).then_some(outside[peer]);
        let now = pair.now();
        pair.endpoint_mut(side).replace_connection(now, ConnectionId(0), config, Existing::Keep).unwrap();
    }
    pair.connect(Side::A);
    run(&mut pair, &names);
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    let seen = |side| {
        let established = |event: &Event| match event {
            Event::IkeEstablished(it) => Some((it.local_behind_nat, it.remote_behind_nat)),
            _ => None,
        };
        pair.events(side).iter().find_map(established)
    };
    assert_eq!([seen(Side::A), seen(Side::B)], [Some((true, b_too)), Some((b_too, true))]);
    (pair, names)
}

fn moves(pair: &Pair) -> usize {
    pair.events(Side::B).iter().filter(|event| matches!(event, Event::ChildMoved(_))).count()
}

/// A's next request comes from another address.
fn move_to(pair: &mut Pair, names: &mut Names, last: u8) {
    names.outside[A] = at([198, 51, 100, last]);
    pair.check_liveness(Side::A);
    run(pair, names);
}

#[test]
fn a_peer_behind_a_nat_is_followed_by_who_is_behind_none() {
    let (mut pair, mut names) = up(false);
    move_to(&mut pair, &mut names, 7);
    assert_eq!(moves(&pair), 1);
    // It stays there, and what B asks finds it.
    move_to(&mut pair, &mut names, 7);
    assert_eq!(moves(&pair), 1);
    pair.check_liveness(Side::B);
    pair.step(Side::B);
    let mut to = Vec::new();
    pair.tamper(Side::B, |wire| to.extend(wire.iter().map(|(path, _)| path.remote.ip())));
    assert_eq!(to, [at([198, 51, 100, 7])]);
}

/// An address that is seen through one's own NAT says nothing of the peer.
#[test]
fn who_is_behind_a_nat_too_follows_nobody() {
    let (mut pair, mut names) = up(true);
    for last in [7, 8] {
        move_to(&mut pair, &mut names, last);
        assert_eq!(moves(&pair), 0);
    }
    // It is answered where it is all the same.
    let answered = pair.ladder(Side::A).iter().filter(|line| line.starts_with("< INFORMATIONAL")).count();
    assert_eq!(answered, 2);
    pair.check_liveness(Side::B);
    pair.step(Side::B);
    let mut to = Vec::new();
    pair.tamper(Side::B, |wire| to.extend(wire.iter().map(|(path, _)| path.remote.ip())));
    assert_eq!(to, [at([192, 0, 2, 1])]);
}

#[test]
fn a_peer_that_hops_about_is_followed_now_and_then() {
    let (mut pair, mut names) = up(false);
    for last in 1..=20 {
        move_to(&mut pair, &mut names, last);
    }
    assert_eq!(moves(&pair), 8, "as often as at once");
    pair.advance(Duration::from_secs(1));
    for last in 21..=40 {
        move_to(&mut pair, &mut names, last);
    }
    assert_eq!(moves(&pair), 9, "and once a second");
}

/// What was found out in IKE_SA_INIT holds in every IKE SA that comes from it.
#[test]
fn a_peer_is_followed_on_a_rekeyed_ike_sa_too() {
    let (mut pair, mut names) = up(false);
    pair.rekey_ike(Side::A);
    run(&mut pair, &names);
    move_to(&mut pair, &mut names, 7);
    assert_eq!(moves(&pair), 1);
}

/// An answer is as good as a request: it is authentic, and was not seen before.
#[test]
fn a_peer_is_followed_by_its_answers_too() {
    let (mut pair, mut names) = up(false);
    pair.check_liveness(Side::B);
    pair.step(Side::B);
    deliver(&mut pair, &names, Side::B);
    names.outside[A] = at([198, 51, 100, 7]);
    deliver(&mut pair, &names, Side::A);
    assert_eq!(moves(&pair), 1);
}
