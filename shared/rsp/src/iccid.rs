//! The integrated circuit card identifier (ITU-T E.118; coding of EF.ICCID, TS 102 221 section 13.2).

use core::fmt;
use teuicc_tlv::{Error, Tag, Tlv, Writer};

/// ICCID: 10 bytes as in EF.ICCID, nibbles swapped, padded with F. 18 to 20 digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Iccid([u8; 10]);

impl Iccid {
    /// The ICCID in the 10 bytes of EF.ICCID. `None` if a digit follows a padding nibble, or a nibble is neither.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 10]) -> Option<Self> {
        let iccid = Iccid(bytes);
        let nibbles = iccid.nibbles();
        let length = nibbles.iter().take_while(|nibble| **nibble < 10).count();
        let padded = nibbles.iter().skip(length).all(|nibble| *nibble == 0x0F);
        (padded && length > 0).then_some(iccid)
    }

    /// The ICCID from 1 to 20 digits; trailing `F`s are padding. `None` if it is anything else.
    #[must_use]
    pub fn from_digits(digits: &str) -> Option<Self> {
        let digits = digits.trim_end_matches(['F', 'f']).as_bytes();
        if digits.is_empty() || digits.len() > 20 {
            return None;
        }
        let mut nibbles = [0x0Fu8; 20];
        for (nibble, digit) in nibbles.iter_mut().zip(digits) {
            *nibble = digit.is_ascii_digit().then(|| digit & 0x0F)?;
        }
        let mut bytes = [0u8; 10];
        let (pairs, _) = nibbles.as_chunks::<2>();
        for (byte, [first, second]) in bytes.iter_mut().zip(pairs) {
            *byte = (second << 4) | first;
        }
        Some(Iccid(bytes))
    }

    /// The ICCID from the ProfileHeader of a profile package, where the nibbles are not swapped (TCA "eUICC Profile
    /// Package", ProfileHeader). `None` as for [`Iccid::from_bytes`].
    #[must_use]
    pub fn from_profile_header(bytes: &[u8; 10]) -> Option<Self> {
        Self::from_bytes(bytes.map(|byte| byte.rotate_left(4)))
    }

    /// As it stands in a ProfileHeader, nibbles not swapped.
    #[must_use]
    pub fn to_profile_header(&self) -> [u8; 10] {
        self.0.map(|byte| byte.rotate_left(4))
    }

    /// The 10 bytes of EF.ICCID.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }

    /// The 20 nibbles in the order of the digits.
    fn nibbles(&self) -> [u8; 20] {
        let mut nibbles = [0u8; 20];
        let (pairs, _) = nibbles.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(&self.0) {
            *pair = [byte & 0x0F, byte >> 4];
        }
        nibbles
    }
}

impl fmt::Display for Iccid {
    /// The digits, without padding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nibbles().iter().take_while(|nibble| **nibble < 10).try_for_each(|nibble| write!(f, "{nibble}"))
    }
}

impl fmt::Debug for Iccid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iccid({self})")
    }
}

impl<'a> crate::object::Value<'a> for Iccid {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        Iccid::from_bytes(*tlv.array()?).ok_or_else(|| tlv.bad_value())
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use hex_literal::hex;

    #[test]
    fn the_ts48_iccid_in_all_three_forms() {
        let iccid = Iccid::from_digits("89000123456789012341").unwrap();
        assert_eq!(iccid.as_bytes(), &hex!("98001032547698103214"));
        assert_eq!(iccid.to_profile_header(), hex!("89000123456789012341"));
        assert_eq!(Iccid::from_profile_header(&hex!("89000123456789012341")), Some(iccid));
        assert_eq!(iccid.to_string(), "89000123456789012341");
    }

    #[test]
    fn nineteen_digits_are_padded() {
        let iccid = Iccid::from_digits("8900012345678901234").unwrap();
        assert_eq!(iccid.as_bytes(), &hex!("980010325476981032F4"));
        assert_eq!(iccid.to_string(), "8900012345678901234");
        assert_eq!(Iccid::from_digits("8900012345678901234F"), Some(iccid));
    }

    #[test]
    fn refuses_what_is_no_iccid() {
        assert_eq!(Iccid::from_digits(""), None);
        assert_eq!(Iccid::from_digits("890001234567890123412"), None);
        assert_eq!(Iccid::from_digits("8900F12345678901234"), None);
        assert_eq!(Iccid::from_bytes(hex!("98F01032547698103214")), None);
        assert_eq!(Iccid::from_bytes([0xFF; 10]), None);
    }
}
