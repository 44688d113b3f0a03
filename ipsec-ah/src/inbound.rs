//! Inbound AH processing (RFC 4302 §3.4).

use core::ops::Range;

use ipsec_crypto::{CryptoError, CryptoProvider};
use ipsec_sa::snapshot::{InboundState, ResumeError, Takeover};
use ipsec_sa::tunnel::inner_len;
use ipsec_sa::{Direction, Meter, Mode, ReplayError, ReplayWindow, SaParams};
use ipsec_wire::ike::SnId;
use ipsec_wire::ip::IpsecPlace;
use ipsec_wire::{AhView, IpProtocol, Spi};

use crate::mutable::{MAX_HEADERS, Purpose, zeroed};
use crate::transform::{FIXED_LEN, Transform};
use crate::{HeaderError, OpenError, SaError};

/// The inbound direction of an AH SA.
#[derive(Debug)]
pub struct AhInbound {
    transform: Transform,
    window: ReplayWindow,
    meter: Meter,
    stats: InboundStats,
}

/// A packet that was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Where the IP packet without AH lies: in tunnel mode the inner packet.
    pub packet: Range<usize>,
    /// What stood behind AH.
    pub next_header: IpProtocol,
    /// The whole sequence number.
    pub seq: u64,
}

/// What happened to packets received, by auditable event (RFC 4302 §3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct InboundStats {
    /// No AH, a cut off one, or one with an ICV of the wrong length.
    pub truncated: u64,
    /// Fragments.
    pub fragments: u64,
    /// Headers over which no ICV can be computed.
    pub bad_headers: u64,
    /// Seen before.
    pub replayed: u64,
    /// Below the window.
    pub out_of_window: u64,
    /// Not authentic.
    pub icv_failed: u64,
    /// Authentic, but a next header that the mode does not have.
    pub bad_next_header: u64,
    /// Authentic, but no IP packet inside.
    pub bad_inner: u64,
    /// Refused because the hard lifetime in octets or packets is used up.
    pub expired: u64,
}

impl AhInbound {
    /// An SA from what was negotiated.
    ///
    /// # Errors
    /// [`SaError`].
    pub fn new(params: &SaParams, provider: &CryptoProvider) -> Result<Self, SaError> {
        // Where numbers may repeat there is nothing to compare (RFC 9827).
        let window = if params.sequence == SnId::UNSPECIFIED_32 { 0 } else { params.replay_window };
        Ok(Self {
            transform: Transform::new(params, provider, Direction::Inbound)?,
            window: ReplayWindow::new(window).with_floor(params.sequence_floor),
            meter: Meter::new(&params.lifetimes.hard),
            stats: InboundStats::default(),
        })
    }

    /// Opens an IP packet in place, from its IP header on: in transport mode its headers move over AH and say what
    /// they said before.
    ///
    /// # Errors
    /// [`OpenError`]; the packet's contents are unspecified then. The window has moved only where the error says that
    /// the packet was authentic.
    pub fn open_in_place(&mut self, packet: &mut [u8]) -> Result<Opened, OpenError> {
        let opened = self.open(packet);
        if let Err(error) = &opened {
            self.count(*error);
        }
        opened
    }

    fn open(&mut self, packet: &mut [u8]) -> Result<Opened, OpenError> {
        let place = IpsecPlace::find(packet, Purpose::Open.seek()).map_err(HeaderError::from)?;
        let IpsecPlace { headers: at, next, total, is_ipv4, .. } = place;
        if next != IpProtocol::AH {
            return Err(OpenError::Truncated);
        }
        let packet = packet.get_mut(..total).ok_or(OpenError::Truncated)?;
        let (headers, rest) = packet.split_at_checked(at).ok_or(OpenError::Truncated)?;
        let view = AhView::parse(rest).map_err(|_| OpenError::Truncated)?;
        let ah = view.header_len();
        // IPv4 peers that pad to 64 bits are understood without being asked (RFC 4302 §3.3.3.2.1 wants 32).
        let fits = ah == self.transform.ah_len(true) || is_ipv4 && ah == self.transform.ah_len(false);
        if !fits {
            return Err(OpenError::IcvLength);
        }
        let seq = if self.transform.esn { self.window.infer(view.seq) } else { u64::from(view.seq) };
        self.window.check(seq).map_err(replay_error)?;
        self.meter.check(0).map_err(|_| OpenError::Lifetime)?;
        let mut copy = [0; MAX_HEADERS];
        let zero = zeroed(headers, Purpose::Open, &mut copy)?;
        let fixed = rest.get(..FIXED_LEN).ok_or(OpenError::Truncated)?;
        let (icv, padding) = view.icv.split_at_checked(self.transform.icv_len).ok_or(OpenError::IcvLength)?;
        self.transform.verify(zero, fixed, seq, padding, view.payload, icv).map_err(open_error)?;
        self.window.accept(seq).map_err(replay_error)?;

        let next_header = view.next_header;
        let range = match self.transform.mode {
            Mode::Tunnel => {
                if !matches!(next_header, IpProtocol::IPV4 | IpProtocol::IPV6) {
                    return Err(OpenError::NextHeader);
                }
                let len = inner_len(next_header, view.payload).ok_or(OpenError::Inner)?;
                at + ah..at + ah + len
            }
            _ => {
                packet.copy_within(..at, ah);
                let headers = packet.get_mut(ah..ah + at).ok_or(OpenError::Truncated)?;
                place.patch(headers, next_header, total - ah).ok_or(OpenError::Truncated)?;
                ah..total
            }
        };
        self.meter.count(range.len() as u64);
        Ok(Opened { packet: range, next_header, seq })
    }

    #[cold]
    fn count(&mut self, error: OpenError) {
        let counter = match error {
            OpenError::Truncated | OpenError::IcvLength => &mut self.stats.truncated,
            OpenError::Header(HeaderError::Fragment) => &mut self.stats.fragments,
            OpenError::Header(_) => &mut self.stats.bad_headers,
            OpenError::Replay => &mut self.stats.replayed,
            OpenError::OutOfWindow => &mut self.stats.out_of_window,
            OpenError::Icv | OpenError::Crypto => &mut self.stats.icv_failed,
            OpenError::NextHeader => &mut self.stats.bad_next_header,
            OpenError::Inner => &mut self.stats.bad_inner,
            OpenError::Lifetime => &mut self.stats.expired,
        };
        *counter += 1;
    }

    /// The SPI that its packets carry.
    #[must_use]
    pub const fn spi(&self) -> Spi {
        self.transform.spi
    }

    /// The replay window; of size 0 where protection is off.
    #[must_use]
    pub const fn window(&self) -> &ReplayWindow {
        &self.window
    }

    /// What moves in the SA, for a node that takes over; `epoch` is this node's.
    #[must_use]
    pub fn state(&self, epoch: u64) -> InboundState {
        InboundState::take(self.transform.spi, epoch, &self.window, &self.meter)
    }

    /// Goes on with the SA of another node (RFC 6311 §5.2).
    ///
    /// # Errors
    /// [`ResumeError`], and nothing changes.
    pub fn resume(&mut self, state: &InboundState, takeover: &Takeover) -> Result<(), ResumeError> {
        let last = if self.transform.esn { u64::MAX } else { u64::from(u32::MAX) };
        state.resume(takeover, self.transform.spi, last, &mut self.window, &mut self.meter)
    }

    /// Packets opened, and their octets after.
    #[must_use]
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What was not opened.
    #[must_use]
    pub const fn stats(&self) -> &InboundStats {
        &self.stats
    }
}

const fn replay_error(error: ReplayError) -> OpenError {
    match error {
        ReplayError::Replayed => OpenError::Replay,
        ReplayError::BelowWindow => OpenError::OutOfWindow,
    }
}

const fn open_error(error: CryptoError) -> OpenError {
    match error {
        CryptoError::Mismatch => OpenError::Icv,
        _ => OpenError::Crypto,
    }
}
