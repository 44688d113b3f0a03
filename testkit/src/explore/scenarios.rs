//! The searches that are run, and the hosts in them.

use core::time::Duration;

use ikev2_core::config::Startup;
use ikev2_core::{
    ChildConfig, ConnectionConfig, CookiePolicy, EndpointConfig, Executor, Identity, IntermediateUse,
    PeerIdentity, SpiSource,
};
use ipsec_crypto::{Secret, Suite};

use super::Command::{
    Connect, CreateChild, DeleteChild, DeleteIke, Liveness, Reauthenticate, RebindNat, RekeyChild, RekeyIke,
};
use super::dice::NONCE_LEN;
use super::world::World;
use super::{Scenario, child_name};
use crate::ladder::Side;

const BASE: Scenario = Scenario {
    name: "",
    before: &[Connect],
    left: &[],
    right: &[],
    children: 1,
    pfs: false,
    offload: false,
    nat: false,
    intermediate: false,
    nonces: true,
    stays: true,
    keeps: false,
    tries: 5,
    may_fail: false,
    longest_dark: Duration::ZERO,
    settling: super::SETTLING,
};

/// The responder may send on what it has just made before the initiator has its answer, which may be lost.
const REAUTHENTICATION: Scenario = Scenario { longest_dark: Duration::from_secs(8), ..BASE };

/// Every scenario.
pub static SCENARIOS: [Scenario; 24] = [
    Scenario {
        name: "set-up",
        before: &[],
        left: &[Connect],
        nonces: false,
        // The responder may send before the initiator has its answer, which may be lost.
        longest_dark: Duration::from_secs(8),
        ..BASE
    },
    Scenario {
        name: "set-up-offloaded",
        before: &[],
        left: &[Connect],
        nonces: false,
        offload: true,
        longest_dark: Duration::from_secs(8),
        ..BASE
    },
    Scenario {
        name: "set-up-intermediate",
        before: &[],
        left: &[Connect],
        nonces: false,
        intermediate: true,
        longest_dark: Duration::from_secs(8),
        ..BASE
    },
    Scenario {
        name: "set-up-intermediate-offloaded",
        before: &[],
        left: &[Connect],
        nonces: false,
        intermediate: true,
        offload: true,
        longest_dark: Duration::from_secs(8),
        ..BASE
    },
    Scenario { name: "child-rekey", left: &[RekeyChild(0)], right: &[RekeyChild(0)], ..BASE },
    Scenario { name: "child-rekey-pfs", left: &[RekeyChild(0)], right: &[RekeyChild(0)], pfs: true, ..BASE },
    Scenario {
        name: "child-rekey-offloaded",
        left: &[RekeyChild(0)],
        right: &[RekeyChild(0)],
        pfs: true,
        offload: true,
        ..BASE
    },
    Scenario { name: "ike-rekey", left: &[RekeyIke], right: &[RekeyIke], ..BASE },
    Scenario { name: "ike-rekey-offloaded", left: &[RekeyIke], right: &[RekeyIke], offload: true, ..BASE },
    Scenario {
        name: "rekey-against-delete",
        left: &[RekeyChild(0)],
        right: &[DeleteChild(0)],
        stays: false,
        longest_dark: Duration::from_secs(8),
        ..BASE
    },
    Scenario {
        name: "rekey-against-ike-delete",
        left: &[RekeyChild(0)],
        right: &[DeleteIke],
        stays: false,
        longest_dark: Duration::from_secs(8),
        ..BASE
    },
    Scenario {
        name: "ike-rekey-against-ike-delete",
        left: &[RekeyIke],
        right: &[DeleteIke],
        stays: false,
        longest_dark: Duration::from_secs(8),
        ..BASE
    },
    Scenario {
        name: "ike-rekey-against-child-delete",
        left: &[RekeyIke],
        right: &[DeleteChild(0)],
        stays: false,
        longest_dark: Duration::from_secs(8),
        ..BASE
    },
    Scenario { name: "child-rekey-against-ike-rekey", left: &[RekeyChild(0)], right: &[RekeyIke], ..BASE },
    Scenario {
        name: "both-rekeys-on-both-sides",
        left: &[RekeyChild(0), RekeyIke],
        right: &[RekeyChild(0)],
        ..BASE
    },
    Scenario {
        name: "two-children",
        before: &[Connect, CreateChild(1)],
        left: &[RekeyChild(0), RekeyChild(1)],
        right: &[RekeyChild(1)],
        children: 2,
        ..BASE
    },
    Scenario { name: "liveness-against-child-rekey", left: &[Liveness], right: &[RekeyChild(0)], ..BASE },
    Scenario { name: "liveness-against-ike-rekey", left: &[Liveness], right: &[RekeyIke], ..BASE },
    Scenario {
        name: "nat-rebinding-against-rekey",
        left: &[RebindNat, RekeyChild(0)],
        right: &[RekeyChild(0)],
        nat: true,
        // Until the next authentic message from behind the NAT, of which two may be lost.
        longest_dark: Duration::from_secs(15),
        ..BASE
    },
    Scenario { name: "reauthentication", left: &[Reauthenticate], nonces: false, ..REAUTHENTICATION },
    Scenario {
        name: "reauthentication-offloaded",
        left: &[Reauthenticate],
        nonces: false,
        offload: true,
        ..REAUTHENTICATION
    },
    Scenario {
        name: "reauthentication-against-child-rekey",
        left: &[Reauthenticate],
        right: &[RekeyChild(0)],
        ..REAUTHENTICATION
    },
    Scenario {
        name: "reauthentication-against-ike-rekey",
        left: &[Reauthenticate],
        right: &[RekeyIke],
        ..REAUTHENTICATION
    },
    Scenario {
        name: "kept-against-ike-delete",
        right: &[DeleteIke],
        keeps: true,
        nonces: false,
        longest_dark: Duration::from_secs(60),
        ..BASE
    },
];

pub(super) fn host(scenario: &Scenario, side: Side) -> (EndpointConfig, ConnectionConfig) {
    let mut config = EndpointConfig::default();
    config.spi_source = SpiSource::Pool;
    config.nonce_len = NONCE_LEN;
    config.cookie = CookiePolicy::Never;
    // More tries than mishaps, so that no peer is given up without reason.
    config.retransmit.jitter_percent = 0;
    config.retransmit.tries = scenario.tries;
    if scenario.offload {
        config.executor = Executor::Caller;
        config.acknowledge_install = true;
    }
    let [left, right] = World::addresses();
    let (number, peer) = match side {
        Side::Left => (1, 2),
        Side::Right => (2, 1),
    };
    let identity = |number| Identity::fqdn(if number == 1 { "left.test" } else { "right.test" });
    let ike = Suite::ike("aes128gcm16-prfsha256-x25519").expect("an IKE proposal");
    let mut connection = ConnectionConfig::psk(
        "peer",
        identity(number),
        PeerIdentity::Exactly(identity(peer)),
        Secret::new(b"swordfish"),
        vec![ike],
    );
    connection = match side {
        Side::Left => connection.between(left, right),
        Side::Right => connection.between(right, left),
    };
    if scenario.nat && side == Side::Right {
        connection.remote = None;
    }
    // The side behind a NAT must make itself heard before the other one gives it up.
    connection.liveness = Some(Duration::from_secs(if scenario.nat { 10 } else { 30 }));
    connection.nat_keepalive = None;
    connection.lifetime.jitter_percent = 0;
    if scenario.intermediate && side == Side::Left {
        connection.intermediate = vec![IntermediateUse::VendorId(b"one".to_vec())];
    }
    for place in 0..scenario.children {
        let net = |host: u8| vec![format!("10.{host}.{place}.0/24").parse().expect("a prefix")];
        let esp = if scenario.pfs { "aes128gcm16-x25519" } else { "aes128gcm16" };
        let esp = Suite::esp(esp).expect("an ESP proposal");
        let mut child = ChildConfig::tunnel(child_name(place), net(number), net(peer), vec![esp]);
        child.jitter_percent = 0;
        if scenario.keeps && side == Side::Left {
            child.startup = Startup::Keep;
        }
        connection = connection.with_child(child);
    }
    (config, connection)
}
