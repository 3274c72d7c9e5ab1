//! A folder that one process owns, and files that are replaced as a whole. Everything is relative to the opened
//! folder, follows no link in it, and takes regular files of this user only.

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Names of files that are being written begin with it.
const TEMPORARY: &str = "tmp-";
const LOCK: &str = "lock";
/// Longest text that is believed about the owner of a lock, in bytes.
const MAX_OWNER: u64 = 100;
/// Permission bits that nobody but the owner may have.
const OTHERS: u32 = 0o077;
/// Permission to write for others than the owner.
const OTHERS_WRITE: u32 = 0o022;

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("state folder {folder} is in use by {owner}")]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Command and pid, as that process wrote them.
        owner: String,
    },
    /// It belongs to another user, or others may write in it.
    #[error("state folder {0} must belong to this user and be writable by nobody else (chmod go-w)")]
    Shared(PathBuf),
    /// Others may read the key.
    #[error("key file {path} has mode {mode:03o}: others may have read it; only 600 or less is accepted")]
    LooseKey {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no key.
    #[error("key file {0} is damaged: it must be a regular file of this user with 32 bytes")]
    BadKey(PathBuf),
    /// There are objects, and no key to read them with.
    #[error("state folder {0} has stored objects but no key file: put the key back, or empty the folder")]
    KeyMissing(PathBuf),
    /// The system refuses.
    #[error("{what} {path}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Why a file cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// It is no regular file of this user, or longer than allowed.
    Unusable,
    /// The system refuses.
    System(Errno),
}

/// An owned folder.
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    _lock: File,
    #[cfg(test)]
    pub(super) power: std::cell::Cell<Option<u32>>,
}

impl Folder {
    /// Opens or makes the folder, locks it in the name of `owner`, and removes what an interrupted write left.
    pub(super) fn open(path: &Path, owner: &str) -> Result<Folder, OpenError> {
        let failed = |what| move |error: Errno| OpenError::Io { what, path: path.into(), error: error.into() };
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("cannot make the state folder")(error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("cannot open the state folder"))?;
        let stat = rustix::fs::fstat(&fd).map_err(failed("cannot examine the state folder"))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & OTHERS_WRITE != 0 {
            return Err(OpenError::Shared(path.into()));
        }
        let lock = lock(&fd, path, owner)?;
        let folder = Folder {
            fd,
            path: path.into(),
            _lock: lock,
            #[cfg(test)]
            power: std::cell::Cell::new(None),
        };
        folder.remove_temporary().map_err(failed("cannot clean up the state folder"))?;
        Ok(folder)
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The content of a file of at most `max` bytes and its permission bits; `None` if there is nothing of this name.
    pub(super) fn read(&self, name: &str, max: u64) -> Result<Option<(Vec<u8>, u32)>, ReadError> {
        // Without NONBLOCK, opening a pipe of this name would wait for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => return Err(ReadError::Unusable),
            Err(error) => return Err(ReadError::System(error)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(ReadError::System)?;
        let length = u64::try_from(stat.st_size).map_err(|_| ReadError::Unusable)?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || stat.st_uid != rustix::process::geteuid().as_raw() || length > max {
            return Err(ReadError::Unusable);
        }
        let mut content = Vec::new();
        let capacity = usize::try_from(length).map_err(|_| ReadError::Unusable)?;
        content.try_reserve_exact(capacity).map_err(|_| ReadError::System(Errno::NOMEM))?;
        File::from(fd).take(length).read_to_end(&mut content).map_err(|error| ReadError::System(errno(&error)))?;
        Ok(Some((content, stat.st_mode & 0o777)))
    }

    /// Creates or replaces a file, atomically and durably; mode 600.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> Result<(), Errno> {
        let temporary = format!("{TEMPORARY}{name}");
        self.write(&temporary, content)
            .and_then(|()| {
                self.step()?;
                rustix::fs::renameat(&self.fd, &temporary, &self.fd, name)
            })
            .inspect_err(|_| {
                if self.step().is_ok() {
                    let _ = rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
                }
            })?;
        self.sync()
    }

    /// Removes a file, durably. Removing what does not exist is fine.
    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        self.step()?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether there is anything of this name.
    pub(super) fn exists(&self, name: &str) -> Result<bool, Errno> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), Errno> {
        self.step()?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?);
        let (first, second) = content.split_at(content.len() / 2);
        for half in [first, second] {
            self.step()?;
            file.write_all(half).map_err(|error| errno(&error))?;
        }
        self.step()?;
        rustix::fs::fsync(&file)
    }

    fn sync(&self) -> Result<(), Errno> {
        self.step()?;
        rustix::fs::fsync(&self.fd)
    }

    fn remove_temporary(&self) -> Result<(), Errno> {
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_bytes().starts_with(TEMPORARY.as_bytes()) {
                continue;
            }
            if let Err(error) = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
                tracing::warn!(?name, %error, "a temporary file in the state folder cannot be removed");
            }
        }
        Ok(())
    }

    /// Where the power can go; in tests, it does.
    fn step(&self) -> Result<(), Errno> {
        #[cfg(test)]
        if let Some(left) = self.power.get() {
            let Some(left) = left.checked_sub(1) else { return Err(Errno::IO) };
            self.power.set(Some(left));
        }
        Ok(())
    }
}

/// Takes the lock, which the system gives back when this process ends, however it ends.
fn lock(folder: &OwnedFd, path: &Path, owner: &str) -> Result<File, OpenError> {
    let failed = |error: std::io::Error| OpenError::Io { what: "cannot lock", path: path.join(LOCK), error };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let fd = rustix::fs::openat(folder, LOCK, flags, mode).map_err(|error| failed(error.into()))?;
    let mut file = File::from(fd);
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            return Err(OpenError::InUse { folder: path.into(), owner: read_owner(&file) });
        }
        Err(error) => return Err(failed(error.into())),
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{owner} (pid {})", std::process::id()).map_err(failed)?;
    Ok(file)
}

fn read_owner(file: &File) -> String {
    let mut text = Vec::new();
    let _ = file.take(MAX_OWNER).read_to_end(&mut text);
    let line = String::from_utf8_lossy(&text);
    let line: String = line.lines().next().unwrap_or("").chars().filter(|c| !c.is_control()).collect();
    if line.is_empty() { "another process".into() } else { line }
}

/// The key file's mode, if it is too loose.
pub(super) fn loose(mode: u32) -> bool {
    mode & OTHERS != 0
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
