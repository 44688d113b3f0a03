//! Octets that must not leak: zeroized on drop, silent in `Debug`, compared in constant time.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Key material. It is wiped when dropped, prints only its length, and compares in constant time.
///
/// There is no `Clone`: a second copy is made by [`Secret::duplicate`], so that copies can be found by name.
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes a copy of `octets`. The caller's own copy stays the caller's to wipe.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.into())
    }

    /// `len` octets of zero, to be filled in place.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self(vec![0; len].into_boxed_slice())
    }

    /// The octets themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The octets themselves, to fill a secret in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Length in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no octets at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A second copy of the same octets.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The first `at` octets and the rest, as two secrets; `None` when there are fewer than `at`.
    #[must_use]
    pub fn split_at(&self, at: usize) -> Option<(Self, Self)> {
        let (head, tail) = self.0.split_at_checked(at)?;
        Some((Self::new(head), Self::new(tail)))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<&[u8]> for Secret {
    fn from(octets: &[u8]) -> Self {
        Self::new(octets)
    }
}

/// Takes the vector over and wipes nothing else: a vector that was grown before may have left copies behind.
impl From<Vec<u8>> for Secret {
    fn from(octets: Vec<u8>) -> Self {
        let mut octets = octets;
        let secret = Self::new(&octets);
        octets.zeroize();
        secret
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn debug_prints_the_length_alone() {
        assert_eq!(format!("{:?}", Secret::new(b"swordfish")), "Secret(9 octets)");
    }

    #[test]
    fn equality_covers_length_and_octets() {
        assert_eq!(Secret::new(b"abc"), Secret::new(b"abc"));
        assert_ne!(Secret::new(b"abc"), Secret::new(b"abd"));
        assert_ne!(Secret::new(b"abc"), Secret::new(b"abcd"));
    }

    #[test]
    fn split_at_refuses_what_is_too_short() {
        let (head, tail) = Secret::new(b"abcde").split_at(2).unwrap();
        assert_eq!((head.expose(), tail.expose()), (&b"ab"[..], &b"cde"[..]));
        assert!(Secret::new(b"a").split_at(2).is_none());
    }
}
