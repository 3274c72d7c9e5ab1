//! What all profile elements' decoders share: error positions, unknown members, checked lists, object identifiers.

use crate::status::{PeStatus, StatusCode};
use core::fmt;
use core::marker::PhantomData;
use teuicc_tlv::{Reader, Tag, Tlv};

/// The result of decoding: the error is what the report says.
pub(crate) type Result<T> = core::result::Result<T, PeStatus>;

/// A member that the ASN.1 does not know (clause 7.3: reported as invalid-parameter, then ignored).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMember {
    /// Its tag.
    pub tag: Tag,
    /// Where it is, in bytes from the profile element's tag.
    pub offset: u32,
}

/// The profile element being decoded: where errors are, and what was not understood.
pub(crate) struct Scan<'a> {
    element: &'a [u8],
    pub(crate) identification: Option<u16>,
    pub(crate) unknown: Option<UnknownMember>,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(element: &'a [u8]) -> Self {
        Scan { element, identification: None, unknown: None }
    }

    /// Offset of `part`, which lies within the element, in bytes.
    fn offset(&self, part: &[u8]) -> u32 {
        let distance = part.as_ptr().addr().saturating_sub(self.element.as_ptr().addr());
        u32::try_from(distance.min(self.element.len())).unwrap_or(u32::MAX)
    }

    /// The error `status` at `part`.
    pub(crate) fn fail(&self, status: StatusCode, part: &[u8]) -> PeStatus {
        PeStatus::new(status).of(self.identification).at(self.offset(part))
    }

    /// The error for the value of `tlv`.
    pub(crate) fn bad(&self, tlv: &Tlv<'_>) -> PeStatus {
        self.fail(StatusCode::BadValues, tlv.raw)
    }

    /// Adds what is known of the place to an error met while reading at `part`.
    pub(crate) fn place<T>(&self, part: &[u8], result: core::result::Result<T, teuicc_tlv::Error>) -> Result<T> {
        result.map_err(|error| self.fail(StatusCode::from(&error), part))
    }

    pub(crate) fn read(&self, reader: &mut Reader<'a>) -> Result<Tlv<'a>> {
        let at = reader.rest();
        self.place(at, reader.read())
    }

    pub(crate) fn expect(&self, reader: &mut Reader<'a>, tag: u32) -> Result<Tlv<'a>> {
        let at = reader.rest();
        self.place(at, reader.expect(Tag(tag)))
    }

    pub(crate) fn optional(&self, reader: &mut Reader<'a>, tag: u32) -> Result<Option<Tlv<'a>>> {
        let at = reader.rest();
        self.place(at, reader.optional(Tag(tag)))
    }

    /// OCTET STRING of `min` to `max` bytes.
    pub(crate) fn octets(&self, tlv: &Tlv<'a>, min: usize, max: usize) -> Result<&'a [u8]> {
        if (min..=max).contains(&tlv.value.len()) { Ok(tlv.value) } else { Err(self.bad(tlv)) }
    }

    pub(crate) fn expect_octets(&self, reader: &mut Reader<'a>, tag: u32, min: usize, max: usize) -> Result<&'a [u8]> {
        let tlv = self.expect(reader, tag)?;
        self.octets(&tlv, min, max)
    }

    pub(crate) fn optional_octets(
        &self,
        reader: &mut Reader<'a>,
        tag: u32,
        min: usize,
        max: usize,
    ) -> Result<Option<&'a [u8]>> {
        self.optional(reader, tag)?.map(|tlv| self.octets(&tlv, min, max)).transpose()
    }

    /// OCTET STRING of exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&self, tlv: &Tlv<'a>) -> Result<&'a [u8; N]> {
        self.place(tlv.raw, tlv.array())
    }

    pub(crate) fn expect_array<const N: usize>(&self, reader: &mut Reader<'a>, tag: u32) -> Result<&'a [u8; N]> {
        let tlv = self.expect(reader, tag)?;
        self.array(&tlv)
    }

    pub(crate) fn optional_array<const N: usize>(
        &self,
        reader: &mut Reader<'a>,
        tag: u32,
    ) -> Result<Option<&'a [u8; N]>> {
        self.optional(reader, tag)?.map(|tlv| self.array(&tlv)).transpose()
    }

    /// INTEGER that fits `T`.
    pub(crate) fn integer<T: TryFrom<u32>>(&self, tlv: &Tlv<'a>) -> Result<T> {
        self.place(tlv.raw, crate::status::narrow(tlv))
    }

    pub(crate) fn expect_integer<T: TryFrom<u32>>(&self, reader: &mut Reader<'a>, tag: u32) -> Result<T> {
        let tlv = self.expect(reader, tag)?;
        self.integer(&tlv)
    }

    pub(crate) fn optional_integer<T: TryFrom<u32>>(&self, reader: &mut Reader<'a>, tag: u32) -> Result<Option<T>> {
        self.optional(reader, tag)?.map(|tlv| self.integer(&tlv)).transpose()
    }

    /// Notes a member that is not known; only the first is kept.
    pub(crate) fn note_unknown(&mut self, tlv: &Tlv<'a>) {
        let offset = self.offset(tlv.raw);
        self.unknown.get_or_insert(UnknownMember { tag: tlv.tag, offset });
    }

    /// Reads what follows the last known member: unknown ones, which are noted.
    pub(crate) fn rest(&mut self, mut reader: Reader<'a>) -> Result<()> {
        while !reader.is_empty() {
            let tlv = self.read(&mut reader)?;
            self.note_unknown(&tlv);
        }
        Ok(())
    }
}

/// Something that a checked [`List`] holds.
pub trait Item<'a>: Sized {
    #[doc(hidden)]
    fn read(tlv: &Tlv<'a>, scan: &mut Scanner<'_, 'a>) -> core::result::Result<Option<Self>, PeStatus>;
}

/// Opaque to other crates: what [`Item`]s are read with.
pub struct Scanner<'s, 'a>(pub(crate) &'s mut Scan<'a>);

/// A SEQUENCE OF that was checked to its end when its profile element was read; it holds no copy.
pub struct List<'a, T> {
    bytes: &'a [u8],
    item: PhantomData<fn() -> T>,
}

impl<'a, T: Item<'a>> List<'a, T> {
    /// Checks each item. Errors: those of the items.
    pub(crate) fn check(bytes: &'a [u8], scan: &mut Scan<'a>) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let tlv = scan.read(&mut reader)?;
            if T::read(&tlv, &mut Scanner(scan))?.is_none() {
                scan.note_unknown(&tlv);
            }
        }
        Ok(List { bytes, item: PhantomData })
    }

    /// A list whose bytes were checked before.
    pub(crate) fn checked(bytes: &'a [u8]) -> Self {
        List { bytes, item: PhantomData }
    }

    /// The items in order. Those with an unknown tag are left out.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        Reader::new(self.bytes).filter_map(|tlv| {
            let tlv = tlv.ok()?;
            T::read(&tlv, &mut Scanner(&mut Scan::new(tlv.raw))).ok()?
        })
    }

    /// How many items there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The encoded items.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> fmt::Debug for List<'_, T> {
    /// The length only: items may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "List({} bytes)", self.bytes.len())
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        List { bytes: &[], item: PhantomData }
    }
}

impl<'a> Item<'a> for &'a [u8] {
    fn read(tlv: &Tlv<'a>, _: &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        Ok((tlv.tag == Tag::OCTET_STRING).then_some(tlv.value))
    }
}

/// The content octets of an OBJECT IDENTIFIER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Oid<'a>(pub &'a [u8]);

impl<'a> Oid<'a> {
    /// Longest that is accepted, in bytes.
    const MAX: usize = 32;

    pub(crate) fn check(tlv: &Tlv<'a>, scan: &Scan<'a>) -> Result<Self> {
        let octets = scan.octets(tlv, 1, Self::MAX)?;
        if octets.last().is_some_and(|last| last & 0x80 != 0) {
            return Err(scan.bad(tlv));
        }
        Ok(Oid(octets))
    }

    /// The arcs; one that is larger than `u32::MAX` wraps.
    pub fn arcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        let mut first = true;
        let mut number = 0u32;
        let subidentifiers = self.0.iter().filter_map(move |octet| {
            number = (number << 7) | u32::from(octet & 0x7F);
            (octet & 0x80 == 0).then(|| core::mem::take(&mut number))
        });
        subidentifiers.flat_map(move |number| {
            let root = (number / 40).min(2);
            let pair = [Some(root), Some(number.saturating_sub(root.saturating_mul(40)))];
            let single = [Some(number), None];
            if core::mem::take(&mut first) { pair } else { single }.into_iter().flatten()
        })
    }
}

impl<'a> Item<'a> for Oid<'a> {
    fn read(tlv: &Tlv<'a>, scan: &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        if tlv.tag != Tag::OID {
            return Ok(None);
        }
        Oid::check(tlv, scan.0).map(Some)
    }
}

impl fmt::Display for Oid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arc) in self.arcs().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            write!(f, "{arc}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}
