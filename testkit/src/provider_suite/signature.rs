//! Verification rows, and signers against them.

use ipsec_crypto::{CryptoError, CryptoProvider, SignatureVerifier, Signer};
use ipsec_wire::ike::AuthMethod;
use rand_core::CryptoRng;

use super::files::{all_counted, cases, keys, octets, signatures, verdict, wycheproof};
use super::{Counts, Verdict};

pub(super) fn verifier(row: &dyn SignatureVerifier) -> Counts {
    let mut counts = Counts::default();
    for case in signatures(row.name()) {
        let (spki, message, signature) = (octets(&case, "spki"), octets(&case, "msg"), octets(&case, "sig"));
        assert_eq!(row.verify(&spki, &message, &signature), Ok(()), "{row:?}: {case}");
        let mut other = message.clone();
        other.push(0);
        assert_eq!(row.verify(&spki, &other, &signature), Err(CryptoError::Mismatch), "{row:?}: {case}");
        // Every octet of a short signature, some of a long one.
        for at in (0..signature.len()).step_by(signature.len().div_ceil(600)) {
            let mut wrong = signature.clone();
            wrong[at] ^= 1;
            assert_eq!(row.verify(&spki, &message, &wrong), Err(CryptoError::Mismatch), "{row:?}: {case}");
        }
        for cut in [0, 1, signature.len() - 1] {
            let verified = row.verify(&spki, &message, &signature[..cut]);
            assert_eq!(verified, Err(CryptoError::Mismatch), "{row:?}: {case}");
        }
        assert!(matches!(row.verify(&spki[1..], &message, &signature), Err(CryptoError::KeyLength { .. })));
        counts.add(Verdict::Computed);
    }
    let field = match row.auth_method() {
        AuthMethod::ECDSA_256 => 32,
        AuthMethod::ECDSA_384 => 48,
        AuthMethod::ECDSA_521 => 66,
        _ => 0,
    };
    match row.name() {
        "ecdsa-sha2-256" => file(row, "ecdsa_secp256r1_sha256", None, &mut counts),
        "ecdsa-sha2-384" => file(row, "ecdsa_secp384r1_sha384", None, &mut counts),
        "ecdsa-sha2-512" => file(row, "ecdsa_secp521r1_sha512", None, &mut counts),
        "ecdsa-256" => file(row, "ecdsa_secp256r1_sha256", Some(field), &mut counts),
        "ecdsa-384" => file(row, "ecdsa_secp384r1_sha384", Some(field), &mut counts),
        "ecdsa-521" => file(row, "ecdsa_secp521r1_sha512", Some(field), &mut counts),
        "ed25519" => file(row, "ed25519", None, &mut counts),
        "ed448" => file(row, "ed448", None, &mut counts),
        "ml-dsa-44" => file(row, "mldsa_44_verify", None, &mut counts),
        "ml-dsa-65" => file(row, "mldsa_65_verify", None, &mut counts),
        "ml-dsa-87" => file(row, "mldsa_87_verify", None, &mut counts),
        "rsa-sha2-256" => file(row, "rsa_signature_2048_sha256", None, &mut counts),
        "rsa-sha2-384" => file(row, "rsa_signature_2048_sha384", None, &mut counts),
        "rsa-sha2-512" => file(row, "rsa_signature_3072_sha512", None, &mut counts),
        "rsa-pss-sha2-256" => file(row, "rsa_pss_2048_sha256_mgf1_32", None, &mut counts),
        "rsa-pss-sha2-384" => file(row, "rsa_pss_2048_sha384_mgf1_48", None, &mut counts),
        "rsa-pss-sha2-512" => file(row, "rsa_pss_4096_sha512_mgf1_64", None, &mut counts),
        _ => {}
    }
    counts
}

/// A file of signatures. With the length of a field they are brought from a sequence to the form of RFC 4754; what is no
/// sequence of two numbers has no such form.
fn file(row: &dyn SignatureVerifier, name: &str, field: Option<usize>, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    for (group, case) in cases(&file) {
        let spki = octets(group, "publicKeyDer");
        // IKE signs with an empty context alone.
        if case.get("ctx").is_some_and(|context| context != "") {
            counts.add(Verdict::NotApplicable);
            continue;
        }
        let mut signature = octets(case, "sig");
        if let Some(len) = field {
            let Some(raw) = two_numbers(&signature, len) else {
                counts.add(Verdict::NotApplicable);
                continue;
            };
            signature = raw;
        }
        let verified = row.verify(&spki, &octets(case, "msg"), &signature);
        match verdict(case) {
            Verdict::Valid => assert_eq!(verified, Ok(()), "{row:?}: {case}"),
            // Of a key of the wrong length there is nothing that could mismatch.
            Verdict::Invalid => assert!(
                matches!(verified, Err(CryptoError::Mismatch | CryptoError::KeyLength { .. })),
                "{row:?}: {case}"
            ),
            // A PKCS#1 v1.5 signature without the NULL of its hash: either way is right.
            _ => assert!(matches!(verified, Ok(()) | Err(CryptoError::Mismatch)), "{case}"),
        }
        counts.add(verdict(case));
    }
    all_counted(counts, before, &file);
}

/// r | s out of a strict DER sequence of two numbers that fit the field.
fn two_numbers(der: &[u8], field: usize) -> Option<Vec<u8>> {
    let body = match der {
        [0x30, len, body @ ..] if *len < 0x80 && usize::from(*len) == body.len() => body,
        [0x30, 0x81, len, body @ ..] if *len >= 0x80 && usize::from(*len) == body.len() => body,
        _ => return None,
    };
    let mut raw = Vec::new();
    let mut rest = body;
    for _ in 0..2 {
        let [2, len, tail @ ..] = rest else { return None };
        let (number, tail) = tail.split_at_checked(usize::from(*len)).filter(|_| *len < 0x80)?;
        let number = match number {
            [0, next @ ..] if next.first().is_some_and(|octet| *octet >= 0x80) => next,
            [first, ..] if *first > 0 && *first < 0x80 => number,
            [0] => number,
            _ => return None,
        };
        raw.resize(raw.len() + field.checked_sub(number.len())?, 0);
        raw.extend_from_slice(number);
        rest = tail;
    }
    rest.is_empty().then_some(raw)
}

/// Kind, PKCS#8 and SubjectPublicKeyInfo of keys to test signers with: `rsa`, `rsa-1024`, `ecdsa-256`, `ecdsa-384`,
/// `ecdsa-521`, `ed25519`, `ed448` and `ml-dsa-44`, `-65` and `-87`.
#[must_use]
pub fn test_keys() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    keys()
}

/// Signs with every algorithm and method of a signer and verifies with the provider's rows. Gives how many were tried.
///
/// # Panics
/// When a signature does not hold, or the provider has no row for what the signer offers.
pub fn check_signer(
    signer: &dyn Signer,
    spki: &[u8],
    provider: &CryptoProvider,
    rng: &mut dyn CryptoRng,
) -> usize {
    let mut tried = 0;
    for algorithm in signer.algorithms() {
        let row = provider.verifier(algorithm).unwrap_or_else(|| panic!("no row for {algorithm:02x?}"));
        for message in [&b""[..], b"octets to be signed"] {
            let signature = signer.sign(algorithm, message, rng).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(row.verify(spki, message, &signature), Ok(()), "{row:?}");
            assert_eq!(row.verify(spki, b"other", &signature), Err(CryptoError::Mismatch), "{row:?}");
        }
        tried += 1;
    }
    for &method in signer.methods() {
        let row = provider.verifier_of_method(method).unwrap_or_else(|| panic!("no row for {method}"));
        let signature =
            signer.sign_for_method(method, b"octets", rng).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(row.verify(spki, b"octets", &signature), Ok(()), "{row:?}");
        tried += 1;
    }
    assert_eq!(signer.sign(b"no algorithm", b"", rng), Err(CryptoError::Unsupported));
    assert_eq!(signer.sign_for_method(AuthMethod::NULL, b"", rng), Err(CryptoError::Unsupported));
    tried
}
