//! Where a peer is: listening, and lines that are just there. None of the protocols here knows who is at the other end,
//! so that only the place of the socket says who may have the card.

use crate::client::Outgoing;
use crate::status::{BridgeError, Patience, Retry, Status};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::termios::{ControlModes, InputModes, OptionalActions, Termios};
use rustix::termios::{ioctl_tiocexcl, ioctl_tiocnxcl, tcgetattr, tcsetattr};
use std::fmt;
use std::fs::OpenOptions;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;
use teuicc_slot::socket::PrivateListener;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
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

/// Bytes both ways, as one.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Bytes both ways, to be read and written at the same time.
pub(crate) struct Peer {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Of a serial line; dropped last.
    _exclusive: Option<Exclusive>,
}

impl Peer {
    pub(crate) fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Peer {
        Peer { reader: Box::new(reader), writer: Box::new(writer), _exclusive: None }
    }
}

/// An endpoint that is open: peers come from it one at a time.
enum Listener {
    Tcp(TcpListener),
    Unix(PrivateListener),
    Serial(PathBuf, u32),
}

impl Listener {
    /// Listens. Errors: the system's; they name the endpoint.
    async fn bind(endpoint: &Endpoint) -> io::Result<Listener> {
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
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) | Listener::Serial(..) => None,
        }
    }

    /// Whether more than one peer can come.
    fn is_shared(&self) -> bool {
        !matches!(self, Listener::Serial(..))
    }

    /// The next peer. A serial line is always there. Errors: the system's; a later call may succeed.
    async fn accept(&self) -> io::Result<Peer> {
        match self {
            Listener::Tcp(listener) => {
                let (reader, writer) = keep_alive(no_delay(listener.accept().await?.0)?)?.into_split();
                Ok(Peer::new(reader, writer))
            }
            Listener::Unix(listener) => {
                let (reader, writer) = listener.accept().await?.into_split();
                Ok(Peer::new(reader, writer))
            }
            Listener::Serial(path, speed) => {
                let line = open_serial(path, *speed)?;
                let reader = pipe::Receiver::from_owned_fd_unchecked(line.0.try_clone()?)?;
                let writer = pipe::Sender::from_owned_fd_unchecked(line.0.try_clone()?)?;
                Ok(Peer { _exclusive: Some(line), ..Peer::new(reader, writer) })
            }
        }
    }
}

/// Clients of an endpoint, one after another.
pub(crate) struct Clients {
    listener: Listener,
    /// One that came while another was served.
    waiting: Option<Peer>,
    retry: Retry,
    /// Whether to wait before the next one: a line that is gone is not there again at once.
    waits: bool,
    /// Whether somebody was turned away since the last client came, and that was logged.
    turned_away: bool,
    /// Nobody is turned away before.
    refuse_from: Option<Instant>,
}

impl Clients {
    /// Listens for clients, and says where in `status`. The endpoint, as it came to be. Errors: it cannot be had.
    pub(crate) async fn listen(
        endpoint: &Endpoint,
        patience: Patience,
        status: &Status,
    ) -> Result<(Clients, Endpoint), BridgeError> {
        let listener = Listener::bind(endpoint).await.map_err(BridgeError::listen)?;
        let endpoint = match listener.address() {
            Some(address) => {
                status.set_address(address);
                Endpoint::Tcp(address.to_string())
            }
            None => endpoint.clone(),
        };
        Ok((Clients::new(listener, patience), endpoint))
    }

    fn new(listener: Listener, patience: Patience) -> Self {
        let retry = Retry::new(patience);
        Clients { listener, waiting: None, retry, waits: false, turned_away: false, refuse_from: None }
    }

    /// The next client. `None`: `shutdown` is ready.
    pub(crate) async fn next<F: Future<Output = ()>>(&mut self, mut shutdown: Pin<&mut F>) -> Option<Peer> {
        if let Some(peer) = self.waiting.take() {
            self.turned_away = false;
            return Some(peer);
        }
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
                    Ok(peer) => {
                        self.waits = !self.listener.is_shared();
                        self.turned_away = false;
                        return Some(peer);
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

    /// Waits for another client, which [`Clients::next`] then gives.
    pub(crate) async fn another(&mut self) {
        if !self.is_shared() {
            return std::future::pending().await;
        }
        while self.waiting.is_none() {
            match self.listener.accept().await {
                Ok(peer) => self.waiting = Some(peer),
                Err(error) => {
                    tracing::debug!(%error, "another client did not come");
                    sleep(REFUSAL).await;
                }
            }
        }
    }

    /// Turns another client away, with a last word, rather than to let it wait for an answer that does not come. Waits
    /// for one to come. A crowd is turned away slowly: it is not to take the time of the client that is served.
    pub(crate) async fn turn_away(&mut self, refusal: impl Fn() -> Option<Outgoing>) {
        if !self.is_shared() {
            return std::future::pending().await;
        }
        if let Some(then) = self.refuse_from {
            sleep_until(then).await;
        }
        let accepted = self.listener.accept().await;
        self.refuse_from = Some(Instant::now() + REFUSAL);
        match accepted {
            Ok(mut peer) => {
                if !std::mem::replace(&mut self.turned_away, true) {
                    tracing::warn!("another client was turned away: the card is in use");
                }
                let refusal = refusal();
                // It may take its time.
                tokio::spawn(timeout(REFUSED, async move {
                    if let Some(refusal) = refusal {
                        peer.writer.write_all(&refusal.bytes).await?;
                    }
                    peer.writer.shutdown().await?;
                    // To close before it was read would take the last word back.
                    tokio::io::copy(&mut peer.reader, &mut tokio::io::sink()).await
                }));
            }
            Err(error) => tracing::debug!(%error, "another client could not be turned away"),
        }
    }
}

/// Time between clients that are turned away, and between attempts when the system has no room for another connection.
const REFUSAL: Duration = Duration::from_millis(200);
/// How long a client that is turned away may take to read why.
const REFUSED: Duration = Duration::from_secs(1);

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
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

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

/// When nothing has come for so long, the system asks whether the peer is still there,
const SILENCE: Duration = Duration::from_secs(60);
/// and asks again after so long,
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// so often.
const QUESTIONS: u32 = 3;

/// A peer that is gone without a word is found out after a while, although nothing is sent to it.
fn keep_alive(stream: TcpStream) -> io::Result<TcpStream> {
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, SILENCE)?;
    sockopt::set_tcp_keepintvl(&stream, ASK_AGAIN)?;
    sockopt::set_tcp_keepcnt(&stream, QUESTIONS)?;
    Ok(stream)
}

/// A serial line that no other program opens meanwhile.
struct Exclusive(OwnedFd);

impl Drop for Exclusive {
    fn drop(&mut self) {
        // Else it outlives this, if another program had the line before.
        let _ = ioctl_tiocnxcl(&self.0);
    }
}

/// A serial line for raw bytes, not blocking. Errors: the system's, or another program has it.
fn open_serial(path: &Path, speed: u32) -> io::Result<Exclusive> {
    let in_use = || io::Error::new(io::ErrorKind::ResourceBusy, "another program has this serial line");
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let line = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    let line: OwnedFd =
        line.map_err(|error| if error.kind() == io::ErrorKind::ResourceBusy { in_use() } else { error })?.into();
    // Exclusive mode does not stop root. The lock does, if the other program has one too.
    match flock(&line, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Err(in_use()),
        locked => locked?,
    }
    ioctl_tiocexcl(&line)?;
    let line = Exclusive(line);
    let mut settings: Termios = tcgetattr(&line.0)?;
    settings.make_raw();
    settings.set_speed(speed)?;
    // What make_raw leaves as the last user had it.
    settings.input_modes -= InputModes::IXOFF | InputModes::IXANY;
    settings.control_modes -= ControlModes::CSTOPB | ControlModes::CRTSCTS;
    settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    tcsetattr(&line.0, OptionalActions::Now, &settings)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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

    #[test]
    fn a_serial_line_is_8n1_without_flow_control_whoever_had_it_before_and_for_one_program() {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = PathBuf::from(ptsname(&ours, Vec::new()).unwrap().into_string().unwrap());
        // Stays open: a pseudo terminal forgets its settings with its last user.
        let before = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let mut settings = tcgetattr(&before).unwrap();
        settings.control_modes |= ControlModes::CSTOPB | ControlModes::CRTSCTS;
        settings.input_modes |= InputModes::IXON | InputModes::IXOFF | InputModes::IXANY;
        tcsetattr(&before, OptionalActions::Now, &settings).unwrap();
        let line = open_serial(&path, 9600).unwrap();
        let settings = tcgetattr(&line.0).unwrap();
        let flow = InputModes::IXON | InputModes::IXOFF | InputModes::IXANY;
        assert!(
            !settings.control_modes.intersects(ControlModes::CSTOPB | ControlModes::CRTSCTS | ControlModes::PARENB)
        );
        assert!(settings.control_modes.contains(ControlModes::CS8) && !settings.input_modes.intersects(flow));
        assert_eq!(settings.output_speed(), 9600);
        let Err(error) = open_serial(&path, 9600) else { panic!("a second program has the line") };
        assert!(error.to_string().contains("another program"), "{error}");
        drop(line);
        open_serial(&path, 9600).unwrap();
    }

    #[tokio::test]
    async fn the_system_looks_after_silent_peers() {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let stream = keep_alive(accepted.unwrap().0).unwrap();
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), SILENCE);
    }
}
