//! A path: where datagrams of an IKE SA come from and go to. It is on every input and every transmit.

use core::fmt;
use core::net::SocketAddr;

use ipsec_sa::{Encapsulation, Outer};

/// What carries the octets. The non-ESP marker follows the socket's role, never a port number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// UDP that carries IKE alone (port 500): no marker.
    Udp,
    /// UDP that carries IKE behind a non-ESP marker, ESP and keepalives (port 4500; RFC 7296 §2.23, RFC 3948).
    UdpEncap,
    /// A TCP stream (RFC 9329), by the caller's number for the connection.
    Tcp(u64),
}

/// One way between two endpoints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Path {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// What carries the octets.
    pub transport: Transport,
}

impl Path {
    /// Plain UDP between two sockets.
    #[must_use]
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { local, remote, transport: Transport::Udp }
    }

    /// UDP encapsulation between two sockets.
    #[must_use]
    pub const fn udp_encap(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { local, remote, transport: Transport::UdpEncap }
    }

    /// Whether IKE messages stand behind a non-ESP marker here.
    #[must_use]
    pub const fn has_marker(&self) -> bool {
        !matches!(self.transport, Transport::Udp)
    }

    /// Where a Child SA's packets go when they take this path.
    #[must_use]
    pub fn outer(&self) -> Outer {
        Outer {
            local: self.local.ip(),
            remote: self.remote.ip(),
            encapsulation: match self.transport {
                Transport::Udp => Encapsulation::None,
                Transport::UdpEncap => {
                    Encapsulation::Udp { local_port: self.local.port(), remote_port: self.remote.port() }
                }
                Transport::Tcp(connection) => Encapsulation::Tcp { connection },
            },
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.transport {
            Transport::Udp => "udp",
            Transport::UdpEncap => "udp-encap",
            Transport::Tcp(_) => "tcp",
        };
        write!(f, "{} -> {} ({by})", self.local, self.remote)
    }
}
