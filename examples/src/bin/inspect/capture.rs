//! Frames of a capture file, pcap and pcapng alike.

use core::time::Duration;
use std::io::{self, BufRead};

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

/// The first octets of a pcapng file.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The same of a pcap file, whose time is in microseconds or nanoseconds, in either order of octets.
const PCAP: [u32; 2] = [0xa1b2_c3d4, 0xa1b2_3c4d];

/// What was captured of a frame.
pub(crate) struct Frame {
    /// Which one, from 1.
    pub(crate) number: usize,
    pub(crate) time: Duration,
    pub(crate) link: DataLink,
    pub(crate) octets: Vec<u8>,
    /// Octets that were on the wire.
    pub(crate) wire_len: usize,
}

type Frames = Box<dyn Iterator<Item = Result<Frame, String>>>;

/// The frames of a file; the last item is an error where the file breaks off.
pub(crate) fn frames(mut file: impl BufRead + 'static) -> io::Result<Frames> {
    let invalid = |error: pcap_file::PcapError| io::Error::new(io::ErrorKind::InvalidData, error);
    let start = file.fill_buf()?;
    let known = start.starts_with(&PCAPNG)
        || start.first_chunk().is_some_and(|magic| {
            PCAP.contains(&u32::from_be_bytes(*magic)) || PCAP.contains(&u32::from_le_bytes(*magic))
        });
    if !known {
        let what = if start.is_empty() { "the file is empty" } else { "neither pcap nor pcapng" };
        let what = format!("{what}; take a capture as tcpdump -w or Wireshark write it");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    if start.starts_with(&PCAPNG) {
        Ok(Box::new(of_pcapng(PcapNgReader::new(file).map_err(invalid)?)))
    } else {
        Ok(Box::new(of_pcap(PcapReader::new(file).map_err(invalid)?)))
    }
}

fn of_pcap(mut reader: PcapReader<impl BufRead>) -> impl Iterator<Item = Result<Frame, String>> {
    // The upper bits say how long checksums are.
    let link = DataLink::from(u32::from(reader.header().datalink) & 0x0fff_ffff);
    let (mut number, mut broken) = (0, false);
    core::iter::from_fn(move || {
        if broken {
            return None;
        }
        number += 1;
        // Raw packets: the reader refuses what claims to be longer than the snap length.
        Some(match reader.next_raw_packet()? {
            Ok(packet) => Ok(Frame {
                number,
                time: Duration::new(
                    packet.ts_sec.into(),
                    packet.ts_frac.saturating_mul(1000) % 1_000_000_000,
                ),
                link,
                octets: packet.data.into_owned(),
                wire_len: usize::try_from(packet.orig_len).unwrap_or(usize::MAX),
            }),
            Err(error) => {
                broken = true;
                Err(format!("frame {number}: {error}"))
            }
        })
    })
}

fn of_pcapng(mut reader: PcapNgReader<impl BufRead>) -> impl Iterator<Item = Result<Frame, String>> {
    let (mut number, mut broken) = (0, false);
    core::iter::from_fn(move || {
        loop {
            if broken {
                return None;
            }
            // What the block borrows must be let go before the interfaces are asked.
            let (interface, time, octets, wire_len) = match reader.next_block()? {
                Ok(Block::EnhancedPacket(block)) => {
                    (block.interface_id, block.timestamp, block.data.into_owned(), block.original_len)
                }
                Ok(Block::SimplePacket(block)) => {
                    (0, Duration::ZERO, block.data.into_owned(), block.original_len)
                }
                Ok(_) => continue,
                Err(error) => {
                    broken = true;
                    return Some(Err(format!("frame {}: {error}", number + 1)));
                }
            };
            number += 1;
            let index = usize::try_from(interface).unwrap_or(usize::MAX);
            let link = reader.interfaces().get(index).map_or(DataLink::NULL, |interface| interface.linktype);
            let wire_len = usize::try_from(wire_len).unwrap_or(usize::MAX);
            return Some(Ok(Frame { number, time, link, octets, wire_len }));
        }
    })
}
