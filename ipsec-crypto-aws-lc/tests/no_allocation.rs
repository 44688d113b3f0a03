//! Packets and pseudorandom functions allocate nothing on Rust's side. What AWS-LC would take with C's `malloc` is not
//! seen here; its contexts lie in the objects that the rows hold.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

struct Counting;

thread_local! {
    // Const-initialised and without a destructor, so that reading it does not allocate.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local number only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's layout is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(core::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_packet_costs_no_allocation() {
    let provider = ipsec_crypto_aws_lc::provider();
    let mut data = vec![0; 8896];
    let mut tag = [0; 32];
    for row in provider.encr.iter() {
        for &key_len in row.key_lengths() {
            let key = vec![1; key_len];
            let nonce = vec![0; row.nonce_len()];
            let count = if let Ok(aead) = row.aead_key(&key) {
                let tag = &mut tag[..row.tag_len()];
                allocations(|| {
                    aead.seal(&nonce, &[0; 12], &mut data, tag).unwrap();
                    aead.open(&nonce, &[0; 12], &mut data, tag).unwrap();
                    aead.open(&nonce, &[1; 12], &mut data, tag).unwrap_err();
                })
            } else {
                let cipher = row.cipher_key(&key).unwrap();
                allocations(|| {
                    cipher.encrypt(&nonce, &mut data).unwrap();
                    cipher.decrypt(&nonce, &mut data).unwrap();
                })
            };
            assert_eq!(count, 0, "{row:?}");
        }
    }
    for row in provider.integ.iter() {
        let mac = row.mac_key(&vec![1; row.key_len()]).unwrap();
        let icv = &mut tag[..row.icv_len()];
        let count = allocations(|| {
            mac.sign(&[&data, &[0; 4]], icv).unwrap();
            mac.verify(&[&data, &[0; 4]], icv).unwrap();
        });
        assert_eq!(count, 0, "{row:?}");
    }
    for row in provider.prf.iter() {
        let prf = row.prf_key(&[1; 32]).unwrap();
        let mut out = vec![0; row.output_len()];
        assert_eq!(allocations(|| prf.compute(&[&data], &mut out).unwrap()), 0, "{row:?}");
    }
}
