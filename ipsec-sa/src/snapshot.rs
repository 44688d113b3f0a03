//! An SA that another node takes over (RFC 6311): what moves in it, and the rules by which it goes on.
//!
//! The parameters of an SA do not change: a cluster hands them over once, keys included (`WithSecrets`, with the
//! feature `serde`). What moves is small and is handed over as often as the cluster likes ([`OutboundState`],
//! [`InboundState`]). Whoever takes over knows a state that is a little old, so outbound numbers jump ahead by more than
//! can have been sent since, and inbound windows move by what can have been received (RFC 6311 §5.2).
//!
//! Each time that a node becomes active it is given an epoch greater than all before ([`Takeover::epoch`]); states say
//! in which they were taken. A state of the same or a later epoch is refused, and so is one that would take an SA back.

#[cfg(feature = "serde")]
mod with_secrets;

use ipsec_wire::Spi;
use thiserror::Error;

use crate::{Meter, ReplayWindow, SequenceCounter};

#[cfg(feature = "serde")]
pub use with_secrets::WithSecrets;

/// What moves in an outbound SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OutboundState {
    /// Of the SA.
    pub spi: u32,
    /// Of the node that took it.
    pub epoch: u64,
    /// The last sequence number given out.
    pub sequence: u64,
    /// Packets sealed.
    pub packets: u64,
    /// Octets sealed.
    pub octets: u64,
}

/// What moves in an inbound SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InboundState {
    /// Of the SA.
    pub spi: u32,
    /// Of the node that took it.
    pub epoch: u64,
    /// The highest sequence number accepted. Which ones below it were not is not handed over: none of them is taken.
    pub top: u64,
    /// Packets opened.
    pub packets: u64,
    /// Octets opened.
    pub octets: u64,
}

/// How a node goes on with the SAs of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Takeover {
    /// Greater than that of every node that was active before.
    pub epoch: u64,
    /// Packets that an SA can have sent since its state was taken, at most: its numbers jump ahead by so many.
    pub sent: u64,
    /// Packets that an SA can have received since: its window moves by so many, and the peer has to be asked to do the
    /// same (IPSEC_REPLAY_COUNTER_SYNC), or its next packets are dropped.
    pub received: u64,
}

impl Takeover {
    /// For whoever cannot tell how much was sent (RFC 6311 §5.2). A rekey should follow soon.
    pub const LARGE: u64 = 1 << 30;
}

/// Why an SA does not go on from a state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum ResumeError {
    /// The state is of an SA with another SPI.
    #[error("state of another SA")]
    OtherSa,
    /// The state was taken in this epoch or a later one: somebody else has taken over, or the state comes from
    /// ourselves.
    #[error("state of this epoch or a later one")]
    Epoch,
    /// The SA has gone further here than the state says, with all that can have happened since.
    #[error("state is older than the SA")]
    RolledBack,
    /// So far ahead there are no numbers left; the SA needs a rekey.
    #[error("no sequence numbers are left so far ahead")]
    Exhausted,
}

impl OutboundState {
    /// The state of an SA at this moment.
    #[must_use]
    pub const fn take(spi: Spi, epoch: u64, counter: &SequenceCounter, meter: &Meter) -> Self {
        let (packets, octets) = (meter.packets(), meter.octets());
        Self { spi: spi.0, epoch, sequence: counter.last(), packets, octets }
    }

    /// Has the SA go on from here.
    ///
    /// # Errors
    /// [`ResumeError`], and nothing changes.
    pub fn resume(
        &self,
        takeover: &Takeover,
        spi: Spi,
        counter: &mut SequenceCounter,
        meter: &mut Meter,
    ) -> Result<(), ResumeError> {
        check(takeover, (self.spi, self.epoch), spi)?;
        let last = self.sequence.checked_add(takeover.sent).ok_or(ResumeError::Exhausted)?;
        let ahead = last.checked_sub(counter.last()).ok_or(ResumeError::RolledBack)?;
        if ahead >= counter.remaining() {
            return Err(ResumeError::Exhausted);
        }
        counter.skip(ahead);
        meter.resume(self.packets, self.octets, takeover.sent);
        Ok(())
    }
}

impl InboundState {
    /// The state of an SA at this moment.
    #[must_use]
    pub fn take(spi: Spi, epoch: u64, window: &ReplayWindow, meter: &Meter) -> Self {
        let (packets, octets) = (meter.packets(), meter.octets());
        Self { spi: spi.0, epoch, top: window.top(), packets, octets }
    }

    /// Has the SA go on from here: no number up to the top, and what can have come since, is taken again. `last` is the
    /// last number that the SA can have (2^32 - 1 or 2^64 - 1).
    ///
    /// # Errors
    /// [`ResumeError`], and nothing changes.
    pub fn resume(
        &self,
        takeover: &Takeover,
        spi: Spi,
        last: u64,
        window: &mut ReplayWindow,
        meter: &mut Meter,
    ) -> Result<(), ResumeError> {
        check(takeover, (self.spi, self.epoch), spi)?;
        let top = self.top.checked_add(takeover.received).filter(|top| *top < last);
        let top = top.ok_or(ResumeError::Exhausted)?;
        if top < window.top() {
            return Err(ResumeError::RolledBack);
        }
        *window = ReplayWindow::new(window.size()).with_floor(top);
        meter.resume(self.packets, self.octets, takeover.received);
        Ok(())
    }
}

fn check(takeover: &Takeover, (of, epoch): (u32, u64), spi: Spi) -> Result<(), ResumeError> {
    if of != spi.0 {
        return Err(ResumeError::OtherSa);
    }
    if epoch >= takeover.epoch {
        return Err(ResumeError::Epoch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lifetime, ReplayError};
    use ipsec_wire::ike::SnId;

    const SPI: Spi = Spi(0x1000);
    const TAKEOVER: Takeover = Takeover { epoch: 2, sent: 500, received: 300 };

    fn sent(packets: u64) -> OutboundState {
        let mut counter = SequenceCounter::new(SnId::SEQUENTIAL_32, 0);
        let mut meter = Meter::new(&Lifetime::default());
        for _ in 0..packets {
            counter.reserve().unwrap();
            meter.count(100);
        }
        OutboundState::take(SPI, 1, &counter, &meter)
    }

    #[test]
    fn outbound_numbers_jump_over_all_that_can_have_been_sent() {
        let state = sent(1000);
        let (mut counter, mut meter) =
            (SequenceCounter::new(SnId::SEQUENTIAL_32, 0), Meter::new(&Lifetime::default()));
        state.resume(&TAKEOVER, SPI, &mut counter, &mut meter).unwrap();
        assert_eq!(counter.reserve().unwrap().value(), 1501);
        assert_eq!((meter.packets(), meter.octets()), (1500, 150_000));
        // Once more from the same state would give the number out again.
        assert_eq!(state.resume(&TAKEOVER, SPI, &mut counter, &mut meter), Err(ResumeError::RolledBack));
        assert_eq!(counter.last(), 1501);
    }

    #[test]
    fn a_window_moves_and_takes_nothing_twice() {
        let (mut window, meter) = (ReplayWindow::new(64), Meter::new(&Lifetime::default()));
        for seq in [1, 2, 50, 100] {
            window.accept(seq).unwrap();
        }
        let state = InboundState::take(SPI, 1, &window, &meter);
        let (mut window, mut meter) = (ReplayWindow::new(64), Meter::new(&Lifetime::default()));
        state.resume(&TAKEOVER, SPI, u64::from(u32::MAX), &mut window, &mut meter).unwrap();
        assert_eq!((window.top(), window.size()), (400, 64));
        for seq in 0..=400 {
            assert!(window.check(seq).is_err(), "{seq}");
        }
        assert_eq!(window.check(400), Err(ReplayError::Replayed));
        assert_eq!(window.accept(401), Ok(()));
        window.accept(500).unwrap();
        let again = state.resume(&TAKEOVER, SPI, u64::from(u32::MAX), &mut window, &mut meter);
        assert_eq!((again, window.top()), (Err(ResumeError::RolledBack), 500));
    }

    #[test]
    fn states_of_others_and_of_later_epochs_are_refused() {
        let state = sent(10);
        let fresh = || (SequenceCounter::new(SnId::SEQUENTIAL_32, 0), Meter::new(&Lifetime::default()));
        for (epoch, spi, expected) in [
            (2, SPI, Ok(())),
            (1, SPI, Err(ResumeError::Epoch)),
            (0, SPI, Err(ResumeError::Epoch)),
            (2, Spi(0x1001), Err(ResumeError::OtherSa)),
        ] {
            let (mut counter, mut meter) = fresh();
            let takeover = Takeover { epoch, ..TAKEOVER };
            assert_eq!(state.resume(&takeover, spi, &mut counter, &mut meter), expected);
            assert_eq!(counter.last(), if expected.is_ok() { 510 } else { 0 });
        }
        let (mut counter, mut meter) = fresh();
        let far = Takeover { sent: u64::from(u32::MAX) - 10, ..TAKEOVER };
        assert_eq!(state.resume(&far, SPI, &mut counter, &mut meter), Err(ResumeError::Exhausted));
        let far = Takeover { sent: u64::MAX, ..TAKEOVER };
        assert_eq!(state.resume(&far, SPI, &mut counter, &mut meter), Err(ResumeError::Exhausted));
        let (mut window, mut meter) = (ReplayWindow::new(64), Meter::new(&Lifetime::default()));
        let inbound =
            InboundState { spi: SPI.0, epoch: 1, top: u64::from(u32::MAX) - 5, packets: 0, octets: 0 };
        let resumed = inbound.resume(&TAKEOVER, SPI, u64::from(u32::MAX), &mut window, &mut meter);
        assert_eq!((resumed, window.top()), (Err(ResumeError::Exhausted), 0));
    }
}
