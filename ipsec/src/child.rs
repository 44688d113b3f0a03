//! A Child SA in the SA database: both directions, what they are for, and when they have to go.

use alloc::string::String;
use alloc::vec::Vec;

use ikev2_core::{ConnectionId, IkeHandle, Path};
use ipsec_esp::{EspInbound, EspOutbound};
use ipsec_sa::{Flow, Instant, LifetimeEvent, LifetimeState, Lifetimes, PolicyId, TrafficSelector};
use ipsec_wire::Spi;

use crate::Volume;

/// Two SAs that were made together. The database finds it by the inbound SPI, policies list it by the same.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) inbound: EspInbound,
    pub(crate) outbound: EspOutbound,
    pub(crate) local: Vec<TrafficSelector>,
    pub(crate) remote: Vec<TrafficSelector>,
    pub(crate) path: Path,
    pub(crate) policy: Option<PolicyId>,
    /// Outbound only where there is no other SA, until a packet came in or the replaced SA is gone (RFC 7296 §2.8).
    pub(crate) standby: bool,
    pub(crate) replaces: Option<Spi>,
    pub(crate) ike: IkeHandle,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) name: String,
    pub(crate) suite: String,
    /// Octets and packets only; the endpoint watches the time.
    pub(crate) inbound_life: LifetimeState,
    pub(crate) outbound_life: LifetimeState,
    /// Whether a replacement was asked for because the sequence numbers run out.
    pub(crate) low: bool,
    /// When the endpoint was last told of a packet from the peer.
    pub(crate) told: Instant,
}

/// What has become due for an SA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Rekey,
    Close,
}

impl Child {
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

    /// What is due after a packet was sealed.
    #[inline]
    pub(crate) fn outbound_due(&mut self, now: Instant) -> Option<Due> {
        if self.outbound.sequence().is_low() && !self.low {
            self.low = true;
            return Some(Due::Rekey);
        }
        self.outbound_life.poll(now, self.outbound.meter()).map(due)
    }

    /// What is due after a packet was opened.
    #[inline]
    pub(crate) fn inbound_due(&mut self, now: Instant) -> Option<Due> {
        self.inbound_life.poll(now, self.inbound.meter()).map(due)
    }

    pub(crate) fn info(&self) -> ChildInfo<'_> {
        let (sent, received) = (self.outbound.meter(), self.inbound.meter());
        ChildInfo {
            ike: self.ike,
            connection: self.connection,
            child: &self.name,
            policy: self.policy,
            inbound: self.inbound.spi(),
            outbound: self.outbound.transform().spi(),
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
}

const fn due(event: LifetimeEvent) -> Due {
    match event {
        LifetimeEvent::Soft(_) => Due::Rekey,
        LifetimeEvent::Hard(_) => Due::Close,
    }
}

/// The limits that are not in time.
pub(crate) fn untimed(mut lifetimes: Lifetimes) -> Lifetimes {
    lifetimes.soft.time = None;
    lifetimes.hard.time = None;
    lifetimes
}

/// What there is to know about a Child SA.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ChildInfo<'a> {
    /// Its IKE SA.
    pub ike: IkeHandle,
    /// The connection it belongs to.
    pub connection: Option<ConnectionId>,
    /// The child's name in the configuration.
    pub child: &'a str,
    /// The policy it serves.
    pub policy: Option<PolicyId>,
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
