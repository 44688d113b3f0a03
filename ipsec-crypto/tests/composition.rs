//! AES-GCM as it is composed here against the crate that composes the same parts, at every length where ways through the
//! code begin or end.
#![cfg(feature = "rustcrypto")]

mod common;

use aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, aes::Aes192};
use common::{random, rng};
use ipsec_crypto::{CryptoError, rustcrypto};
use ipsec_wire::ike::EncrId;

fn agrees<A: AeadInOut + KeyInit>(id: EncrId) {
    let mut rng = rng(3);
    let row = rustcrypto::provider().encr(id).unwrap();
    let key = random(&mut rng, A::key_size());
    let (ours, theirs) = (row.aead_key(&key).unwrap(), A::new_from_slice(&key).unwrap());
    for len in (0..700).chain([1023, 1400, 1408, 8900, 8912]) {
        let (nonce, aad) = (random(&mut rng, 12), random(&mut rng, len % 35));
        let plain = random(&mut rng, len);
        let (mut data, mut tag) = (plain.clone(), vec![0; row.tag_len()]);
        ours.seal(&nonce, &aad, &mut data, &mut tag).unwrap();

        let mut expected = plain.clone();
        let nonce_array = nonce.as_slice().try_into().unwrap();
        let full = theirs.encrypt_inout_detached(nonce_array, &aad, expected.as_mut_slice().into()).unwrap();
        assert_eq!((data.as_slice(), tag.as_slice()), (expected.as_slice(), &full[..row.tag_len()]), "{len}");

        ours.open(&nonce, &aad, &mut data, &tag).unwrap();
        assert_eq!(data, plain, "{len}");
        if let Some(last) = expected.last_mut() {
            *last ^= 1;
            assert_eq!(ours.open(&nonce, &aad, &mut expected, &tag), Err(CryptoError::Mismatch), "{len}");
        }
    }
}

#[test]
fn aes_gcm_agrees_with_its_crate() {
    for id in [EncrId::AES_GCM_16, EncrId::AES_GCM_12, EncrId::AES_GCM_8] {
        agrees::<Aes128Gcm>(id);
        agrees::<AesGcm<Aes192, aead::consts::U12>>(id);
        agrees::<Aes256Gcm>(id);
    }
}
