//! MBIM, as far as a modem needs it to carry QMUX frames: open, close, and one service of its maker (QMI over MBIM).
//! Sans-IO.
//!
//! ```text
//! message  = type u32, length u32 (all of it), transaction u32, then by type, all LE
//!   open          maximum transfer u32
//!   open done, close done   status u32
//!   command       fragments u32, this one u32, service uuid, command id u32, kind u32, length u32, bytes
//!   command done  fragments u32, this one u32, service uuid, command id u32, status u32, length u32, bytes
//!   indication    fragments u32, this one u32, service uuid, command id u32, length u32, bytes
//! ```
//!
//! Every fragment but the first continues the bytes after the two fragment numbers. Source: MBIM 1.0 as libmbim
//! (`mbim-message.c`, `mbim-uuid.c`) has it.

use super::message::Malformed;
use crate::inbox::Inbox;
use zeroize::Zeroizing;

/// QMI over MBIM.
const QMI: [u8; 16] = [0xD1, 0xA3, 0x0B, 0xC2, 0xF9, 0x7A, 0x6E, 0x43, 0xBF, 0x65, 0xC7, 0xE2, 0x4F, 0xB0, 0xF0, 0xD3];
/// Its one command: a QMUX frame.
const QMI_MESSAGE: u32 = 1;
/// The command's kind.
const SET: u32 = 1;

/// Longest message that this host sends or takes, in bytes: what the kernel's driver has, if a modem asks for no more.
const MAX_TRANSFER: usize = 4096;
/// Longest message that is put together from fragments, in bytes.
const MAX_WHOLE: usize = 16384;
/// Type, length, transaction.
const HEADER: usize = 12;
/// The header, and the two numbers of a fragment.
const FRAGMENT_HEADER: usize = 20;

/// Types of messages.
mod kind {
    pub(super) const OPEN: u32 = 1;
    pub(super) const CLOSE: u32 = 2;
    pub(super) const COMMAND: u32 = 3;
    pub(super) const OPEN_DONE: u32 = 0x8000_0001;
    pub(super) const CLOSE_DONE: u32 = 0x8000_0002;
    pub(super) const COMMAND_DONE: u32 = 0x8000_0003;
    pub(super) const FUNCTION_ERROR: u32 = 0x8000_0004;
    pub(super) const INDICATE_STATUS: u32 = 0x8000_0007;
}

/// What a message led to.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Step {
    /// Nothing: of another service, or a fragment.
    Nothing,
    /// The modem is open: frames may be sent.
    Opened,
    /// A QMUX frame.
    Frame(Vec<u8>),
    /// The modem is closed.
    Closed,
}

/// Why there is no way through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("it does not open: MBIM status {0}")]
    NotOpened(u32),
    #[error("it refused a QMI message: MBIM status {0} (it may not carry QMI over MBIM)")]
    Refused(u32),
    #[error("it takes no more of this host: MBIM error {0}")]
    FunctionError(u32),
}

/// A modem's MBIM channel.
#[derive(Default)]
pub(crate) struct Channel {
    received: Inbox,
    whole: Option<Whole>,
    transaction: u32,
}

/// A message of which not all fragments are there yet.
struct Whole {
    kind: u32,
    transaction: u32,
    fragments: u32,
    next: u32,
    bytes: Vec<u8>,
}

impl Channel {
    /// The message that opens the modem.
    pub(crate) fn open(&mut self) -> Vec<u8> {
        let transaction = self.next_transaction();
        message(kind::OPEN, transaction, &(MAX_TRANSFER as u32).to_le_bytes())
    }

    /// The message that closes it.
    pub(crate) fn close(&mut self) -> Vec<u8> {
        let transaction = self.next_transaction();
        message(kind::CLOSE, transaction, &[])
    }

    /// The messages that carry a QMUX frame, each to be written at once.
    pub(crate) fn wrap(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        let transaction = self.next_transaction();
        let numbers = [QMI_MESSAGE, SET, frame.len() as u32].map(u32::to_le_bytes).concat();
        let content = [&QMI[..], &numbers, frame].concat();
        fragments(kind::COMMAND, transaction, &content, MAX_TRANSFER)
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.received.push(bytes);
    }

    /// The next whole message. Errors: what arrived is none; it is dropped, all of it.
    pub(crate) fn next_message(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Malformed> {
        let Some(length) = number(&self.received, 1) else { return Ok(None) };
        let length = length as usize;
        if !(HEADER..=MAX_TRANSFER).contains(&length) {
            self.received.clear();
            self.whole = None;
            return Err(Malformed("no MBIM message"));
        }
        Ok((self.received.len() >= length).then(|| self.received.take(length)))
    }

    /// Takes one whole message of the modem.
    pub(crate) fn message(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        let short = Malformed("an MBIM message is cut off");
        let status = number(bytes, 3);
        match number(bytes, 0) {
            Some(kind::OPEN_DONE) => match status.ok_or(short)? {
                0 => Ok(Step::Opened),
                status => Err(Fault::NotOpened(status)),
            },
            Some(kind::CLOSE_DONE) => Ok(Step::Closed),
            Some(kind::FUNCTION_ERROR) => Err(Fault::FunctionError(status.ok_or(short)?)),
            Some(kind @ (kind::COMMAND_DONE | kind::INDICATE_STATUS)) => match self.fragment(kind, bytes)? {
                Some(content) => self.content(kind, &content),
                None => Ok(Step::Nothing),
            },
            _ => Ok(Step::Nothing),
        }
    }

    /// Adds a fragment to its message, and gives that if it was the last one.
    fn fragment(&mut self, kind: u32, bytes: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        let whole = self.whole.take();
        let (Some(transaction), Some(fragments), Some(this), Some(part)) =
            (number(bytes, 2), number(bytes, 3), number(bytes, 4), bytes.get(FRAGMENT_HEADER..))
        else {
            return Err(Malformed("an MBIM fragment is cut off"));
        };
        let mut whole = match whole {
            // What was begun before is dropped.
            _ if this == 0 => Whole { kind, transaction, fragments, next: 0, bytes: Vec::new() },
            Some(whole) => whole,
            None => return Err(Malformed("an MBIM fragment out of order")),
        };
        let expected =
            (kind, transaction, fragments, this) == (whole.kind, whole.transaction, whole.fragments, whole.next);
        if !expected || fragments == 0 || whole.bytes.len() + part.len() > MAX_WHOLE {
            return Err(Malformed("an MBIM fragment out of order"));
        }
        whole.bytes.extend(part);
        whole.next += 1;
        if whole.next == whole.fragments {
            return Ok(Some(whole.bytes));
        }
        self.whole = Some(whole);
        Ok(None)
    }

    fn content(&self, kind: u32, content: &[u8]) -> Result<Step, Fault> {
        if content.get(..16) != Some(&QMI) || number(content, 4) != Some(QMI_MESSAGE) {
            return Ok(Step::Nothing);
        }
        let mut place = 5;
        if kind == kind::COMMAND_DONE {
            match number(content, place) {
                Some(0) => place += 1,
                Some(status) => return Err(Fault::Refused(status)),
                None => return Err(Malformed("an MBIM message is cut off").into()),
            }
        }
        let frame = number(content, place).and_then(|length| content.get(place * 4 + 4..)?.get(..length as usize));
        match frame {
            // An answer to a command may come as an indication later.
            Some([]) => Ok(Step::Nothing),
            Some(frame) => Ok(Step::Frame(frame.to_vec())),
            None => Err(Malformed("an MBIM message is cut off").into()),
        }
    }

    fn next_transaction(&mut self) -> u32 {
        // 0 is the number of indications.
        self.transaction = self.transaction.checked_add(1).unwrap_or(1);
        self.transaction
    }
}

/// The 32-bit number at a place, counted in numbers.
fn number(bytes: &[u8], place: usize) -> Option<u32> {
    bytes.get(place * 4..)?.first_chunk::<4>().copied().map(u32::from_le_bytes)
}

fn message(kind: u32, transaction: u32, content: &[u8]) -> Vec<u8> {
    let numbers = [kind, (HEADER + content.len()) as u32, transaction].map(u32::to_le_bytes).concat();
    [&numbers[..], content].concat()
}

/// The messages, of at most `max` bytes each, that carry `content`.
fn fragments(kind: u32, transaction: u32, content: &[u8], max: usize) -> Vec<Vec<u8>> {
    let parts = content.chunks(max - FRAGMENT_HEADER);
    let fragments = parts.len() as u32;
    let part = |(this, part): (usize, &[u8])| {
        let numbers = [fragments, this as u32].map(u32::to_le_bytes).concat();
        message(kind, transaction, &[&numbers[..], part].concat())
    };
    parts.enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    fn done(status: u32, frame: &[u8]) -> Vec<u8> {
        let numbers = [QMI_MESSAGE, status, frame.len() as u32].map(u32::to_le_bytes).concat();
        [&QMI[..], &numbers, frame].concat()
    }

    fn indication(frame: &[u8]) -> Vec<u8> {
        let numbers = [QMI_MESSAGE, frame.len() as u32].map(u32::to_le_bytes).concat();
        [&QMI[..], &numbers, frame].concat()
    }

    #[test]
    fn a_modem_is_opened_carries_frames_and_is_closed() {
        let mut channel = Channel::default();
        assert_eq!(channel.open(), hex!("01000000 10000000 01000000 00100000"));
        assert_eq!(channel.message(&hex!("01000080 10000000 01000000 00000000")), Ok(Step::Opened));
        let command = hex!(
            "03000000 32000000 02000000 01000000 00000000"
            "d1a30bc2f97a6e43bf65c7e24fb0f0d3 01000000 01000000 02000000 A1A2"
        );
        assert_eq!(channel.wrap(&hex!("A1A2")), [command]);
        let done = hex!(
            "03000080 32000000 02000000 01000000 00000000"
            "d1a30bc2f97a6e43bf65c7e24fb0f0d3 01000000 00000000 02000000 B1B2"
        );
        assert_eq!(channel.message(&done), Ok(Step::Frame(hex!("B1B2").to_vec())));
        let indication = hex!(
            "07000080 2E000000 00000000 01000000 00000000"
            "d1a30bc2f97a6e43bf65c7e24fb0f0d3 01000000 02000000 C1C2"
        );
        assert_eq!(channel.message(&indication), Ok(Step::Frame(hex!("C1C2").to_vec())));
        assert_eq!(channel.close(), hex!("02000000 0C000000 03000000"));
        assert_eq!(channel.message(&hex!("02000080 10000000 03000000 00000000")), Ok(Step::Closed));
    }

    #[test]
    fn what_the_modem_refuses_is_told() {
        let mut channel = Channel::default();
        let busy = hex!("01000080 10000000 01000000 01000000");
        assert_eq!(channel.message(&busy), Err(Fault::NotOpened(1)));
        let refused = &fragments(kind::COMMAND_DONE, 2, &done(9, &[]), 4096)[0];
        assert_eq!(channel.message(refused), Err(Fault::Refused(9)));
        assert_eq!(channel.message(&hex!("04000080 10000000 00000000 05000000")), Err(Fault::FunctionError(5)));
        let mut other = fragments(kind::INDICATE_STATUS, 0, &indication(&[1]), 4096).remove(0);
        other[20] ^= 1;
        assert_eq!(channel.message(&other), Ok(Step::Nothing));
        let empty = &fragments(kind::COMMAND_DONE, 2, &done(0, &[]), 4096)[0];
        assert_eq!(channel.message(empty), Ok(Step::Nothing));
    }

    #[test]
    fn fragments_come_in_order_or_not_at_all() {
        let parts = fragments(kind::INDICATE_STATUS, 0, &indication(&[7; 100]), 60);
        assert_eq!(parts.len(), 4);
        let mut channel = Channel::default();
        assert!(channel.message(&parts[1]).is_err());
        assert_eq!(channel.message(&parts[0]), Ok(Step::Nothing));
        assert!(channel.message(&parts[2]).is_err());
        assert!(channel.message(&parts[3]).is_err());
        // A message that is begun anew, and another's fragment in between.
        channel.message(&parts[0]).unwrap();
        channel.message(&parts[0]).unwrap();
        let other = fragments(kind::COMMAND_DONE, 3, &done(0, &[7; 100]), 60);
        assert!(channel.message(&other[1]).is_err());
        for part in &parts[..3] {
            assert_eq!(channel.message(part), Ok(Step::Nothing));
        }
        assert_eq!(channel.message(&parts[3]), Ok(Step::Frame(vec![7; 100])));
    }

    #[test]
    fn a_message_that_never_ends_is_given_up() {
        let mut channel = Channel::default();
        let content = vec![0; 2 * MAX_WHOLE];
        let result = fragments(kind::INDICATE_STATUS, 0, &content, MAX_TRANSFER)
            .iter()
            .map(|part| channel.message(part))
            .find(Result::is_err);
        assert_eq!(result, Some(Err(Fault::Malformed(Malformed("an MBIM fragment out of order")))));
        assert!(channel.whole.is_none());
    }

    proptest! {
        #[test]
        fn frames_survive_fragments_and_any_cutting(
            frame in proptest::collection::vec(any::<u8>(), 1..9000),
            max in 64..MAX_TRANSFER,
            cut in 1..700usize,
        ) {
            let mut channel = Channel::default();
            let mut got = Vec::new();
            let sent = fragments(kind::COMMAND_DONE, 9, &done(0, &frame), max);
            prop_assert!(sent.iter().all(|part| part.len() <= max));
            for piece in sent.concat().chunks(cut) {
                channel.push(piece);
                while let Some(message) = channel.next_message().unwrap() {
                    got.push(channel.message(&message).unwrap());
                }
            }
            prop_assert_eq!(got.pop(), Some(Step::Frame(frame)));
            prop_assert!(got.iter().all(|step| *step == Step::Nothing));
        }

        #[test]
        fn no_bytes_panic_or_pile_up(pieces in proptest::collection::vec(
            (proptest::sample::select(vec![1u32, 2, 3, kind::OPEN_DONE, kind::COMMAND_DONE, kind::FUNCTION_ERROR,
                kind::INDICATE_STATUS]), 8..60u32, proptest::collection::vec(0..3u32, 0..12)), 0..30)
        ) {
            let mut channel = Channel::default();
            for (kind, length, numbers) in pieces {
                let bytes: Vec<u8> = [kind, length].iter().chain(&numbers).flat_map(|n| n.to_le_bytes()).collect();
                channel.push(&bytes);
                while let Ok(Some(message)) = channel.next_message() {
                    let _ = channel.message(&message);
                }
                prop_assert!(channel.received.len() <= MAX_TRANSFER);
            }
        }
    }
}
