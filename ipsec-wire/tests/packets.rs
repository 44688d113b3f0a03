//! Headers of IP, ESP and AH: nothing panics, and what is found lies inside the packet.

mod common;

use bytes::BytesMut;
use common::packets;
use ipsec_wire::ip::{
    IpsecPlace, Ipv4Header, Ipv4Options, Ipv6Header, Ipv6Options, Seek, UpperLayer, internet_checksum,
};
use ipsec_wire::tcp_encap::{STREAM_PREFIX, frame_esp, frame_ike, keepalive_frame};
use ipsec_wire::{AggfragView, DataBlock, IpCompView, TcpDeframer, TcpMessage, WespView};
use ipsec_wire::{AhView, EspView, IpProtocol, IpView, UdpEncap, UdpEncapRange};
use ipsec_wire::{classify_udp_encap, locate_udp_encap};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn look_at(bytes: &[u8]) {
    if let Ok(view) = IpView::parse(bytes) {
        let UpperLayer { protocol, offset, fragment } = view.upper_layer();
        assert!(offset <= view.packet().len() && view.packet().len() <= bytes.len());
        assert_eq!(view.upper_payload().len(), view.packet().len() - offset);
        if view.ports().is_some() || view.icmp().is_some() || view.mobility_type().is_some() {
            assert!(fragment.is_none_or(|fragment| fragment.is_first()), "{protocol}");
        }
        if let IpView::V4(v4) = view {
            assert_eq!(v4.header().len() + v4.payload().len(), v4.packet().len());
            assert_eq!(v4.options().len() + 20, v4.header_len());
            let _ = v4.checksum_ok();
        }
        if let IpView::V6(v6) = view {
            let end = v6.extension_headers().fold(40, |at, header| {
                assert_eq!(header.offset, at);
                at + header.octets.len()
            });
            assert_eq!(end, offset);
        }
    }
    for seek in [Seek::ForEsp, Seek::ForAh, Seek::Upper] {
        let Ok(place) = IpsecPlace::find(bytes, seek) else { continue };
        assert!(place.headers <= place.total && place.total <= bytes.len() && place.next_at < place.headers);
        assert_eq!(bytes[place.next_at], place.next.0);
        let mut headers = bytes[..place.headers].to_vec();
        place.patch(&mut headers, place.next, place.total).expect("its own length");
        if place.is_ipv4 {
            assert_eq!(internet_checksum(&[&headers]), 0);
            headers[10..12].copy_from_slice(&bytes[10..12]);
        }
        assert_eq!(headers, bytes[..place.headers]);
    }
    if let Ok(view) = EspView::parse(bytes) {
        assert_eq!([&EspView::header(view.spi, view.seq)[..], view.body].concat(), bytes);
    }
    if let Ok(view) = AhView::parse(bytes) {
        assert_eq!(view.header_len() + view.payload.len(), bytes.len());
        let again = AhView::header(view.next_header, view.icv.len(), view.spi, view.seq).unwrap();
        assert_eq!((&again[..2], &again[4..]), (&bytes[..2], &bytes[4..12]));
    }
    if let Ok(view) = IpCompView::parse(bytes) {
        let header = IpCompView::header(view.next_header, view.cpi);
        assert_eq!((header[0], &header[2..], view.payload), (bytes[0], &bytes[2..4], &bytes[4..]));
    }
    if let Ok(view) = WespView::parse(bytes) {
        assert_eq!(4 + view.padding.len() + view.esp.len(), bytes.len());
        assert!(view.payload().is_none_or(|payload| payload.len() <= view.esp.len()));
    }
    if let Ok(view) = AggfragView::parse(bytes) {
        let mut again = Vec::new();
        view.header.emit(&mut again);
        again.extend_from_slice(view.data());
        assert_eq!(again, bytes);
        let mut covered = view.continuation().len();
        for block in view.blocks() {
            covered += match block {
                DataBlock::Packet(packet) => {
                    assert_eq!(
                        IpView::parse(packet).map_or(packet.len(), |ip| ip.packet().len()),
                        packet.len()
                    );
                    packet.len()
                }
                DataBlock::Start { octets, total } => {
                    assert!(total.is_none_or(|total| total > octets.len()));
                    octets.len()
                }
                DataBlock::Padding(octets) | DataBlock::Unknown(octets) => octets.len(),
            };
        }
        assert_eq!(covered, view.data().len(), "blocks stand one behind the other up to the end");
    }
    let mut options = Ipv4Options::new(bytes);
    let read: usize = options.by_ref().map(|o| if o.kind == 1 { 1 } else { 2 + o.data.len() }).sum();
    assert_eq!(read + options.rest().len(), bytes.len());
    let mut options = Ipv6Options::new(bytes);
    let read: usize = options.by_ref().map(|o| if o.kind == 0 { 1 } else { 2 + o.data.len() }).sum();
    assert_eq!(read + options.rest().len(), bytes.len());
    match (classify_udp_encap(bytes), locate_udp_encap(bytes)) {
        (UdpEncap::Ike(message), UdpEncapRange::Ike(range)) => assert_eq!(message, &bytes[range]),
        (UdpEncap::Esp(packet), UdpEncapRange::Esp(range)) => assert_eq!(packet, &bytes[range]),
        (UdpEncap::Keepalive, UdpEncapRange::Keepalive)
        | (UdpEncap::TooShort(_), UdpEncapRange::TooShort) => {}
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_octets(mut bytes in vec(any::<u8>(), 0..200), version in 0u8..3) {
        if let Some(first) = bytes.first_mut() {
            match version {
                0 => *first = 0x45 | *first & 0x02,
                1 => *first = 0x60,
                _ => {}
            }
        }
        // A length that fits lets the walk get further.
        let length = bytes.len();
        if version == 0 && length >= 20 {
            bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        } else if version == 1 && length >= 40 {
            bytes[4..6].copy_from_slice(&(length as u16 - 40).to_be_bytes());
            bytes[6] = [0, 43, 44, 60][usize::from(bytes[6] & 3)];
        }
        look_at(&bytes);
    }

    #[test]
    fn streams_come_back_however_they_are_cut(
        messages in vec((0u8..3, vec(1u8..=255, 4..60)), 0..12),
        cuts in vec(1usize..40, 1..60),
        by_originator: bool,
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        if by_originator {
            stream.extend_from_slice(&STREAM_PREFIX);
        }
        for (kind, octets) in messages {
            match kind {
                0 => {
                    frame_ike(&octets, &mut stream).unwrap();
                    expected.push(TcpMessage::Ike(BytesMut::from(&octets[..])));
                }
                1 => {
                    frame_esp(&octets, &mut stream).unwrap();
                    expected.push(TcpMessage::Esp(BytesMut::from(&octets[..])));
                }
                _ => stream.extend_from_slice(&keepalive_frame()),
            }
        }
        let mut deframer = if by_originator { TcpDeframer::accepted() } else { TcpDeframer::opened() };
        let (mut buffer, mut found, mut rest) = (BytesMut::new(), Vec::new(), &stream[..]);
        for cut in cuts.into_iter().chain([stream.len()]) {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = after;
            while let Some(message) = deframer.next(&mut buffer).unwrap() {
                found.push(message);
            }
        }
        prop_assert_eq!(found, expected);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn any_stream_is_followed_or_refused(octets in vec(prop_oneof![0u8..4, any::<u8>()], 0..200), cut: Index) {
        let at = cut.index(octets.len() + 1);
        let take = |pieces: &[&[u8]]| {
            let (mut deframer, mut buffer, mut found) = (TcpDeframer::opened(), BytesMut::new(), Vec::new());
            for piece in pieces {
                buffer.extend_from_slice(piece);
                loop {
                    match deframer.next(&mut buffer) {
                        Ok(Some(message)) => found.push(message),
                        Ok(None) => break,
                        Err(error) => return (found, Some(error)),
                    }
                }
            }
            (found, None)
        };
        prop_assert_eq!(take(&[&octets]), take(&[&octets[..at], &octets[at..]]));
    }

    #[test]
    fn damaged_packets(which: Index, damage in vec((any::<Index>(), any::<u8>()), 0..4), cut: Index) {
        let mut all = packets(include_str!("data/ospfv3-ah.hex"));
        all.extend(packets(include_str!("data/esp-aes.hex")));
        let mut packet = all.swap_remove(which.index(all.len()));
        for (at, value) in damage {
            let at = at.index(packet.len());
            packet[at] = value;
        }
        look_at(&packet);
        packet.truncate(cut.index(packet.len()));
        look_at(&packet);
    }

    #[test]
    fn ipv4_headers_come_back(tos: u8, id: u16, df: bool, ttl: u8, protocol: u8, src: [u8; 4], dst: [u8; 4]) {
        let (src, dst) = (src.into(), dst.into());
        let header = Ipv4Header { tos, id, df, ttl, protocol: IpProtocol(protocol), src, dst };
        let bytes = header.emit(20);
        let Ok(IpView::V4(v)) = IpView::parse(&bytes) else { panic!("an IPv4 header") };
        let again = Ipv4Header {
            tos: v.tos(), id: v.id(), df: v.df(), ttl: v.ttl(), protocol: v.protocol(), src: v.src(), dst: v.dst(),
        };
        prop_assert!(v.checksum_ok());
        prop_assert_eq!(again, header);
    }

    #[test]
    fn ipv6_headers_come_back(
        traffic_class: u8, flow_label in 0u32..1 << 20, next in 61u8..=255, hop_limit: u8, src: [u8; 16], dst: [u8; 16],
    ) {
        let (next_header, src, dst) = (IpProtocol(next), src.into(), dst.into());
        let header = Ipv6Header { traffic_class, flow_label, next_header, hop_limit, src, dst };
        let bytes = header.emit(0);
        let Ok(IpView::V6(v)) = IpView::parse(&bytes) else { panic!("an IPv6 header") };
        let again = Ipv6Header {
            traffic_class: v.traffic_class(),
            flow_label: v.flow_label(),
            next_header: v.next_header(),
            hop_limit: v.hop_limit(),
            src: v.src(),
            dst: v.dst(),
        };
        prop_assert_eq!(again, header);
    }
}
