//! The GBA context of AUTHENTICATE.

use crate::aka::{challenge, resynchronised, sqn};
use crate::{Bench, SLOT, string};
use hex_literal::hex;
use teuicc_card::profile::{File, FileIndex, FileKind, Profile};
use teuicc_card::testing::PowerCut;
use teuicc_card::testing::profile::{self, ProfileBuilder, rule};

/// TS 35.207 test set 1, whose K and OPc the profile has, and its RES.
const RAND: [u8; 16] = hex!("23553cbe9637a89d218ae64dae47bf35");
const RES: &str = "A54211D5E3BA50BF";
const NAF: &[u8] = b"naf.example.com\x01\x00\x00\x00\x02";
const IMPI: &[u8] = b"001010123456789@ims.mnc001.mcc001.3gppnetwork.org";
/// Ks_ext_NAF by TS 33.220 annex B.3 for CK and IK of the test set: computed with the key derivation function of
/// CryptoMobile.
const KS_EXT_NAF: &str = "AE9ECC3C7C17692C1D44D6D68D53A3B1624A706039753BA991E8293F3CFDEC08";
const B_TID: &[u8] = b"b@tid";

const GBABP: u16 = 0x6FD6;
const GBANL: u16 = 0x6FDA;

fn index_of(profile: &Profile, fid: u16) -> usize {
    profile.files.iter().position(|file| file.fid == fid).unwrap()
}

/// The profile with GBA in its USIM: EF.GBABP of 40 bytes, EF.GBANL of `records` records of 32.
fn with_gba(records: usize) -> Profile {
    let mut profile = profile::profile(SLOT);
    let usim = FileIndex(index_of(&profile, 0x7FF0).try_into().unwrap());
    let ust = index_of(&profile, 0x6F38);
    profile.files[ust].content.resize(9, 0);
    profile.files[ust].content[8] |= 0x08;
    let mut builder = ProfileBuilder::of(profile);
    builder.ef(usim, GBABP, FileKind::Transparent, None, rule::PIN1, &[0xFF; 40]);
    builder.ef(usim, GBANL, FileKind::LinearFixed(32), None, rule::READ_PIN1, &vec![0xFF; 32 * records]);
    builder.build()
}

fn ready(profile: Profile) -> Bench {
    let mut bench = Bench::with(profile);
    bench.verify_pin1();
    bench.select_usim();
    let _ = bench.replaces();
    bench
}

/// The challenge for a sequence number, in the bootstrapping mode.
fn bootstrapping(seq: u64) -> String {
    challenge(&RAND, sqn(seq, 0)).replacen("0088008122 ", "0088008423 DD", 1)
}

fn derivation(naf: &[u8], impi: &[u8]) -> String {
    let data = [&[0xDE, naf.len() as u8], naf, &[impi.len() as u8], impi].concat();
    format!("00880084{:02X}{}", data.len(), string(&data))
}

fn read(bench: &mut Bench, fid: u16, command: &str) -> String {
    bench.ok(&format!("00A4000C02{fid:04X}"));
    bench.ok(command)
}

/// What the terminal does with the answer of the network: B-TID and key lifetime behind the RAND.
fn put_b_tid(bench: &mut Bench) {
    bench.ok(&format!("00A4000C02{GBABP:04X}"));
    bench.ok(&format!("00D6001109 05{} 02 3132", string(B_TID)));
}

#[test]
fn keys_for_a_network_application_function() {
    let mut bench = ready(with_gba(2));
    assert_eq!(bench.sw(&derivation(NAF, IMPI)), 0x6985, "before any bootstrapping");
    assert_eq!(bench.ok(&bootstrapping(1)), format!("DB08{RES}"));
    assert_eq!(bench.replaces(), 2);
    let expected = format!("10{}0000{}", string(&RAND), "FF".repeat(21));
    assert_eq!(read(&mut bench, GBABP, "00B0000000"), expected);
    put_b_tid(&mut bench);
    let _ = bench.replaces();
    assert_eq!(bench.ok(&derivation(NAF, IMPI)), format!("DB20{KS_EXT_NAF}"));
    assert_eq!(bench.replaces(), 1);
    let entry = format!("8014{}8105{}FFFFFF", string(NAF), string(B_TID));
    assert_eq!(read(&mut bench, GBANL, "00B2010420"), entry);
    // Again, it is the same, and nothing is written.
    assert_eq!(bench.ok(&derivation(NAF, IMPI)), format!("DB20{KS_EXT_NAF}"));
    assert_eq!(bench.replaces(), 0);
    // Another identity, another key; and it is there after a power cut.
    bench.reboot();
    bench.verify_pin1();
    bench.select_usim();
    assert_eq!(bench.ok(&derivation(NAF, IMPI)), format!("DB20{KS_EXT_NAF}"));
    assert_ne!(bench.ok(&derivation(NAF, b"x")), format!("DB20{KS_EXT_NAF}"));
    // A new bootstrapping with a number that is used up: AUTS, and the keys stay.
    assert_eq!(resynchronised(&RAND, &bench.ok(&bootstrapping(1))), sqn(1, 0));
    assert_eq!(bench.ok(&derivation(NAF, IMPI)), format!("DB20{KS_EXT_NAF}"));
}

#[test]
fn the_list_of_functions_ends_with_the_one_that_was_not_used_for_the_longest_time() {
    let mut bench = ready(with_gba(3));
    bench.ok(&bootstrapping(1));
    let names = |bench: &mut Bench| {
        (1..=3).map(|number| read(bench, GBANL, &format!("00B2{number:02X}0420"))[4..6].to_owned()).collect::<Vec<_>>()
    };
    for (naf, list) in [
        (b"1", ["31", "FF", "FF"]),
        (b"2", ["32", "31", "FF"]),
        (b"1", ["31", "32", "FF"]),
        (b"3", ["33", "31", "32"]),
        (b"4", ["34", "33", "31"]),
        (b"1", ["31", "34", "33"]),
    ] {
        bench.ok(&derivation(naf, IMPI));
        assert_eq!(names(&mut bench), list);
    }
    // An entry that no record has room for.
    assert_eq!(bench.sw(&derivation(&[0x55; 29], IMPI)), 0x9866);
    assert_eq!(names(&mut bench), ["31", "34", "33"]);
}

#[test]
fn keys_belong_to_the_rand_that_the_terminal_sees() {
    let mut bench = ready(with_gba(1));
    bench.ok(&bootstrapping(1));
    bench.ok(&format!("00A4000C02{GBABP:04X}"));
    bench.ok("00D6000101 00");
    assert_eq!(bench.sw(&derivation(NAF, IMPI)), 0x6985);
    bench.ok("00D6000101 23");
    assert_eq!(bench.sw(&derivation(NAF, IMPI)), 0x9000);
    // A bootstrapping that lost its power before EF.GBABP was written.
    let mut bench = ready(with_gba(1));
    bench.store.arm(PowerCut { at_write: 1, written: false });
    assert_eq!(bench.apdu(&bootstrapping(1)), (String::new(), 0x6581));
    bench.reboot();
    bench.verify_pin1();
    bench.select_usim();
    assert_eq!(bench.sw(&derivation(NAF, IMPI)), 0x6985);
    assert!(bench.ok(&bootstrapping(1)).starts_with("DC"), "the number is used");
    // One that could not be stored at all leaves everything as it was.
    let mut bench = ready(with_gba(1));
    bench.store.arm(PowerCut { at_write: 0, written: false });
    assert_eq!(bench.apdu(&bootstrapping(1)), (String::new(), 0x6581));
    bench.store.power_on();
    assert_eq!(bench.sw(&derivation(NAF, IMPI)), 0x6985);
    assert_eq!(bench.ok(&bootstrapping(1)), format!("DB08{RES}"));
}

#[test]
fn forms_and_conditions() {
    for (apdu, sw) in [
        (bootstrapping(1), 0x9000),
        (bootstrapping(1).replacen("DD", "DC", 1), 0x6A80),
        ("0088008401DD".to_owned(), 0x6A80),
        ("0088008401DE".to_owned(), 0x6A80),
        ("00880084".to_owned(), 0x6700),
        (format!("0088008412DD10{}", string(&RAND)), 0x6A80),
        ("0088008403DE0000".to_owned(), 0x6985),
        ("0088008404DE000000".to_owned(), 0x6A80),
        ("0088008404DE000101".to_owned(), 0x6985),
        (bootstrapping(1).replacen("008423", "018423", 1), 0x6A86),
    ] {
        assert_eq!(ready(with_gba(1)).sw(&apdu), sw, "{apdu}");
    }
    let mut wrong = crate::hex(&bootstrapping(1));
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(ready(with_gba(1)).sw(&string(&wrong)), 0x9862);
    // Without the service, without EF.GBABP, with one that is too small, without EF.GBANL.
    let changed = |change: &dyn Fn(&mut Profile)| {
        let mut profile = with_gba(1);
        change(&mut profile);
        ready(profile)
    };
    let set = |profile: &mut Profile, fid, change: &dyn Fn(&mut File)| {
        let at = index_of(profile, fid);
        change(&mut profile.files[at]);
    };
    let mut bench = changed(&|profile| set(profile, 0x6F38, &|file| file.content[8] = 0));
    assert_eq!(bench.sw(&bootstrapping(1)), 0x9864);
    assert_eq!(bench.sw(&derivation(NAF, IMPI)), 0x9864);
    let mut bench = changed(&|profile| set(profile, GBABP, &|file| file.fid = 0x6FFF));
    assert_eq!(bench.sw(&bootstrapping(1)), 0x9864);
    let mut bench = changed(&|profile| set(profile, GBABP, &|file| file.content.truncate(18)));
    assert_eq!(bench.sw(&bootstrapping(1)), 0x9866);
    let mut bench = changed(&|profile| set(profile, GBABP, &|file| file.content.truncate(19)));
    assert_eq!(bench.sw(&bootstrapping(1)), 0x9000);
    let mut bench = changed(&|profile| set(profile, GBANL, &|file| file.fid = 0x6FFF));
    bench.ok(&bootstrapping(1));
    assert_eq!(bench.ok(&derivation(NAF, IMPI)), format!("DB20{KS_EXT_NAF}"));
    // Nobody without the PIN.
    let mut bench = Bench::with(with_gba(1));
    bench.select_usim();
    assert_eq!(bench.sw(&bootstrapping(1)), 0x6982);
    assert_eq!(bench.sw(&derivation(NAF, IMPI)), 0x6982);
}

/// The ISIM (test algorithm) has the same with other file identifiers.
#[test]
fn gba_of_an_isim() {
    let mut profile = with_gba(1);
    let isim = FileIndex(index_of(&profile, 0x7FF1).try_into().unwrap());
    for (fid, to) in [(GBABP, 0x6FD5), (GBANL, 0x6FD7)] {
        let at = index_of(&profile, fid);
        (profile.files[at].fid, profile.files[at].parent) = (to, isim);
    }
    let mut builder = ProfileBuilder::of(profile);
    builder.ef(isim, 0x6F07, FileKind::Transparent, None, rule::READ_PIN1, &[0x02]);
    let mut bench = Bench::with(builder.build());
    bench.verify_pin1();
    bench.ok("00A4040C07A0000000871004");
    let xor = "0088008423DD10 00000000000000000000000000000000 10 030405060708 0000 0001020304050607";
    assert_eq!(bench.ok(xor), "DB10000102030405060708090A0B0C0D0E0F");
    assert!(bench.ok(&derivation(NAF, IMPI)).starts_with("DB20"));
}
