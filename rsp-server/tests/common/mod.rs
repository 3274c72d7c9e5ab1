//! An eUICC as simple as the server's tests need it, an LPA around it, and a running server.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use teuicc_rsp::bpp::{BppItem, BppStream, InitialiseSecureChannel, segments, smdp_signed};
use teuicc_rsp::certificate::{Certificate, check_server_certificate};
use teuicc_rsp::codes::{BppCommandId, CancelSessionReason, ErrorReason};
use teuicc_rsp::crypto::{Curve, PublicKey, SecretKey, hash_cc, verify};
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::{NotificationEvent, PprIds, StoreMetadata};
use teuicc_rsp::object::{KeyId, List, Object, Raw, Received, Text, TransactionId, Version, concatenated};
use teuicc_rsp::oid::Role;
use teuicc_rsp::scp03t::{Scp03t, SessionKeys};
use teuicc_rsp::signing::{with_otpk, with_signature};
use teuicc_rsp::x509::Name;
use teuicc_rsp::{Eid, Iccid, csr, es9, tags};
use teuicc_rsp_server::{Metadata, NewProfile, OrderOptions, Server, ServerHandle, SmDp, SmDpConfig, TestPki};
use teuicc_tlv::Tlv;

/// 2.999.10.
pub const DP_OID: &[u8] = &[0x88, 0x37, 0x0A];

pub fn key(curve: Curve) -> SecretKey {
    SecretKey::generate(curve, &mut |bytes| getrandom::fill(bytes).unwrap()).unwrap()
}

/// An eUICC of the test EUM.
pub struct Euicc {
    pub eid: Eid,
    pub key: SecretKey,
    pub certificate: Vec<u8>,
    pub eum: Vec<u8>,
    pub ci: Vec<u8>,
    pub svn: Version,
    pub profile_version: Version,
    pub free_memory: [u8; 4],
    pub sequence: u32,
    /// The one-time key of the last attempt.
    pub otsk: Option<SecretKey>,
}

/// A session on the side of the eUICC and the LPA.
pub struct Download {
    pub transaction_id: String,
    pub ci_key_id: Vec<u8>,
    pub metadata: Vec<u8>,
    pub smdp_signed2: Vec<u8>,
    pub smdp_signature2: [u8; 64],
    pub smdp_certificate: Vec<u8>,
    pub euicc_signature1: [u8; 64],
}

/// What an eUICC has installed.
pub struct Installed {
    pub metadata: Vec<u8>,
    pub package: Vec<u8>,
}

impl Euicc {
    pub fn new(pki: &TestPki, curve: Curve) -> Self {
        let (eid, key) = (pki.assign_eid().unwrap(), key(curve));
        assert!(eid.is_checked());
        let digits = eid.to_string();
        let subject = Name { serial_number: Some(&digits), ..Name::default() };
        let certificate = pki.sign_euicc(&csr::request(&subject, &key).unwrap(), &eid).unwrap();
        Euicc {
            eid,
            key,
            certificate,
            eum: pki.eum_certificate(curve).unwrap().to_vec(),
            ci: pki.ci_certificate(curve).unwrap().to_vec(),
            svn: Version(2, 5, 0),
            profile_version: Version(2, 3, 1),
            free_memory: [0, 8, 0, 0],
            sequence: 0,
            otsk: None,
        }
    }

    fn ci_key_id(&self) -> Vec<u8> {
        Certificate::parse(&self.ci).unwrap().subject_key_identifier.unwrap().to_vec()
    }

    pub fn info1(&self) -> Vec<u8> {
        let id = self.ci_key_id();
        let ids = concatenated([KeyId::new(&id).unwrap()]).unwrap();
        let ids = List::new(&ids).unwrap();
        let info = EuiccInfo1 { svn: self.svn, ci_pk_ids_for_verification: ids, ci_pk_ids_for_signing: ids };
        info.encode().unwrap()
    }

    fn info2(&self) -> Vec<u8> {
        let id = self.ci_key_id();
        let ids = concatenated([KeyId::new(&id).unwrap()]).unwrap();
        let ids = List::new(&ids).unwrap();
        let [a, b, c, d] = self.free_memory;
        let resource = [0x81, 1, 0, 0x82, 4, a, b, c, d, 0x83, 2, 0x10, 0];
        let info = EuiccInfo2 {
            profile_version: self.profile_version,
            svn: self.svn,
            euicc_firmware_ver: Version(1, 0, 0),
            ext_card_resource: &resource,
            uicc_capability: UiccCapability::USIM,
            ts102241_version: None,
            globalplatform_version: None,
            rsp_capability: RspCapability::ADDITIONAL_PROFILE,
            ci_pk_ids_for_verification: ids,
            ci_pk_ids_for_signing: ids,
            euicc_category: None,
            forbidden_profile_policy_rules: Some(PprIds::default()),
            pp_version: Version(1, 0, 0),
            sas_accreditation_number: Text::new("TEST").unwrap(),
            certification_data_object: None,
        };
        info.encode().unwrap()
    }

    /// ES10b.AuthenticateServer: checks the server as an eUICC does.
    pub fn authenticate_server(&self, response: &Value, challenge: &[u8; 16], matching_id: Option<&str>) -> Vec<u8> {
        let (signed1, certificate) = (bytes(response, "serverSigned1"), bytes(response, "serverCertificate"));
        let ci = Certificate::parse(&self.ci).unwrap();
        let certificate = Certificate::parse(&certificate).unwrap();
        check_server_certificate(&certificate, Role::DpAuth, &ci.public_key).unwrap();
        assert!(verify(&certificate.public_key, &[&signed1], &signature(response, "serverSignature1")));
        let signed1 = ServerSigned1::parse(&signed1).unwrap();
        assert_eq!(signed1.euicc_challenge, challenge);
        assert_eq!(bytes(response, "euiccCiPKIdToBeUsed")[2..], self.ci_key_id());

        let info2 = self.info2();
        let device = b"\xA1\x08\x80\x04\x35\x29\x06\x11\xA1\x00";
        let context = CtxParams1 { matching_id, device_info: Received::parse(device).unwrap() }.encode().unwrap();
        let signed = EuiccSigned1 {
            transaction_id: signed1.transaction_id,
            server_address: signed1.server_address,
            server_challenge: signed1.server_challenge,
            euicc_info2: Received::parse(&info2).unwrap(),
            ctx_params1: Received::parse(&context).unwrap(),
        };
        let signed = signed.encode().unwrap();
        let signature = self.key.sign(&[&signed]).unwrap();
        let ok = AuthenticateResponseOk {
            euicc_signed1: Received::parse(&signed).unwrap(),
            euicc_signature1: &signature,
            euicc_certificate: Raw(&self.certificate),
            eum_certificate: Raw(&self.eum),
        };
        AuthenticateServerResponse::Ok(ok).encode().unwrap()
    }

    /// ES10b.PrepareDownload. With the one-time key of the last attempt, if the server offers it.
    pub fn prepare_download(&mut self, download: &Download, confirmation_code: Option<&str>) -> Vec<u8> {
        let ci = Certificate::parse(&self.ci).unwrap();
        let certificate = Certificate::parse(&download.smdp_certificate).unwrap();
        check_server_certificate(&certificate, Role::DpPb, &ci.public_key).unwrap();
        let parts = with_signature(&download.smdp_signed2, &download.euicc_signature1);
        assert!(verify(&certificate.public_key, &parts, &download.smdp_signature2));
        let offered = SmdpSigned2::parse(&download.smdp_signed2).unwrap();
        let held = self.otsk.take().filter(|otsk| offered.bpp_euicc_otpk == Some(otsk.public_key().unwrap().point()));
        let otsk = held.unwrap_or_else(|| key(self.key.curve()));
        let (otpk, transaction_id) = (otsk.public_key().unwrap(), hex::decode(&download.transaction_id).unwrap());
        let hash = confirmation_code.map(|code| hash_cc(code, &transaction_id));
        let signed = EuiccSigned2 {
            transaction_id: TransactionId::new(&transaction_id).unwrap(),
            euicc_otpk: otpk.point(),
            hash_cc: hash.as_ref().map(HashCc),
        };
        let signed = signed.encode().unwrap();
        self.otsk = Some(otsk);
        let signature = self.key.sign(&with_signature(&signed, &download.smdp_signature2)).unwrap();
        let ok = PrepareDownloadResponseOk {
            euicc_signed2: Received::parse(&signed).unwrap(),
            euicc_signature2: &signature,
        };
        PrepareDownloadResponse::Ok(ok).encode().unwrap()
    }

    /// ES10b.LoadBoundProfilePackage, segment by segment.
    pub fn load(&self, download: &Download, bpp: &[u8]) -> Installed {
        let certificate = Certificate::parse(&download.smdp_certificate).unwrap();
        let (otsk, mut stream) = (self.otsk.as_ref().unwrap(), BppStream::new());
        let otpk = *otsk.public_key().unwrap().point();
        let (mut channel, mut metadata, mut package, mut replaced) = (None, Vec::new(), Vec::new(), false);
        let plain = |channel: &mut Option<Scp03t>, object: &Tlv<'_>| {
            assert!(object.raw.len() <= 1020);
            channel.as_mut().unwrap().unprotect(object).unwrap()
        };
        for mut segment in segments(bpp).unwrap() {
            while let Some(item) = stream.next(&mut segment).unwrap() {
                match item {
                    BppItem::InitialiseSecureChannel(tlv) => {
                        let isc = InitialiseSecureChannel::from_tlv(&tlv).unwrap();
                        let parts = with_otpk(smdp_signed(tlv.raw).unwrap(), &otpk);
                        assert!(verify(&certificate.public_key, &parts, isc.smdp_sign));
                        assert!(isc.control_ref_template.is_supported());
                        let peer = PublicKey::new(self.key.curve(), isc.smdp_otpk).unwrap();
                        let host = isc.control_ref_template.host_id.as_bytes();
                        let keys = SessionKeys::derive(&otsk.ecdh(&peer).unwrap(), host, &self.eid).unwrap();
                        channel = Some(Scp03t::new(keys));
                    }
                    BppItem::ConfigureIsdp(object) => assert_eq!(plain(&mut channel, &object)[..2], [0xBF, 0x24]),
                    BppItem::Metadata { object, .. } => metadata.extend_from_slice(&plain(&mut channel, &object)),
                    BppItem::ReplaceSessionKeys(object) => {
                        let keys = SessionKeys::from_replace_session_keys(&plain(&mut channel, &object)).unwrap();
                        channel.as_mut().unwrap().replace_keys(keys);
                        replaced = true;
                    }
                    BppItem::Element { object, .. } => package.extend_from_slice(&plain(&mut channel, &object)),
                }
            }
        }
        assert!(stream.is_complete() && replaced);
        Installed { metadata, package }
    }

    /// A ProfileInstallationResult; `error` makes it one of failure.
    pub fn installation_result(&mut self, download: &Download, error: Option<ErrorReason>) -> Vec<u8> {
        let transaction_id = hex::decode(&download.transaction_id).unwrap();
        let metadata = StoreMetadata::parse(&download.metadata).unwrap();
        let configuration = metadata.notification_configuration.unwrap().iter().next().unwrap();
        let final_result = match error {
            None => FinalResult::Success(SuccessResult {
                aid: teuicc_rsp::object::Aid::new(&[0xA0; 16]).unwrap(),
                simpl_response: &[0x30, 0],
            }),
            Some(error_reason) => FinalResult::Error(ErrorResult {
                bpp_command_id: BppCommandId::LoadProfileElements,
                error_reason,
                simpl_response: None,
            }),
        };
        let data = ProfileInstallationResultData {
            transaction_id: TransactionId::new(&transaction_id).unwrap(),
            notification_metadata: NotificationMetadata {
                seq_number: self.next_sequence(),
                profile_management_operation: NotificationEvent::INSTALL,
                notification_address: configuration.address,
                iccid: Some(metadata.iccid),
            },
            smdp_oid: DP_OID,
            final_result,
        };
        let data = data.encode().unwrap();
        let signature = self.key.sign(&[&data]).unwrap();
        let result = ProfileInstallationResult { data: Received::parse(&data).unwrap(), euicc_sign_pir: &signature };
        result.encode().unwrap()
    }

    /// A notification of another event.
    pub fn notification(&mut self, event: NotificationEvent, iccid: Iccid) -> Vec<u8> {
        let metadata = NotificationMetadata {
            seq_number: self.next_sequence(),
            profile_management_operation: event,
            notification_address: "localhost",
            iccid: Some(iccid),
        };
        let metadata = metadata.encode().unwrap();
        let signature = self.key.sign(&[&metadata]).unwrap();
        let notification = OtherSignedNotification {
            tbs_other_notification: Received::parse(&metadata).unwrap(),
            euicc_notification_signature: &signature,
            euicc_certificate: Raw(&self.certificate),
            eum_certificate: Raw(&self.eum),
        };
        notification.encode().unwrap()
    }

    /// ES10b.CancelSession.
    pub fn cancel(&self, transaction_id: &str, oid: &[u8], reason: CancelSessionReason) -> Vec<u8> {
        let transaction_id = hex::decode(transaction_id).unwrap();
        let signed = EuiccCancelSessionSigned {
            transaction_id: TransactionId::new(&transaction_id).unwrap(),
            smdp_oid: oid,
            reason,
        };
        let signed = signed.encode().unwrap();
        let signature = self.key.sign(&[&signed]).unwrap();
        let ok = CancelSessionResponseOk {
            euicc_cancel_session_signed: Received::parse(&signed).unwrap(),
            euicc_cancel_session_signature: &signature,
        };
        CancelSessionResponse::Ok(ok).encode().unwrap()
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }
}

/// Subject and reason code of a refusal.
pub type Codes = (String, String);

/// A PKI, a server on it with one profile, and an HTTPS client that trusts the CI alone.
pub struct World {
    pub folder: tempfile::TempDir,
    pub pki: TestPki,
    pub server: ServerHandle,
    pub agent: ureq::Agent,
    pub iccid: Iccid,
    pub profile: NewProfile,
}

pub fn example() -> NewProfile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/profile.toml");
    NewProfile::from_file(&path, Metadata::default()).unwrap()
}

pub async fn serve(folder: &Path) -> ServerHandle {
    let config = SmDpConfig { folder: folder.join("smdp"), pki: folder.join("pki"), address: None };
    let smdp = Arc::new(SmDp::open(&config).await.unwrap());
    Server::start(smdp, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

pub fn agent(ci: &[u8]) -> ureq::Agent {
    let roots = ureq::tls::Certificate::from_der(ci).to_owned();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::Specific(Arc::new(vec![roots])))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build().new_agent()
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = TestPki::generate(&folder.path().join("pki")).unwrap();
        let server = serve(folder.path()).await;
        let profile = example();
        let iccid = server.smdp.add_profile(&profile).await.unwrap();
        let agent = agent(pki.ci_certificate(Curve::P256).unwrap());
        World { folder, pki, server, agent, iccid, profile }
    }

    pub fn euicc(&self) -> Euicc {
        Euicc::new(&self.pki, Curve::P256)
    }

    /// Ends the server and starts another on the same folder.
    pub async fn restart(mut self) -> Self {
        self.server.shutdown().await;
        self.server = serve(self.folder.path()).await;
        self
    }

    /// Orders the profile and gives the matching ID.
    pub async fn order(&self, eid: Option<Eid>, confirmation_code: Option<&str>) -> String {
        let confirmation_code = confirmation_code.map(ToOwned::to_owned);
        let options = OrderOptions { iccid: Some(self.iccid), eid, confirmation_code, ..OrderOptions::default() };
        self.server.smdp.order(&options).await.unwrap().matching_id
    }

    pub async fn order_state(&self) -> &'static str {
        self.server.smdp.orders().await.unwrap().last().unwrap().state.as_str()
    }

    pub async fn profile_state(&self) -> &'static str {
        self.server.smdp.profiles().await.unwrap()[0].euicc_state.as_str()
    }

    /// Posts bytes; gives status and body.
    pub async fn post_raw(&self, path: &str, body: Vec<u8>) -> (u16, String) {
        self.try_post(path, body).await.unwrap()
    }

    /// As [`World::post_raw`], for a body that the server need not read to its end.
    pub async fn try_post(&self, path: &str, body: Vec<u8>) -> Result<(u16, String), ureq::Error> {
        let (agent, url) = (self.agent.clone(), format!("https://{}{path}", self.server.address));
        let request = move || {
            let request = agent
                .post(&url)
                .header("User-Agent", es9::USER_AGENT)
                .header("X-Admin-Protocol", es9::ADMIN_PROTOCOL)
                .content_type(es9::CONTENT_TYPE);
            let mut response = request.send(&body)?;
            assert_eq!(response.headers()["x-admin-protocol"], es9::ADMIN_PROTOCOL);
            if response.status() == 200 {
                assert_eq!(response.headers()["content-type"], es9::CONTENT_TYPE);
            }
            Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
        };
        tokio::task::spawn_blocking(request).await.unwrap()
    }

    /// Calls a function of ES9+: its response, or the codes of its refusal.
    pub async fn call(&self, path: &str, request: Value) -> Result<Value, Codes> {
        let (status, body) = self.post_raw(path, request.to_string().into_bytes()).await;
        assert_eq!(status, 200, "{body}");
        let response: Value = serde_json::from_str(&body).unwrap();
        let execution = &response["header"]["functionExecutionStatus"];
        if execution["status"] == es9::EXECUTED_SUCCESS {
            return Ok(response);
        }
        assert_eq!(execution["status"], es9::FAILED);
        let data = &execution["statusCodeData"];
        Err((data["subjectCode"].as_str().unwrap().into(), data["reasonCode"].as_str().unwrap().into()))
    }

    pub async fn initiate(&self, euicc: &Euicc, challenge: &[u8; 16]) -> Result<Value, Codes> {
        let request = json!({
            "euiccChallenge": STANDARD.encode(challenge),
            "euiccInfo1": STANDARD.encode(euicc.info1()),
            "smdpAddress": self.server.address.to_uppercase(),
        });
        self.call(es9::INITIATE_AUTHENTICATION, request).await
    }

    /// The common mutual authentication, up to the offer.
    pub async fn authenticate(&self, euicc: &Euicc, matching_id: Option<&str>) -> Result<Download, Codes> {
        self.authenticate_with(euicc, matching_id, |response| response).await
    }

    /// As [`World::authenticate`], with the eUICC's response changed on the way.
    pub async fn authenticate_with(
        &self,
        euicc: &Euicc,
        matching_id: Option<&str>,
        change: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Result<Download, Codes> {
        let challenge = [0x5A; 16];
        let initiated = self.initiate(euicc, &challenge).await?;
        let transaction_id = initiated["transactionId"].as_str().unwrap().to_owned();
        let response = change(euicc.authenticate_server(&initiated, &challenge, matching_id));
        // Any case of the hexadecimal digits must do.
        let request = json!({
            "transactionId": transaction_id.to_lowercase(),
            "authenticateServerResponse": STANDARD.encode(&response),
        });
        let offer = self.call(es9::AUTHENTICATE_CLIENT, request).await?;
        let AuthenticateServerResponse::Ok(ok) = AuthenticateServerResponse::parse(&response).unwrap() else {
            unreachable!()
        };
        Ok(Download {
            transaction_id,
            ci_key_id: bytes(&initiated, "euiccCiPKIdToBeUsed"),
            metadata: bytes(&offer, "profileMetadata"),
            smdp_signed2: bytes(&offer, "smdpSigned2"),
            smdp_signature2: signature(&offer, "smdpSignature2"),
            smdp_certificate: bytes(&offer, "smdpCertificate"),
            euicc_signature1: *ok.euicc_signature1,
        })
    }

    /// GetBoundProfilePackage: the package.
    pub async fn package(&self, download: &Download, prepared: &[u8]) -> Result<Vec<u8>, Codes> {
        let request = json!({
            "transactionId": download.transaction_id,
            "prepareDownloadResponse": STANDARD.encode(prepared),
        });
        Ok(bytes(&self.call(es9::GET_BOUND_PROFILE_PACKAGE, request).await?, "boundProfilePackage"))
    }

    /// A whole download, without the installation result.
    pub async fn download(
        &self,
        euicc: &mut Euicc,
        matching_id: Option<&str>,
        confirmation_code: Option<&str>,
    ) -> Result<(Download, Installed), Codes> {
        let download = self.authenticate(euicc, matching_id).await?;
        let prepared = euicc.prepare_download(&download, confirmation_code);
        let package = self.package(&download, &prepared).await?;
        let installed = euicc.load(&download, &package);
        assert_eq!(installed.metadata, download.metadata);
        assert_eq!(installed.package, *self.profile.package);
        Ok((download, installed))
    }

    pub async fn cancel(&self, transaction_id: &str, response: &[u8]) -> Result<Value, Codes> {
        let response = STANDARD.encode(response);
        self.call(es9::CANCEL_SESSION, json!({"transactionId": transaction_id, "cancelSessionResponse": response}))
            .await
    }

    /// Sends a notification, which is always answered 204.
    pub async fn notify(&self, notification: &[u8]) {
        let body = json!({"pendingNotification": STANDARD.encode(notification)}).to_string();
        assert_eq!(self.post_raw(es9::HANDLE_NOTIFICATION, body.into()).await, (204, String::new()));
    }
}

pub fn codes(code: es9::StatusCode) -> Codes {
    (code.subject.into(), code.reason.into())
}

pub fn bytes(response: &Value, member: &str) -> Vec<u8> {
    STANDARD.decode(response[member].as_str().unwrap_or_else(|| panic!("{member} is missing"))).unwrap()
}

fn signature(response: &Value, member: &str) -> [u8; 64] {
    *Tlv::parse(&bytes(response, member), tags::SIGNATURE).unwrap().array().unwrap()
}
