//! When a request is sent again and when its sender gives up (RFC 7296 §2.1, §2.4).

use core::time::Duration;

use ipsec_sa::Instant;
use rand_core::CryptoRng;

/// How a path's transport wants its requests repeated. Only requests are: a response is sent again when its
/// request is (RFC 7296 §2.1).
///
/// The default repeats a request twelve times over more than three minutes, with intervals that grow
/// exponentially, as RFC 7296 §2.4 asks: after 1 s, 1.5 s, 2.25 s and so on up to 30 s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetransmitPolicy {
    /// Before the first repetition; without repetitions, before giving up.
    pub initial: Duration,
    /// Each interval is this many hundredths of the one before. Below 100 counts as 100.
    pub factor_percent: u32,
    /// No interval is longer, jitter left out.
    pub max_interval: Duration,
    /// Repetitions, the first transmission not counted.
    pub tries: u8,
    /// An interval is lengthened at random by up to this many hundredths, so that peers that lost one router
    /// do not come back in step.
    pub jitter_percent: u8,
}

impl RetransmitPolicy {
    /// For a transport that repeats by itself: none, and an answer is waited for as long as the default policy
    /// does (RFC 9329 §6.2: over TCP a request is sent again only on a new connection).
    pub const RELIABLE: Self = Self {
        initial: Duration::from_secs(180),
        factor_percent: 100,
        max_interval: Duration::from_secs(180),
        tries: 0,
        jitter_percent: 0,
    };

    /// From the first transmission to giving up, jitter left out.
    #[must_use]
    pub fn total(&self) -> Duration {
        let mut total = Duration::ZERO;
        let mut interval = self.first_interval();
        for _ in 0..=self.tries {
            total = total.saturating_add(interval);
            interval = self.longer(interval);
        }
        total
    }

    fn first_interval(&self) -> Duration {
        self.initial.min(self.max_interval)
    }

    fn longer(&self, interval: Duration) -> Duration {
        let factor = u128::from(self.factor_percent.max(100));
        let micros = interval.as_micros().saturating_mul(factor) / 100;
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).min(self.max_interval)
    }

    fn with_jitter(&self, interval: Duration, rng: &mut dyn CryptoRng) -> Duration {
        let most = interval.as_micros().saturating_mul(u128::from(self.jitter_percent)) / 100;
        let Ok(most @ 1..) = u64::try_from(most) else { return interval };
        // The slight unevenness of a remainder does no harm to a timer.
        interval.saturating_add(Duration::from_micros(rng.next_u64() % most.saturating_add(1).max(1)))
    }
}

impl Default for RetransmitPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            factor_percent: 150,
            max_interval: Duration::from_secs(30),
            tries: 12,
            jitter_percent: 10,
        }
    }
}

/// What a due timer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetransmitStep {
    /// Send the same octets again.
    Retry,
    /// The peer has failed (RFC 7296 §2.4).
    GiveUp,
}

/// The timer of one outstanding request.
#[derive(Clone, Debug)]
pub struct Retransmission {
    policy: RetransmitPolicy,
    interval: Duration,
    due: Option<Instant>,
    sent_again: u8,
    /// The time for an answer to the last one had run while nobody listened, and it went out once more.
    granted: bool,
}

impl Retransmission {
    /// The request has just been sent for the first time.
    #[must_use]
    pub fn start(now: Instant, policy: &RetransmitPolicy, rng: &mut dyn CryptoRng) -> Self {
        let interval = policy.first_interval();
        Self {
            policy: *policy,
            interval,
            due: Some(now + policy.with_jitter(interval, rng)),
            sent_again: 0,
            granted: false,
        }
    }

    /// When [`Retransmission::next`] is to be called; `None` after giving up.
    #[must_use]
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// How often the request has been sent again.
    #[must_use]
    pub const fn sent_again(&self) -> u8 {
        self.sent_again
    }

    /// Whether it has gone out once more than the policy says, because of a late call.
    #[must_use]
    pub const fn granted(&self) -> bool {
        self.granted
    }

    /// The peer is to be found elsewhere: what was sent so far went where nobody is, and counts no more. The request is due
    /// at once.
    pub fn moved(&mut self, now: Instant) {
        if self.policy.tries > 0 && self.due.is_some() {
            self.interval = self.policy.first_interval();
            self.due = Some(now);
            self.sent_again = 0;
        }
    }

    /// The timer went off: either the request is to be sent again now, or it is over.
    ///
    /// A call that comes late by more than the interval means that this host slept, or its clock jumped: an answer may
    /// have come while nobody listened. Then the peer is asked once more before it counts as dead.
    pub fn next(&mut self, now: Instant, rng: &mut dyn CryptoRng) -> RetransmitStep {
        let Some(due) = self.due else { return RetransmitStep::GiveUp };
        if self.sent_again >= self.policy.tries {
            let slept = now.saturating_since(due) > self.interval;
            if !slept || self.granted || self.policy.tries == 0 {
                self.due = None;
                return RetransmitStep::GiveUp;
            }
            self.granted = true;
        }
        self.sent_again = self.sent_again.saturating_add(1);
        self.interval = self.policy.longer(self.interval);
        self.due = Some(now + self.policy.with_jitter(self.interval, rng));
        RetransmitStep::Retry
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn run(policy: &RetransmitPolicy, seed: u64) -> Vec<u64> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut at = Vec::new();
        let mut retransmission = Retransmission::start(Instant::ZERO, policy, &mut rng);
        loop {
            let now = retransmission.due().unwrap();
            at.push(now.as_micros() / 1_000);
            if retransmission.next(now, &mut rng) == RetransmitStep::GiveUp {
                assert_eq!(retransmission.due(), None);
                assert_eq!(retransmission.next(now, &mut rng), RetransmitStep::GiveUp);
                return at;
            }
        }
    }

    #[test]
    fn intervals_grow_to_the_cap_and_then_it_gives_up() {
        let policy = RetransmitPolicy {
            initial: Duration::from_secs(4),
            factor_percent: 180,
            max_interval: Duration::from_secs(30),
            tries: 5,
            jitter_percent: 0,
        };
        // 4, 7.2, 12.96, 23.328, 30, 30
        assert_eq!(run(&policy, 1), [4_000, 11_200, 24_160, 47_488, 77_488, 107_488]);
        assert_eq!(policy.total(), Duration::from_millis(107_488));
    }

    #[test]
    fn the_default_is_a_dozen_times_over_several_minutes() {
        let policy = RetransmitPolicy::default();
        assert!(policy.tries >= 12 && policy.total() >= Duration::from_secs(180));
    }

    #[test]
    fn jitter_only_lengthens_within_its_share_and_comes_from_the_generator() {
        let policy = RetransmitPolicy { jitter_percent: 50, ..RetransmitPolicy::default() };
        let plain = run(&RetransmitPolicy { jitter_percent: 0, ..policy }, 1);
        let (one, other) = (run(&policy, 1), run(&policy, 2));
        assert_ne!(one, other);
        assert_eq!(one, run(&policy, 1));
        assert!(
            one.iter().zip(&plain).all(|(with, without)| with >= without && *with <= without * 3 / 2 + 1)
        );
    }

    fn two_tries() -> RetransmitPolicy {
        RetransmitPolicy { tries: 2, jitter_percent: 0, ..RetransmitPolicy::default() }
    }

    /// As often as there are tries, and when that was.
    fn tried_twice() -> (Retransmission, Instant, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut retransmission = Retransmission::start(Instant::ZERO, &two_tries(), &mut rng);
        let mut now = Instant::ZERO;
        for _ in 0..2 {
            now = retransmission.due().unwrap();
            assert_eq!(retransmission.next(now, &mut rng), RetransmitStep::Retry);
        }
        (retransmission, now, rng)
    }

    #[test]
    fn who_slept_asks_once_more_before_giving_up() {
        let (mut retransmission, mut now, mut rng) = tried_twice();
        // An hour later, once; and another hour later no more.
        now += Duration::from_secs(3600);
        assert_eq!(retransmission.next(now, &mut rng), RetransmitStep::Retry);
        assert!(retransmission.granted() && retransmission.due().unwrap() > now);
        now += Duration::from_secs(3600);
        assert_eq!(retransmission.next(now, &mut rng), RetransmitStep::GiveUp);
        // A sleep before the end takes no tries away.
        let mut retransmission = Retransmission::start(Instant::ZERO, &two_tries(), &mut rng);
        now = Instant::from_secs(86_400);
        assert_eq!(retransmission.next(now, &mut rng), RetransmitStep::Retry);
        assert_eq!(retransmission.sent_again(), 1);
    }

    #[test]
    fn a_peer_that_has_moved_is_asked_at_once_and_as_often_as_at_first() {
        let (mut retransmission, mut now, mut rng) = tried_twice();
        now += Duration::from_millis(1);
        retransmission.moved(now);
        for wait in [0, 1500] {
            assert_eq!(retransmission.due(), Some(now + Duration::from_millis(wait)));
            now = retransmission.due().unwrap();
            assert_eq!(retransmission.next(now, &mut rng), RetransmitStep::Retry);
        }
        now = retransmission.due().unwrap();
        assert_eq!(retransmission.next(now, &mut rng), RetransmitStep::GiveUp);
        // What is over stays so, and a reliable transport sends nothing again.
        retransmission.moved(now);
        assert_eq!(retransmission.due(), None);
        let mut reliable = Retransmission::start(Instant::ZERO, &RetransmitPolicy::RELIABLE, &mut rng);
        reliable.moved(Instant::from_secs(1));
        assert_eq!(reliable.due(), Some(Instant::from_secs(180)));
    }

    #[test]
    fn a_reliable_transport_is_only_waited_for() {
        assert_eq!(run(&RetransmitPolicy::RELIABLE, 1), [180_000]);
    }

    #[test]
    fn extreme_policies_do_not_overflow() {
        let policy = RetransmitPolicy {
            initial: Duration::MAX,
            factor_percent: u32::MAX,
            max_interval: Duration::MAX,
            tries: 3,
            jitter_percent: u8::MAX,
        };
        assert_eq!(run(&policy, 1).len(), 4);
        assert_eq!(policy.total(), Duration::MAX);
        let backwards =
            RetransmitPolicy { factor_percent: 0, jitter_percent: 0, ..RetransmitPolicy::default() };
        assert_eq!(run(&backwards, 1)[..3], [1_000, 2_000, 3_000]);
    }
}
