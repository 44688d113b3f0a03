//! Responders that have not proven themselves (RFC 7296 §2.4): several answers to one IKE_SA_INIT are followed at once,
//! each under its own keys, until one of them proves itself in IKE_AUTH.
//!
//! Who sees our request can answer it faster than the peer, and as often as it likes. So no number of forged answers
//! uses anything up for good: when there are too many at once the oldest gives way, when they come too fast they are
//! passed over for a moment and our request goes out again, which brings the peer's own answer again.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ipsec_sa::Instant;
use ipsec_wire::ike::ExchangeType;
use sha1::{Digest, Sha1};

use crate::auth::IntAuth;
use crate::bucket::TokenBucket;
use crate::channel::Channel;
use crate::exchange::intermediate::IntermediateTask;
use crate::exchange::retransmit::Retransmission;
use crate::exchange::window::Datagrams;
use crate::natd::NatStatus;
use crate::path::Path;

/// The most answers to one IKE_SA_INIT that are followed at once: some forty kilobytes.
pub(crate) const MAX_CANDIDATES: usize = 16;

/// The most answers of one set-up that are followed in a second, each at the cost of one key exchange.
const FOLLOWED_PER_SECOND: u32 = 64;

/// The most answers that are remembered as having come to nothing.
const MAX_REFUSED: usize = 64;

/// The message id of our first protected request: IKE_SA_INIT was 0.
const FIRST_ID: u32 = 1;

/// A responder that has not proven itself yet.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) channel: Channel,
    /// The request it answered, and its answer: both AUTHs cover one of them.
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    pub(crate) nr: Vec<u8>,
    pub(crate) nat: NatStatus,
    pub(crate) path: Path,
    /// What is to be done before IKE_AUTH; the first of it is under way.
    pub(crate) tasks: VecDeque<IntermediateTask>,
    /// What IKE_INTERMEDIATE has carried.
    pub(crate) int_auth: IntAuth,
    /// The request that is out: IKE_INTERMEDIATE or IKE_AUTH.
    pub(crate) exchange: ExchangeType,
    pub(crate) message_id: u32,
    pub(crate) datagrams: Datagrams,
    pub(crate) retransmission: Option<Retransmission>,
}

impl Candidate {
    pub(crate) fn new(
        channel: Channel,
        request: Vec<u8>,
        response: Vec<u8>,
        nr: Vec<u8>,
        (nat, path): (NatStatus, Path),
        tasks: VecDeque<IntermediateTask>,
    ) -> Self {
        Self {
            channel,
            request,
            response,
            nr,
            nat,
            path,
            tasks,
            int_auth: IntAuth::default(),
            exchange: ExchangeType::IKE_AUTH,
            message_id: FIRST_ID,
            datagrams: Vec::new(),
            retransmission: None,
        }
    }
}

/// Those that are followed, oldest first, and which are not again.
#[derive(Clone, Debug)]
pub(crate) struct Candidates {
    pub(crate) list: VecDeque<Candidate>,
    pub(crate) refused: VecDeque<[u8; 20]>,
    bucket: TokenBucket,
}

impl Candidates {
    pub(crate) fn new(now: Instant) -> Self {
        Self { list: VecDeque::new(), refused: VecDeque::new(), bucket: TokenBucket::new(now) }
    }

    /// Whether this answer is followed, or was. Not by its SPI: a forger who sees the peer's answer can copy that.
    pub(crate) fn knows(&self, response: &[u8]) -> bool {
        self.list.iter().any(|candidate| candidate.response == response)
            || (!self.refused.is_empty() && self.refused.contains(&digest(response)))
    }

    /// Whether one more may be followed now.
    pub(crate) fn take_turn(&mut self, now: Instant) -> bool {
        self.bucket.take(now, FOLLOWED_PER_SECOND, FOLLOWED_PER_SECOND)
    }

    /// One more is followed; the oldest gives way.
    pub(crate) fn push(&mut self, candidate: Candidate) {
        if self.list.len() >= MAX_CANDIDATES {
            self.list.pop_front();
        }
        self.list.push_back(candidate);
    }

    /// Takes one out.
    pub(crate) fn take(&mut self, index: usize) -> Option<Candidate> {
        self.list.remove(index)
    }

    /// This one came to nothing: its answer is not followed again.
    pub(crate) fn refuse(&mut self, candidate: &Candidate) {
        if self.refused.len() >= MAX_REFUSED {
            self.refused.pop_front();
        }
        self.refused.push_back(digest(&candidate.response));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Only to tell answers apart: who makes two that are the same has answered once.
fn digest(response: &[u8]) -> [u8; 20] {
    Sha1::digest(response).into()
}
