//! The portable provider against the vectors, and against itself.

use std::io::Write;

use ipsec_crypto::{CryptoError, rustcrypto};
use ipsec_wire::ike::{EncrId, IntegId, KeId, PrfId};
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
    // No vector that these could be asked is known: published ones have other lengths of nonces, ICVs or private values.
    // They are compared with another implementation's values.
    let unpublished = [
        "encr aes-ccm-8",
        "encr aes-ccm-12",
        "encr aes-ccm-8-iiv",
        "encr camellia-ccm-8",
        "encr camellia-ccm-12",
        "ke modp-2048",
        "ke modp-3072",
        "ke modp-4096",
        "ke modp-6144",
        "ke modp-8192",
        "ke modp-768",
        "ke modp-1024",
        "ke modp-1536",
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
    least("encr camellia-cbc", 70, 0);
    least("encr camellia-ctr", 9, 0);
    least("encr 3des", 3, 0);
    least("encr des", 1, 0);
    least("integ hmac-md5-96", 3, 0);
    least("prf hmac-md5", 7, 0);
    least("ke ml-kem-512", 153, 40);
    least("ke ml-kem-768", 286, 172);
    least("ke ml-kem-1024", 153, 40);
    least("ke curve448", 253, 12);
    least("ke brainpool-p256r1", 517, 18);
    least("ke brainpool-p384r1", 641, 18);
    least("verify ed448", 17, 70);
    least("verify ml-dsa-44", 75, 98);
    least("verify ml-dsa-65", 76, 126);
    least("verify ml-dsa-87", 68, 165);
    least("verify ecdsa-sha2-256", 174, 310);
    least("verify ecdsa-521", 200, 30);
    least("verify ed25519", 88, 63);
    least("verify rsa-sha2-256", 9, 249);
    least("verify rsa-sha2-384", 7, 250);
    least("verify rsa-pss-sha2-384", 40, 40);
    least("verify rsa-pss-sha2-512", 132, 47);
}

/// What IANA has numbers for and the portable provider has, with every feature, no row. Its documentation says why.
#[test]
fn absent_algorithms_are_named() {
    let provider = rustcrypto::provider();
    let encr = EncrId::KNOWN.iter().filter(|(id, _)| provider.encr(*id).is_none()).map(|(_, name)| *name);
    let integ = IntegId::KNOWN.iter().filter(|(id, _)| provider.integ(*id).is_none()).map(|(_, name)| *name);
    let prf = PrfId::KNOWN.iter().filter(|(id, _)| provider.prf(*id).is_none()).map(|(_, name)| *name);
    let ke = KeId::KNOWN.iter().filter(|(id, _)| provider.ke(*id).is_none()).map(|(_, name)| *name);
    let absent: Vec<_> = encr.chain(integ).chain(prf).chain(ke).collect();
    let named = "ENCR_DES_IV64 ENCR_RC5 ENCR_IDEA ENCR_CAST ENCR_BLOWFISH ENCR_3IDEA ENCR_DES_IV32 \
        ENCR_KUZNYECHIK_MGM_KTREE ENCR_MAGMA_MGM_KTREE ENCR_KUZNYECHIK_MGM_MAC_KTREE ENCR_MAGMA_MGM_MAC_KTREE \
        NONE AUTH_DES_MAC AUTH_KPDK_MD5 AUTH_HMAC_MD5_128 AUTH_HMAC_SHA1_160 \
        PRF_HMAC_TIGER PRF_HMAC_STREEBOG_512 \
        NONE ECP_192 ECP_224 brainpoolP224r1 brainpoolP512r1 GOST3410_2012_256 GOST3410_2012_512";
    assert_eq!(absent.join(" "), named);
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
