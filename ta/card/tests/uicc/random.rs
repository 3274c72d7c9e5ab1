//! Whatever is sent: no panic, and a status word of TS 102 221.

use crate::{Bench, SLOT};
use proptest::prelude::*;
use teuicc_card::testing::profile;
use teuicc_wire::Interface;

/// Commands that lead somewhere, for random ones to start from.
const STEPS: &[&str] = &[
    "0070000001",
    "01A4040C07A0000000871002",
    "00A4040C07A0000000871002",
    "00A4040C07A0000000871004",
    "00A4040010A0000005591010FFFFFFFF8900000100",
    "002000010831323334FFFFFFFF",
    "0020000A0861646D696E6B6579",
    "00A4000C026F39",
    "00A4000C026F7E",
    "00A4080C042F30",
    "00A4080C047F106F3A",
    "00B2000200",
    "00B0000000",
    "00DC00030361626300",
    "8010000004FFFFFFFF",
    "00708001",
    "A0A40000023F00",
    "A0A40000027F20",
    "A0A40000026F38",
    "A0A40000026F39",
    "A0A40000027F10",
    "A0A40000026F3A",
    "A020000108 31323334FFFFFFFF",
    "A08800001000112233445566778899AABBCCDDEEFF",
];

const INS: &[u8] = &[
    0x10, 0x12, 0x14, 0x20, 0x24, 0x26, 0x28, 0x2C, 0x70, 0x84, 0x88, 0xA4, 0xAA, 0xB0, 0xB2, 0xC0, 0xC2, 0xD6, 0xDC,
    0xE2, 0xF2, 0x04, 0x32, 0x44, 0x76, 0xA2, 0xCB, 0xD4, 0xDB, 0xE0, 0xE4, 0xE6, 0xE8, 0xFA,
];

fn command() -> impl Strategy<Value = Vec<u8>> {
    let ins = prop_oneof![8 => proptest::sample::select(INS), 1 => any::<u8>()];
    let cla = prop_oneof![6 => Just(0x00u8), 2 => Just(0x80), 2 => Just(0x01), 1 => Just(0x81), 3 => Just(0xA0), 1 => any::<u8>()];
    let small = || prop_oneof![4 => 0u8..16, 2 => Just(0x80u8), 1 => any::<u8>()];
    let built = (cla, ins, small(), small(), proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(
        |(cla, ins, p1, p2, data, le)| {
            let mut apdu = vec![cla, ins, p1, p2];
            if !data.is_empty() {
                apdu.push(data.len() as u8);
                apdu.extend(data);
            }
            if le {
                apdu.push(0);
            }
            apdu
        },
    );
    prop_oneof![
        3 => proptest::sample::select(STEPS).prop_map(crate::hex),
        6 => built,
        1 => proptest::collection::vec(any::<u8>(), 0..300),
    ]
}

fn is_status_word(command: &[u8], sw: u16) -> bool {
    if command.first() == Some(&0xA0) && command.len() >= 4 {
        return matches!(sw, 0x9000 | 0x9100..=0x91FF | 0x9300 | 0x9240 | 0x9400 | 0x9402 | 0x9404 | 0x9408)
            || matches!(sw, 0x9802 | 0x9804 | 0x9808 | 0x9810 | 0x9840 | 0x9850 | 0x6700..=0x67FF)
            || matches!(sw, 0x6B00 | 0x6D00 | 0x6E00 | 0x6F00);
    }
    matches!(sw, 0x9000 | 0x9100..=0x91FF | 0x9300 | 0x9850 | 0x9862 | 0x9864) || matches!(sw >> 8, 0x62..=0x6F)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_commands_on_two_interfaces(commands in proptest::collection::vec((any::<bool>(), command()), 0..60)) {
        let mut bench = Bench::new();
        for (modem, command) in commands {
            let interface = if modem { Interface::Modem } else { Interface::Lpa };
            let response = bench.card.transmit(interface, &command).unwrap();
            prop_assert!(is_status_word(&command, response.sw.0), "{:02X?} answers {:?}", command, response.sw);
        }
        bench.card.power_down(Interface::Modem).unwrap();
        // Whatever happened, it can be read again.
        bench.reboot();
        prop_assert_eq!(bench.sw("00A4000C"), 0x9000);
    }

    #[test]
    fn any_stream_keeps_to_the_model(stream in proptest::collection::vec(any::<u8>(), 0..1200)) {
        crate::model::run(&stream);
    }

    #[test]
    fn any_request(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bench = Bench::new();
        let _ = bench.card.process(&bytes);
        let mut request = vec![teuicc_wire::version::CURRENT, 0x12];
        request.extend(bytes);
        let _ = bench.card.process(&request);
    }

    /// Files with sizes that do not fit their records, and rules that are no rules.
    #[test]
    fn any_content(
        content in proptest::collection::vec(any::<u8>(), 0..64),
        length in any::<u8>(),
        rule in proptest::collection::vec(any::<u8>(), 32),
        commands in proptest::collection::vec(command(), 0..30),
    ) {
        use teuicc_card::profile::FileKind;
        let mut profile = profile::profile(SLOT);
        for file in &mut profile.files {
            match file.fid {
                0x2F06 => file.content[..32].copy_from_slice(&rule),
                0x6F39 => (file.kind, file.content) = (FileKind::Cyclic(length.max(1)), content.clone()),
                0x6F3A => (file.kind, file.content) = (FileKind::LinearFixed(length.max(1)), content.clone()),
                _ => {}
            }
        }
        let mut store = teuicc_card::testing::MemoryStore::new();
        // A profile that could not be read again is refused; then there is nothing to try.
        if profile::store(&mut store, profile).is_ok() {
            let mut card = teuicc_card::Card::boot_with_profile(teuicc_card::testing::platform(store, 1), SLOT);
            card.power_up(Interface::Modem).unwrap();
            for command in commands {
                let response = card.transmit(Interface::Modem, &command).unwrap();
                prop_assert!(is_status_word(&command, response.sw.0));
            }
        }
    }
}
