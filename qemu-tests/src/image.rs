//! What `build/image` assembled.

use anyhow::Context;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An image that can be booted: the folder that `build/image` prints.
#[derive(Clone, Debug)]
pub struct Image {
    folder: PathBuf,
    description: Description,
}

#[derive(Clone, Debug, Deserialize)]
struct Description {
    optee: String,
    arguments: Vec<String>,
}

impl Image {
    /// Reads an image's description. Errors: `machine.json` is not there or is something else.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("machine.json");
        let text =
            std::fs::read(&path).with_context(|| format!("{}: make the image with build/image", path.display()))?;
        let description = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        Ok(Image { folder: folder.to_owned(), description })
    }

    /// The image that the environment's `variable` names, for a test; a word and `None`, if `TEUICC_QEMU=1` is not set.
    ///
    /// # Panics
    ///
    /// If the tests are to run, and it names no image.
    #[must_use]
    pub fn for_test(variable: &str) -> Option<Self> {
        if std::env::var_os("TEUICC_QEMU").is_none_or(|value| value != "1") {
            println!("skipped: TEUICC_QEMU=1 is not set");
            return None;
        }
        let folder = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no image"));
        match Image::open(Path::new(&folder)) {
            Ok(image) => Some(image),
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Which OP-TEE OS it is: `debian`, `rpmb` or `own`.
    #[must_use]
    pub fn optee(&self) -> &str {
        &self.description.optee
    }

    /// QEMU's arguments: machine, firmware, kernel and initramfs. Disk, ports and network are not among them.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.description.arguments
    }

    fn empty_disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }
}

/// The guest's disk, which holds the secure storage. It outlives the machines that use it, one at a time.
#[derive(Debug)]
pub struct Disk {
    folder: Option<TempDir>,
    path: PathBuf,
}

impl Disk {
    /// An empty one, which is gone when the value is.
    pub fn empty(image: &Image) -> anyhow::Result<Self> {
        Self::copy_of(&image.empty_disk())
    }

    /// One that stays where it is; made empty if it is not there.
    pub fn kept(path: &Path, image: &Image) -> anyhow::Result<Self> {
        if !path.exists() {
            std::fs::copy(image.empty_disk(), path).with_context(|| format!("making {}", path.display()))?;
        }
        Ok(Disk { folder: None, path: path.to_owned() })
    }

    /// A copy of this one, as it is now.
    pub fn copy(&self) -> anyhow::Result<Self> {
        Self::copy_of(&self.path)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn copy_of(original: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("teuicc-disk-").tempdir()?;
        let path = folder.path().join("disk.img");
        std::fs::copy(original, &path).with_context(|| format!("copying {}", original.display()))?;
        Ok(Disk { folder: Some(folder), path })
    }

    /// Whether it is gone when the value is.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.folder.is_some()
    }
}
