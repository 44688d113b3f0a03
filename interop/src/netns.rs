//! Two network namespaces joined by a veth pair: the wire between our stack and a peer.
//!
//! Each side also holds an inner address on `lo`, which stands for the network behind the gateway.
//! Names carry the process id of the run, so that runs beside each other do not meet and what a crashed run
//! left behind is recognised and removed by the next one.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicU32, Ordering};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::family::Family;
use crate::process::{self, checked};

/// Every namespace of this program begins like this; the run's process id and a number follow.
const PREFIX: &str = "ipsec-interop-";

/// One side of the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    /// The name of the interface on the wire.
    pub(crate) interface: &'static str,
    /// The IKE identity, a fully qualified domain name.
    pub(crate) id: &'static str,
    /// What tells its addresses from the other side's.
    number: u8,
}

/// Our side.
pub(crate) const A: Side = Side { interface: "va", id: "a.test", number: 1 };

/// The peer's side.
pub(crate) const B: Side = Side { interface: "vb", id: "b.test", number: 2 };

impl Side {
    /// The outer address, on the wire.
    pub(crate) const fn outer(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 10, 0, self.number)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfd10, 0, 0, 0, 0, 0, 0, self.number as u16)),
        }
    }

    /// The inner address, on `lo`: source and target of the test traffic.
    pub(crate) const fn inner(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(10, self.number, 0, 1)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfd00, self.number as u16, 0, 0, 0, 0, 0, 1)),
        }
    }

    /// The network behind the side, as a selector.
    pub(crate) fn subnet(self, family: Family) -> String {
        format!("{}/{}", self.inner(family), prefix(family))
    }
}

/// The length of every network's prefix.
pub(crate) const fn prefix(family: Family) -> u8 {
    match family {
        Family::V4 => 24,
        Family::V6 => 64,
    }
}

/// Both namespaces; dropping it ends what runs inside and removes them.
#[derive(Debug)]
pub(crate) struct Network {
    /// The name of the namespace of [`A`].
    pub(crate) a: String,
    /// The name of the namespace of [`B`].
    pub(crate) b: String,
}

impl Network {
    /// Creates both namespaces, the wire and the addresses.
    pub(crate) fn create() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let stem = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let network = Network { a: format!("{stem}-a"), b: format!("{stem}-b") };
        // From here on a failure drops `network`, which removes what there is of it.
        checked(Command::new("ip").args(["netns", "add", &network.a]))?;
        checked(Command::new("ip").args(["netns", "add", &network.b]))?;
        checked(Command::new("ip").args(["link", "add", A.interface, "netns", &network.a]).args([
            "type",
            "veth",
            "peer",
            "name",
            B.interface,
            "netns",
            &network.b,
        ]))?;
        for (name, side) in [(&network.a, A), (&network.b, B)] {
            let up = |link: &str| checked(Command::new("ip").args(["-n", name, "link", "set", link, "up"]));
            let address = |address: IpAddr, family, link: &str| {
                let mut command = Command::new("ip");
                command.args(["-n", name, "addr", "add"]).arg(format!("{address}/{}", prefix(family)));
                command.args(["dev", link]);
                if family == Family::V6 {
                    command.arg("nodad");
                }
                checked(&mut command)
            };
            up("lo")?;
            up(side.interface)?;
            for family in Family::ALL {
                address(side.outer(family), family, side.interface)?;
                address(side.inner(family), family, "lo")?;
            }
        }
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.a);
        remove(&self.b);
    }
}

/// A command that runs inside the namespace `name`.
pub(crate) fn inside(name: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name]).arg(program);
    command
}

/// Removes the namespaces of runs whose process is gone.
pub(crate) fn sweep() {
    let Ok(list) = checked(Command::new("ip").args(["netns", "list"])) else { return };
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let owner = rest.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_none_or(|pid| !is_running_here(pid)) {
            remove(name);
        }
    }
}

/// Whether `pid` is a process of this program that still runs; one that nobody has waited for does not.
pub(crate) fn is_running_here(pid: u32) -> bool {
    let status = |pid: &str| fs::read_to_string(Path::new("/proc").join(pid).join("status"));
    let line =
        |status: &str, name: &str| status.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    match (status("self"), status(&pid.to_string())) {
        (Ok(own), Ok(other)) => {
            line(&own, "Name:") == line(&other, "Name:")
                && line(&other, "State:").is_some_and(|state| !state.contains('Z') && !state.contains('X'))
        }
        _ => false,
    }
}

fn remove(name: &str) {
    if let Ok(pids) = checked(Command::new("ip").args(["netns", "pids", name])) {
        for pid in pids.lines().filter_map(|line| line.trim().parse().ok()) {
            process::signal(pid, "KILL");
        }
    }
    // Nothing to report: on the way out of a failed creation the namespace may never have existed.
    let _ = checked(Command::new("ip").args(["netns", "del", name]));
}
