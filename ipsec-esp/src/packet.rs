//! Whole IP packets through an SA of any mode.
//!
//! In transport mode ESP goes between the packet's own headers, which keep their options and change in next header,
//! length and checksum alone. In BEET mode the packet's header gives way to one with the other addresses and the same
//! fields (RFC 7402 appendix B). In tunnel mode the whole packet goes inside.

use core::net::IpAddr;
use core::ops::Range;

use ipsec_sa::tunnel::{Decapsulated, Ecn, apply_ecn, inner_len};
use ipsec_sa::{Mode, NatOriginalAddresses, SaParams};
use ipsec_wire::ip::{IpsecPlace, Ipv4Header, Ipv6Header, Seek};
use ipsec_wire::{IpProtocol, IpView};

use crate::headers::{MAX_REPLACED, Replaced, translate_checksum};
#[cfg(feature = "ipcomp")]
use crate::ipcomp::Deflate;
#[cfg(not(feature = "ipcomp"))]
use crate::no_ipcomp::Deflate;
use crate::transform::Room;
use crate::{EspInbound, EspOutbound, OpenError, SaError, SealError};

/// The pseudo-header that carries IPv4 options in BEET mode (RFC 7402 appendix B.1.7).
const BEET_OPTIONS: IpProtocol = IpProtocol(94);
const UDP_LEN: usize = 8;

/// A packet that was opened as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenedPacket {
    /// Where the IP packet without ESP lies. What ESP carries instead of IP in tunnel mode (IPComp, AGGFRAG) lies there
    /// as it is; of a dummy packet nothing does.
    pub packet: Range<usize>,
    /// The next header of ESP.
    pub next_header: IpProtocol,
    /// The whole sequence number.
    pub seq: u64,
    /// The ECN field of the outer header.
    pub outer_ecn: Ecn,
    /// Inner and outer ECN field cannot both be what an ingress wrote (RFC 6040 §4.2): worth a count.
    pub ecn_alarm: bool,
    pub(crate) compressed: bool,
}

impl OpenedPacket {
    /// Whether it is a dummy packet, to be dropped without a word (RFC 4303 §2.6).
    #[must_use]
    pub fn is_dummy(&self) -> bool {
        self.next_header == IpProtocol::NO_NEXT_HEADER
    }

    /// Whether the payload is compressed (IPComp, RFC 3173) and is to be expanded.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }
}

/// The addresses inside a BEET SA: of either side one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BeetAddresses {
    local: IpAddr,
    remote: IpAddr,
}

impl BeetAddresses {
    /// The only address of each side's selectors; `None` in other modes.
    pub(crate) fn new(params: &SaParams) -> Result<Option<Self>, SaError> {
        if params.mode != Mode::Beet {
            return Ok(None);
        }
        let only = |selectors: &[ipsec_sa::TrafficSelector]| {
            let first = selectors.first()?.start();
            let one = selectors.iter().all(|ts| ts.start() == first && ts.end() == first);
            one.then_some(first)
        };
        let addresses = only(&params.local_selectors).zip(only(&params.remote_selectors));
        let (local, remote) = addresses.ok_or(SaError::BeetAddresses)?;
        if local.is_ipv4() != remote.is_ipv4() {
            return Err(SaError::MixedFamilies);
        }
        Ok(Some(Self { local, remote }))
    }
}

/// What opening a whole packet does to its headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rebuild {
    pub(crate) beet: Option<BeetAddresses>,
    pub(crate) nat_original: Option<NatOriginalAddresses>,
}

impl Rebuild {
    /// `None` where there is nothing to be known.
    pub(crate) fn new(params: &SaParams) -> Result<Option<Self>, SaError> {
        let rebuild = Self { beet: BeetAddresses::new(params)?, nat_original: params.nat_original };
        Ok((rebuild != Self::default()).then_some(rebuild))
    }
}

impl EspOutbound {
    /// The room that a whole packet of `len` octets needs around it; in transport mode it may need less in front.
    #[must_use]
    pub fn packet_room(&self, len: usize) -> Room {
        let Room { head, .. } = self.room(len);
        let outer = if self.transform().writes_header() { Ipv6Header::LEN } else { 0 };
        let head = if self.transform().mode() == Mode::Beet { head + outer } else { head };
        Room { head, tail: self.transform().max_room().tail }
    }

    /// Seals an IP packet, from its header on, in place, and returns where the sealed packet lies in `buf`. Octets
    /// behind the length that its header declares are left behind.
    ///
    /// With [`crate::OuterHeader::Ip`] a whole IP packet results in every mode. Without it the ESP packet alone does,
    /// with UDP in front where that is asked for; in transport mode such a packet has no options or extension headers.
    ///
    /// # Errors
    /// [`SealError`]; nothing is spent or changed for a packet that does not fit.
    pub fn seal_packet(&mut self, buf: &mut [u8], ip: Range<usize>) -> Result<Range<usize>, SealError> {
        self.seal_whole(buf, ip, None)
    }

    pub(crate) fn seal_whole(
        &mut self,
        buf: &mut [u8],
        ip: Range<usize>,
        deflate: Option<&mut Deflate>,
    ) -> Result<Range<usize>, SealError> {
        if self.transform().mode() == Mode::Tunnel {
            let packet = buf.get(ip.clone()).ok_or(SealError::Range)?;
            let next = match packet.first().map(|first| first >> 4) {
                Some(4) => IpProtocol::IPV4,
                _ => IpProtocol::IPV6,
            };
            let len = inner_len(next, packet).ok_or(SealError::Inner)?;
            let payload = ip.start..ip.start + len;
            return match deflate {
                #[cfg(feature = "ipcomp")]
                Some(deflate) => self.seal_compressed(deflate, buf, payload, next),
                _ => self.seal_in_place(buf, payload, next),
            };
        }
        let sealed = self.seal_between(buf, ip, deflate);
        if matches!(
            sealed,
            Err(SealError::Fragment | SealError::Headers | SealError::Address | SealError::Inner)
        ) {
            self.count_refused();
        }
        sealed
    }

    fn seal_between(
        &mut self,
        buf: &mut [u8],
        ip: Range<usize>,
        deflate: Option<&mut Deflate>,
    ) -> Result<Range<usize>, SealError> {
        let packet = buf.get(ip.clone()).ok_or(SealError::Range)?;
        let mut at = IpsecPlace::find(packet, Seek::ForEsp)?;
        let view = IpView::parse(packet).map_err(|_| SealError::Inner)?;
        let addresses = (view.src(), view.dst());
        let (keeps, beet) = (self.transform().writes_header(), self.beet());
        if let Some(beet) = beet {
            if addresses != (beet.local, beet.remote) {
                return Err(SealError::Address);
            }
            if let IpView::V6(view) = view {
                // Options for routers would be out of their sight.
                if view.next_header() == IpProtocol::HOP_BY_HOP || view.next_header() == IpProtocol::ROUTING {
                    return Err(SealError::Headers);
                }
                (at.headers, at.next) = (Ipv6Header::LEN, view.next_header());
            }
        } else {
            let bare = if at.is_ipv4 { Ipv4Header::LEN } else { Ipv6Header::LEN };
            if !keeps && at.headers != bare {
                return Err(SealError::Headers);
            }
            // The checksum of UDP counts the addresses, and without the header the receiver knows no others.
            if (!keeps || self.transform().is_udp()) && addresses != self.transform().addresses() {
                return Err(SealError::Address);
            }
        }
        let outer = self.transform().addresses();
        let header = match (keeps, beet) {
            (false, _) => 0,
            (true, None) => at.headers,
            (true, Some(_)) if outer.1.is_ipv4() => Ipv4Header::LEN,
            (true, Some(_)) => Ipv6Header::LEN,
        };
        let mut payload = ip.start + at.headers..ip.start + at.total;
        let plain = buf.get(payload.clone()).ok_or(SealError::Range)?;
        let compressed = deflate.and_then(|deflate| self.compressed(deflate, plain, at.next));
        if let Some(octets) = compressed {
            payload.end = payload.start + octets.len();
            at.next = IpProtocol::IPCOMP;
        }
        let Room { head, tail } = self.transform().room(payload.len());
        if payload.start < head + header {
            let head = (head + header).saturating_sub(at.headers);
            return Err(SealError::NoRoom { head, tail });
        }
        let total = header + head + payload.len() + tail;
        let is_ipv4 = if beet.is_some() { outer.1.is_ipv4() } else { at.is_ipv4 };
        if total > usize::from(u16::MAX) + if is_ipv4 { 0 } else { Ipv6Header::LEN } {
            return Err(SealError::TooLong);
        }
        let protocol = if self.transform().is_udp() { IpProtocol::UDP } else { IpProtocol::ESP };
        let mut replaced = [0; MAX_REPLACED];
        if keeps && beet.is_some() {
            let fields = Replaced::of(packet).ok_or(SealError::Inner)?;
            let written = fields.emit(&mut replaced, outer, protocol, &[], total - header);
            if written != Some(header) {
                return Err(SealError::TooLong);
            }
        }
        let seq = self.admit(buf, &payload, at.next)?;
        if let Some(octets) = compressed {
            buf.get_mut(payload.clone()).ok_or(SealError::Range)?.copy_from_slice(octets);
        }
        let start = payload.start - head - header;
        if keeps && beet.is_none() {
            buf.copy_within(ip.start..ip.start + header, start);
        }
        self.transform().seal_admitted(&seq, None, None, buf, payload, at.next)?;
        let headers = buf.get_mut(start..start + header).ok_or(SealError::Range)?;
        if beet.is_some() {
            headers.copy_from_slice(replaced.get(..header).ok_or(SealError::Range)?);
        } else if keeps {
            at.patch(headers, protocol, total).ok_or(SealError::TooLong)?;
        }
        Ok(start..start + total)
    }
}

impl EspInbound {
    /// Opens an IP packet in place, from its IP header on; UDP may stand between (RFC 7296 §2.23 has it taken either
    /// way). In transport mode its headers move over ESP and say what they said before, in tunnel mode the inner
    /// header takes up congestion that the outer one met (RFC 6040).
    ///
    /// # Errors
    /// [`OpenError`]; the packet's contents are unspecified then.
    pub fn open_packet(&mut self, packet: &mut [u8]) -> Result<OpenedPacket, OpenError> {
        let located = locate(packet);
        let (at, esp) = located.inspect_err(|error| self.count(*error))?;
        let outer = packet.get(..2).map(|start| match start {
            [first, tos] if first >> 4 == 4 => Ecn::from_bits(*tos),
            [_, second] => Ecn::from_bits(second >> 4),
            _ => Ecn::NotEct,
        });
        let opened = self.open_in_place(packet.get_mut(esp.clone()).ok_or(OpenError::Truncated)?)?;
        let payload = esp.start + opened.payload.start..esp.start + opened.payload.end;
        let mut rebuilt = OpenedPacket {
            packet: payload.clone(),
            next_header: opened.next_header,
            seq: opened.seq,
            outer_ecn: outer.unwrap_or_default(),
            ecn_alarm: false,
            compressed: false,
        };
        if opened.is_dummy() {
            rebuilt.packet = payload.start..payload.start;
            return Ok(rebuilt);
        }
        let done = match (self.transform().mode(), self.rebuild().beet) {
            (Mode::Tunnel, _) => match apply_ecn_to(&rebuilt, packet, outer.unwrap_or_default()) {
                Decapsulated::Forward { alarm, .. } => {
                    rebuilt.ecn_alarm = alarm;
                    Ok(())
                }
                Decapsulated::Drop => Err(OpenError::Congestion),
            },
            (Mode::Beet, Some(beet)) => replace(packet, payload, &mut rebuilt, beet),
            _ => {
                let start = payload.start - at.headers;
                packet.copy_within(..at.headers, start);
                rebuilt.packet = start..payload.end;
                packet
                    .get_mut(start..payload.start)
                    .and_then(|headers| at.patch(headers, opened.next_header, payload.end - start))
                    .ok_or(OpenError::Header)
            }
        };
        done.inspect_err(|error| self.count(*error))?;
        if rebuilt.ecn_alarm {
            self.count_ecn_alarm();
        }
        rebuilt.compressed = self.ipcomp_cpi().is_some()
            && match self.transform().mode() {
                Mode::Tunnel => opened.next_header == IpProtocol::IPCOMP,
                _ => packet.get(rebuilt.packet.clone()).is_some_and(|ip| {
                    IpsecPlace::find(ip, Seek::Upper).is_ok_and(|at| at.next == IpProtocol::IPCOMP)
                }),
            };
        if let (Mode::Transport, Some(original)) = (self.transform().mode(), self.rebuild().nat_original)
            && let Some(packet) = packet.get_mut(rebuilt.packet.clone())
        {
            translate_checksum(packet, (original.remote, original.local));
        }
        Ok(rebuilt)
    }
}

fn apply_ecn_to(opened: &OpenedPacket, packet: &mut [u8], outer: Ecn) -> Decapsulated {
    let clean = Decapsulated::Forward { ecn: outer, alarm: false };
    match opened.next_header {
        IpProtocol::IPV4 | IpProtocol::IPV6 => {
            packet.get_mut(opened.packet.clone()).map_or(clean, |inner| apply_ecn(inner, outer))
        }
        _ => clean,
    }
}

/// The headers in front of ESP, and where it lies.
fn locate(packet: &[u8]) -> Result<(IpsecPlace, Range<usize>), OpenError> {
    let at = IpsecPlace::find(packet, Seek::Upper)?;
    match at.next {
        IpProtocol::ESP => Ok((at, at.headers..at.total)),
        IpProtocol::UDP => {
            let udp = packet.get(at.headers..at.total).and_then(<[u8]>::first_chunk::<UDP_LEN>);
            let [_, _, _, _, high, low, _, _] = udp.ok_or(OpenError::Truncated)?;
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            if len < UDP_LEN || at.headers + len > at.total {
                return Err(OpenError::Truncated);
            }
            Ok((at, at.headers + UDP_LEN..at.headers + len))
        }
        _ => Err(OpenError::Header),
    }
}

/// Puts the inner header of a BEET SA in front of the payload, with the fields of the outer one.
fn replace(
    packet: &mut [u8],
    mut payload: Range<usize>,
    opened: &mut OpenedPacket,
    beet: BeetAddresses,
) -> Result<(), OpenError> {
    let fields = Replaced::of(packet).ok_or(OpenError::Header)?;
    let mut next = opened.next_header;
    let mut options = [0; 40];
    let mut options_len = 0;
    if next == BEET_OPTIONS {
        let pseudo = packet.get(payload.clone()).unwrap_or_default();
        let [following, units, pad, _, ..] = *pseudo else { return Err(OpenError::Inner) };
        let len = (usize::from(units) + 1) * 8;
        let carried = pseudo.get(4 + usize::from(pad)..len).ok_or(OpenError::Inner)?;
        if !carried.len().is_multiple_of(4) || !beet.local.is_ipv4() {
            return Err(OpenError::Inner);
        }
        options.get_mut(..carried.len()).ok_or(OpenError::Inner)?.copy_from_slice(carried);
        (options_len, next) = (carried.len(), IpProtocol(following));
        payload.start += len;
    }
    let mut header = [0; MAX_REPLACED];
    let options = options.get(..options_len).unwrap_or_default();
    let len = fields
        .emit(&mut header, (beet.remote, beet.local), next, options, payload.len())
        .ok_or(OpenError::Header)?;
    if payload.start < len {
        // A longer header than there was: the room of trailer and ICV, which have served, makes up for it.
        let by = len - payload.start;
        if payload.end + by > packet.len() {
            return Err(OpenError::Header);
        }
        packet.copy_within(payload.clone(), len);
        payload = len..payload.end + by;
    }
    opened.packet = payload.start - len..payload.end;
    let out = packet.get_mut(opened.packet.start..payload.start).ok_or(OpenError::Header)?;
    out.copy_from_slice(header.get(..len).ok_or(OpenError::Header)?);
    Ok(())
}
