//! A power cut at every single write leaves the card in the state before or after, and it goes on working.

mod common;

use common::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use teuicc_apdu::{StatusWord, encode_command};
use teuicc_card::testing::{MemoryStore, PowerCut, SeededRng};
use teuicc_card::{Card, ObjectId, Platform, ProfileSlot, Store, StoreError};
use teuicc_rsp::aid;
use teuicc_rsp::codes::{EuiccMemoryResetResult, ProfileState};
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::{Nickname, NotificationEvent};
use teuicc_rsp::object::Object;
use teuicc_rsp::tags;
use teuicc_wire::Interface;

const A: &str = ICCID;
const B: &str = "89000123456789012358";

type Flash = BTreeMap<ObjectId, Vec<u8>>;

/// What can be seen of the card: the profiles, the notifications, the default address.
fn face(device: &mut Device) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let empty = |tag| empty_request(tag).unwrap();
    (
        device.es10(&empty(tags::PROFILE_INFO_LIST)),
        device.es10(&empty(tags::RETRIEVE_NOTIFICATIONS_LIST)),
        device.es10(&empty(tags::EUICC_CONFIGURED_ADDRESSES)),
    )
}

/// The number of the next notification, seen by making one: B is switched on or off. Sequence numbers grow, whatever
/// happened.
fn next_sequence(device: &mut Device) -> u32 {
    let before = device.notifications().iter().map(|one| one.seq_number).max();
    if device.disable(B, false) != 0 {
        assert_eq!(device.enable(B, false), 0);
    }
    let next = device.notifications().iter().map(|one| one.seq_number).max().unwrap();
    assert!(before.is_none_or(|before| next > before));
    next
}

/// How many writes an operation may take, and which one commits it.
struct Budget {
    replaces: u32,
    removes: u32,
    /// From which number of writes on it is done.
    commit: u32,
}

/// One replacement, then removals.
const fn commit_first(removes: u32) -> Budget {
    Budget { replaces: 1, removes, commit: 1 }
}

/// Runs `action` on a copy of `flash` with a power cut at each of its writes, and checks the budget.
fn cut(flash: &Flash, budget: Budget, action: impl Fn(&mut Device) -> Option<(Vec<u8>, StatusWord)>) {
    let Budget { replaces, removes, commit } = budget;
    let start = || {
        let store = MemoryStore::new();
        store.restore(flash.clone());
        Device::boot(store)
    };
    let mut device = start();
    let before = face(&mut device);
    device.store.take_replaces();
    device.store.take_removes();
    let done = action(&mut device).unwrap();
    assert_eq!(done.1, StatusWord::OK);
    assert_eq!((device.store.take_replaces(), device.store.take_removes()), (replaces, removes), "budget");
    let after = face(&mut device);
    assert_ne!(before, after);
    device.reboot();
    assert_eq!(face(&mut device), after);
    let settled = device.store.snapshot();
    let sequence_after = next_sequence(&mut device);

    for at_write in 0..replaces + removes {
        for written in [false, true] {
            let mut device = start();
            device.store.arm(PowerCut { at_write, written });
            let answer = action(&mut device);
            // With the power gone nothing that was not committed is said to be done.
            let committed = at_write + u32::from(written) >= commit;
            if !committed {
                assert!(answer.is_none_or(|answer| answer.0 != done.0), "write {at_write} {written}");
            }
            assert!(device.store.power_on(), "the cut has to strike");
            device.reboot();
            let now = face(&mut device);
            assert_eq!(now, if committed { after.clone() } else { before.clone() }, "write {at_write} {written}");
            if committed {
                assert_eq!(device.store.snapshot(), settled, "removals are repeated");
                assert_eq!(next_sequence(&mut device), sequence_after);
            } else {
                assert_eq!(&device.store.snapshot(), flash, "nothing is left behind");
                // The same again, and it works.
                assert_eq!(action(&mut device).unwrap().0, done.0);
                assert_eq!(face(&mut device), after);
            }
        }
    }
}

/// A card with B installed and enabled, A installed if wanted.
fn card(pki: &Pki, with_a: bool) -> Flash {
    let mut device = Device::new(&[pki]);
    if with_a {
        device.install(pki, &TestProfile::new(A));
    }
    device.install(pki, &TestProfile::new(B));
    assert_eq!(device.enable(B, false), 0);
    device.store.snapshot()
}

fn request(command: Vec<u8>) -> impl Fn(&mut Device) -> Option<(Vec<u8>, StatusWord)> {
    move |device| Some(device.es10_sw(&command))
}

#[test]
fn install() {
    for curve in CURVES {
        let pki = Pki::new(curve);
        // The first write makes sure that the slot has no changed files of a profile that was there before.
        let budget = Budget { replaces: 3, removes: 1, commit: 4 };
        cut(&card(&pki, false), budget, |device| {
            let mut smdp = Smdp::new(&pki, TestProfile::new(A));
            smdp.authenticate(device);
            smdp.prepare(device);
            let package = smdp.package();
            let segments = teuicc_rsp::bpp::segments(&package).unwrap();
            segments
                .iter()
                .map(|segment| device.es10_sw(segment))
                .find(|(data, sw)| !data.is_empty() || *sw != StatusWord::OK)
        });
    }
}

#[test]
fn a_failed_installation() {
    let pki = Pki::new(Curve::P256);
    cut(&card(&pki, true), commit_first(0), |device| {
        let mut smdp = Smdp::new(&pki, TestProfile::new(A));
        smdp.authenticate(device);
        smdp.prepare(device);
        let package = smdp.package();
        let segments = teuicc_rsp::bpp::segments(&package).unwrap();
        segments
            .iter()
            .map(|segment| device.es10_sw(segment))
            .find(|(data, sw)| !data.is_empty() || *sw != StatusWord::OK)
    });
}

#[test]
fn enable_and_disable() {
    let pki = Pki::new(Curve::P256);
    let flash = card(&pki, true);
    let profile_identifier = ProfileIdentifier::Iccid(digits(A));
    let enable = EnableProfileRequest { profile_identifier, refresh_flag: true };
    cut(&flash, commit_first(0), request(enable.encode().unwrap()));
    let profile_identifier = ProfileIdentifier::Iccid(digits(B));
    let disable = DisableProfileRequest { profile_identifier, refresh_flag: false };
    cut(&flash, commit_first(0), request(disable.encode().unwrap()));
}

#[test]
fn delete() {
    let pki = Pki::new(Curve::P256);
    let request_a = DeleteProfileRequest(ProfileIdentifier::Iccid(digits(A)));
    cut(&card(&pki, true), commit_first(3), request(request_a.encode().unwrap()));
}

#[test]
fn notification_removal() {
    let pki = Pki::new(Curve::P256);
    cut(&card(&pki, true), commit_first(0), request(NotificationSentRequest { seq_number: 0 }.encode().unwrap()));
}

#[test]
fn nickname_and_default_address() {
    let pki = Pki::new(Curve::P256);
    let flash = card(&pki, true);
    let profile_nickname = Nickname::new("work").unwrap();
    let nickname = SetNicknameRequest { iccid: digits(A), profile_nickname };
    cut(&flash, commit_first(0), request(nickname.encode().unwrap()));
    let address = SetDefaultDpAddressRequest { default_dp_address: "other.example.com" };
    cut(&flash, commit_first(0), request(address.encode().unwrap()));
}

#[test]
fn memory_reset() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    // B is a test profile and stays.
    device.install(&pki, &TestProfile::new(A));
    let b = TestProfile::with(B, teuicc_saip::build::Algorithm::XorTest, |writer| class(writer, 0));
    device.install(&pki, &b);
    assert_eq!(device.enable(A, false), 0);
    let flash = device.store.snapshot();
    let reset = EuiccMemoryResetRequest { reset_options: ResetOptions::DELETE_OPERATIONAL_PROFILES };
    cut(&flash, commit_first(3), request(reset.encode().unwrap()));
}

#[test]
fn personalization() {
    let pki = Pki::new(Curve::P256);
    let store = MemoryStore::new();
    let mut card = teuicc_card::Card::boot(teuicc_card::testing::platform(store.clone(), 42));
    personalize(&mut card, &[&pki], false);
    assert_eq!(store.take_replaces(), 3, "key, registry, identity");
    for at_write in 0..3 {
        for written in [false, true] {
            let store = MemoryStore::new();
            let mut card = teuicc_card::Card::boot(teuicc_card::testing::platform(store.clone(), 42));
            store.arm(PowerCut { at_write, written });
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                personalize(&mut card, &[&pki], false);
            }));
            assert!(failed.is_err());
            store.power_on();
            let mut card = teuicc_card::Card::boot(teuicc_card::testing::platform(store.clone(), 43));
            if at_write < 2 || !written {
                personalize(&mut card, &[&pki], false);
            }
            let mut device = Device::boot(store);
            assert_eq!(device.profiles(), []);
        }
    }
}

#[test]
fn the_counter_survives_everything() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    device.install(&pki, &TestProfile::new(A));
    assert_eq!(device.enable(A, false), 0);
    let reset = EuiccMemoryResetRequest { reset_options: ResetOptions(0b111) };
    assert_eq!(device.call::<EuiccMemoryResetResponse>(&reset.encode().unwrap()).result.code(), 0);
    device.reboot();
    for seq_number in 0..3 {
        let response = device.es10(&NotificationSentRequest { seq_number }.encode().unwrap());
        assert_eq!(response, [0xBF, 0x30, 0x03, 0x80, 0x01, 0x00]);
    }
    device.reboot();
    device.install(&pki, &TestProfile::new(A));
    assert_eq!(events(&device.notifications()), [(3, NotificationEvent::INSTALL)]);
}

/// A store that fails and comes back, without a power cut: what it holds is what counts.
#[test]
fn after_a_write_that_failed_the_store_is_believed() {
    let pki = Pki::new(Curve::P256);
    let flash = card(&pki, true);
    for written in [false, true] {
        let store = MemoryStore::new();
        store.restore(flash.clone());
        let mut device = Device::boot(store.clone());
        store.arm(PowerCut { at_write: 0, written });
        assert_eq!(device.enable(A, false), 127);
        assert_eq!(device.es10_sw(&empty_request(tags::PROFILE_INFO_LIST).unwrap()).1, StatusWord::MEMORY_PROBLEM);
        assert!(!device.card.take_card_changed());
        store.power_on();
        let enabled: Vec<_> = device
            .profiles()
            .iter()
            .filter(|profile| profile.profile_state == Some(teuicc_rsp::codes::ProfileState::Enabled))
            .map(|profile| profile.iccid.unwrap())
            .collect();
        assert_eq!(enabled, [digits(if written { A } else { B })]);
        assert_eq!(device.card.take_card_changed(), written);
        assert_eq!(device.delete(if written { B } else { A }), 0);
    }
}

/// The same while a profile is installed: the slot is clean before it is used again.
#[test]
fn after_an_installation_that_failed_the_slot_is_clean() {
    let pki = Pki::new(Curve::P256);
    let flash = card(&pki, false);
    for at_write in 0..4 {
        for written in [false, true] {
            let store = MemoryStore::new();
            store.restore(flash.clone());
            let mut device = Device::boot(store.clone());
            let mut smdp = Smdp::new(&pki, TestProfile::new(A));
            smdp.authenticate(&mut device);
            smdp.prepare(&mut device);
            let package = smdp.package();
            let segments = teuicc_rsp::bpp::segments(&package).unwrap();
            let (last, others) = segments.split_last().unwrap();
            others.iter().for_each(|segment| assert_eq!(device.es10(segment), []));
            store.arm(PowerCut { at_write, written });
            assert_eq!(device.es10_sw(last).1, StatusWord::MEMORY_PROBLEM);
            store.power_on();
            let installed = (at_write, written) == (3, true);
            assert_eq!(device.profiles().len(), if installed { 2 } else { 1 });
            if !installed {
                assert_eq!(store.snapshot(), flash);
                device.install(&pki, &TestProfile::new(A));
            }
            device.reboot();
            assert_eq!(device.profiles().len(), 2);
        }
    }
}

#[test]
fn without_its_registry_a_card_is_damaged() {
    let pki = Pki::new(Curve::P256);
    let mut damaged = card(&pki, true);
    damaged.remove(&ObjectId::Registry).unwrap();
    let store = MemoryStore::new();
    store.restore(damaged.clone());
    let mut card = teuicc_card::Card::boot(teuicc_card::testing::platform(store.clone(), 1));
    let response = ask(&mut card, &teuicc_wire::Request::Hello);
    assert_eq!(response, teuicc_wire::Response::Error(teuicc_wire::Error::StoreCorrupt));
    assert_eq!(store.snapshot(), damaged, "nothing is overwritten");
}

fn is_profile_damaged(device: &mut Device) -> bool {
    match ask(&mut device.card, &teuicc_wire::Request::Hello) {
        teuicc_wire::Response::Hello(hello) => hello.profile_damaged,
        response => panic!("{response:?}"),
    }
}

/// A card of two profiles, the second one enabled, without an object of a profile; which slot it belonged to.
fn without_objects_of_profiles(pki: &Pki) -> impl Iterator<Item = (ObjectId, ProfileSlot, Device)> {
    let flash = card(pki, true);
    let objects: Vec<_> = flash.keys().copied().collect();
    objects.into_iter().filter_map(move |id| {
        let (ObjectId::Base(slot) | ObjectId::Hot(slot)) = id else { return None };
        let store = MemoryStore::new();
        let mut damaged = flash.clone();
        damaged.remove(&id);
        store.restore(damaged.clone());
        let device = Device::boot(store.clone());
        assert_eq!(store.snapshot(), damaged, "{id:?}: nothing is overwritten");
        Some((id, slot, device))
    })
}

#[test]
fn a_damaged_profile_takes_nothing_else_with_it() {
    let pki = Pki::new(Curve::P256);
    let mut tried = 0;
    for (id, slot, mut device) in without_objects_of_profiles(&pki) {
        let enabled = slot.number() == 1;
        assert_eq!(is_profile_damaged(&mut device), enabled, "{id:?}");
        let listed = device.profiles();
        let states: Vec<_> = listed.iter().map(|profile| (profile.iccid, profile.profile_state)).collect();
        let expected = [(A, ProfileState::Disabled), (B, ProfileState::Enabled)];
        assert_eq!(states, expected.map(|(iccid, state)| (Some(digits(iccid)), Some(state))), "{id:?}");
        let named = |at: usize| listed[at].profile_name.is_some();
        let without_name = matches!(id, ObjectId::Base(_)).then_some(usize::from(enabled));
        assert_eq!([named(0), named(1)], [without_name != Some(0), without_name != Some(1)], "{id:?}");

        if enabled {
            assert_eq!(device.enable(A, false), 0, "{id:?}: the other one");
            assert!(!is_profile_damaged(&mut device));
        } else {
            assert_eq!(device.enable(A, false), 127, "{id:?}: the damaged one");
            assert_eq!(device.disable(B, false), 0);
            assert_eq!(device.enable(B, false), 0);
        }
        let damaged = if enabled { B } else { A };
        assert_eq!(device.delete(damaged), 0, "{id:?}");
        device.install(&pki, &TestProfile::new(damaged));
        assert_eq!(device.enable(damaged, false), 0);
        device.reboot();
        assert!(!is_profile_damaged(&mut device));
        tried += 1;
    }
    assert_eq!(tried, 4);
}

#[test]
fn a_damaged_profile_can_be_disabled_and_is_reset_with_the_others() {
    let pki = Pki::new(Curve::P256);
    for (id, slot, mut device) in without_objects_of_profiles(&pki) {
        if slot.number() == 1 {
            assert_eq!(device.disable(B, false), 0, "{id:?}");
            assert!(!is_profile_damaged(&mut device));
        }
        let reset = EuiccMemoryResetRequest { reset_options: ResetOptions::DELETE_OPERATIONAL_PROFILES };
        let response: EuiccMemoryResetResponse = device.call(&reset.encode().unwrap());
        assert_eq!(response.result, EuiccMemoryResetResult::Ok, "{id:?}");
        assert!(device.profiles().is_empty());
    }
}

/// A store that cannot be listed while the flag is set.
struct Unlisted(MemoryStore, Rc<Cell<bool>>);

impl Store for Unlisted {
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.load(id)
    }

    fn replace(&mut self, id: ObjectId, value: &[u8]) -> Result<(), StoreError> {
        self.0.replace(id, value)
    }

    fn remove(&mut self, id: ObjectId) -> Result<(), StoreError> {
        self.0.remove(id)
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        if self.1.get() { Err(StoreError::Unavailable) } else { self.0.list() }
    }
}

#[test]
fn a_switch_that_is_found_in_the_store_later_is_followed() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    device.install(&pki, &TestProfile::new(A));
    let (memory, unlisted) = (device.store.clone(), Rc::new(Cell::new(false)));
    let store = Unlisted(memory.clone(), unlisted.clone());
    let mut card = Card::boot(Platform { rng: SeededRng::new(1), store, rollback_protection: false });
    card.power_up(Interface::Lpa).unwrap();
    let select = encode_command([0x00, 0xA4, 0x04, 0x00], &aid::ISDR, Some(256)).unwrap();
    assert_eq!(card.transmit(Interface::Lpa, &select).unwrap().sw, StatusWord::OK);
    let mut es10 = |command: &[u8]| {
        let apdu = encode_command([0x80, 0xE2, 0x91, 0x00], command, None).unwrap();
        card.transmit(Interface::Lpa, &apdu).unwrap()
    };

    // The registry is written, and the store fails all the same.
    memory.arm(PowerCut { at_write: 0, written: true });
    let profile_identifier = ProfileIdentifier::Iccid(digits(A));
    let enable = EnableProfileRequest { profile_identifier, refresh_flag: false }.encode().unwrap();
    assert_eq!(EnableProfileResponse::parse(&es10(&enable).data).unwrap().result.code(), 127);
    memory.power_on();
    // It is read again, but cannot be checked.
    unlisted.set(true);
    let list = empty_request(tags::PROFILE_INFO_LIST).unwrap();
    assert_ne!(es10(&list).data.get(2), Some(&0xA0));
    unlisted.set(false);
    assert_eq!(es10(&list).sw, StatusWord::OK);

    card.power_up(Interface::Modem).unwrap();
    let usim = encode_command([0x00, 0xA4, 0x04, 0x0C], &[0xA0, 0, 0, 0, 0x87, 0x10, 0x02], None).unwrap();
    assert_eq!(card.transmit(Interface::Modem, &usim).unwrap().sw, StatusWord::OK);
}
