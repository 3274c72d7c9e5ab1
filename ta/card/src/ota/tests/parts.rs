//! Messages in parts, and messages that are none.

use super::*;

fn long() -> Vec<u8> {
    let update = [&hex!("00A4000C022F30 00D60000F0")[..], &[0x5A; 240]].concat();
    [&update[..], &hex!("00D600F010"), &[0xA5; 16]].concat()
}

#[test]
fn parts_come_in_any_order_and_more_than_once() {
    let server = Server::new(TAR_FILES, 1);
    let parts = server.envelopes(&long());
    assert_eq!(parts.len(), 3);
    for order in [&[0, 1, 2][..], &[2, 1, 0], &[1, 2, 1, 1, 0], &[2, 2, 0, 0, 1]] {
        let mut bench = Bench::new();
        let (last, first) = order.split_last().unwrap();
        for part in first {
            assert_eq!(bench.apdu(&parts[*part]), StatusWord::OK.into());
        }
        assert_eq!(bench.replaces(), 0);
        let report = server.report(&bench.apdu(&parts[*last]).data).unwrap();
        assert_eq!(report.data, hex!("039000"));
        assert_eq!((bench.content(0x2F30)[239], bench.content(0x2F30)[255]), (0x5A, 0xA5));
    }
}

#[test]
fn another_message_takes_the_place_of_one_that_is_not_whole() {
    let server = Server::new(TAR_FILES, 1);
    let parts = server.envelopes(&long());
    let mut bench = Bench::new();
    bench.apdu(&parts[0]);
    bench.apdu(&parts[1]);
    // The same reference of another originator.
    let mut other = parts[2].clone();
    let place = other.windows(6).position(|bytes| bytes == hex!("088155667788")).unwrap();
    other[place + 2] ^= 0x10;
    assert_eq!(bench.apdu(&other), StatusWord::OK.into());
    assert_eq!(bench.apdu(&parts[2]), StatusWord::OK.into());
    assert_eq!(bench.replaces(), 0);
    // In one piece it does not disturb.
    assert_eq!(bench.status(&server, UPDATE), 0);
    bench.apdu(&parts[0]);
    let report = server.report(&bench.apdu(&parts[1]).data).unwrap();
    assert_eq!(report.status, 2, "whole, and its counter was used meanwhile");
}

#[test]
fn too_many_parts_and_parts_that_cannot_be() {
    let part = |total: u8, number: u8| envelope(&[&[0x07, 0x70, 0, 0, 3, 1, total, number][..], &[0; 100]].concat());
    let mut bench = Bench::new();
    assert_eq!(bench.apdu(&part(17, 1)), StatusWord::NOT_ENOUGH_MEMORY.into());
    for (total, number) in [(2, 0), (2, 3), (0, 1), (1, 1)] {
        // Taken for a message in one part, whose packet cannot be read.
        assert_eq!(bench.apdu(&part(total, number)), NOT_TAKEN.into(), "{total} {number}");
    }
    for number in 1..=16 {
        let sw = if number == 16 { NOT_TAKEN } else { StatusWord::OK };
        assert_eq!(bench.apdu(&part(16, number)), sw.into());
    }
}

#[test]
fn what_is_no_command_packet_is_acknowledged() {
    for user_data in [&hex!("027100 0000")[..], &hex!("00"), &hex!("050003010201"), &hex!("FF7000"), &[0x41; 140]] {
        assert_eq!(Bench::new().apdu(&envelope(user_data)), StatusWord::OK.into(), "{user_data:02X?}");
    }
    for packet in [&[][..], &hex!("0001"), &hex!("00091516192222B00011"), &hex!("00080016192222B00011")] {
        let answer = Bench::new().apdu(&envelope(&[&hex!("027000")[..], packet].concat()));
        assert_eq!(answer, NOT_TAKEN.into(), "{packet:02X?}");
    }
}
