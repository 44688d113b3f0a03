//! AES-GMAC (RFC 4543): as a combined mode of ESP that encrypts nothing, and as integrity for AH.

use alloc::boxed::Box;
use core::fmt;

use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use cipher::consts::U16;
use cipher::{Array, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use ipsec_wire::ike::IntegId;
use zeroize::{Zeroize, Zeroizing};

use crate::{AeadKey, CryptoError, IntegrityAlgorithm, MacKey, check_equal};

const SALT_LEN: usize = 4;
const IV_LEN: usize = 8;
const NONCE_LEN: usize = SALT_LEN + IV_LEN;
const TAG_LEN: usize = 16;

type Block = Array<u8, U16>;

/// GCM over no plaintext, with the authenticated octets in parts.
pub(super) struct Gmac<C> {
    cipher: C,
    hash: GHash,
}

/// What the rows need of [`Gmac`], whatever its key length.
pub(super) trait Authenticator: Sized + Send + Sync + 'static {
    fn keyed(key: &[u8]) -> Option<Self>;
    fn tag(&self, nonce: &[u8; NONCE_LEN], parts: &[&[&[u8]]]) -> [u8; TAG_LEN];
}

impl<C> Authenticator for Gmac<C>
where
    C: KeyInit + BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync + 'static,
{
    fn keyed(key: &[u8]) -> Option<Self> {
        let cipher = C::new_from_slice(key).ok()?;
        let mut subkey = Block::default();
        cipher.encrypt_block(&mut subkey);
        let hash = GHash::new(&subkey);
        subkey.zeroize();
        Some(Self { cipher, hash })
    }

    /// The tag over the concatenation of all parts.
    fn tag(&self, nonce: &[u8; NONCE_LEN], parts: &[&[&[u8]]]) -> [u8; TAG_LEN] {
        let mut hash = self.hash.clone();
        let (mut pending, mut filled, mut total) = (Block::default(), 0, 0u64);
        for part in parts.iter().copied().flatten().copied() {
            total = total.wrapping_add(part.len() as u64);
            let mut rest = part;
            if filled > 0 {
                let (head, tail) = rest.split_at(rest.len().min(16 - filled));
                pending.iter_mut().skip(filled).zip(head).for_each(|(slot, octet)| *slot = *octet);
                filled += head.len();
                rest = tail;
                if filled == 16 {
                    hash.update(&[pending]);
                    filled = 0;
                }
            }
            if filled == 0 {
                let (blocks, tail) = Block::slice_as_chunks(rest);
                hash.update(blocks);
                pending.iter_mut().zip(tail).for_each(|(slot, octet)| *slot = *octet);
                filled = tail.len();
            }
        }
        if filled > 0 {
            pending.iter_mut().skip(filled).for_each(|slot| *slot = 0);
            hash.update(&[pending]);
        }
        let [a, b, c, d, e, f, g, h] = total.wrapping_mul(8).to_be_bytes();
        hash.update(&[Array([a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0])]);

        let [a, b, c, d, e, f, g, h, i, j, k, l] = *nonce;
        let mut tag = Array([a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 1]);
        self.cipher.encrypt_block(&mut tag);
        for (octet, hashed) in tag.iter_mut().zip(hash.finalize()) {
            *octet ^= hashed;
        }
        tag.into()
    }
}

/// RFC 4543 §3. Authenticated are the header, the IV and what would be encrypted (Figure 4; §7 has it without the IV,
/// but those who speak it follow the figure).
pub(super) struct NullAuth<G>(G);

impl<G: Authenticator> NullAuth<G> {
    pub(super) fn boxed(key: &[u8]) -> Option<Box<dyn AeadKey>> {
        Some(Box::new(Self(G::keyed(key)?)))
    }

    fn tag(&self, nonce: &[u8], aad: &[u8], data: &[u8]) -> Result<[u8; TAG_LEN], CryptoError> {
        let wrong = CryptoError::NonceLength { actual: nonce.len(), expected: NONCE_LEN };
        let nonce: &[u8; NONCE_LEN] = nonce.try_into().map_err(|_| wrong)?;
        let (_, iv) = nonce.split_at(SALT_LEN);
        Ok(self.0.tag(nonce, &[&[aad, iv, data]]))
    }
}

impl<G: Authenticator> AeadKey for NullAuth<G> {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let computed = self.tag(nonce, aad, data)?;
        let actual = tag.len();
        *<&mut [u8; TAG_LEN]>::try_from(tag).map_err(|_| CryptoError::BufferLength { actual })? = computed;
        Ok(())
    }

    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        let computed = self.tag(nonce, aad, data)?;
        if tag.len() != TAG_LEN {
            return Err(CryptoError::BufferLength { actual: tag.len() });
        }
        check_equal(&computed, tag)
    }
}

impl<G> fmt::Debug for NullAuth<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

/// A row of AH: the ICV field is IV and tag (RFC 4543 §4), the key has a salt at its end (§5.4).
pub(super) struct GmacIntegrity {
    id: IntegId,
    name: &'static str,
    key_len: usize,
    key: KeyFn,
}

/// Takes the key of the cipher and the salt in.
type KeyFn = fn(&[u8], &[u8; SALT_LEN]) -> Option<Box<dyn MacKey>>;

pub(super) static AES_128_GMAC: GmacIntegrity = GmacIntegrity {
    id: IntegId::AES_128_GMAC,
    name: "aes-128-gmac",
    key_len: 16 + SALT_LEN,
    key: SaltedMac::<Gmac<Aes128Enc>>::boxed,
};

pub(super) static AES_192_GMAC: GmacIntegrity = GmacIntegrity {
    id: IntegId::AES_192_GMAC,
    name: "aes-192-gmac",
    key_len: 24 + SALT_LEN,
    key: SaltedMac::<Gmac<Aes192Enc>>::boxed,
};

pub(super) static AES_256_GMAC: GmacIntegrity = GmacIntegrity {
    id: IntegId::AES_256_GMAC,
    name: "aes-256-gmac",
    key_len: 32 + SALT_LEN,
    key: SaltedMac::<Gmac<Aes256Enc>>::boxed,
};

impl fmt::Debug for GmacIntegrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl IntegrityAlgorithm for GmacIntegrity {
    fn id(&self) -> IntegId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn key_len(&self) -> usize {
        self.key_len
    }
    fn icv_len(&self) -> usize {
        IV_LEN + TAG_LEN
    }
    fn iv_len(&self) -> usize {
        IV_LEN
    }
    fn mac_key(&self, key: &[u8]) -> Result<Box<dyn MacKey>, CryptoError> {
        let refused = CryptoError::KeyLength { actual: key.len() };
        let (cipher, salt) = key.split_last_chunk::<SALT_LEN>().ok_or(refused)?;
        if key.len() != self.key_len {
            return Err(refused);
        }
        (self.key)(cipher, salt).ok_or(refused)
    }
}

struct SaltedMac<G> {
    gmac: G,
    salt: Zeroizing<[u8; SALT_LEN]>,
}

impl<G: Authenticator> SaltedMac<G> {
    fn boxed(key: &[u8], salt: &[u8; SALT_LEN]) -> Option<Box<dyn MacKey>> {
        Some(Box::new(Self { gmac: G::keyed(key)?, salt: Zeroizing::new(*salt) }))
    }

    fn tag(&self, iv: &[u8; IV_LEN], parts: &[&[u8]]) -> [u8; TAG_LEN] {
        let ([a, b, c, d], [e, f, g, h, i, j, k, l]) = (*self.salt, *iv);
        self.gmac.tag(&[a, b, c, d, e, f, g, h, i, j, k, l], &[parts])
    }
}

impl<G: Authenticator> MacKey for SaltedMac<G> {
    fn sign(&self, _: &[&[u8]], _: &mut [u8]) -> Result<(), CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn sign_with_iv(&self, iv: &[u8], parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError> {
        let wrong = CryptoError::NonceLength { actual: iv.len(), expected: IV_LEN };
        let iv: &[u8; IV_LEN] = iv.try_into().map_err(|_| wrong)?;
        if icv.len() != IV_LEN + TAG_LEN {
            return Err(CryptoError::BufferLength { actual: icv.len() });
        }
        let tag = self.tag(iv, parts);
        icv.iter_mut().zip(iv.iter().chain(&tag)).for_each(|(slot, octet)| *slot = *octet);
        Ok(())
    }

    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError> {
        let wrong = CryptoError::BufferLength { actual: icv.len() };
        let (iv, tag) = icv.split_first_chunk::<IV_LEN>().ok_or(wrong)?;
        if tag.len() != TAG_LEN {
            return Err(wrong);
        }
        check_equal(&self.tag(iv, parts), tag)
    }
}

impl<G> fmt::Debug for SaltedMac<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}
