//! What a stack is told beforehand, beside its connections and policies.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use ikev2_core::{EndpointConfig, Ports};
use ipsec_esp::OuterHeader;
use ipsec_sa::{PeerAuthorizationDatabase, ReassemblyLimits};

/// A stack's own settings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StackConfig {
    /// The IKE endpoint's settings. SPIs of Child SAs always come from the stack's SA database.
    pub endpoint: EndpointConfig,
    /// Child SAs at once, SPIs that are reserved for set-ups in progress included.
    pub max_children: usize,
    /// What may wait for an SA, per policy.
    pub queue: QueueLimits,
    /// What may wait for [`crate::Stack::poll_output`].
    pub outputs: OutputLimits,
    /// How long a policy rests after a failed set-up.
    pub backoff: Backoff,
    /// Which headers are written in front of sealed packets; none for the owner of sockets.
    pub outer: OuterHeader,
    /// Our ports, to tell IKE and encapsulated ESP among whole IP packets ([`crate::Stack::handle_packet`]).
    pub ports: Ports,
    /// The largest outer packet that the first link takes: what becomes longer is cut before it is sealed, or its sender
    /// is told. 65535 leaves that to whoever sends the packets, until a router says something.
    pub link_mtu: u16,
    /// Whether ICMP messages that our packets are too big are believed though they are not protected (RFC 4301 §6.1.1), down
    /// to 576 octets over IPv4 and 1280 over IPv6. If not, policy decides about them as about any packet in clear.
    pub heed_too_big: bool,
    /// Whether TCP segments that open a connection announce no more than fits through the SA.
    pub clamp_mss: bool,
    /// Whether senders inside are told that their packets were discarded, by policy or because no SA came about (RFC 4301
    /// §5.1.1), at most a thousand in a second. Whoever forges a source inside has it told.
    pub tell_discarded: bool,
    /// Where ICMP messages to senders inside come from; the destination of the packet that was too long otherwise.
    pub icmp_sources: (Option<Ipv4Addr>, Option<Ipv6Addr>),
    /// Who may be who and have Child SAs for what, beside what the connections say; `None`: whoever a connection lets in
    /// may have what its children are for.
    pub pad: Option<PeerAuthorizationDatabase>,
    /// Bounds of fragments to ourselves.
    pub reassembly: ReassemblyLimits,
    /// Whether a peer is told of packets of SAs that we do not have (INVALID_SPI, RFC 7296 §1.5): in its IKE SA, and
    /// without one as [`EndpointConfig::tell_strangers`] says. Anybody who can forge an address can have a peer told, at
    /// most once a second.
    pub tell_unknown_spis: bool,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            endpoint: EndpointConfig::default(),
            max_children: 4096,
            queue: QueueLimits::default(),
            outputs: OutputLimits::default(),
            backoff: Backoff::default(),
            outer: OuterHeader::None,
            ports: Ports::default(),
            link_mtu: u16::MAX,
            heed_too_big: true,
            clamp_mss: false,
            tell_discarded: false,
            icmp_sources: (None, None),
            pad: None,
            reassembly: ReassemblyLimits::default(),
            tell_unknown_spis: false,
        }
    }
}

/// Bounds of the packets that wait for an SA under one policy. The oldest gives way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueLimits {
    /// Packets.
    pub packets: usize,
    /// Octets of IP packets.
    pub octets: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { packets: 32, octets: 64 * 1024 }
    }
}

/// Bounds of what waits for [`crate::Stack::poll_output`], so that a caller that is late runs out of nothing. What finds no
/// room is counted ([`crate::Unpolled`]).
///
/// Events that say what SAs there are and steps to be answered do not count, and are never left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputLimits {
    /// Datagrams to send and packets to deliver.
    pub packets: usize,
    /// Their octets.
    pub octets: usize,
    /// Events that only inform: failures, refusals of strangers, traces, key logs.
    pub events: usize,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self { packets: 32 * 1024, octets: 32 << 20, events: 32 * 1024 }
    }
}

/// After a failed set-up packets do not start another one at once: the time doubles from failure to failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// The longest.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// How long to rest after this many failures in a row.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        let factor = 1u32 << failures.saturating_sub(1).min(16);
        self.first.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_doubles_up_to_its_limit() {
        let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) };
        let seconds: [u64; 6] = core::array::from_fn(|failures| backoff.after(failures as u32).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 8, 10]);
        assert_eq!(backoff.after(u32::MAX).as_secs(), 10);
    }
}
