//! The installer over published packages, built ones, and edits of them.

extern crate std;

use super::*;
use crate::platform::ObjectId;
use crate::profile::{Algorithm, FileKind, SharedPins};
use crate::testing::MemoryStore;
use hex_literal::hex;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::string::String;
use std::{env, fs, println, vec};
use teuicc_saip::build::{self, Ims, ProfileSpec, USIM_AID, build};
use teuicc_saip::pe::Service;
use teuicc_tlv::{Tag, Writer};

const SLOT: ProfileSlot = ProfileSlot::new(3).unwrap();
const TEST_KEY: [u8; 16] = hex!("000102030405060708090A0B0C0D0E0F");

const PE_PROCESSING: ErrorReason = ErrorReason::InstallFailedDueToPeProcessingError;
const NO_MEMORY: ErrorReason = ErrorReason::InstallFailedDueToInsufficientMemoryForProfile;

/// Response of an installation without warnings.
const OK: [u8; 9] = hex!("3007 A005 3003 800100");

/// The packages of the folder `ts48` in TEUICC_TESTDATA, by name; none if it is not set.
fn published() -> BTreeMap<String, Vec<u8>> {
    let Ok(folder) = env::var("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return BTreeMap::new();
    };
    let entries = fs::read_dir(Path::new(&folder).join("ts48")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())).collect()
}

fn spec(algorithm: build::Algorithm) -> ProfileSpec<'static> {
    ProfileSpec {
        iccid: "89000123456789012341",
        imsi: "001010123456063",
        mnc_len: 2,
        algorithm,
        key: &TEST_KEY,
        opc: &[0x22; 16],
        profile_type: "test",
        service_provider_name: "test",
        pin1: "1234",
        pin1_enabled: true,
        puk1: "11111111",
        pin2: "9999",
        puk2: "22222222",
        adm1: "55555555",
        msisdn: None,
        access_class: None,
        ims: Some(Ims::default()),
    }
}

fn milenage() -> Package {
    Package::split(&build(&spec(build::Algorithm::Milenage)).unwrap())
}

/// A package as its elements.
#[derive(Clone)]
struct Package(Vec<Vec<u8>>);

impl Package {
    fn split(mut bytes: &[u8]) -> Self {
        let mut elements = Vec::new();
        while let Some(element) = next_element(bytes).unwrap() {
            elements.push(element.raw.to_vec());
            bytes = &bytes[element.raw.len()..];
        }
        assert!(bytes.is_empty());
        Package(elements)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.concat()
    }

    fn position(&self, kind: PeKind) -> usize {
        self.0.iter().position(|element| Element::decode(element).unwrap().kind == kind).unwrap()
    }

    /// With another element for the first of this kind.
    fn replace(mut self, kind: PeKind, element: Vec<u8>) -> Self {
        let at = self.position(kind);
        self.0[at] = element;
        self
    }

    /// With elements before the first of this kind.
    fn before(mut self, kind: PeKind, elements: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let at = self.position(kind);
        self.0.splice(at..at, elements);
        self
    }

    fn without(mut self, kind: PeKind) -> Self {
        self.0.retain(|element| Element::decode(element).unwrap().kind != kind);
        self
    }

    /// With `from`, which must be in an element of this kind, replaced by `to` of the same length.
    fn patch(mut self, kind: PeKind, from: &[u8], to: &[u8]) -> Self {
        let at = self.position(kind);
        let element = &mut self.0[at];
        let start = element.windows(from.len()).position(|window| window == from).unwrap();
        element[start..start + from.len()].copy_from_slice(to);
        self
    }

    fn install(&self) -> Result<Installed, InstallError> {
        install(&self.bytes())
    }

    /// The profile of a package that installs with these statuses before the ok.
    #[track_caller]
    fn installs_with(&self, warnings: &[PeStatus]) -> Profile {
        let installed = self.install().unwrap_or_else(|error| panic!("{:?}", statuses(&error.response)));
        let (last, others) =
            statuses(&installed.response).split_last().map(|(last, rest)| (*last, rest.to_vec())).unwrap();
        assert_eq!((last, &others[..]), (PeStatus::new(StatusCode::Ok), warnings));
        installed.profile
    }

    #[track_caller]
    fn fails_with(&self, reason: ErrorReason, status: PeStatus) {
        fails_with(self.install(), reason, status);
    }
}

#[track_caller]
fn fails_with(result: Result<Installed, InstallError>, reason: ErrorReason, status: PeStatus) {
    let error = result.err().expect("installed");
    let response = EuiccResponse::parse(&error.response).unwrap();
    assert_eq!((error.reason, response.statuses.last(), response.aborted), (reason, Some(&status), true));
}

fn status(code: StatusCode, identification: u16) -> PeStatus {
    PeStatus::new(code).of(Some(identification)).at(0)
}

fn of_header(code: StatusCode) -> PeStatus {
    PeStatus::new(code).at(0)
}

/// ICCID of the header, coded as EF.ICCID.
fn iccid_of(package: &[u8]) -> [u8; 10] {
    match next_element(package) {
        Ok(Some(Element { content: ProfileElement::Header(header), .. })) => {
            header.iccid.map(|digits| digits.rotate_left(4))
        }
        _ => [0; 10],
    }
}

fn options(iccid: [u8; 10]) -> InstallOptions {
    InstallOptions {
        slot: SLOT,
        metadata: hex!("BF2503 800100").to_vec(),
        iccid,
        test_algorithm_allowed: true,
        test_class: false,
    }
}

fn install_with(package: &[u8], cuts: &[usize], options: InstallOptions) -> Result<Installed, InstallError> {
    let mut installer = Installer::new(options).unwrap();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([package.len()]) {
        installer.push(&package[start..cut])?;
        start = cut;
    }
    installer.finish()
}

fn install(package: &[u8]) -> Result<Installed, InstallError> {
    install_with(package, &[], options(iccid_of(package)))
}

fn statuses(response: &[u8]) -> Vec<PeStatus> {
    EuiccResponse::parse(response).unwrap().statuses
}

/// The objects that the profile is stored as.
fn stored(profile: &mut Profile) -> BTreeMap<ObjectId, Vec<u8>> {
    let mut store = MemoryStore::new();
    profile.store_new(&mut store).unwrap();
    store.snapshot()
}

/// The file at a path; the first identifier may be the temporary one of an ADF.
fn find(profile: &Profile, path: &[u16]) -> Option<FileIndex> {
    path.iter().try_fold(FileIndex::MF, |at, fid| {
        let adf = profile.adfs().find(|(_, adf)| adf.fid == *fid).map(|(index, _)| index);
        profile.child(at, *fid).or(adf)
    })
}

fn content<'a>(profile: &'a Profile, path: &[u16]) -> &'a [u8] {
    profile.content(find(profile, path).unwrap_or_else(|| panic!("no file {path:04X?}")))
}

fn tlv(tag: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Writer::new();
    out.primitive(Tag(tag), &parts.concat()).unwrap();
    out.into_bytes()
}

/// A profile element with its header.
fn element(tag: u32, identification: u8, mandated: bool, parts: &[&[u8]]) -> Vec<u8> {
    let mandate: &[u8] = if mandated { &[0x80, 0] } else { &[] };
    let header = tlv(0xA0, &[mandate, &[0x81, 1, identification]]);
    tlv(tag, &[&header, &parts.concat()])
}

/// A ProfileHeader of this version, with these services and templates, and members behind them.
fn header(major: u8, services: &[u8], templates: &[u8], rest: &[u8]) -> Vec<u8> {
    let iccid = hex!("830A 89000123456789012341");
    tlv(0xA0, &[&[0x80, 1, major, 0x81, 1, 3], &iccid, &tlv(0xA5, &[services]), &tlv(0xA6, &[templates]), rest])
}

/// Generic file management with these commands, number 101.
fn file_management(mandated: bool, commands: &[u8]) -> Vec<u8> {
    element(0xA1, 101, mandated, &[&tlv(0xA1, &[&tlv(0x30, &[commands])])])
}

/// createFCP of a transparent EF.
fn transparent(fid: u16, size: u16) -> Vec<u8> {
    let (fid, size) = (fid.to_be_bytes(), size.to_be_bytes());
    tlv(0x62, &[&hex!("8202 4121 8302"), &fid, &hex!("8B03 2F0601 8002"), &size])
}

/// createFCP of a DF.
fn directory(fid: u16, pin_status: &[u8]) -> Vec<u8> {
    tlv(0x62, &[&hex!("8202 7821 8302"), &fid.to_be_bytes(), &hex!("8B03 2F0601"), &tlv(0xC6, &[pin_status])])
}

/// PE-PINCodes number 102 with one PIN.
fn pin(reference: u8, members: &[u8]) -> Vec<u8> {
    let pin = tlv(0x30, &[&[0x80, 2, 0, reference], &hex!("8108 31323334FFFFFFFF"), members]);
    element(0xA2, 102, true, &[&tlv(0xA1, &[&tlv(0xA0, &[&pin])])])
}

/// PE-AKAParameter number 103 with this choice of algoConfiguration.
fn aka(mandated: bool, choice: &[u8]) -> Vec<u8> {
    element(0xA4, 103, mandated, &[&tlv(0xA1, &[choice])])
}

fn algorithm(id: u8, options: u8, key: &[u8], opc: &[u8], rest: &[u8]) -> Vec<u8> {
    tlv(0xA1, &[&[0x80, 1, id, 0x81, 1, options], &tlv(0x82, &[key]), &tlv(0x83, &[opc]), rest])
}

#[test]
fn published_packages_come_up() {
    for (name, package) in published() {
        println!("{name}");
        if mandates(&package, Service::Javacard) {
            Package::split(&package).fails_with(PE_PROCESSING, of_header(StatusCode::RuntimeNotSupported));
            continue;
        }
        let mut profile = Package::split(&package).installs_with(&[]);
        assert_eq!(content(&profile, &[0x2FE2]), iccid_of(&package));
        let imsi = if name.starts_with("TS48v7") { hex!("080910101032547698") } else { hex!("080910101032540636") };
        assert_eq!(content(&profile, &[0x7FD0, 0x6F07]), imsi);
        let adfs: Vec<&[u8]> = profile.adfs().map(|(_, adf)| &adf.aid[..7]).collect();
        assert_eq!(adfs, [hex!("A0000000871002"), hex!("A0000003431002"), hex!("A0000000871004")]);
        // A link of DF TELECOM to the ADF.
        let telecom_sms = find(&profile, &[0x7F10, 0x6F3C]).unwrap();
        assert_eq!(profile.content_owner(telecom_sms), find(&profile, &[0x7FD0, 0x6F3C]).unwrap());
        assert_eq!(profile.content(telecom_sms).len() % 176, 0);
        check_published_pins(&profile);
        check_published_keys(&profile);
        // Stored and read again it is the same, and much smaller than in memory.
        let objects = stored(&mut profile);
        let store = MemoryStore::new();
        store.restore(objects.clone());
        let mut loaded = Profile::load(&store, SLOT).unwrap();
        assert_eq!(stored(&mut loaded), objects);
        assert!(objects[&ObjectId::Base(SLOT)].len() < package.len());
    }
}

fn mandates(package: &[u8], service: Service) -> bool {
    match next_element(package).unwrap().unwrap().content {
        ProfileElement::Header(header) => header.services.contains(service),
        _ => false,
    }
}

fn check_published_pins(profile: &Profile) {
    let usim = find(profile, &[0x7FD0]).unwrap();
    let pin = |reference, at| &profile.pins[profile.pin_index(reference, at).unwrap()];
    let pin1 = pin(0x01, usim);
    assert_eq!((&pin1.value, pin1.enabled, pin1.attributes, pin1.tries_left), (b"0000\xFF\xFF\xFF\xFF", false, 6, 3));
    assert_eq!(pin1.puk.as_ref().map(|puk| (puk.value, puk.tries_left)), Some((*b"11111111", 10)));
    let telecom = find(profile, &[0x7F10]).unwrap();
    let isim = profile.adfs().last().unwrap().0;
    for context in [telecom, usim, isim] {
        let pin2 = pin(0x81, context);
        assert_eq!((&pin2.value, pin2.enabled, pin2.context), (b"9999\xFF\xFF\xFF\xFF", true, context));
        assert_eq!(pin2.puk.as_ref().map(|puk| puk.value), Some(*b"22222222"));
    }
    assert_eq!((&pin(0x0A, telecom).value, pin(0x0B, isim).value), (b"55555555", *b"66666666"));
    assert_eq!(pin(0x0A, usim).max_tries, 10);
}

fn check_published_keys(profile: &Profile) {
    assert_eq!(profile.naas.len(), 2);
    for naa in &profile.naas {
        assert!(matches!(&naa.algorithm, Algorithm::XorTest { k: TEST_KEY, res_len: 16 }));
        assert_eq!((naa.sqn_options, naa.sqn_delta, naa.sqn_age_limit, naa.seq), (2, 1 << 28, 1 << 28, [0; 32]));
    }
}

#[test]
fn a_published_suci_file_is_hidden() {
    let Some(package) = published().remove("TS48v5_SAIP2.3_BERTLV_SUCI.der") else { return };
    let profile = install(&package).unwrap().profile;
    let saip = profile.indexed().find(|(_, file)| !file.visible).unwrap();
    assert_eq!((saip.1.fid, profile.file(saip.1.parent).unwrap().kind), (0x4F01, FileKind::Df));
    assert_eq!(profile.indexed().filter(|(_, file)| !file.visible).count(), 1);
}

#[test]
fn the_test_algorithm_needs_permission() {
    let refused = InstallOptions { test_algorithm_allowed: false, ..options(hex!("98001032547698103214")) };
    let package = build(&spec(build::Algorithm::XorTest)).unwrap();
    assert!(install(&package).is_ok());
    let status = of_header(StatusCode::FeatureNotSupported);
    fails_with(install_with(&package, &[], refused), PE_PROCESSING, status);
    // Also if the header does not say that it is needed.
    let refused = InstallOptions { test_algorithm_allowed: false, ..options(hex!("98001032547698103214")) };
    let package = Package::split(&package).replace(PeKind::Header, header(2, &[], &[], &[])).bytes();
    let error = install_with(&package, &[], refused).err().unwrap();
    assert_eq!(statuses(&error.response).last().unwrap().status, StatusCode::FeatureNotSupported);
}

#[test]
fn a_built_package_installs() {
    let mut installed = milenage().install().unwrap();
    assert_eq!(installed.response, OK);
    let profile = &installed.profile;
    assert_eq!((profile.slot, profile.metadata.len(), profile.naas.len()), (SLOT, 6, 2));
    assert!(matches!(
        &profile.naas[0].algorithm,
        Algorithm::Milenage { k: TEST_KEY, rotations: [64, 0, 32, 64, 96], constants, .. } if constants[4][15] == 8
    ));
    let loci = &profile.files[usize::from(find(profile, &[0x7FD0, 0x6F7E]).unwrap().0)];
    assert!(loci.special & 0x80 != 0 && loci.content.len() == 11 && loci.sfi == Some(0x0B));
    stored(&mut installed.profile);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn segmentation_makes_no_difference(seed in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40)) {
        let built = milenage().bytes();
        for package in published().into_values().rev().take(1).chain([built]) {
            let mut cuts: Vec<usize> = seed.iter().map(|index| index.index(package.len())).collect();
            cuts.sort_unstable();
            let mut pieces = install_with(&package, &cuts, options(iccid_of(&package))).unwrap();
            let mut whole = install(&package).unwrap();
            prop_assert_eq!(&pieces.response, &whole.response);
            prop_assert_eq!(stored(&mut pieces.profile), stored(&mut whole.profile));
        }
    }

    #[test]
    fn damaged_packages_are_installed_or_refused(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
        which in any::<proptest::sample::Index>(),
    ) {
        let mut packages: Vec<Vec<u8>> = published().into_values().collect();
        packages.push(milenage().bytes());
        let mut package = packages.swap_remove(which.index(packages.len()));
        let iccid = iccid_of(&package);
        for (at, byte, what) in edits {
            let at = at.index(package.len());
            match what {
                0 => package[at] = byte,
                1 => drop(package.remove(at)),
                _ => package.insert(at, byte),
            }
        }
        match install_with(&package, &[], options(iccid)) {
            Ok(mut installed) => {
                prop_assert_eq!(statuses(&installed.response).pop(), Some(PeStatus::new(StatusCode::Ok)));
                let mut store = MemoryStore::new();
                installed.profile.store_new(&mut store).unwrap();
                prop_assert!(Profile::load(&store, SLOT).is_ok());
            }
            Err(error) => {
                let response = EuiccResponse::parse(&error.response).unwrap();
                prop_assert!(response.aborted && !response.statuses.is_empty());
            }
        }
    }
}

#[test]
fn byte_by_byte() {
    let package = milenage().bytes();
    let cuts: Vec<usize> = (0..package.len()).collect();
    assert_eq!(install_with(&package, &cuts, options(iccid_of(&package))).unwrap().response, OK);
}

#[test]
fn an_incomplete_package_is_refused() {
    let package = milenage().bytes();
    let missing = PeStatus::new(StatusCode::InvalidRequestFormat);
    for length in [0, 1, package.len() / 2, package.len() - 1] {
        let result = install_with(&package[..length], &[], options(iccid_of(&package)));
        fails_with(result, PE_PROCESSING, missing);
    }
    milenage().without(PeKind::End).fails_with(PE_PROCESSING, missing);
    // Something after the end, whole or not.
    let mut more = milenage();
    more.0.push(element(0xAA, 9, true, &[]));
    more.fails_with(PE_PROCESSING, status(StatusCode::InvalidRequestFormat, 9));
    fails_with(install(&[&package[..], &[0xA0]].concat()), PE_PROCESSING, missing);
}

#[test]
fn nothing_comes_after_a_failure() {
    let package = milenage().bytes();
    let mut installer = Installer::new(options([0; 10])).unwrap();
    assert!(installer.push(&package).is_err());
    assert!(installer.push(&package).is_err());
    assert!(installer.finish().is_err());
}

#[test]
fn header_demands() {
    let try_header = |header| milenage().replace(PeKind::Header, header);
    let refuse = |header, code| try_header(header).fails_with(PE_PROCESSING, of_header(code));
    for major in [1, 4] {
        refuse(header(major, &[], &[], &[]), StatusCode::UnsupportedProfileVersion);
    }
    try_header(header(3, &[], &[], &[])).installs_with(&[]);
    // contactless, cave, mbms, one that does not exist.
    for service in [0x80, 0x86, 0x89, 0x9E] {
        refuse(header(2, &[service, 0], &[], &[]), StatusCode::FeatureNotSupported);
    }
    // javacard, multos.
    for service in [0x8B, 0x8C] {
        refuse(header(2, &[0x81, 0, service, 0], &[], &[]), StatusCode::RuntimeNotSupported);
    }
    let supported = hex!("81 82 83 84 85 87 88 8D 8E 90 91 92 95 96 97");
    let supported: Vec<u8> = supported.iter().flat_map(|tag| [*tag, 0]).collect();
    try_header(header(2, &supported, &[], &[])).installs_with(&[]);
    refuse(header(2, &[], &hex!("0606 67810F010263"), &[]), StatusCode::TemplateNotSupported);
    refuse(header(2, &[], &hex!("0606 67810F01020C"), &[]), StatusCode::TemplateNotSupported);
    let library = hex!("A80D 300B 8005 A000000001 8102 0100");
    refuse(header(2, &[], &[], &library), StatusCode::LibNotSupported);
    let iot = hex!("A909 8007 01020304050607");
    refuse(header(2, &[], &[], &iot), StatusCode::FeatureNotSupported);
}

#[test]
fn javacard_is_refused_at_the_header() {
    let package = milenage().replace(PeKind::Header, header(2, &[0x81, 0, 0x8B, 0], &[], &[])).bytes();
    let mut installer = Installer::new(options(iccid_of(&package))).unwrap();
    let length = next_element(&package).unwrap().unwrap().raw.len();
    let error = installer.push(&package[..length]).unwrap_err();
    assert_eq!(error.response, hex!("300C A008 3006 800107 830100 8100"));
}

#[test]
fn the_iccid_must_be_that_of_the_metadata() {
    let package = milenage().bytes();
    let result = install_with(&package, &[], options(hex!("98001032547698103215")));
    fails_with(result, ErrorReason::InstallFailedDueToDataMismatch, of_header(StatusCode::BadValues));
}

#[test]
fn test_profiles_need_test_keys() {
    let test_class = |package: &Package| {
        let options = InstallOptions { test_class: true, ..options(hex!("98001032547698103214")) };
        install_with(&package.bytes(), &[], options)
    };
    assert!(test_class(&milenage()).is_ok());
    let zero = milenage().patch(PeKind::AkaParameter, &TEST_KEY, &[0; 16]);
    assert!(test_class(&zero).is_ok());
    let other = milenage().patch(PeKind::AkaParameter, &TEST_KEY, &[7; 16]);
    other.installs_with(&[]);
    let error = test_class(&other).err().unwrap();
    assert_eq!(error.reason, ErrorReason::TestProfileInstallFailedDueToInvalidNaaKey);
    assert_eq!(statuses(&error.response).last().unwrap().status, StatusCode::BadValues);
}

#[test]
fn unsupported_elements_are_refused_or_left_out() {
    let cases = [
        (0xBB, hex!("8106 67810F01020C").to_vec(), StatusCode::PeNotSupported),
        (0xA9, hex!("8103 2A0304 8201 00").to_vec(), StatusCode::PeNotSupported),
        (0xA8, Vec::new(), StatusCode::RuntimeNotSupported),
        (0xB1, hex!("8106 67810F010263").to_vec(), StatusCode::TemplateNotSupported),
    ];
    let domain = security_domain(0x0F, &[1]);
    for (tag, members, code) in cases {
        let with =
            |mandated| milenage().before(PeKind::End, [domain.clone(), element(tag, 105, mandated, &[&members])]);
        with(true).fails_with(PE_PROCESSING, status(code, 105));
        let profile = with(false).installs_with(&[status(code, 105)]);
        assert_eq!(profile.kept, domain);
    }
    // A reserved element has no header, so that nothing says it may be left out; nor has an unknown one.
    let rfu = milenage().before(PeKind::End, [vec![0xAB, 0]]);
    rfu.fails_with(PE_PROCESSING, of_header(StatusCode::PeNotSupported));
    let unknown = milenage().before(PeKind::End, [element(0xBF22, 105, false, &[])]);
    unknown.installs_with(&[status(StatusCode::PeNotSupported, 105)]);
}

#[test]
fn many_warnings_leave_room_for_the_end() {
    let ignored = |_| element(0xA9, 105, false, &[&hex!("8103 2A0304 8201 00")]);
    let installed = milenage().before(PeKind::End, (0..300).map(ignored)).install().unwrap();
    let statuses = statuses(&installed.response);
    assert_eq!((statuses.len(), statuses.last()), (256, Some(&PeStatus::new(StatusCode::Ok))));
}

#[test]
fn unknown_members_are_reported_and_ignored() {
    let end = element(0xAA, 106, true, &[&hex!("9F7F 01 00")]);
    let warning = PeStatus::new(StatusCode::InvalidParameter).of(Some(106)).at(9);
    milenage().replace(PeKind::End, end).installs_with(&[warning]);
}

#[test]
fn broken_elements_end_the_installation() {
    // An element that is cut off inside.
    let broken = element(0xA4, 104, false, &[&hex!("A105 A003 8001")]);
    let error = milenage().before(PeKind::End, [broken]).install().err().unwrap();
    let status = *statuses(&error.response).last().unwrap();
    assert_eq!((status.status, status.identification), (StatusCode::InvalidRequestFormat, Some(104)));
    assert!(status.offset.is_some());
}

#[test]
fn order_is_checked() {
    let bad = |package: Package| {
        let error = package.install().err().unwrap();
        assert_eq!(statuses(&error.response).last().unwrap().status, StatusCode::InvalidRequestFormat);
    };
    bad(milenage().without(PeKind::Mf));
    bad(milenage().without(PeKind::Usim));
    let usim_twice = milenage();
    let opt = usim_twice.0[usim_twice.position(PeKind::OptUsim)].clone();
    bad(usim_twice.before(PeKind::End, [opt]));
}

#[test]
fn generic_file_management_follows_paths() {
    let commands = [
        &transparent(0x2F50, 4)[..],
        &tlv(0x81, &[&hex!("0102")]),
        &hex!("020101"),
        &tlv(0x81, &[&hex!("04")]),
        &directory(0x7F60, &[0x01]),
        &transparent(0x6F01, 2),
        &hex!("8004 7FD05F3B"),
        &transparent(0x4F77, 2),
        &hex!("8000"),
        &transparent(0x2F51, 1),
        // A link to a link ends at the file.
        &hex!("62 13 8202 4121 8302 2F52 8B03 2F0601 C704 3F002F50"),
        &hex!("62 11 8202 4121 8302 2F53 8B03 2F0601 C702 2F52"),
    ];
    let profile = milenage().before(PeKind::End, [file_management(true, &commands.concat())]).installs_with(&[]);
    assert_eq!(content(&profile, &[0x2F50]), hex!("0102FF04"));
    assert_eq!(content(&profile, &[0x7F60, 0x6F01]), hex!("FFFF"));
    assert_eq!(content(&profile, &[0x7FD0, 0x5F3B, 0x4F77]), hex!("FFFF"));
    assert_eq!(content(&profile, &[0x2F51]), hex!("FF"));
    assert_eq!(content(&profile, &[0x2F53]), hex!("0102FF04"));
    assert_eq!(profile.content_owner(find(&profile, &[0x2F53]).unwrap()), find(&profile, &[0x2F50]).unwrap());
}

#[test]
fn generic_file_management_refuses() {
    let refuse = |commands: &[&[u8]], code| {
        let package = milenage().before(PeKind::End, [file_management(true, &commands.concat())]);
        package.fails_with(PE_PROCESSING, status(code, 101));
    };
    let file = transparent(0x2F50, 2);
    refuse(&[&file, &file], StatusCode::InvalidParameter);
    refuse(&[&transparent(0x7FFF, 2)], StatusCode::InvalidParameter);
    refuse(&[&hex!("8002 7F99")], StatusCode::InvalidParameter);
    refuse(&[&hex!("8002 2FE2")], StatusCode::InvalidParameter);
    refuse(&[&hex!("8101 00")], StatusCode::InvalidParameter);
    refuse(&[&hex!("020101")], StatusCode::InvalidParameter);
    refuse(&[&file, &hex!("8000"), &hex!("8101 00")], StatusCode::InvalidParameter);
    refuse(&[&file, &hex!("8103 000000")], StatusCode::BadValues);
    // A link to nothing, and one to a DF, which is not supported.
    refuse(&[&hex!("62 11 8202 4121 8302 2F52 8B03 2F0601 C702 2F99")], StatusCode::InvalidParameter);
    refuse(&[&hex!("62 13 8202 4121 8302 2F52 8B03 2F0601 C704 7FD05F3B")], StatusCode::FeatureNotSupported);
    // A DF is no link, and none to an EF either.
    let to_ef = hex!("62 11 8202 7821 8302 7F62 8B03 2F0601 C702 2FE2");
    refuse(&[&to_ef, &transparent(0x6F01, 1)], StatusCode::FeatureNotSupported);
    // DFs in DFs without end.
    let nested: Vec<u8> = (0..8).flat_map(|level| directory(0x7F70 + level, &[0x01])).collect();
    refuse(&[&nested], StatusCode::InvalidParameter);
}

#[test]
fn an_element_that_is_left_out_leaves_no_files() {
    let link = hex!("62 13 8202 4121 8302 2F52 8B03 2F0601 C704 7FD05F3B");
    let commands = [&transparent(0x2F50, 2)[..], &link].concat();
    let package = milenage().before(PeKind::End, [file_management(false, &commands)]);
    let profile = package.installs_with(&[status(StatusCode::FeatureNotSupported, 101)]);
    assert_eq!(find(&profile, &[0x2F50]), None);
}

#[test]
fn memory_has_a_limit() {
    let large: Vec<u8> = (0..5).flat_map(|number| transparent(0x2F50 + number, 0xFFFF)).collect();
    let package = milenage().before(PeKind::End, [file_management(true, &large)]);
    package.fails_with(NO_MEMORY, status(StatusCode::NotEnoughMemory, 101));
    let many =
        |part: u16| (0..200).flat_map(move |number| transparent(0x6000 + part * 256 + number, 1)).collect::<Vec<u8>>();
    let elements: Vec<Vec<u8>> = (0..6).map(|part| file_management(true, &many(part))).collect();
    let package = milenage().before(PeKind::End, elements);
    package.fails_with(NO_MEMORY, status(StatusCode::NotEnoughMemory, 101));
    // Refused as soon as its length is known.
    let mut installer = Installer::new(options(hex!("98001032547698103214"))).unwrap();
    let error = installer.push(&hex!("A0 83 FFFFFF")).unwrap_err();
    assert_eq!((error.reason, statuses(&error.response)[0].status), (NO_MEMORY, StatusCode::NotEnoughMemory));
    let domains = (1..=2).map(|version| {
        let perso = tlv(0xA3, &[&tlv(0x04, &[&[0; 20_000]])]);
        element(0xA6, 110 + version, true, &[&instance(&[version; 5], 0x0F), &perso])
    });
    let package = milenage().before(PeKind::End, domains);
    package.fails_with(NO_MEMORY, status(StatusCode::NotEnoughMemory, 112));
}

#[test]
fn pins_belong_to_the_last_directory() {
    // A DF of its own, with PINs of its own; then one that shares them.
    let own = file_management(true, &directory(0x7F60, &[0x81]));
    let sharing = file_management(true, &directory(0x7F61, &[0x81]));
    let shared = element(0xA2, 107, true, &[&hex!("A104 8102 7F60")]);
    let package = milenage().before(PeKind::End, [own, pin(0x81, &[]), sharing, shared]);
    let mut profile = package.installs_with(&[]);
    let (df, other) = (find(&profile, &[0x7F60]).unwrap(), find(&profile, &[0x7F61]).unwrap());
    assert_eq!(profile.pins[profile.pin_index(0x81, df).unwrap()].context, df);
    assert_eq!(profile.shared_pins, [SharedPins { context: other, source: df }]);
    assert_eq!(profile.pin_index(0x81, other), profile.pin_index(0x81, df));
    let mut store = MemoryStore::new();
    profile.store_new(&mut store).unwrap();
    assert_eq!(Profile::load(&store, SLOT).unwrap().shared_pins, profile.shared_pins);
    // One that makes no DF but selects one.
    let select = file_management(true, &hex!("8002 7FD0"));
    let package = milenage().before(PeKind::End, [select, pin(0x82, &[])]);
    let profile = package.installs_with(&[]);
    assert_eq!(profile.pins.last().unwrap().context, find(&profile, &[0x7FD0]).unwrap());
}

#[test]
fn administrative_keys_are_never_open() {
    let off = hex!("8301 00");
    for (reference, enabled) in [(0x81, false), (0x8A, true), (0x8E, true)] {
        let df = file_management(true, &directory(0x7F60, &[]));
        let profile = milenage().before(PeKind::End, [df, pin(reference, &off)]).installs_with(&[]);
        assert_eq!(profile.pins.last().unwrap().enabled, enabled, "{reference:02X}");
    }
}

#[test]
fn pins_are_checked() {
    let with = |element| milenage().before(PeKind::End, [file_management(true, &directory(0x7F60, &[])), element]);
    let refuse = |element, code| with(element).fails_with(PE_PROCESSING, status(code, 102));
    with(pin(0x81, &[])).installs_with(&[]);
    // A global PIN outside of the MF.
    refuse(pin(0x02, &[]), StatusCode::InvalidParameter);
    // A PUK that did not come.
    refuse(pin(0x82, &hex!("8202 0088")), StatusCode::InvalidParameter);
    // No attempts at all; more left than there are.
    refuse(pin(0x82, &hex!("8401 00")), StatusCode::BadValues);
    refuse(pin(0x82, &hex!("8401 34")), StatusCode::BadValues);
    // The same once more in a context.
    let select = file_management(true, &hex!("8002 7FD0"));
    let again = milenage().before(PeKind::End, [select, pin(0x81, &[])]);
    again.fails_with(PE_PROCESSING, status(StatusCode::InvalidParameter, 102));
    // Shared with a DF that has none.
    let sharing = file_management(true, &directory(0x7F61, &[]));
    let shared = element(0xA2, 107, true, &[&hex!("A104 8102 3F00"), &[]]);
    let none = element(0xA2, 107, true, &[&hex!("A104 8102 7F60")]);
    let df = file_management(true, &directory(0x7F60, &[]));
    let package = milenage().before(PeKind::End, [df, sharing.clone(), none]);
    package.fails_with(PE_PROCESSING, status(StatusCode::InvalidParameter, 107));
    milenage().before(PeKind::End, [sharing.clone(), shared.clone()]).installs_with(&[]);
    // Shared twice.
    let select = file_management(true, &hex!("8002 7F61"));
    let package = milenage().before(PeKind::End, [sharing, shared.clone(), select, shared]);
    package.fails_with(PE_PROCESSING, status(StatusCode::InvalidParameter, 107));
}

#[test]
fn a_missing_pin_is_found_at_the_end() {
    let package = milenage().before(PeKind::End, [file_management(true, &directory(0x7F60, &[0x01, 0x83]))]);
    let end = Element::decode(&package.0[package.position(PeKind::End)]).unwrap().identification().unwrap();
    package.fails_with(PE_PROCESSING, status(StatusCode::PinCodeMissing, end));
}

#[test]
fn keys_are_checked() {
    let with = |mandated, choice: &[u8]| milenage().replace(PeKind::AkaParameter, aka(mandated, choice));
    let refuse = |choice: &[u8], code| with(true, choice).fails_with(PE_PROCESSING, status(code, 103));
    refuse(&algorithm(1, 0, &TEST_KEY, &[0; 16], &hex!("8405 4000208060")), StatusCode::BadValues);
    refuse(&algorithm(3, 3, &TEST_KEY, &[], &[]), StatusCode::BadValues);
    refuse(&algorithm(9, 0, &TEST_KEY, &[], &[]), StatusCode::FeatureNotSupported);
    // An application whose keys come later, or never.
    refuse(&tlv(0xA0, &[&hex!("8001 06"), &tlv(0x81, &[&USIM_AID])]), StatusCode::InvalidParameter);
    for options in [1, 3, 4, 0x10, 0x80, 0xFF] {
        refuse(&algorithm(2, options, &TEST_KEY, &[0; 32], &[]), StatusCode::BadValues);
        refuse(&algorithm(3, options, &TEST_KEY, &[], &[]), StatusCode::BadValues);
        refuse(&tlv(0xA0, &[&[0x80, 1, options], &tlv(0x81, &[&USIM_AID])]), StatusCode::BadValues);
    }
    // Without an iteration TUAK would answer parts of its key.
    refuse(&algorithm(2, 0, &TEST_KEY, &[0; 32], &hex!("8701 00")), StatusCode::BadValues);
    for (options, length) in [(0, 4), (2, 16)] {
        let profile = with(true, &algorithm(3, options, &TEST_KEY, &[], &[])).installs_with(&[]);
        assert!(matches!(profile.naas[0].algorithm, Algorithm::XorTest { res_len, .. } if res_len == length));
        for key in [&TEST_KEY[..], &[7; 32]] {
            let choice = algorithm(2, options, key, &[9; 32], &hex!("8701 02"));
            let mut profile = with(true, &choice).installs_with(&[]);
            let algorithm = &profile.naas[0].algorithm;
            let Algorithm::Tuak { k, topc: [9, ..], res_len, iterations: 2 } = algorithm else { panic!() };
            assert_eq!((&k[..], *res_len), (key, length));
            stored(&mut profile);
        }
    }
    // A second set of keys for the same application.
    let again = milenage().before(PeKind::GsmAccess, [aka(true, &algorithm(1, 0, &TEST_KEY, &[0; 16], &[]))]);
    again.fails_with(PE_PROCESSING, status(StatusCode::InvalidParameter, 103));
}

#[test]
fn keys_can_be_those_of_an_earlier_application() {
    let mut package = milenage();
    let at = package.0.iter().rposition(|bytes| Element::decode(bytes).unwrap().kind == PeKind::AkaParameter).unwrap();
    package.0[at] = aka(true, &tlv(0xA0, &[&hex!("8001 06"), &tlv(0x81, &[&USIM_AID])]));
    let profile = package.installs_with(&[]);
    assert!(matches!(&profile.naas[1].algorithm, Algorithm::Milenage { k: TEST_KEY, .. }));
    assert_ne!(profile.naas[0].adf, profile.naas[1].adf);
}

/// ApplicationInstance of a security domain.
fn instance(aid: &[u8], life_cycle: u8) -> Vec<u8> {
    let names = [&hex!("4F07 A0000001515350 4F08 A000000151535041")[..], &tlv(0x4F, &[aid])].concat();
    tlv(0xA1, &[&names, &hex!("8203 82DC00"), &[0x83, 1, life_cycle], &hex!("C900")])
}

/// PE-SecurityDomain number 108 with AES keys of these versions.
fn security_domain(life_cycle: u8, versions: &[u8]) -> Vec<u8> {
    let keys: Vec<u8> = versions.iter().flat_map(|version| key(*version, 0x88)).collect();
    element(0xA6, 108, true, &[&instance(&hex!("A000000151000000"), life_cycle), &tlv(0xA2, &[&keys])])
}

fn key(version: u8, key_type: u8) -> Vec<u8> {
    let component = tlv(0x30, &[&[0x80, 1, key_type], &tlv(0x86, &[&TEST_KEY])]);
    tlv(0x30, &[&hex!("9501 18 8201 01"), &[0x83, 1, version], &tlv(0x30, &[&component])])
}

/// PE-RFM number 109.
fn rfm(domain: &[u8]) -> Vec<u8> {
    element(0xA7, 109, true, &[&hex!("4F09 A00000055910100001"), domain, &hex!("8101 02 0401 00 0401 00")])
}

#[test]
fn security_domains_and_remote_management_are_kept() {
    let (domain, rfm_element) = (security_domain(0x0F, &[1, 2]), rfm(&[]));
    let profile = milenage().before(PeKind::End, [domain.clone(), rfm_element.clone()]).installs_with(&[]);
    assert_eq!(profile.kept, [domain, rfm_element].concat());
}

#[test]
fn security_domains_are_checked() {
    let refuse = |elements: Vec<Vec<u8>>, code, identification| {
        milenage().before(PeKind::End, elements).fails_with(PE_PROCESSING, status(code, identification));
    };
    refuse(vec![security_domain(0x0F, &[1, 1])], StatusCode::BadValues, 108);
    let domain = || security_domain(0x0F, &[1]);
    refuse(vec![domain(), domain()], StatusCode::InvalidParameter, 108);
    refuse(vec![security_domain(0x07, &[1]), rfm(&[])], StatusCode::InvalidParameter, 109);
    refuse(vec![domain(), rfm(&hex!("4F05 A000000009"))], StatusCode::InvalidParameter, 109);
    let odd = element(0xA6, 108, true, &[&instance(&[1; 5], 0x0F), &tlv(0xA2, &[&key(1, 0x77)])]);
    refuse(vec![odd], StatusCode::FeatureNotSupported, 108);
}

#[test]
fn services_that_the_card_has_not_got_are_cleared() {
    let package = milenage();
    let clean = content(&package.installs_with(&[]), &[0x7FD0, 0x6F38]).to_vec();
    let (mut wanted, mut available) = (clean.clone(), clean.clone());
    // GBA 68, MBMS 69, GBA local keys 76, of which the card has the first.
    wanted[8] |= 0b0001_1000;
    wanted[9] |= 0b0000_1000;
    available[8] |= 0b0000_1000;
    let profile = package.patch(PeKind::Usim, &clean, &wanted).installs_with(&[]);
    assert_eq!(content(&profile, &[0x7FD0, 0x6F38]), available);
}

#[test]
fn files_of_missing_services_are_left_out() {
    // EF.GBABP and EF.GBANL (GBA), then EF.MSK (MBMS) of OPT-USIM.
    let gbabp = hex!("BF37 09 A107 8003 000010 8800");
    let msk = hex!("BF38 0D A10B 8204 42210010 8001 10 8800");
    let gbanl = hex!("BF3B 0D A10B 8204 42210010 8001 10 8800");
    let template = hex!("8106 67810F010205");
    let package = milenage().replace(PeKind::OptUsim, element(0xB4, 105, true, &[&template, &gbabp, &msk, &gbanl]));
    let warning = status(StatusCode::FeatureNotSupported, 105).with_additional(2);
    let profile = package.installs_with(&[warning]);
    for (fid, made) in [(0x6FD6, true), (0x6FD7, false), (0x6FDA, true)] {
        assert_eq!(find(&profile, &[0x7FD0, fid]).is_some(), made, "{fid:04X}");
    }
}
