//! Protection of messages: the SK payload with plain ciphers (RFC 7296 §3.14) and combined modes (RFC 5282).
//!
//! ```text
//! | IKE header | payloads in the clear | generic header of SK | IV | ciphertext            | ICV |
//! |<------------- associated data (RFC 5282 §5.1) --------->|    | payloads, pad, length |     |
//! |<----------------------- integrity of plain ciphers ---------------------------------->|
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use ipsec_crypto::{AeadKey, CipherKey, CryptoError, IvRule, MacKey, Secret};
use ipsec_sa::Role;
use ipsec_wire::Limits;
use ipsec_wire::ike::{
    Header, MessageBuilder, MessageView, PAYLOAD_HEADER_LEN, Payload, PayloadType, SkBody, SkfBody, SkfView,
    emit_chain,
};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::keys::{IkeSuite, SkKeys};

/// Generic header, fragment number and total (RFC 7383 §2.5).
const FRAGMENT_HEADER_LEN: usize = PAYLOAD_HEADER_LEN + 4;

/// The longest nonce: salt and IV together.
const MAX_NONCE: usize = 16;

/// Both directions of one IKE SA's message protection, under one epoch of keys.
///
/// Sealing takes `&mut self`: a combined mode's IV is a counter that must never stand still. The two directions
/// have keys of their own, so the counters of the two sides do not meet.
pub struct SkProtection {
    outbound: Arc<Direction>,
    inbound: Arc<Direction>,
    lengths: Lengths,
    /// The next IV where it is a counter: of a combined mode, and of CTR; `None` when all are spent.
    counter: Option<u64>,
}

#[derive(Clone, Copy)]
struct Lengths {
    iv: usize,
    block: usize,
    icv: usize,
}

enum Direction {
    Combined { key: Box<dyn AeadKey>, salt: Secret },
    Plain { cipher: Box<dyn CipherKey>, salt: Secret, iv_rule: IvRule, mac: Box<dyn MacKey> },
}

/// A message that was opened in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Type of the first payload inside.
    pub first: PayloadType,
    /// Where the payloads stand in the message, padding left out.
    pub plaintext: Range<usize>,
}

/// A fragment that was opened in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenedFragment {
    /// Type of the first payload inside; of a meaning in fragment 1 alone.
    pub first: PayloadType,
    /// Which fragment, from 1.
    pub number: u16,
    /// How many there are.
    pub total: u16,
    /// Where the piece of the payloads stands in the message, padding left out.
    pub plaintext: Range<usize>,
}

/// Why a protected message was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SkError {
    /// Not a well-formed message, or one without an SK payload.
    #[error("no encrypted payload")]
    NotProtected,
    /// No room for IV, ciphertext and ICV, or ciphertext that is not whole blocks.
    #[error("encrypted payload of {0} octets is too short or no whole blocks")]
    Length(usize),
    /// The integrity check failed: forged, damaged, or under other keys.
    #[error("integrity check failed")]
    Integrity,
    /// The integrity check held, and still the pad length does not fit.
    #[error("pad length {0} does not fit")]
    Padding(u8),
    /// An algorithm refused.
    #[error("{0}")]
    Crypto(CryptoError),
}

impl From<CryptoError> for SkError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Mismatch => Self::Integrity,
            other => Self::Crypto(other),
        }
    }
}

impl SkProtection {
    /// Keys both directions. `role` is ours in the IKE SA: the original initiator's messages are protected by
    /// SK_ai and SK_ei, whoever begins an exchange.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] for keys of another suite, [`CryptoError::Unsupported`] for a plain cipher
    /// without integrity or a combined mode whose IV is not eight octets.
    pub fn new(suite: &IkeSuite, keys: &SkKeys, role: Role) -> Result<Self, CryptoError> {
        let initiator = Direction::new(suite, &keys.ei, &keys.ai)?;
        let responder = Direction::new(suite, &keys.er, &keys.ar)?;
        let (outbound, inbound) = match role {
            Role::Initiator => (Arc::new(initiator), Arc::new(responder)),
            Role::Responder => (Arc::new(responder), Arc::new(initiator)),
        };
        let icv = match suite.integ {
            Some(integ) if !suite.encr.is_aead() => integ.icv_len(),
            _ => suite.encr.tag_len(),
        };
        let lengths = Lengths { iv: suite.encr.iv_len(), block: suite.encr.block_len().max(1), icv };
        Ok(Self { outbound, inbound, lengths, counter: Some(0) })
    }

    /// The same keys and the same next IV once more: only one of the two may ever seal what leaves this process.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            outbound: self.outbound.clone(),
            inbound: self.inbound.clone(),
            lengths: self.lengths,
            counter: self.counter,
        }
    }

    /// Octets of a protected message with `inner_len` octets of payloads and nothing in the clear.
    #[must_use]
    pub fn sealed_len(&self, inner_len: usize) -> usize {
        Header::LEN + PAYLOAD_HEADER_LEN + self.body_len(inner_len)
    }

    /// Protects `inner` and gives the whole message. `builder` brings the header and the payloads that stand in
    /// the clear before SK, normally none.
    ///
    /// # Errors
    /// [`CryptoError::BufferLength`] where the message would not fit the length field of SK, and
    /// [`CryptoError::Unsupported`] when every IV of the key has been used.
    pub fn seal(
        &mut self,
        builder: MessageBuilder,
        inner: &[Payload],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        let (first, chain) = emit_chain(inner);
        self.seal_chain(builder, first, Zeroizing::new(chain).as_slice(), rng)
    }

    /// The same with payloads that are octets already.
    ///
    /// # Errors
    /// As [`SkProtection::seal`].
    pub fn seal_chain(
        &mut self,
        builder: MessageBuilder,
        first: PayloadType,
        chain: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        let body_len = self.body_len(chain.len());
        if body_len + PAYLOAD_HEADER_LEN > usize::from(u16::MAX) {
            return Err(CryptoError::BufferLength { actual: chain.len() });
        }
        // A body of the right length first, so that the lengths in front of it, which are authenticated, are
        // final; then the body is sealed where it stands.
        let sk = SkBody { next: first, body: alloc::vec![0; body_len] };
        let mut message = builder.with(Payload::Sk(sk)).emit();
        let at = message.len().saturating_sub(body_len);
        self.seal_body(&mut message, at, chain, rng)?;
        Ok(message)
    }

    /// One fragment of a message (RFC 7383 §2.5): `chain` is a piece of its payloads, `first` the type of the first of
    /// them in fragment 1 and NONE in the others.
    ///
    /// # Errors
    /// As [`SkProtection::seal`].
    pub fn seal_fragment(
        &mut self,
        builder: MessageBuilder,
        first: PayloadType,
        (number, total): (u16, u16),
        chain: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        let body_len = self.body_len(chain.len());
        if body_len + FRAGMENT_HEADER_LEN > usize::from(u16::MAX) {
            return Err(CryptoError::BufferLength { actual: chain.len() });
        }
        let skf = SkfBody {
            next: first,
            fragment_number: number,
            total_fragments: total,
            body: alloc::vec![0; body_len],
        };
        let mut message = builder.with(Payload::Skf(skf)).emit();
        let at = message.len().saturating_sub(body_len);
        self.seal_body(&mut message, at, chain, rng)?;
        Ok(message)
    }

    /// How many octets of payloads fit into one fragment of a message of `message_len` octets; `None` when not one.
    #[must_use]
    pub fn fragment_room(&self, message_len: usize) -> Option<usize> {
        let Lengths { iv, block, icv } = self.lengths;
        let text = message_len.checked_sub(Header::LEN + FRAGMENT_HEADER_LEN + iv + icv)?;
        (text - text % block).checked_sub(1).filter(|room| *room > 0)
    }

    /// Fills in what stands from `at` on: IV, ciphertext, ICV. What is before `at` is authenticated as it is,
    /// with the fragment fields of RFC 7383 §2.5 where the payload has them.
    fn seal_body(
        &mut self,
        message: &mut [u8],
        at: usize,
        chain: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), CryptoError> {
        let short = CryptoError::BufferLength { actual: message.len() };
        let Lengths { iv: iv_len, icv: icv_len, .. } = self.lengths;
        let (head, body) = message.split_at_mut_checked(at).ok_or(short)?;
        let (iv, rest) = body.split_at_mut_checked(iv_len).ok_or(short)?;
        let text_len = rest.len().checked_sub(icv_len).ok_or(short)?;
        let (text, icv) = rest.split_at_mut_checked(text_len).ok_or(short)?;

        // Payloads, zeros as padding, and how many: RFC 7296 §3.14 leaves the octets to the sender.
        let (payloads, padding) = text.split_at_mut_checked(chain.len()).ok_or(short)?;
        payloads.copy_from_slice(chain);
        padding.fill(0);
        let (pad_length, zeros) = padding.split_last_mut().ok_or(short)?;
        *pad_length = u8::try_from(zeros.len()).map_err(|_| short)?;

        match &*self.outbound {
            Direction::Combined { key, salt } => {
                let count = self.counter.ok_or(CryptoError::Unsupported)?;
                // Spent even when sealing fails: nothing may repeat under a key.
                self.counter = count.checked_add(1);
                iv.copy_from_slice(&count.to_be_bytes());
                let mut nonce = [0; MAX_NONCE];
                key.seal(join_nonce(&mut nonce, salt, iv)?, head, text, icv)
            }
            Direction::Plain { cipher, salt, iv_rule, mac } => {
                if *iv_rule == IvRule::Unique {
                    let count = self.counter.ok_or(CryptoError::Unsupported)?;
                    self.counter = count.checked_add(1);
                    iv.copy_from_slice(&count.to_be_bytes());
                } else {
                    rng.fill_bytes(iv);
                }
                let mut nonce = [0; MAX_NONCE];
                cipher.encrypt(join_nonce(&mut nonce, salt, iv)?, text)?;
                mac.sign(&[head, iv, text], icv)
            }
        }
    }

    /// Checks the ICV over the whole message, and only then decrypts it in place and takes the padding off. On
    /// failure the ciphertext's octets are unspecified; nothing else has changed.
    ///
    /// # Errors
    /// [`SkError`]; a failed integrity check says nothing about the sender.
    pub fn open(&self, message: &mut [u8]) -> Result<Opened, SkError> {
        let (first, at) = {
            let view = MessageView::parse(message, &Limits::DEFAULT).map_err(|_| SkError::NotProtected)?;
            let sk = view.encrypted().ok_or(SkError::NotProtected)?;
            (sk.next, sk.payload_offset + PAYLOAD_HEADER_LEN)
        };
        let plaintext = self.open_body(message, at)?;
        Ok(Opened { first, plaintext })
    }

    /// The same for one fragment of a message.
    ///
    /// # Errors
    /// [`SkError`]; [`SkError::NotProtected`] also where the fragment's numbers cannot be (RFC 7383 §2.6).
    pub fn open_fragment(&self, message: &mut [u8]) -> Result<OpenedFragment, SkError> {
        let (first, number, total, at) = {
            let view = MessageView::parse(message, &Limits::DEFAULT).map_err(|_| SkError::NotProtected)?;
            let skf = view.fragment().filter(SkfView::is_plausible).ok_or(SkError::NotProtected)?;
            (skf.next, skf.fragment_number, skf.total_fragments, skf.payload_offset + FRAGMENT_HEADER_LEN)
        };
        let plaintext = self.open_body(message, at)?;
        Ok(OpenedFragment { first, number, total, plaintext })
    }

    /// The reverse of [`SkProtection::seal_body`]; gives where the payloads stand.
    fn open_body(&self, message: &mut [u8], at: usize) -> Result<Range<usize>, SkError> {
        let Lengths { iv: iv_len, block, icv: icv_len } = self.lengths;
        let (head, body) = message.split_at_mut_checked(at).ok_or(SkError::NotProtected)?;
        let short = SkError::Length(body.len());
        let (iv, rest) = body.split_at_mut_checked(iv_len).ok_or(short)?;
        let text_len = rest.len().checked_sub(icv_len).ok_or(short)?;
        if text_len == 0 || !text_len.is_multiple_of(block) {
            return Err(short);
        }
        let (text, icv) = rest.split_at_mut_checked(text_len).ok_or(short)?;
        match &*self.inbound {
            Direction::Combined { key, salt } => {
                let mut nonce = [0; MAX_NONCE];
                key.open(join_nonce(&mut nonce, salt, iv)?, head, text, icv)?;
            }
            Direction::Plain { cipher, salt, mac, .. } => {
                mac.verify(&[head, iv, text], icv)?;
                let mut nonce = [0; MAX_NONCE];
                cipher.decrypt(join_nonce(&mut nonce, salt, iv)?, text)?;
            }
        }
        // RFC 7296 §3.14: any padding octets, any length that fits.
        let pad_length = *text.last().ok_or(short)?;
        let payloads_len =
            text_len.checked_sub(1 + usize::from(pad_length)).ok_or(SkError::Padding(pad_length))?;
        let start = at + iv_len;
        Ok(start..start + payloads_len)
    }

    /// The next IV where it is a counter, for [`SkProtection::resume`].
    pub(crate) const fn counter(&self) -> Option<u64> {
        self.counter
    }

    /// Goes on where one of the same keys has stopped.
    pub(crate) const fn resume(&mut self, counter: Option<u64>) {
        self.counter = counter;
    }

    /// Octets of IV that stand before the ciphertext.
    pub(crate) fn iv_len(&self) -> usize {
        self.lengths.iv
    }

    /// IV, payloads, the least padding, pad length, ICV.
    fn body_len(&self, inner_len: usize) -> usize {
        let Lengths { iv, block, icv } = self.lengths;
        iv + inner_len.saturating_add(1).next_multiple_of(block) + icv
    }
}

impl Direction {
    fn new(suite: &IkeSuite, sk_e: &Secret, sk_a: &Secret) -> Result<Self, CryptoError> {
        let wrong = CryptoError::KeyLength { actual: sk_e.len() };
        let (key, salt) = sk_e.split_at(suite.key_len).ok_or(wrong)?;
        if salt.len() != suite.encr.salt_len() {
            return Err(wrong);
        }
        let iv_rule = suite.encr.iv_rule();
        // RFC 5282 §3.1, RFC 5930 §2.1: the IV is eight octets, which is what a counter fills.
        if (suite.encr.is_aead() || iv_rule == IvRule::Unique) && suite.encr.iv_len() != 8 {
            return Err(CryptoError::Unsupported);
        }
        if suite.encr.is_aead() {
            return Ok(Self::Combined { key: suite.encr.aead_key(key.expose())?, salt });
        }
        let integ = suite.integ.ok_or(CryptoError::Unsupported)?;
        let (cipher, mac) = (suite.encr.cipher_key(key.expose())?, integ.mac_key(sk_a.expose())?);
        Ok(Self::Plain { cipher, salt, iv_rule, mac })
    }
}

/// Salt, then IV (RFC 5282 §4, RFC 5930 §2.2); the IV alone where there is no salt.
fn join_nonce<'a>(nonce: &'a mut [u8; MAX_NONCE], salt: &Secret, iv: &[u8]) -> Result<&'a [u8], CryptoError> {
    let len = salt.len() + iv.len();
    let wrong = CryptoError::NonceLength { actual: len, expected: MAX_NONCE };
    let room = nonce.get_mut(..len).ok_or(wrong)?;
    let (front, back) = room.split_at_mut_checked(salt.len()).ok_or(wrong)?;
    front.copy_from_slice(salt.expose());
    back.copy_from_slice(iv);
    Ok(room)
}

impl fmt::Debug for SkProtection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkProtection").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use ipsec_wire::IkeSpi;
    use ipsec_wire::ike::{ExchangeType, Flags, Header, Notify, NotifyType, PayloadChain, PayloadKind};
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::testdata::{Recording, cbc_suite, ctr_suite, gcm_suite};

    fn names(chain: &PayloadChain<'_>) -> Vec<alloc::string::String> {
        chain.payloads().map(|payload| payload.payload_type.to_string()).collect()
    }

    /// Every protected message of both recordings: IKE_AUTH, CREATE_CHILD_SA and INFORMATIONAL, both directions,
    /// under the keys before and after the IKE SA was rekeyed.
    #[test]
    fn messages_of_strongswan_open() {
        for recording in [Recording::cbc(), Recording::gcm()] {
            for number in 3..=16 {
                let epoch = if number <= 14 { 1 } else { 2 };
                let mut message = recording.numbered("message", number).to_vec();
                let header = MessageView::parse(&message, &Limits::DEFAULT).unwrap().header();
                let (ours, theirs) = match header.flags.contains(Flags::INITIATOR) {
                    true => (Role::Responder, Role::Initiator),
                    false => (Role::Initiator, Role::Responder),
                };
                let keys = recording.keys(epoch);
                let wrong_way = SkProtection::new(recording.suite(), &keys, theirs).unwrap();
                assert_eq!(wrong_way.open(&mut message.clone()), Err(SkError::Integrity));

                let protection = SkProtection::new(recording.suite(), &keys, ours).unwrap();
                let opened = protection.open(&mut message).unwrap();
                let chain = &message[opened.plaintext.clone()];
                let chain = PayloadChain::parse(opened.first, chain, 0, &Limits::DEFAULT).unwrap();
                match number {
                    3 => {
                        assert_eq!(header.exchange_type, ExchangeType::IKE_AUTH);
                        assert_eq!(
                            names(&chain),
                            ["IDi", "N", "IDr", "AUTH", "SA", "TSi", "TSr", "N", "N", "N", "N", "N"],
                        );
                        let PayloadKind::IdI(id) = chain.find(PayloadType::IDI).unwrap().kind() else {
                            panic!()
                        };
                        assert_eq!(id.data, b"a.test");
                    }
                    4 => {
                        let auth = chain.find(PayloadType::AUTH).unwrap();
                        assert_eq!(&auth.body[4..], recording.octets("auth.2"));
                    }
                    5 => assert!(chain.notify(NotifyType::REKEY_SA).is_some()),
                    13 => assert_eq!(names(&chain), ["D"]),
                    14 | 16 => assert_eq!(names(&chain), Vec::<alloc::string::String>::new()),
                    _ => {}
                }
            }
        }
    }

    fn pair(suite: &IkeSuite) -> (SkProtection, SkProtection) {
        let secret = |len: usize, octet: u8| Secret::new(&vec![octet; len]);
        let (e, a) = (suite.sk_e_len(), suite.sk_a_len());
        let keys = SkKeys {
            d: secret(1, 0),
            ai: secret(a, 1),
            ar: secret(a, 2),
            ei: secret(e, 3),
            er: secret(e, 4),
            pi: secret(1, 5),
            pr: secret(1, 6),
        };
        let new = |role| SkProtection::new(suite, &keys, role).unwrap();
        (new(Role::Initiator), new(Role::Responder))
    }

    fn builder() -> MessageBuilder {
        let flags = Flags::INITIATOR;
        MessageBuilder::new(IkeSpi([1; 8]), IkeSpi([2; 8]), ExchangeType::INFORMATIONAL, flags, 7)
    }

    fn notify(len: usize) -> Vec<Payload> {
        vec![Payload::Vendor(vec![0x5a; len]), Payload::Notify(Notify::new(NotifyType::COOKIE2, vec![1, 2]))]
    }

    #[test]
    fn what_is_sealed_opens_at_the_other_side_alone() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for suite in [cbc_suite(), ctr_suite(), gcm_suite()] {
            let (mut initiator, responder) = pair(&suite);
            for len in 0..70 {
                let inner = notify(len);
                let (first, chain) = emit_chain(&inner);
                let sealed = initiator.seal(builder(), &inner, rng).unwrap();
                assert_eq!(sealed.len(), initiator.sealed_len(chain.len()));
                let view = MessageView::parse(&sealed, &Limits::DEFAULT).unwrap();
                assert_eq!((view.header().message_id, view.encrypted().unwrap().next), (7, first));

                assert_eq!(initiator.open(&mut sealed.clone()), Err(SkError::Integrity));
                let mut message = sealed.clone();
                let opened = responder.open(&mut message).unwrap();
                assert_eq!((opened.first, &message[opened.plaintext]), (first, &chain[..]));
            }
            // An empty INFORMATIONAL: nothing inside (RFC 7296 §1.4).
            let mut empty = initiator.seal(builder(), &[], rng).unwrap();
            let opened = responder.open(&mut empty).unwrap();
            assert_eq!((opened.first, opened.plaintext.len()), (PayloadType::NONE, 0));
        }
    }

    #[test]
    fn payloads_in_the_clear_are_covered() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        for suite in [cbc_suite(), gcm_suite()] {
            let (mut initiator, responder) = pair(&suite);
            let clear = builder().with(Payload::Vendor(vec![7; 5]));
            let sealed = initiator.seal(clear, &notify(3), rng).unwrap();
            assert!(responder.open(&mut sealed.clone()).is_ok());
            // The last octet of the vendor id.
            let mut changed = sealed;
            changed[Header::LEN + 4 + 4] ^= 1;
            assert_eq!(responder.open(&mut changed), Err(SkError::Integrity));
        }
    }

    /// Every single bit of a message counts: flipped, the message is not well-formed or fails its check.
    #[test]
    fn no_octet_can_be_changed_and_no_length_cut() {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        for suite in [cbc_suite(), gcm_suite()] {
            let (mut initiator, responder) = pair(&suite);
            let sealed = initiator.seal(builder(), &notify(11), rng).unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let error = responder.open(&mut changed).unwrap_err();
                assert!(matches!(error, SkError::Integrity | SkError::NotProtected), "bit {bit}: {error}");
            }
            // Shorter bodies whose length fields agree.
            for body in 0..sealed.len() - Header::LEN - PAYLOAD_HEADER_LEN {
                let sk = SkBody { next: PayloadType::NONE, body: vec![0; body] };
                let mut message = builder().with(Payload::Sk(sk)).emit();
                let error = responder.open(&mut message).unwrap_err();
                assert!(matches!(error, SkError::Length(len) if len == body) || error == SkError::Integrity);
            }
            assert_eq!(responder.open(&mut builder().emit()), Err(SkError::NotProtected));
            assert_eq!(responder.open(&mut []), Err(SkError::NotProtected));
        }
    }

    #[test]
    fn ivs_do_not_repeat() {
        let rng = &mut ChaCha20Rng::seed_from_u64(4);
        for suite in [cbc_suite(), ctr_suite(), gcm_suite()] {
            let (mut initiator, _) = pair(&suite);
            let mut seen = alloc::collections::BTreeSet::new();
            for _ in 0..300 {
                let sealed = initiator.seal(builder(), &[], rng).unwrap();
                let at = Header::LEN + PAYLOAD_HEADER_LEN;
                assert!(seen.insert(sealed[at..at + suite.encr.iv_len()].to_vec()));
            }
        }
        for suite in [ctr_suite(), gcm_suite()] {
            let (mut initiator, responder) = pair(&suite);
            initiator.counter = Some(u64::MAX);
            let mut last = initiator.seal(builder(), &[], rng).unwrap();
            assert!(responder.open(&mut last).is_ok());
            assert_eq!(initiator.seal(builder(), &[], rng), Err(CryptoError::Unsupported));
        }
    }

    /// RFC 7296 §3.14: the recipient takes any padding whose length fits.
    #[test]
    fn any_padding_is_taken_that_fits() {
        let rng = &mut ChaCha20Rng::seed_from_u64(5);
        for suite in [cbc_suite(), gcm_suite()] {
            let (mut initiator, responder) = pair(&suite);
            let (first, chain) = emit_chain(&notify(2));
            let (_, total) = (chain.len(), 16 * 17);
            for (pad_length, fits) in [(total - 1 - chain.len(), true), (255, true), (0, true)] {
                // Payload octets, then noise as padding, then the length: one block more than needed, or many.
                let mut text = vec![0xa5; total - 1];
                text[..chain.len()].copy_from_slice(&chain);
                text.push(u8::try_from(pad_length).unwrap());
                let mut message = seal_raw(&mut initiator, first, &text, rng);
                let opened = responder.open(&mut message);
                assert_eq!(opened.is_ok(), fits);
                assert_eq!(opened.unwrap().plaintext.len(), total - 1 - pad_length);
            }
            // A pad length that reaches before the first payload.
            for pad_length in [16, 17, 255] {
                let mut text = vec![0; 15];
                text.push(pad_length);
                let mut message = seal_raw(&mut initiator, first, &text, rng);
                assert_eq!(responder.open(&mut message), Err(SkError::Padding(pad_length)));
            }
            let mut exact = vec![9; 15];
            exact.push(15);
            let mut message = seal_raw(&mut initiator, PayloadType::NONE, &exact, rng);
            assert_eq!(responder.open(&mut message).unwrap().plaintext.len(), 0);
        }
    }

    /// Seals a plaintext whose padding is its own, which must be whole blocks.
    fn seal_raw(
        side: &mut SkProtection,
        first: PayloadType,
        text: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let Lengths { iv: iv_len, icv: icv_len, .. } = side.lengths;
        let sk = SkBody { next: first, body: vec![0; iv_len + text.len() + icv_len] };
        let mut message = builder().with(Payload::Sk(sk)).emit();
        let (head, body) = message.split_at_mut(Header::LEN + PAYLOAD_HEADER_LEN);
        let (iv, rest) = body.split_at_mut(iv_len);
        let (data, icv) = rest.split_at_mut(text.len());
        data.copy_from_slice(text);
        match &*side.outbound {
            Direction::Combined { key, salt } => {
                let count = side.counter.unwrap();
                side.counter = Some(count + 1);
                iv.copy_from_slice(&count.to_be_bytes());
                let mut nonce = [0; MAX_NONCE];
                key.seal(join_nonce(&mut nonce, salt, iv).unwrap(), head, data, icv).unwrap();
            }
            Direction::Plain { cipher, mac, .. } => {
                rng.fill_bytes(iv);
                cipher.encrypt(iv, data).unwrap();
                mac.sign(&[head, iv, data], icv).unwrap();
            }
        }
        message
    }

    #[test]
    fn a_message_too_long_for_its_length_field_is_refused() {
        let rng = &mut ChaCha20Rng::seed_from_u64(6);
        let (mut initiator, responder) = pair(&gcm_suite());
        let most = usize::from(u16::MAX) - PAYLOAD_HEADER_LEN - 8 - 16 - 1;
        let chain = vec![0; most];
        let sealed = initiator.seal_chain(builder(), PayloadType::NONE, &chain, rng).unwrap();
        let mut message = sealed;
        // The parser's default cap on a whole message is below that, so it goes no further than the limits.
        assert_eq!(responder.open(&mut message), Err(SkError::NotProtected));
        let chain = vec![0; most + 1];
        assert_eq!(
            initiator.seal_chain(builder(), PayloadType::NONE, &chain, rng),
            Err(CryptoError::BufferLength { actual: most + 1 })
        );
    }

    #[test]
    fn keys_of_another_suite_are_refused() {
        let (cbc, gcm) = (cbc_suite(), gcm_suite());
        let new = |suite: &IkeSuite, keys: &SkKeys| SkProtection::new(suite, keys, Role::Initiator).map(drop);
        assert!(matches!(new(&cbc, &Recording::gcm().keys(1)), Err(CryptoError::KeyLength { .. })));
        assert!(matches!(new(&gcm, &Recording::cbc().keys(1)), Err(CryptoError::KeyLength { .. })));
        let naked = IkeSuite { integ: None, ..cbc };
        assert_eq!(new(&naked, &Recording::cbc().keys(1)), Err(CryptoError::Unsupported));
    }

    proptest! {
        /// Arbitrary octets, bare or as the body of SK, never open and never panic.
        #[test]
        fn noise_does_not_open(mut noise in prop::collection::vec(any::<u8>(), 0..300), wrapped: bool, gcm: bool) {
            let (_, responder) = pair(&if gcm { gcm_suite() } else { cbc_suite() });
            if wrapped {
                noise = builder().with(Payload::Sk(SkBody { next: PayloadType::SA, body: noise })).emit();
            }
            prop_assert!(responder.open(&mut noise).is_err());
        }
    }
}
