//! CCM (NIST SP 800-38C, RFC 3610) with nonces of eleven octets, as RFC 4309 uses it, composed of a block cipher.
//!
//! The crates below choose an implementation at run time on every call, and such a call is not inlined. The MAC of a packet,
//! each block of which waits for the one before, is therefore made in one call of the cipher.

use alloc::boxed::Box;
use core::fmt;

use cipher::consts::U16;
use cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit,
    StreamCipherCore,
};
use ctr::{CtrCore, flavors::Ctr32BE};

use super::gcm::{Block, SHORT, Stream, add, checked, counter, fits};
use crate::{AeadKey, CryptoError};

const NONCE_LEN: usize = 11;
/// Octets in which the length of the data is written; one less opens every counter block (RFC 3610 §2.3).
const LENGTH_LEN: u8 = 4;

/// A keyed cipher; `TAG` octets of the tag are used.
pub(super) struct Ccm<C, const TAG: usize>(C);

/// The CBC-MAC of a packet (RFC 3610 §2.2).
struct Mac<'a> {
    /// The first block, and in the end the MAC.
    state: &'a mut Block,
    /// The length of the AAD and the AAD's first octets, if there is one.
    head: Option<Block>,
    /// The rest of it.
    aad: &'a [u8],
    data: &'a [u8],
}

impl BlockSizeUser for Mac<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Mac<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut state = *self.state;
        backend.encrypt_block((&mut state).into());
        if let Some(head) = &self.head {
            absorb(backend, &mut state, head);
        }
        for octets in [self.aad, self.data] {
            let (blocks, rest) = Block::slice_as_chunks(octets);
            for block in blocks {
                absorb(backend, &mut state, block);
            }
            if !rest.is_empty() {
                absorb(backend, &mut state, &padded(rest));
            }
        }
        *self.state = state;
    }
}

#[inline(always)]
fn absorb<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, state: &mut Block, block: &Block) {
    add(state, block);
    backend.encrypt_block(state.into());
}

/// The octets that fit, and zeros behind them.
fn padded(octets: &[u8]) -> Block {
    let mut block = Block::default();
    block.iter_mut().zip(octets).for_each(|(slot, octet)| *slot = *octet);
    block
}

/// The first block of the AAD, and what of it comes behind. `None` for none at all.
fn head(aad: &[u8]) -> Result<Option<(Block, &[u8])>, CryptoError> {
    let refused = CryptoError::BufferLength { actual: aad.len() };
    let (mut block, used) = match u32::try_from(aad.len()).map_err(|_| refused)?.to_be_bytes() {
        [0, 0, 0, 0] => return Ok(None),
        [0, 0, high, low] if high < 0xff => (padded(&[high, low]), 2),
        [a, b, c, d] => (padded(&[0xff, 0xfe, a, b, c, d]), 6),
    };
    let (first, rest) = aad.split_at(aad.len().min(block.len() - used));
    block.iter_mut().skip(used).zip(first).for_each(|(slot, octet)| *slot = *octet);
    Ok(Some((block, rest)))
}

impl<C, const TAG: usize> Ccm<C, TAG>
where
    C: KeyInit + BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync + 'static,
{
    pub(super) fn boxed(key: &[u8]) -> Option<Box<dyn AeadKey>> {
        Some(Box::new(Self(C::new_from_slice(key).ok()?)))
    }
}

impl<C, const TAG: usize> Ccm<C, TAG>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt,
{
    fn mac(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], data: &[u8]) -> Result<Block, CryptoError> {
        let len = u32::try_from(data.len()).map_err(|_| CryptoError::BufferLength { actual: data.len() })?;
        // M' counts the tag's octets in pairs above the first.
        let tag = u8::try_from(TAG / 2).unwrap_or_default().saturating_sub(1) << 3;
        let flags = u8::from(!aad.is_empty()) << 6 | tag | (LENGTH_LEN - 1);
        let mut state = counter(&opened_by(flags, nonce), len);
        let (head, aad) = head(aad)?.map_or((None, aad), |(head, rest)| (Some(head), rest));
        self.0.encrypt_with_backend(Mac { state: &mut state, head, aad, data });
        Ok(state)
    }

    /// Counter mode from the first block of data on.
    fn apply_long(&self, prefix: &[u8; 12], data: &mut [u8]) -> Result<(), CryptoError> {
        let core = CtrCore::<&C, Ctr32BE>::inner_iv_init(&self.0, &counter(prefix, 1));
        let actual = data.len();
        core.try_apply_keystream_partial(data.into()).map_err(|_| CryptoError::BufferLength { actual })
    }

    /// Adds the key stream, and says what masks the tag.
    #[inline]
    fn apply(&self, nonce: &[u8; NONCE_LEN], data: &mut [u8]) -> Result<Block, CryptoError> {
        let prefix = opened_by(LENGTH_LEN - 1, nonce);
        if fits(SHORT, data) {
            let stream = Stream::<SHORT>::new(&self.0, &prefix, 0, data.len());
            stream.apply(data);
            return Ok(stream.mask());
        }
        self.apply_long(&prefix, data)?;
        let mut mask = counter(&prefix, 0);
        self.0.encrypt_block(&mut mask);
        Ok(mask)
    }
}

/// The first twelve octets of a block (RFC 3610 §2.2, §2.3).
#[inline]
const fn opened_by(flags: u8, nonce: &[u8; NONCE_LEN]) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h, i, j, k] = *nonce;
    [flags, a, b, c, d, e, f, g, h, i, j, k]
}

fn lengths<const TAG: usize>(nonce: &[u8], tag_len: usize) -> Result<&[u8; NONCE_LEN], CryptoError> {
    let wrong = CryptoError::NonceLength { actual: nonce.len(), expected: NONCE_LEN };
    let nonce = nonce.try_into().map_err(|_| wrong)?;
    if tag_len == TAG { Ok(nonce) } else { Err(CryptoError::BufferLength { actual: tag_len }) }
}

impl<C, const TAG: usize> AeadKey for Ccm<C, TAG>
where
    C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync,
{
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let nonce = lengths::<TAG>(nonce, tag.len())?;
        let mut computed;
        if fits(SHORT, data) {
            // Nothing of the key stream waits for the MAC: the processor works on both at once.
            let stream = Stream::<SHORT>::new(&self.0, &opened_by(LENGTH_LEN - 1, nonce), 0, data.len());
            computed = self.mac(nonce, aad, data)?;
            add(&mut computed, &stream.mask());
            stream.apply(data);
        } else {
            computed = self.mac(nonce, aad, data)?;
            add(&mut computed, &self.apply(nonce, data)?);
        }
        tag.iter_mut().zip(computed).for_each(|(slot, octet)| *slot = octet);
        Ok(())
    }

    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let nonce = lengths::<TAG>(nonce, tag.len())?;
        let tag: &[u8; TAG] = tag.try_into().map_err(|_| CryptoError::BufferLength { actual: tag.len() })?;
        let mask = self.apply(nonce, data)?;
        let mut computed = self.mac(nonce, aad, data)?;
        add(&mut computed, &mask);
        // What was decrypted before the tag could be checked is not for anybody.
        checked(&computed, tag).inspect_err(|_| data.fill(0))
    }

    fn warm(&self) {
        // One block reads the whole key schedule.
        let mut block = Block::default();
        self.0.encrypt_block(&mut block);
        core::hint::black_box(&block);
    }
}

impl<C, const TAG: usize> fmt::Debug for Ccm<C, TAG> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use aead::{AeadInOut, KeyInit};
    use aes::Aes192Enc;
    use alloc::vec;
    use alloc::vec::Vec;
    use cipher::consts::{U8, U11, U12};

    use super::*;

    /// Against the crate `ccm`, of every length that makes another way through the blocks.
    fn same_as_the_crate<A, const TAG: usize>()
    where
        A: KeyInit + AeadInOut<NonceSize = U11>,
    {
        let octets = |len: usize, seed: u8| -> Vec<u8> {
            (0..len).map(|at| seed.wrapping_add(u8::try_from(at % 251).unwrap())).collect()
        };
        let (key, nonce) = (octets(24, 3), octets(NONCE_LEN, 90));
        let theirs = A::new_from_slice(&key).unwrap();
        let ours = Ccm::<Aes192Enc, TAG>::boxed(&key).unwrap();
        let aads = (0..40).chain([0xfeff, 0xff00, 0xff01, 0x1_0005]);
        for (aad_len, len) in
            aads.flat_map(|aad| [0, 1, 15, 16, 17, 143, 144, 145, 160, 1000].map(|len| (aad, len)))
        {
            let (aad, plain) = (octets(aad_len, 7), octets(len, 5));
            let mut expected = plain.clone();
            let nonce_of = nonce.as_slice().try_into().unwrap();
            let tag = theirs.encrypt_inout_detached(nonce_of, &aad, expected.as_mut_slice().into()).unwrap();
            let (mut data, mut icv) = (plain.clone(), vec![0; TAG]);
            ours.seal(&nonce, &aad, &mut data, &mut icv).unwrap();
            assert_eq!((&data, icv.as_slice()), (&expected, tag.as_slice()), "{aad_len} {len}");
            ours.open(&nonce, &aad, &mut data, &icv).unwrap();
            assert_eq!(data, plain);
            // A tag that does not fit, and nothing of what was decrypted on the way.
            icv[0] ^= 1;
            let mut data = expected;
            assert_eq!(ours.open(&nonce, &aad, &mut data, &icv), Err(CryptoError::Mismatch));
            assert!(data.iter().all(|octet| *octet == 0));
        }
        let wrong = CryptoError::NonceLength { actual: 12, expected: NONCE_LEN };
        assert_eq!(ours.seal(&[0; 12], &[], &mut [], &mut [0; TAG]), Err(wrong));
        let wrong = CryptoError::BufferLength { actual: TAG - 1 };
        assert_eq!(ours.open(&nonce, &[], &mut [], &vec![0; TAG - 1]), Err(wrong));
    }

    #[test]
    fn every_tag_length_of_rfc_4309() {
        same_as_the_crate::<::ccm::Ccm<Aes192Enc, U8, U11>, 8>();
        same_as_the_crate::<::ccm::Ccm<Aes192Enc, U12, U11>, 12>();
        same_as_the_crate::<::ccm::Ccm<Aes192Enc, U16, U11>, 16>();
    }
}
