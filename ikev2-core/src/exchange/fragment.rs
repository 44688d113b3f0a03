//! IKE fragmentation (RFC 7383): putting the pieces of a message together.
//!
//! Only authentic pieces get here: the ICV is verified before anything is stored (§2.6). What is stored has a cap in
//! pieces, in octets and in messages at once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use ipsec_wire::ike::PayloadType;
use zeroize::Zeroizing;

use crate::table::Table;

/// The most pieces of one message.
pub(crate) const MAX_FRAGMENTS: u16 = 64;

/// The most octets of all pieces that wait.
const MAX_WAITING: usize = 1 << 16;

/// The most messages that are put together at once: the older gives way.
const MAX_MESSAGES: usize = 4;

/// Which message: whether it is a response, and its id. Requests and responses have ids of their own.
type Key = (bool, u32);

/// A whole message's payloads.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Whole {
    pub(crate) first: PayloadType,
    pub(crate) octets: Zeroizing<Vec<u8>>,
    /// What stood before the first of them, in the first piece.
    pub(crate) front: Vec<u8>,
}

/// Pieces of messages under one epoch of keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reassembly {
    waiting: Table<Key, Pieces>,
}

#[derive(Clone, Debug, Default)]
struct Pieces {
    total: u16,
    first: PayloadType,
    front: Vec<u8>,
    pieces: BTreeMap<u16, Zeroizing<Vec<u8>>>,
}

impl Pieces {
    fn octets(&self) -> usize {
        self.pieces.values().map(|piece| piece.len()).sum::<usize>() + self.front.len()
    }
}

impl Reassembly {
    /// Takes an authentic piece and what stood before its payloads; gives the message when it is the last one missing.
    pub(crate) fn add(
        &mut self,
        key: Key,
        (number, total): (u16, u16),
        first: PayloadType,
        octets: &[u8],
        front: &[u8],
    ) -> Option<Whole> {
        if total > MAX_FRAGMENTS || number == 0 || number > total {
            return None;
        }
        if !self.waiting.contains_key(&key) && self.waiting.len() >= MAX_MESSAGES {
            self.waiting.pop_first();
        }
        let others: usize =
            self.waiting.iter().filter(|(other, _)| **other != key).map(|(_, pieces)| pieces.octets()).sum();
        let pieces = self.waiting.entry(key, Pieces::default)?;
        // A larger total means that the sender has cut it anew, into smaller pieces: begin again. A smaller one is
        // late (RFC 7383 §2.6).
        if total < pieces.total {
            return None;
        }
        if total > pieces.total {
            *pieces = Pieces { total, ..Pieces::default() };
        }
        let front = if number == 1 && !pieces.pieces.contains_key(&1) { front } else { &[] };
        if others + pieces.octets() + octets.len() + front.len() > MAX_WAITING {
            self.waiting.remove(&key);
            return None;
        }
        if number == 1 {
            pieces.first = first;
            pieces.front.extend_from_slice(front);
        }
        pieces.pieces.entry(number).or_insert_with(|| Zeroizing::new(octets.to_vec()));
        if pieces.pieces.len() < usize::from(total) {
            return None;
        }
        let pieces = self.waiting.remove(&key)?;
        let mut octets = Zeroizing::new(Vec::with_capacity(pieces.octets()));
        for piece in pieces.pieces.values() {
            octets.extend_from_slice(piece);
        }
        Some(Whole { first: pieces.first, octets, front: pieces.front })
    }

    /// The message has come whole after all, or is answered.
    pub(crate) fn forget(&mut self, key: Key) {
        self.waiting.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (false, 7);
    const SA: PayloadType = PayloadType::SA;
    const NONE: PayloadType = PayloadType::NONE;

    fn whole(octets: &[u8]) -> Option<Whole> {
        Some(Whole { first: SA, octets: Zeroizing::new(octets.to_vec()), front: Vec::new() })
    }

    #[test]
    fn pieces_may_come_in_any_order_and_twice() {
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.add(KEY, (3, 3), NONE, b"e", b""), None);
        assert_eq!(reassembly.add(KEY, (1, 3), SA, b"ab", b""), None);
        assert_eq!(reassembly.add(KEY, (1, 3), SA, b"xx", b""), None);
        assert_eq!(reassembly.add(KEY, (2, 3), NONE, b"cd", b""), whole(b"abcde"));
        assert_eq!(reassembly.waiting.len(), 0);
    }

    #[test]
    fn what_stands_before_the_payloads_is_that_of_the_first_piece() {
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.add(KEY, (2, 2), NONE, b"b", b"second"), None);
        let whole = reassembly.add(KEY, (1, 2), SA, b"a", b"first").unwrap();
        assert_eq!((whole.front.as_slice(), whole.octets.as_slice()), (&b"first"[..], &b"ab"[..]));
        assert_eq!(reassembly.add(KEY, (1, 3), SA, b"a", b"first"), None);
        assert_eq!(reassembly.add(KEY, (1, 3), SA, b"a", b"again"), None);
        assert_eq!(reassembly.add(KEY, (2, 3), NONE, b"b", b""), None);
        assert_eq!(reassembly.add(KEY, (3, 3), NONE, b"c", b"").unwrap().front, b"first");
    }

    #[test]
    fn a_larger_total_begins_again_and_a_smaller_one_is_late() {
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.add(KEY, (1, 2), SA, b"abcd", b""), None);
        assert_eq!(reassembly.add(KEY, (1, 3), SA, b"ab", b""), None);
        assert_eq!(reassembly.add(KEY, (2, 2), NONE, b"ef", b""), None);
        assert_eq!(reassembly.add(KEY, (2, 3), NONE, b"cd", b""), None);
        assert_eq!(reassembly.add(KEY, (3, 3), NONE, b"ef", b""), whole(b"abcdef"));
    }

    #[test]
    fn numbers_that_cannot_be_are_dropped() {
        let mut reassembly = Reassembly::default();
        for numbers in [(0, 1), (2, 1), (1, 0), (1, MAX_FRAGMENTS + 1)] {
            assert_eq!(reassembly.add(KEY, numbers, SA, b"a", b""), None);
        }
        assert!(reassembly.waiting.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut reassembly = Reassembly::default();
        for id in 0..100 {
            for number in 1..MAX_FRAGMENTS {
                reassembly.add((id % 2 == 0, id), (number, MAX_FRAGMENTS), SA, &[0; 8000], &[0; 4000]);
                let waiting: usize = reassembly.waiting.values().map(Pieces::octets).sum();
                assert!(waiting <= MAX_WAITING && reassembly.waiting.len() <= MAX_MESSAGES);
            }
        }
    }
}
