//! AES-GCM with a 16-octet ICV (RFC 4106, RFC 5282) and AES-CBC (RFC 3602).

use alloc::boxed::Box;
use core::fmt;

use aead::{AeadCore, AeadInOut, Nonce, Tag};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::AesGcm;
use cipher::consts::{U12, U16};
use cipher::typenum::Unsigned;
use cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser,
    InnerIvInit, KeyInit,
};
use ipsec_wire::ike::EncrId;

use crate::{AeadKey, CipherKey, CryptoError, EncryptionAlgorithm, IvRule, Status};

/// Key lengths of AES in octets.
const AES_KEY_LENGTHS: &[usize] = &[16, 24, 32];

/// A combined mode whose packets carry an IV that only has to be unique.
pub(super) struct Aead {
    id: EncrId,
    name: &'static str,
    status: Status,
    key_lengths: &'static [usize],
    salt_len: usize,
    tag_len: usize,
    key: fn(&[u8]) -> Option<Box<dyn AeadKey>>,
}

pub(super) static AES_GCM_16: Aead = Aead {
    id: EncrId::AES_GCM_16,
    name: "aes-gcm-16",
    status: Status::Must,
    key_lengths: AES_KEY_LENGTHS,
    salt_len: 4,
    tag_len: 16,
    key: |key| match key.len() {
        16 => Combined::<AesGcm<Aes128, U12>>::boxed(key),
        24 => Combined::<AesGcm<Aes192, U12>>::boxed(key),
        _ => Combined::<AesGcm<Aes256, U12>>::boxed(key),
    },
};

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl EncryptionAlgorithm for Aead {
    fn id(&self) -> EncrId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn status(&self) -> Status {
        self.status
    }
    fn key_lengths(&self) -> &'static [usize] {
        self.key_lengths
    }
    fn salt_len(&self) -> usize {
        self.salt_len
    }
    fn iv_len(&self) -> usize {
        8
    }
    fn block_len(&self) -> usize {
        1
    }
    fn tag_len(&self) -> usize {
        self.tag_len
    }
    fn iv_rule(&self) -> IvRule {
        IvRule::Unique
    }
    fn aead_key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        (self.key)(key).ok_or(CryptoError::KeyLength { actual: key.len() })
    }
    fn cipher_key(&self, _: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        Err(CryptoError::Unsupported)
    }
}

/// A plain block cipher in CBC mode.
pub(super) struct Cbc {
    id: EncrId,
    name: &'static str,
    status: Status,
    key_lengths: &'static [usize],
    block_len: usize,
    key: fn(&[u8]) -> Option<Box<dyn CipherKey>>,
}

pub(super) static AES_CBC: Cbc = Cbc {
    id: EncrId::AES_CBC,
    name: "aes-cbc",
    status: Status::Must,
    key_lengths: AES_KEY_LENGTHS,
    block_len: 16,
    key: |key| match key.len() {
        16 => Chained::<Aes128>::boxed(key),
        24 => Chained::<Aes192>::boxed(key),
        _ => Chained::<Aes256>::boxed(key),
    },
};

impl fmt::Debug for Cbc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl EncryptionAlgorithm for Cbc {
    fn id(&self) -> EncrId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn status(&self) -> Status {
        self.status
    }
    fn key_lengths(&self) -> &'static [usize] {
        self.key_lengths
    }
    fn salt_len(&self) -> usize {
        0
    }
    fn iv_len(&self) -> usize {
        self.block_len
    }
    fn block_len(&self) -> usize {
        self.block_len
    }
    fn tag_len(&self) -> usize {
        0
    }
    fn iv_rule(&self) -> IvRule {
        IvRule::Unpredictable
    }
    fn aead_key(&self, _: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        Err(CryptoError::Unsupported)
    }
    fn cipher_key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        (self.key)(key).ok_or(CryptoError::KeyLength { actual: key.len() })
    }
}

/// A keyed combined mode of the `aead` traits. The key schedule is computed once, here.
struct Combined<A>(A);

impl<A: KeyInit + AeadInOut + Send + Sync + 'static> Combined<A> {
    fn boxed(key: &[u8]) -> Option<Box<dyn AeadKey>> {
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

/// A keyed 16-octet block cipher in CBC mode, keyed for both directions.
struct Chained<C>(C);

impl<C> Chained<C>
where
    C: KeyInit
        + BlockSizeUser<BlockSize = U16>
        + BlockCipherEncrypt
        + BlockCipherDecrypt
        + Send
        + Sync
        + 'static,
{
    fn boxed(key: &[u8]) -> Option<Box<dyn CipherKey>> {
        Some(Box::new(Self(C::new_from_slice(key).ok()?)))
    }
}

/// One AES block, and an IV.
type Block = Array<u8, U16>;

/// An IV and whole blocks, or what is wrong with them.
fn whole_blocks<'a>(iv: &'a [u8], data: &'a mut [u8]) -> Result<(&'a Block, &'a mut [Block]), CryptoError> {
    let iv =
        iv.try_into().map_err(|_| CryptoError::NonceLength { actual: iv.len(), expected: U16::USIZE })?;
    let actual = data.len();
    let (blocks, rest) = Block::slice_as_chunks_mut(data);
    if !rest.is_empty() {
        return Err(CryptoError::BufferLength { actual });
    }
    Ok((iv, blocks))
}

impl<C> CipherKey for Chained<C>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync,
{
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let (iv, blocks) = whole_blocks(iv, data)?;
        cbc::Encryptor::inner_iv_init(&self.0, iv).encrypt_blocks(blocks);
        Ok(())
    }

    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let (iv, blocks) = whole_blocks(iv, data)?;
        cbc::Decryptor::inner_iv_init(&self.0, iv).decrypt_blocks(blocks);
        Ok(())
    }
}

impl<C> fmt::Debug for Chained<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CipherKey(..)")
    }
}
