//! What the tests, fuzz targets and examples of this workspace share, and nothing that ships.
//!
//! - [`clock::Clock`] stands still until it is told to jump; [`network::Network`] loses, delays, doubles and reorders
//!   datagrams out of a seed, and translates addresses where a NAT is put in; [`pair::Pair`] joins two IKEv2
//!   endpoints over them, [`mesh::Mesh`] a hub and its spokes.
//! - [`explore`] searches every future of two endpoints within limits, [`endure`] runs long ones out of a seed.
//! - [`capture::Capture`] writes what went over the wire as a pcapng, [`keylog::KeyLog`] the keys that Wireshark needs
//!   to read it, [`ladder::Ladder`] draws who said what.
//! - [`provider_suite`] runs every row of a cryptographic provider against the published vectors.
//! - [`keyed`] attacks an endpoint with valid keys, as octets say.
//! - [`insecure`] is a provider without any security, for fuzz targets that must get past integrity checks quickly.

extern crate alloc;

pub mod capture;
pub mod clock;
pub mod endure;
pub mod explore;
pub mod ike_keys;
pub mod insecure;
pub mod keyed;
pub mod keylog;
pub mod ladder;
pub mod mesh;
pub mod network;
pub mod node;
pub mod pair;
pub mod provider_suite;
