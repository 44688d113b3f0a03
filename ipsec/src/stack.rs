//! The stack: the databases of RFC 4301, ESP and the IKE endpoint behind one front.
//!
//! The data path is plain calls on the caller's buffer; [`Stack::poll_output`] is the control plane only.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use ikev2_core::job::UnknownOp;
use ikev2_core::{
    Answer, ApiMisuse, ConnectionId, Counters, Endpoint, IkeHandle, IkeSaInfo, Input, OpId, SpiSource,
};
use ipsec_crypto::CryptoProvider;
use ipsec_esp::OuterHeader;
use ipsec_sa::{
    Direction, Flow, FragmentFlows, Instant, PeerAuthentication, Policy, PolicyAction, PolicyError, PolicyId,
    PopulateFromPacket, ProtectSpec, Reassembly, SaDatabase, SecurityPolicyDatabase, SecurityProtocol,
};
use ipsec_wire::Spi;
use rand_core::CryptoRng;
use thiserror::Error;

use crate::child::{Child, ChildInfo};
use crate::control::{Chore, Ike};
use crate::demand::{PeerNumber, Protect};
use crate::outputs::Outputs;
use crate::{DropReason, Output, StackConfig, Stats};

/// Room in front of an IP packet that [`Stack::handle_ip`] never needs more than: IPv6 and UDP header, SPI, sequence
/// number and IV.
///
/// With AH around ESP it is IPv6 header, AH with an ICV of 32 octets, and what ESP needs.
pub const HEADROOM: usize = 40 + 48 + 8 + 8 + 16;
/// Room behind an IP packet that [`Stack::handle_ip`] never needs more than: padding, trailer, ICV.
pub const TAILROOM: usize = 15 + 2 + 32;

/// Datagrams in fragments that are remembered, and how long.
const FRAGMENTED: usize = 1024;
const FRAGMENTS_LAST: Duration = Duration::from_secs(30);
/// From a host inside they come together. What one datagram showed must not stand for another when the sixteen bits of the
/// identification come round, or a fragment of a protected flow could pass in clear.
const OWN_FRAGMENTS_LAST: Duration = Duration::from_secs(2);

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
    /// Inbound SPIs by the peer's address and its SPI: what ICMP quotes is a packet of ours.
    pub(crate) outer: BTreeMap<(IpAddr, Spi), Spi>,
    /// Our own outer addresses.
    pub(crate) addresses: BTreeSet<IpAddr>,
    pub(crate) spd: SecurityPolicyDatabase,
    pub(crate) protects: BTreeMap<PolicyId, Protect>,
    pub(crate) ikes: BTreeMap<IkeHandle, Ike>,
    pub(crate) chores: Vec<Chore>,
    /// How the peers of a connection prove who they are.
    pub(crate) proofs: BTreeMap<ConnectionId, PeerAuthentication>,
    /// IKE SAs of peers that the PAD does not let in.
    pub(crate) unwanted: Vec<IkeHandle>,
    /// When a Child SA was last taken out.
    pub(crate) last_closed: Option<Instant>,
    /// Policies whose waiting packets can go, each with the IKE SA that made it so.
    pub(crate) served: Vec<(PolicyId, IkeHandle)>,
    /// Whether there is something new to ask of the endpoint.
    pub(crate) stirred: bool,
    pub(crate) outputs: Outputs,
    /// The endpoint's.
    pub(crate) deadline: Option<Instant>,
    /// When something is asked of the endpoint again that it could not do yet.
    pub(crate) retry_at: Option<Instant>,
    pub(crate) stats: Stats,
    /// What first fragments of packets from the inside showed, for those behind them (RFC 4301 §7.3).
    pub(crate) own_fragments: FragmentFlows,
    /// The same of what came out of SAs.
    pub(crate) fragments: FragmentFlows,
    /// The same of packets that came in clear: strangers push out no others.
    pub(crate) clear_fragments: FragmentFlows,
    /// Since when, and how many, senders were told what became of their packets.
    pub(crate) told_senders: (Instant, u32),
    /// Fragments to ourselves.
    pub(crate) reassembly: Reassembly,
    pub(crate) next_policy: u32,
    pub(crate) next_peer: PeerNumber,
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
    /// A child with AH, in a stack that does not write whole IP packets.
    #[error("AH needs whole IP packets: StackConfig::outer must be OuterHeader::Ip")]
    Unsupported,
}

/// Why a policy was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PolicyRefused {
    /// The database does not take it.
    #[error("{0}")]
    Database(#[from] PolicyError),
    /// It asks for SAs populated from the packet, or for AH or a second pass in a stack that does not write whole IP
    /// packets: taking it and doing something else would not be what it says.
    #[error(
        "no SA takes values from packets here, and AH and a second pass need StackConfig::outer to be OuterHeader::Ip"
    )]
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
        // What the PAD refuses is refused before the peer is told otherwise.
        config.endpoint.acknowledge_install |= config.pad.is_some();
        let mut stack = Self {
            endpoint: Endpoint::new(config.endpoint.clone(), provider.clone(), rng, now),
            sad: SaDatabase::new(config.max_children),
            outer: BTreeMap::new(),
            addresses: BTreeSet::new(),
            spd: SecurityPolicyDatabase::new(),
            protects: BTreeMap::new(),
            ikes: BTreeMap::new(),
            chores: Vec::new(),
            proofs: BTreeMap::new(),
            unwanted: Vec::new(),
            last_closed: None,
            served: Vec::new(),
            stirred: false,
            outputs: Outputs::default(),
            deadline: None,
            retry_at: None,
            stats: Stats::default(),
            own_fragments: FragmentFlows::new(FRAGMENTED, OWN_FRAGMENTS_LAST),
            fragments: FragmentFlows::new(FRAGMENTED, FRAGMENTS_LAST),
            clear_fragments: FragmentFlows::new(FRAGMENTED, FRAGMENTS_LAST),
            told_senders: (now, 0),
            reassembly: Reassembly::new(config.reassembly),
            next_policy: FIRST_OWN_POLICY.0,
            next_peer: 1,
            config,
            provider,
        };
        stack.pump(now);
        stack
    }

    /// Adds a policy behind all others.
    ///
    /// # Errors
    /// [`PolicyRefused`], and nothing changes.
    pub fn add_policy(&mut self, policy: Policy) -> Result<(), PolicyRefused> {
        self.processed_here(&policy)?;
        self.mark_again(&policy);
        Ok(self.spd.insert(policy)?)
    }

    /// Adds a policy in front of another one.
    ///
    /// # Errors
    /// [`PolicyRefused`], and nothing changes.
    pub fn add_policy_before(&mut self, next: PolicyId, policy: Policy) -> Result<(), PolicyRefused> {
        self.processed_here(&policy)?;
        self.mark_again(&policy);
        Ok(self.spd.insert_before(next, policy)?)
    }

    /// Whether the stack does what a policy asks for.
    fn processed_here(&self, policy: &Policy) -> Result<(), PolicyRefused> {
        match policy.action {
            PolicyAction::Protect(ProtectSpec { protocol, populate, again, .. }) => {
                let whole = protocol == SecurityProtocol::Ah || again;
                let refused = populate != PopulateFromPacket::default()
                    || whole && self.config.outer != OuterHeader::Ip;
                if refused { Err(PolicyRefused::Unsupported) } else { Ok(()) }
            }
            PolicyAction::Bypass | PolicyAction::Discard => Ok(()),
        }
    }

    /// SAs that are there already do what their policy asks for.
    fn mark_again(&mut self, policy: &Policy) {
        let PolicyAction::Protect(spec) = policy.action else { return };
        let own = self.sad.iter_mut().filter(|(_, child)| child.policy == Some(policy.id));
        own.for_each(|(_, child)| child.again = spec.again);
    }

    /// Puts a policy in the place of the one with its id, and gives that. SAs that are there stay as they are: what they
    /// carry beyond the new policy is dropped on the way out, and on the way in by their own selectors alone.
    ///
    /// # Errors
    /// [`PolicyRefused`], and nothing changes.
    pub fn replace_policy(&mut self, policy: Policy) -> Result<Policy, PolicyRefused> {
        self.processed_here(&policy)?;
        if self.spd.policy(policy.id).is_none() {
            return Err(PolicyError::UnknownId.into());
        }
        self.mark_again(&policy);
        Ok(self.spd.replace(policy)?)
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

    /// Whether a packet that came in clear may pass: only where the first policy that matches says BYPASS
    /// (RFC 4301 §5.2). A packet that a PROTECT policy is about is refused, and a fragment that it may be about.
    ///
    /// # Errors
    /// [`DropReason::Clear`], counted.
    pub fn check_clear_inbound(&mut self, flow: &Flow) -> Result<(), DropReason> {
        if self.passes_in_clear(flow) {
            return Ok(());
        }
        self.stats.drop_one(&DropReason::Clear);
        Err(DropReason::Clear)
    }

    /// A packet whose ports do not show passes only where no policy in front could be about it (RFC 4301 §7.4).
    pub(crate) fn passes_in_clear(&mut self, flow: &Flow) -> bool {
        let action = self.spd.lookup(Direction::Inbound, flow).map(|policy| &policy.action);
        action == Some(&PolicyAction::Bypass) && !self.spd.may_be_kept_back(Direction::Inbound, flow, None)
    }

    /// Names an address of ours beside those of connections and SAs, for [`Stack::handle_packet`]: IKE and protected
    /// packets are looked for in what goes there. A connection that only answers and leaves its address open needs it.
    pub fn add_address(&mut self, address: IpAddr) {
        self.addresses.insert(address);
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

    /// Has an output wait for the caller.
    pub(crate) fn put(&mut self, output: Output) {
        self.outputs.push(output, &self.config.outputs, &mut self.stats.unpolled);
    }

    /// The next thing to do outside. Call it until it says [`Output::Timeout`], at least whenever something was handled:
    /// what waits for it is bounded ([`StackConfig::outputs`]).
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop() {
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
        self.ikes.insert(ike, Ike::new(connection));
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
        let ike = self.sad.lookup(inbound).and_then(|child| child.ike).ok_or(ApiMisuse::UnknownChild)?;
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
            self.ikes.insert(new, Ike::new(connection));
        }
        self.pump(now);
        Ok(new)
    }

    /// Ends the Child SA with this inbound SPI.
    ///
    /// # Errors
    /// [`ApiMisuse`].
    pub fn delete_child(&mut self, now: Instant, inbound: Spi) -> Result<(), ApiMisuse> {
        let ike = self.sad.lookup(inbound).and_then(|child| child.ike).ok_or(ApiMisuse::UnknownChild)?;
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
