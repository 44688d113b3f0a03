//! What the value of a configuration attribute says, by the attribute's type (RFC 7296 §3.15.1 and others).
//!
//! Reading is total: a value of the wrong form is [`CfgValue::Malformed`], a type whose form is not known
//! has [`CfgValue::Opaque`] values. `CfgValue::read(kind, octets).to_vec() == octets` for any octets.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str;

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::{be_u16, u8 as octet};

use super::cp::{CfgAttribute, CpView};
use super::notify_data::Numbers;
use super::registry::CfgAttributeType;
use crate::octets::{array_at, put16, saturate8};

/// What a value says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CfgValue<'a> {
    /// Nothing: asks for any, or acknowledges.
    Empty,
    /// INTERNAL_IP4_ADDRESS, INTERNAL_IP4_NETMASK, INTERNAL_IP4_DNS, INTERNAL_IP4_NBNS, INTERNAL_IP4_DHCP,
    /// P_CSCF_IP4_ADDRESS (RFC 7651 §4).
    Ipv4(Ipv4Addr),
    /// INTERNAL_IP6_DNS, INTERNAL_IP6_DHCP, P_CSCF_IP6_ADDRESS; INTERNAL_IP6_ADDRESS of senders that leave
    /// its prefix length away.
    Ipv6(Ipv6Addr),
    /// INTERNAL_IP6_ADDRESS, INTERNAL_IP6_SUBNET, INTERNAL_IP6_PREFIX.
    Ipv6Prefix {
        /// The address.
        address: Ipv6Addr,
        /// The length of its prefix in bits; more than 128 is possible on the wire.
        prefix_len: u8,
    },
    /// INTERNAL_IP4_SUBNET.
    Ipv4Subnet {
        /// The address.
        address: Ipv4Addr,
        /// The mask.
        netmask: Ipv4Addr,
    },
    /// APPLICATION_VERSION and INTERNAL_DNS_DOMAIN (RFC 8598 §4.1), where they are UTF-8.
    Text(&'a str),
    /// SUPPORTED_ATTRIBUTES: [`CfgAttributeType`]s.
    Attributes(Numbers<'a>),
    /// TIMEOUT_PERIOD_FOR_LIVENESS_CHECK: seconds. INTERNAL_ADDRESS_EXPIRY, which is retired, too.
    Seconds(u32),
    /// MIP6_HOME_PREFIX (RFC 5026 §8.2).
    HomePrefix {
        /// For how many seconds the prefix is good.
        lifetime: u32,
        /// The prefix.
        address: Ipv6Addr,
        /// Its length in bits.
        prefix_len: u8,
    },
    /// INTERNAL_IP6_LINK (RFC 5739 §5.1).
    Ipv6Link {
        /// The interface id of the sender's link-local address.
        interface_id: [u8; 8],
        /// The virtual link.
        link_id: &'a [u8],
    },
    /// INTERNAL_DNSSEC_TA (RFC 8598 §4.2).
    TrustAnchor {
        /// The key tag of the DS record.
        key_tag: u16,
        /// The DNSKEY algorithm.
        algorithm: u8,
        /// How the digest was made.
        digest_type: u8,
        /// The digest.
        digest: &'a [u8],
    },
    /// ENCDNS_IP4 and ENCDNS_IP6 (RFC 9464 §3.1).
    EncryptedDns(EncryptedDns<'a>),
    /// A value of a type whose form is not known here.
    Opaque(&'a [u8]),
    /// A value that does not have the form of its type.
    Malformed(&'a [u8]),
}

/// A resolver that is reached by an encrypted protocol (RFC 9464 §3.1). The order of the fields was checked against
/// another implementation of the attribute (Incursa's `Quic.Dns`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedDns<'a> {
    /// The priority, lower first; 0 only points to another name.
    pub service_priority: u16,
    /// The addresses' octets.
    addresses: &'a [u8],
    /// Octets of each address, 4 or 16.
    address_len: u8,
    /// The name the resolver authenticates with, as text without a terminator.
    pub adn: &'a [u8],
    /// The service parameters, in the form of SVCB records.
    pub svc_params: &'a [u8],
}

impl<'a> EncryptedDns<'a> {
    fn read(input: &'a [u8], address_len: u8) -> IResult<&'a [u8], Self> {
        let (input, (service_priority, count, adn_len)) = (be_u16, octet, octet).parse(input)?;
        let (input, addresses) = take(usize::from(count) * usize::from(address_len))(input)?;
        let (svc_params, adn) = take(adn_len)(input)?;
        Ok((&[], Self { service_priority, addresses, address_len, adn, svc_params }))
    }

    /// The resolver's addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        self.addresses.chunks_exact(usize::from(self.address_len).max(1)).filter_map(|octets| {
            match octets.len() {
                4 => array_at::<4>(octets, 0).map(|a| Ipv4Addr::from(a).into()),
                _ => array_at::<16>(octets, 0).map(|a| Ipv6Addr::from(a).into()),
            }
        })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        put16(out, self.service_priority);
        out.push(saturate8(self.addresses.len() / usize::from(self.address_len).max(1)));
        out.push(saturate8(self.adn.len()));
        out.extend_from_slice(self.addresses);
        out.extend_from_slice(self.adn);
        out.extend_from_slice(self.svc_params);
    }
}

fn v4(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}

fn v6(value: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(value).ok().map(Ipv6Addr::from)
}

impl<'a> CfgValue<'a> {
    /// What a value of a type says.
    #[must_use]
    pub fn read(kind: CfgAttributeType, value: &'a [u8]) -> Self {
        if value.is_empty() {
            Self::Empty
        } else {
            Self::typed(kind, value).unwrap_or(Self::Malformed(value))
        }
    }

    fn typed(kind: CfgAttributeType, value: &'a [u8]) -> Option<Self> {
        use CfgAttributeType as T;
        Some(match kind {
            T::INTERNAL_IP4_ADDRESS
            | T::INTERNAL_IP4_NETMASK
            | T::INTERNAL_IP4_DNS
            | T::INTERNAL_IP4_NBNS
            | T::INTERNAL_IP4_DHCP
            | T::P_CSCF_IP4_ADDRESS => Self::Ipv4(v4(value)?),
            T::INTERNAL_IP6_DNS | T::INTERNAL_IP6_DHCP | T::P_CSCF_IP6_ADDRESS => Self::Ipv6(v6(value)?),
            T::INTERNAL_IP6_ADDRESS if value.len() == 16 => Self::Ipv6(v6(value)?),
            T::INTERNAL_IP6_ADDRESS | T::INTERNAL_IP6_SUBNET | T::INTERNAL_IP6_PREFIX => {
                let (&prefix_len, address) = value.split_last()?;
                Self::Ipv6Prefix { address: v6(address)?, prefix_len }
            }
            T::INTERNAL_IP4_SUBNET => {
                let (address, netmask) = value.split_first_chunk::<4>()?;
                Self::Ipv4Subnet { address: Ipv4Addr::from(*address), netmask: v4(netmask)? }
            }
            T::APPLICATION_VERSION | T::INTERNAL_DNS_DOMAIN => Self::Text(str::from_utf8(value).ok()?),
            T::SUPPORTED_ATTRIBUTES => Self::Attributes(Numbers::new(value)?),
            T::TIMEOUT_PERIOD_FOR_LIVENESS_CHECK | T::INTERNAL_ADDRESS_EXPIRY => {
                Self::Seconds(u32::from_be_bytes(value.try_into().ok()?))
            }
            T::MIP6_HOME_PREFIX => {
                let (lifetime, rest) = value.split_first_chunk()?;
                let (&prefix_len, address) = rest.split_last()?;
                Self::HomePrefix {
                    lifetime: u32::from_be_bytes(*lifetime),
                    address: v6(address)?,
                    prefix_len,
                }
            }
            T::INTERNAL_IP6_LINK => {
                let (&interface_id, link_id) = value.split_first_chunk()?;
                Self::Ipv6Link { interface_id, link_id }
            }
            T::INTERNAL_DNSSEC_TA => {
                let (&[k0, k1, algorithm, digest_type], digest) = value.split_first_chunk()?;
                Self::TrustAnchor { key_tag: u16::from_be_bytes([k0, k1]), algorithm, digest_type, digest }
            }
            T::ENCDNS_IP4 => Self::EncryptedDns(EncryptedDns::read(value, 4).ok()?.1),
            T::ENCDNS_IP6 => Self::EncryptedDns(EncryptedDns::read(value, 16).ok()?.1),
            _ => Self::Opaque(value),
        })
    }

    /// The octets of the value.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match *self {
            Self::Empty => {}
            Self::Ipv4(address) => out.extend_from_slice(&address.octets()),
            Self::Ipv6(address) => out.extend_from_slice(&address.octets()),
            Self::Ipv6Prefix { address, prefix_len } => {
                out.extend_from_slice(&address.octets());
                out.push(prefix_len);
            }
            Self::Ipv4Subnet { address, netmask } => {
                out.extend_from_slice(&address.octets());
                out.extend_from_slice(&netmask.octets());
            }
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Attributes(numbers) => out.extend_from_slice(numbers.octets()),
            Self::Seconds(seconds) => out.extend_from_slice(&seconds.to_be_bytes()),
            Self::HomePrefix { lifetime, address, prefix_len } => {
                out.extend_from_slice(&lifetime.to_be_bytes());
                out.extend_from_slice(&address.octets());
                out.push(prefix_len);
            }
            Self::Ipv6Link { interface_id, link_id } => {
                out.extend_from_slice(&interface_id);
                out.extend_from_slice(link_id);
            }
            Self::TrustAnchor { key_tag, algorithm, digest_type, digest } => {
                put16(&mut out, key_tag);
                out.extend_from_slice(&[algorithm, digest_type]);
                out.extend_from_slice(digest);
            }
            Self::EncryptedDns(resolver) => resolver.emit(&mut out),
            Self::Opaque(value) | Self::Malformed(value) => out.extend_from_slice(value),
        }
        out
    }
}

impl<'a> CpView<'a> {
    /// The attributes with their values in typed form.
    pub fn values(&self) -> impl Iterator<Item = (CfgAttributeType, CfgValue<'a>)> + use<'a> {
        self.attributes().map(|(kind, value)| (kind, CfgValue::read(kind, value)))
    }
}

impl CfgAttribute {
    /// An attribute with a typed value.
    #[must_use]
    pub fn with_value(attribute_type: CfgAttributeType, value: CfgValue<'_>) -> Self {
        Self::new(attribute_type, value.to_vec())
    }

    /// What the value says.
    #[must_use]
    pub fn typed(&self) -> CfgValue<'_> {
        CfgValue::read(self.attribute_type, &self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ways(kind: CfgAttributeType, octets: &str, value: CfgValue<'_>) {
        let octets = hex::decode(octets).unwrap();
        assert_eq!(CfgValue::read(kind, &octets), value, "{kind}");
        let attribute = CfgAttribute::with_value(kind, value);
        assert_eq!((&attribute.value, attribute.typed()), (&octets, value), "{kind}");
    }

    #[test]
    fn every_form() {
        use CfgAttributeType as T;
        use CfgValue as V;
        let v4: Ipv4Addr = "10.1.2.3".parse().unwrap();
        let v6: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let six = "20010db8000000000000000000000007";
        both_ways(T::INTERNAL_IP4_ADDRESS, "", V::Empty);
        both_ways(T::INTERNAL_IP4_ADDRESS, "0a010203", V::Ipv4(v4));
        both_ways(T::INTERNAL_IP4_DNS, "0a0102", V::Malformed(&[10, 1, 2]));
        both_ways(T::INTERNAL_IP6_DNS, six, V::Ipv6(v6));
        both_ways(T::INTERNAL_IP6_ADDRESS, six, V::Ipv6(v6));
        both_ways(
            T::INTERNAL_IP6_ADDRESS,
            &[six, "40"].concat(),
            V::Ipv6Prefix { address: v6, prefix_len: 64 },
        );
        let netmask = "255.255.255.0".parse().unwrap();
        both_ways(T::INTERNAL_IP4_SUBNET, "0a010203ffffff00", V::Ipv4Subnet { address: v4, netmask });
        both_ways(T::APPLICATION_VERSION, "76312e30", V::Text("v1.0"));
        both_ways(T::INTERNAL_DNS_DOMAIN, "ff", V::Malformed(&[0xff]));
        let list = Numbers::new(&[0, 1, 0, 3]).unwrap();
        both_ways(T::SUPPORTED_ATTRIBUTES, "00010003", V::Attributes(list));
        assert!(list.iter::<T>().eq([T::INTERNAL_IP4_ADDRESS, T::INTERNAL_IP4_DNS]));
        both_ways(T::TIMEOUT_PERIOD_FOR_LIVENESS_CHECK, "0000003c", V::Seconds(60));
        let home = V::HomePrefix { lifetime: 60, address: v6, prefix_len: 64 };
        both_ways(T::MIP6_HOME_PREFIX, &["0000003c", six, "40"].concat(), home);
        both_ways(
            T::INTERNAL_IP6_LINK,
            "010101010101010109",
            V::Ipv6Link { interface_id: [1; 8], link_id: &[9] },
        );
        let anchor = V::TrustAnchor { key_tag: 0x4f66, algorithm: 8, digest_type: 2, digest: &[0xe0] };
        both_ways(T::INTERNAL_DNSSEC_TA, "4f660802e0", anchor);
        both_ways(T::FTT_KAT, "0001", V::Opaque(&[0, 1]));
        both_ways(T(0x7abc), "01", V::Opaque(&[1]));
        let dns = "00010209 0a010203 0a010204 612e6578616d706c65 000300020355".replace(' ', "");
        let octets = hex::decode(&dns).unwrap();
        let V::EncryptedDns(resolver) = V::read(T::ENCDNS_IP4, &octets) else { panic!("a resolver") };
        assert_eq!(
            (resolver.service_priority, resolver.adn, resolver.svc_params),
            (1, &b"a.example"[..], &[0, 3, 0, 2, 3, 0x55][..])
        );
        assert!(resolver.addresses().eq([IpAddr::from(v4), "10.1.2.4".parse().unwrap()]));
        both_ways(T::ENCDNS_IP4, &dns, V::EncryptedDns(resolver));
        assert_eq!(V::read(T::ENCDNS_IP6, &octets), V::Malformed(&octets));
    }
}
