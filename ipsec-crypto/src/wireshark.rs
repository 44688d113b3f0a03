//! What Wireshark calls the algorithms in its key tables: the whole of its preference files' vocabulary that fits rows here.
//!
//! Taken from what tshark 4.6 accepts in the files `esp_sa` and `ikev2_decryption_table`. Older ones know neither ChaCha20 nor
//! implicit IVs in ESP: tshark 4.0 says so of the line and takes the others.

use ipsec_wire::ike::{EncrId, IntegId};

/// In `esp_sa`, where keys are of any length.
pub(crate) const fn esp_encryption(id: EncrId) -> Option<&'static str> {
    Some(match id {
        EncrId::NULL => "NULL",
        EncrId::DES => "DES-CBC [RFC2405]",
        EncrId::TRIPLE_DES => "TripleDES-CBC [RFC2451]",
        EncrId::AES_CBC => "AES-CBC [RFC3602]",
        EncrId::AES_CTR => "AES-CTR [RFC3686]",
        EncrId::AES_GCM_8 => "AES-GCM with 8 octet ICV [RFC4106]",
        EncrId::AES_GCM_12 => "AES-GCM with 12 octet ICV [RFC4106]",
        EncrId::AES_GCM_16 => "AES-GCM with 16 octet ICV [RFC4106]",
        EncrId::AES_GCM_16_IIV => "AES-GCM with IIV and 16 octet ICV [RFC4106 & RFC8750]",
        EncrId::CHACHA20_POLY1305 => "ChaCha20 with Poly1305 [RFC7634]",
        EncrId::CHACHA20_POLY1305_IIV => "ChaCha20 with Poly1305 and IIV [RFC7634 & RFC8750]",
        _ => return None,
    })
}

/// In `ikev2_decryption_table`, for a key of so many octets without its salt.
pub(crate) const fn ike_encryption(id: EncrId, key_len: usize) -> Option<&'static str> {
    Some(match (id, key_len) {
        (EncrId::TRIPLE_DES, 24) => "3DES [RFC2451]",
        (EncrId::AES_CBC, 16) => "AES-CBC-128 [RFC3602]",
        (EncrId::AES_CBC, 24) => "AES-CBC-192 [RFC3602]",
        (EncrId::AES_CBC, 32) => "AES-CBC-256 [RFC3602]",
        (EncrId::AES_CTR, 16) => "AES-CTR-128 [RFC5930]",
        (EncrId::AES_CTR, 24) => "AES-CTR-192 [RFC5930]",
        (EncrId::AES_CTR, 32) => "AES-CTR-256 [RFC5930]",
        (EncrId::AES_GCM_8, 16) => "AES-GCM-128 with 8 octet ICV [RFC5282]",
        (EncrId::AES_GCM_8, 24) => "AES-GCM-192 with 8 octet ICV [RFC5282]",
        (EncrId::AES_GCM_8, 32) => "AES-GCM-256 with 8 octet ICV [RFC5282]",
        (EncrId::AES_GCM_12, 16) => "AES-GCM-128 with 12 octet ICV [RFC5282]",
        (EncrId::AES_GCM_12, 24) => "AES-GCM-192 with 12 octet ICV [RFC5282]",
        (EncrId::AES_GCM_12, 32) => "AES-GCM-256 with 12 octet ICV [RFC5282]",
        (EncrId::AES_GCM_16, 16) => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        (EncrId::AES_GCM_16, 24) => "AES-GCM-192 with 16 octet ICV [RFC5282]",
        (EncrId::AES_GCM_16, 32) => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        (EncrId::AES_CCM_8, 16) => "AES-CCM-128 with 8 octet ICV [RFC5282]",
        (EncrId::AES_CCM_8, 24) => "AES-CCM-192 with 8 octet ICV [RFC5282]",
        (EncrId::AES_CCM_8, 32) => "AES-CCM-256 with 8 octet ICV [RFC5282]",
        (EncrId::AES_CCM_12, 16) => "AES-CCM-128 with 12 octet ICV [RFC5282]",
        (EncrId::AES_CCM_12, 24) => "AES-CCM-192 with 12 octet ICV [RFC5282]",
        (EncrId::AES_CCM_12, 32) => "AES-CCM-256 with 12 octet ICV [RFC5282]",
        (EncrId::AES_CCM_16, 16) => "AES-CCM-128 with 16 octet ICV [RFC5282]",
        (EncrId::AES_CCM_16, 24) => "AES-CCM-192 with 16 octet ICV [RFC5282]",
        (EncrId::AES_CCM_16, 32) => "AES-CCM-256 with 16 octet ICV [RFC5282]",
        _ => return None,
    })
}

/// In `esp_sa`. What Wireshark cannot compute goes by the length of its ICV.
pub(crate) const fn esp_integrity(id: IntegId) -> Option<&'static str> {
    Some(match id {
        IntegId::HMAC_MD5_96 => "HMAC-MD5-96 [RFC2403]",
        IntegId::HMAC_SHA1_96 => "HMAC-SHA-1-96 [RFC2404]",
        IntegId::HMAC_SHA2_256_128 => "HMAC-SHA-256-128 [RFC4868]",
        IntegId::HMAC_SHA2_384_192 => "HMAC-SHA-384-192 [RFC4868]",
        IntegId::HMAC_SHA2_512_256 => "HMAC-SHA-512-256 [RFC4868]",
        IntegId::AES_XCBC_96 | IntegId::AES_CMAC_96 => "ANY 96 bit authentication [no checking]",
        _ => return None,
    })
}

/// In `ikev2_decryption_table`, likewise.
pub(crate) const fn ike_integrity(id: IntegId) -> Option<&'static str> {
    Some(match id {
        IntegId::HMAC_MD5_96 => "HMAC_MD5_96 [RFC2403]",
        IntegId::HMAC_SHA1_96 => "HMAC_SHA1_96 [RFC2404]",
        IntegId::HMAC_SHA2_256_128 => "HMAC_SHA2_256_128 [RFC4868]",
        IntegId::HMAC_SHA2_384_192 => "HMAC_SHA2_384_192 [RFC4868]",
        IntegId::HMAC_SHA2_512_256 => "HMAC_SHA2_512_256 [RFC4868]",
        IntegId::AES_XCBC_96 | IntegId::AES_CMAC_96 => "ANY 96-bits of Authentication [No Checking]",
        _ => return None,
    })
}
