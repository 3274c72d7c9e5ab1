//! The LPA between a real card, in the software TEE, and a real SM-DP+ over TLS on loopback.
#![cfg(feature = "http")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use teuicc_lpa::download::{self, Installed, Order, Request};
use teuicc_lpa::drive::{Card, HttpClient, LinkCard, User, drive_card};
use teuicc_lpa::http::TlsClient;
use teuicc_lpa::notifications::{self, Event, Which};
use teuicc_lpa::profiles::{self, ProfileId};
use teuicc_lpa::{
    ActivationCode, CardFault, ConfirmationCode, Consent, HttpError, HttpRequest, HttpResponse, LpaError, Operation,
    Progress, drive,
};
use teuicc_rsp::Eid;
use teuicc_rsp::codes::CancelSessionReason;
use teuicc_rsp::crypto::Curve;
use teuicc_rsp_server::{Metadata, NewProfile, OrderOptions, Server, ServerHandle, SmDp, SmDpConfig, TestPki};
use teuicc_slot::software::{Options, SoftwareTee};
use teuicc_slot::{CardLink, Wire};
use teuicc_wire::{Chain, FactoryRequest, Personalization, Transmitted};

const PROFILE: &str = r#"
iccid = "8900012345678901234"
imsi = "001010123456789"
k = "000102030405060708090A0B0C0D0E0F"
opc = "101112131415161718191A1B1C1D1E1F"
"#;

/// A PKI, an SM-DP+ that runs, and a personalized card.
struct World {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    pki: TestPki,
    server: Option<ServerHandle>,
    link: Wire<SoftwareTee>,
    eid: Eid,
    http: Connection,
    user: Person,
}

/// The connection to the server, which breaks on demand.
struct Connection {
    client: TlsClient,
    /// Requests so far, with their functions.
    functions: Vec<String>,
    /// Requests that do not reach the server.
    lost: Vec<usize>,
    /// Requests whose answers do not come back.
    unanswered: Vec<usize>,
    /// From which request on nothing comes through.
    dead_from: Option<usize>,
}

impl HttpClient for Connection {
    fn post(&mut self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let number = self.functions.len();
        self.functions.push(request.url.rsplit('/').next().unwrap().into());
        let broken = || Err(HttpError::Broken("cut off by the test".into()));
        if self.lost.contains(&number) || self.dead_from.is_some_and(|from| number >= from) {
            return broken();
        }
        let answer = self.client.post(request);
        if self.unanswered.contains(&number) { broken() } else { answer }
    }
}

struct Person {
    consent: Consent,
    codes: Vec<&'static str>,
    consents: usize,
}

impl User for Person {
    fn consent(&mut self, metadata: &download::ProfileMetadata) -> Consent {
        assert_eq!(metadata.iccid.to_string(), "8900012345678901234");
        self.consents += 1;
        self.consent
    }

    fn confirmation_code(&mut self, _: bool) -> Option<ConfirmationCode> {
        (!self.codes.is_empty()).then(|| ConfirmationCode::new(self.codes.remove(0).into()).unwrap())
    }

    fn progress(&mut self, progress: Progress) {
        assert!(progress.done <= progress.total && progress.total > 0);
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let pki = TestPki::generate(&folder.path().join("pki")).unwrap();
        let server = serve(&runtime, folder.path(), None);
        let profile = folder.path().join("profile.toml");
        std::fs::write(&profile, PROFILE).unwrap();
        let profile = NewProfile::from_file(&profile, Metadata::default()).unwrap();
        runtime.block_on(server.smdp.add_profile(&profile)).unwrap();
        let (link, eid) = personalized(&folder.path().join("card"), &pki, &server.address);
        let http = Connection {
            client: TlsClient::new(&[pki.ci_certificate(Curve::P256).unwrap()]).unwrap(),
            functions: vec![],
            lost: vec![],
            unanswered: vec![],
            dead_from: None,
        };
        let user = Person { consent: Consent::Given, codes: vec![], consents: 0 };
        World { folder, runtime, pki, server: Some(server), link, eid, http, user }
    }

    fn server(&self) -> &ServerHandle {
        self.server.as_ref().unwrap()
    }

    fn order(&self, confirmation_code: Option<&str>) -> ActivationCode {
        let options = OrderOptions {
            iccid: teuicc_rsp::Iccid::from_digits("8900012345678901234"),
            confirmation_code: confirmation_code.map(str::to_owned),
            ..Default::default()
        };
        self.runtime.block_on(self.server().smdp.order(&options)).unwrap().to_string().parse().unwrap()
    }

    fn order_state(&self) -> String {
        self.runtime.block_on(self.server().smdp.orders()).unwrap().last().unwrap().state.as_str().into()
    }

    fn run<T>(&mut self, operation: Operation<T>) -> Result<T, LpaError> {
        let mut card = LinkCard::power_up(&mut self.link).unwrap();
        drive(operation, &mut card, &mut self.http, &mut self.user)
    }

    fn download(&mut self, code: &ActivationCode) -> Result<Installed, LpaError> {
        self.http.functions.clear();
        self.run(download::download(Request::new(Order::ActivationCode(code.clone()))))
    }

    fn received(&self) -> Vec<u32> {
        let received = self.runtime.block_on(self.server().smdp.notifications()).unwrap();
        received.iter().map(|notification| notification.sequence).collect()
    }
}

fn serve(runtime: &tokio::runtime::Runtime, folder: &Path, port: Option<u16>) -> ServerHandle {
    let config = SmDpConfig { folder: folder.join("smdp"), pki: folder.join("pki"), address: None };
    runtime.block_on(async {
        let smdp = Arc::new(SmDp::open(&config).await.unwrap());
        Server::start(smdp, ([127, 0, 0, 1], port.unwrap_or(0)).into()).await.unwrap()
    })
}

fn personalized(folder: &Path, pki: &TestPki, default_dp_address: &str) -> (Wire<SoftwareTee>, Eid) {
    let mut link = Wire::new(SoftwareTee::open(folder, &Options { owner: "test".into() }).unwrap());
    let eid = pki.assign_eid().unwrap();
    let request = FactoryRequest { eid: *eid.as_bytes(), curve: 0, organization: "teuicc test EUM" };
    let request = link.factory_request(&request).unwrap();
    let euicc = pki.sign_euicc(&request, &eid).unwrap();
    let chain = Chain {
        test_ci: true,
        ci: pki.ci_certificate(Curve::P256).unwrap(),
        eum: pki.eum_certificate(Curve::P256).unwrap(),
        euicc: &euicc,
        key: None,
    };
    let settings = Personalization {
        chains: [Some(chain), None],
        default_dp_address,
        root_ds_address: "ds.example.com",
        rules_authorisation_table: &[],
    };
    link.personalize(&settings).unwrap();
    (link, eid)
}

/// Counts how often a card is asked.
struct Counted<'a, 'b>(&'a mut LinkCard<'b>, &'a AtomicUsize);

impl Card for Counted<'_, '_> {
    fn transmit(&mut self, commands: Vec<Vec<u8>>) -> Result<Transmitted, CardFault> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.transmit(commands)
    }
}

#[test]
fn an_activation_code_becomes_an_enabled_profile() {
    let mut world = World::new();
    let info = world.run(profiles::info()).unwrap();
    assert_eq!(info.eid, world.eid);
    assert_eq!(info.default_dp_address.as_deref(), Some(world.server().address.as_str()));
    let code = world.order(None);

    let crossings = AtomicUsize::new(0);
    let mut card = LinkCard::power_up(&mut world.link).unwrap();
    let request = Request::new(Order::ActivationCode(code.clone()));
    let mut counted = Counted(&mut card, &crossings);
    let installed = drive(download::download(request), &mut counted, &mut world.http, &mut world.user).unwrap();
    drop(card);
    let deliveries = installed.deliveries.unwrap();
    assert!(deliveries.iter().all(|delivery| delivery.is_delivered()), "{deliveries:?}");
    let crossings = crossings.into_inner();
    println!("{crossings} crossings for a download with {} notifications", deliveries.len());
    assert!(crossings <= 12, "{crossings}");
    assert_eq!(world.order_state(), "installed");

    let iccid = ProfileId::Iccid(installed.metadata.iccid);
    world.run(profiles::set_nickname(installed.metadata.iccid, "work".into())).unwrap();
    world.run(profiles::enable(iccid.clone(), false)).unwrap();
    let list = world.run(profiles::list()).unwrap();
    assert!(list[0].enabled);
    assert_eq!(list[0].nickname.as_deref(), Some("work"));
    world.run(profiles::disable(ProfileId::IsdpAid(installed.isdp_aid), true)).unwrap();
    world.run(profiles::delete(iccid.clone())).unwrap();
    let error = world.run(profiles::delete(iccid)).unwrap_err();
    assert_eq!(error.to_string(), "DeleteProfile refused by the card: there is no such profile (code 1)");

    let pending = world.run(notifications::list()).unwrap();
    let events: Vec<Event> = pending.iter().map(|notification| notification.event).collect();
    assert_eq!(events, [Event::Enable, Event::Disable, Event::Delete]);
    let deliveries = world.run(notifications::process(Which::All)).unwrap();
    assert!(deliveries.iter().all(|delivery| delivery.is_delivered()), "{deliveries:?}");
    assert!(world.run(notifications::list()).unwrap().is_empty());
    let received = world.received();
    assert!(received.is_sorted() && received.len() >= 4, "{received:?}");

    let error = world.download(&code).unwrap_err();
    let words = error.to_string();
    assert!(words.starts_with("authenticateClient refused by localhost:"), "{words}");
    assert!(words.contains("8.2.6 Matching ID / 3.8 Refused"), "{words}");
    assert!(!error.order_is_kept());
}

#[test]
fn a_server_of_another_ci_is_refused_by_tls() {
    let mut world = World::new();
    let code = world.order(None);
    let other = TestPki::generate(&world.folder.path().join("other")).unwrap();
    world.http.client = TlsClient::new(&[other.ci_certificate(Curve::P256).unwrap()]).unwrap();
    let error = world.download(&code).unwrap_err();
    assert!(matches!(error, LpaError::Http { error: HttpError::Tls(_), .. }), "{error}");
    assert!(error.to_string().contains("not from a CI that is trusted here"), "{error}");
    assert_eq!(world.order_state(), "released");
    // Both trusted: the CI of a brainpool chain is passed over.
    let all = [&other, &world.pki]
        .map(|pki| [Curve::P256, Curve::BrainpoolP256r1].map(|curve| pki.ci_certificate(curve).unwrap().to_vec()));
    world.http.client = TlsClient::new(&all.concat()).unwrap();
    world.download(&code).unwrap();
    // A server that the LPA trusts and the card does not know.
    let mut stranger = World::new();
    let code = stranger.order(None);
    world.http.client = TlsClient::new(&[stranger.pki.ci_certificate(Curve::P256).unwrap()]).unwrap();
    let error = world.download(&code).unwrap_err();
    assert!(matches!(error, LpaError::ServerRefused { .. }), "{error}");
    assert!(error.hint().unwrap().contains("same CI"), "{error}");
    stranger.http.functions.clear();
}

#[test]
fn a_certificate_for_another_host_is_refused_by_tls() {
    let mut world = World::new();
    let code = world.order(None);
    let elsewhere: ActivationCode = code.to_string().replace("localhost", "127.0.0.1").parse().unwrap();
    let error = world.download(&elsewhere).unwrap_err();
    assert!(matches!(error, LpaError::Http { error: HttpError::Tls(_), .. }), "{error}");
}

#[test]
fn a_wrong_confirmation_code_is_asked_again_and_the_right_one_installs() {
    let mut world = World::new();
    let code = world.order(Some("4711"));
    assert!(code.confirmation_code_required);
    world.user.codes = vec!["0000", "4711"];
    world.download(&code).unwrap();
    assert_eq!(world.user.consents, 1);

    // A user who has no other code is told why it did not work, and may try again.
    let mut world = World::new();
    let code = world.order(Some("4711"));
    world.user.codes = vec!["0000"];
    let error = world.download(&code).unwrap_err();
    assert!(error.to_string().contains("8.2.7 Confirmation code / 3.8"), "{error}");
    assert!(error.order_is_kept());
    world.user.codes = vec!["4711"];
    world.download(&code).unwrap();

    let mut world = World::new();
    let code = world.order(Some("4711"));
    world.user.codes = vec!["1"; 3];
    let mut error = world.download(&code).unwrap_err();
    for _ in 0..5 {
        assert!(error.to_string().contains("8.2.7 Confirmation code"), "{error}");
        if !error.order_is_kept() {
            break;
        }
        world.user.codes = vec!["1"; 3];
        error = world.download(&code).unwrap_err();
    }
    assert!(error.to_string().contains("Maximum number of retries exceeded"), "{error}");
    let error = world.download(&code).unwrap_err();
    assert!(matches!(error, LpaError::ServerRefused { .. }), "{error}");
}

#[test]
fn a_postponed_order_is_there_later_and_a_refused_one_is_not() {
    let mut world = World::new();
    let code = world.order(None);
    for consent in [Consent::Postponed, Consent::TimedOut] {
        world.user.consent = consent;
        let error = world.download(&code).unwrap_err();
        assert!(matches!(error, LpaError::Cancelled { .. }) && error.order_is_kept(), "{error}");
        assert_eq!(world.http.functions.last().unwrap(), "cancelSession");
        assert_eq!(world.order_state(), "released");
    }
    world.user.consent = Consent::Refused;
    let error = world.download(&code).unwrap_err();
    assert_eq!(error, LpaError::Cancelled { reason: CancelSessionReason::EndUserRejection });
    assert_ne!(world.order_state(), "released");
    world.user.consent = Consent::Given;
    assert!(world.download(&code).is_err());
}

#[test]
fn a_request_or_an_answer_that_is_lost_does_not_burn_the_order() {
    for step in 0..4 {
        for answer in [false, true] {
            let mut world = World::new();
            let code = world.order(None);
            match answer {
                false => world.http.lost = vec![step],
                true => world.http.unanswered = vec![step],
            }
            let installed = world.download(&code).unwrap_or_else(|error| panic!("{step} {answer}: {error}"));
            let deliveries = installed.deliveries.unwrap();
            assert!(deliveries.iter().all(|delivery| delivery.is_delivered()), "{step} {answer}: {deliveries:?}");
            assert_eq!(world.order_state(), "installed", "{step} {answer}");
            assert_eq!(world.user.consents, 1, "{step} {answer}");
        }
    }
}

#[test]
fn a_download_that_died_is_resumed_with_the_same_code() {
    for dead_from in 0..3 {
        let mut world = World::new();
        let code = world.order(None);
        world.http.dead_from = Some(dead_from);
        let error = world.download(&code).unwrap_err();
        assert!(matches!(error, LpaError::Http { .. }) && error.order_is_kept(), "{dead_from}: {error}");
        world.http.dead_from = None;
        world.download(&code).unwrap_or_else(|error| panic!("{dead_from}: {error}"));
        assert_eq!(world.order_state(), "installed");
    }
}

#[test]
fn a_package_that_never_arrived_is_bound_again_also_after_the_server_and_the_card_restarted() {
    let mut world = World::new();
    let code = world.order(None);
    world.http.unanswered = vec![2];
    world.http.dead_from = Some(3);
    let error = world.download(&code).unwrap_err();
    assert!(error.to_string().starts_with("getBoundProfilePackage: localhost:"), "{error}");
    let server = world.server.take().unwrap();
    let port = server.addr.port();
    world.runtime.block_on(server.shutdown());
    let refused = world.download(&code).unwrap_err();
    assert!(matches!(refused, LpaError::Http { .. }), "{refused}");
    world.server = Some(serve(&world.runtime, world.folder.path(), Some(port)));
    world.http.dead_from = None;
    world.http.unanswered.clear();
    world.download(&code).unwrap();
    assert_eq!(world.order_state(), "installed");
}

#[test]
fn the_same_profile_twice_says_so() {
    let mut world = World::new();
    let code = world.order(None);
    world.download(&code).unwrap();
    let code = world.order(None);
    let error = world.download(&code).unwrap_err();
    let words = error.to_string();
    assert!(words.contains("already"), "{words}");
    assert!(world.run(notifications::list()).unwrap().is_empty(), "the server was told");
}

#[test]
fn a_card_without_an_order_at_its_default_server_is_told_so() {
    let mut world = World::new();
    let error = world.run(download::download(Request::new(Order::DefaultServer))).unwrap_err();
    assert!(error.to_string().starts_with("authenticateClient refused by localhost:"), "{error}");
    let mut card = LinkCard::power_up(&mut world.link).unwrap();
    drive_card(profiles::set_default_dp_address(None), &mut card).unwrap();
    drop(card);
    let error = world.run(download::download(Request::new(Order::DefaultServer))).unwrap_err();
    assert_eq!(error, LpaError::NoDefaultServer);
}
