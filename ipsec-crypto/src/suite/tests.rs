use alloc::string::{String, ToString};

use super::*;

#[test]
fn ike_with_a_combined_mode() {
    let suite = Suite::ike("aes256gcm16-prfsha384-x25519").unwrap();
    assert_eq!(suite.protocol, SuiteProtocol::Ike);
    assert_eq!(suite.encr, [(EncrId::AES_GCM_16, Some(256))]);
    assert_eq!(suite.prf, [PrfId::HMAC_SHA2_384]);
    assert_eq!(suite.integ, []);
    assert_eq!(suite.ke, [KeId::CURVE25519]);
    assert_eq!(suite.sn, []);
    assert!(suite.is_aead());
}

#[test]
fn ike_with_an_hmac_implies_its_prf() {
    let suite = Suite::ike("aes256-sha256-ecp256").unwrap();
    assert_eq!(suite.encr, [(EncrId::AES_CBC, Some(256))]);
    assert_eq!(suite.integ, [IntegId::HMAC_SHA2_256_128]);
    assert_eq!(suite.prf, [PrfId::HMAC_SHA2_256]);
    assert_eq!(suite.ke, [KeId::ECP_256]);
    assert!(!suite.is_aead());

    let suite = Suite::ike("aes128-sha512-sha256-prfsha384-modp2048").unwrap();
    assert_eq!(suite.prf, [PrfId::HMAC_SHA2_384]);
    let suite = Suite::ike("aes128-sha512-sha256-modp2048").unwrap();
    assert_eq!(suite.prf, [PrfId::HMAC_SHA2_512, PrfId::HMAC_SHA2_256]);
}

#[test]
fn several_of_a_kind_keep_their_order() {
    let suite = Suite::ike("aes256gcm16-aes128gcm16-prfsha256-ecp256-x25519-modp2048").unwrap();
    assert_eq!(suite.encr, [(EncrId::AES_GCM_16, Some(256)), (EncrId::AES_GCM_16, Some(128))]);
    assert_eq!(suite.ke, [KeId::ECP_256, KeId::CURVE25519, KeId::MODP_2048]);
}

#[test]
fn esp_without_a_key_exchange_and_with_sequence_numbers() {
    let suite = Suite::esp("aes128gcm16").unwrap();
    assert_eq!(suite.ke, []);
    assert_eq!(suite.prf, []);
    assert_eq!(suite.sn, [SnId::SEQUENTIAL_32]);
    let suite = Suite::esp("aes256-sha256-x25519-esn-noesn").unwrap();
    assert_eq!(suite.ke, [KeId::CURVE25519]);
    assert_eq!(suite.sn, [SnId::SEQUENTIAL_64, SnId::SEQUENTIAL_32]);
    assert_eq!(suite.prf, []);
}

#[test]
fn gmac_is_integrity_in_ah_and_a_combined_mode_in_esp() {
    assert_eq!(Suite::ah("aes256gmac").unwrap().integ, [IntegId::AES_256_GMAC]);
    assert_eq!(Suite::esp("aes256gmac").unwrap().encr, [(EncrId::NULL_AUTH_AES_GMAC, Some(256))]);
}

#[test]
fn additional_key_exchanges_have_their_number() {
    let suite = Suite::ike("aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none-ke2_mlkem1024").unwrap();
    let expected = [(1, KeId::ML_KEM_768), (1, KeId::NONE), (2, KeId::ML_KEM_1024)];
    assert_eq!(suite.additional_ke, expected);
    let error = Suite::ike("aes256gcm16-prfsha384-x25519-ke1_mlkem786").unwrap_err();
    assert_eq!(error.suggestion(), Some("mlkem768"));
    assert!(Suite::ike("aes256gcm16-prfsha384-x25519-ke8_mlkem768").is_err());
    assert!(Suite::ike("aes256gcm16-prfsha384-x25519-ke1_aes256").is_err());
}

#[test]
fn canonical_strings_come_back() {
    let ike = [
        "aes256gcm16-prfsha384-x25519",
        "aes256-sha256-ecp256",
        "aes256-aes128-sha512-sha256-modp2048",
        "aes128-sha256-prfsha384-modp4096",
        "aes128gcm16-aes256gcm16-prfsha256-prfsha384-x25519-ecp384-ke1_mlkem768-ke1_none",
        "chacha20poly1305-prfsha512-x448",
    ];
    for text in ike {
        assert_eq!(Suite::ike(text).unwrap().to_string(), text);
    }
    for text in ["aes128gcm16", "aes256gcm16-esn", "aes256-sha256-x25519-esn-noesn", "null-sha384"] {
        assert_eq!(Suite::esp(text).unwrap().to_string(), text);
    }
    for text in ["sha256", "aes128gmac-esn"] {
        assert_eq!(Suite::ah(text).unwrap().to_string(), text);
    }
}

#[test]
fn every_name_parses_prints_and_parses_to_the_same() {
    for protocol in [SuiteProtocol::Ike, SuiteProtocol::Esp, SuiteProtocol::Ah] {
        let mut tried = 0;
        for &(name, algorithm) in names::table(protocol) {
            let before = if protocol == SuiteProtocol::Ah { "" } else { "aes256-" };
            let (ike_end, esp_end) = ("-x25519", "");
            let end = if protocol == SuiteProtocol::Ike { ike_end } else { esp_end };
            let combined = matches!(algorithm, Algorithm::Encr(id, _) if combined(id));
            let text = match algorithm {
                Algorithm::Encr(..) if protocol == SuiteProtocol::Ah => continue,
                Algorithm::Encr(id, _) if protocol == SuiteProtocol::Ike && for_esp_alone(id) => {
                    let refused = Suite::ike(name).unwrap_err();
                    assert_eq!(refused.kind(), SuiteErrorKind::Misplaced { protocol }, "{name}");
                    continue;
                }
                Algorithm::Prf(_) if protocol != SuiteProtocol::Ike => continue,
                Algorithm::Sn(_) if protocol == SuiteProtocol::Ike => continue,
                Algorithm::Encr(..) if combined && protocol == SuiteProtocol::Ike => {
                    [name, "-prfsha256", end].concat()
                }
                Algorithm::Encr(..) if combined => [name, end].concat(),
                Algorithm::Encr(..) => [name, "-sha256", end].concat(),
                // An integrity algorithm that implies no PRF needs one by name.
                Algorithm::Integ(_) if protocol == SuiteProtocol::Ike => {
                    [before, name, "-prfsha256", end].concat()
                }
                Algorithm::Integ(_) => [before, name, end].concat(),
                Algorithm::Ke(_) => [before, "sha256-", name].concat(),
                Algorithm::Prf(_) | Algorithm::Sn(_) => [before, "sha256-", name, end].concat(),
            };
            let suite = Suite::parse(protocol, &text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(Suite::parse(protocol, &suite.to_string()).unwrap(), suite, "{text}");
            tried += 1;
        }
        assert!(tried > 40, "{protocol}: {tried}");
    }
}

#[test]
fn letters_count_alike_in_both_cases() {
    assert_eq!(Suite::esp("AES256GCM16-ESN").unwrap(), Suite::esp("aes256gcm16-esn").unwrap());
}

fn ike_error(text: &str) -> SuiteError {
    Suite::ike(text).unwrap_err()
}

#[test]
fn an_unknown_name_is_pointed_at_with_the_nearest() {
    let error = ike_error("aes256gcm16-prfsha348-x25519");
    assert_eq!((error.token(), error.offset()), ("prfsha348", 12));
    assert_eq!(error.kind(), SuiteErrorKind::Unknown { nearest: Some("prfsha384") });
    assert_eq!(
        error.to_string(),
        "unknown algorithm: \"prfsha348\" at octet 12 of \"aes256gcm16-prfsha348-x25519\"; \
         did you mean \"prfsha384\"?"
    );
    assert_eq!(ike_error("aes25gcm16-prfsha256-x25519").suggestion(), Some("aes256gcm16"));
    assert_eq!(ike_error("aes256gcm16-prfsha256-curve2519").suggestion(), Some("curve25519"));
    assert_eq!(ike_error("aes256gcm16-prfsha256-dh14").suggestion(), None);
    // Never a name that the protocol has no place for.
    assert_eq!(Suite::esp("aes256-sha256-prfsha26").unwrap_err().suggestion(), None);
}

#[test]
fn what_cannot_stand_together_is_refused() {
    use SuiteErrorKind as Kind;
    let kind = |text| ike_error(text).kind();
    assert_eq!(kind(""), Kind::Empty);
    assert_eq!(kind("aes256--x25519"), Kind::Empty);
    assert_eq!(kind("aes256-aes256-sha256-x25519"), Kind::Repeated);
    assert_eq!(kind("aes256gcm16-aes256-sha256-x25519"), Kind::CombinedAndPlain);
    assert_eq!(kind("aes256-sha256-x25519-esn"), Kind::Misplaced { protocol: SuiteProtocol::Ike });
    assert_eq!(kind("sha256-x25519"), Kind::Missing { what: "encryption algorithm" });
    assert_eq!(kind("aes256-x25519-prfsha256"), Kind::Missing { what: "integrity algorithm" });
    assert_eq!(kind("aes256-sha256"), Kind::Missing { what: "key exchange method" });
    assert_eq!(kind("aes256gcm16-x25519"), Kind::Missing { what: "pseudorandom function" });
    // The order in which they are named changes nothing.
    let error = ike_error("aes256gcm16-sha384-x25519");
    assert_eq!((error.token(), error.suggestion()), ("sha384", Some("prfsha384")));
    let error = ike_error("sha384-aes256gcm16-x25519");
    assert_eq!(error.kind(), Kind::IntegrityBesideCombined { instead: None });
    let esp = |text| Suite::esp(text).unwrap_err().kind();
    assert_eq!(esp("aes256"), Kind::Missing { what: "integrity algorithm" });
    assert_eq!(esp("null"), Kind::Missing { what: "integrity algorithm" });
    assert_eq!(esp("aes256-sha256-prfsha256"), Kind::Misplaced { protocol: SuiteProtocol::Esp });
    assert_eq!(esp("aes256gcm16-sha256"), Kind::IntegrityBesideCombined { instead: None });
}

#[test]
fn a_list_points_into_the_whole_text() {
    let both = Suite::list(SuiteProtocol::Ike, "aes256gcm16-prfsha384-x25519, aes256-sha256-ecp256").unwrap();
    assert_eq!(both.len(), 2);
    assert_eq!(both[1], Suite::ike("aes256-sha256-ecp256").unwrap());
    let text = "aes256gcm16-prfsha384-x25519, aes256-sha265-ecp256";
    let error = Suite::list(SuiteProtocol::Ike, text).unwrap_err();
    assert_eq!(text.find("sha265"), Some(error.offset()));
    assert!(error.to_string().contains(text));
}

#[test]
fn hostile_text_neither_panics_nor_is_taken() {
    let long: String = core::iter::repeat_n('a', 10_000).collect();
    for text in [long.as_str(), "-", "---", "ke", "ke_", "ke1_", "ke999999999999_x25519", "äöü-ß", "\0"] {
        assert!(Suite::ike(text).is_err());
        assert!(Suite::list(SuiteProtocol::Esp, text).is_err());
    }
}

#[cfg(feature = "rustcrypto")]
#[test]
fn a_provider_is_asked_for_every_row() {
    let provider = crate::rustcrypto::provider();
    for text in ["aes256gcm16-prfsha384-x25519", "aes256-sha256-ecp256", "aes192-sha512-modp2048"] {
        assert_eq!(Suite::ike(text).unwrap().supported_by(&provider), Ok(()));
    }
    let mut fewer = provider.clone();
    fewer.encr.to_mut().retain(|row| row.id() != EncrId::CAMELLIA_CBC);
    fewer.integ.to_mut().retain(|row| row.id() != IntegId::HMAC_MD5_96);
    fewer.prf.to_mut().retain(|row| row.id() != PrfId::AES128_XCBC);
    fewer.ke.to_mut().retain(|row| row.id() != KeId::ML_KEM_768);
    let missing = |text| Suite::ike(text).unwrap().supported_by(&fewer).unwrap_err();
    assert_eq!(missing("camellia256-sha256-x25519"), MissingRow::Encryption(EncrId::CAMELLIA_CBC, Some(256)));
    assert_eq!(missing("aes256-md5-prfsha256-x25519"), MissingRow::Integrity(IntegId::HMAC_MD5_96));
    assert_eq!(missing("aes256gcm16-prfaesxcbc-x25519"), MissingRow::Prf(PrfId::AES128_XCBC));
    let error = missing("aes256gcm16-prfsha256-x25519-ke1_mlkem768");
    assert_eq!(error, MissingRow::KeyExchange(KeId::ML_KEM_768));
    assert_eq!(error.to_string(), "the provider does not have ML_KEM_768");
    assert_eq!(Suite::esp("aes256-sha256-none").unwrap().supported_by(&provider), Ok(()));

    let mut odd = Suite::esp("aes256gcm16").unwrap();
    odd.encr = alloc::vec![(EncrId::AES_GCM_16, Some(40))];
    let error = odd.supported_by(&provider).unwrap_err();
    assert_eq!(error.to_string(), "the provider does not have ENCR_AES_GCM_16 with 40 bits");
    odd.encr = alloc::vec![(EncrId::AES_GCM_16, Some(131))];
    assert!(odd.supported_by(&provider).is_err(), "a length that is no whole number of octets");
}
