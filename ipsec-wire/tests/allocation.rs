//! Reading allocates nothing, whatever comes in, and rebuilding no more than a constant times the input.
//!
//! The allocator counts per thread, so that tests beside each other do not disturb the count.

mod common;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

use common::packets;
use ipsec_wire::ike::{CfgValue, EapView, MessageView, PayloadKind};
use ipsec_wire::ip::IpView;
use ipsec_wire::isakmp::IsakmpView;
use ipsec_wire::{AggfragView, AhView, EspView, IpCompView, Limits, UdpEncap, WespView, classify_udp_encap};

struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static OCTETS: Cell<usize> = const { Cell::new(0) };
}

fn count(octets: usize) {
    // Thread locals are gone while a thread ends.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    let _ = OCTETS.try_with(|total| total.set(total.get() + octets));
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the allocator and octets asked for while the work is done.
fn allocations(work: impl FnOnce()) -> (usize, usize) {
    let before = (CALLS.get(), OCTETS.get());
    work();
    (CALLS.get() - before.0, OCTETS.get() - before.1)
}

fn read_message(raw: &[u8]) {
    let Ok(view) = MessageView::parse(raw, &Limits::DEFAULT) else { return };
    for payload in view.payloads() {
        match payload.kind() {
            PayloadKind::Sa(sa) => {
                let transforms = sa.proposals().flat_map(|proposal| proposal.transforms());
                assert!(transforms.map(|transform| transform.attributes().count()).sum::<usize>() < 99);
            }
            PayloadKind::Notify(notify) => _ = notify.content(),
            PayloadKind::Cp(cp) => cp.attributes().for_each(|(kind, value)| _ = CfgValue::read(kind, value)),
            PayloadKind::TsI(ts) | PayloadKind::TsR(ts) => assert!(ts.selectors().count() < 99),
            PayloadKind::Eap(packet) => _ = EapView::parse(packet, 0).map(|eap| eap.method()),
            PayloadKind::Auth(auth) => _ = auth.digital_signature().map(|parts| parts.algorithm_identifier()),
            _ => {}
        }
    }
}

fn read_packet(raw: &[u8]) {
    if let Ok(view) = IsakmpView::parse(raw, &Limits::DEFAULT) {
        view.payloads().for_each(|payload| _ = payload.kind());
    }
    let _ = IpView::parse(raw).map(|ip| (ip.upper_layer(), ip.ports()));
    let _ = (EspView::parse(raw), AhView::parse(raw), IpCompView::parse(raw), WespView::parse(raw));
    let _ = AggfragView::parse(raw).map(|payload| payload.blocks().count());
    if let UdpEncap::Ike(message) = classify_udp_encap(raw) {
        read_message(message);
    }
}

fn captured() -> Vec<Vec<u8>> {
    [
        include_str!("data/ikev2four.hex"),
        include_str!("data/ikev2pI2.hex"),
        include_str!("data/ikev2-id-normal.hex"),
        include_str!("data/isakmp4500.hex"),
        include_str!("data/isakmp-sa-setup.hex"),
        include_str!("data/esp-aes.hex"),
        include_str!("data/ospfv3-ah.hex"),
        include_str!("data/once-crashed-dissectors.hex"),
    ]
    .into_iter()
    .flat_map(packets)
    .collect()
}

#[test]
fn the_allocator_is_counted() {
    let (calls, octets) = allocations(|| drop(core::hint::black_box(vec![0u8; 1000])));
    assert!(calls == 1 && octets == 1000, "{calls} {octets}");
}

#[test]
fn reading_allocates_nothing() {
    let captured = captured();
    let used = allocations(|| {
        for raw in &captured {
            read_message(raw);
            read_packet(raw);
            (0..raw.len()).for_each(|cut| read_message(&raw[..cut]));
        }
    });
    assert_eq!(used, (0, 0));
}

/// The worst is a structure of few octets that becomes a value of many: a traffic selector of four octets, or a
/// transform of eight.
#[test]
fn rebuilding_allocates_at_most_a_constant_times_the_input() {
    const CONSTANT: usize = 64;
    let mut worst = Vec::new();
    // Nothing but selectors of an unknown type, each of its header alone.
    let selectors = 255u8;
    worst.extend_from_slice(&[1; 16]);
    worst.extend_from_slice(&[44, 0x20, 35, 8, 0, 0, 0, 1]);
    let length = 28 + 8 + 4 * usize::from(selectors);
    worst.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    worst.extend_from_slice(&[0, 0]);
    worst.extend_from_slice(&u16::try_from(length - 28).unwrap().to_be_bytes());
    worst.extend_from_slice(&[selectors, 0, 0, 0]);
    for _ in 0..selectors {
        worst.extend_from_slice(&[200, 0, 0, 4]);
    }
    let messages: Vec<_> = captured().into_iter().chain([worst.clone()]).collect();
    let mut seen = 0;
    for raw in &messages {
        let Ok(view) = MessageView::parse(raw, &Limits::DEFAULT) else { continue };
        let (_, octets) = allocations(|| drop(core::hint::black_box(view.to_builder())));
        assert!(octets <= CONSTANT * raw.len(), "{octets} octets for {}", raw.len());
        seen += 1;
    }
    assert!(seen > 20 && MessageView::parse(&worst, &Limits::DEFAULT).is_ok());
}
