//! What every row of a provider has to keep: lengths, refusals, determinism, silence about keys.
#![cfg(feature = "rustcrypto")]

mod common;

use common::{Constant, random, rng};
use ipsec_crypto::{
    CryptoError, CryptoProvider, IvRule, KeyLimits, PeerPublicError, Secret, Status, rustcrypto,
};
use ipsec_wire::ike::{EncrId, KeId, PrfId};

/// Only under the feature that brings such rows.
fn retired(status: Status) -> bool {
    status < Status::May && !cfg!(feature = "legacy")
}

fn provider() -> CryptoProvider {
    rustcrypto::provider()
}

#[test]
fn encryption_rows_take_their_lengths_alone() {
    for row in provider().encr.iter() {
        assert!(!retired(row.status()));
        assert!(row.deterministic());
        for len in 0..=72 {
            let key = vec![1; len];
            let takes = row.key_lengths().contains(&len);
            let wrong_length = Some(CryptoError::KeyLength { actual: len });
            if row.is_aead() {
                assert_eq!(row.aead_key(&key).err(), wrong_length.filter(|_| !takes), "{row:?} {len}");
                assert_eq!(row.cipher_key(&key).err(), Some(CryptoError::Unsupported));
            } else {
                assert_eq!(row.cipher_key(&key).err(), wrong_length.filter(|_| !takes), "{row:?} {len}");
                assert_eq!(row.aead_key(&key).err(), Some(CryptoError::Unsupported));
            }
        }
    }
}

#[test]
fn combined_modes_open_what_they_seal_at_every_length() {
    let mut rng = rng(1);
    for row in provider().encr.iter().filter(|row| row.is_aead()) {
        assert_eq!(row.iv_rule() == IvRule::Implicit, row.iv_len() == 0);
        let nonce_len = row.nonce_len();
        for &key_len in row.key_lengths() {
            let key = row.aead_key(&random(&mut rng, key_len)).unwrap();
            for len in (0..300).chain([1400, 8900]) {
                let (nonce, aad) = (random(&mut rng, nonce_len), random(&mut rng, len % 13));
                let plain = random(&mut rng, len);
                let (mut data, mut tag) = (plain.clone(), vec![0; row.tag_len()]);
                key.seal(&nonce, &aad, &mut data, &mut tag).unwrap();
                let encrypts = row.id() != EncrId::NULL_AUTH_AES_GMAC;
                assert!(len < 16 || (data != plain) == encrypts);
                key.open(&nonce, &aad, &mut data, &tag).unwrap();
                assert_eq!(data, plain);
            }
        }
    }
}

#[test]
fn combined_modes_refuse_other_nonces_and_tags() {
    for row in provider().encr.iter().filter(|row| row.is_aead()) {
        let key = row.aead_key(&vec![1; row.key_lengths()[0]]).unwrap();
        let (nonce, tag_len) = (vec![0; row.nonce_len()], row.tag_len());
        for len in (0..40).filter(|&len| len != nonce.len()) {
            let wrong = Err(CryptoError::NonceLength { actual: len, expected: nonce.len() });
            assert_eq!(key.seal(&vec![0; len], &[], &mut [0; 8], &mut vec![0; tag_len]), wrong);
            assert_eq!(key.open(&vec![0; len], &[], &mut [0; 8], &vec![0; tag_len]), wrong);
        }
        for len in (0..40).filter(|&len| len != tag_len) {
            let wrong = Err(CryptoError::BufferLength { actual: len });
            assert_eq!(key.seal(&nonce, &[], &mut [0; 8], &mut vec![0; len]), wrong);
            assert_eq!(key.open(&nonce, &[], &mut [0; 8], &vec![0; len]), wrong);
        }
    }
}

#[test]
fn plain_ciphers_work_on_whole_blocks_alone() {
    let mut rng = rng(2);
    for row in provider().encr.iter().filter(|row| !row.is_aead()) {
        let (block, iv_len) = (row.block_len(), row.nonce_len());
        for &key_len in row.key_lengths() {
            let key = row.cipher_key(&random(&mut rng, key_len)).unwrap();
            let iv = random(&mut rng, iv_len);
            for len in 0..20 * block {
                let plain = random(&mut rng, len);
                let mut data = plain.clone();
                if len % block == 0 {
                    key.encrypt(&iv, &mut data).unwrap();
                    // A few octets may come out as they went in.
                    let encrypts = row.id() != EncrId::NULL;
                    assert!(len < 8 || (data != plain) == encrypts);
                    key.decrypt(&iv, &mut data).unwrap();
                } else {
                    let wrong = Err(CryptoError::BufferLength { actual: len });
                    assert_eq!(key.encrypt(&iv, &mut data), wrong);
                    assert_eq!(key.decrypt(&iv, &mut data), wrong);
                }
                assert_eq!(data, plain);
            }
            for len in (0..40).filter(|&len| len != iv_len) {
                let wrong = Err(CryptoError::NonceLength { actual: len, expected: iv_len });
                assert_eq!(key.encrypt(&vec![0; len], &mut vec![0; block]), wrong);
                assert_eq!(key.decrypt(&vec![0; len], &mut vec![0; block]), wrong);
            }
        }
    }
}

#[test]
fn integrity_rows_take_one_key_length_and_one_icv_length() {
    for row in provider().integ.iter() {
        assert!(!retired(row.status()) && row.deterministic());
        for len in 0..=130 {
            let refused = Some(CryptoError::KeyLength { actual: len });
            assert_eq!(row.mac_key(&vec![1; len]).err(), refused.filter(|_| len != row.key_len()));
        }
        let key = row.mac_key(&vec![1; row.key_len()]).unwrap();
        let mut whole = vec![0; row.icv_len()];
        if row.iv_len() > 0 {
            assert_eq!(key.sign(&[b"octets"], &mut whole), Err(CryptoError::Unsupported));
            for len in (0..20).filter(|&len| len != row.iv_len()) {
                let wrong = Err(CryptoError::NonceLength { actual: len, expected: row.iv_len() });
                assert_eq!(key.sign_with_iv(&vec![0; len], &[b"octets"], &mut whole), wrong);
            }
        } else {
            let refused = Err(CryptoError::Unsupported);
            assert_eq!(key.sign_with_iv(&[0; 8], &[b"octets"], &mut whole), refused);
        }
        let iv = vec![3; row.iv_len()];
        key.sign_with_iv(&iv, &[b"octets"], &mut whole).unwrap();
        for len in 0..=row.icv_len() + 40 {
            let mut icv = vec![0; len];
            let wrong = Err(CryptoError::BufferLength { actual: len });
            // An ICV may be cut short where it is nothing but a MAC.
            if len == row.icv_len() || len < row.icv_len() && iv.is_empty() {
                key.sign_with_iv(&iv, &[b"oct", b"ets"], &mut icv).unwrap();
                assert_eq!(icv, whole[..len]);
            } else {
                assert_eq!(key.sign_with_iv(&iv, &[b"octets"], &mut icv), wrong);
            }
            let verified = key.verify(&[b"octets"], &icv);
            assert_eq!(verified, if len == row.icv_len() { Ok(()) } else { wrong }, "{row:?} {len}");
        }
        assert_eq!(key.verify(&[b"octetz"], &whole), Err(CryptoError::Mismatch));
        assert_eq!(key.verify(&[], &whole), Err(CryptoError::Mismatch));
    }
}

#[test]
fn prf_rows_take_any_key_and_give_whole_outputs() {
    for row in provider().prf.iter() {
        assert!(!retired(row.status()) && row.deterministic());
        // RFC 7296 §2.14 names the two.
        assert_eq!(row.variable_key(), !matches!(row.id(), PrfId::AES128_XCBC | PrfId::AES128_CMAC));
        assert!(row.min_nonce_len() >= 16 && row.min_nonce_len() * 2 >= row.key_len());
        for key_len in [0, 1, 31, 64, 65, 128, 129, 1000] {
            let key = row.prf_key(&vec![1; key_len]).unwrap();
            for len in (0..=80).filter(|&len| len != row.output_len()) {
                let wrong = Err(CryptoError::BufferLength { actual: len });
                assert_eq!(key.compute(&[b"seed"], &mut vec![0; len]), wrong);
                assert_eq!(key.verify(&[b"seed"], &vec![0; len]), wrong);
            }
            let mut out = vec![0; row.output_len()];
            key.compute(&[b"seed"], &mut out).unwrap();
            assert_eq!(key.verify(&[b"se", b"ed"], &out), Ok(()));
            out[0] ^= 0x80;
            assert_eq!(key.verify(&[b"seed"], &out), Err(CryptoError::Mismatch));
        }
    }
}

#[test]
fn key_exchanges_agree_and_follow_the_generator() {
    for row in provider().ke.iter() {
        assert!(!retired(row.status()) && row.deterministic());
        // The large groups are slow.
        for seed in 0..if row.initiator_len() > 300 { 2 } else { 8 } {
            let active = row.start(&mut rng(seed)).unwrap();
            assert_eq!(active.public().len(), row.initiator_len());
            let (answer, theirs) = row.respond(active.public(), &mut rng(seed + 100)).unwrap();
            assert_eq!(answer.len(), row.responder_len());
            let ours = active.complete(&answer).unwrap();
            assert_eq!(ours, theirs);
            assert!(ours.expose().iter().any(|&octet| octet != 0));

            let again = row.start(&mut rng(seed)).unwrap();
            assert_eq!(again.public(), active.public());
            let (same_answer, _) = row.respond(active.public(), &mut rng(seed + 100)).unwrap();
            assert_eq!(same_answer, answer);
            assert_ne!(row.start(&mut rng(seed + 1000)).unwrap().public(), active.public());

            // RFC 7296 §2.4: the exponent may have to be tried on a second answer.
            let (second, secret) = row.respond(active.public(), &mut rng(seed + 200)).unwrap();
            assert_eq!(active.complete(&second).unwrap(), secret);
            assert_ne!(secret, ours);

            let resumed = row.resume(&active.export().unwrap()).unwrap();
            assert_eq!(resumed.public(), active.public());
            assert_eq!(resumed.complete(&answer).unwrap(), ours);
        }
    }
}

#[test]
fn key_exchanges_refuse_other_lengths() {
    for row in provider().ke.iter() {
        let active = row.start(&mut rng(1)).unwrap();
        for len in [0, 1, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1000] {
            if len != row.responder_len() {
                let expected = row.responder_len();
                let wrong = CryptoError::PeerPublic(PeerPublicError::Length { actual: len, expected });
                assert_eq!(active.complete(&vec![9; len]), Err(wrong), "{row:?}");
            }
            if len != row.initiator_len() {
                let expected = row.initiator_len();
                let wrong = CryptoError::PeerPublic(PeerPublicError::Length { actual: len, expected });
                assert_eq!(row.respond(&vec![9; len], &mut rng(1)).unwrap_err(), wrong, "{row:?}");
            }
            let private_len = active.export().unwrap().len();
            if len != private_len {
                let resumed = row.resume(&Secret::zeroed(len));
                assert_eq!(resumed.err(), Some(CryptoError::KeyLength { actual: len }), "{row:?}");
            }
        }
    }
}

#[test]
fn a_broken_generator_gives_no_weak_value_and_no_endless_loop() {
    for row in provider().ke.iter() {
        for octet in [0, 0xff] {
            let Ok(active) = row.start(&mut Constant(octet)) else {
                assert_eq!(row.start(&mut Constant(octet)).unwrap_err(), CryptoError::Randomness);
                let ecp = [KeId::ECP_256, KeId::ECP_384, KeId::ECP_521];
                let brainpool = [KeId::BRAINPOOL_P256R1, KeId::BRAINPOOL_P384R1];
                assert!(ecp.contains(&row.id()) || brainpool.contains(&row.id()), "others take any octets");
                continue;
            };
            // What is sent must at least be a value that the other side takes.
            assert!(row.respond(active.public(), &mut rng(3)).is_ok(), "{row:?}");
        }
    }
}

/// 2^36 blocks of 128 bits, 2^20 of 64, and nothing of its own where no such bound comes into sight.
#[test]
fn keys_have_their_limits() {
    assert_eq!(KeyLimits::BLOCK_128, KeyLimits { packets: u64::MAX, octets: 16 << 36 });
    assert_eq!(KeyLimits::BLOCK_64, KeyLimits { packets: u64::MAX, octets: 8 << 20 });
    assert_eq!(KeyLimits::NONE, KeyLimits { packets: u64::MAX, octets: u64::MAX });
    for row in provider().encr.iter() {
        let expected = match row.id() {
            EncrId::DES | EncrId::TRIPLE_DES => KeyLimits::BLOCK_64,
            EncrId::CHACHA20_POLY1305 | EncrId::CHACHA20_POLY1305_IIV | EncrId::NULL => KeyLimits::NONE,
            _ => KeyLimits::BLOCK_128,
        };
        assert_eq!(row.limits(), expected, "{row:?}");
    }
}

/// No bit of a private value is the same in all of them, but for those that the order of P-521 leaves no room for and those
/// that curve448 fixes (RFC 7748 §5).
#[test]
fn private_values_of_curves_are_drawn_whole() {
    // The values of MODP groups are octets of the generator, and making their public values takes long.
    for row in provider().ke.iter().filter(|row| !row.name().starts_with("modp")) {
        if row.name().starts_with("ml-kem") {
            continue;
        }
        let private = |seed| row.start(&mut rng(seed)).unwrap().export().unwrap();
        let mut ever = vec![0; private(0).len()];
        let mut always = vec![0xff; ever.len()];
        for seed in 0..64 {
            for ((ever, always), octet) in ever.iter_mut().zip(&mut always).zip(private(seed).expose()) {
                *ever |= octet;
                *always &= octet;
            }
        }
        let (mut whole, mut nothing) = (vec![0xff; ever.len()], vec![0; ever.len()]);
        match row.id() {
            KeId::ECP_521 => whole[0] = 1,
            KeId::CURVE448 => (whole[0], nothing[55]) = (0xfc, 0x80),
            _ => {}
        }
        assert_eq!((ever, always), (whole, nothing), "{row:?}");
    }
}

/// The recipient tests of RFC 6989, RFC 8031 and FIPS 203 of every row, in both roles.
#[test]
fn key_exchanges_refuse_values_that_are_none() {
    let with_last = |len: usize, last: u8| {
        let mut octets = vec![0; len];
        octets[len - 1] = last;
        octets
    };
    for row in provider().ke.iter() {
        let (to_initiator, to_responder) = (row.responder_len(), row.initiator_len());
        let active = row.start(&mut rng(1)).unwrap();
        let good = row.start(&mut rng(2)).unwrap().public().to_vec();
        assert!(row.respond(&good, &mut rng(3)).is_ok());
        let (bad, why) = match row.name() {
            // RFC 8031 §3.2 by RFC 7748 §6: 0 and 1 are of small order, and the result is all zeros.
            "curve25519" | "curve448" => {
                let one = with_last(to_initiator, 1).into_iter().rev().collect();
                (vec![vec![0; to_initiator], one], PeerPublicError::SmallOrder)
            }
            // FIPS 203 §7.2: coefficients at or above the modulus.
            name if name.starts_with("ml-kem") => (vec![vec![0xff; to_responder]], PeerPublicError::Encoding),
            // RFC 6989 §2.1.
            name if name.starts_with("modp") => {
                let bad = vec![vec![0; to_initiator], with_last(to_initiator, 1), vec![0xff; to_initiator]];
                (bad, PeerPublicError::Range)
            }
            // RFC 6989 §2.3.
            _ => {
                let half = to_initiator / 2;
                let mut off_curve = good.clone();
                off_curve[to_initiator - 1] ^= 1;
                let swapped = [&good[half..], &good[..half]].concat();
                let bad = vec![off_curve, swapped, vec![0; to_initiator], vec![0xff; to_initiator]];
                (bad, PeerPublicError::NotOnCurve)
            }
        };
        for bad in bad {
            let refused = CryptoError::PeerPublic(why);
            assert_eq!(row.respond(&bad, &mut rng(1)).unwrap_err(), refused, "{row:?}");
            // A ciphertext of the right length is never refused.
            if why != PeerPublicError::Encoding {
                assert_eq!(active.complete(&bad), Err(refused), "{row:?}");
            }
        }
    }
}

#[test]
fn the_first_row_with_an_id_wins() {
    let both = provider().or(&provider());
    for row in provider().encr.iter() {
        let found = both.encr(row.id()).unwrap();
        assert_eq!(found.name(), row.name());
    }
    assert_eq!(both.ke.len(), 2 * provider().ke.len());
}

/// Every way in which octets are printed: hex in both cases with and without separators, and decimal lists.
fn find_octets(text: &str, secret: &[u8]) -> Option<String> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let lower = plain.to_lowercase();
    secret.windows(3).find_map(|window| {
        let each = |format: &dyn Fn(u8) -> String, separator: &str| {
            window.iter().map(|&octet| format(octet)).collect::<Vec<_>>().join(separator)
        };
        let hex = |octet: u8| format!("{octet:02x}");
        let forms = [
            each(&hex, ""),
            each(&hex, ":"),
            each(&hex, ","),
            each(&|octet| format!("0x{octet:02x}"), ","),
            each(&|octet| octet.to_string(), ","),
        ];
        forms.into_iter().find(|form| lower.contains(form))
    })
}

#[test]
fn debug_shows_no_octet_of_a_key() {
    // Proves that the search finds what it looks for.
    let known: Vec<u8> = (0..32u8).map(|i| 0xa1u8.wrapping_add(i.wrapping_mul(7))).collect();
    assert!(find_octets(&format!("{known:?}"), &known).is_some());
    assert!(find_octets(&format!("{known:#?}"), &known).is_some());
    assert!(find_octets(&format!("{known:02X?}"), &known).is_some());
    assert!(find_octets(&hex::encode(&known), &known).is_some());

    let provider = provider();
    let mut formatted = 0;
    let mut check = |what: &dyn core::fmt::Debug, secret: &[u8]| {
        for text in [format!("{what:?}"), format!("{what:#?}"), format!("{what:x?}")] {
            assert_eq!(find_octets(&text, secret), None, "{text}");
            assert!(text.len() < 2000, "a row's print has no tables in it");
        }
        formatted += 1;
    };
    let key =
        |len: usize| -> Vec<u8> { (0..len).map(|i| (i as u8).wrapping_mul(7).wrapping_add(0xa1)).collect() };
    for row in provider.encr.iter() {
        check(row, &[]);
        for &len in row.key_lengths() {
            match row.aead_key(&key(len)) {
                Ok(keyed) => check(&keyed, &key(len)),
                Err(_) => check(&row.cipher_key(&key(len)).unwrap(), &key(len)),
            }
        }
        check(&row.aead_key(&key(5)).unwrap_err(), &key(5));
    }
    for row in provider.integ.iter() {
        check(row, &[]);
        check(&row.mac_key(&key(row.key_len())).unwrap(), &key(row.key_len()));
    }
    for row in provider.prf.iter() {
        check(row, &[]);
        check(&row.prf_key(&key(40)).unwrap(), &key(40));
    }
    for row in provider.ke.iter() {
        check(row, &[]);
        let active = row.start(&mut rng(7)).unwrap();
        let private = active.export().unwrap();
        let (_, shared) = row.respond(active.public(), &mut rng(8)).unwrap();
        check(&active, private.expose());
        check(&private, private.expose());
        check(&shared, shared.expose());
    }
    check(&provider, &[]);
    check(&Secret::new(&known), &known);
    check(&Err::<(), _>(CryptoError::PeerPublic(PeerPublicError::Range)), &known);
    assert!(formatted > 25, "{formatted}");
}

/// RFC 6989 §2.2: p-1 is refused by its range, another value outside the subgroup of order q by its power.
#[cfg(feature = "legacy")]
#[test]
fn groups_with_a_subgroup_refuse_values_outside_it() {
    for id in [KeId::MODP_1024_160, KeId::MODP_2048_224, KeId::MODP_2048_256] {
        let row = provider().ke(id).unwrap();
        let active = row.start(&mut rng(1)).unwrap();
        let mut outside = vec![0; row.responder_len()];
        for small in [2, 3, 5] {
            *outside.last_mut().unwrap() = small;
            let refused = CryptoError::PeerPublic(PeerPublicError::Subgroup);
            assert_eq!(active.complete(&outside), Err(refused), "{row:?} {small}");
        }
    }
}
