//! The known name that comes closest to a misspelt one.

use super::SuiteProtocol;
use super::names::{Algorithm, table};

/// The longest token worth comparing; the longest name has 19 octets.
const MAX_TOKEN: usize = 24;

/// The name at the smallest distance, if that is a third of the token or less. The first in the table wins a tie.
pub(super) fn nearest(
    token: &str,
    protocol: SuiteProtocol,
    fits: impl Fn(Algorithm) -> bool,
) -> Option<&'static str> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    table(protocol)
        .filter(|&&(_, algorithm)| fits(algorithm))
        .map(|&(name, _)| (distance(token.as_bytes(), name.as_bytes()), name))
        .filter(|&(distance, _)| distance <= token.len().div_ceil(3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Edits from one to the other: an octet inserted, removed, exchanged, or swapped with its neighbour.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len() > MAX_TOKEN || b.len() > MAX_TOKEN {
        return usize::MAX;
    }
    // rows[i][j]: distance between the first i octets of a and the first j of b.
    let mut rows = [[0usize; MAX_TOKEN + 1]; MAX_TOKEN + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, edits) in rows[0].iter_mut().enumerate() {
        *edits = j;
    }
    let same = |x: u8, y: u8| x.eq_ignore_ascii_case(&y);
    for (i, &x) in a.iter().enumerate() {
        for (j, &y) in b.iter().enumerate() {
            let mut least = rows[i][j] + usize::from(!same(x, y));
            least = least.min(rows[i][j + 1] + 1).min(rows[i + 1][j] + 1);
            if i > 0 && j > 0 && same(x, b[j - 1]) && same(a[i - 1], y) {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            rows[i + 1][j + 1] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance(b"aes256", b"aes256"), 0);
        assert_eq!(distance(b"aes256", b"AES256"), 0);
        assert_eq!(distance(b"aes265", b"aes256"), 1);
        assert_eq!(distance(b"ase256", b"aes256gcm"), 4);
        assert_eq!(distance(b"", b"sha"), 3);
    }

    #[test]
    fn every_name_can_be_compared() {
        for protocol in [SuiteProtocol::Ike, SuiteProtocol::Ah] {
            assert!(table(protocol).all(|(name, _)| name.len() <= MAX_TOKEN));
        }
    }
}
