//! Where a peer is: listening, and lines that are just there. None of the protocols here knows who is at the other end,
//! so that only the place of the socket says who may have the card.

use crate::status::{Patience, Retry};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fmt;
use std::fs::OpenOptions;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;
use teuicc_slot::socket::PrivateListener;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, join};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Where a peer connects to, or the line that it is at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum Endpoint {
    /// A TCP address to listen on, `HOST:PORT`: `tcp:127.0.0.1:9990`.
    Tcp(String),
    /// A Unix stream socket to listen on, for the same user and root: `unix:/run/teuicc/sap`.
    Unix(PathBuf),
    /// A serial line, 8N1 without flow control: `serial:/dev/ttyUSB2` or `serial:/dev/ttyUSB2,921600`.
    Serial(PathBuf, u32),
}

/// What modules come with.
const DEFAULT_SPEED: u32 = 115_200;

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("{text:?} is none of tcp:HOST:PORT, unix:PATH and serial:PATH[,SPEED]");
        match text.split_once(':') {
            Some(("tcp", address)) if address.contains(':') => Ok(Endpoint::Tcp(address.into())),
            Some(("unix", path)) if !path.is_empty() => Ok(Endpoint::Unix(path.into())),
            Some(("serial", line)) if !line.is_empty() => match line.rsplit_once(',') {
                None => Ok(Endpoint::Serial(line.into(), DEFAULT_SPEED)),
                Some((path, speed)) => {
                    let speed = speed.parse().map_err(|_| format!("{speed:?} is no speed of a serial line"))?;
                    Ok(Endpoint::Serial(path.into(), speed))
                }
            },
            _ => Err(usage()),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => write!(f, "tcp:{address}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
            Endpoint::Serial(path, speed) => write!(f, "serial:{},{speed}", path.display()),
        }
    }
}

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An endpoint that is open: peers come from it one at a time.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(PrivateListener),
    Serial(PathBuf, u32),
}

impl Listener {
    /// Listens. Errors: the system's; they name the endpoint.
    pub(crate) async fn bind(endpoint: &Endpoint) -> io::Result<Listener> {
        match endpoint {
            Endpoint::Tcp(address) => Ok(Listener::Tcp(listen(address).await?)),
            Endpoint::Unix(path) => {
                Ok(Listener::Unix(PrivateListener::bind(path).map_err(|error| io::Error::other(error.to_string()))?))
            }
            Endpoint::Serial(path, speed) => {
                // Opened for each peer; a first time here, so that a wrong name is told at the start.
                drop(open_serial(path, *speed).map_err(|error| named(error, endpoint))?);
                Ok(Listener::Serial(path.clone(), *speed))
            }
        }
    }

    /// Where a TCP socket listens.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) | Listener::Serial(..) => None,
        }
    }

    /// Whether more than one peer can come.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Listener::Serial(..))
    }

    /// The next peer. A serial line is always there. Errors: the system's; a later call may succeed.
    pub(crate) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Listener::Tcp(listener) => Ok(Box::new(no_delay(listener.accept().await?.0)?)),
            Listener::Unix(listener) => Ok(Box::new(listener.accept().await?)),
            Listener::Serial(path, speed) => {
                let line = open_serial(path, *speed)?;
                let reader = pipe::Receiver::from_owned_fd_unchecked(line.try_clone()?)?;
                let writer = pipe::Sender::from_owned_fd_unchecked(line)?;
                Ok(Box::new(join(reader, writer)))
            }
        }
    }
}

/// Clients of an endpoint, one after another.
pub(crate) struct Clients {
    listener: Listener,
    retry: Retry,
    /// Whether to wait before the next one: a line that is gone is not there again at once.
    waits: bool,
}

impl Clients {
    pub(crate) fn new(listener: Listener, patience: Patience) -> Self {
        Clients { listener, retry: Retry::new(patience), waits: false }
    }

    /// The next client. `None`: `shutdown` is ready.
    pub(crate) async fn next<F: Future<Output = ()>>(&mut self, mut shutdown: Pin<&mut F>) -> Option<Box<dyn Stream>> {
        loop {
            if self.waits {
                tokio::select! {
                    () = &mut shutdown => return None,
                    () = self.retry.wait() => {}
                }
            }
            tokio::select! {
                biased;
                () = &mut shutdown => return None,
                accepted = self.listener.accept() => match accepted {
                    Ok(stream) => {
                        self.waits = !self.listener.is_shared();
                        return Some(stream);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no client");
                        self.waits = true;
                    }
                },
            }
        }
    }

    /// The last client was one.
    pub(crate) fn served(&mut self) {
        self.retry.reset();
    }

    /// Whether there may be other clients than the one that is served.
    pub(crate) fn is_shared(&self) -> bool {
        self.listener.is_shared()
    }

    /// Turns another client away, which is not to wait for an answer that does not come. Waits for one to come.
    pub(crate) async fn turn_away(&self) {
        if !self.is_shared() {
            return std::future::pending().await;
        }
        match self.listener.accept().await {
            Ok(_) => tracing::warn!("a second client was turned away: the card is in use"),
            Err(error) => {
                tracing::debug!(%error, "a second client could not be turned away");
                sleep(TURNED_AWAY).await;
            }
        }
    }
}

/// Time between attempts when the system has no room for another connection.
const TURNED_AWAY: Duration = Duration::from_millis(200);

/// Waits until then; for ever, if there is no then.
pub(crate) async fn at(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Listens on a TCP address, and warns if that is not this machine alone.
pub(crate) async fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|error| named(error, address))?;
    if !listener.local_addr()?.ip().is_loopback() {
        tracing::warn!(
            address,
            "anybody who reaches this address can use the card: the protocol has no authentication. \
             Listen on loopback, and let SSH or a TLS tunnel bring remote peers"
        );
    }
    Ok(listener)
}

/// How long a peer may take to accept a message before it counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes one message at once. Errors: why the peer counts as gone.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> Result<(), String> {
    let written = timeout(WRITE_TIMEOUT, async {
        stream.write_all(message).await?;
        stream.flush().await
    });
    match written.await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err("it does not read what it is sent".into()),
    }
}

fn named(error: io::Error, what: impl fmt::Display) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Small messages are not to wait for each other.
pub(crate) fn no_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A serial line for raw bytes, not blocking.
fn open_serial(path: &std::path::Path, speed: u32) -> io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let line: OwnedFd = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?.into();
    let mut settings: Termios = tcgetattr(&line)?;
    settings.make_raw();
    settings.set_speed(speed)?;
    settings.control_modes |= rustix::termios::ControlModes::CLOCAL | rustix::termios::ControlModes::CREAD;
    tcsetattr(&line, OptionalActions::Now, &settings)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_written_as_they_are_read() {
        for text in ["tcp:127.0.0.1:9990", "tcp:[::1]:9990", "unix:/tmp/sap", "serial:/dev/ttyS0,9600"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("serial:/dev/ttyS0".parse(), Ok(Endpoint::Serial("/dev/ttyS0".into(), 115_200)));
        for text in ["", "tcp:", "tcp:9990", "unix:", "serial:", "serial:/dev/ttyS0,fast", "/dev/ttyS0", "udp:a:1"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
