//! Packets of IPsec and IKE as typed values: parsed once, viewed without copying, rebuilt without loss.
//!
//! No cryptography, no state, no policy. A parser accepts or refuses with a [`ParseError`] that names what
//! is wrong and at which octet; it never panics and never allocates. A view is `Copy` and its iterators do
//! not fail. An unknown number is a value like any other.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod num;
mod octets;

pub mod ah;
pub mod error;
pub mod esp;
pub mod ike;
pub mod ip;
pub mod spi;
pub mod udp_encap;

pub use ah::AhView;

pub use error::{Counted, Limits, ParseError, ParseErrorKind};
pub use esp::EspView;
pub use ip::{IpProtocol, IpView};
pub use spi::{IkeSpi, Spi};
pub use udp_encap::{
    NAT_KEEPALIVE, NON_ESP_MARKER, UdpEncap, UdpEncapRange, classify_udp_encap, locate_udp_encap,
};
