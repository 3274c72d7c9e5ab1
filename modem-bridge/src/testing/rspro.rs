//! The other sides of RSPRO: a remsim-server with one mapping, and a client at a modem.

use super::{ModemSide, Transport};
use crate::rspro::Config;
use crate::rspro::ipa::{self, Ipa, Received};
use crate::rspro::pdu::{Component, Identity, Message, Pdu, PhysicalStatus, ResultCode, SlotId, Tpdu};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// How long the bank may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between attempts of a client to get a card.
const POLL: Duration = Duration::from_millis(20);

/// The number of the bank.
const BANK: u16 = 1;
/// The number of the client.
const CLIENT: u16 = 7;

fn client_id(slot: u16) -> SlotId {
    SlotId { id: CLIENT, slot }
}

fn bank_id(slot: u16) -> SlotId {
    SlotId { id: BANK, slot }
}

/// A server with a mapping, and a client that has, or waits for, the card.
pub struct RemSim {
    listener: TcpListener,
    server: Option<Link>,
    bank: Option<SocketAddr>,
    client: Option<RemSimClient>,
}

impl RemSim {
    /// A server on a loopback port of its own, and what a bank needs to know. Errors: the system's.
    pub fn new() -> io::Result<(RemSim, Config)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let config = Config {
            server: listener.local_addr()?.to_string(),
            listen: "127.0.0.1:0".into(),
            bank_id: BANK,
            ..Config::default()
        };
        Ok((RemSim { listener, server: None, bank: None, client: None }, config))
    }

    /// Takes the bank that connects to the server, and maps its slot 0 to a client. `bank`: where clients reach it.
    /// Errors: the bank does not do what it should.
    pub fn register(&mut self, bank: SocketAddr) -> io::Result<()> {
        let mut server = Link::new(self.listener.accept()?.0)?;
        match server.receive()?.message {
            Message::ConnectBankReq { bank: BANK, slots: 1.., .. } => {}
            other => return Err(unexpected(&other)),
        }
        server.send(Message::ConnectBankRes { identity: identity(Component::Server), result: ResultCode::OK })?;
        (self.server, self.bank) = (Some(server), Some(bank));
        self.map_slot(0, true)
    }

    /// Takes the mapping of slot 0 away, or gives it back. Errors: the bank does not do what it should.
    pub fn map(&mut self, mapped: bool) -> io::Result<()> {
        self.map_slot(0, mapped)
    }

    /// A client that has the card of slot 0. Errors: it does not get it in time.
    pub fn client(&mut self, within: Duration) -> io::Result<RemSimClient> {
        RemSimClient::connect(self.bank.ok_or(ErrorKind::NotConnected)?, 0, within)
    }

    /// A client that has the card of another slot. Errors: it does not get it in time.
    pub fn client_of_slot(&mut self, slot: u16, within: Duration) -> io::Result<RemSimClient> {
        self.map_slot(slot, true)?;
        RemSimClient::connect(self.bank.ok_or(ErrorKind::NotConnected)?, slot, within)
    }

    fn map_slot(&mut self, slot: u16, mapped: bool) -> io::Result<()> {
        let server = self.server.as_mut().ok_or(ErrorKind::NotConnected)?;
        let (client, bank) = (client_id(slot), bank_id(slot));
        let (request, answer) = if mapped {
            (Message::CreateMappingReq { client, bank }, Message::CreateMappingRes(ResultCode::OK))
        } else {
            (Message::RemoveMappingReq { client, bank }, Message::RemoveMappingRes(ResultCode::OK))
        };
        server.send(request)?;
        match server.receive()?.message {
            got if got == answer => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn has(&mut self) -> io::Result<&mut RemSimClient> {
        self.client.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

impl Transport for RemSim {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.has()?.cold_reset()
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        self.has()?.warm_reset()
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        self.has()?.tpdu(tpdu)
    }
}

impl ModemSide for RemSim {
    fn await_removal(&mut self, within: Duration) -> io::Result<()> {
        self.client.as_mut().map_or(Ok(()), |client| client.await_removal(within))
    }

    fn await_card(&mut self, within: Duration) -> io::Result<()> {
        self.client = Some(self.client(within)?);
        Ok(())
    }
}

/// A client of a bank, which has a card.
pub struct RemSimClient {
    bank: SocketAddr,
    slot: u16,
    link: Link,
    atr: Vec<u8>,
}

impl RemSimClient {
    fn connect(bank: SocketAddr, slot: u16, within: Duration) -> io::Result<RemSimClient> {
        let start = Instant::now();
        loop {
            match RemSimClient::try_connect(bank, slot)? {
                Some(client) => return Ok(client),
                None if start.elapsed() > within => return Err(ErrorKind::TimedOut.into()),
                None => std::thread::sleep(POLL),
            }
        }
    }

    /// One attempt to get the card. `None`: the bank has none for this client.
    fn try_connect(bank: SocketAddr, slot: u16) -> io::Result<Option<RemSimClient>> {
        let mut link = Link::new(TcpStream::connect(bank)?)?;
        let hello = Message::ConnectClientReq { identity: identity(Component::Client), client: Some(client_id(slot)) };
        link.send(hello)?;
        match link.receive()?.message {
            Message::ConnectClientRes { result: ResultCode::OK, .. } => {}
            Message::ConnectClientRes { .. } => return Ok(None),
            other => return Err(unexpected(&other)),
        }
        let atr = match link.receive()?.message {
            Message::SetAtrReq { client, atr } if client == client_id(slot) => atr,
            other => return Err(unexpected(&other)),
        };
        link.send(Message::SetAtrRes(ResultCode::OK))?;
        Ok(Some(RemSimClient { bank, slot, link, atr }))
    }

    fn contacts(&mut self, vcc: bool, reset: bool) -> io::Result<()> {
        let status = PhysicalStatus { reset, vcc: Some(vcc), clk: Some(vcc), card_present: Some(true) };
        let (client, bank) = (client_id(self.slot), bank_id(self.slot));
        self.link.send(Message::ClientSlotStatusInd { client, bank, status })
    }
}

impl Transport for RemSimClient {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.contacts(true, false)?;
        self.contacts(false, true)?;
        self.contacts(true, true)?;
        self.contacts(true, false)?;
        Ok(self.atr.clone())
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        self.contacts(true, true)?;
        self.contacts(true, false)?;
        Ok(self.atr.clone())
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        let (client, bank) = (client_id(self.slot), bank_id(self.slot));
        self.link.send(Message::TpduModemToCard(Tpdu { from: client, to: bank, data: tpdu.to_vec() }))?;
        match self.link.receive()?.message {
            Message::TpduCardToModem(Tpdu { from, to, data }) if (from, to) == (bank, client) => Ok(data),
            other => Err(unexpected(&other)),
        }
    }
}

impl ModemSide for RemSimClient {
    fn await_removal(&mut self, within: Duration) -> io::Result<()> {
        self.link.stream.set_read_timeout(Some(within))?;
        let received = self.link.receive();
        self.link.stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        match received {
            Ok(pdu) => Err(unexpected(&pdu.message)),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn await_card(&mut self, within: Duration) -> io::Result<()> {
        *self = RemSimClient::connect(self.bank, self.slot, within)?;
        Ok(())
    }
}

/// One IPA connection.
struct Link {
    stream: TcpStream,
    ipa: Ipa,
    came: VecDeque<Pdu>,
}

impl Link {
    fn new(stream: TcpStream) -> io::Result<Link> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Link { stream, ipa: Ipa::new(Instant::now(), "test"), came: VecDeque::new() })
    }

    fn send(&mut self, message: Message) -> io::Result<()> {
        let message = Pdu::new(0, message).encode().map_err(io::Error::other)?;
        self.stream.write_all(&ipa::encode(&message).ok_or(ErrorKind::InvalidInput)?)
    }

    fn receive(&mut self) -> io::Result<Pdu> {
        loop {
            if let Some(pdu) = self.came.pop_front() {
                return Ok(pdu);
            }
            let mut chunk = [0; 4096];
            let length = self.stream.read(&mut chunk)?;
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.ipa.push(Instant::now(), &chunk[..length]);
            while let Some(received) = self.ipa.next_received().map_err(io::Error::other)? {
                match received {
                    Received::Answer(frame) => self.stream.write_all(&frame)?,
                    Received::Rspro(message) => self.came.push_back(Pdu::decode(&message).map_err(io::Error::other)?),
                }
            }
        }
    }
}

fn identity(component: Component) -> Identity {
    Identity { component, name: "test".into(), software: "teuicc".into(), version: "1".into() }
}

fn unexpected(message: &Message) -> io::Error {
    io::Error::other(format!("the bank sent {message:?}"))
}
