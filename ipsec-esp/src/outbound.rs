//! Outbound ESP processing (RFC 4303 §3.3).

use alloc::boxed::Box;
use core::ops::Range;

use bytes::{BufMut, BytesMut};
use ipsec_crypto::CryptoProvider;
use ipsec_sa::snapshot::{OutboundState, ResumeError, Takeover};
use ipsec_sa::{Meter, Outer, ReservedSeq, SaParams, SequenceCounter};
use ipsec_wire::IpProtocol;
use rand_core::CryptoRng;

use crate::cipher::lifetimes;
use crate::flow_label::FlowLabel;
use crate::packet::BeetAddresses;
use crate::template::Fields;
use crate::transform::{EspTransform, Room};
use crate::{OuterHeader, SaError, SealError};

/// The outbound direction of an ESP SA.
#[derive(Debug)]
pub struct EspOutbound {
    transform: EspTransform,
    counter: SequenceCounter,
    meter: Meter,
    stats: OutboundStats,
    /// In BEET mode only.
    beet: Option<Box<BeetAddresses>>,
    tfc: bool,
    #[cfg(feature = "ipcomp")]
    ipcomp: Option<Box<crate::ipcomp::Association>>,
}

/// What happened to packets to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct OutboundStats {
    /// Refused because the sequence numbers are used up.
    pub exhausted: u64,
    /// Refused because the hard lifetime in octets or packets is used up.
    pub expired: u64,
    /// Refused for the packet or the buffer.
    pub refused: u64,
}

impl EspOutbound {
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
        let transform = EspTransform::new(params, provider, outer, rng)?;
        Ok(Self {
            transform,
            counter: SequenceCounter::new(params.sequence, params.sequence_floor),
            meter: Meter::new(&lifetimes(params, provider).hard),
            stats: OutboundStats::default(),
            beet: BeetAddresses::new(params)?.map(Box::new),
            tfc: params.tfc,
            #[cfg(feature = "ipcomp")]
            ipcomp: params.ipcomp.map(|cpis| Box::new(crate::ipcomp::Association::new(cpis.outbound))),
        })
    }

    /// Sets how an outer IPv6 header comes by its flow label; it stays zero without that.
    #[must_use]
    pub fn with_flow_label(mut self, rule: FlowLabel) -> Self {
        self.transform = self.transform.with_flow_label(rule);
        self
    }

    /// Seals the payload in place and returns where the packet lies in `buf`.
    ///
    /// `next` says what the payload is: in tunnel mode [`IpProtocol::IPV4`] or [`IpProtocol::IPV6`], in transport mode
    /// the upper layer's protocol, and for a dummy packet [`IpProtocol::NO_NEXT_HEADER`].
    ///
    /// # Errors
    /// [`SealError`]. Nothing is spent for a packet that does not fit; what is in the payload's range is unspecified
    /// after [`SealError::Crypto`].
    #[inline]
    pub fn seal_in_place(
        &mut self,
        buf: &mut [u8],
        payload: Range<usize>,
        next: IpProtocol,
    ) -> Result<Range<usize>, SealError> {
        let (seq, fields) = self.admit_with_fields(buf, &payload, next)?;
        self.transform.seal_admitted(&seq, None, Some(fields), buf, payload, next)
    }

    /// Seals the payload with zeros behind it up to `len` octets, which hide its length (TFC padding, RFC 4303 §2.7).
    ///
    /// # Errors
    /// [`SealError::Tfc`], and as [`EspOutbound::seal_in_place`].
    pub fn seal_padded(
        &mut self,
        buf: &mut [u8],
        payload: Range<usize>,
        next: IpProtocol,
        len: usize,
    ) -> Result<Range<usize>, SealError> {
        // The receiver finds the payload's end by the payload's own length.
        let known = matches!(next, IpProtocol::IPV4 | IpProtocol::IPV6 | IpProtocol::UDP);
        if !self.tfc || !known || len < payload.len() {
            self.count_refused();
            return Err(SealError::Tfc);
        }
        let padded = payload.start..payload.start.saturating_add(len);
        if let Err(error) = self.transform.check(buf.len(), &padded) {
            self.count_refused();
            return Err(error);
        }
        if let Some(padding) = buf.get_mut(payload.end..padded.end) {
            padding.fill(0);
        }
        self.seal_in_place(buf, padded, next)
    }

    /// Seals a dummy packet, which the receiver drops without a word (RFC 4303 §2.6). Its payload is what lies in the
    /// buffer; nobody looks at it.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_dummy(&mut self, buf: &mut [u8], payload: Range<usize>) -> Result<Range<usize>, SealError> {
        self.seal_in_place(buf, payload, IpProtocol::NO_NEXT_HEADER)
    }

    /// Appends the sealed payload to `out`: a convenience that copies the payload once.
    ///
    /// # Errors
    /// [`SealError`], and `out` is as it was.
    pub fn seal_to(&mut self, payload: &[u8], next: IpProtocol, out: &mut BytesMut) -> Result<(), SealError> {
        let Room { head, tail } = self.room(payload.len());
        let start = out.len();
        out.reserve(head + payload.len() + tail);
        out.put_bytes(0, head);
        out.put_slice(payload);
        out.put_bytes(0, tail);
        let at = start + head..start + head + payload.len();
        // The room is exact: the packet fills it.
        match self.seal_in_place(out, at, next) {
            Ok(_) => Ok(()),
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    pub(crate) fn beet(&self) -> Option<BeetAddresses> {
        self.beet.as_deref().copied()
    }

    #[cfg(feature = "ipcomp")]
    pub(crate) fn association(&self) -> Option<&crate::ipcomp::Association> {
        self.ipcomp.as_deref()
    }

    #[cfg(feature = "ipcomp")]
    pub(crate) fn association_mut(&mut self) -> Option<&mut crate::ipcomp::Association> {
        self.ipcomp.as_deref_mut()
    }

    #[cold]
    pub(crate) fn count_refused(&mut self) {
        self.stats.refused += 1;
    }

    /// Takes a sequence number for a packet that is known to fit, and counts it. It is spent by
    /// [`EspTransform::seal_at`], now or later, here or on another core.
    ///
    /// # Errors
    /// [`SealError`], and nothing is spent.
    #[inline]
    pub fn admit(
        &mut self,
        buf: &[u8],
        payload: &Range<usize>,
        next: IpProtocol,
    ) -> Result<ReservedSeq, SealError> {
        self.admit_with_fields(buf, payload, next).map(|(seq, _)| seq)
    }

    /// With what the outer header takes from the payload, which is asked once.
    #[inline]
    fn admit_with_fields(
        &mut self,
        buf: &[u8],
        payload: &Range<usize>,
        next: IpProtocol,
    ) -> Result<(ReservedSeq, Fields), SealError> {
        let admitted = self.transform.check(buf.len(), payload).and_then(|()| {
            let inner = buf.get(payload.clone()).ok_or(SealError::Range)?;
            let fields = self.transform.fields(next, inner)?;
            self.meter.check(inner.len() as u64).map_err(|_| SealError::Lifetime)?;
            let seq = self.counter.reserve().map_err(|_| SealError::Exhausted)?;
            Ok((seq, fields))
        });
        match &admitted {
            Ok(_) => self.meter.count(payload.len() as u64),
            Err(error) => self.count(*error),
        }
        admitted
    }

    #[cold]
    fn count(&mut self, error: SealError) {
        match error {
            SealError::Lifetime => self.stats.expired += 1,
            SealError::Exhausted => self.stats.exhausted += 1,
            _ => self.stats.refused += 1,
        }
    }

    /// The half that does not change from packet to packet.
    #[must_use]
    pub const fn transform(&self) -> &EspTransform {
        &self.transform
    }

    /// The room that a payload of `payload` octets needs around it.
    #[must_use]
    pub fn room(&self, payload: usize) -> Room {
        self.transform.room(payload)
    }

    /// Moves the SA to other outer addresses or another encapsulation.
    ///
    /// # Errors
    /// [`SaError::MixedFamilies`] or [`SaError::OuterHeader`], and nothing changes.
    pub fn update(&mut self, outer: &Outer) -> Result<(), SaError> {
        self.transform.update(outer)
    }

    /// The sequence numbers: how many are left, and whether a new SA is due.
    #[must_use]
    pub const fn sequence(&self) -> &SequenceCounter {
        &self.counter
    }

    /// The sequence numbers, to jump ahead.
    pub const fn sequence_mut(&mut self) -> &mut SequenceCounter {
        &mut self.counter
    }

    /// What moves in the SA, for a node that takes over; `epoch` is this node's.
    #[must_use]
    pub const fn state(&self, epoch: u64) -> OutboundState {
        OutboundState::take(self.transform.spi(), epoch, &self.counter, &self.meter)
    }

    /// Goes on with the SA of another node (RFC 6311 §5.2).
    ///
    /// # Errors
    /// [`ResumeError`], and nothing changes.
    pub fn resume(&mut self, state: &OutboundState, takeover: &Takeover) -> Result<(), ResumeError> {
        state.resume(takeover, self.transform.spi(), &mut self.counter, &mut self.meter)
    }

    /// Packets and payload octets sealed.
    #[must_use]
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What was not sealed.
    #[must_use]
    pub const fn stats(&self) -> &OutboundStats {
        &self.stats
    }
}
