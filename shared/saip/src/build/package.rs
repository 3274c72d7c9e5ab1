//! Writing profile elements.

use super::{BuildError, Result, template_of};
use crate::fcp::Fcp;
use crate::pe::{FIRST_FILE_TAG, PeKind};
use crate::template::FileKind;
use alloc::vec::Vec;
use teuicc_tlv::{Tag, Writer};

/// A package being written.
#[derive(Default)]
pub(super) struct Package {
    out: Writer,
    identification: u16,
}

/// What is said of one file of a template.
pub(super) struct FieldSpec<'a> {
    name: &'static str,
    fcp: Fcp<'a>,
    record_len: Option<usize>,
    content: Option<&'a [u8]>,
}

impl<'a> FieldSpec<'a> {
    /// The file as the template has it.
    pub(super) fn template(name: &'static str) -> Self {
        FieldSpec { name, fcp: Fcp::default(), record_len: None, content: None }
    }

    /// The file as the template has it, with this at its beginning.
    pub(super) fn content(name: &'static str, content: &'a [u8]) -> Self {
        FieldSpec { content: Some(content), ..Self::template(name) }
    }

    /// The file with exactly this content.
    pub(super) fn sized(name: &'static str, content: &'a [u8]) -> Self {
        let fcp = Fcp { file_size: u32::try_from(content.len()).ok(), ..Fcp::default() };
        FieldSpec { fcp, ..Self::content(name, content) }
    }

    /// The file with exactly these records.
    pub(super) fn records(name: &'static str, record_len: usize, content: &'a [u8]) -> Self {
        FieldSpec { record_len: Some(record_len), ..Self::sized(name, content) }
    }

    /// The MF or a DF with these PINs.
    pub(super) fn directory(name: &'static str, pins: &'a [u8]) -> Self {
        FieldSpec { fcp: Fcp { pin_status: Some(pins), ..Fcp::default() }, ..Self::template(name) }
    }

    /// An ADF with these PINs.
    pub(super) fn adf(name: &'static str, fid: u16, aid: &'a [u8], pins: &'a [u8]) -> Self {
        let directory = Self::directory(name, pins);
        FieldSpec { fcp: Fcp { file_id: Some(fid), df_name: Some(aid), ..directory.fcp }, ..directory }
    }

    /// The Fcp, each member that must be there, then the content.
    fn write(&self, kind: FileKind, fid: u16, out: &mut Writer) -> Result<()> {
        out.nested(Tag(0xA1), |out| {
            match (kind, self.record_len) {
                (FileKind::LinearFixed, Some(length)) => {
                    let length = u16::try_from(length).map_err(|_| BuildError::Encoding)?;
                    let [high, low] = length.to_be_bytes();
                    out.primitive(Tag(0x82), &[0x42, 0x21, high, low])?;
                }
                (FileKind::Transparent, _) => out.primitive(Tag(0x82), &[0x41, 0x21])?,
                (FileKind::Mf | FileKind::Df | FileKind::Adf, _) => out.primitive(Tag(0x82), &[0x78, 0x21])?,
                _ => {}
            }
            out.primitive(Tag(0x83), &self.fcp.file_id.unwrap_or(fid).to_be_bytes())?;
            if let Some(aid) = self.fcp.df_name {
                out.primitive(Tag(0x84), aid)?;
            }
            if let Some(size) = self.fcp.file_size {
                out.primitive(Tag(0x80), minimal(&size.to_be_bytes()))?;
            }
            if let Some(pins) = self.fcp.pin_status {
                out.primitive(Tag(0xC6), pins)?;
            }
            Ok::<(), BuildError>(())
        })?;
        match self.content {
            Some(content) => Ok(out.primitive(Tag(0x83), content)?),
            None => Ok(()),
        }
    }
}

/// Without leading zero bytes.
fn minimal(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

impl Package {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    /// The profile header, which has no PEHeader.
    pub(super) fn header(&mut self, members: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
        self.out.nested(PeKind::Header.tag().ok_or(BuildError::Encoding)?, members)
    }

    /// A profile element with the next identification.
    pub(super) fn element(
        &mut self,
        kind: PeKind,
        mandated: bool,
        members: impl FnOnce(&mut Writer) -> Result<()>,
    ) -> Result<()> {
        self.identification = self.identification.saturating_add(1);
        let identification = u32::from(self.identification);
        self.out.nested(kind.tag().ok_or(BuildError::Encoding)?, |out| {
            out.nested(Tag(0xA0), |out| {
                if mandated {
                    out.primitive(Tag(0x80), &[])?;
                }
                out.unsigned(Tag(0x81), identification)
            })?;
            members(out)
        })
    }

    /// A profile element that creates files: `fields` in the template's order.
    pub(super) fn template(&mut self, kind: PeKind, mandated: bool, fields: &[FieldSpec<'_>]) -> Result<()> {
        let template = template_of(kind)?;
        self.element(kind, mandated, |out| {
            out.primitive(Tag(0x81), template.oid.0)?;
            fields.iter().try_for_each(|field| {
                let mut files = template.files.iter().enumerate();
                let (index, file) = files.find(|(_, file)| file.name == field.name).ok_or(BuildError::Encoding)?;
                out.nested(file_tag(index)?, |out| field.write(file.kind, file.fid, out))
            })
        })
    }
}

/// A generic file management element that creates a transparent EF below the MF. Its identification is the FID.
pub(super) fn generic_file(fid: u16, rule: &[u8], content: &[u8]) -> Result<Vec<u8>> {
    let mut out = Writer::new();
    let size = u32::try_from(content.len()).map_err(|_| BuildError::Encoding)?;
    out.nested(PeKind::GenericFileManagement.tag().ok_or(BuildError::Encoding)?, |out| {
        out.nested(Tag(0xA0), |out| {
            out.primitive(Tag(0x80), &[])?;
            out.unsigned(Tag(0x81), u32::from(fid))
        })?;
        out.nested(Tag(0xA1), |out| {
            out.nested(Tag::SEQUENCE, |out| {
                out.nested(Tag(0x62), |out| {
                    out.primitive(Tag(0x82), &[0x41, 0x21])?;
                    out.primitive(Tag(0x83), &fid.to_be_bytes())?;
                    out.primitive(Tag(0x8B), rule)?;
                    out.primitive(Tag(0x80), minimal(&size.to_be_bytes()))
                })?;
                out.primitive(Tag(0x81), content)
            })
        })
    })?;
    Ok(out.into_bytes())
}

/// The tag of the file with this index.
fn file_tag(index: usize) -> Result<Tag> {
    let number = u8::try_from(index).ok().and_then(|index| index.checked_add(FIRST_FILE_TAG));
    match number {
        Some(number @ ..=30) => Ok(Tag::context_constructed(number)),
        Some(number @ ..=0x7F) => Ok(Tag(0xBF00 | u32::from(number))),
        _ => Err(BuildError::Encoding),
    }
}
