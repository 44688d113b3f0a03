//! Identities: what IDi and IDr carry (RFC 7296 §3.5).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use ipsec_wire::ike::{Id, IdType, IdView};

/// An identity as it stands in an ID payload.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Type.
    pub id_type: IdType,
    /// Identification data.
    pub data: Vec<u8>,
}

impl Identity {
    /// A domain name (ID_FQDN).
    #[must_use]
    pub fn fqdn(name: &str) -> Self {
        Self { id_type: IdType::FQDN, data: name.as_bytes().to_vec() }
    }

    /// A mailbox (ID_RFC822_ADDR).
    #[must_use]
    pub fn email(address: &str) -> Self {
        Self { id_type: IdType::RFC822_ADDR, data: address.as_bytes().to_vec() }
    }

    /// An address (ID_IPV4_ADDR or ID_IPV6_ADDR).
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self { id_type: IdType::IPV4_ADDR, data: v4.octets().to_vec() },
            IpAddr::V6(v6) => Self { id_type: IdType::IPV6_ADDR, data: v6.octets().to_vec() },
        }
    }

    /// Opaque octets (ID_KEY_ID).
    #[must_use]
    pub fn key_id(octets: &[u8]) -> Self {
        Self { id_type: IdType::KEY_ID, data: octets.to_vec() }
    }

    /// What a received payload says.
    #[must_use]
    pub fn from_view(view: &IdView<'_>) -> Self {
        Self { id_type: view.id_type, data: view.data.to_vec() }
    }

    /// The payload to send.
    #[must_use]
    pub fn to_payload(&self) -> Id {
        Id::new(self.id_type, self.data.clone())
    }

    /// The ID payload's body without its generic header: type, three reserved octets of zero, data. AUTH covers it.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(4 + self.data.len());
        body.extend_from_slice(&[self.id_type.value(), 0, 0, 0]);
        body.extend_from_slice(&self.data);
        body
    }
}

/// An address is an address, what holds `@` is a mailbox, all else a domain name.
impl FromStr for Identity {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse::<IpAddr>() {
            Ok(address) => Self::address(address),
            Err(_) if text.contains('@') => Self::email(text),
            Err(_) => Self::fqdn(text),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id_type {
            IdType::FQDN | IdType::RFC822_ADDR => {
                f.write_str(&String::from_utf8_lossy(&self.data).escape_debug().to_string())
            }
            IdType::IPV4_ADDR => match <[u8; 4]>::try_from(self.data.as_slice()) {
                Ok(octets) => write!(f, "{}", IpAddr::from(octets)),
                Err(_) => hex(f, &self.data),
            },
            IdType::IPV6_ADDR => match <[u8; 16]>::try_from(self.data.as_slice()) {
                Ok(octets) => write!(f, "{}", IpAddr::from(octets)),
                Err(_) => hex(f, &self.data),
            },
            _ => hex(f, &self.data),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.id_type)
    }
}

fn hex(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn text_chooses_the_type() {
        for (text, id_type) in [
            ("a.test", IdType::FQDN),
            ("alice@a.test", IdType::RFC822_ADDR),
            ("10.0.0.1", IdType::IPV4_ADDR),
            ("2001:db8::1", IdType::IPV6_ADDR),
        ] {
            let identity: Identity = text.parse().unwrap();
            assert_eq!(identity.id_type, id_type);
            assert_eq!(format!("{identity}"), text);
        }
    }

    #[test]
    fn a_wrong_length_prints_as_hex() {
        assert_eq!(format!("{}", Identity { id_type: IdType::IPV4_ADDR, data: [1, 2].to_vec() }), "0102");
    }
}
