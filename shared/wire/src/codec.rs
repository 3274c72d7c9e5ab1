//! Fields: fixed-width big-endian numbers, and byte strings behind a 16- or 32-bit length.

use alloc::vec::Vec;
use core::fmt;
use teuicc_tlv::{OutOfMemory, TryBytes};

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end inside the field of this name.
    Missing(&'static str),
    /// The field of this name has a value that this version does not know.
    Unknown(&'static str),
    /// Bytes are left over.
    Trailing,
    /// A version outside of `version::MIN..=version::CURRENT`.
    Version(u8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Missing(field) => write!(f, "message ends inside {field}"),
            DecodeError::Unknown(field) => write!(f, "unknown value of {field}"),
            DecodeError::Trailing => f.write_str("message has bytes left over"),
            DecodeError::Version(version) => write!(f, "version {version} of the wire protocol is not spoken here"),
        }
    }
}

impl core::error::Error for DecodeError {}

pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (value, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Missing(field))?;
        self.0 = rest;
        Ok(*value)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// A byte string behind a 32-bit length.
    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.u32(field)?).map_err(|_| DecodeError::Missing(field))?;
        let (value, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Missing(field))?;
        self.0 = rest;
        Ok(value)
    }

    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

/// Writes a byte string behind a 32-bit length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), OutOfMemory> {
    let length = u32::try_from(bytes.len()).map_err(|_| OutOfMemory)?;
    out.try_extend(&length.to_be_bytes())?;
    out.try_extend(bytes)
}
