//! The Encrypted and Authenticated Fragment payload SKF (RFC 7383 §2.5).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |        Fragment Number        |        Total Fragments        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~              IV, encrypted content, padding, ICV              ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use alloc::vec::Vec;

use super::registry::PayloadType;
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{Out, base};

/// An SKF payload: always the last of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkfView<'a> {
    /// The type of the first payload inside, in the first fragment; 0 in the others.
    pub next: PayloadType,
    /// Which fragment this is, from 1.
    pub fragment_number: u16,
    /// How many there are.
    pub total_fragments: u16,
    /// From the IV to the end of the ICV.
    pub body: &'a [u8],
    /// Where the payload's generic header starts in the message. An AEAD authenticates the message up to
    /// eight octets from here.
    pub payload_offset: usize,
}

impl<'a> SkfView<'a> {
    pub(crate) fn read(next: PayloadType, body: &'a [u8], payload_offset: usize) -> Result<Self, ParseError> {
        let Some((&[n0, n1, t0, t1], body)) = body.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(base(payload_offset) + 4));
        };
        Ok(Self {
            next,
            fragment_number: u16::from_be_bytes([n0, n1]),
            total_fragments: u16::from_be_bytes([t0, t1]),
            body,
            payload_offset,
        })
    }

    /// Whether the numbers can be those of a fragment: from 1 up to the total (RFC 7383 §2.6).
    #[must_use]
    pub const fn is_plausible(&self) -> bool {
        self.fragment_number >= 1 && self.fragment_number <= self.total_fragments
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> SkfBody {
        SkfBody {
            next: self.next,
            fragment_number: self.fragment_number,
            total_fragments: self.total_fragments,
            body: self.body.to_vec(),
        }
    }
}

/// An SKF payload to build: whoever encrypts fills the body in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkfBody {
    /// The type of the first payload inside, in the first fragment; 0 in the others.
    pub next: PayloadType,
    /// Which fragment this is, from 1.
    pub fragment_number: u16,
    /// How many there are.
    pub total_fragments: u16,
    /// From the IV to the end of the ICV.
    pub body: Vec<u8>,
}

impl SkfBody {
    pub(crate) fn emit(&self, out: &mut impl Out) {
        out.extend_from_slice(&self.fragment_number.to_be_bytes());
        out.extend_from_slice(&self.total_fragments.to_be_bytes());
        out.extend_from_slice(&self.body);
    }
}
