//! The congestion-control sub-type (RFC 9347 §3, §6.1.2): what is told to the peer of its payloads, and what its answers say
//! of ours.

use core::time::Duration;

use ipsec_sa::Instant;
use ipsec_wire::aggfrag::{CongestionControl, MAX_RTT};

/// Intervals between loss events that count, and what each counts: eight, by RFC 5348 §5.4, in fifths.
const WEIGHTS: [u64; 8] = [5, 5, 5, 5, 4, 3, 2, 1];
/// Numbers that a payload must be overtaken by before it counts as lost (RFC 5348 §5.1).
const REORDERED: u64 = 3;
/// Payloads that are waited for before they count as lost.
const PENDING: u64 = 64;

/// Both directions of a pair of SAs: losses of what comes in, and the round trip of what goes out.
#[derive(Clone, Debug)]
pub struct Congestion {
    losses: Losses,
    /// The peer's time stamp to be echoed, and when it came.
    echo: Option<(u32, Instant)>,
    /// The peer's estimate of the round trip, by which losses are one event.
    peer_rtt: Duration,
    rtt: Option<Duration>,
    reported_loss_event_rate: u32,
    reported_marks: bool,
    probing: bool,
    transmit_delay: Duration,
}

/// What the peer's answers say of the path to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PathReport {
    /// The round trip, smoothed as in RFC 5348 §4.3; `None` before the first answer.
    pub rtt: Option<Duration>,
    /// Payloads from one loss event to the next, on average; 0 without any.
    pub loss_event_interval: u32,
    /// Marks of congestion counted as losses.
    pub congestion_experienced: bool,
}

impl Congestion {
    /// Nothing lost and nothing known. `transmit_delay` is the time between two payloads of ours.
    #[must_use]
    pub const fn new(transmit_delay: Duration) -> Self {
        Self {
            losses: Losses::new(),
            echo: None,
            peer_rtt: Duration::ZERO,
            rtt: None,
            reported_loss_event_rate: 0,
            reported_marks: false,
            probing: false,
            transmit_delay,
        }
    }

    /// Says whether the path MTU is being probed (flag P), so that the peer does not take lost probes for congestion.
    pub const fn set_probing(&mut self, probing: bool) {
        self.probing = probing;
    }

    /// Says that the time between two payloads of ours has changed.
    pub const fn set_transmit_delay(&mut self, delay: Duration) {
        self.transmit_delay = delay;
    }

    /// Counts a payload that ESP opened under number `seq`; `marked` if its outer header said that it met congestion.
    pub fn received(&mut self, now: Instant, seq: u64, marked: bool, control: Option<&CongestionControl>) {
        self.losses.received(now, seq, marked, self.peer_rtt);
        let Some(control) = control else { return };
        self.peer_rtt = Duration::from_millis(control.rtt.into());
        if self.echo.is_none_or(|(echo, _)| echo != control.t_val) {
            self.echo = Some((control.t_val, now));
        }
        self.reported_loss_event_rate = control.loss_event_rate;
        self.reported_marks = control.congestion_experienced;
        if control.t_echo == 0 {
            return;
        }
        let there_and_back = stamp(now).wrapping_sub(control.t_echo);
        // What is longer than can be said is no answer to a stamp of ours.
        if let Some(sample) =
            there_and_back.checked_sub(control.echo_delay).filter(|millis| *millis < MAX_RTT)
        {
            let sample = Duration::from_millis(sample.into());
            self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 9 + sample) / 10));
        }
    }

    /// The header's fields for a payload that goes out at `now`.
    #[must_use]
    pub fn header(&self, now: Instant) -> CongestionControl {
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let (t_echo, echo_delay) =
            self.echo.map_or((0, 0), |(echo, came)| (echo, millis(now.saturating_since(came))));
        CongestionControl {
            probing: self.probing,
            congestion_experienced: self.losses.any_marked(),
            loss_event_rate: self.losses.mean_interval(),
            rtt: self.rtt.map_or(0, |rtt| millis(rtt).max(1)),
            echo_delay,
            transmit_delay: millis(self.transmit_delay),
            t_val: stamp(now),
            t_echo,
        }
    }

    /// What the peer's answers say of the path to it.
    #[must_use]
    pub const fn report(&self) -> PathReport {
        PathReport {
            rtt: self.rtt,
            loss_event_interval: self.reported_loss_event_rate,
            congestion_experienced: self.reported_marks,
        }
    }

    /// Payloads of the peer's from one loss event to the next, on average; 0 without any.
    #[must_use]
    pub fn loss_event_interval(&self) -> u32 {
        self.losses.mean_interval()
    }
}

/// Milliseconds, of which 0 stands for no stamp at all.
fn stamp(now: Instant) -> u32 {
    ((now.as_micros() / 1000) as u32).max(1)
}

/// Loss events of received numbers (RFC 5348 §5).
#[derive(Clone, Debug)]
struct Losses {
    /// The highest number so far.
    newest: u64,
    /// Bit n: number `newest - n` has come, or is accounted for.
    seen: u64,
    /// Where the last loss event began, and when.
    event: Option<(u64, Instant)>,
    /// Payloads between loss events, the newest first, and whether a mark began what ended it.
    intervals: [(u64, bool); WEIGHTS.len()],
    count: usize,
    began: u64,
}

impl Losses {
    const fn new() -> Self {
        Self {
            newest: 0,
            seen: u64::MAX,
            event: None,
            intervals: [(0, false); WEIGHTS.len()],
            count: 0,
            began: 0,
        }
    }

    fn received(&mut self, now: Instant, seq: u64, marked: bool, rtt: Duration) {
        if self.newest == 0 {
            (self.newest, self.began) = (seq, seq);
        } else if seq > self.newest {
            let by = seq - self.newest;
            self.seen = if by < PENDING { self.seen << by | 1 } else { 1 };
            if by >= PENDING {
                // All in between is lost, and no bit is left to say so.
                self.lost(now, self.newest + 1, false, rtt);
                self.seen = u64::MAX;
            }
            self.newest = seq;
        } else if let Some(bit) = 1u64.checked_shl(u32::try_from(self.newest - seq).unwrap_or(u32::MAX)) {
            self.seen |= bit;
        }
        if marked {
            self.lost(now, seq, true, rtt);
        }
        // From the oldest on: what has been overtaken often enough.
        let missing = !self.seen & !((1 << REORDERED) - 1);
        if missing != 0 {
            let mut left = missing;
            while left != 0 {
                let bit = 63 - left.leading_zeros();
                self.lost(now, self.newest - u64::from(bit), false, rtt);
                left &= !(1 << bit);
            }
            self.seen |= missing;
        }
    }

    /// A loss begins an event unless the last one began less than a round trip ago (RFC 5348 §5.2).
    fn lost(&mut self, now: Instant, seq: u64, marked: bool, rtt: Duration) {
        if let Some((_, began)) = self.event
            && now.saturating_since(began) <= rtt
        {
            return;
        }
        let from = self.event.map_or(self.began, |(seq, _)| seq);
        self.intervals.rotate_right(1);
        if let Some(first) = self.intervals.first_mut() {
            *first = (seq.saturating_sub(from).max(1), marked);
        }
        self.count = (self.count + 1).min(WEIGHTS.len());
        self.event = Some((seq, now));
    }

    fn any_marked(&self) -> bool {
        self.intervals.iter().take(self.count).any(|(_, marked)| *marked)
    }

    /// The weighted mean of RFC 5348 §5.4, the open interval counted where that makes it longer; 0 without any event.
    fn mean_interval(&self) -> u32 {
        let Some((event, _)) = self.event else { return 0 };
        let closed = || self.intervals.iter().take(self.count).map(|(len, _)| *len);
        let weighted = |lens: &mut dyn Iterator<Item = u64>| {
            let (mut sum, mut weights) = (0u64, 0);
            for (len, weight) in lens.zip(WEIGHTS) {
                sum = sum.saturating_add(len.saturating_mul(weight));
                weights += weight;
            }
            sum / weights.max(1)
        };
        let open = self.newest.saturating_sub(event);
        let mean = weighted(&mut closed()).max(weighted(&mut core::iter::once(open).chain(closed())));
        u32::try_from(mean).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn at(seq: u64) -> Instant {
        Instant::from_millis(10 * seq)
    }

    #[test]
    fn reordering_is_no_loss_and_three_numbers_make_one() {
        let mut losses = Losses::new();
        for seq in [1, 2, 4, 3, 5, 8, 7, 6, 9, 10, 11, 12] {
            losses.received(at(seq), seq, false, RTT);
        }
        assert_eq!(losses.mean_interval(), 0);
        for seq in [14, 15] {
            losses.received(at(seq), seq, false, RTT);
            assert_eq!(losses.mean_interval(), 0);
        }
        losses.received(at(16), 16, false, RTT);
        assert_eq!((losses.mean_interval(), losses.any_marked()), (12, false));
    }

    #[test]
    fn losses_within_a_round_trip_are_one_event() {
        let mut losses = Losses::new();
        // One of a hundred is lost, and its neighbour too.
        for seq in (1..=1000).filter(|seq| seq % 100 > 1) {
            losses.received(at(seq), seq, false, RTT);
        }
        assert_eq!((losses.count, losses.mean_interval()), (8, 100));
        // Without more the mean grows only when the open interval is longer than the others.
        for seq in 1001..=1100 {
            losses.received(at(seq), seq, false, RTT);
        }
        assert!((100..=118).contains(&losses.mean_interval()), "{}", losses.mean_interval());
        for seq in 1101..=9000 {
            losses.received(at(seq), seq, false, RTT);
        }
        assert!(losses.mean_interval() > 1000);
    }

    #[test]
    fn marks_count_as_losses() {
        let mut losses = Losses::new();
        for seq in 1..=450 {
            losses.received(at(seq), seq, seq % 50 == 0, RTT);
        }
        assert_eq!((losses.mean_interval(), losses.any_marked()), (50, true));
    }

    #[test]
    fn far_jumps_and_the_last_numbers_do_no_harm() {
        let mut losses = Losses::new();
        for (i, seq) in [1, 65, 66, 1 << 40, u64::MAX - 1, u64::MAX, 5, 0, u64::MAX].into_iter().enumerate() {
            losses.received(at(i as u64 * 100), seq, seq % 2 == 0, RTT);
        }
        assert!(losses.mean_interval() > 0);
    }

    #[test]
    fn round_trips_are_measured_without_the_time_that_a_stamp_was_held() {
        let (mut here, mut there) = (Congestion::new(RTT), Congestion::new(RTT));
        let mut now = Instant::from_millis(1000);
        for seq in 1..=30 {
            // 20 ms there, 7 ms of waiting, 30 ms back.
            let header = here.header(now);
            now += Duration::from_millis(20);
            there.received(now, seq, false, Some(&header));
            now += Duration::from_millis(7);
            let answer = there.header(now);
            assert_eq!((answer.t_echo, answer.echo_delay), (header.t_val, 7));
            now += Duration::from_millis(30);
            here.received(now, seq, false, Some(&answer));
            assert_eq!(here.report().rtt, Some(RTT));
        }
        assert_eq!(there.peer_rtt, RTT);
        assert_eq!((here.header(now).rtt, here.header(now).transmit_delay), (50, 50));
        // A stamp that was never sent.
        let foreign = CongestionControl { t_echo: 0xf000_0000, ..CongestionControl::default() };
        here.received(now, 31, false, Some(&foreign));
        assert_eq!(here.report().rtt, Some(RTT));
    }

    #[test]
    fn what_the_peer_reports_is_passed_on() {
        let mut here = Congestion::new(RTT);
        assert_eq!(here.report(), PathReport::default());
        let control =
            CongestionControl { loss_event_rate: 77, congestion_experienced: true, ..Default::default() };
        here.received(at(1), 1, false, Some(&control));
        let expected = PathReport { rtt: None, loss_event_interval: 77, congestion_experienced: true };
        assert_eq!(here.report(), expected);
        here.set_probing(true);
        here.set_transmit_delay(Duration::from_millis(3));
        assert!(here.header(at(2)).probing && here.header(at(2)).transmit_delay == 3);
    }
}
