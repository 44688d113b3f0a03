//! Outbound AH processing (RFC 4302 §3.3).

use core::net::IpAddr;
use core::ops::Range;

use ipsec_crypto::CryptoProvider;
use ipsec_sa::snapshot::{OutboundState, ResumeError, Takeover};
use ipsec_sa::tunnel::OuterFields;
use ipsec_sa::{Direction, HeaderPolicy, Meter, Mode, Outer, SaParams, SequenceCounter};
use ipsec_wire::ip::{IpsecPlace, Ipv4Header, Ipv6Header};
use ipsec_wire::{AhView, IpProtocol};

use crate::mutable::{MAX_HEADERS, Purpose, zeroed};
use crate::transform::{FIXED_LEN, Transform};
use crate::{HeaderError, SaError, SealError};

/// TTL and hop limit of an outer header.
const HOP_LIMIT: u8 = 64;

/// The outbound direction of an AH SA.
#[derive(Debug)]
pub struct AhOutbound {
    transform: Transform,
    outer: Outer,
    policy: HeaderPolicy,
    pad_ipv4_to_64: bool,
    counter: SequenceCounter,
    meter: Meter,
    stats: OutboundStats,
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

/// What is to be written in front of the payload.
struct Plan {
    /// The packet's own headers in transport mode; in tunnel mode none of it.
    split: IpsecPlace,
    fields: OuterFields,
    next: IpProtocol,
    /// Octets of headers in front of AH in the sealed packet.
    headers: usize,
    ah: usize,
    total: usize,
}

impl AhOutbound {
    /// An SA from what was negotiated.
    ///
    /// # Errors
    /// [`SaError`].
    pub fn new(params: &SaParams, provider: &CryptoProvider) -> Result<Self, SaError> {
        Ok(Self {
            transform: Transform::new(params, provider, Direction::Outbound)?,
            outer: params.outer,
            policy: params.header,
            pad_ipv4_to_64: false,
            counter: SequenceCounter::new(params.sequence, params.sequence_floor),
            meter: Meter::new(&params.lifetimes.hard),
            stats: OutboundStats::default(),
        })
    }

    /// Pads the ICV to 64 bits over IPv4 too, for peers that ask for it; RFC 4302 §3.3.3.2.1 wants 32.
    #[must_use]
    pub const fn with_ipv4_padded_to_64_bits(mut self, pad: bool) -> Self {
        self.pad_ipv4_to_64 = pad;
        self
    }

    /// Octets needed in front of a packet.
    #[must_use]
    pub fn room(&self) -> usize {
        match (self.transform.mode, self.outer.remote) {
            (Mode::Tunnel, IpAddr::V4(_)) => Ipv4Header::LEN + self.transform.ah_len(self.pad_ipv4_to_64),
            (Mode::Tunnel, IpAddr::V6(_)) => Ipv6Header::LEN + self.transform.ah_len(true),
            _ => self.transform.ah_len(true),
        }
    }

    /// Seals the IP packet in place: in transport mode AH is put behind its headers, which move to the front; in
    /// tunnel mode an outer header and AH are put before it. Returns where the sealed packet lies in `buf`.
    ///
    /// Octets behind the length that the packet's header declares are left behind.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_in_place(&mut self, buf: &mut [u8], packet: Range<usize>) -> Result<Range<usize>, SealError> {
        let sealed = self.seal(buf, packet);
        match &sealed {
            Ok(_) => {}
            Err(SealError::Exhausted) => self.stats.exhausted += 1,
            Err(SealError::Lifetime) => self.stats.expired += 1,
            Err(_) => self.stats.refused += 1,
        }
        sealed
    }

    fn seal(&mut self, buf: &mut [u8], packet: Range<usize>) -> Result<Range<usize>, SealError> {
        let plan = self.plan(buf.get(packet.clone()).ok_or(SealError::Range)?)?;
        let moved = if self.transform.mode == Mode::Tunnel { plan.headers + plan.ah } else { plan.ah };
        let start = packet.start.checked_sub(moved).ok_or(SealError::NoRoom { head: moved })?;
        self.meter.check(plan.split.total as u64).map_err(|_| SealError::Lifetime)?;
        let range = start..start + plan.total;
        let sealed = buf.get_mut(range.clone()).ok_or(SealError::Range)?;
        let seq = self.counter.reserve().map_err(|_| SealError::Exhausted)?;
        if self.transform.mode == Mode::Transport {
            sealed.copy_within(plan.ah..plan.ah + plan.split.headers, 0);
        }
        let id = (seq.low() ^ self.transform.spi.0) as u16;
        let (headers, rest) = sealed.split_at_mut_checked(plan.headers).ok_or(SealError::Range)?;
        self.write_headers(headers, &plan, id).ok_or(SealError::Range)?;

        let (ah, payload) = rest.split_at_mut_checked(plan.ah).ok_or(SealError::Range)?;
        let (fixed, icv) = ah.split_at_mut_checked(FIXED_LEN).ok_or(SealError::Range)?;
        let header = AhView::header(plan.next, icv.len(), self.transform.spi, seq.low());
        fixed.copy_from_slice(&header.ok_or(SealError::Crypto)?);
        let (icv, padding) = icv.split_at_mut_checked(self.transform.icv_len).ok_or(SealError::Crypto)?;
        padding.fill(0);
        let mut copy = [0; MAX_HEADERS];
        let headers = zeroed(headers, Purpose::Seal, &mut copy)?;
        let signed = self.transform.sign(headers, fixed, seq.value(), padding, payload, icv);
        signed.map_err(|_| SealError::Crypto)?;
        self.meter.count(plan.split.total as u64);
        Ok(range)
    }

    /// Looks at everything that can be refused, before a number is spent.
    fn plan(&self, packet: &[u8]) -> Result<Plan, SealError> {
        let tunnel = self.transform.mode == Mode::Tunnel;
        let inner = IpsecPlace::find(packet, Purpose::Seal.seek()).map_err(HeaderError::from);
        // What is inside a tunnel may be a fragment and have any options.
        let inner = if tunnel { self.tunnelled(packet)? } else { inner? };
        let is_ipv4 = if tunnel { self.outer.remote.is_ipv4() } else { inner.is_ipv4 };
        let headers = match (tunnel, is_ipv4) {
            (true, true) => Ipv4Header::LEN,
            (true, false) => Ipv6Header::LEN,
            (false, _) => inner.headers,
        };
        let next = match (tunnel, inner.is_ipv4) {
            (true, true) => IpProtocol::IPV4,
            (true, false) => IpProtocol::IPV6,
            (false, _) => inner.next,
        };
        let fields = if tunnel {
            OuterFields::new(&self.policy, next, packet).ok_or(HeaderError::Malformed)?
        } else {
            let own = packet.get(..inner.headers).ok_or(HeaderError::Malformed)?;
            zeroed(own, Purpose::Seal, &mut [0; MAX_HEADERS])?;
            OuterFields::default()
        };
        let ah = self.transform.ah_len(!is_ipv4 || self.pad_ipv4_to_64);
        let total = inner.total + ah + if tunnel { headers } else { 0 };
        let counted = if is_ipv4 { total } else { total - Ipv6Header::LEN };
        if counted > usize::from(u16::MAX) {
            return Err(SealError::TooLong);
        }
        Ok(Plan { split: inner, fields, next, headers, ah, total })
    }

    /// The inner packet of a tunnel: only its version and length count.
    fn tunnelled(&self, packet: &[u8]) -> Result<IpsecPlace, HeaderError> {
        let is_ipv4 = packet.first().is_some_and(|first| first >> 4 == 4);
        let next = if is_ipv4 { IpProtocol::IPV4 } else { IpProtocol::IPV6 };
        let total = ipsec_sa::tunnel::inner_len(next, packet).ok_or(HeaderError::Malformed)?;
        Ok(IpsecPlace { headers: 0, next_at: 0, next, total, is_ipv4 })
    }

    fn write_headers(&self, headers: &mut [u8], plan: &Plan, id: u16) -> Option<()> {
        let length = plan.total as u16;
        let payload = plan.total.saturating_sub(Ipv6Header::LEN) as u16;
        let OuterFields { traffic_class, dont_fragment: df } = plan.fields;
        match (self.transform.mode, self.outer.local, self.outer.remote) {
            (Mode::Tunnel, IpAddr::V4(src), IpAddr::V4(dst)) => {
                let (ttl, protocol) = (HOP_LIMIT, IpProtocol::AH);
                let header = Ipv4Header { tos: traffic_class, id, df, ttl, protocol, src, dst };
                headers.copy_from_slice(header.emit(length).get(..headers.len())?);
            }
            (Mode::Tunnel, IpAddr::V6(src), IpAddr::V6(dst)) => {
                let (hop_limit, next_header, flow_label) = (HOP_LIMIT, IpProtocol::AH, 0);
                let header = Ipv6Header { traffic_class, flow_label, next_header, hop_limit, src, dst };
                headers.copy_from_slice(header.emit(payload).get(..headers.len())?);
            }
            _ => plan.split.patch(headers, IpProtocol::AH, plan.total)?,
        }
        Some(())
    }

    /// Moves the SA to other outer addresses (RFC 4555 §3.5).
    ///
    /// # Errors
    /// [`SaError::MixedFamilies`] or [`SaError::Encapsulation`], and nothing changes.
    pub fn update(&mut self, outer: &Outer) -> Result<(), SaError> {
        if outer.local.is_ipv4() != outer.remote.is_ipv4() {
            return Err(SaError::MixedFamilies);
        }
        if outer.encapsulation != ipsec_sa::Encapsulation::None {
            return Err(SaError::Encapsulation);
        }
        self.outer = *outer;
        Ok(())
    }

    /// The SPI that its packets carry.
    #[must_use]
    pub const fn spi(&self) -> ipsec_wire::Spi {
        self.transform.spi
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
        OutboundState::take(self.transform.spi, epoch, &self.counter, &self.meter)
    }

    /// Goes on with the SA of another node (RFC 6311 §5.2).
    ///
    /// # Errors
    /// [`ResumeError`], and nothing changes.
    pub fn resume(&mut self, state: &OutboundState, takeover: &Takeover) -> Result<(), ResumeError> {
        state.resume(takeover, self.transform.spi, &mut self.counter, &mut self.meter)
    }

    /// Packets sealed, and their octets before.
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
