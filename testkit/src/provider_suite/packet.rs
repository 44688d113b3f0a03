//! Encryption algorithms.

use ipsec_crypto::{CryptoError, EncryptionAlgorithm};
use ipsec_wire::ike::EncrId;
use serde_json::Value;

use super::files::{all_counted, cases, octets, own, verdict, wycheproof};
use super::{Counts, Verdict};

pub(super) fn encryption(row: &dyn EncryptionAlgorithm) -> Counts {
    let mut counts = Counts::default();
    // An implicit IV changes where the nonce comes from, not what is done with it (RFC 8750 §4).
    let explicit = match row.id() {
        EncrId::AES_GCM_16_IIV => EncrId::AES_GCM_16,
        EncrId::AES_CCM_8_IIV => EncrId::AES_CCM_8,
        EncrId::CHACHA20_POLY1305_IIV => EncrId::CHACHA20_POLY1305,
        id => id,
    };
    if row.is_aead() {
        for (verdict, case) in own("aead", explicit.0) {
            right(row, &case, &octets(&case, "nonce"));
            counts.add(verdict);
        }
    } else {
        for (verdict, case) in own("cipher", explicit.0) {
            cipher(row, &case, &octets(&case, "iv"), octets(&case, "msg"));
            counts.add(verdict);
        }
    }
    match explicit {
        EncrId::AES_GCM_16 => combined(row, "aes_gcm", true, &mut counts),
        EncrId::AES_GCM_12 | EncrId::AES_GCM_8 => combined(row, "aes_gcm", true, &mut counts),
        EncrId::AES_CCM_16 => combined(row, "aes_ccm", false, &mut counts),
        EncrId::CAMELLIA_CCM_16 => combined(row, "camellia_ccm", false, &mut counts),
        EncrId::CHACHA20_POLY1305 => combined(row, "chacha20_poly1305", true, &mut counts),
        EncrId::AES_CBC => cbc(row, "aes_cbc_pkcs5", &mut counts),
        EncrId::CAMELLIA_CBC => cbc(row, "camellia_cbc_pkcs5", &mut counts),
        EncrId::NULL => null(row, &mut counts),
        _ => {}
    }
    counts
}

/// Sealing gives the case's octets, opening takes them, and takes them in no other form.
fn right(row: &dyn EncryptionAlgorithm, case: &Value, nonce: &[u8]) {
    let key = row.aead_key(&octets(case, "key")).unwrap_or_else(|error| panic!("{error}: {case}"));
    let (aad, plain, cipher) = (octets(case, "aad"), octets(case, "msg"), octets(case, "ct"));
    let tag = octets(case, "tag");
    let tag = &tag[..row.tag_len()];
    let (mut data, mut sealed_tag) = (plain.clone(), vec![0; row.tag_len()]);
    assert_eq!(key.seal(nonce, &aad, &mut data, &mut sealed_tag), Ok(()), "{row:?}: {case}");
    assert_eq!((data.as_slice(), sealed_tag.as_slice()), (cipher.as_slice(), tag), "{row:?}: {case}");
    assert_eq!(key.open(nonce, &aad, &mut data, tag), Ok(()), "{row:?}: {case}");
    assert_eq!(data, plain, "{row:?}: {case}");

    let refused = |nonce: &[u8], aad: &[u8], data: &[u8], tag: &[u8]| {
        assert_eq!(
            key.open(nonce, aad, &mut data.to_vec(), tag),
            Err(CryptoError::Mismatch),
            "{row:?}: {case}"
        );
    };
    let flipped = |octets: &[u8], at: usize| {
        let mut octets = octets.to_vec();
        octets[at] ^= 0x10;
        octets
    };
    (0..tag.len()).for_each(|at| refused(nonce, &aad, &cipher, &flipped(tag, at)));
    (0..nonce.len()).for_each(|at| refused(&flipped(nonce, at), &aad, &cipher, tag));
    (0..aad.len()).for_each(|at| refused(nonce, &flipped(&aad, at), &cipher, tag));
    (0..cipher.len()).for_each(|at| refused(nonce, &aad, &flipped(&cipher, at), tag));
}

/// A file of combined modes. Where the row's tag is a truncated one, what was changed may lie behind it.
fn combined(row: &dyn EncryptionAlgorithm, name: &str, truncates: bool, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    for (_, case) in cases(&file) {
        let (key, nonce, tag) = (octets(case, "key"), octets(case, "iv"), octets(case, "tag"));
        let fits = row.key_lengths().contains(&key.len())
            && nonce.len() == row.nonce_len()
            && (tag.len() == row.tag_len() || truncates && tag.len() > row.tag_len());
        if !fits {
            if let Ok(key) = row.aead_key(&key) {
                let mut sealed_tag = vec![0; row.tag_len()];
                let sealed = key.seal(&nonce, &[], &mut [], &mut sealed_tag);
                let wrong = CryptoError::NonceLength { actual: nonce.len(), expected: row.nonce_len() };
                assert_eq!(sealed.err(), (nonce.len() != row.nonce_len()).then_some(wrong), "{case}");
            }
            counts.add(Verdict::NotApplicable);
            continue;
        }
        if verdict(case) == Verdict::Valid {
            right(row, case, &nonce);
            counts.add(Verdict::Valid);
            continue;
        }
        let keyed = row.aead_key(&key).unwrap_or_else(|error| panic!("{error}: {case}"));
        let aad = octets(case, "aad");
        let (mut data, mut sealed_tag) = (octets(case, "msg"), vec![0; row.tag_len()]);
        assert_eq!(keyed.seal(&nonce, &aad, &mut data, &mut sealed_tag), Ok(()));
        let (mut cipher, tag) = (octets(case, "ct"), &tag[..row.tag_len()]);
        if data == cipher && sealed_tag == tag {
            counts.add(Verdict::NotApplicable);
            continue;
        }
        let opened = keyed.open(&nonce, &aad, &mut cipher, tag);
        assert_eq!(opened, Err(CryptoError::Mismatch), "{row:?}: {case}");
        counts.add(Verdict::Invalid);
    }
    all_counted(counts, before, &file);
}

fn cipher(row: &dyn EncryptionAlgorithm, case: &Value, iv: &[u8], plain: Vec<u8>) {
    let key = row.cipher_key(&octets(case, "key")).unwrap_or_else(|error| panic!("{error}: {case}"));
    let mut data = plain.clone();
    assert_eq!(key.encrypt(iv, &mut data), Ok(()), "{row:?}: {case}");
    assert_eq!(data, octets(case, "ct"), "{row:?}: {case}");
    assert_eq!(key.decrypt(iv, &mut data), Ok(()), "{row:?}: {case}");
    assert_eq!(data, plain, "{row:?}: {case}");
}

/// The file pads by PKCS #5, which is added here; cases about bad padding say nothing of CBC itself.
fn cbc(row: &dyn EncryptionAlgorithm, name: &str, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    for (_, case) in cases(&file) {
        if verdict(case) != Verdict::Valid || !row.key_lengths().contains(&octets(case, "key").len()) {
            counts.add(Verdict::NotApplicable);
            continue;
        }
        let mut plain = octets(case, "msg");
        let padding = 16 - plain.len() % 16;
        plain.extend(core::iter::repeat_n(u8::try_from(padding).unwrap_or(0), padding));
        cipher(row, case, &octets(case, "iv"), plain);
        counts.add(Verdict::Valid);
    }
    all_counted(counts, before, &file);
}

/// RFC 2410 §2: what NULL does is its own definition.
fn null(row: &dyn EncryptionAlgorithm, counts: &mut Counts) {
    let key = row.cipher_key(&[]).unwrap_or_else(|error| panic!("{error}"));
    let mut data = *b"RFC 2410";
    assert_eq!((key.encrypt(&[], &mut data), &data), (Ok(()), b"RFC 2410"));
    assert_eq!((key.decrypt(&[], &mut data), &data), (Ok(()), b"RFC 2410"));
    counts.add(Verdict::Valid);
}
