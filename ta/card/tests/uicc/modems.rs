//! What real modems refused in other software cards, over T=0 as they speak it. Each test names where it was reported.

use crate::{Bench, hex, string};
use teuicc_apdu::Response;
use teuicc_apdu::t0::{Step, T0};
use teuicc_tlv::{Reader, Tag, Tlv};
use teuicc_wire::Interface;

/// A card behind T=0.
struct Slot {
    bench: Bench,
    t0: T0,
}

impl Slot {
    fn new(bench: Bench) -> Self {
        Slot { bench, t0: T0::new() }
    }

    /// What a modem gets for a TPDU.
    fn tpdu(&mut self, tpdu: &str) -> String {
        match self.t0.tpdu(&hex(tpdu)) {
            Step::Answer(answer) => string(&answer),
            Step::Execute(apdu) => {
                let Response { data, sw } = self.bench.card.transmit(Interface::Modem, &apdu).unwrap();
                string(&self.t0.response(Response { data, sw }))
            }
        }
    }

    /// The answer to a command, fetched with GET RESPONSE.
    fn fetched(&mut self, tpdu: &str) -> Vec<u8> {
        let length = self.tpdu(tpdu);
        let length = length.strip_prefix("61").unwrap_or_else(|| panic!("{tpdu} answers {length}"));
        let answer = self.tpdu(&format!("{}C00000{length}", &tpdu[..2]));
        hex(answer.strip_suffix("9000").unwrap())
    }
}

/// The members of an FCP.
fn members(fcp: &[u8]) -> Vec<Tlv<'_>> {
    let fcp = Tlv::parse(fcp, Tag(0x62)).unwrap();
    fcp.members().collect::<Result<_, _>>().unwrap()
}

fn member(fcp: &[u8], tag: u32) -> &[u8] {
    members(fcp).iter().find(|member| member.tag == Tag(tag)).unwrap_or_else(|| panic!("no {tag:X}")).value
}

/// onomondo-uicc issue 21: a Quectel RM500 reads by the SFIs of TS 31.102, and got other files.
#[test]
fn short_file_identifiers_are_those_of_the_specification() {
    let mut bench = Bench::built(false);
    bench.select_usim();
    for (sfi, fid) in [
        (0x01, "6FB7"), // EF.ECC
        (0x02, "6F05"), // EF.LI
        (0x03, "6FAD"), // EF.AD
        (0x04, "6F38"), // EF.UST
        (0x05, "6F56"), // EF.EST
        (0x06, "6F78"), // EF.ACC
        (0x07, "6F07"), // EF.IMSI
        (0x08, "6F08"), // EF.Keys
        (0x09, "6F09"), // EF.KeysPS
        (0x0B, "6F7E"), // EF.LOCI
        (0x0C, "6F73"), // EF.PSLOCI
        (0x0D, "6F7B"), // EF.FPLMN
        (0x12, "6F31"), // EF.HPPLMN
        (0x18, "6FE4"), // EF.EPSNSC
        (0x1E, "6FE3"), // EF.EPSLOCI
    ] {
        let (fcp, sw) = bench.apdu(&format!("00A4000402{fid}"));
        assert!(matches!(sw, 0x9000 | 0x6A82), "{fid}");
        if sw == 0x6A82 {
            continue;
        }
        let fcp = hex(&fcp);
        assert_eq!(member(&fcp, 0x88), [sfi << 3], "{fid}");
        let has_records = member(&fcp, 0x82)[0] & 0x07 != 0x01;
        let (by_fid, by_sfi) = if has_records {
            ("00B20104".to_owned(), format!("00B201{:02X}", sfi << 3 | 4))
        } else {
            ("00B0000000".to_owned(), format!("00B0{:02X}0000", 0x80 | sfi))
        };
        let expected = bench.apdu(&by_fid);
        bench.ok("00A4000C027FFF");
        assert_eq!(bench.apdu(&by_sfi), expected, "{fid}");
    }
}

/// A file whose SFI is present and empty has none; its file identifier does not stand in for it.
#[test]
fn a_file_without_an_sfi_is_not_found_by_one() {
    let mut bench = Bench::new();
    let fcp = hex(&bench.ok("00A40004022F30"));
    assert_eq!(member(&fcp, 0x88), []);
    assert_eq!(bench.sw("00B0900000"), 0x6A82);
}

/// onomondo-uicc issues 167 and 36, pull request 59: STATUS with Le = 00, with a wrong Le, or as a bare header. A real
/// card says 6Cxx to each; an answer without the FCP, or 6700, makes the modem give up.
#[test]
fn status_gives_the_fcp_for_every_le() {
    let mut slot = Slot::new(Bench::new());
    let fcp = slot.bench.ok("80F20000");
    let length = format!("{:02X}", fcp.len() / 2);
    for le in ["00", "01", "", "68"] {
        assert_eq!(slot.tpdu(&format!("80F20000{le}")), format!("6C{length}"), "Le {le}");
        assert_eq!(slot.tpdu(&format!("80F20000{length}")), format!("{fcp}9000"));
    }
    assert_eq!(slot.tpdu("80F2000C00"), "9000");
    assert_eq!(slot.tpdu("80F2000C"), "9000");
    // Without T=0 beneath, a whole APDU is answered whole.
    for le in ["", "00", "01"] {
        assert_eq!(slot.bench.ok(&format!("80F20000{le}")), fcp);
    }
}

/// softsim-quecopen pull request 10: the PIN status template must be in an FCP, for one modem even in that of an EF.
#[test]
fn every_fcp_has_a_pin_status_template() {
    for mut bench in [Bench::new(), Bench::built(false)] {
        for select in
            ["00A40004023F00", "00A40004022FE2", "00A40004022F00", "00A4040407A0000000871002", "00A40004026F07"]
        {
            let fcp = hex(&bench.ok(select));
            let template = member(&fcp, 0xC6);
            let members: Vec<_> = Reader::new(template).collect::<Result<_, _>>().unwrap();
            assert_eq!((members[0].tag, members[0].value.len()), (Tag(0x90), 1), "{select}");
            assert!(members.iter().any(|member| member.tag == Tag(0x83) && member.value == [0x01]), "{select}");
        }
    }
    let fcp = hex(&Bench::empty().ok("00A40004023F00"));
    assert_eq!(member(&fcp, 0xC6)[..2], [0x90, 0x01]);
}

/// swsim issue 6: a card that says 5 V only is switched off. Classes A, B and C (TS 102 221 table 11.8 and section
/// 6.3).
#[test]
fn every_supply_voltage_will_do() {
    for mut bench in [Bench::new(), Bench::empty()] {
        let fcp = hex(&bench.ok("00A40004023F00"));
        let proprietary: Vec<_> = Reader::new(member(&fcp, 0xA5)).collect::<Result<_, _>>().unwrap();
        let characteristics = proprietary.iter().find(|member| member.tag == Tag(0x80)).unwrap().value;
        assert_eq!(characteristics[0] & 0x70, 0x70);
        let atr = bench.card.power_up(Interface::Modem).unwrap();
        assert_eq!(atr[5] & 0x07, 0x07, "TA3 after T=15");
    }
}

/// swsim issue 13: an ATR that a modem does not accept. Read by ISO/IEC 7816-3 section 8.2, byte by byte.
#[test]
fn the_atr_is_one_that_modems_accept() {
    let mut bench = Bench::empty();
    let atr = bench.card.power_up(Interface::Modem).unwrap();
    assert!(atr.len() <= 33);
    assert_eq!(atr[0], 0x3B, "direct convention");
    let (mut at, mut indicator, mut protocols, mut first_tb) = (2, atr[1] >> 4, Vec::new(), None);
    loop {
        let mut next = None;
        for interface_byte in 0..4 {
            if indicator & (1 << interface_byte) == 0 {
                continue;
            }
            match interface_byte {
                0 if protocols.is_empty() => assert_eq!(atr[at], 0x96, "F = 512, D = 32, as a UICC offers it"),
                1 if protocols.last() == Some(&15) && first_tb.is_none() => first_tb = Some(atr[at]),
                3 => next = Some(atr[at]),
                _ => {}
            }
            at += 1;
        }
        let Some(byte) = next else { break };
        protocols.push(byte & 0x0F);
        indicator = byte >> 4;
    }
    assert_eq!(protocols, [0, 15], "T=0, and the global interface bytes");
    assert_eq!(first_tb, Some(0x82), "an eUICC, as Android looks for it");
    let historical = &atr[at..at + usize::from(atr[1] & 0x0F)];
    assert_eq!((historical[0], historical[1], historical[3]), (0x80, 0x31, 0x73));
    assert_eq!(at + historical.len() + 1, atr.len(), "TCK");
    assert_eq!(atr[1..].iter().fold(0, |sum, byte| sum ^ byte), 0);
}

/// TS 102 221 section 11.1.1.4.6.8: a terminal sends TERMINAL CAPABILITY, in which it says that it has an LPA, only to
/// a card that announces the command.
#[test]
fn terminal_capability_is_announced_and_accepted() {
    for mut bench in [Bench::new(), Bench::built(false), Bench::empty()] {
        let fcp = hex(&bench.ok("00A40004023F00"));
        let proprietary: Vec<_> = Reader::new(member(&fcp, 0xA5)).collect::<Result<_, _>>().unwrap();
        let commands = proprietary.iter().find(|member| member.tag == Tag(0x87)).unwrap().value;
        assert_eq!(commands, [0x01]);
        bench.ok("80AA000005 A903830107");
    }
}

/// onomondo-uicc pull request 163: with a directory selected there is no EF whose structure could be wrong.
#[test]
fn no_ef_selected_and_a_wrong_structure_are_told_apart() {
    let mut bench = Bench::new();
    for select in ["00A4000C023F00", "00A4000C027F10", "00A4040C07A0000000871002"] {
        bench.ok(select);
        for command in
            ["00B0000001", "00B2010400", "00D6000001AA", "00DC010404AABBCCDD", "00A2010401AA", "803200000101"]
        {
            assert_eq!(bench.sw(command), 0x6986, "{select} {command}");
        }
    }
    bench.ok("00A4000C023F00");
    bench.ok("00A4000C022F00");
    assert_eq!(bench.sw("00B0000001"), 0x6981);
}

/// onomondo-uicc issue 168: without an application 7FFF is no file, in either form.
#[test]
fn there_is_no_current_application_after_a_reset() {
    let mut bench = Bench::new();
    bench.select_usim();
    bench.ok("00A4000C027FFF");
    bench.card.power_up(Interface::Modem).unwrap();
    assert_eq!(bench.sw("00A4000C027FFF"), 0x6A82);
    assert_eq!(bench.sw("00A4080C047FFF6F07"), 0x6A82);
}

/// ISO/IEC 7816-4: what GET RESPONSE gives belongs to the channel of its class, whatever came in between on another
/// one.
#[test]
fn data_to_be_fetched_is_kept_for_each_channel() {
    let mut slot = Slot::new(Bench::new());
    assert_eq!(slot.tpdu("0070000001"), "019000");
    let mf = slot.tpdu("00A40004023F00");
    let usim = slot.tpdu("01A4040407A0000000871002");
    assert!(mf.starts_with("61") && usim.starts_with("61") && mf != usim);
    let in_channel_1 = slot.tpdu(&format!("01C00000{}", &usim[2..]));
    assert!(in_channel_1.contains("A0000000871002"));
    let in_channel_0 = slot.tpdu(&format!("80C00000{}", &mf[2..]));
    assert!(in_channel_0.contains("83023F00"));
    assert_eq!(slot.tpdu("00C0000010"), "6985", "fetched already");
    // Another command on the same channel discards it.
    slot.tpdu("00A40004023F00");
    slot.tpdu("80F2000C00");
    assert_eq!(slot.tpdu("00C0000010"), "6985");
}

/// A BER-TLV object and a search over T=0: the status word of the command comes with the last byte.
#[test]
fn long_answers_over_t0() {
    let mut slot = Slot::new(Bench::with(crate::rules::administered()));
    slot.tpdu("00A4000C022F40");
    let object = format!("81820140{}", "5A".repeat(0x140));
    assert_eq!(slot.tpdu(&format!("80DB0080F0{}", &object[..480])), "63F1");
    assert_eq!(slot.tpdu(&format!("80DB0000{:02X}{}", object.len() / 2 - 240, &object[480..])), "9000");
    assert_eq!(slot.tpdu("80CB00800181"), "6100");
    let first = slot.tpdu("80C0000000");
    assert!(first.ends_with("62F1"));
    assert_eq!(slot.tpdu("80CB000000"), "6C44");
    let last = slot.tpdu("80CB000044");
    assert_eq!(format!("{}{}", first.strip_suffix("62F1").unwrap(), last), format!("{object}9000"));
    assert_eq!(slot.fetched("00A201F40161"), [1, 2]);
}

/// The card as every new device boots it, over T=0 (facts of SGP.22: without an enabled profile the eUICC is there).
#[test]
fn a_card_without_a_profile_over_t0() {
    let mut slot = Slot::new(Bench::empty());
    let fcp = slot.fetched("00A40004023F00");
    assert_eq!(member(&fcp, 0x83), [0x3F, 0x00]);
    assert_eq!(slot.tpdu("80F2000000"), format!("6C{:02X}", fcp.len()));
    assert_eq!(slot.tpdu(&format!("80F20000{:02X}", fcp.len())), format!("{}9000", string(&fcp)));
    for (tpdu, answer) in [
        ("80AA000005A903830107", "9000"),
        ("801000000F FFFFFFFF7F1F00DFFF00001FE20807", "910F"),
        ("801200000F", "D00D8103010300820281828402011E9000"),
        ("8014000010 8103010300 82028281 830100 8402011E", "9000"),
        ("00A40004022FE2", "6A82"),
        ("00A40004022F05", "6A82"),
        ("00A40804022F00", "6A82"),
        ("00A4040407A0000000871002", "6A82"),
        ("00200001", "6A88"),
        ("00B0820000", "6A82"),
        ("80CB00800181", "6986"),
        ("00A20104 01FF", "6986"),
        ("8032000001 01", "6986"),
        ("00040000", "6986"),
        ("00E40000022FE2", "6A82"),
        ("0070000001", "019000"),
        ("01A4040C10A0000005591010FFFFFFFF8900000100", "9000"),
        ("01708001", "9000"),
    ] {
        assert_eq!(slot.tpdu(tpdu), answer, "{tpdu}");
    }
}
