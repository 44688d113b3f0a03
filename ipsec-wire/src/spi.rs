//! Security Parameters Indexes: four octets for ESP and AH (RFC 4301 §4.1), eight for IKE (RFC 7296 §3.1).

use core::fmt;

/// The SPI of an ESP or AH SA, in host order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Spi(pub u32);

impl Spi {
    /// Octets on the wire.
    pub const LEN: usize = 4;
    /// The last of the values that RFC 4303 §2.1 reserves: a negotiated SPI is greater.
    pub const RESERVED_MAX: u32 = 255;

    /// Whether the value is one of the reserved ones, 0..=255.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 <= Self::RESERVED_MAX
    }

    /// The octets on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// From the octets on the wire.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// From an SPI field of a payload; `None` when it is not four octets long.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spi({self})")
    }
}

impl From<u32> for Spi {
    fn from(value: u32) -> Self {
        Self(value)
    }
}

impl From<Spi> for u32 {
    fn from(value: Spi) -> Self {
        value.0
    }
}

/// One side's SPI of an IKE SA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct IkeSpi(pub [u8; 8]);

impl IkeSpi {
    /// Octets on the wire.
    pub const LEN: usize = 8;
    /// The responder's SPI before it has chosen one.
    pub const ZERO: Self = Self([0; 8]);

    /// Whether all octets are zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        u64::from_be_bytes(self.0) == 0
    }

    /// The octets on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// From an SPI field of a payload; `None` when it is not eight octets long.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for IkeSpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for IkeSpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IkeSpi({self})")
    }
}

impl From<[u8; 8]> for IkeSpi {
    fn from(value: [u8; 8]) -> Self {
        Self(value)
    }
}

impl From<IkeSpi> for [u8; 8] {
    fn from(value: IkeSpi) -> Self {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn print_and_convert() {
        assert_eq!(Spi(0x1f).to_string(), "0x0000001f");
        assert_eq!(Spi::from_slice(&[0xde, 0xad, 0xbe, 0xef]), Some(Spi(0xdead_beef)));
        assert_eq!(Spi::from_slice(&[1, 2, 3]), None);
        assert!(Spi(255).is_reserved() && !Spi(256).is_reserved());
        let ike = IkeSpi([0, 1, 2, 3, 4, 5, 6, 0xff]);
        assert_eq!(ike.to_string(), "00010203040506ff");
        assert!(!ike.is_zero() && IkeSpi::ZERO.is_zero());
        assert_eq!(IkeSpi::from_slice(&[0; 7]), None);
    }
}
