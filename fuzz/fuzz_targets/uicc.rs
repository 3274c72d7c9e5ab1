//! Command APDUs on several channels of both interfaces, watched by the naive model of the card's tests: no panic, no
//! failed command that stores something, no file read or written against its access rule, no PIN that is worth more
//! than it should be.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../ta/card/tests/model/mod.rs"]
mod model;

fuzz_target!(|stream: &[u8]| model::run(stream));
