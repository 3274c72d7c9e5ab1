//! The card's store on persistent objects of the TEE's trusted storage.

use alloc::vec::Vec;
use optee_utee::{DataFlag, Error, ErrorKind, ObjectEnumHandle, ObjectStorageConstants, PersistentObject};
use teuicc_card::{ObjectId, Store, StoreError};
use teuicc_tlv::TryBytes;

/// Where objects are kept: files of the normal world, encrypted and authenticated, or the RPMB.
#[cfg(not(feature = "rpmb"))]
const STORAGE: ObjectStorageConstants = ObjectStorageConstants::PrivateRee;
#[cfg(feature = "rpmb")]
const STORAGE: ObjectStorageConstants = ObjectStorageConstants::PrivateRpmb;

/// Whether an older copy of the whole storage would be noticed. For files OP-TEE can do it too
/// (CFG_REE_FS_INTEGRITY_RPMB), but a TA cannot ask, and so does not promise it.
pub(crate) const ROLLBACK_PROTECTION: bool = cfg!(feature = "rpmb");

/// Longest name that OP-TEE gives an object (TEE_OBJECT_ID_MAX_LEN).
const MAX_NAME: usize = 64;

/// The objects of this TA.
pub(crate) struct TeeStore;

impl Store for TeeStore {
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        let mut object = match PersistentObject::open(STORAGE, &id.name(), DataFlag::ACCESS_READ) {
            Ok(object) => object,
            Err(error) if error.kind() == ErrorKind::ItemNotFound => return Ok(None),
            Err(error) => return Err(failure(id, &error)),
        };
        object.read_remaining_to_vec().map(Some).map_err(|error| failure(id, &error))
    }

    /// OP-TEE replaces the whole object atomically: it writes a new file and commits by its directory.
    fn replace(&mut self, id: ObjectId, value: &[u8]) -> Result<(), StoreError> {
        let flags = DataFlag::ACCESS_WRITE | DataFlag::ACCESS_WRITE_META | DataFlag::OVERWRITE;
        match PersistentObject::create(STORAGE, &id.name(), flags, None, value) {
            Ok(_) => Ok(()),
            Err(error) => Err(failure(id, &error)),
        }
    }

    fn remove(&mut self, id: ObjectId) -> Result<(), StoreError> {
        match PersistentObject::open(STORAGE, &id.name(), DataFlag::ACCESS_WRITE_META) {
            Ok(object) => object.close_and_delete().map_err(|error| failure(id, &error)),
            Err(error) if error.kind() == ErrorKind::ItemNotFound => Ok(()),
            Err(error) => Err(failure(id, &error)),
        }
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        let mut names: Vec<[u8; 2]> = Vec::new();
        let mut objects = ObjectEnumHandle::allocate().map_err(|error| unlisted(&error))?;
        match objects.start(STORAGE as u32) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::ItemNotFound => return Ok(Vec::new()),
            Err(error) => return Err(unlisted(&error)),
        }
        loop {
            let mut name = [0; MAX_NAME];
            match objects.get_next(None, &mut name) {
                Ok(2) => {
                    let [first, second, ..] = name;
                    names.try_push([first, second])?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ItemNotFound => break,
                Err(error) => return Err(unlisted(&error)),
            }
        }
        let mut ids = Vec::new();
        for id in ObjectId::all().filter(|id| names.contains(&id.name())) {
            ids.try_push(id)?;
        }
        Ok(ids)
    }
}

/// What an error says of an object. "Not found" says it of the whole storage here: there is none of that kind.
fn failure(id: ObjectId, error: &Error) -> StoreError {
    match error.kind() {
        ErrorKind::CorruptObject | ErrorKind::CorruptObject2 => StoreError::Corrupt(id),
        ErrorKind::StorageNoSpace => StoreError::Full,
        ErrorKind::OutOfMemory => StoreError::OutOfMemory,
        _ => StoreError::Unavailable,
    }
}

/// OP-TEE does not say which object is damaged. The registry is what a card cannot do without.
fn unlisted(error: &Error) -> StoreError {
    failure(ObjectId::Registry, error)
}
