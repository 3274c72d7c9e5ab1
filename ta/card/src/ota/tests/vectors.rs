//! Packets and checksums of others.

use super::*;

const SELECT_MF: &[u8] = &hex!("00A40004023F00");

fn keys(algorithm: Algorithm, kic: &[u8], kid: &[u8]) -> Keys {
    Keys { kic: Key::new(algorithm, kic), kid: Key::new(algorithm, kid).unwrap(), checksum_length: 8 }
}

fn triple_des() -> Keys {
    let (kic, kid) = (hex!("300102030405060708090A0B0C0D0E0F"), hex!("301102030405060708090A0B0C0D0E0F"));
    keys(Algorithm::TripleDes, &kic, &kid)
}

fn aes() -> Keys {
    let (kic, kid) = (hex!("200102030405060708090A0B0C0D0E0F"), hex!("201102030405060708090A0B0C0D0E0F"));
    keys(Algorithm::Aes, &kic, &kid)
}

/// pySim tests/unittests/test_ota.py: packets that sysmoISIM-SJA5 cards took, and what they answered.
#[test]
fn packets_of_pysim() {
    for (keys, command, response) in [
        (
            triple_des(),
            &hex!("00201506193535B00011AE733256918D050B87C94FBFE12E4DC402F262C41CF67F2F")[..],
            &hex!("027100001C12B000118BB989492C632529326A2F4681FEB37C825BC9021C9F6D0B")[..],
        ),
        (
            triple_des(),
            &hex!("00201506093535B00011C49AC91AB8159BA5B83A54FB6385E0A5E31694F8B215FAFC"),
            &hex!("027100001612B0001100000000000000B5BCD6353A421FAE016132"),
        ),
        (
            triple_des(),
            &hex!("00201506013535B000113190BE334900F52B025F3F7EDDFE868E96EBF310023B7769"),
            &hex!("027100000E0AB0001100000000000000016132"),
        ),
        (
            aes(),
            &hex!("00281506192222B00011E87CCEEBB2D93083011CE294F93FC4D8DE80DA1ABAE8C37CA3E72EC4432E5058"),
            &hex!("027100002412B00011EBC6B497E2CAD7AEDF36ACE0E3A29B38853F0FE9CCDE81913BE5702B73ABCE1F"),
        ),
    ] {
        let packet = CommandPacket::parse(command).unwrap();
        let opened = packet.open(&keys).map_err(|_| "refused").unwrap();
        assert_eq!((opened.counter, opened.data.as_slice()), (0, SELECT_MF));
        let protection = Protection::new(packet.spi, &keys).unwrap();
        let answer = protection.response(packet.tar, 0, Status::Ok, &hex!("016132")).unwrap();
        assert_eq!(answer, response);
    }
}

/// The same file: a signed packet that is not ciphered. It leaves out CPL there, but not from the checksum.
#[test]
fn signed_packet_of_pysim() {
    let (kic, kid) = (hex!("C21DD66ACAC13CB3BC8B331B24AFB57B"), hex!("12110C78E678C25408233076AA033615"));
    let keys = keys(Algorithm::TripleDes, &kic, &kid);
    let command = hex!("001D 1502193535B00000000000000000072EA17BDB72060E00A40000023F00");
    let opened = CommandPacket::parse(&command).unwrap().open(&keys).map_err(|_| "refused").unwrap();
    assert_eq!(opened.data.as_slice(), hex!("00A40000023F00"));
    let protection = Protection::new(Spi([0, 0x09]), &keys).unwrap();
    let answer = protection.response([0xB0, 0, 0x11], 0, Status::Ok, &hex!("01612F")).unwrap();
    assert_eq!(answer, hex!("027100001612B000110000000000000055F47118381175FB01612F"));
}

/// onomondo-uicc tests/ota/ota_test.ok: checksums over a header and data of three lengths.
#[test]
fn checksums_of_onomondo_uicc() {
    let key = hex!("AABBCCDDEEFF11220000000000000000");
    let header = hex!("0028151E193232B00011000000000106");
    let data = hex!("0123456789ABCDEF0123456701234567AA");
    for (algorithm, of_16, of_17, of_15) in [
        (Algorithm::Aes, hex!("BADDDA0EE401D63D"), hex!("F090FE9B251D5520"), hex!("DE89E247CDAF128A")),
        (Algorithm::TripleDes, hex!("C0995C616FA90E18"), hex!("1B3A9C868F1283D3"), hex!("D6BFD6EC7EF02A0E")),
    ] {
        let key = Key::new(algorithm, &key).unwrap();
        assert_eq!(key.checksum(&[&header, &data[..16]]), of_16);
        assert_eq!(key.checksum(&[&header, &data]), of_17);
        assert_eq!(key.checksum(&[&header, &data[..15]]), of_15);
    }
}
