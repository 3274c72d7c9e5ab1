//! Whole downloads over HTTPS, by a simulated eUICC that checks the server as a real one does.

mod common;

use common::{Codes, DP_OID, Euicc, World, codes};
use teuicc_rsp::codes::{CancelSessionReason, ErrorReason};
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::es9;
use teuicc_rsp::es10::SmdpSigned2;
use teuicc_rsp::metadata::{NotificationEvent, StoreMetadata};
use teuicc_rsp::object::{Object, Version};
use teuicc_rsp_server::{OrderOptions, SmDp, SmDpConfig};

fn err<T>(result: Result<T, Codes>) -> Codes {
    result.err().expect("it was not refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_downloaded_installed_and_used_up() {
    let world = World::new().await;
    for curve in [Curve::P256, Curve::BrainpoolP256r1] {
        let mut euicc = Euicc::new(&world.pki, curve);
        let matching_id = world.order(None, None).await;
        assert_eq!(world.order_state().await, "released");
        let (download, installed) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
        let metadata = StoreMetadata::parse(&installed.metadata).unwrap();
        assert_eq!(metadata.iccid, world.iccid);
        let configuration = metadata.notification_configuration.unwrap().iter().next().unwrap();
        assert_eq!(configuration.address, world.server.address);
        assert_eq!(world.order_state().await, "downloaded");

        let result = euicc.installation_result(&download, None);
        world.notify(&result).await;
        world.notify(&result).await;
        assert_eq!(world.order_state().await, "installed");
        assert_eq!(world.profile_state().await, "disabled");
        let again = world.authenticate(&euicc, Some(&matching_id)).await;
        assert_eq!(err(again), codes(es9::MATCHING_ID_REFUSED));
    }
    assert_eq!(world.server.smdp.notifications().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_download_is_repeated_without_burning_the_order() {
    let mut world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, None).await;
    let (first, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
    let first_otpk = *euicc.otsk.as_ref().unwrap().public_key().unwrap().point();
    assert!(SmdpSigned2::parse(&first.smdp_signed2).unwrap().bpp_euicc_otpk.is_none());

    // Before the result the server is killed; another eUICC cannot take the order over.
    world = world.restart().await;
    let stranger = world.euicc();
    assert_eq!(err(world.authenticate(&stranger, Some(&matching_id)).await), codes(es9::EID_REFUSED));

    // The server offers the key to which it bound; the eUICC still has it, and the package is bound to it once more.
    let (second, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
    let offered = SmdpSigned2::parse(&second.smdp_signed2).unwrap();
    assert_eq!(offered.bpp_euicc_otpk, Some(&first_otpk));
    assert_eq!(euicc.otsk.as_ref().unwrap().public_key().unwrap().point(), &first_otpk);

    // It lost it, and a new one is as good.
    euicc.otsk = None;
    let (third, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
    assert_eq!(world.order_state().await, "downloaded");
    let result = euicc.installation_result(&third, None);
    world = world.restart().await;
    world.notify(&result).await;
    assert_eq!(world.order_state().await, "installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_new_for_every_package() {
    let world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, None).await;
    let mut packages = Vec::new();
    for _ in 0..2 {
        let download = world.authenticate(&euicc, Some(&matching_id)).await.unwrap();
        let prepared = euicc.prepare_download(&download, None);
        packages.push(world.package(&download, &prepared).await.unwrap());
    }
    // otPK.DP stands in InitialiseSecureChannel, and the profile's ciphertext depends on the protection keys.
    let tail = |package: &[u8]| package[package.len() - 64..].to_vec();
    let otpk = |package: &[u8]| {
        let at = package.windows(3).position(|window| window == [0x5F, 0x49, 0x41]).unwrap();
        package[at..at + 68].to_vec()
    };
    assert_ne!(otpk(&packages[0]), otpk(&packages[1]));
    assert_ne!(tail(&packages[0]), tail(&packages[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_wrong_confirmation_code_blocks_the_order() {
    let world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, Some("4711")).await;
    let missing = world.download(&mut euicc, Some(&matching_id), None).await;
    assert_eq!(err(missing), codes(es9::CONFIRMATION_CODE_MISSING));
    for expected in [es9::CONFIRMATION_CODE_REFUSED, es9::CONFIRMATION_CODE_REFUSED] {
        assert_eq!(err(world.download(&mut euicc, Some(&matching_id), Some("0000")).await), codes(expected));
    }
    // The right one gives all attempts back.
    world.download(&mut euicc, Some(&matching_id), Some("4711")).await.unwrap();
    let expected =
        [es9::CONFIRMATION_CODE_REFUSED, es9::CONFIRMATION_CODE_REFUSED, es9::CONFIRMATION_CODE_RETRIES_EXCEEDED];
    for expected in expected {
        assert_eq!(err(world.download(&mut euicc, Some(&matching_id), Some("4712")).await), codes(expected));
    }
    assert_eq!(world.order_state().await, "error");
    let blocked = world.download(&mut euicc, Some(&matching_id), Some("4711")).await;
    assert_eq!(err(blocked), codes(es9::DOWNLOAD_RETRIES_EXCEEDED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_after_a_wrong_confirmation_code_does_not_cost_the_order() {
    let world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, Some("4711")).await;
    let mistyped = world.authenticate(&euicc, Some(&matching_id)).await.unwrap();
    let prepared = euicc.prepare_download(&mistyped, Some("4712"));
    assert_eq!(err(world.package(&mistyped, &prepared).await), codes(es9::CONFIRMATION_CODE_REFUSED));
    // What lpac sends after any failure.
    let id = mistyped.transaction_id.as_str();
    let cancel = euicc.cancel(id, DP_OID, CancelSessionReason::EndUserRejection);
    assert_eq!(err(world.cancel(id, &cancel).await), codes(es9::TRANSACTION_ID_UNKNOWN));
    world.download(&mut euicc, Some(&matching_id), Some("4711")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn matching_ids_and_eids_lead_to_the_right_order() {
    let world = World::new().await;
    let (mut euicc, stranger) = (world.euicc(), world.euicc());
    assert_eq!(err(world.authenticate(&euicc, Some("NONE")).await), codes(es9::MATCHING_ID_REFUSED));
    assert_eq!(err(world.authenticate(&euicc, Some("' OR 1=1 --")).await), codes(es9::MATCHING_ID_REFUSED));
    assert_eq!(err(world.authenticate(&euicc, None).await), codes(es9::EID_REFUSED));

    let matching_id = world.order(Some(euicc.eid), None).await;
    assert_eq!(err(world.authenticate(&stranger, Some(&matching_id)).await), codes(es9::EID_REFUSED));
    assert_eq!(err(world.authenticate(&stranger, None).await), codes(es9::EID_REFUSED));
    // An empty matching ID is none: the default SM-DP+ looks at the EID.
    world.authenticate(&euicc, Some("")).await.unwrap();
    world.download(&mut euicc, None, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_euicc_that_cannot_take_the_profile_is_told_so() {
    let world = World::new().await;
    let matching_id = world.order(None, None).await;
    let mut euicc = world.euicc();
    euicc.free_memory = [0, 0, 0, 100];
    assert_eq!(err(world.authenticate(&euicc, Some(&matching_id)).await), codes(es9::EUICC_INSUFFICIENT_MEMORY));
    let mut euicc = world.euicc();
    euicc.profile_version = Version(1, 0, 0);
    assert_eq!(err(world.authenticate(&euicc, Some(&matching_id)).await), codes(es9::NO_ELIGIBLE_PROFILE));
    let mut euicc = world.euicc();
    euicc.svn = Version(3, 0, 0);
    assert_eq!(err(world.authenticate(&euicc, Some(&matching_id)).await), codes(es9::SVN_UNSUPPORTED));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_euicc_that_is_not_what_it_says_is_refused() {
    let world = World::new().await;
    let matching_id = world.order(None, None).await;
    let id = Some(matching_id.as_str());
    let foreign_folder = tempfile::tempdir().unwrap();
    let foreign_pki = teuicc_rsp_server::TestPki::generate(&foreign_folder.path().join("pki")).unwrap();
    let foreign = Euicc::new(&foreign_pki, Curve::P256);

    // A CI that nobody here knows.
    assert_eq!(err(world.initiate(&foreign, &[0; 16]).await), codes(es9::NO_SMDP_CERTIFICATE));
    // A known CI, but the chain is of another.
    let mut euicc = world.euicc();
    euicc.eum = foreign.eum.clone();
    assert_eq!(err(world.authenticate(&euicc, id).await), codes(es9::CI_PUBLIC_KEY_UNKNOWN));
    // An EUM certificate with a changed signature.
    let mut euicc = world.euicc();
    *euicc.eum.last_mut().unwrap() ^= 1;
    assert_eq!(err(world.authenticate(&euicc, id).await), codes(es9::EUM_CERTIFICATE_VERIFICATION_FAILED));
    // Another eUICC's certificate, and one that its EUM did not sign.
    let mut euicc = world.euicc();
    euicc.certificate = world.euicc().certificate;
    assert_eq!(err(world.authenticate(&euicc, id).await), codes(es9::EUICC_VERIFICATION_FAILED));
    euicc.certificate = foreign.certificate.clone();
    assert_eq!(err(world.authenticate(&euicc, id).await), codes(es9::EUICC_CERTIFICATE_VERIFICATION_FAILED));
    // A matching ID that was changed on the way.
    let euicc = world.euicc();
    let changed = world.authenticate_with(&euicc, id, |mut response| {
        let at = response.windows(matching_id.len()).position(|window| window == matching_id.as_bytes()).unwrap();
        response[at] ^= 1;
        response
    });
    assert_eq!(err(changed.await), codes(es9::EUICC_VERIFICATION_FAILED));
    assert_eq!(world.order_state().await, "released");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_a_session_cannot_be_left_out_repeated_or_mixed() {
    let world = World::new().await;
    let matching_id = world.order(None, None).await;
    let mut euicc = world.euicc();
    let first = world.authenticate(&euicc, Some(&matching_id)).await.unwrap();
    let second = world.authenticate(&euicc, Some(&matching_id)).await.unwrap();
    let prepared = euicc.prepare_download(&first, None);
    // For the other session's offer the signature is not valid.
    assert_eq!(err(world.package(&second, &prepared).await), codes(es9::EUICC_VERIFICATION_FAILED));
    world.package(&first, &prepared).await.unwrap();
    assert_eq!(err(world.package(&first, &prepared).await), codes(es9::TRANSACTION_ID_UNKNOWN));

    let initiated = world.initiate(&euicc, &[1; 16]).await.unwrap();
    let transaction_id = initiated["transactionId"].as_str().unwrap();
    let cancel = euicc.cancel(transaction_id, DP_OID, CancelSessionReason::Timeout);
    assert_eq!(err(world.cancel(transaction_id, &cancel).await), codes(es9::TRANSACTION_ID_UNKNOWN));
    assert_eq!(err(world.cancel(&"00".repeat(16), &cancel).await), codes(es9::TRANSACTION_ID_UNKNOWN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_cancellation_decides_about_the_order() {
    let world = World::new().await;
    let euicc = world.euicc();
    let matching_id = world.order(None, None).await;
    let stranger = world.euicc();
    for (reason, state) in [
        (CancelSessionReason::Postponed, "released"),
        (CancelSessionReason::Timeout, "released"),
        (CancelSessionReason::LoadBppExecutionError, "released"),
        (CancelSessionReason::EndUserRejection, "cancelled"),
    ] {
        let download = world.authenticate(&euicc, Some(&matching_id)).await.unwrap();
        let id = download.transaction_id.as_str();
        let forged = stranger.cancel(id, DP_OID, CancelSessionReason::EndUserRejection);
        assert_eq!(err(world.cancel(id, &forged).await), codes(es9::EUICC_VERIFICATION_FAILED));
        let elsewhere = euicc.cancel(id, &[0x88, 0x37, 0x0B], CancelSessionReason::EndUserRejection);
        assert_eq!(err(world.cancel(id, &elsewhere).await), codes(es9::INVALID_SMDP_OID));
        assert_eq!(world.order_state().await, "released");
        world.cancel(id, &euicc.cancel(id, DP_OID, reason)).await.unwrap();
        assert_eq!(world.order_state().await, state);
    }
    assert_eq!(err(world.authenticate(&euicc, Some(&matching_id)).await), codes(es9::MATCHING_ID_REFUSED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_installation_uses_the_order_up_unless_it_may_be_repeated() {
    let world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, None).await;
    let (download, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
    let interrupted = ErrorReason::InstallFailedDueToInterruption;
    world.notify(&euicc.installation_result(&download, Some(interrupted))).await;
    assert_eq!(world.order_state().await, "released");
    let (download, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
    let failed = ErrorReason::InstallFailedDueToPeProcessingError;
    world.notify(&euicc.installation_result(&download, Some(failed))).await;
    assert_eq!(world.order_state().await, "error");
    assert_eq!(world.profile_state().await, "none");
    let order = world.server.smdp.orders().await.unwrap().remove(0);
    assert!(order.remark.unwrap().contains("profile element could not be processed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_an_earlier_attempt_that_comes_late_does_not_hide_a_success() {
    let world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, None).await;
    let (first, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
    let failed = euicc.installation_result(&first, Some(ErrorReason::Scp03tSecurityError));
    let (second, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
    world.notify(&failed).await;
    assert_eq!(world.order_state().await, "error");
    world.notify(&euicc.installation_result(&second, None)).await;
    assert_eq!(world.order_state().await, "installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_verified_stored_once_and_acted_on_in_order() {
    let world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, None).await;
    let (download, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();

    // A result with a wrong signature, or for a transaction that never was, changes nothing.
    let result = euicc.installation_result(&download, None);
    let mut forged = result.clone();
    *forged.last_mut().unwrap() ^= 1;
    world.notify(&forged).await;
    let mut stray = common::Download { transaction_id: "00".repeat(16), ..download };
    world.notify(&euicc.installation_result(&stray, None)).await;
    assert_eq!(world.order_state().await, "downloaded");
    assert_eq!(world.server.smdp.notifications().await.unwrap().len(), 0);
    world.notify(&result).await;
    assert_eq!(world.order_state().await, "installed");
    stray.transaction_id.clear();

    let enable = euicc.notification(NotificationEvent::ENABLE, world.iccid);
    let disable = euicc.notification(NotificationEvent::DISABLE, world.iccid);
    let mut forged = enable.clone();
    let at = forged.windows(3).position(|window| window == [0x5F, 0x37, 0x40]).unwrap();
    forged[at + 10] ^= 1;
    world.notify(&forged).await;
    assert_eq!(world.profile_state().await, "disabled");
    world.notify(&enable).await;
    assert_eq!(world.profile_state().await, "enabled");
    world.notify(&disable).await;
    assert_eq!(world.profile_state().await, "disabled");
    // Sent again after something newer, it is accepted and changes nothing.
    world.notify(&enable).await;
    assert_eq!(world.profile_state().await, "disabled");
    // An eUICC that never got the profile has no say.
    world.notify(&world.euicc().notification(NotificationEvent::DELETE, world.iccid)).await;
    assert_eq!(world.profile_state().await, "disabled");
    world.notify(&euicc.notification(NotificationEvent::DELETE, world.iccid)).await;
    assert_eq!(world.profile_state().await, "deleted");
    assert_eq!(world.server.smdp.notifications().await.unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_adds_orders_while_the_server_runs() {
    let world = World::new().await;
    let folder = world.folder.path();
    let config = SmDpConfig { folder: folder.join("smdp"), pki: folder.join("pki"), address: None };
    let other = SmDp::open(&config).await.unwrap();
    let options = OrderOptions { iccid: Some(world.iccid), ..OrderOptions::default() };
    let code = other.order(&options).await.unwrap();
    assert!(code.to_string().starts_with(&format!("LPA:1${}$", world.server.address)));
    world.download(&mut world.euicc(), Some(&code.matching_id), None).await.unwrap();
}
