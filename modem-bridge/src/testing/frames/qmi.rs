//! What a modem sends over each way to its UIM Remote service.

use super::{ATR, response};
use crate::qmi::machine::{Machine, Output};
use crate::qmi::message::{Kind, Message};
use crate::qmi::qrtr::Address;
use crate::qmi::requests::Requests;
use crate::qmi::uim_remote::{Indication, Request, Wish, segments};
use crate::qmi::{mbim, qmux, qrtr};
use crate::session::Work;
use crate::status::Patience;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The host's own QRTR node.
const OWN: u32 = 1;
/// The modem's.
const MODEM: u32 = 3;

/// Over QMUX on a device. How many requests were sent to the modem.
pub(super) fn drive_qmux<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut host = Host::new();
    let (mut frames, (mut client, _)) = (qmux::Frames::default(), qmux::Client::start(None));
    for piece in pieces {
        frames.push(piece);
        while let Ok(Some(frame)) = frames.next_frame() {
            if host.frame(&mut client, &frame).is_err() {
                return host.sent;
            }
        }
    }
    host.sent
}

/// Over MBIM on a device. How many requests were sent to the modem.
pub(super) fn drive_mbim<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut host = Host::new();
    let (mut channel, (mut client, _)) = (mbim::Channel::default(), qmux::Client::start(None));
    for piece in pieces {
        channel.push(piece);
        while let Ok(Some(message)) = channel.next_message() {
            let over = match channel.message(&message) {
                Ok(mbim::Step::Frame(frame)) => host.frame(&mut client, &frame).is_err(),
                Ok(mbim::Step::Nothing | mbim::Step::Opened) | Err(mbim::Fault::Malformed(_)) => false,
                Ok(mbim::Step::Closed) | Err(_) => true,
            };
            if over {
                return host.sent;
            }
        }
    }
    host.sent
}

/// Over QRTR, a datagram after the other: its length, the port that it comes from (0: the name service), and its bytes.
/// How many requests were sent to the modem.
pub(super) fn drive_qrtr(stream: &[u8]) -> usize {
    let mut host = Host::new();
    let (mut client, _) = qrtr::Client::start(OWN, None);
    let mut rest = stream;
    while let [length, port, after @ ..] = rest {
        let (datagram, after) = after.split_at_checked((*length).into()).unwrap_or((after, &[]));
        let from = if *port == 0 { Address::control(OWN) } else { Address { node: MODEM, port: (*port).into() } };
        let over = match client.datagram(from, datagram) {
            Ok(qrtr::Step::Message(message)) => host.message(&message).is_err(),
            Ok(qrtr::Step::Gone) => true,
            _ => false,
        };
        if over {
            return host.sent;
        }
        rest = after;
    }
    host.sent
}

/// The session with the modem ended.
struct Over;

/// What is behind the ways to a modem, with a card in its first slot.
struct Host {
    now: Instant,
    machine: Machine,
    requests: Requests<()>,
    /// Commands that were not answered yet.
    owed: usize,
    sent: usize,
}

impl Host {
    fn new() -> Host {
        let patience = Patience { first: Duration::from_secs(1), last: Duration::from_secs(1) };
        let now = Instant::now();
        let machine = Machine::new(Duration::from_secs(1), patience, Arc::default());
        let mut host = Host { now, machine, requests: Requests::new(), owed: 0, sent: 0 };
        let outputs = host.machine.start(now);
        let _ = host.perform(outputs);
        host
    }

    fn frame(&mut self, client: &mut qmux::Client, frame: &[u8]) -> Result<(), Over> {
        match client.frame(frame) {
            Ok(qmux::Step::Message(message)) => self.message(&message),
            Ok(_) | Err(qmux::Fault::Malformed(_)) => Ok(()),
            Err(_) => Err(Over),
        }
    }

    fn message(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let Ok(message) = Message::parse(bytes) else { return Ok(()) };
        // Time passes as the bytes say.
        self.now += Duration::from_millis(message.transaction.into());
        self.requests.check(self.now).map_err(|_| Over)?;
        let due = self.machine.tick(self.now);
        self.perform(due)?;
        match message.kind {
            Kind::Response => {
                let _ = self.requests.close(&message);
            }
            Kind::Indication => {
                if let Ok(Some(Indication { slot: 1, wish })) = Indication::parse(&message) {
                    self.owed += usize::from(matches!(wish, Wish::Apdu { .. }));
                    let outputs = self.machine.wish(self.now, wish);
                    self.perform(outputs)?;
                    assert_eq!(self.owed, 0, "a card that answers at once leaves nobody waiting");
                }
            }
            Kind::Request => {}
        }
        Ok(())
    }

    fn perform(&mut self, outputs: Vec<Output>) -> Result<(), Over> {
        for output in outputs {
            match output {
                Output::Work(Work::PowerUp { epoch }) => {
                    let outputs = self.machine.powered_up(self.now, epoch, epoch, ATR.to_vec());
                    self.perform(outputs)?;
                }
                Output::Work(Work::Transmit { epoch, apdu, .. }) => {
                    let outputs = self.machine.answered(epoch, response(&apdu));
                    self.perform(outputs)?;
                }
                Output::Work(Work::PowerDown { .. }) => {}
                Output::Tell(event) => self.ask(&Request::Event(event))?,
                Output::Answer { id, answer } => {
                    self.owed = self.owed.checked_sub(1).expect("an answer too many");
                    match answer {
                        None => self.ask(&Request::Failure { id })?,
                        Some(answer) => {
                            for segment in segments(&answer) {
                                self.ask(&Request::Answer { id, segment })?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, request: &Request) -> Result<(), Over> {
        let transaction = self.requests.open(self.now, ()).map_err(|_| Over)?;
        let message = request.message(transaction, 1);
        assert!(Message::parse(&message.encode()) == Ok(message), "a message is not what was written");
        self.sent += 1;
        Ok(())
    }
}

/// What a modem sends, as [`super::drive`] takes it.
#[cfg(test)]
pub(super) fn good() -> [Vec<u8>; 3] {
    use hex_literal::hex;

    let messages = [
        // CONNECT; SELECT, and GET RESPONSE; the responses to what was asked so far; RESET; DISCONNECT.
        &hex!("04 0000 2300 0700 01 0400 01000000")[..],
        &hex!("04 0000 2200 1A00 01 0400 01000000 02 0400 01000000 03 0900 0700 00A40004023F00"),
        &hex!("04 0000 2200 1800 01 0400 01000000 02 0400 02000000 03 0700 0500 00C0000002"),
        &hex!("02 0100 2100 0700 02 0400 00000000"),
        &hex!("02 0200 2100 0700 02 0400 00000000"),
        &hex!("04 0000 2700 0700 01 0400 01000000"),
        &hex!("04 0000 2400 0700 01 0400 01000000"),
    ];
    let control = [
        &hex!("01 01 2700 0700 02 0400 00000000")[..],
        &hex!("01 02 2100 1000 02 0400 00000000 01 0600 01 32 0100 0000"),
        &hex!("01 03 2200 0C00 02 0400 00000000 01 0200 32 05"),
    ];
    let frame = |service: u8, client: u8, message: &[u8]| {
        let length = u8::try_from(message.len() + 5).unwrap();
        [&[0x01, length, 0x00, 0x80, service, client][..], message].concat()
    };
    let frames: Vec<Vec<u8>> = control
        .iter()
        .map(|message| frame(0x00, 0x00, message))
        .chain(messages.iter().map(|message| frame(0x32, 0x05, message)))
        .collect();
    let indication = |frame: &Vec<u8>| {
        let length = u8::try_from(frame.len()).unwrap();
        let header = [&hex!("07000080")[..], &[length + 44, 0, 0, 0], &hex!("00000000 01000000 00000000")].concat();
        let service = hex!("d1a30bc2f97a6e43bf65c7e24fb0f0d3 01000000");
        [&header[..], &service, &[length, 0, 0, 0], frame].concat()
    };
    let datagram = |port: u8, bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap(), port][..], bytes].concat();
    let announced = datagram(0, &hex!("04000000 32000000 01000000 03000000 1F000000"));
    let datagrams: Vec<u8> = messages.iter().flat_map(|message| datagram(0x1F, message)).collect();
    [frames.concat(), frames.iter().flat_map(indication).collect(), [announced, datagrams].concat()]
}
