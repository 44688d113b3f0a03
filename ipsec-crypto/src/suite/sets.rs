//! Sets of proposals to begin with, for those who have no policy of their own.

use alloc::vec::Vec;

use super::{Suite, SuiteProtocol};

/// A set of proposals. What it stands for may change from one release to the next, as the RFCs' advice does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SuiteSet {
    /// Combined modes and elliptic curves; for IKE first with ML-KEM-768 beside X25519 (RFC 9370), then without.
    Modern,
    /// Everything that RFC 8221 and RFC 8247 still recommend or require, for peers of any age.
    Compatible,
    /// The algorithms of CNSA 2.0: AES-256, SHA-384 or SHA-512, and ML-KEM-1024 beside P-384.
    Cnsa2,
}

impl SuiteSet {
    /// The set as a list of proposal strings, most preferred first, as [`Suite::list`] takes it.
    #[must_use]
    pub const fn text(self, protocol: SuiteProtocol) -> &'static str {
        match (self, protocol) {
            (Self::Modern, SuiteProtocol::Ike) => concat!(
                "aes256gcm16-chacha20poly1305-aes128gcm16-prfsha384-prfsha256-x25519-ke1_mlkem768,",
                "aes256gcm16-chacha20poly1305-aes128gcm16-prfsha384-prfsha256-x25519-ecp384-ecp256",
            ),
            (Self::Modern, SuiteProtocol::Esp) => "aes256gcm16-chacha20poly1305-aes128gcm16-esn-noesn",
            (Self::Modern | Self::Compatible, SuiteProtocol::Ah) => "sha256-sha512-sha384-esn-noesn",
            (Self::Compatible, SuiteProtocol::Ike) => concat!(
                "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha384-prfsha512-prfsha256",
                "-x25519-ecp256-ecp384-ecp521-modp3072-modp4096-modp2048,",
                "aes256-aes128-sha256-sha512-sha384-sha1-x25519-ecp256-ecp384-ecp521-modp3072-modp4096-modp2048",
            ),
            (Self::Compatible, SuiteProtocol::Esp) => concat!(
                "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn,",
                "aes256-aes128-sha256-sha512-sha384-sha1-esn-noesn",
            ),
            (Self::Cnsa2, SuiteProtocol::Ike) => "aes256gcm16-prfsha384-prfsha512-ecp384-ke1_mlkem1024",
            (Self::Cnsa2, SuiteProtocol::Esp) => "aes256gcm16-esn-noesn",
            (Self::Cnsa2, SuiteProtocol::Ah) => "sha384-sha512-esn-noesn",
        }
    }

    /// The set's proposals.
    #[must_use]
    pub fn suites(self, protocol: SuiteProtocol) -> Vec<Suite> {
        // Each text is parsed by a test.
        Suite::list(protocol, self.text(protocol)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_parses_and_prints_as_it_is_written() {
        for set in [SuiteSet::Modern, SuiteSet::Compatible, SuiteSet::Cnsa2] {
            for protocol in [SuiteProtocol::Ike, SuiteProtocol::Esp, SuiteProtocol::Ah] {
                let suites = Suite::list(protocol, set.text(protocol)).unwrap();
                assert_eq!(set.suites(protocol), suites);
                let printed: Vec<_> = suites.iter().map(alloc::string::ToString::to_string).collect();
                assert_eq!(printed.join(","), set.text(protocol));
            }
        }
    }

    #[cfg(feature = "rustcrypto")]
    #[test]
    fn the_portable_provider_has_every_set_and_nothing_in_it_is_advised_against() {
        let provider = crate::rustcrypto::provider();
        for set in [SuiteSet::Modern, SuiteSet::Compatible, SuiteSet::Cnsa2] {
            for protocol in [SuiteProtocol::Ike, SuiteProtocol::Esp, SuiteProtocol::Ah] {
                for suite in set.suites(protocol) {
                    assert_eq!(suite.supported_by(&provider), Ok(()));
                    let kept = crate::Status::May;
                    assert!(suite.encr.iter().all(|(id, _)| provider.encr(*id).unwrap().status() >= kept));
                    assert!(suite.integ.iter().all(|id| provider.integ(*id).unwrap().status() >= kept));
                    assert!(suite.prf.iter().all(|id| provider.prf(*id).unwrap().status() >= kept));
                    assert!(suite.ke.iter().all(|id| provider.ke(*id).unwrap().status() >= kept));
                }
            }
        }
    }
}
