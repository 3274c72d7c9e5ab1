//! The commands of the card application toolkit: TERMINAL PROFILE, ENVELOPE, FETCH and TERMINAL RESPONSE (TS 102 221
//! section 11.2, TS 102 223). What they say to each other is in [`super::proactive`].

use super::proactive::{Announced, Answer};
use super::{Context, Outcome, Refusal, expect_p1p2, no_data};
use crate::ota::{self, Policy};
use crate::platform::Env;
use teuicc_apdu::{Command, Response, StatusWord};
use teuicc_tlv::{Reader, Tag, Tlv};

/// SMS-PP download (TS 101 220 table 7.17).
const SMS_PP_DOWNLOAD: Tag = Tag(0xD1);

/// Envelopes that would begin a proactive session (TS 102 223 section 9.1), if anything here had asked for them.
const MENU_SELECTION: Tag = Tag(0xD3);
const EVENT_DOWNLOAD: Tag = Tag(0xD6);
const TIMER_EXPIRATION: Tag = Tag(0xD7);

/// A TERMINAL PROFILE command.
pub(super) struct TerminalProfile {
    announced: Announced,
}

impl TerminalProfile {
    /// Reads the command. Errors: P1 or P2 other than 00; no data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        // Third byte, bit 8: proactive UICC: REFRESH; bit 6: POLL INTERVAL (TS 102 223 section 5.2).
        let third = command.data.get(2).copied().unwrap_or(0);
        let announced = Announced { refresh: third & 0x80 != 0, poll_interval: third & 0x20 != 0 };
        Ok(TerminalProfile { announced })
    }
}

/// Notes what the terminal can do.
pub(super) fn profile(cx: &mut Context<'_>, command: &TerminalProfile) -> Outcome {
    cx.interface.session.terminal_profile(command.announced);
    Ok(StatusWord::OK.into())
}

/// An ENVELOPE command.
pub(super) struct Envelope<'a> {
    object: Tlv<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads the command. Errors: P1 or P2 other than 00; data that is not one data object.
    pub(super) fn parse(command: &Command<'a>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        let mut reader = Reader::new(command.data);
        match reader.read() {
            Ok(object) if reader.is_empty() => Ok(Envelope { object }),
            _ => Err(StatusWord::INCORRECT_DATA.into()),
        }
    }
}

/// A short message may be for remote management. Nothing on this card asked for an event, has a menu or controls calls:
/// all else is acknowledged, without effect, which lets the terminal go on. Errors: a proactive command is fetched and
/// unanswered, and the envelope would begin another (9300).
pub(super) fn envelope(cx: &mut Context<'_>, command: &Envelope<'_>) -> Outcome {
    let tag = command.object.tag;
    if matches!(tag, MENU_SELECTION | EVENT_DOWNLOAD | TIMER_EXPIRATION) && cx.interface.session.is_busy() {
        return Err(StatusWord::TOOLKIT_BUSY.into());
    }
    if tag != SMS_PP_DOWNLOAD {
        return Ok(StatusWord::OK.into());
    }
    let Some(profile) = cx.profile.as_deref_mut() else { return Ok(StatusWord::OK.into()) };
    let env = Env { rng: &mut *cx.env.rng, store: &mut *cx.env.store };
    let interface = &mut *cx.interface;
    let (euicc, session, files_deleted) = (&mut *cx.euicc, &mut interface.session, &mut cx.files_deleted);
    let host = ota::Host { profile, euicc, env, session, files_deleted };
    ota::receive(host, &mut interface.sms, command.object.value, Policy::BUILD)
}

/// A FETCH command.
#[derive(Clone, Copy)]
pub(super) struct Fetch;

impl Fetch {
    /// Reads the command. Errors: P1 or P2 other than 00; data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        no_data(command)?;
        Ok(Fetch)
    }
}

/// Gives the proactive command that waits, or that is fetched and unanswered. Errors: there is none (6985).
pub(super) fn fetch(cx: &mut Context<'_>, _: Fetch) -> Outcome {
    Ok(Response::data(cx.interface.session.fetch()?))
}

/// A TERMINAL RESPONSE command.
#[derive(Clone, Copy)]
pub(super) struct TerminalResponse {
    answer: Answer,
}

impl TerminalResponse {
    /// Reads the command. Errors: P1 or P2 other than 00; no command details or no general result (6A80).
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        Ok(TerminalResponse { answer: Answer::parse(command.data)? })
    }
}

/// Ends the proactive command. A terminal that could not do the REFRESH keeps the old profile's data: whoever runs
/// the slot is told that the card has changed, and resets it in another way.
///
/// Errors: none is fetched (6985), or another one than the answer names (6A80).
pub(super) fn response(cx: &mut Context<'_>, command: TerminalResponse) -> Outcome {
    cx.refresh_refused = cx.interface.session.answered(command.answer)?;
    Ok(StatusWord::OK.into())
}
