//! The generic payload header and the chain it makes (RFC 7296 §3.2).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Payload  |C|  RESERVED   |         Payload Length        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::auth::AuthView;
use super::cert::{CertReqView, CertView};
use super::cp::CpView;
use super::delete::DeleteView;
use super::fragment::SkfView;
use super::id::IdView;
use super::ke::KeView;
use super::notify::NotifyView;
use super::puzzle::PuzzleSolutionView;
use super::registry::{NotifyType, PayloadType};
use super::sa::SaView;
use super::sk::SkView;
use super::ts::TsView;
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::octets::{base, spend};

/// Octets of the generic payload header.
pub const PAYLOAD_HEADER_LEN: usize = 4;
/// C, the critical bit, in the second octet of the generic payload header.
pub const CRITICAL: u8 = 0x80;

impl PayloadType {
    /// Whether the type is one of RFC 7296 or RFC 7383, which every implementation built on this crate
    /// understands. A critical payload for which this is false asks for UNSUPPORTED_CRITICAL_PAYLOAD (RFC
    /// 7296 §2.5), unless the caller understands it: GSPM and PS are read here, but acted upon by few.
    #[must_use]
    pub const fn is_understood(self) -> bool {
        matches!(self.0, 33..=48) || self.0 == Self::SKF.0
    }

    /// Whether payloads of the type end their chain and hold another one: SK and SKF.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        self.0 == Self::SK.0 || self.0 == Self::SKF.0
    }
}

/// Whether a chain may end in an encrypted payload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Message,
    Decrypted,
}

/// Walks a chain that fills its octets and validates the body of every payload.
pub(crate) fn check_chain(
    first: PayloadType,
    bytes: &[u8],
    offset: usize,
    layer: Layer,
    limits: &Limits,
) -> Result<(), ParseError> {
    let mut budget = *limits;
    let (mut next, mut at) = (first, 0);
    while next != PayloadType::NONE {
        let here = offset + at;
        let rest = bytes.get(at..).unwrap_or_default();
        let &[following, _, l0, l1] = rest.first_chunk().ok_or(ParseErrorKind::Truncated.at(here))?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < PAYLOAD_HEADER_LEN {
            return Err(ParseErrorKind::BadLength.at(here + 2));
        }
        let body = rest.get(PAYLOAD_HEADER_LEN..length).ok_or(ParseErrorKind::Truncated.at(here + 2))?;
        spend(&mut budget.payloads, 1, Counted::Payloads, here)?;
        if layer == Layer::Decrypted && next.is_encrypted() {
            return Err(ParseErrorKind::UnexpectedPayload(next.0).at(here));
        }
        check_body(next, body, here + PAYLOAD_HEADER_LEN, &mut budget)?;
        at += length;
        if next.is_encrypted() {
            break;
        }
        next = PayloadType(following);
    }
    if at == bytes.len() { Ok(()) } else { Err(ParseErrorKind::TrailingOctets.at(offset + at)) }
}

fn check_body(
    payload_type: PayloadType,
    body: &[u8],
    offset: usize,
    budget: &mut Limits,
) -> Result<(), ParseError> {
    match payload_type {
        PayloadType::SA => SaView::check(body, offset, budget),
        PayloadType::KE => KeView::parse(body, offset).map(drop),
        PayloadType::IDI | PayloadType::IDR => IdView::parse(body, offset).map(drop),
        PayloadType::CERT => CertView::parse(body, offset).map(drop),
        PayloadType::CERTREQ => CertReqView::parse(body, offset).map(drop),
        PayloadType::AUTH => AuthView::parse(body, offset).map(drop),
        PayloadType::NOTIFY => {
            spend(&mut budget.notifies, 1, Counted::Notifies, offset)?;
            NotifyView::parse(body, offset).map(drop)
        }
        PayloadType::DELETE => DeleteView::check(body, offset, budget),
        PayloadType::TSI | PayloadType::TSR => TsView::check(body, offset, budget),
        PayloadType::SKF => SkfView::read(PayloadType::NONE, body, offset - PAYLOAD_HEADER_LEN).map(drop),
        PayloadType::CP => CpView::check(body, offset, budget),
        // Nonce, Vendor, SK and EAP are octets, and so is whatever is not known.
        _ => Ok(()),
    }
}

/// Iterates over the payloads of a validated chain.
#[derive(Debug, Clone)]
pub struct Payloads<'a> {
    next: PayloadType,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Payloads<'a> {
    pub(crate) const fn new(first: PayloadType, bytes: &'a [u8], offset: usize) -> Self {
        Self { next: first, bytes, offset }
    }
}

impl<'a> Iterator for Payloads<'a> {
    type Item = PayloadView<'a>;

    fn next(&mut self) -> Option<PayloadView<'a>> {
        if self.next == PayloadType::NONE {
            return None;
        }
        let &[following, flags, l0, l1] = self.bytes.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (payload, rest) = self.bytes.split_at_checked(length)?;
        let view = PayloadView {
            payload_type: self.next,
            next_payload: PayloadType(following),
            flags,
            body: payload.get(PAYLOAD_HEADER_LEN..)?,
            offset: self.offset,
        };
        self.next = if self.next.is_encrypted() { PayloadType::NONE } else { view.next_payload };
        self.bytes = rest;
        self.offset += length;
        Some(view)
    }
}

/// One payload of a validated chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadView<'a> {
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The next payload field: the type of what follows, of SK and SKF that of the first payload inside.
    pub next_payload: PayloadType,
    /// The critical bit and the reserved bits.
    pub flags: u8,
    /// What follows the generic header.
    pub body: &'a [u8],
    /// Where the generic header starts in the message.
    pub offset: usize,
}

impl<'a> PayloadView<'a> {
    /// Whether the critical bit is set. It means nothing on a payload that is understood.
    #[must_use]
    pub const fn critical(&self) -> bool {
        self.flags & CRITICAL != 0
    }

    /// The payload by its kind.
    #[must_use]
    pub fn kind(&self) -> PayloadKind<'a> {
        self.read().unwrap_or(PayloadKind::Unknown(self.body))
    }

    /// `None` only for a body that validation would have refused.
    fn read(&self) -> Option<PayloadKind<'a>> {
        let (body, at) = (self.body, self.offset);
        Some(match self.payload_type {
            PayloadType::SA => PayloadKind::Sa(SaView::validated(body)),
            PayloadType::KE => PayloadKind::Ke(KeView::parse(body, at).ok()?),
            PayloadType::IDI => PayloadKind::IdI(IdView::parse(body, at).ok()?),
            PayloadType::IDR => PayloadKind::IdR(IdView::parse(body, at).ok()?),
            PayloadType::CERT => PayloadKind::Cert(CertView::parse(body, at).ok()?),
            PayloadType::CERTREQ => PayloadKind::CertReq(CertReqView::parse(body, at).ok()?),
            PayloadType::AUTH => PayloadKind::Auth(AuthView::parse(body, at).ok()?),
            PayloadType::NONCE => PayloadKind::Nonce(body),
            PayloadType::NOTIFY => PayloadKind::Notify(NotifyView::parse(body, at).ok()?),
            PayloadType::DELETE => PayloadKind::Delete(DeleteView::parse(body, at).ok()?),
            PayloadType::VENDOR => PayloadKind::Vendor(body),
            PayloadType::TSI => PayloadKind::TsI(TsView::validated(body)?),
            PayloadType::TSR => PayloadKind::TsR(TsView::validated(body)?),
            PayloadType::SK => PayloadKind::Sk(SkView { next: self.next_payload, body, payload_offset: at }),
            PayloadType::SKF => PayloadKind::Skf(SkfView::read(self.next_payload, body, at).ok()?),
            PayloadType::CP => PayloadKind::Cp(CpView::validated(body)?),
            PayloadType::EAP => PayloadKind::Eap(body),
            PayloadType::GSPM => PayloadKind::Gspm(body),
            PayloadType::PS => PayloadKind::Ps(PuzzleSolutionView { data: body }),
            _ => PayloadKind::Unknown(body),
        })
    }
}

/// A payload by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadKind<'a> {
    /// Security Association.
    Sa(SaView<'a>),
    /// Key Exchange.
    Ke(KeView<'a>),
    /// Identification of the initiator.
    IdI(IdView<'a>),
    /// Identification of the responder.
    IdR(IdView<'a>),
    /// Certificate.
    Cert(CertView<'a>),
    /// Certificate Request.
    CertReq(CertReqView<'a>),
    /// Authentication.
    Auth(AuthView<'a>),
    /// Nonce: 16 to 256 octets where it is usable (RFC 7296 §3.9), which is not checked here.
    Nonce(&'a [u8]),
    /// Notify.
    Notify(NotifyView<'a>),
    /// Delete.
    Delete(DeleteView<'a>),
    /// Vendor ID.
    Vendor(&'a [u8]),
    /// Traffic Selectors of the initiator.
    TsI(TsView<'a>),
    /// Traffic Selectors of the responder.
    TsR(TsView<'a>),
    /// Encrypted and Authenticated.
    Sk(SkView<'a>),
    /// Encrypted and Authenticated Fragment.
    Skf(SkfView<'a>),
    /// Configuration.
    Cp(CpView<'a>),
    /// Extensible Authentication: one EAP packet.
    Eap(&'a [u8]),
    /// Generic Secure Password Method: the data is the method's (RFC 6467 §3).
    Gspm(&'a [u8]),
    /// Puzzle Solution.
    Ps(PuzzleSolutionView<'a>),
    /// A type whose body is not read here; those of group key management have names.
    Unknown(&'a [u8]),
}

/// What a message and the decrypted contents of an SK payload have in common: look-ups in a chain.
macro_rules! chain_lookups {
    () => {
        /// The first payload of a type.
        #[must_use]
        pub fn find(&self, payload_type: PayloadType) -> Option<PayloadView<'a>> {
            self.payloads().find(|payload| payload.payload_type == payload_type)
        }

        /// The Notify payloads.
        #[must_use]
        pub fn notifies(&self) -> Notifies<'a> {
            Notifies { payloads: self.payloads() }
        }

        /// The first notification of a type.
        #[must_use]
        pub fn notify(&self, notify_type: NotifyType) -> Option<NotifyView<'a>> {
            self.notifies().find(|notify| notify.notify_type == notify_type)
        }

        /// The type of the first payload that is critical and not understood: RFC 7296 §2.5 has the message
        /// rejected with UNSUPPORTED_CRITICAL_PAYLOAD. A caller who does understand the type looks on.
        #[must_use]
        pub fn unsupported_critical(&self) -> Option<PayloadType> {
            self.payloads()
                .find(|payload| payload.critical() && !payload.payload_type.is_understood())
                .map(|payload| payload.payload_type)
        }
    };
}
pub(crate) use chain_lookups;

/// Iterates over the Notify payloads of a chain.
#[derive(Debug, Clone)]
pub struct Notifies<'a> {
    pub(crate) payloads: Payloads<'a>,
}

impl<'a> Iterator for Notifies<'a> {
    type Item = NotifyView<'a>;

    fn next(&mut self) -> Option<NotifyView<'a>> {
        self.payloads.find_map(|payload| match payload.kind() {
            PayloadKind::Notify(notify) => Some(notify),
            _ => None,
        })
    }
}

/// The decrypted contents of an SK payload: a chain without a header of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadChain<'a> {
    first: PayloadType,
    bytes: &'a [u8],
    base_offset: usize,
}

impl<'a> PayloadChain<'a> {
    /// Validates a chain and the body of every payload in it, with `first` from the SK payload's next
    /// payload field and without the padding. Offsets in errors and views count from `base_offset`.
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
        check_chain(first, bytes, base_offset, Layer::Decrypted, limits)?;
        Ok(Self { first, bytes, base_offset })
    }

    /// The type of the first payload.
    #[must_use]
    pub const fn first(&self) -> PayloadType {
        self.first
    }

    /// The octets of the whole chain.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.bytes
    }

    /// The payloads.
    #[must_use]
    pub const fn payloads(&self) -> Payloads<'a> {
        Payloads::new(self.first, self.bytes, self.base_offset)
    }

    chain_lookups! {}
}
