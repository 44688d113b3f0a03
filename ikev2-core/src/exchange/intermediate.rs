//! IKE_INTERMEDIATE (RFC 9242): what is done between IKE_SA_INIT and IKE_AUTH, an exchange for each thing.
//!
//! The states carry a list of tasks and know nothing of what is in them; a new use is a variant here.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use ipsec_wire::ike::Payload;

use crate::config::{ConnectionConfig, IntermediateUse};

/// The most IKE_INTERMEDIATE exchanges of one set-up: what a peer that has proven nothing may have us do.
pub(crate) const MAX_INTERMEDIATE: usize = 16;

/// What one exchange is for.
#[derive(Clone, Debug)]
pub(crate) enum IntermediateTask {
    /// Octets for a peer that knows them.
    VendorId(Vec<u8>),
}

impl IntermediateTask {
    /// What the request carries.
    pub(crate) fn payloads(&self) -> Vec<Payload> {
        match self {
            Self::VendorId(octets) => vec![Payload::Vendor(octets.clone())],
        }
    }
}

/// What the initiator is to do before IKE_AUTH, in order.
pub(crate) fn plan(config: &ConnectionConfig) -> VecDeque<IntermediateTask> {
    let task = |wanted: &IntermediateUse| match wanted {
        IntermediateUse::VendorId(octets) => IntermediateTask::VendorId(octets.clone()),
    };
    config.intermediate.iter().take(MAX_INTERMEDIATE).map(task).collect()
}
