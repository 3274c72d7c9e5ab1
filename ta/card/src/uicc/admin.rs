//! CREATE FILE, DELETE FILE and RESIZE FILE (TS 102 222 sections 6.3, 6.4 and 6.10), in the file system of the enabled
//! profile. Each is one write; a power cut leaves the files as they were or as they are to be.

use super::access::Operation;
use super::interface::Application;
use super::{Context, Outcome, Refusal, expect_p1p2, select};
use crate::install::kind_of;
use crate::profile::{
    Definition, FID_CURRENT_ADF, FID_MF, File, FileIndex, FileKind, MAX_CONTENT, MAX_FILES, MAX_LEVELS, Profile,
    Security,
};
use alloc::vec::Vec;
use teuicc_apdu::{Command, StatusWord, ins};
use teuicc_saip::Fcp;
use teuicc_saip::layout::{self, EffectiveFile, MAX_FILE_SIZE, MAX_RECORDS};
use teuicc_tlv::{Reader, Tag, Tlv, TryBytes};
use zeroize::Zeroizing;

const FCP: Tag = Tag(0x62);
const KEY_REFERENCE: Tag = Tag(0x83);

/// The FCP in the data of a command. Errors: no data (6700), another data object or one that cannot be read (6A80).
fn fcp<'a>(command: &Command<'a>) -> Result<Fcp<'a>, Refusal> {
    if command.data.is_empty() {
        return Err(StatusWord::WRONG_LENGTH.into());
    }
    let fcp = Tlv::parse(command.data, FCP).ok().and_then(|fcp| Fcp::parse(fcp.value).ok());
    fcp.ok_or(StatusWord::INCORRECT_DATA.into())
}

/// The directory in which files are created, deleted and resized. Errors: the ISD-R, which has none (6985).
fn directory(cx: &Context<'_>) -> Result<FileIndex, Refusal> {
    if cx.channel.application == Application::IsdR {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    Ok(cx.channel.directory())
}

/// A CREATE FILE command.
pub(super) struct Create<'a> {
    fcp: Fcp<'a>,
}

impl<'a> Create<'a> {
    /// Reads the command. Errors: P1 or P2 other than 00; no data (6700), data that is no FCP (6A80).
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        let mut fcp = fcp(command)?;
        if fcp.file_descriptor.is_some_and(describes_directory) {
            // A package must say which PINs a DF has; here those of the directory above do. It may bring proprietary
            // information, which is about memory and applets.
            fcp.pin_status = fcp.pin_status.or(Some(&[]));
            fcp.proprietary = None;
        }
        Ok(Create { fcp })
    }
}

/// Whether a file descriptor is that of a DF (TS 102 221 table 11.5).
fn describes_directory(descriptor: &[u8]) -> bool {
    descriptor.first().is_some_and(|byte| byte & 0x38 == 0x38 && byte & 0x07 == 0)
}

/// Creates an EF or a DF in the current directory, which then is selected.
///
/// Errors: an ADF, which only an installation makes (6A81), an FCP that makes no file (6A80), the directory is
/// deactivated or terminated (6985), its access rule (6982), the file identifier is taken (6A89), no room (6A84), the
/// store does not write.
pub(super) fn create(cx: &mut Context<'_>, command: &Create<'_>) -> Outcome {
    let parent = directory(cx)?;
    if command.fcp.df_name.is_some() {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED.into());
    }
    let file = layout::created_file(&command.fcp, parent == FileIndex::MF).map_err(|_| StatusWord::INCORRECT_DATA)?;
    let is_ef = file.kind.is_ef();
    let operation = if is_ef { Operation::CREATE_EF } else { Operation::CREATE_DF };
    cx.check(parent, operation, |kind| matches!(kind, FileKind::Mf | FileKind::Df | FileKind::Adf))?;
    let profile = cx.profile.as_deref_mut().ok_or(StatusWord::FILE_NOT_FOUND)?;
    check_name(profile, parent, &file)?;
    let created = build(&file, parent)?;
    if profile.content_size().saturating_add(created.content.len()) > MAX_CONTENT {
        return Err(StatusWord::NOT_ENOUGH_MEMORY.into());
    }
    let index = place(profile, created)?;
    if let Err(error) = profile.store_changes(cx.env.store) {
        profile.remove(index);
        return Err(error.into());
    }
    if is_ef {
        cx.channel.select_ef(parent, index);
    } else {
        cx.channel.select_directory(index);
    }
    Ok(StatusWord::OK.into())
}

/// Errors: the file identifier is that of another file (6A89), or of none; the SFI is taken; too many levels (6A80).
fn check_name(profile: &Profile, parent: FileIndex, file: &EffectiveFile<'_>) -> Result<(), Refusal> {
    if matches!(file.fid, FID_MF | FID_CURRENT_ADF) || profile.child(parent, file.fid).is_some() {
        return Err(StatusWord::FILE_EXISTS.into());
    }
    let sfi_taken = file.sfi.is_some_and(|sfi| profile.child_by_sfi(parent, sfi).is_some());
    let too_deep =
        !file.kind.is_ef() && profile.upwards(parent).fold(0, |depth: usize, _| depth.saturating_add(1)) >= MAX_LEVELS;
    let is_state = matches!(file.life_cycle, 0x01 | 0x03..=0x07);
    if sfi_taken || too_deep || !is_state || file.link.is_some() {
        return Err(StatusWord::INCORRECT_DATA.into());
    }
    Ok(())
}

/// The file with its first content.
fn build(file: &EffectiveFile<'_>, parent: FileIndex) -> Result<File, Refusal> {
    let mut content = Vec::new();
    layout::initial_content(file, &mut content).map_err(|_| StatusWord::NOT_ENOUGH_MEMORY)?;
    // Here the template holds data objects, in a profile package key references alone.
    let mut pin_status = Vec::new();
    for object in Reader::new(file.pin_status.unwrap_or_default()) {
        let object = object.map_err(|_| StatusWord::INCORRECT_DATA)?;
        if object.tag == KEY_REFERENCE {
            pin_status.try_extend(object.value)?;
        }
    }
    let arr = file.arr;
    Ok(File {
        parent,
        fid: file.fid,
        kind: kind_of(file).ok_or(StatusWord::INCORRECT_DATA)?,
        sfi: file.sfi,
        security: Security::Arr { file: arr.fid, record: arr.record },
        life_cycle: file.life_cycle,
        special: file.special_information,
        aid: Vec::new(),
        pin_status,
        link: None,
        visible: true,
        shareable: file.shareable,
        content,
        changed: false,
        definition: Definition::Changes,
    })
}

/// Puts a file where another one was deleted, or behind all, but always behind its directory: so it can be read again.
/// Errors: too many files (6A84).
fn place(profile: &mut Profile, file: File) -> Result<FileIndex, Refusal> {
    let is_free = |at: FileIndex, place: &File| {
        at > file.parent && place.definition == Definition::Deleted && !place.is_directory()
    };
    let free = profile.places().find(|(at, place)| is_free(*at, place)).map(|(at, _)| at);
    let Some(index) = free else {
        let index = u16::try_from(profile.files.len()).map_err(|_| StatusWord::NOT_ENOUGH_MEMORY)?;
        if profile.files.len() >= MAX_FILES {
            return Err(StatusWord::NOT_ENOUGH_MEMORY.into());
        }
        profile.files.try_push(file)?;
        return Ok(FileIndex(index));
    };
    if let Some(place) = profile.files.get_mut(usize::from(index.0)) {
        *place = file;
    }
    Ok(index)
}

/// A DELETE FILE command.
#[derive(Clone, Copy)]
pub(super) struct Delete {
    fid: u16,
}

impl Delete {
    /// Reads the command. Errors: P1 or P2 other than 00; data that is no file identifier (6700).
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        let fid = command.data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?;
        Ok(Delete { fid: u16::from_be_bytes(fid) })
    }
}

/// Deletes an EF of the current directory, or a DF with all that is in it.
///
/// Errors: no such file (6A82), one that is not shareable is selected on another channel, or a file elsewhere is linked
/// to one (6985), the access rule (6982), the store does not write.
pub(super) fn delete(cx: &mut Context<'_>, command: Delete) -> Outcome {
    let directory = directory(cx)?;
    let index = select::child(cx.profile()?, directory, command.fid).ok_or(StatusWord::FILE_NOT_FOUND)?;
    let profile = cx.profile()?;
    let mut deleted: Vec<(FileIndex, Definition)> = Vec::new();
    for (at, file) in profile.indexed() {
        if profile.upwards(at).any(|above| above == index) {
            cx.check_shareable(at)?;
            deleted.try_push((at, file.definition))?;
        }
    }
    let is_deleted = |wanted: FileIndex| deleted.iter().any(|(index, _)| *index == wanted);
    if profile.indexed().any(|(at, file)| file.link.is_some_and(is_deleted) && !is_deleted(at)) {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    cx.check_access(index, Operation::DELETE)?;
    let profile = cx.profile.as_deref_mut().ok_or(StatusWord::FILE_NOT_FOUND)?;
    for (at, _) in &deleted {
        define(profile, *at, Definition::Deleted);
    }
    if let Err(error) = profile.store_changes(cx.env.store) {
        for (at, definition) in &deleted {
            define(profile, *at, *definition);
        }
        return Err(error.into());
    }
    deleted.iter().for_each(|(at, _)| profile.remove(*at));
    cx.channel.select_directory(directory);
    cx.files_deleted = true;
    Ok(StatusWord::OK.into())
}

fn define(profile: &mut Profile, index: FileIndex, definition: Definition) {
    if let Some(file) = profile.files.get_mut(usize::from(index.0)) {
        file.definition = definition;
    }
}

/// A RESIZE FILE command.
#[derive(Clone, Copy)]
pub(super) struct Resize {
    fid: u16,
    /// New size in bytes: of a BER-TLV structure EF the most that it may hold.
    size: usize,
    /// Whether a BER-TLV structure EF loses its content (P1 = 01).
    emptied: bool,
}

impl Resize {
    /// Reads the command. Errors: P1 other than 00 and 01, P2 other than 00; no data (6700), an FCP without a file
    /// identifier or a size (6A80).
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        if !matches!(command.p1p2(), 0x0000 | 0x0100) {
            return Err(StatusWord::INCORRECT_P1P2.into());
        }
        let fcp = fcp(command)?;
        let maximum = fcp.proprietary.and_then(|proprietary| proprietary.maximum_file_size);
        let (Some(fid), Some(size)) = (fcp.file_id, maximum.or(fcp.file_size)) else {
            return Err(StatusWord::INCORRECT_DATA.into());
        };
        Ok(Resize { fid, size: usize::try_from(size).unwrap_or(usize::MAX), emptied: command.p1 == 1 })
    }
}

/// Resizes an EF of the current directory, which then is selected. What is added holds FF.
///
/// Errors: no such file (6A82), a DF (6981), a link, a deactivated file (6985), the access rule (6982), a mode that it
/// has not (6A86), a size that is none for it (6A80), no room for it or for what it holds (6A84), the store does not
/// write.
pub(super) fn resize(cx: &mut Context<'_>, command: Resize) -> Outcome {
    let directory = directory(cx)?;
    let index = select::child(cx.profile()?, directory, command.fid).ok_or(StatusWord::FILE_NOT_FOUND)?;
    cx.check_shareable(index)?;
    let operation = Operation::only(ins::RESIZE_FILE);
    let kind = cx.check(index, operation, |kind| !matches!(kind, FileKind::Mf | FileKind::Df | FileKind::Adf))?;
    let profile = cx.profile()?;
    if profile.content_owner(index) != index {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    let content = profile.content(index);
    let (kind, length) = match kind {
        FileKind::BerTlv(_) => {
            let limit = command.size.min(MAX_FILE_SIZE);
            let kept = if command.emptied { 0 } else { content.len() };
            if limit == 0 {
                return Err(StatusWord::INCORRECT_DATA.into());
            }
            if kept > limit {
                return Err(StatusWord::NOT_ENOUGH_MEMORY.into());
            }
            (FileKind::BerTlv(u32::try_from(limit).unwrap_or(u32::MAX)), kept)
        }
        _ if command.emptied => return Err(StatusWord::INCORRECT_P1P2.into()),
        FileKind::LinearFixed(record) | FileKind::Cyclic(record) => {
            let record = usize::from(record.max(1));
            let fits =
                command.size.checked_rem(record) == Some(0) && command.size <= record.saturating_mul(MAX_RECORDS);
            (kind, if fits { command.size } else { 0 })
        }
        _ => (kind, command.size.min(MAX_FILE_SIZE)),
    };
    if length == 0 && !matches!(kind, FileKind::BerTlv(_)) {
        return Err(StatusWord::INCORRECT_DATA.into());
    }
    if profile.content_size().saturating_sub(content.len()).saturating_add(length) > MAX_CONTENT {
        return Err(StatusWord::NOT_ENOUGH_MEMORY.into());
    }
    let mut resized = Zeroizing::new(Vec::new());
    resized.try_reserve_exact(length).map_err(|_| StatusWord::NOT_ENOUGH_MEMORY)?;
    resized.try_extend(content.get(..length).unwrap_or(content))?;
    resized.try_resize(length, 0xFF)?;
    let profile = cx.profile.as_deref_mut().ok_or(StatusWord::FILE_NOT_FOUND)?;
    let before = redefine(profile, index, kind, Definition::Changes, &mut resized);
    if let Err(error) = profile.store_changes(cx.env.store) {
        if let Some((kind, definition)) = before {
            redefine(profile, index, kind, definition, &mut resized);
        }
        return Err(error.into());
    }
    cx.channel.select_ef(directory, index);
    Ok(StatusWord::OK.into())
}

/// Sets what resizing changes, and gives back what was: kind and definition, and the content in `content`.
fn redefine(
    profile: &mut Profile,
    index: FileIndex,
    kind: FileKind,
    definition: Definition,
    content: &mut Vec<u8>,
) -> Option<(FileKind, Definition)> {
    let file = profile.files.get_mut(usize::from(index.0))?;
    core::mem::swap(&mut file.content, content);
    Some((core::mem::replace(&mut file.kind, kind), core::mem::replace(&mut file.definition, definition)))
}
