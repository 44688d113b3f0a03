//! Prints every IKE, ESP, AH and NAT traversal packet of a capture, over UDP and TCP, decrypted where keys are given.
//!
//! ```text
//! inspect tunnel.pcapng --ike-keys ikev2_decryption_table --esp-keys esp_sa
//! inspect capture.pcap --json | jq .
//! ```
//!
//! Exit code 0 when everything parsed, 1 when something did not, 2 when the files could not be read.

extern crate alloc;

mod capture;
mod dissect;
mod keys;
mod link;
mod show;
mod stream;
mod tcp;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::dissect::{Dissector, Packet, Ports};
use crate::keys::KeyTables;

const AFTER_HELP: &str = "\
Exit codes:
  0  everything parsed, and decrypted where there are keys
  1  something did not: its line says what and at which octet
  2  the arguments are wrong, or a file cannot be read

Examples:
  inspect capture.pcapng
  inspect capture.pcap --brief | grep IKE_AUTH
  inspect tunnel.pcapng --ike-keys ikev2_decryption_table --esp-keys esp_sa
  inspect capture.pcap --json | jq 'select(.error)'";

/// Prints the IKE, ESP, AH, IPComp and NAT traversal packets of a capture as trees, decrypted where keys are given.
///
/// Fragments of IP are put together, and TCP connections followed that carry IKE and ESP (RFC 9329): their messages stand
/// at the frame in which their last octets came, and where octets of a stream are missing, that is said once.
///
/// Link types: Ethernet with VLAN tags, raw IP, Linux cooked captures, BSD loopback. The key tables are those of
/// Wireshark's configuration folder, which strongSwan's save-keys plugin and this project's programs write too.
#[derive(Parser)]
#[command(name = "inspect", version, after_help = AFTER_HELP)]
struct Arguments {
    /// A capture, pcap or pcapng.
    file: PathBuf,
    /// Keys of IKE SAs: Wireshark's table `ikev2_decryption_table`.
    #[arg(long, value_name = "TABLE")]
    ike_keys: Option<PathBuf>,
    /// Keys of ESP SAs: Wireshark's table `esp_sa`.
    #[arg(long, value_name = "TABLE")]
    esp_keys: Option<PathBuf>,
    /// UDP ports that carry IKE; may be given more than once. On other ports IKEv2 is known by its header.
    #[arg(long, value_name = "PORT", default_values_t = [500])]
    ike_port: Vec<u16>,
    /// Ports of UDP and TCP that carry IKE behind the marker, and ESP; may be given more than once. Other ports of UDP are
    /// taken in where IKEv2 stands behind the marker, or ESP with an SPI that has a key, and other ports of TCP where the
    /// connection begins with IKETCP (RFC 9329).
    #[arg(long, value_name = "PORT", default_values_t = [4500])]
    encap_port: Vec<u16>,
    /// One JSON object a packet, each on a line of its own.
    #[arg(long)]
    json: bool,
    /// One line a packet, without its tree.
    #[arg(long, conflicts_with = "json")]
    brief: bool,
    /// Octet strings whole, instead of their first octets.
    #[arg(long)]
    whole: bool,
    /// When to colour: auto is on a terminal, unless NO_COLOR is set.
    #[arg(long, value_enum, default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    fn wanted(self) -> bool {
        match self {
            Self::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        // Whoever reads has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("inspect: {failure}");
            ExitCode::from(2)
        }
    }
}

enum Failure {
    Input(String),
    Output(io::Error),
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Input(what) => f.write_str(what),
            Self::Output(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Whether everything parsed.
fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
    };
    let mut keys = KeyTables::new();
    if let Some(path) = &arguments.ike_keys {
        keys.read_ike(&read(path)?).map_err(|what| Failure::Input(format!("{}: {what}", path.display())))?;
    }
    if let Some(path) = &arguments.esp_keys {
        keys.read_esp(&read(path)?).map_err(|what| Failure::Input(format!("{}: {what}", path.display())))?;
    }
    let file = std::fs::File::open(&arguments.file)
        .map_err(|error| Failure::Input(format!("{}: {error}", arguments.file.display())))?;
    let frames = capture::frames(io::BufReader::new(file))
        .map_err(|error| Failure::Input(format!("{}: {error}", arguments.file.display())))?;

    let ports = Ports { ike: arguments.ike_port.clone(), encap: arguments.encap_port.clone() };
    let mut dissector = Dissector::new(ports, keys);
    let mut out = BufWriter::new(io::stdout().lock());
    let style =
        show::Style { color: arguments.color.wanted(), brief: arguments.brief, whole: arguments.whole };
    let mut all_parsed = true;
    let mut show = |packet: &Packet| -> io::Result<()> {
        all_parsed &= packet.error.is_none();
        if arguments.json {
            serde_json::to_writer(&mut out, &show::json(packet)).map_err(io::Error::from)?;
            out.write_all(b"\n")
        } else {
            show::text(&mut out, packet, style)
        }
    };
    for frame in frames {
        // A capture that breaks off is shown up to there.
        match frame {
            Ok(frame) => dissector.packets(&frame).iter().try_for_each(&mut show)?,
            Err(error) => show(&Packet::broken_capture(&error))?,
        }
    }
    dissector.finish().iter().try_for_each(&mut show)?;
    out.flush()?;
    Ok(all_parsed)
}
