//! The proactive session of an interface (TS 102 223): which commands wait for the terminal, which one is fetched, and
//! what became of it. Only the modem's interface ever shows one.
//!
//! A card without applets has two things to say. POLL INTERVAL, once after TERMINAL PROFILE, so that a REFRESH is seen
//! by a modem that has nothing else to ask; and REFRESH, after a profile switch or a change of files from outside.

use super::Refusal;
use crate::profile::{FID_CURRENT_ADF, FID_MF, FileIndex, FileKind, Profile};
use alloc::vec::Vec;
use teuicc_apdu::StatusWord;
use teuicc_tlv::{OutOfMemory, Reader, TryBytes, try_copy};

/// How often the terminal is asked to send STATUS, in seconds: what TS 102 221 has it do unasked.
const POLL_INTERVAL: u8 = 30;
/// The length of that command in bytes.
const POLL_INTERVAL_LENGTH: u8 = 15;

/// How often a REFRESH is shown again to a terminal that could not do it for the time being.
const MAX_RETRIES: u8 = 3;

/// Most bytes of a file list with its AID; the whole command then has a length of one byte.
const MAX_FILE_LIST: usize = 112;

const KIND_REFRESH: u8 = 0x01;
const KIND_POLL_INTERVAL: u8 = 0x03;

/// What a REFRESH asks of the terminal: the command qualifier (TS 102 223 section 8.6). NAA initialisation alone, and
/// the resets of an application or of a session, say less than these about what changed: nothing here has a use for
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RefreshMode {
    /// NAA initialisation and full file change notification: read everything again. Needs no file list.
    InitAndFullFileChange = 0x00,
    /// File change notification: read the listed files again.
    FileChange = 0x01,
    /// NAA initialisation and file change notification: begin anew with the listed files.
    InitAndFileChange = 0x02,
    /// UICC reset.
    UiccReset = 0x04,
}

impl RefreshMode {
    fn has_files(self) -> bool {
        matches!(self, RefreshMode::FileChange | RefreshMode::InitAndFileChange)
    }
}

/// The proactive session of an interface since its last reset.
#[derive(Default)]
pub(crate) struct Session {
    announced: Announced,
    /// Whether POLL INTERVAL waits.
    poll_interval: bool,
    /// The REFRESH that waits.
    refresh: Option<Refresh>,
    /// The REFRESH that waits was refused for the time being, and waits for the next STATUS.
    postponed: bool,
    /// How often it was.
    retries: u8,
    /// The command that is fetched and unanswered.
    fetched: Option<Fetched>,
    /// Number of the last command that was fetched, 1 to 254.
    number: u8,
}

/// What the terminal said in its TERMINAL PROFILE that it can do, of what this card asks for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) refresh: bool,
    pub(super) poll_interval: bool,
}

/// A REFRESH.
struct Refresh {
    mode: RefreshMode,
    /// The files that changed; empty for a mode that lists none.
    files: Vec<FileIndex>,
    /// File list and AID, as data objects of the command.
    list: Vec<u8>,
}

enum Fetched {
    PollInterval,
    Refresh(Refresh),
}

/// A TERMINAL RESPONSE: the command that it answers, and its general result (TS 102 223 section 8.12).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    number: u8,
    kind: u8,
    qualifier: u8,
    result: u8,
}

impl Answer {
    /// Reads the data of TERMINAL RESPONSE; the comprehension bit of its tags may be set or not.
    ///
    /// Errors: no command details or no general result (6A80).
    pub(super) fn parse(data: &[u8]) -> Result<Self, Refusal> {
        let object = |tag: u32| Reader::new(data).flatten().find(|object| object.tag.0 & 0x7F == tag);
        match (object(0x01).map(|details| details.value), object(0x03).and_then(|result| result.value.first())) {
            (Some(&[number, kind, qualifier]), Some(&result)) => Ok(Answer { number, kind, qualifier, result }),
            _ => Err(StatusWord::INCORRECT_DATA.into()),
        }
    }
}

impl Session {
    /// The terminal says what it can do. A REFRESH that it was going to be told of stays.
    pub(super) fn terminal_profile(&mut self, announced: Announced) {
        self.announced = announced;
        self.poll_interval = announced.poll_interval;
    }

    /// Queues a REFRESH of this mode, of these `files` if the mode lists files. One that waits already takes the new
    /// one in. Whether the terminal is going to be told: not if it did not announce REFRESH.
    ///
    /// Errors: out of memory; nothing is queued.
    pub(crate) fn refresh(
        &mut self,
        profile: &Profile,
        mode: RefreshMode,
        files: &[FileIndex],
    ) -> Result<bool, OutOfMemory> {
        if !self.announced.refresh {
            return Ok(false);
        }
        let new = Refresh::new(profile, mode, files)?;
        self.refresh = Some(match &self.refresh {
            None => new,
            Some(waiting) => waiting.with(profile, &new)?,
        });
        Ok(true)
    }

    /// Another profile is enabled: queues a REFRESH (UICC reset) if `refresh` asks for it and the terminal announced
    /// that it can do it. Whatever else was to be said concerned the old profile. Whether the terminal is going to be
    /// told, by this REFRESH or by an earlier one.
    pub(crate) fn profile_switched(&mut self, refresh: bool) -> bool {
        self.poll_interval = false;
        let under_way = matches!(&self.fetched, Some(Fetched::Refresh(fetched)) if fetched.is_reset());
        if refresh && self.announced.refresh && !under_way {
            self.refresh = Some(Refresh::reset());
            (self.postponed, self.retries) = (false, 0);
        } else if !under_way {
            // What is fetched is about files of the old profile.
            self.retries = MAX_RETRIES;
        }
        self.refresh = self.refresh.take().filter(Refresh::is_reset);
        under_way || self.refresh.is_some()
    }

    /// The length in bytes of the proactive command that waits to be fetched.
    pub(crate) fn pending(&self) -> Option<u8> {
        if self.fetched.is_some() {
            return None;
        }
        if self.poll_interval {
            return Some(POLL_INTERVAL_LENGTH);
        }
        self.refresh.as_ref().filter(|_| !self.postponed).and_then(Refresh::length)
    }

    /// Whether a REFRESH that tells of a profile switch waits to be fetched.
    pub(crate) fn is_reset_pending(&self) -> bool {
        self.pending().is_some() && self.refresh.as_ref().is_some_and(Refresh::is_reset)
    }

    /// Whether a proactive command is fetched and unanswered.
    pub(crate) fn is_busy(&self) -> bool {
        self.fetched.is_some()
    }

    /// The terminal sent STATUS: what it could not do before is shown again.
    pub(super) fn polled(&mut self) {
        self.postponed = false;
    }

    /// The length in bytes of the command that FETCH gives.
    pub(super) fn to_fetch(&self) -> Option<u8> {
        match &self.fetched {
            None => self.pending(),
            Some(Fetched::PollInterval) => Some(POLL_INTERVAL_LENGTH),
            Some(Fetched::Refresh(refresh)) => refresh.length(),
        }
    }

    /// Gives the proactive command that waits; or the one that is fetched and unanswered once more, since the terminal
    /// may not have got it. Errors: there is none (6985); out of memory, and nothing changes.
    pub(super) fn fetch(&mut self) -> Result<Vec<u8>, Refusal> {
        let length = self.to_fetch().ok_or(StatusWord::CONDITIONS_OF_USE)?;
        let mut command = Vec::new();
        command.try_reserve_exact(length.into()).map_err(|_| OutOfMemory)?;
        if self.fetched.is_none() {
            self.number = if self.number >= 0xFE { 1 } else { self.number.saturating_add(1) };
            self.fetched = if core::mem::take(&mut self.poll_interval) {
                Some(Fetched::PollInterval)
            } else {
                self.refresh.take().map(Fetched::Refresh)
            };
        }
        let (kind, qualifier, rest) = match &self.fetched {
            Some(Fetched::Refresh(refresh)) => (KIND_REFRESH, refresh.mode as u8, refresh.list.as_slice()),
            // Duration in seconds.
            _ => (KIND_POLL_INTERVAL, 0x00, &[0x84, 0x02, 0x01, POLL_INTERVAL][..]),
        };
        let head = [0xD0, length.saturating_sub(2), 0x81, 0x03, self.number, kind, qualifier, 0x82, 0x02, 0x81, 0x82];
        command.try_extend(&head)?;
        command.try_extend(rest)?;
        Ok(command)
    }

    /// Takes the answer to the command that is fetched. A REFRESH that the terminal cannot do for the time being
    /// (results 20 to 2F) is shown again after the next STATUS, a few times.
    ///
    /// Whether the terminal refused a REFRESH with UICC reset. Errors: none is fetched (6985), or another one than the
    /// answer names (6A80), which then stays fetched.
    pub(super) fn answered(&mut self, answer: Answer) -> Result<bool, Refusal> {
        let fetched = self.fetched.take().ok_or(StatusWord::CONDITIONS_OF_USE)?;
        let details = match &fetched {
            Fetched::PollInterval => (KIND_POLL_INTERVAL, 0x00),
            Fetched::Refresh(refresh) => (KIND_REFRESH, refresh.mode as u8),
        };
        if (answer.kind, answer.qualifier) != details || answer.number != self.number {
            self.fetched = Some(fetched);
            return Err(StatusWord::INCORRECT_DATA.into());
        }
        let Fetched::Refresh(refresh) = fetched else { return Ok(false) };
        if matches!(answer.result, 0x20..=0x2F) && self.retries < MAX_RETRIES {
            self.retries = self.retries.saturating_add(1);
            self.postponed = true;
            // One that came meanwhile, of whatever kind, is answered for by reading everything again.
            self.refresh = Some(match self.refresh.take() {
                Some(newer) => Refresh { mode: refresh.joint_mode(newer.mode), files: Vec::new(), list: Vec::new() },
                None => refresh,
            });
            return Ok(false);
        }
        self.retries = 0;
        Ok(refresh.is_reset() && answer.result >= 0x10)
    }
}

impl Refresh {
    /// A REFRESH with UICC reset, which needs no memory.
    fn reset() -> Self {
        Refresh { mode: RefreshMode::UiccReset, files: Vec::new(), list: Vec::new() }
    }

    /// A list that is too long, or of files of several applications, becomes a full file change.
    fn new(profile: &Profile, mode: RefreshMode, files: &[FileIndex]) -> Result<Self, OutOfMemory> {
        if !mode.has_files() {
            return Ok(Refresh { mode, files: Vec::new(), list: Vec::new() });
        }
        match file_list(profile, files)? {
            Some(list) => Ok(Refresh { mode, files: try_copy(files)?, list }),
            None => Refresh::new(profile, RefreshMode::InitAndFullFileChange, &[]),
        }
    }

    /// The length of the whole command in bytes.
    fn length(&self) -> Option<u8> {
        u8::try_from(self.list.len().saturating_add(11)).ok()
    }

    fn is_reset(&self) -> bool {
        self.mode == RefreshMode::UiccReset
    }

    /// This one and another in one command.
    fn with(&self, profile: &Profile, other: &Refresh) -> Result<Self, OutOfMemory> {
        if self.mode == other.mode && self.mode.has_files() {
            let mut files = try_copy(&self.files)?;
            for file in other.files.iter().filter(|file| !self.files.contains(file)) {
                files.try_push(*file)?;
            }
            return Refresh::new(profile, self.mode, &files);
        }
        Refresh::new(profile, self.joint_mode(other.mode), &[])
    }

    /// What does the work of both modes, without a list of files.
    fn joint_mode(&self, other: RefreshMode) -> RefreshMode {
        if self.is_reset() || other == RefreshMode::UiccReset {
            RefreshMode::UiccReset
        } else {
            RefreshMode::InitAndFullFileChange
        }
    }
}

/// File list, and the AID of the application that 7FFF means in it (TS 102 223 sections 8.18 and 8.60). `None` if one
/// command cannot say it.
fn file_list(profile: &Profile, files: &[FileIndex]) -> Result<Option<Vec<u8>>, OutOfMemory> {
    let mut paths = Vec::new();
    let mut application: Option<&[u8]> = None;
    for file in files {
        let mut path = Vec::new();
        for index in profile.upwards(*file) {
            let Some(file) = profile.file(index) else { return Ok(None) };
            let fid = match file.kind {
                FileKind::Adf if application.is_some_and(|aid| aid != file.aid) => return Ok(None),
                FileKind::Adf => {
                    application = Some(&file.aid);
                    FID_CURRENT_ADF
                }
                FileKind::Mf => FID_MF,
                _ => file.fid,
            };
            path.try_push(fid)?;
        }
        if path.last() != Some(&FID_MF) {
            return Ok(None);
        }
        for fid in path.iter().rev() {
            paths.try_extend(&fid.to_be_bytes())?;
        }
    }
    let aid = application.unwrap_or_default();
    if files.is_empty() || paths.len().saturating_add(aid.len()).saturating_add(5) > MAX_FILE_LIST {
        return Ok(None);
    }
    let byte = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
    let mut list = Vec::new();
    list.try_extend(&[0x92, byte(paths.len().saturating_add(1)), byte(files.len())])?;
    list.try_extend(&paths)?;
    if !aid.is_empty() {
        list.try_extend(&[0xAF, byte(aid.len())])?;
        list.try_extend(aid)?;
    }
    Ok(Some(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::ProfileSlot;
    use crate::testing::profile;
    use hex_literal::hex;

    const BOTH: Announced = Announced { refresh: true, poll_interval: true };
    const REFRESH: Announced = Announced { refresh: true, poll_interval: false };

    fn profile() -> Profile {
        profile::profile(ProfileSlot::new(0).unwrap())
    }

    fn file(profile: &Profile, fid: u16) -> FileIndex {
        profile.indexed().find(|(_, file)| file.fid == fid).unwrap().0
    }

    fn session(announced: Announced) -> Session {
        let mut session = Session::default();
        session.terminal_profile(announced);
        session
    }

    /// What is fetched without its number, having been said to be that long.
    fn fetched(session: &mut Session) -> Vec<u8> {
        let length = session.pending().unwrap();
        let mut command = session.fetch().unwrap();
        assert_eq!((command.len(), command[1]), (usize::from(length), length - 2));
        assert_eq!(command.remove(4), session.number);
        command
    }

    fn answer(session: &mut Session, mode: RefreshMode, result: u8) -> bool {
        let answer = Answer { number: session.number, kind: 1, qualifier: mode as u8, result };
        session.answered(answer).unwrap_or_else(|_| panic!("another command is fetched"))
    }

    #[test]
    fn nothing_is_said_to_a_terminal_that_did_not_ask_for_it() {
        let (profile, mut session) = (profile(), Session::default());
        assert_eq!(session.refresh(&profile, RefreshMode::InitAndFullFileChange, &[]), Ok(false));
        assert!(session.pending().is_none() && session.fetch().is_err());
    }

    #[test]
    fn files_are_listed_by_their_paths_and_the_application() {
        let profile = profile();
        let (imsi, adn, phonebook) = (file(&profile, 0x6F07), file(&profile, 0x6F3A), file(&profile, 0x4F3A));
        let mut session = session(REFRESH);
        assert_eq!(session.refresh(&profile, RefreshMode::FileChange, &[imsi, adn, phonebook]), Ok(true));
        assert_eq!(
            fetched(&mut session),
            [
                &hex!("D032 8103 0101 82028182")[..],
                &hex!("9215 03 3F007FFF6F07 3F007F106F3A 3F007FFF5F3A4F3A AF10")[..],
                &profile::USIM
            ]
            .concat()
        );
        assert!(!answer(&mut session, RefreshMode::FileChange, 0x20));
        session.polled();
        assert_eq!(session.pending(), Some(0x34), "once more");
    }

    #[test]
    fn what_one_command_cannot_say_is_a_full_file_change() {
        let profile = profile();
        let (imsi, impi) = (file(&profile, 0x6F07), file(&profile, 0x6F02));
        for files in [&[][..], &[imsi, impi], &[imsi; 20], &[FileIndex(999)]] {
            let mut session = session(REFRESH);
            assert_eq!(session.refresh(&profile, RefreshMode::InitAndFileChange, files), Ok(true));
            assert_eq!(fetched(&mut session), hex!("D009 8103 0100 82028182"));
        }
    }

    #[test]
    fn what_waits_takes_in_what_comes() {
        use RefreshMode::*;
        let profile = profile();
        let (imsi, adn) = (file(&profile, 0x6F07), file(&profile, 0x6F3A));
        for (first, second, together) in [
            (InitAndFullFileChange, InitAndFullFileChange, InitAndFullFileChange),
            (InitAndFullFileChange, FileChange, InitAndFullFileChange),
            (FileChange, InitAndFileChange, InitAndFullFileChange),
            (UiccReset, FileChange, UiccReset),
            (InitAndFileChange, UiccReset, UiccReset),
        ] {
            let mut session = session(REFRESH);
            session.refresh(&profile, first, &[imsi]).unwrap();
            session.refresh(&profile, second, &[adn]).unwrap();
            assert_eq!(fetched(&mut session)[5], together as u8);
            assert_eq!(session.pending(), None);
        }
        let mut session = session(REFRESH);
        for file in [imsi, adn, imsi] {
            session.refresh(&profile, FileChange, &[file]).unwrap();
        }
        assert_eq!(fetched(&mut session)[10..23], hex!("920D 02 3F007FFF6F07 3F007F10")[..]);
        // One that comes while it is fetched waits for its own turn.
        session.refresh(&profile, InitAndFullFileChange, &[]).unwrap();
        assert_eq!(session.pending(), None);
        answer(&mut session, FileChange, 0x00);
        assert_eq!(fetched(&mut session)[5], InitAndFullFileChange as u8);
    }

    #[test]
    fn a_profile_switch_ends_what_concerned_the_old_profile() {
        let profile = profile();
        let imsi = file(&profile, 0x6F07);
        let mut quiet = session(BOTH);
        quiet.refresh(&profile, RefreshMode::FileChange, &[imsi]).unwrap();
        assert!(!quiet.profile_switched(false));
        assert_eq!(quiet.pending(), None);

        let mut told = session(BOTH);
        told.refresh(&profile, RefreshMode::FileChange, &[imsi]).unwrap();
        assert!(told.profile_switched(true) && told.is_reset_pending());
        assert_eq!(fetched(&mut told)[5], RefreshMode::UiccReset as u8);

        // Fetched before the switch: not shown again after it.
        let mut fetched_before = session(REFRESH);
        fetched_before.refresh(&profile, RefreshMode::FileChange, &[imsi]).unwrap();
        let _ = fetched(&mut fetched_before);
        assert!(!fetched_before.profile_switched(false));
        assert!(!answer(&mut fetched_before, RefreshMode::FileChange, 0x20));
        fetched_before.polled();
        assert_eq!(fetched_before.pending(), None);
    }

    #[test]
    fn numbers_go_round() {
        let profile = profile();
        let mut session = session(REFRESH);
        for turn in 0..600u32 {
            session.refresh(&profile, RefreshMode::InitAndFullFileChange, &[]).unwrap();
            let _ = fetched(&mut session);
            assert_eq!(u32::from(session.number), turn % 254 + 1);
            assert!(
                !answer(&mut session, RefreshMode::InitAndFullFileChange, 0x30),
                "only a reset is told in another way"
            );
        }
    }
}
