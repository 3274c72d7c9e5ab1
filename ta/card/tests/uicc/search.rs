//! SEARCH RECORD and INCREASE.

use crate::rules::{self, add_ef};
use crate::{Bench, string};
use teuicc_card::profile::{FileIndex, FileKind};
use teuicc_card::testing::{PowerCut, profile::rule};

/// EF 2F50 (SFI 12): records 1 to 5.
fn bench() -> Bench {
    let mut profile = rules::administered();
    let records = b"\x00abcd\x01abcd\x01xbcd\xFF\xFF\xFF\xFF\xFF\x01abab";
    let kind = FileKind::LinearFixed(5);
    add_ef(&mut profile, FileIndex::MF, 0x2F50, kind, rule::ALWAYS, records).sfi = Some(0x12);
    Bench::with(profile)
}

#[test]
fn simple_search() {
    let mut bench = bench();
    bench.ok("00A4000C022F50");
    for (apdu, data, sw) in [
        ("00A2010401 01", "020305", 0x9000),
        ("00A2010403 016162", "0205", 0x9000),
        ("00A2030401 01", "0305", 0x9000),
        ("00A2050501 01", "050302", 0x9000),
        ("00A2030501 01", "0302", 0x9000),
        // A modem that looks for an empty record: the pattern stands at the beginning, as with SEEK of TS 51.011.
        ("00A2010401 FF", "04", 0x9000),
        ("00A2010401 64", "", 0x6282),
        ("00A2010401 01 02", "0203", 0x9000),
        ("00A2010401 01 00", "020305", 0x9000),
        ("00A2060401 01", "", 0x6A83),
        ("00A2FF0401 01", "", 0x6A86),
        ("00A2010406 010101010101", "", 0x6700),
        ("00A20104", "", 0x6700),
        ("00A2010301 01", "", 0x6A86),
        ("00A2010701 01", "", 0x6A86),
        ("00A201FC01 01", "", 0x6A86),
        ("80A2010401 01", "", 0x6E00),
    ] {
        assert_eq!(bench.apdu(apdu), (data.to_owned(), sw), "{apdu}");
    }
}

#[test]
fn enhanced_search() {
    let mut bench = bench();
    bench.ok("00A4000C022F50");
    for (apdu, data, sw) in [
        // From an offset.
        ("00A2010604 0401 6162", "010205", 0x9000),
        ("00A2010603 0402 62", "01020305", 0x9000),
        ("00A2050603 0502 62", "05030201", 0x9000),
        // Behind the first 61: record 5 has its first one at once, record 4 none.
        ("00A2010604 0C61 6263", "0102", 0x9000),
        ("00A2010603 0C61 62", "010205", 0x9000),
        ("00A2010603 0C64 61", "", 0x6282),
        ("00A2010603 0404 64", "010203", 0x9000),
        ("00A2010603 0405 64", "", 0x6282),
        // From the next and from the previous record.
        ("00A2020603 0600 01", "0305", 0x9000),
        ("00A2030603 0700 01", "02", 0x9000),
        ("00A2050603 0600 01", "", 0x6A83),
        ("00A2010603 0000 01", "", 0x6A80),
        ("00A2010603 1400 01", "", 0x6A80),
        ("00A2010602 0400", "", 0x6700),
    ] {
        assert_eq!(bench.apdu(apdu), (data.to_owned(), sw), "{apdu}");
    }
}

#[test]
fn a_search_moves_the_record_pointer_to_what_it_found() {
    let mut bench = bench();
    bench.ok("00A4000C022F50");
    assert_eq!(bench.sw("00A2000401 01"), 0x6A83, "there is no current record");
    bench.ok("00A2010403 016162");
    assert_eq!(bench.ok("00B2000400"), string(b"\x01abcd"));
    assert_eq!(bench.ok("00A2000401 01"), "020305");
    assert_eq!(bench.ok("00A2000603 0600 01"), "0305");
    assert_eq!(bench.ok("00B2000400"), string(b"\x01xbcd"));
    assert_eq!(bench.sw("00A2000401 77"), 0x6282);
    assert_eq!(bench.ok("00B2000400"), string(b"\x01xbcd"), "it stays if nothing is found");
    assert_eq!(bench.ok("00B2000200"), "FFFFFFFFFF");
}

#[test]
fn a_search_by_sfi_and_its_access_rule() {
    let mut bench = bench();
    assert_eq!(bench.ok("00A2019401 01"), "020305");
    assert_eq!(bench.ok("00B2020400"), string(b"\x01abcd"), "it is the current EF now");
    assert_eq!(bench.sw("00A2019C01 01"), 0x6A82);
    assert_eq!(bench.sw("00A2011401 01"), 0x6981, "a transparent EF");
    bench.ok("00A4000C023F00");
    assert_eq!(bench.sw("00A2010401 01"), 0x6986);
    bench.ok("00A4080C047F106F3A");
    assert_eq!(bench.sw("00A2010401 61"), 0x6982);
    bench.verify_pin1();
    assert_eq!(bench.ok("00A2010401 61"), "010203");
}

/// EF.ACM with 3 records of 3 bytes, "c01" the newest.
fn counter() -> Bench {
    let mut bench = Bench::with(rules::administered());
    bench.verify_pin1();
    bench.select_usim();
    bench.ok("00A4000C026F39");
    bench
}

#[test]
fn increase() {
    let mut bench = counter();
    for (apdu, data, sw) in [
        ("8032000001 01", "63303201", 0x9000),
        ("80329C0003 0000FF", "6331310000FF", 0x9000),
        ("00B2010400", "633131", 0x9000),
        ("00B2000400", "633131", 0x9000),
        ("00B2020400", "633032", 0x9000),
        ("00B2030400", "633031", 0x9000),
        ("8032000003 9CCECE", "FFFFFF9CCECE", 0x9000),
        ("8032000001 01", "", 0x9850),
        ("8032000001 00", "FFFFFF00", 0x9000),
        ("8032000004 00000001", "", 0x6700),
        ("80320000", "", 0x6700),
        ("8032800001 01", "", 0x6A86),
        ("80321C0001 01", "", 0x6A86),
        ("8032000101 01", "", 0x6A86),
        ("80329D0001 01", "", 0x6A82),
        ("8032870001 01", "", 0x6981),
        ("0032000001 01", "", 0x6E00),
    ] {
        assert_eq!(bench.apdu(apdu), (data.to_owned(), sw), "{apdu}");
    }
}

#[test]
fn increase_needs_a_rule_of_its_own_and_is_stored() {
    // UPDATE of EF.ACM by PIN1, as it is without the rule for INCREASE.
    let mut bench = Bench::new();
    bench.verify_pin1();
    bench.select_usim();
    assert_eq!(bench.sw("80329C0001 01"), 0x6982);
    for written in [false, true] {
        let mut bench = counter();
        bench.store.arm(PowerCut { at_write: 0, written });
        assert_eq!(bench.apdu("8032000001 01"), (String::new(), 0x6581));
        bench.reboot();
        bench.select_usim();
        assert_eq!(bench.ok("00B201E400"), if written { "633032" } else { "633031" });
    }
}
