//! The databases of RFC 4301 and the small machines in them: SA parameters, selectors, replay windows, sequence
//! numbers, lifetimes, the SAD, the SPD and the PAD.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod classify;
mod flow;
mod flow_cache;
mod foreign;
mod fragment;
mod fragment_flows;
pub mod icmp;
mod lifetime;
mod pad;
mod params;
pub mod pmtu;
mod reassembly;
mod replay;
mod sad;
mod selector;
mod seq;
#[cfg(all(feature = "shared", target_has_atomic = "64"))]
mod shared;
pub mod snapshot;
mod spd;
mod time;
pub mod tunnel;

pub use flow::Flow;
pub use fragment::{FragmentError, Fragments};
pub use fragment_flows::FragmentFlows;
pub use lifetime::{LifetimeEvent, LifetimeExpired, LifetimeState, Limit, Meter};
pub use pad::{
    AssertedId, ChildAuthorization, IdPattern, IdPatternError, PadEntry, PadError, PeerAuthentication,
    PeerAuthorizationDatabase, Unauthorized,
};
pub use params::{
    DfPolicy, Direction, DscpPolicy, EcnPolicy, Encapsulation, HeaderPolicy, IkeSaRef, InterfaceId,
    IpCompCpis, Lifetime, Lifetimes, Mode, NatOriginalAddresses, Outer, PolicyId, Role, SaAlgorithms, SaKeys,
    SaParams, SaUpdate, SecurityProtocol,
};
pub use reassembly::{Reassembled, Reassembly, ReassemblyError, ReassemblyLimits};
pub use replay::{ReplayError, ReplayWindow};
pub use sad::{CacheLine, InsertError, MulticastKey, Rejected, SaDatabase};
pub use selector::{SelectorError, TrafficSelector, covers, narrow};
pub use seq::{ReservedSeq, SequenceCounter, SequenceExhausted};
#[cfg(all(feature = "shared", target_has_atomic = "64"))]
pub use shared::{SharedReplayWindow, SharedSequenceCounter};
pub use spd::{Policy, PolicyAction, PolicyError, PopulateFromPacket, ProtectSpec, SecurityPolicyDatabase};
pub use time::Instant;
