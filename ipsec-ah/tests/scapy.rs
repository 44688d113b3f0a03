//! AH packets sealed by scapy, and with GMAC by the GCM of `cryptography` (`vectors/make_scapy.py`): each opens here, and in transport mode sealing here gives the
//! same octets (in tunnel mode the outer header's identification is each side's own choice).

use ipsec_ah::{AhInbound, AhOutbound, HeaderError, OpenError};
use ipsec_crypto::{Secret, rustcrypto};
use ipsec_sa::{
    Direction, Encapsulation, Mode, Outer, Role, SaAlgorithms, SaKeys, SaParams, SecurityProtocol,
};
use ipsec_wire::Spi;
use ipsec_wire::ike::{IntegId, SnId};
use serde_json::Value;

struct Vector {
    name: String,
    mode: Mode,
    integ: IntegId,
    key: Vec<u8>,
    spi: Spi,
    esn: bool,
    seq: u64,
    inner: Vec<u8>,
    sealed: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let values: Vec<Value> = serde_json::from_str(include_str!("vectors/scapy.json")).unwrap();
    values.iter().map(Vector::read).collect()
}

impl Vector {
    fn read(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap();
        let octets = |key: &str| hex::decode(text(key)).unwrap();
        Vector {
            name: text("name").into(),
            mode: if text("mode") == "tunnel" { Mode::Tunnel } else { Mode::Transport },
            integ: IntegId(value["integ"].as_u64().unwrap() as u16),
            key: octets("key"),
            spi: Spi(value["spi"].as_u64().unwrap() as u32),
            esn: value["esn"].as_bool().unwrap(),
            seq: u64::from_str_radix(text("seq"), 16).unwrap(),
            inner: octets("inner"),
            sealed: octets("sealed"),
        }
    }

    fn params(&self, direction: Direction) -> SaParams {
        let algorithms = SaAlgorithms { encr: None, key_bits: 0, integ: Some(self.integ) };
        let keys = SaKeys { encr: Secret::new(&[]), integ: Secret::new(&self.key) };
        let outer = Outer {
            local: [192, 0, 2, 1].into(),
            remote: [198, 51, 100, 2].into(),
            encapsulation: Encapsulation::None,
        };
        let sequence = if self.esn { SnId::SEQUENTIAL_64 } else { SnId::SEQUENTIAL_32 };
        SaParams::new(self.spi, direction, Role::Initiator, algorithms, keys, outer)
            .with_protocol(SecurityProtocol::Ah)
            .with_mode(self.mode)
            .with_sequence(sequence, self.seq - 1)
    }
}

#[test]
fn every_packet_opens() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 420);
    for vector in &vectors {
        let mut inbound =
            AhInbound::new(&vector.params(Direction::Inbound), &rustcrypto::provider()).unwrap();
        let mut packet = vector.sealed.clone();
        let opened = inbound.open_in_place(&mut packet).unwrap_or_else(|e| panic!("{}: {e:?}", vector.name));
        assert_eq!(hex::encode(&packet[opened.packet]), hex::encode(&vector.inner), "{}", vector.name);
        assert_eq!(opened.seq, vector.seq);
        assert_eq!(inbound.open_in_place(&mut vector.sealed.clone()), Err(OpenError::Replay));
    }
}

#[test]
fn sealing_in_transport_mode_gives_the_same_octets() {
    let vectors = vectors();
    let transport: Vec<_> = vectors.iter().filter(|vector| vector.mode == Mode::Transport).collect();
    assert_eq!(transport.len(), 140);
    for vector in transport {
        let mut outbound =
            AhOutbound::new(&vector.params(Direction::Outbound), &rustcrypto::provider()).unwrap();
        let mut buf = [vec![0xee; 64], vector.inner.clone(), vec![0xdd; 7]].concat();
        let sealed = outbound.seal_in_place(&mut buf, 64..64 + vector.inner.len()).unwrap();
        assert_eq!(hex::encode(&buf[sealed]), hex::encode(&vector.sealed), "{}", vector.name);
        assert_eq!(buf[64 + vector.inner.len()..], [0xdd; 7]);
    }
}

#[test]
fn routed_packets_are_sealed_for_their_last_stop_and_open_there() {
    let values: Vec<Value> = serde_json::from_str(include_str!("vectors/scapy_routes.json")).unwrap();
    assert_eq!(values.len(), 33);
    for value in &values {
        let vector = Vector::read(value);
        let octets = |key: &str| hex::decode(value[key].as_str().unwrap()).unwrap();
        let provider = rustcrypto::provider();
        let mut outbound = AhOutbound::new(&vector.params(Direction::Outbound), &provider).unwrap();
        let mut buf = [vec![0xee; 64], vector.inner.clone()].concat();
        let sealed = outbound.seal_in_place(&mut buf, 64..64 + vector.inner.len()).unwrap();
        assert_eq!(hex::encode(&buf[sealed]), hex::encode(&vector.sealed), "{}", vector.name);

        let mut inbound = AhInbound::new(&vector.params(Direction::Inbound), &provider).unwrap();
        let mut arrived = octets("arrived");
        if arrived != vector.sealed {
            // Before the last stop it is nobody's.
            let early = inbound.open_in_place(&mut vector.sealed.clone());
            assert_eq!(early, Err(OpenError::Header(HeaderError::Route)), "{}", vector.name);
        }
        let opened = inbound.open_in_place(&mut arrived).unwrap_or_else(|e| panic!("{}: {e:?}", vector.name));
        assert_eq!(hex::encode(&arrived[opened.packet]), hex::encode(octets("opened")), "{}", vector.name);
    }
}

/// Octets that routers may change: of IPv4 the TOS, flags and fragment offset, TTL and checksum; of IPv6 traffic class,
/// flow label and hop limit. Fragments are refused before.
fn may_change(packet: &[u8], at: usize) -> bool {
    match packet[0] >> 4 {
        4 => matches!(at, 1 | 6..=8 | 10 | 11),
        _ => matches!(at, 0..=3 | 7),
    }
}

#[test]
fn every_immutable_octet_is_protected() {
    for vector in vectors().iter().filter(|vector| !vector.name.contains("options")) {
        let mut inbound =
            AhInbound::new(&vector.params(Direction::Inbound), &rustcrypto::provider()).unwrap();
        for at in 0..vector.sealed.len() {
            let mut packet = vector.sealed.clone();
            packet[at] ^= 0x04;
            if may_change(&packet, at) {
                continue;
            }
            let error = inbound.open_in_place(&mut packet).unwrap_err();
            assert_ne!(error, OpenError::Crypto, "{}: octet {at}", vector.name);
            assert_eq!(inbound.window().top(), vector.seq - 1, "{}: octet {at}: {error:?}", vector.name);
        }
    }
}

#[test]
fn what_routers_change_is_not() {
    for vector in vectors().iter().filter(|vector| vector.mode == Mode::Transport) {
        let mut packet = vector.sealed.clone();
        match packet[0] >> 4 {
            4 => {
                packet[1] = 0x03;
                packet[8] = 1;
                packet[10..12].fill(0x77);
                if vector.name.contains("options") {
                    // The recorded route.
                    packet[27..31].fill(9);
                }
            }
            _ => {
                packet[..4].copy_from_slice(&[0x60, 0, 0, 0]);
                packet[7] = 1;
                if vector.name.contains("options") {
                    packet[48..52].fill(9);
                }
            }
        }
        let mut inbound =
            AhInbound::new(&vector.params(Direction::Inbound), &rustcrypto::provider()).unwrap();
        assert!(inbound.open_in_place(&mut packet).is_ok(), "{}", vector.name);
    }
}
