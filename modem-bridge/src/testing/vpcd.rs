//! The reader's side of vpcd: what pcscd's driver does.

use super::Transport;
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
    listener: TcpListener,
    card: Option<TcpStream>,
}

impl VpcdHost {
    /// A reader without a card. Errors: the system's.
    pub fn bind() -> io::Result<VpcdHost> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(VpcdHost { listener, card: None })
    }

    /// Where the card is to connect to.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits until a card is put in. Errors: none came in time.
    pub fn await_card(&mut self, within: Duration) -> io::Result<()> {
        let start = Instant::now();
        loop {
            match self.listener.accept() {
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

    /// Waits until the card is taken out. Errors: it was not, or it sent something instead.
    pub fn await_removal(&mut self, within: Duration) -> io::Result<()> {
        let Some(mut card) = self.card.take() else { return Ok(()) };
        card.set_read_timeout(Some(within))?;
        match card.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(io::Error::other("the card sent something unasked")),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error),
        }
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
