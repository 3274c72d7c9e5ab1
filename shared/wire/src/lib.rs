//! What crosses the TEE boundary, and the daemon's socket: few operations, versioned.
//!
//! One GlobalPlatform command carries one request and one response; the opcode is inside the bytes.
//! Numbers are big-endian.
//!
//! ```text
//! request  = version u8, opcode u8, fields
//! response = version u8, status u8 (0 or an `Error`), fields (none after an error)
//! ```
//!
//! A transport error (a GlobalPlatform error, a broken socket) says nothing of the card; whatever the card
//! decides is a normal response. Golden bytes of every released version stand in `tests/`.
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

mod codec;
mod request;
mod response;

pub use codec::DecodeError;
pub use request::{Chain, Commands, FactoryRequest, Interface, Personalization, Request, encode_commands};
pub use response::{Error, Features, Hello, Response, State, Transmitted};

/// Versions of this protocol.
pub mod version {
    /// The oldest version that is understood.
    pub const MIN: u8 = 1;
    /// The version that is spoken.
    pub const CURRENT: u8 = 1;
}

/// The largest request or response in bytes. Both sides size their shared buffers by it and check against it
/// before they copy.
pub const MAX_MESSAGE: usize = 96 * 1024;

/// The one GlobalPlatform command of the trusted application: a request in, a response out.
pub const TEE_COMMAND: u32 = 0;
