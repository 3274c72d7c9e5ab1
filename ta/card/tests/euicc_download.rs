//! Downloads from authentication to the signed result, and what a broken one leaves.

mod common;

use common::*;
use teuicc_apdu::StatusWord;
use teuicc_rsp::certificate::Certificate;
use teuicc_rsp::codes::{BppCommandId, CancelSessionErrorCode, ErrorReason, ProfileClass, ProfileState};
use teuicc_rsp::crypto::{Curve, verify};
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::NotificationEvent;
use teuicc_rsp::object::Object;
use teuicc_rsp::tags;

#[test]
fn a_download_on_both_curves() {
    for curve in CURVES {
        let pki = Pki::new(curve);
        let mut device = Device::new(&[&pki]);
        let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
        device.store.take_replaces();
        let answer = smdp.download(&mut device);
        assert_eq!(device.store.take_replaces(), 3, "install budget");

        let result = ProfileInstallationResult::parse(&answer).unwrap();
        let FinalResult::Success(success) = result.data.final_result else { panic!("{result:?}") };
        assert_eq!(success.aid.to_string(), "A0000005591010FFFFFFFF8900001000");
        assert_eq!(result.data.transaction_id.as_bytes(), smdp.transaction_id);
        assert_eq!(result.data.smdp_oid, DP_OID);
        let about = result.data.notification_metadata;
        assert_eq!((about.seq_number, about.notification_address, about.iccid), (0, ADDRESS, Some(digits(ICCID))));
        assert_eq!(device.retrieve(), [&answer[..]], "what is retrieved is what was answered");

        let profiles = device.profiles();
        assert_eq!(profiles.len(), 1);
        assert_eq!(profiles[0].iccid, Some(digits(ICCID)));
        assert_eq!(profiles[0].profile_state, Some(ProfileState::Disabled));
        assert_eq!(profiles[0].profile_class, Some(ProfileClass::Operational));
        assert_eq!(profiles[0].isdp_aid, Some(success.aid));
        assert_eq!(profiles[0].service_provider_name.unwrap().as_str(), "Provider");

        device.reboot();
        assert_eq!(device.retrieve(), [&answer[..]]);
        assert_eq!(device.profiles().len(), 1);
        assert_eq!(device.enable(ICCID, false), 0);
    }
}

#[test]
fn the_result_and_other_notifications_are_signed_under_the_chosen_ci() {
    let (nist, brainpool) = (Pki::new(Curve::P256), Pki::new(Curve::BrainpoolP256r1));
    let mut device = Device::new(&[&nist, &brainpool]);
    let info = device.call::<EuiccInfo1>(&empty_request(tags::GET_EUICC_INFO1).unwrap());
    let ids: Vec<_> = info.ci_pk_ids_for_signing.iter().map(|id| id.as_bytes().to_vec()).collect();
    assert_eq!(ids, [nist.ci_key_id(), brainpool.ci_key_id()]);

    device.install(&brainpool, &TestProfile::new(ICCID));
    assert_eq!(device.enable(ICCID, false), 0);
    let retrieved = device.retrieve();
    let PendingNotification::OtherSigned(enable) = PendingNotification::parse(retrieved[1]).unwrap() else { panic!() };
    let euicc = Certificate::parse(enable.euicc_certificate.0).unwrap();
    assert_eq!(euicc.public_key.curve(), Curve::BrainpoolP256r1);
    assert!(verify(&euicc.public_key, &[enable.tbs_other_notification.raw], enable.euicc_notification_signature));
    let result = ProfileInstallationResult::parse(retrieved[0]).unwrap();
    assert!(verify(&euicc.public_key, &[result.data.raw], result.euicc_sign_pir));
}

#[test]
fn the_session_keys_may_protect_the_profile_too() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    smdp.profile_protection_keys = None;
    let answer = smdp.download(&mut device);
    let result = ProfileInstallationResult::parse(&answer).unwrap();
    assert!(matches!(result.data.final_result, FinalResult::Success(_)));
}

#[test]
fn a_broken_download_is_resumed_with_the_same_key() {
    let pki = Pki::new(Curve::BrainpoolP256r1);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    smdp.authenticate(&mut device);
    let otpk = smdp.prepare(&mut device);
    // The same transaction has the same key, also when the confirmation code is given again.
    assert_eq!(smdp.prepare(&mut device), otpk);
    let package = smdp.package();
    let segments = teuicc_rsp::bpp::segments(&package).unwrap();
    for segment in &segments[..6] {
        assert_eq!(device.es10(segment), []);
    }
    assert!(device.notifications().is_empty());

    // Another session of the same server, which says that the package is bound.
    smdp.transaction_id = vec![9; 16];
    smdp.bound_to = Some(otpk);
    smdp.authenticate(&mut device);
    assert_eq!(smdp.prepare(&mut device), otpk);
    let package = smdp.package();
    let answer = load(&mut device, &package);
    assert!(matches!(ProfileInstallationResult::parse(&answer).unwrap().data.final_result, FinalResult::Success(_)));

    // It was used up.
    smdp.profile = TestProfile::new("89000123456789012358");
    smdp.authenticate(&mut device);
    assert_ne!(smdp.prepare(&mut device), otpk);
}

#[test]
fn a_key_is_new_after_cancelling_and_for_another_server_and_after_a_power_cut() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    smdp.authenticate(&mut device);
    let first = smdp.prepare(&mut device);
    smdp.bound_to = Some(first);

    let other_auth = pki.issue(teuicc_rsp::oid::Role::DpAuth, copy(&pki.dp_auth.key), |template| {
        template.registered_id = Some(&[0x88, 0x37, 0x0B]);
    });
    let other_pb = pki.issue(teuicc_rsp::oid::Role::DpPb, copy(&pki.dp_pb.key), |template| {
        template.registered_id = Some(&[0x88, 0x37, 0x0B]);
    });
    let mut other = Smdp::new(&pki, TestProfile::new(ICCID));
    (other.auth_certificate, other.pb_certificate) = (other_auth.certificate.clone(), other_pb.certificate.clone());
    other.bound_to = Some(first);
    other.authenticate(&mut device);
    assert_ne!(other.prepare(&mut device), first);

    smdp.authenticate(&mut device);
    assert_eq!(smdp.prepare(&mut device), first);
    assert!(matches!(cancel(&mut device, &smdp.transaction_id), CancelSessionResponse::Ok(_)));
    smdp.authenticate(&mut device);
    let second = smdp.prepare(&mut device);
    assert_ne!(second, first);

    device.reboot();
    smdp.bound_to = Some(second);
    smdp.authenticate(&mut device);
    assert_ne!(smdp.prepare(&mut device), second);
}

fn copy(key: &teuicc_rsp::crypto::SecretKey) -> teuicc_rsp::crypto::SecretKey {
    teuicc_rsp::crypto::SecretKey::new(key.curve(), key.expose_scalar()).unwrap()
}

#[test]
fn a_package_that_starts_again_is_interrupted() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    smdp.authenticate(&mut device);
    smdp.prepare(&mut device);
    let package = smdp.package();
    let segments = teuicc_rsp::bpp::segments(&package).unwrap();
    assert_eq!(device.es10(segments[0]), []);
    let answer = device.es10(segments[0]);
    let expected = (BppCommandId::ConfigureIsdp, ErrorReason::InstallFailedDueToInterruption);
    assert_eq!(error_of(&answer), expected);
    // The segments of a package that failed are no longer expected.
    assert_eq!(device.es10_sw(segments[1]).1, StatusWord::CONDITIONS_OF_USE);
    assert_eq!(device.es10_sw(segments[0]).1, StatusWord::CONDITIONS_OF_USE);
    // The session can be cancelled.
    assert!(matches!(cancel(&mut device, &smdp.transaction_id), CancelSessionResponse::Ok(_)));
    assert_eq!(device.retrieve(), [&answer[..]]);
}

#[test]
fn cancelling_is_signed_and_needs_the_transaction() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    let wrong = CancelSessionResponse::Error(CancelSessionErrorCode::InvalidTransactionId);
    assert_eq!(cancel(&mut device, &smdp.transaction_id), wrong);
    device.challenge();
    assert_eq!(cancel(&mut device, &smdp.transaction_id), wrong);
    smdp.authenticate(&mut device);
    assert_eq!(cancel(&mut device, &[1]), wrong);
    let CancelSessionResponse::Ok(ok) = cancel(&mut device, &smdp.transaction_id) else { panic!() };
    let signed = ok.euicc_cancel_session_signed;
    assert_eq!((signed.smdp_oid, signed.reason.code()), (DP_OID, 1));
    let euicc = device_key(&mut device, &mut smdp);
    assert!(verify(&euicc, &[signed.raw], ok.euicc_cancel_session_signature));
    assert!(matches!(cancel(&mut device, &smdp.transaction_id), CancelSessionResponse::Ok(_)));
    assert_eq!(cancel(&mut device, &smdp.transaction_id), wrong);
}

/// PK.EUICC.ECDSA, from a new session.
fn device_key(device: &mut Device, smdp: &mut Smdp<'_>) -> teuicc_rsp::crypto::PublicKey {
    let challenge = device.challenge();
    let response: AuthenticateServerResponse = device.call(&smdp.authenticate_server(&challenge));
    let AuthenticateServerResponse::Ok(ok) = response else { panic!("{response:?}") };
    Certificate::parse(ok.euicc_certificate.0).unwrap().public_key
}

#[test]
fn a_confirmation_code_is_signed_back_and_may_be_given_again() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    smdp.cc_required = true;
    smdp.authenticate(&mut device);
    let response: PrepareDownloadResponse = device.call(&smdp.prepare_download(None));
    let PrepareDownloadResponse::Error(error) = response else { panic!("{response:?}") };
    assert_eq!(error.error.code(), 127);
    for code in ["1234", "4321"] {
        let hash = teuicc_rsp::crypto::hash_cc(code, &smdp.transaction_id);
        let response: PrepareDownloadResponse = device.call(&smdp.prepare_download(Some(&hash)));
        let PrepareDownloadResponse::Ok(ok) = response else { panic!("{response:?}") };
        assert_eq!(ok.euicc_signed2.hash_cc, Some(HashCc(&hash)));
        smdp.euicc_otpk = Some(*ok.euicc_signed2.euicc_otpk);
    }
    let package = smdp.package();
    let answer = load(&mut device, &package);
    assert!(matches!(ProfileInstallationResult::parse(&answer).unwrap().data.final_result, FinalResult::Success(_)));
}

#[test]
fn other_recipients_hear_of_the_installation_too() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut profile = TestProfile::new(ICCID);
    let old = ADDRESS.as_bytes();
    let at = profile.metadata.windows(old.len()).position(|window| window == old).unwrap();
    profile.metadata[at..at + 4].copy_from_slice(b"else");
    device.install(&pki, &profile);
    let notifications = device.notifications();
    assert_eq!(events(&notifications), [(0, NotificationEvent::INSTALL), (1, NotificationEvent::INSTALL)]);
    assert_eq!(notifications[0].notification_address, ADDRESS);
    assert_eq!(notifications[1].notification_address, "else.example.com");
}
