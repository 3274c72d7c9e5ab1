/// The highest logical channel number (TS 102 221 section 10.1.1).
pub const MAX_CHANNEL: u8 = 19;

/// Which family of commands a class byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `0X`, `4X`, `6X`: ISO/IEC 7816-4 commands.
    Interindustry,
    /// `8X`, `CX`, `EX`: commands that the application defines (TS 102 221, TS 31.102, GlobalPlatform).
    Proprietary,
    /// `A0`: the 2G command set of TS 51.011.
    Gsm,
}

/// The class byte (TS 102 221 section 10.1.1, tables 10.3 to 10.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// The family.
    pub coding: Coding,
    /// The logical channel, 0 to 19.
    pub channel: u8,
    /// Whether secure messaging is indicated.
    pub secure_messaging: bool,
    /// Whether command chaining is indicated (the command is not the last of its chain).
    pub chaining: bool,
}

impl Class {
    /// Reads a class byte; `None` for the classes that TS 102 221 does not use (`1X` is chaining in
    /// channels 0 to 3 and is read).
    #[must_use]
    pub const fn from_byte(cla: u8) -> Option<Class> {
        let (coding, further) = match cla >> 4 {
            0x0 | 0x1 => (Coding::Interindustry, false),
            0x4..=0x7 => (Coding::Interindustry, true),
            0x8 | 0x9 => (Coding::Proprietary, false),
            0xC..=0xF => (Coding::Proprietary, true),
            0xA => {
                return if cla == 0xA0 {
                    Some(Class { coding: Coding::Gsm, channel: 0, secure_messaging: false, chaining: false })
                } else {
                    None
                };
            }
            _ => return None,
        };
        if cla == 0xFF {
            return None;
        }
        Some(if further {
            Class {
                coding,
                channel: (cla & 0x0F).wrapping_add(4),
                secure_messaging: cla & 0x20 != 0,
                chaining: cla & 0x10 != 0,
            }
        } else {
            Class { coding, channel: cla & 0x03, secure_messaging: cla & 0x0C != 0, chaining: cla & 0x10 != 0 }
        })
    }

    /// The class byte of this family for `channel` without secure messaging or chaining. Channels above
    /// [`MAX_CHANNEL`] are taken modulo 16 into the further range; class `A0` has channel 0 only.
    #[must_use]
    pub const fn byte(coding: Coding, channel: u8) -> u8 {
        let further = channel > 3;
        let low = if further { channel.wrapping_sub(4) & 0x0F } else { channel };
        match (coding, further) {
            (Coding::Interindustry, false) => low,
            (Coding::Interindustry, true) => 0x40 | low,
            (Coding::Proprietary, false) => 0x80 | low,
            (Coding::Proprietary, true) => 0xC0 | low,
            (Coding::Gsm, _) => 0xA0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Channel and secure messaging of all 256 bytes, written out from TS 102 221 tables 10.3 to 10.5.
    #[test]
    fn every_class_byte() {
        for cla in 0..=255u8 {
            let class = Class::from_byte(cla);
            let expected_channel = match cla {
                0x00..=0x1F | 0x80..=0x9F => Some(cla % 4),
                0x40..=0x7F | 0xC0..=0xFE => Some(4 + cla % 16),
                0xA0 => Some(0),
                _ => None,
            };
            assert_eq!(class.map(|c| c.channel), expected_channel, "{cla:02X}");
            let Some(class) = class else { continue };
            if !class.secure_messaging && !class.chaining {
                assert_eq!(Class::byte(class.coding, class.channel), cla, "{cla:02X}");
            }
        }
        // The bytes that another crate was seen to get wrong.
        assert_eq!(Class::from_byte(0x44).unwrap().channel, 8);
        assert_eq!(Class::from_byte(0x4F).unwrap().channel, 19);
        assert!(!Class::from_byte(0x4F).unwrap().secure_messaging);
        assert!(Class::from_byte(0x60).unwrap().secure_messaging);
    }
}
