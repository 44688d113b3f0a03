//! Inbound ESP processing (RFC 4303 §3.4): the number is checked, the packet verified, then the number accepted, and
//! only then is anything inside looked at.

use alloc::boxed::Box;
use core::ops::Range;

use ipsec_crypto::CryptoProvider;
use ipsec_sa::snapshot::{InboundState, ResumeError, Takeover};
use ipsec_sa::{Direction, Meter, Mode, ReplayError, ReplayWindow, SaParams};
use ipsec_wire::ike::SnId;
use ipsec_wire::{IpProtocol, Spi};

use crate::cipher::lifetimes;
use crate::packet::Rebuild;
use crate::padding;
use crate::resync::{Resync, ResyncPolicy};
use crate::transform::{EspTransform, Plaintext};
use crate::{OpenError, SaError};
use ipsec_sa::tunnel::inner_len;

/// The inbound direction of an ESP SA.
#[derive(Debug)]
pub struct EspInbound {
    transform: EspTransform,
    window: ReplayWindow,
    accepts: Accepts,
    meter: Meter,
    stats: InboundStats,
    /// In BEET mode and behind a translator only.
    rebuild: Option<Box<Rebuild>>,
    resync: Option<Box<Resync>>,
}

/// Next headers that tunnel mode takes beside IPv4, IPv6 and dummies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepts {
    ipcomp: Option<u16>,
    aggfrag: bool,
}

impl Accepts {
    pub(crate) fn new(params: &SaParams) -> Self {
        Self { ipcomp: params.ipcomp.map(|cpis| cpis.inbound), aggfrag: params.aggfrag }
    }

    /// How long the payload of an authentic packet is, and what.
    #[inline]
    pub(crate) fn payload(self, mode: Mode, plaintext: &[u8]) -> Result<(usize, IpProtocol), OpenError> {
        let (len, next) = padding::read(plaintext).ok_or(OpenError::Padding)?;
        if mode != Mode::Tunnel {
            return Ok((len, next));
        }
        let payload = plaintext.get(..len).ok_or(OpenError::Padding)?;
        let len = match next {
            IpProtocol::IPV4 | IpProtocol::IPV6 => inner_len(next, payload).ok_or(OpenError::Inner)?,
            IpProtocol::NO_NEXT_HEADER => len,
            IpProtocol::IPCOMP if self.ipcomp.is_some() => len,
            IpProtocol::AGGFRAG if self.aggfrag => len,
            _ => return Err(OpenError::NextHeader),
        };
        Ok((len, next))
    }
}

/// A packet that was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Where the payload lies in the packet. In tunnel mode that is the inner packet without TFC padding.
    pub payload: Range<usize>,
    /// What it is.
    pub next_header: IpProtocol,
    /// The whole sequence number.
    pub seq: u64,
}

impl Opened {
    /// Whether it is a dummy packet, to be dropped without a word (RFC 4303 §2.6).
    #[must_use]
    pub fn is_dummy(&self) -> bool {
        self.next_header == IpProtocol::NO_NEXT_HEADER
    }
}

/// What happened to packets received, by auditable event (RFC 4303 §3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct InboundStats {
    /// Too short, or not whole blocks.
    pub truncated: u64,
    /// Seen before.
    pub replayed: u64,
    /// Below the window.
    pub out_of_window: u64,
    /// Not authentic.
    pub icv_failed: u64,
    /// Authentic, but wrong padding.
    pub bad_padding: u64,
    /// Authentic, but a next header that the mode does not have.
    pub bad_next_header: u64,
    /// Authentic, but no IP packet inside.
    pub bad_inner: u64,
    /// Refused because the hard lifetime in octets or packets is used up.
    pub expired: u64,
    /// Dummy packets.
    pub dummies: u64,
    /// Fragments.
    pub fragments: u64,
    /// No IP packet with ESP.
    pub bad_headers: u64,
    /// Dropped for congestion that the inner packet's transport does not know.
    pub congestion: u64,
    /// Inner and outer ECN field could not both be what an ingress wrote (RFC 6040 §4.2); the packets went on.
    pub ecn_alarms: u64,
    /// Authentic, but the compressed payload is not what was negotiated.
    pub bad_compression: u64,
    /// Authentic, but expands to more than there was room for.
    pub too_large: u64,
    /// Numbers tried in a subspace further ahead than the window tells ([`ResyncPolicy`]).
    pub resync_tried: u64,
}

impl EspInbound {
    /// An SA from what was negotiated.
    ///
    /// # Errors
    /// [`SaError`].
    pub fn new(params: &SaParams, provider: &CryptoProvider) -> Result<Self, SaError> {
        if params.direction != Direction::Inbound {
            return Err(SaError::Direction);
        }
        let transform = EspTransform::for_opening(params, provider)?;
        // Where numbers may repeat there is nothing to compare (RFC 9827).
        let window = if params.sequence == SnId::UNSPECIFIED_32 { 0 } else { params.replay_window };
        Ok(Self {
            transform,
            window: ReplayWindow::new(window).with_floor(params.sequence_floor),
            accepts: Accepts::new(params),
            meter: Meter::new(&lifetimes(params, provider).hard),
            stats: InboundStats::default(),
            rebuild: Rebuild::new(params)?.map(Box::new),
            resync: None,
        })
    }

    /// Lets an SA with 64-bit numbers find its peer again that has gone ahead by more than 2^32 packets.
    #[must_use]
    pub fn with_resync(mut self, policy: ResyncPolicy) -> Self {
        self.resync = self.transform.is_esn().then(|| Box::new(Resync::new(policy)));
        self
    }

    /// Opens a packet in place. `packet` starts at the SPI and ends with the ICV.
    ///
    /// # Errors
    /// [`OpenError`]; the packet's contents are unspecified then. The window has moved only where the error says that
    /// the packet was authentic.
    #[inline]
    pub fn open_in_place(&mut self, packet: &mut [u8]) -> Result<Opened, OpenError> {
        let opened = self.open(packet);
        match &opened {
            Ok(opened) if opened.is_dummy() => self.stats.dummies += 1,
            Ok(_) => {}
            Err(error) => self.count(*error),
        }
        opened
    }

    #[inline]
    fn open(&mut self, packet: &mut [u8]) -> Result<Opened, OpenError> {
        let low = match packet {
            [_, _, _, _, a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
            _ => return Err(OpenError::Truncated),
        };
        let mut seq = if self.transform.is_esn() { self.window.infer(low) } else { u64::from(low) };
        if let Some(resync) = &mut self.resync
            && let Some(further) = resync.candidate(seq)
        {
            self.stats.resync_tried += 1;
            seq = further;
        }
        self.window.check(seq).map_err(replay_error)?;
        self.meter.check(0).map_err(|_| OpenError::Lifetime)?;
        let opened = self.transform.open(seq, packet);
        if let Some(resync) = &mut self.resync {
            resync.tell(&opened);
        }
        let Plaintext { start, end } = opened?;
        self.window.accept(seq).map_err(replay_error)?;

        let plaintext = packet.get(start..end).ok_or(OpenError::Truncated)?;
        let (len, next_header) = self.accepts.payload(self.transform.mode(), plaintext)?;
        self.meter.count(len as u64);
        Ok(Opened { payload: start..start + len, next_header, seq })
    }

    #[cold]
    pub(crate) fn count(&mut self, error: OpenError) {
        let counter = match error {
            OpenError::Truncated => &mut self.stats.truncated,
            OpenError::Replay => &mut self.stats.replayed,
            OpenError::OutOfWindow => &mut self.stats.out_of_window,
            OpenError::Icv | OpenError::Crypto => &mut self.stats.icv_failed,
            OpenError::Padding => &mut self.stats.bad_padding,
            OpenError::NextHeader => &mut self.stats.bad_next_header,
            OpenError::Inner => &mut self.stats.bad_inner,
            OpenError::Lifetime => &mut self.stats.expired,
            OpenError::Fragment => &mut self.stats.fragments,
            OpenError::Header => &mut self.stats.bad_headers,
            OpenError::Congestion => &mut self.stats.congestion,
            OpenError::Compression => &mut self.stats.bad_compression,
            OpenError::Expansion => &mut self.stats.too_large,
        };
        *counter += 1;
    }

    #[cold]
    pub(crate) fn count_ecn_alarm(&mut self) {
        self.stats.ecn_alarms += 1;
    }

    pub(crate) fn rebuild(&self) -> Rebuild {
        self.rebuild.as_deref().copied().unwrap_or_default()
    }

    /// The CPI of compressed packets to us, where IPComp was negotiated.
    #[must_use]
    pub const fn ipcomp_cpi(&self) -> Option<u16> {
        self.accepts.ipcomp
    }

    /// The SPI that its packets carry.
    #[must_use]
    pub const fn spi(&self) -> Spi {
        self.transform.spi()
    }

    /// The half that does not change from packet to packet.
    #[must_use]
    pub const fn transform(&self) -> &EspTransform {
        &self.transform
    }

    /// The replay window; of size 0 where protection is off, as it always is with unspecified numbers (RFC 9827).
    #[must_use]
    pub const fn window(&self) -> &ReplayWindow {
        &self.window
    }

    /// What moves in the SA, for a node that takes over; `epoch` is this node's.
    #[must_use]
    pub fn state(&self, epoch: u64) -> InboundState {
        InboundState::take(self.spi(), epoch, &self.window, &self.meter)
    }

    /// Goes on with the SA of another node (RFC 6311 §5.2).
    ///
    /// # Errors
    /// [`ResumeError`], and nothing changes.
    pub fn resume(&mut self, state: &InboundState, takeover: &Takeover) -> Result<(), ResumeError> {
        let last = if self.transform.is_esn() { u64::MAX } else { u64::from(u32::MAX) };
        state.resume(takeover, self.transform.spi(), last, &mut self.window, &mut self.meter)
    }

    /// Packets and payload octets opened.
    #[must_use]
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What was not opened, and dummies.
    #[must_use]
    pub const fn stats(&self) -> &InboundStats {
        &self.stats
    }
}

pub(crate) const fn replay_error(error: ReplayError) -> OpenError {
    match error {
        ReplayError::Replayed => OpenError::Replay,
        ReplayError::BelowWindow => OpenError::OutOfWindow,
    }
}
