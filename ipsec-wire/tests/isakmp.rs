//! IKEv1: captured messages, the laws that IKEv2 messages obey, and what a person sees.

mod common;

use common::packets;
use ipsec_wire::ike::{AttributeValue, ExchangeType, IdType};
use ipsec_wire::isakmp::*;
use ipsec_wire::{IkeSpi, Limits, ParseError, ParseErrorKind, UdpEncap, classify_udp_encap};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

fn parse(raw: &[u8]) -> IsakmpView<'_> {
    IsakmpView::parse(raw, &Limits::DEFAULT).expect("a message")
}

/// Reads everything there is to read of an accepted message.
fn accepted(view: IsakmpView<'_>) {
    assert_eq!(view.to_builder().emit(), view.raw());
    let mut end = 28;
    for payload in view.payloads() {
        assert_eq!(payload.offset, end);
        end += 4 + payload.body.len();
        match payload.kind() {
            PayloadKind::Sa(sa) => {
                for proposal in sa.proposals() {
                    proposal.transforms().for_each(|t| assert!(t.attributes.iter().count() < 1000));
                }
            }
            PayloadKind::Attributes { attributes, .. } => assert!(attributes.iter().count() < 1000),
            PayloadKind::Id(id) => assert!(id.address().is_none() || id.addresses().is_none()),
            _ => {}
        }
    }
    assert!(view.is_encrypted() || end == view.raw().len());
    assert!(!format!("{view}").is_empty() && !format!("{view:#}").is_empty());
}

fn parse_and_check(raw: &[u8]) -> bool {
    let _ = IsakmpView::parse(raw, &Limits::DEFAULT.payloads(2).transforms(2).attributes(3).proposals(1));
    match IsakmpView::parse(raw, &Limits::DEFAULT) {
        Ok(view) => {
            accepted(view);
            true
        }
        Err(error) => {
            assert!(error.offset <= raw.len(), "{error} in {} octets", raw.len());
            false
        }
    }
}

#[test]
fn captured_exchanges() {
    let mut exchanges = Vec::new();
    for raw in packets(include_str!("data/isakmp-sa-setup.hex")) {
        assert!(parse_and_check(&raw));
        exchanges.push(parse(&raw).header().exchange_type);
    }
    let (main, quick) = (ExchangeType::IDENTITY_PROTECTION, ExchangeType::QUICK_MODE);
    assert_eq!(exchanges, [[main; 6].as_slice(), &[quick; 3]].concat());
    let mut seen = 0;
    for datagram in packets(include_str!("data/isakmp4500.hex")) {
        if let UdpEncap::Ike(message) = classify_udp_encap(&datagram) {
            assert!(parse_and_check(message));
            seen += 1;
        }
    }
    assert_eq!(seen, 11);
}

#[test]
fn what_a_person_sees_of_a_captured_offer() {
    let raw = packets(include_str!("data/isakmp-sa-setup.hex")).swap_remove(0);
    let shown = parse(&raw).to_string();
    let head = shown.lines().take(12).collect::<Vec<_>>().join("\n");
    assert_eq!(head, EXPECTED, "{shown}");
}

/// The same as tshark prints of the packet.
const EXPECTED: &str = "\
Identity Protection (2), IKE 1.0, message id 0x00000000, flags 0x00, 148 octets
  initiator cookie cf02326f14a95b93
  responder cookie 0000000000000000
  SA (1), 60 octets
    proposal 1, protocol PROTO_ISAKMP (1)
      transform 1: KEY_IKE (1)
        Encryption Algorithm (1) = AES-CBC (7)
        Key Length (14) = 128
        Hash Algorithm (2) = SHA (2)
        Group Description (4) = MODP_768 (1)
        Authentication Method (3) = pre-shared key (1)
        Life Type (11) = seconds (1)";

#[test]
fn packets_that_crashed_dissectors() {
    let mut read = 0;
    for raw in packets(include_str!("data/once-crashed-dissectors.hex")) {
        read += usize::from(parse_and_check(&raw));
        if let UdpEncap::Ike(message) = classify_udp_encap(&raw) {
            read += usize::from(parse_and_check(message));
        }
        for first in (0..=255).map(PayloadType) {
            let _ = IsakmpChain::parse(first, &raw, 0, &Limits::DEFAULT).map(|chain| chain.to_string());
        }
    }
    // One is sound to a parser: a lone identification of 252 octets.
    assert_eq!(read, 1);
}

fn octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=max)
}

fn attributes() -> impl Strategy<Value = Vec<(u16, AttributeValue)>> {
    let value =
        prop_oneof![any::<u16>().prop_map(AttributeValue::Tv), octets(9).prop_map(AttributeValue::Tlv)];
    vec((prop_oneof![0u16..20, 0u16..0x8000], value), 0..5)
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let transform = (any::<u8>(), any::<u8>(), attributes()).prop_map(|(number, id, attributes)| Transform {
        number,
        id,
        attributes,
    });
    (any::<u8>(), 0u8..6, octets(8), vec(transform, 0..4)).prop_map(|(number, protocol, spi, transforms)| {
        Proposal { number, protocol: ProtocolId(protocol), spi, transforms }
    })
}

fn payload() -> impl Strategy<Value = PayloadBuilder> {
    let plain = [
        PayloadType::KE,
        PayloadType::HASH,
        PayloadType::SIG,
        PayloadType::NONCE,
        PayloadType::VENDOR,
        PayloadType::NAT_D,
        PayloadType(200),
    ];
    let notify_type = prop_oneof![Just(36136u16), Just(36137), any::<u16>()];
    prop_oneof![
        vec(proposal(), 0..3).prop_map(|proposals| PayloadBuilder::sa(&proposals)),
        (proptest::sample::select(plain.to_vec()), octets(40))
            .prop_map(|(kind, body)| PayloadBuilder::new(kind, body)),
        (
            0u8..14,
            any::<u8>(),
            any::<u16>(),
            prop_oneof![vec(any::<u8>(), 4), vec(any::<u8>(), 8), octets(34)]
        )
            .prop_map(|(kind, protocol, port, data)| PayloadBuilder::id(
                IdType(kind),
                protocol,
                port,
                &data
            )),
        (any::<u8>(), octets(16), notify_type, octets(8)).prop_map(|(protocol, spi, kind, data)| {
            PayloadBuilder::notify(ProtocolId(protocol), &spi, NotifyType(kind), &data)
        }),
        (any::<u8>(), vec(any::<[u8; 4]>(), 0..4)).prop_map(|(protocol, spis)| {
            let spis: Vec<&[u8]> = spis.iter().map(|spi| &spi[..]).collect();
            PayloadBuilder::delete(ProtocolId(protocol), &spis)
        }),
        (any::<u8>(), any::<u16>(), attributes()).prop_map(|(kind, id, list)| PayloadBuilder::attributes(
            CfgMessageType(kind),
            id,
            &list
        )),
        (any::<u16>(), any::<u8>(), any::<bool>(), octets(40))
            .prop_map(|(id, number, last, data)| PayloadBuilder::fragment(id, number, last, &data)),
    ]
}

fn message() -> impl Strategy<Value = IsakmpBuilder> {
    let head = (any::<[u8; 8]>(), any::<[u8; 8]>(), any::<u8>(), any::<u32>());
    (head, vec(payload(), 0..6), option::of((any::<u8>(), octets(48)))).prop_map(
        |((initiator, responder, exchange, id), payloads, encrypted)| {
            let mut builder =
                IsakmpBuilder::new(IkeSpi(initiator), IkeSpi(responder), ExchangeType(exchange), id);
            match encrypted {
                Some((first, body)) => {
                    builder.flags = Flags::ENCRYPTION;
                    builder.next_payload = Some(PayloadType(first));
                    builder.encrypted = Some(body);
                }
                None => builder.payloads = payloads,
            }
            builder
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn well_formed_messages_come_back_equal(builder in message()) {
        let raw = builder.emit();
        let view = parse(&raw);
        accepted(view);
        prop_assert_eq!(view.to_builder(), builder);
    }

    #[test]
    fn decrypted_chains_come_back_with_their_padding(payloads in vec(payload(), 1..6), padding in 0usize..16) {
        let (first, chain) = emit_chain(&payloads);
        let bytes = [&chain[..], &vec![0; padding]].concat();
        let view = IsakmpChain::parse(first, &bytes, 28, &Limits::DEFAULT).unwrap();
        prop_assert_eq!((view.raw(), view.padding().len()), (&chain[..], padding));
        prop_assert_eq!(view.to_builders(), payloads);
        prop_assert!(!view.to_string().is_empty());
    }

    #[test]
    fn proposals_come_back_equal(proposals in vec(proposal(), 0..4)) {
        let (first, chain) = emit_chain(&[PayloadBuilder::sa(&proposals)]);
        let view = IsakmpChain::parse(first, &chain, 0, &Limits::DEFAULT).unwrap();
        let Some(PayloadKind::Sa(sa)) = view.payloads().next().map(|payload| payload.kind()) else {
            panic!("an SA payload")
        };
        let found: Vec<_> = sa.proposals().map(|proposal| {
            let transforms: Vec<_> = proposal.transforms().map(|t| (t.number, t.id, t.attributes.iter().count())).collect();
            (proposal.number, proposal.protocol, proposal.spi.to_vec(), transforms)
        }).collect();
        let expected: Vec<_> = proposals.into_iter().map(|proposal| {
            let transforms: Vec<_> = proposal.transforms.iter().map(|t| (t.number, t.id, t.attributes.len())).collect();
            (proposal.number, proposal.protocol, proposal.spi, transforms)
        }).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_octets_are_read_or_refused(mut raw in vec(any::<u8>(), 0..400), first: u8) {
        if raw.len() >= 28 {
            let length = raw.len() as u32;
            (raw[16], raw[17], raw[19]) = (first % 24, 0x10, 0);
            raw[24..28].copy_from_slice(&length.to_be_bytes());
        }
        parse_and_check(&raw);
    }

    #[test]
    fn damaged_messages_are_read_or_refused(builder in message(), damage in vec((any::<Index>(), any::<u8>()), 1..4)) {
        let mut raw = builder.emit();
        for (at, value) in damage {
            let at = at.index(raw.len());
            raw[at] = value;
        }
        parse_and_check(&raw);
    }

    #[test]
    fn overridden_fields_are_written_as_they_are_told(builder in message(), next: u8, length: u16, total: u32) {
        let mut builder = builder;
        builder.next_payload = Some(PayloadType(next));
        builder.length = Some(total);
        if let Some(first) = builder.payloads.first_mut() {
            (first.next_payload, first.length) = (Some(PayloadType(next)), Some(length));
        }
        let raw = builder.emit();
        prop_assert_eq!((raw[16], &raw[24..28]), (next, &total.to_be_bytes()[..]));
        parse_and_check(&raw);
    }
}

#[test]
fn where_it_breaks() {
    let offer = Proposal {
        number: 1,
        protocol: ProtocolId::ISAKMP,
        spi: vec![],
        transforms: vec![Transform::default()],
    };
    let message = IsakmpBuilder::new(IkeSpi([1; 8]), IkeSpi::ZERO, ExchangeType::IDENTITY_PROTECTION, 0)
        .with(PayloadBuilder::sa(&[offer]));
    let raw = message.emit();
    assert_eq!(raw.len(), 28 + 4 + 8 + 8 + 8);
    let with = |at: usize, value: u8| {
        let mut raw = raw.clone();
        raw[at] = value;
        IsakmpView::parse(&raw, &Limits::DEFAULT).map(drop)
    };
    let error = |kind: ParseErrorKind, at| Err(ParseError::new(kind, at));
    assert_eq!(with(17, 0x20), error(ParseErrorKind::UnsupportedVersion(2), 17));
    assert_eq!(with(27, 57), error(ParseErrorKind::Truncated, 24));
    assert_eq!(with(27, 55), error(ParseErrorKind::TrailingOctets, 55));
    assert_eq!(with(40, 2), error(ParseErrorKind::BadLastSubstructure(2), 40));
    assert_eq!(with(47, 2), error(ParseErrorKind::CountMismatch, 47));
    assert_eq!(with(46, 17), error(ParseErrorKind::BadLength, 46));
    assert_eq!(with(51, 9), error(ParseErrorKind::Truncated, 50));
    assert_eq!(with(51, 7), error(ParseErrorKind::BadLength, 50));
    // Another situation: the body is not read.
    assert_eq!(with(39, 3), Ok(()));
}

#[test]
fn the_extensions_of_ikev1() {
    let ruthere = PayloadBuilder::notify(ProtocolId::ISAKMP, &[7; 16], NotifyType::R_U_THERE, &[0, 0, 0, 9]);
    let login = [
        (CfgAttribute::XAUTH_USER_NAME.0, AttributeValue::Tlv(b"alice".to_vec())),
        (CfgAttribute::XAUTH_USER_PASSWORD.0, AttributeValue::Tlv(b"secret".to_vec())),
        (CfgAttribute::INTERNAL_IP4_ADDRESS.0, AttributeValue::Tlv(vec![10, 0, 0, 1])),
    ];
    let message = IsakmpBuilder::new(IkeSpi([1; 8]), IkeSpi([2; 8]), ExchangeType::TRANSACTION, 0x1234)
        .with(ruthere)
        .with(PayloadBuilder::attributes(CfgMessageType::REPLY, 7, &login))
        .with(PayloadBuilder::id(IdType::IPV4_ADDR_SUBNET, 17, 500, &[10, 0, 0, 0, 255, 0, 0, 0]))
        .with(PayloadBuilder::new(PayloadType::NAT_OA, [1, 0, 0, 0, 192, 0, 2, 1]))
        .with(PayloadBuilder::fragment(3, 2, true, &[0xaa]));
    let raw = message.emit();
    let shown = parse(&raw).to_string();
    let expected = "\
Transaction (6), IKE 1.0, message id 0x00001234, flags 0x00, 132 octets
  initiator cookie 0101010101010101
  responder cookie 0202020202020202
  N (11), 32 octets
    R-U-THERE (36136)
    protocol PROTO_ISAKMP (1), SPI 07070707070707070707070707070707
    sequence number 9
  ATTR (14), 35 octets
    ISAKMP_CFG_REPLY (2), id 7
    attribute XAUTH_USER_NAME (16521)
    attribute XAUTH_USER_PASSWORD (16522)
    attribute INTERNAL_IP4_ADDRESS (1)
      0a000001
  ID (5), 16 octets
    type ID_IPV4_ADDR_SUBNET (4), protocol 17, port 500
    10.0.0.0, 255.0.0.0
  NAT-OA (21), 12 octets
    192.0.2.1
  FRAGMENT (132), 9 octets
    fragment 2 of message 3, the last
    aa";
    assert_eq!(shown, expected);
}

/// The numbers of RFC 2407 §4.4 to §4.6 and RFC 2409 appendix A, a second time.
#[test]
fn code_points_of_the_rfcs() {
    macro_rules! named {
        ($($registry:ident { $($number:literal $name:ident)* })*) => {
            $($(
                assert_eq!($registry::$name, $registry($number));
                assert!($registry($number).name().is_some_and(|name| !name.is_empty()));
            )*)*
        };
    }
    named! {
        PayloadType {
            0 NONE 1 SA 2 PROPOSAL 3 TRANSFORM 4 KE 5 ID 6 CERT 7 CR 8 HASH 9 SIG 10 NONCE 11 NOTIFY 12 DELETE
            13 VENDOR 20 NAT_D 21 NAT_OA
        }
        ProtocolId { 1 ISAKMP 2 IPSEC_AH 3 IPSEC_ESP 4 IPCOMP }
        AhTransform { 2 MD5 3 SHA 4 DES }
        EspTransform {
            1 DES_IV64 2 DES 3 TRIPLE_DES 4 RC5 5 IDEA 6 CAST 7 BLOWFISH 8 THREE_IDEA 9 DES_IV32 10 RC4 11 NULL
        }
        IdType {
            1 IPV4_ADDR 2 FQDN 3 RFC822_ADDR 4 IPV4_ADDR_SUBNET 5 IPV6_ADDR 6 IPV6_ADDR_SUBNET 7 IPV4_ADDR_RANGE
            8 IPV6_ADDR_RANGE 9 DER_ASN1_DN 10 DER_ASN1_GN 11 KEY_ID
        }
        Phase1Attribute {
            1 ENCRYPTION 2 HASH 3 AUTHENTICATION 4 GROUP 5 GROUP_TYPE 6 GROUP_PRIME 7 GROUP_GENERATOR_ONE
            8 GROUP_GENERATOR_TWO 9 GROUP_CURVE_A 10 GROUP_CURVE_B 11 LIFE_TYPE 12 LIFE_DURATION 13 PRF 14 KEY_LENGTH
            15 FIELD_SIZE 16 GROUP_ORDER
        }
        Phase1Encryption { 1 DES_CBC 2 IDEA_CBC 3 BLOWFISH_CBC 4 RC5_CBC 5 TRIPLE_DES_CBC 6 CAST_CBC }
        Phase1Hash { 1 MD5 2 SHA 3 TIGER }
        Phase1Authentication {
            1 PRE_SHARED_KEY 2 DSS_SIGNATURES 3 RSA_SIGNATURES 4 RSA_ENCRYPTION 5 RSA_REVISED_ENCRYPTION
        }
        Phase2Attribute {
            1 LIFE_TYPE 2 LIFE_DURATION 3 GROUP 4 ENCAPSULATION_MODE 5 AUTHENTICATION 6 KEY_LENGTH 7 KEY_ROUNDS
            8 COMPRESS_DICTIONARY_SIZE 9 COMPRESS_PRIVATE_ALGORITHM
        }
        Phase2Authentication { 1 HMAC_MD5 2 HMAC_SHA 3 DES_MAC 4 KPDK }
        EncapsulationMode { 1 TUNNEL 2 TRANSPORT 3 UDP_TUNNEL 4 UDP_TRANSPORT }
        LifeType { 1 SECONDS 2 KILOBYTES }
        CfgMessageType { 1 REQUEST 2 REPLY 3 SET 4 ACK }
    }
}
