//! Files that a modem rewrites all the time: when they are written, and what a power cut takes with it.

use crate::{Bench, SLOT, aka, string};
use proptest::prelude::*;
use teuicc_card::profile::{FileIndex, FileKind, Profile};
use teuicc_card::testing::profile::{ProfileBuilder, rule};
use teuicc_card::testing::{PowerCut, profile};
use teuicc_card::{ObjectId, Store};
use teuicc_wire::Interface;

/// The files that TS 31.102 has a modem rewrite all the time, as paths under the ADF of a USIM.
const REWRITTEN: [&str; 15] = [
    "6F08", "6F09", "6F5B", "6F73", "6F7B", "6F7E", "6FE3", "6FE4", "5FC04F01", "5FC04F02", "5FC04F03", "5FC04F04",
    "5FC04F05", "5F3B4F20", "5F3B4F52",
];
/// Files beside them, or of the same names in other places, as paths from the MF.
const STORED_AT_ONCE: [&str; 6] = ["6F7E", "7F106F7E", "7F105F3B4F20", "7FFF6F46", "7FFF5F3B4F63", "7FFF5FC04F07"];

const LENGTH: usize = 12;

/// The files of both lists, none with a special file information, all to be written by anybody; and a USIM that needs
/// no PIN to authenticate.
fn files() -> Profile {
    let mut builder = ProfileBuilder::new(SLOT);
    let usim = builder.directory(FileIndex::MF, FileKind::Adf, 0x7FF0, &profile::USIM, &[0x0A]);
    let telecom = builder.directory(FileIndex::MF, FileKind::Df, 0x7F10, &[], &[]);
    let mut directories = vec![("", FileIndex::MF), ("7FFF", usim), ("7F10", telecom)];
    for (path, parent, fid) in [("7FFF5FC0", usim, 0x5FC0), ("7FFF5F3B", usim, 0x5F3B), ("7F105F3B", telecom, 0x5F3B)] {
        directories.push((path, builder.directory(parent, FileKind::Df, fid, &[], &[])));
    }
    let all = REWRITTEN.iter().map(|path| format!("7FFF{path}")).chain(STORED_AT_ONCE.map(String::from));
    for path in all {
        let (directory, fid) = path.split_at(path.len() - 4);
        let parent = directories.iter().find(|(path, _)| *path == directory).unwrap().1;
        let fid = u16::from_str_radix(fid, 16).unwrap();
        let kind = match fid {
            0x6FE4 | 0x4F03 | 0x4F04 => FileKind::LinearFixed(LENGTH as u8),
            _ => FileKind::Transparent,
        };
        builder.ef(parent, fid, kind, None, rule::ALWAYS, &[0xFF; LENGTH]);
    }
    builder.ef(usim, 0x6F5C, FileKind::Transparent, None, rule::ALWAYS, &[0x10, 0x00, 0x00]);
    let [algorithm, _] = &profile::profile(SLOT).naas[..] else { panic!() };
    let teuicc_card::profile::Algorithm::Milenage { k, opc, rotations, constants } = &algorithm.algorithm else {
        panic!()
    };
    builder.naa(
        usim,
        teuicc_card::profile::Algorithm::Milenage { k: *k, opc: *opc, rotations: *rotations, constants: *constants },
    );
    builder.build()
}

fn bench() -> Bench {
    let mut bench = Bench::with(files());
    bench.select_usim();
    let _ = bench.replaces();
    bench
}

fn select(bench: &mut Bench, path: &str) {
    bench.ok(&format!("00A4080C{:02X}{path}", path.len() / 2));
}

/// UPDATE of the whole file, or its first record.
fn update(bench: &mut Bench, path: &str, content: &str) -> u16 {
    select(bench, path);
    let sw = bench.sw(&format!("00D60000{LENGTH:02X}{content}"));
    if sw == 0x6981 { bench.sw(&format!("00DC0104{LENGTH:02X}{content}")) } else { sw }
}

fn read(bench: &mut Bench, path: &str) -> String {
    select(bench, path);
    let (data, sw) = bench.apdu("00B0000000");
    if sw == 0x6981 { bench.ok("00B2010400") } else { data }
}

fn filled(byte: u8) -> String {
    string(&[byte; LENGTH])
}

#[test]
fn a_file_is_known_by_its_place() {
    let mut bench = bench();
    for path in REWRITTEN {
        assert_eq!(update(&mut bench, &format!("7FFF{path}"), &filled(1)), 0x9000);
        assert_eq!(bench.replaces(), 0, "{path}");
    }
    for path in STORED_AT_ONCE {
        assert_eq!(update(&mut bench, path, &filled(1)), 0x9000);
        assert_eq!(bench.replaces(), 1, "{path}");
    }
    // In a USIM without an IMSI they mean the same, in an application that is no USIM nothing.
    for (code, replaces) in [("100B", 0), ("1004", 1)] {
        let mut profile = files();
        for file in profile.files.iter_mut().filter(|file| !file.aid.is_empty()) {
            file.aid[5..7].copy_from_slice(&crate::hex(code));
        }
        profile.naas.clear();
        let mut other = Bench::with(profile);
        other.ok(&format!("00A4040C07A000000087{code}"));
        let _ = other.replaces();
        assert_eq!(update(&mut other, "7FFF6F7E", &filled(1)), 0x9000);
        assert_eq!(other.replaces(), replaces, "{code}");
    }
}

#[test]
fn they_are_written_together_at_a_reset_and_at_power_down_and_with_what_else_is_written() {
    type Moment = fn(&mut Bench);
    let moments: [(&str, Moment, u32); 4] = [
        ("reset", |bench| assert!(bench.card.power_up(Interface::Modem).is_ok()), 1),
        ("power-down", |bench| bench.card.power_down(Interface::Modem).unwrap(), 1),
        ("wrong PIN", |bench| assert_eq!(bench.sw("0020000108FFFFFFFFFFFFFFFF"), 0x63C2), 1),
        ("AUTHENTICATE", |bench| drop(bench.ok(&aka::challenge(&[7; 16], aka::sqn(1, 0)))), 1),
    ];
    for (name, moment, writes) in moments {
        let mut bench = bench();
        for path in REWRITTEN {
            update(&mut bench, &format!("7FFF{path}"), &filled(2));
        }
        assert_eq!(bench.replaces(), 0);
        moment(&mut bench);
        assert_eq!(bench.replaces(), writes, "{name}");
        bench.reboot();
        bench.select_usim();
        for path in REWRITTEN {
            assert_eq!(read(&mut bench, &format!("7FFF{path}")), filled(2), "{name} {path}");
        }
    }
}

#[test]
fn no_more_than_63_updates_are_in_memory_only() {
    let mut bench = bench();
    select(&mut bench, "7FFF6F7E");
    for round in 0..640u32 {
        bench.ok(&format!("00D6000002{round:04X}"));
        assert_eq!(bench.replaces(), u32::from(round % 64 == 63), "{round}");
    }
    // What cannot be written stays, and is no error of the update.
    bench.store.arm(PowerCut { at_write: 0, written: false });
    for round in 0..130u32 {
        bench.ok(&format!("00D60000021{:03X}", round));
    }
    assert_eq!(bench.replaces(), 2);
    bench.store.power_on();
    bench.card.power_down(Interface::Modem).unwrap();
    bench.reboot();
    bench.select_usim();
    assert!(read(&mut bench, "7FFF6F7E").starts_with("1081"));
}

#[test]
fn a_security_context_is_taken_back_at_once() {
    const VALID: &str = "A00A800101 810401020304 FF"; // 2 + 3 + 6 bytes, padded
    const VALID_2: &str = "A00A800102 810401020305 FF";
    const USED: &str = "A00A800107 810401020304 FF";
    let record =
        |text: &str| text.replace(' ', "").chars().chain("FFFFFF".chars()).take(2 * LENGTH).collect::<String>();
    for (path, valid, valid_2, used) in [
        ("7FFF6FE4", record(VALID), record(VALID_2), record(USED)),
        ("7FFF5FC04F03", record(VALID), record(VALID_2), filled(0xFF)),
        ("7FFF5FC04F04", record(VALID), record(VALID_2), record(USED)),
        (
            "7FFF6F5B",
            record("0FFFFF 0FFFFF FFFFFFFFFFFF"),
            record("0EFFFF 00FFFF FFFFFFFFFFFF"),
            record("100000 100000 FFFFFFFFFFFF"),
        ),
    ] {
        let mut bench = bench();
        for content in [&valid, &valid_2] {
            assert_eq!(update(&mut bench, path, content), 0x9000);
            assert_eq!(bench.replaces(), 0, "{path}: losing it costs an authentication");
        }
        bench.card.power_up(Interface::Modem).unwrap();
        bench.select_usim();
        assert_eq!(bench.replaces(), 1);
        for written in [false, true] {
            bench.store.arm(PowerCut { at_write: 0, written });
            assert_eq!(update(&mut bench, path, &used), 0x6581, "{path}");
            assert_eq!(read(&mut bench, path), valid_2);
            bench.reboot();
            bench.select_usim();
            assert_eq!(read(&mut bench, path), if written { used.clone() } else { valid_2.clone() });
        }
    }
}

/// A terminal that takes a context up, does not mark it, and writes it with the counters that it came to: the old ones
/// must not come back, since the key is the same.
#[test]
fn a_security_context_whose_counters_went_on_is_stored_at_once() {
    let context = |identifier: u8, key: u16, count: u8| format!("A00A8001{identifier:02X}8102{key:04X}8201{count:02X}");
    let start = |start: u8| format!("0000{start:02X}0000000000000000FF");
    for (path, steps) in [
        ("7FFF6FE4", [context(1, 0x1122, 1), context(1, 0x1122, 2), context(1, 0x1123, 0), context(2, 0x1123, 1)]),
        ("7FFF5FC04F03", [context(1, 0x1122, 1), context(1, 0x1122, 2), context(1, 0x1123, 0), context(1, 0x1123, 1)]),
        // START goes up with the same keys and is reset with new ones.
        ("7FFF6F5B", [start(1), start(2), start(1), start(2)]),
    ] {
        let mut bench = bench();
        for (step, content) in steps.iter().enumerate() {
            assert_eq!(update(&mut bench, path, content), 0x9000);
            assert_eq!(bench.replaces(), u32::from(step % 2 == 1), "{path} {content}");
            assert_eq!(update(&mut bench, path, content), 0x9000);
            assert_eq!(bench.replaces(), 0, "nothing changed");
        }
        for written in [false, true] {
            update(&mut bench, path, &steps[0]);
            bench.card.power_up(Interface::Modem).unwrap();
            bench.select_usim();
            bench.store.arm(PowerCut { at_write: 0, written });
            assert_eq!(update(&mut bench, path, &steps[1]), 0x6581);
            bench.reboot();
            bench.select_usim();
            assert_eq!(read(&mut bench, path), steps[usize::from(written)]);
        }
    }
}

/// What is done with the card.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// UPDATE of one of [`REWRITTEN`].
    Rewrite(usize, u8),
    /// UPDATE of one of [`STORED_AT_ONCE`].
    Update(usize, u8),
    WrongPin,
    Authenticate,
    Reset,
    PowerDown,
}

/// What the card must hold.
#[derive(Clone, PartialEq, Debug)]
struct Model {
    rewritten: [u8; 15],
    updated: [u8; 6],
    pin_tries: u8,
    /// How many challenges were answered.
    answered: u64,
}

impl Model {
    fn new() -> Self {
        Model { rewritten: [0xFF; 15], updated: [0xFF; 6], pin_tries: 3, answered: 0 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Rewrite(file, byte) => self.rewritten[file] = byte,
            Step::Update(file, byte) => self.updated[file] = byte,
            Step::WrongPin => self.pin_tries = self.pin_tries.saturating_sub(1),
            Step::Authenticate => self.answered += 1,
            Step::Reset | Step::PowerDown => {}
        }
    }
}

/// Does one step; whether the card acknowledged it.
fn perform(bench: &mut Bench, step: Step, answered: u64) -> bool {
    match step {
        Step::Rewrite(file, byte) => update(bench, &format!("7FFF{}", REWRITTEN[file]), &filled(byte)) == 0x9000,
        Step::Update(file, byte) => update(bench, STORED_AT_ONCE[file], &filled(byte)) == 0x9000,
        Step::WrongPin => bench.sw("0020000108FFFFFFFFFFFFFFFF") != 0x6581,
        Step::Authenticate => bench.sw(&aka::challenge(&[7; 16], aka::sqn(answered + 1, 0))) == 0x9000,
        Step::Reset => {
            bench.card.power_up(Interface::Modem).unwrap();
            bench.select_usim();
            true
        }
        Step::PowerDown => {
            let done = bench.card.power_down(Interface::Modem).is_ok();
            bench.card.power_up(Interface::Modem).unwrap();
            bench.select_usim();
            done
        }
    }
}

/// What the card holds, as far as it can be asked.
fn observe(bench: &mut Bench, answered: u64) -> Model {
    bench.select_usim();
    let byte = |content: String| u8::from_str_radix(&content[..2], 16).unwrap();
    let rewritten = REWRITTEN.map(|path| byte(read(bench, &format!("7FFF{path}"))));
    let updated = STORED_AT_ONCE.map(|path| byte(read(bench, path)));
    let tries = bench.sw("00200001");
    let pin_tries = if tries == 0x6983 { 0 } else { (tries & 0x0F) as u8 };
    // No challenge that was answered is answered again; AUTS tells the last one.
    let replay = bench.ok(&aka::challenge(&[7; 16], aka::sqn(answered, 0)));
    let sqn_ms = aka::resynchronised(&[7; 16], &replay);
    let answered = sqn_ms.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) >> 5;
    Model { rewritten, updated, pin_tries, answered }
}

/// Performs `steps` with the power cut at one write, and compares what is there afterwards.
fn cut(steps: &[Step], cut: PowerCut) -> bool {
    let mut bench = bench();
    bench.store.arm(cut);
    let mut model = Model::new();
    // What the rewritten files held when they were last stored, and how many updates came since.
    let (mut stored, mut kept) = (model.rewritten, 0);
    for &step in steps {
        let before = bench.store.snapshot()[&ObjectId::Hot(SLOT)].clone();
        let acknowledged = perform(&mut bench, step, model.answered);
        let after = &bench.store.snapshot()[&ObjectId::Hot(SLOT)];
        let previous = model.clone();
        model.step(step);
        kept += u32::from(model.rewritten != previous.rewritten);
        if *after != before {
            (stored, kept) = (model.rewritten, 0);
        }
        assert!(kept < 64);
        if bench.store.list().is_ok() {
            assert!(acknowledged, "{step:?}");
            continue;
        }
        bench.reboot();
        let now = observe(&mut bench, previous.answered);
        let expected = |model: Model| Model { rewritten: stored, ..model };
        let (not_done, done) = (expected(previous), expected(model));
        assert!(now == done || (now == not_done && !acknowledged), "{step:?}: {now:?}, not {done:?}");
        return true;
    }
    false
}

#[test]
fn a_cut_at_any_write_takes_nothing_but_the_last_updates_of_these_files() {
    let mut steps = Vec::new();
    for round in 0..3 {
        steps.extend([Step::Rewrite(5, round), Step::Update(0, round), Step::Rewrite(0, round), Step::WrongPin]);
        steps.extend((0..70).map(|update| Step::Rewrite(usize::from(update % 15), update)));
        steps.extend([Step::Authenticate, Step::Rewrite(7, round), Step::Reset, Step::Rewrite(8, round)]);
        steps.extend([Step::Update(3, round), Step::PowerDown, Step::PowerDown]);
    }
    let mut writes = 0;
    while [false, true].map(|written| cut(&steps, PowerCut { at_write: writes, written })) == [true, true] {
        writes += 1;
    }
    // Each round: 2 updates, a wrong PIN, AUTHENTICATE, the 64th update, a reset, a power-down.
    assert_eq!(writes, 21);
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..REWRITTEN.len(), any::<u8>()).prop_map(|(file, byte)| Step::Rewrite(file, byte)),
        2 => (0..STORED_AT_ONCE.len(), any::<u8>()).prop_map(|(file, byte)| Step::Update(file, byte)),
        1 => Just(Step::WrongPin),
        2 => Just(Step::Authenticate),
        1 => Just(Step::Reset),
        1 => Just(Step::PowerDown),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_cut_in_any_session(
        steps in proptest::collection::vec(step(), 1..120),
        at_write in 0u32..12,
        written in any::<bool>(),
    ) {
        let _ = cut(&steps, PowerCut { at_write, written });
    }
}
