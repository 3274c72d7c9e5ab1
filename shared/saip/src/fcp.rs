//! Files as a package describes them: Fcp, File and the commands of generic file management.

use crate::decode::{Item, List, Result, Scan, Scanner};
use crate::status::{PeStatus, StatusCode};
use core::fmt;
use teuicc_tlv::{Reader, Tag, Tlv};

/// Longest fillPattern and repeatPattern, in bytes.
const MAX_PATTERN: usize = 200;

/// Longest pinStatusTemplateDO that is accepted, in bytes (26 references with their usage qualifiers fit).
const MAX_PIN_STATUS: usize = 128;

/// Most files that one field of a template element may describe.
pub const MAX_INSTANCES: usize = 64;

/// Fcp: what a package says of one file. A member that is `None` was not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fcp<'a> {
    /// fileDescriptor 82, 2 to 4 bytes in a package, TS 102 222 section 6.3.2.2.
    pub file_descriptor: Option<&'a [u8]>,
    /// fileID 83; of an ADF the temporary one.
    pub file_id: Option<u16>,
    /// dfName 84, an AID of 5 to 16 bytes.
    pub df_name: Option<&'a [u8]>,
    /// lcsi 8A.
    pub life_cycle: Option<u8>,
    /// securityAttributesReferenced 8B, 1 to 3 bytes.
    pub security: Option<&'a [u8]>,
    /// efFileSize 80, in bytes.
    pub file_size: Option<u32>,
    /// pinStatusTemplateDO C6: the value of the PIN status template DO.
    pub pin_status: Option<&'a [u8]>,
    /// shortEFID 88: `Some(None)` is the empty value (no SFI), `Some(Some(sfi))` an SFI from 1 to 30.
    pub short_file_id: Option<Option<u8>>,
    /// proprietaryEFInfo A5.
    pub proprietary: Option<ProprietaryEfInfo<'a>>,
    /// linkPath C7, a path of 0 to 4 file identifiers.
    pub link_path: Option<&'a [u8]>,
}

/// ProprietaryInfo of an Fcp.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ProprietaryEfInfo<'a> {
    /// specialFileInformation C0 (TS 102 222): bit 8 high update activity, bit 7 readable and updatable when
    /// deactivated.
    pub special_information: Option<u8>,
    /// fillPattern C1: its last byte is repeated to the end of the file or record.
    pub fill_pattern: Option<&'a [u8]>,
    /// repeatPattern C2: repeated to the end of the file or record.
    pub repeat_pattern: Option<&'a [u8]>,
    /// maximumFileSize 86, in bytes, of a BER-TLV file.
    pub maximum_file_size: Option<u32>,
    /// fileDetails 84 of a BER-TLV file.
    pub file_details: Option<u8>,
}

impl<'a> Fcp<'a> {
    /// Reads an Fcp that stands alone: the value of an FCP template, tag 62 (TS 102 222 section 6.3.2.2). Members that
    /// are not known are passed over. Its file descriptor may have 5 bytes, with the number of records as the last one.
    /// Errors: as in a package.
    pub fn parse(value: &'a [u8]) -> core::result::Result<Self, PeStatus> {
        Fcp::decode_with(value, &mut Scan::new(value), 5)
    }

    pub(crate) fn decode(value: &'a [u8], scan: &mut Scan<'a>) -> Result<Self> {
        Fcp::decode_with(value, scan, 4)
    }

    /// Reads the members of an Fcp, in any order, each at most once. `descriptor`: the most bytes of a file descriptor.
    fn decode_with(value: &'a [u8], scan: &mut Scan<'a>, descriptor: usize) -> Result<Self> {
        let mut fcp = Fcp::default();
        let mut members = Reader::new(value);
        while !members.is_empty() {
            let tlv = scan.read(&mut members)?;
            match tlv.tag.0 {
                0x82 => once(&mut fcp.file_descriptor, scan.octets(&tlv, 2, descriptor), &tlv, scan)?,
                0x83 => once(&mut fcp.file_id, scan.array(&tlv).map(|id| u16::from_be_bytes(*id)), &tlv, scan)?,
                0x84 => once(&mut fcp.df_name, scan.octets(&tlv, 5, 16), &tlv, scan)?,
                0x8A => once(&mut fcp.life_cycle, scan.array(&tlv).map(|[state]| *state), &tlv, scan)?,
                0x8B => once(&mut fcp.security, scan.octets(&tlv, 1, 3), &tlv, scan)?,
                0x80 => once(&mut fcp.file_size, size(&tlv, scan), &tlv, scan)?,
                0xC6 => once(&mut fcp.pin_status, scan.octets(&tlv, 0, MAX_PIN_STATUS), &tlv, scan)?,
                0x88 => once(&mut fcp.short_file_id, short_file_id(&tlv, scan), &tlv, scan)?,
                0xA5 => {
                    let info = ProprietaryEfInfo::decode(&tlv, scan);
                    once(&mut fcp.proprietary, info, &tlv, scan)?;
                }
                0xC7 => once(&mut fcp.link_path, path(&tlv, scan), &tlv, scan)?,
                _ => scan.note_unknown(&tlv),
            }
        }
        Ok(fcp)
    }
}

impl fmt::Debug for ProprietaryEfInfo<'_> {
    /// Without the patterns, which are content and may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProprietaryEfInfo")
            .field("special_information", &self.special_information)
            .field("maximum_file_size", &self.maximum_file_size)
            .field("file_details", &self.file_details)
            .finish_non_exhaustive()
    }
}

impl<'a> ProprietaryEfInfo<'a> {
    fn decode(tlv: &Tlv<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let mut info = ProprietaryEfInfo::default();
        let mut members = tlv.members();
        while !members.is_empty() {
            let tlv = scan.read(&mut members)?;
            match tlv.tag.0 {
                0xC0 => once(&mut info.special_information, scan.array(&tlv).map(|[byte]| *byte), &tlv, scan)?,
                0xC1 => once(&mut info.fill_pattern, scan.octets(&tlv, 1, MAX_PATTERN), &tlv, scan)?,
                0xC2 => once(&mut info.repeat_pattern, scan.octets(&tlv, 1, MAX_PATTERN), &tlv, scan)?,
                0x86 => once(&mut info.maximum_file_size, size(&tlv, scan), &tlv, scan)?,
                0x84 => once(&mut info.file_details, scan.array(&tlv).map(|[byte]| *byte), &tlv, scan)?,
                _ => scan.note_unknown(&tlv),
            }
        }
        if info.fill_pattern.is_some() && info.repeat_pattern.is_some() {
            return Err(scan.bad(tlv));
        }
        Ok(info)
    }
}

/// Sets a member that may come once. Errors: it came before, or its value is bad.
fn once<'a, T>(member: &mut Option<T>, value: Result<T>, tlv: &Tlv<'a>, scan: &Scan<'a>) -> Result<()> {
    if member.replace(value?).is_some() {
        return Err(scan.fail(StatusCode::InvalidRequestFormat, tlv.raw));
    }
    Ok(())
}

/// A size in bytes: OCTET STRING, big-endian. Leading zero bytes, though forbidden, do no harm.
fn size<'a>(tlv: &Tlv<'a>, scan: &Scan<'a>) -> Result<u32> {
    let octets = scan.octets(tlv, 1, 4)?;
    Ok(octets.iter().fold(0u32, |sum, octet| (sum << 8) | u32::from(*octet)))
}

/// The SFI stands in bits 8 to 4, the lower three are 0.
fn short_file_id<'a>(tlv: &Tlv<'a>, scan: &Scan<'a>) -> Result<Option<u8>> {
    match tlv.value {
        [] => Ok(None),
        [byte] if byte & 0x07 == 0 && (0x08..=0xF0).contains(byte) => Ok(Some(byte >> 3)),
        _ => Err(scan.bad(tlv)),
    }
}

/// A path: up to four file identifiers.
pub(crate) fn path<'a>(tlv: &Tlv<'a>, scan: &Scan<'a>) -> Result<&'a [u8]> {
    let octets = scan.octets(tlv, 0, 8)?;
    if octets.len() % 2 != 0 {
        return Err(scan.bad(tlv));
    }
    Ok(octets)
}

/// One step of a [`File`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FileElement<'a> {
    /// doNotCreate.
    DoNotCreate,
    /// fileDescriptor.
    Descriptor(Fcp<'a>),
    /// fillFileOffset: so many bytes are skipped from where the last content ended.
    FillOffset(usize),
    /// fillFileContent.
    FillContent(&'a [u8]),
}

impl fmt::Debug for FileElement<'_> {
    /// Without the content, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileElement::DoNotCreate => f.write_str("DoNotCreate"),
            FileElement::Descriptor(fcp) => f.debug_tuple("Descriptor").field(fcp).finish(),
            FileElement::FillOffset(bytes) => write!(f, "FillOffset({bytes})"),
            FileElement::FillContent(content) => write!(f, "FillContent({} bytes)", content.len()),
        }
    }
}

impl<'a> Item<'a> for FileElement<'a> {
    fn read(tlv: &Tlv<'a>, scan: &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        Ok(Some(match tlv.tag.0 {
            0x80 => FileElement::DoNotCreate,
            0xA1 => FileElement::Descriptor(Fcp::decode(tlv.value, scan.0)?),
            0x82 => FileElement::FillOffset(usize::from(scan.0.integer::<u16>(tlv)?)),
            0x83 => FileElement::FillContent(tlv.value),
            _ => return Ok(None),
        }))
    }
}

/// File: what a template element says of one of its fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct File<'a> {
    /// The steps in order.
    pub elements: List<'a, FileElement<'a>>,
}

/// How many of the steps are an Fcp.
fn descriptors(elements: List<'_, FileElement<'_>>) -> usize {
    let descriptors = elements.iter().filter(|element| matches!(element, FileElement::Descriptor(_)));
    descriptors.fold(0, |count: usize, _| count.saturating_add(1))
}

impl<'a> File<'a> {
    pub(crate) fn check(value: &'a [u8], scan: &mut Scan<'a>) -> Result<Self> {
        let elements = List::check(value, scan)?;
        let descriptors = descriptors(elements);
        if descriptors > MAX_INSTANCES {
            return Err(scan.fail(StatusCode::NotEnoughMemory, value));
        }
        Ok(File { elements })
    }

    /// A file whose steps were checked before.
    pub(crate) fn checked(value: &'a [u8]) -> Self {
        File { elements: List::checked(value) }
    }

    /// Whether doNotCreate is among the steps.
    #[must_use]
    pub fn do_not_create(&self) -> bool {
        self.elements.iter().any(|element| element == FileElement::DoNotCreate)
    }

    /// The files that the steps describe: each Fcp begins another instance, steps before the first Fcp belong to
    /// the first instance; without an Fcp there is one, which the template describes alone.
    pub fn instances(&self) -> impl Iterator<Item = FileInstance<'a>> + use<'a> {
        let elements = self.elements;
        let descriptors = descriptors(elements);
        (0..descriptors.max(1)).map(move |index| {
            let mut descriptor = elements.iter().filter_map(|element| match element {
                FileElement::Descriptor(fcp) => Some(fcp),
                _ => None,
            });
            FileInstance { index, fcp: descriptor.nth(index).unwrap_or_default(), elements }
        })
    }
}

/// One of the files that a [`File`] describes.
#[derive(Clone, Copy, Debug)]
pub struct FileInstance<'a> {
    /// Which instance of its field it is, from 0.
    pub index: usize,
    /// Its Fcp, empty if none was given.
    pub fcp: Fcp<'a>,
    elements: List<'a, FileElement<'a>>,
}

impl<'a> FileInstance<'a> {
    /// The fillFileOffset and fillFileContent steps of this instance, in order.
    pub fn fills(&self) -> impl Iterator<Item = FileElement<'a>> + use<'a> {
        let wanted = self.index;
        let mut descriptors = 0usize;
        self.elements.iter().filter(move |element| match element {
            FileElement::Descriptor(_) => {
                descriptors = descriptors.saturating_add(1);
                false
            }
            FileElement::DoNotCreate => false,
            _ => descriptors.saturating_sub(1) == wanted,
        })
    }
}

/// One command of generic file management.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GfmCommand<'a> {
    /// filePath: selects a DF or ADF by up to four file identifiers (of an ADF the temporary one); empty is the MF.
    FilePath(&'a [u8]),
    /// createFCP.
    CreateFcp(Fcp<'a>),
    /// fillFileOffset.
    FillOffset(usize),
    /// fillFileContent.
    FillContent(&'a [u8]),
}

impl fmt::Debug for GfmCommand<'_> {
    /// Without the content, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GfmCommand::FilePath(path) => write!(f, "FilePath({path:02X?})"),
            GfmCommand::CreateFcp(fcp) => f.debug_tuple("CreateFcp").field(fcp).finish(),
            GfmCommand::FillOffset(bytes) => write!(f, "FillOffset({bytes})"),
            GfmCommand::FillContent(content) => write!(f, "FillContent({} bytes)", content.len()),
        }
    }
}

impl<'a> Item<'a> for GfmCommand<'a> {
    fn read(tlv: &Tlv<'a>, scan: &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        Ok(Some(match tlv.tag.0 {
            0x80 => GfmCommand::FilePath(path(tlv, scan.0)?),
            0x62 => GfmCommand::CreateFcp(Fcp::decode(tlv.value, scan.0)?),
            0x02 => GfmCommand::FillOffset(usize::from(scan.0.integer::<u16>(tlv)?)),
            0x81 => GfmCommand::FillContent(tlv.value),
            _ => return Ok(None),
        }))
    }
}

/// FileManagement: one SEQUENCE of commands.
#[derive(Clone, Copy, Debug)]
pub struct FileManagement<'a> {
    /// The commands in order.
    pub commands: List<'a, GfmCommand<'a>>,
}

impl<'a> Item<'a> for FileManagement<'a> {
    fn read(tlv: &Tlv<'a>, scan: &mut Scanner<'_, 'a>) -> core::result::Result<Option<Self>, PeStatus> {
        if tlv.tag != Tag::SEQUENCE {
            return Ok(None);
        }
        Ok(Some(FileManagement { commands: List::check(tlv.value, scan.0)? }))
    }
}
