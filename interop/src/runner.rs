//! Runs the cases, several beside each other, and prints the table.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::capture::{CAPTURE, Capture};
use crate::case::{Case, Kind};
use crate::driver::Driver;
use crate::family::Family;
use crate::folders::{WorkFolder, keep, kept_folder};
use crate::netns::{self, A, B, Network};
use crate::oracle::Dissection;
use crate::scenario::Bench;
use crate::strongswan::{Charon, Vici};
use crate::{example, harness, process};

/// How long our side of a case may take in all, before it counts as stuck.
const CASE_LIMIT: Duration = Duration::from_secs(300);
/// Where our side leaves why it failed.
const REASON: &str = "reason";
/// How many lines of each log a failure prints.
const TAIL: usize = 60;

/// What the cases need of the system: a file that tells whether it is there, and the package that has it.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    ("/usr/lib/ipsec/charon", "strongswan-charon"),
    ("/usr/sbin/swanctl", "strongswan-swanctl"),
    ("/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so", "libcharon-extra-plugins"),
    ("/usr/lib/ipsec/plugins/libstrongswan-openssl.so", "libstrongswan-standard-plugins"),
    ("/usr/lib/ipsec/plugins/libstrongswan-curve25519.so", "libstrongswan-extra-plugins"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("kill", "procps"),
];

/// How the cases are run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Keep the folders of cases that pass too.
    pub(crate) keep: bool,
    /// Print the logs of every case.
    pub(crate) verbose: bool,
    /// How many cases run at a time.
    pub(crate) jobs: usize,
}

/// Runs the cases; true when all pass.
pub(crate) fn run(cases: &[&Case], options: Options) -> Result<bool, String> {
    netns::sweep();
    let work = WorkFolder::create()?;
    let kept = kept_folder()?;
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let mut failed = Vec::new();
    thread::scope(|scope| {
        let (results, finished) = mpsc::channel();
        for _ in 0..options.jobs.min(cases.len()) {
            let (results, next, work) = (results.clone(), &next, work.path());
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let dir = work.join(&case.name);
                    let begun = Instant::now();
                    let outcome = fs::create_dir_all(&dir)
                        .map_err(|error| error.to_string())
                        .and_then(|()| run_case(case, &dir));
                    if results.send((*case, dir, begun.elapsed(), outcome)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        say!("{:<68} {:<6} {:>8}", "case", "result", "time");
        for (case, dir, time, outcome) in finished {
            let result = if outcome.is_ok() { "pass" } else { "FAIL" };
            say!("{:<68} {result:<6} {:>6.1} s", case.name, time.as_secs_f64());
            if outcome.is_err() || options.verbose {
                print_logs(&dir);
            }
            if let Err(reason) = outcome {
                say!("  {}: {}", case.name, shown(&reason, &dir));
                failed.push((&case.name, reason.lines().next().unwrap_or_default().to_owned()));
                keep(&dir, &kept, &case.name);
            } else if options.keep {
                keep(&dir, &kept, &case.name);
            }
        }
    });
    say!(
        "\ninterop result: {}. {} passed; {} failed; finished in {:.1} s",
        if failed.is_empty() { "ok" } else { "FAILED" },
        cases.len() - failed.len(),
        failed.len(),
        begun.elapsed().as_secs_f64(),
    );
    for (name, reason) in &failed {
        say!("  FAIL {name}: {reason}");
    }
    if !failed.is_empty() || options.keep {
        say!("logs and captures are in interop/ of the target folder, a folder for each case");
    }
    Ok(failed.is_empty())
}

/// Runs one case in `dir`.
fn run_case(case: &Case, dir: &Path) -> Result<(), String> {
    match &case.kind {
        Kind::Harness(settings) => {
            let network = Network::create()?;
            let _capture = Capture::start(&network.b, B.interface, dir)?;
            harness::run(settings, &network, dir)
        }
        Kind::Peer(scenario) => {
            {
                let network = Network::create()?;
                let _capture = Capture::start(&network.b, B.interface, dir)?;
                let _peer = Charon::start(&scenario.theirs, &network.b, (B, A), dir)?;
                run_our_side(&case.name, &network, dir)?;
            }
            // The capture is complete now. An IKE SA whose peer never answered has left no encrypted message.
            let inner = match scenario.ours.families.inner {
                Family::V4 => "icmp",
                Family::V6 => "icmpv6",
            };
            let found = Dissection::of(&dir.join(CAPTURE), dir, inner)?;
            if found.encrypted == 0 { Ok(()) } else { found.ensure_clean(scenario.reach) }
        }
        Kind::Example => example::run(dir),
    }
}

/// Starts this program in our namespace for our side of the case, and waits for what it says.
fn run_our_side(name: &str, network: &Network, dir: &Path) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let log = File::create(dir.join("our.log")).map_err(|error| error.to_string())?;
    let mut child = netns::inside(&network.a, program)
        .args(["case", name, "--peer-namespace", &network.b, "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stderr(log.try_clone().map_err(|error| error.to_string())?)
        .stdout(log)
        .spawn()
        .map_err(|error| format!("our side does not start: {error}"))?;
    let status = process::wait(&mut child, CASE_LIMIT)?;
    process::stop(&mut child);
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => match fs::read_to_string(dir.join(REASON)) {
            Ok(reason) => Err(reason),
            Err(_) => Err(format!("our side ended without a word: {status}")),
        },
        None => Err(format!("our side is not done after {} s", CASE_LIMIT.as_secs())),
    }
}

/// Our side of a case, inside our namespace: this process was started by [`run_our_side`].
pub(crate) fn our_side(cases: &[Case], name: &str, dir: &Path, peer_namespace: &str) -> ExitCode {
    let outcome = match cases.iter().find(|case| case.name == name).map(|case| &case.kind) {
        Some(Kind::Peer(scenario)) => Driver::new(scenario.ours, dir).and_then(|us| {
            let mut bench = Bench { us, peer: Vici::new(dir), peer_namespace: peer_namespace.to_owned() };
            let outcome = (scenario.run)(&mut bench);
            bench.us.print_stats();
            outcome
        }),
        _ => Err(format!("no case {name} has a side of ours")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            say!("{reason}");
            let _ = fs::write(dir.join(REASON), reason);
            ExitCode::FAILURE
        }
    }
}

fn print_logs(dir: &Path) {
    for (title, file) in [
        ("our side", "our.log"),
        ("the peer's log", "charon.log"),
        ("the other peer's log", "a/charon.log"),
        ("the peer's output", "charon.out"),
        ("the example", "example.log"),
    ] {
        let tail = process::tail(&dir.join(file), TAIL);
        if !tail.is_empty() {
            say!("  {title}:\n{}", shown(&tail, dir).trim_end());
        }
    }
}

/// The text without the folder's name, which says nothing.
fn shown(text: &str, dir: &Path) -> String {
    text.replace(&dir.display().to_string(), "DIR")
}
