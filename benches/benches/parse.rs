//! Reading an IKE_SA_INIT beside a hand-written validating walk and beside the crate `ipsec-parser`, and telling
//! apart what comes in on a port that carries IKE and ESP.
//!
//! `cargo bench -p benches --bench parse`

#![allow(missing_docs)] // criterion's macros and a program's private items

use core::hint::black_box;

use benches::{Batch, Table, compare, timed};
use criterion::{Criterion, Throughput, criterion_group};
use ipsec_parser::{IkeV2PayloadContent, parse_ikev2_message};
use ipsec_wire::ike::{
    EncrId, ExchangeType, Flags, HashId, IntegId, Ke, KeId, MessageBuilder, MessageView, Notify, NotifyType,
    Payload, PrfId, Proposal, ProtocolId, Sa, Transform, TransformType,
};
use ipsec_wire::{AhView, EspView, IkeSpi, Limits, UdpEncap, classify_udp_encap};

const BATCH: usize = 64;

/// 464 octets: two proposals with 29 transforms, five of them with a key length, KE, Ni and five notifies.
fn ike_sa_init() -> Vec<u8> {
    let encr = |id, bits: Option<u16>| {
        let transform = Transform::new(TransformType::ENCR, id);
        bits.map_or(transform.clone(), |bits| transform.with_key_length(bits))
    };
    let of = |kind, ids: &[u16]| ids.iter().map(|id| Transform::new(kind, *id)).collect::<Vec<_>>();
    let ke = [
        KeId::CURVE25519,
        KeId::ECP_256,
        KeId::ECP_384,
        KeId::ECP_521,
        KeId::MODP_2048,
        KeId::MODP_3072,
        KeId::MODP_4096,
    ]
    .map(|id| id.0);
    let prf =
        [PrfId::HMAC_SHA2_256, PrfId::HMAC_SHA2_384, PrfId::HMAC_SHA2_512, PrfId::AES128_XCBC].map(|id| id.0);
    let integ =
        [IntegId::HMAC_SHA2_256_128, IntegId::HMAC_SHA2_384_192, IntegId::HMAC_SHA2_512_256].map(|id| id.0);
    let combined = [
        vec![
            encr(EncrId::AES_GCM_16, Some(256)),
            encr(EncrId::AES_GCM_16, Some(128)),
            encr(EncrId::CHACHA20_POLY1305, None),
        ],
        of(TransformType::PRF, &prf),
        of(TransformType::KE, &ke),
    ]
    .concat();
    let separate = [
        vec![
            encr(EncrId::AES_CBC, Some(256)),
            encr(EncrId::AES_CBC, Some(192)),
            encr(EncrId::AES_CBC, Some(128)),
        ],
        of(TransformType::PRF, &prf[..2]),
        of(TransformType::INTEG, &integ),
        of(TransformType::KE, &ke),
    ]
    .concat();
    let hashes = [HashId::SHA2_256, HashId::SHA2_384, HashId::SHA2_512, HashId::IDENTITY];
    let proposals = vec![
        Proposal::new(1, ProtocolId::IKE, [], combined),
        Proposal::new(2, ProtocolId::IKE, [], separate),
    ];
    let transforms: usize = proposals.iter().map(|proposal| proposal.transforms.len()).sum();
    let message =
        MessageBuilder::new(IkeSpi([0xa5; 8]), IkeSpi::ZERO, ExchangeType::IKE_SA_INIT, Flags::INITIATOR, 0)
            .with(Sa::new(proposals))
            .with(Ke::new(KeId::CURVE25519, [0x42; 32]))
            .with(Payload::Nonce(vec![0x55; 32]))
            .with(Notify::new(NotifyType::NAT_DETECTION_SOURCE_IP, [1; 20]))
            .with(Notify::new(NotifyType::NAT_DETECTION_DESTINATION_IP, [2; 20]))
            .with(Notify::new(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, []))
            .with(Notify::signature_hashes(&hashes))
            .with(Notify::new(NotifyType::REDIRECT_SUPPORTED, []))
            .emit();
    assert_eq!((message.len(), transforms), (464, 29));
    message
}

/// What a careful person writes for this one message: every length, "last" octet and count checked, nothing typed,
/// no caps, and no word about what is wrong.
mod by_hand {
    fn be16(octets: &[u8], at: usize) -> Option<usize> {
        Some(usize::from(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?])))
    }

    pub(super) fn message(raw: &[u8]) -> Option<()> {
        if raw.len() < 28 || raw[17] >> 4 != 2 {
            return None;
        }
        let length = u32::from_be_bytes([raw[24], raw[25], raw[26], raw[27]]);
        if usize::try_from(length).ok()? != raw.len() {
            return None;
        }
        let (mut next, mut at) = (raw[16], 28);
        while next != 0 {
            let rest = &raw[at..];
            let length = be16(rest, 2)?;
            let body = rest.get(4..length)?;
            match next {
                33 => sa(body)?,
                34..=36 | 39 if body.len() < 4 => return None,
                37 | 38 if body.is_empty() => return None,
                41 if body.len() < 4 || body.len() - 4 < usize::from(body[1]) => return None,
                _ => {}
            }
            next = rest[0];
            at += length;
        }
        (at == raw.len()).then_some(())
    }

    fn sa(mut rest: &[u8]) -> Option<()> {
        while !rest.is_empty() {
            let length = be16(rest, 2)?;
            let proposal = rest.get(..length)?;
            if length < 8 || rest[0] != if length == rest.len() { 0 } else { 2 } {
                return None;
            }
            let mut transforms = proposal.get(8 + usize::from(proposal[6])..)?;
            let mut count = 0;
            while !transforms.is_empty() {
                let length = be16(transforms, 2)?;
                let transform = transforms.get(..length)?;
                if length < 8 || transforms[0] != if length == transforms.len() { 0 } else { 3 } {
                    return None;
                }
                let mut attributes = &transform[8..];
                while !attributes.is_empty() {
                    let (kind, value) = (be16(attributes, 0)?, be16(attributes, 2)?);
                    attributes = attributes.get(if kind & 0x8000 != 0 { 4 } else { 4 + value }..)?;
                }
                count += 1;
                transforms = &transforms[length..];
            }
            if count != usize::from(proposal[7]) {
                return None;
            }
            rest = &rest[length..];
        }
        Some(())
    }
}

/// Does the same to every message of a batch.
struct Each<F> {
    messages: Vec<Vec<u8>>,
    work: F,
}

impl<F: Fn(&[u8])> Each<F> {
    fn new(message: &[u8], work: F) -> Self {
        Self { messages: vec![message.to_vec(); BATCH], work }
    }
}

impl<F: Fn(&[u8])> Batch for Each<F> {
    fn packets(&self) -> usize {
        self.messages.len()
    }
    fn run(&mut self) {
        for message in &self.messages {
            (self.work)(black_box(message));
        }
    }
}

fn ours(message: &[u8]) {
    black_box(MessageView::parse(message, black_box(&Limits::DEFAULT))).expect("a message");
}

fn walk(message: &[u8]) {
    black_box(by_hand::message(message)).expect("a message");
}

fn other_crate(message: &[u8]) {
    let (_, (_, payloads)) = black_box(parse_ikev2_message(message)).expect("a message");
    let payloads = payloads.expect("payloads");
    // It is one that the crate reads whole.
    debug_assert!(payloads.iter().any(|p| matches!(p.content, IkeV2PayloadContent::SA(_))));
    black_box(&payloads);
}

/// Reads a message and looks at everything in it.
fn read_whole(message: &[u8]) {
    let view = MessageView::parse(message, black_box(&Limits::DEFAULT)).expect("a message");
    for payload in view.payloads() {
        if let ipsec_wire::ike::PayloadKind::Sa(sa) = payload.kind() {
            for proposal in sa.proposals() {
                proposal.transforms().for_each(|transform| {
                    black_box((transform.id, transform.key_length()));
                });
            }
        } else {
            black_box(payload.kind());
        }
    }
}

fn parse(criterion: &mut Criterion) {
    let message = ike_sa_init();
    let mut group = criterion.benchmark_group("IKE_SA_INIT/464");
    group.throughput(Throughput::Bytes(464));
    let mut bench = |name: &str, work: fn(&[u8])| {
        let mut batch = Each::new(&message, work);
        group.bench_function(name, |bencher| bencher.iter_custom(|packets| timed(&mut batch, packets)));
    };
    bench("ipsec-wire", ours);
    bench("by hand", walk);
    bench("ipsec-parser", other_crate);
    bench("ipsec-wire, everything read", read_whole);
    group.finish();
}

/// What a packet of a port or protocol costs before anything is done with it.
fn classify(criterion: &mut Criterion) {
    let ike = [&[0; 4][..], &ike_sa_init()].concat();
    let esp = [&[0xc0, 0, 0, 1, 0, 0, 0, 9][..], &[7; 100]].concat();
    let ah = [&[6, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 9][..], &[7; 100]].concat();
    let mut group = criterion.benchmark_group("classify");
    let mut bench = |name: &str, packet: &[u8], work: fn(&[u8])| {
        let mut batch = Each::new(packet, work);
        group.bench_function(name, |bencher| bencher.iter_custom(|packets| timed(&mut batch, packets)));
    };
    let udp = |packet: &[u8]| match classify_udp_encap(packet) {
        UdpEncap::Esp(packet) => _ = black_box(EspView::parse(packet)),
        other => _ = black_box(other),
    };
    bench("UDP with IKE", &ike, udp);
    bench("UDP with ESP, its header read", &esp, udp);
    bench("UDP with a keepalive", &[0xff], udp);
    bench("AH", &ah, |packet| _ = black_box(AhView::parse(packet)));
    group.finish();
}

fn table() {
    let message = ike_sa_init();
    for (title, raw, work) in [
        ("beside a walk by hand", "by hand", walk as fn(&[u8])),
        ("beside another crate", "ipsec-parser", other_crate),
    ] {
        let mut table = Table::new(title, raw, "ipsec-wire");
        let (mut raw, mut our) = (Each::new(&message, work), Each::new(&message, ours as fn(&[u8])));
        table.push(compare("IKE_SA_INIT validated", message.len(), &mut raw, &mut our));
        println!("{table}");
    }
}

criterion_group!(benches, parse, classify);

fn main() {
    benches();
    table();
    Criterion::default().configure_from_args().final_summary();
}
