//! IPA frames, and the connection control (CCM) that runs in them. Sans-IO.
//!
//! ```text
//! frame = length u16 big-endian (of what follows the protocol), protocol u8, payload
//! protocol FE: CCM, payload = message u8, ...
//! protocol EE: payload = extension u8, ...; extension 07 is RSPRO
//! ```

use crate::inbox::Inbox;
use std::time::{Duration, Instant};

const PROTOCOL_OSMO: u8 = 0xEE;
const PROTOCOL_CCM: u8 = 0xFE;
const EXTENSION_RSPRO: u8 = 0x07;

const PING: u8 = 0x00;
const PONG: u8 = 0x01;
const ID_GET: u8 = 0x04;
const ID_RESP: u8 = 0x05;
const ID_ACK: u8 = 0x06;
/// The tag of the unit's name in an ID_RESP.
const UNIT_NAME: u8 = 0x01;

const HEADER: usize = 3;
/// The longest payload: RSPRO's longest message is a TPDU with two slots around it.
const MAX_PAYLOAD: usize = 2048;

/// How long a peer may be silent before it is asked whether it lives,
const SILENCE: Duration = Duration::from_secs(30);
/// and how long it may then take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A frame with one RSPRO message. `None`: it is longer than a frame.
pub(crate) fn encode(rspro: &[u8]) -> Option<Vec<u8>> {
    frame(PROTOCOL_OSMO, &[&[EXTENSION_RSPRO], rspro].concat())
}

fn frame(protocol: u8, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(payload.len()).ok()?;
    Some([&length.to_be_bytes()[..], &[protocol], payload].concat())
}

/// What came in.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Received {
    /// An RSPRO message.
    Rspro(Vec<u8>),
    /// A question that this frame answers.
    Answer(Vec<u8>),
}

/// What no peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame of {0} bytes")]
    TooLong(usize),
    #[error("nothing for {} s", (SILENCE + ANSWER).as_secs())]
    Silence,
}

/// One end of an IPA connection.
pub(crate) struct Ipa {
    bytes: Inbox,
    heard: Instant,
    asked: bool,
    name: String,
}

impl Ipa {
    /// A connection that began `now`; `name` is what ID_GET is answered with.
    pub(crate) fn new(now: Instant, name: &str) -> Self {
        Ipa { bytes: Inbox::default(), heard: now, asked: false, name: name.to_owned() }
    }

    /// Takes bytes as they arrive.
    pub(crate) fn push(&mut self, now: Instant, bytes: &[u8]) {
        self.heard = now;
        self.asked = false;
        self.bytes.push(bytes);
    }

    /// What came in next, if it is whole. Frames of other protocols are passed over.
    pub(crate) fn next_received(&mut self) -> Result<Option<Received>, Violation> {
        while let [high, low, protocol, ..] = self.bytes[..] {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length > MAX_PAYLOAD {
                return Err(Violation::TooLong(length));
            }
            if self.bytes.len() < HEADER + length {
                return Ok(None);
            }
            let frame_bytes = self.bytes.take(HEADER + length);
            match (protocol, frame_bytes[HEADER..].split_first()) {
                (PROTOCOL_OSMO, Some((&EXTENSION_RSPRO, message))) => {
                    return Ok(Some(Received::Rspro(message.to_vec())));
                }
                (PROTOCOL_CCM, Some((&PING, _))) => return Ok(frame(PROTOCOL_CCM, &[PONG]).map(Received::Answer)),
                (PROTOCOL_CCM, Some((&ID_GET, _))) => return Ok(self.identity().map(Received::Answer)),
                (PROTOCOL_CCM, Some((&(PONG | ID_ACK | ID_RESP), _))) => {}
                _ => tracing::debug!(protocol, "a frame of another protocol is passed over"),
            }
        }
        Ok(None)
    }

    /// When [`Ipa::woken`] has something to do.
    pub(crate) fn wake_at(&self) -> Instant {
        self.heard + if self.asked { SILENCE + ANSWER } else { SILENCE }
    }

    /// The time of [`Ipa::wake_at`] has come: a frame to send. Errors: the peer is not there any more.
    pub(crate) fn woken(&mut self, now: Instant) -> Result<Option<Vec<u8>>, Violation> {
        if now < self.wake_at() {
            return Ok(None);
        }
        if std::mem::replace(&mut self.asked, true) {
            return Err(Violation::Silence);
        }
        Ok(frame(PROTOCOL_CCM, &[PING]))
    }

    fn identity(&self) -> Option<Vec<u8>> {
        // Length of tag and value, tag, value with a zero at its end.
        let length = u16::try_from(self.name.len() + 2).ok()?;
        let name = [&[ID_RESP][..], &length.to_be_bytes(), &[UNIT_NAME], self.name.as_bytes(), &[0]].concat();
        frame(PROTOCOL_CCM, &name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    fn ipa() -> (Ipa, Instant) {
        let now = Instant::now();
        (Ipa::new(now, "teuicc"), now)
    }

    /// What a real client was seen to send first, and the answer that it took.
    #[test]
    fn a_ping_is_answered() {
        let (mut ipa, now) = ipa();
        ipa.push(now, &hex!("0001fe00"));
        assert_eq!(ipa.next_received(), Ok(Some(Received::Answer(hex!("0001fe01").to_vec()))));
        assert_eq!(ipa.next_received(), Ok(None));
        ipa.push(now, &hex!("0001fe01 0001fe06 0001fe04"));
        let identity = hex!("000bfe 05 0008 01 746575696363 00");
        assert_eq!(ipa.next_received(), Ok(Some(Received::Answer(identity.to_vec()))));
    }

    #[test]
    fn other_protocols_and_extensions_are_passed_over() {
        let (mut ipa, now) = ipa();
        ipa.push(now, &hex!("0002ff0102 0002ee0001 0000ee 0000fe 0001fe77 0003ee07aabb"));
        assert_eq!(ipa.next_received(), Ok(Some(Received::Rspro(hex!("aabb").to_vec()))));
        assert_eq!(ipa.next_received(), Ok(None));
    }

    #[test]
    fn a_silent_peer_is_asked_once_and_then_given_up() {
        let (mut ipa, now) = ipa();
        assert_eq!(ipa.woken(now + SILENCE - Duration::from_secs(1)), Ok(None));
        assert_eq!(ipa.woken(now + SILENCE), Ok(Some(hex!("0001fe00").to_vec())));
        assert_eq!(ipa.woken(now + SILENCE + Duration::from_secs(1)), Ok(None));
        assert_eq!(ipa.woken(now + SILENCE + ANSWER), Err(Violation::Silence));
        let (mut ipa, now) = self::ipa();
        ipa.woken(now + SILENCE).unwrap();
        ipa.push(now + SILENCE, &hex!("0001fe01"));
        assert_eq!(ipa.woken(now + SILENCE + ANSWER), Ok(None));
    }

    #[test]
    fn a_frame_that_no_message_needs_is_refused_before_it_is_collected() {
        let (mut ipa, now) = ipa();
        ipa.push(now, &hex!("ffffee"));
        assert_eq!(ipa.next_received(), Err(Violation::TooLong(0xFFFF)));
    }

    proptest! {
        #[test]
        fn messages_survive_any_cutting(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            cut in 1..50usize,
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|message| encode(message).unwrap()).collect();
            let (mut ipa, now) = ipa();
            let mut got = Vec::new();
            for piece in bytes.chunks(cut) {
                ipa.push(now, piece);
                while let Some(Received::Rspro(message)) = ipa.next_received().unwrap() {
                    got.push(message);
                }
            }
            prop_assert_eq!(got, messages);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let (mut ipa, now) = ipa();
            ipa.push(now, &bytes);
            while let Ok(Some(_)) = ipa.next_received() {}
        }
    }
}
