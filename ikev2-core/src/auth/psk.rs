//! AUTH from a shared key (RFC 7296 §2.15).

use alloc::vec::Vec;

use ipsec_crypto::{CryptoError, PrfAlgorithm, Secret, prf};

/// What the shared key is keyed into first, so that a stored form of it serves no other purpose.
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// `prf(prf(shared key, "Key Pad for IKEv2"), octets)`, the data of an AUTH payload.
///
/// # Errors
/// [`CryptoError::KeyLength`] where the PRF cannot take the shared key.
pub fn psk_auth(algorithm: &dyn PrfAlgorithm, psk: &Secret, octets: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let key = prf(algorithm, psk.expose(), &[KEY_PAD])?;
    Ok(prf(algorithm, key.expose(), &[octets])?.expose().to_vec())
}

/// Compares a received AUTH payload's data in constant time.
///
/// # Errors
/// [`CryptoError::Mismatch`] where it does not hold, of whatever length it is.
pub fn verify_psk(
    algorithm: &dyn PrfAlgorithm,
    psk: &Secret,
    octets: &[u8],
    received: &[u8],
) -> Result<(), CryptoError> {
    let key = prf(algorithm, psk.expose(), &[KEY_PAD])?;
    if received.len() != algorithm.output_len() {
        return Err(CryptoError::Mismatch);
    }
    algorithm.prf_key(key.expose())?.verify(&[octets], received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdata::Recording;

    #[test]
    fn auth_is_what_strongswan_sent() {
        for recording in [Recording::cbc(), Recording::gcm()] {
            let prf = recording.suite().prf;
            let psk = recording.secret("psk.1");
            assert_eq!(psk.expose(), b"swordfish");
            for side in [1, 2] {
                let octets = recording.numbered("auth_octets", side);
                let auth = recording.numbered("auth", side);
                assert_eq!(psk_auth(prf, &psk, octets).unwrap(), auth);
                assert_eq!(verify_psk(prf, &psk, octets, auth), Ok(()));

                let wrong = Secret::new(b"sawfish");
                assert_eq!(verify_psk(prf, &wrong, octets, auth), Err(CryptoError::Mismatch));
                assert_eq!(verify_psk(prf, &psk, &octets[1..], auth), Err(CryptoError::Mismatch));
                for len in 0..auth.len() {
                    assert_eq!(verify_psk(prf, &psk, octets, &auth[..len]), Err(CryptoError::Mismatch));
                }
                let longer = [auth, &[0; 64]].concat();
                assert_eq!(verify_psk(prf, &psk, octets, &longer), Err(CryptoError::Mismatch));
            }
        }
    }
}
