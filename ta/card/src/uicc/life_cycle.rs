//! DEACTIVATE FILE and ACTIVATE FILE (TS 102 221 sections 11.1.14 and 11.1.15), TERMINATE DF and TERMINATE EF (TS 102
//! 222 sections 6.7 and 6.8). TERMINATE CARD USAGE does not exist: the eUICC outlives its profiles.

use super::access::Operation;
use super::interface::Application;
use super::select::{self, Target};
use super::{Context, Outcome, Refusal, expect_p1p2};
use crate::profile::{FileIndex, FileKind};
use teuicc_apdu::{Command, StatusWord};

/// Operational state activated, deactivated, and termination state (TS 102 221 table 11.7b).
const ACTIVATED: u8 = 0x05;
const DEACTIVATED: u8 = 0x04;
const TERMINATED: u8 = 0x0C;

/// An ACTIVATE FILE or DEACTIVATE FILE command.
pub(super) struct Activation<'a> {
    /// The file; `None` for the current EF.
    target: Option<Target<'a>>,
}

impl<'a> Activation<'a> {
    /// Reads the command. Errors: P1 other than 00, 08 and 09, P2 other than 00 (6A86); data that is no file identifier
    /// or path (6700).
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        if !matches!(command.p1p2(), 0x0000 | 0x0800 | 0x0900) {
            return Err(StatusWord::INCORRECT_P1P2.into());
        }
        let current = command.p1 == 0 && command.data.is_empty();
        Ok(Activation { target: if current { None } else { Some(Target::parse(command)?) } })
    }
}

/// Activates or deactivates an EF or DF, which then is selected.
///
/// Errors: no such file (6A82), no EF selected, or the ISD-R (6986), the MF or an ADF, a file in that state already or
/// terminated (6985), those of `check_access`, the store does not write.
pub(super) fn set_activated(cx: &mut Context<'_>, command: &Activation<'_>, activated: bool) -> Outcome {
    if cx.channel.application == Application::IsdR {
        return Err(StatusWord::NO_EF_SELECTED.into());
    }
    let index = match &command.target {
        Some(target) => select::find(cx.profile()?, &cx.channel, target).ok_or(StatusWord::FILE_NOT_FOUND)?,
        None => cx.channel.file().ok_or(StatusWord::NO_EF_SELECTED)?,
    };
    cx.check_shareable(index)?;
    let file = cx.profile()?.file(index).ok_or(StatusWord::FILE_NOT_FOUND)?;
    let in_state = file.is_terminated() || file.is_deactivated() != activated;
    if in_state || matches!(file.kind, FileKind::Mf | FileKind::Adf) {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    let (parent, is_directory) = (file.parent, file.is_directory());
    cx.check_access(index, if activated { Operation::ACTIVATE } else { Operation::DEACTIVATE })?;
    set(cx, index, if activated { ACTIVATED } else { DEACTIVATED })?;
    if is_directory {
        cx.channel.select_directory(index);
    } else if cx.channel.file() != Some(index) {
        cx.channel.select_ef(parent, index);
    }
    Ok(StatusWord::OK.into())
}

/// A TERMINATE DF or TERMINATE EF command.
#[derive(Clone, Copy)]
pub(super) struct Termination {
    /// A file in the current directory; `None` for the current file.
    fid: Option<u16>,
}

impl Termination {
    /// Reads the command. Errors: P1 or P2 other than 00; data that is no file identifier (6700).
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        match command.data {
            [] => Ok(Termination { fid: None }),
            [high, low] => Ok(Termination { fid: Some(u16::from_be_bytes([*high, *low])) }),
            _ => Err(StatusWord::WRONG_LENGTH.into()),
        }
    }

    /// The file, where `current` is one without a file identifier.
    fn find(self, cx: &Context<'_>, current: Option<FileIndex>) -> Result<FileIndex, Refusal> {
        let Some(fid) = self.fid else { return current.ok_or(StatusWord::NO_EF_SELECTED.into()) };
        let found = select::child(cx.profile()?, cx.channel.directory(), fid);
        found.ok_or(StatusWord::FILE_NOT_FOUND.into())
    }
}

/// Terminates a DF for good: nothing in it can be used any more. Errors: as [`terminate_ef`]; the MF or an ADF (6985).
pub(super) fn terminate_df(cx: &mut Context<'_>, command: Termination) -> Outcome {
    let index = command.find(cx, Some(cx.channel.directory()))?;
    terminate(cx, index, Operation::TERMINATE_DF, |kind| matches!(kind, FileKind::Df | FileKind::Adf | FileKind::Mf))
}

/// Terminates an EF for good. Errors: no such file (6A82), none selected (6986), not an EF (6981), terminated already
/// (6985), the access rule (6982), the store does not write.
pub(super) fn terminate_ef(cx: &mut Context<'_>, command: Termination) -> Outcome {
    let index = command.find(cx, cx.channel.file())?;
    terminate(cx, index, Operation::TERMINATE_EF, |kind| !matches!(kind, FileKind::Df | FileKind::Adf | FileKind::Mf))
}

fn terminate(cx: &mut Context<'_>, index: FileIndex, operation: Operation, fits: fn(FileKind) -> bool) -> Outcome {
    let file = cx.profile()?.file(index).ok_or(StatusWord::FILE_NOT_FOUND)?;
    if !fits(file.kind) {
        return Err(StatusWord::INCOMPATIBLE_FILE_STRUCTURE.into());
    }
    let of_card = matches!(file.kind, FileKind::Mf | FileKind::Adf) || cx.channel.application == Application::IsdR;
    if of_card || file.is_terminated() {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    cx.check_shareable(index)?;
    cx.check_access(index, operation)?;
    set(cx, index, TERMINATED)?;
    Ok(StatusWord::OK.into())
}

/// Sets and stores the life cycle status. Errors: the store does not write; it is then what it was.
fn set(cx: &mut Context<'_>, index: FileIndex, life_cycle: u8) -> Result<(), Refusal> {
    let profile = cx.profile.as_deref_mut().ok_or(StatusWord::FILE_NOT_FOUND)?;
    let is_hot = profile.is_hot(index);
    let file = profile.files.get_mut(usize::from(index.0)).ok_or(StatusWord::FILE_NOT_FOUND)?;
    let before = core::mem::replace(&mut file.life_cycle, life_cycle);
    file.changed = true;
    let stored = if is_hot { profile.store_hot(cx.env.store) } else { profile.store_changes(cx.env.store) };
    if stored.is_err()
        && let Some(file) = profile.files.get_mut(usize::from(index.0))
    {
        file.life_cycle = before;
    }
    Ok(stored?)
}
