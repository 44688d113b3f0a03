//! Every interleaving of a few threads on what an SA shares between cores. Run with
//! `RUSTFLAGS='--cfg loom' cargo test -p ipsec-sa --features shared --test loom`.
#![cfg(loom)]

use ipsec_sa::{ReplayError, SharedReplayWindow, SharedSequenceCounter};
use ipsec_wire::ike::SnId;
use loom::sync::Arc;
use loom::thread;

#[test]
fn numbers_are_given_out_once_and_end() {
    loom::model(|| {
        let counter = Arc::new(SharedSequenceCounter::new(SnId::SEQUENTIAL_32, u64::from(u32::MAX) - 3));
        let take =
            |counter: &SharedSequenceCounter| [(); 2].map(|()| counter.reserve().ok().map(|seq| seq.value()));
        let other = {
            let counter = Arc::clone(&counter);
            thread::spawn(move || take(&counter))
        };
        let mut all = [take(&counter), other.join().unwrap()].concat();
        all.sort_unstable();
        // Three numbers for four attempts.
        let last = u64::from(u32::MAX);
        assert_eq!(all, [None, Some(last - 2), Some(last - 1), Some(last)]);
        assert!(counter.reserve().is_err() && counter.remaining() == 0);
    });
}

#[test]
fn one_of_two_that_bring_a_number_is_told_that_it_is_new() {
    loom::model(|| {
        let window = Arc::new(SharedReplayWindow::new(64, 0));
        let other = {
            let window = Arc::clone(&window);
            thread::spawn(move || (window.accept(5), window.accept(6)))
        };
        let ours = (window.accept(6), window.accept(5));
        let theirs = other.join().unwrap();
        assert!(ours.1.is_ok() != theirs.0.is_ok());
        assert!(ours.0.is_ok() != theirs.1.is_ok());
        assert_eq!(window.top(), 6);
        assert_eq!((window.check(5), window.check(7)), (Err(ReplayError::Replayed), Ok(())));
    });
}

#[test]
fn a_number_is_not_new_again_when_the_window_moves_over_it() {
    loom::model(|| {
        let window = Arc::new(SharedReplayWindow::new(64, 0));
        // Five words of sixteen: 80 numbers further on the same word is used anew.
        let other = {
            let window = Arc::clone(&window);
            thread::spawn(move || {
                let first = window.accept(1);
                (first, window.accept(81))
            })
        };
        let again = window.accept(1);
        let (first, far) = other.join().unwrap();
        assert!(far.is_ok());
        assert!(!(first.is_ok() && again.is_ok()));
        assert_eq!((window.check(1), window.top()), (Err(ReplayError::BelowWindow), 81));
    });
}

#[test]
fn three_threads_agree_on_neighbours() {
    // All interleavings take minutes; nothing is found beyond three preemptions.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let window = Arc::new(SharedReplayWindow::new(64, 0));
        let threads: Vec<_> = [3u64, 4]
            .map(|seq| {
                let window = Arc::clone(&window);
                thread::spawn(move || window.accept(seq).is_ok())
            })
            .into();
        let ours = [window.accept(3).is_ok(), window.accept(4).is_ok()];
        let theirs: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(ours[0] != theirs[0] && ours[1] != theirs[1]);
    });
}
