//! What a modem does first, on the published test profiles.

use crate::{Bench, SLOT, string};
use std::{env, fs, path::Path};
use teuicc_card::profile::FileKind;
use teuicc_card::testing::profile;

const ICCID: [u8; 10] = *b"\x98\x00\x10\x32\x54\x76\x98\x10\x32\x14";
const K: [u8; 16] = profile::K_XOR;

/// Name and card of each published profile; none without the folder.
pub(crate) fn benches() -> Vec<(String, Bench)> {
    let Ok(folder) = env::var("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return Vec::new();
    };
    let mut packages: Vec<_> =
        fs::read_dir(Path::new(&folder).join("ts48")).unwrap().map(|entry| entry.unwrap().path()).collect();
    packages.sort();
    assert_eq!(packages.len(), 5);
    packages
        .into_iter()
        .map(|path| {
            let profile = profile::install(&fs::read(&path).unwrap(), ICCID, SLOT).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), Bench::with(profile))
        })
        .collect()
}

/// AUTHENTICATE with a challenge of the test algorithm, and the answer to it.
fn challenge(rand: [u8; 16], sqn: [u8; 6]) -> (String, String) {
    let xdout: [u8; 16] = std::array::from_fn(|i| K[i] ^ rand[i]);
    let concealed: [u8; 6] = std::array::from_fn(|i| sqn[i] ^ xdout[3 + i]);
    let cdout: [u8; 8] = std::array::from_fn(|i| if i < 6 { sqn[i] } else { 0 });
    let mac: [u8; 8] = std::array::from_fn(|i| xdout[i] ^ cdout[i]);
    let (mut ck, mut ik) = (xdout, xdout);
    ck.rotate_left(1);
    ik.rotate_left(2);
    (
        format!("10{} 10{}0000{}", string(&rand), string(&concealed), string(&mac)),
        format!("DB10{}10{}10{}", string(&xdout), string(&ck), string(&ik)),
    )
}

#[test]
fn boot_sequence() {
    for (name, mut bench) in benches() {
        println!("{name}");
        let mf = bench.ok("00A4000402 3F00");
        assert!(mf.contains("C6") && mf.contains("83010A"), "{mf}");
        bench.ok("00A4000402 2FE2");
        assert_eq!(bench.ok("00B000000A"), string(&ICCID));
        bench.ok("00A4000402 2F05");
        assert_eq!(bench.sw("00B0000002"), 0x9000);
        bench.ok("80AA000005 A903830107");
        bench.ok("801000000F FFFFDFFF7F1F00DFFF00001FE20807");
        // EF.DIR names the USIM, which is then selected by the beginning of its AID.
        bench.ok("00A4000402 2F00");
        assert_eq!(&bench.ok("00B2010400")[..22], "61144F0CA0000000871002");
        assert_eq!(bench.ok("0070000001"), "01");
        let adf = bench.ok("01A4040407 A0000000871002");
        assert!(adf.contains("A0000000871002") && adf.contains("830181"), "{adf}");
        bench.ok("81F2010C");
        // PIN1 is disabled, so that all that it protects is open.
        assert_eq!(bench.sw("01200001"), 0x63C3);
        assert_eq!(bench.sw("0120000108 30303030FFFFFFFF"), 0x6984);
        bench.ok("01A4080404 7FFF6F07");
        let imsi = bench.ok("01B0000009");
        assert!(imsi.starts_with("08091010103254"), "{imsi}");
        assert_eq!(bench.sw("01D6000009 080910101032540636"), 0x6982, "only ADM may change the IMSI");
        for ef in
            ["6FAD", "6F78", "6F7E", "6F73", "6F38", "6FE3", "6F08", "6F09", "6FE4", "6F5B", "6F5C", "6F56", "6F7B"]
        {
            let fcp = bench.ok(&format!("01A4080404 7FFF{ef}"));
            let linear = fcp.contains("82054221");
            let read = if linear { "01B2010400" } else { "01B0000000" };
            assert_eq!(bench.sw(read), 0x9000, "{ef}");
        }
        // What the modem rewrites all the time.
        let _ = bench.replaces();
        bench.ok("01A4080404 7FFF6F7E");
        bench.ok("01D600000B 0102030405060700F11000");
        assert_eq!(bench.replaces(), 0, "{name}");
        // DF.5GS, the phonebook, DF.TELECOM.
        bench.ok("01A4080404 7FFF5FC0");
        bench.ok("01A4080404 7F105F3A");
        bench.ok("00A4080402 7F10");
        assert_eq!(bench.sw("01A4080404 7FFF6FFF"), 0x6A82);
        // AUTHENTICATE on the USIM, then on the ISIM.
        let (data, answer) = challenge([0x5A; 16], [0, 0, 0, 0, 1, 0]);
        let got = bench.ok(&format!("0188008122 {data}"));
        assert!(got.starts_with(&answer), "{got}");
        bench.ok("00A4040407 A0000000871004");
        let got = bench.ok(&format!("0088008122 {data}"));
        assert_eq!(got, answer);
        bench.ok("00A4080404 7FFF6F02");
        assert_eq!(bench.sw("00B0000000"), 0x9000);
        assert_eq!(bench.sw(&format!("0088008122 {}", data.replacen("105A", "105B", 1))), 0x9862);
    }
}

/// Every file can be selected by its path, and answers to reading with data or a reason.
#[test]
fn every_file_answers() {
    for (name, mut bench) in benches() {
        let Ok(folder) = env::var("TEUICC_TESTDATA") else { return };
        let package = fs::read(Path::new(&folder).join("ts48").join(&name)).unwrap();
        let profile = profile::install(&package, ICCID, SLOT).unwrap();
        let mut selected = 0;
        for file in profile.files.iter().skip(1) {
            let mut path = String::new();
            let mut at = file;
            let aid = loop {
                if !at.aid.is_empty() {
                    break at.aid.as_slice();
                }
                if at.fid == 0x3F00 {
                    break &[];
                }
                path.insert_str(0, &format!("{:04X}", at.fid));
                at = &profile.files[usize::from(at.parent.0)];
            };
            if !aid.is_empty() {
                bench.ok(&format!("00A4040C{:02X}{}", aid.len(), string(aid)));
                path.insert_str(0, "7FFF");
            }
            let length = path.len() / 2;
            let (fcp, sw) = bench.apdu(&format!("00A40804{length:02X}{path}"));
            if !file.visible {
                assert_eq!(sw, 0x6A82, "{name} {path}");
                continue;
            }
            assert!(sw == 0x9000 || sw == 0x6283, "{name} {path} {sw:04X}");
            assert!(fcp.starts_with("62"));
            selected += 1;
            for read in ["00B0000000", "00B2010400", "80CB0080015C"] {
                let sw = bench.sw(read);
                assert!(matches!(sw, 0x9000 | 0x6981 | 0x6982 | 0x6985 | 0x6986), "{name} {path} {sw:04X}");
            }
        }
        assert!(selected > 100, "{name}: {selected}");
    }
}

/// The rules of published profiles, as their makers meant them: what the administrator may do, and nobody else.
#[test]
fn the_administrator_does_what_the_rules_allow() {
    for (name, mut bench) in benches() {
        println!("{name}");
        let commands = [
            // A DF and an EF in the MF, whose rules are in records of EF.ARR that are there.
            "00E000001D 621B 82027821 83027F77 8A0105 8B032F0601 C609 900140 830101 83010A",
            "00E0000018 6216 82024121 83024F66 8A0105 8B032F0601 80020010 8800",
            "00A4000C02 3F00",
            "00E4000002 7F77",
        ];
        for command in commands {
            assert_ne!(bench.sw(command) == 0x9000, !command.starts_with("00A4"), "{command} by anybody");
        }
        bench.ok("0020000A08 3535353535353535");
        // Record 1: CREATE, DELETE, DEACTIVATE, ACTIVATE and RESIZE by ADM1.
        for command in commands {
            bench.ok(command);
        }
        bench.ok("00A4040C07 A0000000871002");
        let mut usable = 0;
        for fid in ["6F07", "6F38", "6F78", "6FAD", "6F73", "6F7B", "6F60", "6F3C", "6F42"] {
            let select = format!("00A4000C02{fid}");
            if bench.sw(&select) != 0x9000 {
                continue;
            }
            if bench.sw("00040000") == 0x9000 {
                assert_eq!(bench.sw(&select), 0x6283, "{fid}");
                assert_eq!(bench.sw("00440000"), 0x9000, "{fid}");
                usable += 1;
            }
        }
        assert!(usable > 3, "{usable} files can be deactivated");
    }
}

/// A phone of 2G on one interface, a modem of today on the other: they read the same.
#[test]
fn class_a0_reads_what_class_00_reads() {
    use teuicc_wire::Interface::{Lpa, Modem};
    for (name, mut bench) in benches() {
        let Ok(folder) = env::var("TEUICC_TESTDATA") else { return };
        let package = fs::read(Path::new(&folder).join("ts48").join(&name)).unwrap();
        let profile = profile::install(&package, ICCID, SLOT).unwrap();
        let place =
            |wanted: &dyn Fn(&teuicc_card::profile::File) -> bool| profile.files.iter().position(wanted).unwrap();
        let usim = place(&|file| file.aid.starts_with(&profile::USIM[..7]));
        let telecom = place(&|file| file.fid == 0x7F10);
        bench.select_usim();
        let (mut read, mut refused) = (0, 0);
        for (path, way, parent) in [("", "3F00", 0), ("7F10", "7F10", telecom), ("7FFF", "7F20", usim)] {
            for file in profile.files.iter().skip(1).filter(|file| usize::from(file.parent.0) == parent && file.visible)
            {
                // Directories, and what DF.GSM has in another form.
                let is_ef = matches!(file.fid >> 12, 2 | 6) && !matches!(file.kind, FileKind::BerTlv(_));
                if !is_ef || matches!(file.fid, 0x6F38 | 0x6FB7) {
                    continue;
                }
                let what = format!("{name} {path}{:04X}", file.fid);
                let path = format!("{path}{:04X}", file.fid);
                let (_, selected) = bench.on(Modem, &format!("00A4080C{:02X}{path}", path.len() / 2));
                for fid in ["3F00", way, &format!("{:04X}", file.fid)] {
                    let (answer, sw) = bench.on(Lpa, &format!("A0A4000002{fid}"));
                    assert_eq!(sw, 0x9000, "{what}");
                    assert_eq!(answer[8..12], *fid);
                    if fid.starts_with(['6', '2']) {
                        let number = |place: usize| u8::from_str_radix(&answer[2 * place..2 * place + 2], 16).unwrap();
                        assert_eq!(number(11) & 1 == 1, selected == 0x9000, "{what}");
                        let length = match (number(13), number(2)) {
                            (0, 0) => number(3),
                            (0, _) => 0xFF,
                            _ => number(14),
                        };
                        let command = if number(13) == 0 { "B00000" } else { "B20104" };
                        let modern = bench.on(Modem, &format!("00{command}{length:02X}"));
                        let old = bench.on(Lpa, &format!("A0{command}{length:02X}"));
                        match modern.1 {
                            0x9000 => assert_eq!(old, modern, "{what}"),
                            0x6982 => assert_eq!(old.1, 0x9804, "{what}"),
                            0x6985 => assert_eq!(old.1, 0x9810, "{what}"),
                            other => panic!("{what}: {other:04X}"),
                        }
                        // What the answer says of reading is what happens: PIN1 is disabled, no other key presented.
                        let may_read = matches!(number(8) >> 4, 0 | 1);
                        assert_eq!(old.1 == 0x9804, !may_read, "{what}");
                        read += u32::from(old.1 == 0x9000);
                        refused += u32::from(old.1 == 0x9804);
                    }
                }
            }
        }
        println!("{name}: {read} files read, {refused} refused");
        assert!(read > 50);
        for fid in ["3F00", "7F20", "6F38"] {
            assert_eq!(bench.on(Lpa, &format!("A0A4000002{fid}")).1, 0x9000);
        }
        println!("  SST {}", bench.on(Lpa, "A0B000000E").0);
    }
}
