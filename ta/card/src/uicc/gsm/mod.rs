//! The 2G command set (TS 51.011): class A0, on the basic channel.
//!
//! A command of class A0 is the command of TS 102 221 that does the same, with its own coding of P1, P2 and P3, its own
//! answer to SELECT and STATUS, and its own status words; it is translated, executed by the same code under the same
//! access rules, and its answer is translated back. [`view`] is what the file system looks like in class A0.
//!
//! A GSM session begins when DF.GSM is selected, a USIM session when a USIM is; until the next reset each excludes the
//! other, whose classes then answer 6E00 (TS 31.101 section 4).

mod view;

use super::interface::Application;
use super::{COMMANDS, Context, Outcome, Refusal};
use crate::profile::FileKind;
use teuicc_apdu::{Command, Response, StatusWord, ins};
use teuicc_tlv::{TryBytes, try_copy};
use zeroize::{Zeroize, Zeroizing};

/// Instructions that only class A0 has, or that are something else in it (TS 51.011 section 9.2).
const SEEK: u8 = ins::SEARCH_RECORD;
const RUN_GSM_ALGORITHM: u8 = ins::AUTHENTICATE;
const SLEEP: u8 = 0xFA;

/// Bytes of RAND, and of the answer to RUN GSM ALGORITHM: SRES and Kc.
const RAND_LEN: u8 = 16;
const SRES_LEN: usize = 4;
const SRES_KC_LEN: usize = 12;

/// Status words of TS 51.011 section 9.4.
mod sw {
    use teuicc_apdu::StatusWord;

    pub(super) const MEMORY_PROBLEM: StatusWord = StatusWord(0x9240);
    pub(super) const NO_EF_SELECTED: StatusWord = StatusWord(0x9400);
    pub(super) const OUT_OF_RANGE: StatusWord = StatusWord(0x9402);
    pub(super) const NOT_FOUND: StatusWord = StatusWord(0x9404);
    pub(super) const INCONSISTENT_FILE: StatusWord = StatusWord(0x9408);
    pub(super) const NO_CHV: StatusWord = StatusWord(0x9802);
    pub(super) const ACCESS_CONDITION: StatusWord = StatusWord(0x9804);
    pub(super) const CHV_STATUS: StatusWord = StatusWord(0x9808);
    pub(super) const INVALIDATION_STATUS: StatusWord = StatusWord(0x9810);
    pub(super) const BLOCKED: StatusWord = StatusWord(0x9840);
}

/// The network access session of an interface since its last reset.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Session {
    /// Neither was begun.
    #[default]
    None,
    /// A USIM was selected.
    Usim,
    /// DF.GSM was selected. With the EF that is current, if it is one that the view makes.
    Gsm(Option<view::Converted>),
}

impl Session {
    fn converted(self) -> Option<view::Converted> {
        if let Session::Gsm(converted) = self { converted } else { None }
    }
}

/// Executes a command of class A0.
pub(super) fn execute(cx: &mut Context<'_>, command: &Command<'_>) -> Outcome {
    translated(cx, command).map_err(|Refusal(status)| Refusal(status_word(command.ins, status)))
}

fn translated(cx: &mut Context<'_>, command: &Command<'_>) -> Outcome {
    if !parameters_fit(command).ok_or(StatusWord::INSTRUCTION_NOT_SUPPORTED)? {
        return Err(StatusWord::INCORRECT_P1P2.into());
    }
    match command.ins {
        ins::SELECT => {
            let fid = command.data.try_into().map_err(|_| wrong_length(2))?;
            view::select(cx, u16::from_be_bytes(fid))
        }
        ins::STATUS => exactly(view::directory(cx.profile.as_deref(), cx.channel.directory())?, command, true),
        ins::READ_BINARY => {
            let data = match cx.interface.gsm.converted() {
                Some(converted) => view::read(cx, converted, command.p1p2().into())?,
                None => as_is(cx, command)?.data,
            };
            exactly(data, command, true)
        }
        ins::READ_RECORD => {
            let before = cx.channel.record;
            let read = as_is(cx, command).and_then(|response| exactly(response.data, command, false));
            if read.is_err() {
                cx.channel.record = before;
            }
            read
        }
        SEEK => seek(cx, command),
        ins::VERIFY_PIN | ins::CHANGE_PIN | ins::DISABLE_PIN | ins::ENABLE_PIN | ins::UNBLOCK_PIN => chv(cx, command),
        RUN_GSM_ALGORITHM => run_gsm_algorithm(cx, command),
        ins::FETCH => {
            // Before it is fetched: what was asked for in a wrong length still waits.
            let length = cx.interface.session.to_fetch().ok_or(StatusWord::CONDITIONS_OF_USE)?;
            if command.le != Some(length.into()) {
                return Err(wrong_length(length));
            }
            as_is(cx, command)
        }
        ins::INCREASE => {
            expect_length(command, 3)?;
            as_is(cx, command)
        }
        ins::DEACTIVATE_FILE | ins::ACTIVATE_FILE => {
            expect_length(command, 0)?;
            as_is(cx, command)
        }
        SLEEP => {
            expect_length(command, 0)?;
            Ok(StatusWord::OK.into())
        }
        _ => as_is(cx, command),
    }
}

/// Whether P1 and P2 are of those that an instruction has in class A0 (TS 51.011 section 9.2); `None` for an
/// instruction that class A0 has not got.
fn parameters_fit(command: &Command<'_>) -> Option<bool> {
    let Command { p1, p2, .. } = *command;
    Some(match command.ins {
        ins::READ_BINARY | ins::UPDATE_BINARY => p1 < 0x80,
        ins::READ_RECORD | ins::UPDATE_RECORD => matches!(p2, 2..=4),
        SEEK => p1 == 0 && matches!(p2, 0x00..=0x03 | 0x10..=0x13),
        ins::VERIFY_PIN | ins::CHANGE_PIN => p1 == 0 && matches!(p2, 1 | 2),
        // CHV2 is always enabled.
        ins::DISABLE_PIN | ins::ENABLE_PIN => p1 == 0 && p2 == 1,
        // It counts otherwise.
        ins::UNBLOCK_PIN => p1 == 0 && matches!(p2, 0 | 2),
        ins::SELECT
        | ins::STATUS
        | ins::INCREASE
        | ins::DEACTIVATE_FILE
        | ins::ACTIVATE_FILE
        | RUN_GSM_ALGORITHM
        | ins::TERMINAL_PROFILE
        | ins::ENVELOPE
        | ins::FETCH
        | ins::TERMINAL_RESPONSE
        | SLEEP => (p1, p2) == (0, 0),
        _ => return None,
    })
}

/// Executes the command of TS 102 221 with this instruction, P1, P2 and data.
fn as_is(cx: &mut Context<'_>, command: &Command<'_>) -> Outcome {
    if cx.interface.gsm.converted().is_some() && is_on_a_file(command.ins) {
        return Err(if command.ins == ins::UPDATE_BINARY {
            StatusWord::SECURITY_STATUS.into()
        } else {
            StatusWord::INCOMPATIBLE_FILE_STRUCTURE.into()
        });
    }
    let handler = COMMANDS.iter().find(|(ins, ..)| *ins == command.ins);
    let (.., handler) = handler.ok_or(StatusWord::INSTRUCTION_NOT_SUPPORTED)?;
    handler(cx, command)
}

/// SEEK (TS 51.011 section 8.7): the pattern in the records from one end, or from beside the current record. Type 2
/// answers with the number of the record.
fn seek(cx: &mut Context<'_>, command: &Command<'_>) -> Outcome {
    let index = cx.channel.file().ok_or(StatusWord::NO_EF_SELECTED)?;
    let profile = cx.profile()?;
    let Some(FileKind::LinearFixed(length)) = profile.file(index).map(|file| file.kind) else {
        return Err(StatusWord::INCOMPATIBLE_FILE_STRUCTURE.into());
    };
    let count = profile.content(index).len().checked_div(usize::from(length)).unwrap_or(0);
    let count = u8::try_from(count).unwrap_or(254);
    let (kind, mode) = (command.p2 >> 4, command.p2 & 0x0F);
    let (from, forward) = match (mode, cx.channel.record) {
        (0, _) | (2, None) => (1, true),
        (2, Some(current)) => (current.saturating_add(1), true),
        (3, Some(current)) => (current.saturating_sub(1), false),
        _ => (count, false),
    };
    if !(1..=count).contains(&from) {
        return Err(sw::NOT_FOUND.into());
    }
    // SEARCH RECORD, simple search from that record on, for one.
    let search = Command { p1: from, p2: if forward { 0x04 } else { 0x05 }, le: Some(1), ..*command };
    let mut found = as_is(cx, &search)?;
    if found.sw != StatusWord::OK {
        return Err(found.sw.into());
    }
    found.data.truncate(usize::from(kind));
    Ok(found)
}

/// A command with CHV1 or CHV2: PIN1 or PIN2 of the USIM that the view shows, wherever the channel is.
fn chv(cx: &mut Context<'_>, command: &Command<'_>) -> Outcome {
    expect_length(command, if matches!(command.ins, ins::CHANGE_PIN | ins::UNBLOCK_PIN) { 16 } else { 8 })?;
    let (directory, [first_pin, second_pin]) = view::pins(cx.profile()?);
    let p2 = if command.p2 == 2 { second_pin } else { first_pin };
    // The place of a local PIN depends on where one stands.
    let mut there = super::interface::Channel::new();
    there.select_directory(directory);
    let here = core::mem::replace(&mut cx.channel, there);
    let outcome = as_is(cx, &Command { p2, ..*command });
    cx.channel = here;
    outcome
}

/// RUN GSM ALGORITHM: AUTHENTICATE in the GSM security context, which gives SRES and Kc with their lengths.
fn run_gsm_algorithm(cx: &mut Context<'_>, command: &Command<'_>) -> Outcome {
    expect_length(command, RAND_LEN)?;
    if !matches!(cx.channel.application, Application::Adf(_)) {
        return Err(sw::ACCESS_CONDITION.into());
    }
    let mut data = Zeroizing::new(try_copy(&[RAND_LEN])?);
    data.try_extend(command.data)?;
    let mut response = as_is(cx, &Command { p2: 0x80, data: &data, ..*command })?;
    let answer = &mut response.data;
    let lengths = [answer.first().copied(), answer.get(SRES_LEN.saturating_add(1)).copied()];
    if answer.len() != SRES_KC_LEN.saturating_add(2) || lengths != [Some(4), Some(8)] {
        answer.zeroize();
        return Err(StatusWord::TECHNICAL_PROBLEM.into());
    }
    if let Ok(fields) = <&mut [u8; SRES_KC_LEN + 2]>::try_from(answer.as_mut_slice()) {
        fields.copy_within(1..SRES_LEN + 1, 0);
        fields.copy_within(SRES_LEN + 2..SRES_KC_LEN + 2, SRES_LEN);
    }
    // Kc must not stay behind the end.
    answer.get_mut(SRES_KC_LEN..).unwrap_or_default().zeroize();
    answer.truncate(SRES_KC_LEN);
    Ok(response)
}

/// `data` if it has the length that P3 asks for; the beginning of it if P3 asks for less and `part` allows that.
fn exactly(mut data: alloc::vec::Vec<u8>, command: &Command<'_>, part: bool) -> Outcome {
    let wanted = super::le(command);
    if data.len() < wanted || (data.len() > wanted && !part) || !command.data.is_empty() {
        return Err(wrong_length(u8::try_from(data.len()).unwrap_or(0)));
    }
    data.truncate(wanted);
    Ok(Response::data(data))
}

/// Errors: P3 is not `length`.
fn expect_length(command: &Command<'_>, length: u8) -> Result<(), Refusal> {
    if command.data.len() == usize::from(length) { Ok(()) } else { Err(wrong_length(length)) }
}

/// 67xx: P3 should be `length`.
fn wrong_length(length: u8) -> Refusal {
    StatusWord(0x6700 | u16::from(length)).into()
}

/// Whether an instruction works on the current EF.
fn is_on_a_file(instruction: u8) -> bool {
    matches!(
        instruction,
        ins::READ_BINARY
            | ins::UPDATE_BINARY
            | ins::READ_RECORD
            | ins::UPDATE_RECORD
            | SEEK
            | ins::INCREASE
            | ins::DEACTIVATE_FILE
            | ins::ACTIVATE_FILE
    )
}

/// A status word of TS 102 221 in terms of TS 51.011 section 9.4.
fn status_word(instruction: u8, status: StatusWord) -> StatusWord {
    let is_chv = matches!(
        instruction,
        ins::VERIFY_PIN | ins::CHANGE_PIN | ins::DISABLE_PIN | ins::ENABLE_PIN | ins::UNBLOCK_PIN
    );
    match status {
        StatusWord::SECURITY_STATUS => sw::ACCESS_CONDITION,
        StatusWord::METHOD_BLOCKED | StatusWord(0x63C0) => sw::BLOCKED,
        StatusWord(0x63C1..=0x63CF) => sw::ACCESS_CONDITION,
        StatusWord::REFERENCE_DATA_INVALIDATED => sw::CHV_STATUS,
        StatusWord::REFERENCE_DATA_NOT_FOUND if is_chv => sw::NO_CHV,
        StatusWord::FILE_NOT_FOUND if is_chv => sw::NO_CHV,
        StatusWord::CONDITIONS_OF_USE if is_chv => sw::CHV_STATUS,
        StatusWord::CONDITIONS_OF_USE if is_on_a_file(instruction) => sw::INVALIDATION_STATUS,
        StatusWord::MEMORY_PROBLEM | StatusWord::NOT_ENOUGH_MEMORY => sw::MEMORY_PROBLEM,
        StatusWord::NO_EF_SELECTED => sw::NO_EF_SELECTED,
        // Of SEARCH RECORD: nothing was found.
        StatusWord::FILE_NOT_FOUND | StatusWord::END_OF_FILE => sw::NOT_FOUND,
        StatusWord::RECORD_NOT_FOUND => sw::OUT_OF_RANGE,
        StatusWord::INCOMPATIBLE_FILE_STRUCTURE => sw::INCONSISTENT_FILE,
        StatusWord::INCORRECT_P1P2 | StatusWord::WRONG_PARAMETERS => StatusWord::WRONG_PARAMETERS,
        StatusWord::CONTEXT_NOT_SUPPORTED => StatusWord::TECHNICAL_PROBLEM,
        StatusWord(0x6700..=0x67FF | 0x6D00 | 0x6E00 | 0x9200..=0x98FF) => status,
        _ => StatusWord::TECHNICAL_PROBLEM,
    }
}
