//! What the integration tests share: a test PKI on either curve, a personalized card over a store in memory, and an
//! SM-DP+ that goes wrong wherever a test wants it to.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use std::path::PathBuf;
use teuicc_apdu::{StatusWord, encode_command};
use teuicc_card::testing::{MemoryStore, SeededRng, ota, platform};
use teuicc_card::{Card, Rng};
use teuicc_rsp::bpp::{BppContents, segments};
use teuicc_rsp::certificate::Certificate;
use teuicc_rsp::codes::{BppCommandId, CancelSessionReason, ErrorReason};
use teuicc_rsp::crypto::{Curve, PublicKey, SecretKey, verify};
use teuicc_rsp::csr::CertificateRequest;
use teuicc_rsp::es10::*;
use teuicc_rsp::issue::{Issuer, Template, issue};
use teuicc_rsp::metadata::{NotificationEvent, PprIds};
use teuicc_rsp::object::{KeyId, Object, Octets, Raw, Received, TransactionId};
use teuicc_rsp::oid::Role;
use teuicc_rsp::scp03t::SessionKeys;
use teuicc_rsp::x509::Name;
use teuicc_rsp::{Eid, Iccid, aid, tags};
use teuicc_saip::build::{Algorithm, ProfileSpec};
use teuicc_tlv::{Reader, Tag, Tlv, Writer};
use teuicc_wire::{Chain, FactoryRequest, Interface, Personalization, Request, Response};

pub const CURVES: [Curve; 2] = [Curve::P256, Curve::BrainpoolP256r1];
pub const EID: &str = "89049032123451234512345678901235";
pub const DEFAULT_ADDRESS: &str = "default.example.com";
pub const ROOT_DS: &str = "ds.example.com";
pub const ADDRESS: &str = "smdp.example.com";
pub const ICCID: &str = "89000123456789012341";
/// 2.999.10.
pub const DP_OID: &[u8] = &[0x88, 0x37, 0x0A];
/// Every rule, for every operator, with consent.
pub const RAT: &[u8] = b"\x30\x14\x80\x02\x05\x60\xA1\x0B\x30\x09\x80\x03\xEE\xEE\xEE\x81\x00\x82\x00\x82\x01\x00";

/// A file of the published test material; `None`, and a line that says so, without it.
pub fn published(path: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return None;
    };
    let path = PathBuf::from(folder).join(path);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// A key pair and its certificate.
pub struct Owner {
    pub key: SecretKey,
    pub certificate: Vec<u8>,
}

impl Owner {
    pub fn parsed(&self) -> Certificate<'_> {
        Certificate::parse(&self.certificate).unwrap()
    }
}

/// One CI and everybody under it.
pub struct Pki {
    pub curve: Curve,
    pub ci: Owner,
    pub eum: Owner,
    pub dp_auth: Owner,
    pub dp_pb: Owner,
    pub ds_auth: Owner,
}

impl Pki {
    pub fn new(curve: Curve) -> Self {
        Self::named(curve, "Test CI", 1)
    }

    pub fn named(curve: Curve, name: &str, seed: u64) -> Self {
        let mut rng = SeededRng::new(seed.wrapping_mul(1000) + u64::from(curve == Curve::P256));
        let template = |role, common_name| Template {
            role,
            serial: &[0x10],
            subject: Name { organization: Some("Test"), common_name: Some(common_name), ..Name::default() },
            not_before: "20200101000000Z",
            not_after: "20490101000000Z",
            registered_id: Some(DP_OID),
            dns_name: None,
            iin: (role == Role::Eum).then_some("89049032"),
        };
        let ci_key = generate(curve, &mut rng);
        let ci_template = Template { registered_id: Some(&[0x88, 0x37, 0x01]), ..template(Role::Ci, name) };
        let certificate = issue(&ci_template, &ci_key.public_key().unwrap(), Issuer::SelfSigned, &ci_key).unwrap();
        let ci = Owner { key: ci_key, certificate };
        let mut under_ci = |role, name| {
            let key = generate(curve, &mut rng);
            let certificate =
                issue(&template(role, name), &key.public_key().unwrap(), Issuer::Certificate(&ci.parsed()), &ci.key);
            Owner { key, certificate: certificate.unwrap() }
        };
        Pki {
            curve,
            eum: under_ci(Role::Eum, "Test EUM"),
            dp_auth: under_ci(Role::DpAuth, "DPauth"),
            dp_pb: under_ci(Role::DpPb, "DPpb"),
            ds_auth: under_ci(Role::DsAuth, "DSauth"),
            ci,
        }
    }

    /// The published test PKI of SGP.26; `None` without it. There is no SM-DS in it.
    pub fn sgp26(curve: Curve) -> Option<Self> {
        let name = if curve == Curve::P256 { "NIST" } else { "BRP" };
        let owner = |folder: &str, of: &str| {
            let certificate = published(&format!("sgp26/{folder}/CERT_{of}_ECDSA_{name}.der"))?;
            let key = published(&format!("sgp26/{folder}/SK_{of}_ECDSA_{name}.pkcs8.der"))?;
            Some(Owner { key: teuicc_rsp::pkcs8::parse(&key).unwrap(), certificate })
        };
        Some(Pki {
            curve,
            ci: owner("CertificateIssuer", "CI")?,
            eum: owner("EUM", "EUM")?,
            dp_auth: owner("DPauth", "S_SM_DPauth")?,
            dp_pb: owner("DPpb", "S_SM_DPpb")?,
            ds_auth: owner("DPauth", "S_SM_DPauth")?,
        })
    }

    /// A certificate that the CI issues for `key`, changed by `change`.
    pub fn issue(&self, role: Role, key: SecretKey, change: impl FnOnce(&mut Template<'_>)) -> Owner {
        let mut template = Template {
            role,
            serial: &[0x20],
            subject: Name { common_name: Some("other"), ..Name::default() },
            not_before: "20200101000000Z",
            not_after: "20490101000000Z",
            registered_id: Some(DP_OID),
            dns_name: None,
            iin: None,
        };
        change(&mut template);
        let issuer = self.ci.parsed();
        let certificate =
            issue(&template, &key.public_key().unwrap(), Issuer::Certificate(&issuer), &self.ci.key).unwrap();
        Owner { key, certificate }
    }

    /// The EUM's answer to a card's request.
    pub fn euicc_certificate(&self, csr: &[u8]) -> Vec<u8> {
        let request = CertificateRequest::parse(csr).unwrap();
        let eid = std::str::from_utf8(request.serial_number.unwrap()).unwrap();
        self.euicc_certificate_for(eid, &request.public_key)
    }

    pub fn euicc_certificate_for(&self, eid: &str, key: &PublicKey) -> Vec<u8> {
        let template = Template {
            role: Role::Euicc,
            serial: &[0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0, 0x12],
            subject: Name { organization: Some("Test"), serial_number: Some(eid), ..Name::default() },
            not_before: "20200101000000Z",
            not_after: "74960101000000Z",
            registered_id: None,
            dns_name: None,
            iin: None,
        };
        issue(&template, key, Issuer::Certificate(&self.eum.parsed()), &self.eum.key).unwrap()
    }

    /// Its CI's key identifier.
    pub fn ci_key_id(&self) -> Vec<u8> {
        self.ci.parsed().subject_key_identifier.unwrap().to_vec()
    }
}

pub fn generate(curve: Curve, rng: &mut SeededRng) -> SecretKey {
    SecretKey::generate(curve, &mut |bytes| rng.fill(bytes)).unwrap()
}

pub type TestCard = Card<SeededRng, MemoryStore>;

/// Sends a request of `teuicc-wire`.
pub fn ask(card: &mut TestCard, request: &Request<'_>) -> Response {
    Response::decode(&card.process(&request.encode().unwrap())).unwrap()
}

/// Makes the card's keys, has them certified, and personalizes it, with one chain for each of `pkis`.
pub fn personalize(card: &mut TestCard, pkis: &[&Pki], test_ci: bool) {
    let eid = *Eid::from_digits(EID).unwrap().as_bytes();
    let certificates: Vec<_> = pkis
        .iter()
        .map(|pki| {
            let curve = u8::from(pki.curve == Curve::BrainpoolP256r1);
            let request = Request::FactoryRequest(FactoryRequest { eid, curve, organization: "Test" });
            match ask(card, &request) {
                Response::CertificateRequest(csr) => pki.euicc_certificate(&csr),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let chain = |index: usize| {
        let (pki, euicc) = (pkis.get(index)?, certificates.get(index)?);
        Some(Chain { test_ci, ci: &pki.ci.certificate, eum: &pki.eum.certificate, euicc, key: None })
    };
    let settings = Personalization {
        chains: [chain(0), chain(1)],
        default_dp_address: DEFAULT_ADDRESS,
        root_ds_address: ROOT_DS,
        rules_authorisation_table: RAT,
    };
    let response = ask(card, &Request::Personalize(settings));
    assert!(matches!(response, Response::Done), "{response:?}");
}

/// A card with power, and its flash.
pub struct Device {
    pub store: MemoryStore,
    pub card: TestCard,
}

impl Device {
    /// A personalized card with one chain for each of `pkis`, its LPA connected to the ISD-R.
    pub fn new(pkis: &[&Pki]) -> Self {
        let store = MemoryStore::new();
        let mut card = Card::boot(platform(store.clone(), 42));
        personalize(&mut card, pkis, false);
        Self::boot(store)
    }

    /// Whatever is on `store`, its LPA connected to the ISD-R.
    pub fn boot(store: MemoryStore) -> Self {
        let mut device = Device { card: Card::boot(platform(store.clone(), 4711)), store };
        device.connect();
        device
    }

    /// Takes the power and gives it back.
    pub fn reboot(&mut self) {
        self.store.power_on();
        *self = Self::boot(self.store.clone());
    }

    /// Powers the LPA's interface, opens channel 1 and selects the ISD-R on it.
    pub fn connect(&mut self) {
        self.card.power_up(Interface::Lpa).unwrap();
        let opened = self.card.transmit(Interface::Lpa, &[0x00, 0x70, 0x00, 0x00, 0x01]).unwrap();
        assert_eq!((opened.sw, &*opened.data), (StatusWord::OK, &[1][..]));
        let select = encode_command([0x01, 0xA4, 0x04, 0x00], &aid::ISDR, Some(256)).unwrap();
        assert_eq!(self.card.transmit(Interface::Lpa, &select).unwrap().sw, StatusWord::OK);
    }

    /// One ES10 command in blocks of `size` bytes.
    pub fn es10_in_blocks(&mut self, command: &[u8], size: usize) -> (Vec<u8>, StatusWord) {
        let count = command.chunks(size).count();
        for (number, block) in command.chunks(size).enumerate() {
            let p1 = if number + 1 == count { 0x91 } else { 0x11 };
            let apdu = encode_command([0x81, 0xE2, p1, number as u8], block, Some(256)).unwrap();
            let response = self.card.transmit(Interface::Lpa, &apdu).unwrap();
            if number + 1 == count {
                return (response.data, response.sw);
            }
            assert_eq!((response.sw, response.data.len()), (StatusWord::OK, 0));
        }
        panic!("no command");
    }

    /// One ES10 command: response data and status word.
    pub fn es10_sw(&mut self, command: &[u8]) -> (Vec<u8>, StatusWord) {
        self.es10_in_blocks(command, 120)
    }

    /// One ES10 command that ends with 9000.
    pub fn es10(&mut self, command: &[u8]) -> Vec<u8> {
        let (data, sw) = self.es10_sw(command);
        assert_eq!(sw, StatusWord::OK);
        data
    }

    /// One ES10 command and its response, both as objects, the response's bytes leaked for the test's lifetime.
    pub fn call<T: Object<'static>>(&mut self, command: &[u8]) -> T {
        let response = self.es10(command).leak();
        T::parse(response).unwrap_or_else(|error| panic!("{error}: {response:02X?}"))
    }

    pub fn profiles(&mut self) -> Vec<ProfileInfo<'static>> {
        match self.call(&empty_request(tags::PROFILE_INFO_LIST).unwrap()) {
            ProfileInfoListResponse::List(list) => list.iter().collect(),
            ProfileInfoListResponse::Error(error) => panic!("{error}"),
        }
    }

    pub fn notifications(&mut self) -> Vec<NotificationMetadata<'static>> {
        match self.call(&empty_request(tags::LIST_NOTIFICATION).unwrap()) {
            ListNotificationResponse::List(list) => list.iter().collect(),
            ListNotificationResponse::Error(error) => panic!("{error}"),
        }
    }

    /// All pending notifications, signed.
    pub fn retrieve(&mut self) -> Vec<&'static [u8]> {
        match self.call(&empty_request(tags::RETRIEVE_NOTIFICATIONS_LIST).unwrap()) {
            RetrieveNotificationsListResponse::List(list) => {
                pending_notifications(list).map(|one| one.unwrap().0).collect()
            }
            RetrieveNotificationsListResponse::Error(error) => panic!("{error}"),
        }
    }

    pub fn challenge(&mut self) -> [u8; 16] {
        let response: GetEuiccChallengeResponse = self.call(&empty_request(tags::GET_EUICC_CHALLENGE).unwrap());
        *response.challenge
    }

    pub fn enable(&mut self, iccid: &str, refresh_flag: bool) -> u32 {
        let request =
            EnableProfileRequest { profile_identifier: ProfileIdentifier::Iccid(digits(iccid)), refresh_flag };
        self.call::<EnableProfileResponse>(&request.encode().unwrap()).result.code()
    }

    pub fn disable(&mut self, iccid: &str, refresh_flag: bool) -> u32 {
        let request =
            DisableProfileRequest { profile_identifier: ProfileIdentifier::Iccid(digits(iccid)), refresh_flag };
        self.call::<DisableProfileResponse>(&request.encode().unwrap()).result.code()
    }

    pub fn delete(&mut self, iccid: &str) -> u32 {
        let request = DeleteProfileRequest(ProfileIdentifier::Iccid(digits(iccid)));
        self.call::<DeleteProfileResponse>(&request.encode().unwrap()).result.code()
    }

    /// Downloads and installs a profile. Panics unless that succeeds.
    pub fn install(&mut self, pki: &Pki, profile: &TestProfile) {
        let mut smdp = Smdp::new(pki, profile.clone());
        let result = smdp.download(self);
        let result = ProfileInstallationResult::parse(&result).unwrap();
        assert!(matches!(result.data.final_result, FinalResult::Success(_)), "{:?}", result.data.final_result);
    }
}

pub fn digits(iccid: &str) -> Iccid {
    Iccid::from_digits(iccid).unwrap()
}

/// What is to be installed.
#[derive(Clone)]
pub struct TestProfile {
    pub iccid: String,
    /// StoreMetadata, whole.
    pub metadata: Vec<u8>,
    /// The unprotected profile package.
    pub package: Vec<u8>,
}

impl TestProfile {
    /// An operational profile with Milenage that wants notifications of everything.
    pub fn new(iccid: &str) -> Self {
        Self::with(iccid, Algorithm::Milenage, |_| ())
    }

    /// Metadata members behind name and class are added by `more`; a PKI's test class has XOR keys.
    pub fn with(iccid: &str, algorithm: Algorithm, more: impl FnOnce(&mut Writer)) -> Self {
        let key: [u8; 16] = core::array::from_fn(|index| index as u8);
        // A subscriber of its own.
        let imsi = format!("00101{}", &iccid[iccid.len() - 11..iccid.len() - 1]);
        let spec = ProfileSpec {
            iccid,
            imsi: &imsi,
            mnc_len: 2,
            algorithm,
            key: &key,
            opc: &[0x22; 16],
            profile_type: "test",
            service_provider_name: "Provider",
            pin1: "0000",
            pin1_enabled: false,
            puk1: "11111111",
            pin2: "9999",
            puk2: "22222222",
            adm1: "55555555",
            msisdn: None,
            access_class: None,
            ims: None,
        };
        let package = teuicc_saip::build::build(&spec).unwrap();
        TestProfile { iccid: iccid.into(), metadata: metadata(iccid, more), package }
    }

    /// The same with keys and applications for remote management, [`ota::elements`].
    pub fn managed(mut self) -> Self {
        // Before the element that ends the package: its tag and length, and a PEHeader.
        let end = self.package.len() - 9;
        assert_eq!(self.package[end..end + 2], [0xAA, 0x07]);
        self.package.splice(end..end, ota::elements(&teuicc_saip::build::USIM_AID));
        self
    }
}

/// StoreMetadata with a notification configuration for every event.
pub fn metadata(iccid: &str, more: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    writer
        .nested::<teuicc_tlv::Error>(tags::STORE_METADATA, |writer| {
            writer.primitive(Tag(0x5A), digits(iccid).as_bytes())?;
            writer.primitive(Tag(0x91), b"Provider")?;
            writer.primitive(Tag(0x92), b"Profile")?;
            writer.nested(Tag(0xB6), |writer| {
                writer.nested(Tag::SEQUENCE, |writer| {
                    writer.bits(Tag(0x80), 0b1111)?;
                    writer.primitive(Tag(0x81), ADDRESS.as_bytes())
                })
            })?;
            more(writer);
            Ok(())
        })
        .unwrap();
    writer.into_bytes()
}

/// Adds profilePolicyRules and an owner, whom [`RAT`] covers.
pub fn rules(writer: &mut Writer, rules: PprIds) {
    writer.nested::<teuicc_tlv::Error>(Tag(0xB7), |writer| writer.primitive(Tag(0x80), &[0x00, 0xF1, 0x10])).unwrap();
    writer.bits(Tag(0x99), rules.0).unwrap();
}

/// Adds profileClass.
pub fn class(writer: &mut Writer, class: u8) {
    writer.primitive(Tag(0x95), &[class]).unwrap();
}

/// An SM-DP+ with one profile to give.
pub struct Smdp<'a> {
    pub pki: &'a Pki,
    /// With which it authenticates: CERT.DPauth, or another.
    pub auth_certificate: Vec<u8>,
    pub auth_key: &'a SecretKey,
    pub pb_certificate: Vec<u8>,
    pub pb_key: &'a SecretKey,
    pub profile: TestProfile,
    pub transaction_id: Vec<u8>,
    pub cc_required: bool,
    /// Which otPK.EUICC it is bound to already.
    pub bound_to: Option<[u8; 65]>,
    pub ci_key_id: Vec<u8>,
    pub euicc_signature1: Option<[u8; 64]>,
    pub euicc_otpk: Option<[u8; 65]>,
    pub profile_protection_keys: Option<SessionKeys>,
    rng: SeededRng,
}

pub const HOST_ID: &[u8] = &[0x80; 8];

impl<'a> Smdp<'a> {
    pub fn new(pki: &'a Pki, profile: TestProfile) -> Self {
        Smdp {
            pki,
            auth_certificate: pki.dp_auth.certificate.clone(),
            auth_key: &pki.dp_auth.key,
            pb_certificate: pki.dp_pb.certificate.clone(),
            pb_key: &pki.dp_pb.key,
            profile,
            transaction_id: vec![0xA1, 0xB2, 0xC3, 0xD4],
            cc_required: false,
            bound_to: None,
            ci_key_id: pki.ci_key_id(),
            euicc_signature1: None,
            euicc_otpk: None,
            profile_protection_keys: Some(SessionKeys::new(&[1; 16], &[2; 16], &[3; 16])),
            rng: SeededRng::new(99),
        }
    }

    /// The request of AuthenticateServer for an eUICC that gave `challenge`.
    pub fn authenticate_server(&self, challenge: &[u8; 16]) -> Vec<u8> {
        self.authenticate_server_with(challenge, |_| ())
    }

    /// The same, with the signature changed by `change`.
    pub fn authenticate_server_with(&self, challenge: &[u8; 16], change: impl FnOnce(&mut [u8; 64])) -> Vec<u8> {
        let signed = ServerSigned1 {
            transaction_id: TransactionId::new(&self.transaction_id).unwrap(),
            euicc_challenge: challenge,
            server_address: ADDRESS,
            server_challenge: &[0x77; 16],
        }
        .encode()
        .unwrap();
        let mut signature = self.auth_key.sign(&[&signed]).unwrap();
        change(&mut signature);
        let ctx_params = device();
        AuthenticateServerRequest {
            server_signed1: Received::parse(&signed).unwrap(),
            server_signature1: &signature,
            euicc_ci_pk_id_to_be_used: KeyId::new(&self.ci_key_id).unwrap(),
            server_certificate: Raw(&self.auth_certificate),
            ctx_params1: Received::parse(&ctx_params).unwrap(),
        }
        .encode()
        .unwrap()
    }

    /// AuthenticateServer, with everything the server checks of the answer.
    pub fn authenticate(&mut self, device: &mut Device) {
        let challenge = device.challenge();
        let response: AuthenticateServerResponse = device.call(&self.authenticate_server(&challenge));
        let AuthenticateServerResponse::Ok(ok) = response else { panic!("{response:?}") };
        let euicc = Certificate::parse(ok.euicc_certificate.0).unwrap();
        let eum = Certificate::parse(ok.eum_certificate.0).unwrap();
        let ci = self.pki.ci.parsed().public_key;
        let eid = teuicc_rsp::certificate::check_euicc_chain(&ci, &eum, &euicc).unwrap();
        assert_eq!(eid.to_string(), EID);
        assert!(verify(&euicc.public_key, &[ok.euicc_signed1.raw], ok.euicc_signature1));
        assert_eq!(ok.euicc_signed1.transaction_id.as_bytes(), self.transaction_id);
        assert_eq!(ok.euicc_signed1.server_address, ADDRESS);
        assert_eq!(ok.euicc_signed1.ctx_params1.raw, self::device());
        self.euicc_signature1 = Some(*ok.euicc_signature1);
    }

    /// The request of PrepareDownload.
    pub fn prepare_download(&self, hash_cc: Option<&[u8; 32]>) -> Vec<u8> {
        self.prepare_download_with(hash_cc, |_| ())
    }

    /// The same, with the signature changed by `change`.
    pub fn prepare_download_with(&self, hash_cc: Option<&[u8; 32]>, change: impl FnOnce(&mut [u8; 64])) -> Vec<u8> {
        let signed = SmdpSigned2 {
            transaction_id: TransactionId::new(&self.transaction_id).unwrap(),
            cc_required_flag: self.cc_required,
            bpp_euicc_otpk: self.bound_to.as_ref(),
        }
        .encode()
        .unwrap();
        let euicc_signature1 = self.euicc_signature1.unwrap_or([0; 64]);
        let parts = teuicc_rsp::signing::with_signature(&signed, &euicc_signature1);
        let mut signature = self.pb_key.sign(&parts).unwrap();
        change(&mut signature);
        PrepareDownloadRequest {
            smdp_signed2: Received::parse(&signed).unwrap(),
            smdp_signature2: &signature,
            hash_cc: hash_cc.map(HashCc),
            smdp_certificate: Raw(&self.pb_certificate),
        }
        .encode()
        .unwrap()
    }

    /// PrepareDownload without a confirmation code.
    pub fn prepare(&mut self, device: &mut Device) -> [u8; 65] {
        let response: PrepareDownloadResponse = device.call(&self.prepare_download(None));
        let PrepareDownloadResponse::Ok(ok) = response else { panic!("{response:?}") };
        assert_eq!(ok.euicc_signed2.transaction_id.as_bytes(), self.transaction_id);
        let otpk = *ok.euicc_signed2.euicc_otpk;
        self.euicc_otpk = Some(otpk);
        otpk
    }

    /// InitialiseSecureChannel and the session keys that go with it.
    pub fn secure_channel(&mut self) -> (Vec<u8>, SessionKeys) {
        let otsk = generate(self.pb_key.curve(), &mut self.rng);
        let euicc_otpk = self.euicc_otpk.unwrap();
        let peer = PublicKey::new(self.pb_key.curve(), &euicc_otpk).unwrap();
        let shared_secret = otsk.ecdh(&peer).unwrap();
        let isc = teuicc_rsp::bpp::initialise_secure_channel(
            TransactionId::new(&self.transaction_id).unwrap(),
            Octets::new(HOST_ID).unwrap(),
            otsk.public_key().unwrap().point(),
            &euicc_otpk,
            self.pb_key,
        )
        .unwrap();
        let eid = Eid::from_digits(EID).unwrap();
        (isc, SessionKeys::derive(&shared_secret, HOST_ID, &eid).unwrap())
    }

    /// The bound profile package.
    pub fn package(&mut self) -> Vec<u8> {
        let (isc, keys) = self.secure_channel();
        BppContents {
            initialise_secure_channel: &isc,
            configure_isdp: &[0xBF, 0x24, 0x00],
            store_metadata: &self.profile.metadata,
            profile_protection_keys: self.profile_protection_keys.as_ref(),
            profile: &self.profile.package,
        }
        .build(keys)
        .unwrap()
    }

    /// A whole download: the profile installation result.
    pub fn download(&mut self, device: &mut Device) -> Vec<u8> {
        self.authenticate(device);
        self.prepare(device);
        let package = self.package();
        load(device, &package)
    }

    /// A whole download that must fail.
    pub fn download_error(&mut self, device: &mut Device) -> (BppCommandId, ErrorReason) {
        let result = self.download(device);
        error_of(&result)
    }
}

/// ctxParams1 with a matching ID, and a member of deviceInfo from the future, which must come back as it is.
pub fn device() -> Vec<u8> {
    let mut writer = Writer::new();
    writer
        .nested::<teuicc_tlv::Error>(Tag(0xA0), |writer| {
            writer.primitive(Tag(0x80), b"ABC")?;
            writer.nested(Tag(0xA1), |writer| {
                writer.primitive(Tag(0x80), &[0x35, 0x90, 0x29, 0x04])?;
                writer.nested(Tag(0xA1), |writer| writer.primitive(Tag(0x85), &[0x0E, 0, 0]))?;
                writer.primitive(Tag(0x9E), b"future")
            })
        })
        .unwrap();
    writer.into_bytes()
}

/// Gives a package to the card in its segments: the first answer with data. Panics if none comes.
pub fn load(device: &mut Device, package: &[u8]) -> Vec<u8> {
    for segment in segments(package).unwrap() {
        let response = device.es10_in_blocks(segment, 255);
        assert_eq!(response.1, StatusWord::OK);
        if !response.0.is_empty() {
            return response.0;
        }
    }
    panic!("no answer to the last segment");
}

/// What a profile installation result says of a failure.
pub fn error_of(result: &[u8]) -> (BppCommandId, ErrorReason) {
    let result = ProfileInstallationResult::parse(result).unwrap();
    match result.data.final_result {
        FinalResult::Error(error) => (error.bpp_command_id, error.error_reason),
        FinalResult::Success(_) => panic!("installed"),
    }
}

pub fn cancel(device: &mut Device, transaction_id: &[u8]) -> CancelSessionResponse<'static> {
    let request = CancelSessionRequest {
        transaction_id: TransactionId::new(transaction_id).unwrap(),
        reason: CancelSessionReason::Postponed,
    };
    device.call(&request.encode().unwrap())
}

/// The events of notifications, for comparing.
pub fn events(notifications: &[NotificationMetadata<'_>]) -> Vec<(u32, NotificationEvent)> {
    notifications.iter().map(|one| (one.seq_number, one.profile_management_operation)).collect()
}

/// The members of a constructed object.
pub fn members(object: &[u8]) -> Vec<Tlv<'_>> {
    Reader::new(object).read().unwrap().members().map(|tlv| tlv.unwrap()).collect()
}
