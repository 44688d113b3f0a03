//! Jobs: every slow or outside step has one shape, asked for by an event and answered later, or at once by the
//! synchronous executor through the same code.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ipsec_crypto::{ActiveKeyExchange, CryptoError, CryptoProvider, Secret};
use ipsec_wire::ike::KeId;
use rand_core::CryptoRng;

use crate::event::ChildInstall;

/// Names one step. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpId(pub u64);

/// There is no step of this number waiting: it was answered, or its IKE SA is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no step {0:?} is waiting for an answer")]
pub struct UnknownOp(pub OpId);

/// A step.
#[non_exhaustive]
pub enum Request {
    /// A key exchange; [`Request::execute`] does it.
    KeyExchange(KeyExchangeJob),
    /// Install these two SAs, then answer [`Answer::Installed`]. Asked only with
    /// [`crate::EndpointConfig::acknowledge_install`].
    Install(Box<ChildInstall>),
}

/// A key exchange step.
pub enum KeyExchangeJob {
    /// The initiator's first half.
    Start {
        /// Method.
        method: KeId,
    },
    /// The responder's whole part.
    Respond {
        /// Method.
        method: KeId,
        /// The initiator's KE data.
        peer: Vec<u8>,
    },
    /// The initiator's second half.
    Complete {
        /// What the first half made. The asker keeps it too: there may be another answer (RFC 7296 §2.4).
        active: Arc<dyn ActiveKeyExchange>,
        /// The responder's KE data.
        peer: Vec<u8>,
    },
}

/// What came of a step.
#[non_exhaustive]
pub enum Answer {
    /// Of [`KeyExchangeJob::Start`].
    Started(Result<Box<dyn ActiveKeyExchange>, CryptoError>),
    /// Of [`KeyExchangeJob::Respond`]: KE data to answer with, and the shared secret.
    Responded(Result<(Vec<u8>, Secret), CryptoError>),
    /// Of [`KeyExchangeJob::Complete`].
    Completed(Result<Secret, CryptoError>),
    /// Of [`Request::Install`].
    Installed(Result<(), InstallFailed>),
}

/// The caller could not install an SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the SA could not be installed")]
pub struct InstallFailed;

impl Request {
    /// Carries the step out here and now. `None` for a step that only the caller can do ([`Request::Install`]),
    /// which is given back.
    ///
    /// # Errors
    /// The request itself, unharmed.
    pub fn execute(self, provider: &CryptoProvider, rng: &mut dyn CryptoRng) -> Result<Answer, Self> {
        match self {
            Self::KeyExchange(job) => Ok(match job {
                KeyExchangeJob::Start { method } => Answer::Started(match provider.ke(method) {
                    Some(row) => row.start(rng),
                    None => Err(CryptoError::Unsupported),
                }),
                KeyExchangeJob::Respond { method, peer } => Answer::Responded(match provider.ke(method) {
                    Some(row) => row.respond(&peer, rng),
                    None => Err(CryptoError::Unsupported),
                }),
                KeyExchangeJob::Complete { active, peer } => Answer::Completed(active.complete(&peer)),
            }),
            other @ Self::Install(_) => Err(other),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyExchange(KeyExchangeJob::Start { .. }) => "KeyExchange(Start)",
            Self::KeyExchange(KeyExchangeJob::Respond { .. }) => "KeyExchange(Respond)",
            Self::KeyExchange(KeyExchangeJob::Complete { .. }) => "KeyExchange(Complete)",
            Self::Install(_) => "Install",
        })
    }
}

impl fmt::Debug for KeyExchangeJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start { .. } => "Start",
            Self::Respond { .. } => "Respond",
            Self::Complete { .. } => "Complete",
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started(_) => "Started",
            Self::Responded(_) => "Responded",
            Self::Completed(_) => "Completed",
            Self::Installed(_) => "Installed",
        })
    }
}
