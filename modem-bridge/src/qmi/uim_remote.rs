//! The messages of UIM Remote, QMI service 0x32: the modem is the service, whoever has the card is its client.
//!
//! No specification of it is public. The identifiers and layouts are those that three implementations of the client
//! side agree on, one of them seen to work on hardware; `docs/interfaces/qmi.md` names them.

use super::message::{Fields, Kind, Malformed, Message};

/// The service's number.
pub(crate) const SERVICE: u8 = 0x32;

/// How long a segment of an answer may be, in bytes.
const SEGMENT: usize = 1024;

/// Longest answer to reset that an event can carry, in bytes.
pub(crate) const MAX_ATR: usize = 32;

/// Longest command that a modem sends: header, length, 255 bytes, and a trailing Le.
const MAX_COMMAND: usize = 261;

/// Message numbers; an indication and a request may share one.
mod id {
    pub(super) const EVENT: u16 = 0x21;
    pub(super) const APDU: u16 = 0x22;
    pub(super) const CONNECT: u16 = 0x23;
    pub(super) const DISCONNECT: u16 = 0x24;
    pub(super) const CARD_POWER_UP: u16 = 0x25;
    pub(super) const CARD_POWER_DOWN: u16 = 0x26;
    pub(super) const CARD_RESET: u16 = 0x27;
}

/// What the modem is told about the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// No card is offered any more: the modem goes back to its own.
    ConnectionUnavailable,
    /// A card is offered: the modem lets go of its own, and connects.
    ConnectionAvailable,
    /// The card is back, with its answer to reset.
    CardInserted { atr: Vec<u8> },
    /// The card is away.
    CardRemoved,
    /// The card does not work.
    CardError(Cause),
    /// The card was powered up or reset, with its answer to reset.
    CardReset { atr: Vec<u8> },
}

/// Why a card does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It cannot be reached.
    NoLinkEstablished = 1,
    /// It did not answer in time.
    CommandTimeout = 2,
}

/// A request to the modem.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Request {
    Event(Event),
    /// The answer to the command with this number, or a part of it.
    Answer {
        id: u32,
        segment: Segment,
    },
    /// The command with this number could not be executed.
    Failure {
        id: u32,
    },
}

/// A part of an answer.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Segment {
    /// Bytes of the whole answer.
    pub(crate) total: u32,
    /// Where this part begins in it.
    pub(crate) offset: u32,
    pub(crate) bytes: Vec<u8>,
}

/// An answer in parts that fit a message each.
pub(crate) fn segments(answer: &[u8]) -> impl Iterator<Item = Segment> + '_ {
    let total = answer.len() as u32;
    answer.chunks(SEGMENT).enumerate().map(move |(number, part)| Segment {
        total,
        offset: (number * SEGMENT) as u32,
        bytes: part.to_vec(),
    })
}

impl Request {
    /// This request about the card in the modem's slot `slot`, 1 to 3.
    pub(crate) fn message(&self, transaction: u16, slot: u32) -> Message {
        let (id, fields) = match self {
            Request::Event(event) => (id::EVENT, event.fields(slot)),
            Request::Answer { id, segment: Segment { total, offset, bytes } } => {
                let place = [total.to_le_bytes(), offset.to_le_bytes()].concat();
                (id::APDU, answer(0, slot, *id).with(0x10, &place).with(0x11, &counted16(bytes)))
            }
            Request::Failure { id } => (id::APDU, answer(1, slot, *id)),
        };
        Message { kind: Kind::Request, transaction, id, fields }
    }
}

fn answer(status: u16, slot: u32, id: u32) -> Fields {
    Fields::default().with(0x01, &status.to_le_bytes()).with(0x02, &slot.to_le_bytes()).with(0x03, &id.to_le_bytes())
}

impl Event {
    fn fields(&self, slot: u32) -> Fields {
        let number: u32 = match self {
            Event::ConnectionUnavailable => 0,
            Event::ConnectionAvailable => 1,
            Event::CardInserted { .. } => 2,
            Event::CardRemoved => 3,
            Event::CardError(_) => 4,
            Event::CardReset { .. } => 5,
        };
        let fields = Fields::default().with(0x01, &[number.to_le_bytes(), slot.to_le_bytes()].concat());
        match self {
            Event::CardInserted { atr } | Event::CardReset { atr } => {
                let mut counted = vec![atr.len() as u8];
                counted.extend(atr);
                fields.with(0x10, &counted)
            }
            Event::CardError(cause) => fields.with(0x12, &(*cause as u32).to_le_bytes()),
            _ => fields,
        }
    }
}

fn counted16(bytes: &[u8]) -> Vec<u8> {
    let mut counted = (bytes.len() as u16).to_le_bytes().to_vec();
    counted.extend(bytes);
    counted
}

/// What the modem wants of the card in one of its slots.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Indication {
    /// The modem's slot, 1 to 3.
    pub(crate) slot: u32,
    pub(crate) wish: Wish,
}

/// What the modem wants.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Wish {
    /// To use the card that is offered.
    Connect,
    /// To use it no longer.
    Disconnect,
    /// Power, and the answer to reset within this time, in milliseconds.
    PowerUp {
        within: Option<u32>,
    },
    PowerDown,
    Reset,
    /// A command to be executed, and answered with its number.
    Apdu {
        id: u32,
        tpdu: Vec<u8>,
    },
}

impl Indication {
    /// Reads an indication; `None` if it is one that is not known.
    pub(crate) fn parse(message: &Message) -> Result<Option<Indication>, Malformed> {
        let fields = &message.fields;
        let wish = match message.id {
            id::APDU => {
                let (length, command) = fields
                    .get(0x03)
                    .and_then(<[u8]>::split_first_chunk::<2>)
                    .ok_or(Malformed("an APDU indication without a command"))?;
                if command.len() != usize::from(u16::from_le_bytes(*length)) || command.len() > MAX_COMMAND {
                    return Err(Malformed("a command's length"));
                }
                Wish::Apdu { id: fields.u32(0x02)?, tpdu: command.to_vec() }
            }
            id::CONNECT => Wish::Connect,
            id::DISCONNECT => Wish::Disconnect,
            id::CARD_POWER_UP => Wish::PowerUp { within: fields.u32(0x10).ok() },
            id::CARD_POWER_DOWN => Wish::PowerDown,
            id::CARD_RESET => Wish::Reset,
            _ => return Ok(None),
        };
        Ok(Some(Indication { slot: fields.u32(0x01)?, wish }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    fn bytes(request: &Request, transaction: u16, slot: u32) -> Vec<u8> {
        request.message(transaction, slot).encode()
    }

    fn indication(bytes: &[u8]) -> Result<Option<Indication>, Malformed> {
        Indication::parse(&Message::parse(bytes)?)
    }

    // Vectors written by hand from the published table (docs/interfaces/qmi.md), none of them captured from a modem.
    #[test]
    fn events() {
        let event = |event, transaction| bytes(&Request::Event(event), transaction, 1);
        let available = hex!("00 0100 2100 0B00 01 0800 01000000 01000000");
        assert_eq!(event(Event::ConnectionAvailable, 1), available);
        let reset = hex!("00 0200 2100 1100 01 0800 05000000 01000000 10 0300 02 3B00");
        assert_eq!(event(Event::CardReset { atr: hex!("3B00").to_vec() }, 2), reset);
        let inserted = hex!("00 0300 2100 1100 01 0800 02000000 01000000 10 0300 02 3B00");
        assert_eq!(event(Event::CardInserted { atr: hex!("3B00").to_vec() }, 3), inserted);
        assert_eq!(event(Event::CardRemoved, 4), hex!("00 0400 2100 0B00 01 0800 03000000 01000000"));
        assert_eq!(event(Event::ConnectionUnavailable, 5), hex!("00 0500 2100 0B00 01 0800 00000000 01000000"));
        let error = hex!("00 0600 2100 1200 01 0800 04000000 01000000 12 0400 02000000");
        assert_eq!(event(Event::CardError(Cause::CommandTimeout), 6), error);
    }

    #[test]
    fn answers() {
        let segment = segments(&hex!("6102")).next().unwrap();
        let answer = hex!(
            "00 0900 2200 2500 01 0200 0000 02 0400 02000000 03 0400 2A000000 10 0800 02000000 00000000 11 0400 0200 6102"
        );
        assert_eq!(bytes(&Request::Answer { id: 42, segment }, 9, 2), answer);
        let failure = hex!("00 0A00 2200 1300 01 0200 0100 02 0400 02000000 03 0400 2A000000");
        assert_eq!(bytes(&Request::Failure { id: 42 }, 10, 2), failure);
    }

    #[test]
    fn a_long_answer_goes_in_segments_of_1024_bytes() {
        let parts: Vec<Segment> = segments(&[7; 2500]).collect();
        let places: Vec<_> = parts.iter().map(|part| (part.total, part.offset, part.bytes.len())).collect();
        assert_eq!(places, [(2500, 0, 1024), (2500, 1024, 1024), (2500, 2048, 452)]);
    }

    #[test]
    fn indications() {
        let read = |bytes: &[u8]| indication(bytes).unwrap().map(|indication| (indication.slot, indication.wish));
        let apdu = hex!("04 0100 2200 1800 01 0400 01000000 02 0400 2A000000 03 0700 0500 00B0000000");
        let wish = Wish::Apdu { id: 42, tpdu: hex!("00B0000000").to_vec() };
        assert!(read(&apdu) == Some((1, wish)));
        assert!(read(&hex!("04 0200 2300 0700 01 0400 01000000")) == Some((1, Wish::Connect)));
        assert!(read(&hex!("04 0300 2400 0700 01 0400 03000000")) == Some((3, Wish::Disconnect)));
        assert!(read(&hex!("04 0400 2500 0700 01 0400 01000000")) == Some((1, Wish::PowerUp { within: None })));
        let timed = hex!("04 0400 2500 1500 01 0400 01000000 10 0400 88130000 11 0400 04000000");
        assert!(read(&timed) == Some((1, Wish::PowerUp { within: Some(5000) })));
        assert!(read(&hex!("04 0500 2600 0E00 01 0400 01000000 10 0400 01000000")) == Some((1, Wish::PowerDown)));
        assert!(read(&hex!("04 0600 2700 0700 01 0400 01000000")) == Some((1, Wish::Reset)));
        assert!(read(&hex!("04 0700 2800 0700 01 0400 01000000")).is_none());
    }

    #[test]
    fn indications_that_say_no_slot_or_too_much_are_refused() {
        assert!(indication(&hex!("04 0200 2300 0000")).is_err());
        assert!(indication(&hex!("04 0200 2300 0600 01 0300 010000")).is_err());
        let other_length = hex!("04 0100 2200 1800 01 0400 01000000 02 0400 2A000000 03 0700 0600 00B0000000");
        assert!(indication(&other_length).is_err());
        let long = Fields::default()
            .with(0x01, &[1, 0, 0, 0])
            .with(0x02, &[1, 0, 0, 0])
            .with(0x03, &counted16(&[0; MAX_COMMAND + 1]));
        let message = Message { kind: Kind::Indication, transaction: 1, id: id::APDU, fields: long };
        assert!(Indication::parse(&message).is_err());
    }

    proptest! {
        #[test]
        fn segments_are_the_answer(answer in proptest::collection::vec(any::<u8>(), 1..4000)) {
            let mut whole = Vec::new();
            for Segment { total, offset, bytes } in segments(&answer) {
                prop_assert_eq!((total as usize, offset as usize), (answer.len(), whole.len()));
                prop_assert!(!bytes.is_empty() && bytes.len() <= 1024);
                whole.extend(bytes);
            }
            prop_assert_eq!(whole, answer);
        }

        #[test]
        fn no_indication_panics(id in 0x1E..0x2Au16, fields in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..12)), 0..6)) {
            let fields = fields.iter().fold(Fields::default(), |all, (kind, value)| all.with(kind % 5, value));
            let _ = Indication::parse(&Message { kind: Kind::Indication, transaction: 1, id, fields });
        }
    }
}
