//! No secret leaves the card in an answer, an error or a log line: whatever can be formatted is formatted with secrets
//! planted in it, and searched for them.

mod common;

use common::*;
use std::fmt::{Debug, Write};
use teuicc_apdu::{Command, Response};
use teuicc_card::{ObjectId, StoreError};
use teuicc_rsp::bpp::BppStream;
use teuicc_rsp::crypto::{Curve, SecretKey};
use teuicc_rsp::es10::*;
use teuicc_rsp::object::Object;
use teuicc_rsp::scp03t::{Scp03t, SessionKeys};
use teuicc_rsp::{pkcs8, tags};
use teuicc_saip::{Element, PeKind, next_element};
use teuicc_tlv::{Tag, Tlv, Writer};
use teuicc_wire::{Chain, Commands, Interface, Personalization, Request, Transmitted};

/// K, OPc, a private key, session keys: bytes that occur nowhere else.
const KEY: [u8; 16] = *b"\xC1\xD2\xE3\xF4\x05\x16\x27\x38\x49\x5A\x6B\x7C\x8D\x9E\xAF\xB1";
const OPC: [u8; 16] = *b"\xB1\xA2\x93\x84\x75\x66\x57\x48\x39\x2A\x1B\x0C\xFD\xEE\xDF\xC2";
const SCALAR: [u8; 32] = [0x6B; 32];
/// PIN1, PUK1, PIN2, PUK2, ADM1.
const PINS: [&str; 5] = ["4837", "48370261", "59480", "59481372", "60592483"];

/// Panics if a part of a secret, of 4 bytes or more, stands in `text` in any of the usual ways to write it.
#[track_caller]
fn is_clean(text: &str) {
    let squeezed: String = text.chars().filter(|c| !" ,_\n".contains(*c)).collect::<String>().to_lowercase();
    let pins = PINS.map(str::as_bytes);
    let pieces = [&KEY[..4], &KEY[12..], &OPC[..4], &OPC[12..], &SCALAR[..4]].into_iter().chain(pins);
    for piece in pieces {
        let mut forms = [String::new(), String::new(), String::new()];
        for byte in piece {
            write!(forms[0], "{byte:02x}").unwrap();
            write!(forms[1], "{byte}").unwrap();
            write!(forms[2], "0x{byte:02x}").unwrap();
        }
        let plain = std::str::from_utf8(piece).unwrap_or("\0");
        for form in forms.iter().map(String::as_str).chain([plain]) {
            assert!(!squeezed.contains(form), "{form} of a secret is in {text}");
        }
    }
}

#[track_caller]
fn debug_is_clean(value: &impl Debug) {
    is_clean(&format!("{value:?} {value:#?}"));
}

/// An error as it is shown and as it is logged.
#[track_caller]
fn error_is_clean(error: &(impl Debug + std::fmt::Display)) {
    is_clean(&format!("{error} {error:?} {error:#?}"));
}

/// Panics if a secret stands in bytes that leave the card.
#[track_caller]
fn answer_is_clean(bytes: &[u8]) {
    let pins = PINS.map(str::as_bytes);
    for secret in [&KEY[..], &OPC, &SCALAR].into_iter().chain(pins) {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{bytes:02X?}");
    }
}

fn package() -> Vec<u8> {
    let [pin1, puk1, pin2, puk2, adm1] = PINS;
    let spec = teuicc_saip::build::ProfileSpec {
        iccid: ICCID,
        imsi: "001010123456789",
        mnc_len: 2,
        algorithm: teuicc_saip::build::Algorithm::Milenage,
        key: &KEY,
        opc: &OPC,
        profile_type: "test",
        service_provider_name: "Provider",
        pin1,
        pin1_enabled: true,
        puk1,
        pin2,
        puk2,
        adm1,
        msisdn: None,
        access_class: None,
        ims: None,
    };
    debug_is_clean(&spec);
    teuicc_saip::build::build(&spec).unwrap()
}

fn elements(mut package: &[u8]) -> Vec<Element<'_>> {
    let mut elements = Vec::new();
    while let Some(element) = next_element(package).unwrap() {
        package = &package[element.raw.len()..];
        elements.push(element);
    }
    elements
}

fn object(tag: u32, members: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    writer
        .nested::<teuicc_tlv::Error>(Tag(tag), |writer| {
            members(writer);
            Ok(())
        })
        .unwrap();
    writer.into_bytes()
}

#[test]
fn the_search_finds_what_it_is_for() {
    for text in [format!("{KEY:?}"), format!("{OPC:02X?}"), format!("{:#x?}", &SCALAR[..5]), PINS[1].to_owned()] {
        assert!(std::panic::catch_unwind(|| is_clean(&text)).is_err(), "{text}");
    }
    is_clean("SecretKey(P-256, ..)");
}

#[test]
fn keys() {
    let key = SecretKey::new(Curve::P256, &SCALAR).unwrap();
    debug_is_clean(&key);
    let keys = SessionKeys::new(&KEY, &OPC, &KEY);
    debug_is_clean(&keys);
    debug_is_clean(&Scp03t::new(keys));
    let encoded = pkcs8::expose(&key, &key.public_key().unwrap()).unwrap();
    for length in 0..encoded.len() {
        error_is_clean(&pkcs8::parse(&encoded[..length]).unwrap_err());
    }
    error_is_clean(&SecretKey::new(Curve::P256, &[0; 32]).unwrap_err());
    let replace = SessionKeys::new(&KEY, &OPC, &KEY).expose_replace_session_keys().unwrap();
    debug_is_clean(&Tlv::parse(&replace, tags::REPLACE_SESSION_KEYS).unwrap());
    for length in 0..replace.len() {
        error_is_clean(&SessionKeys::from_replace_session_keys(&replace[..length]).unwrap_err());
    }
}

#[test]
fn elements_of_a_package() {
    let package = package();
    for element in elements(&package) {
        debug_is_clean(&element);
        match &element.content {
            teuicc_saip::ProfileElement::PinCodes(teuicc_saip::pe::PinCodes::Config(pins)) => {
                pins.iter().for_each(|pin| debug_is_clean(&pin));
            }
            teuicc_saip::ProfileElement::PukCodes(puks) => puks.iter().for_each(|puk| debug_is_clean(&puk)),
            _ => {}
        }
        for length in 0..element.raw.len() {
            if let Err(error) = next_element(&element.raw[..length]) {
                debug_is_clean(&error);
            }
        }
    }
    let header = |writer: &mut Writer| writer.primitive(Tag(0xA0), &[0x81, 1, 9]).unwrap();
    // What a maker puts into an element of its own, or into a file.
    let own = object(0xA9, |writer| {
        header(writer);
        writer.primitive(Tag(0x81), &[0x88, 0x37]).unwrap();
        writer.primitive(Tag(0x82), &KEY).unwrap();
    });
    let with_pattern = |pattern: u32| {
        let file = object(0x62, |fcp| {
            fcp.primitive(Tag(0x82), &[0x41, 0x21]).unwrap();
            fcp.primitive(Tag(0x83), &[0x6F, 0x01]).unwrap();
            fcp.primitive(Tag(0x8B), &[1]).unwrap();
            fcp.primitive(Tag(0x80), &[20]).unwrap();
            fcp.raw(&object(0xA5, |info| info.primitive(Tag(pattern), &KEY).unwrap())).unwrap();
        });
        let content = object(0x81, |writer| writer.raw(&OPC).unwrap());
        object(0xA1, |writer| {
            header(writer);
            writer.raw(&object(0xA1, |list| list.primitive(Tag(0x30), &[file, content].concat()).unwrap())).unwrap();
        })
    };
    for raw in [own, with_pattern(0xC1), with_pattern(0xC2)] {
        let element = Element::decode(&raw).unwrap();
        debug_is_clean(&element);
        if let teuicc_saip::ProfileElement::GenericFileManagement(list) = &element.content {
            for command in list.iter().flat_map(|one| one.commands.iter()) {
                debug_is_clean(&command);
                if let teuicc_saip::GfmCommand::CreateFcp(fcp) = &command {
                    debug_is_clean(&teuicc_saip::layout::created_file(fcp, true));
                }
            }
        }
    }
}

#[test]
fn requests_and_responses() {
    let mut verify = vec![0x00, 0x20, 0x00, 0x01, 0x08];
    verify.extend(KEY);
    debug_is_clean(&Command::parse(&verify[..13]).unwrap());
    error_is_clean(&Command::parse(&verify).unwrap_err());
    debug_is_clean(&Response::data(KEY.to_vec()));
    let batch = teuicc_wire::encode_commands(&[&verify]).unwrap();
    let transmit = Request::Transmit { interface: Interface::Modem, commands: Commands::new(&batch).unwrap() };
    let chain = Chain { test_ci: true, ci: &[1], eum: &[2], euicc: &[3], key: Some(&SCALAR) };
    debug_is_clean(&chain);
    let settings = Personalization {
        chains: [Some(chain), None],
        default_dp_address: "",
        root_ds_address: "",
        rules_authorisation_table: &[],
    };
    for request in [transmit, Request::Personalize(settings)] {
        debug_is_clean(&request);
        let encoded = request.encode().unwrap();
        for length in 0..encoded.len() {
            error_is_clean(&Request::decode(&encoded[..length]).unwrap_err());
        }
    }
    let done = Transmitted { executed: 1, last: KEY.to_vec(), proactive_pending: false, card_changed: false };
    debug_is_clean(&done);
    let done = teuicc_wire::Response::Transmitted(done);
    debug_is_clean(&done);
    let encoded = done.encode().unwrap();
    for length in 0..encoded.len() {
        error_is_clean(&teuicc_wire::Response::decode(&encoded[..length]).unwrap_err());
    }
}

#[test]
fn the_confirmation_code() {
    let pki = Pki::new(Curve::P256);
    let hash_cc = std::array::from_fn(|index| KEY[index % 16]);
    let request = Smdp::new(&pki, TestProfile::new(ICCID)).prepare_download(Some(&hash_cc));
    debug_is_clean(&PrepareDownloadRequest::parse(&request).unwrap());
}

#[test]
fn errors_of_a_stream_and_of_a_store() {
    let segment = object(0x87, |writer| writer.raw(&KEY).unwrap());
    error_is_clean(&BppStream::new().next(&mut &segment[..]).unwrap_err());
    let mut channel = Scp03t::new(SessionKeys::new(&KEY, &OPC, &KEY));
    error_is_clean(&channel.unprotect(&Tlv::parse(&segment, Tag(0x87)).unwrap()).unwrap_err());
    for error in [StoreError::Corrupt(ObjectId::Identity), StoreError::Full] {
        error_is_clean(&error);
    }
}

/// Everything that the card says in the life of a profile: downloads that fail behind each element and one that works,
/// every function that tells of it, and every file that a modem can read.
#[test]
fn what_the_card_answers() {
    let pki = Pki::new(Curve::P256);
    let package = package();
    let mut device = Device::new(&[&pki]);
    let mut end = 0;
    for element in elements(&package) {
        end += element.raw.len();
        let whole = element.kind == PeKind::End;
        let profile = TestProfile {
            iccid: ICCID.into(),
            metadata: metadata(ICCID, |_| ()),
            package: package[..if whole { end } else { end - 1 }].to_vec(),
        };
        let result = Smdp::new(&pki, profile).download(&mut device);
        answer_is_clean(&result);
        debug_is_clean(&ProfileInstallationResult::parse(&result).unwrap());
    }
    assert_eq!(device.enable(ICCID, false), 0);
    for function in [tags::PROFILE_INFO_LIST, tags::RETRIEVE_NOTIFICATIONS_LIST, tags::GET_EUICC_INFO2, tags::GET_RAT] {
        answer_is_clean(&device.es10(&empty_request(function).unwrap()));
    }
    device.card.power_up(Interface::Modem).unwrap();
    let mut send = |apdu: &[u8]| {
        let response = device.card.transmit(Interface::Modem, apdu).unwrap();
        answer_is_clean(&response.data);
        response.sw.0
    };
    let usim = b"\x00\xA4\x04\x04\x07\xA0\x00\x00\x00\x87\x10\x02";
    assert_eq!(send(usim), 0x9000);
    assert_eq!(send(&[b"\x00\x20\x00\x01\x08", PINS[0].as_bytes(), &[0xFF; 4]].concat()), 0x9000);
    let mut read = 0;
    for fid in (0x2F00..=0x2FFFu16).chain(0x6F00..=0x6FFF) {
        let [high, low] = fid.to_be_bytes();
        if send(&[0x00, 0xA4, 0x00, 0x04, 0x02, high, low]) == 0x9000 {
            let found = send(&[0x00, 0xB0, 0x00, 0x00, 0x00]) == 0x9000;
            read += u32::from(found | (send(&[0x00, 0xB2, 0x01, 0x04, 0x00]) == 0x9000));
        }
    }
    assert!(read > 20, "{read}");
    let mut authenticate = vec![0x00, 0x88, 0x00, 0x81, 0x22, 0x10];
    authenticate.extend([0; 16]);
    authenticate.push(0x10);
    authenticate.extend([0; 16]);
    assert_eq!(send(&authenticate), 0x9862);
}
