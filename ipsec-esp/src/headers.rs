//! The IP headers around ESP: what changes when it comes or goes (RFC 4303 §3.1).

use core::net::IpAddr;

use ipsec_wire::ip::{Ipv4Header, Ipv6Header, PlaceError, internet_checksum};
use ipsec_wire::{IpProtocol, IpView};

use crate::{OpenError, SealError};

impl From<PlaceError> for SealError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Malformed | PlaceError::TooMany => Self::Inner,
            PlaceError::Fragment => Self::Fragment,
        }
    }
}

impl From<PlaceError> for OpenError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Malformed | PlaceError::TooMany => Self::Header,
            PlaceError::Fragment => Self::Fragment,
        }
    }
}

/// The most octets that [`Replaced::emit`] writes.
pub(crate) const MAX_REPLACED: usize = 60;

/// The fields that a header hands on to the one that takes its place in BEET mode (RFC 7402 appendix B.1.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Replaced {
    traffic_class: u8,
    hop_limit: u8,
    dont_fragment: bool,
    flow_label: u32,
    id: u16,
}

impl Replaced {
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        Some(match IpView::parse(packet).ok()? {
            IpView::V4(view) => Self {
                traffic_class: view.tos(),
                hop_limit: view.ttl(),
                dont_fragment: view.df(),
                flow_label: 0,
                id: view.id(),
            },
            IpView::V6(view) => Self {
                traffic_class: view.traffic_class(),
                hop_limit: view.hop_limit(),
                dont_fragment: true,
                flow_label: view.flow_label(),
                id: 0,
            },
        })
    }

    /// The new header, with IPv4 options, for a packet of `payload` octets behind it. Returns its length; `None` for
    /// addresses of two families, and lengths that cannot be.
    pub(crate) fn emit(
        &self,
        out: &mut [u8; MAX_REPLACED],
        (src, dst): (IpAddr, IpAddr),
        protocol: IpProtocol,
        options: &[u8],
        payload: usize,
    ) -> Option<usize> {
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let len = Ipv4Header::LEN + options.len();
                let total = u16::try_from(len + payload).ok()?;
                let header = Ipv4Header {
                    tos: self.traffic_class,
                    id: self.id,
                    df: self.dont_fragment,
                    ttl: self.hop_limit,
                    protocol,
                    src,
                    dst,
                };
                *out.first_chunk_mut()? = header.emit(total);
                let header = out.get_mut(..len)?;
                header.get_mut(Ipv4Header::LEN..)?.copy_from_slice(options);
                *header.first_mut()? = 0x40 | u8::try_from(len / 4).ok()?;
                *header.get_mut(10..)?.first_chunk_mut()? = [0; 2];
                let checksum = internet_checksum(&[header]);
                *header.get_mut(10..)?.first_chunk_mut()? = checksum.to_be_bytes();
                Some(len)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let header = Ipv6Header {
                    traffic_class: self.traffic_class,
                    flow_label: self.flow_label,
                    next_header: protocol,
                    hop_limit: self.hop_limit,
                    src,
                    dst,
                };
                *out.first_chunk_mut()? = header.emit(u16::try_from(payload).ok()?);
                Some(Ipv6Header::LEN)
            }
            _ => None,
        }
    }
}

/// Makes the upper layer's checksum true again, whose pseudo-header held `original` when it was computed and now holds
/// the addresses of the packet (RFC 3948 §3.1.2). What has no such checksum stays as it is.
pub(crate) fn translate_checksum(packet: &mut [u8], original: (IpAddr, IpAddr)) {
    let Ok(view) = IpView::parse(packet) else { return };
    let (actual, upper) = ((view.src(), view.dst()), view.upper_layer());
    if actual == original || upper.fragment.is_some_and(|fragment| !fragment.is_first()) {
        return;
    }
    let field = match upper.protocol {
        IpProtocol::TCP => 16,
        IpProtocol::UDP | IpProtocol::UDP_LITE | IpProtocol::DCCP => 6,
        IpProtocol::ICMPV6 => 2,
        _ => return,
    };
    let field = packet.get_mut(upper.offset + field..).and_then(<[u8]>::first_chunk_mut::<2>);
    let Some(field) = field else { return };
    let before = u16::from_be_bytes(*field);
    if before == 0 && upper.protocol == IpProtocol::UDP {
        return;
    }
    // RFC 1624 §3, over all words of both addresses. The rest of the pseudo-header is the same in both families.
    let mut sum = u64::from(!before);
    for (address, now) in [(original.0, false), (original.1, false), (actual.0, true), (actual.1, true)] {
        let (octets, len) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()).to_be_bytes(), 2),
            IpAddr::V6(address) => (address.octets(), 8),
        };
        let (words, _) = octets.as_chunks::<2>();
        for word in words.iter().rev().take(len) {
            let word = u16::from_be_bytes(*word);
            sum += u64::from(if now { word } else { !word });
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = match !(sum as u16) {
        0 if upper.protocol == IpProtocol::UDP => 0xffff,
        checksum => checksum,
    };
    *field = checksum.to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use ipsec_wire::ip::transport_checksum;

    #[test]
    fn checksums_follow_the_addresses_into_either_family() {
        let v4: [IpAddr; 4] =
            [[10, 0, 0, 1].into(), [192, 0, 2, 9].into(), [203, 0, 113, 7].into(), [10, 9, 8, 7].into()];
        let v6: [IpAddr; 2] = ["2001:db8::1".parse().unwrap(), "2001:db8:ffff::2".parse().unwrap()];
        for (protocol, at) in [(IpProtocol::TCP, 16), (IpProtocol::UDP, 6), (IpProtocol::DCCP, 6)] {
            for original in [(v4[0], v4[1]), (v6[0], v6[1])] {
                let mut segment: Vec<u8> = (0..33).map(|i| i * 7).collect();
                segment[at..at + 2].fill(0);
                let sum = transport_checksum(original.0, original.1, protocol, &segment).unwrap();
                segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
                let mut header = [0; MAX_REPLACED];
                let fields =
                    Replaced { traffic_class: 0, hop_limit: 9, dont_fragment: true, flow_label: 0, id: 1 };
                let len = fields.emit(&mut header, (v4[2], v4[3]), protocol, &[1, 1, 1, 0], 33).unwrap();
                let mut packet = [&header[..len], &segment].concat();
                assert_eq!((len, internet_checksum(&[&packet[..24]])), (24, 0));
                translate_checksum(&mut packet, original);
                assert_eq!(transport_checksum(v4[2], v4[3], protocol, &packet[24..]), Some(0));
                translate_checksum(&mut packet, (v4[2], v4[3]));
                assert_eq!(transport_checksum(v4[2], v4[3], protocol, &packet[24..]), Some(0));
            }
        }
    }
}
