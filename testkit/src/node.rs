//! One endpoint with all that belongs to it: what it installed, what it still has to do, when it wants to be called.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ikev2_core::{
    Answer, ChildInstall, CloseReason, ConnectionConfig, Endpoint, EndpointConfig, Event, ExchangeTrace,
    Executor, IkeHandle, IkeSaInfo, IkeSaState, Input, KeyLogLine, OpId, Path, Ports, Request,
};
use ipsec_crypto::CryptoProvider;
use ipsec_sa::{Instant, SaParams};
use ipsec_wire::{IkeSpi, Spi};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::keylog::KeyLog;
use crate::ladder::Record;

/// One side before it runs. The fields are there to be changed.
#[derive(Debug)]
pub struct Host {
    /// Its address.
    pub address: IpAddr,
    /// The endpoint's own settings.
    pub endpoint: EndpointConfig,
    /// What it computes with.
    pub provider: CryptoProvider,
    /// Its connection, for both roles.
    pub connection: ConnectionConfig,
    /// Connections beside it, with other peers.
    pub others: Vec<ConnectionConfig>,
    /// How long a job takes where [`EndpointConfig::executor`] is [`Executor::Caller`].
    pub job_time: Duration,
}

impl Host {
    /// Has the caller do the slow steps, each of which takes so long, and acknowledge that SAs are installed.
    pub fn offload(&mut self, job_time: Duration) {
        self.endpoint.executor = Executor::Caller;
        self.endpoint.acknowledge_install = true;
        self.job_time = job_time;
    }
}

/// One side as it runs.
pub struct Node {
    /// The endpoint itself.
    pub endpoint: Endpoint,
    /// What it said, traces and key log lines left out.
    pub events: Vec<(Instant, IkeHandle, Event)>,
    /// Its Child SAs in use, by the SPI of packets to it.
    pub children: BTreeMap<Spi, ChildInstall>,
    pub(crate) address: IpAddr,
    ports: Ports,
    provider: CryptoProvider,
    rng: ChaCha20Rng,
    job_time: Duration,
    jobs: Vec<(Instant, OpId, Request)>,
    /// Closed while they were being installed.
    closed_early: BTreeSet<Spi>,
    pub(crate) timeout: Option<Instant>,
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Node").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts it, with two streams of its own of one seed, so that no two nodes draw the same numbers.
    pub(crate) fn new(host: Host, seed: u64, streams: [u64; 2], now: Instant) -> Self {
        let rng = |number| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            rng.set_stream(number);
            rng
        };
        let mut endpoint =
            Endpoint::new(host.endpoint, host.provider.clone(), Box::new(rng(streams[0])), now);
        let ports = host.connection.local_ports;
        endpoint.add_connection(host.connection).expect("the provider has what the connection names");
        for connection in host.others {
            endpoint.add_connection(connection).expect("the provider has what the connection names");
        }
        // A connection that is to be up is begun when the endpoint first learns the time.
        let _ = endpoint.handle_input(Input::Timeout(now));
        Self {
            endpoint,
            events: Vec::new(),
            children: BTreeMap::new(),
            address: host.address,
            ports,
            provider: host.provider,
            rng: rng(streams[1]),
            job_time: host.job_time,
            jobs: Vec::new(),
            closed_early: BTreeSet::new(),
            timeout: None,
        }
    }

    /// Its established IKE SAs.
    #[must_use]
    pub fn established(&self) -> Vec<IkeSaInfo> {
        self.endpoint.ike_sas().filter(|info| info.state == IkeSaState::Established).collect()
    }

    /// Why IKE SAs have gone.
    pub fn closings(&self) -> impl Iterator<Item = &CloseReason> {
        self.events.iter().filter_map(|(_, _, event)| match event {
            Event::IkeClosed { reason } => Some(reason),
            _ => None,
        })
    }
}

impl Node {
    /// The path of a datagram: which socket it came to says whether it is encapsulated.
    pub(crate) fn path(&self, local: SocketAddr, remote: SocketAddr) -> Path {
        match local.port() == self.ports.encap {
            true => Path::udp_encap(local, remote),
            false => Path::udp(local, remote),
        }
    }

    fn install(&mut self, install: ChildInstall) {
        let before = self.children.insert(install.inbound.spi, install);
        assert!(before.is_none(), "an SPI that is in use was installed");
    }

    fn carry_out(&mut self, request: Request) -> Answer {
        match request.execute(&self.provider, &mut self.rng) {
            Ok(answer) => answer,
            Err(Request::Install(install)) => {
                if !self.closed_early.remove(&install.inbound.spi) {
                    self.install(*install);
                }
                Answer::Installed(Ok(()))
            }
            Err(other) => panic!("nobody can do {other:?}"),
        }
    }

    /// When it wants to be called again, or a job of its will be done.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.jobs.iter().map(|(at, _, _)| *at).chain(self.timeout).min()
    }

    /// Does the jobs that are due, and tells it the time if it wants to know.
    pub(crate) fn catch_up(&mut self, now: Instant) {
        let (due, later) = self.jobs.drain(..).partition(|(at, _, _)| *at <= now);
        self.jobs = later;
        for (_, op, request) in due {
            let answer = self.carry_out(request);
            // A job whose IKE SA is gone has nobody to answer to.
            let _ = self.endpoint.answer(now, op, answer);
        }
        if self.timeout.is_some_and(|at| at <= now) {
            let _ = self.endpoint.handle_input(Input::Timeout(now));
        }
    }

    /// Takes an event that is neither a trace nor a key log line.
    pub(crate) fn take(&mut self, now: Instant, handle: IkeHandle, event: Event) {
        match event {
            Event::Needs { op, what, .. } => {
                self.jobs.push((now + self.job_time, op, what));
                return;
            }
            Event::ChildInstalled(install) => return self.install(*install),
            Event::ChildClosed { inbound, .. } => {
                let installed = self.children.remove(&inbound).is_some();
                // It may be closed while it is still being installed.
                if !installed {
                    self.closed_early.insert(inbound);
                }
            }
            Event::ChildMoved(update) => {
                if let Some(child) = self.children.get_mut(&update.inbound) {
                    child.inbound.outer = update.outer;
                    child.outbound.outer = update.outer;
                }
            }
            _ => {}
        }
        self.events.push((now, handle, event));
    }

    /// Whether what it installed is what its endpoint knows of.
    ///
    /// # Errors
    /// What is installed, and what is known.
    pub(crate) fn consistent(&self) -> Result<(), String> {
        let mut known: Vec<Spi> = self
            .established()
            .iter()
            .flat_map(|info| info.children.iter().map(|child| child.inbound))
            .collect();
        known.sort_unstable();
        let installed: Vec<Spi> = self.children.keys().copied().collect();
        if known == installed {
            return Ok(());
        }
        Err(format!("installed {installed:?}, known to the endpoint {known:?}"))
    }

    /// SPIs of its established IKE SAs.
    pub(crate) fn ike_spis(&self) -> BTreeSet<(IkeSpi, IkeSpi)> {
        self.established().iter().map(|info| (info.spi_i, info.spi_r)).collect()
    }
}

/// One direction as its sender and its receiver know it.
pub(crate) fn same_sa(one: &SaParams, other: &SaParams) -> Result<(), String> {
    let spi = one.spi;
    if spi != other.spi {
        return Err(format!("{spi} on one side, {} on the other", other.spi));
    }
    if one.keys.encr != other.keys.encr || one.keys.integ != other.keys.integ {
        return Err(format!("the keys of {spi} differ"));
    }
    if (one.algorithms, one.sequence, one.mode) != (other.algorithms, other.sequence, other.mode) {
        return Err(format!("the algorithms of {spi} differ"));
    }
    if one.local_selectors != other.remote_selectors || one.remote_selectors != other.local_selectors {
        return Err(format!("the selectors of {spi} differ"));
    }
    Ok(())
}

impl From<ExchangeTrace> for Record {
    fn from(trace: ExchangeTrace) -> Self {
        Self {
            at: trace.at,
            outbound: trace.outbound,
            exchange: trace.exchange,
            response: trace.response,
            message_id: trace.message_id,
            payloads: trace.payloads,
            octets: trace.octets,
            retransmission: trace.retransmission,
            spi_i: trace.spi_i,
            spi_r: trace.spi_r,
        }
    }
}

impl KeyLog {
    /// Adds a line to the table it is for.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn line(&self, line: &KeyLogLine) -> std::io::Result<()> {
        match line {
            KeyLogLine::Ikev2(line) => self.ikev2(line),
            KeyLogLine::Esp(line) => self.esp(line),
        }
    }
}
