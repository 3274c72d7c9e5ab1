//! The files that a terminal rewrites all the time. They are kept in memory and stored with the rest of `Hot`, now and
//! then, so that moving about does not wear out the flash.

use super::{Definition, File, FileIndex, FileKind, Profile};
use teuicc_tlv::{Reader, Tag};

/// After how many updates that are in memory only the next one stores them all.
pub(crate) const MAX_UPDATES: u8 = 64;

/// First bytes of the AID of a USIM (TS 101 220 annex E), RID of 3GPP and application code; of one whose SUPI is no
/// IMSI (TS 31.102 annex N).
const USIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02];
const USIM_NON_IMSI: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x0B];

/// Special file information, bit 8: high update activity (TS 102 222 section 6.3.2.2.2).
const SPECIAL_HIGH_UPDATE: u8 = 0x80;

/// DFs of a USIM (TS 31.102 section 4.4).
const DF_5GS: u16 = 0x5FC0;
const DF_GSM_ACCESS: u16 = 0x5F3B;

const EF_START_HFN: u16 = 0x6F5B;
const EF_THRESHOLD: u16 = 0x6F5C;
const EF_EPSNSC: u16 = 0x6FE4;
const EF_5GS3GPPNSC: u16 = 0x4F03;
const EF_5GSN3GPPNSC: u16 = 0x4F04;

/// EF.Keys, EF.KeysPS, EF.START-HFN, EF.PSLOCI, EF.FPLMN, EF.LOCI, EF.EPSLOCI, EF.EPSNSC (TS 31.102 section 4.2).
const IN_USIM: &[u16] = &[0x6F08, 0x6F09, EF_START_HFN, 0x6F73, 0x6F7B, 0x6F7E, 0x6FE3, EF_EPSNSC];
/// EF.5GS3GPPLOCI, EF.5GSN3GPPLOCI, EF.5GS3GPPNSC, EF.5GSN3GPPNSC, EF.5GAUTHKEYS (section 4.4.11).
const IN_5GS: &[u16] = &[0x4F01, 0x4F02, EF_5GS3GPPNSC, EF_5GSN3GPPNSC, 0x4F05];
/// EF.Kc, EF.KcGPRS (section 4.4.3).
const IN_GSM_ACCESS: &[u16] = &[0x4F20, 0x4F52];

impl File {
    /// Whether it is the ADF of a USIM, with an IMSI or without.
    pub(crate) fn is_usim(&self) -> bool {
        self.kind == FileKind::Adf && (self.aid.starts_with(&USIM) || self.aid.starts_with(&USIM_NON_IMSI))
    }
}

impl Profile {
    /// Whether the file at `index` is one that a terminal rewrites all the time, and so is kept in `Hot`: the profile
    /// says so, or its place does. Never one whose attributes are in `Changes`, since the two objects are not written
    /// together.
    pub(crate) fn is_hot(&self, index: FileIndex) -> bool {
        let Some(file) = self.file(index) else { return false };
        file.definition == Definition::Base
            && (file.special & SPECIAL_HIGH_UPDATE != 0 || self.rewritten_beside(index).contains(&file.fid))
    }

    /// The file identifiers that are rewritten all the time in the directory that holds the EF at `index`.
    fn rewritten_beside(&self, index: FileIndex) -> &'static [u16] {
        let directory = self.directory_of(index);
        let Some(file) = self.file(directory).filter(|_| directory != index) else { return &[] };
        if file.is_usim() {
            return IN_USIM;
        }
        match file.fid {
            DF_5GS | DF_GSM_ACCESS if !self.file(file.parent).is_some_and(File::is_usim) => &[],
            DF_5GS => IN_5GS,
            DF_GSM_ACCESS => IN_GSM_ACCESS,
            _ => &[],
        }
    }

    /// Whether `content` in the place of what the EF at `index` holds takes a security context back that a terminal
    /// could take up again after power-on: it is marked as unusable, or its counters went on. Should that be lost, an
    /// old counter would be used again with the same key (TS 33.102 section 6.4.8, TS 33.401 section 7.2.5). Losing a
    /// context with another key costs an authentication.
    pub(crate) fn takes_back(&self, index: FileIndex, content: &[u8]) -> bool {
        let Some(file) = self.file(index).filter(|file| self.rewritten_beside(index).contains(&file.fid)) else {
            return false;
        };
        let parts = |length: usize| file.content.chunks(length).zip(content.chunks(length));
        match (file.fid, file.kind) {
            (EF_START_HFN, _) => {
                // START of either domain goes up with the same keys, and at the threshold it has been used up.
                let threshold = self.child(file.parent, EF_THRESHOLD).map_or(&[][..], |index| self.content(index));
                let threshold = threshold.get(..3).unwrap_or(&[0xFF; 3]);
                parts(3).any(|(before, after)| before < threshold && after > before)
            }
            (EF_EPSNSC | EF_5GS3GPPNSC | EF_5GSN3GPPNSC, FileKind::LinearFixed(length)) => {
                let mut records = parts(length.max(1).into());
                records.any(|(before, after)| {
                    let Some(key) = usable_key(before) else { return false };
                    before != after && usable_key(after).is_none_or(|new| new == key)
                })
            }
            _ => false,
        }
    }
}

/// The key of the security context that a record of EF.EPSNSC or of EF.5GS3GPPNSC holds, empty if it has none. `None`
/// if it holds no context, or one with the key set identifier 7 (TS 31.102 sections 4.2.92 and 4.4.11.4).
fn usable_key(record: &[u8]) -> Option<&[u8]> {
    let context = Reader::new(record).read().ok().filter(|context| context.tag == Tag(0xA0))?;
    let member = |tag| context.members().flatten().find(|member| member.tag == tag).map(|member| member.value);
    let identifier = member(Tag(0x80))?.first()?;
    (identifier & 0x07 != 0x07).then(|| member(Tag(0x81)).unwrap_or_default())
}
