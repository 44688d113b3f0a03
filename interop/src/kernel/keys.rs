//! The algorithms of a case with keys for both directions, as our SAs and as the kernel's.

use core::fmt::Write as _;

use ipsec::crypto::{CryptoProvider, Secret, Suite};
use ipsec::sa::{SaAlgorithms, SaKeys, SecurityProtocol};
use ipsec::wire::ike::EncrId;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::names;

/// Algorithms, and how long their keys and ICVs are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Algorithms {
    /// As SAs have them.
    pub(crate) numbers: SaAlgorithms,
    encr_len: usize,
    integ_len: usize,
    icv_bits: usize,
}

impl Algorithms {
    /// The algorithms of a proposal string.
    pub(crate) fn new(
        protocol: SecurityProtocol,
        suite: &str,
        provider: &CryptoProvider,
    ) -> Result<Self, String> {
        let suite = match protocol {
            SecurityProtocol::Esp => Suite::esp(suite),
            SecurityProtocol::Ah => Suite::ah(suite),
        }
        .map_err(|error| error.to_string())?;
        suite.supported_by(provider).map_err(|error| error.to_string())?;
        let (encr, integ) = (suite.encr.first(), suite.integ.first().copied());
        let row = encr.and_then(|&(id, _)| provider.encr(id)).filter(|row| row.id() != EncrId::NULL);
        let integ_row = integ.and_then(|id| provider.integ(id));
        let key_len = match (encr, row) {
            (Some((_, Some(bits))), Some(_)) => usize::from(*bits) / 8,
            (_, Some(row)) => row.key_lengths().first().copied().unwrap_or_default(),
            _ => 0,
        };
        let icv = integ_row.map_or_else(|| row.map_or(0, |row| row.tag_len()), |row| row.icv_len());
        Ok(Algorithms {
            numbers: SaAlgorithms {
                encr: encr.map(|&(id, _)| id),
                key_bits: encr.and_then(|&(_, bits)| bits).unwrap_or(0),
                integ,
            },
            encr_len: key_len + row.map_or(0, |row| row.salt_len()),
            integ_len: integ_row.map_or(0, |row| row.key_len()),
            icv_bits: icv * 8,
        })
    }
}

/// The keys of one direction; they protect nothing.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    encr: Vec<u8>,
    integ: Vec<u8>,
}

impl Keys {
    /// Keys out of a number: the same ones every time, so that a capture can be read again.
    pub(crate) fn new(algorithms: &Algorithms, number: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        let mut draw = |length| {
            let mut octets = vec![0; length];
            rng.fill_bytes(&mut octets);
            octets
        };
        Keys { encr: draw(algorithms.encr_len), integ: draw(algorithms.integ_len) }
    }

    /// As our SAs take them.
    pub(crate) fn ours(&self) -> SaKeys {
        SaKeys { encr: Secret::new(&self.encr), integ: Secret::new(&self.integ) }
    }

    /// As `ip xfrm state` takes them, with the algorithms' names.
    pub(crate) fn of_the_kernel(&self, algorithms: &Algorithms) -> Result<String, String> {
        let SaAlgorithms { encr, integ, .. } = algorithms.numbers;
        let unknown = "the kernel has no such algorithm";
        let mut text = String::new();
        if let Some(id) = encr {
            let (name, combined) = names::encryption(id).ok_or(unknown)?;
            if combined {
                return Ok(format!("aead {name} {} {}", hex(&self.encr), algorithms.icv_bits));
            }
            let key = if self.encr.is_empty() { "\"\"".to_owned() } else { hex(&self.encr) };
            let _ = write!(text, "enc {name} {key} ");
        }
        let name = integ.and_then(names::integrity).ok_or(unknown)?;
        let _ = write!(text, "auth-trunc {name} {} {}", hex(&self.integ), algorithms.icv_bits);
        Ok(text)
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold("0x".to_owned(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
