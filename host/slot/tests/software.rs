//! The software TEE with a slot over it.
#![cfg(feature = "software")]

use tempfile::TempDir;
use teuicc_slot::software::{OpenError, Options, SoftwareTee};
use teuicc_slot::{Interface, LinkError, Slot, SlotConfig, Wire};
use teuicc_wire::{FactoryRequest, State};

fn options() -> Options {
    Options { owner: "test".into() }
}

fn slot(folder: &TempDir) -> Slot {
    let tee = SoftwareTee::open(folder.path(), &options()).unwrap();
    Slot::start(Wire::new(tee), SlotConfig::default()).unwrap()
}

#[test]
fn a_new_card_answers_and_makes_its_key_pair() {
    let folder = TempDir::new().unwrap();
    let slot = slot(&folder);
    assert_eq!(slot.blocking_hello().unwrap().state, State::Factory);
    let powered = slot.blocking_power_up(Interface::Modem).unwrap();
    assert_eq!(powered.atr[0], 0x3B);
    let eid = *b"\x89\x04\x90\x32\x12\x34\x51\x23\x45\x12\x34\x56\x78\x90\x12\x35";
    let request = FactoryRequest { eid, curve: 0, organization: "Test EUM" };
    let made = slot.blocking_factory_request(&request).unwrap();
    assert_eq!(made[0], 0x30);
}

#[test]
fn the_folder_is_free_again_when_the_slot_is_closed_and_not_before() {
    let folder = TempDir::new().unwrap();
    let first = slot(&folder);
    assert!(matches!(SoftwareTee::open(folder.path(), &options()), Err(OpenError::InUse { .. })));
    first.blocking_close();
    slot(&folder).blocking_hello().unwrap();
}

#[test]
fn a_damaged_object_is_told_in_every_answer_and_nothing_is_overwritten() {
    let folder = TempDir::new().unwrap();
    let first = slot(&folder);
    let eid = *b"\x89\x04\x90\x32\x12\x34\x51\x23\x45\x12\x34\x56\x78\x90\x12\x35";
    first.blocking_factory_request(&FactoryRequest { eid, curve: 0, organization: "Test EUM" }).unwrap();
    first.blocking_close();
    let object = folder.path().join("object-id");
    let mut content = std::fs::read(&object).unwrap();
    content[40] ^= 1;
    std::fs::write(&object, &content).unwrap();
    let second = slot(&folder);
    let corrupt = LinkError::Card(teuicc_wire::Error::StoreCorrupt);
    assert_eq!(second.blocking_hello().unwrap_err(), corrupt);
    assert_eq!(second.blocking_power_up(Interface::Modem).unwrap_err(), corrupt);
    second.blocking_close();
    assert_eq!(std::fs::read(&object).unwrap(), content);
}
