//! How both sides prove who they are (RFC 7296 §2.15): what is signed, and with what.

pub mod int_auth;
pub mod octets;
pub(crate) mod proof;
pub mod psk;

pub use int_auth::IntAuth;
pub use octets::AuthOctets;
