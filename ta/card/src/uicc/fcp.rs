//! The file control parameters template (TS 102 221 section 11.1.1.3).

use crate::profile::{FID_MF, File, FileIndex, FileKind, Profile, Security};
use alloc::vec::Vec;
use teuicc_tlv::{Error, Tag, Writer};

const FCP: Tag = Tag(0x62);
const FILE_SIZE: Tag = Tag(0x80);
const TOTAL_FILE_SIZE: Tag = Tag(0x81);
const FILE_DESCRIPTOR: Tag = Tag(0x82);
const FILE_IDENTIFIER: Tag = Tag(0x83);
/// DF name, in an FCP and in the answer to STATUS.
pub(super) const DF_NAME: Tag = Tag(0x84);
const SHORT_FILE_IDENTIFIER: Tag = Tag(0x88);
const LIFE_CYCLE_STATUS: Tag = Tag(0x8A);
const SECURITY_ATTRIBUTES: Tag = Tag(0x8B);
const PROPRIETARY: Tag = Tag(0xA5);
const PIN_STATUS: Tag = Tag(0xC6);

/// File descriptor bytes (TS 102 221 table 11.5), each with the data coding byte behind it.
const SHAREABLE: u8 = 0x40;
const DIRECTORY: u8 = 0x38;
const TRANSPARENT: u8 = 0x01;
const LINEAR_FIXED: u8 = 0x02;
const CYCLIC: u8 = 0x06;
const BER_TLV: u8 = 0x39;
const DATA_CODING: u8 = 0x21;

/// UICC characteristics: clock stop allowed in either state; supply voltage classes A, B and C (TS 102 221 section
/// 11.1.1.4.6.1).
const UICC_CHARACTERISTICS: u8 = 0x71;

/// Supported system commands: TERMINAL CAPABILITY (TS 102 221 section 11.1.1.4.6.8). A terminal sends it only if this
/// says so.
const SUPPORTED_COMMANDS: u8 = 0x01;

/// Key reference of the universal PIN, the only one with a usage qualifier.
const UNIVERSAL_PIN: u8 = 0x11;

/// The FCP of the file at `index`, in the memory of `memory`; nothing if there is no such file. Errors: out of memory.
pub(super) fn of_file(profile: &Profile, index: FileIndex, memory: Vec<u8>) -> Result<Vec<u8>, Error> {
    let mut out = Writer::reusing(memory);
    if let Some(file) = profile.file(index) {
        out.nested(FCP, |fcp| {
            if file.is_directory() { directory(fcp, profile, index, file) } else { ef(fcp, profile, index, file) }
        })?;
    }
    Ok(out.into_bytes())
}

/// The FCP of the MF while no profile is enabled: no files beneath it, and no PIN that would have to be presented.
pub(super) fn of_empty_card() -> Result<Vec<u8>, Error> {
    let mut out = Writer::new();
    out.nested(FCP, |fcp| {
        fcp.primitive(FILE_DESCRIPTOR, &[SHAREABLE | DIRECTORY, DATA_CODING])?;
        fcp.primitive(FILE_IDENTIFIER, &FID_MF.to_be_bytes())?;
        uicc_characteristics(fcp)?;
        fcp.primitive(LIFE_CYCLE_STATUS, &[0x05])?;
        pin_status(fcp, &[0x01], &|_| false)
    })?;
    Ok(out.into_bytes())
}

fn directory(fcp: &mut Writer, profile: &Profile, index: FileIndex, file: &File) -> Result<(), Error> {
    fcp.primitive(FILE_DESCRIPTOR, &[shareable(file) | DIRECTORY, DATA_CODING])?;
    match file.kind {
        FileKind::Adf => fcp.primitive(DF_NAME, &file.aid)?,
        FileKind::Mf => fcp.primitive(FILE_IDENTIFIER, &FID_MF.to_be_bytes())?,
        _ => fcp.primitive(FILE_IDENTIFIER, &file.fid.to_be_bytes())?,
    }
    if file.kind == FileKind::Mf {
        uicc_characteristics(fcp)?;
    }
    fcp.primitive(LIFE_CYCLE_STATUS, &[file.life_cycle])?;
    security(fcp, file)?;
    pin_status_of(fcp, profile, index)
}

fn ef(fcp: &mut Writer, profile: &Profile, index: FileIndex, file: &File) -> Result<(), Error> {
    let size = profile.content(index).len();
    let records = |length: u8| u8::try_from(size.checked_div(usize::from(length)).unwrap_or(0)).unwrap_or(u8::MAX);
    match file.kind {
        FileKind::LinearFixed(length) | FileKind::Cyclic(length) => {
            let structure = if matches!(file.kind, FileKind::Cyclic(_)) { CYCLIC } else { LINEAR_FIXED };
            let descriptor = [shareable(file) | structure, DATA_CODING, 0x00, length, records(length)];
            fcp.primitive(FILE_DESCRIPTOR, &descriptor)?;
        }
        FileKind::BerTlv(_) => fcp.primitive(FILE_DESCRIPTOR, &[shareable(file) | BER_TLV, DATA_CODING])?,
        _ => fcp.primitive(FILE_DESCRIPTOR, &[shareable(file) | TRANSPARENT, DATA_CODING])?,
    }
    fcp.primitive(FILE_IDENTIFIER, &file.fid.to_be_bytes())?;
    ef_proprietary(fcp, file)?;
    fcp.primitive(LIFE_CYCLE_STATUS, &[file.life_cycle])?;
    security(fcp, file)?;
    number(fcp, FILE_SIZE, size)?;
    number(fcp, TOTAL_FILE_SIZE, size)?;
    // Present and empty says that there is none; absent would mean the low bits of the file identifier.
    match file.sfi {
        Some(sfi) => fcp.primitive(SHORT_FILE_IDENTIFIER, &[sfi.wrapping_shl(3)])?,
        None => fcp.primitive(SHORT_FILE_IDENTIFIER, &[])?,
    }
    // Of the directory. TS 102 221 has it for directories only, but there are modems that want it for EFs too.
    pin_status_of(fcp, profile, file.parent)
}

fn shareable(file: &File) -> u8 {
    if file.shareable { SHAREABLE } else { 0 }
}

fn uicc_characteristics(fcp: &mut Writer) -> Result<(), Error> {
    fcp.nested(PROPRIETARY, |members| {
        members.primitive(Tag(0x80), &[UICC_CHARACTERISTICS])?;
        members.primitive(Tag(0x87), &[SUPPORTED_COMMANDS])
    })
}

fn ef_proprietary(fcp: &mut Writer, file: &File) -> Result<(), Error> {
    let FileKind::BerTlv(maximum) = file.kind else {
        if file.special == 0 {
            return Ok(());
        }
        return fcp.nested(PROPRIETARY, |members| members.primitive(Tag(0xC0), &[file.special]));
    };
    fcp.nested(PROPRIETARY, |members| {
        // File details: DER coding only.
        members.primitive(Tag(0x84), &[0x01])?;
        // Reserved for this file alone: nothing.
        members.primitive(Tag(0x85), &[0x00, 0x00])?;
        number(members, Tag(0x86), usize::try_from(maximum).unwrap_or(usize::MAX))?;
        members.primitive(Tag(0xC0), &[file.special])
    })
}

fn security(fcp: &mut Writer, file: &File) -> Result<(), Error> {
    match file.security {
        Security::Arr { file, record } => {
            let [high, low] = file.to_be_bytes();
            fcp.primitive(SECURITY_ATTRIBUTES, &[high, low, record])
        }
        Security::Never => Ok(()),
    }
}

/// The PIN status template DO of a directory.
fn pin_status_of(fcp: &mut Writer, profile: &Profile, directory: FileIndex) -> Result<(), Error> {
    let is_enabled = |reference| {
        profile.pin_index(reference, directory).and_then(|place| profile.pins.get(place)).is_some_and(|pin| pin.enabled)
    };
    pin_status(fcp, pin_references(profile, directory), &is_enabled)
}

/// The key references in the PIN status template of a directory, or of the next one above that has one.
fn pin_references(profile: &Profile, directory: FileIndex) -> &[u8] {
    let mut templates =
        profile.upwards(directory).filter_map(|index| profile.file(index)).map(|file| file.pin_status.as_slice());
    templates.find(|template| !template.is_empty()).unwrap_or_default()
}

/// The PIN status template DO: bits that say which PINs are enabled (the first key reference has the highest bit), then
/// the key references.
fn pin_status(fcp: &mut Writer, references: &[u8], is_enabled: &dyn Fn(u8) -> bool) -> Result<(), Error> {
    fcp.nested(PIN_STATUS, |template| {
        template.header(Tag(0x90), references.len().div_ceil(8))?;
        for group in references.chunks(8) {
            let bits = [0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01];
            let enabled = group.iter().zip(bits).filter(|(reference, _)| is_enabled(**reference));
            template.raw(&[enabled.fold(0u8, |octet, (_, bit)| octet | bit)])?;
        }
        for reference in references {
            if *reference == UNIVERSAL_PIN {
                template.primitive(Tag(0x95), &[0x08])?;
            }
            template.primitive(Tag(0x83), &[*reference])?;
        }
        Ok(())
    })
}

/// A number of bytes in at least two octets.
fn number(out: &mut Writer, tag: Tag, value: usize) -> Result<(), Error> {
    let octets = u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
    let skip = octets.iter().take(2).take_while(|octet| **octet == 0).count();
    out.primitive(tag, octets.get(skip..).unwrap_or(&octets))
}
