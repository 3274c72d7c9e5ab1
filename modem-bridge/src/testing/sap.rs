//! The client's side of SAP.

use super::{ModemSide, Transport};
use crate::sap::codec::{Id, Message, Messages, ParameterId};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long the server may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// What is offered as MaxMsgSize.
const MAX_MESSAGE: [u8; 2] = 300u16.to_be_bytes();

/// StatusChange.
const RESET: u8 = 1;
const NOT_ACCESSIBLE: u8 = 2;
const REMOVED: u8 = 3;
const INSERTED: u8 = 4;
const RECOVERED: u8 = 5;

const OK: u8 = 0;
const GRACEFUL: u8 = 0;

/// A SAP client over TCP.
pub struct SapClient {
    stream: TcpStream,
    messages: Messages,
    /// Indications that came while something else was waited for.
    indications: VecDeque<(Id, u8)>,
    connected: bool,
}

impl SapClient {
    /// A client that has not connected at the level of SAP yet. Errors: the system's.
    pub fn new(stream: TcpStream) -> io::Result<SapClient> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(SapClient { stream, messages: Messages::default(), indications: VecDeque::new(), connected: false })
    }

    fn send(&mut self, message: &Message) -> io::Result<()> {
        self.stream.write_all(&message.encode(false).ok_or(ErrorKind::InvalidInput)?)
    }

    /// The next message of these, indications put aside. Errors: it is another one.
    fn response(&mut self, id: Id) -> io::Result<Message> {
        loop {
            let message = self.receive()?;
            match (message.id, indication(&message)) {
                (got, _) if got == id => return Ok(message),
                (_, Some(indication)) => self.indications.push_back(indication),
                _ => return Err(io::Error::other(format!("the server sent {message:?}, not {id:?}"))),
            }
        }
    }

    fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.messages.next_message().map_err(io::Error::other)? {
                return Ok(message);
            }
            let mut chunk = [0; 4096];
            let length = self.stream.read(&mut chunk)?;
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.messages.push(&chunk[..length]);
        }
    }

    /// Waits for a STATUS_IND.
    fn await_status(&mut self, change: u8, within: Duration) -> io::Result<()> {
        self.await_indication((Id::StatusInd, change), within)
    }

    /// Waits for an indication. Errors: another one came, or none in time.
    fn await_indication(&mut self, wanted: (Id, u8), within: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(within))?;
        let got = match self.indications.pop_front() {
            Some(got) => Ok(got),
            None => self.receive().map(|message| indication(&message).unwrap_or((message.id, 0))),
        };
        self.stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        match got? {
            got if got == wanted => Ok(()),
            got => Err(io::Error::other(format!("the server sent {got:?}, not {wanted:?}"))),
        }
    }

    fn ask(&mut self, request: Id, response: Id) -> io::Result<Message> {
        self.send(&Message::new(request))?;
        self.accepted(response)
    }

    /// A response that says that all went well. Errors: it says otherwise.
    fn accepted(&mut self, id: Id) -> io::Result<Message> {
        let response = self.response(id)?;
        match response.parameter_byte(ParameterId::ResultCode) {
            Some(OK) => Ok(response),
            result => Err(io::Error::other(format!("{id:?} has the result {result:?}"))),
        }
    }

    fn atr(&mut self) -> io::Result<Vec<u8>> {
        let response = self.ask(Id::TransferAtrReq, Id::TransferAtrResp)?;
        response.parameter(ParameterId::Atr).map(<[u8]>::to_vec).ok_or_else(|| io::Error::other("no ATR"))
    }
}

fn indication(message: &Message) -> Option<(Id, u8)> {
    let parameter = match message.id {
        Id::StatusInd => ParameterId::StatusChange,
        Id::DisconnectInd => ParameterId::DisconnectionType,
        _ => return None,
    };
    Some((message.id, message.parameter_byte(parameter)?))
}

impl Transport for SapClient {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.ask(Id::PowerSimOffReq, Id::PowerSimOffResp)?;
        self.ask(Id::PowerSimOnReq, Id::PowerSimOnResp)?;
        self.atr()
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        self.ask(Id::ResetSimReq, Id::ResetSimResp)?;
        self.atr()
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        self.send(&Message::new(Id::TransferApduReq).bytes(ParameterId::CommandApdu, tpdu.to_vec()))?;
        let response = self.accepted(Id::TransferApduResp)?;
        response.parameter(ParameterId::ResponseApdu).map(<[u8]>::to_vec).ok_or_else(|| io::Error::other("no answer"))
    }
}

impl ModemSide for SapClient {
    fn await_removal(&mut self, within: Duration) -> io::Result<()> {
        self.await_status(REMOVED, within)
    }

    fn await_card(&mut self, within: Duration) -> io::Result<()> {
        if self.connected {
            return self.await_status(INSERTED, within);
        }
        let start = Instant::now();
        loop {
            self.send(&Message::new(Id::ConnectReq).bytes(ParameterId::MaxMsgSize, MAX_MESSAGE.to_vec()))?;
            let status = self.response(Id::ConnectResp)?.parameter_byte(ParameterId::ConnectionStatus);
            if status == Some(OK) {
                self.connected = true;
                return self.await_status(RESET, within);
            }
            if start.elapsed() > within {
                return Err(io::Error::other(format!("CONNECT_RESP says {status:?}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn await_loss(&mut self, within: Duration) -> io::Result<()> {
        self.await_status(NOT_ACCESSIBLE, within)
    }

    fn await_return(&mut self, within: Duration) -> io::Result<()> {
        self.await_status(RECOVERED, within)
    }

    fn part(&mut self) -> io::Result<()> {
        self.await_indication((Id::DisconnectInd, GRACEFUL), ANSWER_TIMEOUT)?;
        self.send(&Message::new(Id::DisconnectReq))?;
        self.response(Id::DisconnectResp)?;
        self.connected = false;
        Ok(())
    }
}
