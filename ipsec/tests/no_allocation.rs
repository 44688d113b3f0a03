//! The data path allocates nothing per packet.

extern crate alloc;

mod common;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

use common::*;
use ipsec::{Meta, Received, Verdict};

/// Counts what the thread that asks for it allocates.
struct Counting;

thread_local! {
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

// SAFETY: everything is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get().map(|n| n + 1)));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> usize {
    COUNT.set(Some(0));
    run();
    COUNT.take().unwrap_or_default()
}

#[test]
fn packets_pass_both_ways_without_allocation() {
    assert!(allocations(|| drop(Box::new(1))) > 0, "the count works");
    let mut setup = Setup::new();
    setup.connections[A].force_encapsulation = true;
    let mut pair = setup.pair();
    pair.establish();
    let (now, packet) = (pair.now, udp(A, &[7; 1000]));
    let (template, ip) = with_room(&packet);
    let mut buf = template.clone();
    let count = allocations(|| {
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
