//! Every row of a provider against published vectors: those of the RFCs and of Wycheproof.
//!
//! Each case of a file is run or counted as one that the row cannot be asked; a wrong answer panics with the case. What
//! no vector was published for is compared with values computed by another implementation, and is listed as such.

use alloc::collections::BTreeMap;
use core::fmt;

use ipsec_crypto::CryptoProvider;

mod cross;
mod exchange;
mod files;
mod mac;
mod packet;
mod signature;

pub use cross::cross_check;
pub use signature::{check_signer, test_keys};

/// What the vectors say of a case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// Right, and taken as right.
    Valid,
    /// Wrong, and refused.
    Invalid,
    /// Left to the implementation by the vectors; here decided by the RFCs of IPsec.
    Acceptable,
    /// Right by another implementation's computation; nobody published it.
    Computed,
    /// Of a size or encoding that the row does not have, and refused as such or not asked.
    NotApplicable,
}

/// How the cases of one row came out.
#[derive(Clone, Default, Debug)]
pub struct Counts(BTreeMap<Verdict, usize>);

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        *self.0.entry(verdict).or_default() += 1;
    }

    /// How many cases had this verdict.
    #[must_use]
    pub fn of(&self, verdict: Verdict) -> usize {
        self.0.get(&verdict).copied().unwrap_or(0)
    }

    /// Published cases that the row was asked.
    #[must_use]
    pub fn published(&self) -> usize {
        self.of(Verdict::Valid) + self.of(Verdict::Invalid) + self.of(Verdict::Acceptable)
    }
}

/// What [`run`] found out; its `Display` is a table.
#[derive(Clone, Default, Debug)]
pub struct Report {
    rows: Vec<(String, Counts)>,
}

impl Report {
    fn push(&mut self, kind: &str, name: &str, counts: Counts) {
        self.rows.push((format!("{kind} {name}"), counts));
    }

    /// The rows by table and name (`encr aes-cbc`), in the provider's order.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &Counts)> {
        self.rows.iter().map(|(name, counts)| (name.as_str(), counts))
    }

    /// Rows for which there is no published vector.
    #[must_use]
    pub fn without_published_vectors(&self) -> Vec<&str> {
        self.rows().filter(|(_, counts)| counts.published() == 0).map(|(name, _)| name).collect()
    }

    /// The counts of all rows on one line, with how many rows nobody has published a vector for.
    #[must_use]
    pub fn summary(&self) -> String {
        let of = |verdict| self.rows.iter().map(|(_, counts)| counts.of(verdict)).sum::<usize>();
        let (rows, unpublished) = (self.rows.len(), self.without_published_vectors().len());
        format!(
            "{rows} rows: {} valid, {} invalid, {} acceptable, {} computed; {unpublished} without a published vector",
            of(Verdict::Valid),
            of(Verdict::Invalid),
            of(Verdict::Acceptable),
            of(Verdict::Computed),
        )
    }

    /// Rows for which there is no vector at all.
    #[must_use]
    pub fn without_any_vector(&self) -> Vec<&str> {
        let none = |counts: &Counts| counts.published() + counts.of(Verdict::Computed) == 0;
        self.rows().filter(|(_, counts)| none(counts)).map(|(name, _)| name).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:36} {:>7} {:>7} {:>10} {:>8} {:>14}",
            "row", "valid", "invalid", "acceptable", "computed", "not applicable"
        )?;
        for (name, counts) in self.rows() {
            let [valid, invalid, acceptable, computed, other] = [
                Verdict::Valid,
                Verdict::Invalid,
                Verdict::Acceptable,
                Verdict::Computed,
                Verdict::NotApplicable,
            ]
            .map(|verdict| counts.of(verdict));
            writeln!(f, "{name:36} {valid:7} {invalid:7} {acceptable:10} {computed:8} {other:14}")?;
        }
        writeln!(f, "{}", self.summary())?;
        writeln!(f, "without a published vector: {}", self.without_published_vectors().join(", "))?;
        writeln!(f, "without any vector: {}", self.without_any_vector().join(", "))
    }
}

/// Runs every row against every vector there is for it.
///
/// # Panics
/// When a row gives a wrong answer, or a vector file cannot be read.
#[must_use]
pub fn run(provider: &CryptoProvider) -> Report {
    let mut report = Report::default();
    for row in provider.encr.iter() {
        report.push("encr", row.name(), packet::encryption(*row));
    }
    for row in provider.integ.iter() {
        report.push("integ", row.name(), mac::integrity(*row));
    }
    for row in provider.prf.iter() {
        report.push("prf", row.name(), mac::prf(*row));
    }
    for row in provider.ke.iter() {
        report.push("ke", row.name(), exchange::key_exchange(*row));
    }
    for row in provider.verify.iter() {
        report.push("verify", row.name(), signature::verifier(*row));
    }
    report
}
