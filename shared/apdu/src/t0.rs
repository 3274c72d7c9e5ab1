//! The T=0 layer (ISO/IEC 7816-3 section 12, TS 102 221 section 7.3.1 and annex C).
//!
//! A modem sends TPDUs and sees `61xx`, `6Cxx` and GET RESPONSE, or in class A0 `9Fxx` and GET RESPONSE (TS 51.011
//! section 9.1); the card sees whole command APDUs and gives whole responses. [`T0`] stands between them, without any
//! input or output of its own:
//!
//! ```
//! # use teuicc_apdu::{Response, t0::{Step, T0}};
//! let mut t0 = T0::new();
//! let Step::Execute(apdu) = t0.tpdu(&[0x00, 0xA4, 0x00, 0x04, 0x02, 0x3F, 0x00]) else { panic!() };
//! # let _ = apdu;
//! // ... the card answers with 3 bytes and 9000 ...
//! assert_eq!(t0.response(Response::data(vec![1, 2, 3])), [0x61, 0x03]);
//! let Step::Answer(answer) = t0.tpdu(&[0x00, 0xC0, 0x00, 0x00, 0x03]) else { panic!() };
//! assert_eq!(answer, [1, 2, 3, 0x90, 0x00]);
//! ```

use crate::{Class, Coding, Command, MAX_CHANNEL, Response, StatusWord, ins};
use alloc::vec::Vec;
use teuicc_tlv::{OutOfMemory, TryBytes, try_copy};
use zeroize::Zeroizing;

/// What to do with a TPDU.
#[derive(PartialEq, Eq)]
pub enum Step {
    /// Answer the modem with these bytes (data, SW1, SW2); the card is not asked.
    Answer(Vec<u8>),
    /// Give this command APDU to the card, then its response to [`T0::response`].
    Execute(Vec<u8>),
}

/// Response data that a channel still has to deliver; it may be keys.
struct Pending {
    data: Zeroizing<Vec<u8>>,
    sw: StatusWord,
    /// The header of the case 2 command that this answers, if it was answered `6Cxx`.
    reissue: Option<[u8; 4]>,
    /// Whether it was announced with `9Fxx`: then GET RESPONSE may ask for the beginning only, and there is no second
    /// one.
    gsm: bool,
}

/// The command that the card is executing.
#[derive(Clone, Copy)]
struct Executing {
    channel: usize,
    header: [u8; 4],
    /// Whether data was sent with it (case 3 or 4): the answer is then fetched with GET RESPONSE.
    sent_data: bool,
    /// Le in bytes, 1 to 256, of a command without data.
    le: usize,
    /// Whether it is of class A0.
    gsm: bool,
}

/// T=0 state of one interface: pending data per logical channel.
#[derive(Default)]
pub struct T0 {
    pending: [Option<Pending>; MAX_CHANNEL as usize + 1],
    executing: Option<Executing>,
}

impl T0 {
    /// The state after a reset.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one TPDU: a 4-byte header (case 1), a header with P3, or a header with P3 = Lc and data; a
    /// trailing Le is ignored. Every TPDU but GET RESPONSE discards the data pending on its channel.
    pub fn tpdu(&mut self, tpdu: &[u8]) -> Step {
        let Ok(command) = Command::parse(tpdu) else {
            return Step::Answer(status(StatusWord::WRONG_LENGTH));
        };
        let Some((header, _)) = tpdu.split_first_chunk::<4>() else {
            return Step::Answer(status(StatusWord::WRONG_LENGTH));
        };
        // Extended length does not exist in T=0.
        if tpdu.len() > 5 && tpdu.get(4) == Some(&0) {
            return Step::Answer(status(StatusWord::WRONG_LENGTH));
        }
        let class = Class::from_byte(command.cla);
        let channel = class.map_or(0, |class| usize::from(class.channel));
        let gsm = class.is_some_and(|class| class.coding == Coding::Gsm);
        let le = command.le.map_or(256, |le| usize::try_from(le).unwrap_or(256));
        let kept = self.pending.get_mut(channel).and_then(Option::take);
        let sent_data = !command.data.is_empty();
        if command.ins == ins::GET_RESPONSE && !sent_data {
            return Step::Answer(match kept {
                Some(kept) if kept.gsm => {
                    let answer = deliver_gsm(&kept, le);
                    if le > kept.data.len() {
                        self.keep(channel, kept);
                    }
                    answer
                }
                // Nothing to give: technical problem, as class A0 has it (TS 51.011 section 9.2.18).
                None if gsm => status(StatusWord::TECHNICAL_PROBLEM),
                kept => self.deliver(channel, kept, le, None),
            });
        }
        if let Some(kept) = kept.filter(|kept| !sent_data && kept.reissue == Some(*header)) {
            return Step::Answer(self.deliver(channel, Some(kept), le, Some(*header)));
        }
        let apdu = if sent_data {
            let end = command.data.len().saturating_add(5);
            try_copy(tpdu.get(..end).unwrap_or(tpdu))
        } else {
            let mut apdu = Vec::new();
            let p3 = u8::try_from(le).unwrap_or(0);
            apdu.try_extend(header).and_then(|()| apdu.try_push(p3)).map(|()| apdu)
        };
        match apdu {
            Ok(apdu) => {
                self.executing = Some(Executing { channel, header: *header, sent_data, le, gsm });
                Step::Execute(apdu)
            }
            Err(OutOfMemory) => Step::Answer(status(StatusWord::TECHNICAL_PROBLEM)),
        }
    }

    /// Takes the card's whole response to the command that [`T0::tpdu`] gave out last, and gives the bytes
    /// that the modem gets for it.
    pub fn response(&mut self, response: Response) -> Vec<u8> {
        let Some(executing) = self.executing.take() else {
            return status(response.sw);
        };
        if response.data.is_empty() {
            return status(response.sw);
        }
        let pending =
            Pending { data: Zeroizing::new(response.data), sw: response.sw, reissue: None, gsm: executing.gsm };
        if executing.sent_data {
            let left = left_byte(pending.data.len());
            self.keep(executing.channel, pending);
            let waits = if executing.gsm { 0x9F00 } else { 0x6100 };
            return status(StatusWord(waits | u16::from(left)));
        }
        if executing.gsm {
            return deliver_gsm(&pending, executing.le);
        }
        self.deliver(executing.channel, Some(pending), executing.le, Some(executing.header))
    }

    /// Forgets everything: the modem reset or powered the card.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Gives `le` bytes of `kept`, and keeps the rest for the channel.
    fn deliver(&mut self, channel: usize, kept: Option<Pending>, le: usize, reissue: Option<[u8; 4]>) -> Vec<u8> {
        let Some(mut kept) = kept else {
            return status(StatusWord::CONDITIONS_OF_USE);
        };
        let available = kept.data.len();
        let wrong_le = match reissue {
            // Case 2: exactly the whole answer, or its first 256 bytes.
            Some(_) => le != available.min(256),
            None => le > available,
        };
        if wrong_le {
            let right = left_byte(available);
            kept.reissue = reissue;
            self.keep(channel, kept);
            return status(StatusWord(0x6C00 | u16::from(right)));
        }
        let (now, later) = kept.data.split_at_checked(le).unwrap_or((&kept.data, &[]));
        let sw = if later.is_empty() { kept.sw } else { StatusWord(0x6100 | u16::from(left_byte(later.len()))) };
        let answer = answer(now, sw);
        if !later.is_empty() {
            kept.data.drain(..le);
            kept.reissue = None;
            self.keep(channel, kept);
        }
        answer
    }

    fn keep(&mut self, channel: usize, pending: Pending) {
        if let Some(slot) = self.pending.get_mut(channel) {
            *slot = Some(pending);
        }
    }
}

/// Gives the first `le` bytes of an answer of class A0, or says in `67xx` how many there are.
fn deliver_gsm(kept: &Pending, le: usize) -> Vec<u8> {
    let Some(data) = kept.data.get(..le) else {
        return status(StatusWord(0x6700 | u16::from(left_byte(kept.data.len()))));
    };
    answer(data, kept.sw)
}

fn answer(data: &[u8], sw: StatusWord) -> Vec<u8> {
    let mut answer = Vec::new();
    // At once: a vector that grows leaves its old bytes behind.
    let room = answer.try_reserve_exact(data.len().saturating_add(2)).map_err(|_| OutOfMemory);
    match room.and_then(|()| answer.try_extend(data)).and_then(|()| answer.try_extend(&sw.0.to_be_bytes())) {
        Ok(()) => answer,
        Err(OutOfMemory) => status(StatusWord::TECHNICAL_PROBLEM),
    }
}

/// How `61xx` and `6Cxx` say a length: 00 for 256 and more.
fn left_byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(0)
}

fn status(sw: StatusWord) -> Vec<u8> {
    let mut answer = Vec::new();
    // Two bytes that cannot be had leave an empty answer, which no reader takes for success.
    let _ = answer.try_extend(&sw.0.to_be_bytes());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use hex_literal::hex;
    use proptest::prelude::*;

    fn execute(t0: &mut T0, tpdu: &[u8], response: &[u8]) -> Vec<u8> {
        match t0.tpdu(tpdu) {
            Step::Execute(_) => t0.response(Response::parse(response).unwrap()),
            Step::Answer(_) => panic!("the card was not asked"),
        }
    }

    fn answer(t0: &mut T0, tpdu: &[u8]) -> Vec<u8> {
        match t0.tpdu(tpdu) {
            Step::Answer(answer) => answer,
            Step::Execute(_) => panic!("the card was asked"),
        }
    }

    #[test]
    fn select_answers_61_and_never_data() {
        let mut t0 = T0::new();
        assert_eq!(execute(&mut t0, &hex!("00A40004023F00"), &hex!("6201AA 9000")), hex!("6103"));
        assert_eq!(answer(&mut t0, &hex!("00C0000003")), hex!("6201AA9000"));
    }

    #[test]
    fn a_trailing_le_is_ignored() {
        let mut t0 = T0::new();
        let Step::Execute(apdu) = t0.tpdu(&hex!("00A40004023F0000")) else { panic!() };
        assert_eq!(apdu, hex!("00A40004023F00"));
        assert_eq!(t0.response(Response::data(vec![1])), hex!("6101"));
    }

    #[test]
    fn a_wrong_le_is_answered_6c_and_the_command_is_not_executed_again() {
        let mut t0 = T0::new();
        assert_eq!(execute(&mut t0, &hex!("00B20104FF"), &hex!("010203 9000")), hex!("6C03"));
        assert_eq!(answer(&mut t0, &hex!("00B2010403")), hex!("0102039000"));
        // Delivered once: the next one is executed.
        assert_eq!(execute(&mut t0, &hex!("00B2010403"), &hex!("040506 9000")), hex!("0405069000"));
    }

    #[test]
    fn another_command_on_the_channel_discards_what_was_kept() {
        let mut t0 = T0::new();
        assert_eq!(execute(&mut t0, &hex!("00B20104FF"), &hex!("010203 9000")), hex!("6C03"));
        assert_eq!(execute(&mut t0, &hex!("00A4000C026F07"), &hex!("9000")), hex!("9000"));
        assert_eq!(execute(&mut t0, &hex!("00B2010403"), &hex!("070809 9000")), hex!("0708099000"));
    }

    #[test]
    fn pending_data_is_kept_per_channel() {
        let mut t0 = T0::new();
        assert_eq!(execute(&mut t0, &hex!("01A40004023F00"), &hex!("AABB 9000")), hex!("6102"));
        assert_eq!(execute(&mut t0, &hex!("00A40004023F00"), &hex!("CC 9000")), hex!("6101"));
        // GET RESPONSE in another class, matched by its channel alone.
        assert_eq!(answer(&mut t0, &hex!("81C0000002")), hex!("AABB9000"));
        assert_eq!(answer(&mut t0, &hex!("00C0000001")), hex!("CC9000"));
        assert_eq!(answer(&mut t0, &hex!("00C0000001")), hex!("6985"));
    }

    #[test]
    fn long_answers_come_in_pieces_and_the_status_word_last() {
        let mut t0 = T0::new();
        let mut long = vec![0x5A; 600];
        long.extend(hex!("9110"));
        assert_eq!(execute(&mut t0, &hex!("81E29100 03 BF2200"), &long), hex!("6100"));
        let first = answer(&mut t0, &hex!("01C0000000"));
        assert_eq!((first.len(), &first[256..]), (258, &hex!("6100")[..]));
        let second = answer(&mut t0, &hex!("01C0000000"));
        assert_eq!(&second[256..], hex!("6158"));
        assert_eq!(answer(&mut t0, &hex!("01C0000000")), hex!("6C58"));
        let third = answer(&mut t0, &hex!("01C0000058"));
        assert_eq!(&third[0x58..], hex!("9110"));
    }

    #[test]
    fn class_a0_answers_9f_and_gives_what_is_asked_for_once() {
        let mut t0 = T0::new();
        assert_eq!(execute(&mut t0, &hex!("A0A40000023F00"), &hex!("AABBCC 9000")), hex!("9F03"));
        assert_eq!(answer(&mut t0, &hex!("A0C0000003")), hex!("AABBCC9000"));
        assert_eq!(answer(&mut t0, &hex!("A0C0000003")), hex!("6F00"));
        // Only the beginning, and what waits on the card is said then.
        assert_eq!(execute(&mut t0, &hex!("A0A40000023F00"), &hex!("AABBCC 910B")), hex!("9F03"));
        assert_eq!(answer(&mut t0, &hex!("A0C0000002")), hex!("AABB910B"));
        assert_eq!(answer(&mut t0, &hex!("A0C0000001")), hex!("6F00"));
        // More than there is.
        assert_eq!(execute(&mut t0, &hex!("A0A40000023F00"), &hex!("AABBCC 9000")), hex!("9F03"));
        assert_eq!(answer(&mut t0, &hex!("A0C0000004")), hex!("6703"));
        assert_eq!(answer(&mut t0, &hex!("A0C0000003")), hex!("AABBCC9000"));
        // Another command discards it.
        assert_eq!(execute(&mut t0, &hex!("A0A40000023F00"), &hex!("AABBCC 9000")), hex!("9F03"));
        assert_eq!(execute(&mut t0, &hex!("A0D6000001AA"), &hex!("9000")), hex!("9000"));
        assert_eq!(answer(&mut t0, &hex!("A0C0000003")), hex!("6F00"));
        // The card reads P3 itself: never 6Cxx, and nothing is kept for a reissue.
        assert_eq!(execute(&mut t0, &hex!("A0F2000003"), &hex!("AABBCC 9000")), hex!("AABBCC9000"));
        assert_eq!(execute(&mut t0, &hex!("A0F2000004"), &hex!("6703")), hex!("6703"));
        assert_eq!(execute(&mut t0, &hex!("A0F2000004"), &hex!("AABBCC 9000")), hex!("6703"));
        assert_eq!(execute(&mut t0, &hex!("A0F2000003"), &hex!("AABBCC 9000")), hex!("AABBCC9000"));
        // A mistaken P3 of 00 is 256.
        assert_eq!(execute(&mut t0, &hex!("A0F2000000"), &hex!("6716")), hex!("6716"));
    }

    #[test]
    fn four_byte_commands_are_case_1() {
        let mut t0 = T0::new();
        let Step::Execute(apdu) = t0.tpdu(&hex!("00700080")) else { panic!() };
        assert_eq!(apdu, hex!("0070008000"));
    }

    #[test]
    fn bad_lengths_and_extended_length_are_6700() {
        let mut t0 = T0::new();
        for tpdu in [&hex!("00A4")[..], &hex!("00A40000053F00"), &hex!("00B00000000100"), &[]] {
            assert_eq!(answer(&mut t0, tpdu), hex!("6700"));
        }
    }

    #[test]
    fn a_reset_forgets_pending_data() {
        let mut t0 = T0::new();
        execute(&mut t0, &hex!("00A40004023F00"), &hex!("AABB9000"));
        t0.reset();
        assert_eq!(answer(&mut t0, &hex!("00C0000002")), hex!("6985"));
    }

    proptest! {
        /// However the modem asks, what it gets is the card's answer in order, and nothing twice.
        #[test]
        fn what_arrives_is_what_was_sent(data in proptest::collection::vec(any::<u8>(), 1..1500)) {
            let mut t0 = T0::new();
            let Step::Execute(_) = t0.tpdu(&hex!("80E29100 03 BF2200")) else { panic!() };
            let mut sw = t0.response(Response::data(data.clone()));
            let mut got = Vec::new();
            while sw[0] == 0x61 {
                let piece = answer(&mut t0, &[0x00, 0xC0, 0x00, 0x00, sw[1]]);
                if piece.len() == 2 { sw = piece; prop_assert_eq!(sw[0], 0x6C); sw[0] = 0x61; continue; }
                got.extend_from_slice(&piece[..piece.len() - 2]);
                sw = piece[piece.len() - 2..].to_vec();
            }
            prop_assert_eq!(sw, hex!("9000"));
            prop_assert_eq!(got, data);
        }

        #[test]
        fn no_tpdu_panics(tpdus in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..20)) {
            let mut t0 = T0::new();
            for tpdu in tpdus {
                if let Step::Execute(_) = t0.tpdu(&tpdu) {
                    t0.response(Response::data(vec![0; usize::from(tpdu[1])]));
                }
            }
        }
    }
}
