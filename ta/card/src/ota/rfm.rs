//! Remote file management (TS 102 226 section 6): the card's own commands, with the access domain of the application in
//! the place of presented PINs.

use super::Host;
use super::script::Execute;
use crate::euicc::Toolkit;
use crate::platform::Env;
use crate::profile::{FileIndex, Profile};
use crate::uicc::proactive::{RefreshMode, Session};
use crate::uicc::{self, AccessDomain, InterfaceState, Parts, Refusal};
use alloc::vec::Vec;
use teuicc_apdu::{Coding, Command, StatusWord, ins};
use teuicc_tlv::TryBytes;
use zeroize::Zeroizing;

/// What an application may ask for (TS 102 226 tables 6.1 and 6.2), but for the administrative commands.
const COMMANDS: [u8; 16] = [
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
];

/// Those that change a file: the current one, but for an activation by a path.
const CHANGES: [u8; 6] =
    [ins::UPDATE_BINARY, ins::UPDATE_RECORD, ins::INCREASE, ins::SET_DATA, ins::DEACTIVATE_FILE, ins::ACTIVATE_FILE];

/// SELECT by DF name, which could leave the file system of the application.
const BY_NAME: u8 = 0x04;

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
        let named = !self.others && session.refresh(profile, RefreshMode::FileChange, &self.files).is_ok();
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
    access: AccessDomain,
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
            let response = uicc::execute_command(parts, command).response;
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
