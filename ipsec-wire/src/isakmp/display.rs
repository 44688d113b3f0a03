//! IKEv1 messages for people, in the form of [`crate::ike::display`]. Values of XAUTH attributes are not shown.

use core::fmt::{self, Display, Formatter};

use super::attribute::AttributeView;
use super::message::{IsakmpChain, IsakmpView};
use super::payload::{IdView, NotifyView, PayloadKind, PayloadView};
use super::registry::{
    CfgAttribute, CfgMessageType, EncapsulationMode, LifeType, NotifyType, PayloadType, Phase1Attribute,
    Phase1Authentication, Phase1Encryption, Phase1Hash, Phase2Attribute, Phase2Authentication, ProtocolId,
};
use super::sa::{ProposalView, TransformView};
use crate::ike::display::{Hex, Named, Text, Tree, named};
use crate::ike::{AttributeValueView, KeId};

crate::ike::display::display_names! {
    PayloadType ProtocolId NotifyType CfgMessageType CfgAttribute Phase1Attribute Phase2Attribute
}

/// The name of a value of an attribute.
fn value_name(protocol: ProtocolId, kind: u16, value: u16) -> Option<&'static str> {
    if protocol == ProtocolId::ISAKMP {
        return match Phase1Attribute(kind) {
            Phase1Attribute::ENCRYPTION => Phase1Encryption(value).name(),
            Phase1Attribute::HASH => Phase1Hash(value).name(),
            Phase1Attribute::AUTHENTICATION => Phase1Authentication(value).name(),
            Phase1Attribute::GROUP => KeId(value).name(),
            Phase1Attribute::LIFE_TYPE => LifeType(value).name(),
            _ => None,
        };
    }
    match Phase2Attribute(kind) {
        Phase2Attribute::LIFE_TYPE => LifeType(value).name(),
        Phase2Attribute::GROUP => KeId(value).name(),
        Phase2Attribute::ENCAPSULATION_MODE => EncapsulationMode(value).name(),
        Phase2Attribute::AUTHENTICATION => Phase2Authentication(value).name(),
        _ => None,
    }
}

impl Tree<'_, '_> {
    fn v1_payload(&mut self, depth: usize, payload: PayloadView<'_>) -> fmt::Result {
        let length = payload.body.len() + 4;
        self.line(depth, format_args!("{}, {length} octets", named(payload.payload_type)))?;
        let depth = depth + 1;
        match payload.kind() {
            PayloadKind::Sa(sa) => sa.proposals().try_for_each(|proposal| self.v1_proposal(depth, proposal)),
            PayloadKind::Id(id) => self.v1_id(depth, id),
            PayloadKind::Cert(cert) => self.certificate(depth, cert),
            PayloadKind::CertReq(request) => {
                self.line(depth, format_args!("encoding {}", named(request.encoding)))?;
                self.octets(depth, request.data)
            }
            PayloadKind::Notify(notify) => self.v1_notify(depth, notify),
            PayloadKind::Delete(delete) => {
                self.line(depth, format_args!("protocol {}", named(delete.protocol)))?;
                delete.spis().try_for_each(|spi| {
                    self.line(depth, format_args!("SPI {}", Hex { octets: spi, whole: true }))
                })
            }
            PayloadKind::Vendor(vendor) => self.vendor(depth, vendor),
            PayloadKind::Attributes { message_type, identifier, attributes } => {
                self.line(depth, format_args!("{}, id {identifier}", named(message_type)))?;
                attributes.iter().try_for_each(|attribute| self.v1_cfg_attribute(depth, attribute))
            }
            PayloadKind::NatOa { address: Some(address), .. } => self.line(depth, format_args!("{address}")),
            PayloadKind::NatOa { id_type, .. } => self.line(depth, format_args!("type {}", named(id_type))),
            PayloadKind::Fragment(part) => {
                let last = if part.is_last() { ", the last" } else { "" };
                let (number, id) = (part.number, part.id);
                self.line(depth, format_args!("fragment {number} of message {id}{last}"))?;
                self.octets(depth, part.data)
            }
            PayloadKind::Ke(octets)
            | PayloadKind::Hash(octets)
            | PayloadKind::Sig(octets)
            | PayloadKind::Nonce(octets)
            | PayloadKind::NatD(octets)
            | PayloadKind::Unknown(octets) => self.octets(depth, octets),
        }
    }

    fn v1_proposal(&mut self, depth: usize, proposal: ProposalView<'_>) -> fmt::Result {
        let (number, protocol) = (proposal.number, named(proposal.protocol));
        if proposal.spi.is_empty() {
            self.line(depth, format_args!("proposal {number}, protocol {protocol}"))?;
        } else {
            let spi = Hex { octets: proposal.spi, whole: true };
            self.line(depth, format_args!("proposal {number}, protocol {protocol}, SPI {spi}"))?;
        }
        proposal.transforms().try_for_each(|transform| self.v1_transform(depth + 1, proposal, transform))
    }

    fn v1_transform(
        &mut self,
        depth: usize,
        proposal: ProposalView<'_>,
        transform: TransformView<'_>,
    ) -> fmt::Result {
        let id = Named(proposal.transform_name(transform.id), transform.id);
        self.line(depth, format_args!("transform {}: {id}", transform.number))?;
        transform.attributes.iter().try_for_each(|attribute| {
            let kind = attribute.attribute_type;
            if proposal.protocol == ProtocolId::ISAKMP {
                self.line(depth + 1, format_args!("{} = ", named(Phase1Attribute(kind))))?;
            } else {
                self.line(depth + 1, format_args!("{} = ", named(Phase2Attribute(kind))))?;
            }
            match (attribute.value, attribute.number()) {
                (AttributeValueView::Tv(value), _) => match value_name(proposal.protocol, kind, value) {
                    Some(name) => self.append(format_args!("{name} ({value})")),
                    None => self.append(format_args!("{value}")),
                },
                (AttributeValueView::Tlv(_), Some(number)) => self.append(format_args!("{number}")),
                (AttributeValueView::Tlv(octets), None) => {
                    let whole = self.whole();
                    self.append(format_args!("{}", Hex { octets, whole }))
                }
            }
        })
    }

    fn v1_id(&mut self, depth: usize, id: IdView<'_>) -> fmt::Result {
        self.line(depth, format_args!("type {}", named(id.id_type)))?;
        if (id.protocol, id.port) != (0, 0) {
            self.append(format_args!(", protocol {}, port {}", id.protocol, id.port))?;
        }
        match (id.address(), id.addresses(), id.text()) {
            (Some(address), ..) => self.line(depth, format_args!("{address}")),
            (None, Some((first, second)), _) => self.line(depth, format_args!("{first}, {second}")),
            (None, None, Some(text)) => self.line(depth, format_args!("{}", Text(text))),
            (None, None, None) => self.octets(depth, id.data),
        }
    }

    fn v1_notify(&mut self, depth: usize, notify: NotifyView<'_>) -> fmt::Result {
        self.line(depth, format_args!("{}", named(notify.notify_type)))?;
        let spi = Hex { octets: notify.spi, whole: true };
        self.line(depth, format_args!("protocol {}, SPI {spi}", named(notify.protocol)))?;
        match notify.dpd_sequence() {
            Some(sequence) => self.line(depth, format_args!("sequence number {sequence}")),
            None => self.octets(depth, notify.data),
        }
    }

    fn v1_cfg_attribute(&mut self, depth: usize, attribute: AttributeView<'_>) -> fmt::Result {
        let kind = CfgAttribute(attribute.attribute_type);
        self.line(depth, format_args!("attribute {}", named(kind)))?;
        let is_secret = (CfgAttribute::XAUTH_USER_NAME.0..=CfgAttribute::XAUTH_ANSWER.0).contains(&kind.0);
        match attribute.value {
            _ if is_secret => Ok(()),
            AttributeValueView::Tv(value) => self.append(format_args!(" = {value}")),
            AttributeValueView::Tlv(octets) => self.octets(depth + 1, octets),
        }
    }
}

impl Display for IsakmpView<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut tree = Tree::new(f);
        let header = self.header();
        let encrypted = if self.is_encrypted() { ", encrypted" } else { "" };
        tree.line(
            0,
            format_args!(
                "{}, IKE {}.{}, message id {:#010x}, flags {:#04x}{encrypted}, {} octets",
                named(header.exchange_type),
                header.major_version(),
                header.minor_version(),
                header.message_id,
                header.flags.0,
                header.length,
            ),
        )?;
        tree.line(1, format_args!("initiator cookie {}", header.initiator_spi))?;
        tree.line(1, format_args!("responder cookie {}", header.responder_spi))?;
        if self.is_encrypted() {
            tree.line(1, format_args!("first inside {}", named(self.first_payload())))?;
            return tree.octets(1, self.body());
        }
        self.payloads().try_for_each(|payload| tree.v1_payload(1, payload))
    }
}

impl Display for IsakmpChain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut tree = Tree::new(f);
        self.payloads().try_for_each(|payload| tree.v1_payload(0, payload))
    }
}
