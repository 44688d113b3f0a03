//! Packets of IPsec and IKE as typed values: parsed once, viewed without copying, rebuilt without loss.
//!
//! No cryptography, no state, no policy. A parser accepts or refuses with a [`ParseError`] that names what
//! is wrong and at which octet; it never panics and never allocates. A view is `Copy` and its iterators do
//! not fail. An unknown number is a value like any other.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod num;

pub mod error;
pub mod ike;
pub mod ip;
mod octets;
pub mod spi;

pub use error::{Counted, Limits, ParseError, ParseErrorKind};
pub use ip::IpProtocol;
pub use spi::{IkeSpi, Spi};
