//! The sockets that take ESP in UDP inside the guest: the kernel hands packets to its SAs where a socket on the port
//! says so (RFC 3948; in Linux the socket option UDP_ENCAP).
//!
//! The guest sees the host's files, so it runs this same program for it.

use std::net::UdpSocket;
use std::path::Path;

use nix::libc::{self, c_int};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetStruct;

use super::guest::Guest;
use super::xfrm::PORT;
use crate::family::Family;

/// The socket option, and its value for ESP behind no marker (`linux/udp.h`).
const UDP_ENCAP: c_int = 100;
const UDP_ENCAP_ESPINUDP: c_int = 2;
/// What tells that the sockets are there, in the guest's own folder.
const READY: &str = "/run/encapsulation";

/// Which packets of a UDP socket are ESP.
#[derive(Clone, Copy, Debug)]
struct Encapsulation;

nix::setsockopt_impl!(Encapsulation, libc::IPPROTO_UDP, UDP_ENCAP, c_int, SetStruct<'_, c_int>);

/// Starts [`hold_sockets`] in the guest.
pub(crate) fn hold_in(guest: &mut Guest) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = program.display();
    guest.run(&format!(
        "'{program}' hold-sockets >/run/encapsulation.log 2>&1 &
        tries=0
        while [ ! -e {READY} ]; do
            tries=$((tries + 1))
            [ $tries -lt 200 ] || {{ cat /run/encapsulation.log; exit 1; }}
            sleep 0.05
        done"
    ))?;
    Ok(())
}

/// Holds a socket of each family for ever.
pub(crate) fn hold_sockets() -> Result<(), String> {
    let mut sockets = Vec::new();
    for family in Family::ALL {
        let socket =
            UdpSocket::bind((family.outer().kernel, PORT)).map_err(|error| format!("{family:?}: {error}"))?;
        setsockopt(&socket, Encapsulation, &UDP_ENCAP_ESPINUDP)
            .map_err(|error| format!("{family:?}: {error}"))?;
        sockets.push(socket);
    }
    std::fs::write(Path::new(READY), "").map_err(|error| error.to_string())?;
    loop {
        std::thread::park();
    }
}
