//! Sealing, opening, signing and verifying a packet allocate nothing.
#![cfg(feature = "rustcrypto")]

use ipsec_crypto::rustcrypto;

#[test]
fn a_packet_costs_no_allocation() {
    let provider = rustcrypto::provider();
    let mut data = vec![0; 8896];
    let mut tag = [0; 32];
    for row in provider.encr.iter() {
        for &key_len in row.key_lengths() {
            let key = vec![1; key_len];
            if let Ok(aead) = row.aead_key(&key) {
                let nonce = vec![0; row.nonce_len()];
                let tag = &mut tag[..row.tag_len()];
                let count = tally::calls(|| {
                    aead.seal(&nonce, &[0; 12], &mut data, tag).unwrap();
                    aead.open(&nonce, &[0; 12], &mut data, tag).unwrap();
                    aead.open(&nonce, &[1; 12], &mut data, tag).unwrap_err();
                });
                assert_eq!(count, 0, "{row:?}");
            } else {
                let cipher = row.cipher_key(&key).unwrap();
                let iv = vec![0; row.nonce_len()];
                let count = tally::calls(|| {
                    cipher.encrypt(&iv, &mut data).unwrap();
                    cipher.decrypt(&iv, &mut data).unwrap();
                });
                assert_eq!(count, 0, "{row:?}");
            }
        }
    }
    for row in provider.integ.iter() {
        let mac = row.mac_key(&vec![1; row.key_len()]).unwrap();
        let icv = &mut tag[..row.icv_len()];
        let iv = vec![0; row.iv_len()];
        let count = tally::calls(|| {
            mac.sign_with_iv(&iv, &[&data, &[0; 4]], icv).unwrap();
            mac.verify(&[&data, &[0; 4]], icv).unwrap();
        });
        assert_eq!(count, 0, "{row:?}");
    }
    for row in provider.prf.iter() {
        let prf = row.prf_key(&[1; 32]).unwrap();
        let mut out = vec![0; row.output_len()];
        assert_eq!(tally::calls(|| prf.compute(&[&data], &mut out).unwrap()), 0, "{row:?}");
    }
}
