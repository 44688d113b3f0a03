//! The outer header of an SA: built once, patched per packet for length, identification and checksum.

use core::net::IpAddr;

use ipsec_sa::{Encapsulation, HeaderPolicy, Mode, Outer, SaParams};
use ipsec_wire::IpProtocol;

use crate::flow_label::FlowLabel;
use crate::{SaError, SealError};
use ipsec_sa::tunnel::OuterFields;

/// Which headers are written in front of the ESP packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum OuterHeader {
    /// None: a socket's owner sends the ESP packet as the payload of its datagram (RFC 3948), or on a raw socket.
    #[default]
    None,
    /// UDP, for an SA that is encapsulated in it.
    Udp,
    /// IP, and UDP behind it where the SA is encapsulated in it. In transport and BEET mode the IP header comes from the
    /// packet ([`crate::EspOutbound::seal_packet`]); a payload sealed alone gets UDP at most.
    Ip,
    /// The length that goes in front of each packet in a TCP stream (RFC 9329 §3), for an SA that is encapsulated so: what
    /// results is to be appended to the stream as it is.
    TcpLength,
}

/// TTL and hop limit of an outer header (RFC 4301 §5.1.2.1 leaves the value to us; RFC 1700's default).
const HOP_LIMIT: u8 = 64;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const UDP_LEN: usize = 8;
const TCP_LENGTH_LEN: usize = 2;
const MAX_LEN: usize = IPV6_LEN + UDP_LEN;

#[derive(Clone, Debug)]
pub(crate) struct Template {
    kind: OuterHeader,
    octets: [u8; MAX_LEN],
    ip: Ip,
    udp: bool,
    len: u8,
    /// IPv4: sum over the constant words of the header. IPv6 with UDP: sum over the constant part of pseudo-header
    /// and UDP header (RFC 8200 §8.1).
    sum: u32,
    policy: HeaderPolicy,
    flow_label: FlowLabel,
    mode: Mode,
    local: IpAddr,
    remote: IpAddr,
}

/// What an outer header takes from the packet inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fields {
    outer: OuterFields,
    /// Of 20 bits.
    flow_label: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ip {
    None,
    V4,
    V6,
}

impl Template {
    pub(crate) fn new(params: &SaParams, kind: OuterHeader) -> Result<Self, SaError> {
        Self::build(&params.outer, params.header, params.mode, kind)
    }

    /// The same kind of header with other addresses or encapsulation.
    pub(crate) fn updated(&self, outer: &Outer) -> Result<Self, SaError> {
        let updated = Self::build(outer, self.policy, self.mode, self.kind)?;
        Ok(Self { flow_label: self.flow_label, ..updated })
    }

    fn build(outer: &Outer, policy: HeaderPolicy, mode: Mode, kind: OuterHeader) -> Result<Self, SaError> {
        let mut template = Self {
            kind,
            octets: [0; MAX_LEN],
            ip: Ip::None,
            udp: false,
            len: 0,
            sum: 0,
            policy,
            flow_label: FlowLabel::Zero,
            mode,
            local: outer.local,
            remote: outer.remote,
        };
        if outer.local.is_ipv4() != outer.remote.is_ipv4() {
            return Err(SaError::MixedFamilies);
        }
        let ports = match (kind, outer.encapsulation) {
            (OuterHeader::None, _) => return Ok(template),
            (OuterHeader::TcpLength, Encapsulation::Tcp { .. }) => {
                template.len = TCP_LENGTH_LEN as u8;
                return Ok(template);
            }
            (OuterHeader::TcpLength, _) => return Err(SaError::OuterHeader),
            (_, Encapsulation::Udp { local_port, remote_port }) => Some((local_port, remote_port)),
            (OuterHeader::Ip, Encapsulation::None) => None,
            _ => return Err(SaError::OuterHeader),
        };
        let mut writer = Writer { octets: &mut template.octets, len: 0 };
        if kind == OuterHeader::Ip && mode == Mode::Tunnel {
            let protocol = if ports.is_some() { IpProtocol::UDP } else { IpProtocol::ESP };
            match (outer.local, outer.remote) {
                (IpAddr::V4(local), IpAddr::V4(remote)) => {
                    template.ip = Ip::V4;
                    writer.put(&[0x45, 0, 0, 0, 0, 0, 0, 0, HOP_LIMIT, protocol.0, 0, 0]);
                    writer.put(&local.octets());
                    writer.put(&remote.octets());
                }
                (IpAddr::V6(local), IpAddr::V6(remote)) => {
                    template.ip = Ip::V6;
                    writer.put(&[0x60, 0, 0, 0, 0, 0, protocol.0, HOP_LIMIT]);
                    writer.put(&local.octets());
                    writer.put(&remote.octets());
                }
                _ => return Err(SaError::MixedFamilies),
            }
        }
        if let Some((local, remote)) = ports {
            template.udp = true;
            writer.put(&local.to_be_bytes());
            writer.put(&remote.to_be_bytes());
            writer.put(&[0; 4]);
        }
        template.len = writer.len as u8;
        template.sum = match (template.ip, ports, outer.local, outer.remote) {
            (Ip::V4, ..) => sum(template.octets.get(..IPV4_LEN).unwrap_or_default()),
            (_, Some((from, to)), IpAddr::V6(local), IpAddr::V6(remote)) => {
                sum(&local.octets())
                    + sum(&remote.octets())
                    + u32::from(IpProtocol::UDP.0)
                    + u32::from(from)
                    + u32::from(to)
            }
            // RFC 3948 §2.1: over IPv4 the UDP checksum should be zero.
            _ => 0,
        };
        Ok(template)
    }

    /// Octets in front of the ESP packet.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether a whole IP packet is to result.
    pub(crate) fn writes_ip(&self) -> bool {
        self.kind == OuterHeader::Ip
    }

    pub(crate) const fn is_udp(&self) -> bool {
        self.udp
    }

    /// Our address and the peer's.
    pub(crate) const fn addresses(&self) -> (IpAddr, IpAddr) {
        (self.local, self.remote)
    }

    pub(crate) const fn policy(&self) -> &HeaderPolicy {
        &self.policy
    }

    /// The fields to be taken from the inner packet, which must be read before it is encrypted.
    #[inline(always)]
    pub(crate) fn fields(&self, next: IpProtocol, inner: &[u8]) -> Result<Fields, SealError> {
        match self.ip {
            Ip::None => Ok(Fields::default()),
            _ => self.fields_of(next, inner),
        }
    }

    fn fields_of(&self, next: IpProtocol, inner: &[u8]) -> Result<Fields, SealError> {
        let outer = OuterFields::new(&self.policy, next, inner).ok_or(SealError::Inner)?;
        let flow_label = match self.flow_label {
            FlowLabel::Zero => 0,
            _ if self.ip != Ip::V6 => 0,
            rule => rule.of(next, inner),
        };
        Ok(Fields { outer, flow_label })
    }

    pub(crate) fn set_flow_label(&mut self, rule: FlowLabel) {
        self.flow_label = rule;
    }

    /// The longest ESP packet that goes behind the header.
    #[inline]
    pub(crate) const fn max_esp_len(&self) -> usize {
        let udp = if self.udp { UDP_LEN } else { 0 };
        match self.ip {
            Ip::None if self.udp => 65535 - UDP_LEN,
            // The length counts itself.
            Ip::None if self.len != 0 => 65535 - TCP_LENGTH_LEN,
            // Whoever writes the header will know.
            Ip::None => usize::MAX,
            Ip::V4 => 65535 - IPV4_LEN - udp,
            // The payload length does not count the fixed header.
            Ip::V6 => 65535 - udp,
        }
    }

    /// Writes the header over all of `out`; `esp` is the finished packet behind it.
    #[inline(always)]
    pub(crate) fn write(&self, out: &mut [u8], esp: &[u8], fields: Fields, id: u16) -> Option<()> {
        match self.len {
            0 => Some(()),
            _ => self.write_all(out, esp, fields, id),
        }
    }

    fn write_all(&self, out: &mut [u8], esp: &[u8], fields: Fields, id: u16) -> Option<()> {
        out.copy_from_slice(self.octets.get(..out.len())?);
        let total = (out.len() + esp.len()) as u16;
        let Fields { outer: fields, flow_label } = fields;
        let udp = match self.ip {
            Ip::None if !self.udp => {
                *out.first_chunk_mut()? = total.to_be_bytes();
                return Some(());
            }
            Ip::None => out,
            Ip::V4 => {
                let (header, udp) = out.split_first_chunk_mut::<IPV4_LEN>()?;
                write_ipv4(header, self.sum, fields, total, id);
                udp
            }
            Ip::V6 => {
                let (header, udp) = out.split_first_chunk_mut::<IPV6_LEN>()?;
                let payload = total.wrapping_sub(IPV6_LEN as u16).to_be_bytes();
                header[0] |= fields.traffic_class >> 4;
                let [_, high, middle, low] = flow_label.to_be_bytes();
                header[1] = fields.traffic_class << 4 | high;
                [header[2], header[3]] = [middle, low];
                [header[4], header[5]] = payload;
                udp
            }
        };
        if let Some(udp) = udp.first_chunk_mut::<UDP_LEN>() {
            let len = (UDP_LEN + esp.len()) as u16;
            [udp[4], udp[5]] = len.to_be_bytes();
            // A constant sum stands for the addresses of IPv6, where the checksum must not be zero (RFC 8200 §8.1).
            if self.sum != 0 && self.ip != Ip::V4 {
                // The length counts twice: in the pseudo-header and in the header.
                let total = u64::from(self.sum) + 2 * u64::from(len) + u64::from(sum(esp));
                let checksum = match !fold(total) {
                    0 => 0xffff,
                    checksum => checksum,
                };
                [udp[6], udp[7]] = checksum.to_be_bytes();
            }
        }
        Some(())
    }
}

#[inline]
fn write_ipv4(header: &mut [u8; IPV4_LEN], constant: u32, fields: OuterFields, total: u16, id: u16) {
    let flags: u16 = if fields.dont_fragment { 0x4000 } else { 0 };
    let sum =
        constant + u32::from(fields.traffic_class) + u32::from(total) + u32::from(id) + u32::from(flags);
    header[1] = fields.traffic_class;
    [header[2], header[3]] = total.to_be_bytes();
    [header[4], header[5]] = id.to_be_bytes();
    [header[6], header[7]] = flags.to_be_bytes();
    [header[10], header[11]] = (!fold(u64::from(sum))).to_be_bytes();
}

/// The sum of RFC 1071 over octets, folded to 16 bits; an odd one at the end counts as the high half of a word.
fn sum(octets: &[u8]) -> u32 {
    let (words, rest) = octets.as_chunks::<4>();
    // 2^32 and 2^16 are 1 modulo 2^16 - 1, so longer words give the same sum.
    let mut total: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    for (octet, value) in last.iter_mut().zip(rest) {
        *octet = *value;
    }
    total += u64::from(u32::from_be_bytes(last));
    u32::from(fold(total))
}

#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

struct Writer<'a> {
    octets: &'a mut [u8; MAX_LEN],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, octets: &[u8]) {
        for (octet, value) in self.octets.iter_mut().skip(self.len).zip(octets) {
            *octet = *value;
        }
        self.len += octets.len();
    }
}
