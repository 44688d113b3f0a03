//! The stack: the databases of RFC 4301, ESP and the IKE endpoint behind one front.
//!
//! The data path is plain calls on the caller's buffer; [`Stack::poll_output`] is the control plane only.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::time::Duration;

use ikev2_core::job::UnknownOp;
use ikev2_core::{
    Answer, ApiMisuse, ConnectionConfig, ConnectionId, Counters, Endpoint, IkeHandle, IkeSaInfo, Input, OpId,
    SpiSource, Transport,
};
use ipsec_crypto::{CryptoProvider, SuiteProtocol};
use ipsec_esp::tunnel::{Decapsulated, Ecn, apply_ecn};
use ipsec_esp::{OpenError, SealError};
use ipsec_sa::{
    Direction, Flow, FragmentFlows, Instant, Mode, Policy, PolicyAction, PolicyError, PolicyId,
    PopulateFromPacket, ProtectSpec, SaDatabase, SecurityPolicyDatabase, SecurityProtocol,
};
use ipsec_wire::{IpView, Spi, UdpEncapRange, locate_udp_encap};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::child::{Child, ChildInfo, Due};
use crate::control::{Chore, Ike};
use crate::demand::{Demand, Protect};
use crate::inner::announced;
use crate::{DropReason, Meta, Output, Received, StackConfig, Stats, Verdict};

/// Room in front of an IP packet that [`Stack::handle_ip`] never needs more than: IPv6 and UDP header, SPI, sequence
/// number and IV.
pub const HEADROOM: usize = 40 + 8 + 8 + 16;
/// Room behind an IP packet that [`Stack::handle_ip`] never needs more than: padding, trailer, ICV.
pub const TAILROOM: usize = 15 + 2 + 32;

/// How often at most the endpoint is told that packets come in on a Child SA.
const TELL_ALIVE: Duration = Duration::from_secs(1);
/// Datagrams in fragments that are remembered, and how long.
const FRAGMENTED: usize = 1024;
const FRAGMENTS_LAST: Duration = Duration::from_secs(30);

/// Policies from this number on are those that [`Stack::add_connection`] makes.
pub const FIRST_OWN_POLICY: PolicyId = PolicyId(1 << 31);

/// IKEv2, SA and policy databases and ESP as one object without sockets, clock or threads.
///
/// Policies decide in their order, the first match counts, and what none matches is dropped: it fails closed.
/// A packet that matches PROTECT and finds no SA starts a negotiation and waits. IKE itself never meets the policies.
pub struct Stack {
    pub(crate) config: StackConfig,
    pub(crate) provider: CryptoProvider,
    pub(crate) endpoint: Endpoint,
    /// By inbound SPI.
    pub(crate) sad: SaDatabase<Box<Child>>,
    pub(crate) spd: SecurityPolicyDatabase,
    pub(crate) protects: BTreeMap<PolicyId, Protect>,
    pub(crate) ikes: BTreeMap<IkeHandle, Ike>,
    pub(crate) chores: Vec<Chore>,
    /// Policies whose waiting packets can go, each with the IKE SA that made it so.
    pub(crate) served: Vec<(PolicyId, IkeHandle)>,
    /// Whether there is something new to ask of the endpoint.
    pub(crate) stirred: bool,
    pub(crate) outputs: VecDeque<Output>,
    /// The endpoint's.
    pub(crate) deadline: Option<Instant>,
    /// When something is asked of the endpoint again that it could not do yet.
    pub(crate) retry_at: Option<Instant>,
    pub(crate) stats: Stats,
    /// What first fragments showed, for those behind them (RFC 4301 §7.3).
    fragments: FragmentFlows,
    next_policy: u32,
}

/// Why a connection was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ConnectionRefused {
    /// The endpoint does not take it.
    #[error("{0}")]
    Endpoint(#[from] ApiMisuse),
    /// Another connection's child serves this policy.
    #[error("policy {} is served by another connection", .0.0)]
    PolicyTaken(PolicyId),
    /// A child in another mode than tunnel mode, or with AH.
    #[error("only ESP in tunnel mode is processed here")]
    Unsupported,
}

/// Why a policy was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PolicyRefused {
    /// The database does not take it.
    #[error("{0}")]
    Database(#[from] PolicyError),
    /// It asks for AH, another mode than tunnel mode, or for SAs populated from the packet: taking it and doing
    /// something else would not be what it says.
    #[error("only ESP in tunnel mode, with the policy's own selectors, is processed here")]
    Unsupported,
}

impl Stack {
    /// A stack without connections and policies: it drops everything.
    ///
    /// `rng` must be a real generator, seeded by the operating system, everywhere but in tests.
    #[must_use]
    pub fn new(
        mut config: StackConfig,
        provider: CryptoProvider,
        rng: Box<dyn CryptoRng + Send>,
        now: Instant,
    ) -> Self {
        config.endpoint.spi_source = SpiSource::Pool;
        let mut stack = Self {
            endpoint: Endpoint::new(config.endpoint.clone(), provider.clone(), rng, now),
            sad: SaDatabase::new(config.max_children),
            spd: SecurityPolicyDatabase::new(),
            protects: BTreeMap::new(),
            ikes: BTreeMap::new(),
            chores: Vec::new(),
            served: Vec::new(),
            stirred: false,
            outputs: VecDeque::new(),
            deadline: None,
            retry_at: None,
            stats: Stats::default(),
            fragments: FragmentFlows::new(FRAGMENTED, FRAGMENTS_LAST),
            next_policy: FIRST_OWN_POLICY.0,
            config,
            provider,
        };
        stack.pump(now);
        stack
    }

    /// Adds a connection. A child that names no policy gets one of its own behind all others: PROTECT between its
    /// selectors. A child that names one serves that; whoever names it adds it ([`Stack::add_policy`]).
    ///
    /// # Errors
    /// [`ConnectionRefused`], and nothing changes.
    pub fn add_connection(
        &mut self,
        mut config: ConnectionConfig,
    ) -> Result<ConnectionId, ConnectionRefused> {
        let mut own = Vec::new();
        for (index, child) in config.children.iter_mut().enumerate() {
            let esp = child.suites.iter().all(|suite| suite.protocol == SuiteProtocol::Esp);
            if child.mode != Mode::Tunnel || !esp {
                return Err(ConnectionRefused::Unsupported);
            }
            let id = match child.policy {
                Some(id) if self.protects.contains_key(&id) => {
                    return Err(ConnectionRefused::PolicyTaken(id));
                }
                Some(id) => id,
                None => {
                    while self.spd.policy(PolicyId(self.next_policy)).is_some() {
                        self.next_policy = self.next_policy.wrapping_add(1).max(FIRST_OWN_POLICY.0);
                    }
                    let id = PolicyId(self.next_policy);
                    self.next_policy = self.next_policy.wrapping_add(1).max(FIRST_OWN_POLICY.0);
                    id
                }
            };
            let made_here = child.policy.replace(id).is_none();
            own.push((index, id, child.name.clone(), child.local.clone(), child.remote.clone(), made_here));
        }
        let connection = self.endpoint.add_connection(config)?;
        for (index, id, name, local, remote, made_here) in own {
            self.protects.insert(id, Protect::new(connection, index, name.clone()));
            if made_here {
                let action = PolicyAction::Protect(ProtectSpec::tunnel(connection.0));
                // The number was free a moment ago.
                let _ = self.spd.insert(Policy::new(id, name, local, remote, action));
            }
        }
        Ok(connection)
    }

    /// Takes a connection away with its IKE SAs. Its policies stay, and now drop what matches them: taking them away
    /// too ([`Stack::remove_policy`]) may let packets through to policies behind them.
    pub fn remove_connection(&mut self, now: Instant, connection: ConnectionId) -> Result<(), ApiMisuse> {
        self.endpoint.remove_connection(now, connection)?;
        self.pump(now);
        for protect in self.protects.values_mut().filter(|protect| protect.connection == Some(connection)) {
            protect.connection = None;
            protect.demand = Demand::Idle;
            let waiting = protect.queue.take().len() as u64;
            self.stats.drop_many(&DropReason::NoConnection, waiting);
        }
        Ok(())
    }

    /// Adds a policy behind all others.
    ///
    /// # Errors
    /// [`PolicyRefused`], and nothing changes.
    pub fn add_policy(&mut self, policy: Policy) -> Result<(), PolicyRefused> {
        processed_here(&policy)?;
        Ok(self.spd.insert(policy)?)
    }

    /// Adds a policy in front of another one.
    ///
    /// # Errors
    /// [`PolicyRefused`], and nothing changes.
    pub fn add_policy_before(&mut self, next: PolicyId, policy: Policy) -> Result<(), PolicyRefused> {
        processed_here(&policy)?;
        Ok(self.spd.insert_before(next, policy)?)
    }

    /// Takes a policy away. SAs that served it stay until their IKE SA or connection ends.
    pub fn remove_policy(&mut self, id: PolicyId) -> Option<Policy> {
        self.spd.remove(id)
    }

    /// The policies, in their order.
    #[must_use]
    pub const fn policies(&self) -> &SecurityPolicyDatabase {
        &self.spd
    }

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
        let received = match self.open(now, meta, buf, esp) {
            Ok((range, sa)) => {
                self.stats.opened.count(range.len());
                Received::Inner { range, sa }
            }
            Err(reason) => self.refuse(reason),
        };
        if self.stirred {
            self.pump(now);
        }
        received
    }

    /// Takes an IP packet from the inside, which lies at `ip` in `buf`, and decides about it by policy. A packet that
    /// is to be protected is sealed in place, with [`HEADROOM`] in front and [`TAILROOM`] behind it being enough.
    pub fn handle_ip(&mut self, now: Instant, buf: &mut [u8], ip: Range<usize>) -> Verdict {
        let verdict = self.outbound(now, buf, ip).unwrap_or_else(|reason| {
            self.stats.drop_one(&reason);
            Verdict::Dropped(reason)
        });
        if self.stirred {
            self.pump(now);
        }
        verdict
    }

    /// Whether a packet that came in clear may pass: only where the first policy that matches says BYPASS
    /// (RFC 4301 §5.2). A packet that a PROTECT policy is about is refused.
    ///
    /// # Errors
    /// [`DropReason::Clear`], counted.
    pub fn check_clear_inbound(&mut self, flow: &Flow) -> Result<(), DropReason> {
        match self.spd.lookup(Direction::Inbound, flow).map(|policy| &policy.action) {
            Some(PolicyAction::Bypass) => Ok(()),
            _ => {
                self.stats.drop_one(&DropReason::Clear);
                Err(DropReason::Clear)
            }
        }
    }

    /// Tells that the time asked for by [`Output::Timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        // A timeout is never refused.
        let _ = self.endpoint.handle_input(Input::Timeout(now));
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        self.pump(now);
    }

    /// The next thing to do outside. Call it until it says [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Timeout(self.deadline.into_iter().chain(self.retry_at).min()),
        }
    }

    /// Starts a connection. `first_child` is the child that comes with it, by its place in the configuration.
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn connect(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        first_child: Option<usize>,
    ) -> Result<IkeHandle, ApiMisuse> {
        let ike = self.endpoint.connect(now, connection, first_child, None)?;
        self.ikes.insert(ike, Ike { connection, established: false });
        self.pump(now);
        Ok(ike)
    }

    /// Asks for another Child SA, by its place in the connection's configuration.
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn create_child(&mut self, now: Instant, ike: IkeHandle, child: usize) -> Result<(), ApiMisuse> {
        self.endpoint.create_child(now, ike, child, None)?;
        self.pump(now);
        Ok(())
    }

    /// Replaces the Child SA with this inbound SPI.
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn rekey_child(&mut self, now: Instant, inbound: Spi) -> Result<(), ApiMisuse> {
        let ike = self.sad.lookup(inbound).ok_or(ApiMisuse::UnknownChild)?.ike;
        self.endpoint.rekey_child(now, ike, inbound)?;
        self.pump(now);
        Ok(())
    }

    /// Replaces an IKE SA; its children move to the new one.
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn rekey_ike(&mut self, now: Instant, ike: IkeHandle) -> Result<(), ApiMisuse> {
        self.endpoint.rekey_ike(now, ike)?;
        self.pump(now);
        Ok(())
    }

    /// Makes a new IKE SA with the same peer and children, authenticated anew, and then ends the old one
    /// (RFC 7296 §2.8.3). Gives the new one's handle.
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn reauthenticate(&mut self, now: Instant, ike: IkeHandle) -> Result<IkeHandle, ApiMisuse> {
        let new = self.endpoint.reauthenticate(now, ike)?;
        if let Some(connection) = self.ikes.get(&ike).map(|old| old.connection) {
            self.ikes.insert(new, Ike { connection, established: false });
        }
        self.pump(now);
        Ok(new)
    }

    /// Ends the Child SA with this inbound SPI.
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn delete_child(&mut self, now: Instant, inbound: Spi) -> Result<(), ApiMisuse> {
        let ike = self.sad.lookup(inbound).ok_or(ApiMisuse::UnknownChild)?.ike;
        self.endpoint.delete_child(now, ike, inbound)?;
        self.pump(now);
        Ok(())
    }

    /// Ends an IKE SA and its children.
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn delete_ike(&mut self, now: Instant, ike: IkeHandle) -> Result<(), ApiMisuse> {
        self.endpoint.delete_ike(now, ike)?;
        self.pump(now);
        Ok(())
    }

    /// Asks the peer for a sign of life (RFC 7296 §2.4).
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn check_liveness(&mut self, now: Instant, ike: IkeHandle) -> Result<(), ApiMisuse> {
        self.endpoint.check_liveness(now, ike)?;
        self.pump(now);
        Ok(())
    }

    /// Answers [`crate::Event::Needs`].
    ///
    /// # Errors
    /// [`UnknownOp`] for a step that nobody waits for.
    pub fn answer(&mut self, now: Instant, op: OpId, answer: Answer) -> Result<(), UnknownOp> {
        let answered = self.endpoint.answer(now, op, answer);
        self.pump(now);
        answered
    }

    /// The IKE SAs.
    pub fn ike_sas(&self) -> impl Iterator<Item = IkeSaInfo> + '_ {
        self.endpoint.ike_sas()
    }

    /// The Child SAs that packets can take.
    pub fn children(&self) -> impl Iterator<Item = ChildInfo<'_>> {
        self.sad.iter().map(|(_, child)| child.info())
    }

    /// What the stack has done since it was made.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The IKE endpoint's counters.
    #[must_use]
    pub fn ike_counters(&self) -> &Counters {
        self.endpoint.counters()
    }

    /// Packets and octets that wait for an SA under a policy.
    #[must_use]
    pub fn waiting(&self, policy: PolicyId) -> (usize, usize) {
        self.protects.get(&policy).map_or((0, 0), |protect| protect.queue.len())
    }

    fn handle_ike(&mut self, now: Instant, meta: Meta, buf: &mut [u8]) -> Received {
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
    ) -> Result<(Range<usize>, Spi), DropReason> {
        let start = esp.start;
        let packet = buf.get_mut(esp).ok_or(DropReason::Unclassified)?;
        let spi = Spi::from_bytes(*packet.first_chunk().ok_or(DropReason::Unclassified)?);
        let child = self.sad.lookup_mut(spi).ok_or(DropReason::UnknownSpi)?;
        let opened = child.inbound.open_in_place(packet);
        let due = match &opened {
            Ok(_) => child.inbound_due(now),
            Err(OpenError::Lifetime) => Some(Due::Close),
            Err(_) => None,
        };
        let checked = opened.map_err(DropReason::Open).and_then(|opened| {
            // The peer has this SA and lives, whatever is inside.
            if now - child.told >= TELL_ALIVE {
                child.told = now;
                self.endpoint.peer_alive(now, child.ike);
            }
            if core::mem::take(&mut child.standby)
                && let Some(protect) = child.policy.and_then(|id| self.protects.get_mut(&id))
            {
                protect.promote(spi);
            }
            if opened.is_dummy() {
                return Err(DropReason::Dummy);
            }
            let inner = packet.get_mut(opened.payload.clone()).ok_or(DropReason::Inner)?;
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
            let first = start + opened.payload.start;
            Ok(first..first + len)
        });
        if let Some(due) = due {
            self.fall_due(spi, due);
        }
        Ok((checked?, spi))
    }

    #[inline]
    fn outbound(&mut self, now: Instant, buf: &mut [u8], ip: Range<usize>) -> Result<Verdict, DropReason> {
        let packet = buf.get(ip.clone()).ok_or(DropReason::Seal(SealError::Range))?;
        let view = IpView::parse(packet).map_err(|_| DropReason::Malformed)?;
        let (flow, len) = (self.fragments.flow_of(now, 0, &view), view.packet().len());
        let ip = ip.start..ip.start + len;
        let policy = self.spd.lookup(Direction::Outbound, &flow).ok_or(DropReason::NoPolicy)?;
        let id = policy.id;
        match policy.action {
            PolicyAction::Protect(_) => {}
            PolicyAction::Bypass => {
                self.stats.bypassed.count(len);
                return Ok(Verdict::Bypass);
            }
            PolicyAction::Discard => return Err(DropReason::Policy),
        }
        match self.carrier(id, &flow) {
            Some(spi) => self.seal(now, spi, buf, ip),
            None => {
                let packet = buf.get(ip).ok_or(DropReason::Malformed)?;
                self.demand(now, id, flow, packet)
            }
        }
    }

    /// The most wanted SA of a policy that may carry a packet, by its inbound SPI.
    #[inline]
    pub(crate) fn carrier(&self, policy: PolicyId, flow: &Flow) -> Option<Spi> {
        let sas = &self.protects.get(&policy)?.sas;
        sas.iter().copied().find(|spi| self.sad.lookup(*spi).is_some_and(|child| child.carries(flow)))
    }

    /// Seals a packet for the pair of SAs with this inbound SPI.
    #[inline]
    pub(crate) fn seal(
        &mut self,
        now: Instant,
        spi: Spi,
        buf: &mut [u8],
        ip: Range<usize>,
    ) -> Result<Verdict, DropReason> {
        let child = self.sad.lookup_mut(spi).ok_or(DropReason::UnknownSpi)?;
        let packet = buf.get(ip.clone()).ok_or(DropReason::Seal(SealError::Range))?;
        let (next, len) = (announced(packet), packet.len());
        let fields = child.outbound.transform().outer_fields(next, packet).ok_or(DropReason::Malformed)?;
        let sealed = child.outbound.seal_in_place(buf, ip, next);
        let due = match &sealed {
            Ok(_) => child.outbound_due(now),
            Err(SealError::Exhausted | SealError::Lifetime) => Some(Due::Close),
            Err(_) => None,
        };
        let path = child.path;
        if let Some(due) = due {
            self.fall_due(spi, due);
        }
        let range = sealed.map_err(DropReason::Seal)?;
        self.stats.sealed.count(len);
        Ok(Verdict::Send { range, path, fields })
    }
}

/// Whether the stack does what a policy asks for.
fn processed_here(policy: &Policy) -> Result<(), PolicyRefused> {
    match policy.action {
        PolicyAction::Protect(ProtectSpec {
            protocol: SecurityProtocol::Esp,
            mode: Mode::Tunnel,
            populate,
            ..
        }) if populate == PopulateFromPacket::default() => Ok(()),
        PolicyAction::Protect(_) => Err(PolicyRefused::Unsupported),
        PolicyAction::Bypass | PolicyAction::Discard => Ok(()),
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("ikes", &self.ikes)
            .field("sad", &self.sad)
            .field("policies", &self.spd.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
