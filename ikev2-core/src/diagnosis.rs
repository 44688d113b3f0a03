//! Failures that explain themselves: what we wanted against what the peer did.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ipsec_sa::TrafficSelector;
use ipsec_wire::ike::{EncrId, IntegId, KeId, NotifyType, PrfId, ProtocolId, SnId, TransformType};

/// Why two sides did not come together.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Diagnosis {
    /// No proposal that both accept.
    NoProposal(NoProposal),
    /// The same for each of several connections that fit the addresses, by their names.
    NoConnection(Vec<(String, NoProposal)>),
    /// No traffic selectors that both accept.
    Selectors {
        /// What we would have allowed.
        ours: SelectorPair,
        /// What the peer asked for.
        theirs: SelectorPair,
    },
}

/// Traffic selectors of both ends, ours first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SelectorPair {
    /// Our side.
    pub local: Vec<TrafficSelector>,
    /// The peer's side.
    pub remote: Vec<TrafficSelector>,
}

impl fmt::Display for SelectorPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.local)?;
        f.write_str(" === ")?;
        list(f, &self.remote)
    }
}

impl Diagnosis {
    /// What the peer is told.
    #[must_use]
    pub const fn notify(&self) -> NotifyType {
        match self {
            Self::NoProposal(_) | Self::NoConnection(_) => NotifyType::NO_PROPOSAL_CHOSEN,
            Self::Selectors { .. } => NotifyType::TS_UNACCEPTABLE,
        }
    }
}

impl From<Box<NoProposal>> for Diagnosis {
    fn from(none: Box<NoProposal>) -> Self {
        Self::NoProposal(*none)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProposal(none) => none.fmt(f),
            Self::NoConnection(refusals) => {
                for (index, (name, none)) in refusals.iter().enumerate() {
                    let between = if index > 0 { ". " } else { "" };
                    write!(f, "{between}{name}: {none}")?;
                }
                Ok(())
            }
            Self::Selectors { ours, theirs } => {
                write!(f, "no common traffic selectors: we allow {ours}, the peer asks for {theirs}")
            }
        }
    }
}

impl core::error::Error for Diagnosis {}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    if items.is_empty() {
        return f.write_str("nothing");
    }
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// No proposal of one side fits one of the other's: both lists, and for each pair the first thing that does not
/// match.
///
/// Lists are cut at [`NoProposal::MAX_PROPOSALS`] proposals of [`NoProposal::MAX_TRANSFORMS`] transforms, so that
/// a peer cannot make it large.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoProposal {
    /// What the proposals were for.
    pub protocol: ProtocolId,
    /// Ours.
    pub ours: Vec<ProposalSummary>,
    /// The peer's.
    pub theirs: Vec<ProposalSummary>,
    /// Why no pair fits.
    pub candidates: Vec<Candidate>,
}

impl NoProposal {
    /// Proposals kept of each side.
    pub const MAX_PROPOSALS: usize = 16;
    /// Transforms kept of each proposal.
    pub const MAX_TRANSFORMS: usize = 64;
}

/// A proposal as a person wants to see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProposalSummary {
    /// Its number.
    pub number: u8,
    /// Its protocol.
    pub protocol: ProtocolId,
    /// Its transforms.
    pub transforms: Vec<TransformSummary>,
}

/// A transform by its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransformSummary {
    /// Type.
    pub transform_type: TransformType,
    /// Id, in the registry of the type.
    pub id: u16,
    /// Key length in bits.
    pub key_length: Option<u16>,
}

/// A pair of proposals that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Number of ours.
    pub ours: u8,
    /// Number of the peer's.
    pub theirs: u8,
    /// The first thing that does not match.
    pub mismatch: Mismatch,
}

/// What does not match between two proposals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Mismatch {
    /// Another protocol.
    Protocol,
    /// An SPI of another length.
    SpiLength {
        /// Octets expected.
        expected: usize,
        /// Octets found.
        found: usize,
    },
    /// A transform type that the protocol does not have or that is not known here (RFC 7296 §3.3.6).
    UnknownType(TransformType),
    /// No transform of this type is on both lists.
    NoneCommon(TransformType),
    /// The peer has no transform of this type, and we insist on one.
    MissingAtPeer(TransformType),
    /// The peer insists on a transform of this type, and we have none.
    MissingAtUs(TransformType),
    /// An answer must hold one proposal, one of those offered, by its number (RFC 7296 §2.7).
    NotOffered,
    /// An answer holds more than one transform of this type (RFC 7296 §2.7).
    NotOne(TransformType),
}

impl fmt::Display for TransformSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transform_type {
            TransformType::ENCR => EncrId(self.id).fmt(f)?,
            TransformType::PRF => PrfId(self.id).fmt(f)?,
            TransformType::INTEG if self.id == 0 => f.write_str("AUTH_NONE")?,
            TransformType::INTEG => IntegId(self.id).fmt(f)?,
            TransformType::KE if self.id == 0 => f.write_str("KE_NONE")?,
            TransformType::KE => KeId(self.id).fmt(f)?,
            TransformType::SN => SnId(self.id).fmt(f)?,
            other => write!(f, "{other}({})", self.id)?,
        }
        match self.key_length {
            Some(bits) => write!(f, "-{bits}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ProposalSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} [", self.number, self.protocol)?;
        list(f, &self.transforms)?;
        f.write_str("]")
    }
}

impl fmt::Display for NoProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no common proposal for {}; ours: ", self.protocol)?;
        list(f, &self.ours)?;
        f.write_str("; the peer's: ")?;
        list(f, &self.theirs)?;
        for candidate in &self.candidates {
            write!(f, "; ours #{} and the peer's #{}: ", candidate.ours, candidate.theirs)?;
            let both = |f: &mut fmt::Formatter<'_>, wanted: TransformType| {
                f.write_str("we take ")?;
                of_type(f, &self.ours, candidate.ours, wanted)?;
                f.write_str(", the peer ")?;
                of_type(f, &self.theirs, candidate.theirs, wanted)
            };
            match candidate.mismatch {
                Mismatch::Protocol => f.write_str("another protocol")?,
                Mismatch::SpiLength { expected, found } => {
                    write!(f, "an SPI of {found} octets instead of {expected}")?;
                }
                Mismatch::UnknownType(wanted) => write!(f, "transform type {wanted} is not understood")?,
                Mismatch::NoneCommon(wanted) => {
                    write!(f, "no {wanted} in common: ")?;
                    both(f, wanted)?;
                }
                Mismatch::MissingAtPeer(wanted) => {
                    write!(f, "the peer has no {wanted}, we ask for ")?;
                    of_type(f, &self.ours, candidate.ours, wanted)?;
                }
                Mismatch::MissingAtUs(wanted) => {
                    write!(f, "we have no {wanted}, the peer asks for ")?;
                    of_type(f, &self.theirs, candidate.theirs, wanted)?;
                }
                Mismatch::NotOffered => f.write_str("not one proposal that was offered")?,
                Mismatch::NotOne(wanted) => {
                    write!(f, "more than one {wanted} in an answer: ")?;
                    of_type(f, &self.theirs, candidate.theirs, wanted)?;
                }
            }
        }
        Ok(())
    }
}

impl core::error::Error for NoProposal {}

/// The transforms of one type in the proposal of this number.
fn of_type(
    f: &mut fmt::Formatter<'_>,
    side: &[ProposalSummary],
    number: u8,
    wanted: TransformType,
) -> fmt::Result {
    let proposal = side.iter().find(|proposal| proposal.number == number);
    let transforms: Vec<TransformSummary> = proposal
        .iter()
        .flat_map(|proposal| &proposal.transforms)
        .filter(|transform| transform.transform_type == wanted)
        .copied()
        .collect();
    list(f, &transforms)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    #[test]
    fn selectors_read_as_a_sentence() {
        let pair = |local: &str, remote: &str| SelectorPair {
            local: vec![local.parse().unwrap()],
            remote: vec![remote.parse().unwrap()],
        };
        let selectors = Diagnosis::Selectors {
            ours: pair("10.1.0.0/24", "10.2.0.0/24"),
            theirs: pair("10.1.0.0/24", "10.3.0.0/24"),
        };
        assert_eq!(selectors.notify(), NotifyType::TS_UNACCEPTABLE);
        let text = selectors.to_string();
        assert_eq!(
            text,
            "no common traffic selectors: we allow 10.1.0.0/24 === 10.2.0.0/24, \
             the peer asks for 10.1.0.0/24 === 10.3.0.0/24"
        );
    }
}
