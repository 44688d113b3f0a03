//! Reading and writing big-endian fields without a way to panic.

use alloc::vec::Vec;
use core::ops::DerefMut;

use bytes::BytesMut;

use crate::error::{Counted, ParseError, ParseErrorKind};

/// The `N` octets at an offset.
#[inline]
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

/// An offset that the length of any slice can be added to. A caller's offset only serves to say where an error
/// is, and no buffer is so long that this changes a true one.
#[inline]
pub(crate) const fn base(offset: usize) -> usize {
    const HALF: usize = usize::MAX >> 1;
    if offset < HALF { offset } else { HALF }
}

/// Takes `n` from what a cap still allows.
#[inline]
pub(crate) fn spend(left: &mut usize, n: usize, what: Counted, offset: usize) -> Result<(), ParseError> {
    match left.checked_sub(n) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => Err(ParseErrorKind::TooMany(what).at(offset)),
    }
}

/// A length or count for a field of 8 bits; what does not fit is the field's maximum.
pub(crate) fn saturate8(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}

/// A length or count for a field of 16 bits; what does not fit is the field's maximum.
pub(crate) fn saturate16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// What octets are written to.
pub(crate) trait Out: DerefMut<Target = [u8]> {
    fn push(&mut self, octet: u8);
    fn extend_from_slice(&mut self, octets: &[u8]);
}

impl Out for Vec<u8> {
    fn push(&mut self, octet: u8) {
        Self::push(self, octet);
    }
    fn extend_from_slice(&mut self, octets: &[u8]) {
        Self::extend_from_slice(self, octets);
    }
}

impl Out for BytesMut {
    fn push(&mut self, octet: u8) {
        Self::extend_from_slice(self, &[octet]);
    }
    fn extend_from_slice(&mut self, octets: &[u8]) {
        Self::extend_from_slice(self, octets);
    }
}

pub(crate) fn put16(out: &mut impl Out, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Overwrites octets that were written before their value was known.
pub(crate) fn patch(out: &mut [u8], at: usize, value: &[u8]) {
    if let Some(field) = at.checked_add(value.len()).and_then(|end| out.get_mut(at..end)) {
        field.copy_from_slice(value);
    }
}
