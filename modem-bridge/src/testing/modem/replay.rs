//! The whole boot of a phone, some 480 commands: a script of the selections, readings, searches and writes that one was
//! seen to do with its card, in phases of our own. What a card must not do is answer any of them with a status word
//! that the phone has no way to go on from.

use super::{Answer, ISIM, Modem, ModemError, PROFILE_REFRESH, Structure, Transport, USIM, check_atr, find, structure};
use super::{name, wrong};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use teuicc_apdu::{StatusWord, ins};

/// How long EF.DIR may be, in records.
const MAX_DIRECTORY: u8 = 10;
/// The AID of an ARA-M (GlobalPlatform Secure Element Access Control), which a phone looks for and a SIM may lack.
const ARA_M: [u8; 9] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C, 0x00];

/// One thing that the phone does.
enum Step {
    /// Power off and on, or a reset; then MF twice, EF.ICCID and TERMINAL PROFILE.
    Cold,
    Warm,
    /// EF.DIR, every record.
    Directory,
    /// Opens the channel, which must have this number, or closes it.
    Open(u8),
    Close(u8),
    /// An application on a channel by its whole AID: with its FCP, or again without.
    Application(u8, Application),
    Again(u8, Application),
    /// An application that may be missing.
    AraM(u8),
    /// The tries of PIN1, PUK1, PIN2 and PUK2 on a channel.
    Pins(u8),
    /// STATUS: the application has started; or nothing but whether the card is there.
    Started,
    Poll,
    /// DFs by their FID, one in the other, without an answer.
    Descend(&'static [u16]),
    /// A file on a channel, how it is selected, and what is then done with it.
    File(u8, Way, &'static [u16], Use),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Application {
    Usim,
    Isim,
}

/// How a file is selected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By FID in the current directory.
    Fid,
    /// By path from the application, which another directory than its own may hide.
    Adf,
    /// By path from the MF.
    Mf,
}

/// What is done with a file that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Nothing: its FCP was wanted.
    Look,
    /// The record of EF.ARR that its FCP names.
    Rule,
    /// All of it is read.
    Read,
    /// One record is read.
    Record(u8),
    /// Its free records are searched for, then the first is read.
    Search,
    /// It is read, and written again as it was.
    Rewrite,
    /// It is read, and written with another content, which must then be there.
    Change,
}

use Application::{Isim, Usim};
use Step::{
    Again, Application as Select, AraM, Close, Cold, Descend, Directory, File, Open, Pins, Poll, Started, Warm,
};
use Use::{Change, Look, Read, Record, Rewrite, Rule, Search};
use Way::{Adf, Fid, Mf};

/// Files of the telephone book (TS 31.102 section 4.4.2), by FIDs that operators use.
const PHONE_BOOK: &[u16] =
    &[0x4F3A, 0x4F09, 0x4F11, 0x4F12, 0x4F13, 0x4F14, 0x4F15, 0x4F16, 0x4F19, 0x4F4A, 0x4F4B, 0x4F50, 0x4F51, 0x4F53];

/// The script. FIDs as in TS 102 221, TS 31.102 and TS 31.103.
const SCRIPT: &[&[Step]] = &[
    &[
        Cold,
        File(0, Mf, &[0x2FE2], Read),
        File(0, Fid, &[0x2F05], Read),
        Directory,
        Select(0, Usim),
        Open(1),
        Select(1, Isim),
        File(0, Fid, &[0x6FB7], Read),
        File(0, Fid, &[0x6F05], Read),
        Pins(0),
    ],
    // What it needs to register.
    &[
        File(0, Fid, &[0x6FAD], Read),
        File(0, Fid, &[0x6F07], Read),
        File(0, Fid, &[0x6F78], Read),
        File(0, Fid, &[0x6F7E], Read),
        File(0, Fid, &[0x6F73], Read),
        File(0, Fid, &[0x6F38], Read),
        File(0, Fid, &[0x6FE3], Read),
        File(0, Fid, &[0x6F08], Read),
        File(0, Fid, &[0x6F09], Read),
        File(0, Fid, &[0x6FE4], Record(1)),
        File(0, Fid, &[0x6F5B], Read),
        File(0, Fid, &[0x6F5C], Read),
        File(0, Adf, &[0x5F3B, 0x4F20], Read),
        File(0, Fid, &[0x4F52], Read),
        File(0, Adf, &[0x6F56], Read),
        File(0, Fid, &[0x6F3E], Read),
        File(0, Fid, &[0x6F3F], Read),
        File(0, Fid, &[0x6F16], Look),
        File(0, Fid, &[0x6F14], Look),
        File(0, Adf, &[0x6FC4], Read),
        File(0, Fid, &[0x6F65], Look),
        File(0, Adf, &[0x6F31], Read),
        File(0, Fid, &[0x6F62], Read),
        File(0, Fid, &[0x6F60], Read),
        File(0, Fid, &[0x6F61], Read),
        File(0, Fid, &[0x6F7B], Read),
        File(0, Fid, &[0x6F48], Read),
        File(0, Fid, &[0x6F39], Record(1)),
        File(0, Fid, &[0x6F37], Read),
        File(0, Fid, &[0x6FD9], Read),
        File(0, Fid, &[0x6FDB], Read),
        File(0, Fid, &[0x6FC3], Look),
        File(0, Adf, &[0x6F46], Read),
        File(0, Fid, &[0x6FCD], Read),
        File(0, Fid, &[0x6FC5], Search),
        File(0, Fid, &[0x6FC6], Search),
        Started,
    ],
    // 5G.
    &[
        File(0, Adf, &[0x5FC0, 0x4F01], Rewrite),
        File(0, Fid, &[0x4F02], Read),
        File(0, Fid, &[0x4F03], Rewrite),
        File(0, Fid, &[0x4F04], Record(1)),
        File(0, Fid, &[0x4F05], Rewrite),
        File(0, Fid, &[0x4F06], Read),
        File(0, Fid, &[0x4F07], Read),
        File(0, Fid, &[0x4F08], Search),
        File(0, Fid, &[0x4F0A], Read),
    ],
    // Who may write what, and the first writes.
    &[
        File(0, Adf, &[0x6FAD], Look),
        File(0, Mf, &[0x7F10, 0x5F3A, 0x4F30], Record(1)),
        File(0, Adf, &[0x6F15], Look),
        File(0, Adf, &[0x6F40], Rule),
        File(0, Adf, &[0x7F66, 0x5F30, 0x4F36], Look),
        File(0, Adf, &[0x6F07], Look),
        File(0, Fid, &[0x6F40], Record(1)),
        File(0, Adf, &[0x6FE4], Rewrite),
        File(0, Fid, &[0x6FE3], Rewrite),
        File(0, Fid, &[0x6F7E], Rewrite),
        File(0, Fid, &[0x6F73], Rewrite),
        File(0, Fid, &[0x6F7B], Rewrite),
        File(0, Fid, &[0x6F60], Look),
        File(0, Fid, &[0x6F46], Look),
        File(0, Fid, &[0x6FC6], Look),
        File(0, Fid, &[0x6FC5], Look),
        File(0, Fid, &[0x6F45], Read),
        File(0, Fid, &[0x6F50], Read),
    ],
    // Short messages and numbers.
    &[
        File(0, Fid, &[0x6F43], Read),
        File(0, Fid, &[0x6F42], Rule),
        File(0, Adf, &[0x6F42], Search),
        File(0, Fid, &[0x6F3C], Search),
        File(0, Fid, &[0x6F47], Search),
        File(0, Adf, &[0x6F3B], Search),
        File(0, Mf, &[0x7F10, 0x6F3B], Look),
        File(0, Fid, &[0x6F49], Look),
        File(0, Adf, &[0x6F49], Search),
        Descend(&[0x7F10]),
        File(0, Fid, &[0x6F4B], Look),
        File(0, Mf, &[0x7F10, 0x6F4C], Look),
        File(0, Adf, &[0x6F17], Look),
        Descend(&[0x7F10, 0x5F3A]),
        File(0, Fid, &[0x4F22], Read),
        File(0, Fid, &[0x4F24], Read),
        File(0, Fid, &[0x4F23], Read),
        File(0, Adf, &[0x6F4E], Look),
        File(0, Adf, &[0x6FC7], Record(1)),
        File(0, Fid, &[0x6FC9], Record(1)),
        File(0, Fid, &[0x6FCA], Record(1)),
        File(0, Fid, &[0x6FCB], Record(1)),
    ],
    // From the application's side, beside the other one.
    &[
        Pins(1),
        File(0, Mf, &[0x2FE2], Rule),
        File(0, Mf, &[0x7F43], Look),
        File(0, Adf, &[0x6F3E], Look),
        File(0, Fid, &[0x6FC9], Look),
        File(0, Fid, &[0x6FAD], Rule),
        File(0, Adf, &[0x6F38], Look),
        File(0, Fid, &[0x6F11], Look),
        File(0, Adf, &[0x6F13], Look),
        Open(2),
        AraM(2),
        File(0, Adf, &[0x6F46], Look),
        File(0, Fid, &[0x6FCD], Look),
        File(0, Mf, &[0x7F10, 0x6FE5], Look),
        File(1, Fid, &[0x6F02], Rule),
        File(1, Adf, &[0x6F04], Rule),
    ],
    // It starts over: with each of its own parts that wants the card.
    &[Warm, Open(1), Open(2), Select(0, Usim), Select(1, Isim), Close(2)],
    &[Warm, Open(1), Select(0, Usim), Select(1, Isim), Again(1, Isim)],
    &[
        File(1, Fid, &[0x6F03], Rule),
        File(1, Adf, &[0x6F09], Rule),
        File(1, Adf, &[0x6F07], Rule),
        File(1, Adf, &[0x6FD5], Look),
        File(0, Fid, &[0x6FB7], Look),
        File(0, Fid, &[0x6FC9], Record(1)),
        File(0, Mf, &[0x7F10, 0x6FE5], Record(1)),
        File(1, Adf, &[0x6F02], Read),
        File(1, Fid, &[0x6F04], Read),
        File(1, Fid, &[0x6F03], Read),
        File(1, Fid, &[0x6F09], Read),
        File(1, Fid, &[0x6F07], Read),
        File(1, Fid, &[0x6FAD], Read),
        Again(0, Usim),
        File(0, Fid, &[0x6F17], Look),
        File(0, Adf, &[0x6F18], Look),
        File(0, Adf, &[0x6F40], Read),
        Open(2),
        AraM(2),
        File(0, Adf, &[0x6F45], Rewrite),
        File(0, Fid, &[0x6F50], Rewrite),
    ],
    &[Warm, Open(1), Open(2), Select(0, Usim), Select(1, Isim), Close(2), Poll, Poll],
    // Registered: the keys and the place, and from now on a look every half minute.
    &[
        File(0, Fid, &[0x6F08], Change),
        File(0, Fid, &[0x6F09], Change),
        File(0, Fid, &[0x6F7E], Change),
        File(0, Fid, &[0x6F73], Change),
        File(0, Fid, &[0x6FE3], Change),
        File(0, Fid, &[0x6FE4], Change),
        Poll,
        Poll,
    ],
];

/// What the boot of a phone came to.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Commands: what the phone wanted. GET RESPONSE and repetitions with another length are not among them.
    pub commands: u64,
    /// TPDUs that were exchanged for it.
    pub tpdus: u64,
    /// From the first reset to the last answer.
    pub duration: Duration,
    /// How often each status word came.
    pub status_words: BTreeMap<u16, u64>,
    /// UPDATE BINARY and UPDATE RECORD.
    pub updates: u64,
    /// SEARCH RECORD.
    pub searches: u64,
    /// Files that were found, with how often; those that the card does not have; those that it did not let read.
    pub found: BTreeMap<String, u64>,
    /// See [`Replay::found`].
    pub missing: BTreeMap<String, u64>,
    /// See [`Replay::found`].
    pub denied: BTreeMap<String, u64>,
}

impl<T: Transport> Modem<T> {
    /// Boots the card as a phone does, with all that its parts want from it. PIN 1 must be disabled for all of it to be
    /// read. Errors: the card is gone, or answered what a phone would stumble over; the error says where.
    pub fn replay_boot(&mut self) -> Result<Replay, ModemError> {
        let (start, tpdus) = (Instant::now(), self.tpdus);
        let mut phone = Phone { modem: self, replay: Replay::default(), aids: Vec::new() };
        for step in SCRIPT.iter().copied().flatten() {
            phone.step(step)?;
        }
        for file in PHONE_BOOK {
            phone.step(&Descend(&[0x7F10, 0x5F3A]))?;
            phone.file(0, Fid, &[*file], Search)?;
        }
        let replay = phone.replay;
        Ok(Replay { tpdus: self.tpdus - tpdus, duration: start.elapsed(), ..replay })
    }
}

struct Phone<'a, T> {
    modem: &'a mut Modem<T>,
    replay: Replay,
    /// From EF.DIR.
    aids: Vec<Vec<u8>>,
}

impl<T: Transport> Phone<'_, T> {
    fn command(&mut self, header: [u8; 4], data: &[u8], le: Option<u8>) -> Result<Answer, ModemError> {
        let answer = self.modem.command(header, data, le)?;
        self.replay.commands += 1;
        *self.replay.status_words.entry(answer.sw.0).or_default() += 1;
        Ok(answer)
    }

    /// A command whose success the phone counts on.
    fn demand(&mut self, doing: &str, header: [u8; 4], data: &[u8], le: Option<u8>) -> Result<Vec<u8>, ModemError> {
        self.command(header, data, le)?.found(doing)
    }

    fn step(&mut self, step: &Step) -> Result<(), ModemError> {
        match *step {
            Cold => self.reset(true),
            Warm => self.reset(false),
            Directory => self.directory(),
            Open(number) => {
                let opened = self.demand("MANAGE CHANNEL", [0x00, ins::MANAGE_CHANNEL, 0x00, 0x00], &[], Some(1))?;
                if opened == [number] { Ok(()) } else { wrong("MANAGE CHANNEL", format!("{opened:?} is not {number}")) }
            }
            Close(number) => {
                self.demand("MANAGE CHANNEL, close", [0x00, ins::MANAGE_CHANNEL, 0x80, number], &[], None).map(drop)
            }
            Select(channel, application) => self.application(channel, application, 0x04),
            Again(channel, application) => self.application(channel, application, 0x0C),
            AraM(channel) => {
                let answer = self.command([channel, ins::SELECT, 0x04, 0x00], &ARA_M, None)?;
                if answer.sw.is_ok() || answer.sw == StatusWord::FILE_NOT_FOUND {
                    return Ok(());
                }
                wrong("SELECT of an application that may be missing", answer.sw)
            }
            Pins(channel) => self.pins(channel),
            Started => self.demand("STATUS, started", [0x80, ins::STATUS, 0x01, 0x0C], &[], None).map(drop),
            Poll => self.demand("STATUS", [0x80, ins::STATUS, 0x00, 0x0C], &[], None).map(drop),
            Descend(directories) => self.descend(directories),
            File(channel, way, path, usage) => self.file(channel, way, path, usage),
        }
    }

    fn reset(&mut self, cold: bool) -> Result<(), ModemError> {
        let atr = if cold { self.modem.transport.cold_reset()? } else { self.modem.transport.warm_reset()? };
        self.modem.pending = None;
        check_atr(&atr).or_else(|what| wrong("ATR", what))?;
        self.demand("SELECT MF", [0x00, ins::SELECT, 0x00, 0x04], &[0x3F, 0x00], None)?;
        self.select_mf(0)?;
        self.file(0, Fid, &[0x2FE2], Read)?;
        let mut profile = [0xFF; 30];
        if self.modem.options.without_refresh {
            profile[PROFILE_REFRESH.0] &= !PROFILE_REFRESH.1;
        }
        self.demand("TERMINAL PROFILE", [0x80, ins::TERMINAL_PROFILE, 0x00, 0x00], &profile, None).map(drop)
    }

    fn directory(&mut self) -> Result<(), ModemError> {
        self.demand("SELECT EF.DIR", [0x00, ins::SELECT, 0x00, 0x04], &[0x2F, 0x00], None)?;
        for record in 1..=MAX_DIRECTORY {
            let answer = self.command([0x00, ins::READ_RECORD, record, 0x04], &[], Some(0))?;
            if answer.sw == StatusWord::RECORD_NOT_FOUND {
                break;
            }
            let record = answer.found("EF.DIR")?;
            let aid = find(&record, 0x61).and_then(|template| find(template, 0x4F));
            self.aids.extend(aid.map(<[u8]>::to_vec));
        }
        Ok(())
    }

    /// An application that EF.DIR does not list is passed over.
    fn application(&mut self, channel: u8, application: Application, p2: u8) -> Result<(), ModemError> {
        let start = if application == Usim { USIM } else { ISIM };
        let Some(aid) = self.aids.iter().find(|aid| aid.starts_with(&start)).cloned() else { return Ok(()) };
        self.demand("SELECT by AID", [channel, ins::SELECT, 0x04, p2], &aid, None).map(drop)
    }

    fn pins(&mut self, channel: u8) -> Result<(), ModemError> {
        for (instruction, reference) in
            [(ins::UNBLOCK_PIN, 0x01), (ins::VERIFY_PIN, 0x01), (ins::UNBLOCK_PIN, 0x81), (ins::VERIFY_PIN, 0x81)]
        {
            let answer = self.command([channel, instruction, 0x00, reference], &[], None)?;
            if !matches!(answer.sw.0, 0x63C1..=0x63CF | 0x9000) {
                return wrong(format!("the tries of {reference:02X} by {instruction:02X}"), answer.sw);
            }
        }
        Ok(())
    }

    fn select_mf(&mut self, channel: u8) -> Result<(), ModemError> {
        self.demand("SELECT MF", [channel, ins::SELECT, 0x00, 0x0C], &[0x3F, 0x00], None).map(drop)
    }

    /// A card without these directories is left where it was.
    fn descend(&mut self, directories: &[u16]) -> Result<(), ModemError> {
        self.select_mf(0)?;
        for fid in directories {
            let answer = self.command([0x00, ins::SELECT, 0x00, 0x0C], &fid.to_be_bytes(), None)?;
            if answer.sw == StatusWord::FILE_NOT_FOUND {
                return Ok(());
            }
            answer.found("SELECT of a directory")?;
        }
        Ok(())
    }

    fn select(&mut self, channel: u8, way: Way, path: &[u16]) -> Result<Answer, ModemError> {
        let p1 = if way == Fid { 0x00 } else { 0x08 };
        let from = (way == Adf).then_some(0x7FFF);
        let path: Vec<u8> = from.iter().chain(path).flat_map(|fid: &u16| fid.to_be_bytes()).collect();
        self.command([channel, ins::SELECT, p1, 0x04], &path, None)
    }

    fn file(&mut self, channel: u8, way: Way, path: &[u16], usage: Use) -> Result<(), ModemError> {
        let shown = format!("{}:{}", channel, name(path));
        let mut selected = self.select(channel, way, path)?;
        // What is not there is looked for once more, from the top.
        if selected.sw == StatusWord::FILE_NOT_FOUND {
            self.select_mf(channel)?;
            let again = if way == Fid { Adf } else { way };
            selected = self.select(channel, again, path)?;
        }
        if selected.sw == StatusWord::FILE_NOT_FOUND {
            *self.replay.missing.entry(shown).or_default() += 1;
            return self.select_mf(channel);
        }
        let fcp = selected.found(&format!("SELECT {shown}"))?;
        *self.replay.found.entry(shown.clone()).or_default() += 1;
        let Some(structure) = structure(&fcp) else { return wrong(format!("SELECT {shown}"), "the FCP is malformed") };
        let readable = match (usage, &structure) {
            (Look, _) | (_, Structure::Other) => true,
            (Rule, _) => return self.rule(channel, &shown, &fcp),
            (Record(number), Structure::Records { count, .. }) if number > *count => true,
            (Record(number), Structure::Records { length, .. }) => {
                self.record(channel, &shown, number, *length)?.is_some()
            }
            (Search, Structure::Records { length, .. }) => {
                let length = *length;
                self.search(channel, &shown, path, length)? && self.record(channel, &shown, 1, length)?.is_some()
            }
            (Rewrite | Change, Structure::Records { length, .. }) => match self.record(channel, &shown, 1, *length)? {
                None => false,
                Some(mut content) => {
                    change(&mut content, usage);
                    let written = self.update([channel, ins::UPDATE_RECORD, 1, 0x04], &shown, &content)?;
                    if usage == Change && written && self.record(channel, &shown, 1, *length)? != Some(content) {
                        return wrong(format!("UPDATE RECORD {shown}"), "the record is not what was written");
                    }
                    written
                }
            },
            (_, Structure::Records { length, count }) => {
                let mut readable = true;
                for number in 1..=*count {
                    readable &= self.record(channel, &shown, number, *length)?.is_some();
                }
                readable
            }
            (_, Structure::Transparent { size }) => match self.binary(channel, &shown, *size)? {
                None => false,
                Some(mut content) if matches!(usage, Rewrite | Change) => {
                    change(&mut content, usage);
                    let written = self.update([channel, ins::UPDATE_BINARY, 0, 0], &shown, &content)?;
                    if usage == Change && written && self.binary(channel, &shown, *size)? != Some(content) {
                        return wrong(format!("UPDATE BINARY {shown}"), "the file is not what was written");
                    }
                    written
                }
                Some(_) => true,
            },
        };
        if !readable {
            *self.replay.denied.entry(shown).or_default() += 1;
        }
        Ok(())
    }

    /// The content of the selected file; `None` if it may not be read.
    fn binary(&mut self, channel: u8, shown: &str, size: usize) -> Result<Option<Vec<u8>>, ModemError> {
        let mut content = Vec::new();
        while content.len() < size {
            let Ok(offset) = u16::try_from(content.len()) else { break };
            let [p1, p2] = offset.to_be_bytes();
            let le = u8::try_from(size - content.len()).unwrap_or(0xFF);
            let answer = self.command([channel, ins::READ_BINARY, p1, p2], &[], Some(le))?;
            match super::readable(answer, &format!("READ BINARY {shown}"))? {
                None => return Ok(None),
                Some(piece) if piece.is_empty() => return wrong(format!("READ BINARY {shown}"), "no data"),
                Some(piece) => content.extend(piece),
            }
        }
        Ok(Some(content))
    }

    fn record(&mut self, channel: u8, shown: &str, number: u8, length: u8) -> Result<Option<Vec<u8>>, ModemError> {
        let answer = self.command([channel, ins::READ_RECORD, number, 0x04], &[], Some(length))?;
        super::readable(answer, &format!("READ RECORD {shown}"))
    }

    /// SEARCH RECORD for free records, from the first on (TS 102 221 section 11.1.7). False if it may not be read.
    fn search(&mut self, channel: u8, shown: &str, path: &[u16], length: u8) -> Result<bool, ModemError> {
        let mut pattern = vec![0xFF; usize::from(length)];
        if let ([.., 0x6F3C | 0x6F47], Some(status)) = (path, pattern.first_mut()) {
            // A short message or a report: its status says that it is free.
            *status = 0x00;
        }
        let answer = self.command([channel, ins::SEARCH_RECORD, 0x01, 0x04], &pattern, Some(0))?;
        match answer.sw {
            // None: an unsuccessful search by TS 102 221 table 10.8, a record not found by a card that was seen.
            StatusWord(0x6282) | StatusWord::RECORD_NOT_FOUND => {}
            _ => match super::readable(answer, &format!("SEARCH RECORD {shown}"))? {
                None => return Ok(false),
                Some(numbers) if numbers.is_empty() || numbers.contains(&0) || !numbers.is_sorted() => {
                    return wrong(format!("SEARCH RECORD {shown}"), format!("records {numbers:?}"));
                }
                Some(_) => {}
            },
        }
        self.replay.searches += 1;
        Ok(true)
    }

    /// False if it may not be written.
    fn update(&mut self, header: [u8; 4], shown: &str, content: &[u8]) -> Result<bool, ModemError> {
        let answer = self.command(header, content, None)?;
        self.replay.updates += 1;
        Ok(super::readable(answer, &format!("update of {shown}"))?.is_some())
    }

    /// The record of EF.ARR that an FCP names (TS 102 221 section 9.2.7).
    fn rule(&mut self, channel: u8, shown: &str, fcp: &[u8]) -> Result<(), ModemError> {
        let Some([high, low, record]) = find(fcp, 0x62).and_then(|fcp| find(fcp, 0x8B)) else {
            return wrong(format!("SELECT {shown}"), "its FCP names no access rule");
        };
        let selected = self.command([channel, ins::SELECT, 0x00, 0x04], &[*high, *low], None)?;
        let fcp = selected.found(&format!("SELECT EF.ARR of {shown}"))?;
        let Some(Structure::Records { length, count }) = structure(&fcp) else {
            return wrong(format!("SELECT EF.ARR of {shown}"), "it is no file of records");
        };
        if *record > count {
            return wrong(format!("EF.ARR of {shown}"), format!("it has {count} records, but the rule is {record}"));
        }
        if self.record(channel, shown, *record, length)?.is_none() {
            return wrong(format!("EF.ARR of {shown}"), "it may not be read");
        }
        Ok(())
    }
}

/// What a phone writes: something else, or the same again.
fn change(content: &mut [u8], usage: Use) {
    if let (Change, Some(last)) = (usage, content.last_mut()) {
        *last ^= 0x01;
    }
}
