use super::{KIND_MESSAGE, KIND_REFUSED, Refusal, encode_frame, frame_length};
use crate::link::{Exchange, LinkError};
use rustix::net::sockopt::socket_peercred;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The client's side of the daemon's socket.
pub struct SocketLink {
    stream: UnixStream,
    broken: bool,
}

impl SocketLink {
    /// Connects to the daemon. Errors: nobody listens there, or it is a daemon of another user than this one or root.
    pub fn connect(path: &Path) -> Result<SocketLink, LinkError> {
        let named = |error: std::io::Error| LinkError::transport(format!("{}: {error}", path.display()));
        let stream = UnixStream::connect(path).map_err(named)?;
        let peer = socket_peercred(&stream).map_err(|error| named(error.into()))?.uid;
        let own = rustix::process::geteuid();
        if peer == own || peer.is_root() || own.is_root() {
            Ok(SocketLink { stream, broken: false })
        } else {
            Err(LinkError::transport(format!("{}: the daemon belongs to user {}", path.display(), peer.as_raw())))
        }
    }

    fn round_trip(&mut self, request: &[u8]) -> Result<(u8, Vec<u8>), LinkError> {
        self.stream.write_all(&encode_frame(KIND_MESSAGE, request)).map_err(LinkError::transport)?;
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).map_err(LinkError::transport)?;
        let length = frame_length(prefix).ok_or(LinkError::Protocol("a frame of an impossible length".into()))?;
        let mut kind = [0; 1];
        self.stream.read_exact(&mut kind).map_err(LinkError::transport)?;
        let mut body = vec![0; length - 1];
        self.stream.read_exact(&mut body).map_err(LinkError::transport)?;
        Ok((kind[0], body))
    }
}

impl Exchange for SocketLink {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        if self.broken {
            return Err(LinkError::transport("the connection to the daemon is broken"));
        }
        match self.round_trip(request) {
            Ok((KIND_MESSAGE, message)) => Ok(message),
            Ok((KIND_REFUSED, reason)) => {
                let refusal = Refusal::ALL.into_iter().find(|refusal| reason == [*refusal as u8]);
                Err(refusal.map_or(LinkError::Protocol("an unknown refusal".into()), Refusal::to_error))
            }
            Ok(_) => {
                self.broken = true;
                Err(LinkError::Protocol("a frame of an unknown kind".into()))
            }
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        }
    }
}
