//! What an SM-DP+ checks and makes in the five functions of ES9+ (SGP.22 v2.5 section 5.6), on bytes: no sockets, no
//! clock, no data base. Each step gives a value that the next one needs, so that none can be left out:
//! [`Initiated`], [`Client`], [`Offer`], [`Prepared`], and a bound profile package.

use crate::error::Error;
use crate::identity::{Identity, Signer};
use crate::profile::PackageFacts;
use crate::store::{Delivery, EuiccState, NewNotification, OrderRecord, OrderState};
use std::fmt;
use subtle::ConstantTimeEq;
use teuicc_rsp::Eid;
use teuicc_rsp::bpp::{BppContents, ConfigureIsdp, initialise_secure_channel};
use teuicc_rsp::certificate::{Certificate, Time, check_euicc_chain};
use teuicc_rsp::codes::{CancelSessionReason, ErrorReason};
use teuicc_rsp::crypto::{PublicKey, SecretKey, rehash_cc, verify};
use teuicc_rsp::es9::{self, StatusCode};
use teuicc_rsp::es10::{
    AuthenticateServerResponse, CancelSessionResponse, EuiccInfo1, EuiccInfo2, ExtCardResource, FinalResult,
    OtherSignedNotification, PrepareDownloadResponse, ProfileInstallationResult, ServerSigned1, SmdpSigned2,
};
use teuicc_rsp::metadata::NotificationEvent;
use teuicc_rsp::object::{KeyId, Object, Octets, TransactionId};
use teuicc_rsp::oid::Role;
use teuicc_rsp::scp03t::SessionKeys;
use teuicc_rsp::signing::with_signature;

/// Host ID in the control reference template; any value will do, since it only goes into the key derivation.
const HOST_ID: &[u8] = b"teuicc-smdp";
/// The only major version of SGP.22 spoken here.
const SVN_MAJOR: u8 = 2;

/// A function is not executed, by a rule of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Subject and reason code.
    pub code: StatusCode,
    /// What exactly was wrong.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(code: StatusCode, detail: impl ToString) -> Self {
        Refusal { code, detail: detail.to_string() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

/// Why a function has no result.
#[derive(Debug)]
pub enum Failure {
    /// By a rule of the specification.
    Refused(Refusal),
    /// The request cannot be read.
    Malformed {
        /// Which member.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The fault is ours.
    Internal(Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(refusal) => refusal.fmt(f),
            Failure::Malformed { what, reason } => write!(f, "{what}: {reason}"),
            Failure::Internal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Internal(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

fn refused<T>(code: StatusCode, detail: impl ToString) -> Result<T, Failure> {
    Err(Refusal::new(code, detail).into())
}

/// For `map_err`: `what` cannot be read.
fn malformed(what: &'static str) -> impl FnOnce(teuicc_tlv::Error) -> Failure {
    move |error| Failure::Malformed { what, reason: error.to_string() }
}

/// For `map_err`: something of ours cannot be made.
fn unmade(what: &'static str) -> impl FnOnce(teuicc_tlv::Error) -> Failure {
    move |error| Failure::Internal(Error::making(what, error))
}

/// Request of InitiateAuthentication.
#[derive(Clone, Copy, Debug)]
pub struct InitiateAuthentication<'a> {
    /// euiccChallenge.
    pub euicc_challenge: &'a [u8],
    /// EUICCInfo1, `BF20`.
    pub euicc_info1: &'a [u8],
    /// The address that the LPA used.
    pub smdp_address: &'a str,
}

/// A session in which the server has shown who it is.
#[derive(Clone, Debug)]
pub struct Initiated {
    /// The transaction.
    pub transaction_id: [u8; 16],
    /// The server's challenge.
    pub server_challenge: [u8; 16],
    /// The address, as the LPA wrote it.
    pub server_address: String,
    /// The CI that both sides use.
    pub ci_key_id: Vec<u8>,
}

/// Response of InitiateAuthentication; every member is a whole data object.
#[derive(Clone, Debug)]
pub struct ServerAuthentication {
    /// serverSigned1.
    pub server_signed1: Vec<u8>,
    /// serverSignature1, with its tag.
    pub server_signature1: Vec<u8>,
    /// euiccCiPKIdToBeUsed, with its tag.
    pub euicc_ci_pk_id_to_be_used: Vec<u8>,
    /// CERT.DPauth.ECDSA.
    pub server_certificate: Vec<u8>,
}

/// InitiateAuthentication (section 5.6.1). `address` is the server's own; `transaction_id` and `server_challenge` are
/// random. Checked in this order: address, a CI that the eUICC can verify us with, one it can sign for, version.
pub fn initiate_authentication(
    identity: &Identity,
    address: &str,
    request: &InitiateAuthentication<'_>,
    transaction_id: [u8; 16],
    server_challenge: [u8; 16],
) -> Result<(Initiated, ServerAuthentication), Failure> {
    let what = "euiccChallenge";
    let euicc_challenge: &[u8; 16] =
        request.euicc_challenge.try_into().map_err(|_| Failure::Malformed { what, reason: "not 16 bytes".into() })?;
    let info = EuiccInfo1::parse(request.euicc_info1).map_err(malformed("euiccInfo1"))?;
    if !is_own_address(address, request.smdp_address) {
        return refused(es9::SMDP_ADDRESS_REFUSED, format!("this is {address}, not {:?}", request.smdp_address));
    }
    let signer = choose_signer(identity, &info)?;
    if info.svn.0 != SVN_MAJOR {
        return refused(es9::SVN_UNSUPPORTED, format!("the eUICC speaks {}, this server 2.x", info.svn));
    }
    let server_signed1 = ServerSigned1 {
        transaction_id: own_transaction_id(&transaction_id)?,
        euicc_challenge,
        server_address: request.smdp_address,
        server_challenge: &server_challenge,
    };
    let server_signed1 = server_signed1.encode().map_err(unmade("serverSigned1"))?;
    let signature = sign(&signer.auth.key, &[&server_signed1])?;
    let ci_key_id = KeyId::new(&signer.ci_key_id).ok_or_else(|| Error::making("euiccCiPKIdToBeUsed", "too long"))?;
    let response = ServerAuthentication {
        server_signature1: signature_object(&signature)?,
        euicc_ci_pk_id_to_be_used: ci_key_id.encode().map_err(unmade("euiccCiPKIdToBeUsed"))?,
        server_certificate: signer.auth.certificate.clone(),
        server_signed1,
    };
    let initiated = Initiated {
        transaction_id,
        server_challenge,
        server_address: request.smdp_address.to_owned(),
        ci_key_id: signer.ci_key_id.clone(),
    };
    Ok((initiated, response))
}

/// Whether `given` is the server's address; the port may be left out, and case does not count.
fn is_own_address(own: &str, given: &str) -> bool {
    let host = own.rsplit_once(':').map_or(own, |(host, _)| host);
    given.eq_ignore_ascii_case(own) || given.eq_ignore_ascii_case(host)
}

/// The first CI in the eUICC's list for signing that it also verifies with and that issued our certificates.
fn choose_signer<'a>(identity: &'a Identity, info: &EuiccInfo1<'_>) -> Result<&'a Signer, Refusal> {
    let verifies = |signer: &Signer| info.ci_pk_ids_for_verification.iter().any(|id| id.as_bytes() == signer.ci_key_id);
    if !identity.signers.iter().any(verifies) {
        let detail = "none of the CIs in euiccCiPKIdListForVerification issued a certificate for this server";
        return Err(Refusal::new(es9::NO_SMDP_CERTIFICATE, detail));
    }
    let chosen =
        info.ci_pk_ids_for_signing.iter().find_map(|id| identity.signer(id.as_bytes()).filter(|s| verifies(s)));
    chosen.ok_or_else(|| Refusal::new(es9::NO_SUPPORTED_CI_KEY, "no CI of euiccCiPKIdListForSigning is known here"))
}

/// An eUICC that has shown who it is.
#[derive(Clone)]
pub struct Client {
    /// Its EID.
    pub eid: Eid,
    /// CERT.EUICC.ECDSA.
    pub certificate: Vec<u8>,
    /// Its key.
    pub public_key: PublicKey,
    /// euiccSignature1.
    pub euicc_signature1: [u8; 64],
    /// Matching ID; `None` if absent or empty.
    pub matching_id: Option<String>,
    /// Free non-volatile memory in bytes.
    pub free_memory: u64,
    /// Major version of the profile package format that it knows best.
    pub profile_major: u8,
}

impl fmt::Debug for Client {
    /// Without the matching ID, which is a bearer token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("eid", &self.eid).finish_non_exhaustive()
    }
}

/// The first part of AuthenticateClient (section 5.6.3): who is it? Checked in this order: the CI, the EUM's and the
/// eUICC's certificate, the signature, transaction and challenge.
pub fn authenticate_client(
    identity: &Identity,
    session: &Initiated,
    authenticate_server_response: &[u8],
    now: Time,
) -> Result<Client, Failure> {
    let response = AuthenticateServerResponse::parse(authenticate_server_response)
        .map_err(malformed("authenticateServerResponse"))?;
    let response = match response {
        AuthenticateServerResponse::Ok(response) => response,
        AuthenticateServerResponse::Error(error) => {
            let detail = format!("the eUICC did not authenticate this server: {}", error.error);
            return refused(es9::EUICC_VERIFICATION_FAILED, detail);
        }
    };
    let signer = identity
        .signer(&session.ci_key_id)
        .ok_or_else(|| Refusal::new(es9::CI_PUBLIC_KEY_UNKNOWN, "the CI of the session is not known any more"))?;
    let (euicc, eid) = check_chain(signer, response.eum_certificate.0, response.euicc_certificate.0, now)?;
    let signed = &response.euicc_signed1;
    if !verify(&euicc.public_key, &[signed.raw], response.euicc_signature1) {
        return refused(es9::EUICC_VERIFICATION_FAILED, "euiccSignature1");
    }
    if signed.transaction_id.as_bytes() != session.transaction_id {
        return refused(es9::TRANSACTION_ID_UNKNOWN, "euiccSigned1 is of another transaction");
    }
    if *signed.server_challenge != session.server_challenge {
        return refused(es9::EUICC_VERIFICATION_FAILED, "serverChallenge in euiccSigned1");
    }
    if signed.server_address != session.server_address {
        return refused(es9::EUICC_VERIFICATION_FAILED, "serverAddress in euiccSigned1");
    }
    Ok(Client {
        eid,
        certificate: euicc.raw.to_vec(),
        public_key: euicc.public_key,
        euicc_signature1: *response.euicc_signature1,
        matching_id: signed.ctx_params1.matching_id.filter(|id| !id.is_empty()).map(ToOwned::to_owned),
        free_memory: free_memory(&signed.euicc_info2),
        profile_major: signed.euicc_info2.profile_version.0,
    })
}

/// Checks an eUICC's chain up to the CI of `signer`, also its validity.
fn check_chain<'a>(signer: &Signer, eum: &[u8], euicc: &'a [u8], now: Time) -> Result<(Certificate<'a>, Eid), Refusal> {
    let eum_code = es9::EUM_CERTIFICATE_VERIFICATION_FAILED;
    let euicc_code = es9::EUICC_CERTIFICATE_VERIFICATION_FAILED;
    let eum = Certificate::parse(eum).map_err(|error| Refusal::new(eum_code, error))?;
    let euicc = Certificate::parse(euicc).map_err(|error| Refusal::new(euicc_code, error))?;
    if eum.authority_key_identifier != Some(&signer.ci_key_id) {
        return Err(Refusal::new(es9::CI_PUBLIC_KEY_UNKNOWN, "the EUM certificate is of another CI"));
    }
    let eid = check_euicc_chain(&signer.ci_key, &eum, &euicc).map_err(|error| {
        let code = if error.role == Role::Eum { eum_code } else { euicc_code };
        Refusal::new(code, error.error)
    })?;
    let expired = |certificate: &Certificate<'_>| format!("valid to {}", certificate.not_after.as_str());
    if !eum.is_valid_at(now) {
        return Err(Refusal::new(es9::EUM_CERTIFICATE_EXPIRED, expired(&eum)));
    }
    if !euicc.is_valid_at(now) {
        return Err(Refusal::new(es9::EUICC_CERTIFICATE_EXPIRED, expired(&euicc)));
    }
    Ok((euicc, eid))
}

/// Free non-volatile memory in bytes. What the eUICC does not say plainly is not held against it.
fn free_memory(info: &EuiccInfo2<'_>) -> u64 {
    ExtCardResource::from_content(info.ext_card_resource).ok().map_or(u64::MAX, |resource| {
        resource.free_non_volatile_memory.iter().fold(0u64, |sum, byte| sum.saturating_mul(256) | u64::from(*byte))
    })
}

/// The second part of AuthenticateClient: may this eUICC have what was ordered? `order` is what its matching ID, or its
/// EID, leads to; `package` is the profile and its size in bytes.
pub fn check_order(client: &Client, order: Option<&OrderRecord>) -> Result<(), Refusal> {
    let Some(order) = order else {
        return Err(match client.matching_id {
            Some(_) => Refusal::new(es9::MATCHING_ID_REFUSED, "there is no order with this matching ID"),
            None => Refusal::new(es9::EID_REFUSED, "no matching ID, and there is no order for this EID"),
        });
    };
    if order.needs_confirmation_code() && order.confirmation_attempts == 0 {
        return Err(Refusal::new(es9::DOWNLOAD_RETRIES_EXCEEDED, "the confirmation code was wrong too often"));
    }
    if !order.state.is_open() {
        return Err(Refusal::new(es9::MATCHING_ID_REFUSED, format!("the order's state is {}", order.state.as_str())));
    }
    match order.eid {
        Some(eid) if eid != client.eid => Err(Refusal::new(es9::EID_REFUSED, "the order is for another EID")),
        _ => Ok(()),
    }
}

/// Whether the eUICC can take the package at all: its format, and its size.
pub(crate) fn check_eligibility(client: &Client, package: &[u8]) -> Result<(), Failure> {
    let facts = PackageFacts::read(package)?;
    if facts.major > client.profile_major {
        let detail =
            format!("the profile is of package version {}, the eUICC knows {}", facts.major, client.profile_major);
        return refused(es9::NO_ELIGIBLE_PROFILE, detail);
    }
    let size = package.len();
    if u64::try_from(size).is_ok_and(|size| size > client.free_memory) {
        let detail = format!("{size} bytes are needed, {} are free", client.free_memory);
        return refused(es9::EUICC_INSUFFICIENT_MEMORY, detail);
    }
    Ok(())
}

/// A profile offered to an eUICC.
#[derive(Clone, Debug)]
pub struct Offer {
    /// smdpSigned2.
    pub smdp_signed2: Vec<u8>,
    /// smdpSignature2.
    pub smdp_signature2: [u8; 64],
    /// smdpSignature2 with its tag.
    pub smdp_signature2_object: Vec<u8>,
    /// CERT.DPpb.ECDSA.
    pub smdp_certificate: Vec<u8>,
}

/// The last part of AuthenticateClient: signs the offer. `bpp_euicc_otpk` is the one-time key to which a package of
/// this order was bound before, for the same eUICC.
pub fn offer(
    identity: &Identity,
    session: &Initiated,
    client: &Client,
    confirmation_code_required: bool,
    bpp_euicc_otpk: Option<&[u8; 65]>,
) -> Result<Offer, Failure> {
    let signer = own_signer(identity, session)?;
    let smdp_signed2 = SmdpSigned2 {
        transaction_id: own_transaction_id(&session.transaction_id)?,
        cc_required_flag: confirmation_code_required,
        bpp_euicc_otpk,
    };
    let smdp_signed2 = smdp_signed2.encode().map_err(unmade("smdpSigned2"))?;
    let smdp_signature2 = sign(&signer.binding.key, &with_signature(&smdp_signed2, &client.euicc_signature1))?;
    Ok(Offer {
        smdp_signature2_object: signature_object(&smdp_signature2)?,
        smdp_certificate: signer.binding.certificate.clone(),
        smdp_signed2,
        smdp_signature2,
    })
}

/// An eUICC that is ready to receive.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// otPK.EUICC.ECKA.
    pub euicc_otpk: PublicKey,
    /// hashCc.
    hash_cc: Option<HashCc>,
}

/// The eUICC's proof of the confirmation code; never printed.
#[derive(Clone)]
struct HashCc([u8; 32]);

impl fmt::Debug for HashCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashCc(..)")
    }
}

/// The first part of GetBoundProfilePackage (section 5.6.2): is the eUICC ready for this offer?
pub fn check_prepare_download(
    session: &Initiated,
    client: &Client,
    offer: &Offer,
    prepare_download_response: &[u8],
) -> Result<Prepared, Failure> {
    let response =
        PrepareDownloadResponse::parse(prepare_download_response).map_err(malformed("prepareDownloadResponse"))?;
    let response = match response {
        PrepareDownloadResponse::Ok(response) => response,
        PrepareDownloadResponse::Error(error) => {
            let detail = format!("the eUICC refused the offer: {}", error.error);
            return refused(es9::EUICC_VERIFICATION_FAILED, detail);
        }
    };
    let signed = &response.euicc_signed2;
    let parts = with_signature(signed.raw, &offer.smdp_signature2);
    if !verify(&client.public_key, &parts, response.euicc_signature2) {
        return refused(es9::EUICC_VERIFICATION_FAILED, "euiccSignature2");
    }
    if signed.transaction_id.as_bytes() != session.transaction_id {
        return refused(es9::TRANSACTION_ID_UNKNOWN, "euiccSigned2 is of another transaction");
    }
    let euicc_otpk = PublicKey::new(client.public_key.curve(), signed.euicc_otpk)
        .map_err(|error| Refusal::new(es9::EUICC_VERIFICATION_FAILED, format!("otPK.EUICC.ECKA: {error}")))?;
    Ok(Prepared { euicc_otpk, hash_cc: signed.hash_cc.map(|hash| HashCc(*hash.0)) })
}

impl Prepared {
    /// Whether the eUICC was given a confirmation code.
    #[must_use]
    pub fn has_confirmation_code(&self) -> bool {
        self.hash_cc.is_some()
    }

    /// Whether that code is the one with this SHA-256.
    #[must_use]
    pub fn confirms(&self, confirmation_code_hash: &[u8; 32], session: &Initiated) -> bool {
        let expected = rehash_cc(confirmation_code_hash, &session.transaction_id);
        self.hash_cc.as_ref().is_some_and(|hash| bool::from(hash.0.ct_eq(&expected)))
    }
}

/// Secrets for one bound profile package, all new for each.
pub struct BindingSecrets {
    /// otSK.DP.ECKA, on the curve of the session.
    pub otsk: SecretKey,
    /// Profile protection keys.
    pub profile_protection_keys: SessionKeys,
}

/// The second part of GetBoundProfilePackage: protects and binds the profile (section 2.5). `store_metadata` and
/// `package` are StoreMetadataRequest and the unprotected profile package.
pub fn bind(
    identity: &Identity,
    session: &Initiated,
    client: &Client,
    prepared: &Prepared,
    store_metadata: &[u8],
    package: &[u8],
    secrets: &BindingSecrets,
) -> Result<Vec<u8>, Failure> {
    let signer = own_signer(identity, session)?;
    let failed = |error: &dyn fmt::Display| Failure::Internal(Error::making("a bound profile package", error));
    let transaction_id = own_transaction_id(&session.transaction_id)?;
    let smdp_otpk = secrets.otsk.public_key().map_err(|error| failed(&error))?;
    let host_id = Octets::new(HOST_ID).ok_or_else(|| failed(&"host ID"))?;
    let secure_channel = initialise_secure_channel(
        transaction_id,
        host_id,
        smdp_otpk.point(),
        prepared.euicc_otpk.point(),
        &signer.binding.key,
    )
    .map_err(|error| failed(&error))?;
    let shared = secrets.otsk.ecdh(&prepared.euicc_otpk).map_err(|error| failed(&error))?;
    let session_keys = SessionKeys::derive(&shared, HOST_ID, &client.eid).map_err(|error| failed(&error))?;
    let configure = ConfigureIsdp { dp_proprietary_data: None }.encode().map_err(unmade("ConfigureISDP"))?;
    let contents = BppContents {
        initialise_secure_channel: &secure_channel,
        configure_isdp: &configure,
        store_metadata,
        profile_protection_keys: Some(&secrets.profile_protection_keys),
        profile: package,
    };
    contents.build(session_keys).map_err(|error| failed(&error))
}

/// CancelSession (section 5.6.5): why the eUICC cancels.
pub fn cancel_session(
    identity: &Identity,
    session: &Initiated,
    client: &Client,
    cancel_session_response: &[u8],
) -> Result<CancelSessionReason, Failure> {
    let response = CancelSessionResponse::parse(cancel_session_response).map_err(malformed("cancelSessionResponse"))?;
    let response = match response {
        CancelSessionResponse::Ok(response) => response,
        CancelSessionResponse::Error(error) => {
            return refused(es9::TRANSACTION_ID_UNKNOWN, format!("the eUICC did not cancel: {error}"));
        }
    };
    let signed = &response.euicc_cancel_session_signed;
    if !verify(&client.public_key, &[signed.raw], response.euicc_cancel_session_signature) {
        return refused(es9::EUICC_VERIFICATION_FAILED, "euiccCancelSessionSignature");
    }
    if signed.transaction_id.as_bytes() != session.transaction_id {
        return refused(es9::TRANSACTION_ID_UNKNOWN, "the cancellation is of another transaction");
    }
    if signed.smdp_oid != own_signer(identity, session)?.oid {
        return refused(es9::INVALID_SMDP_OID, "the cancellation is for another SM-DP+");
    }
    Ok(signed.reason)
}

/// What a cancelled session does to its order (section 3.1.3): "postponed" and "timeout" leave it for another attempt,
/// and so does a package that could not be loaded, since without a verified result nobody knows that it cannot be.
#[must_use]
pub fn order_after_cancel(reason: CancelSessionReason) -> OrderState {
    match reason {
        CancelSessionReason::Postponed
        | CancelSessionReason::Timeout
        | CancelSessionReason::LoadBppExecutionError
        | CancelSessionReason::SessionAborted
        | CancelSessionReason::UndefinedReason => OrderState::Released,
        _ => OrderState::Cancelled,
    }
}

/// HandleNotification with an installation result (section 5.6.4): checks it against what was handed out in its
/// transaction, and says what it does.
pub fn installation_result<'a>(
    identity: &Identity,
    delivery: &Delivery,
    result: &ProfileInstallationResult<'_>,
    raw: &'a [u8],
) -> Result<NewNotification<'a>, Failure> {
    let euicc = Certificate::parse(&delivery.certificate).map_err(|error| Error::making("a delivery", error))?;
    if !verify(&euicc.public_key, &[result.data.raw], result.euicc_sign_pir) {
        return refused(es9::EUICC_VERIFICATION_FAILED, "euiccSignPIR");
    }
    if !identity.signers.iter().any(|signer| signer.oid == result.data.smdp_oid) {
        return refused(es9::INVALID_SMDP_OID, "the result is for another SM-DP+");
    }
    let metadata = &result.data.notification_metadata;
    if metadata.profile_management_operation != NotificationEvent::INSTALL {
        return refused(es9::EUICC_VERIFICATION_FAILED, "the result is not for an installation");
    }
    if metadata.iccid.is_some_and(|iccid| iccid != delivery.iccid) {
        return refused(es9::PROFILE_ICCID_UNKNOWN, "the result is for another profile");
    }
    let (state, remark) = match &result.data.final_result {
        FinalResult::Success(_) => (OrderState::Installed, "installed".to_owned()),
        FinalResult::Error(error) => {
            let remark = format!("{} failed: {}", error.bpp_command_id, error.error_reason);
            (order_after_error(error.error_reason), remark)
        }
    };
    Ok(NewNotification {
        eid: delivery.eid,
        sequence: metadata.seq_number,
        event: NotificationEvent::INSTALL,
        iccid: Some(delivery.iccid),
        raw,
        order: Some((delivery.order, state, remark)),
        state: (state == OrderState::Installed).then_some(EuiccState::Disabled),
    })
}

/// What a failed installation does to its order: what was for want of room or of power may be tried again.
fn order_after_error(reason: ErrorReason) -> OrderState {
    match reason {
        ErrorReason::InstallFailedDueToInsufficientMemoryForProfile | ErrorReason::InstallFailedDueToInterruption => {
            OrderState::Released
        }
        _ => OrderState::Error,
    }
}

/// HandleNotification with another notification: checks the chain to one of our CIs and the signature, and says what it
/// does.
pub fn other_notification<'a>(
    identity: &Identity,
    notification: &OtherSignedNotification<'_>,
    raw: &'a [u8],
    now: Time,
) -> Result<NewNotification<'a>, Failure> {
    let eum = notification.eum_certificate.0;
    let ci = Certificate::parse(eum).ok().and_then(|eum| identity.signer(eum.authority_key_identifier?));
    let Some(signer) = ci else {
        return refused(es9::CI_PUBLIC_KEY_UNKNOWN, "the EUM certificate is of no CI that is known here");
    };
    let (euicc, eid) = check_chain(signer, eum, notification.euicc_certificate.0, now)?;
    let signed = &notification.tbs_other_notification;
    if !verify(&euicc.public_key, &[signed.raw], notification.euicc_notification_signature) {
        return refused(es9::EUICC_VERIFICATION_FAILED, "euiccNotificationSignature");
    }
    let event = signed.profile_management_operation;
    let Some(state) = EuiccState::after(event) else {
        return refused(es9::EUICC_VERIFICATION_FAILED, "the notification is not for exactly one event");
    };
    Ok(NewNotification {
        eid,
        sequence: signed.seq_number,
        event,
        iccid: signed.iccid,
        raw,
        order: None,
        state: Some(state),
    })
}

fn own_signer<'a>(identity: &'a Identity, session: &Initiated) -> Result<&'a Signer, Error> {
    identity.signer(&session.ci_key_id).ok_or_else(|| Error::making("a signature", "the CI of the session is gone"))
}

fn own_transaction_id(bytes: &[u8; 16]) -> Result<TransactionId<'_>, Error> {
    TransactionId::new(bytes).ok_or_else(|| Error::making("a transaction ID", "not 16 bytes"))
}

fn sign(key: &SecretKey, parts: &[&[u8]]) -> Result<[u8; 64], Error> {
    key.sign(parts).map_err(|error| Error::making("a signature", error))
}

/// A signature as a data object.
fn signature_object(signature: &[u8; 64]) -> Result<Vec<u8>, Failure> {
    let mut writer = teuicc_tlv::Writer::new();
    writer.primitive(teuicc_rsp::tags::SIGNATURE, signature).map_err(unmade("a signature"))?;
    Ok(writer.into_bytes())
}
