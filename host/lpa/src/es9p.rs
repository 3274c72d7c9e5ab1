//! The servers' side: functions of ES9+ and ES11 in their JSON binding (SGP.22 v2.5 sections 5.6, 5.8, 6.5).

use crate::activation_code::ServerAddress;
use crate::error::{HttpError, LpaError};
use crate::operation::{HttpRequest, HttpResponse, Io};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use core::fmt;
use serde_json::{Map, Value, json};
use teuicc_rsp::es9;

/// Largest body taken from a server, in bytes. A bound profile package is the largest, in base64.
pub const MAX_BODY: usize = 2 * 1024 * 1024;
/// Longest text taken from a server for an error message, in characters.
const MAX_SERVER_TEXT: usize = 200;
/// How often a request is sent in all when the connection breaks.
const ATTEMPTS: usize = 3;

/// The headers of every request (section 6.2, 6.5.1.1).
const HEADERS: [(&str, &str); 3] = [
    ("User-Agent", es9::USER_AGENT),
    (es9::ADMIN_PROTOCOL_HEADER, es9::ADMIN_PROTOCOL),
    ("Content-Type", es9::CONTENT_TYPE),
];

/// A function of a server: its name, and the path it is at.
#[derive(Clone, Copy)]
struct Function {
    name: &'static str,
    path: &'static str,
}

impl Function {
    const INITIATE_AUTHENTICATION: Self =
        Function { name: "initiateAuthentication", path: es9::INITIATE_AUTHENTICATION };
    const AUTHENTICATE_CLIENT: Self = Function { name: "authenticateClient", path: es9::AUTHENTICATE_CLIENT };
    const GET_BOUND_PROFILE_PACKAGE: Self =
        Function { name: "getBoundProfilePackage", path: es9::GET_BOUND_PROFILE_PACKAGE };
    const CANCEL_SESSION: Self = Function { name: "cancelSession", path: es9::CANCEL_SESSION };
    const HANDLE_NOTIFICATION: Self = Function { name: "handleNotification", path: es9::HANDLE_NOTIFICATION };
}

/// The status of a server function that failed: SGP.22's subject and reason codes (section 5.2.6), and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Subject code, `8.2.6`.
    pub subject_code: String,
    /// Reason code, `3.8`.
    pub reason_code: String,
    /// The subject's identifier, if the server gave one.
    pub subject_identifier: Option<String>,
    /// What the server says in words.
    pub message: Option<String>,
}

impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subject, reason) = (subject_in_words(&self.subject_code), reason_in_words(&self.reason_code));
        write!(f, "{} {subject} / {} {reason}", self.subject_code, self.reason_code)?;
        if let Some(identifier) = &self.subject_identifier {
            write!(f, " ({identifier})")?;
        }
        match &self.message {
            Some(message) => write!(f, ": {message:?}"),
            None => Ok(()),
        }
    }
}

impl ServerStatus {
    /// Whether the status has these codes.
    #[must_use]
    pub fn is(&self, subject: &str, reason: &str) -> bool {
        self.subject_code == subject && self.reason_code == reason
    }

    /// What the user can do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match (self.subject_code.as_str(), self.reason_code.as_str()) {
            ("8.2.6", _) => "the activation code is mistyped, used up, or for another server",
            ("8.1.1", "3.8") => "the order is for another card: compare the EID",
            ("8.2.7", "2.2") => "this order needs a confirmation code, which the operator gives separately",
            ("8.2.7", "3.8") => "the confirmation code is wrong; few more tries are allowed",
            ("8.2.7", "6.4") => "the confirmation code was wrong too often: ask the operator for a new activation code",
            ("8.8.5", _) => "ask the operator for a new activation code",
            ("8.1", "4.8") => "delete a profile that is not needed",
            ("8.2.5", "4.3") => "the operator has no profile for this kind of card",
            ("8.2", "3.7") => "the profile was sent to this card before; ask the operator for a new activation code",
            ("8.8.2" | "8.8.4" | "8.11.1" | "8.1.2" | "8.1.3", _) => {
                "card and server do not trust the same CI: a test card needs a test server, a live one a live server"
            }
            ("8.8.1", _) => "the server does not know itself by this address: check the activation code",
            ("8.10.1", _) => "the session has ended at the server: run it again",
            _ => return None,
        })
    }

    /// Whether the order can be used again after this refusal.
    pub(crate) fn order_is_kept(&self) -> bool {
        !matches!(
            (self.subject_code.as_str(), self.reason_code.as_str()),
            ("8.2.6", _) | ("8.2.7", "6.4") | ("8.8.5", _) | ("8.2", "3.7")
        )
    }
}

/// Subjects of SGP.22 section 5.2.6.1.
fn subject_in_words(code: &str) -> &'static str {
    match code {
        "1" => "Generic",
        "1.1" => "Function requester",
        "1.2" | "1.2.1" | "1.2.2" => "Function provider",
        "1.3" | "1.3.1" => "Protocol",
        "1.6" => "Command",
        "8.1" => "eUICC",
        "8.1.1" => "EID",
        "8.1.2" => "EUM certificate",
        "8.1.3" => "eUICC certificate",
        "8.2" => "Profile",
        "8.2.1" => "Profile ICCID",
        "8.2.5" => "Profile type",
        "8.2.6" => "Matching ID",
        "8.2.7" => "Confirmation code",
        "8.8" => "SM-DP+",
        "8.8.1" => "SM-DP+ address",
        "8.8.2" => "Security configuration of the SM-DP+",
        "8.8.3" => "Version supported by the SM-DP+",
        "8.8.4" => "SM-DP+ certificate",
        "8.8.5" => "Download order",
        "8.9" => "SM-DS",
        "8.9.1" => "SM-DS address",
        "8.9.2" => "Security configuration of the SM-DS",
        "8.9.3" => "Version supported by the SM-DS",
        "8.9.4" => "SM-DS certificate",
        "8.9.5" => "Event record",
        "8.10" | "8.10.1" => "RSP operation",
        "8.11" | "8.11.1" => "CI public key",
        _ => "an unknown subject",
    }
}

/// Reasons of SGP.22 section 5.2.6.2.
fn reason_in_words(code: &str) -> &'static str {
    match code {
        "1.1" => "Unknown (to be registered)",
        "1.2" => "Not allowed (authorisation)",
        "2.1" => "Invalid",
        "2.2" => "Mandatory element missing",
        "2.3" => "Conditional element missing",
        "3.1" => "Unsupported",
        "3.3" => "Already in use (uniqueness)",
        "3.4" => "Invalid transition",
        "3.5" => "Invalid association or already linked",
        "3.7" => "Unavailable",
        "3.8" => "Refused",
        "3.9" => "Unknown",
        "3.10" => "Invalid association",
        "4.2" => "Execution error",
        "4.3" => "Stopped on warning",
        "4.8" => "Insufficient memory",
        "4.10" => "Time to live expired",
        "5.1" => "Inaccessible",
        "6.1" => "Verification failed",
        "6.3" => "Expired",
        "6.4" => "Maximum number of retries exceeded",
        _ => "an unknown reason",
    }
}

/// A server, and how it is asked.
pub(crate) struct Server<'a> {
    io: &'a Io,
    pub(crate) address: ServerAddress,
}

/// Response of initiateAuthentication: encoded objects.
pub(crate) struct InitiateAuthentication {
    pub(crate) transaction_id: TransactionId,
    pub(crate) server_signed1: Vec<u8>,
    pub(crate) server_signature1: Vec<u8>,
    pub(crate) euicc_ci_pk_id: Vec<u8>,
    pub(crate) server_certificate: Vec<u8>,
}

/// Response of authenticateClient of an SM-DP+: encoded objects.
pub(crate) struct AuthenticateClient {
    pub(crate) profile_metadata: Vec<u8>,
    pub(crate) smdp_signed2: Vec<u8>,
    pub(crate) smdp_signature2: Vec<u8>,
    pub(crate) smdp_certificate: Vec<u8>,
}

/// An event that an SM-DS keeps for a card: where an order waits.
#[derive(Clone, PartialEq, Eq)]
pub struct EventEntry {
    /// Event ID: the matching ID for the server.
    pub event_id: String,
    /// The SM-DP+, or another SM-DS.
    pub rsp_server_address: String,
}

impl fmt::Debug for EventEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventEntry").field("rsp_server_address", &self.rsp_server_address).finish_non_exhaustive()
    }
}

/// A transaction as a server names it: the text to give back, and the bytes for the card.
#[derive(Clone)]
pub(crate) struct TransactionId {
    text: String,
    pub(crate) bytes: Vec<u8>,
}

impl<'a> Server<'a> {
    pub(crate) fn new(io: &'a Io, address: ServerAddress) -> Self {
        Server { io, address }
    }

    /// ES9+.InitiateAuthentication (section 5.6.1). `address` is what the server is to find itself in.
    pub(crate) async fn initiate_authentication(
        &self,
        euicc_challenge: &[u8],
        euicc_info1: &[u8],
    ) -> Result<InitiateAuthentication, LpaError> {
        let request = json!({
            "euiccChallenge": BASE64.encode(euicc_challenge),
            "euiccInfo1": BASE64.encode(euicc_info1),
            "smdpAddress": self.address.as_str(),
        });
        let answer = self.call(Function::INITIATE_AUTHENTICATION, &request).await?;
        Ok(InitiateAuthentication {
            transaction_id: answer.transaction_id()?,
            server_signed1: answer.bytes("serverSigned1")?,
            server_signature1: answer.bytes("serverSignature1")?,
            euicc_ci_pk_id: answer.bytes("euiccCiPKIdToBeUsed")?,
            server_certificate: answer.bytes("serverCertificate")?,
        })
    }

    /// ES9+.AuthenticateClient (section 5.6.3).
    pub(crate) async fn authenticate_client(
        &self,
        transaction: &TransactionId,
        authenticate_server_response: &[u8],
    ) -> Result<AuthenticateClient, LpaError> {
        let answer = self.call_authenticate_client(transaction, authenticate_server_response).await?;
        answer.same_transaction(transaction)?;
        Ok(AuthenticateClient {
            profile_metadata: answer.bytes("profileMetadata")?,
            smdp_signed2: answer.bytes("smdpSigned2")?,
            smdp_signature2: answer.bytes("smdpSignature2")?,
            smdp_certificate: answer.bytes("smdpCertificate")?,
        })
    }

    /// ES11.AuthenticateClient (section 5.8.2).
    pub(crate) async fn authenticate_client_ds(
        &self,
        transaction: &TransactionId,
        authenticate_server_response: &[u8],
    ) -> Result<Vec<EventEntry>, LpaError> {
        let answer = self.call_authenticate_client(transaction, authenticate_server_response).await?;
        answer.same_transaction(transaction)?;
        let entries = match answer.fields.get("eventEntries") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(answer.wrong("eventEntries is no array")),
        };
        let text = |entry: &Value, name: &str| {
            let text = entry.get(name).and_then(Value::as_str);
            text.map(str::to_owned).ok_or_else(|| answer.wrong(&format!("eventEntries has no text {name}")))
        };
        let entry = |entry: &Value| {
            Ok(EventEntry { event_id: text(entry, "eventId")?, rsp_server_address: text(entry, "rspServerAddress")? })
        };
        entries.iter().map(entry).collect()
    }

    async fn call_authenticate_client(
        &self,
        transaction: &TransactionId,
        authenticate_server_response: &[u8],
    ) -> Result<Answer, LpaError> {
        let request = json!({
            "transactionId": transaction.text,
            "authenticateServerResponse": BASE64.encode(authenticate_server_response),
        });
        self.call(Function::AUTHENTICATE_CLIENT, &request).await
    }

    /// ES9+.GetBoundProfilePackage (section 5.6.2): the package.
    pub(crate) async fn get_bound_profile_package(
        &self,
        transaction: &TransactionId,
        prepare_download_response: &[u8],
    ) -> Result<Vec<u8>, LpaError> {
        let request = json!({
            "transactionId": transaction.text,
            "prepareDownloadResponse": BASE64.encode(prepare_download_response),
        });
        let answer = self.call(Function::GET_BOUND_PROFILE_PACKAGE, &request).await?;
        answer.same_transaction(transaction)?;
        answer.bytes("boundProfilePackage")
    }

    /// ES9+.CancelSession (section 5.6.5).
    pub(crate) async fn cancel_session(
        &self,
        transaction: &TransactionId,
        cancel_session_response: &[u8],
    ) -> Result<(), LpaError> {
        let request = json!({
            "transactionId": transaction.text,
            "cancelSessionResponse": BASE64.encode(cancel_session_response),
        });
        self.call(Function::CANCEL_SESSION, &request).await.map(|_| ())
    }

    /// ES9+.HandleNotification (section 5.6.4). Only HTTP status 204 says that the server has it.
    pub(crate) async fn handle_notification(&self, pending_notification: &[u8]) -> Result<(), LpaError> {
        let function = Function::HANDLE_NOTIFICATION;
        let request = json!({ "pendingNotification": BASE64.encode(pending_notification) });
        let response = self.post(function, &request).await?;
        if response.status == 204 { Ok(()) } else { Err(self.http_status(function, response.status)) }
    }

    async fn call(&self, function: Function, request: &Value) -> Result<Answer, LpaError> {
        let response = self.post(function, request).await?;
        if response.status != 200 {
            return Err(self.http_status(function, response.status));
        }
        let answer = Answer::parse(function.name, &self.address, &response.body)?;
        answer.check_status()?;
        Ok(answer)
    }

    /// Posts a request, again if the connection broke: each function can be repeated as it is within its session.
    async fn post(&self, function: Function, request: &Value) -> Result<HttpResponse, LpaError> {
        let request = HttpRequest {
            url: format!("https://{}{}", self.address, function.path),
            headers: HEADERS.to_vec(),
            body: request.to_string().into_bytes(),
        };
        let mut attempt = 1;
        loop {
            match self.io.http(request.clone()).await {
                Ok(response) if response.body.len() > MAX_BODY => {
                    return Err(self.http_error(function, HttpError::TooLarge(MAX_BODY as u64)));
                }
                Ok(response) => return Ok(response),
                Err(error) if error.is_passing() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(self.http_error(function, error)),
            }
        }
    }

    fn http_error(&self, function: Function, error: HttpError) -> LpaError {
        LpaError::Http { function: function.name, server: self.address.to_string(), error }
    }

    fn http_status(&self, function: Function, status: u16) -> LpaError {
        LpaError::HttpStatus { function: function.name, server: self.address.to_string(), status }
    }
}

/// The JSON object that a server answered.
struct Answer {
    function: &'static str,
    server: String,
    fields: Map<String, Value>,
}

impl Answer {
    fn parse(function: &'static str, server: &ServerAddress, body: &[u8]) -> Result<Self, LpaError> {
        let server = server.to_string();
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Answer { function, server, fields }),
            Ok(_) => Err(LpaError::ServerAnswer { function, server, problem: "it is no JSON object".into() }),
            Err(error) => Err(LpaError::ServerAnswer { function, server, problem: format!("it is no JSON: {error}") }),
        }
    }

    /// Reads `header.functionExecutionStatus` (section 6.5.1.4).
    fn check_status(&self) -> Result<(), LpaError> {
        let status = self.fields.get("header").and_then(|header| header.get("functionExecutionStatus"));
        let status = status.ok_or_else(|| self.wrong("there is no header.functionExecutionStatus"))?;
        match status.get("status").and_then(Value::as_str) {
            Some(es9::EXECUTED_SUCCESS | es9::EXECUTED_WITH_WARNING) => Ok(()),
            Some(es9::FAILED | es9::EXPIRED) => Err(LpaError::ServerRefused {
                function: self.function,
                server: self.server.clone(),
                status: Box::new(server_status(status.get("statusCodeData"))),
            }),
            _ => Err(self.wrong("functionExecutionStatus has no known status")),
        }
    }

    fn text(&self, name: &str) -> Result<&str, LpaError> {
        let value = self.fields.get(name).ok_or_else(|| self.wrong(&format!("{name} is missing")))?;
        value.as_str().ok_or_else(|| self.wrong(&format!("{name} is no text")))
    }

    /// A field in base64, decoded. Line breaks in it, which encoders of mail make, are ignored.
    fn bytes(&self, name: &str) -> Result<Vec<u8>, LpaError> {
        let text: String = self.text(name)?.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        BASE64.decode(text).map_err(|error| self.wrong(&format!("{name} is no base64: {error}")))
    }

    fn transaction_id(&self) -> Result<TransactionId, LpaError> {
        let text = self.text("transactionId")?;
        match hex::decode(text) {
            Ok(bytes) if (1..=16).contains(&bytes.len()) => Ok(TransactionId { text: text.to_owned(), bytes }),
            _ => Err(self.wrong("transactionId is not 1 to 16 bytes in hex")),
        }
    }

    /// Checks that the answer is for `transaction`. Some servers leave the field out.
    fn same_transaction(&self, transaction: &TransactionId) -> Result<(), LpaError> {
        match self.fields.get("transactionId").map(Value::as_str) {
            None => Ok(()),
            Some(Some(text)) if text.eq_ignore_ascii_case(&transaction.text) => Ok(()),
            Some(_) => Err(self.wrong("transactionId is that of another session")),
        }
    }

    fn wrong(&self, problem: &str) -> LpaError {
        LpaError::ServerAnswer { function: self.function, server: self.server.clone(), problem: problem.into() }
    }
}

fn server_status(data: Option<&Value>) -> ServerStatus {
    let text = |name: &str| {
        let text = data.and_then(|data| data.get(name)).and_then(Value::as_str)?;
        (!text.is_empty()).then(|| text.chars().take(MAX_SERVER_TEXT).collect::<String>())
    };
    ServerStatus {
        subject_code: text("subjectCode").unwrap_or_else(|| "?".into()),
        reason_code: text("reasonCode").unwrap_or_else(|| "?".into()),
        subject_identifier: text("subjectIdentifier"),
        message: text("message"),
    }
}
