//! The peer authorization database (RFC 4301 §4.4.3): who may assert which identity, proven how, for which children.
//!
//! Entries stand in an order, and the first that an identity matches decides, whatever stands behind it. IKE asks
//! twice: with the identity and how it was proven ([`PeerAuthorizationDatabase::lookup`]), and with the selectors that
//! the peer wants for a Child SA ([`PadEntry::authorizes`], [`PadEntry::narrow`]).

mod distinguished_name;
mod pattern;

use alloc::string::String;
use alloc::vec::Vec;

use ipsec_wire::ike::AuthMethod;
use thiserror::Error;

use crate::{TrafficSelector, covers, narrow};

pub use pattern::{AssertedId, IdPattern, IdPatternError};

/// How a peer proves who it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PeerAuthentication {
    /// A shared key (RFC 7296 §2.15).
    SharedKey,
    /// A signature, whatever says whose key made it (RFC 7296 §2.15, RFC 7427).
    Signature,
    /// EAP (RFC 7296 §2.16).
    Eap,
    /// Not at all (RFC 7619).
    Null,
}

impl PeerAuthentication {
    /// What a method in an AUTH payload is. EAP has none of its own; `None` for what is not known here.
    #[must_use]
    pub const fn of(method: AuthMethod) -> Option<Self> {
        match method {
            AuthMethod::SHARED_KEY_MIC => Some(Self::SharedKey),
            AuthMethod::RSA_SIGNATURE
            | AuthMethod::DSS_SIGNATURE
            | AuthMethod::ECDSA_256
            | AuthMethod::ECDSA_384
            | AuthMethod::ECDSA_521
            | AuthMethod::DIGITAL_SIGNATURE => Some(Self::Signature),
            AuthMethod::NULL => Some(Self::Null),
            _ => None,
        }
    }
}

/// What the Child SAs of a peer may be for (RFC 4301 §4.4.3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChildAuthorization {
    /// What lies within these selectors: addresses of both families, protocols and ports.
    Selectors(Vec<TrafficSelector>),
    /// What the policies say that name the peer's identity ([`crate::SecurityPolicyDatabase::of_peer`]).
    ByName,
}

/// One peer, or one group of peers.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PadEntry {
    /// Its name, unique in the database.
    pub name: String,
    /// Identities that it is about; one that matches is enough.
    pub identities: Vec<IdPattern>,
    /// How these may be proven.
    pub authentication: Vec<PeerAuthentication>,
    /// What children may be for.
    pub children: ChildAuthorization,
    /// Addresses of gateways, where they are known; none says nothing.
    pub gateways: Vec<TrafficSelector>,
}

/// Why an identity was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Unauthorized {
    /// No entry is about the identity.
    #[error("nobody may assert this identity")]
    UnknownIdentity,
    /// The entry wants it proven in another way. Entries behind it do not count.
    #[error("identity must be proven in another way")]
    Authentication,
}

/// Why an entry was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PadError {
    /// There is an entry with this name.
    #[error("name of the entry is in use")]
    DuplicateName,
    /// The entry that it was to stand in front of is not there.
    #[error("no entry with this name")]
    UnknownName,
}

impl PadEntry {
    /// An entry that allows no way of proof and no child yet; setters add them.
    #[must_use]
    pub fn new(name: impl Into<String>, identities: Vec<IdPattern>) -> Self {
        Self {
            name: name.into(),
            identities,
            authentication: Vec::new(),
            children: ChildAuthorization::Selectors(Vec::new()),
            gateways: Vec::new(),
        }
    }

    /// Adds a way of proof.
    #[must_use]
    pub fn proven_by(mut self, authentication: PeerAuthentication) -> Self {
        self.authentication.push(authentication);
        self
    }

    /// Sets what children may be for.
    #[must_use]
    pub fn with_children(mut self, children: ChildAuthorization) -> Self {
        self.children = children;
        self
    }

    /// Sets where its gateways are.
    #[must_use]
    pub fn with_gateways(mut self, gateways: Vec<TrafficSelector>) -> Self {
        self.gateways = gateways;
        self
    }

    /// Whether the entry is about an identity.
    #[must_use]
    pub fn is_about(&self, identity: AssertedId<'_>) -> bool {
        self.identities.iter().any(|pattern| pattern.matches(identity))
    }

    /// Whether every one of the peer's selectors lies within one of the entry's. With
    /// [`ChildAuthorization::ByName`] nothing does: the policies decide.
    #[must_use]
    pub fn authorizes(&self, remote: &[TrafficSelector]) -> bool {
        match &self.children {
            ChildAuthorization::Selectors(allowed) => {
                !remote.is_empty() && remote.iter().all(|one| covers(allowed, one))
            }
            ChildAuthorization::ByName => false,
        }
    }

    /// What the entry leaves of the peer's selectors, in their order: for a responder, which may narrow
    /// (RFC 7296 §2.9).
    #[must_use]
    pub fn narrow(&self, remote: &[TrafficSelector]) -> Vec<TrafficSelector> {
        match &self.children {
            ChildAuthorization::Selectors(allowed) => narrow(remote, allowed),
            ChildAuthorization::ByName => Vec::new(),
        }
    }
}

/// Ordered entries.
#[derive(Clone, Debug, Default)]
pub struct PeerAuthorizationDatabase {
    entries: Vec<PadEntry>,
}

impl PeerAuthorizationDatabase {
    /// No entry: nobody is let in.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds an entry behind all others.
    ///
    /// # Errors
    /// [`PadError::DuplicateName`].
    pub fn insert(&mut self, entry: PadEntry) -> Result<(), PadError> {
        self.insert_at(self.entries.len(), entry)
    }

    /// Adds an entry in front of another one.
    ///
    /// # Errors
    /// [`PadError`].
    pub fn insert_before(&mut self, next: &str, entry: PadEntry) -> Result<(), PadError> {
        let at = self.entries.iter().position(|known| known.name == next).ok_or(PadError::UnknownName)?;
        self.insert_at(at, entry)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, name: &str) -> Option<PadEntry> {
        let at = self.entries.iter().position(|known| known.name == name)?;
        Some(self.entries.remove(at))
    }

    /// The entry of a peer that asserts an identity and proves it in this way: the first that is about the identity
    /// (RFC 4301 §4.4.3.1).
    ///
    /// # Errors
    /// [`Unauthorized`].
    pub fn lookup(
        &self,
        identity: AssertedId<'_>,
        by: PeerAuthentication,
    ) -> Result<&PadEntry, Unauthorized> {
        let entry = self.entry(identity).ok_or(Unauthorized::UnknownIdentity)?;
        if entry.authentication.contains(&by) { Ok(entry) } else { Err(Unauthorized::Authentication) }
    }

    /// The first entry that is about an identity: what an initiator asks before it is known how the peer will prove it.
    #[must_use]
    pub fn entry(&self, identity: AssertedId<'_>) -> Option<&PadEntry> {
        self.entries.iter().find(|entry| entry.is_about(identity))
    }

    /// All entries in their order.
    pub fn iter(&self) -> impl Iterator<Item = &PadEntry> {
        self.entries.iter()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn insert_at(&mut self, at: usize, entry: PadEntry) -> Result<(), PadError> {
        if self.entries.iter().any(|known| known.name == entry.name) {
            return Err(PadError::DuplicateName);
        }
        self.entries.insert(at.min(self.entries.len()), entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use ipsec_wire::ike::IdType;

    fn entry(name: &str, identity: &str, by: PeerAuthentication, nets: &[&str]) -> PadEntry {
        let nets = nets.iter().map(|net| net.parse().unwrap()).collect();
        PadEntry::new(name, vec![identity.parse().unwrap()])
            .proven_by(by)
            .with_children(ChildAuthorization::Selectors(nets))
    }

    const fn fqdn(name: &str) -> AssertedId<'_> {
        AssertedId { id_type: IdType::FQDN, data: name.as_bytes() }
    }

    #[test]
    fn the_first_entry_about_an_identity_decides() {
        let mut pad = PeerAuthorizationDatabase::new();
        let by = PeerAuthentication::SharedKey;
        assert_eq!(pad.lookup(fqdn("a.example"), by).err(), Some(Unauthorized::UnknownIdentity));
        pad.insert(entry("all", ".example", by, &["10.0.0.0/8"])).unwrap();
        let special = entry("one", "a.example", PeerAuthentication::Signature, &["10.1.0.0/16"]);
        pad.insert_before("all", special.clone()).unwrap();
        assert_eq!(pad.insert(special.clone()), Err(PadError::DuplicateName));
        assert_eq!(pad.insert_before("none", entry("x", "x", by, &[])), Err(PadError::UnknownName));
        // The wrong proof does not fall through to the group's entry.
        assert_eq!(pad.lookup(fqdn("a.example"), by), Err(Unauthorized::Authentication));
        assert_eq!(pad.lookup(fqdn("A.Example"), PeerAuthentication::Signature), Ok(&special));
        assert_eq!(pad.lookup(fqdn("b.example"), by).unwrap().name, "all");
        assert_eq!(pad.remove("one"), Some(special));
        assert_eq!(pad.lookup(fqdn("a.example"), by).unwrap().name, "all");
        assert_eq!(pad.len(), 1);
    }

    #[test]
    fn children_stay_within_what_the_entry_allows() {
        let entry = entry("a", "a.example", PeerAuthentication::Eap, &["10.1.0.0/16", "2001:db8::/64[tcp]"]);
        let ts = |text: &str| text.parse::<TrafficSelector>().unwrap();
        assert!(entry.authorizes(&[ts("10.1.2.0/24"), ts("2001:db8::1[tcp/80]")]));
        assert!(!entry.authorizes(&[ts("10.1.2.0/24"), ts("10.2.0.0/24")]));
        assert!(!entry.authorizes(&[ts("2001:db8::1")]));
        assert!(!entry.authorizes(&[]));
        assert_eq!(
            entry.narrow(&[ts("10.0.0.0/8"), ts("::/0")]),
            [ts("10.1.0.0/16"), ts("2001:db8::/64[tcp]")]
        );
        assert!(entry.narrow(&[ts("192.168.0.0/16")]).is_empty());
        let named = entry.with_children(ChildAuthorization::ByName);
        assert!(!named.authorizes(&[ts("10.1.2.0/24")]) && named.narrow(&[ts("10.1.0.0/16")]).is_empty());
    }

    #[test]
    fn every_known_method_but_the_password_one_is_a_way_of_proof() {
        for (method, _) in AuthMethod::KNOWN {
            let expected = *method != AuthMethod::SECURE_PASSWORD;
            assert_eq!(PeerAuthentication::of(*method).is_some(), expected, "{method}");
        }
        assert_eq!(PeerAuthentication::of(AuthMethod(200)), None);
    }
}
