//! READ BINARY and UPDATE BINARY (TS 102 221 sections 11.1.3 and 11.1.4).

use super::access::Operation;
use super::{Context, Outcome, Refusal, le, no_data};
use crate::profile::FileKind;
use teuicc_apdu::{Command, Response, StatusWord, ins};

/// Where in which file: P1 and P2.
struct Place {
    /// Short file identifier; `None` for the current EF.
    sfi: Option<u8>,
    offset: usize,
}

impl Place {
    fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        match command.p1 {
            0x00..=0x7F => Ok(Place { sfi: None, offset: usize::from(command.p1p2()) }),
            0x81..=0x9E => Ok(Place { sfi: Some(command.p1 & 0x1F), offset: usize::from(command.p2) }),
            _ => Err(StatusWord::INCORRECT_P1P2.into()),
        }
    }
}

/// A READ BINARY command.
pub(super) struct Read {
    place: Place,
    /// How many bytes at most.
    length: usize,
}

impl Read {
    /// Reads the command. Errors: P1 names no SFI; data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        let place = Place::parse(command)?;
        no_data(command)?;
        Ok(Read { place, length: le(command) })
    }
}

/// Reads from the offset on as many bytes as are asked for and there.
pub(super) fn read(cx: &mut Context<'_>, command: &Read) -> Outcome {
    let index = cx.ef(command.place.sfi)?;
    cx.check(index, Operation::read(ins::READ_BINARY), |kind| kind == FileKind::Transparent)?;
    let profile = cx.profile.as_deref().ok_or(StatusWord::FILE_NOT_FOUND)?;
    let rest = profile.content(index).get(command.place.offset..).filter(|rest| !rest.is_empty());
    let rest = rest.ok_or(StatusWord::WRONG_PARAMETERS)?;
    Ok(Response::data(cx.interface.copy(rest.get(..command.length).unwrap_or(rest))?))
}

/// An UPDATE BINARY command.
pub(super) struct Update<'a> {
    place: Place,
    data: &'a [u8],
}

impl<'a> Update<'a> {
    /// Reads the command. Errors: P1 names no SFI; no data.
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let place = Place::parse(command)?;
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        Ok(Update { place, data: command.data })
    }
}

/// Overwrites from the offset on. Errors also: data beyond the end of the file (6700).
pub(super) fn update(cx: &mut Context<'_>, command: &Update<'_>) -> Outcome {
    let index = cx.ef(command.place.sfi)?;
    cx.check(index, Operation::update(ins::UPDATE_BINARY), |kind| kind == FileKind::Transparent)?;
    let rest = cx.profile()?.content(index).get(command.place.offset..).ok_or(StatusWord::WRONG_PARAMETERS)?;
    if rest.is_empty() {
        return Err(StatusWord::WRONG_PARAMETERS.into());
    }
    if rest.len() < command.data.len() {
        return Err(StatusWord::WRONG_LENGTH.into());
    }
    cx.change_content(index, |content| {
        for (to, from) in content.iter_mut().skip(command.place.offset).zip(command.data) {
            *to = *from;
        }
    })?;
    Ok(StatusWord::OK.into())
}
