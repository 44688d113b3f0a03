//! What can go wrong with an SA and with a packet. Each packet error is one auditable event of RFC 4302.

use ipsec_crypto::CryptoError;
use ipsec_wire::ike::IntegId;
use thiserror::Error;

/// Why an SA cannot be made from its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SaError {
    /// The parameters are of an ESP SA.
    #[error("parameters are not of an AH SA")]
    NotAh,
    /// Parameters of an inbound SA where an outbound one is to be made, or the other way round.
    #[error("parameters are of the other direction")]
    Direction,
    /// Neither tunnel nor transport mode.
    #[error("AH has tunnel and transport mode only")]
    Mode,
    /// AH does not pass through a translator, so it is never encapsulated in UDP or TCP.
    #[error("AH is not encapsulated")]
    Encapsulation,
    /// Outer addresses of two families.
    #[error("outer addresses of two families")]
    MixedFamilies,
    /// No integrity algorithm was named.
    #[error("no integrity algorithm")]
    NoIntegrity,
    /// An encryption algorithm was named.
    #[error("AH does not encrypt")]
    Encryption,
    /// The provider has no such integrity algorithm.
    #[error("provider has no integrity algorithm {0}")]
    UnknownIntegrity(IntegId),
    /// An ICV that does not fit AH's length field or the 64 octets that are provided for here.
    #[error("ICV of {0} octets")]
    IcvLength(usize),
    /// A key of the wrong length.
    #[error("key of {actual} octets does not fit the algorithm")]
    KeyLength {
        /// Octets given.
        actual: usize,
    },
    /// The algorithm refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// What about the headers in front of AH makes an ICV impossible.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// No IP header, a cut off one, or one with lengths that cannot be.
    #[error("malformed IP header")]
    Malformed,
    /// A fragment: AH is for whole packets (RFC 4302 §3.3.4, §3.4.1).
    #[error("packet is a fragment")]
    Fragment,
    /// An option that is longer than its header.
    #[error("malformed option")]
    Option,
    /// A source route or routing header that nobody can follow to its end, or one that arrives with segments left.
    #[error("source route is malformed, unknown or not at its end")]
    Route,
    /// More extension headers or octets of headers than are provided for.
    #[error("too many headers")]
    TooLong,
}

/// Why a packet was not sealed. Nothing was spent unless it says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The buffer leaves too little room in front of the packet.
    #[error("needs {head} octets in front of the packet")]
    NoRoom {
        /// Octets needed in front.
        head: usize,
    },
    /// The packet's range is not inside the buffer.
    #[error("packet range is outside of the buffer")]
    Range,
    /// The packet would be longer than 65535 octets.
    #[error("packet too long")]
    TooLong,
    /// The headers allow no ICV.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// All sequence numbers are used up (RFC 4302 §3.3.2).
    #[error("sequence numbers of the SA are used up")]
    Exhausted,
    /// The hard lifetime in octets or packets is used up.
    #[error("hard lifetime of the SA is used up")]
    Lifetime,
    /// The algorithm failed: a defect of its row in the provider. A number was spent.
    #[error("algorithm failed")]
    Crypto,
}

/// Why a packet was not opened. The buffer's contents are unspecified then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No AH behind the IP headers, or a cut off one.
    #[error("packet is cut off or has no AH")]
    Truncated,
    /// AH's length is not that of the SA's ICV.
    #[error("ICV of the wrong length")]
    IcvLength,
    /// The headers allow no ICV.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The sequence number was accepted before (RFC 4302 §3.4.3).
    #[error("sequence number seen before")]
    Replay,
    /// The sequence number lies below the replay window (RFC 4302 §3.4.3).
    #[error("sequence number below the replay window")]
    OutOfWindow,
    /// The integrity check failed (RFC 4302 §3.4.4).
    #[error("integrity check failed")]
    Icv,
    /// In tunnel mode: something else than IP behind AH. The packet was authentic.
    #[error("next header does not fit the mode")]
    NextHeader,
    /// In tunnel mode: the inner header is not one, or announces more octets than there are. The packet was authentic.
    #[error("inner packet is malformed")]
    Inner,
    /// The hard lifetime in octets or packets is used up.
    #[error("hard lifetime of the SA is used up")]
    Lifetime,
    /// The algorithm failed for another reason than the packet: a defect of its row in the provider.
    #[error("algorithm failed")]
    Crypto,
}
