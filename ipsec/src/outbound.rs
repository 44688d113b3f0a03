//! What comes from the inside: policy, the SA that a packet takes, and what the path lets through (RFC 4301 §5.1, §8).

use alloc::vec;
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;

use ipsec_esp::SealError;
use ipsec_sa::icmp::{Unreachable, unreachable_message};
use ipsec_sa::pmtu::{clamp_mss, too_big_message};
use ipsec_sa::{Direction, Flow, Fragments, Instant, InterfaceId, Mode, PolicyAction, PolicyId};
use ipsec_wire::{IpView, Spi};

use crate::inbound::MAX_NESTED;
use crate::{DropReason, HEADROOM, Output, Stack, TAILROOM, Verdict};

/// Senders that are told in a second what became of their packets.
const TOLD_PER_SECOND: u32 = 1000;
/// The smallest MTU that IPv6 knows (RFC 8200 §5).
const LEAST_IPV6: usize = 1280;

/// Where a packet from the inside comes from and goes to, beside its own header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Route {
    /// The virtual interface that it was routed to: only policies of this interface are about it. `None`: only those
    /// without one.
    pub interface: Option<InterfaceId>,
    /// The resource (a core, a queue) that sends it: of several SAs with the same selectors the one for it is taken, else
    /// the one that is for none in particular (RFC 9611).
    pub resource: Option<u32>,
}

impl Stack {
    /// Takes an IP packet from the inside, which lies at `ip` in `buf`, and decides about it by policy. A packet that
    /// is to be protected is sealed in place, with [`HEADROOM`] in front and [`TAILROOM`] behind it being enough.
    pub fn handle_ip(&mut self, now: Instant, buf: &mut [u8], ip: Range<usize>) -> Verdict {
        self.handle_ip_on(now, buf, ip, Route::default())
    }

    /// [`Stack::handle_ip`] for a packet of a virtual interface or a resource.
    pub fn handle_ip_on(&mut self, now: Instant, buf: &mut [u8], ip: Range<usize>, route: Route) -> Verdict {
        let verdict = self.outbound(now, buf, ip, route).unwrap_or_else(|reason| {
            self.stats.drop_one(&reason);
            Verdict::Dropped(reason)
        });
        if self.stirred {
            self.pump(now);
        }
        verdict
    }

    #[inline]
    fn outbound(
        &mut self,
        now: Instant,
        buf: &mut [u8],
        ip: Range<usize>,
        route: Route,
    ) -> Result<Verdict, DropReason> {
        let packet = buf.get(ip.clone()).ok_or(DropReason::Seal(SealError::Range))?;
        let view = IpView::parse(packet).map_err(|_| DropReason::Malformed)?;
        let (flow, len) = (self.own_fragments.flow_of(now, 0, &view), view.packet().len());
        let ip = ip.start..ip.start + len;
        let policy = self.spd.lookup_on(Direction::Outbound, &flow, route.interface);
        let decided = policy.map(|policy| (policy.id, &policy.action));
        let protected = match decided {
            Some((id, PolicyAction::Protect(_))) => Ok(id),
            Some((_, PolicyAction::Bypass)) => {
                if !self.spd.may_be_kept_back(Direction::Outbound, &flow, route.interface) {
                    self.stats.bypassed.count(len);
                    return Ok(Verdict::Bypass);
                }
                Err(DropReason::Policy)
            }
            Some((_, PolicyAction::Discard)) => Err(DropReason::Policy),
            None => Err(DropReason::NoPolicy),
        };
        let id = match protected {
            Ok(id) => id,
            Err(reason) => {
                self.tell_discarded(now, packet, Unreachable::Prohibited);
                return Err(reason);
            }
        };
        match self.carrier(id, &flow, route.resource) {
            Some(spi) => self.seal(now, spi, buf, ip),
            None => {
                let packet = buf.get(ip).ok_or(DropReason::Malformed)?;
                self.demand(now, id, flow, packet)
            }
        }
    }

    /// The most wanted SA of a policy that may carry a packet, by its inbound SPI.
    #[inline]
    pub(crate) fn carrier(&self, policy: PolicyId, flow: &Flow, resource: Option<u32>) -> Option<Spi> {
        let mut found: Option<(Spi, u32, Option<u32>)> = None;
        for sa in &self.protects.get(&policy)?.sas {
            let Some(child) = self.sad.lookup(sa.spi).filter(|child| child.carries(flow)) else { continue };
            // Another peer's SA for the same addresses counts only when the first peer has none.
            if found.is_some_and(|(_, peer, _)| peer != sa.peer) {
                break;
            }
            if child.resource == resource {
                return Some(sa.spi);
            }
            if found.is_none_or(|(.., of)| of.is_some() && child.resource.is_none()) {
                found = Some((sa.spi, sa.peer, child.resource));
            }
        }
        found.map(|(spi, ..)| spi)
    }

    /// Seals a packet for the pair of SAs with this inbound SPI, and for those around it where its policy asks for that.
    #[inline]
    pub(crate) fn seal(
        &mut self,
        now: Instant,
        spi: Spi,
        buf: &mut [u8],
        ip: Range<usize>,
    ) -> Result<Verdict, DropReason> {
        let len = ip.len();
        let packet = buf.get_mut(ip.clone()).ok_or(DropReason::Seal(SealError::Range))?;
        let child = self.sad.lookup_mut(spi).ok_or(DropReason::UnknownSpi)?;
        let mtu = child.inner_mtu(now).unwrap_or(0);
        if self.config.clamp_mss {
            clamp_mss(packet, u16::try_from(mtu).unwrap_or(u16::MAX));
        }
        if len > mtu
            && let Some(verdict) = self.too_long(now, spi, buf, ip.clone(), mtu)
        {
            return verdict;
        }
        self.seal_all(now, spi, buf, ip)
    }

    /// Seals a packet with the SA and those around it, and counts it.
    #[inline]
    fn seal_all(
        &mut self,
        now: Instant,
        spi: Spi,
        buf: &mut [u8],
        ip: Range<usize>,
    ) -> Result<Verdict, DropReason> {
        let len = ip.len();
        let (mut verdict, again) = self.seal_one(now, spi, buf, ip)?;
        if let Verdict::Send { range, .. } = &verdict
            && again
        {
            let range = range.clone();
            verdict = self.seal_around(now, buf, range, verdict)?;
        }
        // What waits for an SA around it counts when it goes.
        if let Verdict::Send { .. } = &verdict {
            self.stats.sealed.count(len);
        }
        Ok(verdict)
    }

    /// Seals a packet, and says whether the result is to meet the policies once more.
    #[inline]
    fn seal_one(
        &mut self,
        now: Instant,
        spi: Spi,
        buf: &mut [u8],
        ip: Range<usize>,
    ) -> Result<(Verdict, bool), DropReason> {
        let child = self.sad.lookup_mut(spi).ok_or(DropReason::UnknownSpi)?;
        let sealed = match child.is_over_outbound(now) {
            true => Err(DropReason::Seal(SealError::Lifetime)),
            false => child.seal(buf, ip),
        };
        let due = child.outbound_due(now, &sealed);
        let (path, again) = (child.path, child.again);
        if let Some(due) = due {
            self.fall_due(spi, due);
        }
        let (range, fields) = sealed?;
        Ok((Verdict::Send { range, path, fields }, again))
    }

    /// A sealed packet goes through the policies again, as if it came from here (RFC 4301 appendix E), until one lets it
    /// out.
    fn seal_around(
        &mut self,
        now: Instant,
        buf: &mut [u8],
        mut range: Range<usize>,
        mut sealed: Verdict,
    ) -> Result<Verdict, DropReason> {
        for _ in 1..MAX_NESTED {
            let packet = buf.get(range.clone()).ok_or(DropReason::Malformed)?;
            let flow = Flow::from_packet(packet).map_err(|_| DropReason::Malformed)?;
            let policy = self.spd.lookup(Direction::Outbound, &flow).ok_or(DropReason::NoPolicy)?;
            let id = policy.id;
            match policy.action {
                PolicyAction::Bypass => return Ok(sealed),
                PolicyAction::Discard => return Err(DropReason::Policy),
                PolicyAction::Protect(_) => {}
            }
            let Some(spi) = self.carrier(id, &flow, None) else {
                let packet = buf.get(range).ok_or(DropReason::Malformed)?;
                return self.demand(now, id, flow, packet);
            };
            let (verdict, again) = self.seal_one(now, spi, buf, range)?;
            let Verdict::Send { range: around, .. } = &verdict else { return Ok(verdict) };
            range = around.clone();
            sealed = verdict;
            if !again {
                return Ok(sealed);
            }
        }
        Err(DropReason::Policy)
    }

    /// A packet that the path does not take when it is sealed: it is cut before (RFC 4301 §7), or its sender is told
    /// (§8.2.1). `None`: it is sealed all the same, and whoever sends it cuts the outer packet.
    #[cold]
    fn too_long(
        &mut self,
        now: Instant,
        spi: Spi,
        buf: &[u8],
        ip: Range<usize>,
        mtu: usize,
    ) -> Option<Result<Verdict, DropReason>> {
        let packet = buf.get(ip)?;
        let view = IpView::parse(packet).ok()?;
        let tunnel = self.sad.lookup(spi)?.mode == Mode::Tunnel;
        match view {
            IpView::V4(view) if !view.df() => {
                // Transport mode is for whole packets (RFC 4303 §3.1.1).
                tunnel.then(|| self.seal_fragments(now, spi, packet, mtu))
            }
            IpView::V6(_) if packet.len() <= LEAST_IPV6 => None,
            _ => {
                let from = self.icmp_source(view.dst());
                let told = u16::try_from(mtu).unwrap_or(u16::MAX);
                if let Some(message) = too_big_message(packet, told, from)
                    && self.may_tell(now)
                {
                    self.put(Output::Deliver(message));
                }
                Some(Err(DropReason::TooBig))
            }
        }
    }

    /// Where messages about packets to `dst` come from.
    fn icmp_source(&self, dst: IpAddr) -> IpAddr {
        let own = match dst {
            IpAddr::V4(_) => self.config.icmp_sources.0.map(IpAddr::V4),
            IpAddr::V6(_) => self.config.icmp_sources.1.map(IpAddr::V6),
        };
        own.unwrap_or(dst)
    }

    /// Tells the sender of a packet that it goes no further, where that is wanted (RFC 4301 §5.1.1).
    #[cold]
    pub(crate) fn tell_discarded(&mut self, now: Instant, packet: &[u8], why: Unreachable) {
        if !self.config.tell_discarded {
            return;
        }
        let Ok(view) = IpView::parse(packet) else { return };
        if let Some(message) = unreachable_message(packet, why, self.icmp_source(view.dst()))
            && self.may_tell(now)
        {
            self.put(Output::Deliver(message));
        }
    }

    /// Messages to senders are limited (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8): whoever was not told is told another time.
    fn may_tell(&mut self, now: Instant) -> bool {
        let (since, told) = &mut self.told_senders;
        if now.saturating_since(*since) >= Duration::from_secs(1) {
            (*since, *told) = (now, 0);
        }
        *told = told.saturating_add(1);
        *told <= TOLD_PER_SECOND
    }

    fn seal_fragments(
        &mut self,
        now: Instant,
        spi: Spi,
        packet: &[u8],
        mtu: usize,
    ) -> Result<Verdict, DropReason> {
        let mut fragments = Fragments::ipv4(packet, mtu).map_err(|_| DropReason::TooBig)?;
        let mut sealed = 0;
        loop {
            let mut buf = vec![0; HEADROOM + mtu + TAILROOM];
            let room = buf.get_mut(HEADROOM..HEADROOM + mtu).ok_or(DropReason::TooBig)?;
            let Some(len) = fragments.write_next(room).map_err(|_| DropReason::TooBig)? else { break };
            let verdict = self.seal_all(now, spi, &mut buf, HEADROOM..HEADROOM + len)?;
            if let Verdict::Send { range, path, fields } = verdict {
                buf.truncate(range.end);
                buf.drain(..range.start);
                self.put(Output::Transmit { path, data: buf, fields });
                sealed += 1;
            }
        }
        Ok(Verdict::Fragmented { packets: sealed })
    }

    /// The longest IP packet that can go through a Child SA now, by its inbound SPI (RFC 4301 §8.2).
    #[must_use]
    pub fn inner_mtu(&self, now: Instant, sa: Spi) -> Option<usize> {
        self.sad.lookup(sa)?.inner_mtu(now)
    }
}
