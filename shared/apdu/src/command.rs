use crate::Class;
use alloc::vec::Vec;
use core::fmt;
use teuicc_tlv::{OutOfMemory, TryBytes};

/// A command APDU, borrowed (ISO/IEC 7816-4 section 5.1; all four cases, short and extended).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// Class byte as sent; [`Command::class`] reads it.
    pub cla: u8,
    /// Instruction byte.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// Command data, 0 to 65535 bytes.
    pub data: &'a [u8],
    /// How many response bytes are asked for, 1 to 65536; `None` without an Le field.
    pub le: Option<u32>,
}

/// Why bytes are no command APDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// Fewer than the four header bytes.
    Header,
    /// Lc or Le do not agree with the number of bytes.
    Length,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CommandError::Header => "a command APDU has at least 4 bytes",
            CommandError::Length => "Lc or Le does not agree with the length of the command APDU",
        })
    }
}

impl core::error::Error for CommandError {}

impl fmt::Debug for Command<'_> {
    /// Header and lengths only: command data may be a PIN or a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:02X} {:02X} {:02X} {:02X} ({} bytes, Le {:?})",
            self.cla,
            self.ins,
            self.p1,
            self.p2,
            self.data.len(),
            self.le
        )
    }
}

impl<'a> Command<'a> {
    /// Reads one command APDU. Errors: too short, or lengths that contradict each other.
    pub fn parse(apdu: &'a [u8]) -> Result<Self, CommandError> {
        let ([cla, ins, p1, p2], body) = apdu.split_first_chunk::<4>().ok_or(CommandError::Header)?;
        let (data, le) = match body {
            [] => (&[][..], None),
            [le] => (&[][..], Some(short_le(*le))),
            [0, high, low] => (&[][..], Some(extended_le(*high, *low))),
            [0, high, low, rest @ ..] => {
                let lc = usize::from(u16::from_be_bytes([*high, *low]));
                let (data, le) = rest.split_at_checked(lc).ok_or(CommandError::Length)?;
                match le {
                    _ if lc == 0 => return Err(CommandError::Length),
                    [] => (data, None),
                    [high, low] => (data, Some(extended_le(*high, *low))),
                    _ => return Err(CommandError::Length),
                }
            }
            [0, ..] => return Err(CommandError::Length),
            [lc, rest @ ..] => {
                let (data, le) = rest.split_at_checked(usize::from(*lc)).ok_or(CommandError::Length)?;
                match le {
                    [] => (data, None),
                    [le] => (data, Some(short_le(*le))),
                    _ => return Err(CommandError::Length),
                }
            }
        };
        Ok(Command { cla: *cla, ins: *ins, p1: *p1, p2: *p2, data, le })
    }

    /// The class byte, read. `None` if the card does not know the class.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        Class::from_byte(self.cla)
    }

    /// P1 and P2 as one big-endian number.
    #[must_use]
    pub fn p1p2(&self) -> u16 {
        u16::from_be_bytes([self.p1, self.p2])
    }
}

/// Writes a short command APDU: `data` of 0 to 255 bytes, `le` of 1 to 256 or `None`.
///
/// Errors: out of memory. Longer data is cut to 255 bytes; callers split before.
pub fn encode_command(header: [u8; 4], data: &[u8], le: Option<u16>) -> Result<Vec<u8>, OutOfMemory> {
    let mut apdu = Vec::new();
    apdu.try_extend(&header)?;
    let data = data.get(..255).unwrap_or(data);
    if !data.is_empty() {
        apdu.try_push(u8::try_from(data.len()).unwrap_or(u8::MAX))?;
        apdu.try_extend(data)?;
    }
    if let Some(le) = le {
        apdu.try_push(u8::try_from(le).unwrap_or(0))?;
    }
    Ok(apdu)
}

fn short_le(le: u8) -> u32 {
    if le == 0 { 256 } else { u32::from(le) }
}

fn extended_le(high: u8, low: u8) -> u32 {
    match u16::from_be_bytes([high, low]) {
        0 => 65536,
        le => u32::from(le),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    fn shape(apdu: &[u8]) -> Result<(usize, Option<u32>), CommandError> {
        Command::parse(apdu).map(|c| (c.data.len(), c.le))
    }

    #[test]
    fn all_cases_short_and_extended() {
        assert_eq!(shape(&hex!("00A40000")), Ok((0, None)));
        assert_eq!(shape(&hex!("00B0000000")), Ok((0, Some(256))));
        assert_eq!(shape(&hex!("00A40000 02 3F00")), Ok((2, None)));
        assert_eq!(shape(&hex!("00A40000 02 3F00 10")), Ok((2, Some(16))));
        assert_eq!(shape(&hex!("00B00000 00 0000")), Ok((0, Some(65536))));
        assert_eq!(shape(&hex!("00D60000 00 0002 3F00")), Ok((2, None)));
        assert_eq!(shape(&hex!("00D60000 00 0002 3F00 0100")), Ok((2, Some(256))));
    }

    #[test]
    fn lengths_that_contradict_are_refused() {
        assert_eq!(shape(&hex!("00A400")), Err(CommandError::Header));
        assert_eq!(shape(&hex!("00A40000 03 3F00")), Err(CommandError::Length));
        assert_eq!(shape(&hex!("00A40000 02 3F00 10 10")), Err(CommandError::Length));
        assert_eq!(shape(&hex!("00A40000 00 01")), Err(CommandError::Length));
        assert_eq!(shape(&hex!("00A40000 00 0000 01")), Err(CommandError::Length));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Command::parse(&bytes);
        }
    }
}
