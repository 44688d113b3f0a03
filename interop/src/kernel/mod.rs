//! The kernel suite: manual-keyed SAs in a real Linux kernel, and the same SAs on our side.
//!
//! One guest is booted for all cases. In each, echo requests that we seal go into the kernel, which opens them, answers
//! and seals its answers, and these we open; its counters of dropped packets must stand still, or count what they were
//! to count. What the kernel does is the truth, unless an RFC says otherwise.

mod capture;
mod case;
mod compression;
mod conversation;
mod echo;
mod encap;
mod guest;
mod keys;
mod names;
mod sas;
mod sequence;
mod table;
mod xfrm;

use alloc::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use ipsec::crypto::CryptoProvider;

use crate::folders::{WorkFolder, kept_folder};
use crate::process;
use case::Case;
use conversation::Conversation;
use guest::Guest;
use keys::{Algorithms, Keys};
use xfrm::Setup;

pub(crate) use encap::hold_sockets;

/// What the suite needs of the system.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    (guest::PROGRAM, "user-mode-linux"),
    ("modprobe", "kmod"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("mount", "mount"),
];

/// How the suite is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    /// Only the cases whose name contains this.
    pub(crate) only: Option<&'a str>,
    /// Keep captures of cases that pass too.
    pub(crate) keep: bool,
    /// Print what the kernel has of SAs after every case.
    pub(crate) verbose: bool,
}

impl Options<'_> {
    fn cases(&self) -> Vec<Case> {
        let mut cases = table::cases();
        cases.retain(|case| self.only.is_none_or(|part| case.name.contains(part)));
        cases
    }
}

/// Prints the names of the cases.
pub(crate) fn list(options: Options<'_>) {
    for case in options.cases() {
        say!("{:<44} {}", case.name, case.group);
    }
}

/// Whether any case is chosen.
pub(crate) fn has_cases(options: Options<'_>) -> bool {
    !options.cases().is_empty()
}

/// Runs the cases; true when all pass.
pub(crate) fn run(options: Options<'_>) -> Result<bool, String> {
    let cases = options.cases();
    let work = WorkFolder::create()?;
    let kept = kept_folder()?.join("kernel");
    let _ = fs::remove_dir_all(&kept);
    let begun = Instant::now();
    let mut guest = Guest::boot(work.path()).inspect_err(|_| {
        say!("{}", process::tail(&work.path().join("guest.log"), 40));
    })?;
    say!("Linux {} is up after {:.1} s", guest.release, begun.elapsed().as_secs_f64());
    encap::hold_in(&mut guest)?;
    let provider = ipsec::crypto::rustcrypto::provider();
    let mut groups: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut failed = Vec::new();
    say!("{:<44} {:<6} {:>8}", "case", "result", "time");
    for (number, case) in (0..).zip(&cases) {
        let started = Instant::now();
        let outcome = run_case(case, number, &provider, &mut guest);
        let time = started.elapsed().as_secs_f64();
        let result = if outcome.is_ok() { "pass" } else { "FAIL" };
        say!("{:<44} {result:<6} {time:>6.2} s", case.name);
        let frames = guest.take_frames();
        if outcome.is_err() || options.keep {
            capture::write(&kept, &case.name, &frames)?;
        }
        if outcome.is_err() || options.verbose {
            say!("{}", guest.run("ip -s xfrm state; ip xfrm policy; cat /proc/net/xfrm_stat")?);
        }
        groups.entry(case.group).or_default()[usize::from(outcome.is_err())] += 1;
        if let Err(reason) = outcome {
            say!("  {}: {reason}", case.name);
            failed.push((&case.name, reason.lines().next().unwrap_or_default().to_owned()));
        }
    }
    say!();
    for (group, [passed, failed]) in groups {
        say!("kernel {group}: {passed} passed; {failed} failed");
    }
    say!(
        "\nkernel result: {}. {} passed; {} failed; finished in {:.1} s",
        if failed.is_empty() { "ok" } else { "FAILED" },
        cases.len() - failed.len(),
        failed.len(),
        begun.elapsed().as_secs_f64(),
    );
    for (name, reason) in &failed {
        say!("  FAIL {name}: {reason}");
    }
    if !failed.is_empty() || options.keep {
        say!("captures are in interop/kernel/ of the target folder");
    }
    Ok(failed.is_empty())
}

/// Sets both sides up and lets them talk.
fn run_case(case: &Case, number: u32, provider: &CryptoProvider, guest: &mut Guest) -> Result<(), String> {
    let algorithms = Algorithms::new(case.protocol, case.suite, provider)?;
    let direction = |spi: u32| (spi, Keys::new(&algorithms, spi.into()));
    let (to_kernel, to_us) = (direction(0x1000 + number * 2), direction(0x1001 + number * 2));
    let setup = Setup { case, algorithms, to_kernel, to_us };
    setup.install(guest)?;
    let mut talk = Conversation::new(guest, case, sas::pair(&setup, provider)?)?;
    let outcome = (case.act)(&mut talk);
    match (outcome, talk.counted_as_expected()) {
        (Ok(()), counted) => counted,
        (Err(reason), Ok(())) => Err(reason),
        (Err(reason), Err(counted)) => Err(format!("{reason}; {counted}")),
    }
}
