//! The EAP packet that an EAP payload carries (RFC 7296 §3.16, RFC 3748 §4), and the headers of its methods.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Code      | Identifier    |           Length              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Type      | Type_Data ...
//! +-+-+-+-+-+-+-+-+-
//! ```
//!
//! The payload is octets to the message's parser: it travels unchanged between a peer and an EAP method,
//! and what the method refuses is not the message's fault.

use alloc::vec::Vec;

use nom::bytes::complete::take;
use nom::combinator::{cond, rest};
use nom::multi::length_data;
use nom::number::complete::{be_u16, be_u24, be_u32, u8 as octet};
use nom::{IResult, Parser};

use super::registry::EapType;
use crate::error::{ParseError, ParseErrorKind};
use crate::newtype_enum;
use crate::octets::{base, put16, saturate8, saturate16};

newtype_enum! {
    /// What an EAP packet is (RFC 3748 §4). Initiate and Finish have types of their own (RFC 6696 §5.3), which are not read.
    pub struct EapCode(u8) {
        REQUEST = 1 => "Request",
        RESPONSE = 2 => "Response",
        SUCCESS = 3 => "Success",
        FAILURE = 4 => "Failure",
        INITIATE = 5 => "Initiate",
        FINISH = 6 => "Finish",
    }
}

newtype_enum! {
    /// The step of an EAP-SIM, EAP-AKA or EAP-AKA' exchange (RFC 4186 §11, RFC 4187 §11).
    pub struct SimAkaSubtype(u8) {
        AKA_CHALLENGE = 1 => "AKA-Challenge",
        AKA_AUTHENTICATION_REJECT = 2 => "AKA-Authentication-Reject",
        AKA_SYNCHRONIZATION_FAILURE = 4 => "AKA-Synchronization-Failure",
        AKA_IDENTITY = 5 => "AKA-Identity",
        SIM_START = 10 => "SIM-Start",
        SIM_CHALLENGE = 11 => "SIM-Challenge",
        NOTIFICATION = 12 => "Notification",
        REAUTHENTICATION = 13 => "Re-authentication",
        CLIENT_ERROR = 14 => "Client-Error",
    }
}

newtype_enum! {
    /// The step of an EAP-MSCHAPv2 exchange.
    pub struct MsChapV2OpCode(u8) {
        CHALLENGE = 1 => "Challenge",
        RESPONSE = 2 => "Response",
        SUCCESS = 3 => "Success",
        FAILURE = 4 => "Failure",
        CHANGE_PASSWORD = 7 => "Change-Password",
    }
}

/// An EAP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EapView<'a> {
    /// What it is.
    pub code: EapCode,
    /// Matches responses with requests.
    pub identifier: u8,
    /// What follows the length: of requests and responses type and data.
    pub body: &'a [u8],
}

impl<'a> EapView<'a> {
    /// Octets before the body.
    pub const HEADER_LEN: usize = 4;

    /// Reads the body of an EAP payload that stands at an offset of its message.
    ///
    /// # Errors
    /// `Truncated` below the length that the packet declares, or for a request or response without a type;
    /// `TrailingOctets` beyond it; `BadLength` for a length below four.
    pub fn parse(bytes: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let offset = base(offset);
        let Some((&[code, identifier, l0, l1], body)) = bytes.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(offset));
        };
        let (code, length) = (EapCode(code), usize::from(u16::from_be_bytes([l0, l1])));
        let typed = matches!(code, EapCode::REQUEST | EapCode::RESPONSE);
        if length < Self::HEADER_LEN {
            return Err(ParseErrorKind::BadLength.at(offset + 2));
        }
        if length > bytes.len() || (typed && body.is_empty()) {
            return Err(ParseErrorKind::Truncated.at(offset + 2));
        }
        if length < bytes.len() {
            return Err(ParseErrorKind::TrailingOctets.at(offset + length));
        }
        Ok(Self { code, identifier, body })
    }

    /// The type of a request or response.
    #[must_use]
    pub fn eap_type(&self) -> Option<EapType> {
        let typed = matches!(self.code, EapCode::REQUEST | EapCode::RESPONSE);
        typed.then(|| self.body.first().copied().map(EapType)).flatten()
    }

    /// The header of the method and its data, of a request or response.
    #[must_use]
    pub fn method(&self) -> Option<EapMethod<'a>> {
        let eap_type = self.eap_type()?;
        Some(EapMethod::read(eap_type, self.body.get(1..)?))
    }

    /// The octets of the packet. A body that is too long is written whole, under the field's maximum.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::HEADER_LEN + self.body.len());
        out.extend_from_slice(&[self.code.0, self.identifier]);
        put16(&mut out, saturate16(Self::HEADER_LEN + self.body.len()));
        out.extend_from_slice(self.body);
        out
    }
}

/// The header of an EAP method. Data can be a password or prove one: it is not for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EapMethod<'a> {
    /// Identity: the identity in a response, a text for people in a request (RFC 3748 §5.1).
    Identity(&'a [u8]),
    /// Notification: a text for people (RFC 3748 §5.2).
    Notification(&'a [u8]),
    /// Nak: the types that the peer would have, one octet each (RFC 3748 §5.3.1).
    Nak(&'a [u8]),
    /// MD5-Challenge (RFC 3748 §5.4).
    Md5Challenge {
        /// The challenge or the response.
        value: &'a [u8],
        /// The name of the sender.
        name: &'a [u8],
    },
    /// Generic Token Card: a prompt or an answer (RFC 3748 §5.6).
    Gtc(&'a [u8]),
    /// EAP-TLS, EAP-TTLS and PEAP: a fragment of a TLS message (RFC 5216 §3, RFC 5281 §9.1).
    Tls {
        /// Which of the three.
        eap_type: EapType,
        /// The flags; their lower three bits are EAP-TTLS's and PEAP's version.
        flags: TlsFlags,
        /// The length of the whole message, where the L flag says that it is there.
        message_length: Option<u32>,
        /// The fragment.
        data: &'a [u8],
    },
    /// EAP-SIM, EAP-AKA and EAP-AKA' (RFC 4186 §8.1).
    SimAka {
        /// Which of the three.
        eap_type: EapType,
        /// The step.
        subtype: SimAkaSubtype,
        /// The reserved octets.
        reserved: u16,
        /// The attributes.
        attributes: SimAkaAttributes<'a>,
    },
    /// EAP-MSCHAPv2.
    MsChapV2 {
        /// The step.
        op_code: MsChapV2OpCode,
        /// Id, length and data; a peer's success or failure has none.
        header: Option<MsChapV2Header<'a>>,
    },
    /// An expanded type (RFC 3748 §5.7).
    Expanded {
        /// The vendor's SMI number, 24 bits.
        vendor: u32,
        /// The vendor's own type.
        vendor_type: u32,
        /// Its data.
        data: &'a [u8],
    },
    /// A type whose form is not known here, or data that does not have its type's form.
    Other {
        /// The type.
        eap_type: EapType,
        /// Its data.
        data: &'a [u8],
    },
}

/// The flags octet of EAP-TLS and its relatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TlsFlags(pub u8);

impl TlsFlags {
    /// L: the length of the whole message is there.
    pub const LENGTH_INCLUDED: Self = Self(0x80);
    /// M: more fragments follow.
    pub const MORE_FRAGMENTS: Self = Self(0x40);
    /// S: the server starts.
    pub const START: Self = Self(0x20);

    /// Whether all bits of the other are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The version of EAP-TTLS and PEAP.
    #[must_use]
    pub const fn version(self) -> u8 {
        self.0 & 0x07
    }
}

/// What follows the op-code of an EAP-MSCHAPv2 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsChapV2Header<'a> {
    /// Matches responses with challenges.
    pub id: u8,
    /// The length field: octets from the op-code on.
    pub length: u16,
    /// The data.
    pub data: &'a [u8],
}

/// The attributes of EAP-SIM and EAP-AKA: type, length in units of four octets, value (RFC 4186 §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimAkaAttributes<'a> {
    octets: &'a [u8],
}

impl<'a> SimAkaAttributes<'a> {
    fn one(input: &'a [u8]) -> IResult<&'a [u8], (u8, &'a [u8])> {
        let (input, kind) = octet(input)?;
        let (input, units) = nom::combinator::verify(octet, |units| *units > 0).parse(input)?;
        let (input, value) = take(usize::from(units) * 4 - 2)(input)?;
        Ok((input, (kind, value)))
    }

    fn new(octets: &'a [u8]) -> Option<Self> {
        let mut left = octets;
        while !left.is_empty() {
            left = Self::one(left).ok()?.0;
        }
        Some(Self { octets })
    }

    /// Type and value of each attribute; the value holds what else the type puts in front of its own.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut left = self.octets;
        core::iter::from_fn(move || {
            let (after, attribute) = Self::one(left).ok()?;
            left = after;
            Some(attribute)
        })
    }
}

fn md5_challenge(data: &[u8]) -> IResult<&[u8], EapMethod<'_>> {
    (length_data(octet), rest).map(|(value, name)| EapMethod::Md5Challenge { value, name }).parse(data)
}

fn tls(eap_type: EapType, data: &[u8]) -> IResult<&[u8], EapMethod<'_>> {
    let (data, flags) = octet(data)?;
    let flags = TlsFlags(flags);
    let (data, message_length) = cond(flags.contains(TlsFlags::LENGTH_INCLUDED), be_u32).parse(data)?;
    Ok((&[], EapMethod::Tls { eap_type, flags, message_length, data }))
}

fn sim_aka(eap_type: EapType, data: &[u8]) -> IResult<&[u8], EapMethod<'_>> {
    let (octets, (subtype, reserved)) = (octet, be_u16).parse(data)?;
    let attributes = SimAkaAttributes::new(octets)
        .ok_or(nom::Err::Error(nom::error::Error::new(octets, nom::error::ErrorKind::Many0)))?;
    Ok((&[], EapMethod::SimAka { eap_type, subtype: SimAkaSubtype(subtype), reserved, attributes }))
}

fn ms_chap_v2(data: &[u8]) -> IResult<&[u8], EapMethod<'_>> {
    let (data, op_code) = octet(data)?;
    let op_code = MsChapV2OpCode(op_code);
    if data.is_empty() {
        return Ok((data, EapMethod::MsChapV2 { op_code, header: None }));
    }
    let (data, (id, length)) = (octet, be_u16).parse(data)?;
    Ok((&[], EapMethod::MsChapV2 { op_code, header: Some(MsChapV2Header { id, length, data }) }))
}

fn expanded(data: &[u8]) -> IResult<&[u8], EapMethod<'_>> {
    (be_u24, be_u32, rest)
        .map(|(vendor, vendor_type, data)| EapMethod::Expanded { vendor, vendor_type, data })
        .parse(data)
}

impl<'a> EapMethod<'a> {
    /// What the data of a type holds: total, for what does not have the type's form is [`Self::Other`].
    #[must_use]
    pub fn read(eap_type: EapType, data: &'a [u8]) -> Self {
        let read = match eap_type {
            EapType::IDENTITY => return Self::Identity(data),
            EapType::NOTIFICATION => return Self::Notification(data),
            EapType::NAK => return Self::Nak(data),
            EapType::GTC => return Self::Gtc(data),
            EapType::MD5_CHALLENGE => md5_challenge(data),
            EapType::TLS | EapType::TTLS | EapType::PEAP => tls(eap_type, data),
            EapType::SIM | EapType::AKA | EapType::AKA_PRIME => sim_aka(eap_type, data),
            EapType::MSCHAPV2 => ms_chap_v2(data),
            EapType::EXPANDED => expanded(data),
            _ => return Self::Other { eap_type, data },
        };
        read.map_or(Self::Other { eap_type, data }, |(_, method)| method)
    }

    /// The method's type.
    #[must_use]
    pub const fn eap_type(&self) -> EapType {
        match self {
            Self::Identity(_) => EapType::IDENTITY,
            Self::Notification(_) => EapType::NOTIFICATION,
            Self::Nak(_) => EapType::NAK,
            Self::Md5Challenge { .. } => EapType::MD5_CHALLENGE,
            Self::Gtc(_) => EapType::GTC,
            Self::MsChapV2 { .. } => EapType::MSCHAPV2,
            Self::Expanded { .. } => EapType::EXPANDED,
            Self::Tls { eap_type, .. } | Self::SimAka { eap_type, .. } | Self::Other { eap_type, .. } => {
                *eap_type
            }
        }
    }

    /// The body of a packet: type and data.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.push(self.eap_type().0);
        match *self {
            Self::Identity(data) | Self::Notification(data) | Self::Nak(data) | Self::Gtc(data) => {
                out.extend_from_slice(data);
            }
            Self::Md5Challenge { value, name } => {
                out.push(saturate8(value.len()));
                out.extend_from_slice(value);
                out.extend_from_slice(name);
            }
            Self::Tls { flags, message_length, data, .. } => {
                out.push(flags.0);
                if let Some(length) = message_length {
                    out.extend_from_slice(&length.to_be_bytes());
                }
                out.extend_from_slice(data);
            }
            Self::SimAka { subtype, reserved, attributes, .. } => {
                out.push(subtype.0);
                put16(&mut out, reserved);
                out.extend_from_slice(attributes.octets);
            }
            Self::MsChapV2 { op_code, header } => {
                out.push(op_code.0);
                if let Some(MsChapV2Header { id, length, data }) = header {
                    out.push(id);
                    put16(&mut out, length);
                    out.extend_from_slice(data);
                }
            }
            Self::Expanded { vendor, vendor_type, data } => {
                let [_, vendor @ ..] = vendor.to_be_bytes();
                out.extend_from_slice(&vendor);
                out.extend_from_slice(&vendor_type.to_be_bytes());
                out.extend_from_slice(data);
            }
            Self::Other { data, .. } => out.extend_from_slice(data),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let request = [1, 7, 0, 5, 1];
        let view = EapView::parse(&request, 0).unwrap();
        assert_eq!(
            (view.code, view.identifier, view.eap_type()),
            (EapCode::REQUEST, 7, Some(EapType::IDENTITY))
        );
        assert_eq!(view.to_vec(), request);
        assert_eq!(EapView::parse(&request[..4], 10), Err(ParseErrorKind::Truncated.at(12)));
        assert_eq!(EapView::parse(&[1, 7, 0, 4], 10), Err(ParseErrorKind::Truncated.at(12)));
        assert_eq!(EapView::parse(&[1, 7, 0, 5, 1, 0], 10), Err(ParseErrorKind::TrailingOctets.at(15)));
        assert_eq!(EapView::parse(&[1, 7, 0, 3], 10), Err(ParseErrorKind::BadLength.at(12)));
        assert_eq!(EapView::parse(&[1, 7, 0], 10), Err(ParseErrorKind::Truncated.at(10)));
        let success = EapView::parse(&[3, 7, 0, 4], 0).unwrap();
        assert_eq!((success.code, success.method()), (EapCode::SUCCESS, None));
    }

    fn both_ways(octets: &str, method: EapMethod<'_>) {
        let octets = hex::decode(octets).unwrap();
        assert_eq!(EapMethod::read(EapType(octets[0]), &octets[1..]), method);
        assert_eq!(method.to_vec(), octets);
    }

    #[test]
    fn the_headers_of_methods() {
        both_ways("01616c696365", EapMethod::Identity(b"alice"));
        both_ways("030d15", EapMethod::Nak(&[13, 21]));
        both_ways("0402aabb6e", EapMethod::Md5Challenge { value: &[0xaa, 0xbb], name: b"n" });
        both_ways("0405aabb", EapMethod::Other { eap_type: EapType::MD5_CHALLENGE, data: &[5, 0xaa, 0xbb] });
        let (eap_type, flags) = (EapType::TTLS, TlsFlags(0xc0));
        both_ways(
            "15c00000100016",
            EapMethod::Tls { eap_type, flags, message_length: Some(4096), data: &[0x16] },
        );
        let start = EapMethod::Tls {
            eap_type: EapType::TLS,
            flags: TlsFlags::START,
            message_length: None,
            data: &[],
        };
        both_ways("0d20", start);
        both_ways("fe00372a00000001ff", EapMethod::Expanded { vendor: 14122, vendor_type: 1, data: &[0xff] });
        let header = MsChapV2Header { id: 9, length: 6, data: &[1, 2] };
        both_ways(
            "1a020900060102",
            EapMethod::MsChapV2 { op_code: MsChapV2OpCode::RESPONSE, header: Some(header) },
        );
        both_ways("1a03", EapMethod::MsChapV2 { op_code: MsChapV2OpCode::SUCCESS, header: None });
        // AT_ANY_ID_REQ, then AT_RES of two units.
        let aka = hex::decode("170500000d01000003020020deadbeef").unwrap();
        let method = EapMethod::read(EapType::AKA, &aka[1..]);
        let EapMethod::SimAka { subtype, attributes, .. } = method else { panic!("{method:?}") };
        assert_eq!(subtype, SimAkaSubtype::AKA_IDENTITY);
        assert!(attributes.iter().eq([(13, &[0, 0][..]), (3, &[0, 32, 0xde, 0xad, 0xbe, 0xef])]));
        assert_eq!(method.to_vec(), aka);
        // An attribute of no length would never end.
        let endless = EapMethod::read(EapType::AKA, &[5, 0, 0, 13, 0, 0, 0]);
        assert_eq!(endless, EapMethod::Other { eap_type: EapType::AKA, data: &[5, 0, 0, 13, 0, 0, 0] });
    }
}
