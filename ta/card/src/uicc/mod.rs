//! The UICC (TS 102 221): commands of a terminal on the logical channels of an interface.
//!
//! One module per group of commands, one table ([`COMMANDS`]) that says which command goes where. A command is
//! first read into a type of its own, which checks P1, P2 and the lengths, and then executed.
//!
//! Checks are made in this order, and the first that fails answers: whole APDU (6700), class (6E00), channel open
//! (6881), secure messaging (6882) and chaining (6884), instruction (6D00, or 6E00 if another class has it), P1 and
//! P2 (6A86), lengths (6700), data that is no data object (6A80), then what the command works on: file found (6A82) or
//! selected (6986), file structure (6981), file not shared with another channel and activated (6985), access rule
//! (6982), place within the file (6B00, 6A83), what the file demands of the data (6700, 6A80), room (6A84).

mod access;
mod admin;
pub(crate) mod atr;
mod authenticate;
mod ber_tlv;
mod binary;
mod challenge;
mod channel;
mod fcp;
mod gba;
mod gsm;
mod identity;
mod interface;
mod isdr;
mod life_cycle;
mod pin;
pub(crate) mod proactive;
mod record;
mod search;
mod select;
mod suspend;
mod terminal;
mod toolkit;
mod usim;

pub(crate) use interface::{AccessDomain, InterfaceState, RemoteAccess};

use crate::euicc::{Effect, Euicc, Toolkit};
use crate::platform::{Env, StoreError};
use crate::profile::{File, FileIndex, FileKind, MAX_UPDATES, Profile};
use access::Operation;
use alloc::vec::Vec;
use interface::{Application, Channel};
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
    /// Whether files were deleted, which other channels may have selected.
    files_deleted: bool,
    /// The interface as it was suspended.
    suspended: &'a mut Option<InterfaceState>,
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
    (ins::SEARCH_RECORD, Coding::Interindustry, |cx, c| search::search(cx, &search::Search::parse(c)?)),
    (ins::INCREASE, Coding::Proprietary, |cx, c| record::increase(cx, &record::Increase::parse(c)?)),
    (ins::RETRIEVE_DATA, Coding::Proprietary, |cx, c| ber_tlv::retrieve(cx, &ber_tlv::Retrieve::parse(c)?)),
    (ins::SET_DATA, Coding::Proprietary, |cx, c| ber_tlv::set(cx, &ber_tlv::Set::parse(c)?)),
    (ins::DEACTIVATE_FILE, Coding::Interindustry, |cx, c| {
        life_cycle::set_activated(cx, &life_cycle::Activation::parse(c)?, false)
    }),
    (ins::ACTIVATE_FILE, Coding::Interindustry, |cx, c| {
        life_cycle::set_activated(cx, &life_cycle::Activation::parse(c)?, true)
    }),
    (ins::TERMINATE_DF, Coding::Interindustry, |cx, c| {
        life_cycle::terminate_df(cx, life_cycle::Termination::parse(c)?)
    }),
    (ins::TERMINATE_EF, Coding::Interindustry, |cx, c| {
        life_cycle::terminate_ef(cx, life_cycle::Termination::parse(c)?)
    }),
    (ins::CREATE_FILE, Coding::Interindustry, |cx, c| admin::create(cx, &admin::Create::parse(c)?)),
    (ins::DELETE_FILE, Coding::Interindustry, |cx, c| admin::delete(cx, admin::Delete::parse(c)?)),
    (ins::RESIZE_FILE, Coding::Proprietary, |cx, c| admin::resize(cx, admin::Resize::parse(c)?)),
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
    (ins::SUSPEND_UICC, Coding::Proprietary, suspend::suspend_or_resume),
    (ins::GET_IDENTITY, Coding::Proprietary, |cx, c| identity::get(cx, identity::GetIdentity::parse(c)?)),
    (ins::TERMINAL_CAPABILITY, Coding::Proprietary, |_, c| terminal::capability(&terminal::Capability::parse(c)?)),
    (ins::TERMINAL_PROFILE, Coding::Proprietary, |cx, c| toolkit::profile(cx, &toolkit::TerminalProfile::parse(c)?)),
    (ins::ENVELOPE, Coding::Proprietary, |cx, c| toolkit::envelope(cx, &toolkit::Envelope::parse(c)?)),
    (ins::FETCH, Coding::Proprietary, |cx, c| toolkit::fetch(cx, toolkit::Fetch::parse(c)?)),
    (ins::TERMINAL_RESPONSE, Coding::Proprietary, |cx, c| toolkit::response(cx, toolkit::TerminalResponse::parse(c)?)),
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
    /// The interface as it was suspended, until its next command.
    pub(crate) suspended: &'a mut Option<InterfaceState>,
}

/// What became of a command APDU.
pub(crate) struct Executed {
    /// The whole response.
    pub(crate) response: Response,
    /// What changed beyond the channel.
    pub(crate) effect: Effect,
    /// Whether the terminal refused a REFRESH.
    pub(crate) refresh_refused: bool,
    /// Whether files of the profile were deleted.
    pub(crate) files_deleted: bool,
}

impl From<StatusWord> for Executed {
    fn from(sw: StatusWord) -> Self {
        Executed { response: sw.into(), effect: Effect::None, refresh_refused: false, files_deleted: false }
    }
}

/// Executes one command APDU.
pub(crate) fn execute(parts: Parts<'_>, apdu: &[u8]) -> Executed {
    // SUSPEND UICC must be the last command before the power goes, and resuming the first one after it came back.
    parts.interface.suspension = None;
    if !suspend::resumes(apdu) {
        *parts.suspended = None;
    }
    match Command::parse(apdu) {
        Ok(command) => execute_command(parts, &command),
        Err(_) => StatusWord::WRONG_LENGTH.into(),
    }
}

/// Executes one command.
pub(crate) fn execute_command(parts: Parts<'_>, command: &Command<'_>) -> Executed {
    let Some(class) = command.class() else {
        return StatusWord::CLASS_NOT_SUPPORTED.into();
    };
    let excluded = match parts.interface.gsm {
        gsm::Session::None => false,
        gsm::Session::Usim => class.coding == Coding::Gsm,
        gsm::Session::Gsm(_) => class.coding != Coding::Gsm,
    };
    if excluded {
        return StatusWord::CLASS_NOT_SUPPORTED.into();
    }
    let Some(channel) = parts.interface.take(class.channel) else {
        return StatusWord::CHANNEL_NOT_SUPPORTED.into();
    };
    let Parts { profile, euicc, env, interface, toolkit, suspended } = parts;
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
        files_deleted: false,
        suspended,
    };
    let outcome = cx.dispatch(class, command);
    if class.coding != Coding::Gsm && cx.is_in_usim() {
        cx.interface.gsm = gsm::Session::Usim;
    }
    let Context { interface, channel, closed, effect, refresh_refused, files_deleted, .. } = cx;
    if !closed {
        interface.put(class.channel, channel);
    }
    let response = outcome.unwrap_or_else(|Refusal(sw)| sw.into());
    Executed { response, effect, refresh_refused, files_deleted }
}

impl Context<'_> {
    fn dispatch(&mut self, class: Class, command: &Command<'_>) -> Outcome {
        let outcome = match class {
            Class { secure_messaging: true, .. } => Err(StatusWord::SECURE_MESSAGING_NOT_SUPPORTED.into()),
            Class { chaining: true, .. } => Err(CHAINING_NOT_SUPPORTED.into()),
            Class { coding: Coding::Gsm, .. } => gsm::execute(self, command),
            _ => self.look_up(class.coding, command).and_then(|handler| {
                // Blocks of a data object come one after the other, or not at all.
                if !matches!(command.ins, ins::RETRIEVE_DATA | ins::SET_DATA) {
                    self.channel.transfer = ber_tlv::Transfer::None;
                }
                handler(self, command)
            }),
        };
        if command.ins == ins::STATUS {
            self.interface.session.polled();
        }
        outcome
    }

    /// What executes a command of this class. Errors: no command has its instruction (6D00), or only one of another
    /// class (6E00).
    fn look_up(&self, coding: Coding, command: &Command<'_>) -> Result<Handler, Refusal> {
        let mut known = COMMANDS.iter().filter(|(ins, ..)| *ins == command.ins).peekable();
        if known.peek().is_none() {
            return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED.into());
        }
        let (.., handler) = known.find(|(_, its, _)| *its == coding).ok_or(StatusWord::CLASS_NOT_SUPPORTED)?;
        Ok(*handler)
    }

    /// Whether a USIM is active on the channel.
    fn is_in_usim(&self) -> bool {
        let Application::Adf(adf) = self.channel.application else { return false };
        self.profile.as_deref().and_then(|profile| profile.file(adf)).is_some_and(File::is_usim)
    }

    /// The enabled profile. Errors: none is enabled, so no file is there.
    fn profile(&self) -> Result<&Profile, Refusal> {
        self.profile.as_deref().ok_or(Refusal(StatusWord::FILE_NOT_FOUND))
    }

    /// The EF that a command names by its SFI in the current DF, and which becomes the current EF; without an SFI
    /// the current EF. Errors: no such file (6A82), or none selected, as ever while the ISD-R is (6986).
    fn ef(&mut self, sfi: Option<u8>) -> Result<FileIndex, Refusal> {
        let Some(sfi) = sfi.filter(|_| self.channel.application != Application::IsdR) else {
            return self.channel.file().ok_or(Refusal(StatusWord::NO_EF_SELECTED));
        };
        let directory = self.channel.directory();
        let profile = self.profile()?;
        let index = profile.child_by_sfi(directory, sfi).ok_or(StatusWord::FILE_NOT_FOUND)?;
        if !profile.file(index).is_some_and(|file| file.visible) {
            return Err(StatusWord::FILE_NOT_FOUND.into());
        }
        self.check_shareable(index)?;
        self.channel.select_ef(directory, index);
        Ok(index)
    }

    /// Errors: a file that is not shareable is selected on another channel of this interface (6985).
    fn check_shareable(&self, index: FileIndex) -> Result<(), Refusal> {
        let shareable = self.profile()?.file(index).is_none_or(|file| file.shareable);
        if shareable || !self.interface.is_selected(index) { Ok(()) } else { Err(StatusWord::CONDITIONS_OF_USE.into()) }
    }

    /// Errors: the file lies in a directory that is deactivated or terminated, where nothing is used and nothing
    /// administered (6985); its access rule does not allow this to what was presented (6982).
    fn check_access(&self, index: FileIndex, operation: Operation) -> Result<(), Refusal> {
        let profile = self.profile()?;
        let parent = profile.file(index).map_or(FileIndex::MF, |file| file.parent);
        let mut within = profile.upwards(parent).filter_map(|index| profile.file(index));
        if within.any(|file| file.is_deactivated() || file.is_terminated()) {
            return Err(StatusWord::CONDITIONS_OF_USE.into());
        }
        let allowed = access::is_allowed(profile, &self.interface.verified, index, operation);
        if allowed { Ok(()) } else { Err(StatusWord::SECURITY_STATUS.into()) }
    }

    /// What kind of EF `index` is, if it may be operated on in this way.
    ///
    /// Errors: a structure that `fits` refuses (6981), a file that is deactivated or terminated (6985), and those of
    /// [`Context::check_access`].
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
        if file.is_terminated() || (file.is_deactivated() && !usable_deactivated) {
            return Err(StatusWord::CONDITIONS_OF_USE.into());
        }
        self.check_access(index, operation)?;
        Ok(file.kind)
    }

    /// Changes the content of an EF and stores it. What a terminal rewrites all the time is only kept in memory, but
    /// stored too if it takes back a security context, and after a number of such updates. A change that changes
    /// nothing is not written.
    ///
    /// Errors: the store does not write; the content is then what it was.
    fn change_content(&mut self, index: FileIndex, change: impl FnOnce(&mut [u8])) -> Result<(), Refusal> {
        let profile = self.profile.as_deref_mut().ok_or(StatusWord::FILE_NOT_FOUND)?;
        // EF.KEYS, for one, is a secret: what is given back is wiped.
        let mut changed = Zeroizing::new(teuicc_tlv::try_copy(profile.content(index))?);
        change(&mut changed);
        self.replace_content(index, changed)
    }

    /// As [`Context::change_content`], with the new content.
    fn replace_content(&mut self, index: FileIndex, mut changed: Zeroizing<Vec<u8>>) -> Result<(), Refusal> {
        let profile = self.profile.as_deref_mut().ok_or(StatusWord::FILE_NOT_FOUND)?;
        if *changed == profile.content(index) {
            return Ok(());
        }
        let owner = profile.content_owner(index);
        let is_hot = profile.is_hot(owner);
        let takes_back = profile.takes_back(owner, &changed);
        let content = profile.content_mut(index).ok_or(StatusWord::FILE_NOT_FOUND)?;
        core::mem::swap(content, &mut *changed);
        let mut previous = changed;
        let stored = if !is_hot {
            profile.store_changes(self.env.store)
        } else if takes_back {
            profile.store_hot(self.env.store)
        } else {
            profile.unsaved.updates = profile.unsaved.updates.saturating_add(1);
            if profile.unsaved.updates >= MAX_UPDATES {
                // Nobody was promised that it would be stored now: if it cannot be, there are other moments.
                let _ = profile.store_hot(self.env.store);
                profile.unsaved.updates = 0;
            }
            Ok(())
        };
        if let Err(error) = stored {
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

/// Checks that a command brings no data. Errors: wrong length.
fn no_data(command: &Command<'_>) -> Result<(), Refusal> {
    if command.data.is_empty() { Ok(()) } else { Err(StatusWord::WRONG_LENGTH.into()) }
}

/// Checks P1 and P2 against fixed values. Errors: others.
fn expect_p1p2(command: &Command<'_>, expected: u16) -> Result<(), Refusal> {
    if command.p1p2() == expected { Ok(()) } else { Err(StatusWord::INCORRECT_P1P2.into()) }
}

/// The short file identifier in five bits of P1 or P2; `None` for 0, the current EF. Errors: 31, which is none.
fn sfi(bits: u8) -> Result<Option<u8>, Refusal> {
    match bits & 0x1F {
        0 => Ok(None),
        0x1F => Err(StatusWord::INCORRECT_P1P2.into()),
        sfi => Ok(Some(sfi)),
    }
}

/// How many bytes a command asks for: without an Le field as many as a short one can.
pub(crate) fn le(command: &Command<'_>) -> usize {
    command.le.and_then(|le| usize::try_from(le).ok()).unwrap_or(256)
}

/// A value behind its length of one byte, and what follows it. `None` if it is cut off.
pub(crate) fn length_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
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
