//! The SA payload of IKEv1 with its proposal and transform payloads (RFC 2408 §3.4 to §3.6, RFC 2407 §4.6.1).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |               Domain of Interpretation (DOI)                  |
//! |                           Situation                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | 0 or 2        |   RESERVED    |         Proposal Length       |
//! |  Proposal #   |  Protocol-Id  |    SPI Size   |# of Transforms|
//! ~                        SPI (variable)                         ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | 0 or 3        |   RESERVED    |        Transform Length       |
//! |  Transform #  |  Transform-Id |           RESERVED2           |
//! ~                        SA Attributes                          ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use alloc::vec::Vec;

use super::attribute::{AttributesView, FORMAT_TV};
use super::registry::{AhTransform, EspTransform, PayloadType, ProtocolId};
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::ike::{AttributeValue, IpCompTransform};
use crate::octets::{patch, put16, saturate8, saturate16, spend, u32_at};

const HEADER: usize = 8;

/// A validated SA payload of the IPsec DOI, identity only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaView<'a> {
    /// The domain of interpretation: 1, or 0 for phase 1 alone.
    pub doi: u32,
    proposals: &'a [u8],
}

impl<'a> SaView<'a> {
    /// The IPsec DOI.
    pub const DOI_IPSEC: u32 = 1;
    /// SIT_IDENTITY_ONLY: no labels follow.
    pub const SITUATION_IDENTITY_ONLY: u32 = 1;
    pub(super) const FIXED_LEN: usize = 8;

    /// Whether a payload body has the form that is read here.
    pub(super) fn applies(body: &[u8]) -> bool {
        matches!(
            (u32_at(body, 0), u32_at(body, 4)),
            (Some(0 | Self::DOI_IPSEC), Some(Self::SITUATION_IDENTITY_ONLY))
        )
    }

    pub(super) fn parse(body: &'a [u8], offset: usize, budget: &mut Limits) -> Result<Self, ParseError> {
        let view = Self::validated(body).ok_or(ParseErrorKind::Truncated.at(offset))?;
        let (mut left, start) = (view.proposals, offset + Self::FIXED_LEN);
        while !left.is_empty() {
            let here = start + view.proposals.len() - left.len();
            let (head, piece, rest) = split(left, PayloadType::PROPOSAL, here)?;
            let [_, _, _, _, _, _, spi_size, count] = head;
            spend(&mut budget.proposals, 1, Counted::Proposals, here)?;
            let transforms =
                piece.get(usize::from(spi_size)..).ok_or(ParseErrorKind::BadLength.at(here + 6))?;
            let found = check_transforms(transforms, here + HEADER + usize::from(spi_size), budget)?;
            if found != usize::from(count) {
                return Err(ParseErrorKind::CountMismatch.at(here + 7));
            }
            left = rest;
        }
        Ok(view)
    }

    pub(super) fn validated(body: &'a [u8]) -> Option<Self> {
        Some(Self { doi: u32_at(body, 0)?, proposals: body.get(Self::FIXED_LEN..)? })
    }

    /// The proposals. Those with one number belong together (RFC 2408 §4.2).
    pub fn proposals(&self) -> impl Iterator<Item = ProposalView<'a>> + use<'a> {
        let mut left = self.proposals;
        core::iter::from_fn(move || {
            let ([_, _, _, _, number, protocol, spi_size, _], piece, rest) =
                split(left, PayloadType::PROPOSAL, 0).ok()?;
            let (spi, transforms) = piece.split_at_checked(spi_size.into())?;
            left = rest;
            Some(ProposalView { number, protocol: ProtocolId(protocol), spi, transforms })
        })
    }
}

type Split<'a> = ([u8; HEADER], &'a [u8], &'a [u8]);

/// The header of the first proposal or transform, what belongs to it, and what follows.
fn split(bytes: &[u8], kind: PayloadType, here: usize) -> Result<Split<'_>, ParseError> {
    let head: [u8; HEADER] = *bytes.first_chunk().ok_or(ParseErrorKind::Truncated.at(here))?;
    let [next, _, l0, l1, ..] = head;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length < HEADER {
        return Err(ParseErrorKind::BadLength.at(here + 2));
    }
    let (piece, rest) = bytes.split_at_checked(length).ok_or(ParseErrorKind::Truncated.at(here + 2))?;
    if next != if rest.is_empty() { 0 } else { kind.0 } {
        return Err(ParseErrorKind::BadLastSubstructure(next).at(here));
    }
    Ok((head, piece.get(HEADER..).unwrap_or_default(), rest))
}

fn check_transforms(bytes: &[u8], offset: usize, budget: &mut Limits) -> Result<usize, ParseError> {
    let (mut left, mut found) = (bytes, 0);
    while !left.is_empty() {
        let here = offset + bytes.len() - left.len();
        let (_, attributes, rest) = split(left, PayloadType::TRANSFORM, here)?;
        spend(&mut budget.transforms, 1, Counted::Transforms, here)?;
        AttributesView::parse(attributes, here + HEADER, budget)?;
        left = rest;
        found += 1;
    }
    Ok(found)
}

/// One proposal payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposalView<'a> {
    /// The proposal's number.
    pub number: u8,
    /// The protocol it is for.
    pub protocol: ProtocolId,
    /// The sender's SPI; of phase 1 none or the cookie.
    pub spi: &'a [u8],
    transforms: &'a [u8],
}

impl<'a> ProposalView<'a> {
    /// The transforms, the most wanted first.
    pub fn transforms(&self) -> impl Iterator<Item = TransformView<'a>> + use<'a> {
        let mut left = self.transforms;
        core::iter::from_fn(move || {
            let ([_, _, _, _, number, id, ..], attributes, rest) =
                split(left, PayloadType::TRANSFORM, 0).ok()?;
            left = rest;
            Some(TransformView { number, id, attributes: AttributesView::validated(attributes) })
        })
    }

    /// The name of a transform of this protocol.
    #[must_use]
    pub const fn transform_name(&self, id: u8) -> Option<&'static str> {
        match self.protocol {
            ProtocolId::ISAKMP if id == 1 => Some("KEY_IKE"),
            ProtocolId::IPSEC_AH => AhTransform(id).name(),
            ProtocolId::IPSEC_ESP => EspTransform(id).name(),
            ProtocolId::IPCOMP => IpCompTransform(id).name(),
            _ => None,
        }
    }
}

/// One transform payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransformView<'a> {
    /// The transform's number.
    pub number: u8,
    /// The transform, a number of its protocol's registry.
    pub id: u8,
    /// Its attributes.
    pub attributes: AttributesView<'a>,
}

/// A proposal payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proposal {
    /// The proposal's number.
    pub number: u8,
    /// The protocol it is for.
    pub protocol: ProtocolId,
    /// The sender's SPI.
    pub spi: Vec<u8>,
    /// The transforms.
    pub transforms: Vec<Transform>,
}

/// A transform payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transform {
    /// The transform's number.
    pub number: u8,
    /// The transform.
    pub id: u8,
    /// Types, of fifteen bits, and values.
    pub attributes: Vec<(u16, AttributeValue)>,
}

pub(super) fn put_attributes(attributes: &[(u16, AttributeValue)], out: &mut Vec<u8>) {
    for (kind, value) in attributes {
        match value {
            AttributeValue::Tv(value) => {
                put16(out, kind | FORMAT_TV);
                put16(out, *value);
            }
            AttributeValue::Tlv(octets) => {
                put16(out, kind & !FORMAT_TV);
                put16(out, saturate16(octets.len()));
                out.extend_from_slice(octets);
            }
        }
    }
}

/// The body of an SA payload of the IPsec DOI.
pub(super) fn body(proposals: &[Proposal]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&SaView::DOI_IPSEC.to_be_bytes());
    out.extend_from_slice(&SaView::SITUATION_IDENTITY_ONLY.to_be_bytes());
    for (index, proposal) in proposals.iter().enumerate() {
        let start = out.len();
        let next = if index + 1 == proposals.len() { PayloadType::NONE } else { PayloadType::PROPOSAL };
        out.extend_from_slice(&[next.0, 0, 0, 0, proposal.number, proposal.protocol.0]);
        out.extend_from_slice(&[saturate8(proposal.spi.len()), saturate8(proposal.transforms.len())]);
        out.extend_from_slice(&proposal.spi);
        for (index, transform) in proposal.transforms.iter().enumerate() {
            let start = out.len();
            let last = index + 1 == proposal.transforms.len();
            let next = if last { PayloadType::NONE } else { PayloadType::TRANSFORM };
            out.extend_from_slice(&[next.0, 0, 0, 0, transform.number, transform.id, 0, 0]);
            put_attributes(&transform.attributes, &mut out);
            let length = saturate16(out.len() - start);
            patch(&mut out, start + 2, &length.to_be_bytes());
        }
        let length = saturate16(out.len() - start);
        patch(&mut out, start + 2, &length.to_be_bytes());
    }
    out
}
