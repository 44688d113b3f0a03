//! The cleartext part of an ESP packet (RFC 4303 §2).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |               Security Parameters Index (SPI)                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                      Sequence Number                          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~           IV, encrypted payload, padding, trailer, ICV        ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{array_at, u32_at};
use crate::spi::Spi;

/// An ESP packet before decryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EspView<'a> {
    /// The SA.
    pub spi: Spi,
    /// The sequence number, of 64-bit ones the lower half.
    pub seq: u32,
    /// From the IV to the end of the ICV.
    pub body: &'a [u8],
}

impl<'a> EspView<'a> {
    /// Octets of SPI and sequence number.
    pub const HEADER_LEN: usize = 8;

    /// Reads a packet from its SPI on.
    ///
    /// # Errors
    /// `Truncated` below eight octets. What the body must hold depends on the SA's algorithms.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let truncated = ParseErrorKind::Truncated.at(0);
        Ok(Self {
            spi: Spi::from_bytes(array_at(bytes, 0).ok_or(truncated)?),
            seq: u32_at(bytes, 4).ok_or(truncated)?,
            body: bytes.get(Self::HEADER_LEN..).ok_or(truncated)?,
        })
    }

    /// SPI and sequence number as they stand in front of the packet.
    #[must_use]
    pub fn header(spi: Spi, seq: u32) -> [u8; 8] {
        let mut out = [0; 8];
        out[..4].copy_from_slice(&spi.to_bytes());
        out[4..].copy_from_slice(&seq.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let bytes = [0xc0, 0, 0, 1, 0, 0, 0, 9, 0xaa, 0xbb];
        let view = EspView::parse(&bytes).unwrap();
        assert_eq!(view, EspView { spi: Spi(0xc000_0001), seq: 9, body: &[0xaa, 0xbb] });
        assert_eq!(EspView::header(view.spi, view.seq), bytes[..8]);
        assert_eq!(EspView::parse(&bytes[..8]).map(|view| view.body.len()), Ok(0));
        assert_eq!(EspView::parse(&bytes[..7]), Err(ParseErrorKind::Truncated.at(0)));
    }
}
