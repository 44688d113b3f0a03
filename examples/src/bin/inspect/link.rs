//! From a link's header to the IP packet behind it.

use pcap_file::DataLink;

/// The IP packet of a frame; `None` for frames without one and links that are not known.
pub(crate) fn ip_packet(link: DataLink, frame: &[u8]) -> Option<&[u8]> {
    match link {
        DataLink::ETHERNET => ethernet(frame),
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => Some(frame),
        // Four octets of address family, whose order depends on the machine that captured.
        DataLink::NULL | DataLink::LOOP => frame.get(4..),
        DataLink::LINUX_SLL => by_ether_type(frame.get(14..)?),
        DataLink::LINUX_SLL2 => {
            let (ether_type, packet) = (frame.get(..2)?, frame.get(20..)?);
            matches!(ether_type, [0x08, 0x00] | [0x86, 0xdd]).then_some(packet)
        }
        // Raw IP under the number that BSD's systems give it.
        DataLink::Unknown(12 | 14) => Some(frame),
        _ => None,
    }
}

fn ethernet(frame: &[u8]) -> Option<&[u8]> {
    by_ether_type(frame.get(12..)?)
}

/// From an EtherType on, through VLAN tags.
fn by_ether_type(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        match rest {
            [0x08, 0x00, packet @ ..] | [0x86, 0xdd, packet @ ..] => return Some(packet),
            [0x81, 0x00, _, _, after @ ..] | [0x88, 0xa8, _, _, after @ ..] => rest = after,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn through_headers_and_tags() {
        let ethernet = [&[0; 12][..], &[0x81, 0, 0, 7, 0x08, 0, 0x45]].concat();
        assert_eq!(ip_packet(DataLink::ETHERNET, &ethernet), Some(&[0x45][..]));
        assert_eq!(ip_packet(DataLink::ETHERNET, &[0; 14]), None);
        assert_eq!(ip_packet(DataLink::NULL, &[2, 0, 0, 0, 0x45]), Some(&[0x45][..]));
        assert_eq!(ip_packet(DataLink::NULL, &[2]), None);
        let cooked = [&[0; 14][..], &[0x86, 0xdd, 0x60]].concat();
        assert_eq!(ip_packet(DataLink::LINUX_SLL, &cooked), Some(&[0x60][..]));
    }
}
