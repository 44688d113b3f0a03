//! SAs as text and back.

use core::time::Duration;

use ipsec_crypto::Secret;
use ipsec_sa::snapshot::{InboundState, OutboundState, WithSecrets};
use ipsec_sa::{
    DfPolicy, Direction, DscpPolicy, EcnPolicy, Encapsulation, HeaderPolicy, IkeSaRef, InterfaceId,
    IpCompCpis, Lifetime, Lifetimes, Mode, NatOriginalAddresses, Outer, PolicyId, Role, SaAlgorithms, SaKeys,
    SaParams, SecurityProtocol,
};
use ipsec_wire::Spi;
use ipsec_wire::ike::{EncrId, IntegId, SnId};

fn params() -> SaParams {
    let algorithms =
        SaAlgorithms { encr: Some(EncrId::AES_CBC), key_bits: 256, integ: Some(IntegId::HMAC_SHA2_256_128) };
    let keys = SaKeys { encr: Secret::new(&[0xa7; 32]), integ: Secret::new(&[0xb8; 32]) };
    let outer = Outer {
        local: "2001:db8::1".parse().unwrap(),
        remote: "2001:db8::2".parse().unwrap(),
        encapsulation: Encapsulation::Udp { local_port: 4500, remote_port: 1024 },
    };
    let lifetimes = Lifetimes {
        soft: Lifetime { time: Some(Duration::from_millis(1500)), octets: Some(u64::MAX), packets: None },
        hard: Lifetime::default(),
    };
    let mut params =
        SaParams::new(Spi(0xc000_0001), Direction::Inbound, Role::Responder, algorithms, keys, outer)
            .with_protocol(SecurityProtocol::Esp)
            .with_mode(Mode::Transport)
            .with_sequence(SnId::SEQUENTIAL_64, 1 << 40)
            .with_replay_window(1024)
            .with_selectors(
                vec!["10.0.0.1-10.0.0.9[tcp/80-90]".parse().unwrap(), "::/0[icmpv6/opaque]".parse().unwrap()],
                vec!["10.1.0.0/16".parse().unwrap()],
            )
            .with_header(HeaderPolicy {
                dscp: DscpPolicy::Set(46),
                ecn: EcnPolicy::Compatibility,
                df: DfPolicy::Clear,
            })
            .with_lifetimes(lifetimes)
            .with_nat_original(NatOriginalAddresses {
                local: [10, 0, 0, 1].into(),
                remote: [10, 1, 0, 1].into(),
            })
            .with_origin(IkeSaRef(7), Some(PolicyId(9)));
    params.tfc = false;
    params.aggfrag = true;
    params.ipcomp = Some(IpCompCpis { inbound: 300, outbound: 301 });
    params.resource = Some(3);
    params.interface = Some(InterfaceId(4));
    params
}

#[test]
fn parameters_come_back_as_they_were() {
    let before = params();
    let text = serde_json::to_string(&WithSecrets(&before)).unwrap();
    let WithSecrets(after) = serde_json::from_str::<WithSecrets<SaParams>>(&text).unwrap();
    assert_eq!(after.keys.encr, before.keys.encr);
    assert_eq!(after.keys.integ, before.keys.integ);
    // All fields are in `Debug`, the keys by their lengths.
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    assert_eq!(serde_json::to_string(&WithSecrets(&after)).unwrap(), text);
}

#[test]
fn what_is_not_whole_or_of_another_layout_is_refused() {
    let text = serde_json::to_string(&WithSecrets(&params())).unwrap();
    let refused = |text: &str| serde_json::from_str::<WithSecrets<SaParams>>(text).is_err();
    assert!(refused(&text.replace("\"version\":1", "\"version\":2")));
    assert!(refused(&text.replace("10.1.0.0/16", "10.1.0.0/33")));
    assert!(refused(&text.replace("\"replay_window\":1024,", "")));
    let long = format!("\"encr_key\":[{}]", vec!["1"; 1025].join(","));
    let start = text.find("\"encr_key\":").unwrap();
    let end = start + text[start..].find(']').unwrap() + 1;
    assert!(!refused(&text) && refused(&format!("{}{long}{}", &text[..start], &text[end..])));
    for len in 0..text.len() {
        assert!(refused(&text[..len]));
    }
}

#[test]
fn a_debug_print_shows_no_key() {
    let params = params();
    let printed = format!("{:?}", WithSecrets(&params));
    assert!(!printed.contains("a7a7") && !printed.contains("167, 167") && printed.contains("c0000001"));
}

#[test]
fn states_come_back_as_they_were() {
    let outbound = OutboundState { spi: 1, epoch: 2, sequence: u64::MAX - 1, packets: 4, octets: 5 };
    let inbound = InboundState { spi: 1, epoch: 2, top: 3, packets: 4, octets: 5 };
    let text = serde_json::to_string(&(outbound, inbound)).unwrap();
    assert_eq!(serde_json::from_str::<(OutboundState, InboundState)>(&text).unwrap(), (outbound, inbound));
}
