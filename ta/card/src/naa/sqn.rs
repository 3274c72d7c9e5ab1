//! Sequence numbers: an array of accepted ones (TS 33.102 annex C).
//!
//! SQN is SEQ (43 bits) and IND (5 bits). The card keeps the highest accepted SEQ for each IND.

use crate::profile::Naa;

/// How many bits of SQN are IND (TS 33.102 annex C.3.4).
const IND_BITS: u32 = 5;

/// Bit of sqnOptions for protection against wrap around: the jump is limited to delta.
const LIMIT_JUMP: u8 = 0x02;

/// A sequence number, 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sqn(u64);

impl Sqn {
    /// From the 6 bytes of an AUTN.
    pub(crate) fn from_bytes(bytes: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = bytes;
        Sqn(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// Its 6 bytes.
    pub(crate) fn to_bytes(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    fn new(seq: u64, ind: usize) -> Self {
        Sqn((seq << IND_BITS) | (u64::try_from(ind).unwrap_or(0) & 0x1F))
    }

    fn seq(self) -> u64 {
        self.0 >> IND_BITS
    }

    fn ind(self) -> usize {
        usize::try_from(self.0 & 0x1F).unwrap_or(0)
    }
}

/// SQN_MS: the highest accepted sequence number, with its own IND, not the one of the number just received.
pub(crate) fn highest(naa: &Naa) -> Sqn {
    let mut highest = Sqn(0);
    for (ind, seq) in naa.seq.iter().enumerate() {
        if *seq > highest.seq() {
            highest = Sqn::new(*seq, ind);
        }
    }
    highest
}

/// Whether `sqn` is fresh (TS 33.102 annex C.2): not too far ahead, not too old, and higher than the last one of its
/// IND. A SEQ below SEQ_MS is fine as long as its own slot is lower: the differences are taken one-sided.
pub(crate) fn is_fresh(naa: &Naa, sqn: Sqn) -> bool {
    let seq = sqn.seq();
    let seq_ms = highest(naa).seq();
    if naa.sqn_options & LIMIT_JUMP != 0 && seq.saturating_sub(seq_ms) > naa.sqn_delta {
        return false;
    }
    if naa.sqn_age_limit != 0 && seq_ms.saturating_sub(seq) >= naa.sqn_age_limit {
        return false;
    }
    naa.seq.get(sqn.ind()).is_some_and(|last| seq > *last)
}

/// Notes `sqn` as accepted; returns the SEQ that it replaces.
pub(crate) fn accept(naa: &mut Naa, sqn: Sqn) -> u64 {
    naa.seq.get_mut(sqn.ind()).map_or(0, |last| core::mem::replace(last, sqn.seq()))
}

/// Takes back what [`accept`] did.
pub(crate) fn restore(naa: &mut Naa, sqn: Sqn, previous: u64) {
    if let Some(last) = naa.seq.get_mut(sqn.ind()) {
        *last = previous;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Algorithm, FileIndex};

    const SEQ_MAX: u64 = (1 << 43) - 1;

    fn naa(seq: &[(usize, u64)]) -> Naa {
        let mut slots = [0; 32];
        for (ind, value) in seq {
            slots[*ind] = *value;
        }
        Naa {
            adf: FileIndex::MF,
            algorithm: Algorithm::XorTest { k: [0; 16], res_len: 16 },
            sqn_options: 0x02,
            sqn_delta: 1 << 28,
            sqn_age_limit: 1 << 28,
            seq: slots,
            bootstrapping: None,
        }
    }

    #[test]
    fn table() {
        let delta = 1u64 << 28;
        for (what, slots, seq, ind, fresh) in [
            ("first number", &[][..], 1, 0, true),
            ("zero is never fresh", &[], 0, 0, false),
            ("the same again", &[(3, 7)], 7, 3, false),
            ("lower in its slot", &[(3, 7)], 6, 3, false),
            ("higher in its slot", &[(3, 7)], 8, 3, true),
            ("lower SEQ in another, older slot", &[(3, 7), (4, 2)], 5, 4, true),
            ("lower SEQ in an empty slot", &[(3, 7)], 1, 31, true),
            ("lower SEQ in another slot, but not higher there", &[(3, 7), (4, 5)], 5, 4, false),
            ("jump by delta", &[(0, 10)], 10 + delta, 0, true),
            ("jump by more than delta", &[(0, 10)], 11 + delta, 0, false),
            ("jump counted from the highest, not from the slot", &[(0, delta)], 2 * delta, 1, true),
            ("just young enough", &[(0, delta + 5)], 6, 1, true),
            ("exactly too old", &[(0, delta + 5)], 5, 1, false),
            ("the highest number there is", &[(0, SEQ_MAX - 1)], SEQ_MAX, 0, true),
            ("no wrap around", &[(0, SEQ_MAX)], 1, 0, false),
            ("no wrap around into another slot", &[(0, SEQ_MAX)], 1, 1, false),
        ] {
            assert_eq!(is_fresh(&naa(slots), Sqn::new(seq, ind)), fresh, "{what}");
        }
    }

    #[test]
    fn without_the_options_only_the_slot_counts() {
        let mut naa = naa(&[(0, SEQ_MAX - 1)]);
        naa.sqn_options = 0;
        naa.sqn_age_limit = 0;
        assert!(is_fresh(&naa, Sqn::new(1, 1)));
        assert!(is_fresh(&naa, Sqn::new(SEQ_MAX, 0)));
        naa.seq = [0; 32];
        assert!(is_fresh(&naa, Sqn::new(SEQ_MAX, 0)));
    }

    /// The trap of unsigned differences: far below the highest, but new in its own slot.
    #[test]
    fn delta_is_one_sided() {
        let mut naa = naa(&[(0, 1000)]);
        naa.sqn_age_limit = 0;
        naa.sqn_delta = 10;
        assert!(is_fresh(&naa, Sqn::new(1, 1)));
        assert!(is_fresh(&naa, Sqn::new(1010, 1)));
        assert!(!is_fresh(&naa, Sqn::new(1011, 1)));
    }

    #[test]
    fn the_highest_comes_with_its_own_ind() {
        assert_eq!(highest(&naa(&[])), Sqn(0));
        assert_eq!(highest(&naa(&[(1, 5), (17, 9), (30, 8)])), Sqn((9 << 5) | 17));
    }

    #[test]
    fn accepting_and_taking_back() {
        let mut naa = naa(&[(2, 4)]);
        let sqn = Sqn::from_bytes(Sqn::new(9, 2).to_bytes());
        let previous = accept(&mut naa, sqn);
        assert_eq!((previous, naa.seq[2]), (4, 9));
        assert!(!is_fresh(&naa, sqn));
        restore(&mut naa, sqn, previous);
        assert!(is_fresh(&naa, sqn));
    }
}
