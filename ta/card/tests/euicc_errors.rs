//! Every error code of SGP.22 v2.5 that the card gives, from the check it names.

mod common;

use common::*;
use teuicc_apdu::StatusWord;
use teuicc_rsp::bpp::BppContents;
use teuicc_rsp::codes::*;
use teuicc_rsp::crypto::{Curve, SecretKey};
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::PprIds;
use teuicc_rsp::object::{Object, Octets, TransactionId};
use teuicc_rsp::oid::Role;
use teuicc_rsp::scp03t::Scp03t;
use teuicc_rsp::tags;
use teuicc_saip::build::Algorithm;
use teuicc_tlv::{Tag, Writer};

fn copy(key: &SecretKey) -> SecretKey {
    SecretKey::new(key.curve(), key.expose_scalar()).unwrap()
}

fn authenticate_error(device: &mut Device, request: &[u8]) -> u32 {
    match device.call(request) {
        AuthenticateServerResponse::Error(error) => error.error.code(),
        AuthenticateServerResponse::Ok(_) => 0,
    }
}

/// A new challenge, and AuthenticateServer with what `smdp` says to it.
fn authenticate(device: &mut Device, smdp: &Smdp<'_>) -> u32 {
    let challenge = device.challenge();
    authenticate_error(device, &smdp.authenticate_server(&challenge))
}

fn prepare_error(device: &mut Device, request: &[u8]) -> u32 {
    match device.call(request) {
        PrepareDownloadResponse::Error(error) => error.error.code(),
        PrepareDownloadResponse::Ok(_) => 0,
    }
}

/// Puts an id-ecPublicKey curve that nobody supports into a certificate.
fn with_unknown_curve(certificate: &[u8]) -> Vec<u8> {
    let known = teuicc_rsp::oid::P256;
    let at = certificate.windows(known.len()).position(|window| window == known).unwrap();
    let mut changed = certificate.to_vec();
    changed[at + known.len() - 1] = 0x22;
    changed
}

#[test]
fn authenticate_server() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));

    // 4: no session, also when the challenge was used.
    assert_eq!(authenticate_error(&mut device, &smdp.authenticate_server(&[0; 16])), 4);
    let challenge = device.challenge();
    let request = smdp.authenticate_server(&challenge);
    assert_eq!(authenticate_error(&mut device, &request), 0);
    assert_eq!(authenticate_error(&mut device, &request), 4);

    // 6: another challenge; the session is spent.
    let challenge = device.challenge();
    assert_eq!(authenticate_error(&mut device, &smdp.authenticate_server(&[0; 16])), 6);
    assert_eq!(authenticate_error(&mut device, &smdp.authenticate_server(&challenge)), 4);

    // 2: signature.
    let challenge = device.challenge();
    let request = smdp.authenticate_server_with(&challenge, |signature| signature[63] ^= 1);
    assert_eq!(authenticate_error(&mut device, &request), 2);

    // 7: the CI of the server's certificate, and the CI to be used.
    let other = Pki::named(Curve::P256, "Other CI", 2);
    let stranger = Smdp::new(&other, TestProfile::new(ICCID));
    assert_eq!(authenticate(&mut device, &stranger), 7);
    smdp.ci_key_id = other.ci_key_id();
    assert_eq!(authenticate(&mut device, &smdp), 7);
    smdp.ci_key_id = pki.ci_key_id();

    // 5: another role.
    let good = smdp.auth_certificate.clone();
    for wrong in [&pki.dp_pb, &pki.eum] {
        smdp.auth_certificate = wrong.certificate.clone();
        smdp.auth_key = &wrong.key;
        assert_eq!(authenticate(&mut device, &smdp), 5);
    }
    smdp.auth_key = &pki.dp_auth.key;

    // 1: forged, without an OID, no certificate at all.
    let forged = Pki::named(Curve::P256, "Forged", 3).issue(Role::DpAuth, copy(&pki.dp_auth.key), |_| ());
    let own_id = pki.ci_key_id();
    let forged_id = teuicc_rsp::certificate::Certificate::parse(&forged.certificate).unwrap();
    let forged_id = forged_id.authority_key_identifier.unwrap().to_vec();
    let at = forged.certificate.windows(20).position(|window| window == forged_id).unwrap();
    smdp.auth_certificate = forged.certificate.clone();
    smdp.auth_certificate[at..at + 20].copy_from_slice(&own_id);
    assert_eq!(authenticate(&mut device, &smdp), 1);
    let no_oid = pki.issue(Role::DpAuth, copy(&pki.dp_auth.key), |template| template.registered_id = None);
    smdp.auth_certificate = no_oid.certificate;
    assert_eq!(authenticate(&mut device, &smdp), 1);
    smdp.auth_certificate = vec![0x30, 0x02, 0x05, 0x00];
    assert_eq!(authenticate(&mut device, &smdp), 1);

    // 3: a curve that nobody knows.
    smdp.auth_certificate = with_unknown_curve(&good);
    assert_eq!(authenticate(&mut device, &smdp), 3);

    // 127: an address that is too long to be kept, a request that is malformed behind its signed part.
    smdp.auth_certificate = good;
    let challenge = device.challenge();
    let mut request = smdp.authenticate_server(&challenge);
    let at = request.windows(2).position(|window| window == [0x5F, 0x37]).unwrap();
    request[at + 1] = 0x38;
    assert_eq!(authenticate_error(&mut device, &request), 127);
    assert_eq!(authenticate(&mut device, &smdp), 0);

    // Malformed before there is a transaction.
    assert_eq!(device.es10_sw(&[0xBF, 0x38, 0x00]).1, StatusWord::INCORRECT_DATA);
}

#[test]
fn authenticate_server_with_a_certificate_of_the_other_curve() {
    let (nist, brainpool) = (Pki::new(Curve::P256), Pki::new(Curve::BrainpoolP256r1));
    let mut device = Device::new(&[&nist]);
    // A key on brainpool, certified by the CI on P-256.
    let key = copy(&brainpool.dp_auth.key);
    let mixed = nist.issue(Role::DpAuth, key, |_| ());
    let mut smdp = Smdp::new(&nist, TestProfile::new(ICCID));
    smdp.auth_certificate = mixed.certificate;
    smdp.auth_key = &brainpool.dp_auth.key;
    assert_eq!(authenticate(&mut device, &smdp), 3);
}

#[test]
fn an_sm_ds_is_authenticated_and_gives_no_profiles() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smds = Smdp::new(&pki, TestProfile::new(ICCID));
    smds.auth_certificate = pki.ds_auth.certificate.clone();
    smds.auth_key = &pki.ds_auth.key;
    smds.authenticate(&mut device);
    assert_eq!(prepare_error(&mut device, &smds.prepare_download(None)), 1);
    assert!(matches!(cancel(&mut device, &smds.transaction_id), CancelSessionResponse::Ok(_)));
}

#[test]
fn prepare_download() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    // 4: no session, a session without authentication.
    assert_eq!(prepare_error(&mut device, &smdp.prepare_download(None)), 4);
    device.challenge();
    assert_eq!(prepare_error(&mut device, &smdp.prepare_download(None)), 4);

    smdp.authenticate(&mut device);
    // 2: signature, and a signature over another authentication.
    let request = smdp.prepare_download_with(None, |signature| signature[0] ^= 1);
    assert_eq!(prepare_error(&mut device, &request), 2);
    let own = smdp.euicc_signature1.replace([7; 64]);
    assert_eq!(prepare_error(&mut device, &smdp.prepare_download(None)), 2);
    smdp.euicc_signature1 = own;

    // 5: transaction.
    let own = std::mem::replace(&mut smdp.transaction_id, vec![1]);
    assert_eq!(prepare_error(&mut device, &smdp.prepare_download(None)), 5);
    smdp.transaction_id = own;

    // 1: another role, another server, another CI, no certificate.
    let good = smdp.pb_certificate.clone();
    let other_oid = pki.issue(Role::DpPb, copy(&pki.dp_pb.key), |template| template.registered_id = Some(&[0x2A]));
    let other_ci = Pki::named(Curve::P256, "Other CI", 2);
    let bad = [&pki.dp_auth.certificate, &other_oid.certificate, &other_ci.dp_pb.certificate, &vec![0x30, 0x00]];
    for certificate in bad {
        smdp.pb_certificate = certificate.clone();
        assert_eq!(prepare_error(&mut device, &smdp.prepare_download(None)), 1);
    }
    // 3: curve.
    smdp.pb_certificate = with_unknown_curve(&good);
    assert_eq!(prepare_error(&mut device, &smdp.prepare_download(None)), 3);
    smdp.pb_certificate = good;

    // 127: malformed.
    let mut request = smdp.prepare_download(None);
    let at = request.windows(3).position(|window| window == [0x5F, 0x37, 0x40]).unwrap();
    request[at + 1] = 0x38;
    assert_eq!(prepare_error(&mut device, &request), 127);
    assert_eq!(device.es10_sw(&[0xBF, 0x21, 0x00]).1, StatusWord::INCORRECT_DATA);

    // All that did no harm.
    smdp.prepare(&mut device);
}

/// A session up to the package.
fn prepared<'a>(device: &mut Device, pki: &'a Pki) -> Smdp<'a> {
    let mut smdp = Smdp::new(pki, TestProfile::new(ICCID));
    smdp.authenticate(device);
    smdp.prepare(device);
    smdp
}

/// InitialiseSecureChannel with members of its own, and signed.
fn secure_channel(smdp: &mut Smdp<'_>, op: u32, transaction_id: &[u8], key_type: u8, key_len: u8) -> Vec<u8> {
    let (good, _) = smdp.secure_channel();
    let mut signed = Writer::new();
    signed.unsigned(Tag(0x82), op).unwrap();
    signed.primitive(Tag(0x80), transaction_id).unwrap();
    signed
        .nested::<teuicc_tlv::Error>(Tag(0xA6), |writer| {
            writer.primitive(Tag(0x80), &[key_type])?;
            writer.primitive(Tag(0x81), &[key_len])?;
            writer.primitive(Tag(0x84), HOST_ID)
        })
        .unwrap();
    signed.raw(members(&good)[3].raw).unwrap();
    let parts = teuicc_rsp::signing::with_otpk(signed.as_bytes(), smdp.euicc_otpk.as_ref().unwrap());
    let signature = smdp.pb_key.sign(&parts).unwrap();
    let mut whole = Writer::new();
    whole
        .nested::<teuicc_tlv::Error>(tags::INITIALISE_SECURE_CHANNEL, |writer| {
            writer.raw(signed.as_bytes())?;
            writer.primitive(tags::SIGNATURE, &signature)
        })
        .unwrap();
    whole.into_bytes()
}

/// The first segment with `isc`.
fn first_segment(isc: &[u8]) -> Vec<u8> {
    let mut segment = vec![0xBF, 0x36, 0x82, 0x40, 0x00];
    segment.extend_from_slice(isc);
    segment
}

#[test]
fn initialise_secure_channel() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let tid = vec![0xA1, 0xB2, 0xC3, 0xD4];
    let command = BppCommandId::InitialiseSecureChannel;
    let cases: [(u32, &[u8], u8, u8, u32); 5] = [
        (2, &[1], 0x80, 0x11, 5),
        (1, &[1], 0x80, 0x11, 3),
        (1, &tid, 0x80, 0x10, 4),
        (1, &tid, 0x88, 0x20, 4),
        (1, &tid, 0x88, 0x10, 0),
    ];
    for (op, transaction_id, key_type, key_len, reason) in cases {
        let mut smdp = prepared(&mut device, &pki);
        let isc = secure_channel(&mut smdp, op, transaction_id, key_type, key_len);
        let answer = device.es10(&first_segment(&isc));
        if reason == 0 {
            assert_eq!(answer, []);
        } else {
            assert_eq!(error_of(&answer), (command, ErrorReason::from_code(reason)));
        }
    }
    // 2: signature, over another one-time key too.
    for change in [0, 1] {
        let mut smdp = prepared(&mut device, &pki);
        if change == 0 {
            smdp.euicc_otpk = Some(*pki.dp_pb.key.public_key().unwrap().point());
        }
        let mut isc = secure_channel(&mut smdp, 1, &tid, 0x88, 0x10);
        let last = isc.len() - 1;
        isc[last] ^= change;
        let answer = device.es10(&first_segment(&isc));
        assert_eq!(error_of(&answer), (command, ErrorReason::InvalidSignature));
    }
    // 1: malformed, and a point that is not on the curve.
    prepared(&mut device, &pki);
    let answer = device.es10(&first_segment(&[0xBF, 0x23, 0x00]));
    assert_eq!(error_of(&answer), (command, ErrorReason::IncorrectInputValues));
    let smdp = prepared(&mut device, &pki);
    let bad = teuicc_rsp::bpp::initialise_secure_channel(
        TransactionId::new(&tid).unwrap(),
        Octets::new(HOST_ID).unwrap(),
        &[4; 65],
        &smdp.euicc_otpk.unwrap(),
        smdp.pb_key,
    );
    let answer = device.es10(&first_segment(&bad.unwrap()));
    assert_eq!(error_of(&answer), (command, ErrorReason::IncorrectInputValues));
    // Without a prepared session there is nobody to answer to.
    assert_eq!(device.es10_sw(&first_segment(&[0xBF, 0x23, 0x00])).1, StatusWord::CONDITIONS_OF_USE);
}

/// A package with another ConfigureISDP and other metadata.
fn package_with(smdp: &mut Smdp<'_>, configure_isdp: &[u8], store_metadata: &[u8]) -> Vec<u8> {
    let (isc, keys) = smdp.secure_channel();
    let profile = smdp.profile.package.clone();
    BppContents {
        initialise_secure_channel: &isc,
        configure_isdp,
        store_metadata,
        profile_protection_keys: None,
        profile: &profile,
    }
    .build(keys)
    .unwrap()
}

#[test]
fn configure_isdp_and_metadata() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let good = metadata(ICCID, |_| ());
    let mut try_it = |configure: &[u8], metadata: &[u8]| {
        let mut smdp = prepared(&mut device, &pki);
        let package = package_with(&mut smdp, configure, metadata);
        error_of(&load(&mut device, &package))
    };
    let no_owner = metadata(ICCID, |writer| writer.bits(Tag(0x99), PprIds::PPR1.0).unwrap());
    let long: Vec<u8> = [&[0xBF, 0x24, 0x81, 0x84, 0xB8, 0x81, 0x81, 0x80, 0x7F][..], &[1; 127]].concat();
    let mut iccid_cut = good.clone();
    iccid_cut[4] = 0x09;
    let at_isdp = |reason| (BppCommandId::ConfigureIsdp, reason);
    let at_metadata = |reason| (BppCommandId::StoreMetadata, reason);
    assert_eq!(try_it(&[0xBF, 0x25, 0x00], &good), at_isdp(ErrorReason::IncorrectInputValues));
    assert_eq!(try_it(&long, &good), at_isdp(ErrorReason::IncorrectInputValues));
    let configure = &[0xBF, 0x24, 0x00];
    assert_eq!(try_it(configure, &[0xBF, 0x25, 0x00]), at_metadata(ErrorReason::IncorrectInputValues));
    assert_eq!(try_it(configure, &iccid_cut), at_metadata(ErrorReason::IncorrectInputValues));
    let strange = metadata(ICCID, |writer| class(writer, 3));
    assert_eq!(try_it(configure, &strange), at_metadata(ErrorReason::UnsupportedProfileClass));
    assert_eq!(try_it(configure, &no_owner), at_metadata(ErrorReason::PprNotAllowed));
    // More recipients than the list of notifications has room for would push out what others are to be told.
    let recipient = b"\x30\x07\x80\x02\x04\xF0\x81\x01\x61".repeat(17);
    let mut crowd = Writer::new();
    crowd
        .nested::<teuicc_tlv::Error>(tags::STORE_METADATA, |writer| {
            writer.primitive(Tag(0x5A), digits(ICCID).as_bytes())?;
            writer.primitive(Tag(0x91), b"Provider")?;
            writer.primitive(Tag(0x92), b"Profile")?;
            writer.primitive(Tag(0xB6), &recipient)
        })
        .unwrap();
    assert_eq!(try_it(configure, crowd.as_bytes()), at_metadata(ErrorReason::IncorrectInputValues));
    // In the second piece it is the second command.
    let large = metadata(ICCID, |writer| {
        writer.primitive(Tag(0x94), &[0; 1024]).unwrap();
        class(writer, 3);
    });
    assert_eq!(try_it(configure, &large), (BppCommandId::StoreMetadata2, ErrorReason::UnsupportedProfileClass));
}

#[test]
fn dp_proprietary_data_is_kept_with_the_profile() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = prepared(&mut device, &pki);
    let package = package_with(&mut smdp, b"\xBF\x24\x07\xB8\x05\x80\x03\x88\x37\x0A", &metadata(ICCID, |_| ()));
    load(&mut device, &package);
    device.reboot();
    let answer = device.es10(&[0xBF, 0x2D, 0x03, 0x5C, 0x01, 0xB8]);
    assert_eq!(answer, b"\xBF\x2D\x0B\xA0\x09\xE3\x07\xB8\x05\x80\x03\x88\x37\x0A");
}

#[test]
fn policy_rules_and_the_iccid() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    device.install(&pki, &TestProfile::new(ICCID));
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    let exists = ErrorReason::InstallFailedDueToIccidAlreadyExistsOnEuicc;
    assert_eq!(smdp.download_error(&mut device), (BppCommandId::StoreMetadata, exists));
    // PPR1 and another operational profile do not go together; PPR2 does.
    let other = "89000123456789012358";
    let ppr = |wanted| TestProfile::with(other, Algorithm::Milenage, |writer| rules(writer, wanted));
    smdp.profile = ppr(PprIds::PPR1);
    assert_eq!(smdp.download_error(&mut device), (BppCommandId::StoreMetadata, ErrorReason::PprNotAllowed));
    device.install(&pki, &ppr(PprIds::PPR2));
}

#[test]
fn the_card_is_full() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    for number in 0..16 {
        device.install(&pki, &TestProfile::new(&format!("890001234567890{number:04}")));
    }
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    let memory = ErrorReason::InstallFailedDueToInsufficientMemoryForProfile;
    assert_eq!(smdp.download_error(&mut device), (BppCommandId::StoreMetadata, memory));
    assert_eq!(device.delete("8900012345678900007"), 0);
    device.install(&pki, &TestProfile::new(ICCID));
}

#[test]
fn the_profile() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    let mut try_it = |profile: TestProfile| {
        smdp.profile = profile;
        smdp.download_error(&mut device)
    };
    let elements = |reason| (BppCommandId::LoadProfileElements, reason);
    // 13: the ICCID of the header is another one.
    let mut profile = TestProfile::new(ICCID);
    profile.metadata = metadata("89000123456789012358", |_| ());
    assert_eq!(try_it(profile), elements(ErrorReason::InstallFailedDueToDataMismatch));
    // 12: an element that cannot be processed, and a package that ends too early.
    let mut profile = TestProfile::new(ICCID);
    profile.package.truncate(2000);
    assert_eq!(try_it(profile), elements(ErrorReason::InstallFailedDueToPeProcessingError));
    let mut profile = TestProfile::new(ICCID);
    profile.package = vec![0xBE; 3000];
    assert_eq!(try_it(profile), elements(ErrorReason::InstallFailedDueToPeProcessingError));
    // 14: a test profile with a key that is no test key.
    let mut profile = TestProfile::with(ICCID, Algorithm::Milenage, |writer| class(writer, 0));
    let key: Vec<u8> = (0..16).collect();
    let at = profile.package.windows(16).position(|window| window == key).unwrap();
    profile.package[at] = 0x55;
    assert_eq!(try_it(profile), elements(ErrorReason::TestProfileInstallFailedDueToInvalidNaaKey));
    // The test algorithm is refused in an operational profile under a CI that is not for tests.
    let profile = TestProfile::with(ICCID, Algorithm::XorTest, |_| ());
    assert_eq!(try_it(profile).0, BppCommandId::LoadProfileElements);
    assert_eq!(device.profiles(), []);
    device.install(&pki, &TestProfile::with(ICCID, Algorithm::XorTest, |writer| class(writer, 0)));
}

#[test]
fn secure_messaging() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    // 8: a changed byte in each kind of object; 7: an object that cannot be one.
    let kinds = [
        (tags::FIRST_SEQUENCE_OF_87, 1usize, BppCommandId::ConfigureIsdp),
        (tags::SCP03T_MAC_ONLY, 3, BppCommandId::StoreMetadata),
        (tags::SECOND_SEQUENCE_OF_87, 4, BppCommandId::ReplaceSessionKeys),
        (tags::SCP03T_ELEMENT, 6, BppCommandId::LoadProfileElements),
    ];
    for (tag, index, command) in kinds {
        let mut smdp = prepared(&mut device, &pki);
        let package = smdp.package();
        let segments = teuicc_rsp::bpp::segments(&package).unwrap();
        for segment in &segments[..index] {
            assert_eq!(device.es10_in_blocks(segment, 255).0, []);
        }
        let mut changed = segments[index].to_vec();
        assert_eq!(Tag(u32::from(changed[0])), tag);
        *changed.last_mut().unwrap() ^= 1;
        let answer = device.es10_in_blocks(&changed, 255).0;
        assert_eq!(error_of(&answer), (command, ErrorReason::Scp03tSecurityError));
    }
    for (segment, command) in [
        (&[0xA0, 0x04, 0x87, 0x02, 0x00, 0x00][..], BppCommandId::ConfigureIsdp),
        (&[0x86, 0x02, 0x00, 0x00], BppCommandId::ConfigureIsdp),
        (&[0xA1, 0x10], BppCommandId::ConfigureIsdp),
    ] {
        let mut smdp = prepared(&mut device, &pki);
        let package = smdp.package();
        let segments = teuicc_rsp::bpp::segments(&package).unwrap();
        assert_eq!(device.es10(segments[0]), []);
        let answer = device.es10(segment);
        assert_eq!(error_of(&answer), (command, ErrorReason::Scp03tStructureError));
    }
    // ReplaceSessionKeys with something else inside: 1.
    let mut smdp = prepared(&mut device, &pki);
    let (isc, keys) = smdp.secure_channel();
    let mut channel = Scp03t::new(keys);
    let configure = channel.protect(tags::SCP03T_COMMAND, &[0xBF, 0x24, 0x00]).unwrap();
    let metadata = channel.protect(tags::SCP03T_MAC_ONLY, &smdp.profile.metadata).unwrap();
    let replace = channel.protect(tags::SCP03T_COMMAND, &[0xBF, 0x26, 0x00]).unwrap();
    let wrap = |tag: Tag, content: &[u8]| {
        let mut writer = Writer::new();
        writer.primitive(tag, content).unwrap();
        writer.into_bytes()
    };
    assert_eq!(device.es10(&first_segment(&isc)), []);
    assert_eq!(device.es10(&wrap(tags::FIRST_SEQUENCE_OF_87, &configure)), []);
    assert_eq!(device.es10(&wrap(tags::SEQUENCE_OF_88, &metadata)), []);
    let answer = device.es10(&wrap(tags::SECOND_SEQUENCE_OF_87, &replace));
    assert_eq!(error_of(&answer), (BppCommandId::ReplaceSessionKeys, ErrorReason::IncorrectInputValues));
}

/// A store that cannot write profiles.
struct NoRoom {
    store: teuicc_card::testing::MemoryStore,
    error: teuicc_card::StoreError,
}

impl teuicc_card::Store for NoRoom {
    fn load(&self, id: teuicc_card::ObjectId) -> Result<Option<Vec<u8>>, teuicc_card::StoreError> {
        self.store.load(id)
    }

    fn replace(&mut self, id: teuicc_card::ObjectId, value: &[u8]) -> Result<(), teuicc_card::StoreError> {
        match id {
            teuicc_card::ObjectId::Hot(_) => Err(self.error),
            _ => self.store.replace(id, value),
        }
    }

    fn remove(&mut self, id: teuicc_card::ObjectId) -> Result<(), teuicc_card::StoreError> {
        self.store.remove(id)
    }

    fn list(&self) -> Result<Vec<teuicc_card::ObjectId>, teuicc_card::StoreError> {
        self.store.list()
    }
}

#[test]
fn a_store_that_takes_no_profile() {
    use teuicc_card::testing::SeededRng;
    use teuicc_card::{Card, Platform, StoreError};
    use teuicc_wire::Interface;
    let pki = Pki::new(Curve::P256);
    for (error, reason) in [
        (StoreError::Full, ErrorReason::InstallFailedDueToInsufficientMemoryForProfile),
        (StoreError::Unavailable, ErrorReason::InstallFailedDueToUnknownError),
    ] {
        let store = Device::new(&[&pki]).store;
        let before = store.snapshot();
        let no_room = NoRoom { store: store.clone(), error };
        let mut card = Card::boot(Platform { rng: SeededRng::new(4711), store: no_room, rollback_protection: false });
        card.power_up(Interface::Lpa).unwrap();
        let select = [&[0x00, 0xA4, 0x04, 0x00, 0x10][..], &teuicc_rsp::aid::ISDR].concat();
        assert_eq!(card.transmit(Interface::Lpa, &select).unwrap().sw, StatusWord::OK);
        let mut es10 = |command: &[u8]| {
            let count = command.chunks(255).count();
            let mut data = Vec::new();
            for (number, block) in command.chunks(255).enumerate() {
                let p1 = if number + 1 == count { 0x91 } else { 0x11 };
                let apdu = teuicc_apdu::encode_command([0x80, 0xE2, p1, number as u8], block, None).unwrap();
                data = card.transmit(Interface::Lpa, &apdu).unwrap().data;
            }
            data
        };
        let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
        let challenge = es10(&empty_request(tags::GET_EUICC_CHALLENGE).unwrap());
        let answer = es10(&smdp.authenticate_server(challenge[5..].try_into().unwrap()));
        let Ok(AuthenticateServerResponse::Ok(ok)) = AuthenticateServerResponse::parse(&answer) else { panic!() };
        smdp.euicc_signature1 = Some(*ok.euicc_signature1);
        let answer = es10(&smdp.prepare_download(None));
        let Ok(PrepareDownloadResponse::Ok(ok)) = PrepareDownloadResponse::parse(&answer) else { panic!() };
        smdp.euicc_otpk = Some(*ok.euicc_signed2.euicc_otpk);
        let package = smdp.package();
        let segments = teuicc_rsp::bpp::segments(&package).unwrap();
        let answer = segments.iter().map(|segment| es10(segment)).find(|data| !data.is_empty()).unwrap();
        assert_eq!(error_of(&answer), (BppCommandId::LoadProfileElements, reason));
        // What was written of the profile goes with the next command.
        es10(&empty_request(tags::PROFILE_INFO_LIST).unwrap());
        assert!(store.snapshot().keys().eq(before.keys()));
    }
}
