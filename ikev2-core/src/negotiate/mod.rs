//! Finding what both sides accept.

pub mod proposal;
