//! AUTHENTICATE with an even instruction code (TS 31.102 section 7.1, TS 31.103 section 7.1).

use super::gba::Gba;
use super::usim::{self, Service};
use super::{Context, Outcome, Refusal, length_value};
use crate::naa::{self, CHALLENGE_LEN};
use crate::profile::FileIndex;
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response, StatusWord};
use teuicc_tlv::{OutOfMemory, TryBytes};
use zeroize::Zeroizing;

/// First byte of an answer.
const SUCCESSFUL: u8 = 0xDB;
const SYNCHRONISATION_FAILURE: u8 = 0xDC;

/// First byte of the command data in the GBA context.
const BOOTSTRAPPING: u8 = 0xDD;
const NAF_DERIVATION: u8 = 0xDE;

/// An AUTHENTICATE command.
pub(super) enum Authenticate<'a> {
    /// 3G security context.
    Umts { rand: &'a [u8; CHALLENGE_LEN], autn: &'a [u8; CHALLENGE_LEN] },
    /// GSM security context.
    Gsm { rand: &'a [u8; CHALLENGE_LEN] },
    /// GBA security context, bootstrapping mode.
    Bootstrapping { rand: &'a [u8; CHALLENGE_LEN], autn: &'a [u8; CHALLENGE_LEN] },
    /// GBA security context, NAF derivation mode.
    NafDerivation { naf_id: &'a [u8], impi: &'a [u8] },
}

impl<'a> Authenticate<'a> {
    /// Reads the command. Errors: P1 other than 00 or P2 without a meaning (6A86), a context that this card has not
    /// got (9864), data that is not its length-value pairs (6A80, or 6700 if there is none).
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        match command.p1p2() {
            0x0080 | 0x0081 | 0x0084 => {}
            // VGCS/VBS.
            0x0082 => return Err(StatusWord::CONTEXT_NOT_SUPPORTED.into()),
            _ => return Err(StatusWord::INCORRECT_P1P2.into()),
        }
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        let parsed = match (command.p2, command.data) {
            (0x80, data) => length_value(data).and_then(|(rand, rest)| {
                if rest.is_empty() { Some(Authenticate::Gsm { rand: rand.try_into().ok()? }) } else { None }
            }),
            (0x81, data) => challenge(data).map(|(rand, autn)| Authenticate::Umts { rand, autn }),
            (_, [BOOTSTRAPPING, data @ ..]) => {
                challenge(data).map(|(rand, autn)| Authenticate::Bootstrapping { rand, autn })
            }
            (_, [NAF_DERIVATION, data @ ..]) => {
                pairs(data).map(|(naf_id, impi)| Authenticate::NafDerivation { naf_id, impi })
            }
            _ => None,
        };
        parsed.ok_or(Refusal(StatusWord::INCORRECT_DATA))
    }
}

/// Answers a challenge, after what it changes is stored; or derives a key of GBA.
///
/// Errors: no application that authenticates is active (6985), its PIN was not presented (6982), wrong MAC (9862),
/// context not supported (9864), the store does not write (6581), and those of [`Gba`].
pub(super) fn authenticate(cx: &mut Context<'_>, command: &Authenticate<'_>) -> Outcome {
    let adf = usim::active(cx)?;
    let profile = cx.profile.as_deref().ok_or(StatusWord::CONDITIONS_OF_USE)?;
    let place = profile.naas.iter().position(|naa| naa.adf == adf).ok_or(StatusWord::CONDITIONS_OF_USE)?;
    usim::check_pin(profile, &cx.interface.verified, adf)?;
    match *command {
        Authenticate::Gsm { rand } => {
            if !usim::has_service(profile, adf, Service::GsmSecurityContext) {
                return Err(StatusWord::CONTEXT_NOT_SUPPORTED.into());
            }
            let keys = naa::keys_for_gsm(profile.naas.get(place).ok_or(StatusWord::CONDITIONS_OF_USE)?, rand);
            Ok(Response::data(fields(cx.interface.memory()?, None, &[&keys.sres(), &keys.kc()])?))
        }
        Authenticate::Umts { rand, autn } => check(cx, adf, place, rand, autn, None),
        Authenticate::Bootstrapping { rand, autn } => {
            let gba = Gba::of(profile, adf)?;
            check(cx, adf, place, rand, autn, Some(gba))
        }
        Authenticate::NafDerivation { naf_id, impi } => Gba::of(profile, adf)?.derive(cx, place, naf_id, impi),
    }
}

/// Checks a challenge for the application at `place`. With `gba` the keys stay in the card.
fn check(
    cx: &mut Context<'_>,
    adf: FileIndex,
    place: usize,
    rand: &[u8; CHALLENGE_LEN],
    autn: &[u8; CHALLENGE_LEN],
    gba: Option<Gba>,
) -> Outcome {
    let profile = cx.profile.as_deref_mut().ok_or(StatusWord::CONDITIONS_OF_USE)?;
    let with_kc = usim::has_service(profile, adf, Service::GsmAccess);
    let naa = profile.naas.get_mut(place).ok_or(StatusWord::CONDITIONS_OF_USE)?;
    let (keys, sqn) = match naa::authenticate(naa, rand, autn) {
        naa::Outcome::WrongMac => return Err(StatusWord::INCORRECT_MAC.into()),
        naa::Outcome::Resynchronise { auts } => {
            let memory = cx.interface.memory()?;
            return Ok(Response::data(fields(memory, Some(SYNCHRONISATION_FAILURE), &[&auts])?));
        }
        naa::Outcome::Accepted { keys, sqn } => (keys, sqn),
    };
    let memory = cx.interface.memory()?;
    let mut answer = Zeroizing::new(match gba {
        Some(_) => answer(memory, &[keys.res()])?,
        None if with_kc => answer(memory, &[keys.res(), &keys.ck, &keys.ik, &keys.kc()])?,
        None => answer(memory, &[keys.res(), &keys.ck, &keys.ik])?,
    });
    let previous_seq = sqn.map(|sqn| naa::accept(naa, sqn));
    let previous_bootstrapping = gba.map(|_| naa.bootstrapping.replace(keys.bootstrapping(rand)));
    if (sqn.is_some() || gba.is_some())
        && let Err(error) = profile.store_hot(cx.env.store)
    {
        if let Some(naa) = profile.naas.get_mut(place) {
            if let (Some(sqn), Some(previous)) = (sqn, previous_seq) {
                naa::restore(naa, sqn, previous);
            }
            if let Some(previous) = previous_bootstrapping {
                naa.bootstrapping = previous;
            }
        }
        return Err(error.into());
    }
    if let Some(gba) = gba {
        gba.publish(cx, rand)?;
    }
    Ok(Response::data(core::mem::take(&mut *answer)))
}

/// The answer of a success: `DB`, then each value behind its length.
pub(super) fn answer(memory: Vec<u8>, values: &[&[u8]]) -> Result<Vec<u8>, OutOfMemory> {
    fields(memory, Some(SUCCESSFUL), values)
}

/// A first byte, if any, then each value of at most 255 bytes behind its length. All values of the contexts fit in
/// `memory`, so that nothing grows and leaves copies of keys behind.
fn fields(memory: Vec<u8>, first: Option<u8>, values: &[&[u8]]) -> Result<Vec<u8>, OutOfMemory> {
    let mut answer = memory;
    if let Some(first) = first {
        answer.try_push(first)?;
    }
    for value in values {
        answer.try_push(u8::try_from(value.len()).unwrap_or(u8::MAX))?;
        answer.try_extend(value)?;
    }
    Ok(answer)
}

/// Two values, each behind its length, and nothing else.
fn pairs(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = length_value(data)?;
    match length_value(rest)? {
        (second, []) => Some((first, second)),
        _ => None,
    }
}

/// RAND and AUTN.
fn challenge(data: &[u8]) -> Option<(&[u8; CHALLENGE_LEN], &[u8; CHALLENGE_LEN])> {
    let (rand, autn) = pairs(data)?;
    Some((rand.try_into().ok()?, autn.try_into().ok()?))
}
