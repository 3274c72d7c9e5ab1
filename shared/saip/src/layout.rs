//! What a file becomes: the template's word and the package's word on it, merged (clauses 8.3 and 9.1).
//!
//! The installer asks [`template_file`] or [`created_file`] for an [`EffectiveFile`], then [`fill_content`] for its
//! bytes. The errors carry the status; the installer adds the profile element's identification.

use crate::fcp::{Fcp, FileElement, FileInstance};
use crate::status::{PeStatus, StatusCode};
use crate::template::{DefaultContent, FileKind, TemplateFile};
use alloc::vec::Vec;
use teuicc_tlv::TryBytes;

type Result<T> = core::result::Result<T, PeStatus>;

/// Largest content of one EF, in bytes.
pub const MAX_FILE_SIZE: usize = 0xFFFF;

/// Longest record, in bytes (TS 102 221 section 8.2.2.2).
pub const MAX_RECORD_LEN: usize = 255;

/// Most records of one EF (TS 102 221 section 8.2.2.2).
pub const MAX_RECORDS: usize = 254;

/// lcsi, if not given: operational, activated.
pub const LIFE_CYCLE_ACTIVATED: u8 = 0x05;

/// specialFileInformation: high update activity (TS 102 222 section 6.3.2.2.5).
pub const HIGH_UPDATE: u8 = 0x80;

/// fileDetails of a BER-TLV file, if not given.
const DEFAULT_FILE_DETAILS: u8 = 0x01;

/// EF ARR of the MF, of ADFs and of the files directly under the MF.
pub const ARR_OF_MF: u16 = 0x2F06;

/// EF ARR of all other files.
pub const ARR_OF_DF: u16 = 0x6F06;

/// Second byte of a file descriptor: the data coding byte, which is always this.
const DATA_CODING: u8 = 0x21;

/// Bit 7 of a file descriptor byte: shareable.
const SHAREABLE: u8 = 0x40;

/// The rule that governs access: a record of an EF ARR (TS 102 221 section 9.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrReference {
    /// The EF ARR: in the directory of the file, or else in the nearest one above that has it.
    pub fid: u16,
    /// Its record, from 1.
    pub record: u8,
}

/// A file as it is to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveFile<'a> {
    /// File identifier; of an ADF the temporary one.
    pub fid: u16,
    /// What kind of file.
    pub kind: FileKind,
    /// Whether several applications may have it selected at once.
    pub shareable: bool,
    /// AID of an ADF.
    pub df_name: Option<&'a [u8]>,
    /// Content of an EF, in bytes: of one with records all records, of a BER-TLV file what is reserved for it (0 is
    /// not said). 0 for directories and links.
    pub size: usize,
    /// Length of a record in bytes, 0 without records.
    pub record_len: usize,
    /// Number of records, 0 without records.
    pub records: usize,
    /// maximumFileSize of a BER-TLV file, in bytes.
    pub maximum_size: Option<u32>,
    /// fileDetails of a BER-TLV file.
    pub file_details: u8,
    /// Short file identifier.
    pub sfi: Option<u8>,
    /// Who may do what.
    pub arr: ArrReference,
    /// lcsi.
    pub life_cycle: u8,
    /// PIN status template DO of a directory, its value.
    pub pin_status: Option<&'a [u8]>,
    /// specialFileInformation.
    pub special_information: u8,
    /// What it holds before the package writes to it; of an EF with records what each record holds.
    pub default: DefaultContent<'a>,
    /// The path of the file that it is a link to, if it is one.
    pub link: Option<&'a [u8]>,
}

impl EffectiveFile<'_> {
    /// How many bytes a BER-TLV file may hold: its maximum size, or if there is none what is reserved for it, or if
    /// nothing is as much as any file.
    #[must_use]
    pub fn ber_tlv_limit(&self) -> usize {
        let maximum = self.maximum_size.filter(|size| *size > 0).and_then(|size| usize::try_from(size).ok());
        let limit = match (maximum, self.size) {
            (None, 0) => MAX_FILE_SIZE,
            (maximum, reserved) => maximum.unwrap_or(0).max(reserved),
        };
        limit.min(MAX_FILE_SIZE)
    }

    /// High update activity.
    #[must_use]
    pub const fn high_update(&self) -> bool {
        self.special_information & HIGH_UPDATE != 0
    }
}

/// A forbidden, missing or contradictory member of an Fcp.
const INVALID: PeStatus = PeStatus::new(StatusCode::InvalidParameter);

/// The file that a template element describes. `in_mf`: its directory is the MF.
///
/// Errors: a member that clause 8.3.3 forbids for this kind of file, or demands and is not there (invalid-parameter);
/// sizes that contradict each other (invalid-parameter); more than the maxima (not-enough-memory).
pub fn template_file<'a>(
    definition: &TemplateFile,
    instance: &FileInstance<'a>,
    in_mf: bool,
) -> Result<EffectiveFile<'a>> {
    let fcp = &instance.fcp;
    let descriptor = fcp.file_descriptor.map(Descriptor::parse).transpose()?;
    let kind = match descriptor {
        Some(given) if given.kind.is_ef() != definition.kind.is_ef() => return Err(INVALID),
        Some(given) if given.kind.is_ef() => given.kind,
        _ => definition.kind,
    };
    let fid = fcp.file_id.unwrap_or(definition.fid);
    if fid == 0 {
        return Err(INVALID);
    }
    check_members(fcp, kind)?;
    let proprietary = fcp.proprietary.unwrap_or_default();
    let high_update = if definition.high_update { HIGH_UPDATE } else { 0 };
    let own = EffectiveFile {
        fid,
        kind,
        shareable: descriptor.is_none_or(|descriptor| descriptor.shareable),
        df_name: fcp.df_name,
        size: 0,
        record_len: 0,
        records: 0,
        maximum_size: proprietary.maximum_file_size,
        file_details: proprietary.file_details.unwrap_or(DEFAULT_FILE_DETAILS),
        sfi: fcp.short_file_id.unwrap_or(definition.sfi).filter(|_| kind.is_ef()),
        arr: arr_reference(fcp.security, definition.arr, kind, in_mf)?,
        life_cycle: fcp.life_cycle.unwrap_or(LIFE_CYCLE_ACTIVATED),
        pin_status: fcp.pin_status,
        special_information: proprietary.special_information.unwrap_or(high_update),
        default: pattern(fcp).unwrap_or(definition.default),
        link: fcp.link_path.filter(|path| !path.is_empty()),
    };
    let record_len = descriptor.and_then(|descriptor| descriptor.record_len);
    let by_template = (usize::from(definition.records), usize::from(definition.size));
    with_sizes(own, record_len, fcp.file_size, by_template)
}

/// The file that createFCP of generic file management describes. `in_mf`: the current directory is the MF.
///
/// Errors: as [`template_file`], by clause 8.3.5.
pub fn created_file<'a>(fcp: &Fcp<'a>, in_mf: bool) -> Result<EffectiveFile<'a>> {
    let descriptor = Descriptor::parse(fcp.file_descriptor.ok_or(INVALID)?)?;
    let kind = match descriptor.kind {
        FileKind::Df if fcp.df_name.is_some() => FileKind::Adf,
        kind => kind,
    };
    let fid = fcp.file_id.ok_or(INVALID)?;
    check_members(fcp, kind)?;
    let link = fcp.link_path.filter(|path| !path.is_empty());
    if fcp.security.is_none() || (kind.is_ef() && link.is_none() && fcp.file_size.is_none()) {
        return Err(INVALID);
    }
    let low_bits = u8::try_from(fid & 0x1F).ok().filter(|sfi| (1..=30).contains(sfi));
    let proprietary = fcp.proprietary.unwrap_or_default();
    let own = EffectiveFile {
        fid,
        kind,
        shareable: descriptor.shareable,
        df_name: fcp.df_name,
        size: 0,
        record_len: 0,
        records: 0,
        maximum_size: proprietary.maximum_file_size,
        file_details: proprietary.file_details.unwrap_or(DEFAULT_FILE_DETAILS),
        sfi: fcp.short_file_id.unwrap_or(low_bits).filter(|_| kind.is_ef()),
        arr: arr_reference(fcp.security, 0, kind, in_mf)?,
        life_cycle: fcp.life_cycle.unwrap_or(LIFE_CYCLE_ACTIVATED),
        pin_status: fcp.pin_status,
        special_information: proprietary.special_information.unwrap_or(0),
        default: pattern(fcp).unwrap_or(DefaultContent::None),
        link,
    };
    with_sizes(own, descriptor.record_len, fcp.file_size, (0, 0))
}

/// A file descriptor, TS 102 221 section 11.1.1.4.3.
#[derive(Clone, Copy)]
struct Descriptor {
    kind: FileKind,
    shareable: bool,
    record_len: Option<usize>,
}

impl Descriptor {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let (byte, coding, length) = match *bytes {
            [byte, coding] => (byte, coding, None),
            [byte, coding, length] => (byte, coding, Some(usize::from(length))),
            // The number of records, where it is given, follows from the sizes.
            [byte, coding, high, low] | [byte, coding, high, low, _] => {
                (byte, coding, Some(usize::from(u16::from_be_bytes([high, low]))))
            }
            _ => return Err(INVALID),
        };
        let kind = match byte & !SHAREABLE {
            0x01 => FileKind::Transparent,
            0x02 => FileKind::LinearFixed,
            0x06 => FileKind::Cyclic,
            0x38 => FileKind::Df,
            0x39 => FileKind::BerTlv,
            // Internal EFs.
            0x08..=0x0F => return Err(PeStatus::new(StatusCode::FeatureNotSupported)),
            _ => return Err(INVALID),
        };
        if coding != DATA_CODING {
            return Err(INVALID);
        }
        let record_len = length.filter(|_| kind.has_records());
        Ok(Descriptor { kind, shareable: byte & SHAREABLE != 0, record_len })
    }
}

/// The table of clause 8.3.3: which members each kind of file must and must not have.
fn check_members(fcp: &Fcp<'_>, kind: FileKind) -> Result<()> {
    let ef_only = fcp.short_file_id.is_some() || fcp.file_size.is_some() || fcp.proprietary.is_some();
    let is_link = fcp.link_path.is_some_and(|path| !path.is_empty());
    let allowed = match kind {
        FileKind::Adf => !ef_only && fcp.file_id.is_some() && fcp.df_name.is_some() && fcp.pin_status.is_some(),
        FileKind::Mf => !ef_only && fcp.df_name.is_none() && fcp.pin_status.is_some(),
        FileKind::Df => !ef_only && fcp.df_name.is_none() && (is_link || fcp.pin_status.is_some()),
        _ => fcp.df_name.is_none() && fcp.pin_status.is_none() && !(is_link && fcp.file_size.is_some()),
    };
    if allowed { Ok(()) } else { Err(INVALID) }
}

/// securityAttributesReferenced, or the template's record (0: none) of the EF ARR that applies by itself.
fn arr_reference(given: Option<&[u8]>, by_template: u8, kind: FileKind, in_mf: bool) -> Result<ArrReference> {
    let of_mf = in_mf || matches!(kind, FileKind::Mf | FileKind::Adf);
    let implicit = if of_mf { ARR_OF_MF } else { ARR_OF_DF };
    let reference = match given {
        None => ArrReference { fid: implicit, record: by_template },
        Some([record]) => ArrReference { fid: implicit, record: *record },
        Some([high, low, record]) => ArrReference { fid: u16::from_be_bytes([*high, *low]), record: *record },
        Some(_) => return Err(INVALID),
    };
    if reference.record == 0 { Err(INVALID) } else { Ok(reference) }
}

/// The pattern of an Fcp, which replaces the template's content entirely.
fn pattern<'a>(fcp: &Fcp<'a>) -> Option<DefaultContent<'a>> {
    let proprietary = fcp.proprietary?;
    let fill = proprietary.fill_pattern.map(DefaultContent::Fill);
    fill.or_else(|| proprietary.repeat_pattern.map(DefaultContent::Repeat))
}

/// Sets size, record length and number of records. `by_template`: records, and size of the file or record; 0 is
/// not said.
fn with_sizes<'a>(
    file: EffectiveFile<'a>,
    record_len: Option<usize>,
    file_size: Option<u32>,
    (template_records, template_size): (usize, usize),
) -> Result<EffectiveFile<'a>> {
    if !file.kind.is_ef() || file.link.is_some() {
        return Ok(file);
    }
    let given = file_size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if given.is_some_and(|size| size > MAX_FILE_SIZE) {
        return Err(PeStatus::new(StatusCode::NotEnoughMemory));
    }
    if !file.kind.has_records() {
        let size = given.unwrap_or(template_size);
        return if size == 0 && file.kind == FileKind::Transparent {
            Err(INVALID)
        } else {
            Ok(EffectiveFile { size, ..file })
        };
    }
    let record_len = record_len.unwrap_or(template_size);
    let records = match given {
        Some(size) if size.checked_rem(record_len) == Some(0) => size.checked_div(record_len).unwrap_or(0),
        Some(_) => return Err(INVALID),
        None => template_records,
    };
    if !(1..=MAX_RECORD_LEN).contains(&record_len) || !(1..=MAX_RECORDS).contains(&records) {
        return Err(INVALID);
    }
    Ok(EffectiveFile { size: records.saturating_mul(record_len), record_len, records, ..file })
}

/// Appends the content of `file` before the package writes to it: patterns and defaults, in each record anew.
/// Nothing for directories, links and BER-TLV files.
///
/// Errors: out of memory.
pub fn initial_content(file: &EffectiveFile<'_>, out: &mut Vec<u8>) -> Result<()> {
    if !file.kind.is_ef() || file.kind == FileKind::BerTlv || file.link.is_some() {
        return Ok(());
    }
    let (unit, count) = if file.kind.has_records() { (file.record_len, file.records) } else { (file.size, 1) };
    out.try_reserve(file.size).map_err(|_| PeStatus::new(StatusCode::NotEnoughMemory))?;
    for _ in 0..count {
        append_default(file.default, unit, out)?;
    }
    Ok(())
}

/// Appends `length` bytes of default content.
fn append_default(default: DefaultContent<'_>, length: usize, out: &mut Vec<u8>) -> Result<()> {
    let end = out.len().saturating_add(length);
    let head = |bytes: &[u8], out: &mut Vec<u8>| out.try_extend(bytes.get(..length).unwrap_or(bytes));
    match default {
        DefaultContent::None => {}
        DefaultContent::Bytes(bytes) => head(bytes, out)?,
        DefaultContent::Fill(bytes) => {
            head(bytes, out)?;
            out.try_resize(end, bytes.last().copied().unwrap_or(0xFF))?;
        }
        DefaultContent::Tail(bytes) => {
            out.try_resize(end.saturating_sub(bytes.len().min(length)), 0xFF)?;
            head(bytes, out)?;
        }
        DefaultContent::Repeat(bytes) => {
            for byte in bytes.iter().cycle().take(length) {
                out.try_push(*byte)?;
            }
        }
    }
    Ok(out.try_resize(end, 0xFF)?)
}

/// Where the next fillFileContent goes, in bytes from the start of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The position.
    pub position: usize,
}

impl Cursor {
    /// fillFileOffset: skips `bytes` from where the last content ended. Errors: a BER-TLV file (clause 8.3.2).
    pub fn skip(&mut self, file: &EffectiveFile<'_>, bytes: usize) -> Result<()> {
        if file.kind == FileKind::BerTlv {
            return Err(INVALID);
        }
        self.position = self.position.saturating_add(bytes);
        Ok(())
    }

    /// fillFileContent: writes `bytes` over `content`, which [`initial_content`] made, and moves behind them. The
    /// content of a BER-TLV file, its data objects, grows instead.
    ///
    /// Errors: it does not fit (bad-values), `file` is a directory or a link (invalid-parameter), out of memory.
    pub fn write(&mut self, file: &EffectiveFile<'_>, content: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
        if !file.kind.is_ef() || file.link.is_some() {
            return Err(INVALID);
        }
        let end = self.position.saturating_add(bytes.len());
        if file.kind == FileKind::BerTlv {
            if end > file.ber_tlv_limit() {
                return Err(PeStatus::new(StatusCode::BadValues));
            }
            content.try_extend(bytes)?;
        } else {
            let target = content.get_mut(self.position..end).ok_or(PeStatus::new(StatusCode::BadValues))?;
            for (old, new) in target.iter_mut().zip(bytes) {
                *old = *new;
            }
        }
        self.position = end;
        Ok(())
    }
}

/// Puts the content of `file` into `out`, which is emptied first: the default, overlaid with what the package says.
///
/// Errors: as [`Cursor`].
pub fn fill_content<'a>(
    file: &EffectiveFile<'_>,
    fills: impl Iterator<Item = FileElement<'a>>,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.clear();
    initial_content(file, out)?;
    let mut cursor = Cursor::default();
    for step in fills {
        match step {
            FileElement::FillOffset(bytes) => cursor.skip(file, bytes)?,
            FileElement::FillContent(bytes) => cursor.write(file, out, bytes)?,
            FileElement::Descriptor(_) | FileElement::DoNotCreate => {}
        }
    }
    Ok(())
}

/// Clears the bit of `service` (from 1) in the content of a service table (TS 31.102 section 4.2.8).
pub fn clear_service(table: &mut [u8], service: u16) {
    let Some(index) = service.checked_sub(1) else { return };
    if let Some(byte) = table.get_mut(usize::from(index >> 3)) {
        *byte &= !(1 << (index & 7));
    }
}

/// Whether `service` (from 1) is set in the content of a service table.
#[must_use]
pub fn has_service(table: &[u8], service: u16) -> bool {
    service
        .checked_sub(1)
        .is_some_and(|index| table.get(usize::from(index >> 3)).is_some_and(|byte| byte & (1 << (index & 7)) != 0))
}
