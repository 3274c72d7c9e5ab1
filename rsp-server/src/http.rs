//! ES9+ over HTTP with JSON (SGP.22 v2.5 section 6.5): from requests to the functions of [`SmDp`] and back.

use crate::dp::{Failure, InitiateAuthentication};
use crate::smdp::SmDp;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use teuicc_rsp::es9;

/// Largest request body in bytes. The largest request of an LPA, AuthenticateClient with two certificates, has some
/// 4000.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a request may take, its body included.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);

type Server = State<Arc<SmDp>>;
/// The members of a response besides its header.
type Members = Map<String, Value>;

/// The five functions of ES9+.
pub fn router(smdp: Arc<SmDp>) -> Router {
    Router::new()
        .route(es9::INITIATE_AUTHENTICATION, post(initiate_authentication))
        .route(es9::AUTHENTICATE_CLIENT, post(authenticate_client))
        .route(es9::GET_BOUND_PROFILE_PACKAGE, post(get_bound_profile_package))
        .route(es9::HANDLE_NOTIFICATION, post(handle_notification))
        .route(es9::CANCEL_SESSION, post(cancel_session))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn(with_time_limit))
        .layer(axum::middleware::map_response(with_protocol_version))
        .with_state(smdp)
}

async fn with_time_limit(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

async fn with_protocol_version(mut response: Response) -> Response {
    if matches!(response.status(), StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        // The body was not read, so nothing can follow on this connection.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert("x-admin-protocol", HeaderValue::from_static(es9::ADMIN_PROTOCOL));
    response
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitiateAuthenticationRequest {
    euicc_challenge: Base64,
    euicc_info1: Base64,
    smdp_address: String,
}

async fn initiate_authentication(State(smdp): Server, body: Bytes) -> Response {
    respond("initiateAuthentication", body, async move |request: InitiateAuthenticationRequest| {
        let request = InitiateAuthentication {
            euicc_challenge: &request.euicc_challenge.0,
            euicc_info1: &request.euicc_info1.0,
            smdp_address: &request.smdp_address,
        };
        let (transaction_id, response) = smdp.initiate_authentication(&request).await?;
        Ok(members([
            ("transactionId", json!(hex::encode_upper(transaction_id))),
            ("serverSigned1", base64(&response.server_signed1)),
            ("serverSignature1", base64(&response.server_signature1)),
            ("euiccCiPKIdToBeUsed", base64(&response.euicc_ci_pk_id_to_be_used)),
            ("serverCertificate", base64(&response.server_certificate)),
        ]))
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthenticateClientRequest {
    transaction_id: Hex,
    authenticate_server_response: Base64,
}

async fn authenticate_client(State(smdp): Server, body: Bytes) -> Response {
    respond("authenticateClient", body, async move |request: AuthenticateClientRequest| {
        let transaction_id = &request.transaction_id.0;
        let offer = smdp.authenticate_client(transaction_id, &request.authenticate_server_response.0).await?;
        Ok(members([
            ("transactionId", json!(hex::encode_upper(transaction_id))),
            ("profileMetadata", base64(&offer.profile_metadata)),
            ("smdpSigned2", base64(&offer.smdp_signed2)),
            ("smdpSignature2", base64(&offer.smdp_signature2)),
            ("smdpCertificate", base64(&offer.smdp_certificate)),
        ]))
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetBoundProfilePackageRequest {
    transaction_id: Hex,
    prepare_download_response: Base64,
}

async fn get_bound_profile_package(State(smdp): Server, body: Bytes) -> Response {
    respond("getBoundProfilePackage", body, async move |request: GetBoundProfilePackageRequest| {
        let transaction_id = &request.transaction_id.0;
        let package = smdp.get_bound_profile_package(transaction_id, &request.prepare_download_response.0).await?;
        Ok(members([
            ("transactionId", json!(hex::encode_upper(transaction_id))),
            ("boundProfilePackage", base64(&package)),
        ]))
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CancelSessionRequest {
    transaction_id: Hex,
    cancel_session_response: Base64,
}

async fn cancel_session(State(smdp): Server, body: Bytes) -> Response {
    respond("cancelSession", body, async move |request: CancelSessionRequest| {
        smdp.cancel_session(&request.transaction_id.0, &request.cancel_session_response.0).await?;
        Ok(Members::new())
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HandleNotificationRequest {
    pending_notification: Base64,
}

/// Answers 204 also to a notification that is refused, which is then neither stored nor acted on: the LPA keeps it for
/// ever otherwise.
async fn handle_notification(State(smdp): Server, body: Bytes) -> Response {
    let function = "handleNotification";
    let result = run(function, body, async move |request: HandleNotificationRequest| {
        smdp.handle_notification(&request.pending_notification.0).await
    })
    .await;
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Failure::Refused(refusal)) => {
            tracing::warn!(function, %refusal, "notification not accepted");
            StatusCode::NO_CONTENT.into_response()
        }
        Err(failure) => refuse(function, &failure),
    }
}

/// Runs a function of ES9+ and makes the response.
async fn respond<T, F, R>(function: &'static str, body: Bytes, work: F) -> Response
where
    T: DeserializeOwned + Send + 'static,
    F: FnOnce(T) -> R + Send + 'static,
    R: Future<Output = Result<Members, Failure>> + Send,
{
    match run(function, body, work).await {
        Ok(mut members) => {
            members.insert("header".into(), json!({"functionExecutionStatus": {"status": es9::EXECUTED_SUCCESS}}));
            json_response(Value::Object(members))
        }
        Err(failure) => refuse(function, &failure),
    }
}

/// Reads the request and does `work`, to its end even if the LPA goes away meanwhile.
async fn run<T, F, R, O>(function: &'static str, body: Bytes, work: F) -> Result<O, Failure>
where
    T: DeserializeOwned + Send + 'static,
    F: FnOnce(T) -> R + Send + 'static,
    R: Future<Output = Result<O, Failure>> + Send,
    O: Send + 'static,
{
    let request: T = serde_json::from_slice(&body)
        .map_err(|error| Failure::Malformed { what: function, reason: error.to_string() })?;
    tokio::spawn(async move { work(request).await })
        .await
        .unwrap_or_else(|error| Err(Failure::Internal(crate::error::Error::making("a response", error))))
}

fn refuse(function: &'static str, failure: &Failure) -> Response {
    match failure {
        Failure::Refused(refusal) => {
            tracing::warn!(function, %refusal, "refused");
            json_response(json!({"header": {"functionExecutionStatus": {
                "status": es9::FAILED,
                "statusCodeData": {
                    "subjectCode": refusal.code.subject,
                    "reasonCode": refusal.code.reason,
                    "message": format!("{}: {}", refusal.code.words, refusal.detail),
                },
            }}}))
        }
        Failure::Malformed { .. } => {
            tracing::warn!(function, %failure, "malformed request");
            (StatusCode::BAD_REQUEST, failure.to_string()).into_response()
        }
        Failure::Internal(_) => {
            tracing::error!(function, %failure, "internal error");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn json_response(value: Value) -> Response {
    let content_type = HeaderValue::from_static(es9::CONTENT_TYPE);
    ([(header::CONTENT_TYPE, content_type)], Body::from(value.to_string())).into_response()
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Members {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn base64(bytes: &[u8]) -> Value {
    Value::String(STANDARD.encode(bytes))
}

/// Bytes that JSON carries in Base64.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text.trim()).map(Base64).map_err(serde::de::Error::custom)
    }
}

/// Bytes that JSON carries in hexadecimal digits of any case.
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map(Hex).map_err(serde::de::Error::custom)
    }
}
