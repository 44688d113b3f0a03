//! AES-GCM (NIST SP 800-38D) composed of a block cipher and GHASH.
//!
//! The crates below choose an implementation at run time on every call, and such a call is not inlined. A short packet
//! is therefore encrypted in one call of the cipher: the block that masks the tag, and its whole key stream. Longer
//! ones go through counter mode, where the number of calls no longer matters; when opened, from 145 octets on.

use alloc::boxed::Box;
use core::fmt;

use cipher::consts::U16;
use cipher::{Array, BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipherCore};
use ctr::{CtrCore, flavors::Ctr32BE};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use zeroize::Zeroize;

use crate::{AeadKey, CryptoError, check_equal};

const NONCE_LEN: usize = 12;
const BLOCK_LEN: usize = 16;
/// Blocks of the mask and of the key stream of a packet that is handled in one call: two sizes, because what is not used
/// has to be written all the same.
const SHORT: usize = 10;
const MIDDLE: usize = 40;

type Block = Array<u8, U16>;

/// A keyed cipher with its hash; `TAG` octets of the tag are used. In this order what a packet reads lies together: the
/// cipher ends with room that only its plain code needs.
#[repr(C)]
pub(super) struct Gcm<C, const TAG: usize> {
    hash: GHash,
    cipher: C,
}

/// The cipher's output for the counters 1 and up: the mask of the tag, then the key stream.
struct Stream<const N: usize>([Block; N]);

impl<const N: usize> Stream<N> {
    fn mask(&self) -> Block {
        self.0.first().copied().unwrap_or_default()
    }

    fn apply(&self, data: &mut [u8]) {
        let stream = self.0.get(1..).unwrap_or_default();
        let (blocks, rest) = Block::slice_as_chunks_mut(data);
        for (block, key) in blocks.iter_mut().zip(stream) {
            add(block, key);
        }
        let last = stream.get(blocks.len()).map_or(&[][..], |block| block);
        rest.iter_mut().zip(last).for_each(|(octet, key)| *octet ^= key);
    }
}

#[inline]
fn add(block: &mut Block, other: &Block) {
    block.iter_mut().zip(other).for_each(|(octet, other)| *octet ^= other);
}

impl<C, const TAG: usize> Gcm<C, TAG>
where
    C: KeyInit + BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync + 'static,
{
    pub(super) fn boxed(key: &[u8]) -> Option<Box<dyn AeadKey>> {
        let cipher = C::new_from_slice(key).ok()?;
        let mut subkey = Block::default();
        cipher.encrypt_block(&mut subkey);
        let hash = GHash::new(&subkey);
        subkey.zeroize();
        Some(Box::new(Self { cipher, hash }))
    }
}

impl<C, const TAG: usize> Gcm<C, TAG>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt,
{
    /// As many blocks as `len` octets need, and the mask; the rest are zeros.
    #[inline]
    fn stream<const N: usize>(&self, nonce: &[u8; NONCE_LEN], len: usize) -> Stream<N> {
        let mut blocks = [Block::default(); N];
        let needed = len.div_ceil(BLOCK_LEN).saturating_add(1).min(N);
        if let Some(used) = blocks.get_mut(..needed) {
            for (number, block) in (1..).zip(used.iter_mut()) {
                *block = counter(nonce, number);
            }
            self.cipher.encrypt_blocks(used);
        }
        Stream(blocks)
    }

    /// §7.1, S: the hash over both, each padded to blocks, and their lengths in bits.
    #[inline]
    fn hashed(&self, aad: &[u8], data: &[u8]) -> Block {
        let mut hash = self.hash.clone();
        if !aad.is_empty() {
            hash.update_padded(aad);
        }
        let (blocks, rest) = Block::slice_as_chunks(data);
        if !blocks.is_empty() {
            hash.update(blocks);
        }
        let bits = |octets: &[u8]| (octets.len() as u64).wrapping_mul(8);
        let lengths = Array((u128::from(bits(aad)) << 64 | u128::from(bits(data))).to_be_bytes());
        if rest.is_empty() {
            hash.update(&[lengths]);
        } else {
            let mut last = Block::default();
            last.iter_mut().zip(rest).for_each(|(slot, octet)| *slot = *octet);
            hash.update(&[last, lengths]);
        }
        hash.finalize()
    }

    fn tag(&self, mask: &Block, aad: &[u8], data: &[u8]) -> Block {
        let mut tag = self.hashed(aad, data);
        add(&mut tag, mask);
        tag
    }

    #[inline]
    fn seal_in_one<const N: usize>(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Block {
        let stream = self.stream::<N>(nonce, data.len());
        stream.apply(data);
        self.tag(&stream.mask(), aad, data)
    }

    #[inline]
    fn open_in_one(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), CryptoError> {
        let stream = self.stream::<SHORT>(nonce, data.len());
        checked(&self.tag(&stream.mask(), aad, data), tag)?;
        stream.apply(data);
        Ok(())
    }

    /// Counter mode from the first block of data on.
    fn apply_long(&self, nonce: &[u8; NONCE_LEN], data: &mut [u8]) -> Result<(), CryptoError> {
        let core = CtrCore::<&C, Ctr32BE>::inner_iv_init(&self.cipher, &counter(nonce, 2));
        let actual = data.len();
        core.try_apply_keystream_partial(data.into()).map_err(|_| CryptoError::BufferLength { actual })
    }

    fn mask(&self, nonce: &[u8; NONCE_LEN]) -> Block {
        let mut mask = counter(nonce, 1);
        self.cipher.encrypt_block(&mut mask);
        mask
    }
}

#[inline]
fn counter(nonce: &[u8; NONCE_LEN], number: u32) -> Block {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *nonce;
    let [w, x, y, z] = number.to_be_bytes();
    Array([a, b, c, d, e, f, g, h, i, j, k, l, w, x, y, z])
}

fn checked<const TAG: usize>(computed: &Block, tag: &[u8; TAG]) -> Result<(), CryptoError> {
    let expected = computed.get(..TAG).ok_or(CryptoError::Mismatch)?;
    check_equal(expected, tag)
}

fn lengths<const TAG: usize>(nonce: &[u8], tag_len: usize) -> Result<&[u8; NONCE_LEN], CryptoError> {
    let wrong = CryptoError::NonceLength { actual: nonce.len(), expected: NONCE_LEN };
    let nonce = nonce.try_into().map_err(|_| wrong)?;
    if tag_len == TAG { Ok(nonce) } else { Err(CryptoError::BufferLength { actual: tag_len }) }
}

/// What fits a stream of so many blocks beside the mask.
const fn fits(blocks: usize, data: &[u8]) -> bool {
    data.len() <= (blocks - 1) * BLOCK_LEN
}

impl<C, const TAG: usize> AeadKey for Gcm<C, TAG>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync,
{
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let nonce = lengths::<TAG>(nonce, tag.len())?;
        let computed = if fits(SHORT, data) {
            self.seal_in_one::<SHORT>(nonce, aad, data)
        } else if fits(MIDDLE, data) {
            self.seal_in_one::<MIDDLE>(nonce, aad, data)
        } else {
            self.apply_long(nonce, data)?;
            self.tag(&self.mask(nonce), aad, data)
        };
        tag.iter_mut().zip(computed).for_each(|(slot, octet)| *slot = octet);
        Ok(())
    }

    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let nonce = lengths::<TAG>(nonce, tag.len())?;
        let tag: &[u8; TAG] = tag.try_into().map_err(|_| CryptoError::BufferLength { actual: tag.len() })?;
        // Beyond that the key stream is better made when the tag has been checked, straight onto the data.
        if fits(SHORT, data) {
            self.open_in_one(nonce, aad, data, tag)
        } else {
            checked(&self.tag(&self.mask(nonce), aad, data), tag)?;
            self.apply_long(nonce, data)
        }
    }

    fn warm(&self) {
        // One block reads the whole key schedule.
        let mut block = Block::default();
        self.cipher.encrypt_block(&mut block);
        core::hint::black_box(&block);
    }
}

impl<C, const TAG: usize> fmt::Debug for Gcm<C, TAG> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}
