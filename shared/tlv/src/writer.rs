use crate::{Error, ErrorKind, OutOfMemory, Tag, TryBytes};
use alloc::vec::Vec;

/// Writes data objects with definite, minimal lengths. Every method can fail with [`ErrorKind::OutOfMemory`]
/// and then leaves a prefix of the object behind: drop the writer.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that begins anew in the memory of `bytes`.
    #[must_use]
    pub fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Writer { bytes }
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes one object with this value.
    pub fn primitive(&mut self, tag: Tag, value: &[u8]) -> Result<(), Error> {
        self.header(tag, value.len())?;
        Ok(self.bytes.try_extend(value)?)
    }

    /// Writes bytes that are already encoded.
    pub fn raw(&mut self, encoded: &[u8]) -> Result<(), Error> {
        Ok(self.bytes.try_extend(encoded)?)
    }

    /// Writes a constructed object: `members` writes its value.
    ///
    /// Errors: those of `members`, and out of memory.
    pub fn nested<E: From<Error>>(
        &mut self,
        tag: Tag,
        members: impl FnOnce(&mut Writer) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        members(self)?;
        let length = self.bytes.len().saturating_sub(start);
        let end = self.bytes.len();
        self.header(tag, length).map_err(E::from)?;
        let moved = self.bytes.len().saturating_sub(end);
        if let Some(tail) = self.bytes.get_mut(start..) {
            move_to_front(tail, moved);
        }
        Ok(())
    }

    /// Writes a non-negative INTEGER under `tag`.
    pub fn unsigned(&mut self, tag: Tag, value: u32) -> Result<(), Error> {
        let [a, b, c, d] = value.to_be_bytes();
        let octets = [0, a, b, c, d];
        let mut skip = 0usize;
        while skip < 4
            && octets.get(skip) == Some(&0)
            && octets.get(skip.saturating_add(1)).is_some_and(|next| next & 0x80 == 0)
        {
            skip = skip.saturating_add(1);
        }
        self.primitive(tag, octets.get(skip..).unwrap_or_default())
    }

    /// Writes a BOOLEAN under `tag`.
    pub fn boolean(&mut self, tag: Tag, value: bool) -> Result<(), Error> {
        self.primitive(tag, &[if value { 0xFF } else { 0 }])
    }

    /// Writes a BIT STRING under `tag`, as DER wants a named bit list: bit 0 of `bits` first, trailing zero
    /// bits left out.
    pub fn bits(&mut self, tag: Tag, bits: u32) -> Result<(), Error> {
        let count = 32u32.saturating_sub(bits.leading_zeros());
        let octets = usize::try_from(count.div_ceil(8)).unwrap_or(0);
        let mut value = [0u8; 5];
        if let Some(unused) = value.first_mut() {
            *unused = u8::try_from((8u32.saturating_sub(count % 8)) % 8).unwrap_or(0);
        }
        for (to, from) in value.iter_mut().skip(1).zip(bits.to_le_bytes()) {
            *to = from.reverse_bits();
        }
        self.primitive(tag, value.get(..octets.saturating_add(1)).unwrap_or_default())
    }

    /// Writes tag and length alone; the value must follow.
    pub fn header(&mut self, tag: Tag, length: usize) -> Result<(), Error> {
        let octets = tag.octets();
        let tag_octets = octets.get(4usize.saturating_sub(tag.encoded_len())..).unwrap_or_default();
        self.bytes.try_extend(tag_octets)?;
        let length = u32::try_from(length).map_err(|_| Error { kind: ErrorKind::Value { tag }, offset: 0 })?;
        let [a, b, c, d] = length.to_be_bytes();
        match length {
            0..=0x7F => self.bytes.try_extend(&[d]),
            0x80..=0xFF => self.bytes.try_extend(&[0x81, d]),
            0x100..=0xFFFF => self.bytes.try_extend(&[0x82, c, d]),
            0x1_0000..=0xFF_FFFF => self.bytes.try_extend(&[0x83, b, c, d]),
            _ => self.bytes.try_extend(&[0x84, a, b, c, d]),
        }
        .map_err(|_: OutOfMemory| Error { kind: ErrorKind::OutOfMemory, offset: 0 })
    }
}
/// Brings the last `count` bytes before the others. As `rotate_right`, which can panic.
fn move_to_front(bytes: &mut [u8], count: usize) {
    bytes.reverse();
    if let Some((front, back)) = bytes.split_at_mut_checked(count) {
        front.reverse();
        back.reverse();
    }
}
