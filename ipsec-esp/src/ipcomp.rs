//! IPComp (RFC 3173) with DEFLATE (RFC 2394): payloads made smaller before ESP takes them.
//!
//! [`Deflate`] and [`Inflate`] hold the state of the algorithm, some hundred KiB that are allocated once; each packet is
//! compressed on its own (RFC 3173 §2), so that one of each serves all SAs of a thread. What comes out of
//! [`EspInbound::expand`] is never longer than the room that the caller gives.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use ipsec_sa::Mode;
use ipsec_sa::tunnel::{Decapsulated, apply_ecn, inner_len};
use ipsec_wire::ip::{IpsecPlace, Seek};
use ipsec_wire::{IpCompView, IpProtocol};
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::headers::translate_checksum;
use crate::{EspInbound, EspOutbound, OpenError, OpenedPacket, SealError};

/// The CPI that stands for DEFLATE wherever none was negotiated (RFC 2394 §4, RFC 3173 §3.3).
pub const CPI_DEFLATE: u16 = 2;

/// Below this DEFLATE is not tried (RFC 2394 §3).
const THRESHOLD: usize = 90;
/// The longest payload of an IP packet, and so the longest that is compressed.
const MAX_PAYLOAD: usize = 65535;

/// What compresses: one for all SAs of a thread. It remembers octets of the last packet, in the clear, until the next.
pub struct Deflate {
    state: Box<CompressorOxide>,
    /// Header and compressed data.
    octets: Vec<u8>,
}

impl Deflate {
    /// A compressor with as much effort as zlib's `level` (1..=9; 1 is fastest).
    #[must_use]
    pub fn new(level: u8) -> Self {
        // No window size: no zlib header, as RFC 2394 §2 has it.
        let flags = create_comp_flags_from_zip_params(i32::from(level.clamp(1, 9)), 0, 0);
        Self { state: Box::new(CompressorOxide::new(flags)), octets: Vec::new() }
    }

    /// Header and compressed data, where that is shorter than `payload`.
    fn run(&mut self, payload: &[u8], next: IpProtocol, cpi: u16) -> Option<&[u8]> {
        if payload.len() > MAX_PAYLOAD {
            return None;
        }
        if self.octets.is_empty() {
            self.octets.resize(MAX_PAYLOAD, 0);
        }
        // Room for one octet less than the payload has: what does not fit does not pay (RFC 3173 §2.2).
        let out = self.octets.get_mut(..payload.len().checked_sub(1)?)?;
        let (header, data) = out.split_first_chunk_mut()?;
        *header = IpCompView::header(next, cpi);
        self.state.reset();
        let (status, _, len) = compress(&mut self.state, payload, data, TDEFLFlush::Finish);
        (status == TDEFLStatus::Done).then_some(())?;
        self.octets.get(..IpCompView::HEADER_LEN + len)
    }
}

impl Default for Deflate {
    fn default() -> Self {
        Self::new(6)
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").finish_non_exhaustive()
    }
}

/// The IPComp association of an outbound SA: its CPI, and whether compressing pays of late.
#[derive(Clone, Debug)]
pub(crate) struct Association {
    cpi: u16,
    /// Packets in a row that did not become smaller.
    failures: u8,
    /// Packets that are sent as they are before the next is tried.
    skip: u8,
    stats: IpCompStats,
}

/// What compression did for packets to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct IpCompStats {
    /// Packets that went compressed.
    pub compressed: u64,
    /// Octets that this saved, IPComp headers counted.
    pub saved: u64,
    /// Packets that would not have become smaller (RFC 3173 §2.2).
    pub incompressible: u64,
    /// Packets that were not tried: too short, of a kind that does not compress, or after others that did not.
    pub skipped: u64,
}

impl Association {
    pub(crate) const fn new(cpi: u16) -> Self {
        let stats = IpCompStats { compressed: 0, saved: 0, incompressible: 0, skipped: 0 };
        Self { cpi, failures: 0, skip: 0, stats }
    }

    /// The adaptive rule of RFC 3173 §2.2: from the fourth failure in a row on, twice as many packets are let by each
    /// time, up to 128; the first success ends that.
    fn compress<'a>(
        &mut self,
        deflate: &'a mut Deflate,
        payload: &[u8],
        next: IpProtocol,
    ) -> Option<&'a [u8]> {
        // What is encrypted, compressed, made of padding or nothing at all.
        let hopeless = matches!(
            next,
            IpProtocol::ESP | IpProtocol::IPCOMP | IpProtocol::AGGFRAG | IpProtocol::NO_NEXT_HEADER
        );
        if hopeless || payload.len() < THRESHOLD {
            self.stats.skipped += 1;
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            self.stats.skipped += 1;
            return None;
        }
        let compressed = deflate.run(payload, next, self.cpi);
        match compressed {
            Some(octets) => {
                self.failures = 0;
                self.stats.compressed += 1;
                self.stats.saved += (payload.len() - octets.len()) as u64;
            }
            None => {
                self.failures = self.failures.saturating_add(1);
                self.stats.incompressible += 1;
                let doublings = u32::from(self.failures.saturating_sub(4));
                self.skip = if self.failures < 4 { 0 } else { 1 << doublings.min(7) };
            }
        }
        compressed
    }
}

/// What expands: one for all SAs of a thread.
pub struct Inflate {
    state: Box<DecompressorOxide>,
}

impl Inflate {
    /// A decompressor.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Box::default() }
    }

    /// Expands `data`, which follows an IPComp header, into `out` and says how much it is. Octets behind the end of the
    /// compressed data are not looked at.
    ///
    /// # Errors
    /// [`OpenError::Expansion`] for more than `out` holds, [`OpenError::Compression`] for what is not DEFLATE.
    pub fn expand(&mut self, data: &[u8], out: &mut [u8]) -> Result<usize, OpenError> {
        self.state.init();
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        match decompress(&mut self.state, data, out, 0, flags) {
            (TINFLStatus::Done, _, len) => Ok(len),
            (TINFLStatus::HasMoreOutput, ..) => Err(OpenError::Expansion),
            _ => Err(OpenError::Compression),
        }
    }
}

impl Default for Inflate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflate").finish_non_exhaustive()
    }
}

impl EspOutbound {
    /// [`EspOutbound::seal_in_place`] of the payload compressed, where IPComp was negotiated and pays
    /// (RFC 3173 §2.2).
    ///
    /// # Errors
    /// [`SealError`]; nothing is spent or changed for a packet that does not fit as it is.
    pub fn seal_compressed(
        &mut self,
        deflate: &mut Deflate,
        buf: &mut [u8],
        payload: Range<usize>,
        next: IpProtocol,
    ) -> Result<Range<usize>, SealError> {
        let inner = buf.get(payload.clone()).ok_or(SealError::Range)?;
        // The outer header speaks of the packet as it was.
        let fields = self.transform().fields(next, inner).inspect_err(|_| self.count_refused())?;
        let Some(octets) = self.compressed(deflate, inner, next) else {
            return self.seal_in_place(buf, payload, next);
        };
        let shorter = payload.start..payload.start + octets.len();
        let seq = self.admit(buf, &shorter, IpProtocol::IPCOMP)?;
        buf.get_mut(shorter.clone()).ok_or(SealError::Range)?.copy_from_slice(octets);
        self.transform().seal_admitted(&seq, None, Some(fields), buf, shorter, IpProtocol::IPCOMP)
    }

    /// [`EspOutbound::seal_packet`] with the payload compressed, where IPComp was negotiated and pays. In transport mode
    /// that is what follows the packet's own headers, in tunnel mode the whole packet (RFC 3173 §2.1).
    ///
    /// # Errors
    /// As [`EspOutbound::seal_packet`].
    pub fn seal_packet_compressed(
        &mut self,
        deflate: &mut Deflate,
        buf: &mut [u8],
        ip: Range<usize>,
    ) -> Result<Range<usize>, SealError> {
        self.seal_whole(buf, ip, Some(deflate))
    }

    /// The payload as IPComp, where it was negotiated and pays.
    pub(crate) fn compressed<'a>(
        &mut self,
        deflate: &'a mut Deflate,
        payload: &[u8],
        next: IpProtocol,
    ) -> Option<&'a [u8]> {
        self.association_mut()?.compress(deflate, payload, next)
    }

    /// What compression did; `None` where IPComp was not negotiated.
    #[must_use]
    pub fn ipcomp_stats(&self) -> Option<&IpCompStats> {
        self.association().map(|association| &association.stats)
    }
}

impl EspInbound {
    /// Expands what [`EspInbound::open_in_place`] opened, if its next header is [`IpProtocol::IPCOMP`], into `out`:
    /// returns how long it is and what. In tunnel mode that is the inner packet without what follows it.
    ///
    /// # Errors
    /// [`OpenError::Compression`], [`OpenError::Expansion`], and in tunnel mode [`OpenError::NextHeader`] and
    /// [`OpenError::Inner`]; the packet was authentic.
    pub fn expand_payload(
        &mut self,
        inflate: &mut Inflate,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, IpProtocol), OpenError> {
        let expanded = self.expanded(inflate, payload, out);
        expanded.inspect_err(|error| self.count(*error))
    }

    fn expanded(
        &self,
        inflate: &mut Inflate,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, IpProtocol), OpenError> {
        let view = IpCompView::parse(payload).map_err(|_| OpenError::Compression)?;
        if self.ipcomp_cpi().is_none_or(|cpi| view.cpi != cpi && view.cpi != CPI_DEFLATE) {
            return Err(OpenError::Compression);
        }
        let len = inflate.expand(view.payload, out)?;
        if self.transform().mode() != Mode::Tunnel {
            return Ok((len, view.next_header));
        }
        match view.next_header {
            IpProtocol::IPV4 | IpProtocol::IPV6 => {
                let inner = out.get(..len).unwrap_or_default();
                let len = inner_len(view.next_header, inner).ok_or(OpenError::Inner)?;
                Ok((len, view.next_header))
            }
            _ => Err(OpenError::NextHeader),
        }
    }

    /// Expands what [`EspInbound::open_packet`] opened out of `packet`, if it is compressed
    /// ([`OpenedPacket::is_compressed`]), into a whole IP packet at the start of `out`.
    ///
    /// # Errors
    /// [`OpenError`] as [`EspInbound::expand_payload`], and [`OpenError::Congestion`]; the packet was authentic.
    pub fn expand(
        &mut self,
        inflate: &mut Inflate,
        packet: &[u8],
        opened: &OpenedPacket,
        out: &mut [u8],
    ) -> Result<OpenedPacket, OpenError> {
        let expanded = self.expand_whole(inflate, packet, opened, out);
        if expanded.as_ref().is_ok_and(|expanded| expanded.ecn_alarm) {
            self.count_ecn_alarm();
        }
        expanded.inspect_err(|error| self.count(*error))
    }

    fn expand_whole(
        &self,
        inflate: &mut Inflate,
        packet: &[u8],
        opened: &OpenedPacket,
        out: &mut [u8],
    ) -> Result<OpenedPacket, OpenError> {
        let compressed = packet.get(opened.packet.clone()).ok_or(OpenError::Compression)?;
        let mut result = OpenedPacket { packet: 0..0, compressed: false, ..opened.clone() };
        if self.transform().mode() == Mode::Tunnel {
            let (len, next) = self.expanded(inflate, compressed, out)?;
            result.next_header = next;
            result.packet = 0..len;
            let inner = out.get_mut(..len).ok_or(OpenError::Expansion)?;
            match apply_ecn(inner, opened.outer_ecn) {
                Decapsulated::Forward { alarm, .. } => result.ecn_alarm = alarm,
                Decapsulated::Drop => return Err(OpenError::Congestion),
            }
            return Ok(result);
        }
        let at = IpsecPlace::find(compressed, Seek::Upper)?;
        if at.next != IpProtocol::IPCOMP {
            return Err(OpenError::Compression);
        }
        let (headers, payload) = compressed.split_at_checked(at.headers).ok_or(OpenError::Compression)?;
        let (copy, rest) = out.split_at_mut_checked(at.headers).ok_or(OpenError::Expansion)?;
        let (len, next) = self.expanded(inflate, payload, rest)?;
        copy.copy_from_slice(headers);
        let total = at.headers + len;
        at.patch(copy, next, total).ok_or(OpenError::Expansion)?;
        result.packet = 0..total;
        if let (Mode::Transport, Some(original)) = (self.transform().mode(), self.rebuild().nat_original)
            && let Some(packet) = out.get_mut(..total)
        {
            translate_checksum(packet, (original.remote, original.local));
        }
        Ok(result)
    }
}
