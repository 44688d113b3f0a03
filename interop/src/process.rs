//! Child processes: run to the end with their output, wait with a deadline, signal, look for what is missing.

use core::time::Duration;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Instant;

/// How often a condition outside this process is looked at again.
pub(crate) const POLL: Duration = Duration::from_millis(25);

/// Runs `command` to its end and hands back what it wrote, or why it failed.
pub(crate) fn checked(command: &mut Command) -> Result<String, String> {
    let shown = shown(command);
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| format!("{shown} does not start: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{shown}: {}\n{}{}", output.status, stdout, stderr))
}

/// The command as one would type it, without its environment.
pub(crate) fn shown(command: &Command) -> String {
    let words = core::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Waits for `child` until `limit` is over; `None` when it still runs then.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>, String> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Sends the signal `name` to a process this program started.
pub(crate) fn signal(pid: u32, name: &str) {
    let _ = checked(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]));
}

/// Ends `child` with SIGTERM, and with SIGKILL when it does not follow.
pub(crate) fn stop(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        signal(child.id(), "TERM");
        if !matches!(wait(child, Duration::from_secs(10)), Ok(Some(_))) {
            let _ = child.kill();
        }
    }
    let _ = child.wait();
}

/// The last `lines` lines of a file, indented; empty when there is no such file.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let Ok(octets) = fs::read(path) else { return String::new() };
    let text = String::from_utf8_lossy(&octets);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| format!("    {line}\n")).collect()
}

/// The packages that are missing, of those that stand beside a file that tells whether they are there.
pub(crate) fn missing_packages(needed: &[(&str, &'static str)]) -> Vec<&'static str> {
    let there = |file: &str| match Path::new(file).is_absolute() {
        true => Path::new(file).exists(),
        false => ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(file).exists()),
    };
    needed.iter().filter(|(file, _)| !there(file)).map(|&(_, package)| package).collect()
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1))
        .is_some_and(|effective| effective == "0")
}
