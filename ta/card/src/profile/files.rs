//! Finding files and their content.

use super::{Definition, File, FileIndex, FileKind, Profile, Security};
use alloc::vec::Vec;
use zeroize::Zeroize;

/// File identifier of the MF.
pub(crate) const FID_MF: u16 = 0x3F00;
/// File identifier that stands for the ADF of the active application; no file can be called so (TS 102 221 section
/// 8.2.1.2).
pub(crate) const FID_CURRENT_ADF: u16 = 0x7FFF;

/// How many directories lie above each other at most, the MF included.
pub(crate) const MAX_LEVELS: usize = 8;

impl File {
    /// Whether it is the MF, a DF or an ADF.
    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, FileKind::Mf | FileKind::Df | FileKind::Adf)
    }

    /// The place of a file that is not there any more.
    pub(crate) const fn deleted() -> File {
        File {
            parent: FileIndex::MF,
            fid: 0,
            kind: FileKind::Transparent,
            sfi: None,
            security: Security::Never,
            life_cycle: 0,
            special: 0,
            aid: Vec::new(),
            pin_status: Vec::new(),
            link: None,
            visible: false,
            shareable: true,
            content: Vec::new(),
            changed: false,
            definition: Definition::Deleted,
        }
    }

    /// Deletes it, and wipes its content. A directory stays one in its place, since PINs and keys may refer to it.
    pub(crate) fn delete(&mut self) {
        self.content.zeroize();
        let kind = if self.is_directory() { self.kind } else { FileKind::Transparent };
        *self = File { kind, ..File::deleted() };
    }

    /// Whether it was deactivated (TS 102 221 table 11.7b: 04 and 06).
    pub(crate) fn is_deactivated(&self) -> bool {
        self.life_cycle & 0xFD == 0x04
    }

    /// Whether it was terminated (TS 102 221 table 11.7b: 0C to 0F).
    pub(crate) fn is_terminated(&self) -> bool {
        self.life_cycle & 0xFC == 0x0C
    }
}

impl Profile {
    /// The file at `index`; `None` if there is none, or none any more.
    pub(crate) fn file(&self, index: FileIndex) -> Option<&File> {
        self.files.get(usize::from(index.0)).filter(|file| file.definition != Definition::Deleted)
    }

    /// All places, also those of files that were deleted.
    pub(crate) fn places(&self) -> impl Iterator<Item = (FileIndex, &File)> {
        (0..=u16::MAX).map(FileIndex).zip(&self.files)
    }

    /// All files with their places.
    pub(crate) fn indexed(&self) -> impl Iterator<Item = (FileIndex, &File)> {
        self.places().filter(|(_, file)| file.definition != Definition::Deleted)
    }

    /// The files that the DF, ADF or MF at `parent` holds (for the MF: ADFs too), in the order of creation.
    pub(crate) fn children(&self, parent: FileIndex) -> impl Iterator<Item = (FileIndex, &File)> {
        self.indexed().filter(move |(index, file)| file.parent == parent && *index != FileIndex::MF)
    }

    /// The child of `parent` with file identifier `fid`: an EF or DF, never an ADF.
    pub(crate) fn child(&self, parent: FileIndex, fid: u16) -> Option<FileIndex> {
        self.children(parent).find(|(_, file)| file.fid == fid && file.kind != FileKind::Adf).map(|(index, _)| index)
    }

    /// The EF of `parent` with short file identifier `sfi`.
    pub(crate) fn child_by_sfi(&self, parent: FileIndex, sfi: u8) -> Option<FileIndex> {
        self.children(parent).find(|(_, file)| file.sfi == Some(sfi)).map(|(index, _)| index)
    }

    /// The ADFs, in the order of creation.
    pub(crate) fn adfs(&self) -> impl Iterator<Item = (FileIndex, &File)> {
        self.indexed().filter(|(_, file)| file.kind == FileKind::Adf)
    }

    /// The MF, DF or ADF that `index` is, or that holds it.
    pub(crate) fn directory_of(&self, index: FileIndex) -> FileIndex {
        match self.file(index) {
            Some(file) if !file.is_directory() => file.parent,
            _ => index,
        }
    }

    /// The directory `directory` and those above it, up to the MF.
    pub(crate) fn upwards(&self, directory: FileIndex) -> impl Iterator<Item = FileIndex> + '_ {
        let above = |index: &FileIndex| match index {
            &FileIndex::MF => None,
            index => self.file(*index).map(|file| file.parent),
        };
        core::iter::successors(Some(directory), above).take(MAX_LEVELS)
    }

    /// The context whose PINs the DF, ADF or MF at `directory` has itself: its own, or that it shares.
    pub(crate) fn pins_of(&self, directory: FileIndex) -> FileIndex {
        let shared = self.shared_pins.iter().find(|shared| shared.context == directory);
        shared.map_or(directory, |shared| shared.source)
    }

    /// The place in [`Profile::pins`] of the PIN that a key reference means in the directory `directory`: a global
    /// one (bit 8 clear) is the MF's, a local one that of the nearest directory, upwards from `directory`, that has
    /// it. `None` if there is none.
    pub(crate) fn pin_index(&self, reference: u8, directory: FileIndex) -> Option<usize> {
        let of = |context| self.pins.iter().position(|pin| pin.reference == reference && pin.context == context);
        if reference & 0x80 == 0 {
            return of(FileIndex::MF);
        }
        self.upwards(self.directory_of(directory)).find_map(|at| of(self.pins_of(at)))
    }

    /// Bytes of content in all files.
    pub(crate) fn content_size(&self) -> usize {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.content.len()))
    }

    /// Takes the file at `index` away, and wipes its content. It is not stored yet.
    pub(crate) fn remove(&mut self, index: FileIndex) {
        if let Some(file) = self.files.get_mut(usize::from(index.0)) {
            file.delete();
        }
    }

    /// The file whose content `index` shows: itself, or where its link leads. No link leads to another link.
    pub(crate) fn content_owner(&self, index: FileIndex) -> FileIndex {
        self.file(index).and_then(|file| file.link).unwrap_or(index)
    }

    /// The content of an EF, through its link; empty for anything else.
    pub(crate) fn content(&self, index: FileIndex) -> &[u8] {
        self.file(self.content_owner(index)).map_or(&[], |file| &file.content)
    }

    /// The content of an EF, through its link, to be changed: the file counts as changed from now on, and its
    /// object as unsaved. Only a BER-TLV structure may change its length. `None` if there is no such file.
    pub(crate) fn content_mut(&mut self, index: FileIndex) -> Option<&mut Vec<u8>> {
        let owner = self.content_owner(index);
        self.file(owner)?;
        let is_hot = self.is_hot(owner);
        let file = self.files.get_mut(usize::from(owner.0))?;
        file.changed = true;
        if is_hot {
            self.unsaved.hot = true;
        } else {
            self.unsaved.changes = true;
        }
        Some(&mut file.content)
    }
}
