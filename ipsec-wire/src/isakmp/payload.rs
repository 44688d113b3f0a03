//! The payloads of an ISAKMP chain (RFC 2408 §3.2 and on).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::slice::ChunksExact;

use super::attribute::AttributesView;
use super::registry::{CfgMessageType, NotifyType, PayloadType, ProtocolId};
use super::sa::SaView;
use crate::error::{Counted, Limits, ParseError, ParseErrorKind};
use crate::ike::{CertReqView, CertView, IdType};
use crate::octets::{array_at, spend, u16_at, u32_at};

/// Octets of the generic payload header.
pub(super) const HEADER: usize = 4;

/// Walks a chain and validates the body of every payload; returns where it ends.
pub(super) fn check_chain(
    first: PayloadType,
    bytes: &[u8],
    offset: usize,
    limits: &Limits,
) -> Result<usize, ParseError> {
    let mut budget = *limits;
    let (mut next, mut at) = (first, 0);
    while next != PayloadType::NONE {
        let here = offset + at;
        let rest = bytes.get(at..).unwrap_or_default();
        let &[following, _, l0, l1] = rest.first_chunk().ok_or(ParseErrorKind::Truncated.at(here))?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < HEADER {
            return Err(ParseErrorKind::BadLength.at(here + 2));
        }
        let body = rest.get(HEADER..length).ok_or(ParseErrorKind::Truncated.at(here + 2))?;
        spend(&mut budget.payloads, 1, Counted::Payloads, here)?;
        PayloadKind::read(next, body, here + HEADER, &mut budget)?;
        at += length;
        next = PayloadType(following);
    }
    Ok(at)
}

/// Iterates over the payloads of a validated chain.
#[derive(Debug, Clone)]
pub struct Payloads<'a> {
    next: PayloadType,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Payloads<'a> {
    pub(super) const fn new(first: PayloadType, bytes: &'a [u8], offset: usize) -> Self {
        Self { next: first, bytes, offset }
    }
}

impl<'a> Iterator for Payloads<'a> {
    type Item = PayloadView<'a>;

    fn next(&mut self) -> Option<PayloadView<'a>> {
        if self.next == PayloadType::NONE {
            return None;
        }
        let &[following, reserved, l0, l1] = self.bytes.first_chunk()?;
        let (payload, rest) = self.bytes.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
        let view = PayloadView {
            payload_type: self.next,
            reserved,
            body: payload.get(HEADER..)?,
            offset: self.offset,
        };
        self.next = PayloadType(following);
        self.offset += payload.len();
        self.bytes = rest;
        Some(view)
    }
}

/// One payload of a validated chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadView<'a> {
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The reserved octet.
    pub reserved: u8,
    /// What follows the generic header.
    pub body: &'a [u8],
    /// Where the generic header starts in the message.
    pub offset: usize,
}

impl<'a> PayloadView<'a> {
    /// The payload by its kind.
    #[must_use]
    pub fn kind(&self) -> PayloadKind<'a> {
        // What is validated was within its caps.
        let mut budget = UNLIMITED;
        PayloadKind::read(self.payload_type, self.body, 0, &mut budget)
            .unwrap_or(PayloadKind::Unknown(self.body))
    }
}

const UNLIMITED: Limits = Limits {
    message_len: usize::MAX,
    payloads: usize::MAX,
    proposals: usize::MAX,
    transforms: usize::MAX,
    attributes: usize::MAX,
    selectors: usize::MAX,
    notifies: usize::MAX,
    cfg_attributes: usize::MAX,
    spis: usize::MAX,
};

/// A payload by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadKind<'a> {
    /// Security Association.
    Sa(SaView<'a>),
    /// Key Exchange: the public value.
    Ke(&'a [u8]),
    /// Identification.
    Id(IdView<'a>),
    /// Certificate.
    Cert(CertView<'a>),
    /// Certificate Request: an authority's name.
    CertReq(CertReqView<'a>),
    /// Hash.
    Hash(&'a [u8]),
    /// Signature.
    Sig(&'a [u8]),
    /// Nonce.
    Nonce(&'a [u8]),
    /// Notification.
    Notify(NotifyView<'a>),
    /// Delete.
    Delete(DeleteView<'a>),
    /// Vendor ID.
    Vendor(&'a [u8]),
    /// Attributes of Mode-Config and XAUTH. Values can be passwords.
    Attributes {
        /// What kind of exchange they belong to.
        message_type: CfgMessageType,
        /// Matches replies with requests.
        identifier: u16,
        /// The attributes.
        attributes: AttributesView<'a>,
    },
    /// NAT-D: a hash of cookies, address and port (RFC 3947 §3.2).
    NatD(&'a [u8]),
    /// NAT-OA: the address before translation (RFC 3947 §5.2); `None` for other forms than addresses.
    NatOa {
        /// The form.
        id_type: IdType,
        /// The address.
        address: Option<IpAddr>,
    },
    /// A fragment of a message.
    Fragment(FragmentView<'a>),
    /// A type, or a form of the SA payload, that is not read here.
    Unknown(&'a [u8]),
}

impl<'a> PayloadKind<'a> {
    fn read(
        payload_type: PayloadType,
        body: &'a [u8],
        offset: usize,
        budget: &mut Limits,
    ) -> Result<Self, ParseError> {
        let truncated = ParseErrorKind::Truncated.at(offset);
        Ok(match payload_type {
            PayloadType::SA if SaView::applies(body) => Self::Sa(SaView::parse(body, offset, budget)?),
            PayloadType::SA if body.len() < SaView::FIXED_LEN => return Err(truncated),
            PayloadType::KE => Self::Ke(body),
            PayloadType::ID => Self::Id(IdView::read(body).ok_or(truncated)?),
            PayloadType::CERT => Self::Cert(CertView::parse(body, offset)?),
            PayloadType::CR => Self::CertReq(CertReqView::parse(body, offset)?),
            PayloadType::HASH => Self::Hash(body),
            PayloadType::SIG => Self::Sig(body),
            PayloadType::NONCE => Self::Nonce(body),
            PayloadType::NOTIFY => {
                spend(&mut budget.notifies, 1, Counted::Notifies, offset)?;
                Self::Notify(NotifyView::read(body).ok_or(truncated)?)
            }
            PayloadType::DELETE => {
                let delete = DeleteView::read(body, offset)?;
                spend(&mut budget.spis, delete.spis().len(), Counted::Spis, offset + 6)?;
                Self::Delete(delete)
            }
            PayloadType::VENDOR => Self::Vendor(body),
            PayloadType::ATTRIBUTES => {
                let &[message_type, _, i0, i1] = body.first_chunk().ok_or(truncated)?;
                let octets = body.get(HEADER..).unwrap_or_default();
                let attributes = AttributesView::parse(octets, offset + HEADER, budget)?;
                let identifier = u16::from_be_bytes([i0, i1]);
                Self::Attributes { message_type: CfgMessageType(message_type), identifier, attributes }
            }
            PayloadType::NAT_D | PayloadType::NAT_D_DRAFT => Self::NatD(body),
            PayloadType::NAT_OA | PayloadType::NAT_OA_DRAFT => {
                let id = IdView::read(body).ok_or(truncated)?;
                Self::NatOa { id_type: id.id_type, address: id.address() }
            }
            PayloadType::FRAGMENT => Self::Fragment(FragmentView::read(body).ok_or(truncated)?),
            _ => Self::Unknown(body),
        })
    }
}

/// An identification payload (RFC 2407 §4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdView<'a> {
    /// The form of the identity.
    pub id_type: IdType,
    /// The IP protocol it stands for, 0 for any.
    pub protocol: u8,
    /// The port it stands for, 0 for any.
    pub port: u16,
    /// The identity.
    pub data: &'a [u8],
}

impl<'a> IdView<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let (&[id_type, protocol, p0, p1], data) = body.split_first_chunk()?;
        Some(Self { id_type: IdType(id_type), protocol, port: u16::from_be_bytes([p0, p1]), data })
    }

    /// The address of ID_IPV4_ADDR and ID_IPV6_ADDR.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match (self.id_type, self.data.len()) {
            (IdType::IPV4_ADDR, 4) | (IdType::IPV6_ADDR, 16) => address(self.data),
            _ => None,
        }
    }

    /// The two addresses of a subnet or a range: address and mask, or first and last.
    #[must_use]
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match (self.id_type, self.data.len()) {
            (IdType::IPV4_ADDR_SUBNET | IdType::IPV4_ADDR_RANGE, 8)
            | (IdType::IPV6_ADDR_SUBNET | IdType::IPV6_ADDR_RANGE, 32) => {
                let (first, second) = self.data.split_at_checked(self.data.len() / 2)?;
                Some((address(first)?, address(second)?))
            }
            _ => None,
        }
    }

    /// The text of ID_FQDN and ID_USER_FQDN, where it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        matches!(self.id_type, IdType::FQDN | IdType::RFC822_ADDR)
            .then(|| core::str::from_utf8(self.data).ok())
            .flatten()
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => array_at::<4>(octets, 0).map(|a| Ipv4Addr::from(a).into()),
        16 => array_at::<16>(octets, 0).map(|a| Ipv6Addr::from(a).into()),
        _ => None,
    }
}

/// A notification payload (RFC 2408 §3.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifyView<'a> {
    /// The domain of interpretation.
    pub doi: u32,
    /// The protocol of the SA it is about.
    pub protocol: ProtocolId,
    /// The SPI of that SA; of phase 1 the two cookies.
    pub spi: &'a [u8],
    /// What is notified.
    pub notify_type: NotifyType,
    /// The data that belongs to the type.
    pub data: &'a [u8],
}

impl<'a> NotifyView<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let [protocol, spi_size, t0, t1] = array_at(body, 4)?;
        let (spi, data) = body.get(8..)?.split_at_checked(spi_size.into())?;
        Some(Self {
            doi: u32_at(body, 0)?,
            protocol: ProtocolId(protocol),
            spi,
            notify_type: NotifyType(u16::from_be_bytes([t0, t1])),
            data,
        })
    }

    /// The sequence number of R-U-THERE and R-U-THERE-ACK (RFC 3706 §5.3).
    #[must_use]
    pub fn dpd_sequence(&self) -> Option<u32> {
        let is_dpd = matches!(self.notify_type, NotifyType::R_U_THERE | NotifyType::R_U_THERE_ACK);
        (is_dpd && self.data.len() == 4).then(|| u32_at(self.data, 0)).flatten()
    }
}

/// A delete payload (RFC 2408 §3.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteView<'a> {
    /// The domain of interpretation.
    pub doi: u32,
    /// The protocol of the SAs that are deleted.
    pub protocol: ProtocolId,
    /// Octets of each SPI: 16 for phase 1, 4 for ESP and AH.
    pub spi_size: u8,
    spis: &'a [u8],
}

impl<'a> DeleteView<'a> {
    fn read(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let truncated = ParseErrorKind::Truncated.at(offset);
        let doi = u32_at(body, 0).ok_or(truncated)?;
        let [protocol, spi_size] = array_at(body, 4).ok_or(truncated)?;
        let count = usize::from(u16_at(body, 6).ok_or(truncated)?);
        let spis = body.get(8..).ok_or(truncated)?;
        if count * usize::from(spi_size) != spis.len() || (spi_size == 0 && count != 0) {
            return Err(ParseErrorKind::CountMismatch.at(offset + 6));
        }
        Ok(Self { doi, protocol: ProtocolId(protocol), spi_size, spis })
    }

    /// The SPIs, each of `spi_size` octets.
    pub fn spis(&self) -> ChunksExact<'a, u8> {
        self.spis.chunks_exact(usize::from(self.spi_size).max(1))
    }
}

/// A fragment of a message that was too long for the path, after Cisco.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentView<'a> {
    /// Which message it is a part of.
    pub id: u16,
    /// Which part, from 1.
    pub number: u8,
    /// Flags; bit 0 marks the last part.
    pub flags: u8,
    /// The part, of the first its header included.
    pub data: &'a [u8],
}

impl<'a> FragmentView<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let (&[i0, i1, number, flags], data) = body.split_first_chunk()?;
        Some(Self { id: u16::from_be_bytes([i0, i1]), number, flags, data })
    }

    /// Whether this is the last part.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.flags & 1 != 0
    }
}
