//! Key logs for Wireshark: lines of its tables `ikev2_decryption_table` and `esp_sa`.
//!
//! These two functions, and nothing else in the crate, turn keys into text. Whoever holds the lines can read every
//! packet of the SAs: they are for debugging, and only when asked for.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use ipsec_sa::{Direction, SaParams, SecurityProtocol};
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::{EncrId, IntegId};

use crate::keys::{IkeSuite, SkKeys};

/// A line for the file `ikev2_decryption_table`, without the end of the line; `None` where Wireshark has no name
/// for an algorithm.
#[must_use]
pub fn ikev2_decryption_table_line(
    spi_i: IkeSpi,
    spi_r: IkeSpi,
    suite: &IkeSuite,
    keys: &SkKeys,
) -> Option<String> {
    let bits = suite.key_len.checked_mul(8)?;
    let encr = match suite.encr.id() {
        EncrId::NULL => String::from("NULL [RFC2410]"),
        EncrId::TRIPLE_DES => String::from("3DES [RFC2451]"),
        EncrId::AES_CBC => format!("AES-CBC-{bits} [RFC3602]"),
        EncrId::AES_CTR => format!("AES-CTR-{bits} [RFC5930]"),
        EncrId::AES_GCM_8 => format!("AES-GCM-{bits} with 8 octet ICV [RFC5282]"),
        EncrId::AES_GCM_12 => format!("AES-GCM-{bits} with 12 octet ICV [RFC5282]"),
        EncrId::AES_GCM_16 => format!("AES-GCM-{bits} with 16 octet ICV [RFC5282]"),
        EncrId::AES_CCM_8 => format!("AES-CCM-{bits} with 8 octet ICV [RFC5282]"),
        EncrId::AES_CCM_12 => format!("AES-CCM-{bits} with 12 octet ICV [RFC5282]"),
        EncrId::AES_CCM_16 => format!("AES-CCM-{bits} with 16 octet ICV [RFC5282]"),
        _ => return None,
    };
    let integ = match suite.integ.map_or(IntegId::NONE, |row| row.id()) {
        IntegId::NONE => "NONE [RFC4306]",
        IntegId::HMAC_MD5_96 => "HMAC_MD5_96 [RFC2403]",
        IntegId::HMAC_MD5_128 => "HMAC_MD5_128 [RFC4595]",
        IntegId::HMAC_SHA1_96 => "HMAC_SHA1_96 [RFC2404]",
        IntegId::HMAC_SHA1_160 => "HMAC_SHA1_160 [RFC4595]",
        IntegId::HMAC_SHA2_256_128 => "HMAC_SHA2_256_128 [RFC4868]",
        IntegId::HMAC_SHA2_384_192 => "HMAC_SHA2_384_192 [RFC4868]",
        IntegId::HMAC_SHA2_512_256 => "HMAC_SHA2_512_256 [RFC4868]",
        IntegId::AES_XCBC_96 | IntegId::AES_CMAC_96 => "ANY 96-bits of Authentication [No Checking]",
        _ => return None,
    };
    let hex = |secret: &ipsec_crypto::Secret| format!("{}", Hex(secret.expose()));
    Some(format!(
        "{spi_i},{spi_r},{},{},\"{encr}\",{},{},\"{integ}\"",
        hex(&keys.ei),
        hex(&keys.er),
        hex(&keys.ai),
        hex(&keys.ar),
    ))
}

/// A line for the file `esp_sa`, without the end of the line: one direction of a Child SA. `None` for AH and where
/// Wireshark has no name for an algorithm.
#[must_use]
pub fn esp_sa_line(params: &SaParams) -> Option<String> {
    if params.protocol != SecurityProtocol::Esp {
        return None;
    }
    let (source, destination) = match params.direction {
        Direction::Outbound => (params.outer.local, params.outer.remote),
        Direction::Inbound => (params.outer.remote, params.outer.local),
    };
    let family = match source {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    };
    let encr = match params.algorithms.encr? {
        EncrId::NULL => "NULL",
        EncrId::TRIPLE_DES => "TripleDES-CBC [RFC2451]",
        EncrId::AES_CBC => "AES-CBC [RFC3602]",
        EncrId::AES_CTR => "AES-CTR [RFC3686]",
        EncrId::AES_GCM_8 => "AES-GCM with 8 octet ICV [RFC4106]",
        EncrId::AES_GCM_12 => "AES-GCM with 12 octet ICV [RFC4106]",
        EncrId::AES_GCM_16 => "AES-GCM with 16 octet ICV [RFC4106]",
        _ => return None,
    };
    let integ = match params.algorithms.integ.unwrap_or(IntegId::NONE) {
        IntegId::NONE => "NULL",
        IntegId::HMAC_MD5_96 => "HMAC-MD5-96 [RFC2403]",
        IntegId::HMAC_SHA1_96 => "HMAC-SHA-1-96 [RFC2404]",
        IntegId::HMAC_SHA2_256_128 => "HMAC-SHA-256-128 [RFC4868]",
        IntegId::HMAC_SHA2_384_192 => "HMAC-SHA-384-192 [RFC4868]",
        IntegId::HMAC_SHA2_512_256 => "HMAC-SHA-512-256 [RFC4868]",
        IntegId::AES_XCBC_96 | IntegId::AES_CMAC_96 => "ANY 96 bit authentication [no checking]",
        _ => return None,
    };
    let key = |secret: &ipsec_crypto::Secret| match secret.is_empty() {
        true => String::new(),
        false => format!("0x{}", Hex(secret.expose())),
    };
    Some(format!(
        "\"{family}\",\"{source}\",\"{destination}\",\"{}\",\"{encr}\",\"{}\",\"{integ}\",\"{}\"",
        params.spi,
        key(&params.keys.encr),
        key(&params.keys.integ),
    ))
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use ipsec_crypto::Secret;
    use ipsec_sa::{Encapsulation, Outer, Role, SaAlgorithms, SaKeys};
    use ipsec_wire::Spi;

    use super::*;
    use crate::testdata::{Recording, cbc_suite, gcm_suite};

    /// With lines of this form tshark 4.0 decrypts the recordings (interop/ does it for our own traffic).
    #[test]
    fn ike_lines_name_algorithms_as_wireshark_does() {
        let recording = Recording::cbc();
        let (spi_i, spi_r) = recording.spis();
        let line = ikev2_decryption_table_line(spi_i, spi_r, &cbc_suite(), &recording.keys(1)).unwrap();
        assert_eq!(
            line,
            "609acf38fa382647,61c12757b974879a,\
             027a207ae586ff9b88658de58eb1016c6c08bb30075a13783bb69cb66b85f901,\
             c1ed967df15e87c3610d55025e89c3134b77698c913f7300cec687ff2ccaf2fe,\
             \"AES-CBC-256 [RFC3602]\",\
             4d8e8d1cf234ad26cb188e21578c913a04beed33a8a661e68cf06e5d12d5630b,\
             e6445d1145bc68a9d9ff864116b1f6d1361d68b994c94880d2e950a96e30c016,\
             \"HMAC_SHA2_256_128 [RFC4868]\""
        );
        let recording = Recording::gcm();
        let (spi_i, spi_r) = recording.spis();
        let line = ikev2_decryption_table_line(spi_i, spi_r, &gcm_suite(), &recording.keys(1)).unwrap();
        assert_eq!(
            line,
            "2b83e01f0ba830fa,0943f96425adf8f3,\
             73975851bbb7dc98a41dd6857519a3ba083b82a16140db8e83d9176e762772cd2affda0b,\
             2cc95f37433ed49fdc0052f1bfe9ecb15714a31a2f78da86f3cba185cddcf035cd0c6363,\
             \"AES-GCM-256 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\""
        );
    }

    fn params(direction: Direction, encr: EncrId, integ: Option<IntegId>) -> SaParams {
        let keys = SaKeys {
            encr: Secret::new(&[0x11; 20]),
            integ: Secret::new(if integ.is_some() { &[0x22; 4] } else { &[] }),
        };
        let outer = Outer {
            local: IpAddr::from([10, 10, 0, 1]),
            remote: IpAddr::from([10, 10, 0, 2]),
            encapsulation: Encapsulation::None,
        };
        let algorithms = SaAlgorithms { encr: Some(encr), key_bits: 128, integ };
        SaParams::new(Spi(0x4c79), direction, Role::Initiator, algorithms, keys, outer)
    }

    #[test]
    fn esp_lines_follow_the_direction_and_have_all_eight_fields() {
        let key = "11".repeat(20);
        assert_eq!(
            esp_sa_line(&params(Direction::Outbound, EncrId::AES_GCM_16, None)).unwrap(),
            format!(
                "\"IPv4\",\"10.10.0.1\",\"10.10.0.2\",\"0x00004c79\",\"AES-GCM with 16 octet ICV [RFC4106]\",\
                 \"0x{key}\",\"NULL\",\"\""
            )
        );
        assert_eq!(
            esp_sa_line(&params(Direction::Inbound, EncrId::AES_CBC, Some(IntegId::HMAC_SHA2_256_128)))
                .unwrap(),
            format!(
                "\"IPv4\",\"10.10.0.2\",\"10.10.0.1\",\"0x00004c79\",\"AES-CBC [RFC3602]\",\"0x{key}\",\
                 \"HMAC-SHA-256-128 [RFC4868]\",\"0x22222222\""
            )
        );
        assert_eq!(esp_sa_line(&params(Direction::Inbound, EncrId::CHACHA20_POLY1305, None)), None);
        let ah = params(Direction::Inbound, EncrId::NULL, None).with_protocol(SecurityProtocol::Ah);
        assert_eq!(esp_sa_line(&ah), None);
    }
}
