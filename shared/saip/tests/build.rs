//! The builder's packages, read back.
#![cfg(feature = "build")]

use teuicc_saip::build::{Algorithm, BuildError, ISIM_AID, Ims, ProfileSpec, USIM_AID, build};
use teuicc_saip::layout::{self, has_service};
use teuicc_saip::order::OrderChecker;
use teuicc_saip::pe::{AlgoConfiguration, AlgorithmId, DEFAULT_ROTATION, DEFAULT_XORING, PinCodes, Service};
use teuicc_saip::{Element, PeKind, ProfileElement, next_element};

fn spec() -> ProfileSpec<'static> {
    ProfileSpec {
        iccid: "8988211000000000011",
        imsi: "001010123456789",
        mnc_len: 2,
        algorithm: Algorithm::Milenage,
        key: &[0x46; 16],
        opc: &[0xCD; 16],
        profile_type: "Test profile",
        service_provider_name: "Test",
        pin1: "1234",
        pin1_enabled: false,
        puk1: "12345678",
        pin2: "5678",
        puk2: "87654321",
        adm1: "55555555",
        msisdn: Some("+15551234567"),
        access_class: None,
        ims: Some(Ims::default()),
    }
}

fn elements(package: &[u8]) -> Vec<Element<'_>> {
    let mut rest = package;
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let element = next_element(rest).unwrap().unwrap();
        assert_eq!(element.unknown, None);
        rest = &rest[element.raw.len()..];
        elements.push(element);
    }
    elements
}

/// The content of the file with this name in the first element of this kind.
fn content(package: &[u8], kind: PeKind, name: &str) -> Vec<u8> {
    let elements = elements(package);
    let element = elements.iter().find(|element| element.kind == kind).unwrap();
    let ProfileElement::Template(files) = &element.content else { panic!("{kind:?}") };
    let template = files.template.unwrap();
    let entry = files.creations().find(|entry| entry.definition.name == name).unwrap();
    let instance = entry.file.instances().next().unwrap();
    let file = layout::template_file(entry.definition, &instance, template.in_mf(entry.index)).unwrap();
    let mut bytes = Vec::new();
    layout::fill_content(&file, instance.fills(), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_built_package_is_read_back_in_order_and_whole() {
    for ims in [None, Some(Ims::default())] {
        let package = build(&ProfileSpec { ims, ..spec() }).unwrap();
        let elements = elements(&package);
        let mut order = OrderChecker::new();
        elements.iter().for_each(|element| order.feed(element.kind).unwrap());
        assert!(order.is_complete());
        let mut identifications: Vec<_> = elements.iter().filter_map(Element::identification).collect();
        identifications.dedup();
        assert_eq!(identifications.len(), elements.len() - 1, "each its own number");
        let ProfileElement::Header(header) = &elements[0].content else { panic!() };
        assert_eq!((header.major, header.minor, header.profile_type), (2, 3, Some("Test profile")));
        assert_eq!(header.iccid, b"\x89\x88\x21\x10\x00\x00\x00\x00\x01\x1F");
        assert!(header.services.contains(Service::Usim) && header.services.contains(Service::Milenage));
        assert_eq!(header.services.contains(Service::Isim), ims.is_some());
    }
}

#[test]
fn all_files_of_the_package_can_be_laid_out() {
    let package = build(&spec()).unwrap();
    for element in elements(&package) {
        let ProfileElement::Template(files) = &element.content else { continue };
        for entry in files.creations() {
            for instance in entry.file.instances() {
                let file = layout::template_file(entry.definition, &instance, false)
                    .unwrap_or_else(|error| panic!("{}: {error}", entry.definition.name));
                let mut bytes = Vec::new();
                layout::fill_content(&file, instance.fills(), &mut bytes)
                    .unwrap_or_else(|error| panic!("{}: {error}", entry.definition.name));
            }
        }
    }
}

#[test]
fn the_files_hold_what_the_description_says() {
    let package = build(&spec()).unwrap();
    let usim = |name| content(&package, PeKind::Usim, name);
    assert_eq!(content(&package, PeKind::Mf, "ef-iccid"), b"\x98\x88\x12\x01\x00\x00\x00\x00\x10\xF1");
    let dir = content(&package, PeKind::Mf, "ef-dir");
    assert_eq!((&dir[4..20], &dir[30..46]), (&USIM_AID[..], &ISIM_AID[..]));
    assert_eq!(usim("ef-imsi"), b"\x08\x09\x10\x10\x10\x32\x54\x76\x98");
    assert_eq!(usim("ef-acc"), [0x02, 0x00], "class 9");
    assert_eq!(usim("ef-ad"), [0, 0, 0, 2]);
    assert_eq!(usim("ef-spn"), b"\x01Test\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    assert_eq!(usim("ef-loci"), b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\xFF\x01");
    let opt = |name| content(&package, PeKind::OptUsim, name);
    assert_eq!(opt("ef-hplmnwact"), [0x00, 0xF1, 0x10, 0xC8, 0x80]);
    assert_eq!(opt("ef-li"), b"en\xFF\xFF\xFF\xFF");
    assert_eq!(opt("ef-msisdn")[10..18], [0x07, 0x91, 0x51, 0x55, 0x21, 0x43, 0x65, 0xF7]);
    let isim = |name| content(&package, PeKind::Isim, name);
    assert_eq!(isim("ef-impi"), b"\x80\x31001010123456789@ims.mnc001.mcc001.3gppnetwork.org");
    assert_eq!(isim("ef-impu")[..8], *b"\x80\x35sip:00");
    assert_eq!(isim("ef-domain"), b"\x80\x21ims.mnc001.mcc001.3gppnetwork.org");
}

#[test]
fn the_service_table_names_the_files_that_are_there() {
    let with = build(&spec()).unwrap();
    let without = build(&ProfileSpec { msisdn: None, ..spec() }).unwrap();
    let ust = content(&with, PeKind::Usim, "ef-ust");
    for service in [10, 12, 19, 20, 21, 27, 33, 38, 42, 43, 85, 122, 123] {
        assert!(has_service(&ust, service), "{service}");
    }
    for service in [1, 2, 17, 45, 89, 99, 124, 125] {
        assert!(!has_service(&ust, service), "{service}");
    }
    assert!(!has_service(&content(&without, PeKind::Usim, "ef-ust"), 21));
}

#[test]
fn keys_and_pins_are_those_of_the_description() {
    let package = build(&spec()).unwrap();
    let (mut keys, mut pins, mut puks) = (0, Vec::new(), Vec::new());
    for element in elements(&package) {
        match element.content {
            ProfileElement::AkaParameter(aka) => {
                let AlgoConfiguration::Algorithm(algorithm) = aka.algorithm else { panic!() };
                assert_eq!(algorithm.algorithm, AlgorithmId::Milenage);
                assert_eq!((algorithm.key, algorithm.opc), (&[0x46; 16][..], &[0xCD; 16][..]));
                assert_eq!((algorithm.rotation, algorithm.xoring), (DEFAULT_ROTATION, DEFAULT_XORING));
                keys += 1;
            }
            ProfileElement::PinCodes(PinCodes::Config(list)) => pins.extend(list.iter()),
            ProfileElement::PukCodes(list) => puks.extend(list.iter()),
            _ => {}
        }
    }
    assert_eq!(keys, 2);
    let values: Vec<_> = pins.iter().map(|pin| (pin.key_reference, pin.value, pin.attributes)).collect();
    let pin2 = (0x81, *b"5678\xFF\xFF\xFF\xFF", 3);
    assert_eq!(values, [(1, *b"1234\xFF\xFF\xFF\xFF", 6), (10, *b"55555555", 3), pin2, pin2]);
    assert_eq!((pins[0].max_attempts, pins[0].attempts_left, pins[0].unblocking_reference), (3, 3, Some(1)));
    let values: Vec<_> = puks.iter().map(|puk| (puk.key_reference, puk.value, puk.attempts_left)).collect();
    assert_eq!(values, [(1, *b"12345678", 10), (0x81, *b"87654321", 10)]);
}

#[test]
fn a_bad_member_is_named() {
    let cases: [(&str, ProfileSpec<'_>); 12] = [
        ("iccid", ProfileSpec { iccid: "12345", ..spec() }),
        ("imsi", ProfileSpec { imsi: "0010101234567890", ..spec() }),
        ("imsi", ProfileSpec { imsi: "00101x", ..spec() }),
        ("mnc_len", ProfileSpec { mnc_len: 4, ..spec() }),
        ("key", ProfileSpec { key: &[0; 15], ..spec() }),
        ("opc", ProfileSpec { opc: &[0; 17], ..spec() }),
        ("profile_type", ProfileSpec { profile_type: "", ..spec() }),
        ("service_provider_name", ProfileSpec { service_provider_name: "a name that is too long", ..spec() }),
        ("pin1", ProfileSpec { pin1: "123", ..spec() }),
        ("puk2", ProfileSpec { puk2: "1234567", ..spec() }),
        ("msisdn", ProfileSpec { msisdn: Some("+"), ..spec() }),
        ("impi", ProfileSpec { ims: Some(Ims { impi: Some(""), ..Ims::default() }), ..spec() }),
    ];
    for (wrong, spec) in cases {
        let error = build(&spec).unwrap_err();
        assert!(matches!(error, BuildError::Field { name, .. } if name == wrong), "{wrong}: {error}");
    }
}

#[test]
fn neither_errors_nor_debug_output_hold_a_secret() {
    let spec = ProfileSpec { pin1: "73519", puk1: "64208642", ..spec() };
    let package = build(&spec).unwrap();
    let mut text = format!("{spec:?}");
    elements(&package).iter().for_each(|element| text += &format!("{element:?}"));
    for element in elements(&package) {
        if let ProfileElement::PinCodes(PinCodes::Config(list)) = element.content {
            list.iter().for_each(|pin| text += &format!("{pin:?}"));
        }
    }
    for secret in ["73519", "64208642", "70, 70, 70", "46, 46", "205, 205", "55, 51, 53, 49", "54, 52, 50, 48"] {
        assert!(!text.contains(secret), "{secret}");
    }
}
