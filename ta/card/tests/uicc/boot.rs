//! What a modem does first, on the profile made by hand and on a built one.

use crate::{BUILT_ICCID, Bench, aka};

#[test]
fn the_boot_sequence_of_a_modem() {
    let mut bench = Bench::new();
    for (apdu, data, sw) in [
        ("00A40004022FE2", None, 0x9000),
        ("00B000000A", Some("981032547698103254F6"), 0x9000),
        ("00A40004022F05", None, 0x9000),
        ("00B0000004", None, 0x9000),
        ("80AA000005A903830107", Some(""), 0x9000),
        ("801000000F FFFFFFFF7F1F00DFFF00001FE20807", Some(""), 0x910F),
        ("801200000F", Some("D00D8103010300820281828402011E"), 0x9000),
        ("8014000010 8103010300 82028281 830100 8402011E", Some(""), 0x9000),
        ("00A40004022F00", None, 0x9000),
        ("00B2010418", None, 0x9000),
        ("0070000001", Some("01"), 0x9000),
        ("01A4040407A0000000871002", None, 0x9000),
        ("81F2010C", Some(""), 0x9000),
        ("01A4080404 7FFF6FB7", None, 0x6A82),
        ("01200001", Some(""), 0x63C3),
        ("01A4080404 7FFF6F07", None, 0x9000),
        ("01B0000009", Some(""), 0x6982),
        ("012000010831323334FFFFFFFF", Some(""), 0x9000),
        ("01B0000009", Some("080910101032547698"), 0x9000),
        ("01A4080404 7FFF6F38", None, 0x9000),
        ("01B0000005", Some("0000000420"), 0x9000),
        ("01A4080404 7FFF6F7E", None, 0x9000),
        ("01D600000B 0102030405060708090A0B", Some(""), 0x9000),
        ("00A4040407A0000000871004", None, 0x9000),
        ("00B0820000", None, 0x9000),
    ] {
        let (got, got_sw) = bench.apdu(apdu);
        assert_eq!(got_sw, sw, "{apdu}");
        if let Some(data) = data {
            assert_eq!(got, data, "{apdu}");
        }
    }
}

#[test]
fn a_built_profile_boots() {
    let mut bench = Bench::built(true);
    bench.ok("00A4000402 2FE2");
    assert_eq!(bench.ok("00B000000A"), BUILT_ICCID);
    bench.select_usim();
    bench.ok("00A4000402 6F07");
    assert_eq!(bench.sw("00B0000009"), 0x6982);
    let rand = [0x33; 16];
    let challenge = aka::challenge(&rand, aka::sqn(32, 1));
    assert_eq!(bench.sw(&challenge), 0x6982);
    bench.verify_pin1();
    assert_eq!(bench.ok("00B0000009"), "080910101032540636");
    assert!(bench.ok(&challenge).starts_with(&aka::accepted(&rand)[..88]));
    let answer = bench.ok(&challenge);
    assert_eq!(aka::resynchronised(&rand, &answer), aka::sqn(32, 1));
    // A modem may write its place; only an administrator the service table.
    bench.ok("00A4000C02 6F7E");
    bench.ok("00D600000B 0102030405060700F11000");
    bench.ok("00A4000C02 6F38");
    assert_eq!(bench.sw("00D6000001 FF"), 0x6982);
    bench.ok("00A4040C07 A0000000871004");
    bench.ok("00A4000C02 6F02");
    assert_eq!(bench.sw("00B0000000"), 0x9000);
}
