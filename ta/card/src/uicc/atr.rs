//! The answer to reset (ISO/IEC 7816-3 section 8.2, TS 102 221 section 6.3).

/// The answer to reset.
///
/// T=0 is the only protocol; the global interface bytes after T=15 say supply voltage classes A, B and C, and that
/// this is an eUICC. The historical bytes say what the card does: channels, but no extended length fields.
pub(crate) const ATR: [u8; 22] = [
    0x3B, // TS: direct convention
    0x9E, // T0: TA1 and TD1 follow, 14 historical bytes
    0x96, // TA1: F = 512, D = 32
    0x80, // TD1: T=0, TD2 follows
    0x3F, // TD2: T=15, TA3 and TB3 follow
    0xC7, // TA3: clock stop in either state, classes A, B and C
    0x82, // TB3: UICC-terminal interface, eUICC-related functions supported
    0x80, // historical bytes are COMPACT-TLV objects
    0x31, // card service data:
    0xE0, //   applications by full and partial AID, EF.DIR in BER-TLV, read by READ RECORD; card with MF
    0x73, // card capabilities:
    0xFE, //   selection by full and partial name, path, file identifier, implicit; SFI, record number
    0x21, //   data units of one byte
    0x1F, //   no extended length fields; channel numbers by card or terminal; 8 or more channels
    0x66, // pre-issuing data: "teuicc"
    b't', b'e', b'u', b'i', b'c', b'c', 0x7B, // TCK
];

#[cfg(test)]
mod tests {
    use super::ATR;

    #[test]
    fn is_valid_and_says_euicc() {
        assert!(ATR.len() <= 32);
        assert_eq!(ATR[1..].iter().fold(0, |sum, byte| sum ^ byte), 0, "TCK");
        assert_eq!(usize::from(ATR[1] & 0x0F), ATR.len() - 7 - 1);
        assert_eq!(ATR[3] & 0x0F, 0, "T=0 first");
        assert_eq!(ATR[4] & 0x0F, 15, "then T=15");
        assert_eq!(ATR[6], 0x82, "the first TB after T=15");
        assert_eq!(ATR[13] & 0x40, 0, "no extended length");
    }
}
