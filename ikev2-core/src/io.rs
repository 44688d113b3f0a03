//! What goes into an endpoint and what comes out of it.

use alloc::vec::Vec;
use core::fmt;

use ipsec_sa::Instant;
use ipsec_wire::ParseError;
use thiserror::Error;

use crate::event::Event;
use crate::path::Path;

/// Names an IKE SA for its lifetime. A rekeyed IKE SA gets a new one ([`Event::IkeRekeyed`]). Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IkeHandle(pub u64);

impl fmt::Display for IkeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ike#{}", self.0)
    }
}

/// One thing that happened outside.
#[derive(Debug)]
pub enum Input<'a> {
    /// The time asked for by [`Output::Timeout`] has come (or any other: what is not due stays).
    Timeout(Instant),
    /// A datagram, as the socket gave it: behind the non-ESP marker where the path has one.
    Datagram {
        /// When.
        now: Instant,
        /// Where it came from, and on which of our sockets.
        path: Path,
        /// The IP header's ECN field (0..=3).
        ecn: u8,
        /// The octets; decrypted in place, so unspecified afterwards.
        data: &'a mut [u8],
    },
}

/// One thing to do outside. Call [`crate::Endpoint::poll_output`] until it says [`Output::Timeout`].
#[derive(Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit {
        /// From where to where.
        path: Path,
        /// The UDP payload (or, for TCP, the frame without its length prefix).
        data: Vec<u8>,
        /// ECN field for the IP header.
        ecn: u8,
    },
    /// Something the caller wants to know or must do. Ordered per IKE SA, together with its transmits.
    Event(IkeHandle, Event),
    /// Nothing more now; hand in [`Input::Timeout`] at this time, if any.
    Timeout(Option<Instant>),
}

/// Why a datagram was dropped. Never fatal, always counted, and no established state has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Discarded {
    /// A NAT keepalive (RFC 3948 §2.3).
    #[error("NAT keepalive")]
    Keepalive,
    /// ESP, or too short for anything, on a path with the non-ESP marker.
    #[error("not an IKE message")]
    NotIke,
    /// Not a well-formed IKE message.
    #[error("malformed: {0}")]
    Malformed(ParseError),
    /// A major version that is not 2.
    #[error("IKE major version {0}")]
    Version(u8),
    /// No IKE SA has this SPI.
    #[error("unknown IKE SPI")]
    UnknownSpi,
    /// Our own message came back.
    #[error("reflected message")]
    Reflected,
    /// Well-formed, but nothing that this state waits for.
    #[error("unexpected message for the state of its IKE SA")]
    Unexpected,
    /// The encrypted payload's integrity check failed.
    #[error("integrity check failed")]
    Integrity,
    /// A message id below the window.
    #[error("message id {0} is old")]
    OldMessageId(u32),
    /// A message id beyond the window.
    #[error("message id {0} is beyond the window")]
    FarMessageId(u32),
    /// A retransmission of a request whose answer is still being worked out.
    #[error("request is still being processed")]
    Busy,
    /// Answered with a cookie request and forgotten (RFC 7296 §2.6).
    #[error("cookie asked for")]
    CookieAsked,
    /// A cookie that is not ours, or too old.
    #[error("cookie does not hold")]
    BadCookie,
    /// As many half-open IKE SAs as allowed.
    #[error("too many half-open IKE SAs")]
    HalfOpenLimit,
    /// No connection is configured for these addresses.
    #[error("no connection for these addresses")]
    NoConnection,
    /// An unprotected notify: taken as a hint (RFC 7296 §2.21.1).
    #[error("unprotected notify, taken as a hint")]
    Hint,
    /// Set-up was refused with an unprotected notify.
    #[error("set-up refused")]
    Refused,
}

impl Discarded {
    /// How many kinds there are.
    pub const KINDS: usize = 17;

    /// A small number for the kind, for counters: below [`Discarded::KINDS`].
    #[must_use]
    pub const fn kind(&self) -> usize {
        match self {
            Self::Keepalive => 0,
            Self::NotIke => 1,
            Self::Malformed(_) => 2,
            Self::Version(_) => 3,
            Self::UnknownSpi => 4,
            Self::Reflected => 5,
            Self::Unexpected => 6,
            Self::Integrity => 7,
            Self::OldMessageId(_) => 8,
            Self::FarMessageId(_) => 9,
            Self::Busy => 10,
            Self::CookieAsked => 11,
            Self::BadCookie => 12,
            Self::HalfOpenLimit => 13,
            Self::NoConnection => 14,
            Self::Hint => 15,
            Self::Refused => 16,
        }
    }

    /// The kind's name, by [`Discarded::kind`].
    pub const NAMES: [&'static str; Self::KINDS] = [
        "keepalive",
        "not-ike",
        "malformed",
        "version",
        "unknown-spi",
        "reflected",
        "unexpected",
        "integrity",
        "old-message-id",
        "far-message-id",
        "busy",
        "cookie-asked",
        "bad-cookie",
        "half-open-limit",
        "no-connection",
        "hint",
        "refused",
    ];
}
