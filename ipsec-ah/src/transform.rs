//! What does not change from packet to packet, and the ICV over one.

use alloc::boxed::Box;
use core::fmt;

use ipsec_crypto::{CryptoError, CryptoProvider, MacKey};
use ipsec_sa::{Direction, Encapsulation, Mode, SaParams, SecurityProtocol};
use ipsec_wire::Spi;
use ipsec_wire::ike::SnId;

use crate::SaError;

/// Octets in front of the ICV.
pub(crate) const FIXED_LEN: usize = 12;
const MAX_ICV: usize = 64;
/// The IV of GMAC (RFC 4543 §3.1).
const MAX_IV: usize = 8;

pub(crate) struct Transform {
    mac: Box<dyn MacKey>,
    /// The IV at the front of the ICV included.
    pub(crate) icv_len: usize,
    iv_len: usize,
    pub(crate) spi: Spi,
    pub(crate) esn: bool,
    pub(crate) mode: Mode,
}

impl Transform {
    pub(crate) fn new(
        params: &SaParams,
        provider: &CryptoProvider,
        direction: Direction,
    ) -> Result<Self, SaError> {
        if params.protocol != SecurityProtocol::Ah {
            return Err(SaError::NotAh);
        }
        if params.direction != direction {
            return Err(SaError::Direction);
        }
        if !matches!(params.mode, Mode::Tunnel | Mode::Transport) {
            return Err(SaError::Mode);
        }
        if params.outer.encapsulation != Encapsulation::None {
            return Err(SaError::Encapsulation);
        }
        if params.outer.local.is_ipv4() != params.outer.remote.is_ipv4() {
            return Err(SaError::MixedFamilies);
        }
        if params.algorithms.encr.is_some() || !params.keys.encr.is_empty() {
            return Err(SaError::Encryption);
        }
        let id = params.algorithms.integ.ok_or(SaError::NoIntegrity)?;
        let row = provider.integ(id).ok_or(SaError::UnknownIntegrity(id))?;
        let key = params.keys.integ.expose();
        if key.len() != row.key_len() {
            return Err(SaError::KeyLength { actual: key.len() });
        }
        let icv_len = row.icv_len();
        if icv_len == 0 || icv_len > MAX_ICV {
            return Err(SaError::IcvLength(icv_len));
        }
        let iv_len = row.iv_len();
        if iv_len > MAX_IV || iv_len > icv_len {
            return Err(SaError::IcvLength(icv_len));
        }
        let esn = params.sequence == SnId::SEQUENTIAL_64;
        Ok(Self { mac: row.mac_key(key)?, icv_len, iv_len, spi: params.spi, esn, mode: params.mode })
    }

    /// Octets of AH with its ICV padded to 32 or 64 bits (RFC 4302 §2.6, §3.3.3.2.1).
    #[inline]
    pub(crate) const fn ah_len(&self, to_64_bits: bool) -> usize {
        (FIXED_LEN + self.icv_len).next_multiple_of(if to_64_bits { 8 } else { 4 })
    }

    /// Writes the ICV over `icv`. `padding` is what follows the ICV inside AH. An IV is the sequence number, which is given
    /// out once under a key (RFC 4543 §3.1).
    pub(crate) fn sign(
        &self,
        headers: &[u8],
        fixed: &[u8],
        seq: u64,
        padding: &[u8],
        payload: &[u8],
        icv: &mut [u8],
    ) -> Result<(), CryptoError> {
        let number = seq.to_be_bytes();
        let iv = number.get(MAX_IV - self.iv_len..).unwrap_or_default();
        let (blank, high) = (self.blank(iv), high_half(self.esn, seq));
        let blank = blank.get(..self.icv_len).unwrap_or_default();
        self.mac.sign_with_iv(iv, &[headers, fixed, blank, padding, payload, high.as_slice()], icv)
    }

    /// Compares the ICV in constant time.
    pub(crate) fn verify(
        &self,
        headers: &[u8],
        fixed: &[u8],
        seq: u64,
        padding: &[u8],
        payload: &[u8],
        icv: &[u8],
    ) -> Result<(), CryptoError> {
        let iv = icv.get(..self.iv_len).unwrap_or_default();
        let (blank, high) = (self.blank(iv), high_half(self.esn, seq));
        let blank = blank.get(..self.icv_len).unwrap_or_default();
        self.mac.verify(&[headers, fixed, blank, padding, payload, high.as_slice()], icv)
    }

    /// The ICV as it counts in its own computation: zero, but for an IV (RFC 4543 §7).
    fn blank(&self, iv: &[u8]) -> [u8; MAX_ICV] {
        let mut blank = [0; MAX_ICV];
        for (octet, value) in blank.iter_mut().zip(iv) {
            *octet = *value;
        }
        blank
    }
}

/// What an extended sequence number adds behind the packet (RFC 4302 §2.5.1): four octets or none.
struct HighHalf([u8; 4], usize);

fn high_half(esn: bool, seq: u64) -> HighHalf {
    HighHalf(((seq >> 32) as u32).to_be_bytes(), if esn { 4 } else { 0 })
}

impl HighHalf {
    fn as_slice(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform")
            .field("spi", &self.spi)
            .field("mode", &self.mode)
            .field("esn", &self.esn)
            .field("icv_len", &self.icv_len)
            .finish_non_exhaustive()
    }
}
