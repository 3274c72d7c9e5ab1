//! SELECT and STATUS (TS 102 221 sections 11.1.1 and 11.1.2).

use super::fcp::{self, DF_NAME};
use super::interface::{Application, Channel};
use super::{Context, Outcome, Refusal, no_data};
use crate::profile::{FID_CURRENT_ADF, FID_MF, File, FileIndex, FileKind, Profile};
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response, StatusWord};
use teuicc_rsp::aid::ISDR;
use teuicc_tlv::Writer;

/// Longest DF name in bytes.
const MAX_AID: usize = 16;

/// A SELECT command.
pub(super) enum Select<'a> {
    /// A file, and whether its FCP is asked for.
    File { target: Target<'a>, answer: bool },
    /// P1 = 04: an application by the beginning of its AID.
    Application { aid: &'a [u8], occurrence: Occurrence, terminate: bool, answer: bool },
}

/// Which file: P1 and data.
pub(super) enum Target<'a> {
    /// P1 = 00: MF, DF or EF by its file identifier.
    File(u16),
    /// P1 = 01: a DF of the current directory.
    Child(u16),
    /// P1 = 03: the directory above.
    Parent,
    /// P1 = 08 and 09: down from the MF, or from the current directory.
    Path { from_mf: bool, path: &'a [u8] },
}

impl<'a> Target<'a> {
    /// Reads P1 and data. Errors: P1 not of TS 102 221 table 11.1 (6A86); wrong length (6700).
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let fid = || <[u8; 2]>::try_from(command.data).map(u16::from_be_bytes).map_err(|_| StatusWord::WRONG_LENGTH);
        Ok(match command.p1 {
            0x00 if command.data.is_empty() => Target::File(FID_MF),
            0x00 => Target::File(fid()?),
            0x01 => Target::Child(fid()?),
            0x03 => {
                no_data(command)?;
                Target::Parent
            }
            0x08 | 0x09 if command.data.is_empty() || !command.data.len().is_multiple_of(2) => {
                return Err(StatusWord::WRONG_LENGTH.into());
            }
            0x08 | 0x09 => Target::Path { from_mf: command.p1 == 0x08, path: command.data },
            _ => return Err(StatusWord::INCORRECT_P1P2.into()),
        })
    }
}

/// Which of the applications that match a partial AID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Occurrence {
    First,
    Last,
    Next,
    Previous,
}

impl<'a> Select<'a> {
    /// Reads the command. Errors: P1 or P2 not of TS 102 221 tables 11.1 and 11.2; wrong length.
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let by_name = command.p1 == 0x04;
        // Bits 7 and 6 (session control) and 2 and 1 (occurrence) mean something for AIDs only.
        let (answer, control) = (command.p2 & 0x0C, command.p2 & !0x0C);
        let allowed = if by_name { control & !0x43 == 0 } else { control == 0 };
        if !allowed || answer == 0x08 {
            return Err(StatusWord::INCORRECT_P1P2.into());
        }
        let answer = answer != 0x0C;
        if !by_name {
            return Ok(Select::File { target: Target::parse(command)?, answer });
        }
        if command.data.is_empty() || command.data.len() > MAX_AID {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        let occurrence = match control & 0x03 {
            0 => Occurrence::First,
            1 => Occurrence::Last,
            2 => Occurrence::Next,
            _ => Occurrence::Previous,
        };
        Ok(Select::Application { aid: command.data, occurrence, terminate: control & 0x40 != 0, answer })
    }
}

/// Selects, and answers with the FCP if it is asked for; `6283` with it if the file is deactivated, `6285` if it is
/// terminated.
///
/// Errors: no such file (6A82), one that is not shareable is selected on another channel (6985).
pub(super) fn select(cx: &mut Context<'_>, command: &Select<'_>) -> Outcome {
    let (target, answer) = match command {
        Select::File { target, answer } => (target, *answer),
        Select::Application { aid, occurrence, terminate, answer } => {
            return select_application(cx, aid, *occurrence, *terminate, *answer);
        }
    };
    let Some(profile) = cx.profile.as_deref() else {
        return select_on_empty_card(&mut cx.channel, target, answer);
    };
    let index = find(profile, &cx.channel, target).ok_or(StatusWord::FILE_NOT_FOUND)?;
    cx.check_shareable(index)?;
    let file = profile.file(index).ok_or(StatusWord::FILE_NOT_FOUND)?;
    // Before anything is selected: there may be no memory for it.
    let data = if answer { fcp::of_file(profile, index, cx.interface.memory()?)? } else { Vec::new() };
    if file.is_directory() {
        cx.channel.select_directory(index);
    } else {
        cx.channel.select_ef(file.parent, index);
    }
    Ok(Response { data, sw: selected(file) })
}

/// The status word that tells the life cycle status of a file which was selected.
fn selected(file: &File) -> StatusWord {
    if file.is_terminated() {
        StatusWord::FILE_TERMINATED
    } else if file.is_deactivated() {
        StatusWord::FILE_DEACTIVATED
    } else {
        StatusWord::OK
    }
}

/// A STATUS command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// P2 = 00: the FCP of the current directory.
    Fcp,
    /// P2 = 01: the name of the active application.
    DfName,
    /// P2 = 0C: nothing.
    NoData,
}

impl Status {
    /// Reads the command. P1 says that the terminal has initialised, or is about to end, its application session;
    /// that changes nothing here. Errors: P1 or P2 not of TS 102 221 section 11.1.2.2; data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        let status = match (command.p1, command.p2) {
            (0..=2, 0x00) => Status::Fcp,
            (0..=2, 0x01) => Status::DfName,
            (0..=2, 0x0C) => Status::NoData,
            _ => return Err(StatusWord::INCORRECT_P1P2.into()),
        };
        no_data(command)?;
        Ok(status)
    }
}

/// Says where the channel is.
pub(super) fn status(cx: &mut Context<'_>, command: Status) -> Outcome {
    match (command, cx.profile.as_deref()) {
        (Status::NoData, _) => Ok(StatusWord::OK.into()),
        (Status::Fcp, None) => Ok(Response::data(fcp::of_empty_card()?)),
        (Status::Fcp, Some(profile)) => {
            Ok(Response::data(fcp::of_file(profile, cx.channel.directory(), cx.interface.memory()?)?))
        }
        (Status::DfName, profile) => {
            let aid = match cx.channel.application {
                Application::IsdR => Some(&ISDR[..]),
                Application::Adf(adf) => profile.and_then(|profile| profile.file(adf)).map(|file| file.aid.as_slice()),
                Application::None => None,
            };
            let mut out = Writer::new();
            out.primitive(DF_NAME, aid.ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?)?;
            Ok(Response::data(out.into_bytes()))
        }
    }
}

fn select_on_empty_card(channel: &mut Channel, target: &Target<'_>, answer: bool) -> Outcome {
    let is_mf = match *target {
        Target::File(fid) => fid == FID_MF,
        Target::Path { from_mf, path } => from_mf && path == FID_MF.to_be_bytes(),
        Target::Child(_) | Target::Parent => false,
    };
    if !is_mf {
        return Err(StatusWord::FILE_NOT_FOUND.into());
    }
    channel.select_directory(FileIndex::MF);
    Ok(Response::data(if answer { fcp::of_empty_card()? } else { Vec::new() }))
}

/// The file that a command means, as seen from where the channel is.
pub(super) fn find(profile: &Profile, channel: &Channel, target: &Target<'_>) -> Option<FileIndex> {
    let directory = channel.directory();
    let parent = profile.file(directory)?.parent;
    match *target {
        Target::File(fid) => find_by_fid(profile, channel, fid),
        Target::Child(fid) => child(profile, directory, fid).filter(|index| is_directory(profile, *index)),
        Target::Parent => Some(parent),
        Target::Path { from_mf, path } => {
            let mut fids =
                path.chunks_exact(2).map(|fid| fid.iter().fold(0, |fid, byte| (fid << 8) | u16::from(*byte)));
            let mut current = directory;
            if from_mf {
                current = FileIndex::MF;
                let mut rest = fids.clone();
                // 7FFF stands for the active application; the MF itself is not part of a path, but harmless.
                match rest.next() {
                    Some(FID_CURRENT_ADF) => (current, fids) = (current_adf(channel)?, rest),
                    Some(FID_MF) => fids = rest,
                    _ => {}
                }
            }
            fids.try_fold(current, |directory, fid| child(profile, directory, fid))
        }
    }
}

/// A file by its identifier (TS 102 221 section 8.4.1): the MF, the active application's ADF, a child of the current
/// directory, that directory itself, the one above, or a DF beside it.
pub(super) fn find_by_fid(profile: &Profile, channel: &Channel, fid: u16) -> Option<FileIndex> {
    let directory = channel.directory();
    let parent = profile.file(directory)?.parent;
    match fid {
        FID_MF => Some(FileIndex::MF),
        FID_CURRENT_ADF => current_adf(channel),
        _ => child(profile, directory, fid)
            .or_else(|| [directory, parent].into_iter().find(|index| is_df_with_fid(profile, *index, fid)))
            .or_else(|| child(profile, parent, fid).filter(|index| is_directory(profile, *index))),
    }
}

fn current_adf(channel: &Channel) -> Option<FileIndex> {
    match channel.application {
        Application::Adf(adf) => Some(adf),
        Application::None | Application::IsdR => None,
    }
}

/// The child of `directory` that a terminal can see.
pub(super) fn child(profile: &Profile, directory: FileIndex, fid: u16) -> Option<FileIndex> {
    profile.child(directory, fid).filter(|index| profile.file(*index).is_some_and(|file| file.visible))
}

fn is_directory(profile: &Profile, index: FileIndex) -> bool {
    profile.file(index).is_some_and(|file| file.is_directory())
}

fn is_df_with_fid(profile: &Profile, index: FileIndex, fid: u16) -> bool {
    profile.file(index).is_some_and(|file| file.kind == FileKind::Df && file.fid == fid)
}

/// Selects an application by the beginning of its AID: an ADF of the enabled profile, or the ISD-R.
fn select_application(
    cx: &mut Context<'_>,
    aid: &[u8],
    occurrence: Occurrence,
    terminate: bool,
    answer: bool,
) -> Outcome {
    let profile = cx.profile.as_deref();
    let application =
        find_application(profile, cx.channel.application, aid, occurrence).ok_or(StatusWord::FILE_NOT_FOUND)?;
    let mut sw = StatusWord::OK;
    if let (Application::Adf(adf), Some(profile), false) = (application, profile, terminate) {
        cx.check_shareable(adf)?;
        sw = profile.file(adf).map_or(StatusWord::OK, selected);
    }
    let data = match (answer, application, profile) {
        (true, Application::IsdR, _) => cx.euicc.select_response()?,
        (true, Application::Adf(adf), Some(profile)) => fcp::of_file(profile, adf, cx.interface.memory()?)?,
        _ => Vec::new(),
    };
    match application {
        _ if terminate && application == cx.channel.application => cx.channel = Channel::new(),
        _ if terminate => {}
        Application::IsdR => cx.channel.select_isd_r(),
        Application::Adf(adf) => cx.channel.select_application(adf),
        Application::None => {}
    }
    Ok(Response { data, sw })
}

fn find_application(
    profile: Option<&Profile>,
    current: Application,
    aid: &[u8],
    occurrence: Occurrence,
) -> Option<Application> {
    let adfs = profile.into_iter().flat_map(Profile::adfs);
    let mut matching = adfs
        .filter(|(_, file)| file.aid.starts_with(aid))
        .map(|(index, _)| Application::Adf(index))
        .chain(ISDR.starts_with(aid).then_some(Application::IsdR));
    match occurrence {
        Occurrence::First => matching.next(),
        Occurrence::Last => matching.last(),
        Occurrence::Next => matching.skip_while(|application| *application != current).nth(1),
        Occurrence::Previous => {
            let mut previous = None;
            matching
                .find_map(|application| {
                    (application == current).then_some(previous).or_else(|| {
                        previous = Some(application);
                        None
                    })
                })
                .flatten()
        }
    }
}
