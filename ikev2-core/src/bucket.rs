//! A bound on how often something may happen: so many a second, and so many at once.

use ipsec_sa::Instant;

/// One token in the unit that a microsecond of one token a second brings.
const TOKEN: u64 = 1_000_000;

/// A token bucket. It begins full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBucket {
    /// What was taken and has not come back, in millionths of a token.
    spent: u64,
    at: Instant,
}

impl TokenBucket {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { spent: 0, at: now }
    }

    /// Takes a token, where there is one.
    pub(crate) fn take(&mut self, now: Instant, per_second: u32, burst: u32) -> bool {
        let elapsed = u64::try_from(now.saturating_since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.spent = self.spent.saturating_sub(elapsed.saturating_mul(u64::from(per_second)));
        self.at = self.at.max(now);
        let after = self.spent.saturating_add(TOKEN);
        let allowed = after <= u64::from(burst).saturating_mul(TOKEN);
        if allowed {
            self.spent = after;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn a_burst_at_once_and_then_by_rate() {
        let start = Instant::from_secs(9);
        let mut bucket = TokenBucket::new(start);
        assert_eq!((0..9).filter(|_| bucket.take(start, 2, 5)).count(), 5);
        let later = start + Duration::from_millis(499);
        assert!(!bucket.take(later, 2, 5));
        assert!(bucket.take(start + Duration::from_millis(500), 2, 5));
        assert!(!bucket.take(start + Duration::from_millis(500), 2, 5));
        // A long silence fills it, and no more than that.
        let later = start + Duration::from_secs(1_000_000);
        assert_eq!((0..9).filter(|_| bucket.take(later, 2, 5)).count(), 5);
        // A clock that goes back brings nothing, and takes nothing.
        assert!(!bucket.take(start, 2, 5));
        assert!(bucket.take(later + Duration::from_millis(500), 2, 5));
    }

    #[test]
    fn none_at_once_is_none() {
        assert!(!TokenBucket::new(Instant::ZERO).take(Instant::from_secs(9), 5, 0));
    }
}
