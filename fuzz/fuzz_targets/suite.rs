//! Proposal strings: any text is refused where its error points, or read; what is read is printed as text that reads the
//! same.
#![no_main]

use ipsec_crypto::{Suite, SuiteProtocol};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    for protocol in [SuiteProtocol::Ike, SuiteProtocol::Esp, SuiteProtocol::Ah] {
        match Suite::parse(protocol, text) {
            Ok(suite) => {
                let printed = suite.to_string();
                assert_eq!(Suite::parse(protocol, &printed), Ok(suite), "{printed}");
            }
            Err(error) => {
                let (token, offset) = (error.token(), error.offset());
                assert!(text.get(offset..).is_some_and(|rest| rest.starts_with(token)), "{token:?} at {offset}");
                assert!(!error.to_string().is_empty());
            }
        }
        let _ = Suite::list(protocol, text).map_err(|error| error.to_string());
    }
});
