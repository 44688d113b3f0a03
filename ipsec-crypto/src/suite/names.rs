//! The names of algorithms in proposal strings. They are strongSwan's keywords, where it has one.

use core::fmt;

use ipsec_wire::ike::{EncrId, IntegId, KeId, PrfId, SnId};

use super::SuiteProtocol;

/// What one name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Algorithm {
    Encr(EncrId, Option<u16>),
    Integ(IntegId),
    Prf(PrfId),
    Ke(KeId),
    Sn(SnId),
}

/// The registry's name, with the key length.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encr(id, Some(bits)) => write!(f, "{id} with {bits} bits"),
            Self::Encr(id, None) => id.fmt(f),
            Self::Integ(id) => id.fmt(f),
            Self::Prf(id) => id.fmt(f),
            Self::Ke(id) => id.fmt(f),
            Self::Sn(id) => id.fmt(f),
        }
    }
}

/// What a name stands for. Letters count alike in both cases.
pub(super) fn lookup(name: &str, protocol: SuiteProtocol) -> Option<Algorithm> {
    table(protocol).find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, algorithm)| algorithm)
}

/// The name to print: the first in the table.
pub(super) fn canonical(algorithm: Algorithm, protocol: SuiteProtocol) -> Option<&'static str> {
    table(protocol).find(|(_, known)| *known == algorithm).map(|&(name, _)| name)
}

/// Every name that a protocol's proposals can use. AES-GMAC is integrity in AH and a combined mode elsewhere.
pub(super) fn table(protocol: SuiteProtocol) -> impl Iterator<Item = &'static (&'static str, Algorithm)> {
    let gmac = if protocol == SuiteProtocol::Ah { GMAC_OF_AH } else { GMAC_OF_ESP };
    NAMES.iter().chain(gmac)
}

const fn encr(id: EncrId, bits: u16) -> Algorithm {
    Algorithm::Encr(id, Some(bits))
}

const fn encr_fixed(id: EncrId) -> Algorithm {
    Algorithm::Encr(id, None)
}

const GMAC_OF_AH: &[(&str, Algorithm)] = &[
    ("aes128gmac", Algorithm::Integ(IntegId::AES_128_GMAC)),
    ("aes192gmac", Algorithm::Integ(IntegId::AES_192_GMAC)),
    ("aes256gmac", Algorithm::Integ(IntegId::AES_256_GMAC)),
];

const GMAC_OF_ESP: &[(&str, Algorithm)] = &[
    ("aes128gmac", encr(EncrId::NULL_AUTH_AES_GMAC, 128)),
    ("aes192gmac", encr(EncrId::NULL_AUTH_AES_GMAC, 192)),
    ("aes256gmac", encr(EncrId::NULL_AUTH_AES_GMAC, 256)),
];

/// Of several names for one algorithm the first is printed.
#[rustfmt::skip]
const NAMES: &[(&str, Algorithm)] = &[
    ("aes128", encr(EncrId::AES_CBC, 128)),
    ("aes192", encr(EncrId::AES_CBC, 192)),
    ("aes256", encr(EncrId::AES_CBC, 256)),
    ("aes128cbc", encr(EncrId::AES_CBC, 128)),
    ("aes192cbc", encr(EncrId::AES_CBC, 192)),
    ("aes256cbc", encr(EncrId::AES_CBC, 256)),
    ("aes128ctr", encr(EncrId::AES_CTR, 128)),
    ("aes192ctr", encr(EncrId::AES_CTR, 192)),
    ("aes256ctr", encr(EncrId::AES_CTR, 256)),
    ("aes128gcm16", encr(EncrId::AES_GCM_16, 128)),
    ("aes192gcm16", encr(EncrId::AES_GCM_16, 192)),
    ("aes256gcm16", encr(EncrId::AES_GCM_16, 256)),
    ("aes128gcm12", encr(EncrId::AES_GCM_12, 128)),
    ("aes192gcm12", encr(EncrId::AES_GCM_12, 192)),
    ("aes256gcm12", encr(EncrId::AES_GCM_12, 256)),
    ("aes128gcm8", encr(EncrId::AES_GCM_8, 128)),
    ("aes192gcm8", encr(EncrId::AES_GCM_8, 192)),
    ("aes256gcm8", encr(EncrId::AES_GCM_8, 256)),
    // The same with the ICV in bits, and the bare mode, which means the full ICV.
    ("aes128gcm", encr(EncrId::AES_GCM_16, 128)),
    ("aes192gcm", encr(EncrId::AES_GCM_16, 192)),
    ("aes256gcm", encr(EncrId::AES_GCM_16, 256)),
    ("aes128gcm128", encr(EncrId::AES_GCM_16, 128)),
    ("aes192gcm128", encr(EncrId::AES_GCM_16, 192)),
    ("aes256gcm128", encr(EncrId::AES_GCM_16, 256)),
    ("aes128gcm96", encr(EncrId::AES_GCM_12, 128)),
    ("aes192gcm96", encr(EncrId::AES_GCM_12, 192)),
    ("aes256gcm96", encr(EncrId::AES_GCM_12, 256)),
    ("aes128gcm64", encr(EncrId::AES_GCM_8, 128)),
    ("aes192gcm64", encr(EncrId::AES_GCM_8, 192)),
    ("aes256gcm64", encr(EncrId::AES_GCM_8, 256)),
    ("aes128ccm16", encr(EncrId::AES_CCM_16, 128)),
    ("aes192ccm16", encr(EncrId::AES_CCM_16, 192)),
    ("aes256ccm16", encr(EncrId::AES_CCM_16, 256)),
    ("aes128ccm12", encr(EncrId::AES_CCM_12, 128)),
    ("aes192ccm12", encr(EncrId::AES_CCM_12, 192)),
    ("aes256ccm12", encr(EncrId::AES_CCM_12, 256)),
    ("aes128ccm8", encr(EncrId::AES_CCM_8, 128)),
    ("aes192ccm8", encr(EncrId::AES_CCM_8, 192)),
    ("aes256ccm8", encr(EncrId::AES_CCM_8, 256)),
    ("aes128ccm128", encr(EncrId::AES_CCM_16, 128)),
    ("aes192ccm128", encr(EncrId::AES_CCM_16, 192)),
    ("aes256ccm128", encr(EncrId::AES_CCM_16, 256)),
    ("aes128ccm96", encr(EncrId::AES_CCM_12, 128)),
    ("aes192ccm96", encr(EncrId::AES_CCM_12, 192)),
    ("aes256ccm96", encr(EncrId::AES_CCM_12, 256)),
    ("aes128ccm64", encr(EncrId::AES_CCM_8, 128)),
    ("aes192ccm64", encr(EncrId::AES_CCM_8, 192)),
    ("aes256ccm64", encr(EncrId::AES_CCM_8, 256)),
    ("chacha20poly1305", encr_fixed(EncrId::CHACHA20_POLY1305)),
    // RFC 8750: the IV is the sequence number and is not sent.
    ("aes128gcm16iiv", encr(EncrId::AES_GCM_16_IIV, 128)),
    ("aes192gcm16iiv", encr(EncrId::AES_GCM_16_IIV, 192)),
    ("aes256gcm16iiv", encr(EncrId::AES_GCM_16_IIV, 256)),
    ("aes128ccm8iiv", encr(EncrId::AES_CCM_8_IIV, 128)),
    ("aes192ccm8iiv", encr(EncrId::AES_CCM_8_IIV, 192)),
    ("aes256ccm8iiv", encr(EncrId::AES_CCM_8_IIV, 256)),
    ("chacha20poly1305iiv", encr_fixed(EncrId::CHACHA20_POLY1305_IIV)),
    ("camellia128", encr(EncrId::CAMELLIA_CBC, 128)),
    ("camellia192", encr(EncrId::CAMELLIA_CBC, 192)),
    ("camellia256", encr(EncrId::CAMELLIA_CBC, 256)),
    ("camellia128ctr", encr(EncrId::CAMELLIA_CTR, 128)),
    ("camellia192ctr", encr(EncrId::CAMELLIA_CTR, 192)),
    ("camellia256ctr", encr(EncrId::CAMELLIA_CTR, 256)),
    ("camellia128ccm16", encr(EncrId::CAMELLIA_CCM_16, 128)),
    ("camellia192ccm16", encr(EncrId::CAMELLIA_CCM_16, 192)),
    ("camellia256ccm16", encr(EncrId::CAMELLIA_CCM_16, 256)),
    ("camellia128ccm12", encr(EncrId::CAMELLIA_CCM_12, 128)),
    ("camellia192ccm12", encr(EncrId::CAMELLIA_CCM_12, 192)),
    ("camellia256ccm12", encr(EncrId::CAMELLIA_CCM_12, 256)),
    ("camellia128ccm8", encr(EncrId::CAMELLIA_CCM_8, 128)),
    ("camellia192ccm8", encr(EncrId::CAMELLIA_CCM_8, 192)),
    ("camellia256ccm8", encr(EncrId::CAMELLIA_CCM_8, 256)),
    ("3des", encr_fixed(EncrId::TRIPLE_DES)),
    ("des", encr_fixed(EncrId::DES)),
    ("null", encr_fixed(EncrId::NULL)),

    ("sha256", Algorithm::Integ(IntegId::HMAC_SHA2_256_128)),
    ("sha384", Algorithm::Integ(IntegId::HMAC_SHA2_384_192)),
    ("sha512", Algorithm::Integ(IntegId::HMAC_SHA2_512_256)),
    ("sha2_256", Algorithm::Integ(IntegId::HMAC_SHA2_256_128)),
    ("sha2_384", Algorithm::Integ(IntegId::HMAC_SHA2_384_192)),
    ("sha2_512", Algorithm::Integ(IntegId::HMAC_SHA2_512_256)),
    ("sha1", Algorithm::Integ(IntegId::HMAC_SHA1_96)),
    ("sha", Algorithm::Integ(IntegId::HMAC_SHA1_96)),
    ("sha1_160", Algorithm::Integ(IntegId::HMAC_SHA1_160)),
    ("md5", Algorithm::Integ(IntegId::HMAC_MD5_96)),
    ("md5_128", Algorithm::Integ(IntegId::HMAC_MD5_128)),
    ("aesxcbc", Algorithm::Integ(IntegId::AES_XCBC_96)),
    ("aescmac", Algorithm::Integ(IntegId::AES_CMAC_96)),

    ("prfsha256", Algorithm::Prf(PrfId::HMAC_SHA2_256)),
    ("prfsha384", Algorithm::Prf(PrfId::HMAC_SHA2_384)),
    ("prfsha512", Algorithm::Prf(PrfId::HMAC_SHA2_512)),
    ("prfsha1", Algorithm::Prf(PrfId::HMAC_SHA1)),
    ("prfmd5", Algorithm::Prf(PrfId::HMAC_MD5)),
    ("prfaesxcbc", Algorithm::Prf(PrfId::AES128_XCBC)),
    ("prfaescmac", Algorithm::Prf(PrfId::AES128_CMAC)),

    ("x25519", Algorithm::Ke(KeId::CURVE25519)),
    ("curve25519", Algorithm::Ke(KeId::CURVE25519)),
    ("x448", Algorithm::Ke(KeId::CURVE448)),
    ("curve448", Algorithm::Ke(KeId::CURVE448)),
    ("ecp256", Algorithm::Ke(KeId::ECP_256)),
    ("ecp384", Algorithm::Ke(KeId::ECP_384)),
    ("ecp521", Algorithm::Ke(KeId::ECP_521)),
    ("ecp192", Algorithm::Ke(KeId::ECP_192)),
    ("ecp224", Algorithm::Ke(KeId::ECP_224)),
    ("ecp224bp", Algorithm::Ke(KeId::BRAINPOOL_P224R1)),
    ("ecp256bp", Algorithm::Ke(KeId::BRAINPOOL_P256R1)),
    ("ecp384bp", Algorithm::Ke(KeId::BRAINPOOL_P384R1)),
    ("ecp512bp", Algorithm::Ke(KeId::BRAINPOOL_P512R1)),
    ("modp768", Algorithm::Ke(KeId::MODP_768)),
    ("modp1024", Algorithm::Ke(KeId::MODP_1024)),
    ("modp1536", Algorithm::Ke(KeId::MODP_1536)),
    ("modp2048", Algorithm::Ke(KeId::MODP_2048)),
    ("modp3072", Algorithm::Ke(KeId::MODP_3072)),
    ("modp4096", Algorithm::Ke(KeId::MODP_4096)),
    ("modp6144", Algorithm::Ke(KeId::MODP_6144)),
    ("modp8192", Algorithm::Ke(KeId::MODP_8192)),
    ("modp1024s160", Algorithm::Ke(KeId::MODP_1024_160)),
    ("modp2048s224", Algorithm::Ke(KeId::MODP_2048_224)),
    ("modp2048s256", Algorithm::Ke(KeId::MODP_2048_256)),
    ("mlkem512", Algorithm::Ke(KeId::ML_KEM_512)),
    ("mlkem768", Algorithm::Ke(KeId::ML_KEM_768)),
    ("mlkem1024", Algorithm::Ke(KeId::ML_KEM_1024)),
    // Offered beside methods, it makes a child SA's own key exchange (or an additional one) optional.
    ("none", Algorithm::Ke(KeId::NONE)),
    ("modpnone", Algorithm::Ke(KeId::NONE)),

    ("noesn", Algorithm::Sn(SnId::SEQUENTIAL_32)),
    ("esn", Algorithm::Sn(SnId::SEQUENTIAL_64)),
    // RFC 9827.
    ("unspecifiedsn", Algorithm::Sn(SnId::UNSPECIFIED_32)),
];
