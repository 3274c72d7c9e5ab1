//! Remote file management, and the two formats of scripts.

use super::*;
use crate::profile::FileKind;

fn run(tar: [u8; 3], script: &[u8]) -> Vec<u8> {
    let mut bench = Bench::new();
    let report = bench.report(&Server::new(tar, 1), script);
    assert_eq!(report.status, 0);
    report.data
}

#[test]
fn full_access_is_all_but_never() {
    assert_eq!(run(TAR_FILES, UPDATE), hex!("029000"));
    assert_eq!(run(TAR_FILES, UPDATE_ADM), hex!("029000"));
    assert_eq!(run(TAR_FILES, UPDATE_NEVER), hex!("026982"));
    // EF.ADN of DF.TELECOM, behind PIN1.
    assert_eq!(run(TAR_FILES, &hex!("00A4080C047F106F3A 00B2010404")), hex!("029000 61646E31"));
}

#[test]
fn an_access_domain_ends_at_its_files() {
    // The ADF is selected at the start: EF.IMSI, behind PIN1 and ADM1.
    assert_eq!(run(TAR_USIM, &hex!("00A4000C026F07 00D6000001 08 00B0000002")), hex!("039000 0809"));
    assert_eq!(run(TAR_USIM, &hex!("00B0870002")), hex!("019000 0809"));
    assert_eq!(run(TAR_USIM, &hex!("00A4080C047FFF6F07 00B0000002")), hex!("029000 0809"));
    // Below it too, but nowhere else, though READ is allowed always there.
    assert_eq!(run(TAR_USIM, &hex!("00A4000C025F3A 00A4000C024F3A 00B2010404")).len(), 7);
    assert_eq!(run(TAR_USIM, &hex!("00A4080C022FE2 00B000000A")), hex!("026982"));
    assert_eq!(run(TAR_USIM, &hex!("00A4080C022F30 00D6000001 AA")), hex!("026982"));
    for script in [
        &hex!("00A4080C022F30 00D6000001 AA")[..],
        &hex!("00A4080C022F05 00B0000001"),
        &hex!("00A4080C022FE2 00B000000A"),
        &hex!("00A4000C026F07 00B0000009"),
    ] {
        assert_eq!(run(TAR_NOTHING, script)[1..], hex!("6982"), "{script:02X?}");
    }
}

#[test]
fn an_application_stays_in_its_files_and_commands() {
    for (command, sw) in [
        (&hex!("00A4040C07A0000000871004")[..], 0x6A86u16),
        (&hex!("01A4000C023F00"), 0x6881),
        (&hex!("A0A40000023F00"), 0x6E00),
        (&hex!("0070000000"), 0x6D00),
        (&hex!("00880081 00"), 0x6D00),
        (&hex!("80F2000C00"), 0x6D00),
        (&hex!("80C2000000"), 0x6D00),
        (&hex!("80E2910003BF2A00"), 0x6D00),
        (&hex!("00E0000000"), 0x6700),
        (&hex!("00E60000"), 0x6700),
        (&hex!("00E6000000"), 0x6D00),
        (&hex!("00E800000200"), 0x6700),
        (&hex!("00E80000022F30"), 0x6D00),
    ] {
        assert_eq!(run(TAR_FILES, command), [&[1], &sw.to_be_bytes()[..]].concat(), "{command:02X?}");
    }
}

/// The rule of the MF lets ADM1 create EFs, that of the ADF too; no rule here lets anybody delete.
#[test]
fn administrative_commands_have_an_access_domain_of_their_own() {
    const CREATE: &[u8] = &hex!("00E0000018 6216 82024121 83026F50 8A0105 8B032F0605 80020004 8800 00D6000002 AABB");
    assert_eq!(run(TAR_FILES, CREATE), hex!("029000"));
    assert_eq!(run(TAR_FILES, &[CREATE, &hex!("00E40000026F50")].concat()), hex!("036982"));
    // It may do everything else with the files of the ADF.
    assert_eq!(run(TAR_USIM, CREATE), hex!("016982"));
    assert_eq!(run(TAR_NOTHING, CREATE), hex!("016982"));
    for (access, created, updated) in [
        (FULL, 0x9000u16, 0x9000u16),
        ([&[0x00], &[0xFF]], 0x6982, 0x9000),
        ([&[0xFF], &[0x00]], 0x9000, 0x6982),
        ([&[0xFF], &[0xFF]], 0x6982, 0x6982),
    ] {
        let mut writer = teuicc_tlv::Writer::new();
        security_domain(&mut writer, &[DomainKey::new(1, KEYS[0].1), DomainKey::new(1, KEYS[0].2)]).unwrap();
        rfm(&mut writer, TAR_FILES, 0x02, access, None).unwrap();
        let mut bench = Bench::with(writer.into_bytes(), OPERATIONAL);
        let (create, update) = CREATE.split_at(CREATE.len() - 7);
        let mut last = |counter, script: &[u8]| bench.report(&Server::new(TAR_FILES, counter), script).data;
        assert_eq!(last(1, create)[1..], created.to_be_bytes(), "{access:02X?}");
        let update = [&hex!("00A4000C022F30")[..], update].concat();
        assert_eq!(last(2, &update)[1..], updated.to_be_bytes(), "{access:02X?}");
    }
}

#[test]
fn pins_are_presented_as_ever() {
    assert_eq!(run(TAR_FILES, &hex!("0020000108 31323334FFFFFFFF")), hex!("019000"));
    assert_eq!(run(TAR_FILES, &hex!("0020000108 31323335FFFFFFFF 00A40004023F00")), hex!("0163C2"));
}

#[test]
fn compact_scripts() {
    for (script, data) in [
        // As pySim's vectors have it: SELECT with FCP asks for GET RESPONSE.
        (&hex!("00A40004023F00")[..], None),
        (&hex!("00A4000C023F00"), Some(&hex!("019000")[..])),
        (&hex!("00A4000C022F30 00B0000000 00D6000001 00"), Some(&hex!("039000"))),
        (&hex!("00A4000C022FE2 00B000000A"), Some(&hex!("029000 98103254769810325 4F6"))),
        (&hex!("00A4000C022FE2 00B000000B"), Some(&hex!("026C0A"))),
        (&hex!("00A4000C022F00 00B2010400"), None),
        (&hex!("00A4000C022F00 00B2010405"), Some(&hex!("026C18"))),
        (&hex!("00A4000C02FFFF 00A4000C023F00"), Some(&hex!("016A82"))),
        (&hex!("00C0000010"), Some(&hex!("016985"))),
        (&hex!("00A4000C"), Some(&hex!("016700"))),
        (&hex!("00A4000C023F"), Some(&hex!("016700"))),
        (&hex!("00A4000C023F00 FF"), Some(&hex!("026700"))),
        (&[], Some(&[])),
    ] {
        let answer = run(TAR_FILES, script);
        match data {
            Some(data) => assert_eq!(answer, data, "{script:02X?}"),
            None => assert!(answer.len() >= 3, "{script:02X?}"),
        }
    }
    let selected = run(TAR_FILES, &hex!("00A40004023F00"));
    assert_eq!((selected.len(), selected[1]), (3, 0x61));
    let fetched = run(TAR_FILES, &[&hex!("00A40004023F00 00C00000")[..], &selected[2..]].concat());
    assert_eq!(fetched[..4], hex!("02900062"));
    assert_eq!(fetched.len(), 3 + usize::from(selected[2]));
}

/// SET DATA answers 63F1 to all blocks but the last, RETRIEVE DATA 62F1.
#[test]
fn a_data_object_goes_in_blocks() {
    let with_object = |script: &[u8]| {
        let mut profile = profile::profile(SLOT);
        let kind = FileKind::BerTlv(600);
        profile.files.push(profile::file(FileIndex::MF, 0x2F40, kind, profile::rule::ALWAYS, b""));
        profile.kept = elements(&profile::USIM);
        let mut bench = Bench::of(profile, OPERATIONAL);
        let report = bench.report(&Server::new(TAR_FILES, 1), script);
        (report.data, bench.content(0x2F40).to_vec())
    };
    let object = hex!("8104 01020304");
    let set = hex!("00A4000C022F40 80DB008003 810401 80DB000003 020304");
    assert_eq!(with_object(&set), (hex!("039000").to_vec(), object.to_vec()));
    let (data, content) = with_object(&hex!("AA1C 2207 00A4000C022F40 2208 80DB008003810401 2207 80DB000002 0203"));
    assert_eq!((data, content), (hex!("AB07 800103 2302 63F1").to_vec(), vec![]), "the last block is missing");
    let get = hex!("00A4000C022F40 80DB008006 810401020304 80CB008001 81 00C0000006");
    assert_eq!(with_object(&get).0, hex!("049000 810401020304"));
    // In blocks of 4 bytes.
    let get = hex!("AA26 2207 00A4000C022F40 220B 80DB008006 810401020304 2207 80CB00800181 04 2205 80CB000004");
    assert_eq!(with_object(&get).0, hex!("AB11 800104 2306 81040102 62F1 2304 0304 9000"));
    // More than a message holds, in compact format: the first block of 256 bytes is there to be fetched.
    let set = [&hex!("00A4000C022F40 80DB0080FF 81820140")[..], &[0x5A; 251], &hex!("80DB000045")[..], &[0xA5; 69]];
    let (data, content) = with_object(&[&set.concat()[..], &hex!("80CB008001 81 80CB000002")].concat());
    assert_eq!((data, content.len()), (hex!("0562F1 A5A5").to_vec(), 324));
}

#[test]
fn expanded_scripts() {
    for (script, data) in [
        (&hex!("AA09 2207 00A4000C023F00")[..], &hex!("AB07 800101 2302 9000")[..]),
        (&hex!("AA0D 2207 00A4000C022F30 2202 0000"), &hex!("AB0A 800101 2302 9000 900102")),
        (
            &hex!("AA1A 2207 00A4000C022FE2 2205 00B0000003 2208 00A4000C022F3000"),
            &hex!("AB0E 800103 2305 981032 9000 2302 9000"),
        ),
        (&hex!("AA12 2207 00A4000C02FFFF 2207 00A4000C023F00"), &hex!("AB07 800101 2302 6A82")),
        (&hex!("AA0C 2207 00A4000C023F00 810106"), &hex!("AB0A 800101 2302 9000 900101")),
        (&hex!("AA03 830101"), &hex!("AB06 800100 830102")),
        (&hex!("AA05 2207 00A4"), &hex!("AB06 800100 900102")),
        (&hex!("AA00"), &hex!("AB03 800100")),
        (&hex!("AA0900"), &hex!("AB06 800100 900102")),
        (&hex!("AE80 2207 00A4000C023F00 0000"), &hex!("AF80 2302 9000 0000")),
        (&hex!("AE80 2207 00A4000C023F00"), &hex!("AF80 900102 0000")),
    ] {
        assert_eq!(run(TAR_FILES, script), data, "{script:02X?}");
    }
}
