//! Reading allocates nothing, whatever comes in, and rebuilding no more than a constant times the input.
//!
//! The allocator counts per thread, so that tests beside each other do not disturb the count.

mod common;

use common::packets;
use ipsec_wire::ike::{CfgValue, EapView, MessageView, PayloadKind};
use ipsec_wire::ip::IpView;
use ipsec_wire::isakmp::IsakmpView;
use ipsec_wire::{AggfragView, AhView, EspView, IpCompView, Limits, UdpEncap, WespView, classify_udp_encap};

fn read_message(raw: &[u8]) {
    let Ok(view) = MessageView::parse(raw, &Limits::DEFAULT) else { return };
    for payload in view.payloads() {
        match payload.kind() {
            PayloadKind::Sa(sa) => {
                let transforms = sa.proposals().flat_map(|proposal| proposal.transforms());
                assert!(transforms.map(|transform| transform.attributes().count()).sum::<usize>() < 99);
            }
            PayloadKind::Notify(notify) => _ = notify.content(),
            PayloadKind::Cp(cp) => cp.attributes().for_each(|(kind, value)| _ = CfgValue::read(kind, value)),
            PayloadKind::TsI(ts) | PayloadKind::TsR(ts) => assert!(ts.selectors().count() < 99),
            PayloadKind::Eap(packet) => _ = EapView::parse(packet, 0).map(|eap| eap.method()),
            PayloadKind::Auth(auth) => _ = auth.digital_signature().map(|parts| parts.algorithm_identifier()),
            _ => {}
        }
    }
}

fn read_packet(raw: &[u8]) {
    if let Ok(view) = IsakmpView::parse(raw, &Limits::DEFAULT) {
        view.payloads().for_each(|payload| _ = payload.kind());
    }
    let _ = IpView::parse(raw).map(|ip| (ip.upper_layer(), ip.ports()));
    let _ = (EspView::parse(raw), AhView::parse(raw), IpCompView::parse(raw), WespView::parse(raw));
    let _ = AggfragView::parse(raw).map(|payload| payload.blocks().count());
    if let UdpEncap::Ike(message) = classify_udp_encap(raw) {
        read_message(message);
    }
}

fn captured() -> Vec<Vec<u8>> {
    [
        include_str!("data/ikev2four.hex"),
        include_str!("data/ikev2pI2.hex"),
        include_str!("data/ikev2-id-normal.hex"),
        include_str!("data/isakmp4500.hex"),
        include_str!("data/isakmp-sa-setup.hex"),
        include_str!("data/esp-aes.hex"),
        include_str!("data/ospfv3-ah.hex"),
        include_str!("data/once-crashed-dissectors.hex"),
    ]
    .into_iter()
    .flat_map(packets)
    .collect()
}

#[test]
fn the_allocator_is_counted() {
    let (calls, octets) = tally::asked(|| drop(core::hint::black_box(vec![0u8; 1000])));
    assert!(calls == 1 && octets == 1000, "{calls} {octets}");
}

#[test]
fn reading_allocates_nothing() {
    let captured = captured();
    let used = tally::asked(|| {
        for raw in &captured {
            read_message(raw);
            read_packet(raw);
            (0..raw.len()).for_each(|cut| read_message(&raw[..cut]));
        }
    });
    assert_eq!(used, (0, 0));
}

/// The constants of the crate's documentation: octets of memory for each octet of a message, and how many to begin with.
const BUILDER: usize = 64;
const TEXT: usize = 64;
const EMITTED: usize = 4;
const BASE: usize = 1024;

/// A message of one payload.
fn with_payload(first: u8, body: &[u8]) -> Vec<u8> {
    let length = 28 + 4 + body.len();
    let mut raw = vec![1; 16];
    raw.extend_from_slice(&[first, 0x20, 35, 8, 0, 0, 0, 1]);
    raw.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    raw.extend_from_slice(&[0, 0]);
    raw.extend_from_slice(&u16::try_from(length - 28).unwrap().to_be_bytes());
    raw.extend_from_slice(body);
    raw
}

/// The worst are structures of few octets that become values of many: selectors of four octets and of an unknown type,
/// transforms of eight and attributes of four, payloads without a body, SPIs of one octet, configuration attributes without
/// a value.
fn worst() -> Vec<Vec<u8>> {
    let selectors = [&[255, 0, 0, 0][..], &[200, 0, 0, 4].repeat(255)].concat();
    let transform = |last: u8| [last, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 1, 0];
    let transforms = [transform(3).repeat(254), transform(0).to_vec()].concat();
    let proposal_len = u16::try_from(8 + transforms.len()).unwrap().to_be_bytes();
    let proposal = [&[0, 0][..], &proposal_len, &[1, 1, 0, 255], &transforms].concat();
    let attributes = [[0x80, 14, 1, 0]; 2000].concat();
    let many_len = u16::try_from(8 + attributes.len()).unwrap().to_be_bytes();
    let many = [&[0, 0][..], &many_len, &[1, 0, 0, 20], &attributes].concat();
    let many_len = u16::try_from(8 + many.len()).unwrap().to_be_bytes();
    let many = [&[0, 0][..], &many_len, &[1, 1, 0, 1], &many].concat();
    let spis = [&[3, 1, 0x0f, 0xff][..], &[7; 4095]].concat();
    let values = [&[1, 0, 0, 0][..], &[0, 1, 0, 0].repeat(500)].concat();
    // Vendor ids without octets, one behind the other.
    let chain = [&[43, 0, 0, 4].repeat(254)[..], &[0, 0, 0, 4]].concat();
    vec![
        with_payload(44, &selectors),
        with_payload(33, &proposal),
        with_payload(33, &many),
        with_payload(42, &spis),
        with_payload(47, &values),
        // The first of them is the one that is wrapped around the others, which then stand behind it.
        {
            let mut raw = with_payload(43, &chain);
            raw[28] = 43;
            raw[30..32].copy_from_slice(&[0, 4]);
            raw
        },
    ]
}

#[test]
fn what_allocates_does_so_in_proportion_to_its_input() {
    let mut seen = 0;
    let mut check = |what: &str, raw: &[u8], constant: usize, work: &dyn Fn()| {
        let (_, octets) = tally::asked(work);
        assert!(octets <= BASE + constant * raw.len(), "{what}: {octets} octets for {}", raw.len());
        seen += 1;
    };
    for raw in captured().iter().chain(&worst()) {
        if let Ok(view) = MessageView::parse(raw, &Limits::DEFAULT) {
            let builder = view.to_builder();
            check("builder", raw, BUILDER, &|| drop(core::hint::black_box(view.to_builder())));
            check("text", raw, TEXT, &|| drop(core::hint::black_box(view.to_string())));
            check("whole text", raw, TEXT, &|| drop(core::hint::black_box(format!("{view:#}"))));
            check("octets", raw, EMITTED, &|| drop(core::hint::black_box(builder.emit())));
        }
        if let Ok(view) = IsakmpView::parse(raw, &Limits::DEFAULT) {
            let builder = view.to_builder();
            check("ISAKMP builder", raw, BUILDER, &|| drop(core::hint::black_box(view.to_builder())));
            check("ISAKMP text", raw, TEXT, &|| drop(core::hint::black_box(format!("{view:#}"))));
            check("ISAKMP octets", raw, EMITTED, &|| drop(core::hint::black_box(builder.emit())));
        }
    }
    assert!(seen > 100, "{seen}");
    for raw in worst() {
        MessageView::parse(&raw, &Limits::DEFAULT).unwrap_or_else(|error| panic!("{error} {}", raw.len()));
    }
}
