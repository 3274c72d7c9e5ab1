//! Frames: a 16-bit big-endian length and a payload, both ways.

use crate::inbox::Inbox;
use zeroize::Zeroizing;

/// What a reader asks with a payload of one byte; anything longer is a command.
pub(crate) mod control {
    pub(crate) const OFF: u8 = 0x00;
    pub(crate) const ON: u8 = 0x01;
    pub(crate) const RESET: u8 = 0x02;
    pub(crate) const GET_ATR: u8 = 0x04;
}

/// Bytes of the length of a frame.
pub(crate) const LENGTH_BYTES: usize = 2;

/// Puts frames together from bytes as they arrive. Holds at most what is read at a time and one frame.
#[derive(Default)]
pub(crate) struct Frames(Inbox);

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// The payload of the next whole frame, 0 to 65535 bytes.
    pub(crate) fn next_frame(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let length = usize::from(u16::from_be_bytes(*self.0.first_chunk()?));
        if self.0.len() < LENGTH_BYTES + length {
            return None;
        }
        self.0.take(LENGTH_BYTES);
        Some(self.0.take(length))
    }
}

/// The frame around a payload; `None` if it is longer than 65535 bytes.
pub(crate) fn encode(payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let length = u16::try_from(payload.len()).ok()?;
    Some(Zeroizing::new([&length.to_be_bytes()[..], payload].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            cut in 1..50usize,
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| encode(payload).unwrap().to_vec()).collect();
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for piece in bytes.chunks(cut) {
                frames.push(piece);
                got.extend(std::iter::from_fn(|| frames.next_frame()).map(|payload| payload.to_vec()));
            }
            prop_assert_eq!(got, payloads);
        }
    }

    #[test]
    fn a_payload_that_does_not_fit_the_length_is_refused() {
        assert!(encode(&vec![0; 65535]).is_some());
        assert!(encode(&vec![0; 65536]).is_none());
    }
}
