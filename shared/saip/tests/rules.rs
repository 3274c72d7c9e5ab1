//! The rules of the format, each on a small example.

use hex_literal::hex;
use teuicc_saip::layout::{self, Cursor, EffectiveFile, MAX_FILE_SIZE};
use teuicc_saip::order::{OrderChecker, OrderViolation};
use teuicc_saip::pe::{
    AlgoConfiguration, DEFAULT_ROTATION, DEFAULT_XORING, PinCodes, ProfileHeader, TemplateElement, UnknownMember,
};
use teuicc_saip::template::{self, DefaultContent, FileKind};
use teuicc_saip::{Element, EuiccResponse, MAX_ELEMENT, PeKind, PeStatus, ProfileElement, StatusCode, next_element};
use teuicc_tlv::Tag;

fn decode(bytes: &[u8]) -> Element<'_> {
    Element::decode(bytes).unwrap()
}

fn refused(bytes: &[u8]) -> PeStatus {
    Element::decode(bytes).unwrap_err()
}

fn header(bytes: &[u8]) -> ProfileHeader<'_> {
    match decode(bytes).content {
        ProfileElement::Header(header) => header,
        other => panic!("{other:?}"),
    }
}

fn files(bytes: &[u8]) -> TemplateElement<'_> {
    match decode(bytes).content {
        ProfileElement::Template(element) => element,
        other => panic!("{other:?}"),
    }
}

mod status {
    use super::*;

    #[test]
    fn nothing_to_report_is_as_euiccs_send_it() {
        assert_eq!(EuiccResponse::default().encode().unwrap(), hex!("3000"));
        assert_eq!(EuiccResponse::parse(&hex!("3000")).unwrap(), EuiccResponse::default());
    }

    #[test]
    fn a_report_is_written_and_read() {
        let mut response = EuiccResponse { aborted: true, ..EuiccResponse::default() };
        response.push(PeStatus::new(StatusCode::Ok)).unwrap();
        let error = PeStatus::new(StatusCode::UnsupportedProfileVersion).of(Some(300)).with_additional(2).at(5);
        response.push(error).unwrap();
        let bytes = response.encode().unwrap();
        assert_eq!(bytes, hex!("3018A014 3003800100 300D80011F 8102012C 820102 830105 8100")[..]);
        assert_eq!(EuiccResponse::parse(&bytes).unwrap(), response);
    }

    #[test]
    fn each_code_is_its_number() {
        for value in 0..=u16::MAX {
            assert_eq!(StatusCode::from_value(value).value(), value);
        }
        assert_eq!(StatusCode::from_value(0x6A84), StatusCode::Other(0x6A84));
        assert_eq!(StatusCode::PinCodeMissing.value(), 11);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for bad in [&b""[..], &hex!("3002A0"), &hex!("3005A0033001FF"), &hex!("3004A0020500"), &hex!("300030")] {
            assert!(EuiccResponse::parse(bad).is_err(), "{bad:02X?}");
        }
    }
}

mod elements {
    use super::*;

    #[test]
    fn a_piece_asks_for_more_and_too_large_an_element_is_refused_by_its_length() {
        let end = hex!("AA07 A005 8000 810109");
        for cut in 0..end.len() {
            assert!(next_element(&end[..cut]).unwrap().is_none());
        }
        assert_eq!(next_element(&end).unwrap().unwrap().raw.len(), end.len());
        let large = hex!("B3 82 8000");
        assert_eq!(MAX_ELEMENT, 0x8000);
        assert_eq!(next_element(&large).unwrap_err().status, StatusCode::NotEnoughMemory);
    }

    #[test]
    fn the_header_of_an_element_says_number_and_mandate() {
        let end = hex!("AA07 A005 8000 810109");
        assert_eq!(decode(&end).identification(), Some(9));
        assert!(decode(&end).mandated());
        assert!(!decode(&hex!("AA05 A003 810109")).mandated());
        assert!(Element::decode(&hex!("AA06 A004 8102 8000")).is_err(), "negative");
        assert!(Element::decode(&hex!("AA07 A005 8103 008000")).is_err(), "more than 15 bits");
        assert_eq!(decode(&hex!("AA06 A004 8102 7FFF")).identification(), Some(32767));
    }

    #[test]
    fn an_unknown_member_is_told_with_its_place() {
        let element = hex!("AA0A A003 810109 99030102 03");
        assert_eq!(decode(&element).unknown, Some(UnknownMember { tag: Tag(0x99), offset: 7 }));
        let in_header = hex!("AA08 A006 810109 8A0100");
        assert_eq!(decode(&in_header).unknown, Some(UnknownMember { tag: Tag(0x8A), offset: 7 }));
    }

    #[test]
    fn an_element_of_a_later_version_is_unknown_but_says_whether_it_is_mandated() {
        let element = hex!("BF2A 07 A005 8000 810105");
        let element = decode(&element);
        assert_eq!((element.kind, element.identification()), (PeKind::Unknown, Some(5)));
        assert!(element.mandated());
        assert_eq!(decode(&hex!("AB00")).kind, PeKind::Rfu);
    }

    #[test]
    fn an_error_says_which_element_and_where() {
        let error = refused(&hex!("A216 A003810102 A10F A00D 300B 800109 8106 303030303030"));
        assert_eq!((error.status, error.identification), (StatusCode::BadValues, Some(2)));
        assert_eq!(error.offset, Some(13), "the key reference 9");
    }

    #[test]
    fn the_profile_header_is_read_with_its_services() {
        let bytes = hex!(
            "A03B 800102 810103 820454455354 830A89000123456789012341 A506 8100 8400 9E00"
            "A608 0606 67810F010201 A80D 300B 8005A000000001 81020100 A900"
        );
        assert!(Element::decode(&bytes).is_err(), "iotOptions without pix");
        let bytes = hex!(
            "A039 800102 810103 820454455354 830A89000123456789012341 A506 8100 8400 9E00"
            "A608 060667810F010201 A80D 300B 8005A000000001 81020100"
        );
        let header = header(&bytes);
        assert_eq!((header.major, header.minor, header.profile_type), (2, 3, Some("TEST")));
        assert_eq!(header.services.bits, 0b1_0010);
        assert_eq!(header.services.unknown, Some(Tag(0x9E)));
        assert_eq!(header.services.missing(0b10), 0b1_0000);
        let aids: Vec<_> = header.mandatory_aids.iter().map(|aid| (aid.aid.len(), aid.version)).collect();
        assert_eq!(aids, [(5, [1, 0])]);
        let oids: Vec<_> = header.templates.iter().map(|oid| oid.to_string()).collect();
        assert_eq!(oids, ["2.23.143.1.2.1"]);
    }

    #[test]
    fn pins_have_their_defaults_and_their_limits() {
        let bytes = hex!("A219 A003810102 A112 A010 300E 80020081 81083030303030303030");
        let element = decode(&bytes);
        let ProfileElement::PinCodes(PinCodes::Config(list)) = element.content else { panic!() };
        let pin = list.iter().next().unwrap();
        assert_eq!((pin.key_reference, pin.attributes, pin.unblocking_reference), (129, 7, None));
        assert_eq!((pin.max_attempts, pin.attempts_left), (3, 3));
        let shared = hex!("A20D A003810102 A106 8104 7F10 5F3A");
        let shared = decode(&shared);
        assert!(matches!(shared.content, ProfileElement::PinCodes(PinCodes::Shared(&[0x7F, 0x10, 0x5F, 0x3A]))));
        assert!(Element::decode(&hex!("A20B A003810102 A104 8102 7F")).is_err());
        assert!(Element::decode(&hex!("A209 A003810102 A102 A000")).is_err(), "no PIN");
    }

    #[test]
    fn the_same_pin_twice_is_refused() {
        let pin = hex!("300D 800101 81083030303030303030");
        let twice = [&hex!("A227 A003810102 A120 A01E")[..], &pin, &pin].concat();
        assert_eq!(refused(&twice).status, StatusCode::BadValues);
    }

    #[test]
    fn puks_have_their_default() {
        let bytes = hex!("A316 A003810102 A10F 300D 800101 81083131313131313131");
        let element = decode(&bytes);
        let ProfileElement::PukCodes(list) = element.content else { panic!() };
        let puk = list.iter().next().unwrap();
        assert_eq!((puk.key_reference, puk.max_attempts, puk.attempts_left), (1, 10, 10));
    }

    #[test]
    fn aka_has_its_defaults() {
        let bytes = hex!(
            "A433 A003810102 A12C A12A 800101 810100 8210 00000000000000000000000000000000"
            "8310 00000000000000000000000000000000"
        );
        let element = decode(&bytes);
        let ProfileElement::AkaParameter(aka) = element.content else { panic!() };
        assert_eq!((aka.sqn_options, aka.sqn_delta, aka.sqn_age_limit), (2, 0x1000_0000, 0x1000_0000));
        assert_eq!(aka.sqn_init, [0; 32]);
        let AlgoConfiguration::Algorithm(algorithm) = aka.algorithm else { panic!() };
        assert_eq!((algorithm.rotation, algorithm.number_of_keccak), (DEFAULT_ROTATION, 1));
        assert_eq!(DEFAULT_ROTATION, hex!("4000204060"));
        let constants: Vec<u8> = [0u8, 1, 2, 4, 8].iter().flat_map(|last| [&[0; 15][..], &[*last]].concat()).collect();
        assert_eq!(DEFAULT_XORING[..], constants);
        assert_eq!(algorithm.auth_counter_max, None);
    }

    #[test]
    fn aka_can_map_to_another_application_and_checks_its_sequence_numbers() {
        let mapped = hex!("A415 A003810102 A10E A00C 800100 8107A0000000871002");
        let element = decode(&mapped);
        let ProfileElement::AkaParameter(aka) = element.content else { panic!() };
        assert!(matches!(aka.algorithm, AlgoConfiguration::Mapping { options: 0, source } if source.len() == 7));
        let with_delta = hex!("A41D A003810102 A10E A00C 800100 8107A0000000871002 8306 07FFFFFFFFFF");
        let element = decode(&with_delta);
        let ProfileElement::AkaParameter(aka) = element.content else { panic!() };
        assert_eq!(aka.sqn_delta, 0x07FF_FFFF_FFFF);
        let beyond = hex!("A41D A003810102 A10E A00C 800100 8107A0000000871002 8306 080000000000");
        assert_eq!(refused(&beyond).status, StatusCode::BadValues);
        let short_list = hex!("A41F A003810102 A10E A00C 800100 8107A0000000871002 A508 0406 000000000000");
        assert!(Element::decode(&short_list).is_err(), "32 values");
    }

    #[test]
    fn the_header_and_the_tars_of_an_rfm_are_told_apart_by_their_order() {
        let with = hex!("A71F A003810102 4F05A000000001 A00A 0403B00120 0403B00140 810106 0400 0400");
        let element = decode(&with);
        let ProfileElement::Rfm(rfm) = element.content else { panic!() };
        let tars: Vec<_> = rfm.tars.iter().map(|tar| tar.0).collect();
        assert_eq!(tars, [hex!("B00120"), hex!("B00140")]);
        assert_eq!(rfm.minimum_security_level, 6);
        let without = hex!("A713 A003810102 4F05A000000001 810106 0400 0400");
        let element = decode(&without);
        let ProfileElement::Rfm(rfm) = element.content else { panic!() };
        assert!(rfm.tars.is_empty());
    }

    #[test]
    fn members_of_a_file_have_their_sizes_checked() {
        // PE-GSM-ACCESS with one Fcp for df-gsm-access.
        let with = |fcp: &[u8]| {
            let file =
                [&[0xA2, u8::try_from(fcp.len() + 2).unwrap(), 0xA1, u8::try_from(fcp.len()).unwrap()], fcp].concat();
            let body = [&hex!("A003810102 8106 67810F010207")[..], &file].concat();
            [&[0xB8, u8::try_from(body.len()).unwrap()][..], &body].concat()
        };
        assert!(Element::decode(&with(&hex!("83025F3B"))).is_ok());
        for bad in [
            &hex!("83015F")[..],
            &hex!("8B00"),
            &hex!("8804F0000000"),
            &hex!("880107"),
            &hex!("8801F8"),
            &hex!("80050000000001"),
            &hex!("A506 C10100 C20100"),
            &hex!("C703 7F105F"),
            &hex!("8404A0000000"),
        ] {
            assert_eq!(refused(&with(bad)).status, StatusCode::BadValues, "{bad:02X?}");
        }
        assert_eq!(refused(&with(&hex!("83025F3B83025F3B"))).status, StatusCode::InvalidRequestFormat);
    }

    #[test]
    fn the_fields_of_a_template_are_found_by_their_tags() {
        // PE-DF-SAIP: the DF, EF SUCI_Calc_Info, and a field that the template has not got.
        let bytes = hex!("BD18 A003810102 8106 67810F01020E A200 A305 8303010203 A400");
        let element = decode(&bytes);
        assert_eq!(element.unknown, Some(UnknownMember { tag: Tag(0xA4), offset: 24 }));
        let element = files(&bytes);
        let names: Vec<_> = element.creations().map(|entry| entry.definition.name).collect();
        assert_eq!(names, ["df-df-saip", "ef-suci-calc-info-usim"]);
        assert!(element.field(1).is_some() && element.field(5).is_none());
        let wrong_order = hex!("BD13 A003810102 8106 67810F01020E A300 A200 0500");
        assert_eq!(refused(&wrong_order).status, StatusCode::InvalidRequestFormat);
    }

    #[test]
    fn a_template_of_another_element_is_none() {
        let bytes = hex!("BD0D A003810102 8106 67810F010201");
        assert!(files(&bytes).template.is_none());
        assert_eq!(files(&bytes).creations().count(), 0);
        let bytes = hex!("BD0D A003810102 8106 67810F01027F");
        assert!(files(&bytes).template.is_none());
    }

    #[test]
    fn created_by_default_means_all_files_but_those_with_do_not_create() {
        // PE-ISIM with doNotCreate for EF AD (index 5).
        let bytes = hex!("B511 A003810102 8106 67810F010208 A702 8000");
        let indexes: Vec<_> = files(&bytes).creations().map(|entry| entry.index).collect();
        assert_eq!(indexes, [0, 1, 2, 3, 4, 6]);
        // In the MF it has no effect: PE-MF with doNotCreate for EF PL.
        let bytes = hex!("B011 A003810102 8106 67810F010201 A302 8000");
        assert_eq!(files(&bytes).creations().count(), 6);
        // PE-OPT-ISIM is not created by default.
        let bytes = hex!("B60F A003810102 8106 67810F010209 A200");
        assert_eq!(files(&bytes).creations().map(|entry| entry.index).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn each_descriptor_begins_another_file_of_the_field() {
        // PE-CD: two icons.
        let bytes = hex!(
            "B127 A003810102 8106 67810F010202 A418"
            "A107 83026F40 800101 830141 A107 83026F41 800101 830142"
        );
        let file = files(&bytes).field(2).unwrap();
        let seen: Vec<_> = file.instances().map(|it| (it.fcp.file_id, it.fills().count())).collect();
        assert_eq!(seen, [(Some(0x6F40), 1), (Some(0x6F41), 1)]);
    }

    #[test]
    fn too_many_descriptors_for_one_field_are_refused() {
        let icons = |count: u8| {
            let file = [&[0xA4, 0x81, 2 * count][..], &[0xA1, 0x00].repeat(count.into())].concat();
            let body = [&hex!("A003810102 8106 67810F010202")[..], &file].concat();
            [&[0xB1, 0x81, u8::try_from(body.len()).unwrap()][..], &body].concat()
        };
        assert!(Element::decode(&icons(64)).is_ok());
        assert_eq!(refused(&icons(65)).status, StatusCode::NotEnoughMemory);
    }
}

mod templates {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_found() {
        for (index, template) in template::all().iter().enumerate() {
            assert!(template.kind.is_template());
            assert_eq!(template::lookup(template.oid).map(|found| found.name), Some(template.name));
            assert!(template::all()[..index].iter().all(|other| other.oid != template.oid));
            assert!(template.oid.to_string().starts_with("2.23.143.1.2."));
        }
        assert_eq!(template::all().len(), 28);
    }

    #[test]
    fn files_of_one_directory_have_different_identifiers_and_sfis() {
        for template in template::all() {
            for (index, file) in template.files.iter().enumerate() {
                let siblings = template.files.iter().enumerate().filter(|(other, _)| {
                    *other < index && template.parent(*other) == template.parent(index) && file.kind.is_ef()
                });
                for (_, other) in siblings {
                    let place = format!("{}: {} and {}", template.name, file.name, other.name);
                    assert!(file.last_fid < other.fid || file.fid > other.last_fid, "{place}");
                    assert!(file.sfi.is_none() || file.sfi != other.sfi, "{place}");
                }
            }
        }
    }

    #[test]
    fn the_directory_of_a_file_is_the_last_one_before_it() {
        let telecom = template::all().iter().find(|template| template.name == "TELECOM v2").unwrap();
        let of = |name| {
            let index = telecom.files.iter().position(|file| file.name == name).unwrap();
            telecom.parent(index).map(|parent| telecom.files[parent].name)
        };
        assert_eq!(of("df-telecom"), None);
        assert_eq!(of("ef-arr"), Some("df-telecom"));
        assert_eq!(of("df-phonebook"), Some("df-telecom"));
        assert_eq!(of("ef-adn"), Some("df-phonebook"));
        let optional = template::all().iter().find(|template| template.name == "OPT-IoT").unwrap();
        assert_eq!(optional.parent(0), None);
        assert_eq!(optional.parent(25), Some(24));
        assert_eq!(optional.parent(24), None);
    }
}

mod layouts {
    use super::*;

    /// Lays out the only file of PE-GSM-ACCESS with this body.
    fn laid_out(field: u8, steps: &[u8]) -> Result<(FileKind, usize, Option<u8>, Vec<u8>), PeStatus> {
        let file = [&[0xA0 + field, u8::try_from(steps.len()).unwrap()][..], steps].concat();
        let body = [&hex!("A003810102 8106 67810F010207")[..], &file].concat();
        let bytes = [&[0xB8, u8::try_from(body.len()).unwrap()][..], &body].concat();
        let element = files(&bytes);
        let entry = element.creations().next().unwrap();
        let instance = entry.file.instances().next().unwrap();
        let file = layout::template_file(entry.definition, &instance, false)?;
        let mut content = Vec::new();
        layout::fill_content(&file, instance.fills(), &mut content)?;
        Ok((file.kind, file.size, file.sfi, content))
    }

    fn content(field: u8, steps: &[u8]) -> Vec<u8> {
        laid_out(field, steps).unwrap().3
    }

    const KC: u8 = 3;
    const INVSCAN: u8 = 6;
    const CPBCCH: u8 = 5;
    const GSM_ACCESS: u8 = 2;

    #[test]
    fn a_file_that_is_only_named_is_the_templates() {
        assert_eq!(
            laid_out(KC, &[]).unwrap(),
            (FileKind::Transparent, 9, Some(1), hex!("FFFFFFFFFFFFFFFF07").to_vec())
        );
        assert_eq!(content(INVSCAN, &[]), [0]);
    }

    #[test]
    fn content_overlays_the_default_and_an_offset_skips() {
        assert_eq!(content(KC, &hex!("83020102")), hex!("0102FFFFFFFFFFFF07"));
        assert_eq!(content(KC, &hex!("820101 83010A 820102 83010B")), hex!("FF0AFFFF0BFFFFFF07"));
        assert_eq!(laid_out(KC, &hex!("820109 83010A")).unwrap_err().status, StatusCode::BadValues);
        assert_eq!(laid_out(KC, &hex!("830A00000000000000000000")).unwrap_err().status, StatusCode::BadValues);
    }

    #[test]
    fn another_size_applies_patterns_anew_and_cuts_or_pads_the_rest() {
        assert_eq!(content(KC, &hex!("A103 80010B")), hex!("FFFFFFFFFFFFFFFFFFFF07"), "a pattern");
        assert_eq!(content(INVSCAN, &hex!("A103 800103")), hex!("00FFFF"), "no pattern");
        assert_eq!(content(CPBCCH, &hex!("A103 800102")), hex!("FFFF"));
    }

    #[test]
    fn a_pattern_of_the_package_replaces_the_default() {
        assert_eq!(content(KC, &hex!("A106 A504 C1020102")), hex!("010202020202020202"));
        assert_eq!(content(KC, &hex!("A106 A504 C2020102 83019A")), hex!("9A0201020102010201"));
    }

    #[test]
    fn an_empty_sfi_is_none_and_a_given_one_replaces() {
        assert_eq!(laid_out(KC, &hex!("A102 8800")).unwrap().2, None);
        assert_eq!(laid_out(KC, &hex!("A103 8801F0")).unwrap().2, Some(30));
    }

    #[test]
    fn what_is_forbidden_or_missing_is_invalid() {
        let invalid = |field, steps: &[u8]| laid_out(field, steps).unwrap_err().status;
        for (field, steps) in [
            (KC, &hex!("A103 C60101")[..]),
            (KC, &hex!("A107 8405A000000001")),
            (GSM_ACCESS, &[]),
            (GSM_ACCESS, &hex!("A106 C60101 800101")),
            (GSM_ACCESS, &hex!("A106 C60101 880108")),
            (GSM_ACCESS, &hex!("A105 C60101 A500")),
            (KC, &hex!("A104 82027821")),
            (KC, &hex!("A104 82024122")),
            (KC, &hex!("A104 8B022F06")),
            (KC, &hex!("A103 8B0100")),
        ] {
            assert_eq!(invalid(field, steps), StatusCode::InvalidParameter, "{steps:02X?}");
        }
        assert_eq!(invalid(KC, &hex!("A104 82020921")), StatusCode::FeatureNotSupported, "internal");
        assert_eq!(invalid(KC, &hex!("A105 8003 010000")), StatusCode::NotEnoughMemory);
    }

    fn created(fcp: &[u8], in_mf: bool) -> Result<EffectiveFile<'_>, PeStatus> {
        let mut gfm = hex!("A100 A003810102 A100 3000 6200").to_vec();
        let length = u8::try_from(fcp.len()).unwrap();
        for (at, extra) in [(1, 11), (8, 4), (10, 2), (12, 0)] {
            gfm[at] = length + extra;
        }
        gfm.extend_from_slice(fcp);
        let gfm: &'static [u8] = Box::leak(gfm.into_boxed_slice());
        let ProfileElement::GenericFileManagement(list) = decode(gfm).content else { panic!() };
        let command = list.iter().next().unwrap().commands.iter().next().unwrap();
        let teuicc_saip::GfmCommand::CreateFcp(fcp) = command else { panic!() };
        layout::created_file(&fcp, in_mf)
    }

    #[test]
    fn generic_file_management_creates_from_the_fcp_alone() {
        let fcp = hex!("8204 42210005 8302 6F41 8B01 03 8001 0F");
        let file = created(&fcp, false).unwrap();
        assert_eq!(
            (file.fid, file.kind, file.records, file.record_len, file.size),
            (0x6F41, FileKind::LinearFixed, 3, 5, 15)
        );
        assert_eq!((file.sfi, file.arr.fid, file.arr.record), (Some(1), 0x6F06, 3));
        assert_eq!(created(&fcp, true).unwrap().arr.fid, 0x2F06);
        assert_eq!(file.default, DefaultContent::None);
        let mut content = Vec::new();
        layout::initial_content(&file, &mut content).unwrap();
        assert_eq!(content, [0xFF; 15]);
        let adf = created(&hex!("8202 7821 8302 7FA0 8405 A000000001 8B01 01 C601 01"), true).unwrap();
        assert_eq!((adf.kind, adf.arr.fid), (FileKind::Adf, 0x2F06));
        let link = created(&hex!("8202 4121 8302 6F41 8B01 03 C704 7FD06F07"), false).unwrap();
        assert_eq!((link.link, link.size), (Some(&hex!("7FD06F07")[..]), 0));
        for bad in [
            &hex!("8302 6F41 8B01 03 8001 0F")[..],
            &hex!("8202 4121 8B01 03 8001 0F"),
            &hex!("8202 4121 8302 6F41 8001 0F"),
            &hex!("8202 4121 8302 6F41 8B01 03"),
            &hex!("8204 42210005 8302 6F41 8B01 03 8001 0E"),
            &hex!("8204 42210000 8302 6F41 8B01 03 8001 0E"),
            &hex!("8202 7821 8302 7FA0 8B01 01"),
        ] {
            assert_eq!(created(bad, false).unwrap_err().status, StatusCode::InvalidParameter, "{bad:02X?}");
        }
    }

    #[test]
    fn a_ber_tlv_file_grows_to_its_size_and_has_no_offsets() {
        let file = created(&hex!("8202 7921 8302 4F21 8B01 03 8001 04"), false).unwrap();
        assert_eq!((file.kind, file.size), (FileKind::BerTlv, 4));
        let (mut content, mut cursor) = (Vec::new(), Cursor::default());
        cursor.write(&file, &mut content, &hex!("5300")).unwrap();
        cursor.write(&file, &mut content, &hex!("5400")).unwrap();
        assert_eq!(content, hex!("53005400"));
        assert_eq!(cursor.write(&file, &mut content, &[0]).unwrap_err().status, StatusCode::BadValues);
        assert!(cursor.skip(&file, 1).is_err());
    }

    /// What is reserved is no limit where there is a maximum.
    #[test]
    fn how_much_a_ber_tlv_file_may_hold() {
        for (members, limit) in [
            (&hex!("8001 04")[..], 4),
            (&hex!("8001 00")[..], MAX_FILE_SIZE),
            (&hex!("8001 04 A5038601 08")[..], 8),
            (&hex!("8001 08 A5038601 04")[..], 8),
            (&hex!("8001 00 A5038601 08")[..], 8),
            (&hex!("8001 04 A5068604 00100000")[..], MAX_FILE_SIZE),
        ] {
            let fcp = [&hex!("8202 7921 8302 4F21 8B01 03")[..], members].concat();
            let file = created(&fcp, false).unwrap();
            assert_eq!(file.ber_tlv_limit(), limit, "{members:02X?}");
            let (mut content, mut cursor) = (Vec::new(), Cursor::default());
            cursor.write(&file, &mut content, &vec![0x53; limit]).unwrap();
            assert_eq!(cursor.write(&file, &mut content, &[0]).unwrap_err().status, StatusCode::BadValues);
        }
    }

    #[test]
    fn a_service_is_cleared_and_nothing_else() {
        let mut table = [0xFF; 3];
        layout::clear_service(&mut table, 10);
        layout::clear_service(&mut table, 0);
        layout::clear_service(&mut table, 25);
        assert_eq!(table, [0xFF, 0xFD, 0xFF]);
        assert!(!layout::has_service(&table, 10) && layout::has_service(&table, 9) && !layout::has_service(&table, 25));
    }
}

mod orders {
    use super::*;
    use PeKind::{
        AkaParameter, DfSaip, End, Header, Isim, Mf, OptIsim, OptUsim, PinCodes, PukCodes, Rfm, SecurityDomain, Usim,
    };

    fn feed(kinds: &[PeKind]) -> Result<(), OrderViolation> {
        let mut order = OrderChecker::new();
        kinds.iter().try_for_each(|kind| order.feed(*kind))
    }

    #[test]
    fn a_usual_order_is_accepted() {
        let usual = [
            Header,
            Mf,
            PukCodes,
            PinCodes,
            Usim,
            OptUsim,
            PinCodes,
            AkaParameter,
            DfSaip,
            Usim,
            OptUsim,
            Isim,
            OptIsim,
            PinCodes,
            AkaParameter,
            SecurityDomain,
            Rfm,
            Rfm,
            End,
        ];
        feed(&usual).unwrap();
    }

    #[test]
    fn each_rule_is_checked() {
        let needs = |element, before| OrderViolation::Needs { element, before };
        let cases: [(&[PeKind], OrderViolation); 13] = [
            (&[Mf], OrderViolation::HeaderMissing),
            (&[Header, Header], OrderViolation::SecondHeader),
            (&[Header, End, Mf], OrderViolation::AfterEnd),
            (&[Header, Usim], needs(Usim, Mf)),
            (&[Header, PukCodes], needs(PukCodes, Mf)),
            (&[Header, Mf, OptUsim], needs(OptUsim, Usim)),
            (&[Header, Mf, Usim, OptIsim], needs(OptIsim, Isim)),
            (&[Header, Mf, AkaParameter], needs(AkaParameter, Usim)),
            (&[Header, Mf, Rfm], needs(Rfm, SecurityDomain)),
            (&[Header, Mf, Mf], OrderViolation::Twice(Mf)),
            (&[Header, Mf, Usim, DfSaip, DfSaip], OrderViolation::Twice(DfSaip)),
            (&[Header, Mf, PukCodes, PukCodes], OrderViolation::Twice(PukCodes)),
            (&[Header, Mf, PinCodes, PinCodes], OrderViolation::Twice(PinCodes)),
        ];
        for (kinds, violation) in cases {
            assert_eq!(feed(kinds), Err(violation), "{kinds:?}");
        }
    }
}
