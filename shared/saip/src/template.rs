//! The file templates of annex A of the specification: what each file is unless the package says otherwise.

mod tables;

use crate::decode::Oid;
use crate::pe::PeKind;
use core::fmt;

/// A template: the files of one kind of profile element, in the order of its ASN.1.
pub struct Template {
    /// templateID, the content octets of its OBJECT IDENTIFIER.
    pub oid: Oid<'static>,
    /// Its name.
    pub name: &'static str,
    /// The profile element that it belongs to.
    pub kind: PeKind,
    /// Where its files are.
    pub base: Base,
    /// "Created by Default": files that the package does not name are created too.
    pub created_by_default: bool,
    /// The files. File `i` has the tag number `i + 2` in the profile element.
    pub files: &'static [TemplateFile],
}

/// Where the files of a template are that it gives no directory for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The template makes the MF, or a DF or an ADF under it.
    Mf,
    /// The last ADF USIM.
    Usim,
    /// The last ADF ISIM.
    Isim,
    /// The last ADF CSIM.
    Csim,
    /// The DF or ADF that was created last.
    Current,
}

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The MF.
    Mf,
    /// An application dedicated file.
    Adf,
    /// A dedicated file.
    Df,
    /// A transparent EF.
    Transparent,
    /// A linear fixed EF.
    LinearFixed,
    /// A cyclic EF.
    Cyclic,
    /// A BER-TLV structure EF.
    BerTlv,
}

impl FileKind {
    /// Whether it is an elementary file.
    #[must_use]
    pub const fn is_ef(self) -> bool {
        !matches!(self, FileKind::Mf | FileKind::Adf | FileKind::Df)
    }

    /// Whether it has records.
    #[must_use]
    pub const fn has_records(self) -> bool {
        matches!(self, FileKind::LinearFixed | FileKind::Cyclic)
    }
}

/// What a file, or each of its records, holds before the package writes to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DefaultContent<'a> {
    /// Nothing is said: FF.
    None,
    /// These bytes: cut off, or padded with FF, if the size is another.
    Bytes(&'a [u8]),
    /// These bytes, the last one repeated to the end.
    Fill(&'a [u8]),
    /// FF, and these bytes at the end.
    Tail(&'a [u8]),
    /// These bytes, over and over.
    Repeat(&'a [u8]),
}

impl fmt::Debug for DefaultContent<'_> {
    /// Without the bytes: those of a package may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bytes) = match self {
            DefaultContent::None => return f.write_str("None"),
            DefaultContent::Bytes(bytes) => ("Bytes", bytes),
            DefaultContent::Fill(bytes) => ("Fill", bytes),
            DefaultContent::Tail(bytes) => ("Tail", bytes),
            DefaultContent::Repeat(bytes) => ("Repeat", bytes),
        };
        write!(f, "{name}({} bytes)", bytes.len())
    }
}

/// What a template says of one of its files.
#[derive(Clone, Copy, Debug)]
pub struct TemplateFile {
    /// File identifier; 0 if the package gives it (ADFs, DF EAP).
    pub fid: u16,
    /// The last identifier of a field that may stand for several files, else `fid`.
    pub last_fid: u16,
    /// The field's name in the ASN.1.
    pub name: &'static str,
    /// What kind of file.
    pub kind: FileKind,
    /// Number of records; 0 if it has none or the package gives it.
    pub records: u16,
    /// Size of the file, or of a record, in bytes; 0 if the package gives it.
    pub size: u16,
    /// Record of the EF ARR that holds the access rules.
    pub arr: u8,
    /// Short file identifier.
    pub sfi: Option<u8>,
    /// What it holds before the package writes to it.
    pub default: DefaultContent<'static>,
    /// Whether the package must say what it holds.
    pub content_required: bool,
    /// The services of the UST (of the IST for an ISIM) that the file belongs to.
    pub services: &'static [u16],
    /// High update activity.
    pub high_update: bool,
}

impl TemplateFile {
    /// Whether the field may stand for this file identifier.
    #[must_use]
    pub const fn allows(&self, fid: u16) -> bool {
        self.fid == 0 || (fid >= self.fid && fid <= self.last_fid)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.name)
    }
}

impl Template {
    /// The index of the directory that file `index` is in; `None` if that is the template's [`Base`].
    ///
    /// An EF is in the last directory before it; a DF is in the first file of the template, if that is one.
    #[must_use]
    pub fn parent(&self, index: usize) -> Option<usize> {
        let is_directory = |at: usize| self.files.get(at).is_some_and(|file| !file.kind.is_ef());
        if is_directory(index) {
            return (index > 0 && is_directory(0)).then_some(0);
        }
        (0..index).rev().find(|at| is_directory(*at))
    }

    /// Whether file `index` is directly in the MF, which decides the EF ARR that applies to it. (With
    /// [`Base::Current`] that depends on the package; here it is taken for no.)
    #[must_use]
    pub fn in_mf(&self, index: usize) -> bool {
        match self.parent(index) {
            Some(parent) => self.files.get(parent).is_some_and(|file| file.kind == FileKind::Mf),
            None => self.base == Base::Mf,
        }
    }
}

/// The template with this identifier.
#[must_use]
pub fn lookup(oid: Oid<'_>) -> Option<&'static Template> {
    tables::ALL.iter().find(|template| template.oid.0 == oid.0)
}

/// All templates.
#[must_use]
pub fn all() -> &'static [Template] {
    tables::ALL
}
