//! An endpoint against a peer that has the right keys and no manners: [`testkit::keyed`] says what the octets of the input
//! mean.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = testkit::keyed::run(data);
});
