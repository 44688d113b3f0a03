//! Wrapped ESP (RFC 5840 §2): what lets the middle of the network look into ESP that is not encrypted.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Next Header  |   HdrLen      |  TrailerLen   |V|V|E|P| Rsvd  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~            Padding (optional), then the ESP packet            ~
//! ```

use crate::error::{ParseError, ParseErrorKind};
use crate::esp::EspView;
use crate::ip::IpProtocol;

/// A WESP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WespView<'a> {
    /// The protocol inside ESP; 0 when the payload is encrypted.
    pub next_header: IpProtocol,
    /// Octets from the start of WESP to the start of ESP's payload data; 0 when that is encrypted.
    pub header_len: u8,
    /// Octets of ESP's trailer, from the end of the payload data on; 0 when that is encrypted.
    pub trailer_len: u8,
    /// The flags.
    pub flags: WespFlags,
    /// The padding that aligns the packet for IPv6: empty or four octets.
    pub padding: &'a [u8],
    /// The ESP packet.
    pub esp: &'a [u8],
}

/// The flags octet of WESP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct WespFlags(pub u8);

impl WespFlags {
    /// E: the payload is encrypted.
    pub const ENCRYPTED: Self = Self(0x20);
    /// P: there is padding behind the header.
    pub const PADDED: Self = Self(0x10);

    /// Whether all bits of the other are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The version, 0.
    #[must_use]
    pub const fn version(self) -> u8 {
        self.0 >> 6
    }
}

impl<'a> WespView<'a> {
    /// Octets before the padding.
    pub const FIXED_LEN: usize = 4;
    /// Octets of the padding, where there is some.
    pub const PADDING_LEN: usize = 4;

    /// Reads a packet from the WESP header on.
    ///
    /// # Errors
    /// `Truncated`; `UnsupportedVersion` other than 0; `BadLength` where header and trailer length do not lie inside the
    /// packet, where the header length cannot be one, or where lengths are said of an encrypted payload;
    /// `UnexpectedPayload` where its protocol is (RFC 5840 §2). Whether they are true, and multiples of eight for IPv6,
    /// is known to whoever has the SA.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let Some((&[next_header, header_len, trailer_len, flags], rest)) = bytes.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(0));
        };
        let flags = WespFlags(flags);
        if flags.version() != 0 {
            return Err(ParseErrorKind::UnsupportedVersion(flags.version()).at(3));
        }
        let padding = if flags.contains(WespFlags::PADDED) { Self::PADDING_LEN } else { 0 };
        let (padding, esp) = rest.split_at_checked(padding).ok_or(ParseErrorKind::Truncated.at(4))?;
        if flags.contains(WespFlags::ENCRYPTED) {
            match (next_header, header_len, trailer_len) {
                (0, 0, 0) => {}
                (0, 0, _) => return Err(ParseErrorKind::BadLength.at(2)),
                (0, ..) => return Err(ParseErrorKind::BadLength.at(1)),
                (other, ..) => return Err(ParseErrorKind::UnexpectedPayload(other).at(0)),
            }
        } else {
            let least = Self::FIXED_LEN + padding.len() + EspView::HEADER_LEN;
            let (header, trailer) = (usize::from(header_len), usize::from(trailer_len));
            if header < least || !header.is_multiple_of(4) || header + trailer > bytes.len() {
                return Err(ParseErrorKind::BadLength.at(1));
            }
        }
        Ok(Self { next_header: IpProtocol(next_header), header_len, trailer_len, flags, padding, esp })
    }

    /// The payload data of an ESP packet that is not encrypted.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        if self.flags.contains(WespFlags::ENCRYPTED) {
            return None;
        }
        let start = usize::from(self.header_len).checked_sub(Self::FIXED_LEN + self.padding.len())?;
        self.esp.get(start..self.esp.len().checked_sub(self.trailer_len.into())?)
    }

    /// The header in front of an encrypted ESP packet, without padding.
    #[must_use]
    pub const fn encrypted_header() -> [u8; 4] {
        [0, 0, 0, WespFlags::ENCRYPTED.0]
    }

    /// The header in front of an ESP packet in clear, without padding: the protocol inside, octets of ESP
    /// before and behind the payload data. `None` when the header's length does not fit.
    #[must_use]
    pub fn clear_header(next_header: IpProtocol, esp_header: u8, esp_trailer: u8) -> Option<[u8; 4]> {
        let header_len = esp_header.checked_add(4)?;
        Some([next_header.0, header_len, esp_trailer, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn both_ways() {
        let header = WespView::clear_header(IpProtocol::TCP, 8, 14).unwrap();
        let packet: Vec<u8> = header.into_iter().chain([1; 8]).chain([7; 3]).chain([2; 14]).collect();
        let view = WespView::parse(&packet).unwrap();
        assert_eq!((view.next_header, view.payload()), (IpProtocol::TCP, Some(&[7; 3][..])));
        assert_eq!(view.esp.len(), 25);
        let hidden = [&WespView::encrypted_header()[..], &[9; 20]].concat();
        let view = WespView::parse(&hidden).unwrap();
        assert_eq!((view.payload(), view.esp), (None, &[9; 20][..]));
        let padded = WespView::parse(&[6, 16, 0, 0x10, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 5]).unwrap();
        assert_eq!((padded.padding, padded.payload()), (&[0; 4][..], Some(&[5][..])));
        assert_eq!(WespView::parse(&packet[..3]), Err(ParseErrorKind::Truncated.at(0)));
        assert_eq!(WespView::parse(&[6, 12, 0, 0x10, 0]), Err(ParseErrorKind::Truncated.at(4)));
        assert_eq!(WespView::parse(&packet[..20]), Err(ParseErrorKind::BadLength.at(1)));
        assert_eq!(WespView::parse(&[6, 0, 0, 0x40]), Err(ParseErrorKind::UnsupportedVersion(1).at(3)));
        assert_eq!(WespView::clear_header(IpProtocol::TCP, 252, 0), None);
    }

    #[test]
    fn headers_that_cannot_be() {
        let clear = |header_len, flags| {
            let packet = [&[6, header_len, 12, flags][..], &[0; 40]].concat();
            WespView::parse(&packet).map(|view| view.payload().map(<[u8]>::len))
        };
        let bad = Err(ParseErrorKind::BadLength.at(1));
        assert_eq!((clear(12, 0), clear(20, 0), clear(32, 0)), (Ok(Some(20)), Ok(Some(12)), Ok(Some(0))));
        // Less than WESP and ESP have in front of the payload data, in units of four octets (RFC 5840 §2).
        for header_len in [0, 8, 11, 13, 14, 36] {
            assert_eq!(clear(header_len, 0), bad, "{header_len}");
        }
        let padded = WespFlags::PADDED.0;
        assert_eq!((clear(12, padded), clear(16, padded)), (bad, Ok(Some(16))));
        // What would tell of an encrypted payload is zero.
        let encrypted = |fields: [u8; 3]| {
            let packet = [&fields[..], &[WespFlags::ENCRYPTED.0], &[9; 40]].concat();
            WespView::parse(&packet).map(|view| view.payload().map(<[u8]>::len))
        };
        assert_eq!(encrypted([0; 3]), Ok(None));
        assert_eq!(encrypted([6, 0, 0]), Err(ParseErrorKind::UnexpectedPayload(6).at(0)));
        assert_eq!(encrypted([0, 12, 0]), bad);
        assert_eq!(encrypted([0, 0, 12]), Err(ParseErrorKind::BadLength.at(2)));
    }
}
