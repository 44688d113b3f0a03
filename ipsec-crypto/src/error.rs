//! What can go wrong in an algorithm. None of it says anything about the octets of a key.

use thiserror::Error;

/// An algorithm's refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// A key of a length that the algorithm does not have.
    #[error("key of {actual} octets, where the algorithm takes another length")]
    KeyLength {
        /// Octets given.
        actual: usize,
    },
    /// A nonce or IV of the wrong length.
    #[error("nonce of {actual} octets instead of {expected}")]
    NonceLength {
        /// Octets given.
        actual: usize,
        /// Octets the algorithm takes.
        expected: usize,
    },
    /// A buffer of the wrong length: not a multiple of the block, or a tag or output of another length.
    #[error("buffer of {actual} octets does not fit the algorithm")]
    BufferLength {
        /// Octets given.
        actual: usize,
    },
    /// An integrity check value, tag or signature that does not hold.
    #[error("integrity check failed")]
    Mismatch,
    /// A peer's public value that RFC 6989, RFC 8031 or FIPS 203 tell a recipient to refuse.
    #[error("peer's public value refused: {0}")]
    PeerPublic(PeerPublicError),
    /// The generator handed in gives nothing that can be used, such as zeros without end.
    #[error("random generator gives no usable value")]
    Randomness,
    /// What keeps a private key (an HSM, a TPM, another process) refused or did not answer.
    #[error("private key cannot be used where it is kept")]
    KeyUnavailable,
    /// The row cannot be used this way (an AEAD asked for a bare cipher, and the like).
    #[error("algorithm cannot be used in this way")]
    Unsupported,
}

/// Why a peer's public value was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PeerPublicError {
    /// Not the length of the method.
    #[error("{actual} octets instead of {expected}")]
    Length {
        /// Octets received.
        actual: usize,
        /// Octets of the method.
        expected: usize,
    },
    /// A MODP value that is 0, 1, p-1 or not below p (RFC 6989 §2.1).
    #[error("value out of range")]
    Range,
    /// A MODP value outside the subgroup of the generator (RFC 6989 §2.2).
    #[error("not in the subgroup")]
    Subgroup,
    /// Coordinates that are no point of the curve (RFC 6989 §2.3).
    #[error("not a point of the curve")]
    NotOnCurve,
    /// The result was all zero: a point of small order (RFC 8031 §5, RFC 7748 §6).
    #[error("point of small order")]
    SmallOrder,
    /// Not a canonical encoding (FIPS 203 modulus check and the like).
    #[error("not a canonical encoding")]
    Encoding,
}
