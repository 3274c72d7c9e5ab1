//! How the stored forms of a profile are written and read: numbers, byte strings and run-length coded content.
//!
//! Numbers are big-endian, or a *varint*: seven bits a byte, least significant first, bit 8 set on all but the last.

use crate::platform::{ObjectId, StoreError};
use crate::wiped;
use alloc::vec::Vec;
use teuicc_tlv::{OutOfMemory, TryBytes, try_copy};
use zeroize::Zeroizing;

/// From this many equal bytes on a run is shorter than leaving them as they are.
const MIN_RUN: usize = 4;

/// Writes an object. Everything it ever held is wiped: where it grows it leaves no copy behind.
pub(super) struct Encoder(Zeroizing<Vec<u8>>);

type Written = Result<(), OutOfMemory>;

impl Encoder {
    /// An object of this version, with `capacity` bytes set aside.
    pub(super) fn new(version: u8, capacity: usize) -> Result<Self, OutOfMemory> {
        let mut bytes = Zeroizing::new(Vec::new());
        bytes.try_reserve(capacity).map_err(|_| OutOfMemory)?;
        bytes.try_push(version)?;
        Ok(Encoder(bytes))
    }

    /// What was written.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn byte(&mut self, byte: u8) -> Written {
        self.fixed(&[byte])
    }

    /// Bytes whose number the reader knows.
    pub(super) fn fixed(&mut self, bytes: &[u8]) -> Written {
        wiped::try_extend(&mut self.0, bytes)
    }

    pub(super) fn varint(&mut self, mut number: u64) -> Written {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.byte(low & 0x7F);
            }
            self.byte(low | 0x80)?;
        }
    }

    /// A number of things.
    pub(super) fn count(&mut self, count: usize) -> Written {
        self.varint(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Bytes with their number before them.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Written {
        self.count(bytes.len())?;
        self.fixed(bytes)
    }

    /// Bytes in runs: the number of bytes, then tokens. A token is the varint `2 n` and n bytes as they are, or the
    /// varint `2 n + 1` and a byte that stands there n times. Files are mostly FF.
    pub(super) fn runs(&mut self, bytes: &[u8]) -> Written {
        self.count(bytes.len())?;
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let run = rest.iter().position(|byte| byte != first).unwrap_or(rest.len());
            if run >= MIN_RUN {
                self.token(run, true)?;
                self.byte(*first)?;
                rest = rest.get(run..).unwrap_or_default();
            } else {
                let literal = next_run(rest);
                let (copied, after) = rest.split_at_checked(literal).unwrap_or((rest, &[]));
                self.token(copied.len(), false)?;
                self.fixed(copied)?;
                rest = after;
            }
        }
        Ok(())
    }

    fn token(&mut self, count: usize, run: bool) -> Written {
        self.varint((u64::try_from(count).unwrap_or(0) << 1) | u64::from(run))
    }
}

/// Where the next run of at least [`MIN_RUN`] bytes begins; the end if there is none.
fn next_run(bytes: &[u8]) -> usize {
    let mut windows = bytes.windows(MIN_RUN);
    windows
        .position(|window| window.first().is_some_and(|first| window.iter().all(|byte| byte == first)))
        .unwrap_or(bytes.len())
}

/// Reads an object. Every error names the object.
pub(super) struct Decoder<'a> {
    rest: &'a [u8],
    id: ObjectId,
}

type Read<T> = Result<T, StoreError>;

impl<'a> Decoder<'a> {
    /// A reader of `object`. Errors: it is not of this version.
    pub(super) fn new(object: &'a [u8], version: u8, id: ObjectId) -> Read<Self> {
        let mut decoder = Decoder { rest: object, id };
        if decoder.byte()? != version {
            return Err(decoder.corrupt());
        }
        Ok(decoder)
    }

    /// The error for a value that this card does not write.
    pub(super) fn corrupt(&self) -> StoreError {
        StoreError::Corrupt(self.id)
    }

    /// `value` if `allowed`.
    pub(super) fn check<T>(&self, value: T, allowed: impl FnOnce(&T) -> bool) -> Read<T> {
        if allowed(&value) { Ok(value) } else { Err(self.corrupt()) }
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn fixed(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(self.corrupt())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(self.corrupt())?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn varint(&mut self) -> Read<u64> {
        let mut number = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return self.check(number, |_| byte != 0 || shift == 0);
            }
        }
        Err(self.corrupt())
    }

    /// A number of things, at most `max`.
    pub(super) fn count(&mut self, max: usize) -> Read<usize> {
        let count = usize::try_from(self.varint()?).map_err(|_| self.corrupt())?;
        self.check(count, |count| *count <= max)
    }

    /// Bytes with their number before them, at most `max`.
    pub(super) fn bytes(&mut self, max: usize) -> Read<Vec<u8>> {
        let count = self.count(max)?;
        Ok(try_copy(self.fixed(count)?)?)
    }

    /// What [`Encoder::runs`] wrote, at most `max` bytes.
    pub(super) fn runs(&mut self, max: usize) -> Read<Vec<u8>> {
        let total = self.count(max)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(total).map_err(|_| StoreError::OutOfMemory)?;
        while bytes.len() < total {
            let token = self.varint()?;
            let count = usize::try_from(token >> 1).map_err(|_| self.corrupt())?;
            let end = bytes.len().saturating_add(count);
            self.check(count, |count| *count > 0 && end <= total)?;
            if token & 1 == 1 {
                let byte = self.byte()?;
                bytes.try_resize(end, byte)?;
            } else {
                bytes.try_extend(self.fixed(count)?)?;
            }
        }
        Ok(bytes)
    }

    /// Checks that everything was read.
    pub(super) fn finish(self) -> Read<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: ObjectId = ObjectId::Registry;

    fn decoded(encoder: &Encoder) -> Decoder<'_> {
        Decoder::new(encoder.as_bytes(), 1, ID).unwrap()
    }

    #[test]
    fn a_file_of_ff_takes_a_few_bytes() {
        let mut encoder = Encoder::new(1, 0).unwrap();
        encoder.runs(&[0xFF; 1000]).unwrap();
        assert_eq!(encoder.as_bytes(), [1, 0xE8, 0x07, 0xD1, 0x0F, 0xFF]);
    }

    proptest! {
        #[test]
        fn runs_come_back(chunks in proptest::collection::vec((any::<u8>(), 1usize..40), 0..30)) {
            let bytes: Vec<u8> = chunks.iter().flat_map(|(byte, count)| core::iter::repeat_n(*byte, *count % 9)).collect();
            let mut encoder = Encoder::new(1, 0).unwrap();
            encoder.runs(&bytes).unwrap();
            let mut decoder = decoded(&encoder);
            prop_assert_eq!(decoder.runs(1000).unwrap(), bytes);
            prop_assert!(decoder.finish().is_ok());
        }

        #[test]
        fn numbers_come_back(number in 0u64..1 << 62) {
            let mut encoder = Encoder::new(1, 0).unwrap();
            encoder.varint(number).unwrap();
            let mut decoder = decoded(&encoder);
            prop_assert_eq!(decoder.varint().unwrap(), number);
            prop_assert!(decoder.finish().is_ok());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(mut decoder) = Decoder::new(&bytes, 1, ID) {
                let _ = decoder.runs(500);
                let _ = decoder.bytes(10);
            }
        }
    }
}
