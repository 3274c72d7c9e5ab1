//! A modem: boots as a real one does, reads what a real one reads, authenticates, and obeys a REFRESH.

mod replay;

pub use replay::Replay;

use super::Transport;
use super::network::Authentication;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};
use teuicc_apdu::{StatusWord, ins};

/// How many resets by REFRESH a boot may take before the card counts as mad.
const MAX_BOOTS: u32 = 4;
/// How many proactive commands may follow each other.
const MAX_PROACTIVE: u32 = 20;
/// How many pieces an answer may come in.
const MAX_PIECES: u32 = 300;
/// How many records of EF.DIR are looked at.
const MAX_APPLICATIONS: u8 = 16;

/// RID and application code of a USIM and of an ISIM (TS 101 220 annex E).
const USIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02];
const ISIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x04];

const EF_DIR: u16 = 0x2F00;
const EF_ICCID: u16 = 0x2FE2;
const EF_PL: u16 = 0x2F05;
const EF_AD: u16 = 0x6FAD;
const EF_IMSI: u16 = 0x6F07;

/// What a modem reads of a USIM after a power-up, as paths below the ADF, in the order that one was seen to use
/// (TS 31.102 section 4.2, 4.4).
const USIM_FILES: &[&[u16]] = &[
    &[0x6FB7], // ECC
    &[0x6F05], // LI
    &[EF_AD],
    &[EF_IMSI],
    &[0x6F78],         // ACC
    &[0x6F7E],         // LOCI
    &[0x6F73],         // PSLOCI
    &[0x6F38],         // UST
    &[0x6FE3],         // EPSLOCI
    &[0x6F08],         // Keys
    &[0x6F09],         // KeysPS
    &[0x6FE4],         // EPSNSC
    &[0x6F5B],         // START-HFN
    &[0x6F5C],         // THRESHOLD
    &[0x5F3B, 0x4F20], // Kc
    &[0x5F3B, 0x4F52], // KcGPRS
    &[0x6F56],         // EST
    &[0x6F3E],         // GID1
    &[0x6F3F],         // GID2
    &[0x6FC4],         // NETPAR
    &[0x6F31],         // HPPLMN
    &[0x6F61],         // OPLMNwAcT
    &[0x6F60],         // PLMNwAcT
    &[0x6F62],         // HPLMNwAcT
    &[0x6F7B],         // FPLMN
    &[0x6F48],         // CBMID
    &[0x6F45],         // CBMI
    &[0x6F50],         // CBMIR
    &[0x6FD9],         // EHPLMN
    &[0x6FDB],         // EHPLMNPI
    &[0x6F46],         // SPN
    &[0x6FC5],         // PNN
    &[0x6FC6],         // OPL
    &[0x6FCD],         // SPDI
    &[0x6F42],         // SMSP
    &[0x6F43],         // SMSS
    &[0x6F3C],         // SMS
    &[0x6F40],         // MSISDN
    &[0x6F3B],         // FDN
    &[0x6F49],         // SDN
    &[0x6FC7],         // MBDN
    &[0x6FC9],         // MBI
    &[0x6FCA],         // MWIS
    &[0x6F06],         // ARR
    &[0x5FC0, 0x4F01], // 5GS3GPPLOCI
    &[0x5FC0, 0x4F03], // 5GS3GPPNSC
    &[0x5FC0, 0x4F05], // 5GAUTHKEYS
    &[0x5FC0, 0x4F06], // UAC_AIC
    &[0x5FC0, 0x4F07], // SUCI_Calc_Info
    &[0x5FC0, 0x4F0A], // Routing_Indicator
    &[0x5F3A, 0x4F30], // PBR
];

/// What a modem reads of an ISIM (TS 31.103 section 4.2).
const ISIM_FILES: &[&[u16]] = &[&[0x6F02], &[0x6F03], &[0x6F04], &[EF_AD], &[0x6F06], &[0x6F07], &[0x6F09]];

/// Bit of REFRESH in TERMINAL PROFILE: byte 3, bit 8 (TS 102 223 section 5.2).
const PROFILE_REFRESH: (usize, u8) = (2, 0x80);

/// What kind of modem.
#[derive(Clone, Debug, Default)]
pub struct ModemOptions {
    /// PIN 1, 4 to 8 digits, presented if the card asks for it.
    pub pin: Option<String>,
    /// A modem whose TERMINAL PROFILE does not say that it knows REFRESH.
    pub without_refresh: bool,
}

/// What went wrong between modem and card.
#[derive(Debug, thiserror::Error)]
pub enum ModemError {
    /// The card is gone.
    #[error("the card is gone: {0}")]
    Io(#[from] io::Error),
    /// The card did what no card does.
    #[error("{doing}: {what}")]
    Card {
        /// What the modem was doing.
        doing: String,
        /// What was wrong.
        what: String,
    },
}

fn wrong<T>(doing: impl ToString, what: impl ToString) -> Result<T, ModemError> {
    Err(ModemError::Card { doing: doing.to_string(), what: what.to_string() })
}

/// What a boot found.
#[derive(Clone, Debug)]
pub struct BootReport {
    /// The answer to reset.
    pub atr: Vec<u8>,
    /// The ICCID, 18 to 20 digits.
    pub iccid: String,
    /// The IMSI, up to 15 digits.
    pub imsi: String,
    /// Digits of the MNC by EF.AD, 2 or 3; `None` if the file does not say.
    pub mnc_len: Option<u8>,
    /// TPDUs that were exchanged, resets by REFRESH included.
    pub apdus: u64,
    /// Time from the first reset to the last answer.
    pub duration: Duration,
    /// Every file that was read, by its path from the MF or the application's name, with its content (the records of
    /// a record file one after the other).
    pub files: BTreeMap<String, Vec<u8>>,
    /// Files that the card does not have.
    pub missing: Vec<String>,
    /// Files that may not be read now.
    pub denied: Vec<String>,
    /// Whether EF.DIR lists an ISIM; its files were then read.
    pub has_isim: bool,
    /// The state of PIN 1.
    pub pin: PinState,
    /// How many REFRESH commands reset the card during this boot.
    pub refreshes: u32,
}

/// The state of PIN 1, as an empty VERIFY PIN tells it (TS 102 221 section 11.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinState {
    /// Disabled, by the PIN status template of the USIM.
    Disabled,
    /// Verified.
    Open,
    /// To be verified, with so many tries left.
    Tries(u8),
    /// Blocked.
    Blocked,
}

/// What an idle modem found when it asked for its status.
#[derive(Debug)]
pub enum Idle {
    /// Nothing, or proactive commands that are done.
    Quiet,
    /// The card asked for a reset, and the modem has booted again.
    Refreshed(Box<BootReport>),
}

/// An answer above the T=0 layer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Response data, all pieces together.
    pub data: Vec<u8>,
    /// The last status word.
    pub sw: StatusWord,
}

/// A modem.
pub struct Modem<T> {
    transport: T,
    options: ModemOptions,
    tpdus: u64,
    /// Length of the proactive command that waits, as the last `91xx` said.
    pending: Option<u8>,
    /// The card asked for a reset.
    reset_wanted: bool,
}

/// The structure of a file, by the file descriptor in its FCP (TS 102 221 section 11.1.1.4.3).
enum Structure {
    Transparent { size: usize },
    Records { length: u8, count: u8 },
    Other,
}

impl<T: Transport> Modem<T> {
    /// A modem that has not looked at its card yet.
    pub fn new(transport: T, options: ModemOptions) -> Self {
        Modem { transport, options, tpdus: 0, pending: None, reset_wanted: false }
    }

    /// The reader, for what the modem itself does not do.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// How many TPDUs were exchanged so far.
    #[must_use]
    pub fn tpdus(&self) -> u64 {
        self.tpdus
    }

    /// Powers the card up and reads it, as at power-on. Errors: the card is gone, or is no card.
    pub fn boot(&mut self) -> Result<BootReport, ModemError> {
        let (start, tpdus) = (Instant::now(), self.tpdus);
        let mut refreshes = 0;
        loop {
            let atr = if refreshes == 0 { self.transport.cold_reset()? } else { self.transport.warm_reset()? };
            self.pending = None;
            self.reset_wanted = false;
            check_atr(&atr).or_else(|what| wrong("ATR", what))?;
            let report = self.read_card(atr)?;
            if !self.reset_wanted {
                return Ok(BootReport { apdus: self.tpdus - tpdus, duration: start.elapsed(), refreshes, ..report });
            }
            refreshes += 1;
            if refreshes == MAX_BOOTS {
                return wrong("REFRESH", "the card asks for a reset after every reset");
            }
        }
    }

    /// What an idle modem does every half minute: STATUS, and then whatever the card wants done.
    pub fn idle(&mut self) -> Result<Idle, ModemError> {
        let status = self.command([0x80, ins::STATUS, 0x00, 0x0C], &[], None)?;
        if !status.sw.is_ok() {
            return wrong("STATUS", status.sw);
        }
        if !self.reset_wanted {
            return Ok(Idle::Quiet);
        }
        let (start, tpdus) = (Instant::now(), self.tpdus);
        let atr = self.transport.warm_reset()?;
        self.pending = None;
        self.reset_wanted = false;
        check_atr(&atr).or_else(|what| wrong("ATR", what))?;
        let report = self.read_card(atr)?;
        let (apdus, duration) = (self.tpdus - tpdus, start.elapsed());
        Ok(Idle::Refreshed(Box::new(BootReport { apdus, duration, refreshes: 1, ..report })))
    }

    /// AUTHENTICATE in the 3G context on the USIM (TS 31.102 section 7.1.2.1). After [`Modem::boot`].
    pub fn authenticate(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<Authentication, ModemError> {
        let data = [&[16][..], rand, &[16], autn].concat();
        let answer = self.command([0x00, ins::AUTHENTICATE, 0x00, 0x81], &data, Some(0))?;
        if answer.sw == StatusWord::INCORRECT_MAC {
            return Ok(Authentication::MacFailure);
        }
        if !answer.sw.is_ok() {
            return wrong("AUTHENTICATE", answer.sw);
        }
        parse_authentication(&answer.data).map_or_else(|| wrong("AUTHENTICATE", "the answer is malformed"), Ok)
    }

    /// Writes a transparent file of the USIM, given by its path below the ADF, from its first byte on.
    pub fn update(&mut self, path: &[u16], content: &[u8]) -> Result<StatusWord, ModemError> {
        let selected = self.select_path(0, path)?;
        if !selected.sw.is_ok() {
            return Ok(selected.sw);
        }
        Ok(self.command([0x00, ins::UPDATE_BINARY, 0x00, 0x00], content, None)?.sw)
    }

    /// Reads a file of the USIM, given by its path below the ADF; `None` if it is not there or may not be read.
    pub fn read(&mut self, path: &[u16]) -> Result<Option<Vec<u8>>, ModemError> {
        let selected = self.select_path(0, path)?;
        if !selected.sw.is_ok() {
            return Ok(None);
        }
        self.read_selected(0, &selected.data)
    }

    /// One command with everything that T=0 and the toolkit ask for. `le` is P3 of a command without data (0 for
    /// 256); a command with data whose answer has data gets it by GET RESPONSE.
    pub fn command(&mut self, header: [u8; 4], data: &[u8], le: Option<u8>) -> Result<Answer, ModemError> {
        let answer = self.exchange(header, data, le)?;
        self.serve_toolkit()?;
        Ok(answer)
    }

    fn exchange(&mut self, header: [u8; 4], data: &[u8], le: Option<u8>) -> Result<Answer, ModemError> {
        let doing = format!("command {:02X?}", header);
        let mut tpdu = header.to_vec();
        match (u8::try_from(data.len()), le) {
            (Err(_), _) => return wrong(doing, "more than 255 bytes of data"),
            (Ok(0), None) => tpdu.push(0),
            (Ok(0), Some(le)) => tpdu.push(le),
            (Ok(lc), _) => {
                tpdu.push(lc);
                tpdu.extend_from_slice(data);
            }
        }
        let get_response = [header[0] & !0x80 & !0x10, ins::GET_RESPONSE, 0x00, 0x00];
        let mut collected = Vec::new();
        for _ in 0..MAX_PIECES {
            let answer = self.transport.tpdu(&tpdu)?;
            self.tpdus += 1;
            let Some((piece, sw)) = answer.split_last_chunk::<2>() else {
                return wrong(doing, "an answer without a status word");
            };
            if !data.is_empty() && tpdu[1] == header[1] && !piece.is_empty() {
                return wrong(doing, "data in the answer to a command with data, which T=0 does not have");
            }
            let asked = if tpdu[4] == 0 { 256 } else { usize::from(tpdu[4]) };
            if !piece.is_empty() && piece.len() != asked {
                return wrong(doing, format!("{} bytes where {asked} were asked for", piece.len()));
            }
            collected.extend_from_slice(piece);
            match *sw {
                [0x61, more] => tpdu = [&get_response[..], &[more]].concat(),
                [0x6C, right] if data.is_empty() || tpdu[1] == ins::GET_RESPONSE => tpdu[4] = right,
                sw => {
                    if let [0x91, length] = sw {
                        self.pending = Some(length);
                    }
                    return Ok(Answer { data: collected, sw: StatusWord(u16::from_be_bytes(sw)) });
                }
            }
        }
        wrong(doing, "an answer without an end")
    }

    /// Fetches and answers proactive commands until none is pending (TS 102 223 section 6).
    fn serve_toolkit(&mut self) -> Result<(), ModemError> {
        for _ in 0..MAX_PROACTIVE {
            let Some(length) = self.pending.take() else { return Ok(()) };
            let fetched = self.exchange([0x80, ins::FETCH, 0x00, 0x00], &[], Some(length))?;
            if !fetched.sw.is_ok() {
                return wrong("FETCH", fetched.sw);
            }
            let Some(details) = command_details(&fetched.data) else {
                return wrong("FETCH", "the proactive command is malformed");
            };
            let [_, kind, qualifier] = details;
            const REFRESH: u8 = 0x01;
            if kind == REFRESH {
                if self.options.without_refresh {
                    return wrong("FETCH", "a REFRESH for a modem that does not know it");
                }
                // UICC reset, and eUICC profile state change: the reset itself is the answer.
                if matches!(qualifier, 0x04 | 0x09) {
                    self.reset_wanted = true;
                    return Ok(());
                }
            }
            let result = [&[0x81, 0x03][..], &details, &[0x82, 0x02, 0x82, 0x81, 0x83, 0x01, 0x00]].concat();
            let answer = self.exchange([0x80, ins::TERMINAL_RESPONSE, 0x00, 0x00], &result, None)?;
            if !answer.sw.is_ok() {
                return wrong("TERMINAL RESPONSE", answer.sw);
            }
        }
        wrong("FETCH", "proactive commands without an end")
    }

    fn read_card(&mut self, atr: Vec<u8>) -> Result<BootReport, ModemError> {
        let mut report = BootReport {
            atr,
            iccid: String::new(),
            imsi: String::new(),
            mnc_len: None,
            apdus: 0,
            duration: Duration::ZERO,
            files: BTreeMap::new(),
            missing: Vec::new(),
            denied: Vec::new(),
            has_isim: false,
            pin: PinState::Open,
            refreshes: 0,
        };
        self.select_fid(0x3F00)?.found("SELECT MF")?;
        let iccid = self.read_fid(EF_ICCID, &mut report)?;
        report.iccid = match iccid {
            Some(iccid) if iccid.len() == 10 => digits(&iccid),
            _ => return wrong("EF.ICCID", "it cannot be read, or has not 10 bytes"),
        };
        self.read_fid(EF_PL, &mut report)?;
        self.announce_terminal()?;
        let applications = self.applications(&mut report)?;
        if self.reset_wanted {
            return Ok(report);
        }
        let Some(usim) = applications.iter().find(|aid| aid.starts_with(&USIM)) else {
            return wrong("EF.DIR", "it lists no USIM");
        };
        self.read_usim(usim, &mut report)?;
        if let Some(isim) = applications.iter().find(|aid| aid.starts_with(&ISIM)) {
            report.has_isim = true;
            self.read_isim(isim, &mut report)?;
        }
        Ok(report)
    }

    /// TERMINAL CAPABILITY (TS 102 221 section 11.1.19), which a card may not know, and TERMINAL PROFILE.
    fn announce_terminal(&mut self) -> Result<(), ModemError> {
        let capability = [0xA9, 0x05, 0x81, 0x00, 0x83, 0x01, 0x07];
        let answer = self.command([0x80, ins::TERMINAL_CAPABILITY, 0x00, 0x00], &capability, None)?;
        if !answer.sw.is_ok() && !matches!(answer.sw.0, 0x6D00 | 0x6E00) {
            return wrong("TERMINAL CAPABILITY", answer.sw);
        }
        let mut profile = [0xFF; 20];
        if self.options.without_refresh {
            profile[PROFILE_REFRESH.0] &= !PROFILE_REFRESH.1;
        }
        let answer = self.command([0x80, ins::TERMINAL_PROFILE, 0x00, 0x00], &profile, None)?;
        if !answer.sw.is_ok() {
            return wrong("TERMINAL PROFILE", answer.sw);
        }
        Ok(())
    }

    /// The AIDs in EF.DIR (TS 102 221 section 13.1).
    fn applications(&mut self, report: &mut BootReport) -> Result<Vec<Vec<u8>>, ModemError> {
        self.select_fid(0x3F00)?.found("SELECT MF")?;
        let fcp = self.select_fid(EF_DIR)?.found("SELECT EF.DIR")?;
        if !matches!(structure(&fcp), Some(Structure::Records { .. })) {
            return wrong("EF.DIR", "it is no file of records");
        }
        let mut applications = Vec::new();
        let mut content = Vec::new();
        for record in 1..=MAX_APPLICATIONS {
            // Le unknown, as modems do it: the card answers 6Cxx.
            let answer = self.command([0x00, ins::READ_RECORD, record, 0x04], &[], Some(0xFF))?;
            if answer.sw == StatusWord::RECORD_NOT_FOUND {
                break;
            }
            let data = answer.found("EF.DIR")?;
            let aid = find(&data, 0x61).and_then(|template| find(template, 0x4F));
            applications.extend(aid.map(<[u8]>::to_vec));
            content.extend_from_slice(&data);
        }
        report.files.insert(name(&[EF_DIR]), content);
        Ok(applications)
    }

    fn read_usim(&mut self, aid: &[u8], report: &mut BootReport) -> Result<(), ModemError> {
        // By a part of its AID, as modems do it.
        let fcp = self.select_aid(0, aid.get(..12).unwrap_or(aid))?.found("SELECT USIM")?;
        match find(&fcp, 0x62).and_then(|fcp| find(fcp, 0x84)) {
            Some(name) if name == aid => {}
            _ => return wrong("SELECT USIM", "its FCP does not have the AID of EF.DIR"),
        }
        self.command([0x80, ins::STATUS, 0x01, 0x0C], &[], None)?.found("STATUS, application started")?;
        let status = self.command([0x80, ins::STATUS, 0x00, 0x00], &[], Some(0))?.found("STATUS")?;
        if find(&status, 0x62).and_then(|fcp| find(fcp, 0x84)) != Some(aid) {
            return wrong("STATUS", "the current application is not the USIM");
        }
        report.pin = if pin1_disabled(&fcp) { PinState::Disabled } else { self.pin_state()? };
        if let (PinState::Tries(_), Some(pin)) = (report.pin, self.options.pin.clone()) {
            report.pin = self.verify_pin(&pin)?;
        }
        for path in USIM_FILES {
            self.read_path(0, "USIM", path, report)?;
        }
        let imsi = report.files.get(&application_name("USIM", &[EF_IMSI]));
        report.imsi = match imsi.and_then(|content| imsi_digits(content)) {
            Some(imsi) => imsi,
            None if matches!(report.pin, PinState::Open | PinState::Disabled) => {
                return wrong("EF.IMSI", "it cannot be read, or is malformed");
            }
            None => String::new(),
        };
        let ad = report.files.get(&application_name("USIM", &[EF_AD]));
        report.mnc_len = ad.and_then(|ad| ad.get(3)).map(|byte| byte & 0x0F).filter(|length| (2..=3).contains(length));
        Ok(())
    }

    /// On a channel of its own, which stays open.
    fn read_isim(&mut self, aid: &[u8], report: &mut BootReport) -> Result<(), ModemError> {
        let opened = self.command([0x00, ins::MANAGE_CHANNEL, 0x00, 0x00], &[], Some(1))?.found("MANAGE CHANNEL")?;
        let [channel @ 1..=3] = opened[..] else {
            return wrong("MANAGE CHANNEL", "it did not give a channel from 1 to 3");
        };
        self.select_aid(channel, aid)?.found("SELECT ISIM")?;
        for path in ISIM_FILES {
            self.read_path(channel, "ISIM", path, report)?;
        }
        Ok(())
    }

    fn pin_state(&mut self) -> Result<PinState, ModemError> {
        let answer = self.command([0x00, ins::VERIFY_PIN, 0x00, 0x01], &[], None)?;
        match answer.sw.0 {
            0x9000 | 0x9100..=0x91FF => Ok(PinState::Open),
            0x63C0 | 0x6983 => Ok(PinState::Blocked),
            sw @ 0x63C1..=0x63CF => Ok(PinState::Tries(sw.to_be_bytes()[1] & 0x0F)),
            0x6984 => Ok(PinState::Disabled),
            _ => wrong("VERIFY PIN", answer.sw),
        }
    }

    fn verify_pin(&mut self, pin: &str) -> Result<PinState, ModemError> {
        let mut padded = [0xFF; 8];
        for (to, from) in padded.iter_mut().zip(pin.bytes()) {
            *to = from;
        }
        let answer = self.command([0x00, ins::VERIFY_PIN, 0x00, 0x01], &padded, None)?;
        if answer.sw.is_ok() { Ok(PinState::Open) } else { self.pin_state() }
    }

    fn select_fid(&mut self, fid: u16) -> Result<Answer, ModemError> {
        self.command([0x00, ins::SELECT, 0x00, 0x04], &fid.to_be_bytes(), None)
    }

    fn select_aid(&mut self, channel: u8, aid: &[u8]) -> Result<Answer, ModemError> {
        self.command([channel, ins::SELECT, 0x04, 0x04], aid, None)
    }

    /// By its path from the current application.
    fn select_path(&mut self, channel: u8, path: &[u16]) -> Result<Answer, ModemError> {
        let path: Vec<u8> = std::iter::once(&0x7FFF).chain(path).flat_map(|fid: &u16| fid.to_be_bytes()).collect();
        self.command([channel, ins::SELECT, 0x08, 0x04], &path, None)
    }

    fn read_fid(&mut self, fid: u16, report: &mut BootReport) -> Result<Option<Vec<u8>>, ModemError> {
        self.select_fid(0x3F00)?.found("SELECT MF")?;
        let selected = self.select_fid(fid)?;
        self.note(0, &name(&[fid]), &selected, report)
    }

    fn read_path(
        &mut self,
        channel: u8,
        application: &str,
        path: &[u16],
        report: &mut BootReport,
    ) -> Result<(), ModemError> {
        let selected = self.select_path(channel, path)?;
        self.note(channel, &application_name(application, path), &selected, report)?;
        Ok(())
    }

    /// Reads what was selected, and writes down how that went.
    fn note(
        &mut self,
        channel: u8,
        name: &str,
        selected: &Answer,
        report: &mut BootReport,
    ) -> Result<Option<Vec<u8>>, ModemError> {
        match selected.sw {
            StatusWord::FILE_NOT_FOUND => {
                report.missing.push(name.into());
                return Ok(None);
            }
            StatusWord::FILE_DEACTIVATED => {
                report.denied.push(name.into());
                return Ok(None);
            }
            sw if !sw.is_ok() => return wrong(format!("SELECT {name}"), sw),
            _ => {}
        }
        let Some(content) = self.read_selected(channel, &selected.data)? else {
            report.denied.push(name.into());
            return Ok(None);
        };
        report.files.insert(name.into(), content.clone());
        Ok(Some(content))
    }

    /// The content of the selected file; `None` if it may not be read.
    fn read_selected(&mut self, channel: u8, fcp: &[u8]) -> Result<Option<Vec<u8>>, ModemError> {
        let Some(structure) = structure(fcp) else { return wrong("SELECT", "the FCP is malformed") };
        let mut content = Vec::new();
        match structure {
            Structure::Other => {}
            Structure::Transparent { size } => {
                while content.len() < size {
                    let Ok(offset) = u16::try_from(content.len()) else { break };
                    let [p1, p2] = offset.to_be_bytes();
                    let le = u8::try_from(size - content.len()).unwrap_or(0xFF);
                    let answer = self.command([channel, ins::READ_BINARY, p1, p2], &[], Some(le))?;
                    match readable(answer, "READ BINARY")? {
                        None => return Ok(None),
                        Some(piece) if piece.is_empty() => return wrong("READ BINARY", "no data"),
                        Some(piece) => content.extend(piece),
                    }
                }
            }
            Structure::Records { length, count } => {
                for record in 1..=count {
                    let answer = self.command([channel, ins::READ_RECORD, record, 0x04], &[], Some(length))?;
                    match readable(answer, "READ RECORD")? {
                        None => return Ok(None),
                        Some(piece) => content.extend(piece),
                    }
                }
            }
        }
        Ok(Some(content))
    }
}

impl Answer {
    /// The data. Errors: the command failed.
    fn found(self, doing: &str) -> Result<Vec<u8>, ModemError> {
        if self.sw.is_ok() { Ok(self.data) } else { wrong(doing, self.sw) }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({} bytes, {})", self.data.len(), self.sw)
    }
}

/// The data, or `None` where access is refused. Errors: anything else.
fn readable(answer: Answer, doing: &str) -> Result<Option<Vec<u8>>, ModemError> {
    match answer.sw {
        StatusWord::SECURITY_STATUS | StatusWord::REFERENCE_DATA_INVALIDATED | StatusWord::METHOD_BLOCKED => Ok(None),
        _ => answer.found(doing).map(Some),
    }
}

fn name(path: &[u16]) -> String {
    path.iter().map(|fid| format!("{fid:04X}")).collect::<Vec<_>>().join("/")
}

fn application_name(application: &str, path: &[u16]) -> String {
    format!("{application}/{}", name(path))
}

/// An answer to reset that a modem with T=0 accepts (ISO/IEC 7816-3 section 8.2). Errors: what is wrong.
fn check_atr(atr: &[u8]) -> Result<(), &'static str> {
    let [0x3B | 0x3F, t0, rest @ ..] = atr else { return Err("it does not begin with TS and T0") };
    if atr.len() > 33 {
        return Err("it is longer than 33 bytes");
    }
    let mut rest = rest.iter();
    let mut indicator = *t0;
    let mut protocols = Vec::new();
    loop {
        for bit in [0x10, 0x20, 0x40] {
            if indicator & bit != 0 {
                rest.next().ok_or("an interface byte is missing")?;
            }
        }
        if indicator & 0x80 == 0 {
            break;
        }
        indicator = *rest.next().ok_or("an interface byte is missing")?;
        protocols.push(indicator & 0x0F);
    }
    if protocols.first().is_some_and(|first| *first != 0) {
        return Err("T=0 is not the first protocol offered");
    }
    let has_tck = protocols.iter().any(|protocol| *protocol != 0);
    if rest.len() != usize::from(t0 & 0x0F) + usize::from(has_tck) {
        return Err("historical bytes or TCK are missing or too many");
    }
    if has_tck && atr[1..].iter().fold(0, |sum, byte| sum ^ byte) != 0 {
        return Err("TCK is wrong");
    }
    Ok(())
}

/// The value of the first object of a one-byte `tag` in a row of BER-TLV objects with lengths up to 65535.
fn find(mut objects: &[u8], tag: u8) -> Option<&[u8]> {
    loop {
        let (found, value, rest) = match objects {
            [found, 0x81, length, rest @ ..] => (*found, rest.get(..usize::from(*length))?, rest),
            [found, 0x82, high, low, rest @ ..] => {
                (*found, rest.get(..usize::from(u16::from_be_bytes([*high, *low])))?, rest)
            }
            [found, length @ 0..=0x7F, rest @ ..] => (*found, rest.get(..usize::from(*length))?, rest),
            _ => return None,
        };
        if found == tag {
            return Some(value);
        }
        objects = &rest[value.len()..];
    }
}

fn structure(answer: &[u8]) -> Option<Structure> {
    let fcp = find(answer, 0x62)?;
    let descriptor = find(fcp, 0x82)?;
    let size = find(fcp, 0x80).map(|size| size.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)));
    Some(match (descriptor.first()? & 0x3F, descriptor) {
        (0x01, _) => Structure::Transparent { size: size? },
        // Linear fixed and cyclic: the length of a record has two bytes.
        (0x02 | 0x06, [_, _, 0, length, count, ..]) => Structure::Records { length: *length, count: *count },
        (0x02 | 0x06, _) => return None,
        _ => Structure::Other,
    })
}

/// Whether the PIN status template of an FCP says that PIN 1 is disabled (TS 102 221 section 11.1.1.4.10).
fn pin1_disabled(answer: &[u8]) -> bool {
    let Some(template) = find(answer, 0x62).and_then(|fcp| find(fcp, 0xC6)) else { return false };
    let Some(enabled) = find(template, 0x90).and_then(<[u8]>::first) else { return false };
    // One bit for each key reference, the first reference has bit 8.
    let references = template.windows(3).filter(|object| object[..2] == [0x83, 0x01]).map(|object| object[2]);
    references.zip(0..8).any(|(reference, place)| reference == 0x01 && enabled & (0x80 >> place) == 0)
}

/// Number, type and qualifier of a proactive command (TS 102 223 section 8.6).
fn command_details(fetched: &[u8]) -> Option<[u8; 3]> {
    let command = find(fetched, 0xD0)?;
    find(command, 0x81).or_else(|| find(command, 0x01))?.try_into().ok()
}

fn parse_authentication(data: &[u8]) -> Option<Authentication> {
    let (tag, mut rest) = data.split_first()?;
    let mut next = || {
        let (length, after) = rest.split_first()?;
        let (value, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        Some(value)
    };
    match tag {
        0xDB => Some(Authentication::Accepted {
            res: next()?.to_vec(),
            ck: next()?.try_into().ok()?,
            ik: next()?.try_into().ok()?,
        }),
        0xDC => Some(Authentication::SynchronisationFailure(next()?.try_into().ok()?)),
        _ => None,
    }
}

/// Digits of swapped nibbles, up to the first filler.
fn digits(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte & 0x0F, byte >> 4]);
    nibbles.take_while(|nibble| *nibble < 10).map(|nibble| char::from(b'0' + nibble)).collect()
}

/// The IMSI of EF.IMSI (TS 31.102 section 4.2.2): a length, then a parity nibble and the digits.
fn imsi_digits(content: &[u8]) -> Option<String> {
    let (length, digits_follow) = content.split_first()?;
    let imsi = digits_follow.get(..usize::from(*length))?;
    let (first, rest) = imsi.split_first()?;
    let text = format!("{}{}", char::from(b'0' + (first >> 4).min(9)), digits(rest));
    (first & 0x07 == 1 && text.len() >= 6).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn answers_to_reset() {
        assert_eq!(check_atr(&hex!("3B00")), Ok(()));
        // sysmoISIM-SJA2, T=0 and T=15 with a TCK.
        assert_eq!(check_atr(&hex!("3B9F96801F878031E073FE211B674A4C753034054BA9")), Ok(()));
        assert!(check_atr(&hex!("3B9F96801F878031E073FE211B674A4C753034054BA8")).is_err());
        // T=1 only.
        assert!(check_atr(&hex!("3B800181")).is_err());
        for bad in [&hex!("3B")[..], &hex!("3B01"), &hex!("3B0001"), &hex!("3B8080"), &[]] {
            assert!(check_atr(bad).is_err());
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(digits(&hex!("98001032547698103254")), "89000123456789012345");
        assert_eq!(digits(&hex!("980010325476981032F4")), "8900012345678901234");
        assert_eq!(imsi_digits(&hex!("080910101032547698")), Some("001010123456789".into()));
        assert_eq!(imsi_digits(&hex!("FFFFFFFFFFFFFFFFFF")), None);
        assert_eq!(imsi_digits(&hex!("08")), None);
    }

    #[test]
    fn objects() {
        assert_eq!(find(&hex!("8001AA 8202BBCC"), 0x82), Some(&hex!("BBCC")[..]));
        assert_eq!(find(&hex!("628103 8001AA"), 0x62), Some(&hex!("8001AA")[..]));
        assert_eq!(find(&hex!("8005AA"), 0x82), None);
        assert!(!pin1_disabled(&hex!("620E C60C 900160 83010A 830101 830181")));
        assert!(pin1_disabled(&hex!("620B C609 900100 830101 830181")));
        assert!(!pin1_disabled(&hex!("620B C609 900180 830101 830181")));
        let details = command_details(&hex!("D009 8103010104 82028182"));
        assert_eq!(details, Some([1, 1, 4]));
    }
}
