//! GET IDENTITY, with the test data of TS 33.501 annex C.4: the random source gives the ephemeral keys that stand
//! there.

use crate::{SLOT, hex, string};
use hex_literal::hex;
use teuicc_card::profile::{FileIndex, FileKind, Profile};
use teuicc_card::testing::MemoryStore;
use teuicc_card::testing::profile::{self, ProfileBuilder, rule};
use teuicc_card::{Card, Platform, Rng};
use teuicc_wire::Interface;

const GET_SUCI: &str = "8078008100";
const GET_OFFLOAD: &str = "8078008200";

/// Protection scheme identifier list: B with the first key, A with the second, null.
const B_A_NULL: [u8; 8] = hex!("A006 0201 0102 0000");
const KEYS: [u8; 109] = hex!(
    "A16B"
    "80011B 8141 0472DA71976234CE833A6907425867B82E074D44EF907DFB4B3E21C1C2256EBCD1"
    "5A7DED52FCBB097A4ED250E036C7B9C8C7004C4EEDC4F068CD7BF8D3F900E3B4"
    "80011E 8120 5A8D38864820197C3394B92613B20B91633CBD897119273BF8E4A6F4EEC0A650"
);
/// MCC 274, MNC 012, MSIN 001002086.
const IMSI: [u8; 9] = hex!("08 29 47 10 02 10 00 02 68");
const NAI: &[u8] = b"\x80\x1Averylongusername1@3gpp.com";

/// Ephemeral private keys of the test data, and what they give.
const EPHEMERAL_A: [u8; 32] = hex!("c80949f13ebe61af4ebdbd293ea4f942696b9e815d7e8f0096bbf6ed7de62256");
const OUTPUT_A: &str = "B2E92F836055A255837DEBF850B528997CE0201CB82ADFE4BE1F587D07D8457DCB02352410CDDD9E730EF3FA87";
const EPHEMERAL_B: [u8; 32] = hex!("99798858A1DC6A2C68637149A4B1DBFD1FDFF5ADDD62A2142F06699ED7602529");
const OUTPUT_B: &str = "039AAB8376597021E855679A9778EA0B67396E68C66DF32C0F41E9ACCA2DA9B9D146A33FC2716AC7DAE96AA30A4D";
const EPHEMERAL_A_NAI: [u8; 32] = hex!("BE9EFF3E9F22A4B42A3D236E7A6C500B3F2E7E0C7449988BA800D664BF4FCD97");
const OUTPUT_A_NAI: &str = "ecckey977D8B2FDAA7B64AA700D04227D5B440630EA4EC50F9082273A26BB678C92222\
     .cip8E358A1582ADB15322C10E515141D2039A.mac12E1D7783A97F1AC";
const EPHEMERAL_B_NAI: [u8; 32] = hex!("90A5898BD29FFA3F261E00E980067C70A2B1B992A21F5B4FEF6D4DF69FE804AD");
const OUTPUT_B_NAI: &str = "ecckey03759BB22C563D9F4A6B3C1419E543FC2F39D6823F02A9D71162B39399218B244B\
     .cipBE22D8B9F856A52ED381CD7EAF4CF2D525.mac3CDDC61A0A7882EB";

/// A random source that gives one number.
struct Fixed([u8; 32]);

impl Rng for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().zip(self.0.iter().cycle()).for_each(|(to, from)| *to = *from);
    }
}

/// What the USIM of a card has.
struct Usim {
    services: &'static [usize],
    imsi: Vec<u8>,
    /// EF.AD.
    ad: Vec<u8>,
    nai: Option<Vec<u8>>,
    routing_indicator: Option<Vec<u8>>,
    /// EF.SUCI_Calc_Info in DF.SAIP.
    info: Option<Vec<u8>>,
    ephemeral: [u8; 32],
}

impl Usim {
    fn new(info: &[&[u8]], ephemeral: [u8; 32]) -> Self {
        Usim {
            services: &[124, 125],
            imsi: IMSI.to_vec(),
            ad: hex!("00000003").to_vec(),
            nai: None,
            routing_indicator: Some(hex!("17FFFFFF").to_vec()),
            info: Some(info.concat()),
            ephemeral,
        }
    }

    fn profile(&self) -> Profile {
        let mut profile = profile::profile(SLOT);
        let at = |profile: &Profile, fid| profile.files.iter().position(|file| file.fid == fid).unwrap();
        let usim = FileIndex(at(&profile, 0x7FF0).try_into().unwrap());
        let (imsi, ust) = (at(&profile, 0x6F07), at(&profile, 0x6F38));
        profile.files[imsi].content = self.imsi.clone();
        let ust = &mut profile.files[ust].content;
        ust.resize(18, 0);
        self.services.iter().for_each(|service| ust[(service - 1) / 8] |= 1 << ((service - 1) % 8));
        let mut builder = ProfileBuilder::of(profile);
        let ef = FileKind::Transparent;
        builder.ef(usim, 0x6FAD, ef, None, rule::ALWAYS, &self.ad);
        let df_5gs = builder.directory(usim, FileKind::Df, 0x5FC0, &[], &[]);
        let df_saip = builder.directory(usim, FileKind::Df, 0x5FD0, &[], &[]);
        let info = self.info.as_ref().map(|info| [&info[..], &[0xFF; 9]].concat());
        let files = [(df_5gs, 0x4F09, &self.nai), (df_5gs, 0x4F0A, &self.routing_indicator), (df_saip, 0x4F01, &info)];
        for (df, fid, content) in files {
            if let Some(content) = content {
                builder.ef(df, fid, ef, None, rule::ALWAYS, content);
            }
        }
        builder.build()
    }

    fn card(&self) -> Card<Fixed, MemoryStore> {
        self.card_with(self.profile())
    }

    fn card_with(&self, profile: Profile) -> Card<Fixed, MemoryStore> {
        let mut store = MemoryStore::new();
        profile::store(&mut store, profile).unwrap();
        let platform = Platform { rng: Fixed(self.ephemeral), store, rollback_protection: false };
        let mut card = Card::boot_with_profile(platform, SLOT);
        card.power_up(Interface::Modem).unwrap();
        card
    }

    /// Selects the USIM, presents its PIN, and sends one command.
    fn apdu(&self, apdu: &str) -> (Vec<u8>, u16) {
        let mut card = self.card();
        for command in ["00A4040C07A0000000871002", "002000010831323334FFFFFFFF", apdu] {
            let response = card.transmit(Interface::Modem, &hex(command)).unwrap();
            if command == apdu {
                return (response.data, response.sw.0);
            }
            assert_eq!(response.sw.0, 0x9000, "{command}");
        }
        unreachable!()
    }

    fn sw(&self) -> u16 {
        let (data, sw) = self.apdu(GET_SUCI);
        assert!(data.is_empty());
        sw
    }

    /// The SUCI behind tag and length.
    fn suci(&self, apdu: &str) -> Vec<u8> {
        let (data, sw) = self.apdu(apdu);
        assert_eq!((sw, data[0]), (0x9000, 0xA1));
        let header = if data[1] == 0x81 { 3 } else { 2 };
        assert_eq!(usize::from(data[header - 1]), data.len() - header);
        data[header..].to_vec()
    }
}

#[test]
fn the_suci_of_an_imsi_is_that_of_the_test_data() {
    // Octets 4 to 11: SUCI, MCC and MNC, routing indicator 71, scheme, key.
    let b = Usim::new(&[&B_A_NULL, &KEYS], EPHEMERAL_B);
    assert_eq!(string(&b.suci(GET_SUCI)), "0172241017FF021B".to_owned() + OUTPUT_B);
    let a = Usim::new(&[&hex!("A004 0102 0201"), &KEYS], EPHEMERAL_A);
    assert_eq!(string(&a.suci(GET_SUCI)), "0172241017FF011E".to_owned() + OUTPUT_A);
    let null = Usim::new(&[&hex!("A002 0000")], EPHEMERAL_A);
    assert_eq!(string(&null.suci(GET_SUCI)), "0172241017FF000000012080F6");
    // MCC 234, MNC 56, MSIN 789012345: an even number of digits. No routing indicator.
    let mut other = Usim::new(&[&hex!("A002 0000")], EPHEMERAL_A);
    (other.imsi, other.ad) = (hex!("08 21 43 65 87 09 21 43 F5").to_vec(), hex!("0000000201").to_vec());
    for none in [None, Some(hex!("FFFFFFFF").to_vec()), Some(vec![])] {
        other.routing_indicator = none;
        assert_eq!(string(&other.suci(GET_SUCI)), "0132F465F0FF000087092143F5");
    }
}

#[test]
fn the_suci_of_a_network_specific_identifier_is_an_nai() {
    let with = |info: &[&[u8]], ephemeral| {
        let mut usim = Usim::new(info, ephemeral);
        (usim.services, usim.nai) = (&[124, 125, 130, 142], Some(NAI.to_vec()));
        let suci = usim.suci(GET_SUCI);
        assert_eq!(suci[0], 0x11);
        assert_eq!(suci[1..], usim.suci(GET_OFFLOAD));
        String::from_utf8(suci[1..].to_vec()).unwrap()
    };
    let a = with(&[&hex!("A002 0102"), &KEYS], EPHEMERAL_A_NAI);
    assert_eq!(a, format!("type1.rid71.schid1.hnkey30.{OUTPUT_A_NAI}@3gpp.com"));
    let b = with(&[&hex!("A002 0201"), &KEYS], EPHEMERAL_B_NAI);
    assert_eq!(b, format!("type1.rid71.schid2.hnkey27.{OUTPUT_B_NAI}@3gpp.com"));
    let null = with(&[&hex!("A002 0000")], EPHEMERAL_B);
    assert_eq!(null, "type1.rid71.schid0.useridverylongusername1@3gpp.com");
}

/// A USIM of TS 31.102 annex N has an AID of its own, no EF.IMSI and, as pySim has it, all other files where they are.
#[test]
fn a_usim_without_an_imsi_is_one() {
    let mut usim = Usim::new(&[&hex!("A002 0102"), &KEYS], EPHEMERAL_A_NAI);
    (usim.services, usim.nai) = (&[27, 38, 124, 125, 130], Some(NAI.to_vec()));
    let mut profile = usim.profile();
    let adf = profile.files.iter_mut().find(|file| file.aid == profile::USIM).unwrap();
    adf.aid[6] = 0x0B;
    profile.files.iter_mut().find(|file| file.fid == 0x6F07).unwrap().fid = 0x6F70;
    let mut card = usim.card_with(profile);
    let mut apdu = |apdu: &str| card.transmit(Interface::Modem, &hex(apdu)).unwrap();
    assert_eq!(apdu("A0A40000027F20").sw.0, 0x9404, "no SIM is made of it");
    for command in ["00A4040C07A000000087100B", "002000010831323334FFFFFFFF"] {
        assert_eq!(apdu(command).sw.0, 0x9000);
    }
    let suci = apdu(GET_SUCI);
    let nai = format!("\x11type1.rid71.schid1.hnkey30.{OUTPUT_A_NAI}@3gpp.com");
    assert_eq!((suci.sw.0, String::from_utf8_lossy(&suci.data[3..]).as_ref()), (0x9000, nai.as_str()));
    assert_eq!(apdu("008800801110 00000000000000000000000000000000").sw.0, 0x9000, "the GSM context");
    assert_eq!(apdu("A0A40000023F00").sw.0, 0x6E00, "a USIM session");
}

#[test]
fn the_suci_of_an_imsi_for_offload_is_an_nai_too() {
    let mut usim = Usim::new(&[&hex!("A002 0102"), &KEYS], EPHEMERAL_A);
    assert_eq!(usim.apdu(GET_OFFLOAD), (vec![], 0x6A81));
    usim.services = &[124, 125, 142];
    let (key, rest) = OUTPUT_A.split_at(64);
    let (cipher, mac) = rest.split_at(10);
    let expected =
        format!("type0.rid71.schid1.hnkey30.ecckey{key}.cip{cipher}.mac{mac}@5gc-nswo.mnc012.mcc274.3gppnetwork.org");
    assert_eq!(String::from_utf8(usim.suci(GET_OFFLOAD)).unwrap(), expected);
    let mut null = Usim::new(&[&hex!("A002 0000")], EPHEMERAL_A);
    (null.services, null.ad, null.routing_indicator) = (&[124, 125, 142], hex!("00000002").to_vec(), None);
    let expected = "type0.rid0.schid0.userid2001002086@5gc-nswo.mnc001.mcc274.3gppnetwork.org";
    assert_eq!(String::from_utf8(null.suci(GET_OFFLOAD)).unwrap(), expected);
}

/// Bit 8 of P2 says that the identity is the application's, as in AUTHENTICATE; pySim leaves it out.
#[test]
fn the_identity_is_the_applications_whatever_bit_8_says() {
    let mut usim = Usim::new(&[&hex!("A002 0102"), &KEYS], EPHEMERAL_A);
    usim.services = &[124, 125, 142];
    assert_eq!(usim.suci("8078000100"), usim.suci(GET_SUCI));
    assert_eq!(usim.suci("8078000200"), usim.suci(GET_OFFLOAD));
}

#[test]
fn no_scheme_takes_the_place_of_one_that_cannot_be_used() {
    let mut off_curve = KEYS;
    off_curve[40] ^= 4;
    let mut small_order = KEYS;
    small_order[77..].fill(0);
    for (what, info) in [
        ("keys are missing", &[&B_A_NULL[..]][..]),
        ("the key is not on the curve", &[&B_A_NULL, &off_curve]),
        ("the key is of small order", &[&hex!("A004 0102 0000"), &small_order]),
        ("the key is that of the other profile", &[&hex!("A004 0101 0000"), &KEYS]),
        ("there are only two keys", &[&hex!("A004 0103 0000"), &KEYS]),
        ("no key is referred to", &[&hex!("A004 0100 0000"), &KEYS]),
        ("only schemes of an operator", &[&hex!("A004 0C01 0D01"), &KEYS]),
        ("no scheme at all", &[&hex!("A000"), &KEYS]),
        ("an empty file", &[]),
        ("half an object", &[&hex!("A006 0201")]),
    ] {
        let usim = Usim::new(info, EPHEMERAL_B);
        assert_eq!(usim.sw(), 0x6985, "{what}");
    }
    // A scheme that nobody knows is passed over, and the null-scheme is used where it comes first.
    let usim = Usim::new(&[&hex!("A006 0C01 0201 0000"), &KEYS], EPHEMERAL_B);
    assert!(string(&usim.suci(GET_SUCI)).ends_with(OUTPUT_B));
    let usim = Usim::new(&[&hex!("A004 0000 0201"), &KEYS], EPHEMERAL_B);
    assert!(string(&usim.suci(GET_SUCI)).ends_with("000000012080F6"));
}

#[test]
fn the_service_table_says_who_calculates() {
    for services in [&[][..], &[124], &[125]] {
        let mut usim = Usim::new(&[&B_A_NULL, &KEYS], EPHEMERAL_B);
        usim.services = services;
        assert_eq!(usim.sw(), 0x6A81);
    }
}

#[test]
fn files_that_are_not_there_or_hold_something_else() {
    let new = || Usim::new(&[&B_A_NULL, &KEYS], EPHEMERAL_B);
    let mut usim = new();
    usim.info = None;
    assert_eq!(usim.sw(), 0x6A88);
    let mut usim = new();
    usim.services = &[124, 125, 130];
    assert_eq!(usim.sw(), 0x6A88);
    for nai in [&b""[..], b"\x80\x03a@", b"\x80\x03abc", b"\x80\x03@bc", b"\x80\x03ab@", b"\x81\x03a@b", b"\xFF\xFF"] {
        usim.nai = Some(nai.to_vec());
        assert_eq!(usim.sw(), 0x6985, "{nai:02X?}");
    }
    for ad in [&[][..], &[0, 0, 0], &[0, 0, 0, 4], &[0, 0, 0, 0xFF]] {
        let mut usim = new();
        usim.ad = ad.to_vec();
        assert_eq!(usim.sw(), 0x6985, "{ad:02X?}");
    }
    for imsi in [&[][..], &[0xFF; 9], &hex!("08 29 47"), &hex!("03 29 47 F0"), &hex!("04 29 47 10 F2")] {
        let mut usim = new();
        usim.imsi = imsi.to_vec();
        assert_eq!(usim.sw(), 0x6985, "{imsi:02X?}");
    }
}

#[test]
fn forms_and_conditions() {
    let usim = Usim::new(&[&B_A_NULL, &KEYS], EPHEMERAL_B);
    for (apdu, sw) in [
        ("8078008000", 0x6A86),
        ("8078008300", 0x6A86),
        ("8078000000", 0x6A86),
        ("8078000300", 0x6A86),
        ("8078018100", 0x6A86),
        ("807800810100", 0x6700),
        ("0078008100", 0x6E00),
        ("80780081", 0x9000),
    ] {
        assert_eq!(usim.apdu(apdu).1, sw, "{apdu}");
    }
    let mut card = usim.card();
    let mut sw = |apdu: &str| card.transmit(Interface::Modem, &hex(apdu)).unwrap().sw.0;
    assert_eq!(sw(GET_SUCI), 0x6985);
    assert_eq!(sw("00A4040C07A0000000871002"), 0x9000);
    assert_eq!(sw(GET_SUCI), 0x6982);
    assert_eq!(sw("002000010831323334FFFFFFFF"), 0x9000);
    assert_eq!(sw(GET_SUCI), 0x9000);
    // An ISIM has none.
    assert_eq!(sw("00A4040C07A0000000871004"), 0x9000);
    assert_eq!(sw(GET_SUCI), 0x6A81);
}
