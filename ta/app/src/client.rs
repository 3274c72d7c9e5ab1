//! Who may call. The kernel tells OP-TEE the user of a client that logs in as one, as a UUID made from the user's
//! number. This keeps other processes away; the kernel itself can claim to be anyone.

use optee_utee::raw::{self, TEE_UUID};
use optee_utee::{ErrorKind, Result};

/// The daemon's user.
const CLIENT: TEE_UUID = include!(concat!(env!("OUT_DIR"), "/client.rs"));

/// Errors: access denied, unless the client of this session logged in as the daemon's user.
pub(crate) fn check() -> Result<()> {
    let unknown = TEE_UUID { timeLow: 0, timeMid: 0, timeHiAndVersion: 0, clockSeqAndNode: [0; 8] };
    let mut identity = raw::TEE_Identity { login: raw::TEE_LOGIN_PUBLIC, uuid: unknown };
    // The safe call of optee-utee allocates for the name, and panics where it cannot.
    // SAFETY: the name ends with a zero byte, and `identity` is a TEE_Identity that is written during the call only.
    let code = unsafe {
        raw::TEE_GetPropertyAsIdentity(raw::TEE_PROPSET_CURRENT_CLIENT, c"gpd.client.identity".as_ptr(), &mut identity)
    };
    if code == raw::TEE_SUCCESS && identity.login == raw::TEE_LOGIN_USER && fields(&identity.uuid) == fields(&CLIENT) {
        Ok(())
    } else {
        Err(ErrorKind::AccessDenied.into())
    }
}

fn fields(uuid: &TEE_UUID) -> (u32, u16, u16, [u8; 8]) {
    (uuid.timeLow, uuid.timeMid, uuid.timeHiAndVersion, uuid.clockSeqAndNode)
}
