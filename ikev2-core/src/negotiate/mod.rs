//! Finding what both sides accept, and for which connection.

pub mod connection;
pub mod proposal;
