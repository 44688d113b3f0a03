//! The kernel's names of algorithms, and how `ip xfrm` wants them.

use ipsec::wire::ike::{EncrId, IntegId};

/// The name of an encryption algorithm, and whether it is a combined mode.
pub(crate) fn encryption(id: EncrId) -> Option<(&'static str, bool)> {
    Some(match id {
        EncrId::AES_GCM_8 | EncrId::AES_GCM_12 | EncrId::AES_GCM_16 => ("rfc4106(gcm(aes))", true),
        EncrId::AES_CCM_8 | EncrId::AES_CCM_12 | EncrId::AES_CCM_16 => ("rfc4309(ccm(aes))", true),
        EncrId::NULL_AUTH_AES_GMAC => ("rfc4543(gcm(aes))", true),
        EncrId::CHACHA20_POLY1305 => ("rfc7539esp(chacha20,poly1305)", true),
        EncrId::AES_CBC => ("cbc(aes)", false),
        EncrId::AES_CTR => ("rfc3686(ctr(aes))", false),
        EncrId::CAMELLIA_CBC => ("cbc(camellia)", false),
        EncrId::TRIPLE_DES => ("cbc(des3_ede)", false),
        EncrId::DES => ("cbc(des)", false),
        EncrId::NULL => ("ecb(cipher_null)", false),
        _ => return None,
    })
}

/// The name of an integrity algorithm.
pub(crate) fn integrity(id: IntegId) -> Option<&'static str> {
    Some(match id {
        IntegId::HMAC_MD5_96 => "hmac(md5)",
        IntegId::HMAC_SHA1_96 => "hmac(sha1)",
        IntegId::HMAC_SHA2_256_128 => "hmac(sha256)",
        IntegId::HMAC_SHA2_384_192 => "hmac(sha384)",
        IntegId::HMAC_SHA2_512_256 => "hmac(sha512)",
        IntegId::AES_CMAC_96 => "cmac(aes)",
        IntegId::AES_XCBC_96 => "xcbc(aes)",
        _ => return None,
    })
}
