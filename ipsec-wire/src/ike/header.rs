//! The IKE header (RFC 7296 §3.1).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       IKE SA Initiator's SPI                  |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       IKE SA Responder's SPI                  |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          Message ID                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                            Length                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use core::fmt;
use core::ops::BitOr;

use super::registry::{ExchangeType, PayloadType};
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{array_at, u32_at};
use crate::spi::IkeSpi;

/// The flags octet of the header. Reserved bits are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// I: the sender is the original initiator of the IKE SA.
    pub const INITIATOR: Self = Self(0x08);
    /// V: the sender could speak a higher major version; ignored when received.
    pub const VERSION: Self = Self(0x10);
    /// R: the message is a response.
    pub const RESPONSE: Self = Self(0x20);

    /// Whether all bits of the other are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the sender is the original initiator of the IKE SA.
    #[must_use]
    pub const fn is_initiator(self) -> bool {
        self.contains(Self::INITIATOR)
    }

    /// Whether the message is a response.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.contains(Self::RESPONSE)
    }

    /// The bits of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (i, v, r) = (self.is_initiator(), self.contains(Self::VERSION), self.is_response());
        let named = Self::INITIATOR.0 | Self::VERSION.0 | Self::RESPONSE.0;
        let mark = |set: bool, letter: char| if set { letter } else { '-' };
        write!(f, "{}{}{}", mark(i, 'I'), mark(v, 'V'), mark(r, 'R'))?;
        match self.0 & !named {
            0 => Ok(()),
            reserved => write!(f, "+{reserved:#04x}"),
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#04x} {self})", self.0)
    }
}

/// The 28 octets in front of every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The SPI that the original initiator chose.
    pub initiator_spi: IkeSpi,
    /// The SPI that the original responder chose; zero in the first message of an initial exchange.
    pub responder_spi: IkeSpi,
    /// The type of the first payload.
    pub next_payload: PayloadType,
    /// Major version in the upper four bits, minor in the lower; 0x20 is IKEv2.
    pub version: u8,
    /// The exchange.
    pub exchange_type: ExchangeType,
    /// The flags.
    pub flags: Flags,
    /// The message id.
    pub message_id: u32,
    /// Octets of the whole message, this header included.
    pub length: u32,
}

impl Header {
    /// Octets on the wire.
    pub const LEN: usize = 28;
    /// IKE version 2.0.
    pub const VERSION_2_0: u8 = 0x20;

    /// Reads the header alone: any version, and nothing is said about the octets behind it. This is what
    /// tells IKEv1 from IKEv2 and a foreign SPI from an own one before the rest is looked at.
    ///
    /// # Errors
    /// `Truncated` when there are fewer than 28 octets.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::read(bytes).ok_or(ParseErrorKind::Truncated.at(0))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.first_chunk()?;
        let [next_payload, version, exchange_type, flags] = array_at(bytes, 16)?;
        Some(Self {
            initiator_spi: IkeSpi(array_at(bytes, 0)?),
            responder_spi: IkeSpi(array_at(bytes, 8)?),
            next_payload: PayloadType(next_payload),
            version,
            exchange_type: ExchangeType(exchange_type),
            flags: Flags(flags),
            message_id: u32_at(bytes, 20)?,
            length: u32_at(bytes, 24)?,
        })
    }

    /// The major version.
    #[must_use]
    pub const fn major_version(&self) -> u8 {
        self.version >> 4
    }

    /// The minor version.
    #[must_use]
    pub const fn minor_version(&self) -> u8 {
        self.version & 0x0f
    }

    /// The 28 octets.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..8].copy_from_slice(&self.initiator_spi.0);
        out[8..16].copy_from_slice(&self.responder_spi.0);
        out[16..20].copy_from_slice(&[self.next_payload.0, self.version, self.exchange_type.0, self.flags.0]);
        out[20..24].copy_from_slice(&self.message_id.to_be_bytes());
        out[24..].copy_from_slice(&self.length.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn both_ways() {
        let bytes: [u8; 28] =
            [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9, 33, 0x21, 34, 0x28, 0, 0, 0, 7, 0, 0, 1, 0];
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header.initiator_spi, IkeSpi([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(header.responder_spi, IkeSpi([0, 0, 0, 0, 0, 0, 0, 9]));
        assert_eq!((header.next_payload, header.exchange_type), (PayloadType::SA, ExchangeType::IKE_SA_INIT));
        assert_eq!((header.major_version(), header.minor_version()), (2, 1));
        assert!(header.flags.is_initiator() && header.flags.is_response());
        assert_eq!((header.message_id, header.length), (7, 256));
        assert_eq!(header.emit(), bytes);
        assert_eq!(Header::parse(&bytes[..27]), Err(ParseErrorKind::Truncated.at(0)));
    }

    #[test]
    fn flags_print() {
        assert_eq!((Flags::INITIATOR | Flags::RESPONSE).to_string(), "I-R");
        assert_eq!(Flags(0x09).to_string(), "I--+0x01");
    }
}
