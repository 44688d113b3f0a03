//! What the integration tests share: captured packets and strategies for messages.
#![allow(dead_code)] // every test binary uses a part of it

use ipsec_wire::ike::*;
use ipsec_wire::{IkeSpi, Limits};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// The packets of a file of hexadecimal lines.
pub(crate) fn packets(lines: &str) -> Vec<Vec<u8>> {
    lines.lines().map(|line| hex::decode(line).expect("hexadecimal")).collect()
}

pub(crate) fn parse(raw: &[u8]) -> MessageView<'_> {
    MessageView::parse(raw, &Limits::DEFAULT).expect("a message")
}

fn octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=max)
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let value =
        prop_oneof![any::<u16>().prop_map(AttributeValue::Tv), octets(9).prop_map(AttributeValue::Tlv),];
    (prop_oneof![Just(14), 0u16..0x8000], value).prop_map(|(kind, value)| Attribute {
        attribute_type: AttributeType(kind),
        value,
        length: None,
    })
}

fn transform() -> impl Strategy<Value = Transform> {
    (any::<u8>(), any::<u16>(), vec(attribute(), 0..3), any::<[u8; 2]>()).prop_map(
        |(kind, id, attributes, reserved)| Transform {
            transform_type: TransformType(kind),
            id,
            attributes,
            reserved,
            ..Transform::default()
        },
    )
}

fn proposal() -> impl Strategy<Value = Proposal> {
    (any::<u8>(), any::<u8>(), octets(8), vec(transform(), 0..6), any::<u8>()).prop_map(
        |(number, protocol, spi, transforms, reserved)| Proposal {
            number,
            protocol: ProtocolId(protocol),
            spi,
            transforms,
            reserved,
            ..Proposal::default()
        },
    )
}

fn selector() -> impl Strategy<Value = TrafficSelector> {
    let range = |ts_type, length| {
        (any::<u8>(), any::<u16>(), any::<u16>(), vec(any::<u8>(), length)).prop_map(
            move |(protocol, start_port, end_port, body)| TrafficSelector {
                ts_type,
                protocol,
                start_port,
                end_port,
                body,
                length: None,
            },
        )
    };
    let other =
        (prop_oneof![0u8..7, 9u8..=255], any::<u8>(), octets(12)).prop_map(|(ts_type, protocol, body)| {
            TrafficSelector { ts_type: TsType(ts_type), protocol, body, ..TrafficSelector::default() }
        });
    prop_oneof![range(TsType::IPV4_ADDR_RANGE, 8), range(TsType::IPV6_ADDR_RANGE, 32), other]
}

fn ts() -> impl Strategy<Value = Ts> {
    (vec(selector(), 0..4), any::<[u8; 3]>()).prop_map(|(selectors, reserved)| Ts {
        selectors,
        reserved,
        count: None,
    })
}

fn id() -> impl Strategy<Value = Id> {
    (0u8..16, any::<[u8; 3]>(), octets(20)).prop_map(|(kind, reserved, data)| Id {
        id_type: IdType(kind),
        reserved,
        data,
    })
}

/// A name of the registry more often than not.
fn notify_type() -> impl Strategy<Value = u16> {
    prop_oneof![4 => (0..NotifyType::KNOWN.len()).prop_map(|index| NotifyType::KNOWN[index].0.0), 1 => any::<u16>()]
}

/// Lengths that fixed forms have, and any others.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop_oneof![0usize..=6, Just(8), Just(12), Just(16), Just(17), Just(20), Just(36)];
    let small = (1u8..5, 0u8..8, octets(12)).prop_map(|(a, b, rest)| [&[a, b][..], &rest].concat());
    prop_oneof![fixed.prop_flat_map(|length| vec(any::<u8>(), length)), small, octets(24)]
}

fn eap() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![4 => (0..EapType::KNOWN.len()).prop_map(|index| EapType::KNOWN[index].0.0), 1 => any::<u8>()];
    let packet = (1u8..6, any::<u8>(), kind, data()).prop_map(|(code, id, kind, data)| {
        let body = [&[kind][..], &data].concat();
        EapView { code: EapCode(code), identifier: id, body: &body }.to_vec()
    });
    prop_oneof![3 => packet, 1 => octets(20)]
}

fn auth() -> impl Strategy<Value = Auth> {
    let signed = (octets(20), octets(20)).prop_map(|(algorithm, signature)| {
        Auth::digital_signature(&algorithm, &signature).expect("short enough")
    });
    let any_method = (any::<u8>(), any::<[u8; 3]>(), octets(40)).prop_map(|(method, reserved, data)| Auth {
        method: AuthMethod(method),
        reserved,
        data,
    });
    prop_oneof![signed, any_method]
}

fn notify() -> impl Strategy<Value = Notify> {
    (any::<u8>(), octets(8), notify_type(), data()).prop_map(|(protocol, spi, kind, data)| Notify {
        protocol: ProtocolId(protocol),
        spi,
        notify_type: NotifyType(kind),
        data,
        spi_size: None,
    })
}

fn delete() -> impl Strategy<Value = Delete> {
    (any::<u8>(), 0u8..10).prop_flat_map(|(protocol, size)| {
        let count = if size == 0 { 0..1 } else { 0..5 };
        vec(vec(any::<u8>(), usize::from(size)), count).prop_map(move |spis| Delete {
            protocol: ProtocolId(protocol),
            spis,
            spi_size: Some(size),
            count: None,
        })
    })
}

fn cp() -> impl Strategy<Value = Cp> {
    let attribute =
        (prop_oneof![0u16..32, 0u16..0x8000], data(), any::<bool>()).prop_map(|(kind, value, reserved)| {
            CfgAttribute { attribute_type: CfgAttributeType(kind), value, reserved, length: None }
        });
    (any::<u8>(), vec(attribute, 0..5), any::<[u8; 3]>()).prop_map(|(kind, attributes, reserved)| Cp {
        cfg_type: CfgType(kind),
        attributes,
        reserved,
    })
}

fn opaque() -> impl Strategy<Value = Payload> {
    (1u8..=255, octets(24))
        .prop_filter("a type without a body of its own", |(kind, _)| {
            !PayloadType(*kind).is_understood()
                && !matches!(PayloadType(*kind), PayloadType::GSPM | PayloadType::PS)
        })
        .prop_map(|(kind, body)| Payload::Unknown { payload_type: PayloadType(kind), body })
}

/// A payload of any kind that can stand inside SK.
pub(crate) fn inner_payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        vec(proposal(), 0..4).prop_map(|proposals| Payload::Sa(Sa { proposals })),
        (any::<u16>(), any::<[u8; 2]>(), octets(40)).prop_map(|(method, reserved, data)| Payload::Ke(Ke {
            method: KeId(method),
            reserved,
            data
        })),
        id().prop_map(Payload::IdI),
        id().prop_map(Payload::IdR),
        (any::<u8>(), octets(30)).prop_map(|(e, data)| Payload::Cert(Cert::new(CertEncoding(e), data))),
        (any::<u8>(), octets(40)).prop_map(|(e, data)| Payload::CertReq(CertReq::new(CertEncoding(e), data))),
        auth().prop_map(Payload::Auth),
        octets(40).prop_map(Payload::Nonce),
        notify().prop_map(Payload::Notify),
        delete().prop_map(Payload::Delete),
        octets(20).prop_map(Payload::Vendor),
        ts().prop_map(Payload::TsI),
        ts().prop_map(Payload::TsR),
        cp().prop_map(Payload::Cp),
        eap().prop_map(Payload::Eap),
        octets(20).prop_map(Payload::Gspm),
        octets(20).prop_map(Payload::Ps),
        opaque(),
    ]
}

/// A payload with its generic header's bits.
pub(crate) fn with_flags(payload: impl Strategy<Value = Payload>) -> impl Strategy<Value = PayloadBuilder> {
    (payload, prop_oneof![Just(0u8), any::<u8>()])
        .prop_map(|(payload, flags)| PayloadBuilder { flags, ..PayloadBuilder::from(payload) })
}

fn encrypted() -> impl Strategy<Value = Payload> {
    prop_oneof![
        (any::<u8>(), octets(48))
            .prop_map(|(next, body)| Payload::Sk(SkBody { next: PayloadType(next), body })),
        (any::<u8>(), any::<u16>(), any::<u16>(), octets(48)).prop_map(
            |(next, fragment_number, total_fragments, body)| Payload::Skf(SkfBody {
                next: PayloadType(next),
                fragment_number,
                total_fragments,
                body
            })
        ),
    ]
}

/// A well-formed message: every field free that can be.
pub(crate) fn message() -> impl Strategy<Value = MessageBuilder> {
    let header = (any::<[u8; 8]>(), any::<[u8; 8]>(), 0x20u8..0x30, any::<u8>(), any::<u8>(), any::<u32>());
    (header, vec(with_flags(inner_payload()), 0..7), option::of(with_flags(encrypted()))).prop_map(
        |((initiator, responder, version, exchange, flags, id), payloads, encrypted)| MessageBuilder {
            version,
            payloads: payloads.into_iter().chain(encrypted).collect(),
            ..MessageBuilder::new(
                IkeSpi(initiator),
                IkeSpi(responder),
                ExchangeType(exchange),
                Flags(flags),
                id,
            )
        },
    )
}
