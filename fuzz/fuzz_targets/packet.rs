//! IP, ESP, AH and UDP encapsulation: nothing panics, and what is found lies inside the packet.
#![no_main]

use ipsec_wire::ip::{IpsecPlace, Seek, UpperLayer};
use ipsec_wire::{AhView, EspView, IpView, UdpEncap, UdpEncapRange, classify_udp_encap, locate_udp_encap};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(view) = IpView::parse(data) {
        let UpperLayer { offset, fragment, .. } = view.upper_layer();
        assert!(offset <= view.packet().len() && view.packet().len() <= data.len());
        if view.ports().is_some() || view.icmp().is_some() || view.mobility_type().is_some() {
            assert!(fragment.is_none_or(|fragment| fragment.is_first()));
        }
        if let IpView::V4(v4) = view {
            assert_eq!(v4.header().len() + v4.payload().len(), v4.packet().len());
            let _ = v4.checksum_ok();
        }
    }
    for seek in [Seek::ForEsp, Seek::ForAh, Seek::Upper] {
        let Ok(place) = IpsecPlace::find(data, seek) else { continue };
        assert!(place.headers <= place.total && place.total <= data.len() && place.next_at < place.headers);
        assert_eq!(data[place.next_at], place.next.0);
        // Patched to what they say already, headers are as they were, but for IPv4's checksum.
        let mut headers = data[..place.headers].to_vec();
        assert!(place.patch(&mut headers, place.next, place.total).is_some());
        if place.is_ipv4 {
            headers[10..12].copy_from_slice(&data[10..12]);
        }
        assert_eq!(headers, data[..place.headers]);
    }
    if let Ok(view) = EspView::parse(data) {
        assert_eq!(EspView::header(view.spi, view.seq), data[..8]);
    }
    if let Ok(view) = AhView::parse(data) {
        assert_eq!(view.header_len() + view.payload.len(), data.len());
    }
    match (classify_udp_encap(data), locate_udp_encap(data)) {
        (UdpEncap::Ike(message), UdpEncapRange::Ike(range)) => assert_eq!(message, &data[range]),
        (UdpEncap::Esp(packet), UdpEncapRange::Esp(range)) => assert_eq!(packet, &data[range]),
        (UdpEncap::Keepalive, UdpEncapRange::Keepalive) => {}
        (UdpEncap::TooShort(_), UdpEncapRange::TooShort) => {}
        other => panic!("{other:?}"),
    }
});
