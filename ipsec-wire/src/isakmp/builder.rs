//! ISAKMP messages to build. For every accepted message `view.to_builder().emit() == raw`.

use alloc::vec::Vec;

use super::message::{Flags, IsakmpChain, IsakmpView};
use super::payload::{PayloadView, Payloads};
use super::registry::{CfgMessageType, NotifyType, PayloadType, ProtocolId};
use super::sa::{self, Proposal, SaView};
use crate::ike::{AttributeValue, ExchangeType, Header, IdType, PayloadType as AnyPayloadType};
use crate::octets::{patch, put16, saturate8, saturate16};
use crate::spi::IkeSpi;

/// A message to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsakmpBuilder {
    /// The initiator's cookie.
    pub initiator_cookie: IkeSpi,
    /// The responder's cookie.
    pub responder_cookie: IkeSpi,
    /// Major version in the upper four bits, minor in the lower.
    pub version: u8,
    /// The exchange.
    pub exchange_type: ExchangeType,
    /// The flags.
    pub flags: Flags,
    /// The message id, 0 in phase 1.
    pub message_id: u32,
    /// The payloads.
    pub payloads: Vec<PayloadBuilder>,
    /// What stands behind the header instead of payloads: an encrypted body.
    pub encrypted: Option<Vec<u8>>,
    /// Overrides the header's next payload; with an encrypted body it says what is first inside.
    pub next_payload: Option<PayloadType>,
    /// Overrides the header's length.
    pub length: Option<u32>,
}

impl IsakmpBuilder {
    /// IKE version 1.0.
    pub const VERSION_1_0: u8 = 0x10;

    /// A message without payloads.
    #[must_use]
    pub const fn new(
        initiator_cookie: IkeSpi,
        responder_cookie: IkeSpi,
        exchange_type: ExchangeType,
        message_id: u32,
    ) -> Self {
        Self {
            initiator_cookie,
            responder_cookie,
            version: Self::VERSION_1_0,
            exchange_type,
            flags: Flags(0),
            message_id,
            payloads: Vec::new(),
            encrypted: None,
            next_payload: None,
            length: None,
        }
    }

    /// The same message with one payload more.
    #[must_use]
    pub fn with(mut self, payload: PayloadBuilder) -> Self {
        self.payloads.push(payload);
        self
    }

    /// The octets.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let (first, chain) = emit_chain(&self.payloads);
        let body = self.encrypted.as_ref().unwrap_or(&chain);
        let length = u32::try_from(Header::LEN + body.len()).unwrap_or(u32::MAX);
        let header = Header {
            initiator_spi: self.initiator_cookie,
            responder_spi: self.responder_cookie,
            next_payload: AnyPayloadType(self.next_payload.unwrap_or(first).0),
            version: self.version,
            exchange_type: self.exchange_type,
            flags: crate::ike::Flags(self.flags.0),
            message_id: self.message_id,
            length: self.length.unwrap_or(length),
        };
        [&header.emit()[..], body].concat()
    }
}

/// A payload to build: any body under any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadBuilder {
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The reserved octet.
    pub reserved: u8,
    /// What follows the generic header.
    pub body: Vec<u8>,
    /// Overrides the next payload field.
    pub next_payload: Option<PayloadType>,
    /// Overrides the length.
    pub length: Option<u16>,
}

impl PayloadBuilder {
    /// A payload of octets: KE, HASH, SIG, NONCE, VID, NAT-D, or any other type.
    #[must_use]
    pub fn new(payload_type: PayloadType, body: impl Into<Vec<u8>>) -> Self {
        Self { payload_type, reserved: 0, body: body.into(), next_payload: None, length: None }
    }

    /// An SA payload of the IPsec DOI.
    #[must_use]
    pub fn sa(proposals: &[Proposal]) -> Self {
        Self::new(PayloadType::SA, sa::body(proposals))
    }

    /// An identification.
    #[must_use]
    pub fn id(id_type: IdType, protocol: u8, port: u16, data: &[u8]) -> Self {
        let [p0, p1] = port.to_be_bytes();
        Self::new(PayloadType::ID, [&[id_type.0, protocol, p0, p1], data].concat())
    }

    /// A notification about an SA.
    #[must_use]
    pub fn notify(protocol: ProtocolId, spi: &[u8], notify_type: NotifyType, data: &[u8]) -> Self {
        let mut body = SaView::DOI_IPSEC.to_be_bytes().to_vec();
        body.extend_from_slice(&[protocol.0, saturate8(spi.len())]);
        put16(&mut body, notify_type.0);
        body.extend_from_slice(spi);
        body.extend_from_slice(data);
        Self::new(PayloadType::NOTIFY, body)
    }

    /// A deletion of SAs of one protocol; all SPIs are to be of one length.
    #[must_use]
    pub fn delete(protocol: ProtocolId, spis: &[&[u8]]) -> Self {
        let mut body = SaView::DOI_IPSEC.to_be_bytes().to_vec();
        body.extend_from_slice(&[protocol.0, saturate8(spis.first().map_or(0, |spi| spi.len()))]);
        put16(&mut body, saturate16(spis.len()));
        spis.iter().for_each(|spi| body.extend_from_slice(spi));
        Self::new(PayloadType::DELETE, body)
    }

    /// Attributes of Mode-Config and XAUTH.
    #[must_use]
    pub fn attributes(
        message_type: CfgMessageType,
        identifier: u16,
        attributes: &[(u16, AttributeValue)],
    ) -> Self {
        let [i0, i1] = identifier.to_be_bytes();
        let mut body = [message_type.0, 0, i0, i1].to_vec();
        sa::put_attributes(attributes, &mut body);
        Self::new(PayloadType::ATTRIBUTES, body)
    }

    /// A fragment of a message.
    #[must_use]
    pub fn fragment(id: u16, number: u8, is_last: bool, data: &[u8]) -> Self {
        let [i0, i1] = id.to_be_bytes();
        Self::new(PayloadType::FRAGMENT, [&[i0, i1, number, is_last.into()], data].concat())
    }
}

/// The octets of a chain and the type of its first payload: what is encrypted after padding.
#[must_use]
pub fn emit_chain(payloads: &[PayloadBuilder]) -> (PayloadType, Vec<u8>) {
    let first = |rest: &[PayloadBuilder]| rest.first().map_or(PayloadType::NONE, |p| p.payload_type);
    let (mut out, mut rest) = (Vec::new(), payloads);
    while let Some((payload, following)) = rest.split_first() {
        let start = out.len();
        out.extend_from_slice(&[payload.next_payload.unwrap_or(first(following)).0, payload.reserved, 0, 0]);
        out.extend_from_slice(&payload.body);
        let length = payload.length.unwrap_or(saturate16(out.len() - start));
        patch(&mut out, start + 2, &length.to_be_bytes());
        rest = following;
    }
    (first(payloads), out)
}

fn to_builders(payloads: Payloads<'_>) -> Vec<PayloadBuilder> {
    payloads.map(|payload| payload.to_builder()).collect()
}

impl PayloadView<'_> {
    /// The owned mirror.
    #[must_use]
    pub fn to_builder(&self) -> PayloadBuilder {
        PayloadBuilder { reserved: self.reserved, ..PayloadBuilder::new(self.payload_type, self.body) }
    }
}

impl IsakmpView<'_> {
    /// The owned mirror, which emits the same octets.
    #[must_use]
    pub fn to_builder(&self) -> IsakmpBuilder {
        let header = self.header();
        let (spi, cookie) = (header.initiator_spi, header.responder_spi);
        IsakmpBuilder {
            version: header.version,
            flags: self.flags(),
            payloads: to_builders(self.payloads()),
            encrypted: self.is_encrypted().then(|| self.body().to_vec()),
            next_payload: self.is_encrypted().then(|| self.first_payload()),
            ..IsakmpBuilder::new(spi, cookie, header.exchange_type, header.message_id)
        }
    }
}

impl IsakmpChain<'_> {
    /// The owned mirror, for which [`emit_chain`] returns the same octets, without the padding.
    #[must_use]
    pub fn to_builders(&self) -> Vec<PayloadBuilder> {
        to_builders(self.payloads())
    }
}
