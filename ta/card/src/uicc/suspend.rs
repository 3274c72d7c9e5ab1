//! SUSPEND UICC (TS 102 221 section 11.1.22): the terminal takes the power away, and goes on later where it was.
//!
//! Only if EF.UMPC announces it. What the interface was (channels, selections, PINs, toolkit session) stays in memory,
//! so that it is gone when the card as a whole loses its power; the terminal then finds that it cannot resume, and
//! initialises the card as after any reset.

use super::interface::Channel;
use super::{Context, Outcome, Refusal};
use crate::profile::FileIndex;
use alloc::vec::Vec;
use subtle::ConstantTimeEq;
use teuicc_apdu::{Command, Response, StatusWord, ins};
use teuicc_tlv::TryBytes;

/// EF.UMPC in the MF, and the bit in its third byte: UICC suspension is supported (TS 102 221 section 13.6).
const EF_UMPC: u16 = 0x2F08;
const SUSPENSION_SUPPORTED: u8 = 0x02;

/// Whether an APDU resumes, whatever else is wrong with it.
pub(super) fn resumes(apdu: &[u8]) -> bool {
    apdu.get(1..3) == Some(&[ins::SUSPEND_UICC, 0x01])
}

/// A SUSPEND UICC command.
enum Suspend<'a> {
    /// For at most so long: a unit (seconds, minutes, hours, days, ten days) and a number. Any minimum will do.
    Suspend { most: [u8; 2] },
    /// With the token that suspending gave.
    Resume(&'a [u8; 8]),
}

impl<'a> Suspend<'a> {
    /// Reads the command. Errors: P1 other than 00 and 01, P2 other than 00 (6A86); wrong length (6700); a unit that is
    /// none, a minimum above the maximum (6A80).
    fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        match (command.p1p2(), command.data) {
            (0x0000, [a, b, c, d]) => {
                let (least, most) = ([*a, *b], [*c, *d]);
                match (seconds(least), seconds(most)) {
                    (Some(shortest), Some(longest)) if shortest <= longest => Ok(Suspend::Suspend { most }),
                    _ => Err(StatusWord::INCORRECT_DATA.into()),
                }
            }
            (0x0100, data) => Ok(Suspend::Resume(data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?)),
            (0x0000, _) => Err(StatusWord::WRONG_LENGTH.into()),
            _ => Err(StatusWord::INCORRECT_P1P2.into()),
        }
    }
}

/// A duration in seconds. `None` for a unit that is none.
fn seconds([unit, count]: [u8; 2]) -> Option<u32> {
    let unit = *[1u32, 60, 3_600, 86_400, 864_000].get(usize::from(unit))?;
    Some(unit.saturating_mul(count.into()))
}

/// SUSPEND UICC: suspends the UICC, or resumes it. Suspending answers with the longest duration, which is the one that
/// was asked for, and a token. It counts only if it is the last command before the power goes, and resuming the first
/// one after.
///
/// Errors: EF.UMPC does not announce it (6D00), those of [`Suspend::parse`], another channel than the basic one (6881),
/// a proactive command waits or is being executed, nothing is suspended, or with another token (6985).
pub(super) fn suspend_or_resume(cx: &mut Context<'_>, command: &Command<'_>) -> Outcome {
    let umpc = cx.profile.as_deref().and_then(|profile| {
        let umpc = profile.child(FileIndex::MF, EF_UMPC)?;
        profile.content(umpc).get(2).copied()
    });
    if umpc.is_none_or(|features| features & SUSPENSION_SUPPORTED == 0) {
        return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED.into());
    }
    let command = Suspend::parse(command)?;
    if cx.number != 0 {
        return Err(StatusWord::CHANNEL_NOT_SUPPORTED.into());
    }
    match command {
        Suspend::Suspend { most } => {
            let session = &cx.interface.session;
            if session.pending().is_some() || session.is_busy() {
                return Err(StatusWord::CONDITIONS_OF_USE.into());
            }
            let mut token = [0; 8];
            cx.env.rng.fill(&mut token);
            let mut answer = Vec::new();
            answer.try_extend(&most)?;
            answer.try_extend(&token)?;
            cx.interface.suspension = Some(token);
            Ok(Response::data(answer))
        }
        Suspend::Resume(token) => {
            let suspended = cx.suspended.take();
            let is_meant = |expected: &[u8; 8]| expected.ct_eq(token).into();
            let Some(mut suspended) = suspended.filter(|state| state.suspension.as_ref().is_some_and(is_meant)) else {
                return Err(StatusWord::CONDITIONS_OF_USE.into());
            };
            suspended.suspension = None;
            cx.channel = suspended.take(0).unwrap_or_else(Channel::new);
            *cx.interface = suspended;
            Ok(StatusWord::OK.into())
        }
    }
}
