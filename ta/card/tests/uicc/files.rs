//! READ and UPDATE of BINARY and RECORD, access rules, and what is written when.

use crate::{Bench, string};
use teuicc_card::testing::{PowerCut, profile};
use teuicc_wire::Interface;

#[test]
fn read_binary() {
    for (apdus, data, sw) in [
        (&["00B0000000"][..], "", 0x6986),
        (&["00A4000C022FE2", "00B0000000"], "981032547698103254F6", 0x9000),
        (&["00A4000C022FE2", "00B000000A"], "981032547698103254F6", 0x9000),
        (&["00A4000C022FE2", "00B0000804"], "54F6", 0x9000),
        (&["00A4000C022FE2", "00B0000202"], "3254", 0x9000),
        (&["00A4000C022FE2", "00B0000A01"], "", 0x6B00),
        (&["00A4000C022FE2", "00B07FFF01"], "", 0x6B00),
        (&["00A4000C022FE2", "00B00000010000"], "", 0x6700),
        (&["00B0820000"], "981032547698103254F6", 0x9000),
        (&["00B0820802"], "54F6", 0x9000),
        (&["00B0820000", "00B0000001"], "98", 0x9000),
        (&["00B0830000"], "", 0x6A82),
        (&["00B0800000"], "", 0x6A86),
        (&["00B09F0000"], "", 0x6A86),
        (&["00B0C20000"], "", 0x6A86),
        (&["00B09E0000"], "", 0x6981),
        (&["00A4000C022F00", "00B0000000"], "", 0x6981),
        (&["00A4000C027F10", "00B0000000"], "", 0x6986),
        (&["00A4000C027F10", "00B08D0000"], "", 0x6A82),
        (&["00A4040C07A0000000871002", "00B0870000"], "", 0x6982),
        (&["00A4040C07A0000000871002", "00A4000C026F46", "00B0000000"], "", 0x6985),
    ] {
        let mut bench = Bench::new();
        let (last, way) = apdus.split_last().unwrap();
        for apdu in way {
            let _ = bench.apdu(apdu);
        }
        assert_eq!(bench.apdu(last), (data.to_owned(), sw), "{apdus:?}");
    }
}

#[test]
fn update_binary() {
    let mut bench = Bench::new();
    bench.ok("00A4000C022F30");
    bench.ok("00D60000 02 AABB");
    bench.ok("00D600FF 01 CC");
    assert_eq!(bench.ok("00B0000003"), "AABB00");
    assert_eq!(bench.ok("00B000FE02"), "00CC");
    for (apdu, sw) in [
        ("00D600FF 02 CCDD", 0x6700),
        ("00D60100 01 CC", 0x6B00),
        ("00D60000", 0x6700),
        ("00D69F00 01 CC", 0x6A86),
        ("00D68500 01 CC", 0x6982),
        ("00D68200 01 CC", 0x6982),
        ("00D69E00 01 CC", 0x6981),
        ("00D69D00 01 CC", 0x6A82),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    // With ADM1 the file of SFI 5 can be written, the read-only one of SFI 2 still cannot.
    bench.ok(&format!("0020000A08{}", string(&profile::ADM1)));
    bench.ok("00D68501 01 78");
    assert_eq!(bench.ok("00B0850000"), "65786465");
    assert_eq!(bench.sw("00D68200 01 CC"), 0x6982);
    bench.reboot();
    assert_eq!(bench.ok("00B0850000"), "65786465");
}

#[test]
fn a_deactivated_file_may_be_usable() {
    let mut profile = profile::profile(crate::SLOT);
    for file in profile.files.iter_mut().filter(|file| file.fid == 0x6F46) {
        file.special = 0x40;
    }
    let mut bench = Bench::with(profile);
    bench.select_usim();
    assert_eq!(bench.sw("00A4000C026F46"), 0x6283);
    assert_eq!(bench.ok("00B0000000"), string(b"off"));
    bench.ok("00D6000001 4F");
}

#[test]
fn records() {
    let mut bench = Bench::new();
    bench.verify_pin1();
    bench.ok("00A4080C047F106F3A");
    let (one, two, three) = (string(b"adn1"), string(b"adn2"), string(b"adn3"));
    for (apdu, data, sw) in [
        ("00B2000400", "", 0x6A83), // current, but there is none
        ("00B2010404", one.as_str(), 0x9000),
        ("00B2030400", &three, 0x9000),
        ("00B2040400", "", 0x6A83),
        ("00B2FF0400", "", 0x6A86),
        ("00B2000200", &one, 0x9000),
        ("00B2000200", &two, 0x9000),
        ("00B2000400", &two, 0x9000),
        ("00B2000200", &three, 0x9000),
        ("00B2000200", "", 0x6A83),
        ("00B2000300", &two, 0x9000),
        ("00B2010200", "", 0x6A86),
        ("00B2000000", "", 0x6A86),
        ("00B2000100", "", 0x6A86),
        ("00B200FC00", "", 0x6A86),
        ("00B20104020000", "", 0x6700),
        ("00DC010404 78787878", "", 0x9000),
        ("00B2010400", "78787878", 0x9000),
        ("00DC010403 787878", "", 0x6700),
        ("00DC0104", "", 0x6700),
        ("00DC040404 78787878", "", 0x6A83),
        ("00DC000204 79797979", "", 0x9000),
        ("00B2000400", "79797979", 0x9000),
        ("00B2030400", "79797979", 0x9000),
        ("00D6000004 78787878", "", 0x6981),
    ] {
        assert_eq!(bench.apdu(apdu), (data.to_owned(), sw), "{apdu}");
    }
    // Through the link in the phonebook, by SFI.
    bench.select_usim();
    bench.ok("00A4000C025F3A");
    assert_eq!(bench.ok("00B2015400"), "78787878");
    bench.ok("00DC025404 7A7A7A7A");
    bench.ok("00A4080C047F106F3A");
    assert_eq!(bench.ok("00B2020400"), "7A7A7A7A");
}

#[test]
fn cyclic_records() {
    let mut bench = Bench::new();
    bench.verify_pin1();
    bench.select_usim();
    bench.ok("00A4000C026F39");
    for (apdu, data, sw) in [
        ("00B2000300", string(b"c03").as_str(), 0x9000),
        ("00B2000200", &string(b"c01"), 0x9000),
        ("00DC010403 6E6577", "", 0x6A86),
        ("00DC000203 6E6577", "", 0x6A86),
        ("00DC000302 6E65", "", 0x6700),
        ("00DC000303 6E6577", "", 0x9000),
        ("00B2000400", &string(b"new"), 0x9000),
        ("00B2010400", &string(b"new"), 0x9000),
        ("00B2020400", &string(b"c01"), 0x9000),
        ("00B2030400", &string(b"c02"), 0x9000),
        ("00B2000300", &string(b"c02"), 0x9000),
    ] {
        assert_eq!(bench.apdu(apdu), (data.to_owned(), sw), "{apdu}");
    }
}

#[test]
fn access_rules_follow_the_pins() {
    // Which PINs are presented: PIN1, PIN2, ADM1.
    for presented in 0..8u8 {
        let mut bench = Bench::new();
        bench.select_usim();
        for (bit, reference, value) in [(1, "01", profile::PIN1), (2, "81", profile::PIN2), (4, "0A", profile::ADM1)] {
            if presented & bit != 0 {
                bench.ok(&format!("002000{reference}08{}", string(&value)));
            }
        }
        let (pin1, pin2, adm1) = (presented & 1 != 0, presented & 2 != 0, presented & 4 != 0);
        for (path, read, update) in [
            ("2FE2", true, false),
            ("2F05", true, adm1),
            ("2F30", true, true),
            ("7FFF6F07", pin1, adm1),
            ("7FFF6F7E", pin1, pin1),
            ("7FFF6F47", pin1, pin2),
        ] {
            let length = path.len() / 2;
            bench.ok(&format!("00A4080C{length:02X}{path}"));
            assert_eq!(bench.sw("00B0000001"), if read { 0x9000 } else { 0x6982 }, "{path} {presented}");
            assert_eq!(bench.sw("00D600000100"), if update { 0x9000 } else { 0x6982 }, "{path} {presented}");
        }
    }
}

#[test]
fn a_rule_that_is_not_there_opens_nothing() {
    for record in [0, 7, 255] {
        let mut profile = profile::profile(crate::SLOT);
        for file in &mut profile.files {
            if file.fid == 0x2FE2 {
                file.security = teuicc_card::profile::Security::Arr { file: 0x2F06, record };
            }
        }
        assert_eq!(Bench::with(profile).sw("00B0820000"), 0x6982);
    }
    let mut profile = profile::profile(crate::SLOT);
    for file in &mut profile.files {
        match file.fid {
            0x2FE2 => file.security = teuicc_card::profile::Security::Never,
            0x2F05 => file.security = teuicc_card::profile::Security::Arr { file: 0x6F06, record: 1 },
            _ => {}
        }
    }
    let mut bench = Bench::with(profile);
    assert_eq!(bench.sw("00B0820000"), 0x6982);
    assert_eq!(bench.sw("00B0850000"), 0x6982);
}

#[test]
fn what_a_modem_rewrites_stays_in_memory_until_it_powers_down() {
    let mut bench = Bench::new();
    bench.verify_pin1();
    bench.select_usim();
    let _ = bench.replaces();
    for round in 1..64 {
        bench.ok(&format!("00D68B0001{round:02X}"));
    }
    assert_eq!(bench.replaces(), 0);
    assert_eq!(bench.ok("00B08B0001"), "3F");
    bench.card.power_down(Interface::Lpa).unwrap();
    assert_eq!(bench.replaces(), 0);
    bench.card.power_down(Interface::Modem).unwrap();
    assert_eq!(bench.replaces(), 1);
    bench.card.power_down(Interface::Modem).unwrap();
    assert_eq!(bench.replaces(), 0, "nothing changed since");
    bench.reboot();
    bench.verify_pin1();
    bench.select_usim();
    assert_eq!(bench.ok("00B08B0001"), "3F");
}

#[test]
fn an_update_is_stored_before_it_is_acknowledged() {
    let mut bench = Bench::new();
    bench.ok("00A4000C022F30");
    bench.ok("00D6000001AA");
    assert_eq!(bench.replaces(), 1);
    bench.ok("00D6000001AA");
    assert_eq!(bench.replaces(), 0, "what changes nothing is not written");
    for written in [false, true] {
        let mut bench = Bench::new();
        bench.ok("00A4000C022F30");
        bench.store.arm(PowerCut { at_write: 0, written });
        assert_eq!(bench.sw("00D6000001AA"), 0x6581);
        assert_eq!(bench.ok("00B0000001"), "00");
        bench.reboot();
        bench.ok("00A4000C022F30");
        assert_eq!(bench.ok("00B0000001"), if written { "AA" } else { "00" });
    }
}
