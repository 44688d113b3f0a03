//! The responder's choice of a connection: a set of candidates that every step makes smaller, in the order in which they
//! were configured.
//!
//! Addresses come first, then proposals (what is chosen is what the first candidate left wants, and those that would
//! not take it are out), then IDi and IDr, then the proof, which is tried with each that is left: until it holds, which
//! connection it is may change. Whoever is out stays on record with the reason, for a refusal that explains itself.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::config::ConnectionId;
use crate::ike_sa::Connection;

/// The most candidates whose reasons are kept.
const MAX_REJECTED: usize = 16;

/// Why a connection is not the one that is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Unfit {
    /// It is for other addresses.
    Addresses,
    /// It takes none of the peer's proposals, or not the one that was chosen for another connection.
    Proposals,
    /// It expects somebody else.
    RemoteIdentity,
    /// The peer wants us to be somebody else.
    LocalIdentity,
    /// It wants another way of authentication.
    Method,
    /// The proof does not hold with its credentials.
    Proof,
}

/// A connection that is not the one that is meant, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rejected {
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub name: String,
    /// Why not.
    pub why: Unfit,
    /// What it expects in that respect.
    pub expects: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, expects, .. } = self;
        match self.why {
            Unfit::Addresses => write!(f, "{name}: is for other addresses, {expects}"),
            Unfit::Proposals => write!(f, "{name}: takes other proposals, {expects}"),
            Unfit::RemoteIdentity => write!(f, "{name}: expects the peer as {expects}"),
            Unfit::LocalIdentity => write!(f, "{name}: has us as {expects}"),
            Unfit::Method => write!(f, "{name}: authenticates by {expects}"),
            Unfit::Proof => write!(f, "{name}: the proof does not hold with its {expects}"),
        }
    }
}

/// The connections that it may still be, and those that it is not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contenders {
    pub(crate) fit: Vec<Arc<Connection>>,
    pub(crate) rejected: Vec<(Arc<Connection>, Unfit)>,
}

impl Contenders {
    /// All of them.
    pub(crate) fn new(all: impl Iterator<Item = Arc<Connection>>) -> Self {
        Self { fit: all.collect(), rejected: Vec::new() }
    }

    /// Keeps those that pass.
    pub(crate) fn narrow(&mut self, why: Unfit, passes: impl Fn(&Connection) -> bool) {
        let rejected = &mut self.rejected;
        self.fit.retain(|connection| {
            let keep = passes(connection);
            if !keep && rejected.len() < MAX_REJECTED {
                rejected.push((connection.clone(), why));
            }
            keep
        });
        self.fit.shrink_to_fit();
        self.rejected.shrink_to_fit();
    }

    /// Whether it is the same list, for the same reasons.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let rejected = |one: &(Arc<Connection>, Unfit), other: &(Arc<Connection>, Unfit)| {
            Arc::ptr_eq(&one.0, &other.0) && one.1 == other.1
        };
        self.fit.len() == other.fit.len()
            && self.rejected.len() == other.rejected.len()
            && self.fit.iter().zip(&other.fit).all(|(one, other)| Arc::ptr_eq(one, other))
            && self.rejected.iter().zip(&other.rejected).all(|(one, other)| rejected(one, other))
    }

    /// Whether there was a choice.
    pub(crate) fn is_choice(&self) -> bool {
        self.fit.len() + self.rejected.len() > 1
    }

    /// The reasons, in the order in which they came up.
    pub(crate) fn reasons(&self) -> Vec<Rejected> {
        self.rejected.iter().map(|(connection, why)| reason(connection, *why)).collect()
    }
}

fn reason(connection: &Connection, why: Unfit) -> Rejected {
    let config = &connection.config;
    let address = |address: Option<core::net::IpAddr>| {
        address.map_or_else(|| String::from("any"), |address| address.to_string())
    };
    let expects = match why {
        Unfit::Addresses => alloc::format!("{} with {}", address(config.local), address(config.remote)),
        Unfit::Proposals => config.suites.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Unfit::RemoteIdentity => config.remote_id.to_string(),
        Unfit::LocalIdentity => config.local_id.to_string(),
        Unfit::Method | Unfit::Proof => String::from("shared key"),
    };
    Rejected { connection: connection.id, name: config.name.clone(), why, expects }
}
