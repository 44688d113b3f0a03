//! The Authentication Header (RFC 4302 §2).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Header   |  Payload Len  |          RESERVED             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 Security Parameters Index (SPI)               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                    Sequence Number Field                      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                Integrity Check Value-ICV (variable)           ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use crate::error::{ParseError, ParseErrorKind};
use crate::ip::IpProtocol;
use crate::octets::{array_at, u16_at, u32_at};
use crate::spi::Spi;

/// An AH header and what it stands in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AhView<'a> {
    /// The protocol of the payload.
    pub next_header: IpProtocol,
    /// The length field: the header's length in units of four octets, minus two.
    pub payload_len: u8,
    /// The reserved field; the ICV covers it.
    pub reserved: u16,
    /// The SA.
    pub spi: Spi,
    /// The sequence number, of 64-bit ones the lower half.
    pub seq: u32,
    /// The ICV with the padding behind it.
    pub icv: &'a [u8],
    /// What follows the header.
    pub payload: &'a [u8],
}

impl<'a> AhView<'a> {
    /// Octets before the ICV.
    pub const FIXED_LEN: usize = 12;

    /// Reads a packet from the AH header on.
    ///
    /// # Errors
    /// `Truncated`; `BadLength` for a length field that does not hold the fixed part.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let truncated = ParseErrorKind::Truncated.at(0);
        let [next_header, payload_len] = array_at(bytes, 0).ok_or(truncated)?;
        let reserved = u16_at(bytes, 2).ok_or(truncated)?;
        let spi = Spi::from_bytes(array_at(bytes, 4).ok_or(truncated)?);
        let seq = u32_at(bytes, 8).ok_or(truncated)?;
        let length = (usize::from(payload_len) + 2) * 4;
        if length < Self::FIXED_LEN {
            return Err(ParseErrorKind::BadLength.at(1));
        }
        let (header, payload) = bytes.split_at_checked(length).ok_or(ParseErrorKind::Truncated.at(1))?;
        let icv = header.get(Self::FIXED_LEN..).unwrap_or_default();
        Ok(Self { next_header: IpProtocol(next_header), payload_len, reserved, spi, seq, icv, payload })
    }

    /// Octets of the header, ICV included.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        Self::FIXED_LEN + self.icv.len()
    }

    /// The octets before the ICV, for an ICV of so many octets; `None` when the header's length could not be
    /// said: the ICV with its padding is a multiple of four octets, and at most 1016.
    #[must_use]
    pub fn header(next_header: IpProtocol, icv_len: usize, spi: Spi, seq: u32) -> Option<[u8; 12]> {
        if !icv_len.is_multiple_of(4) {
            return None;
        }
        let payload_len = u8::try_from(icv_len / 4 + 1).ok()?;
        let mut out = [0; 12];
        out[..2].copy_from_slice(&[next_header.0, payload_len]);
        out[4..8].copy_from_slice(&spi.to_bytes());
        out[8..].copy_from_slice(&seq.to_be_bytes());
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn both_ways() {
        let header = AhView::header(IpProtocol::TCP, 12, Spi(0x1234), 7).unwrap();
        let bytes: Vec<u8> = header.into_iter().chain([0x55; 12]).chain([1, 2, 3]).collect();
        assert_eq!(hex::encode(&bytes[..12]), "060400000000123400000007");
        let view = AhView::parse(&bytes).unwrap();
        assert_eq!(
            (view.next_header, view.payload_len, view.spi, view.seq),
            (IpProtocol::TCP, 4, Spi(0x1234), 7)
        );
        assert_eq!((view.icv, view.payload, view.header_len()), (&[0x55; 12][..], &[1, 2, 3][..], 24));
        assert_eq!(AhView::parse(&bytes[..23]), Err(ParseErrorKind::Truncated.at(1)));
        assert_eq!(AhView::parse(&bytes[..11]), Err(ParseErrorKind::Truncated.at(0)));
        let mut short = bytes;
        short[1] = 0;
        assert_eq!(AhView::parse(&short), Err(ParseErrorKind::BadLength.at(1)));
        assert_eq!(AhView::header(IpProtocol::TCP, 13, Spi(1), 1), None);
        assert_eq!(AhView::header(IpProtocol::TCP, 1016, Spi(1), 1).map(|h| h[1]), Some(255));
        assert_eq!(AhView::header(IpProtocol::TCP, 1020, Spi(1), 1), None);
    }
}
