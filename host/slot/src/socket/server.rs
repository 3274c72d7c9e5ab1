use super::{KIND_MESSAGE, KIND_REFUSED, Refusal, encode_frame, frame_length};
use crate::link::LinkError;
use crate::slot::Slot;
use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use teuicc_wire::{Interface, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinSet;

/// Connections at the same time; more wait to be accepted.
const MAX_CLIENTS: usize = 16;
/// Time between attempts when the system has no room for another connection.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A daemon listens there already.
    #[error("socket {0} is in use by another daemon")]
    InUse(PathBuf),
    /// There is something else.
    #[error("{0} exists and is no socket")]
    NoSocket(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {path}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// A Unix socket for the same user and root; it is removed with this value.
pub struct PrivateListener {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl PrivateListener {
    /// Listens on `path` with mode 600; takes the place of a socket that nobody listens on any more. Must be called in
    /// a tokio runtime. Errors: see [`ServerError`].
    pub fn bind(path: &Path) -> Result<PrivateListener, ServerError> {
        let failed = |error| ServerError::Io { path: path.into(), error };
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(ServerError::NoSocket(path.into())),
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(ServerError::InUse(path.into()));
            }
            _ => {}
        }
        // Under another name until its mode is right; the rename also takes the place of an abandoned socket.
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        let _ = fs::remove_file(&temporary);
        let listener = UnixListener::bind(&temporary).map_err(failed)?;
        let bound = fs::set_permissions(&temporary, Permissions::from_mode(0o600))
            .and_then(|()| fs::symlink_metadata(&temporary))
            .and_then(|metadata| fs::rename(&temporary, path).map(|()| metadata.ino()));
        match bound {
            Ok(inode) => Ok(PrivateListener { listener, path: path.into(), inode }),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(failed(error))
            }
        }
    }

    /// The next client; processes of other users are refused on the way. Dropping the future loses nobody. Errors: the
    /// system's; a later call may succeed.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if allowed(&stream) {
                return Ok(stream);
            }
        }
    }
}

impl Drop for PrivateListener {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The daemon's side of its socket.
pub struct Server(PrivateListener);

impl Server {
    /// As [`PrivateListener::bind`].
    pub fn bind(path: &Path) -> Result<Server, ServerError> {
        PrivateListener::bind(path).map(Server)
    }

    /// Serves clients with `slot`'s card until `shutdown` is ready; then powers the LPA's interface down if a client
    /// still had it.
    pub async fn run(self, slot: Slot, shutdown: impl Future<Output = ()> + Send) {
        let lpa = Arc::new(Mutex::new(()));
        let mut clients = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = clients.join_next(), if !clients.is_empty() => {}
                accepted = self.0.accept(), if clients.len() < MAX_CLIENTS => match accepted {
                    Ok(stream) => {
                        clients.spawn(Client::new(slot.clone(), lpa.clone()).serve(stream));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a client of the socket could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        clients.shutdown().await;
    }
}

/// Whether the process at the other end may use the card: the same user, or root.
fn allowed(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if may_use_card(peer.uid(), rustix::process::geteuid().as_raw()) => true,
        Ok(peer) => {
            tracing::warn!(uid = peer.uid(), pid = peer.pid(), "a client of another user was refused");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "a client that cannot be identified was refused");
            false
        }
    }
}

fn may_use_card(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// One connection.
struct Client {
    slot: Slot,
    lpa: Arc<Mutex<()>>,
    session: Option<Session>,
}

/// A client's hold on the LPA's interface; its end, also by the task's end, takes the power away.
struct Session {
    slot: Slot,
    generation: u64,
    powered: bool,
    _lpa: OwnedMutexGuard<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.powered {
            // Queued by the call itself, before the next client can have the interface.
            drop(self.slot.power_down(Interface::Lpa));
        }
    }
}

impl Client {
    fn new(slot: Slot, lpa: Arc<Mutex<()>>) -> Self {
        Client { slot, lpa, session: None }
    }

    async fn serve(mut self, mut stream: UnixStream) {
        loop {
            let request = match read_frame(&mut stream).await {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%error, "a client of the socket is gone");
                    return;
                }
            };
            let frame = match self.answer(&request).await {
                Ok(response) => match response.encode() {
                    Ok(message) => encode_frame(KIND_MESSAGE, &message),
                    Err(_) => return,
                },
                Err(refusal) => encode_frame(KIND_REFUSED, &[refusal as u8]),
            };
            if stream.write_all(&frame).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&mut self, request: &[u8]) -> Result<Response, Refusal> {
        match Request::decode(request) {
            Ok(Request::Hello) => card(self.slot.hello().await.map(Response::Hello)),
            Ok(Request::PowerUp(Interface::Lpa)) => self.power_up().await,
            Ok(Request::PowerDown(Interface::Lpa)) => {
                let Some(mut session) = self.session.take() else { return Ok(Response::Done) };
                session.powered = false;
                card(session.slot.power_down(Interface::Lpa).await.map(|()| Response::Done))
            }
            Ok(Request::Transmit { interface: Interface::Lpa, commands }) => {
                let Some(session) = &self.session else {
                    return Ok(Response::Error(teuicc_wire::Error::NotPowered));
                };
                let commands = commands.map(<[u8]>::to_vec).collect();
                let done = self.slot.transmit(Interface::Lpa, session.generation, commands).await;
                card(done.map(Response::Transmitted))
            }
            Ok(Request::FactoryRequest(request)) => {
                card(self.slot.factory_request(&request).await.map(Response::CertificateRequest))
            }
            Ok(Request::Personalize(settings)) => card(self.slot.personalize(&settings).await.map(|()| Response::Done)),
            Ok(
                Request::PowerUp(Interface::Modem)
                | Request::PowerDown(Interface::Modem)
                | Request::Transmit { interface: Interface::Modem, .. },
            ) => Err(Refusal::Forbidden),
            Err(teuicc_wire::DecodeError::Version(_)) => Ok(Response::Error(teuicc_wire::Error::Version)),
            Err(_) => Ok(Response::Error(teuicc_wire::Error::Malformed)),
        }
    }

    async fn power_up(&mut self) -> Result<Response, Refusal> {
        if self.session.is_none() {
            let lpa = self.lpa.clone().try_lock_owned().map_err(|_| Refusal::Busy)?;
            self.session = Some(Session { slot: self.slot.clone(), generation: 0, powered: true, _lpa: lpa });
        }
        let powered = self.slot.power_up(Interface::Lpa).await;
        match (&mut self.session, powered) {
            (Some(session), Ok(powered)) => {
                session.generation = powered.generation;
                Ok(Response::Atr(powered.atr))
            }
            (_, powered) => {
                self.session = None;
                card(powered.map(|powered| Response::Atr(powered.atr)))
            }
        }
    }
}

fn card(result: Result<Response, LinkError>) -> Result<Response, Refusal> {
    match result {
        Ok(response) => Ok(response),
        Err(LinkError::Card(error)) => Ok(Response::Error(error)),
        Err(LinkError::Busy | LinkError::Attached) => Err(Refusal::Busy),
        Err(LinkError::Stale) => Err(Refusal::Stale),
        Err(LinkError::NotSupported(_) | LinkError::Request(_)) => Err(Refusal::Forbidden),
        Err(LinkError::Transport(_) | LinkError::Protocol(_) | LinkError::Closed) => Err(Refusal::Unreachable),
    }
}

/// One request; `None` at the client's end. Errors: a broken connection, or no frame of this protocol.
async fn read_frame(stream: &mut UnixStream) -> io::Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    let mut prefix = [0; 4];
    if stream.read(&mut prefix[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut prefix[1..]).await?;
    let length = frame_length(prefix).ok_or_else(|| invalid("a frame of an impossible length"))?;
    if stream.read_u8().await? != KIND_MESSAGE {
        return Err(invalid("a frame of an unknown kind"));
    }
    let mut body = zeroize::Zeroizing::new(vec![0; length - 1]);
    stream.read_exact(&mut body).await?;
    Ok(Some(body))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_user_and_root_may_use_the_card_and_nobody_else() {
        assert!(may_use_card(1000, 1000));
        assert!(may_use_card(0, 1000));
        assert!(!may_use_card(1001, 1000));
        assert!(!may_use_card(1000, 0));
    }
}
