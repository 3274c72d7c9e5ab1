//! VERIFY, CHANGE, DISABLE, ENABLE and UNBLOCK PIN (TS 102 221 sections 11.1.9 to 11.1.13).
//!
//! Every attempt is paid for first: the retry counter is stored one lower before the value is compared, so that no
//! power cut gives a try back.

use super::{Context, Outcome, Refusal};
use crate::profile::Pin;
use subtle::ConstantTimeEq;
use teuicc_apdu::{Command, StatusWord, ins};
use zeroize::Zeroizing;

/// Length of a PIN and of an unblocking key, padded with FF.
const LEN: usize = 8;

/// P1 of DISABLE PIN: the universal PIN, key reference 11, takes the place of the disabled one.
const REPLACED_BY_UNIVERSAL_PIN: u8 = 0x91;

/// Attribute bits of a PIN (SAIP PE-PINCodes, pinAttributes).
const ATTRIBUTE_CHANGEABLE: u8 = 0x02;
const ATTRIBUTE_CAN_BE_DISABLED: u8 = 0x04;

/// A VERIFY PIN command.
pub(super) struct Verify<'a> {
    reference: u8,
    /// `None` asks for the number of tries left.
    value: Option<&'a [u8; LEN]>,
}

/// A CHANGE PIN command.
pub(super) struct Replace<'a> {
    reference: u8,
    old: &'a [u8; LEN],
    new: &'a [u8; LEN],
}

/// A DISABLE PIN or ENABLE PIN command.
pub(super) struct Present<'a> {
    reference: u8,
    value: &'a [u8; LEN],
}

/// An UNBLOCK PIN command.
pub(super) struct Unblock<'a> {
    reference: u8,
    /// Unblocking key and new PIN; `None` asks for the number of tries left.
    values: Option<(&'a [u8; LEN], &'a [u8; LEN])>,
}

impl<'a> Verify<'a> {
    /// Reads the command. Errors: P1 other than 00; wrong length.
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let reference = reference(command)?;
        let value = if command.data.is_empty() { None } else { Some(value(command.data)?) };
        Ok(Verify { reference, value })
    }
}

impl<'a> Replace<'a> {
    /// Reads the command. Errors: P1 other than 00; wrong length.
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let reference = reference(command)?;
        let (old, new) = two_values(command.data)?;
        Ok(Replace { reference, old, new })
    }
}

impl<'a> Present<'a> {
    /// Reads the command. Errors: P1 other than 00; wrong length; the universal PIN is to stand in for this one (P1 =
    /// 91, TS 102 221 table 11.20), which no profile has (6A88).
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        if command.ins == ins::DISABLE_PIN && command.p1 == REPLACED_BY_UNIVERSAL_PIN && command.p2 != 0 {
            value(command.data)?;
            return Err(StatusWord::REFERENCE_DATA_NOT_FOUND.into());
        }
        Ok(Present { reference: reference(command)?, value: value(command.data)? })
    }
}

impl<'a> Unblock<'a> {
    /// Reads the command. Errors: P1 other than 00; wrong length.
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        let reference = reference(command)?;
        let values = if command.data.is_empty() { None } else { Some(two_values(command.data)?) };
        Ok(Unblock { reference, values })
    }
}

/// Presents a PIN, or answers how many tries are left. A wrong one takes away what was presented before.
///
/// Errors: no such PIN (6A88), disabled (6984), blocked (6983), wrong (63Cx).
pub(super) fn verify(cx: &mut Context<'_>, command: &Verify<'_>) -> Outcome {
    let place = place(cx, command.reference)?;
    let pin = pin(cx, place)?;
    let Some(value) = command.value else {
        return Err(StatusWord::retries_left(pin.tries_left).into());
    };
    if !pin.enabled {
        return Err(StatusWord::REFERENCE_DATA_INVALIDATED.into());
    }
    attempt(cx, place, Secret::Pin, value, |_| {})
}

/// Replaces a PIN. Errors: those of [`verify`], and a PIN that cannot be changed (6985).
pub(super) fn change(cx: &mut Context<'_>, command: &Replace<'_>) -> Outcome {
    let place = place(cx, command.reference)?;
    let pin = pin(cx, place)?;
    if !pin.enabled {
        return Err(StatusWord::REFERENCE_DATA_INVALIDATED.into());
    }
    if pin.attributes & ATTRIBUTE_CHANGEABLE == 0 {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    attempt(cx, place, Secret::Pin, command.old, |pin| pin.value = *command.new)
}

/// Enables or disables a PIN. Errors: those of [`verify`], a PIN that is in that state already, or that cannot be
/// disabled (6985).
pub(super) fn set_enabled(cx: &mut Context<'_>, command: &Present<'_>, enabled: bool) -> Outcome {
    let place = place(cx, command.reference)?;
    let pin = pin(cx, place)?;
    if pin.enabled == enabled || (!enabled && pin.attributes & ATTRIBUTE_CAN_BE_DISABLED == 0) {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    attempt(cx, place, Secret::Pin, command.value, |pin| pin.enabled = enabled)
}

/// Gives a blocked PIN a new value, and enables it; or answers how many tries of the unblocking key are left.
///
/// Errors: no such PIN, or none that can be unblocked (6A88), key blocked (6983), wrong (63Cx).
pub(super) fn unblock(cx: &mut Context<'_>, command: &Unblock<'_>) -> Outcome {
    let place = place(cx, command.reference)?;
    let puk = pin(cx, place)?.puk.as_ref().ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?;
    let Some((value, new)) = command.values else {
        return Err(StatusWord::retries_left(puk.tries_left).into());
    };
    attempt(cx, place, Secret::Puk, value, |pin| {
        pin.value = *new;
        pin.enabled = true;
        pin.tries_left = pin.max_tries;
    })
}

/// Which secret of a PIN is presented.
#[derive(Clone, Copy)]
enum Secret {
    Pin,
    Puk,
}

impl Secret {
    /// Value and tries left.
    fn of(self, pin: &Pin) -> Option<(&[u8; LEN], u8)> {
        match self {
            Secret::Pin => Some((&pin.value, pin.tries_left)),
            Secret::Puk => pin.puk.as_ref().map(|puk| (&puk.value, puk.tries_left)),
        }
    }

    /// Sets the tries left of the PIN at `place`; of an unblocking key wherever it stands, or each PIN that it
    /// unblocks would give more tries to guess it.
    fn set_tries(self, pins: &mut [Pin], place: usize, tries: u8) {
        match self {
            Secret::Pin => {
                if let Some(pin) = pins.get_mut(place) {
                    pin.tries_left = tries;
                }
            }
            Secret::Puk => {
                let reference = pins.get(place).and_then(|pin| pin.puk.as_ref()).map(|puk| puk.reference);
                let puks = pins.iter_mut().filter_map(|pin| pin.puk.as_mut());
                puks.filter(|puk| Some(puk.reference) == reference).for_each(|puk| puk.tries_left = tries);
            }
        }
    }

    fn max_tries(self, pin: &Pin) -> u8 {
        match (self, &pin.puk) {
            (Secret::Puk, Some(puk)) => puk.max_tries,
            _ => pin.max_tries,
        }
    }
}

/// Presents a secret of the PIN at `place`: takes a try and stores that, compares, and if it is right gives the tries
/// back, does what `success` does, and stores that too. At most 2 writes, 1 if it is wrong.
fn attempt(
    cx: &mut Context<'_>,
    place: usize,
    secret: Secret,
    presented: &[u8; LEN],
    success: impl FnOnce(&mut Pin),
) -> Outcome {
    let profile = cx.profile.as_deref_mut().ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?;
    let pin = profile.pins.get(place).ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?;
    let (_, tries) = secret.of(pin).ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?;
    let left = tries.checked_sub(1).ok_or(StatusWord::METHOD_BLOCKED)?;
    secret.set_tries(&mut profile.pins, place, left);
    profile.store_hot(cx.env.store)?;
    let pin = profile.pins.get_mut(place).ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?;
    let right = secret.of(pin).is_some_and(|(value, _)| value.ct_eq(presented).into());
    if !right {
        if matches!(secret, Secret::Pin) {
            cx.interface.verified.set(place, false);
        }
        return Err(StatusWord::retries_left(left).into());
    }
    let before = (Zeroizing::new(pin.value), pin.enabled, pin.tries_left);
    let max_tries = secret.max_tries(pin);
    success(pin);
    secret.set_tries(&mut profile.pins, place, max_tries);
    if let Err(error) = profile.store_hot(cx.env.store) {
        // What is stored counts: the try is taken, and nothing else happened.
        if let Some(pin) = profile.pins.get_mut(place) {
            (pin.value, pin.enabled, pin.tries_left) = (*before.0, before.1, before.2);
        }
        secret.set_tries(&mut profile.pins, place, left);
        return Err(error.into());
    }
    cx.interface.verified.set(place, true);
    Ok(StatusWord::OK.into())
}

/// The place of the PIN with this reference, as seen from the current directory. Errors: none (6A88).
fn place(cx: &Context<'_>, reference: u8) -> Result<usize, Refusal> {
    let profile = cx.profile.as_deref();
    profile
        .and_then(|profile| profile.pin_index(reference, cx.channel.directory()))
        .ok_or(Refusal(StatusWord::REFERENCE_DATA_NOT_FOUND))
}

fn pin<'a>(cx: &'a Context<'_>, place: usize) -> Result<&'a Pin, Refusal> {
    let pin = cx.profile.as_deref().and_then(|profile| profile.pins.get(place));
    pin.ok_or(Refusal(StatusWord::REFERENCE_DATA_NOT_FOUND))
}

/// Key reference in P2 (TS 102 221 table 9.3). Errors: P1 other than 00, or 00 in P2.
fn reference(command: &Command<'_>) -> Result<u8, Refusal> {
    if command.p1 == 0 && command.p2 != 0 { Ok(command.p2) } else { Err(StatusWord::INCORRECT_P1P2.into()) }
}

fn value(data: &[u8]) -> Result<&[u8; LEN], Refusal> {
    data.try_into().map_err(|_| Refusal(StatusWord::WRONG_LENGTH))
}

fn two_values(data: &[u8]) -> Result<(&[u8; LEN], &[u8; LEN]), Refusal> {
    let (first, second) = data.split_at_checked(LEN).ok_or(StatusWord::WRONG_LENGTH)?;
    Ok((value(first)?, value(second)?))
}
