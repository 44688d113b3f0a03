//! A provider with NO SECURITY: rows under real numbers that only look like their algorithms.
//!
//! They have the lengths and the laws of the real ones (what one side seals the other opens, a changed octet or key does
//! not, both sides of a key exchange get the same secret), so that negotiations and packets run unchanged, but
//! everybody can compute everything: "encryption" leaves the plaintext where it is, and a tag is a hash of a few
//! multiplications. A fuzz target gets past them at once, and past what stands behind them.

use alloc::borrow::Cow;

use ipsec_crypto::{
    ActiveKeyExchange, AeadKey, CipherKey, CryptoError, CryptoProvider, EncryptionAlgorithm,
    IntegrityAlgorithm, IvRule, KeyExchangeMethod, MacKey, PeerPublicError, PrfAlgorithm, PrfKey, Secret,
    Status,
};
use ipsec_wire::ike::{EncrId, IntegId, KeId, PrfId};
use rand_core::CryptoRng;

/// The provider: AES-GCM-16, AES-CBC, the HMAC-SHA2 integrity algorithms and PRFs, X25519, ECP-256 and MODP-2048, all of
/// them in name only.
#[must_use]
pub fn provider() -> CryptoProvider {
    static ENCR: [&dyn EncryptionAlgorithm; 2] = [&GCM, &CBC];
    static INTEG: [&dyn IntegrityAlgorithm; 3] = [&INTEG_256, &INTEG_384, &INTEG_512];
    static PRF: [&dyn PrfAlgorithm; 3] = [&PRF_256, &PRF_384, &PRF_512];
    static KE: [&dyn KeyExchangeMethod; 3] = [&KE_X25519, &KE_ECP256, &KE_MODP2048];
    CryptoProvider {
        encr: Cow::Borrowed(&ENCR),
        integ: Cow::Borrowed(&INTEG),
        prf: Cow::Borrowed(&PRF),
        ke: Cow::Borrowed(&KE),
        verify: Cow::Borrowed(&[]),
    }
}

/// Fills `out` from a hash over the parts, whose lengths count too. Anybody can invert it.
fn mix(parts: &[&[u8]], out: &mut [u8]) {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut absorb = |word: u64| {
        state = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state ^= state >> 29;
    };
    let mut total = 0u64;
    let mut pending = [0u8; 8];
    let mut filled = 0;
    for octet in parts.iter().flat_map(|part| part.iter()) {
        pending[filled] = *octet;
        filled += 1;
        total += 1;
        if filled == 8 {
            absorb(u64::from_le_bytes(pending));
            (pending, filled) = ([0; 8], 0);
        }
    }
    absorb(u64::from_le_bytes(pending));
    absorb(total);
    for chunk in out.chunks_mut(8) {
        state = state.wrapping_mul(0xd129_42f3_6b2f_9a55).wrapping_add(1);
        let word = (state ^ (state >> 32)).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

/// Marks where one part ends: unlike a PRF's, a tag's parts must not run into one another.
fn length(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_le_bytes()
}

#[derive(Debug)]
struct Encryption {
    id: EncrId,
    name: &'static str,
    salt_len: usize,
    iv_len: usize,
    block_len: usize,
    tag_len: usize,
    iv_rule: IvRule,
}

static GCM: Encryption = Encryption {
    id: EncrId::AES_GCM_16,
    name: "NO-SECURITY-aes-gcm-16",
    salt_len: 4,
    iv_len: 8,
    block_len: 1,
    tag_len: 16,
    iv_rule: IvRule::Unique,
};

static CBC: Encryption = Encryption {
    id: EncrId::AES_CBC,
    name: "NO-SECURITY-aes-cbc",
    salt_len: 0,
    iv_len: 16,
    block_len: 16,
    tag_len: 0,
    iv_rule: IvRule::Unpredictable,
};

impl EncryptionAlgorithm for Encryption {
    fn id(&self) -> EncrId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn ike_status(&self) -> Status {
        Status::MustNot
    }
    fn status(&self) -> Status {
        Status::MustNot
    }
    fn key_lengths(&self) -> &'static [usize] {
        &[16, 24, 32]
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
    fn aead_key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        if !self.is_aead() {
            return Err(CryptoError::Unsupported);
        }
        Ok(Box::new(Aead(self.key(key)?)))
    }
    fn cipher_key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        if self.is_aead() {
            return Err(CryptoError::Unsupported);
        }
        self.key(key)?;
        Ok(Box::new(Cipher))
    }
}

impl Encryption {
    fn key(&self, key: &[u8]) -> Result<Secret, CryptoError> {
        match self.key_lengths().contains(&key.len()) {
            true => Ok(Secret::new(key)),
            false => Err(CryptoError::KeyLength { actual: key.len() }),
        }
    }
}

#[derive(Debug)]
struct Aead(Secret);

impl Aead {
    fn tag(&self, nonce: &[u8], aad: &[u8], data: &[u8]) -> Result<[u8; 16], CryptoError> {
        if nonce.len() != 12 {
            return Err(CryptoError::NonceLength { actual: nonce.len(), expected: 12 });
        }
        let mut tag = [0; 16];
        mix(&[self.0.expose(), nonce, &length(aad), aad, data], &mut tag);
        Ok(tag)
    }
}

impl AeadKey for Aead {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        if tag.len() != 16 {
            return Err(CryptoError::BufferLength { actual: tag.len() });
        }
        tag.copy_from_slice(&self.tag(nonce, aad, data)?);
        Ok(())
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        match self.tag(nonce, aad, data)? == tag {
            true => Ok(()),
            false => Err(CryptoError::Mismatch),
        }
    }
}

#[derive(Debug)]
struct Cipher;

impl Cipher {
    fn check(iv: &[u8], data: &[u8]) -> Result<(), CryptoError> {
        if iv.len() != 16 {
            return Err(CryptoError::NonceLength { actual: iv.len(), expected: 16 });
        }
        if !data.len().is_multiple_of(16) {
            return Err(CryptoError::BufferLength { actual: data.len() });
        }
        Ok(())
    }
}

impl CipherKey for Cipher {
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        Self::check(iv, data)
    }
    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
        Self::check(iv, data)
    }
}

#[derive(Debug)]
struct Integrity {
    id: IntegId,
    name: &'static str,
    key_len: usize,
}

static INTEG_256: Integrity =
    Integrity { id: IntegId::HMAC_SHA2_256_128, name: "NO-SECURITY-hmac-sha2-256-128", key_len: 32 };
static INTEG_384: Integrity =
    Integrity { id: IntegId::HMAC_SHA2_384_192, name: "NO-SECURITY-hmac-sha2-384-192", key_len: 48 };
static INTEG_512: Integrity =
    Integrity { id: IntegId::HMAC_SHA2_512_256, name: "NO-SECURITY-hmac-sha2-512-256", key_len: 64 };

impl IntegrityAlgorithm for Integrity {
    fn id(&self) -> IntegId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn status(&self) -> Status {
        Status::MustNot
    }
    fn key_len(&self) -> usize {
        self.key_len
    }
    fn icv_len(&self) -> usize {
        self.key_len / 2
    }
    fn mac_key(&self, key: &[u8]) -> Result<Box<dyn MacKey>, CryptoError> {
        match key.len() == self.key_len {
            true => Ok(Box::new(Mac { key: Secret::new(key), icv_len: self.icv_len() })),
            false => Err(CryptoError::KeyLength { actual: key.len() }),
        }
    }
}

#[derive(Debug)]
struct Mac {
    key: Secret,
    icv_len: usize,
}

impl MacKey for Mac {
    fn sign(&self, parts: &[&[u8]], icv: &mut [u8]) -> Result<(), CryptoError> {
        if icv.len() > self.icv_len {
            return Err(CryptoError::BufferLength { actual: icv.len() });
        }
        let all = [&[self.key.expose()], parts].concat();
        mix(&all, icv);
        Ok(())
    }
    fn verify(&self, parts: &[&[u8]], icv: &[u8]) -> Result<(), CryptoError> {
        if icv.len() != self.icv_len {
            return Err(CryptoError::BufferLength { actual: icv.len() });
        }
        let mut expected = vec![0; self.icv_len];
        self.sign(parts, &mut expected)?;
        match expected == icv {
            true => Ok(()),
            false => Err(CryptoError::Mismatch),
        }
    }
}

#[derive(Debug)]
struct Prf {
    id: PrfId,
    name: &'static str,
    len: usize,
}

static PRF_256: Prf = Prf { id: PrfId::HMAC_SHA2_256, name: "NO-SECURITY-prf-hmac-sha2-256", len: 32 };
static PRF_384: Prf = Prf { id: PrfId::HMAC_SHA2_384, name: "NO-SECURITY-prf-hmac-sha2-384", len: 48 };
static PRF_512: Prf = Prf { id: PrfId::HMAC_SHA2_512, name: "NO-SECURITY-prf-hmac-sha2-512", len: 64 };

impl PrfAlgorithm for Prf {
    fn id(&self) -> PrfId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn status(&self) -> Status {
        Status::MustNot
    }
    fn key_len(&self) -> usize {
        self.len
    }
    fn output_len(&self) -> usize {
        self.len
    }
    fn prf_key(&self, key: &[u8]) -> Result<Box<dyn PrfKey>, CryptoError> {
        Ok(Box::new(KeyedPrf { key: Secret::new(key), len: self.len }))
    }
}

#[derive(Debug)]
struct KeyedPrf {
    key: Secret,
    len: usize,
}

impl PrfKey for KeyedPrf {
    fn compute(&self, parts: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        if out.len() != self.len {
            return Err(CryptoError::BufferLength { actual: out.len() });
        }
        // Where the key ends counts, where the parts end does not: a PRF's parts are one string.
        let key = self.key.expose();
        let marked = length(key);
        let all = [&[key, &marked[..]], parts].concat();
        mix(&all, out);
        Ok(())
    }
}

#[derive(Debug)]
struct Exchange {
    id: KeId,
    name: &'static str,
    public_len: usize,
    shared_len: usize,
}

static KE_X25519: Exchange =
    Exchange { id: KeId::CURVE25519, name: "NO-SECURITY-x25519", public_len: 32, shared_len: 32 };
static KE_ECP256: Exchange =
    Exchange { id: KeId::ECP_256, name: "NO-SECURITY-ecp256", public_len: 64, shared_len: 32 };
static KE_MODP2048: Exchange =
    Exchange { id: KeId::MODP_2048, name: "NO-SECURITY-modp2048", public_len: 256, shared_len: 256 };

impl Exchange {
    fn public(&self, rng: &mut dyn CryptoRng) -> Vec<u8> {
        let mut public = vec![0; self.public_len];
        rng.fill_bytes(&mut public);
        // All zero is what a peer must refuse.
        if let Some(first) = public.first_mut() {
            *first |= 1;
        }
        public
    }

    /// A hash of both public values in order: whoever sees them has it.
    fn shared(&self, one: &[u8], other: &[u8]) -> Result<Secret, CryptoError> {
        let refused = |why| Err(CryptoError::PeerPublic(why));
        if other.len() != self.public_len {
            return refused(PeerPublicError::Length { actual: other.len(), expected: self.public_len });
        }
        if other.iter().all(|octet| *octet == 0) {
            return refused(PeerPublicError::SmallOrder);
        }
        let mut shared = Secret::zeroed(self.shared_len);
        mix(&[one.min(other), one.max(other)], shared.expose_mut());
        Ok(shared)
    }
}

impl KeyExchangeMethod for Exchange {
    fn id(&self) -> KeId {
        self.id
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn status(&self) -> Status {
        Status::MustNot
    }
    fn initiator_len(&self) -> usize {
        self.public_len
    }
    fn responder_len(&self) -> usize {
        self.public_len
    }
    fn start(&self, rng: &mut dyn CryptoRng) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let row = Self { ..*self };
        Ok(Box::new(Active { public: self.public(rng), row }))
    }
    fn respond(&self, peer: &[u8], rng: &mut dyn CryptoRng) -> Result<(Vec<u8>, Secret), CryptoError> {
        let public = self.public(rng);
        let shared = self.shared(&public, peer)?;
        Ok((public, shared))
    }
    fn resume(&self, private: &Secret) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        match private.len() == self.public_len {
            true => Ok(Box::new(Active { public: private.expose().to_vec(), row: Self { ..*self } })),
            false => Err(CryptoError::KeyLength { actual: private.len() }),
        }
    }
}

#[derive(Debug)]
struct Active {
    public: Vec<u8>,
    row: Exchange,
}

impl ActiveKeyExchange for Active {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn complete(&self, peer: &[u8]) -> Result<Secret, CryptoError> {
        self.row.shared(&self.public, peer)
    }
    fn export(&self) -> Option<Secret> {
        Some(Secret::new(&self.public))
    }
}

#[cfg(test)]
mod tests {
    use ipsec_crypto::rustcrypto;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn rows_say_what_they_are_and_measure_as_the_real_ones() {
        let (fake, real) = (provider(), rustcrypto::provider());
        for row in fake.encr.iter() {
            let real = real.encr(row.id()).unwrap();
            assert!(row.name().starts_with("NO-SECURITY-") && row.status() == Status::MustNot);
            let lengths = |row: &dyn EncryptionAlgorithm| {
                (
                    row.key_lengths(),
                    row.salt_len(),
                    row.iv_len(),
                    row.block_len(),
                    row.tag_len(),
                    row.iv_rule(),
                )
            };
            assert_eq!(lengths(*row), lengths(real));
        }
        for row in fake.integ.iter() {
            let real = real.integ(row.id()).unwrap();
            assert!(row.name().starts_with("NO-SECURITY-"));
            assert_eq!((row.key_len(), row.icv_len()), (real.key_len(), real.icv_len()));
        }
        for row in fake.prf.iter() {
            let real = real.prf(row.id()).unwrap();
            assert!(row.name().starts_with("NO-SECURITY-"));
            assert_eq!((row.key_len(), row.output_len()), (real.key_len(), real.output_len()));
        }
        for row in fake.ke.iter() {
            let real = real.ke(row.id()).unwrap();
            assert!(row.name().starts_with("NO-SECURITY-"));
            assert_eq!(
                (row.initiator_len(), row.responder_len()),
                (real.initiator_len(), real.responder_len())
            );
        }
    }

    #[test]
    fn tags_hold_for_their_own_key_nonce_and_octets_alone() {
        let provider = provider();
        let row = provider.encr(EncrId::AES_GCM_16).unwrap();
        let (key, other) = (row.aead_key(&[1; 32]).unwrap(), row.aead_key(&[2; 32]).unwrap());
        let mut data = *b"plain";
        let mut tag = [0; 16];
        key.seal(&[0; 12], b"aad", &mut data, &mut tag).unwrap();
        assert_eq!(&data, b"plain");
        let open = |key: &dyn AeadKey, nonce: &[u8], aad: &[u8], data: &[u8], tag: &[u8]| {
            key.open(nonce, aad, &mut data.to_vec(), tag)
        };
        assert_eq!(open(&*key, &[0; 12], b"aad", &data, &tag), Ok(()));
        assert_eq!(open(&*other, &[0; 12], b"aad", &data, &tag), Err(CryptoError::Mismatch));
        assert_eq!(open(&*key, &[1; 12], b"aad", &data, &tag), Err(CryptoError::Mismatch));
        assert_eq!(open(&*key, &[0; 12], b"aadp", b"lain", &tag), Err(CryptoError::Mismatch));
        assert_eq!(open(&*key, &[0; 12], b"aad", b"plaim", &tag), Err(CryptoError::Mismatch));

        let mac = provider.integ(IntegId::HMAC_SHA2_256_128).unwrap().mac_key(&[7; 32]).unwrap();
        let mut icv = [0; 16];
        mac.sign(&[b"ab", b"c"], &mut icv).unwrap();
        assert_eq!(mac.verify(&[b"abc"], &icv), Ok(()));
        assert_eq!(mac.verify(&[b"abd"], &icv), Err(CryptoError::Mismatch));
        let prf = provider.prf(PrfId::HMAC_SHA2_384).unwrap();
        let parts = ipsec_crypto::prf(prf, b"key", &[b"a", b"bc"]).unwrap();
        assert_eq!(parts, ipsec_crypto::prf(prf, b"key", &[b"ab", b"c"]).unwrap());
        assert_ne!(parts, ipsec_crypto::prf(prf, b"keya", &[b"bc"]).unwrap());
    }

    #[test]
    fn both_sides_of_a_key_exchange_agree_and_bad_values_are_refused() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        for row in provider().ke.iter() {
            let active = row.start(rng).unwrap();
            let (public, shared) = row.respond(active.public(), rng).unwrap();
            assert_eq!(active.complete(&public).unwrap(), shared);
            let resumed = row.resume(&active.export().unwrap()).unwrap();
            assert_eq!(resumed.complete(&public).unwrap(), shared);
            let wrong = Err(CryptoError::PeerPublic(PeerPublicError::SmallOrder));
            assert_eq!(active.complete(&vec![0; row.responder_len()]), wrong);
            assert!(active.complete(&public[1..]).is_err());
        }
    }
}
