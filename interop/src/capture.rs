//! tcpdump on the wire between the namespaces.

use core::time::Duration;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Instant;

use crate::netns;
use crate::process::{self, POLL};

/// The name of the capture in a case's folder.
pub(crate) const CAPTURE: &str = "outer.pcap";

/// A running capture; dropping it ends tcpdump, which leaves the file complete.
#[derive(Debug)]
pub(crate) struct Capture {
    child: Child,
}

impl Capture {
    /// Captures `interface` of the namespace `namespace` into [`CAPTURE`] in `dir`.
    pub(crate) fn start(namespace: &str, interface: &str, dir: &Path) -> Result<Self, String> {
        let messages = dir.join("tcpdump.out");
        let output = File::create(&messages).map_err(|error| error.to_string())?;
        let child = netns::inside(namespace, "tcpdump")
            .args(["--immediate-mode", "-Z", "root", "-n", "-U", "-s0", "-i", interface, "-w"])
            .arg(dir.join(CAPTURE))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .map_err(|error| format!("tcpdump does not start: {error}"))?;
        let capture = Capture { child };
        let end = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(&messages).unwrap_or_default().contains("listening on") {
            if Instant::now() >= end {
                return Err("tcpdump does not begin to capture".into());
            }
            thread::sleep(POLL);
        }
        Ok(capture)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        process::stop(&mut self.child);
    }
}
