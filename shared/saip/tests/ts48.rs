//! The TS.48 packages, which are published test material: read from the folder in TEUICC_TESTDATA.

use std::path::PathBuf;
use teuicc_saip::layout::{self, EffectiveFile};
use teuicc_saip::order::OrderChecker;
use teuicc_saip::pe::{AlgoConfiguration, AlgorithmId, PinCodes};
use teuicc_saip::template::FileKind;
use teuicc_saip::{Element, GfmCommand, PeKind, ProfileElement, next_element};

/// The packages, with their names.
fn packages() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = std::env::var_os("TEUICC_TESTDATA").map(|root| PathBuf::from(root).join("ts48")) else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return Vec::new();
    };
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "five packages at least in {}", folder.display());
    files.into_iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

fn elements(package: &[u8]) -> Vec<Element<'_>> {
    let mut rest = package;
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let element = next_element(rest).unwrap().unwrap();
        rest = &rest[element.raw.len()..];
        elements.push(element);
    }
    elements
}

#[test]
fn each_package_is_read_to_its_end_and_nothing_is_unknown() {
    for (name, package) in packages() {
        let elements = elements(&package);
        assert!(elements.len() >= 26, "{name}");
        for element in &elements {
            assert_eq!(element.unknown, None, "{name}: {:?}", element.header);
            assert!(!matches!(element.kind, PeKind::Unknown | PeKind::Rfu), "{name}");
            if let ProfileElement::Template(template) = &element.content {
                assert!(template.template.is_some(), "{name}: {}", template.oid);
            }
        }
        let ProfileElement::Header(header) = &elements[0].content else { panic!("{name}") };
        assert_eq!(header.major, 2);
        assert_eq!(header.iccid[0], 0x89);
        assert_eq!(header.services.unknown, None);
        assert!(header.templates.iter().all(|oid| teuicc_saip::template::lookup(oid).is_some()));
    }
}

#[test]
fn pieces_of_any_size_give_the_same_elements() {
    for (name, package) in packages() {
        let whole: Vec<usize> = elements(&package).iter().map(|element| element.raw.len()).collect();
        for piece in [1, 7, 1020] {
            let (mut buffer, mut lengths) = (Vec::new(), Vec::new());
            for bytes in package.chunks(piece) {
                buffer.extend_from_slice(bytes);
                while let Some(consumed) = next_element(&buffer).unwrap().map(|element| element.raw.len()) {
                    buffer.drain(..consumed);
                    lengths.push(consumed);
                }
            }
            assert!(buffer.is_empty());
            assert_eq!(lengths, whole, "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn the_order_is_accepted() {
    for (name, package) in packages() {
        let mut order = OrderChecker::new();
        for element in elements(&package) {
            order.feed(element.kind).unwrap_or_else(|violation| panic!("{name}: {violation}"));
        }
        assert!(order.is_complete());
    }
}

/// Lays out every file of a template element and of generic file management.
fn lay_out(element: &Element<'_>, mut each: impl FnMut(&str, EffectiveFile<'_>, Vec<u8>)) {
    if let ProfileElement::Template(content) = &element.content {
        let template = content.template.unwrap();
        for entry in content.creations() {
            let in_mf = template.in_mf(entry.index);
            for instance in entry.file.instances() {
                let place = format!("{} {} {instance:?}", template.name, entry.definition.name);
                let file = layout::template_file(entry.definition, &instance, in_mf)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                assert!(entry.definition.allows(file.fid), "{place}: {:04X}", file.fid);
                let mut bytes = Vec::new();
                layout::fill_content(&file, instance.fills(), &mut bytes)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                each(entry.definition.name, file, bytes);
            }
        }
    }
}

#[test]
fn each_file_can_be_laid_out_and_has_the_identifier_of_its_template() {
    for (name, package) in packages() {
        let mut files = 0;
        for element in elements(&package) {
            lay_out(&element, |_, file, bytes| {
                if file.kind.is_ef() && file.kind != FileKind::BerTlv && file.link.is_none() {
                    assert_eq!(bytes.len(), file.size);
                }
                files += 1;
            });
            if let ProfileElement::GenericFileManagement(list) = &element.content {
                for command in list.iter().flat_map(|management| management.commands.iter().collect::<Vec<_>>()) {
                    if let GfmCommand::CreateFcp(fcp) = command {
                        layout::created_file(&fcp, false).unwrap_or_else(|error| panic!("{name}: {fcp:?} {error}"));
                        files += 1;
                    }
                }
            }
        }
        println!("{name}: {files} files");
        assert!(files > 200, "{name}: {files}");
    }
}

#[test]
fn the_files_that_a_modem_reads_first_hold_what_the_package_says() {
    for (name, package) in packages() {
        let mut found = 0;
        for element in elements(&package) {
            lay_out(&element, |file_name, file, bytes| match (element.kind, file_name) {
                (PeKind::Mf, "ef-iccid") => {
                    assert_eq!((file.fid, bytes[0]), (0x2FE2, 0x98));
                    found += 1;
                }
                (PeKind::Mf, "ef-dir") => {
                    assert_eq!(bytes[0], 0x61, "{name}");
                    assert_eq!(bytes[file.record_len], 0x61, "the second record begins after the offset: {name}");
                    assert_eq!(file.sfi, Some(0x1E));
                    found += 1;
                }
                (PeKind::Usim, "ef-imsi") => {
                    assert_eq!(bytes[..3], [0x08, 0x09, 0x10]);
                    assert_eq!((file.sfi, file.arr.fid), (Some(0x07), 0x6F06));
                    found += 1;
                }
                (PeKind::Usim, "adf-usim") => {
                    assert_eq!(file.df_name.map(|aid| &aid[..7]), Some(&[0xA0, 0, 0, 0, 0x87, 0x10, 0x02][..]));
                    assert_eq!(file.arr.fid, 0x2F06);
                    found += 1;
                }
                _ => {}
            });
        }
        assert_eq!(found, 4, "{name}");
    }
}

#[test]
fn keys_and_pins_are_those_of_ts48() {
    for (name, package) in packages() {
        let (mut keys, mut pins) = (0, Vec::new());
        for element in elements(&package) {
            match &element.content {
                ProfileElement::AkaParameter(aka) => {
                    let AlgoConfiguration::Algorithm(algorithm) = &aka.algorithm else { panic!("{name}") };
                    assert_eq!(algorithm.algorithm, AlgorithmId::UsimTestAlgorithm);
                    assert_eq!(algorithm.key[..3], [0, 1, 2]);
                    assert_eq!((aka.sqn_options, aka.sqn_delta, aka.sqn_age_limit), (2, 1 << 28, 1 << 28));
                    assert_eq!(aka.sqn_init, [0; 32]);
                    keys += 1;
                }
                ProfileElement::PinCodes(PinCodes::Config(list)) => {
                    pins.extend(list.iter().map(|pin| (pin.key_reference, pin.max_attempts, pin.attempts_left)));
                }
                _ => {}
            }
        }
        assert_eq!(keys, 2, "{name}");
        assert!(pins.contains(&(1, 3, 3)) && pins.contains(&(0x81, 3, 3)), "{name}: {pins:?}");
    }
}
