//! Drives real peers and oracles: strongSwan in a network namespace, and tshark over the example's capture.
//!
//! `cargo run --release -p interop` runs every case of the table and exits with 0 only when all pass. It
//! needs root, for network namespaces, and exits with 2 when it or a package is missing.

extern crate alloc;

mod capture;
mod case;
mod driver;
mod example;
mod harness;
mod icmp;
mod netns;
mod oracle;
mod process;
mod runner;
mod scenario;
mod strongswan;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit status when the cases cannot be run at all.
const CANNOT_RUN: u8 = 2;

/// The device that strongSwan's ESP in user space takes its packets from.
const TUN: &str = "/dev/net/tun";

/// Runs the interoperability cases and prints a table of them.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Arguments {
    /// Only the cases whose name contains this.
    #[arg(long, value_name = "SUBSTR")]
    only: Option<String>,
    /// List the cases and run none.
    #[arg(long)]
    list: bool,
    /// Keep logs and captures of the cases that pass too.
    #[arg(long)]
    keep: bool,
    /// Print our trace and the peer's log of every case.
    #[arg(long)]
    verbose: bool,
    /// How many cases run beside each other, each in namespaces of its own.
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    #[command(subcommand)]
    inner: Option<Inner>,
}

/// What the runner starts itself with.
#[derive(Subcommand, Debug)]
enum Inner {
    /// Our side of one case: the runner starts this inside our namespace.
    #[command(hide = true)]
    Case {
        /// The name of the case.
        name: String,
        /// The folder of the case, with the peer's control socket.
        #[arg(long)]
        dir: PathBuf,
        /// The namespace of the peer.
        #[arg(long)]
        peer_namespace: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cases = table::cases();
    if let Some(Inner::Case { name, dir, peer_namespace }) = &arguments.inner {
        return runner::our_side(&cases, name, dir, peer_namespace);
    }
    let chosen: Vec<&case::Case> = cases
        .iter()
        .filter(|case| arguments.only.as_deref().is_none_or(|part| case.name.contains(part)))
        .collect();
    if arguments.list {
        for case in chosen {
            println!("{:<34} {}", case.name, case.about);
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        eprintln!("no case has such a name; --list shows them");
        return ExitCode::from(CANNOT_RUN);
    }
    if !process::is_root() {
        eprintln!("interop needs root: it makes network namespaces and binds ports 500 and 4500 inside them");
        return ExitCode::from(CANNOT_RUN);
    }
    let missing = process::missing_packages();
    if !missing.is_empty() {
        eprintln!("missing: {}", missing.join(", "));
        eprintln!("apt-get install --no-install-recommends {}", missing.join(" "));
        return ExitCode::from(CANNOT_RUN);
    }
    if !Path::new(TUN).exists() {
        eprintln!("{TUN} is missing, which strongSwan needs: mknod {TUN} c 10 200");
        return ExitCode::from(CANNOT_RUN);
    }
    let options =
        runner::Options { keep: arguments.keep, verbose: arguments.verbose, jobs: arguments.jobs.max(1) };
    match runner::run(&chosen, options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}
