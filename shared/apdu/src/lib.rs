//! Command and response APDUs (ISO/IEC 7816-4 section 5.1, TS 102 221 section 10), and the one place
//! where T=0 happens: [`t0`].
//!
//! Above the T=0 layer a command is one whole APDU and its response is whole too, up to 64 KiB; below it
//! a modem sees TPDUs, `61xx`, `6Cxx` and GET RESPONSE.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

mod class;
mod command;
pub mod ins;
mod response;
pub mod t0;

pub use class::{Class, Coding, MAX_CHANNEL};
pub use command::{Command, CommandError, encode_command};
pub use response::{Response, StatusWord};
