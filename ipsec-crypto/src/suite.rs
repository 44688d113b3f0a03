//! Proposal strings in the style users know, such as `aes256gcm16-prfsha384-x25519`, and what they stand for.
//!
//! A [`Suite`] is one proposal: for each transform type the algorithms in order of preference. It names algorithms
//! by number; whether a provider has them is asked separately ([`Suite::supported_by`]).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use ipsec_wire::ike::{EncrId, IntegId, KeId, PrfId, SnId};
use thiserror::Error;

use crate::CryptoProvider;

mod names;
mod nearest;
mod sets;

pub use sets::SuiteSet;

use names::{Algorithm, canonical, lookup};

/// What a proposal is for: it decides which transform types it has (RFC 7296 §3.3.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SuiteProtocol {
    /// An IKE SA: encryption, PRF, integrity unless combined, key exchange.
    Ike,
    /// ESP: encryption, integrity unless combined, sequence numbers; a key exchange where the child SA has its own.
    Esp,
    /// AH: integrity, sequence numbers; a key exchange where the child SA has its own.
    Ah,
}

impl fmt::Display for SuiteProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ike => "IKE",
            Self::Esp => "ESP",
            Self::Ah => "AH",
        })
    }
}

/// One proposal. Within each list the order is the order of preference.
///
/// ```
/// use ipsec_crypto::Suite;
/// use ipsec_wire::ike::{EncrId, KeId, PrfId};
///
/// let suite = Suite::ike("aes256gcm16-prfsha384-x25519")?;
/// assert_eq!(suite.encr, [(EncrId::AES_GCM_16, Some(256))]);
/// assert_eq!(suite.prf, [PrfId::HMAC_SHA2_384]);
/// assert_eq!(suite.ke, [KeId::CURVE25519]);
/// assert_eq!(suite.to_string(), "aes256gcm16-prfsha384-x25519");
///
/// let error = Suite::ike("aes256gcm16-prfsha348-x25519").unwrap_err();
/// assert_eq!(error.suggestion(), Some("prfsha384"));
/// # Ok::<(), ipsec_crypto::SuiteError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suite {
    /// What it is for.
    pub protocol: SuiteProtocol,
    /// Encryption (type 1), with the Key Length attribute in bits where the algorithm has one.
    pub encr: Vec<(EncrId, Option<u16>)>,
    /// Pseudorandom functions (type 2).
    pub prf: Vec<PrfId>,
    /// Integrity (type 3); empty beside a combined mode.
    pub integ: Vec<IntegId>,
    /// Key exchange (type 4); empty where a child SA has none of its own.
    pub ke: Vec<KeId>,
    /// Additional key exchanges 1 to 7 (types 6 to 12, RFC 9370) with the number of each, in the order written.
    pub additional_ke: Vec<(u8, KeId)>,
    /// Sequence numbers (type 5); empty for IKE.
    pub sn: Vec<SnId>,
}

impl Suite {
    /// An IKE proposal. Where it names an HMAC for integrity and no PRF, the PRF is that of the same hash.
    ///
    /// # Errors
    /// [`SuiteError`], which points at the token.
    pub fn ike(text: &str) -> Result<Self, SuiteError> {
        Self::parse(SuiteProtocol::Ike, text)
    }

    /// An ESP proposal. Without `esn` or `noesn` it asks for 32-bit sequence numbers.
    ///
    /// # Errors
    /// [`SuiteError`], which points at the token.
    pub fn esp(text: &str) -> Result<Self, SuiteError> {
        Self::parse(SuiteProtocol::Esp, text)
    }

    /// An AH proposal. Without `esn` or `noesn` it asks for 32-bit sequence numbers.
    ///
    /// # Errors
    /// [`SuiteError`], which points at the token.
    pub fn ah(text: &str) -> Result<Self, SuiteError> {
        Self::parse(SuiteProtocol::Ah, text)
    }

    /// Several proposals, separated by commas, most preferred first.
    ///
    /// # Errors
    /// [`SuiteError`], which points at the token in the whole of `text`.
    pub fn list(protocol: SuiteProtocol, text: &str) -> Result<Vec<Self>, SuiteError> {
        let mut offset = 0;
        let mut suites = Vec::new();
        for part in text.split(',') {
            let lead = part.len() - part.trim_start().len();
            let suite = Self::parse(protocol, part.trim());
            suites.push(suite.map_err(|error| error.within(text, offset + lead))?);
            offset += part.len() + 1;
        }
        Ok(suites)
    }

    /// One proposal for a protocol.
    ///
    /// # Errors
    /// [`SuiteError`], which points at the token.
    pub fn parse(protocol: SuiteProtocol, text: &str) -> Result<Self, SuiteError> {
        let mut suite = Self {
            protocol,
            encr: Vec::new(),
            prf: Vec::new(),
            integ: Vec::new(),
            ke: Vec::new(),
            additional_ke: Vec::new(),
            sn: Vec::new(),
        };
        let mut offset = 0;
        for token in text.split('-') {
            suite.take(token).map_err(|kind| SuiteError::new(text, offset, token, kind))?;
            offset += token.len() + 1;
        }
        suite.complete().map_err(|kind| SuiteError::new(text, 0, text, kind))?;
        Ok(suite)
    }

    /// Whether the encryption is a combined mode.
    #[must_use]
    pub fn is_aead(&self) -> bool {
        self.encr.iter().any(|&(id, _)| combined(id))
    }

    /// Whether a provider has a row for every algorithm, and the key lengths.
    ///
    /// # Errors
    /// [`MissingRow`] names the first that is missing.
    pub fn supported_by(&self, provider: &CryptoProvider) -> Result<(), MissingRow> {
        for &(id, bits) in &self.encr {
            let row = provider.encr(id).ok_or(MissingRow::Encryption(id, bits))?;
            let fits = bits
                .is_none_or(|bits| row.key_lengths().iter().any(|octets| octets * 8 == usize::from(bits)));
            if !fits {
                return Err(MissingRow::Encryption(id, bits));
            }
        }
        for &id in &self.prf {
            provider.prf(id).ok_or(MissingRow::Prf(id))?;
        }
        for &id in self.integ.iter().filter(|&&id| id != IntegId::NONE) {
            provider.integ(id).ok_or(MissingRow::Integrity(id))?;
        }
        let additional = self.additional_ke.iter().map(|&(_, id)| id);
        for id in self.ke.iter().copied().chain(additional).filter(|&id| id != KeId::NONE) {
            provider.ke(id).ok_or(MissingRow::KeyExchange(id))?;
        }
        Ok(())
    }

    /// Sorts one token into its list.
    fn take(&mut self, token: &str) -> Result<(), SuiteErrorKind> {
        use SuiteProtocol::{Ah, Esp, Ike};
        if token.is_empty() {
            return Err(SuiteErrorKind::Empty);
        }
        let protocol = self.protocol;
        if let Some((slot, name)) = additional_slot(token) {
            let Some(Algorithm::Ke(id)) = lookup(name, protocol) else {
                return Err(self.unknown(name, |algorithm| matches!(algorithm, Algorithm::Ke(_))));
            };
            return push(&mut self.additional_ke, (slot, id));
        }
        let algorithm = lookup(token, protocol).ok_or_else(|| self.unknown(token, |_| true))?;
        let misplaced = Err(SuiteErrorKind::Misplaced { protocol });
        match (algorithm, protocol) {
            (Algorithm::Encr(id, _), Ike) if for_esp_alone(id) => misplaced,
            (Algorithm::Encr(id, bits), Ike | Esp) => {
                if self.encr.iter().any(|&(other, _)| combined(other) != combined(id)) {
                    return Err(SuiteErrorKind::CombinedAndPlain);
                }
                if combined(id) && !self.integ.is_empty() {
                    return Err(SuiteErrorKind::IntegrityBesideCombined { instead: None });
                }
                push(&mut self.encr, (id, bits))
            }
            (Algorithm::Integ(id), _) => {
                if self.is_aead() {
                    let prf = implied_prf(id).filter(|_| protocol == Ike);
                    let instead = prf.and_then(|prf| canonical(Algorithm::Prf(prf), protocol));
                    return Err(SuiteErrorKind::IntegrityBesideCombined { instead });
                }
                push(&mut self.integ, id)
            }
            (Algorithm::Prf(id), Ike) => push(&mut self.prf, id),
            (Algorithm::Ke(id), _) => push(&mut self.ke, id),
            (Algorithm::Sn(id), Esp | Ah) => push(&mut self.sn, id),
            (Algorithm::Encr(..) | Algorithm::Prf(_) | Algorithm::Sn(_), _) => misplaced,
        }
    }

    /// Fills in what is implied and looks for what is missing.
    fn complete(&mut self) -> Result<(), SuiteErrorKind> {
        let missing = |what| Err(SuiteErrorKind::Missing { what });
        if self.protocol != SuiteProtocol::Ah && self.encr.is_empty() {
            return missing("encryption algorithm");
        }
        // RFC 4303 §3.2: encryption without integrity protects against nobody who can change packets.
        if !self.is_aead() && self.integ.is_empty() {
            return missing("integrity algorithm");
        }
        if self.protocol == SuiteProtocol::Ike {
            if self.prf.is_empty() {
                self.prf = implied_prfs(&self.integ);
            }
            if self.prf.is_empty() {
                return missing("pseudorandom function");
            }
            if self.ke.is_empty() {
                return missing("key exchange method");
            }
        } else if self.sn.is_empty() {
            self.sn = vec![SnId::SEQUENTIAL_32];
        }
        Ok(())
    }

    fn unknown(&self, token: &str, kind: impl Fn(Algorithm) -> bool) -> SuiteErrorKind {
        let fits = |algorithm| kind(algorithm) && self.takes(algorithm);
        SuiteErrorKind::Unknown { nearest: nearest::nearest(token, self.protocol, fits) }
    }

    /// Whether a proposal for this protocol can hold such an algorithm at all.
    fn takes(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Encr(id, _) => match self.protocol {
                SuiteProtocol::Ike => !for_esp_alone(id),
                SuiteProtocol::Esp => true,
                SuiteProtocol::Ah => false,
            },
            Algorithm::Prf(_) => self.protocol == SuiteProtocol::Ike,
            Algorithm::Sn(_) => self.protocol != SuiteProtocol::Ike,
            Algorithm::Integ(_) | Algorithm::Ke(_) => true,
        }
    }
}

/// The proposal in its shortest canonical form: parsed again it gives an equal suite.
impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut write = |slot: Option<u8>, algorithm: Algorithm| {
            f.write_str(separator)?;
            separator = "-";
            if let Some(slot) = slot {
                write!(f, "ke{slot}_")?;
            }
            match canonical(algorithm, self.protocol) {
                Some(name) => f.write_str(name),
                // Not from a string: a number without a name here.
                None => write!(f, "{algorithm}"),
            }
        };
        for &(id, bits) in &self.encr {
            write(None, Algorithm::Encr(id, bits))?;
        }
        for &id in &self.integ {
            write(None, Algorithm::Integ(id))?;
        }
        if self.prf != implied_prfs(&self.integ) {
            for &id in &self.prf {
                write(None, Algorithm::Prf(id))?;
            }
        }
        for &id in &self.ke {
            write(None, Algorithm::Ke(id))?;
        }
        for &(slot, id) in &self.additional_ke {
            write(Some(slot), Algorithm::Ke(id))?;
        }
        if self.sn != [SnId::SEQUENTIAL_32] {
            for &id in &self.sn {
                write(None, Algorithm::Sn(id))?;
            }
        }
        Ok(())
    }
}

/// Why a proposal string was refused, and where.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{kind}: \"{token}\" at octet {offset} of \"{text}\"{hint}", hint = Hint(self))]
pub struct SuiteError {
    text: String,
    token: String,
    offset: usize,
    kind: SuiteErrorKind,
}

impl SuiteError {
    fn new(text: &str, offset: usize, token: &str, kind: SuiteErrorKind) -> Self {
        Self { text: text.into(), token: token.into(), offset, kind }
    }

    /// The same error in a longer text, in which its own begins at `offset`.
    fn within(mut self, text: &str, offset: usize) -> Self {
        self.text = text.into();
        self.offset += offset;
        self
    }

    /// The token at fault; the whole proposal when something is missing from it.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the token begins in the text, in octets.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> SuiteErrorKind {
        self.kind
    }

    /// A name that may have been meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&'static str> {
        match self.kind {
            SuiteErrorKind::Unknown { nearest } => nearest,
            SuiteErrorKind::IntegrityBesideCombined { instead } => instead,
            _ => None,
        }
    }
}

/// The end of an error's text: what may have been meant.
struct Hint<'a>(&'a SuiteError);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.suggestion() {
            Some(name) => write!(f, "; did you mean \"{name}\"?"),
            None => Ok(()),
        }
    }
}

/// What is wrong with a proposal string.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SuiteErrorKind {
    /// Nothing between two hyphens, or no text at all.
    #[error("empty name")]
    Empty,
    /// No algorithm has this name.
    #[error("unknown algorithm")]
    Unknown {
        /// The name that comes closest.
        nearest: Option<&'static str>,
    },
    /// The same algorithm twice.
    #[error("algorithm named twice")]
    Repeated,
    /// A transform type that the protocol does not have.
    #[error("not part of a proposal for {protocol}")]
    Misplaced {
        /// What the proposal is for.
        protocol: SuiteProtocol,
    },
    /// Combined modes and plain ciphers must stand in separate proposals (RFC 7296 §3.3).
    #[error("combined mode and plain cipher in one proposal")]
    CombinedAndPlain,
    /// A combined mode takes no integrity algorithm (RFC 7296 §3.3.3).
    #[error("integrity algorithm beside a combined mode")]
    IntegrityBesideCombined {
        /// The PRF of the same hash, which may have been meant.
        instead: Option<&'static str>,
    },
    /// A transform type without which the proposal cannot stand.
    #[error("proposal without {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
}

/// An algorithm of a suite for which a provider has no row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum MissingRow {
    /// Encryption, with the key length in bits.
    #[error("the provider does not have {}", Algorithm::Encr(*.0, *.1))]
    Encryption(EncrId, Option<u16>),
    /// A pseudorandom function.
    #[error("the provider does not have {0}")]
    Prf(PrfId),
    /// Integrity.
    #[error("the provider does not have {0}")]
    Integrity(IntegId),
    /// A key exchange method.
    #[error("the provider does not have {0}")]
    KeyExchange(KeId),
}

/// `ke1_` to `ke7_` and what follows.
fn additional_slot(token: &str) -> Option<(u8, &str)> {
    let (slot, name) = token.strip_prefix("ke")?.split_once('_')?;
    let slot = slot.parse().ok().filter(|slot| (1..=7).contains(slot))?;
    Some((slot, name))
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T) -> Result<(), SuiteErrorKind> {
    if list.contains(&item) {
        return Err(SuiteErrorKind::Repeated);
    }
    list.push(item);
    Ok(())
}

/// Whether the algorithm protects integrity by itself.
fn combined(id: EncrId) -> bool {
    matches!(
        id,
        EncrId::AES_CCM_8
            | EncrId::AES_CCM_12
            | EncrId::AES_CCM_16
            | EncrId::AES_GCM_8
            | EncrId::AES_GCM_12
            | EncrId::AES_GCM_16
            | EncrId::NULL_AUTH_AES_GMAC
            | EncrId::CAMELLIA_CCM_8
            | EncrId::CAMELLIA_CCM_12
            | EncrId::CAMELLIA_CCM_16
            | EncrId::CHACHA20_POLY1305
            | EncrId::AES_CCM_8_IIV
            | EncrId::AES_GCM_16_IIV
            | EncrId::CHACHA20_POLY1305_IIV
            | EncrId::KUZNYECHIK_MGM_KTREE
            | EncrId::MAGMA_MGM_KTREE
            | EncrId::KUZNYECHIK_MGM_MAC_KTREE
            | EncrId::MAGMA_MGM_MAC_KTREE
    )
}

/// What RFC 8247 §2.1 (NULL), RFC 4543 §3 and RFC 8750 §7 keep out of IKE.
fn for_esp_alone(id: EncrId) -> bool {
    matches!(
        id,
        EncrId::NULL
            | EncrId::NULL_AUTH_AES_GMAC
            | EncrId::AES_CCM_8_IIV
            | EncrId::AES_GCM_16_IIV
            | EncrId::CHACHA20_POLY1305_IIV
    )
}

/// The PRF over the same primitive as an integrity algorithm.
fn implied_prf(integ: IntegId) -> Option<PrfId> {
    Some(match integ {
        IntegId::HMAC_MD5_96 | IntegId::HMAC_MD5_128 => PrfId::HMAC_MD5,
        IntegId::HMAC_SHA1_96 | IntegId::HMAC_SHA1_160 => PrfId::HMAC_SHA1,
        IntegId::HMAC_SHA2_256_128 => PrfId::HMAC_SHA2_256,
        IntegId::HMAC_SHA2_384_192 => PrfId::HMAC_SHA2_384,
        IntegId::HMAC_SHA2_512_256 => PrfId::HMAC_SHA2_512,
        IntegId::AES_XCBC_96 => PrfId::AES128_XCBC,
        IntegId::AES_CMAC_96 => PrfId::AES128_CMAC,
        _ => return None,
    })
}

fn implied_prfs(integ: &[IntegId]) -> Vec<PrfId> {
    let mut prfs = Vec::new();
    for prf in integ.iter().filter_map(|&integ| implied_prf(integ)) {
        if !prfs.contains(&prf) {
            prfs.push(prf);
        }
    }
    prfs
}

#[cfg(test)]
mod tests;
