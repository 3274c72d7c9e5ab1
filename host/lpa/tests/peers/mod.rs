//! A card and a server that say what SGP.22 says, without any cryptography, and whatever a test makes them say.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::collections::HashMap;
use teuicc_apdu::{Command, Response, StatusWord, ins};
use teuicc_lpa::download::ProfileMetadata;
use teuicc_lpa::drive::{Card, HttpClient, User};
use teuicc_lpa::{CardFault, ConfirmationCode, Consent, HttpError, HttpRequest, HttpResponse, Progress};
use teuicc_rsp::codes::{BppCommandId, ErrorReason, NotificationSentResult};
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::{NotificationEvent, OperatorId, PprIds, ProfileName, ServiceProviderName, StoreMetadata};
use teuicc_rsp::object::{KeyId, List, Object, Octets, Received, concatenated};
use teuicc_rsp::{Iccid, tags};
use teuicc_tlv::{Reader, Tag, Tlv, Writer, leading_length};
use teuicc_wire::Transmitted;

pub const HOST: &str = "smdp.example.com";
pub const CHALLENGE: [u8; 16] = [0xC5; 16];
pub const TRANSACTION: [u8; 16] = [0x0A; 16];
pub const ICCID: &str = "89000123456789012341";
const SIGNATURE: [u8; 64] = [0x51; 64];

pub fn tlv(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.primitive(Tag(tag), value).unwrap();
    writer.into_bytes()
}

pub fn metadata(rules: Option<PprIds>) -> Vec<u8> {
    StoreMetadata {
        iccid: Iccid::from_digits(ICCID).unwrap(),
        service_provider_name: ServiceProviderName::new("Operator").unwrap(),
        profile_name: ProfileName::new("Test").unwrap(),
        icon_type: None,
        icon: None,
        profile_class: None,
        notification_configuration: None,
        profile_owner: rules.map(|_| OperatorId { mcc_mnc: &[0x00, 0xF1, 0x10], gid1: None, gid2: None }),
        profile_policy_rules: rules,
        service_specific_data: None,
    }
    .encode()
    .unwrap()
}

/// A package of the right shape: its metadata is readable, the rest is filler. `elements` segments of 1020 bytes.
pub fn package(metadata: &[u8], elements: usize) -> Vec<u8> {
    let isc = tlv(0xBF23, &[0x55; 170]);
    let first = tlv(0xA0, &tlv(0x87, &[0x66; 24]));
    let metadata = tlv(0xA1, &tlv(0x88, &[metadata, &[0x77; 8]].concat()));
    let elements: Vec<u8> = (0..elements).flat_map(|_| tlv(0x86, &[0x99; 1016])).collect();
    tlv(0xBF36, &[isc, first, metadata, tlv(0xA3, &elements)].concat())
}

/// A notification that the card keeps.
#[derive(Clone)]
pub struct Kept {
    pub number: u32,
    pub recipient: String,
    pub event: NotificationEvent,
    pub encoded: Vec<u8>,
}

impl Kept {
    pub fn new(number: u32, recipient: &str, event: NotificationEvent) -> Self {
        let tbs = notification_metadata(number, recipient, event).encode().unwrap();
        let signed = [tbs, tlv(0x5F37, &SIGNATURE), tlv(0x30, &[]), tlv(0x30, &[])].concat();
        Kept { number, recipient: recipient.into(), event, encoded: tlv(0x30, &signed) }
    }
}

fn notification_metadata(number: u32, recipient: &str, event: NotificationEvent) -> NotificationMetadata<'_> {
    NotificationMetadata {
        seq_number: number,
        profile_management_operation: event,
        notification_address: recipient,
        iccid: Iccid::from_digits(ICCID),
    }
}

/// A card whose ISD-R answers by script.
pub struct FakeCard {
    /// Functions called, by the tag of their request.
    pub calls: Vec<u32>,
    /// What was sent with each call.
    pub requests: Vec<Vec<u8>>,
    /// Batches so far.
    pub crossings: usize,
    /// Which batch, counted from 0, does not reach the card.
    pub fail_at: Option<usize>,
    /// Answers that are not the usual ones: for the request tag, data and status word.
    pub answers: HashMap<u32, (Vec<u8>, u16)>,
    /// Raw responses to whole batches, which replace everything.
    pub raw: HashMap<usize, Transmitted>,
    pub notifications: Vec<Kept>,
    pub recipient: String,
    pub default_dp: Option<String>,
    pub install_error: Option<ErrorReason>,
    pub open_channels: i32,
    pub package: Vec<u8>,
    pub buffer: Vec<u8>,
    pub next_number: u32,
}

impl Default for FakeCard {
    fn default() -> Self {
        FakeCard {
            calls: vec![],
            requests: vec![],
            crossings: 0,
            fail_at: None,
            answers: HashMap::new(),
            raw: HashMap::new(),
            notifications: vec![],
            recipient: HOST.into(),
            default_dp: None,
            install_error: None,
            open_channels: 0,
            package: vec![],
            buffer: vec![],
            next_number: 40,
        }
    }
}

impl FakeCard {
    pub fn called(&self, tag: Tag) -> usize {
        self.calls.iter().filter(|call| **call == tag.0).count()
    }

    pub fn request(&self, tag: Tag) -> &[u8] {
        let index = self.calls.iter().position(|call| *call == tag.0).expect("it was never called");
        &self.requests[index]
    }

    fn execute(&mut self, command: &[u8]) -> Response {
        let command = Command::parse(command).unwrap();
        let channel = command.class().unwrap().channel;
        match command.ins {
            ins::MANAGE_CHANNEL if command.p1 == 0 => {
                self.open_channels += 1;
                Response::data(vec![0x01])
            }
            ins::MANAGE_CHANNEL => {
                assert_eq!((command.p1, command.p2), (0x80, 1));
                self.open_channels -= 1;
                Response::status(StatusWord::OK)
            }
            ins::SELECT => {
                assert_eq!((channel, command.data), (1, &teuicc_rsp::aid::ISDR[..]));
                Response::data(tlv(0x6F, &tlv(0x84, command.data)))
            }
            ins::STORE_DATA => {
                assert_eq!(channel, 1);
                if command.p2 == 0 {
                    self.buffer.clear();
                }
                self.buffer.extend_from_slice(command.data);
                if command.p1 == 0x11 {
                    return Response::status(StatusWord::OK);
                }
                assert_eq!(command.p1, 0x91);
                let request = std::mem::take(&mut self.buffer);
                self.store_data(request)
            }
            other => panic!("INS {other:02X}"),
        }
    }

    fn store_data(&mut self, request: Vec<u8>) -> Response {
        let (tag, ..) = leading_length(&request).unwrap().unwrap();
        self.calls.push(tag.0);
        self.requests.push(request.clone());
        if let Some((data, status)) = self.answers.get(&tag.0) {
            return Response { data: data.clone(), sw: StatusWord(*status) };
        }
        match self.function(tag, &request) {
            data if data.is_empty() => Response::status(StatusWord::OK),
            data => Response::data(data),
        }
    }

    fn function(&mut self, tag: Tag, request: &[u8]) -> Vec<u8> {
        match tag {
            tags::GET_EUICC_INFO1 => tlv(0xBF20, &[tlv(0x82, &[2, 5, 0]), tlv(0xA9, &[]), tlv(0xAA, &[])].concat()),
            tags::GET_EUICC_CHALLENGE => tlv(0xBF2E, &tlv(0x80, &CHALLENGE)),
            tags::AUTHENTICATE_SERVER => {
                AuthenticateServerRequest::parse(request).unwrap();
                tlv(0xBF38, &tlv(0xA0, &tlv(0x30, &[])))
            }
            tags::PREPARE_DOWNLOAD => {
                PrepareDownloadRequest::parse(request).unwrap();
                tlv(0xBF21, &tlv(0xA0, &tlv(0x30, &[])))
            }
            tags::CANCEL_SESSION => {
                CancelSessionRequest::parse(request).unwrap();
                tlv(0xBF41, &tlv(0xA0, &tlv(0x30, &[])))
            }
            tags::EUICC_CONFIGURED_ADDRESSES => EuiccConfiguredAddresses {
                default_dp_address: self.default_dp.as_deref(),
                root_ds_address: "ds.example.com",
            }
            .encode()
            .unwrap(),
            tags::GET_RAT => tlv(0xBF43, &tlv(0xA0, &[])),
            tags::LIST_NOTIFICATION => {
                let list: Vec<_> =
                    self.notifications.iter().map(|n| notification_metadata(n.number, &n.recipient, n.event)).collect();
                let list = concatenated(list).unwrap();
                ListNotificationResponse::List(List::new(&list).unwrap()).encode().unwrap()
            }
            tags::RETRIEVE_NOTIFICATIONS_LIST => {
                let criteria = RetrieveNotificationsListRequest::parse(request).unwrap().search_criteria;
                let Some(NotificationSearchCriteria::SeqNumber(number)) = criteria else { panic!("{criteria:?}") };
                let kept = self.notifications.iter().find(|n| n.number == number).unwrap();
                tlv(0xBF2B, &tlv(0xA0, &kept.encoded))
            }
            tags::NOTIFICATION_SENT => {
                let number = NotificationSentRequest::parse(request).unwrap().seq_number;
                let before = self.notifications.len();
                self.notifications.retain(|n| n.number != number);
                let removed = self.notifications.len() < before;
                let result = if removed { NotificationSentResult::Ok } else { NotificationSentResult::NothingToDelete };
                NotificationSentResponse { result }.encode().unwrap()
            }
            tags::BOUND_PROFILE_PACKAGE | tags::SCP03T_COMMAND | tags::SCP03T_MAC_ONLY | tags::SCP03T_ELEMENT => {
                self.segment(request)
            }
            tags::FIRST_SEQUENCE_OF_87 | tags::SEQUENCE_OF_88 | tags::SECOND_SEQUENCE_OF_87 | tags::SEQUENCE_OF_86 => {
                self.segment(request)
            }
            tags::GET_EID => tlv(0xBF3E, &tlv(0x5A, &[0x89; 16])),
            tags::PROFILE_INFO_LIST => tlv(0xBF2D, &tlv(0xA0, &[])),
            tags::ENABLE_PROFILE
            | tags::DISABLE_PROFILE
            | tags::DELETE_PROFILE
            | tags::SET_NICKNAME
            | tags::EUICC_MEMORY_RESET
            | tags::SET_DEFAULT_DP_ADDRESS => tlv(tag.0, &tlv(0x80, &[0])),
            other => panic!("function {other}"),
        }
    }

    fn segment(&mut self, segment: &[u8]) -> Vec<u8> {
        self.package.extend_from_slice(segment);
        let (_, header, length) = leading_length(&self.package).unwrap().unwrap();
        if self.package.len() < header + length {
            return Vec::new();
        }
        let number = self.next_number;
        self.next_number += 1;
        let final_result = match self.install_error {
            None => FinalResult::Success(SuccessResult {
                aid: Octets::new(&[0xA0, 0, 0, 5, 0x59, 0x10]).unwrap(),
                simpl_response: &[0x30, 0x00],
            }),
            Some(error_reason) => FinalResult::Error(ErrorResult {
                bpp_command_id: BppCommandId::LoadProfileElements,
                error_reason,
                simpl_response: None,
            }),
        };
        let data = ProfileInstallationResultData {
            transaction_id: Octets::new(&TRANSACTION).unwrap(),
            notification_metadata: notification_metadata(number, &self.recipient, NotificationEvent::INSTALL),
            smdp_oid: &[0x88, 0x37, 0x0A],
            final_result,
        };
        let raw = data.encode().unwrap();
        let result =
            ProfileInstallationResult { data: Received { raw: &raw, object: data }, euicc_sign_pir: &SIGNATURE }
                .encode()
                .unwrap();
        let (recipient, event) = (self.recipient.clone(), NotificationEvent::INSTALL);
        self.notifications.push(Kept { number, recipient, event, encoded: result.clone() });
        result
    }
}

impl Card for FakeCard {
    fn transmit(&mut self, commands: Vec<Vec<u8>>) -> Result<Transmitted, CardFault> {
        let crossing = self.crossings;
        self.crossings += 1;
        let size: usize = commands.iter().map(|command| command.len() + 2).sum();
        assert!(size + 7 < teuicc_wire::MAX_MESSAGE, "{size}");
        if self.fail_at == Some(crossing) {
            return Err(CardFault("unplugged".into()));
        }
        if let Some(raw) = self.raw.remove(&crossing) {
            return Ok(raw);
        }
        let mut executed = 0;
        for command in &commands {
            let response = self.execute(command);
            executed += 1;
            let stop = !response.data.is_empty() || response.sw != StatusWord::OK;
            if stop || usize::from(executed) == commands.len() {
                let last = response.into_bytes().unwrap();
                return Ok(Transmitted { executed, last, proactive_pending: false, card_changed: false });
            }
        }
        panic!("an empty batch");
    }
}

/// A server that answers by script.
pub struct FakeServer {
    /// Functions called, and on which host.
    pub calls: Vec<(String, String)>,
    /// Bodies of the calls.
    pub requests: Vec<Value>,
    /// Which call, counted from 0, does not come through, and whether the server saw it.
    pub fail_at: Option<usize>,
    /// From which call on nothing comes through.
    pub dead_from: Option<usize>,
    /// Answers that are not the usual ones, used up in order.
    pub answers: HashMap<&'static str, Vec<Result<HttpResponse, HttpError>>>,
    /// Fields that replace the usual ones, or with null remove them: function, field, value.
    pub fields: Vec<(&'static str, &'static str, Value)>,
    /// Hosts that refuse notifications.
    pub down: Vec<&'static str>,
    pub code_required: bool,
    pub metadata: Vec<u8>,
    pub package: Vec<u8>,
    pub certificate: Vec<u8>,
    pub name: String,
}

impl Default for FakeServer {
    fn default() -> Self {
        FakeServer {
            calls: vec![],
            requests: vec![],
            fail_at: None,
            dead_from: None,
            answers: HashMap::new(),
            fields: vec![],
            down: vec![],
            code_required: false,
            metadata: metadata(None),
            package: package(&metadata(None), 13),
            certificate: tlv(0x30, &[]),
            name: HOST.into(),
        }
    }
}

pub fn ok(body: Value) -> Result<HttpResponse, HttpError> {
    Ok(HttpResponse { status: 200, body: body.to_string().into_bytes() })
}

pub fn failed(subject: &str, reason: &str) -> Result<HttpResponse, HttpError> {
    let data = json!({ "subjectCode": subject, "reasonCode": reason, "message": "no" });
    ok(json!({ "header": { "functionExecutionStatus": { "status": "Failed", "statusCodeData": data } } }))
}

impl FakeServer {
    pub fn functions(&self) -> Vec<&str> {
        self.calls.iter().map(|(_, function)| function.as_str()).collect()
    }

    pub fn request(&self, function: &str) -> &Value {
        let index = self.calls.iter().position(|(_, call)| call == function).expect("it was never called");
        &self.requests[index]
    }

    fn answer(&self, function: &str, request: &Value) -> Value {
        let b64 = |bytes: &[u8]| BASE64.encode(bytes);
        let transaction = hex::encode_upper(TRANSACTION);
        if function != "initiateAuthentication" && function != "handleNotification" {
            assert_eq!(request["transactionId"], transaction);
        }
        match function {
            "initiateAuthentication" => {
                let challenge: [u8; 16] =
                    BASE64.decode(request["euiccChallenge"].as_str().unwrap()).unwrap().try_into().unwrap();
                let signed1 = ServerSigned1 {
                    transaction_id: Octets::new(&TRANSACTION).unwrap(),
                    euicc_challenge: &challenge,
                    server_address: &self.name,
                    server_challenge: &[0xD1; 16],
                };
                json!({
                    "transactionId": transaction,
                    "serverSigned1": b64(&signed1.encode().unwrap()),
                    "serverSignature1": b64(&tlv(0x5F37, &SIGNATURE)),
                    "euiccCiPKIdToBeUsed": b64(&KeyId::new(&[0xF5; 20]).unwrap().encode().unwrap()),
                    "serverCertificate": b64(&self.certificate),
                })
            }
            "authenticateClient" => {
                let signed2 = SmdpSigned2 {
                    transaction_id: Octets::new(&TRANSACTION).unwrap(),
                    cc_required_flag: self.code_required,
                    bpp_euicc_otpk: None,
                };
                json!({
                    "transactionId": transaction,
                    "profileMetadata": b64(&self.metadata),
                    "smdpSigned2": b64(&signed2.encode().unwrap()),
                    "smdpSignature2": b64(&tlv(0x5F37, &SIGNATURE)),
                    "smdpCertificate": b64(&tlv(0x30, &[])),
                })
            }
            "getBoundProfilePackage" => {
                json!({ "transactionId": transaction, "boundProfilePackage": b64(&self.package) })
            }
            "cancelSession" => json!({}),
            other => panic!("function {other}"),
        }
    }
}

impl HttpClient for FakeServer {
    fn post(&mut self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let call = self.calls.len();
        let (host, path) = request.url.strip_prefix("https://").unwrap().split_once('/').unwrap();
        let function = path.strip_prefix("gsma/rsp2/es9plus/").unwrap();
        let header = |name: &str| request.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        assert_eq!(header("User-Agent"), Some("gsma-rsp-lpad"));
        assert_eq!(header("X-Admin-Protocol"), Some("gsma/rsp/v2.5.0"));
        assert_eq!(header("Content-Type"), Some("application/json;charset=UTF-8"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        self.calls.push((host.into(), function.into()));
        self.requests.push(body.clone());
        if self.fail_at == Some(call) || self.dead_from.is_some_and(|from| call >= from) {
            return Err(HttpError::Broken("reset by peer".into()));
        }
        if let Some(answers) = self.answers.get_mut(function)
            && !answers.is_empty()
        {
            return answers.remove(0);
        }
        if function == "handleNotification" {
            let status = if self.down.contains(&host) { 500 } else { 204 };
            return Ok(HttpResponse { status, body: vec![] });
        }
        let mut answer = self.answer(function, &body);
        answer["header"] = json!({ "functionExecutionStatus": { "status": "Executed-Success" } });
        for (of, field, value) in &self.fields {
            if *of == function {
                answer[*field] = value.clone();
                if value.is_null() {
                    answer.as_object_mut().unwrap().remove(*field);
                }
            }
        }
        ok(answer)
    }
}

/// A user who answers by script.
pub struct FakeUser {
    pub consent: Consent,
    pub codes: Vec<&'static str>,
    pub shown: Vec<ProfileMetadata>,
    pub asked: Vec<bool>,
    pub progress: Vec<Progress>,
}

impl Default for FakeUser {
    fn default() -> Self {
        FakeUser { consent: Consent::Given, codes: vec![], shown: vec![], asked: vec![], progress: vec![] }
    }
}

impl User for FakeUser {
    fn consent(&mut self, metadata: &ProfileMetadata) -> Consent {
        self.shown.push(metadata.clone());
        self.consent
    }

    fn confirmation_code(&mut self, refused: bool) -> Option<ConfirmationCode> {
        self.asked.push(refused);
        (!self.codes.is_empty()).then(|| ConfirmationCode::new(self.codes.remove(0).into()).unwrap())
    }

    fn progress(&mut self, progress: Progress) {
        self.progress.push(progress);
    }
}

/// The value of the last member of an encoded object.
pub fn last_member(encoded: &[u8]) -> Vec<u8> {
    let (tag, ..) = leading_length(encoded).unwrap().unwrap();
    let object = Tlv::parse(encoded, tag).unwrap();
    Reader::new(object.value).last().unwrap().unwrap().value.to_vec()
}
