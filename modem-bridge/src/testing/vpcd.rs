//! The reader's side of vpcd: what pcscd's driver does.

use super::{ModemSide, Transport};
use crate::vpcd::codec::{LENGTH_BYTES, control, encode};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the card may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between looks at what cannot be waited for.
const POLL: Duration = Duration::from_millis(2);

/// A virtual reader that listens on a loopback port of its own, with at most one card.
pub struct VpcdHost {
    /// Where a card connects to, if it is the one that connects.
    listener: Option<TcpListener>,
    card: Option<TcpStream>,
}

impl VpcdHost {
    /// A reader without a card. Errors: the system's.
    pub fn bind() -> io::Result<VpcdHost> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(VpcdHost { listener: Some(listener), card: None })
    }

    /// A reader that has connected to a card. Errors: the system's.
    pub fn connected(card: TcpStream) -> io::Result<VpcdHost> {
        card.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(VpcdHost { listener: None, card: Some(card) })
    }

    /// Where the card is to connect to.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.as_ref().ok_or(ErrorKind::NotConnected)?.local_addr()
    }

    /// Takes the power from the card.
    pub fn power_off(&mut self) -> io::Result<()> {
        self.send(&[control::OFF])
    }

    /// Gives the card power.
    pub fn power_on(&mut self) -> io::Result<()> {
        self.send(&[control::ON])
    }

    /// The answer to reset.
    pub fn atr(&mut self) -> io::Result<Vec<u8>> {
        self.send(&[control::GET_ATR])?;
        self.receive()
    }

    /// Sends the payload of one frame, whatever it is; its length and itself in two writes and with Nagle's algorithm
    /// on, as pcscd's driver does.
    pub fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let frame = encode(payload).ok_or(ErrorKind::InvalidInput)?;
        let (length, payload) = frame.split_at(LENGTH_BYTES);
        let card = self.card()?;
        card.write_all(length)?;
        card.write_all(payload)
    }

    /// Sends bytes, whatever they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.card()?.write_all(bytes)
    }

    /// Drops the connection to the card.
    pub fn eject(&mut self) {
        self.card = None;
    }

    /// The payload of the card's next frame.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let card = self.card()?;
        let mut length = [0; 2];
        card.read_exact(&mut length)?;
        let mut payload = vec![0; usize::from(u16::from_be_bytes(length))];
        card.read_exact(&mut payload)?;
        Ok(payload)
    }

    fn card(&mut self) -> io::Result<&mut TcpStream> {
        self.card.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

impl Transport for VpcdHost {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.power_off()?;
        self.power_on()?;
        self.atr()
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        self.send(&[control::RESET])?;
        self.atr()
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        self.send(tpdu)?;
        self.receive()
    }
}

impl ModemSide for VpcdHost {
    fn await_card(&mut self, within: Duration) -> io::Result<()> {
        let start = Instant::now();
        loop {
            match self.listener.as_ref().ok_or(ErrorKind::NotConnected)?.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                    self.card = Some(stream);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < within => sleep(POLL),
                Err(error) => return Err(error),
            }
        }
    }

    fn await_removal(&mut self, within: Duration) -> io::Result<()> {
        let card = self.card()?;
        card.set_read_timeout(Some(within))?;
        let read = card.read(&mut [0]);
        card.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        match read {
            Ok(0) => {}
            Ok(_) => return Err(io::Error::other("the card sent something unasked")),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => return Err(error),
        }
        self.card = None;
        Ok(())
    }
}
