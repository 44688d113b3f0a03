//! The databases of RFC 4301 and the small machines in them: SA parameters, selectors, replay windows, sequence
//! numbers, lifetimes, the SAD and the SPD.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod flow;
mod params;
mod selector;
mod time;

pub use flow::Flow;
pub use params::{
    DfPolicy, Direction, DscpPolicy, EcnPolicy, Encapsulation, HeaderPolicy, IkeSaRef, InterfaceId,
    IpCompCpis, Lifetime, Lifetimes, Mode, NatOriginalAddresses, Outer, PolicyId, Role, SaAlgorithms, SaKeys,
    SaParams, SaUpdate, SecurityProtocol,
};
pub use selector::{SelectorError, TrafficSelector, covers, narrow};
pub use time::Instant;
