//! Platforms for tests: a store in memory that counts its writes and can lose power at any of them, and a
//! seeded random source. Never in a product: nothing here is secret, and nothing lasts.

extern crate std;

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "for tests")]
pub mod ota;
pub mod profile;

use crate::platform::{ObjectId, Platform, Rng, Store, StoreError};
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A store in memory. Clones share the content, so that a test keeps the flash while the card loses its power.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Flash>>);

#[derive(Default)]
struct Flash {
    objects: BTreeMap<ObjectId, Vec<u8>>,
    replaces: u32,
    removes: u32,
    cut: Option<PowerCut>,
    off: bool,
}

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// At which write from now on (replace or remove), counted from 0.
    pub at_write: u32,
    /// Whether that write still reaches the flash before the power is gone.
    pub written: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn flash(&self) -> MutexGuard<'_, Flash> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many objects were replaced since the last call.
    pub fn take_replaces(&self) -> u32 {
        core::mem::take(&mut self.flash().replaces)
    }

    /// How many objects were removed since the last call.
    pub fn take_removes(&self) -> u32 {
        core::mem::take(&mut self.flash().removes)
    }

    /// Arms a power cut. When it strikes, every access fails until [`MemoryStore::power_on`].
    pub fn arm(&self, cut: PowerCut) {
        self.flash().cut = Some(cut);
    }

    /// Gives the power back, and disarms. True if the power was off.
    pub fn power_on(&self) -> bool {
        let mut flash = self.flash();
        flash.cut = None;
        core::mem::take(&mut flash.off)
    }

    /// The content, to compare states.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<ObjectId, Vec<u8>> {
        self.flash().objects.clone()
    }

    /// Puts other content in: damage, an older copy, or none.
    pub fn restore(&self, objects: BTreeMap<ObjectId, Vec<u8>>) {
        self.flash().objects = objects;
    }
}

impl Flash {
    fn write(&mut self, change: impl FnOnce(&mut BTreeMap<ObjectId, Vec<u8>>)) -> Result<(), StoreError> {
        if self.off {
            return Err(StoreError::Unavailable);
        }
        match &mut self.cut {
            Some(PowerCut { at_write: 0, written }) => {
                if *written {
                    change(&mut self.objects);
                }
                self.off = true;
                self.cut = None;
                return Err(StoreError::Unavailable);
            }
            Some(cut) => cut.at_write = cut.at_write.saturating_sub(1),
            None => {}
        }
        change(&mut self.objects);
        Ok(())
    }
}

impl Store for MemoryStore {
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        let flash = self.flash();
        if flash.off {
            return Err(StoreError::Unavailable);
        }
        flash.objects.get(&id).map(|value| teuicc_tlv::try_copy(value).map_err(StoreError::from)).transpose()
    }

    fn replace(&mut self, id: ObjectId, value: &[u8]) -> Result<(), StoreError> {
        let value = teuicc_tlv::try_copy(value)?;
        let mut flash = self.flash();
        flash.replaces = flash.replaces.saturating_add(1);
        flash.write(|objects| {
            objects.insert(id, value);
        })
    }

    fn remove(&mut self, id: ObjectId) -> Result<(), StoreError> {
        let mut flash = self.flash();
        flash.removes = flash.removes.saturating_add(1);
        flash.write(|objects| {
            objects.remove(&id);
        })
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        let flash = self.flash();
        if flash.off {
            return Err(StoreError::Unavailable);
        }
        let mut ids = Vec::new();
        for id in flash.objects.keys() {
            teuicc_tlv::TryBytes::try_push(&mut ids, *id)?;
        }
        Ok(ids)
    }
}

/// A store with nothing in it, that takes nothing and needs no memory.
pub(crate) struct NoStore;

impl Store for NoStore {
    fn load(&self, _: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn replace(&mut self, _: ObjectId, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::Full)
    }

    fn remove(&mut self, _: ObjectId) -> Result<(), StoreError> {
        Ok(())
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        Ok(Vec::new())
    }
}

/// A random source with no randomness: the same seed gives the same bytes.
pub struct SeededRng(u64);

impl SeededRng {
    /// A source that starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SeededRng(seed)
    }
}

impl Rng for SeededRng {
    /// SplitMix64.
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = self.0;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^= word >> 31;
            for (to, from) in chunk.iter_mut().zip(word.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

/// A platform over `store` with a seeded random source.
#[must_use]
pub fn platform(store: MemoryStore, seed: u64) -> Platform<SeededRng, MemoryStore> {
    Platform { rng: SeededRng::new(seed), store, rollback_protection: false }
}
