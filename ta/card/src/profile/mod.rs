//! A profile: what the installer builds, what the store keeps, and what runs when it is enabled.
//!
//! Three objects hold it: `Base` as installed and never written again, `Changes` with the files that were updated
//! since, `Hot` with sequence numbers, PIN states and the files that a modem rewrites all the time.

use crate::platform::ProfileSlot;
use alloc::vec::Vec;
use teuicc_tlv::{OutOfMemory, TryBytes, try_copy};
use zeroize::Zeroize;

mod codec;
mod files;
mod hot;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use files::{FID_CURRENT_ADF, FID_MF, MAX_LEVELS};
pub(crate) use hot::MAX_UPDATES;
pub(crate) use store::{MAX_CONTENT, MAX_FILES, MAX_KEPT, MAX_METADATA, MAX_NAAS, MAX_PINS};

/// A profile in memory.
pub struct Profile {
    /// Where its objects are stored.
    pub slot: ProfileSlot,
    /// StoreMetadataRequest as received, tag BF25 (SGP.22 section 5.5.3).
    pub metadata: Vec<u8>,
    /// Files; the first is the MF.
    pub files: Vec<File>,
    /// PINs and ADM keys, global and local.
    pub pins: Vec<Pin>,
    /// DFs and ADFs whose local PINs are those of another.
    pub shared_pins: Vec<SharedPins>,
    /// Keys and sequence numbers of the USIMs and ISIMs.
    pub naas: Vec<Naa>,
    /// Profile elements that are kept as received: security domains and RFM, which remote management reads, and CDMA
    /// parameters, which nothing does.
    pub kept: Vec<u8>,
    /// Counters of key sets for remote management, from the first use of each on.
    pub ota_counters: Vec<OtaCounter>,
    /// What is not stored yet.
    pub unsaved: Unsaved,
}

/// Which of a profile's objects are behind what is in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// `Hot`: PIN states, sequence numbers, files that a terminal rewrites all the time.
    pub hot: bool,
    /// How many updates of files in `Hot` are in memory only.
    pub updates: u8,
    /// `Changes`: all other files.
    pub changes: bool,
}

/// The place of a file in [`Profile::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIndex(pub u16);

impl FileIndex {
    /// The MF.
    pub const MF: FileIndex = FileIndex(0);
}

/// A file with its attributes and content.
pub struct File {
    /// The DF, ADF or MF that holds it; the MF holds itself, an ADF is held by the MF.
    pub parent: FileIndex,
    /// File identifier. Of an ADF: the temporary one of the profile package, which no command can select.
    pub fid: u16,
    /// What it is.
    pub kind: FileKind,
    /// Short file identifier, 1 to 30.
    pub sfi: Option<u8>,
    /// Who may do what with it.
    pub security: Security,
    /// Life cycle status byte (TS 102 221 section 11.1.1.4.9): 05 activated, 04 deactivated.
    pub life_cycle: u8,
    /// Special file information byte of the package (SAIP C0): bit 8 high update activity, bit 7 readable and
    /// updatable when deactivated.
    pub special: u8,
    /// DF name of an ADF, 5 to 16 bytes; else empty.
    pub aid: Vec<u8>,
    /// PIN status template DO of a DF or ADF, the value of C6; else empty.
    pub pin_status: Vec<u8>,
    /// For a linked file: the file that holds the content.
    pub link: Option<FileIndex>,
    /// Whether a terminal can select and read it (EF.SUCI_Calc_Info under DF.SAIP is not visible).
    pub visible: bool,
    /// Whether several channels may have it selected at once (TS 102 221 section 11.1.1.4.3).
    pub shareable: bool,
    /// Content of an EF: whole file, records one after the other. Change it through `content_mut`.
    pub content: Vec<u8>,
    /// Whether content or life cycle differ from what `Base` holds; they are then in `Hot` or `Changes`.
    pub changed: bool,
    /// Where its attributes are stored.
    pub definition: Definition,
}

/// Where the attributes of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// In `Base`: as installed.
    Base,
    /// In `Changes`, and its content with them: it was created or resized since the installation.
    Changes,
    /// Nowhere: it was deleted. Its place stays, so that the places of other files do not change.
    Deleted,
}

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The master file.
    Mf,
    /// A dedicated file.
    Df,
    /// An application dedicated file.
    Adf,
    /// A transparent EF.
    Transparent,
    /// A linear fixed EF with records of this many bytes.
    LinearFixed(u8),
    /// A cyclic EF with records of this many bytes; the first record in `content` is the newest.
    Cyclic(u8),
    /// A BER-TLV structure EF of at most this many bytes.
    BerTlv(u32),
}

/// Security attributes of a file.
pub enum Security {
    /// A record of an EF.ARR (TS 102 221 section 9.2.7): tag 8B.
    Arr {
        /// File identifier of the EF.ARR.
        file: u16,
        /// Record number, from 1.
        record: u8,
    },
    /// Nothing is allowed, and no attribute is shown.
    Never,
}

/// A PIN or an ADM key (TS 102 221 section 9.5).
pub struct Pin {
    /// Key reference as in P2: 01 to 08 and 0A to 0E global, 81 to 88 and 8A to 8E local.
    pub reference: u8,
    /// For a local PIN the ADF or DF whose PIN it is; the MF for a global one.
    pub context: FileIndex,
    /// The value, padded with FF.
    pub value: [u8; 8],
    /// Whether it must be presented.
    pub enabled: bool,
    /// Attributes of the package: bit 1 enabled at start, bit 2 changeable, bit 3 may be disabled.
    pub attributes: u8,
    /// Tries at most, 1 to 15.
    pub max_tries: u8,
    /// Tries left, 0 is blocked.
    pub tries_left: u8,
    /// The key that unblocks it.
    pub puk: Option<Puk>,
}

/// A DF or ADF that has the local PINs of another (SAIP clause 8.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedPins {
    /// The one without PINs of its own.
    pub context: FileIndex,
    /// The one whose PINs they are, [`Pin::context`].
    pub source: FileIndex,
}

/// An unblocking key. One that several PINs refer to stands in each of them, with the same number of tries left.
pub struct Puk {
    /// Its key reference in the package: 01 to 08 global, 81 to 88 local.
    pub reference: u8,
    /// The value.
    pub value: [u8; 8],
    /// Tries at most, 1 to 15.
    pub max_tries: u8,
    /// Tries left, 0 is blocked for good.
    pub tries_left: u8,
}

/// Keys and sequence numbers of a network access application.
pub struct Naa {
    /// Its ADF.
    pub adf: FileIndex,
    /// The algorithm with its keys.
    pub algorithm: Algorithm,
    /// Options of sequence number checking as in the package.
    pub sqn_options: u8,
    /// Delta: how far SEQ may jump, at most 2^43 - 1 (TS 33.102 annex C.2.1).
    pub sqn_delta: u64,
    /// Age limit L, 0 for none (TS 33.102 annex C.2.2).
    pub sqn_age_limit: u64,
    /// SEQ_MS by IND (TS 33.102 annex C.1.1.1): 43-bit numbers.
    pub seq: [u64; 32],
    /// The last bootstrapping of GBA, if there was one.
    pub bootstrapping: Option<Bootstrapping>,
}

/// What the card keeps of a bootstrapping (TS 33.220 section 5.3.2).
pub struct Bootstrapping {
    /// RAND.
    pub rand: [u8; 16],
    /// Ks: CK, then IK.
    pub ks: [u8; 32],
}

/// The counter of the last packet that was accepted under a key set (TS 102 225 section 5.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtaCounter {
    /// The security domain that has the key set: its place among those in [`Profile::kept`].
    pub domain: u8,
    /// Key version number, 1 to 15.
    pub version: u8,
    /// The counter, 40 bits.
    pub value: u64,
}

/// An authentication algorithm with its keys.
pub enum Algorithm {
    /// Milenage (TS 35.206).
    Milenage {
        /// K.
        k: [u8; 16],
        /// OPc.
        opc: [u8; 16],
        /// Rotations r1 to r5 in bits, 0 to 127.
        rotations: [u8; 5],
        /// Constants c1 to c5.
        constants: [[u8; 16]; 5],
    },
    /// The XOR test algorithm (TS 34.108 section 8.1.2), RES of this many bytes.
    XorTest {
        /// K.
        k: [u8; 16],
        /// Length of RES in bytes, 4 to 16.
        res_len: u8,
    },
    /// TUAK (TS 35.231) with a MAC of 8 bytes, CK and IK of 16 bytes, and RES of this many bytes.
    Tuak {
        /// K, 16 or 32 bytes.
        k: Vec<u8>,
        /// TOPc.
        topc: [u8; 32],
        /// Length of RES in bytes: 4, 8 or 16.
        res_len: u8,
        /// Number of Keccak iterations, at least 1.
        iterations: u8,
    },
}

impl Algorithm {
    /// A copy with the keys. Errors: out of memory.
    pub(crate) fn try_clone(&self) -> Result<Self, OutOfMemory> {
        Ok(match self {
            Algorithm::Milenage { k, opc, rotations, constants } => {
                Algorithm::Milenage { k: *k, opc: *opc, rotations: *rotations, constants: *constants }
            }
            Algorithm::XorTest { k, res_len } => Algorithm::XorTest { k: *k, res_len: *res_len },
            Algorithm::Tuak { k, topc, res_len, iterations } => {
                Algorithm::Tuak { k: try_copy(k)?, topc: *topc, res_len: *res_len, iterations: *iterations }
            }
        })
    }
}

impl Profile {
    /// The counter of the last packet accepted under a key set; `None` before the first one.
    pub(crate) fn ota_counter(&self, domain: u8, version: u8) -> Option<u64> {
        let counter = self.ota_counters.iter().find(|counter| (counter.domain, counter.version) == (domain, version));
        counter.map(|counter| counter.value)
    }

    /// Sets the counter of a key set, in memory. Errors: there is no place for a new one.
    pub(crate) fn set_ota_counter(&mut self, domain: u8, version: u8, value: u64) -> Result<(), OutOfMemory> {
        let of = |counter: &&mut OtaCounter| (counter.domain, counter.version) == (domain, version);
        if let Some(counter) = self.ota_counters.iter_mut().find(of) {
            counter.value = value;
            return Ok(());
        }
        if self.ota_counters.len() >= store::MAX_OTA_COUNTERS {
            return Err(OutOfMemory);
        }
        self.ota_counters.try_push(OtaCounter { domain, version, value })
    }
}

impl Drop for Profile {
    /// Security domains have keys, and so have files of the network access applications.
    fn drop(&mut self) {
        self.kept.zeroize();
        self.files.iter_mut().for_each(|file| file.content.zeroize());
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl Drop for Puk {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl Drop for Bootstrapping {
    fn drop(&mut self) {
        self.ks.zeroize();
    }
}

impl Drop for Algorithm {
    fn drop(&mut self) {
        match self {
            Algorithm::Milenage { k, opc, .. } => {
                k.zeroize();
                opc.zeroize();
            }
            Algorithm::XorTest { k, .. } => k.zeroize(),
            Algorithm::Tuak { k, topc, .. } => {
                k.zeroize();
                topc.zeroize();
            }
        }
    }
}
