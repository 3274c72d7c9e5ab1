//! The profile made by hand, with access rules that allow more than reading and updating, and with more files.

use crate::SLOT;
use teuicc_card::profile::{File, FileIndex, FileKind, Profile, Security};
use teuicc_card::testing::profile::{self, rule};

/// Rules behind those of [`rule`], each a record of EF.ARR.
pub(crate) const ADMIN_EF: u8 = 7;
pub(crate) const ADMIN_DF: u8 = 8;

/// READ always, UPDATE and INCREASE PIN1; DEACTIVATE, ACTIVATE, TERMINATE, DELETE (bits of ISO/IEC 7816-4 table 17) and
/// RESIZE ADM1.
const ADMIN_EF_RULE: &str =
    "8001019000 800102A406830101950108 840132A406830101950108 800178A40683010A950108 8401D4A40683010A950108";
/// CREATE of EFs and DFs, and the same as above, ADM1.
const ADMIN_DF_RULE: &str = "80017EA40683010A950108";

const RULE_LEN: u8 = 64;

/// Places of the files in [`profile::profile`].
pub(crate) const TELECOM: FileIndex = FileIndex(6);

/// [`profile::profile`] with these rules: the MF, DF.TELECOM, ADF.USIM and DF.PHONEBOOK may be administered, so may EF
/// 2F30 and EF.ACM; EF.TLV 2F40 (BER-TLV structure, at most 600 bytes, SFI 11) is added to the MF.
pub(crate) fn administered() -> Profile {
    let mut profile = profile::profile(SLOT);
    let rules = profile.files.iter_mut().find(|file| file.fid == 0x2F06).unwrap();
    rules.content = (rules.content.chunks(32))
        .map(<[u8]>::to_vec)
        .chain([ADMIN_EF_RULE, ADMIN_DF_RULE].map(crate::hex))
        .flat_map(|mut record| {
            record.resize(RULE_LEN.into(), 0xFF);
            record
        })
        .collect();
    rules.kind = FileKind::LinearFixed(RULE_LEN);
    for file in &mut profile.files {
        match file.fid {
            0x3F00 | 0x7F10 | 0x7FF0 | 0x5F3A => set_rule(file, ADMIN_DF),
            0x2F30 | 0x6F39 => set_rule(file, ADMIN_EF),
            _ => {}
        }
    }
    add_ef(&mut profile, FileIndex::MF, 0x2F40, FileKind::BerTlv(600), rule::ALWAYS, b"").sfi = Some(0x11);
    assert_eq!(profile.files[usize::from(TELECOM.0)].fid, 0x7F10);
    profile
}

pub(crate) fn set_rule(file: &mut File, record: u8) {
    file.security = Security::Arr { file: 0x2F06, record };
}

/// Adds an EF as an installation does.
pub(crate) fn add_ef<'a>(
    profile: &'a mut Profile,
    parent: FileIndex,
    fid: u16,
    kind: FileKind,
    record: u8,
    content: &[u8],
) -> &'a mut File {
    profile.files.push(profile::file(parent, fid, kind, record, content));
    profile.files.last_mut().unwrap()
}
