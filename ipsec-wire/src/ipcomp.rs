//! The IPComp header (RFC 3173 §3.3).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Next Header  |     Flags     | Compression Parameter Index   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use crate::error::{ParseError, ParseErrorKind};
use crate::ip::IpProtocol;

/// A compressed packet: header and compressed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpCompView<'a> {
    /// The protocol of what was compressed.
    pub next_header: IpProtocol,
    /// Reserved; to be ignored.
    pub flags: u8,
    /// The Compression Parameter Index: below 64 an algorithm by its number, from 256 on negotiated.
    pub cpi: u16,
    /// The compressed data.
    pub payload: &'a [u8],
}

impl<'a> IpCompView<'a> {
    /// Octets of the header.
    pub const HEADER_LEN: usize = 4;
    /// The greatest CPI that names an algorithm by its number.
    pub const WELL_KNOWN_MAX: u16 = 63;
    /// The least CPI that can be negotiated.
    pub const NEGOTIATED_MIN: u16 = 256;

    /// Reads a packet from the IPComp header on.
    ///
    /// # Errors
    /// `Truncated` below four octets.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let Some((&[next_header, flags, c0, c1], payload)) = bytes.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(0));
        };
        Ok(Self { next_header: IpProtocol(next_header), flags, cpi: u16::from_be_bytes([c0, c1]), payload })
    }

    /// The header as it stands in front of the compressed data.
    #[must_use]
    pub const fn header(next_header: IpProtocol, cpi: u16) -> [u8; 4] {
        let [c0, c1] = cpi.to_be_bytes();
        [next_header.0, 0, c0, c1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let bytes = [6, 0, 0, 2, 0x78, 0x9c];
        let view = IpCompView::parse(&bytes).unwrap();
        let payload = &bytes[4..];
        assert_eq!(view, IpCompView { next_header: IpProtocol::TCP, flags: 0, cpi: 2, payload });
        assert_eq!(IpCompView::header(view.next_header, view.cpi), bytes[..4]);
        assert_eq!(IpCompView::parse(&bytes[..3]), Err(ParseErrorKind::Truncated.at(0)));
    }
}
