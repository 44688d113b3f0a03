//! Two endpoints and the wire between them. Time stands still unless a test moves it.

pub mod puppet;

use core::convert::Infallible;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use ikev2_core::config::ConnectionConfig;
use ikev2_core::job::{Answer, InstallFailed, OpId, Request};
use ikev2_core::sketch::{NameKind, Sketch};
use ikev2_core::{
    ChildConfig, ChildInstall, ConnectionId, CookiePolicy, Discarded, Endpoint, EndpointConfig, Event,
    ExchangeTrace, Executor, Identity, IkeHandle, IkeSaState, Input, IntermediateUse, Output, Path,
    PeerIdentity, Rate, Startup,
};
use ipsec_crypto::{Secret, Suite, rustcrypto};
use ipsec_sa::{Instant, SaParams};
use ipsec_wire::Spi;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{SeedableRng, TryCryptoRng, TryRng};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    A,
    B,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

pub struct Options {
    pub seed: u64,
    pub ike: &'static str,
    pub ike_b: Option<&'static str>,
    pub esp: &'static str,
    pub psk_a: &'static [u8],
    pub psk_b: &'static [u8],
    pub id_a: &'static str,
    pub remote_b: &'static str,
    pub cookie: CookiePolicy,
    pub max_half_open: usize,
    /// The same for each source.
    pub per_source: usize,
    pub offload: bool,
    pub refuse_install: Option<Side>,
    pub fragment_size: Option<usize>,
    /// A's child is to be up.
    pub keep: bool,
    pub window_b: u32,
    /// `esp` is AH's.
    pub ah: bool,
    /// How long B takes an authentication for good, in seconds.
    pub reauth_b: Option<u64>,
    pub max_children_b: usize,
    /// How often B lets A ask for CREATE_CHILD_SA.
    pub rate_b: Option<Rate>,
    /// Whether later fragments may travel in the child, at A and at B.
    pub fragments: (bool, bool),
    /// Another child of B's, behind the first: its own selectors.
    pub second_b: Option<&'static str>,
    /// A's own selectors.
    pub remote_a: &'static str,
    pub tell_strangers: bool,
    /// What A tells in IKE_INTERMEDIATE.
    pub intermediate_a: Vec<Vec<u8>>,
    /// Whether B takes that.
    pub intermediate_b: bool,
    /// Timers take all the time they may: no jitter, on either side.
    pub in_step: bool,
    /// Soft and hard lifetime of children at A, in seconds.
    pub lifetime_a: (Option<u64>, Option<u64>),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            ike: "aes256gcm16-prfsha256-x25519",
            ike_b: None,
            esp: "aes256gcm16",
            psk_a: b"swordfish",
            psk_b: b"swordfish",
            id_a: "a.test",
            remote_b: "10.1.0.0/24",
            cookie: CookiePolicy::From(32),
            max_half_open: 1024,
            per_source: 128,
            offload: false,
            refuse_install: None,
            fragment_size: None,
            keep: false,
            window_b: 1,
            ah: false,
            reauth_b: None,
            max_children_b: 64,
            rate_b: None,
            fragments: (false, false),
            second_b: None,
            remote_a: "10.2.0.0/24",
            tell_strangers: false,
            intermediate_a: Vec::new(),
            intermediate_b: true,
            in_step: false,
            lifetime_a: (None, None),
        }
    }
}

pub fn credentials(key: &[u8]) -> Secret {
    Secret::new(key)
}

/// One direction's keys and numbers, as both sides must see them.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Half {
    spi: Spi,
    encr: Vec<u8>,
    integ: Vec<u8>,
    sequence: u16,
}

fn half(params: &SaParams) -> Half {
    Half {
        spi: params.spi,
        encr: params.keys.encr.expose().to_vec(),
        integ: params.keys.integ.expose().to_vec(),
        sequence: u16::from(u8::try_from(params.sequence.value()).unwrap()),
    }
}

/// A child as its owner sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    pub inbound: Spi,
    inward: Half,
    outward: Half,
}

/// What one side sends is what the other receives, in both directions, and the directions differ.
pub fn keys_agree(a: &Child, b: &Child) {
    assert_eq!(a.outward, b.inward);
    assert_eq!(a.inward, b.outward);
    let key = |half: &Half| [half.encr.as_slice(), half.integ.as_slice()].concat();
    assert_ne!(key(&a.inward), key(&a.outward));
    assert!(key(&a.inward).len() >= 16);
}

/// Two sides with an IKE SA and a Child SA that A has begun.
pub fn up(options: Options) -> Pair {
    let mut pair = Pair::new(options);
    pair.connect(Side::A);
    pair.run();
    keys_agree(&pair.only_child(Side::A), &pair.only_child(Side::B));
    pair
}

/// One side's connection with the other.
pub fn connection(options: &Options, side: Side) -> ConnectionConfig {
    let (local, remote) = match side {
        Side::A => (ADDRESS_A, ADDRESS_B),
        Side::B => (ADDRESS_B, ADDRESS_A),
    };
    let (id, peer, psk, ike, selectors): (&str, &str, &[u8], &str, _) = match side {
        Side::A => (options.id_a, "b.test", options.psk_a, options.ike, ("10.1.0.0/24", options.remote_a)),
        Side::B => (
            "b.test",
            "a.test",
            options.psk_b,
            options.ike_b.unwrap_or(options.ike),
            ("10.2.0.0/24", options.remote_b),
        ),
    };
    let mut child = ChildConfig::tunnel(
        "net",
        vec![selectors.0.parse().unwrap()],
        vec![selectors.1.parse().unwrap()],
        vec![if options.ah { Suite::ah(options.esp) } else { Suite::esp(options.esp) }.unwrap()],
    );
    child.non_first_fragments = if side == Side::A { options.fragments.0 } else { options.fragments.1 };
    if side == Side::A {
        if options.keep {
            child.startup = Startup::Keep;
        }
        child.lifetimes.soft.time = options.lifetime_a.0.map(Duration::from_secs);
        child.lifetimes.hard.time = options.lifetime_a.1.map(Duration::from_secs);
    }
    let identity = |text: &str| text.parse::<Identity>().unwrap();
    let mut connection = ConnectionConfig::psk(
        "peer",
        identity(id),
        PeerIdentity::Exactly(identity(peer)),
        Secret::new(psk),
        vec![Suite::ike(ike).unwrap()],
    )
    .between(local, remote)
    .with_child(child);
    if side == Side::A {
        let wanted = options.intermediate_a.iter().cloned();
        connection.intermediate = wanted.map(IntermediateUse::VendorId).collect();
    }
    if side == Side::B {
        connection.window = options.window_b;
        connection.lifetime.reauth = options.reauth_b.map(Duration::from_secs);
        connection.max_children = options.max_children_b;
    }
    if side == Side::B {
        connection.create_child_rate = options.rate_b.unwrap_or(connection.create_child_rate);
        if let Some(local) = options.second_b {
            let mut second = connection.children[0].clone();
            second.name = "second".into();
            second.local = vec![local.parse().unwrap()];
            connection.children.push(second);
        }
    }
    connection
}

/// A generator from which jitter may be drawn as none: nothing else draws whole words.
struct Flat {
    inner: ChaCha20Rng,
    flat: bool,
}

impl TryRng for Flat {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.inner.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        if self.flat { Ok(0) } else { self.inner.try_next_u64() }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.inner.try_fill_bytes(out)
    }
}

impl TryCryptoRng for Flat {}

struct Host {
    endpoint: Endpoint,
    path: Path,
    events: Vec<Event>,
    children: BTreeMap<Spi, Child>,
    handles: Vec<IkeHandle>,
    drop_next: usize,
    wire: VecDeque<(Path, Vec<u8>)>,
    jobs: VecDeque<(OpId, Request)>,
}

pub struct Pair {
    a: Host,
    b: Host,
    now: Instant,
    /// All that went over the wire.
    pub octets: Vec<Vec<u8>>,
    pub jobs_done: usize,
    /// Jobs wait for [`Pair::finish_job`].
    pub hold_jobs: bool,
    pub duplicate_each_step: bool,
    pub duplicated: u64,
    refuse_install: Option<Side>,
}

const ADDRESS_A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ADDRESS_B: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

impl Pair {
    pub fn new(options: Options) -> Self {
        let host = |side: Side| {
            let (local, remote) = match side {
                Side::A => (ADDRESS_A, ADDRESS_B),
                Side::B => (ADDRESS_B, ADDRESS_A),
            };
            let mut config = EndpointConfig::default();
            config.trace = true;
            config.key_log = true;
            config.tell_strangers = options.tell_strangers;
            config.intermediate = side == Side::A || options.intermediate_b;
            config.cookie = options.cookie;
            config.fragment_size = options.fragment_size;
            config.max_half_open = options.max_half_open;
            config.max_half_open_per_source = options.per_source;
            if options.offload {
                config.executor = Executor::Caller;
                config.acknowledge_install = true;
            }
            let seed = options.seed * 2 + u64::from(side == Side::B);
            let rng = Flat { inner: ChaCha20Rng::seed_from_u64(seed), flat: options.in_step };
            let rng = Box::new(rng);
            let mut endpoint = Endpoint::new(config, rustcrypto::provider(), rng, Instant::ZERO);
            let connection = connection(&options, side);
            endpoint.add_connection(connection).unwrap();
            Host {
                endpoint,
                path: Path::udp((local, 500).into(), (remote, 500).into()),
                events: Vec::new(),
                children: BTreeMap::new(),
                handles: Vec::new(),
                drop_next: 0,
                wire: VecDeque::new(),
                jobs: VecDeque::new(),
            }
        };
        Self {
            a: host(Side::A),
            b: host(Side::B),
            now: Instant::from_secs(1),
            octets: Vec::new(),
            jobs_done: 0,
            hold_jobs: false,
            duplicate_each_step: false,
            duplicated: 0,
            refuse_install: options.refuse_install,
        }
    }

    fn host(&self, side: Side) -> &Host {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    fn host_mut(&mut self, side: Side) -> &mut Host {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    pub fn endpoint(&self, side: Side) -> &Endpoint {
        &self.host(side).endpoint
    }

    pub fn endpoint_mut(&mut self, side: Side) -> &mut Endpoint {
        &mut self.host_mut(side).endpoint
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    pub fn events(&self, side: Side) -> &[Event] {
        &self.host(side).events
    }

    pub fn traces(&self, side: Side) -> Vec<ExchangeTrace> {
        self.events(side)
            .iter()
            .filter_map(|event| match event {
                Event::Exchange(trace) => Some((**trace).clone()),
                _ => None,
            })
            .collect()
    }

    /// The exchanges as one side saw them, a line each.
    pub fn ladder(&self, side: Side) -> Vec<String> {
        self.traces(side)
            .iter()
            .map(|trace| {
                let arrow = if trace.outbound { '>' } else { '<' };
                format!("{arrow} {} {} {}", trace.exchange, trace.message_id, trace.payloads)
            })
            .collect()
    }

    pub fn children(&self, side: Side) -> Vec<Child> {
        self.host(side).children.values().cloned().collect()
    }

    pub fn only_child(&self, side: Side) -> Child {
        let children = self.children(side);
        assert_eq!(children.len(), 1, "children of {side:?}: {:?}", self.ladder(side));
        children[0].clone()
    }

    /// The IKE SA in use.
    pub fn ike(&self, side: Side) -> IkeHandle {
        let info = self
            .endpoint(side)
            .ike_sas()
            .filter(|info| info.state == IkeSaState::Established && !info.children.is_empty())
            .last();
        match info {
            Some(info) => info.handle,
            None => {
                let established =
                    self.endpoint(side).ike_sas().filter(|info| info.state == IkeSaState::Established).last();
                established.expect("an established IKE SA").handle
            }
        }
    }

    /// A host as new, which has forgotten everything.
    pub fn restart(&mut self, side: Side) {
        let fresh = Self::new(Options { seed: 77, ..Options::default() });
        match side {
            Side::A => self.a = fresh.a,
            Side::B => self.b = fresh.b,
        }
    }

    pub fn connect(&mut self, side: Side) {
        let now = self.now;
        let handle = self.endpoint_mut(side).connect(now, ConnectionId(0), Some(0), None).unwrap();
        self.host_mut(side).handles.push(handle);
    }

    pub fn rekey_child(&mut self, side: Side) {
        let (now, ike, spi) = (self.now, self.ike(side), self.only_child(side).inbound);
        self.endpoint_mut(side).rekey_child(now, ike, spi).unwrap();
    }

    pub fn rekey_ike(&mut self, side: Side) {
        let (now, ike) = (self.now, self.ike(side));
        self.endpoint_mut(side).rekey_ike(now, ike).unwrap();
    }

    pub fn delete_child(&mut self, side: Side) {
        let (now, ike, spi) = (self.now, self.ike(side), self.only_child(side).inbound);
        self.endpoint_mut(side).delete_child(now, ike, spi).unwrap();
    }

    pub fn delete_ike(&mut self, side: Side) {
        let (now, ike) = (self.now, self.ike(side));
        self.endpoint_mut(side).delete_ike(now, ike).unwrap();
    }

    pub fn check_liveness(&mut self, side: Side) {
        let (now, ike) = (self.now, self.ike(side));
        self.endpoint_mut(side).check_liveness(now, ike).unwrap();
    }

    /// The next datagrams of this side are lost.
    pub fn drop_next(&mut self, side: Side, count: usize) {
        self.host_mut(side).drop_next = count;
    }

    fn install(host: &mut Host, install: &ChildInstall) {
        let child = Child {
            inbound: install.inbound.spi,
            inward: half(&install.inbound),
            outward: half(&install.outbound),
        };
        assert!(host.children.insert(child.inbound, child).is_none(), "an SPI twice");
    }

    fn carry_out(host: &mut Host, side: Side, refuse: bool, op: OpId, what: Request) -> Answer {
        match what {
            Request::Install(_) if refuse => Answer::Installed(Err(InstallFailed)),
            Request::Install(install) => {
                Self::install(host, &install);
                Answer::Installed(Ok(()))
            }
            request => {
                let mut rng = ChaCha20Rng::seed_from_u64(u64::from(side == Side::B) + op.0 * 2);
                request.execute(&rustcrypto::provider(), &mut rng).unwrap()
            }
        }
    }

    /// What the oldest job of a side is, of those that are held.
    pub fn job(&self, side: Side) -> Option<String> {
        self.host(side).jobs.front().map(|(_, what)| format!("{what:?}"))
    }

    /// How many are held.
    pub fn jobs(&self, side: Side) -> usize {
        self.host(side).jobs.len()
    }

    /// Carries out the oldest job of a side.
    pub fn finish_job(&mut self, side: Side) {
        let (now, refuse) = (self.now, self.refuse_install == Some(side));
        let host = self.host_mut(side);
        let (op, what) = host.jobs.pop_front().expect("a job");
        let answer = Self::carry_out(host, side, refuse, op, what);
        host.endpoint.answer(now, op, answer).unwrap();
        self.jobs_done += 1;
        self.step(side);
    }

    /// Takes all outputs of one side.
    pub fn step(&mut self, side: Side) {
        let now = self.now;
        let (refuse, hold) = (self.refuse_install == Some(side), self.hold_jobs);
        let mut octets = Vec::new();
        let mut jobs = 0;
        let host = self.host_mut(side);
        loop {
            match host.endpoint.poll_output() {
                Output::Transmit { path, data, .. } => {
                    octets.push(data.clone());
                    if host.drop_next > 0 {
                        host.drop_next -= 1;
                    } else {
                        host.wire.push_back((path, data));
                    }
                }
                Output::Event(_, event) => match event {
                    Event::Needs { op, what, .. } => {
                        if hold {
                            host.jobs.push_back((op, what));
                            continue;
                        }
                        jobs += 1;
                        let answer = Self::carry_out(host, side, refuse, op, what);
                        host.endpoint.answer(now, op, answer).unwrap();
                    }
                    event => {
                        match &event {
                            Event::ChildInstalled(install) => Self::install(host, install),
                            Event::ChildClosed { inbound, .. } => {
                                let known = host.children.remove(inbound).is_some();
                                assert!(known || refuse, "closed twice");
                            }
                            _ => {}
                        }
                        host.events.push(event);
                    }
                },
                Output::Timeout(_) => break,
            }
        }
        self.octets.extend(octets);
        self.jobs_done += jobs;
        if self.duplicate_each_step {
            self.duplicated += 1;
            let rng = Box::new(ChaCha20Rng::seed_from_u64(1000 + self.duplicated));
            let host = self.host_mut(side);
            host.endpoint = host.endpoint.duplicate(rng).expect("all outputs were taken");
        }
    }

    /// Hands all datagrams of one side to the other.
    pub fn deliver(&mut self, from: Side) {
        let datagrams: Vec<(Path, Vec<u8>)> = self.host_mut(from).wire.drain(..).collect();
        for (path, mut data) in datagrams {
            let now = self.now;
            let path = Path { local: path.remote, remote: path.local, transport: path.transport };
            let input = Input::Datagram { now, path, ecn: 0, data: &mut data };
            let _ = self.endpoint_mut(from.other()).handle_input(input);
            self.step(from.other());
        }
    }

    /// Until both are silent.
    pub fn run(&mut self) {
        for _ in 0..200 {
            self.step(Side::A);
            self.step(Side::B);
            if self.a.wire.is_empty() && self.b.wire.is_empty() {
                return;
            }
            self.deliver(Side::A);
            self.deliver(Side::B);
        }
        panic!("they never fall silent: {:?}", self.ladder(Side::A));
    }

    /// Lets time pass, in steps of half a second.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while self.now < end {
            self.now += Duration::from_millis(500);
            let now = self.now;
            for side in [Side::A, Side::B] {
                self.endpoint_mut(side).handle_input(Input::Timeout(now)).unwrap();
            }
            self.run();
        }
    }

    /// Lets time pass for one side alone.
    pub fn advance_one(&mut self, side: Side, by: Duration) {
        self.now += by;
        let now = self.now;
        self.endpoint_mut(side).handle_input(Input::Timeout(now)).unwrap();
        self.step(side);
    }

    /// A datagram from nowhere.
    pub fn inject(&mut self, side: Side, mut data: Vec<u8>) -> Result<(), Discarded> {
        let now = self.now;
        let path = self.host(side).path;
        let result =
            self.endpoint_mut(side).handle_input(Input::Datagram { now, path, ecn: 0, data: &mut data });
        let seen = self.octets.len();
        self.step(side);
        // What it caused is not part of the conversation.
        self.octets.truncate(seen);
        result
    }

    pub fn wire(&self, side: Side) -> Vec<Vec<u8>> {
        self.host(side).wire.iter().map(|(_, data)| data.clone()).collect()
    }

    /// Changes what is on the wire.
    pub fn tamper(&mut self, side: Side, change: impl FnOnce(&mut VecDeque<(Path, Vec<u8>)>)) {
        change(&mut self.host_mut(side).wire);
    }

    /// Loses all that is on the wire.
    pub fn clear(&mut self) {
        self.a.wire.clear();
        self.b.wire.clear();
    }

    /// The established IKE SAs and children of both, as text.
    pub fn snapshot(&self) -> Vec<String> {
        [Side::A, Side::B]
            .into_iter()
            .flat_map(|side| {
                self.endpoint(side)
                    .ike_sas()
                    .filter(|info| info.state == IkeSaState::Established)
                    .map(move |info| format!("{side:?} {info:?}"))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Keys as a derived `Debug` would print them.
    pub fn secret_debugs(&self) -> Vec<String> {
        self.a
            .children
            .values()
            .map(|child| {
                let text = format!("{:?}", &child.inward.encr[..8]);
                text.trim_matches(['[', ']']).to_string()
            })
            .collect()
    }
}

/// What a model checker sees of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Drawing(pub Vec<(u8, Vec<u8>)>);

impl Sketch for Drawing {
    fn number(&mut self, number: u64) {
        self.0.push((0, number.to_be_bytes().to_vec()));
    }

    fn name(&mut self, kind: NameKind, name: u64) {
        self.0.push((1 + kind as u8, name.to_be_bytes().to_vec()));
    }

    fn nonce(&mut self, nonce: &[u8]) {
        self.0.push((10, nonce.to_vec()));
    }

    fn message(&mut self, datagram: &[u8]) {
        self.0.push((11, datagram.to_vec()));
    }
}

pub fn sketch(endpoint: &Endpoint, now: Instant) -> Drawing {
    let mut drawing = Drawing::default();
    endpoint.sketch(now, &mut drawing);
    drawing
}
