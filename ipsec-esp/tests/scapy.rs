//! ESP packets sealed by scapy (`vectors/make_scapy.py`): each opens here, and sealing here gives the same octets.

mod common;

use common::{provider, rng};
use ipsec_crypto::Secret;
use ipsec_esp::{EspInbound, EspOutbound, EspTransform, OpenError, OuterHeader};
use ipsec_sa::{
    Direction, Encapsulation, Mode, Outer, Role, SaAlgorithms, SaKeys, SaParams, SequenceCounter,
};
use ipsec_wire::ike::{EncrId, IntegId, SnId};
use ipsec_wire::{IpProtocol, Spi};
use serde_json::Value;

struct Vector {
    name: String,
    mode: Mode,
    algorithms: SaAlgorithms,
    key: Vec<u8>,
    integ_key: Vec<u8>,
    spi: Spi,
    esn: bool,
    seq: u64,
    iv: Vec<u8>,
    next_header: IpProtocol,
    payload: Vec<u8>,
    esp: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("vectors/scapy.json");
    let values: Vec<Value> = serde_json::from_str(text).unwrap();
    let vectors = values.iter().map(|value| {
        let number = |key: &str| value[key].as_u64().unwrap();
        let text = |key: &str| value[key].as_str().unwrap();
        let octets = |key: &str| hex::decode(text(key)).unwrap();
        let integ = number("integ") as u16;
        Vector {
            name: text("name").into(),
            mode: if text("mode") == "tunnel" { Mode::Tunnel } else { Mode::Transport },
            algorithms: SaAlgorithms {
                encr: Some(EncrId(number("encr") as u16)),
                key_bits: number("key_bits") as u16,
                integ: (integ != 0).then_some(IntegId(integ)),
            },
            key: octets("key"),
            integ_key: octets("integ_key"),
            spi: Spi(number("spi") as u32),
            esn: value["esn"].as_bool().unwrap(),
            seq: u64::from_str_radix(text("seq"), 16).unwrap(),
            iv: octets("iv"),
            next_header: IpProtocol(number("next_header") as u8),
            payload: octets("payload"),
            esp: octets("esp"),
        }
    });
    vectors.collect()
}

impl Vector {
    fn params(&self, direction: Direction) -> SaParams {
        let keys = SaKeys { encr: Secret::new(&self.key), integ: Secret::new(&self.integ_key) };
        let outer = Outer {
            local: [192, 0, 2, 1].into(),
            remote: [198, 51, 100, 2].into(),
            encapsulation: Encapsulation::None,
        };
        SaParams::new(self.spi, direction, Role::Initiator, self.algorithms, keys, outer)
            .with_mode(self.mode)
            .with_sequence(self.sequence(), self.seq - 1)
    }

    fn sequence(&self) -> SnId {
        if self.esn { SnId::SEQUENTIAL_64 } else { SnId::SEQUENTIAL_32 }
    }
}

#[test]
fn every_packet_opens() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 330);
    for vector in &vectors {
        let mut inbound = EspInbound::new(&vector.params(Direction::Inbound), &provider()).unwrap();
        let mut packet = vector.esp.clone();
        let opened = inbound.open_in_place(&mut packet).unwrap_or_else(|e| panic!("{}: {e:?}", vector.name));
        assert_eq!(packet[opened.payload], vector.payload, "{}", vector.name);
        assert_eq!((opened.next_header, opened.seq), (vector.next_header, vector.seq), "{}", vector.name);
        assert_eq!(inbound.open_in_place(&mut vector.esp.clone()), Err(OpenError::Replay));
    }
}

#[test]
fn sealing_with_the_same_number_and_iv_gives_the_same_octets() {
    for vector in &vectors() {
        let params = vector.params(Direction::Outbound);
        let transform = EspTransform::new(&params, &provider(), OuterHeader::None, &mut rng()).unwrap();
        let room = transform.room(vector.payload.len());
        let payload = room.head..room.head + vector.payload.len();
        let mut buf = vec![0xee; payload.end + room.tail];
        buf[payload.clone()].copy_from_slice(&vector.payload);
        let seq = SequenceCounter::new(vector.sequence(), vector.seq - 1).reserve().unwrap();
        let sealed = transform
            .seal_at_with_iv(seq, &vector.iv, &mut buf, payload.clone(), vector.next_header)
            .unwrap();
        assert_eq!(hex::encode(&buf[sealed]), hex::encode(&vector.esp), "{}", vector.name);

        // A counter's IV is the number, so the ordinary way leads to the same octets.
        if vector.algorithms.encr != Some(EncrId::AES_CBC) {
            let mut outbound = EspOutbound::new(&params, &provider(), OuterHeader::None, &mut rng()).unwrap();
            buf[payload.clone()].copy_from_slice(&vector.payload);
            let sealed = outbound.seal_in_place(&mut buf, payload, vector.next_header).unwrap();
            assert_eq!(hex::encode(&buf[sealed]), hex::encode(&vector.esp), "{}", vector.name);
        }
    }
}

#[test]
fn every_field_of_a_foreign_packet_is_protected() {
    for vector in vectors().iter().step_by(7) {
        let mut inbound = EspInbound::new(&vector.params(Direction::Inbound), &provider()).unwrap();
        for at in 0..vector.esp.len() {
            let mut packet = vector.esp.clone();
            packet[at] ^= 0x10;
            let error = inbound.open_in_place(&mut packet).unwrap_err();
            let number = (4..8).contains(&at) && matches!(error, OpenError::OutOfWindow | OpenError::Replay);
            assert!(number || error == OpenError::Icv, "{}: octet {at}: {error:?}", vector.name);
            assert_eq!(inbound.window().top(), vector.seq - 1);
        }
    }
}
