//! QMUX: the messages of all services of a modem over one channel, and the control service that gives out clients.
//! Sans-IO.
//!
//! ```text
//! frame = 01, length u16 LE (all but the 01), flags u8 (00 host, 80 modem), service u8, client u8, message
//! ```
//!
//! Source: libqmi (`qmi-message.c`, `qmi-service-ctl.json`).

use super::message::{Control, Fields, Kind, Malformed, Refusal};
use super::uim_remote::SERVICE;
use crate::inbox::Inbox;
use zeroize::Zeroizing;

/// First byte of every frame.
const MARKER: u8 = 0x01;
/// Bytes before the message: marker, length, flags, service, client.
const HEADER: usize = 6;
/// Longest frame that is taken, in bytes; a modem's control channel has 4096 at most.
const MAX_FRAME: usize = 8192;
/// The control service, and its one client.
const CONTROL: u8 = 0x00;
/// The client number of indications that are for every client of a service.
const EVERYBODY: u8 = 0xFF;

/// Messages of the control service.
mod id {
    pub(super) const GET_VERSION_INFO: u16 = 0x0021;
    pub(super) const ALLOCATE_CID: u16 = 0x0022;
    pub(super) const RELEASE_CID: u16 = 0x0023;
    pub(super) const REVOKE_CID: u16 = 0x0024;
    pub(super) const SYNC: u16 = 0x0027;
    /// Of libqmi's proxy, which answers it itself.
    pub(super) const PROXY_OPEN: u16 = 0xFF00;
}

/// Puts frames together from bytes as they arrive.
#[derive(Default)]
pub(crate) struct Frames(Inbox);

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// The next whole frame. Errors: what arrived is no frame; it is dropped, all of it, since nothing says where the
    /// next one begins.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Malformed> {
        let [marker, ..] = self.0[..] else { return Ok(None) };
        let length = match self.0.get(1..3) {
            Some(&[l0, l1]) => usize::from(u16::from_le_bytes([l0, l1])) + 1,
            _ if marker == MARKER => return Ok(None),
            _ => 0,
        };
        if marker != MARKER || !(HEADER..=MAX_FRAME).contains(&length) {
            self.0.clear();
            return Err(Malformed("no QMUX frame"));
        }
        Ok((self.0.len() >= length).then(|| self.0.take(length)))
    }
}

fn frame(service: u8, client: u8, message: &[u8]) -> Vec<u8> {
    let length = (message.len() + HEADER - 1) as u16;
    let [l0, l1] = length.to_le_bytes();
    [&[MARKER, l0, l1, 0x00, service, client][..], message].concat()
}

/// Service, client and message of one whole frame.
fn split(frame: &[u8]) -> Result<(u8, u8, &[u8]), Malformed> {
    match frame {
        [MARKER, l0, l1, _, service, client, message @ ..]
            if usize::from(u16::from_le_bytes([*l0, *l1])) + 1 == frame.len() =>
        {
            Ok((*service, *client, message))
        }
        _ => Err(Malformed("no QMUX frame")),
    }
}

/// Why a channel has no client, or none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("it does not offer UIM Remote (QMI service 0x32), which is off by default")]
    NotOffered,
    #[error("it refused {0}: {1}")]
    Refused(&'static str, Refusal),
    #[error("it has restarted")]
    Restarted,
    #[error("it does not answer the control service")]
    Silent,
}

/// What a frame led to.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Step {
    /// Nothing: not for this client.
    Nothing,
    /// Send this frame to the modem.
    Send(Vec<u8>),
    /// The client is there: messages may be sent.
    Ready,
    /// A message of the service.
    Message(Vec<u8>),
    /// The client is given back.
    Released,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ProxyOpen,
    Sync,
    Version,
    Allocate,
    Ready { client: u8 },
    Release,
    Done,
}

/// A client of UIM Remote on a QMUX channel: gets a number, carries messages, gives the number back.
pub(crate) struct Client {
    state: State,
    transaction: u8,
}

impl Client {
    /// A client, and the first frame to send: with `proxy`, to libqmi's proxy, the device that it is to open; else to
    /// the modem, that it forgets the clients of whoever had the channel before.
    pub(crate) fn start(proxy: Option<&str>) -> (Client, Vec<u8>) {
        let mut client = Client { state: State::Sync, transaction: 0 };
        let first = match proxy {
            Some(device) => {
                client.state = State::ProxyOpen;
                client.control(id::PROXY_OPEN, Fields::default().with(0x01, device.as_bytes()))
            }
            None => client.control(id::SYNC, Fields::default()),
        };
        (client, first)
    }

    /// A whole frame of the modem.
    pub(crate) fn frame(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        let (service, client, message) = split(bytes)?;
        match (service, self.state) {
            (CONTROL, _) => self.control_message(&Control::parse(message)?),
            (SERVICE, State::Ready { client: own }) if client == own || client == EVERYBODY => {
                Ok(Step::Message(message.to_vec()))
            }
            _ => Ok(Step::Nothing),
        }
    }

    /// The modem did not answer the last control request in time.
    pub(crate) fn time_out(&mut self) -> Result<Step, Fault> {
        match self.state {
            // Some modems do not know it; those that do not answer anything are noticed at the next request.
            State::Sync => Ok(Step::Send(self.ask_version())),
            State::Release | State::Done => Ok(Step::Released),
            State::Ready { .. } => Ok(Step::Nothing),
            State::ProxyOpen | State::Version | State::Allocate => Err(Fault::Silent),
        }
    }

    /// The frame around a message of the service; `None` if there is no client.
    pub(crate) fn wrap(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self.state {
            State::Ready { client } => Some(frame(SERVICE, client, message)),
            _ => None,
        }
    }

    /// Gives the client back: the frame to send, if there is anything to give back.
    pub(crate) fn release(&mut self) -> Option<Vec<u8>> {
        let State::Ready { client } = self.state else { return None };
        self.state = State::Release;
        Some(self.control(id::RELEASE_CID, Fields::default().with(0x01, &[SERVICE, client])))
    }

    fn control_message(&mut self, message: &Control) -> Result<Step, Fault> {
        let own = |state| matches!((message.fields.get(0x01), state), (Some(&[SERVICE, revoked]), State::Ready { client }) if revoked == client);
        match (message.kind, message.id) {
            // The modem forgot all clients. While one is being got, another program may have caused it.
            (Kind::Indication, id::SYNC) if matches!(self.state, State::Ready { .. }) => return Err(Fault::Restarted),
            (Kind::Indication, id::REVOKE_CID) if own(self.state) => return Err(Fault::Restarted),
            (Kind::Response, _) if message.transaction == self.transaction => {}
            _ => return Ok(Step::Nothing),
        }
        let result = message.fields.result()?;
        let expect = |what| result.map_err(|refusal| Fault::Refused(what, refusal));
        match (self.state, message.id) {
            (State::ProxyOpen, id::PROXY_OPEN) => {
                expect("the proxy's device")?;
                Ok(Step::Send(self.ask_version()))
            }
            // It says no more than that the modem has nothing to forget.
            (State::Sync, id::SYNC) => Ok(Step::Send(self.ask_version())),
            (State::Version, id::GET_VERSION_INFO) => {
                expect("its list of services")?;
                let services = message.fields.get(0x01).ok_or(Malformed("no list of services"))?;
                if !lists(services, SERVICE)? {
                    return Err(Fault::NotOffered);
                }
                self.state = State::Allocate;
                Ok(Step::Send(self.control(id::ALLOCATE_CID, Fields::default().with(0x01, &[SERVICE]))))
            }
            (State::Allocate, id::ALLOCATE_CID) => {
                expect("a client of UIM Remote")?;
                let Some(&[SERVICE, client]) = message.fields.get(0x01) else {
                    return Err(Malformed("a client of another service").into());
                };
                self.state = State::Ready { client };
                Ok(Step::Ready)
            }
            (State::Release, id::RELEASE_CID) => {
                self.state = State::Done;
                Ok(Step::Released)
            }
            _ => Ok(Step::Nothing),
        }
    }

    fn ask_version(&mut self) -> Vec<u8> {
        self.state = State::Version;
        self.control(id::GET_VERSION_INFO, Fields::default())
    }

    fn control(&mut self, id: u16, fields: Fields) -> Vec<u8> {
        self.transaction = self.transaction.checked_add(1).unwrap_or(1);
        let message = Control { kind: Kind::Request, transaction: self.transaction, id, fields };
        frame(CONTROL, 0, &message.encode())
    }
}

/// Whether a service is in the list of GET VERSION INFO: count u8, then service u8, major u16, minor u16 each.
fn lists(services: &[u8], service: u8) -> Result<bool, Malformed> {
    match services.split_first() {
        Some((count, services)) if services.len() == usize::from(*count) * 5 => {
            Ok(services.chunks(5).any(|entry| entry.first() == Some(&service)))
        }
        _ => Err(Malformed("the list of services")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    const SYNC: [u8; 12] = hex!("01 0B00 00 00 00 00 01 2700 0000");
    const SYNCED: [u8; 19] = hex!("01 1200 80 00 00 01 01 2700 0700 02 0400 00000000");
    const VERSION: [u8; 12] = hex!("01 0B00 00 00 00 00 02 2100 0000");
    const SERVICES: [u8; 33] =
        hex!("01 2000 80 00 00 01 02 2100 1500 02 0400 00000000 01 0B00 02 00 0100 0500 32 0100 0000");
    const ALLOCATE: [u8; 16] = hex!("01 0F00 00 00 00 00 03 2200 0400 01 0100 32");
    const RESTARTED: [u8; 12] = hex!("01 0B00 80 00 00 02 00 2700 0000");
    const MESSAGE: [u8; 7] = hex!("01 0600 80 32 05 07");
    const CUT_OFF: [u8; 6] = hex!("01 0500 80 00 00");
    const ALLOCATED: [u8; 24] = hex!("01 1700 80 00 00 01 03 2200 0C00 02 0400 00000000 01 0200 32 05");

    fn ready() -> Client {
        let (mut client, first) = Client::start(None);
        assert_eq!(first, SYNC);
        assert_eq!(client.frame(&SYNCED), Ok(Step::Send(VERSION.to_vec())));
        assert_eq!(client.frame(&SERVICES), Ok(Step::Send(ALLOCATE.to_vec())));
        assert_eq!(client.frame(&ALLOCATED), Ok(Step::Ready));
        client
    }

    #[test]
    fn a_client_is_got_used_and_given_back() {
        let mut client = ready();
        assert_eq!(client.wrap(&[9; 7]).unwrap(), hex!("01 0C00 00 32 05 09090909090909"));
        assert_eq!(client.frame(&MESSAGE), Ok(Step::Message(vec![7])));
        assert_eq!(client.frame(&hex!("01 0600 80 32 FF 08")), Ok(Step::Message(vec![8])));
        // Another client's, another service's.
        assert_eq!(client.frame(&hex!("01 0600 80 32 06 07")), Ok(Step::Nothing));
        assert_eq!(client.frame(&hex!("01 0600 80 03 05 07")), Ok(Step::Nothing));
        let release = hex!("01 1000 00 00 00 00 04 2300 0500 01 0200 32 05");
        assert_eq!(client.release().unwrap(), release);
        assert_eq!(client.wrap(&[]), None);
        let released = hex!("01 1700 80 00 00 01 04 2300 0C00 02 0400 00000000 01 0200 32 05");
        assert_eq!(client.frame(&released), Ok(Step::Released));
        assert_eq!(client.release(), None);
    }

    #[test]
    fn through_the_proxy_no_other_programs_clients_are_forgotten() {
        let (mut client, first) = Client::start(Some("/dev/cdc-wdm0"));
        let open = [&hex!("01 1B00 00 00 00 00 01 00FF 1000 01 0D00")[..], b"/dev/cdc-wdm0"].concat();
        assert_eq!(first, open);
        let opened = hex!("01 1200 80 00 00 01 01 00FF 0700 02 0400 00000000");
        assert_eq!(client.frame(&opened), Ok(Step::Send(VERSION.to_vec())));
    }

    #[test]
    fn a_modem_without_the_service_is_told_apart() {
        let (mut client, _) = Client::start(None);
        client.frame(&SYNCED).unwrap();
        let services = hex!("01 1B00 80 00 00 01 02 2100 1000 02 0400 00000000 01 0600 01 00 0100 0500");
        assert_eq!(client.frame(&services), Err(Fault::NotOffered));
        let (mut client, _) = Client::start(None);
        client.frame(&SYNCED).unwrap();
        client.frame(&SERVICES).unwrap();
        let full = hex!("01 1200 80 00 00 01 03 2200 0700 02 0400 01000500");
        assert_eq!(client.frame(&full), Err(Fault::Refused("a client of UIM Remote", Refusal(5))));
    }

    #[test]
    fn a_modem_that_does_not_know_sync_is_asked_on_and_a_silent_one_is_not() {
        let (mut client, _) = Client::start(None);
        let refused = hex!("01 1200 80 00 00 01 01 2700 0700 02 0400 01004700");
        assert_eq!(client.frame(&refused), Ok(Step::Send(VERSION.to_vec())));
        let (mut client, _) = Client::start(None);
        assert_eq!(client.time_out(), Ok(Step::Send(VERSION.to_vec())));
        assert_eq!(client.time_out(), Err(Fault::Silent));
        // A late answer to the first request is none to the second.
        let (mut client, _) = Client::start(None);
        client.time_out().unwrap();
        assert_eq!(client.frame(&SYNCED), Ok(Step::Nothing));
        assert_eq!(client.frame(&SERVICES), Ok(Step::Send(ALLOCATE.to_vec())));
    }

    #[test]
    fn a_restart_and_a_revoked_client_end_the_session() {
        assert_eq!(ready().frame(&RESTARTED), Err(Fault::Restarted));
        let revoked = |client| {
            let mut bytes = hex!("01 1000 80 00 00 02 00 2400 0500 01 0200 32 05");
            bytes[16] = client;
            bytes
        };
        assert_eq!(ready().frame(&revoked(5)), Err(Fault::Restarted));
        assert_eq!(ready().frame(&revoked(6)), Ok(Step::Nothing));
        let (mut client, _) = Client::start(None);
        assert_eq!(client.frame(&RESTARTED), Ok(Step::Nothing));
    }

    #[test]
    fn what_is_no_frame_is_dropped_and_the_next_one_read() {
        let mut frames = Frames::default();
        for rubbish in [&hex!("02")[..], &hex!("01 0000"), &hex!("01 FFFF"), &hex!("7E 01 0500")] {
            frames.push(rubbish);
            assert!(frames.next_frame().is_err(), "{rubbish:02X?}");
            frames.push(&SYNCED);
            assert_eq!(frames.next_frame(), Ok(Some(SYNCED.to_vec().into())));
        }
        frames.push(&SYNCED[..1]);
        assert_eq!(frames.next_frame(), Ok(None));
        frames.push(&SYNCED[1..5]);
        assert_eq!(frames.next_frame(), Ok(None));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            cut in 1..50usize,
        ) {
            let sent: Vec<Vec<u8>> = messages.iter().map(|message| frame(0x32, 1, message)).collect();
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for piece in sent.concat().chunks(cut) {
                frames.push(piece);
                while let Some(frame) = frames.next_frame().unwrap() {
                    got.push(frame.to_vec());
                }
            }
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn no_bytes_panic_or_pile_up(pieces in proptest::collection::vec(proptest::collection::vec(0..4u8, 0..20), 0..30)) {
            let (mut frames, (mut client, _)) = (Frames::default(), Client::start(None));
            for piece in pieces {
                frames.push(&piece);
                while let Ok(Some(frame)) = frames.next_frame() {
                    let _ = client.frame(&frame);
                }
                prop_assert!(frames.0.len() <= MAX_FRAME);
            }
        }

        /// Whatever a modem says in whatever order, a client that is ready got its number from the modem.
        #[test]
        fn no_order_of_control_messages_confuses(order in proptest::collection::vec(0..6usize, 0..12)) {
            let (mut client, _) = Client::start(None);
            for number in order {
                match client.frame([&SYNCED[..], &SERVICES, &ALLOCATED, &RESTARTED, &MESSAGE, &CUT_OFF][number]) {
                    Ok(Step::Message(_)) => prop_assert_eq!(client.state, State::Ready { client: 5 }),
                    Ok(_) | Err(Fault::Malformed(_)) => {}
                    Err(fault) => { prop_assert_eq!(fault, Fault::Restarted); break }
                }
            }
        }
    }
}
