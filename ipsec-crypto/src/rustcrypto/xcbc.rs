//! AES-XCBC-MAC (RFC 3566): CBC-MAC over AES-128 with two more keys for the last block.

use aes::Aes128;
use cipher::consts::U16;
use cipher::{Array, BlockCipherEncrypt, Key, KeyInit, KeySizeUser};
use digest::{FixedOutput, MacMarker, Output, OutputSizeUser, Update};
use zeroize::{Zeroize, ZeroizeOnDrop};

type Block = Array<u8, U16>;

/// The MAC's state. Nothing in it branches or looks up by a secret, and it is wiped when dropped.
#[derive(Clone)]
pub(super) struct Xcbc {
    cipher: Aes128,
    /// Added to a last block that is whole (§4: K2).
    whole: Block,
    /// Added to a last block that was padded (§4: K3).
    padded: Block,
    state: Block,
    /// The block not yet encrypted: only at the end is it known whether it is the last.
    pending: Block,
    filled: usize,
}

impl KeySizeUser for Xcbc {
    type KeySize = U16;
}

impl KeyInit for Xcbc {
    fn new(key: &Key<Self>) -> Self {
        let from_key = Aes128::new(key);
        let derived = |number: u8| {
            let mut block = Array([number; 16]);
            from_key.encrypt_block(&mut block);
            block
        };
        let mut first = derived(1);
        let cipher = Aes128::new(&first);
        first.zeroize();
        Self {
            cipher,
            whole: derived(2),
            padded: derived(3),
            state: Block::default(),
            pending: Block::default(),
            filled: 0,
        }
    }
}

impl Xcbc {
    fn absorb(&mut self, block: &Block) {
        add(&mut self.state, block);
        self.cipher.encrypt_block(&mut self.state);
    }
}

fn add(state: &mut Block, block: &Block) {
    for (octet, other) in state.iter_mut().zip(block) {
        *octet ^= other;
    }
}

impl Update for Xcbc {
    fn update(&mut self, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() {
            if self.filled == 16 {
                let block = self.pending;
                self.absorb(&block);
                self.filled = 0;
            }
            let (head, tail) = rest.split_at(rest.len().min(16 - self.filled));
            self.pending.iter_mut().skip(self.filled).zip(head).for_each(|(slot, octet)| *slot = *octet);
            self.filled += head.len();
            rest = tail;
        }
    }
}

impl OutputSizeUser for Xcbc {
    type OutputSize = U16;
}

impl FixedOutput for Xcbc {
    fn finalize_into(mut self, out: &mut Output<Self>) {
        let mut last = self.pending;
        if self.filled == 16 {
            add(&mut last, &self.whole);
        } else {
            // §4: a one bit, then zeros; an empty message is such a block too.
            for (at, octet) in last.iter_mut().enumerate().skip(self.filled) {
                *octet = if at == self.filled { 0x80 } else { 0 };
            }
            add(&mut last, &self.padded);
        }
        self.absorb(&last);
        last.zeroize();
        *out = self.state;
    }
}

impl MacMarker for Xcbc {}

impl Drop for Xcbc {
    fn drop(&mut self) {
        for block in [&mut self.whole, &mut self.padded, &mut self.state, &mut self.pending] {
            block.zeroize();
        }
    }
}

/// AES wipes its own schedule.
impl ZeroizeOnDrop for Xcbc {}
