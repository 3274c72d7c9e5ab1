//! The GBA context of AUTHENTICATE (TS 31.102 sections 7.1.1.4 and 7.1.1.5, TS 33.220 annex G).
//!
//! Ks and its RAND are kept with the sequence numbers; a terminal sees the RAND in EF.GBABP, and puts what the network
//! tells it behind it. Ks_int_NAF is not derived: nothing in the card uses it.

use super::authenticate::answer;
use super::usim::{self, IsimService, Service};
use super::{Context, Outcome, Refusal, length_value};
use crate::naa::{self, CHALLENGE_LEN};
use crate::profile::{FileIndex, FileKind, Profile};
use teuicc_apdu::{Response, StatusWord};
use teuicc_tlv::{Tag, Writer};

/// NAF_ID and B-TID in a record of EF.GBANL.
const NAF_ID: Tag = Tag(0x80);
const B_TID: Tag = Tag(0x81);

/// The files of GBA in an application that has the service.
#[derive(Clone, Copy)]
pub(super) struct Gba {
    /// EF.GBABP: RAND, B-TID and key lifetime, each behind its length.
    parameters: FileIndex,
    /// EF.GBANL: the network application functions that keys were derived for.
    naf_list: Option<FileIndex>,
}

impl Gba {
    /// Errors: the service table has no GBA, or EF.GBABP is not there (9864); it has no room for a RAND (9866).
    pub(super) fn of(profile: &Profile, adf: FileIndex) -> Result<Self, Refusal> {
        let (parameters, naf_list) = if usim::has_service(profile, adf, Service::Gba) {
            (0x6FD6, 0x6FDA)
        } else if usim::has_isim_service(profile, adf, IsimService::Gba) {
            (0x6FD5, 0x6FD7)
        } else {
            return Err(StatusWord::CONTEXT_NOT_SUPPORTED.into());
        };
        let parameters = profile.child(adf, parameters).ok_or(StatusWord::CONTEXT_NOT_SUPPORTED)?;
        let naf_list = profile.child(adf, naf_list);
        // RAND, and the lengths of all three.
        if profile.content(parameters).len() < CHALLENGE_LEN.saturating_add(3) {
            return Err(StatusWord::AUTHENTICATION_NO_MEMORY.into());
        }
        Ok(Gba { parameters, naf_list })
    }

    /// Puts the RAND of a bootstrapping into EF.GBABP. B-TID and key lifetime are the terminal's to fill in; the old
    /// ones do not belong to this RAND. Errors: the store does not write.
    pub(super) fn publish(self, cx: &mut Context<'_>, rand: &[u8; CHALLENGE_LEN]) -> Result<(), Refusal> {
        cx.change_content(self.parameters, |content| {
            let new = [16].into_iter().chain(*rand).chain([0, 0]).chain(core::iter::repeat(0xFF));
            content.iter_mut().zip(new).for_each(|(to, from)| *to = from);
        })
    }

    /// Ks_ext_NAF for the network application function `naf_id` and the private identity `impi`.
    ///
    /// Errors: there was no bootstrapping, or EF.GBABP has another RAND than that (6985); no room in a record of
    /// EF.GBANL (9866); the store does not write.
    pub(super) fn derive(self, cx: &mut Context<'_>, place: usize, naf_id: &[u8], impi: &[u8]) -> Outcome {
        let profile = cx.profile()?;
        let bootstrapping = profile.naas.get(place).and_then(|naa| naa.bootstrapping.as_ref());
        let bootstrapping = bootstrapping.ok_or(StatusWord::CONDITIONS_OF_USE)?;
        let (rand, rest) = length_value(profile.content(self.parameters)).ok_or(StatusWord::CONDITIONS_OF_USE)?;
        if *rand != bootstrapping.rand {
            return Err(StatusWord::CONDITIONS_OF_USE.into());
        }
        let key = naa::ks_ext_naf(&bootstrapping.ks, &bootstrapping.rand, impi, naf_id);
        if let Some(list) = self.naf_list {
            let b_tid = length_value(rest).map_or(&[][..], |(b_tid, _)| b_tid);
            let mut entry = Writer::new();
            entry.primitive(NAF_ID, naf_id)?;
            let name_len = entry.as_bytes().len();
            entry.primitive(B_TID, b_tid)?;
            note(cx, list, entry.as_bytes(), name_len)?;
        }
        Ok(Response::data(answer(cx.interface.memory()?, &[key.as_slice()])?))
    }
}

/// Makes `entry`, of which the first `name_len` bytes name the function, the first record of EF.GBANL: in the place of
/// its older one, of an empty one, or of that which was not used for the longest time, which is the last.
fn note(cx: &mut Context<'_>, list: FileIndex, entry: &[u8], name_len: usize) -> Result<(), Refusal> {
    let profile = cx.profile()?;
    let FileKind::LinearFixed(length) = profile.file(list).ok_or(StatusWord::CONTEXT_NOT_SUPPORTED)?.kind else {
        return Err(StatusWord::CONTEXT_NOT_SUPPORTED.into());
    };
    let length = usize::from(length.max(1));
    let records = profile.content(list).chunks_exact(length);
    if entry.len() > length || records.len() == 0 {
        return Err(StatusWord::AUTHENTICATION_NO_MEMORY.into());
    }
    let name = entry.get(..name_len).unwrap_or(entry);
    let place_of = |wanted: &dyn Fn(&[u8]) -> bool| {
        (0..records.len()).zip(records.clone()).find(|(_, record)| wanted(record)).map(|(place, _)| place)
    };
    let place =
        place_of(&|record| record.starts_with(name)).or_else(|| place_of(&|record| record.starts_with(&[0xFF])));
    let end = place.map_or(records.len(), |place| place.saturating_add(1)).saturating_mul(length);
    cx.change_content(list, |content| {
        let Some(moved) = content.get_mut(..end) else { return };
        // Each record takes the place of the next one.
        moved.reverse();
        let Some((first, others)) = moved.split_at_mut_checked(length) else { return };
        others.reverse();
        let padded = entry.iter().copied().chain(core::iter::repeat(0xFF));
        first.iter_mut().zip(padded).for_each(|(to, from)| *to = from);
    })
}
