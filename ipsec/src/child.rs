//! A Child SA in the SA database: both directions, what they are for, and when they have to go.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use ikev2_core::{ConnectionId, IkeHandle, Path};
use ipsec_ah::{AhInbound, AhOutbound};
use ipsec_crypto::CryptoProvider;
use ipsec_esp::pmtu::PacketLayout;
use ipsec_esp::tunnel::{Decapsulated, Ecn, OuterFields, apply_ecn};
use ipsec_esp::{EspInbound, EspOutbound, OpenError, OuterHeader, SealError, lifetimes};
use ipsec_sa::pmtu::PathMtu;
use ipsec_sa::{
    Flow, HeaderPolicy, Instant, InterfaceId, LifetimeEvent, LifetimeState, Lifetimes, Meter, Mode, Outer,
    PolicyId, SaParams, SecurityProtocol, TrafficSelector,
};
use ipsec_wire::{IpProtocol, Spi};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::event::Listed;
use crate::inner::announced;
use crate::{DropReason, Volume};

/// Packets to us.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are ESP, and a box would be one more miss a packet")]
pub(crate) enum Inbound {
    Esp(EspInbound),
    Ah(AhInbound),
}

/// Packets from us.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "as for packets to us")]
pub(crate) enum Outbound {
    Esp(EspOutbound),
    Ah(AhOutbound),
}

/// How much of the outer packet is not the inner one.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Esp(PacketLayout),
    /// Octets that AH adds at most.
    Ah(usize),
}

/// Two SAs that were made together. The database finds it by the inbound SPI, policies list it by the same.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    pub(crate) mode: Mode,
    pub(crate) local: Vec<TrafficSelector>,
    pub(crate) remote: Vec<TrafficSelector>,
    pub(crate) path: Path,
    pub(crate) policy: Option<PolicyId>,
    /// Whether its sealed packets meet the policies once more.
    pub(crate) again: bool,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) resource: Option<u32>,
    /// Outbound only where there is no other SA, until a packet came in or the replaced SA is gone (RFC 7296 §2.8).
    pub(crate) standby: bool,
    pub(crate) replaces: Option<Spi>,
    /// `None`: keyed by hand.
    pub(crate) ike: Option<IkeHandle>,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) name: String,
    pub(crate) suite: String,
    /// The time only of SAs that were keyed by hand; the endpoint watches that of all others.
    pub(crate) inbound_life: LifetimeState,
    pub(crate) outbound_life: LifetimeState,
    /// Whether a replacement was asked for because the sequence numbers run out.
    pub(crate) low: bool,
    /// When the endpoint was last told of a packet from the peer.
    pub(crate) told: Instant,
    /// When the endpoint was last told of another path.
    pub(crate) moved: Option<Instant>,
    pmtu: PathMtu,
    layout: Layout,
}

/// What has become due for an SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Rekey,
    Close,
}

/// Why a Child SA cannot be used here.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// ESP does not take it.
    #[error("{0}")]
    Esp(#[from] ipsec_esp::SaError),
    /// AH does not take it.
    #[error("{0}")]
    Ah(#[from] ipsec_ah::SaError),
    /// AH covers the IP header, so it needs a stack that writes whole IP packets ([`OuterHeader::Ip`]).
    #[error("AH needs whole IP packets: StackConfig::outer must be OuterHeader::Ip")]
    NoHeaders,
    /// The two directions are not of one protocol and mode.
    #[error("directions of two protocols or modes")]
    Unlike,
    /// The PAD does not let the peer have it (RFC 4301 §4.4.3.3).
    #[error("the PAD allows the peer {}, and the Child SA is for {}", Listed(.allowed), Listed(.asked))]
    NotAuthorized {
        /// What it may have.
        allowed: Vec<TrafficSelector>,
        /// What the Child SA is for on its side.
        asked: Vec<TrafficSelector>,
    },
    /// The database has no place for it.
    #[error("{0}")]
    Database(#[from] ipsec_sa::InsertError),
}

/// What a packet that was opened as a whole has become.
pub(crate) struct Taken {
    pub(crate) packet: Range<usize>,
    pub(crate) dummy: bool,
    pub(crate) seq: u64,
    pub(crate) ecn_alarm: bool,
}

/// What a Child SA is made of beside its parameters.
pub(crate) struct Origin {
    pub(crate) ike: Option<IkeHandle>,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) name: String,
    pub(crate) suite: String,
    pub(crate) replaces: Option<Spi>,
    pub(crate) standby: bool,
    pub(crate) again: bool,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) link_mtu: u16,
}

impl Child {
    pub(crate) fn new(
        now: Instant,
        inbound: SaParams,
        outbound: &SaParams,
        origin: Origin,
        provider: &CryptoProvider,
        header: OuterHeader,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, InstallError> {
        if inbound.protocol != outbound.protocol || inbound.mode != outbound.mode {
            return Err(InstallError::Unlike);
        }
        let (packets_in, packets_out, layout, lives) = match inbound.protocol {
            SecurityProtocol::Esp => (
                Inbound::Esp(EspInbound::new(&inbound, provider)?),
                Outbound::Esp(EspOutbound::new(outbound, provider, header, rng)?),
                Layout::Esp(PacketLayout::new(outbound, provider)?),
                [lifetimes(&inbound, provider), lifetimes(outbound, provider)],
            ),
            SecurityProtocol::Ah if header != OuterHeader::Ip => return Err(InstallError::NoHeaders),
            SecurityProtocol::Ah => {
                let sealing = AhOutbound::new(outbound, provider)?;
                let layout = Layout::Ah(sealing.room());
                let lives = [inbound.lifetimes, outbound.lifetimes];
                (Inbound::Ah(AhInbound::new(&inbound, provider)?), Outbound::Ah(sealing), layout, lives)
            }
        };
        let watched = |life| if origin.ike.is_some() { untimed(life) } else { life };
        let [inbound_life, outbound_life] = lives.map(|life| LifetimeState::new(watched(life), now));
        Ok(Self {
            inbound: packets_in,
            outbound: packets_out,
            mode: inbound.mode,
            local: inbound.local_selectors,
            remote: inbound.remote_selectors,
            path: Path::of(&outbound.outer),
            policy: inbound.policy,
            again: origin.again,
            interface: inbound.interface.or(origin.interface),
            resource: inbound.resource,
            standby: origin.standby,
            replaces: origin.replaces,
            ike: origin.ike,
            connection: origin.connection,
            name: origin.name,
            suite: origin.suite,
            inbound_life,
            outbound_life,
            low: false,
            told: now,
            moved: None,
            pmtu: PathMtu::new(outbound.outer.remote, origin.link_mtu),
            layout,
        })
    }

    /// Whether packets to us come too late for it.
    #[inline]
    pub(crate) fn is_over_inbound(&self, now: Instant) -> bool {
        self.inbound_life.is_over(now)
    }

    /// Whether packets from us come too late for it.
    #[inline]
    pub(crate) fn is_over_outbound(&self, now: Instant) -> bool {
        self.outbound_life.is_over(now)
    }

    /// Whether a packet from our side may take it (RFC 4301 §5.1).
    #[inline]
    pub(crate) fn carries(&self, flow: &Flow) -> bool {
        flow.between(&self.local, &self.remote)
    }

    /// Whether a packet from the peer's side may come out of it (RFC 4301 §5.2).
    #[inline]
    pub(crate) fn admits(&self, flow: &Flow) -> bool {
        flow.between(&self.remote, &self.local)
    }

    pub(crate) const fn protocol(&self) -> SecurityProtocol {
        match self.inbound {
            Inbound::Esp(_) => SecurityProtocol::Esp,
            Inbound::Ah(_) => SecurityProtocol::Ah,
        }
    }

    /// SPI of packets to us.
    pub(crate) const fn inbound_spi(&self) -> Spi {
        match &self.inbound {
            Inbound::Esp(sa) => sa.spi(),
            Inbound::Ah(sa) => sa.spi(),
        }
    }

    /// SPI of packets from us.
    pub(crate) const fn outbound_spi(&self) -> Spi {
        match &self.outbound {
            Outbound::Esp(sa) => sa.transform().spi(),
            Outbound::Ah(sa) => sa.spi(),
        }
    }

    const fn received(&self) -> &Meter {
        match &self.inbound {
            Inbound::Esp(sa) => sa.meter(),
            Inbound::Ah(sa) => sa.meter(),
        }
    }

    const fn sent(&self) -> &Meter {
        match &self.outbound {
            Outbound::Esp(sa) => sa.meter(),
            Outbound::Ah(sa) => sa.meter(),
        }
    }

    /// Whether a packet with this number, just taken, is the newest that there was. Never without replay protection:
    /// an old packet could be it.
    pub(crate) fn is_newest(&self, seq: u64) -> bool {
        let window = match &self.inbound {
            Inbound::Esp(sa) => sa.window(),
            Inbound::Ah(sa) => sa.window(),
        };
        window.size() > 0 && window.top() == seq
    }

    /// Opens a whole IP packet.
    pub(crate) fn open_packet(&mut self, packet: &mut [u8]) -> Result<Taken, DropReason> {
        match &mut self.inbound {
            Inbound::Esp(sa) => {
                let opened = sa.open_packet(packet).map_err(DropReason::Open)?;
                let dummy = opened.is_dummy();
                Ok(Taken { packet: opened.packet, dummy, seq: opened.seq, ecn_alarm: opened.ecn_alarm })
            }
            Inbound::Ah(sa) => {
                let outer = match packet {
                    [first, tos, ..] if *first >> 4 == 4 => Ecn::from_bits(*tos),
                    [_, second, ..] => Ecn::from_bits(*second >> 4),
                    _ => Ecn::NotEct,
                };
                let opened = sa.open_in_place(packet).map_err(DropReason::OpenAh)?;
                let mut ecn_alarm = false;
                if self.mode == Mode::Tunnel {
                    let inner = packet.get_mut(opened.packet.clone()).ok_or(DropReason::Inner)?;
                    match apply_ecn(inner, outer) {
                        Decapsulated::Forward { alarm, .. } => ecn_alarm = alarm,
                        Decapsulated::Drop => return Err(DropReason::Congestion),
                    }
                }
                Ok(Taken { packet: opened.packet, dummy: false, seq: opened.seq, ecn_alarm })
            }
        }
    }

    /// Seals an IP packet in place. Returns where the result lies, and the outer header's fields where somebody else
    /// writes it.
    #[inline]
    pub(crate) fn seal(
        &mut self,
        buf: &mut [u8],
        ip: Range<usize>,
    ) -> Result<(Range<usize>, OuterFields), DropReason> {
        let packet = buf.get(ip.clone()).ok_or(DropReason::Seal(SealError::Range))?;
        let next = announced(packet);
        match &mut self.outbound {
            Outbound::Esp(sa) if self.mode == Mode::Tunnel => {
                let fields = sa.transform().outer_fields(next, packet).ok_or(DropReason::Malformed)?;
                Ok((sa.seal_in_place(buf, ip, next).map_err(DropReason::Seal)?, fields))
            }
            outbound => {
                // The packet's own header stays, or its fields do.
                let own = OuterFields::new(&HeaderPolicy::default(), next, packet);
                let fields = own.ok_or(DropReason::Malformed)?;
                let range = match outbound {
                    Outbound::Esp(sa) => sa.seal_packet(buf, ip).map_err(DropReason::Seal)?,
                    Outbound::Ah(sa) => sa.seal_in_place(buf, ip).map_err(DropReason::SealAh)?,
                };
                Ok((range, fields))
            }
        }
    }

    /// The longest inner packet that the path takes, IP header included; `None`: not even an empty one.
    #[inline]
    pub(crate) fn inner_mtu(&self, now: Instant) -> Option<usize> {
        let mtu = usize::from(self.pmtu.mtu(now));
        match self.layout {
            Layout::Ah(more) => mtu.checked_sub(more),
            Layout::Esp(layout) => {
                // Outside of tunnel mode the inner packet's own header is not among what is sealed.
                let header = if self.mode == Mode::Tunnel {
                    0
                } else if self.local.first().is_none_or(TrafficSelector::is_ipv4) {
                    20
                } else {
                    40
                };
                layout.largest_payload(mtu).map(|payload| payload + header)
            }
        }
    }

    /// Somebody on the path says that it takes no more than this. Returns whether that changes anything.
    pub(crate) fn too_big(&mut self, now: Instant, mtu: u16) -> bool {
        self.pmtu.too_big(now, mtu)
    }

    /// Moves the SA to other outer addresses; whether it could be.
    pub(crate) fn update(&mut self, outer: &Outer, link_mtu: u16) -> bool {
        let updated = match &mut self.outbound {
            Outbound::Esp(sa) => sa.update(outer).is_ok(),
            Outbound::Ah(sa) => sa.update(outer).is_ok(),
        };
        if updated {
            self.path = Path::of(outer);
            self.pmtu = PathMtu::new(outer.remote, link_mtu);
            self.layout = match (self.layout, &self.outbound) {
                (Layout::Esp(layout), _) => Layout::Esp(layout.moved(outer)),
                (Layout::Ah(_), Outbound::Ah(sa)) => Layout::Ah(sa.room()),
                (layout, _) => layout,
            };
        }
        updated
    }

    /// What is due after a packet was sealed, or was not.
    #[inline]
    pub(crate) fn outbound_due(
        &mut self,
        now: Instant,
        sealed: &Result<(Range<usize>, OuterFields), DropReason>,
    ) -> Option<Due> {
        match sealed {
            Ok(_) => {}
            Err(
                DropReason::Seal(SealError::Exhausted | SealError::Lifetime)
                | DropReason::SealAh(ipsec_ah::SealError::Exhausted | ipsec_ah::SealError::Lifetime),
            ) => return Some(Due::Close),
            Err(_) => return None,
        }
        let (low, meter) = match &self.outbound {
            Outbound::Esp(sa) => (sa.sequence().is_low(), sa.meter()),
            Outbound::Ah(sa) => (sa.sequence().is_low(), sa.meter()),
        };
        if low && !self.low {
            self.low = true;
            return Some(Due::Rekey);
        }
        self.outbound_life.poll(now, meter).map(due)
    }

    /// What is due after a packet was opened, or was not.
    #[inline]
    pub(crate) fn inbound_due(&mut self, now: Instant, refused: Option<DropReason>) -> Option<Due> {
        match refused {
            None | Some(DropReason::Congestion) => {}
            Some(
                DropReason::Open(OpenError::Lifetime) | DropReason::OpenAh(ipsec_ah::OpenError::Lifetime),
            ) => return Some(Due::Close),
            Some(_) => return None,
        }
        let meter = match &self.inbound {
            Inbound::Esp(sa) => sa.meter(),
            Inbound::Ah(sa) => sa.meter(),
        };
        self.inbound_life.poll(now, meter).map(due)
    }

    pub(crate) fn info(&self) -> ChildInfo<'_> {
        let (sent, received) = (self.sent(), self.received());
        ChildInfo {
            ike: self.ike,
            connection: self.connection,
            child: &self.name,
            policy: self.policy,
            protocol: self.protocol(),
            mode: self.mode,
            interface: self.interface,
            resource: self.resource,
            inbound: self.inbound_spi(),
            outbound: self.outbound_spi(),
            standby: self.standby,
            replaces: self.replaces,
            local: &self.local,
            remote: &self.remote,
            path: self.path,
            suite: &self.suite,
            sent: Volume { packets: sent.packets(), octets: sent.octets() },
            received: Volume { packets: received.packets(), octets: received.octets() },
        }
    }

    /// The flow of an upper-layer payload that came without its IP header.
    pub(crate) fn upper_flow(&self, path: &Path, protocol: IpProtocol, payload: &[u8]) -> Flow {
        let (src, dst) = match (self.mode, self.remote.first(), self.local.first()) {
            (Mode::Beet, Some(remote), Some(local)) => (remote.start(), local.start()),
            _ => (path.remote.ip(), path.local.ip()),
        };
        let mut flow = Flow { src, dst, protocol: protocol.0, src_port: None, dst_port: None };
        match (protocol, payload) {
            (
                IpProtocol::TCP
                | IpProtocol::UDP
                | IpProtocol::UDP_LITE
                | IpProtocol::SCTP
                | IpProtocol::DCCP,
                [a, b, c, d, ..],
            ) => {
                flow.src_port = Some(u16::from_be_bytes([*a, *b]));
                flow.dst_port = Some(u16::from_be_bytes([*c, *d]));
            }
            (IpProtocol::ICMP | IpProtocol::ICMPV6, [kind, code, ..]) => {
                flow.src_port = Some(u16::from_be_bytes([*kind, *code]));
            }
            (IpProtocol::MOBILITY, [_, _, kind, ..]) => flow.src_port = Some(u16::from_be_bytes([*kind, 0])),
            _ => {}
        }
        flow
    }

    /// Whether a sealed packet of ours is of it.
    pub(crate) fn is_outbound(&self, spi: Spi, protocol: IpProtocol) -> bool {
        let own = match self.protocol() {
            SecurityProtocol::Esp => IpProtocol::ESP,
            SecurityProtocol::Ah => IpProtocol::AH,
        };
        self.outbound_spi() == spi && own == protocol
    }
}

const fn due(event: LifetimeEvent) -> Due {
    match event {
        LifetimeEvent::Soft(_) => Due::Rekey,
        LifetimeEvent::Hard(_) => Due::Close,
    }
}

/// The limits that are not in time.
fn untimed(mut lifetimes: Lifetimes) -> Lifetimes {
    lifetimes.soft.time = None;
    lifetimes.hard.time = None;
    lifetimes
}

/// What there is to know about a Child SA.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ChildInfo<'a> {
    /// Its IKE SA; `None` for one that was keyed by hand.
    pub ike: Option<IkeHandle>,
    /// The connection it belongs to.
    pub connection: Option<ConnectionId>,
    /// The child's name in the configuration.
    pub child: &'a str,
    /// The policy it serves.
    pub policy: Option<PolicyId>,
    /// ESP or AH.
    pub protocol: SecurityProtocol,
    /// Tunnel, transport or BEET.
    pub mode: Mode,
    /// Virtual interface that its packets belong to.
    pub interface: Option<InterfaceId>,
    /// Resource that it is for (RFC 9611).
    pub resource: Option<u32>,
    /// SPI of packets to us.
    pub inbound: Spi,
    /// SPI of packets from us.
    pub outbound: Spi,
    /// Whether another SA is preferred for packets from us, until the peer is known to have this one.
    pub standby: bool,
    /// The inbound SPI of the Child SA that it replaced.
    pub replaces: Option<Spi>,
    /// What may come from our side.
    pub local: &'a [TrafficSelector],
    /// What may come from the peer's side.
    pub remote: &'a [TrafficSelector],
    /// The way of its packets.
    pub path: Path,
    /// The algorithms, as a proposal string.
    pub suite: &'a str,
    /// Sealed.
    pub sent: Volume,
    /// Opened.
    pub received: Volume,
}
