//! What a case of the kernel suite is.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipsec::sa::{Mode, SecurityProtocol};

use super::conversation::Conversation;
use crate::family::Family;

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its name, as `--only` takes it.
    pub(crate) name: String,
    /// What it belongs to in the summary.
    pub(crate) group: &'static str,
    /// ESP or AH.
    pub(crate) protocol: SecurityProtocol,
    /// The algorithms, as a proposal string.
    pub(crate) suite: &'static str,
    /// What is protected.
    pub(crate) mode: Mode,
    /// The family of the addresses on the wire.
    pub(crate) outer: Family,
    /// The family of what is inside; outside of tunnels and BEET the same.
    pub(crate) inner: Family,
    /// Whether ESP goes in UDP.
    pub(crate) udp: bool,
    /// Whether AH over IPv4 is padded to 64 bits, as Linux does unless told otherwise.
    pub(crate) padded_to_64_bits: bool,
    /// Whether packets are compressed first (IPComp with DEFLATE).
    pub(crate) compressed: bool,
    /// Whether sequence numbers have 64 bits.
    pub(crate) extended: bool,
    /// The last sequence number that counts as sent, in both directions.
    pub(crate) floor: u64,
    /// What is done.
    pub(crate) act: fn(&mut Conversation<'_>) -> Result<(), String>,
}

impl Case {
    /// ESP in a mode over a family, with the same family inside.
    pub(crate) fn esp(group: &'static str, suite: &'static str, mode: Mode, family: Family) -> Self {
        Case {
            name: format!("esp-{}-{}-{suite}", mode_name(mode), family.name()),
            group,
            protocol: SecurityProtocol::Esp,
            suite,
            mode,
            outer: family,
            inner: family,
            udp: false,
            padded_to_64_bits: false,
            compressed: false,
            extended: false,
            floor: 0,
            act: super::echo::echoes,
        }
    }

    /// AH in a mode over a family, with the same family inside.
    pub(crate) fn ah(group: &'static str, suite: &'static str, mode: Mode, family: Family) -> Self {
        Case {
            name: format!("ah-{}-{}-{suite}", mode_name(mode), family.name()),
            protocol: SecurityProtocol::Ah,
            ..Self::esp(group, suite, mode, family)
        }
    }

    /// The same with another family inside.
    pub(crate) fn inside(mut self, inner: Family) -> Self {
        let families = format!("-{}in{}-", inner.name(), &self.outer.name()[1..]);
        self.name = self.name.replace(&format!("-{}-", self.outer.name()), &families);
        self.inner = inner;
        self
    }

    /// The same in UDP.
    pub(crate) fn in_udp(mut self) -> Self {
        self.udp = true;
        self.named("udp")
    }

    /// The same with IPComp inside of ESP.
    pub(crate) fn compressed(mut self) -> Self {
        self.compressed = true;
        self.named("ipcomp")
    }

    /// The same with AH padded to 64 bits over IPv4.
    pub(crate) fn padded(mut self) -> Self {
        self.padded_to_64_bits = true;
        self.named("pad64")
    }

    /// The same with 64-bit sequence numbers that have come so far.
    pub(crate) fn extended(mut self, floor: u64) -> Self {
        (self.extended, self.floor) = (true, floor);
        self.named("esn")
    }

    /// The same with something else done, which the name tells.
    pub(crate) fn doing(mut self, name: &str, act: fn(&mut Conversation<'_>) -> Result<(), String>) -> Self {
        self.act = act;
        self.named(name)
    }

    /// The same with a longer name.
    fn named(mut self, part: &str) -> Self {
        self.name = format!("{}-{part}", self.name);
        self
    }
}

/// The name of a mode, for people and for the kernel.
pub(crate) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Tunnel => "tunnel",
        Mode::Transport => "transport",
        _ => "beet",
    }
}

/// The addresses of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Ours.
    pub(crate) ours: IpAddr,
    /// The kernel's.
    pub(crate) kernel: IpAddr,
}

impl Family {
    /// The addresses on the wire.
    pub(crate) const fn outer(self) -> Addresses {
        let (ours, kernel) = match self {
            Family::V4 => (IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2))),
            Family::V6 => (
                IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1)),
                IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2)),
            ),
        };
        Addresses { ours, kernel }
    }

    /// The addresses inside of tunnels.
    pub(crate) const fn inner(self) -> Addresses {
        let (ours, kernel) = match self {
            Family::V4 => {
                (IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1)), IpAddr::V4(Ipv4Addr::new(192, 168, 2, 1)))
            }
            Family::V6 => (
                IpAddr::V6(Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 1)),
                IpAddr::V6(Ipv6Addr::new(0xfd02, 0, 0, 0, 0, 0, 0, 1)),
            ),
        };
        Addresses { ours, kernel }
    }
}

impl Case {
    /// The addresses of the packets that are protected.
    pub(crate) const fn protected(&self) -> Addresses {
        match self.mode {
            Mode::Transport => self.outer.outer(),
            _ => self.inner.inner(),
        }
    }
}
