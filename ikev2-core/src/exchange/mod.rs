//! Exchanges of an IKE SA from IKE_INTERMEDIATE on, and the windows, timers and caches that carry them.

pub(crate) mod child;
pub(crate) mod create_child;
pub(crate) mod fragment;
pub(crate) mod informational;
pub(crate) mod intermediate;
pub(crate) mod refuse;
pub(crate) mod rekey_ike;
pub(crate) mod response_cache;
pub mod retransmit;
pub(crate) mod task;
pub(crate) mod window;

/// The most requests at once, whatever a peer announces: a bound on memory.
pub(crate) const MAX_WINDOW: u32 = 64;

/// How often a peer may have us start IKE_SA_INIT again (cookies and key exchange methods together).
pub(crate) const MAX_SET_UP_RETRIES: u8 = 6;

/// How often a task is tried again after TEMPORARY_FAILURE (RFC 7296 §2.25).
pub(crate) const MAX_TASK_RETRIES: u8 = 8;

/// How many tasks may wait on an IKE SA before a caller's next one is refused.
pub(crate) const MAX_WAITING_TASKS: usize = 256;

/// How long after an answer of ours the peer would have asked for it again, had it not come.
pub(crate) const ANSWER_GRACE: core::time::Duration = core::time::Duration::from_secs(60);
