//! AUTHENTICATE, against a network side made of another implementation of Milenage.

use crate::{Bench, SLOT, string};
use hex_literal::hex;
use milenage::Milenage;
use teuicc_card::profile::{Algorithm, Profile};
use teuicc_card::testing::{PowerCut, profile};

const AMF: [u8; 2] = [0x80, 0x00];

fn network() -> Milenage {
    Milenage::new_with_opc(profile::K, profile::OPC)
}

fn xor<const N: usize>(a: [u8; N], b: [u8; N]) -> [u8; N] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

pub(crate) fn sqn(seq: u64, ind: u64) -> [u8; 6] {
    (seq << 5 | ind).to_be_bytes()[2..].try_into().unwrap()
}

/// The command with a challenge that the network makes for this SQN.
pub(crate) fn challenge(rand: &[u8; 16], sqn: [u8; 6]) -> String {
    let mut network = network();
    let (_, _, _, ak) = network.f2345(rand);
    let mac = network.f1(rand, &sqn, &AMF);
    format!("0088008122 10{} 10{}{}{}", string(rand), string(&xor(sqn, ak)), string(&AMF), string(&mac))
}

/// RES, CK and IK for this challenge.
pub(crate) fn keys(rand: &[u8; 16]) -> ([u8; 8], [u8; 16], [u8; 16]) {
    let (res, ck, ik, _) = network().f2345(rand);
    (res, ck, ik)
}

pub(crate) fn accepted(rand: &[u8; 16]) -> String {
    let (res, ck, ik, _) = network().f2345(rand);
    let kc: [u8; 8] = std::array::from_fn(|i| ck[i] ^ ck[i + 8] ^ ik[i] ^ ik[i + 8]);
    format!("DB08{}10{}10{}08{}", string(&res), string(&ck), string(&ik), string(&kc))
}

/// What the network reads from an AUTS: SQN_MS, after checking MAC-S.
pub(crate) fn resynchronised(rand: &[u8; 16], answer: &str) -> [u8; 6] {
    let answer = crate::hex(answer);
    assert_eq!(answer[..2], [0xDC, 14]);
    let mut network = network();
    let sqn_ms = xor(answer[2..8].try_into().unwrap(), network.f5star(rand));
    assert_eq!(network.f1star(rand, &sqn_ms, &[0, 0]), answer[8..16]);
    sqn_ms
}

fn ready() -> Bench {
    let mut bench = Bench::new();
    bench.verify_pin1();
    bench.select_usim();
    let _ = bench.replaces();
    bench
}

#[test]
fn a_fresh_challenge_gives_keys_and_is_stored_first() {
    let mut bench = ready();
    let rand = [0x42; 16];
    assert_eq!(bench.ok(&challenge(&rand, sqn(1, 0))), accepted(&rand));
    assert_eq!(bench.replaces(), 1);
    bench.reboot();
    bench.verify_pin1();
    bench.select_usim();
    let answer = bench.ok(&challenge(&rand, sqn(1, 0)));
    assert_eq!(resynchronised(&rand, &answer), sqn(1, 0));
}

#[test]
fn resynchronisation_shows_the_highest_number_and_writes_nothing() {
    let mut bench = ready();
    let rand = [7; 16];
    bench.ok(&challenge(&rand, sqn(50, 3)));
    bench.ok(&challenge(&rand, sqn(40, 4)));
    let _ = bench.replaces();
    for (seq, ind) in [(50, 3), (40, 4), (39, 4), (1, 3), (50 + (1 << 28) + 1, 5)] {
        let answer = bench.ok(&challenge(&rand, sqn(seq, ind)));
        assert_eq!(resynchronised(&rand, &answer), sqn(50, 3), "{seq} {ind}");
    }
    // Lower than the highest, but new in its own slot.
    assert!(bench.ok(&challenge(&rand, sqn(41, 4))).starts_with("DB"));
    assert!(bench.ok(&challenge(&rand, sqn(2, 31))).starts_with("DB"));
    assert_eq!(bench.replaces(), 2);
}

#[test]
fn a_wrong_mac_says_nothing_of_freshness_and_writes_nothing() {
    let mut bench = ready();
    let rand = [9; 16];
    bench.ok(&challenge(&rand, sqn(5, 0)));
    let _ = bench.replaces();
    for seq in [1, 5, 6] {
        let good = challenge(&rand, sqn(seq, 0));
        for place in [0, 8, 15, 19, 31] {
            // Bits of RAND, concealed SQN, AMF and MAC.
            let mut bytes = crate::hex(&good);
            let at = if place < 16 { 6 + place } else { 7 + place };
            bytes[at] ^= 0x10;
            assert_eq!(bench.apdu(&string(&bytes)), (String::new(), 0x9862));
        }
    }
    assert_eq!(bench.replaces(), 0);
}

#[test]
fn forms_and_errors() {
    let rand = [1; 16];
    let good = challenge(&rand, sqn(1, 0));
    for (apdu, sw) in [
        (good.replacen("0088008122", "0088000122", 1), 0x6A86),
        (good.replacen("0088008122", "0088018122", 1), 0x6A86),
        (good.replacen("0088008122", "0088008422", 1), 0x6A80),
        (good.replacen("0088008122", "0088008222", 1), 0x9864),
        (good.replacen("0088008122", "8088008122", 1), 0x6E00),
        ("00880081".to_owned(), 0x6700),
        (format!("0088008111 10{}", string(&rand)), 0x6A80),
        (format!("0088008121 10{} 0F{}", string(&rand), "00".repeat(15)), 0x6A80),
        (format!("0088008123 10{} 10{} 00", string(&rand), "00".repeat(16)), 0x6A80),
        (format!("0088008011 10{}", string(&rand)), 0x9000),
        (format!("0088008012 10{}00", string(&rand)), 0x6A80),
        (good.clone(), 0x9000),
    ] {
        assert_eq!(ready().sw(&apdu), sw, "{apdu}");
    }
    // Without the PIN, and without an application.
    let mut bench = Bench::new();
    assert_eq!(bench.sw(&good), 0x6985);
    bench.select_usim();
    assert_eq!(bench.sw(&good), 0x6982);
    bench.verify_pin1();
    bench.ok("00A4000C023F00");
    assert!(bench.ok(&good).starts_with("DB"), "the application stays active");
}

fn without_services() -> Profile {
    let mut profile = profile::profile(SLOT);
    for file in &mut profile.files {
        if file.fid == 0x6F38 {
            file.content.fill(0);
        }
    }
    profile
}

#[test]
fn gsm_access_depends_on_the_service_table() {
    let rand = [0x17; 16];
    let gsm = format!("0088008011 10{}", string(&rand));
    let (res, ck, ik, _) = network().f2345(&rand);
    let sres: [u8; 4] = std::array::from_fn(|i| res[i] ^ res[i + 4]);
    let kc: [u8; 8] = std::array::from_fn(|i| ck[i] ^ ck[i + 8] ^ ik[i] ^ ik[i + 8]);
    assert_eq!(ready().ok(&gsm), format!("04{}08{}", string(&sres), string(&kc)));
    let mut bench = Bench::with(without_services());
    bench.verify_pin1();
    bench.select_usim();
    assert_eq!(bench.sw(&gsm), 0x9864);
    let without_kc = &accepted(&rand)[..2 * (1 + 9 + 17 + 17)];
    assert_eq!(bench.ok(&challenge(&rand, sqn(1, 0))), without_kc);
}

#[test]
fn a_power_cut_leaves_the_number_used_or_the_keys_unknown() {
    for written in [false, true] {
        let mut bench = ready();
        let rand = [3; 16];
        bench.store.arm(PowerCut { at_write: 0, written });
        assert_eq!(bench.apdu(&challenge(&rand, sqn(9, 9))), (String::new(), 0x6581));
        bench.reboot();
        bench.verify_pin1();
        bench.select_usim();
        let answer = bench.ok(&challenge(&rand, sqn(9, 9)));
        assert_eq!(answer.starts_with("DC"), written);
    }
}

#[test]
fn the_test_algorithm_checks_the_mac_alone() {
    let mut bench = Bench::new();
    bench.verify_pin1();
    bench.ok("00A4040C07A0000000871004");
    let _ = bench.replaces();
    let rand = [0x10; 16];
    let xdout = xor(profile::K_XOR, rand);
    let autn = |sqn: [u8; 6], amf: [u8; 2]| {
        let ak: [u8; 6] = xdout[3..9].try_into().unwrap();
        let cdout: [u8; 8] = [&sqn[..], &amf].concat().try_into().unwrap();
        let mac = xor(xdout[..8].try_into().unwrap(), cdout);
        format!("0088008122 10{} 10{}{}{}", string(&rand), string(&xor(sqn, ak)), string(&amf), string(&mac))
    };
    let (mut ck, mut ik) = (xdout, xdout);
    ck.rotate_left(1);
    ik.rotate_left(2);
    let expected = format!("DB10{}10{}10{}", string(&xdout), string(&ck), string(&ik));
    for _ in 0..2 {
        assert_eq!(bench.ok(&autn([0, 0, 0, 0, 0, 1], [0, 0])), expected);
    }
    let answer = crate::hex(&bench.ok(&autn([0, 0, 0, 0, 0, 1], [0xFF, 0xFF])));
    assert_eq!(answer[..2], [0xDC, 14]);
    assert_eq!(answer[2..8], xdout[3..9], "SQN_MS is 0");
    assert_eq!(answer[8..], xdout[..8], "MAC-S over zeros");
    let wrong = autn([0, 0, 0, 0, 0, 1], [0, 0]).replacen("0088008122 1010", "0088008122 1011", 1);
    assert_eq!(bench.sw(&wrong), 0x9862);
    assert_eq!(bench.replaces(), 0);
}

/// TS 35.233 section 6.3, test set 1; AUTS for SQN_MS 111111111111, which has no published vector, computed with
/// libosmocore's TUAK.
#[test]
fn tuak_answers_all_contexts() {
    let mut profile = profile::profile(SLOT);
    let naa = &mut profile.naas[0];
    naa.algorithm = Algorithm::Tuak {
        k: vec![0xAB; 16],
        topc: hex!("bd04d9530e87513c5d837ac2ad954623a8e2330c115305a73eb45d1f40cccbff"),
        res_len: 4,
        iterations: 1,
    };
    // The number of the test set is far ahead.
    naa.sqn_delta = (1 << 43) - 1;
    let mut bench = Bench::with(profile);
    bench.verify_pin1();
    bench.select_usim();
    let _ = bench.replaces();
    let rand = "42".repeat(16);
    let challenge = format!("0088008122 10{rand} 10 608E0F8A8145 FFFF F9A54E6AEAA8618D");
    let (ck, ik, kc) = ("D71A1E5C6CAFFE986A26F783E5C78BE1", "BE849FA2564F869AECEE6F62D4337E72", "EF56191F0B148D91");
    assert_eq!(bench.ok(&format!("0088008011 10{rand}")), format!("04657ACD6408{kc}"));
    assert_eq!(bench.sw(&challenge.replacen("8D", "8C", 1)), 0x9862);
    assert_eq!(bench.replaces(), 0);
    assert_eq!(bench.ok(&challenge), format!("DB04657ACD6410{ck}10{ik}08{kc}"));
    assert_eq!(bench.replaces(), 1);
    bench.reboot();
    bench.verify_pin1();
    bench.select_usim();
    assert_eq!(bench.ok(&challenge), "DC0EF6BE7A2C1F29A31FBCF6547C4682");
}
