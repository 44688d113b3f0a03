//! IKEv2 messages (RFC 7296 §3): views on validated octets, and builders.

pub mod algorithm;
pub mod auth;
pub mod builder;
pub mod cert;
pub mod cfg_value;
pub mod cp;
pub mod delete;
pub mod display;
pub mod eap;
pub mod fragment;
pub mod header;
pub mod id;
pub mod ke;
pub mod message;
pub mod notify;
pub mod notify_data;
pub mod payload;
pub mod puzzle;
pub mod registry;
pub mod sa;
pub mod sk;
pub mod ts;
pub mod vendor;

pub use algorithm::{AlgorithmIdentifier, DigitalSignature};
pub use auth::{Auth, AuthView};
pub use builder::{MessageBuilder, Payload, PayloadBuilder, emit_chain};
pub use cert::{Cert, CertReq, CertReqView, CertView, HashAndUrl};
pub use cfg_value::{CfgValue, EncryptedDns};
pub use cp::{CfgAttribute, Cp, CpView};
pub use delete::{Delete, DeleteView};
pub use display::Summary;
pub use eap::{EapCode, EapMethod, EapView};
pub use fragment::{SkfBody, SkfView};
pub use header::{Flags, Header};
pub use id::{Id, IdView};
pub use ke::{Ke, KeView};
pub use message::{Message, MessageView};
pub use notify::{Notify, NotifyView};
pub use notify_data::{
    AggfragFlags, AuthAnnouncement, AuthAnnouncements, Gateway, GatewayType, NotifyData, Numbers, PpkIdType,
};
pub use payload::{CRITICAL, PAYLOAD_HEADER_LEN, PayloadChain, PayloadKind, PayloadView, Payloads};
pub use puzzle::PuzzleSolutionView;
pub use registry::*;
pub use sa::{
    Attribute, AttributeValue, AttributeValueView, AttributeView, Proposal, ProposalView, Sa, SaView,
    Transform, TransformView,
};
pub use sk::{SkBody, SkView};
pub use ts::{TrafficSelector, TrafficSelectorView, Ts, TsView};
pub use vendor::{VendorName, vendor_name};
