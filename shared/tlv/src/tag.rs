use core::fmt;
use der::{Decode, Reader as _, SliceReader};

/// A tag, spelled as the specifications spell it: its identifier octets read as one big-endian number,
/// `Tag(0x30)`, `Tag(0x5F37)`, `Tag(0xBF36)`. At most three octets, which is tag number 16383.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u32);

impl Tag {
    /// BOOLEAN.
    pub const BOOLEAN: Tag = Tag(0x01);
    /// INTEGER.
    pub const INTEGER: Tag = Tag(0x02);
    /// BIT STRING.
    pub const BIT_STRING: Tag = Tag(0x03);
    /// OCTET STRING.
    pub const OCTET_STRING: Tag = Tag(0x04);
    /// OBJECT IDENTIFIER.
    pub const OID: Tag = Tag(0x06);
    /// UTF8String.
    pub const UTF8_STRING: Tag = Tag(0x0C);
    /// SEQUENCE.
    pub const SEQUENCE: Tag = Tag(0x30);
    /// SET.
    pub const SET: Tag = Tag(0x31);

    /// The context-specific primitive tag of `number` (0 to 30): `[n]` around a primitive type.
    #[must_use]
    pub const fn context(number: u8) -> Tag {
        Tag(0x80 | (number & 0x1F) as u32)
    }

    /// The context-specific constructed tag of `number` (0 to 30): `[n]` around a SEQUENCE or CHOICE.
    #[must_use]
    pub const fn context_constructed(number: u8) -> Tag {
        Tag(0xA0 | (number & 0x1F) as u32)
    }

    /// The first identifier octet.
    #[must_use]
    pub const fn first_octet(self) -> u8 {
        let [_, a, b, c] = self.0.to_be_bytes();
        if a != 0 {
            a
        } else if b != 0 {
            b
        } else {
            c
        }
    }

    /// Whether the value is itself a sequence of data objects (bit 6 of the first octet).
    #[must_use]
    pub const fn is_constructed(self) -> bool {
        self.first_octet() & 0x20 != 0
    }

    /// How many identifier octets the tag has, 1 to 3.
    #[must_use]
    pub const fn encoded_len(self) -> usize {
        match self.0 {
            0..=0xFF => 1,
            0x100..=0xFFFF => 2,
            _ => 3,
        }
    }

    /// The identifier octets, right-aligned; the last [`Tag::encoded_len`] of them count.
    pub(crate) const fn octets(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// Reads the tag at the front of `bytes`: the tag, and how many octets it has.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Tag, usize), der::Error> {
        let mut reader = SliceReader::new(bytes)?;
        der::Tag::decode(&mut reader)?;
        let octets = usize::try_from(reader.position())?;
        let number = bytes.iter().take(octets).fold(0u32, |tag, octet| (tag << 8) | u32::from(*octet));
        if octets > 3 {
            return Err(der::ErrorKind::TagNumberInvalid.into());
        }
        Ok((Tag(number), octets))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}
