//! The IKEv2 negotiation as pure functions of inputs and timers (RFC 7296). No sockets, no clock, no threads.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod auth;
pub mod collide;
pub mod cookie;
pub mod crypt;
pub mod diagnosis;
/// Exchanges of an IKE SA, and what carries them.
pub mod exchange {
    pub mod retransmit;
}
pub mod keylog;
pub mod keys;
pub mod natd;
pub mod negotiate;
#[cfg(test)]
mod testdata;
pub mod timer;
