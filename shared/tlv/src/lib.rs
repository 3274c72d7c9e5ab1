//! BER-TLV data objects, read without copying and written without infallible allocation.
//!
//! Every data object of SGP.22, of a TCA profile package and of TS 102 221 is a tag, a length and a
//! value. This crate is the one place that reads and writes them, over the [`der`] crate's header
//! codec. Three habits of the specifications decide its shape:
//!
//! - signatures are taken over *received* bytes, so a [`Tlv`] keeps its `raw` encoding beside its value;
//! - modules are written with EXTENSIBILITY IMPLIED, so skipping unknown trailing members is explicit
//!   ([`Reader::skip_rest`]) and forgetting them is not possible ([`Reader::finish`]);
//! - tags are spelled as the specifications spell them: `Tag(0xBF36)`, `Tag(0x5F37)`, `Tag(0x30)`.
//!
//! Lengths must be definite and minimal (DER, X.690 section 10.1).
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

mod bytes;
mod reader;
mod tag;
mod writer;

pub use bytes::{OutOfMemory, TryBytes, drop_first, swap_take, try_copy};
pub use reader::{Reader, Tlv, leading_length};
pub use tag::Tag;
pub use writer::Writer;

use core::fmt;

/// Why a data object could not be read or written, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Offset in bytes, from the start of what the [`Reader`] was given.
    pub offset: usize,
}

/// What is wrong with a data object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes end inside a tag, a length or a value.
    Truncated,
    /// The tag or length is not encoded as DER wants it.
    Encoding,
    /// Another tag stands where `expected` must be.
    UnexpectedTag {
        /// The tag that must be here.
        expected: Tag,
    },
    /// Bytes are left over after the last member.
    TrailingData,
    /// The value has a length or content that its type does not allow.
    Value {
        /// The tag of the object that holds the value.
        tag: Tag,
    },
    /// The memory for the result could not be had.
    OutOfMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::Truncated => write!(f, "data object cut off at byte {}", self.offset),
            ErrorKind::Encoding => write!(f, "tag or length is not DER at byte {}", self.offset),
            ErrorKind::UnexpectedTag { expected } => {
                write!(f, "tag {expected} expected at byte {}", self.offset)
            }
            ErrorKind::TrailingData => write!(f, "unexpected data at byte {}", self.offset),
            ErrorKind::Value { tag } => write!(f, "bad value in {tag} at byte {}", self.offset),
            ErrorKind::OutOfMemory => write!(f, "out of memory at byte {}", self.offset),
        }
    }
}

impl core::error::Error for Error {}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Self {
        Error { kind: ErrorKind::OutOfMemory, offset: 0 }
    }
}
