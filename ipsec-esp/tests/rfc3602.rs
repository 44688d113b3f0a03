//! The sample packets of RFC 3602 §4, cases 5 to 8. They carry no ICV, which is not done here: an HMAC goes behind
//! them, and everything in front of it must be the RFC's octets.

mod common;

use common::{provider, rng};
use ipsec_crypto::Secret;
use ipsec_esp::{EspInbound, EspTransform, OuterHeader};
use ipsec_sa::{
    Direction, Encapsulation, Mode, Outer, Role, SaAlgorithms, SaKeys, SaParams, SequenceCounter,
};
use ipsec_wire::ike::{EncrId, IntegId, SnId};
use ipsec_wire::{IpProtocol, Spi};

struct Sample {
    mode: Mode,
    key: &'static str,
    spi: u32,
    seq: u64,
    iv: &'static str,
    payload: &'static str,
    next: IpProtocol,
    encrypted: &'static str,
}

const SAMPLES: [Sample; 4] = [
    Sample {
        mode: Mode::Transport,
        key: "90d382b410eeba7ad938c46cec1a82bf",
        spi: 0x4321,
        seq: 1,
        iv: "e96e8c08ab465763fd098d45dd3ff893",
        payload: "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f1011121314151617\
                  18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        next: IpProtocol::ICMP,
        encrypted: "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856\
                    a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a\
                    a269add047ad2d5913ac19b7cfbad4a6",
    },
    Sample {
        mode: Mode::Transport,
        key: "90d382b410eeba7ad938c46cec1a82bf",
        spi: 0x4321,
        seq: 8,
        iv: "69d08df7d203329db093fc4924e5bd80",
        payload: "0800b5e8a80a0500a69c083d0b660e00777777777777777777777777",
        next: IpProtocol::ICMP,
        encrypted: "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
    },
    Sample {
        mode: Mode::Tunnel,
        key: "0123456789abcdef0123456789abcdef",
        spi: 0x8765,
        seq: 2,
        iv: "f4e765244f6407adf13dc1380f673f37",
        payload: "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d\
                  02a2040008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223\
                  2425262728292a2b2c2d2e2f3031323334353637",
        next: IpProtocol::IPV4,
        encrypted: "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8\
                    e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5\
                    c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d",
    },
    Sample {
        mode: Mode::Tunnel,
        key: "0123456789abcdef0123456789abcdef",
        spi: 0x8765,
        seq: 5,
        iv: "85d47224b5f3dd5d2101d4ea8dffab22",
        payload: "45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083d\
                  a3de0300ffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
                  ffffffff",
        next: IpProtocol::IPV4,
        encrypted: "15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb5\
                    0f980a08c9843fd3a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3\
                    d2726d9b5ef6affc6d17a0decbb13892",
    },
];

const INTEG_KEY: [u8; 32] = [0x5a; 32];

impl Sample {
    fn params(&self, direction: Direction) -> SaParams {
        let algorithms = SaAlgorithms {
            encr: Some(EncrId::AES_CBC),
            key_bits: 128,
            integ: Some(IntegId::HMAC_SHA2_256_128),
        };
        let keys =
            SaKeys { encr: Secret::new(&hex::decode(self.key).unwrap()), integ: Secret::new(&INTEG_KEY) };
        let outer = Outer {
            local: [192, 168, 123, 3].into(),
            remote: [192, 168, 123, 100].into(),
            encapsulation: Encapsulation::None,
        };
        SaParams::new(Spi(self.spi), direction, Role::Initiator, algorithms, keys, outer).with_mode(self.mode)
    }

    /// The packet of the RFC, from SPI to the last encrypted octet.
    fn packet(&self) -> Vec<u8> {
        let fixed = format!("{:08x}{:08x}", self.spi, self.seq);
        hex::decode([&fixed, self.iv, self.encrypted].concat()).unwrap()
    }
}

#[test]
fn sealing_gives_the_octets_of_the_rfc() {
    for sample in &SAMPLES {
        let params = sample.params(Direction::Outbound);
        let transform = EspTransform::new(&params, &provider(), OuterHeader::None, &mut rng()).unwrap();
        let plain = hex::decode(sample.payload).unwrap();
        let mut buf = [vec![0; 32], plain.clone(), vec![0; 64]].concat();
        let seq = SequenceCounter::new(SnId::SEQUENTIAL_32, sample.seq - 1).reserve().unwrap();
        let iv = hex::decode(sample.iv).unwrap();
        let sealed =
            transform.seal_at_with_iv(seq, &iv, &mut buf, 32..32 + plain.len(), sample.next).unwrap();
        let packet = &buf[sealed];
        let (covered, icv) = packet.split_at(packet.len() - 16);
        assert_eq!(covered, sample.packet());
        let mac = provider().integ(IntegId::HMAC_SHA2_256_128).unwrap().mac_key(&INTEG_KEY).unwrap();
        assert_eq!(mac.verify(&[covered], icv), Ok(()));
    }
}

#[test]
fn the_packets_of_the_rfc_open() {
    for sample in &SAMPLES {
        let mut packet = sample.packet();
        let mut icv = [0; 16];
        let mac = provider().integ(IntegId::HMAC_SHA2_256_128).unwrap().mac_key(&INTEG_KEY).unwrap();
        mac.sign(&[&packet], &mut icv).unwrap();
        packet.extend(icv);
        let mut inbound = EspInbound::new(&sample.params(Direction::Inbound), &provider()).unwrap();
        let opened = inbound.open_in_place(&mut packet).unwrap();
        assert_eq!(hex::encode(&packet[opened.payload]), sample.payload);
        assert_eq!((opened.next_header, opened.seq), (sample.next, sample.seq));
    }
}
