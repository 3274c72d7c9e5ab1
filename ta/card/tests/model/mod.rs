//! A card driven by a stream of bytes, and a naive model that watches what it does: which file may be read and written
//! by whom, and what PINs are worth. Nothing of the card's own code that decides these is used: the rules stand here as
//! a table, from which EF.ARR is written, and what the card did is read from what it answers and from what it stored.
//!
//! For property tests and for the fuzzer.

use teuicc_apdu::{MAX_CHANNEL, Response, StatusWord};
use teuicc_card::profile::{Definition, File, FileIndex, FileKind, Profile, Puk};
use teuicc_card::testing::profile::{self, ProfileBuilder, USIM};
use teuicc_card::testing::{MemoryStore, SeededRng, platform};
use teuicc_card::{Card, ProfileSlot};
use teuicc_wire::Interface;

const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();

/// When a key reference, or several of them, must have been presented.
enum Condition {
    Always,
    Never,
    Any(&'static [u8]),
    All(&'static [u8]),
}

use Condition::{All, Always, Any, Never};

/// What a condition stands for: bits of the access mode byte, or one instruction.
enum Mode {
    Bits(u8),
    Instruction(u8),
}

use Mode::{Bits, Instruction};

/// The records of EF.ARR, from 1.
const RULES: &[&[(Mode, Condition)]] = &[
    &[(Bits(0x01), Always)],
    &[
        (Bits(0x03), Any(&[0x01])),
        (Instruction(0x32), Any(&[0x01])),
        (Bits(0x78), Any(&[0x0A])),
        (Instruction(0xD4), Any(&[0x0A])),
    ],
    &[(Bits(0x01), Any(&[0x01])), (Bits(0x02), Any(&[0x0A])), (Bits(0x18), Any(&[0x81]))],
    &[(Bits(0x01), Always), (Bits(0x02), Never)],
    &[(Bits(0x7F), Always), (Instruction(0xD4), Always), (Instruction(0x32), Always)],
    &[(Bits(0x01), Any(&[0x01, 0x0A])), (Bits(0x02), All(&[0x01, 0x02]))],
    &[(Bits(0x06), Any(&[0x0A])), (Bits(0x78), Any(&[0x0A]))],
    &[(Bits(0x02), Any(&[0x02])), (Bits(0x40), Any(&[0x02, 0x0A])), (Bits(0x01), Never)],
    &[],
    &[(Bits(0x01), Always), (Bits(0x02), Any(&[0x01]))],
];

const RULE_LEN: u8 = 64;
const EF_ARR: u16 = 0x2F06;

fn encode_rules() -> Vec<u8> {
    let key = |key: &u8| vec![0xA4, 0x06, 0x83, 0x01, *key, 0x95, 0x01, 0x08];
    let mut content = Vec::new();
    for rule in RULES {
        let start = content.len();
        for (mode, condition) in *rule {
            content.extend(match mode {
                Bits(bits) => [0x80, 0x01, *bits],
                Instruction(instruction) => [0x84, 0x01, *instruction],
            });
            match condition {
                Always => content.extend([0x90, 0x00]),
                Never => content.extend([0x97, 0x00]),
                Any([one]) => content.extend(key(one)),
                Any(keys) | All(keys) => {
                    content.push(if matches!(condition, Any(_)) { 0xA0 } else { 0xAF });
                    content.push(8 * keys.len() as u8);
                    content.extend(keys.iter().flat_map(key));
                }
            }
        }
        assert!(content.len() - start <= usize::from(RULE_LEN));
        content.resize(start + usize::from(RULE_LEN), 0xFF);
    }
    content
}

/// Reference, value, tries, and the key that unblocks it.
type InitialPin = (u8, [u8; 8], u8, Option<[u8; 8]>);

/// One PIN for each reference.
const PINS: [InitialPin; 4] = [
    (0x01, *b"1111\xFF\xFF\xFF\xFF", 3, Some(*b"unblock1")),
    (0x02, *b"2222\xFF\xFF\xFF\xFF", 2, None),
    (0x0A, *b"adminkey", 5, None),
    (0x81, *b"8181\xFF\xFF\xFF\xFF", 3, Some(*b"unblock2")),
];
const PUK_TRIES: u8 = 4;

/// Path, kind, record of EF.ARR and SFI of the EFs beside EF.ARR. Each holds its place in this list plus 10, over and
/// over, but for two that are linked.
const EFS: &[(&[u16], FileKind, u8, Option<u8>)] = &[
    (&[0x2F01], FileKind::Transparent, 2, Some(1)),
    (&[0x2F02], FileKind::LinearFixed(4), 3, Some(2)),
    (&[0x2F03], FileKind::Cyclic(4), 2, Some(3)),
    (&[0x2F04], FileKind::BerTlv(40), 2, Some(4)),
    (&[0x2F0A], FileKind::Transparent, 4, None),
    (&[0x2F0B], FileKind::Transparent, 5, Some(6)),
    (&[0x2F0C], FileKind::Transparent, 6, Some(7)),
    (&[0x2F0D], FileKind::Transparent, 8, None),
    (&[0x2F0E], FileKind::LinearFixed(4), 9, Some(8)),
    (&[0x7F10, 0x6F3A], FileKind::LinearFixed(4), 2, Some(1)),
    (&[0x7F10, 0x6F3B], FileKind::Transparent, 3, None),
    (&[0x7FFF, 0x6F07], FileKind::Transparent, 3, Some(7)),
    (&[0x7FFF, 0x6F38], FileKind::Cyclic(4), 6, Some(1)),
    (&[0x7FFF, 0x5F3A, 0x4F01], FileKind::BerTlv(40), 5, Some(2)),
    (&[0x7FFF, 0x5F3A, 0x4F02], FileKind::LinearFixed(4), 5, None),
    (&[0x7FFF, 0x5F3A, 0x4F03], FileKind::BerTlv(40), 5, Some(3)),
    (&[0x7F10, 0x6F3C], FileKind::Transparent, 5, Some(5)),
    (&[0x7FFF, REWRITTEN], FileKind::Transparent, 10, Some(6)),
];

/// EF.LOCI, which is kept in memory.
const REWRITTEN: u16 = 0x6F7E;

/// The rule of every directory.
const DIRECTORY_RULE: u8 = 7;

fn build() -> Profile {
    let mut builder = ProfileBuilder::new(SLOT);
    let mut directories = vec![(0x3F00, FileIndex::MF)];
    let add = |builder: &mut ProfileBuilder, parent, kind, fid, aid: &[u8], pins: &[u8]| {
        builder.directory(parent, kind, fid, aid, pins)
    };
    directories.push((0x7F10, add(&mut builder, FileIndex::MF, FileKind::Df, 0x7F10, &[], &[0x01])));
    let usim = add(&mut builder, FileIndex::MF, FileKind::Adf, 0x7FF0, &USIM, &[0x01, 0x81]);
    directories.push((0x7FFF, usim));
    directories.push((0x5F3A, add(&mut builder, usim, FileKind::Df, 0x5F3A, &[], &[])));
    let (mut shown, mut shown_objects) = (FileIndex::MF, FileIndex::MF);
    for (number, (path, kind, rule, sfi)) in EFS.iter().enumerate() {
        let (fid, above) = path.split_last().unwrap();
        let parent = above.last().unwrap_or(&0x3F00);
        let parent = directories.iter().find(|(fid, _)| fid == parent).unwrap().1;
        let byte = number as u8 + 10;
        let content = match kind {
            FileKind::BerTlv(_) => vec![0x80 + byte, 0x03, byte, byte, byte],
            _ => vec![byte; 12],
        };
        let index = builder.ef(parent, *fid, *kind, *sfi, *rule, &content);
        match path {
            [0x7F10, 0x6F3A] => shown = index,
            [.., 0x4F02] => {
                // A link to EF.ADN, with a rule of its own.
                builder.file(index).link = Some(shown);
                builder.file(index).content.clear();
            }
            [0x2F04] => shown_objects = index,
            [.., 0x4F03] => {
                builder.file(index).link = Some(shown_objects);
                builder.file(index).content.clear();
            }
            [0x2F0C] => builder.file(index).shareable = false,
            [.., 0x6F3C] => builder.file(index).visible = false,
            _ => {}
        }
    }
    let mut profile = builder.build();
    for file in &mut profile.files {
        if file.fid == EF_ARR {
            (file.kind, file.content) = (FileKind::LinearFixed(RULE_LEN), encode_rules());
        }
        if matches!(file.kind, FileKind::Mf | FileKind::Df | FileKind::Adf) {
            file.security = teuicc_card::profile::Security::Arr { file: EF_ARR, record: DIRECTORY_RULE };
        }
    }
    profile.pins.clear();
    for (reference, value, tries, puk) in PINS {
        let context = if reference & 0x80 == 0 { FileIndex::MF } else { usim };
        profile.pins.push(teuicc_card::profile::Pin {
            reference,
            context,
            value,
            enabled: true,
            attributes: 0x07,
            max_tries: tries,
            tries_left: tries,
            puk: puk.map(|value| Puk {
                reference: reference & 0x81,
                value,
                max_tries: PUK_TRIES,
                tries_left: PUK_TRIES,
            }),
        });
    }
    profile
}

/// What a PIN is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pin {
    value: [u8; 8],
    enabled: bool,
    tries: u8,
    puk_tries: u8,
}

struct Model {
    card: Card<SeededRng, MemoryStore>,
    store: MemoryStore,
    pins: [Pin; 4],
    /// Which PINs were presented, on each interface.
    presented: [[bool; 4]; 2],
    /// What is stored, and what every file has ever held.
    profile: Profile,
    held: Vec<(u16, Vec<u8>)>,
    /// The place of the file that is kept in memory, and what it holds.
    rewritten: (usize, Vec<u8>),
}

fn is_there(profile: &Profile, place: usize) -> bool {
    profile.files.get(place).is_some_and(|file| file.definition != Definition::Deleted)
}

fn interface(number: usize) -> Interface {
    if number == 0 { Interface::Modem } else { Interface::Lpa }
}

impl Model {
    fn new() -> Self {
        let mut store = MemoryStore::new();
        profile::store(&mut store, build()).unwrap();
        let mut card = Card::boot_with_profile(platform(store.clone(), 7), SLOT);
        card.power_up(Interface::Modem).unwrap();
        card.power_up(Interface::Lpa).unwrap();
        let pins = PINS.map(|(_, value, tries, puk)| Pin {
            value,
            enabled: true,
            tries,
            puk_tries: if puk.is_some() { PUK_TRIES } else { 0 },
        });
        let profile = profile::load(&store, SLOT).unwrap();
        let place = profile.files.iter().position(|file| file.fid == REWRITTEN).unwrap();
        let rewritten = (place, profile.files[place].content.clone());
        let mut model =
            Model { card, store, pins, presented: Default::default(), profile, held: Vec::new(), rewritten };
        model.remember();
        model
    }

    /// Notes what the files hold now.
    fn remember(&mut self) {
        for (index, file) in (0u16..).zip(&self.profile.files) {
            if !self.held.iter().any(|(of, content)| *of == index && *content == file.content) {
                self.held.push((index, file.content.clone()));
            }
        }
    }

    /// Whether the table allows this with a file, on an interface: a bit of the access mode byte, or an instruction.
    fn allows(&self, profile: &Profile, on: usize, file: &File, bit: u8, instruction: u8) -> bool {
        let teuicc_card::profile::Security::Arr { file: arr, record } = file.security else { return false };
        let record = usize::from(record);
        if !file.visible || arr != EF_ARR || record == 0 || record > RULES.len() {
            return false;
        }
        let is_open = |key: &u8| {
            let Some(at) = PINS.iter().position(|(reference, ..)| reference == key) else { return false };
            // PIN2 is known in the USIM only.
            let known = *key != 0x81 || self.is_in_usim(profile, file);
            known && (!self.pins[at].enabled || (self.presented[on][at] && self.pins[at].tries > 0))
        };
        RULES[record - 1].iter().any(|(mode, condition)| {
            let applies = match mode {
                Bits(bits) => bits & bit != 0,
                Instruction(named) => *named == instruction,
            };
            applies
                && match condition {
                    Always => true,
                    Never => false,
                    Any(keys) => keys.iter().any(is_open),
                    All(keys) => keys.iter().all(is_open),
                }
        })
    }

    fn is_in_usim(&self, profile: &Profile, file: &File) -> bool {
        let mut at = file;
        loop {
            if at.kind == FileKind::Adf {
                return true;
            }
            if at.kind == FileKind::Mf {
                return false;
            }
            at = &profile.files[usize::from(at.parent.0)];
        }
    }

    /// Whether a file and all directories above it are activated.
    fn is_alive(&self, profile: &Profile, file: &File) -> bool {
        file.life_cycle == 0x05
            && (file.kind == FileKind::Mf || self.is_alive(profile, &profile.files[usize::from(file.parent.0)]))
    }

    /// Sends a command, and checks what came of it.
    fn send(&mut self, on: usize, apdu: &[u8]) -> StatusWord {
        let before = self.store.snapshot();
        let Response { data, sw } = self.card.transmit(interface(on), apdu).unwrap();
        // Class A0 has status words of its own.
        let gsm = apdu.first() == Some(&0xA0);
        let known = match sw.0 >> 8 {
            0x62..=0x6F | 0x91 | 0x93 => true,
            0x92 | 0x94 => gsm,
            _ => sw == StatusWord::OK || matches!(sw.0, 0x9802..=0x9864),
        };
        assert!(known, "{apdu:02X?} answers {sw}");
        let failed = !sw.is_ok() && !matches!(sw.0 >> 8, 0x62 | 0x63);
        if failed {
            assert!(data.is_empty(), "{apdu:02X?} answers {sw} with data");
        }
        let instruction = apdu.get(1).copied().unwrap_or(0);
        let is_pin = matches!(instruction, 0x20 | 0x24 | 0x26 | 0x28 | 0x2C) && (apdu[0] & 0x80 == 0 || gsm);
        if is_pin {
            self.pin_command(on, apdu, sw);
        }
        if sw.is_ok() || sw.0 == 0x62F1 {
            self.check_read(on, instruction, &data, apdu);
        }
        if sw.is_ok() && instruction == 0xD6 && !gsm {
            self.check_rewritten(on, apdu);
        }
        let after = self.store.snapshot();
        if before != after {
            let tried = is_pin && matches!(sw.0, 0x63C0..=0x63CF | 0x9804 | 0x9840);
            assert!(sw.is_ok() || tried, "{apdu:02X?} answers {sw}, but something was stored");
            let stored = profile::load(&self.store, SLOT).unwrap();
            self.check_written(on, instruction, &stored, apdu);
            self.profile = stored;
            self.remember();
        }
        for (at, pin) in self.profile.pins.iter().enumerate() {
            let puk_tries = pin.puk.as_ref().map_or(0, |puk| puk.tries_left);
            let stored = Pin { value: pin.value, enabled: pin.enabled, tries: pin.tries_left, puk_tries };
            assert_eq!(stored, self.pins[at], "PIN {:02X} after {apdu:02X?}: {sw}", pin.reference);
        }
        sw
    }

    /// What a PIN command must have done, by what it answered.
    fn pin_command(&mut self, on: usize, apdu: &[u8], sw: StatusWord) {
        // CHV1 and CHV2 of class A0 are PIN1 and PIN2.
        let gsm = apdu.first() == Some(&0xA0);
        let reference = apdu.get(3).map(|p2| match p2 {
            2 if gsm => 0x81,
            0 | 1 if gsm => 0x01,
            p2 => *p2,
        });
        let Some(at) = reference.and_then(|wanted| PINS.iter().position(|(reference, ..)| *reference == wanted)) else {
            assert!(!sw.is_ok());
            return;
        };
        let (max, puk) = (PINS[at].2, PINS[at].3);
        let data = match apdu.get(4..) {
            // Lc in one byte, or in three.
            Some([0, high, low, data @ ..]) if data.len() >= usize::from(u16::from_be_bytes([*high, *low])) => {
                &data[..usize::from(u16::from_be_bytes([*high, *low]))]
            }
            Some([length, data @ ..]) => data.get(..usize::from(*length)).unwrap_or(&[]),
            _ => &[],
        };
        let pin = &mut self.pins[at];
        let unblocking = apdu[1] == 0x2C;
        let (right, tries) = match puk {
            Some(puk) if unblocking => (data.get(..8) == Some(&puk[..]), &mut pin.puk_tries),
            _ => (data.get(..8) == Some(&pin.value[..]), &mut pin.tries),
        };
        let sw = match sw.0 {
            0x9804 => 0x63C0 | u16::from(tries.saturating_sub(1)),
            0x9840 if *tries > 0 => 0x63C0,
            0x9840 => 0x6983,
            sw => sw,
        };
        match sw {
            0x9000 | 0x9100..=0x91FF => {
                assert!(right && *tries > 0, "{apdu:02X?} is right");
                assert!(!unblocking || puk.is_some());
                *tries = if unblocking { PUK_TRIES } else { max };
                self.presented[on][at] = true;
                match apdu[1] {
                    0x24 => pin.value = data[8..16].try_into().unwrap(),
                    0x26 => pin.enabled = false,
                    0x28 => pin.enabled = true,
                    0x2C => *pin = Pin { value: data[8..16].try_into().unwrap(), enabled: true, tries: max, ..*pin },
                    _ => {}
                }
            }
            0x63C0..=0x63CF if data.is_empty() => assert_eq!(sw & 0x0F, (*tries).into()),
            0x63C0..=0x63CF => {
                assert!(!right, "{apdu:02X?} is wrong");
                *tries -= 1;
                assert_eq!(sw & 0x0F, (*tries).into());
                if !unblocking {
                    self.presented[on][at] = false;
                }
            }
            0x6983 => assert_eq!(*tries, 0),
            _ => {}
        }
    }

    /// What was read must be from a file that may be read.
    fn check_read(&self, on: usize, instruction: u8, data: &[u8], apdu: &[u8]) {
        if !matches!(instruction, 0xA2 | 0xB0 | 0xB2 | 0xCB) || data.is_empty() {
            return;
        }
        let lists = instruction == 0xA2 || data.starts_with(&[0x5C]);
        let readable = self.profile.files.iter().any(|file| {
            let owner = file.link.map_or(file, |link| &self.profile.files[usize::from(link.0)]);
            let place = self.profile.files.iter().position(|other| core::ptr::eq(other, owner)).unwrap();
            let contains = |content: &[u8]| lists || content.windows(data.len()).any(|part| part == data);
            let held = self.held.iter().any(|(of, content)| usize::from(*of) == place && contains(content));
            held && file.definition != Definition::Deleted
                && self.is_alive(&self.profile, file)
                && self.allows(&self.profile, on, file, 0x01, instruction)
        });
        // Class A0 has EF.SST, which is made of EF.UST, and EF.Phase.
        let made = apdu[0] == 0xA0
            && instruction == 0xB0
            && (data.len() == 1
                || self.profile.files.iter().any(|file| {
                    file.fid == 0x6F38
                        && self.is_alive(&self.profile, file)
                        && self.allows(&self.profile, on, file, 0x01, 0xB0)
                }));
        assert!(readable || made, "{apdu:02X?} reads {data:02X?}");
    }

    /// Reads the file that is kept in memory, on a channel of its own, after an UPDATE on this interface: what it holds
    /// now must be what it may hold. Only if a USIM is active: selecting it begins a session.
    fn check_rewritten(&mut self, on: usize, apdu: &[u8]) {
        let mut read = |apdu: &[u8]| self.card.transmit(interface(on), apdu).unwrap();
        if !read(&[0x80 | apdu[0] & 0x03, 0xF2, 0x00, 0x01]).data.ends_with(&USIM) {
            return;
        }
        let _ = read(&[0x00, 0x70, 0x80, MAX_CHANNEL]);
        assert!(read(&[0x00, 0x70, 0x00, MAX_CHANNEL]).sw.is_ok());
        let class = 0x40 | (MAX_CHANNEL - 4);
        assert!(read(&command(class, 0, [0xA4, 0x04, 0x0C], &USIM)).sw.is_ok());
        assert!(read(&command(class, 0, [0xA4, 0x00, 0x0C], &REWRITTEN.to_be_bytes())).sw.is_ok());
        let now = read(&[class, 0xB0, 0x00, 0x00, 0x00]).data;
        assert!(read(&[0x00, 0x70, 0x80, MAX_CHANNEL]).sw.is_ok());
        let (place, before) = &mut self.rewritten;
        if now != *before {
            *before = now.clone();
            let place = *place;
            let file = &self.profile.files[place];
            assert!(self.allows(&self.profile, on, file, 0x02, 0xD6), "{apdu:02X?} writes a file in memory");
            self.held.push((place as u16, now));
        }
    }

    /// What was written must be what may be written.
    fn check_written(&self, on: usize, instruction: u8, now: &Profile, apdu: &[u8]) {
        let before = &self.profile;
        for place in 0..now.files.len().max(before.files.len()) {
            let there = |profile: &Profile| is_there(profile, place);
            match (there(before), there(now)) {
                (false, false) => {}
                (false, true) => {
                    let file = &now.files[place];
                    let parent = &before.files[usize::from(file.parent.0)];
                    let is_ef = !matches!(file.kind, FileKind::Df);
                    assert_eq!(instruction, 0xE0);
                    assert!(self.is_alive(before, parent));
                    assert!(self.allows(before, on, parent, if is_ef { 0x02 } else { 0x04 }, 0xE0), "{apdu:02X?}");
                }
                (true, false) => {
                    assert_eq!(instruction, 0xE4);
                    // Itself, or a directory above that was deleted with it.
                    let mut at = place;
                    let allowed = loop {
                        let file = &before.files[at];
                        let gone = !is_there(now, at);
                        if gone && self.allows(before, on, file, 0x40, 0xE4) {
                            break true;
                        }
                        if !gone || at == 0 {
                            break false;
                        }
                        at = usize::from(file.parent.0);
                    };
                    assert!(allowed, "{apdu:02X?} deletes {place}");
                    // Not in a directory that is deactivated or terminated, unless that goes with it.
                    let mut at = place;
                    while !is_there(now, usize::from(before.files[at].parent.0)) {
                        at = usize::from(before.files[at].parent.0);
                    }
                    let parent = &before.files[usize::from(before.files[at].parent.0)];
                    assert!(self.is_alive(before, parent), "{apdu:02X?} deletes {place}");
                }
                (true, true) => {
                    let (old, new) = (&before.files[place], &now.files[place]);
                    let allows = |bit| {
                        // Through the file itself, or one that is linked to it.
                        let mut ways = before.files.iter().filter(|file| {
                            core::ptr::eq(*file, old)
                                || (file.link == Some(FileIndex(place as u16))
                                    && file.definition != Definition::Deleted)
                        });
                        ways.any(|file| self.allows(before, on, file, bit, instruction))
                    };
                    if old.life_cycle != new.life_cycle {
                        let bit = match instruction {
                            0x04 => 0x08,
                            0x44 => 0x10,
                            0xE6 | 0xE8 => 0x20,
                            _ => panic!("{apdu:02X?} changes a life cycle"),
                        };
                        assert!(allows(bit), "{apdu:02X?}");
                        let parent = &before.files[usize::from(old.parent.0)];
                        assert!(self.is_alive(before, parent), "{apdu:02X?}");
                    }
                    if place == self.rewritten.0 {
                        // It is written with whatever is.
                        assert!(new.content == old.content || new.content == self.rewritten.1, "{apdu:02X?}");
                    } else if old.content != new.content {
                        let bit = match instruction {
                            0xD6 | 0xDC | 0xDB => 0x02,
                            0x32 | 0xD4 => 0x00,
                            _ => panic!("{apdu:02X?} changes content"),
                        };
                        assert!(allows(bit), "{apdu:02X?} writes {place}");
                    }
                    if old.kind != new.kind {
                        assert_eq!(instruction, 0xD4);
                        assert!(allows(0x00), "{apdu:02X?}");
                    }
                    assert_eq!((old.fid, old.parent, old.visible), (new.fid, new.parent, new.visible));
                }
            }
        }
    }
}

/// Takes numbers out of the stream; 0 when it is over.
struct Stream<'a>(&'a [u8]);

impl Stream<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

/// A command in one of the channels 0 to 3.
fn command(class: u8, channel: usize, [ins, p1, p2]: [u8; 3], data: &[u8]) -> Vec<u8> {
    let mut apdu = vec![class | channel as u8, ins, p1, p2];
    if !data.is_empty() {
        apdu.push(data.len() as u8);
        apdu.extend(data);
    }
    apdu
}

/// Reads commands from a stream, sends them, and checks what comes of each. Panics if the card does what it must not.
pub(crate) fn run(stream: &[u8]) {
    let mut model = Model::new();
    let mut stream = Stream(stream);
    for on in [0, 0, 0, 1, 1, 1] {
        assert!(model.send(on, &command(0x00, 0, [0x70, 0x00, 0x00], &[])).is_ok());
    }
    let mut commands = 0;
    while !stream.0.is_empty() && commands < 400 {
        commands += 1;
        let head = stream.byte();
        let (on, channel) = (usize::from(head >> 7), usize::from(head >> 5 & 3));
        let p = |class, header, data: &[u8]| command(class, channel, header, data);
        let apdu = match head & 0x1F {
            0 => command(0x00, channel * usize::from(stream.byte() & 1), [0x70, 0x00, 0x00], &[]),
            1 => command(0x00, 0, [0x70, 0x80, stream.byte() & 3], &[]),
            2 | 3 | 29 => {
                let (path, ..) = EFS[stream.below(EFS.len())];
                let path: Vec<u8> = path.iter().flat_map(|fid| fid.to_be_bytes()).collect();
                p(0x00, [0xA4, 0x08, 0x0C], &path)
            }
            4 | 30 => p(0x00, [0xA4, 0x04, 0x0C], &USIM),
            5 => {
                let fids = [0x3F00u16, 0x7FFF, 0x7F10, 0x5F3A, 0x6F50, 0x5F50, 0x2F06];
                p(0x00, [0xA4, 0x00, 0x04], &fids[stream.below(fids.len())].to_be_bytes())
            }
            kind @ (6..=10 | 31) => {
                let at = stream.below(PINS.len());
                let (reference, .., puk) = PINS[at];
                let choice = stream.byte();
                let ins = [0x20, 0x24, 0x26, 0x28, 0x2C][usize::from(kind.saturating_sub(6)) % 5];
                let ins = if kind == 31 { 0x20 } else { ins };
                let mut first = if ins == 0x2C { puk.unwrap_or([0; 8]) } else { model.pins[at].value };
                if choice & 0x07 == 7 {
                    first[0] ^= 1;
                }
                let new = [b"1111\xFF\xFF\xFF\xFF", b"90909090"][usize::from(choice >> 3 & 1)];
                let mut data = first.to_vec();
                if matches!(ins, 0x24 | 0x2C) {
                    data.extend(new);
                }
                if choice & 0xF0 == 0xF0 {
                    data.truncate(usize::from(choice & 0x0F));
                }
                p(0x00, [ins, 0x00, reference], &data)
            }
            11 | 12 => {
                let mut apdu =
                    p(0x00, [0xB0, if head & 1 == 0 { 0x80 | stream.byte() & 7 } else { 0 }, stream.byte() & 3], &[]);
                apdu.push(stream.byte() & 0x0F);
                apdu
            }
            13 => {
                let length = stream.below(5) + 1;
                let data = stream.bytes(length);
                p(0x00, [0xD6, [0x00, 0x81, 0x86, 0x87][stream.below(4)], stream.byte() & 7], &data)
            }
            14 => p(0x00, [0xB2, stream.byte() & 3, [0x04, 0x02, 0x03, 0x0C, 0x14, 0x1C][stream.below(6)]], &[]),
            15 => {
                let data = stream.bytes(4);
                p(0x00, [0xDC, stream.byte() & 3, [0x04, 0x02, 0x03, 0x0C, 0x14, 0x1B][stream.below(6)]], &data)
            }
            16 => {
                let data = stream.bytes(1);
                p(0x00, [0xA2, stream.byte() & 3, [0x04, 0x05, 0x0C, 0x14][stream.below(4)]], &data)
            }
            17 => {
                let data = stream.bytes(2);
                p(0x80, [0x32, [0x00, 0x83, 0x81][stream.below(3)], 0x00], &data)
            }
            18 => {
                let tag = [0x5C, 0x80 + 13, 0x80 + 23, 0x85][stream.below(4)];
                p(0x80, [0xCB, 0x00, [0x80, 0x84, 0x82][stream.below(3)]], &[tag])
            }
            19 => p(0x80, [0xCB, 0x00, [0x00, 0x40][stream.below(2)]], &[]),
            20 => {
                let length = stream.below(12) + 1;
                let mut data = stream.bytes(length);
                data[0] = [0x80 + 13, 0x85, 0x86, data[0]][stream.below(4)];
                if let Some(value) = data.get(1) {
                    // Whole, in blocks, or wrong.
                    data[1] = if value & 0xC0 == 0 { value & 0x0F } else { length as u8 - 2 };
                }
                p(0x80, [0xDB, 0x00, [0x80, 0x84, 0x82, 0x00, 0x40][stream.below(5)]], &data)
            }
            21 => p(0x00, [[0x04, 0x44][stream.below(2)], 0x00, 0x00], &[]),
            22 => {
                let fids = [0x2F01u16, 0x2F0B, 0x2F0D, 0x6F3A, 0x7F10, 0x5F3A, 0x4F01, 0x6F50, 0x5F50];
                let fid = fids[stream.below(fids.len())].to_be_bytes();
                p(0x00, [[0x04, 0x44, 0xE6, 0xE8, 0xE4, 0xE4][stream.below(6)], 0x00, 0x00], &fid)
            }
            23 => {
                let record = stream.byte() % 10;
                let directory = [
                    0x62, 0x12, 0x82, 2, 0x78, 0x21, 0x83, 2, 0x5F, 0x50, 0x8A, 1, 5, 0x8B, 3, 0x2F, 0x06, record,
                    0xC6, 0,
                ];
                let file = [
                    0x62,
                    0x17,
                    0x82,
                    2,
                    0x41,
                    0x21,
                    0x83,
                    2,
                    0x6F,
                    0x50,
                    0x8A,
                    1,
                    5,
                    0x8B,
                    3,
                    0x2F,
                    0x06,
                    record,
                    0x80,
                    2,
                    0,
                    stream.byte() & 0x1F,
                    0x88,
                    0,
                ];
                let mut file = file.to_vec();
                file[1] = file.len() as u8 - 2;
                let mut directory = directory.to_vec();
                directory[1] = directory.len() as u8 - 2;
                p(0x00, [0xE0, 0x00, 0x00], if record & 1 == 0 { &file } else { &directory })
            }
            24 => {
                let fids = [0x2F01u16, 0x2F02, 0x2F04, 0x2F0B, 0x6F50];
                let [high, low] = fids[stream.below(fids.len())].to_be_bytes();
                let size = stream.byte() & 0x1F;
                p(0x80, [0xD4, 0x00, 0x00], &[0x62, 0x08, 0x83, 2, high, low, 0x80, 2, 0, size])
            }
            25 => p(0x80, [0xF2, stream.byte() & 3, [0x00, 0x01, 0x0C][stream.below(3)]], &[]),
            26 => {
                if stream.byte() & 0x07 == 0 {
                    model.card.power_up(interface(on)).unwrap();
                    model.presented[on] = Default::default();
                }
                continue;
            }
            27 => gsm_command(&mut stream, &model).unwrap_or_else(|| p(0x00, [0xA4, 0x04, 0x00], &ISDR)),
            _ => {
                let length = stream.below(24);
                stream.bytes(length)
            }
        };
        // A file that were called as EF.ARR would bring rules of its own, which the table does not know.
        if apdu.get(1) == Some(&0xE0) && apdu.windows(4).any(|part| part == [0x83, 2, 0x2F, 0x06]) {
            continue;
        }
        model.send(on, &apdu);
    }
    // Whatever happened, the card boots from it.
    let mut card = Card::boot_with_profile(platform(model.store.clone(), 7), SLOT);
    card.power_up(Interface::Modem).unwrap();
    assert!(card.transmit(Interface::Modem, &[0x80, 0xF2, 0x00, 0x00]).unwrap().sw.is_ok());
}

/// A command of class A0; none for one choice of eight.
fn gsm_command(stream: &mut Stream<'_>, model: &Model) -> Option<Vec<u8>> {
    let gsm = |header, data: &[u8]| Some(command(0xA0, 0, header, data));
    let asking = |header, length| {
        let mut apdu = command(0xA0, 0, header, &[]);
        apdu.push(length);
        Some(apdu)
    };
    match stream.below(8) {
        0 => None,
        1 | 2 => {
            let fids = [0x3F00u16, 0x7F20, 0x7F10, 0x6F3A, 0x6F3B, 0x6F07, 0x6F38];
            gsm([0xA4, 0x00, 0x00], &fids[stream.below(fids.len())].to_be_bytes())
        }
        3 => {
            let (at, chv) = [(0, 1), (3, 2)][stream.below(2)];
            let choice = stream.byte();
            let ins = [0x20, 0x20, 0x24, 0x26, 0x28, 0x2C][usize::from(choice >> 3) % 6];
            let mut data = if ins == 0x2C { PINS[at].3.unwrap() } else { model.pins[at].value }.to_vec();
            data[0] ^= u8::from(choice & 0x07 == 7);
            if matches!(ins, 0x24 | 0x2C) {
                data.extend(b"1111\xFF\xFF\xFF\xFF");
            }
            gsm([ins, 0x00, if ins == 0x2C && chv == 1 { 0 } else { chv }], &data)
        }
        4 => asking([0xB0, 0x00, stream.byte() & 3], stream.byte() & 0x0F),
        5 => asking([0xB2, stream.byte() & 3, 0x04], 4),
        6 => {
            let data = stream.bytes(4);
            gsm([[0xD6, 0xDC][stream.below(2)], stream.byte() & 1, [0x00, 0x04][stream.below(2)]], &data)
        }
        _ => asking([[0x04, 0x44, 0xF2][stream.below(3)], 0x00, 0x00], stream.byte() & 0x1F),
    }
}

/// AID of the ISD-R.
const ISDR: [u8; 16] = *b"\xA0\x00\x00\x05\x59\x10\x10\xFF\xFF\xFF\xFF\x89\x00\x00\x01\x00";
