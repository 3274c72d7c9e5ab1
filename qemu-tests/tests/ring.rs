//! The card in a real OP-TEE. Each test boots machines of its own. Needs what `build/qemu --prepare` makes; runs where
//! `TEUICC_QEMU=1` is set. `TEUICC_QEMU_SEED` and `TEUICC_QEMU_CUTS` change which cuts are made, and how many.
//!
//! Numbers that are worth a look are printed as JSON, one object a line.

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use teuicc_lpa::LpaError;
use teuicc_modem_bridge::testing::network::Authentication;
use teuicc_qemu_tests::machine::HOST;
use teuicc_qemu_tests::relay::CLIENT;
use teuicc_qemu_tests::world::{Card, OneByOne, Subscription};
use teuicc_qemu_tests::{Disk, Image, Machine, World};
use teuicc_rsp::codes::ErrorReason;
use teuicc_slot::LinkError;
use teuicc_wire::{Error, State};

/// Where the secure storage's files are in the guest.
const STORAGE: &str = "/var/lib/optee-client/data/tee";

/// Where the tests keep a copy of them, on the same disk.
const WHOLE: &str = "/var/lib/optee-client/whole";

/// The image that most tests run on.
fn main_image() -> Option<Image> {
    Image::for_test("TEUICC_QEMU_IMAGE")
}

fn show(what: &str, mut numbers: Value) {
    numbers["numbers"] = what.into();
    println!("{numbers}");
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = work();
    (result, milliseconds(started.elapsed()))
}

/// A command of the user that the TA takes requests from.
fn as_user(user: &str, command: &str) -> String {
    format!("su {user} -s /bin/sh -c '{command}'")
}

/// Random numbers that are the same in every run with the same seed (xorshift).
struct Random(u64);

impl Random {
    fn new(salt: u64) -> Self {
        let seed = std::env::var("TEUICC_QEMU_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
        Random((seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32_D192_ED03)) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A part of `whole`, at times a little more than all of it.
    fn part_of(&mut self, whole: Duration) -> Duration {
        whole.mul_f64((self.next() % 1100) as f64 / 1000.0)
    }

    fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes
    }
}

/// How many cuts a test of one kind makes.
fn cuts(usual: u32) -> u32 {
    std::env::var("TEUICC_QEMU_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(usual)
}

/// A machine whose card is personalized.
fn personalized(image: &Image, world: &World) -> anyhow::Result<(Machine, Card, Disk)> {
    let disk = Disk::empty(image)?;
    let (machine, card) = inserted(image, &disk)?;
    personalize(&card, world)?;
    Ok((machine, card, disk))
}

fn inserted(image: &Image, disk: &Disk) -> anyhow::Result<(Machine, Card)> {
    let mut machine = Machine::boot(image, disk)?;
    let card = Card::insert(&mut machine)?;
    Ok((machine, card))
}

fn personalize(card: &Card, world: &World) -> anyhow::Result<()> {
    world.personalize(&mut SlotLink(card)).map(|_| ())
}

/// The slot, for the factory.
struct SlotLink<'a>(&'a Card);

impl teuicc_slot::CardLink for SlotLink<'_> {
    fn hello(&mut self) -> Result<teuicc_slot::Hello, LinkError> {
        self.0.slot.blocking_hello()
    }

    fn power_up(&mut self, interface: teuicc_slot::Interface) -> Result<Vec<u8>, LinkError> {
        Ok(self.0.slot.blocking_power_up(interface)?.atr)
    }

    fn power_down(&mut self, interface: teuicc_slot::Interface) -> Result<(), LinkError> {
        self.0.slot.blocking_power_down(interface)
    }

    fn transmit(&mut self, _: teuicc_slot::Interface, _: &[Vec<u8>]) -> Result<teuicc_slot::Transmitted, LinkError> {
        Err(LinkError::NotSupported("commands"))
    }

    fn factory_request(&mut self, request: &teuicc_wire::FactoryRequest<'_>) -> Result<Vec<u8>, LinkError> {
        self.0.slot.blocking_factory_request(request)
    }

    fn personalize(&mut self, settings: &teuicc_wire::Personalization<'_>) -> Result<(), LinkError> {
        self.0.slot.blocking_personalize(settings)
    }
}

/// Writes that the guest's disk has taken, from its start.
fn disk_writes(machine: &mut Machine) -> anyhow::Result<u64> {
    let statistics = machine.run("cat /sys/block/vda/stat")?.success()?;
    let field = statistics.split_whitespace().nth(4).context("the disk's statistics")?;
    Ok(field.parse()?)
}

/// One authentication with a challenge that is newer than all before.
fn authenticate(
    card: &Card,
    subscription: &mut Subscription,
    random: &mut Random,
) -> anyhow::Result<teuicc_modem_bridge::testing::network::Challenge> {
    let mut modem = card.modem(subscription)?;
    let challenge = subscription.subscriber.challenge(random.bytes());
    let answer = modem.authenticate(&challenge.rand, &challenge.autn)?;
    ensure!(challenge.accepts(&answer), "the network does not accept {answer:?}");
    Ok(challenge)
}

// 1.
#[test]
fn xtest_finds_the_image_sound() {
    let Some(image) = main_image() else { return };
    let disk = Disk::empty(&image).unwrap();
    let mut machine = Machine::boot(&image, &disk).unwrap();
    // Core, TAs and their signatures, trusted storage.
    for tests in ["1001", "1004", "1006", "6001", "6003"] {
        let output = machine.run_within(&format!("xtest -t regression {tests}"), Duration::from_secs(120)).unwrap();
        assert_eq!(output.code, 0, "xtest {tests}: {}", output.text());
    }
    show("boot", json!({ "power_on_to_shell_ms": milliseconds(machine.boot_time) }));
}

// 2.
#[test]
fn the_whole_demo_with_the_ta_as_the_card() {
    let Some(_) = main_image() else { return };
    let folder = std::env::var("TEUICC_QEMU_IMAGE").unwrap();
    let program = env!("CARGO_BIN_EXE_teuicc-qemu");
    let output = Command::new(program).args(["--image", &folder, "--demo", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let steps: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for expected in ["personalize", "download", "enable", "attach", "aka", "resynchronize", "demo"] {
        let step = steps.iter().find(|step| step["step"] == expected);
        let step = step.unwrap_or_else(|| panic!("the demo has no step {expected}"));
        assert_eq!(step["ok"], true, "{step}");
        show("demo", step.clone());
    }
}

// 3.
#[test]
fn everything_outlives_a_reboot_and_sqn_goes_on() {
    let Some(image) = main_image() else { return };
    let world = World::new().unwrap();
    let mut random = Random::new(3);
    let mut subscription = world.subscribe(1).unwrap();
    let (mut machine, card, disk) = personalized(&image, &world).unwrap();
    let state = card.state().unwrap();
    assert!(matches!(state, State::Personalized(_)));

    // What things cost, next to an empty invocation in the same boot.
    let ((), hello) = timed(|| (0..20).for_each(|_| assert!(card.state().is_ok())));
    let empty = hello / 20.0;
    let code = world.order(subscription.iccid).unwrap();
    let cost = |what: &str, machine: &mut Machine, work: &mut dyn FnMut()| {
        let before = disk_writes(machine).unwrap();
        let _ = card.crossings.take();
        let ((), took) = timed(work);
        let crossings = card.crossings.take();
        let writes = disk_writes(machine).unwrap() - before;
        show(
            what,
            json!({ "crossings": crossings, "disk_writes": writes, "ms": took,
                    "empty_invocations": (took / empty).round() }),
        );
        (crossings, took)
    };
    let (crossings, batches) = cost("download", &mut machine, &mut || drop(world.download(&card, &code).unwrap()));
    // Without power up and power down.
    assert!(crossings - 2 <= 12, "a download crosses {crossings} times");
    let twin = world.subscribe(2).unwrap();
    let code = world.order(twin.iccid).unwrap();
    let (single_crossings, singles) = cost("download, one command at a time", &mut machine, &mut || {
        let mut lpa = OneByOne::power_up(&card).unwrap();
        world.download_through(&mut lpa, &code).unwrap();
    });
    assert!(single_crossings > crossings, "{single_crossings} crossings");
    show("batches", json!({ "single_to_batch_time": (singles / batches * 100.0).round() / 100.0 }));
    // One object of the store is replaced, and nothing else is done: what a write costs.
    cost("nickname", &mut machine, &mut || {
        card.lpa(teuicc_lpa::profiles::set_nickname(twin.iccid, "twin".into())).unwrap();
    });
    cost("enable", &mut machine, &mut || card.enable(subscription.iccid).unwrap());
    let mut modem = card.modem(&subscription).unwrap();
    let challenge = subscription.subscriber.challenge(random.bytes());
    cost("authenticate", &mut machine, &mut || {
        let answer = modem.authenticate(&challenge.rand, &challenge.autn).unwrap();
        assert!(challenge.accepts(&answer));
    });
    show("empty invocation", json!({ "ms": empty }));
    let profiles = card.profiles().unwrap();
    drop((modem, card));
    machine.power_off().unwrap();

    let (_machine, card) = inserted(&image, &disk).unwrap();
    assert_eq!(card.state().unwrap(), state);
    assert_eq!(card.profiles().unwrap(), profiles);
    let mut modem = card.modem(&subscription).unwrap();
    let again = modem.authenticate(&challenge.rand, &challenge.autn).unwrap();
    assert!(matches!(again, Authentication::SynchronisationFailure(_)), "an old challenge was accepted: {again:?}");
    let next = subscription.subscriber.challenge(random.bytes());
    assert!(next.accepts(&modem.authenticate(&next.rand, &next.autn).unwrap()));
}

/// Content of `length` bytes that the store cannot write shorter.
fn dense(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn the_largest_profile_installs_and_a_larger_one_is_refused() {
    let Some(image) = main_image() else { return };
    let world = World::new().unwrap();
    let (_machine, card, _disk) = personalized(&image, &world).unwrap();
    let files = |count: u16| (0..count).map(|number| (0x2F50 + number, dense(31 * 1024))).collect::<Vec<_>>();
    // 256 KiB of content are a profile's limit.
    let largest = world.subscribe_with(70, &files(8)).unwrap();
    let code = world.order(largest.iccid).unwrap();
    let (installed, took) = timed(|| world.download(&card, &code));
    installed.unwrap();
    show("download of the largest profile", json!({ "ms": took }));
    card.enable(largest.iccid).unwrap();
    drop(card.modem(&largest).unwrap());

    // With the largest profile in memory, as it is when another one is installed.
    let larger = world.subscribe_with(71, &files(9)).unwrap();
    let refused = world.download(&card, &world.order(larger.iccid).unwrap());
    let error = refused.map(drop).unwrap_err();
    let LpaError::Installation { reason, .. } = &error else { panic!("{error}") };
    assert_eq!(*reason, ErrorReason::InstallFailedDueToInsufficientMemoryForProfile, "{error}");
    let other = world.subscribe_with(72, &files(8)).unwrap();
    world.download(&card, &world.order(other.iccid).unwrap()).unwrap();
    assert_eq!(card.profiles().unwrap().len(), 2);
    drop(card.modem(&largest).unwrap());
}

/// tee-supplicant, which carries every file of the storage, is killed again and again while the card works.
#[test]
fn a_supplicant_that_is_restarted_costs_nothing_acknowledged() {
    let Some(image) = main_image() else { return };
    let world = World::new().unwrap();
    let mut random = Random::new(43);
    let (mut machine, card, _disk) = personalized(&image, &world).unwrap();
    let mut subscription = world.subscribe(1).unwrap();
    world.download(&card, &world.order(subscription.iccid).unwrap()).unwrap();
    card.enable(subscription.iccid).unwrap();
    let mut last = authenticate(&card, &mut subscription, &mut random).unwrap();
    let (mut answered, mut failed) = (0, 0);
    for _ in 0..5 {
        let restart = "(sleep 0.3; killall tee-supplicant; sleep 0.3; tee-supplicant -d) >/dev/null 2>&1 </dev/null &";
        machine.run(restart).unwrap().success().unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(1200) {
            let challenge = subscription.subscriber.challenge(random.bytes());
            let answer = card
                .modem(&subscription)
                .and_then(|mut modem| Ok(modem.authenticate(&challenge.rand, &challenge.autn)?));
            match answer {
                Ok(answer) => {
                    assert!(challenge.accepts(&answer), "{answer:?}");
                    last = challenge;
                    answered += 1;
                }
                Err(_) => failed += 1,
            }
        }
    }
    let mut modem = card.modem(&subscription).unwrap();
    let again = modem.authenticate(&last.rand, &last.autn).unwrap();
    assert!(
        matches!(again, Authentication::SynchronisationFailure(_)),
        "an acknowledged challenge is fresh: {again:?}"
    );
    drop(modem);
    authenticate(&card, &mut subscription, &mut random).unwrap();
    show("restarts of the supplicant", json!({ "restarts": 5, "answered": answered, "failed": failed }));
}

/// Does `work` with the card while its machine's power is cut after a part of the time that it usually takes. Whether
/// the work was acknowledged before.
fn cut<T>(machine: &Machine, after: Duration, work: impl FnOnce() -> anyhow::Result<T>) -> Option<T> {
    let power = machine.power();
    let cutter = thread::spawn(move || {
        thread::sleep(after);
        power.cut();
    });
    let done = work().ok();
    cutter.join().unwrap();
    done
}

// 4.
#[test]
fn the_power_is_cut_in_the_very_first_boot() {
    let Some(image) = main_image() else { return };
    let world = World::new().unwrap();
    let mut random = Random::new(40);
    let mut usual = Duration::from_secs(3);
    let (mut factory, mut done) = (0, 0);
    for number in 0..=cuts(6) {
        let disk = Disk::empty(&image).unwrap();
        let mut machine = Machine::boot(&image, &disk).unwrap();
        let started = Instant::now();
        let whole = number == 0;
        let after = if whole { Duration::from_secs(120) } else { random.part_of(usual) };
        let work = |machine: &mut Machine| {
            let card = Card::insert(machine)?;
            personalize(&card, &world)
        };
        if whole {
            work(&mut machine).unwrap();
            usual = started.elapsed();
            continue;
        }
        let power = machine.power();
        let cutter = thread::spawn(move || {
            thread::sleep(after);
            power.cut();
        });
        let acknowledged = work(&mut machine).is_ok();
        cutter.join().unwrap();
        drop(machine);

        let (_machine, card) = inserted(&image, &disk).unwrap();
        let state = card.state().unwrap_or_else(|error| panic!("cut {number} after {after:?}: {error}"));
        match state {
            State::Factory => {
                assert!(!acknowledged, "cut {number} after {after:?}: a personalization was lost");
                personalize(&card, &world).unwrap();
                factory += 1;
            }
            State::Personalized(_) => done += 1,
        }
        assert!(matches!(card.state().unwrap(), State::Personalized(_)));
    }
    show("cuts in the first boot", json!({ "before": factory, "after": done }));
}

/// The moment of the very first boot that a random cut seldom meets: OP-TEE has created the directory of its storage
/// and not written to it.
// 4.
#[test]
fn a_storage_that_was_only_created_is_a_fresh_one() {
    let Some(image) = main_image() else { return };
    let world = World::new().unwrap();
    let disk = Disk::empty(&image).unwrap();
    let mut machine = Machine::boot(&image, &disk).unwrap();
    machine.run(&format!(": >{STORAGE}/dirf.db; sync")).unwrap().success().unwrap();
    machine.power().cut();
    drop(machine);
    let (_machine, card) = inserted(&image, &disk).unwrap();
    assert_eq!(card.state().unwrap(), State::Factory);
    personalize(&card, &world).unwrap();
}

// 4.
#[test]
fn the_power_is_cut_while_a_profile_is_installed() {
    let Some(image) = main_image() else { return };
    let world = World::new().unwrap();
    let mut random = Random::new(41);
    let (mut machine, mut card, disk) = personalized(&image, &world).unwrap();
    let first = world.subscribe(0).unwrap();
    let code = world.order(first.iccid).unwrap();
    let started = Instant::now();
    world.download(&card, &code).unwrap();
    let usual = started.elapsed();
    let (mut before, mut after_count) = (0, 0);
    for number in 1..=cuts(9) {
        let subscription = world.subscribe(number).unwrap();
        let code = world.order(subscription.iccid).unwrap();
        let old = card.profiles().unwrap();
        let after = random.part_of(usual);
        let acknowledged = cut(&machine, after, || Ok(world.download(&card, &code)?)).is_some();
        drop((card, machine));
        (machine, card) = inserted(&image, &disk).unwrap();
        let mut with = old.clone();
        with.push((subscription.iccid.to_string(), false));
        with.sort();
        let now = card.profiles().unwrap_or_else(|error| panic!("cut {number} after {after:?}: {error}"));
        if now == old {
            assert!(!acknowledged, "cut {number} after {after:?}: an installed profile was lost");
            before += 1;
        } else {
            assert_eq!(now, with, "cut {number} after {after:?}");
            // It is whole: it can be enabled, and a modem finds what it needs.
            card.enable(subscription.iccid).unwrap();
            drop(card.modem(&subscription).unwrap());
            card.lpa(teuicc_lpa::profiles::disable(teuicc_lpa::profiles::ProfileId::Iccid(subscription.iccid), false))
                .unwrap();
            card.lpa(teuicc_lpa::profiles::delete(teuicc_lpa::profiles::ProfileId::Iccid(subscription.iccid))).unwrap();
            after_count += 1;
        }
    }
    drop((card, machine));
    show("cuts during install", json!({ "before": before, "after": after_count, "usual_ms": milliseconds(usual) }));
}

// 4.
#[test]
fn the_power_is_cut_while_profiles_are_switched_and_while_it_authenticates() {
    let Some(image) = main_image() else { return };
    let world = World::new().unwrap();
    let mut random = Random::new(42);
    let (mut machine, mut card, disk) = personalized(&image, &world).unwrap();
    let mut pair = [world.subscribe(1).unwrap(), world.subscribe(2).unwrap()];
    for subscription in &pair {
        world.download(&card, &world.order(subscription.iccid).unwrap()).unwrap();
    }
    card.enable(pair[0].iccid).unwrap();
    let started = Instant::now();
    card.enable(pair[1].iccid).unwrap();
    let usual = started.elapsed();
    let mut enabled = 1;
    let listed = |enabled: usize| {
        let mut listed: Vec<_> =
            pair.iter().enumerate().map(|(n, subscription)| (subscription.iccid.to_string(), n == enabled)).collect();
        listed.sort();
        listed
    };
    let (mut before, mut after_count) = (0, 0);
    for number in 1..=cuts(9) {
        let other = 1 - enabled;
        let after = random.part_of(usual);
        let acknowledged = cut(&machine, after, || Ok(card.enable(pair[other].iccid)?)).is_some();
        drop((card, machine));
        (machine, card) = inserted(&image, &disk).unwrap();
        let now = card.profiles().unwrap_or_else(|error| panic!("cut {number} after {after:?}: {error}"));
        if now == listed(enabled) {
            assert!(!acknowledged, "cut {number} after {after:?}: a switch was lost");
            before += 1;
        } else {
            assert_eq!(now, listed(other), "cut {number} after {after:?}");
            enabled = other;
            after_count += 1;
        }
        drop(card.modem(&pair[enabled]).unwrap());
    }
    show("cuts during a switch", json!({ "before": before, "after": after_count, "usual_ms": milliseconds(usual) }));

    let subscription = &mut pair[enabled];
    let mut last = authenticate(&card, subscription, &mut random).unwrap();
    let mut acknowledged = 0;
    for number in 1..=cuts(9) {
        let mut modem = card.modem(subscription).unwrap();
        // Several in a row, so that most of the time goes into them.
        let after = random.part_of(Duration::from_millis(600));
        let done = &mut acknowledged;
        let newest = &mut last;
        cut(&machine, after, || -> anyhow::Result<()> {
            loop {
                let challenge = subscription.subscriber.challenge(random.bytes());
                let answer = modem.authenticate(&challenge.rand, &challenge.autn)?;
                if !challenge.accepts(&answer) {
                    bail!("not accepted");
                }
                *done += 1;
                *newest = challenge;
            }
        });
        drop((modem, card, machine));
        (machine, card) = inserted(&image, &disk).unwrap();
        let mut modem = card.modem(subscription).unwrap();
        let again = modem.authenticate(&last.rand, &last.autn).unwrap();
        assert!(
            matches!(again, Authentication::SynchronisationFailure(_)),
            "cut {number} after {after:?}: an acknowledged challenge is fresh again: {again:?}"
        );
        let challenge = subscription.subscriber.challenge(random.bytes());
        let answer = modem.authenticate(&challenge.rand, &challenge.autn).unwrap();
        assert!(challenge.accepts(&answer), "cut {number} after {after:?}: {answer:?}");
        last = challenge;
    }
    drop((card, machine));
    show("cuts during AUTHENTICATE", json!({ "cuts": cuts(9), "authentications": acknowledged }));
}

// 5.
#[test]
fn an_older_copy_of_the_storage_is_refused_where_there_is_an_rpmb() {
    let Some(image) = Image::for_test("TEUICC_QEMU_RPMB_IMAGE") else { return };
    let world = World::new().unwrap();
    let (mut machine, card, _disk) = personalized(&image, &world).unwrap();
    let subscription = world.subscribe(5).unwrap();
    drop(card);
    machine.run(&format!("cp -a {STORAGE} /tmp/older")).unwrap().success().unwrap();
    let card = Card::insert(&mut machine).unwrap();
    world.download(&card, &world.order(subscription.iccid).unwrap()).unwrap();
    let profiles = card.profiles().unwrap();
    assert_eq!(profiles.len(), 1);
    drop(card);
    let restore = |machine: &mut Machine, from: &str| {
        machine.run(&format!("rm -rf {STORAGE}; cp -a {from} {STORAGE}")).unwrap().success().unwrap();
    };
    machine.run(&format!("cp -a {STORAGE} /tmp/newer")).unwrap().success().unwrap();

    restore(&mut machine, "/tmp/older");
    let card = Card::insert(&mut machine).unwrap();
    let refused = card.state();
    assert!(matches!(refused, Err(LinkError::Card(Error::StoreCorrupt))), "rolled back, and the card says {refused:?}");
    assert!(card.profiles().is_err(), "it acts on a state that was rolled back");
    assert!(personalize(&card, &world).is_err(), "it can be personalized again");
    drop(card);

    // The newest copy again. OP-TEE may have written to the older one meanwhile, and then refuses this one too.
    restore(&mut machine, "/tmp/newer");
    let taken = Card::insert(&mut machine).ok().and_then(|card| card.profiles().ok());
    if let Some(taken) = &taken {
        assert_eq!(taken, &profiles);
    }
    show("rollback", json!({ "newest_copy_is_taken_afterwards": taken.is_some() }));
}

// 6.
#[test]
fn files_that_are_lost_or_damaged_are_noticed() {
    let Some(image) = main_image() else { return };
    let world = World::new().unwrap();
    let mut subscription = world.subscribe(6).unwrap();
    let (mut machine, card, disk) = personalized(&image, &world).unwrap();
    world.download(&card, &world.order(subscription.iccid).unwrap()).unwrap();
    card.enable(subscription.iccid).unwrap();
    authenticate(&card, &mut subscription, &mut Random::new(6)).unwrap();
    let (state, profiles) = (card.state().unwrap(), card.profiles().unwrap());
    drop(card);
    machine.run(&format!("cp -a {STORAGE} {WHOLE}")).unwrap().success().unwrap();
    let names = machine.run(&format!("ls {STORAGE}")).unwrap().success().unwrap();
    machine.power_off().unwrap();

    // Each damage is done before OP-TEE looks at the storage in that boot: it keeps files open, and would go on with
    // the ones that are no longer there.
    let with = |command: &str| {
        let mut machine = Machine::boot(&image, &disk).unwrap();
        let restore = format!("rm -rf {STORAGE}; cp -a {WHOLE} {STORAGE}; {command}");
        machine.run(&restore).unwrap().success().unwrap();
        let card = Card::insert(&mut machine);
        (machine, card)
    };
    let (mut noticed, mut harmless) = (Vec::new(), Vec::new());
    for name in names.split_whitespace() {
        let file = format!("{STORAGE}/{name}");
        let damages = [
            ("deleted", format!("rm {file}")),
            ("empty", format!(": >{file}")),
            ("halved", format!("truncate -s $(( $(stat -c %s {file}) / 2 )) {file}")),
            // Both copies of a block: OP-TEE writes a new version beside the old one.
            (
                "overwritten",
                format!("dd if=/dev/urandom of={file} bs=4096 count=$(( $(stat -c %s {file}) / 4096 )) conv=notrunc"),
            ),
        ];
        for (damage, command) in damages {
            let what = format!("{name} {damage}");
            let (_machine, card) = with(&command);
            let card = match card {
                Ok(card) => card,
                // Not even the TA can be loaded: OP-TEE looks for it in the storage first.
                Err(error) => {
                    let text = format!("{error:#}");
                    // For what it cannot make sense of at all it has no word of its own.
                    let said = ["the TEE's secure storage is damaged", "the TEE failed"];
                    assert!(said.iter().any(|words| text.contains(words)), "{what}: {text}");
                    noticed.push(format!("{what}: by OP-TEE"));
                    continue;
                }
            };
            // Without an RPMB, a storage whose directory is gone looks like one that never was.
            if name.starts_with("dirf")
                && damage == "deleted"
                && card.state().is_ok_and(|state| state == State::Factory)
            {
                harmless.push(format!("{what}: a fresh card (docs/qemu.md)"));
                continue;
            }
            let whole = card
                .state()
                .map_err(anyhow::Error::from)
                .and_then(|found| Ok((found, card.profiles()?, card.modem(&subscription).map(drop)?)));
            match whole {
                Ok((found, listed, ())) => {
                    assert_eq!((&found, &listed), (&state, &profiles), "{what}");
                    harmless.push(what);
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    assert!(!text.contains("the trusted application ended"), "{what}: {text}");
                    noticed.push(format!("{what}: {text}"));
                }
            }
        }
    }
    assert!(!noticed.is_empty(), "no damage is noticed");
    let (_machine, card) = with("true");
    assert_eq!(card.unwrap().profiles().unwrap(), profiles, "the undamaged storage is refused");
    show("damaged storage", json!({ "noticed": noticed, "harmless": harmless }));
}

/// The JSON that a program ends with; OP-TEE's client library prints lines of its own before.
fn last_line(text: &str) -> Value {
    text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("no JSON: {text}"))
}

// 7.
#[test]
fn strangers_and_malformed_calls_are_refused() {
    let Some(image) = main_image() else { return };
    let disk = Disk::empty(&image).unwrap();
    let mut machine = Machine::boot(&image, &disk).unwrap();
    const ACCESS_DENIED: u64 = 0xFFFF_0001;
    let mut opened = |user: &str| {
        let output = machine.run(&as_user(user, "hostile open")).unwrap();
        last_line(&output.text())
    };
    let (client, other) = (opened(CLIENT), opened("other"));
    assert_eq!(client["login_1"], 0, "the daemon's user is refused: {client}");
    for (login, result) in other.as_object().unwrap() {
        assert_ne!(result, 0, "another user is let in by {login}");
    }
    assert_eq!(other["login_1"], ACCESS_DENIED);
    assert_eq!(client["login_0"], ACCESS_DENIED, "a public login is let in");

    let output = machine.run_within(&as_user(CLIENT, "hostile malformed"), Duration::from_secs(180)).unwrap();
    assert_eq!(output.code, 0, "{}", output.text());
    let found = last_line(&output.text());
    assert_eq!(found["dead"], 0, "the TA died: {found}");
    assert_eq!((&found["hello_afterwards"], &found["hello_status"]), (&json!(0), &json!(0)), "{found}");
    show("malformed calls", found);
}

/// There is one card in OP-TEE, whatever folders its daemons have.
#[test]
fn one_process_at_a_time_has_the_card() {
    let Some(image) = main_image() else { return };
    let mut machine = Machine::boot(&image, &Disk::empty(&image).unwrap()).unwrap();
    let daemon = "teuiccd --home /tmp/one --tee optee --no-modem >/tmp/log 2>&1 </dev/null &";
    machine.run(&as_user(CLIENT, daemon)).unwrap().success().unwrap();
    let started =
        "( for _ in $(seq 100); do [ -S /tmp/one/teuiccd.sock ] && exit; sleep 0.1; done; cat /tmp/log; exit 1 )";
    machine.run(started).unwrap().success().unwrap();
    let status = |home: &str| as_user(CLIENT, &format!("teuicc --home {home} card status --tee optee 2>&1"));
    let through_it = machine.run(&status("/tmp/one")).unwrap();
    assert_eq!(through_it.code, 0, "{}", through_it.text());
    let beside = machine.run(&status("/tmp/other")).unwrap();
    assert_eq!(beside.code, 1, "{}", beside.text());
    assert!(beside.text().contains("in use by another teuicc or teuiccd"), "{}", beside.text());
}

/// pcscd on this machine, with vpcd's reader. Ended when the value is dropped.
struct Pcscd(Child);

impl Pcscd {
    fn start() -> anyhow::Result<Self> {
        let pcscd = Command::new("pcscd").arg("--foreground").stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Pcscd(pcscd))
    }
}

impl Drop for Pcscd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs lpac, an LPA that is not ours, on this machine's first reader. What it gives.
fn lpac(program: &OsStr, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = Command::new(program)
        .args(arguments)
        .env("LPAC_APDU", "pcsc")
        .env("LPAC_HTTP", "curl")
        .env("LPAC_APDU_PCSC_DRV_IFID", "0")
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let results = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let result = results.rev().find(|object| object["type"] == "lpa");
    let result = result.with_context(|| format!("lpac gave no result: {}", String::from_utf8_lossy(&output.stderr)))?;
    ensure!(result["payload"]["code"] == 0, "lpac {arguments:?}: {result}");
    Ok(result["payload"]["data"].clone())
}

// 8.
#[test]
fn lpac_on_this_machine_uses_the_card_in_the_guest() {
    let Some(image) = main_image() else { return };
    let Some(program) = std::env::var_os("TEUICC_LPAC") else {
        println!("skipped: TEUICC_LPAC does not name the command that runs lpac");
        return;
    };
    let world = World::new().unwrap();
    let subscription = world.subscribe(8).unwrap();
    let _pcscd = Pcscd::start().unwrap();
    let disk = Disk::empty(&image).unwrap();
    let mut machine = Machine::boot(&image, &disk).unwrap();
    machine.put_folder("/home/teuicc/pki", world.pki()).unwrap();
    let user = |command: &str| as_user(CLIENT, &format!("TEUICC_HOME=/home/teuicc {command}"));
    let daemon = user(&format!("teuiccd --tee optee --vpcd {HOST}:35963"));
    machine.run(&format!("{daemon} >/tmp/teuiccd.log 2>&1 </dev/null &")).unwrap().success().unwrap();
    let socket = "for n in $(seq 100); do [ -S /home/teuicc/teuiccd.sock ] && exit 0; sleep 0.1; done; cat /tmp/teuiccd.log; exit 1";
    machine.run(socket).unwrap().success().unwrap();
    let personalized = machine.run(&user("teuicc --json card personalize")).unwrap();
    personalized.success().unwrap();
    let eid = personalized.json().unwrap().remove(0)["eid"].clone();

    let deadline = Instant::now() + Duration::from_secs(20);
    let info = loop {
        match lpac(&program, &["chip", "info"]) {
            Ok(info) => break info,
            Err(error) if Instant::now() > deadline => panic!("{error:#}"),
            Err(_) => thread::sleep(Duration::from_millis(300)),
        }
    };
    assert_eq!(info["eidValue"], eid);
    let listed = || {
        let listed = lpac(&program, &["profile", "list"]).unwrap();
        let profiles = listed.as_array().unwrap().iter();
        profiles.map(|p| (p["iccid"].as_str().unwrap().to_owned(), p["profileState"].clone())).collect::<Vec<_>>()
    };
    let iccid = subscription.iccid.to_string();
    let code = world.order(subscription.iccid).unwrap().to_string();
    let (result, took) = timed(|| lpac(&program, &["profile", "download", "-a", &code]));
    result.unwrap();
    show("download by lpac, one command at a time through pcscd", json!({ "ms": took }));
    assert_eq!(listed(), [(iccid.clone(), json!("disabled"))]);
    lpac(&program, &["profile", "enable", &iccid]).unwrap();
    assert_eq!(listed(), [(iccid.clone(), json!("enabled"))]);
    lpac(&program, &["profile", "disable", &iccid]).unwrap();
    lpac(&program, &["profile", "delete", &iccid]).unwrap();
    assert_eq!(listed(), []);
}
