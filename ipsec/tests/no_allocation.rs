//! The data path allocates nothing per packet.

extern crate alloc;

mod common;

use common::*;
use ipsec::{Meta, Received, Verdict};

#[test]
fn packets_pass_both_ways_without_allocation() {
    assert!(tally::calls(|| drop(Box::new(1))) > 0, "the count works");
    let mut setup = Setup::new();
    setup.connections[A].force_encapsulation = true;
    let mut pair = setup.pair();
    pair.establish();
    let (now, packet) = (pair.now, udp(A, &[7; 1000]));
    let (template, ip) = with_room(&packet);
    let mut buf = template.clone();
    let count = tally::calls(|| {
        for _ in 0..100 {
            buf.copy_from_slice(&template);
            let Verdict::Send { range, path, .. } = pair.stacks[A].handle_ip(now, &mut buf, ip.clone())
            else {
                panic!("sealed")
            };
            let datagram = &mut buf[range];
            let received = pair.stacks[B].handle_datagram(now, Meta::new(turned(&path)), datagram);
            let Received::Inner { range, .. } = received else { panic!("opened") };
            assert!(datagram[range] == packet);
            // Refused ones cost nothing either.
            let replayed = pair.stacks[B].handle_datagram(now, Meta::new(turned(&path)), datagram);
            assert!(matches!(replayed, Received::Dropped(_)));
        }
    });
    assert_eq!(count, 0);
}
