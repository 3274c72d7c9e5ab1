//! READ RECORD, UPDATE RECORD and INCREASE (TS 102 221 sections 11.1.5, 11.1.6 and 11.1.8).

use super::access::Operation;
use super::{Context, Outcome, Refusal, no_data, sfi};
use crate::profile::{FileIndex, FileKind};
use teuicc_apdu::{Command, Response, StatusWord, ins};
use teuicc_tlv::{TryBytes, try_copy};

/// Which record of which file: P1 and P2.
#[derive(Clone, Copy)]
struct Place {
    /// Short file identifier; `None` for the current EF.
    sfi: Option<u8>,
    which: Which,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The record of this number, from 1. The record pointer stays.
    Number(u8),
    /// The one that the record pointer is on.
    Current,
    /// The one after it, which becomes the current one.
    Next,
    /// The one before it, which becomes the current one.
    Previous,
}

impl Place {
    fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        let sfi = sfi(command.p2 >> 3)?;
        let which = match (command.p2 & 0x07, command.p1) {
            (4, 0) => Which::Current,
            (4, 0xFF) => return Err(StatusWord::INCORRECT_P1P2.into()),
            (4, number) => Which::Number(number),
            (2, 0) => Which::Next,
            (3, 0) => Which::Previous,
            _ => return Err(StatusWord::INCORRECT_P1P2.into()),
        };
        Ok(Place { sfi, which })
    }
}

/// The records of an EF.
#[derive(Clone, Copy)]
pub(super) struct Records {
    /// Length of each in bytes.
    pub(super) length: usize,
    /// How many.
    pub(super) count: u8,
    cyclic: bool,
}

impl Records {
    /// The number of the record that is meant, from 1, where the record pointer is on `current`.
    ///
    /// Without a pointer, next is the first record and previous the last one; at either end a cyclic EF goes on at
    /// the other one (TS 102 221 section 11.1.5.1). Errors: no such record.
    pub(super) fn find(self, which: Which, current: Option<u8>) -> Result<u8, Refusal> {
        let number = match (which, current) {
            (Which::Number(number), _) => number,
            (Which::Current, current) => current.unwrap_or(0),
            (Which::Next, None) => 1,
            (Which::Next, Some(current)) if current >= self.count && self.cyclic => 1,
            (Which::Next, Some(current)) => current.saturating_add(1),
            (Which::Previous, None) => self.count,
            (Which::Previous, Some(1)) if self.cyclic => self.count,
            (Which::Previous, Some(current)) => current.saturating_sub(1),
        };
        if (1..=self.count).contains(&number) { Ok(number) } else { Err(StatusWord::RECORD_NOT_FOUND.into()) }
    }

    /// The place of record `number` in the content.
    pub(super) fn range(self, number: u8) -> core::ops::Range<usize> {
        let start = usize::from(number.saturating_sub(1)).saturating_mul(self.length);
        start..start.saturating_add(self.length)
    }
}

/// Whether a file has records.
pub(super) fn has_records(kind: FileKind) -> bool {
    matches!(kind, FileKind::LinearFixed(_) | FileKind::Cyclic(_))
}

/// The EF that is meant and its records, after all checks. Errors: those of `check`; a file that `fits` refuses.
pub(super) fn open(
    cx: &mut Context<'_>,
    sfi: Option<u8>,
    operation: Operation,
    fits: fn(FileKind) -> bool,
) -> Result<(FileIndex, Records), Refusal> {
    let index = cx.ef(sfi)?;
    let kind = cx.check(index, operation, fits)?;
    let (FileKind::LinearFixed(length) | FileKind::Cyclic(length)) = kind else {
        return Err(StatusWord::INCOMPATIBLE_FILE_STRUCTURE.into());
    };
    let length = usize::from(length.max(1));
    let count = cx.profile()?.content(index).len().checked_div(length).unwrap_or(0);
    let count = u8::try_from(count).unwrap_or(254);
    Ok((index, Records { length, count, cyclic: matches!(kind, FileKind::Cyclic(_)) }))
}

/// A READ RECORD command.
#[derive(Clone, Copy)]
pub(super) struct Read {
    place: Place,
}

impl Read {
    /// Reads the command. Le needs no check: the answer is one whole record. Errors: P1 or P2 not of TS 102 221 table
    /// 11.11; data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        let place = Place::parse(command)?;
        no_data(command)?;
        Ok(Read { place })
    }
}

/// Reads one record.
pub(super) fn read(cx: &mut Context<'_>, command: Read) -> Outcome {
    let (index, records) = open(cx, command.place.sfi, Operation::read(ins::READ_RECORD), has_records)?;
    let number = records.find(command.place.which, cx.channel.record)?;
    let profile = cx.profile.as_deref().ok_or(StatusWord::FILE_NOT_FOUND)?;
    let record = profile.content(index).get(records.range(number)).ok_or(StatusWord::RECORD_NOT_FOUND)?;
    let data = cx.interface.copy(record)?;
    if matches!(command.place.which, Which::Next | Which::Previous) {
        cx.channel.record = Some(number);
    }
    Ok(Response::data(data))
}

/// An UPDATE RECORD command.
pub(super) struct Update<'a> {
    place: Place,
    data: &'a [u8],
}

impl<'a> Update<'a> {
    /// Reads the command. Errors: P1 or P2 not of TS 102 221 table 11.11; no data.
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let place = Place::parse(command)?;
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        Ok(Update { place, data: command.data })
    }
}

/// Overwrites one record; of a cyclic EF the oldest one, which becomes the first and the current one.
pub(super) fn update(cx: &mut Context<'_>, command: &Update<'_>) -> Outcome {
    let (index, records) = open(cx, command.place.sfi, Operation::update(ins::UPDATE_RECORD), has_records)?;
    if records.cyclic && command.place.which != Which::Previous {
        return Err(StatusWord::INCORRECT_P1P2.into());
    }
    if command.data.len() != records.length {
        return Err(StatusWord::WRONG_LENGTH.into());
    }
    let number = if records.cyclic { 1 } else { records.find(command.place.which, cx.channel.record)? };
    if records.count == 0 {
        return Err(StatusWord::RECORD_NOT_FOUND.into());
    }
    cx.change_content(index, |content| {
        if records.cyclic {
            last_to_front(content, records.length);
        }
        let record = content.get_mut(records.range(number)).unwrap_or_default();
        for (to, from) in record.iter_mut().zip(command.data) {
            *to = *from;
        }
    })?;
    if matches!(command.place.which, Which::Next | Which::Previous) {
        cx.channel.record = Some(number);
    }
    Ok(StatusWord::OK.into())
}

/// Brings the last `length` bytes, the oldest record, before all others. As `rotate_right`, which can panic.
fn last_to_front(content: &mut [u8], length: usize) {
    content.reverse();
    if let Some((front, back)) = content.split_at_mut_checked(length) {
        front.reverse();
        back.reverse();
    }
}

/// An INCREASE command.
pub(super) struct Increase<'a> {
    sfi: Option<u8>,
    value: &'a [u8],
}

impl<'a> Increase<'a> {
    /// Reads the command. Errors: P1 that is neither 00 nor an SFI with bit 8, P2 other than 00; no value.
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let sfi = match (command.p1, command.p2) {
            (0, 0) => None,
            (0x81..=0x9E, 0) => sfi(command.p1)?,
            _ => return Err(StatusWord::INCORRECT_P1P2.into()),
        };
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        Ok(Increase { sfi, value: command.data })
    }
}

/// Adds a value to the newest record of a cyclic EF, and overwrites the oldest one with the sum, which becomes the
/// first and the current one. Answers with the sum and the value.
///
/// Errors also: a value longer than a record (6700), a sum that no record holds (9850).
pub(super) fn increase(cx: &mut Context<'_>, command: &Increase<'_>) -> Outcome {
    let is_cyclic = |kind| matches!(kind, FileKind::Cyclic(_));
    let (index, records) = open(cx, command.sfi, Operation::only(ins::INCREASE), is_cyclic)?;
    if command.value.len() > records.length {
        return Err(StatusWord::WRONG_LENGTH.into());
    }
    let newest = cx.profile()?.content(index).get(records.range(1)).ok_or(StatusWord::RECORD_NOT_FOUND)?;
    let mut answer = try_copy(newest)?;
    let mut carry = 0;
    let addends = command.value.iter().rev().copied().chain(core::iter::repeat(0));
    for (digit, addend) in answer.iter_mut().rev().zip(addends) {
        let [high, low] = u16::from(*digit).wrapping_add(addend.into()).wrapping_add(carry).to_be_bytes();
        (*digit, carry) = (low, high.into());
    }
    if carry != 0 {
        return Err(StatusWord::MAX_VALUE_REACHED.into());
    }
    answer.try_extend(command.value)?;
    cx.change_content(index, |content| {
        last_to_front(content, records.length);
        content.iter_mut().zip(&answer).take(records.length).for_each(|(to, from)| *to = *from);
    })?;
    cx.channel.record = Some(1);
    Ok(Response::data(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_record() {
        let linear = Records { length: 1, count: 3, cyclic: false };
        let cyclic = Records { cyclic: true, ..linear };
        for (which, current, in_linear, in_cyclic) in [
            (Which::Number(3), None, Some(3), Some(3)),
            (Which::Number(4), None, None, None),
            (Which::Current, None, None, None),
            (Which::Current, Some(2), Some(2), Some(2)),
            (Which::Next, None, Some(1), Some(1)),
            (Which::Next, Some(2), Some(3), Some(3)),
            (Which::Next, Some(3), None, Some(1)),
            (Which::Previous, None, Some(3), Some(3)),
            (Which::Previous, Some(2), Some(1), Some(1)),
            (Which::Previous, Some(1), None, Some(3)),
        ] {
            assert_eq!(linear.find(which, current).ok(), in_linear);
            assert_eq!(cyclic.find(which, current).ok(), in_cyclic);
        }
        assert!(Records { count: 0, ..cyclic }.find(Which::Next, None).is_err());
    }
}
