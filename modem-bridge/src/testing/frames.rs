//! Everything that reads what a peer sends, on bytes from anywhere, with the machine behind it and a card that answers
//! at once. For fuzzing: nothing here may panic, and no peer may get an answer that it has not asked for.

mod qmi;

use crate::client::Machine as _;
use crate::json::codec::{Line, Lines, Request};
use crate::rspro::ipa::{Ipa, Received};
use crate::rspro::pdu::{Component, Identity, Message as Rspro, Pdu, SlotId};
use crate::rspro::server::Mappings;
use crate::sap::codec::Messages;
use crate::session::Work;
use crate::vpcd::codec::Frames;
use crate::{json, rspro, sap, vpcd};
use std::sync::Arc;
use std::time::Instant;
use teuicc_apdu::Response;

const ATR: [u8; 2] = [0x3B, 0x00];
const BANK: SlotId = SlotId { id: 1, slot: 0 };

/// The first byte says who reads, the second how many bytes come at a time; what the rest is, nobody knows. How many
/// messages were sent in answer.
pub fn drive(bytes: &[u8]) -> usize {
    let [reader, cut, stream @ ..] = bytes else { return 0 };
    let pieces = stream.chunks(usize::from(*cut).max(1));
    match reader % 8 {
        0 => drive_vpcd(pieces),
        1 => drive_rspro_client(pieces),
        2 => drive_rspro_server(pieces),
        3 => drive_sap(pieces),
        4 => drive_json(pieces),
        5 => qmi::drive_qmux(pieces),
        6 => qmi::drive_mbim(pieces),
        _ => qmi::drive_qrtr(stream),
    }
}

fn response(apdu: &[u8]) -> Option<Response> {
    match apdu.get(1) {
        Some(0xFF) => None,
        _ => Some(Response::data(vec![0x5A; usize::from(apdu.get(4).copied().unwrap_or_default())])),
    }
}

fn drive_vpcd<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut sent = 0;
    let mut frames = Frames::default();
    let mut machine = vpcd::machine::Machine::new(ATR.to_vec(), Arc::default());
    let mut owed = 0usize;
    for piece in pieces {
        frames.push(piece);
        while let Some(payload) = frames.next_frame() {
            owed += usize::from(payload.len() > 1 || *payload == [vpcd::codec::control::GET_ATR]);
            let Ok(outputs) = machine.frame(&payload) else { return sent };
            let mut todo = outputs;
            while !todo.is_empty() {
                match todo.remove(0) {
                    vpcd::machine::Output::Send(_) => {
                        sent += 1;
                        owed = owed.checked_sub(1).expect("an answer too many");
                    }
                    vpcd::machine::Output::Work(Work::PowerUp { epoch }) => {
                        todo.extend(machine.powered_up(epoch, epoch, ATR.to_vec()));
                    }
                    vpcd::machine::Output::Work(Work::PowerDown { .. }) => {}
                    vpcd::machine::Output::Work(Work::Transmit { epoch, apdu, .. }) => {
                        todo.extend(machine.answered(epoch, response(&apdu)));
                    }
                }
            }
            assert_eq!(owed, 0, "a card that answers at once leaves nobody waiting");
        }
    }
    sent
}

fn identity() -> Identity {
    Identity { component: Component::Bank, name: "x".into(), software: "x".into(), version: "x".into() }
}

/// The messages in what comes, until something is none.
fn rspro_messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = Pdu> {
    let now = Instant::now();
    let mut ipa = Ipa::new(now, "x");
    let mut pdus = Vec::new();
    'peer: for piece in pieces {
        ipa.push(now, piece);
        loop {
            match ipa.next_received() {
                Ok(Some(Received::Rspro(message))) => match Pdu::decode(&message) {
                    Ok(pdu) => pdus.push(pdu),
                    Err(_) => break 'peer,
                },
                Ok(Some(Received::Answer(_))) => {}
                Ok(None) => break,
                Err(_) => break 'peer,
            }
        }
    }
    pdus.into_iter()
}

fn drive_rspro_client<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut sent = 0;
    let mut machine = rspro::client::Machine::new(identity(), Arc::default());
    let mut open = 0usize;
    for pdu in rspro_messages(pieces) {
        open += usize::from(matches!(pdu.message, Rspro::TpduModemToCard(_)));
        let Ok(outputs) = machine.received(pdu) else { return sent };
        let mut todo = outputs;
        while !todo.is_empty() {
            match todo.remove(0) {
                rspro::client::Output::Send(pdu) => {
                    sent += 1;
                    assert!(pdu.encode().is_ok_and(|bytes| Pdu::decode(&bytes) == Ok(pdu.clone())));
                    if matches!(pdu.message, Rspro::TpduCardToModem(_)) {
                        open = open.checked_sub(1).expect("an answer too many");
                    }
                }
                rspro::client::Output::LookUp(_) => todo.extend(machine.mapped(Some(BANK))),
                rspro::client::Output::Work(Work::PowerUp { epoch }) => {
                    todo.extend(machine.powered_up(epoch, epoch, ATR.to_vec()));
                }
                rspro::client::Output::Work(Work::PowerDown { .. }) => {}
                rspro::client::Output::Work(Work::Transmit { epoch, apdu, .. }) => {
                    todo.extend(machine.answered(epoch, response(&apdu)));
                }
                rspro::client::Output::Close => return sent,
            }
        }
    }
    sent
}

fn drive_rspro_server<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut sent = 0;
    let (mut machine, _) = rspro::server::Machine::new(identity(), BANK.id, 1);
    let mut mappings = Mappings::default();
    for pdu in rspro_messages(pieces) {
        match machine.received(pdu, &mut mappings) {
            Ok(Some(answer)) => {
                assert!(answer.encode().is_ok());
                sent += 1;
            }
            Ok(None) => {}
            Err(_) => return sent,
        }
    }
    sent
}

fn drive_sap<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut sent = 0;
    let mut messages = Messages::default();
    let mut machine = sap::machine::Machine::new(Arc::default());
    for piece in pieces {
        messages.push(piece);
        loop {
            let mut todo = match messages.next_message() {
                Ok(Some(message)) => machine.received(&message),
                Ok(None) => break,
                Err(_) => {
                    messages.clear();
                    machine.malformed()
                }
            };
            let mut responses = 0;
            while !todo.is_empty() {
                match todo.remove(0) {
                    sap::machine::Output::Send(message) => {
                        assert!(message.encode(true).is_some());
                        responses += usize::from(message.id != sap::codec::Id::StatusInd);
                    }
                    sap::machine::Output::Work(Work::PowerUp { epoch }) => {
                        todo.extend(machine.powered_up(epoch, epoch, ATR.to_vec()));
                    }
                    sap::machine::Output::Work(Work::PowerDown { epoch }) => todo.extend(machine.powered_down(epoch)),
                    sap::machine::Output::Work(Work::Transmit { epoch, apdu, .. }) => {
                        todo.extend(machine.answered(epoch, response(&apdu)));
                    }
                    sap::machine::Output::Away(_) | sap::machine::Output::Parted => {}
                }
            }
            assert_eq!(responses, 1, "one response to one message");
            sent += responses;
        }
    }
    sent
}

fn drive_json<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut sent = 0;
    let mut lines = Lines::default();
    let mut machine = json::machine::Machine::new(Arc::default());
    for piece in pieces {
        lines.push(piece);
        while let Ok(Some(line)) = lines.next_line() {
            let mut todo = machine.received(Request::parse(&line));
            let mut responses = 0;
            while !todo.is_empty() {
                match todo.remove(0) {
                    json::machine::Output::Send(line) => {
                        responses += usize::from(!matches!(line, Line::Event { .. }));
                    }
                    json::machine::Output::Work(Work::PowerUp { epoch }) => {
                        todo.extend(machine.powered_up(epoch, epoch, ATR.to_vec()));
                    }
                    json::machine::Output::Work(Work::PowerDown { epoch }) => todo.extend(machine.powered_down(epoch)),
                    json::machine::Output::Work(Work::Transmit { epoch, apdu, .. }) => {
                        todo.extend(machine.answered(epoch, response(&apdu)));
                    }
                    json::machine::Output::Away(_) | json::machine::Output::Parted => {}
                }
            }
            assert_eq!(responses, 1, "one response to one line");
            sent += responses;
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What peers send, to be damaged.
    fn good() -> Vec<Vec<u8>> {
        let parts: [&[u8]; 5] = [
            b"\x00\x01\x04\x00\x01\x01\x00\x07\x00\xA4\x00\x04\x02\x3F\x00\x00\x01\x02\x00\x01\x00",
            b"\x00\x3c\xee\x07\x30\x39\x80\x01\x02\x81\x01\x00\xa2\x31\xa2\x2f\x30\x25\x0a\x01\x00\x16\x04test\
              \x80\x0aosmo-remsi\x81\x0e1.0.0.11-4b366\x30\x06\x02\x01\x00\x02\x01\x00\
              \x00\x34\xee\x07\x30\x31\x80\x01\x02\x81\x01\x00\xa2\x29\xac\x27\x30\x06\x02\x01\x00\x02\x01\x00\x30\x06\
              \x02\x01\x01\x02\x01\x00\x30\x0c\x01\x01\x00\x01\x01\x00\x01\x01\x00\x01\x01\x00\x04\x07\x00\xa4\x00\x04\
              \x02\x3f\x00",
            b"\x00\x1e\xee\x07\x30\x1b\x80\x01\x02\x81\x01\x00\xa2\x13\xa1\x11\x30\x0c\x0a\x01\x01\x16\x01s\x80\x01s\
              \x81\x01s\x0a\x01\x00\
              \x00\x1d\xee\x07\x30\x1a\x80\x01\x02\x81\x01\x00\xa2\x12\xa4\x10\x30\x06\x02\x01\x00\x02\x01\x00\x30\x06\
              \x02\x01\x01\x02\x01\x00",
            b"\x00\x01\x00\x00\x00\x00\x00\x02\x01\x2c\x00\x00\x07\x00\x00\x00\x05\x01\x00\x00\x04\x00\x00\x07\x00\xa4\
              \x00\x04\x02\x3f\x00\x00\x09\x00\x00\x00\x0b\x00\x00\x00\x0d\x00\x00\x00\x0f\x00\x00\x00\x02\x00\x00\x00",
            b"{\"op\":\"power_up\"}\n{\"op\":\"tpdu\",\"data\":\"00a40004023f00\"}\n{\"op\":\"status\"}\n{\"op\":\"power_down\"}\n",
        ];
        let parts = parts.iter().map(|part| part.to_vec()).chain(qmi::good());
        parts.zip(0u8..).map(|(part, reader)| [vec![reader, 7], part].concat()).collect()
    }

    #[test]
    fn what_peers_send_is_read() {
        let sent: Vec<_> = good().iter().map(|bytes| drive(bytes)).collect();
        assert_eq!(sent, [2, 3, 1, 8, 4, 5, 5, 5]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_are_answered_twice(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            drive(&bytes);
        }

        #[test]
        fn nor_do_damaged_good_ones(
            which in 0..8usize, cut in 1..40u8,
            damage in proptest::collection::vec((0..300usize, any::<u8>()), 0..4),
            repeat in 1..3usize,
        ) {
            let mut bytes = good().swap_remove(which);
            let again = bytes[2..].repeat(repeat - 1);
            bytes.extend(again);
            bytes[1] = cut;
            let length = bytes.len();
            for (at, byte) in damage {
                if length > 2 {
                    bytes[2 + at % (length - 2)] = byte;
                }
            }
            drive(&bytes);
        }
    }
}
