//! Drives real peers and oracles: strongSwan in a network namespace, tshark over the example's capture, and a Linux kernel
//! in user mode.
//!
//! `cargo run --release -p interop` runs the table of strongSwan and tshark, `cargo run --release -p interop -- kernel` that
//! of the kernel; they exit with 0 only when all cases pass, and with 2 when something of the system is missing. The
//! former needs root, for network namespaces.

extern crate alloc;

/// `println!` for whoever still reads: a pipe that was closed, as by `head`, is no reason to end without a result.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod capture;
mod case;
mod driver;
mod example;
mod family;
mod folders;
mod harness;
mod icmp;
mod kernel;
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

const AFTER_HELP: &str = "\
Without a command: strongSwan in a network namespace, our stack in another, and tshark over what was captured; it
needs root. `kernel` needs no root. Both name the Debian packages that are missing. Logs and captures of failed
cases are kept in `interop/` of the target folder.

Exit codes:
  0  all cases passed
  1  some did not: the table says which, and why
  2  nothing was run: the arguments, root, a package or a device is missing, and a line says which

Examples:
  sudo -E cargo run --release -p interop -- --only rekey --verbose
  cargo run --release -p interop -- kernel --list";

/// Runs the stack against strongSwan, tshark and a Linux kernel, and prints a table of the cases.
#[derive(Parser, Debug)]
#[command(version, about, after_help = AFTER_HELP)]
struct Arguments {
    /// Only the cases whose name contains this.
    #[arg(long, global = true, value_name = "SUBSTR")]
    only: Option<String>,
    /// List the cases and run none.
    #[arg(long, global = true)]
    list: bool,
    /// Keep logs and captures of the cases that pass too.
    #[arg(long, global = true)]
    keep: bool,
    /// Print our trace and the peer's log of every case.
    #[arg(long, global = true)]
    verbose: bool,
    /// How many cases run beside each other, each in namespaces of its own.
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    #[command(subcommand)]
    suite: Option<Suite>,
}

/// What is run instead of the table of strongSwan and tshark.
#[derive(Subcommand, Debug)]
enum Suite {
    /// ESP and AH against a Linux kernel in user mode, with keys set by hand.
    Kernel,
    /// Sockets for ESP in UDP: the runner starts this inside the kernel's guest.
    #[command(hide = true)]
    HoldSockets,
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
    match &arguments.suite {
        None => strongswan_suite(&arguments),
        Some(Suite::Kernel) => kernel_suite(&arguments),
        Some(Suite::HoldSockets) => exit(kernel::hold_sockets().map(|()| true)),
        Some(Suite::Case { name, dir, peer_namespace }) => {
            runner::our_side(&table::cases(), name, dir, peer_namespace)
        }
    }
}

fn kernel_suite(arguments: &Arguments) -> ExitCode {
    let Arguments { only, keep, verbose, .. } = arguments;
    let options = kernel::Options { only: only.as_deref(), keep: *keep, verbose: *verbose };
    if !kernel::has_cases(options) {
        eprintln!("no case has such a name; kernel --list without --only shows all");
        return ExitCode::from(CANNOT_RUN);
    }
    if arguments.list {
        kernel::list(options);
        return ExitCode::SUCCESS;
    }
    if lacks(kernel::NEEDED) {
        return ExitCode::from(CANNOT_RUN);
    }
    exit(kernel::run(options))
}

fn strongswan_suite(arguments: &Arguments) -> ExitCode {
    let cases = table::cases();
    let chosen: Vec<&case::Case> = cases
        .iter()
        .filter(|case| arguments.only.as_deref().is_none_or(|part| case.name.contains(part)))
        .collect();
    if chosen.is_empty() {
        eprintln!("no case has such a name; --list without --only shows all");
        return ExitCode::from(CANNOT_RUN);
    }
    if arguments.list {
        for case in chosen {
            say!("{:<68} {}", case.name, case.about);
        }
        return ExitCode::SUCCESS;
    }
    if !process::is_root() {
        eprintln!("interop needs root: it makes network namespaces and binds ports 500 and 4500 inside them");
        eprintln!("run it with sudo -E, or take the suite that needs none: interop kernel");
        return ExitCode::from(CANNOT_RUN);
    }
    if lacks(runner::NEEDED) {
        return ExitCode::from(CANNOT_RUN);
    }
    if !Path::new(TUN).exists() {
        eprintln!("{TUN} is missing, which strongSwan needs: mknod {TUN} c 10 200");
        return ExitCode::from(CANNOT_RUN);
    }
    let options =
        runner::Options { keep: arguments.keep, verbose: arguments.verbose, jobs: arguments.jobs.max(1) };
    exit(runner::run(&chosen, options))
}

/// Whether packages are missing, which it names.
fn lacks(needed: &[(&str, &'static str)]) -> bool {
    let missing = process::missing_packages(needed);
    if !missing.is_empty() {
        eprintln!("missing: {}", missing.join(", "));
        eprintln!("on Debian: apt-get install --no-install-recommends {}", missing.join(" "));
    }
    !missing.is_empty()
}

fn exit(outcome: Result<bool, String>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}
