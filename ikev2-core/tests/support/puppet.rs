//! One who knows the keys of an IKE SA: a peer that does what it should not, or an attacker who has broken the key
//! exchange.

use ikev2_core::crypt::SkProtection;
use ikev2_core::{Event, KeyLogLine};
use ipsec_crypto::rustcrypto;
use ipsec_sa::Role;
use ipsec_wire::ike::{
    ExchangeType, Flags, Header, MessageBuilder, Payload, PayloadBuilder, PayloadChain, PayloadType,
    emit_chain,
};
use ipsec_wire::{IkeSpi, Limits};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use testkit::ike_keys::IkeKeys;

use super::{Pair, Side};

/// It speaks as one of the two sides of an IKE SA under `aes256gcm16-prfsha256`.
pub struct Puppet {
    pub spi_i: IkeSpi,
    pub spi_r: IkeSpi,
    role: Role,
    protection: SkProtection,
    /// What the other side says.
    other: SkProtection,
    rng: ChaCha20Rng,
}

impl Puppet {
    /// From the newest key log line of a side; `role` is the puppet's.
    pub fn new(pair: &Pair, side: Side, role: Role) -> Self {
        let line = |event: &Event| match event {
            Event::Keys(KeyLogLine::Ikev2(line)) => Some(line.clone()),
            _ => None,
        };
        let line = pair.events(side).iter().rev().find_map(line).expect("a key log");
        let keys = IkeKeys::read(&line).expect("a key log line");
        let protection = |role| keys.protection(&rustcrypto::provider(), role).expect("keys of that suite");
        let other = if role == Role::Initiator { Role::Responder } else { Role::Initiator };
        Self {
            spi_i: keys.spi_i,
            spi_r: keys.spi_r,
            role,
            protection: protection(role),
            other: protection(other),
            rng: ChaCha20Rng::seed_from_u64(4242),
        }
    }

    /// A message of its side.
    pub fn message(&mut self, exchange: ExchangeType, response: bool, id: u32, inner: &[Payload]) -> Vec<u8> {
        let mut flags = if response { Flags::RESPONSE.0 } else { 0 };
        if self.role == Role::Initiator {
            flags |= Flags::INITIATOR.0;
        }
        let builder = MessageBuilder::new(self.spi_i, self.spi_r, exchange, Flags(flags), id);
        self.protection.seal(builder, inner, &mut self.rng).unwrap()
    }

    /// The same with the bits of generic headers.
    pub fn built(
        &mut self,
        exchange: ExchangeType,
        response: bool,
        id: u32,
        inner: &[PayloadBuilder],
    ) -> Vec<u8> {
        let (first, chain) = emit_chain(inner);
        self.octets(exchange, response, id, first, &chain)
    }

    /// The same with these octets inside, whatever they are.
    pub fn octets(
        &mut self,
        exchange: ExchangeType,
        response: bool,
        id: u32,
        first: PayloadType,
        inner: &[u8],
    ) -> Vec<u8> {
        let mut flags = if response { Flags::RESPONSE.0 } else { 0 };
        if self.role == Role::Initiator {
            flags |= Flags::INITIATOR.0;
        }
        let builder = MessageBuilder::new(self.spi_i, self.spi_r, exchange, Flags(flags), id);
        self.protection.seal_chain(builder, first, inner, &mut self.rng).unwrap()
    }

    /// A true response of the side that it plays, with more payloads behind those that it has.
    pub fn with_more(&mut self, response: &[u8], more: &[Payload]) -> Vec<u8> {
        let more: Vec<PayloadBuilder> = more.iter().cloned().map(PayloadBuilder::from).collect();
        self.with_builders(response, &more)
    }

    /// The same with the bits of generic headers.
    pub fn with_builders(&mut self, response: &[u8], more: &[PayloadBuilder]) -> Vec<u8> {
        let mut payloads = self.inside(response);
        payloads.extend(more.iter().cloned());
        self.again(response, &payloads)
    }

    /// A true message of either side with its payloads changed, as one of the puppet's.
    pub fn changed(&mut self, message: &[u8], mut change: impl FnMut(&mut Payload)) -> Vec<u8> {
        let mut payloads = self.inside(message);
        payloads.iter_mut().for_each(|it| change(&mut it.payload));
        self.again(message, &payloads)
    }

    /// What a message holds, whoever it is from.
    fn inside(&mut self, message: &[u8]) -> Vec<PayloadBuilder> {
        let from_puppet =
            Header::parse(message).unwrap().flags.is_initiator() == (self.role == Role::Initiator);
        let opener = if from_puppet { &mut self.other } else { &mut self.protection };
        let mut octets = message.to_vec();
        let opened = opener.open(&mut octets).unwrap();
        let chain = &octets[opened.plaintext.clone()];
        let chain = PayloadChain::parse(opened.first, chain, 0, &Limits::DEFAULT).unwrap();
        chain.to_builders()
    }

    fn again(&mut self, message: &[u8], payloads: &[PayloadBuilder]) -> Vec<u8> {
        let header = Header::parse(message).unwrap();
        self.built(header.exchange_type, header.flags.is_response(), header.message_id, payloads)
    }
}
