//! What protects packets.

use super::*;

#[test]
fn every_key_set_but_single_des_works() {
    for (version, ..) in KEYS {
        let mut bench = Bench::new();
        let server = Server::with_version(version, TAR_FILES, 1);
        let report = bench.report(&server, UPDATE);
        if version == 6 {
            assert_eq!((report.status, bench.replaces()), (0x06, 0));
            continue;
        }
        let expected = Report { tar: TAR_FILES, counter: 1, status: 0, data: hex!("029000").to_vec() };
        assert_eq!(report, expected, "{version}");
        assert_eq!(bench.content(0x2F30)[..4], hex!("AABBCC00"));
        assert_eq!(bench.replaces(), 2, "the counter, then the file");
    }
}

#[test]
fn algorithm_zero_leaves_it_to_the_key_and_another_is_refused() {
    for (indication, status) in [(0x10, 0), (0x12, 0), (0x11, 6), (0x15, 6), (0x19, 6), (0x13, 6)] {
        let server = Server { kid: (indication, KEYS[0].2.to_vec()), ..Server::new(TAR_FILES, 1) };
        // The test's own side needs to know the algorithm.
        let mut packet = Server { kid: (0x12, KEYS[0].2.to_vec()), ..server.clone() };
        packet.kic.0 = 0x12;
        let mut bench = Bench::new();
        let answer = if indication == 0x12 {
            bench.send(&packet, UPDATE)
        } else {
            bench.apdu(&reindicated(&packet, indication))
        };
        let read = packet.report(&answer.data).unwrap();
        assert_eq!(read.status, status, "{indication:02X}");
    }
}

/// The ENVELOPE with another KID, and the checksum over it.
fn reindicated(server: &Server, kid: u8) -> Vec<u8> {
    let plain = Server { spi: [server.spi[0] & !0x04, server.spi[1]], ..server.clone() };
    let mut packet = plain.packet(UPDATE);
    packet[6] = kid;
    let (header, rest) = packet.split_at(10);
    let (counters, rest) = rest.split_at(6);
    let key = Key::new(Algorithm::Aes, &server.kid.1).unwrap();
    let checksum = key.checksum(&[header, counters, &rest[8..]]);
    packet[16..24].copy_from_slice(&checksum);
    envelope(&[&hex!("027000")[..], &packet].concat())
}

#[test]
fn key_sets_that_are_not_there_are_security_errors() {
    for (kic, kid) in [(0x12, 0x72), (0x22, 0x12), (0x02, 0x02), (0x72, 0x72)] {
        let mut server = Server::new(TAR_FILES, 1);
        (server.kic.0, server.kid.0) = (kic, kid);
        let mut bench = Bench::new();
        assert_eq!(bench.status(&server, UPDATE), 0x06, "{kic:02X} {kid:02X}");
        assert_eq!(bench.replaces(), 0);
    }
}

#[test]
fn unknown_tar_and_levels_that_are_too_low() {
    for (tar, spi1, status) in [
        ([0xB0, 0, 9], 0x16, 0x09),
        (TAR_FILES, 0x00, 0x0A),
        (TAR_FILES, 0x10, 0x0A),
        (TAR_FILES, 0x14, 0x0A),
        (TAR_FILES, 0x11, 0x0A),
        (TAR_FILES, 0x13, 0x0A),
        (TAR_FILES, 0x02, 0x0A),
        (TAR_FILES, 0x0A, 0x0A),
        (TAR_FILES, 0x12, 0x00),
        // Its level asks for ciphering and for a counter that must be higher.
        (TAR_USIM, 0x12, 0x0A),
        (TAR_USIM, 0x06, 0x0A),
        (TAR_USIM, 0x0E, 0x0A),
        (TAR_USIM, 0x16, 0x00),
        (TAR_USIM, 0x1E, 0x00),
    ] {
        let mut bench = Bench::new();
        let server = Server { spi: [spi1, 0x01], ..Server::new(tar, 1) };
        assert_eq!(bench.status(&server, &hex!("00A4000C023F00")), status, "{tar:02X?} {spi1:02X}");
        assert!(status == 0 || bench.replaces() == 0);
    }
}

#[test]
fn a_wrong_checksum_moves_and_tells_nothing() {
    let server = Server::new(TAR_FILES, 5);
    let envelope = server.envelopes(UPDATE).remove(0);
    let start = envelope.len() - (server.packet(UPDATE).len() - 10);
    for at in start..envelope.len() {
        let mut bench = Bench::new();
        let mut changed = envelope.clone();
        changed[at] ^= 0x01;
        let answer = bench.apdu(&changed);
        let expected = hex!("027100 000B 0A B00001 0000000000 00 01").to_vec();
        assert_eq!((answer.data, answer.sw), (expected, StatusWord::OK), "no counter, no key was used for it");
        assert_eq!(bench.replaces(), 0);
        assert_eq!(bench.content(0x2F30)[..3], [0; 3]);
        // The packet itself still is good.
        assert_eq!(bench.status(&server, UPDATE), 0);
    }
}

#[test]
fn a_checksum_of_another_length_is_wrong() {
    let mut bench = Bench::new();
    let server = Server { checksum_length: 4, ..Server::new(TAR_FILES, 1) };
    assert_eq!(bench.status(&server, UPDATE), 0x01);
}

#[test]
fn ciphertext_that_is_not_whole_blocks_is_a_ciphering_error() {
    let server = Server::new(TAR_FILES, 1);
    let mut packet = server.packet(UPDATE);
    packet.pop();
    packet[1] -= 1;
    let answer = Bench::new().apdu(&envelope(&[&hex!("027000")[..], &packet].concat()));
    assert_eq!(server.report(&answer.data).unwrap().status, 0x05);
}
