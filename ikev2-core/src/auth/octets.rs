//! The octets that an AUTH payload covers (RFC 7296 §2.15), whatever it is made with.

use alloc::vec::Vec;

use ipsec_crypto::{CryptoError, PrfAlgorithm, Secret, prf};

/// What one side's AUTH covers: `RealMessage | NonceOfThePeer | prf(SK_p, RestOfIDPayload) [| IntAuth]`.
///
/// To sign, a side takes its own message, ID and SK_p and the peer's nonce. To verify, it takes the peer's
/// message, ID and SK_p and its own nonce.
#[derive(Clone, Copy, Debug)]
pub struct AuthOctets<'a> {
    /// The signer's IKE_SA_INIT message from the first octet of the header on, as it was last sent: with a cookie
    /// where one was asked for, without a non-ESP marker.
    pub init_message: &'a [u8],
    /// The nonce of the other side, without header.
    pub peer_nonce: &'a [u8],
    /// The signer's ID payload without its generic header.
    pub id_body: &'a [u8],
    /// SK_pi of the initiator, SK_pr of the responder; with a PPK those that were replaced by it (RFC 8784 §3).
    pub sk_p: &'a Secret,
    /// `IntAuth_i | IntAuth_r | IKE_AUTH_MID` where there were IKE_INTERMEDIATE exchanges (RFC 9242 §3.3.2).
    pub int_auth: Option<&'a [u8]>,
    /// Stands in for `init_message` where a transcript of everything before IKE_AUTH is signed. A slot: nothing
    /// offers that yet.
    pub transcript: Option<&'a [u8]>,
}

impl AuthOctets<'_> {
    /// The octets in one piece.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] where the PRF cannot take SK_p.
    pub fn build(&self, algorithm: &dyn PrfAlgorithm) -> Result<Vec<u8>, CryptoError> {
        let maced_id = prf(algorithm, self.sk_p.expose(), &[self.id_body])?;
        let parts = [
            self.transcript.unwrap_or(self.init_message),
            self.peer_nonce,
            maced_id.expose(),
            self.int_auth.unwrap_or_default(),
        ];
        Ok(parts.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdata::Recording;

    /// The octets that strongSwan signed, in both directions.
    #[test]
    fn the_octets_are_those_strongswan_signed() {
        for recording in [Recording::cbc(), Recording::gcm()] {
            let prf = recording.suite().prf;
            let (ni, nr) = recording.init_nonces();
            for (number, peer_nonce, sk_p) in [(1, &nr, "sk_pi.1"), (2, &ni, "sk_pr.1")] {
                let octets = AuthOctets {
                    init_message: recording.numbered("message", number),
                    peer_nonce,
                    id_body: recording.numbered("id_body", number),
                    sk_p: &recording.secret(sk_p),
                    int_auth: None,
                    transcript: None,
                };
                let expected = recording.numbered("auth_octets", number);
                assert_eq!(octets.build(prf).unwrap(), expected);

                let with_int_auth = AuthOctets { int_auth: Some(b"IntAuth"), ..octets }.build(prf).unwrap();
                assert_eq!(with_int_auth, [expected, b"IntAuth"].concat());

                let rest = &expected[octets.init_message.len()..];
                let transcript = AuthOctets { transcript: Some(b"all"), ..octets }.build(prf).unwrap();
                assert_eq!(transcript, [b"all", rest].concat());
            }
        }
    }
}
