//! The AUTH payload: making ours and checking the peer's (RFC 7296 §2.15). Both sides' octets are put together here and
//! nowhere else.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ipsec_crypto::CryptoError;
use ipsec_sa::Role;
use ipsec_wire::ike::{Auth, AuthMethod};

use super::octets::AuthOctets;
use super::psk::{psk_auth, verify_psk};
use crate::channel::Channel;
use crate::config::{ConnectionConfig, Credentials};
use crate::error::{AuthFailure, Error};
use crate::identity::Identity;

/// What a proof is made over.
pub(crate) struct Proof<'a> {
    /// The prover's part in the IKE SA.
    pub(crate) prover: Role,
    /// The prover's first message, whole.
    pub(crate) message: &'a [u8],
    /// The verifier's nonce.
    pub(crate) nonce: &'a [u8],
    /// The prover's ID payload without its generic header, as it is on the wire.
    pub(crate) id_body: &'a [u8],
    /// [`super::IntAuth::octets`], where there were IKE_INTERMEDIATE exchanges.
    pub(crate) int_auth: Option<Vec<u8>>,
}

impl Proof<'_> {
    fn octets(&self, channel: &Channel) -> Result<Vec<u8>, CryptoError> {
        AuthOctets {
            init_message: self.message,
            peer_nonce: self.nonce,
            id_body: self.id_body,
            sk_p: channel.sk_p(self.prover),
            int_auth: self.int_auth.as_deref(),
            transcript: None,
        }
        .build(channel.suite.prf)
    }

    /// Our AUTH payload.
    pub(crate) fn make(&self, config: &ConnectionConfig, channel: &Channel) -> Result<Auth, CryptoError> {
        let Credentials::Psk(key) = &config.credentials;
        let data = psk_auth(channel.suite.prf, key, &self.octets(channel)?)?;
        Ok(Auth::new(AuthMethod::SHARED_KEY_MIC, data))
    }

    /// Checks the peer's AUTH payload against the connection's credentials.
    pub(crate) fn check(
        &self,
        config: &ConnectionConfig,
        channel: &Channel,
        (method, data): (AuthMethod, &[u8]),
        identity: &Identity,
    ) -> Result<(), Error> {
        let failed = |why| Error::AuthenticationFailed(Box::new(why));
        if method != AuthMethod::SHARED_KEY_MIC {
            return Err(failed(AuthFailure::Method { theirs: identity.clone(), method }));
        }
        let Credentials::Psk(key) = &config.credentials;
        verify_psk(channel.suite.prf, key, &self.octets(channel)?, data)
            .map_err(|_| failed(AuthFailure::WrongKey { theirs: identity.clone() }))
    }
}
