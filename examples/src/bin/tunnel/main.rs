//! Two IPsec gateways on loopback: a TCP transfer through a tunnel whose SAs are replaced on the way.
//!
//! Each gateway has a thread, two UDP sockets and a host with a TCP/IP stack of its own behind it. The first segment
//! finds no SA and starts the negotiation; everything after it goes through ESP in UDP.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a program with sockets and threads has the standard library"
)]

/// `println!` for whoever still reads: a pipe that was closed, as by `head`, is no reason to end without a result.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod capture;
mod gateway;
mod report;
mod tcp;

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use ipsec::crypto::{Secret, Suite, SuiteProtocol, rustcrypto};
use ipsec::ike::{ChildConfig, ConnectionConfig, Identity, PeerIdentity, Ports};
use ipsec::sa::TrafficSelector;
use ipsec::wire::ike::SnId;
use ipsec::{Stack, StackConfig};

use crate::capture::Recording;
use crate::gateway::{Clock, Gateway, Loss, Outcome, Shared, Side, Sockets, Wire, bind};
use crate::report::Transfer;
use crate::tcp::{Host, Service, Source};

const CLIENT_HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const SERVER_HOST: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);

const EXIT_CODES: &str = "\
Exit codes:
  0  the transfer is complete and everything held
  1  something did not hold: the report says what
  2  the arguments are wrong
  3  the system refused something: sockets, files, random numbers
  4  the tunnel did not come up, or the transfer stood still

Examples:
  tunnel --megabytes 256
  tunnel --loss 5 --seed 7
  tunnel --suite aes256-sha256-ecp256 --esp aes256-sha256-ecp256
  tunnel --megabytes 4 --capture /tmp/tunnel";

/// Fetches seeded random octets over TCP through an IPsec tunnel between two gateways on loopback.
///
/// The gateways negotiate with IKEv2 and a shared key made for this run, and encapsulate ESP in UDP on unprivileged
/// ports. During the transfer the Child SA is replaced twice and the IKE SA once. No privileges are needed.
#[derive(Parser, Debug)]
#[command(name = "tunnel", version, after_help = EXIT_CODES)]
struct Arguments {
    /// How much to fetch, in units of 1048576 octets
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    megabytes: u64,

    /// Share of datagrams, IKE and ESP alike, that is dropped instead of sent (0 to 25)
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    loss: f64,

    /// Seed of the octets that are fetched and of the losses; keys never come from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// IKE proposals, most wanted first, separated by commas
    #[arg(long, value_name = "PROPOSALS", default_value = "aes256gcm16-prfsha384-x25519")]
    suite: String,

    /// ESP proposals; a key exchange in them is done again at each rekey [default: aes256gcm16-x25519-esn, with
    /// --capture aes256gcm16-x25519]
    #[arg(long, value_name = "PROPOSALS")]
    esp: Option<String>,

    /// Largest IP packet inside the tunnel, in octets
    #[arg(long, value_name = "OCTETS", default_value_t = 1400, value_parser = clap::value_parser!(u16).range(576..=9000))]
    mtu: u16,

    /// Writes tunnel.pcapng and Wireshark's key tables, ikev2_decryption_table and esp_sa, into this directory, which
    /// is made if need be. They hold the keys of this run
    #[arg(long, value_name = "DIR")]
    capture: Option<PathBuf>,

    /// Gives up when nothing has moved for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=25.0).contains(&percent) => Ok(percent),
        Ok(_) => Err("give a share between 0 and 25 percent: beyond that TCP hardly moves".into()),
        Err(_) => Err("give a number of percent, such as 5 or 0.5".into()),
    }
}

/// What both sides offer.
struct Suites {
    ike: Vec<Suite>,
    esp: Vec<Suite>,
}

impl Suites {
    fn parse(arguments: &Arguments) -> Result<Self, String> {
        let ike = Suite::list(SuiteProtocol::Ike, &arguments.suite).map_err(|error| {
            format!("--suite: {error}\nTry aes256gcm16-prfsha384-x25519, or leave the option out.")
        })?;
        let recording = arguments.capture.is_some();
        let default = if recording { "aes256gcm16-x25519" } else { "aes256gcm16-x25519-esn" };
        let esp = arguments.esp.as_deref().unwrap_or(default);
        let esp = Suite::list(SuiteProtocol::Esp, esp)
            .map_err(|error| format!("--esp: {error}\nTry {default}, or leave the option out."))?;
        if recording && esp.iter().any(|suite| suite.sn.contains(&SnId::SEQUENTIAL_64)) {
            return Err(
                "--esp: with --capture only 32-bit sequence numbers are of use, because Wireshark cannot \
                        check integrity under extended ones\nTake esn out of the proposal."
                    .into(),
            );
        }
        let provider = rustcrypto::provider();
        for suite in ike.iter().chain(&esp) {
            suite.supported_by(&provider).map_err(|missing| {
                format!(
                    "{suite}: {missing}\nTake another algorithm: the provider of this build lacks that one."
                )
            })?;
        }
        Ok(Self { ike, esp })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let suites = match Suites::parse(&arguments) {
        Ok(suites) => suites,
        Err(error) => {
            eprintln!("tunnel: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments, &suites) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tunnel: {error}");
            ExitCode::from(3)
        }
    }
}

fn run(arguments: &Arguments, suites: &Suites) -> Result<ExitCode, Box<dyn Error>> {
    let total = arguments.megabytes << 20;
    let expected = Source::digest(arguments.seed, total);
    let (client, server) = sockets()?;
    let recording = match &arguments.capture {
        Some(dir) => Some(Arc::new(Recording::create(dir)?)),
        None => None,
    };
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;

    let (clock, shared) = (Clock::start(), Arc::new(Shared::default()));
    let gateway = |side: Side, own: Sockets, peer: &Addresses| -> Result<Gateway, Box<dyn Error>> {
        let own_addresses = Addresses::of(&own)?;
        let mut config = StackConfig::default();
        config.endpoint.trace = true;
        config.endpoint.key_log = recording.is_some() && side == Side::Client;
        config.endpoint.retransmit.initial = Duration::from_millis(250);
        config.endpoint.retransmit.tries = 12;
        let mut stack = Stack::new(config, rustcrypto::provider(), operating_system_rng()?, clock.now());
        stack.add_connection(connection(side, &key, suites, &own_addresses, peer)?)?;
        let mut wire = Wire::new(stack, own.0, own.1, clock, usize::from(arguments.mtu));
        let stream = if side == Side::Client { 1 } else { 2 };
        wire.loss = (arguments.loss > 0.0).then(|| Loss::new(arguments.loss, arguments.seed << 2 | stream));
        wire.capture.clone_from(&recording);
        let (address, service) = match side {
            Side::Client => (CLIENT_HOST, Service::client(SERVER_HOST, total)),
            Side::Server => (SERVER_HOST, Service::server(arguments.seed)),
        };
        let host = Host::new(address, service, &mut wire);
        Ok(Gateway::new(side, wire, host, total, Arc::clone(&shared)))
    };
    let (client_addresses, server_addresses) = (Addresses::of(&client)?, Addresses::of(&server)?);
    let client = gateway(Side::Client, client, &server_addresses)?;
    let server = gateway(Side::Server, server, &client_addresses)?;
    say!("client's gateway {client_addresses}, server's gateway {server_addresses}");
    say!("fetching {} MiB from {SERVER_HOST} to {CLIENT_HOST} through the tunnel", arguments.megabytes);

    let start = |name: &str, gateway: Gateway| {
        std::thread::Builder::new().name(name.into()).spawn(move || gateway.run())
    };
    let (client, server) = (start("client", client)?, start("server", server)?);
    let stood_still = watch(&shared, total, Duration::from_secs(arguments.patience), || {
        client.is_finished() && server.is_finished()
    });
    let outcomes: Option<(Outcome, Outcome)> = client.join().ok().zip(server.join().ok());
    let Some((client, server)) = outcomes else {
        return Err("a gateway's thread panicked; this is a defect of the program".into());
    };
    if let Some(recording) = &recording {
        recording.finish()?;
    }
    let transfer = Transfer { total, expected, lossy: arguments.loss > 0.0, stood_still };
    let code = report::print(&transfer, &client, &server);
    if let Some(dir) = &arguments.capture {
        say!("{}", capture::hint(dir, &[&client_addresses, &server_addresses]));
    }
    Ok(ExitCode::from(code))
}

/// Shows how far the transfer is until both threads end. Returns whether it stood still for too long.
fn watch(shared: &Shared, total: u64, patience: Duration, finished: impl Fn() -> bool) -> bool {
    let bar = ProgressBar::new(total);
    // A template that does not parse would be a defect; the plain bar does as well.
    if let Ok(style) = ProgressStyle::with_template(
        "{bar:40} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {msg}",
    ) {
        bar.set_style(style);
    }
    let (mut last, mut moved_at) = ((0, 0, false), Instant::now());
    let mut stood_still = false;
    while !finished() {
        std::thread::sleep(Duration::from_millis(20));
        let received = shared.received.load(Ordering::Acquire);
        let steps = shared.steps.load(Ordering::Acquire);
        let state = (received, steps, shared.client_done.load(Ordering::Acquire));
        if state != last {
            (last, moved_at) = (state, Instant::now());
        } else if moved_at.elapsed() > patience {
            stood_still = true;
            shared.stop.store(true, Ordering::Release);
        }
        bar.set_position(received);
        bar.set_message(format!("{steps} of {} replacements", gateway::SCHEDULE.len()));
    }
    bar.finish_and_clear();
    stood_still
}

/// A gateway's address and ports.
pub(crate) struct Addresses {
    ip: IpAddr,
    ports: Ports,
}

impl Addresses {
    fn of((ike, encap): &Sockets) -> std::io::Result<Self> {
        let (ike, encap) = (ike.local_addr()?, encap.local_addr()?);
        Ok(Self { ip: ike.ip(), ports: Ports { ike: ike.port(), encap: encap.port() } })
    }
}

impl std::fmt::Display for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (ports {} and {})", self.ip, self.ports.ike, self.ports.encap)
    }
}

/// Sockets of both gateways: on two loopback addresses where the system has them, on one where not.
fn sockets() -> Result<(Sockets, Sockets), Box<dyn Error>> {
    let first = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = bind(first).map_err(|error| {
        format!("no UDP socket on {first}: {error}\nThe example needs a loopback interface that is up.")
    })?;
    let server = bind(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))).or_else(|_| bind(first))?;
    Ok((client, server))
}

fn connection(
    side: Side,
    key: &[u8],
    suites: &Suites,
    own: &Addresses,
    peer: &Addresses,
) -> Result<ConnectionConfig, Box<dyn Error>> {
    let (own_name, peer_name) = ("client.tunnel.example", "server.tunnel.example");
    let (own_host, peer_host) = (CLIENT_HOST, SERVER_HOST);
    let ((own_name, own_host), (peer_name, peer_host)) = match side {
        Side::Client => ((own_name, own_host), (peer_name, peer_host)),
        Side::Server => ((peer_name, peer_host), (own_name, own_host)),
    };
    let network = |host: Ipv4Addr| TrafficSelector::prefix(host.into(), 24);
    let child = ChildConfig::tunnel(
        "transfer",
        vec![network(own_host)?],
        vec![network(peer_host)?],
        suites.esp.clone(),
    );
    let mut connection = ConnectionConfig::psk(
        "tunnel",
        Identity::fqdn(own_name),
        PeerIdentity::Exactly(Identity::fqdn(peer_name)),
        Secret::new(key),
        suites.ike.clone(),
    )
    .between(own.ip, peer.ip)
    .with_ports(own.ports, peer.ports)
    .with_child(child);
    connection.force_encapsulation = true;
    Ok(connection)
}

/// A generator of its own for each gateway, seeded by the operating system.
fn operating_system_rng() -> Result<Box<dyn rand_core::CryptoRng + Send>, getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(Box::new(<rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::from_seed(seed)))
}
