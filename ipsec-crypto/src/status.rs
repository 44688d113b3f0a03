//! Where the RFCs stand on an algorithm: one table for each transform type, whatever provider computes it.

use ipsec_wire::ike::{EncrId, IntegId, KeId, PrfId};

/// Where RFC 8221 (ESP and AH), RFC 8247 (IKEv2) and RFC 9395 (what is retired since) stand on an algorithm. The signs
/// behind some of their words, which tell where one is heading, are left out: MUST- is [`Status::Must`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// Not to be used; such rows exist only under the feature `legacy`.
    MustNot,
    /// Advised against.
    ShouldNot,
    /// Optional, and whatever the RFCs say nothing about.
    May,
    /// Advised.
    Should,
    /// Required of every implementation.
    Must,
}

impl Status {
    /// Encryption in ESP (RFC 8221 §5).
    #[must_use]
    pub const fn of_encryption(id: EncrId) -> Self {
        match id {
            EncrId::NULL | EncrId::AES_CBC | EncrId::AES_GCM_16 => Self::Must,
            EncrId::AES_CCM_8 | EncrId::CHACHA20_POLY1305 => Self::Should,
            EncrId::TRIPLE_DES => Self::ShouldNot,
            _ if Self::retired(id) => Self::MustNot,
            _ => Self::May,
        }
    }

    /// Encryption of IKE's own messages (RFC 8247 §2.1).
    #[must_use]
    pub const fn of_encryption_in_ike(id: EncrId) -> Self {
        match id {
            EncrId::AES_CBC => Self::Must,
            EncrId::AES_CCM_8 | EncrId::AES_GCM_16 | EncrId::CHACHA20_POLY1305 => Self::Should,
            EncrId::NULL => Self::MustNot,
            _ if Self::retired(id) => Self::MustNot,
            _ => Self::May,
        }
    }

    /// RFC 8221 §5, and RFC 9395 for the rest.
    const fn retired(id: EncrId) -> bool {
        matches!(
            id,
            EncrId::DES_IV64
                | EncrId::DES
                | EncrId::RC5
                | EncrId::IDEA
                | EncrId::CAST
                | EncrId::BLOWFISH
                | EncrId::TRIPLE_IDEA
                | EncrId::DES_IV32
        )
    }

    /// Integrity, of which both RFCs say the same (RFC 8221 §6, RFC 8247 §2.3). None at all is for combined modes alone.
    #[must_use]
    pub const fn of_integrity(id: IntegId) -> Self {
        match id {
            IntegId::NONE | IntegId::HMAC_SHA1_96 | IntegId::HMAC_SHA2_256_128 => Self::Must,
            IntegId::HMAC_SHA2_512_256 | IntegId::AES_XCBC_96 => Self::Should,
            IntegId::HMAC_MD5_96 | IntegId::DES_MAC | IntegId::KPDK_MD5 | IntegId::HMAC_MD5_128 => {
                Self::MustNot
            }
            _ => Self::May,
        }
    }

    /// Pseudorandom functions (RFC 8247 §2.2).
    #[must_use]
    pub const fn of_prf(id: PrfId) -> Self {
        match id {
            PrfId::HMAC_SHA2_256 | PrfId::HMAC_SHA1 => Self::Must,
            PrfId::HMAC_SHA2_512 | PrfId::AES128_XCBC => Self::Should,
            PrfId::HMAC_MD5 | PrfId::HMAC_TIGER => Self::MustNot,
            _ => Self::May,
        }
    }

    /// Key exchange methods (RFC 8247 §2.4). Those that came later, curve25519 and ML-KEM among them, have no word yet.
    #[must_use]
    pub const fn of_key_exchange(id: KeId) -> Self {
        match id {
            KeId::MODP_2048 => Self::Must,
            KeId::ECP_256 => Self::Should,
            KeId::MODP_1024 | KeId::MODP_1536 | KeId::MODP_2048_224 | KeId::MODP_2048_256 => Self::ShouldNot,
            KeId::MODP_768 | KeId::MODP_1024_160 => Self::MustNot,
            _ => Self::May,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Status::{May, Must, MustNot, Should, ShouldNot};
    use super::*;

    /// The tables of RFC 8221 §5 and RFC 8247 §2.1 by IANA's numbers.
    #[test]
    fn encryption() {
        let esp = [
            (1, MustNot),
            (2, MustNot),
            (3, ShouldNot),
            (7, MustNot),
            (8, MustNot),
            (9, MustNot),
            (11, Must),
            (12, Must),
            (14, Should),
            (20, Must),
            (28, Should),
            (13, May),
        ];
        for (id, status) in esp {
            assert_eq!(Status::of_encryption(EncrId(id)), status, "{id}");
        }
        let ike = [
            (12, Must),
            (28, Should),
            (20, Should),
            (14, Should),
            (3, May),
            (2, MustNot),
            (11, MustNot),
            (13, May),
        ];
        for (id, status) in ike {
            assert_eq!(Status::of_encryption_in_ike(EncrId(id)), status, "{id}");
        }
    }

    /// The tables of RFC 8221 §6 and RFC 8247 §2.3.
    #[test]
    fn integrity() {
        let table = [
            (0, Must),
            (1, MustNot),
            (2, Must),
            (3, MustNot),
            (4, MustNot),
            (5, Should),
            (9, May),
            (11, May),
            (12, Must),
            (13, May),
            (14, Should),
        ];
        for (id, status) in table {
            assert_eq!(Status::of_integrity(IntegId(id)), status, "{id}");
        }
    }

    /// The tables of RFC 8247 §2.2 and §2.4.
    #[test]
    fn pseudorandom_functions_and_key_exchanges() {
        for (id, status) in [(5, Must), (7, Should), (2, Must), (4, Should), (1, MustNot), (6, May), (8, May)]
        {
            assert_eq!(Status::of_prf(PrfId(id)), status, "{id}");
        }
        let table = [
            (14, Must),
            (19, Should),
            (5, ShouldNot),
            (2, ShouldNot),
            (1, MustNot),
            (22, MustNot),
            (23, ShouldNot),
            (24, ShouldNot),
            (15, May),
            (31, May),
            (36, May),
        ];
        for (id, status) in table {
            assert_eq!(Status::of_key_exchange(KeId(id)), status, "{id}");
        }
    }
}
