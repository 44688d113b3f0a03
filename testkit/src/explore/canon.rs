//! States as numbers: what generators made up is renamed in order of appearance, of nonces only the order counts, and
//! messages are read through the [`crate::insecure`] provider's ciphertext.

use ikev2_core::sketch::{NameKind, Sketch};

/// Takes states in and gives their fingerprint. Two states with the same one are taken for the same: 128 bits.
#[derive(Debug)]
pub(crate) struct Canon {
    hash: [u64; 2],
    names: Vec<(u8, u64)>,
    nonces: Vec<[u8; 16]>,
    /// Handles and job numbers of one side have nothing to do with the other's.
    side: u8,
}

const HEADER: usize = 28;
const IV: usize = 8;
const TAG: usize = 16;
const SA: u8 = 33;
const KE: u8 = 34;
const AUTH: u8 = 39;
const NONCE: u8 = 40;
const NOTIFY: u8 = 41;
const DELETE: u8 = 42;
const SK: u8 = 46;

impl Canon {
    pub(crate) fn new() -> Self {
        Self { hash: [0x9e37_79b9, 0x85eb_ca6b], names: Vec::new(), nonces: Vec::new(), side: 0 }
    }

    /// What follows is one side's.
    pub(crate) fn side(&mut self, side: u8) {
        self.side = side;
        self.word(u64::from(side) | 0x5a5a_0000);
    }

    pub(crate) fn finish(mut self) -> u128 {
        let mut order: Vec<usize> = (0..self.nonces.len()).collect();
        order.sort_by_key(|index| self.nonces[*index]);
        for place in order {
            self.word(place as u64);
        }
        u128::from(self.hash[0]) << 64 | u128::from(self.hash[1])
    }

    fn word(&mut self, word: u64) {
        self.hash[0] = (self.hash[0] ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        self.hash[1] = (self.hash[1].rotate_left(23) ^ word).wrapping_mul(0xd129_42f3_6b2f_9a55);
        self.hash[1] ^= self.hash[1] >> 31;
    }

    fn octets(&mut self, octets: &[u8]) {
        self.word(octets.len() as u64);
        for chunk in octets.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn named(&mut self, kind: u8, name: u64) {
        if name == 0 {
            return self.word(0);
        }
        let place = self.names.iter().position(|known| *known == (kind, name)).unwrap_or_else(|| {
            self.names.push((kind, name));
            self.names.len() - 1
        });
        self.word(place as u64 + 1);
    }

    fn spi(&mut self, octets: &[u8]) {
        let value = octets.iter().fold(0u64, |value, octet| value << 8 | u64::from(*octet));
        match octets.len() {
            0 => self.word(0),
            4 => self.named(NameKind::ChildSpi as u8, value),
            _ => self.named(NameKind::IkeSpi as u8, value),
        }
    }

    /// The payloads from `data` on, the first of which has this type.
    fn chain(&mut self, mut next: u8, mut data: &[u8], protected: bool) {
        while next != 0 {
            let [following, _, high, low, ..] = *data else { return self.octets(data) };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some((payload, rest)) = data.split_at_checked(length) else { return self.octets(data) };
            let body = payload.get(4..).unwrap_or_default();
            self.word(u64::from(next));
            match next {
                SA => self.proposals(body),
                KE => self.octets(body.get(..2).unwrap_or_default()),
                // Follows from keys and messages.
                AUTH => {}
                NONCE if protected => self.nonce(body),
                NONCE => {}
                NOTIFY => self.notify(body),
                DELETE => {
                    let (head, spis) = body.split_at_checked(4).unwrap_or_default();
                    self.octets(head);
                    for spi in spis.chunks(usize::from(head.get(1).copied().unwrap_or(1)).max(1)) {
                        self.spi(spi);
                    }
                }
                SK => {
                    let end = body.len().saturating_sub(TAG);
                    return self.chain(following, body.get(IV..end).unwrap_or_default(), true);
                }
                _ => self.octets(body),
            }
            (next, data) = (following, rest);
        }
    }

    fn proposals(&mut self, mut body: &[u8]) {
        while let [_, _, high, low, number, protocol, spi_len, ..] = *body {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some((proposal, rest)) = body.split_at_checked(length) else { return self.octets(body) };
            let (spi, transforms) = proposal
                .get(8..)
                .and_then(|all| all.split_at_checked(usize::from(spi_len)))
                .unwrap_or_default();
            self.octets(&[number, protocol]);
            self.spi(spi);
            self.octets(transforms);
            body = rest;
        }
    }

    fn notify(&mut self, body: &[u8]) {
        let (head, rest) = body.split_at_checked(4).unwrap_or_default();
        let (spi, data) =
            rest.split_at_checked(usize::from(head.get(1).copied().unwrap_or(0))).unwrap_or_default();
        self.octets(head);
        self.spi(spi);
        // NAT detection and cookies follow from SPIs, addresses and a secret.
        if !matches!(head, [_, _, 0x40, 0x04..=0x06]) {
            self.octets(data);
        }
    }
}

impl Sketch for Canon {
    fn number(&mut self, number: u64) {
        self.word(number);
    }

    fn name(&mut self, kind: NameKind, name: u64) {
        let side = match kind {
            NameKind::IkeSpi | NameKind::ChildSpi => 0,
            NameKind::Handle | NameKind::Op => self.side << 4,
        };
        self.named(kind as u8 | side, name);
    }

    fn nonce(&mut self, nonce: &[u8]) {
        let mut start = [0; 16];
        let len = nonce.len().min(16);
        start[..len].copy_from_slice(&nonce[..len]);
        let place = self.nonces.iter().position(|known| *known == start).unwrap_or_else(|| {
            self.nonces.push(start);
            self.nonces.len() - 1
        });
        self.word(place as u64);
    }

    fn message(&mut self, datagram: &[u8]) {
        let datagram = datagram.strip_prefix(&[0; 4]).unwrap_or(datagram);
        let Some((header, payloads)) = datagram.split_at_checked(HEADER) else {
            return self.octets(datagram);
        };
        self.spi(&header[..8]);
        self.spi(&header[8..16]);
        self.octets(&header[18..24]);
        self.chain(header[16], payloads, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(draw: impl FnOnce(&mut Canon)) -> u128 {
        let mut canon = Canon::new();
        draw(&mut canon);
        canon.finish()
    }

    #[test]
    fn names_count_by_appearance_and_nonces_by_order() {
        let names = |list: &[u64]| {
            fingerprint(|canon| list.iter().for_each(|name| canon.name(NameKind::ChildSpi, *name)))
        };
        assert_eq!(names(&[700, 900, 700]), names(&[5, 3, 5]));
        assert_ne!(names(&[700, 900, 700]), names(&[5, 3, 3]));
        let nonces =
            |list: &[u8]| fingerprint(|canon| list.iter().for_each(|first| canon.nonce(&[*first; 33])));
        assert_eq!(nonces(&[1, 2, 3]), nonces(&[7, 8, 200]));
        assert_ne!(nonces(&[1, 2, 3]), nonces(&[1, 3, 2]));
        assert_ne!(fingerprint(|canon| canon.number(1)), fingerprint(|canon| canon.number(2)));
    }
}
