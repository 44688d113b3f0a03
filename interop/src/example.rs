//! The tunnel example under tshark's eyes: everything in its capture must decrypt and check with its key tables.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::oracle::{Dissection, Reach};
use crate::scenario::ensure;

/// What the example moves through its tunnel.
const MEGABYTES: &str = "1";

/// Runs the example with a capture, and lets tshark read that.
pub(crate) fn run(dir: &Path) -> Result<(), String> {
    let captures = dir.join("capture");
    fs::create_dir_all(&captures).map_err(|error| error.to_string())?;
    let log = File::create(dir.join("example.log")).map_err(|error| error.to_string())?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["run", "--release", "-p", "examples", "--bin", "tunnel", "--"])
        .args(["--megabytes", MEGABYTES, "--capture"])
        .arg(&captures)
        .stdin(Stdio::null())
        .stderr(log.try_clone().map_err(|error| error.to_string())?)
        .stdout(log)
        .status()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    ensure(status.success(), || format!("the example fails: {status}"))?;
    let capture = capture_in(&captures)?;
    let found = Dissection::of(&capture, &captures, "tcp")?;
    say!("  tshark, over the example's capture: {found:?}");
    found.ensure_clean(Reach::ALL)?;
    let wants = |holds: bool, what: &str| ensure(holds, || format!("tshark finds no {what}: {found:?}"));
    wants(found.authentications >= 2, "two readable AUTH payloads")?;
    wants(found.identities.len() >= 2, "two readable identities")?;
    // A pair of SPIs at first, and two more after each rekey of the Child SA.
    wants(found.spis.len() >= 6, "six Child SA directions")?;
    wants(found.esp > 500, "500 packets of a transfer of a megabyte")
}

/// The one capture in the folder.
fn capture_in(folder: &Path) -> Result<PathBuf, String> {
    let found: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcapng"))
        .collect();
    match &*found {
        [capture] => Ok(capture.clone()),
        others => Err(format!("the example left {} captures", others.len())),
    }
}
