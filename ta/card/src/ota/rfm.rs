//! Remote file management (TS 102 226 section 6): the card's own commands, with the access domain of the application in
//! the place of presented PINs.

use super::Host;
use super::script::Execute;
use crate::euicc::Toolkit;
use crate::platform::Env;
use crate::profile::{FileIndex, FileKind, Profile};
use crate::uicc::proactive::{RefreshMode, Session};
use crate::uicc::{self, Executed, InterfaceState, Parts, Refusal, RemoteAccess};
use alloc::vec::Vec;
use teuicc_apdu::{Coding, Command, StatusWord, ins};
use teuicc_tlv::TryBytes;
use zeroize::Zeroizing;

/// What an application may ask for (TS 102 226 table 7.1).
const COMMANDS: [u8; 19] = [
    ins::SELECT,
    ins::READ_BINARY,
    ins::UPDATE_BINARY,
    ins::READ_RECORD,
    ins::UPDATE_RECORD,
    ins::SEARCH_RECORD,
    ins::INCREASE,
    ins::VERIFY_PIN,
    ins::CHANGE_PIN,
    ins::DISABLE_PIN,
    ins::ENABLE_PIN,
    ins::UNBLOCK_PIN,
    ins::DEACTIVATE_FILE,
    ins::ACTIVATE_FILE,
    ins::RETRIEVE_DATA,
    ins::SET_DATA,
    ins::CREATE_FILE,
    ins::DELETE_FILE,
    ins::RESIZE_FILE,
];

/// Those that change a file, which then is the current one but for an activation by a path, or a directory.
const CHANGES: [u8; 8] = [
    ins::UPDATE_BINARY,
    ins::UPDATE_RECORD,
    ins::INCREASE,
    ins::SET_DATA,
    ins::DEACTIVATE_FILE,
    ins::ACTIVATE_FILE,
    ins::CREATE_FILE,
    ins::RESIZE_FILE,
];

/// SELECT by DF name, which is not for remote file management (TS 102 226 section 7.1): it could leave the files of the
/// application.
const BY_NAME: u8 = 0x04;

/// EFs that a terminal works with from its initialisation on: IMPI, DOMAIN and IMPU of an ISIM; IMSI of a USIM, which
/// is IST of an ISIM; UST, EST, ACC and AD. That EF.IMSI is never told by a file change notification alone comes from
/// knowledge of TS 31.111 section 6.4.7.1.
const INITIALISING: [u16; 8] = [0x6F02, 0x6F03, 0x6F04, 0x6F07, 0x6F38, 0x6F56, 0x6F78, 0x6FAD];
/// And EF.SUPI_NAI in DF.5GS.
const EF_SUPI_NAI: (u16, u16) = (0x5FC0, 0x4F09);

/// Whether a terminal has to initialise an application anew after a change of the file at `index`.
fn initialises(profile: &Profile, index: FileIndex) -> bool {
    let Some(file) = profile.file(index) else { return false };
    let Some(parent) = profile.file(file.parent) else { return false };
    match parent.kind {
        FileKind::Adf => INITIALISING.contains(&file.fid),
        _ => (parent.fid, file.fid) == EF_SUPI_NAI,
    }
}

/// Files that a script changed.
#[derive(Default)]
struct Changed {
    files: Vec<FileIndex>,
    /// Whether there are others.
    others: bool,
}

impl Changed {
    fn note(&mut self, file: Option<FileIndex>) {
        self.others |= match file {
            Some(file) if self.files.contains(&file) => false,
            Some(file) => self.files.try_push(file).is_err(),
            None => true,
        };
    }

    /// Has the terminal read again what changed: the files, or everything where they cannot be named.
    fn tell(&self, session: &mut Session, profile: &Profile) {
        if self.files.is_empty() && !self.others {
            return;
        }
        let initialises = self.files.iter().any(|file| initialises(profile, *file));
        let mode = if initialises { RefreshMode::InitAndFileChange } else { RefreshMode::FileChange };
        let named = !self.others && session.refresh(profile, mode, &self.files).is_ok();
        if !named {
            // It needs no memory.
            let _ = session.refresh(profile, RefreshMode::InitAndFullFileChange, &[]);
        }
    }
}

/// Runs a script on the files that `access` opens, beginning in the MF, or in `adf`. Gives the response data, at most
/// `room` bytes. Also files that are otherwise kept in memory are stored before they are acknowledged; and a REFRESH is
/// queued if the terminal does that.
///
/// Errors: out of memory; the store does not write.
pub(super) fn run(
    host: &mut Host<'_>,
    adf: Option<FileIndex>,
    access: RemoteAccess,
    script: &[u8],
    room: usize,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    // Selections last as long as the script, and are nobody else's.
    let mut interface = InterfaceState::remote(access, adf);
    let mut changed = Changed::default();
    let execute: &mut Execute<'_> = &mut |command| match check(command) {
        Err(sw) => sw.into(),
        Ok(()) => {
            let parts = Parts {
                profile: Some(&mut *host.profile),
                euicc: &mut *host.euicc,
                env: Env { rng: &mut *host.env.rng, store: &mut *host.env.store },
                interface: &mut interface,
                toolkit: Toolkit::Idle,
                suspended: &mut None,
            };
            let Executed { response, files_deleted, .. } = uicc::execute_command(parts, command);
            changed.others |= files_deleted;
            *host.files_deleted |= files_deleted;
            if response.sw.is_ok() && CHANGES.contains(&command.ins) {
                let by_path =
                    matches!(command.ins, ins::DEACTIVATE_FILE | ins::ACTIVATE_FILE) && !command.data.is_empty();
                changed.note(interface.current_file().filter(|_| !by_path));
            }
            response
        }
    };
    let done = super::script::run(script, room, execute)?;
    changed.tell(host.session, host.profile);
    if host.profile.unsaved.hot {
        host.profile.store_hot(host.env.store)?;
    }
    Ok(done)
}

/// Errors: a class that is not for the one channel there is, a command that is not for remote file management.
fn check(command: &Command<'_>) -> Result<(), StatusWord> {
    let class = command.class().filter(|class| class.coding != Coding::Gsm).ok_or(StatusWord::CLASS_NOT_SUPPORTED)?;
    if class.channel != 0 {
        return Err(StatusWord::CHANNEL_NOT_SUPPORTED);
    }
    if !COMMANDS.contains(&command.ins) {
        return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
    }
    if command.ins == ins::SELECT && command.p1 == BY_NAME {
        return Err(StatusWord::INCORRECT_P1P2);
    }
    Ok(())
}
