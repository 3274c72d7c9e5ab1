//! Application identifiers of the eUICC (SGP.02 annex H, used by SGP.22).

/// ISD-R.
pub const ISDR: [u8; 16] = aid(0x01);
/// ECASD.
pub const ECASD: [u8; 16] = aid(0x02);
/// ISD-P executable load file.
pub const ISDP_LOAD_FILE: [u8; 16] = aid(0x0D);
/// ISD-P executable module.
pub const ISDP_MODULE: [u8; 16] = aid(0x0E);

/// How many ISD-P instance AIDs there are: [`isdp`] of 0 to this, exclusive.
pub const MAX_ISDP: u16 = 0x0FF0;

/// The AID of ISD-P instance `number`, upwards from `...8900001000`. `None` from [`MAX_ISDP`] on.
#[must_use]
pub const fn isdp(number: u16) -> Option<[u8; 16]> {
    if number < MAX_ISDP { Some(aid(number.wrapping_add(0x10))) } else { None }
}

/// RID and PIX up to and including `89 00`, then `number` in the next two bytes (its last one in byte 15) and `00`.
const fn aid(number: u16) -> [u8; 16] {
    let [high, low] = number.to_be_bytes();
    [0xA0, 0x00, 0x00, 0x05, 0x59, 0x10, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x89, 0x00, high, low, 0x00]
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn aids_seen_on_cards() {
        assert_eq!(ISDR, hex!("A0000005591010FFFFFFFF8900000100"));
        assert_eq!(ECASD, hex!("A0000005591010FFFFFFFF8900000200"));
        assert_eq!(ISDP_LOAD_FILE, hex!("A0000005591010FFFFFFFF8900000D00"));
        assert_eq!(ISDP_MODULE, hex!("A0000005591010FFFFFFFF8900000E00"));
        assert_eq!(isdp(0), Some(hex!("A0000005591010FFFFFFFF8900001000")));
        assert_eq!(isdp(1), Some(hex!("A0000005591010FFFFFFFF8900001100")));
        assert_eq!(isdp(MAX_ISDP), None);
    }
}
