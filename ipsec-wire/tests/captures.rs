//! Real packets, against what tcpdump prints of them.

mod common;

use common::{packets, parse};
use ipsec_wire::ike::*;
use ipsec_wire::ip::{IpView, UpperLayer};
use ipsec_wire::{
    AhView, EspView, IkeSpi, IpProtocol, Limits, NAT_KEEPALIVE, ParseErrorKind, Spi, UdpEncap,
    classify_udp_encap,
};

fn transforms(proposal: ProposalView<'_>) -> Vec<(TransformType, u16, Option<u16>)> {
    proposal.transforms().map(|t| (t.transform_type, t.id, t.key_length())).collect()
}

#[test]
fn a_set_up_with_a_cookie() {
    let raw = packets(include_str!("data/ikev2four.hex"));
    let messages: Vec<_> = raw.iter().map(|raw| parse(raw)).collect();
    for view in &messages {
        assert_eq!(view.to_builder().emit(), view.raw());
    }
    let summaries: Vec<_> = messages.iter().take(4).map(|view| view.summary().to_string()).collect();
    let nat = "N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP)";
    assert_eq!(
        summaries,
        [
            format!("SA KE Ni {nat}"),
            "N(COOKIE)".into(),
            format!("N(COOKIE) SA KE Ni {nat}"),
            format!("SA KE Nr {nat}")
        ]
    );
    let kinds: Vec<_> = messages
        .iter()
        .map(|view| (view.header().exchange_type, view.header().flags.0, view.header().message_id))
        .collect();
    use ExchangeType as X;
    assert_eq!(kinds[0], (X::IKE_SA_INIT, 0x08, 0));
    assert_eq!(kinds[3], (X::IKE_SA_INIT, 0x20, 0));
    assert_eq!(kinds[4], (X::IKE_AUTH, 0x08, 1));
    assert_eq!(kinds[6].0, X::CREATE_CHILD_SA);
    assert_eq!(kinds[20].0, X::INFORMATIONAL);
    assert!(messages[4..].iter().all(|view| view.encrypted().is_some()));

    let offer = &messages[0];
    assert_eq!(offer.header().initiator_spi.to_string(), "a88875a8198992a6");
    assert!(offer.header().responder_spi.is_zero());
    assert_eq!(messages[3].header().responder_spi.to_string(), "71be8358efae7663");
    let PayloadKind::Sa(sa) = offer.find(PayloadType::SA).unwrap().kind() else { panic!("an SA payload") };
    let [proposal] = sa.proposals().collect::<Vec<_>>()[..] else { panic!("one proposal") };
    assert_eq!((proposal.number, proposal.protocol, proposal.spi), (1, ProtocolId::IKE, &[][..]));
    use TransformType as T;
    assert_eq!(
        transforms(proposal),
        [
            (T::ENCR, EncrId::AES_CBC.0, Some(128)),
            (T::ENCR, EncrId::AES_CBC.0, Some(256)),
            (T::ENCR, EncrId::AES_CBC.0, Some(192)),
            (T::ENCR, EncrId::TRIPLE_DES.0, None),
            (T::PRF, PrfId::HMAC_SHA1.0, None),
            (T::PRF, PrfId::HMAC_MD5.0, None),
            (T::PRF, PrfId::AES128_XCBC.0, None),
            (T::INTEG, IntegId::HMAC_SHA1_96.0, None),
            (T::INTEG, IntegId::HMAC_MD5_96.0, None),
            (T::INTEG, IntegId::AES_XCBC_96.0, None),
            (T::KE, KeId::MODP_1024.0, None),
            (T::KE, KeId::MODP_2048.0, None),
        ]
    );
    let PayloadKind::Ke(ke) = offer.find(PayloadType::KE).unwrap().kind() else { panic!("a KE payload") };
    assert_eq!((ke.method, ke.data.len()), (KeId::MODP_1024, 128));
    assert!(hex::encode(ke.data).starts_with("b5445bd60cece6fdcd3c96a52cbb7bb4"));
    let nonce = offer.find(PayloadType::NONCE).unwrap().body;
    assert_eq!(hex::encode(nonce), "6128ebd023a864e94a7ffb74bf7cce2fd4367322b8b073f942282bd52ebfe3e6");
    let cookie = messages[1].notify(NotifyType::COOKIE).unwrap();
    assert_eq!(hex::encode(cookie.data), "00000001c2221e50c16e123f2b0c71aefcf0cb3b798782c6");
    assert_eq!(messages[2].notify(NotifyType::COOKIE).unwrap(), cookie);
}

#[test]
fn an_offer_of_six_proposals() {
    let raw = packets(include_str!("data/ikev2pI2.hex"));
    let init = parse(&raw[0]);
    assert_eq!(init.to_builder().emit(), raw[0]);
    assert_eq!(init.header().initiator_spi, IkeSpi([0, 1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(init.summary().to_string(), "SA KE Ni V");
    let critical: Vec<_> = init.payloads().map(|payload| payload.critical()).collect();
    assert_eq!(critical, [true, false, true, false]);
    let PayloadKind::Sa(sa) = init.find(PayloadType::SA).unwrap().kind() else { panic!("an SA payload") };
    let offers: Vec<Vec<u16>> =
        sa.proposals().map(|p| transforms(p).into_iter().map(|(_, id, _)| id).collect()).collect();
    // AES or 3DES, HMAC-SHA1-96, PRF by SHA-1 or MD5, MODP-1536 or MODP-1024.
    assert_eq!(
        offers,
        [[12, 2, 2, 5], [12, 2, 1, 5], [3, 2, 2, 5], [3, 2, 1, 5], [3, 2, 2, 2], [3, 2, 1, 2]]
    );
    assert_eq!(init.find(PayloadType::VENDOR).unwrap().body, b"OErlA\\nQukSR");
}

#[test]
fn the_inside_of_an_ike_auth() {
    let auth = packets(include_str!("data/ikev2pI2.hex")).remove(1);
    let sk = parse(&auth).encrypted().unwrap();
    assert_eq!((sk.next, sk.payload_offset, sk.body.len()), (PayloadType::IDI, 28, 252));
    let inner = packets(include_str!("data/ikev2pI2-inner.hex")).remove(0);
    let chain = PayloadChain::parse(sk.next, &inner, 0, &Limits::DEFAULT).unwrap();
    assert_eq!(chain.summary(false).to_string(), "IDi AUTH");
    let PayloadKind::IdI(id) = chain.find(PayloadType::IDI).unwrap().kind() else { panic!("an IDi payload") };
    assert_eq!((id.id_type, id.text()), (IdType::FQDN, Some("west")));
    assert_eq!(hex::encode(id.to_owned().body()), "0200000077657374");
    let PayloadKind::Auth(auth) = chain.find(PayloadType::AUTH).unwrap().kind() else { panic!("AUTH") };
    assert_eq!((auth.method, auth.data), (AuthMethod::RSA_SIGNATURE, &[0; 192][..]));
    assert_eq!(emit_chain(&chain.to_builders()), (PayloadType::IDI, inner.clone()));
}

#[test]
fn octets_behind_the_last_payload() {
    let error = |lines| {
        let raw = packets(lines).remove(0);
        MessageView::parse(&raw, &Limits::DEFAULT).map(drop).unwrap_err()
    };
    let normal = error(include_str!("data/ikev2-id-normal.hex"));
    assert_eq!(normal, ipsec_wire::ParseError::new(ParseErrorKind::TrailingOctets, 37));
    let short = error(include_str!("data/ikev2-id-short.hex"));
    assert_eq!(short, ipsec_wire::ParseError::new(ParseErrorKind::Truncated, 32));
}

#[test]
fn a_port_that_carries_ike_esp_and_keepalives() {
    let (mut ike, mut esp, mut keepalives) = (0, 0, 0);
    for datagram in packets(include_str!("data/isakmp4500.hex")) {
        match classify_udp_encap(&datagram) {
            UdpEncap::Ike(message) => {
                let header = Header::parse(message).unwrap();
                assert_eq!((header.major_version(), header.length as usize), (1, message.len()));
                let error = MessageView::parse(message, &Limits::DEFAULT).unwrap_err();
                assert_eq!(error.kind, ParseErrorKind::UnsupportedVersion(1));
                ike += 1;
            }
            UdpEncap::Esp(packet) => {
                let view = EspView::parse(packet).unwrap();
                assert!(!view.spi.is_reserved() && view.seq < 10, "{} {}", view.spi, view.seq);
                esp += 1;
            }
            UdpEncap::Keepalive => {
                assert_eq!(datagram, NAT_KEEPALIVE);
                keepalives += 1;
            }
            UdpEncap::TooShort(_) => panic!("{datagram:?}"),
        }
    }
    assert_eq!((ike, esp, keepalives), (11, 8, 4));
}

#[test]
fn esp_over_ipv4_and_ah_over_ipv6() {
    for (index, packet) in packets(include_str!("data/esp-aes.hex")).iter().enumerate() {
        let ip = IpView::parse(packet).unwrap();
        let IpView::V4(v4) = ip else { panic!("IPv4") };
        assert!(v4.checksum_ok());
        assert_eq!(ip.upper_layer().protocol, IpProtocol::ESP);
        assert_eq!(ip.ports(), None);
        let esp = EspView::parse(ip.upper_payload()).unwrap();
        assert_eq!((esp.spi, esp.seq as usize, esp.body.len()), (Spi(0xd1234567), index + 1, 124));
    }
    let ospf = packets(include_str!("data/ospfv3-ah.hex"));
    for packet in &ospf {
        let ip = IpView::parse(packet).unwrap();
        let UpperLayer { protocol, offset, fragment } = ip.upper_layer();
        assert_eq!((protocol, offset, fragment), (IpProtocol::AH, 40, None));
        let ah = AhView::parse(ip.upper_payload()).unwrap();
        assert_eq!((ah.next_header, ah.reserved, ah.icv.len()), (IpProtocol::OSPF, 0, 12));
        // OSPFv3: version 3, and a length that says how much there is.
        assert_eq!(ah.payload[0], 3);
        assert!(usize::from(u16::from_be_bytes([ah.payload[2], ah.payload[3]])) <= ah.payload.len());
    }
    assert_eq!(ospf.len(), 24);
}
