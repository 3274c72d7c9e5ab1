//! The UICC (TS 102 221): commands of a terminal on the logical channels of an interface.
//!
//! One module per group of commands, one table ([`COMMANDS`]) that says which command goes where. A command is
//! first read into a type of its own, which checks P1, P2 and the lengths, and then executed.
//!
//! Checks are made in this order, and the first that fails answers: whole APDU (6700), class (6E00), channel open
//! (6881), secure messaging (6882) and chaining (6884), instruction (6D00, or 6E00 if another class has it), P1 and
//! P2 (6A86), lengths (6700), then what the command works on: file found (6A82) or selected (6986), file structure
//! (6981), file activated (6985), access rule (6982), place within the file (6B00, 6A83).

mod access;
pub(crate) mod atr;
mod authenticate;
mod binary;
mod challenge;
mod channel;
mod fcp;
mod interface;
mod isdr;
mod pin;
mod record;
mod select;
mod terminal;
mod toolkit;

pub(crate) use interface::{AccessDomain, InterfaceState};

use crate::euicc::{Effect, Euicc, Toolkit};
use crate::platform::{Env, StoreError};
use crate::profile::{FileIndex, FileKind, Profile};
use access::Operation;
use interface::Channel;
use teuicc_apdu::{Class, Coding, Command, Response, StatusWord, ins};
use teuicc_tlv::OutOfMemory;
use zeroize::Zeroizing;

/// Command chaining is not supported (ISO/IEC 7816-4 table 6).
const CHAINING_NOT_SUPPORTED: StatusWord = StatusWord(0x6884);

/// What a command works with: one channel of one interface, and the card behind it.
pub(crate) struct Context<'a> {
    /// The enabled profile.
    profile: Option<&'a mut Profile>,
    euicc: &'a mut Euicc,
    env: Env<'a>,
    /// The interface; the slot of the channel in use is empty meanwhile.
    interface: &'a mut InterfaceState,
    /// The number of the channel in use.
    number: u8,
    /// The channel in use.
    channel: Channel,
    /// Whether the channel in use is closed by this command.
    closed: bool,
    /// What the modem's toolkit session is doing.
    toolkit: Toolkit,
    /// What happened beyond this channel.
    effect: Effect,
    /// Whether the terminal refused a REFRESH.
    refresh_refused: bool,
}

/// Why a command is refused: its status word.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) StatusWord);

type Outcome = Result<Response, Refusal>;

type Handler = fn(&mut Context<'_>, &Command<'_>) -> Outcome;

/// Which command goes where (TS 102 221 table 10.6): instruction, class, handler.
const COMMANDS: &[(u8, Coding, Handler)] = &[
    (ins::SELECT, Coding::Interindustry, |cx, c| select::select(cx, &select::Select::parse(c)?)),
    (ins::STATUS, Coding::Proprietary, |cx, c| select::status(cx, select::Status::parse(c)?)),
    (ins::READ_BINARY, Coding::Interindustry, |cx, c| binary::read(cx, &binary::Read::parse(c)?)),
    (ins::UPDATE_BINARY, Coding::Interindustry, |cx, c| binary::update(cx, &binary::Update::parse(c)?)),
    (ins::READ_RECORD, Coding::Interindustry, |cx, c| record::read(cx, record::Read::parse(c)?)),
    (ins::UPDATE_RECORD, Coding::Interindustry, |cx, c| record::update(cx, &record::Update::parse(c)?)),
    (ins::VERIFY_PIN, Coding::Interindustry, |cx, c| pin::verify(cx, &pin::Verify::parse(c)?)),
    (ins::CHANGE_PIN, Coding::Interindustry, |cx, c| pin::change(cx, &pin::Replace::parse(c)?)),
    (ins::DISABLE_PIN, Coding::Interindustry, |cx, c| pin::set_enabled(cx, &pin::Present::parse(c)?, false)),
    (ins::ENABLE_PIN, Coding::Interindustry, |cx, c| pin::set_enabled(cx, &pin::Present::parse(c)?, true)),
    (ins::UNBLOCK_PIN, Coding::Interindustry, |cx, c| pin::unblock(cx, &pin::Unblock::parse(c)?)),
    (ins::MANAGE_CHANNEL, Coding::Interindustry, |cx, c| channel::manage(cx, channel::Manage::parse(c)?)),
    (ins::GET_CHALLENGE, Coding::Interindustry, |cx, c| challenge::get(cx, challenge::GetChallenge::parse(c)?)),
    (ins::AUTHENTICATE, Coding::Interindustry, |cx, c| {
        authenticate::authenticate(cx, &authenticate::Authenticate::parse(c)?)
    }),
    (ins::TERMINAL_CAPABILITY, Coding::Proprietary, |_, c| terminal::capability(&terminal::Capability::parse(c)?)),
    (ins::TERMINAL_PROFILE, Coding::Proprietary, |cx, c| toolkit::profile(cx, &toolkit::TerminalProfile::parse(c)?)),
    (ins::ENVELOPE, Coding::Proprietary, |cx, c| toolkit::envelope(cx, &toolkit::Envelope::parse(c)?)),
    (ins::FETCH, Coding::Proprietary, |cx, c| toolkit::fetch(cx, toolkit::Fetch::parse(c)?)),
    (ins::TERMINAL_RESPONSE, Coding::Proprietary, |cx, c| toolkit::response(cx, &toolkit::TerminalResponse::parse(c)?)),
    (ins::STORE_DATA, Coding::Proprietary, isdr::store_data),
];

/// The parts of the card that a command may touch.
pub(crate) struct Parts<'a> {
    pub(crate) profile: Option<&'a mut Profile>,
    pub(crate) euicc: &'a mut Euicc,
    pub(crate) env: Env<'a>,
    pub(crate) interface: &'a mut InterfaceState,
    /// What the modem's toolkit session is doing.
    pub(crate) toolkit: Toolkit,
}

/// What became of a command APDU.
pub(crate) struct Executed {
    /// The whole response.
    pub(crate) response: Response,
    /// What changed beyond the channel.
    pub(crate) effect: Effect,
    /// Whether the terminal refused a REFRESH.
    pub(crate) refresh_refused: bool,
}

impl From<StatusWord> for Executed {
    fn from(sw: StatusWord) -> Self {
        Executed { response: sw.into(), effect: Effect::None, refresh_refused: false }
    }
}

/// Executes one command APDU.
pub(crate) fn execute(parts: Parts<'_>, apdu: &[u8]) -> Executed {
    match Command::parse(apdu) {
        Ok(command) => execute_command(parts, &command),
        Err(_) => StatusWord::WRONG_LENGTH.into(),
    }
}

/// Executes one command.
pub(crate) fn execute_command(parts: Parts<'_>, command: &Command<'_>) -> Executed {
    let Some(class) = command.class().filter(|class| class.coding != Coding::Gsm) else {
        return StatusWord::CLASS_NOT_SUPPORTED.into();
    };
    let Some(channel) = parts.interface.take(class.channel) else {
        return StatusWord::CHANNEL_NOT_SUPPORTED.into();
    };
    let Parts { profile, euicc, env, interface, toolkit } = parts;
    let mut cx = Context {
        profile,
        euicc,
        env,
        interface,
        number: class.channel,
        channel,
        closed: false,
        toolkit,
        effect: Effect::None,
        refresh_refused: false,
    };
    let outcome = cx.dispatch(class, command);
    let Context { interface, channel, closed, effect, refresh_refused, .. } = cx;
    if !closed {
        interface.put(class.channel, channel);
    }
    let response = outcome.unwrap_or_else(|Refusal(sw)| sw.into());
    Executed { response, effect, refresh_refused }
}

impl Context<'_> {
    fn dispatch(&mut self, class: Class, command: &Command<'_>) -> Outcome {
        if class.secure_messaging {
            return Err(StatusWord::SECURE_MESSAGING_NOT_SUPPORTED.into());
        }
        if class.chaining {
            return Err(CHAINING_NOT_SUPPORTED.into());
        }
        let mut known = COMMANDS.iter().filter(|(ins, ..)| *ins == command.ins).peekable();
        if known.peek().is_none() {
            return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED.into());
        }
        let (.., handler) =
            known.find(|(_, coding, _)| *coding == class.coding).ok_or(StatusWord::CLASS_NOT_SUPPORTED)?;
        handler(self, command)
    }

    /// The enabled profile. Errors: none is enabled, so no file is there.
    fn profile(&self) -> Result<&Profile, Refusal> {
        self.profile.as_deref().ok_or(Refusal(StatusWord::FILE_NOT_FOUND))
    }

    /// The EF that a command names by its SFI in the current DF, and which becomes the current EF; without an SFI
    /// the current EF. Errors: no such file, or none selected.
    fn ef(&mut self, sfi: Option<u8>) -> Result<FileIndex, Refusal> {
        let Some(sfi) = sfi else {
            return self.channel.file().ok_or(Refusal(StatusWord::NO_EF_SELECTED));
        };
        let directory = self.channel.directory();
        let profile = self.profile()?;
        let index = profile.child_by_sfi(directory, sfi).ok_or(StatusWord::FILE_NOT_FOUND)?;
        if !profile.file(index).is_some_and(|file| file.visible) {
            return Err(StatusWord::FILE_NOT_FOUND.into());
        }
        self.channel.select_ef(directory, index);
        Ok(index)
    }

    /// What kind of EF `index` is, if it may be operated on in this way.
    ///
    /// Errors: a structure that `fits` refuses, a deactivated file, an access rule that is not fulfilled.
    fn check(
        &self,
        index: FileIndex,
        operation: Operation,
        fits: impl FnOnce(FileKind) -> bool,
    ) -> Result<FileKind, Refusal> {
        let profile = self.profile()?;
        let file = profile.file(index).ok_or(StatusWord::FILE_NOT_FOUND)?;
        if !fits(file.kind) {
            return Err(StatusWord::INCOMPATIBLE_FILE_STRUCTURE.into());
        }
        let usable_deactivated = file.special & SPECIAL_USABLE_DEACTIVATED != 0;
        if file.life_cycle & LIFE_CYCLE_ACTIVATED_BIT == 0 && !usable_deactivated {
            return Err(StatusWord::CONDITIONS_OF_USE.into());
        }
        if !access::is_allowed(profile, &self.interface.verified, index, operation) {
            return Err(StatusWord::SECURITY_STATUS.into());
        }
        Ok(file.kind)
    }

    /// Changes the content of an EF and stores it, unless it is of those that are kept in memory until the modem
    /// powers down. A change that changes nothing is not written.
    ///
    /// Errors: the store does not write; the content is then what it was.
    fn change_content(&mut self, index: FileIndex, change: impl FnOnce(&mut [u8])) -> Result<(), Refusal> {
        let profile = self.profile.as_deref_mut().ok_or(StatusWord::FILE_NOT_FOUND)?;
        // EF.KEYS, for one, is a secret: what is given back is wiped.
        let mut changed = Zeroizing::new(teuicc_tlv::try_copy(profile.content(index))?);
        change(&mut changed);
        if *changed == profile.content(index) {
            return Ok(());
        }
        let in_memory = profile.file(profile.content_owner(index)).is_some_and(|file| file.high_update());
        let content = profile.content_mut(index).ok_or(StatusWord::FILE_NOT_FOUND)?;
        core::mem::swap(content, &mut *changed);
        let mut previous = changed;
        if in_memory {
            return Ok(());
        }
        if let Err(error) = profile.store_changes(self.env.store) {
            if let Some(content) = profile.content_mut(index) {
                core::mem::swap(content, &mut *previous);
            }
            return Err(error.into());
        }
        Ok(())
    }
}

/// Special file information: readable and updatable when deactivated (TS 102 222 section 6.3.2.2.2).
const SPECIAL_USABLE_DEACTIVATED: u8 = 0x40;

/// Life cycle status: set in operational state activated (05), not in deactivated (04) (TS 102 221 table 11.7b).
const LIFE_CYCLE_ACTIVATED_BIT: u8 = 0x01;

/// Checks that a command brings no data. Errors: wrong length.
fn no_data(command: &Command<'_>) -> Result<(), Refusal> {
    if command.data.is_empty() { Ok(()) } else { Err(StatusWord::WRONG_LENGTH.into()) }
}

/// Checks P1 and P2 against fixed values. Errors: others.
fn expect_p1p2(command: &Command<'_>, expected: u16) -> Result<(), Refusal> {
    if command.p1p2() == expected { Ok(()) } else { Err(StatusWord::INCORRECT_P1P2.into()) }
}

/// How many bytes a command asks for: without an Le field as many as a short one can.
fn le(command: &Command<'_>) -> usize {
    command.le.and_then(|le| usize::try_from(le).ok()).unwrap_or(256)
}

impl From<StatusWord> for Refusal {
    fn from(sw: StatusWord) -> Self {
        Refusal(sw)
    }
}

impl From<OutOfMemory> for Refusal {
    fn from(_: OutOfMemory) -> Self {
        Refusal(StatusWord::TECHNICAL_PROBLEM)
    }
}

impl From<teuicc_tlv::Error> for Refusal {
    fn from(_: teuicc_tlv::Error) -> Self {
        Refusal(StatusWord::TECHNICAL_PROBLEM)
    }
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        Refusal(StatusWord::MEMORY_PROBLEM)
    }
}
