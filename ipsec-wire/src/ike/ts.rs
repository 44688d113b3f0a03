//! The TSi and TSr payloads and their traffic selectors (RFC 7296 §3.13).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Number of TSs |                 RESERVED                      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   TS Type     |IP Protocol ID*|       Selector Length         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           Start Port*         |           End Port*           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~             Starting Address*, Ending Address*                ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;

use super::registry::TsType;
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::octets::{Out, array_at, base, patch, put16, saturate8, saturate16, spend, u16_at};

const SELECTOR_HEADER: usize = 4;
const PORTS: usize = 4;

/// Octets of a selector's two addresses; `None` for types whose form is not known here.
const fn addresses_len(ts_type: TsType) -> Option<usize> {
    match ts_type {
        TsType::IPV4_ADDR_RANGE => Some(8),
        TsType::IPV6_ADDR_RANGE => Some(32),
        _ => None,
    }
}

/// A validated TSi or TSr payload body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TsView<'a> {
    /// The reserved octets.
    pub reserved: [u8; 3],
    selectors: &'a [u8],
}

impl<'a> TsView<'a> {
    /// Validates a payload body that stands at an offset of its message.
    ///
    /// # Errors
    /// Any structural fault, with its offset; a cap of the limits exceeded. A payload without selectors is
    /// well-formed, and so is a range that ends before it starts: both select nothing.
    pub fn parse(body: &'a [u8], offset: usize, limits: &Limits) -> Result<Self, ParseError> {
        let mut budget = *limits;
        Self::check(body, base(offset), &mut budget)?;
        Self::validated(body).ok_or(ParseErrorKind::Truncated.at(offset))
    }

    /// A body that [`Self::check`] has accepted.
    pub(crate) fn validated(body: &'a [u8]) -> Option<Self> {
        let (&[_, r0, r1, r2], selectors) = body.split_first_chunk()?;
        Some(Self { reserved: [r0, r1, r2], selectors })
    }

    pub(crate) fn check(body: &[u8], offset: usize, budget: &mut Limits) -> Result<(), ParseError> {
        let Some((&[count, ..], selectors)) = body.split_first_chunk::<4>() else {
            return Err(ParseErrorKind::Truncated.at(offset));
        };
        let (mut at, mut found) = (0, 0);
        while let Some(rest) = selectors.get(at..).filter(|rest| !rest.is_empty()) {
            let here = offset + 4 + at;
            let &[ts_type, _, l0, l1] = rest.first_chunk().ok_or(ParseErrorKind::Truncated.at(here))?;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let right = match addresses_len(TsType(ts_type)) {
                Some(addresses) => length == SELECTOR_HEADER + PORTS + addresses,
                None => length >= SELECTOR_HEADER,
            };
            if !right {
                return Err(ParseErrorKind::BadLength.at(here + 2));
            }
            if length > rest.len() {
                return Err(ParseErrorKind::Truncated.at(here + 2));
            }
            spend(&mut budget.selectors, 1, Counted::TrafficSelectors, here)?;
            at += length;
            found += 1;
        }
        if found != usize::from(count) {
            return Err(ParseErrorKind::CountMismatch.at(offset));
        }
        Ok(())
    }

    /// The traffic selectors.
    #[must_use]
    pub const fn selectors(&self) -> TrafficSelectors<'a> {
        TrafficSelectors { bytes: self.selectors }
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Ts {
        Ts {
            selectors: self.selectors().map(|selector| selector.to_owned()).collect(),
            reserved: self.reserved,
            count: None,
        }
    }
}

/// Iterates over traffic selectors.
#[derive(Debug, Clone)]
pub struct TrafficSelectors<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for TrafficSelectors<'a> {
    type Item = TrafficSelectorView<'a>;

    fn next(&mut self) -> Option<TrafficSelectorView<'a>> {
        let &[ts_type, protocol, l0, l1] = self.bytes.first_chunk()?;
        let (selector, rest) = self.bytes.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        let ts_type = TsType(ts_type);
        let body = selector.get(SELECTOR_HEADER..)?;
        let (start_port, end_port, body) = match addresses_len(ts_type) {
            Some(_) => (u16_at(body, 0)?, u16_at(body, 2)?, body.get(PORTS..)?),
            None => (0, 0, body),
        };
        self.bytes = rest;
        Some(TrafficSelectorView { ts_type, protocol, start_port, end_port, body })
    }
}

/// One traffic selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficSelectorView<'a> {
    /// The form.
    pub ts_type: TsType,
    /// The IP protocol, 0 for any; of other forms whatever stands in its place.
    pub protocol: u8,
    /// The first port; for ICMP type and code (RFC 7296 §3.13.1). 0 for forms other than address ranges.
    pub start_port: u16,
    /// The last port; 65535 after a start of 0 is any, 0 after 65535 is OPAQUE.
    pub end_port: u16,
    /// First and last address; for forms other than address ranges all after the length.
    pub body: &'a [u8],
}

impl TrafficSelectorView<'_> {
    /// The first and the last address of an address range.
    #[must_use]
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        addresses(self.ts_type, self.body)
    }

    /// The label of TS_SECLABEL, to be matched as it is (RFC 9478 §2).
    #[must_use]
    pub fn security_label(&self) -> Option<&[u8]> {
        (self.ts_type == TsType::SECLABEL).then_some(self.body)
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> TrafficSelector {
        TrafficSelector {
            ts_type: self.ts_type,
            protocol: self.protocol,
            start_port: self.start_port,
            end_port: self.end_port,
            body: self.body.to_vec(),
            length: None,
        }
    }
}

fn addresses(ts_type: TsType, body: &[u8]) -> Option<(IpAddr, IpAddr)> {
    if addresses_len(ts_type)? != body.len() {
        return None;
    }
    match ts_type {
        TsType::IPV4_ADDR_RANGE => {
            let (start, end) = (array_at::<4>(body, 0)?, array_at::<4>(body, 4)?);
            Some((Ipv4Addr::from(start).into(), Ipv4Addr::from(end).into()))
        }
        _ => {
            let (start, end) = (array_at::<16>(body, 0)?, array_at::<16>(body, 16)?);
            Some((Ipv6Addr::from(start).into(), Ipv6Addr::from(end).into()))
        }
    }
}

/// A TSi or TSr payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ts {
    /// The traffic selectors.
    pub selectors: Vec<TrafficSelector>,
    /// The reserved octets.
    pub reserved: [u8; 3],
    /// Overrides the number of selectors.
    pub count: Option<u8>,
}

impl Ts {
    /// A payload with these selectors.
    #[must_use]
    pub const fn new(selectors: Vec<TrafficSelector>) -> Self {
        Self { selectors, reserved: [0; 3], count: None }
    }

    pub(crate) fn emit(&self, out: &mut impl Out) {
        out.push(self.count.unwrap_or(saturate8(self.selectors.len())));
        out.extend_from_slice(&self.reserved);
        for selector in &self.selectors {
            selector.emit(out);
        }
    }
}

/// A traffic selector to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrafficSelector {
    /// The form.
    pub ts_type: TsType,
    /// The IP protocol, 0 for any.
    pub protocol: u8,
    /// The first port; written for address ranges only.
    pub start_port: u16,
    /// The last port; written for address ranges only.
    pub end_port: u16,
    /// First and last address; for other forms all after the length.
    pub body: Vec<u8>,
    /// Overrides the length.
    pub length: Option<u16>,
}

impl TrafficSelector {
    /// An address range of either version. Where the addresses are of two versions the form is that of
    /// the first and the selector is not well-formed.
    #[must_use]
    pub fn range(protocol: u8, ports: RangeInclusive<u16>, start: IpAddr, end: IpAddr) -> Self {
        let ts_type = if start.is_ipv4() { TsType::IPV4_ADDR_RANGE } else { TsType::IPV6_ADDR_RANGE };
        let mut body = Vec::with_capacity(32);
        for address in [start, end] {
            match address {
                IpAddr::V4(address) => body.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => body.extend_from_slice(&address.octets()),
            }
        }
        Self { ts_type, protocol, start_port: *ports.start(), end_port: *ports.end(), body, length: None }
    }

    /// A security label (RFC 9478 §2). What stands in the protocol's place is reserved.
    #[must_use]
    pub fn security_label(label: impl Into<Vec<u8>>) -> Self {
        Self { ts_type: TsType::SECLABEL, body: label.into(), ..Self::default() }
    }

    /// The first and the last address of an address range.
    #[must_use]
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        addresses(self.ts_type, &self.body)
    }

    fn emit(&self, out: &mut impl Out) {
        let start = out.len();
        out.extend_from_slice(&[self.ts_type.0, self.protocol, 0, 0]);
        if addresses_len(self.ts_type).is_some() {
            put16(out, self.start_port);
            put16(out, self.end_port);
        }
        out.extend_from_slice(&self.body);
        let length = self.length.unwrap_or(saturate16(out.len() - start));
        patch(out, start + 2, &length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn emitted(ts: &Ts) -> Vec<u8> {
        let mut out = Vec::new();
        ts.emit(&mut out);
        out
    }

    fn sample() -> Ts {
        Ts::new(vec![
            TrafficSelector::range(6, 80..=443, "10.0.0.0".parse().unwrap(), "10.0.0.255".parse().unwrap()),
            TrafficSelector::range(0, 0..=65535, "fd00::".parse().unwrap(), "fd00::ffff".parse().unwrap()),
            TrafficSelector::security_label(*b"label"),
        ])
    }

    #[test]
    fn octets_and_views() {
        let ts = sample();
        let bytes = emitted(&ts);
        assert_eq!(hex::encode(&bytes[..20]), "0300000007060010005001bb0a0000000a0000ff");
        assert_eq!(hex::encode(&bytes[60..]), "0a0000096c6162656c");
        let view = TsView::parse(&bytes, 0, &Limits::DEFAULT).unwrap();
        assert_eq!(view.to_owned(), ts);
        let v6 = view.selectors().nth(1).unwrap();
        assert_eq!(v6.addresses().unwrap().1, "fd00::ffff".parse::<IpAddr>().unwrap());
        let label = view.selectors().nth(2).unwrap();
        assert_eq!((label.addresses(), label.security_label()), (None, Some(&b"label"[..])));
    }

    #[test]
    fn wrong_counts_and_lengths_are_refused_where_they_stand() {
        let error = |ts: &Ts| TsView::parse(&emitted(ts), 50, &Limits::DEFAULT).unwrap_err();
        for wrong in [0, 2, 4] {
            assert_eq!(error(&Ts { count: Some(wrong), ..sample() }), ParseErrorKind::CountMismatch.at(50));
        }
        for (selector, length, kind, offset) in [
            (0, 15, ParseErrorKind::BadLength, 56),
            (0, 40, ParseErrorKind::BadLength, 56),
            (1, 16, ParseErrorKind::BadLength, 72),
            (2, 3, ParseErrorKind::BadLength, 112),
            (2, 10, ParseErrorKind::Truncated, 112),
            (2, 8, ParseErrorKind::Truncated, 118),
        ] {
            let mut ts = sample();
            ts.selectors[selector].length = Some(length);
            assert_eq!(error(&ts), kind.at(offset), "selector {selector} length {length}");
        }
        let bytes = emitted(&sample());
        let capped = TsView::parse(&bytes, 0, &Limits::DEFAULT.selectors(2));
        assert_eq!(capped, Err(ParseErrorKind::TooMany(Counted::TrafficSelectors).at(60)));
    }
}
