//! The Encrypted and Authenticated payload SK (RFC 7296 §3.14): IV, ciphertext, ICV, opaque here.

use alloc::vec::Vec;

use super::registry::PayloadType;

/// An SK payload: always the last of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkView<'a> {
    /// The type of the first payload inside.
    pub next: PayloadType,
    /// From the IV to the end of the ICV.
    pub body: &'a [u8],
    /// Where the payload's generic header starts in the message. An AEAD authenticates the message up to
    /// four octets from here (RFC 5282 §5.1).
    pub payload_offset: usize,
}

impl SkView<'_> {
    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> SkBody {
        SkBody { next: self.next, body: self.body.to_vec() }
    }
}

/// An SK payload to build: whoever encrypts fills the body in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkBody {
    /// The type of the first payload inside.
    pub next: PayloadType,
    /// From the IV to the end of the ICV.
    pub body: Vec<u8>,
}
