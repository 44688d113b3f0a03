//! AH with a key: forged packets are refused and move nothing; what can be sealed opens again.
#![no_main]

use ipsec_ah::{AhInbound, AhOutbound, HeaderError, OpenError};
use ipsec_crypto::{Secret, rustcrypto};
use ipsec_sa::{
    Direction, Encapsulation, Mode, Outer, Role, SaAlgorithms, SaKeys, SaParams, SecurityProtocol,
};
use ipsec_wire::Spi;
use ipsec_wire::ike::IntegId;
use libfuzzer_sys::fuzz_target;

fn params(direction: Direction, mode: Mode) -> SaParams {
    let algorithms = SaAlgorithms { encr: None, key_bits: 0, integ: Some(IntegId::HMAC_SHA2_256_128) };
    let keys = SaKeys { encr: Secret::new(&[]), integ: Secret::new(&[7; 32]) };
    let outer = Outer {
        local: [192, 0, 2, 1].into(),
        remote: [192, 0, 2, 2].into(),
        encapsulation: Encapsulation::None,
    };
    SaParams::new(Spi(0x1000), direction, Role::Responder, algorithms, keys, outer)
        .with_protocol(SecurityProtocol::Ah)
        .with_mode(mode)
}

/// Whether a route in the headers is not at its end: the ICV is then as the last stop will see the packet, not as it is.
fn is_on_its_way(packet: &[u8]) -> bool {
    if packet[0] >> 4 == 4 {
        let mut options = &packet[20..usize::from(packet[0] & 15) * 4];
        loop {
            options = match options {
                [0x83 | 0x89, len, pointer, ..] if pointer <= len => return true,
                [1, rest @ ..] => rest,
                [] | [0, ..] => return false,
                [_, len, ..] => &options[usize::from(*len)..],
                _ => return false,
            };
        }
    }
    let (mut next, mut at) = (packet[6], 40);
    while matches!(next, 0 | 43 | 44 | 60) {
        let Some(&[following, units, _, segments_left]) = packet.get(at..at + 4) else { return false };
        if next == 43 && segments_left > 0 {
            return true;
        }
        at += if next == 44 { 8 } else { (usize::from(units) + 1) * 8 };
        next = following;
    }
    false
}

fuzz_target!(|data: &[u8]| {
    let Some((&control, packet)) = data.split_first() else { return };
    let mode = if control & 1 == 0 { Mode::Tunnel } else { Mode::Transport };
    let provider = rustcrypto::provider();
    let mut inbound = AhInbound::new(&params(Direction::Inbound, mode), &provider).unwrap();
    assert!(inbound.open_in_place(&mut packet.to_vec()).is_err());
    assert_eq!((inbound.window().top(), inbound.meter().packets()), (0, 0));

    let mut outbound = AhOutbound::new(&params(Direction::Outbound, mode), &provider).unwrap();
    let room = outbound.room();
    let mut buf = [vec![0; room], packet.to_vec()].concat();
    let range = room..buf.len();
    match outbound.seal_in_place(&mut buf, range) {
        Ok(sealed) => {
            let sealed = &mut buf[sealed];
            let again = &mut sealed.to_vec();
            let opened = match inbound.open_in_place(sealed) {
                Err(error) if mode == Mode::Transport && is_on_its_way(packet) => {
                    assert!(matches!(error, OpenError::Icv | OpenError::Header(HeaderError::Route)));
                    assert_eq!(inbound.window().top(), 0);
                    return;
                }
                opened => opened.unwrap(),
            };
            let opened = &sealed[opened.packet];
            // In transport mode IPv4's checksum is made anew, whatever it was.
            let from = if mode == Mode::Transport && packet[0] >> 4 == 4 { 12 } else { 0 };
            assert_eq!(opened[from..], packet[from..opened.len()]);
            assert_eq!(inbound.open_in_place(again), Err(OpenError::Replay));
        }
        Err(_) => assert_eq!(outbound.sequence().last(), 0),
    }
});
