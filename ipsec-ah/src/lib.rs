//! AH (RFC 4302): IP packets authenticated and checked in place, nothing allocated per packet.
//!
//! Whole IP packets go in and come out, because the ICV covers the IP header in front of AH as it will be at the
//! receiver: fields that routers change count as zero ([`SealError::Header`] and [`OpenError::Header`] name what
//! cannot be foretold). [`AhOutbound`] and [`AhInbound`] are one direction of an SA each.
//!
//! ```
//! # use ipsec_crypto::Secret;
//! # use ipsec_sa::{Direction, Encapsulation, Mode, Outer, Role, SaAlgorithms, SaKeys, SaParams, SecurityProtocol};
//! # use ipsec_wire::{Spi, ike::IntegId};
//! use ipsec_ah::{AhInbound, AhOutbound};
//!
//! let provider = ipsec_crypto::rustcrypto::provider();
//! let params = |direction| {
//!     let algorithms = SaAlgorithms { encr: None, key_bits: 0, integ: Some(IntegId::HMAC_SHA2_256_128) };
//!     let keys = SaKeys { encr: Secret::new(&[]), integ: Secret::new(&[7; 32]) };
//!     let outer = Outer {
//!         local: [10, 0, 0, 1].into(),
//!         remote: [10, 0, 0, 2].into(),
//!         encapsulation: Encapsulation::None,
//!     };
//!     SaParams::new(Spi(0x1000), direction, Role::Initiator, algorithms, keys, outer)
//!         .with_protocol(SecurityProtocol::Ah)
//!         .with_mode(Mode::Transport)
//! };
//! let mut outbound = AhOutbound::new(&params(Direction::Outbound), &provider)?;
//! let mut inbound = AhInbound::new(&params(Direction::Inbound), &provider)?;
//!
//! let original = *b"\x45\0\0\x18\0\0\0\0\x40\xfd\x66\xda\x0a\0\0\x01\x0a\0\0\x02ping";
//! let mut buf = [0u8; 128];
//! buf[64..88].copy_from_slice(&original);
//! let sealed = outbound.seal_in_place(&mut buf, 64..88)?;
//!
//! let packet = &mut buf[sealed];
//! packet[8] -= 1; // a router's doing
//! let opened = inbound.open_in_place(packet)?;
//! assert_eq!(packet[opened.packet.clone()].len(), 24);
//! assert_eq!(packet[opened.packet][20..], *b"ping");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod inbound;
mod mutable;
mod outbound;
mod transform;

pub use error::{HeaderError, OpenError, SaError, SealError};
pub use inbound::{AhInbound, InboundStats, Opened};
pub use outbound::{AhOutbound, OutboundStats};
