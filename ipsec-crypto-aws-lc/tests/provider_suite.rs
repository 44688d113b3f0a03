//! The fast rows against the vectors, and against the portable ones.

use std::io::Write;

use ipsec_crypto::{CryptoError, rustcrypto};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use testkit::provider_suite::{check_signer, cross_check, run, test_keys};

#[test]
fn every_row_holds_against_the_vectors() {
    let report = run(&ipsec_crypto_aws_lc::provider());
    // Past the test harness, which keeps back what a passing test prints.
    let _ = write!(
        std::io::stderr(),
        "
aws-lc: vectors of each row
{report}"
    );
    assert_eq!(report.without_published_vectors(), ["verify rsa-sha1"]);
    assert_eq!(report.without_any_vector(), [""; 0]);
}

#[test]
fn every_row_agrees_with_the_portable_provider() {
    let provider = ipsec_crypto_aws_lc::provider();
    let compared = cross_check(&provider, &rustcrypto::provider(), 7);
    let rows = provider.encr.len() + provider.integ.len() + provider.prf.len() + provider.ke.len();
    assert_eq!(compared.len(), rows, "{compared:?}");
}

#[test]
fn rows_say_the_same_of_themselves_as_the_portable_ones() {
    let (fast, portable) = (ipsec_crypto_aws_lc::provider(), rustcrypto::provider());
    for row in fast.encr.iter() {
        let twin = portable.encr(row.id()).unwrap();
        assert_eq!((row.name(), row.status(), row.limits()), (twin.name(), twin.status(), twin.limits()));
        assert_eq!((row.key_lengths(), row.wireshark_esp()), (twin.key_lengths(), twin.wireshark_esp()));
        for len in 0..40 {
            assert_eq!(row.wireshark_ike(len), twin.wireshark_ike(len));
            assert_eq!(row.aead_key(&vec![1; len]).err(), twin.aead_key(&vec![1; len]).err());
            assert_eq!(row.cipher_key(&vec![1; len]).err(), twin.cipher_key(&vec![1; len]).err());
        }
    }
    for row in fast.integ.iter() {
        let twin = portable.integ(row.id()).unwrap();
        assert_eq!((row.name(), row.status(), row.key_len()), (twin.name(), twin.status(), twin.key_len()));
        assert_eq!((row.wireshark_esp(), row.wireshark_ike()), (twin.wireshark_esp(), twin.wireshark_ike()));
    }
    for row in fast.prf.iter() {
        let twin = portable.prf(row.id()).unwrap();
        assert_eq!((row.name(), row.status(), row.key_len()), (twin.name(), twin.status(), twin.key_len()));
    }
    for row in fast.ke.iter() {
        let twin = portable.ke(row.id()).unwrap();
        assert_eq!((row.name(), row.status()), (twin.name(), twin.status()));
    }
    for row in fast.verify.iter() {
        let twin = portable.verify.iter().find(|twin| twin.name() == row.name()).unwrap();
        assert_eq!(
            (row.algorithm(), row.auth_method(), row.status()),
            (twin.algorithm(), twin.auth_method(), twin.status())
        );
    }
}

#[test]
fn what_is_missing_falls_through() {
    let both = ipsec_crypto_aws_lc::provider().or(&rustcrypto::provider());
    let suite =
        ipsec_crypto::Suite::ike("aes256ccm16-aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_modp4096")
            .unwrap();
    assert_eq!(suite.supported_by(&both), Ok(()));
    assert!(suite.supported_by(&ipsec_crypto_aws_lc::provider()).is_err());
}

#[test]
fn signers_in_memory_sign_what_both_providers_verify() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut tried = Vec::new();
    for (kind, pkcs8, spki) in test_keys() {
        let signer = ipsec_crypto_aws_lc::signer_from_pkcs8(&pkcs8);
        if kind == "rsa-1024" || kind == "ed448" {
            assert_eq!(signer.err(), Some(CryptoError::Unsupported));
            continue;
        }
        let signer = signer.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(format!("{signer:?}").ends_with("key (..)"), "{signer:?}");
        for provider in [ipsec_crypto_aws_lc::provider(), rustcrypto::provider()] {
            tried.push((kind.clone(), check_signer(&*signer, &spki, &provider, &mut rng)));
        }
        assert!(ipsec_crypto_aws_lc::signer_from_pkcs8(&pkcs8[..pkcs8.len() - 1]).is_err());
    }
    let tried: Vec<_> = tried.iter().step_by(2).map(|(kind, count)| (kind.as_str(), *count)).collect();
    let expected = [
        ("rsa", 6),
        ("ecdsa-256", 2),
        ("ecdsa-384", 2),
        ("ecdsa-521", 3),
        ("ed25519", 1),
        ("ml-dsa-44", 1),
        ("ml-dsa-65", 1),
        ("ml-dsa-87", 1),
    ];
    assert_eq!(tried, expected);
    assert_eq!(ipsec_crypto_aws_lc::signer_from_pkcs8(&[]).err(), Some(CryptoError::Unsupported));
}
