//! The toolkit session of an interface: TERMINAL PROFILE, ENVELOPE, FETCH and TERMINAL RESPONSE (TS 102 221 section
//! 11.2, TS 102 223), and the one proactive command of this card, REFRESH.

use super::{Context, Outcome, Refusal, expect_p1p2, no_data};
use crate::ota::{self, Policy};
use crate::platform::Env;
use teuicc_apdu::{Command, Response, StatusWord};
use teuicc_tlv::{Reader, Tag, Tlv, try_copy};

/// SMS-PP download (TS 101 220 table 7.17).
const SMS_PP_DOWNLOAD: Tag = Tag(0xD1);

/// Length of a REFRESH command in bytes.
const REFRESH_LEN: u8 = 11;

/// The toolkit session of an interface since its last reset.
#[derive(Default)]
pub(crate) struct Session {
    /// Whether the terminal said in its TERMINAL PROFILE that it does REFRESH.
    refresh_announced: bool,
    state: State,
    /// Number of the last proactive command, 1 to 254.
    number: u8,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// A REFRESH waits to be fetched.
    Pending,
    /// It was fetched and is not answered.
    Fetched,
}

impl Session {
    /// Another profile is enabled: queues a REFRESH (UICC reset) if `refresh` asks for it, the terminal announced that
    /// it can do it, and none is under way already. Whether the terminal is going to be told by one.
    pub(crate) fn profile_switched(&mut self, refresh: bool) -> bool {
        if refresh && self.refresh_announced && self.state == State::Idle {
            self.state = State::Pending;
            self.number = if self.number >= 0xFE { 1 } else { self.number.saturating_add(1) };
        }
        self.state != State::Idle
    }

    /// The length in bytes of the proactive command that waits to be fetched.
    pub(crate) fn pending(&self) -> Option<u8> {
        (self.state == State::Pending).then_some(REFRESH_LEN)
    }

    /// Whether a proactive command is fetched and unanswered.
    pub(crate) fn is_busy(&self) -> bool {
        self.state == State::Fetched
    }

    /// REFRESH with UICC reset, from the card to the terminal (TS 102 223 section 6.6.13).
    fn refresh(&self) -> [u8; REFRESH_LEN as usize] {
        [0xD0, 0x09, 0x81, 0x03, self.number, 0x01, 0x04, 0x82, 0x02, 0x81, 0x82]
    }
}

/// A TERMINAL PROFILE command.
pub(super) struct TerminalProfile {
    refresh: bool,
}

impl TerminalProfile {
    /// Reads the command. Errors: P1 or P2 other than 00; no data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        // Third byte, bit 8: proactive UICC: REFRESH (TS 102 223 section 5.2).
        Ok(TerminalProfile { refresh: command.data.get(2).is_some_and(|byte| byte & 0x80 != 0) })
    }
}

/// Notes what the terminal can do.
pub(super) fn profile(cx: &mut Context<'_>, command: &TerminalProfile) -> Outcome {
    cx.interface.session.refresh_announced = command.refresh;
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

/// A short message may be for remote management. Nothing on this card asked for an event or has a menu: all else is
/// acknowledged, without effect.
pub(super) fn envelope(cx: &mut Context<'_>, command: &Envelope<'_>) -> Outcome {
    if command.object.tag != SMS_PP_DOWNLOAD {
        return Ok(StatusWord::OK.into());
    }
    let Some(profile) = cx.profile.as_deref_mut() else { return Ok(StatusWord::OK.into()) };
    let env = Env { rng: &mut *cx.env.rng, store: &mut *cx.env.store };
    let host = ota::Host { profile, euicc: &mut *cx.euicc, env };
    ota::receive(host, &mut cx.interface.sms, command.object.value, Policy::BUILD)
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

/// Gives the proactive command that waits. Errors: none waits (6985).
pub(super) fn fetch(cx: &mut Context<'_>, _: Fetch) -> Outcome {
    let session = &mut cx.interface.session;
    if session.state != State::Pending {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    let data = try_copy(&session.refresh())?;
    session.state = State::Fetched;
    Ok(Response::data(data))
}

/// A TERMINAL RESPONSE command.
pub(super) struct TerminalResponse {
    /// Whether the terminal did, or at least began, what it was asked for.
    performed: bool,
}

impl TerminalResponse {
    /// Reads the command. Errors: P1 or P2 other than 00; no general result (6A80).
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        // Result, with or without the comprehension bit (TS 102 223 section 8.12).
        let result = Reader::new(command.data).flatten().find(|object| object.tag.0 & 0x7F == 0x03);
        let general = result.and_then(|result| result.value.first().copied()).ok_or(StatusWord::INCORRECT_DATA)?;
        Ok(TerminalResponse { performed: general < 0x20 })
    }
}

/// Ends the proactive command. A terminal that could not do the REFRESH keeps the old profile's data: whoever runs
/// the slot is told that the card has changed, and resets it in another way. Errors: none is fetched (6985).
pub(super) fn response(cx: &mut Context<'_>, command: &TerminalResponse) -> Outcome {
    let session = &mut cx.interface.session;
    if session.state != State::Fetched {
        return Err(StatusWord::CONDITIONS_OF_USE.into());
    }
    session.state = State::Idle;
    cx.refresh_refused = !command.performed;
    Ok(StatusWord::OK.into())
}
