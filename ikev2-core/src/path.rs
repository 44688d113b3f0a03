//! A path: where datagrams of an IKE SA come from and go to. It is on every input and every transmit.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

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
    /// IP itself: ESP or AH straight behind the IP header. It never carries IKE, and its ports are 0.
    Ip,
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

    /// Straight behind the IP header between two addresses.
    #[must_use]
    pub const fn ip(local: IpAddr, remote: IpAddr) -> Self {
        Self {
            local: SocketAddr::new(local, 0),
            remote: SocketAddr::new(remote, 0),
            transport: Transport::Ip,
        }
    }

    /// The way of a Child SA's packets.
    #[must_use]
    pub fn of(outer: &Outer) -> Self {
        match outer.encapsulation {
            Encapsulation::Udp { local_port, remote_port } => Self::udp_encap(
                SocketAddr::new(outer.local, local_port),
                SocketAddr::new(outer.remote, remote_port),
            ),
            Encapsulation::Tcp { connection } => {
                Self { transport: Transport::Tcp(connection), ..Self::ip(outer.local, outer.remote) }
            }
            _ => Self::ip(outer.local, outer.remote),
        }
    }

    /// Whether IKE messages stand behind a non-ESP marker here.
    #[must_use]
    pub const fn has_marker(&self) -> bool {
        matches!(self.transport, Transport::UdpEncap | Transport::Tcp(_))
    }

    /// Where a Child SA's packets go when they take this path.
    #[must_use]
    pub fn outer(&self) -> Outer {
        Outer {
            local: self.local.ip(),
            remote: self.remote.ip(),
            encapsulation: match self.transport {
                Transport::Udp | Transport::Ip => Encapsulation::None,
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
            Transport::Ip => "ip",
        };
        write!(f, "{} -> {} ({by})", self.local, self.remote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_takes_the_way_that_its_outer_addresses_name() {
        let (local, remote) = ("192.0.2.1:4500".parse().unwrap(), "192.0.2.2:4501".parse().unwrap());
        let encap = Path::udp_encap(local, remote);
        assert_eq!(Path::of(&encap.outer()), encap);
        // Without a NAT the children of IKE on port 500 go straight behind IP.
        let plain = Path::udp(local, remote);
        assert_eq!(Path::of(&plain.outer()), Path::ip(local.ip(), remote.ip()));
        assert!(encap.has_marker() && !plain.has_marker() && !Path::ip(local.ip(), remote.ip()).has_marker());
    }
}
