//! AES-GCM-16, ChaCha20-Poly1305, AES-CBC and AES-CTR.

use alloc::boxed::Box;
use core::fmt;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    self, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use ipsec_crypto::{AeadKey, CipherKey, CryptoError, EncryptionAlgorithm, IvRule, KeyLimits};
use ipsec_wire::ike::EncrId;

const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const BLOCK_LEN: usize = 16;
const AES_KEY_LENGTHS: &[usize] = &[16, 24, 32];

/// What keys a row.
#[derive(Clone, Copy)]
enum Keying {
    Combined(fn(usize) -> Option<&'static aead::Algorithm>),
    Chained,
    Counted,
}

/// An encryption algorithm as plain data.
#[derive(Clone, Copy)]
pub(crate) struct Encryption {
    id: EncrId,
    name: &'static str,
    key_lengths: &'static [usize],
    salt_len: usize,
    iv_len: usize,
    block_len: usize,
    tag_len: usize,
    iv_rule: IvRule,
    limits: KeyLimits,
    key: Keying,
}

pub(crate) static AES_GCM_16: Encryption = GCM;

const GCM: Encryption = Encryption {
    id: EncrId::AES_GCM_16,
    name: "aes-gcm-16",
    key_lengths: AES_KEY_LENGTHS,
    salt_len: 4,
    iv_len: 8,
    block_len: 1,
    tag_len: TAG_LEN,
    iv_rule: IvRule::Unique,
    limits: KeyLimits::BLOCK_128,
    key: Keying::Combined(|len| match len {
        16 => Some(&aead::AES_128_GCM),
        24 => Some(&aead::AES_192_GCM),
        32 => Some(&aead::AES_256_GCM),
        _ => None,
    }),
};

pub(crate) static AES_GCM_16_IIV: Encryption = Encryption {
    id: EncrId::AES_GCM_16_IIV,
    name: "aes-gcm-16-iiv",
    iv_len: 0,
    iv_rule: IvRule::Implicit,
    ..GCM
};

pub(crate) static CHACHA20_POLY1305: Encryption = CHACHA20;

const CHACHA20: Encryption = Encryption {
    id: EncrId::CHACHA20_POLY1305,
    name: "chacha20-poly1305",
    key_lengths: &[32],
    limits: KeyLimits::NONE,
    key: Keying::Combined(|len| (len == 32).then_some(&aead::CHACHA20_POLY1305)),
    ..GCM
};

pub(crate) static CHACHA20_POLY1305_IIV: Encryption = Encryption {
    id: EncrId::CHACHA20_POLY1305_IIV,
    name: "chacha20-poly1305-iiv",
    iv_len: 0,
    iv_rule: IvRule::Implicit,
    ..CHACHA20
};

pub(crate) static AES_CBC: Encryption = Encryption {
    id: EncrId::AES_CBC,
    name: "aes-cbc",
    salt_len: 0,
    iv_len: BLOCK_LEN,
    block_len: BLOCK_LEN,
    tag_len: 0,
    iv_rule: IvRule::Unpredictable,
    key: Keying::Chained,
    ..GCM
};

pub(crate) static AES_CTR: Encryption =
    Encryption { id: EncrId::AES_CTR, name: "aes-ctr", tag_len: 0, key: Keying::Counted, ..GCM };

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl EncryptionAlgorithm for Encryption {
    fn id(&self) -> EncrId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn key_lengths(&self) -> &'static [usize] {
        self.key_lengths
    }
    fn salt_len(&self) -> usize {
        self.salt_len
    }
    fn iv_len(&self) -> usize {
        self.iv_len
    }
    fn block_len(&self) -> usize {
        self.block_len
    }
    fn tag_len(&self) -> usize {
        self.tag_len
    }
    fn iv_rule(&self) -> IvRule {
        self.iv_rule
    }
    fn limits(&self) -> KeyLimits {
        self.limits
    }
    fn aead_key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        let Keying::Combined(algorithm) = self.key else { return Err(CryptoError::Unsupported) };
        let refused = CryptoError::KeyLength { actual: key.len() };
        let key = UnboundKey::new(algorithm(key.len()).ok_or(refused)?, key).map_err(|_| refused)?;
        Ok(Box::new(Combined(LessSafeKey::new(key))))
    }
    fn cipher_key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        let refused = CryptoError::KeyLength { actual: key.len() };
        let algorithm = match key.len() {
            _ if matches!(self.key, Keying::Combined(_)) => return Err(CryptoError::Unsupported),
            16 => &cipher::AES_128,
            24 => &cipher::AES_192,
            32 => &cipher::AES_256,
            _ => return Err(refused),
        };
        let unbound = || UnboundCipherKey::new(algorithm, key).map_err(|_| refused);
        if matches!(self.key, Keying::Counted) {
            return Ok(Box::new(Counted(EncryptingKey::ctr(unbound()?).map_err(|_| refused)?)));
        }
        let encrypting = EncryptingKey::cbc(unbound()?).map_err(|_| refused)?;
        let decrypting = DecryptingKey::cbc(unbound()?).map_err(|_| refused)?;
        Ok(Box::new(Chained { encrypting, decrypting }))
    }
}

struct Combined(LessSafeKey);

fn nonce(nonce: &[u8]) -> Result<Nonce, CryptoError> {
    Nonce::try_assume_unique_for_key(nonce)
        .map_err(|_| CryptoError::NonceLength { actual: nonce.len(), expected: NONCE_LEN })
}

impl AeadKey for Combined {
    fn seal(&self, iv: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let nonce = nonce(iv)?;
        if tag.len() != TAG_LEN {
            return Err(CryptoError::BufferLength { actual: tag.len() });
        }
        let actual = data.len();
        self.0
            .seal_in_place_scatter(nonce, Aad::from(aad), data, &[], tag)
            .map_err(|_| CryptoError::BufferLength { actual })
    }

    fn open(&self, iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let nonce = nonce(iv)?;
        if tag.len() != TAG_LEN {
            return Err(CryptoError::BufferLength { actual: tag.len() });
        }
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(aad), tag, data);
        opened.map(|_| ()).map_err(|_| CryptoError::Mismatch)
    }
}

impl fmt::Debug for Combined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

struct Chained {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
}

fn whole_blocks(iv: &[u8], data: &[u8]) -> Result<FixedLength<BLOCK_LEN>, CryptoError> {
    let wrong = CryptoError::NonceLength { actual: iv.len(), expected: BLOCK_LEN };
    let iv: &[u8; BLOCK_LEN] = iv.try_into().map_err(|_| wrong)?;
    match data.len().is_multiple_of(BLOCK_LEN) {
        true => Ok(FixedLength::from(iv)),
        false => Err(CryptoError::BufferLength { actual: data.len() }),
    }
}

impl CipherKey for Chained {
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let context = EncryptionContext::Iv128(whole_blocks(iv, data)?);
        let actual = data.len();
        let encrypted = self.encrypting.less_safe_encrypt(data, context);
        encrypted.map(|_| ()).map_err(|_| CryptoError::BufferLength { actual })
    }

    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let context = DecryptionContext::Iv128(whole_blocks(iv, data)?);
        let actual = data.len();
        let decrypted = self.decrypting.decrypt(data, context);
        decrypted.map(|_| ()).map_err(|_| CryptoError::BufferLength { actual })
    }
}

impl fmt::Debug for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CipherKey(..)")
    }
}

/// Counter mode; nonce and IV are twelve octets together, the block counter begins with one (RFC 3686 §4).
struct Counted(EncryptingKey);

impl CipherKey for Counted {
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let Ok([a, b, c, d, e, f, g, h, i, j, k, l]) = <[u8; NONCE_LEN]>::try_from(iv) else {
            return Err(CryptoError::NonceLength { actual: iv.len(), expected: NONCE_LEN });
        };
        let block = [a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 1];
        let actual = data.len();
        let context = EncryptionContext::Iv128(FixedLength::from(&block));
        self.0.less_safe_encrypt(data, context).map(|_| ()).map_err(|_| CryptoError::BufferLength { actual })
    }

    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        self.encrypt(iv, data)
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CipherKey(..)")
    }
}
