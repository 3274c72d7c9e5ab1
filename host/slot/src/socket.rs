//! The daemon's socket: the LPA's interface of its card and the factory operations, for other processes of the same
//! user or root. The modem's interface is not reachable here.
//!
//! ```text
//! frame = length u32 big-endian (of what follows), kind u8, body
//! kind 0: one message of teuicc-wire; kind 1, from the server alone: refused, body = one byte, the reason
//! ```
//!
//! One request, one answer, in order. One client at a time has the LPA's interface, from its `PowerUp` to its
//! `PowerDown` or its end; others are told that the card is busy. A client that vanishes leaves the interface without
//! power.

mod client;
mod server;

pub use client::SocketLink;
pub use server::{PrivateListener, Server, ServerError};

use crate::link::LinkError;
use teuicc_wire::MAX_MESSAGE;

/// The longest body and its kind, in bytes; checked before anything is allocated.
const MAX_FRAME: usize = 1 + MAX_MESSAGE;
const KIND_MESSAGE: u8 = 0;
const KIND_REFUSED: u8 = 1;

/// Why the server does not ask the card. The numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Refusal {
    Busy = 1,
    Forbidden = 2,
    Unreachable = 3,
    Stale = 4,
}

impl Refusal {
    const ALL: [Refusal; 4] = [Refusal::Busy, Refusal::Forbidden, Refusal::Unreachable, Refusal::Stale];

    fn to_error(self) -> LinkError {
        match self {
            Refusal::Busy => LinkError::Busy,
            Refusal::Forbidden => LinkError::Request("the daemon does not allow it over its socket"),
            Refusal::Unreachable => LinkError::transport("the daemon has lost its card"),
            Refusal::Stale => LinkError::Stale,
        }
    }
}

/// The length of a frame from its prefix. `None`: it is not possible.
fn frame_length(prefix: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(prefix)).ok().filter(|length| (1..=MAX_FRAME).contains(length))
}

fn encode_frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(1 + body.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(5 + body.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.push(kind);
    frame.extend_from_slice(body);
    frame
}
