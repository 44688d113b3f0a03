//! When payloads are due at a constant rate (RFC 9347 §2.4.1).

use core::time::Duration;

use ipsec_sa::Instant;

/// When payloads are due: a pure function of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    interval: Duration,
    next: Instant,
    burst: u32,
}

impl Pace {
    /// The first payload at `start`, then one each `interval`; at most `burst` at once after a late call, so that what
    /// was missed does not come in a flood.
    #[must_use]
    pub fn new(start: Instant, interval: Duration, burst: u32) -> Self {
        Self { interval: interval.max(Duration::from_micros(1)), next: start, burst: burst.max(1) }
    }

    /// How many payloads are due at `now`; they count as sent.
    pub fn due(&mut self, now: Instant) -> u32 {
        let mut count = 0;
        while self.take(now) {
            count += 1;
        }
        count
    }

    /// Whether a payload is due at `now`; it counts as sent. More may be.
    pub fn take(&mut self, now: Instant) -> bool {
        if !self.is_due(now) {
            return false;
        }
        let behind = (now - self.next).as_micros() / self.interval.as_micros();
        // Of those missed, only the last few are made up for.
        let dropped = u32::try_from(behind).unwrap_or(u32::MAX).saturating_sub(self.burst - 1);
        self.next += self.interval.saturating_mul(dropped.saturating_add(1));
        true
    }

    /// Whether a payload is due at `now`.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// When the next one is.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.next
    }

    /// The time between two payloads.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Goes on with another time between two payloads, from the next one on.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = interval.max(Duration::from_micros(1));
    }
}
