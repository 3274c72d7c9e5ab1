//! Hostile requests, damaged folders, wrong options.

mod common;

use common::{World, example};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use teuicc_rsp::Eid;
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::es9;
use teuicc_rsp_server::{Identity, Metadata, NewProfile, OrderOptions, SmDp, SmDpConfig, TestPki};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FUNCTIONS: [&str; 5] = [
    es9::INITIATE_AUTHENTICATION,
    es9::AUTHENTICATE_CLIENT,
    es9::GET_BOUND_PROFILE_PACKAGE,
    es9::HANDLE_NOTIFICATION,
    es9::CANCEL_SESSION,
];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_refused_and_the_next_request_works() {
    let world = World::new().await;
    let deep = "[".repeat(20_000);
    let bodies = ["", "{", "null", "[]", "{}", "\u{0}", &deep, r#"{"transactionId":7}"#];
    for function in FUNCTIONS {
        for body in bodies {
            let (status, _) = world.post_raw(function, body.into()).await;
            assert_eq!(status, 400, "{function} {body:.20}");
        }
        // The server may close the connection before it has read all of it.
        let answer = world.try_post(function, vec![b' '; 200_000]).await;
        assert!(answer.is_err() || answer.is_ok_and(|(status, _)| status == 413), "{function}");
    }
    let id = "00".repeat(16);
    for (function, body) in [
        (es9::INITIATE_AUTHENTICATION, json!({"euiccChallenge": "AA==", "euiccInfo1": "vyA=", "smdpAddress": "x"})),
        (es9::INITIATE_AUTHENTICATION, json!({"euiccChallenge": "!", "euiccInfo1": "vyA=", "smdpAddress": "x"})),
        (es9::AUTHENTICATE_CLIENT, json!({"transactionId": "xyz", "authenticateServerResponse": ""})),
        (es9::HANDLE_NOTIFICATION, json!({"pendingNotification": "MIT/////"})),
        (es9::CANCEL_SESSION, json!({"transactionId": id, "cancelSessionResponse": "a"})),
    ] {
        let (status, text) = world.post_raw(function, body.to_string().into()).await;
        assert_eq!(status, 400, "{function}");
        assert!(!text.is_empty());
    }
    let (status, _) = world.post_raw("/gsma/rsp2/es9plus/other", Vec::new()).await;
    assert_eq!(status, 404);
    let matching_id = world.order(None, None).await;
    world.download(&mut world.euicc(), Some(&matching_id), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_is_refused() {
    let world = World::new().await;
    let (euicc, port) = (world.euicc(), world.server.addr.port());
    let call = async |address: &str| {
        let challenge = "AAAAAAAAAAAAAAAAAAAAAA==";
        let info = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, euicc.info1());
        let request = json!({"euiccChallenge": challenge, "euiccInfo1": info, "smdpAddress": address});
        world.call(es9::INITIATE_AUTHENTICATION, request).await
    };
    for own in ["localhost".to_owned(), format!("LOCALHOST:{port}")] {
        call(&own).await.unwrap();
    }
    for other in ["example.com", "localhost:1", ""] {
        assert_eq!(call(other).await.unwrap_err(), common::codes(es9::SMDP_ADDRESS_REFUSED));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_speak_no_tls_or_nothing_do_not_stop_the_server() {
    let world = World::new().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(tokio::net::TcpStream::connect(world.server.addr).await.unwrap());
    }
    let mut plain = tokio::net::TcpStream::connect(world.server.addr).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), plain.read_to_end(&mut answer)).await;
    assert!(ended.is_ok() && !answer.starts_with(b"HTTP"));
    let matching_id = world.order(None, None).await;
    world.download(&mut world.euicc(), Some(&matching_id), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_ci_does_not_trust_the_server() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let other = TestPki::generate(&folder.path().join("pki")).unwrap();
    let agent = common::agent(other.ci_certificate(Curve::P256).unwrap());
    let url = format!("https://{}{}", world.server.address, es9::CANCEL_SESSION);
    let error = tokio::task::spawn_blocking(move || agent.post(&url).send("{}").unwrap_err()).await.unwrap();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn orders_and_profiles_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    TestPki::generate(&folder.path().join("pki")).unwrap();
    let config = |address: Option<&str>| SmDpConfig {
        folder: folder.path().join("smdp"),
        pki: folder.path().join("pki"),
        address: address.map(ToOwned::to_owned),
    };
    let smdp = SmDp::open(&config(None)).await.unwrap();
    let iccid = Some(smdp.add_profile(&example()).await.unwrap());
    let options = OrderOptions { iccid, ..OrderOptions::default() };
    assert!(smdp.order(&options).await.unwrap_err().to_string().contains("no address yet"));
    assert!(SmDp::open(&config(Some("a$b"))).await.unwrap_err().to_string().contains("neither host"));
    let smdp = SmDp::open(&config(Some("smdp.example.com"))).await.unwrap();
    assert!(smdp.add_profile(&example()).await.unwrap_err().to_string().contains("is there already"));
    let with_id = |id: &str| OrderOptions { matching_id: Some(id.into()), ..options.clone() };
    let code = smdp.order(&with_id("A-1")).await.unwrap();
    assert_eq!(code.to_string(), "LPA:1$smdp.example.com$A-1");
    assert!(smdp.order(&with_id("A-1")).await.unwrap_err().to_string().contains("used by another order"));
    for id in ["", "a$b", "a b", &"x".repeat(65)] {
        assert!(smdp.order(&with_id(id)).await.is_err(), "{id}");
    }
    let unknown = OrderOptions { iccid: teuicc_rsp::Iccid::from_digits("8901"), ..options.clone() };
    assert!(smdp.order(&unknown).await.unwrap_err().to_string().contains("there is no profile 8901"));
    let empty = OrderOptions { confirmation_code: Some(String::new()), ..options.clone() };
    assert!(smdp.order(&empty).await.is_err());
    let secret = OrderOptions { confirmation_code: Some("4711".into()), matching_id: Some("SECRET".into()), ..options };
    assert!(!format!("{secret:?}").contains("4711") && !format!("{secret:?}").contains("SECRET"));
    assert_eq!(smdp.order(&secret).await.unwrap().to_string(), "LPA:1$smdp.example.com$SECRET$$1");
}

#[tokio::test]
async fn damaged_and_newer_data_bases_are_named() {
    let folder = tempfile::tempdir().unwrap();
    TestPki::generate(&folder.path().join("pki")).unwrap();
    let config =
        SmDpConfig { folder: folder.path().join("smdp"), pki: folder.path().join("pki"), address: Some("x".into()) };
    std::fs::create_dir(&config.folder).unwrap();
    let file = config.folder.join("smdp.db");
    std::fs::write(&file, [b'x'; 5000]).unwrap();
    let error = SmDp::open(&config).await.unwrap_err().to_string();
    assert!(error.contains("smdp.db: damaged, or no data base of this program"), "{error}");

    std::fs::remove_file(&file).unwrap();
    SmDp::open(&config).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = 99").execute(&pool).await.unwrap();
    pool.close().await;
    let error = SmDp::open(&config).await.unwrap_err().to_string();
    assert!(error.contains("newer version"), "{error}");
}

#[test]
fn broken_pki_folders_are_named_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pki");
    let pki = TestPki::generate(&path).unwrap();
    assert!(TestPki::generate(&path).unwrap_err().to_string().contains("not empty"));
    assert!(std::fs::read_to_string(pki.ci_pem()).unwrap().starts_with("-----BEGIN CERTIFICATE-----\nMI"));
    let mode = |name: &str| std::os::unix::fs::PermissionsExt::mode(&path.join(name).metadata().unwrap().permissions());
    for key in ["ci-nist.key.der", "eum-brp.key.der", "dptls-nist.key.der"] {
        assert_eq!(mode(key) & 0o777, 0o600, "{key}");
    }
    Identity::load(&path).unwrap();

    let change = |name: &str, bytes: &[u8], expected: &str| {
        let file = path.join(name);
        let before = std::fs::read(&file).unwrap();
        std::fs::write(&file, bytes).unwrap();
        let error = Identity::load(&path).and_then(|_| TestPki::load(&path)).unwrap_err().to_string();
        std::fs::write(&file, before).unwrap();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    };
    change("dpauth-nist.der", b"", "malformed");
    change("dpauth-nist.der", &std::fs::read(path.join("dppb-nist.der")).unwrap(), "role");
    change("dppb-brp.key.der", &std::fs::read(path.join("dppb-nist.key.der")).unwrap(), "not the key of");
    change("ci-brp.der", &std::fs::read(path.join("ci-nist.der")).unwrap(), "");
    change("eum-nist.key.der", b"0", "PKCS#8");
    std::fs::remove_file(path.join("dppb-nist.der")).unwrap();
    assert!(Identity::load(&path).unwrap_err().to_string().contains("dppb-nist.der"));
}

#[test]
fn the_eum_signs_for_its_own_eids_and_right_requests() {
    let folder = tempfile::tempdir().unwrap();
    let pki = TestPki::generate(&folder.path().join("pki")).unwrap();
    let key = common::key(Curve::P256);
    let eid = pki.assign_eid().unwrap();
    let request = teuicc_rsp::csr::request(&teuicc_rsp::x509::Name::default(), &key).unwrap();
    pki.sign_euicc(&request, &eid).unwrap();
    let foreign = Eid::complete_check_digits("880490320010010012345678900000").unwrap();
    assert!(pki.sign_euicc(&request, &foreign).unwrap_err().to_string().contains("begin with 89049032"));
    let mut forged = request.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(pki.sign_euicc(&forged, &eid).is_err());
    let digits = foreign.to_string();
    let other = teuicc_rsp::x509::Name { serial_number: Some(&digits), ..Default::default() };
    let other = teuicc_rsp::csr::request(&other, &key).unwrap();
    assert!(pki.sign_euicc(&other, &eid).unwrap_err().to_string().contains("not for the EID"));
}

/// The folder of published material.
fn published(path: &str) -> Option<std::path::PathBuf> {
    let Some(folder) = std::env::var_os("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return None;
    };
    Some(Path::new(&folder).join(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sgp26_euicc_downloads_from_a_server_on_sgp26_certificates() {
    let Some(pki) = published("sgp26") else { return };
    let mut world = World::new().await;
    let config = SmDpConfig { folder: world.folder.path().join("sgp26"), pki: pki.clone(), address: None };
    let smdp = std::sync::Arc::new(SmDp::open(&config).await.unwrap());
    smdp.add_profile(&world.profile).await.unwrap();
    world.server = teuicc_rsp_server::Server::start(smdp, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let file = |path: String| std::fs::read(pki.join(path)).unwrap();
    world.agent = common::agent(&file("CertificateIssuer/CERT_CI_ECDSA_NIST.der".into()));
    for (name, curve) in [("NIST", Curve::P256), ("BRP", Curve::BrainpoolP256r1)] {
        let mut euicc = common::Euicc::new(&world.pki, curve);
        euicc.eid = Eid::from_digits("89049032123451234512345678901235").unwrap();
        euicc.key = teuicc_rsp::pkcs8::parse(&file(format!("eUICC/SK_EUICC_ECDSA_{name}.pkcs8.der"))).unwrap();
        euicc.certificate = file(format!("eUICC/CERT_EUICC_ECDSA_{name}.der"));
        euicc.eum = file(format!("EUM/CERT_EUM_ECDSA_{name}.der"));
        euicc.ci = file(format!("CertificateIssuer/CERT_CI_ECDSA_{name}.der"));
        euicc.sequence = curve as u32 * 10;
        let matching_id = world.order(Some(euicc.eid), None).await;
        let (download, _) = world.download(&mut euicc, Some(&matching_id), None).await.unwrap();
        world.notify(&euicc.installation_result(&download, None)).await;
        assert_eq!(world.order_state().await, "installed");
    }
}

#[test]
fn published_packages_are_taken_in_and_broken_ones_are_not() {
    let Some(folder) = published("ts48") else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let profile = NewProfile::from_file(&path, Metadata::default()).unwrap();
        assert_eq!(profile.iccid.to_string(), "89000123456789012341");
        let cut = profile.package[..profile.package.len() - 10].to_vec();
        let error = NewProfile::from_package(cut.into(), Metadata::default()).unwrap_err().to_string();
        assert!(error.starts_with("package: "), "{error}");
        count += 1;
    }
    assert!(count >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_changed_byte_of_what_the_euicc_signs_is_accepted() {
    let world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, None).await;
    let length = std::cell::Cell::new(0);
    world
        .authenticate_with(&euicc, Some(&matching_id), |response| {
            length.set(response.len());
            response
        })
        .await
        .unwrap();
    let smdp = &world.server.smdp;
    for position in (0..length.get()).step_by(23) {
        let initiated = world.initiate(&euicc, &[3; 16]).await.unwrap();
        let mut response = euicc.authenticate_server(&initiated, &[3; 16], Some(&matching_id));
        response[position] ^= 0x01;
        let transaction_id = hex::decode(initiated["transactionId"].as_str().unwrap()).unwrap();
        assert!(smdp.authenticate_client(&transaction_id, &response).await.is_err(), "byte {position}");
    }
    let download = world.authenticate(&euicc, Some(&matching_id)).await.unwrap();
    for position in (0..euicc.prepare_download(&download, None).len()).step_by(7) {
        let download = world.authenticate(&euicc, Some(&matching_id)).await.unwrap();
        let mut response = euicc.prepare_download(&download, None);
        response[position] ^= 0x01;
        let transaction_id = hex::decode(&download.transaction_id).unwrap();
        assert!(smdp.get_bound_profile_package(&transaction_id, &response).await.is_err(), "byte {position}");
    }
    assert_eq!(world.order_state().await, "released");
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_profile_or_an_error(text in "(iccid|imsi|k|opc|pin|[a-z]{1,3}|[=\"\n 0-9\\[\\]#'é]{0,8}){0,30}") {
        let description = teuicc_rsp_server::profile::Description::parse(&text);
        let _ = description.and_then(|description| description.build(Metadata::default()));
    }

    #[test]
    fn any_bytes_are_a_package_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        proptest::prop_assert!(NewProfile::from_package(bytes.into(), Metadata::default()).is_err());
    }
}

#[test]
fn openssl_verifies_the_certificates_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let pki = TestPki::generate(&folder.path().join("pki")).unwrap();
    let openssl = |arguments: &[&str]| {
        std::process::Command::new("openssl").args(arguments).current_dir(pki.folder()).output().ok()
    };
    if openssl(&["version"]).is_none() {
        println!("skipped: openssl is not installed");
        return;
    }
    for curve in ["nist", "brp"] {
        for name in ["dpauth", "dppb", "eum", "dptls"] {
            let (ci, file) = (format!("ci-{curve}.pem"), format!("{name}-{curve}.der"));
            if !pki.folder().join(&file).exists() {
                continue;
            }
            let output = openssl(&["verify", "-CAfile", &ci, &file]).unwrap();
            assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let key = openssl(&["pkey", "-in", "dptls-nist.key.der", "-inform", "DER", "-check", "-noout"]).unwrap();
    assert!(key.status.success(), "{}", String::from_utf8_lossy(&key.stderr));
    let host = openssl(&["x509", "-in", "dptls-nist.pem", "-noout", "-checkhost", "localhost"]).unwrap();
    assert!(String::from_utf8_lossy(&host.stdout).contains("does match"));
}
