//! The portable provider against the vectors, and against itself.

use ipsec_crypto::rustcrypto;
use testkit::provider_suite::{Verdict, cross_check, run};

#[test]
fn rustcrypto_holds_against_every_vector() {
    let report = run(&rustcrypto::provider());
    println!("{report}");
    assert_eq!(report.without_any_vector(), [""; 0]);
    // Nobody has published vectors for these; they are compared with another implementation's values.
    let unpublished = ["encr aes-ccm-8", "encr aes-ccm-12", "encr aes-ccm-8-iiv", "ke modp-2048"];
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
}

#[test]
fn rustcrypto_agrees_with_itself() {
    let provider = rustcrypto::provider();
    let compared = cross_check(&provider, &provider, 1);
    let rows = provider.encr.len() + provider.integ.len() + provider.prf.len() + provider.ke.len();
    assert_eq!(compared.len(), rows);
}
