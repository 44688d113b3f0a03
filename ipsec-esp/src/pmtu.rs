//! The exact size of sealed packets, and the largest payload that a path takes (RFC 4301 §8.2).

use core::net::IpAddr;

use ipsec_crypto::CryptoProvider;
use ipsec_sa::{Encapsulation, Outer, SaParams};

use crate::SaError;
use crate::cipher::{HEADER_LEN, Lengths};
use crate::padding::{self, TRAILER_LEN};

/// How packets of an SA are laid out, outer headers included, whoever writes those.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PacketLayout {
    /// Octets of the outer IP header and what stands between it and ESP.
    outer: u8,
    header: u8,
    align: u8,
    icv: u8,
}

impl PacketLayout {
    /// The layout that `params` have with the algorithms of `provider`; no key is looked at.
    ///
    /// # Errors
    /// [`SaError`] where the algorithms are unknown or do not go together.
    pub fn new(params: &SaParams, provider: &CryptoProvider) -> Result<Self, SaError> {
        let lengths = Lengths::new(params, provider)?;
        Ok(Self {
            outer: outer_len(&params.outer),
            header: HEADER_LEN as u8 + lengths.iv,
            align: lengths.align,
            icv: lengths.icv,
        })
    }

    /// The layout after a move to other outer addresses or another encapsulation.
    #[must_use]
    pub const fn moved(self, outer: &Outer) -> Self {
        Self { outer: outer_len(outer), ..self }
    }

    /// Octets of the outer packet around a payload of `payload` octets: in tunnel mode an inner IP packet.
    #[must_use]
    pub const fn sealed_len(&self, payload: usize) -> usize {
        let padding = padding::padding_len(payload, self.align as usize);
        payload + padding + TRAILER_LEN + self.fixed()
    }

    /// The largest payload whose packet is no longer than `mtu`; `None` where not even an empty one fits.
    #[must_use]
    pub const fn largest_payload(&self, mtu: usize) -> Option<usize> {
        match mtu.checked_sub(self.fixed()) {
            Some(room) => (room & !(self.align as usize - 1)).checked_sub(TRAILER_LEN),
            None => None,
        }
    }

    const fn fixed(&self) -> usize {
        self.outer as usize + self.header as usize + self.icv as usize
    }
}

/// Octets of the outer IP header and what stands between it and ESP.
const fn outer_len(outer: &Outer) -> u8 {
    let ip = match outer.remote {
        IpAddr::V4(_) => 20,
        IpAddr::V6(_) => 40,
    };
    let between = match outer.encapsulation {
        Encapsulation::None => 0,
        Encapsulation::Udp { .. } => 8,
        // A TCP header without options and the length in front of each message (RFC 9329 §3).
        _ => 22,
    };
    ip + between
}
