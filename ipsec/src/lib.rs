//! The whole IPsec stack as one object without sockets, clock or threads: IKEv2, SA and policy databases, ESP.
//!
//! A [`Stack`] takes datagrams from the outside ([`Stack::handle_datagram`]) and IP packets from the inside
//! ([`Stack::handle_ip`]), both in the caller's buffers, and says what is to be sent, what happened and when to come
//! again ([`Stack::poll_output`]). Time and randomness are arguments.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod child;
mod config;
mod control;
mod demand;
mod event;
mod inner;
mod queue;
mod stack;
mod stats;

pub use child::ChildInfo;
pub use config::{Backoff, QueueLimits, StackConfig};
pub use event::{ChildInstalled, Event, Meta, Output, Received, Verdict};
pub use stack::{ConnectionRefused, FIRST_OWN_POLICY, HEADROOM, PolicyRefused, Stack, TAILROOM};
pub use stats::{DropClass, DropReason, Stats, Volume};

pub use ikev2_core as ike;
pub use ipsec_crypto as crypto;
pub use ipsec_esp as esp;
pub use ipsec_sa as sa;
pub use ipsec_wire as wire;
