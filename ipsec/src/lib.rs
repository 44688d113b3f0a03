//! The whole IPsec stack as one object without sockets, clock or threads: IKEv2, SA and policy databases, ESP and
//! AH.
//!
//! A [`Stack`] takes datagrams from the outside ([`Stack::handle_datagram`]; whole IP packets:
//! [`Stack::handle_packet`]) and IP packets from the inside
//! ([`Stack::handle_ip`]), both in the caller's buffers, and says what is to be sent, what happened and when to come
//! again ([`Stack::poll_output`]). Time and randomness are arguments.
//!
//! Two stacks, and one packet from the network behind the one to the network behind the other. The packet finds no SA,
//! so it waits until both have negotiated one:
//!
//! ```
//! use ipsec::crypto::{Secret, Suite, rustcrypto};
//! use ipsec::ike::{ChildConfig, ConnectionConfig, Identity, Path, PeerIdentity};
//! use ipsec::sa::Instant;
//! use ipsec::{HEADROOM, Meta, Output, Received, Stack, StackConfig, TAILROOM, Verdict};
//! # use rand_core::SeedableRng;
//!
//! // 192.0.2.1 stands before 10.0.1.0/24, 192.0.2.2 before 10.0.2.0/24.
//! fn gateway(us: u8, them: u8, now: Instant) -> Result<Stack, Box<dyn core::error::Error>> {
//!     let name = |number| Identity::fqdn(&format!("gateway{number}.example"));
//!     let child = ChildConfig::tunnel(
//!         "net",
//!         vec![format!("10.0.{us}.0/24").parse()?],
//!         vec![format!("10.0.{them}.0/24").parse()?],
//!         vec![Suite::esp("aes256gcm16-esn")?],
//!     );
//!     let connection = ConnectionConfig::psk(
//!         "peer",
//!         name(us),
//!         PeerIdentity::Exactly(name(them)),
//!         Secret::new(b"to be replaced by 32 random octets"),
//!         vec![Suite::ike("aes256gcm16-prfsha384-x25519")?],
//!     )
//!     .between([192, 0, 2, us].into(), [192, 0, 2, them].into())
//!     .with_child(child);
//!     let rng = rand_chacha::ChaCha20Rng::seed_from_u64(us.into()); // in earnest: seeded by the operating system
//!     let mut stack = Stack::new(StackConfig::default(), rustcrypto::provider(), Box::new(rng), now);
//!     stack.add_connection(connection)?; // its child makes a PROTECT policy; all else is dropped
//!     Ok(stack)
//! }
//!
//! let now = Instant::ZERO;
//! let mut stacks = [gateway(1, 2, now)?, gateway(2, 1, now)?];
//!
//! // An IPv4 packet from 10.0.1.1 to 10.0.2.1, with room around it for what ESP adds.
//! let packet = *b"\x45\0\0\x18\0\0\0\0\x40\xfd\x62\xe3\x0a\0\x01\x01\x0a\0\x02\x01ping";
//! let mut buf = vec![0; HEADROOM + packet.len() + TAILROOM];
//! let ip = HEADROOM..HEADROOM + packet.len();
//! buf[ip.clone()].copy_from_slice(&packet);
//! assert_eq!(stacks[0].handle_ip(now, &mut buf, ip), Verdict::Queued);
//!
//! // What one sends, the other receives, until the packet comes out.
//! let mut arrived = None;
//! while arrived.is_none() {
//!     for side in [0, 1] {
//!         loop {
//!             match stacks[side].poll_output() {
//!                 Output::Transmit { path, mut data, .. } => {
//!                     let path = Path { local: path.remote, remote: path.local, ..path };
//!                     let received = stacks[1 - side].handle_datagram(now, Meta::new(path), &mut data);
//!                     if let Received::Inner { range, .. } = received {
//!                         arrived = Some(data[range].to_vec());
//!                     }
//!                 }
//!                 Output::Event(ike, event) => println!("{ike}: {event:?}"),
//!                 Output::Deliver(packet) => println!("for the inside: {} octets", packet.len()),
//!                 Output::Timeout(_) => break,
//!             }
//!         }
//!     }
//! }
//! assert_eq!(arrived.as_deref(), Some(&packet[..]));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod child;
mod config;
mod connections;
mod control;
mod demand;
mod event;
mod inbound;
mod inner;
mod outbound;
mod outputs;
mod queue;
mod stack;
mod stats;

pub use child::{ChildInfo, InstallError};
pub use config::{Backoff, OutputLimits, QueueLimits, StackConfig};
pub use event::{ChildInstalled, Event, Meta, Output, Received, Verdict};
pub use outbound::Route;
pub use stack::{ConnectionRefused, FIRST_OWN_POLICY, HEADROOM, PolicyRefused, Stack, TAILROOM};
pub use stats::{DropClass, DropReason, Stats, Unpolled, Volume};

pub use ikev2_core as ike;
pub use ipsec_ah as ah;
pub use ipsec_crypto as crypto;
pub use ipsec_esp as esp;
pub use ipsec_sa as sa;
pub use ipsec_wire as wire;
