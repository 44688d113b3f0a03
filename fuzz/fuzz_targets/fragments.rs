//! Reassembly: any packets in any order stay within the limits, and what comes out is a whole packet; what was cut here comes
//! out as it was, in whatever order its fragments come.
#![no_main]

use core::time::Duration;

use ipsec_sa::{Fragments, Instant, Reassembled, Reassembly, ReassemblyLimits};
use ipsec_wire::{IpProtocol, IpView};
use libfuzzer_sys::fuzz_target;

const LIMITS: ReassemblyLimits =
    ReassemblyLimits { datagrams: 4, fragments: 8, octets: 4096, timeout: Duration::from_secs(2) };

fn packet(v4: bool, payload: &[u8]) -> Vec<u8> {
    let header = if v4 {
        ipsec_wire::ip::Ipv4Header {
            tos: 3,
            id: 77,
            df: false,
            ttl: 9,
            protocol: IpProtocol::UDP,
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 0, 2].into(),
        }
        .emit(20 + payload.len() as u16)
        .to_vec()
    } else {
        ipsec_wire::ip::Ipv6Header {
            traffic_class: 3,
            flow_label: 5,
            next_header: IpProtocol::UDP,
            hop_limit: 9,
            src: [7; 16].into(),
            dst: [8; 16].into(),
        }
        .emit(payload.len() as u16)
        .to_vec()
    };
    [header, payload.to_vec()].concat()
}

fuzz_target!(|data: &[u8]| {
    let Some((&[control, mtu], rest)) = data.split_first_chunk() else { return };
    let mut reassembly = Reassembly::new(LIMITS);
    let mut now = Instant::ZERO;
    let mut left = rest;
    while let Some((&[step, len], behind)) = left.split_first_chunk() {
        let (piece, behind) = behind.split_at(behind.len().min(len.into()));
        left = behind;
        now += Duration::from_millis(u64::from(step) * 8);
        match reassembly.insert(now, piece) {
            Ok(Reassembled::Complete(whole)) => {
                let view = IpView::parse(&whole).expect("a packet");
                assert_eq!(view.packet().len(), whole.len());
            }
            Ok(Reassembled::Whole | Reassembled::Waiting) | Err(_) => {}
        }
        assert!(reassembly.octets() <= LIMITS.octets && reassembly.len() <= LIMITS.datagrams);
        assert_eq!(reassembly.is_empty(), reassembly.deadline().is_none());
    }
    reassembly.expire(now + Duration::from_secs(3));
    assert_eq!((reassembly.octets(), reassembly.len()), (0, 0));

    let v4 = control & 1 == 0;
    let whole = packet(v4, &rest[..rest.len().min(2000)]);
    let mtu = 80 + usize::from(mtu) * 8;
    let cut = if v4 { Fragments::ipv4(&whole, mtu) } else { Fragments::ipv6(&whole, mtu.max(1280), 9) };
    let Ok(mut cut) = cut else { return };
    let mut pieces = Vec::new();
    let mut out = [0; 2400];
    while let Some(len) = cut.write_next(&mut out).expect("room") {
        pieces.push(out[..len].to_vec());
    }
    if pieces.len() < 2 {
        return;
    }
    let turn = usize::from(control >> 1) % pieces.len();
    pieces.rotate_left(turn);
    if control & 0x40 != 0 {
        pieces.reverse();
    }
    let limits = ReassemblyLimits { fragments: 64, octets: 1 << 16, ..LIMITS };
    let mut reassembly = Reassembly::new(limits);
    let last = pieces.len() - 1;
    for (i, piece) in pieces.iter().enumerate() {
        match reassembly.insert(now, piece) {
            Ok(Reassembled::Complete(back)) => assert!(i == last && back == whole),
            Ok(Reassembled::Waiting) => assert!(i < last),
            other => panic!("{other:?}"),
        }
    }
    assert!(reassembly.is_empty());
});
