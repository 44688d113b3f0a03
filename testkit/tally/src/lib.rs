//! An allocator that counts what each thread asks for. A test program that uses anything of this crate allocates by it.
//!
//! The counts are of the calling thread alone, so that tests beside each other do not disturb them.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

thread_local! {
    // Const-initialised and without destructors, so that reading them does not allocate.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches thread-local numbers only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Thread locals are gone while a thread ends.
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + layout.size()));
        let _ = LIVE.try_with(|live| live.set(live.get() + layout.size().cast_signed()));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let _ = LIVE.try_with(|live| live.set(live.get() - layout.size().cast_signed()));
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Octets that this thread has allocated and not freed; what it frees for another thread counts below zero.
#[must_use]
pub fn live() -> isize {
    LIVE.get()
}

/// How often the work allocates or reallocates.
pub fn calls(work: impl FnOnce()) -> usize {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

/// How often the work allocates or reallocates, and how many octets it asks for in all, those included that it frees.
pub fn asked(work: impl FnOnce()) -> (usize, usize) {
    let before = ASKED.get();
    let calls = calls(work);
    (calls, ASKED.get() - before)
}

/// What the work makes, and how many octets more are allocated after it than before.
pub fn kept<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = live();
    let made = work();
    (made, live() - before)
}

#[cfg(test)]
mod tests {
    use core::hint::black_box;

    use super::*;

    #[test]
    fn what_is_allocated_is_counted() {
        assert_eq!(calls(|| _ = black_box(7)), 0);
        assert_eq!(calls(|| drop(black_box(Box::new(7)))), 1);
        assert_eq!(asked(|| drop(black_box([vec![0u8; 1000], vec![0u8; 24]]))), (2, 1024));
        let grown = asked(|| {
            let mut octets: Vec<u8> = black_box(Vec::with_capacity(10));
            octets.reserve_exact(black_box(30));
        });
        assert_eq!(grown, (2, 40));
        let (made, octets) = kept(|| Box::new([0u8; 100]));
        assert_eq!(octets, 100);
        assert_eq!(kept(|| drop(made)).1, -100);
        std::thread::scope(|scope| {
            let others = live();
            scope.spawn(|| drop(black_box(vec![0u8; 1 << 20])));
            assert!(live() - others < 1 << 16, "of this thread alone");
        });
    }
}
