//! Which identities an entry is about (RFC 4301 §4.4.3.1).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use ipsec_wire::ike::IdType;
use thiserror::Error;

use super::distinguished_name as dn;
use crate::TrafficSelector;

/// An identity as a peer asserts it: what an ID payload carries (RFC 7296 §3.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AssertedId<'a> {
    /// Type.
    pub id_type: IdType,
    /// Identification data.
    pub data: &'a [u8],
}

/// One identity, or all of a subtree or a range.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum IdPattern {
    /// Any identity of any type.
    Any,
    /// This domain name; case does not count.
    Dns(String),
    /// Every domain name below this one, which itself does not match.
    DnsBelow(String),
    /// This mailbox; case counts in front of the `@` only.
    Mail(String),
    /// Every mailbox of this domain, but not of those below it.
    MailAt(String),
    /// Every mailbox of a domain below this one.
    MailBelow(String),
    /// This distinguished name, in DER. Case and repeated spaces in strings do not count (RFC 5280 §7.1).
    DistinguishedName(Vec<u8>),
    /// Every distinguished name that begins with these, the topmost ones first, and has more behind; a Name in DER.
    DistinguishedNameBelow(Vec<u8>),
    /// Addresses from the first to the last, of one family.
    Addresses(IpAddr, IpAddr),
    /// These opaque octets.
    KeyId(Vec<u8>),
    /// Nobody in particular (RFC 7619 §2.2).
    Null,
}

/// Why text is no pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a pattern of identities")]
pub struct IdPatternError;

impl IdPattern {
    /// Whether an identity is among them. Data that its type does not allow is in none but [`IdPattern::Any`].
    #[must_use]
    pub fn matches(&self, identity: AssertedId<'_>) -> bool {
        let AssertedId { id_type, data } = identity;
        match self {
            Self::Any => true,
            Self::Dns(name) => id_type == IdType::FQDN && data.eq_ignore_ascii_case(name.as_bytes()),
            Self::DnsBelow(domain) => id_type == IdType::FQDN && is_below(data, domain.as_bytes()),
            Self::Mail(mailbox) => {
                let both = mail(id_type, data).zip(split_mail(mailbox.as_bytes()));
                both.is_some_and(|(one, two)| one.0 == two.0 && one.1.eq_ignore_ascii_case(two.1))
            }
            Self::MailAt(domain) => {
                mail(id_type, data).is_some_and(|(_, at)| at.eq_ignore_ascii_case(domain.as_bytes()))
            }
            Self::MailBelow(domain) => {
                mail(id_type, data).is_some_and(|(_, at)| is_below(at, domain.as_bytes()))
            }
            Self::DistinguishedName(name) => id_type == IdType::DER_ASN1_DN && dn::equal(data, name),
            Self::DistinguishedNameBelow(top) => id_type == IdType::DER_ASN1_DN && dn::is_below(data, top),
            Self::Addresses(first, last) => {
                address(id_type, data).is_some_and(|address| *first <= address && address <= *last)
            }
            Self::KeyId(octets) => id_type == IdType::KEY_ID && data == octets.as_slice(),
            Self::Null => id_type == IdType::NULL && data.is_empty(),
        }
    }

    /// The pattern of exactly one identity; `None` for a type that has no pattern here, and for data that the type does
    /// not allow.
    #[must_use]
    pub fn exactly(identity: AssertedId<'_>) -> Option<Self> {
        let text = || core::str::from_utf8(identity.data).ok().map(ToString::to_string);
        let pattern = match identity.id_type {
            IdType::FQDN => Self::Dns(text()?),
            IdType::RFC822_ADDR => Self::Mail(text()?),
            IdType::IPV4_ADDR | IdType::IPV6_ADDR => {
                let address = address(identity.id_type, identity.data)?;
                Self::Addresses(address, address)
            }
            IdType::DER_ASN1_DN => Self::DistinguishedName(identity.data.to_vec()),
            IdType::KEY_ID => Self::KeyId(identity.data.to_vec()),
            IdType::NULL => Self::Null,
            _ => return None,
        };
        pattern.matches(identity).then_some(pattern)
    }
}

fn address(id_type: IdType, data: &[u8]) -> Option<IpAddr> {
    match id_type {
        IdType::IPV4_ADDR => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        IdType::IPV6_ADDR => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    }
}

fn mail(id_type: IdType, data: &[u8]) -> Option<(&[u8], &[u8])> {
    if id_type == IdType::RFC822_ADDR { split_mail(data) } else { None }
}

/// Mailbox and domain, at the last `@`: a quoted mailbox may hold others.
fn split_mail(address: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = address.iter().rposition(|octet| *octet == b'@')?;
    let (mailbox, domain) = (address.get(..at)?, address.get(at + 1..)?);
    (!mailbox.is_empty() && !domain.is_empty()).then_some((mailbox, domain))
}

/// Whether whole labels stand in front of the domain.
fn is_below(name: &[u8], domain: &[u8]) -> bool {
    let Some(at) = name.len().checked_sub(domain.len() + 1) else { return false };
    let (front, rest) = name.split_at_checked(at).unwrap_or_default();
    !front.is_empty()
        && !front.ends_with(b".")
        && rest.split_first().is_some_and(|(dot, rest)| *dot == b'.' && rest.eq_ignore_ascii_case(domain))
}

/// `*` is any identity, `.example.com` every name below, `@example.com` every mailbox there, `@.example.com` every
/// mailbox below, `10.0.0.0/8`, `10.0.0.1-10.0.0.9` and `2001:db8::1` addresses; what holds `@` is a mailbox, all else a
/// domain name. Distinguished names and key ids have no text here.
impl FromStr for IdPattern {
    type Err = IdPatternError;

    fn from_str(text: &str) -> Result<Self, IdPatternError> {
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(IdPatternError);
        }
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Ok(range) = text.parse::<TrafficSelector>()
            && range.protocol() == 0
            && range.is_any_port()
        {
            return Ok(Self::Addresses(range.start(), range.end()));
        }
        let domain = |domain: &str| {
            let plain = !domain.is_empty() && !domain.contains(['@', '*', '/', '[']);
            plain.then(|| domain.to_string()).ok_or(IdPatternError)
        };
        match (text.strip_prefix('.'), text.strip_prefix("@."), text.strip_prefix('@')) {
            (Some(name), ..) => domain(name).map(Self::DnsBelow),
            (_, Some(name), _) => domain(name).map(Self::MailBelow),
            (.., Some(name)) => domain(name).map(Self::MailAt),
            _ if text.contains('@') => {
                split_mail(text.as_bytes()).map(|_| Self::Mail(text.to_string())).ok_or(IdPatternError)
            }
            _ => domain(text).map(Self::Dns),
        }
    }
}

impl fmt::Debug for AssertedId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id_type, self.data.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const fn id(id_type: IdType, data: &[u8]) -> AssertedId<'_> {
        AssertedId { id_type, data }
    }

    fn matches(pattern: &str, id_type: IdType, data: &[u8]) -> bool {
        pattern.parse::<IdPattern>().unwrap().matches(id(id_type, data))
    }

    #[test]
    fn names_match_by_whole_labels_and_without_case() {
        let fqdn = |pattern: &str, name: &str| matches(pattern, IdType::FQDN, name.as_bytes());
        assert!(fqdn("foo.example.com", "FOO.example.com"));
        assert!(fqdn(".example.com", "foo.example.com") && fqdn(".example.com", "a.b.Example.com"));
        for other in
            ["example.com", "fooexample.com", ".example.com", "..example.com", "foo.example.com.", ""]
        {
            assert!(!fqdn(".example.com", other), "{other}");
        }
        assert!(!matches("foo.example.com", IdType::KEY_ID, b"foo.example.com"));
        // A name with an octet of zero is another name.
        assert!(!fqdn("foo.example.com", "foo.example.com\0.evil.test"));
        assert!(!fqdn(".example.com", "evil.test\0example.com"));
    }

    #[test]
    fn mailboxes_match_by_domain() {
        let mail = |pattern: &str, name: &str| matches(pattern, IdType::RFC822_ADDR, name.as_bytes());
        assert!(mail("foo@example.com", "foo@EXAMPLE.com") && !mail("foo@example.com", "Foo@example.com"));
        assert!(mail("@example.com", "foo@example.com") && mail("@example.com", "\"a@b\"@example.com"));
        assert!(!mail("@example.com", "foo@a.example.com") && !mail("@example.com", "@example.com"));
        assert!(mail("@.example.com", "foo@a.example.com") && !mail("@.example.com", "foo@example.com"));
        assert!(!mail("@example.com", "foo@example.com@evil.test"));
        assert!(!matches("@example.com", IdType::FQDN, b"foo@example.com"));
    }

    #[test]
    fn addresses_match_by_range_and_length() {
        let v4 = |pattern: &str, data: &[u8]| matches(pattern, IdType::IPV4_ADDR, data);
        assert!(v4("10.0.0.0/8", &[10, 1, 2, 3]) && !v4("10.0.0.0/8", &[11, 0, 0, 0]));
        assert!(v4("10.0.0.3-10.0.0.9", &[10, 0, 0, 9]) && !v4("10.0.0.3-10.0.0.9", &[10, 0, 0, 2]));
        assert!(!v4("0.0.0.0/0", &[10, 0, 0]) && !v4("0.0.0.0/0", &[0; 16]));
        assert!(matches(
            "2001:db8::/32",
            IdType::IPV6_ADDR,
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        ));
        assert!(!matches("0.0.0.0/0", IdType::IPV6_ADDR, &[0; 16]));
    }

    #[test]
    fn opaque_octets_match_whole_and_nobody_is_somebody_of_its_own() {
        assert!(IdPattern::KeyId(vec![1, 2]).matches(id(IdType::KEY_ID, &[1, 2])));
        assert!(!IdPattern::KeyId(vec![1, 2]).matches(id(IdType::KEY_ID, &[1, 2, 3])));
        assert!(
            IdPattern::Null.matches(id(IdType::NULL, &[]))
                && !IdPattern::Null.matches(id(IdType::NULL, &[0]))
        );
        assert!(matches("*", IdType(200), b"whatever"));
    }

    #[test]
    fn text_that_is_no_pattern_is_refused() {
        for text in
            ["", ".", "@", "@.", "a b", "*.example.com", "foo@", "10.0.0.0/33", "10.0.0.0/8[tcp]", "a@b c"]
        {
            assert_eq!(text.parse::<IdPattern>(), Err(IdPatternError), "{text}");
        }
    }

    #[test]
    fn a_pattern_of_one_matches_that_one() {
        for (id_type, data) in [
            (IdType::FQDN, &b"a.example"[..]),
            (IdType::RFC822_ADDR, b"a@b.example"),
            (IdType::IPV4_ADDR, &[10, 0, 0, 1]),
            (IdType::IPV6_ADDR, &[1; 16]),
            (IdType::KEY_ID, &[0, 255]),
            (IdType::NULL, &[]),
            (IdType::DER_ASN1_DN, &[0x30, 0]),
        ] {
            let pattern = IdPattern::exactly(id(id_type, data)).unwrap();
            assert!(pattern.matches(id(id_type, data)));
            assert!(!pattern.matches(id(IdType(99), data)));
        }
        for (id_type, data) in [
            (IdType::IPV4_ADDR, &[1, 2][..]),
            (IdType::FQDN, &[0xff]),
            (IdType::RFC822_ADDR, b"a"),
            (IdType(99), b""),
        ] {
            assert_eq!(IdPattern::exactly(id(id_type, data)), None);
        }
    }
}
