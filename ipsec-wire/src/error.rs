//! Why octets were not accepted, and the caps a parser works under.

use core::fmt;

/// What a parser found wrong and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{kind} at octet {offset}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The offset of the offending field from the start of the message or packet.
    pub offset: usize,
}

impl ParseError {
    /// An error at an offset from the start of the message.
    #[must_use]
    pub const fn new(kind: ParseErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }
}

/// The kinds of malformation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// A structure needs more octets than there are; for a datagram, fewer than its IKE length.
    #[error("truncated")]
    Truncated,
    /// Octets follow the end that the lengths inside declare.
    #[error("trailing octets")]
    TrailingOctets,
    /// A length field is too small for the structure it measures, or wrong for its type.
    #[error("bad length field")]
    BadLength,
    /// A major version other than the one the parser reads.
    #[error("unsupported version {0}")]
    UnsupportedVersion(u8),
    /// A "last substructure" octet that contradicts what follows (RFC 7296 §3.3.1, §3.3.2).
    #[error("bad last-substructure octet {0}")]
    BadLastSubstructure(u8),
    /// A count octet that contradicts the number of elements present.
    #[error("count does not match the elements present")]
    CountMismatch,
    /// An encrypted payload where there can be none: inside another one.
    #[error("payload type {0} is not allowed here")]
    UnexpectedPayload(u8),
    /// One of the caps in [`Limits`] is exceeded.
    #[error("too many {0}")]
    TooMany(Counted),
}

impl ParseErrorKind {
    pub(crate) const fn at(self, offset: usize) -> ParseError {
        ParseError::new(self, offset)
    }
}

/// What a cap of [`Limits`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Counted {
    /// Octets of a message.
    Octets,
    /// Payloads of a message or of one decrypted chain.
    Payloads,
    /// Proposals.
    Proposals,
    /// Transforms.
    Transforms,
    /// Transform attributes.
    Attributes,
    /// Traffic selectors.
    TrafficSelectors,
    /// Notify payloads.
    Notifies,
    /// Configuration attributes.
    CfgAttributes,
    /// SPIs of Delete payloads.
    Spis,
    /// IPv6 extension headers.
    ExtensionHeaders,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Octets => "octets",
            Self::Payloads => "payloads",
            Self::Proposals => "proposals",
            Self::Transforms => "transforms",
            Self::Attributes => "transform attributes",
            Self::TrafficSelectors => "traffic selectors",
            Self::Notifies => "notifies",
            Self::CfgAttributes => "configuration attributes",
            Self::Spis => "SPIs",
            Self::ExtensionHeaders => "extension headers",
        })
    }
}

/// Caps on what one message may contain. Every count is a total over the message (or over one decrypted
/// chain), not per payload; a message beyond a cap is refused with [`ParseErrorKind::TooMany`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a message, header included.
    pub message_len: usize,
    /// Payloads.
    pub payloads: usize,
    /// Proposals in all SA payloads.
    pub proposals: usize,
    /// Transforms in all SA payloads.
    pub transforms: usize,
    /// Attributes of all transforms.
    pub attributes: usize,
    /// Traffic selectors in all TSi and TSr payloads.
    pub selectors: usize,
    /// Notify payloads.
    pub notifies: usize,
    /// Attributes in all configuration payloads.
    pub cfg_attributes: usize,
    /// SPIs in all Delete payloads.
    pub spis: usize,
}

macro_rules! setters {
    ($($field:ident)*) => { $(
        #[doc = concat!("The same caps with another one for `", stringify!($field), "`.")]
        #[must_use]
        pub const fn $field(mut self, cap: usize) -> Self {
            self.$field = cap;
            self
        }
    )* };
}

impl Limits {
    /// Caps that no message of an honest peer reaches.
    pub const DEFAULT: Self = Self {
        message_len: 65_535,
        payloads: 256,
        proposals: 256,
        transforms: 2_048,
        attributes: 2_048,
        selectors: 1_024,
        notifies: 128,
        cfg_attributes: 512,
        spis: 4_096,
    };

    setters! { message_len payloads proposals transforms attributes selectors notifies cfg_attributes spis }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
