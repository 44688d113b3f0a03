//! The trailer (RFC 4303 §2.4–2.6): padding 1, 2, 3, …, its length, and the next header.

use ipsec_wire::IpProtocol;

/// The default padding; the longest there is.
static PADDING: [u8; 255] = {
    let mut octets = [0; 255];
    let mut i = 0;
    while i < 255 {
        octets[i] = i as u8 + 1;
        i += 1;
    }
    octets
};

/// Octets of pad length and next header.
pub(crate) const TRAILER_LEN: usize = 2;

/// How much padding makes payload and trailer a multiple of `align`, a power of two of at most 128.
#[inline]
pub(crate) const fn padding_len(payload: usize, align: usize) -> usize {
    payload.wrapping_add(TRAILER_LEN).wrapping_neg() & (align - 1)
}

/// Writes padding, its length and the next header over all of `trailer`. `None`: it is not 2..=257 octets long.
#[inline]
pub(crate) fn write(trailer: &mut [u8], next: IpProtocol) -> Option<()> {
    let (padding, [len, next_header]) = trailer.split_last_chunk_mut::<TRAILER_LEN>()?;
    // All but CBC have three octets at most, for which a call would cost more than they do.
    match &mut *padding {
        [] => {}
        [a] => *a = 1,
        [a, b] => [*a, *b] = [1, 2],
        [a, b, c] => [*a, *b, *c] = [1, 2, 3],
        longer => longer.iter_mut().zip(&PADDING).for_each(|(octet, value)| *octet = *value),
    }
    *len = u8::try_from(padding.len()).ok()?;
    *next_header = next.0;
    Some(())
}

/// Length of the payload in front of the trailer, and the next header. `None`: the padding is not what it must be.
#[inline]
pub(crate) fn read(plaintext: &[u8]) -> Option<(usize, IpProtocol)> {
    let (rest, [len, next_header]) = plaintext.split_last_chunk::<TRAILER_LEN>()?;
    let payload = rest.len().checked_sub(usize::from(*len))?;
    let padding = rest.get(payload..)?;
    (padding == PADDING.get(..padding.len())?).then_some((payload, IpProtocol(*next_header)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_aligned_and_reads_back() {
        for align in [4, 8, 16] {
            for payload in 0..64 {
                let padding = padding_len(payload, align);
                assert!(padding < align && (payload + padding + 2).is_multiple_of(align));
                let mut packet = [0xaa; 100];
                let total = payload + padding + 2;
                write(&mut packet[payload..total], IpProtocol::TCP).unwrap();
                assert_eq!(read(&packet[..total]), Some((payload, IpProtocol::TCP)));
            }
        }
    }

    #[test]
    fn wrong_padding_is_refused() {
        assert_eq!(read(&[1, 2, 2, 4]), Some((0, IpProtocol::IPV4)));
        assert_eq!(read(&[1, 3, 2, 4]), None);
        assert_eq!(read(&[0, 2, 2, 4]), None);
        assert_eq!(read(&[1, 2, 3, 4]), None);
        assert_eq!(read(&[4]), None);
        let mut longest = [0; 257];
        write(&mut longest, IpProtocol::UDP).unwrap();
        assert_eq!(read(&longest), Some((0, IpProtocol::UDP)));
    }
}
