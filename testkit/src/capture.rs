//! Captures of UDP datagrams as pcapng, with IP and UDP headers made up as a kernel would have sent them.

use alloc::borrow::Cow;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ipsec_sa::Instant;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapError};

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// Writes datagrams to a pcapng of raw IP packets (LINKTYPE_RAW). It may be shared between threads.
///
/// What has been recorded is on disk after [`Capture::flush`], or when the capture is dropped.
pub struct Capture<W: Write> {
    writer: Mutex<Inner<W>>,
    epoch: Duration,
}

struct Inner<W: Write> {
    pcapng: PcapNgWriter<W>,
    ip_id: u16,
}

impl<W: Write> core::fmt::Debug for Capture<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}

impl Capture<BufWriter<File>> {
    /// A capture in a file, which is overwritten.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(BufWriter::new(File::create(path)?))
    }
}

impl<W: Write> Capture<W> {
    /// A capture into a writer.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(writer: W) -> io::Result<Self> {
        let mut pcapng = PcapNgWriter::with_endianness(writer, Endianness::Little).map_err(io_error)?;
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::RAW,
            snaplen: 0,
            // Times are in nanoseconds, ten to the minus ninth.
            options: vec![InterfaceDescriptionOption::IfTsResol(9)],
        };
        pcapng.write_block(&interface.into_block()).map_err(io_error)?;
        Ok(Self { writer: Mutex::new(Inner { pcapng, ip_id: 0 }), epoch: Duration::ZERO })
    }

    /// Counts an [`Instant`]'s zero as this time since 1970 instead of 1970 itself.
    #[must_use]
    pub const fn with_epoch(mut self, epoch: Duration) -> Self {
        self.epoch = epoch;
        self
    }

    /// Records one datagram.
    ///
    /// # Errors
    /// The writer's, or [`io::ErrorKind::InvalidInput`] for addresses of two families and for what no UDP datagram can
    /// hold.
    pub fn record(
        &self,
        at: Instant,
        from: SocketAddr,
        to: SocketAddr,
        ecn: u8,
        payload: &[u8],
    ) -> io::Result<()> {
        let mut inner = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        inner.ip_id = inner.ip_id.wrapping_add(1);
        let packet = udp_packet(from, to, ecn, inner.ip_id, payload).ok_or(io::ErrorKind::InvalidInput)?;
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: self.epoch + Duration::from_micros(at.as_micros()),
            original_len: u32::try_from(packet.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
            data: Cow::Owned(packet),
            options: Vec::new(),
        };
        inner.pcapng.write_block(&block.into_block()).map_err(io_error)?;
        Ok(())
    }

    /// Hands everything on to the operating system.
    ///
    /// # Errors
    /// The writer's.
    pub fn flush(&self) -> io::Result<()> {
        let mut inner = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        inner.pcapng.get_mut().flush()
    }
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// An IP packet that holds a UDP datagram, with its checksums. `None` for addresses of two families and for a payload
/// that is too long.
#[must_use]
pub fn udp_packet(from: SocketAddr, to: SocketAddr, ecn: u8, ip_id: u16, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_len = u16::try_from(UDP_HEADER + payload.len()).ok()?;
    let mut packet = Vec::with_capacity(40 + usize::from(udp_len));
    let mut pseudo = Vec::with_capacity(40);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = udp_len.checked_add(20)?;
            packet.extend_from_slice(&[0x45, ecn & 3]);
            packet.extend_from_slice(&total.to_be_bytes());
            packet.extend_from_slice(&ip_id.to_be_bytes());
            // No fragmentation flags, a TTL of 64, the checksum still to come.
            packet.extend_from_slice(&[0, 0, 64, UDP, 0, 0]);
            packet.extend_from_slice(&source.octets());
            packet.extend_from_slice(&destination.octets());
            let sum = checksum(&[&packet]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            pseudo.extend_from_slice(&source.octets());
            pseudo.extend_from_slice(&destination.octets());
            pseudo.extend_from_slice(&[0, UDP]);
            pseudo.extend_from_slice(&udp_len.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            packet.extend_from_slice(&[0x60, (ecn & 3) << 4, 0, 0]);
            packet.extend_from_slice(&udp_len.to_be_bytes());
            packet.extend_from_slice(&[UDP, 64]);
            packet.extend_from_slice(&source.octets());
            packet.extend_from_slice(&destination.octets());
            pseudo.extend_from_slice(&source.octets());
            pseudo.extend_from_slice(&destination.octets());
            pseudo.extend_from_slice(&u32::from(udp_len).to_be_bytes());
            pseudo.extend_from_slice(&[0, 0, 0, UDP]);
        }
        _ => return None,
    }
    let mut udp = Vec::with_capacity(UDP_HEADER);
    udp.extend_from_slice(&from.port().to_be_bytes());
    udp.extend_from_slice(&to.port().to_be_bytes());
    udp.extend_from_slice(&udp_len.to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    // Zero would say that there is none (RFC 768).
    let sum = match checksum(&[&pseudo, &udp, payload]) {
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(&udp);
    packet.extend_from_slice(payload);
    Some(packet)
}

/// The Internet checksum (RFC 1071) over parts of which only the last may be of odd length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    fn v4(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 10, 0, host], port))
    }

    /// Written to a capture by hand, tshark 4.0 finds every checksum good (`ip.checksum.status == 1` and
    /// `udp.checksum.status == 1`).
    #[test]
    fn headers_and_checksums_are_such_as_wireshark_finds_good() {
        let packet = udp_packet(v4(1, 500), v4(2, 4500), 0, 1, b"abc").unwrap();
        assert_eq!(
            hex::encode(packet),
            "4500001f00010000401166b70a0a00010a0a0002".to_owned() + "01f41194000b13d7616263"
        );
        let (from, to) = ("[2001:db8::1]:500".parse().unwrap(), "[2001:db8::2]:4500".parse().unwrap());
        let packet = udp_packet(from, to, 3, 1, b"abcd").unwrap();
        assert_eq!(
            hex::encode(packet),
            "60300000000c114020010db800000000000000000000000120010db8000000000000000000000002".to_owned()
                + "01f41194000ccc1261626364"
        );
    }

    #[test]
    fn what_cannot_be_a_datagram_is_refused() {
        let v6 = "[2001:db8::1]:500".parse().unwrap();
        assert_eq!(udp_packet(v4(1, 1), v6, 0, 0, b""), None);
        assert!(udp_packet(v4(1, 1), v4(2, 1), 0, 0, &vec![0; 65_507]).is_some());
        assert_eq!(udp_packet(v4(1, 1), v4(2, 1), 0, 0, &vec![0; 65_508]), None);
        assert!(udp_packet(v6, v6, 0, 0, &vec![0; 65_527]).is_some());
        assert_eq!(udp_packet(v6, v6, 0, 0, &vec![0; 65_528]), None);
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_capture_reads_back() {
        let file = Shared::default();
        let capture = Capture::new(file.clone()).unwrap().with_epoch(Duration::from_secs(100));
        capture.record(Instant::from_micros(1_500_001), v4(1, 500), v4(2, 500), 1, b"one").unwrap();
        capture.record(Instant::from_secs(2), v4(2, 500), v4(1, 500), 0, b"two!").unwrap();
        capture.flush().unwrap();
        let octets = file.0.lock().unwrap().clone();
        let mut reader = PcapNgReader::new(&octets[..]).unwrap();
        let mut packets = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.unwrap().into_owned() {
                Block::InterfaceDescription(interface) => {
                    assert_eq!(interface.linktype, DataLink::RAW);
                    assert_eq!(interface.options, [InterfaceDescriptionOption::IfTsResol(9)]);
                }
                Block::EnhancedPacket(packet) => packets.push((packet.timestamp, packet.data.into_owned())),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0].0, Duration::from_micros(101_500_001));
        assert_eq!((packets[0].1[1], &packets[0].1[28..]), (1, &b"one"[..]));
        assert_eq!(&packets[1].1[28..], b"two!");
    }
}
