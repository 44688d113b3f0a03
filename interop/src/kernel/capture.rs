//! The frames of a case as a pcap.

use std::fs::{self, File};
use std::path::Path;

use pcap_file::pcap::{PcapPacket, PcapWriter};

use super::guest::Frame;

/// Writes `name`.pcap into the folder.
pub(crate) fn write(folder: &Path, name: &str, frames: &[Frame]) -> Result<(), String> {
    let path = folder.join(format!("{name}.pcap"));
    let failed = |reason: &dyn core::fmt::Display| format!("{}: {reason}", path.display());
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let file = File::create(&path).map_err(|error| failed(&error))?;
    let mut writer = PcapWriter::new(file).map_err(|error| failed(&error))?;
    for Frame { at, octets } in frames {
        let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        writer.write_packet(&PcapPacket::new(*at, length, octets)).map_err(|error| failed(&error))?;
    }
    Ok(())
}
