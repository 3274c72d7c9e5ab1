//! TERMINAL CAPABILITY, TERMINAL PROFILE and the toolkit session.

use crate::{Bench, hex, string};
use teuicc_apdu::t0::{Step, T0};
use teuicc_wire::Interface;

#[test]
fn forms_and_errors() {
    for (apdu, sw) in [
        ("80AA000009 A907 800100 830107 00", 0x6A80),
        ("80AA000008 A906 800100 830107", 0x9000),
        ("80AA000005 A903 830107", 0x9000),
        ("80AA000005 A902 830107", 0x6A80),
        ("80AA000003 830107", 0x6A80),
        ("80AA0000", 0x6700),
        ("80AA010005 A903830107", 0x6A86),
        ("00AA000005 A903830107", 0x6E00),
        ("8010000014 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", 0x910F),
        ("8010000001 00", 0x9000),
        ("80100000", 0x6700),
        ("80C2000005 D103820181", 0x9000),
        ("80C2000005 D104820181", 0x6A80),
        ("80C20000", 0x6A80),
        ("8012000000", 0x6985),
        ("801200000100", 0x6700),
        ("801400000C 810301010402028281030100", 0x6985),
        ("8014000003 810301", 0x6A80),
        ("0084000008", 0x9000),
        ("0084010008", 0x6A86),
    ] {
        assert_eq!(Bench::new().sw(apdu), sw, "{apdu}");
    }
}

#[test]
fn challenges_are_as_long_as_asked_for_and_differ() {
    let mut bench = Bench::new();
    let (one, two) = (bench.ok("0084000008"), bench.ok("0084000008"));
    assert_eq!(one.len(), 16);
    assert_ne!(one, two);
    assert_eq!(bench.ok("0084000000").len(), 512);
}

#[test]
fn poll_interval_is_asked_for_once_and_only_of_a_terminal_that_knows_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.sw("8010000003 FFFFDF"), 0x9000);
    assert_eq!(bench.sw("8012000000"), 0x6985);
    let mut bench = Bench::new();
    assert_eq!(bench.sw("8010000003 000020"), 0x910F);
    assert_eq!(bench.sw("80F2000C"), 0x910F);
    assert_eq!(bench.sw("00A4000C02 2FFF"), 0x6A82, "an error is not replaced");
    // 30 seconds (TS 102 223 sections 6.6.5 and 8.8).
    assert_eq!(bench.ok("8012000000"), "D00D8103010300820281828402011E");
    assert_eq!(bench.ok("8012000000"), "D00D8103010300820281828402011E", "once more, until it is answered");
    // What would begin a session waits; a short message and the control of a call do not.
    for (envelope, sw) in [("D3", 0x9300), ("D6", 0x9300), ("D7", 0x9300), ("D1", 0x9000), ("D4", 0x9000)] {
        assert_eq!(bench.sw(&format!("80C2000004 {envelope}028200")), sw, "{envelope}");
    }
    assert_eq!(bench.sw("8014000010 8103010300 82028281 830100 8402011E"), 0x9000);
    assert_eq!(bench.sw("80C2000004 D6028200"), 0x9000);
    assert_eq!(bench.sw("80F2000C"), 0x9000);
}

/// The answer to a FETCH with another length was announced and not taken: the session does not stay busy for it.
#[test]
fn a_proactive_command_that_was_lost_is_fetched_again() {
    let mut bench = Bench::new();
    let mut t0 = T0::new();
    for (tpdu, answer) in [
        ("8010000003000020", "910F"),
        ("8012000000", "6C0F"),
        ("80F2000C00", "9000"),
        ("801200000F", "D00D8103010300820281828402011E9000"),
        ("80F2000C00", "9000"),
        ("801200000F", "D00D8103010300820281828402011E9000"),
        ("801400000C810301030002028281030100", "9000"),
        ("801200000F", "6985"),
    ] {
        let said = match t0.tpdu(&hex(tpdu)) {
            Step::Answer(answer) => answer,
            Step::Execute(apdu) => t0.response(bench.card.transmit(Interface::Modem, &apdu).unwrap()),
        };
        assert_eq!(string(&said), answer, "{tpdu}");
    }
}
