//! ESP with a key: forged packets are refused and move nothing; authentic ones with any contents, number and padding are
//! opened or refused, and what is opened lies inside the packet.
#![no_main]

use ipsec_crypto::{CryptoProvider, Secret, rustcrypto};
use ipsec_esp::{EspInbound, EspOutbound, OpenError, OuterHeader};
use ipsec_sa::{Direction, Encapsulation, Mode, Outer, Role, SaAlgorithms, SaKeys, SaParams};
use ipsec_wire::ike::{EncrId, IntegId, SnId};
use ipsec_wire::{IpProtocol, Spi};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const NULL_KEY: [u8; 32] = [0x5a; 32];

fn params(suite: u8, direction: Direction, mode: Mode, sequence: SnId, floor: u64) -> SaParams {
    let (encr, key_bits, key_len, integ) = match suite % 3 {
        0 => (EncrId::AES_GCM_16, 128, 20, None),
        1 => (EncrId::AES_CBC, 128, 16, Some(IntegId::HMAC_SHA2_256_128)),
        _ => (EncrId::NULL, 0, 0, Some(IntegId::HMAC_SHA2_256_128)),
    };
    let keys = SaKeys {
        encr: Secret::new(&[7; 20][..key_len]),
        integ: Secret::new(if integ.is_some() { &NULL_KEY } else { &[] }),
    };
    let outer = Outer {
        local: [192, 0, 2, 1].into(),
        remote: [192, 0, 2, 2].into(),
        encapsulation: Encapsulation::None,
    };
    let algorithms = SaAlgorithms { encr: Some(encr), key_bits, integ };
    SaParams::new(Spi(0x1000), direction, Role::Responder, algorithms, keys, outer)
        .with_mode(mode)
        .with_sequence(sequence, floor)
}

fuzz_target!(|data: &[u8]| {
    let Some((&[control, jump, next], rest)) = data.split_first_chunk() else { return };
    let provider: CryptoProvider = rustcrypto::provider();
    let (sequence, floor) =
        if control & 0x10 == 0 { (SnId::SEQUENTIAL_32, 9) } else { (SnId::SEQUENTIAL_64, (1 << 32) - 2) };
    let mode = if control & 0x20 == 0 { Mode::Tunnel } else { Mode::Transport };
    let receiver = params(control, Direction::Inbound, mode, sequence, floor);
    let mut inbound = EspInbound::new(&receiver, &provider).unwrap();

    // As it is: nothing makes it authentic.
    let mut packet = rest.to_vec();
    let error = inbound.open_in_place(&mut packet).unwrap_err();
    assert!(matches!(
        error,
        OpenError::Truncated | OpenError::Icv | OpenError::Replay | OpenError::OutOfWindow
    ));
    assert_eq!((inbound.window().top(), inbound.meter().packets()), (floor, 0));

    // From a peer that has the key.
    let sender = params(control, Direction::Outbound, Mode::Transport, sequence, floor);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut outbound = EspOutbound::new(&sender, &provider, OuterHeader::None, &mut rng).unwrap();
    outbound.sequence_mut().skip(u64::from(jump));
    let room = outbound.room(rest.len());
    let mut buf = [vec![0; room.head], rest.to_vec(), vec![0; room.tail]].concat();
    let payload = room.head..room.head + rest.len();
    let sealed = outbound.seal_in_place(&mut buf, payload, IpProtocol(next)).unwrap();
    let mut packet = buf[sealed].to_vec();

    if control % 3 == 2 && control & 0x40 != 0 && rest.len() >= 2 {
        // Without encryption the trailer can be made up before the MAC is: the payload's end is the trailer.
        let end = 8 + rest.len();
        packet.resize(end + 16, 0);
        let mac = provider.integ(IntegId::HMAC_SHA2_256_128).unwrap().mac_key(&NULL_KEY).unwrap();
        let high = ((outbound.sequence().last() >> 32) as u32).to_be_bytes();
        let high = if control & 0x10 == 0 { &[][..] } else { &high };
        let (covered, icv) = packet.split_at_mut(end);
        mac.sign(&[covered, high], icv).unwrap();
    }

    let opened = inbound.open_in_place(&mut packet.clone());
    assert_eq!(inbound.window().top(), outbound.sequence().last());
    match opened {
        Ok(opened) => {
            assert_eq!(opened.seq, outbound.sequence().last());
            assert!(opened.payload.start <= opened.payload.end && opened.payload.end <= packet.len());
            assert!(mode == Mode::Transport || matches!(opened.next_header.0, 4 | 41 | 59));
        }
        Err(OpenError::Padding) => assert!(control & 0x40 != 0),
        Err(error) => {
            assert!(mode == Mode::Tunnel && matches!(error, OpenError::Inner | OpenError::NextHeader));
        }
    }
    assert_eq!(inbound.open_in_place(&mut packet), Err(OpenError::Replay));
});
