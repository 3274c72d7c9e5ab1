//! The file system as class A0 shows it: DF.GSM is the first USIM, with the files that a SIM keeps in another place or
//! another form; the answers to SELECT and STATUS (TS 51.011 section 9.2.1).

use super::Session;
use crate::profile::{FID_CURRENT_ADF, FID_MF, FileIndex, FileKind, Pin, Profile};
use crate::uicc::access::{self, Operation};
use crate::uicc::interface::Application;
use crate::uicc::select::{child, find_by_fid};
use crate::uicc::usim::application_pin;
use crate::uicc::{Context, Outcome, Refusal, SPECIAL_USABLE_DEACTIVATED};
use alloc::vec::Vec;
use teuicc_apdu::{Response, StatusWord, ins};
use teuicc_tlv::{OutOfMemory, TryBytes, try_copy};

const FID_DF_TELECOM: u16 = 0x7F10;
const FID_DF_GSM: u16 = 0x7F20;
const FID_DF_GSM_ACCESS: u16 = 0x5F3B;

/// EFs of DF.GSM that a USIM has under another identifier (TS 31.102 section 4.4.3): Kc, KcGPRS, CPBCCH and InvScan in
/// its DF.GSM-ACCESS.
const IN_GSM_ACCESS: [(u16, u16); 4] = [(0x6F20, 0x4F20), (0x6F52, 0x4F52), (0x6F63, 0x4F63), (0x6F64, 0x4F64)];
const EF_IMSI: u16 = 0x6F07;
/// EF.LOCIGPRS has the content of EF.PSLOCI.
const EF_LOCIGPRS: u16 = 0x6F53;
const EF_PSLOCI: u16 = 0x6F73;

const EF_PHASE: u16 = 0x6FAE;
/// EF.SST in DF.GSM, EF.UST in a USIM.
const EF_SERVICE_TABLE: u16 = 0x6F38;
const EF_ECC: u16 = 0x6FB7;
const EF_PLMNSEL: u16 = 0x6F30;
const EF_PLMNWACT: u16 = 0x6F60;
const EF_ADN: u16 = 0x6F3A;

/// EFs that a SIM has in DF.TELECOM and a USIM has itself: FDN, SMS, MSISDN, SMSP, SMSS, SMSR, SDN, EXT2, EXT3, BDN.
const OF_TELECOM: [u16; 10] = [0x6F3B, 0x6F3C, 0x6F40, 0x6F42, 0x6F43, 0x6F47, 0x6F49, 0x6F4B, 0x6F4C, 0x6F4D];

/// Phase 2 and PROFILE DOWNLOAD required (TS 51.011 section 10.3.16).
const PHASE_2_PLUS: u8 = 0x03;

/// For each service of EF.SST, from 1 on, the service of EF.UST that is the same (TS 51.011 section 10.3.7, TS 31.102
/// section 4.2.8).
const SERVICES: [u8; 56] = [
    ALWAYS, ADN, 2, 10, 13, 14, 20, NEVER, 21, NEVER, 3, 12, NEVER, 15, 17, 18, 19, 4, 5, NEVER, 57, 58, 24, 25, 29,
    28, NEVER, 30, ALWAYS, 16, 6, 7, 36, 37, 11, NEVER, 31, 27, 22, 23, NEVER, 32, 20, 42, 43, 39, 40, NEVER, 41,
    NEVER, 45, 46, 47, 48, 49, 51,
];
const NEVER: u8 = 0;
/// The CHV1 disable function, and the proactive SIM.
const ALWAYS: u8 = 0xFF;
/// Abbreviated dialling numbers, if they are in DF.TELECOM.
const ADN: u8 = 0xFE;

/// An EF of DF.GSM that no file of the USIM holds as it is. It is transparent and cannot be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::uicc) enum Converted {
    /// EF.Phase.
    Phase,
    /// EF.SST, from this EF.UST.
    ServiceTable(FileIndex),
    /// The first three bytes of every so many of this EF: EF.ECC of the records of a USIM's, EF.PLMNsel of EF.PLMNwAcT.
    Triples(FileIndex, u8),
}

impl Converted {
    fn content(self, profile: &Profile) -> Result<Vec<u8>, OutOfMemory> {
        let mut content = Vec::new();
        match self {
            Converted::Phase => content.try_push(PHASE_2_PLUS)?,
            Converted::ServiceTable(ust) => {
                let ust = profile.content(ust);
                let has_adn = profile.child(FileIndex::MF, FID_DF_TELECOM).and_then(|df| child(profile, df, EF_ADN));
                let available = |service: &u8| match *service {
                    NEVER => false,
                    ALWAYS => true,
                    ADN => has_adn.is_some(),
                    number => {
                        let bit = number.saturating_sub(1);
                        let octet = ust.get(usize::from(bit / 8)).copied().unwrap_or(0);
                        octet.rotate_right(u32::from(bit % 8)) & 0x01 != 0
                    }
                };
                for services in SERVICES.chunks(4) {
                    // Allocated and activated, the first service lowest.
                    let octet = services
                        .iter()
                        .rev()
                        .fold(0, |octet, one| octet << 2 | if available(one) { 0x03 } else { 0x00 });
                    content.try_push(octet)?;
                }
            }
            Converted::Triples(source, step) => {
                for item in profile.content(source).chunks_exact(usize::from(step.max(3))) {
                    content.try_extend(item.get(..3).unwrap_or_default())?;
                }
            }
        }
        Ok(content)
    }

    /// The file whose access rule for reading holds; `None` if reading is always allowed.
    fn source(self) -> Option<FileIndex> {
        match self {
            Converted::Phase => None,
            Converted::ServiceTable(source) | Converted::Triples(source, _) => Some(source),
        }
    }
}

/// What a file identifier means in class A0.
enum Found {
    Directory(FileIndex),
    /// An EF of the current directory, wherever it lies.
    Ef(FileIndex),
    Converted(Converted),
}

/// SELECT. Errors: no such file as seen from the current directory (6A82), one that is not shareable is selected on
/// another channel (6985).
pub(super) fn select(cx: &mut Context<'_>, fid: u16) -> Outcome {
    let Some(profile) = cx.profile.as_deref() else {
        if fid != FID_MF {
            return Err(StatusWord::FILE_NOT_FOUND.into());
        }
        let data = directory(None, FileIndex::MF)?;
        cx.channel.select_directory(FileIndex::MF);
        return Ok(Response::data(data));
    };
    let here = cx.channel.directory();
    let mut converted = None;
    let (data, there) = match find(profile, cx, fid).ok_or(StatusWord::FILE_NOT_FOUND)? {
        Found::Directory(index) => {
            cx.check_shareable(index)?;
            let data = directory(Some(profile), index)?;
            cx.channel.select_directory(index);
            (data, index)
        }
        Found::Ef(index) => {
            cx.check_shareable(index)?;
            let data = ef(profile, index, fid)?.ok_or(StatusWord::FILE_NOT_FOUND)?;
            let is_cyclic = profile.file(index).is_some_and(|file| matches!(file.kind, FileKind::Cyclic(_)));
            cx.channel.select_ef(here, index);
            // The record pointer is on the record that was written last (TS 51.011 section 6.5).
            cx.channel.record = is_cyclic.then_some(1);
            (data, here)
        }
        Found::Converted(made) => {
            let data = converted_ef(profile, made, fid)?;
            cx.channel.select_directory(here);
            converted = Some(made);
            (data, here)
        }
    };
    let usim = first_usim(profile).filter(|usim| profile.upwards(there).any(|directory| directory == *usim));
    cx.channel.application = usim.map_or(Application::None, Application::Adf);
    if usim.is_some() || cx.interface.gsm != Session::None {
        cx.interface.gsm = Session::Gsm(converted);
    }
    Ok(Response::data(data))
}

/// The content of an EF that the view makes, from `offset` on. Errors: the access rule of the file that it is made of
/// (6982), an offset outside of it (6B00).
pub(super) fn read(cx: &Context<'_>, converted: Converted, offset: usize) -> Result<Vec<u8>, Refusal> {
    if let Some(source) = converted.source() {
        cx.check(source, reading(cx.profile()?, source), |_| true)?;
    }
    let content = converted.content(cx.profile()?)?;
    let rest = content.get(offset..).filter(|rest| !rest.is_empty()).ok_or(StatusWord::WRONG_PARAMETERS)?;
    Ok(try_copy(rest)?)
}

/// Where CHV1 and CHV2 are looked for, and their key references: the application PIN and the second one of the first
/// USIM.
pub(super) fn pins(profile: &Profile) -> (FileIndex, [u8; 2]) {
    let directory = first_usim(profile).unwrap_or(FileIndex::MF);
    let template = profile.file(directory).map_or(&[][..], |file| &file.pin_status);
    let second = template.iter().copied().find(|reference| matches!(reference, 0x81..=0x88));
    (directory, [application_pin(profile, directory).unwrap_or(0x01), second.unwrap_or(0x81)])
}

/// The first USIM with an IMSI: without one there is no subscription for a SIM.
fn first_usim(profile: &Profile) -> Option<FileIndex> {
    let has_imsi = |index| profile.child(index, EF_IMSI).is_some();
    profile.adfs().find(|(index, file)| file.is_usim() && has_imsi(*index)).map(|(index, _)| index)
}

fn find(profile: &Profile, cx: &Context<'_>, fid: u16) -> Option<Found> {
    let here = cx.channel.directory();
    let parent = profile.file(here)?.parent;
    let usim = first_usim(profile);
    if let (FID_DF_GSM, Some(usim)) = (fid, usim) {
        // From the MF, a DF beside it, itself, and a DF in it.
        let reachable = here == FileIndex::MF || parent == FileIndex::MF || parent == usim;
        return reachable.then_some(Found::Directory(usim));
    }
    if Some(here) == usim
        && let Some(found) = find_in_usim(profile, here, fid)
    {
        return Some(found);
    }
    let found = match fid {
        FID_DF_GSM | FID_CURRENT_ADF => None,
        _ => find_by_fid(profile, &cx.channel, fid),
    };
    let is_telecom = profile.file(here).is_some_and(|file| file.fid == FID_DF_TELECOM);
    let found = found.or_else(|| {
        let usim = usim.filter(|_| is_telecom && OF_TELECOM.contains(&fid))?;
        child(profile, usim, fid)
    })?;
    let file = profile.file(found)?;
    Some(if file.is_directory() { Found::Directory(found) } else { Found::Ef(found) })
}

/// What a SIM keeps in another place or form.
fn find_in_usim(profile: &Profile, usim: FileIndex, fid: u16) -> Option<Found> {
    let own = |fid| child(profile, usim, fid);
    match fid {
        EF_SERVICE_TABLE => own(fid).map(|ust| Found::Converted(Converted::ServiceTable(ust))),
        EF_ECC => match own(fid).and_then(|ecc| Some((ecc, profile.file(ecc)?.kind)))? {
            (ecc, FileKind::LinearFixed(length)) => Some(Found::Converted(Converted::Triples(ecc, length))),
            _ => None,
        },
        _ if own(fid).is_some() => None,
        EF_PHASE => Some(Found::Converted(Converted::Phase)),
        EF_PLMNSEL => own(EF_PLMNWACT).map(|plmns| Found::Converted(Converted::Triples(plmns, 5))),
        EF_LOCIGPRS => own(EF_PSLOCI).map(Found::Ef),
        _ => {
            let (_, fid) = IN_GSM_ACCESS.iter().find(|(in_gsm, _)| *in_gsm == fid)?;
            own(FID_DF_GSM_ACCESS).and_then(|df| child(profile, df, *fid)).map(Found::Ef)
        }
    }
}

/// The answer for MF or DF: 22 bytes (TS 51.011 section 9.2.1). Without a profile it is the MF of an empty card.
pub(super) fn directory(profile: Option<&Profile>, index: FileIndex) -> Result<Vec<u8>, OutOfMemory> {
    let file = profile.and_then(|profile| profile.file(index));
    let (fid, kind) = match file {
        Some(file) if file.kind == FileKind::Adf => (FID_DF_GSM, 0x02),
        Some(file) if file.kind == FileKind::Df => (file.fid, 0x02),
        _ => (FID_MF, 0x01),
    };
    let [high, low] = fid.to_be_bytes();
    let (directories, files) = profile.map_or((0, 0), |profile| members(profile, index));
    let [chv1, chv2] = profile.map_or([None; 2], |profile| {
        let (directory, references) = pins(profile);
        references.map(|reference| profile.pin_index(reference, directory).and_then(|place| profile.pins.get(place)))
    });
    let ([chv1_status, unblock1], [chv2_status, unblock2]) = (codes(chv1), codes(chv2));
    let administrative =
        profile.into_iter().flat_map(|profile| &profile.pins).filter(|pin| pin.reference & 0x0F >= 0x0A);
    let initialised = [chv1_status, unblock1, chv2_status, unblock2].into_iter().filter(|status| *status != 0);
    let number = count(initialised).saturating_add(count(administrative));
    let disabled = if chv1.is_some_and(|pin| pin.enabled) { 0x00 } else { CHV1_DISABLED };
    let characteristics = CHARACTERISTICS | disabled;
    let mut answer = Vec::new();
    // RFU, free memory, identifier, type, RFU; the number of bytes that follow.
    answer.try_extend(&[0, 0, 0, 0, high, low, kind, 0, 0, 0, 0, 0, 9])?;
    answer.try_extend(&[
        characteristics,
        directories,
        files,
        number,
        0,
        chv1_status,
        unblock1,
        chv2_status,
        unblock2,
    ])?;
    Ok(answer)
}

/// Clock stop allowed without a preferred level, 13/8 MHz do for authentication, 1.8 V technology (TS 51.011 section
/// 9.3).
const CHARACTERISTICS: u8 = 0x31;
const CHV1_DISABLED: u8 = 0x80;

/// The status of a CHV and of its UNBLOCK CHV: initialised, and the tries left; 0 if there is none.
fn codes(pin: Option<&Pin>) -> [u8; 2] {
    let puk = pin.and_then(|pin| pin.puk.as_ref());
    [pin.map(|pin| pin.tries_left), puk.map(|puk| puk.tries_left)].map(|tries| tries.map_or(0, |tries| 0x80 | tries))
}

/// How many DFs and EFs a directory has in class A0.
fn members(profile: &Profile, index: FileIndex) -> (u8, u8) {
    let usim = first_usim(profile);
    let visible = || profile.children(index).map(|(_, file)| file).filter(|file| file.visible);
    // An ADF is a child of the MF; the first USIM is a DF of it here.
    let gsm = usim.filter(|_| index == FileIndex::MF);
    let directories = count(visible().filter(|file| file.kind == FileKind::Df)).saturating_add(count(gsm.into_iter()));
    let files = count(visible().filter(|file| !file.is_directory() && !matches!(file.kind, FileKind::BerTlv(_))));
    if usim != Some(index) {
        return (directories, files);
    }
    let elsewhere = IN_GSM_ACCESS.iter().map(|(fid, _)| *fid).chain([EF_LOCIGPRS, EF_PHASE, EF_PLMNSEL]);
    let elsewhere = elsewhere.filter(|fid| find_in_usim(profile, index, *fid).is_some());
    (directories, files.saturating_add(count(elsewhere)))
}

fn count<T>(items: impl Iterator<Item = T>) -> u8 {
    items.fold(0, |count: u8, _| count.saturating_add(1))
}

/// The answer for an EF under the identifier by which it was asked for: 15 bytes. `None` for a structure that class A0
/// has no word for.
fn ef(profile: &Profile, index: FileIndex, fid: u16) -> Result<Option<Vec<u8>>, OutOfMemory> {
    let Some(file) = profile.file(index) else { return Ok(None) };
    let (structure, record) = match file.kind {
        FileKind::Transparent => (0, 0),
        FileKind::LinearFixed(length) => (1, length),
        FileKind::Cyclic(length) => (3, length),
        _ => return Ok(None),
    };
    let update = Operation::update(if structure == 0 { ins::UPDATE_BINARY } else { ins::UPDATE_RECORD });
    let read = condition(profile, index, reading(profile, index));
    let [update, increase, rehabilitate, invalidate] =
        [update, Operation::only(ins::INCREASE), Operation::ACTIVATE, Operation::DEACTIVATE]
            .map(|operation| condition(profile, index, operation));
    // The low half is RFU where INCREASE stands in the high one.
    let access = [read << 4 | update, increase << 4 | CONDITION_NEVER, rehabilitate << 4 | invalidate];
    let activated = if file.is_deactivated() || file.is_terminated() { 0x00 } else { 0x01 };
    let usable = if file.special & SPECIAL_USABLE_DEACTIVATED != 0 { 0x04 } else { 0x00 };
    answer(profile.content(index).len(), fid, access, activated | usable, structure, record).map(Some)
}

fn converted_ef(profile: &Profile, converted: Converted, fid: u16) -> Result<Vec<u8>, OutOfMemory> {
    let read =
        converted.source().map_or(CONDITION_ALWAYS, |source| condition(profile, source, reading(profile, source)));
    let access = [read << 4 | CONDITION_NEVER, NOBODY, NOBODY];
    answer(converted.content(profile)?.len(), fid, access, 0x01, 0, 0)
}

fn answer(
    size: usize,
    fid: u16,
    access: [u8; 3],
    status: u8,
    structure: u8,
    record: u8,
) -> Result<Vec<u8>, OutOfMemory> {
    let [size_high, size_low] = u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes();
    let [high, low] = fid.to_be_bytes();
    let [read_update, increase, rehabilitate_invalidate] = access;
    // Byte 8, bit 7: a cyclic EF that INCREASE works on.
    let increasable = if structure == 3 && increase >> 4 != CONDITION_NEVER { 0x40 } else { 0x00 };
    let mut answer = Vec::new();
    // RFU, size, identifier, an EF; conditions and status; the number of bytes that follow.
    answer.try_extend(&[0, 0, size_high, size_low, high, low, 0x04, increasable])?;
    answer.try_extend(&[read_update, increase, rehabilitate_invalidate, status, 2, structure, record])?;
    Ok(answer)
}

/// Access conditions (TS 51.011 section 9.3).
const CONDITION_ALWAYS: u8 = 0x0;
const CONDITION_CHV1: u8 = 0x1;
const CONDITION_CHV2: u8 = 0x2;
const CONDITION_ADM: u8 = 0x4;
const CONDITION_NEVER: u8 = 0xF;
/// Two operations that are never allowed.
const NOBODY: u8 = CONDITION_NEVER << 4 | CONDITION_NEVER;

/// How class A0 names the rule of a file for `operation`: by the least key that alone opens it. It is the rule itself
/// that decides.
fn condition(profile: &Profile, index: FileIndex, operation: Operation) -> u8 {
    let opens = |presented: &dyn Fn(u8) -> bool| access::opens(profile, index, operation, presented);
    let (_, [chv1, chv2]) = pins(profile);
    if opens(&|_| false) {
        CONDITION_ALWAYS
    } else if opens(&|key| key == chv1) {
        CONDITION_CHV1
    } else if opens(&|key| key == chv2) {
        CONDITION_CHV2
    } else {
        // ADM1 to ADM5 are global, ADM6 to ADM10 local.
        let administrative = (0x0A..=0x0E).chain(0x8A..=0x8E);
        (CONDITION_ADM..CONDITION_NEVER)
            .zip(administrative)
            .find(|(_, wanted)| opens(&|key| key == *wanted))
            .map_or(CONDITION_NEVER, |(condition, _)| condition)
    }
}

fn reading(profile: &Profile, index: FileIndex) -> Operation {
    let transparent = profile.file(index).is_some_and(|file| file.kind == FileKind::Transparent);
    Operation::read(if transparent { ins::READ_BINARY } else { ins::READ_RECORD })
}
