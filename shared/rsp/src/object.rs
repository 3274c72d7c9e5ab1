//! How a data object of SGP.22 becomes a type: [`Value`] reads and writes the content under whatever tag the context
//! gives it, [`Object`] adds the tag it has of its own. Two macros, `object!` and `choice!`, write both for a SEQUENCE
//! and a CHOICE from its list of members, so that a member's tag stands in one place.
//!
//! Reading skips members it does not know, wherever they stand (EXTENSIBILITY IMPLIED). Nothing is copied.

use alloc::vec::Vec;
use core::{fmt, marker::PhantomData, ops::Deref};
use teuicc_tlv::{Error, ErrorKind, Reader, Tag, Tlv, Writer};

/// The content of a data object, without a tag of its own.
pub trait Value<'a>: Sized {
    /// Reads the content of `tlv`; its tag was checked by the caller.
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error>;

    /// Writes the content under `tag`.
    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error>;
}

/// A data object with a tag of its own.
pub trait Object<'a>: Value<'a> {
    /// The tag, as sent.
    const TAG: Tag;

    /// Reads exactly one object of this type from `bytes`. Errors: another tag, bad content, trailing data.
    fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(&Tlv::parse(bytes, Self::TAG)?)
    }

    /// Reads the object from a data object that was read already. Errors: another tag, bad content.
    fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Error> {
        if tlv.tag == Self::TAG {
            Self::read(tlv)
        } else {
            Err(Error { kind: ErrorKind::UnexpectedTag { expected: Self::TAG }, offset: 0 })
        }
    }

    /// Writes tag, length and content. Errors: out of memory, or content its type does not allow.
    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        self.put(Self::TAG, writer)
    }

    /// Tag, length and content as bytes. Errors: as [`Object::write`].
    fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new();
        self.write(&mut writer)?;
        Ok(writer.into_bytes())
    }
}

/// Finds the next member with `tag`, skipping others, and leaves `members` behind it; if there is none, `members`
/// stays where it is. Errors: a bad encoding.
pub(crate) fn find<'a>(members: &mut Reader<'a>, tag: Tag) -> Result<Option<Tlv<'a>>, Error> {
    let mut ahead = members.clone();
    while !ahead.is_empty() {
        let tlv = ahead.read()?;
        if tlv.tag == tag {
            *members = ahead;
            return Ok(Some(tlv));
        }
    }
    Ok(None)
}

/// As [`find`], and the member must be there.
pub(crate) fn need<'a>(members: &mut Reader<'a>, tag: Tag) -> Result<Tlv<'a>, Error> {
    find(members, tag)?.ok_or_else(|| members.error(ErrorKind::UnexpectedTag { expected: tag }))
}

/// An object together with the bytes it was read from. Signatures are taken over `raw`, and writing gives `raw` back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Received<'a, T> {
    /// Tag, length and value, as received.
    pub raw: &'a [u8],
    /// What they say.
    pub object: T,
}

impl<'a, T: Object<'a>> Received<'a, T> {
    /// Reads exactly one object of type `T` from `bytes` and keeps the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Received { raw: bytes, object: T::parse(bytes)? })
    }
}

impl<'a, T: Object<'a>> Value<'a> for Received<'a, T> {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        Ok(Received { raw: tlv.raw, object: T::read(tlv)? })
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        Raw(self.raw).put(tag, writer)
    }
}

impl<'a, T: Object<'a>> Object<'a> for Received<'a, T> {
    const TAG: Tag = T::TAG;
}

impl<T> Deref for Received<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T: fmt::Debug> fmt::Debug for Received<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.fmt(f)
    }
}

/// A data object kept as it is: tag, length and value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

impl<'a> Value<'a> for Raw<'a> {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        Ok(Raw(tlv.raw))
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        Tlv::parse(self.0, tag)?;
        writer.raw(self.0)
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

/// SEQUENCE OF: the elements' encodings, each checked when the list was made.
pub struct List<'a, T> {
    elements: &'a [u8],
    element: PhantomData<T>,
}

impl<'a, T: Object<'a>> List<'a, T> {
    /// The list of no elements.
    pub const EMPTY: Self = List { elements: &[], element: PhantomData };

    /// A list over the concatenated encodings of its elements. Errors: an element that is not a `T`.
    pub fn new(elements: &'a [u8]) -> Result<Self, Error> {
        for tlv in Reader::new(elements) {
            T::from_tlv(&tlv?)?;
        }
        Ok(List { elements, element: PhantomData })
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        Reader::new(self.elements).map_while(|tlv| T::from_tlv(&tlv.ok()?).ok())
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        Reader::new(self.elements).count()
    }
}

impl<'a, T> List<'a, T> {
    /// The concatenated encodings of the elements.
    #[must_use]
    pub fn elements(&self) -> &'a [u8] {
        self.elements
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }
}

/// The concatenated encodings of `items`: what [`List::new`] takes. Errors: out of memory.
pub fn concatenated<'a, T: Object<'a>>(items: impl IntoIterator<Item = T>) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new();
    for item in items {
        item.write(&mut writer)?;
    }
    Ok(writer.into_bytes())
}

impl<'a, T: Object<'a>> Value<'a> for List<'a, T> {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        List::new(tlv.value)
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, self.elements)
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.elements == other.elements
    }
}

impl<T> Eq for List<'_, T> {}

impl<'a, T: Object<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Value<'a> for u32 {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        tlv.unsigned()
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.unsigned(tag, *self)
    }
}

impl<'a> Value<'a> for bool {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        tlv.boolean()
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.boolean(tag, *self)
    }
}

impl<'a> Value<'a> for &'a [u8] {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        Ok(tlv.value)
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, self)
    }
}

impl<'a, const N: usize> Value<'a> for &'a [u8; N] {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        tlv.array()
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, *self)
    }
}

/// UTF8String without a limit in the specification: at most [`MAX_TEXT`] bytes.
impl<'a> Value<'a> for &'a str {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        tlv.text(MAX_TEXT)
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, self.as_bytes())
    }
}

/// Longest text taken where the specification gives no limit (addresses, mostly), in bytes.
pub const MAX_TEXT: usize = 1024;

/// UTF8String of at most `MAX` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a, const MAX: usize>(&'a str);

impl<'a, const MAX: usize> Text<'a, MAX> {
    /// The text, `None` if it is longer than `MAX` bytes.
    #[must_use]
    pub fn new(text: &'a str) -> Option<Self> {
        (text.len() <= MAX).then_some(Text(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<'_, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'a, const MAX: usize> Value<'a> for Text<'a, MAX> {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        Ok(Text(tlv.text(MAX)?))
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, self.0.as_bytes())
    }
}

/// OCTET STRING of `MIN` to `MAX` bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Octets<'a, const MIN: usize, const MAX: usize>(&'a [u8]);

impl<'a, const MIN: usize, const MAX: usize> Octets<'a, MIN, MAX> {
    /// The bytes, `None` if there are fewer than `MIN` or more than `MAX`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (MIN..=MAX).contains(&bytes.len()).then_some(Octets(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Octets<'_, MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Debug for Octets<'_, MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<'a, const MIN: usize, const MAX: usize> Value<'a> for Octets<'a, MIN, MAX> {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        Octets::new(tlv.value).ok_or_else(|| tlv.bad_value())
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, self.0)
    }
}

/// TransactionId: 1 to 16 bytes, made by the SM-DP+ (SGP.22 v2.5 section 3.0.1).
pub type TransactionId<'a> = Octets<'a, 1, 16>;

/// AID: 5 to 16 bytes.
pub type Aid<'a> = Octets<'a, 5, 16>;

/// SubjectKeyIdentifier of a CI key: 20 bytes in every published one, others up to 32 are taken too.
pub type KeyId<'a> = Octets<'a, 1, 32>;

impl<'a> Object<'a> for KeyId<'a> {
    const TAG: Tag = Tag::OCTET_STRING;
}

/// VersionType: major, minor, revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u8, pub u8, pub u8);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl<'a> Value<'a> for Version {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        let [major, minor, revision] = *tlv.array()?;
        Ok(Version(major, minor, revision))
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, &[self.0, self.1, self.2])
    }
}

/// Defines a SEQUENCE: `pub struct Name<'a>: TAG { member: required Type = 0x80, member: optional Type = 0x81 }`.
/// Members are read in the given order; with `any order` after the tag, in any (their tags must then differ).
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? : $tag:expr $(, $any:ident order)? => {
            $( $(#[$field_meta:meta])* $field:ident : $kind:ident $type:ty = $field_tag:expr ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $( $(#[$field_meta])* pub $field: crate::object::object!(@type $kind $type), )*
        }

        impl<'a> crate::object::Value<'a> for $name $(<$life>)? {
            #[allow(unused_assignments, unused_mut, unused_variables)]
            fn read(tlv: &teuicc_tlv::Tlv<'a>) -> Result<Self, teuicc_tlv::Error> {
                let mut members = tlv.members();
                members.clone().skip_rest()?;
                let any_order = crate::object::object!(@order $($any)?);
                $(
                    if any_order {
                        members = tlv.members();
                    }
                    let $field = crate::object::object!(@read $kind members, teuicc_tlv::Tag($field_tag));
                )*
                Ok(Self { $($field),* })
            }

            fn put(&self, tag: teuicc_tlv::Tag, writer: &mut teuicc_tlv::Writer) -> Result<(), teuicc_tlv::Error> {
                writer.nested(tag, |writer| {
                    let _ = &writer;
                    $( crate::object::object!(@put $kind self.$field, teuicc_tlv::Tag($field_tag), writer); )*
                    Ok(())
                })
            }
        }

        impl<'a> crate::object::Object<'a> for $name $(<$life>)? {
            const TAG: teuicc_tlv::Tag = $tag;
        }
    };
    (@type required $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@order any) => { true };
    (@order) => { false };
    (@read required $members:ident, $tag:expr) => {
        crate::object::Value::read(&crate::object::need(&mut $members, $tag)?)?
    };
    (@read optional $members:ident, $tag:expr) => {
        match crate::object::find(&mut $members, $tag)? {
            Some(member) => Some(crate::object::Value::read(&member)?),
            None => None,
        }
    };
    (@put required $value:expr, $tag:expr, $writer:ident) => { crate::object::Value::put(&$value, $tag, $writer)? };
    (@put optional $value:expr, $tag:expr, $writer:ident) => {
        if let Some(value) = &$value { crate::object::Value::put(value, $tag, $writer)? }
    };
}
pub(crate) use object;

/// Defines a CHOICE whose alternatives stand inside a tag (a tagged CHOICE is always explicit, X.680 section 31.2.7):
/// `pub enum Name<'a>: TAG { Alternative(Type) = 0xA0 }`.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident $(<$life:lifetime>)? : $tag:expr => {
            $( $(#[$alternative_meta:meta])* $alternative:ident ($type:ty) = $alternative_tag:expr ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant)]
        pub enum $name $(<$life>)? {
            $( $(#[$alternative_meta])* $alternative($type), )*
        }

        impl<'a> crate::object::Value<'a> for $name $(<$life>)? {
            fn read(tlv: &teuicc_tlv::Tlv<'a>) -> Result<Self, teuicc_tlv::Error> {
                let member = tlv.members().read()?;
                $(
                    if member.tag == teuicc_tlv::Tag($alternative_tag) {
                        return Ok(Self::$alternative(crate::object::Value::read(&member)?));
                    }
                )*
                Err(tlv.bad_value())
            }

            fn put(&self, tag: teuicc_tlv::Tag, writer: &mut teuicc_tlv::Writer) -> Result<(), teuicc_tlv::Error> {
                writer.nested(tag, |writer| match self {
                    $(
                        Self::$alternative(value) => {
                            crate::object::Value::put(value, teuicc_tlv::Tag($alternative_tag), writer)
                        }
                    )*
                })
            }
        }

        impl<'a> crate::object::Object<'a> for $name $(<$life>)? {
            const TAG: teuicc_tlv::Tag = $tag;
        }
    };
}
pub(crate) use choice;

/// Defines a named BIT STRING of at most 32 bits: `pub struct Name { BIT = 0 }`.
macro_rules! bits {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$bit_meta:meta])* $bit:ident = $number:literal ),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub u32);

        impl $name {
            $( $(#[$bit_meta])* pub const $bit: Self = Self(1 << $number); )*

            /// Whether every bit of `other` is set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Both sets of bits together.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Whether no bit is set.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }
        }

        impl<'a> crate::object::Value<'a> for $name {
            fn read(tlv: &teuicc_tlv::Tlv<'a>) -> Result<Self, teuicc_tlv::Error> {
                tlv.bits().map(Self)
            }

            fn put(&self, tag: teuicc_tlv::Tag, writer: &mut teuicc_tlv::Writer) -> Result<(), teuicc_tlv::Error> {
                writer.bits(tag, self.0)
            }
        }
    };
}
pub(crate) use bits;
