//! What a case is.

use crate::driver::Ours;
use crate::family::Family;
use crate::oracle::Reach;
use crate::scenario::Scenario;
use crate::strongswan::Settings;

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its name, as `--only` takes it.
    pub(crate) name: String,
    /// What it shows, in a line.
    pub(crate) about: String,
    /// What is run.
    pub(crate) kind: Kind,
}

impl Case {
    /// The same, of which tshark can know this much.
    pub(crate) fn within(mut self, reach: Reach) -> Self {
        if let Kind::Peer(scenario) = &mut self.kind {
            scenario.reach = reach;
        }
        self
    }

    /// The same over these versions of IP.
    pub(crate) fn over(mut self, outer: Family, inner: Family) -> Self {
        if let Kind::Peer(scenario) = &mut self.kind {
            let families = Families { outer, inner };
            (scenario.ours.families, scenario.theirs.families) = (families, families);
        }
        self
    }
}

/// What is run for a case.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Two strongSwans with each other: shows that namespaces, configuration and traffic work without us.
    Harness(Settings),
    /// Our stack and a strongSwan.
    Peer(Scenario),
    /// The tunnel example and tshark.
    Example,
}

/// The versions of IP on the wire and inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Families {
    /// On the wire.
    pub(crate) outer: Family,
    /// Inside.
    pub(crate) inner: Family,
}

impl Families {
    /// IPv4 in IPv4.
    pub(crate) const V4: Self = Families { outer: Family::V4, inner: Family::V4 };
}

/// Proposals in the notation that both sides share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suites {
    /// For the IKE SA.
    pub(crate) ike: &'static str,
    /// For the Child SA.
    pub(crate) esp: &'static str,
}

impl Suites {
    /// Our configuration.
    pub(crate) const fn ours(self) -> Ours {
        Ours::new(self.ike, self.esp)
    }

    /// The peer's.
    pub(crate) const fn theirs(self) -> Settings {
        Settings::new(self.ike, self.esp)
    }
}
