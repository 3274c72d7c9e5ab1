//! Logical channels, classes and the order of checks.

use crate::Bench;
use teuicc_wire::Interface;

#[test]
fn the_lowest_free_number_is_given() {
    let mut bench = Bench::new();
    for number in 1..=19 {
        assert_eq!(bench.ok("0070000001"), format!("{number:02X}"));
    }
    assert_eq!(bench.sw("0070000001"), 0x6A81);
    bench.ok("00708003");
    bench.ok("00708011");
    assert_eq!(bench.ok("0070000001"), "03");
    assert_eq!(bench.ok("0070000001"), "11");
}

#[test]
fn forms_and_errors() {
    let mut bench = Bench::new();
    for (apdu, data, sw) in [
        ("00700005", "", 0x9000),
        ("00700005", "", 0x6A81),
        ("0070000001", "01", 0x9000),
        ("00700014", "", 0x6A86),
        ("00708014", "", 0x6A86),
        ("00708000", "", 0x6A86),
        ("00708007", "", 0x6881),
        ("00704000", "", 0x6A86),
        ("007000000100", "", 0x6700),
        ("41F20000", "", 0x6E00),
        ("C1F2000C", "", 0x9000), // channel 5
        ("C2F2000C", "", 0x6881),
        ("41708005", "", 0x9000), // closes itself
        ("C1F2000C", "", 0x6881),
        ("8070000001", "", 0x6E00),
    ] {
        assert_eq!(bench.apdu(apdu), (data.to_owned(), sw), "{apdu}");
    }
}

#[test]
fn each_channel_has_its_own_selection() {
    let mut bench = Bench::new();
    bench.verify_pin1();
    bench.ok("0070000001");
    bench.ok("0070000001");
    bench.ok("01A4040C07A0000000871002");
    bench.ok("02A4080C047F106F3A");
    bench.ok("02B2000200");
    bench.ok("00A4000C022FE2");
    assert_eq!(bench.ok("00B0000001"), "98");
    assert_eq!(bench.ok("81F2000100"), "8410A0000000871002FFFFFFFF8907090000");
    assert_eq!(bench.ok("02B2000400"), crate::string(b"adn1"));
    // Opened from another channel it starts there, but without its EF.
    assert_eq!(bench.ok("0170000001"), "03");
    assert_eq!(bench.ok("83F2000100"), "8410A0000000871002FFFFFFFF8907090000");
    assert_eq!(bench.sw("03B0000001"), 0x6986);
    // Opened again it starts anew.
    bench.ok("00708001");
    bench.ok("0070000001");
    assert_eq!(bench.sw("81F2000100"), 0x6A88);
}

/// TS 102 221 section 8.7: what is not shareable is selected on one channel at a time.
#[test]
fn files_and_applications_that_are_not_shareable() {
    let mut profile = teuicc_card::testing::profile::profile(crate::SLOT);
    for file in &mut profile.files {
        file.shareable = !matches!(file.fid, 0x2FE2 | 0x7F10 | 0x7FF1);
    }
    let mut bench = Bench::with(profile);
    assert!(bench.ok("00A40004022FE2").starts_with("62268202 0121".replace(' ', "").as_str()));
    bench.ok("0070000001");
    for (apdu, sw) in [
        ("01A4000C022FE2", 0x6985),
        ("01B0820000", 0x6985), // by its SFI
        ("01A4080C022FE2", 0x6985),
        ("01A4000C022F05", 0x9000),
        ("00A4000C022F05", 0x9000), // shareable
        ("01B0820000", 0x9000),
        // A directory, and an application.
        ("00A4000C027F10", 0x9000),
        ("01A4000C027F10", 0x6985),
        ("01A4080C047F106F3A", 0x9000), // passing through is not selecting
        ("00A4000C023F00", 0x9000),
        ("01A4040C07A0000000871004", 0x9000),
        ("00A4040C07A0000000871004", 0x6985),
        ("01A4000C023F00", 0x9000),
        ("00A4040C07A0000000871004", 0x6985), // it is active still
        ("0170000001", 0x6985),               // a new channel would have it too
        ("0070000001", 0x9000),
        ("01A4044C07A0000000871004", 0x9000),
        ("00A4040C07A0000000871004", 0x9000),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    // Each interface is by itself.
    assert_eq!(bench.on(Interface::Lpa, "00A4040C07A0000000871004").1, 0x9000);
    // Closing a channel, or a reset, frees what was selected on it.
    bench.ok("02A4040C07A0000000871002");
    bench.ok("02A4000C027F10");
    assert_eq!(bench.sw("00A4080C027F10"), 0x6985);
    bench.ok("00708002");
    bench.ok("00A4080C027F10");
}

#[test]
fn a_reset_of_one_interface_leaves_the_other_alone() {
    for (reset, other) in [(Interface::Modem, Interface::Lpa), (Interface::Lpa, Interface::Modem)] {
        let mut bench = Bench::new();
        for interface in [reset, other] {
            assert_eq!(bench.on(interface, "0070000001").0, "01");
            assert_eq!(bench.on(interface, "01A4040C07A0000000871004").1, 0x9000);
        }
        bench.card.power_up(reset).unwrap();
        assert_eq!(bench.on(reset, "81F2000100").1, 0x6881);
        assert_eq!(bench.on(other, "81F2000100").1, 0x9000);
        bench.card.power_down(reset).unwrap();
        assert!(bench.card.transmit(reset, &crate::hex("00A4000C")).is_err());
        assert_eq!(bench.on(other, "81F2000100").1, 0x9000);
    }
}

#[test]
fn checks_come_in_the_documented_order() {
    let mut bench = Bench::new();
    for (apdu, sw) in [
        ("00", 0x6700),
        ("FFFF0000", 0x6E00),
        ("A1A400000 23F00", 0x6E00), // the 2G command set
        ("20A40000", 0x6E00),
        ("0BFF0000", 0x6881),
        ("08FF0000", 0x6882),
        ("10FF0000", 0x6884),
        ("00FF0000", 0x6D00),
        ("00C0000010", 0x6D00), // GET RESPONSE belongs to the transport
        ("0078008100", 0x6E00), // GET IDENTITY is a command of another class
        ("00FE0000", 0x6D00),   // TERMINATE CARD USAGE
        ("807A0000", 0x6D00),   // EXCHANGE CAPABILITIES
        ("80A4050C", 0x6E00),
        ("80E2910003BF2000", 0x6D00), // without the ISD-R
        ("00A4050C", 0x6A86),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
}

/// No file is current there, and a command to one does not leave it.
#[test]
fn with_the_isd_r_selected_there_are_no_files() {
    let mut bench = Bench::new();
    bench.ok("0070000001");
    bench.ok("01A4040C10A0000005591010FFFFFFFF8900000100");
    let name = bench.ok("81F2000100");
    for (apdu, sw) in [
        ("01B0820000", 0x6986),
        ("01B0830000", 0x6986),
        ("01B0000000", 0x6986),
        ("01D685000101", 0x6986),
        ("01B201F400", 0x6986),
        ("01DC01F40101", 0x6986),
        ("01A201F40101", 0x6986),
        ("81329C000101", 0x6986),
        ("81CB00850181", 0x6986),
        ("81DB0085038101AA", 0x6986),
        ("01040000022F30", 0x6986),
        ("01440800022F30", 0x6986),
        ("01040000", 0x6986),
        ("01E0000018 6216 82024121 83026F50 8A0105 8B032F0607 80020010 8800", 0x6985),
        ("01E40000022F30", 0x6985),
        ("01E80000022F30", 0x6985),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
        assert_eq!(bench.ok("81F2000100"), name, "{apdu}");
    }
    bench.ok("01A4000C023F00");
    bench.ok("01B0820000");
}
