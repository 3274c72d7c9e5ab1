//! What an interface remembers between two resets: channels, PIN verification, the toolkit session.

use super::ber_tlv::Transfer;
use super::gsm;
use super::proactive::Session;
use crate::euicc::Assembly;
use crate::ota::Reassembly;
use crate::profile::{FileIndex, FileKind, Profile};
use alloc::vec::Vec;
use teuicc_apdu::MAX_CHANNEL;
use teuicc_tlv::{OutOfMemory, TryBytes};

const CHANNELS: usize = MAX_CHANNEL as usize + 1;

/// Bytes of a short response with its status word: what the memory for response data has at least.
const SHORT_RESPONSE: usize = 256 + 2;
/// Most bytes that are kept for the next response.
const MAX_KEPT: usize = 4 * SHORT_RESPONSE;

/// The state of one interface since its last reset.
pub(crate) struct InterfaceState {
    /// Open channels by number; the basic channel 0 is always open.
    channels: [Option<Channel>; CHANNELS],
    /// PINs that were presented.
    pub(crate) verified: Verified,
    /// The proactive session.
    pub(crate) session: Session,
    /// The token that resumes this interface after it lost its power, if SUSPEND UICC was the last command.
    pub(crate) suspension: Option<Token>,
    /// A short message that comes in parts.
    pub(super) sms: Reassembly,
    /// Memory for the data of the next response, wiped: selecting and reading take none else.
    spare: Vec<u8>,
    /// Whether a GSM or a USIM session was begun, which exclude each other.
    pub(super) gsm: gsm::Session,
}

/// What a terminal that suspended the UICC resumes it with.
pub(crate) type Token = [u8; 8];

impl InterfaceState {
    /// The state after a reset: channel 0 with the MF selected.
    pub(crate) fn new() -> Self {
        let mut channels = [const { None }; CHANNELS];
        let [basic, ..] = &mut channels;
        *basic = Some(Channel::new());
        InterfaceState {
            channels,
            verified: Verified::default(),
            session: Session::default(),
            suspension: None,
            sms: Reassembly::default(),
            spare: Vec::new(),
            gsm: gsm::Session::None,
        }
    }

    /// The state in which a remote application begins: its ADF is selected, if it has one, else the MF.
    pub(crate) fn remote(access: RemoteAccess, adf: Option<FileIndex>) -> Self {
        let mut state = Self::new();
        state.verified.remote = Some(access);
        if let (Some(adf), [Some(basic), ..]) = (adf, &mut state.channels) {
            basic.select_application(adf);
        }
        state
    }

    /// Memory for response data: empty, with room for a short response and its status word. Errors: out of memory.
    pub(super) fn memory(&mut self) -> Result<Vec<u8>, OutOfMemory> {
        let mut memory = core::mem::take(&mut self.spare);
        memory.try_reserve_exact(SHORT_RESPONSE).map_err(|_| OutOfMemory)?;
        Ok(memory)
    }

    /// A copy of `bytes` as response data. Errors: out of memory.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Result<Vec<u8>, OutOfMemory> {
        let mut memory = self.memory()?;
        memory.try_extend(bytes)?;
        Ok(memory)
    }

    /// Takes the memory of a response back, wiped and empty.
    pub(crate) fn reuse(&mut self, data: Vec<u8>) {
        if (SHORT_RESPONSE..=MAX_KEPT).contains(&data.capacity()) {
            self.spare = data;
        }
    }

    /// The current EF of the basic channel.
    pub(crate) fn current_file(&self) -> Option<FileIndex> {
        let [basic, ..] = &self.channels;
        basic.as_ref().and_then(Channel::file)
    }

    /// Takes the open channel `number` out, to work on it.
    pub(super) fn take(&mut self, number: u8) -> Option<Channel> {
        self.channels.get_mut(usize::from(number))?.take()
    }

    /// Puts a channel in, in the place of what was there.
    pub(super) fn put(&mut self, number: u8, channel: Channel) {
        if let Some(slot) = self.channels.get_mut(usize::from(number)) {
            *slot = Some(channel);
        }
    }

    /// Whether channel `number` is open (and not taken out).
    pub(super) fn is_open(&self, number: u8) -> bool {
        self.channels.get(usize::from(number)).is_some_and(Option::is_some)
    }

    /// Whether the file at `index` is selected on an open channel (other than one that is taken out).
    pub(super) fn is_selected(&self, index: FileIndex) -> bool {
        self.channels.iter().flatten().any(|channel| {
            channel.directory == index || channel.file == Some(index) || channel.application == Application::Adf(index)
        })
    }

    /// Leaves files that were deleted: of a directory for the application's, or the MF.
    pub(crate) fn leave_deleted(&mut self, profile: &Profile) {
        let is_gone = |index| profile.file(index).is_none();
        for channel in self.channels.iter_mut().flatten() {
            if is_gone(channel.directory) {
                let directory = match channel.application {
                    Application::Adf(adf) => adf,
                    Application::None | Application::IsdR => FileIndex::MF,
                };
                channel.select_directory(directory);
            } else if channel.file.is_some_and(is_gone) {
                channel.select_directory(channel.directory);
            }
            if channel.transfer.file().is_some_and(is_gone) {
                channel.transfer = Transfer::None;
            }
        }
    }

    /// Forgets everything that points into a profile that is not enabled any more: selections and PIN states.
    /// Channels stay open, and those on the ISD-R stay there.
    pub(crate) fn profile_gone(&mut self) {
        self.verified = Verified::default();
        self.sms = Reassembly::default();
        self.gsm = gsm::Session::None;
        for channel in self.channels.iter_mut().flatten() {
            if channel.application != Application::IsdR {
                *channel = Channel::new();
            }
        }
    }
}

/// The application that is active on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Application {
    /// None: the file system of the MF.
    None,
    /// The one of this ADF.
    Adf(FileIndex),
    /// The ISD-R.
    IsdR,
}

/// One logical channel: what is selected on it (TS 102 221 section 8.7).
pub(super) struct Channel {
    /// The active application.
    pub(super) application: Application,
    /// The current directory: MF, DF or ADF.
    directory: FileIndex,
    /// The current EF, a child of the current directory.
    file: Option<FileIndex>,
    /// The record pointer in the current EF: the number of the current record, from 1.
    pub(super) record: Option<u8>,
    /// Blocks of STORE DATA, while the ISD-R is selected.
    pub(super) assembly: Assembly,
    /// A data object of a BER-TLV structure EF on its way, block by block.
    pub(super) transfer: Transfer,
}

impl Channel {
    /// A channel with the MF selected.
    pub(super) fn new() -> Self {
        Channel {
            application: Application::None,
            directory: FileIndex::MF,
            file: None,
            record: None,
            assembly: Assembly::default(),
            transfer: Transfer::None,
        }
    }

    /// The current directory.
    pub(super) fn directory(&self) -> FileIndex {
        self.directory
    }

    /// The current EF.
    pub(super) fn file(&self) -> Option<FileIndex> {
        self.file
    }

    /// Makes `directory` current, without an EF. The ISD-R, if it was selected, is left.
    pub(super) fn select_directory(&mut self, directory: FileIndex) {
        self.leave_isd_r();
        (self.directory, self.file, self.record) = (directory, None, None);
    }

    /// Makes the EF `file` current, and the `directory` that holds it. The ISD-R, if it was selected, is left.
    pub(super) fn select_ef(&mut self, directory: FileIndex, file: FileIndex) {
        self.leave_isd_r();
        (self.directory, self.file, self.record) = (directory, Some(file), None);
    }

    /// Activates the application of an ADF, which becomes the current directory.
    pub(super) fn select_application(&mut self, adf: FileIndex) {
        self.select_directory(adf);
        self.application = Application::Adf(adf);
    }

    /// Activates the ISD-R, which has no files.
    pub(super) fn select_isd_r(&mut self) {
        *self = Channel { application: Application::IsdR, ..Channel::new() };
    }

    fn leave_isd_r(&mut self) {
        if self.application == Application::IsdR {
            *self = Channel::new();
        }
    }
}

/// The files that a remote application has full access to (TS 102 226 section 8.2.1.3.2.5): everything but what the
/// access rules allow to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessDomain {
    /// Whether to the files outside of ADFs.
    pub(crate) uicc: bool,
    /// The ADF to whose files.
    pub(crate) adf: Option<FileIndex>,
}

impl AccessDomain {
    /// Whether it has the files of the DF, ADF or MF at `directory`.
    pub(super) fn covers(&self, profile: &Profile, directory: FileIndex) -> bool {
        let is_adf = |index: &FileIndex| profile.file(*index).is_some_and(|file| file.kind == FileKind::Adf);
        match profile.upwards(directory).find(is_adf) {
            Some(adf) => self.adf == Some(adf),
            None => self.uicc,
        }
    }
}

/// The access domains of a remote application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteAccess {
    /// What it may do everything with but the following.
    pub(crate) files: AccessDomain,
    /// Where it may create, delete and resize files (TS 102 226, UICC administrative access parameters).
    pub(crate) administration: AccessDomain,
}

/// What opens files: which PINs of the enabled profile were presented, by their place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    presented: [u64; 4],
    /// Of a remote application: its access domains, which stand in for every PIN.
    pub(super) remote: Option<RemoteAccess>,
}

impl Verified {
    /// Whether the PIN at `index` was presented.
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.presented.get(index / 64).is_some_and(|word| word & Self::bit(index) != 0)
    }

    /// Notes whether the PIN at `index` counts as presented. Places from 256 on never do.
    pub(crate) fn set(&mut self, index: usize, presented: bool) {
        if let Some(word) = self.presented.get_mut(index / 64) {
            *word = if presented { *word | Self::bit(index) } else { *word & !Self::bit(index) };
        }
    }

    fn bit(index: usize) -> u64 {
        1u64.rotate_left(u32::try_from(index % 64).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verified_is_a_set() {
        let mut verified = Verified::default();
        for index in [0, 63, 64, 255] {
            assert!(!verified.contains(index));
            verified.set(index, true);
            assert!(verified.contains(index));
            verified.set(index, false);
            assert_eq!(verified, Verified::default());
        }
        verified.set(256, true);
        assert!(!verified.contains(256));
    }
}
