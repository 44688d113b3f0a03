//! Key exchange methods (transform type 4): Diffie-Hellman and key encapsulation behind one shape.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use ipsec_wire::ike::KeId;
use rand_core::CryptoRng;

use crate::{CryptoError, Secret, Status};

/// One row of the provider's key exchange table.
pub trait KeyExchangeMethod: Send + Sync + fmt::Debug {
    /// Transform id.
    fn id(&self) -> KeId;
    /// Name in proposal strings.
    fn name(&self) -> &'static str;
    /// Where the RFCs stand on it.
    fn status(&self) -> Status {
        Status::of_key_exchange(self.id())
    }
    /// Octets of the initiator's KE data.
    fn initiator_len(&self) -> usize;
    /// Octets of the responder's KE data (another length only for a KEM).
    fn responder_len(&self) -> usize;
    /// Whether the same generator gives the same octets.
    fn deterministic(&self) -> bool {
        true
    }
    /// The initiator's half: a fresh private value and the KE data to send.
    ///
    /// # Errors
    /// Whatever the implementation behind the row runs into.
    fn start(&self, rng: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError>;
    /// The responder's half in one step: KE data to answer with, and the shared secret.
    ///
    /// # Errors
    /// [`CryptoError::PeerPublic`] when the initiator's data must be refused.
    fn respond(&self, peer: &[u8], rng: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError>;
    /// Takes back what [`ActiveKeyExchange::export`] of the same row gave.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] for a private value the method cannot have, or [`CryptoError::Unsupported`]
    /// where the row exports none.
    fn resume(&self, private: &Secret) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let _ = private;
        Err(CryptoError::Unsupported)
    }
}

/// An initiator's half that waits for the answer. It is kept until set-up is authenticated, because it may have
/// to be completed against more than one answer (RFC 7296 §2.4), so completing does not consume it. `Debug` shows
/// nothing of the private value.
pub trait ActiveKeyExchange: Send + Sync + fmt::Debug {
    /// The KE data that was, or is to be, sent.
    fn public(&self) -> &[u8];
    /// The shared secret with this answer.
    ///
    /// # Errors
    /// [`CryptoError::PeerPublic`] when the answer must be refused.
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError>;
    /// The private value in a form that [`KeyExchangeMethod::resume`] takes back, where it has one.
    fn export(&self) -> Option<Secret> {
        None
    }
}
