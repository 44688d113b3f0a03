//! One key epoch of an IKE SA: its SPIs, algorithms and keys, and messages sealed and opened under them, whole or in
//! fragments.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use ipsec_crypto::{CryptoError, Secret};
use ipsec_sa::Role;
use ipsec_wire::ike::{
    ExchangeType, Flags, Header, MessageBuilder, Payload, PayloadType, SkBody, emit_chain,
};
use ipsec_wire::{IkeSpi, Limits};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::auth::int_auth::{self, IntAuth};
use crate::crypt::SkProtection;
use crate::exchange::fragment::{MAX_FRAGMENTS, Reassembly};
use crate::exchange::window::Datagrams;
use crate::keys::{IkeSuite, SkKeys};

/// Everything needed to protect messages between two SPIs.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) spi_i: IkeSpi,
    pub(crate) spi_r: IkeSpi,
    /// Who we are in this IKE SA: it decides keys and the INITIATOR flag.
    pub(crate) role: Role,
    pub(crate) suite: IkeSuite,
    /// The suite as a proposal string.
    pub(crate) text: String,
    pub(crate) keys: SkKeys,
    /// The largest message that goes whole, where both sides do fragmentation (RFC 7383 §2.3).
    pub(crate) fragment_len: Option<usize>,
    /// Keys in the form in which they work, which takes more room than the keys; made when there is a message.
    protection: Option<SkProtection>,
    /// The next IV while they are not: none is ever used twice under a key.
    counter: Option<u64>,
    reassembly: Reassembly,
}

/// For exploring what an endpoint would do: two of the same that both send would use an IV twice.
impl Clone for Channel {
    fn clone(&self) -> Self {
        Self {
            spi_i: self.spi_i,
            spi_r: self.spi_r,
            role: self.role,
            suite: self.suite,
            text: self.text.clone(),
            keys: self.keys.duplicate(),
            fragment_len: self.fragment_len,
            counter: self.counter,
            protection: self.protection.as_ref().map(SkProtection::duplicate),
            reassembly: self.reassembly.clone(),
        }
    }
}

/// An authentic message, or a piece of one.
#[derive(Debug)]
pub(crate) enum Inner<'d> {
    /// All its payloads, where they stood (0 when they were put together), and what stands before them in the message
    /// as it was before it was cut up: all up to the end of the generic header of SK.
    Whole { first: PayloadType, octets: Cow<'d, [u8]>, offset: usize, front: Cow<'d, [u8]> },
    /// A piece of this number; more are missing.
    Piece(u16),
}

impl Channel {
    pub(crate) fn new(
        spi_i: IkeSpi,
        spi_r: IkeSpi,
        role: Role,
        suite: IkeSuite,
        text: String,
        keys: SkKeys,
    ) -> Result<Self, CryptoError> {
        let mut channel = Self::at_rest(spi_i, spi_r, role, suite, text, keys);
        channel.awake()?;
        Ok(channel)
    }

    /// The same before there is a message.
    pub(crate) fn at_rest(
        spi_i: IkeSpi,
        spi_r: IkeSpi,
        role: Role,
        suite: IkeSuite,
        text: String,
        keys: SkKeys,
    ) -> Self {
        let reassembly = Reassembly::default();
        Self {
            spi_i,
            spi_r,
            role,
            suite,
            text,
            keys,
            fragment_len: None,
            protection: None,
            counter: Some(0),
            reassembly,
        }
    }

    /// Back to that: nothing is under way.
    pub(crate) fn rest(&mut self) {
        if let Some(protection) = self.protection.take() {
            self.counter = protection.counter();
        }
    }

    fn awake(&mut self) -> Result<&mut SkProtection, CryptoError> {
        if self.protection.is_none() {
            let mut protection = SkProtection::new(&self.suite, &self.keys, self.role)?;
            protection.resume(self.counter);
            self.protection = Some(protection);
        }
        self.protection.as_mut().ok_or(CryptoError::Unsupported)
    }

    /// A protected message, as the datagrams it travels in.
    pub(crate) fn seal(
        &mut self,
        exchange: ExchangeType,
        response: bool,
        message_id: u32,
        inner: &[Payload],
        rng: &mut dyn CryptoRng,
    ) -> Result<Datagrams, CryptoError> {
        let (spi_i, spi_r, flags) = (self.spi_i, self.spi_r, self.flags(response));
        let builder = || MessageBuilder::new(spi_i, spi_r, exchange, flags, message_id);
        let (first, chain) = emit_chain(inner);
        let chain = Zeroizing::new(chain);
        let fragment_len = self.fragment_len;
        let protection = self.awake()?;
        let too_long = |limit: &usize| protection.sealed_len(chain.len()) > *limit;
        let Some(limit) = fragment_len.filter(too_long) else {
            return Ok(vec![protection.seal_chain(builder(), first, &chain, rng)?]);
        };
        let room = protection.fragment_room(limit).ok_or(CryptoError::BufferLength { actual: limit })?;
        let total = u16::try_from(chain.len().div_ceil(room)).unwrap_or(u16::MAX);
        if total > MAX_FRAGMENTS {
            return Err(CryptoError::BufferLength { actual: chain.len() });
        }
        let mut datagrams = Vec::with_capacity(usize::from(total));
        for (number, piece) in (1..=total).zip(chain.chunks(room)) {
            let first = if number == 1 { first } else { PayloadType::NONE };
            datagrams.push(protection.seal_fragment(builder(), first, (number, total), piece, rng)?);
        }
        Ok(datagrams)
    }

    fn flags(&self, response: bool) -> Flags {
        let initiator = if self.role == Role::Initiator { Flags::INITIATOR.0 } else { 0 };
        let response = if response { Flags::RESPONSE.0 } else { 0 };
        Flags(initiator | response)
    }

    /// Takes a message of ours into IntAuth, as it is before it is encrypted and cut up (RFC 9242 §3.3.2).
    pub(crate) fn add_ours(
        &self,
        int_auth: &mut IntAuth,
        exchange: ExchangeType,
        message_id: u32,
        inner: &[Payload],
    ) -> Result<(), CryptoError> {
        let (next, chain) = emit_chain(inner);
        let flags = self.flags(self.role == Role::Responder);
        let front = MessageBuilder::new(self.spi_i, self.spi_r, exchange, flags, message_id)
            .with(Payload::Sk(SkBody { next, body: Vec::new() }))
            .emit();
        let sk_p = self.sk_p(self.role);
        int_auth.add(self.role, self.suite.prf, sk_p, &front, &Zeroizing::new(chain))
    }

    /// The key of this side's AUTH.
    pub(crate) fn sk_p(&self, of: Role) -> &Secret {
        match of {
            Role::Initiator => &self.keys.pi,
            Role::Responder => &self.keys.pr,
        }
    }

    /// Takes an opened message of the peer's into IntAuth.
    pub(crate) fn add_theirs(
        &self,
        int_auth: &mut IntAuth,
        front: &[u8],
        inner: &[u8],
    ) -> Result<(), CryptoError> {
        let peer = match self.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        int_auth.add(peer, self.suite.prf, self.sk_p(peer), front, inner)
    }

    /// Checks and decrypts a message, or a piece of one, in place. `None`: the integrity check does not hold, or it is
    /// no such message; nothing has changed.
    pub(crate) fn open<'d>(&mut self, header: &Header, data: &'d mut [u8]) -> Option<Inner<'d>> {
        let key = (header.flags.is_response(), header.message_id);
        let fragment = ipsec_wire::ike::MessageView::parse(data, &Limits::DEFAULT).ok()?.fragment().is_some();
        self.awake().ok()?;
        let Self { protection: Some(protection), reassembly, fragment_len, .. } = self else { return None };
        if !fragment {
            let opened = protection.open(data).ok()?;
            reassembly.forget(key);
            let octets = data.get(opened.plaintext.clone())?;
            let front = data.get(..opened.plaintext.start.checked_sub(protection.iv_len())?)?;
            return Some(Inner::Whole {
                first: opened.first,
                octets: Cow::Borrowed(octets),
                offset: opened.plaintext.start,
                front: Cow::Borrowed(front),
            });
        }
        // Not agreed on, not taken (RFC 7383 §2.3).
        (*fragment_len)?;
        let opened = protection.open_fragment(data).ok()?;
        let octets = data.get(opened.plaintext.clone())?;
        // Fragment number and total stand behind the generic header.
        let front_len = opened.plaintext.start.checked_sub(protection.iv_len() + 4)?;
        let front = match opened.number {
            1 => int_auth::unfragmented(data.get(..front_len)?)?,
            _ => Vec::new(),
        };
        let whole = reassembly.add(key, (opened.number, opened.total), opened.first, octets, &front);
        Some(match whole {
            Some(mut whole) => Inner::Whole {
                first: whole.first,
                octets: Cow::Owned(core::mem::take(&mut *whole.octets)),
                offset: 0,
                front: Cow::Owned(whole.front),
            },
            None => Inner::Piece(opened.number),
        })
    }

    /// Pieces of this message need not be kept any longer.
    pub(crate) fn forget_pieces(&mut self, response: bool, message_id: u32) {
        self.reassembly.forget((response, message_id));
    }
}
