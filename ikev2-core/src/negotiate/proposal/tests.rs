use alloc::string::ToString;

use ipsec_crypto::rustcrypto;
use ipsec_wire::Limits;
use ipsec_wire::ike::{
    Attribute, AttributeValue, MessageView, Payload, PayloadChain, PayloadKind, PayloadType, emit_chain,
};
use proptest::prelude::*;

use super::*;
use crate::testdata::Recording;

const ESP_SPI: [u8; 4] = [0xc0, 0, 0, 1];

fn ike(text: &str) -> Vec<Suite> {
    Suite::list(SuiteProtocol::Ike, text).unwrap()
}

fn esp(text: &str) -> Vec<Suite> {
    Suite::list(SuiteProtocol::Esp, text).unwrap()
}

/// The payload's octets, to be viewed.
fn octets(sa: &Sa) -> Vec<u8> {
    emit_chain(&[Payload::Sa(sa.clone())]).1[4..].to_vec()
}

fn view(octets: &[u8]) -> SaView<'_> {
    SaView::parse(octets, 0, &Limits::DEFAULT).unwrap()
}

fn choose_ike(ours: &str, offered: &Sa, ke: Option<KeId>) -> Result<Chosen, Box<NoProposal>> {
    choose(&ike(ours), view(&octets(offered)), ProtocolId::IKE, 0, &rustcrypto::provider(), ke, true)
}

fn choose_esp(ours: &str, offered: &Sa, with_ke: bool) -> Result<Chosen, Box<NoProposal>> {
    choose(&esp(ours), view(&octets(offered)), ProtocolId::ESP, 4, &rustcrypto::provider(), None, with_ke)
}

fn offer_ike(text: &str) -> Sa {
    offer(&ike(text), ProtocolId::IKE, &[], &rustcrypto::provider(), true)
}

fn offer_esp(text: &str, with_ke: bool) -> Sa {
    offer(&esp(text), ProtocolId::ESP, &ESP_SPI, &rustcrypto::provider(), with_ke)
}

fn accept_ike(offered: &Sa, answer: &Sa) -> Result<Chosen, Box<NoProposal>> {
    accept(offered, view(&octets(answer)), ProtocolId::IKE, &rustcrypto::provider())
}

/// Type, id and key length.
type Shape = (u8, u16, Option<u16>);

fn shape(sa: &Sa) -> Vec<(u8, Vec<Shape>)> {
    let transform = |t: &Transform| (t.transform_type.0, t.id, t.key_length());
    sa.proposals.iter().map(|p| (p.number, p.transforms.iter().map(transform).collect())).collect()
}

fn mismatch(refusal: Result<Chosen, Box<NoProposal>>) -> Mismatch {
    refusal.unwrap_err().candidates[0].mismatch
}

/// What one strongSwan offered, chosen from, is to the octet what the other one answered.
#[test]
fn the_answer_to_strongswan_is_that_of_strongswan() {
    for (recording, suite) in
        [(Recording::cbc(), "aes256-sha256-x25519"), (Recording::gcm(), "aes256gcm16-prfsha384-ecp256")]
    {
        let body = |name| {
            let message = MessageView::parse(recording.octets(name), &Limits::DEFAULT).unwrap();
            message.find(PayloadType::SA).unwrap().body
        };
        let chosen = choose(
            &ike(suite),
            view(body("message.1")),
            ProtocolId::IKE,
            0,
            &rustcrypto::provider(),
            None,
            true,
        )
        .unwrap();
        assert_eq!(octets(&chosen.to_sa(&[])), body("message.2"));
        assert_eq!(chosen.to_string(), suite);
        assert_eq!(chosen.number, 1);
        let rows = chosen.ike_suite(&rustcrypto::provider()).unwrap();
        let known = recording.suite();
        assert_eq!(
            (rows.encr.id(), rows.key_len, rows.prf.id(), rows.integ.map(|row| row.id()), rows.ke),
            (known.encr.id(), known.key_len, known.prf.id(), known.integ.map(|row| row.id()), known.ke)
        );
        // And ours, offered in its place, would have been answered the same way.
        let accepted = accept_ike(&offer_ike(suite), &view(body("message.2")).to_owned()).unwrap();
        assert_eq!(accepted, chosen);
    }
}

/// The Child SA of IKE_AUTH, from inside the recorded SK payloads.
#[test]
fn the_child_of_strongswan_is_chosen_as_strongswan_did() {
    for (recording, suite) in [(Recording::cbc(), "aes256gcm16"), (Recording::gcm(), "aes128-sha256")] {
        let sa = |name, role| {
            let mut message = recording.octets(name).to_vec();
            let protection =
                crate::crypt::SkProtection::new(recording.suite(), &recording.keys(1), role).unwrap();
            let opened = protection.open(&mut message).unwrap();
            let chain = &message[opened.plaintext];
            let chain = PayloadChain::parse(opened.first, chain, 0, &Limits::DEFAULT).unwrap();
            let PayloadKind::Sa(sa) = chain.find(PayloadType::SA).unwrap().kind() else { panic!() };
            sa.to_owned()
        };
        let offered = sa("message.3", ipsec_sa::Role::Responder);
        let answered = sa("message.4", ipsec_sa::Role::Initiator);
        let chosen = choose_esp(suite, &offered, false).unwrap();
        assert_eq!(chosen.spi, offered.proposals[0].spi);
        assert_eq!(chosen.to_sa(&answered.proposals[0].spi), answered);
        assert_eq!(chosen.to_string(), suite);
    }
}

#[test]
fn combined_and_plain_modes_are_offered_apart_and_integrity_with_the_plain_alone() {
    let mut mixed = ike("aes256gcm16-aes128gcm16-prfsha384-x25519").remove(0);
    mixed.encr.push((EncrId::AES_CBC, Some(256)));
    mixed.integ.push(IntegId::HMAC_SHA2_256_128);
    let sa = offer(&[mixed], ProtocolId::IKE, &[], &rustcrypto::provider(), true);
    assert_eq!(
        shape(&sa),
        [
            (1, vec![(1, 20, Some(256)), (1, 20, Some(128)), (2, 6, None), (4, 31, None)]),
            (2, vec![(1, 12, Some(256)), (3, 12, None), (2, 6, None), (4, 31, None)]),
        ]
    );
    assert!(sa.proposals.iter().all(|p| p.spi.is_empty() && p.protocol == ProtocolId::IKE));
}

#[test]
fn children_offer_sequence_numbers_and_key_exchanges_where_they_may() {
    let sa = offer_esp("aes128-sha256-x25519-esn-noesn", true);
    let esn = [(5, 1, None), (5, 0, None)];
    assert_eq!(shape(&sa), [(1, [&[(1, 12, Some(128)), (3, 12, None), (4, 31, None)][..], &esn].concat())]);
    let sa = offer_esp("aes128-sha256-x25519-esn-noesn", false);
    assert_eq!(shape(&sa), [(1, [&[(1, 12, Some(128)), (3, 12, None)][..], &esn].concat())]);
    let mut bare = esp("aes256gcm16").remove(0);
    bare.sn.clear();
    let sa = offer(&[bare], ProtocolId::ESP, &ESP_SPI, &rustcrypto::provider(), false);
    assert_eq!(shape(&sa), [(1, vec![(1, 20, Some(256)), (5, 0, None)])]);
    let ah = Suite::list(SuiteProtocol::Ah, "sha256").unwrap();
    let sa = offer(&ah, ProtocolId::AH, &ESP_SPI, &rustcrypto::provider(), false);
    assert_eq!(shape(&sa), [(1, vec![(3, 12, None), (5, 0, None)])]);
}

#[test]
fn what_the_provider_lacks_is_not_offered() {
    let mut provider = rustcrypto::provider();
    provider.ke.to_mut().retain(|row| row.id() != KeId::CURVE25519);
    provider.encr.to_mut().retain(|row| row.id() != EncrId::AES_GCM_16);
    let suites = ike("aes256gcm16-prfsha384-ecp256,aes256-sha256-x25519-ecp256,aes256-sha256-x25519");
    let sa = offer(&suites, ProtocolId::IKE, &[], &provider, true);
    assert_eq!(shape(&sa), [(1, vec![(1, 12, Some(256)), (3, 12, None), (2, 5, None), (4, 19, None)])]);
    // Forward secrecy that was asked for and cannot be had is no reason to go without.
    let child = esp("aes256-sha256-x25519");
    assert_eq!(offer(&child, ProtocolId::ESP, &ESP_SPI, &provider, true), Sa::default());
    assert_eq!(shape(&offer(&child, ProtocolId::ESP, &ESP_SPI, &provider, false)).len(), 1);
}

#[test]
fn a_suite_with_additional_key_exchanges_is_not_offered_without_them() {
    let mut suites = ike("aes256gcm16-prfsha384-x25519");
    suites[0].additional_ke.push((1, KeId::ML_KEM_768));
    assert_eq!(offer(&suites, ProtocolId::IKE, &[], &rustcrypto::provider(), true), Sa::default());
}

#[test]
fn an_offer_ends_at_255_proposals() {
    let suites: Vec<Suite> = (0..300).map(|_| ike("aes256gcm16-prfsha384-x25519").remove(0)).collect();
    let sa = offer(&suites, ProtocolId::IKE, &[], &rustcrypto::provider(), true);
    assert_eq!((sa.proposals.len(), sa.proposals[254].number), (255, 255));
}

#[test]
fn our_order_of_suites_and_algorithms_decides() {
    let offered = offer_ike(
        "aes128-sha256-modp2048,aes256-aes128-sha256-sha512-x25519-ecp256,aes256gcm16-prfsha384-ecp256",
    );
    let chosen = choose_ike("aes256gcm16-prfsha384-ecp256,aes128-sha256-modp2048", &offered, None).unwrap();
    assert_eq!((chosen.number, chosen.to_string().as_str()), (3, "aes256gcm16-prfsha384-ecp256"));
    let chosen = choose_ike("aes128-aes256-sha512-sha256-ecp256-x25519", &offered, None).unwrap();
    assert_eq!((chosen.number, chosen.to_string().as_str()), (2, "aes128-sha512-ecp256"));
    assert_eq!(chosen.prf, Some(PrfId::HMAC_SHA2_512));
}

#[test]
fn the_method_of_the_ke_payload_is_preferred_when_both_have_it() {
    let offered = offer_ike("aes256gcm16-prfsha256-modp2048-x25519");
    let ours = "aes256gcm16-prfsha256-x25519-ecp256-modp2048";
    let ke = |preferred| choose_ike(ours, &offered, preferred).unwrap().ke;
    assert_eq!(ke(Some(KeId::MODP_2048)), Some(KeId::MODP_2048));
    assert_eq!(ke(None), Some(KeId::CURVE25519));
    // The peer sent a value for a method that it does not offer, or that we do not take.
    assert_eq!(ke(Some(KeId::ECP_256)), Some(KeId::CURVE25519));
    assert_eq!(ke(Some(KeId::MODP_8192)), Some(KeId::CURVE25519));
}

#[test]
fn key_lengths_must_agree_and_unknown_attributes_and_types_rule_out() {
    let ours = "aes256-sha256-x25519";
    assert_eq!(
        mismatch(choose_ike(ours, &offer_ike("aes128-sha256-x25519"), None)),
        Mismatch::NoneCommon(TransformType::ENCR)
    );
    let unknown = Attribute { attribute_type: AttributeType(77), value: AttributeValue::Tv(1), length: None };
    let bits = |value| Attribute { attribute_type: AttributeType::KEY_LENGTH, value, length: None };
    for attributes in [
        vec![],
        vec![unknown.clone()],
        vec![bits(AttributeValue::Tv(256)), unknown.clone()],
        vec![bits(AttributeValue::Tv(256)), bits(AttributeValue::Tv(256))],
        vec![bits(AttributeValue::Tlv(vec![1, 0]))],
    ] {
        let mut offered = offer_ike(ours);
        offered.proposals[0].transforms[0].attributes = attributes;
        assert_eq!(mismatch(choose_ike(ours, &offered, None)), Mismatch::NoneCommon(TransformType::ENCR));
    }
    // An attribute on a transform that has none; another transform of the type is still chosen.
    let mut offered = offer_ike("aes256-sha256-x25519");
    offered.proposals[0].transforms[3].attributes = vec![unknown];
    assert_eq!(mismatch(choose_ike(ours, &offered, None)), Mismatch::NoneCommon(TransformType::KE));
    offered.proposals[0].transforms.push(Transform::new(TransformType::KE, KeId::CURVE25519));
    assert!(choose_ike(ours, &offered, None).is_ok());
    // RFC 7296 §3.3.6: the whole proposal is passed over.
    for foreign in [TransformType::SN, TransformType::ADDKE1, TransformType(240)] {
        let mut offered = offer_ike(ours);
        offered.proposals[0].transforms.push(Transform::new(foreign, 0u16));
        assert_eq!(mismatch(choose_ike(ours, &offered, None)), Mismatch::UnknownType(foreign));
    }
}

#[test]
fn none_and_nothing_mean_the_same() {
    // A combined mode beside INTEG NONE (RFC 5282 §8), which the answer repeats.
    let mut offered = offer_ike("aes256gcm16-prfsha256-x25519");
    offered.proposals[0].transforms.push(Transform::new(TransformType::INTEG, IntegId::NONE));
    let chosen = choose_ike("aes256gcm16-prfsha256-x25519", &offered, None).unwrap();
    assert_eq!(chosen.integ, None);
    let answer = chosen.to_sa(&[]);
    assert!(answer.proposals[0].transforms.contains(&Transform::new(TransformType::INTEG, IntegId::NONE)));
    assert!(accept_ike(&offered, &answer).is_ok());
    assert!(accept_ike(&offer_ike("aes256gcm16-prfsha256-x25519"), &answer).is_ok());
    // A combined mode beside a real one is not what RFC 5282 allows.
    let last = offered.proposals[0].transforms.last_mut().unwrap();
    last.id = IntegId::HMAC_SHA2_256_128.0;
    assert_eq!(
        mismatch(choose_ike("aes256gcm16-prfsha256-x25519", &offered, None)),
        Mismatch::MissingAtUs(TransformType::INTEG)
    );

    // A child's key exchange.
    let (with, without) = (offer_esp("aes256gcm16-x25519", true), offer_esp("aes256gcm16", true));
    let mut either = with.clone();
    either.proposals[0].transforms.push(Transform::new(TransformType::KE, KeId::NONE));
    let mut ours_either = esp("aes256gcm16-x25519");
    ours_either[0].ke.push(KeId::NONE);

    assert_eq!(choose_esp("aes256gcm16-x25519", &with, true).unwrap().ke, Some(KeId::CURVE25519));
    assert_eq!(choose_esp("aes256gcm16-x25519", &either, true).unwrap().ke, Some(KeId::CURVE25519));
    assert_eq!(choose_esp("aes256gcm16", &either, true).unwrap().ke, None);
    assert_eq!(choose_esp("aes256gcm16", &without, true).unwrap().ke, None);
    let ke = TransformType::KE;
    assert_eq!(mismatch(choose_esp("aes256gcm16", &with, true)), Mismatch::MissingAtUs(ke));
    assert_eq!(mismatch(choose_esp("aes256gcm16-x25519", &without, true)), Mismatch::MissingAtPeer(ke));
    let encoded = octets(&without);
    let provider = rustcrypto::provider();
    let chosen = choose(&ours_either, view(&encoded), ProtocolId::ESP, 4, &provider, None, true);
    assert_eq!(chosen.unwrap().ke, None);
    // In IKE_AUTH a child has no key exchange of its own (RFC 7296 §1.2): NONE at most.
    assert_eq!(choose_esp("aes256gcm16-x25519", &either, false).unwrap().ke, None);
    assert_eq!(mismatch(choose_esp("aes256gcm16-x25519", &with, false)), Mismatch::MissingAtUs(ke));
}

#[test]
fn protocol_and_spi_length_must_be_those_expected() {
    let provider = rustcrypto::provider();
    let offered = octets(&offer_esp("aes256gcm16", false));
    let ours = esp("aes256gcm16");
    let choose = |protocol, spi_len| choose(&ours, view(&offered), protocol, spi_len, &provider, None, false);
    assert_eq!(choose(ProtocolId::ESP, 4).unwrap().spi, ESP_SPI);
    assert_eq!(mismatch(choose(ProtocolId::ESP, 8)), Mismatch::SpiLength { expected: 8, found: 4 });
    let mut ah = Suite::list(SuiteProtocol::Ah, "sha256").unwrap();
    ah[0].encr.clear();
    let refused = super::choose(&ah, view(&offered), ProtocolId::AH, 4, &provider, None, false);
    assert_eq!(mismatch(refused), Mismatch::Protocol);
}

#[test]
fn an_answer_must_be_one_proposal_of_the_offer_with_one_transform_of_each_type() {
    let offered = offer_ike("aes256-aes128-sha256-x25519,aes256gcm16-prfsha384-ecp256");
    let good = choose_ike("aes128-sha256-x25519", &offered, None).unwrap().to_sa(&[]);
    assert_eq!(accept_ike(&offered, &good).unwrap().to_string(), "aes128-sha256-x25519");

    let refused = |change: &dyn Fn(&mut Sa)| {
        let mut answer = good.clone();
        change(&mut answer);
        mismatch(accept_ike(&offered, &answer))
    };
    assert_eq!(refused(&|sa| sa.proposals.clear()), Mismatch::NotOffered);
    assert_eq!(refused(&|sa| sa.proposals.push(sa.proposals[0].clone())), Mismatch::NotOffered);
    assert_eq!(refused(&|sa| sa.proposals[0].number = 3), Mismatch::NotOffered);
    assert_eq!(refused(&|sa| sa.proposals[0].number = 0), Mismatch::NotOffered);
    // The transforms of another proposal of the offer.
    assert!(matches!(refused(&|sa| sa.proposals[0].number = 2), Mismatch::NoneCommon(_)));
    assert_eq!(refused(&|sa| sa.proposals[0].protocol = ProtocolId::ESP), Mismatch::Protocol);
    assert_eq!(
        refused(&|sa| sa.proposals[0].spi = vec![1; 8]),
        Mismatch::SpiLength { expected: 0, found: 8 }
    );
    for (index, wanted) in [TransformType::ENCR, TransformType::INTEG, TransformType::PRF, TransformType::KE]
        .into_iter()
        .enumerate()
    {
        assert_eq!(
            refused(&|sa| drop(sa.proposals[0].transforms.remove(index))),
            Mismatch::MissingAtPeer(wanted)
        );
        assert_eq!(refused(&|sa| sa.proposals[0].transforms[index].id = 250), Mismatch::NoneCommon(wanted));
        assert_eq!(
            refused(&|sa| {
                let twice = sa.proposals[0].transforms[index].clone();
                sa.proposals[0].transforms.push(twice);
            }),
            Mismatch::NotOne(wanted)
        );
    }
    // A key length that was not offered, or none at all.
    assert_eq!(
        refused(&|sa| sa.proposals[0].transforms[0] =
            Transform::new(TransformType::ENCR, EncrId::AES_CBC).with_key_length(192)),
        Mismatch::NoneCommon(TransformType::ENCR)
    );
    assert_eq!(
        refused(&|sa| sa.proposals[0].transforms[0].attributes.clear()),
        Mismatch::NoneCommon(TransformType::ENCR)
    );
}

#[test]
fn a_refusal_says_what_each_side_has_and_what_did_not_match() {
    let offered = offer_ike("aes128-sha256-modp2048,aes256gcm16-prfsha256-x25519");
    let none = choose_ike("aes256gcm16-prfsha384-x25519", &offered, None).unwrap_err();
    assert_eq!(
        none.to_string(),
        "no common proposal for IKE; \
         ours: #1 IKE [ENCR_AES_GCM_16-256, PRF_HMAC_SHA2_384, Curve25519]; \
         the peer's: #1 IKE [ENCR_AES_CBC-128, AUTH_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256, MODP_2048], \
         #2 IKE [ENCR_AES_GCM_16-256, PRF_HMAC_SHA2_256, Curve25519]; \
         ours #1 and the peer's #1: no ENCR in common: we take ENCR_AES_GCM_16-256, \
         the peer ENCR_AES_CBC-128; \
         ours #1 and the peer's #2: no PRF in common: we take PRF_HMAC_SHA2_384, \
         the peer PRF_HMAC_SHA2_256"
    );
}

#[test]
fn a_refusal_stays_small_whatever_was_offered() {
    let suite = "aes128-sha256-modp2048";
    let mut offered = offer_ike(suite);
    let proposal = &mut offered.proposals[0];
    proposal.transforms.extend((300..500).map(|id: u16| Transform::new(TransformType::ENCR, id)));
    offered.proposals = vec![proposal.clone(); 9];
    let many = "aes256gcm16-prfsha384-x25519,aes128gcm16-prfsha384-x25519,aes256-sha384-x25519";
    let none = choose_ike(many, &offered, None).unwrap_err();
    assert_eq!(none.candidates.len(), NoProposal::MAX_PROPOSALS);
    assert!(none.theirs.iter().all(|p| p.transforms.len() == NoProposal::MAX_TRANSFORMS));
}

#[test]
fn a_child_s_key_lengths_are_those_of_its_rows() {
    let provider = rustcrypto::provider();
    for (text, lengths) in
        [("aes256gcm16", (36, 0)), ("aes128-sha256", (16, 32)), ("aes192-sha512", (24, 64))]
    {
        let chosen = choose_esp(text, &offer_esp(text, false), false).unwrap();
        assert_eq!(chosen.child_key_lengths(&provider), Some(lengths));
        assert!(chosen.ike_suite(&provider).is_none());
    }
}

/// Suites of random lists over what the provider has.
fn suites(protocol: SuiteProtocol) -> impl Strategy<Value = Vec<Suite>> {
    let lists = move |combined: bool| {
        let encr =
            if combined { vec!["aes128gcm16", "aes256gcm16"] } else { vec!["aes128", "aes192", "aes256"] };
        let some = |names: Vec<&'static str>| {
            let most = names.len();
            prop::sample::subsequence(names, 1..=most).prop_shuffle()
        };
        let integ =
            if combined { Just(vec![]).boxed() } else { some(vec!["sha256", "sha384", "sha512"]).boxed() };
        let prf = match protocol {
            SuiteProtocol::Ike => some(vec!["prfsha256", "prfsha384", "prfsha512"]).boxed(),
            _ => some(vec!["esn", "noesn"]).boxed(),
        };
        let ke = some(vec!["x25519", "ecp256", "modp2048"]);
        (some(encr), integ, prf, ke)
            .prop_map(move |(a, b, c, d)| Suite::parse(protocol, &[a, b, c, d].concat().join("-")).unwrap())
    };
    prop::collection::vec(any::<bool>().prop_flat_map(lists), 1..4)
}

proptest! {
    /// Whatever is chosen, its proposer accepts, both see the same, and it is on both sides' lists. What is
    /// refused has a reason for every pair.
    #[test]
    fn both_sides_see_the_same(
        (ours, theirs, protocol) in prop_oneof![
            (suites(SuiteProtocol::Ike), suites(SuiteProtocol::Ike), Just(ProtocolId::IKE)),
            (suites(SuiteProtocol::Esp), suites(SuiteProtocol::Esp), Just(ProtocolId::ESP)),
        ],
        preferred in prop::option::of(prop::sample::select(vec![KeId::CURVE25519, KeId::MODP_2048])),
        with_ke: bool,
    ) {
        let provider = rustcrypto::provider();
        let spi: &[u8] = if protocol == ProtocolId::IKE { &[] } else { &ESP_SPI };
        let offered = offer(&theirs, protocol, spi, &provider, with_ke);
        let encoded = octets(&offered);
        match choose(&ours, view(&encoded), protocol, spi.len(), &provider, preferred, with_ke) {
            Ok(chosen) => {
                prop_assert_eq!(&chosen.spi, spi);
                let answer = octets(&chosen.to_sa(spi));
                let accepted = accept(&offered, view(&answer), protocol, &provider).unwrap();
                prop_assert_eq!(&accepted, &chosen);
                let on = |suites: &[Suite]| suites.iter().any(|suite| {
                    let one = chosen.to_suite();
                    one.encr.iter().all(|x| suite.encr.contains(x))
                        && one.prf.iter().all(|x| suite.prf.contains(x))
                        && one.integ.iter().all(|x| suite.integ.contains(x))
                        && one.ke.iter().all(|x| suite.ke.contains(x))
                        && one.sn.iter().all(|x| suite.sn.contains(x))
                });
                prop_assert!(on(&ours) && on(&theirs));
                prop_assert_eq!(chosen.ke.is_some(), protocol == ProtocolId::IKE || with_ke);
            }
            Err(none) => {
                prop_assert_eq!(none.candidates.len(), ours.len() * theirs.len());
                prop_assert!(!none.to_string().is_empty());
            }
        }
    }
}
