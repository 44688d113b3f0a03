//! What can go wrong with an SA and with a packet. Each packet error is one auditable event of RFC 4303.

use ipsec_crypto::CryptoError;
use ipsec_wire::ike::{EncrId, IntegId};
use thiserror::Error;

/// Why an SA cannot be made from its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SaError {
    /// The parameters are of an AH SA.
    #[error("parameters are not of an ESP SA")]
    NotEsp,
    /// Parameters of an inbound SA where an outbound one is to be made, or the other way round.
    #[error("parameters are of the other direction")]
    Direction,
    /// The provider has no such encryption algorithm.
    #[error("provider has no encryption algorithm {0}")]
    UnknownEncryption(EncrId),
    /// The provider has no such integrity algorithm.
    #[error("provider has no integrity algorithm {0}")]
    UnknownIntegrity(IntegId),
    /// No encryption algorithm was named.
    #[error("no encryption algorithm")]
    NoEncryption,
    /// Encryption without integrity is not done (RFC 4303 §1 advises against it, RFC 8221 §4 forbids it).
    #[error("encryption without integrity")]
    NoIntegrity,
    /// A combined mode and an integrity algorithm at once (RFC 4303 §3.2.3).
    #[error("combined mode with an integrity algorithm")]
    IntegrityTwice,
    /// The algorithm makes nonces from sequence numbers, and these may repeat (RFC 8750 §2).
    #[error("implicit IV where sequence numbers may repeat")]
    ImplicitIv,
    /// A key of the wrong length, salt included.
    #[error("key material of {actual} octets does not fit the algorithm")]
    KeyLength {
        /// Octets given.
        actual: usize,
    },
    /// The algorithm's lengths do not fit what ESP packets are built for here.
    #[error("algorithm's IV, salt, block or ICV length is not usable")]
    Lengths,
    /// Outer addresses of two families.
    #[error("outer addresses of two families")]
    MixedFamilies,
    /// An outer header of this kind is not written for this mode or encapsulation.
    #[error("outer header does not go with the mode or encapsulation")]
    OuterHeader,
    /// Selectors of a BEET SA that are not one address on either side (RFC 7402 appendix B.1.2).
    #[error("BEET mode needs one inner address on either side")]
    BeetAddresses,
    /// The algorithm refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Why a packet was not sealed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The buffer leaves too little room around the payload. No sequence number was spent.
    #[error("needs {head} octets in front of the payload and {tail} behind it")]
    NoRoom {
        /// Octets needed in front of the payload.
        head: usize,
        /// Octets needed behind it.
        tail: usize,
    },
    /// The payload's range is not inside the buffer. No sequence number was spent.
    #[error("payload range is outside of the buffer")]
    Range,
    /// The outer packet would be longer than 65535 octets. No sequence number was spent.
    #[error("packet too long for its outer header")]
    TooLong,
    /// The payload is not the IP packet that `next` announces, and the outer header is to be made from it. No sequence
    /// number was spent.
    #[error("payload is not an IP packet of the announced version")]
    Inner,
    /// A fragment in transport or BEET mode, which are for whole packets (RFC 4303 §3.3.4). No sequence number was spent.
    #[error("packet is a fragment")]
    Fragment,
    /// Options or extension headers in front of ESP, and no IP header is written that could carry them. No sequence
    /// number was spent.
    #[error("packet has options or extension headers that cannot go along")]
    Headers,
    /// The packet's addresses are not the SA's. No sequence number was spent.
    #[error("addresses of the packet are not those of the SA")]
    Address,
    /// TFC padding that the peer does not take, behind a payload that does not know its own length, or shorter than the
    /// payload (RFC 4303 §2.7). No sequence number was spent.
    #[error("no TFC padding for this payload")]
    Tfc,
    /// All sequence numbers are used up (RFC 4303 §3.3.3).
    #[error("sequence numbers of the SA are used up")]
    Exhausted,
    /// The hard lifetime in octets or packets is used up.
    #[error("hard lifetime of the SA is used up")]
    Lifetime,
    /// An IV of the wrong length was given.
    #[error("IV of the wrong length")]
    Iv,
    /// The algorithm failed: a defect of its row in the provider.
    #[error("algorithm failed")]
    Crypto,
}

/// Why a packet was not opened. The buffer's contents are unspecified then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Too short for header, IV, trailer and ICV, or not whole blocks of the cipher.
    #[error("packet is cut off")]
    Truncated,
    /// No IP header, none that ESP follows, or one that cannot be put in front of the payload.
    #[error("no IP packet with ESP")]
    Header,
    /// A fragment: ESP is for whole packets (RFC 4303 §3.4.1).
    #[error("packet is a fragment")]
    Fragment,
    /// The sequence number was accepted before (RFC 4303 §3.4.3).
    #[error("sequence number seen before")]
    Replay,
    /// The sequence number lies below the replay window (RFC 4303 §3.4.3).
    #[error("sequence number below the replay window")]
    OutOfWindow,
    /// The integrity check failed (RFC 4303 §3.4.4.1).
    #[error("integrity check failed")]
    Icv,
    /// The padding is not 1, 2, 3, … or is longer than the packet (RFC 4303 §2.4). The packet was authentic.
    #[error("padding is wrong")]
    Padding,
    /// The next header does not go with the SA's mode. The packet was authentic.
    #[error("next header does not fit the mode")]
    NextHeader,
    /// In tunnel mode: the inner header is not one, or announces more octets than there are. The packet was authentic.
    #[error("inner packet is malformed")]
    Inner,
    /// Congestion was signalled on an inner packet whose transport does not know the signal (RFC 6040 §4.2). The packet
    /// was authentic.
    #[error("congestion experienced by a packet that is not ECN-capable")]
    Congestion,
    /// The payload is no IPComp of the negotiated kind, or its compressed data is broken (RFC 3173 §2.3). The packet was
    /// authentic.
    #[error("compressed payload is malformed")]
    Compression,
    /// The compressed payload expands to more than there is room for. The packet was authentic.
    #[error("compressed payload is larger than there is room for")]
    Expansion,
    /// The hard lifetime in octets or packets is used up.
    #[error("hard lifetime of the SA is used up")]
    Lifetime,
    /// The algorithm failed for another reason than the packet: a defect of its row in the provider.
    #[error("algorithm failed")]
    Crypto,
}
