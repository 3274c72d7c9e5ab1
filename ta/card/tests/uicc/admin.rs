//! CREATE FILE, DELETE FILE and RESIZE FILE.

use crate::life_cycle::verify_adm;
use crate::{Bench, rules};
use teuicc_card::testing::{PowerCut, profile};
use teuicc_wire::Interface;

fn bench() -> Bench {
    let mut bench = Bench::with(rules::administered());
    verify_adm(&mut bench);
    let _ = bench.replaces();
    bench
}

/// A command whose data is one template 62 with these members.
fn with_fcp(header: &str, members: &str) -> String {
    let members: String = members.split_whitespace().collect();
    let length = members.len() / 2;
    format!("{header}{:02X}62{length:02X}{members}", length + 2)
}

fn create(members: &str) -> String {
    with_fcp("00E00000", members)
}

fn resize(members: &str) -> String {
    with_fcp("80D40000", members)
}

/// As pySim-shell sends it: descriptor, identifier, life cycle, security, size, SFI.
const TRANSPARENT: &str = "82024121 83026F50 8A0105 8B032F0607 80020010 880110";
const LINEAR: &str = "82054221 000403 83026F51 8A0105 8B032F0605 8002000C 8800";
const DF: &str = "82027821 83025F50 8A0105 8B032F0608 81020100 A505D203010203";

#[test]
fn files_are_created_and_selected() {
    let mut bench = bench();
    bench.ok("00A4000C027F10");
    bench.ok(&create(TRANSPARENT));
    assert_eq!(bench.replaces(), 1);
    bench.verify_pin1();
    let _ = bench.replaces();
    bench.ok("00D60000 02 AABB");
    assert_eq!(bench.ok("00B0000003"), "AABBFF");
    bench.ok(&create(LINEAR));
    bench.ok("00DC020404 01020304");
    assert_eq!(bench.ok("00B2030400"), "FFFFFFFF");
    bench.ok(&create("82044621 0003 83026F52 8A0105 8B032F0605 80020009 8800 A503C10112"));
    assert_eq!(bench.ok("00B2010400"), "121212", "a filling pattern");
    bench.ok(&create("82027921 83026F53 8A0105 8B032F0605 80020064 8800 A506 840101 860164"));
    bench.ok("80DB008003 8101AA");
    bench.ok(&create(DF));
    bench.ok(&create("82020121 83024F01 8A0105 8B032F0605 80020001 8800"));
    let seen = |bench: &mut Bench| {
        bench.ok("00A4000C023F00");
        bench.ok("00A4000C027F10");
        let mut seen = bench.ok("00B0820002") + &bench.ok("00A40004026F51");
        seen += &bench.ok("00B2020400");
        bench.ok("00A4000C026F53");
        seen += &bench.ok("80CB0080015C");
        seen += &bench.ok("00A40804067F105F504F01");
        seen
    };
    let before = seen(&mut bench);
    let parts = ["AABB", "82054221000403", "01020304", "5C0181", "82020121"];
    assert!(before.starts_with("AABB62") && parts.iter().all(|part| before.contains(part)), "{before}");
    bench.reboot();
    assert_eq!(seen(&mut bench), before);
}

#[test]
fn what_cannot_be_created() {
    let mut bench = bench();
    for (apdu, sw) in [
        ("00E00000".to_owned(), 0x6700),
        ("00E0010002 6200".to_owned(), 0x6A86),
        ("80E0000002 6200".to_owned(), 0x6E00),
        ("00E0000002 6200".to_owned(), 0x6A80),
        ("00E0000002 6300".to_owned(), 0x6A80),
        ("00E0000002 6201".to_owned(), 0x6A80),
        (create("82024121 83022F30 8A0105 8B032F0605 80020010 8800"), 0x6A89),
        (create("82024121 83023F00 8A0105 8B032F0605 80020010 8800"), 0x6A89),
        (create("82024121 83027FFF 8A0105 8B032F0605 80020010 8800"), 0x6A89),
        // SFI 02 is that of EF.ICCID.
        (create("82024121 83026F50 8A0105 8B032F0605 80020010 880110"), 0x6A80),
        // Without a descriptor, an identifier, security attributes or a size.
        (create("83026F50 8A0105 8B032F0605 80020010 8800"), 0x6A80),
        (create("82024121 8A0105 8B032F0605 80020010 8800"), 0x6A80),
        (create("82024121 83026F50 8A0105 80020010 8800"), 0x6A80),
        (create("82024121 83026F50 8A0105 8B032F0605 8800"), 0x6A80),
        (create("82024121 83026F50 8A0105 8B032F0605 80020000 8800"), 0x6A80),
        (create("82024121 83026F50 8A010C 8B032F0605 80020010 8800"), 0x6A80),
        (create("82044221 0004 83026F50 8A0105 8B032F0605 8002000D 8800"), 0x6A80),
        (create("82064221 00040300 83026F50 8A0105 8B032F0605 8002000C 8800"), 0x6A80),
        (create("82024121 83026F50 8A0105 8B032F0605 8003010000 8800"), 0x6A80),
        (create("82027821 83027FF5 8410A0000000871002FFFFFFFF8907090001 8A0105 8B032F0608 C606900100830101"), 0x6A81),
        // A link, which only an installation makes.
        (create("82024121 83026F50 8A0105 8B032F0605 8800 C7022F30"), 0x6A80),
    ] {
        assert_eq!(bench.sw(&apdu), sw, "{apdu}");
    }
    bench.ok("00A4040C10A0000005591010FFFFFFFF8900000100");
    assert_eq!(bench.sw(&create(DF)), 0x6985, "the ISD-R has no files");
    assert_eq!(bench.replaces(), 0);
    let mut bench = Bench::with(rules::administered());
    for members in [TRANSPARENT, LINEAR, DF] {
        bench.ok("00A4000C027F10");
        assert_eq!(bench.sw(&create(members)), 0x6982, "without the administrator");
    }
    bench.ok("00A4000C023F00");
    assert_eq!(Bench::empty().sw(&create(DF)), 0x6A82);
}

#[test]
fn directories_are_not_nested_without_end() {
    let mut bench = bench();
    let mut made = 0;
    while bench.sw(&create(DF)) == 0x9000 {
        made += 1;
    }
    assert_eq!(made, 7);
    bench.reboot();
    bench.ok("00A4080C0E5F505F505F505F505F505F505F50");
}

#[test]
fn a_profile_has_room_for_so_much() {
    let mut bench = bench();
    let mut made = 0u16;
    bench.ok("00A4000C027F10");
    let sw = loop {
        let sw = bench.sw(&create(&format!("82024121 8302{:04X} 8A0105 8B032F0607 8002FFFF 8800", 0x4F00 + made)));
        if sw != 0x9000 {
            break sw;
        }
        made += 1;
    };
    assert_eq!((made, sw), (3, 0x6A84));
    bench.ok("00E40000024F01");
    bench.ok(&create("82024121 83024F10 8A0105 8B032F0605 8002FFFF 8800"));
    bench.reboot();
    bench.ok("00A4080C047F104F10");
}

/// More files come and go than there are places.
#[test]
fn places_are_used_again() {
    let mut bench = bench();
    bench.ok("00A4000C027F10");
    for _ in 0..1100 {
        bench.ok(&create(TRANSPARENT));
        bench.ok("00E40000026F50");
    }
    bench.ok(&create(DF));
    bench.reboot();
    bench.ok("00A4080C047F105F50");
}

/// The place of EF 2F30 is before that of DF.TELECOM: what is created there must not take it.
#[test]
fn a_place_before_the_directory_is_left_free() {
    let mut bench = bench();
    bench.ok("00E40000022F30");
    bench.ok("00A4000C027F10");
    bench.ok(&create(TRANSPARENT));
    bench.ok("00A4000C023F00");
    bench.ok(&create("82024121 83022F31 8A0105 8B032F0605 80020010 8800"));
    bench.reboot();
    bench.ok("00A4080C047F106F50");
    bench.ok("00A4080C022F31");
}

#[test]
fn deleted_files_are_gone() {
    let mut bench = bench();
    bench.verify_pin1();
    let _ = bench.replaces();
    bench.ok("00A4000C022F30");
    for (apdu, sw) in [
        ("00E40000", 0x6700),
        ("00E40000033F0000", 0x6700),
        ("00E40100022F30", 0x6A86),
        ("80E40000022F30", 0x6E00),
        ("00E40000020000", 0x6A82),
        ("00E40000023F00", 0x6A82),
        ("00E40000027FF0", 0x6A82), // an application
        ("00E40000022FE2", 0x6982),
        ("00E40000022F30", 0x9000),
        ("00B0000001", 0x6986),
        ("00A4000C022F30", 0x6A82),
        ("00E40000022F30", 0x6A82),
        // The phonebook of the USIM is linked to a file in it.
        ("00E40000027F10", 0x6985),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    assert_eq!(bench.replaces(), 1);
    bench.select_usim();
    bench.ok("00E40000025F3A");
    bench.ok("00A4000C023F00");
    bench.ok("00E40000027F10");
    for reboot in [false, true] {
        if reboot {
            bench.reboot();
        }
        assert_eq!(bench.sw("00A4080C022F30"), 0x6A82);
        assert_eq!(bench.sw("00A4080C047F106F3A"), 0x6A82);
        bench.ok("00A4000C022FE2");
    }
    let mut bench = Bench::with(rules::administered());
    assert_eq!(bench.sw("00E40000022F30"), 0x6982);
}

#[test]
fn channels_leave_what_is_deleted() {
    let mut bench = bench();
    bench.select_usim();
    bench.ok("0070000001");
    bench.ok("01A4040C07A0000000871002");
    bench.ok("01A4000C025F3A");
    assert_eq!(bench.on(Interface::Lpa, "00A4000C022F30").1, 0x9000);
    assert_eq!(bench.on(Interface::Lpa, "0070000001").1, 0x9000);
    assert_eq!(bench.on(Interface::Lpa, "01A4000C022F40").1, 0x9000);
    assert_eq!(bench.on(Interface::Lpa, "81DB008003810401").1, 0x63F1);
    bench.ok("00E40000025F3A");
    assert!(bench.ok("81F20000").contains("8410A0000000871002"), "in the application's directory");
    bench.ok("00A4000C023F00");
    bench.ok("00E40000022F30");
    assert_eq!(bench.on(Interface::Lpa, "00B0000001").1, 0x6986);
    // Another file takes the place of the deleted one, and no channel has it selected.
    bench.ok(&create("82024121 83026F50 8A0105 8B032F0605 80020010 8800"));
    assert_eq!(bench.on(Interface::Lpa, "00B0000001").1, 0x6986);
    assert_eq!(bench.on(Interface::Lpa, "81DB000003020304").1, 0x9000, "of a file that is still there");
}

#[test]
fn files_that_are_not_shareable_are_not_deleted_under_another_channel() {
    let mut bench = bench();
    bench.ok("00A4000C027F10");
    bench.ok(&create("82020121 83026F50 8A0105 8B032F0607 80020010 8800"));
    bench.ok("0070000001");
    bench.ok("01A4000C027F10");
    assert_eq!(bench.sw("01A4000C026F50"), 0x6985);
    assert_eq!(bench.sw("01E40000026F50"), 0x6985);
    bench.ok("00A4000C026F3A");
    bench.ok("01A4000C026F50");
    assert_eq!(bench.sw("00A4000C026F50"), 0x6985);
    bench.ok("00708001");
    bench.ok("00A4000C026F50");
    bench.ok("00E40000026F50");
}

#[test]
fn resized_files_keep_their_content() {
    let mut bench = bench();
    bench.verify_pin1();
    bench.ok("00A4000C022F30");
    bench.ok("00D60000 04 01020304");
    let _ = bench.replaces();
    bench.ok(&resize("83022F30 80020200"));
    assert_eq!(bench.replaces(), 1);
    assert_eq!(bench.ok("00B0000005"), "0102030400");
    assert_eq!(bench.ok("00B000FF03"), "00FFFF");
    bench.ok("00D601FF 01 AA");
    bench.ok(&resize("83022F30 80020002"));
    assert_eq!(bench.ok("00B0000000"), "0102");
    bench.select_usim();
    bench.ok(&resize("83026F39 8002000F"));
    assert_eq!(bench.ok("00B2010400") + &bench.ok("00B2050400"), "633031FFFFFF");
    bench.reboot();
    bench.verify_pin1();
    bench.ok("00A4000C022F30");
    assert_eq!(bench.ok("00B0000000"), "0102");
    bench.select_usim();
    bench.ok("00A4000C026F39");
    assert_eq!(bench.ok("00B2010400") + &bench.ok("00B2050400"), "633031FFFFFF");
}

#[test]
fn what_cannot_be_resized() {
    let mut bench = bench();
    for (apdu, sw) in [
        ("80D40000".to_owned(), 0x6700),
        (with_fcp("80D40200", "83022F30 80020002"), 0x6A86),
        (with_fcp("80D40001", "83022F30 80020002"), 0x6A86),
        (with_fcp("80D40100", "83022F30 80020002"), 0x6A86),
        (with_fcp("00D40000", "83022F30 80020002"), 0x6E00),
        (resize("80020002"), 0x6A80),
        (resize("83022F30"), 0x6A80),
        (resize("83022F30 80020000"), 0x6A80),
        (resize("83022F31 80020002"), 0x6A82),
        (resize("83022FE2 80020002"), 0x6982),
        (resize("83027F10 80020002"), 0x6981),
    ] {
        assert_eq!(bench.sw(&apdu), sw, "{apdu}");
    }
    bench.select_usim();
    for (members, sw) in [
        ("83026F39 8002000A", 0x6A80),
        ("83026F39 80020000", 0x6A80),
        ("83026F39 800202FD", 0x6A80), // 255 records
        ("83026F39 800202FA", 0x9000), // 254
        ("83026F46 80020001", 0x6985), // deactivated
    ] {
        assert_eq!(bench.sw(&resize(members)), sw, "{members}");
    }
    let mut bench = Bench::with(rules::administered());
    assert_eq!(bench.sw(&resize("83022F30 80020002")), 0x6982);
}

#[test]
fn ber_tlv_files_have_their_limit_resized() {
    let mut profile = rules::administered();
    for file in profile.files.iter_mut().filter(|file| file.fid == 0x2F40) {
        rules::set_rule(file, rules::ADMIN_EF);
    }
    let mut bench = Bench::with(profile);
    verify_adm(&mut bench);
    bench.verify_pin1();
    bench.ok("00A4000C022F40");
    bench.ok("80DB008005 8103010203");
    for (members, sw) in [("A5038601 04", 0x6A84), ("A5038601 05", 0x9000), ("A5038601 00", 0x6A80)] {
        assert_eq!(bench.sw(&resize(&format!("83022F40 {members}"))), sw, "{members}");
    }
    assert_eq!(bench.ok("80CB00800181"), "8103010203");
    assert_eq!(bench.sw("80DB008002 8200"), 0x6A84);
    bench.ok(&with_fcp("80D40100", "83022F40 A5038601 04"));
    assert_eq!(bench.ok("80CB0080015C"), "5C00");
    assert!(bench.ok("00A40004022F40").contains("86020004"));
}

/// At every write of every command: the files are as they were, or as they are to be.
#[test]
fn a_power_cut_leaves_the_files_before_or_after() {
    let commands = [
        create("82024121 83026F50 8A0105 8B032F0605 80020010 8800"),
        create(DF),
        "00E40000022F30".to_owned(),
        resize("83022F30 80020002"),
    ];
    let seen = |bench: &mut Bench| ["6F50", "5F50", "2F30"].map(|fid| bench.apdu(&format!("00A4080402{fid}")));
    for command in &commands {
        let mut bench = bench();
        let before = seen(&mut bench);
        bench.ok("00A4000C023F00");
        bench.ok(command);
        assert_eq!(bench.replaces(), 1);
        let after = seen(&mut bench);
        assert_ne!(before, after);
        for written in [false, true] {
            let mut bench = self::bench();
            bench.store.arm(PowerCut { at_write: 0, written });
            assert_eq!(bench.sw(command), 0x6581);
            assert_eq!(seen(&mut bench), before, "{command}");
            bench.reboot();
            assert_eq!(seen(&mut bench), if written { after.clone() } else { before.clone() }, "{command}");
            // And it goes on from there.
            verify_adm(&mut bench);
            bench.ok("00A4000C023F00");
            assert_eq!(bench.sw(command) == 0x9000, !written || command.starts_with("80"), "{command}");
        }
    }
}

#[test]
fn a_deleted_file_with_high_update_activity_leaves_nothing_behind() {
    let mut profile = rules::administered();
    for file in profile.files.iter_mut().filter(|file| file.fid == 0x6F7E) {
        rules::set_rule(file, rules::ADMIN_EF);
    }
    let mut bench = Bench::with(profile);
    verify_adm(&mut bench);
    bench.verify_pin1();
    bench.select_usim();
    bench.ok("00D68B0001 42");
    bench.card.power_down(Interface::Modem).unwrap();
    bench.reboot();
    verify_adm(&mut bench);
    bench.select_usim();
    bench.ok("00E40000026F7E");
    bench.ok(&create("82024121 83026F7E 8A0105 8B032F0605 8002000B 880158 A503C00180"));
    assert_eq!(bench.ok("00B08B0001"), "FF");
    bench.reboot();
    bench.select_usim();
    assert_eq!(bench.ok("00B08B0001"), "FF");
    assert_eq!(bench.sw("00A4040C07A0000000871004"), 0x9000);
    let _ = profile::K;
}
