//! The key schedule: SKEYSEED, the seven keys of an IKE SA and the KEYMAT of Child SAs
//! (RFC 7296 §2.13, §2.14, §2.17, §2.18), over a list of shared secrets (RFC 9370 §2.2.2, §2.2.4).

use ipsec_crypto::{
    CryptoError, EncryptionAlgorithm, IntegrityAlgorithm, PrfAlgorithm, Secret, prf, prf_plus,
};
use ipsec_sa::SaKeys;
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::KeId;

/// The negotiated algorithms of an IKE SA, as rows of the provider.
#[derive(Clone, Copy, Debug)]
pub struct IkeSuite {
    /// Encryption.
    pub encr: &'static dyn EncryptionAlgorithm,
    /// Octets of the encryption key, salt left out.
    pub key_len: usize,
    /// Pseudorandom function.
    pub prf: &'static dyn PrfAlgorithm,
    /// Integrity; `None` with a combined mode.
    pub integ: Option<&'static dyn IntegrityAlgorithm>,
    /// Key exchange method of IKE_SA_INIT.
    pub ke: KeId,
}

impl IkeSuite {
    /// Octets of SK_ei and of SK_er: the key and its salt (RFC 5282 §7.1).
    #[must_use]
    pub fn sk_e_len(&self) -> usize {
        self.key_len + self.encr.salt_len()
    }

    /// Octets of SK_ai and of SK_ar; none with a combined mode (RFC 5282 §7).
    #[must_use]
    pub fn sk_a_len(&self) -> usize {
        self.integ.map_or(0, IntegrityAlgorithm::key_len)
    }
}

/// The keys of an IKE SA (RFC 7296 §2.14). `i` keys protect what the original initiator sends.
///
/// The fields are public because RFC 8784 §3 replaces SK_d, SK_pi and SK_pr before AUTH is computed.
#[derive(Debug)]
pub struct SkKeys {
    /// From which the keys of Child SAs and of the next IKE SA are derived.
    pub d: Secret,
    /// Integrity of the initiator's messages; empty with a combined mode.
    pub ai: Secret,
    /// Integrity of the responder's messages; empty with a combined mode.
    pub ar: Secret,
    /// Encryption of the initiator's messages, the salt at the end.
    pub ei: Secret,
    /// Encryption of the responder's messages, the salt at the end.
    pub er: Secret,
    /// The initiator's AUTH payload.
    pub pi: Secret,
    /// The responder's AUTH payload.
    pub pr: Secret,
}

impl SkKeys {
    /// A second copy of the same keys.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            d: self.d.duplicate(),
            ai: self.ai.duplicate(),
            ar: self.ar.duplicate(),
            ei: self.ei.duplicate(),
            er: self.er.duplicate(),
            pi: self.pi.duplicate(),
            pr: self.pr.duplicate(),
        }
    }
}

/// What SKEYSEED is made of.
#[derive(Clone, Copy, Debug)]
pub enum Seed<'a> {
    /// IKE_SA_INIT: `prf(Ni | Nr, g^ir)` (RFC 7296 §2.14).
    Initial {
        /// g^ir.
        shared: &'a Secret,
    },
    /// One more key exchange before IKE_AUTH: `prf(SK_d(n-1), SK(n) | Ni | Nr)` (RFC 9370 §2.2.2).
    Additional {
        /// SK_d of the keys in use so far.
        sk_d: &'a Secret,
        /// SK(n).
        shared: &'a Secret,
    },
    /// A rekeyed IKE SA: `prf(SK_d, SK(0) | Ni | Nr | SK(1) | ..)` with PRF and SK_d of the old SA
    /// (RFC 7296 §2.18, RFC 9370 §2.2.4).
    Rekey {
        /// The old SA's PRF.
        prf: &'static dyn PrfAlgorithm,
        /// The old SA's SK_d.
        sk_d: &'a Secret,
        /// SK(0) and those of the additional key exchanges after it.
        shared: &'a [&'a Secret],
    },
}

/// The keys of an IKE SA.
///
/// `ni` and `nr` are the nonces without headers; after a rekey they and the SPIs are those of the new SA's
/// exchange.
///
/// # Errors
/// [`CryptoError::KeyLength`] where the PRF cannot take the nonces as its key, and
/// [`CryptoError::BufferLength`] where so much keying material cannot be made.
pub fn derive_sk(
    suite: &IkeSuite,
    seed: Seed<'_>,
    ni: &[u8],
    nr: &[u8],
    spi_i: IkeSpi,
    spi_r: IkeSpi,
) -> Result<SkKeys, CryptoError> {
    let skeyseed = skeyseed(suite, seed, ni, nr)?;
    let prf_len = suite.prf.key_len();
    let (a, e) = (suite.sk_a_len(), suite.sk_e_len());
    let stream = prf_plus(
        suite.prf,
        skeyseed.expose(),
        &[ni, nr, spi_i.as_bytes(), spi_r.as_bytes()],
        3 * prf_len + 2 * a + 2 * e,
    )?;
    let mut keys = Stream(stream.expose());
    Ok(SkKeys {
        d: keys.take(prf_len)?,
        ai: keys.take(a)?,
        ar: keys.take(a)?,
        ei: keys.take(e)?,
        er: keys.take(e)?,
        pi: keys.take(prf_len)?,
        pr: keys.take(prf_len)?,
    })
}

fn skeyseed(suite: &IkeSuite, seed: Seed<'_>, ni: &[u8], nr: &[u8]) -> Result<Secret, CryptoError> {
    match seed {
        Seed::Initial { shared } => {
            let (mut ni, mut nr) = (ni, nr);
            if !suite.prf.variable_key() {
                // RFC 7296 §2.14: these PRFs are keyed with the first 64 bits of each nonce.
                let half = suite.prf.key_len() / 2;
                ni = ni.get(..half).ok_or(CryptoError::KeyLength { actual: ni.len() })?;
                nr = nr.get(..half).ok_or(CryptoError::KeyLength { actual: nr.len() })?;
            }
            prf(suite.prf, joined(&[ni, nr]).expose(), &[shared.expose()])
        }
        Seed::Additional { sk_d, shared } => prf(suite.prf, sk_d.expose(), &[shared.expose(), ni, nr]),
        Seed::Rekey { prf: old, sk_d, shared } => {
            let (first, rest) = split_first(shared);
            prf(old, sk_d.expose(), &[first, ni, nr, rest.expose()])
        }
    }
}

/// The keys of a Child SA, one set for each direction.
#[derive(Debug)]
pub struct ChildKeys {
    /// From the initiator of the exchange to its responder.
    pub initiator: SaKeys,
    /// From the responder of the exchange to its initiator.
    pub responder: SaKeys,
}

/// `KEYMAT = prf+(SK_d, SK(0) | Ni | Nr | SK(1) | ..)`, cut up in the order of RFC 7296 §2.17: initiator to
/// responder before the other direction, encryption before integrity.
///
/// `shared` is empty where the exchange had no key exchange of its own. `encr_len` is the key with its salt,
/// `integ_len` 0 with a combined mode; both in octets for one direction.
///
/// # Errors
/// [`CryptoError::BufferLength`] where so much keying material cannot be made.
pub fn child_keymat(
    prf: &dyn PrfAlgorithm,
    sk_d: &Secret,
    shared: &[&Secret],
    ni: &[u8],
    nr: &[u8],
    encr_len: usize,
    integ_len: usize,
) -> Result<ChildKeys, CryptoError> {
    let (first, rest) = split_first(shared);
    let len = encr_len.checked_add(integ_len).and_then(|one| one.checked_mul(2));
    let len = len.ok_or(CryptoError::BufferLength { actual: encr_len })?;
    let keymat = prf_plus(prf, sk_d.expose(), &[first, ni, nr, rest.expose()], len)?;
    let mut keys = Stream(keymat.expose());
    let mut direction = || Ok(SaKeys { encr: keys.take(encr_len)?, integ: keys.take(integ_len)? });
    Ok(ChildKeys { initiator: direction()?, responder: direction()? })
}

/// SK(0), and SK(1) and what follows joined: the nonces stand between them (RFC 9370 §2.2.4).
fn split_first<'a>(shared: &[&'a Secret]) -> (&'a [u8], Secret) {
    match shared.split_first() {
        None => (&[], Secret::zeroed(0)),
        Some((first, rest)) => {
            let mut all = Secret::zeroed(rest.iter().map(|secret| secret.len()).sum());
            fill(&mut all, rest.iter().map(|secret| secret.expose()));
            (first.expose(), all)
        }
    }
}

fn joined(parts: &[&[u8]]) -> Secret {
    let mut all = Secret::zeroed(parts.iter().map(|part| part.len()).sum());
    fill(&mut all, parts.iter().copied());
    all
}

/// Writes the parts one after another; `all` is as long as they are together.
fn fill<'a>(all: &mut Secret, parts: impl Iterator<Item = &'a [u8]>) {
    let mut room = all.expose_mut();
    for part in parts {
        let Some((head, tail)) = room.split_at_mut_checked(part.len()) else { return };
        head.copy_from_slice(part);
        room = tail;
    }
}

/// Keying material that is cut up from the front.
struct Stream<'a>(&'a [u8]);

impl Stream<'_> {
    fn take(&mut self, len: usize) -> Result<Secret, CryptoError> {
        let (head, tail) =
            self.0.split_at_checked(len).ok_or(CryptoError::BufferLength { actual: self.0.len() })?;
        self.0 = tail;
        Ok(Secret::new(head))
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use ipsec_crypto::{PrfKey, Status};
    use ipsec_sa::Role;
    use ipsec_wire::Limits;
    use ipsec_wire::ike::{PayloadKind, PayloadType, PrfId};

    use super::*;
    use crate::crypt::SkProtection;
    use crate::testdata::Recording;

    fn assert_same(derived: &SkKeys, logged: &SkKeys) {
        let list = |keys: &SkKeys| {
            [&keys.d, &keys.ai, &keys.ar, &keys.ei, &keys.er, &keys.pi, &keys.pr].map(Secret::duplicate)
        };
        for (number, (one, other)) in list(derived).iter().zip(&list(logged)).enumerate() {
            assert_eq!(one.expose(), other.expose(), "key {number}");
        }
    }

    #[test]
    fn the_keys_of_a_first_ike_sa_are_those_strongswan_logged() {
        for recording in [Recording::cbc(), Recording::gcm()] {
            let (ni, nr) = recording.init_nonces();
            let (spi_i, spi_r) = recording.spis();
            let seed = Seed::Initial { shared: &recording.secret("shared.1") };
            let keys = derive_sk(recording.suite(), seed, &ni, &nr, spi_i, spi_r).unwrap();
            assert_same(&keys, &recording.keys(1));
            assert_same(&keys.duplicate(), &recording.keys(1));
            let seed = skeyseed(recording.suite(), seed, &ni, &nr).unwrap();
            assert_eq!(seed.expose(), recording.octets("skeyseed.1"));
        }
    }

    /// The nonces and SPIs of the rekey stand in messages 11 and 12, protected by the old IKE SA.
    #[test]
    fn the_keys_of_a_rekeyed_ike_sa_are_those_strongswan_logged() {
        for recording in [Recording::cbc(), Recording::gcm()] {
            let old = recording.keys(1);
            let rekey = |name, role| {
                let protection = SkProtection::new(recording.suite(), &old, role).unwrap();
                let mut message = recording.octets(name).to_vec();
                let opened = protection.open(&mut message).unwrap();
                let chain = &message[opened.plaintext.clone()];
                let chain =
                    ipsec_wire::ike::PayloadChain::parse(opened.first, chain, 0, &Limits::DEFAULT).unwrap();
                let PayloadKind::Nonce(nonce) = chain.find(PayloadType::NONCE).unwrap().kind() else {
                    panic!()
                };
                let PayloadKind::Sa(sa) = chain.find(PayloadType::SA).unwrap().kind() else { panic!() };
                (nonce.to_vec(), IkeSpi::from_slice(sa.proposals().next().unwrap().spi).unwrap())
            };
            let (ni, spi_i) = rekey("message.11", Role::Responder);
            let (nr, spi_r) = rekey("message.12", Role::Initiator);
            let shared = recording.secret("shared.2");
            let seed = Seed::Rekey { prf: recording.suite().prf, sk_d: &old.d, shared: &[&shared] };
            let keys = derive_sk(recording.suite(), seed, &ni, &nr, spi_i, spi_r).unwrap();
            assert_same(&keys, &recording.keys(2));
        }
    }

    /// The first Child SA has no key exchange of its own, the rekeyed one does; `seed` is `[g^ir |] Ni | Nr`.
    #[test]
    fn the_keys_of_child_sas_are_those_strongswan_logged() {
        for (recording, encr_len, integ_len) in [(Recording::cbc(), 36, 0), (Recording::gcm(), 16, 32)] {
            for child in [1, 2] {
                let shared = (child == 2).then(|| recording.secret("child_shared.1"));
                let shared: Vec<&Secret> = shared.iter().collect();
                let nonces = &recording.numbered("seed", child)[shared.first().map_or(0, |s| s.len())..];
                let (ni, nr) = nonces.split_at(32);
                let sk_d = recording.secret("sk_d.1");
                let keys =
                    child_keymat(recording.suite().prf, &sk_d, &shared, ni, nr, encr_len, integ_len).unwrap();
                let logged = |name: &str| recording.secret(&alloc::format!("{name}.{child}"));
                assert_eq!(keys.initiator.encr.expose(), logged("encr_i").expose());
                assert_eq!(keys.responder.encr.expose(), logged("encr_r").expose());
                assert_eq!(keys.initiator.integ.expose(), logged("integ_i").expose());
                assert_eq!(keys.responder.integ.expose(), logged("integ_r").expose());
                assert_eq!(keys.initiator.integ.len(), integ_len);
            }
        }
    }

    /// `prf(K, ..)` and `prf+(K, S)` written out for a list of three shared secrets (RFC 9370 §2.2.4).
    #[test]
    fn a_list_of_shared_secrets_stands_around_the_nonces() {
        let suite = *Recording::cbc().suite();
        let (d, zero, one, two) =
            (Secret::new(b"d"), Secret::new(b"zero"), Secret::new(b"one"), Secret::new(b"two"));
        let shared = [&zero, &one, &two];
        let seed = Seed::Rekey { prf: suite.prf, sk_d: &d, shared: &shared };
        let joined = prf(suite.prf, b"d", &[b"zeroNiNronetwo"]).unwrap();
        assert_eq!(skeyseed(&suite, seed, b"Ni", b"Nr").unwrap(), joined);
        let additional = Seed::Additional { sk_d: &d, shared: &one };
        let joined = prf(suite.prf, b"d", &[b"oneNiNr"]).unwrap();
        assert_eq!(skeyseed(&suite, additional, b"Ni", b"Nr").unwrap(), joined);
        let keys = child_keymat(suite.prf, &d, &shared, b"Ni", b"Nr", 3, 2).unwrap();
        let stream = prf_plus(suite.prf, b"d", &[b"zeroNiNronetwo"], 10).unwrap();
        let order = [
            keys.initiator.encr.expose(),
            keys.initiator.integ.expose(),
            keys.responder.encr.expose(),
            keys.responder.integ.expose(),
        ];
        assert_eq!(order.concat(), stream.expose());
    }

    /// A PRF that takes sixteen octets of key and nothing else, as AES-XCBC was first defined.
    #[derive(Debug)]
    struct FixedKey(&'static dyn PrfAlgorithm);

    impl PrfAlgorithm for FixedKey {
        fn id(&self) -> PrfId {
            PrfId::AES128_XCBC
        }
        fn name(&self) -> &'static str {
            "fixed"
        }
        fn status(&self) -> Status {
            Status::May
        }
        fn key_len(&self) -> usize {
            16
        }
        fn output_len(&self) -> usize {
            self.0.output_len()
        }
        fn variable_key(&self) -> bool {
            false
        }
        fn prf_key(&self, key: &[u8]) -> Result<Box<dyn PrfKey>, CryptoError> {
            self.0.prf_key(key)
        }
    }

    #[test]
    fn a_prf_of_fixed_key_takes_64_bits_of_each_nonce_for_skeyseed_alone() {
        let recording = Recording::cbc();
        let inner = recording.suite().prf;
        let suite = IkeSuite { prf: Box::leak(Box::new(FixedKey(inner))), ..*recording.suite() };
        let shared = Secret::new(b"shared");
        let (ni, nr) = (b"initiator-nonce.", b"responder-nonce.");
        let seed = Seed::Initial { shared: &shared };
        let expected = prf(inner, b"initiatoresponde", &[b"shared"]).unwrap();
        assert_eq!(skeyseed(&suite, seed, ni, nr).unwrap(), expected);
        let (spi_i, spi_r) = (IkeSpi([1; 8]), IkeSpi([2; 8]));
        let keys = derive_sk(&suite, seed, ni, nr, spi_i, spi_r).unwrap();
        let parts: [&[u8]; 4] = [ni, nr, &[1; 8], &[2; 8]];
        let stream = prf_plus(inner, expected.expose(), &parts, 16).unwrap();
        assert_eq!(keys.d, stream);
        assert_eq!(skeyseed(&suite, seed, b"short", nr), Err(CryptoError::KeyLength { actual: 5 }));
    }

    #[test]
    fn more_keying_material_than_prf_plus_gives_is_refused() {
        let prf = Recording::cbc().suite().prf;
        let d = Secret::new(b"d");
        assert!(child_keymat(prf, &d, &[], b"Ni", b"Nr", 32 * 255 / 2, 0).is_ok());
        assert!(child_keymat(prf, &d, &[], b"Ni", b"Nr", 32 * 255 / 2, 1).is_err());
        assert!(child_keymat(prf, &d, &[], b"Ni", b"Nr", usize::MAX, 1).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let recording = Recording::cbc();
        let text = alloc::format!("{:?} {:?}", recording.keys(1), recording.suite());
        assert!(text.contains("Secret(32 octets)"));
        let sk_d = hex::encode(recording.octets("sk_d.1"));
        assert!(!text.contains(&sk_d[..8]));
    }
}
