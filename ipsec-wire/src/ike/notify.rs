//! The Notify payload (RFC 7296 §3.10).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Protocol ID  |   SPI Size    |      Notify Message Type      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                Security Parameter Index (SPI)                 ~
//! ~                       Notification Data                       ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use alloc::vec::Vec;

use super::registry::{NotifyType, ProtocolId};
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{Out, base, saturate8};

/// A Notify payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifyView<'a> {
    /// The protocol of the SA it is about, where there is one.
    pub protocol: ProtocolId,
    /// The SPI of that SA; empty where there is none and for the IKE SA itself.
    pub spi: &'a [u8],
    /// What is notified.
    pub notify_type: NotifyType,
    /// The data that belongs to the type.
    pub data: &'a [u8],
}

impl<'a> NotifyView<'a> {
    /// Reads a payload body that stands at an offset of its message.
    ///
    /// # Errors
    /// `Truncated` below four octets, `BadLength` when the SPI does not fit.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let Some((&[protocol, spi_size, t0, t1], rest)) = body.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(offset));
        };
        let (spi, data) = rest
            .split_at_checked(usize::from(spi_size))
            .ok_or(ParseErrorKind::BadLength.at(base(offset) + 1))?;
        let notify_type = NotifyType(u16::from_be_bytes([t0, t1]));
        Ok(Self { protocol: ProtocolId(protocol), spi, notify_type, data })
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Notify {
        Notify {
            protocol: self.protocol,
            spi: self.spi.to_vec(),
            notify_type: self.notify_type,
            data: self.data.to_vec(),
            spi_size: None,
        }
    }
}

/// A Notify payload to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// The protocol of the SA it is about, where there is one.
    pub protocol: ProtocolId,
    /// The SPI of that SA.
    pub spi: Vec<u8>,
    /// What is notified.
    pub notify_type: NotifyType,
    /// The data that belongs to the type.
    pub data: Vec<u8>,
    /// Overrides the SPI size.
    pub spi_size: Option<u8>,
}

impl Notify {
    /// A notification about no particular SA, or about the IKE SA.
    #[must_use]
    pub fn new(notify_type: NotifyType, data: impl Into<Vec<u8>>) -> Self {
        Self { notify_type, data: data.into(), ..Self::default() }
    }

    /// A notification about the SA with an SPI.
    #[must_use]
    pub fn with_spi(
        protocol: ProtocolId,
        spi: impl Into<Vec<u8>>,
        notify_type: NotifyType,
        data: impl Into<Vec<u8>>,
    ) -> Self {
        Self { protocol, spi: spi.into(), notify_type, data: data.into(), spi_size: None }
    }

    pub(crate) fn emit(&self, out: &mut impl Out) {
        out.extend_from_slice(&[self.protocol.0, self.spi_size.unwrap_or(saturate8(self.spi.len()))]);
        out.extend_from_slice(&self.notify_type.0.to_be_bytes());
        out.extend_from_slice(&self.spi);
        out.extend_from_slice(&self.data);
    }
}
