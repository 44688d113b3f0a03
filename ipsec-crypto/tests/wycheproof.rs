//! Wycheproof against every row of the portable provider: each case is run, or counted as not applicable.
#![cfg(feature = "rustcrypto")]

extern crate alloc;

mod common;

use alloc::collections::BTreeMap;

use common::{json, list, number, octets, text};
use ipsec_crypto::{CryptoError, CryptoProvider, PeerPublicError, Secret, prf, rustcrypto};
use ipsec_wire::ike::{EncrId, IntegId, KeId, PrfId};
use serde_json::Value;

fn provider() -> CryptoProvider {
    rustcrypto::provider()
}

/// Cases by what the file says of them, and those that the row cannot be asked.
#[derive(Default, PartialEq, Debug)]
struct Count(BTreeMap<String, usize>);

impl Count {
    fn add(&mut self, what: &str) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    fn of(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Prints the counts and requires at least so many of each.
    fn require(&self, name: &str, file: &Value, minimum: &[(&str, usize)]) {
        println!("{name}: {:?}", self.0);
        assert_eq!(
            self.0.values().sum::<usize>(),
            number(file, "numberOfTests"),
            "{name}: every case counted"
        );
        for &(what, least) in minimum {
            assert!(self.of(what) >= least, "{name}: {} cases {what}, expected {least}", self.of(what));
        }
    }
}

#[test]
fn aes_gcm() {
    let file = json(include_str!("vectors/aes_gcm_test.json"));
    let row = provider().encr(EncrId::AES_GCM_16).unwrap();
    let mut count = Count::default();
    for case in list(&file, "testGroups").iter().flat_map(|group| list(group, "tests")) {
        let key = row.aead_key(&octets(case, "key")).unwrap();
        let (nonce, aad) = (octets(case, "iv"), octets(case, "aad"));
        let (plain, cipher, tag) = (octets(case, "msg"), octets(case, "ct"), octets(case, "tag"));
        let (mut sealed, mut sealed_tag) = (plain.clone(), [0; 16]);
        let mut opened = cipher.clone();
        let seal = key.seal(&nonce, &aad, &mut sealed, &mut sealed_tag);
        let open = key.open(&nonce, &aad, &mut opened, &tag);
        // RFC 4106 has 12-octet nonces and no other.
        if nonce.len() != row.salt_len() + row.iv_len() {
            let refused = Err(CryptoError::NonceLength { actual: nonce.len(), expected: 12 });
            assert_eq!((seal, open), (refused, refused), "{case}");
            count.add("refused for the nonce's length");
            continue;
        }
        assert_eq!(seal, Ok(()));
        match text(case, "result") {
            "valid" => {
                assert_eq!((&sealed, sealed_tag.as_slice()), (&cipher, tag.as_slice()), "{case}");
                assert_eq!((open, &opened), (Ok(()), &plain), "{case}");
            }
            "invalid" => assert_eq!(open, Err(CryptoError::Mismatch), "{case}"),
            other => panic!("{other}"),
        }
        count.add(text(case, "result"));
    }
    count.require("AES-GCM-16", &file, &[("valid", 116), ("invalid", 81)]);
}

/// The file pads by PKCS #5, which is added here; cases about bad padding say nothing of CBC itself.
#[test]
fn aes_cbc() {
    let file = json(include_str!("vectors/aes_cbc_pkcs5_test.json"));
    let row = provider().encr(EncrId::AES_CBC).unwrap();
    let mut count = Count::default();
    for case in list(&file, "testGroups").iter().flat_map(|group| list(group, "tests")) {
        if text(case, "result") != "valid" {
            count.add("padding");
            continue;
        }
        let key = row.cipher_key(&octets(case, "key")).unwrap();
        let (iv, cipher) = (octets(case, "iv"), octets(case, "ct"));
        let mut plain = octets(case, "msg");
        let padding = 16 - plain.len() % 16;
        plain.extend(core::iter::repeat_n(u8::try_from(padding).unwrap(), padding));
        let mut data = plain.clone();
        key.encrypt(&iv, &mut data).unwrap();
        assert_eq!(data, cipher, "{case}");
        key.decrypt(&iv, &mut data).unwrap();
        assert_eq!(data, plain, "{case}");
        count.add("valid");
    }
    count.require("AES-CBC", &file, &[("valid", 70)]);
}

fn hmac(file: &str, prf_id: PrfId, integ_id: IntegId) {
    let file = json(file);
    let prf_row = provider().prf(prf_id).unwrap();
    let integ_row = provider().integ(integ_id).unwrap();
    let mut count = Count::default();
    for group in list(&file, "testGroups") {
        let (key_len, tag_len) = (number(group, "keySize") / 8, number(group, "tagSize") / 8);
        for case in list(group, "tests") {
            let (key, message, tag) = (octets(case, "key"), octets(case, "msg"), octets(case, "tag"));
            assert_eq!((key.len(), tag.len()), (key_len, tag_len));
            let valid = match text(case, "result") {
                "valid" => true,
                "invalid" => false,
                other => panic!("{other}"),
            };
            let whole = prf(prf_row, &key, &[&message]).unwrap();
            assert_eq!(whole.expose().starts_with(&tag), valid, "{case}");
            if tag_len == prf_row.output_len() {
                let verified = prf_row.prf_key(&key).unwrap().verify(&[&message], &tag);
                assert_eq!(verified.is_ok(), valid, "{case}");
            }
            let keyed = integ_row.mac_key(&key);
            // RFC 4868 §2.1.1: one key length.
            assert_eq!(keyed.is_ok(), key_len == integ_row.key_len());
            if let Some(keyed) = keyed.ok().filter(|_| tag_len == integ_row.icv_len()) {
                assert_eq!(keyed.verify(&[&message], &tag).is_ok(), valid, "{case}");
                count.add(if valid { "valid, also as an ICV" } else { "invalid, also as an ICV" });
            } else {
                count.add(if valid { "valid" } else { "invalid" });
            }
        }
    }
    let minimum =
        [("valid", 39), ("invalid", 54), ("valid, also as an ICV", 27), ("invalid, also as an ICV", 54)];
    count.require(prf_row.name(), &file, &minimum);
}

#[test]
fn hmac_sha2_256() {
    let file = include_str!("vectors/hmac_sha256_test.json");
    hmac(file, PrfId::HMAC_SHA2_256, IntegId::HMAC_SHA2_256_128);
}

#[test]
fn hmac_sha2_384() {
    let file = include_str!("vectors/hmac_sha384_test.json");
    hmac(file, PrfId::HMAC_SHA2_384, IntegId::HMAC_SHA2_384_192);
}

#[test]
fn hmac_sha2_512() {
    let file = include_str!("vectors/hmac_sha512_test.json");
    hmac(file, PrfId::HMAC_SHA2_512, IntegId::HMAC_SHA2_512_256);
}

/// "Acceptable" are points on the twist, of small order and in encodings above the prime: RFC 7748 takes them all,
/// but an all-zero result is refused.
#[test]
fn x25519() {
    let file = json(include_str!("vectors/x25519_test.json"));
    let row = provider().ke(KeId::CURVE25519).unwrap();
    let mut count = Count::default();
    for case in list(&file, "testGroups").iter().flat_map(|group| list(group, "tests")) {
        let private = row.resume(&Secret::new(&octets(case, "private"))).unwrap();
        let (public, expected) = (octets(case, "public"), octets(case, "shared"));
        let shared = private.complete(&public);
        if expected.iter().all(|&octet| octet == 0) {
            assert_eq!(shared, Err(CryptoError::PeerPublic(PeerPublicError::SmallOrder)), "{case}");
            count.add("acceptable, refused for small order");
        } else {
            assert_eq!(shared.unwrap().expose(), expected, "{case}");
            count.add(text(case, "result"));
        }
    }
    let minimum = [("valid", 264), ("acceptable", 200), ("acceptable, refused for small order", 20)];
    count.require("curve25519", &file, &minimum);
}

/// KE data has no encoding octet and no compressed form, so that compressed points are refused by their length.
#[test]
fn ecp_256() {
    let file = json(include_str!("vectors/ecdh_secp256r1_ecpoint_test.json"));
    let row = provider().ke(KeId::ECP_256).unwrap();
    let mut count = Count::default();
    for case in list(&file, "testGroups").iter().flat_map(|group| list(group, "tests")) {
        // The file writes the scalar as a number: fewer or more octets than the field has.
        let scalar = octets(case, "private");
        let scalar = &scalar[scalar.iter().position(|&octet| octet != 0).unwrap()..];
        let mut private = [0; 32];
        private[32 - scalar.len()..].copy_from_slice(scalar);
        let private = row.resume(&Secret::new(&private)).unwrap();
        let public = octets(case, "public");
        let shared = private.complete(public.strip_prefix(&[4]).unwrap_or(&public));
        match text(case, "result") {
            "valid" => {
                assert_eq!(shared.unwrap().expose(), octets(case, "shared"), "{case}");
                count.add("valid");
            }
            "acceptable" => {
                let length = PeerPublicError::Length { actual: 33, expected: 64 };
                assert_eq!(shared, Err(CryptoError::PeerPublic(length)), "{case}");
                count.add("acceptable, refused as compressed");
            }
            "invalid" => {
                assert!(matches!(shared, Err(CryptoError::PeerPublic(_))), "{case}");
                count.add("invalid");
            }
            other => panic!("{other}"),
        }
    }
    let minimum = [("valid", 330), ("invalid", 24), ("acceptable, refused as compressed", 1)];
    count.require("ecp-256", &file, &minimum);
}
