//! One whole published RSP session, recomputed: every signature, the key agreement, every protected object.

mod common;

use common::published;
use teuicc_rsp::bpp::{BppContents, BppItem, BppStream, InitialiseSecureChannel, segments, smdp_signed};
use teuicc_rsp::certificate::{Certificate, check_euicc_chain, check_server_certificate};
use teuicc_rsp::codes::{AuthenticateErrorCode, ProfileClass};
use teuicc_rsp::crypto::{Curve, PublicKey, SecretKey, verify};
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::{NotificationEvent, StoreMetadata};
use teuicc_rsp::object::{Object, Raw, Received, TransactionId, Version};
use teuicc_rsp::oid::Role;
use teuicc_rsp::scp03t::{Scp03t, SessionKeys};
use teuicc_rsp::{Eid, Iccid, pkcs8, signing, tags};
use teuicc_tlv::{Reader, Tag, Tlv};

const EID: &str = "89049032123451234512345678901235";

fn file(name: &str) -> Option<Vec<u8>> {
    published(&format!("rsp-session/{name}"))
}

/// The members of ES9+.InitiateAuthentication's answer, which has no type of its own here: serverSigned1, signature,
/// CI key identifier, certificate.
fn initiate_response(der: &[u8]) -> [Tlv<'_>; 4] {
    let mut members = Tlv::parse(der, Tag::SEQUENCE).unwrap().members();
    members.expect(Tag(0x80)).unwrap();
    [Tag(0x30), Tag(0x5F37), Tag(0x04), Tag(0x30)].map(|tag| members.expect(tag).unwrap())
}

/// As [`initiate_response`], of ES9+.AuthenticateClient: metadata, smdpSigned2, signature, certificate.
fn authenticate_response(der: &[u8]) -> [Tlv<'_>; 4] {
    let response = Tlv::parse(der, tags::AUTHENTICATE_CLIENT).unwrap();
    let mut members = response.members().expect(Tag(0xA0)).unwrap().members();
    members.expect(Tag(0x80)).unwrap();
    [Tag(0xBF25), Tag(0x30), Tag(0x5F37), Tag(0x30)].map(|tag| members.expect(tag).unwrap())
}

#[test]
fn the_server_is_authenticated() {
    let Some(response) = file("initiate-response.der") else { return };
    let (ci, challenge) = (file("ci.der").unwrap(), file("euicc-challenge.bin").unwrap());
    let [signed, signature, key_id, certificate] = initiate_response(&response);
    let ci = Certificate::parse(&ci).unwrap();
    let server = Certificate::parse(certificate.raw).unwrap();
    check_server_certificate(&server, Role::DpAuth, &ci.public_key).unwrap();
    assert_eq!(Some(key_id.value), ci.subject_key_identifier);
    assert_eq!(server.authority_key_identifier, ci.subject_key_identifier);
    assert!(verify(&server.public_key, &[signed.raw], signature.array().unwrap()));

    let signed1 = ServerSigned1::parse(signed.raw).unwrap();
    assert_eq!(signed1.euicc_challenge.as_slice(), challenge);
    assert_eq!(signed1.server_challenge.as_slice(), file("server-challenge.bin").unwrap());
    assert_eq!(signed1.transaction_id.as_bytes(), file("transaction-id.bin").unwrap());
    assert_eq!(signed1.server_address, "smdp.example.com");
    assert_eq!(signed1.encode().unwrap(), signed.raw);

    let ctx = CtxParams1 {
        matching_id: Some("MATCHING-1"),
        device_info: Received::parse(&[0xA1, 8, 0x80, 4, 1, 2, 3, 4, 0xA1, 0]).unwrap(),
    };
    let ctx = ctx.encode().unwrap();
    let request = AuthenticateServerRequest {
        server_signed1: Received::parse(signed.raw).unwrap(),
        server_signature1: signature.array().unwrap(),
        euicc_ci_pk_id_to_be_used: teuicc_rsp::object::Octets::new(key_id.value).unwrap(),
        server_certificate: Raw(certificate.raw),
        ctx_params1: Received::parse(&ctx).unwrap(),
    };
    let bytes = request.encode().unwrap();
    assert_eq!(AuthenticateServerRequest::parse(&bytes).unwrap(), request);
}

#[test]
fn the_euicc_is_authenticated() {
    let Some(response) = file("auth-server-response.der") else { return };
    let ci = file("ci.der").unwrap();
    let parsed = AuthenticateServerResponse::parse(&response).unwrap();
    assert_eq!(parsed.encode().unwrap(), response);
    let AuthenticateServerResponse::Ok(ok) = parsed else { panic!("{parsed:?}") };
    let ci = Certificate::parse(&ci).unwrap();
    let eum = Certificate::parse(ok.eum_certificate.0).unwrap();
    let euicc = Certificate::parse(ok.euicc_certificate.0).unwrap();
    assert_eq!(check_euicc_chain(&ci.public_key, &eum, &euicc).unwrap(), Eid::from_digits(EID).unwrap());
    assert!(verify(&euicc.public_key, &[ok.euicc_signed1.raw], ok.euicc_signature1));

    assert_eq!(ok.euicc_signed1.server_address, "smdp.example.com");
    assert_eq!(ok.euicc_signed1.object.encode().unwrap(), ok.euicc_signed1.raw);
    // Its empty bit strings are written in a longer form than DER has, so only what they say is the same.
    let info2 = ok.euicc_signed1.euicc_info2;
    assert_eq!(EuiccInfo2::parse(&info2.object.encode().unwrap()).unwrap(), info2.object);
    assert_eq!(info2.pp_version, Version(2, 0, 0));
    let key = pkcs8::parse(&file("euicc-key.pkcs8.der").unwrap()).unwrap();
    assert_eq!(key.public_key().unwrap(), euicc.public_key);
}

#[test]
fn the_download_is_prepared() {
    let Some(response) = file("authenticate-response.der") else { return };
    let (ci, prepared) = (file("ci.der").unwrap(), file("prepare-download-response.der").unwrap());
    let authenticated = file("auth-server-response.der").unwrap();
    let AuthenticateServerResponse::Ok(authenticated) = AuthenticateServerResponse::parse(&authenticated).unwrap()
    else {
        panic!("not authenticated")
    };
    let [metadata, signed2, signature2, certificate] = authenticate_response(&response);
    assert_eq!(metadata.raw, file("store-metadata.der").unwrap());
    let server = Certificate::parse(certificate.raw).unwrap();
    check_server_certificate(&server, Role::DpPb, &Certificate::parse(&ci).unwrap().public_key).unwrap();
    let smdp_signature2 = signature2.array().unwrap();
    let parts = signing::with_signature(signed2.raw, authenticated.euicc_signature1);
    assert!(verify(&server.public_key, &parts, smdp_signature2));
    let smdp_signed2 = SmdpSigned2::parse(signed2.raw).unwrap();
    assert!(!smdp_signed2.cc_required_flag);
    assert_eq!(smdp_signed2.encode().unwrap(), signed2.raw);

    let parsed = PrepareDownloadResponse::parse(&prepared).unwrap();
    assert_eq!(parsed.encode().unwrap(), prepared);
    let PrepareDownloadResponse::Ok(ok) = parsed else { panic!("{parsed:?}") };
    let euicc = Certificate::parse(authenticated.euicc_certificate.0).unwrap();
    let parts = signing::with_signature(ok.euicc_signed2.raw, smdp_signature2);
    assert!(verify(&euicc.public_key, &parts, ok.euicc_signature2));
    PublicKey::new(Curve::P256, ok.euicc_signed2.euicc_otpk).unwrap();

    let request = PrepareDownloadRequest {
        smdp_signed2: Received::parse(signed2.raw).unwrap(),
        smdp_signature2,
        hash_cc: Some(HashCc(&[9; 32])),
        smdp_certificate: Raw(certificate.raw),
    };
    let bytes = request.encode().unwrap();
    assert_eq!(PrepareDownloadRequest::parse(&bytes).unwrap(), request);
    assert!(!format!("{request:?}").contains("9, 9"));
}

/// otPK.EUICC of the session.
fn euicc_otpk() -> Option<[u8; 65]> {
    let prepared = file("prepare-download-response.der")?;
    let PrepareDownloadResponse::Ok(ok) = PrepareDownloadResponse::parse(&prepared).unwrap() else {
        panic!("not prepared")
    };
    Some(*ok.euicc_signed2.euicc_otpk)
}

/// The session keys, as the server derives them.
fn session_keys(otpk: &[u8; 65], host_id: &[u8]) -> SessionKeys {
    let scalar: [u8; 32] = file("otsk-dp.bin").unwrap().try_into().unwrap();
    let secret = SecretKey::new(Curve::P256, &scalar).unwrap();
    let shared = secret.ecdh(&PublicKey::new(Curve::P256, otpk).unwrap()).unwrap();
    SessionKeys::derive(&shared, host_id, &Eid::from_digits(EID).unwrap()).unwrap()
}

#[test]
fn the_package_is_verified_and_decrypted() {
    let Some(bpp) = file("bound-profile-package.der") else { return };
    let (otpk, dppb) = (euicc_otpk().unwrap(), file("dppb.der").unwrap());
    let dppb = Certificate::parse(&dppb).unwrap();
    let mut stream = BppStream::new();
    let mut channel = None;
    let (mut configure, mut metadata, mut elements) = (Vec::new(), Vec::new(), Vec::new());
    for mut segment in segments(&bpp).unwrap() {
        assert!(!stream.is_complete());
        while let Some(item) = stream.next(&mut segment).unwrap() {
            match item {
                BppItem::InitialiseSecureChannel(tlv) => {
                    let isc = InitialiseSecureChannel::parse(tlv.raw).unwrap();
                    assert!(isc.control_ref_template.is_supported());
                    let parts = signing::with_otpk(smdp_signed(tlv.raw).unwrap(), &otpk);
                    assert!(verify(&dppb.public_key, &parts, isc.smdp_sign));
                    assert_eq!(isc.encode().unwrap(), tlv.raw);
                    let keys = session_keys(&otpk, isc.control_ref_template.host_id.as_bytes());
                    channel = Some(Scp03t::new(keys));
                }
                BppItem::ConfigureIsdp(tlv) => configure.extend_from_slice(&unprotect(&mut channel, &tlv)),
                BppItem::Metadata { object, .. } => metadata.extend_from_slice(&unprotect(&mut channel, &object)),
                BppItem::ReplaceSessionKeys(_) => panic!("the session has none"),
                BppItem::Element { object, .. } => elements.extend_from_slice(&unprotect(&mut channel, &object)),
            }
        }
    }
    assert!(stream.is_complete());
    assert_eq!(configure, [0xBF, 0x24, 0x00]);
    assert_eq!(metadata, file("store-metadata.der").unwrap());
    assert_eq!(elements, file("upp.der").unwrap());
}

fn unprotect(channel: &mut Option<Scp03t>, tlv: &Tlv<'_>) -> Vec<u8> {
    channel.as_mut().unwrap().unprotect(tlv).unwrap().to_vec()
}

#[test]
fn the_package_is_built_again_byte_for_byte() {
    let Some(bpp) = file("bound-profile-package.der") else { return };
    let otpk = euicc_otpk().unwrap();
    let isc = Tlv::parse(&bpp, tags::BOUND_PROFILE_PACKAGE).unwrap().members().read().unwrap();
    let host_id = InitialiseSecureChannel::parse(isc.raw).unwrap().control_ref_template.host_id;
    let built = BppContents {
        initialise_secure_channel: isc.raw,
        configure_isdp: &[0xBF, 0x24, 0x00],
        store_metadata: &file("store-metadata.der").unwrap(),
        profile_protection_keys: None,
        profile: &file("upp.der").unwrap(),
    }
    .build(session_keys(&otpk, host_id.as_bytes()))
    .unwrap();
    assert_eq!(built, bpp);
}

#[test]
fn a_secure_channel_request_of_ours_verifies() {
    let Some(key) = file("dppb-key.pkcs8.der") else { return };
    let (key, otpk) = (pkcs8::parse(&key).unwrap(), euicc_otpk().unwrap());
    let (tid, host) = (TransactionId::new(&[7; 16]).unwrap(), teuicc_rsp::object::Octets::new(b"host").unwrap());
    let isc = teuicc_rsp::bpp::initialise_secure_channel(tid, host, &otpk, &otpk, &key).unwrap();
    let parsed = InitialiseSecureChannel::parse(&isc).unwrap();
    assert_eq!(parsed.transaction_id, tid);
    let parts = signing::with_otpk(smdp_signed(&isc).unwrap(), &otpk);
    assert!(verify(&key.public_key().unwrap(), &parts, parsed.smdp_sign));
}

#[test]
fn the_installation_result_is_read_and_written() {
    let Some(bytes) = file("pending-notification.der") else { return };
    let euicc = file("euicc.der").unwrap();
    let PendingNotification::ProfileInstallationResult(result) = PendingNotification::parse(&bytes).unwrap() else {
        panic!("another kind")
    };
    assert_eq!(result.encode().unwrap(), bytes);
    let euicc = Certificate::parse(&euicc).unwrap();
    assert!(verify(&euicc.public_key, &[result.data.raw], result.euicc_sign_pir));
    let metadata = result.data.notification_metadata;
    assert_eq!((metadata.seq_number, metadata.notification_address), (1, "smdp.example.com"));
    assert_eq!(metadata.iccid, Iccid::from_digits("89000123456789012341"));
    let FinalResult::Success(success) = result.data.final_result else { panic!("an error") };
    assert_eq!(success.aid.as_bytes(), teuicc_rsp::aid::isdp(1).unwrap());

    let mut list = vec![0xBF, 0x2B, 0x81, 0xA5, 0xA0, 0x81, 0xA2];
    list.extend_from_slice(&bytes);
    let RetrieveNotificationsListResponse::List(inner) = RetrieveNotificationsListResponse::parse(&list).unwrap()
    else {
        panic!("an error")
    };
    assert_eq!(pending_notifications(inner).map(|found| found.unwrap().0).collect::<Vec<_>>(), [bytes.as_slice()]);
    // Real eUICCs name the event install as 07 80, this session as 00 80.
    assert!(metadata.profile_management_operation.contains(NotificationEvent::INSTALL));
}

#[test]
fn metadata_and_info_are_read_and_written() {
    let Some(bytes) = file("store-metadata.der") else { return };
    let metadata = StoreMetadata::parse(&bytes).unwrap();
    assert_eq!(metadata.iccid, Iccid::from_digits("89000123456789012341").unwrap());
    assert_eq!(metadata.service_provider_name.as_str(), "euicc-rsp");
    assert_eq!((metadata.class(), metadata.rules().is_empty()), (ProfileClass::Operational, true));
    assert_eq!(metadata.encode().unwrap(), bytes);
    let info = file("euicc-info1.der").unwrap();
    assert_eq!(EuiccInfo1::parse(&info).unwrap().encode().unwrap(), info);
}

#[test]
fn a_certificate_of_another_role_or_issuer_is_refused() {
    let Some(dppb) = file("dppb.der") else { return };
    let (ci, eum, old) = (file("ci.der").unwrap(), file("eum.der").unwrap(), file("ci-2017.der").unwrap());
    let (ci, eum) = (Certificate::parse(&ci).unwrap(), Certificate::parse(&eum).unwrap());
    let dppb = Certificate::parse(&dppb).unwrap();
    let wrong_role = check_server_certificate(&dppb, Role::DpAuth, &ci.public_key).unwrap_err();
    assert_eq!(wrong_role.authenticate_error(), AuthenticateErrorCode::InvalidOid);
    let wrong_issuer = check_server_certificate(&dppb, Role::DpPb, &eum.public_key).unwrap_err();
    assert_eq!(wrong_issuer.authenticate_error(), AuthenticateErrorCode::InvalidCertificate);
    Certificate::parse(&old).unwrap();
}

#[test]
fn a_package_of_osmo_smdpp_is_cut_and_decrypted() {
    let Some(bpp) = file("osmo-smdpp-ts48v2.bpp.ber") else { return };
    let segments = segments(&bpp).unwrap();
    assert_eq!(segments.concat(), bpp);
    let lengths: Vec<usize> = segments.iter().map(|segment| segment.len()).collect();
    // BF36 and BF23, A0 with 87, A1, 88, A2 with 87, A3, twelve 86 of 1036 bytes and one of 122.
    assert_eq!(lengths[..6], [5 + 4 + 174, 2 + 26, 2, 53, 2 + 74, 4]);
    assert_eq!(lengths[6..], [[1036; 12].as_slice(), &[122]].concat());

    let mut channel = Scp03t::new(SessionKeys::new(&[0x22; 16], &[0x00; 16], &[0x11; 16]));
    let mut stream = BppStream::new();
    let mut profile = Vec::new();
    for mut segment in segments {
        while let Some(item) = stream.next(&mut segment).unwrap() {
            if let BppItem::Element { object, last } = item {
                profile.extend_from_slice(&channel.unprotect(&object).unwrap());
                assert_eq!(last, stream.is_complete());
            }
        }
    }
    assert!(stream.is_complete());
    assert_eq!(profile.len(), 12_207);
    let elements: Vec<Tlv<'_>> = Reader::new(&profile).map(Result::unwrap).collect();
    assert_eq!((elements.len(), elements[0].tag, elements[27].tag), (28, Tag(0xA0), Tag(0xAA)));
}
