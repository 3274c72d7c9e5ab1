//! The 2G command set, as a SIM application in a phone sends it: class A0 through the T=0 layer.

use crate::{Bench, SLOT, aka, hex, string};
use teuicc_apdu::t0::{Step, T0};
use teuicc_card::profile::{Algorithm, FileIndex, FileKind, Profile, Puk};
use teuicc_card::testing::profile::{self, ProfileBuilder, rule};
use teuicc_wire::Interface;

/// A phone that speaks class A0.
struct Phone {
    bench: Bench,
    t0: T0,
}

impl Phone {
    fn new() -> Self {
        Self::with(Bench::with(sim()))
    }

    fn with(bench: Bench) -> Self {
        Phone { bench, t0: T0::new() }
    }

    /// The answer to one TPDU: data, SW1 and SW2.
    fn tpdu(&mut self, tpdu: &str) -> String {
        let answer = match self.t0.tpdu(&hex(tpdu)) {
            Step::Answer(answer) => answer,
            Step::Execute(apdu) => {
                let response = self.bench.card.transmit(Interface::Modem, &apdu).unwrap();
                self.t0.response(response)
            }
        };
        string(&answer)
    }

    /// Each TPDU of a script gets this answer.
    fn script(&mut self, script: &[(&str, &str)]) {
        for (tpdu, answer) in script {
            assert_eq!(self.tpdu(tpdu), answer.replace(' ', ""), "{tpdu}");
        }
    }

    /// SELECT and the answer to it, by GET RESPONSE.
    fn select(&mut self, fid: &str) -> String {
        let announced = self.tpdu(&format!("A0A4000002{fid}"));
        assert_eq!(announced[..2], *"9F", "{fid} {announced}");
        let answer = self.tpdu(&format!("A0C00000{}", &announced[2..]));
        answer.strip_suffix("9000").unwrap().to_owned()
    }

    fn go_to_gsm(&mut self) {
        self.select("3F00");
        self.select("7F20");
    }

    fn verify_chv1(&mut self) {
        assert_eq!(self.tpdu("A020000108 31323334FFFFFFFF"), "9000");
    }
}

/// A profile with what a phone of 2G asks for; PIN2 has an unblocking key.
fn sim() -> Profile {
    let mut builder = ProfileBuilder::new(SLOT);
    let (mf, transparent) = (FileIndex::MF, FileKind::Transparent);
    builder.ef(mf, 0x2FE2, transparent, Some(0x02), rule::READ_ONLY, &hex("981032547698103254F6"));
    let telecom = builder.directory(mf, FileKind::Df, 0x7F10, &[], &[0x01, 0x0A]);
    builder.ef(telecom, 0x6F3A, FileKind::LinearFixed(4), None, rule::PIN1, b"adn1adn2adn3adn2");
    builder.directory(telecom, FileKind::Df, 0x5F3A, &[], &[]);
    let usim = builder.directory(mf, FileKind::Adf, 0x7FF0, &profile::USIM, &[0x01, 0x81, 0x0A]);
    let puk = Puk { reference: 0x81, value: *b"87654321", max_tries: 10, tries_left: 10 };
    builder.pin(0x81, usim, profile::PIN2, 3, Some(puk));
    builder.ef(usim, 0x6F07, transparent, Some(0x07), rule::READ_PIN1, &hex("080910101032547698"));
    // Services 2, 10, 12, 19, 20, 21, 27, 38.
    builder.ef(usim, 0x6F38, transparent, Some(0x04), rule::READ_PIN1, &hex("020A1C0420"));
    builder.ef(usim, 0x6F40, FileKind::LinearFixed(5), None, rule::PIN1, b"tel.1");
    builder.ef(usim, 0x6F60, transparent, None, rule::PIN1, &hex("00F1108000 62F2204000 FFFFFF0000"));
    builder.ef(usim, 0x6F7E, transparent, Some(0x0B), rule::PIN1, &[0xFF; 11]);
    builder.ef(usim, 0x6F73, transparent, None, rule::PIN1, &[0xFE; 14]);
    builder.ef(usim, 0x6FB7, FileKind::LinearFixed(5), Some(0x01), rule::READ_ALWAYS, &hex("11F2FF4100 19F1FF4102"));
    builder.ef(usim, 0x6F39, FileKind::Cyclic(3), None, ALL_PIN1, b"\0\0\x03\0\0\x02\0\0\x01");
    builder.ef(usim, 0x6F47, transparent, None, rule::UPDATE_PIN2, b"two");
    let deactivated = builder.ef(usim, 0x6F31, transparent, None, rule::ALWAYS, b"off");
    builder.file(deactivated).life_cycle = 0x04;
    builder.ef(usim, 0x6F4E, FileKind::BerTlv(100), None, rule::ALWAYS, &[]);
    let access = builder.directory(usim, FileKind::Df, 0x5F3B, &[], &[]);
    builder.ef(access, 0x4F20, transparent, Some(0x01), rule::PIN1, &hex("FFFFFFFFFFFFFFFF07"));
    builder.ef(access, 0x4F52, transparent, Some(0x02), rule::PIN1, &hex("EEEEEEEEEEEEEEEE07"));
    let template = profile::profile(SLOT);
    let Algorithm::Milenage { k, opc, rotations, constants } = &template.naas[0].algorithm else { panic!() };
    builder.naa(usim, Algorithm::Milenage { k: *k, opc: *opc, rotations: *rotations, constants: *constants });
    let mut profile = builder.build();
    let arr = profile.files.iter_mut().find(|file| file.fid == 0x2F06).unwrap();
    arr.content.extend(hex("80011B A406830101950108 840132 9000"));
    arr.content.resize(usize::from(ALL_PIN1) * 32, 0xFF);
    profile
}

/// A rule of its own: READ, UPDATE, DEACTIVATE and ACTIVATE PIN1, INCREASE always.
const ALL_PIN1: u8 = 7;

#[test]
fn what_a_phone_does_first() {
    let mut phone = Phone::new();
    assert_eq!(phone.select("3F00"), "00000000 3F00 01 0000000000 09 31 02 02 05 00 83 8A 83 8A".replace(' ', ""));
    phone.script(&[
        ("A0A4000002 2FE2", "9F0F"),
        ("A0C000000F", "0000 000A 2FE2 04 00 0FFFFF 01 02 00 00 9000"),
        ("A0B000000A", "981032547698103254F6 9000"),
        ("A0A4000002 7F20", "9F16"),
        ("A0C0000016", "0000 0000 7F20 02 0000000000 09 31 01 0F 05 00 83 8A 83 8A 9000"),
        ("A0F2000016", "0000 0000 7F20 02 0000000000 09 31 01 0F 05 00 83 8A 83 8A 9000"),
        ("A0A4000002 6FAE", "9F0F"),
        ("A0C000000F", "0000 0001 6FAE 04 00 0FFFFF 01 02 00 00 9000"),
        ("A0B0000001", "03 9000"),
        ("A010000005 FFFF5FFF7F", "9000"),
        ("A0A4000002 6F07", "9F0F"),
        ("A0C000000F", "0000 0009 6F07 04 00 14FFFF 01 02 00 00 9000"),
        ("A0B0000009", "9804"),
        ("A020000108 31323334FFFFFFFF", "9000"),
        ("A0B0000009", "080910101032547698 9000"),
        // The service table: CHV1 disabling and ADN; FDN and SMS; PLMN selector; MSISDN; SMSP; SPN; proactive SIM;
        // GPRS; PLMN selector with access technology.
        ("A0A4000002 6F38", "9F0F"),
        ("A0C000000F", "0000 000E 6F38 04 00 1FFFFF 01 02 00 00 9000"),
        ("A0B000000E", "FF 30 C3 00 03 00 00 03 00 0C 30 00 00 00 9000"),
        ("A0A4000002 6FB7", "9F0F"),
        ("A0C000000F", "0000 0006 6FB7 04 00 0FFFFF 01 02 00 00 9000"),
        ("A0B0000006", "11F2FF19F1FF 9000"),
        ("A0A4000002 6F30", "9F0F"),
        ("A0B0000009", "00F11062F220FFFFFF 9000"),
        ("A0A4000002 6F7E", "9F0F"),
        ("A0D600000B 0102030405060708090A0B", "9000"),
        ("A0B000000B", "0102030405060708090A0B 9000"),
        ("A0A4000002 6F20", "9F0F"),
        ("A0C000000F", "0000 0009 6F20 04 00 11FFFF 01 02 00 00 9000"),
        ("A0B0000009", "FFFFFFFFFFFFFFFF07 9000"),
        ("A0D6000009 010203040506070803", "9000"),
        ("A0A4000002 6F52", "9F0F"),
        ("A0B0000009", "EEEEEEEEEEEEEEEE07 9000"),
        ("A0A4000002 6F53", "9F0F"),
        ("A0B000000E", "FEFEFEFEFEFEFEFEFEFEFEFEFEFE 9000"),
        // Kc as the USIM has it.
        ("A0A4000002 5F3B", "9F16"),
        ("A0A4000002 4F20", "9F0F"),
        ("A0B0000009", "010203040506070803 9000"),
        ("A0A4000002 7F20", "9F16"),
        ("A0A4000002 7F10", "9F16"),
        ("A0C0000016", "0000 0000 7F10 02 0000000000 09 31 01 01 05 00 83 8A 83 8A 9000"),
        ("A0A4000002 6F3A", "9F0F"),
        ("A0C000000F", "0000 0010 6F3A 04 00 11FFFF 01 02 01 04 9000"),
        ("A0B2020404", "61646E32 9000"),
        // What a SIM has in DF.TELECOM, and a USIM itself.
        ("A0A4000002 6F40", "9F0F"),
        ("A0B2010405", "74656C2E31 9000"),
        ("A0FA000000", "9000"),
    ]);
}

#[test]
fn files_are_found_from_where_one_is() {
    for (way, fid, found) in [
        (&[][..], "7F20", true),
        (&[], "7F10", true),
        (&[], "7FF0", false),
        (&[], "7FFF", false),
        (&[], "6F07", false),
        (&["7F20"], "6F07", true),
        (&["7F20"], "7F20", true),
        (&["7F20"], "7F10", true),
        (&["7F20"], "2FE2", false),
        (&["7F20"], "3F00", true),
        (&["7F20"], "7FFF", false),
        (&["7F20"], "5F3B", true),
        (&["7F20"], "6F63", false),
        // A structure that class A0 has no word for.
        (&["7F20"], "6F4E", false),
        (&["7F20", "6F07"], "6F7E", true),
        (&["7F20", "6F20"], "6F07", true),
        (&["7F20", "5F3B"], "4F20", true),
        (&["7F20", "5F3B"], "6F20", false),
        (&["7F20", "5F3B"], "7F20", true),
        (&["7F20", "5F3B"], "7F10", false),
        (&["7F10"], "7F20", true),
        (&["7F10"], "6F07", false),
        (&["7F10", "5F3A"], "7F10", true),
        (&["7F10", "5F3A"], "7F20", false),
    ] {
        let mut phone = Phone::new();
        for step in way {
            phone.select(step);
        }
        let answer = phone.tpdu(&format!("A0A4000002{fid}"));
        assert_eq!(&answer[..2], if found { "9F" } else { "94" }, "{way:?} {fid} {answer}");
        if !found {
            assert_eq!(answer, "9404");
            // Nothing else became current.
            assert_eq!(phone.tpdu("A0B0000001") == "9400", way.last().is_none_or(|last| !last.starts_with('6')));
        }
    }
}

#[test]
fn parameters_and_lengths() {
    for (way, tpdu, answer) in [
        ("", "A0A4010002 3F00", "6B00"),
        ("", "A0A4000001 3F", "6702"),
        ("", "A0A4000003 3F0000", "6702"),
        ("", "A0F2000017", "6716"),
        ("", "A0F2000000", "6716"),
        ("", "A0F2000104", "6B00"),
        ("", "A0F2000004", "00000000 9000"),
        ("", "A0B0000001", "9400"),
        ("", "A0D6000001 00", "9400"),
        ("", "A0B2010401", "9400"),
        ("", "A0A2000001 00", "9400"),
        ("7F20 6F7E", "A0B000000C", "670B"),
        ("7F20 6F7E", "A0B0000000", "670B"),
        ("7F20 6F7E", "A0B0000A01", "FF 9000"),
        ("7F20 6F7E", "A0B0000A02", "6701"),
        ("7F20 6F7E", "A0B0000B01", "6B00"),
        ("7F20 6F7E", "A0B0800001", "6B00"),
        ("7F20 6F7E", "A0B08B0001", "6B00"),
        ("7F20 6F7E", "A0D6000A02 0000", "6700"),
        ("7F20 6F7E", "A0B2010401", "9408"),
        ("7F20 6F7E", "A0A2000001 00", "9408"),
        ("7F20 6FB7", "A0B2010405", "9408"),
        ("7F20 6FB7", "A0D6000001 00", "9804"),
        ("7F20 6FB7", "A0B0000006 ", "11F2FF19F1FF 9000"),
        ("7F20 6FB7", "A0B0000302", "19F1 9000"),
        ("7F20 6FB7", "A0B0000601", "6B00"),
        ("7F20 6F31", "A0B0000001", "9810"),
        ("7F20 6F31", "A0D6000001 00", "9810"),
        ("7F10 6F3A", "A0B0000001", "9408"),
        ("7F10 6F3A", "A0B2010405", "6704"),
        ("7F10 6F3A", "A0B2010400", "6704"),
        ("7F10 6F3A", "A0B2050404", "9402"),
        ("7F10 6F3A", "A0B2000404", "9402"),
        ("7F10 6F3A", "A0B2010104", "6B00"),
        ("7F10 6F3A", "A0B2010C04", "6B00"),
        ("7F10 6F3A", "A0DC010403 000000", "6700"),
        ("7F10 6F3A", "A0DC050404 00000000", "9402"),
        ("", "A020000308 31323334FFFFFFFF", "6B00"),
        ("", "A020010108 31323334FFFFFFFF", "6B00"),
        ("", "A0200001", "6708"),
        ("", "A020000104 31323334", "6708"),
        ("", "A026000208 31323334FFFFFFFF", "6B00"),
        ("", "A028000208 31323334FFFFFFFF", "6B00"),
        ("", "A02C000110 31323334353637383132333435363738", "6B00"),
        ("", "A024000108 31323334FFFFFFFF", "6710"),
        ("", "A02C000008 31323334FFFFFFFF", "6710"),
        ("", "A088000010 00112233445566778899AABBCCDDEEFF", "9804"),
        ("7F20", "A08800000F 00112233445566778899AABBCCDDEE", "6710"),
        ("7F20", "A088000110 00112233445566778899AABBCCDDEEFF", "6B00"),
        ("", "A0FA000001 00", "6700"),
        ("", "A0FA010000", "6B00"),
        ("", "A032000003 000001", "9400"),
        ("", "A004000000", "9400"),
        ("", "A044000000", "9400"),
        ("7F20 6F39", "A032010003 000001", "6B00"),
        ("7F20 6F39", "A032000002 0001", "6703"),
        ("7F20 6F39", "A032000003 FFFFFF", "9850"),
        ("7F20 6F39", "A0A2000001 00", "9408"),
        ("7F20 6F39", "A004010000", "6B00"),
        ("7F20 6F39", "A004000001 00", "6700"),
        ("7F20 6F39", "A044000000", "9810"),
        ("7F20 6F7E", "A032000003 000001", "9408"),
        ("7F20 6F7E", "A004000000", "9804"),
        ("7F20 6FB7", "A004000000", "9408"),
        ("7F10 6F3A", "A0A2000000", "6700"),
        ("7F10 6F3A", "A0A2010001 61", "6B00"),
        ("7F10 6F3A", "A0A2000401 61", "6B00"),
        ("7F10 6F3A", "A0A2002001 61", "6B00"),
        ("7F10 6F3A", "A0A2000005 61646E3161", "6700"),
        ("7F10 6F3A", "A0A2000001 62", "9404"),
        ("", "A012000005", "6F00"),
        ("", "A0C0000005", "6F00"),
        ("", "A070000001", "6D00"),
        ("", "A022000108 31323334FFFFFFFF", "6D00"),
        ("", "A0AA000005 A903830107", "6D00"),
        ("", "A0E2910003 BF2E00", "6D00"),
        ("", "A010000000", "6700"),
        ("", "A1A4000002 3F00", "6E00"),
    ] {
        let mut phone = Phone::new();
        phone.verify_chv1();
        for fid in way.split_whitespace() {
            phone.select(fid);
        }
        assert_eq!(phone.tpdu(tpdu), answer.replace(' ', ""), "{way} {tpdu}");
    }
}

#[test]
fn records_and_their_pointer() {
    let mut phone = Phone::new();
    phone.verify_chv1();
    phone.select("7F10");
    phone.select("6F3A");
    phone.script(&[
        ("A0B2000204", "61646E31 9000"),
        ("A0B2000204", "61646E32 9000"),
        // A wrong length moves nothing.
        ("A0B2000205", "6704"),
        ("A0B2000404", "61646E32 9000"),
        ("A0B2000204", "61646E33 9000"),
        ("A0B2000304", "61646E32 9000"),
        ("A0DC000204 78787878", "9000"),
        ("A0B2000404", "78787878 9000"),
        ("A0B2000204", "61646E32 9000"),
        ("A0B2000204", "9402"),
    ]);
    phone.select("7F20");
    // A cyclic EF is selected at its newest record.
    assert_eq!(phone.select("6F39"), "0000 0009 6F39 04 40 110F11 01 02 03 03".replace(' ', ""));
    phone.script(&[
        ("A0B2000403", "000003 9000"),
        ("A0DC000303 000004", "9000"),
        ("A0B2010403", "000004 9000"),
        ("A0B2030403", "000002 9000"),
        ("A0DC010403 000005", "6B00"),
    ]);
}

#[test]
fn seek_finds_records_and_says_which_in_type_2() {
    let mut phone = Phone::new();
    phone.verify_chv1();
    phone.select("7F10");
    phone.select("6F3A");
    phone.script(&[
        // From the beginning.
        ("A0A2000004 61646E32", "9000"),
        ("A0B2000404", "61646E32 9000"),
        ("A0A2001004 61646E32", "9F01"),
        ("A0C0000001", "02 9000"),
        // From the next one, and there is none after that.
        ("A0A2001204 61646E32", "9F01"),
        ("A0C0000001", "04 9000"),
        ("A0A2001204 61646E32", "9404"),
        ("A0A2000204 61646E32", "9404"),
        // From the one before.
        ("A0A2001304 61646E32", "9F01"),
        ("A0C0000001", "02 9000"),
        ("A0A2001303 61646E", "9F01"),
        ("A0C0000001", "01 9000"),
        ("A0A2000303 61646E", "9404"),
        // From the end, and from either end without a pointer.
        ("A0A2001104 61646E32", "9F01"),
        ("A0C0000001", "04 9000"),
        ("A0A4000002 6F3A", "9F0F"),
        ("A0A2001303 61646E", "9F01"),
        ("A0C0000001", "04 9000"),
        ("A0A4000002 6F3A", "9F0F"),
        ("A0A2001203 61646E", "9F01"),
        ("A0C0000001", "01 9000"),
    ]);
}

#[test]
fn increase_invalidate_and_rehabilitate() {
    let mut phone = Phone::new();
    phone.go_to_gsm();
    phone.select("6F39");
    assert_eq!(phone.tpdu("A004000000"), "9804");
    phone.verify_chv1();
    phone.script(&[
        ("A032000003 000005", "9F06"),
        ("A0C0000006", "000008 000005 9000"),
        ("A0B2010403", "000008 9000"),
        ("A0B2020403", "000003 9000"),
        ("A004000000", "9000"),
        ("A0B2010403", "9810"),
        ("A032000003 000005", "9810"),
        ("A004000000", "9810"),
        ("A0A4000002 6F39", "9F0F"),
        ("A0C000000F", "0000 0009 6F39 04 40 110F11 00 02 03 03 9000"),
        ("A044000000", "9000"),
        ("A0B2010403", "000008 9000"),
        ("A044000000", "9810"),
    ]);
}

#[test]
fn chv1_is_pin1_and_chv2_is_pin2_of_the_usim() {
    let mut phone = Phone::new();
    // From the MF, where PIN2 is not in reach of a command of class 00.
    phone.script(&[
        ("A020000208 00000000FFFFFFFF", "9804"),
        ("A020000208 35363738FFFFFFFF", "9000"),
        ("A024000210 35363738FFFFFFFF 39393939FFFFFFFF", "9000"),
        ("A020000208 35363738FFFFFFFF", "9804"),
        ("A020000208 35363738FFFFFFFF", "9804"),
        ("A020000208 35363738FFFFFFFF", "9840"),
        ("A020000208 39393939FFFFFFFF", "9840"),
        ("A02C000210 3131313131313131 35363738FFFFFFFF", "9804"),
    ]);
    assert!(phone.select("3F00").ends_with("838A8089"));
    phone.script(&[
        ("A02C000210 3837363534333231 35363738FFFFFFFF", "9000"),
        ("A0A4000002 7F20", "9F16"),
        ("A0A4000002 6F47", "9F0F"),
        ("A0C000000F", "0000 0003 6F47 04 00 12FFFF 01 02 00 00 9000"),
        ("A0D6000003 787878", "9000"),
        ("A0B0000003", "9804"),
    ]);
    phone.script(&[
        ("A028000108 31323334FFFFFFFF", "9808"),
        ("A020000108 00000000FFFFFFFF", "9804"),
        ("A026000108 31323334FFFFFFFF", "9000"),
        ("A020000108 31323334FFFFFFFF", "9808"),
        ("A024000110 31323334FFFFFFFF 30303030FFFFFFFF", "9808"),
        ("A026000108 31323334FFFFFFFF", "9808"),
        ("A0B0000003", "787878 9000"),
    ]);
    assert_eq!(&phone.select("7F20")[26..28], "B1", "CHV1 disabled");
    phone.script(&[
        ("A028000108 31323334FFFFFFFF", "9000"),
        ("A024000110 31323334FFFFFFFF 30303030FFFFFFFF", "9000"),
        ("A020000108 31323334FFFFFFFF", "9804"),
        ("A020000108 31323334FFFFFFFF", "9804"),
        ("A020000108 31323334FFFFFFFF", "9840"),
        ("A020000108 30303030FFFFFFFF", "9840"),
        ("A02C000010 3132333435363738 31323334FFFFFFFF", "9000"),
    ]);
    assert!(phone.select("3F00").ends_with("838A838A"));
    // The same PIN, with the class that a USIM has.
    phone.bench.reboot();
    phone.bench.verify_pin1();
}

#[test]
fn run_gsm_algorithm_is_the_gsm_context() {
    let rand = [0x23; 16];
    let run = format!("A088000010{}", string(&rand));
    let mut phone = Phone::new();
    phone.go_to_gsm();
    assert_eq!(phone.tpdu(&run), "9804");
    phone.verify_chv1();
    assert_eq!(phone.tpdu(&run), "9F0C");
    let (res, ck, ik) = aka::keys(&rand);
    let sres: Vec<u8> = (0..4).map(|i| res[i] ^ res[i + 4]).collect();
    let kc: Vec<u8> = (0..8).map(|i| ck[i] ^ ck[i + 8] ^ ik[i] ^ ik[i + 8]).collect();
    assert_eq!(phone.tpdu("A0C000000C"), format!("{}{}9000", string(&sres), string(&kc)));
    // In a DF of DF.GSM too, but nowhere else.
    phone.select("5F3B");
    assert_eq!(phone.tpdu(&run), "9F0C");
    phone.select("3F00");
    assert_eq!(phone.tpdu(&run), "9804");
    phone.select("7F10");
    assert_eq!(phone.tpdu(&run), "9804");
    // Without the GSM security context in the service table there is none.
    let mut profile = sim();
    profile.files.iter_mut().filter(|file| file.fid == 0x6F38).for_each(|file| file.content[4] = 0);
    let mut phone = Phone::with(Bench::with(profile));
    phone.verify_chv1();
    phone.go_to_gsm();
    assert_eq!(phone.tpdu(&run), "6F00");
}

#[test]
fn a_gsm_and_a_usim_session_exclude_each_other_until_the_next_reset() {
    let mut phone = Phone::new();
    // Beneath the MF both are understood.
    phone.select("3F00");
    assert_eq!(phone.tpdu("00A4000C023F00"), "9000");
    phone.select("7F10");
    assert_eq!(phone.tpdu("00A4000C023F00"), "9000");
    phone.select("7F20");
    for tpdu in ["00A4000C023F00", "80F2000C", "0070000001", "01A4000C023F00"] {
        assert_eq!(phone.tpdu(tpdu), "6E00", "{tpdu}");
    }
    phone.select("3F00");
    assert_eq!(phone.tpdu("00A4040C07A0000000871002"), "6E00");
    phone.bench.card.power_up(Interface::Modem).unwrap();
    // On any channel.
    assert_eq!(phone.tpdu("0070000001"), "019000");
    assert_eq!(phone.tpdu("01A4040C07A0000000871002"), "9000");
    assert_eq!(phone.tpdu("A0A40000023F00"), "6E00");
    assert_eq!(phone.tpdu("0170800100"), "9000");
    assert_eq!(phone.tpdu("A0A40000023F00"), "6E00", "once begun");
    // It is the matter of one interface.
    assert_eq!(phone.bench.on(Interface::Lpa, "A0A40000027F20").1, 0x9000);
    phone.bench.card.power_up(Interface::Modem).unwrap();
    phone.go_to_gsm();
}

#[test]
fn the_toolkit_in_class_a0() {
    let mut phone = Phone::new();
    phone.script(&[
        ("A010000003 0000A0", "910F"),
        ("A0A4000002 3F00", "9F16"),
        ("A0C0000001", "00 910F"),
        ("A012000010", "670F"),
        ("A01200000F", "D00D8103010300820281828402011E 9000"),
        ("A012000010", "670F"),
        ("A01200000F", "D00D8103010300820281828402011E 9000"),
        ("A0C2000004 D6028200", "9300"),
        ("A01400000C 810302030082028281830100", "6F00"),
        ("A01400000C 810301030082028281830100", "9000"),
        ("A01400000C 810301030082028281830100", "6F00"),
        ("A0C2000004 D6028200", "9000"),
        ("A0F2000001", "00 9000"),
    ]);
}

#[test]
fn an_empty_card_has_an_mf() {
    let mut phone = Phone::with(Bench::empty());
    assert_eq!(phone.select("3F00"), "00000000 3F00 01 0000000000 09 B1 00 00 00 00 00 00 00 00".replace(' ', ""));
    phone.script(&[
        ("A0F2000016", "00000000 3F00 01 0000000000 09 B1 00 00 00 00 00 00 00 00 9000"),
        ("A0A4000002 7F20", "9404"),
        ("A0A4000002 2FE2", "9404"),
        ("A020000108 31323334FFFFFFFF", "9802"),
        ("A0B0000001", "9400"),
        ("A088000010 00112233445566778899AABBCCDDEEFF", "9804"),
    ]);
}

#[test]
fn a_store_that_does_not_write_is_a_memory_problem() {
    use teuicc_card::testing::PowerCut;
    let mut phone = Phone::new();
    phone.verify_chv1();
    phone.select("7F10");
    phone.select("6F3A");
    phone.bench.store.arm(PowerCut { at_write: 0, written: false });
    assert_eq!(phone.tpdu("A0DC010404 78787878"), "9240");
    assert_eq!(phone.tpdu("A020000108 31323334FFFFFFFF"), "9240");
    phone.bench.store.power_on();
    assert_eq!(phone.tpdu("A0B2010404"), "61646E319000");
}
