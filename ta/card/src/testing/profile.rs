//! A profile made by hand, small enough to know by heart, and a builder for others.

use super::MemoryStore;
use crate::install::{InstallOptions, Installer};
use crate::naa::milenage::{CONSTANTS, ROTATIONS};
use crate::platform::{ProfileSlot, StoreError};
use crate::profile::{Algorithm, Definition, File, FileIndex, FileKind, Naa, Pin, Profile, Puk, Security, Unsaved};
use alloc::vec::Vec;

/// AID of the USIM.
pub const USIM: [u8; 16] = *b"\xA0\x00\x00\x00\x87\x10\x02\xFF\xFF\xFF\xFF\x89\x07\x09\x00\x00";
/// AID of the ISIM.
pub const ISIM: [u8; 16] = *b"\xA0\x00\x00\x00\x87\x10\x04\xFF\xFF\xFF\xFF\x89\x07\x09\x00\x00";

/// PIN1 (reference 01): "1234", 3 tries, enabled.
pub const PIN1: [u8; 8] = *b"1234\xFF\xFF\xFF\xFF";
/// PIN2 of the USIM (reference 81): "5678", 3 tries, enabled.
pub const PIN2: [u8; 8] = *b"5678\xFF\xFF\xFF\xFF";
/// ADM1 (reference 0A): 10 tries.
pub const ADM1: [u8; 8] = *b"adminkey";
/// The key that unblocks PIN1: 10 tries.
pub const PUK1: [u8; 8] = *b"12345678";

/// K of the USIM (Milenage), TS 35.207 test set 1.
pub const K: [u8; 16] = *b"\x46\x5b\x5c\xe8\xb1\x99\xb4\x9f\xaa\x5f\x0a\x2e\xe2\x38\xa6\xbc";
/// OPc of the USIM, TS 35.207 test set 1.
pub const OPC: [u8; 16] = *b"\xcd\x63\xcb\x71\x95\x4a\x9f\x4e\x48\xa5\x99\x4e\x37\xa0\x2b\xaf";
/// K of the ISIM (XOR), as in the TS.48 test profiles.
pub const K_XOR: [u8; 16] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F";

/// Records of the EF.ARR of [`profile`].
pub mod rule {
    /// READ always, UPDATE ADM1.
    pub const READ_ALWAYS: u8 = 1;
    /// READ and UPDATE PIN1.
    pub const PIN1: u8 = 2;
    /// READ PIN1, UPDATE ADM1.
    pub const READ_PIN1: u8 = 3;
    /// READ always, UPDATE never.
    pub const READ_ONLY: u8 = 4;
    /// READ and UPDATE always.
    pub const ALWAYS: u8 = 5;
    /// READ PIN1, UPDATE PIN2.
    pub const UPDATE_PIN2: u8 = 6;
}

const RULES: [&[u8]; 6] = [
    b"\x80\x01\x01\x90\x00\x80\x01\x02\xA4\x06\x83\x01\x0A\x95\x01\x08",
    b"\x80\x01\x03\xA4\x06\x83\x01\x01\x95\x01\x08",
    b"\x80\x01\x01\xA4\x06\x83\x01\x01\x95\x01\x08\x80\x01\x02\xA4\x06\x83\x01\x0A\x95\x01\x08",
    b"\x80\x01\x01\x90\x00\x80\x01\x02\x97\x00",
    b"\x80\x01\x03\x90\x00",
    b"\x80\x01\x01\xA4\x06\x83\x01\x01\x95\x01\x08\x80\x01\x02\xA4\x06\x83\x01\x81\x95\x01\x08",
];

/// Length of a record of EF.ARR in bytes.
const RULE_LEN: u8 = 32;

/// A shareable, activated file with this access rule and content.
#[must_use]
pub fn file(parent: FileIndex, fid: u16, kind: FileKind, record: u8, content: &[u8]) -> File {
    File {
        parent,
        fid,
        kind,
        sfi: None,
        security: Security::Arr { file: 0x2F06, record },
        life_cycle: 0x05,
        special: 0,
        aid: Vec::new(),
        pin_status: Vec::new(),
        link: None,
        visible: true,
        shareable: true,
        content: Vec::from(content),
        changed: false,
        definition: Definition::Base,
    }
}

/// Builds a profile, file by file. Every file names a record of the EF.ARR 2F06 of the MF as its access rule.
pub struct ProfileBuilder {
    profile: Profile,
}

impl ProfileBuilder {
    /// A profile with an MF, its EF.ARR with the rules of [`rule`], PIN1 and ADM1.
    #[must_use]
    pub fn new(slot: ProfileSlot) -> Self {
        let profile = Profile {
            slot,
            metadata: Vec::from(b"\xBF\x25\x00"),
            files: Vec::new(),
            pins: Vec::new(),
            shared_pins: Vec::new(),
            naas: Vec::new(),
            kept: Vec::new(),
            ota_counters: Vec::new(),
            unsaved: Unsaved::default(),
        };
        let mut builder = ProfileBuilder { profile };
        builder.directory(FileIndex::MF, FileKind::Mf, 0x3F00, &[], &[0x01, 0x0A]);
        let mut rules = Vec::new();
        for rule in RULES {
            rules.extend_from_slice(rule);
            rules.resize(rules.len().div_ceil(usize::from(RULE_LEN)).saturating_mul(usize::from(RULE_LEN)), 0xFF);
        }
        builder.ef(FileIndex::MF, 0x2F06, FileKind::LinearFixed(RULE_LEN), None, rule::READ_ALWAYS, &rules);
        let puk = Puk { reference: 0x01, value: PUK1, max_tries: 10, tries_left: 10 };
        builder.pin(0x01, FileIndex::MF, PIN1, 3, Some(puk));
        builder.pin(0x0A, FileIndex::MF, ADM1, 10, None);
        builder
    }

    /// Goes on with a profile.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        ProfileBuilder { profile }
    }

    /// Adds a DF or ADF: file identifier, AID (empty for a DF) and key references of its PIN status template.
    pub fn directory(&mut self, parent: FileIndex, kind: FileKind, fid: u16, aid: &[u8], pins: &[u8]) -> FileIndex {
        let index = self.ef(parent, fid, kind, None, rule::READ_ALWAYS, &[]);
        let file = self.file(index);
        (file.aid, file.pin_status) = (Vec::from(aid), Vec::from(pins));
        index
    }

    /// Adds an EF with this access rule and content.
    pub fn ef(
        &mut self,
        parent: FileIndex,
        fid: u16,
        kind: FileKind,
        sfi: Option<u8>,
        record: u8,
        content: &[u8],
    ) -> FileIndex {
        let index = FileIndex(u16::try_from(self.profile.files.len()).unwrap_or(u16::MAX));
        self.profile.files.push(File { sfi, ..file(parent, fid, kind, record, content) });
        index
    }

    /// A file that was added, to be changed.
    ///
    /// # Panics
    /// If it was not added.
    #[allow(clippy::indexing_slicing, reason = "for tests")]
    pub fn file(&mut self, index: FileIndex) -> &mut File {
        &mut self.profile.files[usize::from(index.0)]
    }

    /// Adds an enabled PIN that can be changed and disabled.
    pub fn pin(&mut self, reference: u8, context: FileIndex, value: [u8; 8], tries: u8, puk: Option<Puk>) {
        self.profile.pins.push(Pin {
            reference,
            context,
            value,
            enabled: true,
            attributes: 0x07,
            max_tries: tries,
            tries_left: tries,
            puk,
        });
    }

    /// Adds the keys of an ADF, with sequence numbers that start at 0 and the defaults of a profile package.
    pub fn naa(&mut self, adf: FileIndex, algorithm: Algorithm) {
        self.profile.naas.push(Naa {
            adf,
            algorithm,
            sqn_options: 0x02,
            sqn_delta: 1 << 28,
            sqn_age_limit: 1 << 28,
            seq: [0; 32],
            bootstrapping: None,
        });
    }

    /// The profile.
    #[must_use]
    pub fn build(self) -> Profile {
        self.profile
    }
}

/// A profile with a USIM (Milenage) and an ISIM (XOR):
///
/// ```text
/// MF 3F00
///   EF.ARR 2F06, EF.ICCID 2FE2 (SFI 02, read only), EF.PL 2F05 (SFI 05, READ always, UPDATE ADM1),
///   EF.DIR 2F00 (SFI 1E, 2 records of 24), EF 2F30 (256 bytes, READ and UPDATE always)
///   DF.TELECOM 7F10: EF.ADN 6F3A (3 records of 4, PIN1), EF 6F3B (invisible)
///   ADF.USIM: EF.IMSI 6F07 (SFI 07), EF.UST 6F38 (SFI 04, services 27 and 38), EF.LOCI 6F7E (SFI 0B, kept in
///     memory), EF.ACM 6F39 (SFI 1C, cyclic, 3 records of 3), EF 6F46 (deactivated), EF 6F47 (UPDATE PIN2)
///     DF.PHONEBOOK 5F3A: EF.ADN 4F3A (SFI 0A, linked to the one of DF.TELECOM)
///   ADF.ISIM: EF.IMPI 6F02 (SFI 02)
/// ```
#[must_use]
pub fn profile(slot: ProfileSlot) -> Profile {
    let mut builder = ProfileBuilder::new(slot);
    let transparent = FileKind::Transparent;
    let mf = FileIndex::MF;
    let iccid = b"\x98\x10\x32\x54\x76\x98\x10\x32\x54\xF6";
    builder.ef(mf, 0x2FE2, transparent, Some(0x02), rule::READ_ONLY, iccid);
    builder.ef(mf, 0x2F05, transparent, Some(0x05), rule::READ_ALWAYS, b"ende");
    let mut dir = Vec::from(b"\x61\x12\x4F\x10");
    dir.extend_from_slice(&USIM);
    dir.resize(24, 0xFF);
    dir.extend_from_slice(b"\x61\x12\x4F\x10");
    dir.extend_from_slice(&ISIM);
    dir.resize(48, 0xFF);
    builder.ef(mf, 0x2F00, FileKind::LinearFixed(24), Some(0x1E), rule::READ_ALWAYS, &dir);
    builder.ef(mf, 0x2F30, transparent, None, rule::ALWAYS, &[0; 256]);

    let telecom = builder.directory(mf, FileKind::Df, 0x7F10, &[], &[0x01, 0x0A]);
    let adn = builder.ef(telecom, 0x6F3A, FileKind::LinearFixed(4), None, rule::PIN1, b"adn1adn2adn3");
    let hidden = builder.ef(telecom, 0x6F3B, transparent, Some(0x0D), rule::ALWAYS, b"secret");
    builder.file(hidden).visible = false;

    let usim = builder.directory(mf, FileKind::Adf, 0x7FF0, &USIM, &[0x01, 0x81, 0x0A]);
    builder.pin(0x81, usim, PIN2, 3, None);
    let imsi = b"\x08\x09\x10\x10\x10\x32\x54\x76\x98";
    builder.ef(usim, 0x6F07, transparent, Some(0x07), rule::READ_PIN1, imsi);
    builder.ef(usim, 0x6F38, transparent, Some(0x04), rule::READ_PIN1, b"\x00\x00\x00\x04\x20");
    let loci = builder.ef(usim, 0x6F7E, transparent, Some(0x0B), rule::PIN1, &[0xFF; 11]);
    builder.file(loci).special = 0x80;
    builder.ef(usim, 0x6F39, FileKind::Cyclic(3), Some(0x1C), rule::PIN1, b"c01c02c03");
    let deactivated = builder.ef(usim, 0x6F46, transparent, None, rule::ALWAYS, b"off");
    builder.file(deactivated).life_cycle = 0x04;
    builder.ef(usim, 0x6F47, transparent, None, rule::UPDATE_PIN2, b"two");
    let phonebook = builder.directory(usim, FileKind::Df, 0x5F3A, &[], &[]);
    let linked = builder.ef(phonebook, 0x4F3A, FileKind::LinearFixed(4), Some(0x0A), rule::PIN1, &[]);
    builder.file(linked).link = Some(adn);
    builder.naa(usim, Algorithm::Milenage { k: K, opc: OPC, rotations: ROTATIONS, constants: CONSTANTS });

    let isim = builder.directory(mf, FileKind::Adf, 0x7FF1, &ISIM, &[0x01, 0x0A]);
    builder.ef(isim, 0x6F02, transparent, Some(0x02), rule::READ_PIN1, b"\x80\x05a@b.c");
    builder.naa(isim, Algorithm::XorTest { k: K_XOR, res_len: 16 });
    builder.build()
}

/// [`profile`], and in its USIM what GET IDENTITY needs: the services 124 and 125, EF.AD with an MNC of 2 digits, and
/// DF.SAIP with an EF.SUCI_Calc_Info of this content.
#[must_use]
pub fn with_suci(slot: ProfileSlot, suci_calc_info: &[u8]) -> Profile {
    let mut builder = ProfileBuilder::of(profile(slot));
    let at = |builder: &ProfileBuilder, fid| {
        let place = builder.profile.files.iter().position(|file| file.fid == fid).unwrap_or_default();
        FileIndex(u16::try_from(place).unwrap_or_default())
    };
    let (usim, ust) = (at(&builder, 0x7FF0), at(&builder, 0x6F38));
    builder.file(ust).content.resize(15, 0);
    builder.file(ust).content.push(0x18);
    builder.ef(usim, 0x6FAD, FileKind::Transparent, None, rule::READ_ALWAYS, b"\x00\x00\x00\x02");
    let saip = builder.directory(usim, FileKind::Df, 0x5FD0, &[], &[]);
    let info = builder.ef(saip, 0x4F01, FileKind::Transparent, None, rule::ALWAYS, suci_calc_info);
    builder.file(info).visible = false;
    builder.build()
}

/// Stores a profile as an installation does, without a registry. Errors: those of the store.
pub fn store(store: &mut MemoryStore, mut profile: Profile) -> Result<(), StoreError> {
    profile.store_new(store)
}

/// Reads the stored profile in `slot`, as a card does when it boots. Errors: those of the store; damage.
pub fn load(store: &MemoryStore, slot: ProfileSlot) -> Result<Profile, StoreError> {
    Profile::load(store, slot)
}

/// Installs a profile package whose EF.ICCID holds `iccid`, as if it came from a bound profile package, without a
/// registry. Errors: the EUICCResponse, DER, that says why not.
pub fn install(package: &[u8], iccid: [u8; 10], slot: ProfileSlot) -> Result<Profile, Vec<u8>> {
    let options = InstallOptions {
        slot,
        metadata: Vec::from(b"\xBF\x25\x00"),
        iccid,
        test_algorithm_allowed: true,
        test_class: false,
    };
    let mut installer = Installer::new(options).map_err(|_| Vec::new())?;
    installer.push(package).map_err(|error| error.response)?;
    installer.finish().map(|installed| installed.profile).map_err(|error| error.response)
}
