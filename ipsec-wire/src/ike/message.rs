//! A whole IKE message: header and payload chain, validated once (RFC 7296 §3).
//!
//! What is decided here, once for all:
//! - A datagram shorter than the header's length is `Truncated`, a longer one has `TrailingOctets`: nothing
//!   that is not covered by the length is carried along, and nothing is read beyond it.
//! - A chain must end exactly where the message ends. SK and SKF end it: their next payload field tells what
//!   is inside.
//! - Last-substructure octets and counts must agree with the lengths.
//! - Unknown payload types, critical or not, and reserved bits do not make a message malformed.

use super::fragment::SkfView;
use super::header::Header;
use super::notify::NotifyView;
use super::payload::{Layer, Notifies, PayloadKind, PayloadView, Payloads, chain_lookups, check_chain};
use super::registry::{NotifyType, PayloadType};
use super::sk::SkView;
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};

/// A validated message together with its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<B: AsRef<[u8]>> {
    raw: B,
    header: Header,
}

impl<B: AsRef<[u8]>> Message<B> {
    /// Validates the header, the chain and every body once; nothing is allocated.
    ///
    /// # Errors
    /// As [`MessageView::parse`].
    pub fn parse(raw: B, limits: &Limits) -> Result<Self, ParseError> {
        let header = MessageView::parse(raw.as_ref(), limits)?.header;
        Ok(Self { raw, header })
    }

    /// The message as a view.
    #[must_use]
    pub fn view(&self) -> MessageView<'_> {
        MessageView { raw: self.raw.as_ref(), header: self.header }
    }

    /// The octets.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.raw.as_ref()
    }

    /// The octets back.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.raw
    }
}

/// A validated message on borrowed octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageView<'a> {
    raw: &'a [u8],
    header: Header,
}

impl<'a> MessageView<'a> {
    /// Validates the header, the chain and every body once; nothing is allocated.
    ///
    /// # Errors
    /// `UnsupportedVersion` for a major version other than 2; any structural fault, with its offset; a cap
    /// of the limits exceeded.
    pub fn parse(raw: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        if raw.len() > limits.message_len {
            return Err(ParseErrorKind::TooMany(Counted::Octets).at(limits.message_len));
        }
        let header = Header::parse(raw)?;
        if header.major_version() != 2 {
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
        let chain = raw.get(Header::LEN..).unwrap_or_default();
        check_chain(header.next_payload, chain, Header::LEN, Layer::Message, limits)?;
        Ok(Self { raw, header })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// The octets of the message.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The payloads.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'a> {
        let chain = self.raw.get(Header::LEN..).unwrap_or_default();
        Payloads::new(self.header.next_payload, chain, Header::LEN)
    }

    chain_lookups! {}

    /// The SK payload, which is the last one.
    #[must_use]
    pub fn encrypted(&self) -> Option<SkView<'a>> {
        self.payloads().find_map(|payload| match payload.kind() {
            PayloadKind::Sk(sk) => Some(sk),
            _ => None,
        })
    }

    /// The SKF payload, which is the last one.
    #[must_use]
    pub fn fragment(&self) -> Option<SkfView<'a>> {
        self.payloads().find_map(|payload| match payload.kind() {
            PayloadKind::Skf(skf) => Some(skf),
            _ => None,
        })
    }
}
