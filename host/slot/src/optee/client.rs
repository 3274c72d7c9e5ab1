//! OP-TEE's client library.

use super::{Tee, TeeError, TeeSession, UUID};
use optee_teec::{
    ConnectionMethods, Context, Error, ErrorKind, Operation, ParamNone, ParamTmpRef, Session as TeecSession, Uuid,
};
use rustix::fs::FlockOperation;
use std::fs::File;
use teuicc_wire::TEE_COMMAND;

/// The TEE's device, as its driver names it.
const DEVICE: &str = "/dev/tee0";

/// TEE_ERROR_STORAGE_NOT_AVAILABLE: loading the trusted application needs a supplicant.
const STORAGE_NOT_AVAILABLE: u32 = 0xF010_0003;
/// TEE_ERROR_CORRUPT_OBJECT: OP-TEE looks for the trusted application in its storage before it asks the supplicant.
const CORRUPT_OBJECT: u32 = 0xF010_0001;

/// The TEE of this machine.
#[derive(Debug, Default)]
pub struct Client {
    /// Locked as long as it is open.
    _device: Option<File>,
}

impl Client {
    /// The TEE for this process alone: there is one card in it, and two daemons would give it to two modems. The system
    /// gives the lock back when the process ends, however it ends.
    ///
    /// Errors: another process has it; the device cannot be opened or locked.
    pub fn exclusive() -> Result<Self, TeeError> {
        let device = File::open(DEVICE).map_err(|error| TeeError::NoTee(error.to_string()))?;
        rustix::fs::flock(&device, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            if error == rustix::io::Errno::WOULDBLOCK { TeeError::InUse } else { TeeError::NoTee(error.to_string()) }
        })?;
        Ok(Client { _device: Some(device) })
    }
}

/// A session of [`Client`].
pub struct Session(TeecSession);

impl Tee for Client {
    type Session = Session;

    /// A context of its own for each session: one that failed may have lost its driver.
    fn open(&mut self) -> Result<Session, TeeError> {
        let mut context = Context::new().map_err(|error| TeeError::NoTee(text(&error)))?;
        let uuid = Uuid::parse_str(UUID).map_err(|_| TeeError::Other(format!("{UUID} is no UUID")))?;
        context.open_session_with_login(uuid, ConnectionMethods::LoginUser).map(Session).map_err(|error| reason(&error))
    }
}

impl TeeSession for Session {
    fn invoke(&mut self, request: &[u8], response: &mut [u8]) -> Result<usize, TeeError> {
        let (input, output) = (ParamTmpRef::new_input(request), ParamTmpRef::new_output(response));
        let mut operation = Operation::new(0, input, output, ParamNone, ParamNone);
        self.0.invoke_command(TEE_COMMAND, &mut operation).map_err(|error| reason(&error))?;
        Ok(operation.parameters().1.updated_size())
    }
}

fn reason(error: &Error) -> TeeError {
    let text = text(error);
    match error.kind() {
        ErrorKind::AccessDenied => TeeError::Refused(text),
        ErrorKind::Security => TeeError::Security(text),
        ErrorKind::TargetDead => TeeError::Dead(text),
        ErrorKind::ItemNotFound | ErrorKind::Unknown(STORAGE_NOT_AVAILABLE) => TeeError::NotLoaded(text),
        ErrorKind::Unknown(CORRUPT_OBJECT) => TeeError::Storage(text),
        _ => TeeError::Other(text),
    }
}

/// GlobalPlatform's number, and where it arose.
fn text(error: &Error) -> String {
    match error.origin() {
        Some(origin) => format!("error {:#010x}, origin {origin:?}", error.raw_code()),
        None => format!("error {:#010x}", error.raw_code()),
    }
}
