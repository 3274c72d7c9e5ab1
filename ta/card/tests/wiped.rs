//! Memory that the card gives back holds no key: an allocator looks for planted keys in every block that the card
//! frees.
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

mod common;

use common::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use teuicc_apdu::{Response, encode_command};
use teuicc_card::testing::ota::{Server, TAR_USIM};
use teuicc_card::testing::{SeededRng, ota};
use teuicc_card::{Card, ObjectId, Platform, Store, StoreError};
use teuicc_rsp::aid;
use teuicc_rsp::bpp::segments;
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::es10::*;
use teuicc_rsp::object::Object;
use teuicc_rsp::scp03t::SessionKeys;
use teuicc_rsp::tags;
use teuicc_saip::build::{Algorithm, ProfileSpec, build};
use teuicc_saip::{PeKind, next_element};
use teuicc_tlv::{Tag, Writer};
use teuicc_wire::Interface;

/// K, OPc, profile protection keys, and what a modem writes into EF.KEYS.
const KEYS: [[u8; 16]; 4] = [
    *b"\xC1\xD2\xE3\xF4\x05\x16\x27\x38\x49\x5A\x6B\x7C\x8D\x9E\xAF\xB1",
    *b"\xB1\xA2\x93\x84\x75\x66\x57\x48\x39\x2A\x1B\x0C\xFD\xEE\xDF\xC2",
    *b"\x91\x82\x73\x64\x55\x46\x37\x28\x19\x0A\xFB\xEC\xDD\xCE\xBF\xA2",
    *b"\x61\x72\x83\x94\xA5\xB6\xC7\xD8\xE9\xFA\x0B\x1C\x2D\x3E\x4F\x52",
];

thread_local! {
    /// Whether the card is running on this thread.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// Size of a block that was freed with this key in it.
    static FOUND: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

struct Watching;

// SAFETY: forwards to the system's allocator; a block is read before it is given back.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the same. Zeroed, so that reading a block is reading initialised memory.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if WATCHED.get() {
            // SAFETY: the block is still allocated, and was initialised when it was made.
            let block = unsafe { std::slice::from_raw_parts(pointer, layout.size()) };
            let found = KEYS.iter().position(|key| block.windows(8).any(|window| window == &key[..8]));
            if let Some(key) = found {
                FOUND.set(Some((layout.size(), key)));
                if std::env::var_os("WIPED_BACKTRACE").is_some() {
                    WATCHED.set(false);
                    eprintln!("{} {key}\n{}", layout.size(), std::backtrace::Backtrace::force_capture());
                    WATCHED.set(true);
                }
            }
        }
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// A store that frees nothing.
#[derive(Clone, Default)]
struct Leaking(Rc<RefCell<BTreeMap<ObjectId, &'static [u8]>>>);

impl Store for Leaking {
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.borrow().get(&id).map(|value| value.to_vec()))
    }

    fn replace(&mut self, id: ObjectId, value: &[u8]) -> Result<(), StoreError> {
        self.0.borrow_mut().insert(id, value.to_vec().leak());
        Ok(())
    }

    fn remove(&mut self, id: ObjectId) -> Result<(), StoreError> {
        self.0.borrow_mut().remove(&id);
        Ok(())
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        Ok(self.0.borrow().keys().copied().collect())
    }
}

/// Runs a part of the card, and panics if it frees a key.
#[track_caller]
fn watch<T>(what: &str, part: impl FnOnce() -> T) -> T {
    WATCHED.set(true);
    let result = part();
    WATCHED.set(false);
    assert_eq!(FOUND.take(), None, "{what}: size of a block, and key in it");
    result
}

struct Subject(Card<SeededRng, Leaking>);

impl Subject {
    fn boot(store: Leaking) -> Self {
        let platform = Platform { rng: SeededRng::new(7), store, rollback_protection: false };
        let mut card = watch("boot", || Card::boot(platform));
        card.power_up(Interface::Lpa).unwrap();
        card.power_up(Interface::Modem).unwrap();
        let select = encode_command([0x00, 0xA4, 0x04, 0x0C], &aid::ISDR, None).unwrap();
        card.transmit(Interface::Lpa, &select).unwrap();
        Subject(card)
    }

    #[track_caller]
    fn es10(&mut self, command: &[u8]) -> Vec<u8> {
        let count = command.chunks(255).count();
        let mut last = Response::data(Vec::new());
        for (number, block) in command.chunks(255).enumerate() {
            let p1 = if number + 1 == count { 0x91 } else { 0x11 };
            let apdu = encode_command([0x80, 0xE2, p1, number as u8], block, None).unwrap();
            last = watch("ES10", || self.0.transmit(Interface::Lpa, &apdu).unwrap());
        }
        last.data
    }

    #[track_caller]
    fn modem(&mut self, apdu: &[u8]) -> u16 {
        watch("modem", || self.0.transmit(Interface::Modem, apdu).unwrap()).sw.0
    }
}

fn tlv(tag: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.primitive(Tag(tag), &parts.concat()).unwrap();
    writer.into_bytes()
}

/// With applications for remote management and two more security domains before its end, each of these with a key and
/// behind it so much that it comes in several pieces.
fn with_security_domain(package: Vec<u8>) -> Vec<u8> {
    let mut end = 0;
    while let Some(element) = next_element(&package[end..]).unwrap().filter(|element| element.kind != PeKind::End) {
        end += element.raw.len();
    }
    let domain = |number: u8| {
        let names = b"\x4F\x07\xA0\x00\x00\x01\x51\x53\x50\x4F\x08\xA0\x00\x00\x01\x51\x53\x50\x41";
        let aid = tlv(0x4F, &[&[number; 5]]);
        let instance = tlv(0xA1, &[names, &aid, b"\x82\x03\x82\xDC\x00\x83\x01\x0F\xC9\x00"]);
        let component = tlv(0x30, &[&[0x80, 1, 0x88], &tlv(0x86, &[&KEYS[0]])]);
        let key = tlv(0x30, &[&[0x95, 1, 0x18, 0x82, 1, 1, 0x83, 1, 1], &tlv(0x30, &[&component])]);
        let perso = tlv(0xA3, &[&tlv(0x04, &[&[0x5A; 3000]])]);
        tlv(0xA6, &[&[0xA0, 3, 0x81, 1, 110 + number], &instance, &tlv(0xA2, &[&key]), &perso])
    };
    [&package[..end], &ota::elements(&teuicc_saip::build::USIM_AID), &domain(1), &domain(2), &package[end..]].concat()
}

#[test]
fn no_key_is_freed() {
    let pki = Pki::new(Curve::P256);
    let personalized = Device::new(&[&pki]).store.snapshot();
    let store = Leaking::default();
    store.0.borrow_mut().extend(personalized.into_iter().map(|(id, value)| (id, &*value.leak())));
    let mut subject = Subject::boot(store.clone());

    let spec = ProfileSpec {
        iccid: ICCID,
        imsi: "001010123456789",
        mnc_len: 2,
        algorithm: Algorithm::Milenage,
        key: &KEYS[0],
        opc: &KEYS[1],
        profile_type: "test",
        service_provider_name: "Provider",
        pin1: "0000",
        pin1_enabled: false,
        puk1: "11111111",
        pin2: "9999",
        puk2: "22222222",
        adm1: "55555555",
        msisdn: None,
        access_class: None,
        ims: Some(teuicc_saip::build::Ims::default()),
    };
    let package = with_security_domain(build(&spec).unwrap());
    let profile = TestProfile { iccid: ICCID.into(), metadata: metadata(ICCID, |_| ()), package };
    let mut smdp = Smdp::new(&pki, profile);
    smdp.profile_protection_keys = Some(SessionKeys::new(&KEYS[2], &KEYS[2], &KEYS[2]));
    let challenge = subject.es10(&empty_request(tags::GET_EUICC_CHALLENGE).unwrap());
    let answer = subject.es10(&smdp.authenticate_server(challenge[5..].try_into().unwrap()));
    let AuthenticateServerResponse::Ok(ok) = AuthenticateServerResponse::parse(&answer).unwrap() else { panic!() };
    smdp.euicc_signature1 = Some(*ok.euicc_signature1);
    let answer = subject.es10(&smdp.prepare_download(None));
    let PrepareDownloadResponse::Ok(ok) = PrepareDownloadResponse::parse(&answer).unwrap() else { panic!() };
    smdp.euicc_otpk = Some(*ok.euicc_signed2.euicc_otpk);
    let package = smdp.package();
    let mut result = Vec::new();
    for segment in segments(&package).unwrap() {
        result = subject.es10(segment);
    }
    let result = ProfileInstallationResult::parse(&result).unwrap();
    assert!(matches!(result.data.final_result, FinalResult::Success(_)));
    let profile_identifier = ProfileIdentifier::Iccid(digits(ICCID));
    let enable = EnableProfileRequest { profile_identifier, refresh_flag: false }.encode().unwrap();
    assert_eq!(EnableProfileResponse::parse(&subject.es10(&enable)).unwrap().result.code(), 0);

    for round in 0..2 {
        assert_eq!(subject.modem(b"\x00\xA4\x04\x0C\x07\xA0\x00\x00\x00\x87\x10\x02"), 0x9000);
        assert_eq!(subject.modem(b"\x00\x20\x00\x0A\x0855555555"), 0x9000);
        for fid in [[0x6F, 0x08], [0x6F, 0x09], [0x6F, 0x38], [0x6F, 0x46]] {
            assert_eq!(subject.modem(&[&b"\x00\xA4\x00\x0C\x02"[..], &fid].concat()), 0x9000);
            let mut update = vec![0x00, 0xD6, 0x00, 0x00, 0x11, round];
            update.extend(KEYS[3]);
            let sw = subject.modem(&update);
            assert_eq!(sw, 0x9000, "{fid:02X?}");
        }
        // As much as makes the stored changes grow.
        assert_eq!(subject.modem(&[&b"\x00\xA4\x00\x0C\x02"[..], &[0x6F, 0x3C]].concat()), 0x9000);
        for record in 1..=9 {
            let mut update = vec![0x00, 0xDC, record, 0x04, 176];
            update.extend((0..176).map(|byte| byte ^ round));
            assert_eq!(subject.modem(&update), 0x9000);
        }
        // A key that comes ciphered and in two parts, and is read back ciphered.
        let server = Server::new(TAR_USIM, 1 + u64::from(round));
        let mut script = b"\x00\xA4\x00\x0C\x02\x6F\x3C\x00\xDC\x01\x04\xB0".to_vec();
        script.extend(KEYS[3]);
        script.extend([round; 160]);
        script.extend(b"\x00\xB2\x01\x04\xB0");
        let [first, last] = &*server.envelopes(&script) else { panic!() };
        assert_eq!(subject.modem(first), 0x9000);
        let answer = watch("packet", || subject.0.transmit(Interface::Modem, last).unwrap());
        let report = server.report(&answer.data).unwrap();
        assert_eq!((report.status, &report.data[..19]), (0, &[&b"\x03\x62\xF1"[..], &KEYS[3]].concat()[..]));
        let mut authenticate = vec![0x00, 0x88, 0x00, 0x81, 0x22, 0x10];
        authenticate.extend([0; 16]);
        authenticate.push(0x10);
        authenticate.extend([0; 16]);
        assert_eq!(subject.modem(&authenticate), 0x9862);
        watch("power", || subject.0.power_down(Interface::Modem)).unwrap();
        watch("end", || drop(subject));
        subject = Subject::boot(store.clone());
    }
}
