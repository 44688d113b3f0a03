//! A node that goes on with the SAs of another (RFC 6311).

mod common;

use common::*;
use ipsec_crypto::{Secret, rustcrypto};
use ipsec_esp::{EspInbound, EspOutbound, OpenError, OuterHeader};
use ipsec_sa::snapshot::{ResumeError, Takeover};
use ipsec_sa::{Direction, Encapsulation, Role, SaAlgorithms, SaKeys, SaParams};
use ipsec_wire::ike::EncrId;
use ipsec_wire::{IpProtocol, Spi};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

#[test]
fn another_node_goes_on_where_the_first_was_lost() {
    let takeover = Takeover { epoch: 2, sent: 100, received: 0 };
    let provider = rustcrypto::provider();
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let algorithms = SaAlgorithms { encr: Some(EncrId::AES_GCM_16), key_bits: 128, integ: None };
    let params = |direction| {
        let keys = SaKeys { encr: Secret::new(&[7; 20]), integ: Secret::new(&[]) };
        SaParams::new(
            Spi(0x1000),
            direction,
            Role::Initiator,
            algorithms,
            keys,
            outer_v4(Encapsulation::None),
        )
    };
    let mut outbound =
        EspOutbound::new(&params(Direction::Outbound), &provider, OuterHeader::None, &mut rng).unwrap();
    let mut second =
        EspOutbound::new(&params(Direction::Outbound), &provider, OuterHeader::None, &mut rng).unwrap();
    let mut inbound = EspInbound::new(&params(Direction::Inbound), &provider).unwrap();
    let mut other = EspInbound::new(&params(Direction::Inbound), &provider).unwrap();
    let seal = |sa: &mut EspOutbound| {
        let mut buf = [0; 192];
        buf[64..84].copy_from_slice(&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let range = sa.seal_in_place(&mut buf, 64..84, IpProtocol::IPV4).unwrap();
        buf[range].to_vec()
    };
    let mut packets = Vec::new();
    let mut state = outbound.state(1);
    for number in 0..60 {
        packets.push(seal(&mut outbound));
        if number == 9 {
            state = outbound.state(1);
        }
    }
    for packet in &packets {
        inbound.open_in_place(&mut packet.clone()).unwrap();
    }
    // The second node knows the state of fifty packets ago, and yet is understood at once.
    second.resume(&state, &takeover).unwrap();
    assert_eq!(second.sequence().last(), 110);
    assert_eq!(inbound.open_in_place(&mut seal(&mut second)).unwrap().seq, 111);
    assert_eq!(second.meter().packets(), 111);
    // A second receiver takes nothing that the first has taken.
    other.resume(&inbound.state(1), &takeover).unwrap();
    for packet in &packets {
        let refused = other.open_in_place(&mut packet.clone());
        assert!(matches!(refused, Err(OpenError::Replay | OpenError::OutOfWindow)));
    }
    other.open_in_place(&mut seal(&mut second)).unwrap();
    assert_eq!(other.resume(&inbound.state(1), &takeover), Err(ResumeError::RolledBack));
    assert_eq!(other.resume(&inbound.state(2), &takeover), Err(ResumeError::Epoch));
}
