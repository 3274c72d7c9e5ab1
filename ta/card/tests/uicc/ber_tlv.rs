//! RETRIEVE DATA and SET DATA.

use crate::rules::{self, add_ef};
use crate::{Bench, string};
use teuicc_card::profile::{FileIndex, FileKind};
use teuicc_card::testing::{PowerCut, profile::rule};

fn bench() -> Bench {
    let mut bench = Bench::with(rules::administered());
    bench.ok("00A4000C022F40");
    bench
}

/// SET DATA of an object with `length` bytes 00, 01, ... in blocks of at most 200 bytes; the last status word.
fn set(bench: &mut Bench, tag: u8, length: usize) -> u16 {
    let mut object = vec![tag];
    match length {
        0..=0x7F => object.push(length as u8),
        0x80..=0xFF => object.extend([0x81, length as u8]),
        _ => object.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    object.extend((0..length).map(|at| at as u8));
    let mut sw = 0;
    for (number, block) in object.chunks(200).enumerate() {
        let p2 = if number == 0 { 0x80 } else { 0x00 };
        sw = bench.sw(&format!("80DB00{p2:02X}{:02X}{}", block.len(), string(block)));
        if sw != 0x63F1 {
            break;
        }
    }
    sw
}

#[test]
fn objects_are_set_replaced_listed_and_deleted() {
    let mut bench = bench();
    for (apdu, data, sw) in [
        ("80CB0080015C", "5C00", 0x9000),
        ("80CB00800181", "", 0x6A88),
        ("80DB008004 81020A0B", "", 0x9000),
        ("80DB008005 9F210155FF", "", 0x6A80),
        ("80DB008004 9F210155", "", 0x9000),
        ("80DB008002 8200", "", 0x9000),
        ("80CB0080015C", "5C04819F2182", 0x9000),
        ("80CB00800181", "81020A0B", 0x9000),
        ("80CB0080029F21", "9F210155", 0x9000),
        ("80CB00800182", "8200", 0x9000),
        // In its place, longer and shorter.
        ("80DB008005 8103010203", "", 0x9000),
        ("80CB0080015C", "5C04819F2182", 0x9000),
        ("80CB00800181", "8103010203", 0x9000),
        // A tag alone deletes.
        ("80DB008002 9F21", "", 0x9000),
        ("80DB008002 9F21", "", 0x6A88),
        ("80CB0080029F21", "", 0x6A88),
        ("80CB0080015C", "5C028182", 0x9000),
    ] {
        assert_eq!(bench.apdu(apdu), (data.to_owned(), sw), "{apdu}");
    }
    bench.reboot();
    assert_eq!(bench.ok("80CB0091015C"), "5C028182", "by SFI, after a restart");
    assert_eq!(bench.ok("80CB00800181"), "8103010203");
}

#[test]
fn forms_and_errors() {
    let mut bench = bench();
    bench.ok("80DB008004 81020A0B");
    for (apdu, sw) in [
        ("80CB0080", 0x6700),
        ("80CB00800200", 0x6700),
        ("80CB0080028182", 0x6A80),
        ("80CB0080029F", 0x6700),
        ("80CB0080019F", 0x6A80),
        ("80CB0080059F81818101", 0x6A80),
        ("80CB01800181", 0x6A86),
        ("80CB009F0181", 0x6A86),
        ("80CB00A00181", 0x6A86),
        ("80CB00010181", 0x6A86),
        ("80CB00000181", 0x6700),
        ("80CB0000", 0x6985),
        ("80CB0040", 0x6985),
        ("00CB00800181", 0x6E00),
        ("80DB0080", 0x6700),
        ("80DB00000181", 0x6985),
        ("80DB00400181", 0x6985),
        ("80DB0080025C00", 0x6A80),
        ("80DB0080015C", 0x6A80),
        ("80DB008003810100 00", 0x9000),
        ("80DB008004 8181010A", 0x6A80), // not the shortest form of a length
        ("80DB008002 FF00", 0x6A80),
        ("80DB008002 0000", 0x6A80),
        ("80CB00910181", 0x9000),
        ("80CB00920181", 0x6A82),
        ("80CB00850181", 0x6981),
        ("00B0910000", 0x6981),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    let mut bench = Bench::with(rules::administered());
    assert_eq!(bench.sw("80CB00800181"), 0x6986);
    assert_eq!(bench.sw("80DB008002 8100"), 0x6986);
}

#[test]
fn long_objects_go_in_blocks() {
    let mut bench = bench();
    assert_eq!(set(&mut bench, 0x81, 500), 0x9000);
    let mut got = String::new();
    let (block, sw) = bench.apdu("80CB00800181");
    assert_eq!((block.len(), sw), (512, 0x62F1));
    got += &block;
    assert_eq!(bench.apdu("80CB0040"), (block, 0x62F1), "once more");
    let (block, sw) = bench.apdu("80CB000010");
    assert_eq!((block.len(), sw), (32, 0x62F1));
    got += &block;
    let (block, sw) = bench.apdu("80CB0000");
    assert_eq!((block.len(), sw), (2 * (504 - 256 - 16), 0x9000));
    got += &block;
    assert_eq!(bench.sw("80CB0000"), 0x6985, "there is no more");
    let expected: Vec<u8> = (0..500).map(|at| at as u8).collect();
    assert_eq!(got, format!("818201F4{}", string(&expected)));
    // Another command ends it.
    assert_eq!(bench.sw("80CB00800181"), 0x62F1);
    bench.ok("80F2000C");
    assert_eq!(bench.sw("80CB0000"), 0x6985);
}

#[test]
fn an_object_counts_with_its_last_block() {
    let mut bench = bench();
    bench.ok("80DB008004 81020A0B");
    let _ = bench.replaces();
    for (apdu, sw) in [
        ("80DB008003 810401", 0x63F1),
        ("80DB004002 0203", 0x63F1), // in the place of the first block: a tag of its own
        ("80DB000004 04050607", 0x6A80),
    ] {
        assert_eq!(bench.sw(apdu), sw, "{apdu}");
    }
    assert_eq!(bench.sw("80DB008003 810401"), 0x63F1);
    assert_eq!(bench.sw("80DB000001 02"), 0x63F1);
    assert_eq!(bench.sw("80DB004001 03"), 0x63F1, "in the place of the block before");
    assert_eq!(bench.ok("00B0850001"), "65", "something else");
    assert_eq!(bench.sw("80DB000002 0304"), 0x6985);
    assert_eq!(bench.replaces(), 0);
    bench.ok("00A4000C022F40");
    assert_eq!(bench.ok("80CB00800181"), "81020A0B");
    assert_eq!(bench.sw("80DB008003 810401"), 0x63F1);
    // Of another channel, and in between.
    bench.ok("0070000001");
    bench.ok("01A4000C022F40");
    assert_eq!(bench.sw("81DB000003 020304"), 0x6985);
    assert_eq!(bench.sw("80DB000003 020304"), 0x6985, "MANAGE CHANNEL ended it");
}

#[test]
fn the_file_has_its_limit() {
    let mut bench = bench();
    assert_eq!(set(&mut bench, 0x81, 596), 0x9000);
    assert_eq!(set(&mut bench, 0x82, 0), 0x6A84);
    assert_eq!(set(&mut bench, 0x81, 597), 0x6A84);
    assert_eq!(bench.sw("80DB008005 8382FFFF00"), 0x6A84, "refused with its first block");
    assert_eq!(bench.ok("80CB0080015C"), "5C0181");
    assert_eq!(set(&mut bench, 0x81, 500), 0x9000);
    assert_eq!(set(&mut bench, 0x82, 94), 0x9000);
}

#[test]
fn a_power_cut_leaves_the_object_as_it_was_or_as_it_is_to_be() {
    for written in [false, true] {
        let mut bench = bench();
        bench.ok("80DB008004 81020A0B");
        bench.store.arm(PowerCut { at_write: 0, written });
        assert_eq!(bench.sw("80DB008003 810101"), 0x6581);
        assert_eq!(bench.ok("80CB00800181"), "81020A0B");
        bench.reboot();
        assert_eq!(bench.ok("80CB00910181"), if written { "810101" } else { "81020A0B" });
    }
}

#[test]
fn installed_objects_and_padding() {
    let mut profile = rules::administered();
    let content = b"\x81\x01\xAA\x82\x01\xBB\xFF\xFF\xFF";
    add_ef(&mut profile, FileIndex::MF, 0x2F41, FileKind::BerTlv(9), rule::READ_ALWAYS, content);
    let mut bench = Bench::with(profile);
    bench.ok("00A4000C022F41");
    assert_eq!(bench.ok("80CB0080015C"), "5C028182");
    assert_eq!(bench.ok("80CB00800182"), "8201BB");
    assert_eq!(bench.sw("80DB008003 8301CC"), 0x6982);
    bench.ok("0020000A0861646D696E6B6579");
    bench.ok("80DB008003 8301CC");
    assert_eq!(bench.sw("80DB008003 8401CC"), 0x6A84);
    assert_eq!(bench.ok("80CB0080015C"), "5C03818283");
}
