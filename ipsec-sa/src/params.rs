//! `SaParams`: everything that crosses from a negotiation to whoever processes packets.
//!
//! IKE emits two for each Child SA, one per direction; `ipsec-esp` and `ipsec-ah` consume them, and another embedder
//! turns them into the state of a kernel or of hardware (RFC 4301 §4.4.2.1 lists what an SA holds).

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipsec_crypto::Secret;
use ipsec_wire::Spi;
use ipsec_wire::ike::{EncrId, IntegId, SnId};

use crate::TrafficSelector;

/// Which protocol protects the packets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SecurityProtocol {
    /// Encapsulating Security Payload (RFC 4303).
    Esp,
    /// Authentication Header (RFC 4302).
    Ah,
}

/// What is protected (RFC 4301 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Mode {
    /// A whole inner IP packet behind an outer header.
    Tunnel,
    /// What follows the IP header.
    Transport,
    /// A tunnel with fixed inner addresses that are not carried (RFC 7402 appendix B).
    Beet,
}

/// Which way packets go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Direction {
    /// To us.
    Inbound,
    /// From us.
    Outbound,
}

/// Which side of the exchange that made the SA we were.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Role {
    /// We sent the request.
    Initiator,
    /// We answered it.
    Responder,
}

/// Algorithms by number, for whoever has a provider, a kernel or an ASIC to match them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SaAlgorithms {
    /// Encryption; `None` for AH.
    pub encr: Option<EncrId>,
    /// Length of the encryption key in bits, salt left out.
    pub key_bits: u16,
    /// Integrity; `None` with a combined mode.
    pub integ: Option<IntegId>,
}

/// The keys of one direction.
#[derive(Debug)]
pub struct SaKeys {
    /// Encryption key followed by its salt, as they stand in KEYMAT (RFC 4106 §8.1).
    pub encr: Secret,
    /// Integrity key; empty with a combined mode.
    pub integ: Secret,
}

/// How packets are wrapped between the outer IP header and ESP or AH.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Encapsulation {
    /// Straight behind the IP header.
    None,
    /// In UDP (RFC 3948), with these ports.
    Udp {
        /// Our port.
        local_port: u16,
        /// The peer's port.
        remote_port: u16,
    },
    /// In a TCP stream (RFC 9329), known to the caller by a number.
    Tcp {
        /// The caller's number for the connection.
        connection: u64,
    },
}

/// Where packets go on the outside. An update event changes this without a rekey.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Outer {
    /// Our address.
    pub local: IpAddr,
    /// The peer's address.
    pub remote: IpAddr,
    /// What stands between.
    pub encapsulation: Encapsulation,
}

/// What becomes of the inner header's DSCP in the outer header (RFC 4301 §5.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DscpPolicy {
    /// Copied.
    #[default]
    Copy,
    /// Set to this value (0..=63).
    Set(u8),
}

/// How the outer ECN field is made (RFC 6040 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum EcnPolicy {
    /// Normal mode: copied.
    #[default]
    Normal,
    /// Compatibility mode: Not-ECT outside.
    Compatibility,
}

/// What becomes of the DF bit (RFC 4301 §8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DfPolicy {
    /// Copied from the inner header.
    #[default]
    Copy,
    /// Always set.
    Set,
    /// Always clear.
    Clear,
}

/// How the outer header's fields are made from the inner one's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HeaderPolicy {
    /// DSCP.
    pub dscp: DscpPolicy,
    /// ECN.
    pub ecn: EcnPolicy,
    /// DF.
    pub df: DfPolicy,
}

/// When an SA is to be replaced (soft) and when it may not be used any more (hard); RFC 4301 §4.4.2.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lifetime {
    /// Age.
    pub time: Option<Duration>,
    /// Octets processed.
    pub octets: Option<u64>,
    /// Packets processed.
    pub packets: Option<u64>,
}

/// Soft and hard limits together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lifetimes {
    /// Ask for a replacement.
    pub soft: Lifetime,
    /// Stop.
    pub hard: Lifetime,
}

impl Lifetimes {
    /// The same with hard limits of at most `packets` and `octets`, as a cipher asks for; `u64::MAX` asks for none. A
    /// replacement is then due at seven eighths of them.
    #[must_use]
    pub fn capped(mut self, packets: u64, octets: u64) -> Self {
        let cap = |limit: &mut Option<u64>, most: u64| {
            if most != u64::MAX {
                *limit = Some(limit.map_or(most, |limit| limit.min(most)));
            }
        };
        cap(&mut self.hard.packets, packets);
        cap(&mut self.hard.octets, octets);
        let soft = |most: u64| if most == u64::MAX { most } else { most / 8 * 7 };
        cap(&mut self.soft.packets, soft(packets));
        cap(&mut self.soft.octets, soft(octets));
        self
    }
}

/// IPComp's two numbers (RFC 3173 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct IpCompCpis {
    /// CPI of packets to us.
    pub inbound: u16,
    /// CPI of packets from us.
    pub outbound: u16,
}

/// The addresses before translation, for transport mode behind NAT (RFC 7296 §2.23.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NatOriginalAddresses {
    /// Ours as the peer sees it: the destination that it writes.
    pub local: IpAddr,
    /// The peer's as it knows itself: the source that it writes.
    pub remote: IpAddr,
}

/// A number of the caller's for a virtual interface (route-based use).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InterfaceId(pub u32);

/// A policy's number in the SPD.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PolicyId(pub u32);

/// A number of the negotiation's for the IKE SA that made a Child SA; opaque here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct IkeSaRef(pub u64);

/// One direction of a Child SA. It holds keys, so it is not `Clone`.
#[derive(Debug)]
#[non_exhaustive]
pub struct SaParams {
    /// Security Parameters Index: of the receiver's choice.
    pub spi: Spi,
    /// ESP or AH.
    pub protocol: SecurityProtocol,
    /// Tunnel or transport.
    pub mode: Mode,
    /// To us or from us.
    pub direction: Direction,
    /// Which side of the exchange we were.
    pub role: Role,
    /// Algorithms.
    pub algorithms: SaAlgorithms,
    /// Keys.
    pub keys: SaKeys,
    /// Kind of sequence numbers.
    pub sequence: SnId,
    /// Outbound: the first packet's number is one above. Inbound: lower numbers are taken as seen.
    pub sequence_floor: u64,
    /// Replay window in packets; 0 switches replay protection off.
    pub replay_window: u32,
    /// What may come from our side of the tunnel.
    pub local_selectors: Vec<TrafficSelector>,
    /// What may come from the peer's side.
    pub remote_selectors: Vec<TrafficSelector>,
    /// Outer addresses and encapsulation.
    pub outer: Outer,
    /// Outer header fields.
    pub header: HeaderPolicy,
    /// Whether the peer takes TFC padding (it did not send ESP_TFC_PADDING_NOT_SUPPORTED).
    pub tfc: bool,
    /// Whether fragments that are not the first may travel in this SA as well: both sides have said so
    /// (NON_FIRST_FRAGMENTS_ALSO, RFC 7296 §1.3.1; RFC 4301 §7).
    pub non_first_fragments: bool,
    /// AGGFRAG (RFC 9347) in this direction, where negotiated.
    pub aggfrag: bool,
    /// IPComp in this SA, where negotiated.
    pub ipcomp: Option<IpCompCpis>,
    /// Addresses before translation, in transport mode behind NAT.
    pub nat_original: Option<NatOriginalAddresses>,
    /// Which resource (RFC 9611), where there are several SAs with the same selectors.
    pub resource: Option<u32>,
    /// Virtual interface.
    pub interface: Option<InterfaceId>,
    /// Soft and hard limits.
    pub lifetimes: Lifetimes,
    /// The IKE SA behind it.
    pub ike_sa: Option<IkeSaRef>,
    /// The policy behind it.
    pub policy: Option<PolicyId>,
}

impl SaParams {
    /// A tunnel-mode ESP SA with 32-bit sequence numbers and a window of 64 packets; setters change the rest.
    #[must_use]
    pub fn new(
        spi: Spi,
        direction: Direction,
        role: Role,
        algorithms: SaAlgorithms,
        keys: SaKeys,
        outer: Outer,
    ) -> Self {
        Self {
            spi,
            protocol: SecurityProtocol::Esp,
            mode: Mode::Tunnel,
            direction,
            role,
            algorithms,
            keys,
            sequence: SnId::SEQUENTIAL_32,
            sequence_floor: 0,
            replay_window: 64,
            local_selectors: Vec::new(),
            remote_selectors: Vec::new(),
            outer,
            header: HeaderPolicy::default(),
            non_first_fragments: false,
            tfc: true,
            aggfrag: false,
            ipcomp: None,
            nat_original: None,
            resource: None,
            interface: None,
            lifetimes: Lifetimes::default(),
            ike_sa: None,
            policy: None,
        }
    }

    /// Sets the protocol.
    #[must_use]
    pub fn with_protocol(mut self, protocol: SecurityProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets the mode.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the kind of sequence numbers and the number they start above.
    #[must_use]
    pub fn with_sequence(mut self, sequence: SnId, floor: u64) -> Self {
        self.sequence = sequence;
        self.sequence_floor = floor;
        self
    }

    /// Sets the replay window, in packets.
    #[must_use]
    pub fn with_replay_window(mut self, packets: u32) -> Self {
        self.replay_window = packets;
        self
    }

    /// Sets what may travel, by side.
    #[must_use]
    pub fn with_selectors(mut self, local: Vec<TrafficSelector>, remote: Vec<TrafficSelector>) -> Self {
        self.local_selectors = local;
        self.remote_selectors = remote;
        self
    }

    /// Sets how the outer header is made.
    #[must_use]
    pub fn with_header(mut self, header: HeaderPolicy) -> Self {
        self.header = header;
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn with_lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.lifetimes = lifetimes;
        self
    }

    /// Sets the addresses before translation, for transport mode behind NAT.
    #[must_use]
    pub fn with_nat_original(mut self, addresses: NatOriginalAddresses) -> Self {
        self.nat_original = Some(addresses);
        self
    }

    /// Sets the references back to IKE SA and policy.
    #[must_use]
    pub fn with_origin(mut self, ike_sa: IkeSaRef, policy: Option<PolicyId>) -> Self {
        self.ike_sa = Some(ike_sa);
        self.policy = policy;
        self
    }
}

/// New outer addresses for a Child SA, without a rekey (RFC 7296 §2.23, RFC 4555 §3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SaUpdate {
    /// SPI of packets to us: it names the pair.
    pub inbound: Spi,
    /// SPI of packets from us.
    pub outbound: Spi,
    /// Where packets go from now on.
    pub outer: Outer,
}
