//! RETRIEVE DATA and SET DATA: the data objects of a BER-TLV structure EF (TS 102 221 section 11.3).
//!
//! An object goes in blocks. One that is retrieved is copied when its first block is asked for; one that is set takes
//! the place of the old one with its last block, in one write.

use super::access::Operation;
use super::{Context, Outcome, Refusal, le, no_data, sfi};
use crate::profile::{FileIndex, FileKind, MAX_CONTENT};
use crate::wiped;
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response, StatusWord, ins};
use teuicc_tlv::{Reader, Tag, Tlv, TryBytes, Writer, leading_length, try_copy};
use zeroize::Zeroizing;

/// The tag that asks for a list of all tags, and that no object has.
const TAG_LIST: Tag = Tag(0x5C);

/// A data object on its way, of one channel.
pub(super) enum Transfer {
    None,
    /// To the terminal: its last block was `from..to`.
    Retrieving {
        file: FileIndex,
        object: Zeroizing<Vec<u8>>,
        from: usize,
        to: usize,
    },
    /// From the terminal: what came, and how much of it came before the last block.
    Setting {
        file: FileIndex,
        object: Zeroizing<Vec<u8>>,
        before: usize,
    },
}

impl Transfer {
    /// The file that it belongs to.
    pub(super) fn file(&self) -> Option<FileIndex> {
        match self {
            Transfer::None => None,
            Transfer::Retrieving { file, .. } | Transfer::Setting { file, .. } => Some(*file),
        }
    }
}

/// Which block: P2.
#[derive(Clone, Copy)]
enum Block {
    /// The first one, of an object in the EF with this SFI; `None` for the current EF.
    First(Option<u8>),
    Next,
    /// The last one once more.
    Again,
}

impl Block {
    /// Errors: P1 other than 00, P2 not of TS 102 221 table 11.29.
    fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        match (command.p1, command.p2) {
            (0, 0x80..=0x9F) => Ok(Block::First(sfi(command.p2)?)),
            (0, 0x00) => Ok(Block::Next),
            (0, 0x40) => Ok(Block::Again),
            _ => Err(StatusWord::INCORRECT_P1P2.into()),
        }
    }
}

fn is_ber_tlv(kind: FileKind) -> bool {
    matches!(kind, FileKind::BerTlv(_))
}

/// The data objects of a file, up to padding or what is none.
fn objects(content: &[u8]) -> impl Iterator<Item = Tlv<'_>> {
    let mut reader = Reader::new(content);
    core::iter::from_fn(move || match reader.rest().first() {
        None | Some(0x00 | 0xFF) => None,
        Some(_) => reader.read().ok(),
    })
}

/// The tag that `bytes` are, if they are one tag and nothing else.
fn whole_tag(bytes: &[u8]) -> Option<Tag> {
    // With a length of 0 behind it, it is an object.
    let mut probe = [0; 4];
    probe.get_mut(..bytes.len())?.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let with_length = bytes.len().saturating_add(1);
    match leading_length(probe.get(..with_length)?) {
        Ok(Some((tag, header, 0))) if header == with_length => Some(tag),
        _ => None,
    }
}

/// A RETRIEVE DATA command.
pub(super) struct Retrieve {
    block: Block,
    /// The object that is asked for, with the first block.
    tag: Option<Tag>,
    /// How many bytes at most.
    length: usize,
}

impl Retrieve {
    /// Reads the command. Errors: P1 or P2 (6A86); a first block without data, another one with some (6700); data that
    /// is not one tag (6A80).
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        let block = Block::parse(command)?;
        let tag = match block {
            Block::First(_) if command.data.is_empty() => return Err(StatusWord::WRONG_LENGTH.into()),
            Block::First(_) => Some(whole_tag(command.data).ok_or(StatusWord::INCORRECT_DATA)?),
            Block::Next | Block::Again => {
                no_data(command)?;
                None
            }
        };
        Ok(Retrieve { block, tag, length: le(command) })
    }
}

/// Gives a block of a data object, with `62F1` if it is not the last one.
///
/// Errors: those of `check`, no such object (6A88), no object of which this could be a block (6985).
pub(super) fn retrieve(cx: &mut Context<'_>, command: &Retrieve) -> Outcome {
    let (file, object, from) = match (command.block, core::mem::replace(&mut cx.channel.transfer, Transfer::None)) {
        (Block::First(sfi), _) => {
            let file = cx.ef(sfi)?;
            cx.check(file, Operation::read(ins::RETRIEVE_DATA), is_ber_tlv)?;
            (file, object(cx.profile()?.content(file), command.tag)?, 0)
        }
        (Block::Next, Transfer::Retrieving { file, object, to, .. }) if to < object.len() => (file, object, to),
        (Block::Again, Transfer::Retrieving { file, object, from, .. }) => (file, object, from),
        _ => return Err(StatusWord::CONDITIONS_OF_USE.into()),
    };
    cx.check(file, Operation::read(ins::RETRIEVE_DATA), is_ber_tlv)?;
    let to = from.saturating_add(command.length).min(object.len());
    let data = try_copy(object.get(from..to).unwrap_or_default())?;
    let sw = if to < object.len() { StatusWord::MORE_DATA } else { StatusWord::OK };
    cx.channel.transfer = Transfer::Retrieving { file, object, from, to };
    Ok(Response { data, sw })
}

/// The object with this tag, or the list of all tags. Errors: there is none (6A88).
fn object(content: &[u8], tag: Option<Tag>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    if tag == Some(TAG_LIST) {
        let mut tags = Vec::new();
        for object in objects(content) {
            let octets = object.tag.0.to_be_bytes();
            tags.try_extend(octets.get(octets.len().saturating_sub(object.tag.encoded_len())..).unwrap_or_default())?;
        }
        let mut list = Writer::new();
        list.primitive(TAG_LIST, &tags)?;
        return Ok(Zeroizing::new(list.into_bytes()));
    }
    let found = objects(content).find(|object| Some(object.tag) == tag);
    Ok(Zeroizing::new(try_copy(found.ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?.raw)?))
}

/// A SET DATA command.
pub(super) struct Set<'a> {
    block: Block,
    data: &'a [u8],
}

impl<'a> Set<'a> {
    /// Reads the command. Errors: P1 or P2 (6A86); no data (6700).
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let block = Block::parse(command)?;
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        Ok(Set { block, data: command.data })
    }
}

/// Takes a block of a data object: `63F1` if more is expected. The last one puts it into the file, in the place of one
/// with the same tag. A tag alone deletes its object.
///
/// Errors: those of `check`, no object that this could be a block of (6985), not a data object, or one that no file may
/// have (6A80), no such object to delete (6A88), no room (6A84), the store does not write. What came of the object is
/// then forgotten.
pub(super) fn set(cx: &mut Context<'_>, command: &Set<'_>) -> Outcome {
    let (file, mut object) = match (command.block, core::mem::replace(&mut cx.channel.transfer, Transfer::None)) {
        (Block::First(sfi), _) => (cx.ef(sfi)?, Zeroizing::new(Vec::new())),
        (Block::Next, Transfer::Setting { file, object, .. }) => (file, object),
        (Block::Again, Transfer::Setting { file, mut object, before }) => {
            object.truncate(before);
            (file, object)
        }
        _ => return Err(StatusWord::CONDITIONS_OF_USE.into()),
    };
    cx.check(file, Operation::update(ins::SET_DATA), is_ber_tlv)?;
    let before = object.len();
    wiped::try_extend(&mut object, command.data)?;
    let complete = match leading_length(&object) {
        Ok(Some((tag, header, length))) => {
            let total = header.saturating_add(length);
            check_room(cx, file, tag, total)?;
            if object.len() > total {
                return Err(StatusWord::INCORRECT_DATA.into());
            }
            object.len() == total
        }
        Ok(None) => {
            if let (Block::First(_), Some(tag)) = (command.block, whole_tag(&object)) {
                check_tag(tag)?;
                return put(cx, file, tag, &[]);
            }
            false
        }
        Err(_) => return Err(StatusWord::INCORRECT_DATA.into()),
    };
    if !complete {
        cx.channel.transfer = Transfer::Setting { file, object, before };
        return Ok(StatusWord::MORE_DATA_EXPECTED.into());
    }
    let tag = Reader::new(&object).read().map_err(|_| StatusWord::INCORRECT_DATA)?.tag;
    put(cx, file, tag, &object)
}

/// Errors: a tag that the list of tags could not have, or that is padding (6A80).
fn check_tag(tag: Tag) -> Result<(), Refusal> {
    let is_none = tag == TAG_LIST || matches!(tag.first_octet(), 0x00 | 0xFF);
    if is_none { Err(StatusWord::INCORRECT_DATA.into()) } else { Ok(()) }
}

/// Whether an object of `total` bytes has room in the file, in the place of one with the same tag.
///
/// Errors: it has not (6A84); its tag is none (6A80).
fn check_room(cx: &Context<'_>, file: FileIndex, tag: Tag, total: usize) -> Result<(), Refusal> {
    check_tag(tag)?;
    let profile = cx.profile()?;
    let others = objects(profile.content(file)).filter(|object| object.tag != tag);
    let size = others.fold(total, |sum, object| sum.saturating_add(object.raw.len()));
    let limit = match profile.file(profile.content_owner(file)).map(|file| file.kind) {
        Some(FileKind::BerTlv(limit)) => usize::try_from(limit).unwrap_or(usize::MAX),
        _ => 0,
    };
    let elsewhere = profile.content_size().saturating_sub(profile.content(file).len());
    let fits = size <= limit && elsewhere.saturating_add(size) <= MAX_CONTENT;
    if fits { Ok(()) } else { Err(StatusWord::NOT_ENOUGH_MEMORY.into()) }
}

/// Puts an object in the place of the one with its tag, or behind all; an empty one only takes the other's place.
///
/// Errors: nothing is there to be deleted (6A88), the store does not write.
fn put(cx: &mut Context<'_>, file: FileIndex, tag: Tag, new: &[u8]) -> Outcome {
    let content = cx.profile()?.content(file);
    let mut changed = Zeroizing::new(Vec::new());
    // Room for both the old one and the new one: growth would leave copies behind.
    changed.try_reserve_exact(content.len().saturating_add(new.len())).map_err(|_| StatusWord::TECHNICAL_PROBLEM)?;
    let mut placed = false;
    for object in objects(content) {
        let replaced = object.tag == tag;
        changed.try_extend(if replaced { new } else { object.raw })?;
        placed |= replaced;
    }
    if !placed && new.is_empty() {
        return Err(StatusWord::REFERENCE_DATA_NOT_FOUND.into());
    }
    if !placed {
        changed.try_extend(new)?;
    }
    cx.replace_content(file, changed)?;
    Ok(StatusWord::OK.into())
}
