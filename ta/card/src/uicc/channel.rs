//! MANAGE CHANNEL (TS 102 221 section 11.1.17).

use super::interface::{Application, Channel};
use super::{Context, Outcome, Refusal, no_data};
use teuicc_apdu::{Command, MAX_CHANNEL, Response, StatusWord};
use teuicc_tlv::try_copy;

/// A MANAGE CHANNEL command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manage {
    /// Open the channel of this number; `None` lets the card choose.
    Open(Option<u8>),
    /// Close the channel of this number.
    Close(u8),
}

impl Manage {
    /// Reads the command. Errors: P1 or P2 not of TS 102 221 table 11.28, channels that there are not; data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        let manage = match (command.p1, command.p2) {
            (0x00, 0) => Manage::Open(None),
            (0x00, number @ 1..=MAX_CHANNEL) => Manage::Open(Some(number)),
            (0x80, number @ 1..=MAX_CHANNEL) => Manage::Close(number),
            _ => return Err(StatusWord::INCORRECT_P1P2.into()),
        };
        no_data(command)?;
        Ok(manage)
    }
}

/// Opens or closes a channel. The card gives the lowest free number.
///
/// Errors: none is free, or the one that is named is open (6A81), what would be selected on the new channel is not
/// shareable (6985), the one to be closed is not open (6881).
pub(super) fn manage(cx: &mut Context<'_>, command: Manage) -> Outcome {
    let in_use = cx.number;
    let is_open = |number: u8| number == in_use || cx.interface.is_open(number);
    match command {
        Manage::Open(wanted) => {
            let number = match wanted {
                Some(number) => Some(number).filter(|number| !is_open(*number)),
                None => (1..=MAX_CHANNEL).find(|number| !is_open(*number)),
            };
            let number = number.ok_or(StatusWord::FUNCTION_NOT_SUPPORTED)?;
            let new = opened_from(in_use, &cx.channel);
            check_handed_on(cx, &new)?;
            let data = if wanted.is_none() { try_copy(&[number])? } else { alloc::vec::Vec::new() };
            cx.interface.put(number, new);
            Ok(Response::data(data))
        }
        Manage::Close(number) if number == in_use => {
            cx.closed = true;
            Ok(StatusWord::OK.into())
        }
        Manage::Close(number) => match cx.interface.take(number) {
            Some(_) => Ok(StatusWord::OK.into()),
            None => Err(StatusWord::CHANNEL_NOT_SUPPORTED.into()),
        },
    }
}

/// Errors: the directory or the application of the new channel, which is that of the channel in use, is not shareable.
fn check_handed_on(cx: &Context<'_>, new: &Channel) -> Result<(), Refusal> {
    let Some(profile) = cx.profile.as_deref() else { return Ok(()) };
    let application = match new.application {
        Application::Adf(adf) => Some(adf),
        Application::None | Application::IsdR => None,
    };
    let mut files = [Some(new.directory()), application].into_iter().flatten().filter_map(|index| profile.file(index));
    if files.all(|file| file.shareable) { Ok(()) } else { Err(StatusWord::CONDITIONS_OF_USE.into()) }
}

/// What is selected on a new channel: the MF if it was opened from the basic channel, else the same application and
/// directory as on the channel that it was opened from (TS 102 221 section 8.7). The ISD-R is not handed on.
fn opened_from(number: u8, channel: &Channel) -> Channel {
    let mut new = Channel::new();
    if number != 0 && channel.application != Application::IsdR {
        new.select_directory(channel.directory());
        new.application = channel.application;
    }
    new
}
