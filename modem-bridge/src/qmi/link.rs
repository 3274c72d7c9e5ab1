//! The way to a modem's UIM Remote service: messages out, messages in, until the modem is gone.

use super::message::Malformed;
use super::qrtr::socket::AsyncSocket;
use super::qrtr::{self, Address};
use super::{Modem, mbim, qmux};
use crate::endpoint::Stream;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, join};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

/// How long a modem may take to accept a message.
const WRITE: Duration = Duration::from_secs(10);
/// How long a modem may take to open.
const OPEN: Duration = Duration::from_secs(15);
/// How long a modem may take to answer its control service.
const CONTROL: Duration = Duration::from_secs(5);
/// How long a modem is waited for when it is let go of.
const CLOSE: Duration = Duration::from_secs(1);
/// Bytes read at a time; a QRTR message is not longer.
const READ_CHUNK: usize = 8192;
/// The abstract socket of libqmi's proxy.
const PROXY: &str = "\0qmi-proxy";

/// Why there is no way to the modem, or none any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Gone {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Qmux(#[from] qmux::Fault),
    #[error(transparent)]
    Mbim(#[from] mbim::Fault),
    #[error("it restarts, or has ended the service")]
    Restarted,
    #[error("it has closed the channel")]
    Closed,
    #[error("this kernel has no QRTR (socket family AF_QIPCRTR; the module is called qrtr)")]
    NoQrtr,
    #[error("qmi-proxy is run by user {0}, and not by root or by the user of this process")]
    ForeignProxy(u32),
    #[error("it does not open")]
    NotOpened,
    #[error("it does not read what is sent to it")]
    NotReading,
}

/// A modem's UIM Remote service, with a client of our own.
pub(crate) enum Link {
    Qrtr(QrtrLink),
    Device(Box<DeviceLink>),
}

impl Link {
    /// Reaches the service; over QRTR, waits until a modem offers it. Dropping the future lets go of it.
    pub(crate) async fn open(modem: &Modem) -> Result<Link, Gone> {
        match modem {
            Modem::Qrtr { node } => QrtrLink::open(*node).await.map(Link::Qrtr),
            Modem::Qmux { device, proxy: true } => {
                let framing = Framing::Qmux(qmux::Frames::default());
                DeviceLink::open(Box::new(open_proxy().await?), framing, Some(device)).await.map(Link::Device)
            }
            Modem::Qmux { device, proxy: false } => {
                let framing = Framing::Qmux(qmux::Frames::default());
                DeviceLink::open(open_device(device)?, framing, None).await.map(Link::Device)
            }
            Modem::Mbim { device } => {
                let framing = Framing::Mbim(mbim::Channel::default());
                DeviceLink::open(open_device(device)?, framing, None).await.map(Link::Device)
            }
        }
    }

    /// Sends a message. Not to be dropped half way.
    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<(), Gone> {
        match self {
            Link::Qrtr(link) => link.send(message).await,
            Link::Device(link) => match link.client.wrap(message) {
                Some(frame) => link.send(&frame).await,
                None => Err(Gone::Closed),
            },
        }
    }

    /// The next message. Dropping the future loses nothing.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>, Gone> {
        match self {
            Link::Qrtr(link) => link.receive().await,
            Link::Device(link) => link.receive().await,
        }
    }

    /// Gives the client back, as far as the modem takes it.
    pub(crate) async fn close(self) {
        if let Link::Device(link) = self
            && let Err(error) = link.close().await
        {
            tracing::debug!(%error, "the modem was not told that its client is gone");
        }
    }
}

/// Over QRTR.
pub(crate) struct QrtrLink {
    socket: AsyncSocket,
    client: qrtr::Client,
    service: Address,
}

impl QrtrLink {
    async fn open(node: Option<u32>) -> Result<QrtrLink, Gone> {
        let socket = AsyncSocket::new().map_err(|error| match error.raw_os_error() {
            Some(code) if code == Errno::AFNOSUPPORT.raw_os_error() => Gone::NoQrtr,
            _ => error.into(),
        })?;
        let own = socket.node()?;
        let names = Address::control(own);
        let (client, lookup) = qrtr::Client::start(own, node);
        let mut link = QrtrLink { socket, client, service: names };
        link.send(&lookup).await?;
        loop {
            match link.step().await? {
                qrtr::Step::Ready(service) => {
                    tracing::debug!(?service, "UIM Remote is at this QRTR address");
                    link.service = service;
                    return Ok(link);
                }
                qrtr::Step::NotOffered => tracing::warn!(
                    "no modem offers UIM Remote (QRTR service 50), which is off by default: waiting for one"
                ),
                qrtr::Step::PassedOver(Address { node, .. }) => tracing::warn!(
                    node,
                    "UIM Remote is offered by a node that the configuration does not name, or by this machine itself: \
                     passed over"
                ),
                qrtr::Step::Nothing | qrtr::Step::Message(_) | qrtr::Step::Gone => {}
            }
        }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Gone> {
        let to = self.service;
        Ok(timeout(WRITE, self.socket.send(message, to)).await.map_err(|_| Gone::NotReading)??)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Gone> {
        loop {
            match self.step().await? {
                qrtr::Step::Message(message) => return Ok(message),
                qrtr::Step::Gone => return Err(Gone::Restarted),
                qrtr::Step::Nothing | qrtr::Step::NotOffered | qrtr::Step::PassedOver(_) | qrtr::Step::Ready(_) => {}
            }
        }
    }

    async fn step(&mut self) -> Result<qrtr::Step, Gone> {
        let mut buffer = [0; READ_CHUNK];
        let (length, from) = self.socket.receive(&mut buffer).await?;
        Ok(self.client.datagram(from, buffer.get(..length).unwrap_or(&buffer)).unwrap_or_else(ignored))
    }
}

fn ignored(malformed: Malformed) -> qrtr::Step {
    tracing::debug!(%malformed, "ignored");
    qrtr::Step::Nothing
}

/// What is around QMUX frames on a device.
enum Framing {
    Qmux(qmux::Frames),
    Mbim(mbim::Channel),
}

/// Over a device that carries QMUX frames.
pub(crate) struct DeviceLink {
    stream: Box<dyn Stream>,
    framing: Framing,
    client: qmux::Client,
    /// Frames that were read, and not looked at yet.
    frames: VecDeque<Zeroizing<Vec<u8>>>,
}

/// The device of a modem's control channel. It takes and gives whole messages, and is not blocking.
fn open_device(path: &Path) -> Result<Box<dyn Stream>, Gone> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let device = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).map_err(named)?;
    let device = OwnedFd::from(device);
    let reader = pipe::Receiver::from_owned_fd_unchecked(device.try_clone()?).map_err(named)?;
    let writer = pipe::Sender::from_owned_fd_unchecked(device).map_err(named)?;
    Ok(Box::new(join(reader, writer)))
}

/// A connection to libqmi's proxy. Anybody may take the name of an abstract socket first: only a proxy of root's, or of
/// the user that this is, is believed.
async fn open_proxy() -> Result<UnixStream, Gone> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("qmi-proxy: {error}"));
    let stream = UnixStream::connect(PROXY).await.map_err(named)?;
    let user = stream.peer_cred().map_err(named)?.uid();
    if user == 0 || user == rustix::process::geteuid().as_raw() { Ok(stream) } else { Err(Gone::ForeignProxy(user)) }
}

impl DeviceLink {
    async fn open(stream: Box<dyn Stream>, framing: Framing, proxy: Option<&Path>) -> Result<Box<DeviceLink>, Gone> {
        let device = match proxy {
            Some(path) => Some(path.to_str().ok_or_else(|| io::Error::from(ErrorKind::InvalidFilename))?),
            None => None,
        };
        let (client, first) = qmux::Client::start(device);
        let mut link = Box::new(DeviceLink { stream, framing, client, frames: VecDeque::new() });
        if let Framing::Mbim(channel) = &mut link.framing {
            let open = channel.open();
            link.write(&open).await?;
            timeout(OPEN, link.opened()).await.map_err(|_| Gone::NotOpened)??;
        }
        link.send(&first).await?;
        link.follow(CONTROL, qmux::Step::Ready).await?;
        Ok(link)
    }

    /// Waits until the modem is open.
    async fn opened(&mut self) -> Result<(), Gone> {
        loop {
            if self.read().await? {
                return Ok(());
            }
        }
    }

    /// Answers the control service until `end`; each of its answers may take so long.
    async fn follow(&mut self, within: Duration, end: qmux::Step) -> Result<(), Gone> {
        let mut deadline = Instant::now() + within;
        loop {
            let step = match timeout_at(deadline, self.frame()).await {
                Ok(frame) => self.client.frame(&frame?),
                Err(_) => {
                    deadline = Instant::now() + within;
                    self.client.time_out()
                }
            };
            match step {
                Ok(qmux::Step::Send(frame)) => {
                    self.send(&frame).await?;
                    deadline = Instant::now() + within;
                }
                Ok(step) if step == end => return Ok(()),
                Ok(_) => {}
                Err(qmux::Fault::Malformed(malformed)) => tracing::debug!(%malformed, "ignored"),
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Gone> {
        loop {
            let frame = self.frame().await?;
            match self.client.frame(&frame) {
                Ok(qmux::Step::Message(message)) => return Ok(message),
                Ok(_) => {}
                Err(qmux::Fault::Malformed(malformed)) => tracing::debug!(%malformed, "ignored"),
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    async fn close(mut self: Box<Self>) -> Result<(), Gone> {
        if let Some(release) = self.client.release() {
            self.send(&release).await?;
            self.follow(CLOSE, qmux::Step::Released).await?;
        }
        if let Framing::Mbim(channel) = &mut self.framing {
            let close = channel.close();
            self.write(&close).await?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), Gone> {
        match &mut self.framing {
            Framing::Qmux(_) => self.write(frame).await,
            Framing::Mbim(channel) => {
                for message in channel.wrap(frame) {
                    self.write(&message).await?;
                }
                Ok(())
            }
        }
    }

    /// The next QMUX frame.
    async fn frame(&mut self) -> Result<Zeroizing<Vec<u8>>, Gone> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            self.read().await?;
        }
    }

    /// Reads what is there. Whether the modem said that it is open now.
    async fn read(&mut self) -> Result<bool, Gone> {
        let mut chunk = [0; READ_CHUNK];
        let length = self.stream.read(&mut chunk).await?;
        let bytes = chunk.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Err(Gone::Closed);
        }
        let mut opened = false;
        match &mut self.framing {
            Framing::Qmux(frames) => {
                frames.push(bytes);
                loop {
                    match frames.next_frame() {
                        Ok(Some(frame)) => self.frames.push_back(frame),
                        Ok(None) => break,
                        Err(malformed) => tracing::debug!(%malformed, "ignored"),
                    }
                }
            }
            Framing::Mbim(channel) => {
                channel.push(bytes);
                loop {
                    let step = match channel.next_message() {
                        Ok(Some(message)) => channel.message(&message),
                        Ok(None) => break,
                        Err(malformed) => Err(malformed.into()),
                    };
                    match step {
                        Ok(mbim::Step::Frame(frame)) => self.frames.push_back(frame.into()),
                        Ok(mbim::Step::Opened) => opened = true,
                        Ok(mbim::Step::Closed) => return Err(Gone::Closed),
                        Ok(mbim::Step::Nothing) => {}
                        Err(mbim::Fault::Malformed(malformed)) => tracing::debug!(%malformed, "ignored"),
                        Err(fault) => return Err(fault.into()),
                    }
                }
            }
        }
        Ok(opened)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        Ok(timeout(WRITE, written).await.map_err(|_| Gone::NotReading)??)
    }
}
