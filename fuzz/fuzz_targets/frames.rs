//! What the peers of the virtual SIM interfaces send: every parser with the machine behind it. No panic, and no answer
//! that was not asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = teuicc_modem_bridge::testing::frames::drive(bytes);
});
