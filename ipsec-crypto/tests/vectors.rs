//! Vectors of the RFCs and of NIST, against every row of the portable provider.
#![cfg(feature = "rustcrypto")]

mod common;

use common::{json, list, number, octets, rng, text, unhex};
use ipsec_crypto::{
    CryptoError, CryptoProvider, PeerPublicError, PrfAlgorithm, Secret, prf, prf_plus, rustcrypto,
};
use ipsec_wire::ike::{EncrId, IntegId, KeId, PrfId};
use sha2::{Digest, Sha256};

fn provider() -> CryptoProvider {
    rustcrypto::provider()
}

fn prf_by_name(name: &str) -> &'static dyn PrfAlgorithm {
    let provider = provider();
    provider.prf.iter().copied().find(|row| row.name() == name).expect("row")
}

/// Test cases 4, 10 and 16 of the GCM specification: a 60-octet plaintext with 20 octets of AAD.
#[test]
fn aes_gcm_of_the_specification() {
    let nonce = unhex("cafebabefacedbaddecaf888");
    let aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plain = unhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let cases = [
        (
            "feffe9928665731c6d6a8f9467308308",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            "feffe9928665731c6d6a8f9467308308feffe9928665731c",
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c
             7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
            "2519498e80f1478f37ba55bd6d27618c",
        ),
        (
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ];
    let row = provider().encr(EncrId::AES_GCM_16).unwrap();
    for (key, cipher, expected) in cases {
        let key = row.aead_key(&unhex(key)).unwrap();
        let mut data = plain.clone();
        let mut tag = [0; 16];
        key.seal(&nonce, &aad, &mut data, &mut tag).unwrap();
        assert_eq!(data, unhex(cipher));
        assert_eq!(tag.as_slice(), unhex(expected));
        key.open(&nonce, &aad, &mut data, &tag).unwrap();
        assert_eq!(data, plain);
    }
}

#[test]
fn aes_gcm_refuses_every_flipped_bit() {
    let row = provider().encr(EncrId::AES_GCM_16).unwrap();
    let key = row.aead_key(&[7; 32]).unwrap();
    let (nonce, aad, plain) = ([1; 12], [2; 8], [3; 33]);
    let (mut cipher, mut tag) = (plain, [0; 16]);
    key.seal(&nonce, &aad, &mut cipher, &mut tag).unwrap();
    let open =
        |nonce: &[u8], aad: &[u8], data: &[u8], tag: &[u8]| key.open(nonce, aad, &mut data.to_vec(), tag);
    assert_eq!(open(&nonce, &aad, &cipher, &tag), Ok(()));
    let flips = |octets: &[u8]| -> Vec<Vec<u8>> {
        let flip = |bit: usize| {
            let mut octets = octets.to_vec();
            octets[bit / 8] ^= 1 << (bit % 8);
            octets
        };
        (0..octets.len() * 8).map(flip).collect()
    };
    let refused = Err(CryptoError::Mismatch);
    assert!(flips(&nonce).iter().all(|nonce| open(nonce, &aad, &cipher, &tag) == refused));
    assert!(flips(&aad).iter().all(|aad| open(&nonce, aad, &cipher, &tag) == refused));
    assert!(flips(&cipher).iter().all(|cipher| open(&nonce, &aad, cipher, &tag) == refused));
    assert!(flips(&tag).iter().all(|tag| open(&nonce, &aad, &cipher, tag) == refused));
    assert_eq!(open(&nonce, &aad, &cipher[1..], &tag), refused);
}

/// RFC 3602 §4, cases 1 to 4, and SP 800-38A F.2.3 and F.2.5 for the longer keys.
#[test]
fn aes_cbc_of_rfc_3602_and_sp_800_38a() {
    let sp_800_38a_plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
                            30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    let cases: [(&str, &str, Vec<u8>, &str); 6] = [
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            b"Single block msg".to_vec(),
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            (0..32).collect(),
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
        (
            "6c3ea0477630ce21a2ce334aa746c2cd",
            "c782dc4c098c66cbd9cd27d825682c81",
            b"This is a 48-byte message (exactly 3 AES blocks)".to_vec(),
            "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5
             021c19216bad525c8579695d83ba2684",
        ),
        (
            "56e47a38c5598974bc46903dba290349",
            "8ce82eefbea0da3c44699ed7db51b7d9",
            (0xa0..0xe0).collect(),
            "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e
             35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
        ),
        (
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "000102030405060708090a0b0c0d0e0f",
            unhex(sp_800_38a_plain),
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a
             571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
        ),
        (
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "000102030405060708090a0b0c0d0e0f",
            unhex(sp_800_38a_plain),
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d
             39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
    ];
    let row = provider().encr(EncrId::AES_CBC).unwrap();
    for (key, iv, plain, cipher) in cases {
        let key = row.cipher_key(&unhex(key)).unwrap();
        let mut data = plain.clone();
        key.encrypt(&unhex(iv), &mut data).unwrap();
        assert_eq!(data, unhex(cipher));
        key.decrypt(&unhex(iv), &mut data).unwrap();
        assert_eq!(data, plain);
    }
}

/// RFC 4868 §2.7: the whole output as a PRF, half of it as an ICV.
#[test]
fn hmac_of_rfc_4868() {
    let provider = provider();
    let vectors = json(include_str!("vectors/hmac_rfc4868.json"));
    let (mut prfs, mut icvs) = (0, 0);
    for case in vectors.as_array().unwrap() {
        let (key, data, output) = (octets(case, "key"), octets(case, "data"), octets(case, "output"));
        let algorithm = text(case, "algorithm");
        let half = data.len() / 2;
        if let Some(hash) = algorithm.strip_prefix("PRF-HMAC-SHA-") {
            let row = prf_by_name(&format!("hmac-sha2-{hash}"));
            let keyed = row.prf_key(&key).unwrap();
            assert_eq!(prf(row, &key, &[&data]).unwrap().expose(), output);
            assert_eq!(prf(row, &key, &[&data[..half], &[], &data[half..]]).unwrap().expose(), output);
            assert_eq!(keyed.verify(&[&data], &output), Ok(()));
            prfs += 1;
        } else {
            let id = match algorithm {
                "HMAC-SHA-256-128" => IntegId::HMAC_SHA2_256_128,
                "HMAC-SHA-384-192" => IntegId::HMAC_SHA2_384_192,
                "HMAC-SHA-512-256" => IntegId::HMAC_SHA2_512_256,
                other => panic!("{other}"),
            };
            let keyed = provider.integ(id).unwrap().mac_key(&key).unwrap();
            let mut icv = vec![0; output.len()];
            keyed.sign(&[&data[..half], &data[half..]], &mut icv).unwrap();
            assert_eq!(icv, output);
            assert_eq!(keyed.verify(&[&data], &output), Ok(()));
            icv[0] ^= 1;
            assert_eq!(keyed.verify(&[&data], &icv), Err(CryptoError::Mismatch));
            icvs += 1;
        }
    }
    assert_eq!((prfs, icvs), (30, 12));
}

/// `prf+` against values computed elsewhere from the formula of RFC 7296 §2.13.
#[test]
fn prf_plus_of_the_formula() {
    let vectors = json(include_str!("vectors/prf_plus.json"));
    let cases = list(&vectors, "tests");
    for case in cases {
        let row = prf_by_name(text(case, "algorithm"));
        let (key, seed, len) = (octets(case, "key"), octets(case, "seed"), number(case, "length"));
        let whole = prf_plus(row, &key, &[&seed], len).unwrap();
        assert_eq!(whole.len(), len);
        match case.get("output") {
            Some(_) => assert_eq!(whole.expose(), octets(case, "output")),
            None => assert_eq!(
                Sha256::digest(whole.expose()).as_slice(),
                octets(case, "sha256_of_output"),
                "255 outputs"
            ),
        }
        let cut = seed.len() / 3;
        let parts = prf_plus(row, &key, &[&seed[..cut], &[], &seed[cut..]], len).unwrap();
        assert_eq!(parts, whole, "the seed in parts");
        assert!(prf_plus(row, &key, &[&seed], 255 * row.output_len() + 1).is_err(), "RFC 7296 §2.13's end");
    }
    assert_eq!(cases.len(), 15);
}

/// RFC 7748 §5.2: two single multiplications, and one and a thousand in a row.
#[test]
fn x25519_of_rfc_7748_section_5_2() {
    let row = provider().ke(KeId::CURVE25519).unwrap();
    let multiply = |scalar: &[u8], u: &[u8]| {
        row.resume(&Secret::new(scalar)).unwrap().complete(u).unwrap().expose().to_vec()
    };
    let cases = [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ];
    for (scalar, u, expected) in cases {
        assert_eq!(multiply(&unhex(scalar), &unhex(u)), unhex(expected));
    }
    let mut k = unhex("0900000000000000000000000000000000000000000000000000000000000000");
    let mut u = k.clone();
    for round in 1..=1000 {
        let next = multiply(&k, &u);
        u = core::mem::replace(&mut k, next);
        if round == 1 {
            assert_eq!(k, unhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(k, unhex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

/// Both sides from published private values, and what is sent between them.
fn agree(id: KeId, private: [&str; 2], public: [&str; 2], shared: &str) {
    let row = provider().ke(id).unwrap();
    let sides = private.map(|private| row.resume(&Secret::new(&unhex(private))).unwrap());
    for (mine, expected) in sides.iter().zip(public) {
        assert_eq!(mine.public(), unhex(expected));
        assert_eq!(mine.public().len(), row.initiator_len());
    }
    assert_eq!(sides[0].complete(sides[1].public()).unwrap().expose(), unhex(shared));
    assert_eq!(sides[1].complete(sides[0].public()).unwrap().expose(), unhex(shared));
}

#[test]
fn x25519_of_rfc_7748_section_6_1() {
    agree(
        KeId::CURVE25519,
        [
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        ],
        [
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        ],
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    );
}

#[test]
fn ecp_256_of_rfc_5903_section_8_1() {
    agree(
        KeId::ECP_256,
        [
            "C88F01F5 10D9AC3F 70A292DA A2316DE5 44E9AAB8 AFE84049 C62A9C57 862D1433",
            "C6EF9C5D 78AE012A 011164AC B397CE20 88685D8F 06BF9BE0 B283AB46 476BEE53",
        ],
        [
            "DAD0B653 94221CF9 B051E1FE CA5787D0 98DFE637 FC90B9EF 945D0C37 72581180
             5271A046 1CDB8252 D61F1C45 6FA3E59A B1F45B33 ACCF5F58 389E0577 B8990BB3",
            "D12DFB52 89C8D4F8 1208B702 70398C34 2296970A 0BCCB74C 736FC755 4494BF63
             56FBF3CA 366CC23E 8157854C 13C58D6A AC23F046 ADA30F83 53E74F33 039872AB",
        ],
        "D6840F6B 42F6EDAF D13116E0 E1256520 2FEF8E9E CE7DCE03 812464D0 4B9442DE",
    );
}

#[test]
fn modp_2048_of_plain_exponentiation() {
    let vectors = json(include_str!("vectors/modp2048_pow.json"));
    let cases = list(&vectors, "tests");
    for case in cases {
        agree(
            KeId::MODP_2048,
            [text(case, "exponent_i"), text(case, "exponent_r")],
            [text(case, "public_i"), text(case, "public_r")],
            text(case, "shared"),
        );
    }
    let leading_zero = |field: &str| cases.iter().filter(|case| octets(case, field)[0] == 0).count();
    assert!(leading_zero("shared") >= 2, "padding of the secret is exercised");
    assert!(leading_zero("public_i") >= 2, "padding of the KE data is exercised");
    assert!(cases.len() >= 10);
}

/// RFC 6989 §2.1: 0, 1, p-1 and everything from p on are refused; 2 and p-2 are not.
#[test]
fn modp_2048_refuses_values_out_of_range() {
    let prime = octets(&json(include_str!("vectors/modp2048_pow.json")), "prime");
    let row = provider().ke(KeId::MODP_2048).unwrap();
    let small = |value: u8| {
        let mut octets = vec![0; 256];
        octets[255] = value;
        octets
    };
    // The prime ends in ff, so that the last octet alone moves by two either way.
    let near = |difference: i8| {
        let mut octets = prime.clone();
        octets[255] = octets[255].wrapping_add_signed(difference);
        if difference > 0 {
            for octet in octets.iter_mut().rev().skip(1) {
                let (sum, carry) = octet.overflowing_add(1);
                *octet = sum;
                if !carry {
                    break;
                }
            }
        }
        octets
    };
    let active = row.start(&mut rng(1)).unwrap();
    let range = CryptoError::PeerPublic(PeerPublicError::Range);
    for bad in [small(0), small(1), near(-1), near(0), near(1), vec![0xff; 256]] {
        assert_eq!(active.complete(&bad), Err(range));
        assert_eq!(row.respond(&bad, &mut rng(2)).unwrap_err(), range);
    }
    for good in [small(2), near(-2)] {
        assert_eq!(active.complete(&good).unwrap().len(), 256);
        assert_eq!(row.respond(&good, &mut rng(2)).unwrap().0.len(), 256);
    }
}

#[test]
fn modp_2048_takes_its_own_length_alone() {
    let row = provider().ke(KeId::MODP_2048).unwrap();
    let active = row.start(&mut rng(1)).unwrap();
    for len in [0, 1, 255, 257, 512] {
        let expected = CryptoError::PeerPublic(PeerPublicError::Length { actual: len, expected: 256 });
        assert_eq!(active.complete(&vec![2; len]), Err(expected));
        assert_eq!(row.respond(&vec![2; len], &mut rng(2)).unwrap_err(), expected);
    }
}

#[test]
fn prf_ids_and_lengths() {
    let expected = [
        (PrfId::HMAC_SHA2_256, "hmac-sha2-256", 32),
        (PrfId::HMAC_SHA2_384, "hmac-sha2-384", 48),
        (PrfId::HMAC_SHA2_512, "hmac-sha2-512", 64),
    ];
    for (id, name, len) in expected {
        let row = provider().prf(id).unwrap();
        assert_eq!((row.name(), row.key_len(), row.output_len()), (name, len, len));
        assert!(row.variable_key());
    }
}
