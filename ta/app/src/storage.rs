//! The card's store on persistent objects of the TEE's trusted storage.
//!
//! OP-TEE's system calls are used, not GlobalPlatform's functions over them: those end the TA (`TEE_Panic`) for every
//! error that GlobalPlatform does not list for the call, among them the ones for a storage that was rolled back or
//! whose files cannot be read. A card has to say so instead.

use alloc::vec::Vec;
use core::ffi::c_ulong;
use optee_utee::{ObjectStorageConstants, raw};
use teuicc_card::{ObjectId, Store, StoreError};
use teuicc_tlv::TryBytes;

/// Where objects are kept: files of the normal world, encrypted and authenticated, or the RPMB.
#[cfg(not(feature = "rpmb"))]
const STORAGE: c_ulong = ObjectStorageConstants::PrivateRee as c_ulong;
#[cfg(feature = "rpmb")]
const STORAGE: c_ulong = ObjectStorageConstants::PrivateRpmb as c_ulong;

/// Whether an older copy of the whole storage would be noticed. For files OP-TEE can do it too
/// (CFG_REE_FS_INTEGRITY_RPMB), but a TA cannot ask, and so does not promise it.
pub(crate) const ROLLBACK_PROTECTION: bool = cfg!(feature = "rpmb");

const READ: c_ulong = raw::TEE_DATA_FLAG_ACCESS_READ as c_ulong;
const DELETE: c_ulong = raw::TEE_DATA_FLAG_ACCESS_WRITE_META as c_ulong;
/// An object that is there is replaced atomically: OP-TEE writes a new file and commits by its directory.
const REPLACE: c_ulong =
    (raw::TEE_DATA_FLAG_ACCESS_WRITE | raw::TEE_DATA_FLAG_ACCESS_WRITE_META | raw::TEE_DATA_FLAG_OVERWRITE) as c_ulong;

/// Longest name that OP-TEE gives an object (TEE_OBJECT_ID_MAX_LEN).
const MAX_NAME: usize = 64;

/// What OP-TEE tells of an object, all of them 32-bit numbers: type, size, largest size, usage, length of the data,
/// position, flags.
type Info = [u32; 7];
const _: () = assert!(size_of::<Info>() == size_of::<raw::utee_object_info>());
const DATA_LENGTH: usize = 4;

/// The objects of this TA.
pub(crate) struct TeeStore;

impl Store for TeeStore {
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        let content = Object::open(id, READ).and_then(|object| object.map(|object| object.read()).transpose());
        content.map_err(|code| code.of(id))
    }

    fn replace(&mut self, id: ObjectId, value: &[u8]) -> Result<(), StoreError> {
        Object::create(id, value).map(drop).map_err(|code| code.of(id))
    }

    fn remove(&mut self, id: ObjectId) -> Result<(), StoreError> {
        let object = Object::open(id, DELETE).map_err(|code| code.of(id))?;
        object.map_or(Ok(()), |object| object.delete().map_err(|code| code.of(id)))
    }

    /// OP-TEE does not say which object is damaged. The registry is what a card cannot do without.
    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        let unlisted = |code: Code| code.of(ObjectId::Registry);
        let mut names: Vec<[u8; 2]> = Vec::new();
        let objects = Enumerator::new().map_err(unlisted)?;
        if objects.start().map_err(unlisted)?.is_none() {
            return Ok(Vec::new());
        }
        while let Some(name) = objects.next().map_err(unlisted)? {
            names.try_push(name)?;
        }
        let mut ids = Vec::new();
        for id in ObjectId::all().filter(|id| names.contains(&id.name())) {
            ids.try_push(id)?;
        }
        Ok(ids)
    }
}

/// A result that is no success, TEE_ERROR_...
struct Code(u32);

impl Code {
    /// What a result says of an object. "Not found" says it of the whole storage here: there is none of that kind.
    fn of(&self, id: ObjectId) -> StoreError {
        match self.0 {
            raw::TEE_ERROR_CORRUPT_OBJECT
            | raw::TEE_ERROR_CORRUPT_OBJECT_2
            | raw::TEE_ERROR_MAC_INVALID
            // The counter of the RPMB and that of the files differ: an older copy was put back.
            | raw::TEE_ERROR_SECURITY => StoreError::Corrupt(id),
            raw::TEE_ERROR_STORAGE_NO_SPACE => StoreError::Full,
            raw::TEE_ERROR_OUT_OF_MEMORY => StoreError::OutOfMemory,
            _ => StoreError::Unavailable,
        }
    }
}

fn done(code: u32) -> Result<(), Code> {
    if code == raw::TEE_SUCCESS { Ok(()) } else { Err(Code(code)) }
}

/// `None` for what is not there.
fn found(code: u32) -> Result<Option<()>, Code> {
    if code == raw::TEE_ERROR_ITEM_NOT_FOUND { Ok(None) } else { done(code).map(Some) }
}

/// An open object, closed when it is dropped.
struct Object(u32);

impl Object {
    /// `None` if it does not exist.
    fn open(id: ObjectId, flags: c_ulong) -> Result<Option<Self>, Code> {
        let (name, mut object) = (id.name(), 0);
        // SAFETY: the pointer and the length are those of the name; `object` takes one number.
        let code =
            unsafe { raw::_utee_storage_obj_open(STORAGE, name.as_ptr().cast(), name.len(), flags, &mut object) };
        Ok(found(code)?.map(|()| Object(object)))
    }

    /// Makes an object with this content, in place of the one that is there.
    fn create(id: ObjectId, value: &[u8]) -> Result<Self, Code> {
        let (name, mut object) = (id.name(), 0);
        let (name, length, no_attributes) = (name.as_ptr().cast(), name.len(), 0);
        let (data, size) = (value.as_ptr().cast(), value.len());
        // SAFETY: the pointers and the lengths are those of the name and the value; `object` takes one number.
        done(unsafe {
            raw::_utee_storage_obj_create(STORAGE, name, length, REPLACE, no_attributes, data, size, &mut object)
        })?;
        Ok(Object(object))
    }

    /// The whole content.
    fn read(&self) -> Result<Vec<u8>, Code> {
        let mut info: Info = [0; 7];
        // SAFETY: `info` has the size and the alignment of what is written.
        done(unsafe { raw::_utee_cryp_obj_get_info(self.0.into(), info.as_mut_ptr().cast()) })?;
        let length = usize::try_from(info[DATA_LENGTH]).unwrap_or(usize::MAX);
        let mut content = Vec::new();
        content.try_resize(length, 0).map_err(|_| Code(raw::TEE_ERROR_OUT_OF_MEMORY))?;
        let mut read = 0;
        // SAFETY: the pointer and the length are those of the content; `read` takes one number.
        done(unsafe { raw::_utee_storage_obj_read(self.0.into(), content.as_mut_ptr().cast(), length, &mut read) })?;
        if usize::try_from(read) == Ok(length) { Ok(content) } else { Err(Code(raw::TEE_ERROR_CORRUPT_OBJECT)) }
    }

    /// Removes the object and closes it.
    fn delete(self) -> Result<(), Code> {
        // SAFETY: the call takes a number. It closes the object also when it fails.
        let deleted = done(unsafe { raw::_utee_storage_obj_del(self.0.into()) });
        core::mem::forget(self);
        deleted
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: the call takes a number.
        unsafe { raw::_utee_cryp_obj_close(self.0.into()) };
    }
}

/// Lists the objects of this TA; closed when it is dropped.
struct Enumerator(u32);

impl Enumerator {
    fn new() -> Result<Self, Code> {
        let mut enumerator = 0;
        // SAFETY: `enumerator` takes one number.
        done(unsafe { raw::_utee_storage_alloc_enum(&mut enumerator) })?;
        Ok(Enumerator(enumerator))
    }

    /// `None` if there are none.
    fn start(&self) -> Result<Option<()>, Code> {
        // SAFETY: the call takes numbers.
        found(unsafe { raw::_utee_storage_start_enum(self.0.into(), STORAGE) })
    }

    /// The first bytes of the next object's name; `None` after the last one. All names that are made here have two.
    fn next(&self) -> Result<Option<[u8; 2]>, Code> {
        let (mut info, mut name, mut length): (Info, _, _) = ([0; 7], [0_u8; MAX_NAME], MAX_NAME as u64);
        let (info, buffer) = (info.as_mut_ptr().cast(), name.as_mut_ptr().cast());
        // SAFETY: `info` has the size and the alignment of what is written, the name MAX_NAME bytes.
        let code = unsafe { raw::_utee_storage_next_enum(self.0.into(), info, buffer, &mut length) };
        let [first, second, ..] = name;
        Ok(found(code)?.map(|()| [first, second]))
    }
}

impl Drop for Enumerator {
    fn drop(&mut self) {
        // SAFETY: the call takes a number.
        unsafe { raw::_utee_storage_free_enum(self.0.into()) };
    }
}
