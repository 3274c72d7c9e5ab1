//! The eUICC identifier (SGP.29).

use core::fmt;
use teuicc_tlv::{Error, Tag, Tlv, Writer};

/// EID: 32 decimal digits, two to a byte, the first in the high nibble.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Eid([u8; 16]);

impl Eid {
    /// The EID in its 16 bytes. `None` if a nibble is not a digit; check digits are a matter of [`Eid::is_checked`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        bytes.iter().all(|byte| byte >> 4 < 10 && byte & 0x0F < 10).then_some(Eid(bytes))
    }

    /// The EID from 32 digits. `None` if it is anything else.
    #[must_use]
    pub fn from_digits(digits: &str) -> Option<Self> {
        let digits: &[u8; 32] = digits.as_bytes().try_into().ok()?;
        let mut bytes = [0u8; 16];
        let (pairs, _) = digits.as_chunks::<2>();
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = (digit(*high)? << 4) | digit(*low)?;
        }
        Some(Eid(bytes))
    }

    /// The EID of a card whose first 30 digits are `digits`, with its two check digits. `None` if these are not 30
    /// digits.
    #[must_use]
    pub fn complete_check_digits(digits: &str) -> Option<Self> {
        let digits: &[u8; 30] = digits.as_bytes().try_into().ok()?;
        let mut all = [b'0'; 32];
        all.get_mut(..30)?.copy_from_slice(digits);
        let incomplete = Self::from_digits(core::str::from_utf8(&all).ok()?)?;
        // SGP.29 section 3: the check digits are 98 minus the remainder with 00 in their place.
        let check = 98u8.checked_sub(incomplete.remainder())?;
        let mut bytes = incomplete.0;
        *bytes.last_mut()? = (check.checked_div(10)? << 4) | check.checked_rem(10)?;
        Some(Eid(bytes))
    }

    /// Whether the check digits are right: the EID as a number, modulo 97, is 1.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.remainder() == 1
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 32 digits in ASCII.
    #[must_use]
    pub fn digits(&self) -> [u8; 32] {
        let mut digits = [0u8; 32];
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(&self.0) {
            *pair = [b'0'.wrapping_add(byte >> 4), b'0'.wrapping_add(byte & 0x0F)];
        }
        digits
    }

    /// The EID as a number, modulo 97.
    fn remainder(&self) -> u8 {
        u8::try_from(number(&self.0) % 97).unwrap_or(0)
    }
}

/// Packed digits as a number. 32 decimal digits are less than 2^107, so it cannot overflow.
fn number(bytes: &[u8; 16]) -> u128 {
    bytes.iter().fold(0u128, |sum, byte| {
        let pair = u128::from(byte >> 4).wrapping_mul(10).wrapping_add(u128::from(byte & 0x0F));
        sum.wrapping_mul(100).wrapping_add(pair)
    })
}

/// The value of an ASCII digit.
fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then_some(byte & 0x0F)
}

impl fmt::Display for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Eid({self})")
    }
}

impl<'a> crate::object::Value<'a> for Eid {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        Eid::from_bytes(*tlv.array()?).ok_or_else(|| tlv.bad_value())
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const SGP26: &str = "89049032123451234512345678901235";

    #[test]
    fn digits_and_bytes_are_the_same_number() {
        let eid = Eid::from_digits(SGP26).unwrap();
        assert_eq!(eid.as_bytes()[..4], [0x89, 0x04, 0x90, 0x32]);
        assert_eq!(eid.to_string(), SGP26);
        assert_eq!(&eid.digits(), SGP26.as_bytes());
        assert_eq!(Eid::from_digits("8904903212345123451234567890123"), None);
        assert_eq!(Eid::from_digits("8904903212345123451234567890123A"), None);
        assert_eq!(Eid::from_bytes([0xAA; 16]), None);
    }

    #[test]
    fn check_digits_of_the_test_eid() {
        assert!(Eid::from_digits(SGP26).unwrap().is_checked());
        assert!(!Eid::from_digits("89049032123451234512345678901236").unwrap().is_checked());
        assert_eq!(Eid::complete_check_digits(&SGP26[..30]).unwrap().to_string(), SGP26);
    }

    #[test]
    fn completed_check_digits_are_always_right() {
        for last in 0..1000u32 {
            let digits = alloc::format!("890490320010010012345678{last:06}");
            assert!(Eid::complete_check_digits(&digits).unwrap().is_checked(), "{digits}");
        }
    }
}
