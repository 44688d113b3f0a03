//! Two providers against each other: what one seals, signs or sends, the other must take.

use ipsec_crypto::{CryptoError, CryptoProvider};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Lengths around the edges of blocks, and those of packets.
const LENGTHS: [usize; 14] = [0, 1, 8, 15, 16, 17, 31, 32, 33, 48, 64, 576, 1400, 8896];

/// Compares every row that both have, over random keys and messages, and gives the names of the rows compared.
///
/// # Panics
/// When they differ.
#[must_use]
pub fn cross_check(one: &CryptoProvider, other: &CryptoProvider, seed: u64) -> Vec<String> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut random = |len: usize| {
        let mut octets = vec![0; len];
        rng.fill_bytes(&mut octets);
        octets
    };
    let mut compared = Vec::new();
    for row in one.encr.iter() {
        let Some(twin) = other.encr(row.id()) else { continue };
        let lengths = (row.salt_len(), row.iv_len(), row.block_len(), row.tag_len(), row.iv_rule());
        let twins = (twin.salt_len(), twin.iv_len(), twin.block_len(), twin.tag_len(), twin.iv_rule());
        assert_eq!(lengths, twins, "{row:?}");
        for &key_len in row.key_lengths().iter().filter(|len| twin.key_lengths().contains(len)) {
            let key = random(key_len);
            for len in LENGTHS.into_iter().filter(|len| len % row.block_len() == 0) {
                let (nonce, aad, plain) = (random(row.nonce_len()), random(len % 13), random(len));
                let (mut ours, mut theirs) = (plain.clone(), plain.clone());
                if row.is_aead() {
                    let (a, b) = (row.aead_key(&key).expect("key"), twin.aead_key(&key).expect("key"));
                    let (mut tag, mut their_tag) = (vec![0; row.tag_len()], vec![0; row.tag_len()]);
                    a.seal(&nonce, &aad, &mut ours, &mut tag).expect("sealed");
                    b.seal(&nonce, &aad, &mut theirs, &mut their_tag).expect("sealed");
                    assert_eq!((&ours, &tag), (&theirs, &their_tag), "{row:?} {len}");
                    a.open(&nonce, &aad, &mut theirs, &tag).expect("opened");
                    b.open(&nonce, &aad, &mut ours, &tag).expect("opened");
                } else {
                    let (a, b) = (row.cipher_key(&key).expect("key"), twin.cipher_key(&key).expect("key"));
                    a.encrypt(&nonce, &mut ours).expect("encrypted");
                    b.encrypt(&nonce, &mut theirs).expect("encrypted");
                    assert_eq!(ours, theirs, "{row:?} {len}");
                    a.decrypt(&nonce, &mut theirs).expect("decrypted");
                    b.decrypt(&nonce, &mut ours).expect("decrypted");
                }
                assert_eq!((&ours, &theirs), (&plain, &plain), "{row:?} {len}");
            }
        }
        compared.push(format!("encr {}", row.name()));
    }
    for row in one.integ.iter() {
        let Some(twin) = other.integ(row.id()) else { continue };
        let key = random(row.key_len());
        let (a, b) = (row.mac_key(&key).expect("key"), twin.mac_key(&key).expect("key"));
        for len in LENGTHS {
            let (message, iv) = (random(len), random(row.iv_len()));
            let (head, tail) = message.split_at(len / 3);
            let (mut ours, mut theirs) = (vec![0; row.icv_len()], vec![0; twin.icv_len()]);
            a.sign_with_iv(&iv, &[head, tail], &mut ours).expect("signed");
            b.sign_with_iv(&iv, &[&message], &mut theirs).expect("signed");
            assert_eq!(ours, theirs, "{row:?} {len}");
            assert_eq!((a.verify(&[&message], &ours), b.verify(&[head, tail], &ours)), (Ok(()), Ok(())));
        }
        compared.push(format!("integ {}", row.name()));
    }
    for row in one.prf.iter() {
        let Some(twin) = other.prf(row.id()) else { continue };
        for key_len in [0, 1, 10, 16, 18, 20, 32, 64, 65, 128, 129, 200] {
            let key = random(key_len);
            let (a, b) = (row.prf_key(&key).expect("key"), twin.prf_key(&key).expect("key"));
            for len in LENGTHS {
                let message = random(len);
                let (head, tail) = message.split_at(len / 3);
                let (mut ours, mut theirs) = (vec![0; row.output_len()], vec![0; twin.output_len()]);
                a.compute(&[head, tail], &mut ours).expect("computed");
                b.compute(&[&message], &mut theirs).expect("computed");
                assert_eq!(ours, theirs, "{row:?} {key_len} {len}");
            }
        }
        compared.push(format!("prf {}", row.name()));
    }
    for row in one.ke.iter() {
        let Some(twin) = other.ke(row.id()) else { continue };
        for (initiator, responder) in [(*row, twin), (twin, *row)] {
            let active = initiator.start(&mut rng).expect("started");
            assert_eq!(active.public().len(), responder.initiator_len(), "{row:?}");
            let (answer, theirs) = responder.respond(active.public(), &mut rng).expect("answered");
            assert_eq!(answer.len(), initiator.responder_len(), "{row:?}");
            assert_eq!(active.complete(&answer), Ok(theirs), "{row:?}");
            for wrong in [&answer[1..], &[]] {
                assert!(matches!(active.complete(wrong), Err(CryptoError::PeerPublic(_))), "{row:?}");
            }
        }
        compared.push(format!("ke {}", row.name()));
    }
    compared
}
