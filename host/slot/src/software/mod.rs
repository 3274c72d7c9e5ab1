//! The software TEE: the card built into the process, over a folder of encrypted files. For development: its keys
//! are only as safe as the folder. A device build leaves it out (feature `software`).

mod folder;
mod store;

pub use folder::OpenError;
pub use store::{FileStore, Writes};

use crate::link::{Exchange, LinkError};
use std::path::Path;
use teuicc_card::{Card, Platform, Rng, Store};

/// Settings of the software TEE.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to call this process when another one finds the folder in use: the command, `teuiccd` for instance.
    pub owner: String,
}

/// A card over a folder of files.
pub struct SoftwareTee {
    card: Card<OsRng, FileStore>,
    writes: Writes,
}

impl SoftwareTee {
    /// Opens the card whose state is in `folder`, or makes an empty card there. One process at a time has it.
    ///
    /// Errors: see [`OpenError`]. Damaged objects are no error here: the card says so in every answer.
    pub fn open(folder: &Path, options: &Options) -> Result<SoftwareTee, OpenError> {
        let store = FileStore::open(folder, &options.owner)?;
        tracing::warn!(folder = %folder.display(), "software TEE for development: keys are only as safe as this folder");
        let writes = store.writes();
        Ok(SoftwareTee { card: Card::boot(Platform { rng: OsRng, store, rollback_protection: false }), writes })
    }

    /// The counter of its writes to the folder.
    #[must_use]
    pub fn writes(&self) -> Writes {
        self.writes.clone()
    }
}

impl Exchange for SoftwareTee {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.card.exchange(request)
    }
}

/// Any card in this process, over whatever platform.
impl<R: Rng + Send, S: Store + Send> Exchange for Card<R, S> {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        Ok(self.process(request))
    }
}

/// The operating system's random source.
#[derive(Clone, Copy, Debug)]
pub struct OsRng;

impl Rng for OsRng {
    /// Panics when the system has no randomness: the contract of [`Rng`] allows no other way out.
    fn fill(&mut self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            panic!("the operating system has no random bytes: {error}");
        }
    }
}
