//! Errors by class, and the one place that says what each means to the peer and to the SA.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ipsec_crypto::CryptoError;
use ipsec_wire::ParseError;
use ipsec_wire::ike::{AuthMethod, ExchangeType, NotifyType, PayloadType};
use thiserror::Error;

use crate::diagnosis::Diagnosis;
use crate::identity::Identity;
use crate::negotiate::connection::Rejected;

/// Why something did not come about. Every class explains itself: what did not match, ours against theirs.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An authentic message was not well formed.
    #[error("invalid message: {0}")]
    InvalidMessage(InvalidMessage),
    /// Nothing that both sides accept.
    #[error("incompatible: {0}")]
    PeerIncompatible(Box<Diagnosis>),
    /// The peer did what the RFC forbids.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(Misbehaviour),
    /// The peer did not prove its identity, or we did not prove ours.
    #[error("authentication failed: {0}")]
    AuthenticationFailed(Box<AuthFailure>),
    /// The peer refused what we offered; it does not say what it would have taken.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer refused with this notify.
    #[error("the peer answered {notify}")]
    NotifyReceived {
        /// Type.
        notify: NotifyType,
        /// Data, at most 64 octets of it.
        data: Vec<u8>,
    },
    /// An algorithm refused.
    #[error("cryptography: {0}")]
    Crypto(#[from] CryptoError),
    /// The pool of SPIs is empty, or there are no free numbers.
    #[error("no SPI is left for a Child SA")]
    OutOfSpis,
    /// No answer.
    #[error("no answer to {exchange} after {tries} tries")]
    TimedOut {
        /// The exchange.
        exchange: ExchangeType,
        /// How often the request was sent.
        tries: u8,
    },
    /// The caller asked for what cannot be.
    #[error("{0}")]
    ApiMisuse(#[from] ApiMisuse),
}

/// Why authentication failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AuthFailure {
    /// The peer did not take our proof.
    #[error(
        "the peer refused our proof of being {ours} (AUTHENTICATION_FAILED): shared keys differ, or it expects another identity of us, or is not whom we ask for"
    )]
    RefusedByPeer {
        /// Who we said we are.
        ours: Identity,
    },
    /// The peer's proof is made with another shared key than ours.
    #[error("the peer's proof of being {theirs} does not hold: shared keys differ")]
    WrongKey {
        /// Who the peer says it is.
        theirs: Identity,
    },
    /// The peer that we called is not whom the connection expects.
    #[error("the peer says it is {theirs}, where the connection expects {expected}")]
    UnknownIdentity {
        /// Who it may be.
        expected: String,
        /// Who the peer says it is.
        theirs: Identity,
    },
    /// The peer is, or asks us to be, somebody that no connection names; or several could have been meant, and none is.
    #[error("no connection fits the peer {theirs}, who asks for us as {ours}: {}", .rejected.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoConnection {
        /// Who the peer wants us to be.
        ours: String,
        /// Who the peer says it is.
        theirs: Identity,
        /// Connection by connection, why not.
        rejected: Vec<Rejected>,
    },
    /// The peer proves itself by another method than the connection's.
    #[error("the peer {theirs} authenticates by {method}, where a shared key is configured")]
    Method {
        /// Who the peer says it is.
        theirs: Identity,
        /// Its method.
        method: AuthMethod,
    },
    /// No proof at all: the peer wants EAP.
    #[error("the peer {theirs} sent no proof (it asks for EAP), where a shared key is configured")]
    NoProof {
        /// Who the peer says it is.
        theirs: Identity,
    },
}

/// What the peer refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Our proposals.
    #[error("the peer answered {notify}: it accepts none of ours: {}", .ours.join(", "))]
    Proposal {
        /// The notify.
        notify: NotifyType,
        /// What we offered, as proposal strings.
        ours: Vec<String>,
    },
    /// Our traffic selectors.
    #[error("the peer answered {notify}: it accepts none of our selectors: {} === {}", .local.join(", "), .remote.join(", "))]
    Selectors {
        /// The notify.
        notify: NotifyType,
        /// Our side.
        local: Vec<String>,
        /// The peer's side.
        remote: Vec<String>,
    },
}

/// What was not well formed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// Its payloads do not parse.
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// A payload of an unknown type that must be understood (RFC 7296 §2.5).
    #[error("critical payload of unknown type {0}")]
    Critical(PayloadType),
    /// A payload that must be there is not.
    #[error("payload {0} is missing")]
    Missing(PayloadType),
    /// A nonce of a length that RFC 7296 §2.10 does not allow.
    #[error("nonce of {0} octets")]
    NonceLength(usize),
    /// An exchange that is not known, or not fit for the state.
    #[error("exchange {0} does not fit here")]
    Exchange(ExchangeType),
}

/// What the peer should not have done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// It answered with what we did not offer.
    #[error("it chose what was not offered")]
    ChoseUnoffered,
    /// It asked for a key exchange method that we did not offer, or for the one we had used.
    #[error("it asked for a key exchange method that was not offered")]
    KeUnoffered,
    /// It asked for cookies or other methods again and again.
    #[error("it asked to try again too often")]
    TooManyRetries,
    /// It widened the traffic selectors.
    #[error("it answered with selectors that were not offered")]
    SelectorsWidened,
    /// Its KE payload's method is not the one of its proposal.
    #[error("its KE payload does not fit its proposal")]
    KeMismatch,
}

/// What the caller should not have done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// No connection of this number.
    #[error("no such connection")]
    UnknownConnection,
    /// No IKE SA of this handle.
    #[error("no such IKE SA")]
    UnknownIkeSa,
    /// No Child SA of this SPI.
    #[error("no such Child SA")]
    UnknownChild,
    /// The connection has no child of this number.
    #[error("the connection has no such child")]
    UnknownChildConfig,
    /// To start a connection, both addresses must be known.
    #[error("the connection has no addresses to start from")]
    NoAddress,
    /// The connection offers nothing that the provider can compute.
    #[error("the provider lacks what the connection offers")]
    NoSuite,
    /// The endpoint is being shut down.
    #[error("the endpoint is shutting down")]
    ShuttingDown,
    /// The IKE SA is not established, or is being closed.
    #[error("the IKE SA cannot do this in its state")]
    WrongState,
    /// As many tasks wait for their turn on this IKE SA as may: ask again later.
    #[error("too many tasks wait for this IKE SA")]
    TooManyTasks,
}

/// What an error means to the peer and to the SA it came up in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disposition {
    /// What the peer is told, where it can be told.
    pub notify: Option<NotifyType>,
    /// Whether the IKE SA ends.
    pub ends_ike_sa: bool,
}

impl Error {
    /// The one mapping from classes to consequences (RFC 7296 §2.21).
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        let (notify, ends_ike_sa) = match self {
            Self::InvalidMessage(InvalidMessage::Critical(_)) => {
                (Some(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD), false)
            }
            // Authentic and still malformed: the two sides do not understand each other (§2.21.3).
            Self::InvalidMessage(_) => (Some(NotifyType::INVALID_SYNTAX), true),
            Self::PeerIncompatible(diagnosis) => (Some(diagnosis.notify()), false),
            Self::PeerMisbehaved(_) => (Some(NotifyType::INVALID_SYNTAX), false),
            Self::AuthenticationFailed(_) => (Some(NotifyType::AUTHENTICATION_FAILED), true),
            Self::Refused(_) => (None, false),
            Self::NotifyReceived { notify, .. } => {
                (None, matches!(*notify, NotifyType::AUTHENTICATION_FAILED | NotifyType::INVALID_SYNTAX))
            }
            // A peer's public value that must be refused is a malformed message (RFC 6989 §2.5).
            Self::Crypto(CryptoError::PeerPublic(_)) => (Some(NotifyType::INVALID_SYNTAX), false),
            Self::Crypto(_) => (Some(NotifyType::TEMPORARY_FAILURE), false),
            Self::OutOfSpis => (Some(NotifyType::NO_ADDITIONAL_SAS), false),
            Self::TimedOut { .. } => (None, true),
            Self::ApiMisuse(_) => (None, false),
        };
        Disposition { notify, ends_ike_sa }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::InvalidMessage(InvalidMessage::Parse(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_authentication_names_both_sides() {
        let [ours, theirs] = ["a.test", "b.test"].map(Identity::fqdn);
        let unknown = AuthFailure::UnknownIdentity { expected: String::from("c.test"), theirs };
        assert_eq!(unknown.to_string(), "the peer says it is b.test, where the connection expects c.test");
        assert!(AuthFailure::RefusedByPeer { ours }.to_string().contains("our proof of being a.test"));
    }
}
