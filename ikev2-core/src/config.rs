//! What an endpoint is told beforehand: its own limits, its connections and their children.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ipsec_crypto::Suite;
use ipsec_crypto::{CryptoProvider, Secret, SuiteProtocol};
use ipsec_sa::{HeaderPolicy, Lifetimes, Mode, PolicyId, SecurityProtocol, TrafficSelector};
use ipsec_wire::Limits;

use crate::exchange::retransmit::RetransmitPolicy;
use crate::identity::Identity;
use crate::path::{Path, Transport};

/// Where the SPIs of inbound Child SAs come from: whoever owns the SAD.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SpiSource {
    /// Made up at random here.
    #[default]
    Random,
    /// Handed in ahead by [`crate::Endpoint::supply_spis`], and given back unused by
    /// [`crate::event::Event::SpiReleased`].
    Pool,
}

/// Who carries out slow steps ([`crate::job::Request`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Executor {
    /// The endpoint, at once.
    #[default]
    Inline,
    /// The caller: [`crate::event::Event::Needs`], answered later by [`crate::Endpoint::answer`].
    Caller,
}

/// When a responder asks for a cookie before it keeps any state (RFC 7296 §2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CookiePolicy {
    /// Never.
    Never,
    /// From this many half-open IKE SAs on.
    From(usize),
    /// Always.
    Always,
}

/// An endpoint's own settings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Where Child SA SPIs come from.
    pub spi_source: SpiSource,
    /// Who carries out slow steps.
    pub executor: Executor,
    /// Whether the caller acknowledges that an SA is installed before the message that depends on it is sent.
    pub acknowledge_install: bool,
    /// When to ask for cookies.
    pub cookie: CookiePolicy,
    /// Half-open IKE SAs as responder, in all.
    pub max_half_open: usize,
    /// Half-open IKE SAs as responder, per source address.
    pub max_half_open_per_source: usize,
    /// How long a half-open IKE SA may wait for IKE_AUTH.
    pub half_open_timeout: Duration,
    /// How often, and how long apart, requests are sent again over UDP.
    pub retransmit: RetransmitPolicy,
    /// After an unprotected error: how much longer a valid answer is waited for (RFC 7296 §2.21.1).
    pub hint_grace: Duration,
    /// Replies to unprotected messages outside any IKE SA, per second.
    pub stateless_replies_per_second: u32,
    /// Caps on what one message may count.
    pub limits: Limits,
    /// Messages that would make a larger IP packet go in fragments, where the peer can (RFC 7383); `None`: never, and
    /// the peer is not told that we can.
    pub fragment_size: Option<usize>,
    /// Tell whoever sends packets with an unknown SPI from an address without an IKE SA, by an unprotected INVALID_SPI
    /// (RFC 7296 §1.5): see [`crate::Endpoint::unknown_child_spi`].
    pub tell_strangers: bool,
    /// At most one liveness check in this time because of hints that may be forged (RFC 7296 §2.21.4).
    pub hint_interval: Duration,
    /// Whether IKE_INTERMEDIATE is taken as responder (RFC 9242), where the initiator asks for it.
    pub intermediate: bool,
    /// Octets of nonce to send: 16..=256, and raised to half the key of the provider's longest PRF (RFC 7296 §2.10).
    pub nonce_len: usize,
    /// Emit [`crate::event::Event::Exchange`] for each message.
    pub trace: bool,
    /// Emit [`crate::event::Event::Keys`]: secrets, for debugging with Wireshark.
    pub key_log: bool,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            spi_source: SpiSource::default(),
            executor: Executor::default(),
            acknowledge_install: false,
            cookie: CookiePolicy::From(32),
            max_half_open: 1024,
            max_half_open_per_source: 128,
            half_open_timeout: Duration::from_secs(30),
            retransmit: RetransmitPolicy::default(),
            hint_grace: Duration::from_secs(3),
            stateless_replies_per_second: 50,
            limits: Limits::default(),
            // What every IPv6 link carries, and nearly every IPv4 path.
            fragment_size: Some(1280),
            tell_strangers: false,
            hint_interval: Duration::from_secs(30),
            intermediate: true,
            nonce_len: 32,
            trace: false,
            key_log: false,
        }
    }
}

impl EndpointConfig {
    /// The largest IKE message in one datagram on this path.
    pub(crate) fn fragment_len(&self, path: &Path) -> Option<usize> {
        let ip = if path.remote.is_ipv4() { 20 } else { 40 };
        // UDP header and non-ESP marker.
        self.fragment_size.map(|size| size.saturating_sub(ip + 8 + 4))
    }
}

/// A connection's number, given by [`crate::Endpoint::add_connection`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u32);

/// The two UDP ports of one side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// IKE alone.
    pub ike: u16,
    /// IKE and ESP, after the float (RFC 7296 §2.23).
    pub encap: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { ike: 500, encap: 4500 }
    }
}

/// Which identities a peer may prove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerIdentity {
    /// This one.
    Exactly(Identity),
    /// Any.
    Any,
}

impl PeerIdentity {
    /// Whether this identity is among them.
    #[must_use]
    pub fn admits(&self, identity: &Identity) -> bool {
        match self {
            Self::Exactly(expected) => expected == identity,
            Self::Any => true,
        }
    }
}

impl core::fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Exactly(identity) => identity.fmt(f),
            Self::Any => f.write_str("anybody"),
        }
    }
}

/// What becomes of an older IKE SA when the same peer makes another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Uniqueness {
    /// It stays.
    Keep,
    /// It goes when the peer says that the new one is its only one (INITIAL_CONTACT, RFC 7296 §2.4).
    #[default]
    InitialContact,
    /// It goes.
    Replace,
}

/// What becomes of the IKE SAs of a connection that gets another configuration
/// ([`crate::Endpoint::replace_connection`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Existing {
    /// They stay, and go by the new configuration from now on: whatever is rekeyed or made is rekeyed or made by it. A
    /// Child SA whose child (by its name) the new configuration does not have is deleted; others stay as they are until
    /// they are rekeyed.
    #[default]
    Keep,
    /// The same, and both sides authenticate anew under the new configuration, make before break. Where we have no
    /// address to begin from, they are deleted.
    Reauthenticate,
    /// They are deleted.
    Delete,
}

/// How often something may happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// On average.
    pub per_second: u32,
    /// At once, after a while without.
    pub burst: u32,
}

/// When a Child SA is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Startup {
    /// When it is asked for.
    #[default]
    OnDemand,
    /// At once, and again whenever it is gone for whatever reason, until the connection is removed. Failed set-ups are
    /// tried again after pauses that double from one second to two minutes.
    Keep,
}

/// How both sides prove who they are.
#[derive(Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// A shared key (RFC 7296 §2.15).
    Psk(Secret),
}

/// What is told to the peer in an IKE_INTERMEDIATE exchange of its own, between IKE_SA_INIT and IKE_AUTH (RFC 9242).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IntermediateUse {
    /// A Vendor ID payload of these octets (RFC 7296 §3.12). A peer that does not know them ignores them.
    VendorId(Vec<u8>),
}

/// How long an IKE SA is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IkeLifetime {
    /// Replace it after this time, jitter taken off; `None` = never of ourselves.
    pub rekey: Option<Duration>,
    /// Up to so many percent of the time is taken off at random, so that both sides seldom collide.
    pub jitter_percent: u8,
    /// Give it up after this time.
    pub hard: Option<Duration>,
    /// Authenticate anew after this time. As initiator we do so ourselves; as responder we tell the peer to
    /// (AUTH_LIFETIME, RFC 4478) and end what is not renewed. A peer's own AUTH_LIFETIME is followed in any case.
    pub reauth: Option<Duration>,
}

impl Default for IkeLifetime {
    fn default() -> Self {
        Self {
            rekey: Some(Duration::from_secs(4 * 3600)),
            jitter_percent: 10,
            hard: Some(Duration::from_secs(4 * 3600 + 1800)),
            reauth: None,
        }
    }
}

/// One peer, or one kind of peer.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// Name for people.
    pub name: String,
    /// Our address; `None` = any (only to answer).
    pub local: Option<IpAddr>,
    /// The peer's address; `None` = any (only to answer).
    pub remote: Option<IpAddr>,
    /// Our ports.
    pub local_ports: Ports,
    /// The peer's ports.
    pub remote_ports: Ports,
    /// Who we are.
    pub local_id: Identity,
    /// Who the peer may be.
    pub remote_id: PeerIdentity,
    /// How both prove it.
    pub credentials: Credentials,
    /// IKE proposals, most wanted first.
    pub suites: Vec<Suite>,
    /// Child SAs this connection may have; the first comes with IKE_AUTH.
    pub children: Vec<ChildConfig>,
    /// What to send in IKE_INTERMEDIATE as initiator, an exchange for each, where the peer supports it; at most sixteen.
    pub intermediate: Vec<IntermediateUse>,
    /// Make both sides believe in a NAT, so that ESP travels in UDP.
    pub force_encapsulation: bool,
    /// How long its IKE SA is used.
    pub lifetime: IkeLifetime,
    /// Probe a silent peer after this time (RFC 7296 §2.4).
    pub liveness: Option<Duration>,
    /// Send a keepalive this often when we are behind a NAT (RFC 3948 §2.3).
    pub nat_keepalive: Option<Duration>,
    /// How many requests of the peer we take at once (SET_WINDOW_SIZE, RFC 7296 §2.3).
    pub window: u32,
    /// What becomes of older IKE SAs with the same peer.
    pub uniqueness: Uniqueness,
    /// The most Child SAs that the peer may make in one IKE SA; more are answered NO_ADDITIONAL_SAS.
    pub max_children: usize,
    /// How often the peer may ask for CREATE_CHILD_SA, in a second and at once; what is more is answered
    /// TEMPORARY_FAILURE, which has it come again later (RFC 7296 §2.25).
    pub create_child_rate: Rate,
}

impl ConnectionConfig {
    /// A connection with a shared key; the fields hold what may be changed.
    #[must_use]
    pub fn psk(
        name: &str,
        local_id: Identity,
        remote_id: PeerIdentity,
        key: Secret,
        suites: Vec<Suite>,
    ) -> Self {
        Self {
            name: name.to_string(),
            local: None,
            remote: None,
            local_ports: Ports::default(),
            remote_ports: Ports::default(),
            local_id,
            remote_id,
            credentials: Credentials::Psk(key),
            suites,
            children: vec![],
            intermediate: vec![],
            force_encapsulation: false,
            lifetime: IkeLifetime::default(),
            liveness: None,
            nat_keepalive: Some(Duration::from_secs(20)),
            window: 1,
            uniqueness: Uniqueness::default(),
            max_children: 64,
            create_child_rate: Rate { per_second: 8, burst: 128 },
        }
    }

    /// Sets both addresses.
    #[must_use]
    pub fn between(mut self, local: IpAddr, remote: IpAddr) -> Self {
        self.local = Some(local);
        self.remote = Some(remote);
        self
    }

    /// Sets the ports of both sides.
    #[must_use]
    pub fn with_ports(mut self, local: Ports, remote: Ports) -> Self {
        self.local_ports = local;
        self.remote_ports = remote;
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn with_child(mut self, child: ChildConfig) -> Self {
        self.children.push(child);
        self
    }

    /// Whether a datagram on this path may be this connection's.
    #[must_use]
    pub fn fits(&self, path: &Path) -> bool {
        self.local.is_none_or(|local| local == path.local.ip())
            && self.remote.is_none_or(|remote| remote == path.remote.ip())
    }

    /// The path to start on, where both addresses are known.
    #[must_use]
    pub(crate) fn first_path(&self) -> Option<Path> {
        Some(Path::udp(
            SocketAddr::new(self.local?, self.local_ports.ike),
            SocketAddr::new(self.remote?, self.remote_ports.ike),
        ))
    }

    /// The same addresses after the float to the encapsulation ports.
    #[must_use]
    pub(crate) fn floated(&self, path: &Path) -> Path {
        match path.transport {
            Transport::Udp => Path::udp_encap(
                SocketAddr::new(path.local.ip(), self.local_ports.encap),
                SocketAddr::new(path.remote.ip(), self.remote_ports.encap),
            ),
            _ => *path,
        }
    }

    /// Names what a provider lacks for this connection.
    ///
    /// # Errors
    /// [`ipsec_crypto::MissingRow`] that names the missing algorithm.
    pub fn supported_by(&self, provider: &CryptoProvider) -> Result<(), ipsec_crypto::MissingRow> {
        self.suites
            .iter()
            .chain(self.children.iter().flat_map(|child| &child.suites))
            .try_for_each(|suite| suite.supported_by(provider))
    }
}

/// One kind of Child SA of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildConfig {
    /// Name for people.
    pub name: String,
    /// What may come from our side.
    pub local: Vec<TrafficSelector>,
    /// What may come from the peer's side.
    pub remote: Vec<TrafficSelector>,
    /// ESP or AH proposals, most wanted first, of one protocol. Key exchange methods in them ask for forward secrecy in CREATE_CHILD_SA.
    pub suites: Vec<Suite>,
    /// Tunnel or transport.
    pub mode: Mode,
    /// Soft and hard limits. Time is watched here, octets and packets by whoever processes packets.
    pub lifetimes: Lifetimes,
    /// Up to so many percent of the soft time is taken off at random.
    pub jitter_percent: u8,
    /// Replay window of the inbound SA, in packets.
    pub replay_window: u32,
    /// Whether fragments that are not the first may travel in it too, where the peer agrees
    /// (NON_FIRST_FRAGMENTS_ALSO, RFC 7296 §1.3.1).
    pub non_first_fragments: bool,
    /// How outer headers are made.
    pub header: HeaderPolicy,
    /// The policy this child serves.
    pub policy: Option<PolicyId>,
    /// When it is made.
    pub startup: Startup,
}

impl ChildConfig {
    /// ESP, or AH where the suites are AH's.
    #[must_use]
    pub fn protocol(&self) -> SecurityProtocol {
        match self.suites.first().map(|suite| suite.protocol) {
            Some(SuiteProtocol::Ah) => SecurityProtocol::Ah,
            _ => SecurityProtocol::Esp,
        }
    }

    /// Whether all suites are for packets, and for one protocol.
    pub(crate) fn is_consistent(&self) -> bool {
        let first = self.suites.first().map(|suite| suite.protocol);
        first.is_some_and(|first| first != SuiteProtocol::Ike)
            && self.suites.iter().all(|suite| Some(suite.protocol) == first)
    }

    /// A tunnel between these selectors; the fields hold what may be changed.
    #[must_use]
    pub fn tunnel(
        name: &str,
        local: Vec<TrafficSelector>,
        remote: Vec<TrafficSelector>,
        suites: Vec<Suite>,
    ) -> Self {
        let hour = Duration::from_secs(3600);
        let mut lifetimes = Lifetimes::default();
        lifetimes.soft.time = Some(hour);
        lifetimes.hard.time = Some(hour + Duration::from_secs(600));
        Self {
            name: name.to_string(),
            local,
            remote,
            suites,
            mode: Mode::Tunnel,
            lifetimes,
            jitter_percent: 10,
            replay_window: 1024,
            non_first_fragments: false,
            header: HeaderPolicy::default(),
            policy: None,
            startup: Startup::default(),
        }
    }
}
