//! One key epoch of an IKE SA: its SPIs, algorithms and keys, and messages sealed and opened under them.

use alloc::string::String;
use alloc::vec;

use ipsec_crypto::CryptoError;
use ipsec_sa::Role;
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::{ExchangeType, Flags, MessageBuilder, Payload};
use rand_core::CryptoRng;

use crate::crypt::{Opened, SkError, SkProtection};
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
    protection: SkProtection,
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
        let protection = SkProtection::new(&suite, &keys, role)?;
        Ok(Self { spi_i, spi_r, role, suite, text, keys, protection })
    }

    /// A whole protected message, as the datagrams it travels in.
    pub(crate) fn seal(
        &mut self,
        exchange: ExchangeType,
        response: bool,
        message_id: u32,
        inner: &[Payload],
        rng: &mut dyn CryptoRng,
    ) -> Result<Datagrams, CryptoError> {
        let mut flags = 0;
        if self.role == Role::Initiator {
            flags |= Flags::INITIATOR.0;
        }
        if response {
            flags |= Flags::RESPONSE.0;
        }
        let builder = MessageBuilder::new(self.spi_i, self.spi_r, exchange, Flags(flags), message_id);
        Ok(vec![self.protection.seal(builder, inner, rng)?])
    }

    /// Checks and decrypts a message in place.
    pub(crate) fn open(&self, message: &mut [u8]) -> Result<Opened, SkError> {
        self.protection.open(message)
    }
}
