//! Remote management through the modem: ENVELOPE (SMS-PP download), on the profile made by hand and on published ones.

use crate::{Bench, SLOT, hex, rules, string, ts48};
use teuicc_card::testing::ota::{Report, Server, TAR_FILES, TAR_USIM, elements};
use teuicc_card::testing::{PowerCut, profile};
use teuicc_wire::Interface;

fn bench() -> Bench {
    let mut profile = profile::profile(SLOT);
    profile.kept = elements(&profile::USIM);
    Bench::with(profile)
}

/// Sends a packet and reads the response.
fn report(bench: &mut Bench, server: &Server, script: &str) -> Report {
    let envelopes = server.envelopes(&hex(script));
    let (last, others) = envelopes.split_last().unwrap();
    for envelope in others {
        assert_eq!(bench.sw(&string(envelope)), 0x9000);
    }
    let answer = bench.ok(&string(last));
    server.report(&hex(&answer)).expect("a response packet")
}

#[test]
fn a_file_that_an_operator_updates_is_another_for_the_modem() {
    let mut bench = bench();
    bench.select_usim();
    bench.verify_pin1();
    bench.ok("00A4000C026F07");
    assert_eq!(bench.sw("00D6000001 08"), 0x6982, "only ADM1 may");
    let server = Server::new(TAR_USIM, 1);
    bench.replaces();
    let done = report(&mut bench, &server, "00A4000C026F07 00D6000009 080910101010325476");
    assert_eq!((done.status, string(&done.data)), (0, "029000".into()));
    assert_eq!(bench.replaces(), 2, "the counter, then the file");
    // What is selected on the modem's channel is what was selected.
    assert_eq!(bench.ok("00B0000009"), "080910101010325476");
    bench.reboot();
    bench.select_usim();
    bench.verify_pin1();
    assert_eq!(bench.ok("00B0870009"), "080910101010325476");
    assert_eq!(report(&mut bench, &server, "00A4000C026F07").status, 2, "not twice, not after a reboot either");
}

/// REFRESH with the file, in the terms of the application; with NAA initialisation where the terminal has to begin
/// anew.
#[test]
fn the_modem_is_told_to_read_it_again() {
    let mut bench = bench();
    // Without POLL INTERVAL, so that nothing else is to be fetched.
    bench.ok("8010000003 000080");
    for (counter, tar, script, refresh) in [
        (
            1,
            TAR_USIM,
            "00A4000C026F07 00D6000001 08 00D6000001 09 00B0000001",
            "D0 24 81 03 01 01 02 82 02 81 82 92 07 01 3F00 7FFF 6F07 AF 10",
        ),
        (2, TAR_USIM, "00A4000C026F7E 00D6000001 08", "D0 24 81 03 02 01 01 82 02 81 82 92 07 01 3F00 7FFF 6F7E AF 10"),
        (
            3,
            TAR_FILES,
            "00A4000C022F30 00D6000001 01 00A4000C022F05 00D6000001 67",
            "D0 14 81 03 03 01 01 82 02 81 82 92 09 02 3F00 2F30 3F00 2F05",
        ),
    ] {
        let server = Server::new(tar, counter);
        let (answer, sw) = bench.apdu(&string(&server.envelopes(&hex(script))[0]));
        assert_eq!(server.report(&hex(&answer)).map(|report| report.status), Some(0));
        let refresh = refresh.replace(' ', "");
        assert_eq!(sw >> 8, 0x91);
        let command = bench.ok(&format!("80120000{:02X}", sw & 0xFF));
        assert!(command.starts_with(&refresh), "{command}");
        let qualifier = &refresh[12..14];
        bench.ok(&format!("801400000C 8103{counter:02X}01{qualifier} 82028281 830100"));
    }
    let server = Server::new(TAR_FILES, 4);
    let read = bench.apdu(&string(&server.envelopes(&hex("00A4000C022FE2 00B0000001"))[0]));
    assert_eq!(read.1, 0x9000, "nothing changed");
}

/// CREATE, UPDATE, RESIZE and DELETE of EF 6F50 in DF.TELECOM.
const CREATE: &str = "00A4000C027F10 00E0000018 6216 82024121 83026F50 8A0105 8B032F0607 80020004 8800";
const UPDATE: &str = "00A4000C026F50 00D6000002 AABB";
const RESIZE: &str = "80D400000A 6208 83026F50 80020006";
const DELETE: &str = "00A4000C027F10 00E40000026F50";

fn administered() -> Bench {
    let mut profile = rules::administered();
    profile.kept = elements(&profile::USIM);
    Bench::with(profile)
}

#[test]
fn an_operator_creates_resizes_and_deletes_files() {
    let mut bench = administered();
    bench.ok("8010000003 000080");
    bench.verify_pin1();
    let telecom = "3F00 7F10 6F50".replace(' ', "");
    for (counter, script, replaces, refresh) in [
        (1, CREATE.to_owned(), 2, format!("D0128103010101820281829207 01{telecom}")),
        (2, format!("00A4000C027F10 {UPDATE} {RESIZE}"), 3, format!("D0128103020101820281829207 01{telecom}")),
        (3, DELETE.to_owned(), 2, "D009810303010082028182".to_owned()),
    ] {
        let server = Server::new(TAR_FILES, counter);
        let _ = bench.replaces();
        let (answer, sw) = bench.apdu(&string(&server.envelopes(&hex(&script))[0]));
        let report = server.report(&hex(&answer)).unwrap();
        assert_eq!((report.status, &report.data[1..]), (0, &[0x90, 0x00][..]), "{script}");
        assert_eq!(bench.replaces(), replaces, "{script}");
        assert_eq!(bench.ok(&format!("80120000{:02X}", sw & 0xFF)), refresh.replace(' ', ""));
        let qualifier = &refresh[12..14];
        bench.ok(&format!("801400000C 8103{counter:02X}01{qualifier} 82028281 830100"));
        if counter == 2 {
            bench.ok("00A4080C047F106F50");
            assert_eq!(bench.ok("00B0000000"), "AABBFFFFFFFF");
        }
    }
    // The modem had it selected: it is in the directory now.
    assert_eq!(bench.sw("00B0000000"), 0x6986);
    assert_eq!(bench.sw("00A4000C026F50"), 0x6A82);
    bench.ok("00A4000C026F3A");
}

#[test]
fn a_power_cut_leaves_a_remote_administration_before_or_after_it() {
    let prepared = || {
        let mut bench = administered();
        report(&mut bench, &Server::new(TAR_FILES, 1), CREATE);
        bench
    };
    let (before, created, resized) = ("", "FFFFFFFF", "FFFFFFFFFFFF");
    for (script, was, is) in [(CREATE, before, created), (RESIZE, created, resized), (DELETE, created, before)] {
        let script = script.replace("00A4000C027F10", "");
        for written in [false, true] {
            let mut bench = if was.is_empty() { administered() } else { prepared() };
            // The first write is that of the counter.
            bench.store.arm(PowerCut { at_write: 1, written });
            let done = report(&mut bench, &Server::new(TAR_FILES, 2), &format!("00A4000C027F10 {script}"));
            assert_eq!(string(&done.data), "026581");
            bench.reboot();
            bench.verify_pin1();
            let (selected, content) = (bench.sw("00A4080C047F106F50"), bench.apdu("00B0000000").0);
            let expected = if written { is } else { was };
            assert_eq!((selected, content.as_str()), (if expected.is_empty() { 0x6A82 } else { 0x9000 }, expected));
        }
    }
}

/// Files that are kept in memory for the modem are stored for an operator, which is told that they are.
#[test]
fn what_is_acknowledged_to_an_operator_is_stored() {
    let mut bench = bench();
    let server = Server::new(TAR_USIM, 1);
    assert_eq!(report(&mut bench, &server, "00A4000C026F7E 00D6000001 5A").status, 0);
    bench.reboot();
    bench.select_usim();
    bench.verify_pin1();
    assert_eq!(bench.ok("00B08B0001"), "5A");
}

#[test]
fn parts_are_forgotten_at_a_reset() {
    let mut bench = bench();
    let server = Server::new(TAR_FILES, 1);
    let script = format!("00A4000C022F30 00D60000C0 {}", "5A".repeat(0xC0));
    let envelopes = server.envelopes(&hex(&script));
    assert_eq!(envelopes.len(), 2);
    assert_eq!(bench.sw(&string(&envelopes[0])), 0x9000);
    bench.card.power_up(Interface::Modem).unwrap();
    assert_eq!(bench.apdu(&string(&envelopes[1])), (String::new(), 0x9000));
    let answer = bench.ok(&string(&envelopes[0]));
    assert_eq!(server.report(&hex(&answer)).map(|report| report.status), Some(0), "now it is whole");
}

#[test]
fn a_card_without_a_profile_acknowledges() {
    let envelope = &Server::new(TAR_FILES, 1).envelopes(&hex("00A4000C022F30"))[0];
    assert_eq!(Bench::empty().apdu(&string(envelope)), (String::new(), 0x9000));
}

/// The applications and keys of TS.48, which only a build for testing believes, as this is one.
#[test]
fn published_profiles() {
    let (v3_kic, v3_kid) = ("66778899AABBCCDD1122334455EEFF10", "112233445566778899AABBCCDDEEFF10");
    let pattern = "000102030405060708090A0B0C0D0E0F";
    for (name, mut bench) in ts48::benches() {
        let (kic, kid) = if name.starts_with("TS48v3") { (v3_kic, v3_kid) } else { (pattern, pattern) };
        for (counter, indication) in [(1, 0x22), (2, 0x15)] {
            let server = Server {
                kic: (indication, hex(kic)),
                kid: (indication, hex(kid)),
                ..Server::new([0xB0, 0x01, 0x40], counter)
            };
            let done = report(&mut bench, &server, "AA11 2207 00A4000C026F07 2206 00D600000108");
            if name.contains("NoRAMRFM") {
                assert_eq!(done.status, 9, "{name}");
                continue;
            }
            assert_eq!(done.status, 0, "{name}");
            assert_eq!(string(&done.data), "AB078001022302 9000".replace(' ', ""), "{name}");
        }
        println!("{name}");
    }
}
