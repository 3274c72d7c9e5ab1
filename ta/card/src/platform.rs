//! What the card asks of the world it runs in. No clock: SGP.22 v2 needs none in the card, and a TEE has no
//! trusted one.

use alloc::vec::Vec;
use core::fmt;

/// A random source and a store. The fields are public so that borrows split.
pub struct Platform<R: Rng, S: Store> {
    /// The random source.
    pub rng: R,
    /// Where the card's state is kept.
    pub store: S,
    /// Whether the store is protected against being rolled back to an older copy (RPMB); said in `Hello`.
    pub rollback_protection: bool,
}

/// The platform as the card's parts see it.
pub(crate) struct Env<'a> {
    pub(crate) rng: &'a mut dyn Rng,
    pub(crate) store: &'a mut dyn Store,
}

impl<R: Rng, S: Store> Platform<R, S> {
    /// Lends the platform to a part of the card.
    pub(crate) fn env(&mut self) -> Env<'_> {
        Env { rng: &mut self.rng, store: &mut self.store }
    }
}

/// A cryptographically secure random source.
pub trait Rng {
    /// Fills `bytes` with random bytes. A source that fails stops the card (a TEE panics the TA); it never
    /// returns with bytes that are not random.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Persistent objects, each replaced as a whole.
///
/// The contract that everything rests on: after `replace` returned `Ok`, the new value is there, also after a
/// power cut; a power cut during `replace` leaves the old value or the new one, never a mixture, and never none
/// where there was one.
pub trait Store {
    /// Reads an object. `Ok(None)` only if it certainly does not exist: damage and unreachable storage are errors,
    /// never "absent".
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError>;

    /// Creates or replaces an object, atomically.
    fn replace(&mut self, id: ObjectId, value: &[u8]) -> Result<(), StoreError>;

    /// Removes an object, atomically. Removing what does not exist is fine.
    fn remove(&mut self, id: ObjectId) -> Result<(), StoreError>;

    /// Whether each object of the closed set exists, in the order of the ids; for the clean-up at start.
    fn list(&self) -> Result<Vec<ObjectId>, StoreError>;
}

/// How many profiles a card holds.
pub const MAX_PROFILES: u8 = 16;

/// The place of a profile's objects in the store, 0 to [`MAX_PROFILES`] - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileSlot(u8);

impl ProfileSlot {
    /// The slot of this number; `None` from [`MAX_PROFILES`] on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < MAX_PROFILES { Some(ProfileSlot(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// All slots.
    pub fn all() -> impl Iterator<Item = ProfileSlot> {
        (0..MAX_PROFILES).map(ProfileSlot)
    }
}

/// Every object that a card stores. The set is closed: no name ever comes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectId {
    /// EID, keys, certificates and the settings of the factory.
    Identity,
    /// Profiles and their states, the notification counter, pending notifications. Its replacement is the commit
    /// point of every profile operation.
    Registry,
    /// A profile as installed: files, keys, metadata. Written once.
    Base(ProfileSlot),
    /// Files that were updated since. Made at the first need.
    Changes(ProfileSlot),
    /// SQN, PIN states and the files that a modem rewrites all the time.
    Hot(ProfileSlot),
}

impl ObjectId {
    /// All ids that can exist.
    pub fn all() -> impl Iterator<Item = ObjectId> {
        [ObjectId::Identity, ObjectId::Registry].into_iter().chain(
            ProfileSlot::all().flat_map(|slot| [ObjectId::Base(slot), ObjectId::Changes(slot), ObjectId::Hot(slot)]),
        )
    }

    /// A name for it: 2 ASCII bytes, unique, the same for ever. For stores that name objects by bytes.
    #[must_use]
    pub const fn name(self) -> [u8; 2] {
        const fn letter(slot: ProfileSlot) -> u8 {
            b'a'.wrapping_add(slot.0)
        }
        match self {
            ObjectId::Identity => *b"id",
            ObjectId::Registry => *b"rg",
            ObjectId::Base(slot) => [b'B', letter(slot)],
            ObjectId::Changes(slot) => [b'C', letter(slot)],
            ObjectId::Hot(slot) => [b'H', letter(slot)],
        }
    }
}

/// Why the store could not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The object is damaged, was put back to an older copy, or its encoding is not ours.
    Corrupt(ObjectId),
    /// The storage cannot be reached, or refuses to write.
    Unavailable,
    /// The storage is full.
    Full,
    /// Not enough memory for the value.
    OutOfMemory,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Corrupt(id) => write!(f, "stored object {id:?} is damaged or was put back"),
            StoreError::Unavailable => f.write_str("the storage cannot be reached or written"),
            StoreError::Full => f.write_str("the storage is full"),
            StoreError::OutOfMemory => f.write_str("not enough memory for a stored object"),
        }
    }
}

impl core::error::Error for StoreError {}

impl From<teuicc_tlv::OutOfMemory> for StoreError {
    fn from(_: teuicc_tlv::OutOfMemory) -> Self {
        StoreError::OutOfMemory
    }
}
