//! Why packets are dropped, and how many of what.

use ikev2_core::Discarded;
use ipsec_esp::{OpenError, SealError};
use ipsec_sa::ReassemblyError;
use thiserror::Error;

use crate::inbound::as_esp;

/// Why a datagram or a packet went no further. Always counted, never fatal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DropReason {
    /// The IKE endpoint did not take the datagram.
    #[error("IKE: {0}")]
    Ike(Discarded),
    /// Inbound: too short for an SPI, or nothing that belongs on this path.
    #[error("neither IKE nor ESP")]
    Unclassified,
    /// Inbound: no SA has this SPI.
    #[error("no SA has this SPI")]
    UnknownSpi,
    /// Inbound: ESP refused the packet.
    #[error("{0}")]
    Open(OpenError),
    /// Inbound: AH refused the packet.
    #[error("{0}")]
    OpenAh(ipsec_ah::OpenError),
    /// Inbound: a fragment to one of our addresses that cannot be put together with the others.
    #[error("{0}")]
    Reassembly(ReassemblyError),
    /// Inbound: a dummy packet, as it should be (RFC 4303 §2.6).
    #[error("dummy packet")]
    Dummy,
    /// Inbound: what was protected is not a whole IP packet that can be looked at.
    #[error("inner packet is malformed")]
    Inner,
    /// Inbound: authentic, but not what its SA is for (RFC 4301 §5.2).
    #[error("inner packet is outside of the SA's selectors")]
    Selectors,
    /// Inbound: congestion was signalled to a transport that cannot know (RFC 6040 §4.2).
    #[error("congestion on a packet that is not ECN-capable")]
    Congestion,
    /// Inbound: came in clear, and its policy does not let it pass so.
    #[error("packet in clear that policy wants protected or dropped")]
    Clear,
    /// Outbound: not an IP packet, or not whole.
    #[error("not an IP packet")]
    Malformed,
    /// Outbound: no policy matches.
    #[error("no policy matches")]
    NoPolicy,
    /// Outbound: the policy says so; or a fragment whose ports do not show, which could be of a flow that policy protects
    /// or discards, would have passed in clear (RFC 4301 §7.4).
    #[error("discarded by policy")]
    Policy,
    /// Outbound: the policy asks for protection by a connection that is not there, or that cannot be started from
    /// here.
    #[error("no connection to protect the packet with")]
    NoConnection,
    /// Outbound: waited for an SA, and the one that came is not for this packet.
    #[error("the SA that was set up does not cover the packet")]
    NotCovered,
    /// Outbound: had to give way to newer packets while it waited for an SA.
    #[error("queue for the SA is full")]
    QueueFull,
    /// Outbound: waited for an SA that did not come about.
    #[error("set-up of the SA failed")]
    SetupFailed,
    /// Outbound: set-up of the SA failed a short while ago.
    #[error("set-up of the SA failed a short while ago")]
    Backoff,
    /// Outbound: ESP refused the packet.
    #[error("{0}")]
    Seal(SealError),
    /// Outbound: AH refused the packet.
    #[error("{0}")]
    SealAh(ipsec_ah::SealError),
    /// Outbound: the path does not take it, and it must not be cut; its sender is told.
    #[error("packet is too big for the path")]
    TooBig,
}

/// What a reason is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DropClass {
    /// Datagrams for the IKE endpoint.
    Ike,
    /// Packets from the outside.
    Inbound,
    /// Packets from the inside.
    Outbound,
}

impl core::fmt::Display for DropClass {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Ike => "ike",
            Self::Inbound => "in",
            Self::Outbound => "out",
        })
    }
}

/// Names of the reasons that are not IKE's, by number; the first [`INBOUND`] are about packets from the outside.
const NAMES: [&str; 31] = [
    "unclassified",
    "unknown-spi",
    "truncated",
    "replay",
    "out-of-window",
    "icv",
    "padding",
    "next-header",
    "lifetime",
    "open-failed",
    "dummy",
    "inner",
    "selectors",
    "congestion",
    "clear",
    "reassembly",
    "malformed",
    "no-policy",
    "policy",
    "no-connection",
    "not-covered",
    "queue-full",
    "setup-failed",
    "backoff",
    "no-room",
    "too-long",
    "exhausted",
    "lifetime",
    "range",
    "seal-failed",
    "too-big",
];
const INBOUND: usize = 16;

impl DropReason {
    /// How many kinds there are.
    pub const KINDS: usize = NAMES.len() + Discarded::KINDS;

    /// A small number for the kind, for counters: below [`DropReason::KINDS`].
    #[must_use]
    pub fn kind(&self) -> usize {
        match self {
            Self::Unclassified => 0,
            Self::UnknownSpi => 1,
            Self::Open(OpenError::Truncated) => 2,
            Self::Open(OpenError::Replay) => 3,
            Self::Open(OpenError::OutOfWindow) => 4,
            Self::Open(OpenError::Icv) => 5,
            Self::Open(OpenError::Padding) => 6,
            Self::Open(OpenError::NextHeader) => 7,
            Self::Open(OpenError::Lifetime) => 8,
            Self::Dummy => 10,
            Self::Inner | Self::Open(OpenError::Inner) => 11,
            Self::Selectors => 12,
            Self::Congestion | Self::Open(OpenError::Congestion) => 13,
            Self::Open(_) => 9,
            Self::Clear => 14,
            Self::Reassembly(_) => 15,
            // The events of RFC 4302 and 4303 are the same.
            Self::OpenAh(error) => Self::Open(as_esp(*error)).kind(),
            Self::Malformed => 16,
            Self::NoPolicy => 17,
            Self::Policy => 18,
            Self::NoConnection => 19,
            Self::NotCovered => 20,
            Self::QueueFull => 21,
            Self::SetupFailed => 22,
            Self::Backoff => 23,
            Self::Seal(SealError::NoRoom { .. }) => 24,
            Self::Seal(SealError::TooLong) => 25,
            Self::Seal(SealError::Exhausted) => 26,
            Self::Seal(SealError::Lifetime) => 27,
            Self::Seal(SealError::Range) => 28,
            Self::Seal(_) => 29,
            Self::SealAh(error) => match error {
                ipsec_ah::SealError::NoRoom { .. } => 24,
                ipsec_ah::SealError::TooLong => 25,
                ipsec_ah::SealError::Exhausted => 26,
                ipsec_ah::SealError::Lifetime => 27,
                ipsec_ah::SealError::Range => 28,
                _ => 29,
            },
            Self::TooBig => 30,
            Self::Ike(discarded) => NAMES.len() + discarded.kind(),
        }
    }

    /// What a kind is about, and its name.
    #[must_use]
    pub fn name(kind: usize) -> Option<(DropClass, &'static str)> {
        match NAMES.get(kind) {
            Some(name) if kind < INBOUND => Some((DropClass::Inbound, name)),
            Some(name) => Some((DropClass::Outbound, name)),
            None => Discarded::NAMES.get(kind - NAMES.len()).map(|name| (DropClass::Ike, *name)),
        }
    }
}

/// Packets and their octets; of protected packets the octets of the inner IP packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Octets.
    pub octets: u64,
}

impl Volume {
    #[inline]
    pub(crate) fn count(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }
}

/// Outputs that were left out because as many as may ([`crate::OutputLimits`]) waited for
/// [`crate::Stack::poll_output`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Unpolled {
    /// Datagrams and packets.
    pub packets: u64,
    /// Events.
    pub events: u64,
}

/// What a stack has done since it was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Protected and sent.
    pub sealed: Volume,
    /// Received, authentic and handed on.
    pub opened: Volume,
    /// Sent in clear, as a policy says.
    pub bypassed: Volume,
    /// Held until there was an SA. Those that were sent in the end count as sealed too.
    pub queued: Volume,
    /// IKE datagrams that the endpoint took.
    pub ike: u64,
    /// NAT keepalives received.
    pub keepalives: u64,
    /// Inner ECN fields that no sender can have meant (RFC 6040 §4.2).
    pub ecn_alarms: u64,
    /// What the caller did not take in time.
    pub unpolled: Unpolled,
    dropped: [u64; DropReason::KINDS],
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            sealed: Volume::default(),
            opened: Volume::default(),
            bypassed: Volume::default(),
            queued: Volume::default(),
            ike: 0,
            keepalives: 0,
            ecn_alarms: 0,
            unpolled: Unpolled::default(),
            dropped: [0; DropReason::KINDS],
        }
    }
}

impl Stats {
    /// How many were dropped for this kind of reason.
    #[must_use]
    pub fn dropped(&self, reason: &DropReason) -> u64 {
        self.dropped.get(reason.kind()).copied().unwrap_or_default()
    }

    /// All kinds of reasons that came up, with what they are about, their names and counts.
    pub fn drops(&self) -> impl Iterator<Item = (DropClass, &'static str, u64)> + '_ {
        self.dropped.iter().enumerate().filter(|(_, count)| **count > 0).filter_map(|(kind, count)| {
            let (class, name) = DropReason::name(kind)?;
            Some((class, name, *count))
        })
    }

    pub(crate) fn drop_one(&mut self, reason: &DropReason) {
        self.drop_many(reason, 1);
    }

    pub(crate) fn drop_many(&mut self, reason: &DropReason, count: u64) {
        if let Some(counter) = self.dropped.get_mut(reason.kind()) {
            *counter += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_its_counter() {
        let names: BTreeSet<_> = (0..DropReason::KINDS).map(|kind| DropReason::name(kind).unwrap()).collect();
        assert_eq!(names.len(), DropReason::KINDS);
        assert_eq!(DropReason::name(DropReason::KINDS), None);
        let mut stats = Stats::default();
        stats.drop_one(&DropReason::Open(OpenError::Replay));
        stats.drop_many(&DropReason::QueueFull, 3);
        stats.drop_one(&DropReason::Ike(Discarded::Busy));
        let seen: alloc::vec::Vec<_> = stats.drops().collect();
        assert_eq!(
            seen,
            [
                (DropClass::Inbound, "replay", 1),
                (DropClass::Outbound, "queue-full", 3),
                (DropClass::Ike, "busy", 1)
            ]
        );
        assert_eq!(stats.dropped(&DropReason::Seal(SealError::NoRoom { head: 1, tail: 1 })), 0);
    }
}
