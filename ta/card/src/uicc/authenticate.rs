//! AUTHENTICATE with an even instruction code (TS 31.102 section 7.1, TS 31.103 section 7.1).

use super::access::is_presented;
use super::interface::Application;
use super::{Context, Outcome, Refusal};
use crate::naa::{self, CHALLENGE_LEN, Keys};
use crate::profile::{FileIndex, Profile};
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response, StatusWord};
use teuicc_tlv::{OutOfMemory, TryBytes};
use zeroize::Zeroize;

/// First bytes of the AID of a USIM (TS 101 220 annex E): RID of 3GPP, application code.
const USIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02];

/// EF.UST, and the services in it that matter here (TS 31.102 section 4.2.8).
const EF_UST: u16 = 0x6F38;
const SERVICE_GSM_ACCESS: usize = 27;
const SERVICE_GSM_SECURITY_CONTEXT: usize = 38;

const SUCCESSFUL: u8 = 0xDB;
const SYNCHRONISATION_FAILURE: u8 = 0xDC;

/// An AUTHENTICATE command.
pub(super) enum Authenticate<'a> {
    /// 3G security context.
    Umts { rand: &'a [u8; CHALLENGE_LEN], autn: &'a [u8; CHALLENGE_LEN] },
    /// GSM security context.
    Gsm { rand: &'a [u8; CHALLENGE_LEN] },
}

impl<'a> Authenticate<'a> {
    /// Reads the command. Errors: P1 other than 00 or P2 without a meaning (6A86), a context that this card has not
    /// got (9864), data that is not its length-value pairs (6A80, or 6700 if there is none).
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        match command.p1p2() {
            0x0080 | 0x0081 => {}
            // VGCS/VBS, GBA.
            0x0082 | 0x0084 => return Err(StatusWord::CONTEXT_NOT_SUPPORTED.into()),
            _ => return Err(StatusWord::INCORRECT_P1P2.into()),
        }
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        let (rand, rest) = length_value(command.data)?;
        if command.p2 == 0x80 {
            return if rest.is_empty() {
                Ok(Authenticate::Gsm { rand })
            } else {
                Err(StatusWord::INCORRECT_DATA.into())
            };
        }
        match length_value(rest)? {
            (autn, []) => Ok(Authenticate::Umts { rand, autn }),
            _ => Err(StatusWord::INCORRECT_DATA.into()),
        }
    }
}

/// Answers a challenge, after the sequence number that it used is stored.
///
/// Errors: no application that authenticates is active (6985), its PIN was not presented (6982), wrong MAC (9862),
/// context or algorithm not supported (9864), the store does not write (6581).
pub(super) fn authenticate(cx: &mut Context<'_>, command: &Authenticate<'_>) -> Outcome {
    let Application::Adf(adf) = cx.channel.application else {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    };
    let profile = cx.profile.as_deref_mut().ok_or(StatusWord::CONDITIONS_OF_USE)?;
    let place = profile.naas.iter().position(|naa| naa.adf == adf).ok_or(StatusWord::CONDITIONS_OF_USE)?;
    let open = application_pin(profile, adf).is_none_or(|pin| is_presented(profile, &cx.interface.verified, adf, pin));
    if !open {
        return Err(StatusWord::SECURITY_STATUS.into());
    }
    let with_kc = has_service(profile, adf, SERVICE_GSM_ACCESS);
    let gsm_context = has_service(profile, adf, SERVICE_GSM_SECURITY_CONTEXT);
    let naa = profile.naas.get_mut(place).ok_or(StatusWord::CONDITIONS_OF_USE)?;
    let (rand, autn) = match *command {
        Authenticate::Umts { rand, autn } => (rand, autn),
        Authenticate::Gsm { rand } => {
            let keys = if gsm_context { naa::keys_for_gsm(naa, rand) } else { None };
            return Ok(Response::data(gsm_answer(&keys.ok_or(StatusWord::CONTEXT_NOT_SUPPORTED)?)?));
        }
    };
    match naa::authenticate(naa, rand, autn) {
        naa::Outcome::NotSupported => Err(StatusWord::CONTEXT_NOT_SUPPORTED.into()),
        naa::Outcome::WrongMac => Err(StatusWord::INCORRECT_MAC.into()),
        naa::Outcome::Resynchronise { auts } => {
            let mut answer = Vec::new();
            answer.try_extend(&[SYNCHRONISATION_FAILURE, 14])?;
            answer.try_extend(&auts)?;
            Ok(Response::data(answer))
        }
        naa::Outcome::Accepted { keys, sqn } => {
            let answer = umts_answer(&keys, with_kc)?;
            if let Some(sqn) = sqn {
                let previous = naa::accept(naa, sqn);
                if let Err(error) = profile.store_hot(cx.env.store) {
                    let mut answer = answer;
                    answer.zeroize();
                    if let Some(naa) = profile.naas.get_mut(place) {
                        naa::restore(naa, sqn, previous);
                    }
                    return Err(error.into());
                }
            }
            Ok(Response::data(answer))
        }
    }
}

/// `DB`, then RES, CK, IK and, if GSM access is a service, Kc, each behind its length.
fn umts_answer(keys: &Keys, with_kc: bool) -> Result<Vec<u8>, OutOfMemory> {
    let mut answer = Vec::new();
    // Room for everything, the status word too: growing would leave copies of the keys behind.
    answer.try_reserve_exact(1 + 17 + 17 + 17 + 9 + 2).map_err(|_| OutOfMemory)?;
    answer.try_push(SUCCESSFUL)?;
    put(&mut answer, keys.res())?;
    put(&mut answer, &keys.ck)?;
    put(&mut answer, &keys.ik)?;
    if with_kc {
        put(&mut answer, &keys.kc())?;
    }
    Ok(answer)
}

/// SRES and Kc, each behind its length.
fn gsm_answer(keys: &Keys) -> Result<Vec<u8>, OutOfMemory> {
    let mut answer = Vec::new();
    answer.try_reserve_exact(5 + 9 + 2).map_err(|_| OutOfMemory)?;
    put(&mut answer, &keys.sres())?;
    put(&mut answer, &keys.kc())?;
    Ok(answer)
}

fn put(answer: &mut Vec<u8>, value: &[u8]) -> Result<(), OutOfMemory> {
    answer.try_push(u8::try_from(value.len()).unwrap_or(u8::MAX))?;
    answer.try_extend(value)
}

/// The application PIN of an ADF: the first global or local PIN 1 to 8 in its PIN status template (TS 102 221 section
/// 9.4.2). `None` if the application has none.
pub(super) fn application_pin(profile: &Profile, adf: FileIndex) -> Option<u8> {
    let template = profile.file(adf).map_or(&[][..], |file| &file.pin_status);
    template.iter().copied().find(|reference| matches!(reference, 0x01..=0x08))
}

/// Whether service `number` of the USIM service table is available; never for another application.
fn has_service(profile: &Profile, adf: FileIndex, number: usize) -> bool {
    let is_usim = profile.file(adf).is_some_and(|file| file.aid.starts_with(&USIM));
    let bit = number.saturating_sub(1);
    is_usim
        && profile.child(adf, EF_UST).is_some_and(|ust| {
            let octet = profile.content(ust).get(bit / 8).copied().unwrap_or(0);
            (octet.rotate_right(u32::try_from(bit % 8).unwrap_or(0))) & 0x01 != 0
        })
}

/// The 16 bytes behind their length, and what follows them.
fn length_value(data: &[u8]) -> Result<(&[u8; CHALLENGE_LEN], &[u8]), Refusal> {
    match data.split_first() {
        Some((16, rest)) => rest.split_first_chunk().ok_or(Refusal(StatusWord::INCORRECT_DATA)),
        _ => Err(StatusWord::INCORRECT_DATA.into()),
    }
}
