//! An endpoint against a peer that has the right keys and no manners: what the fuzz target `endpoint` does with its input.
//!
//! Two endpoints with a NO-SECURITY provider; the input says which of them is attacked and what happens: true messages
//! delivered or lost, forged ones with valid integrity, whole or in fragments, raw ones, commands, time; slow steps may
//! be done outside, each when the input says. What was forged where is told ([`Met`]), so that it can be shown that every
//! state has met every exchange.

#![allow(clippy::missing_panics_doc, reason = "it panics where something is wrong: that is what it is for")]

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

use ikev2_core::{
    Answer, ChildConfig, ConnectionConfig, ConnectionId, Discarded, Endpoint, EndpointConfig, Event,
    ExchangeTrace, Executor, Identity, IkeHandle, IkeSaState, Input, IntermediateUse, KeyLogLine, OpId,
    Output, Path, PeerIdentity, Request,
};
use ipsec_crypto::{Secret, Suite};
use ipsec_sa::{Instant, Role};
use ipsec_wire::Limits;
use ipsec_wire::ike::{ExchangeType, Flags, MessageBuilder, PayloadType};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::ike_keys::IkeKeys;

/// Where an IKE SA stood when a forged message came: by what it had said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Initiator: IKE_INTERMEDIATE is out.
    IntermediateSent,
    /// Initiator: IKE_AUTH is out.
    AuthSent,
    /// Responder: IKE_SA_INIT is answered.
    HalfOpen,
    /// Responder: IKE_INTERMEDIATE is answered.
    IntermediateAnswered,
    /// Established, and nothing under way.
    Idle,
    /// A request for a Child SA is out.
    Creating,
    /// A request to replace a Child SA is out.
    RekeyingChild,
    /// A request to replace the IKE SA is out.
    RekeyingIke,
    /// A request to delete a Child SA or the IKE SA is out.
    Deleting,
    /// A request for a sign of life is out.
    Probing,
    /// A slow step is being done outside.
    Working,
    /// It is over, and answers retransmissions.
    Closing,
}

/// All of them.
pub const PHASES: [Phase; 12] = [
    Phase::IntermediateSent,
    Phase::AuthSent,
    Phase::HalfOpen,
    Phase::IntermediateAnswered,
    Phase::Idle,
    Phase::Creating,
    Phase::RekeyingChild,
    Phase::RekeyingIke,
    Phase::Deleting,
    Phase::Probing,
    Phase::Working,
    Phase::Closing,
];

/// A forged message met an IKE SA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Met {
    /// Whether the IKE SA's initiator was attacked.
    pub initiator: bool,
    /// Where it stood.
    pub phase: Phase,
    /// The exchange type that was forged.
    pub exchange: u8,
    /// Whether it was a response.
    pub response: bool,
    /// Whether it was taken: a true peer might have sent it.
    pub taken: bool,
}

struct Host {
    endpoint: Endpoint,
    out: VecDeque<Vec<u8>>,
    keys: Vec<IkeKeys>,
    children: i64,
    jobs: VecDeque<(OpId, Request)>,
    /// By the initiator's SPI, what was sent last, and which requests wait for their answers.
    said: BTreeMap<[u8; 8], Said>,
}

#[derive(Default)]
struct Said {
    last: u8,
    waiting: BTreeMap<u32, String>,
}

/// A message from the other side of `to`, under valid integrity.
fn forge(keys: &IkeKeys, to: Role, request: &Forged<'_>) -> Option<Vec<u8>> {
    let from = match to {
        Role::Initiator => Role::Responder,
        Role::Responder => Role::Initiator,
    };
    let mut protection = keys.protection(&crate::insecure::provider(), from)?;
    let mut flags = if from == Role::Initiator { Flags::INITIATOR.0 } else { 0 };
    if request.response {
        flags |= Flags::RESPONSE.0;
    }
    let builder =
        MessageBuilder::new(keys.spi_i, keys.spi_r, request.exchange, Flags(flags), request.message_id);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    match request.fragment {
        Some(place) => protection.seal_fragment(builder, request.first, place, request.chain, &mut rng).ok(),
        None => protection.seal_chain(builder, request.first, request.chain, &mut rng).ok(),
    }
}

struct Forged<'a> {
    exchange: ExchangeType,
    response: bool,
    message_id: u32,
    first: PayloadType,
    chain: &'a [u8],
    /// Its number, and how many there are.
    fragment: Option<(u16, u16)>,
}

impl Host {
    fn new(side: u8, offload: bool, intermediate: bool) -> Self {
        let address = |side: u8| core::net::IpAddr::from([192, 0, 2, 1 + side]);
        let net = |side: u8| format!("10.{}.0.0/24", 1 + side).parse().unwrap();
        let name = |side: u8| format!("{}.test", char::from(b'a' + side)).parse::<Identity>().unwrap();
        let mut config = EndpointConfig::default();
        config.key_log = true;
        config.trace = true;
        config.max_half_open = 8;
        config.max_half_open_per_source = 8;
        if offload {
            config.executor = Executor::Caller;
            config.acknowledge_install = true;
        }
        let rng = Box::new(ChaCha20Rng::seed_from_u64(u64::from(side)));
        let mut endpoint = Endpoint::new(config, crate::insecure::provider(), rng, Instant::ZERO);
        let child = ChildConfig::tunnel(
            "net",
            vec![net(side)],
            vec![net(1 - side)],
            vec![Suite::esp("aes256gcm16").unwrap(), Suite::esp("aes128gcm16-x25519").unwrap()],
        );
        let mut connection = ConnectionConfig::psk(
            "peer",
            name(side),
            PeerIdentity::Exactly(name(1 - side)),
            Secret::new(b"swordfish"),
            vec![Suite::ike("aes256gcm16-prfsha256-x25519-ecp256").unwrap()],
        )
        .between(address(side), address(1 - side))
        .with_child(child);
        if intermediate {
            connection.intermediate = vec![IntermediateUse::VendorId(b"one".to_vec())];
        }
        endpoint.add_connection(connection).unwrap();
        Self {
            endpoint,
            out: VecDeque::new(),
            keys: Vec::new(),
            children: 0,
            jobs: VecDeque::new(),
            said: BTreeMap::new(),
        }
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            match self.endpoint.poll_output() {
                Output::Transmit { data, .. } => {
                    // What is sent is well formed.
                    ipsec_wire::ike::MessageView::parse(&data, &Limits::default()).unwrap();
                    self.out.push_back(data);
                }
                Output::Event(_, Event::Keys(KeyLogLine::Ikev2(line))) => {
                    self.keys.push(IkeKeys::read(&line).expect("a key log line"));
                }
                Output::Event(_, Event::Exchange(trace)) => self.note(&trace),
                Output::Event(_, Event::Needs { op, what, .. }) => self.jobs.push_back((op, what)),
                Output::Event(_, Event::ChildInstalled(_)) => self.children += 1,
                Output::Event(_, Event::ChildClosed { .. }) => {
                    // One that is closed while it is being installed was never counted.
                    if self.jobs.is_empty() {
                        self.children -= 1;
                        assert!(self.children >= 0, "a child closed twice");
                    }
                }
                Output::Event(..) => {}
                Output::Timeout(_) => return,
            }
        }
        panic!("outputs without end");
    }

    fn note(&mut self, trace: &ExchangeTrace) {
        let said = self.said.entry(trace.spi_i.0).or_default();
        match (trace.outbound, trace.response) {
            (true, response) => {
                said.last = trace.exchange.value();
                if !response && !trace.retransmission {
                    said.waiting.insert(trace.message_id, trace.payloads.clone());
                }
            }
            (false, true) => drop(said.waiting.remove(&trace.message_id)),
            (false, false) => {}
        }
    }

    /// Where the IKE SA of these keys stands.
    fn phase(&self, keys: &IkeKeys) -> Option<(bool, Phase)> {
        let info = self.endpoint.ike_sas().find(|info| info.spi_i == keys.spi_i)?;
        let said = self.said.get(&keys.spi_i.0)?;
        let phase = match (info.state, info.initiated, ExchangeType(said.last)) {
            (IkeSaState::Connecting, true, ExchangeType::IKE_INTERMEDIATE) => Phase::IntermediateSent,
            (IkeSaState::Connecting, true, ExchangeType::IKE_AUTH) => Phase::AuthSent,
            (IkeSaState::Connecting, false, ExchangeType::IKE_SA_INIT) => Phase::HalfOpen,
            (IkeSaState::Connecting, false, ExchangeType::IKE_INTERMEDIATE) => Phase::IntermediateAnswered,
            (IkeSaState::Closing, ..) => Phase::Closing,
            (IkeSaState::Established, ..) if !self.jobs.is_empty() => Phase::Working,
            (IkeSaState::Established, ..) => match said.waiting.values().next_back().map(String::as_str) {
                None => Phase::Idle,
                Some(payloads) if payloads.contains("REKEY_SA") => Phase::RekeyingChild,
                Some(payloads) if payloads.contains("TSi") => Phase::Creating,
                Some(payloads) if payloads.contains("SA ") => Phase::RekeyingIke,
                Some("SK{D}") => Phase::Deleting,
                Some(_) => Phase::Probing,
            },
            _ => return None,
        };
        Some((info.initiated, phase))
    }

    fn input(&mut self, now: Instant, side: u8, data: &mut [u8]) -> Result<(), Discarded> {
        let at = |side: u8| (core::net::IpAddr::from([192, 0, 2, 1 + side]), 500).into();
        let path = Path::udp(at(side), at(1 - side));
        let result = self.endpoint.handle_input(Input::Datagram { now, path, ecn: 0, data });
        self.drain();
        result
    }

    /// Does the oldest job.
    fn work(&mut self, now: Instant) {
        let Some((op, request)) = self.jobs.pop_front() else { return };
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let answer = match request.execute(&crate::insecure::provider(), &mut rng) {
            Ok(answer) => answer,
            Err(Request::Install(_)) => {
                self.children += 1;
                Answer::Installed(Ok(()))
            }
            Err(_) => return,
        };
        // A job whose IKE SA is gone has nobody to answer to.
        let _ = self.endpoint.answer(now, op, answer);
        self.drain();
    }

    fn established(&self) -> Vec<IkeHandle> {
        let up = self.endpoint.ike_sas().filter(|info| info.state == IkeSaState::Established);
        up.map(|info| info.handle).collect()
    }

    fn snapshot(&self) -> String {
        self.endpoint
            .ike_sas()
            .filter(|info| info.state == IkeSaState::Established)
            .map(|info| format!("{info:?}\n"))
            .collect()
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn octet(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn take(&mut self) -> &'a [u8] {
        let len = usize::from(self.octet().unwrap_or(0)) * 2;
        let (head, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        head
    }
}

/// Does what the input says. The first octet: which side is attacked (bit 0), which set up the IKE SA (bit 1), after how many
/// rounds of true datagrams (bits 2 to 4), whether slow steps are done outside (bit 5), and whether there is an
/// IKE_INTERMEDIATE exchange (bit 6).
#[must_use]
pub fn run(data: &[u8]) -> BTreeSet<Met> {
    let mut met = BTreeSet::new();
    let mut input = Bytes(data);
    let Some(start) = input.octet() else { return met };
    let victim = start & 1;
    let offload = start & 0x20 != 0;
    let intermediate = start & 0x40 != 0;
    let mut hosts = [0, 1].map(|side| Host::new(side, offload, intermediate));
    let mut now = Instant::from_secs(1);
    let initiator = usize::from(start >> 1 & 1);
    hosts[initiator].endpoint.connect(now, ConnectionId(0), Some(0), None).unwrap();
    hosts[initiator].drain();
    // How many true datagrams are exchanged before the trouble begins.
    for _ in 0..(start >> 2 & 7) {
        for side in [0u8, 1] {
            while let Some(mut data) = hosts[usize::from(side)].out.pop_front() {
                let _ = hosts[usize::from(1 - side)].input(now, 1 - side, &mut data);
            }
            while !hosts[usize::from(1 - side)].jobs.is_empty() {
                hosts[usize::from(1 - side)].work(now);
            }
        }
    }
    let role = |victim: u8| if usize::from(victim) == initiator { Role::Initiator } else { Role::Responder };
    for _ in 0..64 {
        let Some(op) = input.octet() else { break };
        let host = &mut hosts[usize::from(victim)];
        match op & 7 {
            // Forged, with valid integrity. A rekeyed IKE SA may have the roles the other way round.
            0 | 1 | 2 | 7 => {
                if op & 0x87 == 0x87 {
                    // True datagrams of the other side are lost, or a job is done.
                    match op & 8 {
                        0 => hosts[usize::from(1 - victim)].out.clear(),
                        _ => hosts[usize::from(victim ^ (op >> 4 & 1))].work(now),
                    }
                    continue;
                }
                let exchange = ExchangeType([34, 35, 36, 37, 43, 44, 38, 36][usize::from(op >> 3 & 7)]);
                let shape = input.octet().unwrap_or(0);
                let fragment = (op & 7 == 7).then(|| {
                    let place = input.octet().unwrap_or(0);
                    (u16::from(place & 15), u16::from(place >> 4))
                });
                let first = PayloadType(input.octet().unwrap_or(0));
                let chain = input.take();
                let forged = Forged {
                    exchange,
                    response: shape & 1 == 1,
                    message_id: u32::from(shape >> 1 & 15),
                    first,
                    chain,
                    fragment,
                };
                let to = if shape & 0x20 == 0 { role(victim) } else { role(1 - victim) };
                let Some(keys) = host.keys.len().checked_sub(1 + usize::from(shape >> 6)) else { continue };
                let Some(mut message) = forge(&host.keys[keys], to, &forged) else { continue };
                let phase = host.phase(&host.keys[keys]);
                let taken = host.input(now, victim, &mut message).is_ok();
                if let Some((initiator, phase)) = phase {
                    let (exchange, response) = (exchange.value(), forged.response);
                    met.insert(Met { initiator, phase, exchange, response, taken });
                }
            }
            // Raw, or with the SPIs of a true one: nothing established may change.
            3 => {
                let mut message = input.take().to_vec();
                if let (true, Some(keys)) = (op & 8 != 0 && message.len() >= 28, host.keys.last()) {
                    message[..8].copy_from_slice(&keys.spi_i.0);
                    message[8..16].copy_from_slice(&keys.spi_r.0);
                    message[17] = 0x20;
                    let len = u32::try_from(message.len()).unwrap();
                    message[24..28].copy_from_slice(&len.to_be_bytes());
                }
                let before = host.snapshot();
                let _ = host.input(now, victim, &mut message);
                assert_eq!(host.snapshot(), before);
            }
            4 => {
                now += Duration::from_millis(u64::from(op >> 3) * u64::from(op >> 3) * 997);
                for host in &mut hosts {
                    let _ = host.endpoint.handle_input(Input::Timeout(now));
                    host.drain();
                }
            }
            5 => {
                let up = host.established();
                let Some(&ike) = up.last() else { continue };
                let child =
                    host.endpoint.ike_sas().flat_map(|info| info.children).next().map(|child| child.inbound);
                let endpoint = &mut host.endpoint;
                let _ = match (op >> 3 & 7, child) {
                    (0, Some(child)) => endpoint.rekey_child(now, ike, child),
                    (1, Some(child)) => endpoint.delete_child(now, ike, child),
                    (2, _) => endpoint.rekey_ike(now, ike),
                    (3, _) => endpoint.check_liveness(now, ike),
                    (4, _) => endpoint.create_child(now, ike, 0, None),
                    (5, _) => endpoint.delete_ike(now, ike),
                    (_, _) => endpoint.connect(now, ConnectionId(0), Some(0), None).map(|_| ()),
                };
                host.drain();
            }
            // True datagrams: from the victim, to the victim; every other one may be lost.
            6 => {
                let lose = op & 8 != 0;
                for side in [victim, 1 - victim] {
                    let waiting: Vec<_> = hosts[usize::from(side)].out.drain(..).collect();
                    for (index, mut data) in waiting.into_iter().enumerate() {
                        if !(lose && index % 2 == 0) {
                            let _ = hosts[usize::from(1 - side)].input(now, 1 - side, &mut data);
                        }
                    }
                }
            }
            _ => unreachable!("three bits"),
        }
        for host in &hosts {
            assert!(host.endpoint.ike_sas().count() <= 8 + 64 * 2, "IKE SAs without bound");
        }
    }
    met
}
