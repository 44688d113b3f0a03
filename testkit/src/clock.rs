//! A clock that only moves when it is told to.

use core::time::Duration;

use ipsec_sa::Instant;

/// Virtual time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    now: Instant,
}

impl Clock {
    /// A clock at one hour past its zero: far enough for what subtracts.
    #[must_use]
    pub const fn new() -> Self {
        Self { now: Instant::from_secs(3600) }
    }

    /// What it shows.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Moves it on.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Moves it on to `at`; it never goes back.
    pub fn advance_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_forward_only() {
        let mut clock = Clock::new();
        let start = clock.now();
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now() - start, Duration::from_millis(1500));
        clock.advance_to(start);
        assert_eq!(clock.now() - start, Duration::from_millis(1500));
        clock.advance_to(start + Duration::from_secs(9));
        assert_eq!(clock.now() - start, Duration::from_secs(9));
    }
}
