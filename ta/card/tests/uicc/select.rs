//! SELECT and STATUS.

use crate::Bench;

#[test]
fn by_file_identifier_from_wherever_the_channel_is() {
    for (way, fid, sw) in [
        // From the MF: itself, its children, no further down.
        (&[][..], "3F00", 0x9000),
        (&[], "2FE2", 0x9000),
        (&[], "7F10", 0x9000),
        (&[], "6F3A", 0x6A82),
        (&[], "7FFF", 0x6A82),
        (&[], "7FF0", 0x6A82),
        (&[], "0000", 0x6A82),
        // From a DF: itself, its children, the MF, not the MF's EFs.
        (&["7F10"], "7F10", 0x9000),
        (&["7F10"], "6F3A", 0x9000),
        (&["7F10"], "3F00", 0x9000),
        (&["7F10"], "2FE2", 0x6A82),
        (&["7F10"], "6F3B", 0x6A82),
        // With an EF selected, from the directory that holds it.
        (&["7F10", "6F3A"], "6F3A", 0x9000),
        (&["2FE2"], "2F05", 0x9000),
    ] {
        let mut bench = Bench::new();
        for step in way {
            bench.ok(&format!("00A4000C02{step}"));
        }
        assert_eq!(bench.sw(&format!("00A4000402{fid}")), sw, "{way:?} {fid}");
    }
}

#[test]
fn within_an_application() {
    for (way, fid, sw) in [
        (&[][..], "6F07", 0x9000),
        (&[], "5F3A", 0x9000),
        (&[], "7FFF", 0x9000),
        (&["3F00"], "7FFF", 0x9000),
        (&["3F00", "7F10"], "7FFF", 0x9000),
        (&["5F3A"], "4F3A", 0x9000),
        (&["5F3A"], "6F07", 0x6A82),
        (&["5F3A"], "7FFF", 0x9000),
        (&[], "6F46", 0x6283),
    ] {
        let mut bench = Bench::new();
        bench.select_usim();
        for step in way {
            bench.ok(&format!("00A4000C02{step}"));
        }
        assert_eq!(bench.sw(&format!("00A4000402{fid}")), sw, "{way:?} {fid}");
    }
}

#[test]
fn every_form() {
    for (apdu, sw) in [
        ("00A4000C", 0x9000),
        ("00A4000C02 3F00", 0x9000),
        ("00A4000002 3F00", 0x9000),
        ("00A4000402 3F00 00", 0x9000),
        ("00A4000802 3F00", 0x6A86),
        ("00A4000502 3F00", 0x6A86),
        ("00A4008402 3F00", 0x6A86),
        ("00A4000403 3F0000", 0x6700),
        ("00A4010C02 7F10", 0x9000),
        ("00A4010C02 2FE2", 0x6A82),
        ("00A4030C", 0x9000),
        ("00A4030C02 3F00", 0x6700),
        ("00A4080C04 7F106F3A", 0x9000),
        ("00A4080C06 3F007F106F3A", 0x9000),
        ("00A4080C04 7FFF6F07", 0x6A82),
        ("00A4080C04 2FE22F05", 0x6A82),
        ("00A4080C03 7F106F", 0x6700),
        ("00A4080C", 0x6700),
        ("00A4090C04 7F106F3A", 0x9000),
        ("00A4040C", 0x6700),
        ("00A4040C11 A0000000871002FFFFFFFF890709000000", 0x6700),
        ("00A4040C10 A0000000871002FFFFFFFF8907090000", 0x9000),
        ("00A4040C10 A0000000871002FFFFFFFF8907090001", 0x6A82),
        ("00A4040C07 A0000000871004", 0x9000),
        ("00A4040C10 A0000005591010FFFFFFFF8900000100", 0x9000),
        ("00A4040010 A0000005591010FFFFFFFF8900000100 00", 0x9000),
        ("00A4040C10 A0000005591010FFFFFFFF8900000200", 0x6A82),
        ("00A4020C02 2FE2", 0x6A86),
        ("00A4050C02 2FE2", 0x6A86),
    ] {
        assert_eq!(Bench::new().sw(apdu), sw, "{apdu}");
    }
}

#[test]
fn a_path_may_start_at_the_active_application() {
    let mut bench = Bench::new();
    bench.select_usim();
    bench.ok("00A4000C023F00");
    bench.ok("00A4080C067FFF5F3A4F3A");
    bench.ok("00A4090C024F3A");
    bench.ok("00A4030C");
    bench.ok("00A4000C026F07");
}

#[test]
fn occurrences_of_a_partial_aid() {
    let mut bench = Bench::new();
    let status = |bench: &mut Bench| bench.ok("80F2000100")[4..18].to_owned();
    let (usim, isim) = ("A0000000871002", "A0000000871004");
    assert_eq!(bench.sw("00A4040F05A000000087"), 0x6A82, "previous, with none active");
    bench.ok("00A4040C05A000000087");
    assert_eq!(status(&mut bench), usim);
    bench.ok("00A4040E05A000000087");
    assert_eq!(status(&mut bench), isim);
    assert_eq!(bench.sw("00A4040E05A000000087"), 0x6A82, "there is no third");
    assert_eq!(status(&mut bench), isim);
    bench.ok("00A4040F05A000000087");
    assert_eq!(status(&mut bench), usim);
    bench.ok("00A4040D05A000000087");
    assert_eq!(status(&mut bench), isim);
    // Ending an application session goes back to the MF; of another application it changes nothing.
    bench.ok("00A4044C07A0000000871002");
    assert_eq!(status(&mut bench), isim);
    bench.ok("00A4044C07A0000000871004");
    assert_eq!(bench.sw("80F2000100"), 0x6A88);
}

#[test]
fn file_control_parameters() {
    for (apdus, fcp) in [
        (
            &["00A40004023F00"][..],
            "62 23 8202 7821 8302 3F00 A506 800171 870101 8A01 05 8B03 2F0601 C609 9001C0 830101 83010A",
        ),
        (&["00A4000402 7F10"], "62 1B 8202 7821 8302 7F10 8A01 05 8B03 2F0601 C609 9001C0 830101 83010A"),
        (
            &["00A404040C A0000000871002FFFFFFFF89"],
            "62 2C 8202 7821 8410 A0000000871002FFFFFFFF8907090000 8A01 05 8B03 2F0601 C60C 9001E0 830101 830181 83010A",
        ),
        // A DF without a template of its own shows the one above.
        (
            &["00A4040C07 A0000000871002", "00A4000402 5F3A"],
            "62 1E 8202 7821 8302 5F3A 8A01 05 8B03 2F0601 C60C 9001E0 830101 830181 83010A",
        ),
        (
            &["00A4000402 2FE2"],
            "62 26 8202 4121 8302 2FE2 8A01 05 8B03 2F0604 8002 000A 8102 000A 8801 10 C609 9001C0 830101 83010A",
        ),
        (
            &["00A4000402 2F00"],
            "62 29 8205 4221001802 8302 2F00 8A01 05 8B03 2F0601 8002 0030 8102 0030 8801 F0 C609 9001C0 830101 83010A",
        ),
        (
            &["00A4000402 2F30"],
            "62 25 8202 4121 8302 2F30 8A01 05 8B03 2F0605 8002 0100 8102 0100 8800 C609 9001C0 830101 83010A",
        ),
        (
            &["00A4040C07 A0000000871002", "00A4000402 6F39"],
            "62 2C 8205 4621000303 8302 6F39 8A01 05 8B03 2F0602 8002 0009 8102 0009 8801 E0 C60C 9001E0 830101 830181 83010A",
        ),
        (
            &["00A4040C07 A0000000871002", "00A4000402 6F7E"],
            "62 2E 8202 4121 8302 6F7E A503 C00180 8A01 05 8B03 2F0602 8002 000B 8102 000B 8801 58 C60C 9001E0 830101 830181 83010A",
        ),
        // A linked file shows its own attributes and the content that it links to.
        (
            &["00A4040C07 A0000000871002", "00A4080404 7FFF5F3A 00", "00A4000402 4F3A"],
            "62 2C 8205 4221000403 8302 4F3A 8A01 05 8B03 2F0602 8002 000C 8102 000C 8801 50 C60C 9001E0 830101 830181 83010A",
        ),
    ] {
        let mut bench = Bench::new();
        let (last, way) = apdus.split_last().unwrap();
        for apdu in way {
            bench.ok(apdu);
        }
        assert_eq!(bench.ok(last), crate::string(&crate::hex(fcp)), "{apdus:?}");
    }
}

#[test]
fn a_disabled_pin_shows_in_the_template() {
    let mut profile = teuicc_card::testing::profile::profile(crate::SLOT);
    profile.pins[0].enabled = false;
    let mut bench = Bench::with(profile);
    assert!(bench.ok("00A4000402 3F00").ends_with("C60990014083010183010A"));
}

#[test]
fn status_says_where_the_channel_is() {
    let mut bench = Bench::new();
    let mf = bench.ok("00A40004023F00");
    bench.ok("00A4000C022FE2");
    assert_eq!(bench.ok("80F20000"), mf, "of the directory, not of the EF");
    assert_eq!(bench.sw("80F2000100"), 0x6A88);
    bench.select_usim();
    assert_eq!(bench.ok("80F2000100"), "8410A0000000871002FFFFFFFF8907090000");
    assert_eq!(bench.ok("80F2010C"), "");
    assert_eq!(bench.ok("80F2020C"), "");
    for (apdu, sw) in [("80F2030C", 0x6A86), ("80F20002", 0x6A86), ("80F2000C0100", 0x6700), ("00F20000", 0x6E00)] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
}

#[test]
fn without_a_profile_the_card_is_there_and_empty() {
    let mut bench = Bench::empty();
    let fcp = crate::string(&crate::hex("62 1B 8202 7821 8302 3F00 A506 800171 870101 8A01 05 C606 900100 830101"));
    for (apdu, data, sw) in [
        ("00A4000402 3F00", fcp.as_str(), 0x9000),
        ("80F20000", &fcp, 0x9000),
        ("00A4000402 2FE2", "", 0x6A82),
        ("00A4080402 2F00", "", 0x6A82),
        ("00A4080402 3F00", &fcp, 0x9000),
        ("00A4030C", "", 0x6A82),
        ("00A4040C07 A0000000871002", "", 0x6A82),
        ("00B0820000", "", 0x6A82),
        ("00B0000000", "", 0x6986),
        ("00200001", "", 0x6A88),
        ("0088008122 1000000000000000000000000000000000 1000000000000000000000000000000000", "", 0x6985),
        ("80AA000005 A903830107", "", 0x9000),
        ("8010000004 FFFFDFFF", "", 0x9000),
        ("0070000001", "01", 0x9000),
        ("01A4040C10 A0000005591010FFFFFFFF8900000100", "", 0x9000),
        ("81F2000100", "8410A0000005591010FFFFFFFF8900000100", 0x9000),
        ("01A4000C02 3F00", "", 0x9000),
        ("81F2000100", "", 0x6A88),
    ] {
        assert_eq!(bench.apdu(apdu), (data.to_owned(), sw), "{apdu}");
    }
}
