//! Which keys the endpoints really use: rows that note every PRF that is computed and every message that is sealed, and
//! what must hold of them (RFC 7296 §2.14, §2.17, §2.18, RFC 5282 §3.1).
//!
//! Key log lines name SK_ei and SK_er alone. The other keys of an IKE SA are found beside them in what its PRF has put
//! out, and KEYMAT of a Child SA says which SK_d it comes from.

use alloc::borrow::Cow;
use core::cell::RefCell;

use ikev2_core::{IkeHandle, IkeSaInfo, IkeSaState, KeyLogLine};
use ipsec_crypto::{
    AeadKey, CipherKey, CryptoError, CryptoProvider, EncryptionAlgorithm, IvRule, PrfAlgorithm, PrfKey,
    Status,
};
use ipsec_wire::ike::{EncrId, PrfId};

use super::invariants::hash;
use super::{World, index};
use crate::ladder::Side;

/// Something that a key was used for.
#[derive(Debug)]
enum Use {
    /// A PRF under this key gave these octets.
    Prf { key: u64, out: Vec<u8> },
    /// These octets were sealed under this key with this nonce, both as one.
    Seal { what: u64, octets: u64 },
}

thread_local! {
    /// What keys were used for since the last input: rows have no other way to tell.
    static USES: RefCell<Vec<Use>> = const { RefCell::new(Vec::new()) };
}

fn note(it: Use) {
    USES.with_borrow_mut(|uses| uses.push(it));
}

/// [`crate::insecure`], watched.
pub(super) fn provider() -> CryptoProvider {
    static PRF: WatchedPrf = WatchedPrf;
    static ENCR: WatchedEncr = WatchedEncr;
    static PRFS: [&dyn PrfAlgorithm; 1] = [&PRF];
    static ENCRS: [&dyn EncryptionAlgorithm; 1] = [&ENCR];
    CryptoProvider { prf: Cow::Borrowed(&PRFS), encr: Cow::Borrowed(&ENCRS), ..crate::insecure::provider() }
}

fn prf_row() -> &'static dyn PrfAlgorithm {
    crate::insecure::provider().prf(PrfId::HMAC_SHA2_256).expect("it is there")
}

fn encr_row() -> &'static dyn EncryptionAlgorithm {
    crate::insecure::provider().encr(EncrId::AES_GCM_16).expect("it is there")
}

#[derive(Debug)]
struct WatchedPrf;

impl PrfAlgorithm for WatchedPrf {
    fn id(&self) -> PrfId {
        PrfId::HMAC_SHA2_256
    }
    fn name(&self) -> &'static str {
        prf_row().name()
    }
    fn status(&self) -> Status {
        prf_row().status()
    }
    fn key_len(&self) -> usize {
        prf_row().key_len()
    }
    fn output_len(&self) -> usize {
        prf_row().output_len()
    }
    fn prf_key(&self, key: &[u8]) -> Result<Box<dyn PrfKey>, CryptoError> {
        Ok(Box::new(WatchedPrfKey { inner: prf_row().prf_key(key)?, key: hash(key) }))
    }
}

#[derive(Debug)]
struct WatchedPrfKey {
    inner: Box<dyn PrfKey>,
    key: u64,
}

impl PrfKey for WatchedPrfKey {
    fn compute(&self, parts: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        self.inner.compute(parts, out)?;
        note(Use::Prf { key: self.key, out: out.to_vec() });
        Ok(())
    }
}

#[derive(Debug)]
struct WatchedEncr;

impl EncryptionAlgorithm for WatchedEncr {
    fn id(&self) -> EncrId {
        EncrId::AES_GCM_16
    }
    fn name(&self) -> &'static str {
        encr_row().name()
    }
    fn status(&self) -> Status {
        encr_row().status()
    }
    fn ike_status(&self) -> Status {
        encr_row().ike_status()
    }
    fn key_lengths(&self) -> &'static [usize] {
        encr_row().key_lengths()
    }
    fn salt_len(&self) -> usize {
        encr_row().salt_len()
    }
    fn iv_len(&self) -> usize {
        encr_row().iv_len()
    }
    fn block_len(&self) -> usize {
        encr_row().block_len()
    }
    fn tag_len(&self) -> usize {
        encr_row().tag_len()
    }
    fn iv_rule(&self) -> IvRule {
        encr_row().iv_rule()
    }
    fn aead_key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        Ok(Box::new(WatchedAead { inner: encr_row().aead_key(key)?, key: hash(key) }))
    }
    fn cipher_key(&self, _: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        Err(CryptoError::Unsupported)
    }
}

#[derive(Debug)]
struct WatchedAead {
    inner: Box<dyn AeadKey>,
    key: u64,
}

impl AeadKey for WatchedAead {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        let what = hash(&[&self.key.to_be_bytes(), nonce].concat());
        note(Use::Seal { what, octets: hash(&[aad, data].concat()) });
        self.inner.seal(nonce, aad, data, tag)
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        self.inner.open(nonce, aad, data, tag)
    }
}

/// SPIs and encryption and integrity keys in a line of `ikev2_decryption_table`.
fn read(line: &str) -> Option<(u64, [Vec<u8>; 4])> {
    let field = |place: usize| hex::decode(line.split(',').nth(place)?).ok();
    let spis = hash(&[field(0)?, field(1)?].concat());
    Some((spis, [field(2)?, field(3)?, field(5)?, field(6)?]))
}

/// The keys of an IKE SA whose SK_ei and SK_er are these, in the order of RFC 7296 §2.14, from what a PRF has put out, and
/// SKEYSEED, under which it was.
fn stream(uses: &[Use], [ei, er, ai, ar]: &[Vec<u8>; 4], prf_len: usize) -> Option<(Vec<Vec<u8>>, u64)> {
    let outputs: Vec<(&Vec<u8>, u64)> = uses
        .iter()
        .filter_map(|it| match it {
            Use::Prf { out, key } => Some((out, *key)),
            Use::Seal { .. } => None,
        })
        .collect();
    let lengths = [prf_len, ai.len(), ar.len(), ei.len(), er.len(), prf_len, prf_len];
    let blocks = lengths.iter().sum::<usize>().div_ceil(prf_len);
    outputs.windows(blocks).find_map(|window| {
        let all: Vec<u8> = window.iter().flat_map(|(out, _)| out.iter().copied()).collect();
        let mut rest = &all[..];
        let mut keys = Vec::new();
        for length in lengths {
            let (key, behind) = rest.split_at_checked(length)?;
            keys.push(key.to_vec());
            rest = behind;
        }
        let skeyseed = window.first()?.1;
        (keys[1..5] == [ai.clone(), ar.clone(), ei.clone(), er.clone()]).then_some((keys, skeyseed))
    })
}

impl World {
    /// The keys of an IKE SA are its own: each of the seven belongs to one pair of SPIs.
    ///
    /// Those that come about on an established one come from its SK_d (RFC 7296 §2.18).
    pub(super) fn ike_keys(&mut self, side: Side, on: IkeHandle, line: &KeyLogLine) {
        let KeyLogLine::Ikev2(line) = line else { return };
        let Some((spis, logged)) = read(line) else {
            return self.violate(format!("a key log line that cannot be read: {line}"));
        };
        let keys = USES.with_borrow(|uses| stream(uses, &logged, prf_row().key_len()));
        let Some((keys, skeyseed)) = keys else {
            return self.violate(String::from("the keys of an IKE SA come from nowhere"));
        };
        let established = |info: &IkeSaInfo| info.handle == on && info.state == IkeSaState::Established;
        let old = self.ends[index(side)].endpoint.ike_sas().find(established);
        if let Some(old) = old {
            let from = USES.with_borrow(|uses| {
                uses.iter().find_map(|it| match it {
                    Use::Prf { key, out } if hash(out) == skeyseed => Some(*key),
                    _ => None,
                })
            });
            let owner = hash(&[old.spi_i.0, old.spi_r.0].concat());
            match from {
                Some(sk_d) => self.owned(side, sk_d, owner),
                None => self.violate(String::from("SKEYSEED comes from nowhere")),
            }
        }
        for (place, key) in keys.iter().enumerate().filter(|(_, key)| !key.is_empty()) {
            let owner = if place == 0 { spis } else { spis ^ place as u64 };
            self.owned(side, hash(key), owner);
        }
    }

    /// The keys of a Child SA come from SK_d of the IKE SA on which it was made.
    pub(super) fn child_keys(&mut self, side: Side, ike: IkeHandle, keys: [&[u8]; 2]) {
        let end = &self.ends[index(side)];
        let Some(info) = end.endpoint.ike_sas().find(|info| info.handle == ike) else { return };
        let spis = hash(&[info.spi_i.0, info.spi_r.0].concat());
        let from = USES.with_borrow(|uses| {
            uses.iter().find_map(|it| match it {
                Use::Prf { key, out } if keys.iter().any(|made| out.starts_with(made)) => Some(*key),
                _ => None,
            })
        });
        match from {
            Some(sk_d) => self.owned(side, sk_d, spis),
            None => self.violate(String::from("the keys of a Child SA come from nowhere")),
        }
    }

    /// Each side has every key once, the one by the same name as the other.
    fn owned(&mut self, side: Side, key: u64, owner: u64) {
        self.once("a key", &[&key.to_be_bytes()[..], &[index(side) as u8]].concat(), owner);
    }

    /// No nonce was used for two messages under one key, by whichever side.
    pub(super) fn seals(&mut self) {
        let uses = USES.take();
        for it in uses {
            if let Use::Seal { what, octets } = it {
                self.once("a key with the same nonce", &what.to_be_bytes(), octets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::scenario;

    /// A PRF's outputs, and the line that names SK_ei and SK_er among them.
    fn derived(first: u8, spi: u8) -> KeyLogLine {
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let all: Vec<u8> = (0..160).map(|at| first.wrapping_add(at)).collect();
        for block in all.chunks(32) {
            note(Use::Prf { key: 7, out: block.to_vec() });
        }
        let spi = hex(&[spi; 8]);
        KeyLogLine::Ikev2(format!(
            "{spi},{spi},{},{},\"AES\",,,\"NONE\"",
            hex(&all[32..52]),
            hex(&all[52..72])
        ))
    }

    fn world() -> World {
        World::new(scenario("ike-rekey").expect("a scenario"), (0, 0), false)
    }

    #[test]
    fn keys_belong_to_one_ike_sa_and_come_from_its_prf() {
        let mut world = world();
        let [one, other] = [derived(0, 1), derived(160, 2)];
        for line in [&one, &one, &other] {
            world.ike_keys(Side::Left, IkeHandle(0), line);
        }
        assert_eq!(world.violation, None);
        // SK_ei and SK_er are others, SK_d is the other IKE SA's.
        let mut all: Vec<u8> = (32..160).collect();
        all[..40].fill(9);
        note(Use::Prf { key: 8, out: (0..32).collect() });
        all.chunks(32).for_each(|block| note(Use::Prf { key: 8, out: block.to_vec() }));
        let nines = "09".repeat(20);
        world.ike_keys(
            Side::Left,
            IkeHandle(0),
            &KeyLogLine::Ikev2(format!("03,03,{nines},{nines},\"AES\",,,\"NONE\"")),
        );
        assert_eq!(world.violation.as_deref(), Some("a key was used twice"));
        USES.take();
        let mut world = self::world();
        world.ike_keys(Side::Left, IkeHandle(0), &one);
        assert_eq!(world.violation.as_deref(), Some("the keys of an IKE SA come from nowhere"));
    }

    #[test]
    fn a_nonce_goes_with_one_message() {
        let mut world = world();
        let key = WatchedEncr.aead_key(&[1; 16]).expect("a key");
        let mut seal = |nonce: u8, data: u8| {
            key.seal(&[nonce; 12], b"", &mut [data], &mut [0; 16]).expect("it seals");
            world.seals();
            world.violation.take()
        };
        assert_eq!([seal(1, 1), seal(1, 1), seal(2, 2)], [None, None, None]);
        assert_eq!(seal(1, 2).as_deref(), Some("a key with the same nonce was used twice"));
    }
}
