//! The card in the secure world: the trusted application, reached through OP-TEE.
//!
//! A session that failed is closed, and the next request opens another one. Whoever asked learns that the card was
//! lost; the slot tells that the card was removed and, with the next answer, that it is back.

#[cfg(feature = "optee")]
mod client;

#[cfg(feature = "optee")]
pub use client::{Client, Session};

use crate::link::{Exchange, LinkError};
use std::fmt;
use teuicc_wire::{Error, MAX_MESSAGE, Request, Response};

/// The trusted application's name, in text.
pub const UUID: &str = include_str!("../../../../ta/app/uuid.txt");

/// A way to open sessions with the trusted application.
pub trait Tee: Send {
    /// An open session. Dropping it closes it.
    type Session: TeeSession;

    /// Opens a session.
    fn open(&mut self) -> Result<Self::Session, TeeError>;
}

/// A session with the trusted application.
pub trait TeeSession: Send {
    /// Invokes the trusted application with `request`; the response is written to `response`, of [`MAX_MESSAGE`] bytes.
    /// Returns its length.
    fn invoke(&mut self, request: &[u8], response: &mut [u8]) -> Result<usize, TeeError>;
}

/// What a GlobalPlatform error code says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TeeError {
    /// There is no TEE, or its driver or its device cannot be used.
    #[error("no TEE can be reached ({0}): is its driver loaded, and may this user open /dev/tee0?")]
    NoTee(String),
    /// Another process has the card.
    #[error("the card in the TEE is in use by another teuicc or teuiccd (it has locked /dev/tee0)")]
    InUse,
    /// The trusted application is not installed, or no supplicant runs that could load it.
    #[error("the trusted application {UUID} cannot be loaded ({0}): is it installed, and does tee-supplicant run?")]
    NotLoaded(String),
    /// The trusted application serves the daemon's user alone.
    #[error("the trusted application refuses this user ({0}): it was built for another one (TEUICC_CLIENT_UID)")]
    Refused(String),
    /// The trusted application is signed with a key that this OP-TEE OS does not trust, or is damaged; or the storage,
    /// in which OP-TEE looks for it first.
    #[error(
        "the TEE does not accept the trusted application ({0}): it is signed with a key that this OP-TEE OS does not trust, or \
         the TEE's secure storage is damaged"
    )]
    Security(String),
    /// The directory of OP-TEE's secure storage is damaged; no trusted application can be opened.
    #[error("the TEE's secure storage is damaged ({0}): its files were changed, or the disk they are on failed")]
    Storage(String),
    /// The trusted application ended.
    #[error("the trusted application ended ({0})")]
    Dead(String),
    /// Anything else.
    #[error("the TEE failed ({0})")]
    Other(String),
}

/// The card behind a [`Tee`], which it reaches again after every failure.
pub struct Optee<T: Tee> {
    tee: T,
    session: Option<T::Session>,
    response: Box<[u8]>,
}

impl<T: Tee> Optee<T> {
    /// Opens the first session. Errors: the trusted application cannot be reached.
    pub fn open(mut tee: T) -> Result<Self, TeeError> {
        let session = Some(tee.open()?);
        Ok(Optee { tee, session, response: vec![0; MAX_MESSAGE].into() })
    }

    /// The response, left in `self.response`; its length.
    fn ask(&mut self, request: &[u8]) -> Result<usize, TeeError> {
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                let session = self.tee.open()?;
                tracing::info!("the trusted application is reached again");
                self.session.insert(session)
            }
        };
        session.invoke(request, &mut self.response)
    }
}

impl<T: Tee> fmt::Debug for Optee<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Optee").field("open", &self.session.is_some()).finish_non_exhaustive()
    }
}

impl<T: Tee> Exchange for Optee<T> {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        let length = self.ask(request).map_err(|error| {
            self.session = None;
            LinkError::transport(error)
        })?;
        let Some(response) = self.response.get_mut(..length) else {
            self.session = None;
            return Err(LinkError::Protocol("the response is longer than a message can be".into()));
        };
        let answer = response.to_vec();
        // It may hold keys of an authentication.
        zeroize::Zeroize::zeroize(response);
        if must_boot_again(request, &answer) {
            self.session = None;
        }
        Ok(answer)
    }
}

/// Whether the card could not boot for a reason that passes, like a supplicant that does not run yet. It boots when the
/// first session is opened.
fn must_boot_again(request: &[u8], response: &[u8]) -> bool {
    matches!(Request::decode(request), Ok(Request::Hello | Request::PowerUp(_)))
        && matches!(Response::decode(response), Ok(Response::Error(Error::StoreUnavailable | Error::OutOfMemory)))
}
