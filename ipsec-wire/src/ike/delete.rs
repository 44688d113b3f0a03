//! The Delete payload (RFC 7296 §3.11).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Protocol ID   |   SPI Size    |          Num of SPIs          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~               Security Parameter Index(es) (SPI)              ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use alloc::vec::Vec;
use core::slice::ChunksExact;

use super::registry::ProtocolId;
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::octets::{Out, base, put16, saturate8, saturate16, spend};
use crate::spi::Spi;

/// A Delete payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteView<'a> {
    /// The protocol of the SAs that are deleted.
    pub protocol: ProtocolId,
    /// Octets of each SPI: 4 for ESP and AH, 0 for the IKE SA.
    pub spi_size: u8,
    spis: &'a [u8],
}

impl<'a> DeleteView<'a> {
    /// Reads a payload body that stands at an offset of its message.
    ///
    /// # Errors
    /// `Truncated` below four octets; `CountMismatch` when size and number do not make up the octets that
    /// follow, or a number of SPIs without size is claimed.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let Some((&[protocol, spi_size, n0, n1], spis)) = body.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(offset));
        };
        let count = usize::from(u16::from_be_bytes([n0, n1]));
        if count * usize::from(spi_size) != spis.len() || (spi_size == 0 && count != 0) {
            return Err(ParseErrorKind::CountMismatch.at(base(offset) + 2));
        }
        Ok(Self { protocol: ProtocolId(protocol), spi_size, spis })
    }

    pub(crate) fn check(body: &[u8], offset: usize, budget: &mut Limits) -> Result<(), ParseError> {
        let count = DeleteView::parse(body, offset)?.spis().len();
        spend(&mut budget.spis, count, Counted::Spis, offset + 2)
    }

    /// The SPIs, each of `spi_size` octets.
    pub fn spis(&self) -> ChunksExact<'a, u8> {
        self.spis.chunks_exact(usize::from(self.spi_size).max(1))
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Delete {
        Delete {
            protocol: self.protocol,
            spis: self.spis().map(<[u8]>::to_vec).collect(),
            spi_size: Some(self.spi_size),
            count: None,
        }
    }
}

/// A Delete payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delete {
    /// The protocol of the SAs that are deleted.
    pub protocol: ProtocolId,
    /// The SPIs.
    pub spis: Vec<Vec<u8>>,
    /// The SPI size; `None` is that of the first SPI, or 0.
    pub spi_size: Option<u8>,
    /// Overrides the number of SPIs.
    pub count: Option<u16>,
}

impl Delete {
    /// Deletes the IKE SA that the message belongs to, and all its children.
    #[must_use]
    pub fn ike() -> Self {
        Self { protocol: ProtocolId::IKE, spi_size: Some(0), ..Self::default() }
    }

    /// Deletes the ESP SAs that the sender receives on.
    #[must_use]
    pub fn esp(spis: &[Spi]) -> Self {
        Self::of(ProtocolId::ESP, spis)
    }

    /// Deletes the AH SAs that the sender receives on.
    #[must_use]
    pub fn ah(spis: &[Spi]) -> Self {
        Self::of(ProtocolId::AH, spis)
    }

    fn of(protocol: ProtocolId, spis: &[Spi]) -> Self {
        let spis = spis.iter().map(|spi| spi.to_bytes().to_vec()).collect();
        Self { protocol, spis, spi_size: Some(4), count: None }
    }

    pub(crate) fn emit(&self, out: &mut impl Out) {
        let size = self.spi_size.unwrap_or(saturate8(self.spis.first().map_or(0, Vec::len)));
        out.extend_from_slice(&[self.protocol.0, size]);
        put16(out, self.count.unwrap_or(saturate16(self.spis.len())));
        for spi in &self.spis {
            out.extend_from_slice(spi);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_must_agree() {
        let two = DeleteView::parse(&[3, 4, 0, 2, 0, 0, 1, 0, 0, 0, 1, 1], 0).unwrap();
        assert!(two.spis().eq([&[0, 0, 1, 0][..], &[0, 0, 1, 1]]));
        assert_eq!(two.to_owned(), Delete::esp(&[Spi(256), Spi(257)]));
        let ike = DeleteView::parse(&[1, 0, 0, 0], 0).unwrap();
        assert_eq!((ike.spis().len(), ike.to_owned()), (0, Delete::ike()));
        let mismatch = Err(ParseErrorKind::CountMismatch.at(52));
        assert_eq!(DeleteView::parse(&[3, 4, 0, 3, 0, 0, 1, 0, 0, 0, 1, 1], 50), mismatch);
        assert_eq!(DeleteView::parse(&[3, 4, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1], 50), mismatch);
        // Elements without size could be claimed by the thousand at no cost.
        assert_eq!(DeleteView::parse(&[1, 0, 0xff, 0xff], 50), mismatch);
        let capped = DeleteView::check(&[3, 1, 0, 2, 7, 8], 10, &mut Limits::DEFAULT.spis(1));
        assert_eq!(capped, Err(ParseErrorKind::TooMany(Counted::Spis).at(12)));
    }
}
