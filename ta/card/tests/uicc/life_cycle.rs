//! DEACTIVATE FILE, ACTIVATE FILE, TERMINATE DF and TERMINATE EF.

use crate::{Bench, rules, string};
use teuicc_card::profile::FileIndex;
use teuicc_card::testing::{PowerCut, profile};

pub(crate) fn verify_adm(bench: &mut Bench) {
    bench.ok(&format!("0020000A08{}", string(&profile::ADM1)));
}

fn bench() -> Bench {
    let mut bench = Bench::with(rules::administered());
    verify_adm(&mut bench);
    bench
}

#[test]
fn a_deactivated_file_can_be_selected_and_activated_and_no_more() {
    let mut bench = bench();
    bench.verify_pin1();
    for (apdu, sw) in [
        ("00040000", 0x6986),
        ("00A4000C022F30", 0x9000),
        ("00440000", 0x6985), // it is activated
        ("00040000", 0x9000),
        ("00040000", 0x6985),
        ("00B0000001", 0x6985),
        ("00D60000 01 AA", 0x6985),
        ("00A4000C022F30", 0x6283),
        ("00440000022F30", 0x9000),
        ("00B0000001", 0x9000),
        ("00A4000C023F00", 0x9000),
        // By path, and then it is the current EF.
        ("00040800022F30", 0x9000),
        ("00B0000001", 0x6985),
        ("00440900022F30", 0x9000),
        ("00B0000001", 0x9000),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    for (apdu, sw) in [
        ("00040000020000", 0x6A82),
        ("00040100022F30", 0x6A86),
        ("00040001022F30", 0x6A86),
        ("00040000012F", 0x6700),
        ("00040800", 0x6700),
        ("00040000022FE2", 0x6982),
        ("00040000023F00", 0x6985),
        ("0004000002 6F3B", 0x6A82),
        ("80040000022F30", 0x6E00),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    bench.ok("00A4000C022F30");
    bench.ok("00040000");
    bench.reboot();
    assert_eq!(bench.sw("00A4000C022F30"), 0x6283);
    assert_eq!(bench.sw("00440000"), 0x6982, "ADM1 is not presented any more");
}

#[test]
fn what_lies_in_a_deactivated_directory_cannot_be_used() {
    let mut bench = bench();
    bench.verify_pin1();
    bench.ok("0004000002 7F10");
    assert_eq!(bench.sw("00A4000C027F10"), 0x6283);
    bench.ok("00A4000C026F3A");
    assert_eq!(bench.sw("00B2010404"), 0x6985);
    bench.ok("0044080002 7F10");
    bench.ok("00A4000C026F3A");
    assert_eq!(bench.sw("00B2010404"), 0x9000);
    bench.select_usim();
    assert_eq!(bench.sw("0004000002 7FFF"), 0x6985, "an application");
}

#[test]
fn a_file_that_a_modem_rewrites_keeps_its_life_cycle() {
    let mut profile = rules::administered();
    for file in profile.files.iter_mut().filter(|file| file.fid == 0x6F7E) {
        rules::set_rule(file, rules::ADMIN_EF);
    }
    let mut bench = Bench::with(profile);
    verify_adm(&mut bench);
    bench.select_usim();
    let _ = bench.replaces();
    bench.ok("00040000026F7E");
    assert_eq!(bench.replaces(), 1);
    bench.reboot();
    bench.select_usim();
    assert_eq!(bench.sw("00A4000C026F7E"), 0x6283);
}

/// The life cycle is a link's own, the content is not.
#[test]
fn a_link_keeps_its_life_cycle() {
    let mut profile = rules::administered();
    for (fid, target) in [(0x6F60, 0x2F40), (0x6F61, 0x2F30)] {
        let target = profile.files.iter().position(|file| file.fid == target).unwrap();
        let kind = profile.files[target].kind;
        let link = rules::add_ef(&mut profile, rules::TELECOM, fid, kind, rules::ADMIN_EF, b"");
        link.link = Some(FileIndex(target.try_into().unwrap()));
    }
    let mut bench = Bench::with(profile);
    verify_adm(&mut bench);
    bench.ok("00A4000C027F10");
    bench.ok("00040000026F60");
    bench.ok("00040000026F61");
    bench.reboot();
    bench.ok("00A4000C027F10");
    assert_eq!([bench.sw("00A4000C026F60"), bench.sw("00A4000C026F61")], [0x6283, 0x6283]);
    for target in ["00A4000C022F40", "00A4000C022F30"] {
        bench.ok("00A4000C023F00");
        bench.ok(target);
    }
}

#[test]
fn a_terminated_ef_can_only_be_selected() {
    let mut bench = bench();
    bench.ok("00A4000C022F30");
    bench.ok("00E80000");
    for (apdu, sw) in [
        ("00B0000001", 0x6985),
        ("00D60000 01 AA", 0x6985),
        ("00440000", 0x6985),
        ("00040000", 0x6985),
        ("00E80000", 0x6985),
        ("00A4000C022F30", 0x6285),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    bench.reboot();
    let fcp = bench.apdu("00A40004022F30");
    assert_eq!((fcp.0.contains("8A010C"), fcp.1), (true, 0x6285));
}

#[test]
fn a_terminated_df_takes_all_in_it_along() {
    let mut bench = bench();
    bench.verify_pin1();
    for (apdu, sw) in [
        ("00E60000022F30", 0x6981),
        ("00E80000027F10", 0x6981),
        ("00E80000", 0x6986),
        ("00E60000", 0x6985), // the MF
        ("00E60000020000", 0x6A82),
        ("00E600000100", 0x6700),
        ("00E60001", 0x6A86),
        ("00E80100", 0x6A86),
        ("00E80000022FE2", 0x6982),
        ("00E60000027F10", 0x9000),
        ("00A4000C027F10", 0x6285),
        ("00A4000C026F3A", 0x9000),
        ("00B2010404", 0x6985),
        ("00E60000", 0x6985),
        ("00FE0000", 0x6D00), // TERMINATE CARD USAGE
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    bench.select_usim();
    assert_eq!(bench.sw("00E60000"), 0x6985, "an application");
    bench.ok("00A4040C10A0000005591010FFFFFFFF8900000100");
    assert_eq!(bench.sw("00E60000"), 0x6985, "the ISD-R");
}

#[test]
fn only_with_the_administrator() {
    let mut bench = Bench::with(rules::administered());
    bench.verify_pin1();
    for apdu in ["00040000022F30", "00E80000022F30", "00E60000027F10", "00040000027F10"] {
        assert_eq!(bench.sw(apdu), 0x6982, "{apdu}");
    }
    assert_eq!(bench.replaces(), 2, "VERIFY PIN");
}

#[test]
fn a_power_cut_leaves_the_life_cycle_before_or_after() {
    for (apdu, path, after) in
        [("00040000022F30", "2F30", 0x6283), ("00E80000022F30", "2F30", 0x6285), ("00E60000027F10", "7F10", 0x6285)]
    {
        for written in [false, true] {
            let mut bench = bench();
            bench.store.arm(PowerCut { at_write: 0, written });
            assert_eq!(bench.sw(apdu), 0x6581);
            assert_eq!(bench.sw(&format!("00A4000C02{path}")), 0x9000);
            bench.reboot();
            assert_eq!(bench.sw(&format!("00A4000C02{path}")), if written { after } else { 0x9000 }, "{apdu}");
        }
    }
}

#[test]
fn a_file_of_a_terminated_directory_stays_out_of_reach_by_sfi() {
    let mut profile = rules::administered();
    let ef = rules::add_ef(
        &mut profile,
        rules::TELECOM,
        0x6F50,
        teuicc_card::profile::FileKind::Transparent,
        profile::rule::ALWAYS,
        b"x",
    );
    ef.sfi = Some(3);
    assert_ne!(ef.parent, FileIndex::MF);
    let mut bench = Bench::with(profile);
    verify_adm(&mut bench);
    bench.ok("00A4000C027F10");
    bench.ok("00B0830000");
    bench.ok("00E60000");
    assert_eq!(bench.sw("00B0830000"), 0x6985);
}

/// Not used, and not administered either.
#[test]
fn a_directory_that_cannot_be_used_keeps_all_that_is_in_it() {
    let build = || {
        let mut profile = rules::administered();
        let kind = teuicc_card::profile::FileKind::Transparent;
        rules::add_ef(&mut profile, rules::TELECOM, 0x6F60, kind, rules::ADMIN_EF, b"abc");
        let off = rules::add_ef(&mut profile, rules::TELECOM, 0x6F61, kind, rules::ADMIN_EF, b"abc");
        off.life_cycle = 0x04;
        let mut bench = Bench::with(profile);
        verify_adm(&mut bench);
        bench.ok("00A4000C027F10");
        bench
    };
    for ending in ["00E60000", "00040800027F10"] {
        let mut bench = build();
        bench.ok(ending);
        let before = bench.store.snapshot();
        for apdu in [
            "00E0000018 6216 82024121 83026F50 8A0105 8B032F0607 80020010 8800",
            "80D400000A 6208 83026F60 80020006",
            "00040000026F60",
            "00440000026F61",
            "00E80000026F60",
            "00E40000026F60",
        ] {
            assert_eq!(bench.sw(apdu), 0x6985, "{ending} {apdu}");
        }
        assert_eq!(bench.store.snapshot(), before);
    }
    // The directory itself is not in it: it can be taken away.
    let mut bench = build();
    bench.select_usim();
    bench.ok("00E60000025F3A");
    bench.ok("00E40000025F3A");
}
