//! What a case is.

use crate::strongswan::Settings;

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its name, as `--only` takes it.
    pub(crate) name: &'static str,
    /// What it shows, in a line.
    pub(crate) about: &'static str,
    /// What is run.
    pub(crate) kind: Kind,
}

/// What is run for a case.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Two strongSwans with each other: shows that namespaces, configuration and traffic work without us.
    Harness(Settings),
}
