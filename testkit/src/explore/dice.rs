//! A generator for exploring: what it says is a choice like any other.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand_core::{TryCryptoRng, TryRng};

/// Nonces have this length, and nothing else that is drawn has.
pub(crate) const NONCE_LEN: usize = 33;

/// What a world and the generators of its endpoints share.
#[derive(Debug)]
pub(crate) struct Luck {
    /// Everything drawn on the way to this world: no number comes twice.
    drawn: AtomicU64,
    /// Whether nonces drawn now are high ones.
    high: AtomicBool,
    /// Whether one was drawn.
    nonce: AtomicBool,
}

impl Luck {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            drawn: AtomicU64::new(1),
            high: AtomicBool::new(false),
            nonce: AtomicBool::new(false),
        })
    }

    /// For another world that is now in the same state.
    pub(crate) fn fork(&self, high: bool) -> Arc<Self> {
        Arc::new(Self {
            drawn: AtomicU64::new(self.drawn.load(Ordering::Relaxed)),
            high: AtomicBool::new(high),
            nonce: AtomicBool::new(false),
        })
    }

    /// Which nonces are drawn from now on.
    pub(crate) fn choose(&self, high: bool) {
        self.high.store(high, Ordering::Relaxed);
    }

    /// Whether a nonce was drawn since the fork: then it could have been one of the other kind.
    pub(crate) fn drew_nonce(&self) -> bool {
        self.nonce.load(Ordering::Relaxed)
    }
}

/// Numbers that are all different; nonces that are low or high as wanted; no jitter.
#[derive(Debug)]
pub(crate) struct Dice {
    pub(crate) luck: Arc<Luck>,
    /// What jitter is drawn from: always the same, but not on both sides.
    pub(crate) jitter: u64,
}

impl Dice {
    fn draw(&self) -> u64 {
        let mut word = self.luck.drawn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [_, _, _, _, a, b, c, d] = self.draw().to_be_bytes();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.jitter)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(8) {
            let word = self.draw().to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        if let (NONCE_LEN, Some(first)) = (out.len(), out.first_mut()) {
            *first = if self.luck.high.load(Ordering::Relaxed) { 0xff } else { 0 };
            self.luck.nonce.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl TryCryptoRng for Dice {}
