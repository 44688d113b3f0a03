//! The algorithms of one SA behind one shape: a combined mode, or a cipher and a MAC over its output.

use alloc::boxed::Box;
use core::fmt;

use ipsec_crypto::{
    AeadKey, CipherKey, CryptoError, CryptoProvider, EncryptionAlgorithm, IvRule, KeyLimits, MacKey, Secret,
};
use ipsec_sa::{Lifetimes, SaParams, SecurityProtocol};
use ipsec_wire::ike::{EncrId, SnId};
use rand_core::CryptoRng;

use crate::{OpenError, SaError, SealError};

/// Octets of the largest salt, IV and nonce.
pub(crate) const MAX_SALT: usize = 4;
pub(crate) const MAX_IV: usize = 16;
const MAX_NONCE: usize = MAX_SALT + MAX_IV;
/// SPI and sequence number.
pub(crate) const HEADER_LEN: usize = 8;

/// Lengths that a packet is laid out by, in octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lengths {
    pub(crate) iv: u8,
    /// Payload and trailer are a multiple of this: the cipher's block, or 4 (RFC 4303 §2.4).
    pub(crate) align: u8,
    /// What the cipher itself asks for.
    pub(crate) block: u8,
    pub(crate) icv: u8,
    pub(crate) salt: u8,
}

/// Keyed algorithms.
pub(crate) enum Cipher {
    /// AAD is SPI and sequence number, the tag is the ICV (RFC 4106 §5).
    Combined { key: Box<dyn AeadKey>, salt: [u8; MAX_SALT], implicit_iv: bool },
    /// The ICV covers SPI to next header, and the high half of an ESN behind it (RFC 4303 §2.8).
    EncryptThenMac { cipher: Option<Box<dyn CipherKey>>, mac: Box<dyn MacKey>, salt: [u8; MAX_SALT] },
}

/// How the IV of a packet comes about.
pub(crate) enum IvSource {
    /// There is none on the wire.
    None,
    /// The sequence number. It is given out once under a key, and so is the nonce that it makes with the salt
    /// (RFC 4106 §3.1).
    Sequence,
    /// The sequence number encrypted under a key of its own, drawn at random when the SA is made. Whoever does not
    /// know that key cannot tell a block cipher's outputs from random blocks, nor foretell the next one from those
    /// seen, which is what RFC 3602 §3 asks for; the packet's own key would do by NIST SP 800-38A appendix C, but a
    /// separate one also rules out that a plaintext block meets a block that makes an IV.
    Encrypted(Box<dyn CipherKey>),
}

/// The row of the SA's encryption algorithm; `None` for ENCR_NULL, which needs none.
fn encryption_row(
    params: &SaParams,
    provider: &CryptoProvider,
) -> Result<Option<&'static dyn EncryptionAlgorithm>, SaError> {
    match params.algorithms.encr {
        None => Err(SaError::NoEncryption),
        Some(EncrId::NULL) => Ok(None),
        Some(id) => provider.encr(id).map(Some).ok_or(SaError::UnknownEncryption(id)),
    }
}

/// The lifetimes of an SA under the limits that its cipher sets for one key: what [`crate::EspOutbound`] and
/// [`crate::EspInbound`] refuse to go past, and when a replacement is due before that.
#[must_use]
pub fn lifetimes(params: &SaParams, provider: &CryptoProvider) -> Lifetimes {
    let limits = match params.algorithms.encr {
        Some(id) if id != EncrId::NULL => provider.encr(id).map_or(KeyLimits::NONE, |row| row.limits()),
        _ => KeyLimits::NONE,
    };
    params.lifetimes.capped(limits.packets, limits.octets)
}

impl Lengths {
    /// The lengths that the algorithms of `params` have in `provider`. No key is looked at.
    pub(crate) fn new(params: &SaParams, provider: &CryptoProvider) -> Result<Self, SaError> {
        if params.protocol != SecurityProtocol::Esp {
            return Err(SaError::NotEsp);
        }
        let row = encryption_row(params, provider)?;
        let (iv, block, tag, salt) = match row {
            Some(row) => (row.iv_len(), row.block_len(), row.tag_len(), row.salt_len()),
            None => (0, 1, 0, 0),
        };
        let icv = match (row.is_some_and(|row| row.is_aead()), params.algorithms.integ) {
            (true, None) => tag,
            (true, Some(_)) => return Err(SaError::IntegrityTwice),
            (false, None) => return Err(SaError::NoIntegrity),
            (false, Some(id)) => {
                let mac = provider.integ(id).ok_or(SaError::UnknownIntegrity(id))?;
                // A MAC with an IV is AH's alone; ESP has NULL with GMAC for that (RFC 4543 §5).
                if mac.iv_len() != 0 {
                    return Err(SaError::Lengths);
                }
                mac.icv_len()
            }
        };
        let fits = iv <= MAX_IV && salt <= MAX_SALT && block.is_power_of_two() && block <= 128 && icv <= 64;
        if !fits {
            return Err(SaError::Lengths);
        }
        // All at most 128.
        Ok(Self {
            iv: iv as u8,
            align: block.max(4) as u8,
            block: block as u8,
            icv: icv as u8,
            salt: salt as u8,
        })
    }
}

impl Cipher {
    pub(crate) fn new(
        params: &SaParams,
        provider: &CryptoProvider,
        lengths: &Lengths,
    ) -> Result<Self, SaError> {
        let row = encryption_row(params, provider)?;
        let keymat = params.keys.encr.expose();
        let wrong_length = SaError::KeyLength { actual: keymat.len() };
        let key_len = keymat.len().checked_sub(usize::from(lengths.salt)).ok_or(wrong_length)?;
        let (key, salt_octets) = keymat.split_at_checked(key_len).ok_or(wrong_length)?;
        let mut salt = [0; MAX_SALT];
        salt.get_mut(..salt_octets.len()).ok_or(wrong_length)?.copy_from_slice(salt_octets);
        let key_fits = match row {
            Some(row) => {
                let asked = usize::from(params.algorithms.key_bits) / 8;
                row.key_lengths().contains(&key_len) && (asked == 0 || asked == key_len)
            }
            None => key_len == 0,
        };
        if !key_fits {
            return Err(wrong_length);
        }
        match row {
            Some(row) if row.is_aead() => {
                let implicit_iv = row.iv_rule() == IvRule::Implicit;
                if implicit_iv && params.sequence == SnId::UNSPECIFIED_32 {
                    return Err(SaError::ImplicitIv);
                }
                Ok(Self::Combined { key: row.aead_key(key)?, salt, implicit_iv })
            }
            row => {
                let integ = params.algorithms.integ.ok_or(SaError::NoIntegrity)?;
                let integ = provider.integ(integ).ok_or(SaError::UnknownIntegrity(integ))?;
                let integ_key = params.keys.integ.expose();
                if integ_key.len() != integ.key_len() {
                    return Err(SaError::KeyLength { actual: integ_key.len() });
                }
                let cipher = row.map(|row| row.cipher_key(key)).transpose()?;
                Ok(Self::EncryptThenMac { cipher, mac: integ.mac_key(integ_key)?, salt })
            }
        }
    }

    /// Brings the key into the caches.
    #[inline]
    pub(crate) fn warm(&self) {
        if let Self::Combined { key, .. } = self {
            key.warm();
        }
    }

    /// Encrypts `body` and writes `icv`. `header` is SPI, sequence number and IV as they stand on the wire.
    // Every call counts against a packet of 64 octets, and a compiler that sees several callers stops inlining by itself.
    #[inline(always)]
    pub(crate) fn seal(
        &self,
        lengths: &Lengths,
        esn: bool,
        seq: u64,
        header: &[u8],
        body: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), SealError> {
        let (fixed, iv) = header.split_at_checked(HEADER_LEN).ok_or(SealError::Crypto)?;
        match self {
            Self::Combined { key, salt, implicit_iv } => {
                let (mut nonce, mut aad) = ([0; MAX_NONCE], [0; 12]);
                let nonce = make_nonce(&mut nonce, salt, lengths.salt, *implicit_iv, seq, iv);
                let aad = make_aad(&mut aad, fixed, esn, seq);
                key.seal(nonce, aad, body, icv).map_err(|_| SealError::Crypto)
            }
            Self::EncryptThenMac { cipher, mac, salt } => {
                if let Some(cipher) = cipher {
                    let mut nonce = [0; MAX_NONCE];
                    let nonce = make_nonce(&mut nonce, salt, lengths.salt, false, seq, iv);
                    cipher.encrypt(nonce, body).map_err(|_| SealError::Crypto)?;
                }
                let high = ((seq >> 32) as u32).to_be_bytes();
                let high = if esn { &high[..] } else { &[] };
                mac.sign(&[header, body, high], icv).map_err(|_| SealError::Crypto)
            }
        }
    }

    /// Checks `icv`, then decrypts `body`.
    #[inline(always)]
    pub(crate) fn open(
        &self,
        lengths: &Lengths,
        esn: bool,
        seq: u64,
        header: &[u8],
        body: &mut [u8],
        icv: &[u8],
    ) -> Result<(), OpenError> {
        let (fixed, iv) = header.split_at_checked(HEADER_LEN).ok_or(OpenError::Truncated)?;
        match self {
            Self::Combined { key, salt, implicit_iv } => {
                let (mut nonce, mut aad) = ([0; MAX_NONCE], [0; 12]);
                let nonce = make_nonce(&mut nonce, salt, lengths.salt, *implicit_iv, seq, iv);
                let aad = make_aad(&mut aad, fixed, esn, seq);
                key.open(nonce, aad, body, icv).map_err(open_error)
            }
            Self::EncryptThenMac { cipher, mac, salt } => {
                let high = ((seq >> 32) as u32).to_be_bytes();
                let high = if esn { &high[..] } else { &[] };
                mac.verify(&[header, body, high], icv).map_err(open_error)?;
                if let Some(cipher) = cipher {
                    let mut nonce = [0; MAX_NONCE];
                    let nonce = make_nonce(&mut nonce, salt, lengths.salt, false, seq, iv);
                    cipher.decrypt(nonce, body).map_err(|_| OpenError::Crypto)?;
                }
                Ok(())
            }
        }
    }
}

impl IvSource {
    /// The source that the SA's cipher asks for. `rng` keys it where IVs must not be foretold; a direction that seals
    /// nothing needs none.
    pub(crate) fn new(
        params: &SaParams,
        provider: &CryptoProvider,
        lengths: &Lengths,
        rng: Option<&mut dyn CryptoRng>,
    ) -> Result<Self, SaError> {
        let Some(row) = encryption_row(params, provider)? else { return Ok(Self::None) };
        match row.iv_rule() {
            IvRule::Implicit => Ok(Self::None),
            IvRule::Unique => Ok(Self::Sequence),
            IvRule::Unpredictable => {
                let Some(rng) = rng else { return Ok(Self::None) };
                let key_len = params.keys.encr.len().saturating_sub(usize::from(lengths.salt));
                let mut key = Secret::zeroed(key_len);
                rng.fill_bytes(key.expose_mut());
                Ok(Self::Encrypted(row.cipher_key(key.expose())?))
            }
        }
    }

    /// Writes the IV of packet number `seq` over all of `iv`.
    #[inline(always)]
    pub(crate) fn write(&self, seq: u64, iv: &mut [u8]) -> Result<(), SealError> {
        match (self, <&mut [u8; 8]>::try_from(&mut *iv)) {
            (Self::Sequence, Ok(eight)) => {
                *eight = seq.to_be_bytes();
                Ok(())
            }
            _ => self.write_other(seq, iv),
        }
    }

    fn write_other(&self, seq: u64, iv: &mut [u8]) -> Result<(), SealError> {
        match self {
            Self::None if iv.is_empty() => Ok(()),
            Self::None => Err(SealError::Iv),
            Self::Sequence => write_number(seq, iv),
            Self::Encrypted(key) => {
                // One block under a zero IV is the block cipher alone.
                write_number(seq, iv)?;
                let zero = [0; MAX_IV];
                key.encrypt(zero.get(..iv.len()).ok_or(SealError::Iv)?, iv).map_err(|_| SealError::Crypto)
            }
        }
    }
}

/// Right-aligned, in network order.
#[inline]
fn write_number(seq: u64, iv: &mut [u8]) -> Result<(), SealError> {
    let (high, low) = iv.split_last_chunk_mut::<8>().ok_or(SealError::Iv)?;
    high.fill(0);
    *low = seq.to_be_bytes();
    Ok(())
}

/// Salt and IV (RFC 4106 §4); an implicit IV is the sequence number, its high half 0 without ESN (RFC 8750 §4).
#[inline(always)]
fn make_nonce<'a>(
    nonce: &'a mut [u8; MAX_NONCE],
    salt: &[u8; MAX_SALT],
    salt_len: u8,
    implicit_iv: bool,
    seq: u64,
    iv: &[u8],
) -> &'a [u8] {
    let number = seq.to_be_bytes();
    let iv = if implicit_iv { &number[..] } else { iv };
    // All combined modes but CCM, without a length that only shows at run time.
    if let (4, Ok(eight)) = (salt_len, <&[u8; 8]>::try_from(iv)) {
        let [a, b, c, d] = *salt;
        let [e, f, g, h, i, j, k, l] = *eight;
        if let Some(twelve) = nonce.first_chunk_mut() {
            *twelve = [a, b, c, d, e, f, g, h, i, j, k, l];
            return twelve;
        }
        return &[];
    }
    make_odd_nonce(nonce, salt, salt_len, iv)
}

/// The same for a salt or IV of another length.
fn make_odd_nonce<'a>(
    nonce: &'a mut [u8; MAX_NONCE],
    salt: &[u8; MAX_SALT],
    salt_len: u8,
    iv: &[u8],
) -> &'a [u8] {
    let salt = salt.get(..usize::from(salt_len)).unwrap_or_default();
    let len = salt.len() + iv.len();
    for (octet, value) in nonce.iter_mut().zip(salt.iter().chain(iv)) {
        *octet = *value;
    }
    nonce.get(..len).unwrap_or_default()
}

/// SPI and the sequence number, with its high half in between for ESN (RFC 4106 §5).
#[inline]
fn make_aad<'a>(aad: &'a mut [u8; 12], fixed: &'a [u8], esn: bool, seq: u64) -> &'a [u8] {
    if !esn {
        return fixed;
    }
    if let Some([a, b, c, d, e, f, g, h]) = fixed.first_chunk() {
        let [p, q, r, s] = ((seq >> 32) as u32).to_be_bytes();
        *aad = [*a, *b, *c, *d, p, q, r, s, *e, *f, *g, *h];
    }
    aad
}

fn open_error(error: CryptoError) -> OpenError {
    match error {
        CryptoError::Mismatch => OpenError::Icv,
        _ => OpenError::Crypto,
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Combined { .. } => "Combined",
            Self::EncryptThenMac { .. } => "EncryptThenMac",
        })
    }
}

impl fmt::Debug for IvSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Sequence => "Sequence",
            Self::Encrypted(_) => "Encrypted",
        })
    }
}
