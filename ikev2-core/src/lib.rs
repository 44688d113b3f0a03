//! The IKEv2 negotiation as pure functions of inputs and timers (RFC 7296). No sockets, no clock, no threads.
//!
//! An [`Endpoint`] takes datagrams and the time ([`Input`]) and gives datagrams, events and the next time it wants to be
//! called ([`Output`]). Slow steps can be carried out elsewhere ([`job`]). What is agreed for packets leaves as
//! [`ipsec_sa::SaParams`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod auth;
mod bucket;
mod channel;
pub mod collide;
pub mod config;
mod context;
pub mod cookie;
pub mod crypt;
pub mod diagnosis;
mod endpoint;
pub mod error;
pub mod event;
pub mod exchange;
mod hints;
pub mod identity;
mod ike_sa;
pub mod io;
pub mod job;
pub mod keylog;
pub mod keys;
pub mod natd;
pub mod negotiate;
pub mod path;
pub mod query;
mod reauth;
mod reconfigure;
mod responder;
pub mod sketch;
mod state;
mod table;
#[cfg(test)]
mod testdata;
pub mod timer;
mod trace;
mod unprotected;
mod upkeep;

pub use config::{
    ChildConfig, ConnectionConfig, ConnectionId, CookiePolicy, Credentials, EndpointConfig, Executor,
    Existing, IkeLifetime, IntermediateUse, PeerIdentity, Ports, Rate, SpiSource, Startup, Uniqueness,
};
pub use endpoint::Endpoint;
pub use error::{ApiMisuse, Error};
pub use event::{ChildInstall, CloseReason, Event, ExchangeTrace, IkeEstablished, KeyLogLine, OutboundUse};
pub use identity::Identity;
pub use io::{Discarded, IkeHandle, Input, Output};
pub use job::{Answer, OpId, Request};
pub use path::{Path, Transport};
pub use query::{ChildSaInfo, Counters, IkeSaInfo, IkeSaState};
