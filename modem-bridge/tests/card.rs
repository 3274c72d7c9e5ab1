//! The card, the slot, the bridge to vpcd and a modem, all together; and the modem straight at the slot.

use hex_literal::hex;
use teuicc_card::testing::{MemoryStore, platform, profile};
use teuicc_card::{Card, ProfileSlot};
use teuicc_modem_bridge::testing::modem::{Idle, Modem, ModemOptions, PinState};
use teuicc_modem_bridge::testing::network::{Authentication, Subscriber};
use teuicc_modem_bridge::testing::{Attached, Kind, SlotTransport, Transport};
use teuicc_saip::build::{Algorithm, Ims, ProfileSpec, build};
use teuicc_slot::{Slot, SlotConfig, Wire};

/// TS 35.208 section 4.3, test set 1.
const K: [u8; 16] = hex!("465b5ce8b199b49faa5f0a2ee238a6bc");
const OPC: [u8; 16] = hex!("cd63cb71954a9f4e48a5994e37a02baf");
const ICCID: [u8; 10] = hex!("98001032547698103214");
const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();
const EF_LOCI: u16 = 0x6F7E;

fn spec() -> ProfileSpec<'static> {
    ProfileSpec {
        iccid: "89000123456789012341",
        imsi: "001010123456789",
        mnc_len: 2,
        algorithm: Algorithm::Milenage,
        key: &K,
        opc: &OPC,
        profile_type: "test",
        service_provider_name: "Test",
        pin1: "1234",
        pin1_enabled: false,
        puk1: "12345678",
        pin2: "5678",
        puk2: "87654321",
        adm1: "12345678",
        msisdn: Some("+49123456789"),
        access_class: None,
        ims: Some(Ims::default()),
    }
}

/// What a card with this profile enabled has stored.
fn stored(package: &[u8]) -> MemoryStore {
    let mut store = MemoryStore::new();
    profile::store(&mut store, profile::install(package, ICCID, SLOT).unwrap()).unwrap();
    store
}

fn slot(store: &MemoryStore) -> Slot {
    let card = Card::boot_with_profile(platform(store.clone(), 1), SLOT);
    Slot::start(Wire::new(card), SlotConfig::default()).unwrap()
}

fn modem(spec: &ProfileSpec<'_>, options: ModemOptions) -> (Modem<SlotTransport>, Slot, MemoryStore) {
    let store = stored(&build(spec).unwrap());
    let slot = slot(&store);
    (Modem::new(SlotTransport::new(slot.clone()), options), slot, store)
}

fn authenticate(modem: &mut Modem<impl Transport>, network: &mut Subscriber, rand: [u8; 16]) -> bool {
    let challenge = network.challenge(rand);
    let answer = modem.authenticate(&challenge.rand, &challenge.autn).unwrap();
    challenge.accepts(&answer)
}

#[test]
fn a_modem_boots_behind_vpcd_and_authenticates() {
    let store = stored(&build(&spec()).unwrap());
    let slot = slot(&store);
    let Attached { modem, mut bridge } = Kind::Vpcd.attach(&slot).unwrap();
    let mut modem = Modem::new(modem, ModemOptions::default());
    let report = modem.boot().unwrap();
    println!("{} TPDUs in {:?}", report.apdus, report.duration);
    println!("missing {:?}, denied {:?}", report.missing, report.denied);
    assert_eq!((report.iccid.as_str(), report.imsi.as_str()), ("89000123456789012341", "001010123456789"));
    assert_eq!((report.mnc_len, report.has_isim, report.pin), (Some(2), true, PinState::Disabled));
    assert!(report.files.len() > 25, "{:?}", report.files.keys());
    assert!(report.files["ISIM/6F02"].starts_with(&[0x80]));
    let mut network = Subscriber::new(K, OPC, 0);
    assert!(authenticate(&mut modem, &mut network, [0x11; 16]));
    assert_eq!(bridge.status().commands(), modem.tpdus());
    bridge.end().unwrap();
}

#[test]
fn a_network_that_is_behind_learns_the_cards_sequence_number_also_after_a_restart_of_the_card() {
    let (mut modem, slot_before, store) = modem(&spec(), ModemOptions::default());
    modem.boot().unwrap();
    let mut network = Subscriber::new(K, OPC, 0x1000);
    for round in 0..40 {
        assert!(authenticate(&mut modem, &mut network, [round; 16]), "round {round}");
    }
    let ahead = network.sqn();
    slot_before.blocking_close();
    let mut modem = Modem::new(SlotTransport::new(slot(&store)), ModemOptions::default());
    modem.boot().unwrap();
    network.set_sqn(0x20);
    let challenge = network.challenge([0x99; 16]);
    match modem.authenticate(&challenge.rand, &challenge.autn).unwrap() {
        Authentication::SynchronisationFailure(auts) => assert!(network.resynchronise(&challenge, &auts)),
        other => panic!("{other:?}"),
    }
    assert_eq!(network.sqn() >> 5, ahead >> 5, "SEQ of SQN_MS");
    assert!(authenticate(&mut modem, &mut network, [0x9A; 16]));
}

#[test]
fn a_forged_challenge_is_a_mac_failure_and_a_replayed_one_is_not_accepted() {
    let (mut modem, _slot, store) = modem(&spec(), ModemOptions::default());
    modem.boot().unwrap();
    let mut network = Subscriber::new(K, OPC, 0x1000);
    let challenge = network.challenge([0x77; 16]);
    let _ = store.take_replaces();
    for byte in 0..16 {
        let mut forged = challenge.autn;
        forged[byte] ^= 1;
        assert_eq!(modem.authenticate(&challenge.rand, &forged).unwrap(), Authentication::MacFailure, "byte {byte}");
    }
    assert_eq!(store.take_replaces(), 0, "a hostile network wears no flash");
    assert!(challenge.accepts(&modem.authenticate(&challenge.rand, &challenge.autn).unwrap()));
    let replayed = modem.authenticate(&challenge.rand, &challenge.autn).unwrap();
    assert!(matches!(replayed, Authentication::SynchronisationFailure(_)), "{replayed:?}");
}

#[test]
fn a_pin_is_asked_for_and_what_it_protects_is_closed_until_then() {
    let spec = ProfileSpec { pin1_enabled: true, ..spec() };
    let (mut without, slot, _store) = modem(&spec, ModemOptions::default());
    let report = without.boot().unwrap();
    assert_eq!((report.pin, report.imsi.as_str()), (PinState::Tries(3), ""));
    assert!(report.denied.contains(&"USIM/6F07".to_string()));
    let wrong = ModemOptions { pin: Some("0000".into()), ..ModemOptions::default() };
    assert_eq!(Modem::new(SlotTransport::new(slot.clone()), wrong).boot().unwrap().pin, PinState::Tries(2));
    let right = ModemOptions { pin: Some("1234".into()), ..ModemOptions::default() };
    let mut with = Modem::new(SlotTransport::new(slot.clone()), right);
    let report = with.boot().unwrap();
    assert_eq!((report.pin, report.imsi.as_str()), (PinState::Open, "001010123456789"));
    assert_eq!(without.boot().unwrap().pin, PinState::Tries(3), "a reset closes it again");
}

#[test]
fn what_a_modem_writes_is_there_after_its_power_down() {
    let (mut first, slot_before, store) = modem(&spec(), ModemOptions::default());
    first.boot().unwrap();
    let loci = hex!("1122334400F1100001FF00");
    let _ = store.take_replaces();
    assert!(first.update(&[EF_LOCI], &loci).unwrap().is_ok());
    assert_eq!(store.take_replaces(), 0, "kept in memory until then");
    assert!(matches!(first.idle().unwrap(), Idle::Quiet));
    slot_before.blocking_close();
    assert_eq!(store.take_replaces(), 1);
    let mut second = Modem::new(SlotTransport::new(slot(&store)), ModemOptions::default());
    second.boot().unwrap();
    assert_eq!(second.read(&[EF_LOCI]).unwrap().unwrap(), loci);
}

/// A reader that makes the card ask for a REFRESH, once, at the next STATUS of an idle modem.
struct AsksForRefresh {
    card: SlotTransport,
    qualifier: u8,
    asked: bool,
    /// That REFRESH is not answered yet; other commands to fetch are the card's own.
    waits: bool,
    warm_resets: u32,
    responses: Vec<Vec<u8>>,
}

impl Transport for AsksForRefresh {
    fn cold_reset(&mut self) -> std::io::Result<Vec<u8>> {
        self.card.cold_reset()
    }

    fn warm_reset(&mut self) -> std::io::Result<Vec<u8>> {
        self.warm_resets += 1;
        self.waits = false;
        self.card.warm_reset()
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> std::io::Result<Vec<u8>> {
        match tpdu {
            [0x80, 0xF2, 0x00, 0x0C, ..] if !self.asked => {
                (self.asked, self.waits) = (true, true);
                Ok(hex!("910B").to_vec())
            }
            [0x80, 0x12, ..] if self.waits => {
                Ok([&hex!("D009 81030101")[..], &[self.qualifier], &hex!("82028182 9000")].concat())
            }
            [0x80, 0x14, ..] if self.waits => {
                self.waits = false;
                self.responses.push(tpdu[5..].to_vec());
                Ok(hex!("9000").to_vec())
            }
            _ => self.card.tpdu(tpdu),
        }
    }
}

#[test]
fn a_modem_obeys_a_refresh_by_a_reset_and_answers_other_kinds() {
    let store = stored(&build(&spec()).unwrap());
    for (qualifier, resets) in [(0x04, 1), (0x01, 0)] {
        let card = SlotTransport::new(slot(&store));
        let reader =
            AsksForRefresh { card, qualifier, asked: true, waits: false, warm_resets: 0, responses: Vec::new() };
        let mut modem = Modem::new(reader, ModemOptions::default());
        modem.boot().unwrap();
        modem.transport().asked = false;
        let idle = modem.idle().unwrap();
        assert_eq!(matches!(idle, Idle::Refreshed(_)), resets == 1);
        assert!(matches!(modem.idle().unwrap(), Idle::Quiet));
        let reader = modem.transport();
        assert_eq!((reader.warm_resets, reader.responses.len()), (resets, usize::from(resets == 0)));
    }
    let card = SlotTransport::new(slot(&store));
    let reader =
        AsksForRefresh { card, qualifier: 0x04, asked: true, waits: false, warm_resets: 0, responses: Vec::new() };
    let mut modem = Modem::new(reader, ModemOptions { without_refresh: true, ..ModemOptions::default() });
    modem.boot().unwrap();
    modem.transport().asked = false;
    assert!(modem.idle().is_err(), "the card was told that this modem does not know REFRESH");
}

#[test]
fn every_published_test_profile_boots() {
    let Some(folder) = std::env::var_os("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return;
    };
    for entry in std::fs::read_dir(std::path::Path::new(&folder).join("ts48")).unwrap() {
        let path = entry.unwrap().path();
        let slot = slot(&stored(&std::fs::read(&path).unwrap()));
        for options in [ModemOptions::default(), ModemOptions { without_refresh: true, ..ModemOptions::default() }] {
            let report = Modem::new(SlotTransport::new(slot.clone()), options).boot().unwrap();
            assert!(report.imsi.starts_with("00101"), "{}: {}", path.display(), report.imsi);
            println!("{}: {} TPDUs in {:?}", path.display(), report.apdus, report.duration);
            println!("  missing {:?}, denied {:?}", report.missing, report.denied);
        }
    }
}

/// The whole boot of a phone.
#[test]
fn a_phone_boots_with_hundreds_of_commands_and_stumbles_over_none() {
    let mut packages = vec![("built".to_string(), build(&spec()).unwrap())];
    match std::env::var_os("TEUICC_TESTDATA") {
        None => println!("skipped: TEUICC_TESTDATA is not set"),
        Some(folder) => {
            let entries = std::fs::read_dir(std::path::Path::new(&folder).join("ts48")).unwrap();
            let read = |path: std::path::PathBuf| (path.display().to_string(), std::fs::read(path).unwrap());
            packages.extend(entries.map(|entry| read(entry.unwrap().path())));
        }
    }
    for (name, package) in packages {
        let store = stored(&package);
        let slot = slot(&store);
        let _ = store.take_replaces();
        let mut modem = Modem::new(SlotTransport::new(slot.clone()), ModemOptions::default());
        let replay = modem.replay_boot().unwrap_or_else(|error| panic!("{name}: {error}"));
        let while_up = store.take_replaces();
        slot.blocking_close();
        let at_the_end = store.take_replaces();
        println!(
            "{name}: {} commands, {} TPDUs in {:?}; {} updates cost {while_up} store writes, and {at_the_end} at the end",
            replay.commands, replay.tpdus, replay.duration, replay.updates
        );
        println!("  status words {:04X?}, {} searches", replay.status_words, replay.searches);
        println!("  not there {:?}", replay.missing.keys());
        assert!(replay.commands > 450 && replay.updates > 10 && replay.searches > 0, "{name}: {replay:?}");
        assert!(replay.denied.is_empty(), "{name}: {:?}", replay.denied);
        // What a phone writes all the time is kept, and written once.
        assert_eq!((while_up, at_the_end), (0, 1), "{name}: store writes");
    }
}
