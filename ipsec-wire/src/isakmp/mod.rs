//! ISAKMP and IKEv1 (RFC 2407, 2408, 2409) with NAT traversal (RFC 3947), Mode-Config and XAUTH, dead peer
//! detection (RFC 3706) and Cisco's fragmentation: read, shown and rebuilt.
//!
//! IKEv1 is historic (RFC 9395); it is here so that captures and peers that still speak it can be understood.
//! The header is [`crate::ike::Header`]. What is decided:
//! - A datagram is as long as its header says; octets behind the last payload of a clear message are refused.
//!   Behind the last payload of a decrypted chain they are padding.
//! - The body of an encrypted message is opaque.
//! - An SA payload of another DOI or situation than IPsec's identity-only is opaque.

pub mod attribute;
pub mod builder;
pub mod display;
pub mod message;
pub mod payload;
pub mod registry;
pub mod sa;

pub use attribute::{AttributeView, AttributesView};
pub use builder::{IsakmpBuilder, PayloadBuilder, emit_chain};
pub use message::{Flags, IsakmpChain, IsakmpView};
pub use payload::{DeleteView, FragmentView, IdView, NotifyView, PayloadKind, PayloadView, Payloads};
pub use registry::*;
pub use sa::{Proposal, ProposalView, SaView, Transform, TransformView};
