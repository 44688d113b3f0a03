//! Key exchange methods. Private values go in through [`KeyExchangeMethod::resume`]; a row that keeps its private values
//! to itself is compared with another provider's instead ([`super::cross_check`]).

use ipsec_crypto::{ActiveKeyExchange, CryptoError, KeyExchangeMethod, PeerPublicError, Secret};
use ipsec_wire::ike::KeId;

use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

use super::files::{all_counted, cases, octets, own, verdict, wycheproof};
use super::{Counts, Verdict};

pub(super) fn key_exchange(row: &dyn KeyExchangeMethod) -> Counts {
    let mut counts = Counts::default();
    match row.id() {
        KeId::ML_KEM_512 => drawn(row, "mlkem_512_encaps", &mut counts),
        KeId::ML_KEM_768 => drawn(row, "mlkem_768_encaps", &mut counts),
        KeId::ML_KEM_1024 => drawn(row, "mlkem_1024_encaps", &mut counts),
        _ => {}
    }
    if row.resume(&Secret::zeroed(1)).err() == Some(CryptoError::Unsupported) {
        return counts;
    }
    for (verdict, case) in own("ke", row.id().0) {
        let private = resumed(row, &octets(&case, "private"));
        assert_eq!(private.public(), octets(&case, "public"), "{row:?}: {case}");
        let shared = private.complete(&octets(&case, "peer")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(shared.expose(), octets(&case, "shared"), "{row:?}: {case}");
        counts.add(verdict);
    }
    match row.id() {
        KeId::CURVE25519 => montgomery(row, "x25519", &mut counts),
        KeId::CURVE448 => montgomery(row, "x448", &mut counts),
        KeId::BRAINPOOL_P256R1 => points_in_spki(row, "ecdh_brainpoolP256r1", &mut counts),
        KeId::BRAINPOOL_P384R1 => points_in_spki(row, "ecdh_brainpoolP384r1", &mut counts),
        KeId::ECP_256 => points(row, "ecdh_secp256r1_ecpoint", &mut counts),
        KeId::ECP_384 => points(row, "ecdh_secp384r1_ecpoint", &mut counts),
        KeId::ECP_521 => points(row, "ecdh_secp521r1_ecpoint", &mut counts),
        KeId::ML_KEM_512 => encapsulation(row, "mlkem_512", &mut counts),
        KeId::ML_KEM_768 => encapsulation(row, "mlkem_768", &mut counts),
        KeId::ML_KEM_1024 => encapsulation(row, "mlkem_1024", &mut counts),
        _ => {}
    }
    counts
}

fn resumed(row: &dyn KeyExchangeMethod, private: &[u8]) -> Box<dyn ActiveKeyExchange> {
    row.resume(&Secret::new(private)).unwrap_or_else(|error| panic!("{row:?}: {error}"))
}

/// "Acceptable" are points on the twist, of small order and in encodings above the prime: RFC 7748 takes them all,
/// but an all-zero result is refused (RFC 8031 §3.1).
fn montgomery(row: &dyn KeyExchangeMethod, name: &str, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    for (_, case) in cases(&file) {
        let private = resumed(row, &octets(case, "private"));
        let (public, expected) = (octets(case, "public"), octets(case, "shared"));
        let shared = private.complete(&public);
        if public.len() != row.responder_len() {
            let length = PeerPublicError::Length { actual: public.len(), expected: row.responder_len() };
            assert_eq!(shared, Err(CryptoError::PeerPublic(length)), "{case}");
        } else if expected.iter().all(|&octet| octet == 0) {
            assert_eq!(shared, Err(CryptoError::PeerPublic(PeerPublicError::SmallOrder)), "{case}");
        } else {
            assert_ne!(verdict(case), Verdict::Invalid, "{case}");
            assert_eq!(shared.unwrap_or_else(|error| panic!("{error}: {case}")).expose(), expected, "{case}");
        }
        counts.add(verdict(case));
    }
    all_counted(counts, before, &file);
}

/// KE data has no encoding octet and no compressed form, so that compressed points are refused by their length.
fn points(row: &dyn KeyExchangeMethod, name: &str, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    let coordinate = row.initiator_len() / 2;
    for (_, case) in cases(&file) {
        let private = resumed(row, &scalar(case, coordinate));
        let public = octets(case, "public");
        let point = public.strip_prefix(&[4]).unwrap_or(&public);
        let shared = private.complete(point);
        match verdict(case) {
            Verdict::Valid => {
                let shared = shared.unwrap_or_else(|error| panic!("{error}: {case}"));
                assert_eq!(shared.expose(), octets(case, "shared"), "{case}");
            }
            Verdict::Acceptable => {
                let length = PeerPublicError::Length { actual: point.len(), expected: 2 * coordinate };
                assert_eq!(shared, Err(CryptoError::PeerPublic(length)), "{case}");
            }
            _ => assert!(matches!(shared, Err(CryptoError::PeerPublic(_))), "{case}"),
        }
        counts.add(verdict(case));
    }
    all_counted(counts, before, &file);
}

/// The file writes scalars as numbers: fewer or more octets than the field has.
fn scalar(case: &Value, coordinate: usize) -> Vec<u8> {
    let number = octets(case, "private");
    let number = &number[number.iter().position(|&octet| octet != 0).unwrap_or(0)..];
    let mut scalar = vec![0; coordinate - number.len()];
    scalar.extend_from_slice(number);
    scalar
}

/// Points in a SubjectPublicKeyInfo. In one that is not that of the first case the encoding is what is tested, or another
/// curve.
fn points_in_spki(row: &dyn KeyExchangeMethod, name: &str, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    let len = row.initiator_len();
    let public = |case: &Value| octets(case, "public");
    let first = cases(&file).map(|(_, case)| public(case)).next().unwrap_or_default();
    let front = &first[..first.len() - len];
    for (_, case) in cases(&file) {
        let public = public(case);
        let point = public.strip_prefix(front).filter(|point| point.len() == len);
        let Some(point) = point.filter(|_| verdict(case) != Verdict::Acceptable) else {
            counts.add(Verdict::NotApplicable);
            continue;
        };
        let shared = resumed(row, &scalar(case, len / 2)).complete(point);
        match verdict(case) {
            Verdict::Valid => {
                let shared = shared.unwrap_or_else(|error| panic!("{error}: {case}"));
                assert_eq!(shared.expose(), octets(case, "shared"), "{case}");
            }
            _ => assert!(matches!(shared, Err(CryptoError::PeerPublic(_))), "{case}"),
        }
        counts.add(verdict(case));
    }
    all_counted(counts, before, &file);
}

/// From the seed to the encapsulation key, and from a ciphertext to the secret.
fn encapsulation(row: &dyn KeyExchangeMethod, name: &str, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    for (_, case) in cases(&file) {
        let (seed, ciphertext) = (octets(case, "seed"), octets(case, "c"));
        let Ok(private) = row.resume(&Secret::new(&seed)) else {
            assert_eq!((seed.len() == 64, verdict(case)), (false, Verdict::Invalid), "{case}");
            counts.add(Verdict::Invalid);
            continue;
        };
        let shared = private.complete(&ciphertext);
        match verdict(case) {
            Verdict::Valid => {
                assert_eq!(private.public(), octets(case, "ek"), "{case}");
                let shared = shared.unwrap_or_else(|error| panic!("{error}: {case}"));
                assert_eq!(shared.expose(), octets(case, "K"), "{case}");
            }
            _ => assert!(matches!(shared, Err(CryptoError::PeerPublic(_))), "{case}"),
        }
        counts.add(verdict(case));
    }
    all_counted(counts, before, &file);
}

/// A generator that gives the octets of a vector.
struct Replayed(Vec<u8>);

impl TryRng for Replayed {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut octets = [0; 4];
        self.try_fill_bytes(&mut octets)?;
        Ok(u32::from_le_bytes(octets))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut octets = [0; 8];
        self.try_fill_bytes(&mut octets)?;
        Ok(u64::from_le_bytes(octets))
    }
    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Self::Error> {
        let rest = self.0.split_off(octets.len());
        octets.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Replayed {}

/// From an encapsulation key and the octets drawn to ciphertext and secret; keys above the modulus are refused by any
/// row, ciphertexts are compared where the row draws from the generator it is given.
fn drawn(row: &dyn KeyExchangeMethod, name: &str, counts: &mut Counts) {
    let file = wycheproof(name);
    let before = counts.0.values().sum();
    for (_, case) in cases(&file) {
        let message = octets(case, "m");
        let answer = row.respond(&octets(case, "ek"), &mut Replayed(message));
        match verdict(case) {
            Verdict::Valid => {
                let (ciphertext, shared) = answer.unwrap_or_else(|error| panic!("{error}: {case}"));
                if row.deterministic() {
                    assert_eq!(ciphertext, octets(case, "c"), "{case}");
                    assert_eq!(shared.expose(), octets(case, "K"), "{case}");
                }
            }
            _ => assert!(matches!(answer, Err(CryptoError::PeerPublic(_))), "{case}"),
        }
        counts.add(verdict(case));
    }
    all_counted(counts, before, &file);
}
