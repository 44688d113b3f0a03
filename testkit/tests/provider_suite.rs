//! The portable provider against the vectors, and against itself.

use std::io::Write;

use ipsec_crypto::{CryptoError, rustcrypto};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use testkit::provider_suite::{Verdict, check_signer, cross_check, run, test_keys};

#[test]
fn rustcrypto_holds_against_every_vector() {
    let report = run(&rustcrypto::provider());
    // Past the test harness, which keeps back what a passing test prints.
    let _ = write!(
        std::io::stderr(),
        "
rustcrypto: vectors of each row
{report}"
    );
    assert_eq!(report.without_any_vector(), [""; 0]);
    // Nobody has published vectors for these; they are compared with another implementation's values.
    let unpublished = [
        "encr aes-ccm-8",
        "encr aes-ccm-12",
        "encr aes-ccm-8-iiv",
        "encr camellia-cbc",
        "encr camellia-ctr",
        "encr camellia-ccm-8",
        "encr camellia-ccm-12",
        "encr 3des",
        "encr des",
        "integ hmac-md5-96",
        "prf hmac-md5",
        "ke modp-2048",
        "ke modp-3072",
        "ke modp-4096",
        "ke modp-6144",
        "ke modp-8192",
        "ke modp-768",
        "ke modp-1024",
        "ke modp-1536",
        "verify ml-dsa-44",
        "verify rsa-pss-sha2-384",
        "verify rsa-sha2-384",
        "verify rsa-sha1",
    ];
    assert_eq!(report.without_published_vectors(), unpublished);

    let least = |name: &str, valid, invalid| {
        let (_, counts) = report.rows().find(|(row, _)| *row == name).expect(name);
        let found = (counts.of(Verdict::Valid), counts.of(Verdict::Invalid));
        assert!(found.0 >= valid && found.1 >= invalid, "{name}: {found:?}");
    };
    least("encr aes-gcm-16", 116, 81);
    least("encr aes-gcm-8", 116, 48);
    least("encr aes-cbc", 76, 0);
    least("encr aes-ctr", 9, 0);
    least("encr chacha20-poly1305", 200, 60);
    least("encr aes-ccm-16", 12, 0);
    least("encr null-auth-aes-gmac", 1, 0);
    least("integ hmac-sha1-96", 20, 40);
    least("integ aes-xcbc-96", 7, 0);
    least("integ aes-cmac-96", 25, 60);
    least("integ aes-256-gmac", 15, 50);
    least("prf aes128-xcbc", 10, 0);
    least("prf aes128-cmac", 20, 60);
    least("prf hmac-sha2-256", 33, 54);
    least("ke curve25519", 264, 0);
    least("ke ecp-256", 332, 24);
    least("ke ecp-384", 773, 18);
    least("ke ecp-521", 634, 28);
    least("ke ml-kem-512", 153, 40);
    least("ke ml-kem-768", 286, 172);
    least("ke ml-kem-1024", 153, 40);
    least("ke curve448", 253, 12);
    least("ke brainpool-p256r1", 517, 18);
    least("ke brainpool-p384r1", 641, 18);
    least("verify ed448", 17, 70);
    least("verify ml-dsa-65", 76, 126);
    least("verify ml-dsa-87", 68, 165);
    least("verify ecdsa-sha2-256", 174, 310);
    least("verify ecdsa-521", 200, 30);
    least("verify ed25519", 88, 63);
    least("verify rsa-sha2-256", 9, 249);
    least("verify rsa-pss-sha2-512", 132, 47);
}

#[test]
fn rustcrypto_agrees_with_itself() {
    let provider = rustcrypto::provider();
    let compared = cross_check(&provider, &provider, 1);
    let rows = provider.encr.len() + provider.integ.len() + provider.prf.len() + provider.ke.len();
    assert_eq!(compared.len(), rows);
}

#[test]
fn signers_in_memory_sign_what_the_rows_verify() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut tried = Vec::new();
    for (kind, pkcs8, spki) in test_keys() {
        let signer = rustcrypto::signer_from_pkcs8(&pkcs8);
        if kind == "rsa-1024" {
            assert_eq!(signer.err(), Some(CryptoError::KeyLength { actual: 128 }));
            continue;
        }
        let signer = signer.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(format!("{signer:?}").ends_with("key (..)"), "{signer:?}");
        tried.push((kind, check_signer(&*signer, &spki, &rustcrypto::provider(), &mut rng)));
        assert!(rustcrypto::signer_from_pkcs8(&pkcs8[..pkcs8.len() - 1]).is_err());
    }
    let tried: Vec<_> = tried.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    let expected = [
        ("rsa", 7),
        ("ecdsa-256", 4),
        ("ecdsa-384", 4),
        ("ecdsa-521", 3),
        ("ed25519", 1),
        ("ed448", 1),
        ("ml-dsa-44", 1),
        ("ml-dsa-65", 1),
        ("ml-dsa-87", 1),
    ];
    assert_eq!(tried, expected);
    assert_eq!(rustcrypto::signer_from_pkcs8(&[]).err(), Some(CryptoError::Unsupported));
}
