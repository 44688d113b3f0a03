//! What an unauthenticated message may bring about: one table, exhaustive, and nothing else does it.
//!
//! Unauthenticated input never changes established state (RFC 7296 §2.21.4, §2.4); a reply is one datagram, no larger
//! than a small constant more than what caused it, and rate-limited where it tells of an error.

/// What kind of unauthenticated message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// A request of a higher major version (§2.5).
    HigherVersion,
    /// An IKE_SA_INIT request.
    InitRequest,
    /// An IKE_SA_INIT response.
    InitResponse,
    /// Anything else that asks for an answer and carries no encrypted payload, or whose integrity check fails.
    OtherRequest,
    /// Anything else that is an answer.
    OtherResponse,
    /// INVALID_IKE_SPI to a message of ours, or INVALID_SPI about our packets, outside of any IKE SA (§1.5, §2.21.4).
    LostState,
}

/// What stands behind the SPI that the message carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Nothing.
    Unknown,
    /// An IKE SA of ours that is being set up, we being the initiator.
    Initiating,
    /// A half-open IKE SA of which this is the request.
    HalfOpen,
    /// An authenticated IKE SA, or one that is over.
    Established,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reaction {
    /// Counted and dropped.
    Drop,
    /// N(INVALID_MAJOR_VERSION), rate-limited.
    ReplyInvalidVersion,
    /// N(INVALID_IKE_SPI), rate-limited.
    ReplyInvalidSpi,
    /// Set-up: a cookie, a refusal, or a half-open IKE SA within its caps.
    SetUp,
    /// The same answer again, octet by octet.
    AnswerAgain,
    /// A liveness check of the IKE SA that it may be about, not too often. No SA changes by the message itself.
    CheckLiveness,
    /// To the initiator's state, which takes it as a hint or follows it as one candidate among several.
    ToInitiator,
}

/// The table.
pub(crate) const fn reaction(standing: Standing, class: Class) -> Reaction {
    match (standing, class) {
        (Standing::Unknown, Class::HigherVersion) => Reaction::ReplyInvalidVersion,
        (Standing::Unknown, Class::InitRequest) => Reaction::SetUp,
        (Standing::Unknown, Class::OtherRequest) => Reaction::ReplyInvalidSpi,
        (Standing::Unknown, Class::InitResponse | Class::OtherResponse | Class::LostState) => Reaction::Drop,
        (Standing::Established, Class::LostState) => Reaction::CheckLiveness,
        (Standing::Initiating, Class::InitResponse) => Reaction::ToInitiator,
        (Standing::HalfOpen, Class::InitRequest) => Reaction::AnswerAgain,
        (Standing::Initiating | Standing::HalfOpen | Standing::Established, _) => Reaction::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_established_ike_sa_is_never_moved() {
        for class in [
            Class::HigherVersion,
            Class::InitRequest,
            Class::InitResponse,
            Class::OtherRequest,
            Class::OtherResponse,
        ] {
            assert_eq!(reaction(Standing::Established, class), Reaction::Drop);
        }
        assert_eq!(reaction(Standing::Established, Class::LostState), Reaction::CheckLiveness);
    }

    #[test]
    fn answers_are_never_answered() {
        for standing in [Standing::Unknown, Standing::Initiating, Standing::HalfOpen, Standing::Established] {
            for class in [Class::InitResponse, Class::OtherResponse, Class::LostState] {
                assert!(matches!(
                    reaction(standing, class),
                    Reaction::Drop | Reaction::ToInitiator | Reaction::CheckLiveness
                ));
            }
        }
    }
}
