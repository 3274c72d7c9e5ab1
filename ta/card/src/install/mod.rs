//! A TCA profile package becomes a [`Profile`], one profile element at a time as the bytes come.
//!
//! Nothing is stored here: an installation that fails leaves nothing behind.

use crate::platform::ProfileSlot;
use crate::profile::Profile;
use alloc::vec::Vec;
use teuicc_rsp::codes::ErrorReason;
use teuicc_tlv::OutOfMemory;

/// What the installer must know beside the package.
pub(crate) struct InstallOptions {
    /// Where the profile is going to be stored.
    pub(crate) slot: ProfileSlot,
    /// StoreMetadataRequest BF25 as received.
    pub(crate) metadata: Vec<u8>,
    /// The ICCID of the metadata, coded as EF.ICCID (nibbles swapped).
    pub(crate) iccid: [u8; 10],
    /// Whether the test algorithm may be used: the profile is of the test class, or came under a test CI.
    pub(crate) test_algorithm_allowed: bool,
    /// Whether the profile is of the test class, whose keys must be test keys.
    pub(crate) test_class: bool,
}

/// A package being installed.
pub(crate) struct Installer {
    options: InstallOptions,
}

/// An installed profile, in memory.
pub(crate) struct Installed {
    /// The profile.
    pub(crate) profile: Profile,
    /// EUICCResponse, DER: the content of simaResponse.
    pub(crate) response: Vec<u8>,
}

/// Why a package was not installed.
#[derive(Debug)]
pub(crate) struct InstallError {
    /// For the ErrorResult of the ProfileInstallationResult.
    pub(crate) reason: ErrorReason,
    /// EUICCResponse, DER: the content of simaResponse; empty if there was no memory for it.
    pub(crate) response: Vec<u8>,
}

impl Installer {
    /// An installer that has seen nothing. Errors: out of memory.
    pub(crate) fn new(options: InstallOptions) -> Result<Self, OutOfMemory> {
        Ok(Installer { options })
    }

    /// Takes decrypted bytes as they come, in pieces of any size, and processes each profile element that is whole.
    ///
    /// Errors: the installation failed; nothing more can be pushed.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), InstallError> {
        let _ = (bytes, &self.options);
        todo!()
    }

    /// The profile, if the package was whole. Errors: it was not.
    pub(crate) fn finish(self) -> Result<Installed, InstallError> {
        todo!()
    }
}
