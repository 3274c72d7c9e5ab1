use crate::{Error, ErrorKind, Tag};
use der::{Decode, Length, Reader as _, SliceReader};

/// One data object, borrowed from what was received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag.
    pub tag: Tag,
    /// Tag, length and value, as received.
    pub raw: &'a [u8],
    /// The value alone.
    pub value: &'a [u8],
}

impl core::fmt::Debug for Tlv<'_> {
    /// Tag and length only: a value may be a secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Tlv({}, {} bytes)", self.tag, self.value.len())
    }
}

impl<'a> Tlv<'a> {
    /// Reads exactly one data object with `tag` and nothing after it.
    ///
    /// Errors: another tag, a bad encoding, trailing data.
    pub fn parse(bytes: &'a [u8], tag: Tag) -> Result<Tlv<'a>, Error> {
        let mut reader = Reader::new(bytes);
        let tlv = reader.expect(tag)?;
        reader.finish()?;
        Ok(tlv)
    }

    /// A reader over the members of a constructed object.
    #[must_use]
    pub fn members(&self) -> Reader<'a> {
        Reader::new(self.value)
    }

    /// The value as an array of exactly `N` bytes. Errors: another length.
    pub fn array<const N: usize>(&self) -> Result<&'a [u8; N], Error> {
        self.value.try_into().map_err(|_| self.bad_value())
    }

    /// The value as a non-negative INTEGER of at most 4 significant bytes (a leading zero is allowed).
    ///
    /// Errors: empty, negative, or larger than `u32::MAX`.
    pub fn unsigned(&self) -> Result<u32, Error> {
        let significant = match self.value {
            [] => return Err(self.bad_value()),
            [first, ..] if first & 0x80 != 0 => return Err(self.bad_value()),
            [0, rest @ ..] => rest,
            all => all,
        };
        if significant.len() > 4 {
            return Err(self.bad_value());
        }
        Ok(significant.iter().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte)))
    }

    /// The value as BOOLEAN: one byte, any non-zero is true. Errors: another length.
    pub fn boolean(&self) -> Result<bool, Error> {
        let [byte] = self.array::<1>()?;
        Ok(*byte != 0)
    }

    /// The value as UTF-8 text of at most `max` bytes. Errors: longer, or not UTF-8.
    pub fn text(&self, max: usize) -> Result<&'a str, Error> {
        if self.value.len() > max {
            return Err(self.bad_value());
        }
        core::str::from_utf8(self.value).map_err(|_| self.bad_value())
    }

    /// The value as BIT STRING of at most 32 bits: bit 0 (the first, most significant on the wire) is
    /// bit 0 of the result. Errors: bad count of unused bits, or longer.
    pub fn bits(&self) -> Result<u32, Error> {
        let (unused, octets) = self.value.split_first().ok_or_else(|| self.bad_value())?;
        if *unused > 7 || (octets.is_empty() && *unused != 0) || octets.len() > 4 {
            return Err(self.bad_value());
        }
        let mut word = [0u8; 4];
        for (to, from) in word.iter_mut().zip(octets) {
            *to = from.reverse_bits();
        }
        let bits = u32::from_le_bytes(word);
        let count = u32::try_from(octets.len()).unwrap_or(0).saturating_mul(8).saturating_sub(u32::from(*unused));
        Ok(if count >= 32 { bits } else { bits & !(u32::MAX << count) })
    }

    /// The error for a value that its type does not allow.
    #[must_use]
    pub fn bad_value(&self) -> Error {
        Error { kind: ErrorKind::Value { tag: self.tag }, offset: 0 }
    }
}

/// Reads data objects one after the other. Nothing is copied.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, rest: bytes }
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Offset of the next object, in bytes from the start.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.bytes.len().saturating_sub(self.rest.len())
    }

    /// The tag of the next object, `None` at the end or if it is not a tag.
    #[must_use]
    pub fn peek(&self) -> Option<Tag> {
        Tag::decode(self.rest).ok().map(|(tag, _)| tag)
    }

    /// Reads the next object, whatever its tag. Errors: the end, or a bad encoding.
    pub fn read(&mut self) -> Result<Tlv<'a>, Error> {
        let (tag, header, length) = header(self.rest).map_err(|kind| self.error(kind))?;
        let total = header.checked_add(length).ok_or_else(|| self.error(ErrorKind::Encoding))?;
        let (raw, rest) = self.rest.split_at_checked(total).ok_or_else(|| self.error(ErrorKind::Truncated))?;
        let value = raw.get(header..).ok_or_else(|| self.error(ErrorKind::Truncated))?;
        self.rest = rest;
        Ok(Tlv { tag, raw, value })
    }

    /// Reads the next object, which must have `tag`. Errors: another tag, the end, or a bad encoding.
    pub fn expect(&mut self, tag: Tag) -> Result<Tlv<'a>, Error> {
        let offset = self.offset();
        let tlv = self.read()?;
        if tlv.tag == tag { Ok(tlv) } else { Err(Error { kind: ErrorKind::UnexpectedTag { expected: tag }, offset }) }
    }

    /// Reads the next object if it has `tag`, and nothing otherwise. Errors: a bad encoding of that object.
    pub fn optional(&mut self, tag: Tag) -> Result<Option<Tlv<'a>>, Error> {
        if self.peek() == Some(tag) { self.read().map(Some) } else { Ok(None) }
    }

    /// Takes `count` bytes as they are. Errors: fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.error(ErrorKind::Truncated))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the remaining objects and ignores them (EXTENSIBILITY IMPLIED). Errors: a bad encoding.
    pub fn skip_rest(&mut self) -> Result<(), Error> {
        while !self.is_empty() {
            self.read()?;
        }
        Ok(())
    }

    /// Checks that nothing is left. Errors: [`ErrorKind::TrailingData`].
    pub fn finish(&self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(self.error(ErrorKind::TrailingData)) }
    }

    /// An error of `kind` at the current offset.
    #[must_use]
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error { kind, offset: self.offset() }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Tlv<'a>, Error>;

    /// The next object; after an error nothing more comes.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_empty() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.rest = &[];
        }
        Some(item)
    }
}

/// What the first bytes of a data object say of it, for objects that arrive in pieces: the tag, the length
/// of tag and length field, and the length of the value, in bytes. `None` if more bytes are needed.
///
/// Errors: a bad encoding.
pub fn leading_length(bytes: &[u8]) -> Result<Option<(Tag, usize, usize)>, Error> {
    match header(bytes) {
        Ok(found) => Ok(Some(found)),
        Err(ErrorKind::Truncated) => Ok(None),
        Err(kind) => Err(Error { kind, offset: 0 }),
    }
}

/// Tag, header length and value length in bytes.
fn header(bytes: &[u8]) -> Result<(Tag, usize, usize), ErrorKind> {
    let kind = |error: der::Error| match error.kind() {
        der::ErrorKind::Incomplete { .. } => ErrorKind::Truncated,
        _ => ErrorKind::Encoding,
    };
    let (tag, tag_octets) = Tag::decode(bytes).map_err(kind)?;
    let mut reader = SliceReader::new(bytes.get(tag_octets..).unwrap_or_default()).map_err(kind)?;
    let length = Length::decode(&mut reader).map_err(kind)?;
    let length_octets = usize::try_from(reader.position()).map_err(|_| ErrorKind::Encoding)?;
    let length = usize::try_from(length).map_err(|_| ErrorKind::Encoding)?;
    Ok((tag, tag_octets.saturating_add(length_octets), length))
}
