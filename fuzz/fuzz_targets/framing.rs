//! TCP streams, AGGFRAG payloads, IPComp, WESP and IP options: what is found lies inside, and nothing is lost.
#![no_main]

use bytes::BytesMut;
use ipsec_wire::ip::{Ipv4Options, Ipv6Options};
use ipsec_wire::tcp_encap::{Framed, TcpMessage, read_frame};
use ipsec_wire::{AggfragView, DataBlock, IpCompView, TcpDeframer, TcpEncapError, WespView};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(Framed::Frame { len, .. }) = read_frame(data) {
        assert!(len <= data.len());
    }
    // However the stream is cut, the same comes out.
    let cut = data.first().map_or(0, |first| usize::from(*first)).min(data.len());
    for accepted in [false, true] {
        assert_eq!(follow(accepted, &[data]), follow(accepted, &[&data[..cut], &data[cut..]]));
    }
    if let Ok(view) = AggfragView::parse(data) {
        let mut again = Vec::new();
        view.header.emit(&mut again);
        again.extend_from_slice(view.data());
        assert_eq!(again, data);
        let blocks: usize = view
            .blocks()
            .map(|block| match block {
                DataBlock::Packet(octets) | DataBlock::Padding(octets) | DataBlock::Unknown(octets) => octets,
                DataBlock::Start { octets, total } => {
                    assert!(total.is_none_or(|total| total > octets.len()));
                    octets
                }
            })
            .map(<[u8]>::len)
            .sum();
        assert_eq!(view.continuation().len() + blocks, view.data().len());
    }
    if let Ok(view) = IpCompView::parse(data) {
        assert_eq!(view.payload.len() + IpCompView::HEADER_LEN, data.len());
    }
    if let Ok(view) = WespView::parse(data) {
        assert_eq!(WespView::FIXED_LEN + view.padding.len() + view.esp.len(), data.len());
        let _ = view.payload();
    }
    let mut options = Ipv4Options::new(data);
    let read: usize = options.by_ref().map(|o| if o.kind == 1 { 1 } else { 2 + o.data.len() }).sum();
    assert_eq!(read + options.rest().len(), data.len());
    let mut options = Ipv6Options::new(data);
    let read: usize = options.by_ref().map(|o| if o.kind == 0 { 1 } else { 2 + o.data.len() }).sum();
    assert_eq!(read + options.rest().len(), data.len());
});

fn follow(accepted: bool, pieces: &[&[u8]]) -> (Vec<TcpMessage>, Option<TcpEncapError>) {
    let mut deframer = if accepted { TcpDeframer::accepted() } else { TcpDeframer::opened() };
    let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
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
}
