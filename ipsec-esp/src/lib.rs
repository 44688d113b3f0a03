//! ESP (RFC 4303): packets sealed and opened in place, nothing allocated per packet.
//!
//! [`EspOutbound`] and [`EspInbound`] are one direction of an SA each, with sequence numbers, replay window, hard
//! lifetimes and counters; [`EspTransform`] below them is what does not change from packet to packet. Ranges go in
//! and ranges come out: the caller's buffer holds head room for headers and IV in front of the payload, and tail room
//! for padding and ICV behind it ([`EspTransform::room`] says how much).
//!
//! ```
//! # use ipsec_crypto::Secret;
//! # use ipsec_sa::{Direction, Encapsulation, Outer, Role, SaAlgorithms, SaKeys, SaParams};
//! # use ipsec_wire::{IpProtocol, Spi, ike::EncrId};
//! # use rand_core::SeedableRng;
//! use ipsec_esp::{EspInbound, EspOutbound, OuterHeader};
//!
//! let provider = ipsec_crypto::rustcrypto::provider();
//! let params = |direction| {
//!     let algorithms = SaAlgorithms { encr: Some(EncrId::AES_GCM_16), key_bits: 128, integ: None };
//!     let keys = SaKeys { encr: Secret::new(&[7; 20]), integ: Secret::new(&[]) };
//!     let outer = Outer {
//!         local: [192, 0, 2, 1].into(),
//!         remote: [192, 0, 2, 2].into(),
//!         encapsulation: Encapsulation::None,
//!     };
//!     SaParams::new(Spi(0x1000), direction, Role::Initiator, algorithms, keys, outer)
//! };
//! let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1); // in earnest: the operating system's
//! let mut outbound = EspOutbound::new(&params(Direction::Outbound), &provider, OuterHeader::None, &mut rng)?;
//! let mut inbound = EspInbound::new(&params(Direction::Inbound), &provider)?;
//!
//! let inner = *b"\x45\0\0\x18\0\0\0\0\x40\xfd\0\0\x0a\0\0\x01\x0a\0\0\x02ping"; // an IPv4 packet of 24 octets
//! let mut buf = [0u8; 128];
//! buf[40..64].copy_from_slice(&inner);
//! let sealed = outbound.seal_in_place(&mut buf, 40..64, IpProtocol::IPV4)?;
//!
//! let packet = &mut buf[sealed];
//! let opened = inbound.open_in_place(packet)?;
//! assert_eq!(packet[opened.payload], inner);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod aggfrag;
mod batch;
mod cipher;
mod error;
mod flow_label;
mod headers;
mod inbound;
#[cfg(feature = "ipcomp")]
pub mod ipcomp;
#[cfg(not(feature = "ipcomp"))]
mod no_ipcomp;
mod outbound;
mod packet;
mod padding;
pub mod pmtu;
mod resync;
#[cfg(all(feature = "shared", target_has_atomic = "64"))]
mod shared;
mod template;
mod transform;

pub use batch::{OpenJob, SealJob, open_batch, seal_batch};
pub use cipher::lifetimes;
pub use error::{OpenError, SaError, SealError};
pub use flow_label::FlowLabel;
pub use inbound::{EspInbound, InboundStats, Opened};
pub use outbound::{EspOutbound, OutboundStats};
pub use packet::OpenedPacket;
pub use resync::ResyncPolicy;
#[cfg(all(feature = "shared", target_has_atomic = "64"))]
pub use shared::{SharedInbound, SharedOutbound};
pub use template::OuterHeader;
pub use transform::{EspTransform, Room};

/// The rules between inner and outer header, which AH has in common.
pub use ipsec_sa::tunnel;
