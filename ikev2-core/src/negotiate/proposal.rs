//! Proposals: what we offer, what we choose from an offer, and whether an answer may stand (RFC 7296 §2.7, §3.3).
//!
//! Whose order counts is the responder's to decide. Here it is ours: the first of our suites that fits any
//! proposal of the peer's is taken, and in it the first of our algorithms that the peer has. Of the key exchange
//! methods that both have, the one whose public value is already there comes first: it saves a round trip, and both
//! sides have said that it will do.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use ipsec_crypto::{CryptoProvider, Suite, SuiteProtocol};
use ipsec_sa::SaAlgorithms;
use ipsec_wire::ike::{
    AttributeType, AttributeValueView, EncrId, IntegId, KeId, PrfId, Proposal, ProposalView, ProtocolId, Sa,
    SaView, SnId, Transform, TransformType, TransformView,
};

use crate::diagnosis::{Candidate, Mismatch, NoProposal, ProposalSummary, TransformSummary};
use crate::keys::IkeSuite;

/// The transform types of a proposal, in the order in which we write them.
const TYPES: [TransformType; 5] =
    [TransformType::ENCR, TransformType::INTEG, TransformType::PRF, TransformType::KE, TransformType::SN];

/// The SA payload that offers these suites, most wanted first.
///
/// A suite becomes one proposal, or two where it names combined modes and plain ciphers: RFC 7296 §3.3 has those in
/// proposals of their own. What the provider cannot compute is left out, and so is a suite from which nothing
/// usable remains. ESP and AH always offer a kind of sequence numbers; a child's key exchange methods are offered
/// only `with_ke` (not in IKE_AUTH, RFC 7296 §1.2). Suites with additional key exchanges (RFC 9370) are left out:
/// to offer them without those would be to offer less than was asked for.
#[must_use]
pub fn offer(
    suites: &[Suite],
    protocol: ProtocolId,
    spi: &[u8],
    provider: &CryptoProvider,
    with_ke: bool,
) -> Sa {
    let mut proposals = Vec::new();
    for suite in suites.iter().filter(|suite| suite.additional_ke.is_empty()) {
        for transforms in transform_sets(suite, protocol, provider, with_ke) {
            let Ok(number @ 1..) = u8::try_from(proposals.len() + 1) else { return Sa::new(proposals) };
            proposals.push(Proposal::new(number, protocol, spi, transforms));
        }
    }
    Sa::new(proposals)
}

/// One set of transforms for the combined modes of a suite, one for its plain ciphers.
fn transform_sets(
    suite: &Suite,
    protocol: ProtocolId,
    provider: &CryptoProvider,
    with_ke: bool,
) -> Vec<Vec<Transform>> {
    let (ike, ah) = (protocol == ProtocolId::IKE, protocol == ProtocolId::AH);
    let encr = |combined: bool| -> Vec<Transform> {
        let has = |&&(id, bits): &&(EncrId, Option<u16>)| {
            provider.encr(id).is_some_and(|row| {
                row.is_aead() == combined
                    && bits
                        .is_none_or(|bits| row.key_lengths().iter().any(|len| len * 8 == usize::from(bits)))
            })
        };
        let transform = |&(id, bits): &(EncrId, Option<u16>)| {
            let transform = Transform::new(TransformType::ENCR, id);
            match bits {
                Some(bits) => transform.with_key_length(bits),
                None => transform,
            }
        };
        suite.encr.iter().filter(has).map(transform).collect()
    };
    let integ: Vec<Transform> = suite
        .integ
        .iter()
        .filter(|&&id| (id == IntegId::NONE && !ike) || provider.integ(id).is_some())
        .map(|&id| Transform::new(TransformType::INTEG, id))
        .collect();
    let prf: Vec<Transform> = suite
        .prf
        .iter()
        .filter(|&&id| ike && provider.prf(id).is_some())
        .map(|&id| Transform::new(TransformType::PRF, id))
        .collect();
    let ke: Vec<Transform> = suite
        .ke
        .iter()
        .filter(|&&id| (ike && provider.ke(id).is_some()) || (with_ke && knows_ke(provider, id)))
        .map(|&id| Transform::new(TransformType::KE, id))
        .collect();
    let mut sn: Vec<Transform> = suite.sn.iter().map(|&id| Transform::new(TransformType::SN, id)).collect();
    if ike {
        sn.clear();
        if prf.is_empty() || ke.is_empty() {
            return vec![];
        }
    } else if sn.is_empty() {
        sn.push(Transform::new(TransformType::SN, SnId::SEQUENTIAL_32));
    }
    // Forward secrecy was asked for, and none of the methods can be computed.
    if with_ke && !suite.ke.is_empty() && ke.is_empty() {
        return vec![];
    }

    let set =
        |encr: Vec<Transform>, integ: &[Transform]| [&encr[..], integ, &prf[..], &ke[..], &sn[..]].concat();
    if ah {
        return if integ.is_empty() { vec![] } else { vec![set(vec![], &integ)] };
    }
    let mut sets = Vec::new();
    let (combined, plain) = (encr(true), encr(false));
    if !combined.is_empty() {
        sets.push(set(combined, &[]));
    }
    if !plain.is_empty() && !integ.is_empty() {
        sets.push(set(plain, &integ));
    }
    sets
}

fn knows_ke(provider: &CryptoProvider, id: KeId) -> bool {
    id == KeId::NONE || provider.ke(id).is_some()
}

/// What both sides accept: one proposal, one transform of each type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen {
    /// The proposal's number in the offer.
    pub number: u8,
    /// Its protocol.
    pub protocol: ProtocolId,
    /// The peer's SPI, as it stands in its proposal.
    pub spi: Vec<u8>,
    /// Encryption with the length of its key in bits, that of the row where no attribute says it; `None` for AH.
    pub encr: Option<(EncrId, u16)>,
    /// Pseudorandom function; `None` for ESP and AH.
    pub prf: Option<PrfId>,
    /// Integrity; `None` with a combined mode.
    pub integ: Option<IntegId>,
    /// Key exchange method; `None` for a child without its own.
    pub ke: Option<KeId>,
    /// Sequence numbers; without meaning for IKE.
    pub sn: SnId,
    /// As they stand in the peer's proposal, NONE included: an answer repeats them to the octet.
    transforms: Vec<Transform>,
}

impl Chosen {
    fn new(
        number: u8,
        protocol: ProtocolId,
        spi: &[u8],
        transforms: Vec<Transform>,
        provider: &CryptoProvider,
    ) -> Self {
        let id =
            |wanted| transforms.iter().find(|t| t.transform_type == wanted).map(|t| (t.id, t.key_length()));
        let encr = id(TransformType::ENCR).map(|(id, bits)| {
            let fixed = provider.encr(EncrId(id)).and_then(|row| row.key_lengths().last().copied());
            let fixed = fixed.and_then(|octets| u16::try_from(octets.saturating_mul(8)).ok());
            (EncrId(id), bits.or(fixed).unwrap_or(0))
        });
        Self {
            number,
            protocol,
            spi: spi.to_vec(),
            encr,
            prf: id(TransformType::PRF).map(|(id, _)| PrfId(id)),
            integ: id(TransformType::INTEG).map(|(id, _)| IntegId(id)).filter(|id| *id != IntegId::NONE),
            ke: id(TransformType::KE).map(|(id, _)| KeId(id)).filter(|id| *id != KeId::NONE),
            sn: id(TransformType::SN).map_or(SnId::SEQUENTIAL_32, |(id, _)| SnId(id)),
            transforms,
        }
    }

    /// The SA payload of the answer: one proposal of the same number with our SPI, the chosen transforms as they
    /// were offered (RFC 7296 §2.7).
    #[must_use]
    pub fn to_sa(&self, spi: &[u8]) -> Sa {
        Sa::new(vec![Proposal::new(self.number, self.protocol, spi, self.transforms.clone())])
    }

    /// The rows of an IKE SA; `None` where the provider lacks one or the proposal is for something else.
    #[must_use]
    pub fn ike_suite(&self, provider: &CryptoProvider) -> Option<IkeSuite> {
        let (encr, bits) = self.encr?;
        let encr = provider.encr(encr)?;
        let integ = match self.integ {
            Some(id) => Some(provider.integ(id)?),
            None => None,
        };
        if encr.is_aead() == integ.is_some() {
            return None;
        }
        Some(IkeSuite {
            encr,
            key_len: usize::from(bits / 8),
            prf: provider.prf(self.prf?)?,
            integ,
            ke: self.ke?,
        })
    }

    /// Octets of encryption key with salt and of integrity key in one direction of a Child SA, as
    /// [`crate::keys::child_keymat`] takes them; `None` where the provider lacks a row.
    #[must_use]
    pub fn child_key_lengths(&self, provider: &CryptoProvider) -> Option<(usize, usize)> {
        let encr = match self.encr {
            Some((id, bits)) => usize::from(bits / 8) + provider.encr(id)?.salt_len(),
            None => 0,
        };
        let integ = match self.integ {
            Some(id) => provider.integ(id)?.key_len(),
            None => 0,
        };
        Some((encr, integ))
    }

    /// The algorithms of a Child SA by number.
    #[must_use]
    pub fn sa_algorithms(&self) -> SaAlgorithms {
        SaAlgorithms {
            encr: self.encr.map(|(id, _)| id),
            key_bits: self.encr.map_or(0, |(_, bits)| bits),
            integ: self.integ,
        }
    }

    /// The same as a suite of one algorithm of each type; it prints as a proposal string.
    #[must_use]
    pub fn to_suite(&self) -> Suite {
        let encr = self.transforms.iter().find(|t| t.transform_type == TransformType::ENCR);
        Suite {
            protocol: match self.protocol {
                ProtocolId::AH => SuiteProtocol::Ah,
                ProtocolId::ESP => SuiteProtocol::Esp,
                _ => SuiteProtocol::Ike,
            },
            encr: encr.map(|t| (EncrId(t.id), t.key_length())).into_iter().collect(),
            prf: self.prf.into_iter().collect(),
            integ: self.integ.into_iter().collect(),
            ke: self.ke.into_iter().collect(),
            additional_ke: Vec::new(),
            sn: if self.protocol == ProtocolId::IKE { Vec::new() } else { vec![self.sn] },
        }
    }
}

/// As a proposal string, such as `aes256gcm16-prfsha384-x25519`.
impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_suite().fmt(f)
    }
}

/// The responder's choice from an offer.
///
/// `spi_len` is what an SPI must measure: 0 in IKE_SA_INIT, 8 when an IKE SA is rekeyed, 4 for ESP and AH.
/// `preferred_ke` is the method of the peer's KE payload. `with_ke` says whether a child may have a key exchange of
/// its own here. A proposal with a transform type that is not known is passed over, and so is a transform with an
/// attribute that is not known (RFC 7296 §3.3.6).
///
/// # Errors
/// Both lists and what did not match.
pub fn choose(
    ours: &[Suite],
    offered: SaView<'_>,
    protocol: ProtocolId,
    spi_len: usize,
    provider: &CryptoProvider,
    preferred_ke: Option<KeId>,
    with_ke: bool,
) -> Result<Chosen, Box<NoProposal>> {
    let ours = offer(ours, protocol, &[], provider, with_ke);
    let mut candidates = Vec::new();
    for own in &ours.proposals {
        for theirs in offered.proposals() {
            let fit = if theirs.spi.len() == spi_len {
                match_proposals(own, &theirs, protocol, preferred_ke)
            } else {
                Err(Mismatch::SpiLength { expected: spi_len, found: theirs.spi.len() })
            };
            match fit {
                Ok(transforms) => {
                    return Ok(Chosen::new(theirs.number, protocol, theirs.spi, transforms, provider));
                }
                Err(mismatch) => push_candidate(&mut candidates, own.number, theirs.number, mismatch),
            }
        }
    }
    Err(no_proposal(protocol, &ours, offered, candidates))
}

/// Whether these suites allow what was chosen, though it may have been chosen by others.
pub(crate) fn allows(ours: &[Suite], chosen: &Chosen, provider: &CryptoProvider) -> bool {
    let allowed = |own: &Proposal| {
        TYPES.iter().all(|wanted| {
            let of_type = || own.transforms.iter().filter(|t| t.transform_type == *wanted);
            let is_none = |t: &Transform| is_optional(*wanted) && t.id == 0;
            match chosen.transforms.iter().find(|t| t.transform_type == *wanted && !is_none(t)) {
                Some(it) => of_type().any(|own| own.id == it.id && own.key_length() == it.key_length()),
                None => of_type().next().is_none() || of_type().any(is_none),
            }
        })
    };
    offer(ours, chosen.protocol, &[], provider, true).proposals.iter().any(allowed)
}

/// The transforms that two proposals have in common, as the peer wrote them.
fn match_proposals(
    ours: &Proposal,
    theirs: &ProposalView<'_>,
    protocol: ProtocolId,
    preferred_ke: Option<KeId>,
) -> Result<Vec<Transform>, Mismatch> {
    if theirs.protocol != protocol {
        return Err(Mismatch::Protocol);
    }
    if let Some(unknown) = theirs.transforms().find(|t| !belongs(t.transform_type, protocol)) {
        return Err(Mismatch::UnknownType(unknown.transform_type));
    }
    let mut chosen = Vec::new();
    for wanted in TYPES {
        let own: Vec<&Transform> = ours.transforms.iter().filter(|t| t.transform_type == wanted).collect();
        let offered = || theirs.transforms().filter(|t| t.transform_type == wanted);
        let none =
            is_optional(wanted).then(|| offered().find(|t| t.id == 0 && attributes_known(t))).flatten();
        if own.is_empty() {
            match none {
                Some(none) => chosen.push(none.to_owned()),
                None if offered().next().is_none() => {}
                None => return Err(Mismatch::MissingAtUs(wanted)),
            }
            continue;
        }
        if offered().next().is_none() {
            // Nothing of a type is what NONE means as well (RFC 7296 §3.3.3).
            if is_optional(wanted) && own.iter().any(|t| t.id == 0) {
                continue;
            }
            return Err(Mismatch::MissingAtPeer(wanted));
        }
        let preferred = preferred_ke.filter(|_| wanted == TransformType::KE);
        let first = own.iter().filter(|t| preferred.is_some_and(|ke| t.id == ke.0));
        let common = first
            .chain(own.iter())
            .find_map(|own| offered().find(|t| t.id == own.id && attributes_known(t) && same_key(own, t)));
        chosen.push(common.ok_or(Mismatch::NoneCommon(wanted))?.to_owned());
    }
    Ok(chosen)
}

/// Whether a proposal for the protocol can have transforms of the type (RFC 7296 §3.3.3).
fn belongs(transform_type: TransformType, protocol: ProtocolId) -> bool {
    match transform_type {
        TransformType::ENCR => protocol != ProtocolId::AH,
        TransformType::PRF => protocol == ProtocolId::IKE,
        TransformType::SN => protocol != ProtocolId::IKE,
        TransformType::INTEG | TransformType::KE => true,
        _ => false,
    }
}

/// Whether NONE may stand for the type, or nothing at all.
fn is_optional(transform_type: TransformType) -> bool {
    matches!(transform_type, TransformType::INTEG | TransformType::KE)
}

/// Whether there is nothing but one key length in the form of RFC 7296 §3.3.5, or nothing at all.
fn attributes_known(transform: &TransformView<'_>) -> bool {
    let mut attributes = transform.attributes();
    match attributes.next() {
        None => true,
        Some(only) => {
            only.attribute_type == AttributeType::KEY_LENGTH
                && matches!(only.value, AttributeValueView::Tv(_))
                && transform.transform_type == TransformType::ENCR
                && attributes.next().is_none()
        }
    }
}

fn same_key(ours: &Transform, theirs: &TransformView<'_>) -> bool {
    ours.key_length() == theirs.key_length()
}

/// The initiator's check of an answer: one proposal out of the offer, by its number, and of each type that it
/// offered exactly one of its transforms (RFC 7296 §2.7, §3.3).
///
/// INTEG and KE may be answered with NONE where they were not offered, and left out where NONE was: the two mean
/// the same.
///
/// # Errors
/// What was offered, what was answered, and what does not match.
pub fn accept(
    offered: &Sa,
    answer: SaView<'_>,
    protocol: ProtocolId,
    provider: &CryptoProvider,
) -> Result<Chosen, Box<NoProposal>> {
    let mut answers = answer.proposals();
    let (theirs, ours) = match (answers.next(), answers.next()) {
        (Some(theirs), None) => {
            (Some(theirs), offered.proposals.iter().find(|own| own.number == theirs.number))
        }
        (theirs, _) => (theirs, None),
    };
    let (number, fit) = match (theirs, ours) {
        (Some(theirs), Some(own)) => {
            (theirs.number, check_answer(own, &theirs, protocol).map(|t| (theirs, t)))
        }
        (theirs, _) => (theirs.map_or(0, |theirs| theirs.number), Err(Mismatch::NotOffered)),
    };
    match fit {
        Ok((theirs, transforms)) => Ok(Chosen::new(number, protocol, theirs.spi, transforms, provider)),
        Err(mismatch) => {
            let candidates = vec![Candidate { ours: number, theirs: number, mismatch }];
            Err(no_proposal(protocol, offered, answer, candidates))
        }
    }
}

fn check_answer(
    ours: &Proposal,
    theirs: &ProposalView<'_>,
    protocol: ProtocolId,
) -> Result<Vec<Transform>, Mismatch> {
    if theirs.protocol != protocol || ours.protocol != protocol {
        return Err(Mismatch::Protocol);
    }
    if theirs.spi.len() != ours.spi.len() {
        return Err(Mismatch::SpiLength { expected: ours.spi.len(), found: theirs.spi.len() });
    }
    for wanted in TYPES {
        if theirs.transforms().filter(|t| t.transform_type == wanted).count() > 1 {
            return Err(Mismatch::NotOne(wanted));
        }
    }
    match_proposals(ours, theirs, protocol, None)
}

fn push_candidate(candidates: &mut Vec<Candidate>, ours: u8, theirs: u8, mismatch: Mismatch) {
    if candidates.len() < NoProposal::MAX_PROPOSALS {
        candidates.push(Candidate { ours, theirs, mismatch });
    }
}

fn no_proposal(
    protocol: ProtocolId,
    ours: &Sa,
    theirs: SaView<'_>,
    candidates: Vec<Candidate>,
) -> Box<NoProposal> {
    let ours = ours.proposals.iter().take(NoProposal::MAX_PROPOSALS).map(summary).collect();
    let theirs = theirs.proposals().take(NoProposal::MAX_PROPOSALS);
    let theirs = theirs.map(|proposal| ProposalSummary {
        number: proposal.number,
        protocol: proposal.protocol,
        transforms: proposal.transforms().take(NoProposal::MAX_TRANSFORMS).map(transform_summary).collect(),
    });
    Box::new(NoProposal { protocol, ours, theirs: theirs.collect(), candidates })
}

fn transform_summary(transform: TransformView<'_>) -> TransformSummary {
    TransformSummary {
        transform_type: transform.transform_type,
        id: transform.id,
        key_length: transform.key_length(),
    }
}

fn summary(proposal: &Proposal) -> ProposalSummary {
    let transform = |transform: &Transform| TransformSummary {
        transform_type: transform.transform_type,
        id: transform.id,
        key_length: transform.key_length(),
    };
    ProposalSummary {
        number: proposal.number,
        protocol: proposal.protocol,
        transforms: proposal.transforms.iter().take(NoProposal::MAX_TRANSFORMS).map(transform).collect(),
    }
}

#[cfg(test)]
mod tests;
