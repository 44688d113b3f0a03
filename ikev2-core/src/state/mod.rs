//! The states of an IKE SA. Each is a value: an input consumes it and gives the next one, which is the same one,
//! unharmed, when the input was bad.

pub(crate) mod auth_sent;
pub(crate) mod candidate;
pub(crate) mod closing;
pub(crate) mod established;
pub(crate) mod init_received;
pub(crate) mod init_sent;

use alloc::boxed::Box;

use ipsec_sa::Instant;

use crate::context::Cx;
use crate::ike_sa::{Common, Incoming, Step, TimerKind};
use crate::job::{Answer, OpId};

/// Where an IKE SA stands.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Initiator: IKE_SA_INIT is being made, is out, or its answer is being worked on.
    InitSent(Box<init_sent::InitSent>),
    /// Initiator: IKE_INTERMEDIATE or IKE_AUTH is out, to one or more candidates.
    AuthSent(Box<auth_sent::AuthSent>),
    /// Responder: IKE_SA_INIT has come, answered or about to be, and IKE_INTERMEDIATE may have.
    InitReceived(Box<init_received::InitReceived>),
    /// Both: authenticated.
    Established(Box<established::Established>),
    /// Over, but still answering retransmissions.
    Closing(Box<closing::Closing>),
    /// Over.
    Gone,
}

impl State {
    pub(crate) fn on_message(self, cx: &mut Cx<'_>, common: &mut Common, message: Incoming<'_>) -> Step {
        match self {
            Self::InitSent(state) => state.on_message(cx, common, message),
            Self::AuthSent(state) => state.on_message(cx, common, message),
            Self::InitReceived(state) => state.on_message(cx, common, message),
            Self::Established(state) => state.on_message(cx, common, message),
            Self::Closing(state) => state.on_message(cx, common, message),
            Self::Gone => Step::discard(Self::Gone, crate::io::Discarded::UnknownSpi),
        }
    }

    pub(crate) fn on_answer(self, cx: &mut Cx<'_>, common: &mut Common, op: OpId, answer: Answer) -> Self {
        match self {
            Self::InitSent(state) => state.on_answer(cx, common, op, answer),
            Self::AuthSent(state) => state.on_answer(cx, common, op, answer),
            Self::InitReceived(state) => state.on_answer(cx, common, op, answer),
            Self::Established(state) => state.on_answer(cx, common, op, answer),
            other @ (Self::Closing(_) | Self::Gone) => other,
        }
    }

    pub(crate) fn on_timeout(self, cx: &mut Cx<'_>, common: &mut Common, due: &[TimerKind]) -> Self {
        match self {
            Self::InitSent(state) => state.on_timeout(cx, common, due),
            Self::AuthSent(state) => state.on_timeout(cx, common, due),
            Self::InitReceived(state) => state.on_timeout(cx, common, due),
            Self::Established(state) => state.on_timeout(cx, common, due),
            Self::Closing(state) => state.on_timeout(cx, common, due),
            Self::Gone => Self::Gone,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::InitSent(state) => state.next_deadline(),
            Self::AuthSent(state) => state.next_deadline(),
            Self::Established(state) => state.next_deadline(),
            Self::Closing(state) => state.next_deadline(),
            Self::InitReceived(_) | Self::Gone => None,
        }
    }

    /// Gives back what the state holds of others: SPIs, and children (with an event each).
    pub(crate) fn release(self, cx: &mut Cx<'_>, common: &mut Common) {
        match self {
            Self::InitSent(state) => state.release(cx, common),
            Self::AuthSent(state) => state.init.release(cx, common),
            Self::Established(mut state) => {
                state.close_children(cx, common, || crate::event::CloseReason::IkeClosed);
            }
            Self::InitReceived(_) | Self::Closing(_) | Self::Gone => {}
        }
    }

    /// Whether this is a responder's half-open IKE SA (RFC 7296 §2.6).
    pub(crate) fn is_half_open(&self) -> bool {
        matches!(self, Self::InitReceived(_))
    }
}
