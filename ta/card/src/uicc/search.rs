//! SEARCH RECORD (TS 102 221 section 11.1.7).

use super::access::Operation;
use super::record::{self, Which};
use super::{Context, Outcome, Refusal, le, sfi};
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response, StatusWord, ins};
use teuicc_tlv::TryBytes;

/// A SEARCH RECORD command.
pub(super) struct Search<'a> {
    sfi: Option<u8>,
    /// The record that P1 names; `None` for the current one.
    number: Option<u8>,
    /// The first record that is looked at, seen from that one.
    first: Which,
    backward: bool,
    /// Where in a record the pattern must stand.
    place: Place,
    pattern: &'a [u8],
    /// How many record numbers are asked for.
    most: usize,
}

#[derive(Clone, Copy)]
enum Place {
    /// So many bytes from its beginning.
    Offset(usize),
    /// Behind the first byte of this value.
    Behind(u8),
}

impl<'a> Search<'a> {
    /// Reads the command. Errors: P1 or P2 not of TS 102 221 table 11.12 (6A86), no pattern (6700), a search indication
    /// not of table 11.13 (6A80).
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let mode = command.p2 & 0x07;
        if command.p1 == 0xFF || !matches!(mode, 4..=6) {
            return Err(StatusWord::INCORRECT_P1P2.into());
        }
        let simple = Search {
            sfi: sfi(command.p2 >> 3)?,
            number: Some(command.p1).filter(|number| *number != 0),
            first: Which::Current,
            backward: mode == 5,
            place: Place::Offset(0),
            pattern: command.data,
            most: le(command),
        };
        if mode != 6 {
            return if command.data.is_empty() { Err(StatusWord::WRONG_LENGTH.into()) } else { Ok(simple) };
        }
        let (pattern, [indication, place]) = match command.data {
            [indication, place, pattern @ ..] if !pattern.is_empty() => (pattern, [*indication, *place]),
            _ => return Err(StatusWord::WRONG_LENGTH.into()),
        };
        let (first, backward) = match indication & !0x08 {
            4 => (Which::Current, false),
            5 => (Which::Current, true),
            6 => (Which::Next, false),
            7 => (Which::Previous, true),
            _ => return Err(StatusWord::INCORRECT_DATA.into()),
        };
        let place = if indication & 0x08 == 0 { Place::Offset(place.into()) } else { Place::Behind(place) };
        Ok(Search { first, backward, place, pattern, ..simple })
    }

    /// Whether the pattern stands in `record` where it must.
    fn matches(&self, record: &[u8]) -> bool {
        let start = match self.place {
            Place::Offset(offset) => Some(offset),
            Place::Behind(value) => record.iter().position(|byte| *byte == value).map(|at| at.saturating_add(1)),
        };
        start.and_then(|start| record.get(start..)).is_some_and(|rest| rest.starts_with(self.pattern))
    }
}

/// Answers with the numbers of the records that have the pattern, the first of which becomes the current one; `6282`,
/// which TS 102 221 section 10.2.1.3 has for an unsuccessful search, if there are none. Errors also: a pattern longer
/// than a record (6700), no record to begin with (6A83).
pub(super) fn search(cx: &mut Context<'_>, command: &Search<'_>) -> Outcome {
    let operation = Operation::read(ins::SEARCH_RECORD);
    let (index, records) = record::open(cx, command.sfi, operation, record::has_records)?;
    if command.pattern.len() > records.length {
        return Err(StatusWord::WRONG_LENGTH.into());
    }
    let mut number = records.find(command.first, command.number.or(cx.channel.record))?;
    let content = cx.profile()?.content(index);
    let mut found = Vec::new();
    while (1..=records.count).contains(&number) && found.len() < command.most {
        if content.get(records.range(number)).is_some_and(|record| command.matches(record)) {
            found.try_push(number)?;
        }
        number = if command.backward { number.saturating_sub(1) } else { number.saturating_add(1) };
    }
    let Some(first) = found.first() else {
        return Ok(StatusWord::END_OF_FILE.into());
    };
    cx.channel.record = Some(*first);
    Ok(Response::data(found))
}
