//! What the commands of a network access application share: the active one, its PIN, its service table.

use super::access::is_presented;
use super::interface::{Application, Verified};
use super::{Context, Refusal};
use crate::profile::{File, FileIndex, Profile};
use teuicc_apdu::StatusWord;

/// First bytes of the AID of an ISIM (TS 101 220 annex E): RID of 3GPP, application code.
const ISIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x04];

/// EF.UST of a USIM, EF.IST of an ISIM.
const EF_UST: u16 = 0x6F38;
const EF_IST: u16 = 0x6F07;

/// Services of the USIM service table that matter here, by their numbers (TS 31.102 section 4.2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// GSM access.
    GsmAccess = 27,
    /// GSM security context.
    GsmSecurityContext = 38,
    /// Generic bootstrapping architecture (GBA).
    Gba = 68,
    /// Subscription identifier privacy support.
    SubscriptionIdentifierPrivacy = 124,
    /// SUCI calculation by the USIM.
    SuciCalculation = 125,
    /// Support for a SUPI of type network specific identifier, GLI or GCI.
    NonImsiSupi = 130,
    /// 5G NSWO support.
    NonSeamlessOffload = 142,
}

/// The ADF of the application that is active on the channel. Errors: none is (6985).
pub(super) fn active(cx: &Context<'_>) -> Result<FileIndex, Refusal> {
    match cx.channel.application {
        Application::Adf(adf) => Ok(adf),
        _ => Err(StatusWord::CONDITIONS_OF_USE.into()),
    }
}

/// The application PIN of an ADF: the first global PIN 1 to 8 in its PIN status template (TS 102 221 section 9.4.2).
/// `None` if the application has none.
pub(super) fn application_pin(profile: &Profile, adf: FileIndex) -> Option<u8> {
    let template = profile.file(adf).map_or(&[][..], |file| &file.pin_status);
    template.iter().copied().find(|reference| matches!(reference, 0x01..=0x08))
}

/// Checks that the application PIN of an ADF was presented, if it has one. Errors: it was not (6982).
pub(super) fn check_pin(profile: &Profile, verified: &Verified, adf: FileIndex) -> Result<(), Refusal> {
    if application_pin(profile, adf).is_none_or(|pin| is_presented(profile, verified, adf, pin)) {
        Ok(())
    } else {
        Err(StatusWord::SECURITY_STATUS.into())
    }
}

/// Services of the ISIM service table that matter here, by their numbers (TS 31.103 section 4.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsimService {
    /// Generic bootstrapping architecture (GBA).
    Gba = 2,
}

/// Whether a service is available in the USIM service table; never for another application.
pub(super) fn has_service(profile: &Profile, adf: FileIndex, service: Service) -> bool {
    is_available(profile, adf, File::is_usim, EF_UST, service as usize)
}

/// Whether a service is available in the ISIM service table; never for another application.
pub(super) fn has_isim_service(profile: &Profile, adf: FileIndex, service: IsimService) -> bool {
    is_available(profile, adf, |file| file.aid.starts_with(&ISIM), EF_IST, service as usize)
}

fn is_available(profile: &Profile, adf: FileIndex, is_its: fn(&File) -> bool, table: u16, number: usize) -> bool {
    let bit = number.saturating_sub(1);
    profile.file(adf).is_some_and(is_its)
        && profile.child(adf, table).is_some_and(|table| {
            let octet = profile.content(table).get(bit / 8).copied().unwrap_or(0);
            (octet.rotate_right(u32::try_from(bit % 8).unwrap_or(0))) & 0x01 != 0
        })
}
