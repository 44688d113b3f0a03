//! Messages to build: owned mirrors of the views, well-formed by default, ill-formed on purpose.
//!
//! For every accepted message `view.to_builder().emit() == raw`. What RFC 7296 fixes — lengths, counts, next
//! payload fields, last-substructure octets — is computed; an `Option` field beside it overrides it. What is
//! not fixed is whatever the fields say: payloads may stand twice and in any order, reserved bits may be set,
//! and the body of [`SkBody`] may end in any octets instead of its ICV.
//!
//! ```
//! use ipsec_wire::ike::{ExchangeType, Flags, MessageBuilder, MessageView, Payload, PayloadType};
//! use ipsec_wire::{IkeSpi, Limits, ParseErrorKind};
//!
//! let mut message =
//!     MessageBuilder::new(IkeSpi([1; 8]), IkeSpi([0; 8]), ExchangeType::IKE_SA_INIT, Flags::INITIATOR, 0)
//!         .with(Payload::Nonce(vec![7; 16]))
//!         .with(Payload::Nonce(vec![7; 16]));
//! assert!(MessageView::parse(&message.emit(), &Limits::DEFAULT).is_ok());
//!
//! // The first claims to be one octet longer, so that the second begins where none is.
//! message.payloads[0].length = Some(21);
//! assert!(MessageView::parse(&message.emit(), &Limits::DEFAULT).is_err());
//! // The chain says that it is over before the message is.
//! message.payloads[0].length = None;
//! message.payloads[0].next_payload = Some(PayloadType::NONE);
//! let error = MessageView::parse(&message.emit(), &Limits::DEFAULT).unwrap_err();
//! assert_eq!((error.kind, error.offset), (ParseErrorKind::TrailingOctets, 48));
//! ```

use alloc::vec::Vec;

use bytes::BytesMut;

use super::auth::Auth;
use super::cert::{Cert, CertReq};
use super::cp::Cp;
use super::delete::Delete;
use super::fragment::SkfBody;
use super::header::{Flags, Header};
use super::id::Id;
use super::ke::Ke;
use super::message::{Message, MessageView};
use super::notify::Notify;
use super::payload::{CRITICAL, PayloadChain, PayloadKind, PayloadView, Payloads};
use super::registry::{ExchangeType, PayloadType};
use super::sa::Sa;
use super::sk::SkBody;
use super::ts::Ts;
use crate::octets::{Out, patch, saturate16};
use crate::spi::IkeSpi;

/// A message to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageBuilder {
    /// The SPI that the original initiator chose.
    pub initiator_spi: IkeSpi,
    /// The SPI that the original responder chose.
    pub responder_spi: IkeSpi,
    /// Major version in the upper four bits, minor in the lower.
    pub version: u8,
    /// The exchange.
    pub exchange_type: ExchangeType,
    /// The flags.
    pub flags: Flags,
    /// The message id.
    pub message_id: u32,
    /// The payloads.
    pub payloads: Vec<PayloadBuilder>,
    /// Overrides the header's next payload.
    pub next_payload: Option<PayloadType>,
    /// Overrides the header's length.
    pub length: Option<u32>,
    /// Octets behind the message, not counted in its length; none in a well-formed one.
    pub trailing: Vec<u8>,
}

impl MessageBuilder {
    /// An IKEv2 message without payloads.
    #[must_use]
    pub const fn new(
        initiator_spi: IkeSpi,
        responder_spi: IkeSpi,
        exchange_type: ExchangeType,
        flags: Flags,
        message_id: u32,
    ) -> Self {
        Self {
            initiator_spi,
            responder_spi,
            version: Header::VERSION_2_0,
            exchange_type,
            flags,
            message_id,
            payloads: Vec::new(),
            next_payload: None,
            length: None,
            trailing: Vec::new(),
        }
    }

    /// Appends a payload.
    pub fn push(&mut self, payload: impl Into<PayloadBuilder>) {
        self.payloads.push(payload.into());
    }

    /// The same message with one payload more.
    #[must_use]
    pub fn with(mut self, payload: impl Into<PayloadBuilder>) -> Self {
        self.push(payload);
        self
    }

    /// The octets. A body longer than a length field can say is written whole, under the field's maximum:
    /// such a message does not parse.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.write(&mut out);
        out
    }

    /// Appends the octets of [`Self::emit`] to a buffer that may hold others already, such as a marker.
    pub fn emit_into(&self, out: &mut BytesMut) {
        self.write(out);
    }

    fn write(&self, out: &mut impl Out) {
        let start = out.len();
        let first = first_type(&self.payloads);
        let header = Header {
            initiator_spi: self.initiator_spi,
            responder_spi: self.responder_spi,
            next_payload: self.next_payload.unwrap_or(first),
            version: self.version,
            exchange_type: self.exchange_type,
            flags: self.flags,
            message_id: self.message_id,
            length: 0,
        };
        out.extend_from_slice(&header.emit());
        write_chain(&self.payloads, out);
        let length = self.length.unwrap_or(u32::try_from(out.len() - start).unwrap_or(u32::MAX));
        patch(out, start + 24, &length.to_be_bytes());
        out.extend_from_slice(&self.trailing);
    }
}

impl From<MessageView<'_>> for MessageBuilder {
    fn from(view: MessageView<'_>) -> Self {
        view.to_builder()
    }
}

impl MessageView<'_> {
    /// The owned mirror, which emits the same octets.
    #[must_use]
    pub fn to_builder(&self) -> MessageBuilder {
        let header = self.header();
        let mut builder = MessageBuilder::new(
            header.initiator_spi,
            header.responder_spi,
            header.exchange_type,
            header.flags,
            header.message_id,
        );
        builder.version = header.version;
        builder.payloads = to_builders(self.payloads());
        builder
    }
}

impl<B: AsRef<[u8]>> Message<B> {
    /// The owned mirror, which emits the same octets.
    #[must_use]
    pub fn to_builder(&self) -> MessageBuilder {
        self.view().to_builder()
    }
}

impl PayloadChain<'_> {
    /// The owned mirror, for which [`emit_chain`] returns the same octets.
    #[must_use]
    pub fn to_builders(&self) -> Vec<PayloadBuilder> {
        to_builders(self.payloads())
    }
}

fn to_builders(payloads: Payloads<'_>) -> Vec<PayloadBuilder> {
    payloads.map(|payload| payload.to_builder()).collect()
}

impl PayloadView<'_> {
    /// The owned mirror.
    #[must_use]
    pub fn to_builder(&self) -> PayloadBuilder {
        let payload = match self.kind() {
            PayloadKind::Sa(sa) => Payload::Sa(sa.to_owned()),
            PayloadKind::Ke(ke) => Payload::Ke(ke.to_owned()),
            PayloadKind::IdI(id) => Payload::IdI(id.to_owned()),
            PayloadKind::IdR(id) => Payload::IdR(id.to_owned()),
            PayloadKind::Cert(cert) => Payload::Cert(cert.to_owned()),
            PayloadKind::CertReq(request) => Payload::CertReq(request.to_owned()),
            PayloadKind::Auth(auth) => Payload::Auth(auth.to_owned()),
            PayloadKind::Nonce(nonce) => Payload::Nonce(nonce.to_vec()),
            PayloadKind::Notify(notify) => Payload::Notify(notify.to_owned()),
            PayloadKind::Delete(delete) => Payload::Delete(delete.to_owned()),
            PayloadKind::Vendor(vendor) => Payload::Vendor(vendor.to_vec()),
            PayloadKind::TsI(ts) => Payload::TsI(ts.to_owned()),
            PayloadKind::TsR(ts) => Payload::TsR(ts.to_owned()),
            PayloadKind::Sk(sk) => Payload::Sk(sk.to_owned()),
            PayloadKind::Skf(skf) => Payload::Skf(skf.to_owned()),
            PayloadKind::Cp(cp) => Payload::Cp(cp.to_owned()),
            PayloadKind::Eap(eap) => Payload::Eap(eap.to_vec()),
            PayloadKind::Gspm(data) => Payload::Gspm(data.to_vec()),
            PayloadKind::Ps(solution) => Payload::Ps(solution.data.to_vec()),
            PayloadKind::Unknown(body) => {
                Payload::Unknown { payload_type: self.payload_type, body: body.to_vec() }
            }
        };
        PayloadBuilder { flags: self.flags, ..PayloadBuilder::from(payload) }
    }
}

/// A payload to build, with its generic header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadBuilder {
    /// The payload.
    pub payload: Payload,
    /// The critical bit and the reserved bits.
    pub flags: u8,
    /// Overrides the next payload field.
    pub next_payload: Option<PayloadType>,
    /// Overrides the length.
    pub length: Option<u16>,
}

impl PayloadBuilder {
    /// The same payload with the critical bit set.
    #[must_use]
    pub fn critical(mut self) -> Self {
        self.flags |= CRITICAL;
        self
    }
}

impl From<Payload> for PayloadBuilder {
    fn from(payload: Payload) -> Self {
        Self { payload, flags: 0, next_payload: None, length: None }
    }
}

/// A payload to build, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// Security Association.
    Sa(Sa),
    /// Key Exchange.
    Ke(Ke),
    /// Identification of the initiator.
    IdI(Id),
    /// Identification of the responder.
    IdR(Id),
    /// Certificate.
    Cert(Cert),
    /// Certificate Request.
    CertReq(CertReq),
    /// Authentication.
    Auth(Auth),
    /// Nonce.
    Nonce(Vec<u8>),
    /// Notify.
    Notify(Notify),
    /// Delete.
    Delete(Delete),
    /// Vendor ID.
    Vendor(Vec<u8>),
    /// Traffic Selectors of the initiator.
    TsI(Ts),
    /// Traffic Selectors of the responder.
    TsR(Ts),
    /// Encrypted and Authenticated.
    Sk(SkBody),
    /// Encrypted and Authenticated Fragment.
    Skf(SkfBody),
    /// Configuration.
    Cp(Cp),
    /// Extensible Authentication: one EAP packet.
    Eap(Vec<u8>),
    /// Generic Secure Password Method: the method's data.
    Gspm(Vec<u8>),
    /// Puzzle Solution: four keys of one size.
    Ps(Vec<u8>),
    /// Any other type, or a known one with a body of the caller's making.
    Unknown {
        /// The payload's type.
        payload_type: PayloadType,
        /// What follows the generic header.
        body: Vec<u8>,
    },
}

impl Payload {
    /// The payload's type.
    #[must_use]
    pub const fn payload_type(&self) -> PayloadType {
        match self {
            Self::Sa(_) => PayloadType::SA,
            Self::Ke(_) => PayloadType::KE,
            Self::IdI(_) => PayloadType::IDI,
            Self::IdR(_) => PayloadType::IDR,
            Self::Cert(_) => PayloadType::CERT,
            Self::CertReq(_) => PayloadType::CERTREQ,
            Self::Auth(_) => PayloadType::AUTH,
            Self::Nonce(_) => PayloadType::NONCE,
            Self::Notify(_) => PayloadType::NOTIFY,
            Self::Delete(_) => PayloadType::DELETE,
            Self::Vendor(_) => PayloadType::VENDOR,
            Self::TsI(_) => PayloadType::TSI,
            Self::TsR(_) => PayloadType::TSR,
            Self::Sk(_) => PayloadType::SK,
            Self::Skf(_) => PayloadType::SKF,
            Self::Cp(_) => PayloadType::CP,
            Self::Eap(_) => PayloadType::EAP,
            Self::Gspm(_) => PayloadType::GSPM,
            Self::Ps(_) => PayloadType::PS,
            Self::Unknown { payload_type, .. } => *payload_type,
        }
    }

    /// The payload's body: what follows the generic header.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_body(&mut out);
        out
    }

    /// The next payload field that does not depend on what follows: SK and SKF tell what is inside.
    const fn next_inside(&self) -> Option<PayloadType> {
        match self {
            Self::Sk(sk) => Some(sk.next),
            Self::Skf(skf) => Some(skf.next),
            _ => None,
        }
    }

    fn write_body(&self, out: &mut impl Out) {
        match self {
            Self::Sa(sa) => sa.emit(out),
            Self::Ke(ke) => ke.emit(out),
            Self::IdI(id) | Self::IdR(id) => id.emit(out),
            Self::Cert(cert) => cert.emit(out),
            Self::CertReq(request) => request.emit(out),
            Self::Auth(auth) => auth.emit(out),
            Self::Notify(notify) => notify.emit(out),
            Self::Delete(delete) => delete.emit(out),
            Self::TsI(ts) | Self::TsR(ts) => ts.emit(out),
            Self::Sk(sk) => out.extend_from_slice(&sk.body),
            Self::Skf(skf) => skf.emit(out),
            Self::Cp(cp) => cp.emit(out),
            Self::Nonce(body)
            | Self::Vendor(body)
            | Self::Eap(body)
            | Self::Gspm(body)
            | Self::Ps(body)
            | Self::Unknown { body, .. } => out.extend_from_slice(body),
        }
    }
}

macro_rules! from_kinds {
    ($($kind:ident($body:ty))*) => { $(
        impl From<$body> for Payload {
            fn from(body: $body) -> Self {
                Self::$kind(body)
            }
        }

        impl From<$body> for PayloadBuilder {
            fn from(body: $body) -> Self {
                Payload::from(body).into()
            }
        }
    )* };
}

from_kinds! { Sa(Sa) Ke(Ke) Cert(Cert) CertReq(CertReq) Auth(Auth) Notify(Notify) Delete(Delete) Sk(SkBody) Skf(SkfBody) Cp(Cp) }

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Payload {}
    impl Sealed for super::PayloadBuilder {}
}

/// What [`emit_chain`] takes: payloads with their generic header's bits, or without.
pub trait ChainItem: sealed::Sealed {
    /// The payload.
    fn payload(&self) -> &Payload;
    /// The critical bit and the reserved bits.
    fn flags(&self) -> u8 {
        0
    }
    /// What overrides the next payload field.
    fn next_payload(&self) -> Option<PayloadType> {
        None
    }
    /// What overrides the length.
    fn length(&self) -> Option<u16> {
        None
    }
}

impl ChainItem for Payload {
    fn payload(&self) -> &Payload {
        self
    }
}

impl ChainItem for PayloadBuilder {
    fn payload(&self) -> &Payload {
        &self.payload
    }
    fn flags(&self) -> u8 {
        self.flags
    }
    fn next_payload(&self) -> Option<PayloadType> {
        self.next_payload
    }
    fn length(&self) -> Option<u16> {
        self.length
    }
}

/// The octets of a chain and the type of its first payload: what goes into an SK payload.
#[must_use]
pub fn emit_chain<P: ChainItem>(payloads: &[P]) -> (PayloadType, Vec<u8>) {
    let mut out = Vec::with_capacity(256);
    write_chain(payloads, &mut out);
    (first_type(payloads), out)
}

fn first_type<P: ChainItem>(payloads: &[P]) -> PayloadType {
    payloads.first().map_or(PayloadType::NONE, |item| item.payload().payload_type())
}

fn write_chain<P: ChainItem>(payloads: &[P], out: &mut impl Out) {
    let mut rest = payloads;
    while let Some((item, following)) = rest.split_first() {
        let payload = item.payload();
        let start = out.len();
        let next = item.next_payload().or(payload.next_inside()).unwrap_or(first_type(following));
        out.extend_from_slice(&[next.0, item.flags(), 0, 0]);
        payload.write_body(out);
        let length = item.length().unwrap_or(saturate16(out.len() - start));
        patch(out, start + 2, &length.to_be_bytes());
        rest = following;
    }
}
