//! Packets of IPsec and IKE as typed values: parsed once, viewed without copying, rebuilt without loss.
//!
//! No cryptography, no state, no policy. A parser accepts or refuses with a [`ParseError`] that names what
//! is wrong and at which octet; it never panics and never allocates. A view is `Copy` and its iterators do
//! not fail. An unknown number is a value like any other.
//!
//! What allocates, allocates in proportion to its input: an owned builder of a message takes at most 64 octets
//! of memory for each octet of the message, its text for people at most 64, and its octets at most 4, with what
//! growing buffers leave behind counted and 1024 octets to begin with.
//!
//! ```
//! use ipsec_wire::ike::{ExchangeType, Flags, MessageBuilder, MessageView, Notify, NotifyType, Payload};
//! use ipsec_wire::{IkeSpi, Limits};
//!
//! let (initiator, responder) = (IkeSpi([1; 8]), IkeSpi([2; 8]));
//! let builder = MessageBuilder::new(initiator, responder, ExchangeType::INFORMATIONAL, Flags::RESPONSE, 7)
//!     .with(Notify::new(NotifyType::COOKIE2, [0xaa; 8]))
//!     .with(Payload::Nonce(vec![0x55; 16]));
//! let octets = builder.emit();
//!
//! let view = MessageView::parse(&octets, &Limits::default())?;
//! assert_eq!(view.summary().to_string(), "N(COOKIE2) Nr");
//! assert_eq!(view.notify(NotifyType::COOKIE2).map(|notify| notify.data), Some(&[0xaa; 8][..]));
//! assert_eq!(view.to_builder().emit(), octets);
//! # Ok::<(), ipsec_wire::ParseError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod num;
mod octets;

pub mod aggfrag;
pub mod ah;
pub mod error;
pub mod esp;
pub mod ike;
pub mod ip;
pub mod ipcomp;
pub mod isakmp;
pub mod spi;
pub mod tcp_encap;
pub mod udp_encap;
pub mod wesp;

pub use aggfrag::{AggfragHeader, AggfragView, DataBlock};
pub use ah::AhView;
pub use error::{Counted, Limits, ParseError, ParseErrorKind};
pub use esp::EspView;
pub use ip::{IpProtocol, IpView};
pub use ipcomp::IpCompView;
pub use isakmp::IsakmpView;
pub use spi::{IkeSpi, Spi};
pub use tcp_encap::{TcpDeframer, TcpEncapError, TcpMessage};
pub use udp_encap::{
    NAT_KEEPALIVE, NON_ESP_MARKER, UdpEncap, UdpEncapRange, classify_udp_encap, locate_udp_encap,
};
pub use wesp::WespView;
