//! IKEv2 messages (RFC 7296 §3): views on validated octets, and builders.

pub mod auth;
pub mod builder;
pub mod cert;
pub mod cp;
pub mod delete;
pub mod display;
pub mod fragment;
pub mod header;
pub mod id;
pub mod ke;
pub mod message;
pub mod notify;
pub mod payload;
pub mod registry;
pub mod sa;
pub mod sk;
pub mod ts;

pub use auth::{Auth, AuthView};
pub use builder::{MessageBuilder, Payload, PayloadBuilder, emit_chain};
pub use cert::{Cert, CertReq, CertReqView, CertView};
pub use cp::{CfgAttribute, Cp, CpView};
pub use delete::{Delete, DeleteView};
pub use display::Summary;
pub use fragment::{SkfBody, SkfView};
pub use header::{Flags, Header};
pub use id::{Id, IdView};
pub use ke::{Ke, KeView};
pub use message::{Message, MessageView};
pub use notify::{Notify, NotifyView};
pub use payload::{CRITICAL, PAYLOAD_HEADER_LEN, PayloadChain, PayloadKind, PayloadView, Payloads};
pub use registry::*;
pub use sa::{
    Attribute, AttributeValue, AttributeValueView, AttributeView, Proposal, ProposalView, Sa, SaView,
    Transform, TransformView,
};
pub use sk::{SkBody, SkView};
pub use ts::{TrafficSelector, TrafficSelectorView, Ts, TsView};
