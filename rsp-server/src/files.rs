//! Files of the server's folders: keys are readable by their owner alone.

use crate::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Largest file read into memory, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Reads a file. Errors: [`Error::Io`], or it is larger than 4 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
    if size > MAX_FILE {
        return Err(Error::file(path, format!("{size} bytes are too many")));
    }
    std::fs::read(path).map_err(Error::io(path))
}

/// Makes a new file that its owner alone can read. Errors: [`Error::Io`], also if it is there already.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_new(path, bytes, 0o600)
}

/// Makes a new file that all can read. Errors: as [`write_private`].
pub(crate) fn write_public(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_new(path, bytes, 0o644)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    })
    .map_err(Error::io(path))
}
