//! SUSPEND UICC.

use crate::{Bench, SLOT, rules};
use teuicc_card::profile::{FileIndex, FileKind};
use teuicc_card::testing::profile::{self, rule};
use teuicc_wire::Interface::{Lpa, Modem};

const SUSPEND: &str = "8076000004 0101 020C";

/// A card whose EF.UMPC has this third byte.
fn with_umpc(features: u8) -> Bench {
    let mut profile = profile::profile(SLOT);
    let umpc = [60, 255, features, 0xFF, 0xFF];
    rules::add_ef(&mut profile, FileIndex::MF, 0x2F08, FileKind::Transparent, rule::READ_ALWAYS, &umpc);
    Bench::with(profile)
}

fn power_cycle(bench: &mut Bench) {
    bench.card.power_down(Modem).unwrap();
    bench.card.power_up(Modem).unwrap();
}

/// Suspends with something to remember, and gives the token.
fn suspended() -> (Bench, String) {
    let mut bench = with_umpc(0x02);
    bench.verify_pin1();
    bench.ok("0070000001");
    bench.ok("01A4040C07A0000000871002");
    bench.ok("00A4000C022F30");
    let answer = bench.ok(SUSPEND);
    assert_eq!((answer.len(), &answer[..4]), (20, "020C"));
    (bench, answer[4..].to_owned())
}

#[test]
fn only_if_it_is_announced() {
    for mut bench in [Bench::new(), with_umpc(0x00), with_umpc(0x01), Bench::empty()] {
        assert_eq!(bench.sw(SUSPEND), 0x6D00);
        assert_eq!(bench.sw("8076010008 0000000000000000"), 0x6D00);
        assert_eq!(bench.sw("80760200"), 0x6D00);
    }
}

#[test]
fn what_was_open_is_open_again() {
    let (mut bench, token) = suspended();
    power_cycle(&mut bench);
    bench.ok(&format!("8076010008{token}"));
    assert_eq!(bench.ok("00B0000001"), "00", "the EF that was selected");
    bench.ok("01B0870001");
    // Once.
    power_cycle(&mut bench);
    assert_eq!(bench.sw(&format!("8076010008{token}")), 0x6985);
    assert_eq!(bench.sw("81F2000C"), 0x6881);
}

/// The LPA's interface works on meanwhile.
#[test]
fn what_was_deleted_meanwhile_is_not_selected_again() {
    let mut profile = rules::administered();
    let umpc = [60, 255, 2, 0xFF, 0xFF];
    rules::add_ef(&mut profile, FileIndex::MF, 0x2F08, FileKind::Transparent, rule::READ_ALWAYS, &umpc);
    let mut bench = Bench::with(profile);
    bench.ok("00A4000C022F30");
    let token = bench.ok(SUSPEND)[4..].to_owned();
    bench.card.power_down(Modem).unwrap();
    for apdu in [
        "0020000A0861646D696E6B6579",
        "00E40000022F30",
        "00E0000018 6216 82024121 83022F31 8A0105 8B032F0605 80020010 8800",
    ] {
        assert_eq!(bench.on(Lpa, apdu).1, 0x9000, "{apdu}");
    }
    bench.card.power_up(Modem).unwrap();
    bench.ok(&format!("8076010008{token}"));
    assert_eq!(bench.sw("00B0000001"), 0x6986);
}

#[test]
fn it_is_over_with_anything_that_comes_between() {
    let (mut bench, token) = suspended();
    bench.ok("80F2000C");
    power_cycle(&mut bench);
    assert_eq!(bench.sw(&format!("8076010008{token}")), 0x6985, "a command after SUSPEND UICC");

    let (mut bench, token) = suspended();
    power_cycle(&mut bench);
    bench.ok("80F2000C");
    assert_eq!(bench.sw(&format!("8076010008{token}")), 0x6985, "a command before");

    let (mut bench, token) = suspended();
    power_cycle(&mut bench);
    let wrong = if token.starts_with('0') { token.replacen('0', "1", 1) } else { format!("0{}", &token[1..]) };
    assert_eq!(bench.sw(&format!("8076010008{wrong}")), 0x6985, "another token");
    assert_eq!(bench.sw(&format!("8076010008{token}")), 0x6985);
    assert_eq!(bench.sw("81F2000C"), 0x6881);

    let (mut bench, token) = suspended();
    bench.reboot();
    assert_eq!(bench.sw(&format!("8076010008{token}")), 0x6985, "the whole card lost its power");

    let (mut bench, token) = suspended();
    assert_eq!(bench.sw(&format!("8076010008{token}")), 0x6985, "the power was not gone");

    let (mut bench, token) = suspended();
    bench.card.power_up(Lpa).unwrap();
    assert_eq!(bench.on(Lpa, &format!("8076010008{token}")).1, 0x6985, "another interface");
    power_cycle(&mut bench);
    bench.ok(&format!("8076010008{token}"));
}

#[test]
fn forms_and_errors() {
    for (apdu, sw) in [
        ("8076000004 0001 0001", 0x9000),
        ("8076000004 0401 04FF", 0x9000),
        ("8076000004 003C 0101", 0x9000), // 60 seconds are a minute
        ("8076000004 0501 0501", 0x6A80),
        ("8076000004 0102 0101", 0x6A80),
        ("8076000002 0101", 0x6700),
        ("80760000", 0x6700),
        ("8076010007 00000000000000", 0x6700),
        ("8076020004 0101 0101", 0x6A86),
        ("8076000104 0101 0101", 0x6A86),
        ("0076000004 0101 0101", 0x6E00),
    ] {
        assert_eq!(with_umpc(0x02).sw(apdu), sw, "{apdu}");
    }
    let mut bench = with_umpc(0x02);
    bench.ok("0070000001");
    assert_eq!(bench.sw("8176000004 0101 0101"), 0x6881);
}
