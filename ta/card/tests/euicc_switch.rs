//! A profile switch as a modem sees it, from behind the T=0 layer: 91xx, FETCH, TERMINAL RESPONSE, reset, another SIM.

mod common;

use common::*;
use teuicc_apdu::t0::{Step, T0};
use teuicc_rsp::crypto::Curve;
use teuicc_wire::Interface;

const A: &str = ICCID;
const B: &str = "89000123456789012358";

/// The modem's end of a device.
struct Modem {
    device: Device,
    t0: T0,
    /// The class of its commands: A0, or 00 and 80.
    gsm: bool,
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Digits of an EF: swapped, filled up with F.
fn swapped(digits: &str) -> String {
    let digits: Vec<char> = digits.chars().chain("F".chars()).collect();
    digits.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect()
}

impl Modem {
    fn new(gsm: bool) -> Self {
        let pki = Pki::new(Curve::P256);
        let mut device = Device::new(&[&pki]);
        [A, B].into_iter().for_each(|iccid| device.install(&pki, &TestProfile::new(iccid)));
        assert_eq!(device.enable(A, false), 0);
        Modem { device, t0: T0::new(), gsm }
    }

    /// Resets the card, as for a cold or a warm reset.
    fn reset(&mut self) {
        self.t0.reset();
        self.device.card.power_up(Interface::Modem).unwrap();
    }

    /// The answer to one TPDU, in hex.
    fn tpdu(&mut self, tpdu: &str) -> String {
        let mut tpdu = hex(tpdu);
        if self.gsm {
            tpdu[0] = 0xA0;
        }
        text(&match self.t0.tpdu(&tpdu) {
            Step::Answer(answer) => answer,
            Step::Execute(apdu) => {
                let response = self.device.card.transmit(Interface::Modem, &apdu).unwrap();
                self.t0.response(response)
            }
        })
    }

    /// Selects by file identifiers and reads the beginning of the last file; the data and the status word.
    fn read(&mut self, way: &[&str], length: usize) -> String {
        for fid in way {
            let command = match (self.gsm, *fid) {
                (true, fid) => format!("A0A4000002{}", if fid == "7FFF" { "7F20" } else { fid }),
                (false, "7FFF") => "00A4040C07A0000000871002".into(),
                (false, fid) => format!("00A4000C02{fid}"),
            };
            let answer = self.tpdu(&command);
            assert!(["9F", "90", "91"].contains(&&answer[..2]), "{fid} {answer}");
        }
        self.tpdu(&format!("00B00000{length:02X}"))
    }

    /// Reads what tells one SIM from another, as a modem does after a reset, and answers what the card asks meanwhile.
    fn boot(&mut self) -> (String, String) {
        self.reset();
        let profile = self.tpdu("801000000F FFFFFFFF7F1F00DFFF00001FE20807");
        assert_eq!(profile, "910F");
        assert_eq!(self.tpdu("801200000F"), "D00D8103010300820281828402011E9000");
        assert_eq!(self.tpdu("8014000010 8103010300 82028281 830100 8402011E"), "9000");
        let iccid = self.read(&["3F00", "2FE2"], 10);
        let imsi = self.read(&["3F00", "7FFF", "6F07"], 9);
        (iccid, imsi)
    }
}

fn sim(iccid: &str) -> (String, String) {
    let imsi = format!("00101{}", &iccid[iccid.len() - 11..iccid.len() - 1]);
    // Length, odd number of digits, digits.
    let (first, rest) = imsi.split_at(1);
    let mut swapped_iccid = swapped(iccid);
    swapped_iccid.truncate(20);
    (format!("{swapped_iccid}9000"), format!("08{first}9{}9000", swapped(rest)))
}

#[test]
fn the_modem_fetches_a_refresh_resets_and_sees_the_other_sim() {
    for gsm in [false, true] {
        let mut modem = Modem::new(gsm);
        assert_eq!(modem.boot(), sim(A), "class A0: {gsm}");
        let status = if gsm { "A0F2000001" } else { "80F2000C" };
        assert!(modem.tpdu(status).ends_with("9000"));

        assert_eq!(modem.device.enable(B, true), 0);
        // The LPA is told nothing, and whoever runs the slot has only to wait.
        assert!(modem.device.card.proactive_pending());
        assert!(!modem.device.card.take_card_changed());
        modem.device.connect();
        // Whatever comes next says so, but an error.
        assert_eq!(modem.tpdu("00A40000026FFF"), if gsm { "9404" } else { "6A82" });
        assert!(modem.tpdu(status).ends_with("910B"));
        assert_eq!(modem.device.enable(A, true), 0, "not fetched: not busy");
        modem.device.connect();
        assert_eq!(modem.device.enable(B, true), 0);
        modem.device.connect();

        assert_eq!(modem.tpdu("801200000B"), "D0098103020104820281829000");
        assert_eq!(modem.device.enable(A, true), 5, "catBusy");
        assert!(!modem.device.card.proactive_pending());
        assert_eq!(modem.tpdu("801400000C 8103020104 82028281 830100"), "9000");
        assert!(!modem.device.card.take_card_changed());
        assert!(modem.tpdu(status).ends_with("9000"), "said once");

        assert_eq!(modem.boot(), sim(B), "class A0: {gsm}");
        assert!(modem.tpdu(status).ends_with("9000"));
        assert!(!modem.device.card.proactive_pending() && !modem.device.card.take_card_changed());
    }
}

/// Many modems reset at once and answer nothing.
#[test]
fn a_reset_instead_of_an_answer_is_as_good() {
    for fetched in [false, true] {
        let mut modem = Modem::new(false);
        modem.boot();
        assert_eq!(modem.device.enable(B, true), 0);
        if fetched {
            assert_eq!(modem.tpdu("801200000B"), "D0098103020104820281829000");
        }
        assert_eq!(modem.boot(), sim(B));
        assert!(!modem.device.card.proactive_pending() && !modem.device.card.take_card_changed());
        // Nothing of the old session stands in the way.
        modem.device.connect();
        assert_eq!(modem.device.enable(A, true), 0);
        assert_eq!(modem.boot(), sim(A));
    }
}

/// What the modem wrote into the old profile is there when that is enabled again.
#[test]
fn what_the_modem_keeps_in_a_profile_is_there_after_two_switches() {
    let mut modem = Modem::new(false);
    modem.boot();
    modem.read(&["6F7E"], 11);
    let loci = "0102030405060700F11000";
    assert_eq!(modem.tpdu(&format!("00D600000B {loci}")), "9000");
    modem.device.store.take_replaces();
    assert_eq!(modem.device.enable(B, false), 0);
    assert_eq!(modem.device.store.take_replaces(), 2, "the switch, and what was in memory");
    modem.boot();
    assert_ne!(modem.read(&["6F7E"], 11), format!("{loci}9000"));
    modem.device.connect();
    assert_eq!(modem.device.enable(A, false), 0);
    modem.boot();
    assert_eq!(modem.read(&["6F7E"], 11), format!("{loci}9000"));
}
