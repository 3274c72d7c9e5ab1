//! What is answered.

use super::*;

/// Every SPI2, for a packet that is executed, one whose counter is low and one for no application.
#[test]
fn every_form_that_spi_asks_for() {
    for spi2 in 0..=0x3Fu8 {
        let mut bench = Bench::new();
        let server = |tar, counter| Server { spi: [0x16, spi2], ..Server::new(tar, counter) };
        let (good, low, none) = (server(TAR_FILES, 1), server(TAR_FILES, 0), server([0xB0, 0, 9], 2));
        let supported = matches!((spi2 >> 2) & 0x03, 0 | 2);
        for (server, status) in [(good, 0x00), (low, 0x02), (none, 0x09)] {
            let status = if supported || status == 0x09 { status } else { 0x06 };
            let answer = bench.send(&server, UPDATE);
            let wanted = match spi2 & 0x03 {
                1 => true,
                2 => status != 0,
                _ => false,
            };
            if !wanted {
                let sw = if status == 0 { 0x9000 } else { 0x6200 };
                assert_eq!(answer, StatusWord(sw).into(), "{spi2:02X}");
                continue;
            }
            let report = server.report(&answer.data).unwrap_or_else(|| panic!("{spi2:02X}"));
            assert_eq!((report.status, answer.sw), (status, StatusWord::OK), "{spi2:02X}");
            // With a key only to somebody who has it.
            let protected = answer.data[5] == 0x12;
            assert_eq!(protected, spi2 & 0x0C == 0x08 && status < 6, "{spi2:02X}");
        }
        assert_eq!(bench.content(0x2F30)[..3] == hex!("AABBCC"), supported, "{spi2:02X}");
    }
}

#[test]
fn no_response_is_longer_than_a_report_may_be() {
    for (version, spi2) in [(1, 0x01), (1, 0x09), (1, 0x19), (4, 0x11), (4, 0x19)] {
        let mut server = Server::with_version(version, TAR_FILES, 1);
        server.spi[1] = spi2;
        let mut bench = Bench::new();
        let answer = bench.send(&server, &hex!("00A4000C022F30 00B0000000"));
        assert!((113..=128).contains(&answer.data.len()), "{}", answer.data.len());
        let data = server.report(&answer.data).unwrap().data;
        assert_eq!(data[..3], hex!("0262F1"));
        server.counter = 2;
        let answer = bench.send(&server, &hex!("AA10 2207 00A4000C022F30 2205 00B0000000"));
        assert!((100..=128).contains(&answer.data.len()), "{}", answer.data.len());
        let data = server.report(&answer.data).unwrap().data;
        assert_eq!(data[2..5], hex!("800102"));
        assert_eq!(data[data.len() - 2..], hex!("62F1"));
    }
}
