//! The encryption rows: combined modes (RFC 4106, 4309, 7634, 8750) and plain ciphers (RFC 3602, 3686, 2410).

use alloc::boxed::Box;
use core::fmt;

use aead::{AeadCore, AeadInOut, Nonce, Tag};
use aes::{Aes128, Aes128Enc, Aes192, Aes192Enc, Aes256, Aes256Enc};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;
use cipher::KeyInit;
use cipher::consts::{U8, U11, U12, U16};
use cipher::typenum::Unsigned;
use ipsec_wire::ike::EncrId;

use super::cipher::{Chained, Counted, Null};
use super::gcm::Gcm;
use super::gmac::{Gmac, NullAuth};
use crate::{AeadKey, CipherKey, CryptoError, EncryptionAlgorithm, IvRule, KeyLimits};

/// Key lengths of AES in octets.
pub(super) const AES_KEY_LENGTHS: &[usize] = &[16, 24, 32];

/// What keys a row.
#[derive(Clone, Copy)]
pub(super) enum Keying {
    Combined(fn(&[u8]) -> Option<Box<dyn AeadKey>>),
    Plain(fn(&[u8]) -> Option<Box<dyn CipherKey>>),
}

/// An encryption algorithm as plain data.
#[derive(Clone, Copy)]
pub(super) struct Encryption {
    pub(super) id: EncrId,
    pub(super) name: &'static str,
    pub(super) key_lengths: &'static [usize],
    pub(super) salt_len: usize,
    pub(super) iv_len: usize,
    pub(super) block_len: usize,
    pub(super) tag_len: usize,
    pub(super) iv_rule: IvRule,
    pub(super) limits: KeyLimits,
    pub(super) key: Keying,
}

/// Keys one of three instances of a mode, by the length of the key; the longest refuses what fits none.
macro_rules! by_key_length {
    ($short:ty, $middle:ty, $long:ty) => {
        |key| match key.len() {
            16 => <$short>::boxed(key),
            24 => <$middle>::boxed(key),
            _ => <$long>::boxed(key),
        }
    };
}
#[cfg(feature = "camellia")]
pub(super) use by_key_length;

pub(super) static AES_GCM_16: Encryption = GCM_16;

const GCM_16: Encryption = Encryption {
    id: EncrId::AES_GCM_16,
    name: "aes-gcm-16",
    key_lengths: AES_KEY_LENGTHS,
    salt_len: 4,
    iv_len: 8,
    block_len: 1,
    tag_len: 16,
    iv_rule: IvRule::Unique,
    limits: KeyLimits::BLOCK_128,
    key: Keying::Combined(by_key_length!(Gcm::<Aes128Enc, 16>, Gcm::<Aes192Enc, 16>, Gcm::<Aes256Enc, 16>)),
};

pub(super) static AES_GCM_12: Encryption = Encryption {
    id: EncrId::AES_GCM_12,
    name: "aes-gcm-12",
    tag_len: 12,
    key: Keying::Combined(by_key_length!(Gcm::<Aes128Enc, 12>, Gcm::<Aes192Enc, 12>, Gcm::<Aes256Enc, 12>)),
    ..GCM_16
};

pub(super) static AES_GCM_8: Encryption = Encryption {
    id: EncrId::AES_GCM_8,
    name: "aes-gcm-8",
    tag_len: 8,
    key: Keying::Combined(by_key_length!(Gcm::<Aes128Enc, 8>, Gcm::<Aes192Enc, 8>, Gcm::<Aes256Enc, 8>)),
    ..GCM_16
};

/// RFC 8750: for ESP alone, because IKE has no number of its own in each message.
pub(super) static AES_GCM_16_IIV: Encryption = Encryption {
    id: EncrId::AES_GCM_16_IIV,
    name: "aes-gcm-16-iiv",
    iv_len: 0,
    iv_rule: IvRule::Implicit,
    ..GCM_16
};

pub(super) static AES_CCM_16: Encryption = CCM_16;

/// RFC 4309 §4: three octets of salt and eight of IV.
pub(super) const CCM_16: Encryption = Encryption {
    id: EncrId::AES_CCM_16,
    name: "aes-ccm-16",
    salt_len: 3,
    key: Keying::Combined(by_key_length!(
        Combined::<Ccm<Aes128Enc, U16, U11>>,
        Combined::<Ccm<Aes192Enc, U16, U11>>,
        Combined::<Ccm<Aes256Enc, U16, U11>>
    )),
    ..GCM_16
};

pub(super) static AES_CCM_12: Encryption = Encryption {
    id: EncrId::AES_CCM_12,
    name: "aes-ccm-12",
    tag_len: 12,
    key: Keying::Combined(by_key_length!(
        Combined::<Ccm<Aes128Enc, U12, U11>>,
        Combined::<Ccm<Aes192Enc, U12, U11>>,
        Combined::<Ccm<Aes256Enc, U12, U11>>
    )),
    ..CCM_16
};

pub(super) static AES_CCM_8: Encryption = CCM_8;

const CCM_8: Encryption = Encryption {
    id: EncrId::AES_CCM_8,
    name: "aes-ccm-8",
    tag_len: 8,
    key: Keying::Combined(by_key_length!(
        Combined::<Ccm<Aes128Enc, U8, U11>>,
        Combined::<Ccm<Aes192Enc, U8, U11>>,
        Combined::<Ccm<Aes256Enc, U8, U11>>
    )),
    ..CCM_16
};

pub(super) static AES_CCM_8_IIV: Encryption = Encryption {
    id: EncrId::AES_CCM_8_IIV,
    name: "aes-ccm-8-iiv",
    iv_len: 0,
    iv_rule: IvRule::Implicit,
    ..CCM_8
};

pub(super) static CHACHA20_POLY1305: Encryption = CHACHA20;

/// RFC 8446 §5.5: no limit comes before that of the sequence numbers.
const CHACHA20: Encryption = Encryption {
    id: EncrId::CHACHA20_POLY1305,
    name: "chacha20-poly1305",
    key_lengths: &[32],
    limits: KeyLimits::NONE,
    key: Keying::Combined(Combined::<ChaCha20Poly1305>::boxed),
    ..GCM_16
};

pub(super) static CHACHA20_POLY1305_IIV: Encryption = Encryption {
    id: EncrId::CHACHA20_POLY1305_IIV,
    name: "chacha20-poly1305-iiv",
    iv_len: 0,
    iv_rule: IvRule::Implicit,
    ..CHACHA20
};

/// RFC 4543 §3: a combined mode that encrypts nothing. For ESP alone.
pub(super) static NULL_AUTH_AES_GMAC: Encryption = Encryption {
    id: EncrId::NULL_AUTH_AES_GMAC,
    name: "null-auth-aes-gmac",
    key: Keying::Combined(by_key_length!(
        NullAuth::<Gmac<Aes128Enc>>,
        NullAuth::<Gmac<Aes192Enc>>,
        NullAuth::<Gmac<Aes256Enc>>
    )),
    ..GCM_16
};

pub(super) static AES_CBC: Encryption = CBC;

pub(super) const CBC: Encryption = Encryption {
    id: EncrId::AES_CBC,
    name: "aes-cbc",
    salt_len: 0,
    iv_len: 16,
    block_len: 16,
    tag_len: 0,
    iv_rule: IvRule::Unpredictable,
    key: Keying::Plain(by_key_length!(Chained::<Aes128>, Chained::<Aes192>, Chained::<Aes256>)),
    ..GCM_16
};

pub(super) static AES_CTR: Encryption = CTR;

/// RFC 3686 §5.1: the nonce's four octets follow the key in KEYMAT.
pub(super) const CTR: Encryption = Encryption {
    id: EncrId::AES_CTR,
    name: "aes-ctr",
    tag_len: 0,
    key: Keying::Plain(by_key_length!(Counted::<Aes128Enc>, Counted::<Aes192Enc>, Counted::<Aes256Enc>)),
    ..GCM_16
};

/// RFC 2410. For ESP alone (RFC 8247 §2.1).
pub(super) static NULL: Encryption = Encryption {
    id: EncrId::NULL,
    name: "null",
    key_lengths: &[0],
    salt_len: 0,
    iv_len: 0,
    tag_len: 0,
    limits: KeyLimits::NONE,
    key: Keying::Plain(Null::boxed),
    ..GCM_16
};

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
        let Keying::Combined(keyed) = self.key else { return Err(CryptoError::Unsupported) };
        keyed(key).ok_or(CryptoError::KeyLength { actual: key.len() })
    }
    fn cipher_key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        let Keying::Plain(keyed) = self.key else { return Err(CryptoError::Unsupported) };
        keyed(key).ok_or(CryptoError::KeyLength { actual: key.len() })
    }
}

/// A keyed combined mode of the `aead` traits. The key schedule is computed once, here.
pub(super) struct Combined<A>(A);

impl<A: KeyInit + AeadInOut + Send + Sync + 'static> Combined<A> {
    pub(super) fn boxed(key: &[u8]) -> Option<Box<dyn AeadKey>> {
        Some(Box::new(Self(A::new_from_slice(key).ok()?)))
    }
}

impl<A: AeadCore> Combined<A> {
    fn nonce(nonce: &[u8]) -> Result<&Nonce<A>, CryptoError> {
        nonce
            .try_into()
            .map_err(|_| CryptoError::NonceLength { actual: nonce.len(), expected: A::NonceSize::USIZE })
    }
}

impl<A: AeadInOut + Send + Sync> AeadKey for Combined<A> {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let nonce = Self::nonce(nonce)?;
        let actual = tag.len();
        let tag: &mut Tag<A> = tag.try_into().map_err(|_| CryptoError::BufferLength { actual })?;
        let actual = data.len();
        *tag = self
            .0
            .encrypt_inout_detached(nonce, aad, data.into())
            .map_err(|_| CryptoError::BufferLength { actual })?;
        Ok(())
    }

    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let nonce = Self::nonce(nonce)?;
        let tag: &Tag<A> = tag.try_into().map_err(|_| CryptoError::BufferLength { actual: tag.len() })?;
        self.0.decrypt_inout_detached(nonce, aad, data.into(), tag).map_err(|_| CryptoError::Mismatch)
    }
}

impl<A> fmt::Debug for Combined<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}
