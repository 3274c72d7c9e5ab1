//! Hostile packages: an error or a result, never a panic, and the same result however they are read.

use proptest::prelude::*;
use teuicc_saip::order::OrderChecker;
use teuicc_saip::pe::AlgoConfiguration;
use teuicc_saip::{EuiccResponse, GfmCommand, ProfileElement, layout, next_element};

/// Uses everything that the crate offers on these bytes.
fn exercise(package: &[u8]) {
    let mut rest = package;
    let mut order = OrderChecker::new();
    let mut content = Vec::new();
    while let Ok(Some(element)) = next_element(rest) {
        rest = &rest[element.raw.len()..];
        let _ = (format!("{element:?}"), order.feed(element.kind));
        match &element.content {
            ProfileElement::Template(files) => {
                for entry in files.creations() {
                    for instance in entry.file.instances().take(64) {
                        if let Ok(file) = layout::template_file(entry.definition, &instance, true) {
                            let _ = layout::fill_content(&file, instance.fills(), &mut content);
                            assert!(content.len() <= layout::MAX_FILE_SIZE);
                        }
                    }
                }
            }
            ProfileElement::GenericFileManagement(list) => {
                for command in list.iter().flat_map(|management| management.commands.iter()) {
                    if let GfmCommand::CreateFcp(fcp) = command
                        && let Ok(file) = layout::created_file(&fcp, false)
                    {
                        content.clear();
                        let _ = layout::initial_content(&file, &mut content);
                    }
                }
            }
            ProfileElement::AkaParameter(aka) => {
                assert!(matches!(aka.algorithm, AlgoConfiguration::Mapping { .. } | AlgoConfiguration::Algorithm(_)));
            }
            ProfileElement::Header(header) => header.templates.iter().for_each(|oid| drop(oid.to_string())),
            _ => {}
        }
    }
}

/// The elements of one published package, or nothing.
fn elements() -> Vec<Vec<u8>> {
    let Some(root) = std::env::var_os("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return Vec::new();
    };
    let package = std::fs::read(std::path::Path::new(&root).join("ts48/TS48v5_SAIP2.3_BERTLV_SUCI.der")).unwrap();
    let mut rest = &package[..];
    let mut elements = Vec::new();
    while let Ok(Some(element)) = next_element(rest) {
        elements.push(element.raw.to_vec());
        rest = &rest[element.raw.len()..];
    }
    elements
}

#[test]
fn real_packages_with_a_byte_changed_never_panic() {
    for element in elements() {
        for at in 0..element.len().min(250) {
            for change in [0x01, 0x80] {
                let mut mutant = element.clone();
                mutant[at] ^= change;
                exercise(&mutant);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        exercise(&bytes);
        let _ = EuiccResponse::parse(&bytes);
    }

    #[test]
    fn random_members_of_each_element_never_panic(kind in 0xA0u8..=0xBE, body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let members = [&[0xA0, 0x03, 0x81, 0x01, 0x01][..], &body].concat();
        let element = [&[kind, u8::try_from(members.len()).unwrap()][..], &members].concat();
        exercise(&element);
    }

    #[test]
    fn mutants_of_real_elements_never_panic(pick in any::<prop::sample::Index>(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        static ELEMENTS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let elements = ELEMENTS.get_or_init(elements);
        if !elements.is_empty() {
            let mut mutant = elements[pick.index(elements.len())].clone();
            for (at, value) in changes {
                let at = at.index(mutant.len());
                mutant[at] = value;
            }
            exercise(&mutant);
        }
    }
}
