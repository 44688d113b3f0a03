//! Plain ciphers by mode: CBC (RFC 3602), counter (RFC 3686), and no cipher at all (RFC 2410).

use alloc::boxed::Box;
use core::fmt;

use cipher::array::ArraySize;
use cipher::consts::U16;
use cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser,
    InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper,
};
use ctr::{CtrCore, flavors::Ctr32BE};

use crate::{CipherKey, CryptoError};

/// A keyed block cipher in CBC mode, keyed for both directions.
pub(super) struct Chained<C>(C);

impl<C> Chained<C>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync + 'static,
{
    pub(super) fn boxed(key: &[u8]) -> Option<Box<dyn CipherKey>> {
        Some(Box::new(Self(C::new_from_slice(key).ok()?)))
    }
}

/// An IV and whole blocks of one length.
type Blocks<'a, B> = (&'a Array<u8, B>, &'a mut [Array<u8, B>]);

/// An IV and whole blocks, or what is wrong with them.
fn whole_blocks<'a, B: ArraySize>(iv: &'a [u8], data: &'a mut [u8]) -> Result<Blocks<'a, B>, CryptoError> {
    let iv = iv.try_into().map_err(|_| CryptoError::NonceLength { actual: iv.len(), expected: B::USIZE })?;
    let actual = data.len();
    let (blocks, rest) = Array::slice_as_chunks_mut(data);
    if !rest.is_empty() {
        return Err(CryptoError::BufferLength { actual });
    }
    Ok((iv, blocks))
}

impl<C> CipherKey for Chained<C>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync,
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

/// A keyed 16-octet block cipher in counter mode. Nonce and IV are twelve octets together.
pub(super) struct Counted<C>(C);

impl<C> Counted<C>
where
    C: KeyInit + BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync + 'static,
{
    pub(super) fn boxed(key: &[u8]) -> Option<Box<dyn CipherKey>> {
        Some(Box::new(Self(C::new_from_slice(key).ok()?)))
    }
}

impl<C> CipherKey for Counted<C>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync,
{
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        let Ok([a, b, c, d, e, f, g, h, i, j, k, l]) = <[u8; 12]>::try_from(iv) else {
            return Err(CryptoError::NonceLength { actual: iv.len(), expected: 12 });
        };
        // RFC 3686 §4: the block counter begins with one.
        let block = Array([a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 1]);
        let core = CtrCore::<&C, Ctr32BE>::inner_iv_init(&self.0, &block);
        let actual = data.len();
        StreamCipherCoreWrapper::from_core(core)
            .try_apply_keystream(data)
            .map_err(|_| CryptoError::BufferLength { actual })
    }

    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        self.encrypt(iv, data)
    }
}

impl<C> fmt::Debug for Counted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CipherKey(..)")
    }
}

/// Octets as they are.
#[derive(Debug)]
pub(super) struct Null;

impl Null {
    pub(super) fn boxed(key: &[u8]) -> Option<Box<dyn CipherKey>> {
        key.is_empty().then(|| Box::new(Self) as Box<dyn CipherKey>)
    }
}

impl CipherKey for Null {
    fn encrypt(&self, iv: &[u8], _: &mut [u8]) -> Result<(), CryptoError> {
        if iv.is_empty() { Ok(()) } else { Err(CryptoError::NonceLength { actual: iv.len(), expected: 0 }) }
    }
    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        self.encrypt(iv, data)
    }
}
