//! The KE payload (RFC 7296 §3.4): method, two reserved octets, the public value.

use alloc::vec::Vec;

use super::registry::KeId;
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::Out;

/// A KE payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeView<'a> {
    /// The key exchange method.
    pub method: KeId,
    /// The reserved octets.
    pub reserved: [u8; 2],
    /// The public value, KEM key or ciphertext.
    pub data: &'a [u8],
}

impl<'a> KeView<'a> {
    /// Reads a payload body that stands at an offset of its message.
    ///
    /// # Errors
    /// `Truncated` below four octets. The value's length is for the method to judge.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let Some((&[m0, m1, r0, r1], data)) = body.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(offset));
        };
        Ok(Self { method: KeId(u16::from_be_bytes([m0, m1])), reserved: [r0, r1], data })
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Ke {
        Ke { method: self.method, reserved: self.reserved, data: self.data.to_vec() }
    }
}

/// A KE payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ke {
    /// The key exchange method.
    pub method: KeId,
    /// The reserved octets.
    pub reserved: [u8; 2],
    /// The public value.
    pub data: Vec<u8>,
}

impl Ke {
    /// A KE payload of a method.
    #[must_use]
    pub fn new(method: KeId, data: impl Into<Vec<u8>>) -> Self {
        Self { method, reserved: [0; 2], data: data.into() }
    }

    pub(crate) fn emit(&self, out: &mut impl Out) {
        out.extend_from_slice(&self.method.0.to_be_bytes());
        out.extend_from_slice(&self.reserved);
        out.extend_from_slice(&self.data);
    }
}
