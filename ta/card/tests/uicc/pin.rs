//! PIN commands, and what a power cut leaves of them.

use crate::{Bench, string};
use teuicc_card::profile::Puk;
use teuicc_card::testing::{PowerCut, profile};
use teuicc_wire::Interface;

const WRONG: &str = "3030303030303030";

fn verify(reference: &str, value: &str) -> String {
    format!("002000{reference}08{value}")
}

fn pin1() -> String {
    string(&profile::PIN1)
}

#[test]
fn forms_and_errors() {
    for (apdu, sw) in [
        ("00200001", 0x63C3),
        ("0020000100", 0x63C3),
        ("0020000A", 0x63CA),
        ("00200081", 0x6A88), // local, and no application is selected
        ("00200002", 0x6A88),
        ("00200000", 0x6A86),
        ("00200101", 0x6A86),
        ("00200001073132333400000000", 0x6700),
        ("0020000107 31323334FFFFFF", 0x6700),
        ("0024000108 31323334FFFFFFFF", 0x6700),
        ("0026000100", 0x6700),
        ("0028000108 31323334FFFFFFFF", 0x6985),
        ("0028910108 31323334FFFFFFFF", 0x6A86),
        // The universal PIN would take its place, but there is none.
        ("0026910108 31323334FFFFFFFF", 0x6A88),
        ("0026910107 31323334FFFFFF", 0x6700),
        ("0026810108 31323334FFFFFFFF", 0x6A86),
        ("00200011", 0x6A88),
        ("002C0001", 0x63CA),
        ("002C000A", 0x6A88),
        ("002C000108 3132333435363738", 0x6700),
    ] {
        assert_eq!(Bench::new().sw(apdu), sw, "{apdu}");
    }
    let mut bench = Bench::new();
    bench.select_usim();
    assert_eq!(bench.sw("00200081"), 0x63C3);
}

#[test]
fn tries_run_out_and_the_unblocking_key_gives_them_back() {
    let mut bench = Bench::new();
    assert_eq!(bench.sw(&verify("01", WRONG)), 0x63C2);
    assert_eq!(bench.sw(&verify("01", WRONG)), 0x63C1);
    assert_eq!(bench.sw("00200001"), 0x63C1);
    assert_eq!(bench.sw(&verify("01", &pin1())), 0x9000);
    assert_eq!(bench.sw("00200001"), 0x63C3, "the right one restores the tries");
    for left in [0x63C2, 0x63C1, 0x63C0, 0x6983, 0x6983] {
        assert_eq!(bench.sw(&verify("01", WRONG)), left);
    }
    assert_eq!(bench.sw(&verify("01", &pin1())), 0x6983);
    assert_eq!(bench.sw("00200001"), 0x63C0);
    assert_eq!(bench.sw(&format!("002C000110{WRONG}{WRONG}")), 0x63C9);
    assert_eq!(bench.sw("002C0001"), 0x63C9);
    let puk = string(&profile::PUK1);
    assert_eq!(bench.sw(&format!("002C000110{puk}{WRONG}")), 0x9000);
    assert_eq!(bench.sw("002C0001"), 0x63CA);
    assert_eq!(bench.sw(&verify("01", &pin1())), 0x63C2, "the PIN is another one now");
    assert_eq!(bench.sw(&verify("01", WRONG)), 0x9000);
    bench.reboot();
    assert_eq!(bench.sw(&verify("01", WRONG)), 0x9000);
}

#[test]
fn an_unblocking_key_runs_out_for_good() {
    let mut bench = Bench::new();
    for left in (0..10).rev() {
        assert_eq!(bench.sw(&format!("002C000110{WRONG}{WRONG}")), 0x63C0 + left);
    }
    let puk = string(&profile::PUK1);
    assert_eq!(bench.sw(&format!("002C000110{puk}{WRONG}")), 0x6983);
}

#[test]
fn an_unblocking_key_of_two_pins_has_its_tries_once() {
    let mut profile = profile::profile(crate::SLOT);
    let pin2 = profile.pins.iter_mut().find(|pin| pin.reference == 0x81).unwrap();
    pin2.puk = Some(Puk { reference: 0x01, value: profile::PUK1, max_tries: 10, tries_left: 10 });
    let mut bench = Bench::with(profile);
    bench.select_usim();
    assert_eq!(bench.sw(&format!("002C000110{WRONG}{WRONG}")), 0x63C9);
    assert_eq!(bench.sw("002C0081"), 0x63C9);
    assert_eq!(bench.sw(&format!("002C008110{WRONG}{WRONG}")), 0x63C8);
    bench.reboot();
    bench.select_usim();
    assert_eq!(bench.sw("002C0001"), 0x63C8);
    assert_eq!(bench.sw(&format!("002C008110{}{WRONG}", string(&profile::PUK1))), 0x9000);
    assert_eq!(bench.sw("002C0001"), 0x63CA);
    for left in (0..10).rev() {
        assert_eq!(bench.sw(&format!("002C000110{WRONG}{WRONG}")), 0x63C0 + left);
    }
    assert_eq!(bench.sw(&format!("002C008110{WRONG}{WRONG}")), 0x6983);
}

#[test]
fn changing_disabling_and_enabling() {
    let mut bench = Bench::new();
    let new = "3939393939393939";
    assert_eq!(bench.sw(&format!("0024000110{WRONG}{new}")), 0x63C2);
    assert_eq!(bench.sw(&format!("0024000110{}{new}", pin1())), 0x9000);
    bench.reboot();
    assert_eq!(bench.sw(&verify("01", new)), 0x9000);
    assert_eq!(bench.sw(&format!("0026000108{new}")), 0x9000);
    assert_eq!(bench.sw(&format!("0026000108{new}")), 0x6985);
    bench.reboot();
    // A disabled PIN counts as presented, and cannot be presented or changed.
    bench.select_usim();
    assert_eq!(bench.sw("00B0870000"), 0x9000);
    assert_eq!(bench.sw(&verify("01", new)), 0x6984);
    assert_eq!(bench.sw(&format!("0024000110{new}{new}")), 0x6984);
    assert_eq!(bench.sw(&format!("0028000108{WRONG}")), 0x63C2);
    assert_eq!(bench.sw(&format!("0028000108{new}")), 0x9000);
    bench.reboot();
    bench.select_usim();
    assert_eq!(bench.sw("00B0870000"), 0x6982);
}

#[test]
fn attributes_of_a_pin_are_kept() {
    let mut profile = profile::profile(crate::SLOT);
    profile.pins[0].attributes = 0x01;
    let mut bench = Bench::with(profile);
    assert_eq!(bench.sw(&format!("0024000110{}{WRONG}", pin1())), 0x6985);
    assert_eq!(bench.sw(&format!("0026000108{}", pin1())), 0x6985);
}

#[test]
fn presented_on_one_interface_and_until_its_reset() {
    let mut bench = Bench::new();
    bench.select_usim();
    bench.verify_pin1();
    bench.ok("00B0870000");
    assert_eq!(bench.ok("0070000001"), "01");
    bench.ok("01A4040C07A0000000871002");
    bench.ok("01B0870000");
    // The LPA's interface has presented nothing.
    assert_eq!(bench.on(Interface::Lpa, "00A4040C07A0000000871002").1, 0x9000);
    assert_eq!(bench.on(Interface::Lpa, "00B0870000").1, 0x6982);
    bench.card.power_up(Interface::Lpa).unwrap();
    bench.ok("00B0870000");
    // A wrong value closes what was open.
    assert_eq!(bench.sw(&verify("01", WRONG)), 0x63C2);
    assert_eq!(bench.sw("00B0870000"), 0x6982);
    bench.verify_pin1();
    bench.ok("00B0870000");
    bench.card.power_up(Interface::Modem).unwrap();
    bench.select_usim();
    assert_eq!(bench.sw("00B0870000"), 0x6982);
}

#[test]
fn blocked_on_one_interface_is_blocked_on_the_other() {
    let mut bench = Bench::new();
    bench.select_usim();
    bench.verify_pin1();
    for _ in 0..3 {
        let _ = bench.on(Interface::Lpa, &verify("01", WRONG));
    }
    assert_eq!(bench.sw("00B0870000"), 0x6982);
}

#[test]
fn writes_are_few() {
    let mut bench = Bench::new();
    assert_eq!(bench.sw(&verify("01", WRONG)), 0x63C2);
    assert_eq!(bench.replaces(), 1);
    assert_eq!(bench.sw(&verify("01", &pin1())), 0x9000);
    assert_eq!(bench.replaces(), 2);
    for apdu in ["00200001", "002C0001", "00200002"] {
        let _ = bench.sw(apdu);
    }
    assert_eq!(bench.replaces(), 0);
}

/// At every write of every PIN command: no try comes back, and nothing is acknowledged that is not stored.
#[test]
fn a_power_cut_never_gives_a_try_back() {
    let puk = string(&profile::PUK1);
    let commands = [
        (verify("01", WRONG), 1, "00200001", 3),
        (verify("01", &pin1()), 2, "00200001", 3),
        (format!("0024000110{}{WRONG}", pin1()), 2, "00200001", 3),
        (format!("0026000108{}", pin1()), 2, "00200001", 3),
        (format!("002C000110{puk}{WRONG}"), 2, "002C0001", 10),
        (format!("002C000110{WRONG}{WRONG}"), 1, "002C0001", 10),
    ];
    for (command, writes, query, tries) in &commands {
        for at_write in 0..*writes {
            for written in [false, true] {
                let mut bench = Bench::new();
                bench.store.arm(PowerCut { at_write, written });
                assert_eq!(bench.sw(command), 0x6581, "{command}");
                bench.reboot();
                let left = bench.sw(query) & 0x0F;
                let expected = match (at_write, written) {
                    (0, false) => *tries,
                    (0, true) | (1, false) => tries - 1,
                    _ => *tries,
                };
                assert_eq!(left, expected, "{command} cut at {at_write}, written {written}");
            }
        }
    }
}

#[test]
fn a_store_that_does_not_write_gives_no_tries_to_guess_with() {
    let mut bench = Bench::new();
    bench.store.arm(PowerCut { at_write: 0, written: false });
    for _ in 0..2 {
        assert_eq!(bench.sw(&verify("01", WRONG)), 0x6581);
    }
    assert_eq!(bench.sw(&verify("01", &pin1())), 0x6581, "right or wrong cannot be told apart");
    bench.select_usim();
    assert_eq!(bench.sw("00B0870000"), 0x6982);
}
