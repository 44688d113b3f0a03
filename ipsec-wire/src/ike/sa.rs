//! The SA payload: proposals, transforms and their attributes (RFC 7296 §3.3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Last: 0 or 2  |   RESERVED    |         Proposal Length       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Proposal Num  |  Protocol ID  |    SPI Size   |Num  Transforms|
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                        SPI (variable)                         ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Last: 0 or 3  |   RESERVED    |        Transform Length       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Transform Type |   RESERVED    |          Transform ID         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                      Transform Attributes                     ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The "last" octets and the number of transforms say again what the lengths already say. A payload in
//! which they disagree is refused: accepting it would mean to choose whom to believe.

use alloc::vec::Vec;

use super::registry::{AttributeType, ProtocolId, TransformType};
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::octets::{Out, base, patch, put16, saturate8, saturate16, spend, u16_at};

const PROPOSAL_HEADER: usize = 8;
const TRANSFORM_HEADER: usize = 8;
const ATTRIBUTE_HEADER: usize = 4;
const LAST: u8 = 0;
const MORE_PROPOSALS: u8 = 2;
const MORE_TRANSFORMS: u8 = 3;
/// AF, the attribute format bit: the value stands in the length field.
const FORMAT_TV: u16 = 0x8000;

/// A validated SA payload body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaView<'a> {
    body: &'a [u8],
}

impl<'a> SaView<'a> {
    /// Validates a payload body that stands at an offset of its message.
    ///
    /// # Errors
    /// Any structural fault, with its offset; a cap of the limits exceeded. An SA payload without proposals
    /// is well-formed: that nothing can be chosen from it is the negotiation's concern.
    pub fn parse(body: &'a [u8], offset: usize, limits: &Limits) -> Result<Self, ParseError> {
        let mut budget = *limits;
        Self::check(body, base(offset), &mut budget)?;
        Ok(Self { body })
    }

    /// A body that [`Self::check`] has accepted.
    pub(crate) const fn validated(body: &'a [u8]) -> Self {
        Self { body }
    }

    pub(crate) fn check(body: &[u8], offset: usize, budget: &mut Limits) -> Result<(), ParseError> {
        let mut at = 0;
        while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
            let here = offset + at;
            let &[last, _, l0, l1, _, _, spi_size, count] =
                rest.first_chunk::<PROPOSAL_HEADER>().ok_or(ParseErrorKind::Truncated.at(here))?;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            if length < PROPOSAL_HEADER {
                return Err(ParseErrorKind::BadLength.at(here + 2));
            }
            let proposal = rest.get(..length).ok_or(ParseErrorKind::Truncated.at(here + 2))?;
            if last != if length == rest.len() { LAST } else { MORE_PROPOSALS } {
                return Err(ParseErrorKind::BadLastSubstructure(last).at(here));
            }
            spend(&mut budget.proposals, 1, Counted::Proposals, here)?;
            let spi_end = PROPOSAL_HEADER + usize::from(spi_size);
            let transforms = proposal.get(spi_end..).ok_or(ParseErrorKind::BadLength.at(here + 6))?;
            if check_transforms(transforms, here + spi_end, budget)? != usize::from(count) {
                return Err(ParseErrorKind::CountMismatch.at(here + 7));
            }
            at += length;
        }
        Ok(())
    }

    /// The proposals in the order of preference.
    #[must_use]
    pub const fn proposals(&self) -> Proposals<'a> {
        Proposals { bytes: self.body }
    }

    /// The body's octets.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Sa {
        Sa { proposals: self.proposals().map(|proposal| proposal.to_owned()).collect() }
    }
}

/// Walks transforms that fill their octets and returns how many there are.
#[inline]
fn check_transforms(bytes: &[u8], offset: usize, budget: &mut Limits) -> Result<usize, ParseError> {
    let (mut rest, mut found) = (bytes, 0);
    // Kept apart from the budget, so that the loop can hold it in a register.
    let mut left = budget.transforms;
    while !rest.is_empty() {
        let here = || offset + bytes.len() - rest.len();
        let Some(&[last, _, l0, l1, ..]) = rest.first_chunk::<TRANSFORM_HEADER>() else {
            return Err(ParseErrorKind::Truncated.at(here()));
        };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < TRANSFORM_HEADER {
            return Err(ParseErrorKind::BadLength.at(here() + 2));
        }
        let Some((transform, following)) = rest.split_at_checked(length) else {
            return Err(ParseErrorKind::Truncated.at(here() + 2));
        };
        if last != if following.is_empty() { LAST } else { MORE_TRANSFORMS } {
            return Err(ParseErrorKind::BadLastSubstructure(last).at(here()));
        }
        spend(&mut left, 1, Counted::Transforms, here())?;
        if length > TRANSFORM_HEADER {
            check_attributes(transform, here(), budget)?;
        }
        rest = following;
        found += 1;
    }
    budget.transforms = left;
    Ok(found)
}

/// Walks the attributes that fill what a transform has behind its header.
fn check_attributes(transform: &[u8], offset: usize, budget: &mut Limits) -> Result<(), ParseError> {
    let mut at = TRANSFORM_HEADER;
    while let Some(attribute) = transform.get(at..).filter(|rest| !rest.is_empty()) {
        let (_, length) = split_attribute(attribute).ok_or(ParseErrorKind::Truncated.at(offset + at))?;
        spend(&mut budget.attributes, 1, Counted::Attributes, offset + at)?;
        at += length;
    }
    Ok(())
}

/// The first attribute and how many octets it takes.
fn split_attribute(bytes: &[u8]) -> Option<(AttributeView<'_>, usize)> {
    let (kind, value) = (u16_at(bytes, 0)?, u16_at(bytes, 2)?);
    let (value, length) = if kind & FORMAT_TV != 0 {
        (AttributeValueView::Tv(value), ATTRIBUTE_HEADER)
    } else {
        let end = ATTRIBUTE_HEADER + usize::from(value);
        (AttributeValueView::Tlv(bytes.get(ATTRIBUTE_HEADER..end)?), end)
    };
    Some((AttributeView { attribute_type: AttributeType(kind & !FORMAT_TV), value }, length))
}

/// Iterates over the proposals of an SA payload.
#[derive(Debug, Clone)]
pub struct Proposals<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Proposals<'a> {
    type Item = ProposalView<'a>;

    fn next(&mut self) -> Option<ProposalView<'a>> {
        let &[_, reserved, l0, l1, number, protocol, spi_size, _] =
            self.bytes.first_chunk::<PROPOSAL_HEADER>()?;
        let (proposal, rest) = self.bytes.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        let (spi, transforms) = proposal.get(PROPOSAL_HEADER..)?.split_at_checked(usize::from(spi_size))?;
        self.bytes = rest;
        Some(ProposalView { number, protocol: ProtocolId(protocol), spi, reserved, transforms })
    }
}

/// One proposal: a protocol, its SPI and the transforms to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposalView<'a> {
    /// The proposal's number, from 1 on in an offer.
    pub number: u8,
    /// The protocol it is for.
    pub protocol: ProtocolId,
    /// The sender's SPI: 4 octets for ESP and AH, 8 or none for IKE.
    pub spi: &'a [u8],
    /// The reserved octet.
    pub reserved: u8,
    transforms: &'a [u8],
}

impl<'a> ProposalView<'a> {
    /// The transforms.
    #[must_use]
    pub const fn transforms(&self) -> Transforms<'a> {
        Transforms { bytes: self.transforms }
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Proposal {
        Proposal {
            number: self.number,
            protocol: self.protocol,
            spi: self.spi.to_vec(),
            transforms: self.transforms().map(|transform| transform.to_owned()).collect(),
            reserved: self.reserved,
            ..Proposal::default()
        }
    }
}

/// Iterates over the transforms of a proposal.
#[derive(Debug, Clone)]
pub struct Transforms<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Transforms<'a> {
    type Item = TransformView<'a>;

    fn next(&mut self) -> Option<TransformView<'a>> {
        let &[_, reserved_1, l0, l1, transform_type, reserved_2, i0, i1] =
            self.bytes.first_chunk::<TRANSFORM_HEADER>()?;
        let (transform, rest) = self.bytes.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        let attributes = transform.get(TRANSFORM_HEADER..)?;
        self.bytes = rest;
        Some(TransformView {
            transform_type: TransformType(transform_type),
            id: u16::from_be_bytes([i0, i1]),
            reserved: [reserved_1, reserved_2],
            attributes,
        })
    }
}

/// One transform: an algorithm of a type, perhaps with a key length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransformView<'a> {
    /// What the algorithm is for.
    pub transform_type: TransformType,
    /// The algorithm, a number of the type's own registry.
    pub id: u16,
    /// The reserved octets after the "last" octet and after the type.
    pub reserved: [u8; 2],
    attributes: &'a [u8],
}

impl<'a> TransformView<'a> {
    /// The attributes.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes { bytes: self.attributes }
    }

    /// The key length in bits, where the attribute is present in the form that RFC 7296 §3.3.5 requires.
    #[must_use]
    pub fn key_length(&self) -> Option<u16> {
        self.attributes().find_map(|attribute| match (attribute.attribute_type, attribute.value) {
            (AttributeType::KEY_LENGTH, AttributeValueView::Tv(bits)) => Some(bits),
            _ => None,
        })
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Transform {
        Transform {
            transform_type: self.transform_type,
            id: self.id,
            attributes: self.attributes().map(|attribute| attribute.to_owned()).collect(),
            reserved: self.reserved,
            ..Transform::default()
        }
    }
}

/// Iterates over the attributes of a transform.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = AttributeView<'a>;

    fn next(&mut self) -> Option<AttributeView<'a>> {
        let (attribute, length) = split_attribute(self.bytes)?;
        self.bytes = self.bytes.get(length..)?;
        Some(attribute)
    }
}

/// One attribute of a transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeView<'a> {
    /// The attribute's type, fifteen bits.
    pub attribute_type: AttributeType,
    /// Its value.
    pub value: AttributeValueView<'a>,
}

impl AttributeView<'_> {
    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Attribute {
        let value = match self.value {
            AttributeValueView::Tv(value) => AttributeValue::Tv(value),
            AttributeValueView::Tlv(value) => AttributeValue::Tlv(value.to_vec()),
        };
        Attribute { attribute_type: self.attribute_type, value, length: None }
    }
}

/// The two forms of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeValueView<'a> {
    /// Two octets in the place of the length.
    Tv(u16),
    /// A length and as many octets.
    Tlv(&'a [u8]),
}

/// An SA payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sa {
    /// The proposals in the order of preference.
    pub proposals: Vec<Proposal>,
}

impl Sa {
    /// An SA payload with these proposals.
    #[must_use]
    pub const fn new(proposals: Vec<Proposal>) -> Self {
        Self { proposals }
    }

    pub(crate) fn emit(&self, out: &mut impl Out) {
        for (index, proposal) in self.proposals.iter().enumerate() {
            proposal.emit(index + 1 == self.proposals.len(), out);
        }
    }
}

/// A proposal to build. The `Option` fields are `None` for a well-formed proposal and override what would
/// be computed otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proposal {
    /// The proposal's number, from 1 on in an offer.
    pub number: u8,
    /// The protocol it is for.
    pub protocol: ProtocolId,
    /// The sender's SPI.
    pub spi: Vec<u8>,
    /// The transforms.
    pub transforms: Vec<Transform>,
    /// The reserved octet.
    pub reserved: u8,
    /// Overrides the "last substructure" octet.
    pub last: Option<u8>,
    /// Overrides the length.
    pub length: Option<u16>,
    /// Overrides the SPI size.
    pub spi_size: Option<u8>,
    /// Overrides the number of transforms.
    pub transform_count: Option<u8>,
}

impl Proposal {
    /// A well-formed proposal.
    #[must_use]
    pub fn new(
        number: u8,
        protocol: ProtocolId,
        spi: impl Into<Vec<u8>>,
        transforms: Vec<Transform>,
    ) -> Self {
        Self { number, protocol, spi: spi.into(), transforms, ..Self::default() }
    }

    fn emit(&self, is_last: bool, out: &mut impl Out) {
        let start = out.len();
        out.push(self.last.unwrap_or(if is_last { LAST } else { MORE_PROPOSALS }));
        out.extend_from_slice(&[self.reserved, 0, 0, self.number, self.protocol.0]);
        out.push(self.spi_size.unwrap_or(saturate8(self.spi.len())));
        out.push(self.transform_count.unwrap_or(saturate8(self.transforms.len())));
        out.extend_from_slice(&self.spi);
        for (index, transform) in self.transforms.iter().enumerate() {
            transform.emit(index + 1 == self.transforms.len(), out);
        }
        let length = self.length.unwrap_or(saturate16(out.len() - start));
        patch(out, start + 2, &length.to_be_bytes());
    }
}

/// A transform to build. The `Option` fields override what would be computed otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transform {
    /// What the algorithm is for.
    pub transform_type: TransformType,
    /// The algorithm.
    pub id: u16,
    /// The attributes.
    pub attributes: Vec<Attribute>,
    /// The reserved octets after the "last" octet and after the type.
    pub reserved: [u8; 2],
    /// Overrides the "last substructure" octet.
    pub last: Option<u8>,
    /// Overrides the length.
    pub length: Option<u16>,
}

impl Transform {
    /// A transform without attributes.
    #[must_use]
    pub fn new(transform_type: TransformType, id: impl Into<u16>) -> Self {
        Self { transform_type, id: id.into(), ..Self::default() }
    }

    /// The same with a key length in bits.
    #[must_use]
    pub fn with_key_length(mut self, bits: u16) -> Self {
        self.attributes.push(Attribute {
            attribute_type: AttributeType::KEY_LENGTH,
            value: AttributeValue::Tv(bits),
            length: None,
        });
        self
    }

    /// The key length in bits, where there is one.
    #[must_use]
    pub fn key_length(&self) -> Option<u16> {
        self.attributes.iter().find_map(|attribute| match (attribute.attribute_type, &attribute.value) {
            (AttributeType::KEY_LENGTH, AttributeValue::Tv(bits)) => Some(*bits),
            _ => None,
        })
    }

    fn emit(&self, is_last: bool, out: &mut impl Out) {
        let start = out.len();
        out.push(self.last.unwrap_or(if is_last { LAST } else { MORE_TRANSFORMS }));
        let [reserved_1, reserved_2] = self.reserved;
        out.extend_from_slice(&[reserved_1, 0, 0, self.transform_type.0, reserved_2]);
        put16(out, self.id);
        for attribute in &self.attributes {
            attribute.emit(out);
        }
        let length = self.length.unwrap_or(saturate16(out.len() - start));
        patch(out, start + 2, &length.to_be_bytes());
    }
}

/// An attribute to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The attribute's type; the upper bit is not part of it and is ignored.
    pub attribute_type: AttributeType,
    /// The value, which decides the form.
    pub value: AttributeValue,
    /// Overrides the length of the long form.
    pub length: Option<u16>,
}

impl Attribute {
    fn emit(&self, out: &mut impl Out) {
        match &self.value {
            AttributeValue::Tv(value) => {
                put16(out, self.attribute_type.0 | FORMAT_TV);
                put16(out, *value);
            }
            AttributeValue::Tlv(value) => {
                put16(out, self.attribute_type.0 & !FORMAT_TV);
                put16(out, self.length.unwrap_or(saturate16(value.len())));
                out.extend_from_slice(value);
            }
        }
    }
}

/// The two forms of an attribute's value, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Two octets in the place of the length.
    Tv(u16),
    /// A length and as many octets.
    Tlv(Vec<u8>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ike::{EncrId, PrfId};
    use alloc::vec;

    fn two_proposals() -> Sa {
        Sa::new(vec![
            Proposal::new(
                1,
                ProtocolId::ESP,
                vec![0xc0, 0xde, 0, 1],
                vec![
                    Transform::new(TransformType::ENCR, EncrId::AES_GCM_16).with_key_length(256),
                    Transform::new(TransformType::SN, 1u16),
                ],
            ),
            Proposal::new(
                2,
                ProtocolId::IKE,
                vec![],
                vec![Transform::new(TransformType::PRF, PrfId::HMAC_SHA1)],
            ),
        ])
    }

    fn emitted(sa: &Sa) -> Vec<u8> {
        let mut out = Vec::new();
        sa.emit(&mut out);
        out
    }

    fn error(sa: &Sa) -> ParseError {
        SaView::parse(&emitted(sa), 100, &Limits::DEFAULT).unwrap_err()
    }

    #[test]
    fn octets_and_views() {
        let sa = two_proposals();
        let bytes = emitted(&sa);
        let expected = [
            "0200002001030402c0de0001",
            "0300000c01000014800e0100",
            "0000000805000001",
            "0000001002010001",
            "0000000802000002",
        ];
        assert_eq!(hex::encode(&bytes), expected.concat());
        let view = SaView::parse(&bytes, 0, &Limits::DEFAULT).unwrap();
        assert_eq!(view.to_owned(), sa);
        let first = view.proposals().next().unwrap();
        assert_eq!((first.number, first.protocol, first.spi), (1, ProtocolId::ESP, &[0xc0, 0xde, 0, 1][..]));
        let gcm = first.transforms().next().unwrap();
        assert_eq!((gcm.transform_type, gcm.id, gcm.key_length()), (TransformType::ENCR, 20, Some(256)));
        assert_eq!(view.proposals().count(), 2);
    }

    #[test]
    fn wrong_last_octets_and_counts_are_refused_where_they_stand() {
        let mut sa = two_proposals();
        sa.proposals[0].last = Some(0);
        assert_eq!(error(&sa), ParseErrorKind::BadLastSubstructure(0).at(100));
        let mut sa = two_proposals();
        sa.proposals[1].last = Some(2);
        assert_eq!(error(&sa), ParseErrorKind::BadLastSubstructure(2).at(132));
        let mut sa = two_proposals();
        sa.proposals[0].transforms[0].last = Some(0);
        assert_eq!(error(&sa), ParseErrorKind::BadLastSubstructure(0).at(112));
        let mut sa = two_proposals();
        sa.proposals[0].transforms[1].last = Some(3);
        assert_eq!(error(&sa), ParseErrorKind::BadLastSubstructure(3).at(124));
        for wrong in [1, 3, 255] {
            let mut sa = two_proposals();
            sa.proposals[0].transform_count = Some(wrong);
            assert_eq!(error(&sa), ParseErrorKind::CountMismatch.at(107));
        }
    }

    #[test]
    fn wrong_lengths_are_refused_where_they_stand() {
        let mut sa = two_proposals();
        sa.proposals[1].length = Some(7);
        assert_eq!(error(&sa), ParseErrorKind::BadLength.at(134));
        sa.proposals[1].length = Some(17);
        assert_eq!(error(&sa), ParseErrorKind::Truncated.at(134));
        let mut sa = two_proposals();
        sa.proposals[1].spi_size = Some(200);
        assert_eq!(error(&sa), ParseErrorKind::BadLength.at(138));
        let mut sa = two_proposals();
        sa.proposals[1].transforms[0].length = Some(9);
        assert_eq!(error(&sa), ParseErrorKind::Truncated.at(142));
        sa.proposals[1].transforms[0].length = Some(4);
        assert_eq!(error(&sa), ParseErrorKind::BadLength.at(142));
        let mut sa = two_proposals();
        sa.proposals[1].transforms[0].attributes = vec![Attribute {
            attribute_type: AttributeType(77),
            value: AttributeValue::Tlv(vec![1, 2, 3]),
            length: Some(4),
        }];
        assert_eq!(error(&sa), ParseErrorKind::Truncated.at(148));
    }

    #[test]
    fn caps_hold() {
        let bytes = emitted(&two_proposals());
        let parse = |limits| SaView::parse(&bytes, 0, &limits);
        let exact = Limits::DEFAULT.proposals(2).transforms(3).attributes(1);
        assert!(parse(exact).is_ok());
        assert_eq!(parse(exact.proposals(1)), Err(ParseErrorKind::TooMany(Counted::Proposals).at(32)));
        assert_eq!(parse(exact.transforms(2)), Err(ParseErrorKind::TooMany(Counted::Transforms).at(40)));
        assert_eq!(parse(exact.attributes(0)), Err(ParseErrorKind::TooMany(Counted::Attributes).at(20)));
    }

    #[test]
    fn unknown_attributes_survive() {
        let mut sa = two_proposals();
        sa.proposals[0].transforms[0].attributes.insert(
            0,
            Attribute {
                attribute_type: AttributeType(0x1234),
                value: AttributeValue::Tlv(vec![9; 5]),
                length: None,
            },
        );
        let bytes = emitted(&sa);
        let view = SaView::parse(&bytes, 0, &Limits::DEFAULT).unwrap();
        assert_eq!(view.to_owned(), sa);
        assert_eq!(view.proposals().next().unwrap().transforms().next().unwrap().key_length(), Some(256));
    }
}
