//! A real Linux kernel as an ordinary process: User-Mode Linux, with a console that takes commands and an Ethernet wire.
//!
//! The guest's root is the host's, read-only; it needs neither privileges nor an image. Both channels are pairs of
//! sockets that the guest inherits as its first two file descriptors: a datagram is an Ethernet frame.

use core::time::Duration;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use crate::process;

/// The guest's program.
pub(crate) const PROGRAM: &str = "/usr/bin/linux.uml";

/// How long the guest may take to boot on a loaded machine.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// How long a command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// How long the guest may take for its next packet.
const PACKET_LIMIT: Duration = Duration::from_secs(10);
/// Process 1 of the guest.
const INIT: &str = include_str!("init.sh");

/// Octets in front of the packet in an Ethernet frame: two addresses and the type.
const ETHERNET: usize = 14;
const FROM_US: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// A running guest; dropping it halts it.
#[derive(Debug)]
pub(crate) struct Guest {
    child: Child,
    console: UnixStream,
    /// What has come over the console and is not a whole line yet.
    pending: Vec<u8>,
    wire: UnixDatagram,
    /// Every frame since [`Guest::take_frames`].
    frames: Vec<Frame>,
    begun: Instant,
    /// What the guest says it is.
    pub(crate) release: String,
}

/// A frame on the wire.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Since the guest was started.
    pub(crate) at: Duration,
    /// From the Ethernet header on.
    pub(crate) octets: Vec<u8>,
}

impl Guest {
    /// Boots it; what it needs of files is put into `dir`, which must not lie in a folder that the guest mounts over.
    pub(crate) fn boot(dir: &Path) -> Result<Self, String> {
        let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
        let init = dir.join("init");
        fs::write(&init, INIT)
            .and_then(|()| fs::set_permissions(&init, fs::Permissions::from_mode(0o755)))
            .map_err(|error| failed("the guest's first program cannot be written", error))?;
        let (wire, their_wire) = UnixDatagram::pair().map_err(|error| failed("no sockets", error))?;
        let (console, their_console) = UnixStream::pair().map_err(|error| failed("no sockets", error))?;
        let log = File::create(dir.join("guest.log")).map_err(|error| failed("no log", error))?;
        let child = Command::new(PROGRAM)
            .args(["mem=192M", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
            .arg(format!("init={}", init.display()))
            .args(["con=null", "con0=fd:1,fd:1", "vec0:transport=fd,fd=0,vec=0"])
            // It keeps a folder there, and panics when it cannot.
            .env("HOME", dir)
            .stdin(OwnedFd::from(their_wire))
            .stdout(OwnedFd::from(their_console))
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(|error| failed(PROGRAM, error))?;
        let begun = Instant::now();
        let (pending, frames, release) = (Vec::new(), Vec::new(), String::new());
        let mut guest = Guest { child, console, pending, wire, frames, begun, release };
        let (_, mark) = guest.read_until("@@READY", BOOT_LIMIT)?;
        guest.release = mark.trim_start_matches("@@READY").trim().to_owned();
        Ok(guest)
    }

    /// How long ago it was started.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Runs shell commands inside and hands back what they write, or why they failed.
    pub(crate) fn run(&mut self, commands: &str) -> Result<String, String> {
        self.console
            .write_all(format!("{commands}\n@@RUN\n").as_bytes())
            .map_err(|error| format!("the guest's console: {error}"))?;
        let (output, mark) = self.read_until("@@DONE", COMMAND_LIMIT)?;
        match mark.trim_start_matches("@@DONE").trim() {
            "0" => Ok(output),
            status => Err(format!("in the guest, with status {status}: {commands}\n{output}")),
        }
    }

    /// Reads lines until one that begins with `mark`.
    fn read_until(&mut self, mark: &str, limit: Duration) -> Result<(String, String), String> {
        let end = Instant::now() + limit;
        let mut output = String::new();
        loop {
            while let Some(length) = self.pending.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=length).collect();
                let line = String::from_utf8_lossy(&line).replace('\r', "");
                if line.starts_with(mark) {
                    return Ok((output, line));
                }
                output.push_str(&line);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("the guest does not come to {mark}: {output}"));
            }
            let mut octets = [0; 4096];
            let read =
                self.console.set_read_timeout(Some(left)).and_then(|()| self.console.read(&mut octets));
            match read {
                Ok(0) => return Err(format!("the guest has ended: {output}")),
                Ok(length) => self.pending.extend_from_slice(&octets[..length]),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(format!("the guest's console: {error}: {output}")),
            }
        }
    }

    /// Sends an IP packet.
    pub(crate) fn send(&mut self, packet: &[u8]) -> Result<(), String> {
        let kind = if packet.first().is_some_and(|first| first >> 4 == 6) { IPV6 } else { IPV4 };
        let frame = [&FROM_US[..], &kind, packet].concat();
        self.wire.send(&frame).map_err(|error| format!("the guest's wire: {error}"))?;
        self.frames.push(Frame { at: self.age(), octets: frame });
        Ok(())
    }

    /// Waits for an IP packet that is `wanted`; others are passed over.
    pub(crate) fn receive(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, String> {
        let end = Instant::now() + PACKET_LIMIT;
        let mut octets = [0; 65_536];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("the kernel does not answer within {} s", PACKET_LIMIT.as_secs()));
            }
            let read = self.wire.set_read_timeout(Some(left)).and_then(|()| self.wire.recv(&mut octets));
            let length = match read {
                Ok(length) => length,
                Err(error) if is_timeout(&error) => continue,
                Err(error) => return Err(format!("the guest's wire: {error}")),
            };
            self.frames.push(Frame { at: self.age(), octets: octets[..length].to_vec() });
            let frame = &octets[..length];
            let Some((ethernet, packet)) = frame.split_at_checked(ETHERNET) else { continue };
            if (ethernet.ends_with(&IPV4) || ethernet.ends_with(&IPV6)) && wanted(packet) {
                return Ok(packet.to_vec());
            }
        }
    }

    /// What went over the wire since the last time.
    pub(crate) fn take_frames(&mut self) -> Vec<Frame> {
        core::mem::take(&mut self.frames)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let told = self.console.write_all(b"@@HALT\n").is_ok();
        if !told || !matches!(process::wait(&mut self.child, Duration::from_secs(10)), Ok(Some(_))) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
