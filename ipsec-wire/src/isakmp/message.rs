//! A whole ISAKMP message and the decrypted contents of one (RFC 2408 §3.1).

use super::payload::{Payloads, check_chain};
use super::registry::PayloadType;
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::ike::Header;
use crate::octets::base;

/// The flags octet of an IKEv1 header. Reserved bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// E: what follows the header is encrypted.
    pub const ENCRYPTION: Self = Self(0x01);
    /// C: the other side waits for CONNECTED.
    pub const COMMIT: Self = Self(0x02);
    /// A: authenticated only.
    pub const AUTHENTICATION_ONLY: Self = Self(0x04);

    /// Whether all bits of the other are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A validated IKEv1 message on borrowed octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsakmpView<'a> {
    raw: &'a [u8],
    header: Header,
}

impl<'a> IsakmpView<'a> {
    /// Validates the header and, of a message in clear, the chain and every body; nothing is allocated.
    ///
    /// # Errors
    /// `UnsupportedVersion` for a major version other than 1; any structural fault, with its offset; a cap
    /// of the limits exceeded.
    pub fn parse(raw: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        if raw.len() > limits.message_len {
            return Err(ParseErrorKind::TooMany(Counted::Octets).at(limits.message_len));
        }
        let header = Header::parse(raw)?;
        if header.major_version() != 1 {
            return Err(ParseErrorKind::UnsupportedVersion(header.major_version()).at(17));
        }
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if length < Header::LEN {
            return Err(ParseErrorKind::BadLength.at(24));
        }
        if length > raw.len() {
            return Err(ParseErrorKind::Truncated.at(24));
        }
        if length < raw.len() {
            return Err(ParseErrorKind::TrailingOctets.at(length));
        }
        let view = Self { raw, header };
        if !view.is_encrypted() {
            let end = check_chain(view.first_payload(), view.body(), Header::LEN, limits)?;
            if end != view.body().len() {
                return Err(ParseErrorKind::TrailingOctets.at(Header::LEN + end));
            }
        }
        Ok(view)
    }

    /// The header. Its exchange type, SPIs and message id mean what IKEv1 calls exchange, cookies and message
    /// id; for payload type and flags there are [`Self::first_payload`] and [`Self::flags`].
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        Flags(self.header.flags.0)
    }

    /// The type of the first payload, in clear even when the rest is encrypted.
    #[must_use]
    pub const fn first_payload(&self) -> PayloadType {
        PayloadType(self.header.next_payload.0)
    }

    /// Whether what follows the header is encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.flags().contains(Flags::ENCRYPTION)
    }

    /// The octets of the message.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The octets behind the header.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.raw.get(Header::LEN..).unwrap_or_default()
    }

    /// The payloads; none of an encrypted message.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'a> {
        let first = if self.is_encrypted() { PayloadType::NONE } else { self.first_payload() };
        Payloads::new(first, self.body(), Header::LEN)
    }
}

/// The decrypted body of a message: a chain, then padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsakmpChain<'a> {
    first: PayloadType,
    chain: &'a [u8],
    padding: &'a [u8],
    base_offset: usize,
}

impl<'a> IsakmpChain<'a> {
    /// Validates a chain and the body of every payload in it. Offsets count from `base_offset`.
    ///
    /// # Errors
    /// Any structural fault, with its offset; a cap of the limits exceeded.
    pub fn parse(
        first: PayloadType,
        bytes: &'a [u8],
        base_offset: usize,
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        let base_offset = base(base_offset);
        let end = check_chain(first, bytes, base_offset, limits)?;
        let (chain, padding) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        Ok(Self { first, chain, padding, base_offset })
    }

    /// The payloads.
    #[must_use]
    pub const fn payloads(&self) -> Payloads<'a> {
        Payloads::new(self.first, self.chain, self.base_offset)
    }

    /// The octets of the chain, without the padding.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.chain
    }

    /// The padding behind it.
    #[must_use]
    pub const fn padding(&self) -> &'a [u8] {
        self.padding
    }
}
