//! What a person sees of a message.

mod common;

use common::{packets, parse};
use ipsec_wire::ike::*;
use ipsec_wire::{IkeSpi, Limits, Spi};

fn empty() -> MessageBuilder {
    MessageBuilder::new(IkeSpi([1; 8]), IkeSpi([2; 8]), ExchangeType::INFORMATIONAL, Flags::RESPONSE, 5)
}

#[test]
fn a_captured_ike_sa_init() {
    let raw = packets(include_str!("data/ikev2four.hex")).swap_remove(3);
    let expected = "\
IKE_SA_INIT (34) response, IKE 2.0, message id 0, flags --R (0x20), 304 octets
  initiator SPI a88875a8198992a6
  responder SPI 71be8358efae7663
  SA (33), 48 octets
    proposal 1, protocol IKE (1)
      ENCR (1): ENCR_AES_CBC (12), 128 bits
      PRF (2): PRF_HMAC_SHA1 (2)
      INTEG (3): AUTH_HMAC_SHA1_96 (2)
      KE (4): MODP_1024 (2)
  KE (34), 136 octets
    method MODP_1024 (2)
    5a56714d3abf64e3a3f401ead9f5323ff0b77faa5f1e99199b13ac821f0a0c4f… 96 more
  Nonce (40), 36 octets
    b31c379f272ce2984bd17ca38c8729e1edbc081a14fb0f67cff81721dfeec1f9
  N (41), 28 octets
    NAT_DETECTION_SOURCE_IP (16388)
    05f0e2f3ec2a4943f3f7d3d8ef7ae6d8d1c9b1ba
  N (41), 28 octets
    NAT_DETECTION_DESTINATION_IP (16389)
    e2d1";
    let shown = parse(&raw).to_string();
    let (shown, expected): (Vec<_>, Vec<_>) = (shown.lines().collect(), expected.lines().collect());
    // tcpdump does not print the two hashes: of these lines only that they are twenty octets.
    for (index, (shown, expected)) in shown.iter().zip(&expected).enumerate() {
        if [16, 19].contains(&index) {
            assert_eq!(shown.trim().len(), 40);
        } else {
            assert_eq!(shown, expected);
        }
    }
    assert_eq!(shown.len(), expected.len());
    let whole = format!("{:#}", parse(&raw));
    assert!(whole.contains("9af496cd86f881fd15\n") && !whole.contains('…'));
}

#[test]
fn every_kind_of_payload() {
    let (start, end) = ("10.0.0.0".parse().unwrap(), "10.0.0.255".parse().unwrap());
    let host = "fd00::1".parse().unwrap();
    let opaque =
        TrafficSelector { start_port: 65535, end_port: 0, ..TrafficSelector::range(6, 0..=0, start, end) };
    let label = TrafficSelector { ts_type: TsType::SECLABEL, body: vec![0xab], ..TrafficSelector::default() };
    let encr = Transform::new(TransformType::ENCR, EncrId::AES_GCM_16).with_key_length(256);
    let odd = Transform {
        attributes: vec![Attribute {
            attribute_type: AttributeType(99),
            value: AttributeValue::Tlv(vec![1, 2]),
            length: None,
        }],
        ..Transform::new(TransformType(77), 300u16)
    };
    let message = empty()
        .with(Sa::new(vec![Proposal::new(2, ProtocolId::ESP, Spi(0xc0de_0001).to_bytes(), vec![encr, odd])]))
        .with(Payload::IdI(Id::new(IdType::FQDN, *b"gw\x1b[31m.example")))
        .with(Payload::IdR(Id::address(host)))
        .with(Cert::new(CertEncoding::X509_SIGNATURE, [0x30, 0x82]))
        .with(Auth::new(AuthMethod::SHARED_KEY_MIC, [0xaa; 3]))
        .with(Notify::with_spi(ProtocolId::ESP, [0, 0, 1, 0], NotifyType::REKEY_SA, []))
        .with(Notify::new(NotifyType::INVALID_KE_PAYLOAD, [0, 31]))
        .with(Notify::new(NotifyType::SIGNATURE_HASH_ALGORITHMS, [0, 2, 0, 5]))
        .with(Notify::new(NotifyType(40_999), []))
        .with(Delete::esp(&[Spi(256), Spi(257)]))
        .with(Payload::Vendor(b"a vendor".to_vec()))
        .with(Payload::TsI(Ts::new(vec![
            TrafficSelector::range(17, 53..=53, start, end),
            TrafficSelector::range(0, 0..=65535, host, host),
            opaque,
            label,
        ])))
        .with(Cp::new(
            CfgType::REQUEST,
            vec![CfgAttribute::new(CfgAttributeType::INTERNAL_IP4_DNS, [8, 8, 8, 8])],
        ))
        .with(Payload::Eap(vec![2, 7, 0, 10, 6, b's', b'e', b'c', b'r', b't']))
        .with(
            PayloadBuilder::from(Payload::Unknown { payload_type: PayloadType(200), body: vec![9] })
                .critical(),
        )
        .with(SkfBody {
            next: PayloadType::IDI,
            fragment_number: 1,
            total_fragments: 3,
            body: vec![1, 2, 3],
        });
    let raw = message.emit();
    let view = MessageView::parse(&raw, &Limits::DEFAULT).unwrap();
    let expected = "\
INFORMATIONAL (37) response, IKE 2.0, message id 5, flags --R (0x20), 336 octets
  initiator SPI 0101010101010101
  responder SPI 0202020202020202
  SA (33), 42 octets
    proposal 2, protocol ESP (3), SPI c0de0001
      ENCR (1): ENCR_AES_GCM_16 (20), 256 bits
      unknown (77): unknown (300), attribute unknown (99) = 0102
  IDi (35), 23 octets
    type ID_FQDN (2)
    \"gw\\u{1b}[31m.example\"
  IDr (36), 24 octets
    type ID_IPV6_ADDR (5)
    fd00::1
  CERT (37), 7 octets
    encoding X.509 Certificate - Signature (4)
    3082
  AUTH (39), 11 octets
    method Shared Key Message Integrity Code (2)
    aaaaaa
  N (41), 12 octets
    REKEY_SA (16393)
    protocol ESP (3), SPI 00000100
  N (41), 10 octets
    INVALID_KE_PAYLOAD (17)
    wanted Curve25519 (31)
  N (41), 12 octets
    SIGNATURE_HASH_ALGORITHMS (16431)
    SHA2-256 (2)
    Identity (5)
  N (41), 8 octets
    unknown (40999)
  D (42), 16 octets
    protocol ESP (3)
    SPI 00000100
    SPI 00000101
  V (43), 12 octets
    \"a vendor\"
  TSi (44), 85 octets
    10.0.0.0-10.0.0.255, protocol UDP (17), port 53
    fd00::1, any protocol
    10.0.0.0-10.0.0.255, protocol TCP (6), ports opaque
    TS_SECLABEL (10), label ab
  CP (47), 16 octets
    type CFG_REQUEST (1)
    attribute INTERNAL_IP4_DNS (3)
      8.8.8.8
  EAP (48), 14 octets
    Response (2), id 7, type GTC (6)
  unknown (200), critical, 5 octets
    09
  SKF (53), 11 octets
    fragment 1 of 3, first inside IDi (35)
    010203";
    assert_eq!(view.to_string(), expected);
    assert_eq!(
        view.summary().to_string(),
        "SA IDi IDr CERT AUTH N(REKEY_SA) N(INVALID_KE_PAYLOAD) N(SIGNATURE_HASH_ALGORITHMS) \
         N(NotifyType(40999)) D V TSi CP(CFG_REQUEST) EAP PayloadType(200) SKF(1/3)"
    );
}

#[test]
fn what_bodies_say() {
    let ed25519 = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
    let announced =
        AuthAnnouncement { method: AuthMethod::DIGITAL_SIGNATURE, cert_link: Some(1), algorithm: &ed25519 };
    let gateway = Gateway { gateway_type: GatewayType::FQDN, identity: b"gw.example" };
    let address = CfgValue::Ipv6Prefix { address: "fd00::7".parse().unwrap(), prefix_len: 64 };
    let message = empty()
        .with(Auth::digital_signature(&ed25519, &[0x51; 4]).unwrap())
        .with(Cert::hash_and_url(CertEncoding::HASH_AND_URL_X509, &[0xaa; 20], "http://a.example/c"))
        .with(CertReq::new(CertEncoding::X509_SIGNATURE, [0xbb; 20]))
        .with(Notify::auth_methods(&[announced]))
        .with(Notify::with_data(NotifyType::REDIRECT, NotifyData::Redirect { gateway, nonce: &[1, 2] }))
        .with(Notify::new(NotifyType::SET_WINDOW_SIZE, [1]))
        .with(Payload::Vendor(hex::decode("1e2b516905991c7d7c96fcbfb587e46100000009").unwrap()))
        .with(Cp::new(
            CfgType::REPLY,
            vec![CfgAttribute::with_value(CfgAttributeType::INTERNAL_IP6_ADDRESS, address)],
        ))
        .with(Payload::Eap(vec![1, 3, 0, 10, 13, 0xc0, 0, 0, 16, 0]))
        .with(Payload::Eap(vec![1, 3]))
        .with(Payload::Ps(vec![1, 2, 3, 4]));
    let expected = "\
AUTH (39), 20 octets
    method Digital Signature (14)
    algorithm Ed25519
    51515151
  CERT (37), 43 octets
    encoding Hash and URL of X.509 certificate (12)
    SHA-1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    \"http://a.example/c\"
  CERTREQ (38), 25 octets
    encoding X.509 Certificate - Signature (4)
    authority bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
  N (41), 18 octets
    SUPPORTED_AUTH_METHODS (16443)
    Digital Signature (14), authority 1
      algorithm Ed25519
  N (41), 22 octets
    REDIRECT (16407)
    gateway \"gw.example\"
    0102
  N (41), 9 octets
    SET_WINDOW_SIZE (16385)
    malformed, 1 octets
    01
  V (43), 24 octets
    MS NT5 ISAKMPOAKLEY
      00000009
  CP (47), 29 octets
    type CFG_REPLY (2)
    attribute INTERNAL_IP6_ADDRESS (8)
      fd00::7/64
  EAP (48), 14 octets
    Request (1), id 3, type TLS (13)
      flags 0xc0, 0 octets of 4096
  EAP (48), 6 octets
    not an EAP packet: truncated at octet 0
  PS (54), 8 octets
    key 01
    key 02
    key 03
    key 04";
    let shown = parse(&message.emit()).to_string();
    let body: Vec<_> = shown.lines().skip(3).collect();
    assert_eq!(body.join("\n").trim_start(), expected);
}

#[test]
fn reserved_bits_are_shown() {
    let host = "192.0.2.1".parse().unwrap();
    let transform =
        Transform { reserved: [0, 5], ..Transform::new(TransformType::PRF, PrfId::HMAC_SHA2_256) };
    let proposal = Proposal { reserved: 3, ..Proposal::new(1, ProtocolId::IKE, [], vec![transform]) };
    let attribute = CfgAttribute {
        reserved: true,
        ..CfgAttribute::new(CfgAttributeType::INTERNAL_IP4_DNS, [8, 8, 8, 8])
    };
    let nonce = PayloadBuilder { flags: 0x41, ..PayloadBuilder::from(Payload::Nonce(vec![7; 16])) };
    let raw = empty()
        .with(PayloadBuilder { flags: 0x81, ..PayloadBuilder::from(Sa::new(vec![proposal])) })
        .with(nonce)
        .with(Ke { reserved: [1, 2], ..Ke::new(KeId::CURVE25519, [9]) })
        .with(Payload::IdI(Id { reserved: [0, 0, 9], ..Id::address(host) }))
        .with(Auth { reserved: [4, 0, 0], ..Auth::new(AuthMethod::SHARED_KEY_MIC, [8]) })
        .with(Payload::TsI(Ts { reserved: [0, 6, 0], ..Ts::new(vec![]) }))
        .with(Cp { reserved: [7, 0, 0], ..Cp::new(CfgType::REQUEST, vec![attribute]) })
        .with(Delete { protocol: ProtocolId::ESP, spi_size: Some(4), ..Delete::default() })
        .emit();
    let shown = parse(&raw).to_string();
    let expected = "
  SA (33), critical, reserved 0x01, 20 octets
    proposal 1, protocol IKE (1), reserved 0x03
      PRF (2): PRF_HMAC_SHA2_256 (5), reserved 0x0005
  Nonce (40), reserved 0x41, 20 octets
    07070707070707070707070707070707
  KE (34), 9 octets
    method Curve25519 (31), reserved 0x0102
    09
  IDi (35), 12 octets
    type ID_IPV4_ADDR (1), reserved 0x000009
    192.0.2.1
  AUTH (39), 9 octets
    method Shared Key Message Integrity Code (2), reserved 0x040000
    08
  TSi (44), 8 octets
    reserved 0x000600
  CP (47), 16 octets
    type CFG_REQUEST (1), reserved 0x070000
    attribute INTERNAL_IP4_DNS (3), reserved bit
      8.8.8.8
  D (42), 8 octets
    protocol ESP (3), no SPIs of 4 octets";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn eap_for_reauthentication_has_names() {
    // RFC 6867 carries the packets of RFC 6696: Initiate and Finish.
    for (code, name) in [(5, "Initiate (5), id 7"), (6, "Finish (6), id 7")] {
        let raw = empty().with(Payload::Eap(vec![code, 7, 0, 6, 2, 0])).emit();
        let shown = parse(&raw).to_string();
        assert!(shown.ends_with(&format!("  EAP (48), 10 octets\n    {name}")), "{shown}");
    }
}
