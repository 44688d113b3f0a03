//! What `--capture` writes: the datagrams as a pcapng, and the keys in Wireshark's two tables.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ipsec::ike::KeyLogLine;
use ipsec::sa::Instant;
use testkit::capture::Capture;
use testkit::keylog::KeyLog;

use crate::Addresses;

const FILE: &str = "tunnel.pcapng";

/// A capture and its keys. Both gateways write into it; each datagram is written where it is sent.
pub(crate) struct Recording {
    capture: Capture<BufWriter<File>>,
    keys: KeyLog,
    dir: PathBuf,
    /// The first thing that went wrong.
    failed: std::sync::Mutex<Option<io::Error>>,
}

impl Recording {
    pub(crate) fn create(dir: &Path) -> Result<Self, String> {
        let explain = |error: io::Error| {
            format!("--capture {}: {error}\nName a directory that can be made or written to.", dir.display())
        };
        fs::create_dir_all(dir).map_err(explain)?;
        // A clock before 1970 only makes odd times in the capture.
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            capture: Capture::create(dir.join(FILE)).map_err(explain)?.with_epoch(epoch),
            keys: KeyLog::create(dir).map_err(explain)?,
            dir: dir.to_owned(),
            failed: std::sync::Mutex::new(None),
        })
    }

    pub(crate) fn datagram(&self, at: Instant, path: &ipsec::ike::Path, data: &[u8]) {
        self.note(self.capture.record(at, path.local, path.remote, 0, data));
    }

    pub(crate) fn keys(&self, line: &KeyLogLine) {
        self.note(match line {
            KeyLogLine::Ikev2(line) => self.keys.ikev2(line),
            KeyLogLine::Esp(line) => self.keys.esp(line),
        });
    }

    /// Puts everything on disk; tells of the first error there was.
    pub(crate) fn finish(&self) -> Result<(), String> {
        self.note(self.capture.flush());
        let failed = self.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match failed {
            None => Ok(()),
            Some(error) => Err(format!(
                "--capture {}: {error}\nThe capture is not complete. Is there room on the disk?",
                self.dir.display()
            )),
        }
    }

    fn note(&self, result: io::Result<()>) {
        if let Err(error) = result {
            let mut failed = self.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            failed.get_or_insert(error);
        }
    }
}

/// How to read it: the ports are not the well-known ones, so Wireshark has to be told.
pub(crate) fn hint(dir: &Path, gateways: &[&Addresses]) -> String {
    let mut hints = String::new();
    for gateway in gateways {
        let ports = &gateway.ports;
        hints.push_str(&format!(" -d udp.port=={},isakmp -d udp.port=={},udpencap", ports.ike, ports.encap));
    }
    let dir = dir.display();
    format!(
        "\ncaptured in {dir}: {FILE}, ikev2_decryption_table and esp_sa; they hold the keys of this run\n\
         read it with Wireshark's tables from that directory:\n\
         WIRESHARK_CONFIG_DIR={dir} tshark -r {dir}/{FILE}{hints} -o esp.enable_encryption_decode:TRUE \
         -o esp.enable_authentication_check:TRUE -o esp.enable_null_encryption_decode_heuristic:FALSE"
    )
}
