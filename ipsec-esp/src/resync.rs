//! Finding a peer again whose 64-bit numbers have gone on by more than 2^32 unseen (RFC 4303 appendix A3).
//!
//! The appendix tries one packet under several numbers. Here every packet is still tried under one number only, so that
//! a flood of forged packets costs no more than without: once enough packets in a row have failed, every eighth one is
//! tried in a subspace further ahead. One that is authentic there moves the window.

use crate::OpenError;

/// When to look further ahead, and how far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResyncPolicy {
    /// Packets in a row that must have failed their integrity check.
    pub after_failures: u32,
    /// How many subspaces of 2^32 numbers are tried, in turn, beyond the one that the window tells.
    pub subspaces: u32,
}

impl Default for ResyncPolicy {
    fn default() -> Self {
        Self { after_failures: 64, subspaces: 16 }
    }
}

/// Of so many packets one looks ahead.
const EVERY: u32 = 8;

#[derive(Clone, Debug)]
pub(crate) struct Resync {
    policy: ResyncPolicy,
    failures: u32,
    turn: u32,
}

impl Resync {
    pub(crate) const fn new(policy: ResyncPolicy) -> Self {
        Self { policy, failures: 0, turn: 0 }
    }

    /// The number under which a packet is tried instead of `inferred`.
    pub(crate) fn candidate(&mut self, inferred: u64) -> Option<u64> {
        if self.failures < self.policy.after_failures || self.policy.subspaces == 0 {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        if !self.turn.is_multiple_of(EVERY) {
            return None;
        }
        let ahead = self.turn / EVERY % self.policy.subspaces + 1;
        inferred.checked_add(u64::from(ahead) << 32)
    }

    pub(crate) fn tell<T>(&mut self, outcome: &Result<T, OpenError>) {
        match outcome {
            Ok(_) => self.failures = 0,
            Err(OpenError::Icv) => self.failures = self.failures.saturating_add(1),
            Err(_) => {}
        }
    }
}
