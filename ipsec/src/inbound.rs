//! What comes from the outside: datagrams of sockets, and whole IP packets (RFC 4301 §5.2).

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::time::Duration;

use alloc::vec::Vec;
use ikev2_core::{Endpoint, Input, Path, Transport};
use ipsec_esp::OpenError;
use ipsec_esp::tunnel::{Decapsulated, Ecn, apply_ecn};
use ipsec_sa::pmtu::TooBig;
use ipsec_sa::{Direction, Flow, Instant, Mode, PolicyAction, Reassembled};
use ipsec_wire::{IpProtocol, IpView, Spi, UdpEncapRange, locate_udp_encap};

use crate::child::{Child, Inbound};
use crate::inner::announced;
use crate::{DropReason, Meta, Output, Received, Stack};

/// How often at most the endpoint is told that packets come in on a Child SA, or that they come another way.
const TELL: Duration = Duration::from_secs(1);
/// How long packets may be late that were sealed with an SA that is gone.
const LATE: Duration = Duration::from_secs(10);
/// SAs around one packet at most.
pub(crate) const MAX_NESTED: usize = 4;
/// Whose fragments vouch for each other: packets in clear.
const CLEAR: u32 = 1;

/// What a whole packet from the outside is.
enum Kind {
    Protected(Spi),
    /// On IKE's port, or behind the marker on the encapsulation port.
    Ike(Path),
    Keepalive,
    Fragment,
    Clear,
}

impl Stack {
    /// Takes a datagram from the outside: IKE, a keepalive or ESP, by the path's transport. ESP is opened in place.
    ///
    /// [`Stack::poll_output`] is to be called afterwards when this is not [`Received::Inner`]; it may be called then.
    pub fn handle_datagram(&mut self, now: Instant, meta: Meta, buf: &mut [u8]) -> Received {
        let esp = match meta.path.transport {
            Transport::UdpEncap | Transport::Tcp(_) => match locate_udp_encap(buf) {
                UdpEncapRange::Esp(range) => range,
                UdpEncapRange::Keepalive => {
                    self.stats.keepalives += 1;
                    return Received::Keepalive;
                }
                UdpEncapRange::Ike(_) => return self.handle_ike(now, meta, buf),
                UdpEncapRange::TooShort => return self.refuse(DropReason::Unclassified),
            },
            Transport::Udp => return self.handle_ike(now, meta, buf),
            Transport::Ip => 0..buf.len(),
            _ => return self.refuse(DropReason::Unclassified),
        };
        let start = esp.start;
        let received = match self.open(now, meta, buf, esp) {
            Ok(received) => received,
            Err(reason) => {
                if reason == DropReason::UnknownSpi && self.config.tell_unknown_spis {
                    self.tell_unknown(now, meta.path, buf.get(start..));
                }
                self.refuse(reason)
            }
        };
        if self.stirred {
            self.pump(now);
        }
        received
    }

    /// Takes a whole IP packet from the outside: ESP and AH, encapsulated or not and one in another, IKE, ICMP about our
    /// packets, and what comes in clear. It is for whoever owns the wire instead of sockets; `packet` is opened in
    /// place. Our own addresses are those of connections and SAs, and [`Stack::add_address`]. Fragments to them are put
    /// together first, and come out of [`Stack::poll_output`].
    pub fn handle_packet(&mut self, now: Instant, packet: &mut [u8]) -> Received {
        let all = 0..packet.len();
        let received = match self.packet(now, packet, all) {
            Ok(received) => received,
            Err(reason) => self.refuse(reason),
        };
        if self.stirred {
            self.pump(now);
        }
        received
    }

    fn packet(&mut self, now: Instant, buf: &mut [u8], mut at: Range<usize>) -> Result<Received, DropReason> {
        let mut through: Option<Spi> = None;
        for _ in 0..MAX_NESTED {
            let packet = buf.get_mut(at.clone()).ok_or(DropReason::Unclassified)?;
            let kind = match (self.kind(packet)?, through) {
                // Only ESP and AH nest; anything else that came out of an SA is for the inside.
                (kind @ Kind::Protected(_), _) | (kind, None) => kind,
                (_, Some(sa)) => return Ok(self.hand_on(at, sa)),
            };
            match kind {
                Kind::Protected(spi) => {
                    if through.is_none() {
                        self.check_whole(now, spi, packet)?;
                    }
                    let taken = self.open_whole(now, spi, packet)?;
                    at = at.start + taken.start..at.start + taken.end;
                    through = Some(spi);
                }
                Kind::Ike(path) => {
                    let ecn = ecn_of(packet).bits();
                    let payload = udp_payload(packet).ok_or(DropReason::Unclassified)?;
                    let data = packet.get_mut(payload).ok_or(DropReason::Unclassified)?;
                    return Ok(self.handle_ike(now, Meta { path, ecn }, data));
                }
                Kind::Keepalive => {
                    self.stats.keepalives += 1;
                    return Ok(Received::Keepalive);
                }
                Kind::Fragment => return self.reassemble(now, packet),
                Kind::Clear => return self.clear(now, packet, at),
            }
        }
        Err(DropReason::Inner)
    }

    fn kind(&self, packet: &[u8]) -> Result<Kind, DropReason> {
        let view = IpView::parse(packet).map_err(|_| DropReason::Unclassified)?;
        let (upper, dst) = (view.upper_layer(), view.dst());
        if !self.addresses.contains(&dst) {
            return Ok(Kind::Clear);
        }
        let protected = matches!(upper.protocol, IpProtocol::ESP | IpProtocol::AH);
        if upper.fragment.is_some_and(|fragment| fragment.offset != 0 || fragment.more) {
            let ours = protected || upper.protocol == IpProtocol::UDP;
            return Ok(if ours { Kind::Fragment } else { Kind::Clear });
        }
        let payload = view.upper_payload();
        let spi = match (upper.protocol, payload) {
            (IpProtocol::ESP, [a, b, c, d, ..]) | (IpProtocol::AH, [_, _, _, _, a, b, c, d, ..]) => {
                [*a, *b, *c, *d]
            }
            (IpProtocol::ESP | IpProtocol::AH, _) => return Err(DropReason::Unclassified),
            (IpProtocol::UDP, [a, b, c, d, _, _, _, _, datagram @ ..]) => {
                let [from, to] = [[*a, *b], [*c, *d]].map(u16::from_be_bytes);
                let (local, remote) = (SocketAddr::new(dst, to), SocketAddr::new(view.src(), from));
                let ports = &self.config.ports;
                if to == ports.ike {
                    return Ok(Kind::Ike(Path::udp(local, remote)));
                }
                if to != ports.encap {
                    return Ok(Kind::Clear);
                }
                match (locate_udp_encap(datagram), datagram) {
                    (UdpEncapRange::Esp(_), [a, b, c, d, ..]) => [*a, *b, *c, *d],
                    (UdpEncapRange::Ike(_), _) => return Ok(Kind::Ike(Path::udp_encap(local, remote))),
                    (UdpEncapRange::Keepalive, _) => return Ok(Kind::Keepalive),
                    _ => return Err(DropReason::Unclassified),
                }
            }
            _ => return Ok(Kind::Clear),
        };
        Ok(Kind::Protected(Spi::from_bytes(spi)))
    }

    /// A packet of an SA whose packets are to be protected once more must have been (RFC 4301 appendix E).
    fn check_whole(&mut self, now: Instant, spi: Spi, packet: &[u8]) -> Result<(), DropReason> {
        if !self.sad.lookup(spi).is_some_and(|child| child.again) {
            return Ok(());
        }
        let flow = self.clear_fragments.flow(now, CLEAR, packet).map_err(|_| DropReason::Unclassified)?;
        match self.spd.lookup(Direction::Inbound, &flow).map(|policy| &policy.action) {
            Some(PolicyAction::Bypass) => Ok(()),
            _ => Err(DropReason::Clear),
        }
    }

    fn open_whole(&mut self, now: Instant, spi: Spi, packet: &mut [u8]) -> Result<Range<usize>, DropReason> {
        let path = path_of(packet).ok_or(DropReason::Unclassified)?;
        let child = self.sad.lookup_packet_mut(spi, path.local.ip(), path.remote.ip());
        let Some(child) = child else {
            if self.config.tell_unknown_spis {
                self.tell_unknown(now, path, Some(&spi.0.to_be_bytes()));
            }
            return Err(DropReason::UnknownSpi);
        };
        let opened = match child.is_over_inbound(now) {
            true => Err(DropReason::Open(OpenError::Lifetime)),
            false => child.open_packet(packet),
        };
        let due = child.inbound_due(now, opened.as_ref().err().copied());
        let checked = opened.and_then(|taken| {
            self.stirred |= heard(now, child, &mut self.endpoint, taken.seq, path);
            if core::mem::take(&mut child.standby)
                && let Some(protect) = child.policy.and_then(|id| self.protects.get_mut(&id))
            {
                protect.promote(spi);
            }
            if taken.dummy {
                return Err(DropReason::Dummy);
            }
            self.stats.ecn_alarms += u64::from(taken.ecn_alarm);
            let inner = packet.get(taken.packet.clone()).ok_or(DropReason::Inner)?;
            let view = IpView::parse(inner).map_err(|_| DropReason::Inner)?;
            let flow = self.fragments.flow_of(now, spi.0, &view);
            if !child.admits(&flow) {
                return Err(DropReason::Selectors);
            }
            Ok(taken.packet.start..taken.packet.start + view.packet().len())
        });
        if let Some(due) = due {
            self.fall_due(spi, due);
        }
        checked
    }

    fn hand_on(&mut self, range: Range<usize>, sa: Spi) -> Received {
        self.stats.opened.count(range.len());
        Received::Inner { range, sa }
    }

    /// ICMP about a packet of ours, or what policy lets pass.
    fn clear(&mut self, now: Instant, packet: &[u8], at: Range<usize>) -> Result<Received, DropReason> {
        if self.config.heed_too_big
            && let Some(too_big) = TooBig::parse(packet)
            && let Some(received) = self.too_big(now, &too_big)
        {
            return Ok(received);
        }
        let view = IpView::parse(packet).map_err(|_| DropReason::Unclassified)?;
        let (flow, len) = (self.clear_fragments.flow_of(now, CLEAR, &view), view.packet().len());
        if !self.passes_in_clear(&flow) {
            return Err(DropReason::Clear);
        }
        self.stats.bypassed.count(len);
        Ok(Received::Clear { range: at.start..at.start + len })
    }

    /// A router says that packets of ours are too big (RFC 4301 §8.2.1). `None`: not about an SA of ours.
    pub(crate) fn too_big(&mut self, now: Instant, message: &TooBig) -> Option<Received> {
        let spi = *self.outer.get(&(message.dst, message.spi))?;
        let child = self.sad.lookup_mut(spi)?;
        if !child.is_outbound(message.spi, message.protocol) || child.path.local.ip() != message.src {
            return None;
        }
        child.too_big(now, message.mtu);
        Some(Received::PathMtu { sa: spi, inner: child.inner_mtu(now).unwrap_or(0) })
    }

    /// Fragments to ourselves, before anything else is done with them (RFC 4303 §3.4.1).
    #[cold]
    fn reassemble(&mut self, now: Instant, packet: &[u8]) -> Result<Received, DropReason> {
        let whole = match self.reassembly.insert(now, packet).map_err(DropReason::Reassembly)? {
            Reassembled::Complete(whole) => whole,
            Reassembled::Waiting => return Ok(Received::Fragment),
            Reassembled::Whole => return Err(DropReason::Unclassified),
        };
        self.whole(now, whole)
    }

    fn whole(&mut self, now: Instant, mut whole: Vec<u8>) -> Result<Received, DropReason> {
        let all = 0..whole.len();
        // It is no fragment any more, so this goes no deeper.
        match self.packet(now, &mut whole, all)? {
            Received::Inner { range, .. } | Received::Clear { range } => {
                whole.truncate(range.end);
                whole.drain(..range.start);
                self.put(Output::Deliver(whole));
                Ok(Received::Fragment)
            }
            received => Ok(received),
        }
    }

    pub(crate) fn handle_ike(&mut self, now: Instant, meta: Meta, buf: &mut [u8]) -> Received {
        let input = Input::Datagram { now, path: meta.path, ecn: meta.ecn, data: buf };
        let taken = self.endpoint.handle_input(input);
        // What was dropped may have caused a reply (RFC 7296 §2.6).
        self.pump(now);
        match taken {
            Ok(()) => {
                self.stats.ike += 1;
                Received::Ike
            }
            Err(discarded) => self.refuse(DropReason::Ike(discarded)),
        }
    }

    /// The peer may be told that we have no such SA; `packet` begins with the SPI. Not while packets of an SA that is
    /// just gone may be on their way.
    #[cold]
    fn tell_unknown(&mut self, now: Instant, path: Path, packet: Option<&[u8]>) {
        let Some(spi) = packet.and_then(<[u8]>::first_chunk).copied().map(Spi::from_bytes) else { return };
        if self.last_closed.is_none_or(|at| now - at >= LATE) {
            self.stirred |= self.endpoint.unknown_child_spi(now, path, spi);
        }
    }

    #[cold]
    fn refuse(&mut self, reason: DropReason) -> Received {
        self.stats.drop_one(&reason);
        Received::Dropped(reason)
    }

    #[inline]
    fn open(
        &mut self,
        now: Instant,
        meta: Meta,
        buf: &mut [u8],
        esp: Range<usize>,
    ) -> Result<Received, DropReason> {
        let start = esp.start;
        let packet = buf.get_mut(esp).ok_or(DropReason::Unclassified)?;
        let spi = Spi::from_bytes(*packet.first_chunk().ok_or(DropReason::Unclassified)?);
        let child = self.sad.lookup_mut(spi).ok_or(DropReason::UnknownSpi)?;
        // AH is never without its IP header.
        let over = child.is_over_inbound(now);
        let Inbound::Esp(sa) = &mut child.inbound else { return Err(DropReason::UnknownSpi) };
        let opened = if over { Err(OpenError::Lifetime) } else { sa.open_in_place(packet) };
        let opened = opened.map_err(DropReason::Open);
        let due = child.inbound_due(now, opened.as_ref().err().copied());
        let checked = opened.and_then(|opened| {
            // The peer has this SA and lives, whatever is inside.
            self.stirred |= heard(now, child, &mut self.endpoint, opened.seq, meta.path);
            if core::mem::take(&mut child.standby)
                && let Some(protect) = child.policy.and_then(|id| self.protects.get_mut(&id))
            {
                protect.promote(spi);
            }
            if opened.is_dummy() {
                return Err(DropReason::Dummy);
            }
            let inner = packet.get_mut(opened.payload.clone()).ok_or(DropReason::Inner)?;
            let first = start + opened.payload.start;
            if child.mode != Mode::Tunnel {
                let flow = child.upper_flow(&meta.path, opened.next_header, inner);
                if !child.admits(&flow) {
                    return Err(DropReason::Selectors);
                }
                let Flow { src, dst, .. } = flow;
                let (range, protocol) = (first..first + inner.len(), opened.next_header);
                return Ok(Received::Upper { range, protocol, src, dst, sa: spi });
            }
            let view = IpView::parse(inner).map_err(|_| DropReason::Inner)?;
            // Fragments of this SA alone vouch for each other.
            let flow = self.fragments.flow_of(now, spi.0, &view);
            let len = view.packet().len();
            if opened.next_header != announced(inner) {
                return Err(DropReason::Inner);
            }
            if !child.admits(&flow) {
                return Err(DropReason::Selectors);
            }
            match apply_ecn(inner, Ecn::from_bits(meta.ecn)) {
                Decapsulated::Forward { alarm, .. } => self.stats.ecn_alarms += u64::from(alarm),
                Decapsulated::Drop => return Err(DropReason::Congestion),
            }
            Ok(Received::Inner { range: first..first + len, sa: spi })
        });
        if let Some(due) = due {
            self.fall_due(spi, due);
        }
        let received = checked?;
        if let Received::Inner { range, .. } | Received::Upper { range, .. } = &received {
            self.stats.opened.count(range.len());
        }
        Ok(received)
    }
}

/// Tells the endpoint of an authentic packet: the peer lives, and where it is now (RFC 7296 §2.23). Only the newest
/// packet moves a peer, so that an old one that was held back does not, and no more than once in [`TELL`]; whether the
/// peer may move at all the endpoint knows. Returns whether it has something to say.
#[inline]
fn heard(now: Instant, child: &mut Child, endpoint: &mut Endpoint, seq: u64, path: Path) -> bool {
    let Some(ike) = child.ike else { return false };
    if now - child.told >= TELL {
        child.told = now;
        endpoint.peer_alive(now, ike);
    }
    let elsewhere = path.remote != child.path.remote && path.transport == child.path.transport;
    if !elsewhere || !child.is_newest(seq) || child.moved.is_some_and(|at| now - at < TELL) {
        return false;
    }
    child.moved = Some(now);
    endpoint.peer_moved(now, ike, path)
}

fn ecn_of(packet: &[u8]) -> Ecn {
    match packet {
        [first, tos, ..] if first >> 4 == 4 => Ecn::from_bits(*tos),
        [_, second, ..] => Ecn::from_bits(second >> 4),
        _ => Ecn::NotEct,
    }
}

/// The way that an ESP or AH packet came.
fn path_of(packet: &[u8]) -> Option<Path> {
    let view = IpView::parse(packet).ok()?;
    let (local, remote): (IpAddr, IpAddr) = (view.dst(), view.src());
    Some(match (view.upper_layer().protocol, view.ports()) {
        (IpProtocol::UDP, Some((from, to))) => {
            Path::udp_encap(SocketAddr::new(local, to), SocketAddr::new(remote, from))
        }
        _ => Path::ip(local, remote),
    })
}

/// Where a UDP datagram's payload lies in an IP packet.
fn udp_payload(packet: &[u8]) -> Option<Range<usize>> {
    let view = IpView::parse(packet).ok()?;
    let start = view.upper_layer().offset;
    let [_, _, _, _, high, low, _, _] = *view.packet().get(start..)?.first_chunk()?;
    let end = start + usize::from(u16::from_be_bytes([high, low]));
    (start + 8 <= end && end <= view.packet().len()).then_some(start + 8..end)
}

/// What an open error of AH and ESP have in common.
pub(crate) const fn as_esp(error: ipsec_ah::OpenError) -> OpenError {
    use ipsec_ah::{HeaderError, OpenError as Ah};
    match error {
        Ah::Truncated | Ah::IcvLength => OpenError::Truncated,
        Ah::Header(HeaderError::Fragment) => OpenError::Fragment,
        Ah::Header(_) => OpenError::Header,
        Ah::Replay => OpenError::Replay,
        Ah::OutOfWindow => OpenError::OutOfWindow,
        Ah::Icv => OpenError::Icv,
        Ah::NextHeader => OpenError::NextHeader,
        Ah::Inner => OpenError::Inner,
        Ah::Lifetime => OpenError::Lifetime,
        _ => OpenError::Crypto,
    }
}
