//! The kernel's side of a case: states and policies as `ip -batch` reads them, and its counters of what it dropped.

use alloc::collections::BTreeMap;
use core::fmt::Write as _;
use core::net::IpAddr;

use ipsec::sa::{Mode, SecurityProtocol};

use super::case::{Addresses, Case, mode_name};
use super::guest::Guest;
use super::keys::{Algorithms, Keys};
use crate::family::Family;

/// The port of UDP encapsulation on both sides.
pub(crate) const PORT: u16 = 4500;
/// The CPIs of IPComp to the kernel and to us, and what joins its states and policies.
pub(crate) const CPIS: (u16, u16) = (0x2345, 0x3456);
const COMPRESSION_REQID: u8 = 2;
/// The kernel's replay window, and ours.
pub(crate) const WINDOW: u32 = 64;

/// Both directions of a case as the kernel is told of them.
#[derive(Clone, Debug)]
pub(crate) struct Setup<'a> {
    /// The case.
    pub(crate) case: &'a Case,
    /// Its algorithms.
    pub(crate) algorithms: Algorithms,
    /// The SPI of packets to the kernel, and the keys.
    pub(crate) to_kernel: (u32, Keys),
    /// The SPI of packets to us, and the keys.
    pub(crate) to_us: (u32, Keys),
}

impl Setup<'_> {
    /// Takes away what other cases left behind, and puts in this one's states and policies.
    pub(crate) fn install(&self, guest: &mut Guest) -> Result<(), String> {
        let mut lines = "xfrm state flush\nxfrm policy flush\n".to_owned();
        let Addresses { ours, kernel } = self.case.outer.outer();
        let protected = self.case.protected();
        for inbound in [true, false] {
            let (from, to, (spi, keys)) =
                if inbound { (ours, kernel, &self.to_kernel) } else { (kernel, ours, &self.to_us) };
            let (source, destination) = match inbound {
                true => (host(protected.ours), host(protected.kernel)),
                false => (host(protected.kernel), host(protected.ours)),
            };
            self.state(&mut lines, inbound, &format!("src {from} dst {to}"), *spi, keys)?;
            if self.case.mode == Mode::Beet {
                let _ = write!(lines, " sel src {source} dst {destination}");
            }
            lines.push('\n');
            self.policy(&mut lines, inbound, &format!("src {source} dst {destination}"), (from, to));
        }
        guest.run(&format!("ip -batch - <<'END'\n{lines}END")).map(drop)
    }

    fn state(
        &self,
        lines: &mut String,
        inbound: bool,
        addresses: &str,
        spi: u32,
        keys: &Keys,
    ) -> Result<(), String> {
        let case = self.case;
        let protocol = protocol_name(case.protocol);
        let mode = mode_name(case.mode);
        let mode = match case.compressed {
            // There the tunnel is IPComp's, and ESP protects it on its way.
            true => {
                let cpi = if inbound { CPIS.0 } else { CPIS.1 };
                let _ = write!(lines, "xfrm state add {addresses} proto comp spi {cpi:#x} ");
                let _ = writeln!(lines, "reqid {COMPRESSION_REQID} mode {mode} comp deflate");
                "transport"
            }
            false => mode,
        };
        let algorithms = keys.of_the_kernel(&self.algorithms)?;
        let _ = write!(lines, "xfrm state add {addresses} proto {protocol} spi {spi:#x} reqid 1 mode {mode}");
        let _ = write!(lines, " replay-window {WINDOW} {algorithms}");
        let mut flags = Vec::new();
        if case.outer != case.inner {
            flags.push("af-unspec");
        }
        if case.extended {
            flags.push("esn");
        }
        if case.protocol == SecurityProtocol::Ah && !case.padded_to_64_bits {
            flags.push("align4");
        }
        for flag in flags {
            let _ = write!(lines, " flag {flag}");
        }
        if case.udp {
            let unspecified = if case.outer == Family::V4 { "0.0.0.0" } else { "::" };
            let _ = write!(lines, " encap espinudp {PORT} {PORT} {unspecified}");
        }
        let number = if inbound { "replay-seq" } else { "replay-oseq" };
        let _ = write!(lines, " {number} {:#x}", case.floor & 0xffff_ffff);
        if case.extended {
            let _ = write!(lines, " {number}-hi {:#x}", case.floor >> 32);
        }
        Ok(())
    }

    fn policy(&self, lines: &mut String, inbound: bool, selector: &str, (from, to): (IpAddr, IpAddr)) {
        let case = self.case;
        // The UDP packet itself is not what the policy is about.
        let upper = match (case.mode, case.outer) {
            (Mode::Transport, Family::V4) => " proto icmp",
            (Mode::Transport, Family::V6) => " proto ipv6-icmp",
            _ => "",
        };
        let direction = if inbound { "in" } else { "out" };
        let (protocol, mode) = (protocol_name(case.protocol), mode_name(case.mode));
        let _ = write!(lines, "xfrm policy add {selector}{upper} dir {direction} ");
        let tunnel = format!("tmpl src {from} dst {to} proto");
        if case.compressed {
            // What does not become smaller comes as it is.
            let level = if inbound { " level use" } else { "" };
            let _ = write!(lines, "{tunnel} comp reqid {COMPRESSION_REQID} mode {mode}{level} ");
            let _ = writeln!(lines, "tmpl proto {protocol} reqid 1 mode transport");
        } else {
            let _ = writeln!(lines, "{tunnel} {protocol} reqid 1 mode {mode}");
        }
    }
}

/// Every counter of the kernel's that is not zero, by its name in `/proc/net/xfrm_stat`.
pub(crate) fn counters(guest: &mut Guest) -> Result<BTreeMap<String, u64>, String> {
    // Without a program, which would take its time to start.
    let text = guest.run("while read -r name count; do echo \"$name $count\"; done </proc/net/xfrm_stat")?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, count)| Some((name.to_owned(), count.trim().parse().ok()?)))
        .filter(|&(_, count)| count != 0)
        .collect())
}

const fn protocol_name(protocol: SecurityProtocol) -> &'static str {
    match protocol {
        SecurityProtocol::Esp => "esp",
        SecurityProtocol::Ah => "ah",
    }
}

/// A prefix of one address.
fn host(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}
