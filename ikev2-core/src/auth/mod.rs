//! How both sides prove who they are (RFC 7296 §2.15): what is signed, and with what.

pub mod octets;
pub(crate) mod proof;
pub mod psk;

pub use octets::AuthOctets;
