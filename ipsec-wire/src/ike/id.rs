//! The identification payloads IDi and IDr (RFC 7296 §3.5): type, three reserved octets, the identity.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::registry::IdType;
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::Out;

/// An identification payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdView<'a> {
    /// The form of the identity.
    pub id_type: IdType,
    /// The reserved octets; they are part of what AUTH covers (RFC 7296 §2.15).
    pub reserved: [u8; 3],
    /// The identity.
    pub data: &'a [u8],
}

impl<'a> IdView<'a> {
    /// Reads a payload body that stands at an offset of its message.
    ///
    /// # Errors
    /// `Truncated` below four octets. Whether the data suits the type is not a question of syntax here:
    /// an address of the wrong length is an identity that equals no other.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let Some((&[id_type, r0, r1, r2], data)) = body.split_first_chunk() else {
            return Err(ParseErrorKind::Truncated.at(offset));
        };
        Ok(Self { id_type: IdType(id_type), reserved: [r0, r1, r2], data })
    }

    /// The address of ID_IPV4_ADDR and ID_IPV6_ADDR; `None` for other types and wrong lengths.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.id_type {
            IdType::IPV4_ADDR => <[u8; 4]>::try_from(self.data).ok().map(|a| Ipv4Addr::from(a).into()),
            IdType::IPV6_ADDR => <[u8; 16]>::try_from(self.data).ok().map(|a| Ipv6Addr::from(a).into()),
            _ => None,
        }
    }

    /// The text of ID_FQDN and ID_RFC822_ADDR, where it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        matches!(self.id_type, IdType::FQDN | IdType::RFC822_ADDR)
            .then(|| core::str::from_utf8(self.data).ok())
            .flatten()
    }

    /// The owned mirror.
    #[must_use]
    pub fn to_owned(&self) -> Id {
        Id { id_type: self.id_type, reserved: self.reserved, data: self.data.to_vec() }
    }
}

/// An identification payload to build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id {
    /// The form of the identity.
    pub id_type: IdType,
    /// The reserved octets.
    pub reserved: [u8; 3],
    /// The identity.
    pub data: Vec<u8>,
}

impl Id {
    /// An identity of a type.
    #[must_use]
    pub fn new(id_type: IdType, data: impl Into<Vec<u8>>) -> Self {
        Self { id_type, reserved: [0; 3], data: data.into() }
    }

    /// The identity that an address is.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::new(IdType::IPV4_ADDR, address.octets()),
            IpAddr::V6(address) => Self::new(IdType::IPV6_ADDR, address.octets()),
        }
    }

    /// The same as a view.
    #[must_use]
    pub fn as_view(&self) -> IdView<'_> {
        IdView { id_type: self.id_type, reserved: self.reserved, data: &self.data }
    }

    /// The payload's body: the octets that enter AUTH as IDi' or IDr' (RFC 7296 §2.15).
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.data.len());
        self.emit(&mut out);
        out
    }

    pub(crate) fn emit(&self, out: &mut impl Out) {
        out.push(self.id_type.0);
        out.extend_from_slice(&self.reserved);
        out.extend_from_slice(&self.data);
    }
}
