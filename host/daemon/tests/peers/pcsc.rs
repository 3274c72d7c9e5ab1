//! pcscd and its virtual reader, as every test here uses them.

use crate::common::{Background, Machine, run, run_with, wait_until};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first slot of Debian's vpcd, as pcscd names it.
pub(crate) const READER: &str = "Virtual PCD 00 00";
/// How long a reader may take to notice that a card came, went or changed.
pub(crate) const NOTICE: Duration = Duration::from_secs(10);

/// Whether the tests are to run; says so if not.
pub(crate) fn wanted() -> bool {
    let wanted = std::env::var_os("TEUICC_PEERS").is_some();
    if !wanted {
        eprintln!("skipped: TEUICC_PEERS is not set, run what is in build/peers");
    }
    wanted
}

/// Says what is being tried, and when.
pub(crate) struct Steps(Instant);

impl Steps {
    pub(crate) fn start() -> Steps {
        Steps(Instant::now())
    }

    pub(crate) fn step(&self, what: &str) {
        println!("{:>6.1} s  {what}", self.0.elapsed().as_secs_f32());
    }
}

/// pcscd and its virtual reader, for one test at a time.
pub(crate) struct Pcsc {
    // In this order: the next test waits until this pcscd has ended.
    _pcscd: Background,
    _alone: MutexGuard<'static, ()>,
}

impl Pcsc {
    pub(crate) fn start(machine: &Machine) -> Pcsc {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = machine.command("pcscd");
        let mut pcscd = Background::start(command.arg("--foreground"), &machine.folder().join("pcscd.log"));
        let listens = || pcsc_readers(machine).contains(READER).then_some(());
        if wait_until(NOTICE, listens).is_none() {
            panic!("pcscd shows no virtual reader. Is another one running? {}\n{}", pcscd.running(), pcscd.log());
        }
        Pcsc { _pcscd: pcscd, _alone: alone }
    }
}

/// What opensc-tool says of the readers.
fn pcsc_readers(machine: &Machine) -> String {
    run(machine.command("opensc-tool").arg("--list-readers")).stdout
}

/// Waits until there is a card in the reader, or none.
pub(crate) fn await_card(machine: &Machine, expected: bool) {
    let line = || pcsc_readers(machine).lines().find(|line| line.contains(READER)).map(str::to_owned);
    let there = || line().is_some_and(|line| line.split_whitespace().nth(1) == Some("Yes"));
    let seen = wait_until(NOTICE, || (there() == expected).then_some(()));
    assert!(seen.is_some(), "pcscd should see {} card:\n{}", if expected { "a" } else { "no" }, pcsc_readers(machine));
}

/// Sends command TPDUs over T=0 in one session: the responses with their status words.
pub(crate) fn scriptor(machine: &Machine, commands: &[&str]) -> Result<Vec<Vec<u8>>, String> {
    let outcome = run_with(machine.command("scriptor").args(["-r", READER, "-p", "T=0"]), &commands.join("\n"));
    let answers: Vec<_> = outcome.stdout.split("\n< ").skip(1).filter_map(answer_bytes).collect();
    if answers.len() == commands.len() { Ok(answers) } else { Err(outcome.describe()) }
}

/// The bytes of "98 88 ... 90 00 : Normal processing.", which may go over several lines.
fn answer_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.split(" : ").next()?;
    digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// A transparent file read as a modem does, through pcscd; `None` if the card has no such file now.
pub(crate) fn read_file(machine: &Machine, path: &[&str], length: u8) -> Result<Option<Vec<u8>>, String> {
    let read = format!("00 B0 00 00 {length:02X}");
    let answers = scriptor(machine, &[path, &[&read]].concat())?;
    let Some((content, selected)) = answers.split_last() else { return Err("no answers".into()) };
    if selected.iter().any(|answer| answer.first() != Some(&0x61)) {
        return Ok(None);
    }
    match content.split_last_chunk::<2>() {
        Some((content, [0x90, 0x00])) => Ok(Some(content.to_vec())),
        _ => Err(format!("READ BINARY was answered {}", hex::encode(content))),
    }
}

/// Waits until the modem's side sees this ICCID in EF.ICCID, or no such file.
pub(crate) fn await_iccid(machine: &Machine, expected: Option<&str>) {
    let expected = expected.map(swapped);
    let mut last = Ok(None);
    let found = wait_until(NOTICE, || {
        last = read_file(machine, &["00 A4 00 04 02 2F E2"], 10);
        (last.as_ref().ok() == Some(&expected)).then_some(())
    });
    let expected = expected.map(hex::encode);
    assert!(found.is_some(), "EF.ICCID should be {expected:?} for the modem, but is {last:02x?}");
}

pub(crate) fn imsi(machine: &Machine) -> Vec<u8> {
    let usim = "00 A4 04 04 07 A0 00 00 00 87 10 02";
    read_file(machine, &[usim, "00 A4 00 04 02 6F 07"], 9).unwrap().expect("the USIM has EF.IMSI")
}

/// Digits in BCD as a SIM has them: two a byte, swapped, filled up with F.
pub(crate) fn swapped(digits: &str) -> Vec<u8> {
    let filled = format!("{digits}F");
    let pairs = filled.as_bytes()[..digits.len().next_multiple_of(2)].chunks(2);
    pairs.map(|pair| hex::decode([pair[1], pair[0]]).unwrap()[0]).collect()
}

/// EF.IMSI: length, then the digits after a nibble of type and parity.
pub(crate) fn ef_imsi(digits: &str) -> Vec<u8> {
    [vec![8], swapped(&format!("9{digits}"))].concat()
}

/// The folder of published test material; says so if there is none.
pub(crate) fn published() -> Option<PathBuf> {
    let data = std::env::var_os("TEUICC_TESTDATA").map(PathBuf::from);
    if data.is_none() {
        eprintln!("skipped: TEUICC_TESTDATA is not set");
    }
    data
}

/// A card in the reader: all that a test needs of our side.
pub(crate) struct Bench {
    pub(crate) machine: Machine,
    /// Where the SGP.26 identity lies, if the card has that one.
    sgp26: Option<PathBuf>,
    // In this order: the card leaves before its reader.
    _daemon: Background,
    _pcsc: Pcsc,
}

impl Bench {
    /// With an identity of a test PKI of its own, or, with the published material, that of SGP.26.
    pub(crate) fn start(data: Option<&Path>) -> Bench {
        let machine = Machine::new();
        let pcsc = Pcsc::start(&machine);
        let daemon = machine.daemon(&[]);
        await_card(&machine, true);
        match data {
            Some(data) => personalize_sgp26(&machine, data),
            None => {
                machine.teuicc(&["pki"]).ok();
                machine.teuicc(&["card", "personalize"]).ok();
            }
        }
        Bench { machine, sgp26: data.map(|data| data.join("sgp26")), _daemon: daemon, _pcsc: pcsc }
    }

    /// Brings a profile (a package or a description) into the card as every other, through the SM-DP+ and our LPA, and
    /// enables it.
    pub(crate) fn install(&self, profile: &Path) {
        let (mut identity, mut trust) = (Vec::new(), vec!["lpa".to_owned()]);
        if let Some(sgp26) = &self.sgp26 {
            let ci = sgp26.join("CertificateIssuer/CERT_CI_ECDSA_NIST.der");
            identity.extend(["--pki", sgp26.to_str().unwrap()]);
            trust.extend(["--ci".to_owned(), ci.to_str().unwrap().to_owned()]);
        }
        let trust: Vec<_> = trust.iter().map(String::as_str).collect();
        let (_smdp, _) = self.machine.smdp(&identity);
        let added = [&["--json", "smdp", "add-profile", profile.to_str().unwrap()], &identity[..]].concat();
        let iccid = self.machine.teuicc(&added).ok().object()["iccid"].as_str().unwrap().to_owned();
        let code = self.machine.order(&iccid, &identity);
        self.machine.teuicc(&[&trust[..], &["download", "--yes", &code]].concat()).ok();
        self.machine.teuicc(&["lpa", "enable", &iccid]).ok();
        await_iccid(&self.machine, Some(&iccid));
    }
}

/// The published profile packages.
pub(crate) fn packages(data: &Path) -> Vec<PathBuf> {
    let mut packages: Vec<_> =
        std::fs::read_dir(data.join("ts48")).unwrap().map(|entry| entry.unwrap().path()).collect();
    packages.sort();
    assert!(!packages.is_empty());
    packages
}

/// Gives the card the published SGP.26 identity, on both curves, of a CI for tests.
pub(crate) fn personalize_sgp26(machine: &Machine, data: &Path) {
    let mut arguments = vec!["card".to_owned(), "personalize".into(), "--test-ci".into()];
    for curve in ["NIST", "BRP"] {
        for (option, file) in [
            ("--import-ci", format!("CertificateIssuer/CERT_CI_ECDSA_{curve}.der")),
            ("--import-eum", format!("EUM/CERT_EUM_ECDSA_{curve}.der")),
            ("--import-euicc", format!("eUICC/CERT_EUICC_ECDSA_{curve}.der")),
            ("--import-key", format!("eUICC/SK_EUICC_ECDSA_{curve}.pkcs8.der")),
        ] {
            arguments.extend([option.to_owned(), data.join("sgp26").join(file).to_str().unwrap().to_owned()]);
        }
    }
    machine.teuicc(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).ok();
}
