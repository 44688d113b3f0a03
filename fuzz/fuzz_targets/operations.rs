//! Two endpoints and whatever people, networks and NATs do to them, against a simple model: afterwards, on a good link,
//! both sides know the same one IKE SA, and the same children under the same keys.
#![no_main]

use core::net::IpAddr;
use core::time::Duration;

use ikev2_core::config::Startup;
use libfuzzer_sys::fuzz_target;
use testkit::ladder::Side;
use testkit::network::Link;
use testkit::pair::{Pair, Setup};

/// Long enough for the last death to be noticed and the last set-up to get through.
const SETTLING: Duration = Duration::from_secs(900);

const INSIDE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1));

fn outside(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, 90 + number])
}

fn setup(start: u8, generation: u64) -> Setup {
    let esp = if start & 1 == 0 { "aes128gcm16" } else { "aes128gcm16-x25519" };
    let seed = u64::from(start) | generation << 8;
    let mut setup = Setup::psk(seed, "aes128gcm16-prfsha256-x25519", esp).insecure();
    setup = setup.with_hosts(|host| {
        host.endpoint.trace = false;
        host.endpoint.retransmit.tries = 6;
        host.connection.liveness = Some(Duration::from_secs(60));
        host.connection.nat_keepalive = None;
        if start & 2 != 0 {
            host.offload(Duration::from_millis(300));
        }
    });
    for child in &mut setup.left.connection.children {
        child.startup = Startup::Keep;
    }
    if start & 4 != 0 {
        setup.right.connection.remote = None;
    }
    setup
}

fuzz_target!(|data: &[u8]| {
    let Some((&start, operations)) = data.split_first() else { return };
    let mut pair = Pair::new(setup(start, 0));
    if start & 4 != 0 {
        pair.network.put_nat(INSIDE, outside(0));
    }
    if start & 8 != 0 {
        pair.run_for(Duration::from_secs(5));
    }
    let mut generation = 0;
    let mut extra = 0;
    for operation in operations.iter().take(48) {
        let argument = operation >> 4;
        let side = if argument & 1 == 0 { Side::Left } else { Side::Right };
        let now = pair.clock.now();
        let (ike, child) = (pair.ike(side), pair.child(side));
        let alone = pair.node(side).children.len() == 1;
        let calm = pair.network.on_the_way() == 0;
        let endpoint = &mut pair.node_mut(side).endpoint;
        // What there is nothing to be done to is refused.
        match (operation & 15, ike, child) {
            // One of two that rekeys have just crossed over may be about to go: nobody rekeys it meanwhile.
            (0, _, Some((ike, child))) if alone => drop(endpoint.rekey_child(now, ike, child)),
            (1, Some(ike), _) => drop(endpoint.rekey_ike(now, ike)),
            (2, _, Some((ike, child))) => drop(endpoint.delete_child(now, ike, child)),
            (3, Some(ike), _) if argument & 14 == 0 => drop(endpoint.delete_ike(now, ike)),
            (3 | 4, Some(ike), _) => drop(endpoint.check_liveness(now, ike)),
            (5, Some(ike), _) if argument & 6 == 0 => {
                extra += usize::from(endpoint.create_child(now, ike, 0, None).is_ok());
            }
            // Nor does anybody renew an IKE SA while both sides are replacing it.
            (6, Some(ike), _) if side == Side::Left && calm => drop(endpoint.reauthenticate(now, ike)),
            (7, ..) if argument & 14 == 2 => {
                generation += 1;
                pair.restart(side, setup(start, generation));
            }
            (8, ..) => pair.network.set_default(Link::GOOD.with_loss(u16::from(argument) * 60)),
            (9, ..) => {
                let duplication = u16::from(argument) * 60;
                pair.network.set_default(Link { duplication, reordering: duplication, ..Link::GOOD });
            }
            (10, ..) => pair.network.rebind_nat(INSIDE, outside(argument % 3)),
            (11, ..) => {
                let jitter = Duration::from_millis(u64::from(argument) * 200);
                pair.network.set_default(Link { jitter, ..Link::GOOD });
            }
            (12, ..) => pair.run_for(Duration::from_millis(1 + u64::from(argument) * 7)),
            (13, ..) => pair.run_for(Duration::from_millis(u64::from(argument) * 400)),
            (14, ..) => pair.run_for(Duration::from_secs(u64::from(argument) * 7)),
            _ => {}
        }
        for side in [Side::Left, Side::Right] {
            assert!(pair.node(side).endpoint.ike_sas().count() <= 64, "IKE SAs without bound");
        }
    }
    pair.network.set_default(Link::GOOD);
    pair.run_for(SETTLING);
    let settled = |pair: &Pair| {
        let (left, right) = (&pair.left.endpoint, &pair.right.endpoint);
        pair.agree().is_ok() && left.ike_sas().count() == 1 && right.ike_sas().count() == 1
    };
    if !pair.run_until(SETTLING, settled) {
        pair.agree().expect("both sides agree");
        panic!("{} IKE SAs", pair.left.endpoint.ike_sas().count());
    }
    let children = pair.left.children.len();
    assert!((1..=1 + extra).contains(&children), "{children} Child SAs, at most {extra} more than one");
});
