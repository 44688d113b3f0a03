//! One SA that several cores use at once: everything on `&self`. It does payloads, in the modes and with the outer headers
//! that [`EspTransform`] writes alone.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use ipsec_crypto::CryptoProvider;
use ipsec_sa::{Direction, SaParams, SharedReplayWindow, SharedSequenceCounter};
use ipsec_wire::ike::SnId;
use ipsec_wire::{IpProtocol, Spi};
use rand_core::CryptoRng;

use crate::cipher::lifetimes;
use crate::inbound::{Accepts, replay_error};
use crate::transform::{EspTransform, Plaintext};
use crate::{OpenError, Opened, OuterHeader, SaError, SealError};

/// Octets processed under a hard limit.
#[derive(Debug)]
struct Octets {
    used: AtomicU64,
    limit: u64,
}

impl Octets {
    fn new(limit: Option<u64>) -> Self {
        // Attempts that are refused must not wrap it either.
        Self { used: AtomicU64::new(0), limit: limit.unwrap_or(u64::MAX).min(u64::MAX - (1 << 48)) }
    }

    /// Takes `len` octets, unless they are too many.
    #[inline]
    fn take(&self, len: usize) -> bool {
        let len = len as u64;
        if self.used.fetch_add(len, Ordering::Relaxed) <= self.limit.saturating_sub(len) {
            return true;
        }
        self.used.fetch_sub(len, Ordering::Relaxed);
        false
    }

    fn is_used_up(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit
    }
}

/// The outbound direction of an ESP SA that several cores share.
#[derive(Debug)]
pub struct SharedOutbound {
    transform: EspTransform,
    counter: SharedSequenceCounter,
    octets: Octets,
}

impl SharedOutbound {
    /// An SA from what was negotiated. `rng` is asked once, and only for a cipher whose IVs must not be foretold.
    ///
    /// # Errors
    /// [`SaError`].
    pub fn new(
        params: &SaParams,
        provider: &CryptoProvider,
        outer: OuterHeader,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, SaError> {
        let hard = lifetimes(params, provider).hard;
        let counter = SharedSequenceCounter::new(params.sequence, params.sequence_floor);
        Ok(Self {
            transform: EspTransform::new(params, provider, outer, rng)?,
            counter: counter.with_at_most(hard.packets.unwrap_or(u64::MAX)),
            octets: Octets::new(hard.octets),
        })
    }

    /// As [`crate::EspOutbound::seal_in_place`]; the hard lifetime in packets ends as the sequence numbers do.
    ///
    /// # Errors
    /// [`SealError`]. Nothing is spent for a packet that does not fit.
    #[inline]
    pub fn seal_in_place(
        &self,
        buf: &mut [u8],
        payload: Range<usize>,
        next: IpProtocol,
    ) -> Result<Range<usize>, SealError> {
        self.transform.check(buf.len(), &payload)?;
        let inner = buf.get(payload.clone()).ok_or(SealError::Range)?;
        let fields = self.transform.fields(next, inner)?;
        if !self.octets.take(inner.len()) {
            return Err(SealError::Lifetime);
        }
        let seq = self.counter.reserve().map_err(|_| SealError::Exhausted)?;
        self.transform.seal_admitted(&seq, None, Some(fields), buf, payload, next)
    }

    /// The half that does not change from packet to packet.
    #[must_use]
    pub const fn transform(&self) -> &EspTransform {
        &self.transform
    }

    /// The sequence numbers: how many are left, and whether a new SA is due.
    #[must_use]
    pub const fn sequence(&self) -> &SharedSequenceCounter {
        &self.counter
    }
}

/// The inbound direction of an ESP SA that several cores share.
#[derive(Debug)]
pub struct SharedInbound {
    transform: EspTransform,
    window: SharedReplayWindow,
    accepts: Accepts,
    octets: Octets,
}

impl SharedInbound {
    /// An SA from what was negotiated. Hard lifetimes in packets end at the sender.
    ///
    /// # Errors
    /// [`SaError`].
    pub fn new(params: &SaParams, provider: &CryptoProvider) -> Result<Self, SaError> {
        if params.direction != Direction::Inbound {
            return Err(SaError::Direction);
        }
        // Where numbers may repeat there is nothing to compare (RFC 9827).
        let window = if params.sequence == SnId::UNSPECIFIED_32 { 0 } else { params.replay_window };
        Ok(Self {
            transform: EspTransform::for_opening(params, provider)?,
            window: SharedReplayWindow::new(window, params.sequence_floor),
            accepts: Accepts::new(params),
            octets: Octets::new(lifetimes(params, provider).hard.octets),
        })
    }

    /// As [`crate::EspInbound::open_in_place`]. Of several cores that open the same packet, one succeeds.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is counted here.
    #[inline]
    pub fn open_in_place(&self, packet: &mut [u8]) -> Result<Opened, OpenError> {
        let low = match packet {
            [_, _, _, _, a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
            _ => return Err(OpenError::Truncated),
        };
        let seq = if self.transform.is_esn() { self.window.infer(low) } else { u64::from(low) };
        self.window.check(seq).map_err(replay_error)?;
        if self.octets.is_used_up() {
            return Err(OpenError::Lifetime);
        }
        let Plaintext { start, end } = self.transform.open(seq, packet)?;
        self.window.accept(seq).map_err(replay_error)?;
        let plaintext = packet.get(start..end).ok_or(OpenError::Truncated)?;
        let (len, next_header) = self.accepts.payload(self.transform.mode(), plaintext)?;
        if !self.octets.take(len) {
            return Err(OpenError::Lifetime);
        }
        Ok(Opened { payload: start..start + len, next_header, seq })
    }

    /// The SPI that its packets carry.
    #[must_use]
    pub const fn spi(&self) -> Spi {
        self.transform.spi()
    }

    /// The replay window.
    #[must_use]
    pub const fn window(&self) -> &SharedReplayWindow {
        &self.window
    }
}
