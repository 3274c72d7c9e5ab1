//! Files: by template (clauses 8.3.2 and 9) and by generic file management (clause 8.3.5).

use super::{Build, Outcome};
use crate::profile::{Definition, FID_CURRENT_ADF, FID_MF, File, FileIndex, FileKind, MAX_FILES, MAX_LEVELS, Security};
use crate::services::{ISIM_UNAVAILABLE, USIM_UNAVAILABLE};
use alloc::vec::Vec;
use teuicc_saip::layout::{self, ArrReference, Cursor, EffectiveFile};
use teuicc_saip::pe::{List, TemplateElement, TemplateEntry};
use teuicc_saip::template::{self, Base, Template};
use teuicc_saip::{Fcp, FileInstance, FileManagement, GfmCommand, PeKind, PeStatus, StatusCode};
use teuicc_tlv::{TryBytes, try_copy};

/// EF.UST in an ADF USIM.
const UST_FID: u16 = 0x6F38;
/// EF.IST in an ADF ISIM.
const IST_FID: u16 = 0x6F07;

/// The service of the UST that files of MBMS belong to, which the card has not got.
const MBMS_SECURITY: u16 = 69;
/// additional-information of the report for files that are left out: MBMS.
const MBMS_LEFT_OUT: u8 = 2;

impl Build {
    /// Creates the files of a template element.
    ///
    /// Errors: an unknown template, an Fcp that the layout rules forbid, a file that exists, no room.
    pub(super) fn template(
        &mut self,
        kind: PeKind,
        element: &TemplateElement<'_>,
        identification: Option<u16>,
    ) -> Outcome {
        let template = element.template.ok_or(StatusCode::TemplateNotSupported)?;
        let mut made: Vec<Option<FileIndex>> = Vec::new();
        made.try_resize(template.files.len(), None)?;
        let mut first_directory = None;
        let mut reported = false;
        for entry in element.creations() {
            if is_for_mbms(kind, entry.definition.services) {
                if !core::mem::replace(&mut reported, true) {
                    let status = PeStatus::new(StatusCode::FeatureNotSupported).with_additional(MBMS_LEFT_OUT);
                    self.warn(status.of(identification).at(0))?;
                }
                continue;
            }
            let parent = self.template_parent(template, &entry, &made)?;
            for instance in entry.file.instances() {
                let index = self.template_instance(kind, &entry, &instance, parent)?;
                if !entry.definition.kind.is_ef() {
                    first_directory = first_directory.or(Some(index));
                    self.context.current = Some(index);
                }
                if let Some(slot) = made.get_mut(entry.index) {
                    *slot = Some(index);
                }
            }
        }
        self.enter(kind, first_directory);
        Ok(())
    }

    /// Notes what later elements refer to: `directory` is the first DF or ADF that the element made.
    fn enter(&mut self, kind: PeKind, directory: Option<FileIndex>) {
        let Some(directory) = directory else { return };
        let context = &mut self.context;
        context.pins = Some(directory);
        match kind {
            PeKind::Usim => context.usim = Some(directory),
            PeKind::Isim => context.isim = Some(directory),
            PeKind::Csim => context.csim = Some(directory),
            _ => return,
        }
        context.naa = Some(directory);
    }

    /// The directory that a file of a template goes into; `None` for the MF itself.
    fn template_parent(
        &self,
        template: &Template,
        entry: &TemplateEntry<'_>,
        made: &[Option<FileIndex>],
    ) -> Outcome<Option<FileIndex>> {
        if entry.definition.kind == template::FileKind::Mf {
            return Ok(None);
        }
        let base = || match template.base {
            Base::Mf => (!self.profile.files.is_empty()).then_some(FileIndex::MF),
            Base::Usim => self.context.usim,
            Base::Isim => self.context.isim,
            Base::Csim => self.context.csim,
            Base::Current => self.context.current,
        };
        let parent = match template.parent(entry.index) {
            None => base(),
            // A DF that this element does not make may be there already.
            Some(at) => made.get(at).copied().flatten().or_else(|| {
                let fid = template.files.get(at)?.fid;
                self.profile.child(base()?, fid)
            }),
        };
        parent.map(Some).ok_or(StatusCode::InvalidParameter.into())
    }

    /// Creates one file of a template with its content.
    fn template_instance(
        &mut self,
        kind: PeKind,
        entry: &TemplateEntry<'_>,
        instance: &FileInstance<'_>,
        parent: Option<FileIndex>,
    ) -> Outcome<FileIndex> {
        let in_mf = parent.is_none_or(|parent| parent == FileIndex::MF);
        let file = layout::template_file(entry.definition, instance, in_mf)?;
        let mut content = Vec::new();
        layout::fill_content(&file, instance.fills(), &mut content)?;
        let unavailable: &[u16] = match (kind, file.fid) {
            (PeKind::Usim, UST_FID) => &USIM_UNAVAILABLE,
            (PeKind::Isim, IST_FID) => &ISIM_UNAVAILABLE,
            _ => &[],
        };
        unavailable.iter().for_each(|service| layout::clear_service(&mut content, *service));
        let index = self.create(&file, parent, content)?;
        if kind == PeKind::DfSaip
            && file.kind.is_ef()
            && let Some(created) = self.profile.files.get_mut(usize::from(index.0))
        {
            // EF.SUCI_Calc_Info for the card's own use is not visible to the terminal (clause 12.2).
            created.visible = false;
        }
        Ok(index)
    }

    /// Performs the commands of a generic file management element. Each element begins in the MF.
    ///
    /// Errors: as [`Build::template`]; a path that leads nowhere; content without a file.
    pub(super) fn file_management(&mut self, commands: List<'_, FileManagement<'_>>) -> Outcome {
        let mut directory = FileIndex::MF;
        let mut first_directory = None;
        let mut open: Option<(FileIndex, EffectiveFile<'_>, Cursor)> = None;
        for command in commands.iter().flat_map(|management| management.commands.iter()) {
            match command {
                GfmCommand::FilePath(path) => {
                    directory = self.resolve(path)?;
                    open = None;
                }
                GfmCommand::CreateFcp(fcp) => {
                    let (index, file) = self.create_by_fcp(&fcp, directory)?;
                    open = file.kind.is_ef().then_some((index, file, Cursor::default()));
                    if !file.kind.is_ef() {
                        directory = index;
                        first_directory = first_directory.or(Some(index));
                        self.context.current = Some(index);
                    }
                }
                GfmCommand::FillOffset(bytes) => {
                    let (_, file, cursor) = open.as_mut().ok_or(StatusCode::InvalidParameter)?;
                    cursor.skip(file, bytes)?;
                }
                GfmCommand::FillContent(bytes) => {
                    let (index, file, cursor) = open.as_mut().ok_or(StatusCode::InvalidParameter)?;
                    self.fill(*index, file, cursor, bytes)?;
                }
            }
        }
        // One that makes no DF leaves its current one as the context: packages select a DF so for its PINs.
        self.context.pins = first_directory.or(Some(directory));
        Ok(())
    }

    fn create_by_fcp<'a>(&mut self, fcp: &Fcp<'a>, directory: FileIndex) -> Outcome<(FileIndex, EffectiveFile<'a>)> {
        let file = layout::created_file(fcp, directory == FileIndex::MF)?;
        let mut content = Vec::new();
        layout::initial_content(&file, &mut content)?;
        let parent = if file.kind == template::FileKind::Adf { FileIndex::MF } else { directory };
        let index = self.create(&file, Some(parent), content)?;
        Ok((index, file))
    }

    /// fillFileContent of generic file management.
    fn fill(&mut self, index: FileIndex, file: &EffectiveFile<'_>, cursor: &mut Cursor, bytes: &[u8]) -> Outcome {
        let created = self.profile.files.get_mut(usize::from(index.0)).ok_or(StatusCode::InvalidParameter)?;
        let content = &mut created.content;
        if file.kind == template::FileKind::BerTlv {
            self.room = self.room.checked_sub(bytes.len()).ok_or(StatusCode::NotEnoughMemory)?;
        }
        Ok(cursor.write(file, content, bytes)?)
    }

    /// Adds a file. `parent` is `None` for the MF.
    ///
    /// Errors: an identifier or AID that is taken or reserved, too many levels, a link that leads nowhere, no room.
    fn create(&mut self, file: &EffectiveFile<'_>, parent: Option<FileIndex>, content: Vec<u8>) -> Outcome<FileIndex> {
        self.check_name(file, parent)?;
        let index = u16::try_from(self.profile.files.len()).map_err(|_| StatusCode::NotEnoughMemory)?;
        if usize::from(index) >= MAX_FILES {
            return Err(StatusCode::NotEnoughMemory.into());
        }
        self.room = self.room.checked_sub(content.len()).ok_or(StatusCode::NotEnoughMemory)?;
        let link = file.link.map(|path| self.link_target(file, path)).transpose()?;
        let kind = match link.and_then(|target| self.profile.file(target)) {
            Some(target) => target.kind,
            None => kind_of(file).ok_or(StatusCode::InvalidParameter)?,
        };
        let ArrReference { fid, record } = file.arr;
        self.profile.files.try_push(File {
            parent: parent.unwrap_or(FileIndex::MF),
            fid: file.fid,
            kind,
            sfi: file.sfi,
            security: Security::Arr { file: fid, record },
            life_cycle: file.life_cycle,
            special: file.special_information,
            aid: try_copy(file.df_name.unwrap_or_default())?,
            pin_status: try_copy(file.pin_status.unwrap_or_default())?,
            link,
            visible: true,
            // The MF is on every channel, whatever is said of it.
            shareable: file.shareable || parent.is_none(),
            content,
            changed: false,
            definition: Definition::Base,
        })?;
        Ok(FileIndex(index))
    }

    fn check_name(&self, file: &EffectiveFile<'_>, parent: Option<FileIndex>) -> Outcome {
        let profile = &self.profile;
        let free = match parent {
            None => profile.files.is_empty() && file.fid == FID_MF,
            Some(_) if matches!(file.fid, FID_MF | FID_CURRENT_ADF) => false,
            Some(_) if file.kind == template::FileKind::Adf => {
                let aid = file.df_name.unwrap_or_default();
                profile.adfs().all(|(_, adf)| adf.aid != aid && adf.fid != file.fid)
            }
            Some(parent) => profile.child(parent, file.fid).is_none(),
        };
        let above = parent.map_or(0, |parent| profile.upwards(parent).count());
        let too_deep = !file.kind.is_ef() && above >= MAX_LEVELS;
        if free && !too_deep { Ok(()) } else { Err(StatusCode::InvalidParameter.into()) }
    }

    /// The EF that a linkPath leads to. Errors: there is none; a DF at either end, which this card does not link.
    fn link_target(&self, file: &EffectiveFile<'_>, path: &[u8]) -> Outcome<FileIndex> {
        let target = self.walk(path)?;
        match self.profile.file(target) {
            Some(target) if target.is_directory() || !file.kind.is_ef() => Err(StatusCode::FeatureNotSupported.into()),
            _ => Ok(self.profile.content_owner(target)),
        }
    }

    /// The MF, DF or ADF that a path leads to. Errors: there is none; an EF.
    pub(super) fn resolve(&self, path: &[u8]) -> Outcome<FileIndex> {
        let target = self.walk(path)?;
        match self.profile.file(target) {
            Some(file) if file.is_directory() => Ok(target),
            _ => Err(StatusCode::InvalidParameter.into()),
        }
    }

    /// Follows a path of file identifiers from the MF; that of an ADF is its temporary one, or 7FFF for the last.
    fn walk(&self, path: &[u8]) -> Outcome<FileIndex> {
        let (fids, _) = path.as_chunks::<2>();
        let mut at = FileIndex::MF;
        for (depth, fid) in fids.iter().map(|fid| u16::from_be_bytes(*fid)).enumerate() {
            let adf = || self.profile.adfs().find(|(_, adf)| adf.fid == fid).map(|(index, _)| index);
            let next = match fid {
                FID_MF if depth == 0 => Some(FileIndex::MF),
                FID_CURRENT_ADF if depth == 0 => self.context.naa,
                _ => self.profile.child(at, fid).or_else(|| if depth == 0 { adf() } else { None }),
            };
            at = next.ok_or(StatusCode::InvalidParameter)?;
        }
        Ok(at)
    }
}

/// The kind of a file that is no link. `None` for records of more than 255 bytes.
pub(crate) fn kind_of(file: &EffectiveFile<'_>) -> Option<FileKind> {
    let record = u8::try_from(file.record_len).ok()?;
    Some(match file.kind {
        template::FileKind::Mf => FileKind::Mf,
        template::FileKind::Adf => FileKind::Adf,
        template::FileKind::Df => FileKind::Df,
        template::FileKind::Transparent => FileKind::Transparent,
        template::FileKind::LinearFixed => FileKind::LinearFixed(record),
        template::FileKind::Cyclic => FileKind::Cyclic(record),
        template::FileKind::BerTlv => FileKind::BerTlv(u32::try_from(file.ber_tlv_limit()).unwrap_or(u32::MAX)),
    })
}

/// Whether a file of a template belongs to MBMS security and to nothing else.
fn is_for_mbms(kind: PeKind, services: &[u16]) -> bool {
    matches!(kind, PeKind::Usim | PeKind::OptUsim) && services == [MBMS_SECURITY]
}
