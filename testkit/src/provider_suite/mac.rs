//! Integrity algorithms and pseudorandom functions.

use ipsec_crypto::{CryptoError, IntegrityAlgorithm, MacKey, PrfAlgorithm};
use ipsec_wire::ike::{IntegId, PrfId};
use serde_json::Value;

use super::files::{all_counted, cases, octets, own, verdict, wycheproof};
use super::{Counts, Verdict};

pub(super) fn integrity(row: &dyn IntegrityAlgorithm) -> Counts {
    let mut counts = Counts::default();
    for (verdict, case) in own("integ", row.id().0) {
        let key = keyed(row, &octets(&case, "key"));
        right(row, &*key, &octets(&case, "msg"), &octets(&case, "icv"));
        counts.add(verdict);
    }
    match row.id() {
        IntegId::HMAC_SHA1_96 => truncated(row, "hmac_sha1", &mut counts),
        IntegId::HMAC_SHA2_256_128 => truncated(row, "hmac_sha256", &mut counts),
        IntegId::HMAC_SHA2_384_192 => truncated(row, "hmac_sha384", &mut counts),
        IntegId::HMAC_SHA2_512_256 => truncated(row, "hmac_sha512", &mut counts),
        IntegId::AES_CMAC_96 => truncated(row, "aes_cmac", &mut counts),
        IntegId::AES_128_GMAC | IntegId::AES_192_GMAC | IntegId::AES_256_GMAC => gmac(row, &mut counts),
        _ => {}
    }
    counts
}

fn keyed(row: &dyn IntegrityAlgorithm, key: &[u8]) -> Box<dyn MacKey> {
    row.mac_key(key).unwrap_or_else(|error| panic!("{row:?}: {error}"))
}

/// The ICV comes out however the message is cut in two, and is taken in no other form.
fn right(row: &dyn IntegrityAlgorithm, key: &dyn MacKey, message: &[u8], icv: &[u8]) {
    let iv = &icv[..row.iv_len()];
    for cut in [0, 1, 7, 16, 17, message.len()].into_iter().filter(|&cut| cut <= message.len()) {
        let (head, tail) = message.split_at(cut);
        let mut signed = vec![0; row.icv_len()];
        assert_eq!(key.sign_with_iv(iv, &[head, tail], &mut signed), Ok(()), "{row:?}");
        assert_eq!(signed, icv, "{row:?} cut at {cut}");
        assert_eq!(key.verify(&[head, &[], tail], icv), Ok(()), "{row:?}");
    }
    for at in 0..icv.len() {
        let mut wrong = icv.to_vec();
        wrong[at] ^= 4;
        assert_eq!(key.verify(&[message], &wrong), Err(CryptoError::Mismatch), "{row:?}");
    }
}

/// A file of whole MACs against a row with a truncated one. What a case changed may lie behind it.
fn truncated(row: &dyn IntegrityAlgorithm, name: &str, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    for (_, case) in cases(&file) {
        let (key, message, tag) = (octets(case, "key"), octets(case, "msg"), octets(case, "tag"));
        if key.len() != row.key_len() {
            assert_eq!(row.mac_key(&key).err(), Some(CryptoError::KeyLength { actual: key.len() }));
        }
        let icv = tag.get(..row.icv_len()).filter(|_| key.len() == row.key_len());
        let Some(icv) = icv else {
            counts.add(Verdict::NotApplicable);
            continue;
        };
        let key = keyed(row, &key);
        let mut signed = vec![0; row.icv_len()];
        assert_eq!(key.sign(&[&message], &mut signed), Ok(()));
        counts.add(match verdict(case) {
            Verdict::Valid => {
                right(row, &*key, &message, icv);
                Verdict::Valid
            }
            _ if signed == icv => Verdict::NotApplicable,
            _ => {
                assert_eq!(key.verify(&[&message], icv), Err(CryptoError::Mismatch), "{row:?}: {case}");
                Verdict::Invalid
            }
        });
    }
    all_counted(counts, before, &file);
}

/// The nonce's first four octets are the salt at the end of the key (RFC 4543 §3.2, §5.4).
fn gmac(row: &dyn IntegrityAlgorithm, counts: &mut Counts) {
    let file = wycheproof("aes_gmac");
    let before = counts.0.values().sum();
    for (_, case) in cases(&file) {
        let (mut key, nonce, message) = (octets(case, "key"), octets(case, "iv"), octets(case, "msg"));
        if key.len() + 4 != row.key_len() || nonce.len() != 12 {
            counts.add(Verdict::NotApplicable);
            continue;
        }
        key.extend_from_slice(&nonce[..4]);
        let key = keyed(row, &key);
        let icv = [&nonce[4..], &octets(case, "tag")].concat();
        match verdict(case) {
            Verdict::Valid => right(row, &*key, &message, &icv),
            _ => assert_eq!(key.verify(&[&message], &icv), Err(CryptoError::Mismatch), "{case}"),
        }
        counts.add(verdict(case));
    }
    all_counted(counts, before, &file);
}

pub(super) fn prf(row: &dyn PrfAlgorithm) -> Counts {
    let mut counts = Counts::default();
    for (verdict, case) in own("prf", row.id().0) {
        output(row, &case, &octets(&case, "key"), &octets(&case, "out"));
        counts.add(verdict);
    }
    match row.id() {
        PrfId::HMAC_SHA1 => whole(row, "hmac_sha1", &mut counts),
        PrfId::HMAC_SHA2_256 => whole(row, "hmac_sha256", &mut counts),
        PrfId::HMAC_SHA2_384 => whole(row, "hmac_sha384", &mut counts),
        PrfId::HMAC_SHA2_512 => whole(row, "hmac_sha512", &mut counts),
        PrfId::AES128_CMAC => whole(row, "aes_cmac", &mut counts),
        _ => {}
    }
    counts
}

fn output(row: &dyn PrfAlgorithm, case: &Value, key: &[u8], expected: &[u8]) {
    let key = row.prf_key(key).unwrap_or_else(|error| panic!("{row:?}: {error}"));
    let message = octets(case, "msg");
    for cut in [0, 1, 16, message.len()].into_iter().filter(|&cut| cut <= message.len()) {
        let (head, tail) = message.split_at(cut);
        let mut out = vec![0; row.output_len()];
        assert_eq!(key.compute(&[head, tail], &mut out), Ok(()), "{row:?}: {case}");
        assert_eq!(out, expected, "{row:?}: {case}");
        assert_eq!(key.verify(&[head, tail], expected), Ok(()), "{row:?}: {case}");
    }
}

/// Keys of every length for HMAC; of its own length alone for a cipher's MAC, whose PRF does something else to others.
fn whole(row: &dyn PrfAlgorithm, name: &str, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    for (_, case) in cases(&file) {
        let (key, tag) = (octets(case, "key"), octets(case, "tag"));
        if tag.len() != row.output_len() || !row.variable_key() && key.len() != row.key_len() {
            counts.add(Verdict::NotApplicable);
            continue;
        }
        match verdict(case) {
            Verdict::Valid => output(row, case, &key, &tag),
            _ => {
                let key = row.prf_key(&key).unwrap_or_else(|error| panic!("{row:?}: {error}"));
                let verified = key.verify(&[&octets(case, "msg")], &tag);
                assert_eq!(verified, Err(CryptoError::Mismatch), "{row:?}: {case}");
            }
        }
        counts.add(verdict(case));
    }
    all_counted(counts, before, &file);
}
