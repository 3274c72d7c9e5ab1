//! The modem's side of QMI UIM Remote: the service, over QMUX and MBIM on a pseudoterminal, and over QRTR.
//!
//! Written from the tables of `docs/interfaces/qmi.md` alone: it reads and writes its own bytes, and has no code in
//! common with the bridge but the socket of a family that the standard library does not know. It is strict: what a
//! modem would refuse is refused here, and what the tables do not have is an error.

use super::{ModemSide, Transport};
use crate::qmi::qrtr::Address;
use crate::qmi::qrtr::socket::Socket;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a modem waits for the answer to reset.
pub const ATR_LIMIT: Duration = Duration::from_secs(7);
/// How long this one waits for the answer to a command.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// Time between looks at what cannot be waited for.
const POLL: Duration = Duration::from_millis(2);

/// An event, as its number in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// 0 connection unavailable, 1 available, 2 card inserted, 3 removed, 4 error, 5 reset, 6 wakeup.
    pub number: u32,
    /// The modem's slot.
    pub slot: u32,
    /// The answer to reset that came with it.
    pub atr: Option<Vec<u8>>,
    /// The cause of an error.
    pub cause: Option<u32>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// 0: executed.
    pub status: u16,
    /// The modem's slot.
    pub slot: u32,
    /// The command's number.
    pub id: u32,
    /// Total length and offset, where there is an answer.
    pub place: Option<(u32, u32)>,
    /// The bytes of this part.
    pub bytes: Vec<u8>,
}

/// What the bridge sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An event.
    Event(Event),
    /// A part of an answer to a command.
    Answer(Part),
}

/// A request of the bridge, not answered yet.
struct Request {
    transaction: u16,
    message: u16,
    heard: Heard,
}

/// A modem that takes the cards of its slots by UIM Remote. One value is the modem's slot 1; [`QmiModem::slot`] changes
/// it.
pub struct QmiModem {
    wire: Wire,
    slot: u32,
    next_id: u32,
    connected: bool,
    /// Events that came while something else was waited for.
    events: VecDeque<Event>,
    /// Messages that came with the client.
    early: VecDeque<Vec<u8>>,
}

fn strange(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.into())
}

impl QmiModem {
    /// A modem with a control device that carries QMUX.
    pub fn qmux() -> io::Result<QmiModem> {
        Ok(QmiModem::over(Wire::Device(Device::new(false)?)))
    }

    /// A modem with a control device that carries MBIM, and QMI over it. Long messages come in fragments.
    pub fn mbim() -> io::Result<QmiModem> {
        Ok(QmiModem::over(Wire::Device(Device::new(true)?)))
    }

    /// A modem on this SoC: registers service 50 with the name service of the own node.
    pub fn qrtr() -> io::Result<QmiModem> {
        Ok(QmiModem::over(Wire::Qrtr(Qrtr::register()?)))
    }

    fn over(wire: Wire) -> QmiModem {
        QmiModem { wire, slot: 1, next_id: 0, connected: false, events: VecDeque::new(), early: VecDeque::new() }
    }

    /// The control device, for the bridge.
    #[must_use]
    pub fn device(&self) -> PathBuf {
        match &self.wire {
            Wire::Device(device) => device.path.clone(),
            Wire::Qrtr(_) => PathBuf::new(),
        }
    }

    /// From here on this slot of the modem is meant.
    pub fn slot(&mut self, slot: u32) {
        self.slot = slot;
    }

    /// A modem whose service is off: it is not among those that the control service lists.
    pub fn switch_off(&mut self) {
        if let Wire::Device(device) = &mut self.wire {
            device.offered = false;
        }
    }

    /// The service is on again.
    pub fn switch_on(&mut self) {
        if let Wire::Device(device) = &mut self.wire {
            device.offered = true;
        }
    }

    /// Serves the control channel alone until a client of the service is there. Errors: none came in time.
    pub fn await_client(&mut self, within: Duration) -> io::Result<()> {
        let deadline = Instant::now() + within;
        while !self.wire.has_client() {
            match self.wire.receive(Duration::from_millis(20)) {
                Err(error) if error.kind() == ErrorKind::TimedOut && Instant::now() < deadline => {}
                Err(error) => return Err(error),
                Ok(message) => self.early.push_back(message),
            }
        }
        Ok(())
    }

    /// Serves the control channel alone until the client is given back. Errors: it was not in time.
    pub fn await_release(&mut self, within: Duration) -> io::Result<()> {
        let deadline = Instant::now() + within;
        while self.wire.has_client() {
            match self.wire.receive(Duration::from_millis(20)) {
                // Over QRTR a client is given back by closing its socket.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) if error.kind() == ErrorKind::TimedOut && Instant::now() < deadline => {}
                Err(error) => return Err(error),
                Ok(_) => return Err(strange("a message between leaving and giving the client back")),
            }
        }
        Ok(())
    }

    /// Whether the bridge has a client of the service.
    #[must_use]
    pub fn has_client(&self) -> bool {
        self.wire.has_client()
    }

    /// The frames that the control device carried so far, one a line: `host` or `modem`, `qmux` or `mbim`, and the
    /// bytes. What the modem sent over MBIM is given as the QMUX frames in it.
    #[must_use]
    pub fn recorded(&self) -> Vec<String> {
        match &self.wire {
            Wire::Device(device) => device.recorded.clone(),
            Wire::Qrtr(_) => Vec::new(),
        }
    }

    /// Waits until a card is offered for this slot, and lets go of its own.
    pub fn await_offer(&mut self, within: Duration) -> io::Result<()> {
        match self.await_event(within)? {
            Event { number: 1, .. } => {
                self.connected = false;
                Ok(())
            }
            event => Err(strange(format!("{event:?} where a card is to be offered"))),
        }
    }

    /// Connects to the card that is offered: its answer to reset, which has to come in time.
    pub fn connect(&mut self) -> io::Result<Vec<u8>> {
        self.indicate(0x23, &[])?;
        self.connected = true;
        self.await_atr(5)
    }

    /// Says that the card is not used any more.
    pub fn disconnect(&mut self) -> io::Result<()> {
        self.connected = false;
        self.indicate(0x24, &[])
    }

    /// Takes the power from the card.
    pub fn power_down(&mut self) -> io::Result<()> {
        self.indicate(0x26, &[field(0x10, &0u32.to_le_bytes())])
    }

    /// Gives power to the card, and expects its answer to reset within this time.
    pub fn power_up(&mut self, within: Duration) -> io::Result<Vec<u8>> {
        self.ask_power_up(within)?;
        self.await_atr(5)
    }

    /// Gives power to the card, and does not wait.
    pub fn ask_power_up(&mut self, within: Duration) -> io::Result<()> {
        let milliseconds = u32::try_from(within.as_millis()).unwrap_or(u32::MAX).to_le_bytes();
        self.indicate(0x25, &[field(0x10, &milliseconds), field(0x11, &4u32.to_le_bytes())])
    }

    /// Resets the card, and does not wait.
    pub fn ask_reset(&mut self) -> io::Result<()> {
        self.indicate(0x27, &[])
    }

    /// Waits until the card is back, with its answer to reset.
    pub fn await_insertion(&mut self) -> io::Result<Vec<u8>> {
        self.await_atr(2)
    }

    /// The next event for this slot.
    pub fn await_event(&mut self, within: Duration) -> io::Result<Event> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(place) = self.events.iter().position(|event| event.slot == self.slot) {
                return self.events.remove(place).ok_or_else(|| ErrorKind::NotFound.into());
            }
            match self.hear(deadline.saturating_duration_since(Instant::now()))? {
                Heard::Event(event) => self.events.push_back(event),
                Heard::Answer(part) => return Err(strange(format!("{part:?} where an event is to come"))),
            }
        }
    }

    /// The next thing that the bridge sends, answered as a modem does.
    pub fn hear(&mut self, within: Duration) -> io::Result<Heard> {
        let request = self.request(within)?;
        let refused = match &request.heard {
            // Without an answer to reset these are malformed messages.
            Heard::Event(Event { number: 2 | 5, atr: None, .. }) => 1,
            _ => 0,
        };
        self.respond(&request, refused)?;
        match refused {
            0 => Ok(request.heard),
            _ => Err(strange(format!("{:?} without an answer to reset", request.heard))),
        }
    }

    /// The next thing that the bridge sends, refused with this QMI error.
    pub fn refuse(&mut self, within: Duration, error: u16) -> io::Result<Heard> {
        let request = self.request(within)?;
        self.respond(&request, error)?;
        Ok(request.heard)
    }

    /// The next thing that the bridge sends, never answered.
    pub fn ignore(&mut self, within: Duration) -> io::Result<Heard> {
        Ok(self.request(within)?.heard)
    }

    /// Sends a command, and does not wait. Its number.
    pub fn send_command(&mut self, tpdu: &[u8]) -> io::Result<u32> {
        self.next_id += 1;
        self.send_command_as(self.next_id, tpdu)?;
        Ok(self.next_id)
    }

    /// Sends a command under this number, and does not wait.
    pub fn send_command_as(&mut self, id: u32, tpdu: &[u8]) -> io::Result<()> {
        let length = u16::try_from(tpdu.len()).map_err(io::Error::other)?.to_le_bytes();
        self.indicate(0x22, &[field(0x02, &id.to_le_bytes()), field(0x03, &[&length[..], tpdu].concat())])
    }

    /// The answer to the command of this number, its parts put together; `None` if it could not be executed.
    pub fn await_answer(&mut self, id: u32, within: Duration) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + within;
        let mut whole = Vec::new();
        loop {
            let part = match self.hear(deadline.saturating_duration_since(Instant::now()))? {
                Heard::Event(event) => {
                    self.events.push_back(event);
                    continue;
                }
                Heard::Answer(part) => part,
            };
            if (part.slot, part.id) != (self.slot, id) {
                return Err(strange(format!("{part:?} where the answer to {id} is to come")));
            }
            let (total, offset) = match (part.status, part.place) {
                (0, Some(place)) => place,
                (1, None) if part.bytes.is_empty() => return Ok(None),
                _ => return Err(strange(format!("{part:?} is neither an answer nor a failure"))),
            };
            if offset as usize != whole.len() || part.bytes.is_empty() || part.bytes.len() > 1024 {
                return Err(strange(format!("{part:?} after {} bytes", whole.len())));
            }
            whole.extend(part.bytes);
            match whole.len().cmp(&(total as usize)) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(whole)),
                std::cmp::Ordering::Greater => return Err(strange("an answer that is longer than it said")),
            }
        }
    }

    /// The service goes away and comes back, as when the modem restarts. Its clients are no more.
    pub fn restart(&mut self) -> io::Result<()> {
        self.connected = false;
        self.events.clear();
        self.early.clear();
        self.wire.restart()
    }

    /// Sends an indication of this number about the slot, with more fields.
    pub fn indicate(&mut self, message: u16, fields: &[Vec<u8>]) -> io::Result<()> {
        let fields = [&[field(0x01, &self.slot.to_le_bytes())][..], fields].concat().concat();
        self.raw(&message_bytes(0x04, 0, message, &fields))
    }

    /// Sends these bytes as a message of the service, whatever they are.
    pub fn raw(&mut self, message: &[u8]) -> io::Result<()> {
        self.wire.send(message)
    }

    /// Puts these bytes on the channel, whatever they are, with no frame around them.
    pub fn raw_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Device(device) => device.write(bytes),
            Wire::Qrtr(qrtr) => qrtr.send(bytes),
        }
    }

    fn respond(&mut self, request: &Request, error: u16) -> io::Result<()> {
        let result = [u16::from(error != 0).to_le_bytes(), error.to_le_bytes()].concat();
        self.wire.send(&message_bytes(0x02, request.transaction, request.message, &field(0x02, &result)))
    }

    fn request(&mut self, within: Duration) -> io::Result<Request> {
        let bytes = match self.early.pop_front() {
            Some(bytes) => bytes,
            None => self.wire.receive(within)?,
        };
        let (header, fields) = bytes.split_at_checked(7).ok_or_else(|| strange("a message without a header"))?;
        if header[0] != 0 || usize::from(le16(&header[5..])) != fields.len() {
            return Err(strange(format!("no request: {bytes:02X?}")));
        }
        let (transaction, message) = (le16(&header[1..]), le16(&header[3..]));
        let fields = read_fields(fields)?;
        let heard = match message {
            0x21 => Heard::Event(read_event(&fields)?),
            0x22 => Heard::Answer(read_part(&fields)?),
            // RESET among them: it takes the client out of the service's list.
            _ => return Err(strange(format!("message {message:04X}"))),
        };
        Ok(Request { transaction, message, heard })
    }

    /// The event that brings an answer to reset.
    fn await_atr(&mut self, number: u32) -> io::Result<Vec<u8>> {
        match self.await_event(ATR_LIMIT)? {
            Event { number: got, atr: Some(atr), .. } if got == number => Ok(atr),
            event => Err(strange(format!("{event:?} where event {number} is to come"))),
        }
    }
}

impl Transport for QmiModem {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        if !self.connected {
            return self.connect();
        }
        self.power_down()?;
        self.power_up(ATR_LIMIT)
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        self.ask_reset()?;
        self.await_atr(5)
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        let id = self.send_command(tpdu)?;
        self.await_answer(id, COMMAND_LIMIT)?.ok_or_else(|| strange("the card did not execute a command"))
    }
}

impl ModemSide for QmiModem {
    fn await_removal(&mut self, within: Duration) -> io::Result<()> {
        match self.await_event(within)? {
            Event { number: 3, .. } => Ok(()),
            event => Err(strange(format!("{event:?} where the card is to be removed"))),
        }
    }

    fn await_card(&mut self, within: Duration) -> io::Result<()> {
        match self.await_event(within)? {
            Event { number: 1, .. } => self.connected = false,
            Event { number: 2, .. } => {}
            event => return Err(strange(format!("{event:?} where a card is to come"))),
        }
        Ok(())
    }

    fn await_loss(&mut self, within: Duration) -> io::Result<()> {
        match self.await_event(within)? {
            Event { number: 4, .. } => self.await_removal(within),
            event => Err(strange(format!("{event:?} where the card is to fail"))),
        }
    }

    fn part(&mut self) -> io::Result<()> {
        match self.await_event(COMMAND_LIMIT)? {
            Event { number: 0, .. } => self.await_release(COMMAND_LIMIT),
            event => Err(strange(format!("{event:?} where the bridge is to leave"))),
        }
    }
}

fn le16(bytes: &[u8]) -> u16 {
    u16::from(bytes[0]) | u16::from(bytes[1]) << 8
}

fn le32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// A field: type, length, value.
fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [&[kind][..], &length.to_le_bytes(), value].concat()
}

fn message_bytes(flags: u8, transaction: u16, message: u16, fields: &[u8]) -> Vec<u8> {
    let length = u16::try_from(fields.len()).unwrap_or(u16::MAX);
    [&[flags][..], &transaction.to_le_bytes(), &message.to_le_bytes(), &length.to_le_bytes(), fields].concat()
}

/// The fields of a message by their types. Errors: they are cut off, or one comes twice.
fn read_fields(mut bytes: &[u8]) -> io::Result<HashMap<u8, Vec<u8>>> {
    let mut fields = HashMap::new();
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_at_checked(3).ok_or_else(|| strange("a field is cut off"))?;
        let (value, rest) =
            rest.split_at_checked(le16(&header[1..]).into()).ok_or_else(|| strange("a field is cut off"))?;
        if fields.insert(header[0], value.to_vec()).is_some() {
            return Err(strange(format!("field {:02X} twice", header[0])));
        }
        bytes = rest;
    }
    Ok(fields)
}

/// A field that must be there with this length.
fn take(fields: &HashMap<u8, Vec<u8>>, kind: u8, length: usize) -> io::Result<&[u8]> {
    match fields.get(&kind) {
        Some(value) if value.len() == length => Ok(value),
        value => Err(strange(format!("field {kind:02X} is {value:02X?}, not {length} bytes"))),
    }
}

fn only(fields: &HashMap<u8, Vec<u8>>, known: &[u8]) -> io::Result<()> {
    match fields.keys().find(|kind| !known.contains(kind)) {
        None => Ok(()),
        Some(kind) => Err(strange(format!("field {kind:02X} is not in the table"))),
    }
}

fn read_event(fields: &HashMap<u8, Vec<u8>>) -> io::Result<Event> {
    only(fields, &[0x01, 0x10, 0x12])?;
    let info = take(fields, 0x01, 8)?;
    let atr = match fields.get(&0x10).map(|value| value.split_first()) {
        None => None,
        Some(Some((length, atr))) if usize::from(*length) == atr.len() && (2..=32).contains(&atr.len()) => {
            Some(atr.to_vec())
        }
        Some(other) => return Err(strange(format!("an answer to reset of {other:02X?}"))),
    };
    let cause = if fields.contains_key(&0x12) { Some(le32(take(fields, 0x12, 4)?)) } else { None };
    let event = Event { number: le32(info), slot: le32(&info[4..]), atr, cause };
    let fits = match event.number {
        0 | 1 | 3 => event.atr.is_none() && event.cause.is_none(),
        2 | 5 => event.cause.is_none(),
        4 => event.atr.is_none() && event.cause.is_some_and(|cause| cause <= 4),
        _ => false,
    };
    if fits && (1..=3).contains(&event.slot) { Ok(event) } else { Err(strange(format!("{event:?}"))) }
}

fn read_part(fields: &HashMap<u8, Vec<u8>>) -> io::Result<Part> {
    only(fields, &[0x01, 0x02, 0x03, 0x10, 0x11])?;
    let status = le16(take(fields, 0x01, 2)?);
    let (slot, id) = (le32(take(fields, 0x02, 4)?), le32(take(fields, 0x03, 4)?));
    let place = match fields.contains_key(&0x10) {
        true => take(fields, 0x10, 8).map(|place| Some((le32(place), le32(&place[4..]))))?,
        false => None,
    };
    let bytes = match fields.get(&0x11) {
        None => Vec::new(),
        Some(value) if value.len() >= 2 && usize::from(le16(value)) == value.len() - 2 => value[2..].to_vec(),
        Some(value) => return Err(strange(format!("a segment of {value:02X?}"))),
    };
    Ok(Part { status, slot, id, place, bytes })
}

/// How messages reach the bridge.
enum Wire {
    Device(Device),
    Qrtr(Qrtr),
}

impl Wire {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Wire::Device(device) => device.send(message),
            Wire::Qrtr(qrtr) => qrtr.send(message),
        }
    }

    fn receive(&mut self, within: Duration) -> io::Result<Vec<u8>> {
        match self {
            Wire::Device(device) => device.receive(within),
            Wire::Qrtr(qrtr) => qrtr.receive(within),
        }
    }

    fn has_client(&self) -> bool {
        match self {
            Wire::Device(device) => device.client.is_some(),
            Wire::Qrtr(qrtr) => qrtr.client.is_some(),
        }
    }

    fn restart(&mut self) -> io::Result<()> {
        match self {
            Wire::Device(device) => {
                device.client = None;
                // SYNC as an indication: whoever has clients has none any more.
                device.write_qmux(0, 0, &[0x02, 0x00, 0x27, 0x00, 0x00, 0x00], None)
            }
            Wire::Qrtr(qrtr) => {
                *qrtr = Qrtr::register()?;
                Ok(())
            }
        }
    }
}

/// A pseudoterminal as a control device.
struct Device {
    master: OwnedFd,
    path: PathBuf,
    mbim: bool,
    is_open: bool,
    offered: bool,
    client: Option<u8>,
    last_client: u8,
    received: Vec<u8>,
    /// The fragments of an MBIM command that are there.
    command: Vec<u8>,
    /// The MBIM commands that brought QMI requests which are not answered yet, by service and QMI transaction.
    commands: HashMap<(u8, u16), u32>,
    recorded: Vec<String>,
}

/// QMI over MBIM.
const QMI_OVER_MBIM: [u8; 16] = *b"\xd1\xa3\x0b\xc2\xf9\x7a\x6e\x43\xbf\x65\xc7\xe2\x4f\xb0\xf0\xd3";
/// Longest MBIM message that this modem sends, in bytes.
const FRAGMENT: usize = 64;

impl Device {
    fn new(mbim: bool) -> io::Result<Device> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let mut settings = tcgetattr(&master)?;
        settings.make_raw();
        tcsetattr(&master, OptionalActions::Now, &settings)?;
        let path = PathBuf::from(OsStr::from_bytes(ptsname(&master, Vec::new())?.as_bytes()));
        Ok(Device {
            master,
            path,
            mbim,
            is_open: !mbim,
            offered: true,
            client: None,
            last_client: 0,
            received: Vec::new(),
            command: Vec::new(),
            commands: HashMap::new(),
            recorded: Vec::new(),
        })
    }

    /// A message of the service to its client.
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let client = self.client.ok_or(ErrorKind::NotConnected)?;
        let answers = match message {
            [0x02, rest @ ..] if rest.len() >= 2 => self.commands.remove(&(0x32, le16(rest))),
            _ => None,
        };
        self.write_qmux(0x32, client, message, answers)
    }

    /// The next message of the client; what it asks of the control service is answered on the way.
    fn receive(&mut self, within: Duration) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + within;
        loop {
            while let Some((frame, command)) = self.next_frame()? {
                let (service, client, message) = (frame[4], frame[5], &frame[6..]);
                if service == 0 {
                    self.control(message, command)?;
                } else if service == 0x32 && Some(client) == self.client {
                    if let (Some(command), true) = (command, message.len() >= 3) {
                        self.commands.insert((0x32, le16(&message[1..])), command);
                    }
                    return Ok(message.to_vec());
                }
            }
            self.fill(deadline)?;
        }
    }

    fn control(&mut self, request: &[u8], command: Option<u32>) -> io::Result<()> {
        if request.len() < 6 || request[0] != 0 {
            return Err(strange(format!("no control request: {request:02X?}")));
        }
        let fields = read_fields(&request[6..])?;
        let mut answer = field(0x02, &[0, 0, 0, 0]);
        match le16(&request[2..]) {
            0x0027 => self.client = None,
            0x0021 => {
                let mut services = vec![2, 0x00, 1, 0, 5, 0, 0x0B, 1, 0, 0, 0];
                if self.offered {
                    services[0] = 3;
                    services.extend([0x32, 1, 0, 0, 0]);
                }
                answer.extend(field(0x01, &services));
            }
            0x0022 if take(&fields, 0x01, 1)? == [0x32] && self.offered => {
                self.last_client = self.last_client % 250 + 1;
                self.client = Some(self.last_client);
                answer.extend(field(0x01, &[0x32, self.last_client]));
            }
            0x0023 => {
                let given = take(&fields, 0x01, 2)?;
                if given[0] != 0x32 || Some(given[1]) != self.client.take() {
                    return Err(strange("a client is given back that is not there"));
                }
                answer.extend(field(0x01, given));
            }
            other => return Err(strange(format!("control request {other:04X}"))),
        }
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let header = [&[0x01, request[1]][..], &request[2..4], &length.to_le_bytes()].concat();
        self.write_qmux(0, 0, &[header, answer].concat(), command)
    }

    /// The next frame, and the MBIM command that brought it.
    fn next_frame(&mut self) -> io::Result<Option<(Vec<u8>, Option<u32>)>> {
        if !self.mbim {
            let Some(length) = self.received.get(1..3).map(|length| usize::from(le16(length)) + 1) else {
                return Ok(None);
            };
            if self.received.len() < length {
                return Ok(None);
            }
            let frame: Vec<u8> = self.received.drain(..length).collect();
            self.record("host qmux", &frame);
            return check_frame(frame).map(|frame| Some((frame, None)));
        }
        while self.received.len() >= 12 {
            let length = le32(&self.received[4..]) as usize;
            if !(12..=4096).contains(&length) {
                return Err(strange("an MBIM message's length"));
            }
            if self.received.len() < length {
                return Ok(None);
            }
            let message: Vec<u8> = self.received.drain(..length).collect();
            self.record("host mbim", &message);
            let transaction = le32(&message[8..]);
            match (le32(&message), self.is_open) {
                (1, _) => {
                    self.is_open = true;
                    self.client = None;
                    self.write_mbim(0x8000_0001, transaction, &[0; 4])?;
                }
                (2, _) => {
                    self.is_open = false;
                    self.write_mbim(0x8000_0002, transaction, &[0; 4])?;
                }
                (3, true) if message.len() >= 20 => {
                    let (total, this) = (le32(&message[12..]), le32(&message[16..]));
                    if this == 0 {
                        self.command.clear();
                    }
                    self.command.extend(&message[20..]);
                    if this + 1 == total {
                        let command = std::mem::take(&mut self.command);
                        let frame = read_command(&command)?;
                        return check_frame(frame).map(|frame| Some((frame, Some(transaction))));
                    }
                }
                (other, open) => return Err(strange(format!("MBIM message {other}, open: {open}"))),
            }
        }
        Ok(None)
    }

    /// A QMUX frame to the bridge; over MBIM as the answer to a command, or as an indication.
    fn write_qmux(&mut self, service: u8, client: u8, message: &[u8], answers: Option<u32>) -> io::Result<()> {
        let length = u16::try_from(message.len() + 5).map_err(io::Error::other)?.to_le_bytes();
        let frame = [&[0x01, length[0], length[1], 0x80, service, client][..], message].concat();
        self.record("modem qmux", &frame);
        if !self.mbim {
            return self.write(&frame);
        }
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?.to_le_bytes();
        let (kind, transaction, status) = match answers {
            Some(transaction) => (0x8000_0003, transaction, &[0; 4][..]),
            None => (0x8000_0007, 0, &[][..]),
        };
        let content = [&QMI_OVER_MBIM[..], &1u32.to_le_bytes(), status, &length, &frame].concat();
        let parts = content.chunks(FRAGMENT - 20);
        let total = u32::try_from(parts.len()).map_err(io::Error::other)?.to_le_bytes();
        for (this, part) in (0u32..).zip(parts) {
            self.write_mbim(kind, transaction, &[&total[..], &this.to_le_bytes(), part].concat())?;
        }
        Ok(())
    }

    fn write_mbim(&mut self, kind: u32, transaction: u32, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len() + 12).map_err(io::Error::other)?;
        self.write(&[&kind.to_le_bytes()[..], &length.to_le_bytes(), &transaction.to_le_bytes(), content].concat())
    }

    fn record(&mut self, what: &str, bytes: &[u8]) {
        let bytes: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.recorded.push(format!("{what} {bytes}"));
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[rustix::io::write(&self.master, bytes)?..];
        }
        Ok(())
    }

    /// Reads what is there, once there is something. Errors: nothing came in time.
    fn fill(&mut self, deadline: Instant) -> io::Result<()> {
        loop {
            if wait(&self.master, deadline)? {
                let mut chunk = [0; 4096];
                match rustix::io::read(&self.master, &mut chunk) {
                    Ok(length) if length > 0 => {
                        self.received.extend(&chunk[..length]);
                        return Ok(());
                    }
                    // Nobody has the device open now.
                    Ok(_) | Err(rustix::io::Errno::IO) => sleep(POLL),
                    Err(error) => return Err(error.into()),
                }
            }
            if Instant::now() >= deadline {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

fn read_command(content: &[u8]) -> io::Result<Vec<u8>> {
    let fits = content.len() >= 28 && content[..16] == QMI_OVER_MBIM && le32(&content[16..]) == 1;
    if !fits || le32(&content[20..]) != 1 || le32(&content[24..]) as usize != content.len() - 28 {
        return Err(strange(format!("no QMI over MBIM: {content:02X?}")));
    }
    Ok(content[28..].to_vec())
}

fn check_frame(frame: Vec<u8>) -> io::Result<Vec<u8>> {
    let whole = frame.len() >= 6 && usize::from(le16(&frame[1..])) + 1 == frame.len();
    if whole && frame[0] == 0x01 && frame[3] == 0x00 {
        return Ok(frame);
    }
    Err(strange(format!("no QMUX frame: {frame:02X?}")))
}

/// Whether there is something to read before the deadline.
fn wait(fd: &impl std::os::fd::AsFd, deadline: Instant) -> io::Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let limit = Timespec::try_from(left).map_err(io::Error::other)?;
    Ok(poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&limit))? > 0)
}

/// The service on the QRTR node of this machine.
struct Qrtr {
    socket: Socket,
    client: Option<Address>,
}

impl Qrtr {
    fn register() -> io::Result<Qrtr> {
        let socket = Socket::new()?;
        let node = socket.address()?.node;
        // NEW_SERVER, service 50, version 1 of instance 0. Node and port are those of the sender.
        let packet = [4u32, 50, 1, 0, 0].map(u32::to_le_bytes).concat();
        socket.send(&packet, Address { node, port: 0xFFFF_FFFE })?;
        Ok(Qrtr { socket, client: None })
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let client = self.client.ok_or(ErrorKind::NotConnected)?;
        Ok(self.socket.send(message, client)?)
    }

    fn receive(&mut self, within: Duration) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + within;
        let mut buffer = [0; 4096];
        loop {
            if !wait(&self.socket, deadline)? {
                return Err(ErrorKind::TimedOut.into());
            }
            match self.socket.receive(&mut buffer) {
                // DEL_CLIENT: the client has closed its socket.
                Ok((20, from)) if from.port == 0xFFFF_FFFE => {
                    let gone = Address { node: le32(&buffer[4..]), port: le32(&buffer[8..]) };
                    if le32(&buffer) == 6 && self.client == Some(gone) {
                        self.client = None;
                        return Err(ErrorKind::ConnectionReset.into());
                    }
                }
                Ok((length, from)) if from.port != 0xFFFF_FFFE => {
                    self.client = Some(from);
                    return Ok(buffer[..length].to_vec());
                }
                Ok(_) | Err(rustix::io::Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
