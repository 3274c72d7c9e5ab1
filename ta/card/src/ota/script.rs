//! Remote application data (TS 102 226 section 5): a script of commands, and what is said of them.
//!
//! Two formats, told apart by the first byte, which no class byte can be:
//!
//! - compact: commands one after the other, as T=0 has them: P3 is the number of bytes that follow, or that are asked
//!   for; the answer to a command with data is fetched with GET RESPONSE. Of the answers only the last one is told.
//! - expanded: a template of command APDUs. The answers of those that ask for data are told, and the last one.
//!
//! The first command that fails ends the script. Data that does not fit is cut, which ends it too, with `62F1`.

use crate::uicc::le;
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response, StatusWord, ins};
use teuicc_tlv::{OutOfMemory, TryBytes};
use zeroize::Zeroizing;

/// Executes one command.
pub(super) type Execute<'a> = dyn FnMut(&Command<'_>) -> Response + 'a;

/// Command scripting template, of definite and of indefinite length, and what answers each (TS 101 220 table 7.18).
const COMMANDS: u8 = 0xAA;
const COMMANDS_INDEFINITE: u8 = 0xAE;
const RESPONSES: u8 = 0xAB;
const RESPONSES_INDEFINITE: u8 = 0xAF;
/// In them (tables 7.19 and 7.20).
const C_APDU: u8 = 0x22;
const R_APDU: u8 = 0x23;
const SCRIPT_CHAINING: u8 = 0x83;
const NUMBER_EXECUTED: u8 = 0x80;
const BAD_FORMAT: u8 = 0x90;

/// Error types of a bad format.
const UNKNOWN_TAG: u8 = 0x01;
const WRONG_LENGTH: u8 = 0x02;
/// Script chaining is not supported.
const CHAINING_NOT_SUPPORTED: u8 = 0x02;

/// Most bytes of response data, so that every length in it is one byte.
const MAX_ROOM: usize = 0x7F;
/// What an expanded response needs beside R-APDUs, at most: template, number of commands, an error.
const OVERHEAD: usize = 4 + 3 + 3;
/// Tag and length of a R-APDU, and its status word.
const R_APDU_OVERHEAD: usize = 2 + 2;

/// Runs a script. Gives the response data, at most `room` bytes. Errors: out of memory.
pub(super) fn run(script: &[u8], room: usize, execute: &mut Execute<'_>) -> Result<Zeroizing<Vec<u8>>, OutOfMemory> {
    let room = room.min(MAX_ROOM);
    let mut out = Zeroizing::new(Vec::new());
    // Before anything is executed: what was done can then be told.
    out.try_reserve_exact(room).map_err(|_| OutOfMemory)?;
    match script {
        [COMMANDS | COMMANDS_INDEFINITE, ..] => expanded(script, room, execute, &mut out)?,
        _ => compact(script, room, execute, &mut out)?,
    }
    Ok(out)
}

/// Whether a script goes on after this status word of a command: there may be more blocks of a data object, too.
fn goes_on(sw: StatusWord) -> bool {
    sw.is_ok() || matches!(sw.sw1(), 0x61 | 0x62) || sw == StatusWord::MORE_DATA_EXPECTED
}

/// Number of executed commands, last status word, last response data (section 5.1.2).
fn compact(script: &[u8], room: usize, execute: &mut Execute<'_>, out: &mut Vec<u8>) -> Result<(), OutOfMemory> {
    let mut executed = 0u8;
    let mut sw = StatusWord::OK;
    let mut data = Zeroizing::new(Vec::new());
    // The answer to a command with data, until it is fetched.
    let mut pending = Zeroizing::new(Vec::new());
    let mut rest = script;
    while !rest.is_empty() && goes_on(sw) {
        executed = executed.saturating_add(1);
        data.clear();
        let Some((command, behind)) = tpdu(rest) else {
            sw = StatusWord::WRONG_LENGTH;
            break;
        };
        rest = behind;
        if command.ins == ins::GET_RESPONSE {
            sw = if pending.is_empty() { StatusWord::CONDITIONS_OF_USE } else { StatusWord::OK };
            data = core::mem::take(&mut pending);
            data.truncate(le(&command));
        } else {
            let response = execute(&command);
            (data, sw) = (Zeroizing::new(response.data), response.sw);
        }
        if command.le.is_none() {
            pending = core::mem::take(&mut data);
            if !pending.is_empty() && sw.is_ok() {
                sw = StatusWord(0x6100 | u16::from(length_byte(pending.len())));
            }
        } else if le(&command) != 256 && le(&command) != data.len() && sw.is_ok() {
            sw = StatusWord(0x6C00 | u16::from(length_byte(data.len())));
            data.clear();
        }
    }
    let room = room.saturating_sub(3);
    if data.len() > room {
        data.truncate(room);
        sw = StatusWord::MORE_DATA;
    }
    out.try_push(executed)?;
    out.try_extend(&sw.0.to_be_bytes())?;
    out.try_extend(&data)
}

/// The first command of a compact script, and what is behind it. `None` if it is cut off.
fn tpdu(script: &[u8]) -> Option<(Command<'_>, &[u8])> {
    let ([cla, ins, p1, p2, p3], rest) = script.split_first_chunk::<5>()?;
    let asks = match *ins {
        ins::READ_BINARY | ins::READ_RECORD | ins::GET_RESPONSE => true,
        // The first block has the tag of the object, the next ones have nothing (TS 102 221 section 11.3.1).
        ins::RETRIEVE_DATA => p2 & 0x80 == 0,
        _ => false,
    };
    let (data, rest) = rest.split_at_checked(if asks { 0 } else { usize::from(*p3) })?;
    let le = asks.then_some(if *p3 == 0 { 256 } else { u32::from(*p3) });
    Some((Command { cla: *cla, ins: *ins, p1: *p1, p2: *p2, data, le }, rest))
}

/// How `61xx` and `6Cxx` say a length: 00 for 256 and more.
fn length_byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(0)
}

/// The response scripting template (section 5.2.2).
fn expanded(script: &[u8], room: usize, execute: &mut Execute<'_>, out: &mut Vec<u8>) -> Result<(), OutOfMemory> {
    let indefinite = script.first() == Some(&COMMANDS_INDEFINITE);
    // Of definite length: its length, and the number of commands, are written at the end.
    out.try_extend(if indefinite { &[RESPONSES_INDEFINITE, 0x80] } else { &[RESPONSES, 0, NUMBER_EXECUTED, 1, 0] })?;
    let mut room = room.saturating_sub(OVERHEAD);
    let mut executed = 0u8;
    let mut error = None;
    let mut rest = commands(script).unwrap_or_else(|| {
        error = Some([BAD_FORMAT, 1, WRONG_LENGTH]);
        &[]
    });
    let mut sw = StatusWord::OK;
    let (mut told, mut cut) = (true, false);
    while !rest.is_empty() && goes_on(sw) && !cut && room >= R_APDU_OVERHEAD {
        let command = match object(rest) {
            Some((C_APDU, apdu, behind)) => {
                rest = behind;
                Command::parse(apdu).map_err(|_| [BAD_FORMAT, 1, WRONG_LENGTH])
            }
            Some((SCRIPT_CHAINING, ..)) => Err([SCRIPT_CHAINING, 1, CHAINING_NOT_SUPPORTED]),
            Some(_) => Err([BAD_FORMAT, 1, UNKNOWN_TAG]),
            None => Err([BAD_FORMAT, 1, WRONG_LENGTH]),
        };
        let command = match command {
            Ok(command) => command,
            Err(bad) => {
                error = Some(bad);
                break;
            }
        };
        executed = executed.saturating_add(1).min(0x7F);
        let response = execute(&command);
        let mut data = Zeroizing::new(response.data);
        sw = response.sw;
        told = command.le.is_some();
        if told {
            room = room.saturating_sub(R_APDU_OVERHEAD);
            cut = data.len() > room;
            if cut {
                data.truncate(room);
                sw = StatusWord::MORE_DATA;
            }
            room = room.saturating_sub(data.len());
            r_apdu(out, &data, sw)?;
        }
    }
    if !told {
        r_apdu(out, &[], sw)?;
    }
    if let Some(error) = error {
        out.try_extend(&error)?;
    }
    if indefinite {
        return out.try_extend(&[0, 0]);
    }
    let behind = length_byte(out.len().saturating_sub(2));
    if let [_, length, _, _, number, ..] = out.as_mut_slice() {
        (*length, *number) = (behind, executed);
    }
    Ok(())
}

fn r_apdu(out: &mut Vec<u8>, data: &[u8], sw: StatusWord) -> Result<(), OutOfMemory> {
    out.try_extend(&[R_APDU, length_byte(data.len().saturating_add(2))])?;
    out.try_extend(data)?;
    out.try_extend(&sw.0.to_be_bytes())
}

/// A data object: tag, value and what is behind it. `None` if it is cut off or its length has more than three bytes.
/// Not by the reader of all other data objects, which refuses these tags: in ASN.1 they are no constructed types.
fn object(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, rest) = match bytes.get(1..)? {
        [length @ 0..=0x7F, rest @ ..] => (usize::from(*length), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*bytes.first()?, value, rest))
}

/// The commands in a template that is the whole script.
fn commands(script: &[u8]) -> Option<&[u8]> {
    match script {
        [COMMANDS_INDEFINITE, 0x80, commands @ .., 0, 0] => Some(commands),
        [COMMANDS, ..] => object(script).filter(|(.., rest)| rest.is_empty()).map(|(_, commands, _)| commands),
        _ => None,
    }
}
