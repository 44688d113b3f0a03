//! The AUTH payload (RFC 7296 §3.8): method, three reserved octets, the proof.

use alloc::vec::Vec;

use super::registry::AuthMethod;
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::Out;

/// An AUTH payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthView<'a> {
    /// The method.
    pub method: AuthMethod,
    /// The reserved octets.
    pub reserved: [u8; 3],
    /// The signature or MIC.
    pub data: &'a [u8],
}

impl<'a> AuthView<'a> {
    /// Reads a payload body that stands at an offset of its message.
    ///
    /// # Errors
    /// `Truncated` below four octets.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let Some((&[method, r0, r1, r2], data)) = body.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(offset));
        };
        Ok(Self { method: AuthMethod(method), reserved: [r0, r1, r2], data })
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Auth {
        Auth { method: self.method, reserved: self.reserved, data: self.data.to_vec() }
    }
}

/// An AUTH payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Auth {
    /// The method.
    pub method: AuthMethod,
    /// The reserved octets.
    pub reserved: [u8; 3],
    /// The signature or MIC.
    pub data: Vec<u8>,
}

impl Auth {
    /// A proof by a method.
    #[must_use]
    pub fn new(method: AuthMethod, data: impl Into<Vec<u8>>) -> Self {
        Self { method, reserved: [0; 3], data: data.into() }
    }

    pub(crate) fn emit(&self, out: &mut impl Out) {
        out.push(self.method.0);
        out.extend_from_slice(&self.reserved);
        out.extend_from_slice(&self.data);
    }
}
