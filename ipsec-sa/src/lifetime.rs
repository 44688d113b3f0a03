//! Soft and hard lifetimes of an SA, by time, octets and packets (RFC 4301 §4.4.2.1).

use core::time::Duration;

use thiserror::Error;

use crate::{Instant, Lifetime, Lifetimes};

/// What a lifetime is measured in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Limit {
    /// Age.
    Time,
    /// Octets processed.
    Octets,
    /// Packets processed.
    Packets,
}

/// A limit was reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LifetimeEvent {
    /// A replacement is due. Reported once.
    Soft(Limit),
    /// The SA may not be used any more. Reported once, and no soft event comes after it.
    Hard(Limit),
}

/// The SA's hard limit in octets or packets is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("hard lifetime of the SA is used up")]
pub struct LifetimeExpired;

/// Counts what an SA has processed, and refuses to go past the hard limits in octets and packets.
#[derive(Debug)]
pub struct Meter {
    packets: u64,
    octets: u64,
    hard_packets: u64,
    hard_octets: u64,
}

impl Meter {
    /// Nothing counted yet; the limits of `hard` that are not in time.
    #[must_use]
    pub fn new(hard: &Lifetime) -> Self {
        Self {
            packets: 0,
            octets: 0,
            hard_packets: hard.packets.unwrap_or(u64::MAX),
            hard_octets: hard.octets.unwrap_or(u64::MAX),
        }
    }

    /// Whether one more packet of `octets` fits under the hard limits.
    ///
    /// # Errors
    /// [`LifetimeExpired`].
    #[inline]
    pub fn check(&self, octets: u64) -> Result<(), LifetimeExpired> {
        if self.packets >= self.hard_packets || self.octets.saturating_add(octets) > self.hard_octets {
            return Err(LifetimeExpired);
        }
        Ok(())
    }

    /// Goes on from what another node has counted. Packets whose number is not known are taken to be as long as the others
    /// were.
    pub fn resume(&mut self, packets: u64, octets: u64, unknown: u64) {
        let mean = octets.div_ceil(packets.max(1));
        self.packets = self.packets.max(packets.saturating_add(unknown));
        self.octets = self.octets.max(octets.saturating_add(mean.saturating_mul(unknown)));
    }

    /// Counts one packet.
    #[inline]
    pub fn count(&mut self, octets: u64) {
        self.packets = self.packets.saturating_add(1);
        self.octets = self.octets.saturating_add(octets);
    }

    /// Packets counted.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Octets counted.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.octets
    }
}

/// Turns a [`Meter`] and the time into soft and hard events.
#[derive(Clone, Debug)]
pub struct LifetimeState {
    lifetimes: Lifetimes,
    created: Instant,
    /// Age when it came here.
    before: Duration,
    soft_reported: bool,
    hard_reported: bool,
}

impl LifetimeState {
    /// An SA made at `now`.
    #[must_use]
    pub const fn new(lifetimes: Lifetimes, now: Instant) -> Self {
        Self::aged(lifetimes, now, Duration::ZERO)
    }

    /// An SA that had this age at `now`: another node made it.
    #[must_use]
    pub const fn aged(lifetimes: Lifetimes, now: Instant, before: Duration) -> Self {
        Self { lifetimes, created: now, before, soft_reported: false, hard_reported: false }
    }

    /// The SA's age.
    #[must_use]
    pub const fn age(&self, now: Instant) -> Duration {
        self.before.saturating_add(now.saturating_since(self.created))
    }

    /// Whether the hard limit in time is behind it.
    #[must_use]
    #[inline]
    pub fn is_over(&self, now: Instant) -> bool {
        self.lifetimes.hard.time.is_some_and(|age| self.age(now) >= age)
    }

    /// The event that is due, each kind once.
    pub fn poll(&mut self, now: Instant, meter: &Meter) -> Option<LifetimeEvent> {
        if self.hard_reported {
            return None;
        }
        if let Some(limit) = self.reached(&self.lifetimes.hard, now, meter) {
            self.hard_reported = true;
            return Some(LifetimeEvent::Hard(limit));
        }
        if self.soft_reported {
            return None;
        }
        let limit = self.reached(&self.lifetimes.soft, now, meter)?;
        self.soft_reported = true;
        Some(LifetimeEvent::Soft(limit))
    }

    /// When time alone makes the next event due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let soft = if self.soft_reported { None } else { self.lifetimes.soft.time };
        let hard = if self.hard_reported { None } else { self.lifetimes.hard.time };
        let soft = if self.hard_reported { None } else { soft };
        soft.into_iter().chain(hard).min().map(|age| self.created + age.saturating_sub(self.before))
    }

    fn reached(&self, lifetime: &Lifetime, now: Instant, meter: &Meter) -> Option<Limit> {
        if lifetime.time.is_some_and(|age| self.age(now) >= age) {
            return Some(Limit::Time);
        }
        if lifetime.octets.is_some_and(|octets| meter.octets >= octets) {
            return Some(Limit::Octets);
        }
        if lifetime.packets.is_some_and(|packets| meter.packets >= packets) {
            return Some(Limit::Packets);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_comes_before_hard_and_each_once() {
        let lifetimes = Lifetimes {
            soft: Lifetime { time: Some(Duration::from_secs(80)), octets: Some(800), packets: None },
            hard: Lifetime { time: Some(Duration::from_secs(100)), octets: Some(1000), packets: Some(3) },
        };
        let mut meter = Meter::new(&lifetimes.hard);
        let mut state = LifetimeState::new(lifetimes, Instant::from_secs(5));
        assert_eq!(state.deadline(), Some(Instant::from_secs(85)));
        assert_eq!(state.poll(Instant::from_secs(84), &meter), None);
        meter.count(800);
        assert_eq!(state.poll(Instant::from_secs(84), &meter), Some(LifetimeEvent::Soft(Limit::Octets)));
        assert_eq!(state.poll(Instant::from_secs(86), &meter), None);
        assert_eq!(state.deadline(), Some(Instant::from_secs(105)));
        assert_eq!((meter.check(200), meter.check(201)), (Ok(()), Err(LifetimeExpired)));
        meter.count(10);
        meter.count(10);
        assert_eq!(meter.check(1), Err(LifetimeExpired));
        assert_eq!(state.poll(Instant::from_secs(86), &meter), Some(LifetimeEvent::Hard(Limit::Packets)));
        assert_eq!(state.poll(Instant::from_secs(500), &meter), None);
        assert_eq!(state.deadline(), None);
    }

    #[test]
    fn an_sa_that_came_from_elsewhere_keeps_its_age_and_its_counts() {
        let hard = Lifetime { time: Some(Duration::from_secs(100)), packets: Some(30), octets: None };
        let lifetimes = Lifetimes { soft: Lifetime::default(), hard };
        let mut state = LifetimeState::aged(lifetimes, Instant::from_secs(5), Duration::from_secs(90));
        assert_eq!(state.deadline(), Some(Instant::from_secs(15)));
        let mut meter = Meter::new(&hard);
        meter.resume(10, 95, 7);
        assert_eq!((meter.packets(), meter.octets()), (17, 95 + 7 * 10));
        meter.resume(1, 1, 0);
        assert_eq!((meter.packets(), meter.octets()), (17, 165), "never back");
        assert_eq!(state.poll(Instant::from_secs(14), &meter), None);
        assert_eq!(state.poll(Instant::from_secs(15), &meter), Some(LifetimeEvent::Hard(Limit::Time)));
    }

    #[test]
    fn time_alone_ends_an_idle_sa() {
        let hard = Lifetime { time: Some(Duration::from_secs(10)), ..Lifetime::default() };
        let mut state = LifetimeState::new(Lifetimes { soft: Lifetime::default(), hard }, Instant::ZERO);
        let meter = Meter::new(&hard);
        assert_eq!(state.poll(Instant::from_millis(9_999), &meter), None);
        assert!(!state.is_over(Instant::from_millis(9_999)) && state.is_over(Instant::from_secs(10)));
        assert_eq!(state.poll(Instant::from_secs(10), &meter), Some(LifetimeEvent::Hard(Limit::Time)));
    }
}
