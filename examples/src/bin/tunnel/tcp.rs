//! The hosts behind the gateways: a TCP/IP stack in user space (smoltcp) with one small service.
//!
//! The client asks for a number of octets, the server answers with that many from a seeded generator.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, Ipv4Address};

/// TCP's timers are made for the Internet: its shortest retransmission time-out is a second. The hosts' clock runs
/// this many times faster than ours, so that a lost segment costs what it would cost at loopback's round-trip time.
const CLOCK_RATE: u64 = 100;
/// Octets that the client's TCP takes without being read. What is in flight has to fit into the kernel's socket
/// buffer on the way, or the kernel drops what the tunnel carries.
const RECEIVE_WINDOW: usize = 80 * 1024;
const SEND_BUFFER: usize = 256 * 1024;
const PORT: u16 = 7000;

/// The octets that travel: both sides know them from the seed.
pub(crate) struct Source(ChaCha8Rng);

impl Source {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn fill(&mut self, octets: &mut [u8]) {
        self.0.fill_bytes(octets);
    }

    /// SHA-256 of the first `octets`.
    pub(crate) fn digest(seed: u64, octets: u64) -> [u8; 32] {
        let (mut source, mut hash) = (Self::new(seed), Sha256::new());
        let mut block = vec![0; BLOCK];
        let mut left = octets;
        while left > 0 {
            let len = left.min(BLOCK as u64) as usize;
            source.fill(&mut block);
            hash.update(&block[..len]);
            left -= len as u64;
        }
        hash.finalize().into()
    }
}

/// The generator is always asked for whole blocks, so that its octets do not depend on how they are cut.
const BLOCK: usize = 64 * 1024;

/// What a host does.
pub(crate) enum Service {
    /// Waits for a request and answers it.
    Server { source: Box<Source>, block: Vec<u8>, used: usize, left: u64, answering: bool },
    /// Asks, and hashes what comes.
    Client { server: Ipv4Address, wanted: u64, received: u64, hash: Sha256, asked: bool },
}

impl Service {
    pub(crate) fn server(seed: u64) -> Self {
        Self::Server {
            source: Box::new(Source::new(seed)),
            block: vec![0; BLOCK],
            used: BLOCK,
            left: 0,
            answering: false,
        }
    }

    pub(crate) fn client(server: Ipv4Address, wanted: u64) -> Self {
        Self::Client { server, wanted, received: 0, hash: Sha256::new(), asked: false }
    }
}

/// A host: an interface without link layer, one socket, one service.
pub(crate) struct Host {
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    service: Service,
}

/// Where a host's packets go: it writes each into the middle of a buffer that leaves room for ESP.
pub(crate) trait Uplink {
    /// The largest IP packet.
    fn mtu(&self) -> usize;
    /// Sends a packet of `len` octets that `write` writes.
    fn send<R>(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> R;
}

impl Host {
    pub(crate) fn new(address: Ipv4Address, service: Service, uplink: &mut impl Uplink) -> Self {
        let mut device = Device { packet: None, uplink };
        let mut interface =
            Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::from_micros(0));
        interface.update_ip_addrs(|addresses| {
            // The list has room for the first one.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(address), 24));
        });
        // The table has room for the first one.
        let _ = interface.routes_mut().add_default_ipv4_route(address);
        let (receive, send) = match service {
            Service::Server { .. } => (4096, SEND_BUFFER),
            Service::Client { .. } => (RECEIVE_WINDOW, 4096),
        };
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(vec![0; receive]), tcp::SocketBuffer::new(vec![0; send]));
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        Self { interface, sockets, socket, service }
    }

    /// The client opens its connection, the server waits for one.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        match &self.service {
            Service::Server { .. } => socket.listen(PORT).map_err(|error| error.to_string()),
            Service::Client { server, .. } => {
                let remote = (IpAddress::Ipv4(*server), PORT);
                socket.connect(self.interface.context(), remote, 49152).map_err(|error| error.to_string())
            }
        }
    }

    /// Takes a packet that came through the tunnel.
    pub(crate) fn receive(&mut self, micros: u64, packet: &[u8], uplink: &mut impl Uplink) {
        let mut device = Device { packet: Some(packet), uplink };
        self.interface.poll_ingress_single(fast(micros), &mut device, &mut self.sockets);
    }

    /// Lets the service and TCP do what they can. `limit` is how many octets the client may have taken by now.
    /// Returns whether anything moved.
    pub(crate) fn work(&mut self, micros: u64, limit: u64, uplink: &mut impl Uplink) -> bool {
        let moved = self.serve(limit);
        let mut device = Device { packet: None, uplink };
        let sent = self.interface.poll_egress(fast(micros), &mut device, &mut self.sockets);
        moved || sent == smoltcp::iface::PollResult::SocketStateChanged
    }

    /// How long nothing will happen by itself, in microseconds of our clock.
    pub(crate) fn idle_for(&mut self, micros: u64) -> Option<u64> {
        let delay = self.interface.poll_delay(fast(micros), &self.sockets)?;
        Some(delay.total_micros().div_ceil(CLOCK_RATE))
    }

    /// Octets that the client has taken.
    pub(crate) fn received(&self) -> u64 {
        match &self.service {
            Service::Client { received, .. } => *received,
            Service::Server { .. } => 0,
        }
    }

    /// SHA-256 of what the client has taken.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        match &self.service {
            Service::Client { hash, .. } => Some(hash.clone().finalize().into()),
            Service::Server { .. } => None,
        }
    }

    /// Whether TCP is through with the connection.
    pub(crate) fn is_closed(&self) -> bool {
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.socket);
        matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait)
    }

    fn serve(&mut self, limit: u64) -> bool {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        let mut moved = false;
        match &mut self.service {
            Service::Server { source, block, used, left, answering } => {
                if !*answering && socket.recv_queue() >= 8 {
                    let mut request = [0; 8];
                    if socket.recv_slice(&mut request) == Ok(8) {
                        (*left, *answering) = (u64::from_be_bytes(request), true);
                    }
                }
                while *answering && *left > 0 && socket.can_send() {
                    if *used == block.len() {
                        source.fill(block);
                        *used = 0;
                    }
                    let len = (block.len() - *used).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let Ok(taken) = socket.send_slice(&block[*used..*used + len]) else { break };
                    *used += taken;
                    *left -= taken as u64;
                    moved |= taken > 0;
                }
                if *answering && *left == 0 {
                    socket.close();
                }
            }
            Service::Client { wanted, received, hash, asked, .. } => {
                if !*asked && socket.can_send() {
                    *asked = socket.send_slice(&wanted.to_be_bytes()) == Ok(8);
                    moved = true;
                }
                while *received < limit && socket.can_recv() {
                    let room = usize::try_from(limit - *received).unwrap_or(usize::MAX);
                    let taken = socket.recv(|octets| {
                        let len = octets.len().min(room);
                        hash.update(&octets[..len]);
                        (len, len)
                    });
                    let Ok(taken) = taken else { break };
                    *received += taken as u64;
                    moved |= taken > 0;
                }
                if *received == *wanted {
                    socket.close();
                }
            }
        }
        moved
    }
}

fn fast(micros: u64) -> Instant {
    Instant::from_micros(i64::try_from(micros.saturating_mul(CLOCK_RATE)).unwrap_or(i64::MAX))
}

/// What smoltcp sees of the gateway: at most one packet to take, and room for any number to send.
struct Device<'a, U> {
    packet: Option<&'a [u8]>,
    uplink: &'a mut U,
}

struct RxToken<'a>(&'a [u8]);
struct TxToken<'a, U>(&'a mut U);

impl<U: Uplink> phy::Device for Device<'_, U> {
    type RxToken<'b>
        = RxToken<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = TxToken<'b, U>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(RxToken<'_>, TxToken<'_, U>)> {
        let packet = self.packet.take()?;
        Some((RxToken(packet), TxToken(self.uplink)))
    }

    fn transmit(&mut self, _: Instant) -> Option<TxToken<'_, U>> {
        Some(TxToken(self.uplink))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.uplink.mtu();
        // Every checksum is made and checked: they would show an octet that the tunnel changed.
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl<U: Uplink> phy::TxToken for TxToken<'_, U> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.send(len, f)
    }
}
