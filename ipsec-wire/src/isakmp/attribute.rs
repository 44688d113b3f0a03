//! Data attributes (RFC 2408 §3.3): a type with a short value, or with a length and as many octets.

use nom::bytes::complete::take;
use nom::number::complete::be_u16;
use nom::{IResult, Parser};

use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::ike::AttributeValueView;
use crate::octets::spend;

/// AF, the attribute format bit: the value stands in the length field.
pub(super) const FORMAT_TV: u16 = 0x8000;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeView<'a> {
    /// The attribute's type, fifteen bits of a registry that depends on where it stands.
    pub attribute_type: u16,
    /// Its value.
    pub value: AttributeValueView<'a>,
}

impl AttributeView<'_> {
    /// The value as a number, in either form; `None` for more than eight octets.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self.value {
            AttributeValueView::Tv(value) => Some(value.into()),
            AttributeValueView::Tlv(octets) if octets.len() <= 8 => {
                Some(octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet)))
            }
            AttributeValueView::Tlv(_) => None,
        }
    }
}

fn attribute(input: &[u8]) -> IResult<&[u8], AttributeView<'_>> {
    let (rest, (kind, value)) = (be_u16, be_u16).parse(input)?;
    let attribute_type = kind & !FORMAT_TV;
    if kind & FORMAT_TV != 0 {
        return Ok((rest, AttributeView { attribute_type, value: AttributeValueView::Tv(value) }));
    }
    let (rest, octets) = take(value)(rest)?;
    Ok((rest, AttributeView { attribute_type, value: AttributeValueView::Tlv(octets) }))
}

/// Validated attributes: a transform's or a Mode-Config payload's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributesView<'a> {
    octets: &'a [u8],
}

impl<'a> AttributesView<'a> {
    pub(super) fn parse(octets: &'a [u8], offset: usize, budget: &mut Limits) -> Result<Self, ParseError> {
        let mut left = octets;
        while !left.is_empty() {
            let here = offset + octets.len() - left.len();
            left = attribute(left).map_err(|_| ParseErrorKind::Truncated.at(here))?.0;
            spend(&mut budget.attributes, 1, Counted::Attributes, here)?;
        }
        Ok(Self { octets })
    }

    pub(super) const fn validated(octets: &'a [u8]) -> Self {
        Self { octets }
    }

    /// The attributes.
    pub fn iter(&self) -> impl Iterator<Item = AttributeView<'a>> + use<'a> {
        let mut left = self.octets;
        core::iter::from_fn(move || {
            let (rest, found) = attribute(left).ok()?;
            left = rest;
            Some(found)
        })
    }
}
