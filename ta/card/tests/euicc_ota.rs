//! ES6: UpdateMetadata over the air, on a card with profiles.

mod common;

use common::*;
use hex_literal::hex;
use std::collections::BTreeMap;

use teuicc_card::testing::ota::{Report, Server, TAR_DOMAIN};
use teuicc_card::testing::{MemoryStore, PowerCut};
use teuicc_card::{ObjectId, Store};
use teuicc_rsp::aid;
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::es10::ProfileInfoListResponse;
use teuicc_rsp::metadata::PprIds;
use teuicc_saip::build::Algorithm;
use teuicc_tlv::Writer;
use teuicc_wire::Interface;

const A: &str = ICCID;
const B: &str = "89000123456789012358";

/// A profile with keys for remote management.
fn managed(iccid: &str, more: impl FnOnce(&mut Writer)) -> TestProfile {
    TestProfile::with(iccid, Algorithm::Milenage, more).managed()
}

/// A card with these profiles, the first of them enabled, and its modem.
fn device(profiles: &[TestProfile]) -> Device {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    profiles.iter().for_each(|profile| device.install(&pki, profile));
    assert_eq!(device.enable(&profiles[0].iccid, false), 0);
    power(&mut device);
    device
}

fn power(device: &mut Device) {
    device.card.power_up(Interface::Modem).unwrap();
    device.store.take_replaces();
}

/// One packet to the MNO-SD; `None` without a response packet.
fn send(device: &mut Device, counter: u64, script: &[u8]) -> Option<Report> {
    let server = Server::new(TAR_DOMAIN, counter);
    let envelopes = server.envelopes(script);
    let mut answers = envelopes.iter().map(|envelope| device.card.transmit(Interface::Modem, envelope).unwrap());
    let last = answers.by_ref().last().unwrap();
    server.report(&last.data)
}

/// The status word of the last command of a script.
fn sw(device: &mut Device, counter: u64, script: &[u8]) -> u16 {
    let report = send(device, counter, script).unwrap();
    assert_eq!(report.status, 0);
    u16::from_be_bytes(report.data[1..3].try_into().unwrap())
}

/// STORE DATA with an UpdateMetadataRequest of these members, compact.
fn update(members: &[u8]) -> Vec<u8> {
    let request = [&[0xBF, 0x2A, members.len() as u8], members].concat();
    [&[0x80, 0xE2, 0x91, 0x00, request.len() as u8], &request[..]].concat()
}

/// Service provider name, profile name, format of the icon and icon of the first profile.
fn names(device: &mut Device) -> (String, String, Option<Vec<u8>>) {
    // The default tag list has no icon in it.
    let list = device.es10(&hex!("BF2D0A5C0891929394995A9F70"));
    let text = |tag: u8| {
        let at = list.windows(1).position(|byte| byte[0] == tag).unwrap();
        String::from_utf8(list[at + 2..at + 2 + usize::from(list[at + 1])].to_vec()).unwrap()
    };
    let icon = list.windows(2).position(|bytes| bytes == hex!("9402")).map(|at| list[at + 2..at + 4].to_vec());
    (text(0x91), text(0x92), icon)
}

/// Policy rules of the first profile.
fn ppr(device: &mut Device) -> Option<PprIds> {
    match device.call(&hex!("BF2D035C0199")) {
        ProfileInfoListResponse::List(list) => list.iter().next().unwrap().profile_policy_rules,
        ProfileInfoListResponse::Error(error) => panic!("{error}"),
    }
}

#[test]
fn an_update_replaces_what_it_names() {
    let mut device = device(&[managed(A, |_| ())]);
    let said = |provider: &str, profile: &str, icon: Option<&[u8]>| {
        (provider.to_owned(), profile.to_owned(), icon.map(<[u8]>::to_vec))
    };
    assert_eq!(names(&mut device), said("Provider", "Profile", None));
    assert_eq!(sw(&mut device, 1, &update(b"\x91\x03New")), 0x9000);
    assert_eq!(device.store.take_replaces(), 2, "the counter and the registry");
    assert_eq!(names(&mut device), said("New", "Profile", None));
    assert_eq!(sw(&mut device, 2, &update(b"\x92\x04name\x93\x01\x01\x94\x02\x89P")), 0x9000);
    assert_eq!(names(&mut device), said("New", "name", Some(b"\x89P")));
    device.reboot();
    power(&mut device);
    assert_eq!(names(&mut device), said("New", "name", Some(b"\x89P")));
    // An empty icon takes it away.
    assert_eq!(sw(&mut device, 3, &update(b"\x94\x00")), 0x9000);
    assert_eq!(names(&mut device), said("New", "name", None));
    assert_eq!(sw(&mut device, 4, &update(b"")), 0x9000);
    assert_eq!(names(&mut device), said("New", "name", None));
}

#[test]
fn it_is_for_the_profile_that_is_enabled() {
    let mut device = device(&[managed(A, |_| ()), managed(B, |_| ())]);
    let isdp = |number| [&hex!("80E6200016 000010")[..], &aid::isdp(number).unwrap(), &[0, 0, 0]].concat();
    let update = update(b"\x91\x03New");
    assert_eq!(sw(&mut device, 1, &[isdp(1), update.clone()].concat()), 0x6A88, "that of the other profile");
    assert_eq!(sw(&mut device, 2, &[isdp(0), update.clone()].concat()), 0x9000);
    let names: Vec<String> =
        device.profiles().iter().map(|profile| profile.service_provider_name.unwrap().as_str().to_owned()).collect();
    assert_eq!(names, ["New", "Provider"]);
}

#[test]
fn it_comes_in_blocks_and_in_the_expanded_format() {
    let mut device = device(&[managed(A, |_| ())]);
    let blocks = hex!("80E2110004 BF2A0591 80E2910104 034E6577");
    assert_eq!(sw(&mut device, 1, &blocks), 0x9000);
    assert_eq!(names(&mut device).0, "New");
    let expanded = hex!("AA0F 220D 80E2910008 BF2A0591034F6C64");
    let report = send(&mut device, 2, &expanded).unwrap();
    assert_eq!((report.status, report.data.as_slice()), (0, &hex!("AB07 800101 2302 9000")[..]));
    assert_eq!(names(&mut device).0, "Old");
}

#[test]
fn what_is_malformed_changes_nothing() {
    let mut device = device(&[managed(A, |_| ())]);
    let before = device.store.load(ObjectId::Registry).unwrap();
    for (counter, members) in (1..).zip([
        &b"\x91\x02\xFF\xFE"[..],
        &[&[0x91, 33], &[b'a'; 33][..]].concat(),
        b"\x93\x01\x01",
        b"\x94\x01\x00",
        b"\x93\x01\x01\x94\x00",
        b"\x91\x05ab",
        b"\x99\x01",
    ]) {
        assert_eq!(sw(&mut device, counter, &update(members)), 0x6A80, "{members:02X?}");
        assert_eq!(device.store.load(ObjectId::Registry).unwrap(), before);
    }
}

#[test]
fn rules_are_authorised_together_with_the_rest_or_not_at_all() {
    let owned = |iccid| managed(iccid, |writer| rules(writer, PprIds::PPR2));
    let both = b"\x91\x03New\x99\x02\x05\x60";
    // With PPR1 no other operational profile may be there.
    let mut two = device(&[owned(A), managed(B, |_| ())]);
    assert_eq!(sw(&mut two, 1, &update(both)), 0x6985);
    assert_eq!((ppr(&mut two), names(&mut two).0), (Some(PprIds::PPR2), "Provider".to_owned()));
    // A profile without an owner has no entry in the table.
    let mut ownerless = device(&[managed(A, |_| ())]);
    assert_eq!(sw(&mut ownerless, 1, &update(both)), 0x6985);
    assert_eq!((ppr(&mut ownerless), names(&mut ownerless).0), (None, "Provider".to_owned()));

    let mut one = device(&[owned(A)]);
    assert_eq!(sw(&mut one, 1, &update(both)), 0x9000);
    assert_eq!((ppr(&mut one), names(&mut one).0), (Some(PprIds::PPR1.union(PprIds::PPR2)), "New".to_owned()));
    assert_eq!(one.disable(A, false), 3, "disallowed by policy");
    assert_eq!(sw(&mut one, 2, &update(b"\x99\x01\x00")), 0x9000);
    assert_eq!((ppr(&mut one), one.disable(A, false)), (None, 0));
}

#[test]
fn a_power_cut_at_each_write_leaves_all_of_it_or_nothing() {
    let flash = device(&[managed(A, |writer| rules(writer, PprIds::PPR2))]).store.snapshot();
    let both = update(b"\x91\x03New\x99\x02\x06\xC0");
    let start = |flash: &BTreeMap<ObjectId, Vec<u8>>| {
        let store = MemoryStore::new();
        store.restore(flash.clone());
        let mut device = Device::boot(store);
        power(&mut device);
        device
    };
    for at_write in 0..2 {
        for written in [false, true] {
            let mut device = start(&flash);
            device.store.arm(PowerCut { at_write, written });
            let said = send(&mut device, 1, &both);
            assert!(said.is_none_or(|report| report.data != hex!("019000")));
            assert!(device.store.power_on(), "the cut has to strike");
            device.reboot();
            power(&mut device);
            let done = at_write == 1 && written;
            assert_eq!(names(&mut device).0, if done { "New" } else { "Provider" });
            let rules = if done { PprIds::PPR1 } else { PprIds::PPR2 };
            let rules = if done { PprIds::PPR_UPDATE_CONTROL.union(rules) } else { rules };
            assert_eq!(ppr(&mut device), Some(rules));
            let counted = at_write == 1 || written;
            assert_eq!(send(&mut device, 1, &both).unwrap().status, if counted { 2 } else { 0 });
        }
    }
}

/// EnableProfile whose write reaches the flash and fails: the card still runs the old profile, and its operator must
/// not change the new one.
#[test]
fn a_switch_that_nobody_knows_of_is_not_taken_for_the_profile() {
    let mut device = device(&[managed(A, |_| ()), managed(B, |_| ())]);
    device.store.arm(PowerCut { at_write: 0, written: true });
    assert_eq!(device.enable(B, false), 127);
    device.store.power_on();
    assert_eq!(sw(&mut device, 1, &update(b"\x91\x03New")), 0x6F00);
    let names: Vec<_> = device.profiles().iter().map(|profile| profile.service_provider_name.unwrap()).collect();
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["Provider", "Provider"]);
    // The LPA asked the ISD-R, and now B runs.
    assert_eq!(sw(&mut device, 1, &update(b"\x91\x03New")), 0x9000);
    let names: Vec<_> = device.profiles().iter().map(|profile| profile.service_provider_name.unwrap()).collect();
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["Provider", "New"]);
}

/// A write that fails is repeated by the next packet.
#[test]
fn a_store_that_fails_once_keeps_nobody_out() {
    let mut device = device(&[managed(A, |_| ())]);
    device.store.arm(PowerCut { at_write: 1, written: false });
    assert_eq!(sw(&mut device, 1, &update(b"\x91\x03New")), 0x6581);
    device.store.power_on();
    assert_eq!(sw(&mut device, 2, &update(b"\x91\x03New")), 0x9000);
    assert_eq!(names(&mut device).0, "New");
}

#[test]
fn test_profiles_are_managed_in_a_build_for_testing() {
    let mut device = device(&[TestProfile::with(A, Algorithm::XorTest, |writer| class(writer, 0)).managed()]);
    assert_eq!(sw(&mut device, 1, &update(b"\x91\x03New")), 0x9000, "as this one is");
}
