//! The Configuration payload CP (RFC 7296 §3.15): type, three reserved octets, attributes.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |R|         Attribute Type      |            Length             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                             Value                             ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use alloc::vec::Vec;

use nom::multi::length_data;
use nom::number::complete::be_u16;
use nom::{IResult, Parser};

use super::registry::{CfgAttributeType, CfgType};
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::octets::{Out, base, put16, saturate16, spend};

/// R, the reserved bit in front of the attribute type.
const RESERVED_BIT: u16 = 0x8000;

/// The first attribute's type field, R included, and its value.
fn attribute(input: &[u8]) -> IResult<&[u8], (u16, &[u8])> {
    (be_u16, length_data(be_u16)).parse(input)
}

/// A validated CP payload body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpView<'a> {
    /// What kind of exchange the attributes belong to.
    pub cfg_type: CfgType,
    /// The reserved octets.
    pub reserved: [u8; 3],
    attributes: &'a [u8],
}

impl<'a> CpView<'a> {
    /// Validates a payload body that stands at an offset of its message.
    ///
    /// # Errors
    /// `Truncated` where an attribute does not fit; a cap of the limits exceeded. Whether a value suits its
    /// attribute is for its reader.
    pub fn parse(body: &'a [u8], offset: usize, limits: &Limits) -> Result<Self, ParseError> {
        let mut budget = *limits;
        Self::check(body, base(offset), &mut budget)?;
        Self::validated(body).ok_or(ParseErrorKind::Truncated.at(offset))
    }

    /// A body that [`Self::check`] has accepted.
    pub(crate) fn validated(body: &'a [u8]) -> Option<Self> {
        let (&[cfg_type, r0, r1, r2], attributes) = body.split_first_chunk()?;
        Some(Self { cfg_type: CfgType(cfg_type), reserved: [r0, r1, r2], attributes })
    }

    pub(crate) fn check(body: &[u8], offset: usize, budget: &mut Limits) -> Result<(), ParseError> {
        let view = CpView::validated(body).ok_or(ParseErrorKind::Truncated.at(offset))?;
        let mut rest = view.attributes;
        while !rest.is_empty() {
            let here = offset + body.len() - rest.len();
            let (after, _) = attribute(rest).map_err(|_| ParseErrorKind::Truncated.at(here))?;
            spend(&mut budget.cfg_attributes, 1, Counted::CfgAttributes, here)?;
            rest = after;
        }
        Ok(())
    }

    /// The attributes: type and value. An empty value in a request asks for any.
    #[must_use]
    pub const fn attributes(&self) -> CfgAttributes<'a> {
        CfgAttributes { bytes: self.attributes }
    }

    /// Type, whether R is set, and value of each attribute.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (CfgAttributeType, bool, &'a [u8])> + use<'a> {
        let mut rest = self.attributes;
        core::iter::from_fn(move || {
            let (after, (kind, value)) = attribute(rest).ok()?;
            rest = after;
            Some((CfgAttributeType(kind & !RESERVED_BIT), kind & RESERVED_BIT != 0, value))
        })
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Cp {
        let attributes = self.fields().map(|(attribute_type, reserved, value)| CfgAttribute {
            attribute_type,
            value: value.to_vec(),
            reserved,
            length: None,
        });
        Cp { cfg_type: self.cfg_type, attributes: attributes.collect(), reserved: self.reserved }
    }
}

/// Iterates over the attributes of a CP payload.
#[derive(Debug, Clone)]
pub struct CfgAttributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for CfgAttributes<'a> {
    type Item = (CfgAttributeType, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (rest, (kind, value)) = attribute(self.bytes).ok()?;
        self.bytes = rest;
        Some((CfgAttributeType(kind & !RESERVED_BIT), value))
    }
}

/// A CP payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cp {
    /// What kind of exchange the attributes belong to.
    pub cfg_type: CfgType,
    /// The attributes.
    pub attributes: Vec<CfgAttribute>,
    /// The reserved octets.
    pub reserved: [u8; 3],
}

impl Cp {
    /// A payload with these attributes.
    #[must_use]
    pub const fn new(cfg_type: CfgType, attributes: Vec<CfgAttribute>) -> Self {
        Self { cfg_type, attributes, reserved: [0; 3] }
    }

    pub(crate) fn emit(&self, out: &mut impl Out) {
        out.push(self.cfg_type.0);
        out.extend_from_slice(&self.reserved);
        for attribute in &self.attributes {
            let reserved = if attribute.reserved { RESERVED_BIT } else { 0 };
            put16(out, attribute.attribute_type.0 & !RESERVED_BIT | reserved);
            put16(out, attribute.length.unwrap_or(saturate16(attribute.value.len())));
            out.extend_from_slice(&attribute.value);
        }
    }
}

/// A configuration attribute to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CfgAttribute {
    /// The attribute's type; the upper bit is not part of it and is ignored.
    pub attribute_type: CfgAttributeType,
    /// The value; empty in a request asks for any.
    pub value: Vec<u8>,
    /// The reserved bit.
    pub reserved: bool,
    /// Overrides the length.
    pub length: Option<u16>,
}

impl CfgAttribute {
    /// An attribute with a value.
    #[must_use]
    pub fn new(attribute_type: CfgAttributeType, value: impl Into<Vec<u8>>) -> Self {
        Self { attribute_type, value: value.into(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn both_ways_and_where_it_breaks() {
        let mut cp = Cp::new(
            CfgType::REQUEST,
            vec![
                CfgAttribute::new(CfgAttributeType::INTERNAL_IP4_ADDRESS, vec![]),
                CfgAttribute { reserved: true, ..CfgAttribute::new(CfgAttributeType(0x7abc), vec![1, 2]) },
            ],
        );
        let mut bytes = Vec::new();
        cp.emit(&mut bytes);
        assert_eq!(hex::encode(&bytes), "0100000000010000fabc00020102");
        let view = CpView::parse(&bytes, 0, &Limits::DEFAULT).unwrap();
        assert_eq!(view.to_owned(), cp);
        assert_eq!(view.attributes().nth(1), Some((CfgAttributeType(0x7abc), &[1, 2][..])));

        cp.attributes[1].length = Some(3);
        bytes.clear();
        cp.emit(&mut bytes);
        assert_eq!(CpView::parse(&bytes, 40, &Limits::DEFAULT), Err(ParseErrorKind::Truncated.at(48)));
        let capped = CpView::parse(&bytes, 40, &Limits::DEFAULT.cfg_attributes(0));
        assert_eq!(capped, Err(ParseErrorKind::TooMany(Counted::CfgAttributes).at(44)));
    }
}
