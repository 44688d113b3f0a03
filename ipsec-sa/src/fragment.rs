//! Cutting IP packets into fragments (RFC 791 §3.2, RFC 8200 §4.5), before encapsulation (RFC 4301 §7) or of what was
//! encapsulated.

use core::ops::Range;

use ipsec_wire::IpProtocol;
use ipsec_wire::ip::{Ipv4Option, Ipv4Options, Ipv4View, Ipv6View, internet_checksum};
use thiserror::Error;

/// Octets of the longest header of a fragment: IPv4 with options, or IPv6 with what extension headers there are.
const MAX_HEADER: usize = 256;

/// Why a packet is not cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FragmentError {
    /// The packet's sender does not want it cut: an ICMP message is due instead (RFC 4301 §8.2).
    #[error("packet must not be fragmented")]
    DontFragment,
    /// No IP packet, or one whose headers cannot be repeated in each fragment.
    #[error("packet is malformed")]
    Malformed,
    /// Not even eight octets fit behind the header.
    #[error("no room for a fragment")]
    NoRoom,
    /// The buffer is shorter than the fragment.
    #[error("buffer is shorter than the fragment")]
    Buffer,
}

/// The fragments of one packet, written out one after the other.
#[derive(Clone, Debug)]
pub struct Fragments<'a> {
    packet: &'a [u8],
    /// What every fragment begins with: for IPv6 with the fragment header.
    first: [u8; MAX_HEADER],
    first_len: usize,
    /// The same without the options that stay in the first fragment.
    later: [u8; MAX_HEADER],
    later_len: usize,
    is_ipv4: bool,
    body: Range<usize>,
    /// Of the body, what was written.
    done: usize,
    finished: bool,
    /// Offset of a packet that is a fragment itself, and whether there are more behind it.
    base: u16,
    more: bool,
    mtu: usize,
}

impl<'a> Fragments<'a> {
    /// The fragments of an IPv4 packet of at most `mtu` octets each; a single one where the packet fits.
    ///
    /// # Errors
    /// [`FragmentError`]; [`FragmentError::DontFragment`] for a packet with DF that does not fit.
    pub fn ipv4(packet: &'a [u8], mtu: usize) -> Result<Self, FragmentError> {
        let view = Ipv4View::parse(packet).map_err(|_| FragmentError::Malformed)?;
        let packet = view.packet();
        if view.df() && packet.len() > mtu {
            return Err(FragmentError::DontFragment);
        }
        let (mut first, mut later) = ([0; MAX_HEADER], [0; MAX_HEADER]);
        let first_len = copy(&mut first, 0, view.header())?;
        let mut later_len = copy(&mut later, 0, view.header().get(..20).ok_or(FragmentError::Malformed)?)?;
        for option in Ipv4Options::new(view.options()) {
            if option.is_copied() {
                let Ipv4Option { kind, data } = option;
                later_len = copy(&mut later, later_len, &[kind, data.len() as u8 + 2])?;
                later_len = copy(&mut later, later_len, data)?;
            }
        }
        later_len = later_len.next_multiple_of(4);
        if let Some(octet) = later.first_mut() {
            *octet = 0x40 | (later_len / 4) as u8;
        }
        Ok(Self {
            packet,
            first,
            first_len,
            later,
            later_len,
            is_ipv4: true,
            body: view.header_len()..packet.len(),
            done: 0,
            finished: false,
            base: view.fragment_offset(),
            more: view.mf(),
            mtu,
        })
    }

    /// The fragments of an IPv6 packet, which its source alone may make; `id` must be fresh between its addresses.
    ///
    /// # Errors
    /// [`FragmentError`]; a packet that is a fragment already is [`FragmentError::Malformed`].
    pub fn ipv6(packet: &'a [u8], mtu: usize, id: u32) -> Result<Self, FragmentError> {
        let view = Ipv6View::parse(packet).map_err(|_| FragmentError::Malformed)?;
        let packet = view.packet();
        if view.fragment().is_some() {
            return Err(FragmentError::Malformed);
        }
        // Routers on the way look at all up to the routing header, or at the hop-by-hop options alone.
        let (mut at, mut next_at, mut next) = (40, 6, view.next_header());
        for header in view.extension_headers() {
            if matches!(header.protocol, IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING) {
                (at, next_at) = (header.offset + header.octets.len(), header.offset);
                next = header.next_header;
            }
        }
        let mut first = [0; MAX_HEADER];
        let mut first_len = copy(&mut first, 0, packet.get(..at).ok_or(FragmentError::Malformed)?)?;
        if let Some(octet) = first.get_mut(next_at) {
            *octet = IpProtocol::FRAGMENT.0;
        }
        first_len = copy(&mut first, first_len, &[next.0, 0, 0, 0])?;
        first_len = copy(&mut first, first_len, &id.to_be_bytes())?;
        Ok(Self {
            packet,
            first,
            first_len,
            later: first,
            later_len: first_len,
            is_ipv4: false,
            body: at..packet.len(),
            done: 0,
            finished: false,
            base: 0,
            more: false,
            mtu,
        })
    }

    /// Writes the next fragment to the front of `out` and returns its length; `None` after the last.
    ///
    /// # Errors
    /// [`FragmentError::NoRoom`] or [`FragmentError::Buffer`].
    pub fn write_next(&mut self, out: &mut [u8]) -> Result<Option<usize>, FragmentError> {
        if self.finished {
            return Ok(None);
        }
        if self.done == 0 && self.packet.len() <= self.mtu {
            copy(out, 0, self.packet)?;
            self.finished = true;
            return Ok(Some(self.packet.len()));
        }
        let left = self.body.len() - self.done;
        let (header, header_len) =
            if self.done == 0 { (&self.first, self.first_len) } else { (&self.later, self.later_len) };
        let room = self.mtu.checked_sub(header_len).ok_or(FragmentError::NoRoom)?;
        let (len, more) = if left <= room { (left, self.more) } else { (room & !7, true) };
        if len == 0 {
            return Err(FragmentError::NoRoom);
        }
        let from = self.body.start + self.done;
        let total = copy(out, 0, header.get(..header_len).ok_or(FragmentError::Malformed)?)?;
        let body = self.packet.get(from..from + len).ok_or(FragmentError::Malformed)?;
        let total = copy(out, total, body)?;
        let offset = usize::from(self.base) + self.done;
        let offset = u16::try_from(offset).map_err(|_| FragmentError::Malformed)?;
        let header = out.get_mut(..header_len).ok_or(FragmentError::Buffer)?;
        if self.is_ipv4 {
            put(header, 2, total as u16);
            put(header, 6, offset >> 3 | if more { 0x2000 } else { 0 });
            put(header, 10, 0);
            let checksum = internet_checksum(&[header]);
            put(header, 10, checksum);
        } else {
            put(header, 4, (total - 40) as u16);
            put(header, header_len - 6, offset | u16::from(more));
        }
        self.done += len;
        self.finished = len == left;
        Ok(Some(total))
    }
}

fn put(out: &mut [u8], at: usize, value: u16) {
    if let Some(field) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *field = value.to_be_bytes();
    }
}

fn copy(out: &mut [u8], at: usize, octets: &[u8]) -> Result<usize, FragmentError> {
    let end = at + octets.len();
    out.get_mut(at..end).ok_or(FragmentError::Buffer)?.copy_from_slice(octets);
    Ok(end)
}
