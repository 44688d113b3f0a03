//! The Puzzle Solution payload PS (RFC 8019 §8.2): four keys of one size for the puzzle's PRF.

/// A PS payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PuzzleSolutionView<'a> {
    /// The four keys, one behind the other.
    pub data: &'a [u8],
}

impl<'a> PuzzleSolutionView<'a> {
    /// The keys; `None` when the data is empty or not of four equal parts, which solves nothing.
    #[must_use]
    pub fn keys(&self) -> Option<[&'a [u8]; 4]> {
        if self.data.is_empty() || !self.data.len().is_multiple_of(4) {
            return None;
        }
        let mut keys = self.data.chunks_exact(self.data.len() / 4);
        Some([keys.next()?, keys.next()?, keys.next()?, keys.next()?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_keys_or_none() {
        let octets = [1, 2, 3, 4, 5, 6, 7, 8];
        let keys = PuzzleSolutionView { data: &octets }.keys();
        assert_eq!(keys, Some([&[1, 2][..], &[3, 4], &[5, 6], &[7, 8]]));
        for bad in [&octets[..0], &octets[..6], &octets[..3]] {
            assert_eq!(PuzzleSolutionView { data: bad }.keys(), None);
        }
    }
}
