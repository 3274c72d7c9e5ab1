//! The card's store over a folder: one file per object, encrypted and authenticated.
//!
//! ```text
//! object file = format u8 (1), nonce (24 random bytes), XChaCha20-Poly1305(value)
//! ```
//!
//! The object's name is authenticated with it, so that one object cannot be passed off as another. An older copy of
//! the same object is not noticed: files alone cannot prove freshness.

use super::folder::{Folder, OpenError, ReadError, loose};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use teuicc_card::{ObjectId, Store, StoreError};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
const KEY: &str = "key";
const KEY_LENGTH: usize = 32;
/// The longest object that is written or believed, in bytes.
const MAX_OBJECT: usize = 8 * 1024 * 1024;
const MAX_FILE: u64 = (1 + NONCE + MAX_OBJECT + TAG) as u64;

/// Objects as files in a folder that this process owns.
pub struct FileStore {
    folder: Folder,
    cipher: XChaCha20Poly1305,
    writes: Writes,
}

/// Counts the objects that a store replaced. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Writes(Arc<AtomicU64>);

impl Writes {
    /// How many objects were replaced since the last call.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl FileStore {
    /// Opens or makes the store in `folder`; `owner` names this process to others. The key is made at the first use.
    pub fn open(folder: &Path, owner: &str) -> Result<FileStore, OpenError> {
        let folder = Folder::open(folder, owner)?;
        let key = match read_key(&folder)? {
            Some(key) => key,
            None => make_key(&folder)?,
        };
        Ok(FileStore { cipher: XChaCha20Poly1305::new((&*key).into()), folder, writes: Writes::default() })
    }

    /// The counter of this store's writes.
    #[must_use]
    pub fn writes(&self) -> Writes {
        self.writes.clone()
    }

    /// Says which file is damaged: the card's answers do not.
    fn corrupt(&self, id: ObjectId) -> StoreError {
        tracing::error!(file = %self.folder.path_of(&file_name(id)).display(), object = ?id, "a stored object is damaged");
        StoreError::Corrupt(id)
    }
}

impl Store for FileStore {
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        let file = match self.folder.read(&file_name(id), MAX_FILE) {
            Ok(Some((file, _mode))) => file,
            Ok(None) => return Ok(None),
            Err(ReadError::Unusable) => return Err(self.corrupt(id)),
            Err(ReadError::System(error)) => return Err(store_error(error)),
        };
        let (nonce, sealed) = match file.split_first_chunk::<{ 1 + NONCE }>() {
            Some(([FORMAT, nonce @ ..], sealed)) => (XNonce::from(*nonce), sealed),
            _ => return Err(self.corrupt(id)),
        };
        let mut value = teuicc_tlv::try_copy(sealed)?;
        let opened = self.cipher.decrypt_in_place(&nonce, &associated_data(id), &mut value);
        opened.map_err(|_| self.corrupt(id))?;
        Ok(Some(value))
    }

    fn replace(&mut self, id: ObjectId, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > MAX_OBJECT {
            return Err(StoreError::Full);
        }
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| StoreError::Unavailable)?;
        let mut sealed = Vec::new();
        sealed.try_reserve_exact(value.len() + TAG).map_err(|_| StoreError::OutOfMemory)?;
        sealed.extend_from_slice(value);
        let done = self.cipher.encrypt_in_place(&XNonce::from(nonce), &associated_data(id), &mut sealed);
        done.map_err(|_| StoreError::Unavailable)?;
        let mut file = Vec::new();
        file.try_reserve_exact(1 + NONCE + sealed.len()).map_err(|_| StoreError::OutOfMemory)?;
        file.push(FORMAT);
        file.extend_from_slice(&nonce);
        file.extend_from_slice(&sealed);
        self.writes.0.fetch_add(1, Ordering::Relaxed);
        self.folder.replace(&file_name(id), &file).map_err(store_error)
    }

    fn remove(&mut self, id: ObjectId) -> Result<(), StoreError> {
        self.folder.remove(&file_name(id)).map_err(store_error)
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        let mut ids = Vec::new();
        for id in ObjectId::all() {
            if self.folder.exists(&file_name(id)).map_err(store_error)? {
                ids.push(id);
            }
        }
        ids.sort();
        Ok(ids)
    }
}

fn file_name(id: ObjectId) -> String {
    let [first, second] = id.name();
    format!("object-{}{}", char::from(first), char::from(second))
}

fn associated_data(id: ObjectId) -> [u8; 3] {
    let [first, second] = id.name();
    [FORMAT, first, second]
}

fn store_error(error: Errno) -> StoreError {
    match error {
        Errno::NOSPC | Errno::DQUOT => StoreError::Full,
        Errno::NOMEM => StoreError::OutOfMemory,
        error => {
            tracing::error!(%error, "the state folder cannot be used");
            StoreError::Unavailable
        }
    }
}

fn read_key(folder: &Folder) -> Result<Option<Zeroizing<[u8; KEY_LENGTH]>>, OpenError> {
    let path = || folder.path_of(KEY);
    match folder.read(KEY, KEY_LENGTH as u64) {
        Ok(Some((content, mode))) => {
            let content = Zeroizing::new(content);
            if loose(mode) {
                return Err(OpenError::LooseKey { path: path(), mode });
            }
            let key = content.as_slice().try_into().map_err(|_| OpenError::BadKey(path()))?;
            Ok(Some(Zeroizing::new(key)))
        }
        Ok(None) => Ok(None),
        Err(ReadError::Unusable) => Err(OpenError::BadKey(path())),
        Err(ReadError::System(error)) => {
            Err(OpenError::Io { what: "cannot read the key file", path: path(), error: error.into() })
        }
    }
}

/// A new key, for a folder without objects: with another key they would all be lost.
fn make_key(folder: &Folder) -> Result<Zeroizing<[u8; KEY_LENGTH]>, OpenError> {
    let failed =
        |error: std::io::Error| OpenError::Io { what: "cannot make the key file", path: folder.path_of(KEY), error };
    for id in ObjectId::all() {
        if folder.exists(&file_name(id)).map_err(|error| failed(error.into()))? {
            return Err(OpenError::KeyMissing(folder.path_of("")));
        }
    }
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    getrandom::fill(&mut *key).map_err(|error| failed(error.into()))?;
    folder.replace(KEY, &*key).map_err(|error| failed(error.into()))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn open(folder: &TempDir) -> FileStore {
        FileStore::open(folder.path(), "test").unwrap()
    }

    fn object(folder: &TempDir, id: ObjectId) -> PathBuf {
        folder.path().join(file_name(id))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_stored_is_there_after_a_restart_and_not_in_the_clear() {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        assert_eq!(store.load(ObjectId::Registry), Ok(None));
        assert_eq!(store.list(), Ok(vec![]));
        store.replace(ObjectId::Registry, b"plain old text").unwrap();
        store.replace(ObjectId::Identity, b"").unwrap();
        drop(store);
        let mut store = open(&folder);
        assert_eq!(store.load(ObjectId::Registry), Ok(Some(b"plain old text".to_vec())));
        assert_eq!(store.load(ObjectId::Identity), Ok(Some(vec![])));
        assert_eq!(store.list(), Ok(vec![ObjectId::Identity, ObjectId::Registry]));
        let file = fs::read(object(&folder, ObjectId::Registry)).unwrap();
        assert!(!file.windows(5).any(|window| window == b"plain"));
        store.remove(ObjectId::Registry).unwrap();
        store.remove(ObjectId::Registry).unwrap();
        assert_eq!(store.load(ObjectId::Registry), Ok(None));
    }

    #[test]
    fn a_power_cut_at_any_step_leaves_the_old_value_or_the_new_one() {
        let (old, new) = (vec![1; 1000], vec![2; 3000]);
        let mut outcomes = [0, 0];
        for steps in 0.. {
            let folder = TempDir::new().unwrap();
            let mut store = open(&folder);
            store.replace(ObjectId::Registry, &old).unwrap();
            store.folder.power.set(Some(steps));
            let acknowledged = store.replace(ObjectId::Registry, &new).is_ok();
            drop(store);
            let value = open(&folder).load(ObjectId::Registry).unwrap().unwrap();
            assert!(value == new || (value == old && !acknowledged), "after {steps} steps");
            outcomes[usize::from(value == new)] += 1;
            let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
            left.sort();
            assert_eq!(left, ["key", "lock", "object-rg"], "after {steps} steps");
            if acknowledged {
                break;
            }
        }
        assert!(outcomes[0] >= 4 && outcomes[1] >= 2, "{outcomes:?}");
    }

    #[test]
    fn an_object_that_was_tampered_with_is_corrupt() {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        let id = ObjectId::Registry;
        store.replace(id, b"value").unwrap();
        let path = object(&folder, id);
        let good = fs::read(&path).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert_eq!(store.load(id), Err(StoreError::Corrupt(id)), "byte {position}");
            fs::write(&path, &good[..position]).unwrap();
            assert_eq!(store.load(id), Err(StoreError::Corrupt(id)), "cut to {position}");
        }
        fs::write(&path, [good.as_slice(), &[0]].concat()).unwrap();
        assert_eq!(store.load(id), Err(StoreError::Corrupt(id)));
        // Another object's file under this name.
        store.replace(ObjectId::Identity, b"other").unwrap();
        fs::copy(object(&folder, ObjectId::Identity), &path).unwrap();
        assert_eq!(store.load(id), Err(StoreError::Corrupt(id)));
        fs::write(&path, &good).unwrap();
        assert_eq!(store.load(id), Ok(Some(b"value".to_vec())));
    }

    #[test]
    fn what_is_no_regular_file_is_corrupt_and_never_followed() {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        let id = ObjectId::Identity;
        store.replace(ObjectId::Registry, b"value").unwrap();
        let path = object(&folder, id);
        symlink(object(&folder, ObjectId::Registry), &path).unwrap();
        assert_eq!(store.load(id), Err(StoreError::Corrupt(id)));
        assert_eq!(store.list(), Ok(vec![ObjectId::Identity, ObjectId::Registry]));
        // Replacing replaces the link, not what it points to.
        store.replace(id, b"own").unwrap();
        assert_eq!(store.load(ObjectId::Registry), Ok(Some(b"value".to_vec())));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(store.load(id), Err(StoreError::Corrupt(id)));
        assert!(store.replace(id, b"own").is_err());
        fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(store.load(id), Err(StoreError::Corrupt(id)));
        fs::remove_file(&path).unwrap();
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(store.load(id), Err(StoreError::Corrupt(id)));
    }

    #[test]
    fn leftovers_of_an_interrupted_write_are_removed_and_a_folder_among_them_does_no_harm() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("tmp-object-rg"), b"half").unwrap();
        fs::create_dir(folder.path().join("tmp-folder")).unwrap();
        symlink("/etc/passwd", folder.path().join("tmp-link")).unwrap();
        open(&folder);
        assert!(!folder.path().join("tmp-object-rg").exists());
        assert!(fs::symlink_metadata(folder.path().join("tmp-link")).is_err());
        assert!(Path::new("/etc/passwd").exists());
    }

    #[test]
    fn the_key_file_is_private_and_a_looser_one_is_refused() {
        let folder = TempDir::new().unwrap();
        drop(open(&folder));
        let key = folder.path().join("key");
        assert_eq!(mode(&key), 0o600);
        for loose in [0o640, 0o604, 0o660, 0o610] {
            set_mode(&key, loose);
            let error = FileStore::open(folder.path(), "test").err().unwrap();
            assert!(matches!(error, OpenError::LooseKey { mode, .. } if mode == loose), "{error}");
        }
        set_mode(&key, 0o400);
        drop(open(&folder));
    }

    #[test]
    fn a_key_that_is_damaged_or_missing_is_never_replaced() {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        store.replace(ObjectId::Registry, b"value").unwrap();
        drop(store);
        let key = folder.path().join("key");
        let good = fs::read(&key).unwrap();
        fs::remove_file(&key).unwrap();
        assert!(matches!(FileStore::open(folder.path(), "test"), Err(OpenError::KeyMissing(_))));
        for bad in [&good[..31], &[good.as_slice(), &[0]].concat()] {
            fs::write(&key, bad).unwrap();
            set_mode(&key, 0o600);
            assert!(matches!(FileStore::open(folder.path(), "test"), Err(OpenError::BadKey(_))));
        }
        fs::write(&key, [7; 32]).unwrap();
        assert_eq!(open(&folder).load(ObjectId::Registry), Err(StoreError::Corrupt(ObjectId::Registry)));
        fs::write(&key, &good).unwrap();
        assert_eq!(open(&folder).load(ObjectId::Registry), Ok(Some(b"value".to_vec())));
        fs::rename(&key, folder.path().join("elsewhere")).unwrap();
        symlink("elsewhere", &key).unwrap();
        assert!(matches!(FileStore::open(folder.path(), "test"), Err(OpenError::BadKey(_))));
    }

    #[test]
    fn one_owner_at_a_time_and_the_other_is_named() {
        let folder = TempDir::new().unwrap();
        let store = FileStore::open(folder.path(), "teuiccd").unwrap();
        let error = FileStore::open(folder.path(), "teuicc").err().unwrap().to_string();
        let expected =
            format!("state folder {} is in use by teuiccd (pid {})", folder.path().display(), std::process::id());
        assert_eq!(error, expected);
        drop(store);
        FileStore::open(folder.path(), "teuicc").unwrap();
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused_and_a_new_one_is_private() {
        let parent = TempDir::new().unwrap();
        let path = parent.path().join("state");
        drop(FileStore::open(&path, "test").unwrap());
        assert_eq!(mode(&path), 0o700);
        set_mode(&path, 0o770);
        assert!(matches!(FileStore::open(&path, "test"), Err(OpenError::Shared(_))));
        fs::write(parent.path().join("file"), b"").unwrap();
        assert!(matches!(FileStore::open(&parent.path().join("file"), "test"), Err(OpenError::Io { .. })));
        assert!(matches!(FileStore::open(&parent.path().join("a/b"), "test"), Err(OpenError::Io { .. })));
    }

    #[test]
    fn a_full_disk_is_told_from_an_unreachable_one() {
        assert_eq!(store_error(Errno::NOSPC), StoreError::Full);
        assert_eq!(store_error(Errno::DQUOT), StoreError::Full);
        assert_eq!(store_error(Errno::IO), StoreError::Unavailable);
        assert_eq!(store_error(Errno::ROFS), StoreError::Unavailable);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_file_content_panics(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let folder = TempDir::new().unwrap();
            let store = open(&folder);
            fs::write(object(&folder, ObjectId::Registry), &content).unwrap();
            prop_assert_eq!(store.load(ObjectId::Registry), Err(StoreError::Corrupt(ObjectId::Registry)));
        }
    }
}
