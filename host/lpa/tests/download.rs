//! Downloads over a scripted card and server: every path, and every step broken.

mod peers;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use peers::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use teuicc_lpa::download::{self, Device, Installed, Order, PprIds, Request};
use teuicc_lpa::{
    ActivationCode, ConfirmationCode, Consent, EventEntry, HttpError, HttpResponse, Input, LpaError, Stage, Step, drive,
};
use teuicc_rsp::codes::{CancelSessionReason, ErrorReason};
use teuicc_rsp::es10::{AuthenticateServerRequest, PrepareDownloadRequest};
use teuicc_rsp::metadata::NotificationEvent;
use teuicc_rsp::object::Object;
use teuicc_rsp::{crypto, tags};
use teuicc_wire::Transmitted;

const CODE: &str = "LPA:1$smdp.example.com$MATCH-1";

fn order() -> Request {
    Request::new(Order::ActivationCode(CODE.parse().unwrap()))
}

fn run(card: &mut FakeCard, server: &mut FakeServer, user: &mut FakeUser) -> Result<Installed, LpaError> {
    run_order(order(), card, server, user)
}

fn run_order(
    request: Request,
    card: &mut FakeCard,
    server: &mut FakeServer,
    user: &mut FakeUser,
) -> Result<Installed, LpaError> {
    let result = drive(download::download(request), card, server, user);
    if !matches!(result, Err(LpaError::Card { .. })) {
        assert_eq!(card.open_channels, 0, "a channel was left open");
    }
    result
}

#[test]
fn an_activation_code_becomes_a_profile_in_few_crossings() {
    let (mut card, mut server, mut user) = Default::default();
    let installed = run(&mut card, &mut server, &mut user).unwrap();
    assert_eq!(installed.metadata.profile_name, "Test");
    assert_eq!(installed.metadata.iccid.to_string(), ICCID);
    assert_eq!(user.shown, std::slice::from_ref(&installed.metadata));
    assert_eq!(
        server.functions(),
        ["initiateAuthentication", "authenticateClient", "getBoundProfilePackage", "handleNotification"]
    );
    assert_eq!(server.request("initiateAuthentication")["smdpAddress"], HOST);
    assert_eq!(card.package, server.package, "the segments are the package");
    let deliveries = installed.deliveries.unwrap();
    assert!(deliveries.iter().all(|delivery| delivery.is_delivered()));
    assert_eq!((deliveries.len(), card.notifications.len()), (1, 0));
    assert!(card.crossings <= 12, "{}", card.crossings);
    let stages: Vec<Stage> = user.progress.iter().map(|progress| progress.stage).collect();
    assert!(stages.is_sorted(), "{stages:?}");
    assert!(Stage::ALL.iter().all(|stage| stages.contains(stage)), "{stages:?}");
    let request = AuthenticateServerRequest::parse(card.request(tags::AUTHENTICATE_SERVER)).unwrap();
    assert_eq!(request.ctx_params1.matching_id, Some("MATCH-1"));
}

#[test]
fn the_default_server_is_asked_without_a_matching_id() {
    let mut card = FakeCard { default_dp: Some(HOST.into()), ..Default::default() };
    let (mut server, mut user) = Default::default();
    run_order(Request::new(Order::DefaultServer), &mut card, &mut server, &mut user).unwrap();
    let request = AuthenticateServerRequest::parse(card.request(tags::AUTHENTICATE_SERVER)).unwrap();
    assert_eq!(request.ctx_params1.matching_id, None);
    assert!(card.crossings <= 12, "{}", card.crossings);

    let (mut card, mut server) = (FakeCard::default(), FakeServer::default());
    let none = run_order(Request::new(Order::DefaultServer), &mut card, &mut server, &mut user);
    assert_eq!(none, Err(LpaError::NoDefaultServer));
    let mut card = FakeCard { default_dp: Some("https://evil/".into()), ..Default::default() };
    let bad = run_order(Request::new(Order::DefaultServer), &mut card, &mut server, &mut user);
    assert!(matches!(bad, Err(LpaError::BadAddress { .. })), "{bad:?}");
}

#[test]
fn an_event_of_an_sm_ds_names_server_and_matching_id() {
    let (mut card, mut server, mut user) = Default::default();
    let event = EventEntry { event_id: "EVENT-1".into(), rsp_server_address: HOST.into() };
    run_order(Request::new(Order::Event(event)), &mut card, &mut server, &mut user).unwrap();
    let request = AuthenticateServerRequest::parse(card.request(tags::AUTHENTICATE_SERVER)).unwrap();
    assert_eq!(request.ctx_params1.matching_id, Some("EVENT-1"));
}

#[test]
fn a_large_package_goes_in_several_batches() {
    let mut server = FakeServer { package: package(&metadata(None), 250), ..Default::default() };
    let (mut card, mut user) = Default::default();
    run(&mut card, &mut server, &mut user).unwrap();
    assert_eq!(card.package, server.package);
    assert!(card.crossings <= 12, "{}", card.crossings);
}

/// The reason that card and server were told, if both were.
fn cancelled(card: &FakeCard, server: &FakeServer) -> u8 {
    assert_eq!(card.called(tags::CANCEL_SESSION), 1);
    assert_eq!(server.functions().last(), Some(&"cancelSession"));
    last_member(card.request(tags::CANCEL_SESSION))[0]
}

#[test]
fn what_the_user_says_is_what_card_and_server_are_told() {
    let table = [
        (Consent::Refused, CancelSessionReason::EndUserRejection, 0, false),
        (Consent::Postponed, CancelSessionReason::Postponed, 1, true),
        (Consent::TimedOut, CancelSessionReason::Timeout, 2, true),
    ];
    for (consent, reason, number, kept) in table {
        let (mut card, mut server) = Default::default();
        let mut user = FakeUser { consent, ..Default::default() };
        let error = run(&mut card, &mut server, &mut user).unwrap_err();
        assert_eq!(error, LpaError::Cancelled { reason });
        assert_eq!(error.order_is_kept(), kept);
        assert_eq!(cancelled(&card, &server), number);
        assert_eq!(card.called(tags::PREPARE_DOWNLOAD), 0);
    }
}

#[test]
fn a_forbidden_policy_rule_is_not_even_shown() {
    let rules = Some(PprIds::PPR1);
    let mut server = FakeServer { metadata: metadata(rules), ..Default::default() };
    let (mut card, mut user): (FakeCard, FakeUser) = Default::default();
    let error = run(&mut card, &mut server, &mut user).unwrap_err();
    assert_eq!(error, LpaError::Cancelled { reason: CancelSessionReason::PprNotAllowed });
    assert!(error.hint().is_some());
    assert_eq!(cancelled(&card, &server), 3);
    assert!(user.shown.is_empty());
}

#[test]
fn a_package_with_other_metadata_than_shown_is_not_installed() {
    let other = package(&metadata(Some(PprIds::PPR2)), 3);
    let mut server = FakeServer { package: other, ..Default::default() };
    let (mut card, mut user): (FakeCard, FakeUser) = Default::default();
    let error = run(&mut card, &mut server, &mut user).unwrap_err();
    assert_eq!(error, LpaError::Cancelled { reason: CancelSessionReason::MetadataMismatch });
    assert_eq!(cancelled(&card, &server), 4);
    assert!(card.package.is_empty());
}

#[test]
fn a_package_that_comes_to_no_result_is_cancelled() {
    let mut card = FakeCard::default();
    card.answers.insert(0x86, (vec![], 0x6A80));
    let (mut server, mut user) = Default::default();
    let error = run(&mut card, &mut server, &mut user).unwrap_err();
    let expected = "LoadBoundProfilePackage: the card answered 6A80 (incorrect parameters in the data field)";
    assert_eq!(error.to_string(), expected);
    assert_eq!(cancelled(&card, &server), 5);

    for answer in [vec![], vec![0xBF, 0x37, 0x00], vec![0xFF; 300]] {
        let mut card = FakeCard::default();
        card.answers.insert(0xA3, (answer.clone(), 0x9000));
        card.answers.insert(0x86, (answer, 0x9000));
        let mut server = FakeServer::default();
        let error = run(&mut card, &mut server, &mut user).unwrap_err();
        assert!(matches!(error, LpaError::CardAnswer { function: "LoadBoundProfilePackage", .. }), "{error}");
        assert_eq!(cancelled(&card, &server), 5);
    }

    for garbage in [vec![], vec![0xBF, 0x36, 0x82], vec![0x30; 40], tlv(0xBF36, &tlv(0xBF23, &[0; 9])[..5])] {
        let mut server = FakeServer { package: garbage, ..Default::default() };
        let mut card = FakeCard::default();
        let error = run(&mut card, &mut server, &mut user).unwrap_err();
        assert!(error.to_string().starts_with("getBoundProfilePackage: the answer of smdp.example.com"), "{error}");
        assert_eq!(cancelled(&card, &server), 5);
    }
}

#[test]
fn a_failed_installation_is_reported_and_says_why() {
    let mut card = FakeCard {
        install_error: Some(ErrorReason::InstallFailedDueToIccidAlreadyExistsOnEuicc),
        ..Default::default()
    };
    let (mut server, mut user): (FakeServer, FakeUser) = Default::default();
    let error = run(&mut card, &mut server, &mut user).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the card could not install the profile: a profile with this ICCID is already installed (code 9), in \
         LoadProfileElements"
    );
    assert!(error.hint().unwrap().contains("delete it first"));
    assert_eq!(server.functions().last(), Some(&"handleNotification"));
    assert!(card.notifications.is_empty());
    assert_eq!(card.called(tags::CANCEL_SESSION), 0);
}

#[test]
fn the_result_waits_behind_earlier_notifications_to_the_same_server() {
    let mut card = FakeCard::default();
    for (number, recipient) in [(7, HOST), (9, "other.example.com"), (8, "SMDP.example.com")] {
        card.notifications.push(Kept::new(number, recipient, NotificationEvent::ENABLE));
    }
    let (mut server, mut user) = Default::default();
    let installed = run(&mut card, &mut server, &mut user).unwrap();
    let numbers: Vec<u32> = installed.deliveries.unwrap().iter().map(|d| d.notification.sequence_number).collect();
    assert_eq!(numbers, [7, 8, 40]);
    assert_eq!(card.notifications.len(), 1, "the other server's is not touched");
}

#[test]
fn a_confirmation_code_is_hashed_for_the_transaction() {
    let mut server = FakeServer { code_required: true, ..Default::default() };
    let mut user = FakeUser { codes: vec![" 4711 "], ..Default::default() };
    let mut card = FakeCard::default();
    run(&mut card, &mut server, &mut user).unwrap();
    assert_eq!(user.asked, [false]);
    let request = PrepareDownloadRequest::parse(card.request(tags::PREPARE_DOWNLOAD)).unwrap();
    assert_eq!(request.hash_cc.unwrap().0, &crypto::hash_cc("4711", &TRANSACTION));

    let mut request = order();
    request.confirmation_code = ConfirmationCode::new("4711".into());
    let (mut card, mut user): (FakeCard, FakeUser) = Default::default();
    let mut server = FakeServer { code_required: true, ..Default::default() };
    run_order(request, &mut card, &mut server, &mut user).unwrap();
    assert!(user.asked.is_empty(), "a code that was given is not asked for");
}

#[test]
fn a_refused_confirmation_code_is_asked_for_again_and_consent_is_not() {
    let mut server = FakeServer { code_required: true, ..Default::default() };
    server.answers.insert("getBoundProfilePackage", vec![failed("8.2.7", "3.8")]);
    let mut user = FakeUser { codes: vec!["0000", "4711"], ..Default::default() };
    let mut card = FakeCard::default();
    run(&mut card, &mut server, &mut user).unwrap();
    assert_eq!(user.asked, [false, true]);
    assert_eq!(user.shown.len(), 1);

    let mut server = FakeServer { code_required: true, ..Default::default() };
    server.answers.insert("getBoundProfilePackage", vec![failed("8.2.7", "3.8"), failed("8.2.7", "6.4")]);
    let mut user = FakeUser { codes: vec!["0000", "0001", "0002"], ..Default::default() };
    let error = run(&mut FakeCard::default(), &mut server, &mut user).unwrap_err();
    assert_eq!(
        error.to_string(),
        "getBoundProfilePackage refused by smdp.example.com: 8.2.7 Confirmation code / 6.4 Maximum number of retries \
         exceeded: \"no\""
    );
    assert!(!error.order_is_kept());
}

#[test]
fn without_a_confirmation_code_the_order_is_postponed() {
    let mut server = FakeServer { code_required: true, ..Default::default() };
    let (mut card, mut user) = Default::default();
    let error = run(&mut card, &mut server, &mut user).unwrap_err();
    assert_eq!(error, LpaError::Cancelled { reason: CancelSessionReason::Postponed });
    assert_eq!(cancelled(&card, &server), 1);
}

#[test]
fn a_confirmation_code_is_in_no_text() {
    let mut request = order();
    request.confirmation_code = ConfirmationCode::new("PLANTED-CODE".into());
    let mut texts = vec![format!("{request:?}")];
    let mut operation = download::download(request);
    let mut card = FakeCard::default();
    let mut server = FakeServer { code_required: true, ..Default::default() };
    server.answers.insert("getBoundProfilePackage", vec![failed("8.2.7", "6.4")]);
    let mut input = Input::Continue;
    let error = loop {
        let step = match operation.next(input) {
            Ok(step) => step,
            Err(error) => break error,
        };
        texts.push(format!("{step:?}"));
        use teuicc_lpa::drive::{Card, HttpClient};
        input = match step {
            Step::Card(batch) => Input::Card(card.transmit(batch)),
            Step::Http(request) => Input::Http(server.post(&request)),
            Step::AskConsent(_) => Input::Consent(Consent::Given),
            Step::Progress(_) => Input::Continue,
            Step::AskConfirmationCode { .. } | Step::Done(_) => panic!("not expected"),
        };
    };
    texts.extend([format!("{error}"), format!("{error:?}")]);
    let hash = hex::encode(crypto::hash_cc("PLANTED-CODE", &TRANSACTION));
    for text in texts {
        let lower = text.to_lowercase();
        assert!(!lower.contains("planted") && !lower.contains(&hash) && !text.contains("MATCH-1"), "{text}");
    }
}

#[test]
fn one_broken_connection_at_any_request_does_no_harm() {
    for step in 0..4 {
        let mut server = FakeServer { fail_at: Some(step), ..Default::default() };
        let (mut card, mut user): (FakeCard, FakeUser) = Default::default();
        let installed = run(&mut card, &mut server, &mut user).unwrap_or_else(|error| panic!("{step}: {error}"));
        assert!(installed.deliveries.unwrap()[0].is_delivered());
        assert_eq!(server.calls.len(), 5, "one request was repeated");
        assert_eq!(user.shown.len(), 1);
    }
}

#[test]
fn a_dead_connection_keeps_the_order_and_names_the_step() {
    let functions = ["initiateAuthentication", "authenticateClient", "getBoundProfilePackage"];
    for (step, function) in functions.into_iter().enumerate() {
        let mut server = FakeServer { dead_from: Some(step), ..Default::default() };
        let (mut card, mut user): (FakeCard, FakeUser) = Default::default();
        let error = run(&mut card, &mut server, &mut user).unwrap_err();
        assert_eq!(error.to_string(), format!("{function}: smdp.example.com: the connection broke: reset by peer"));
        assert!(error.order_is_kept());
        assert!(error.hint().unwrap().contains("not used up"));
        assert_eq!(card.called(tags::CANCEL_SESSION), 0, "the card keeps its keys for another try");
        server.dead_from = None;
        run(&mut card, &mut server, &mut user).unwrap();
    }
    let mut server = FakeServer { dead_from: Some(3), ..Default::default() };
    let (mut card, mut user): (FakeCard, FakeUser) = Default::default();
    let installed = run(&mut card, &mut server, &mut user).unwrap();
    assert!(!installed.deliveries.unwrap()[0].is_delivered(), "the profile is there, its notification waits");
    assert_eq!(card.notifications.len(), 1);
}

#[test]
fn a_server_that_forgot_the_session_is_asked_again() {
    let mut server = FakeServer::default();
    server.answers.insert("getBoundProfilePackage", vec![failed("8.10.1", "3.9")]);
    let (mut card, mut user): (FakeCard, FakeUser) = Default::default();
    run(&mut card, &mut server, &mut user).unwrap();
    assert_eq!(user.shown.len(), 1);
    assert_eq!(card.called(tags::GET_EUICC_CHALLENGE), 2);

    server.answers.insert("authenticateClient", (0..9).map(|_| failed("8.10.1", "3.9")).collect());
    let error = run(&mut FakeCard::default(), &mut server, &mut user).unwrap_err();
    assert!(error.to_string().contains("8.10.1 RSP operation / 3.9 Unknown"), "{error}");
}

#[test]
fn a_card_that_goes_at_any_step_is_an_error_of_the_card() {
    let (mut card, mut server, mut user): (FakeCard, FakeServer, FakeUser) = Default::default();
    run(&mut card, &mut server, &mut user).unwrap();
    let installed_after = card.crossings - 3;
    for step in 0..installed_after {
        let mut card = FakeCard { fail_at: Some(step), ..Default::default() };
        let mut server = FakeServer::default();
        let error = run(&mut card, &mut server, &mut user).unwrap_err();
        assert!(matches!(error, LpaError::Card { .. }), "{step}: {error}");
        assert!(error.to_string().contains("unplugged"), "{error}");
        assert_eq!(card.crossings, step + 1, "a card that is gone is not asked again");
    }
    for step in installed_after..card.crossings {
        let mut card = FakeCard { fail_at: Some(step), ..Default::default() };
        let installed = drive(download::download(order()), &mut card, &mut FakeServer::default(), &mut user).unwrap();
        let told = installed.deliveries.is_ok();
        assert_eq!(told, step == installed_after + 2, "{step}: the profile is installed, whoever was told of it");
    }
}

#[test]
fn a_refusing_server_is_quoted_in_words() {
    let mut server = FakeServer::default();
    server.answers.insert("authenticateClient", vec![failed("8.2.6", "3.8")]);
    let error = run(&mut FakeCard::default(), &mut server, &mut FakeUser::default()).unwrap_err();
    let expected = "authenticateClient refused by smdp.example.com: 8.2.6 Matching ID / 3.8 Refused: \"no\"";
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("mistyped"));
}

#[test]
fn a_refusing_card_is_quoted_in_words() {
    let mut card = FakeCard::default();
    let refusal = tlv(0xBF38, &tlv(0xA1, &[tlv(0x80, &TRANSACTION), tlv(0x02, &[7])].concat()));
    card.answers.insert(0xBF38, (refusal, 0x9000));
    let error = run(&mut card, &mut FakeServer::default(), &mut FakeUser::default()).unwrap_err();
    assert_eq!(error.to_string(), "AuthenticateServer refused by the card: the CI public key is unknown (code 7)");
    let mut card = FakeCard::default();
    let refusal = tlv(0xBF21, &tlv(0xA1, &[tlv(0x80, &TRANSACTION), tlv(0x02, &[2])].concat()));
    card.answers.insert(0xBF21, (refusal, 0x9000));
    let error = run(&mut card, &mut FakeServer::default(), &mut FakeUser::default()).unwrap_err();
    assert_eq!(error.to_string(), "PrepareDownload refused by the card: the SM-DP+ signature is wrong (code 2)");
}

#[test]
fn another_server_than_asked_is_not_trusted() {
    let mut server = FakeServer { name: "evil.example.com".into(), ..Default::default() };
    let (mut card, mut user) = Default::default();
    let error = run(&mut card, &mut server, &mut user).unwrap_err();
    assert!(matches!(error, LpaError::WrongServer { .. }), "{error}");
    assert_eq!(card.called(tags::AUTHENTICATE_SERVER), 0);
}

#[test]
fn the_oid_of_the_activation_code_is_held_against_the_certificate() {
    let Some(folder) = std::env::var_os("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return;
    };
    let path = std::path::Path::new(&folder).join("sgp26/DPauth/CERT_S_SM_DPauth_ECDSA_NIST.der");
    let certificate = std::fs::read(path).unwrap();
    for (oid, good) in [("2.999.10", true), ("2.999.11", false)] {
        let code: ActivationCode = format!("{CODE}${oid}").parse().unwrap();
        let mut server = FakeServer { certificate: certificate.clone(), ..Default::default() };
        let (mut card, mut user) = Default::default();
        let request = Request::new(Order::ActivationCode(code));
        match run_order(request, &mut card, &mut server, &mut user) {
            Ok(_) => assert!(good),
            Err(error) => {
                let expected =
                    "the activation code is for the SM-DP+ with OID 2.999.11, but smdp.example.com has 2.999.10";
                assert_eq!((error.to_string().as_str(), good), (expected, false));
            }
        }
    }
}

#[test]
fn hostile_answers_of_a_server_are_clear_errors() {
    let b64 = |bytes: &[u8]| json!(BASE64.encode(bytes));
    let huge = json!("A".repeat(400_000));
    let table: Vec<(&str, &str, Value, &str)> = vec![
        ("initiateAuthentication", "transactionId", json!(null), "transactionId is missing"),
        ("initiateAuthentication", "transactionId", json!(7), "transactionId is no text"),
        ("initiateAuthentication", "transactionId", json!("xyz"), "transactionId is not 1 to 16 bytes in hex"),
        ("initiateAuthentication", "transactionId", json!("00".repeat(17)), "transactionId is not 1 to 16 bytes"),
        ("initiateAuthentication", "transactionId", json!("0B"), "serverSigned1: it is for another transaction"),
        ("initiateAuthentication", "serverSigned1", json!("?"), "serverSigned1 is no base64"),
        ("initiateAuthentication", "serverSigned1", b64(&[0x30, 0x80]), "serverSigned1: "),
        ("initiateAuthentication", "serverSigned1", huge.clone(), "serverSigned1: "),
        ("initiateAuthentication", "serverSignature1", b64(&[0x5F, 0x37, 0x01, 0x00]), "serverSignature1: "),
        ("initiateAuthentication", "euiccCiPKIdToBeUsed", b64(&[]), "euiccCiPKIdToBeUsed: "),
        ("initiateAuthentication", "serverCertificate", b64(&[0x31, 0x00]), "serverCertificate: "),
        ("initiateAuthentication", "serverCertificate", huge.clone(), "serverCertificate: "),
        ("initiateAuthentication", "header", json!({}), "there is no header.functionExecutionStatus"),
        ("initiateAuthentication", "header", json!([1]), "there is no header.functionExecutionStatus"),
        ("authenticateClient", "transactionId", json!("0B"), "transactionId is that of another session"),
        ("authenticateClient", "smdpSigned2", b64(&[0x30, 0x00]), "smdpSigned2: "),
        ("authenticateClient", "smdpSignature2", b64(&[]), "smdpSignature2: "),
        ("authenticateClient", "profileMetadata", b64(&[0xBF, 0x25, 0x00]), "profileMetadata: "),
        ("authenticateClient", "profileMetadata", huge.clone(), "profileMetadata: "),
        ("authenticateClient", "smdpCertificate", json!({}), "smdpCertificate is no text"),
        ("getBoundProfilePackage", "boundProfilePackage", json!(null), "boundProfilePackage is missing"),
        ("getBoundProfilePackage", "boundProfilePackage", huge, "boundProfilePackage: "),
    ];
    for (function, field, value, words) in table {
        let mut server = FakeServer { fields: vec![(function, field, value)], ..Default::default() };
        let (mut card, mut user): (FakeCard, FakeUser) = Default::default();
        let error = match run(&mut card, &mut server, &mut user) {
            Ok(_) => panic!("{function} {field} was taken"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(words), "{function} {field}: {error}");
        assert!(error.len() < 400, "{function} {field}: {error}");
        server.fields.clear();
        card.package.clear();
        run(&mut card, &mut server, &mut user).unwrap_or_else(|error| panic!("after {function} {field}: {error}"));
    }
}

#[test]
fn hostile_bodies_of_a_server_are_clear_errors() {
    let nested = "[".repeat(100_000);
    let bodies = [&b""[..], b"<html>", b"\xFF\xFE", b"[]", b"null", b"{\"a\":", nested.as_bytes()];
    for body in bodies {
        for function in ["initiateAuthentication", "authenticateClient", "getBoundProfilePackage"] {
            let mut server = FakeServer::default();
            server.answers.insert(function, vec![Ok(HttpResponse { status: 200, body: body.to_vec() })]);
            let error = run(&mut FakeCard::default(), &mut server, &mut FakeUser::default()).unwrap_err();
            let expected = format!("{function}: the answer of smdp.example.com is not what SGP.22 says: it is no JSON");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
    for status in [204, 302, 404, 500] {
        let mut server = FakeServer::default();
        server.answers.insert("authenticateClient", vec![Ok(HttpResponse { status, body: vec![] })]);
        let error = run(&mut FakeCard::default(), &mut server, &mut FakeUser::default()).unwrap_err();
        let expected = format!("authenticateClient: smdp.example.com answered with HTTP status {status}");
        assert_eq!(error.to_string(), expected);
    }
    let mut server = FakeServer::default();
    let large = HttpResponse { status: 200, body: vec![b' '; teuicc_lpa::MAX_BODY + 1] };
    server.answers.insert("initiateAuthentication", vec![Ok(large)]);
    let error = run(&mut FakeCard::default(), &mut server, &mut FakeUser::default()).unwrap_err();
    assert!(matches!(error, LpaError::Http { error: HttpError::TooLarge(_), .. }), "{error}");
}

#[test]
fn hostile_answers_of_a_card_are_clear_errors() {
    let (mut card, mut server, mut user): (FakeCard, FakeServer, FakeUser) = Default::default();
    run(&mut card, &mut server, &mut user).unwrap();
    let answer = |executed: u16, last: &[u8]| Transmitted {
        executed,
        last: last.to_vec(),
        proactive_pending: true,
        card_changed: true,
    };
    for step in 0..card.crossings - 2 {
        let garbage = [
            answer(0, &[0x90, 0x00]),
            answer(9999, &[0x90, 0x00]),
            answer(1, &[]),
            answer(1, &[0x90]),
            answer(1, &[0x90, 0x00]),
            answer(1, &[0x6F, 0x00]),
            answer(1, &[0xFF, 0xFF, 0xFF, 0xFF, 0x90, 0x00]),
            answer(1, &[vec![0x30; 65_536], vec![0x90, 0x00]].concat()),
        ];
        for raw in garbage {
            let text = format!("{step}: {:02X?}", &raw.last[..raw.last.len().min(8)]);
            let mut card = FakeCard::default();
            card.raw.insert(step, raw);
            let result = drive(download::download(order()), &mut card, &mut FakeServer::default(), &mut user);
            match result {
                Ok(_) => assert!(step == 1 || step >= 7, "{step}: {text} was taken"),
                Err(error) => assert!(error.to_string().len() < 400, "{text}: {error}"),
            }
        }
    }
}

#[test]
fn an_input_that_was_not_asked_for_changes_nothing() {
    let mut operation = download::download(order());
    let misuse = operation.next(Input::Consent(Consent::Given)).unwrap_err();
    assert_eq!(misuse, LpaError::Misuse { given: "Consent", expected: "Continue" });
    assert!(matches!(operation.next(Input::Continue), Ok(Step::Card(_))));
    assert!(operation.next(Input::Continue).is_err());
    let gone = operation.next(Input::Card(Err(teuicc_lpa::CardFault("gone".into()))));
    assert!(matches!(gone, Err(LpaError::Card { .. })));
    assert!(matches!(operation.next(Input::Continue), Err(LpaError::Misuse { .. })));
}

#[test]
fn the_device_is_what_the_server_is_told() {
    let mut request = order();
    request.device = Device { tac: [0x12, 0x34, 0x56, 0x78], imei: Some([0x12; 8]) };
    let (mut card, mut server, mut user) = Default::default();
    run_order(request, &mut card, &mut server, &mut user).unwrap();
    let request = AuthenticateServerRequest::parse(card.request(tags::AUTHENTICATE_SERVER)).unwrap();
    assert_eq!(request.ctx_params1.device_info.tac, &[0x12, 0x34, 0x56, 0x78]);
    assert_eq!(request.ctx_params1.device_info.imei, Some(&[0x12; 8]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_answer_of_a_card_is_survived(step in 0usize..10, executed in 0u16..40, last in proptest::collection::vec(any::<u8>(), 0..80), good in any::<bool>()) {
        let mut card = FakeCard::default();
        let last = if good { [last, vec![0x90, 0x00]].concat() } else { last };
        card.raw.insert(step, Transmitted { executed, last, proactive_pending: false, card_changed: false });
        let _ = drive(download::download(order()), &mut card, &mut FakeServer::default(), &mut FakeUser::default());
    }

    #[test]
    fn any_bytes_in_any_field_are_survived(function in 0usize..3, field in 0usize..5, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let (function, fields) = [
            ("initiateAuthentication", &["serverSigned1", "serverSignature1", "euiccCiPKIdToBeUsed", "serverCertificate", "transactionId"][..]),
            ("authenticateClient", &["profileMetadata", "smdpSigned2", "smdpSignature2", "smdpCertificate", "transactionId"]),
            ("getBoundProfilePackage", &["boundProfilePackage", "header", "transactionId"]),
        ][function];
        let field = fields[field % fields.len()];
        let mut server = FakeServer { fields: vec![(function, field, json!(BASE64.encode(bytes)))], ..Default::default() };
        let _ = drive(download::download(order()), &mut FakeCard::default(), &mut server, &mut FakeUser::default());
    }
}
