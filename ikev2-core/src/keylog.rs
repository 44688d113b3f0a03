//! Key logs for Wireshark: lines of its tables `ikev2_decryption_table` and `esp_sa`.
//!
//! These two functions, and nothing else in the crate, turn keys into text. Whoever holds the lines can read every
//! packet of the SAs: they are for debugging, and only when asked for.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use ipsec_crypto::CryptoProvider;
use ipsec_sa::{Direction, SaParams, SecurityProtocol};
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::IntegId;

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
    let encr = suite.encr.wireshark_ike(suite.key_len)?;
    let integ = match suite.integ {
        Some(row) => row.wireshark_ike()?,
        None => "NONE [RFC4306]",
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

/// A line for the file `esp_sa`, without the end of the line: one direction of a Child SA, whose algorithms go by the names
/// that the provider's rows have there. `None` for AH and where Wireshark has no name for an algorithm. A Wireshark too old
/// to know a name says so and takes the other lines.
#[must_use]
pub fn esp_sa_line(params: &SaParams, provider: &CryptoProvider) -> Option<String> {
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
    let encr = provider.encr(params.algorithms.encr?)?.wireshark_esp()?;
    let integ = match params.algorithms.integ.unwrap_or(IntegId::NONE) {
        IntegId::NONE => "NULL",
        id => provider.integ(id)?.wireshark_esp()?,
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
    use ipsec_crypto::{Secret, rustcrypto};
    use ipsec_sa::{Encapsulation, Outer, Role, SaAlgorithms, SaKeys};
    use ipsec_wire::Spi;
    use ipsec_wire::ike::EncrId;

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

    /// The line of an SA and its algorithms.
    fn esp_line(direction: Direction, encr: EncrId, integ: Option<IntegId>) -> Option<String> {
        esp_sa_line(&params(direction, encr, integ), &rustcrypto::provider())
    }

    #[test]
    fn esp_lines_follow_the_direction_and_have_all_eight_fields() {
        let key = "11".repeat(20);
        assert_eq!(
            esp_line(Direction::Outbound, EncrId::AES_GCM_16, None).unwrap(),
            format!(
                "\"IPv4\",\"10.10.0.1\",\"10.10.0.2\",\"0x00004c79\",\"AES-GCM with 16 octet ICV [RFC4106]\",\
                 \"0x{key}\",\"NULL\",\"\""
            )
        );
        assert_eq!(
            esp_line(Direction::Inbound, EncrId::AES_CBC, Some(IntegId::HMAC_SHA2_256_128)).unwrap(),
            format!(
                "\"IPv4\",\"10.10.0.2\",\"10.10.0.1\",\"0x00004c79\",\"AES-CBC [RFC3602]\",\"0x{key}\",\
                 \"HMAC-SHA-256-128 [RFC4868]\",\"0x22222222\""
            )
        );
        let ah = params(Direction::Inbound, EncrId::NULL, None).with_protocol(SecurityProtocol::Ah);
        assert_eq!(esp_sa_line(&ah, &rustcrypto::provider()), None);
    }

    /// What tshark 4.6 takes in its table `esp_sa`; 4.0 refuses the lines with implicit IVs and with ChaCha20.
    #[test]
    fn esp_lines_name_algorithms_as_wireshark_does() {
        for (encr, integ, named) in [
            (EncrId::AES_GCM_8, None, Some("AES-GCM with 8 octet ICV [RFC4106]")),
            (EncrId::AES_GCM_16_IIV, None, Some("AES-GCM with IIV and 16 octet ICV [RFC4106 & RFC8750]")),
            (EncrId::CHACHA20_POLY1305, None, Some("ChaCha20 with Poly1305 [RFC7634]")),
            (EncrId::CHACHA20_POLY1305_IIV, None, Some("ChaCha20 with Poly1305 and IIV [RFC7634 & RFC8750]")),
            (EncrId::AES_CTR, Some(IntegId::AES_CMAC_96), Some("AES-CTR [RFC3686]")),
            (EncrId::NULL, Some(IntegId::AES_XCBC_96), Some("NULL")),
            (EncrId::AES_CCM_16, None, None),
            (EncrId::NULL_AUTH_AES_GMAC, None, None),
        ] {
            let line = esp_line(Direction::Inbound, encr, integ);
            let fields: Option<alloc::vec::Vec<&str>> = line.as_ref().map(|line| line.split(',').collect());
            let name = |at: usize| fields.as_ref().map(|fields| fields[at].trim_matches('"'));
            assert_eq!(name(4), named, "{encr}");
            let checked = if integ.is_some() { "ANY 96 bit authentication [no checking]" } else { "NULL" };
            assert_eq!(name(6), named.map(|_| checked), "{encr}");
        }
    }

    /// Wireshark's table of IKE SAs has no name for ChaCha20 and Poly1305.
    #[test]
    fn an_ike_suite_without_a_name_has_no_line() {
        let encr = rustcrypto::provider().encr(EncrId::CHACHA20_POLY1305).unwrap();
        let recording = Recording::gcm();
        let (spi_i, spi_r) = recording.spis();
        let suite = IkeSuite { encr, ..gcm_suite() };
        assert_eq!(ikev2_decryption_table_line(spi_i, spi_r, &suite, &recording.keys(1)), None);
    }
}
