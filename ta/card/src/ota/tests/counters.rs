//! Replay protection.

use super::*;

fn with_mode(mode: u8, counter: u64) -> Server {
    Server { spi: [0x06 | (mode << 3), 0x19], ..Server::new(TAR_FILES, counter) }
}

#[test]
fn modes() {
    let mut bench = Bench::new();
    for (mode, counter, status, replaces) in [
        (2, 10, 0x00, 2),
        (2, 10, 0x02, 0),
        (2, 9, 0x02, 0),
        (3, 10, 0x02, 0),
        (3, 12, 0x03, 0),
        (3, 11, 0x00, 1),
        (2, 11, 0x02, 0),
        // Not there, or not checked: it stays where it is.
        (0, 99, 0x00, 0),
        (1, 99, 0x00, 0),
        (1, 0, 0x00, 0),
        (3, 12, 0x00, 1),
        (2, 0xFF_FFFF_FFFE, 0x00, 1),
        (3, 0xFF_FFFF_FFFF, 0x00, 1),
        (3, 0, 0x04, 0),
        (2, 0xFF_FFFF_FFFF, 0x04, 0),
    ] {
        bench.policy = Policy::TESTING;
        let report = bench.report(&with_mode(mode, counter), UPDATE);
        assert_eq!((report.status, report.counter), (status, counter), "{mode} {counter}");
        assert_eq!(bench.replaces(), replaces, "{mode} {counter}");
        bench = bench.reboot();
    }
}

/// Whatever level the profile sets: this application asks for a checksum only.
#[test]
fn a_packet_that_could_be_sent_again_is_refused_but_in_a_test() {
    let mut bench = Bench::new();
    for mode in [0, 1] {
        assert_eq!(bench.status(&with_mode(mode, 1), UPDATE), 0x0A, "{mode}");
        assert_eq!((bench.replaces(), &bench.content(0x2F30)[..3]), (0, &[0; 3][..]));
    }
    bench.policy = Policy::TESTING;
    for _ in 0..2 {
        assert_eq!(bench.status(&with_mode(0, 1), UPDATE), 0);
    }
}

#[test]
fn each_key_set_has_its_own() {
    let mut bench = Bench::new();
    for version in 1..=5 {
        let server = Server::with_version(version, TAR_FILES, 3);
        assert_eq!(bench.status(&server, UPDATE), 0, "{version}");
        assert_eq!(bench.status(&server, UPDATE), 2, "{version}");
    }
    assert_eq!(bench.reboot().profile.ota_counters.len(), 5);
}

#[test]
fn it_starts_at_the_value_of_the_key() {
    let mut writer = teuicc_tlv::Writer::new();
    let kid = DomainKey { counter: Some(&hex!("000007")), ..DomainKey::new(1, KEYS[0].2) };
    security_domain(&mut writer, &[DomainKey::new(1, KEYS[0].1), kid]).unwrap();
    rfm(&mut writer, TAR_FILES, 0x02, FULL, None).unwrap();
    let mut bench = Bench::with(writer.into_bytes(), OPERATIONAL);
    assert_eq!(bench.status(&Server::new(TAR_FILES, 7), UPDATE), 2);
    assert_eq!(bench.status(&Server::new(TAR_FILES, 8), UPDATE), 0);
}

#[test]
fn a_power_cut_at_each_write_leaves_no_packet_that_works_twice() {
    let server = Server::new(TAR_FILES, 1);
    for at_write in 0..2 {
        for written in [false, true] {
            let mut bench = Bench::new();
            bench.store.arm(PowerCut { at_write, written });
            let first = bench.send(&server, UPDATE);
            if at_write == 0 {
                assert_eq!(first, StatusWord::MEMORY_PROBLEM.into());
                assert_eq!(bench.content(0x2F30)[..3], [0; 3], "nothing is done without the counter");
            } else {
                assert_eq!(server.report(&first.data).unwrap().data, hex!("026581"));
            }
            let mut bench = bench.reboot();
            let updated = bench.content(0x2F30)[..3] == hex!("AABBCC");
            assert_eq!(updated, at_write == 1 && written);
            let stored = bench.profile.ota_counter(0, 1);
            assert_eq!(stored, (at_write == 1 || written).then_some(1));
            assert_eq!(bench.status(&server, UPDATE), if stored.is_some() { 2 } else { 0 });
        }
    }
}

#[test]
fn a_store_that_fails_leaves_the_counter() {
    let mut bench = Bench::new();
    let server = Server::new(TAR_FILES, 1);
    bench.store.arm(PowerCut { at_write: 0, written: false });
    assert_eq!(bench.send(&server, UPDATE).sw, StatusWord::MEMORY_PROBLEM);
    bench.store.power_on();
    assert_eq!(bench.status(&server, UPDATE), 0, "the network sends it again");
}
